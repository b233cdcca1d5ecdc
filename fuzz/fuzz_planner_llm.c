// Answers of a language model: whatever it says, what comes out are plans that their owners allow,
// within the planner's reach, that can be applied, with words that cannot drive a terminal.
#include <assert.h>

#include "manage/planner_llm.h"

static const char SYSTEM[] = "version = 1\n[[agents.b.calls]]\nto = [\"c\", \"d\"]\n"
                             "[agents.c]\nservers = 4\nservice = \"100ms\"\n"
                             "range = {\"servers\" = [1, 9], \"limit.value\" = [1, 50]}\n"
                             "[agents.d]\n[[edges]]\nfrom = \"b\"\nto = \"c\"\n"
                             "range = {\"retry.attempts\" = [1, 4], "
                             "\"timeout.attempt\" = [\"100ms\", \"30s\"]}\n"
                             "[[edges]]\nfrom = \"x\"\nto = \"b\"\n"
                             "range = {\"retry.attempts\" = [1, 3]}\n"
                             "[clients.x]\nto = \"b\"\nrate = 3.0\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(Arena *arena, const PlanContext *context, const Plan *plan)
{
    System *after = NULL;
    assert(plan->count + plan->program_count > 0);
    for (uint32_t i = 0; i < plan->count; i++) {
        assert(system_allowed(context->view, &plan->changes[i], NULL) == 0);
        assert(plan_reach(context, plan->changes[i].what) != REACH_NONE);
    }
    assert(plan_apply(arena, context->view, plan, &after, NULL) == 0);
    const Slice words[] = {plan->title, plan->reason};
    for (int k = 0; k < 2; k++) {
        assert(words[k].len > 0 && words[k].len <= PLANNER_LLM_WORDS_MAX);
        for (size_t i = 0; i < words[k].len; i++) {
            assert((unsigned char)words[k].ptr[i] >= ' ' && words[k].ptr[i] != 0x7f);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *arena = arena_create(64 << 20);
    System *sys = NULL;
    int rc = system_parse(arena, SLICE(SYSTEM), "system", &sys, NULL);
    assert(rc == 0);
    PlanContext context = {.view = sys,
                           .self = (uint32_t)system_find_agent(sys, SLICE("b")),
                           .reach = 1,
                           .plans_max = PLANS_MAX};
    PlanList list = {0};
    size_t dropped = 0;
    Err e = {0};
    rc = planner_llm_read(arena, &context, (Slice){(const char *)data, size}, &list, &dropped, &e);
    assert(rc == 0 || (rc == ERR_PROTOCOL && e.text[0] && list.count == 0));
    assert(list.count <= PLANNER_LLM_PROPOSALS_MAX);
    for (size_t i = 0; i < list.count; i++) {
        check(arena, &context, &list.plans[i]);
    }
    arena_destroy(arena);
    return 0;
}
