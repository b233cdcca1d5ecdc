// Does it come back? Systems whose answer is known: by capacity, by the pipeline's study (reference
// rows: the slides' fix without cancellation stays down after a 15 s 3x spike at every load tried,
// with cancellation it recovers), and a station that metafor's chain calls metastable.
#include "model/stability.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static System *pipeline(Arena *arena, const char *const *changes)
{
    const char *root = getenv("PW_SOURCE_ROOT");
    Slice path = arena_printf(arena, "%s/examples/codegen-pipeline/system.toml", root ? root : ".");
    System *sys = NULL;
    Err e = {0};
    if (system_load(arena, path.ptr, &sys, &e) != 0) {
        fail_msg("%s", e.text);
    }
    for (size_t i = 0; changes[i]; i++) {
        SystemChange c;
        if (system_parse_change(sys, slice_from_cstr(changes[i]), &c, &e) != 0 ||
            system_set(sys, &c, &e) != 0) {
            fail_msg("%s", e.text);
        }
    }
    return sys;
}

#define PATIENT                                                                                    \
    "a->b.timeout.attempt=10s", "a->b.retry.attempts=1", "builds->b.timeout.attempt=10s",          \
        "builds->b.retry.attempts=1"
#define SLIDES                                                                                     \
    PATIENT, "b->c.timeout.attempt=1s", "b->c.retry.attempts=4", "b->d.timeout.attempt=3s",        \
        "b->d.retry.attempts=2"
#define CANCEL                                                                                     \
    "a->b.cancel.propagate=true", "builds->b.cancel.propagate=true", "b->c.cancel.propagate=true", \
        "b->d.cancel.propagate=true"

static const char *const AS_IT_IS[] = {NULL}, *const LITERAL[] = {SLIDES, NULL},
                         *const WITH_CANCEL[] = {SLIDES, CANCEL, NULL},
                         *const TOO_MANY[] = {SLIDES, CANCEL, "b->d.retry.attempts=4", NULL},
                         *const NO_RETRY[] = {PATIENT, NULL};

static Stability check(const char *const *changes, uint64_t seed)
{
    Arena *arena = arena_create((size_t)256 << 20);
    Stability s;
    Err e = {0};
    StabilityOptions options = {.seed = seed, .threads = 2};
    if (stability_check(arena, pipeline(arena, changes), &options, &s, &e) != 0) {
        fail_msg("%s", e.text);
    }
    print_message("%s: %.*s (%.0f ms)\n", STABILITY_NAMES[s.verdict], SLICE_FMT(s.reason),
                  (double)s.took_ns / 1e6);
    s.reason = (Slice){0};
    arena_destroy(arena);
    return s;
}

static void the_pipeline(void **state)
{
    (void)state;
    Stability s = check(LITERAL, 7);
    assert_int_equal(s.verdict, STABILITY_COLLAPSES);
    assert_true(s.bistable);
    s = check(WITH_CANCEL, 7);
    assert_int_equal(s.verdict, STABILITY_RECOVERS);
    assert_true(s.at_least > 0.5);
    assert_true(s.recovery.value > 0 && isfinite(s.recovery.value));
    // Cancellation is not enough for any number of retries: with three at D its servers are busy
    // with work that is cut before it ends.
    s = check(TOO_MANY, 7);
    assert_int_equal(s.verdict, STABILITY_COLLAPSES);
    s = check(NO_RETRY, 7);
    assert_int_equal(s.verdict, STABILITY_RECOVERS);
    s = check(AS_IT_IS, 7);
    assert_int_equal(s.verdict, STABILITY_UNFIT);
}

static Stability station(const char *policy, const StabilityOptions *options)
{
    Arena *arena = arena_create((size_t)256 << 20);
    System *sys = NULL;
    Err e = {0};
    Stability s;
    Slice text = arena_printf(
        arena,
        "version = 1\n[agents.d]\nservers = 4\nservice = {dist = \"exponential\", mean = "
        "\"400ms\"}\n"
        "[[edges]]\nfrom = \"c\"\nto = \"d\"\n[edges.policy]\n%s\n[clients.c]\nto = \"d\"\n"
        "rate = 7.0\n[objectives.c]\nwithin = \"5s\"\ngoodput = 0.9\n",
        policy);
    if (system_parse(arena, text, "test", &sys, &e) != 0 ||
        stability_check(arena, sys, options, &s, &e) != 0) {
        fail_msg("%s", e.text);
    }
    s.reason = (Slice){0};
    arena_destroy(arena);
    return s;
}

static void one_station_and_its_chain(void **state)
{
    (void)state;
    static const char RETRIES[] = "timeout = {attempt = \"3s\"}\n"
                                  "retry = {attempts = 4, budget = 0.0, backoff = \"0s\"}\n"
                                  "cancel = {propagate = false}";
    StabilityOptions options = {.seed = 3};
    Stability s = station(RETRIES, &options);
    assert_int_equal(s.verdict, STABILITY_COLLAPSES);
    assert_true(s.escape_s > 10 * s.drain_s); // the chain says so as well
    s = station("timeout = {attempt = \"3s\"}\ncancel = {propagate = true}", &options);
    assert_int_equal(s.verdict, STABILITY_RECOVERS);
    // Half of the servers gone for a while: load 1.4 of what is left.
    options = (StabilityOptions){.seed = 3, .lose = 2};
    s = station("timeout = {attempt = \"3s\"}\ncancel = {propagate = true}", &options);
    assert_int_equal(s.verdict, STABILITY_RECOVERS);
    s = station(RETRIES, &options);
    assert_int_equal(s.verdict, STABILITY_COLLAPSES);
    // The time that the backlog takes: (3 * .7 - 1) * 15 s / .3.
    options = (StabilityOptions){.seed = 3, .seeds_max = 1};
    s = station(RETRIES, &options);
    assert_true(fabs(s.drain_s - 1.1 * 15 / 0.3) < 1e-6);
    assert_int_equal(s.seeds, 1);
    assert_int_equal(s.verdict, STABILITY_UNKNOWN); // one seed decides nothing
}

static void what_cannot_be_asked(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    System *sys = NULL;
    Err e = {0};
    Stability s;
    assert_int_equal(system_parse(arena,
                                  SLICE("version = 1\n[agents.d]\nservice = \"1s\"\n"
                                        "[clients.c]\nto = \"d\"\nrate = 1.0\n"),
                                  "test", &sys, &e),
                     0);
    assert_int_equal(stability_check(arena, sys, NULL, &s, &e), ERR_ARG);
    StabilityOptions many = {.seeds_max = STABILITY_SEEDS_MAX + 1};
    assert_int_equal(stability_check(arena, sys, &many, &s, &e), ERR_ARG);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pipeline),
        cmocka_unit_test(one_station_and_its_chain),
        cmocka_unit_test(what_cannot_be_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
