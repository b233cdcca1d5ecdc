#include "base/json_write.h"
#include "ledger/ledger_impl.h"
#include "ledger/ledger_test.h"
#include "ledger/record.h"

static void test_a_run_comes_back_as_it_was_written(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    char id[RUN_ID_LEN + 1];
    write_sample_run(box, ledger, "checkout", 7, id);
    RunData *run = NULL;
    assert_ok(box, run_load(ledger, SLICE("latest"), box->arena, &run, &box->e));
    assert_string_equal(run->info.id, id);
    assert_true(run->info.seed == UINT64_MAX);
    assert_true(slice_eq_cstr(run->info.plan_json, "{\"vus\":5}"));
    assert_int_equal(run->end.status, RUN_COMPLETE);
    assert_int_equal(run->interval_count, 7);
    assert_int_equal(run->merged, 1);
    assert_int_equal(run->series_count, S_COUNT);
    assert_int_equal(run->seal_hash.len, 64);
    assert_int_equal(run->event_count, 1);
    assert_true(slice_eq_cstr(run->events[0].text, "half way \"there\""));
    assert_int_equal(doc_get(run->plan, SLICE("vus"))->integer, 5);
    // Canonical: members sorted, whatever order the caller wrote.
    assert_true(slice_eq_cstr(run->end.summary_json, "{\"a\":0.5,\"b\":1}"));
    const Label login[] = {{SLICE("name"), SLICE("login")}};
    const RunSeries *d = run_series_find(run, SLICE("http_req_duration"), (Labels){login, 1});
    assert_non_null(d);
    assert_int_equal(d->point_count, 7);
    assert_int_equal(d->points[3].index, 3);
    assert_int_equal(d->points[3].point.hist->min, 3000000);
    assert_int_equal(d->points[3].point.hist->count, SAMPLE_REQUESTS);
    assert_int_equal(d->total.hist->count, 7 * SAMPLE_REQUESTS);
    assert_int_equal(d->total.hist->max, 105000000);
    const RunSeries *vus = run_series_find(run, SLICE("vus"), (Labels){0});
    assert_true(vus->total.last == 6 && vus->total.min == 0 && vus->total.max == 6);
    const RunSeries *failed = run_series_find(run, SLICE("http_req_failed"), (Labels){0});
    assert_int_equal(failed->total.trues, 0 + 1 + 2 + 0 + 1 + 2 + 0);
    assert_null(run_series_find(run, SLICE("nobody"), (Labels){0}));
    run_data_done(run);
    ledger_close(ledger);
}

static void test_selectors(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    char id[3][RUN_ID_LEN + 1], found[RUN_ID_LEN + 1];
    for (size_t i = 0; i < 3; i++) {
        write_sample_run(box, ledger, i == 1 ? "other" : "checkout", 1, id[i]);
    }
    Slice newest = {id[2], RUN_ID_LEN};
    assert_ok(box, run_resolve(ledger, SLICE("latest~2"), found, &box->e));
    assert_string_equal(found, id[0]);
    assert_ok(box, run_resolve(ledger, newest, found, &box->e));
    assert_string_equal(found, id[2]);
    assert_int_equal(run_resolve(ledger, SLICE("latest~3"), found, &box->e), ERR_NOT_FOUND);
    assert_int_equal(run_resolve(ledger, SLICE("latest~x"), found, &box->e), ERR_ARG);
    assert_int_equal(run_resolve(ledger, SLICE("label:commit=abc"), found, &box->e), ERR_NOT_FOUND);
    assert_int_equal(run_resolve(ledger, SLICE("label:commit"), found, &box->e), ERR_ARG);
    assert_int_equal(run_resolve(ledger, slice_sub(newest, 0, 5), found, &box->e), ERR_NOT_FOUND);
    // Six characters tell 4.4 minutes apart: mostly all ids of one test share them.
    if (memcmp(id[0], id[2], 6) == 0) {
        assert_int_equal(run_resolve(ledger, slice_sub(newest, 0, 6), found, &box->e),
                         ERR_CONFLICT);
    }
    RunListItem *items;
    size_t count;
    RunFilter by_name = {.name = SLICE("checkout")};
    assert_ok(box, run_list(ledger, &by_name, box->arena, &items, &count, &box->e));
    assert_int_equal(count, 2);
    assert_string_equal(items[0].info.id, id[2]);
    assert_int_equal(items[0].requests, SAMPLE_REQUESTS);
    assert_int_equal(items[0].status, RUN_COMPLETE);
    RunFilter one = {.limit = 1};
    assert_ok(box, run_list(ledger, &one, box->arena, &items, &count, &box->e));
    assert_int_equal(count, 1);
    ledger_close(ledger);
}

static void test_labels_select_and_filter(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    const Label labels[] = {{SLICE("commit"), SLICE("abc")}, {SLICE("branch"), SLICE("main")}};
    RunInfo info = sample_info("x");
    info.labels = (Labels){labels, 2};
    RunWriter *w = NULL;
    assert_ok(box, run_create(ledger, &info, &w, &box->e));
    assert_ok(box,
              run_finish(w, &(RunEnd){.status = RUN_ABORTED, .reason = SLICE("why")}, &box->e));
    char found[RUN_ID_LEN + 1];
    assert_ok(box, run_resolve(ledger, SLICE("label:commit=abc"), found, &box->e));
    assert_string_equal(found, info.id);
    RunListItem *items;
    size_t count;
    RunFilter have = {.labels = {labels, 1}};
    assert_ok(box, run_list(ledger, &have, box->arena, &items, &count, &box->e));
    assert_int_equal(count, 1);
    assert_true(slice_eq_cstr(labels_get(items[0].info.labels, SLICE("branch")), "main"));
    assert_true(slice_eq_cstr(items[0].reason, "why"));
    const Label other[] = {{SLICE("commit"), SLICE("def")}};
    RunFilter have_not = {.labels = {other, 1}};
    assert_ok(box, run_list(ledger, &have_not, box->arena, &items, &count, &box->e));
    assert_int_equal(count, 0);
    ledger_close(ledger);
}

// Hashes are over bytes, so a payload must have one spelling only: an export is read into a tree
// and written again.
static void test_payloads_are_canonical(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    char id[RUN_ID_LEN + 1];
    write_sample_run(box, ledger, "quote\" and \xff", 2, id);
    assert_ok(box,
              run_attach(ledger, SLICE("latest"), SLICE("a"), SLICE("t"), SLICE("b"), &box->e));
    const Slice chains[] = {{id, RUN_ID_LEN}, LEDGER_CHAIN};
    int records = 0;
    for (size_t i = 0; i < COUNT_OF(chains); i++) {
        Stmt *s;
        Record r;
        assert_ok(box, record_chain(ledger->db, chains[i], &s, &box->e));
        while (record_next(s, &r, &box->e) > 0) {
            const Doc *doc;
            Buf again = buf_create(RECORD_PAYLOAD_MAX);
            assert_ok(box, doc_parse(box->arena, r.payload, NULL, &doc, &box->e));
            doc_write_canonical(doc, &again);
            assert_true(slice_eq(buf_slice(&again), r.payload));
            buf_done(&again);
            records++;
        }
        stmt_done(s);
    }
    assert_int_equal(records, 9 + 2);
    ledger_close(ledger);
}

// The ceiling on histograms: two intervals become one point, and nothing is lost.
static void test_a_long_run_is_loaded_coarser(void **state)
{
    enum { SERIES = 16, LENGTH = 160, OCTAVES = 28 };
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    RunInfo info = sample_info("long");
    RunWriter *w;
    assert_ok(box, run_create(ledger, &info, &w, &box->e));
    // 28 octaves and 960 bytes a histogram: 16 x 160 of them are 76 MB decoded. Twice
    // RUN_POINTS_MIN intervals may be merged once, and then no more.
    Hist h;
    hist_init(&h);
    for (int i = 0; i < OCTAVES; i++) {
        hist_record(&h, INT64_C(64) << i);
    }
    Point points[SERIES];
    for (uint32_t i = 0; i < SERIES; i++) {
        run_declare_series(w, &(SeriesInfo){.id = i, .kind = METRIC_TREND, .metric = SLICE("m")});
        points[i] = (Point){.series = i, .count = OCTAVES, .hist = &h};
    }
    for (int64_t i = 0; i < LENGTH; i++) {
        run_interval(w, i, points, SERIES);
    }
    hist_done(&h);
    assert_ok(box, run_finish(w, &(RunEnd){.status = RUN_COMPLETE}, &box->e));
    RunData *run;
    assert_ok(box, run_load(ledger, SLICE("latest"), box->arena, &run, &box->e));
    assert_int_equal(run->interval_count, LENGTH / 2);
    assert_int_equal(run->merged, 2);
    assert_int_equal(run->info.interval_ns, 2000000000);
    for (size_t i = 0; i < SERIES; i++) {
        assert_int_equal(run->series[i].point_count, LENGTH / 2);
        assert_int_equal(run->series[i].points[LENGTH / 2 - 1].index, LENGTH / 2 - 1);
        assert_int_equal(run->series[i].points[0].point.count, 2 * OCTAVES);
        assert_int_equal(run->series[i].points[0].point.hist->count, 2 * OCTAVES);
        assert_int_equal(run->series[i].total.count, LENGTH * OCTAVES);
    }
    run_data_done(run);
    ledger_close(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_run_comes_back_as_it_was_written, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_selectors, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_labels_select_and_filter, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_payloads_are_canonical, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_a_long_run_is_loaded_coarser, sandbox_setup,
                                        sandbox_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
