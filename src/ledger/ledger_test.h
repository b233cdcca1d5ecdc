// What the tests of this room share: a ledger in a directory of its own, and a small run.
#ifndef LEDGER_LEDGER_TEST_H
#define LEDGER_LEDGER_TEST_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "ledger/run.h"
#include "os/file.h"

typedef struct Sandbox {
    char dir[64];
    char path[96];
    Arena *arena;
    Err e;
} Sandbox;

// Every sandbox is a new directory under $TMPDIR or /tmp.
static inline int sandbox_setup(void **state)
{
    Sandbox *box = mem_zalloc(sizeof *box);
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(box->dir, sizeof box->dir, "%.40s/ledger.XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
    assert_non_null(mkdtemp(box->dir));
    (void)snprintf(box->path, sizeof box->path, "%s/ledger.db", box->dir);
    box->arena = arena_create(256 << 20);
    *state = box;
    return 0;
}

static inline int sandbox_teardown(void **state)
{
    Sandbox *box = *state;
    arena_destroy(box->arena);
    assert_int_equal(dir_remove_all(box->dir, &box->e), 0);
    free(box);
    return 0;
}

#define assert_ok(box, rc)                                                                         \
    do {                                                                                           \
        int rc_ = (rc);                                                                            \
        if (rc_ != 0) {                                                                            \
            fail_msg("%s: %s", err_name(rc_), (box)->e.text);                                      \
        }                                                                                          \
    } while (0)

static inline Ledger *sandbox_open(Sandbox *box)
{
    Ledger *ledger = NULL;
    assert_ok(box, ledger_open(&(LedgerOptions){.path = box->path}, &ledger, &box->e));
    return ledger;
}

static inline RunInfo sample_info(const char *name)
{
    return (RunInfo){.kind = SLICE("loadtest"),
                     .name = slice_from_cstr(name),
                     .target = SLICE("local http://127.0.0.1:8080"),
                     .plan_json = SLICE("{\"vus\":5}"),
                     .plan_sha256 = SLICE("00"),
                     .seed = UINT64_MAX,
                     .environment_json = SLICE("{\"cpu\":\"x\"}")};
}

enum { S_REQS, S_FAILED, S_DURATION, S_VUS, S_COUNT };

static inline void declare_sample_series(RunWriter *w)
{
    static const Label LOGIN[] = {{SLICE_INIT("name"), SLICE_INIT("login")}};
    const SeriesInfo series[] = {
        {S_REQS, METRIC_COUNTER, METRIC_UNIT_NONE, SLICE("http_reqs"), {LOGIN, 1}},
        {S_FAILED, METRIC_RATE, METRIC_UNIT_NONE, SLICE("http_req_failed"), {LOGIN, 1}},
        {S_DURATION, METRIC_TREND, METRIC_UNIT_TIME, SLICE("http_req_duration"), {LOGIN, 1}},
        {S_VUS, METRIC_GAUGE, METRIC_UNIT_NONE, SLICE("vus"), {NULL, 0}},
    };
    for (size_t i = 0; i < COUNT_OF(series); i++) {
        run_declare_series(w, &series[i]);
    }
}

// Interval i: 100 requests, i % 3 failed, latencies i ms .. i + 99 ms, gauge i.
enum { SAMPLE_REQUESTS = 100 };
static inline void write_sample_interval(RunWriter *w, int64_t i)
{
    Hist h;
    hist_init(&h);
    for (int64_t k = 0; k < SAMPLE_REQUESTS; k++) {
        hist_record(&h, (i + k) * 1000000);
    }
    const Point points[] = {
        {.series = S_REQS, .count = SAMPLE_REQUESTS},
        {.series = S_FAILED, .count = SAMPLE_REQUESTS, .trues = i % 3},
        {.series = S_DURATION, .count = SAMPLE_REQUESTS, .hist = &h},
        {.series = S_VUS, .count = 1, .last = (double)i, .min = (double)i, .max = (double)i},
    };
    run_interval(w, i, points, COUNT_OF(points));
    hist_done(&h);
}

static inline void write_sample_run(Sandbox *box, Ledger *ledger, const char *name,
                                    int64_t intervals, char ret_id[RUN_ID_LEN + 1])
{
    RunInfo info = sample_info(name);
    RunWriter *w = NULL;
    assert_ok(box, run_create(ledger, &info, &w, &box->e));
    memcpy(ret_id, info.id, sizeof info.id);
    declare_sample_series(w);
    for (int64_t i = 0; i < intervals; i++) {
        write_sample_interval(w, i);
    }
    run_event(w, 5, SLICE("log"), SLICE("half way \"there\""));
    assert_ok(box, run_finish(w,
                              &(RunEnd){.status = RUN_COMPLETE,
                                        .duration_ns = intervals * 1000000000,
                                        .health_json = SLICE("{\"ok\":true}"),
                                        .thresholds_json = SLICE("[]"),
                                        .summary_json = SLICE("{\"b\":1,\"a\":0.5}")},
                              &box->e));
}

#endif
