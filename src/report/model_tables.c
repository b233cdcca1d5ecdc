#include "report/model_tables.h"

#include <math.h>

#include "report/series.h"
#include "report/words.h"

static const double NOT_MEASURED = (double)NAN;

// ---- endpoints ----

// The different values of label `key` among the series of `metric`, in order of first use.
static size_t label_values(ReportModel *m, Slice metric, Slice key, Slice **ret_values)
{
    const RunData *run = m->in.run;
    Slice *values = ARENA_ARRAY(m->arena, Slice, run->series_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < run->series_count; i++) {
        if (!slice_eq(run->series[i].info.metric, metric)) {
            continue;
        }
        Slice value = labels_get(run->series[i].info.labels, key);
        bool known = false;
        for (size_t k = 0; k < count && !known; k++) {
            known = slice_eq(values[k], value);
        }
        if (!known) {
            values[count++] = value;
        }
    }
    *ret_values = values;
    return count;
}

static SeriesGroup endpoint_group(ReportModel *m, Slice metric, Slice name)
{
    return series_group_label(m->arena, m->in.run, metric, SLICE("name"), name);
}

static const double *make_spark(ReportModel *m, SeriesGroup *group, SeriesSum *sum)
{
    double *spark = ARENA_ARRAY(m->arena, double, REPORT_SPARK_STEPS);
    int64_t intervals = m->in.run->interval_count;
    for (int64_t i = 0; i < REPORT_SPARK_STEPS; i++) {
        series_take(group, intervals * (i + 1) / REPORT_SPARK_STEPS, sum);
        spark[i] = hist_quantile(&sum->hist, 0.95) / 1e6;
    }
    return spark;
}

static ReportEndpoint make_endpoint(ReportModel *m, Slice name, SeriesSum *sum)
{
    ReportEndpoint e = {.name = name.len ? name : SLICE("(unnamed)")};
    SeriesGroup group = endpoint_group(m, SLICE("http_req_duration"), name);
    series_total(&group, sum);
    e.latency = report_latency(&sum->hist);
    e.spark = make_spark(m, &group, sum);
    group = endpoint_group(m, SLICE("http_req_corrected_duration"), name);
    series_total(&group, sum);
    e.corrected = report_latency(&sum->hist);
    group = endpoint_group(m, SLICE("http_reqs"), name);
    series_total(&group, sum);
    e.requests = sum->any ? sum->count : NOT_MEASURED;
    e.per_second = e.requests / m->duration_s;
    group = endpoint_group(m, SLICE("http_req_failed"), name);
    series_total(&group, sum);
    e.failed = sum->any ? sum->trues : NOT_MEASURED;
    e.failed_share = sum->count > 0 ? sum->trues / sum->count : NOT_MEASURED;
    return e;
}

static double time_spent(const ReportEndpoint *e)
{
    return e->latency.count ? e->latency.mean * (double)e->latency.count : 0;
}

static int by_time_spent(const void *a, const void *b)
{
    const ReportEndpoint *x = a, *y = b;
    double dx = time_spent(x), dy = time_spent(y);
    return dx > dy ? -1 : dx < dy ? 1 : slice_cmp(x->name, y->name);
}

static void make_endpoints(ReportModel *m)
{
    Slice *names = NULL;
    size_t count = label_values(m, SLICE("http_req_duration"), SLICE("name"), &names);
    m->endpoints = ARENA_ARRAY(m->arena, ReportEndpoint, count + 1);
    SeriesSum sum;
    series_sum_init(&sum);
    for (size_t i = 0; i < count; i++) {
        m->endpoints[m->endpoint_count++] = make_endpoint(m, names[i], &sum);
    }
    series_sum_done(&sum);
    qsort(m->endpoints, m->endpoint_count, sizeof *m->endpoints, by_time_spent);
}

// ---- errors by kind ----

typedef struct Kind {
    Slice name;
    double count;
    double first_seen_s;
    SeriesGroup group;
} Kind;

// k6's error_code classes (net/error_code.h has the full table, a room this one does not see).
static const char *error_class(int64_t code)
{
    static const struct {
        int64_t low, high;
        const char *words;
    } classes[] = {
        {1050, 1050, "timeout"},
        {1100, 1199, "DNS"},
        {1211, 1211, "dial timeout"},
        {1212, 1212, "connection refused"},
        {1220, 1220, "connection reset"},
        {1200, 1299, "TCP"},
        {1300, 1399, "TLS"},
        {1600, 1699, "HTTP/2"},
    };
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        if (code >= classes[i].low && code <= classes[i].high) {
            return classes[i].words;
        }
    }
    return "network";
}

static Slice kind_name(Arena *arena, Labels labels)
{
    Slice status = labels_get(labels, SLICE("status")), words = labels_get(labels, SLICE("error"));
    Slice code = labels_get(labels, SLICE("error_code"));
    int64_t number = 0, answer = 0;
    bool answered = slice_to_i64(status, &answer) == 0 && answer >= 100;
    bool coded = slice_to_i64(code, &number) == 0;
    // An answer may begin well and then break off, or not decode: the code says so. k6's code of a
    // status is 1000 above it.
    if (answered && (!coded || number == 1000 + answer)) {
        return arena_printf(arena, "HTTP %.*s", SLICE_FMT(status));
    }
    if (coded) {
        return words.len ? arena_printf(arena, "%.*s: %.*s", SLICE_FMT(code), SLICE_FMT(words))
                         : arena_printf(arena, "%.*s: %s", SLICE_FMT(code), error_class(number));
    }
    return words.len ? words : SLICE("failed, cause not recorded");
}

static double first_true_s(const ReportModel *m, const RunSeries *series)
{
    int64_t interval_ns = m->in.run->info.interval_ns;
    for (size_t i = 0; i < series->point_count; i++) {
        if (series->points[i].point.trues > 0) {
            return (double)series->points[i].index * (double)interval_ns / 1e9;
        }
    }
    return NOT_MEASURED;
}

static Kind *kind_of(Kind *kinds, size_t *count, Slice name)
{
    for (size_t i = 0; i < *count; i++) {
        if (slice_eq(kinds[i].name, name)) {
            return &kinds[i];
        }
    }
    kinds[*count] = (Kind){.name = name, .first_seen_s = NOT_MEASURED};
    return &kinds[(*count)++];
}

static int by_count(const void *a, const void *b)
{
    const Kind *x = a, *y = b;
    return x->count > y->count ? -1 : x->count < y->count ? 1 : slice_cmp(x->name, y->name);
}

static size_t collect_kinds(ReportModel *m, Kind *kinds)
{
    const RunData *run = m->in.run;
    size_t count = 0;
    for (size_t i = 0; i < run->series_count; i++) {
        const RunSeries *series = &run->series[i];
        if (!slice_eq(series->info.metric, SLICE("http_req_failed")) || series->total.trues == 0) {
            continue;
        }
        Kind *kind = kind_of(kinds, &count, kind_name(m->arena, series->info.labels));
        kind->count += (double)series->total.trues;
        kind->first_seen_s = fmin(kind->first_seen_s, first_true_s(m, series));
        if (!kind->group.series) {
            kind->group.series = ARENA_ARRAY(m->arena, const RunSeries *, run->series_count);
            kind->group.next = ARENA_ARRAY(m->arena, size_t, run->series_count);
        }
        kind->group.series[kind->group.count++] = series;
    }
    qsort(kinds, count, sizeof *kinds, by_count);
    return count;
}

// Adds a kind's failures a second to line `slot`.
static void add_kind_steps(ReportModel *m, Kind *kind, size_t slot)
{
    double interval_s = (double)m->in.run->info.interval_ns / 1e9;
    int64_t merged = interval_s > 0 ? llround(m->step_s / interval_s) : 1;
    SeriesSum sum;
    series_sum_init(&sum);
    for (size_t i = 0; i < m->step_count; i++) {
        series_take(&kind->group, (int64_t)(i + 1) * merged, &sum);
        m->steps[i].errors[slot] += sum.trues / m->step_s;
    }
    series_sum_done(&sum);
}

static void make_kinds(ReportModel *m)
{
    Kind *kinds = ARENA_ARRAY(m->arena, Kind, m->in.run->series_count + 1);
    size_t count = collect_kinds(m, kinds);
    for (size_t i = 0; i < count; i++) {
        bool rest = count > REPORT_KINDS_MAX && i >= REPORT_KINDS_MAX - 1;
        size_t slot = rest ? REPORT_KINDS_MAX - 1 : i;
        ReportErrorKind *kind = &m->kinds[slot];
        if (slot == m->kind_count) {
            *kind = (ReportErrorKind){.name = rest ? SLICE("other kinds") : kinds[i].name,
                                      .first_seen_s = kinds[i].first_seen_s};
            m->kind_count++;
        }
        kind->count += kinds[i].count;
        kind->share = kind->count / m->totals.requests;
        kind->first_seen_s = fmin(kind->first_seen_s, kinds[i].first_seen_s);
        add_kind_steps(m, &kinds[i], slot);
    }
}

// ---- checks and thresholds ----

static void make_checks(ReportModel *m)
{
    const RunData *run = m->in.run;
    m->checks = ARENA_ARRAY(m->arena, ReportCheck, run->series_count + 1);
    for (size_t i = 0; i < run->series_count; i++) {
        const RunSeries *series = &run->series[i];
        if (!slice_eq(series->info.metric, SLICE("checks"))) {
            continue;
        }
        Slice name = labels_get(series->info.labels, SLICE("check"));
        Slice endpoint = labels_get(series->info.labels, SLICE("name"));
        size_t k = 0;
        while (k < m->check_count &&
               !(slice_eq(m->checks[k].name, name) && slice_eq(m->checks[k].endpoint, endpoint))) {
            k++;
        }
        m->check_count += k == m->check_count;
        m->checks[k].name = name;
        m->checks[k].endpoint = endpoint;
        m->checks[k].passes += series->total.trues;
        m->checks[k].fails += series->total.count - series->total.trues;
    }
}

static Slice text_of(const Doc *doc)
{
    return doc ? doc->text : (Slice){0};
}

// "http_req_duration{name:login,status:200}" of a metric and an object of labels.
static Slice metric_with_labels(ReportModel *m, Slice metric, const Doc *labels)
{
    Buf out = buf_create(1 << 16);
    buf_append(&out, metric);
    for (const Doc *l = doc_first(labels); l; l = doc_next(l)) {
        buf_puts(&out, l == doc_first(labels) ? "{" : ",");
        buf_append(&out, l->key);
        buf_putc(&out, ':');
        buf_append(&out, text_of(l));
    }
    buf_puts(&out, doc_count(labels) ? "}" : "");
    Slice name = arena_copy(m->arena, buf_slice(&out));
    buf_done(&out);
    return name;
}

static Labels labels_of(Arena *arena, const Doc *object)
{
    Label *items = ARENA_ARRAY(arena, Label, doc_count(object) + 1);
    size_t count = 0;
    for (const Doc *l = doc_first(object); l; l = doc_next(l)) {
        items[count++] = (Label){l->key, text_of(l)};
    }
    return (Labels){items, count};
}

static void make_thresholds(ReportModel *m)
{
    const Doc *list = m->in.run->thresholds;
    m->thresholds = ARENA_ARRAY(m->arena, ReportThreshold, doc_count(list) + 1);
    for (const Doc *d = doc_first(list); d; d = doc_next(d)) {
        const Doc *value = doc_get(d, SLICE("value")), *ok = doc_get(d, SLICE("ok"));
        m->thresholds[m->threshold_count++] = (ReportThreshold){
            .metric = metric_with_labels(m, text_of(doc_get(d, SLICE("metric"))),
                                         doc_get(d, SLICE("labels"))),
            .metric_name = text_of(doc_get(d, SLICE("metric"))),
            .labels = labels_of(m->arena, doc_get(d, SLICE("labels"))),
            .expression = text_of(doc_get(d, SLICE("expression"))),
            .value = doc_is_number(value) ? doc_number(value) : NOT_MEASURED,
            .has_value = doc_is_number(value),
            .ok = ok && ok->type == DOC_BOOL && ok->boolean,
        };
    }
}

// ---- documents ----

typedef struct FactList {
    Arena *arena;
    ReportFact *items;
    size_t count;
    bool cut;
} FactList;

// Members say their unit in their names; people read durations and sizes more easily than digits.
static Slice scalar_text(Arena *arena, const Doc *d)
{
    bool is_moment = slice_ends_with(d->key, SLICE("unix_ns"));
    if (doc_is_number(d) && slice_ends_with(d->key, SLICE("_ns")) && !is_moment) {
        return words_ms(arena, doc_number(d) / 1e6);
    }
    if (doc_is_number(d) && slice_ends_with(d->key, SLICE("_bytes"))) {
        return words_bytes(arena, doc_number(d));
    }
    switch (d->type) {
    case DOC_NULL: return SLICE("not measured");
    case DOC_BOOL: return d->boolean ? SLICE("yes") : SLICE("no");
    case DOC_INT:
    case DOC_FLOAT:
    case DOC_STRING:
    case DOC_DATETIME:
    case DOC_ARRAY:
    case DOC_OBJECT: break;
    }
    return d->text;
}

static Slice join_path(Arena *arena, Slice path, const Doc *d, size_t index)
{
    if (d->key.len == 0) {
        return arena_printf(arena, "%.*s[%zu]", SLICE_FMT(path), index);
    }
    return path.len ? arena_printf(arena, "%.*s.%.*s", SLICE_FMT(path), SLICE_FMT(d->key)) : d->key;
}

// Members in source order, nested names joined by dots. "samples" is a chart's, not a table's.
// Recursion is bounded: Docs are at most DOC_DEPTH_MAX deep.
static void add_facts(FactList *list, Slice path, const Doc *parent)
{
    size_t index = 0;
    for (const Doc *d = doc_first(parent); d; d = doc_next(d), index++) {
        if (list->count == REPORT_FACTS_MAX) {
            list->cut = true;
            return;
        }
        Slice name = join_path(list->arena, path, d, index);
        if (d->type == DOC_OBJECT || d->type == DOC_ARRAY) {
            if (!slice_eq(name, SLICE("samples"))) {
                add_facts(list, name, d);
            }
        } else if (d->type != DOC_STRING || d->text.len > 0) { // an empty text has nothing to say
            list->items[list->count++] = (ReportFact){name, scalar_text(list->arena, d)};
        }
    }
}

static ReportFacts make_facts(ReportModel *m, const Doc *doc)
{
    FactList list = {.arena = m->arena};
    list.items = ARENA_ARRAY(m->arena, ReportFact, REPORT_FACTS_MAX);
    add_facts(&list, (Slice){0}, doc);
    return (ReportFacts){list.items, list.count, list.cut};
}

void model_tables(ReportModel *m)
{
    make_endpoints(m);
    make_kinds(m);
    make_checks(m);
    make_thresholds(m);
    m->health = make_facts(m, m->in.run->health);
    m->environment = make_facts(m, m->in.run->environment);
    m->summary = make_facts(m, m->in.run->summary);
}
