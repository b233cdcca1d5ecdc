#include "model/gp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/cholesky.h"

enum { GP_VERSION = 1, STEPS_DEFAULT = 60, STARTS_DEFAULT = 2 };

// The parameters as the search sees them: logarithms of the lengths, the signal and the noise.
enum { LOG_PARAMS_MAX = GP_INPUTS_MAX + 2 };

// Bounds in widths and variances of the scaled data. The noise ends where double precision makes
// the matrix singular anyway; a length of 100 widths is an input that does not matter.
#define LENGTH_LOW  0.01
#define LENGTH_HIGH 100.0
#define SIGNAL_LOW  1e-3
#define SIGNAL_HIGH 1e3
#define NOISE_LOW   1e-7
#define NOISE_HIGH  2.0

struct Gp {
    size_t n, d;
    bool raw;
    GpParams params;
    double x_low[GP_INPUTS_MAX], x_width[GP_INPUTS_MAX];
    double y_mean, y_deviation;
    double log_likelihood;
    double *x_given, *y_given; // as they came, for gp_write
    double *x;                 // scaled, n x d
    double *y;                 // scaled
    double *factor;            // of K + noise I, n x n
    double *weights;           // inverse(K + noise I) y
};

// ---- the kernel

// s / sqrt(5), squared.
static double distance2(const double *a, const double *b, size_t d, const double *lengths)
{
    double sum = 0;
    for (size_t k = 0; k < d; k++) {
        double step = (a[k] - b[k]) / lengths[k];
        sum += step * step;
    }
    return sum;
}

static double matern(double r2)
{
    double s = sqrt(5 * r2);
    return (1 + s + s * s / 3) * exp(-s);
}

static void fill_kernel(const double *x, size_t n, size_t d, const GpParams *p, double *k)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            k[i * n + j] = p->signal * matern(distance2(x + i * d, x + j * d, d, p->lengths));
        }
        k[i * n + i] = p->signal + p->noise;
    }
}

// Points that coincide make the matrix singular when the noise is small: a jitter far below what a
// prediction can show mends that.
static bool factor_kernel(const double *x, size_t n, size_t d, const GpParams *p, double *k)
{
    double jitter = 0;
    for (int attempt = 0; attempt < 8; attempt++) {
        fill_kernel(x, n, d, p, k);
        for (size_t i = 0; i < n; i++) {
            k[i * n + i] += jitter;
        }
        if (cholesky_factor(k, n)) {
            return true;
        }
        jitter = jitter > 0 ? 10 * jitter : 1e-12 * p->signal;
    }
    return false;
}

static double likelihood_of(const double *factor, const double *weights, const double *y, size_t n)
{
    double fit = 0;
    for (size_t i = 0; i < n; i++) {
        fit += y[i] * weights[i];
    }
    return -fit / 2 - cholesky_log_det(factor, n) / 2 - (double)n / 2 * log(2 * M_PI);
}

// ---- finding the parameters

typedef struct Tuner {
    size_t n, d;
    const double *x, *y;
    double *factor, *inverse, *weights;
    double at[LOG_PARAMS_MAX], gradient[LOG_PARAMS_MAX];
    double best[LOG_PARAMS_MAX], best_value;
} Tuner;

static double bound_low(size_t i, size_t d)
{
    return log(i < d ? LENGTH_LOW : i == d ? SIGNAL_LOW : NOISE_LOW);
}

static double bound_high(size_t i, size_t d)
{
    return log(i < d ? LENGTH_HIGH : i == d ? SIGNAL_HIGH : NOISE_HIGH);
}

static GpParams params_at(const double *at, size_t d)
{
    GpParams p = {.signal = exp(at[d]), .noise = exp(at[d + 1])};
    for (size_t k = 0; k < d; k++) {
        p.lengths[k] = exp(at[k]);
    }
    return p;
}

// Adds what the pair (i, j), i > j, has in the gradient: equation 5.9, whose trace counts it twice.
static void add_pair(Tuner *t, const GpParams *p, size_t i, size_t j)
{
    const double *a = t->x + i * t->d, *b = t->x + j * t->d;
    double r2 = distance2(a, b, t->d, p->lengths);
    double s = sqrt(5 * r2), decay = p->signal * exp(-s);
    double pull = t->weights[i] * t->weights[j] - t->inverse[i * t->n + j];
    t->gradient[t->d] += pull * decay * (1 + s + s * s / 3);
    double slope = pull * decay * (1 + s) * 5 / 3;
    for (size_t k = 0; k < t->d; k++) {
        double step = (a[k] - b[k]) / p->lengths[k];
        t->gradient[k] += slope * step * step;
    }
}

// The likelihood at t->at and its gradient; -INFINITY where the matrix cannot be factored.
static double evaluate(Tuner *t)
{
    GpParams p = params_at(t->at, t->d);
    memset(t->gradient, 0, sizeof t->gradient);
    if (!factor_kernel(t->x, t->n, t->d, &p, t->factor)) {
        return -INFINITY;
    }
    memcpy(t->weights, t->y, t->n * sizeof *t->weights);
    cholesky_forward(t->factor, t->n, t->weights);
    cholesky_backward(t->factor, t->n, t->weights);
    cholesky_inverse(t->factor, t->n, t->inverse);
    for (size_t i = 0; i < t->n; i++) {
        double pull = t->weights[i] * t->weights[i] - t->inverse[i * t->n + i];
        t->gradient[t->d] += pull * p.signal / 2;
        t->gradient[t->d + 1] += pull * p.noise / 2;
        for (size_t j = 0; j < i; j++) {
            add_pair(t, &p, i, j);
        }
    }
    return likelihood_of(t->factor, t->weights, t->y, t->n);
}

// Rprop: only the signs of the gradient count, and each parameter has a step of its own, which
// suits a surface whose scales differ by orders of magnitude; holding a parameter at its bound is a
// clamp (Blum, Riedmiller: "Optimization of Gaussian process hyperparameters using Rprop", ESANN
// 2013). A line-search method would need fewer steps, and a fallback for each way it can fail.
static void climb(Tuner *t, int steps)
{
    double step[LOG_PARAMS_MAX], before[LOG_PARAMS_MAX] = {0};
    size_t count = t->d + 2;
    for (size_t i = 0; i < count; i++) {
        step[i] = 0.3;
    }
    for (int turn = 0; turn < steps; turn++) {
        double value = evaluate(t);
        if (value > t->best_value) {
            t->best_value = value;
            memcpy(t->best, t->at, sizeof t->best);
        }
        double longest = 0;
        for (size_t i = 0; i < count; i++) {
            double same = t->gradient[i] * before[i];
            step[i] = fmin(fmax(step[i] * (same > 0 ? 1.3 : same < 0 ? 0.5 : 1), 1e-6), 1);
            before[i] = same < 0 ? 0 : t->gradient[i];
            double sign = before[i] > 0 ? 1 : before[i] < 0 ? -1 : 0;
            double next = t->at[i] + sign * step[i];
            next = fmin(fmax(next, bound_low(i, t->d)), bound_high(i, t->d));
            longest = fmax(longest, fabs(next - t->at[i]));
            t->at[i] = next;
        }
        if (turn > 5 && longest < 1e-4) {
            return;
        }
    }
}

static void begin_at(Tuner *t, const GpParams *start)
{
    for (size_t i = 0; i < t->d + 2; i++) {
        double value = log(i < t->d ? 0.5 : i == t->d ? 1 : 0.01);
        if (start) {
            value = log(i < t->d ? start->lengths[i] : i == t->d ? start->signal : start->noise);
        }
        t->at[i] = fmin(fmax(value, bound_low(i, t->d)), bound_high(i, t->d));
    }
}

static void tune(Tuner *t, const GpOptions *o)
{
    int steps = o->steps > 0 ? o->steps : STEPS_DEFAULT;
    int starts = o->starts == 0 ? STARTS_DEFAULT : o->starts < 0 ? 0 : o->starts;
    t->best_value = -INFINITY;
    begin_at(t, o->start);
    memcpy(t->best, t->at, sizeof t->best);
    climb(t, steps);
    Rng rng = rng_stream(o->seed, SLICE("gp-start"), 0);
    for (int s = 0; s < starts; s++) {
        for (size_t i = 0; i < t->d + 2; i++) {
            t->at[i] = i < t->d    ? log(0.05) + rng_double(&rng) * log(100)
                       : i == t->d ? log(0.3) + rng_double(&rng) * log(10)
                                   : log(1e-5) + rng_double(&rng) * log(1e4);
        }
        climb(t, steps);
    }
}

// ---- making one

static int check(const double *x, size_t n, size_t d, const double *y, Err *e)
{
    if (n == 0 || d == 0) {
        return err_set(e, ERR_ARG, "a Gaussian process needs a point and an input at least");
    }
    if (n > GP_POINTS_MAX || d > GP_INPUTS_MAX) {
        return err_set(e, ERR_LIMIT,
                       "%zu points with %zu inputs, a Gaussian process takes up to %d and %d", n, d,
                       GP_POINTS_MAX, GP_INPUTS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        bool finite = isfinite(y[i]);
        for (size_t k = 0; k < d; k++) {
            finite = finite && isfinite(x[i * d + k]);
        }
        if (!finite) {
            return err_set(e, ERR_ARG, "point %zu of a Gaussian process is not finite", i);
        }
    }
    return 0;
}

static int check_params(const GpParams *p, size_t d, Err *e)
{
    bool good = isfinite(p->signal) && p->signal > 0 && isfinite(p->noise) && p->noise >= 0;
    for (size_t k = 0; k < d; k++) {
        good = good && isfinite(p->lengths[k]) && p->lengths[k] > 0;
    }
    return good ? 0
                : err_set(e, ERR_ARG,
                          "lengths and signal of a Gaussian process must be above 0, its noise "
                          "at least 0");
}

static void scale(Gp *gp)
{
    gp->y_deviation = 1;
    for (size_t k = 0; k < gp->d; k++) {
        gp->x_width[k] = 1;
    }
    if (!gp->raw) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < gp->n; i++) {
            sum += gp->y_given[i];
        }
        gp->y_mean = sum / (double)gp->n;
        for (size_t i = 0; i < gp->n; i++) {
            squares += (gp->y_given[i] - gp->y_mean) * (gp->y_given[i] - gp->y_mean);
        }
        double deviation = sqrt(squares / (double)gp->n);
        gp->y_deviation = deviation > 0 && isfinite(deviation) ? deviation : 1;
        for (size_t k = 0; k < gp->d; k++) {
            double low = gp->x_given[k], high = low;
            for (size_t i = 1; i < gp->n; i++) {
                low = fmin(low, gp->x_given[i * gp->d + k]);
                high = fmax(high, gp->x_given[i * gp->d + k]);
            }
            gp->x_low[k] = low;
            gp->x_width[k] = high > low && isfinite(high - low) ? high - low : 1;
        }
    }
    for (size_t i = 0; i < gp->n; i++) {
        gp->y[i] = (gp->y_given[i] - gp->y_mean) / gp->y_deviation;
        for (size_t k = 0; k < gp->d; k++) {
            gp->x[i * gp->d + k] = (gp->x_given[i * gp->d + k] - gp->x_low[k]) / gp->x_width[k];
        }
    }
}

// Where there are more points than the search can afford, a random choice of them stands for all.
static void find_params(Gp *gp, const GpOptions *o)
{
    size_t m = gp->n < GP_TUNE_POINTS_MAX ? gp->n : GP_TUNE_POINTS_MAX;
    uint32_t *order = mem_alloc(gp->n * sizeof *order);
    double *room = mem_alloc((m * (gp->d + 2) + 2 * m * m) * sizeof *room);
    double *x = room, *y = x + m * gp->d;
    for (size_t i = 0; i < gp->n; i++) {
        order[i] = (uint32_t)i;
    }
    if (m < gp->n) {
        Rng rng = rng_stream(o->seed, SLICE("gp-choice"), 0);
        rng_shuffle(&rng, order, gp->n, sizeof *order);
    }
    for (size_t i = 0; i < m; i++) {
        memcpy(x + i * gp->d, gp->x + order[i] * gp->d, gp->d * sizeof *x);
        y[i] = gp->y[order[i]];
    }
    Tuner t = {.n = m, .d = gp->d, .x = x, .y = y, .weights = y + m};
    t.factor = t.weights + m;
    t.inverse = t.factor + m * m;
    tune(&t, o);
    gp->params = params_at(t.best, gp->d);
    free(room);
    free(order);
}

static int solve(Gp *gp, Err *e)
{
    if (!factor_kernel(gp->x, gp->n, gp->d, &gp->params, gp->factor)) {
        return err_set(e, ERR_ARG,
                       "the points are too near each other for these parameters: give the "
                       "Gaussian process more noise");
    }
    memcpy(gp->weights, gp->y, gp->n * sizeof *gp->weights);
    cholesky_forward(gp->factor, gp->n, gp->weights);
    cholesky_backward(gp->factor, gp->n, gp->weights);
    gp->log_likelihood = likelihood_of(gp->factor, gp->weights, gp->y, gp->n);
    return 0;
}

int gp_fit(const double *x, size_t n, size_t d, const double *y, const GpOptions *options,
           Gp **ret_gp, Err *e)
{
    static const GpOptions DEFAULTS = {0};
    const GpOptions *o = options ? options : &DEFAULTS;
    int rc = check(x, n, d, y, e);
    if (rc == 0 && o->fixed) {
        rc = check_params(o->fixed, d, e);
    }
    if (rc == 0 && o->start) {
        rc = check_params(o->start, d, e);
    }
    if (rc != 0) {
        return rc;
    }
    Gp *gp = mem_zalloc(sizeof *gp);
    *gp = (Gp){.n = n, .d = d, .raw = o->raw};
    gp->x_given = mem_alloc((2 * n * d + 3 * n + n * n) * sizeof(double));
    gp->x = gp->x_given + n * d;
    gp->y_given = gp->x + n * d;
    gp->y = gp->y_given + n;
    gp->weights = gp->y + n;
    gp->factor = gp->weights + n;
    memcpy(gp->x_given, x, n * d * sizeof *x);
    memcpy(gp->y_given, y, n * sizeof *y);
    scale(gp);
    if (o->fixed) {
        gp->params = *o->fixed;
    } else {
        find_params(gp, o);
    }
    if ((rc = solve(gp, e)) != 0) {
        gp_destroy(gp);
        return rc;
    }
    *ret_gp = gp;
    return 0;
}

void gp_destroy(Gp *gp)
{
    if (gp) {
        free(gp->x_given);
        free(gp);
    }
}

// ---- asking

void gp_predict(const Gp *gp, const double *x, double *ret_mean, double *ret_variance)
{
    double at[GP_INPUTS_MAX];
    for (size_t k = 0; k < gp->d; k++) {
        at[k] = (x[k] - gp->x_low[k]) / gp->x_width[k];
    }
    double *row = mem_alloc(gp->n * sizeof *row);
    double mean = 0;
    for (size_t i = 0; i < gp->n; i++) {
        double r2 = distance2(at, gp->x + i * gp->d, gp->d, gp->params.lengths);
        row[i] = gp->params.signal * matern(r2);
        mean += row[i] * gp->weights[i];
    }
    *ret_mean = gp->y_mean + gp->y_deviation * mean;
    if (ret_variance) {
        double known = 0;
        cholesky_forward(gp->factor, gp->n, row);
        for (size_t i = 0; i < gp->n; i++) {
            known += row[i] * row[i];
        }
        *ret_variance = fmax(gp->params.signal - known, 0) * gp->y_deviation * gp->y_deviation;
    }
    free(row);
}

double gp_noise(const Gp *gp)
{
    return gp->params.noise * gp->y_deviation * gp->y_deviation;
}

double gp_log_likelihood(const Gp *gp)
{
    return gp->log_likelihood;
}

const GpParams *gp_params(const Gp *gp)
{
    return &gp->params;
}

size_t gp_points(const Gp *gp)
{
    return gp->n;
}

size_t gp_inputs(const Gp *gp)
{
    return gp->d;
}

void gp_leave_one_out(const Gp *gp, double *ret_mean, double *ret_variance)
{
    double *inverse = mem_alloc(gp->n * gp->n * sizeof *inverse);
    cholesky_inverse(gp->factor, gp->n, inverse);
    for (size_t i = 0; i < gp->n; i++) {
        double precision = inverse[i * gp->n + i];
        if (ret_mean) {
            ret_mean[i] = gp->y_mean + gp->y_deviation * (gp->y[i] - gp->weights[i] / precision);
        }
        if (ret_variance) {
            ret_variance[i] = gp->y_deviation * gp->y_deviation / precision;
        }
    }
    free(inverse);
}

// ---- as a document

static void write_numbers(JsonWriter *w, const char *key, const double *values, size_t count)
{
    json_key(w, slice_from_cstr(key));
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        json_double(w, values[i]);
    }
    json_array_end(w);
}

void gp_write(const Gp *gp, JsonWriter *w)
{
    json_object_begin(w);
    json_field_int(w, "version", GP_VERSION);
    json_field_int(w, "inputs", (int64_t)gp->d);
    json_field_bool(w, "raw", gp->raw);
    json_field_double(w, "signal", gp->params.signal);
    json_field_double(w, "noise", gp->params.noise);
    write_numbers(w, "lengths", gp->params.lengths, gp->d);
    write_numbers(w, "x", gp->x_given, gp->n * gp->d);
    write_numbers(w, "y", gp->y_given, gp->n);
    json_object_end(w);
}

// The array of numbers `key` of between 1 and `max` items, into memory of its own.
static int read_numbers(const Doc *doc, const char *key, size_t max, double **ret,
                        size_t *ret_count, Err *e)
{
    const Doc *array = doc_get(doc, slice_from_cstr(key));
    if (!array || array->type != DOC_ARRAY || doc_count(array) == 0 || doc_count(array) > max) {
        return doc_err(e, array ? array : doc, "%s must be an array of 1 to %zu numbers", key, max);
    }
    double *values = mem_alloc(doc_count(array) * sizeof *values);
    size_t count = 0;
    for (const Doc *m = doc_first(array); m; m = doc_next(m)) {
        if (!doc_is_number(m)) {
            free(values);
            return doc_err(e, m, "%s must have numbers only", key);
        }
        values[count++] = doc_number(m);
    }
    *ret = values;
    *ret_count = count;
    return 0;
}

static int read_head(const Doc *doc, size_t *ret_d, GpOptions *o, GpParams *params, Err *e)
{
    const Doc *version = doc_get(doc, SLICE("version"));
    const Doc *inputs = doc_get(doc, SLICE("inputs"));
    const Doc *raw = doc_get(doc, SLICE("raw"));
    const Doc *signal = doc_get(doc, SLICE("signal"));
    const Doc *noise = doc_get(doc, SLICE("noise"));
    if (!version || version->type != DOC_INT || !inputs || inputs->type != DOC_INT || !raw ||
        raw->type != DOC_BOOL || !doc_is_number(signal) || !doc_is_number(noise)) {
        return doc_err(e, doc,
                       "a Gaussian process has version, inputs, raw, signal, noise, lengths, x "
                       "and y");
    }
    if (version->integer > GP_VERSION) {
        (void)doc_err(e, version, "version %lld is newer than this program",
                      (long long)version->integer);
        return e ? (e->code = ERR_VERSION) : ERR_VERSION;
    }
    if (inputs->integer < 1 || inputs->integer > GP_INPUTS_MAX) {
        return doc_err(e, inputs, "inputs must be 1 to %d", GP_INPUTS_MAX);
    }
    *ret_d = (size_t)inputs->integer;
    o->raw = raw->boolean;
    params->signal = doc_number(signal);
    params->noise = doc_number(noise);
    return 0;
}

int gp_read(const Doc *doc, Gp **ret_gp, Err *e)
{
    double *lengths = NULL, *x = NULL, *y = NULL;
    size_t length_count = 0, x_count = 0, n = 0, d = 0;
    GpParams params = {0};
    GpOptions o = {.fixed = &params};
    int rc = read_head(doc, &d, &o, &params, e);
    if (rc == 0) {
        rc = read_numbers(doc, "lengths", GP_INPUTS_MAX, &lengths, &length_count, e);
    }
    if (rc == 0) {
        rc = read_numbers(doc, "x", (size_t)GP_POINTS_MAX * GP_INPUTS_MAX, &x, &x_count, e);
    }
    if (rc == 0) {
        rc = read_numbers(doc, "y", GP_POINTS_MAX, &y, &n, e);
    }
    if (rc == 0 && (length_count != d || x_count != n * d)) {
        rc = doc_err(e, doc, "lengths, x and y do not fit together: %zu inputs, %zu, %zu, %zu", d,
                     length_count, x_count, n);
    }
    if (rc == 0) {
        memcpy(params.lengths, lengths, d * sizeof *lengths);
        rc = gp_fit(x, n, d, y, &o, ret_gp, e);
    }
    free(lengths);
    free(x);
    free(y);
    return rc;
}
