// The program of a performance interface: one question, the best answer that the budget allows.
#include <math.h>
#include <string.h>

#include "model/bounds.h"
#include "model/formula.h"
#include "model/interface_fit.h"
#include "model/interface_impl.h"
#include "model/sim.h"
#include "os/clock.h"

enum {
    BUDGET_DEFAULT_NS = 50000000,
    RUNS = 5,           // replications: fewer give no interval worth its name
    RUNS_MAX = 20,      //
    SECONDS_MIN = 60,   // of one, behind its warm-up
    SECONDS_MAX = 900,  //
    EVENT_NS = 120,     // of the clock, before anything was measured
    EVENTS_PER_HOP = 6, // of the engine, an attempt
};

struct InterfaceProgram {
    const System *sys;
    Arena *arena;
    Bounds *bounds;
    Formula *formula;
    double cost_ns[FIDELITIES]; // of the last query
    double event_ns;            // of a simulation, a thread
};

int interface_program(const System *sys, InterfaceProgram **ret_program, Err *e)
{
    Arena *arena = arena_create(1 << 20);
    InterfaceProgram *p = ARENA_NEW(arena, InterfaceProgram);
    p->arena = arena;
    p->sys = sys;
    p->event_ns = EVENT_NS;
    for (size_t i = 0; i < FIDELITIES; i++) {
        p->cost_ns[i] = NAN;
    }
    int rc = bounds_create(sys, &p->bounds, e);
    if (rc != 0 || (rc = formula_create(sys, &p->formula, e)) != 0) {
        interface_program_destroy(p);
        return rc;
    }
    *ret_program = p;
    return 0;
}

void interface_program_destroy(InterfaceProgram *p)
{
    if (p) {
        bounds_destroy(p->bounds);
        formula_destroy(p->formula);
        arena_destroy(p->arena);
    }
}

double interface_cost(const InterfaceProgram *p, Fidelity fidelity)
{
    return p->cost_ns[fidelity];
}

// ---- the question

static int set_rate(System *sys, const InterfaceRate *rate, Err *e)
{
    ptrdiff_t i = system_find_client(sys, rate->client);
    if (i < 0) {
        return err_set(e, ERR_ARG, "there is no client \"%.*s\"", SLICE_FMT(rate->client));
    }
    SystemClient *c = &sys->clients[i];
    if (c->users > 0) {
        return err_set(e, ERR_ARG, "%.*s is closed: its rate follows from its %u users",
                       SLICE_FMT(rate->client), c->users);
    }
    if (!(rate->rate > 0) || !isfinite(rate->rate) || rate->scv < 0 || !isfinite(rate->scv)) {
        return err_set(e, ERR_ARG, "the rate of %.*s must be above 0 and its scv not below",
                       SLICE_FMT(rate->client));
    }
    c->per_second = rate->rate;
    c->scv = rate->scv > 0 ? rate->scv : c->scv;
    return 0;
}

static int ask_of(Arena *arena, const System *base, const InterfaceQuery *q, System **ret, Err *e)
{
    System *sys = system_copy(arena, base);
    for (size_t i = 0; i < q->rate_count; i++) {
        int rc = set_rate(sys, &q->rates[i], e);
        if (rc != 0) {
            return rc;
        }
    }
    for (size_t i = 0; !q->outside && i < q->change_count; i++) {
        int rc = system_allowed(sys, &q->changes[i], e);
        if (rc != 0) {
            return rc;
        }
    }
    *ret = sys;
    return q->change_count > 0 ? system_set_all(sys, q->changes, q->change_count, e) : 0;
}

// ---- the fidelities

static void by_bounds(InterfaceProgram *p, const System *sys, Outcome *out, InterfaceAnswer *answer)
{
    (void)bounds_solve(p->bounds, sys, out);
    answer->fidelity = FIDELITY_BOUNDS;
}

static FormulaFacts by_formula(InterfaceProgram *p, Arena *arena, const System *sys, Outcome *out,
                               InterfaceAnswer *answer)
{
    FormulaFacts facts = formula_solve(p->formula, sys, out);
    answer->fidelity = FIDELITY_FORMULA;
    answer->outside = facts.utilisation > INTERFACE_UTILISATION;
    if (facts.unmodelled) {
        answer->note = arena_printf(arena, "formulas leave out %s", facts.unmodelled);
    } else if (answer->outside) {
        answer->note =
            arena_printf(arena, "%.*s is used to %.0f %%, formulas are good up to %.0f %%",
                         SLICE_FMT(sys->agents[facts.busiest].name), 100 * facts.utilisation,
                         100 * INTERFACE_UTILISATION);
    }
    return facts;
}

static int by_hybrid(InterfaceProgram *p, Arena *arena, const System *sys, const InterfaceQuery *q,
                     InterfaceAnswer *answer, Err *e)
{
    int64_t begun = clock_now(clock_real());
    bool outside = false;
    int rc = interface_fit_predict(q->fitted, sys, answer->outcome, &outside, e);
    if (rc == 0 && answer->outcome->fidelity == FIDELITY_HYBRID) {
        answer->fidelity = FIDELITY_HYBRID;
        if (outside && answer->note.len == 0) {
            answer->note = arena_printf(arena, "outside of what the model was fitted on");
        }
    }
    answer->outside = answer->outside || outside;
    p->cost_ns[FIDELITY_HYBRID] = (double)(clock_now(clock_real()) - begun);
    return rc;
}

// Seconds of virtual time that a replication may have for so much of the clock.
static double seconds_for(const InterfaceProgram *p, const System *sys, const Outcome *formula,
                          uint32_t threads, double clock_ns)
{
    double hops = 1;
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        double attempts = formula->edges[i].attempts.value;
        hops += isfinite(attempts) ? attempts : 0;
    }
    return clock_ns * threads / (hops * EVENTS_PER_HOP * p->event_ns * RUNS);
}

static int by_simulation(InterfaceProgram *p, Arena *arena, const System *sys, double seconds,
                         const InterfaceQuery *q, InterfaceAnswer *answer, Err *e)
{
    uint32_t threads = q->threads > 0 ? q->threads : 1, runs = RUNS;
    if (seconds > SECONDS_MAX) { // more runs say more than longer ones
        runs = (uint32_t)fmin(RUNS * seconds / SECONDS_MAX, RUNS_MAX);
        seconds = SECONDS_MAX;
    }
    double warmup = fmax(seconds / 4, 10);
    SimOptions options = {.seed = q->seed,
                          .horizon_ns = (int64_t)((seconds + warmup) * 1e9),
                          .warmup_ns = (int64_t)(warmup * 1e9),
                          .replications = runs,
                          .confidence = q->confidence,
                          .threads = threads};
    SimResult *result = NULL;
    int64_t begun = clock_now(clock_real());
    int rc = sim_run(arena, sys, &options, &result, e);
    if (rc != 0) {
        return rc;
    }
    double took = (double)(clock_now(clock_real()) - begun);
    if (result->events > 1000) {
        p->event_ns = took * threads / (double)result->events;
    }
    answer->outcome = result->outcome;
    answer->fidelity = FIDELITY_SIMULATION;
    p->cost_ns[FIDELITY_SIMULATION] = took;
    return 0;
}

int interface_query(InterfaceProgram *p, Arena *arena, const InterfaceQuery *q,
                    InterfaceAnswer *ret_answer, Err *e)
{
    int64_t begun = clock_now(clock_real());
    double budget = (double)(q->budget_ns > 0 ? q->budget_ns : BUDGET_DEFAULT_NS);
    InterfaceAnswer answer = {0};
    System *sys = NULL;
    bool exact = q->exact_fidelity;
    if (exact && (q->fidelity == FIDELITY_LEARNED || q->fidelity == FIDELITY_MEASURED ||
                  (q->fidelity == FIDELITY_HYBRID && !q->fitted))) {
        return err_set(e, ERR_UNSUPPORTED, "this interface has no fidelity \"%s\"",
                       FIDELITY_NAMES[q->fidelity]);
    }
    int rc = ask_of(arena, p->sys, q, &sys, e);
    if (rc != 0) {
        return rc;
    }
    answer.sys = sys;
    Outcome *out = answer.outcome = outcome_create(arena, sys);
    out->confidence = q->confidence;
    if (exact && q->fidelity == FIDELITY_BOUNDS) {
        by_bounds(p, sys, out, &answer);
        p->cost_ns[FIDELITY_BOUNDS] = (double)(clock_now(clock_real()) - begun);
    } else {
        FormulaFacts facts = by_formula(p, arena, sys, out, &answer);
        double formula_ns = (double)(clock_now(clock_real()) - begun);
        p->cost_ns[FIDELITY_FORMULA] = formula_ns;
        double left = budget - formula_ns;
        double seconds = seconds_for(p, sys, out, q->threads > 0 ? q->threads : 1, left * 0.8);
        bool wanted = exact ? q->fidelity == FIDELITY_SIMULATION : seconds >= SECONDS_MIN;
        bool hybrid = q->fitted && !wanted && (!exact || q->fidelity == FIDELITY_HYBRID);
        if (hybrid) {
            rc = by_hybrid(p, arena, sys, q, &answer, e);
        }
        if (wanted) {
            rc = by_simulation(p, arena, sys, fmax(seconds, SECONDS_MIN), q, &answer, e);
            if (rc == 0 && facts.bistable) {
                answer.note = SLICE("two steady states by formula: after an overload it may stay "
                                    "overloaded; see stability");
            }
        }
    }
    answer.outcome->reason = arena_copy(arena, answer.outcome->reason);
    answer.took_ns = answer.outcome->took_ns = clock_now(clock_real()) - begun;
    *ret_answer = answer;
    return rc;
}
