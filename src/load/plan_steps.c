// Steps: requests, pauses, choices and groups.
#include "load/plan_read.h"

#include "base/units.h"
#include "load/check.h"

static void read_distribution(PlanReader *r, const Doc *d, PlanThink *ret)
{
    static const Slice names[] = {
        [THINK_CONSTANT] = SLICE_INIT("constant"),       [THINK_UNIFORM] = SLICE_INIT("uniform"),
        [THINK_EXPONENTIAL] = SLICE_INIT("exponential"), [THINK_NORMAL] = SLICE_INIT("normal"),
        [THINK_LOGNORMAL] = SLICE_INIT("lognormal"),
    };
    // Which of mean, deviation, min, max each distribution takes.
    static const unsigned takes[] = {
        [THINK_CONSTANT] = 1,   [THINK_UNIFORM] = 4 | 8,   [THINK_EXPONENTIAL] = 1,
        [THINK_NORMAL] = 1 | 2, [THINK_LOGNORMAL] = 1 | 2,
    };
    static const Slice fields[] = {SLICE_INIT("mean"), SLICE_INIT("deviation"), SLICE_INIT("min"),
                                   SLICE_INIT("max")};
    ThinkFields f = {0};
    if (!plan_fields_read(r, d, "think", &f)) {
        return;
    }
    if (!f.distribution) {
        plan_mistake(r, d,
                     "a think time with fields needs a distribution: constant, uniform, "
                     "exponential, normal or lognormal");
        return;
    }
    int kind = plan_choice(r, f.distribution, "distribution", names, COUNT_OF(names));
    if (kind < 0) {
        return;
    }
    for (unsigned i = 0; i < COUNT_OF(fields); i++) {
        const Doc *m = doc_get(d, fields[i]);
        bool wanted = (takes[kind] >> i & 1) != 0;
        if (wanted && !m) {
            plan_mistake(r, d, "%.*s needs `%.*s`", SLICE_FMT(names[kind]), SLICE_FMT(fields[i]));
        } else if (!wanted && m) {
            plan_mistake_key(r, m, "%.*s has no `%.*s`; remove it", SLICE_FMT(names[kind]),
                             SLICE_FMT(fields[i]));
        }
    }
    *ret = kind == THINK_UNIFORM ? (PlanThink){THINK_UNIFORM, f.min_ns, f.max_ns}
                                 : (PlanThink){(ThinkKind)kind, f.mean_ns, f.deviation_ns};
    if (kind == THINK_UNIFORM && f.min_ns > f.max_ns) {
        plan_mistake(r, d, "min is above max");
        ret->b_ns = ret->a_ns;
    }
}

static void read_think(PlanReader *r, const Doc *d, PlanThink *ret)
{
    Err e = {0};
    int64_t ns = 0;
    *ret = (PlanThink){THINK_CONSTANT, 0, 0};
    if (d->type == DOC_OBJECT) {
        read_distribution(r, d, ret);
    } else if (d->type != DOC_STRING && d->type != DOC_INT) {
        plan_mistake(r, d, "think must be a duration as 1s, or an object with a distribution");
    } else if (duration_parse(d->text, 0, &ns, &e) != 0) {
        plan_mistake(r, d, "think: %s", e.text);
    } else {
        ret->a_ns = ns;
    }
    int64_t highest = ret->a_ns > ret->b_ns ? ret->a_ns : ret->b_ns;
    if (highest > THINK_NS_MAX) {
        plan_mistake(r, d, "a think time of more than a day");
        *ret = (PlanThink){THINK_CONSTANT, 0, 0};
    }
}

static void read_choose(PlanReader *r, const Doc *d, Slice group, PlanStep *step)
{
    plan_read_steps(r, d, group, &step->steps, &step->step_count);
    double total = 0;
    for (size_t i = 0; i < step->step_count; i++) {
        total += step->steps[i].weight;
    }
    if (step->step_count > 0 && total <= 0) {
        plan_mistake(r, d, "all weights are 0, so there is nothing to choose");
    }
}

// A named group is k6's: "::outer::inner". Steps without a name are just several.
static void read_group(PlanReader *r, const Doc *d, const StepFields *f, Slice group,
                       PlanStep *step)
{
    if (!f->steps) {
        plan_mistake(r, d, "a group needs `steps`");
        return;
    }
    Slice inner = group;
    if (f->group.len > 0) {
        inner = arena_printf(r->arena, "%.*s::%.*s", SLICE_FMT(group), SLICE_FMT(f->group));
        step->group = inner;
    }
    plan_read_steps(r, f->steps, inner, &step->steps, &step->step_count);
}

static bool read_step(PlanReader *r, const Doc *d, Slice group, PlanStep *step)
{
    StepFields f = {.weight = 1};
    *step = (PlanStep){.kind = STEP_REQUEST, .weight = 1};
    if (d->type == DOC_STRING) {
        step->request = plan_request_of(r, d, USED_IN_STEPS);
        return step->request != NULL;
    }
    if (!plan_fields_read(r, d, "step", &f)) {
        return false;
    }
    step->weight = f.weight;
    int kinds = (f.request != NULL) + (f.think != NULL) + (f.choose != NULL) +
                (f.steps != NULL || f.group.len > 0);
    if (kinds != 1) {
        plan_mistake(r, d,
                     "a step is one of request, think, choose or group with steps; this one "
                     "is %s",
                     kinds == 0 ? "none of them" : "several");
        return false;
    }
    if (f.request) {
        step->request = plan_request_of(r, f.request, USED_IN_STEPS);
        return step->request != NULL;
    }
    if (f.think) {
        step->kind = STEP_THINK;
        read_think(r, f.think, &step->think);
    } else if (f.choose) {
        step->kind = STEP_CHOOSE;
        read_choose(r, f.choose, group, step);
    } else {
        step->kind = STEP_GROUP;
        read_group(r, d, &f, group, step);
    }
    return true;
}

void plan_read_steps(PlanReader *r, const Doc *list, Slice group, const PlanStep **ret,
                     size_t *ret_count)
{
    if (!plan_is_list(r, list, "steps", PLAN_STEPS_MAX)) {
        return;
    }
    r->step_count += doc_count(list);
    if (r->step_count > PLAN_STEPS_MAX) {
        plan_mistake(r, list, "more than %d steps", PLAN_STEPS_MAX);
        return;
    }
    if (doc_count(list) == 0) {
        plan_mistake(r, list, "no steps; add one, or remove the list");
        return;
    }
    PlanStep *steps = ARENA_ARRAY(r->arena, PlanStep, doc_count(list));
    size_t count = 0;
    for (const Doc *m = doc_first(list); m; m = doc_next(m)) {
        count += read_step(r, m, group, &steps[count]);
    }
    *ret = steps;
    *ret_count = count;
}

void plan_steps_of_all(PlanReader *r, const Doc *at, const PlanStep **ret, size_t *ret_count)
{
    size_t count = 0;
    PlanStep *steps = ARENA_ARRAY(r->arena, PlanStep, r->request_count + 1);
    for (size_t i = 0; i < r->request_count; i++) {
        if (!(r->request_uses[i] & USED_AROUND)) {
            r->request_uses[i] |= USED_IN_STEPS;
            steps[count++] =
                (PlanStep){.kind = STEP_REQUEST, .request = &r->requests[i], .weight = 1};
        }
    }
    if (count == 0 && r->mistakes->errors == 0) {
        plan_mistake(r, at, "there is nothing to do; give the plan a `url`, `requests` or `steps`");
    }
    *ret = steps;
    *ret_count = count;
}
