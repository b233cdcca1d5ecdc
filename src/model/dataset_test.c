#include "model/dataset.h"

#include <math.h>
#include <string.h>

#include "ledger/ledger_test.h"
#include "os/file.h"

static Dataset *make_sample(void)
{
    Dataset *d = dataset_create();
    size_t column;
    Err e;
    assert_int_equal(dataset_column(d, SLICE("load.rate"), SLICE("1/s"), COLUMN_INPUT, &column, &e),
                     0);
    assert_int_equal(dataset_column(d, SLICE("tasks.p99"), SLICE("s"), COLUMN_OUTPUT, &column, &e),
                     0);
    assert_int_equal(column, 1);
    assert_int_equal(dataset_add(d, (double[]){16, 1.8}, SLICE("run:a"), 7, &e), 0);
    assert_int_equal(dataset_add(d, (double[]){17, NAN}, SLICE("run:a"), 8, &e), 0);
    assert_int_equal(dataset_add(d, (double[]){18, 2.5}, SLICE("run:b"), 9, &e), 0);
    return d;
}

// What dataset_write says, as a document of its own arena.
static Slice written(Arena *arena, const Dataset *d)
{
    Buf out = buf_create(8 << 20);
    JsonWriter w = json_writer(&out, 0);
    dataset_write(d, SLICE("s"), &w);
    Slice copy = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return copy;
}

static void test_a_column_more(void **state)
{
    (void)state;
    Dataset *d = make_sample();
    for (int i = 0; i < 20; i++) {
        char name[16];
        size_t column;
        (void)snprintf(name, sizeof name, "p%d", i);
        assert_int_equal(
            dataset_column(d, slice_from_cstr(name), SLICE(""), COLUMN_POLICY, &column, NULL), 0);
        assert_int_equal(column, 2 + i);
    }
    assert_true(dataset_cell(d, 2, 0) == 18 && dataset_cell(d, 2, 1) == 2.5);
    assert_true(isnan(dataset_cell(d, 2, 21)) && isnan(dataset_cell(d, 1, 1)));
    assert_true(slice_eq(dataset_source(d, 1), SLICE("run:a")));
    assert_int_equal(dataset_find(d, SLICE("p3")), 5);
    assert_int_equal(dataset_find(d, SLICE("nope")), -1);
    dataset_keep_last(d, 9);
    assert_int_equal(dataset_rows(d), 3);
    dataset_keep_last(d, 1);
    assert_int_equal(dataset_rows(d), 1);
    assert_true(dataset_cell(d, 0, 1) == 2.5 && dataset_at(d, 0) == 9);
    dataset_destroy(d);
}

static void test_refusals(void **state)
{
    (void)state;
    Dataset *d = make_sample();
    size_t column;
    Err e;
    char longer[DATASET_NAME_MAX + 1];
    memset(longer, 'x', sizeof longer);
    assert_int_equal(dataset_column(d, SLICE("load.rate"), SLICE("1/m"), COLUMN_INPUT, &column, &e),
                     ERR_CONFLICT);
    assert_non_null(strstr(e.text, "\"1/s\""));
    assert_int_equal(
        dataset_column(d, SLICE("load.rate"), SLICE("1/s"), COLUMN_OUTPUT, &column, &e),
        ERR_CONFLICT);
    assert_int_equal(dataset_column(d, SLICE(""), SLICE(""), COLUMN_INPUT, &column, &e), ERR_ARG);
    assert_int_equal(dataset_column(d, SLICE("a\nb"), SLICE(""), COLUMN_INPUT, &column, &e),
                     ERR_ARG);
    assert_int_equal(
        dataset_column(d, (Slice){longer, sizeof longer}, SLICE(""), COLUMN_INPUT, &column, &e),
        ERR_ARG);
    assert_int_equal(
        dataset_column(d, (Slice){longer, DATASET_NAME_MAX}, SLICE(""), COLUMN_INPUT, &column, &e),
        0);
    assert_int_equal(dataset_column(d, SLICE("a\xff"), SLICE(""), COLUMN_INPUT, &column, &e),
                     ERR_ARG);
    assert_int_equal(dataset_column(d, SLICE("a"), SLICE("\xc0\x80"), COLUMN_INPUT, &column, &e),
                     ERR_ARG);
    assert_int_equal(dataset_add(d, (double[]){1, INFINITY, 1}, SLICE("x"), 0, &e), ERR_ARG);
    assert_int_equal(dataset_add(d, (double[]){1, 1, 1}, (Slice){longer, sizeof longer}, 0, &e),
                     ERR_ARG);
    dataset_destroy(d);
}

static void test_limits(void **state)
{
    (void)state;
    Dataset *d = dataset_create();
    char name[16];
    size_t column;
    double cells[DATASET_COLUMNS_MAX] = {0};
    assert_int_equal(dataset_column(d, SLICE("p"), SLICE(""), COLUMN_INPUT, &column, NULL), 0);
    for (int i = 0; i < DATASET_ROWS_MAX; i++) {
        assert_int_equal(dataset_add(d, cells, SLICE("x"), 0, NULL), 0);
    }
    assert_int_equal(dataset_add(d, cells, SLICE("x"), 0, NULL), ERR_LIMIT);
    int rc = 0;
    for (int i = 0; rc == 0; i++) {
        (void)snprintf(name, sizeof name, "p%d", i);
        rc = dataset_column(d, slice_from_cstr(name), SLICE(""), COLUMN_INPUT, &column, NULL);
    }
    assert_int_equal(rc, ERR_LIMIT);
    assert_int_equal(dataset_columns(d), DATASET_CELLS_MAX / DATASET_ROWS_MAX);
    dataset_destroy(d);
    d = dataset_create();
    for (int i = 0; i < DATASET_COLUMNS_MAX; i++) {
        (void)snprintf(name, sizeof name, "p%d", i);
        assert_int_equal(
            dataset_column(d, slice_from_cstr(name), SLICE(""), COLUMN_INPUT, &column, NULL), 0);
    }
    assert_int_equal(dataset_column(d, SLICE("more"), SLICE(""), COLUMN_INPUT, &column, NULL),
                     ERR_LIMIT);
    for (int i = 0; i < DATASET_CELLS_MAX / DATASET_COLUMNS_MAX; i++) {
        assert_int_equal(dataset_add(d, cells, SLICE("x"), 0, NULL), 0);
    }
    assert_int_equal(dataset_add(d, cells, SLICE("x"), 0, NULL), ERR_LIMIT);
    dataset_destroy(d);
}

static void test_document_is_canonical_and_reads_back(void **state)
{
    Sandbox *box = *state;
    Dataset *d = make_sample(), *copy = dataset_create();
    Slice text = written(box->arena, d);
    const Doc *doc;
    assert_ok(box, doc_parse(box->arena, text, NULL, &doc, &box->e));
    Buf canonical = buf_create(1 << 20);
    doc_write_canonical(doc, &canonical);
    assert_true(slice_eq(text, buf_slice(&canonical)));
    buf_done(&canonical);
    assert_ok(box, dataset_read(copy, doc, &box->e));
    assert_true(slice_eq(text, written(box->arena, copy)));
    // Reading appends; columns in another order find their place.
    assert_ok(box, doc_parse(box->arena,
                             SLICE("{\"format\":\"perfwright-observations\",\"version\":1,"
                                   "\"columns\":[{\"name\":\"tasks.p99\",\"role\":\"output\","
                                   "\"unit\":\"s\"},{\"name\":\"n\",\"role\":\"policy\","
                                   "\"unit\":\"\"}],\"rows\":[{\"cells\":[9,4],\"source\":\"\"}]}"),
                             NULL, &doc, &box->e));
    assert_ok(box, dataset_read(copy, doc, &box->e));
    assert_int_equal(dataset_rows(copy), 4);
    assert_true(isnan(dataset_cell(copy, 3, 0)));
    assert_true(dataset_cell(copy, 3, 1) == 9 && dataset_cell(copy, 3, 2) == 4);
    assert_true(isnan(dataset_cell(copy, 0, 2)));
    dataset_destroy(d);
    dataset_destroy(copy);
}

static void test_documents_that_are_none(void **state)
{
    Sandbox *box = *state;
    static const struct {
        const char *text;
        int rc;
    } rows[] = {
        {"[]", ERR_PARSE},
        {"{\"format\":\"x\",\"version\":1}", ERR_PARSE},
        {"{\"format\":\"perfwright-observations\",\"version\":2}", ERR_VERSION},
        {"{\"format\":\"perfwright-observations\",\"version\":1}", ERR_PARSE},
        {"{\"format\":\"perfwright-observations\",\"version\":1,\"columns\":[{\"name\":\"a\","
         "\"role\":\"x\",\"unit\":\"\"}],\"rows\":[]}",
         ERR_PARSE},
        {"{\"format\":\"perfwright-observations\",\"version\":1,\"columns\":[{\"name\":\"a\","
         "\"role\":\"input\",\"unit\":\"\"},{\"name\":\"a\",\"role\":\"input\",\"unit\":\"\"}],"
         "\"rows\":[]}",
         ERR_PARSE},
        {"{\"format\":\"perfwright-observations\",\"version\":1,\"columns\":[],"
         "\"rows\":[{\"cells\":[1],\"source\":\"\"}]}",
         ERR_PARSE},
        {"{\"format\":\"perfwright-observations\",\"version\":1,\"columns\":[{\"name\":\"a\","
         "\"role\":\"input\",\"unit\":\"\"}],\"rows\":[{\"cells\":[\"1\"],\"source\":\"\"}]}",
         ERR_PARSE},
        {"{\"format\":\"perfwright-observations\",\"version\":1,\"columns\":[],"
         "\"rows\":[{\"cells\":[],\"source\":\"\"}]}",
         0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Dataset *d = dataset_create();
        const Doc *doc;
        assert_ok(box, doc_parse(box->arena, slice_from_cstr(rows[i].text), NULL, &doc, &box->e));
        int rc = dataset_read(d, doc, &box->e);
        if (rc != rows[i].rc) {
            fail_msg("row %zu: %d", i, rc);
        }
        dataset_destroy(d);
    }
}

static void test_csv(void **state)
{
    Sandbox *box = *state;
    Dataset *d = dataset_create();
    assert_ok(box, dataset_read_csv(d,
                                    SLICE("\xef\xbb\xbfinput:load.rate [1/s],\"output:a,\"\"b\"\" "
                                          "[s]\",at_unix_ns,source,policy:n\r\n"
                                          "16, 1.5 ,7,\"x,y\",\r\n"
                                          "\r\n"
                                          "1e1,,8,z,-2"),
                                    "f.csv", &box->e));
    assert_int_equal(dataset_rows(d), 2);
    assert_int_equal(dataset_columns(d), 3);
    const Column *c = dataset_column_at(d, 1);
    assert_true(slice_eq(c->name, SLICE("a,\"b\"")) && slice_eq(c->unit, SLICE("s")));
    assert_true(c->role == COLUMN_OUTPUT);
    assert_true(slice_eq(dataset_source(d, 0), SLICE("x,y")) && dataset_at(d, 0) == 7);
    assert_true(dataset_cell(d, 0, 1) == 1.5 && isnan(dataset_cell(d, 0, 2)));
    assert_true(dataset_cell(d, 1, 0) == 10 && dataset_cell(d, 1, 2) == -2);
    assert_ok(box, dataset_read_csv(d, SLICE("policy:n\n3\n"), "f.csv", &box->e));
    assert_true(slice_eq(dataset_source(d, 2), SLICE("file:f.csv")));
    dataset_destroy(d);
}

static void test_csv_that_is_none(void **state)
{
    Sandbox *box = *state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "x.csv:1"},
        {"load\n", "role:name"},
        {"inputs:load\n", "role:name"},
        {"input:a,input:a\n1,2\n", "twice"},
        {"source,source\n1,2\n", "twice"},
        {"input:a\nx\n", "x.csv:2"},
        {"input:a\ninf\n", "number"},
        {"input:a\n1,2\n", "as many"},
        {"input:a,input:b\n1\n", "as many"},
        {"input:a\n\"1\n", "does not end"},
        {"input:a\n\"1\"2\n", "follows"},
        {"input:a\n1\"\n", "quote"},
        {"at_unix_ns\n1.5\n", "whole"},
        {"input:\n1\n", "name"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Dataset *d = dataset_create();
        int rc = dataset_read_csv(d, slice_from_cstr(rows[i].text), "x.csv", &box->e);
        if (rc == 0 || !strstr(box->e.text, rows[i].words)) {
            fail_msg("row %zu: %d %s", i, rc, box->e.text);
        }
        dataset_destroy(d);
    }
}

static void test_files(void **state)
{
    Sandbox *box = *state;
    char path[2][128];
    (void)snprintf(path[0], sizeof path[0], "%s/a.csv", box->dir);
    (void)snprintf(path[1], sizeof path[1], "%s/a.json", box->dir);
    Dataset *d = make_sample();
    assert_ok(box, file_write(path[0], SLICE("input:load.rate [1/s]\n3\n"), NULL, &box->e));
    assert_ok(box, file_write(path[1], written(box->arena, d), NULL, &box->e));
    for (int i = 0; i < 2; i++) {
        assert_ok(box, dataset_load_file(d, path[i], &box->e));
    }
    assert_int_equal(dataset_rows(d), 3 + 1 + 3);
    assert_int_equal(dataset_load_file(d, "/nowhere/x.csv", &box->e), ERR_NOT_FOUND);
    dataset_destroy(d);
}

static void test_ledger_keeps_sets_apart(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    Dataset *d = make_sample(), *back = dataset_create();
    assert_ok(box, dataset_store(d, ledger, SLICE("one"), &box->e));
    assert_ok(box, dataset_store(d, ledger, SLICE("two"), &box->e));
    assert_ok(box, dataset_store(d, ledger, SLICE("one"), &box->e));
    assert_int_equal(dataset_store(d, ledger, SLICE(""), &box->e), ERR_ARG);
    assert_ok(box, dataset_load_ledger(back, ledger, SLICE("one"), &box->e));
    assert_int_equal(dataset_rows(back), 6);
    assert_true(dataset_cell(back, 5, 1) == 2.5);
    dataset_destroy(back);
    dataset_destroy(d);
    // More rows than one record takes.
    d = dataset_create();
    back = dataset_create();
    size_t column;
    assert_ok(box, dataset_column(d, SLICE("a"), SLICE(""), COLUMN_INPUT, &column, &box->e));
    for (int i = 0; i < 20000; i++) {
        double cell = i;
        assert_ok(box, dataset_add(d, &cell, SLICE("x"), i, &box->e));
    }
    assert_ok(box, dataset_store(d, ledger, SLICE("many"), &box->e));
    assert_ok(box, dataset_load_ledger(back, ledger, SLICE("many"), &box->e));
    assert_int_equal(dataset_rows(back), 20000);
    assert_true(dataset_cell(back, 19999, 0) == 19999);
    dataset_destroy(back);
    dataset_destroy(d);
    ledger_close(ledger);
}

static void write_run(Sandbox *box, Ledger *ledger, RunStatus status, const char *attempts)
{
    const Label labels[] = {{SLICE_INIT("commit"), SLICE_INIT("12")},
                            {SLICE_INIT("input.burst"), SLICE_INIT("1.5")},
                            {SLICE_INIT("policy.attempts"), slice_from_cstr(attempts)}};
    RunInfo info = sample_info("x");
    info.labels = (Labels){labels, COUNT_OF(labels)};
    RunWriter *w;
    assert_ok(box, run_create(ledger, &info, &w, &box->e));
    declare_sample_series(w);
    write_sample_interval(w, 0);
    write_sample_interval(w, 1);
    assert_ok(box, run_finish(w, &(RunEnd){.status = status, .duration_ns = 2000000000}, &box->e));
}

// 200 requests in 2 s, of which one failed (of interval 1), latencies 0..99 ms and 1..100 ms, whose
// histogram is within 0.4 %.
static void test_runs_are_rows(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    write_run(box, ledger, RUN_COMPLETE, "3");
    write_run(box, ledger, RUN_PARTIAL, "4");
    write_run(box, ledger, RUN_INVALID, "4");
    write_run(box, ledger, RUN_COMPLETE, "many");
    Dataset *d = dataset_create();
    assert_ok(box, dataset_load_runs(d, ledger, &(RunFilter){0}, &box->e));
    assert_int_equal(dataset_rows(d), 2);
    static const struct {
        const char *name;
        double value;
    } want[] = {{"load.rate", 100}, {"burst", 1.5},  {"attempts", 3},   {"mean", 0.05},
                {"p50", 0.05},      {"p99", 0.0985}, {"errors", 0.005}, {"goodput", 99.5}};
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        ptrdiff_t column = dataset_find(d, slice_from_cstr(want[i].name));
        assert_true(column >= 0);
        double got = dataset_cell(d, 0, (size_t)column);
        if (!(fabs(got - want[i].value) <= 0.01 * want[i].value)) {
            fail_msg("%s: %g", want[i].name, got);
        }
    }
    assert_int_equal(dataset_find(d, SLICE("commit")), -1);
    assert_true(isnan(dataset_cell(d, 1, (size_t)dataset_find(d, SLICE("attempts")))));
    assert_true(slice_starts_with(dataset_source(d, 0), SLICE("run:0")));
    dataset_destroy(d);
    ledger_close(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_column_more),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_limits),
        cmocka_unit_test_setup_teardown(test_document_is_canonical_and_reads_back, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_documents_that_are_none, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_csv, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_csv_that_is_none, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_files, sandbox_setup, sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_ledger_keeps_sets_apart, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_runs_are_rows, sandbox_setup, sandbox_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
