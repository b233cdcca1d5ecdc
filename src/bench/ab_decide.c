// What the samples of a comparison say. docs/internals/ab.md has the method.
#include "bench/ab_impl.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "stat/ranks.h"
#include "stat/sample.h"

const char *const AB_ARM_NAMES[AB_ARMS + 1] = {"base", "control", "candidate", NULL};
const char *const AB_OUTCOME_NAMES[AB_OUTCOMES + 1] = {
    "undecided", "faster", "faster-small", "same", "slower", "cannot-tell", "arm-failed", NULL};

// The control is reported at this confidence, and doubted when it excludes equality at the other: a
// sound control must not end one comparison in twenty.
static const double CONTROL_CONFIDENCE = 0.95;
static const double CONTROL_DOUBT = 0.01;
// The next look is taken when there are this many times the pairs of the last: information for a
// verdict grows with the square root, so denser looks spend alpha on little news.
static const double LOOK_GROWTH = 1.4;
static const double FIRST_SHARE = 0.2;  // of alpha, at the first look
static const double NEXT_SHARE = 0.125; // of what is left, at each further look
// A pair count is a guess from one interval's width: promise a little less.
static const double MORE_FACTOR = 1.2;

AbOptions ab_defaults(const AbOptions *options)
{
    AbOptions o = *options;
    o.metrics = o.metrics ? o.metrics : 1;
    o.alpha = o.alpha > 0 ? o.alpha : AB_ALPHA_DEFAULT;
    o.min_effect = o.min_effect > 0 ? o.min_effect : AB_MIN_EFFECT_DEFAULT;
    o.margin = o.margin > 0 ? o.margin : o.min_effect;
    o.max_pairs = o.max_pairs ? o.max_pairs : AB_PAIRS_DEFAULT;
    o.first_look = o.first_look ? o.first_look : AB_PAIRS_FIRST;
    o.warmup = o.warmup || o.warmup_given ? o.warmup : AB_WARMUP_DEFAULT;
    o.failures_max = o.failures_max ? o.failures_max : AB_FAILURES_DEFAULT;
    o.clock = o.clock ? o.clock : clock_real();
    return o;
}

// The smallest p of n pairs is 2 / 2^n: with fewer than these a look at `alpha` decides nothing.
static size_t decisive_pairs(double alpha)
{
    return (size_t)ceil(log2(2 / alpha) - 1e-9);
}

size_t ab_looks(const AbOptions *options, AbLook ret_looks[AB_LOOKS_MAX])
{
    AbOptions o = ab_defaults(options);
    size_t count = 0;
    double left = o.alpha;
    double share = FIRST_SHARE;
    size_t pairs = o.fixed ? o.max_pairs : o.first_look;
    size_t least = decisive_pairs(left * share);
    pairs = pairs < least ? least : pairs;
    while (pairs < o.max_pairs && count < AB_LOOKS_MAX - 1) {
        ret_looks[count++] = (AbLook){pairs, left * share};
        left -= left * share;
        share = NEXT_SHARE;
        pairs = (size_t)ceil((double)pairs * LOOK_GROWTH);
    }
    ret_looks[count++] = (AbLook){o.max_pairs, left};
    return count;
}

// ---- from samples to pairs

static const AbComparison NOTHING = {.ratio = NAN, .interval = {0, INFINITY, 0}, .log_sd = NAN};

static bool usable(double value)
{
    return isfinite(value) && value > 0;
}

// Logarithms of two arms' values, of the rounds that have both. Samples of a round are neighbours.
static size_t pairs_of(const AbSample *samples, size_t count, size_t metric, AbArm arm,
                       double *base, double *other)
{
    size_t n = 0;
    for (size_t i = 0; i < count;) {
        double values[AB_ARMS] = {NAN, NAN, NAN};
        size_t first = i;
        for (; i < count && samples[i].ask.round == samples[first].ask.round; i++) {
            const AbSample *s = &samples[i];
            if (!s->ask.warmup && !s->dropped && s->end == AB_MEASURED) {
                values[s->ask.arm] = s->values[metric];
            }
        }
        if (usable(values[AB_BASE]) && usable(values[arm])) {
            base[n] = log(values[AB_BASE]);
            other[n++] = log(values[arm]);
        }
    }
    return n;
}

static double pair_sd(const double *x, const double *y, size_t n)
{
    double *off = mem_alloc((n + 1) * sizeof *off);
    for (size_t i = 0; i < n; i++) {
        off[i] = y[i] - x[i];
    }
    double sd = n > 1 ? sample_mad(off, n) : NAN;
    free(off);
    return sd;
}

// The ranks may not reach the confidence with so few pairs: then nothing is bounded.
static int compare_pairs(const double *x, const double *y, size_t n, double alpha,
                         AbComparison *ret, Err *e)
{
    *ret = NOTHING;
    ret->interval.confidence = 1 - alpha;
    if (n == 0) {
        return 0;
    }
    Shift shift;
    int rc = ranks_paired_shift(x, y, n, 1 - alpha, &shift, e);
    if (rc != 0) {
        return rc;
    }
    ret->pairs = n;
    ret->ratio = exp(shift.estimate);
    ret->log_sd = pair_sd(x, y, n);
    if (shift.interval.confidence >= 1 - alpha - 1e-12) {
        ret->interval = (Interval){exp(shift.interval.low), exp(shift.interval.high), 1 - alpha};
    }
    return 0;
}

int ab_compare_metric(const AbSample *samples, size_t count, size_t metric, double alpha,
                      AbContrast *ret, Err *e)
{
    double *x = mem_alloc((count + 1) * sizeof *x);
    double *y = mem_alloc((count + 1) * sizeof *y);
    size_t n = pairs_of(samples, count, metric, AB_CANDIDATE, x, y);
    int rc = compare_pairs(x, y, n, alpha, &ret->effect, e);
    if (rc == 0) {
        n = pairs_of(samples, count, metric, AB_CONTROL, x, y);
        rc = compare_pairs(x, y, n, 1 - CONTROL_CONFIDENCE, &ret->control, e);
        RankTest test = ranks_signed(x, y, n);
        ret->control_differs = n >= AB_PAIRS_MIN && test.p < CONTROL_DOUBT;
    }
    free(x);
    free(y);
    return rc;
}

// ---- from intervals to an outcome

typedef struct Gains {
    double estimate, low, high; // logarithms; above 0 is better
} Gains;

static Gains gains_of(const AbComparison *c, bool more_is_better)
{
    Gains g = {log(c->ratio), log(c->interval.low), log(c->interval.high)};
    return more_is_better ? g : (Gains){-g.estimate, -g.high, -g.low};
}

double ab_speedup(double ratio, bool more_is_better)
{
    return more_is_better ? ratio : 1 / ratio;
}

Interval ab_speedup_interval(Interval ratio, bool more_is_better)
{
    return more_is_better ? ratio : (Interval){1 / ratio.high, 1 / ratio.low, ratio.confidence};
}

static double half_width(const AbComparison *control)
{
    return (log(control->interval.high) - log(control->interval.low)) / 2;
}

// About how many pairs bring the nearest verdict, when the interval narrows as 1 / sqrt(n).
static size_t pairs_wanted(const AbOptions *o, const AbComparison *effect, const Gains *g,
                           double threshold)
{
    double half = (g->high - g->low) / 2;
    if (!isfinite(half)) {
        AbLook looks[AB_LOOKS_MAX];
        (void)ab_looks(o, looks);
        return looks[0].pairs;
    }
    double m = g->estimate;
    double room = log1p(o->margin) - fabs(m); // same
    double other = m > threshold ? m - threshold : m > 0 ? fmin(m, threshold - m) : -m;
    room = fmax(room, other);
    if (room <= 0) {
        return 0;
    }
    double wanted = (double)effect->pairs * (half / room) * (half / room) * MORE_FACTOR;
    return wanted > AB_PAIRS_MAX ? 0 : (size_t)ceil(wanted);
}

static void undecided(const AbOptions *o, const AbContrast *c, const Gains *g, double threshold,
                      bool wide, AbResult *r)
{
    size_t wanted = pairs_wanted(o, &c->effect, g, threshold);
    r->more_pairs = wanted > c->effect.pairs ? wanted - c->effect.pairs : 0;
    if (wide && isfinite(g->high - g->low)) {
        r->outcome = AB_CANNOT_TELL;
        r->reason = "the base differs from itself by more than the minimum effect here";
        return;
    }
    r->outcome = AB_UNDECIDED;
    r->reason = isfinite(g->high - g->low) ? "the interval holds more than one verdict"
                                           : "too few pairs for any verdict";
}

// True: decided for good. `last`: there will be no further look.
bool ab_judge(const AbOptions *o, const AbContrast *c, bool last, AbResult *r)
{
    Gains g = gains_of(&c->effect, o->more_is_better);
    double needed = log1p(o->min_effect);
    double noise = half_width(&c->control);
    bool wide = !(noise <= needed);
    // An effect that dwarfs the noise is no less real where the noise is large.
    double threshold = wide ? 2 * noise : needed;
    double none = wide ? threshold : 0;
    r->threshold = expm1(threshold);
    r->primary = c->effect;
    r->control = c->control;
    r->outcome = AB_UNDECIDED;
    if (c->control_differs) {
        r->outcome = AB_CANNOT_TELL;
        r->reason = "the base differs from itself: something besides the code decides the time";
        return false; // the next look may find it a chance
    }
    if (g.low > threshold) {
        r->outcome = AB_FASTER;
        r->reason = "the interval lies beyond the minimum effect";
    } else if (g.high < -none) {
        r->outcome = AB_SLOWER;
        r->reason = "the interval lies on the slower side of no effect";
    } else if (!wide && g.low > 0 && (last || g.high < threshold)) {
        r->outcome = AB_FASTER_SMALL;
        r->reason = "faster, but not shown to be so by the minimum effect";
    } else if (!wide && g.low > -log1p(o->margin) && g.high < log1p(o->margin) && g.low <= 0) {
        r->outcome = AB_SAME;
        r->reason = "the interval lies within the margin of equality";
    } else {
        undecided(o, c, &g, threshold, wide, r);
        return false;
    }
    return true;
}

int ab_fill_metrics(const AbOptions *o, const AbSample *samples, size_t count, AbResult *r, Err *e)
{
    for (size_t i = 0; i < o->metrics; i++) {
        AbContrast c;
        int rc = ab_compare_metric(samples, count, i, r->look_alpha, &c, e);
        if (rc != 0) {
            return rc;
        }
        r->metrics[i] = c.effect;
        r->controls[i] = c.control;
    }
    return 0;
}

int ab_decide(const AbOptions *options, const AbSample *samples, size_t count, AbResult *ret_result,
              Err *e)
{
    AbOptions o = ab_defaults(options);
    int rc = ab_check(&o, e);
    if (rc != 0) {
        return rc;
    }
    AbResult r = {.look_alpha = o.alpha, .looks = 1};
    for (size_t i = 0; i < count; i++) {
        r.failures += samples[i].end == AB_SAMPLE_FAILED;
        r.timeouts += samples[i].end == AB_TIMED_OUT;
    }
    AbContrast c;
    rc = ab_compare_metric(samples, count, o.primary, o.alpha, &c, e);
    if (rc == 0) {
        (void)ab_judge(&o, &c, true, &r);
        rc = ab_fill_metrics(&o, samples, count, &r, e);
    }
    if (rc == 0) {
        *ret_result = r;
    }
    return rc;
}
