// A process with a monitor for test/monitor_test.py: monitor_sample [OTLP-ENDPOINT] prints the
// port and lives until its input ends. Every metric of the table has a value, there are two spans,
// one inside the other, and memory is allocated in keep_memory.
#include <unistd.h>

#include "agent/monitor.h"

enum { BLOCKS = 512, BLOCK_BYTES = 64 << 10 };

static void collect(void *ctx, Collector *collector)
{
    (void)ctx;
    static const char *const statuses[] = {"success", "error"};
    Hist h;
    hist_init(&h);
    for (MetricId id = 0; id < METRIC_COUNT; id++) {
        // A counter of a process' CPU time and its memory are the monitor's own.
        if (id == M_PROCESS_CPU || id == M_PROCESS_MEMORY) {
            continue;
        }
        for (size_t i = 0; i < COUNT_OF(statuses); i++) {
            const Label labels[] = {{SLICE("agent_name"), SLICE("pl\"an\\ner\n")},
                                    {SLICE("gen_ai.operation.name"), SLICE("chat")},
                                    {SLICE("status"), slice_from_cstr(statuses[i])}};
            Point p = {.count = 3, .trues = 2, .last = 0.5, .hist = &h};
            hist_reset(&h);
            hist_record_n(&h, 70 * NS_PER_MS, 2);
            hist_record_n(&h, 3 * NS_PER_S, 1);
            collector_set(collector, id, (Labels){labels, 3}, &p);
        }
    }
    hist_done(&h);
}

__attribute__((noinline)) static void keep_memory(void *blocks[BLOCKS])
{
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = mem_alloc(BLOCK_BYTES);
    }
}

static void make_spans(SpanQueue *queue)
{
    Tracer tracer;
    Span parent, child;
    int64_t now = clock_wall(clock_real());
    tracer_init(&tracer, queue, 1, 42, 0);
    span_begin(&tracer, &parent, NULL, SPAN_CONSUMER, SLICE("invoke_agent planner"), now);
    span_begin(&tracer, &child, &parent.context, SPAN_CLIENT, SLICE("chat model-x"), now + 1000);
    span_text(&child, SLICE("gen_ai.operation.name"), SLICE("chat"));
    span_int(&child, SLICE("gen_ai.usage.input_tokens"), INT64_C(9007199254740993));
    span_double(&child, SLICE("gen_ai.request.temperature"), 0.25);
    span_bool(&child, SLICE("gen_ai.request.stream"), true);
    span_end(&tracer, &child, now + 5000, SPAN_ERROR);
    span_end(&tracer, &parent, now + 9000, SPAN_OK);
}

int main(int argc, char **argv)
{
    static void *blocks[BLOCKS];
    char byte;
    Err e = {0};
    SpanQueue *spans = span_queue_create(0);
    MonitorOptions options = {.profiling = true,
                              .interval_ns = 200 * NS_PER_MS,
                              .service = SLICE("sample"),
                              .version = SLICE("1.2.3"),
                              .otlp_endpoint = slice_from_cstr(argc > 1 ? argv[1] : ""),
                              .spans = spans};
    Monitor *monitor = NULL;
    make_spans(spans);
    if (monitor_create(&options, &monitor, &e) != 0 ||
        monitor_add(monitor, &(MonitorSource){.collect = collect}, &e) != 0 ||
        monitor_start(monitor, &e) != 0) {
        (void)fprintf(stderr, "%s\n", e.text);
        monitor_stop(monitor);
        return 1;
    }
    keep_memory(blocks);
    (void)printf("%u\n", monitor_port(monitor));
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    monitor_stop(monitor);
    span_queue_destroy(spans);
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    return 0;
}
