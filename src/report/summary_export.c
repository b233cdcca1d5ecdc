#include "report/summary_export.h"

#include <math.h>

#include "base/json_write.h"
#include "report/series.h"

typedef struct Metric {
    Slice key;  // as it is written: "http_req_duration{name:login}"
    Slice name; // of the metric
    Labels filter;
} Metric;

// ---- values ----

static void trend(JsonWriter *w, const Hist *h, MetricUnit unit)
{
    double per = unit == METRIC_UNIT_TIME ? 1e6 : 1; // nanoseconds a millisecond
    json_field_double(w, "avg", hist_mean(h) / per);
    json_field_double(w, "min", h->count ? (double)h->min / per : (double)NAN);
    json_field_double(w, "med", hist_quantile(h, 0.5) / per);
    json_field_double(w, "max", h->count ? (double)h->max / per : (double)NAN);
    json_field_double(w, "p(90)", hist_quantile(h, 0.9) / per);
    json_field_double(w, "p(95)", hist_quantile(h, 0.95) / per);
}

static void gauge(JsonWriter *w, const SeriesGroup *group, double last)
{
    double min = (double)NAN, max = (double)NAN;
    for (size_t i = 0; i < group->count; i++) {
        min = fmin(min, group->series[i]->total.min);
        max = fmax(max, group->series[i]->total.max);
    }
    json_field_double(w, "value", last);
    json_field_double(w, "min", min);
    json_field_double(w, "max", max);
}

static void values(JsonWriter *w, const ReportModel *m, const SeriesGroup *group, SeriesSum *sum)
{
    const SeriesInfo *info = &group->series[0]->info;
    switch (info->kind) {
    case METRIC_COUNTER:
        json_field_double(w, "count", sum->count);
        json_field_double(w, "rate", sum->count / m->duration_s);
        break;
    case METRIC_GAUGE: gauge(w, group, sum->gauge); break;
    case METRIC_RATE:
        json_field_double(w, "value", sum->count > 0 ? sum->trues / sum->count : (double)NAN);
        json_field_double(w, "passes", sum->trues);
        json_field_double(w, "fails", sum->count - sum->trues);
        break;
    case METRIC_TREND: trend(w, &sum->hist, info->unit); break;
    }
}

static void thresholds(JsonWriter *w, const ReportModel *m, Slice key)
{
    bool any = false;
    for (size_t i = 0; i < m->threshold_count && !m->invalid; i++) {
        if (!slice_eq(m->thresholds[i].metric, key)) {
            continue;
        }
        if (!any) {
            json_key(w, SLICE("thresholds"));
            json_object_begin(w);
            any = true;
        }
        json_key(w, m->thresholds[i].expression);
        json_bool(
            w,
            !m->thresholds[i].ok); // true says that it failed: so does k6, and scripts rely on it
    }
    if (any) {
        json_object_end(w);
    }
}

static void write_metric(JsonWriter *w, const ReportModel *m, Arena *arena, const Metric *metric)
{
    SeriesGroup group = series_group(arena, m->in.run, metric->name, metric->filter);
    if (group.count == 0) {
        return;
    }
    SeriesSum sum;
    series_sum_init(&sum);
    series_total(&group, &sum);
    json_key(w, metric->key);
    json_object_begin(w);
    values(w, m, &group, &sum);
    thresholds(w, m, metric->key);
    json_object_end(w);
    series_sum_done(&sum);
}

// ---- which metrics ----

static void add_metric(Metric *metrics, size_t *count, Metric metric)
{
    for (size_t i = 0; i < *count; i++) {
        if (slice_eq(metrics[i].key, metric.key)) {
            return;
        }
    }
    metrics[(*count)++] = metric;
}

static int by_key(const void *a, const void *b)
{
    return slice_cmp(((const Metric *)a)->key, ((const Metric *)b)->key);
}

// All metrics of the run and the submetrics that thresholds name, sorted as k6 sorts them.
static size_t list_metrics(const ReportModel *m, Arena *arena, Metric **ret_metrics)
{
    const RunData *run = m->in.run;
    Metric *metrics = ARENA_ARRAY(arena, Metric, run->series_count + m->threshold_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < run->series_count; i++) {
        Slice name = run->series[i].info.metric;
        add_metric(metrics, &count, (Metric){name, name, {0}});
    }
    for (size_t i = 0; i < m->threshold_count; i++) {
        const ReportThreshold *t = &m->thresholds[i];
        add_metric(metrics, &count, (Metric){t->metric, t->metric_name, t->labels});
    }
    qsort(metrics, count, sizeof *metrics, by_key);
    *ret_metrics = metrics;
    return count;
}

// ---- checks ----

// One entry a name, as k6 has it: a check of the same name on two endpoints is the same check.
static void write_checks(JsonWriter *w, const ReportModel *m, Arena *arena)
{
    for (size_t i = 0; i < m->check_count; i++) {
        int64_t passes = 0, fails = 0;
        bool seen = false;
        for (size_t k = 0; k < m->check_count; k++) {
            if (slice_eq(m->checks[k].name, m->checks[i].name)) {
                seen |= k < i;
                passes += m->checks[k].passes;
                fails += m->checks[k].fails;
            }
        }
        if (seen) {
            continue;
        }
        Slice name = m->checks[i].name;
        json_key(w, name);
        json_object_begin(w);
        json_field_string(w, "name", name);
        json_field_string(w, "path", arena_printf(arena, "::%.*s", SLICE_FMT(name)));
        json_field_int(w, "passes", passes);
        json_field_int(w, "fails", fails);
        json_object_end(w);
    }
}

int report_summary_export(const ReportModel *m, Buf *out, Err *e)
{
    Arena *arena = arena_create(64 << 20);
    JsonWriter w = json_writer(out, 4);
    json_object_begin(&w);
    json_key(&w, SLICE("root_group"));
    json_object_begin(&w);
    json_field_cstr(&w, "name", "");
    json_field_cstr(&w, "path", "");
    json_key(&w, SLICE("groups"));
    json_object_begin(&w);
    json_object_end(&w);
    json_key(&w, SLICE("checks"));
    json_object_begin(&w);
    write_checks(&w, m, arena);
    json_object_end(&w);
    json_object_end(&w);
    json_key(&w, SLICE("metrics"));
    json_object_begin(&w);
    Metric *metrics = NULL;
    size_t count = list_metrics(m, arena, &metrics);
    for (size_t i = 0; i < count; i++) {
        write_metric(&w, m, arena, &metrics[i]);
    }
    json_object_end(&w);
    json_object_end(&w);
    buf_putc(out, '\n');
    arena_destroy(arena);
    return buf_check(out, "the summary export", e);
}
