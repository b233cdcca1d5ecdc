#include "manage/plant.h"

#include <assert.h>
#include <math.h>

#include "os/clock.h"
#include "stat/quantile.h"
#include "stat/rate.h"

const PolicyShape PLANT_ROOM = {
    .queue = 4096, .window = 256, .quantile = true, .autoscale = true, .program = true};

int plant_wait(Plant *plant, int64_t at_ns, Err *e)
{
    return plant->ops->wait(plant, at_ns, e);
}

int plant_observe(Plant *plant, Arena *arena, PlantWindow *ret_window, Err *e)
{
    return plant->ops->observe(plant, arena, ret_window, e);
}

int plant_set(Plant *plant, const SystemChange *changes, size_t count, ParamValue *ret_old, Err *e)
{
    if (count > PLANT_CHANGES_MAX) {
        return err_set(e, ERR_LIMIT, "%zu changes at once, the limit is %d", count,
                       PLANT_CHANGES_MAX);
    }
    ParamValue old[PLANT_CHANGES_MAX];
    return plant->ops->set(plant, changes, count, ret_old != NULL ? ret_old : old, e);
}

int plant_set_program(Plant *plant, SystemPlace place, uint32_t index, Slice text, Err *e)
{
    if (plant->ops->set_program == NULL) {
        return err_set(e, ERR_UNSUPPORTED, "this plant runs no policy programs");
    }
    if (text.len > PLANT_PROGRAM_MAX) {
        return err_set(e, ERR_LIMIT, "a policy program has at most %d bytes", PLANT_PROGRAM_MAX);
    }
    return plant->ops->set_program(plant, place, index, text, e);
}

int plant_topology(Plant *plant, Arena *arena, PlantTopology *ret_topology, Err *e)
{
    return plant->ops->topology(plant, arena, ret_topology, e);
}

void plant_destroy(Plant *plant)
{
    if (plant != NULL) {
        plant->ops->destroy(plant);
    }
}

int64_t plant_within_ns(const System *sys, uint32_t client)
{
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        if (sys->objectives[i].client == client && sys->objectives[i].within_ns > 0) {
            return sys->objectives[i].within_ns;
        }
    }
    return NEVER_NS;
}

PlantWindow plant_window_create(Arena *arena, const System *sys, int64_t from_ns, int64_t until_ns)
{
    assert(from_ns <= until_ns);
    return (PlantWindow){
        .from_ns = from_ns,
        .until_ns = until_ns,
        .outcome = outcome_create(arena, sys),
        .clients = ARENA_ARRAY(arena, PlantClient, sys->client_count),
        .edges = ARENA_ARRAY(arena, PlantEdge, sys->edge_count),
        .agents = ARENA_ARRAY(arena, PlantAgent, sys->agent_count),
    };
}

// A count over a time as a rate: Poisson's interval by its normal approximation of the square root
// (Anscombe 1948), which is good to a per cent from a count of 4 on.
static Estimate rate_of(double count, double seconds, double confidence)
{
    double z = confidence >= 0.989 ? 2.576 : confidence >= 0.949 ? 1.96 : 1.645;
    double root = sqrt(count + 0.375);
    double low = fmax(0, root - z / 2), high = root + z / 2;
    if (!(seconds > 0)) {
        return (Estimate){NAN, NAN, NAN};
    }
    return (Estimate){count / seconds, fmax(0, low * low - 0.375) / seconds,
                      fmax(count, high * high - 0.375) / seconds};
}

static Estimate share_of(double k, double n, double confidence)
{
    if (!(n > 0)) {
        return (Estimate){NAN, NAN, NAN};
    }
    Interval i = rate_interval_exact(k, n, confidence);
    return (Estimate){k / n, i.low, i.high};
}

static Estimate quantile_of(const Hist *h, double q, double confidence)
{
    if (h == NULL || hist_count_all(h) == 0) {
        return (Estimate){NAN, NAN, NAN};
    }
    QuantileAsk ask = {.q = q, .confidence = confidence, .with_infinite = true};
    Interval i = quantile_hist_interval(h, &ask);
    double value = hist_quantile_all(h, q) / 1e9;
    return (Estimate){value, fmin(value, fmax(0, i.low / 1e9)), fmax(value, i.high / 1e9)};
}

static Estimate mean_of(const Hist *h)
{
    if (h == NULL || h->count < 2) {
        return (Estimate){NAN, NAN, NAN};
    }
    double mean = hist_mean(h) / 1e9;
    double half = 1.96 * hist_stddev(h) / sqrt((double)h->count) / 1e9;
    return (Estimate){mean, fmax(0, mean - half), mean + half};
}

static void client_finish(const PlantClient *c, double seconds, double confidence,
                          ClientOutcome *out)
{
    double ended = (double)(c->good + c->late + c->failed);
    out->offered = rate_of((double)c->offered, seconds, confidence);
    // Whoever still waits beyond the time in which an answer is good will not get a good one.
    out->goodput = share_of((double)c->good, ended + (double)c->overdue, confidence);
    out->errors = share_of((double)c->failed, ended, confidence);
    out->mean = mean_of(c->latency);
    out->p50 = quantile_of(c->latency, 0.5, confidence);
    out->p99 = quantile_of(c->latency, 0.99, confidence);
}

static Estimate exactly(double value)
{
    return (Estimate){value, value, value};
}

void plant_window_finish(Arena *arena, const System *sys, PlantWindow *window, double confidence)
{
    Outcome *o = window->outcome;
    double seconds = (double)(window->until_ns - window->from_ns) / 1e9;
    (void)arena;
    o->fidelity = FIDELITY_MEASURED;
    o->confidence = confidence;
    o->stable = true;
    for (uint32_t i = 0; i < sys->client_count; i++) {
        client_finish(&window->clients[i], seconds, confidence, &o->clients[i]);
    }
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        const PlantEdge *edge = &window->edges[i];
        o->edges[i].calls = rate_of((double)edge->calls, seconds, confidence);
        o->edges[i].attempts = rate_of((double)edge->attempts, seconds, confidence);
        o->edges[i].retries = rate_of((double)edge->retries, seconds, confidence);
        o->edges[i].hedges = rate_of((double)edge->hedges, seconds, confidence);
        o->edges[i].timeouts = rate_of((double)edge->timeouts, seconds, confidence);
    }
    for (uint32_t i = 0; i < sys->agent_count && seconds > 0; i++) {
        const PlantAgent *agent = &window->agents[i];
        bool limited = sys->agents[i].servers > 0 && agent->servers > 0;
        double busy = agent->busy_s / seconds;
        o->agents[i].arrivals = rate_of((double)agent->arrivals, seconds, confidence);
        o->agents[i].utilisation = exactly(limited ? busy / agent->servers : busy);
        o->agents[i].waiting = exactly(agent->waiting);
        o->agents[i].servers = exactly(agent->servers);
        o->agents[i].wasted = exactly(agent->busy_s > 0 ? agent->wasted_s / agent->busy_s : 0);
    }
}
