// Bounds: what is certain about a System, in about a microsecond. For throwing away what cannot
// work before anybody computes, let alone simulates, what it does.
//
//     Bounds *b;
//     rc = bounds_create(sys, &b, e);                       // once: what no policy changes
//     BoundsFacts facts = bounds_solve(b, candidate, outcome);
//     if (facts.utilisation >= 1 || outcome_gap(outcome, candidate).low > 0) { ... cannot work }
//     bounds_destroy(b);
//
// What is said, and why it is certain:
//   utilisation  each agent's work if every request ended well at the first attempt. At 1 or more
//                not all requests can end well, whatever the policies are.
//   amplified    its work if every attempt failed after full work, with every retry and hedge that
//                the policies allow. Below 1 no overload can last, whatever caused it.
//   p50, p99     `low`: nobody waits, attempts of a call are independent and all begin at once.
//                INFINITY where even so too few attempts end within their timeouts.
//   goodput      `high`: from the same, and from each client's own load alone.
//   p99.high     where no overload can last: network calculus with numbers of traffic
//                (model/network_bounds.h) and every attempt that the policies allow. It errs
//                towards the slow side; it is the one figure here that is not certain. INFINITY
//                elsewhere.
// Values are NAN: bounds do not estimate. Independence is that of the model, not of a real system.
//
// One thread a Bounds. Times are seconds.
#ifndef MODEL_BOUNDS_H
#define MODEL_BOUNDS_H

#include "model/outcome.h"

typedef struct Bounds Bounds;

typedef struct BoundsFacts {
    double utilisation; // of the busiest agent, least
    uint32_t busiest;   // UINT32_MAX: none is limited
    double amplified;   // of the one that suffers most, largest
    uint32_t amplified_at;
    bool feasible; // utilisation < 1
    bool safe;     // amplified < 1: stable for certain, and back after every overload
} BoundsFacts;

// ERR_LIMIT for a system too large.
MUST_USE int bounds_create(const System *sys, Bounds **ret_bounds, Err *e);
void bounds_destroy(Bounds *b); // NULL is fine

// `sys`: the System that `b` was made for, or a copy with other parameters. `outcome`: from
// outcome_create; its `reason` lives until the next solve.
BoundsFacts bounds_solve(Bounds *b, const System *sys, Outcome *outcome);

#endif
