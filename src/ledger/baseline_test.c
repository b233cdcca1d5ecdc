#include "ledger/baseline.h"

#include <math.h>

#include "ledger/ledger_impl.h"
#include "ledger/ledger_test.h"

static Ledger *open_at(Sandbox *box, const char *name)
{
    Buf path = buf_create(4096);
    buf_printf(&path, "%s/%s", box->dir, name);
    Ledger *ledger = NULL;
    assert_ok(box, ledger_open(&(LedgerOptions){.path = path.data}, &ledger, &box->e));
    buf_done(&path);
    return ledger;
}

static void test_pins(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    char id[2][RUN_ID_LEN + 1];
    write_sample_run(box, ledger, "x", 1, id[0]);
    write_sample_run(box, ledger, "x", 1, id[1]);
    const Slice both[] = {SLICE("latest"), SLICE("latest~1")};
    const Slice twice[] = {SLICE("latest"), SLICE("latest")};
    assert_ok(box, baseline_pin(ledger, SLICE("main"), both, 2, SLICE("first"), &box->e));
    assert_int_equal(baseline_pin(ledger, SLICE("main"), twice, 2, SLICE(""), &box->e), ERR_EXISTS);
    assert_int_equal(baseline_pin(ledger, SLICE(""), both, 2, SLICE(""), &box->e), ERR_ARG);
    assert_int_equal(baseline_pin(ledger, SLICE("main"), both, 0, SLICE(""), &box->e), ERR_ARG);
    Slice *ids;
    size_t count;
    assert_ok(box, baseline_resolve(ledger, SLICE("main"), box->arena, &ids, &count, &box->e));
    assert_int_equal(count, 2);
    assert_true(slice_eq_cstr(ids[0], id[1]));
    // Pinning again replaces.
    assert_ok(box, baseline_pin(ledger, SLICE("main"), both, 1, SLICE("second"), &box->e));
    Baseline *items;
    assert_ok(box, baseline_list(ledger, box->arena, &items, &count, &box->e));
    assert_int_equal(count, 1);
    assert_int_equal(items[0].runs, 1);
    assert_true(slice_eq_cstr(items[0].note, "second"));
    assert_ok(box, baseline_unpin(ledger, SLICE("main"), &box->e));
    assert_int_equal(baseline_unpin(ledger, SLICE("main"), &box->e), ERR_NOT_FOUND);
    ledger_close(ledger);
}

static void test_runs_that_cannot_be_a_baseline(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    const Slice latest = SLICE("latest");
    RunInfo info = sample_info("x");
    RunWriter *w;
    assert_ok(box, run_create(ledger, &info, &w, &box->e));
    assert_int_equal(baseline_pin(ledger, SLICE("m"), &latest, 1, SLICE(""), &box->e),
                     ERR_CONFLICT);
    assert_ok(box, run_finish(w, &(RunEnd){.status = RUN_INVALID}, &box->e));
    assert_int_equal(baseline_pin(ledger, SLICE("m"), &latest, 1, SLICE(""), &box->e),
                     ERR_CONFLICT);
    ledger_close(ledger);
}

static void test_a_run_moves_with_its_hashes(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box), *other = open_at(box, "other.db");
    char id[RUN_ID_LEN + 1], there[RUN_ID_LEN + 1];
    write_sample_run(box, ledger, "x", 3, id);
    Slice run_id = {id, RUN_ID_LEN};
    assert_ok(box, run_attach(ledger, run_id, SLICE("a"), SLICE("t"), SLICE("bytes"), &box->e));
    Buf doc = buf_create(RUN_EXPORT_BYTES_MAX), back = buf_create(RUN_EXPORT_BYTES_MAX);
    assert_ok(box, run_export(ledger, run_id, &doc, &box->e));
    assert_ok(box, run_import(other, buf_slice(&doc), "x.json", there, &box->e));
    assert_string_equal(there, id);
    assert_ok(box, run_export(other, run_id, &back, &box->e));
    assert_true(slice_eq(buf_slice(&doc), buf_slice(&back)));
    LedgerCheck check;
    assert_ok(box, ledger_verify(other, (Slice){0}, NULL, NULL, &check, &box->e));
    assert_int_equal(run_import(other, buf_slice(&doc), "x.json", there, &box->e), ERR_EXISTS);
    // One changed number.
    char *at = strstr(doc.data, "\"count\":100");
    assert_non_null(at);
    at[9] = '2';
    Ledger *third = open_at(box, "third.db");
    assert_int_equal(run_import(third, buf_slice(&doc), "x.json", there, &box->e), ERR_CORRUPT);
    // Nothing of a refused import stays.
    assert_int_equal(run_resolve(third, run_id, there, &box->e), ERR_NOT_FOUND);
    buf_done(&doc);
    buf_done(&back);
    ledger_close(third);
    ledger_close(other);
    ledger_close(ledger);
}

static void test_a_baseline_moves(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box), *other = open_at(box, "other.db");
    const Slice both[] = {SLICE("latest"), SLICE("latest~1")};
    char id[2][RUN_ID_LEN + 1];
    write_sample_run(box, ledger, "x", 2, id[0]);
    write_sample_run(box, ledger, "x", 2, id[1]);
    assert_ok(box, baseline_pin(ledger, SLICE("main"), both, 2, SLICE(""), &box->e));
    Buf doc = buf_create(RUN_EXPORT_BYTES_MAX);
    assert_ok(box, baseline_export(ledger, SLICE("main"), &doc, &box->e));
    assert_ok(box, baseline_import(other, (Slice){0}, buf_slice(&doc), "b.json", &box->e));
    // Again, under another name: the runs are there.
    assert_ok(box, baseline_import(other, SLICE("again"), buf_slice(&doc), "b.json", &box->e));
    Slice *ids;
    size_t count;
    assert_ok(box, baseline_resolve(other, SLICE("main"), box->arena, &ids, &count, &box->e));
    assert_int_equal(count, 2);
    assert_true(slice_eq_cstr(ids[0], id[1]));
    assert_ok(box, baseline_resolve(other, SLICE("again"), box->arena, &ids, &count, &box->e));
    assert_int_equal(count, 2);
    buf_done(&doc);
    ledger_close(other);
    ledger_close(ledger);
}

static const char SERIES[] =
    "{\"version\":1,\"name\":\"legacy\",\"metric\":\"http_req_duration\",\"unit\":\"ms\","
    "\"endpoint\":\"GET /x\",\"runs\":["
    "{\"time\":\"2026-01-01T00:00:00Z\",\"p95\":230.5,\"p50\":100},"
    "{\"time\":\"2026-01-02T00:00:00Z\",\"values\":[100,200,300]}]}";

static void test_series_of_other_tools(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    assert_ok(box, baseline_import(ledger, (Slice){0}, slice_from_cstr(SERIES), "s.json", &box->e));
    Slice *ids;
    size_t count;
    assert_ok(box, baseline_resolve(ledger, SLICE("legacy"), box->arena, &ids, &count, &box->e));
    assert_int_equal(count, 2);
    RunData *run;
    double value = 0;
    const Label endpoint[] = {{SLICE("name"), SLICE("GET /x")}};
    Labels filter = {endpoint, 1};
    assert_ok(box, run_load(ledger, ids[0], box->arena, &run, &box->e));
    assert_true(slice_eq_cstr(run->info.kind, "imported"));
    assert_true(run->info.started_unix_ns == 1767225600 * INT64_C(1000000000));
    assert_true(run_quantile(run, SLICE("http_req_duration"), filter, 0.95, &value));
    assert_true(value == 230.5e6);
    assert_false(run_quantile(run, SLICE("http_req_duration"), filter, 0.99, &value));
    run_data_done(run);
    assert_ok(box, run_load(ledger, ids[1], box->arena, &run, &box->e));
    assert_true(run_quantile(run, SLICE("http_req_duration"), filter, 0.5, &value));
    assert_true(fabs(value - 200e6) < 200e6 * 0.004);
    run_data_done(run);
    // "latest" is what ran here.
    char id[RUN_ID_LEN + 1];
    assert_int_equal(run_resolve(ledger, SLICE("latest"), id, &box->e), ERR_NOT_FOUND);
    ledger_close(ledger);
}

static void test_k6_summary(void **state)
{
    // Shape and names as k6's documentation shows its --summary-export.
    static const char K6[] =
        "{\"root_group\":{\"name\":\"\"},\"metrics\":{"
        "\"http_req_duration\":{\"avg\":120.1,\"min\":100,\"med\":110,\"max\":300,\"p(90)\":150,"
        "\"p(95)\":200.25,\"thresholds\":{\"p(95)<500\":false}},"
        "\"http_req_duration{name:login}\":{\"avg\":1,\"min\":1,\"med\":1,\"max\":1,\"p(90)\":1,"
        "\"p(95)\":7},"
        "\"http_reqs\":{\"count\":600,\"rate\":20.5},"
        "\"http_req_failed\":{\"passes\":3,\"fails\":597,\"value\":0.005},"
        "\"vus\":{\"value\":10,\"min\":1,\"max\":20}}}";
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    assert_ok(box, baseline_import(ledger, SLICE("k6"), slice_from_cstr(K6), "k6.json", &box->e));
    Slice *ids;
    size_t count;
    assert_ok(box, baseline_resolve(ledger, SLICE("k6"), box->arena, &ids, &count, &box->e));
    RunData *run;
    double value;
    assert_ok(box, run_load(ledger, ids[0], box->arena, &run, &box->e));
    assert_true(run_quantile(run, SLICE("http_req_duration"), (Labels){0}, 0.95, &value));
    assert_true(value == 200.25e6);
    const Label login[] = {{SLICE("name"), SLICE("login")}};
    assert_true(run_quantile(run, SLICE("http_req_duration"), (Labels){login, 1}, 0.95, &value));
    assert_true(value == 7e6);
    const RunSeries *failed = run_series_find(run, SLICE("http_req_failed"), (Labels){0});
    assert_int_equal(failed->total.count, 600);
    assert_int_equal(failed->total.trues, 3);
    assert_int_equal(run_series_find(run, SLICE("http_reqs"), (Labels){0})->total.count, 600);
    assert_true(run_series_find(run, SLICE("vus"), (Labels){0})->total.max == 20);
    run_data_done(run);
    ledger_close(ledger);
}

static void test_mistakes_are_shown_at_their_place(void **state)
{
    static const struct {
        const char *json;
        int code;
        const char *text;
    } cases[] = {
        {"[]", ERR_PARSE, "b:1:1: "},
        {"{\"version\":2}", ERR_VERSION, "version 2"},
        {"{\"version\":1,\"metrics\":1}", ERR_PARSE, "metrics"},
        {"{\"version\":1,\"metric\":\"m\",\"runs\":[]}", ERR_PARSE, "at least one run"},
        {"{\"version\":1,\"metric\":\"m\",\"unit\":\"h\",\"runs\":[]}", ERR_PARSE, "b:1:34: "},
        {"{\"version\":1,\"metric\":\"m\",\"runs\":[{\"time\":\"x\",\"p50\":1}]}", ERR_PARSE,
         "written like"},
        {"{\"version\":1,\"metric\":\"m\",\"runs\":[{\"time\":\"2026-01-01T00:00:00Z\"}]}",
         ERR_PARSE, "must have values"},
        {"{\"version\":1,\"metric\":\"m\",\"runs\":[{\"time\":\"2026-01-01T00:00:00Z\","
         "\"values\":[0.5]}]}",
         ERR_PARSE, "whole numbers"},
        {"{\"version\":1,\"metric\":\"m\",\"runs\":[{\"time\":\"2026-01-01T00:00:00Z\","
         "\"q95\":1}]}",
         ERR_PARSE, "q95"},
        {"{\"metrics\":{}}", ERR_PARSE, "no metric"},
        {"{\"format\":\"x\"}", ERR_PARSE, "perfwright-baseline"},
        {"{\"format\":\"perfwright-baseline\",\"version\":9,\"runs\":[]}", ERR_VERSION, "newer"},
        {"{\"format\":\"perfwright-run\",\"version\":9,\"run_id\":\"\"}", ERR_VERSION, "version 9"},
    };
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int rc =
            baseline_import(ledger, SLICE("name"), slice_from_cstr(cases[i].json), "b", &box->e);
        if (rc != cases[i].code || !strstr(box->e.text, cases[i].text)) {
            fail_msg("%s: %s %s", cases[i].json, err_name(rc), box->e.text);
        }
    }
    ledger_close(ledger);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_setup, sandbox_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pins),
        TEST(test_runs_that_cannot_be_a_baseline),
        TEST(test_a_run_moves_with_its_hashes),
        TEST(test_a_baseline_moves),
        TEST(test_series_of_other_tools),
        TEST(test_k6_summary),
        TEST(test_mistakes_are_shown_at_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
