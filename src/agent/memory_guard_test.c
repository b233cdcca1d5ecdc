#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/memory_guard.h"

static int answer(AgentContext *ctx, const Event *event, State *state)
{
    (void)event, (void)state;
    return agent_reply(ctx, SLICE("1"));
}

static void test_edges(void **state)
{
    (void)state;
    static const struct {
        int64_t resident;
        bool before, after;
    } CASES[] = {
        {999, false, false}, {1000, false, true}, {999, true, true},
        {950, true, true},   {949, true, false},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        assert_int_equal(memory_guard_decide(1000, CASES[i].resident, CASES[i].before),
                         CASES[i].after);
    }
}

// No process has less than a byte: everything is shed. With all the memory there is, nothing.
static void test_events_are_shed(void **state)
{
    (void)state;
    for (int tight = 0; tight < 2; tight++) {
        Runner *runner = NULL;
        MemoryGuard *guard = NULL;
        Err e = {0};
        assert_int_equal(runner_create(&(RunnerOptions){.shards = 1}, &runner, &e), 0);
        AgentSpec spec = {.name = SLICE("a"), .run = answer};
        assert_int_equal(runner_register(runner, &spec, NULL, &e), 0);
        assert_int_equal(runner_start(runner, &e), 0);
        assert_int_equal(memory_guard_start(runner, tight ? 1 : INT64_MAX, &guard, &e), 0);
        AgentResult result = {0};
        EventSpec event = {.target = SLICE("a")};
        int rc = runner_call(runner, &event, NULL, &result, &e);
        assert_int_equal(rc, tight ? ERR_FULL : 0);
        assert_int_equal(runner_counts(runner).shed, tight);
        agent_result_done(&result);
        memory_guard_stop(guard);
        (void)runner_stop(runner, NS_PER_S);
        runner_destroy(runner);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_events_are_shed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
