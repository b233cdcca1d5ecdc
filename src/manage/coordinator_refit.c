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

// ---- drift

// What an agent was seen to take, in the place of what it said.
static bool refit_service(Coordinator *c, uint32_t agent, const Hist *seen)
{
    enum { POINTS = 129 };
    if (seen == NULL || seen->count < 50) {
        return false;
    }
    double *points = ARENA_ARRAY(c->arena, double, POINTS);
    for (int i = 0; i < POINTS; i++) {
        points[i] = hist_quantile(seen, (double)i / (POINTS - 1));
    }
    c->published->agents[agent].service = dist_empirical(points, POINTS);
    return true;
}

static void refit_services(Coordinator *c, const PlantWindow *window)
{
    int64_t began = clock_now(clock_real());
    for (uint32_t i = 0; i < c->published->agent_count; i++) {
        const Hist *seen = window->agents[i].service;
        double said = dist_mean(&c->published->agents[i].service);
        double mean = seen != NULL && seen->count > 1 ? hist_mean(seen) : NAN;
        double error =
            seen != NULL && seen->count > 1 ? hist_stddev(seen) / sqrt((double)seen->count) : NAN;
        // Only who is off by more than chance and more than a twentieth is believed less than the
        // measurement of one window.
        if (isfinite(mean) && isfinite(error) && fabs(mean - said) > 4 * error &&
            fabs(mean - said) > 0.05 * said && refit_service(c, i, seen)) {
            story_say(c, STORY_DRIFT, c->published->agents[i].name,
                      "published %.4g s of work, measured %.4g s: refitted", said / 1e9,
                      mean / 1e9);
            c->sums.refits++;
        }
    }
    int64_t took = clock_now(clock_real()) - began;
    c->sums.refit_ns = took > c->sums.refit_ns ? took : c->sums.refit_ns;
}

void coordinator_check_drift(Coordinator *c, const PlantWindow *window)
{
    bool contradicted = false;
    for (size_t i = 0; i < c->manager_count; i++) {
        const Manager *m = c->managers[i];
        contradicted = contradicted || (m->current.state == CASE_ROLLED_BACK &&
                                        m->current.why == REASON_CONTRADICTED && !m->refitted);
    }
    for (uint32_t i = 0; c->expected != NULL && i < c->plant->sys->client_count; i++) {
        Violation v;
        System one = *c->plant->sys;
        SystemObjective *objectives = ARENA_ARRAY(c->window_arena, SystemObjective, 1);
        one.objective_count = 0;
        one.objectives = objectives;
        for (uint32_t k = 0; k < c->plant->sys->objective_count; k++) {
            if (c->plant->sys->objectives[k].client == i) {
                objectives[0] = c->plant->sys->objectives[k];
                one.objective_count = 1;
            }
        }
        if (one.objective_count == 0) {
            continue;
        }
        c->drift[i].confidence = 0.95;
        DetectGuard guard = {.confidence = 0.95, .strict = true};
        bool inside = !detect_contradicts(&one, c->expected, window, &guard, &v);
        contradicted = drift_seen(&c->drift[i], inside) || contradicted;
    }
    if (contradicted) {
        refit_services(c, window);
        for (size_t i = 0; i < c->manager_count; i++) {
            c->managers[i]->refitted = true;
        }
        c->expected = NULL;
    }
}
