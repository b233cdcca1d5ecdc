// Observed: what a System was seen to do, kept in the ledger, so that models can be fitted on it.
// Runs and simulations leave one row each; a managed system one for each window in which nobody
// changed a policy.
//
//     rc = observed_store(ledger, sys, outcome, OBSERVED_RUNS, SLICE("simulation:seed=3"), at, e);
//     ...
//     rc = observed_load(dataset, ledger, sys, OBSERVED_RUNS, e);
//     rc = interface_fit(sys, dataset, 0, &fit, e);
//
// Rows belong together when nothing differs but what the rows say: the load of the clients and the
// policies that have a range. Hence a set is named "pipeline@9f86d081884c7d65" by a hash of
// everything else: with other service times, other faults or another timeout that nobody may plan
// with, it is another system, and a fit that mixed the two would learn from what it cannot see.
//
// Windows have a set of their own, "pipeline@9f86d081884c7d65/windows": a p99 of ten seconds is not
// the p99 of a steady state, and models of the one do not answer for the other. Their load is what
// came in, not what the System says that comes on average.
#ifndef MODEL_OBSERVED_H
#define MODEL_OBSERVED_H

#include "ledger/sha256.h"
#include "model/learned_system.h"

enum { OBSERVED_SYSTEM_MAX = 16 << 20 }; // bytes of a System's document

typedef enum ObservedKind { OBSERVED_RUNS, OBSERVED_WINDOWS } ObservedKind;

// The name of the set, in `arena`. ERR_LIMIT past OBSERVED_SYSTEM_MAX.
MUST_USE int observed_set(Arena *arena, const System *sys, ObservedKind kind, Slice *ret_set,
                          Err *e);
// Appends a row. What dataset_add_outcome and observation_append refuse.
MUST_USE int observed_store(Ledger *ledger, const System *sys, const Outcome *outcome,
                            ObservedKind kind, Slice source, int64_t at_unix_ns, Err *e);
// Appends the rows of that System to `d`; none is no error.
MUST_USE int observed_load(Dataset *d, Ledger *ledger, const System *sys, ObservedKind kind,
                           Err *e);

// Equal for equal values of all policies that have a range: a window counts only when they were
// the same from its beginning to its end.
Sha256 observed_policies(const System *sys);

#endif
