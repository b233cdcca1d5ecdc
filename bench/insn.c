// Runs one hot path N times, so that bench/insn can count its instructions with callgrind: the
// difference between N and 2N divided by N has no start-up in it and is the same from run to run.
//
//     bench_insn hist_record 10000
#include "base/rng.h"
#include "load/schedule.h"
#include "load/template.h"
#include "net/http1.h"
#include "policy/call.h"
#include "stat/hist.h"
#include "telemetry/recorder.h"

enum { VALUES = 512 };

static void fill(int64_t *values)
{
    Rng rng = rng_stream(1, SLICE("insn"), 0);
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = (int64_t)rng_lognormal(&rng, 13.0, 0.5); // about half a millisecond
    }
}

static void run_hist_record(int64_t n)
{
    int64_t values[VALUES];
    fill(values);
    Hist hist;
    hist_init(&hist);
    for (int64_t i = 0; i < n; i++) {
        hist_record(&hist, values[i % VALUES]);
    }
    hist_done(&hist);
}

static void run_recorder_trend(int64_t n)
{
    int64_t values[VALUES];
    fill(values);
    Recorder *recorder = recorder_create(&(RecorderOptions){0});
    const Label label = {SLICE("name"), SLICE("search")};
    RecorderSeries *series = recorder_series(recorder, M_HTTP_REQ_DURATION, &label, 1);
    for (int64_t i = 0; i < n; i++) {
        recorder_trend(series, values[i % VALUES]);
    }
    recorder_destroy(recorder);
}

static void run_http1_response(int64_t n)
{
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n"
        "Date: Sat, 01 Jan 2028 00:00:00 GMT\r\nContent-Type: text/html\r\n"
        "Content-Length: 16\r\nLast-Modified: Sat, 01 Jan 2028 00:00:00 GMT\r\n"
        "Connection: keep-alive\r\nETag: \"6593-264\"\r\n"
        "Accept-Ranges: bytes\r\n\r\n0123456789abcdef";
    HttpHead head = http_head_create(NULL);
    for (int64_t i = 0; i < n; i++) {
        http_head_reset(&head);
        Http1Parser parser;
        http1_parser_init(&parser, HTTP1_RESPONSE, &head);
        size_t used = 0;
        if (http1_parse(&parser, SLICE(answer), &used, NULL) != 0 || !http1_done(&parser)) {
            die("the answer was not understood");
        }
    }
    http_head_done(&head);
}

static void run_schedule_next(int64_t n)
{
    Arena *arena = arena_create(1 << 20);
    const PlanStage stages[] = {{INT64_C(3600000000000), 100000}};
    const PlanScenario scenario = {.name = SLICE("insn"),
                                   .executor = EXECUTOR_RAMPING_ARRIVAL_RATE,
                                   .start_rate = 10000,
                                   .time_unit_ns = INT64_C(1000000000),
                                   .stages = stages,
                                   .stage_count = 1,
                                   .duration_ns = INT64_C(3600000000000)};
    Schedule *schedule = schedule_create(arena, &scenario, 1);
    ScheduleCursor cursor = schedule_cursor(schedule, 0, 1);
    int64_t index, start_ns;
    for (int64_t i = 0; i < n && schedule_next(&cursor, &index, &start_ns); i++) {
    }
    arena_destroy(arena);
}

static void run_template_render(int64_t n)
{
    Arena *arena = arena_create(1 << 20);
    Template url;
    Err e;
    if (template_compile(arena, SLICE("/products/${random(0,3999)}?user=${vu}&i=${iteration}"),
                         NULL, &url, &e) != 0) {
        die("%s", e.text);
    }
    Rng rng = rng_stream(1, SLICE("insn"), 0);
    TemplateScope scope = {.vu = 17, .rng = &rng};
    Buf out = buf_create(4096);
    for (int64_t i = 0; i < n; i++) {
        scope.iteration = i;
        buf_reset(&out);
        template_render(&url, &scope, &out);
    }
    buf_done(&out);
    arena_destroy(arena);
}

// A call with deadline, retries and their budget that succeeds at the first attempt.
static void run_call_step(int64_t n)
{
    ParamValue values[POLICY_PARAM_COUNT];
    policy_defaults(values);
    values[P_TIMEOUT_CALL].integer = NS_PER_SECOND;
    values[P_RETRY_ATTEMPTS].integer = 3;
    PolicyShape shape = policy_shape(values);
    PolicyBlock *block = mem_alloc(policy_bytes(&shape));
    policy_init(block, &shape, values, 1, 0);
    CallState call = {0};
    CallActions todo;
    CallOptions options = {.handle = 1};
    for (int64_t i = 0; i < n; i++) {
        options.task = (uint64_t)i;
        call_step(block, &call, &(CallEvent){.kind = CALL_START, .start = &options}, i, &todo);
        call_step(block, &call, &(CallEvent){.kind = CALL_ATTEMPT_DONE}, i + 1, &todo);
    }
    free(block);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(int64_t n);
    } paths[] = {
        {"hist_record", run_hist_record},         {"recorder_trend", run_recorder_trend},
        {"http1_response", run_http1_response},   {"schedule_next", run_schedule_next},
        {"template_render", run_template_render}, {"call_step", run_call_step},
    };
    int64_t n = 0;
    for (size_t i = 0; argc == 3 && i < COUNT_OF(paths); i++) {
        if (strcmp(argv[1], paths[i].name) == 0 &&
            slice_to_i64(slice_from_cstr(argv[2]), &n) == 0) {
            paths[i].run(n);
            return 0;
        }
    }
    (void)fprintf(stderr, "usage: bench_insn PATH COUNT; paths:");
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        (void)fprintf(stderr, " %s", paths[i].name);
    }
    (void)fputc('\n', stderr);
    return 2;
}
