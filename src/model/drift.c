#include "model/drift.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "stat/dist.h"

// ---- the window

void adwin_init(Adwin *a, double delta)
{
    memset(a, 0, sizeof *a);
    a->delta = delta;
}

// Two groups as one: the squares of the differences from the mean of both (Chan, Golub, LeVeque).
static double merged_squares(double n0, double sum0, double squares0, double n1, double sum1,
                             double squares1)
{
    double apart = n0 > 0 && n1 > 0 ? sum0 / n0 - sum1 / n1 : 0;
    double both = n0 + n1;
    return squares0 + squares1 + (both > 0 ? n0 * n1 / both * apart * apart : 0);
}

static void drop_oldest(Adwin *a)
{
    int r = ADWIN_ROWS - 1;
    while (r >= 0 && a->counts[r] == 0) {
        r--;
    }
    if (r < 0) {
        return;
    }
    AdwinBucket gone = a->rows[r][0];
    double n = ldexp(1, r), rest = (double)a->width - n;
    double sum = a->sum - gone.sum;
    double apart = rest > 0 ? gone.sum / n - sum / rest : 0;
    a->squares = fmax(a->squares - gone.squares - n * rest / (double)a->width * apart * apart, 0);
    a->sum = sum;
    a->width -= UINT64_C(1) << r;
    a->counts[r]--;
    memmove(a->rows[r], a->rows[r] + 1, a->counts[r] * sizeof gone);
}

static void compress(Adwin *a)
{
    for (int r = 0; r + 1 < ADWIN_ROWS && a->counts[r] > ADWIN_BUCKETS; r++) {
        AdwinBucket *row = a->rows[r], *up = &a->rows[r + 1][a->counts[r + 1]];
        double n = ldexp(1, r);
        up->sum = row[0].sum + row[1].sum;
        up->squares = merged_squares(n, row[0].sum, row[0].squares, n, row[1].sum, row[1].squares);
        a->counts[r + 1]++;
        a->counts[r] = (uint8_t)(a->counts[r] - 2);
        memmove(row, row + 2, a->counts[r] * sizeof *row);
    }
    if (a->counts[ADWIN_ROWS - 1] > ADWIN_BUCKETS) {
        drop_oldest(a);
    }
}

// Is there a split into older and newer whose means differ? Splits lie between buckets.
static bool differs(const Adwin *a)
{
    double n = (double)a->width, n0 = 0, sum0 = 0;
    double variance = a->squares / n;
    double log_term = log(2 * log(n) / a->delta);
    for (int r = ADWIN_ROWS - 1; r >= 0; r--) {
        for (int i = 0; i < a->counts[r]; i++) {
            n0 += ldexp(1, r);
            sum0 += a->rows[r][i].sum;
            double n1 = n - n0;
            if (n1 < 1) {
                return false;
            }
            double m = 1 / (1 / n0 + 1 / n1);
            double cut = sqrt(2 / m * variance * log_term) + 2 / (3 * m) * log_term;
            if (fabs(sum0 / n0 - (a->sum - sum0) / n1) >= cut) {
                return true;
            }
        }
    }
    return false;
}

bool adwin_tell(Adwin *a, double value)
{
    double x = value > 0 ? fmin(value, 1) : 0;
    a->squares = merged_squares((double)a->width, a->sum, a->squares, 1, x, 0);
    a->sum += x;
    a->width++;
    a->rows[0][a->counts[0]++] = (AdwinBucket){x, 0};
    compress(a);
    bool shrank = false;
    // Of two values nothing can be said, and ln(ln(n)) wants n > e.
    while (a->width >= 4 && differs(a)) {
        drop_oldest(a);
        shrank = true;
    }
    return shrank;
}

double adwin_mean(const Adwin *a)
{
    return a->width > 0 ? a->sum / (double)a->width : NAN;
}

// ---- Page and Hinkley

void page_hinkley_init(PageHinkley *p, double slack, double limit)
{
    *p = (PageHinkley){.slack = slack, .limit = limit};
}

bool page_hinkley_tell(PageHinkley *p, double value)
{
    p->count++;
    p->mean += (value - p->mean) / (double)p->count;
    p->rise += value - p->mean - p->slack;
    p->fall += value - p->mean + p->slack;
    p->rise_low = fmin(p->rise_low, p->rise);
    p->fall_high = fmax(p->fall_high, p->fall);
    bool alarm = p->rise - p->rise_low > p->limit || p->fall_high - p->fall > p->limit;
    if (alarm) {
        page_hinkley_init(p, p->slack, p->limit);
    }
    return alarm;
}

// ---- residuals

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Place of a value among the sorted ones, 0..1, the middle of its equals.
static double rank_of(const double *sorted, size_t n, double value)
{
    size_t below = 0, equal = 0;
    for (size_t i = 0; i < n; i++) {
        below += sorted[i] < value;
        equal += sorted[i] == value;
    }
    return ((double)below + ((double)equal + 1) / 2) / (double)(n + 1);
}

static bool tell_both(DriftMonitor *m, double residual, DriftKind *ret)
{
    bool bias = adwin_tell(&m->bias, rank_of(m->signed_sorted, m->known, residual));
    bool spread = adwin_tell(&m->spread, rank_of(m->size_sorted, m->known, fabs(residual)));
    *ret = bias ? DRIFT_BIAS : spread ? DRIFT_SPREAD : DRIFT_NONE;
    return bias || spread;
}

void drift_init(DriftMonitor *m, const double *residuals, size_t n, double delta)
{
    memset(m, 0, sizeof *m);
    adwin_init(&m->bias, delta);
    adwin_init(&m->spread, delta);
    const double *newest = residuals;
    if (n > DRIFT_RESIDUALS_MAX) {
        newest = residuals + (n - DRIFT_RESIDUALS_MAX);
        n = DRIFT_RESIDUALS_MAX;
    }
    m->known = n;
    for (size_t i = 0; i < n; i++) {
        m->signed_sorted[i] = newest[i];
        m->size_sorted[i] = fabs(newest[i]);
    }
    qsort(m->signed_sorted, n, sizeof(double), compare_doubles);
    qsort(m->size_sorted, n, sizeof(double), compare_doubles);
    // What comes is compared with what the fit saw, so that begins the window.
    for (size_t i = 0; i < n; i++) {
        DriftKind ignored;
        (void)tell_both(m, newest[i], &ignored);
    }
}

DriftKind drift_tell(DriftMonitor *m, double residual)
{
    DriftKind kind;
    m->told++;
    // A prediction or an outcome that is not a number is as far off as can be.
    (void)tell_both(m, isnan(residual) ? INFINITY : residual, &kind);
    return kind;
}

uint64_t drift_window(const DriftMonitor *m)
{
    return m->bias.width < m->spread.width ? m->bias.width : m->spread.width;
}

// ---- fitting again

const char *const REFIT_REASON_NAMES[REFIT_REASONS] = {"none", "drift", "coverage", "region",
                                                       "growth"};

// The share of misses is called too high when chance alone does that once in a thousand refits.
#define MISS_CHANCE 0.001

RefitAdvice refit_advise(const RefitFacts *f)
{
    size_t least = 3 * (f->inputs + 1) > 20 ? 3 * (f->inputs + 1) : 20;
    if (f->drifted) {
        size_t since = f->window < f->rows_now ? (size_t)f->window : f->rows_now;
        // What was before belongs to another system: too few rows of this one are waited for.
        return since >= least ? (RefitAdvice){REFIT_DRIFT, since} : (RefitAdvice){REFIT_NONE, 0};
    }
    if (f->rows_now <= f->rows_fitted || f->rows_now < least) {
        return (RefitAdvice){REFIT_NONE, 0};
    }
    if (f->missed > 0 &&
        dist_binom_at_least((double)f->missed, (double)f->told, 1 - f->confidence) < MISS_CHANCE) {
        return (RefitAdvice){REFIT_COVERAGE, f->rows_now};
    }
    if (f->asked >= 20 && f->outside * 10 >= f->asked) {
        return (RefitAdvice){REFIT_REGION, f->rows_now};
    }
    if (f->rows_now >= f->rows_fitted + f->rows_fitted / 2) {
        return (RefitAdvice){REFIT_GROWTH, f->rows_now};
    }
    return (RefitAdvice){REFIT_NONE, 0};
}
