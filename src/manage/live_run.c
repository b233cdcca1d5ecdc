#include "manage/live_run.h"

#include <math.h>

#include "stat/dist.h"

typedef struct Run {
    Arena *arena;
    const System *sys;
    const LiveRunOptions *options;
    Plant *plant;
    PlantWindow total;
    Hist *client_latency, *agent_service;
    Outcome *sections[LIVE_RUN_SECTIONS];
    uint32_t section_count;
} Run;

static void add_client(PlantClient *into, const PlantClient *from, Hist *latency)
{
    into->offered += from->offered;
    into->good += from->good;
    into->late += from->late;
    into->failed += from->failed;
    into->overdue = from->overdue; // as of now
    hist_merge(latency, from->latency);
}

static void add_edge(PlantEdge *into, const PlantEdge *from)
{
    into->calls += from->calls;
    into->attempts += from->attempts;
    into->retries += from->retries;
    into->hedges += from->hedges;
    into->timeouts += from->timeouts;
    into->ok += from->ok;
    into->failed += from->failed;
}

static void add_agent(PlantAgent *into, const PlantAgent *from, Hist *service, double share)
{
    into->arrivals += from->arrivals;
    into->served += from->served;
    into->busy_s += from->busy_s;
    into->wasted_s += from->wasted_s;
    into->waiting += from->waiting * share;
    into->servers += from->servers * share;
    hist_merge(service, from->service);
}

static void add_window(Run *r, const PlantWindow *w, int64_t whole_ns)
{
    double share = (double)(w->until_ns - w->from_ns) / (double)whole_ns;
    for (uint32_t i = 0; i < r->sys->client_count; i++) {
        add_client(&r->total.clients[i], &w->clients[i], &r->client_latency[i]);
        r->total.clients[i].latency = &r->client_latency[i];
    }
    for (uint32_t i = 0; i < r->sys->edge_count; i++) {
        add_edge(&r->total.edges[i], &w->edges[i]);
    }
    for (uint32_t i = 0; i < r->sys->agent_count; i++) {
        add_agent(&r->total.agents[i], &w->agents[i], &r->agent_service[i], share);
        r->total.agents[i].service = &r->agent_service[i];
    }
    r->total.until_ns = w->until_ns;
}

// ---- intervals

// An outcome's parts are structs of nothing but estimates.
typedef struct Estimates {
    Estimate *first;
    size_t count;
} Estimates;

static Estimates estimates_of(const Outcome *o, const System *sys, int part)
{
    switch (part) {
    case 0:
        return (Estimates){(Estimate *)o->clients,
                           sys->client_count * (sizeof *o->clients / sizeof(Estimate))};
    case 1:
        return (Estimates){(Estimate *)o->edges,
                           sys->edge_count * (sizeof *o->edges / sizeof(Estimate))};
    default:
        return (Estimates){(Estimate *)o->agents,
                           sys->agent_count * (sizeof *o->agents / sizeof(Estimate))};
    }
}

static void set_interval(Run *r, Estimate *into, int part, size_t index, double confidence)
{
    double sum = 0, squares = 0, n = 0;
    bool infinite = false;
    for (uint32_t s = 0; s < r->section_count; s++) {
        double x = estimates_of(r->sections[s], r->sys, part).first[index].value;
        infinite |= isinf(x);
        if (isfinite(x)) {
            sum += x;
            squares += x * x;
            n++;
        }
    }
    if (n < 2 || isnan(into->value)) {
        return; // the window's own interval stays
    }
    double mean = sum / n;
    double deviation = sqrt(fmax(0, (squares - n * mean * mean) / (n - 1)));
    double half = dist_t_quantile(1 - (1 - confidence) / 2, n - 1) * deviation / sqrt(n);
    // Around the value of the whole: a mean of quantiles of short sections is not the quantile.
    into->low = fmin(into->value, fmax(0, fmin(into->value, mean) - half));
    into->high = infinite ? INFINITY : fmax(into->value, fmax(into->value, mean) + half);
}

static void set_intervals(Run *r, double confidence)
{
    for (int part = 0; part < 3; part++) {
        Estimates all = estimates_of(r->total.outcome, r->sys, part);
        for (size_t i = 0; i < all.count; i++) {
            set_interval(r, &all.first[i], part, i, confidence);
        }
    }
    for (uint32_t i = 0; i < r->sys->client_count; i++) {
        ClientOutcome *c = &r->total.outcome->clients[i];
        c->goodput.high = fmin(c->goodput.high, 1);
        c->errors.high = fmin(c->errors.high, 1);
    }
    for (uint32_t i = 0; i < r->sys->agent_count; i++) {
        Estimate *wasted = &r->total.outcome->agents[i].wasted;
        wasted->high = fmin(wasted->high, 1);
    }
}

// ---- the run

static void tell(const Run *r, const PlantWindow *last)
{
    if (r->options->progress) {
        r->options->progress(r->options->context, plant_now(r->plant), last);
    }
}

static int measure(Run *r, Err *e)
{
    const LiveRunOptions *o = r->options;
    int64_t whole = o->horizon_ns - o->warmup_ns;
    PlantWindow w;
    int rc = plant_wait(r->plant, o->warmup_ns, e);
    rc = rc ? rc : plant_observe(r->plant, r->arena, &w, e);
    r->total = plant_window_create(r->arena, r->sys, o->warmup_ns, o->warmup_ns);
    for (int s = 0; s < LIVE_RUN_SECTIONS && rc == 0; s++) {
        tell(r, s ? &w : NULL);
        int waited = plant_wait(r->plant, o->warmup_ns + whole * (s + 1) / LIVE_RUN_SECTIONS, e);
        rc = plant_observe(r->plant, r->arena, &w, e);
        if (rc == 0 && w.until_ns > w.from_ns) {
            add_window(r, &w, whole);
            r->sections[r->section_count++] = w.outcome;
        }
        rc = rc ? rc : waited;
    }
    return rc;
}

static bool is_late(const Run *r, const PlantLiveHealth *health)
{
    double fastest = INFINITY;
    for (uint32_t i = 0; i < r->sys->client_count; i++) {
        fastest = fmin(fastest, r->total.outcome->clients[i].p50.value);
    }
    double scale = r->options->plant.scale > 0 ? r->options->plant.scale : 1;
    double allowed = fmax(1e-3, LIVE_RUN_LATE_SHARE * fastest / scale);
    return health->sent > 0 && health->late_p99_s > allowed;
}

static void finish(Run *r, int rc, LiveRun *ret_run)
{
    double confidence = r->options->confidence > 0 ? r->options->confidence : 0.9;
    plant_window_finish(r->arena, r->sys, &r->total, confidence);
    set_intervals(r, confidence);
    PlantLiveHealth health = plant_live_health(r->plant);
    *ret_run = (LiveRun){.outcome = r->total.outcome,
                         .health = health,
                         .measured_ns = r->total.until_ns - r->total.from_ns,
                         .stopped = rc == ERR_CANCELLED,
                         .invalid = is_late(r, &health)};
}

int live_run(Arena *arena, const System *sys, const LiveRunOptions *options, LiveRun *ret_run,
             Err *e)
{
    if (options->warmup_ns < 0 || options->horizon_ns <= options->warmup_ns) {
        return err_set(e, ERR_ARG, "the horizon has to be after the warm-up");
    }
    Run r = {.arena = arena, .sys = sys, .options = options};
    int rc = plant_live_create(sys, &options->plant, &r.plant, e);
    if (rc != 0) {
        return rc;
    }
    r.client_latency = ARENA_ARRAY(arena, Hist, sys->client_count);
    r.agent_service = ARENA_ARRAY(arena, Hist, sys->agent_count);
    for (uint32_t i = 0; i < sys->client_count; i++) {
        hist_init(&r.client_latency[i]);
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        hist_init(&r.agent_service[i]);
    }
    rc = measure(&r, e);
    if (r.section_count > 0 && (rc == 0 || rc == ERR_CANCELLED)) {
        finish(&r, rc, ret_run);
        rc = 0;
    }
    plant_destroy(r.plant);
    for (uint32_t i = 0; i < sys->client_count; i++) {
        hist_done(&r.client_latency[i]);
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        hist_done(&r.agent_service[i]);
    }
    return rc;
}
