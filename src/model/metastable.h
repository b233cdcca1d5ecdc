// Does a single station whose clients retry come back after a spike, and how long does it take?
//
// The station is a Markov chain on (waiting and in service, clients that will retry): the
// abstraction of Alvaro, Isaacs, Majumdar, Muniswamy-Reddy, Salamati, Soudjani, "Formal Analysis of
// Metastable Failures in Software Systems", arXiv 2510.03551, whose program metafor the test holds
// it to. A request that finds n others ahead is late with the probability that they and it take
// longer than the timeout; it is served nevertheless (nobody cancels it), and its client enters the
// orbit, from which it retries or gives up. docs/internals/metastability.md has the rates.
//
//     RetryStation s = {.arrival_rate = 9.5, .service_rate = 10, .servers = 1, .timeout_s = 3,
//                       .retries = 4, .queue_max = 99, .orbit_max = 19};
//     Metastable m;
//     rc = metastable_analyse(&s, &m, e);
//     if (!m.comes_back) { ... m.recovery_s ... }
//
// One station of 2,000 states costs a few milliseconds: cheap enough to ask of a candidate, too
// dear to ask of a thousand. A system of stations needs the simulator.
#ifndef MODEL_METASTABLE_H
#define MODEL_METASTABLE_H

#include <stdbool.h>

#include "base/err.h"

enum { METASTABLE_QUEUE_MAX = 4000, METASTABLE_ORBIT_MAX = 400 };
// Times beyond this are this: no double, and no system, lasts much longer.
#define METASTABLE_FOREVER_S 1e300

typedef struct RetryStation {
    double arrival_rate; // of new requests, a second
    double service_rate; // of one server, a second
    int servers;
    double timeout_s;
    double retries; // at most, after the first attempt; not necessarily whole, 0 for none
    int queue_max;  // requests that the station holds, those in service too; > servers
    int orbit_max;  // clients at most between two attempts; more are as good as given up
    // Share of late or rejected first attempts whose client retries at all: 1, or less where a
    // share is fitted to measurements (metafor uses 0.25). 0 counts as 1.
    double retry_share;
    // metafor's own rates, for comparison with its figures only: lateness by Chebyshev's inequality
    // for the requests ahead, late arrivals counted once with and once without their client in the
    // orbit, and clients that meet a full queue give up.
    bool as_metafor;
    // The recovery that is still accepted. 0: ten times what the same station would take to drain
    // a full queue if nobody retried, which is what the trigger alone explains.
    double recovery_max_s;
} RetryStation;

typedef struct Metastable {
    // In the long run.
    double queue_mean, orbit_mean;
    double full_share;   // of time with a full queue
    double empty_share;  // of time with an empty station
    double throughput;   // requests served a second, late ones too
    double goodput;      // requests served in time, a second
    double give_up_rate; // clients that leave the orbit unserved, a second
    double bad_share;    // of time in the bad region

    // Good is a queue of at most 10 % of queue_max, bad of at least 90 % (metafor's regions).
    double collapse_s; // mean, from empty until bad
    double recovery_s; // mean, from everything full until good: the spike is over, and then?
    double recovery_deviation_s;
    double drain_s;         // mean of the same without retries: how long a spike lasts by itself
    double collapse_chance; // from a half-full queue: bad before good

    // How fast the station forgets (ctmc_gap): its slow and its next rate, and the time after which
    // 99 % of the memory of the start is gone.
    double slow_rate, next_rate; // a second, >= 0
    double mixing_s;
    bool gap_converged;

    // The station can serve what arrives, and recovery_s is at most what is accepted.
    bool comes_back;
    double recovery_max_s;
} Metastable;

// ERR_ARG for numbers out of range, with the name of the field; ERR_LIMIT where queue_max times
// orbit_max squared is too large (ctmc.h).
MUST_USE int metastable_analyse(const RetryStation *s, Metastable *ret, Err *e);

// Mean queue and orbit, in that order, `seconds` after the station was empty.
MUST_USE int metastable_after(const RetryStation *s, double seconds, double ret[2], Err *e);

// Probability that a request that finds `ahead` others is late; for tests and the documentation.
double metastable_late(const RetryStation *s, int ahead);

#endif
