// Planners at equal budgets: rules, Bayesian optimisation, random search and a (scripted) language
// model, each asked by B of the code-generation pipeline with the same number of simulations. The
// searches spend them inside; of the rules and the model their best-ranked plans are simulated.
//
//     planners SYSTEM.toml [SEEDS] [EVALUATIONS]        defaults 5 32
//
// For each planner and seed: the gap to the objectives (0: all are met) of the best plan that it
// has seen, by simulations with luck that no planner has had, and whether validation, which asks
// for recovery from a spike, too, takes it. Rows are means over the seeds with 95 % intervals
// (Student's t).
#include <math.h>
#include <stdio.h>

#include "base/units.h"
#include "manage/plan_judge.h"
#include "manage/planner_llm.h"
#include "manage/planner_rules.h"
#include "manage/planner_search.h"
#include "manage/validate.h"
#include "model/sim.h"
#include "os/clock.h"
#include "stat/dist.h"

#include "scripted.h"

enum { SEEDS_MAX = 100, KINDS = 4 };

// What a model that has understood the interfaces would say: C has a tail and D has none.
static const char ANSWER[] =
    "{\"proposals\": [{\"plan\": {\"changes\": {\"a->b.retry.attempts\": 1, "
    "\"a->b.timeout.attempt\": \"10s\", \"a->b.cancel.propagate\": true, "
    "\"builds->b.retry.attempts\": 1, \"builds->b.timeout.attempt\": \"10s\", "
    "\"builds->b.cancel.propagate\": true, \"b->c.timeout.attempt\": \"500ms\", "
    "\"b->c.retry.attempts\": 4, \"b->c.cancel.propagate\": true, "
    "\"b->d.timeout.attempt\": \"10s\", \"b->d.cancel.propagate\": true}}, "
    "\"title\": \"retry at C, wait for D\", \"reason\": \"C's latency has a tail, D's has none\"},"
    "{\"plan\": {\"changes\": {\"b->c.timeout.attempt\": \"1s\", \"b->c.retry.attempts\": 2}}, "
    "\"title\": \"retry at C\", \"reason\": \"C's latency has a tail\"}]}";

typedef struct Bench {
    Arena *arena;
    System *sys;
    uint32_t evaluations;
    LlmConfig config;
} Bench;

typedef struct Score {
    double gap, took_s;
    bool sound;
    size_t changes;
} Score;

static void stop(const char *what, const Err *e)
{
    (void)fprintf(stderr, "planners: %s: %s\n", what, e->text);
    exit(1);
}

static FakeLlm *start_model(Bench *b)
{
    Err e = {0};
    FakeLlm *fake = NULL;
    if (scripted_model(b->arena, SLICE(ANSWER), &fake, &b->config, &e) != 0) {
        stop("the scripted model", &e);
    }
    return fake;
}

static Planner *planner_of(const Bench *b, int kind)
{
    PlannerSearchOptions search = {.evaluations = b->evaluations};
    Planner *planner = NULL;
    Err e = {0};
    switch (kind) {
    case 0: return planner_rules_create();
    case 1: return planner_bayes_create(&search);
    case 2: return planner_random_create(&search);
    default: break;
    }
    if (planner_llm_create(&(PlannerLlmOptions){.config = &b->config}, &planner, &e) != 0) {
        stop("the LLM planner", &e);
    }
    return planner;
}

// The searches come with their best first; of the others the best of as many looks.
static const Plan *best_of(const Bench *b, const PlanContext *context, const PlanList *list,
                           bool searched)
{
    PlanJudgeSim sim;
    PlanJudge judge;
    const Plan *best = NULL;
    double best_gap = INFINITY;
    plan_judge_sim_open(&sim, context, &judge);
    for (size_t i = 0; i < list->count && i < b->evaluations; i++) {
        double gap = searched ? (double)i : judge.gap(judge.context, &list->plans[i]);
        if (gap < best_gap) {
            best_gap = gap;
            best = &list->plans[i];
        }
    }
    plan_judge_sim_close(&sim);
    return best;
}

static Score score_of(Bench *b, Arena *arena, Planner *planner, int kind, uint64_t seed)
{
    Violation violation = {.client = 0, .measure = MEASURE_GOODPUT};
    PlanContext context = {.view = b->sys,
                           .self = (uint32_t)system_find_agent(b->sys, SLICE("b")),
                           .reach = 1,
                           .violation = &violation,
                           .plans_max = PLANS_MAX,
                           .case_number = seed,
                           .seed = seed};
    PlanList list = {0};
    Err e = {0};
    int64_t began = clock_now(clock_real());
    if (planner_plan(planner, arena, &context, &list, &e) != 0 || list.count == 0) {
        stop(planner->ops->name, &e);
    }
    const Plan *best = best_of(b, &context, &list, kind == 1 || kind == 2);
    if (best == NULL) {
        stop("no plan can be judged", &e);
    }
    Score s = {.took_s = (double)(clock_now(clock_real()) - began) / 1e9, .changes = best->count};
    context.seed = seed + 1000;
    PlanJudgeSim sim;
    PlanJudge judge;
    plan_judge_sim_open(&sim, &context, &judge);
    s.gap = judge.gap(judge.context, best);
    plan_judge_sim_close(&sim);
    ValidateAsk ask = {.view = b->sys,
                       .plans = best,
                       .count = 1,
                       .self = context.self,
                       .purpose = 0,
                       .always = 1,
                       .seed = seed + 2000};
    Validation v;
    if (validate(arena, &ask, &v, &e) != 0) {
        stop("validation", &e);
    }
    s.sound = v.sound > 0;
    return s;
}

static void print_row(const char *name, const Score *scores, int count)
{
    double sum = 0, squares = 0, took = 0, changes = 0;
    int sound = 0;
    for (int i = 0; i < count; i++) {
        sum += scores[i].gap;
        squares += scores[i].gap * scores[i].gap;
        took += scores[i].took_s;
        changes += (double)scores[i].changes;
        sound += scores[i].sound;
    }
    double mean = sum / count, half = NAN;
    if (count > 1) {
        double variance = fmax(0, (squares - sum * mean) / (count - 1));
        half = dist_t_quantile(0.975, count - 1) * sqrt(variance / count);
    }
    printf("%-8s  %7.3f +- %-7.3f  %3d of %-3d  %7.1f  %7.2f s\n", name, mean, half, sound, count,
           changes / count, took / count);
}

int main(int argc, char **argv)
{
    int64_t seeds = 5, evaluations = 32;
    if (argc < 2 || argc > 4 || (argc > 2 && slice_to_i64(slice_from_cstr(argv[2]), &seeds) != 0) ||
        (argc > 3 && slice_to_i64(slice_from_cstr(argv[3]), &evaluations) != 0) || seeds < 1 ||
        seeds > SEEDS_MAX || evaluations < 4 || evaluations > PLANNER_EVALUATIONS_MAX) {
        (void)fprintf(stderr, "usage: planners SYSTEM.toml [SEEDS] [EVALUATIONS]\n");
        return 2;
    }
    Bench b = {.arena = arena_create(64 << 20), .evaluations = (uint32_t)evaluations};
    Err e = {0};
    if (system_load(b.arena, argv[1], &b.sys, &e) != 0) {
        stop("the system", &e);
    }
    FakeLlm *fake = start_model(&b);
    printf("%lld seeds, %lld simulations a planner\n\n%-8s  %-18s  %-10s  %7s  %9s\n",
           (long long)seeds, (long long)evaluations, "planner", "gap, fresh luck", "sound",
           "changes", "took");
    for (int kind = 0; kind < KINDS; kind++) {
        Score scores[SEEDS_MAX];
        Planner *planner = planner_of(&b, kind);
        for (int i = 0; i < seeds; i++) {
            Arena *arena = arena_create((size_t)1 << 30);
            scores[i] = score_of(&b, arena, planner, kind, (uint64_t)i + 1);
            arena_destroy(arena);
        }
        print_row(planner->ops->name, scores, (int)seeds);
        planner_destroy(planner);
    }
    fake_llm_stop(fake);
    arena_destroy(b.arena);
    return 0;
}
