// What the files of model/sim share.
#ifndef MODEL_SIM_IMPL_H
#define MODEL_SIM_IMPL_H

#include "model/sim.h"
#include "policy/virtual.h"
#include "stat/hist.h"

// ---- sim_control.c: the formula as control variate

// A station of exponential servers in the place of the busiest agent, met by the same arrivals and
// the same luck; its mean time is known exactly.
typedef struct SimTwin {
    bool usable;
    uint32_t agent;
    double exact_s;
    bool *joins; // by client: does it call the twin?
} SimTwin;
// `from_ns`: when it must be steady.
void sim_twin_plan(Arena *arena, const System *sys, int64_t from_ns, SimTwin *ret_twin);
// Mean time of the requests offered in [from, to), less the exact one; NAN without any.
double sim_twin_run(const SimTwin *twin, const System *sys, uint64_t seed, int64_t from_ns,
                    int64_t to_ns);

// ---- sim_run.c: one replication

// What all replications have in common; read-only while they run.
typedef struct SimPlan {
    const System *sys;
    SimOptions o; // with the defaults filled in
    int64_t grace_ns, window_ns;
    uint32_t windows, sections;
    int64_t *within_ns; // by client; INT64_MAX: any time is good
    double *expected;   // by client: requests offered while it is measured; 0: not known
    int64_t trouble_ns; // when the last spike or fault ends; -1: none
    SimTwin twin;
} SimPlan;

// Where the replication puts what it found; made before it runs, because arenas belong to one
// thread.
typedef struct SimSlot {
    SimRun run;
    Outcome *outcome;   // run.outcome
    Outcome **sections; // plan->sections of them; one: the outcome itself
} SimSlot;

int sim_plan(Arena *arena, const System *sys, const SimOptions *options, SimPlan *ret_plan, Err *e);
void sim_slot_init(Arena *arena, const SimPlan *plan, uint32_t replication, SimSlot *slot);
// From any thread.
void sim_replicate(const SimPlan *plan, SimSlot *slot);

// ---- sim.c

typedef void SimTask(void *context, uint32_t index);
// Calls run(context, 0 .. count - 1) on so many threads, progress on this one.
MUST_USE int sim_parallel(uint32_t threads, uint32_t count, SimTask *run, void *context,
                          const SimOptions *report, Err *e);
// All runs of a plan into one outcome.
void sim_merge(Arena *arena, const SimPlan *plan, SimSlot *slots, uint32_t count,
               SimResult *result);

#endif
