#include "judge/openslo_parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/units.h"

// ---- problems ----

void openslo_keep_problem(OpenSloReader *r, Slice text)
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

// Not inlined: its buffers would be in every caller's frame.
__attribute__((noinline)) void openslo_problem(OpenSloReader *r, const Doc *at, const char *format,
                                               ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    Err e;
    (void)doc_err(&e, at, "%s", text);
    openslo_keep_problem(r, slice_from_cstr(e.text));
}

void openslo_check_fields(OpenSloReader *r, const Doc *object, const Slice *names, size_t count)
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
            openslo_problem(r, &key, "unknown field \"%.*s\"%s%.*s%s", SLICE_FMT(m->key),
                            nearest.len ? "; did you mean \"" : "", SLICE_FMT(nearest),
                            nearest.len ? "\"?" : "");
        }
    }
}

const Doc *openslo_member(OpenSloReader *r, const Doc *object, const char *key, DocType type,
                          bool needed)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    if (d == NULL) {
        if (needed) {
            openslo_problem(r, object, "\"%s\" is missing", key);
        }
        return NULL;
    }
    if (d->type != type) {
        openslo_problem(r, d, "%s must be %s, not %s", key, doc_type_name(type),
                        doc_type_name(d->type));
        return NULL;
    }
    return d;
}

bool openslo_number(OpenSloReader *r, const Doc *object, const char *key, double *ret)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    if (d == NULL) {
        return false;
    }
    if (!doc_is_number(d) || !isfinite(doc_number(d))) {
        openslo_problem(r, d, "%s must be a finite number, not %s", key, doc_type_name(d->type));
        return false;
    }
    *ret = doc_number(d);
    return true;
}

Slice openslo_text(OpenSloReader *r, const Doc *object, const char *key, bool needed)
{
    const Doc *d = openslo_member(r, object, key, DOC_STRING, needed);
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

Slice openslo_object_name(const Doc *object)
{
    const Doc *name = doc_get(doc_get(object, SLICE("metadata")), SLICE("name"));
    return name && name->type == DOC_STRING ? name->text : (Slice){0};
}

bool openslo_has_kind(const Doc *object, const char *kind)
{
    const Doc *d = doc_get(object, SLICE("kind"));
    return d && d->type == DOC_STRING && slice_eq_cstr(d->text, kind);
}

const Doc *openslo_find(const OpenSloReader *r, const char *kind, Slice name)
{
    for (const Doc *d = doc_first(r->all); d; d = doc_next(d)) {
        if (openslo_has_kind(d, kind) && slice_eq(openslo_object_name(d), name)) {
            return d;
        }
    }
    return NULL;
}

// ---- metric sources ----

static bool source_is_ours(OpenSloReader *r, const Doc *source)
{
    Slice type = openslo_text(r, source, "type", false);
    const Doc *ref = openslo_member(r, source, "metricSourceRef", DOC_STRING, false);
    if (type.len == 0 && ref != NULL) {
        const Doc *data = openslo_find(r, "DataSource", ref->text);
        if (data == NULL) {
            openslo_problem(r, ref, "there is no DataSource named \"%.*s\"", SLICE_FMT(ref->text));
            return false;
        }
        type = openslo_text(r, doc_get(data, SLICE("spec")), "type", false);
    }
    if (type.len == 0) {
        openslo_problem(r, source, "metricSource needs type: perfwright");
        return false;
    }
    if (!slice_eq_nocase(type, SLICE("perfwright"))) {
        openslo_problem(r, source,
                        "metric source \"%.*s\" is not supported: a load test is judged by its own "
                        "measurements, so the type must be perfwright",
                        SLICE_FMT(type));
        return false;
    }
    return true;
}

bool openslo_op(OpenSloReader *r, const Doc *object, SloOp *ret_op)
{
    static const char *const NAMES[] = {"lte", "lt", "gte", "gt"}; // in the order of SloOp
    const Doc *d = openslo_member(r, object, "op", DOC_STRING, false);
    if (d == NULL) {
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (slice_eq_cstr(d->text, NAMES[i])) {
            *ret_op = (SloOp)i;
            return true;
        }
    }
    openslo_problem(r, d, "op must be lte, lt, gte or gt, not \"%.*s\"", SLICE_FMT(d->text));
    return false;
}

// 500 (milliseconds, as everywhere in k6), or a text with a unit: "500ms".
static bool read_threshold(OpenSloReader *r, const Doc *spec, const MetricInfo *metric, double *ret)
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
    openslo_problem(r, d, "threshold must be a number%s",
                    metric->unit == METRIC_UNIT_TIME ? " of milliseconds, or such as 500ms" : "");
    return false;
}

static void read_labels(OpenSloReader *r, const Doc *spec, OpenSloSource *s)
{
    Label items[LABELS_MAX + 1];
    size_t n = 0;
    const Doc *labels = openslo_member(r, spec, "labels", DOC_OBJECT, false);
    for (const Doc *m = doc_first(labels); m; m = doc_next(m)) {
        if (m->type != DOC_STRING && !doc_is_number(m) && m->type != DOC_BOOL) {
            openslo_problem(r, m, "a label's value must be a string");
        } else if (n == LABELS_MAX) {
            openslo_problem(r, m, "too many labels, the limit is 32");
            break;
        } else {
            // YAML reads `expected_response: true` as a boolean; labels are text.
            Slice text =
                m->type == DOC_BOOL ? (m->boolean ? SLICE("true") : SLICE("false")) : m->text;
            items[n++] = (Label){m->key, text};
        }
    }
    const Doc *endpoint = openslo_member(r, spec, "endpoint", DOC_STRING, false);
    if (endpoint) {
        items[n++] = (Label){SLICE("name"), endpoint->text};
    }
    if (labels_copy(r->arena, items, n, &s->labels, NULL) != 0) {
        openslo_problem(r, endpoint ? endpoint : spec,
                        "endpoint is the label \"name\", which is "
                        "also among the labels, or too many labels");
    }
}

static void read_metric(OpenSloReader *r, const Doc *spec, OpenSloSource *s)
{
    const Doc *name = openslo_member(r, spec, "metric", DOC_STRING, true);
    if (name == NULL) {
        return;
    }
    if (!metric_by_name(name->text, &s->metric)) {
        Slice names[METRIC_COUNT];
        for (size_t i = 0; i < METRIC_COUNT; i++) {
            names[i] = metric_info((MetricId)i)->name;
        }
        Slice nearest = slice_nearest(name->text, names, METRIC_COUNT);
        openslo_problem(r, name, "there is no metric \"%.*s\"%s%.*s%s", SLICE_FMT(name->text),
                        nearest.len ? "; did you mean \"" : "", SLICE_FMT(nearest),
                        nearest.len ? "\"?" : "");
        return;
    }
    s->at = name;
}

OpenSloSource openslo_source(OpenSloReader *r, const Doc *holder)
{
    OpenSloSource s = {0};
    if (holder == NULL) {
        return s;
    }
    OPENSLO_FIELDS(r, holder, SLICE("metricSource"));
    const Doc *source = openslo_member(r, holder, "metricSource", DOC_OBJECT, true);
    if (source == NULL) {
        return s;
    }
    OPENSLO_FIELDS(r, source, SLICE("metricSourceRef"), SLICE("type"), SLICE("spec"));
    if (!source_is_ours(r, source)) {
        return s;
    }
    const Doc *spec = openslo_member(r, source, "spec", DOC_OBJECT, true);
    if (spec == NULL) {
        return s;
    }
    OPENSLO_FIELDS(r, spec, SLICE("metric"), SLICE("endpoint"), SLICE("labels"), SLICE("op"),
                   SLICE("threshold"));
    read_labels(r, spec, &s);
    read_metric(r, spec, &s);
    if (s.at) {
        bool has_op = openslo_op(r, spec, &s.op);
        s.has_test = read_threshold(r, spec, metric_info(s.metric), &s.threshold);
        if (has_op && !s.has_test) {
            openslo_problem(r, spec, "op needs a threshold");
        }
    }
    return s;
}
