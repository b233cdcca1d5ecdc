// Random numbers from a counter: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel Random
// Numbers: As Easy as 1, 2, 3", SC 2011). A stream is named by (seed, name, index) and any number
// of streams may be opened without agreeing on anything: equal names give equal numbers, different
// ones independent numbers. That is what makes a run with equal seed and plan identical whatever
// threads do, and what gives two simulated policies the same arrivals.
//
//     Rng r = rng_stream(plan->seed, SLICE("think-time"), vu_id);
//     double pause_s = rng_exponential(&r, 2.0);
//
// A value type of 48 bytes: copying it forks the sequence. Not for secrets.
// The integers and rng_double are the same on every machine; the distributions go through libm,
// whose last bit may differ between C libraries.
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include "base/slice.h"

typedef struct Rng {
    uint32_t key[2];
    uint32_t counter[4]; // [0..1] block number, [2..3] index of the stream
    uint32_t block[4];
    uint32_t used; // words of `block` handed out; 4: empty
} Rng;

Rng rng_stream(uint64_t seed, Slice name, uint64_t index);

uint64_t rng_u64(Rng *r);
// Uniform in [0, 1), a multiple of 2^-53.
double rng_double(Rng *r);
// Uniform in [0, n), without bias (Lemire, "Fast Random Integer Generation in an Interval", 2019).
// `n` > 0.
uint64_t rng_below(Rng *r, uint64_t n);
// Uniform in [low, high], both included; low <= high.
int64_t rng_between(Rng *r, int64_t low, int64_t high);

double rng_exponential(Rng *r, double mean);
double rng_normal(Rng *r, double mean, double deviation);
// exp of a normal: `mu` and `sigma` are those of the logarithm.
double rng_lognormal(Rng *r, double mu, double sigma);
// Values from `scale` upwards, P(X > x) = (scale / x)^shape.
double rng_pareto(Rng *r, double shape, double scale);

// Fisher-Yates over `count` items of `item_bytes` each, at most 256 bytes.
void rng_shuffle(Rng *r, void *items, size_t count, size_t item_bytes);

// The block function itself, for tests and for numbers addressed directly.
void rng_philox4x32_10(const uint32_t counter[4], const uint32_t key[2], uint32_t ret_block[4]);

#endif
