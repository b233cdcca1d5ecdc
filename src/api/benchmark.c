// The guide's metrics and a user's own parallel benchmark, behind the public header.
#include "api/api.h"

#include "agent/benchmark.h"
#include "os/clock.h"
#include "os/thread.h"

struct PwBench {
    const PwBenchmarkOptions *options;
    PwBenchFn *body;
    void *arg;
    Counter *tickets;
    Hist latency_ns;
    uint64_t errors;
    int64_t start_ns; // of the measurement
    int64_t began_ns; // of the request under way; 0: none
    bool failed;      // the request under way
    int rc;
};

static int64_t now(void)
{
    return clock_now(clock_real());
}

static int fill_metrics(PwMetrics *theirs, const BenchmarkMetrics *m, PwError *error)
{
    PwMetrics metrics = {
        .size = theirs->size,
        .requests_per_second = m->requests_per_second,
        .average_latency_ns = m->average_latency_ns,
        .p95_latency_ns = m->p95_latency_ns,
        .p99_latency_ns = m->p99_latency_ns,
        .error_rate = m->error_rate,
        .memory_bytes = m->memory_bytes,
        .gc_pauses = m->gc_pauses,
        .active_fibers = m->active_fibers,
        .requests = m->requests,
        .errors = m->errors,
        .duration_ns = m->duration_ns,
    };
    if (metrics.size < sizeof metrics.size || metrics.size > sizeof metrics) {
        Err e = {0};
        int rc = err_set(&e, ERR_ARG, "the size of the metrics is wrong: use PW_METRICS_INIT");
        return api_error(error, &e, rc);
    }
    memcpy(theirs, &metrics, metrics.size);
    return 0;
}

int pw_benchmark(PwRunner *runner, const PwBenchmarkOptions *options, PwMetrics *ret_metrics,
                 PwError *error)
{
    PwBenchmarkOptions o;
    int rc = api_options(&o, sizeof o, options, error);
    if (rc != 0) {
        return rc;
    }
    BenchmarkOptions ours = {
        .runner = api_runner(runner),
        .agent = slice_from_cstr(o.agent),
        .data = {o.data, o.data ? o.data_length : 0},
        .users = o.users,
        .requests = o.requests,
        .duration_ns = o.duration_ns,
        .collections = assembly_collections,
        .collections_arg = api_assembly(runner),
    };
    BenchmarkMetrics metrics;
    Err e = {0};
    if ((rc = benchmark_run(&ours, &metrics, &e)) != 0) {
        return api_error(error, &e, rc);
    }
    rc = fill_metrics(ret_metrics, &metrics, error);
    benchmark_metrics_done(&metrics);
    return rc;
}

// ---- a body of the user's own

int pw_bench_next(PwBench *bench)
{
    const PwBenchmarkOptions *o = bench->options;
    int64_t at = now();
    if (bench->began_ns != 0) {
        if (bench->failed) {
            bench->errors++;
        } else {
            hist_record(&bench->latency_ns, at - bench->began_ns);
        }
    }
    bench->began_ns = 0;
    bench->failed = false;
    if (o->duration_ns > 0 && at - bench->start_ns >= o->duration_ns) {
        return 0;
    }
    if (o->requests > 0 && (uint64_t)counter_add(bench->tickets, 1) > o->requests) {
        return 0;
    }
    bench->began_ns = now();
    return 1;
}

void pw_bench_error(PwBench *bench)
{
    bench->failed = true;
}

void pw_bench_reset_timer(PwBench *bench)
{
    hist_reset(&bench->latency_ns);
    bench->errors = 0;
    bench->began_ns = 0;
    bench->start_ns = now();
}

void *pw_bench_arg(const PwBench *bench)
{
    return bench->arg;
}

static void run_body(void *arg)
{
    PwBench *bench = arg;
    bench->rc = bench->body(bench);
}

static int check_parallel(const PwBenchmarkOptions *o, PwBenchFn *body, Err *e)
{
    if (!body || (o->requests == 0 && o->duration_ns <= 0)) {
        return err_set(e, ERR_ARG,
                       "a benchmark needs a body, and a number of requests or a duration");
    }
    enum { THREADS_MAX = 1000 };
    return o->users <= THREADS_MAX ? 0
                                   : err_set(e, ERR_ARG, "%u threads are more than the limit of %d",
                                             o->users, THREADS_MAX);
}

int pw_benchmark_parallel(PwRunner *runner, const PwBenchmarkOptions *options, PwBenchFn *body,
                          void *arg, PwMetrics *ret_metrics, PwError *error)
{
    PwBenchmarkOptions o;
    Err e = {0};
    int rc = api_options(&o, sizeof o, options, error);
    if (rc != 0) {
        return rc;
    }
    if ((rc = check_parallel(&o, body, &e)) != 0) {
        return api_error(error, &e, rc);
    }
    unsigned users = o.users > 0 ? o.users : 1, started = 0;
    PwBench *benches = mem_zalloc(users * sizeof *benches);
    Thread **threads = mem_zalloc(users * sizeof *threads);
    Counter tickets;
    counter_init(&tickets, 0);
    BenchmarkMetrics metrics = {0};
    hist_init(&metrics.latency_ns);
    int64_t began_ns = now();
    for (; started < users && rc == 0; started += rc == 0) {
        PwBench *bench = &benches[started];
        *bench = (PwBench){
            .options = &o, .body = body, .arg = arg, .tickets = &tickets, .start_ns = began_ns};
        hist_init(&bench->latency_ns);
        rc = thread_start("benchmark", THREAD_ANY_CPU, run_body, bench, &threads[started], &e);
    }
    // The measurement begins where the last user said so (pw_bench_reset_timer).
    for (unsigned i = 0; i < started; i++) {
        thread_join(threads[i]);
        began_ns = benches[i].start_ns > began_ns ? benches[i].start_ns : began_ns;
        hist_merge(&metrics.latency_ns, &benches[i].latency_ns);
        hist_done(&benches[i].latency_ns);
        metrics.errors += benches[i].errors;
        rc = rc == 0 && benches[i].rc < 0
                 ? err_set(&e, (ErrCode)benches[i].rc, "the body returned %d", benches[i].rc)
                 : rc;
    }
    metrics.duration_ns = now() - began_ns;
    if (runner) {
        metrics.active_fibers = runner_counts(api_runner(runner)).fibers;
    }
    benchmark_summarise(&metrics);
    free(benches);
    free(threads);
    rc = rc != 0 ? api_error(error, &e, rc) : fill_metrics(ret_metrics, &metrics, error);
    benchmark_metrics_done(&metrics);
    return rc;
}
