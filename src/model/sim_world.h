// A System as a world in virtual time (policy/virtual.h): agents are services, edges edges, clients
// clients, with the same numbers; spikes, faults at their times and programs included.
//
//     Virtual *v = sim_world(sys, &(SimWorldOptions){.seed = 7, .hooks = hooks});
//
// Spikes and distributions are borrowed from the System, which has to outlive the world.
#ifndef MODEL_SIM_WORLD_H
#define MODEL_SIM_WORLD_H

#include "model/system.h"
#include "policy/virtual.h"

typedef struct SimWorldOptions {
    uint64_t seed;
    uint32_t open_max; // see VirtualOptions
    int64_t until_ns;  // no client calls later; 0: for ever
    // What every block has room for beside what its policies need, and whether agents get a block
    // that have none but may be given policies: for worlds that are managed while they run.
    PolicyShape room;
    bool movable;
    VirtualHooks hooks;
} SimWorldOptions;

Virtual *sim_world(const System *sys, const SimWorldOptions *options);

#endif
