// Costs of the innermost operations, each as a ratio to a plain loop timed in the same rounds.
//
//     build/release/bench/bench_micro
//
// Rounds alternate between the operation and its yardstick; the medians are printed. The yardstick
// of hist_record is "count[value & mask]++" over the same values: what any histogram has to do.
#include <time.h>

#include "stat/hist.h"

enum { VALUES = 4096, PASSES = 250, ROUNDS = 11 };

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x)
{
    qsort(x, ROUNDS, sizeof *x, by_value);
    return x[ROUNDS / 2];
}

static double time_record(Hist *h, const int64_t *values)
{
    double start = now_ns();
    for (int pass = 0; pass < PASSES; pass++) {
        for (int i = 0; i < VALUES; i++) {
            hist_record(h, values[i]);
        }
    }
    return (now_ns() - start) / (PASSES * VALUES);
}

static double time_array(volatile uint64_t *counts, const int64_t *values)
{
    double start = now_ns();
    for (int pass = 0; pass < PASSES; pass++) {
        for (int i = 0; i < VALUES; i++) {
            counts[values[i] & (VALUES - 1)]++;
        }
    }
    return (now_ns() - start) / (PASSES * VALUES);
}

int main(void)
{
    static int64_t values[VALUES];
    static uint64_t counts[VALUES];
    double record[ROUNDS];
    double array[ROUNDS];
    uint64_t state = 1;
    for (int i = 0; i < VALUES; i++) {
        // Latencies from 16 us to 268 ms, every octave as likely as the next.
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        values[i] = (int64_t)((UINT64_C(1) << (14 + (state >> 33) % 14)) + (state >> 50));
    }
    Hist h;
    hist_init(&h);
    for (int r = 0; r < ROUNDS; r++) {
        record[r] = time_record(&h, values);
        array[r] = time_array(counts, values);
    }
    double r = median(record);
    double a = median(array);
    printf("hist_record %.2f ns, array increment %.2f ns, ratio %.2f (p99 %.0f)\n", r, a, r / a,
           hist_quantile(&h, 0.99));
    hist_done(&h);
    return 0;
}
