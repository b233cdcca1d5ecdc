// Whole runs in simulated time, into a real ledger in a temporary directory.
#include "load/load_test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "ledger/ledger.h"
#include "load/session.h"

#define SECONDS(n) ((int64_t)((n)*1e9))

typedef struct SessionWorld {
    LoadWorld w;
    char dir[64];
    char path[96];
    Ledger *ledger;
    SessionOptions options;
    Session *session;
    const SessionResult *result;
    int begins, ends;
} SessionWorld;

static void on_begin(void *ctx, const RunInfo *info)
{
    SessionWorld *s = ctx;
    assert_int_equal(strlen(info->id), RUN_ID_LEN);
    s->begins++;
}

static void on_output_interval(void *ctx, const EngineInterval *interval)
{
    SessionWorld *s = ctx;
    load_on_interval(&s->w, interval);
}

static void on_output_end(void *ctx, const RunInfo *info, const RunEnd *end)
{
    SessionWorld *s = ctx;
    (void)info;
    (void)end;
    s->ends++;
}

static void open_world(SessionWorld *s)
{
    *s = (SessionWorld){0};
    load_open(&s->w);
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/session_test.XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->path, sizeof s->path, "%s/ledger.db", s->dir);
    Err e = {0};
    int rc = ledger_open(&(LedgerOptions){.path = s->path}, &s->ledger, &e);
    if (rc != 0) {
        print_error("%s\n", e.text);
    }
    assert_int_equal(rc, 0);
    s->w.plan.canonical_json = SLICE("{\"name\":\"test\"}");
    s->w.scenarios[0].executor = EXECUTOR_CONSTANT_VUS;
    s->w.scenarios[0].vus = s->w.scenarios[0].max_vus = 2;
    s->w.scenarios[0].duration_ns = SECONDS(2.95);
    s->options = (SessionOptions){
        .plan = &s->w.plan,
        .ledger = s->ledger,
        .loop = s->w.loop,
        .transport = &s->w.transport,
        .version = SLICE("1"),
    };
}

static void run_world(SessionWorld *s)
{
    static SessionOutput output;
    output = (SessionOutput){
        .ctx = s, .begin = on_begin, .interval = on_output_interval, .end = on_output_end};
    s->options.outputs = &output;
    s->options.output_count = 1;
    s->session = session_create(&s->options);
    Err e = {0};
    int rc = session_run(s->session, &e);
    if (rc != 0) {
        print_error("%s\n", e.text);
    }
    assert_int_equal(rc, 0);
    s->result = session_result(s->session);
}

static void close_world(SessionWorld *s)
{
    session_destroy(s->session);
    ledger_close(s->ledger);
    loop_destroy(s->w.loop);
    arena_destroy(s->w.arena);
    char command[160];
    const char *files[] = {"ledger.db", "ledger.db-wal", "ledger.db-shm"};
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        (void)snprintf(command, sizeof command, "%s/%s", s->dir, files[i]);
        (void)unlink(command);
    }
    (void)rmdir(s->dir);
}

static const RunSeries *series(const RunData *run, MetricId metric)
{
    return run_series_find(run, metric_info(metric)->name, (Labels){0});
}

static void test_a_run_is_recorded_and_read_back(void **state)
{
    (void)state;
    SessionWorld s;
    open_world(&s);
    PlanThreshold t = {.key = SLICE("http_req_duration"), .metric = M_HTTP_REQ_DURATION};
    assert_int_equal(threshold_parse(SLICE("p(95)<50"), METRIC_TREND, &t.test, NULL), 0);
    s.w.plan.thresholds = &t;
    s.w.plan.threshold_count = 1;
    run_world(&s);
    assert_int_equal(s.result->end.status, RUN_COMPLETE);
    assert_true(s.result->recorded);
    assert_int_equal(s.result->attempts, 1);
    assert_int_equal(s.begins, 1);
    assert_int_equal(s.ends, 1);
    RunData *run;
    Err e = {0};
    int rc = run_load(s.ledger, (Slice){s.result->info.id, RUN_ID_LEN}, s.w.arena, &run, &e);
    assert_int_equal(rc, 0);
    assert_int_equal(run->end.status, RUN_COMPLETE);
    assert_int_equal(run->end.duration_ns, SECONDS(3));
    assert_int_equal(series(run, M_HTTP_REQS)->total.count, 60);
    assert_int_equal(series(run, M_HTTP_REQ_DURATION)->total.hist->count, 60);
    assert_int_equal(series(run, M_HTTP_REQ_DURATION)->total.hist->max, 100 * NS_PER_MS);
    assert_int_equal(doc_get(run->summary, SLICE("iterations"))->integer, 60);
    assert_false(doc_get(doc_at(run->thresholds, 0), SLICE("ok"))->boolean);
    assert_true(doc_get(run->health, SLICE("valid"))->boolean);
    assert_non_null(doc_get(run->environment, SLICE("kernel")));
    run_data_done(run);
    close_world(&s);
}

static void stop_once(LoadWorld *w, const EngineInterval *interval)
{
    SessionWorld *s = CONTAINER_OF(w, SessionWorld, w);
    if (interval->index == 0) {
        session_stop(s->session);
    }
}

static void test_a_stopped_run_is_partial(void **state)
{
    (void)state;
    SessionWorld s;
    open_world(&s);
    s.w.on_interval = stop_once;
    run_world(&s);
    assert_int_equal(s.result->end.status, RUN_PARTIAL);
    assert_true(s.result->end.reason.len > 0);
    assert_true(s.result->recorded);
    close_world(&s);
}

// Once more at full load, then at half; each attempt is a run of its own.
static void test_a_failing_generator_is_retried_and_then_halved(void **state)
{
    (void)state;
    SessionWorld s;
    open_world(&s);
    s.w.error_rc = ERR_LIMIT;
    s.w.error_code = NET_DIAL_ERRNO;
    s.w.sent_nothing = true;
    run_world(&s);
    assert_int_equal(s.result->attempts, SESSION_ATTEMPTS);
    assert_int_equal(s.begins, 3);
    assert_true(s.result->info.load_scale == 0.5);
    assert_int_equal(s.result->end.status, RUN_ABORTED);
    RunListItem *items;
    size_t count;
    assert_int_equal(run_list(s.ledger, &(RunFilter){0}, s.w.arena, &items, &count, NULL), 0);
    assert_int_equal(count, 3);
    close_world(&s);
}

static void test_without_a_ledger_the_numbers_are_kept(void **state)
{
    (void)state;
    SessionWorld s;
    open_world(&s);
    s.options.ledger = NULL;
    run_world(&s);
    assert_false(s.result->recorded);
    assert_int_equal(s.result->end.status, RUN_COMPLETE);
    RunData *run = session_run_data(s.session, s.w.arena);
    assert_int_equal(series(run, M_HTTP_REQS)->total.count, 60);
    assert_int_equal(doc_get(run->summary, SLICE("requests"))->integer, 60);
    assert_int_equal(run->interval_count, 1);
    assert_int_equal(run->merged, s.w.intervals);
    assert_int_equal(series(run, M_HTTP_REQS)->points[0].point.count, 60);
    close_world(&s);
}

static void test_a_ceiling_aborts_and_keeps_what_ran(void **state)
{
    (void)state;
    SessionWorld s;
    open_world(&s);
    s.options.duration_ns_max = SECONDS(0.95);
    run_world(&s);
    assert_int_equal(s.result->end.status, RUN_ABORTED);
    assert_int_equal(s.result->engine->iterations, 20);
    assert_true(s.result->recorded);
    close_world(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_is_recorded_and_read_back),
        cmocka_unit_test(test_a_stopped_run_is_partial),
        cmocka_unit_test(test_a_failing_generator_is_retried_and_then_halved),
        cmocka_unit_test(test_without_a_ledger_the_numbers_are_kept),
        cmocka_unit_test(test_a_ceiling_aborts_and_keeps_what_ran),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
