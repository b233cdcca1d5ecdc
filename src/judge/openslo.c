#include "judge/openslo.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/units.h"

typedef struct Reader {
    Arena *arena;
    const Doc *all; // array of documents
    OpenSlo out;
    size_t slo_room;
} Reader;

// ---- problems ----

static void keep_problem(Reader *r, Slice text)
{
    // An SLI that two SLOs share is read twice; its mistakes are listed once.
    for (size_t i = 0; i < r->out.problem_count; i++) {
        if (slice_eq(r->out.problems[i], text)) {
            return;
        }
    }
    r->out.problems_in_all++;
    if (r->out.problem_count < OPENSLO_PROBLEMS_MAX) {
        r->out.problems[r->out.problem_count++] = arena_copy(r->arena, text);
    }
}

static void problem(Reader *r, const Doc *at, const char *format, ...) PRINTF_LIKE(3, 4);

// Not inlined: its buffers would be in every caller's frame.
__attribute__((noinline)) static void problem(Reader *r, const Doc *at, const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    Err e;
    (void)doc_err(&e, at, "%s", text);
    keep_problem(r, slice_from_cstr(e.text));
}

// Every field that is not one of `names` is a problem of its own.
static void check_fields(Reader *r, const Doc *object, const Slice *names, size_t count)
{
    for (const Doc *m = doc_first(object); m; m = doc_next(m)) {
        bool known = false;
        for (size_t i = 0; i < count; i++) {
            known = known || slice_eq(m->key, names[i]);
        }
        if (!known) {
            Slice nearest = slice_nearest(m->key, names, count);
            // doc_err speaks of values; the complaint is about the key.
            Doc key = *m;
            key.line = m->key_line;
            key.column = m->key_column;
            problem(r, &key, "unknown field \"%.*s\"%s%.*s%s", SLICE_FMT(m->key),
                    nearest.len ? "; did you mean \"" : "", SLICE_FMT(nearest),
                    nearest.len ? "\"?" : "");
        }
    }
}

#define FIELDS(r, object, ...)                                                                     \
    check_fields(r, object, (const Slice[]){__VA_ARGS__},                                          \
                 sizeof((const Slice[]){__VA_ARGS__}) / sizeof(Slice))

// The member, when it is there and of that type; a problem when it has another type, or when it is
// missing and needed.
static const Doc *member(Reader *r, const Doc *object, const char *key, DocType type, bool needed)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    if (d == NULL) {
        if (needed) {
            problem(r, object, "\"%s\" is missing", key);
        }
        return NULL;
    }
    if (d->type != type) {
        problem(r, d, "%s must be %s, not %s", key, doc_type_name(type), doc_type_name(d->type));
        return NULL;
    }
    return d;
}

static bool number_member(Reader *r, const Doc *object, const char *key, double *ret)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    if (d == NULL) {
        return false;
    }
    if (!doc_is_number(d) || !isfinite(doc_number(d))) {
        problem(r, d, "%s must be a finite number, not %s", key, doc_type_name(d->type));
        return false;
    }
    *ret = doc_number(d);
    return true;
}

static Slice text_member(Reader *r, const Doc *object, const char *key, bool needed)
{
    const Doc *d = member(r, object, key, DOC_STRING, needed);
    return d ? d->text : (Slice){0};
}

int openslo_duration(Slice text, int64_t *ret_ns)
{
    static const struct {
        char postfix;
        int64_t ns;
    } UNITS[] = {
        {'s', NS_PER_SECOND},   {'m', NS_PER_MINUTE},    {'h', NS_PER_HOUR},
        {'d', NS_PER_DAY},      {'w', 7 * NS_PER_DAY},   {'M', 30 * NS_PER_DAY},
        {'Q', 90 * NS_PER_DAY}, {'Y', 365 * NS_PER_DAY},
    };
    int64_t n;
    if (text.len < 2 || slice_to_i64(slice_sub(text, 0, text.len - 1), &n) != 0 || n < 1) {
        return ERR_PARSE;
    }
    for (size_t i = 0; i < COUNT_OF(UNITS); i++) {
        int64_t ns;
        if (text.ptr[text.len - 1] == UNITS[i].postfix &&
            !__builtin_mul_overflow(n, UNITS[i].ns, &ns)) {
            *ret_ns = ns;
            return 0;
        }
    }
    return ERR_PARSE;
}

// ---- objects by kind and name ----

static Slice object_name(const Doc *object)
{
    const Doc *name = doc_get(doc_get(object, SLICE("metadata")), SLICE("name"));
    return name && name->type == DOC_STRING ? name->text : (Slice){0};
}

static bool has_kind(const Doc *object, const char *kind)
{
    const Doc *d = doc_get(object, SLICE("kind"));
    return d && d->type == DOC_STRING && slice_eq_cstr(d->text, kind);
}

static const Doc *find_object(const Reader *r, const char *kind, Slice name)
{
    for (const Doc *d = doc_first(r->all); d; d = doc_next(d)) {
        if (has_kind(d, kind) && slice_eq(object_name(d), name)) {
            return d;
        }
    }
    return NULL;
}

// ---- metric sources ----

// What a metricSource of type "perfwright" says.
typedef struct Source {
    const Doc *at; // NULL: none was read
    MetricId metric;
    Labels labels;
    bool has_test;
    SloOp op;
    double threshold;
} Source;

static bool source_is_ours(Reader *r, const Doc *source)
{
    Slice type = text_member(r, source, "type", false);
    const Doc *ref = member(r, source, "metricSourceRef", DOC_STRING, false);
    if (type.len == 0 && ref != NULL) {
        const Doc *data = find_object(r, "DataSource", ref->text);
        if (data == NULL) {
            problem(r, ref, "there is no DataSource named \"%.*s\"", SLICE_FMT(ref->text));
            return false;
        }
        type = text_member(r, doc_get(data, SLICE("spec")), "type", false);
    }
    if (type.len == 0) {
        problem(r, source, "metricSource needs type: perfwright");
        return false;
    }
    if (!slice_eq_nocase(type, SLICE("perfwright"))) {
        problem(r, source,
                "metric source \"%.*s\" is not supported: a load test is judged by its own "
                "measurements, so the type must be perfwright",
                SLICE_FMT(type));
        return false;
    }
    return true;
}

static bool read_op(Reader *r, const Doc *object, SloOp *ret_op)
{
    static const char *const NAMES[] = {"lte", "lt", "gte", "gt"}; // in the order of SloOp
    const Doc *d = member(r, object, "op", DOC_STRING, false);
    if (d == NULL) {
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (slice_eq_cstr(d->text, NAMES[i])) {
            *ret_op = (SloOp)i;
            return true;
        }
    }
    problem(r, d, "op must be lte, lt, gte or gt, not \"%.*s\"", SLICE_FMT(d->text));
    return false;
}

// 500 (milliseconds, as everywhere in k6), or a text with a unit: "500ms".
static bool read_threshold(Reader *r, const Doc *spec, const MetricInfo *metric, double *ret)
{
    const Doc *d = doc_get(spec, SLICE("threshold"));
    if (d == NULL) {
        return false;
    }
    int64_t ns;
    if (d->type == DOC_STRING && metric->unit == METRIC_UNIT_TIME &&
        duration_parse(d->text, 0, &ns, NULL) == 0) {
        *ret = (double)ns / 1e6;
        return true;
    }
    if (doc_is_number(d) && isfinite(doc_number(d))) {
        *ret = doc_number(d);
        return true;
    }
    problem(r, d, "threshold must be a number%s",
            metric->unit == METRIC_UNIT_TIME ? " of milliseconds, or such as 500ms" : "");
    return false;
}

static void read_labels(Reader *r, const Doc *spec, Source *s)
{
    Label items[LABELS_MAX + 1];
    size_t n = 0;
    const Doc *labels = member(r, spec, "labels", DOC_OBJECT, false);
    for (const Doc *m = doc_first(labels); m; m = doc_next(m)) {
        if (m->type != DOC_STRING && !doc_is_number(m) && m->type != DOC_BOOL) {
            problem(r, m, "a label's value must be a string");
        } else if (n == LABELS_MAX) {
            problem(r, m, "too many labels, the limit is 32");
            break;
        } else {
            // YAML reads `expected_response: true` as a boolean; labels are text.
            Slice text =
                m->type == DOC_BOOL ? (m->boolean ? SLICE("true") : SLICE("false")) : m->text;
            items[n++] = (Label){m->key, text};
        }
    }
    const Doc *endpoint = member(r, spec, "endpoint", DOC_STRING, false);
    if (endpoint) {
        items[n++] = (Label){SLICE("name"), endpoint->text};
    }
    if (labels_copy(r->arena, items, n, &s->labels, NULL) != 0) {
        problem(r, endpoint ? endpoint : spec,
                "endpoint is the label \"name\", which is "
                "also among the labels, or too many labels");
    }
}

static void read_metric(Reader *r, const Doc *spec, Source *s)
{
    const Doc *name = member(r, spec, "metric", DOC_STRING, true);
    if (name == NULL) {
        return;
    }
    if (!metric_by_name(name->text, &s->metric)) {
        Slice names[METRIC_COUNT];
        for (size_t i = 0; i < METRIC_COUNT; i++) {
            names[i] = metric_info((MetricId)i)->name;
        }
        Slice nearest = slice_nearest(name->text, names, METRIC_COUNT);
        problem(r, name, "there is no metric \"%.*s\"%s%.*s%s", SLICE_FMT(name->text),
                nearest.len ? "; did you mean \"" : "", SLICE_FMT(nearest),
                nearest.len ? "\"?" : "");
        return;
    }
    s->at = name;
}

// `holder` is thresholdMetric, good, bad or total.
static Source read_source(Reader *r, const Doc *holder)
{
    Source s = {0};
    if (holder == NULL) {
        return s;
    }
    FIELDS(r, holder, SLICE("metricSource"));
    const Doc *source = member(r, holder, "metricSource", DOC_OBJECT, true);
    if (source == NULL) {
        return s;
    }
    FIELDS(r, source, SLICE("metricSourceRef"), SLICE("type"), SLICE("spec"));
    if (!source_is_ours(r, source)) {
        return s;
    }
    const Doc *spec = member(r, source, "spec", DOC_OBJECT, true);
    if (spec == NULL) {
        return s;
    }
    FIELDS(r, spec, SLICE("metric"), SLICE("endpoint"), SLICE("labels"), SLICE("op"),
           SLICE("threshold"));
    read_labels(r, spec, &s);
    read_metric(r, spec, &s);
    if (s.at) {
        bool has_op = read_op(r, spec, &s.op);
        s.has_test = read_threshold(r, spec, metric_info(s.metric), &s.threshold);
        if (has_op && !s.has_test) {
            problem(r, spec, "op needs a threshold");
        }
    }
    return s;
}

// ---- indicators ----

static bool is_request_metric(MetricId id)
{
    return slice_starts_with(metric_info(id)->name, SLICE("http_req_"));
}

static void base_slo(const Source *s, Slo *slo)
{
    slo->metric = metric_info(s->metric)->name;
    slo->filter = s->labels;
    slo->failures_are_bad = is_request_metric(s->metric);
}

static SloOp opposite(SloOp op)
{
    switch (op) {
    case SLO_OP_LE: return SLO_OP_GT;
    case SLO_OP_LT: return SLO_OP_GE;
    case SLO_OP_GE: return SLO_OP_LT;
    case SLO_OP_GT: return SLO_OP_LE;
    }
    return op;
}

static bool total_fits(const Source *part, const Source *total)
{
    bool same = total->metric == part->metric ||
                (total->metric == M_HTTP_REQS && is_request_metric(part->metric));
    return same && !total->has_test && labels_eq(part->labels, total->labels);
}

static bool ratio_part(Reader *r, const Doc *holder, const Source *part, bool is_good, Slo *slo)
{
    base_slo(part, slo);
    MetricKind kind = metric_info(part->metric)->kind;
    if (kind == METRIC_TREND) {
        if (!part->has_test) {
            problem(r, part->at, "needs a threshold that tells good requests from bad ones");
            return false;
        }
        slo->op = is_good ? part->op : opposite(part->op);
        slo->threshold = part->threshold;
        return true;
    }
    if (kind == METRIC_RATE) {
        if (part->metric == M_HTTP_REQ_FAILED && is_good) {
            problem(r, holder, "failed requests are not good: name http_req_failed under bad");
            return false;
        }
        slo->true_is_bad = !is_good;
        return true;
    }
    problem(r, part->at, "good and bad must name a trend or a rate, which this is not: \"%.*s\"",
            SLICE_FMT(metric_info(part->metric)->name));
    return false;
}

static bool read_ratio(Reader *r, const Doc *ratio, Slo *slo)
{
    FIELDS(r, ratio, SLICE("counter"), SLICE("good"), SLICE("bad"), SLICE("total"),
           SLICE("rawType"), SLICE("raw"));
    // Counters and rates are one here: a run holds what was added in every second.
    (void)member(r, ratio, "counter", DOC_BOOL, false);
    if (doc_get(ratio, SLICE("raw")) || doc_get(ratio, SLICE("rawType"))) {
        problem(r, ratio,
                "raw ratios are not supported: a share without its counts has no "
                "interval; give good or bad, and total");
        return false;
    }
    const Doc *good = member(r, ratio, "good", DOC_OBJECT, false);
    const Doc *bad = member(r, ratio, "bad", DOC_OBJECT, false);
    const Doc *whole = member(r, ratio, "total", DOC_OBJECT, true);
    if ((good == NULL) == (bad == NULL)) {
        problem(r, ratio, "needs either good or bad, and total");
        return false;
    }
    Source part = read_source(r, good ? good : bad);
    Source total = read_source(r, whole);
    if (part.at == NULL || total.at == NULL ||
        !ratio_part(r, good ? good : bad, &part, good != NULL, slo)) {
        return false;
    }
    if (!total_fits(&part, &total)) {
        problem(r, total.at,
                "total must be the same metric, or http_reqs, with the same labels "
                "and no threshold");
        return false;
    }
    return true;
}

static bool read_threshold_metric(Reader *r, const Doc *metric, Slo *slo, bool *ret_threshold)
{
    Source s = read_source(r, metric);
    if (s.at == NULL) {
        return false;
    }
    base_slo(&s, slo);
    if (metric_info(s.metric)->kind != METRIC_TREND) {
        problem(r, s.at,
                "thresholdMetric needs a metric with a value a request (a trend), such as "
                "http_req_duration; use ratioMetric for rates");
        return false;
    }
    *ret_threshold = true;
    if (s.has_test) {
        problem(r, metric, "op and threshold belong into the objective (op, value) here");
        return false;
    }
    return true;
}

// *ret_threshold: the objectives must have op and value.
static bool read_indicator(Reader *r, const Doc *spec, Slo *slo, bool *ret_threshold)
{
    FIELDS(r, spec, SLICE("description"), SLICE("thresholdMetric"), SLICE("ratioMetric"));
    const Doc *ratio = member(r, spec, "ratioMetric", DOC_OBJECT, false);
    const Doc *threshold = member(r, spec, "thresholdMetric", DOC_OBJECT, false);
    if ((ratio == NULL) == (threshold == NULL)) {
        problem(r, spec, "needs either ratioMetric or thresholdMetric");
        return false;
    }
    *ret_threshold = false;
    return ratio ? read_ratio(r, ratio, slo)
                 : read_threshold_metric(r, threshold, slo, ret_threshold);
}

static void check_metadata(Reader *r, const Doc *holder)
{
    const Doc *metadata = member(r, holder, "metadata", DOC_OBJECT, true);
    if (metadata) {
        FIELDS(r, metadata, SLICE("name"), SLICE("displayName"), SLICE("labels"),
               SLICE("annotations"));
        (void)text_member(r, metadata, "name", true);
        (void)text_member(r, metadata, "displayName", false);
    }
}

// The spec of the SLI that an SLO names or holds.
static const Doc *indicator_spec(Reader *r, const Doc *slo_spec)
{
    const Doc *inlined = member(r, slo_spec, "indicator", DOC_OBJECT, false);
    const Doc *ref = member(r, slo_spec, "indicatorRef", DOC_STRING, false);
    if ((inlined == NULL) == (ref == NULL)) {
        problem(r, slo_spec, "needs either indicator or indicatorRef");
        return NULL;
    }
    if (inlined) {
        FIELDS(r, inlined, SLICE("metadata"), SLICE("spec"));
        return member(r, inlined, "spec", DOC_OBJECT, true);
    }
    const Doc *sli = find_object(r, "SLI", ref->text);
    if (sli == NULL) {
        problem(r, ref, "there is no SLI named \"%.*s\"", SLICE_FMT(ref->text));
        return NULL;
    }
    const Doc *spec = doc_get(sli, SLICE("spec"));
    return spec && spec->type == DOC_OBJECT ? spec : NULL; // its own check says so
}

// ---- objectives ----

static void read_window(Reader *r, const Doc *spec, Slo *slo)
{
    const Doc *list = member(r, spec, "timeWindow", DOC_ARRAY, false);
    if (list == NULL) {
        return;
    }
    const Doc *w = doc_first(list);
    if (doc_count(list) != 1 || w->type != DOC_OBJECT) {
        problem(r, list, "timeWindow must hold exactly one window");
        return;
    }
    FIELDS(r, w, SLICE("duration"), SLICE("isRolling"), SLICE("calendar"));
    (void)member(r, w, "isRolling", DOC_BOOL, false);
    const Doc *calendar = member(r, w, "calendar", DOC_OBJECT, false);
    if (calendar) {
        FIELDS(r, calendar, SLICE("startTime"), SLICE("timeZone"));
    }
    const Doc *duration = member(r, w, "duration", DOC_STRING, true);
    if (duration && openslo_duration(duration->text, &slo->window_ns) != 0) {
        problem(r, duration, "duration must be such as 28d, 4w or 1M, not \"%.*s\"",
                SLICE_FMT(duration->text));
    }
}

static void read_budgeting(Reader *r, const Doc *spec, Slo *slo)
{
    static const char *const NAMES[] = {"Occurrences", "Timeslices", "RatioTimeslices"};
    const Doc *d = member(r, spec, "budgetingMethod", DOC_STRING, true);
    if (d == NULL) {
        return;
    }
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (slice_eq_cstr(d->text, NAMES[i])) {
            slo->budgeting = (SloBudgeting)i;
            return;
        }
    }
    problem(r, d,
            "budgetingMethod must be Occurrences, Timeslices or RatioTimeslices, not \"%.*s\"",
            SLICE_FMT(d->text));
}

static void read_target(Reader *r, const Doc *o, Slo *slo)
{
    double percent;
    bool has_target = number_member(r, o, "target", &slo->target);
    bool has_percent = number_member(r, o, "targetPercent", &percent);
    if (has_target == has_percent) {
        problem(r, o, "needs either target or targetPercent");
        return;
    }
    slo->target = has_target ? slo->target : percent / 100;
    if (!(slo->target > 0 && slo->target < 1)) {
        problem(r, o,
                has_target ? "target must be above 0 and below 1"
                           : "targetPercent must be above 0 and below 100");
    }
}

static void read_slice_window(Reader *r, const Doc *o, Slo *slo)
{
    const Doc *d = doc_get(o, SLICE("timeSliceWindow"));
    if (d == NULL) {
        problem(r, o, "\"timeSliceWindow\" is missing");
        return;
    }
    if (d->type == DOC_STRING && openslo_duration(d->text, &slo->slice_ns) == 0) {
        return;
    }
    // A bare number counts minutes (OpenSLO v1, objectives).
    double minutes = doc_number(d);
    if (doc_is_number(d) && minutes > 0 && minutes <= 1e6) {
        slo->slice_ns = (int64_t)(minutes * (double)NS_PER_MINUTE);
        return;
    }
    problem(r, d, "timeSliceWindow must be minutes, or such as 1m or 30s");
}

static void read_slices(Reader *r, const Doc *o, Slo *slo)
{
    if (slo->budgeting == SLO_OCCURRENCES) {
        return;
    }
    read_slice_window(r, o, slo);
    if (slo->budgeting == SLO_TIMESLICES) {
        if (!number_member(r, o, "timeSliceTarget", &slo->slice_target)) {
            problem(r, o, "Timeslices need a timeSliceTarget, the share that makes a slice good");
        } else if (!(slo->slice_target > 0 && slo->slice_target <= 1)) {
            problem(r, o, "timeSliceTarget must be above 0 and at most 1");
        }
    }
}

static void read_objective(Reader *r, const Doc *o, const Slo *common, bool threshold, Slice suffix)
{
    if (o->type != DOC_OBJECT) {
        problem(r, o, "an objective must be an object");
        return;
    }
    if (doc_get(o, SLICE("indicator")) || doc_get(o, SLICE("indicatorRef")) ||
        doc_get(o, SLICE("compositeWeight"))) {
        problem(r, o, "composite SLOs are not supported: write one SLO for each indicator");
        return;
    }
    FIELDS(r, o, SLICE("displayName"), SLICE("op"), SLICE("value"), SLICE("target"),
           SLICE("targetPercent"), SLICE("timeSliceTarget"), SLICE("timeSliceWindow"));
    Slo slo = *common;
    Slice shown = text_member(r, o, "displayName", false);
    if (suffix.len || shown.len) {
        slo.name = arena_printf(r->arena, "%.*s: %.*s", SLICE_FMT(common->name),
                                SLICE_FMT(shown.len ? shown : suffix));
    }
    slo.origin = arena_printf(r->arena, "%s:%d", o->source, o->line);
    bool has_op = read_op(r, o, &slo.op);
    double value;
    bool has_value = number_member(r, o, "value", &value);
    if (threshold && !(has_op && has_value)) {
        problem(r, o, "a thresholdMetric's objective needs op and value");
    } else if (!threshold && (has_op || has_value)) {
        problem(r, o,
                "op and value belong to a thresholdMetric; a ratioMetric has its threshold "
                "in the metric source");
    }
    slo.threshold = threshold && has_value ? value : slo.threshold;
    read_target(r, o, &slo);
    read_slices(r, o, &slo);
    if (r->out.slo_count < r->slo_room) {
        r->out.slos[r->out.slo_count++] = slo;
    }
}

static void read_slo(Reader *r, const Doc *object)
{
    check_metadata(r, object);
    const Doc *spec = member(r, object, "spec", DOC_OBJECT, true);
    if (spec == NULL) {
        return;
    }
    FIELDS(r, spec, SLICE("description"), SLICE("service"), SLICE("indicator"),
           SLICE("indicatorRef"), SLICE("timeWindow"), SLICE("budgetingMethod"),
           SLICE("objectives"), SLICE("alertPolicies"));
    Slo common = {.name = object_name(object), .service = text_member(r, spec, "service", true)};
    read_window(r, spec, &common);
    read_budgeting(r, spec, &common);
    const Doc *objectives = member(r, spec, "objectives", DOC_ARRAY, true);
    // A composite SLO has no indicator of its own; one message about that is enough.
    const Doc *first = doc_first(objectives);
    bool composite = doc_get(first, SLICE("indicator")) || doc_get(first, SLICE("indicatorRef"));
    bool threshold = false;
    bool readable = false;
    if (!composite) {
        const Doc *indicator = indicator_spec(r, spec);
        readable = indicator && read_indicator(r, indicator, &common, &threshold);
    }
    size_t count = doc_count(objectives);
    if (objectives && (count == 0 || count > OPENSLO_OBJECTIVES_MAX)) {
        problem(r, objectives, "there must be 1 to 100 objectives");
        return;
    }
    if (threshold && count > 1) {
        problem(r, objectives, "a thresholdMetric allows one objective");
    }
    size_t number = 1;
    for (const Doc *o = first; o && (readable || composite); o = doc_next(o), number++) {
        Slice suffix = count > 1 ? arena_printf(r->arena, "objective %zu", number) : (Slice){0};
        read_objective(r, o, &common, threshold, suffix);
    }
}

static void read_other(Reader *r, const Doc *object)
{
    const Doc *kind = doc_get(object, SLICE("kind"));
    const Slice kinds[] = {SLICE("SLO"),
                           SLICE("SLI"),
                           SLICE("Service"),
                           SLICE("DataSource"),
                           SLICE("AlertPolicy"),
                           SLICE("AlertCondition"),
                           SLICE("AlertNotificationTarget")};
    for (size_t i = 4; i < COUNT_OF(kinds); i++) {
        if (slice_eq(kind->text, kinds[i])) {
            r->out.notes[r->out.note_count++] =
                arena_printf(r->arena, "%s:%d: %.*s has no effect on a load test", object->source,
                             object->line, SLICE_FMT(kind->text));
            return;
        }
    }
    Slice nearest = slice_nearest(kind->text, kinds, COUNT_OF(kinds));
    problem(r, kind, "unknown kind \"%.*s\"%s%.*s%s", SLICE_FMT(kind->text),
            nearest.len ? "; did you mean \"" : "", SLICE_FMT(nearest), nearest.len ? "\"?" : "");
}

static void check_sli(Reader *r, const Doc *object)
{
    Slo ignored = {0};
    bool threshold;
    const Doc *spec = member(r, object, "spec", DOC_OBJECT, true);
    if (spec) {
        (void)read_indicator(r, spec, &ignored, &threshold);
    }
}

static void check_unique(Reader *r, const Doc *object)
{
    const Doc *kind = doc_get(object, SLICE("kind"));
    Slice name = object_name(object);
    for (const Doc *d = doc_first(r->all); d != object; d = doc_next(d)) {
        const Doc *other = doc_get(d, SLICE("kind"));
        if (name.len && other && slice_eq(other->text, kind->text) &&
            slice_eq(object_name(d), name)) {
            problem(r, object, "another object of this kind has the name \"%.*s\"",
                    SLICE_FMT(name));
            return;
        }
    }
}

static void read_object(Reader *r, const Doc *object)
{
    if (object->type != DOC_OBJECT) {
        problem(r, object, "an OpenSLO document must be an object");
        return;
    }
    Slice version = text_member(r, object, "apiVersion", true);
    if (version.len && !slice_eq(version, SLICE("openslo/v1"))) {
        problem(r, doc_get(object, SLICE("apiVersion")),
                "apiVersion must be openslo/v1; not supported: \"%.*s\"", SLICE_FMT(version));
        return;
    }
    if (member(r, object, "kind", DOC_STRING, true) == NULL) {
        return;
    }
    FIELDS(r, object, SLICE("apiVersion"), SLICE("kind"), SLICE("metadata"), SLICE("spec"));
    check_unique(r, object);
    if (has_kind(object, "SLO")) {
        read_slo(r, object);
    } else if (has_kind(object, "SLI")) {
        check_metadata(r, object);
        check_sli(r, object);
    } else if (has_kind(object, "Service") || has_kind(object, "DataSource")) {
        check_metadata(r, object);
    } else {
        read_other(r, object);
    }
}

static int finish(Reader *r, OpenSlo *ret, Err *e)
{
    *ret = r->out;
    if (r->out.problems_in_all == 0) {
        return 0;
    }
    size_t more = r->out.problems_in_all - 1;
    if (more == 0) {
        return err_set(e, ERR_PARSE, "%.*s", SLICE_FMT(r->out.problems[0]));
    }
    return err_set(e, ERR_PARSE, "%.*s (and %zu more)", SLICE_FMT(r->out.problems[0]), more);
}

static int read_all(Arena *arena, const Doc *all, OpenSlo *ret, Err *e)
{
    size_t count = doc_count(all);
    if (count > OPENSLO_OBJECTS_MAX) {
        return err_set(e, ERR_LIMIT, "%s: %zu documents, the limit is %d", all->source, count,
                       OPENSLO_OBJECTS_MAX);
    }
    Reader r = {.arena = arena, .all = all};
    for (const Doc *d = doc_first(all); d; d = doc_next(d)) {
        size_t n = doc_count(doc_get(doc_get(d, SLICE("spec")), SLICE("objectives")));
        r.slo_room += n <= OPENSLO_OBJECTIVES_MAX ? n : 0;
    }
    r.out.slos = ARENA_ARRAY(arena, Slo, r.slo_room + 1);
    r.out.problems = ARENA_ARRAY(arena, Slice, OPENSLO_PROBLEMS_MAX);
    r.out.notes = ARENA_ARRAY(arena, Slice, count + 1);
    for (const Doc *d = doc_first(all); d; d = doc_next(d)) {
        read_object(&r, d);
    }
    if (count == 0) {
        keep_problem(&r,
                     arena_printf(arena, "%s: there is no OpenSLO document in it", all->source));
    }
    return finish(&r, ret, e);
}

// A document too deep, too long or too entangled is a mistake in it like any other.
static int as_mistake(int rc)
{
    return rc == ERR_LIMIT ? ERR_PARSE : rc;
}

int openslo_read(Arena *arena, Slice text, const char *source, OpenSlo *ret, Err *e)
{
    const Doc *all = NULL;
    DocOptions options = {.format = DOC_FORMAT_YAML, .source = source}; // JSON is YAML as well
    int rc = doc_parse_all(arena, text, &options, &all, e);
    return as_mistake(rc != 0 ? rc : read_all(arena, all, ret, e));
}

int openslo_read_file(Arena *arena, const char *path, OpenSlo *ret, Err *e)
{
    const Doc *all = NULL;
    DocOptions options = {.format = DOC_FORMAT_YAML};
    int rc = doc_read_file_all(arena, path, &options, &all, e);
    return as_mistake(rc != 0 ? rc : read_all(arena, all, ret, e));
}
