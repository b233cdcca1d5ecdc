// The simulated plant: a System in virtual time that goes on while it is managed. The policies in
// it are the code that runs live, so a change does here what it does there, backlog and orphans
// included. The same seed gives the same requests and the same luck whatever management does.
#ifndef MANAGE_PLANT_VIRTUAL_H
#define MANAGE_PLANT_VIRTUAL_H

#include "manage/plant.h"

typedef struct PlantVirtualOptions {
    uint64_t seed;
    double confidence;  // of the windows' intervals; 0: 0.9
    int64_t horizon_ns; // no arrivals after it; 0: for ever
} PlantVirtualOptions;

// What the System says is what the world does; `sys` is copied.
MUST_USE int plant_virtual_create(const System *sys, const PlantVirtualOptions *options,
                                  Plant **ret_plant, Err *e);

// The world drifts: from now on the agent's work takes this long, whatever the plant's System says.
// `work` is borrowed.
void plant_virtual_work(Plant *plant, uint32_t agent, const Dist *work);

#endif
