// Scenarios, and the load that a plan without scenarios has at its top.
#include "load/plan_read.h"

#include <math.h>

#include "base/units.h"
#include "load/schedule.h"

#define ITERATIONS_MAX 1e15

// ---- stages and rates

static int stage_parse(Slice text, PlanStage *ret, Err *e)
{
    Slice duration = {0}, target = {0};
    if (!slice_cut(text, ':', &duration, &target)) {
        return err_set(e, ERR_PARSE, "\"%.*s\" is no stage; write duration:target, as 5m:100",
                       SLICE_FMT(text));
    }
    int rc = duration_parse(slice_trim(duration), 0, &ret->duration_ns, e);
    if (rc == 0) {
        rc = count_parse(slice_trim(target), &ret->target, e);
    }
    if (rc == 0 && ret->target > SCHEDULE_RATE_MAX) {
        rc = err_set(e, ERR_LIMIT, "a target of more than %lld", (long long)SCHEDULE_RATE_MAX);
    }
    return rc;
}

int plan_stages_parse(Arena *arena, Slice text, const PlanStage **ret_stages, size_t *ret_count,
                      Err *e)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++) {
        count += text.ptr[i] == ',';
    }
    if (count > PLAN_STAGES_MAX) {
        return err_set(e, ERR_LIMIT, "%zu stages; at most %d", count, PLAN_STAGES_MAX);
    }
    PlanStage *stages = ARENA_ARRAY(arena, PlanStage, count);
    Slice rest = text, item = {0};
    for (size_t i = 0; i < count; i++) {
        (void)slice_cut(rest, ',', &item, &rest);
        int rc = stage_parse(slice_trim(item), &stages[i], e);
        if (rc != 0) {
            return rc;
        }
    }
    *ret_stages = stages;
    *ret_count = count;
    return 0;
}

static void read_stage_list(PlanReader *r, const Doc *d, PlanScenario *s)
{
    PlanStage *stages = ARENA_ARRAY(r->arena, PlanStage, doc_count(d) + 1);
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        PlanStage *stage = &stages[s->stage_count];
        *stage = (PlanStage){.duration_ns = -1, .target = -1};
        if (plan_fields_read(r, m, "stage", stage)) {
            bool complete = doc_get(m, SLICE("duration")) && doc_get(m, SLICE("target"));
            if (!complete) {
                plan_mistake(r, m, "a stage needs a duration and a target");
            }
            // What was wrong has been noted; zeros keep the rest readable.
            stage->duration_ns = stage->duration_ns < 0 ? 0 : stage->duration_ns;
            stage->target = stage->target < 0 ? 0 : stage->target;
            s->stage_count++;
        }
    }
    s->stages = stages;
}

static void read_stages(PlanReader *r, const Doc *d, PlanScenario *s)
{
    Err e = {0};
    if (d->type == DOC_STRING) {
        if (plan_stages_parse(r->arena, d->text, &s->stages, &s->stage_count, &e) != 0) {
            plan_mistake_err(r, d, &e);
        }
    } else if (plan_is_list(r, d, "stages", PLAN_STAGES_MAX)) {
        if (doc_count(d) == 0) {
            plan_mistake(r, d, "no stages; add one, as {duration: 5m, target: 100}");
        }
        read_stage_list(r, d, s);
    }
    s->duration_ns = 0;
    for (size_t i = 0; i < s->stage_count; i++) {
        s->duration_ns += s->stages[i].duration_ns;
        if (s->duration_ns > SCHEDULE_DURATION_MAX) {
            plan_mistake(r, d, "the stages are longer than a year");
            s->stage_count = i;
            s->duration_ns = 0;
            return;
        }
    }
}

// A number per timeUnit, or "2000/s" which says both.
static void read_rate(PlanReader *r, const Doc *object, const Doc *d, PlanScenario *s)
{
    Rate rate;
    Err e = {0};
    if (d->type == DOC_INT) {
        s->rate = d->integer;
    } else if (d->type != DOC_STRING) {
        plan_mistake(r, d, "rate must be a whole number per timeUnit, or text as \"2000/s\"");
        return;
    } else if (slice_find_byte(d->text, '/') < 0) {
        if (count_parse(d->text, &s->rate, &e) != 0) {
            plan_mistake(r, d, "rate: %s", e.text);
            return;
        }
    } else if (rate_parse(d->text, 0, &rate, &e) != 0) {
        plan_mistake(r, d, "rate: %s", e.text);
        return;
    } else if (rate.count != floor(rate.count) || rate.count > (double)SCHEDULE_RATE_MAX) {
        plan_mistake(r, d, "rate must be a whole number a period; write 1/2s instead of 0.5/s");
        return;
    } else {
        s->rate = (int64_t)rate.count;
        s->time_unit_ns = rate.per_ns;
        const Doc *unit = doc_get(object, SLICE("timeUnit"));
        if (unit) {
            plan_mistake_key(r, unit, "the rate \"%.*s\" names its period already; remove timeUnit",
                             SLICE_FMT(d->text));
        }
    }
    if (s->rate < 1 || s->rate > SCHEDULE_RATE_MAX) {
        plan_mistake(r, d, "rate is out of range; it goes from 1 to %lld",
                     (long long)SCHEDULE_RATE_MAX);
        s->rate = 1;
    }
}

static void read_arrivals(PlanReader *r, const Doc *d, PlanScenario *s)
{
    static const Slice names[] = {SLICE_INIT("even"), SLICE_INIT("poisson")};
    s->poisson = plan_choice(r, d, "arrivals", names, COUNT_OF(names)) == 1;
}

static int64_t highest_target(const PlanScenario *s, int64_t start)
{
    int64_t highest = start;
    for (size_t i = 0; i < s->stage_count; i++) {
        highest = s->stages[i].target > highest ? s->stages[i].target : highest;
    }
    return highest;
}

// ---- what each executor needs

static bool need(PlanReader *r, const Doc *d, const PlanScenario *s, const char *field)
{
    if (doc_get(d, slice_from_cstr(field))) {
        return true;
    }
    plan_mistake(r, d, "%.*s needs `%s`", SLICE_FMT(executor_name(s->executor)), field);
    return false;
}

static void check_iterating(PlanReader *r, const Doc *d, PlanScenario *s)
{
    s->max_vus = s->vus;
    if (s->executor == EXECUTOR_SHARED_ITERATIONS && s->iterations < s->vus) {
        plan_mistake(r, d, "%lld iterations for %lld VUs; there must be one for each at least",
                     (long long)s->iterations, (long long)s->vus);
    }
    int64_t total = 0;
    if (__builtin_mul_overflow(s->iterations, s->vus, &total)) {
        plan_mistake(r, d, "iterations times VUs is too large");
    }
}

static void check_ramping_vus(PlanReader *r, const Doc *d, PlanScenario *s)
{
    s->max_vus = highest_target(s, s->start_vus);
    if (s->max_vus > SCHEDULE_VUS_MAX) {
        plan_mistake(r, d, "more than %lld VUs", (long long)SCHEDULE_VUS_MAX);
    }
    if (need(r, d, s, "stages") && s->stage_count > 0 && s->max_vus == 0) {
        plan_mistake(r, d, "startVUs and all targets are 0; one of them must be more");
    }
}

// schedule.h counts iterations in 64 bits.
static void check_count(PlanReader *r, const Doc *d, const PlanScenario *s)
{
    double from = (double)s->start_rate, sum = (double)s->rate * (double)s->duration_ns;
    for (size_t i = 0; i < s->stage_count; i++) {
        double to = (double)s->stages[i].target;
        sum += (from + to) / 2 * (double)s->stages[i].duration_ns;
        from = to;
    }
    if (sum / (double)s->time_unit_ns > ITERATIONS_MAX) {
        plan_mistake(r, d, "more than %g iterations; lower the rate or the duration",
                     ITERATIONS_MAX);
    }
}

static void check_arriving(PlanReader *r, const Doc *d, PlanScenario *s)
{
    if (s->executor == EXECUTOR_CONSTANT_ARRIVAL_RATE) {
        (void)need(r, d, s, "rate");
        (void)need(r, d, s, "duration");
    } else if (need(r, d, s, "stages") && s->stage_count > 0 &&
               highest_target(s, s->start_rate) == 0) {
        plan_mistake(r, d, "startRate and all targets are 0; one of them must be more");
    }
    check_count(r, d, s);
    bool has_max = doc_get(d, SLICE("maxVUs")) != NULL;
    if (!need(r, d, s, "preAllocatedVUs")) {
        return;
    }
    if (!has_max) {
        s->max_vus = s->pre_allocated_vus;
    }
    if (s->max_vus < s->pre_allocated_vus) {
        plan_mistake(r, doc_get(d, SLICE("maxVUs")), "maxVUs is below preAllocatedVUs (%lld)",
                     (long long)s->pre_allocated_vus);
    } else if (s->max_vus == 0) {
        plan_mistake(r, doc_get(d, SLICE("preAllocatedVUs")), "no VUs; allow one at least");
    }
}

static void check_executor(PlanReader *r, const Doc *d, PlanScenario *s)
{
    switch (s->executor) {
    case EXECUTOR_SHARED_ITERATIONS:
    case EXECUTOR_PER_VU_ITERATIONS: check_iterating(r, d, s); break;
    case EXECUTOR_CONSTANT_VUS:
        s->max_vus = s->vus;
        (void)need(r, d, s, "duration");
        break;
    case EXECUTOR_RAMPING_VUS: check_ramping_vus(r, d, s); break;
    case EXECUTOR_CONSTANT_ARRIVAL_RATE:
    case EXECUTOR_RAMPING_ARRIVAL_RATE: check_arriving(r, d, s); break;
    }
}

// A field of another executor would be silently without effect.
static void check_foreign_fields(PlanReader *r, const Doc *d, ExecutorKind executor)
{
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        const PlanField *f = plan_field("scenario", m->key);
        if (!f || f->executors == 0 || (f->executors >> executor & 1)) {
            continue;
        }
        ExecutorKind first = (ExecutorKind)__builtin_ctz(f->executors);
        Slice owner = executor_name(first), own = executor_name(executor);
        plan_mistake_key(r, m,
                         "%.*s has no `%.*s`, which belongs to %.*s; remove it or change the "
                         "executor",
                         SLICE_FMT(own), SLICE_FMT(m->key), SLICE_FMT(owner));
    }
}

// ---- scenarios

static PlanScenario defaults(Slice name)
{
    return (PlanScenario){.name = name,
                          .graceful_stop_ns = PLAN_GRACEFUL_STOP_NS,
                          .graceful_ramp_down_ns = PLAN_GRACEFUL_RAMP_DOWN_NS,
                          .max_duration_ns = PLAN_MAX_DURATION_NS,
                          .time_unit_ns = NS_PER_SECOND,
                          .vus = 1,
                          .iterations = 1,
                          .start_vus = 1};
}

static bool read_executor(PlanReader *r, const Doc *d, const Doc *executor, PlanScenario *s)
{
    enum { EXECUTORS = EXECUTOR_RAMPING_ARRIVAL_RATE + 1 };
    Slice names[EXECUTORS];
    for (int i = 0; i < EXECUTORS; i++) {
        names[i] = executor_name((ExecutorKind)i);
    }
    if (!executor) {
        plan_mistake_key(r, d,
                         "the scenario \"%.*s\" needs an executor, as constant-vus or "
                         "constant-arrival-rate",
                         SLICE_FMT(d->key));
        return false;
    }
    int kind = plan_choice(r, executor, "executor", names, EXECUTORS);
    s->executor = kind < 0 ? EXECUTOR_CONSTANT_VUS : (ExecutorKind)kind;
    return kind >= 0;
}

static void read_scenario(PlanReader *r, const Doc *d, PlanScenario *ret)
{
    ScenarioFields f = {.plan = defaults(d->key)};
    bool ok = plan_fields_read(r, d, "scenario", &f);
    *ret = f.plan;
    if (!ok) {
        return;
    }
    if (d->key.len == 0 || d->key.len > PLAN_NAME_BYTES_MAX) {
        plan_mistake_key(r, d, "a scenario's name has 1 to %d bytes", PLAN_NAME_BYTES_MAX);
    }
    ok = read_executor(r, d, f.executor, ret);
    if (ok) {
        check_foreign_fields(r, d, ret->executor);
    }
    if (f.rate) {
        read_rate(r, d, f.rate, ret);
    }
    if (f.stages) {
        read_stages(r, f.stages, ret);
    }
    if (f.arrivals) {
        read_arrivals(r, f.arrivals, ret);
    }
    if (f.tags) {
        (void)plan_labels(r, f.tags, &ret->labels);
    }
    if (ok) {
        check_executor(r, d, ret);
    }
    if (f.steps) {
        plan_read_steps(r, f.steps, (Slice){0}, &ret->steps, &ret->step_count);
    } else {
        plan_steps_of_all(r, d, &ret->steps, &ret->step_count);
    }
}

static void read_all(PlanReader *r, const Doc *doc, const Doc *d)
{
    static const Slice shortcuts[] = {
        SLICE_INIT("vus"),    SLICE_INIT("iterations"), SLICE_INIT("duration"),
        SLICE_INIT("stages"), SLICE_INIT("rate"),       SLICE_INIT("preAllocatedVUs"),
        SLICE_INIT("maxVUs"), SLICE_INIT("arrivals"),   SLICE_INIT("gracefulStop"),
        SLICE_INIT("steps"),
    };
    for (size_t i = 0; i < COUNT_OF(shortcuts); i++) {
        const Doc *m = doc_get(doc, shortcuts[i]);
        if (m) {
            plan_mistake_key(r, m,
                             "`%.*s` at the top is for plans without `scenarios`; put it into "
                             "a scenario",
                             SLICE_FMT(m->key));
        }
    }
    if (d->type != DOC_OBJECT || doc_count(d) == 0) {
        plan_mistake(r, d, "scenarios must be an object of one scenario or more by name");
        return;
    }
    if (doc_count(d) > PLAN_SCENARIOS_MAX) {
        plan_mistake(r, d, "%zu scenarios; at most %d", doc_count(d), PLAN_SCENARIOS_MAX);
        return;
    }
    PlanScenario *all = ARENA_ARRAY(r->arena, PlanScenario, doc_count(d));
    r->plan->scenarios = all;
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        PlanScenario *s = &all[r->plan->scenario_count];
        read_scenario(r, m, s);
        s->index = (uint32_t)r->plan->scenario_count++;
    }
}

// ---- shortcuts

// Room for answers of 50 ms at once and of a second at most, by Little's law.
static void choose_vus(PlanScenario *s, const TopFields *top)
{
    double per_second = (double)s->rate * (double)NS_PER_SECOND / (double)s->time_unit_ns;
    double few = fmin(fmax(ceil(per_second / 20), 10), 500);
    double many = fmin(fmax(ceil(per_second), 20), 1000);
    s->pre_allocated_vus = (int64_t)few;
    s->max_vus = (int64_t)many;
    if (top->pre_allocated_vus > 0) {
        s->pre_allocated_vus = top->pre_allocated_vus;
        s->max_vus = s->max_vus < s->pre_allocated_vus ? s->pre_allocated_vus : s->max_vus;
    }
    if (top->max_vus > 0) {
        s->max_vus = top->max_vus;
        if (top->pre_allocated_vus == 0 && s->pre_allocated_vus > s->max_vus) {
            s->pre_allocated_vus = s->max_vus;
        }
    }
}

static void shortcut_rate(PlanReader *r, const Doc *doc, const TopFields *top, PlanScenario *s)
{
    s->executor = EXECUTOR_CONSTANT_ARRIVAL_RATE;
    s->duration_ns = top->duration_ns;
    s->rate = 1;
    read_rate(r, doc, top->rate, s);
    choose_vus(s, top);
    check_count(r, doc, s);
    if (top->duration_ns == 0) {
        plan_mistake(r, top->rate, "a rate needs a `duration`");
    }
    if (top->max_vus > 0 && s->max_vus < s->pre_allocated_vus) {
        plan_mistake(r, doc_get(doc, SLICE("maxVUs")), "maxVUs is below preAllocatedVUs");
    }
}

static void shortcut_executor(PlanReader *r, const Doc *doc, const TopFields *top, PlanScenario *s)
{
    int64_t vus = top->vus > 0 ? top->vus : 1;
    s->vus = s->max_vus = vus;
    if (top->rate) {
        shortcut_rate(r, doc, top, s);
    } else if (top->stages) {
        s->executor = EXECUTOR_RAMPING_VUS;
        s->start_vus = vus;
        read_stages(r, top->stages, s);
        check_ramping_vus(r, doc, s);
    } else if (top->iterations > 0 || top->duration_ns == 0) {
        s->executor = EXECUTOR_SHARED_ITERATIONS;
        s->iterations = top->iterations > 0 ? top->iterations : vus;
        s->max_duration_ns = top->duration_ns > 0 ? top->duration_ns : s->max_duration_ns;
        check_iterating(
            r, doc_get(doc, SLICE("iterations")) ? doc_get(doc, SLICE("iterations")) : doc, s);
    } else {
        s->executor = EXECUTOR_CONSTANT_VUS;
        s->duration_ns = top->duration_ns;
    }
}

static void refuse_together(PlanReader *r, const Doc *doc, const char *has, const char *other)
{
    const Doc *m = doc_get(doc, slice_from_cstr(other));
    if (m && doc_get(doc, slice_from_cstr(has))) {
        plan_mistake_key(r, m,
                         "`%s` and `%s` do not go together at the top; choose one, or write "
                         "`scenarios`",
                         has, other);
    }
}

static void read_shortcuts(PlanReader *r, const Doc *doc, const TopFields *top)
{
    static const char *const pairs[][2] = {
        {"stages", "duration"}, {"stages", "iterations"}, {"rate", "vus"},
        {"rate", "stages"},     {"rate", "iterations"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        refuse_together(r, doc, pairs[i][0], pairs[i][1]);
    }
    static const char *const arriving[] = {"preAllocatedVUs", "maxVUs", "arrivals"};
    for (size_t i = 0; i < COUNT_OF(arriving); i++) {
        const Doc *m = doc_get(doc, slice_from_cstr(arriving[i]));
        if (m && !top->rate) {
            plan_mistake_key(r, m, "`%s` at the top needs a `rate`", arriving[i]);
        }
    }
    PlanScenario *s = ARENA_NEW(r->arena, PlanScenario);
    *s = defaults(SLICE("default"));
    s->graceful_stop_ns = top->graceful_stop_ns;
    shortcut_executor(r, doc, top, s);
    if (top->arrivals) {
        read_arrivals(r, top->arrivals, s);
    }
    if (top->steps) {
        plan_read_steps(r, top->steps, (Slice){0}, &s->steps, &s->step_count);
    } else {
        plan_steps_of_all(r, doc, &s->steps, &s->step_count);
    }
    r->plan->scenarios = s;
    r->plan->scenario_count = 1;
}

void plan_read_scenarios(PlanReader *r, const Doc *doc, const TopFields *top)
{
    if (top->scenarios) {
        read_all(r, doc, top->scenarios);
    } else {
        read_shortcuts(r, doc, top);
    }
}
