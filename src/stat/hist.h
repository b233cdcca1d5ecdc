// Hist: a log-linear histogram of int64 values with one fixed bucket layout.
//
// Every histogram in the program has the same buckets, so any two can be added, across threads,
// seconds, runs and machines, and a stored one can be read by any later version.
//
//     Hist h;
//     hist_init(&h);
//     hist_record(&h, latency_ns);          // a failed request: hist_record_infinite(&h, 1)
//     printf("p99 %.0f\n", hist_quantile(&h, 0.99));
//     hist_done(&h);
//
// Layout (version 1). Values 0..127 have a bucket each; every octave above, [2^k, 2^(k+1)) with
// k >= 7, is cut into 128 equal buckets. Negative values mirror this through ~v, which maps -1 to
// 0 and INT64_MIN to INT64_MAX, so all 2^64 values have a bucket. A bucket stands for its midpoint:
// |midpoint - v| <= 2^(k-8) for every v >= 2^k in it, a relative error of at most 2^-8 = 0.39 %.
// Values from -256 to 255 are exact. docs/internals/histogram.md has the proof and the costs.
//
// Memory: sizeof(Hist), just under 1 KiB, plus 1 KiB for each octave once a value falls into it.
// Latencies from 30 us to 30 s in nanoseconds span 20 octaves. Nothing is freed before hist_done.
//
// Count, minimum, maximum and sum are exact (the sum has 128 bits); everything else comes from the
// buckets. "Infinite" is a count of its own for what never finished: it is part of no bucket,
// minimum, maximum, sum or mean, and only the functions with `_all` in their name see it.
//
// Threads: none. A thread records into its own histogram; the reader merges copies.
#ifndef STAT_HIST_H
#define STAT_HIST_H

#include "base/buf.h"

enum {
    HIST_VERSION = 1,
    HIST_SUB_BITS = 7,
    HIST_SUB = 1 << HIST_SUB_BITS,         // buckets an octave
    HIST_OCTAVES = 63 - HIST_SUB_BITS + 1, // octaves of one sign, the exact one included
    HIST_BUCKETS = 2 * HIST_OCTAVES * HIST_SUB,
    HIST_ENCODED_MAX = 128 * 1024 // no encoding is larger, and none that is gets decoded
};

// The decoder refuses larger counts, so that 65,536 decoded histograms merge without overflow.
#define HIST_COUNT_MAX (INT64_C(1) << 47)

typedef __int128 HistSum;

typedef struct Hist {
    uint64_t *octaves[2 * HIST_OCTAVES]; // non-negative first, then negative; NULL until used
    uint64_t count;                      // finite values
    uint64_t infinite;                   // what never finished
    int64_t min;                         // INT64_MAX while count is 0
    int64_t max;                         // INT64_MIN while count is 0
    HistSum sum;
} Hist;

void hist_init(Hist *h);
void hist_done(Hist *h);  // frees; accepts NULL; hist_init makes it usable again
void hist_reset(Hist *h); // empties, keeps the memory

// Adds `n` times the value, allocating its octave if need be. hist_record's slow path.
void hist_record_n(Hist *h, int64_t value, uint64_t n);

static inline void hist_record_infinite(Hist *h, uint64_t n)
{
    h->infinite += n;
}

// Octave (0 .. 2 * HIST_OCTAVES - 1) and bucket inside it (0 .. HIST_SUB - 1) of a value.
static inline unsigned hist_octave(int64_t value, unsigned *ret_sub)
{
    uint64_t magnitude = (uint64_t)(value ^ (value >> 63));
    // The "or" makes every value below HIST_SUB look like HIST_SUB - 1: octave 0.
    unsigned octave = 64u - HIST_SUB_BITS - (unsigned)__builtin_clzll(magnitude | (HIST_SUB - 1));
    unsigned shift = octave - (octave != 0);
    *ret_sub = (unsigned)(magnitude >> shift) & (HIST_SUB - 1);
    return octave + (value < 0 ? HIST_OCTAVES : 0u);
}

// Adds one value. No allocation once its octave is in use; a few nanoseconds.
static inline void hist_record(Hist *h, int64_t value)
{
    unsigned sub;
    uint64_t *counts = h->octaves[hist_octave(value, &sub)];
    if (__builtin_expect(counts == NULL, 0)) {
        hist_record_n(h, value, 1);
        return;
    }
    counts[sub]++;
    h->count++;
    h->sum += value;
    h->min = value < h->min ? value : h->min;
    h->max = value > h->max ? value : h->max;
}

// into += from. `from` may be `into`.
void hist_merge(Hist *into, const Hist *from);

// Equal counts in every bucket, and equal exact parts.
bool hist_equal(const Hist *a, const Hist *b);

// ---- what it says ----

typedef struct HistBucket {
    int64_t low;  // smallest value that falls into it
    int64_t high; // largest value that falls into it
    uint64_t count;
} HistBucket;

// Number of values, the infinite ones included.
static inline uint64_t hist_count_all(const Hist *h)
{
    return h->count + h->infinite;
}

// The rank-th smallest finite value, 1 <= rank <= count: the midpoint of its bucket, held within
// min and max (so rank 1 is min and rank count is max, exactly). NaN for any other rank.
double hist_value_at_rank(const Hist *h, uint64_t rank);

// The bucket that the value of that rank lies in; false for any other rank.
bool hist_bucket_at_rank(const Hist *h, uint64_t rank, HistBucket *ret_bucket);

// Quantile q (0..1, held to that range) of the finite values, interpolated between neighbouring
// ranks as R's type 7 and k6's p(N) do it. NaN while count is 0.
double hist_quantile(const Hist *h, double q);

// The same over all values: INFINITY where the quantile falls among the infinite ones.
double hist_quantile_all(const Hist *h, double q);

// Finite values above the threshold, and at or below it. Their sum is `count`. A bucket goes whole
// to the side of its midpoint, so only values within 0.4 % of the threshold may be counted on the
// wrong side; exact for thresholds at or past min and max, and between -256 and 255. Whoever needs
// "above, or never finished" adds h->infinite.
uint64_t hist_count_above(const Hist *h, int64_t threshold);
uint64_t hist_count_at_or_below(const Hist *h, int64_t threshold);

double hist_mean(const Hist *h);   // exact up to the rounding of a double; NaN while count is 0
double hist_stddev(const Hist *h); // n - 1 in the denominator, from midpoints; NaN below 2 values

// ---- buckets, in ascending order of value ----

typedef struct HistIter {
    const Hist *hist;
    unsigned next;
} HistIter;

static inline HistIter hist_iter(const Hist *h)
{
    return (HistIter){h, 0};
}
// The next bucket that is not empty; false at the end. The histogram must not change meanwhile.
bool hist_next(HistIter *it, HistBucket *ret_bucket);

// Buckets are numbered 0 .. HIST_BUCKETS - 1 in ascending order of value. The bounds come with
// count 0.
unsigned hist_bucket_number(int64_t value);
HistBucket hist_bucket_at(unsigned number);
double hist_bucket_mid(const HistBucket *b);

// ---- bytes ----

// Appends the canonical encoding (equal histograms give equal bytes). Typically two to three bytes
// for each bucket that is not empty.
void hist_encode(const Hist *h, Buf *out);

// Replaces `h`, which must be initialised, by what the bytes say; the encoding must fill the slice.
// ERR_VERSION for a newer format, ERR_CORRUPT for anything hist_encode cannot have written, a count
// over HIST_COUNT_MAX included; `h` is empty then. Safe on hostile bytes.
MUST_USE int hist_decode(Hist *h, Slice bytes, Err *e);

#endif
