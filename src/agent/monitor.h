// Monitor: what one can ask a running agent system, over HTTP on the loopback address, and where it
// sends its telemetry.
//
//     /healthz                      200 "ok", or 503 with what is wrong
//     /metrics                      Prometheus text (telemetry/exposition.h)
//     /debug/live                   rates and percentiles of the last interval, JSON
//     /debug/graph                  the service graph, JSON; ?format=dot
//     /debug/pprof/profile          CPU, ?seconds=30&hz=99; one at a time
//     /debug/pprof/heap             sampled allocations since the start
//     /debug/pprof/goroutine        every fiber and where it waits
//     others                        JSON, where a source has such a page (/interface)
//
// The profiles are gzipped pprof; ?debug=1 makes text of them, ?format=svg a flame graph. Paths and
// parameters are those of Go's net/http/pprof, so `go tool pprof http://localhost:6060/...` works.
//
//     Monitor *monitor;
//     MonitorOptions options = {.port = 6060, .service = SLICE("planner"), .profiling = true};
//     rc = monitor_create(&options, &monitor, e);
//     monitor_add(monitor, &(MonitorSource){.collect = collect, .ctx = runner});
//     rc = monitor_start(monitor, e);
//     ...
//     monitor_stop(monitor);      // before what its sources look at goes away
//
// It has a thread of its own: a shard that hangs is still seen. Requests must name localhost, so
// that no web page can read through a name that was pointed here.
#ifndef AGENT_MONITOR_H
#define AGENT_MONITOR_H

#include "net/http.h"
#include "prof/profile.h"
#include "telemetry/collector.h"
#include "telemetry/otlp.h"

typedef struct Monitor Monitor;

// Called on a job thread of the monitor, never two at once; may wait for shards. NULL functions
// are left out.
typedef struct MonitorSource {
    void (*collect)(void *ctx, Collector *collector); // brings its totals up to date
    void (*fibers)(void *ctx, Profile *profile);      // adds its fibers
    bool (*healthy)(void *ctx, Buf *words);           // false: says what is wrong
    bool (*page)(void *ctx, Slice path, Buf *json);   // a page of its own; false: it has none there
    void *ctx;
} MonitorSource;

enum {
    MONITOR_SOURCES_MAX = 16,
    MONITOR_PORT = 6060,         // the guide's profile_port
    MONITOR_PROFILE_S_MAX = 300, // ?seconds=
    MONITOR_PROFILE_S_DEFAULT = 30,
};
#define MONITOR_INTERVAL_NS (10 * NS_PER_S) // the guide's metrics_interval

typedef struct MonitorOptions {
    uint16_t port;       // on 127.0.0.1; 0: any that is free
    bool no_metrics;     // no /metrics, /debug/live, /debug/graph
    bool profiling;      // /debug/pprof, and heap sampling from the start
    int64_t interval_ns; // of live numbers and of OTLP metrics; 0: MONITOR_INTERVAL_NS
    Slice service;       // service.name; empty: "perfwright"
    Slice version;
    // "http://127.0.0.1:4318"; empty: nothing is exported.
    Slice otlp_endpoint;
    SpanQueue *spans;            // what tracers fill; borrowed; NULL: no traces
    const NetResolver *resolver; // for the endpoint, on the monitor's loop; NULL: numeric only
    const TlsConnector *tls;     // for an https endpoint
    const ConnectFilter *filter; // asked about the endpoint's address
} MonitorOptions;

// ERR_ARG for an endpoint that is no URL.
MUST_USE int monitor_create(const MonitorOptions *options, Monitor **ret_monitor, Err *e);
// Before monitor_start. ERR_LIMIT past MONITOR_SOURCES_MAX.
MUST_USE int monitor_add(Monitor *monitor, const MonitorSource *source, Err *e);
// ERR_IO when the port is taken.
MUST_USE int monitor_start(Monitor *monitor, Err *e);
uint16_t monitor_port(const Monitor *monitor); // once started
// Ends the thread, after one last export of what waits, and frees. NULL is fine.
void monitor_stop(Monitor *monitor);

#endif
