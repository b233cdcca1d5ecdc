#include "telemetry/exposition.h"

#include <math.h>

#include "base/json_write.h"
#include "telemetry/prometheus.h"

enum { NAME_MAX_BYTES = 1024 };

// Appends `suffix` unless what was written since `from` ends with it already.
static void put_suffix(Buf *out, size_t from, const char *suffix)
{
    Slice name = slice_sub(buf_slice(out), from, out->len);
    if (!slice_ends_with(name, slice_from_cstr(suffix))) {
        buf_puts(out, suffix);
    }
}

void exposition_name(Buf *out, Slice metric, MetricKind kind, MetricUnit unit)
{
    size_t from = out->len;
    prom_append_name(out, metric);
    // "x_seconds_total": the unit stands before "total".
    if (slice_ends_with(slice_sub(buf_slice(out), from, out->len), SLICE("_total"))) {
        return;
    }
    if (unit == METRIC_UNIT_TIME) {
        put_suffix(out, from, "_seconds");
    } else if (unit == METRIC_UNIT_BYTES) {
        put_suffix(out, from, "_bytes");
    }
    if (kind == METRIC_COUNTER) {
        put_suffix(out, from, "_total");
    } else if (kind == METRIC_RATE) {
        put_suffix(out, from, "_ratio");
    }
}

void exposition_buckets(const MetricInfo *metric, const Hist *hist,
                        uint64_t ret_counts[METRIC_BOUNDS_MAX + 1])
{
    assert(metric->bound_count <= METRIC_BOUNDS_MAX);
    memset(ret_counts, 0, (metric->bound_count + 1) * sizeof ret_counts[0]);
    HistIter it = hist_iter(hist);
    HistBucket bucket;
    size_t at = 0;
    while (hist_next(&it, &bucket)) {
        double value = exposition_value(metric->unit, hist_bucket_mid(&bucket));
        // The exact extremes keep a lone observation on the right side of a bound.
        value = fmin(value, exposition_value(metric->unit, (double)hist->max));
        while (at < metric->bound_count && value > metric->bounds[at]) {
            at++;
        }
        ret_counts[at] += bucket.count;
    }
    ret_counts[metric->bound_count] += hist->infinite;
}

// ---- one series

typedef struct Page {
    Buf *out;
    Buf name; // of the family, and a suffix while a sample is written
    size_t name_len;
} Page;

static void put(Page *p, const char *suffix, Labels labels, double value)
{
    p->name.len = p->name_len;
    buf_puts(&p->name, suffix);
    prom_text_sample(p->out, buf_slice(&p->name), labels, value);
    p->name.len = p->name_len;
}

// The series' labels and one more behind them.
static void put_with(Page *p, const char *suffix, Labels labels, const char *key, double bound,
                     double value)
{
    char text[JSON_DOUBLE_MAX] = "+Inf";
    Label more[LABELS_MAX + 1];
    if (isfinite(bound)) {
        (void)json_format_double(bound, text);
    }
    for (size_t i = 0; i < labels.count; i++) {
        more[i] = labels.items[i];
    }
    more[labels.count] = (Label){slice_from_cstr(key), slice_from_cstr(text)};
    put(p, suffix, (Labels){more, labels.count + 1}, value);
}

static void put_histogram(Page *p, const MetricInfo *m, const SeriesInfo *s, const Hist *h)
{
    uint64_t counts[METRIC_BOUNDS_MAX + 1], sum = 0;
    exposition_buckets(m, h, counts);
    for (size_t i = 0; i <= m->bound_count; i++) {
        sum += counts[i];
        put_with(p, "_bucket", s->labels, "le", i < m->bound_count ? m->bounds[i] : INFINITY,
                 (double)sum);
    }
}

static void put_quantiles(Page *p, const SeriesInfo *s, const Hist *h)
{
    static const double quantiles[] = {0.5, 0.9, 0.95, 0.99};
    for (size_t i = 0; i < COUNT_OF(quantiles); i++) {
        put_with(p, "", s->labels, "quantile", quantiles[i],
                 exposition_value(s->unit, hist_quantile_all(h, quantiles[i])));
    }
}

static void put_series(Page *p, const MetricInfo *m, const SeriesInfo *s, const Point *total)
{
    switch (s->kind) {
    case METRIC_COUNTER:
        put(p, "", s->labels, exposition_value(s->unit, (double)total->count));
        return;
    case METRIC_GAUGE: put(p, "", s->labels, exposition_value(s->unit, total->last)); return;
    case METRIC_RATE:
        put(p, "", s->labels, total->count ? (double)total->trues / (double)total->count : NAN);
        return;
    case METRIC_TREND: break;
    }
    if (m && m->bounds) {
        put_histogram(p, m, s, total->hist);
    } else {
        put_quantiles(p, s, total->hist);
    }
    put(p, "_sum", s->labels, exposition_value(s->unit, (double)total->hist->sum));
    put(p, "_count", s->labels, (double)hist_count_all(total->hist));
}

// ---- families

static const char *type_of(const MetricInfo *m, MetricKind kind)
{
    switch (kind) {
    case METRIC_COUNTER: return "counter";
    case METRIC_GAUGE:
    case METRIC_RATE: return "gauge";
    case METRIC_TREND: return m && m->bounds ? "histogram" : "summary";
    }
    return "untyped";
}

static int by_metric(const void *a, const void *b)
{
    const SeriesInfo *x = *(const SeriesInfo *const *)a, *y = *(const SeriesInfo *const *)b;
    int order = slice_cmp(x->metric, y->metric);
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

static const MetricInfo *begin_family(Page *p, const SeriesInfo *s, Slice prefix)
{
    MetricId id;
    const MetricInfo *m = metric_by_name(s->metric, &id) ? metric_info(id) : NULL;
    buf_reset(&p->name);
    if (!m || id <= M_DATA_RECEIVED) {
        buf_append(&p->name, prefix);
    }
    exposition_name(&p->name, s->metric, s->kind, s->unit);
    p->name_len = p->name.len;
    prom_text_family(p->out, buf_slice(&p->name), type_of(m, s->kind),
                     m ? m->help : SLICE("A metric of the plan's own"));
    return m;
}

const SeriesInfo **exposition_order(const Collector *collector, size_t *ret_count)
{
    size_t count = collector_series_count(collector);
    const SeriesInfo **order = mem_alloc((count + 1) * sizeof(const SeriesInfo *));
    for (size_t i = 0; i < count; i++) {
        order[i] = collector_series(collector, i);
    }
    qsort(order, count, sizeof(const SeriesInfo *), by_metric);
    *ret_count = count;
    return order;
}

void exposition_write(Buf *out, const Collector *collector, Slice prefix)
{
    size_t count;
    const SeriesInfo **order = exposition_order(collector, &count);
    Page page = {.out = out, .name = buf_create(NAME_MAX_BYTES)};
    const MetricInfo *m = NULL;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !slice_eq(order[i]->metric, order[i - 1]->metric)) {
            m = begin_family(&page, order[i], prefix);
        }
        put_series(&page, m, order[i], collector_total(collector, order[i]->id));
    }
    buf_done(&page.name);
    free(order);
}
