#include "manage/plan.h"

#include "manage/manage_test.h"
#include "manage/plan_message.h"
#include "manage/planner.h"

static Arena *arena;
static System *sys;

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(64 << 20);
    sys = system_of(arena, PIPELINE_TEXT);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static Plan plan_of(const char *const *changes, size_t count)
{
    Plan plan = {0};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(plan_add(&plan, change_of(sys, changes[i]), NULL), 0);
    }
    return plan;
}

static void test_same_parameter_is_replaced(void **state)
{
    (void)state;
    const char *const TEXTS[] = {"a->b.retry.attempts=2", "d.servers=20", "a->b.retry.attempts=1"};
    Plan plan = plan_of(TEXTS, 3);
    assert_int_equal(plan.count, 2);
    assert_int_equal(plan.changes[0].value.integer, 1);
}

static void test_too_many_changes(void **state)
{
    (void)state;
    Plan plan = {0};
    Err e = {0};
    for (uint16_t p = 0; p < PLAN_CHANGES_MAX; p++) {
        SystemChange change = {{PLACE_EDGE, 0, p}, {0}};
        assert_int_equal(plan_add(&plan, change, &e), 0);
    }
    SystemChange more = {{PLACE_EDGE, 0, PLAN_CHANGES_MAX}, {0}};
    assert_int_equal(plan_add(&plan, more, &e), ERR_LIMIT);
    SystemChange same = {{PLACE_EDGE, 0, 3}, {.integer = 9}};
    assert_int_equal(plan_add(&plan, same, &e), 0);
}

static void test_hash_does_not_know_the_order(void **state)
{
    (void)state;
    const char *const ONE[] = {"a->b.retry.attempts=2", "d.servers=20"};
    const char *const OTHER[] = {"d.servers=20", "a->b.retry.attempts=2"};
    const char *const MORE[] = {"d.servers=21", "a->b.retry.attempts=2"};
    Plan one = plan_of(ONE, 2), other = plan_of(OTHER, 2), more = plan_of(MORE, 2);
    assert_true(plan_hash(sys, &one) == plan_hash(sys, &other));
    assert_true(plan_hash(sys, &one) != plan_hash(sys, &more));
    assert_true(plan_hash(sys, &(Plan){0}) != 0);
}

static void test_limits(void **state)
{
    (void)state;
    const char *const TEXTS[] = {"a->b.retry.attempts=2", "d.servers=20"};
    Plan plan = plan_of(TEXTS, 2);
    PlanLimit servers = {.what = plan.changes[1].what, .low = 18, .high = 20};
    assert_true(plan_keeps(sys, &plan, &servers, 1, NULL));
    servers.high = 19;
    const PlanLimit *broken = NULL;
    assert_false(plan_keeps(sys, &plan, &servers, 1, &broken));
    assert_ptr_equal(broken, &servers);
    PlanLimit refused = {.refused = plan_hash(sys, &plan)};
    assert_false(plan_keeps(sys, &plan, &refused, 1, NULL));
    plan.changes[1].value.integer = 21;
    assert_true(plan_keeps(sys, &plan, &refused, 1, NULL));
}

static void test_apply_and_trim(void **state)
{
    (void)state;
    const char *const TEXTS[] = {"a->b.retry.attempts=4", "d.servers=20"};
    Plan plan = plan_of(TEXTS, 2);
    System *after = NULL;
    Err e = {0};
    assert_int_equal(plan_apply(arena, sys, &plan, &after, &e), 0);
    assert_int_equal(after->agents[3].servers, 20);
    assert_int_equal(sys->agents[3].servers, 18);
    plan_trim(sys, &plan); // four attempts are there already
    assert_int_equal(plan.count, 1);
}

static void test_owners(void **state)
{
    (void)state;
    const char *const TEXTS[] = {"a->b.retry.attempts=1", "b->c.retry.attempts=2",
                                 "b->d.retry.attempts=2", "builds->b.retry.attempts=1"};
    Plan plan = plan_of(TEXTS, 4);
    uint32_t owners[PLAN_CHANGES_MAX];
    assert_int_equal(plan_owners(sys, &plan, owners), 3);
    assert_int_equal(owners[0], 0);
    assert_int_equal(owners[1], 1);
    assert_int_equal(owners[2], SYSTEM_FROM_CLIENT | 1);
}

static void test_json_round_trip(void **state)
{
    (void)state;
    const char *const TEXTS[] = {"a->b.timeout.attempt=2500ms", "b->d.cancel.propagate=false"};
    Plan plan = plan_of(TEXTS, 2), back;
    Err e = {0};
    assert_int_equal(plan_add_program(arena, sys, &plan, SLICE("d"), SLICE("x = 1"), &e), 0);
    Buf text = buf_create(1 << 16);
    JsonWriter w = json_writer(&text, 0);
    plan_write_json(sys, &plan, &w);
    const Doc *doc = NULL;
    assert_int_equal(doc_parse(arena, buf_slice(&text), NULL, &doc, &e), 0);
    assert_int_equal(plan_read(arena, sys, doc, &back, &e), 0);
    assert_true(plan_hash(sys, &plan) == plan_hash(sys, &back));
    assert_int_equal(back.program_count, 1);
    buf_done(&text);
}

// A hostile or mistaken plan is refused with words, at its place.
static void test_bad_documents(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "[]",
        "{\"changes\": {\"a->b.retry.attempt\": 2}}",
        "{\"changes\": {\"a->x.retry.attempts\": 2}}",
        "{\"changes\": {\"a->b.retry.attempts\": \"many\"}}",
        "{\"changes\": {\"a->b.retry.attempts\": 1e9}}",
        "{\"changes\": {}, \"system\": \"rm\"}",
        "{\"programs\": {\"nobody\": \"x = 1\"}}",
        "{\"programs\": {\"d\": 7}}",
        "{\"programs\": {\"a\": \"1\", \"b\": \"1\", \"c\": \"1\", \"d\": \"1\", \"a->b\": \"1\"}}",
    };
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        const Doc *doc = NULL;
        Plan plan;
        Err e = {0};
        assert_int_equal(doc_parse(arena, slice_from_cstr(BAD[i]), NULL, &doc, &e), 0);
        if (plan_read(arena, sys, doc, &plan, &e) == 0 || e.text[0] == '\0') {
            fail_msg("accepted: %s", BAD[i]);
        }
    }
}

static void test_over_the_wire(void **state)
{
    (void)state;
    const char *const TEXTS[] = {"a->b.timeout.attempt=2500ms", "b->c.retry.attempts=3"};
    Plan plan = plan_of(TEXTS, 2), back;
    Err e = {0};
    assert_int_equal(plan_add_program(arena, sys, &plan, SLICE("b->c"), SLICE("y = 2"), &e), 0);
    MessageChange changes[PLAN_CHANGES_MAX + PLAN_PROGRAMS_MAX];
    uint32_t owners[PLAN_CHANGES_MAX + PLAN_PROGRAMS_MAX];
    size_t count = plan_to_changes(arena, sys, &plan, changes, owners);
    assert_int_equal(count, 3);
    assert_int_equal(owners[0], 0);
    assert_int_equal(owners[1], 1);
    assert_int_equal(owners[2], 1);
    assert_true(slice_eq_cstr(changes[2].param, "b->c.program"));
    assert_int_equal(plan_from_changes(arena, sys, changes, count, &back, &e), 0);
    assert_true(plan_hash(sys, &plan) == plan_hash(sys, &back));

    PlanDocument said = {.plan = plan, .client = 0, .measure = MEASURE_P99, .limit = 4}, heard;
    Slice json = plan_document_write(arena, sys, &said);
    assert_int_equal(plan_document_read(arena, sys, json, &heard, &e), 0);
    assert_true(plan_hash(sys, &plan) == plan_hash(sys, &heard.plan));
    assert_int_equal(heard.client, 0);
    assert_int_equal(heard.measure, MEASURE_P99);
    assert_int_equal(plan_document_read(arena, sys, (Slice){NULL, 0}, &heard, &e), 0);
    assert_int_equal(heard.client, UINT32_MAX);
    assert_true(plan_document_read(arena, sys, SLICE("{\"client\": \"x\"}"), &heard, &e) != 0);
}

static void test_constraints_become_limits(void **state)
{
    (void)state;
    static const struct {
        const char *subject, *value;
        ConstraintOp op;
        bool known;
        double low, high;
    } ROWS[] = {
        {"a->b.retry.attempts", "2", CONSTRAINT_AT_MOST, true, -1e300, 2},
        {"a->b.timeout.attempt", "2s", CONSTRAINT_AT_LEAST, true, 2e9, 1e300},
        {"d.servers", "18", CONSTRAINT_EQUAL, true, 18, 18},
        {"a->b.retry.attempts", "", CONSTRAINT_UNCHANGED, true, 4, 4},
        {"tasks.p99", "4", CONSTRAINT_AT_MOST, false, 0, 0},
        {"a->b.retry.attempts", "few", CONSTRAINT_AT_MOST, false, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        MessageConstraint c = {slice_from_cstr(ROWS[i].subject), ROWS[i].op,
                               slice_from_cstr(ROWS[i].value)};
        PlanLimit limit;
        assert_int_equal(plan_limit_of(sys, &c, &limit), ROWS[i].known);
        if (ROWS[i].known) {
            assert_true(limit.low <= ROWS[i].low || limit.low == ROWS[i].low);
            assert_true(limit.high >= ROWS[i].high || limit.high == ROWS[i].high);
        }
    }
}

// Own parameters in detail, neighbours' as a wish, nothing else; and nothing without a range.
static void test_reach(void **state)
{
    (void)state;
    static const struct {
        const char *change;
        uint32_t self, reach;
        PlanReach want;
    } ROWS[] = {
        {"a->b.retry.attempts=1", 0, 0, REACH_DETAIL},
        {"b->c.retry.attempts=1", 0, 0, REACH_NONE},
        {"b->c.retry.attempts=1", 0, 1, REACH_WISH},
        {"a->b.retry.attempts=1", 1, 1, REACH_WISH},
        {"d.servers=20", 0, 1, REACH_NONE},
        {"d.servers=20", 1, 1, REACH_WISH},
        {"d.servers=20", 3, 0, REACH_DETAIL},
        {"b->d.retry.attempts=1", 1, 1, REACH_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        PlanContext context = {.view = sys, .self = ROWS[i].self, .reach = ROWS[i].reach};
        assert_int_equal(plan_reach(&context, change_of(sys, ROWS[i].change).what), ROWS[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_parameter_is_replaced),
        cmocka_unit_test(test_too_many_changes),
        cmocka_unit_test(test_hash_does_not_know_the_order),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_apply_and_trim),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_json_round_trip),
        cmocka_unit_test(test_bad_documents),
        cmocka_unit_test(test_over_the_wire),
        cmocka_unit_test(test_constraints_become_limits),
        cmocka_unit_test(test_reach),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
