// When the models no longer fit: other agents are called, or as often as nobody expects, or an
// interface is contradicted by what is measured. The view is refitted from what was observed.

#include "manage/coordinator_impl.h"

#include <math.h>
#include <string.h>

enum { STRUCTURE_WINDOWS = 2 }; // in a row that must show a change before it is believed

// ---- structure

static SystemTarget *target_of(System *sys, Slice from, Slice to)
{
    ptrdiff_t caller = system_find_agent(sys, from);
    if (caller < 0) {
        return NULL;
    }
    SystemAgent *agent = &sys->agents[caller];
    for (uint32_t g = 0; g < agent->group_count; g++) {
        for (uint32_t t = 0; t < agent->groups[g].count; t++) {
            SystemTarget *target = &agent->groups[g].targets[t];
            if (slice_eq(sys->agents[sys->edges[target->edge].to].name, to)) {
                return target;
            }
        }
    }
    return NULL;
}

// Calls for one request become chance where they are at most one, else repeats.
static bool refit_visits(System *sys, const StructureChange *change)
{
    SystemTarget *target = target_of(sys, change->from, change->to);
    double visits = change->kind == STRUCTURE_EDGE_GONE
                        ? 0
                        : (change->observed.low + change->observed.high) / 2;
    if (target == NULL || !isfinite(visits)) {
        return false;
    }
    target->chance = visits < 1 ? visits : 1;
    target->repeat = visits < 1 ? 1 : visits;
    return true;
}

void coordinator_check_structure(Coordinator *c, const PlantWindow *window)
{
    PlantTopology topology;
    StructureChange *changes = NULL;
    Err e = {0};
    if (plant_topology(c->plant, c->window_arena, &topology, &e) != 0) {
        return; // a plant without traces
    }
    size_t count = detect_structure(c->published, &topology, window, &DETECT_DEFAULTS,
                                    c->window_arena, &changes);
    c->structure_seen = count > 0 ? c->structure_seen + 1 : 0;
    if (c->structure_seen < STRUCTURE_WINDOWS) {
        return;
    }
    int64_t began = clock_now(clock_real());
    c->structure_seen = 0;
    for (size_t i = 0; i < count; i++) {
        const StructureChange *s = &changes[i];
        bool fitted = refit_visits(c->published, s);
        story_say(c, STORY_STRUCTURE, s->from,
                  "%s: %.*s -> %.*s, %.3g calls a request expected, "
                  "%.3g..%.3g seen%s",
                  STRUCTURE_NAMES[s->kind], SLICE_FMT(s->from), SLICE_FMT(s->to), s->expected,
                  s->observed.low, s->observed.high, fitted ? "" : "; nothing is known of it");
    }
    int64_t took = clock_now(clock_real()) - began;
    c->sums.refits++;
    c->sums.refit_ns = took > c->sums.refit_ns ? took : c->sums.refit_ns;
    c->expected = NULL; // it was said of another structure
}

// ---- drift of an agent: what it says its work takes against what it takes

enum { DRIFT_SERVED_MIN = 20 }; // in a window that says anything

// Mean own work, as measured; NAN where the plant cannot tell it from waiting for others.
static double measured_mean(const System *sys, uint32_t agent, const PlantAgent *seen)
{
    if (seen->service != NULL) {
        return seen->service->count >= DRIFT_SERVED_MIN ? hist_mean(seen->service) : NAN;
    }
    const SystemAgent *a = &sys->agents[agent];
    bool own_only = !a->holds_server || a->group_count == 0;
    // Work for those who left is in the sum, and is cut short: few of them, or it says nothing.
    bool whole = seen->left * 50 <= seen->served;
    return own_only && whole && seen->served >= DRIFT_SERVED_MIN
               ? seen->busy_s * 1e9 / (double)seen->served
               : NAN;
}

// In the place of what the agent said: the measured distribution where there is one, else its own
// shape, stretched to the measured mean.
static void refit_service(Coordinator *c, uint32_t agent, double mean)
{
    Dist *service = &c->published->agents[agent].service;
    double said = dist_mean(service), said_p99 = dist_quantile(service, 0.99);
    WorkSeen *seen = &c->work_seen[agent];
    if (work_seen_count(seen) >= WORK_ENOUGH) {
        *service = work_refit(c->arena, seen, service);
        work_seen_reset(seen);
    } else {
        double *points = ARENA_ARRAY(c->arena, double, WORK_POINTS);
        for (int i = 0; i < WORK_POINTS; i++) {
            double p = (double)i / (WORK_POINTS - 1);
            points[i] = dist_quantile(service, fmin(p, 0.9999)) * mean / said;
        }
        *service = dist_empirical(points, WORK_POINTS);
    }
    c->sums.refits++;
    story_say(
        c, STORY_DRIFT, c->published->agents[agent].name,
        "said that its work takes %.3g s (p99 %.3g s), it takes %.3g s (p99 %.3g s): refitted",
        said / 1e9, said_p99 / 1e9, dist_mean(service) / 1e9, dist_quantile(service, 0.99) / 1e9);
}

// Does the window contradict what the agent says of its work? By the distribution where the plant
// measures it, else by the mean, with the chance that the agent's own shape allows.
static bool is_contradicted(const WorkSeen *work, const Dist *said, const PlantAgent *seen,
                            double mean)
{
    if (seen->service) {
        return work_contradicts(work, said);
    }
    double chance = 4 * sqrt(dist_scv(said) / fmax(1, (double)seen->served));
    // A tenth is within what documents are rounded to.
    return fabs(mean / dist_mean(said) - 1) > fmax(0.1, chance);
}

static void check_agents(Coordinator *c, const PlantWindow *window)
{
    int64_t began = clock_now(clock_real());
    bool refitted = false;
    for (uint32_t i = 0; i < c->published->agent_count; i++) {
        const PlantAgent *seen = &window->agents[i];
        const Dist *service = &c->published->agents[i].service;
        double said = dist_mean(service), mean = measured_mean(c->published, i, seen);
        if (!(said > 0) || isnan(mean)) {
            continue;
        }
        work_seen_add(&c->work_seen[i], seen);
        bool inside = !is_contradicted(&c->work_seen[i], service, seen, mean);
        c->agent_drift[i].confidence = 0.9;
        if (drift_seen(&c->agent_drift[i], inside)) {
            refit_service(c, i, mean);
            refitted = true;
        }
    }
    if (!refitted) {
        return;
    }
    int64_t took = clock_now(clock_real()) - began;
    c->sums.refit_ns = took > c->sums.refit_ns ? took : c->sums.refit_ns;
    c->expected = NULL; // it was predicted from what is wrong
    for (size_t i = 0; i < c->manager_count; i++) {
        // What was refused or found wanting was so by the wrong model.
        c->managers[i]->limit_count = 0;
        c->managers[i]->rest_until_ns = c->now_ns;
        c->managers[i]->failures = 0;
    }
}

// ---- drift of a prediction: what was kept against what it was kept for

static bool client_contradicts(Coordinator *c, uint32_t objective, const PlantWindow *window)
{
    System one = *c->plant->sys;
    one.objectives = &c->plant->sys->objectives[objective];
    one.objective_count = 1;
    DetectGuard guard = {.confidence = 0.95, .strict = true};
    Violation v;
    return detect_contradicts(&one, c->expected, window, &guard, &v);
}

void coordinator_check_drift(Coordinator *c, const PlantWindow *window)
{
    check_agents(c, window);
    for (uint32_t i = 0; c->expected != NULL && i < c->plant->sys->objective_count; i++) {
        uint32_t client = c->plant->sys->objectives[i].client;
        c->drift[client].confidence = 0.95;
        if (drift_seen(&c->drift[client], !client_contradicts(c, i, window))) {
            story_say(c, STORY_DRIFT, c->plant->sys->clients[client].name,
                      "is not served as was predicted, again and again");
            c->expected = NULL;
        }
    }
}
