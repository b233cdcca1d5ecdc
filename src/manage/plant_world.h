// A System as a world in virtual time: agents are services, edges edges, clients clients, with the
// same numbers. What a policy may become while it runs has its room from the beginning.
#ifndef MANAGE_PLANT_WORLD_H
#define MANAGE_PLANT_WORLD_H

#include "model/system.h"
#include "policy/virtual.h"

typedef struct PlantWorldOptions {
    uint64_t seed;
    int64_t horizon_ns; // no arrivals after it; 0: for ever
    VirtualHooks hooks;
} PlantWorldOptions;

// Spikes are borrowed from the System, other arrays from the arena.
Virtual *plant_world_create(Arena *arena, const System *sys, const PlantWorldOptions *options);

#endif
