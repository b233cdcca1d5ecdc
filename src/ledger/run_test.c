#include "ledger/ledger_test.h"

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
    assert_int_equal(run->point_ns, 1000000000);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_run_comes_back_as_it_was_written, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_selectors, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_labels_select_and_filter, sandbox_setup,
                                        sandbox_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
