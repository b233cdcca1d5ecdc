#include "stat/rate.h"

#include <math.h>

#include "stat/dist.h"

static bool valid(double k, double n)
{
    return n > 0 && isfinite(n) && k >= 0 && k <= n;
}

double rate_test(double k, double n, double p0, TestSide side)
{
    if (!valid(k, n)) {
        return NAN;
    }
    double less = dist_binom_at_most(k, n, p0);
    double greater = dist_binom_at_least(k, n, p0);
    switch (side) {
    case TEST_LESS: return less;
    case TEST_GREATER: return greater;
    case TEST_TWO_SIDED: break;
    }
    return fmin(1, 2 * fmin(less, greater));
}

Interval rate_interval_exact(double k, double n, double confidence)
{
    if (!valid(k, n)) {
        return (Interval){NAN, NAN, confidence};
    }
    double tail = (1 - confidence) / 2;
    return (Interval){
        k > 0 ? dist_beta_quantile(tail, k, n - k + 1) : 0,
        k < n ? dist_beta_quantile(1 - tail, k + 1, n - k) : 1,
        confidence,
    };
}

Interval rate_interval_jeffreys(double k, double n, double confidence)
{
    if (!valid(k, n)) {
        return (Interval){NAN, NAN, confidence};
    }
    double tail = (1 - confidence) / 2;
    return (Interval){
        k > 0 ? dist_beta_quantile(tail, k + 0.5, n - k + 0.5) : 0,
        k < n ? dist_beta_quantile(1 - tail, k + 0.5, n - k + 0.5) : 1,
        confidence,
    };
}
