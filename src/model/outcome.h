// Outcome: what a System does: for every client, edge and agent an estimate with its interval.
// Bounds, formulas, the simulator, learned models and measurements all answer with one, so they can
// be compared, and a prediction can be held against what was observed.
//
// Times are seconds, rates are per second, shares are 0..1. A quantile counts failed requests as
// infinitely slow, so it may be INFINITY: then more requests failed than the quantile leaves out.
#ifndef MODEL_OUTCOME_H
#define MODEL_OUTCOME_H

#include "model/system.h"

// `value` NAN: this fidelity does not answer it. low <= value <= high.
typedef struct Estimate {
    double value, low, high;
} Estimate;

typedef enum Fidelity {
    FIDELITY_BOUNDS,     // holds for certain, often wide
    FIDELITY_FORMULA,    // queueing theory: steady state
    FIDELITY_SIMULATION, // the policy code itself in virtual time
    FIDELITY_LEARNED,    // from observations
    FIDELITY_HYBRID,     // formula and learned residual
    FIDELITY_MEASURED,
    FIDELITIES
} Fidelity;
extern const char *const FIDELITY_NAMES[FIDELITIES + 1]; // ends with NULL

typedef struct ClientOutcome {
    Estimate offered; // requests a second
    Estimate goodput; // share of offered that ended well, within the objective's time
    Estimate errors;  // share of offered that failed
    Estimate mean, p50, p99;
    Estimate recovery; // seconds from the end of the last spike until good again; INFINITY: never
} ClientOutcome;

typedef struct EdgeOutcome {
    Estimate calls, attempts, retries, hedges, timeouts; // a second
} EdgeOutcome;

typedef struct AgentOutcome {
    Estimate arrivals;    // requests a second
    Estimate utilisation; // of its servers; of an agent without a limit: servers busy
    Estimate waiting;     // requests, mean
    Estimate servers;     // mean; more than configured when it scales
    Estimate wasted;      // share of its work that nobody waited for
} AgentOutcome;

typedef struct Outcome {
    Fidelity fidelity;
    double confidence; // of every interval, e.g. 0.9
    int64_t took_ns;   // of the clock
    bool stable;       // false: `reason` says what overflows and what would make it stable
    Slice reason;
    ClientOutcome *clients; // as many as the System has, as the following
    EdgeOutcome *edges;
    AgentOutcome *agents;
} Outcome;

// All NAN.
Outcome *outcome_create(Arena *arena, const System *sys);
// Infinite values are written as the string "infinite", those not answered are left out.
// {"fidelity": ..., "clients": {"tasks": {"p99": {"value": 1.8, "low": ..., "high": ...}, ...}}}
void outcome_write(const Outcome *outcome, const System *sys, JsonWriter *w);

// How far an outcome is from the objectives of the system: 0 all are met, else the sum of relative
// excesses ((p99 - promised) / promised, ...), each at most OUTCOME_EXCESS_MAX, so that what misses
// one promise hopelessly is still ranked by the others. With `low`/`high` of the intervals: the
// most favourable and the least. A promised measure that the outcome does not answer adds nothing
// to `value` and `low` and the most to `high`; in an unstable outcome it adds the most to all.
#define OUTCOME_EXCESS_MAX 10.0
typedef struct ObjectiveGap {
    double value, low, high;
} ObjectiveGap;
ObjectiveGap outcome_gap(const Outcome *outcome, const System *sys);

// The same of one objective's promises, for one client's outcome.
ObjectiveGap outcome_objective_gap(const ClientOutcome *client, const SystemObjective *o,
                                   bool stable);

#endif
