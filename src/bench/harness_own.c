// Results in a form of our own: what the ledger keeps of an import, and what is read back from it.
#include <math.h>

#include "base/doc.h"
#include "bench/harness_build.h"

#define FORMAT SLICE("perfwright-benchmarks")
enum { VERSION = 1 };

// ---- writing

static void write_result(JsonWriter *w, const HarnessResult *r)
{
    json_object_begin(w);
    json_field_string(w, "name", r->name);
    json_field_string(w, "package", r->package);
    json_field_string(w, "params", r->params);
    json_field_string(w, "metric", r->metric);
    json_field_string(w, "unit", r->unit);
    json_field_bool(w, "higher_better", r->higher_better);
    json_field_int(w, "procs", r->procs);
    if (r->count > 0) {
        json_key(w, SLICE("samples"));
        json_array_begin(w);
        for (size_t i = 0; i < r->count; i++) {
            json_double(w, r->samples[i]);
        }
        json_array_end(w);
    } else {
        json_field_double(w, "mean", r->mean);
        json_field_double(w, "sd", r->sd);
        json_field_int(w, "n", r->n);
    }
    json_object_end(w);
}

void harness_write(const HarnessResults *results, JsonWriter *w)
{
    json_object_begin(w);
    json_field_string(w, "format", FORMAT);
    json_field_int(w, "version", VERSION);
    json_field_cstr(w, "harness", HARNESS_NAMES[results->kind]);
    json_field_string(w, "goos", results->goos);
    json_field_string(w, "goarch", results->goarch);
    json_field_string(w, "cpu", results->cpu);
    json_key(w, SLICE("results"));
    json_array_begin(w);
    for (size_t i = 0; i < results->count; i++) {
        write_result(w, &results->items[i]);
    }
    json_array_end(w);
    json_key(w, SLICE("failures"));
    json_array_begin(w);
    for (size_t i = 0; i < results->failure_count; i++) {
        json_object_begin(w);
        json_field_string(w, "name", results->failures[i].name);
        json_field_string(w, "why", results->failures[i].why);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

// ---- reading

static int text_of(const Doc *object, Slice name, Slice *ret_text, Err *e)
{
    const Doc *d = doc_get(object, name);
    if (!d || d->type != DOC_STRING) {
        return doc_err(e, d ? d : object, "%.*s must be a text", SLICE_FMT(name));
    }
    *ret_text = d->text;
    return 0;
}

static int64_t int_of(const Doc *object, Slice name)
{
    const Doc *d = doc_get(object, name);
    return d && d->type == DOC_INT && d->integer > 0 ? d->integer : 0;
}

static double number_of(const Doc *object, Slice name)
{
    const Doc *d = doc_get(object, name);
    return doc_is_number(d) ? doc_number(d) : NAN;
}

static int read_result(HarnessBuild *b, const Doc *item, Err *e)
{
    HarnessKey key = {.unit = {.factor = 1, .known = true}};
    const Doc *higher = doc_get(item, SLICE("higher_better"));
    const Doc *samples = doc_get(item, SLICE("samples"));
    int64_t procs = int_of(item, SLICE("procs"));
    int rc = doc_expect(item, DOC_OBJECT, "a result", e);
    if (rc != 0 || (rc = text_of(item, SLICE("name"), &key.name, e)) != 0 ||
        (rc = text_of(item, SLICE("package"), &key.package, e)) != 0 ||
        (rc = text_of(item, SLICE("params"), &key.params, e)) != 0 ||
        (rc = text_of(item, SLICE("metric"), &key.metric, e)) != 0 ||
        (rc = text_of(item, SLICE("unit"), &key.unit.name, e)) != 0) {
        return rc;
    }
    key.unit.higher_better = higher && higher->type == DOC_BOOL && higher->boolean;
    key.procs = procs < 1000000 ? (int)procs : 0;
    if (!samples) {
        harness_add_summary(b, &key, number_of(item, SLICE("mean")), number_of(item, SLICE("sd")),
                            int_of(item, SLICE("n")));
        return 0;
    }
    for (const Doc *d = doc_first(samples); d; d = doc_next(d)) {
        harness_add(b, &key, doc_is_number(d) ? doc_number(d) : NAN);
    }
    return 0;
}

// The tree goes before the builder gives what it has.
static Slice config_of(HarnessBuild *b, const Doc *doc, Slice name)
{
    const Doc *d = doc_get(doc, name);
    bool fits = d && d->type == DOC_STRING && arena_left(b->arena) > (size_t)2 * HARNESS_TEXT_MAX;
    return fits ? arena_copy(b->arena, slice_sub(d->text, 0, HARNESS_TEXT_MAX)) : (Slice){0};
}

bool harness_is_own(const Doc *doc)
{
    const Doc *format = doc_get(doc, SLICE("format"));
    return format && format->type == DOC_STRING && slice_eq(format->text, FORMAT);
}

int harness_read_own(HarnessBuild *b, const Doc *doc, Err *e)
{
    const Doc *version = doc_get(doc, SLICE("version"));
    const Doc *list = doc_get(doc, SLICE("results")), *failures = doc_get(doc, SLICE("failures"));
    if (!harness_is_own(doc) || !version || version->type != DOC_INT || !list ||
        list->type != DOC_ARRAY) {
        return doc_err(e, doc, "results of perfwright need format, version and results");
    }
    if (version->integer > VERSION) {
        return err_set(e, ERR_VERSION, "the results have version %lld; this program reads up to %d",
                       (long long)version->integer, VERSION);
    }
    for (const Doc *item = doc_first(list); item; item = doc_next(item)) {
        int rc = read_result(b, item, e);
        if (rc != 0) {
            return rc;
        }
    }
    for (const Doc *item = doc_first(failures); item; item = doc_next(item)) {
        const Doc *name = doc_get(item, SLICE("name")), *why = doc_get(item, SLICE("why"));
        if (name && why) {
            harness_fail(b, name->text, "%.*s", SLICE_FMT(why->text));
        }
    }
    b->goos = config_of(b, doc, SLICE("goos"));
    b->goarch = config_of(b, doc, SLICE("goarch"));
    b->cpu = config_of(b, doc, SLICE("cpu"));
    return 0;
}
