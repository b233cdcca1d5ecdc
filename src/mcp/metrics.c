#include "mcp/metrics.h"

enum { CONNECTIONS_SEEN = 256, SERVERS_MAX = MCP_SERVERS_MAX };

// What was last seen of a server's policies, whose counters only grow.
typedef struct Seen {
    uint64_t evictions;
    uint64_t misses;
    int state;
} Seen;

struct McpMetrics {
    Recorder *recorder;
    Seen seen[SERVERS_MAX];
};

McpMetrics *mcp_metrics_create(Recorder *recorder)
{
    McpMetrics *m = mem_zalloc(sizeof *m);
    m->recorder = recorder;
    return m;
}

void mcp_metrics_destroy(McpMetrics *m)
{
    free(m);
}

static RecorderSeries *series(const McpMetrics *m, MetricId id, const Label *labels, size_t count)
{
    return recorder_series(m->recorder, id, labels, count);
}

static void on_connect(const McpMetrics *m, const McpEvent *event)
{
    Label labels[] = {{SLICE("server_id"), event->server},
                      {SLICE("status"), event->rc == 0 ? SLICE("ok") : SLICE("error")}};
    recorder_count(series(m, M_MCP_CONNECTIONS, labels, 2), 1);
    if (event->rc == 0) {
        recorder_trend(series(m, M_MCP_CONNECTION_DURATION, labels, 1), event->duration_ns);
    } else {
        labels[1] = (Label){SLICE("error_type"), slice_from_cstr(err_name(event->rc))};
        recorder_count(series(m, M_MCP_CONNECTION_ERRORS, labels, 2), 1);
    }
}

// One exchange with a server, as OpenTelemetry counts: mcp.method.name, gen_ai.tool.name,
// error.type.
static void on_attempt(const McpMetrics *m, const McpEvent *event)
{
    Label labels[] = {{SLICE("mcp.method.name"), SLICE("tools/call")},
                      {SLICE("gen_ai.tool.name"), event->tool},
                      {SLICE("error.type"), slice_from_cstr(err_name(event->rc))}};
    RecorderSeries *s = series(m, M_MCP_CLIENT_OPERATION_DURATION, labels, event->rc == 0 ? 2 : 3);
    recorder_trend(s, event->duration_ns);
}

static void on_call(const McpMetrics *m, const McpEvent *event)
{
    Label labels[] = {{SLICE("server_id"), event->server},
                      {SLICE("tool_name"), event->tool},
                      {SLICE("status"), event->rc == 0 ? SLICE("ok") : SLICE("error")}};
    recorder_count(series(m, M_MCP_TOOL_EXECUTIONS, labels, 3), 1);
    recorder_trend(series(m, M_MCP_TOOL_EXECUTION_DURATION, labels, 2), event->duration_ns);
    if (event->rc == 0 && event->bytes > 0) {
        recorder_trend(series(m, M_MCP_RESPONSE_SIZE, labels, 2), event->bytes);
    }
    if (event->attempts > 1) {
        recorder_count(series(m, M_MCP_TOOL_EXECUTION_RETRIES, labels, 2), event->attempts - 1);
    }
    if (event->rc != 0) {
        labels[2] = (Label){SLICE("error_type"), slice_from_cstr(err_name(event->rc))};
        recorder_count(series(m, M_MCP_TOOL_EXECUTION_ERRORS, labels, 3), 1);
    }
    if (event->cached) {
        Label hit[] = {{SLICE("cache_type"), SLICE("tool")}, {SLICE("tool_name"), event->tool}};
        recorder_count(series(m, M_MCP_CACHE_HITS, hit, 2), 1);
    }
}

void mcp_metrics_event(void *metrics, const McpEvent *event)
{
    const McpMetrics *m = metrics;
    switch (event->kind) {
    case MCP_EVENT_CONNECT: on_connect(m, event); break;
    case MCP_EVENT_ATTEMPT: on_attempt(m, event); break;
    case MCP_EVENT_CALL: on_call(m, event); break;
    case MCP_EVENT_LOST:
    case MCP_EVENT_HEALTH: break;
    }
}

static void sample_policies(const McpMetrics *m, Seen *seen, Slice name, const PolicyBlock *b)
{
    Label label = {SLICE("server_id"), name};
    int state = (int)b->breaker.mode;
    recorder_gauge(series(m, M_MCP_BREAKER_STATE, &label, 1), state);
    recorder_gauge(series(m, M_MCP_CACHE_SIZE, &label, 1), b->cache.count);
    recorder_gauge(series(m, M_MCP_CACHE_MEMORY, &label, 1), (double)b->cache.bytes);
    recorder_gauge(series(m, M_MCP_QUEUE_SIZE, &label, 1), b->queue.count);
    if (state != seen->state) {
        recorder_count(series(m, M_MCP_BREAKER_TRANSITIONS, &label, 1), 1);
    }
    recorder_count(series(m, M_MCP_CACHE_EVICTIONS, &label, 1),
                   (int64_t)(b->cache.evictions - seen->evictions));
    recorder_count(series(m, M_MCP_CACHE_MISSES, &label, 1),
                   (int64_t)(b->cache.misses - seen->misses));
    *seen = (Seen){b->cache.evictions, b->cache.misses, state};
}

void mcp_metrics_sample(McpMetrics *m, McpPool *pool)
{
    McpHealth *lines = mem_alloc(CONNECTIONS_SEEN * sizeof *lines);
    for (size_t i = 0; i < mcp_pool_server_count(pool); i++) {
        Slice name = mcp_pool_server_name(pool, i);
        Label label = {SLICE("server_id"), name};
        size_t count = mcp_pool_health(pool, name, lines, CONNECTIONS_SEEN);
        size_t open = 0;
        size_t active = 0;
        for (size_t k = 0; k < count; k++) {
            open += lines[k].healthy;
            active += lines[k].outstanding > 0;
        }
        recorder_gauge(series(m, M_MCP_CONNECTION_POOL_SIZE, &label, 1), (double)count);
        recorder_gauge(series(m, M_MCP_CONNECTION_POOL_ACTIVE, &label, 1), (double)active);
        recorder_gauge(series(m, M_MCP_CONCURRENT_CONNECTIONS, &label, 1), (double)open);
        sample_policies(m, &m->seen[i], name, mcp_pool_policy(pool, name));
    }
    free(lines);
}
