#include "model/bayes_opt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/gp.h"
#include "stat/dist.h"

enum {
    MODELS_MAX = 1 + BAYES_CONSTRAINTS_MAX, // [0] the value, then the constraints
    SPREAD_CANDIDATES = 384,                // of the Halton sequence
    NEAR_CANDIDATES = 128,                  // around the best
    CLIMBS = 4,                             // pattern searches
    CLIMB_HALVINGS = 7,                     // of their step: from 1/8 to 1/1000 of a range
    STORE_MAX = BAYES_POINTS_MAX + BAYES_PENDING_MAX,
    TRIES_MAX = 4096, // for a point that was not tried yet
};

// Shares of a range: what rounding may do to a point on its way through the caller's units, and
// below what a second trial would teach nothing.
#define SAME 1e-9
#define NEAR 1e-4
// Within this the best was only polished: see poll().
#define POLISH 0.02

struct BayesOpt {
    BayesParam params[BAYES_PARAMS_MAX];
    size_t d;        // parameters
    size_t features; // what the models see: a choice has one for each alternative
    size_t constraints;
    size_t first;
    uint64_t seed;
    size_t told, pending; // points: the told ones, then the pending ones
    uint64_t asked;       // ever: the place in the Halton sequence
    double *points;       // STORE_MAX x d, in [0, 1], rounded
    double *values;       // STORE_MAX x (1 + constraints), as told
    double rotation[BAYES_PARAMS_MAX];
    GpParams tuned[MODELS_MAX];
    size_t tuned_at[MODELS_MAX]; // how many points were told then; 0: never
    Gp *gp[MODELS_MAX];          // while asking
    double best; // of what gp[0] says of the feasible, while asking; INFINITY: nothing is feasible
};

// ---- parameters

static double whole_steps(const BayesParam *p)
{
    return p->high - p->low;
}

static bool is_discrete(const BayesParam *p)
{
    return p->kind == BAYES_WHOLE || p->kind == BAYES_CHOICE;
}

static double to_unit(const BayesParam *p, double value)
{
    double u = p->kind == BAYES_LOG ? log(value / p->low) / log(p->high / p->low)
                                    : (value - p->low) / (p->high - p->low);
    return p->high > p->low ? fmin(fmax(u, 0), 1) : 0;
}

static double from_unit(const BayesParam *p, double u)
{
    double value =
        p->kind == BAYES_LOG ? p->low * pow(p->high / p->low, u) : p->low + u * (p->high - p->low);
    return fmin(fmax(is_discrete(p) ? round(value) : value, p->low), p->high);
}

// To the nearest point that can be tried.
static void snap(const BayesOpt *b, double *u)
{
    for (size_t k = 0; k < b->d; k++) {
        const BayesParam *p = &b->params[k];
        u[k] = p->high > p->low ? fmin(fmax(u[k], 0), 1) : 0;
        if (is_discrete(p) && u[k] > 0) {
            u[k] = round(u[k] * whole_steps(p)) / whole_steps(p);
        }
    }
}

static void encode(const BayesOpt *b, const double *u, double *ret)
{
    for (size_t k = 0; k < b->d; k++) {
        const BayesParam *p = &b->params[k];
        if (p->kind != BAYES_CHOICE) {
            *ret++ = u[k];
            continue;
        }
        int chosen = (int)round(u[k] * whole_steps(p));
        for (int i = 0; i <= (int)whole_steps(p); i++) {
            *ret++ = i == chosen;
        }
    }
}

static int check_param(const BayesParam *p, Err *e)
{
    const char *wrong = NULL;
    if (!isfinite(p->low) || !isfinite(p->high) || p->low > p->high) {
        wrong = "needs a finite range";
    } else if (p->kind == BAYES_LOG && p->low <= 0) {
        wrong = "needs a range above 0 for its logarithm";
    } else if (is_discrete(p) && (p->low != round(p->low) || p->high != round(p->high))) {
        wrong = "needs whole numbers as its range";
    } else if (p->kind == BAYES_CHOICE && whole_steps(p) >= BAYES_CHOICES_MAX) {
        wrong = "has too many alternatives";
    }
    return wrong ? err_set(e, ERR_ARG, "the parameter %.*s %s", SLICE_FMT(p->name), wrong) : 0;
}

int bayes_opt_create(const BayesOptions *o, BayesOpt **ret_opt, Err *e)
{
    if (o->param_count == 0 || o->param_count > BAYES_PARAMS_MAX ||
        o->constraint_count > BAYES_CONSTRAINTS_MAX) {
        return err_set(e, ERR_LIMIT, "%zu parameters and %zu constraints, at most %d and %d",
                       o->param_count, o->constraint_count, BAYES_PARAMS_MAX,
                       BAYES_CONSTRAINTS_MAX);
    }
    size_t features = 0;
    for (size_t k = 0; k < o->param_count; k++) {
        const BayesParam *p = &o->params[k];
        int rc = check_param(p, e);
        if (rc != 0) {
            return rc;
        }
        features += p->kind == BAYES_CHOICE ? (size_t)whole_steps(p) + 1 : 1;
    }
    if (features > GP_INPUTS_MAX) {
        return err_set(e, ERR_LIMIT, "parameters and alternatives are %zu, at most %d", features,
                       GP_INPUTS_MAX);
    }
    BayesOpt *b = mem_zalloc(sizeof *b);
    memcpy(b->params, o->params, o->param_count * sizeof *o->params);
    b->d = o->param_count;
    b->features = features;
    b->constraints = o->constraint_count;
    b->first = o->first > 0 ? o->first : 2 + 2 * b->d;
    b->seed = o->seed;
    b->points = mem_zalloc(STORE_MAX * b->d * sizeof *b->points);
    b->values = mem_zalloc(STORE_MAX * (1 + b->constraints) * sizeof *b->values);
    Rng rng = rng_stream(o->seed, SLICE("bayes-rotation"), 0);
    for (size_t k = 0; k < b->d; k++) {
        b->rotation[k] = rng_double(&rng);
    }
    *ret_opt = b;
    return 0;
}

void bayes_opt_destroy(BayesOpt *b)
{
    if (b) {
        free(b->points);
        free(b->values);
        free(b);
    }
}

// ---- what was told

static ptrdiff_t find_point(const BayesOpt *b, const double *u, size_t from, size_t to, double near)
{
    for (size_t i = from; i < to; i++) {
        size_t k = 0;
        while (k < b->d && fabs(b->points[i * b->d + k] - u[k]) < near) {
            k++;
        }
        if (k == b->d) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

static void move_point(BayesOpt *b, size_t to, size_t from)
{
    memmove(b->points + to * b->d, b->points + from * b->d, b->d * sizeof *b->points);
}

int bayes_opt_tell(BayesOpt *b, const double *point, double value, const double *constraints,
                   Err *e)
{
    double u[BAYES_PARAMS_MAX];
    if (b->told == BAYES_POINTS_MAX) {
        return err_set(e, ERR_LIMIT, "%d trials were told, there is room for no more",
                       (int)b->told);
    }
    for (size_t k = 0; k < b->d; k++) {
        const BayesParam *p = &b->params[k];
        if (!(point[k] >= p->low && point[k] <= p->high)) {
            return err_set(e, ERR_ARG, "%g is outside of the range of %.*s", point[k],
                           SLICE_FMT(p->name));
        }
        u[k] = to_unit(p, point[k]);
    }
    snap(b, u);
    // The place behind the told ones is a pending one's, or free: what is there moves away.
    ptrdiff_t asked = find_point(b, u, b->told, b->told + b->pending, SAME);
    if (asked >= 0) {
        move_point(b, (size_t)asked, b->told);
        b->pending--;
    } else {
        move_point(b, b->told + b->pending, b->told);
    }
    memcpy(b->points + b->told * b->d, u, b->d * sizeof *u);
    double *values = b->values + b->told * (1 + b->constraints);
    values[0] = isfinite(value) ? value : NAN;
    for (size_t j = 0; j < b->constraints; j++) {
        values[1 + j] = constraints && isfinite(constraints[j]) ? constraints[j] : NAN;
    }
    b->told++;
    return 0;
}

// A constraint that nobody could measure is one that is not kept.
static bool feasible(const BayesOpt *b, size_t i)
{
    const double *values = b->values + i * (1 + b->constraints);
    bool kept = isfinite(values[0]);
    for (size_t j = 0; j < b->constraints; j++) {
        kept = kept && values[1 + j] <= 0;
    }
    return kept;
}

static ptrdiff_t best_index(const BayesOpt *b)
{
    ptrdiff_t best = -1;
    for (size_t i = 0; i < b->told; i++) {
        double value = b->values[i * (1 + b->constraints)];
        if (feasible(b, i) && (best < 0 || value < b->values[best * (1 + b->constraints)])) {
            best = (ptrdiff_t)i;
        }
    }
    return best;
}

bool bayes_opt_best(const BayesOpt *b, double *ret_point, double *ret_value)
{
    ptrdiff_t best = best_index(b);
    if (best < 0) {
        return false;
    }
    for (size_t k = 0; k < b->d; k++) {
        ret_point[k] = from_unit(&b->params[k], b->points[(size_t)best * b->d + k]);
    }
    *ret_value = b->values[best * (1 + b->constraints)];
    return true;
}

size_t bayes_opt_told(const BayesOpt *b)
{
    return b->told;
}

// ---- models of what was told

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// One collapsed candidate can be a million times worse than the rest, and would flatten everything
// else in a model of the plain values. So values are measured in robust deviations from their
// median, and what is more than two of them worse grows by its logarithm only. The order stays.
typedef struct Warp {
    double middle, deviation;
} Warp;

static double warp(const Warp *w, double value)
{
    double t = (value - w->middle) / w->deviation;
    return t > 2 ? 2 + log(t - 1) : t;
}

// `column` of the told values: failures become the worst, a failed constraint a broken one. A
// constraint keeps its zero, because its sign is what counts.
static Warp make_warp(const BayesOpt *b, size_t column, const double *values, double *scratch)
{
    size_t n = 0;
    for (size_t i = 0; i < b->told; i++) {
        if (isfinite(values[i * (1 + b->constraints) + column])) {
            scratch[n++] = values[i * (1 + b->constraints) + column];
        }
    }
    if (n == 0) {
        return (Warp){0, 1};
    }
    qsort(scratch, n, sizeof *scratch, compare_doubles);
    double middle = column == 0 ? scratch[n / 2] : 0;
    for (size_t i = 0; i < n; i++) {
        scratch[i] = fabs(scratch[i] - middle);
    }
    qsort(scratch, n, sizeof *scratch, compare_doubles);
    double deviation = 1.4826 * scratch[n / 2];
    deviation = deviation > 0 ? deviation : scratch[n - 1] > 0 ? scratch[n - 1] : 1;
    return (Warp){middle, deviation};
}

static void warped_column(const BayesOpt *b, size_t column, double *ret)
{
    size_t stride = 1 + b->constraints;
    Warp w = make_warp(b, column, b->values, ret);
    double worst = column == 0 ? -INFINITY : 1;
    for (size_t i = 0; i < b->told; i++) {
        double value = b->values[i * stride + column];
        ret[i] = isfinite(value) ? warp(&w, value) : NAN;
        worst = fmax(worst, ret[i]); // fmax ignores NAN
    }
    for (size_t i = 0; i < b->told; i++) {
        ret[i] = isfinite(ret[i]) ? ret[i] : isfinite(worst) ? worst : 0;
    }
}

// Parameters are looked for again after every tell in the beginning, then whenever a tenth more is
// known: they hardly move later, and looking costs cubes.
static bool wants_tuning(const BayesOpt *b, size_t model)
{
    size_t at = b->tuned_at[model];
    return at == 0 || (b->told > at && (b->told < 16 || b->told >= at + at / 10 + 1));
}

static int fit_model(BayesOpt *b, size_t model, const double *x, const double *y, size_t n, Err *e)
{
    GpOptions o = {.raw = true, .seed = b->seed + model};
    int rc = 0;
    if (wants_tuning(b, model)) {
        Gp *tuned;
        o.start = b->tuned_at[model] > 0 ? &b->tuned[model] : NULL;
        o.starts = 1;
        rc = gp_fit(x, b->told, b->features, y, &o, &tuned, e);
        if (rc == 0) {
            b->tuned[model] = *gp_params(tuned);
            b->tuned_at[model] = b->told;
            gp_destroy(tuned);
        }
    }
    if (rc == 0) {
        o = (GpOptions){.raw = true, .fixed = &b->tuned[model]};
        rc = gp_fit(x, n, b->features, y, &o, &b->gp[model], e);
    }
    return rc;
}

static void drop_models(BayesOpt *b)
{
    for (size_t m = 0; m < MODELS_MAX; m++) {
        gp_destroy(b->gp[m]);
        b->gp[m] = NULL;
    }
}

// The lowest mean at a feasible point. Not the lowest value: that may be luck, and what cannot be
// reached again would keep the search away from everything else.
static double best_expected(const BayesOpt *b, const double *x)
{
    double best = INFINITY, mean;
    for (size_t i = 0; i < b->told; i++) {
        if (feasible(b, i)) {
            gp_predict(b->gp[0], x + i * b->features, &mean, NULL);
            best = fmin(best, mean);
        }
    }
    return best;
}

// One model a column, over what was told and what the model itself expects of the pending points.
static int make_models(BayesOpt *b, Err *e)
{
    size_t n = b->told + b->pending;
    double *x = mem_alloc((n * b->features + n) * sizeof *x);
    double *y = x + n * b->features;
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        encode(b, b->points + i * b->d, x + i * b->features);
    }
    for (size_t m = 0; rc == 0 && m < 1 + b->constraints; m++) {
        warped_column(b, m, y);
        rc = fit_model(b, m, x, y, b->told, e);
        if (rc == 0 && m == 0) {
            b->best = best_expected(b, x);
        }
        for (size_t i = b->told; rc == 0 && i < n; i++) {
            gp_predict(b->gp[m], x + i * b->features, &y[i], NULL);
        }
        if (rc == 0 && b->pending > 0) {
            gp_destroy(b->gp[m]);
            b->gp[m] = NULL;
            rc = fit_model(b, m, x, y, n, e);
        }
    }
    free(x);
    return rc;
}

// ---- the acquisition

// log(P(Z <= z)), and log(z P(Z <= z) + density(z)), without underflow: far to the left, where the
// search begins on flat ground, the asymptotic series take over.
static double log_normal_cdf(double z)
{
    return z > -8 ? log(dist_normal_cdf(z)) : -z * z / 2 - log(-z) - log(2 * M_PI) / 2;
}

static double log_improvement(double z)
{
    double log_density = -z * z / 2 - log(2 * M_PI) / 2;
    return z > -8 ? log(z * dist_normal_cdf(z) + exp(log_density)) : log_density - 2 * log(-z);
}

// Logarithm of expected improvement times probability of being feasible, at a point that can be
// tried. While nothing feasible is known only the probability counts.
static double acquisition(const BayesOpt *b, const double *u)
{
    double features[GP_INPUTS_MAX], mean, variance, sum = 0;
    encode(b, u, features);
    if (isfinite(b->best)) {
        gp_predict(b->gp[0], features, &mean, &variance);
        double deviation = sqrt(fmax(variance, 1e-18));
        double noise = gp_noise(b->gp[0]);
        sum = log_improvement((b->best - mean) / deviation) + log(deviation);
        // Augmented expected improvement (Huang, Allen, Notz, Zeng 2006, equation 12): where noise
        // is all that is left to learn, another trial is worth nothing.
        sum += log(fmax(1 - sqrt(noise / (variance + noise)), 1e-9));
    }
    for (size_t j = 0; j < b->constraints; j++) {
        gp_predict(b->gp[1 + j], features, &mean, &variance);
        double deviation = sqrt(fmax(variance + gp_noise(b->gp[1 + j]), 1e-18));
        sum += log_normal_cdf(-mean / deviation);
    }
    return sum;
}

typedef struct Candidate {
    double score;
    double u[BAYES_PARAMS_MAX];
} Candidate;

// Keeps the CLIMBS best, best first.
static void keep(Candidate *top, const Candidate *c)
{
    for (size_t i = 0; i < CLIMBS; i++) {
        if (c->score > top[i].score) {
            memmove(top + i + 1, top + i, (CLIMBS - 1 - i) * sizeof *top);
            top[i] = *c;
            return;
        }
    }
}

static bool was_tried(const BayesOpt *b, const double *u)
{
    return find_point(b, u, 0, b->told + b->pending, NEAR) >= 0;
}

static void consider(const BayesOpt *b, Candidate *top, Candidate *c)
{
    snap(b, c->u);
    if (!was_tried(b, c->u)) {
        c->score = acquisition(b, c->u);
        keep(top, c);
    }
}

static void halton_point(const BayesOpt *b, uint64_t index, double *ret)
{
    static const unsigned char PRIMES[BAYES_PARAMS_MAX] = {
        2,  3,  5,  7,  11, 13, 17, 19, 23, 29,  31,  37,  41,  43,  47,  53,
        59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131};
    for (size_t k = 0; k < b->d; k++) {
        double fraction = 1, sum = b->rotation[k];
        for (uint64_t i = index; i > 0; i /= PRIMES[k]) {
            fraction /= PRIMES[k];
            sum += fraction * (double)(i % PRIMES[k]);
        }
        ret[k] = sum - floor(sum);
    }
}

// One step of a pattern search: every parameter up and down by `step`, the first gain is taken.
static bool climb_once(const BayesOpt *b, Candidate *c, double step)
{
    bool gained = false;
    for (size_t k = 0; k < b->d; k++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            Candidate next = *c;
            double least = is_discrete(&b->params[k]) && whole_steps(&b->params[k]) > 0
                               ? 1 / whole_steps(&b->params[k])
                               : 0;
            next.u[k] += sign * fmax(step, least);
            snap(b, next.u);
            if (!was_tried(b, next.u) && (next.score = acquisition(b, next.u)) > c->score) {
                *c = next;
                gained = true;
                break;
            }
        }
    }
    return gained;
}

static void climb(const BayesOpt *b, Candidate *c)
{
    double step = 0.125;
    for (int halving = 0; halving < CLIMB_HALVINGS; halving++) {
        for (int turn = 0; turn < 4 && climb_once(b, c, step); turn++) {
        }
        step /= 2;
    }
}

// A model that takes a parameter for monotone polishes the best on its real parameters for ever,
// and never looks at the whole number beside it. So a step that only polishes gives way to a step
// to a whole number or alternative beside the best that nobody tried; this makes the end a local
// optimum in the discrete parameters, as the poll step of a pattern search does.
static void poll(const BayesOpt *b, size_t best, Candidate *chosen)
{
    const double *at = b->points + best * b->d;
    Candidate found = {.score = -INFINITY}, next;
    if (find_point(b, chosen->u, best, best + 1, POLISH) < 0) {
        return;
    }
    for (size_t k = 0; k < b->d; k++) {
        double steps = whole_steps(&b->params[k]);
        if (!is_discrete(&b->params[k]) || steps <= 0) {
            continue;
        }
        bool choice = b->params[k].kind == BAYES_CHOICE;
        for (int i = choice ? 0 : -1; i <= (choice ? (int)steps : 1); i++) {
            memcpy(next.u, at, b->d * sizeof *at);
            next.u[k] = choice ? i / steps : at[k] + i / steps;
            snap(b, next.u);
            if (find_point(b, next.u, 0, b->told + b->pending, POLISH) < 0 &&
                (next.score = acquisition(b, next.u)) > found.score) {
                found = next;
            }
        }
    }
    if (found.score > -INFINITY) {
        *chosen = found;
    }
}

static bool search(BayesOpt *b, double *ret_u)
{
    Candidate top[CLIMBS];
    Candidate c;
    for (size_t i = 0; i < CLIMBS; i++) {
        top[i].score = -INFINITY;
    }
    uint64_t from = b->asked * SPREAD_CANDIDATES;
    for (uint64_t i = 0; i < SPREAD_CANDIDATES; i++) {
        halton_point(b, 1 + (from + i) % (UINT64_C(1) << 40), c.u);
        consider(b, top, &c);
    }
    ptrdiff_t best = best_index(b);
    Rng rng = rng_stream(b->seed, SLICE("bayes-near"), b->asked);
    for (int i = 0; best >= 0 && i < NEAR_CANDIDATES; i++) {
        double deviation = i % 3 == 0 ? 0.2 : i % 3 == 1 ? 0.05 : 0.01;
        for (size_t k = 0; k < b->d; k++) {
            c.u[k] = b->points[(size_t)best * b->d + k] + rng_normal(&rng, 0, deviation);
        }
        consider(b, top, &c);
    }
    if (!(top[0].score > -INFINITY)) {
        return false;
    }
    for (size_t i = 0; i < CLIMBS && top[i].score > -INFINITY; i++) {
        climb(b, &top[i]);
        if (top[i].score > top[0].score) {
            top[0] = top[i];
        }
    }
    if (best >= 0) {
        poll(b, (size_t)best, &top[0]);
    }
    memcpy(ret_u, top[0].u, b->d * sizeof *ret_u);
    return true;
}

// The next of the Halton sequence that was not tried.
static bool spread(BayesOpt *b, double *ret_u)
{
    for (uint64_t i = 0; i < TRIES_MAX; i++) {
        halton_point(b, 1 + b->asked + i, ret_u);
        snap(b, ret_u);
        if (!was_tried(b, ret_u)) {
            return true;
        }
    }
    return false;
}

static int ask_one(BayesOpt *b, double *ret_u, Err *e)
{
    int rc = 0;
    bool found = false;
    if (b->told >= b->first || (b->told > 0 && b->told + b->pending >= b->first)) {
        rc = make_models(b, e);
        found = rc == 0 && search(b, ret_u);
        drop_models(b);
    }
    if (rc == 0 && !found && !spread(b, ret_u)) {
        rc = err_set(e, ERR_NOT_FOUND, "every point of the range was tried");
    }
    return rc;
}

int bayes_opt_ask(BayesOpt *b, size_t count, double *ret_points, Err *e)
{
    if (b->pending + count > BAYES_PENDING_MAX || b->told + b->pending + count > BAYES_POINTS_MAX) {
        return err_set(e, ERR_LIMIT,
                       "%zu points more with %zu told and %zu asked, the limits are %d and %d",
                       count, b->told, b->pending, BAYES_POINTS_MAX, BAYES_PENDING_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        double u[BAYES_PARAMS_MAX];
        int rc = ask_one(b, u, e);
        if (rc != 0) {
            return rc;
        }
        memcpy(b->points + (b->told + b->pending) * b->d, u, b->d * sizeof *u);
        b->pending++;
        b->asked++;
        for (size_t k = 0; k < b->d; k++) {
            ret_points[i * b->d + k] = from_unit(&b->params[k], u[k]);
        }
    }
    return 0;
}
