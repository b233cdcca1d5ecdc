// Validate: the first and the last look. Bounds say what cannot work for certain; the stability
// check says what does not come back, and here is the one cure that is added: what nobody waits for
// is told so.

#include <math.h>

#include "manage/validate_impl.h"
#include "model/bounds.h"
#include "model/stability.h"

enum {
    STABILITY_LOOKS = 8, // candidates that are tried with a spike, the best first
    SOUND_ENOUGH = 3,    // then nobody looks for more
};

// ---- bounds

void funnel_bounds(Funnel *f)
{
    Bounds *bounds = NULL;
    if (bounds_create(f->view, &bounds, NULL) != 0) {
        return; // too large for them: the other models decide
    }
    Outcome *outcome = outcome_create(f->arena, f->view);
    for (size_t i = 0; i < f->count; i++) {
        Candidate *c = &f->candidates[i];
        if (!c->open) {
            continue;
        }
        BoundsFacts facts = bounds_solve(bounds, c->sys, outcome);
        if (!facts.feasible && facts.busiest != UINT32_MAX) {
            Slice agent = f->view->agents[facts.busiest].name;
            funnel_reject(f, c, VERDICT_CAPACITY,
                          "%.*s would have %.3g times the work that it can do, were every attempt "
                          "to succeed",
                          SLICE_FMT(agent), facts.utilisation);
        }
    }
    bounds_destroy(bounds);
}

// ---- stability

static Stability check(Funnel *f, const System *sys)
{
    Stability s = {.verdict = STABILITY_UNKNOWN};
    System judged = *sys;
    // Others' promises are their own: what is asked is whether those that count are kept again.
    judged.objectives = f->own.objectives;
    judged.objective_count = f->own.objective_count;
    if (judged.objective_count == 0) {
        judged.objectives = sys->objectives;
        judged.objective_count = sys->objective_count;
    }
    StabilityOptions options = {.seed = f->ask->seed, .threads = f->ask->threads};
    if (f->ask->budget_ns > 0) {
        int64_t left = f->ask->budget_ns - (clock_now(clock_real()) - f->started_ns);
        options.budget_ns = left > NS_PER_MS ? left : NS_PER_MS;
    }
    Err e = {0};
    if (stability_check(f->arena, &judged, &options, &s, &e) != 0) {
        s.reason = arena_copy(f->arena, slice_from_cstr(e.text));
    }
    return s;
}

// Every edge that leaves work behind for nobody tells its target from now on. False when there is
// none, or when an owner does not allow it.
static bool add_cancellation(Funnel *f, Candidate *c)
{
    bool any = false;
    Plan plan = c->verdict.plan;
    for (uint32_t i = 0; i < f->view->edge_count; i++) {
        SystemChange change = {.what = {PLACE_EDGE, i, P_CANCEL_PROPAGATE},
                               .value = {.boolean = true}};
        if (system_get(c->sys, change.what).boolean || system_allowed(c->sys, &change, NULL) != 0) {
            continue;
        }
        any = plan_add(&plan, change, NULL) == 0 || any;
    }
    System *sys = NULL;
    if (!any || plan_apply(f->arena, f->view, &plan, &sys, NULL) != 0 ||
        !plan_keeps(f->view, &plan, f->ask->limits, f->ask->limit_count, NULL)) {
        return false;
    }
    c->sys = sys;
    c->verdict.plan = plan;
    return true;
}

// Tries the plan with cancellation; accepted as amended if that is sound.
static bool amend(Funnel *f, Candidate *c, const Stability *was)
{
    Candidate with = *c;
    if (!f->ask->may_amend || !add_cancellation(f, &with)) {
        return false;
    }
    Outcome *outcome = funnel_simulate(f, with.sys);
    if (outcome == NULL) {
        return false;
    }
    funnel_judge(f, &with, outcome);
    if (!funnel_sound(f, &with)) {
        return false;
    }
    Stability s = check(f, with.sys);
    if (s.verdict != STABILITY_RECOVERS) {
        return false;
    }
    with.open = false;
    with.verdict.kind = VERDICT_AMENDED;
    with.verdict.reason = VERDICT_FINE;
    with.verdict.words =
        arena_printf(f->arena, "with cancellation, as it would not come back without: %.*s",
                     SLICE_FMT(was->reason));
    *c = with;
    return true;
}

static void accept_candidate(Candidate *c, Slice words)
{
    c->open = false;
    c->verdict.kind = VERDICT_ACCEPTED;
    c->verdict.reason = VERDICT_FINE;
    c->verdict.words = words;
}

static void look(Funnel *f, Candidate *c)
{
    Stability s = check(f, c->sys);
    switch (s.verdict) {
    case STABILITY_RECOVERS:
        if (c->verdict.outcome != NULL && f->ask->purpose < f->view->client_count) {
            c->verdict.outcome->clients[f->ask->purpose].recovery = s.recovery;
        }
        accept_candidate(c, arena_printf(f->arena, "comes back from a spike in %.3g s (%u of %u)",
                                         s.recovery.value, s.recovered, s.seeds));
        return;
    case STABILITY_COLLAPSES:
        if (!amend(f, c, &s)) {
            funnel_reject(f, c, VERDICT_COLLAPSE, "%.*s", SLICE_FMT(s.reason));
        }
        return;
    case STABILITY_UNFIT:
        // The promise is not kept even without a spike. Being nearer to it than before may be all
        // that can be had, but what gets worse with a spike is told by the same measure.
        if (f->ask->may_be_equal || c->verdict.gap.value < f->baseline_gap.value - 0.01) {
            if (!amend(f, c, &s)) {
                funnel_reject(f, c, VERDICT_OBJECTIVE, "%.*s", SLICE_FMT(s.reason));
            }
            return;
        }
        funnel_reject(f, c, VERDICT_OBJECTIVE, "%.*s", SLICE_FMT(s.reason));
        return;
    case STABILITY_UNKNOWN: break;
    }
    if (!f->over) {
        funnel_reject(f, c, VERDICT_BUDGET, "whether it comes back is not known: %.*s",
                      SLICE_FMT(s.reason));
    }
}

void funnel_stability(Funnel *f)
{
    size_t looks = 0, sound = 0;
    for (size_t i = 0; i < f->count && !funnel_over(f); i++) {
        Candidate *c = &f->candidates[i];
        bool always = c->verdict.index < f->ask->always;
        if (!c->open || !c->simulated) {
            continue;
        }
        if (f->ask->no_spike) {
            accept_candidate(c, SLICE("in steady state"));
            continue;
        }
        if (!always && (looks >= STABILITY_LOOKS || sound >= SOUND_ENOUGH)) {
            funnel_reject(f, c, VERDICT_OUTRUN, "%zu better ones are sound", sound);
            continue;
        }
        look(f, c);
        looks++;
        sound += !c->open && c->verdict.kind != VERDICT_REJECTED;
    }
}
