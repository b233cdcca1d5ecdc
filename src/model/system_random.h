// Random Systems for property tests and for experiments that need many of them: valid, loaded below
// saturation, and drawn from everything a document can say.
#ifndef MODEL_SYSTEM_RANDOM_H
#define MODEL_SYSTEM_RANDOM_H

#include "model/system.h"

typedef struct SystemRandomOptions {
    uint32_t agents;  // most of them; 0: 8
    double busiest;   // utilisation of the busiest agent when nothing fails; 0: drawn from .3 .. .9
    bool plain;       // no policies, no faults, no spikes: what formulas know
    bool exponential; // work is exponential, what exact formulas know
} SystemRandomOptions;

// Equal seeds and options give equal Systems. `options` may be NULL.
System *system_random(Arena *arena, uint64_t seed, const SystemRandomOptions *options);

#endif
