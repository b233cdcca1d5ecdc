// E5: how good are the models that plans are judged with, and what does each of them cost? Random
// policies of the pipeline at five loads; the truth of each is a long simulation. For every
// fidelity: how far off, how often its interval holds, how well it picks the best of a set, and how
// long a question takes; then the funnel of validation without each of its parts.
#include "experiment.h"

#include <math.h>
#include <string.h>

#include "model/interface.h"
#include "model/learned_system.h"
#include "model/sim.h"
#include "model/stability.h"
#include "os/clock.h"
#include "stat/sample.h"

enum {
    SETS = 5,       // of candidates, each at its own load: the unit of intervals over sets
    SET_SIZE = 40,  // candidates
    TRAINING = 300, // rows of the learned models
    SHORT_LIST = 8, // that the funnel simulates
    KINDS = 5,      // bounds, formula, simulation, learned, hybrid
    CASE_BYTES = 64 << 20,
};

static const double RATES[SETS] = {7, 8.5, 10, 11, 12}; // tasks a second

#define CALLERS(p) "a->b." p " builds->b." p
static const Space SPACE = {
    "random policies",
    "",
    {{CALLERS("timeout.attempt"), BAYES_LOG, 1.5, 30},
     {CALLERS("retry.attempts"), BAYES_WHOLE, 1, 4},
     {CALLERS("cancel.propagate") " b->c.cancel.propagate b->d.cancel.propagate", BAYES_CHOICE, 0,
      1},
     {"b->c.timeout.attempt", BAYES_LOG, 0.2, 30},
     {"b->c.retry.attempts", BAYES_WHOLE, 1, 4},
     {"b->d.timeout.attempt", BAYES_LOG, 1, 30},
     {"b->d.retry.attempts", BAYES_WHOLE, 1, 3}},
    7};

typedef struct Said {
    Outcome *outcome; // NULL: no answer
    double took_s;
} Said;

typedef struct Case5 {
    Arena *arena;
    System *sys;
    uint64_t seed;
    Outcome *truth;
    double truth_score;
    Said said[KINDS];
    bool comes_back; // after its spike, in 900 s
    Err error;
} Case5;

typedef struct E5 {
    Experiment *x;
    System *base;
    size_t set_size, sets, training;
    Case5 *cases; // sets * set_size
    Case5 *rows;  // training
} E5;

// As the validator ranks: the gap to the objectives, and a hundredth of p99 over 1 s among those
// that keep them.
static double score_of(const Outcome *outcome, const System *sys)
{
    if (!outcome) {
        return INFINITY;
    }
    double p99 = outcome->clients[0].p99.value;
    p99 = isnan(p99) ? outcome->clients[0].p99.low : p99;
    return outcome_gap(outcome, sys).value + 0.01 * fmin(isnan(p99) ? 60 : p99, 60);
}

// ---- candidates and their truth

static int make_case(const E5 *w, Case5 *k, const char *stream, size_t index, double rate, Err *e)
{
    Rng rng = rng_stream(w->x->seed, slice_from_cstr(stream), index);
    double point[KNOBS_MAX];
    for (size_t i = 0; i < SPACE.knob_count; i++) {
        const Knob *n = &SPACE.knobs[i];
        double u = rng_double(&rng);
        point[i] = n->kind == BAYES_LOG ? n->low * pow(n->high / n->low, u)
                                        : floor(n->low + u * (n->high - n->low + 1));
    }
    k->arena = arena_create(CASE_BYTES);
    k->seed = w->x->seed * 100000 + 90000 + index;
    int rc = space_apply(k->arena, w->base, &SPACE, point, &k->sys, e);
    if (rc == 0) {
        SystemClient *clients = ARENA_ARRAY(k->arena, SystemClient, k->sys->client_count);
        memcpy(clients, k->sys->clients, k->sys->client_count * sizeof *clients);
        clients[0].per_second = rate > 0 ? rate : 6 + 7 * rng_double(&rng);
        for (uint32_t i = 0; i < k->sys->client_count; i++) {
            clients[i].spike_count = 0;
        }
        k->sys->clients = clients;
    }
    return rc;
}

static void find_truth(Case5 *k, uint32_t replications)
{
    SimOptions o = {.seed = k->seed + 5000,
                    .horizon_ns = 400 * NS_PER_SECOND,
                    .warmup_ns = 100 * NS_PER_SECOND,
                    .replications = replications,
                    .no_controls = true,
                    .threads = 1};
    SimResult *result;
    k->error.code = sim_run(k->arena, k->sys, &o, &result, &k->error);
    if (k->error.code == 0) {
        k->truth = result->outcome;
        k->truth_score = score_of(k->truth, k->sys);
    }
}

static void truth_part(void *context, size_t index)
{
    E5 *w = context;
    Case5 *k = &w->cases[index];
    find_truth(k, 5);
    // With the document's spike, as E1 does.
    System spiked = *k->sys;
    SystemClient clients[SCORE_CLIENTS];
    memcpy(clients, k->sys->clients, sizeof clients[0] * k->sys->client_count);
    for (uint32_t i = 0; i < spiked.client_count; i++) {
        clients[i].spikes = w->base->clients[i].spikes;
        clients[i].spike_count = w->base->clients[i].spike_count;
    }
    spiked.clients = clients;
    ScoreOptions o = {
        .seed = k->seed, .from_ns = 300 * NS_PER_SECOND, .horizon_ns = 600 * NS_PER_SECOND};
    Score score;
    if (score_run(&spiked, &o, &score, NULL) == 0) {
        k->comes_back = score.goodput[0] >= 0.9 * k->truth->clients[0].goodput.value;
    }
}

static void training_part(void *context, size_t index)
{
    E5 *w = context;
    find_truth(&w->rows[index], 1);
}

// ---- what the models say

static const Fidelity ASKED[] = {FIDELITY_BOUNDS, FIDELITY_FORMULA, FIDELITY_SIMULATION};

static int ask_interface(Case5 *k, Err *e)
{
    InterfaceProgram *program = NULL;
    int rc = interface_program(k->sys, &program, e);
    for (size_t i = 0; rc == 0 && i < COUNT_OF(ASKED); i++) {
        InterfaceQuery q = {.exact_fidelity = true,
                            .fidelity = ASKED[i],
                            .budget_ns = 50 * NS_PER_MS,
                            .confidence = 0.9,
                            .seed = k->seed,
                            .outside = true,
                            .threads = 1};
        InterfaceAnswer answer;
        if (interface_query(program, k->arena, &q, &answer, NULL) == 0) {
            k->said[i] = (Said){answer.outcome, (double)answer.took_ns / 1e9};
        }
    }
    interface_program_destroy(program);
    return rc;
}

static int fit(E5 *w, LearnedBase *base, FormulaBase *context, Learned **ret, Err *e)
{
    static const char *const MEASURES[] = {"p99", "goodput", NULL};
    Dataset *d = dataset_create();
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < w->training; i++) {
        const Case5 *k = &w->rows[i];
        if (k->truth) {
            rc = dataset_add_outcome(d, k->sys, k->truth, SLICE("simulation"), 0, e);
        }
    }
    if (rc == 0) {
        LearnedOptions o = {.kind = LEARNED_TREES,
                            .confidence = 0.9,
                            .seed = w->x->seed,
                            .base = base,
                            .base_ctx = context,
                            .base_name = base ? FORMULA_BASE_NAME : NULL,
                            .measures = MEASURES};
        rc = learned_fit(d, &o, ret, e);
    }
    dataset_destroy(d);
    return rc;
}

static void ask_learned(E5 *w, const Learned *model, size_t kind)
{
    for (size_t i = 0; i < w->sets * w->set_size; i++) {
        Case5 *k = &w->cases[i];
        Outcome *o = outcome_create(k->arena, k->sys);
        int64_t began = clock_now(clock_real());
        if (learned_outcome(model, k->sys, LEARNED_ANYWHERE, o, NULL) == 0) {
            double took = (double)(clock_now(clock_real()) - began) / 1e9;
            k->said[kind] = (Said){o, took};
        }
    }
}

static int ask_all(E5 *w, Err *e)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < w->sets * w->set_size; i++) {
        rc = ask_interface(&w->cases[i], e);
    }
    FormulaBase *base = NULL;
    Learned *learned = NULL, *hybrid = NULL;
    if (rc == 0 && (rc = fit(w, NULL, NULL, &learned, e)) == 0) {
        ask_learned(w, learned, 3);
        rc = formula_base_create(w->base, &base, e);
    }
    if (rc == 0 && (rc = fit(w, formula_base, base, &hybrid, e)) == 0) {
        ask_learned(w, hybrid, 4);
    }
    learned_destroy(learned);
    learned_destroy(hybrid);
    formula_base_destroy(base);
    return rc;
}

// ---- how good

typedef struct Quality {
    double errors[SETS * SET_SIZE], widths[SETS * SET_SIZE], costs[SETS * SET_SIZE];
    double goodput_errors[SETS * SET_SIZE];
    size_t answered, asked, covered, intervals, goodput_count, cost_count;
    size_t goodput_covered;
} Quality;

static void judge_case(Quality *q, const Case5 *k, size_t kind)
{
    const Outcome *said = k->said[kind].outcome;
    Estimate truth = k->truth->clients[0].p99, good = k->truth->clients[0].goodput;
    q->asked += isfinite(truth.value);
    if (!said) {
        return;
    }
    q->costs[q->cost_count++] = k->said[kind].took_s * 1e6;
    Estimate p99 = said->clients[0].p99, g = said->clients[0].goodput;
    if (isfinite(truth.value) && !isnan(p99.low)) {
        q->intervals++;
        q->covered += p99.low <= truth.value && truth.value <= p99.high;
    }
    if (isfinite(truth.value) && isfinite(p99.value)) {
        q->errors[q->answered] = fabs(p99.value - truth.value) / truth.value;
        double width = (p99.high - p99.low) / truth.value;
        q->widths[q->answered++] = isfinite(width) ? width : 1e9;
    }
    if (!isnan(g.value)) {
        q->goodput_errors[q->goodput_count++] = fabs(g.value - good.value);
        q->goodput_covered += g.low <= good.value + 1e-9 && good.value <= g.high + 1e-9;
    }
}

// Rank (1: the best) of the candidate `chosen` of a set by the truth, and how much worse it scores.
static double rank_of(const Case5 *set, size_t size, size_t chosen, double *ret_regret)
{
    size_t better = 0;
    double best = INFINITY;
    for (size_t i = 0; i < size; i++) {
        better += set[i].truth_score < set[chosen].truth_score - 1e-9;
        best = fmin(best, set[i].truth_score);
    }
    *ret_regret = set[chosen].truth_score - best;
    return (double)better + 1;
}

static size_t pick(const Case5 *set, size_t size, size_t kind)
{
    size_t best = 0;
    double score = INFINITY;
    for (size_t i = 0; i < size; i++) {
        double s = score_of(set[i].said[kind].outcome, set[i].sys);
        if (s < score) {
            score = s;
            best = i;
        }
    }
    return best;
}

static Cell percent(size_t count, size_t of)
{
    return of == 0 ? cell_text(SLICE("-")) : cell_number(100.0 * (double)count / (double)of, 0);
}

static Cell median_cell(const double *values, size_t count, double factor, int digits)
{
    return count == 0 ? cell_text(SLICE("-"))
                      : cell_number(factor * sample_median(values, count), digits);
}

static void quality_row(const E5 *w, size_t kind, Table *t)
{
    static const char *const NAMES[KINDS] = {"bounds", "formula", "simulation, 50 ms", "learned",
                                             "hybrid"};
    Quality *q = mem_zalloc(sizeof *q);
    double ranks[SETS], regrets[SETS];
    for (size_t s = 0; s < w->sets; s++) {
        const Case5 *set = &w->cases[s * w->set_size];
        for (size_t i = 0; i < w->set_size; i++) {
            judge_case(q, &set[i], kind);
        }
        ranks[s] = rank_of(set, w->set_size, pick(set, w->set_size, kind), &regrets[s]);
    }
    Cell row[] = {cell_text(slice_from_cstr(NAMES[kind])),
                  percent(q->answered, q->asked),
                  median_cell(q->errors, q->answered, 100, 1),
                  percent(q->covered, q->intervals),
                  median_cell(q->widths, q->answered, 100, 0),
                  median_cell(q->goodput_errors, q->goodput_count, 1, 4),
                  percent(q->goodput_covered, q->goodput_count),
                  cell_mean(ranks, w->sets, 1),
                  cell_mean(regrets, w->sets, 3),
                  median_cell(q->costs, q->cost_count, 1, 1)};
    memcpy(t->cells[t->rows++], row, sizeof row);
    free(q);
}

static void quality_table(E5 *w)
{
    static const char *const COLUMNS[] = {"fidelity",
                                          "answers p99, %",
                                          "p99 off by, % (median)",
                                          "its interval holds, %",
                                          "width, % (median)",
                                          "goodput off by (median)",
                                          "its interval holds, % ",
                                          "rank of its choice",
                                          "regret",
                                          "us a question (median)"};
    Table *t = mem_zalloc(sizeof *t);
    t->title = "E5: models against long simulations";
    memcpy(t->columns, COLUMNS, sizeof COLUMNS);
    t->column_count = COUNT_OF(COLUMNS);
    for (size_t kind = 0; kind < KINDS; kind++) {
        quality_row(w, kind, t);
    }
    experiment_print(w->x, t);
    free(t);
}

// ---- the funnel, whole and without its parts

typedef struct Funnel5 {
    const char *name;
    bool bounds, simulation, stability;
    int screen; // the kind whose best go on; -1: the first come
} Funnel5;

static const Funnel5 FUNNELS[] = {
    {"bounds, formula, simulation, stability", true, true, true, 1},
    {"without bounds", false, true, true, 1},
    {"without a screen", true, true, true, -1},
    {"learned for the formula", true, true, true, 3},
    {"hybrid for the formula", true, true, true, 4},
    {"without simulation", true, false, true, 1},
    {"without stability", true, true, false, 1},
};

typedef struct Ranked {
    size_t index;
    double score;
} Ranked;

static int by_score(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    return (x->score > y->score) - (x->score < y->score);
}

static bool stable(const Case5 *k, double *cost_s)
{
    Stability s;
    StabilityOptions o = {.seed = k->seed + 77, .threads = 1};
    if (stability_check(k->arena, k->sys, &o, &s, NULL) != 0) {
        return false;
    }
    *cost_s += (double)s.took_ns / 1e9;
    return s.verdict != STABILITY_COLLAPSES;
}

// The candidate that the funnel would have, and what looking cost.
static size_t choose(const Funnel5 *f, const Case5 *set, size_t size, double *cost_s)
{
    Ranked list[SET_SIZE];
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        const Said *bounds = &set[i].said[0];
        *cost_s += f->bounds ? bounds->took_s : 0;
        if (f->bounds && bounds->outcome && outcome_gap(bounds->outcome, set[i].sys).low > 0) {
            continue;
        }
        double score = (double)i;
        if (f->screen >= 0) {
            score = score_of(set[i].said[f->screen].outcome, set[i].sys);
            *cost_s += set[i].said[f->screen].took_s;
        }
        list[count++] = (Ranked){i, score};
    }
    qsort(list, count, sizeof *list, by_score);
    count = count < SHORT_LIST ? count : SHORT_LIST;
    for (size_t i = 0; f->simulation && i < count; i++) {
        list[i].score = score_of(set[list[i].index].said[2].outcome, set[list[i].index].sys);
        *cost_s += set[list[i].index].said[2].took_s;
    }
    qsort(list, count, sizeof *list, by_score);
    for (size_t i = 0; i < count; i++) {
        if (!f->stability || stable(&set[list[i].index], cost_s)) {
            return list[i].index;
        }
    }
    return SIZE_MAX; // leaves everything as it is
}

static void funnel_row(const E5 *w, const Funnel5 *f, Table *t)
{
    double ranks[SETS], regrets[SETS], costs[SETS];
    size_t chosen_count = 0, comes_back = 0, keeps = 0;
    for (size_t s = 0; s < w->sets; s++) {
        const Case5 *set = &w->cases[s * w->set_size];
        costs[s] = 0;
        size_t chosen = choose(f, set, w->set_size, &costs[s]);
        costs[s] *= 1e3;
        if (chosen == SIZE_MAX) {
            continue;
        }
        ranks[chosen_count] = rank_of(set, w->set_size, chosen, &regrets[chosen_count]);
        chosen_count++;
        comes_back += set[chosen].comes_back;
        keeps += outcome_gap(set[chosen].truth, set[chosen].sys).value < 0.01;
    }
    Slice none = SLICE("-");
    Cell row[] = {cell_text(slice_from_cstr(f->name)),
                  cell_number((double)chosen_count, 0),
                  chosen_count ? cell_mean(ranks, chosen_count, 1) : cell_text(none),
                  chosen_count ? cell_mean(regrets, chosen_count, 3) : cell_text(none),
                  cell_number((double)keeps, 0),
                  cell_number((double)comes_back, 0),
                  cell_mean(costs, w->sets, 0)};
    memcpy(t->cells[t->rows++], row, sizeof row);
}

static void funnel_table(E5 *w)
{
    static const char *const COLUMNS[] = {
        "validation",         "sets with a choice",         "rank of the choice", "regret",
        "keeps the promises", "comes back after the spike", "cost of a set, ms"};
    Table *t = mem_zalloc(sizeof *t);
    t->title = "E5: the funnel, and without each part";
    memcpy(t->columns, COLUMNS, sizeof COLUMNS);
    t->column_count = COUNT_OF(COLUMNS);
    for (size_t i = 0; i < COUNT_OF(FUNNELS); i++) {
        funnel_row(w, &FUNNELS[i], t);
    }
    experiment_print(w->x, t);
    free(t);
}

// ---- all of it

static int make_all(E5 *w, Err *e)
{
    int rc = system_load(w->x->arena, w->x->system_path, &w->base, e);
    for (size_t i = 0; rc == 0 && i < w->sets * w->set_size; i++) {
        rc = make_case(w, &w->cases[i], "candidates", i, RATES[i / w->set_size], e);
    }
    for (size_t i = 0; rc == 0 && i < w->training; i++) {
        rc = make_case(w, &w->rows[i], "training", i, 0, e);
    }
    if (rc == 0) {
        rc = experiment_parallel(w->sets * w->set_size, 0, truth_part, w, e);
    }
    if (rc == 0) {
        rc = experiment_parallel(w->training, 0, training_part, w, e);
    }
    for (size_t i = 0; rc == 0 && i < w->sets * w->set_size; i++) {
        if (!w->cases[i].truth) {
            rc = err_set(e, ERR_ARG, "%s", w->cases[i].error.text);
        }
    }
    return rc;
}

int experiment_e5(Experiment *x, Err *e)
{
    E5 w = {.x = x,
            .sets = x->quick ? 2 : SETS,
            .set_size = x->quick ? 8 : SET_SIZE,
            .training = x->quick ? 60 : TRAINING};
    w.cases = mem_zalloc(w.sets * w.set_size * sizeof *w.cases);
    w.rows = mem_zalloc(w.training * sizeof *w.rows);
    experiment_say(x,
                   "E5, seed %llu: %zu sets of %zu random policies, each set at its own load; the "
                   "truth is 5 simulations of 400 s; the learned models had %zu other policies. "
                   "Intervals of 90 %% are judged; ranks and regret (1: a promise missed by all "
                   "of it, 0.01: a second of p99) with 95 %% intervals over sets.",
                   (unsigned long long)x->seed, w.sets, w.set_size, w.training);
    int rc = make_all(&w, e);
    if (rc == 0 && (rc = ask_all(&w, e)) == 0) {
        quality_table(&w);
        funnel_table(&w);
    }
    for (size_t i = 0; i < w.sets * w.set_size; i++) {
        arena_destroy(w.cases[i].arena);
    }
    for (size_t i = 0; i < w.training; i++) {
        arena_destroy(w.rows[i].arena);
    }
    free(w.cases);
    free(w.rows);
    return rc;
}
