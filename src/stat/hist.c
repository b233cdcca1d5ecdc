#include "stat/hist.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Buckets are numbered in ascending order of value, so that walking, ranking and encoding are one
// loop each: number 0 holds INT64_MIN, the last one INT64_MAX. The lower half counts backwards
// through the negative octaves.
enum { HALF = HIST_OCTAVES * HIST_SUB };

static unsigned octave_of_number(unsigned number, unsigned *ret_sub)
{
    unsigned place = number < HALF ? HALF - 1 - number : number - HALF;
    *ret_sub = place % HIST_SUB;
    return place / HIST_SUB + (number < HALF ? HIST_OCTAVES : 0u);
}

static HistBucket bucket_bounds(unsigned octave, unsigned sub)
{
    unsigned plain = octave % HIST_OCTAVES;
    unsigned shift = plain - (plain != 0);
    int64_t low = (int64_t)(sub + (plain != 0 ? HIST_SUB : 0u)) << shift;
    int64_t high = low + (int64_t)((UINT64_C(1) << shift) - 1);
    return octave < HIST_OCTAVES ? (HistBucket){low, high, 0} : (HistBucket){~high, ~low, 0};
}

void hist_init(Hist *h)
{
    *h = (Hist){.min = INT64_MAX, .max = INT64_MIN};
}

void hist_done(Hist *h)
{
    if (h == NULL) {
        return;
    }
    for (size_t i = 0; i < 2 * HIST_OCTAVES; i++) {
        free(h->octaves[i]);
    }
    hist_init(h);
}

void hist_reset(Hist *h)
{
    for (size_t i = 0; i < 2 * HIST_OCTAVES; i++) {
        if (h->octaves[i] != NULL) {
            memset(h->octaves[i], 0, HIST_SUB * sizeof(uint64_t));
        }
    }
    h->count = 0;
    h->infinite = 0;
    h->min = INT64_MAX;
    h->max = INT64_MIN;
    h->sum = 0;
}

static uint64_t *octave_counts(Hist *h, unsigned octave)
{
    if (h->octaves[octave] == NULL) {
        h->octaves[octave] = mem_zalloc(HIST_SUB * sizeof(uint64_t));
    }
    return h->octaves[octave];
}

void hist_record_n(Hist *h, int64_t value, uint64_t n)
{
    if (n == 0) {
        return;
    }
    unsigned sub;
    unsigned octave = hist_octave(value, &sub);
    octave_counts(h, octave)[sub] += n;
    h->count += n;
    h->sum += (HistSum)value * (HistSum)n;
    h->min = value < h->min ? value : h->min;
    h->max = value > h->max ? value : h->max;
}

void hist_merge(Hist *into, const Hist *from)
{
    for (unsigned i = 0; i < 2 * HIST_OCTAVES; i++) {
        const uint64_t *add = from->octaves[i];
        if (add == NULL) {
            continue;
        }
        uint64_t *counts = octave_counts(into, i);
        for (unsigned sub = 0; sub < HIST_SUB; sub++) {
            counts[sub] += add[sub];
        }
    }
    into->count += from->count;
    into->infinite += from->infinite;
    into->sum += from->sum;
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
}

bool hist_equal(const Hist *a, const Hist *b)
{
    static const uint64_t none[HIST_SUB];
    if (a->count != b->count || a->infinite != b->infinite || a->min != b->min ||
        a->max != b->max || a->sum != b->sum) {
        return false;
    }
    for (size_t i = 0; i < 2 * HIST_OCTAVES; i++) {
        const uint64_t *x = a->octaves[i] != NULL ? a->octaves[i] : none;
        const uint64_t *y = b->octaves[i] != NULL ? b->octaves[i] : none;
        if (memcmp(x, y, sizeof none) != 0) {
            return false;
        }
    }
    return true;
}

bool hist_next(HistIter *it, HistBucket *ret_bucket)
{
    while (it->next < HIST_BUCKETS) {
        unsigned sub;
        unsigned octave = octave_of_number(it->next, &sub);
        const uint64_t *counts = it->hist->octaves[octave];
        if (counts == NULL) {
            // Numbers of one octave are neighbours and start at a multiple of HIST_SUB.
            it->next = (it->next / HIST_SUB + 1) * HIST_SUB;
            continue;
        }
        it->next++;
        if (counts[sub] != 0) {
            *ret_bucket = bucket_bounds(octave, sub);
            ret_bucket->count = counts[sub];
            return true;
        }
    }
    return false;
}

unsigned hist_bucket_number(int64_t value)
{
    unsigned sub;
    unsigned octave = hist_octave(value, &sub);
    unsigned place = octave % HIST_OCTAVES * HIST_SUB + sub;
    return octave < HIST_OCTAVES ? HALF + place : HALF - 1 - place;
}

HistBucket hist_bucket_at(unsigned number)
{
    unsigned sub;
    unsigned octave = octave_of_number(number, &sub);
    return bucket_bounds(octave, sub);
}

double hist_bucket_mid(const HistBucket *b)
{
    // Half the width is exact in a double; low + high could overflow an int64.
    return (double)b->low + (double)(b->high - b->low) / 2;
}

// A midpoint may lie outside what was recorded when only one end of its bucket was hit.
static double clamped_mid(const Hist *h, const HistBucket *b)
{
    double mid = hist_bucket_mid(b);
    mid = mid < (double)h->min ? (double)h->min : mid;
    return mid > (double)h->max ? (double)h->max : mid;
}

// Values at `rank` and at the rank behind it (the same again at the end), in one walk.
static void values_at(const Hist *h, uint64_t rank, double *ret_at, double *ret_next)
{
    HistIter it = hist_iter(h);
    HistBucket b;
    uint64_t below = 0;
    bool have = false;
    *ret_at = *ret_next = NAN;
    while (hist_next(&it, &b)) {
        below += b.count;
        if (!have && below >= rank) {
            *ret_at = *ret_next = rank == 1 ? (double)h->min : clamped_mid(h, &b);
            have = true;
        }
        if (have && below > rank) {
            *ret_next = clamped_mid(h, &b);
            break;
        }
    }
    if (rank == h->count) {
        *ret_at = *ret_next = (double)h->max;
    } else if (rank + 1 == h->count) {
        *ret_next = (double)h->max;
    }
}

double hist_value_at_rank(const Hist *h, uint64_t rank)
{
    if (rank < 1 || rank > h->count) {
        return NAN;
    }
    double at;
    double next;
    values_at(h, rank, &at, &next);
    return at;
}

bool hist_bucket_at_rank(const Hist *h, uint64_t rank, HistBucket *ret_bucket)
{
    HistIter it = hist_iter(h);
    HistBucket b;
    uint64_t below = 0;
    while (rank > 0 && hist_next(&it, &b)) {
        below += b.count;
        if (below >= rank) {
            *ret_bucket = b;
            return true;
        }
    }
    return false;
}

// Quantile over `total` values of which the finite ones come first.
static double quantile_of(const Hist *h, double q, uint64_t total)
{
    if (total == 0 || isnan(q)) {
        return NAN;
    }
    q = q < 0 ? 0 : q > 1 ? 1 : q;
    double place = q * (double)(total - 1);
    double floor_place = floor(place);
    double fraction = place - floor_place;
    uint64_t rank = (uint64_t)floor_place + 1;
    rank = rank > total ? total : rank; // past 2^53 values the product may round up
    if (rank > h->count || (rank == h->count && fraction > 0 && total > h->count)) {
        return INFINITY;
    }
    double at;
    double next;
    values_at(h, rank, &at, &next);
    return at + fraction * (next - at);
}

double hist_quantile(const Hist *h, double q)
{
    return quantile_of(h, q, h->count);
}

double hist_quantile_all(const Hist *h, double q)
{
    return quantile_of(h, q, hist_count_all(h));
}

uint64_t hist_count_above(const Hist *h, int64_t threshold)
{
    return h->count - hist_count_at_or_below(h, threshold);
}

uint64_t hist_count_at_or_below(const Hist *h, int64_t threshold)
{
    if (threshold >= h->max) {
        return h->count;
    }
    if (threshold < h->min) {
        return 0;
    }
    HistIter it = hist_iter(h);
    HistBucket b;
    uint64_t below = 0;
    while (hist_next(&it, &b) && b.low <= threshold) {
        // Compared in integers: near 2^63 a double could not tell the midpoint from the threshold.
        if (b.low + (b.high - b.low) / 2 <= threshold) {
            below += b.count;
        }
    }
    return below;
}

double hist_mean(const Hist *h)
{
    return h->count == 0 ? (double)NAN : (double)h->sum / (double)h->count;
}

double hist_stddev(const Hist *h)
{
    if (h->count < 2) {
        return NAN;
    }
    double mean = hist_mean(h);
    double squares = 0;
    HistIter it = hist_iter(h);
    HistBucket b;
    while (hist_next(&it, &b)) {
        double off = clamped_mid(h, &b) - mean;
        squares += off * off * (double)b.count;
    }
    return sqrt(squares / (double)(h->count - 1));
}
