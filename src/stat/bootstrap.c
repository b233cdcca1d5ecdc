#include "stat/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "base/err.h"
#include "stat/sample.h"

typedef struct Mean {
    double mean;
    double error; // squared standard error
} Mean;

static Mean mean_of(const double *x, size_t n)
{
    return (Mean){sample_mean(x, n), sample_variance(x, n) / (double)n};
}

static Mean resample(const double *x, size_t n, double *scratch, Rng *rng)
{
    for (size_t i = 0; i < n; i++) {
        scratch[i] = x[rng_below(rng, n)];
    }
    return mean_of(scratch, n);
}

// One studentised replicate. A resample without spread says "infinitely far" unless it is right.
static double studentise(double off, double squared_error)
{
    if (squared_error > 0) {
        return off / sqrt(squared_error);
    }
    return off == 0 ? 0 : copysign(INFINITY, off);
}

// Order statistics of t rather than interpolation: INFINITY - INFINITY must not arise.
static Interval from_replicates(double estimate, double se, double *t, size_t n, double confidence)
{
    sample_sort(t, n);
    double tail = (1 - confidence) / 2;
    size_t low = (size_t)floor(tail * (double)n);
    double t_low = t[low];
    double t_high = t[n - 1 - low];
    return (Interval){
        se > 0 ? estimate - t_high * se : estimate,
        se > 0 ? estimate - t_low * se : estimate,
        confidence,
    };
}

static size_t held(size_t replicates)
{
    if (replicates < 1) {
        return 1;
    }
    return replicates > BOOTSTRAP_REPLICATES_MAX ? BOOTSTRAP_REPLICATES_MAX : replicates;
}

Interval bootstrap_mean(const double *x, size_t n, double confidence, size_t replicates, Rng *rng)
{
    if (n < 2) {
        return (Interval){-INFINITY, INFINITY, confidence};
    }
    replicates = held(replicates);
    Mean whole = mean_of(x, n);
    double *scratch = mem_alloc(n * sizeof *scratch);
    double *t = mem_alloc(replicates * sizeof *t);
    for (size_t i = 0; i < replicates; i++) {
        Mean m = resample(x, n, scratch, rng);
        t[i] = studentise(m.mean - whole.mean, m.error);
    }
    Interval interval = from_replicates(whole.mean, sqrt(whole.error), t, replicates, confidence);
    free(t);
    free(scratch);
    return interval;
}

Interval bootstrap_difference(const double *x, size_t nx, const double *y, size_t ny,
                              double confidence, size_t replicates, Rng *rng)
{
    if (nx < 2 || ny < 2) {
        return (Interval){-INFINITY, INFINITY, confidence};
    }
    replicates = held(replicates);
    Mean all_x = mean_of(x, nx);
    Mean all_y = mean_of(y, ny);
    double difference = all_y.mean - all_x.mean;
    double *scratch = mem_alloc((nx > ny ? nx : ny) * sizeof *scratch);
    double *t = mem_alloc(replicates * sizeof *t);
    for (size_t i = 0; i < replicates; i++) {
        Mean mx = resample(x, nx, scratch, rng);
        Mean my = resample(y, ny, scratch, rng);
        t[i] = studentise(my.mean - mx.mean - difference, mx.error + my.error);
    }
    double se = sqrt(all_x.error + all_y.error);
    Interval interval = from_replicates(difference, se, t, replicates, confidence);
    free(t);
    free(scratch);
    return interval;
}
