#include "bench/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "stat/dist.h"
#include "stat/ranks_exact.h"
#include "stat/sample.h"

// Beyond this many samples the interval of the median is taken from the normal approximation of the
// binomial, as benchstat does.
enum { BINOMIAL_MAX = 30, KEY_BYTES_MAX = 8192 };

// ---- the median's interval

// P(X = k) of n fair coins.
static double coin(size_t n, ptrdiff_t k)
{
    if (k < 0 || (size_t)k > n) {
        return 0;
    }
    k = k < (ptrdiff_t)n - k ? k : (ptrdiff_t)n - k; // so that both sides are exactly alike
    double p = pow(0.5, (double)n);
    for (ptrdiff_t i = 0; i < k; i++) {
        p = p * (double)((ptrdiff_t)n - i) / (double)(i + 1);
    }
    return p;
}

// Order statistics *low and *high (from 1; 0 and n + 1 are beyond the data) with the median between
// them: the likeliest gaps are taken until they suffice, the left one first where two are alike.
static void exact_order(size_t n, double confidence, ptrdiff_t *low, ptrdiff_t *high)
{
    ptrdiff_t l = (ptrdiff_t)(n + 2) / 2 - 1, r = l + 1; // of the two modes the lower
    double sum = coin(n, l), left = coin(n, l - 1), right = coin(n, r);
    while (sum < confidence && (left > 0 || right > 0)) {
        if (left >= right) {
            sum += left;
            left = coin(n, --l - 1);
        } else {
            sum += right;
            right = coin(n, ++r);
        }
    }
    *low = l;
    *high = r;
}

static void normal_order(size_t n, double confidence, ptrdiff_t *low, ptrdiff_t *high)
{
    double mean = (double)n / 2, sd = sqrt((double)n) / 2;
    double from = mean + sd * dist_normal_quantile((1 - confidence) / 2), to = 2 * mean - from;
    ptrdiff_t l = (ptrdiff_t)floor(from - 0.5) + 1, r = (ptrdiff_t)ceil(to - 0.5) + 1;
    double before = dist_normal_cdf(((double)l - 0.5 - mean) / sd);
    double whole = dist_normal_cdf(((double)r - 0.5 - mean) / sd) - before;
    double less = dist_normal_cdf(((double)r - 1.5 - mean) / sd) - before;
    *low = l;
    *high = less >= confidence && less < whole ? r - 1 : r;
}

Interval bench_median_interval(const double *sorted, size_t n, double confidence)
{
    ptrdiff_t low, high;
    if (n <= BINOMIAL_MAX) {
        exact_order(n, confidence, &low, &high);
    } else {
        normal_order(n, confidence, &low, &high);
    }
    return (Interval){low < 1 ? -INFINITY : sorted[low - 1],
                      high > (ptrdiff_t)n ? INFINITY : sorted[high - 1], confidence};
}

// ---- cells

// The samples of a result; a summary is one sample.
static size_t samples_of(const HarnessResult *r, const double **ret_samples)
{
    *ret_samples = r->count > 0 ? r->samples : &r->mean;
    return r->count > 0 ? r->count : 1;
}

static bool one_value(const double *x, size_t n, double value)
{
    for (size_t i = 0; i < n; i++) {
        if (x[i] != value) {
            return false;
        }
    }
    return true;
}

static void fill_cell(BenchCell *cell, const HarnessResult *r, const HarnessResult *base,
                      const BenchTableOptions *options)
{
    const double *x, *y;
    size_t n = samples_of(r, &y);
    double *sorted = mem_alloc(n * sizeof *sorted);
    memcpy(sorted, y, n * sizeof *sorted);
    sample_sort(sorted, n);
    *cell = (BenchCell){.n = n, .center = sample_quantile(sorted, n, 0.5), .p = NAN};
    cell->interval = bench_median_interval(sorted, n, options->confidence);
    free(sorted);
    if (base && base != r) {
        size_t nx = samples_of(base, &x);
        cell->p = ranks_mann_whitney_exact(x, nx, y, n);
        cell->all_equal = one_value(x, nx, x[0]) && one_value(y, n, x[0]);
        cell->significant = cell->p <= options->alpha;
    }
}

// ---- rows and tables

typedef struct Making {
    Arena *arena;
    BenchTables *all;
    Map rows, tables; // text -> place + 1
    // By row: the results of each column and the table it is in.
    const HarnessResult *(*results)[BENCH_COLUMNS_MAX];
    size_t *table_of;
    size_t row_count;
    Buf key;
} Making;

static void put_key(Buf *key, const HarnessResult *r, bool whole)
{
    buf_reset(key);
    buf_printf(key, "%.*s\n%.*s", SLICE_FMT(r->package), SLICE_FMT(r->unit));
    if (whole) {
        buf_printf(key, "\n%.*s\n%.*s\n%.*s\n%d", SLICE_FMT(r->name), SLICE_FMT(r->params),
                   SLICE_FMT(r->metric), r->procs);
    }
}

// The place of the key in the map; a new one gets the next place, which is *count.
static size_t place_of(Making *m, Map *map, size_t *count)
{
    void *found = map_get(map, buf_slice(&m->key));
    if (found) {
        return (size_t)(uintptr_t)found - 1;
    }
    Slice key = arena_copy(m->arena, buf_slice(&m->key));
    if (map_put(map, key, (void *)(uintptr_t)(*count + 1)) != 0) { // NOLINT
        die("more benchmarks than there are");                     // the map has room for all
    }
    return (*count)++;
}

static void add_result(Making *m, const HarnessResult *r, size_t column)
{
    put_key(&m->key, r, false);
    size_t table = place_of(m, &m->tables, &m->all->count);
    BenchTable *t = &m->all->items[table];
    if (t->unit.ptr == NULL) {
        *t =
            (BenchTable){.package = r->package, .unit = r->unit, .higher_better = r->higher_better};
    }
    put_key(&m->key, r, true);
    size_t before = m->row_count, row = place_of(m, &m->rows, &m->row_count);
    if (row == before) {
        m->table_of[row] = table;
        t->count++;
    }
    if (!m->results[row][column]) {
        m->results[row][column] = r;
    }
}

static Slice label_of(Arena *arena, const HarnessResult *r)
{
    Buf text = buf_create(KEY_BYTES_MAX);
    harness_result_label(r, &text);
    Slice label = arena_copy(arena, buf_slice(&text));
    buf_done(&text);
    return label;
}

static void fill_row(const Making *m, size_t row, BenchRow *out, const BenchTableOptions *options)
{
    const HarnessResult *const *results = m->results[row];
    for (size_t c = 0; c < m->all->columns; c++) {
        if (results[c]) {
            fill_cell(&out->cells[c], results[c], c > 0 ? results[0] : NULL, options);
            out->result = out->result ? out->result : results[c];
        }
    }
    out->label = label_of(m->arena, out->result);
}

static void fill_means(BenchTable *t, size_t column)
{
    double sum = 0, ratios = 0;
    size_t count = 0, pairs = 0;
    for (size_t i = 0; i < t->count; i++) {
        const BenchCell *cell = &t->rows[i].cells[column], *base = &t->rows[i].cells[0];
        if (cell->n == 0) {
            continue;
        }
        sum += log(cell->center); // 0 makes it -INFINITY
        count++;
        if (base->n > 0) {
            ratios += cell->center == base->center ? 0 : log(cell->center / base->center);
            pairs++;
        }
    }
    double mean = exp(sum / (double)count), change = exp(ratios / (double)pairs);
    t->geomean[column] = count > 0 && isfinite(mean) && mean > 0 ? mean : NAN;
    t->change[column] = pairs > 0 && isfinite(change) && change > 0 ? change : NAN;
}

static void fill_tables(Making *m, const BenchTableOptions *options)
{
    BenchTables *all = m->all;
    for (size_t i = 0; i < all->count; i++) {
        all->items[i].rows = ARENA_ARRAY(m->arena, BenchRow, all->items[i].count);
        all->items[i].count = 0;
    }
    for (size_t row = 0; row < m->row_count; row++) {
        BenchTable *t = &all->items[m->table_of[row]];
        fill_row(m, row, &t->rows[t->count++], options);
    }
    for (size_t i = 0; i < all->count; i++) {
        for (size_t c = 0; c < all->columns; c++) {
            fill_means(&all->items[i], c);
        }
    }
}

// Room for the worst: every result a row and a table of its own, with its texts.
static int check_room(Arena *arena, size_t total, Err *e)
{
    size_t each = sizeof(BenchRow) + sizeof(BenchTable) + (size_t)4 * HARNESS_TEXT_MAX + 512;
    if (total == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no result to compare");
    }
    if (total > (size_t)BENCH_COLUMNS_MAX * HARNESS_RESULTS_MAX ||
        arena_left(arena) / each < total) {
        return err_set(e, ERR_LIMIT, "%zu results are too many for one comparison", total);
    }
    return 0;
}

int bench_table_make(Arena *arena, const BenchColumn *columns, size_t count,
                     const BenchTableOptions *given, BenchTables **ret_tables, Err *e)
{
    BenchTableOptions options = given ? *given : (BenchTableOptions){0};
    options.alpha = options.alpha > 0 ? options.alpha : 0.05;
    options.confidence = options.confidence > 0 ? options.confidence : 0.95;
    if (count == 0 || count > BENCH_COLUMNS_MAX || options.alpha >= 1 || options.confidence >= 1) {
        return err_set(e, ERR_ARG, "a comparison has 1 to %d columns", BENCH_COLUMNS_MAX);
    }
    size_t total = 0;
    for (size_t c = 0; c < count; c++) {
        total += columns[c].results->count;
    }
    int rc = check_room(arena, total, e);
    if (rc != 0) {
        return rc;
    }
    Making m = {.arena = arena,
                .all = ARENA_NEW(arena, BenchTables),
                .rows = map_create(total, 0),
                .tables = map_create(total, 0),
                .key = buf_create(KEY_BYTES_MAX)};
    m.results = mem_zalloc(total * sizeof *m.results);
    m.table_of = mem_zalloc(total * sizeof *m.table_of);
    m.all->items = ARENA_ARRAY(arena, BenchTable, total);
    m.all->columns = count;
    m.all->alpha = options.alpha;
    m.all->goos = columns[0].results->goos;
    m.all->goarch = columns[0].results->goarch;
    m.all->cpu = columns[0].results->cpu;
    for (size_t c = 0; c < count; c++) {
        m.all->names[c] = columns[c].name;
        for (size_t i = 0; i < columns[c].results->count; i++) {
            add_result(&m, &columns[c].results->items[i], c);
        }
    }
    fill_tables(&m, &options);
    free(m.results);
    free(m.table_of);
    map_done(&m.rows);
    map_done(&m.tables);
    buf_done(&m.key);
    *ret_tables = m.all;
    return 0;
}

BenchChanges bench_tables_changes(const BenchTables *tables, size_t column)
{
    BenchChanges changes = {0};
    for (size_t i = 0; i < tables->count; i++) {
        const BenchTable *t = &tables->items[i];
        for (size_t k = 0; k < t->count; k++) {
            const BenchCell *cell = &t->rows[k].cells[column], *base = &t->rows[k].cells[0];
            if (cell->n == 0 || base->n == 0) {
                continue;
            }
            bool up = cell->center > base->center, moved = cell->center != base->center;
            if (!cell->significant || !moved) {
                changes.same++;
            } else if (up == t->higher_better) {
                changes.better++;
            } else {
                changes.worse++;
            }
        }
    }
    return changes;
}
