// What this machine can resolve: a command that is known to do the same work is measured against
// itself, and the scatter of the pair ratios says which effects could be told from none.
//
//     rc = noise_measure(&(NoiseOptions){.budget_ns = 5 * NS_PER_S}, arena, &report, e);
//     report.rows[i].resolvable[NOISE_AT_20] ...
#ifndef BENCH_NOISE_H
#define BENCH_NOISE_H

#include "bench/ab.h"

// The smallest effect (0.05: 5 %) that a comparison of so many pairs finds with that power, where
// log_sd is the standard deviation of the logarithm of one pair's ratio. Normal theory with the
// signed-rank test's efficiency (3 / pi; Lehmann, "Nonparametrics", 1975). INFINITY for fewer than
// AB_PAIRS_MIN pairs.
double noise_resolvable(double log_sd, size_t pairs, double alpha, double power);
// The other way round: pairs that find such an effect; 0 when more than AB_PAIRS_MAX.
size_t noise_pairs(double log_sd, double effect, double alpha, double power);

enum { NOISE_ROWS_MAX = 4, NOISE_COUNTS = 4 };
extern const size_t NOISE_PAIRS[NOISE_COUNTS]; // 10, 20, 50, 100

typedef struct NoiseRow {
    int64_t spin_ns;   // what the spin was calibrated to
    double wall_s;     // median of its samples
    AbComparison wall; // A/A
    AbComparison cpu;
    double resolvable_wall[NOISE_COUNTS]; // by NOISE_PAIRS, alpha 0.01, power 0.9
    double resolvable_cpu[NOISE_COUNTS];
} NoiseRow;

typedef struct NoiseReport {
    NoiseRow rows[NOISE_ROWS_MAX];
    size_t count;
    int64_t overhead_ns;   // median cost of taking a sample, beside the command
    double steal;          // 0..1 of the machine's time while it was measured
    double load1;          // load average before
    bool has_instructions; // the processor's counter can be read
    bool has_cpu_clock;    // the kernel's software clock can sample
    char clocksource[32];  // "tsc", "kvm-clock"
    char governor[32];     // "" where hidden
} NoiseReport;

typedef struct NoiseOptions {
    int64_t budget_ns;         // in all; 0: 6 s
    const int64_t *lengths_ns; // of the spins; NULL: 5, 20 and 100 ms
    size_t length_count;
    uint64_t seed;
    void (*progress_fn)(void *ctx, const AbProgress *progress);
    void *progress_ctx;
} NoiseOptions;

MUST_USE int noise_measure(const NoiseOptions *options, Arena *arena, NoiseReport *ret_report,
                           Err *e);

#endif
