#include "bench/ab.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "bench/ab_impl.h"

enum { WARMUP_MAX = 50, FAILURES_CEILING = 40, TIMEOUTS_MAX = 1 };

typedef struct Ab {
    AbOptions o;
    Rng rng;
    AbLook looks[AB_LOOKS_MAX];
    size_t look_count;
    size_t next_look;
    double alpha_spent;
    size_t pairs;
    size_t rounds;
    size_t capacity;
    int64_t start_ns;
    Arena *arena;
    AbResult r;
} Ab;

int ab_check(const AbOptions *o, Err *e)
{
    if (o->metrics > AB_METRICS_MAX || o->primary >= o->metrics) {
        return err_set(e, ERR_ARG,
                       "%zu metrics of a sample, of which number %zu decides: the "
                       "limit is %d",
                       o->metrics, o->primary, AB_METRICS_MAX);
    }
    if (!(o->alpha < 0.5) || !(o->min_effect < 100) || !(o->margin < 100)) {
        return err_set(e, ERR_ARG, "alpha must be below 0.5, effects below 100");
    }
    if (o->max_pairs < AB_PAIRS_MIN || o->max_pairs > AB_PAIRS_MAX ||
        o->first_look < AB_PAIRS_MIN) {
        return err_set(e, ERR_ARG, "%zu pairs: there must be %d to %d, and %d at the first look",
                       o->max_pairs, AB_PAIRS_MIN, AB_PAIRS_MAX, AB_PAIRS_MIN);
    }
    if (o->warmup > WARMUP_MAX || o->failures_max > FAILURES_CEILING) {
        return err_set(e, ERR_ARG, "at most %d rounds of warm-up, %d failures", WARMUP_MAX,
                       FAILURES_CEILING);
    }
    return 0;
}

static int64_t elapsed(const Ab *ab)
{
    return clock_now(ab->o.clock) - ab->start_ns;
}

// ---- one round

static void count_failure(Ab *ab, const AbSample *s)
{
    ab->r.failures += s->end == AB_SAMPLE_FAILED;
    ab->r.timeouts += s->end == AB_TIMED_OUT;
    if (ab->r.timeouts > TIMEOUTS_MAX || ab->r.failures > ab->o.failures_max) {
        ab->r.outcome = AB_ARM_FAILED;
        ab->r.failed_arm = s->ask.arm == AB_CONTROL ? AB_BASE : s->ask.arm;
        Slice words = arena_printf(ab->arena, "the %s %s %zu times", AB_ARM_NAMES[ab->r.failed_arm],
                                   s->end == AB_TIMED_OUT ? "did not end in time" : "failed",
                                   ab->r.failures + ab->r.timeouts);
        ab->r.reason = words.ptr;
    }
}

static int take_sample(Ab *ab, const AbAsk *ask, Err *e)
{
    AbSample *s = &ab->r.samples[ab->r.sample_count];
    AbMeasured m = {.end = AB_SAMPLE_FAILED};
    *s = (AbSample){.ask = *ask, .start_ns = elapsed(ab)};
    int rc = ab->o.sample_fn(ab->o.ctx, ask, &m, e);
    if (rc != 0) {
        return rc;
    }
    s->end = m.end;
    s->wall_ns = elapsed(ab) - s->start_ns;
    memcpy(s->values, m.values, ab->o.metrics * sizeof s->values[0]);
    double value = m.values[ab->o.primary];
    if (s->end == AB_MEASURED && !(isfinite(value) && value > 0)) {
        s->end = AB_SAMPLE_FAILED; // no number is no measurement, whatever it is called
    }
    ab->r.sample_count++;
    return 0;
}

// The rest of a round is not run when one of its samples is no measurement.
static int run_round(Ab *ab, bool warmup, Err *e)
{
    AbArm order[AB_ARMS] = {AB_BASE, AB_CONTROL, AB_CANDIDATE};
    size_t first = ab->r.sample_count;
    bool good = true;
    int rc = 0;
    rng_shuffle(&ab->rng, order, AB_ARMS, sizeof order[0]);
    for (unsigned place = 0; place < AB_ARMS && good && rc == 0; place++) {
        AbAsk ask = {.arm = order[place], .round = ab->rounds, .place = place, .warmup = warmup};
        rc = take_sample(ab, &ask, e);
        good = rc == 0 && ab->r.samples[ab->r.sample_count - 1].end == AB_MEASURED;
    }
    for (size_t i = first; i < ab->r.sample_count; i++) {
        ab->r.samples[i].dropped = !good;
    }
    if (rc == 0 && !good) {
        count_failure(ab, &ab->r.samples[ab->r.sample_count - 1]);
    }
    ab->rounds++;
    ab->pairs += good && !warmup;
    return rc;
}

// ---- looks

static int look(Ab *ab, double alpha, bool last, bool *ret_decided, Err *e)
{
    AbContrast c;
    int rc = ab_compare_metric(ab->r.samples, ab->r.sample_count, ab->o.primary, alpha, &c, e);
    if (rc == 0) {
        ab->r.looks++;
        ab->r.look_alpha = alpha;
        ab->alpha_spent += alpha;
        *ret_decided = ab_judge(&ab->o, &c, last, &ab->r);
    }
    return rc;
}

static int planned_look(Ab *ab, bool *ret_decided, Err *e)
{
    *ret_decided = false;
    if (ab->next_look + 1 >= ab->look_count || ab->pairs < ab->looks[ab->next_look].pairs) {
        return 0; // the last one is taken when no round follows
    }
    return look(ab, ab->looks[ab->next_look++].alpha, false, ret_decided, e);
}

static void report(const Ab *ab, bool warmup)
{
    if (ab->o.progress_fn) {
        ab->o.progress_fn(ab->o.progress_ctx, &(AbProgress){.pairs = ab->pairs,
                                                            .max_pairs = ab->o.max_pairs,
                                                            .warmup = warmup,
                                                            .looks = ab->r.looks,
                                                            .elapsed_ns = elapsed(ab),
                                                            .budget_ns = ab->o.budget_ns,
                                                            .effect = ab->r.primary});
    }
}

// The mean round of those so far, warm-up included.
static bool fits(const Ab *ab)
{
    int64_t now = elapsed(ab);
    int64_t round_ns = ab->rounds > 0 ? now / (int64_t)ab->rounds : 0;
    return ab->o.budget_ns == 0 || now + round_ns <= ab->o.budget_ns;
}

static int run_rounds(Ab *ab, bool *ret_decided, Err *e)
{
    int rc = 0;
    for (size_t i = 0; i < ab->o.warmup && rc == 0 && ab->r.outcome != AB_ARM_FAILED; i++) {
        rc = run_round(ab, true, e);
        report(ab, true);
    }
    while (rc == 0 && !*ret_decided && ab->r.outcome != AB_ARM_FAILED &&
           ab->pairs < ab->o.max_pairs && fits(ab)) {
        rc = run_round(ab, false, e);
        if (rc == 0 && ab->r.outcome != AB_ARM_FAILED) {
            rc = planned_look(ab, ret_decided, e);
        }
        report(ab, false);
    }
    return rc;
}

// The last look takes what the others left of alpha, however many pairs there are by then: that the
// time is over depends on how long the samples took, and not on which arm was which.
static int finish(Ab *ab, bool decided, Err *e)
{
    int rc = 0;
    if (ab->r.outcome == AB_ARM_FAILED) {
        AbContrast c;
        ab->r.look_alpha = ab->o.alpha;
        rc =
            ab_compare_metric(ab->r.samples, ab->r.sample_count, ab->o.primary, ab->o.alpha, &c, e);
        if (rc == 0) {
            ab->r.primary = c.effect;
            ab->r.control = c.control;
        }
    } else if (!decided) {
        rc = look(ab, ab->o.alpha - ab->alpha_spent, true, &decided, e);
    }
    return rc == 0 ? ab_fill_metrics(&ab->o, ab->r.samples, ab->r.sample_count, &ab->r, e) : rc;
}

static int prepare(Ab *ab, const AbOptions *options, Err *e)
{
    ab->o = ab_defaults(options);
    int rc = ab_check(&ab->o, e);
    if (rc != 0) {
        return rc;
    }
    ab->capacity =
        AB_ARMS * (ab->o.max_pairs + ab->o.warmup + ab->o.failures_max + TIMEOUTS_MAX + 2);
    if (arena_left(ab->arena) < ab->capacity * sizeof(AbSample) + (64 << 10)) {
        return err_set(e, ERR_LIMIT, "no room for %zu samples", ab->capacity);
    }
    ab->look_count = ab_looks(&ab->o, ab->looks);
    ab->rng = rng_stream(ab->o.seed, SLICE("ab-order"), 0);
    ab->r.samples = ARENA_ARRAY(ab->arena, AbSample, ab->capacity);
    ab->r.primary = ab->r.control = (AbComparison){.ratio = NAN, .interval = {0, INFINITY, 0}};
    ab->r.reason = "it was stopped before the first look";
    ab->start_ns = clock_now(ab->o.clock);
    return 0;
}

int ab_run(const AbOptions *options, Arena *arena, AbResult *ret_result, Err *e)
{
    Ab ab = {.arena = arena};
    int rc = prepare(&ab, options, e);
    if (rc != 0) {
        return rc;
    }
    bool decided = false;
    rc = run_rounds(&ab, &decided, e);
    int stopped = rc;
    if (rc == 0) {
        rc = finish(&ab, decided, e);
    } else {
        ab.r.outcome = AB_UNDECIDED;
        ab.r.reason = "it was stopped";
    }
    ab.r.elapsed_ns = elapsed(&ab);
    if (rc == 0 || stopped != 0) {
        *ret_result = ab.r;
    }
    return rc;
}
