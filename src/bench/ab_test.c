// The statistics against SciPy, and the promises by simulation: identical arms under four kinds of
// noise, true effects, looks that stop early.
#include "bench/ab.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "stat/dist.h"

typedef enum Noise { NORMAL, HEAVY, DRIFT, CORRELATED, BURSTS, NOISES } Noise;

typedef struct Machine {
    Noise noise;
    double effect; // candidate over base
    double scale;  // of the noise, as a deviation of logarithms
    Rng rng;
    ManualClock clock;
    double state;
    size_t samples;
    AbArm fails;
    bool failing, times_out;
    double base_s;
} Machine;

// The noise of the next moment, whatever runs in it.
static double moment(Machine *m)
{
    double t = (double)m->samples++;
    switch (m->noise) {
    case NORMAL: return rng_normal(&m->rng, 0, m->scale);
    case HEAVY: return fmin(1.5, rng_pareto(&m->rng, 1.1, m->scale)); // hardly a variance
    case DRIFT: return 0.004 * t + rng_normal(&m->rng, 0, m->scale / 4);
    case CORRELATED:
        m->state = 0.95 * m->state + rng_normal(&m->rng, 0, m->scale / 3);
        return m->state;
    case BURSTS: // a neighbour comes and goes
        if (rng_double(&m->rng) < 0.08) {
            m->state = m->state > 0 ? 0 : 0.4;
        }
        return m->state + rng_normal(&m->rng, 0, m->scale / 4);
    case NOISES: break;
    }
    return 0;
}

static int sample(void *ctx, const AbAsk *ask, AbMeasured *ret, Err *e)
{
    (void)e;
    Machine *m = ctx;
    double value = m->base_s * (ask->arm == AB_CANDIDATE ? m->effect : 1) * exp(moment(m));
    clock_manual_advance(&m->clock, (int64_t)(value * 1e9));
    ret->end = AB_MEASURED;
    if (m->failing && ask->arm == m->fails) {
        ret->end = m->times_out ? AB_TIMED_OUT : AB_SAMPLE_FAILED;
        value = NAN;
    }
    ret->values[0] = value;
    ret->values[1] = 1 / value;
    return 0;
}

static Machine machine(Noise noise, double effect, uint64_t seed)
{
    Machine m = {.noise = noise, .effect = effect, .scale = 0.05, .base_s = 0.1};
    m.rng = rng_stream(seed, SLICE("machine"), noise);
    clock_manual_init(&m.clock, 0, 0);
    return m;
}

static AbResult run(Machine *m, AbOptions o, Arena *arena)
{
    AbResult r = {0};
    Err e = {0};
    o.sample_fn = sample;
    o.ctx = m;
    o.clock = &m->clock.clock;
    if (ab_run(&o, arena, &r, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return r;
}

// Identical arms: no more FASTER or SLOWER than alpha allows. The tolerance is the count that a
// rate of exactly 1 % passes once in ten thousand times.
static void identical_arms_are_not_told_apart(void **state)
{
    (void)state;
    enum { TRIALS = 400 };
    double limit = 0;
    while (dist_binom_at_least(limit, TRIALS, AB_ALPHA_DEFAULT) > 1e-4) {
        limit++;
    }
    Arena *arena = arena_create(4 << 20);
    for (Noise noise = 0; noise < NOISES; noise++) {
        unsigned wrong = 0;
        for (uint64_t seed = 0; seed < TRIALS; seed++) {
            arena_reset(arena);
            Machine m = machine(noise, 1, seed);
            AbResult r = run(&m, (AbOptions){.max_pairs = 48, .seed = seed ^ 77}, arena);
            wrong +=
                r.outcome == AB_FASTER || r.outcome == AB_SLOWER || r.outcome == AB_FASTER_SMALL;
        }
        if (wrong >= limit) {
            fail_msg("noise %d: %u of %d", (int)noise, wrong, TRIALS);
        }
    }
    arena_destroy(arena);
}

// 1.2x on a tenth of a second in well under a minute; larger ones at the first look.
static void effects_are_found(void **state)
{
    (void)state;
    static const struct {
        Noise noise;
        double effect;
        AbOutcome outcome;
        double seconds; // of simulated time, for nine of ten
        size_t pairs;
    } CASES[] = {
        {NORMAL, 1 / 1.15, AB_FASTER, 20, 0}, {NORMAL, 1 / 1.2, AB_FASTER, 10, 0},
        {DRIFT, 1 / 1.2, AB_FASTER, 60, 0},   {CORRELATED, 1 / 1.2, AB_FASTER, 20, 0},
        {BURSTS, 1 / 1.2, AB_FASTER, 60, 0},  {NORMAL, 1 / 2.0, AB_FASTER, 10, 10},
        {HEAVY, 1 / 2.0, AB_FASTER, 20, 0},   {NORMAL, 1 / 600.0, AB_FASTER, 10, 10},
        {NORMAL, 1.3, AB_SLOWER, 10, 0},      {NORMAL, 2.5, AB_SLOWER, 10, 10},
        {NORMAL, 1, AB_SAME, 60, 0},
    };
    Arena *arena = arena_create(4 << 20);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        enum { TRIALS = 40 };
        unsigned right = 0;
        for (uint64_t seed = 0; seed < TRIALS; seed++) {
            arena_reset(arena);
            Machine m = machine(CASES[i].noise, CASES[i].effect, seed + 1000 * i);
            AbResult r = run(&m, (AbOptions){.budget_ns = 60 * NS_PER_S, .seed = seed}, arena);
            assert_true(r.elapsed_ns <= 75 * NS_PER_S);
            right += r.outcome == CASES[i].outcome && r.elapsed_ns <= CASES[i].seconds * 1e9 &&
                     (CASES[i].pairs == 0 || r.primary.pairs == CASES[i].pairs);
        }
        if (right < TRIALS * 9 / 10) {
            fail_msg("case %zu: %u of %d", i, right, TRIALS);
        }
    }
    arena_destroy(arena);
}

static void small_effects_are_small(void **state)
{
    (void)state;
    Arena *arena = arena_create(4 << 20);
    Machine m = machine(NORMAL, 0.98, 5);
    m.scale = 0.004;
    AbResult r = run(&m, (AbOptions){.seed = 1}, arena);
    assert_int_equal(r.outcome, AB_FASTER_SMALL);
    assert_true(r.primary.interval.low < 0.98 && 0.98 < r.primary.interval.high);
    assert_true(r.primary.interval.high < 1);
    assert_true(r.control.interval.low < 1 && 1 < r.control.interval.high);
    // The second metric is the reciprocal of the first.
    m = machine(NORMAL, 0.7, 6);
    r = run(&m, (AbOptions){.seed = 1, .metrics = 2, .primary = 1, .more_is_better = true}, arena);
    assert_int_equal(r.outcome, AB_FASTER);
    assert_true(fabs(r.metrics[0].ratio * r.metrics[1].ratio - 1) < 1e-9);
    assert_true(ab_speedup(r.metrics[0].ratio, false) > 1.3);
    Interval s = ab_speedup_interval(r.metrics[0].interval, false);
    assert_true(s.low < ab_speedup(r.metrics[0].ratio, false) && s.low > 1 && s.high > s.low);
    arena_destroy(arena);
}

static void noise_makes_it_refuse(void **state)
{
    (void)state;
    Arena *arena = arena_create(4 << 20);
    Machine m = machine(NORMAL, 0.9, 3);
    m.scale = 0.5;
    AbResult r = run(&m, (AbOptions){.seed = 1, .max_pairs = 20}, arena);
    assert_int_equal(r.outcome, AB_CANNOT_TELL);
    assert_true(r.threshold > 0.05);
    // But what dwarfs the noise is seen through it.
    m = machine(NORMAL, 0.01, 3);
    m.scale = 0.5;
    r = run(&m, (AbOptions){.seed = 1, .max_pairs = 20}, arena);
    assert_int_equal(r.outcome, AB_FASTER);
    // Undecided says how many more.
    m = machine(NORMAL, 1 / 1.05, 4);
    m.scale = 0.02;
    r = run(&m, (AbOptions){.seed = 2, .max_pairs = 10}, arena);
    assert_int_equal(r.outcome, AB_FASTER_SMALL);
    m = machine(NORMAL, 1, 4);
    m.scale = 0.03;
    r = run(&m, (AbOptions){.seed = 2, .max_pairs = 12}, arena);
    assert_int_equal(r.outcome, AB_UNDECIDED);
    assert_true(r.more_pairs > 0);
    arena_destroy(arena);
}

// A control that is slower than the base it equals: something besides the code decides.
static int biased(void *ctx, const AbAsk *ask, AbMeasured *ret, Err *e)
{
    int rc = sample(ctx, ask, ret, e);
    ret->values[0] *= ask->arm == AB_CONTROL ? 1.3 : 1;
    return rc;
}

static void a_control_that_differs_refuses(void **state)
{
    (void)state;
    Arena *arena = arena_create(4 << 20);
    Machine m = machine(NORMAL, 0.5, 9);
    AbOptions o = {.sample_fn = biased, .ctx = &m, .clock = &m.clock.clock, .max_pairs = 20};
    AbResult r;
    Err e;
    assert_int_equal(ab_run(&o, arena, &r, &e), 0);
    assert_int_equal(r.outcome, AB_CANNOT_TELL);
    arena_destroy(arena);
}

static void failures_end_it(void **state)
{
    (void)state;
    Arena *arena = arena_create(4 << 20);
    Machine m = machine(NORMAL, 1, 1);
    m.failing = true;
    m.fails = AB_CANDIDATE;
    AbResult r = run(&m, (AbOptions){.seed = 1}, arena);
    assert_int_equal(r.outcome, AB_ARM_FAILED);
    assert_int_equal(r.failed_arm, AB_CANDIDATE);
    assert_int_equal(r.failures, AB_FAILURES_DEFAULT + 1);
    assert_non_null(strstr(r.reason, "candidate failed 3 times"));
    m = machine(NORMAL, 1, 1);
    m.failing = m.times_out = true;
    m.fails = AB_CONTROL;
    r = run(&m, (AbOptions){.seed = 1}, arena);
    assert_int_equal(r.outcome, AB_ARM_FAILED);
    assert_int_equal(r.failed_arm, AB_BASE);
    assert_int_equal(r.timeouts, 2); // a slow arm's deadline is waited for twice
    for (size_t i = 0; i < r.sample_count; i++) {
        assert_true(r.samples[i].dropped);
    }
    arena_destroy(arena);
}

static void budgets_hold(void **state)
{
    (void)state;
    Arena *arena = arena_create(4 << 20);
    Machine m = machine(NORMAL, 0.5, 1); // a round is a quarter of a second
    AbResult r = run(&m, (AbOptions){.seed = 1, .budget_ns = NS_PER_S}, arena);
    assert_int_equal(r.outcome, AB_UNDECIDED);
    assert_true(r.primary.pairs < AB_PAIRS_MIN && r.more_pairs > 0);
    assert_true(r.elapsed_ns <= 1200 * NS_PER_MS);
    // Enough for eight pairs but not for the first look: all of alpha is used then.
    m = machine(NORMAL, 0.5, 1);
    r = run(&m, (AbOptions){.seed = 1, .budget_ns = 2450 * NS_PER_MS}, arena);
    assert_in_range(r.primary.pairs, AB_PAIRS_MIN, AB_PAIRS_FIRST - 1);
    assert_int_equal(r.outcome, AB_FASTER);
    assert_true(r.look_alpha == AB_ALPHA_DEFAULT);
    arena_destroy(arena);
}

static void alpha_is_spent_once(void **state)
{
    (void)state;
    AbLook looks[AB_LOOKS_MAX];
    static const size_t PAIRS[] = {8, 9, 10, 11, 14, 100, AB_PAIRS_DEFAULT, AB_PAIRS_MAX};
    for (size_t i = 0; i < COUNT_OF(PAIRS); i++) {
        size_t n = ab_looks(&(AbOptions){.max_pairs = PAIRS[i]}, looks);
        double sum = 0;
        for (size_t k = 0; k < n; k++) {
            sum += looks[k].alpha;
            assert_true(k == 0 || looks[k].pairs > looks[k - 1].pairs);
        }
        assert_true(fabs(sum - AB_ALPHA_DEFAULT) < 1e-12);
        assert_int_equal(looks[n - 1].pairs, PAIRS[i]);
    }
    assert_int_equal(ab_looks(&(AbOptions){.fixed = true}, looks), 1);
    // The first look must be able to decide: 2 / 2^10 is the smallest p of ten pairs.
    (void)ab_looks(&(AbOptions){0}, looks);
    assert_int_equal(looks[0].pairs, AB_PAIRS_FIRST);
    assert_true(looks[0].alpha >= 2 / 1024.0);
    (void)ab_looks(&(AbOptions){.alpha = 0.001}, looks);
    assert_int_equal(looks[0].pairs, 14); // 2 / 2^14 < 0.0002 < 2 / 2^13
}

// scipy 1.11: d = log(y / x); walsh = sorted((d[i] + d[j]) / 2 for i <= j); median(walsh) and the
// ends walsh[k], walsh[-1 - k] with k from the exact distribution (Hollander and Wolfe 1999, table
// A.4: of n = 10, P(V <= 3) = 0.0049, P(V <= 8) = 0.0244). The differences are 0.01 .. 0.10, so
// that the Walsh averages are known by hand: median 0.055; at 99 % the 4th smallest, (0.01 + 0.04)
// / 2 or (0.02 + 0.02): 0.02; the 4th largest 0.09; at 95 % the 9th: 0.03 and 0.08.
static void ranks_agree_with_tables(void **state)
{
    (void)state;
    AbSample samples[30] = {0};
    for (size_t i = 0; i < 10; i++) {
        for (size_t arm = 0; arm < AB_ARMS; arm++) {
            AbSample *s = &samples[3 * i + arm];
            s->ask = (AbAsk){.arm = (AbArm)arm, .round = i};
            s->values[0] = exp((arm == AB_BASE ? 0 : 0.01 * (double)(i + 1)) + (double)(i % 4));
        }
    }
    AbResult r;
    Err e;
    assert_int_equal(ab_decide(&(AbOptions){.alpha = 0.01}, samples, 30, &r, &e), 0);
    assert_int_equal(r.outcome, AB_CANNOT_TELL); // the control differs as much
    assert_true(fabs(log(r.primary.ratio) - 0.055) < 1e-12);
    assert_true(fabs(log(r.primary.interval.low) - 0.02) < 1e-12);
    assert_true(fabs(log(r.primary.interval.high) - 0.09) < 1e-12);
    assert_true(fabs(log(r.control.interval.low) - 0.03) < 1e-12);
    assert_true(fabs(log(r.control.interval.high) - 0.08) < 1e-12);
    // Ten pairs cannot reach this confidence.
    assert_int_equal(ab_decide(&(AbOptions){.alpha = 0.001}, samples, 30, &r, &e), 0);
    assert_true(isinf(r.primary.interval.high) && r.primary.interval.low == 0);
    // What is warm-up, dropped or no number does not count.
    samples[0].ask.warmup = samples[5].dropped = true;
    samples[8].values[0] = NAN;
    assert_int_equal(ab_decide(&(AbOptions){0}, samples, 30, &r, &e), 0);
    assert_int_equal(r.primary.pairs, 7);
}

static void the_same_seed_gives_the_same(void **state)
{
    (void)state;
    Arena *arena = arena_create(8 << 20);
    AbResult r[3];
    for (size_t i = 0; i < 3; i++) {
        Machine m = machine(BURSTS, 0.9, 4);
        r[i] = run(&m, (AbOptions){.seed = 4 + (i == 2), .max_pairs = 30}, arena);
    }
    assert_int_equal(r[0].sample_count, r[1].sample_count);
    assert_true(r[0].primary.ratio == r[1].primary.ratio);
    assert_true(r[0].primary.ratio != r[2].primary.ratio);
    unsigned places[AB_ARMS][AB_ARMS] = {0};
    for (size_t i = 0; i < r[0].sample_count; i++) {
        places[r[0].samples[i].ask.arm][r[0].samples[i].ask.place]++;
        assert_true(i == 0 || r[0].samples[i].start_ns >= r[0].samples[i - 1].start_ns);
    }
    for (size_t arm = 0; arm < AB_ARMS; arm++) {
        for (size_t place = 0; place < AB_ARMS; place++) {
            assert_true(places[arm][place] > 0);
        }
    }
    arena_destroy(arena);
}

static int broken(void *ctx, const AbAsk *ask, AbMeasured *ret, Err *e)
{
    return ask->round == 3 ? err_set(e, ERR_CANCELLED, "stopped") : sample(ctx, ask, ret, e);
}

static void what_there_is_is_kept(void **state)
{
    (void)state;
    Arena *arena = arena_create(4 << 20);
    Machine m = machine(NORMAL, 1, 1);
    AbOptions o = {.sample_fn = broken, .ctx = &m, .clock = &m.clock.clock};
    AbResult r = {0};
    Err e;
    assert_int_equal(ab_run(&o, arena, &r, &e), ERR_CANCELLED);
    assert_int_equal(r.sample_count, 9);
    assert_int_equal(r.outcome, AB_UNDECIDED);
    static const AbOptions BAD[] = {
        {.metrics = AB_METRICS_MAX + 1},
        {.metrics = 2, .primary = 2},
        {.alpha = 0.5},
        {.max_pairs = AB_PAIRS_MIN - 1},
        {.first_look = AB_PAIRS_MIN - 1},
        {.max_pairs = AB_PAIRS_MAX + 1},
        {.warmup = 51},
        {.failures_max = 41},
    };
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        o = BAD[i];
        o.sample_fn = sample;
        o.ctx = &m;
        assert_int_equal(ab_run(&o, arena, &r, &e), ERR_ARG);
    }
    arena_destroy(arena);
    arena = arena_create(32 << 10);
    o = (AbOptions){.sample_fn = sample, .ctx = &m};
    assert_int_equal(ab_run(&o, arena, &r, &e), ERR_LIMIT);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identical_arms_are_not_told_apart),
        cmocka_unit_test(effects_are_found),
        cmocka_unit_test(small_effects_are_small),
        cmocka_unit_test(noise_makes_it_refuse),
        cmocka_unit_test(a_control_that_differs_refuses),
        cmocka_unit_test(failures_end_it),
        cmocka_unit_test(budgets_hold),
        cmocka_unit_test(alpha_is_spent_once),
        cmocka_unit_test(ranks_agree_with_tables),
        cmocka_unit_test(the_same_seed_gives_the_same),
        cmocka_unit_test(what_there_is_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
