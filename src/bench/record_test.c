#include "bench/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/clock.h"
#include "os/file.h"

static void what_is_recorded_is_read(void **state)
{
    (void)state;
    char dir[] = "/tmp/bench-record-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/ledger.db", dir);
    Ledger *ledger = NULL;
    Err e = {0};
    assert_int_equal(ledger_open(&(LedgerOptions){.path = path}, &ledger, &e), 0);
    Label label = {SLICE_INIT("commit"), SLICE_INIT("abc")};
    BenchRecord record = {.name = SLICE("sort"),
                          .version = SLICE("1"),
                          .plan_json = SLICE("{\"commands\":[\"sort\"]}"),
                          .summary_json = SLICE("{\"ratio\":0.5}"),
                          .samples_json = SLICE("[1,2,3]"),
                          .labels = {&label, 1},
                          .seed = 7,
                          .started_unix_ns = clock_wall(clock_real()),
                          .duration_ns = NS_PER_S,
                          .status = RUN_PARTIAL,
                          .reason = SLICE("stopped")};
    char id[RUN_ID_LEN + 1];
    assert_int_equal(bench_record(ledger, &record, id, &e), 0);
    Arena *arena = arena_create(16 << 20);
    RunData *run = NULL;
    assert_int_equal(run_load(ledger, SLICE("latest"), arena, &run, &e), 0);
    assert_string_equal(run->info.id, id);
    assert_true(slice_eq_cstr(run->info.kind, "benchmark"));
    assert_int_equal(run->end.status, RUN_PARTIAL);
    assert_true(slice_eq_cstr(run->end.reason, "stopped"));
    assert_true(slice_eq_cstr(labels_get(run->info.labels, SLICE("commit")), "abc"));
    assert_non_null(run->summary);
    assert_non_null(run->environment);
    Buf samples = buf_create(1000);
    assert_int_equal(
        run_artifact_read(ledger, SLICE("latest"), SLICE(BENCH_RECORD_SAMPLES), &samples, &e), 0);
    assert_true(slice_eq_cstr(buf_slice(&samples), "[1,2,3]"));
    buf_done(&samples);
    run_data_done(run);
    arena_destroy(arena);
    ledger_close(ledger);
    assert_int_equal(dir_remove_all(dir, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_recorded_is_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
