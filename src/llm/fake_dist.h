// FakeDist: a distribution of waiting times or lengths, as a person writes it.
//
//     50ms                        always this
//     uniform:10ms,50ms           evenly between two
//     lognormal:200ms,1s          by its median and its 95th percentile
//     empirical:80ms,90ms,2s      one of these, each as likely as the others
//     empirical:@latencies.txt    the same, from a file with one value a line
//
// Lengths are whole numbers in the same places.
#ifndef LLM_FAKE_DIST_H
#define LLM_FAKE_DIST_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"

typedef enum FakeDistKind {
    FAKE_DIST_FIXED,
    FAKE_DIST_UNIFORM,
    FAKE_DIST_LOGNORMAL,
    FAKE_DIST_EMPIRICAL,
} FakeDistKind;

// A small value; `values` live in the arena it was read into.
typedef struct FakeDist {
    FakeDistKind kind;
    bool durations;        // nanoseconds; false: plain numbers
    int64_t a, b;          // fixed: a; uniform: a..b; lognormal: median and 95th percentile
    const int64_t *values; // empirical
    size_t count;
} FakeDist;

enum { FAKE_DIST_VALUES_MAX = 100000 };

// `files`: whether "@" may name a file, which somebody on the network must not do. ERR_ARG,
// ERR_LIMIT past FAKE_DIST_VALUES_MAX, or what reading the file said.
MUST_USE int fake_dist_parse(Arena *arena, Slice text, bool durations, bool files,
                             FakeDist *ret_dist, Err *e);
static inline FakeDist fake_dist_fixed(int64_t value, bool durations)
{
    return (FakeDist){.kind = FAKE_DIST_FIXED, .durations = durations, .a = value};
}
static inline bool fake_dist_is_zero(const FakeDist *d)
{
    return d->kind == FAKE_DIST_FIXED && d->a == 0;
}
// Never negative.
int64_t fake_dist_sample(const FakeDist *d, Rng *rng);
// As fake_dist_parse reads it; many values are cut to their number.
void fake_dist_print(const FakeDist *d, Buf *out);

#endif
