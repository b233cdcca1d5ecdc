/* The tuning guide's BenchmarkAgentExecution: one's own parallel benchmark of an agent.
 *
 *     cc -o benchmark benchmark.c $(pkg-config --cflags --libs perfwright)
 *     ./benchmark            # 4 threads, 100,000 events
 *     ./benchmark 1 5000     # 1 thread, 5,000 events */
#include <perfwright/agent.h>
#include <perfwright/benchmark.h>

#include <stdio.h>
#include <stdlib.h>

static int run_test_agent(PwContext *ctx, const PwEvent *event, PwState *state)
{
    (void)event;
    pw_state_set_text(state, "answer", "Paris", 5);
    return pw_reply(ctx, "\"Paris\"", 7);
}

/* b.RunParallel(func(pb) { for pb.Next() { runner.Emit(event) } }) */
static int emit_events(PwBench *bench)
{
    PwRunner *runner = pw_bench_arg(bench);
    PwEventOptions event = PW_EVENT_OPTIONS_INIT;
    event.target = "test";
    event.type = "test_query";
    event.data = "{\"query\": \"What is the capital of France?\"}";
    event.data_length = 43;
    pw_bench_reset_timer(bench);
    while (pw_bench_next(bench)) {
        if (pw_runner_emit(runner, &event, NULL) != 0) {
            pw_bench_error(bench);
        }
    }
    return 0;
}

static void print_metrics(const char *what, const PwMetrics *m)
{
    printf("%s\n", what);
    printf("  RequestsPerSecond  %.0f\n", m->requests_per_second);
    printf("  AverageLatency     %.1f us\n", (double)m->average_latency_ns / 1e3);
    printf("  P95Latency         %.1f us\n", (double)m->p95_latency_ns / 1e3);
    printf("  P99Latency         %.1f us\n", (double)m->p99_latency_ns / 1e3);
    printf("  ErrorRate          %.3f %%\n", m->error_rate * 100);
    printf("  MemoryUsage        %.1f MiB\n", (double)m->memory_bytes / 1048576);
    printf("  GCPauses           %llu\n", (unsigned long long)m->gc_pauses);
    printf("  ActiveGoroutines   %llu\n", (unsigned long long)m->active_fibers);
}

int main(int argc, char **argv)
{
    PwRunner *runner = NULL;
    PwError error = PW_ERROR_INIT;
    PwAgentOptions agent = PW_AGENT_OPTIONS_INIT;
    PwBenchmarkOptions options = PW_BENCHMARK_OPTIONS_INIT;
    PwMetrics metrics = PW_METRICS_INIT;
    int rc = 1;
    agent.name = "test";
    agent.run = run_test_agent;
    options.users = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 4;
    options.requests = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
    options.agent = "test";
    if (pw_runner_create(NULL, &runner, &error) != 0 ||
        pw_runner_register(runner, &agent, &error) != 0 || pw_runner_start(runner, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        goto done;
    }
    if (pw_benchmark(runner, &options, &metrics, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        goto done;
    }
    print_metrics("calling", &metrics);
    if (pw_benchmark_parallel(runner, &options, emit_events, runner, &metrics, &error) != 0) {
        fprintf(stderr, "%s\n", error.text);
        goto done;
    }
    print_metrics("emitting", &metrics);
    rc = 0;
done:
    pw_runner_destroy(runner);
    return rc;
}
