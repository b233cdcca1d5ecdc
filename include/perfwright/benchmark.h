/* Measuring agents: the eight figures of the tuning guide, and a user's own parallel benchmark.
 *
 *     static int one(PwBench *bench)
 *     {
 *         while (pw_bench_next(bench)) {
 *             if (pw_runner_emit(runner, &event, NULL) != 0) {
 *                 pw_bench_error(bench);
 *             }
 *         }
 *         return 0;
 *     }
 *     PwBenchmarkOptions options = PW_BENCHMARK_OPTIONS_INIT;
 *     PwMetrics metrics = PW_METRICS_INIT;
 *     options.users = 4; options.requests = 100000;
 *     rc = pw_benchmark_parallel(runner, &options, one, NULL, &metrics, &error);
 *
 * The guide's BenchmarkAgentExecution is examples/agent_c/benchmark.c. */
#ifndef PERFWRIGHT_BENCHMARK_H
#define PERFWRIGHT_BENCHMARK_H

#include <perfwright/agent.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct PwBenchmarkOptions {
    size_t size;
    unsigned users;       /* concurrent; 0: 1 */
    uint64_t requests;    /* in all; 0: as many as the duration allows */
    int64_t duration_ns;  /* 0: as long as the requests take */
    const char *agent;    /* pw_benchmark: who is called */
    const char *data;     /* pw_benchmark: with what; NULL: {"query": "What is ..."} of the guide */
    size_t data_length;
} PwBenchmarkOptions;
#define PW_BENCHMARK_OPTIONS_INIT {sizeof(PwBenchmarkOptions), 1, 0, 0, NULL, NULL, 0}

/* The guide's PerformanceMetrics. Latencies are of requests that ended well. */
typedef struct PwMetrics {
    size_t size;
    double requests_per_second;
    int64_t average_latency_ns;
    int64_t p95_latency_ns;
    int64_t p99_latency_ns;
    double error_rate;      /* 0..1 */
    uint64_t memory_bytes;  /* resident, of the process */
    uint64_t gc_pauses;     /* collections of JavaScript heaps while it ran */
    uint64_t active_fibers; /* the counterpart of goroutines, at the end of the measurement */
    uint64_t requests;
    uint64_t errors;
    int64_t duration_ns;
} PwMetrics;
#define PW_METRICS_INIT {sizeof(PwMetrics), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* Calls one agent, each user as soon as its last answer came (a closed model). */
PW_API int pw_benchmark(PwRunner *runner, const PwBenchmarkOptions *options, PwMetrics *ret_metrics,
                        PwError *error);

/* ---- a benchmark of one's own: `body` runs once on each of `users` threads */

typedef struct PwBench PwBench;
typedef int PwBenchFn(PwBench *bench);

PW_API int pw_benchmark_parallel(PwRunner *runner, const PwBenchmarkOptions *options,
                                 PwBenchFn *body, void *arg, PwMetrics *ret_metrics,
                                 PwError *error);
/* Ends the request that was under way, if any, and begins the next one. 0: it is over. */
PW_API int pw_bench_next(PwBench *bench);
PW_API void pw_bench_error(PwBench *bench); /* the request under way failed */
/* What happened so far does not count: call it before the first pw_bench_next. */
PW_API void pw_bench_reset_timer(PwBench *bench);
PW_API void *pw_bench_arg(const PwBench *bench);

#ifdef __cplusplus
}
#endif
#endif
