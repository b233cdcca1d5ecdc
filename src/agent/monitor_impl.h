// The parts of a Monitor; for monitor*.c.
#ifndef AGENT_MONITOR_IMPL_H
#define AGENT_MONITOR_IMPL_H

#include "agent/monitor.h"
#include "net/server.h"
#include "os/jobs.h"
#include "os/thread.h"
#include "telemetry/live.h"

struct Monitor {
    MonitorOptions options;
    Arena *arena; // the options' texts
    MonitorSource sources[MONITOR_SOURCES_MAX];
    size_t source_count;
    uint16_t port;
    int64_t start_wall_ns;

    Thread *thread;
    Loop *loop;
    FiberPool *pool;
    JobPool *jobs;
    HttpServer *server;
    bool started;

    // Collector and live numbers are filled by a job; one fiber at a time may be inside.
    Collector *collector;
    Live *live;
    FiberQueue waiting;
    bool busy;
    int64_t busy_since_ns;
    bool profiling_cpu; // a CPU profile is being taken
    bool sampling_heap;

    // Export; NULL without an endpoint.
    OtlpExporter *otlp;
    Url endpoint;
    HttpOrigin origin;
    HttpContext *http;
    HttpClient *client;
    Span *spans; // OTLP_BATCH_SPANS of them
    int64_t metrics_due_ns;
};

// Brings the collector up to date and keeps others out until monitor_unlock. In a fiber of the
// monitor. ERR_CANCELLED, ERR_FULL: not locked.
MUST_USE int monitor_collect(Monitor *m);
// The same without collecting.
MUST_USE int monitor_lock(Monitor *m);
void monitor_unlock(Monitor *m);

// The handler of its HTTP server.
void monitor_handle(void *ctx, const HttpServerRequest *request, HttpReply *reply);
// The fiber that ends intervals and exports.
void monitor_export(void *arg);
// Once more before the end, for at most a moment. In a fiber.
void monitor_export_now(Monitor *m);

#endif
