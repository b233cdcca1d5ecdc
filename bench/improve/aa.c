// How often does a comparison of a command with itself say FASTER or SLOWER? Every judgement is a
// whole ab_run of identical commands: fresh processes, random order, looks, as `benchmark A --vs A`
// and the judge of patches do it. Prints the count, its exact interval, and what was said instead.
//
//     build/release/bench/improve/aa_bench [JUDGEMENTS [SECONDS_OF_COMMAND [BUDGET_S]]]
//     build/release/bench/improve/aa_bench --simulate [TRIALS]
//
// --simulate does the same in virtual time under five kinds of noise, so that a thousand times as
// many judgements can be made.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/units.h"
#include "bench/ab.h"
#include "bench/command.h"
#include "stat/rate.h"

static char line[160];
static BenchResult result;

static int sample(void *ctx, const AbAsk *ask, AbMeasured *ret, Err *e)
{
    (void)ctx;
    (void)ask;
    int rc = bench_command_run(&(BenchCommand){.shell = line, .timeout_ns = 60 * NS_PER_SECOND},
                               &result, e);
    if (rc == 0) {
        ret->end = bench_result_good(&result) ? AB_MEASURED : AB_SAMPLE_FAILED;
        ret->values[0] = bench_sample_value(&result.sample, BENCH_WALL);
    }
    return rc;
}

// A loop of the shell of about that length.
static int calibrate(double seconds, Err *e)
{
    double best = INFINITY;
    AbMeasured m = {0};
    (void)snprintf(line, sizeof line, "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done");
    for (int i = 0; i < 5; i++) {
        int rc = sample(NULL, NULL, &m, e);
        if (rc != 0) {
            return rc;
        }
        best = fmin(best, m.values[0]);
    }
    (void)snprintf(line, sizeof line, "i=0; while [ $i -lt %.0f ]; do i=$((i+1)); done",
                   fmax(1, 50000 * seconds / best));
    return 0;
}

static void print_rate(const char *what, unsigned wrong, unsigned n)
{
    Interval i = rate_interval_exact(wrong, n, 0.95);
    double p = rate_test(wrong, n, AB_ALPHA_DEFAULT, TEST_GREATER);
    printf("%-12s %u of %u said FASTER or SLOWER: %.2f %% (95 %%: %.2f to %.2f), p of more than "
           "1 %%: %.3f\n",
           what, wrong, n, 100.0 * wrong / n, 100 * i.low, 100 * i.high, p);
}

static bool is_wrong(const AbResult *r)
{
    return r->outcome == AB_FASTER || r->outcome == AB_FASTER_SMALL || r->outcome == AB_SLOWER;
}

static int judge_real(unsigned judgements, double seconds, double budget_s)
{
    Err e = {0};
    Arena *arena = arena_create(8 << 20);
    unsigned outcomes[AB_OUTCOMES] = {0}, wrong = 0;
    double spent = 0;
    result = bench_result_create();
    int rc = calibrate(seconds, &e);
    for (unsigned i = 0; i < judgements && rc == 0; i++) {
        arena_reset(arena);
        AbOptions o = {
            .sample_fn = sample, .budget_ns = (int64_t)(budget_s * 1e9), .seed = 1000 + i};
        AbResult r;
        if ((rc = ab_run(&o, arena, &r, &e)) == 0) {
            outcomes[r.outcome]++;
            wrong += is_wrong(&r);
            spent += (double)r.elapsed_ns / 1e9;
            printf("%u\t%s\t%zu pairs\tratio %.4f [%.4f, %.4f]\tcontrol %.4f\t%.1f s\n", i,
                   AB_OUTCOME_NAMES[r.outcome], r.primary.pairs, r.primary.ratio,
                   r.primary.interval.low, r.primary.interval.high, r.control.ratio,
                   (double)r.elapsed_ns / 1e9);
            (void)fflush(stdout);
        }
    }
    arena_destroy(arena);
    bench_result_done(&result);
    if (rc != 0) {
        (void)fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    for (AbOutcome k = 0; k < AB_OUTCOMES; k++) {
        printf("%-12s %u\n", AB_OUTCOME_NAMES[k], outcomes[k]);
    }
    printf("%.1f s each\n", spent / judgements);
    print_rate("identical", wrong, judgements);
    return 0;
}

// ---- in virtual time

typedef enum Noise { NORMAL, HEAVY, DRIFT, CORRELATED, BURSTS, NOISES } Noise;
static const char *const NOISE_NAMES[NOISES] = {"normal", "heavy", "drift", "correlated", "bursts"};

typedef struct Machine {
    Noise noise;
    Rng rng;
    double state;
    size_t samples;
    ManualClock clock;
} Machine;

static double moment(Machine *m)
{
    switch (m->noise) {
    case NORMAL: return rng_normal(&m->rng, 0, 0.05);
    case HEAVY: return fmin(1.5, rng_pareto(&m->rng, 1.1, 0.05));
    case DRIFT: return 0.004 * (double)m->samples + rng_normal(&m->rng, 0, 0.0125);
    case CORRELATED: return m->state = 0.95 * m->state + rng_normal(&m->rng, 0, 0.017);
    case BURSTS:
        if (rng_double(&m->rng) < 0.08) {
            m->state = m->state > 0 ? 0 : 0.4;
        }
        return m->state + rng_normal(&m->rng, 0, 0.0125);
    case NOISES: break;
    }
    return 0;
}

static int virtual_sample(void *ctx, const AbAsk *ask, AbMeasured *ret, Err *e)
{
    (void)ask;
    (void)e;
    Machine *m = ctx;
    double value = 0.1 * exp(moment(m));
    m->samples++;
    clock_manual_advance(&m->clock, (int64_t)(value * 1e9));
    *ret = (AbMeasured){.end = AB_MEASURED, .values = {value}};
    return 0;
}

static int simulate(unsigned trials)
{
    Arena *arena = arena_create(8 << 20);
    for (Noise noise = 0; noise < NOISES; noise++) {
        unsigned wrong = 0;
        for (unsigned i = 0; i < trials; i++) {
            Err e;
            AbResult r;
            Machine m = {.noise = noise, .rng = rng_stream(i, SLICE("aa"), noise)};
            clock_manual_init(&m.clock, 0, 0);
            arena_reset(arena);
            AbOptions o = {.sample_fn = virtual_sample,
                           .ctx = &m,
                           .clock = &m.clock.clock,
                           .budget_ns = 60 * NS_PER_SECOND,
                           .seed = 77 + i};
            if (ab_run(&o, arena, &r, &e) != 0) {
                (void)fprintf(stderr, "%s\n", e.text);
                return 1;
            }
            wrong += is_wrong(&r);
        }
        print_rate(NOISE_NAMES[noise], wrong, trials);
    }
    arena_destroy(arena);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--simulate") == 0) {
        return simulate(argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1000);
    }
    return judge_real(argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 20,
                      argc > 2 ? strtod(argv[2], NULL) : 0.05,
                      argc > 3 ? strtod(argv[3], NULL) : 60);
}
