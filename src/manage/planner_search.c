#include "manage/planner_search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "manage/plan_judge.h"
#include "manage/search_space.h"
#include "os/clock.h"

// Of equal gaps fewer changes are better: each is one more to agree about.
#define CHANGE_PRICE 1e-3

typedef struct PlannerSearch {
    Planner base;
    uint32_t evaluations;
    bool random;
} PlannerSearch;

typedef struct Trial {
    double point[SEARCH_VARIABLES_MAX];
    double gap;
} Trial;

typedef struct Search {
    SearchSpace space;
    PlanJudge judge;
    const PlanContext *context;
    int64_t until_ns;
    uint32_t left; // evaluations
    Trial *trials;
    size_t count;
} Search;

static bool is_over(const Search *s)
{
    return s->left == 0 || (s->context->budget_ns > 0 && clock_now(clock_real()) > s->until_ns);
}

static double try_point(Search *s, const double *point)
{
    Plan plan;
    search_space_plan(&s->space, point, &plan);
    bool fine =
        plan_keeps(s->context->view, &plan, s->context->limits, s->context->limit_count, NULL);
    double gap = fine ? s->judge.gap(s->judge.context, &plan) : NAN;
    Trial *t = &s->trials[s->count++];
    memcpy(t->point, point, s->space.count * sizeof *point);
    t->gap = isnan(gap) ? INFINITY : gap + CHANGE_PRICE * plan.count;
    s->left--;
    return t->gap;
}

// ---- where to look

static void search_random(Search *s, uint32_t keep)
{
    static const uint8_t PRIMES[SEARCH_VARIABLES_MAX] = {2,  3,  5,  7,  11, 13, 17, 19,
                                                         23, 29, 31, 37, 41, 43, 47, 53};
    Rng rng = rng_stream(s->context->seed, SLICE("random planner"), 0);
    double shift[SEARCH_VARIABLES_MAX], point[SEARCH_VARIABLES_MAX];
    for (size_t i = 0; i < s->space.count; i++) {
        shift[i] = rng_double(&rng);
    }
    for (uint32_t n = 1; s->left > keep && !is_over(s); n++) {
        for (size_t i = 0; i < s->space.count; i++) {
            const BayesParam *v = &s->space.variables[i];
            double u = shift[i], f = 1;
            for (uint32_t k = n; k > 0; k /= PRIMES[i]) { // Halton's radical inverse
                f /= PRIMES[i];
                u += f * (k % PRIMES[i]);
            }
            u -= floor(u);
            bool whole = v->kind == BAYES_WHOLE || v->kind == BAYES_CHOICE;
            point[i] = v->kind == BAYES_LOG ? v->low * pow(v->high / v->low, u)
                       : whole              ? floor(v->low + u * (v->high - v->low + 1))
                                            : v->low + u * (v->high - v->low);
        }
        (void)try_point(s, point);
    }
}

static int search_bayes(Search *s, uint32_t keep, Err *e)
{
    BayesOpt *b = NULL;
    double point[SEARCH_VARIABLES_MAX];
    int rc = bayes_opt_create(&(BayesOptions){.params = s->space.variables,
                                              .param_count = s->space.count,
                                              .first = (size_t)s->left / 3,
                                              .seed = s->context->seed},
                              &b, e);
    rc = rc != 0 ? rc : bayes_opt_tell(b, s->space.now, try_point(s, s->space.now), NULL, e);
    while (rc == 0 && s->left > keep && !is_over(s)) {
        rc = bayes_opt_ask(b, 1, point, e);
        rc = rc != 0 ? rc : bayes_opt_tell(b, point, try_point(s, point), NULL, e);
    }
    bayes_opt_destroy(b);
    return rc == ERR_NOT_FOUND ? 0 : rc; // there is nothing left to try
}

static size_t best_of(const Search *s)
{
    size_t best = 0;
    for (size_t i = 1; i < s->count; i++) {
        best = s->trials[i].gap < s->trials[best].gap ? i : best;
    }
    return best;
}

static void simplify(Search *s)
{
    double point[SEARCH_VARIABLES_MAX];
    for (size_t i = 0; i < s->space.count && !is_over(s); i++) {
        const Trial *best = &s->trials[best_of(s)];
        if (best->point[i] != s->space.now[i]) {
            memcpy(point, best->point, sizeof point);
            point[i] = s->space.now[i];
            (void)try_point(s, point);
        }
    }
}

// ---- the planner

static int by_gap(const void *a, const void *b)
{
    const Trial *x = a, *y = b;
    return (x->gap > y->gap) - (x->gap < y->gap);
}

static void collect(Search *s, Arena *arena, Slice planner, PlanList *ret_list)
{
    qsort(s->trials, s->count, sizeof *s->trials, by_gap);
    ret_list->plans = ARENA_ARRAY(arena, Plan, s->count + 1);
    for (size_t i = 0; i < s->count && ret_list->count < s->context->plans_max; i++) {
        const Trial *t = &s->trials[i];
        Plan *plan = &ret_list->plans[ret_list->count];
        search_space_plan(&s->space, t->point, plan);
        if (!isfinite(t->gap) || plan->count == 0 ||
            (i > 0 && memcmp(t->point, t[-1].point, s->space.count * sizeof *t->point) == 0)) {
            continue;
        }
        plan->planner = planner;
        plan->title = arena_printf(arena, "%u settings found by search", plan->count);
        plan->reason = arena_printf(arena, "a short simulation leaves a gap of %.3g", t->gap);
        plan->prior = 1 / (1 + t->gap);
        ret_list->count++;
    }
}

static int search_plan(Planner *planner, Arena *arena, const PlanContext *context,
                       PlanList *ret_list, Err *e)
{
    const PlannerSearch *p = (const PlannerSearch *)planner;
    Search s = {.context = context,
                .judge = context->judge,
                .until_ns = clock_now(clock_real()) + context->budget_ns,
                .left = p->evaluations};
    search_space_of(context, &s.space);
    if (s.space.count == 0) {
        return 0;
    }
    PlanJudgeSim sim;
    bool own_judge = s.judge.gap == NULL;
    if (own_judge) {
        plan_judge_sim_open(&sim, context, &s.judge);
    }
    s.trials = mem_alloc((p->evaluations + 1) * sizeof *s.trials);
    uint32_t keep = p->evaluations / 4;
    int rc = 0;
    if (p->random) {
        search_random(&s, keep);
    } else {
        rc = search_bayes(&s, keep, e);
    }
    if (rc == 0 && s.count > 0) {
        simplify(&s);
        collect(&s, arena, slice_from_cstr(planner->ops->name), ret_list);
    }
    free(s.trials);
    if (own_judge) {
        plan_judge_sim_close(&sim);
    }
    return rc;
}

static void search_destroy(Planner *planner)
{
    free(planner);
}

static const PlannerOps BAYES_OPS = {"bayes", search_plan, search_destroy};
static const PlannerOps RANDOM_OPS = {"random", search_plan, search_destroy};

static Planner *create(const PlannerOps *ops, const PlannerSearchOptions *options)
{
    PlannerSearch *p = mem_zalloc(sizeof *p);
    uint32_t n = options->evaluations > 0 ? options->evaluations : PLANNER_EVALUATIONS_DEFAULT;
    p->base.ops = ops;
    p->evaluations = n < PLANNER_EVALUATIONS_MAX ? n : PLANNER_EVALUATIONS_MAX;
    p->random = ops == &RANDOM_OPS;
    return &p->base;
}

Planner *planner_bayes_create(const PlannerSearchOptions *options)
{
    return create(&BAYES_OPS, options);
}

Planner *planner_random_create(const PlannerSearchOptions *options)
{
    return create(&RANDOM_OPS, options);
}
