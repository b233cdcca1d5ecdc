#include "manage/validate.h"

#include <stdlib.h>

#include "manage/manage_test.h"
#include "os/clock.h"

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

static System *example(void)
{
    const char *root = getenv("PW_SOURCE_ROOT");
    if (root == NULL) {
        skip();
    }
    System *sys = NULL;
    Err e = {0};
    Slice path = arena_printf(arena, "%s/examples/codegen-pipeline/system.toml", root);
    if (system_load(arena, path.ptr, &sys, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return sys;
}

static Plan *plan_of(const System *sys, const char *const *changes)
{
    Plan *plan = ARENA_NEW(arena, Plan);
    plan->title = SLICE("as in the test");
    for (size_t i = 0; changes[i] != NULL; i++) {
        assert_int_equal(plan_add(plan, change_of(sys, changes[i]), NULL), 0);
    }
    return plan;
}

static ValidateAsk ask_about(const System *sys, const Plan *plans, size_t count)
{
    return (ValidateAsk){.view = sys,
                         .plans = plans,
                         .count = count,
                         .self = 0,
                         .purpose = 0,
                         .seed = 11,
                         .horizon_ns = 120 * NS_PER_S,
                         .replications = 2,
                         .threads = 1};
}

static Validation validated(const ValidateAsk *ask)
{
    Validation v;
    Err e = {0};
    if (validate(arena, ask, &v, &e) != 0) {
        fail_msg("%s", e.text);
    }
    assert_int_equal(v.count, ask->count);
    return v;
}

#define UPSTREAM                                                                                   \
    "a->b.retry.attempts=1", "a->b.timeout.attempt=10s", "builds->b.retry.attempts=1",             \
        "builds->b.timeout.attempt=10s"

// The slides' fix as it is written down: retry at B, 1 s for C and 3 s for D. In steady state it is
// fine (reference figures: goodput 1.0 without a spike, 0 after one); a spike shows what it is
// worth.
static const char *const LITERAL[] = {UPSTREAM,
                                      "b->c.timeout.attempt=1s",
                                      "b->c.retry.attempts=4",
                                      "b->d.timeout.attempt=3s",
                                      "b->d.retry.attempts=2",
                                      NULL};

static void test_literal_fix(void **state)
{
    (void)state;
    System *sys = example();
    ValidateAsk ask = ask_about(sys, plan_of(sys, LITERAL), 1);
    Validation v = validated(&ask);
    assert_int_equal(v.sound, 0);
    assert_int_equal(v.verdicts[0].kind, VERDICT_REJECTED);
    assert_int_equal(v.verdicts[0].reason, VERDICT_COLLAPSE);
    assert_true(v.verdicts[0].words.len > 0);
    // The cure is known: told that nobody waits, D comes back.
    ask.may_amend = true;
    v = validated(&ask);
    assert_int_equal(v.verdicts[0].kind, VERDICT_AMENDED);
    SystemChange cancel = change_of(sys, "b->d.cancel.propagate=true");
    bool added = false;
    for (uint32_t i = 0; i < v.verdicts[0].plan.count; i++) {
        const SystemChange *c = &v.verdicts[0].plan.changes[i];
        added = added || (c->what.index == cancel.what.index &&
                          c->what.param == cancel.what.param && c->value.boolean);
    }
    assert_true(added);
    // Without the spike nobody would know.
    ask.may_amend = false;
    ask.no_spike = true;
    v = validated(&ask);
    assert_int_equal(v.verdicts[0].kind, VERDICT_ACCEPTED);
}

static void test_fix_with_cancellation(void **state)
{
    (void)state;
    static const char *const FIX[] = {UPSTREAM,
                                      "b->c.timeout.attempt=500ms",
                                      "b->c.retry.attempts=4",
                                      "b->d.timeout.attempt=5s",
                                      "b->d.cancel.propagate=true",
                                      "b->c.cancel.propagate=true",
                                      "a->b.cancel.propagate=true",
                                      "builds->b.cancel.propagate=true",
                                      NULL};
    System *sys = example();
    ValidateAsk ask = ask_about(sys, plan_of(sys, FIX), 1);
    Validation v = validated(&ask);
    assert_int_equal(v.verdicts[0].kind, VERDICT_ACCEPTED);
    const Verdict *best = &v.verdicts[0];
    assert_true(best->outcome->clients[0].p99.value < 3); // the scratch model of the slides: 1.7 s
    assert_true(best->gap.value < v.baseline_gap.value);
    assert_true(best->recovery.value >= 0 && best->recovery.value < 120);
    for (size_t i = 0; i < best->harm_count; i++) {
        assert_false(best->harms[i].harmful);
    }
    Buf text = buf_create(1 << 20);
    JsonWriter w = json_writer(&text, 0);
    verdict_write(sys, best, &w);
    const Doc *doc = NULL;
    Err e = {0};
    assert_int_equal(doc_parse(arena, buf_slice(&text), NULL, &doc, &e), 0);
    assert_non_null(doc_get(doc, SLICE("predicted")));
    buf_done(&text);
}

static void test_refused_before_any_model(void **state)
{
    (void)state;
    System *sys = example();
    static const char *const TOO_MANY[] = {"d.servers=99", NULL};
    static const char *const NOT_OFFERED[] = {"b->c.limit.value=3", NULL};
    static const char *const NOTHING[] = {NULL};
    Plan plans[4] = {*plan_of(sys, TOO_MANY), *plan_of(sys, NOT_OFFERED), *plan_of(sys, NOTHING),
                     *plan_of(sys, LITERAL)};
    PlanLimit refused = {.refused = plan_hash(sys, &plans[3]), .reason = SLICE("once is enough")};
    ValidateAsk ask = ask_about(sys, plans, 4);
    ask.limits = &refused;
    ask.limit_count = 1;
    Validation v = validated(&ask);
    assert_int_equal(v.sound, 0);
    static const VerdictReason WANT[] = {VERDICT_RANGE, VERDICT_RANGE, VERDICT_NO_BETTER,
                                         VERDICT_LIMIT};
    for (size_t i = 0; i < v.count; i++) {
        assert_int_equal(v.verdicts[i].reason, WANT[v.verdicts[i].index]);
        if (v.verdicts[i].index == 0) {
            assert_int_equal(v.verdicts[i].limit_count, 1);
            assert_true(v.verdicts[i].limits[0].high == 72); // what the next plan must keep to
        }
    }
    assert_int_equal(v.stages[3].looked_at, 0);
}

// Two clients of one agent that fails now and then: what helps x by taking y's repetitions away is
// refused in y's name, with the change.
static void test_bystanders(void **state)
{
    (void)state;
    static const char SHARED[] = "version = 1\n"
                                 "name = \"shared\"\n"
                                 "[agents.q]\n"
                                 "servers = 4\n"
                                 "fail = 0.2\n"
                                 "service = {dist = \"exponential\", mean = \"200ms\"}\n"
                                 "[[edges]]\n"
                                 "from = \"y\"\n"
                                 "to = \"q\"\n"
                                 "policy = {retry = {attempts = 4, budget = 0.0}}\n"
                                 "range = {\"retry.attempts\" = [1, 4]}\n"
                                 "[clients.x]\n"
                                 "to = \"q\"\n"
                                 "rate = 3.0\n"
                                 "[clients.y]\n"
                                 "to = \"q\"\n"
                                 "rate = 8.0\n"
                                 "[objectives.x]\n"
                                 "within = \"300ms\"\n"
                                 "goodput = 0.9\n"
                                 "[objectives.y]\n"
                                 "within = \"20s\"\n"
                                 "goodput = 0.95\n";
    static const char *const SELFISH[] = {"y->q.retry.attempts=1", NULL};
    System *sys = system_of(arena, SHARED);
    ValidateAsk ask = ask_about(sys, plan_of(sys, SELFISH), 1);
    ask.self = SYSTEM_FROM_CLIENT | 0;
    ask.no_spike = true;
    Validation v = validated(&ask);
    assert_int_equal(v.verdicts[0].reason, VERDICT_HARM);
    const Harm *harm = &v.verdicts[0].harms[0];
    assert_int_equal(harm->client, 1);
    assert_int_equal(harm->measure, MEASURE_GOODPUT);
    assert_true(harm->before.value > 0.98 && harm->after.value < 0.85 && harm->change.high < 0);
}

static void test_budget(void **state)
{
    (void)state;
    System *sys = example();
    Plan *plans = ARENA_ARRAY(arena, Plan, 200);
    for (int i = 0; i < 200; i++) {
        plans[i] = *plan_of(sys, LITERAL);
        plans[i].changes[1].value.integer = (5000 + 100 * i) * NS_PER_MS;
    }
    ValidateAsk ask = ask_about(sys, plans, 200);
    ask.budget_ns = NS_PER_MS; // enough for next to nothing
    Validation v = validated(&ask);
    assert_false(v.complete);
    assert_int_equal(v.sound, 0); // nothing that nobody could check is sound
    ask.count = PLANS_MAX + 1;
    Err e = {0};
    assert_int_equal(validate(arena, &ask, &v, &e), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literal_fix),
        cmocka_unit_test(test_fix_with_cancellation),
        cmocka_unit_test(test_refused_before_any_model),
        cmocka_unit_test(test_bystanders),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
