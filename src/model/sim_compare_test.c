#include "model/sim_compare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static Arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(512 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

// Four servers for a load of 3.2; a request that waits too long is asked again, and nobody is told.
static const char STATION[] =
    "version = 1\n"
    "[agents]\n"
    "s = {servers = 4, service = {dist = \"exponential\", mean = \"100ms\"}}\n"
    "[[edges]]\n"
    "from = \"c\"\n"
    "to = \"s\"\n"
    "policy = {cancel = {propagate = false}, retry = {budget = 0.0, backoff = \"0s\"}}\n"
    "[clients.c]\n"
    "to = \"s\"\n"
    "rate = 32\n"
    "[objectives.c]\n"
    "within = \"2s\"\n"
    "goodput = 0.95\n"
    "p99 = \"500ms\"\n";

static System *station(void)
{
    System *sys = NULL;
    Err e = {0};
    if (system_parse(arena, SLICE(STATION), "s.toml", &sys, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return sys;
}

enum { CANDIDATES = 8 };

// More servers are better; asking again after 150 ms without telling anyone lets it collapse.
static void make_candidates(const System *sys, SimCandidate *candidates)
{
    static const char *const texts[CANDIDATES][3] = {
        {"s.servers=4"},
        {"s.servers=5"},
        {"s.servers=6"},
        {"s.servers=9"},
        {"c->s.timeout.attempt=150ms", "c->s.retry.attempts=4"},
        {"c->s.timeout.attempt=150ms", "c->s.retry.attempts=5", "s.servers=5"},
        {NULL},
        {"s.servers=7"},
    };
    for (size_t i = 0; i < CANDIDATES; i++) {
        SystemChange *changes = ARENA_ARRAY(arena, SystemChange, 3);
        size_t count = 0;
        for (; count < 3 && texts[i][count]; count++) {
            Err e = {0};
            if (system_parse_change(sys, slice_from_cstr(texts[i][count]), &changes[count], &e)) {
                fail_msg("%s", e.text);
            }
        }
        candidates[i] = (SimCandidate){changes, count};
    }
}

static SimRank *compare(const System *sys, const SimCandidate *candidates, size_t count,
                        const SimCompareOptions *o)
{
    SimRank *ranks = NULL;
    Err e = {0};
    if (sim_compare(arena, sys, candidates, count, o, &ranks, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return ranks;
}

static const SimCompareOptions SHORT = {.sim = {.seed = 4,
                                                .horizon_ns = 120 * NS_PER_SECOND,
                                                .warmup_ns = 20 * NS_PER_SECOND,
                                                .replications = 4}};

static void test_ranking(void **state)
{
    (void)state;
    System *sys = station();
    SimCandidate candidates[CANDIDATES];
    make_candidates(sys, candidates);
    SimRank *ranks = compare(sys, candidates, CANDIDATES, &SHORT);
    assert_int_equal(ranks[0].candidate, 3); // nine servers
    assert_int_equal(ranks[1].candidate, 7);
    assert_int_equal(ranks[0].fate, SIM_KEPT);
    assert_int_equal(ranks[0].result->run_count, 4);
    assert_true(ranks[0].difference.value == 0);
    assert_int_equal(ranks[2].candidate, 2);
    for (size_t i = 0; i < CANDIDATES; i++) {
        bool storm = ranks[i].candidate == 4 || ranks[i].candidate == 5;
        assert_int_equal(storm, ranks[i].fate == SIM_COLLAPSE);
        assert_true(!storm || ranks[i].result->run_count == 1);
        assert_true(ranks[i].difference.value >= 0);
    }
    // Equal candidates meet equal luck: 0 and 6 are the system as it is.
    double score[CANDIDATES];
    for (size_t i = 0; i < CANDIDATES; i++) {
        score[ranks[i].candidate] = ranks[i].result->runs[0].outcome->clients[0].p99.value;
    }
    assert_true(score[0] == score[6]);
}

static double most_servers(void *context, const System *sys, const SimRun *run)
{
    (void)context;
    (void)run;
    return -(double)sys->agents[0].servers;
}

static void test_own_score_and_refused(void **state)
{
    (void)state;
    System *sys = station();
    SimCandidate candidates[CANDIDATES];
    make_candidates(sys, candidates);
    SystemChange bad = candidates[0].changes[0];
    bad.value.integer = -3;
    candidates[1] = (SimCandidate){&bad, 1};
    SimCompareOptions o = SHORT;
    o.score = most_servers;
    SimRank *ranks = compare(sys, candidates, CANDIDATES, &o);
    assert_int_equal(ranks[0].candidate, 3);
    assert_int_equal(ranks[CANDIDATES - 1].candidate, 1);
    assert_int_equal(ranks[CANDIDATES - 1].fate, SIM_REFUSED);
    assert_null(ranks[CANDIDATES - 1].result);
}

static void test_options(void **state)
{
    (void)state;
    System *sys = station();
    SimCandidate one = {0};
    SimRank *ranks;
    Err e = {0};
    assert_int_equal(sim_compare(arena, sys, &one, 0, &SHORT, &ranks, &e), ERR_ARG);
    assert_int_equal(sim_compare(arena, sys, &one, SIM_CANDIDATES_MAX + 1, &SHORT, &ranks, &e),
                     ERR_ARG);
    assert_int_equal(
        sim_compare(arena, sys, &one, 1, &(SimCompareOptions){.confidence = 1}, &ranks, &e),
        ERR_ARG);
    ranks = compare(sys, &one, 1, &SHORT);
    assert_int_equal(ranks[0].fate, SIM_KEPT);
    assert_int_equal(ranks[0].result->run_count, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranking),
        cmocka_unit_test(test_own_score_and_refused),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
