#include "model/stability.h"

#include <math.h>
#include <string.h>

#include "model/bounds.h"
#include "model/formula.h"
#include "model/metastable.h"
#include "model/sim.h"
#include "os/clock.h"
#include "stat/dist.h"

const char *const STABILITY_NAMES[] = {"recovers", "collapses", "unfit", "unknown", NULL};

enum { SEEDS_DEFAULT = 20, OPEN_MAX = 1 << 17, ESCAPE_QUEUE = 200, ESCAPE_ORBIT = 20 };
#define SECONDS(ns)     ((double)(ns)*1e-9)
#define GOODPUT_DEFAULT 0.95 // where a client was promised something, but no goodput
#define HALF            0.5  // the other hypothesis of the sequential test
#define LIKELY          19.0 // (1 - .05) / .05

typedef struct Check {
    Arena *arena;
    const System *sys;
    StabilityOptions o;
    System *control, *shaken;
    int64_t end_ns, horizon_ns; // of the trigger; of the runs
    Stability *s;
    double recovered_s[STABILITY_SEEDS_MAX];
    double log_odds; // of recovering nearly always against in half of the cases
    uint32_t unfit;
    uint32_t worst; // a client that did not come back, or that is unfit
    double worst_share;
} Check;

// ---- the trigger

static void aim(Check *c)
{
    c->control = system_copy(c->arena, c->sys);
    for (uint32_t i = 0; i < c->control->client_count; i++) {
        c->control->clients[i].spike_count = 0;
    }
    c->control->fault_count = 0;
    if (c->o.own_spikes) {
        c->shaken = system_copy(c->arena, c->sys);
        c->end_ns = 0;
        for (uint32_t i = 0; i < c->sys->client_count; i++) {
            for (uint32_t n = 0; n < c->sys->clients[i].spike_count; n++) {
                const SystemSpike *spike = &c->sys->clients[i].spikes[n];
                int64_t end = spike->at_ns + spike->for_ns;
                c->end_ns = end > c->end_ns ? end : c->end_ns;
            }
        }
        for (uint32_t i = 0; i < c->sys->fault_count; i++) {
            int64_t end = c->sys->faults[i].at_ns + c->sys->faults[i].for_ns;
            c->end_ns = end > c->end_ns ? end : c->end_ns;
        }
        return;
    }
    c->shaken = system_copy(c->arena, c->control);
    c->end_ns = c->o.at_ns + c->o.for_ns;
    if (c->o.lose > 0) {
        c->shaken->faults = ARENA_NEW(c->arena, SystemFault);
        c->shaken->faults[0] = (SystemFault){.at_ns = c->o.at_ns,
                                             .for_ns = c->o.for_ns,
                                             .agent = c->o.lose_agent,
                                             .slow = 1,
                                             .lose = c->o.lose};
        c->shaken->fault_count = 1;
        return;
    }
    SystemSpike *spike = ARENA_NEW(c->arena, SystemSpike);
    *spike = (SystemSpike){c->o.at_ns, c->o.for_ns, c->o.factor};
    bool said = false; // by the document: who comes in spikes
    for (uint32_t i = 0; i < c->sys->client_count; i++) {
        said = said || c->sys->clients[i].spike_count > 0;
    }
    for (uint32_t i = 0; i < c->shaken->client_count; i++) {
        bool spikes = said ? c->sys->clients[i].spike_count > 0 : true;
        c->shaken->clients[i].spikes = spike;
        c->shaken->clients[i].spike_count = spikes && c->shaken->clients[i].users == 0;
    }
}

// What nobody has to simulate for: how long the trigger's own backlog takes, and two fixed points.
static int look(Check *c, Err *e)
{
    Bounds *bounds = NULL;
    Formula *formula = NULL;
    int rc = bounds_create(c->sys, &bounds, e);
    if (rc == 0) {
        rc = formula_create(c->sys, &formula, e);
    }
    if (rc == 0) {
        Outcome *out = outcome_create(c->arena, c->sys);
        BoundsFacts facts = bounds_solve(bounds, c->control, out);
        double load = facts.utilisation, lost = 0;
        if (c->o.lose > 0 && c->sys->agents[c->o.lose_agent].servers > 0) {
            lost = (double)c->o.lose / c->sys->agents[c->o.lose_agent].servers;
        }
        double over = c->o.lose > 0 ? load - (1 - lost) : c->o.factor * load - 1;
        c->s->drain_s = load < 1 ? fmax(over, 0) * SECONDS(c->o.for_ns) / (1 - load) : INFINITY;
        c->s->bistable = formula_solve(formula, c->control, out).bistable;
    }
    bounds_destroy(bounds);
    formula_destroy(formula);
    return rc;
}

// A single limited agent whose only callers are clients that repeat on timeout is the station of
// model/metastable.h, with exponential times.
static void escape(Check *c)
{
    const System *sys = c->sys;
    c->s->escape_s = NAN;
    if (sys->agent_count != 1 || sys->client_count != 1 || sys->clients[0].users > 0) {
        return;
    }
    const SystemAgent *a = &sys->agents[0];
    const ParamValue *p = sys->edges[sys->clients[0].edge].policy;
    double mean = SECONDS(dist_mean(&a->service)), timeout = SECONDS(p[P_TIMEOUT_ATTEMPT].integer);
    if (a->servers == 0 || timeout <= 0 || !(mean > 0) || p[P_RETRY_ATTEMPTS].integer < 2 ||
        p[P_CANCEL_PROPAGATE].boolean) {
        return;
    }
    uint32_t room = a->queue < ESCAPE_QUEUE ? a->queue : ESCAPE_QUEUE;
    RetryStation station = {.arrival_rate = sys->clients[0].per_second,
                            .service_rate = 1 / mean,
                            .servers = (int)a->servers,
                            .timeout_s = timeout,
                            .retries = (double)p[P_RETRY_ATTEMPTS].integer - 1,
                            .queue_max = (int)(a->servers + (room > 1 ? room : 1)),
                            .orbit_max = ESCAPE_ORBIT};
    Metastable m;
    if (metastable_analyse(&station, &m, NULL) == 0) {
        c->s->escape_s = m.recovery_s;
    }
}

// ---- one seed

typedef struct Share {
    uint64_t offered, good;
} Share;

static Share share_of(const SimResult *result, const SimRun *run, const System *sys,
                      uint32_t client, int64_t from_ns, int64_t until_ns)
{
    Share sum = {0};
    for (uint32_t w = 0; w < run->window_count; w++) {
        int64_t at = (int64_t)w * result->window_ns;
        if (at >= from_ns && at + result->window_ns <= until_ns) {
            const SimWindow *window = &run->windows[w * sys->client_count + client];
            sum.offered += window->offered;
            sum.good += window->good;
        }
    }
    return sum;
}

// Less than `target` beyond chance: three standard deviations of a binomial share, and one request.
static bool misses(Share s, double target)
{
    if (s.offered == 0) {
        return false;
    }
    double n = (double)s.offered, deviation = sqrt(fmax(target * (1 - target), 1e-6) / n);
    return (double)s.good / n < target - 3 * deviation - 1 / n;
}

static double promised(const SystemObjective *o)
{
    return o->goodput > 0 ? o->goodput : GOODPUT_DEFAULT;
}

// The last third of the time after the trigger.
static int64_t judged_from(const Check *c)
{
    return c->horizon_ns - (c->horizon_ns - c->end_ns) / 3;
}

// The end of the last two bad windows in a row after the trigger, s; -1: the client is not back.
static double back_after(const Check *c, const SimResult *result, const SimRun *run,
                         uint32_t client, double target)
{
    int64_t last = c->end_ns;
    bool before = false;
    for (int64_t at = (c->end_ns / result->window_ns) * result->window_ns;
         at + result->window_ns <= c->horizon_ns; at += result->window_ns) {
        Share s = share_of(result, run, c->sys, client, at, at + result->window_ns);
        bool bad = misses(s, target);
        last = bad && (before || last == c->end_ns) ? at + result->window_ns : last;
        before = bad;
    }
    int64_t middle = judged_from(c);
    if (run->end != SIM_ENDED || run->ended_ns < c->horizon_ns ||
        misses(share_of(result, run, c->sys, client, middle, c->horizon_ns), target)) {
        return -1;
    }
    return SECONDS(last - c->end_ns);
}

typedef enum SeedVerdict { SEED_BACK, SEED_LOST, SEED_UNFIT } SeedVerdict;

static SeedVerdict judge(Check *c, const SimResult *control, const SimResult *shaken, uint32_t r,
                         double *ret_recovery_s)
{
    const System *sys = c->sys;
    *ret_recovery_s = 0;
    SeedVerdict verdict = SEED_BACK;
    for (uint32_t i = 0; i < sys->objective_count && verdict == SEED_BACK; i++) {
        const SystemObjective *o = &sys->objectives[i];
        Share calm =
            share_of(control, &control->runs[r], sys, o->client, c->o.at_ns, c->horizon_ns);
        double is = calm.offered > 0 ? (double)calm.good / (double)calm.offered : 1;
        double target = fmin(promised(o), is);
        c->worst = o->client;
        c->worst_share = is;
        if (control->runs[r].end != SIM_ENDED || misses(calm, promised(o))) {
            verdict = SEED_UNFIT;
            break;
        }
        double back = back_after(c, shaken, &shaken->runs[r], o->client, target);
        if (back < 0) {
            Share late =
                share_of(shaken, &shaken->runs[r], sys, o->client, judged_from(c), c->horizon_ns);
            c->worst_share = late.offered > 0 ? (double)late.good / (double)late.offered : 0;
            verdict = SEED_LOST;
        }
        *ret_recovery_s = fmax(*ret_recovery_s, back);
    }
    return verdict;
}

static void count(Check *c, SeedVerdict verdict, double recovery_s)
{
    double share = c->o.share;
    c->s->seeds++;
    if (verdict == SEED_BACK) {
        c->recovered_s[c->s->recovered++] = recovery_s;
        c->log_odds += log(share / HALF);
    } else {
        c->unfit += verdict == SEED_UNFIT;
        c->log_odds += log((1 - share) / (1 - HALF));
    }
}

// The next `seeds` of them, in parallel.
static int some_seeds(Check *c, uint32_t seeds, Err *e)
{
    Arena *arena = arena_create((size_t)1 << 30);
    SimOptions options = {.seed = c->o.seed,
                          .first = c->s->seeds,
                          .replications = seeds,
                          .horizon_ns = c->horizon_ns,
                          .warmup_ns = SIM_WARMUP_NONE,
                          .threads = seeds,
                          .no_controls = true,
                          .open_max = OPEN_MAX};
    SimResult *control = NULL, *shaken = NULL;
    int rc = sim_run(arena, c->control, &options, &control, e);
    if (rc == 0) {
        rc = sim_run(arena, c->shaken, &options, &shaken, e);
    }
    for (uint32_t r = 0; rc == 0 && r < seeds; r++) {
        double recovery = 0;
        SeedVerdict verdict = judge(c, control, shaken, r, &recovery);
        count(c, verdict, recovery);
    }
    arena_destroy(arena);
    return rc;
}

// ---- the verdict

static Estimate recovery_of(const Check *c)
{
    uint32_t n = c->s->recovered;
    if (n == 0) {
        return (Estimate){INFINITY, INFINITY, INFINITY};
    }
    double sum = 0, least = INFINITY, most = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += c->recovered_s[i];
        least = fmin(least, c->recovered_s[i]);
        most = fmax(most, c->recovered_s[i]);
    }
    return (Estimate){sum / n, least, most};
}

static Slice reason_of(const Check *c)
{
    const Stability *s = c->s;
    Slice client = c->sys->objective_count > 0 ? c->sys->clients[c->worst].name : SLICE("nobody");
    switch (s->verdict) {
    case STABILITY_RECOVERS:
        return arena_printf(c->arena, "came back in %u of %u cases, after %.0f s on average",
                            s->recovered, s->seeds, s->recovery.value);
    case STABILITY_COLLAPSES:
        return arena_printf(
            c->arena,
            "does not come back: %.0f s after the overload only %.0f %% of %.*s are "
            "good, in %u of %u cases%s",
            SECONDS(c->horizon_ns - c->end_ns), 100 * c->worst_share, SLICE_FMT(client),
            s->seeds - s->recovered, s->seeds,
            s->bistable ? "; what is repeated and not cancelled keeps the load up" : "");
    case STABILITY_UNFIT:
        return arena_printf(c->arena, "only %.1f %% of %.*s are good without any trigger",
                            100 * c->worst_share, SLICE_FMT(client));
    case STABILITY_UNKNOWN: break;
    }
    return arena_printf(c->arena, "came back in %u of %u cases, which decides nothing",
                        s->recovered, s->seeds);
}

static void conclude(Check *c)
{
    Stability *s = c->s;
    s->verdict = STABILITY_UNKNOWN;
    if (c->log_odds >= log(LIKELY)) {
        s->verdict = STABILITY_RECOVERS;
    } else if (c->log_odds <= -log(LIKELY)) {
        bool mostly_unfit = 2 * c->unfit > s->seeds - s->recovered;
        s->verdict = mostly_unfit ? STABILITY_UNFIT : STABILITY_COLLAPSES;
    }
    s->recovery = recovery_of(c);
    // Clopper and Pearson: the share p at which so many successes have a chance of 5 %.
    s->at_least = s->recovered == 0
                      ? 0
                      : dist_beta_quantile(0.05, s->recovered, s->seeds - s->recovered + 1.0);
    s->reason = reason_of(c);
}

static int defaults(StabilityOptions *o, const System *sys, Err *e)
{
    o->factor = o->factor > 0 ? o->factor : 3;
    o->at_ns = o->at_ns > 0 ? o->at_ns : 30 * NS_PER_S;
    o->for_ns = o->for_ns > 0 ? o->for_ns : 15 * NS_PER_S;
    o->share = o->share > 0 ? o->share : 0.95;
    o->seeds_max = o->seeds_max > 0 ? o->seeds_max : SEEDS_DEFAULT;
    if (o->seeds_max > STABILITY_SEEDS_MAX || o->share <= HALF || o->share >= 1) {
        return err_set(e, ERR_ARG, "at most %d seeds, and a share between %g and 1",
                       STABILITY_SEEDS_MAX, HALF);
    }
    if (o->lose > 0 && o->lose_agent >= sys->agent_count) {
        return err_set(e, ERR_ARG, "there is no agent %u", o->lose_agent);
    }
    if (sys->objective_count == 0) {
        return err_set(e, ERR_ARG,
                       "the system promises nothing to anybody, so nothing can be "
                       "missed after a spike: add [objectives.CLIENT]");
    }
    return 0;
}

int stability_check(Arena *arena, const System *sys, const StabilityOptions *options,
                    Stability *ret_stability, Err *e)
{
    int64_t begun = clock_now(clock_real());
    Stability s = {0};
    Check c = {.arena = arena, .sys = sys, .s = &s};
    c.o = options ? *options : (StabilityOptions){0};
    int rc = defaults(&c.o, sys, e);
    if (rc != 0) {
        return rc;
    }
    aim(&c);
    if ((rc = look(&c, e)) != 0) {
        return rc;
    }
    escape(&c);
    int64_t within = c.o.within_ns;
    if (within <= 0) {
        within = (int64_t)(fmin(60 + 3 * fmin(s.drain_s, 1e6), 900) * 1e9);
    }
    c.horizon_ns = c.end_ns + within;
    while (s.seeds < c.o.seeds_max && fabs(c.log_odds) < log(LIKELY)) {
        uint32_t left = c.o.seeds_max - s.seeds, seeds = c.o.threads > 1 ? c.o.threads : 1;
        if ((rc = some_seeds(&c, seeds < left ? seeds : left, e)) != 0) {
            return rc;
        }
        if (c.o.budget_ns > 0 && clock_now(clock_real()) - begun > c.o.budget_ns) {
            break;
        }
    }
    conclude(&c);
    s.took_ns = clock_now(clock_real()) - begun;
    *ret_stability = s;
    return 0;
}
