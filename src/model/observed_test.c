#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ledger/ledger_test.h"
#include "model/observed.h"

static const char TEXT[] = "version = 1\n"
                           "name = \"pair\"\n"
                           "[agents.a]\n"
                           "[[agents.a.calls]]\n"
                           "to = [\"d\"]\n"
                           "[agents.d]\n"
                           "servers = 4\n"
                           "service = {dist = \"exponential\", mean = \"100ms\"}\n"
                           "range = {\"servers\" = [4, 8]}\n"
                           "[[edges]]\n"
                           "from = \"a\"\n"
                           "to = \"d\"\n"
                           "policy = {timeout = {attempt = \"5s\"}}\n"
                           "range = {\"timeout.attempt\" = [\"1s\", \"9s\"]}\n"
                           "[clients.tasks]\n"
                           "to = \"a\"\n"
                           "rate = 20.0\n"
                           "spikes = [{at = \"100s\", for = \"15s\", factor = 3.0}]\n";

static System *make_system(Sandbox *box, Arena *arena)
{
    System *sys = NULL;
    assert_ok(box, system_parse(arena, slice_from_cstr(TEXT), "test", &sys, &box->e));
    return sys;
}

static void change(Sandbox *box, System *sys, const char *text)
{
    SystemChange c;
    assert_ok(box, system_parse_change(sys, slice_from_cstr(text), &c, &box->e));
    assert_ok(box, system_set(sys, &c, &box->e));
}

static Slice set_of(Sandbox *box, const System *sys, ObservedKind kind)
{
    Slice set = {0};
    assert_ok(box, observed_set(sys->arena, sys, kind, &set, &box->e));
    return set;
}

// What rows say keeps them together; what they do not say parts them.
static void test_which_rows_belong_together(void **state)
{
    Sandbox *box = *state;
    Arena *arena = arena_create(64 << 20);
    System *sys = make_system(box, arena), *other = make_system(box, arena);
    Slice set = set_of(box, sys, OBSERVED_RUNS);
    assert_true(slice_starts_with(set, SLICE("pair@")));
    Sha256 before = observed_policies(other);
    other->clients[0].per_second = 31;
    other->clients[0].scv = 2;
    Sha256 same = observed_policies(other);
    assert_true(sha256_eq(&before, &same));
    change(box, other, "d.servers=7");
    change(box, other, "a->d.timeout.attempt=2s");
    Sha256 after = observed_policies(other);
    assert_false(sha256_eq(&before, &after));
    assert_true(slice_eq(set_of(box, other, OBSERVED_RUNS), set));
    assert_false(slice_eq(set_of(box, other, OBSERVED_WINDOWS), set));

    change(box, other, "a->d.retry.attempts=2"); // has no range, so no column
    assert_false(slice_eq(set_of(box, other, OBSERVED_RUNS), set));
    System *slow = make_system(box, arena);
    slow->agents[1].service = dist_exponential(2e8);
    assert_false(slice_eq(set_of(box, slow, OBSERVED_RUNS), set));
    arena_destroy(arena);
}

static double cell(const Dataset *d, size_t row, const char *name)
{
    ptrdiff_t column = dataset_find(d, slice_from_cstr(name));
    return column < 0 ? (double)NAN : dataset_cell(d, row, (size_t)column);
}

static void test_rows_come_back(void **state)
{
    Sandbox *box = *state;
    Ledger *ledger = sandbox_open(box);
    Arena *arena = arena_create(64 << 20);
    System *sys = make_system(box, arena);
    Outcome *o = outcome_create(arena, sys);
    o->clients[0].p99 = (Estimate){0.5, 0.4, 0.6};
    o->clients[0].offered = (Estimate){58, 58, 58};
    assert_ok(
        box, observed_store(ledger, sys, o, OBSERVED_RUNS, SLICE("simulation:seed=1"), 5, &box->e));
    change(box, sys, "d.servers=8");
    assert_ok(box, observed_store(ledger, sys, o, OBSERVED_RUNS, SLICE("live:seed=1"), 6, &box->e));
    assert_ok(box,
              observed_store(ledger, sys, o, OBSERVED_WINDOWS, SLICE("window:0s"), 7, &box->e));
    Dataset *runs = dataset_create(), *windows = dataset_create();
    assert_ok(box, observed_load(runs, ledger, sys, OBSERVED_RUNS, &box->e));
    assert_ok(box, observed_load(windows, ledger, sys, OBSERVED_WINDOWS, &box->e));
    assert_int_equal(dataset_rows(runs), 2);
    assert_true(cell(runs, 0, "d.servers") == 4 && cell(runs, 1, "d.servers") == 8);
    assert_true(cell(runs, 0, "tasks.rate") == 20 && cell(runs, 0, "tasks.spike") == 3);
    assert_true(cell(runs, 0, "tasks.p99") == 0.5);
    assert_true(slice_eq_cstr(dataset_source(runs, 1), "live:seed=1"));
    // In a window the load is what came, the spike within it.
    assert_int_equal(dataset_rows(windows), 1);
    assert_true(cell(windows, 0, "tasks.rate") == 58 && isnan(cell(windows, 0, "tasks.spike")));
    assert_int_equal(dataset_at(windows, 0), 7);

    change(box, sys, "a->d.retry.attempts=2");
    Dataset *none = dataset_create();
    assert_ok(box, observed_load(none, ledger, sys, OBSERVED_RUNS, &box->e));
    assert_int_equal(dataset_rows(none), 0);
    dataset_destroy(none);
    dataset_destroy(windows);
    dataset_destroy(runs);
    arena_destroy(arena);
    ledger_close(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_which_rows_belong_together, sandbox_setup,
                                        sandbox_teardown),
        cmocka_unit_test_setup_teardown(test_rows_come_back, sandbox_setup, sandbox_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
