// Engine: performs a plan. Threads, virtual users, executors, budgets, thresholds and the
// generator's own health; no files, no terminal, no ledger (load/session.h puts those around it).
//
//     EngineOptions options = {.plan = plan, .run_id = SLICE("01J..."), .hooks = hooks};
//     rc = engine_create(&options, &engine, e);
//     rc = engine_execute(engine, e);                  // setup, scenarios, teardown
//     const EngineResult *result = engine_result(engine);
//     engine_destroy(engine);
//
// A thread ("shard") is a loop, its fibers, its connections and its recorder; the first shard runs
// on the caller's thread inside engine_execute. VUs are split over the shards, arrivals striped.
// shared-iterations splits its iterations over the shards too.
//
// Stopping: engine_stop once lets running iterations finish (each scenario's gracefulStop) and
// starts no new ones; a second time cuts them. Teardown runs after the first kind of stop, whoever
// asked for it, and not after the second. engine_stop is for the caller's thread: a signal handler
// on options.loop, a hook, or a timer.
//
// Metrics are k6's with the labels of its system tags. Beyond k6: `name` is always the plan's name
// of the request and `url` equals it; dropped_iterations and iteration_lateness carry `cause`.
// Cookies are not kept between requests: a plan extracts what it needs (docs/internals/engine.md).
#ifndef LOAD_ENGINE_H
#define LOAD_ENGINE_H

#include "load/health.h"
#include "load/plan.h"
#include "net/http.h"
#include "telemetry/collector.h"

typedef struct Engine Engine;

enum { ENGINE_THREADS_MAX = 64 };

// Why new iterations stopped being started.
typedef enum EngineEnd {
    ENGINE_DONE,         // everything planned was done
    ENGINE_STOPPED,      // engine_stop
    ENGINE_THRESHOLD,    // a threshold with abortOnFail
    ENGINE_BUDGET,       // 100 % of a budget
    ENGINE_CEILING,      // duration_ns_max
    ENGINE_SETUP_FAILED, // a request of `setup`
    ENGINE_FAILED, // the generator itself: threads, file descriptors, ports, memory for fibers
} EngineEnd;

// Every second, for displays.
typedef struct EngineStatus {
    int64_t elapsed_ns; // since the scenarios began
    int64_t planned_ns; // without graceful stops
    bool stopping;
    bool open_model;               // some scenario has arrivals
    int64_t vus;                   // at work
    int64_t vus_max;               // initialised
    double offered_rate;           // iterations a second that were due in this interval
    double iteration_rate;         // completed in this interval
    double request_rate;           // of this interval
    double failed_rate;            // share of them
    double p50_ns, p95_ns, p99_ns; // http_req_duration of this interval; NaN: no requests
    int64_t requests;              // since the start
    int64_t failed;                //
    int64_t iterations;            //
    int64_t dropped;               //
} EngineStatus;

typedef struct EngineInterval {
    int64_t index;
    const Point *points;
    size_t point_count;
    const Collector *collector; // series and totals
    const EngineStatus *status;
} EngineInterval;

// All on the caller's thread; any may be NULL.
typedef struct EngineHooks {
    void *ctx;
    void (*on_series)(void *ctx, const SeriesInfo *series); // before its first point
    void (*on_interval)(void *ctx, const EngineInterval *interval);
    // kind "log", "threshold", "budget", "health", "stage"; one line of text
    void (*on_event)(void *ctx, int64_t at_ns, Slice kind, Slice text);
} EngineHooks;

// The seams to TLS, name resolution and guard rails of one shard's clients. Called once a shard, on
// the caller's thread, before the shard runs; `close` after it has ended.
typedef struct EngineNet {
    void *ctx;
    int (*open)(void *ctx, Loop *loop, HttpContextOptions *options, void **ret_handle, Err *e);
    void (*close)(void *ctx, void *handle);
    // Asked for each host a request is about to go to for the first time; any thread.
    int (*check_host)(void *ctx, Slice host, Err *e);
} EngineNet;

// A simulated world: what to do instead of http_client_do. In the VU's fiber.
typedef struct EngineTransport {
    void *ctx;
    int (*send)(void *ctx, HttpClient *client, const HttpRequest *request, HttpResponse *response,
                Err *e);
} EngineTransport;

typedef struct EngineOptions {
    const Plan *plan; // outlives the engine
    int threads;      // 0: 1
    bool pin;         // threads to CPUs, in order of the allowed set
    Loop *loop;       // of the first shard; NULL: the engine's own
    Slice run_id;     // value of plan->run_header
    EngineHooks hooks;
    const EngineNet *net;             // NULL: plain HTTP to numeric addresses and localhost
    const EngineTransport *transport; // NULL: the network
    int64_t duration_ns_max;          // 0: none; past it a graceful abort
    int64_t interval_ns;              // 0: 1 s
    int64_t spin_ns;                  // poll so long before an arrival is due; see LoopOptions
    size_t series_max;                // 0: RECORDER_SERIES_MAX
    bool no_setup, no_teardown, no_thresholds;
} EngineOptions;

typedef struct EngineThreshold {
    const PlanThreshold *threshold;
    double value; // k6's units
    bool has_data;
    bool ok;
    bool aborted; // this one ended the test
} EngineThreshold;

typedef struct EngineCheck {
    Slice name;
    int64_t passes;
    int64_t fails;
} EngineCheck;

typedef struct EngineResult {
    EngineEnd end;
    bool cut;            // a second stop: iterations were cut and teardown did not run
    Slice reason;        // one sentence; empty for ENGINE_DONE
    int64_t duration_ns; // from the first intended start to the last completion
    int64_t interval_count;
    int64_t iterations;
    int64_t interrupted; // iterations that were cut, no part of `iterations`
    int64_t dropped_generator;
    int64_t dropped_no_vu;
    int64_t dropped_other; // iterations that maxDuration left over
    int64_t requests;
    int64_t failed;
    int64_t bytes_sent;
    int64_t bytes_received;
    int64_t vus_max;
    double vu_hours;
    double cost; // in plan->budget.currency
    bool teardown_failed;
    Slice teardown_error;
    const EngineThreshold *thresholds;
    size_t threshold_count;
    bool thresholds_ok;
    HealthReport health;
} EngineResult;

// ERR_LIMIT, ERR_IO when threads, loops or fibers cannot be had, ERR_ARG for a bad option or a
// static URL that cannot be parsed, ERR_REFUSED by check_host.
MUST_USE int engine_create(const EngineOptions *options, Engine **ret_engine, Err *e);
// Runs to the end. 0 whenever the result is worth reading, also after an abort; an error when the
// generator could not start.
MUST_USE int engine_execute(Engine *engine, Err *e);
void engine_stop(Engine *engine);
const EngineResult *engine_result(const Engine *engine); // after engine_execute
const Collector *engine_collector(const Engine *engine);
Loop *engine_loop(const Engine *engine);
void engine_destroy(Engine *engine); // NULL is fine

// The plan at a share of its load, for the second retry after a failure of the generator: VU counts
// and rates times `scale` (0..1], at least 1.
const Plan *plan_scaled(Arena *arena, const Plan *plan, double scale);

#endif
