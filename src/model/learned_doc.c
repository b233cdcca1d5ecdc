// A learned model as a document.
#include "model/learned_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- writing

static void write_inputs(const Learned *m, JsonWriter *w)
{
    json_array_begin(w);
    for (size_t i = 0; i < m->input_count; i++) {
        const LearnedInput *in = &m->inputs[i];
        json_object_begin(w);
        json_field_double(w, "high", in->region.high);
        json_field_double(w, "low", in->region.low);
        json_field_string(w, "name", in->column.name);
        json_field_cstr(w, "role", COLUMN_ROLE_NAMES[in->column.role]);
        json_field_string(w, "unit", in->column.unit);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_report(const LearnedReport *r, JsonWriter *w)
{
    json_object_begin(w);
    json_field_double(w, "base_error", r->base_error);
    json_field_double(w, "coverage", r->coverage);
    json_field_double(w, "median_error", r->median_error);
    json_field_double(w, "median_width", r->median_width);
    json_field_int(w, "rows", (int64_t)r->rows);
    json_object_end(w);
}

static void write_numbers(JsonWriter *w, const char *key, const double *values, size_t count)
{
    json_key(w, slice_from_cstr(key));
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        json_double(w, values[i]);
    }
    json_array_end(w);
}

static void write_output(const LearnedModel *o, JsonWriter *w)
{
    json_object_begin(w);
    json_field_bool(w, "hybrid", o->report.hybrid);
    json_field_cstr(w, "kind", LEARNED_KIND_NAMES[o->report.kind]);
    json_field_bool(w, "logarithm", o->report.logarithm);
    json_key(w, SLICE("model"));
    if (o->gp) {
        gp_write(o->gp, w);
    } else if (o->trees) {
        trees_write(o->trees, w);
    } else {
        json_null(w);
    }
    json_field_string(w, "name", o->column.name);
    json_key(w, SLICE("report"));
    write_report(&o->report, w);
    write_numbers(w, "residuals", o->residuals, o->known);
    write_numbers(w, "scores", o->scores, o->known);
    json_field_string(w, "unit", o->column.unit);
    json_object_end(w);
}

static void write_texts(JsonWriter *w, const char *key, const Slice *texts, size_t count)
{
    json_key(w, slice_from_cstr(key));
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        json_string(w, texts[i]);
    }
    json_array_end(w);
}

void learned_write(const Learned *m, JsonWriter *w)
{
    json_object_begin(w);
    json_key(w, SLICE("base"));
    if (m->base) {
        json_string(w, m->base_name);
    } else {
        json_null(w);
    }
    json_field_double(w, "confidence", m->confidence);
    json_field_cstr(w, "format", "perfwright-learned");
    json_key(w, SLICE("inputs"));
    write_inputs(m, w);
    write_texts(w, "left_out", m->left_out, m->left_out_count);
    json_key(w, SLICE("outputs"));
    json_array_begin(w);
    for (size_t i = 0; i < m->output_count; i++) {
        write_output(m->models[i], w);
    }
    json_array_end(w);
    json_field_int(w, "rows", (int64_t)m->rows);
    write_texts(w, "sources", m->sources, m->source_count);
    json_field_int(w, "sources_more", (int64_t)m->sources_more);
    json_field_int(w, "version", LEARNED_VERSION);
    json_object_end(w);
}

// ---- reading

// The member `key` with that type, or an error at its place.
static int get(const Doc *object, const char *key, DocType type, const Doc **ret, Err *e)
{
    const Doc *member = doc_get(object, slice_from_cstr(key));
    if (!member) {
        return doc_err(e, object, "\"%s\" is missing", key);
    }
    bool number = type == DOC_FLOAT && doc_is_number(member);
    *ret = member;
    return number ? 0 : doc_expect(member, type, key, e);
}

static int get_number(const Doc *object, const char *key, double *ret, Err *e)
{
    const Doc *number = NULL;
    int rc = get(object, key, DOC_FLOAT, &number, e);
    if (rc == 0) {
        *ret = doc_number(number);
    }
    return rc;
}

// As above, and null for what is not known.
static int get_optional(const Doc *object, const char *key, double *ret, Err *e)
{
    const Doc *member = doc_get(object, slice_from_cstr(key));
    if (member && member->type == DOC_NULL) {
        *ret = NAN;
        return 0;
    }
    return get_number(object, key, ret, e);
}

static int get_count(const Doc *object, const char *key, size_t max, size_t *ret, Err *e)
{
    const Doc *number = NULL;
    int rc = get(object, key, DOC_INT, &number, e);
    if (rc == 0 && (number->integer < 0 || (uint64_t)number->integer > max)) {
        rc = doc_err(e, number, "%s must be 0 to %zu", key, max);
    }
    if (rc == 0) {
        *ret = (size_t)number->integer;
    }
    return rc;
}

static int get_text(Learned *m, const Doc *object, const char *key, Slice *ret, Err *e)
{
    const Doc *text = NULL;
    int rc = get(object, key, DOC_STRING, &text, e);
    if (rc == 0 &&
        (text->text.len > LEARNED_TEXT_MAX / 4 || arena_left(m->arena) < 2 * text->text.len + 64)) {
        rc = doc_err(e, text, "%s is too long", key);
    }
    if (rc == 0) {
        *ret = arena_copy(m->arena, text->text);
    }
    return rc;
}

static int read_texts(Learned *m, const Doc *doc, const char *key, Slice *ret, size_t max,
                      size_t *ret_count, Err *e)
{
    const Doc *array = NULL;
    int rc = get(doc, key, DOC_ARRAY, &array, e);
    if (rc == 0 && doc_count(array) > max) {
        rc = doc_err(e, array, "%s has at most %zu items", key, max);
    }
    for (const Doc *t = rc == 0 ? doc_first(array) : NULL; rc == 0 && t; t = doc_next(t)) {
        if (t->type != DOC_STRING || arena_left(m->arena) < 2 * t->text.len + 64) {
            return doc_err(e, t, "%s has texts, which are not too long", key);
        }
        ret[(*ret_count)++] = arena_copy(m->arena, t->text);
    }
    return rc;
}

static int read_input(Learned *m, const Doc *doc, Err *e)
{
    LearnedInput in = {.column.role = COLUMN_INPUT};
    const Doc *role = NULL;
    int rc = get_text(m, doc, "name", &in.column.name, e);
    if (rc != 0 || (rc = get_text(m, doc, "unit", &in.column.unit, e)) != 0 ||
        (rc = get_number(doc, "low", &in.region.low, e)) != 0 ||
        (rc = get_number(doc, "high", &in.region.high, e)) != 0 ||
        (rc = get(doc, "role", DOC_STRING, &role, e)) != 0) {
        return rc;
    }
    if (slice_eq_cstr(role->text, COLUMN_ROLE_NAMES[COLUMN_POLICY])) {
        in.column.role = COLUMN_POLICY;
    } else if (!slice_eq_cstr(role->text, COLUMN_ROLE_NAMES[COLUMN_INPUT])) {
        return doc_err(e, role, "the role of an input is input or policy");
    }
    if (!isfinite(in.region.low) || !isfinite(in.region.high) || in.region.low > in.region.high) {
        return doc_err(e, doc, "the region of %.*s is empty", SLICE_FMT(in.column.name));
    }
    in.used = in.region.high > in.region.low;
    in.logarithm = in.region.low > 0 && in.region.high >= 10 * in.region.low;
    m->inputs[m->input_count++] = in;
    return 0;
}

static int read_inputs(Learned *m, const Doc *doc, Err *e)
{
    const Doc *inputs = NULL;
    int rc = get(doc, "inputs", DOC_ARRAY, &inputs, e);
    if (rc == 0 && (doc_count(inputs) == 0 || doc_count(inputs) > LEARNED_INPUTS_MAX)) {
        rc = doc_err(e, inputs, "a learned model has 1 to %d inputs", LEARNED_INPUTS_MAX);
    }
    for (const Doc *in = rc == 0 ? doc_first(inputs) : NULL; rc == 0 && in; in = doc_next(in)) {
        rc = read_input(m, in, e);
    }
    return rc;
}

static int read_numbers(const Doc *doc, const char *key, double **ret, size_t *ret_count, Err *e)
{
    const Doc *array = NULL;
    int rc = get(doc, key, DOC_ARRAY, &array, e);
    if (rc == 0 && doc_count(array) > CONFORMAL_WINDOW_MAX) {
        rc = doc_err(e, array, "%s has at most %d items", key, CONFORMAL_WINDOW_MAX);
    }
    if (rc != 0) {
        return rc;
    }
    *ret = mem_zalloc((doc_count(array) + 1) * sizeof **ret);
    *ret_count = doc_count(array);
    size_t i = 0;
    for (const Doc *v = doc_first(array); v; v = doc_next(v)) {
        if (!doc_is_number(v) || !isfinite(doc_number(v))) {
            return doc_err(e, v, "%s has numbers only", key);
        }
        (*ret)[i++] = doc_number(v);
    }
    return 0;
}

static int read_report(const Learned *m, LearnedModel *o, const Doc *output, Err *e)
{
    const Doc *report = NULL, *logarithm = NULL, *hybrid = NULL;
    int rc = get(output, "report", DOC_OBJECT, &report, e);
    if (rc == 0) {
        rc = get(output, "logarithm", DOC_BOOL, &logarithm, e);
    }
    if (rc == 0) {
        rc = get(output, "hybrid", DOC_BOOL, &hybrid, e);
    }
    if (rc == 0) {
        o->report.logarithm = logarithm->boolean;
        o->report.hybrid = hybrid->boolean && m->base != NULL;
        rc = get_optional(report, "median_error", &o->report.median_error, e);
    }
    if (rc == 0) {
        rc = get_optional(report, "base_error", &o->report.base_error, e);
    }
    if (rc == 0) {
        rc = get_optional(report, "coverage", &o->report.coverage, e);
    }
    if (rc == 0) {
        rc = get_optional(report, "median_width", &o->report.median_width, e);
    }
    return rc == 0 ? get_count(report, "rows", DATASET_ROWS_MAX, &o->report.rows, e) : rc;
}

// The model itself must want as many inputs as there are.
static int read_model(const Learned *m, LearnedModel *o, const Doc *output, Err *e)
{
    const Doc *kind = NULL, *model = doc_get(output, SLICE("model"));
    size_t width = o->report.hybrid;
    for (size_t i = 0; i < m->input_count; i++) {
        width += m->inputs[i].used;
    }
    int rc = get(output, "kind", DOC_STRING, &kind, e);
    for (int i = LEARNED_GP; rc == 0 && i < LEARNED_KINDS; i++) {
        o->report.kind =
            slice_eq_cstr(kind->text, LEARNED_KIND_NAMES[i]) ? (LearnedKind)i : o->report.kind;
    }
    if (rc != 0 || (o->report.kind == LEARNED_BASE && o->report.hybrid)) {
        return rc;
    }
    if (!model || (o->report.kind != LEARNED_GP && o->report.kind != LEARNED_TREES)) {
        return doc_err(e, kind, "an output has a kind (gp, trees, or base with one) and a model");
    }
    bool is_gp = o->report.kind == LEARNED_GP;
    rc = is_gp ? gp_read(model, &o->gp, e) : trees_read(model, &o->trees, e);
    if (rc == 0 && (is_gp ? gp_inputs(o->gp) : trees_inputs(o->trees)) != width) {
        rc = doc_err(e, model, "the model has another number of inputs than change");
    }
    return rc;
}

static int read_output(Learned *m, const Doc *output, Err *e)
{
    LearnedModel *o = mem_zalloc(sizeof *o);
    size_t scores = 0, residuals = 0;
    m->models[m->output_count++] = o; // learned_destroy takes it from here
    o->column.role = COLUMN_OUTPUT;
    int rc = get_text(m, output, "name", &o->column.name, e);
    if (rc == 0) {
        rc = get_text(m, output, "unit", &o->column.unit, e);
    }
    if (rc == 0) {
        rc = read_report(m, o, output, e);
    }
    if (rc == 0) {
        rc = read_model(m, o, output, e);
    }
    if (rc == 0) {
        rc = read_numbers(output, "scores", &o->scores, &scores, e);
    }
    if (rc == 0) {
        rc = read_numbers(output, "residuals", &o->residuals, &residuals, e);
    }
    if (rc == 0 && scores != residuals) {
        rc = doc_err(e, output, "there are %zu scores and %zu residuals", scores, residuals);
    }
    o->known = scores;
    return rc == 0 ? learned_begin(m, o, e) : rc;
}

static int read_outputs(Learned *m, const Doc *doc, Err *e)
{
    const Doc *outputs = NULL;
    int rc = get(doc, "outputs", DOC_ARRAY, &outputs, e);
    if (rc == 0 && (doc_count(outputs) == 0 || doc_count(outputs) > LEARNED_OUTPUTS_MAX)) {
        rc = doc_err(e, outputs, "a learned model has 1 to %d outputs", LEARNED_OUTPUTS_MAX);
    }
    for (const Doc *o = rc == 0 ? doc_first(outputs) : NULL; rc == 0 && o; o = doc_next(o)) {
        rc = read_output(m, o, e);
    }
    return rc;
}

static int read_head(Learned *m, const Doc *doc, const LearnedOptions *options, Err *e)
{
    const Doc *format = doc_get(doc, SLICE("format")), *version = doc_get(doc, SLICE("version"));
    const Doc *base = doc_get(doc, SLICE("base"));
    if (!format || format->type != DOC_STRING ||
        !slice_eq_cstr(format->text, "perfwright-learned") || !version ||
        version->type != DOC_INT) {
        return doc_err(e, doc,
                       "a learned model has the format \"perfwright-learned\" and a version");
    }
    if (version->integer > LEARNED_VERSION) {
        return err_set(e, ERR_VERSION,
                       "%s: a learned model of version %lld is newer than this program",
                       doc->source, (long long)version->integer);
    }
    if (!base || (base->type != DOC_STRING && base->type != DOC_NULL)) {
        return doc_err(e, doc, "base is a name or null");
    }
    if (base->type == DOC_STRING) {
        if (!options || !options->base || !slice_eq_cstr(base->text, options->base_name)) {
            return err_set(e, ERR_ARG,
                           "the model corrects what \"%.*s\" predicts, which is not at hand",
                           SLICE_FMT(base->text));
        }
        m->base = options->base;
        m->base_ctx = options->base_ctx;
        m->base_name = arena_copy(m->arena, slice_from_cstr(options->base_name));
    }
    int rc = get_number(doc, "confidence", &m->confidence, e);
    return rc == 0 ? get_count(doc, "rows", DATASET_ROWS_MAX, &m->rows, e) : rc;
}

int learned_read(const Doc *doc, const LearnedOptions *options, Learned **ret_model, Err *e)
{
    Learned *m = mem_zalloc(sizeof *m);
    m->arena = arena_create(LEARNED_TEXT_MAX);
    int rc = read_head(m, doc, options, e);
    if (rc == 0) {
        rc = read_inputs(m, doc, e);
    }
    if (rc == 0) {
        rc =
            read_texts(m, doc, "left_out", m->left_out, LEARNED_OUTPUTS_MAX, &m->left_out_count, e);
    }
    if (rc == 0) {
        rc = read_texts(m, doc, "sources", m->sources, LEARNED_SOURCES_MAX, &m->source_count, e);
    }
    if (rc == 0) {
        rc = get_count(doc, "sources_more", DATASET_ROWS_MAX, &m->sources_more, e);
    }
    if (rc == 0) {
        rc = read_outputs(m, doc, e);
    }
    if (rc != 0) {
        learned_destroy(m);
        return rc;
    }
    *ret_model = m;
    return 0;
}
