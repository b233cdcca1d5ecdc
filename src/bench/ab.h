// A against B: is the candidate faster, and by how much, with an error rate that holds on a noisy
// machine.
//
// Every round runs three samples in random order: the base, the base again (the control), and the
// candidate. The ratio is Hodges and Lehmann's estimate from the logarithms of candidate over base,
// one value a round, and its interval inverts the signed-rank test. Because the order within a
// round is drawn by us, the sign of each pair is a fair coin when the two are the same, whatever
// the machine does from round to round: drift, bursts and autocorrelation do not change the error
// rate. At planned looks the interval is taken at that look's share of alpha, and the shares add up
// to alpha, so stopping at the first decisive look is honest: of identical commands at most `alpha`
// are called FASTER or SLOWER, both together. docs/internals/ab.md has the method and its sources.
//
//     AbOptions o = {.sample_fn = sample, .ctx = &judge, .budget_ns = 60 * NS_PER_S, .seed = seed};
//     rc = ab_run(&o, arena, &result, e);
//     if (result.outcome == AB_FASTER) ... result.primary.ratio, result.primary.interval ...
//
// Metrics are "less is better" unless `more_is_better`; ratios are always candidate over base of
// the value as measured, so 0.5 of a time is twice as fast.
#ifndef BENCH_AB_H
#define BENCH_AB_H

#include "base/arena.h"
#include "bench/sample.h"
#include "os/clock.h"
#include "stat/interval.h"

typedef enum AbArm { AB_BASE, AB_CONTROL, AB_CANDIDATE, AB_ARMS } AbArm;
extern const char *const AB_ARM_NAMES[AB_ARMS + 1]; // "base", "control", "candidate", NULL

enum {
    AB_METRICS_MAX = 8,
    AB_PAIRS_MAX = 2000,     // ceiling of max_pairs
    AB_PAIRS_DEFAULT = 200,  //
    AB_PAIRS_FIRST = 10,     // pairs at the first look
    AB_PAIRS_MIN = 8,        // that can reach alpha = 0.01: 2 / 2^8
    AB_WARMUP_DEFAULT = 1,   // rounds
    AB_LOOKS_MAX = 32,       //
    AB_FAILURES_DEFAULT = 2, // samples that may fail before the comparison is given up
    AB_SAMPLES_MAX = 3 * (AB_PAIRS_MAX + 100),
};
#define AB_ALPHA_DEFAULT      0.01
#define AB_MIN_EFFECT_DEFAULT 0.05

typedef enum AbEnd {
    AB_MEASURED,
    AB_SAMPLE_FAILED, // it ran and failed: its values are no measurement
    AB_TIMED_OUT,
} AbEnd;

// What is asked of the sample function.
typedef struct AbAsk {
    AbArm arm;      // AB_CONTROL is to be run exactly as AB_BASE
    size_t round;   // counted over warm-up and repeated rounds: one input, one seed a round
    unsigned place; // 0, 1 or 2 in the round's order
    bool warmup;    // not kept for the decision
} AbAsk;

typedef struct AbMeasured {
    AbEnd end;
    double values[AB_METRICS_MAX]; // positive; NAN where there is none
} AbMeasured;

// Runs one sample and waits for its end. Not 0 (words in `e`) stops the whole comparison: the
// machinery broke. A command that failed is `end`, and the round is dropped.
typedef int AbSampleFn(void *ctx, const AbAsk *ask, AbMeasured *ret_measured, Err *e);

typedef struct AbSample {
    AbAsk ask;
    AbEnd end;
    bool dropped;     // its round has a sample that is no measurement
    int64_t start_ns; // since the comparison began
    int64_t wall_ns;  // that the sample function took
    double values[AB_METRICS_MAX];
} AbSample;

typedef enum AbOutcome {
    AB_UNDECIDED,    // `reason` says what ended it, more_pairs what would decide
    AB_FASTER,       // the whole interval beyond the minimum effect
    AB_FASTER_SMALL, // the whole interval beyond no effect, not all of it beyond the minimum effect
    AB_SAME,         // the whole interval within the margin (two one-sided tests)
    AB_SLOWER,       // the whole interval on the other side of no effect
    AB_CANNOT_TELL,  // the control does not allow a verdict here: `reason` says why
    AB_ARM_FAILED,   // failures of samples: `failed_arm`, `reason`
    AB_OUTCOMES,
} AbOutcome;
extern const char *const AB_OUTCOME_NAMES[AB_OUTCOMES + 1]; // "undecided", "faster", ..., NULL

// One metric, one contrast.
typedef struct AbComparison {
    size_t pairs;
    double ratio;      // candidate over base; NAN without pairs
    Interval interval; // of the ratio, at the look's confidence
    double log_sd;     // robust standard deviation of the logarithms of the pair ratios
} AbComparison;

typedef struct AbProgress {
    size_t pairs, max_pairs;
    bool warmup;
    size_t looks;
    int64_t elapsed_ns, budget_ns;
    AbComparison effect; // of the primary metric, at the last look; no pairs before it
} AbProgress;

typedef struct AbOptions {
    AbSampleFn *sample_fn;
    void *ctx;
    size_t metrics;      // values of a sample; 0: 1
    size_t primary;      // which of them decides
    bool more_is_better; // the primary metric is a throughput
    double alpha;        // false FASTER or SLOWER of identical arms; 0: AB_ALPHA_DEFAULT
    double min_effect;   // 0.05: faster by 1.05 and more; 0: AB_MIN_EFFECT_DEFAULT
    double margin;       // of AB_SAME: within 1 / (1 + margin) .. 1 + margin; 0: min_effect
    size_t max_pairs;    // 0: AB_PAIRS_DEFAULT
    size_t first_look;   // pairs; 0: AB_PAIRS_FIRST. At least AB_PAIRS_MIN; more where alpha is
                         // so small that so few pairs could not decide
    int64_t budget_ns;   // 0: no limit but max_pairs. No round begins that would not fit into it.
    size_t warmup;       // rounds before the first that counts
    bool warmup_given;   // `warmup` is meant though it is 0; else 0 is AB_WARMUP_DEFAULT
    size_t failures_max; // samples that may fail; 0: AB_FAILURES_DEFAULT
    bool fixed;          // no looks: one at the end, with all of alpha
    uint64_t seed;       // of the order
    const Clock *clock;  // NULL: the real one
    void (*progress_fn)(void *ctx, const AbProgress *progress); // after every round
    void *progress_ctx;
} AbOptions;

typedef struct AbResult {
    AbOutcome outcome;
    const char *reason; // one sentence without full stop, never NULL
    AbComparison primary;
    AbComparison control; // base against base, of the primary metric, 95 %
    AbComparison metrics[AB_METRICS_MAX];
    AbComparison controls[AB_METRICS_MAX];
    size_t looks;
    double look_alpha; // what the deciding look was taken at
    double threshold;  // the effect FASTER had to pass: min_effect, or twice the control's width
    size_t more_pairs; // AB_UNDECIDED: about so many more would decide; 0: not within AB_PAIRS_MAX
    AbArm failed_arm;  // AB_ARM_FAILED
    size_t failures, timeouts; // samples, warm-up included
    AbSample *samples;         // in the order they were taken, warm-up included; of the arena
    size_t sample_count;
    int64_t elapsed_ns;
} AbResult;

// ERR_ARG for options out of range; ERR_LIMIT when the arena is too small; what the sample function
// returned. `ret_result` is also set, with the samples so far and AB_UNDECIDED, when the sample
// function ended it (a cancelled measurement keeps what it has).
MUST_USE int ab_run(const AbOptions *options, Arena *arena, AbResult *ret_result, Err *e);

// The effect as people say it: 2.0 for "2x faster", 0.5 for "half as fast".
double ab_speedup(double ratio, bool more_is_better);
// The interval of the speed-up that belongs to one of the ratio.
Interval ab_speedup_interval(Interval ratio, bool more_is_better);

// The decision from stored samples: what ab_run's last look would say of them, with all of alpha,
// for an evidence bundle that is read again. Fills `ret_result` but for samples and elapsed_ns.
MUST_USE int ab_decide(const AbOptions *options, const AbSample *samples, size_t count,
                       AbResult *ret_result, Err *e);

// The alpha of each planned look, in order, and the pairs it is taken at: for the record of what
// was registered. Returns how many there are. The last look takes what the earlier ones left.
typedef struct AbLook {
    size_t pairs;
    double alpha;
} AbLook;
size_t ab_looks(const AbOptions *options, AbLook ret_looks[AB_LOOKS_MAX]);

#endif
