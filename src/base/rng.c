#include "base/rng.h"

#include <assert.h>
#include <math.h>

enum { ROUNDS = 10, SHUFFLE_ITEM_MAX = 256 };

void rng_philox4x32_10(const uint32_t counter[4], const uint32_t key[2], uint32_t ret_block[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; // golden ratio
        k1 += 0xBB67AE85u; // sqrt(3) - 1
    }
    ret_block[0] = c0;
    ret_block[1] = c1;
    ret_block[2] = c2;
    ret_block[3] = c3;
}

// Finalizer of SplitMix64 (Steele, Lea, Flood 2014).
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

// Seed and name choose the key; the index is half of the counter, so streams of one name can never
// overlap, and those of different names only if two 64-bit keys collide.
Rng rng_stream(uint64_t seed, Slice name, uint64_t index)
{
    uint64_t key = mix(mix(seed) ^ slice_hash(name));
    return (Rng){
        .key = {(uint32_t)key, (uint32_t)(key >> 32)},
        .counter = {0, 0, (uint32_t)index, (uint32_t)(index >> 32)},
        .used = 4,
    };
}

uint64_t rng_u64(Rng *r)
{
    if (r->used == 4) {
        rng_philox4x32_10(r->counter, r->key, r->block);
        r->counter[0]++;
        r->counter[1] += r->counter[0] == 0;
        r->used = 0;
    }
    uint64_t value = (uint64_t)r->block[r->used + 1] << 32 | r->block[r->used];
    r->used += 2;
    return value;
}

double rng_double(Rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

uint64_t rng_below(Rng *r, uint64_t n)
{
    assert(n > 0);
    unsigned __int128 product = (unsigned __int128)rng_u64(r) * n;
    if ((uint64_t)product < n) {
        uint64_t unfair = -n % n;
        while ((uint64_t)product < unfair) {
            product = (unsigned __int128)rng_u64(r) * n;
        }
    }
    return (uint64_t)(product >> 64);
}

int64_t rng_between(Rng *r, int64_t low, int64_t high)
{
    assert(low <= high);
    uint64_t span = (uint64_t)high - (uint64_t)low + 1; // 0: all 2^64 values
    uint64_t offset = span ? rng_below(r, span) : rng_u64(r);
    return (int64_t)((uint64_t)low + offset);
}

// In (0, 1], so that its logarithm is finite.
static double positive_double(Rng *r)
{
    return 1.0 - rng_double(r);
}

double rng_exponential(Rng *r, double mean)
{
    return -mean * log(positive_double(r));
}

// Box-Muller takes exactly two numbers a value and keeps no state, unlike the polar and ziggurat
// methods, so a stream's n-th value does not depend on the values before it.
double rng_normal(Rng *r, double mean, double deviation)
{
    double radius = sqrt(-2.0 * log(positive_double(r)));
    return mean + deviation * radius * cos(2.0 * M_PI * rng_double(r));
}

double rng_lognormal(Rng *r, double mu, double sigma)
{
    return exp(rng_normal(r, mu, sigma));
}

double rng_pareto(Rng *r, double shape, double scale)
{
    return scale * pow(positive_double(r), -1.0 / shape);
}

void rng_shuffle(Rng *r, void *items, size_t count, size_t item_bytes)
{
    assert(item_bytes <= SHUFFLE_ITEM_MAX);
    char spare[SHUFFLE_ITEM_MAX];
    char *base = items;
    for (size_t i = count; i > 1; i--) {
        char *a = base + (i - 1) * item_bytes;
        char *b = base + rng_below(r, i) * item_bytes;
        memcpy(spare, a, item_bytes);
        memmove(a, b, item_bytes);
        memcpy(b, spare, item_bytes);
    }
}
