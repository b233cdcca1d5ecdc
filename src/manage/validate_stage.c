// Validate: the first and the last look. Bounds say what cannot work for certain; the stability
// check says what does not come back, and here is the one cure that is added: what nobody waits for
// is told so.

#include <math.h>

#include "manage/validate_impl.h"
#include "model/bounds.h"
#include "model/stability.h"

enum {
    STABILITY_LOOKS = 8, // candidates that are tried with a spike, the best first
    SOUND_ENOUGH = 1,    // then nobody looks for more: they come in the order of their worth
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

// The objectives as the prediction without a spike keeps them: what is asked here is whether the
// system comes back to where it was, not whether that is good enough. What is not promised by it
// anyway cannot be lost by a spike.
static SystemObjective *reachable_objectives(Funnel *f, const System *from, const Outcome *steady)
{
    SystemObjective *objectives = ARENA_ARRAY(f->arena, SystemObjective, from->objective_count + 1);
    for (uint32_t i = 0; i < from->objective_count; i++) {
        SystemObjective *o = &objectives[i];
        *o = from->objectives[i];
        const ClientOutcome *c = &steady->clients[o->client];
        if (o->goodput > 0 && c->goodput.low < o->goodput) {
            o->goodput = fmax(0.05, 0.95 * c->goodput.low);
        }
        if (o->p99_ns > 0 && !(c->p99.value * 1e9 <= (double)o->p99_ns)) {
            o->p99_ns = 0;
        }
        if (o->p50_ns > 0 && !(c->p50.value * 1e9 <= (double)o->p50_ns)) {
            o->p50_ns = 0;
        }
    }
    return objectives;
}

static Stability check(Funnel *f, const System *sys, const Outcome *steady)
{
    Stability s = {.verdict = STABILITY_UNKNOWN};
    System judged = *sys;
    // Others' promises are their own: what is asked is whether those that count are kept again.
    const System *from = f->own.objective_count > 0 ? &f->own : sys;
    judged.objectives = reachable_objectives(f, from, steady);
    judged.objective_count = from->objective_count;
    StabilityOptions options = {
        .seed = f->ask->seed, .threads = f->ask->threads, .for_ns = f->ask->trigger_ns};
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
    Outcome *outcome = funnel_simulate(f, with.sys, f->ask->replications, 1);
    if (outcome == NULL) {
        return false;
    }
    funnel_judge(f, &with, outcome);
    if (!funnel_sound(f, &with)) {
        return false;
    }
    Stability s = check(f, with.sys, outcome);
    if (s.verdict != STABILITY_RECOVERS) {
        return false;
    }
    with.open = false;
    with.verdict.kind = VERDICT_AMENDED;
    with.verdict.reason = VERDICT_FINE;
    with.verdict.recovery = s.recovery;
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
    Stability s = check(f, c->sys, c->verdict.outcome);
    switch (s.verdict) {
    case STABILITY_RECOVERS:
        c->verdict.recovery = s.recovery;
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
    for (size_t i = 0; i < f->count && !funnel_used(f, 1); i++) {
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
