#include "live_predict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "manage/live_run.h"

const char *const LIVE_MEASURE_NAMES[LIVE_MEASURES + 1] = {"p50", "p99", "goodput", "attempts",
                                                           NULL};

// ---- how much longer the runtime sleeps than it should

static const char SLEEPER[] = "version = 1\n[agents.x]\nservice = \"50ms\"\n"
                              "[clients.c]\nto = \"x\"\nrate = 10.0\n";

int live_lateness(uint64_t seed, double scale, double seconds, Estimate *ret_late_s, Err *e)
{
    Arena *arena = arena_create(64 << 20);
    System *sys = NULL;
    LiveRun run;
    int64_t horizon = (int64_t)(fmin(seconds, 5) * scale * 1e9);
    int rc = system_parse(arena, slice_from_cstr(SLEEPER), "sleeper", &sys, e);
    LiveRunOptions options = {.plant = {.seed = seed + 77, .scale = scale},
                              .warmup_ns = horizon / 10,
                              .horizon_ns = horizon};
    rc = rc ? rc : live_run(arena, sys, &options, &run, e);
    if (rc == 0) {
        Estimate mean = run.outcome->clients[0].mean;
        *ret_late_s = (Estimate){fmax(mean.value - 0.05, 0), fmax(mean.low - 0.05, 0),
                                 fmax(mean.high - 0.05, 0)};
    }
    arena_destroy(arena);
    return rc;
}

// A duration's distribution moved up by so much: exactly where it is fixed or cut below, in its
// scale elsewhere, which for a hundredth of it is the same but for second order.
static Dist longer(Arena *arena, const Dist *d, double ns)
{
    Dist out = *d;
    if (d->kind == DIST_MIXTURE) {
        DistPart *parts = ARENA_ARRAY(arena, DistPart, d->count);
        for (uint32_t i = 0; i < d->count; i++) {
            parts[i] = (DistPart){d->parts[i].weight, longer(arena, &d->parts[i].dist, ns)};
        }
        out.parts = parts;
    } else if (dist_mean(d) > 0 && d->kind != DIST_EMPIRICAL) {
        double factor = 1 + ns / dist_mean(d);
        out.scale *= factor;
        out.other = d->kind == DIST_HYPEREXPONENTIAL || d->kind == DIST_UNIFORM ? d->other * factor
                                                                                : d->other;
    }
    return out;
}

static System *with_lateness(Arena *arena, const System *sys, double seconds)
{
    System *out = system_copy(arena, sys);
    for (uint32_t i = 0; i < out->agent_count; i++) {
        if (dist_mean(&out->agents[i].service) > 0) {
            out->agents[i].service = longer(arena, &sys->agents[i].service, seconds * 1e9);
        }
    }
    return out;
}

// ---- the prediction

size_t live_values(const System *sys, const Outcome *o, LiveValue ret[LIVE_VALUES_MAX])
{
    size_t n = 0;
    for (uint32_t i = 0; i < sys->client_count && n + 3 <= LIVE_VALUES_MAX; i++) {
        const ClientOutcome *c = &o->clients[i];
        const double list[] = {c->p50.value, c->p99.value, c->goodput.value};
        for (size_t k = 0; k < COUNT_OF(list); k++, n++) {
            ret[n] = (LiveValue){.measure = (LiveMeasure)(LIVE_P50 + k), .observed = list[k]};
            (void)snprintf(ret[n].name, sizeof ret[n].name, "%.*s",
                           SLICE_FMT(sys->clients[i].name));
        }
    }
    for (uint32_t i = 0; i < sys->edge_count && n < LIVE_VALUES_MAX; i++, n++) {
        ret[n] = (LiveValue){.measure = LIVE_ATTEMPTS, .observed = o->edges[i].attempts.value};
        (void)snprintf(ret[n].name, sizeof ret[n].name, "%.*s", SLICE_FMT(sys->edges[i].name));
    }
    return n;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Order statistics of the replications as the interval for one more.
static void set_interval(LiveValue *v, double *sorted, uint32_t n)
{
    qsort(sorted, n, sizeof *sorted, ascending);
    uint32_t k = (uint32_t)((1 - LIVE_CONFIDENCE) * (n + 1) / 2 + 1e-9);
    v->low = sorted[k > 0 ? k - 1 : 0];
    v->high = sorted[k > 0 ? n - k : n - 1];
    v->value = sorted[n / 2];
}

int live_predict(Arena *arena, const System *sys, const LivePredictOptions *o, Estimate late,
                 LiveValue ret[LIVE_VALUES_MAX], size_t *ret_count, Err *e)
{
    uint32_t each = o->replications / LIVE_THIRDS, n = each * LIVE_THIRDS;
    const double lates[LIVE_THIRDS] = {late.low, late.value, late.high};
    double *all = ARENA_ARRAY(arena, double, (size_t)n *LIVE_VALUES_MAX);
    for (uint32_t third = 0; third < LIVE_THIRDS; third++) {
        SimOptions options = {.seed = o->seed,
                              .horizon_ns = o->horizon_ns,
                              .warmup_ns = o->warmup_ns,
                              .replications = each,
                              .first = third * each,
                              .no_controls = true,
                              .open_max = 1 << 17};
        SimResult *result = NULL;
        int rc = sim_run(arena, with_lateness(arena, sys, lates[third]), &options, &result, e);
        if (rc != 0) {
            return rc;
        }
        for (uint32_t r = 0; r < each; r++) {
            *ret_count = live_values(sys, result->runs[r].outcome, ret);
            for (size_t i = 0; i < *ret_count; i++) {
                all[i * n + third * each + r] = ret[i].observed;
            }
        }
    }
    for (size_t i = 0; i < *ret_count; i++) {
        set_interval(&ret[i], &all[i * n], n);
    }
    return 0;
}
