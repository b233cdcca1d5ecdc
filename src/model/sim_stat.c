#include "model/sim_stat.h"

#include <math.h>

#include "stat/dist.h"
#include "stat/sample.h"

static Estimate around(double centre, double half)
{
    return (Estimate){centre, centre - half, centre + half};
}

static double t_half(double variance_of_mean, double df, double confidence)
{
    return variance_of_mean > 0 ? dist_t_quantile((1 + confidence) / 2, df) * sqrt(variance_of_mean)
                                : 0;
}

// Mean and interval of finite values.
static Estimate student(const double *x, size_t n, double confidence)
{
    if (n == 0) {
        return (Estimate){NAN, NAN, NAN};
    }
    double mean = sample_mean(x, n);
    if (n == 1) {
        return (Estimate){mean, -INFINITY, INFINITY};
    }
    return around(mean, t_half(sample_variance(x, n) / (double)n, (double)(n - 1), confidence));
}

enum { ON_STACK = 256 };

// Room for a copy of n values; on the heap when there are many.
static double *copy_room(double *stack, size_t n)
{
    return n <= ON_STACK ? stack : mem_alloc(n * sizeof(double));
}

Estimate sim_mean(const double *x, size_t n, double confidence)
{
    double stack[ON_STACK];
    double *finite = copy_room(stack, n);
    size_t count = 0, infinite = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(x[i])) {
            finite[count++] = x[i];
        } else if (!isnan(x[i])) {
            infinite++;
        }
    }
    Estimate result = student(finite, count, confidence);
    if (infinite > 0 && count == 0) {
        result = (Estimate){INFINITY, INFINITY, INFINITY};
    } else if (infinite > 0) {
        sample_sort(finite, count);
        size_t middle = (count + infinite) / 2;
        result.value = middle < count ? finite[middle] : INFINITY;
        result.low = fmin(isfinite(result.low) ? result.low : finite[0], result.value);
        result.high = INFINITY;
    }
    if (finite != stack) {
        free(finite);
    }
    return result;
}

Estimate sim_controlled_mean(const double *x, const double *control, size_t n, double confidence,
                             double *ret_factor)
{
    *ret_factor = 1;
    bool finite = n >= 4;
    for (size_t i = 0; i < n; i++) {
        finite = finite && isfinite(x[i]) && isfinite(control[i]);
    }
    if (!finite) {
        return sim_mean(x, n, confidence);
    }
    double mx = sample_mean(x, n), mc = sample_mean(control, n);
    double sxx = 0, sxc = 0, scc = 0;
    for (size_t i = 0; i < n; i++) {
        sxx += (x[i] - mx) * (x[i] - mx);
        sxc += (x[i] - mx) * (control[i] - mc);
        scc += (control[i] - mc) * (control[i] - mc);
    }
    if (scc <= 0 || sxx <= 0) {
        return sim_mean(x, n, confidence);
    }
    double beta = sxc / scc, count = (double)n;
    double residual = fmax(sxx - beta * sxc, 0) / (count - 2);
    double variance = residual * (1 / count + mc * mc / scc);
    *ret_factor = sxx / (count - 1) / count / fmax(variance, sxx * 1e-18);
    return around(mx - beta * mc, t_half(variance, count - 2, confidence));
}

// ---- one run

// Von Neumann's ratio: sum of squared successive differences over sum of squares. 2 in the mean of
// independent normal values, with variance 4 (n - 2) / (n^2 - 1) (about); less where neighbours are
// alike.
static bool is_correlated(const double *x, size_t n)
{
    double mean = sample_mean(x, n), squares = 0, steps = 0;
    for (size_t i = 0; i < n; i++) {
        squares += (x[i] - mean) * (x[i] - mean);
        steps += i > 0 ? (x[i] - x[i - 1]) * (x[i] - x[i - 1]) : 0;
    }
    double count = (double)n;
    double deviation = sqrt(4 * (count - 2) / (count * count - 1));
    return squares > 0 && steps / squares < 2 - 1.645 * deviation;
}

enum { BATCHES_LEAST = 5 };

Estimate sim_batch_mean(const double *x, size_t n, double centre, double confidence)
{
    double stack[ON_STACK];
    double *batch = copy_room(stack, n);
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        batch[i] = x[i];
        finite = finite && isfinite(x[i]);
    }
    Estimate result;
    if (!finite) {
        result = sim_mean(x, n, confidence);
    } else {
        while (n / 2 >= BATCHES_LEAST && is_correlated(batch, n)) {
            n /= 2;
            for (size_t i = 0; i < n; i++) {
                batch[i] = (batch[2 * i] + batch[2 * i + 1]) / 2;
            }
        }
        result = student(batch, n, confidence);
    }
    if (!isnan(centre) && isfinite(centre) && isfinite(result.value)) {
        double shift = centre - result.value;
        result = (Estimate){centre, result.low + shift, result.high + shift};
    }
    if (batch != stack) {
        free(batch);
    }
    return result;
}

enum { MSER_BATCH = 5 };

size_t sim_truncation(const double *x, size_t n)
{
    size_t batches = n / MSER_BATCH, best = 0;
    double sum = 0, squares = 0, least = INFINITY;
    if (batches < 4) {
        return 0;
    }
    // From the back: sums over what is left grow by one batch at a time.
    for (size_t i = batches; i-- > 0;) {
        double mean = sample_mean(x + i * MSER_BATCH, MSER_BATCH);
        sum += mean;
        squares += mean * mean;
        double left = (double)(batches - i);
        double score = (squares - sum * sum / left) / (left * left);
        if (i <= batches / 2 && score <= least) {
            least = score;
            best = i;
        }
    }
    return best == batches / 2 ? n : best * MSER_BATCH;
}
