// Benchmark: how fast agents answer. Each of N users sends its next request as soon as its last one
// was answered (a closed model, as the tuning guide's tool has it), for a number of requests or for
// a time, and the guide's eight figures come out.
//
//     BenchmarkMetrics metrics;
//     rc = benchmark_run(&(BenchmarkOptions){.runner = runner, .agent = SLICE("planner"),
//                        .users = 10, .requests = 1000}, &metrics, e);
//     benchmark_metrics_done(&metrics);
//
// The calling thread waits; the users' work happens on the runner's shards.
#ifndef AGENT_BENCHMARK_H
#define AGENT_BENCHMARK_H

#include "agent/runner.h"
#include "base/json_write.h"

typedef struct BenchmarkOptions {
    Runner *runner; // started
    Slice agent;
    Slice type;
    Slice data;          // of each request; empty: the guide's question
    unsigned users;      // 0: 1
    uint64_t requests;   // in all; 0: as many as the duration allows
    int64_t duration_ns; // 0: as long as the requests take
    int64_t timeout_ns;  // of one request; 0: the runner's
    // Collections of JavaScript heaps so far; NULL: none are counted.
    uint64_t (*collections)(void *arg);
    void *collections_arg;
} BenchmarkOptions;

enum { BENCHMARK_USERS_MAX = 100000 };

// The guide's PerformanceMetrics, with what they were computed from.
typedef struct BenchmarkMetrics {
    double requests_per_second; // that ended well
    int64_t average_latency_ns; // of requests that ended well
    int64_t p50_latency_ns;
    int64_t p95_latency_ns;
    int64_t p99_latency_ns;
    double error_rate; // 0..1
    uint64_t memory_bytes;
    uint64_t gc_pauses;
    uint64_t active_fibers; // most that were seen alive
    uint64_t requests, errors;
    uint64_t items; // pieces that were streamed
    int64_t duration_ns;
    char first_error[128]; // "" without one
    Hist latency_ns;
} BenchmarkMetrics;

// ERR_NOT_FOUND (no such agent), ERR_ARG, ERR_CLOSED (the runner is not running).
MUST_USE int benchmark_run(const BenchmarkOptions *options, BenchmarkMetrics *ret_metrics, Err *e);
void benchmark_metrics_done(BenchmarkMetrics *metrics);

// Fills everything but gc_pauses and active_fibers from the latencies, errors and duration.
void benchmark_summarise(BenchmarkMetrics *metrics);
// The guide's names: "RequestsPerSecond", "AverageLatency", ...
void benchmark_write_json(const BenchmarkMetrics *metrics, JsonWriter *w);
void benchmark_write_text(const BenchmarkMetrics *metrics, Buf *out);

// What the guide's example asks.
#define BENCHMARK_QUESTION "{\"query\":\"What is the capital of France?\"}"

#endif
