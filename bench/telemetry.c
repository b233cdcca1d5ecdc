// What telemetry and profiling cost: nanoseconds a record, and the share of CPU time that a profile
// at 99 Hz takes from a loop, both measured in turns in one run.
//
//     bench_telemetry [rounds]
#include <stdio.h>

#include "os/clock.h"
#include "prof/profiler.h"
#include "telemetry/recorder.h"
#include "telemetry/span.h"

enum { RECORDS = 5000000, SPANS = 200000, ROUNDS = 5, SPIN = 400000000 };

static int64_t cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void show(const char *what, int64_t ns, int64_t count)
{
    (void)printf("%-44s %8.1f ns\n", what, (double)ns / (double)count);
}

static void records(Recorder *r)
{
    const Label labels[] = {{SLICE("agent_name"), SLICE("planner")},
                            {SLICE("status"), SLICE("success")}};
    RecorderSeries *trend = recorder_series(r, M_AGENT_REQUEST_DURATION, labels, 2);
    RecorderSeries *counter = recorder_series(r, M_AGENT_REQUESTS, labels, 2);
    uint64_t x = 1;
    int64_t begin = cpu_ns();
    for (int i = 0; i < RECORDS; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        recorder_trend(trend, 1000 + (int64_t)(x >> 48));
    }
    show("histogram record (random value included)", cpu_ns() - begin, RECORDS);
    begin = cpu_ns();
    for (int i = 0; i < RECORDS; i++) {
        recorder_count(counter, 1);
        __asm__ volatile("" ::: "memory");
    }
    show("counter record", cpu_ns() - begin, RECORDS);
}

static void spans(double ratio, const char *what)
{
    SpanQueue *queue = span_queue_create(0);
    Tracer tracer;
    Span root, child, taken;
    tracer_init(&tracer, queue, ratio, 1, 0);
    span_begin(&tracer, &root, NULL, SPAN_SERVER, SLICE("root"), 0);
    int64_t begin = cpu_ns(), drain_ns = 0;
    for (int i = 0; i < SPANS; i++) {
        span_begin(&tracer, &child, &root.context, SPAN_CLIENT, SLICE("chat model-x"), i);
        span_text(&child, SLICE("gen_ai.operation.name"), SLICE("chat"));
        span_text(&child, SLICE("gen_ai.request.model"), SLICE("model-x"));
        span_int(&child, SLICE("gen_ai.usage.input_tokens"), i);
        span_end(&tracer, &child, i + 1, SPAN_OK);
        if (i % 1024 == 0) {
            int64_t before = cpu_ns();
            while (span_queue_take(queue, &taken, 1) == 1) {
            }
            drain_ns += cpu_ns() - before;
        }
    }
    show(what, cpu_ns() - begin - drain_ns, SPANS);
    span_queue_destroy(queue);
}

static uint64_t spin(void)
{
    uint64_t x = 1;
    for (int i = 0; i < SPIN; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        __asm__ volatile("" : "+r"(x));
    }
    return x;
}

static int64_t profiled(ProfilerMethod method, Err *e)
{
    Profiler *profiler;
    ProfilerOptions options = {.kind = PROFILE_CPU, .method = method};
    if (profiler_start(&options, &profiler, e) != 0) {
        return -1;
    }
    int64_t begin = cpu_ns();
    (void)spin();
    int64_t took = cpu_ns() - begin; // the reader thread's time included
    profile_destroy(profiler_stop(profiler));
    return took;
}

// The smallest of the rounds: what disturbs only adds.
static void overhead(int rounds)
{
    static const char *const names[] = {"plain", "perf events", "signals"};
    int64_t best[3] = {NEVER_NS, NEVER_NS, NEVER_NS};
    Err e = {0};
    for (int i = 0; i < rounds; i++) {
        int64_t begin = cpu_ns();
        (void)spin();
        int64_t took[3] = {cpu_ns() - begin, profiled(PROFILER_PERF, &e),
                           profiled(PROFILER_SIGNAL, &e)};
        for (int k = 0; k < 3; k++) {
            best[k] = took[k] > 0 && took[k] < best[k] ? took[k] : best[k];
        }
    }
    for (int k = 1; k < 3; k++) {
        if (best[k] == NEVER_NS) {
            (void)printf("profile at %d Hz by %-20s not here: %s\n", PROFILER_HZ, names[k], e.text);
        } else {
            (void)printf("profile at %d Hz by %-24s %+8.2f %%\n", PROFILER_HZ, names[k],
                         100.0 * ((double)best[k] / (double)best[0] - 1));
        }
    }
}

int main(int argc, char **argv)
{
    int64_t rounds = ROUNDS;
    if (argc > 1 && (slice_to_i64(slice_from_cstr(argv[1]), &rounds) != 0 || rounds < 1)) {
        return 2;
    }
    Recorder *r = recorder_create(&(RecorderOptions){.shared = true});
    records(r);
    recorder_destroy(r);
    spans(0, "span below an unsampled parent");
    spans(1, "sampled span, three attributes");
    overhead((int)rounds);
    return 0;
}
