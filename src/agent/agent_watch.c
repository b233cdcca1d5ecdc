#include "agent/agent_watch.h"

#include "agent/monitor_runner.h"

struct AgentWatch {
    Monitor *monitor; // NULL while it does not run
    MonitorRunner *runner;
    LlmHost *llm;
    McpHost *mcp;
};

static void collect_models(void *ctx, Collector *collector)
{
    llm_host_collect(((AgentWatch *)ctx)->llm, collector);
}

static void collect_servers(void *ctx, Collector *collector)
{
    mcp_host_collect(((AgentWatch *)ctx)->mcp, collector);
}

static bool wanted(const ConfigMonitoring *config)
{
    return config->given &&
           (config->enable_metrics || config->enable_profiling || config->otlp_endpoint.len > 0);
}

int agent_watch_create(const ConfigMonitoring *config, Runner *runner, LlmHost *llm,
                       SpanQueue *spans, AgentWatch **ret_watch, Err *e)
{
    if (!wanted(config)) {
        return 0;
    }
    AgentWatch *watch = mem_zalloc(sizeof *watch);
    watch->llm = llm;
    MonitorOptions options = {
        .port = (uint16_t)config->profile_port,
        .no_metrics = !config->enable_metrics,
        .profiling = config->enable_profiling,
        .interval_ns = config->metrics_interval_ns,
        .service = SLICE("perfwright"),
        .otlp_endpoint = config->otlp_endpoint,
        .spans = spans,
    };
    int rc = monitor_create(&options, &watch->monitor, e);
    rc = rc == 0 ? monitor_runner_create(runner, &watch->runner, e) : rc;
    rc = rc == 0 ? monitor_add(watch->monitor, monitor_runner_source(watch->runner), e) : rc;
    if (rc == 0 && llm) {
        rc = monitor_add(watch->monitor, &(MonitorSource){.collect = collect_models, .ctx = watch},
                         e);
    }
    if (rc != 0) {
        agent_watch_stop(watch);
        agent_watch_destroy(watch);
        return rc;
    }
    *ret_watch = watch;
    return 0;
}

int agent_watch_servers(AgentWatch *watch, McpHost *mcp, Err *e)
{
    if (!watch || !mcp) {
        return 0;
    }
    watch->mcp = mcp;
    return monitor_add(watch->monitor, &(MonitorSource){.collect = collect_servers, .ctx = watch},
                       e);
}

int agent_watch_start(AgentWatch *watch, Err *e)
{
    return watch ? monitor_start(watch->monitor, e) : 0;
}

uint16_t agent_watch_port(const AgentWatch *watch)
{
    return watch && watch->monitor ? monitor_port(watch->monitor) : 0;
}

void agent_watch_stop(AgentWatch *watch)
{
    if (watch) {
        monitor_stop(watch->monitor);
        watch->monitor = NULL;
    }
}

void agent_watch_destroy(AgentWatch *watch)
{
    if (watch) {
        monitor_runner_destroy(watch->runner);
        free(watch);
    }
}
