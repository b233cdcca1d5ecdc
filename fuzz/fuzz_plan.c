// Plans: YAML to a Plan. Every mistake has words and a place; a plan that is taken keeps the
// invariants that the engine relies on; and flags over it never break it.
#include "load/plan_flags.h"
#include "load/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz plan: %s", what);
    }
}

static void check_steps(const Plan *plan, const PlanStep *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const PlanStep *s = &steps[i];
        require(s->weight >= 0, "a negative weight");
        require(s->kind != STEP_REQUEST || (s->request >= plan->requests &&
                                            s->request < plan->requests + plan->request_count),
                "a request from elsewhere");
        require(s->think.a_ns >= 0 && s->think.b_ns >= 0, "a negative pause");
        check_steps(plan, s->steps, s->step_count);
    }
}

static void check_scenario(const Plan *plan, const PlanScenario *s)
{
    require(s->name.len > 0 && s->step_count > 0, "a scenario that does nothing");
    require(s->max_vus > 0 && s->max_vus <= SCHEDULE_VUS_MAX, "VUs out of range");
    require(s->start_time_ns >= 0 && s->graceful_stop_ns >= 0, "a negative time");
    require(scenario_duration_ns(s) >= 0, "a negative duration");
    if (s->executor == EXECUTOR_CONSTANT_ARRIVAL_RATE ||
        s->executor == EXECUTOR_RAMPING_ARRIVAL_RATE) {
        require(s->time_unit_ns > 0, "no time unit");
        require(scenario_iterations(s) >= 0, "a negative count");
    }
    check_steps(plan, s->steps, s->step_count);
}

static void check_plan(const Plan *plan)
{
    for (size_t i = 0; i < plan->scenario_count; i++) {
        check_scenario(plan, &plan->scenarios[i]);
    }
    for (size_t i = 0; i < plan->request_count; i++) {
        const PlanRequest *q = &plan->requests[i];
        require(q->name.len > 0 && q->method.len > 0 && q->url.part_count > 0, "half a request");
        require(q->timeout_ns > 0 && q->index == i, "a request's numbers");
    }
    require(plan_vus_max(plan) > 0 && plan_duration_with_stops_ns(plan) >= 0, "the plan's size");
    require(plan->canonical_json.len > 0, "no canonical form");
}

static void read_one(Arena *arena, const Doc *doc)
{
    PlanMistakes mistakes;
    const Plan *plan = NULL;
    Err e = {0};
    int rc = plan_parse(arena, doc, &(PlanOptions){.folder = "/nonexistent"}, &plan, &mistakes, &e);
    for (size_t i = 0; i < mistakes.count; i++) {
        int line = 0, column = 0;
        Slice text = mistakes.items[i].text;
        bool flag = slice_starts_with(text, SLICE(PLAN_FLAGS_SOURCE));
        require(flag || sscanf(text.ptr, "f:%d:%d: ", &line, &column) == 2, "a mistake nowhere");
        require(flag || (line > 0 && column > 0), "a mistake without a place");
    }
    require((rc == 0) == (mistakes.errors == 0), "mistakes do not match the result");
    require(rc == 0 || e.text[0] != 0, "no words");
    if (rc == 0) {
        check_plan(plan);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { TEXT_MAX = 16 << 10 };
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create((size_t)256 << 20);
    DocOptions o = {.format = DOC_FORMAT_YAML, .source = "f", .max_nodes = PLAN_NODES_MAX};
    const Doc *doc = NULL, *merged = NULL;
    PlanFlags flags = {.vus = 2, .duration_ns = 1000000000};
    if (doc_parse(arena, (Slice){(const char *)data, size}, &o, &doc, NULL) == 0) {
        read_one(arena, doc);
        if (plan_flags_apply(arena, &flags, doc, &merged, NULL) == 0) {
            read_one(arena, merged);
        }
    }
    arena_destroy(arena);
    return 0;
}
