#include "model/fork_join.h"

#include <math.h>

#include "model/special.h"

static bool bad(const ForkJoin *join)
{
    return join->count < 1 || join->count > FORK_BRANCHES_MAX || join->first < 1 ||
           join->first > join->count;
}

double fork_join_tail(const ForkJoin *join, double t)
{
    if (bad(join) || !(t >= 0)) {
        return NAN;
    }
    if (join->first == join->count) {
        // All done: the small tails would vanish in 1 - Product (1 - tail), so through logarithms.
        double log_done = 0;
        for (uint32_t i = 0; i < join->count; i++) {
            log_done += log1p(-station_tail(join->branches[i], t));
        }
        return -expm1(log_done);
    }
    // exactly[k]: probability that k of the branches so far are done.
    double exactly[FORK_BRANCHES_MAX + 1] = {1};
    for (uint32_t i = 0; i < join->count; i++) {
        double late = station_tail(join->branches[i], t);
        for (uint32_t k = i + 1; k > 0; k--) {
            exactly[k] = exactly[k] * late + exactly[k - 1] * (1 - late);
        }
        exactly[0] *= late;
    }
    double tail = 0;
    for (uint32_t k = 0; k < join->first; k++) {
        tail += exactly[k];
    }
    return tail;
}

double fork_join_quantile(const ForkJoin *join, double p)
{
    if (bad(join) || !(p > 0 && p < 1) || isnan(fork_join_tail(join, 0))) {
        return NAN;
    }
    double high = join->branches[0]->response_s;
    while (fork_join_tail(join, high) > 1 - p) {
        high *= 2;
    }
    double low = 0;
    for (int i = 0; i < 60 && high - low > 1e-12 * high; i++) {
        double middle = (low + high) / 2;
        if (fork_join_tail(join, middle) > 1 - p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

static double tail_at(const void *context, double t)
{
    return fork_join_tail(context, t);
}

double fork_join_mean(const ForkJoin *join)
{
    double start = fork_join_quantile(join, 0.5);
    if (isnan(start)) {
        return NAN;
    }
    // The area under the tail, in pieces that double: the curve is about as smooth on each.
    double sum = special_integral(tail_at, join, (double[2]){0, start}, 2);
    for (double t = start; fork_join_tail(join, t) * t > 1e-12 * sum; t *= 2) {
        sum += special_integral(tail_at, join, (double[2]){t, 2 * t}, 2);
    }
    return sum;
}

int fork_join_alike(const StationLoad *load, uint32_t branches, double *ret_response_s, Err *e)
{
    if (branches < 1 || branches > FORK_ALIKE_MAX) {
        return err_set(e, ERR_ARG, "1 to %d branches, not %u", FORK_ALIKE_MAX, branches);
    }
    StationLoad one = *load;
    one.servers = 1;
    Station s;
    int rc = station_mmc(&one, &s, e);
    if (rc) {
        return rc;
    }
    if (branches == 1) {
        *ret_response_s = s.response_s;
        return 0;
    }
    double harmonic = 0;
    for (uint32_t i = 1; i <= branches; i++) {
        harmonic += 1.0 / i;
    }
    double ratio = harmonic / 1.5;
    double rho = s.utilisation;
    *ret_response_s = (ratio + 4.0 / 11 * (1 - ratio) * rho) * (12 - rho) / 8 * s.response_s;
    return 0;
}
