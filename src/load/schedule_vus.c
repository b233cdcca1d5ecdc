// ramping-vus: the planned number of VUs as a function of time and as a sequence of steps.
//
// k6 places the steps with whole-number division: with `left` VUs to go until the target of a
// stage, the step is at end - duration * left / |to - from|, rounded towards the end. Both forms
// below follow from that one rule, so they agree to the nanosecond.
#include "load/schedule.h"

#include <assert.h>

typedef __int128 Wide;

static int64_t distance(int64_t a, int64_t b)
{
    return a < b ? b - a : a - b;
}

VuCursor vu_cursor(const PlanScenario *scenario)
{
    assert(scenario->executor == EXECUTOR_RAMPING_VUS);
    return (VuCursor){.scenario = scenario, .from = scenario->start_vus};
}

// The next step inside the current stage; false when its target is reached.
static bool next_in_stage(VuCursor *c, const PlanStage *stage, VuStep *ret)
{
    if (c->vus == stage->target) {
        return false;
    }
    int64_t end_ns = c->stage_start_ns + stage->duration_ns;
    if (stage->duration_ns == 0) {
        *ret = (VuStep){end_ns, stage->target};
        return true;
    }
    int64_t vus = c->vus < stage->target ? c->vus + 1 : c->vus - 1;
    int64_t left = distance(vus, stage->target);
    Wide before_end = (Wide)stage->duration_ns * left / distance(c->from, stage->target);
    *ret = (VuStep){end_ns - (int64_t)before_end, vus};
    return true;
}

bool vu_cursor_next(VuCursor *c, VuStep *ret)
{
    const PlanScenario *p = c->scenario;
    if (!c->started) {
        c->started = true;
        c->vus = p->start_vus;
        *ret = (VuStep){0, c->vus};
        return true;
    }
    for (; c->stage < p->stage_count; c->stage++) {
        const PlanStage *stage = &p->stages[c->stage];
        if (next_in_stage(c, stage, ret)) {
            c->vus = ret->vus;
            return true;
        }
        c->stage_start_ns += stage->duration_ns;
        c->from = stage->target;
    }
    if (c->ended || c->vus == 0) {
        return false;
    }
    c->ended = true;
    c->vus = 0;
    *ret = (VuStep){c->stage_start_ns, 0};
    return true;
}

// The number of VUs that a stage plans `left_ns` before its end; 0 < left_ns <= duration.
static int64_t vus_in_stage(int64_t from, const PlanStage *stage, int64_t left_ns)
{
    Wide product = (Wide)left_ns * distance(from, stage->target);
    int64_t left = (int64_t)((product + stage->duration_ns - 1) / stage->duration_ns);
    return from < stage->target ? stage->target - left : stage->target + left;
}

int64_t vus_planned(const PlanScenario *p, int64_t at_ns)
{
    assert(p->executor == EXECUTOR_RAMPING_VUS);
    int64_t from = p->start_vus, end_ns = 0;
    if (at_ns < 0) {
        return 0;
    }
    for (size_t i = 0; i < p->stage_count; i++) {
        end_ns += p->stages[i].duration_ns;
        if (at_ns < end_ns) {
            return vus_in_stage(from, &p->stages[i], end_ns - at_ns);
        }
        from = p->stages[i].target;
    }
    return 0;
}

// The highest planned number in [from_ns, to_ns], counting from after any jump at from_ns: at one
// of the two ends, or where a stage ends.
static int64_t highest_between(const PlanScenario *p, int64_t from_ns, int64_t to_ns)
{
    int64_t highest = vus_planned(p, from_ns), at_ns = 0;
    int64_t last = vus_planned(p, to_ns);
    highest = last > highest ? last : highest;
    for (size_t i = 0; i < p->stage_count && at_ns <= to_ns; i++) {
        at_ns += p->stages[i].duration_ns;
        // The step to a target is taken at the very end of its stage, where a jump may follow.
        if (at_ns > from_ns && at_ns <= to_ns && p->stages[i].target > highest) {
            highest = p->stages[i].target;
        }
    }
    return highest;
}

int64_t vus_reserved(const PlanScenario *p, int64_t at_ns)
{
    int64_t end_ns = scenario_duration_ns(p);
    if (at_ns < 0 || at_ns >= end_ns + p->graceful_stop_ns) {
        return 0;
    }
    int64_t from_ns = at_ns - p->graceful_ramp_down_ns;
    // Behind the end: those who were leaving have gracefulRampDown from when they left, everybody
    // else gracefulStop from the end.
    int64_t to_ns = at_ns < end_ns ? at_ns : end_ns - 1;
    return highest_between(p, from_ns < to_ns ? from_ns : to_ns, to_ns);
}
