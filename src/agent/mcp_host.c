#include "agent/mcp_host.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/mcp_servers.h"
#include "base/json_write.h"
#include "mcp/dialer.h"
#include "mcp/metrics.h"
#include "os/thread.h"

enum { CLOSE_SECONDS = 5 };

struct McpHost {
    Arena *arena;
    McpServerOptions *servers;
    size_t server_count;
    Thread *thread;
    Loop *loop;
    FiberPool *fibers;
    McpDialer *dialer;
    McpPool *pool;
    Recorder *recorder; // of the thread, as what follows
    McpMetrics *metrics;
    Tracer tracer;
};

// One piece of work for the host's thread, which answers by `finish` there: it wakes the waiting
// fiber on its own loop, or the waiting thread.
typedef struct Job Job;
struct Job {
    McpHost *host;
    void (*run)(Job *job); // on a fiber of the host
    void (*finish)(Job *job);
    int rc;
    Err err;
};

// The other loop's queue is bounded and its thread never waits for this one, so this ends.
static void post(Loop *loop, LoopPostFn *fn, void *arg)
{
    while (loop_post(loop, fn, arg) != 0) {
        (void)sched_yield();
    }
}

static void run_job(void *arg)
{
    Job *job = arg;
    job->run(job);
    job->finish(job);
}

static void take_job(void *arg)
{
    Job *job = arg;
    if (!fiber_spawn(job->host->fibers, "mcp", run_job, job)) {
        job->rc = err_set(&job->err, ERR_LIMIT, "too many MCP calls are under way");
        job->finish(job);
    }
}

// ---- a job that a thread waits for

typedef struct Blocking {
    Job job;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
    ToolSet *tools;
    Collector *collector;
    CacheFigures figures;
    bool clear;
} Blocking;

static void finish_blocking(Job *job)
{
    Blocking *b = CONTAINER_OF(job, Blocking, job);
    (void)pthread_mutex_lock(&b->lock);
    b->done = true;
    (void)pthread_cond_signal(&b->ended);
    (void)pthread_mutex_unlock(&b->lock);
}

// Runs b->job.run on the host's thread.
static int wait_blocking(McpHost *host, Blocking *b, Err *e)
{
    b->job.host = host;
    b->job.finish = finish_blocking;
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)pthread_cond_init(&b->ended, NULL);
    post(host->loop, take_job, &b->job);
    (void)pthread_mutex_lock(&b->lock);
    while (!b->done) {
        (void)pthread_cond_wait(&b->ended, &b->lock);
    }
    (void)pthread_mutex_unlock(&b->lock);
    (void)pthread_cond_destroy(&b->ended);
    (void)pthread_mutex_destroy(&b->lock);
    if (b->job.rc != 0 && e) {
        *e = b->job.err;
    }
    return b->job.rc;
}

// ---- a call of a tool, which a fiber of a shard waits for

typedef struct RemoteTool {
    McpHost *host;
    Slice server, tool;
    char names[];
} RemoteTool;

typedef struct Calling {
    Job job;
    const RemoteTool *tool;
    Slice arguments;
    TraceContext parent; // of the run that calls; not set: none
    int64_t timeout_ns;  // 0: the server's
    Loop *loop;          // of the waiting fiber
    FiberQueue waiters;
    bool done;
    Buf answer;
} Calling;

static void wake_caller(void *arg)
{
    Calling *c = arg;
    c->done = true;
    fiber_queue_wake_all(&c->waiters);
}

static void finish_call(Job *job)
{
    Calling *c = CONTAINER_OF(job, Calling, job);
    post(c->loop, wake_caller, c);
}

// What a model reads: structured content where there is some, else the texts.
static void write_answer(Calling *c, const McpResult *result)
{
    const Doc *structured = doc_get(result->result, SLICE("structuredContent"));
    JsonWriter w = json_writer(&c->answer, 0);
    if (structured) {
        doc_write(&w, structured);
        return;
    }
    Buf text = buf_create(MCP_HOST_RESULT_MAX);
    mcp_text_of(result->result, &text);
    json_string(&w, buf_slice(&text));
    c->job.rc = buf_check(&text, "the tool's result", &c->job.err);
    buf_done(&text);
}

static void tell_failure(Calling *c, const McpResult *result)
{
    Buf text = buf_create(MCP_HOST_RESULT_MAX);
    mcp_text_of(result->result, &text);
    c->job.rc = err_set(&c->job.err, ERR_IO, "%.*s", (int)(text.len < 800 ? text.len : 800),
                        text.data ? text.data : "");
    buf_done(&text);
}

static void begin_span(const Calling *c, Span *span)
{
    char name[SPAN_NAME_MAX + 1];
    (void)snprintf(name, sizeof name, "tools/call %.*s", SLICE_FMT(c->tool->tool));
    span_begin(&c->job.host->tracer, span, &c->parent, SPAN_CLIENT, slice_from_cstr(name),
               clock_wall(clock_real()));
    span_text(span, SLICE("mcp.method.name"), SLICE("tools/call"));
    span_text(span, SLICE("gen_ai.operation.name"), SLICE("execute_tool"));
    span_text(span, SLICE("gen_ai.tool.name"), c->tool->tool);
    span_text(span, SLICE("server_id"), c->tool->server);
}

static void end_span(const Calling *c, Span *span)
{
    int rc = c->job.rc;
    if (rc != 0) {
        span_text(span, SLICE("error.type"), slice_from_cstr(err_name(rc)));
    }
    span_end(&c->job.host->tracer, span, clock_wall(clock_real()),
             rc != 0 ? SPAN_ERROR : SPAN_UNSET);
}

static void run_call(Job *job)
{
    Calling *c = CONTAINER_OF(job, Calling, job);
    Arena *arena = arena_create((size_t)MCP_HOST_RESULT_MAX * 8);
    McpResult result = {0};
    bool traced = trace_is_set(&c->parent);
    char parent[TRACEPARENT_BYTES + 1];
    Span span;
    McpPoolCall call = {
        .server = c->tool->server,
        .tool = c->tool->tool,
        .arguments = c->arguments,
        .deadline_ns = c->timeout_ns > 0 ? loop_clock(job->host->loop) + c->timeout_ns : 0,
    };
    if (traced) {
        begin_span(c, &span);
        traceparent_format(&span.context, parent);
        call.options.traceparent = (Slice){parent, TRACEPARENT_BYTES};
    }
    job->rc = mcp_pool_call(job->host->pool, arena, &call, &result, &job->err);
    if (job->rc == 0 && result.file) {
        job->rc = err_set(&job->err, ERR_LIMIT, "the result has %lld bytes, which is too much",
                          (long long)result.bytes);
        (void)unlink(result.file);
        free(result.file);
    } else if (job->rc == 0 && result.is_error) {
        tell_failure(c, &result);
    } else if (job->rc == 0) {
        write_answer(c, &result);
    }
    if (traced) {
        end_span(c, &span);
    }
    arena_destroy(arena);
}

static int run_remote_tool(ToolCall *call, Err *e)
{
    const RemoteTool *tool = tool_self(call);
    int64_t deadline_ns = tool_deadline_ns(call);
    Calling c = {
        .job = {.host = tool->host, .run = run_call, .finish = finish_call},
        .tool = tool,
        .arguments = tool_args_json(call),
        .timeout_ns = deadline_ns == NEVER_NS ? 0 : deadline_ns - loop_clock(fiber_loop()),
        .loop = fiber_loop(),
        .answer = buf_create(MCP_HOST_RESULT_MAX),
    };
    const AgentContext *caller = tool_host(call);
    if (caller && tool->host->tracer.queue) {
        c.parent = agent_event(caller)->trace;
    }
    int cancelled = 0;
    post(tool->host->loop, take_job, &c.job);
    // The call lies on this stack, so it is waited for also by a fiber that was cancelled; its
    // deadline, or the server's own timeout, ends it.
    while (!c.done) {
        if (fiber_queue_wait(&c.waiters, "mcp", NEVER_NS) == ERR_CANCELLED) {
            cancelled = ERR_CANCELLED;
            fiber_clear_cancel();
        }
    }
    int rc = c.job.rc;
    if (cancelled != 0) {
        rc = err_set(e, ERR_CANCELLED, "the agent was cancelled");
    } else if (rc != 0 && e) {
        *e = c.job.err;
    } else if (rc == 0) {
        rc = tool_return(call, buf_slice(&c.answer), e);
    }
    buf_done(&c.answer);
    return rc;
}

// ---- what the servers have

static Slice tool_name_of(Arena *arena, Slice server, Slice tool)
{
    Slice name = arena_printf(arena, "%.*s_%.*s", SLICE_FMT(server), SLICE_FMT(tool));
    char *text = (char *)(uintptr_t)name.ptr; // ours, and not shared yet
    for (size_t i = 0; i < name.len; i++) {
        bool plain = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
                     (text[i] >= '0' && text[i] <= '9') || text[i] == '-';
        text[i] = plain ? text[i] : '_';
    }
    return slice_sub(name, 0, TOOL_NAME_MAX);
}

static int add_tool(McpHost *host, ToolSet *tools, Slice server, const McpTool *tool, Err *e)
{
    RemoteTool *remote = mem_alloc(sizeof *remote + tool->name.len);
    memcpy(remote->names, tool->name.ptr, tool->name.len);
    remote->host = host;
    remote->server = server;
    remote->tool = (Slice){remote->names, tool->name.len};
    Buf schema = buf_create(1 << 20);
    JsonWriter w = json_writer(&schema, 0);
    if (tool->input_schema) {
        doc_write(&w, tool->input_schema);
    }
    ToolSpec spec = {
        .name = tool_name_of(host->arena, server, tool->name),
        .description = tool->description.len > 0 ? tool->description : tool->title,
        .schema = buf_slice(&schema),
        .run = run_remote_tool,
        .self = remote,
        .destroy = free,
    };
    int rc = tool_add(tools, &spec, e);
    if (rc != 0) {
        free(remote);
        (void)err_wrap(e, "MCP server \"%.*s\", tool \"%.*s\"", SLICE_FMT(server),
                       SLICE_FMT(tool->name));
    }
    buf_done(&schema);
    return rc;
}

static void run_discovery(Job *job)
{
    McpHost *host = job->host;
    ToolSet *tools = CONTAINER_OF(job, Blocking, job)->tools;
    for (size_t i = 0; i < host->server_count && job->rc == 0; i++) {
        McpToolSet *set = NULL;
        Slice server = host->servers[i].name;
        job->rc = mcp_pool_tools(host->pool, server, &set, &job->err);
        if (job->rc != 0) {
            (void)err_wrap(&job->err, "MCP server \"%.*s\"", SLICE_FMT(server));
            return;
        }
        for (size_t k = 0; k < set->count && job->rc == 0; k++) {
            job->rc = add_tool(host, tools, server, &set->tools[k], &job->err);
        }
        mcp_toolset_unref(set);
    }
}

int mcp_host_add_tools(McpHost *host, ToolSet *tools, Err *e)
{
    Blocking b = {.job.run = run_discovery, .tools = tools};
    return host ? wait_blocking(host, &b, e) : 0;
}

// ---- what it did

static void run_collect(Job *job)
{
    McpHost *host = job->host;
    Collector *collector = CONTAINER_OF(job, Blocking, job)->collector;
    mcp_metrics_sample(host->metrics, host->pool);
    // All of it on this thread and without parking, so that the recorder is whole throughout.
    const RecorderBatch *batch = recorder_take(host->recorder);
    if (batch) {
        collector_add(collector, 0, batch);
        collector_next(collector);
        recorder_give_back(host->recorder);
    }
}

void mcp_host_collect(McpHost *host, Collector *collector)
{
    Blocking b = {.job.run = run_collect, .collector = collector};
    if (host) {
        (void)!wait_blocking(host, &b, NULL);
    }
}

static void run_cache(Job *job)
{
    Blocking *b = CONTAINER_OF(job, Blocking, job);
    McpPool *pool = job->host->pool;
    for (size_t i = 0; i < mcp_pool_server_count(pool); i++) {
        const PolicyBlock *block = mcp_pool_policy(pool, mcp_pool_server_name(pool, i));
        b->figures.entries += block->cache.count;
        b->figures.bytes += block->cache.bytes;
        b->figures.hits += block->cache.hits;
        b->figures.misses += block->cache.misses;
    }
    if (b->clear) {
        mcp_pool_clear_cache(pool, (Slice){0});
    }
}

CacheFigures mcp_host_cache(McpHost *host, bool clear)
{
    Blocking b = {.job.run = run_cache, .clear = clear};
    if (host) {
        (void)!wait_blocking(host, &b, NULL);
    }
    return b.figures;
}

// ---- life

static void host_thread(void *arg)
{
    McpHost *host = arg;
    loop_run(host->loop);
}

static void run_close(Job *job)
{
    mcp_pool_close(job->host->pool);
    job->host->pool = NULL;
}

static int open_pool(McpHost *host, Err *e)
{
    int rc = loop_create(&(LoopOptions){.post_capacity = 1 << 16}, &host->loop, e);
    if (rc != 0) {
        return rc;
    }
    host->fibers = fiber_pool_create(host->loop, NULL);
    if ((rc = mcp_dialer_open(host->loop, &host->dialer, e)) != 0) {
        return rc;
    }
    McpPoolOptions options = {
        .pool = host->fibers,
        .http = mcp_dialer_http(host->dialer),
        .servers = host->servers,
        .server_count = host->server_count,
        .event_fn = mcp_metrics_event,
        .event_ctx = host->metrics,
    };
    rc = mcp_pool_create(&options, &host->pool, e);
    return rc != 0 ? rc : thread_start("mcp", THREAD_ANY_CPU, host_thread, host, &host->thread, e);
}

int mcp_host_open(const AgentConfig *config, SpanQueue *spans, McpHost **ret_host, Err *e)
{
    Arena *arena = arena_create(64 << 20);
    McpServerOptions *servers = NULL;
    size_t count = 0;
    int rc = agent_mcp_servers(arena, config, getenv, &servers, &count, e);
    if (rc != 0 || count == 0) {
        arena_destroy(arena);
        return rc;
    }
    McpHost *host = mem_zalloc(sizeof *host);
    *host = (McpHost){.arena = arena, .servers = servers, .server_count = count};
    tracer_init(&host->tracer, spans, 1, (uint64_t)clock_wall(clock_real()), 0);
    host->recorder = recorder_create(&(RecorderOptions){0});
    host->metrics = mcp_metrics_create(host->recorder);
    if ((rc = open_pool(host, e)) != 0) {
        mcp_host_close(host);
        return rc;
    }
    *ret_host = host;
    return 0;
}

void mcp_host_close(McpHost *host)
{
    if (!host) {
        return;
    }
    if (host->thread) {
        Blocking b = {.job.run = run_close};
        (void)!wait_blocking(host, &b, NULL);
        loop_stop(host->loop);
        thread_join(host->thread);
    }
    if (host->fibers) {
        (void)fiber_pool_drain(host->fibers, loop_clock(host->loop) + CLOSE_SECONDS * NS_PER_S);
        mcp_dialer_close(host->dialer);
        fiber_pool_destroy(host->fibers);
    }
    loop_destroy(host->loop);
    mcp_metrics_destroy(host->metrics);
    recorder_destroy(host->recorder);
    arena_destroy(host->arena);
    free(host);
}
