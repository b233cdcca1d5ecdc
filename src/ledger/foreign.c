#include "ledger/foreign.h"

#include <math.h>

#include "os/clock.h"

enum { VALUES_MAX = 1 << 20 };

typedef struct Reader {
    Arena *arena;
    ForeignRuns *runs;
    Slice *times; // of the runs
    Err *e;
} Reader;

typedef struct SeriesDoc {
    Slice metric;
    MetricUnit unit;
    double scale; // what a value is multiplied with
    Labels labels;
} SeriesDoc;

bool foreign_is_k6(const Doc *doc)
{
    const Doc *metrics = doc_get(doc, SLICE("metrics"));
    return metrics && metrics->type == DOC_OBJECT;
}

void foreign_done(ForeignRuns *runs)
{
    for (size_t i = 0; runs && i < runs->point_count; i++) {
        if (runs->points[i].point.hist) {
            Hist *h = (Hist *)(uintptr_t)runs->points[i].point.hist;
            hist_done(h);
            free(h);
        }
    }
}

static int unit_of(Slice name, MetricUnit *ret_unit, double *ret_scale)
{
    static const struct {
        Slice name;
        MetricUnit unit;
        double scale;
    } UNITS[] = {
        {SLICE_INIT(""), METRIC_UNIT_NONE, 1},     {SLICE_INIT("ns"), METRIC_UNIT_TIME, 1},
        {SLICE_INIT("us"), METRIC_UNIT_TIME, 1e3}, {SLICE_INIT("ms"), METRIC_UNIT_TIME, 1e6},
        {SLICE_INIT("s"), METRIC_UNIT_TIME, 1e9},  {SLICE_INIT("bytes"), METRIC_UNIT_BYTES, 1},
    };
    for (size_t i = 0; i < COUNT_OF(UNITS); i++) {
        if (slice_eq(name, UNITS[i].name)) {
            *ret_unit = UNITS[i].unit;
            *ret_scale = UNITS[i].scale;
            return 0;
        }
    }
    return ERR_PARSE;
}

// ---- points

static int run_of(Reader *r, const Doc *at, Slice time, size_t *ret_run)
{
    ForeignRuns *runs = r->runs;
    for (size_t i = 0; i < runs->run_count; i++) {
        if (slice_eq(r->times[i], time)) {
            *ret_run = i;
            return 0;
        }
    }
    if (runs->run_count == FOREIGN_RUNS_MAX) {
        return doc_err(r->e, at, "more than %d runs", FOREIGN_RUNS_MAX);
    }
    int64_t wall_ns = clock_wall(clock_real());
    if (time.len > 0 && clock_parse_rfc3339(time, &wall_ns, NULL) != 0) {
        return doc_err(r->e, at, "a time is written like 2026-01-31T12:00:00Z");
    }
    r->times[runs->run_count] = time;
    runs->started_unix_ns[runs->run_count] = wall_ns;
    *ret_run = runs->run_count++;
    return 0;
}

static int add_point(Reader *r, const Doc *at, size_t run, const SeriesInfo *series,
                     const Point *point)
{
    ForeignRuns *runs = r->runs;
    if (runs->point_count == FOREIGN_SERIES_MAX) {
        return doc_err(r->e, at, "more than %d series", FOREIGN_SERIES_MAX);
    }
    runs->points[runs->point_count++] =
        (ForeignPoint){.run = run, .series = *series, .point = *point};
    return 0;
}

// Labels are copied for every figure, so their text is held against the arena each time.
static bool labels_fit(const Reader *r, Labels labels)
{
    size_t bytes = (LABELS_MAX + 1) * (sizeof(Label) + 64);
    for (size_t i = 0; i < labels.count; i++) {
        bytes += labels.items[i].key.len + labels.items[i].value.len;
    }
    return arena_left(r->arena) > bytes;
}

// A single figure: a gauge whose label "stat" says what it is.
static int add_stat(Reader *r, const Doc *at, size_t run, const SeriesDoc *s, Slice stat,
                    double value)
{
    Label items[LABELS_MAX + 1];
    SeriesInfo info = {.kind = METRIC_GAUGE, .unit = s->unit, .metric = s->metric};
    if (!labels_fit(r, s->labels)) {
        return err_set(r->e, ERR_LIMIT, "the labels do not fit into memory");
    }
    for (size_t i = 0; i < s->labels.count; i++) {
        items[i] = s->labels.items[i];
    }
    items[s->labels.count] = (Label){SLICE("stat"), stat};
    int rc = labels_copy(r->arena, items, s->labels.count + 1, &info.labels, r->e);
    value *= s->scale;
    if (rc == 0 && !isfinite(value)) {
        rc = doc_err(r->e, at, "the number is too large");
    }
    return rc != 0 ? rc
                   : add_point(r, at, run, &info,
                               &(Point){.count = 1, .last = value, .min = value, .max = value});
}

static int record_values(Reader *r, const Doc *values, const SeriesDoc *s, Hist *h)
{
    if (values->type != DOC_ARRAY || doc_count(values) == 0 || doc_count(values) > VALUES_MAX) {
        return doc_err(r->e, values, "\"values\" must be an array of 1 to %d numbers", VALUES_MAX);
    }
    for (const Doc *d = doc_first(values); d; d = doc_next(d)) {
        double value = doc_number(d) * s->scale;
        if (!doc_is_number(d) || !(fabs(value) < 9e18)) {
            return doc_err(r->e, d, "a value must be a number");
        }
        // Histograms hold whole numbers. Parts of a nanosecond or a byte mean nothing; parts of
        // something without a unit may mean everything.
        if (s->unit == METRIC_UNIT_NONE && value != floor(value)) {
            return doc_err(r->e, d,
                           "values without a unit must be whole numbers: scale them, or give "
                           "\"p50\", \"p95\", ... instead");
        }
        hist_record(h, llround(value));
    }
    return 0;
}

static int add_values(Reader *r, const Doc *values, size_t run, const SeriesDoc *s)
{
    Hist *h = mem_alloc(sizeof *h);
    hist_init(h);
    SeriesInfo info = {
        .kind = METRIC_TREND, .unit = s->unit, .metric = s->metric, .labels = s->labels};
    int rc = record_values(r, values, s, h);
    if (rc == 0) {
        rc = add_point(r, values, run, &info, &(Point){.count = (int64_t)h->count, .hist = h});
    }
    if (rc != 0) {
        hist_done(h);
        free(h);
    }
    return rc;
}

static bool is_stat(Slice key)
{
    double percent;
    return slice_eq_cstr(key, "avg") || slice_eq_cstr(key, "min") || slice_eq_cstr(key, "max") ||
           (slice_starts_with(key, SLICE("p")) &&
            slice_to_f64(slice_sub(key, 1, key.len), &percent) == 0 && percent >= 0 &&
            percent <= 100);
}

// ---- time series

static int read_run(Reader *r, const Doc *d, const SeriesDoc *s)
{
    const Doc *time = doc_get(d, SLICE("time"));
    size_t run = 0;
    bool any = false;
    if (d->type != DOC_OBJECT || !time || time->type != DOC_STRING || time->text.len == 0) {
        return doc_err(r->e, d, "a run must be an object with a \"time\"");
    }
    int rc = run_of(r, time, time->text, &run);
    for (const Doc *m = doc_first(d); rc == 0 && m; m = doc_next(m)) {
        if (m == time) {
            continue;
        }
        any = true;
        if (slice_eq_cstr(m->key, "values")) {
            rc = add_values(r, m, run, s);
        } else if (!is_stat(m->key)) {
            rc = doc_err_key(r->e, m,
                             "\"%.*s\" is neither \"values\" nor one of avg, min, max, p50, p95, "
                             "...",
                             SLICE_FMT(m->key));
        } else if (!doc_is_number(m)) {
            rc = doc_err(r->e, m, "\"%.*s\" must be a number", SLICE_FMT(m->key));
        } else {
            rc = add_stat(r, m, run, s, m->key, doc_number(m));
        }
    }
    return rc != 0 || any ? rc : doc_err(r->e, d, "a run must have values");
}

static int read_series_labels(Reader *r, const Doc *d, Labels *ret)
{
    const Doc *endpoint = doc_get(d, SLICE("endpoint"));
    const Doc *labels = doc_get(d, SLICE("labels"));
    Label items[LABELS_MAX];
    size_t count = 0;
    if (endpoint) {
        int rc = doc_expect(endpoint, DOC_STRING, "\"endpoint\"", r->e);
        if (rc != 0) {
            return rc;
        }
        items[count++] = (Label){SLICE("name"), endpoint->text};
    }
    if (labels && labels->type != DOC_OBJECT) {
        return doc_err(r->e, labels, "\"labels\" must be an object");
    }
    for (const Doc *m = doc_first(labels); m; m = doc_next(m)) {
        // One place stays for "stat".
        if (m->type != DOC_STRING || count == LABELS_MAX - 1) {
            return doc_err(r->e, m, "labels are at most %d strings", LABELS_MAX - 1);
        }
        items[count++] = (Label){m->key, m->text};
    }
    return labels_copy(r->arena, items, count, ret, r->e);
}

static int read_series(Reader *r, const Doc *d)
{
    static const Slice FIELDS[] = {SLICE_INIT("version"), SLICE_INIT("name"), SLICE_INIT("metric"),
                                   SLICE_INIT("unit"),    SLICE_INIT("runs"), SLICE_INIT("labels"),
                                   SLICE_INIT("endpoint")};
    const Doc *metric = doc_get(d, SLICE("metric"));
    const Doc *unit = doc_get(d, SLICE("unit"));
    const Doc *runs = doc_get(d, SLICE("runs"));
    SeriesDoc s = {.scale = 1};
    int rc = doc_expect_fields(d, FIELDS, COUNT_OF(FIELDS), r->e);
    if (rc != 0) {
        return rc;
    }
    if (!metric || metric->type != DOC_STRING || metric->text.len == 0) {
        return doc_err(r->e, d, "\"metric\" must name what was measured");
    }
    if (unit && (unit->type != DOC_STRING || unit_of(unit->text, &s.unit, &s.scale) != 0)) {
        return doc_err(r->e, unit, "\"unit\" must be ns, us, ms, s, bytes or empty");
    }
    if (!runs || runs->type != DOC_ARRAY || doc_count(runs) == 0) {
        return doc_err(r->e, d, "\"runs\" must be an array with at least one run");
    }
    s.metric = metric->text;
    rc = read_series_labels(r, d, &s.labels);
    for (const Doc *m = doc_first(runs); rc == 0 && m; m = doc_next(m)) {
        rc = read_run(r, m, &s);
    }
    return rc;
}

static int read_time_series(Reader *r, const Doc *doc)
{
    static const Slice FIELDS[] = {SLICE_INIT("version"), SLICE_INIT("name"), SLICE_INIT("series")};
    const Doc *version = doc_get(doc, SLICE("version"));
    const Doc *series = doc_get(doc, SLICE("series"));
    if (!version || version->type != DOC_INT || version->integer < 1) {
        return doc_err(r->e, doc, "\"version\" must be 1");
    }
    if (version->integer > 1) {
        return err_set(r->e, ERR_VERSION, "the time series has version %lld, this program knows 1",
                       (long long)version->integer);
    }
    if (!series) {
        return read_series(r, doc);
    }
    int rc = doc_expect_fields(doc, FIELDS, COUNT_OF(FIELDS), r->e);
    if (rc == 0) {
        rc = doc_expect(series, DOC_ARRAY, "\"series\"", r->e);
    }
    for (const Doc *d = rc == 0 ? doc_first(series) : NULL; rc == 0 && d; d = doc_next(d)) {
        rc = d->type == DOC_OBJECT ? read_series(r, d)
                                   : doc_err(r->e, d, "a series must be an object");
    }
    return rc;
}

// ---- k6

// "http_req_duration{name:login,status:200}" as metric and labels.
static int k6_name(Reader *r, const Doc *d, SeriesDoc *s)
{
    Slice rest;
    Label items[LABELS_MAX];
    size_t count = 0;
    if (!slice_cut(d->key, '{', &s->metric, &rest)) {
        return 0;
    }
    rest = slice_ends_with(rest, SLICE("}")) ? slice_sub(rest, 0, rest.len - 1) : rest;
    while (rest.len > 0) {
        Slice one, key, value;
        (void)slice_cut(rest, ',', &one, &rest);
        if (!slice_cut(one, ':', &key, &value) || count == LABELS_MAX - 1) {
            return doc_err_key(r->e, d, "a submetric is written metric{key:value}");
        }
        items[count++] = (Label){slice_trim(key), slice_trim(value)};
    }
    return labels_copy(r->arena, items, count, &s->labels, r->e);
}

// What k6 calls a figure, in our words; empty for what is not taken over.
static Slice k6_stat(Arena *arena, Slice key)
{
    if (slice_eq_cstr(key, "med")) {
        return SLICE("p50");
    }
    if (slice_starts_with(key, SLICE("p(")) && slice_ends_with(key, SLICE(")"))) {
        key = arena_printf(arena, "p%.*s", SLICE_FMT(slice_sub(key, 2, key.len - 3)));
    }
    return is_stat(key) ? key : (Slice){0};
}

static bool k6_number(const Doc *metric, const char *key, double *ret)
{
    const Doc *d = doc_get(metric, slice_from_cstr(key));
    *ret = doc_number(d);
    return doc_is_number(d) && fabs(*ret) < 9e15;
}

static int k6_metric(Reader *r, const Doc *d)
{
    SeriesDoc s = {.scale = 1};
    MetricId known;
    double passes, fails, count, value;
    int rc = k6_name(r, d, &s);
    if (rc != 0) {
        return rc;
    }
    SeriesInfo info = {.unit = METRIC_UNIT_NONE, .metric = s.metric, .labels = s.labels};
    if (k6_number(d, "passes", &passes) && k6_number(d, "fails", &fails)) {
        info.kind = METRIC_RATE;
        return add_point(r, d, 0, &info,
                         &(Point){.count = llround(passes + fails), .trues = llround(passes)});
    }
    if (k6_number(d, "count", &count) && !doc_get(d, SLICE("avg"))) {
        info.kind = METRIC_COUNTER;
        return add_point(r, d, 0, &info, &(Point){.count = llround(count)});
    }
    if (k6_number(d, "value", &value)) {
        Point p = {.count = 1, .last = value, .min = value, .max = value};
        info.kind = METRIC_GAUGE;
        (void)k6_number(d, "min", &p.min);
        (void)k6_number(d, "max", &p.max);
        return add_point(r, d, 0, &info, &p);
    }
    if (metric_by_name(s.metric, &known) && metric_info(known)->unit == METRIC_UNIT_TIME) {
        s.unit = METRIC_UNIT_TIME;
        s.scale = 1e6; // k6 writes milliseconds
    }
    for (const Doc *m = doc_first(d); rc == 0 && m; m = doc_next(m)) {
        Slice stat = k6_stat(r->arena, m->key);
        if (stat.len > 0 && doc_is_number(m)) {
            rc = add_stat(r, m, 0, &s, stat, doc_number(m));
        }
    }
    return rc;
}

static int read_k6(Reader *r, const Doc *doc)
{
    size_t run;
    int rc = run_of(r, doc, (Slice){0}, &run);
    const Doc *metrics = doc_get(doc, SLICE("metrics"));
    for (const Doc *d = doc_first(metrics); rc == 0 && d; d = doc_next(d)) {
        rc = d->type == DOC_OBJECT ? k6_metric(r, d)
                                   : doc_err(r->e, d, "a metric must be an object");
    }
    if (rc == 0 && r->runs->point_count == 0) {
        rc = doc_err(r->e, doc, "the summary has no metric");
    }
    return rc;
}

int foreign_read(Arena *arena, const Doc *doc, ForeignRuns **ret_runs, Err *e)
{
    size_t need = FOREIGN_SERIES_MAX * (sizeof(ForeignPoint) + LABELS_MAX * sizeof(Label)) +
                  FOREIGN_RUNS_MAX * (sizeof(Slice) + sizeof(int64_t)) + 4096;
    if (arena_left(arena) < need) {
        return err_set(e, ERR_LIMIT, "the numbers do not fit into memory");
    }
    Reader r = {.arena = arena, .runs = ARENA_NEW(arena, ForeignRuns), .e = e};
    r.times = ARENA_ARRAY(arena, Slice, FOREIGN_RUNS_MAX);
    r.runs->started_unix_ns = ARENA_ARRAY(arena, int64_t, FOREIGN_RUNS_MAX);
    r.runs->points = ARENA_ARRAY(arena, ForeignPoint, FOREIGN_SERIES_MAX);
    const Doc *name = doc_get(doc, SLICE("name"));
    r.runs->name = name && name->type == DOC_STRING ? name->text : (Slice){0};
    int rc = foreign_is_k6(doc) ? read_k6(&r, doc) : read_time_series(&r, doc);
    if (rc != 0) {
        foreign_done(r.runs);
        return rc;
    }
    *ret_runs = r.runs;
    return 0;
}

int foreign_store(Ledger *ledger, const ForeignRuns *runs, size_t index, Slice name,
                  char ret_id[RUN_ID_LEN + 1], Err *e)
{
    RunInfo info = {.kind = SLICE("imported"),
                    .name = name,
                    .started_unix_ns = runs->started_unix_ns[index],
                    .interval_ns = NS_PER_S};
    RunWriter *w;
    int rc = run_create(ledger, &info, &w, e);
    if (rc != 0) {
        return rc;
    }
    uint32_t id = 0;
    Point *points = mem_alloc((runs->point_count + 1) * sizeof *points);
    for (size_t i = 0; i < runs->point_count; i++) {
        if (runs->points[i].run != index) {
            continue;
        }
        SeriesInfo series = runs->points[i].series;
        series.id = id;
        run_declare_series(w, &series);
        points[id] = runs->points[i].point;
        points[id].series = id;
        id++;
    }
    run_interval(w, 0, points, id);
    free(points);
    memcpy(ret_id, info.id, sizeof info.id);
    return run_finish(w, &(RunEnd){.status = RUN_COMPLETE}, e);
}
