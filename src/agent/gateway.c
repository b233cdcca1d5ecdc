#include "agent/gateway.h"

#include <math.h>
#include <sched.h>

#include "base/json_write.h"
#include "base/units.h"
#include "net/sse.h"

enum { EVENT_BYTES_MAX = 16 << 20, ANSWER_BYTES_MAX = 128 << 20, ARENA_BYTES_MAX = 256 << 20 };

struct Gateway {
    Assembly *assembly;
    Loop *loop;
    HttpServer *server;
};

// ---- answers

static int status_of(int code)
{
    switch (code) {
    case ERR_NOT_FOUND: return 404;
    case ERR_FULL:
    case ERR_CLOSED:
    case ERR_BUSY: return 503;
    case ERR_TIMEOUT: return 504;
    case ERR_REFUSED: return 429;
    default: return 502;
    }
}

static void write_error(JsonWriter *w, int code, const char *reason)
{
    json_object_begin(w);
    json_key(w, SLICE("error"));
    json_object_begin(w);
    json_field_cstr(w, "code", err_name(code));
    json_field_cstr(w, "reason", reason);
    json_object_end(w);
    json_object_end(w);
}

static void send_json(HttpReply *reply, int status, const Buf *out)
{
    (void)http_reply_send(reply, status, SLICE("application/json"), buf_slice(out), NULL);
}

static void send_error(HttpReply *reply, int status, int code, const char *reason)
{
    Buf out = buf_create(64 << 10);
    JsonWriter w = json_writer(&out, 0);
    write_error(&w, code, reason);
    if (status == 503) {
        (void)!http_reply_header(reply, SLICE("Retry-After"), SLICE("1"), NULL);
    }
    send_json(reply, status, &out);
    buf_done(&out);
}

// ---- one event

// What a request's fiber and the shard that works for it share. The shard's callbacks copy what
// they are given under no lock: they put a message on the loop, and only the loop touches the rest.
typedef struct Task {
    Gateway *gateway;
    Arena *arena;
    Slice agent;
    EventSpec spec;
    TraceContext trace; // of the caller
    State state;
    FiberQueue waiters;
    HttpSse *sse; // NULL: the answer comes whole
    bool done;
    AgentResult result;
} Task;

typedef struct ChunkMessage {
    Task *task;
    size_t len;
    char data[];
} ChunkMessage;

// The loop's queue is bounded; the answer of an accepted event must not be lost, so the shard waits
// for room. The loop never waits for a shard, so this ends.
static void post(Loop *loop, LoopPostFn *fn, void *arg)
{
    while (loop_post(loop, fn, arg) != 0) {
        (void)sched_yield();
    }
}

// A client that is too slow or gone gets no more; the agent is not held up by it.
static void take_chunk(void *arg)
{
    ChunkMessage *message = arg;
    Buf json = buf_create(ANSWER_BYTES_MAX);
    json_quote(&json, (Slice){message->data, message->len});
    (void)!sse_send(message->task->sse,
                    &(SseEvent){.event = SLICE("chunk"), .data = buf_slice(&json)});
    buf_done(&json);
    free(message);
}

static void on_chunk(void *arg, Slice chunk)
{
    Task *task = arg;
    ChunkMessage *message = mem_alloc(sizeof *message + chunk.len);
    message->task = task;
    message->len = chunk.len;
    memcpy(message->data, chunk.ptr, chunk.len);
    post(task->gateway->loop, take_chunk, message);
}

static void send_end(Task *task);

static void take_done(void *arg)
{
    Task *task = arg;
    task->done = true;
    if (task->sse) {
        send_end(task);
        sse_finish(task->sse);
    }
    fiber_queue_wake_all(&task->waiters);
}

// The result is the runner's only during the call: what is kept is copied.
static void on_done(void *arg, AgentResult *result)
{
    Task *task = arg;
    task->result.code = result->code;
    memcpy(task->result.reason, result->reason, sizeof task->result.reason);
    task->result.bytes = bytes_copy(result->data);
    task->result.data = bytes_slice(task->result.bytes);
    task->result.state = state_clone(&result->state);
    post(task->gateway->loop, take_done, task);
}

static int read_state(Task *task, const Doc *state, Err *e)
{
    int rc = doc_expect(state, DOC_OBJECT, "state", e);
    return rc != 0 ? rc : state_read_doc(&task->state, state, e);
}

// The data goes to the agent as compact JSON.
static int read_data(Task *task, const Doc *data, Err *e)
{
    Buf out = buf_create(EVENT_BYTES_MAX);
    JsonWriter w = json_writer(&out, 0);
    doc_write(&w, data);
    int rc = buf_check(&out, "the event's data", e);
    task->spec.data = arena_copy(task->arena, buf_slice(&out));
    buf_done(&out);
    return rc;
}

static int read_text(const Doc *d, Slice *ret_text, Err *e)
{
    int rc = doc_expect(d, DOC_STRING, d->key.ptr, e);
    *ret_text = rc == 0 ? d->text : *ret_text;
    return rc;
}

static int read_timeout(const Doc *d, int64_t *ret_ns, Err *e)
{
    Err why = {0};
    int rc = doc_expect(d, DOC_STRING, "timeout", e);
    if (rc == 0 && (duration_parse(d->text, 0, ret_ns, &why) != 0 || *ret_ns <= 0)) {
        rc = doc_err(e, d, "timeout: %s", why.text[0] ? why.text : "must be more than 0");
    }
    return rc;
}

static int read_event(Task *task, Slice body, Err *e)
{
    static const Slice names[] = {SLICE_INIT("data"), SLICE_INIT("type"), SLICE_INIT("session"),
                                  SLICE_INIT("timeout"), SLICE_INIT("state")};
    const Doc *root = NULL, *d;
    if (slice_trim(body).len == 0) {
        return 0;
    }
    DocOptions options = {.format = DOC_FORMAT_JSON, .source = "event"};
    int rc = doc_parse(task->arena, body, &options, &root, e);
    if (rc != 0 || (rc = doc_expect(root, DOC_OBJECT, "an event", e)) != 0 ||
        (rc = doc_expect_fields(root, names, COUNT_OF(names), e)) != 0) {
        return rc;
    }
    if ((d = doc_get(root, SLICE("data"))) && (rc = read_data(task, d, e)) != 0) {
        return rc;
    }
    if ((d = doc_get(root, SLICE("type"))) && (rc = read_text(d, &task->spec.type, e)) != 0) {
        return rc;
    }
    if ((d = doc_get(root, SLICE("session"))) && (rc = read_text(d, &task->spec.session, e)) != 0) {
        return rc;
    }
    if ((d = doc_get(root, SLICE("state"))) && (rc = read_state(task, d, e)) != 0) {
        return rc;
    }
    d = doc_get(root, SLICE("timeout"));
    return d ? read_timeout(d, &task->spec.timeout_ns, e) : 0;
}

static void write_result(Task *task, JsonWriter *w)
{
    const Doc *data = NULL;
    Slice answer = task->result.data;
    json_object_begin(w);
    json_field_string(w, "agent", task->agent);
    if (task->spec.session.len > 0) {
        json_field_string(w, "session", task->spec.session);
    }
    json_key(w, SLICE("data"));
    if (answer.len == 0) {
        json_null(w);
    } else if (doc_parse(task->arena, answer, NULL, &data, NULL) == 0) {
        doc_write(w, data);
    } else {
        json_string(w, answer);
    }
    json_key(w, SLICE("state"));
    state_write_json(&task->result.state, w);
    json_object_end(w);
}

static void finish_plain(Task *task, HttpReply *reply)
{
    Buf out = buf_create(ANSWER_BYTES_MAX);
    JsonWriter w = json_writer(&out, 0);
    if (task->result.code != 0) {
        send_error(reply, status_of(task->result.code), task->result.code, task->result.reason);
    } else {
        write_result(task, &w);
        if (out.overflowed) {
            send_error(reply, 502, ERR_LIMIT, "the answer is too large");
        } else {
            send_json(reply, 200, &out);
        }
    }
    buf_done(&out);
}

// The last event of a stream: the result, or what went wrong.
static void send_end(Task *task)
{
    Buf out = buf_create(ANSWER_BYTES_MAX);
    JsonWriter w = json_writer(&out, 0);
    bool failed = task->result.code != 0;
    if (failed) {
        write_error(&w, task->result.code, task->result.reason);
    } else {
        write_result(task, &w);
    }
    (void)!sse_send(task->sse, &(SseEvent){.event = failed ? SLICE("error") : SLICE("result"),
                                           .data = buf_slice(&out)});
    buf_done(&out);
}

// The task's memory is the runner's too until it is done, so a client that went away is waited out:
// what it asked for has a deadline of its own.
static void wait_for_task(Task *task)
{
    while (!task->done) {
        if (fiber_queue_wait(&task->waiters, "agent", NEVER_NS) == ERR_CANCELLED) {
            fiber_clear_cancel();
        }
    }
}

static void run_task(Task *task, bool stream, HttpReply *reply)
{
    SubmitOptions submit = {
        .state = &task->state,
        .on_done = on_done,
        .on_chunk = stream ? on_chunk : NULL,
        .arg = task,
    };
    Err e = {0};
    int rc = 0;
    if (stream) {
        // Before the event goes out: its first piece may be here before runner_submit returns.
        rc = sse_open(reply, &(SseOptions){.queue_max = ANSWER_BYTES_MAX}, &task->sse, &e);
    }
    if (rc == 0) {
        rc = runner_submit(assembly_runner(task->gateway->assembly), &task->spec, &submit, &e);
    }
    if (rc != 0 && task->sse) {
        task->result.code = rc;
        (void)snprintf(task->result.reason, sizeof task->result.reason, "%.127s", e.text);
        send_end(task);
        (void)!sse_flush(task->sse, NULL);
    } else if (rc != 0) {
        send_error(reply, rc == ERR_LIMIT ? 413 : status_of(rc), rc, e.text);
    } else if (task->sse) {
        (void)!sse_run(task->sse, NULL);
        wait_for_task(task);
    } else {
        wait_for_task(task);
        finish_plain(task, reply);
    }
    sse_close(task->sse);
    bytes_unref(task->result.bytes);
    state_done(&task->result.state);
}

static void post_event(Gateway *gateway, Slice name, const HttpServerRequest *request,
                       HttpReply *reply)
{
    Task *task = mem_zalloc(sizeof *task);
    Err e = {0};
    task->gateway = gateway;
    task->arena = arena_create(ARENA_BYTES_MAX);
    task->agent = task->spec.target = name;
    // A field that is no context begins a new trace, as the specification wants it.
    if (traceparent_parse(http_head_get(request->head, SLICE("traceparent")), &task->trace) == 0) {
        task->spec.trace = &task->trace;
    }
    bool stream =
        slice_find(http_head_get(request->head, SLICE("accept")), SLICE("text/event-stream")) >= 0;
    int rc = read_event(task, request->body, &e);
    if (rc != 0) {
        send_error(reply, 400, rc, e.text);
    } else {
        run_task(task, stream, reply);
    }
    state_done(&task->state);
    arena_destroy(task->arena);
    free(task);
}

// ---- what there is

typedef struct Listing {
    Gateway *gateway;
    JsonWriter w;
} Listing;

static void write_agent(void *arg, const AgentMetrics *m)
{
    JsonWriter *w = &((Listing *)arg)->w;
    json_object_begin(w);
    json_field_string(w, "name", m->name);
    json_field_int(w, "handled", (int64_t)m->handled);
    json_field_int(w, "failed", (int64_t)m->failed);
    json_field_int(w, "timeouts", (int64_t)m->timeouts);
    json_field_int(w, "retries", (int64_t)m->retries);
    json_field_int(w, "running", (int64_t)m->running);
    json_field_int(w, "queued", (int64_t)m->queued);
    bool any = m->duration_ns && m->duration_ns->count > 0;
    json_field_double(w, "p50Ms", any ? hist_quantile(m->duration_ns, 0.5) / 1e6 : NAN);
    json_field_double(w, "p99Ms", any ? hist_quantile(m->duration_ns, 0.99) / 1e6 : NAN);
    json_object_end(w);
}

static void get_agents(Gateway *gateway, HttpReply *reply)
{
    Runner *runner = assembly_runner(gateway->assembly);
    Buf out = buf_create(ANSWER_BYTES_MAX);
    Listing listing = {gateway, json_writer(&out, 0)};
    JsonWriter *w = &listing.w;
    json_object_begin(w);
    json_field_int(w, "version", 1);
    json_key(w, SLICE("agents"));
    json_array_begin(w);
    for (AgentId id = 0; id < runner_agent_count(runner); id++) {
        json_string(w, runner_agent_name(runner, id));
    }
    json_array_end(w);
    json_key(w, SLICE("metrics"));
    json_array_begin(w);
    runner_metrics(runner, write_agent, &listing);
    json_array_end(w);
    json_object_end(w);
    send_json(reply, 200, &out);
    buf_done(&out);
}

static void write_entry(void *arg, const TraceEntry *entry)
{
    Listing *listing = arg;
    JsonWriter *w = &listing->w;
    Runner *runner = assembly_runner(listing->gateway->assembly);
    char hex[33];
    json_object_begin(w);
    (void)snprintf(hex, sizeof hex, "%016llx%016llx", (unsigned long long)entry->trace.trace_id[0],
                   (unsigned long long)entry->trace.trace_id[1]);
    json_field_cstr(w, "traceId", hex);
    (void)snprintf(hex, sizeof hex, "%016llx", (unsigned long long)entry->trace.span_id);
    json_field_cstr(w, "spanId", hex);
    (void)snprintf(hex, sizeof hex, "%016llx", (unsigned long long)entry->trace.parent_id);
    json_field_cstr(w, "parentId", hex);
    json_field_int(w, "event", (int64_t)entry->event_id);
    json_field_string(w, "agent", runner_agent_name(runner, entry->agent));
    if (entry->source != AGENT_NONE) {
        json_field_string(w, "from", runner_agent_name(runner, entry->source));
    }
    json_field_cstr(w, "type", entry->type);
    json_field_int(w, "attempt", entry->attempt);
    json_field_int(w, "startNs", entry->start_ns);
    json_field_int(w, "durationNs", entry->duration_ns);
    json_field_cstr(w, "code", entry->code ? err_name(entry->code) : "OK");
    json_object_end(w);
}

static void get_trace(Gateway *gateway, Slice session, HttpReply *reply)
{
    Buf out = buf_create(ANSWER_BYTES_MAX);
    Listing listing = {gateway, json_writer(&out, 0)};
    json_object_begin(&listing.w);
    json_field_int(&listing.w, "version", 1);
    json_field_string(&listing.w, "session", session);
    json_key(&listing.w, SLICE("entries"));
    json_array_begin(&listing.w);
    runner_trace(assembly_runner(gateway->assembly), session, write_entry, &listing);
    json_array_end(&listing.w);
    json_object_end(&listing.w);
    send_json(reply, 200, &out);
    buf_done(&out);
}

// ---- kept sessions

static void write_session(void *arg, Slice session, const State *state, int64_t used_ns)
{
    (void)used_ns;
    JsonWriter *w = &((Listing *)arg)->w;
    json_object_begin(w);
    json_field_string(w, "session", session);
    json_field_int(w, "keys", (int64_t)state_count(state));
    json_field_int(w, "bytes", (int64_t)state_bytes(state));
    json_object_end(w);
}

static void get_sessions(Gateway *gateway, HttpReply *reply)
{
    StateCache *states = assembly_states(gateway->assembly);
    StateCacheStats stats = state_cache_stats(states);
    Buf out = buf_create(ANSWER_BYTES_MAX);
    Listing listing = {gateway, json_writer(&out, 0)};
    JsonWriter *w = &listing.w;
    json_object_begin(w);
    json_field_int(w, "version", 1);
    json_field_int(w, "sessions", (int64_t)stats.sessions);
    json_field_int(w, "hits", (int64_t)stats.hits);
    json_field_int(w, "misses", (int64_t)stats.misses);
    json_field_int(w, "evicted", (int64_t)stats.evicted);
    json_field_int(w, "expired", (int64_t)stats.expired);
    json_key(w, SLICE("entries"));
    json_array_begin(w);
    state_cache_each(states, write_session, &listing);
    json_array_end(w);
    json_object_end(w);
    send_json(reply, 200, &out);
    buf_done(&out);
}

// ---- kept answers

static void write_figures(JsonWriter *w, const char *name, const CacheFigures *figures)
{
    json_key(w, slice_from_cstr(name));
    json_object_begin(w);
    json_field_int(w, "entries", (int64_t)figures->entries);
    json_field_int(w, "bytes", (int64_t)figures->bytes);
    json_field_int(w, "hits", (int64_t)figures->hits);
    json_field_int(w, "misses", (int64_t)figures->misses);
    json_object_end(w);
}

static void handle_caches(Gateway *gateway, bool clear, HttpReply *reply)
{
    AssemblyCaches caches = assembly_caches(gateway->assembly, clear);
    Buf out = buf_create(4096);
    JsonWriter w = json_writer(&out, 0);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    write_figures(&w, "models", &caches.models);
    write_figures(&w, "tools", &caches.tools);
    if (clear) {
        json_field_int(&w, "forgotten", (int64_t)(caches.models.entries + caches.tools.entries));
    }
    json_object_end(&w);
    send_json(reply, 200, &out);
    buf_done(&out);
}

// ---- routes

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

// The part of the path behind `prefix`, percent-decoded; false when it does not begin so.
static bool path_rest(Slice path, const char *prefix, char *out, size_t capacity, Slice *ret_rest)
{
    Slice p = slice_from_cstr(prefix);
    if (!slice_starts_with(path, p)) {
        return false;
    }
    size_t n = 0;
    for (size_t i = p.len; i < path.len && n + 1 < capacity; i++) {
        int high = i + 2 < path.len ? hex_digit(path.ptr[i + 1]) : -1;
        int low = i + 2 < path.len ? hex_digit(path.ptr[i + 2]) : -1;
        if (path.ptr[i] == '%' && high >= 0 && low >= 0) {
            out[n++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[n++] = path.ptr[i];
        }
    }
    out[n] = '\0';
    *ret_rest = (Slice){out, n};
    return true;
}

static void not_allowed(HttpReply *reply, const char *allow)
{
    (void)!http_reply_header(reply, SLICE("Allow"), slice_from_cstr(allow), NULL);
    send_error(reply, 405, ERR_UNSUPPORTED, "this path does not have that method");
}

static void forget(Gateway *gateway, Slice session, HttpReply *reply)
{
    StateCache *states = assembly_states(gateway->assembly);
    size_t count =
        session.len == 0 ? state_cache_clear(states) : (size_t)state_cache_forget(states, session);
    Buf out = buf_create(256);
    buf_printf(&out, "{\"forgotten\":%zu}", count);
    send_json(reply, 200, &out);
    buf_done(&out);
}

static void handle_sessions(Gateway *gateway, Slice session, const HttpServerRequest *request,
                            HttpReply *reply)
{
    bool get = slice_eq(request->method, SLICE("GET"));
    if (slice_ends_with(session, SLICE("/trace")) && get) {
        get_trace(gateway, slice_sub(session, 0, session.len - 6), reply);
    } else if (slice_eq(request->method, SLICE("DELETE"))) {
        forget(gateway, session, reply);
    } else if (get && session.len == 0) {
        get_sessions(gateway, reply);
    } else {
        not_allowed(reply, "GET, DELETE");
    }
}

static void handle(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    Gateway *gateway = ctx;
    char rest[1024];
    Slice name;
    bool get = slice_eq(request->method, SLICE("GET"));
    if (path_rest(request->path, "/agents/", rest, sizeof rest, &name)) {
        if (slice_eq(request->method, SLICE("POST"))) {
            post_event(gateway, name, request, reply);
        } else {
            not_allowed(reply, "POST");
        }
    } else if (slice_eq(request->path, SLICE("/agents")) && get) {
        get_agents(gateway, reply);
    } else if (path_rest(request->path, "/sessions/", rest, sizeof rest, &name) ||
               path_rest(request->path, "/sessions", rest, sizeof rest, &name)) {
        handle_sessions(gateway, name, request, reply);
    } else if (slice_eq(request->path, SLICE("/caches"))) {
        if (get || slice_eq(request->method, SLICE("DELETE"))) {
            handle_caches(gateway, !get, reply);
        } else {
            not_allowed(reply, "GET, DELETE");
        }
    } else if (slice_eq(request->path, SLICE("/healthz")) && get) {
        (void)http_reply_send(reply, 200, SLICE("text/plain"), SLICE("ok\n"), NULL);
    } else {
        send_error(reply, 404, ERR_NOT_FOUND, "there is nothing here; agents are at /agents/NAME");
    }
}

// ---- life

int gateway_open(const GatewayOptions *options, Gateway **ret_gateway, Err *e)
{
    Gateway *gateway = mem_zalloc(sizeof *gateway);
    gateway->assembly = options->assembly;
    gateway->loop = options->loop;
    HttpServerOptions server = {
        .loop = options->loop,
        .pool = options->pool,
        .addr = options->addr,
        .handler = handle,
        .ctx = gateway,
        .body_bytes_max =
            options->event_bytes_max > 0 ? options->event_bytes_max : (size_t)EVENT_BYTES_MAX,
    };
    int rc = http_server_open(&server, &gateway->server, e);
    if (rc != 0) {
        free(gateway);
        return rc;
    }
    *ret_gateway = gateway;
    return 0;
}

NetAddr gateway_addr(const Gateway *gateway)
{
    return http_server_addr(gateway->server);
}

size_t gateway_drain(Gateway *gateway, int64_t deadline_ns)
{
    return http_server_drain(gateway->server, deadline_ns);
}

void gateway_destroy(Gateway *gateway)
{
    if (gateway) {
        http_server_destroy(gateway->server);
        free(gateway);
    }
}
