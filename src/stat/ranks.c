#include "stat/ranks.h"

#include <math.h>
#include <stdlib.h>

#include "stat/dist.h"
#include "stat/sample.h"

// ---- null distributions ----

// P(U = u) for u = 0 .. nx * ny without ties. Counts the ways to choose nx of the ranks 1 .. nx +
// ny, rank by rank: taking rank r as the j-th smallest means that r - j values of the other group
// lie below it. Only additions of positive numbers, so no digit is lost; doubles hold C(98, 49)
// easily.
static double *mann_whitney_pmf(size_t nx, size_t ny)
{
    size_t u_max = nx * ny;
    double *ways = mem_zalloc((nx + 1) * (u_max + 1) * sizeof *ways);
    ways[0] = 1;
    for (size_t r = 1; r <= nx + ny; r++) {
        for (size_t j = r < nx ? r : nx; j >= 1 && r - j <= ny; j--) {
            const double *from = ways + (j - 1) * (u_max + 1);
            double *to = ways + j * (u_max + 1);
            for (size_t u = r - j; u <= u_max; u++) {
                to[u] += from[u - (r - j)];
            }
        }
    }
    double *pmf = mem_alloc((u_max + 1) * sizeof *pmf);
    double total = 0;
    for (size_t u = 0; u <= u_max; u++) {
        total += ways[nx * (u_max + 1) + u];
    }
    for (size_t u = 0; u <= u_max; u++) {
        pmf[u] = ways[nx * (u_max + 1) + u] / total;
    }
    free(ways);
    return pmf;
}

// P(V = v) for v = 0 .. n (n + 1) / 2: every rank is in the sum or not, with equal chance.
static double *signed_rank_pmf(size_t n)
{
    size_t v_max = n * (n + 1) / 2;
    double *pmf = mem_zalloc((v_max + 1) * sizeof *pmf);
    pmf[0] = 1;
    for (size_t r = 1; r <= n; r++) {
        for (size_t v = v_max + 1; v-- > 0;) {
            pmf[v] = (pmf[v] + (v >= r ? pmf[v - r] : 0)) / 2;
        }
    }
    return pmf;
}

// Both distributions are symmetric, so the upper tail is the lower one of the mirrored statistic.
static double lower_tail(const double *pmf, size_t at_most)
{
    double sum = 0;
    for (size_t i = 0; i <= at_most; i++) {
        sum += pmf[i];
    }
    return fmin(sum, 1);
}

static RankTest exact_test(const double *pmf, double statistic, size_t maximum)
{
    RankTest t = {.statistic = statistic, .exact = true};
    t.p_less = lower_tail(pmf, (size_t)statistic);
    t.p_greater = lower_tail(pmf, maximum - (size_t)statistic);
    t.p = fmin(1, 2 * fmin(t.p_less, t.p_greater));
    return t;
}

static RankTest normal_test(double statistic, double mean, double variance)
{
    RankTest t = {.statistic = statistic, .exact = false, .p = 1, .p_less = 1, .p_greater = 1};
    double off = statistic - mean;
    double sd = sqrt(variance);
    if (sd > 0) { // zero when all values are equal
        t.p_less = dist_normal_cdf((off + 0.5) / sd);
        t.p_greater = dist_normal_cdf(-(off - 0.5) / sd);
        t.p = fmin(1, 2 * fmin(t.p_less, t.p_greater));
    }
    return t;
}

// ---- ranks ----

typedef struct Item {
    double value;
    double sign; // what its rank counts for: 1 in the statistic, 0 not
} Item;

static int by_value(const void *a, const void *b)
{
    const Item *x = a;
    const Item *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

// Sum of the mid-ranks of the items whose sign is 1; *ret_ties is the sum of t^3 - t over groups
// of t equal values.
static double rank_sum(Item *items, size_t n, double *ret_ties)
{
    double sum = 0;
    *ret_ties = 0;
    qsort(items, n, sizeof *items, by_value);
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && items[end].value == items[i].value) {
            end++;
        }
        double tied = (double)(end - i);
        double rank = ((double)i + 1 + (double)end) / 2;
        *ret_ties += tied * tied * tied - tied;
        for (; i < end; i++) {
            sum += items[i].sign * rank;
        }
    }
    return sum;
}

static const RankTest no_test = {.statistic = NAN, .p = NAN, .p_less = NAN, .p_greater = NAN};

RankTest ranks_mann_whitney(const double *x, size_t nx, const double *y, size_t ny)
{
    if (nx == 0 || ny == 0) {
        return no_test;
    }
    size_t n = nx + ny;
    Item *items = mem_alloc(n * sizeof *items);
    for (size_t i = 0; i < n; i++) {
        items[i] = i < nx ? (Item){x[i], 0} : (Item){y[i - nx], 1};
    }
    double ties;
    double u = rank_sum(items, n, &ties) - (double)ny * (double)(ny + 1) / 2;
    free(items);
    double pairs = (double)nx * (double)ny;
    if (ties == 0 && nx < RANKS_EXACT_BELOW && ny < RANKS_EXACT_BELOW) {
        double *pmf = mann_whitney_pmf(nx, ny);
        RankTest t = exact_test(pmf, u, nx * ny);
        free(pmf);
        return t;
    }
    double total = (double)n;
    double variance = pairs / 12 * (total + 1 - ties / (total * (total - 1)));
    return normal_test(u, pairs / 2, variance);
}

RankTest ranks_signed(const double *x, const double *y, size_t n)
{
    Item *items = mem_alloc((n + 1) * sizeof *items);
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        double off = y[i] - x[i];
        if (off != 0) {
            items[used++] = (Item){fabs(off), off > 0};
        }
    }
    if (used == 0) {
        free(items);
        return no_test;
    }
    double ties;
    double v = rank_sum(items, used, &ties);
    free(items);
    if (ties == 0 && used == n && n < RANKS_EXACT_BELOW) {
        double *pmf = signed_rank_pmf(n);
        RankTest t = exact_test(pmf, v, n * (n + 1) / 2);
        free(pmf);
        return t;
    }
    double m = (double)used;
    return normal_test(v, m * (m + 1) / 4, m * (m + 1) * (2 * m + 1) / 24 - ties / 48);
}

// ---- shifts ----

// The interval between the k-th smallest and k-th largest of the sorted candidates misses the truth
// when the test's statistic is k - 1 or less on either side. Takes the largest k that keeps the
// confidence, 1 where none does. pmf is NULL for the normal approximation.
static Interval shift_interval(const double *sorted, size_t count, const double *pmf, double sd,
                               double confidence)
{
    double tail = (1 - confidence) / 2;
    size_t k = 1;
    double missed = 0;
    if (pmf != NULL) {
        missed = pmf[0];
        while (k < (count + 1) / 2 && missed + pmf[k] < tail) {
            missed += pmf[k];
            k++;
        }
    } else {
        double z = dist_normal_quantile(1 - tail);
        double place = floor((double)count / 2 - z * sd);
        k = place > 1 ? (size_t)place : 1;
        missed = tail;
    }
    return (Interval){sorted[k - 1], sorted[count - k], fmax(0, 1 - 2 * missed)};
}

int ranks_shift(const double *x, size_t nx, const double *y, size_t ny, double confidence,
                Shift *ret_shift, Err *e)
{
    if (nx == 0 || ny == 0) {
        return err_set(e, ERR_ARG, "a shift needs values on both sides");
    }
    if (nx > RANKS_PAIRS_MAX / ny) {
        return err_set(e, ERR_LIMIT, "%zu x %zu pairs, the limit is %d", nx, ny, RANKS_PAIRS_MAX);
    }
    size_t count = nx * ny;
    double *differences = mem_alloc(count * sizeof *differences);
    for (size_t i = 0; i < count; i++) {
        differences[i] = y[i % ny] - x[i / ny];
    }
    sample_sort(differences, count);
    bool exact = nx < RANKS_EXACT_BELOW && ny < RANKS_EXACT_BELOW;
    double *pmf = exact ? mann_whitney_pmf(nx, ny) : NULL;
    double sd = sqrt((double)count * (double)(nx + ny + 1) / 12);
    ret_shift->estimate = sample_quantile(differences, count, 0.5);
    ret_shift->interval = shift_interval(differences, count, pmf, sd, confidence);
    free(pmf);
    free(differences);
    return 0;
}

int ranks_paired_shift(const double *x, const double *y, size_t n, double confidence,
                       Shift *ret_shift, Err *e)
{
    if (n == 0) {
        return err_set(e, ERR_ARG, "a shift needs at least one pair");
    }
    if (n > 2 * RANKS_PAIRS_MAX / (n + 1)) {
        return err_set(e, ERR_LIMIT, "averages of %zu pairs, the limit is %d", n, RANKS_PAIRS_MAX);
    }
    size_t count = n * (n + 1) / 2;
    double *walsh = mem_alloc(count * sizeof *walsh);
    for (size_t i = 0, at = 0; i < n; i++) {
        for (size_t j = i; j < n; j++) {
            walsh[at++] = (y[i] - x[i] + y[j] - x[j]) / 2;
        }
    }
    sample_sort(walsh, count);
    double *pmf = n < RANKS_EXACT_BELOW ? signed_rank_pmf(n) : NULL;
    double sd = sqrt((double)n * (double)(n + 1) * (2 * (double)n + 1) / 24);
    ret_shift->estimate = sample_quantile(walsh, count, 0.5);
    ret_shift->interval = shift_interval(walsh, count, pmf, sd, confidence);
    free(pmf);
    free(walsh);
    return 0;
}
