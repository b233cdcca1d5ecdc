// Randomness without state: a number is a function of (seed, task, purpose, n). Two policies that
// are compared on the same tasks meet the same luck (common random numbers: Law and Kelton,
// "Simulation Modeling and Analysis", ch. 11), whatever else either of them drew; and a copy of a
// policy block goes on exactly as the original does. The function is Philox4x32-10 (base/rng.h).
#ifndef POLICY_CHANCE_H
#define POLICY_CHANCE_H

#include "base/rng.h"

typedef enum ChancePurpose {
    CHANCE_BACKOFF,
    CHANCE_SHED,
    CHANCE_SERVICE,
    CHANCE_FAULT,
    CHANCE_ARRIVAL,
    CHANCE_PROBE,
} ChancePurpose;

// Uniform in [0, 1), a multiple of 2^-53.
static inline double chance(uint64_t seed, uint64_t task, ChancePurpose purpose, uint32_t n)
{
    uint32_t counter[4] = {(uint32_t)task, (uint32_t)(task >> 32), (uint32_t)purpose, n};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t block[4];
    rng_philox4x32_10(counter, key, block);
    return (double)(((uint64_t)block[1] << 32 | block[0]) >> 11) * 0x1p-53;
}

#endif
