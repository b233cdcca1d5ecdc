// Fork and join: a request goes to several stations at once and is done when all of them are, or
// the first k of them.
//
// Branches that get the same arrivals are not independent: their waits are associated, so the time
// of all as if they were independent is an upper bound of the mean, and close to it (Nelson and
// Tantawi, "Approximate analysis of fork/join synchronization in parallel queues", IEEE Trans.
// Computers 37, 1988). For M/M/1 branches that are alike there are better formulas.
//
//     const Station *branches[] = {&fuzzer, &analysis};
//     ForkJoin join = {.branches = branches, .count = 2, .first = 2};
//     double p99_s = fork_join_quantile(&join, 0.99);
//
// Pure; any thread.
#ifndef MODEL_FORK_JOIN_H
#define MODEL_FORK_JOIN_H

#include "model/queueing.h"

enum { FORK_BRANCHES_MAX = 256, FORK_ALIKE_MAX = 32 };

typedef struct ForkJoin {
    const Station *const *branches; // each with a distribution
    uint32_t count;                 // 1 .. FORK_BRANCHES_MAX
    uint32_t first;                 // done when so many are: count for all, 1 for any
} ForkJoin;

// P(time > t), t >= 0; the smallest t with P(time <= t) >= p, 0 < p < 1; and the mean. NAN where a
// branch has no distribution or the numbers are out of range. Cost: a tail of each branch, times 50
// for a quantile and times some hundreds for the mean.
double fork_join_tail(const ForkJoin *join, double t);
double fork_join_quantile(const ForkJoin *join, double p);
double fork_join_mean(const ForkJoin *join);

// Mean time of `branches` M/M/1 stations alike, all of which each request visits: rate and
// service_s of the load. Exact for two (Flatto and Hahn 1984: (12 - rho) / 8 times that of one),
// Nelson and Tantawi's formula up to FORK_ALIKE_MAX (errors below 5 % by their simulations).
// ERR_ARG, ERR_UNSTABLE.
MUST_USE int fork_join_alike(const StationLoad *load, uint32_t branches, double *ret_response_s,
                             Err *e);

#endif
