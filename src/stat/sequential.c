#include "stat/sequential.h"

#include <math.h>

#include "stat/dist.h"

enum { BISECTIONS = 100 };

// x log p with 0 log 0 = 0.
static double times_log(double x, double log_p)
{
    return x == 0 ? 0 : x * log_p;
}

static bool valid(double k, double n, double around)
{
    return k >= 0 && k <= n && isfinite(n) && around > 0 && around < 1;
}

double sequential_log_evidence(double k, double n, double p, double around)
{
    if (!valid(k, n, around) || !(p >= 0 && p <= 1)) {
        return NAN;
    }
    double a = 0.5;
    double b = 0.5 * (1 - around) / around;
    return dist_log_beta(k + a, n - k + b) - dist_log_beta(a, b) - times_log(k, log(p)) -
           times_log(n - k, log1p(-p));
}

// The evidence falls from either end of 0..1 towards k / n, so each side has one crossing.
static double crossing(double k, double n, double around, double limit, double rejected)
{
    double kept = k / n;
    if (sequential_log_evidence(k, n, rejected, around) < limit) {
        return rejected;
    }
    for (int i = 0; i < BISECTIONS; i++) {
        double middle = kept + (rejected - kept) / 2;
        if (sequential_log_evidence(k, n, middle, around) < limit) {
            kept = middle;
        } else {
            rejected = middle;
        }
    }
    return rejected;
}

Interval sequential_rate_interval(double k, double n, double around, double confidence)
{
    if (!valid(k, n, around) || n == 0) {
        return (Interval){0, 1, confidence};
    }
    double limit = -log1p(-confidence);
    return (Interval){
        crossing(k, n, around, limit, 0),
        crossing(k, n, around, limit, 1),
        confidence,
    };
}
