// Validate: the funnel. validate_judge.c says what an outcome means, this file who gets a look at
// which fidelity.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "manage/validate_impl.h"
#include "model/formula.h"
#include "model/sim.h"

enum {
    KEEP_DEFAULT = 24,
    GLANCE_REPLICATIONS = 2,
    FULL_LOOKS = 6, // at least, by all replications
};
#define GLANCE_HORIZON 0.4
// Of the budget, until when each stage may begin something new. What is left is the next one's: an
// answer that nobody could check for a spike is none.
#define FORMULA_SHARE    0.15
#define GLANCE_SHARE     0.35
#define SIMULATION_SHARE 0.6

static const char *const STAGE_NAMES[VALIDATE_STAGES] = {"range", "bounds", "formula", "simulation",
                                                         "stability"};

// ---- the budget

bool funnel_used(Funnel *f, double share)
{
    if (f->ask->budget_ns <= 0) {
        return f->over;
    }
    double used = (double)(clock_now(clock_real()) - f->started_ns);
    f->over = f->over || used > (double)f->ask->budget_ns;
    return f->over || used > share * (double)f->ask->budget_ns;
}

static size_t open_count(const Funnel *f)
{
    size_t open = 0;
    for (size_t i = 0; i < f->count; i++) {
        open += f->candidates[i].open;
    }
    return open;
}

// ---- what is asked

// The future is not the past: its spikes and faults are no part of the question, the trigger of the
// stability check is.
static System *view_of(Arena *arena, const System *sys)
{
    System *view = system_copy(arena, sys);
    view->clients = ARENA_ARRAY(arena, SystemClient, sys->client_count + 1);
    memcpy(view->clients, sys->clients, sys->client_count * sizeof *view->clients);
    for (uint32_t i = 0; i < view->client_count; i++) {
        view->clients[i].spikes = NULL;
        view->clients[i].spike_count = 0;
    }
    view->fault_count = 0;
    return view;
}

static void own_objectives(Funnel *f)
{
    const System *view = f->view;
    f->own = *view;
    f->own.objectives = ARENA_ARRAY(f->arena, SystemObjective, view->objective_count + 1);
    f->own.objective_count = 0;
    for (uint32_t i = 0; i < view->objective_count; i++) {
        uint32_t client = view->objectives[i].client;
        if (client == f->ask->purpose || validate_answers_for(view, f->ask->self, client)) {
            f->own.objectives[f->own.objective_count++] = view->objectives[i];
        }
    }
}

// ---- range

static void look_range(Funnel *f, Candidate *c)
{
    Verdict *v = &c->verdict;
    const PlanLimit *broken = NULL;
    Err e = {0};
    v->limits = ARENA_ARRAY(f->arena, PlanLimit, v->plan.count + 1);
    if (v->plan.count + v->plan.program_count == 0) {
        funnel_reject(f, c, VERDICT_NO_BETTER, "it changes nothing");
        return;
    }
    if (!plan_keeps(f->view, &v->plan, f->ask->limits, f->ask->limit_count, &broken)) {
        funnel_reject(f, c, VERDICT_LIMIT, "refused before: %.*s", SLICE_FMT(broken->reason));
        return;
    }
    for (uint32_t i = 0; i < v->plan.count; i++) {
        const SystemChange *change = &v->plan.changes[i];
        if (system_allowed(f->view, change, &e) == 0) {
            continue;
        }
        const SystemRange *range = system_range(f->view, change->what);
        double now = system_number(change->what.param, system_get(f->view, change->what));
        v->limits[v->limit_count++] = (PlanLimit){.what = change->what,
                                                  .low = range != NULL ? range->low : now,
                                                  .high = range != NULL ? range->high : now,
                                                  .by = system_owner(f->view, change->what),
                                                  .reason = SLICE("its owner does not allow it")};
        funnel_reject(f, c, VERDICT_RANGE, "%s", e.text);
        return;
    }
    if (plan_apply(f->arena, f->view, &v->plan, &c->sys, &e) != 0) {
        funnel_reject(f, c, VERDICT_RANGE, "%s", e.text);
    }
}

// ---- formula

static void formula_baseline(Funnel *f, Formula *formula)
{
    f->baseline = outcome_create(f->arena, f->view);
    f->baseline->confidence = f->ask->confidence;
    formula_solve_below(formula, f->view, f->baseline);
    f->baseline_gap = funnel_gap(f, f->baseline);
}

// The best `keep` of those that may be rejected go on; with `glanced` only such as were looked at.
static void keep_best(Funnel *f, size_t keep, bool glanced)
{
    qsort(f->candidates, f->count, sizeof *f->candidates, candidate_compare);
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++) {
        Candidate *c = &f->candidates[i];
        if (!c->open || c->verdict.index < f->ask->always) {
            continue;
        }
        bool missed = glanced && !c->glanced;
        f->cut = f->cut || missed;
        if (missed || kept++ >= keep) {
            funnel_reject(f, c, VERDICT_OUTRUN, "%zu others promise more", keep);
        }
    }
}

// Only ranks: a formula leaves too much out to be the only one that says no. The best `keep` go on.
static void look_formula(Funnel *f)
{
    Formula *formula = NULL;
    uint32_t keep = f->ask->keep;
    if (open_count(f) <= keep || formula_create(f->view, &formula, NULL) != 0) {
        return;
    }
    formula_baseline(f, formula);
    size_t looked = 0;
    for (size_t i = 0; i < f->count && !funnel_used(f, FORMULA_SHARE); i++) {
        Candidate *c = &f->candidates[i];
        if (c->open) {
            Outcome *o = outcome_create(f->arena, f->view);
            o->confidence = f->ask->confidence;
            formula_solve_below(formula, c->sys, o);
            funnel_judge(f, c, o);
            looked++;
        }
    }
    formula_destroy(formula);
    if (looked == 0) {
        return;
    }
    keep_best(f, keep, false);
}

// ---- simulation

Outcome *funnel_simulate(Funnel *f, const System *sys, uint32_t replications, double horizon)
{
    SimResult *result = NULL;
    int64_t horizon_ns = (int64_t)(horizon * (double)f->ask->horizon_ns);
    SimOptions options = {
        .seed = f->ask->seed,
        .horizon_ns = horizon_ns,
        .warmup_ns = horizon_ns / 4,
        .replications = replications,
        .confidence = f->ask->confidence,
        .threads = f->ask->threads,
        .settle = true,
    };
    return sim_run(f->arena, sys, &options, &result, NULL) == 0 ? result->outcome : NULL;
}

static bool simulate(Funnel *f, Candidate *c, uint32_t replications, double horizon)
{
    Outcome *o = funnel_simulate(f, c->sys, replications, horizon);
    if (o == NULL) {
        funnel_reject(f, c, VERDICT_BUDGET, "it cannot be simulated");
        return false;
    }
    funnel_judge(f, c, o);
    return true;
}

// A short look at each, all with the same luck; the better third goes on.
static void look_shortly(Funnel *f)
{
    size_t seen = 0, keep = f->ask->keep / 3 > FULL_LOOKS ? f->ask->keep / 3 : FULL_LOOKS;
    if (open_count(f) <= keep) {
        return;
    }
    for (size_t i = 0; i < f->count; i++) {
        Candidate *c = &f->candidates[i];
        c->glanced = c->open && !funnel_used(f, GLANCE_SHARE) &&
                     simulate(f, c, GLANCE_REPLICATIONS, GLANCE_HORIZON);
        seen += c->glanced;
    }
    keep_best(f, keep, true);
}

static void look_simulation(Funnel *f)
{
    f->baseline = funnel_simulate(f, f->view, f->ask->replications, 1);
    if (f->baseline == NULL) {
        f->over = true;
        return;
    }
    f->baseline_gap = funnel_gap(f, f->baseline);
    look_shortly(f);
    for (size_t i = 0; i < f->count; i++) {
        Candidate *c = &f->candidates[i];
        bool always = c->verdict.index < f->ask->always;
        if (c->open && (always || !funnel_used(f, SIMULATION_SHARE))) {
            c->simulated = simulate(f, c, f->ask->replications, 1);
        }
        f->cut = f->cut || (c->open && !c->simulated);
    }
    qsort(f->candidates, f->count, sizeof *f->candidates, candidate_compare);
    for (size_t i = 0; i < f->count; i++) {
        Candidate *c = &f->candidates[i];
        if (c->open && c->simulated) {
            funnel_sound(f, c);
        }
    }
}

// ---- the whole

static void ask_defaults(ValidateAsk *ask)
{
    ask->confidence = ask->confidence > 0 ? ask->confidence : 0.9;
    ask->harm_tolerance = ask->harm_tolerance > 0 ? ask->harm_tolerance : 0.1;
    ask->horizon_ns = ask->horizon_ns > 0 ? ask->horizon_ns : VALIDATE_HORIZON_NS;
    ask->replications = ask->replications > 0 ? ask->replications : VALIDATE_REPLICATIONS;
    ask->keep = ask->keep > 0 ? ask->keep : KEEP_DEFAULT;
    ask->threads = ask->threads > 0 ? ask->threads : 2;
}

static void stage(Funnel *f, Validation *v, int index, void (*look)(Funnel *f))
{
    ValidateStage *s = &v->stages[index];
    int64_t began = clock_now(clock_real());
    s->name = STAGE_NAMES[index];
    s->looked_at = open_count(f);
    if (s->looked_at > 0 && !funnel_used(f, 1)) {
        look(f);
    }
    s->let_through = open_count(f);
    s->took_ns = clock_now(clock_real()) - began;
}

static void all_ranges(Funnel *f)
{
    for (size_t i = 0; i < f->count; i++) {
        look_range(f, &f->candidates[i]);
    }
}

static void collect(Funnel *f, Validation *v)
{
    qsort(f->candidates, f->count, sizeof *f->candidates, candidate_compare);
    v->verdicts = ARENA_ARRAY(f->arena, Verdict, f->count + 1);
    v->count = f->count;
    for (size_t i = 0; i < f->count; i++) {
        Candidate *c = &f->candidates[i];
        if (c->open) {
            c->open = false;
            c->verdict.kind = VERDICT_UNDECIDED;
            c->verdict.reason = VERDICT_BUDGET;
            c->verdict.words = SLICE("the budget was over before it was its turn");
        }
        v->verdicts[i] = c->verdict;
        v->sound += c->verdict.kind == VERDICT_ACCEPTED || c->verdict.kind == VERDICT_AMENDED;
    }
    v->baseline = f->baseline;
    v->baseline_gap = f->baseline_gap;
    v->complete = !f->over && !f->cut;
    v->took_ns = clock_now(clock_real()) - f->started_ns;
}

int validate(Arena *arena, const ValidateAsk *asked, Validation *ret_validation, Err *e)
{
    if (asked->count > PLANS_MAX) {
        return err_set(e, ERR_LIMIT, "%zu plans at once, the limit is %d", asked->count, PLANS_MAX);
    }
    ValidateAsk ask = *asked;
    ask_defaults(&ask);
    Funnel f = {.arena = arena, .ask = &ask, .count = ask.count};
    f.started_ns = clock_now(clock_real());
    f.view = view_of(arena, ask.view);
    own_objectives(&f);
    if (f.own.objective_count == 0 && !ask.may_be_equal) {
        return err_set(e, ERR_ARG, "there is no objective that a plan could be for");
    }
    f.candidates = ARENA_ARRAY(arena, Candidate, ask.count + 1);
    for (size_t i = 0; i < ask.count; i++) {
        f.candidates[i] = (Candidate){.open = true,
                                      .verdict = {.plan = ask.plans[i],
                                                  .index = i,
                                                  .gap = {NAN, NAN, NAN},
                                                  .recovery = {NAN, NAN, NAN},
                                                  .kind = VERDICT_UNDECIDED}};
    }
    Validation v = {0};
    stage(&f, &v, 0, all_ranges);
    stage(&f, &v, 1, funnel_bounds);
    stage(&f, &v, 2, look_formula);
    stage(&f, &v, 3, look_simulation);
    stage(&f, &v, 4, funnel_stability);
    collect(&f, &v);
    *ret_validation = v;
    return 0;
}
