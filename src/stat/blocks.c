#include "stat/blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stat/effective.h"

// One run as a dense table: a row a block that has any value, a column a bucket that any block
// uses. A resample is then a weighted sum of rows, some ten thousand multiplications, where merging
// histograms would walk every octave of every drawn block.
typedef struct Table {
    double *counts; // rows x columns
    HistBucket *buckets;
    size_t rows;
    size_t columns;
    double *sum; // scratch: one resample
    unsigned *weight;
} Table;

static void table_done(Table *t)
{
    free(t->counts);
    free(t->buckets);
    free(t->sum);
    free(t->weight);
}

static void merge_seconds(Hist *into, const Hist *const *seconds, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (seconds[i] != NULL) {
            hist_merge(into, seconds[i]);
        }
    }
}

static void fill_row(Table *t, const Hist *block)
{
    double *row = t->counts + t->rows * t->columns;
    size_t column = 0;
    HistBucket b;
    for (HistIter it = hist_iter(block); hist_next(&it, &b); column++) {
        while (t->buckets[column].low < b.low) {
            row[column++] = 0;
        }
        row[column] = (double)b.count;
    }
    for (; column < t->columns; column++) {
        row[column] = 0;
    }
    t->rows++;
}

static void table_init(Table *t, const Hist *const *seconds, size_t n_seconds)
{
    *t = (Table){0};
    Hist h;
    hist_init(&h);
    merge_seconds(&h, seconds, 0, n_seconds);
    HistBucket b;
    for (HistIter it = hist_iter(&h); hist_next(&it, &b);) {
        t->columns++;
    }
    size_t blocks = effective_blocks(n_seconds);
    t->buckets = mem_alloc((t->columns + 1) * sizeof *t->buckets);
    t->sum = mem_alloc((t->columns + 1) * sizeof *t->sum);
    t->counts = mem_alloc((t->columns * blocks + 1) * sizeof *t->counts);
    t->weight = mem_alloc((blocks + 1) * sizeof *t->weight);
    size_t column = 0;
    for (HistIter it = hist_iter(&h); hist_next(&it, &b);) {
        t->buckets[column++] = b;
    }
    for (size_t i = 0; i < blocks; i++) {
        hist_reset(&h);
        merge_seconds(&h, seconds, effective_block_start(n_seconds, i),
                      effective_block_start(n_seconds, i + 1));
        if (h.count > 0) {
            fill_row(t, &h);
        }
    }
    hist_done(&h);
}

static double add_rows(Table *t)
{
    double total = 0;
    memset(t->sum, 0, t->columns * sizeof *t->sum);
    for (size_t row = 0; row < t->rows; row++) {
        double weight = t->weight[row];
        const double *counts = t->counts + row * t->columns;
        for (size_t i = 0; weight > 0 && i < t->columns; i++) {
            t->sum[i] += weight * counts[i];
        }
    }
    for (size_t i = 0; i < t->columns; i++) {
        total += t->sum[i];
    }
    return total;
}

// The value below which the share q of the sum lies, linear within the bucket: a resample must be
// able to move the quantile by less than a bucket, or small errors would be shown as none.
static double table_quantile(const Table *t, double total, double q, const HistBucket **ret_bucket)
{
    double place = q * total;
    double below = 0;
    size_t i = 0;
    while (i + 1 < t->columns && (t->sum[i] == 0 || below + t->sum[i] < place)) {
        below += t->sum[i++];
    }
    const HistBucket *b = &t->buckets[i];
    double share = t->sum[i] > 0 ? (place - below) / t->sum[i] : 0;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    *ret_bucket = b;
    return (double)b->low + share * (double)(b->high - b->low);
}

typedef struct Moments {
    double sum;
    double squares; // about `origin`, the estimate, so that nothing cancels
    double origin;
} Moments;

static void moments_add(Moments *m, double x)
{
    m->sum += x - m->origin;
    m->squares += (x - m->origin) * (x - m->origin);
}

// Variance over the replicates. The blocks / (blocks - 1) makes up for what drawing from so few
// blocks loses, as n - 1 does in a sample variance; `width` is the bucket's, uniform inside it.
static double moments_error(const Moments *m, size_t n, double rows, double width)
{
    double mean = m->sum / (double)n;
    double variance = fmax(0, m->squares / (double)n - mean * mean);
    return sqrt(variance * rows / (rows - 1) + width * width / 12);
}

static void resample(Table *t, const BlockAsk *ask, size_t replicates, Rng *rng,
                     BlockQuantile *quantiles, const double *widths)
{
    Moments plain[BLOCK_QUANTILES_MAX];
    Moments logs[BLOCK_QUANTILES_MAX];
    for (size_t i = 0; i < ask->n_q; i++) {
        double x = quantiles[i].estimate;
        plain[i] = (Moments){.origin = x};
        logs[i] = (Moments){.origin = x > 0 ? log(x) : (double)NAN};
    }
    for (size_t r = 0; r < replicates; r++) {
        memset(t->weight, 0, t->rows * sizeof *t->weight);
        for (size_t i = 0; i < t->rows; i++) {
            t->weight[rng_below(rng, t->rows)]++;
        }
        double total = add_rows(t);
        for (size_t i = 0; i < ask->n_q; i++) {
            const HistBucket *b;
            double x = table_quantile(t, total, ask->q[i], &b);
            moments_add(&plain[i], x);
            moments_add(&logs[i], x > 0 ? log(x) : (double)NAN);
        }
    }
    double rows = (double)t->rows;
    for (size_t i = 0; i < ask->n_q; i++) {
        BlockQuantile *bq = &quantiles[i];
        bq->standard_error = moments_error(&plain[i], replicates, rows, widths[i]);
        bool positive = bq->estimate > 0 && !isnan(logs[i].sum);
        double width_log = widths[i] / bq->estimate;
        bq->standard_error_log =
            positive ? moments_error(&logs[i], replicates, rows, width_log) : (double)NAN;
    }
}

static int check_ask(size_t n_seconds, const BlockAsk *ask, Err *e)
{
    if (ask->n_q < 1 || ask->n_q > BLOCK_QUANTILES_MAX) {
        return err_set(e, ERR_ARG, "%zu quantiles asked for, 1 to %d are possible", ask->n_q,
                       BLOCK_QUANTILES_MAX);
    }
    for (size_t i = 0; i < ask->n_q; i++) {
        if (!(ask->q[i] >= 0 && ask->q[i] <= 1)) {
            return err_set(e, ERR_ARG, "quantile %g is not between 0 and 1", ask->q[i]);
        }
    }
    if (n_seconds > BLOCK_TEST_SECONDS_MAX || ask->replicates > BLOCK_REPLICATES_MAX) {
        return err_set(e, ERR_LIMIT, "at most %d seconds and %d replicates", BLOCK_TEST_SECONDS_MAX,
                       BLOCK_REPLICATES_MAX);
    }
    return 0;
}

int block_quantiles(const Hist *const *seconds, size_t n_seconds, const BlockAsk *ask, Rng *rng,
                    BlockQuantile *ret_quantiles, Err *e)
{
    int rc = check_ask(n_seconds, ask, e);
    if (rc != 0) {
        return rc;
    }
    Table t;
    table_init(&t, seconds, n_seconds);
    if (t.rows == 0) {
        table_done(&t);
        return err_set(e, ERR_ARG, "no value was recorded in these %zu seconds", n_seconds);
    }
    for (size_t row = 0; row < t.rows; row++) {
        t.weight[row] = 1;
    }
    double total = add_rows(&t);
    double widths[BLOCK_QUANTILES_MAX];
    for (size_t i = 0; i < ask->n_q; i++) {
        const HistBucket *b;
        ret_quantiles[i] = (BlockQuantile){
            .q = ask->q[i],
            .estimate = table_quantile(&t, total, ask->q[i], &b),
            .standard_error = NAN,
            .standard_error_log = NAN,
            .df = (double)t.rows - 1,
        };
        widths[i] = (double)(b->high - b->low);
    }
    if (t.rows > 1) {
        size_t replicates = ask->replicates == 0 ? BLOCK_REPLICATES : ask->replicates;
        resample(&t, ask, replicates, rng, ret_quantiles, widths);
    }
    table_done(&t);
    return 0;
}

static Comparison compare(double difference, double se_base, double df_base, double se_candidate,
                          double df_candidate, bool is_ratio, double confidence)
{
    double a = se_base * se_base;
    double b = se_candidate * se_candidate;
    double df = fmin(df_base, df_candidate);
    if (a + b > 0 && df > 0) {
        df = (a + b) * (a + b) / (a * a / df_base + b * b / df_candidate);
    }
    return compare_from_estimate(difference, sqrt(a + b), df, is_ratio, confidence);
}

Comparison block_compare_ratio(const BlockQuantile *base, const BlockQuantile *candidate,
                               double confidence)
{
    double difference = NAN;
    if (base->estimate > 0 && candidate->estimate > 0) {
        difference = log(candidate->estimate / base->estimate);
    }
    return compare(difference, base->standard_error_log, base->df, candidate->standard_error_log,
                   candidate->df, true, confidence);
}

Comparison block_compare_difference(const BlockQuantile *base, const BlockQuantile *candidate,
                                    double confidence)
{
    return compare(candidate->estimate - base->estimate, base->standard_error, base->df,
                   candidate->standard_error, candidate->df, false, confidence);
}
