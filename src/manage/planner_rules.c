#include "manage/planner_rules.h"

#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "manage/rules_impl.h"

enum {
    BEST_PAIRED = 60, // moves that are put together two at a time
    BEST_TREBLED = 14,
    TREATMENTS = 4,      // of one edge, in products over all own edges
    PRODUCT_EDGES = 4,   // more edges are treated alike
    COMPOSED_MAX = 4000, // before equal ones are dropped
};

typedef struct Composer {
    Rules rules;
    Plan *plans;
    size_t count;
} Composer;

// ---- putting moves together

static int by_prior(const void *a, const void *b)
{
    const Move *x = a, *y = b;
    return (x->plan.prior < y->plan.prior) - (x->plan.prior > y->plan.prior);
}

static int plans_by_prior(const void *a, const void *b)
{
    const Plan *x = a, *y = b;
    return (x->prior < y->prior) - (x->prior > y->prior);
}

static bool fit_together(const Move *a, const Move *b)
{
    if (a->set == b->set) {
        return !(a->aspects & b->aspects);
    }
    // All own edges alike and one of them otherwise contradict each other.
    bool nested = (a->kind == SET_OWN && b->kind == SET_OWN_EDGE) ||
                  (a->kind == SET_OWN_EDGE && b->kind == SET_OWN);
    return !nested;
}

// Attempts on two floors multiply; retries that move down leave the floor above. So a restart goes
// best with calm around it.
static double bonus(const Move *a, const Move *b)
{
    if ((a->calm && b->restart) || (a->restart && b->calm)) {
        return 0.25;
    }
    return a->restart && b->restart ? -0.3 : 0;
}

static void compose(Composer *c, const Move *const *parts, size_t count)
{
    if (c->count == COMPOSED_MAX) {
        return;
    }
    Rules *r = &c->rules;
    Plan plan = {.planner = SLICE("rules"), .reason = parts[0]->plan.reason};
    Buf title = buf_create(4 << 10);
    double prior = 0;
    for (size_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < parts[i]->plan.count; k++) {
            if (plan_add(&plan, parts[i]->plan.changes[k], NULL) != 0) {
                buf_done(&title);
                return;
            }
        }
        buf_printf(&title, "%s%.*s", i ? "; " : "", SLICE_FMT(parts[i]->plan.title));
        prior += parts[i]->plan.prior / (double)count;
        for (size_t k = 0; k < i; k++) {
            prior += bonus(parts[i], parts[k]);
        }
        if (parts[i]->restart) {
            plan.reason = parts[i]->plan.reason;
        }
    }
    plan.title = arena_copy(r->arena, buf_slice(&title));
    plan.prior = prior - 0.03 * (double)(count - 1);
    c->plans[c->count++] = plan;
    buf_done(&title);
}

static void compose_pairs(Composer *c)
{
    const Rules *r = &c->rules;
    size_t n = r->move_count < BEST_PAIRED ? r->move_count : BEST_PAIRED;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = i + 1; k < n; k++) {
            const Move *parts[] = {&r->moves[i], &r->moves[k]};
            if (fit_together(parts[0], parts[1])) {
                compose(c, parts, 2);
            }
        }
    }
}

static void compose_triples(Composer *c)
{
    const Rules *r = &c->rules;
    size_t n = r->move_count < BEST_TREBLED ? r->move_count : BEST_TREBLED;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = i + 1; k < n; k++) {
            for (size_t l = k + 1; l < n; l++) {
                const Move *parts[] = {&r->moves[i], &r->moves[k], &r->moves[l]};
                if (fit_together(parts[0], parts[1]) && fit_together(parts[0], parts[2]) &&
                    fit_together(parts[1], parts[2])) {
                    compose(c, parts, 3);
                }
            }
        }
    }
}

// ---- every own edge by its own target

static size_t treatments_of(const Rules *r, uint32_t set, const Move *ret[TREATMENTS])
{
    size_t count = 0;
    bool calm = false;
    for (size_t i = 0; i < r->move_count && count < TREATMENTS; i++) { // best first
        const Move *m = &r->moves[i];
        // The last place is kept for the calm one, which is good wherever nothing else is.
        bool last = count == TREATMENTS - 1 && !calm;
        if (m->set == set && (m->aspects & (ASPECT_ATTEMPTS | ASPECT_HEDGE)) &&
            (!last || m->calm)) {
            ret[count++] = m;
            calm |= m->calm;
        }
    }
    return count;
}

// What the callers are wished to do while the own edges are put right: nothing, or be calm.
static size_t callers_calm(const Rules *r, const Move *ret[PRODUCT_EDGES])
{
    size_t count = 0;
    for (size_t i = 0; i < r->move_count && count < PRODUCT_EDGES; i++) {
        if (r->moves[i].kind == SET_CALLER && r->moves[i].calm) {
            ret[count++] = &r->moves[i];
        }
    }
    return count;
}

static void compose_products(Composer *c)
{
    const Rules *r = &c->rules;
    const Move *options[PRODUCT_EDGES][TREATMENTS], *calm[PRODUCT_EDGES];
    size_t counts[PRODUCT_EDGES], edges = 0, total = 1;
    for (size_t i = 0; i < r->set_count && edges <= PRODUCT_EDGES; i++) {
        if (r->sets[i].kind != SET_OWN_EDGE) {
            continue;
        }
        if (edges == PRODUCT_EDGES) {
            return;
        }
        counts[edges] = treatments_of(r, r->sets[i].number, options[edges]);
        if (counts[edges] > 0) {
            total *= counts[edges++];
        }
    }
    size_t callers = callers_calm(r, calm);
    for (size_t n = 0; edges > 0 && n < total; n++) {
        const Move *parts[2 * PRODUCT_EDGES];
        size_t rest = n;
        for (size_t i = 0; i < edges; i++) {
            parts[i] = options[i][rest % counts[i]];
            rest /= counts[i];
        }
        compose(c, parts, edges);
        if (callers > 0) {
            memcpy(&parts[edges], calm, callers * sizeof *calm);
            compose(c, parts, edges + callers);
        }
    }
}

// ---- the planner

static double longest_promise(const System *view, const Violation *violation)
{
    double longest = 0;
    for (uint32_t i = 0; i < view->objective_count; i++) {
        const SystemObjective *o = &view->objectives[i];
        bool meant = !violation || o->client == violation->client;
        double ns = o->within_ns > 0 ? (double)o->within_ns : 2 * (double)o->p99_ns;
        longest = meant && ns > longest ? ns : longest;
    }
    return longest > 0 ? longest : 30e9;
}

static bool is_new(const Rules *r, Map *seen, const Plan *plan)
{
    uint64_t hash = plan_hash(r->view, plan);
    Slice key = arena_copy(r->arena, (Slice){(const char *)&hash, sizeof hash});
    return !map_get(seen, key) && map_put(seen, key, seen) == 0;
}

// Without doubles and without what was refused, the best first.
static void pick(Composer *c, PlanList *ret_list)
{
    const PlanContext *context = c->rules.context;
    Map seen = map_create(COMPOSED_MAX, 0);
    qsort(c->plans, c->count, sizeof *c->plans, plans_by_prior);
    ret_list->plans = ARENA_ARRAY(c->rules.arena, Plan, context->plans_max + 1);
    for (size_t i = 0; i < c->count && ret_list->count < context->plans_max; i++) {
        Plan *plan = &c->plans[i];
        const PlanLimit *broken;
        plan_trim(context->view, plan);
        if (plan->count > 0 && is_new(&c->rules, &seen, plan) &&
            plan_keeps(context->view, plan, context->limits, context->limit_count, &broken)) {
            ret_list->plans[ret_list->count++] = *plan;
        }
    }
    map_done(&seen);
}

static int rules_plan(Planner *planner, Arena *arena, const PlanContext *context,
                      PlanList *ret_list, Err *e)
{
    (void)planner;
    (void)e;
    size_t rooms = 3 * (size_t)context->view->edge_count + 8;
    Composer c = {.rules = {.arena = arena,
                            .context = context,
                            .view = context->view,
                            .within_ns = longest_promise(context->view, context->violation),
                            .sets = ARENA_ARRAY(arena, PlaceSet, rooms),
                            .set_room = rooms,
                            .moves = ARENA_ARRAY(arena, Move, RULES_MOVES_MAX)},
                  .plans = ARENA_ARRAY(arena, Plan, COMPOSED_MAX)};
    rules_find_sets(&c.rules);
    rules_find_moves(&c.rules);
    qsort(c.rules.moves, c.rules.move_count, sizeof *c.rules.moves, by_prior);
    for (size_t i = 0; i < c.rules.move_count; i++) {
        compose(&c, &(const Move *){&c.rules.moves[i]}, 1);
    }
    compose_products(&c);
    compose_pairs(&c);
    compose_triples(&c);
    pick(&c, ret_list);
    return 0;
}

static void rules_destroy(Planner *planner)
{
    free(planner);
}

static const PlannerOps RULES_OPS = {"rules", rules_plan, rules_destroy};

Planner *planner_rules_create(void)
{
    Planner *planner = mem_zalloc(sizeof *planner);
    planner->ops = &RULES_OPS;
    return planner;
}
