#include "stat/power.h"

#include <math.h>
#include <stdbool.h>

#include "stat/dist.h"

enum { SCAN = 16 };

typedef struct RatePlan {
    double rate;
    double limit;
    double alpha;
    double power;
} RatePlan;

// Is the claim made at level alpha when n requests show the critical count c? Breach: c or more are
// too many for the limit. Compliance: c or fewer are too few for it.
static bool level_holds(const RatePlan *p, uint64_t c, uint64_t n)
{
    double tail = p->rate > p->limit ? dist_binom_at_least((double)c, (double)n, p->limit)
                                     : dist_binom_at_most((double)c, (double)n, p->limit);
    return tail <= p->alpha;
}

// And does a truth of p->rate lead there often enough?
static bool power_holds(const RatePlan *p, uint64_t c, uint64_t n)
{
    double chance = p->rate > p->limit ? dist_binom_at_least((double)c, (double)n, p->rate)
                                       : dist_binom_at_most((double)c, (double)n, p->rate);
    return chance >= p->power;
}

typedef bool Holds(const RatePlan *p, uint64_t c, uint64_t n);

// The smallest n from c on with holds(n) == wanted; it flips once as n grows.
static uint64_t first_n(const RatePlan *p, Holds *holds, bool wanted, uint64_t c)
{
    uint64_t low = c > 0 ? c - 1 : 0;
    uint64_t high = c + 1;
    while (high < POWER_REQUESTS_MAX && holds(p, c, high) != wanted) {
        low = high;
        high *= 2;
    }
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (holds(p, c, middle) == wanted) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return high;
}

// For one critical count the test works for n in [first, last]: more requests help one of its two
// conditions and hurt the other.
static uint64_t range_first(const RatePlan *p, uint64_t c)
{
    return first_n(p, p->rate > p->limit ? power_holds : level_holds, true, c);
}

static uint64_t range_last(const RatePlan *p, uint64_t c)
{
    return first_n(p, p->rate > p->limit ? level_holds : power_holds, false, c) - 1;
}

// No n is left out between this critical count's range and the next one's.
static bool joins_next(const RatePlan *p, uint64_t c)
{
    return range_last(p, c) + 1 >= range_first(p, c + 1);
}

uint64_t power_rate_requests(double rate, double limit, double alpha, double power)
{
    bool valid = rate > 0 && rate < 1 && limit > 0 && limit < 1 && alpha > 0 && alpha < 1 &&
                 power > 0 && power < 1;
    if (!valid) {
        return 0;
    }
    RatePlan p = {rate, limit, alpha, power};
    // The normal approximation rules out what would be searched for in vain.
    double z = dist_normal_quantile(1 - alpha) * sqrt(limit * (1 - limit)) +
               dist_normal_quantile(power) * sqrt(rate * (1 - rate));
    double about = z / (rate - limit) * (z / (rate - limit));
    if (!(about < (double)POWER_REQUESTS_MAX / 4)) {
        return POWER_REQUESTS_MAX;
    }
    // Ranges widen with the critical count, so "joins" flips once, give or take a step near the
    // flip.
    uint64_t low = 0;
    uint64_t high = 1;
    while (!joins_next(&p, high)) {
        low = high;
        high *= 2;
    }
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (joins_next(&p, middle)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    uint64_t joined = high;
    for (uint64_t c = high; c < high + SCAN; c++) {
        joined = joins_next(&p, c) ? joined : c + 1;
    }
    return range_first(&p, joined);
}

// Density of sqrt(chi-squared / df) at u > 0.
static double scale_density(double u, double df)
{
    double log_density =
        M_LN2 + df / 2 * log(df / 2) - lgamma(df / 2) + (df - 1) * log(u) - df * u * u / 2;
    return exp(log_density);
}

// P(T > t) for noncentral t: the normal tail averaged over the scale, by Simpson's rule over twelve
// standard deviations of it.
static double noncentral_t_above(double t, double df, double shift)
{
    enum { STEPS = 400 };
    double reach = 12 / sqrt(2 * df);
    double from = fmax(1e-12, 1 - reach);
    double step = (1 + reach - from) / STEPS;
    double sum = 0;
    for (int i = 0; i <= STEPS; i++) {
        double u = from + i * step;
        double weight = i == 0 || i == STEPS ? 1 : i % 2 == 1 ? 4 : 2;
        sum += weight * dist_normal_cdf(shift - t * u) * scale_density(u, df);
    }
    return sum * step / 3;
}

double power_two_sample(double n, double delta, double sd, double alpha)
{
    if (!(n >= 2 && delta > 0 && sd > 0 && alpha > 0 && alpha < 1)) {
        return NAN;
    }
    double df = 2 * n - 2;
    double critical = dist_t_quantile(1 - alpha / 2, df);
    return noncentral_t_above(critical, df, sqrt(n / 2) * delta / sd);
}

uint64_t power_runs(double delta, double sd, double alpha, double power)
{
    if (!(delta > 0 && sd > 0 && alpha > 0 && alpha < 1 && power > 0 && power < 1)) {
        return 0;
    }
    uint64_t low = 1;
    uint64_t high = 2;
    while (high < POWER_RUNS_MAX && power_two_sample((double)high, delta, sd, alpha) < power) {
        low = high;
        high *= 2;
    }
    while (high < POWER_RUNS_MAX && high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (power_two_sample((double)middle, delta, sd, alpha) < power) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high < POWER_RUNS_MAX ? high : POWER_RUNS_MAX;
}
