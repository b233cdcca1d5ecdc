#include "bench/harness.h"

#include <math.h>

#include "base/doc.h"
#include "bench/harness_build.h"
#include "stat/sample.h"

const char *const HARNESS_NAMES[HARNESS_KINDS + 1] = {
    "auto",   "google",          "go",     "criterion",  "pytest",
    "jmh",    "benchmarkdotnet", "vitest", "hyperfine",  "custom",
    "metric", "bencher",         "catch2", "perfwright", NULL};

enum { NODES_MAX = 4000000, DEPTH_MAX = 32 };

// ---- what kind it is

HarnessKind harness_kind_parse(Slice name)
{
    static const struct {
        Slice name;
        HarnessKind kind;
    } others[] = {
        {SLICE_INIT("google-benchmark"), HARNESS_GOOGLE},
        {SLICE_INIT("googlecpp"), HARNESS_GOOGLE},
        {SLICE_INIT("pytest-benchmark"), HARNESS_PYTEST},
        {SLICE_INIT("dotnet"), HARNESS_DOTNET},
        {SLICE_INIT("tinybench"), HARNESS_VITEST},
        {SLICE_INIT("libtest"), HARNESS_BENCHER},
        {SLICE_INIT("cargo"), HARNESS_BENCHER},
        {SLICE_INIT("customSmallerIsBetter"), HARNESS_CUSTOM},
        {SLICE_INIT("customBiggerIsBetter"), HARNESS_CUSTOM},
    };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (slice_eq_nocase(name, others[i].name)) {
            return others[i].kind;
        }
    }
    for (int k = HARNESS_AUTO + 1; k < HARNESS_KINDS; k++) {
        if (slice_eq_nocase(name, slice_from_cstr(HARNESS_NAMES[k]))) {
            return (HarnessKind)k;
        }
    }
    return HARNESS_AUTO;
}

static bool has(const Doc *d, const char *name)
{
    return doc_get(d, slice_from_cstr(name)) != NULL;
}

static HarnessKind kind_of_list(const Doc *list)
{
    const Doc *first = doc_at(list, 0);
    return has(first, "primaryMetric")                  ? HARNESS_JMH
           : has(first, "value") && has(first, "unit")  ? HARNESS_CUSTOM
           : has(first, "name") && has(first, "result") ? HARNESS_VITEST
                                                        : HARNESS_AUTO;
}

static HarnessKind kind_of_doc(const Doc *doc)
{
    if (doc->type == DOC_ARRAY) {
        return kind_of_list(doc);
    }
    return harness_is_own(doc)                                  ? HARNESS_OWN
           : has(doc, "benchmarks") && has(doc, "machine_info") ? HARNESS_PYTEST
           : has(doc, "benchmarks")                             ? HARNESS_GOOGLE
           : has(doc, "Benchmarks")                             ? HARNESS_DOTNET
           : has(doc, "results")                                ? HARNESS_HYPERFINE
           : has(doc, "files")                                  ? HARNESS_VITEST
           : has(doc, "iters") && has(doc, "times")             ? HARNESS_CRITERION
                                                                : HARNESS_AUTO;
}

static HarnessKind kind_of_text(Slice text)
{
    Slice line, all = text;
    while (harness_line(&text, &line)) {
        line = slice_trim(line);
        if (slice_starts_with(line, SLICE("Benchmark")) && slice_find(line, SLICE("/op")) > 0) {
            return HARNESS_GO;
        }
        if (slice_starts_with(line, SLICE("METRIC ")) && slice_find_byte(line, '=') > 0) {
            return HARNESS_METRIC;
        }
        if (slice_starts_with(line, SLICE("test ")) && slice_find(line, SLICE(" bench:")) > 0) {
            return HARNESS_BENCHER;
        }
        if (slice_starts_with(line, SLICE("benchmark name "))) {
            return HARNESS_CATCH2;
        }
    }
    // All benchmarks failed: the text is Go's, and says so.
    return slice_find(all, SLICE("--- FAIL: Benchmark")) >= 0 ? HARNESS_GO : HARNESS_AUTO;
}

static bool looks_like_json(Slice text)
{
    text = slice_trim(text);
    return text.len > 0 && (text.ptr[0] == '{' || text.ptr[0] == '[');
}

static int parse(Arena *arena, Slice text, const char *source, const Doc **ret_doc, Err *e)
{
    DocOptions options = {.format = DOC_FORMAT_JSON,
                          .source = source,
                          .max_bytes = HARNESS_BYTES_MAX,
                          .max_nodes = NODES_MAX,
                          .max_depth = DEPTH_MAX};
    return doc_parse(arena, text, &options, ret_doc, e);
}

HarnessKind harness_sniff(Slice text)
{
    if (!looks_like_json(text) || text.len > HARNESS_BYTES_MAX) {
        return kind_of_text(text);
    }
    Arena *arena = arena_create((size_t)1 << 30);
    const Doc *doc;
    HarnessKind kind =
        parse(arena, text, "input", &doc, NULL) == 0 ? kind_of_doc(doc) : kind_of_text(text);
    arena_destroy(arena);
    return kind;
}

// ---- reading

static int read_doc(HarnessBuild *b, HarnessKind *kind, const Doc *doc, Err *e)
{
    if (*kind == HARNESS_AUTO) {
        *kind = kind_of_doc(doc);
    }
    switch (*kind) {
    case HARNESS_GOOGLE: return harness_read_google(b, doc, e);
    case HARNESS_PYTEST: return harness_read_pytest(b, doc, e);
    case HARNESS_JMH: return harness_read_jmh(b, doc, e);
    case HARNESS_DOTNET: return harness_read_dotnet(b, doc, e);
    case HARNESS_VITEST: return harness_read_vitest(b, doc, e);
    case HARNESS_HYPERFINE: return harness_read_hyperfine(b, doc, e);
    case HARNESS_CUSTOM: return harness_read_custom(b, doc, e);
    case HARNESS_CRITERION: return harness_read_criterion(b, doc, e);
    case HARNESS_OWN: return harness_read_own(b, doc, e);
    case HARNESS_AUTO:
    case HARNESS_GO:
    case HARNESS_METRIC:
    case HARNESS_BENCHER:
    case HARNESS_CATCH2:
    case HARNESS_KINDS: break;
    }
    return doc_err(e, doc, "this is no result file of a benchmark program known here");
}

// The tree is needed only while it is read, and may be many times larger than the results.
static int read_json(HarnessBuild *b, HarnessKind *kind, Slice text, Err *e)
{
    const char *source = b->options->source ? b->options->source : "input";
    Arena *arena = arena_create((size_t)2 << 30);
    const Doc *doc;
    int rc = parse(arena, text, source, &doc, e);
    rc = rc == 0 ? read_doc(b, kind, doc, e) : rc;
    arena_destroy(arena);
    return rc;
}

static int read_text(HarnessBuild *b, HarnessKind kind, Slice text, Err *e)
{
    switch (kind) {
    case HARNESS_GO: harness_read_go(b, text); return 0;
    case HARNESS_METRIC: harness_read_metric(b, text); return 0;
    case HARNESS_BENCHER: harness_read_bencher(b, text); return 0;
    case HARNESS_CATCH2: harness_read_catch2(b, text); return 0;
    case HARNESS_AUTO:
    case HARNESS_GOOGLE:
    case HARNESS_CRITERION:
    case HARNESS_PYTEST:
    case HARNESS_JMH:
    case HARNESS_DOTNET:
    case HARNESS_VITEST:
    case HARNESS_HYPERFINE:
    case HARNESS_CUSTOM:
    case HARNESS_OWN:
    case HARNESS_KINDS: break;
    }
    return err_set(e, ERR_PARSE, "%s: this is no output of a benchmark program known here",
                   b->options->source ? b->options->source : "input");
}

static bool kind_is_text(HarnessKind kind)
{
    return kind == HARNESS_GO || kind == HARNESS_METRIC || kind == HARNESS_BENCHER ||
           kind == HARNESS_CATCH2;
}

int harness_read(Arena *arena, Slice text, const HarnessOptions *options,
                 HarnessResults **ret_results, Err *e)
{
    static const HarnessOptions none = {0};
    options = options ? options : &none;
    const char *source = options->source ? options->source : "input";
    if (text.len > HARNESS_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "%s is larger than %d bytes", source, HARNESS_BYTES_MAX);
    }
    HarnessBuild b = harness_build_create(arena, options);
    HarnessKind kind = options->kind;
    int rc;
    if (kind_is_text(kind) || (kind == HARNESS_AUTO && !looks_like_json(text))) {
        kind = kind == HARNESS_AUTO ? kind_of_text(text) : kind;
        rc = read_text(&b, kind, text, e);
    } else {
        rc = read_json(&b, &kind, text, e);
    }
    if (rc != 0) {
        harness_build_done(&b);
        return rc;
    }
    rc = harness_build_give(&b, kind, ret_results, e);
    if (rc != 0) {
        (void)err_wrap(e, "%s", source);
    }
    return rc;
}

// ---- what can be asked of results

double harness_result_center(const HarnessResult *r)
{
    return r->count > 0 ? sample_median(r->samples, r->count) : r->mean;
}

bool harness_result_same(const HarnessResult *a, const HarnessResult *b)
{
    return slice_eq(a->name, b->name) && slice_eq(a->package, b->package) &&
           slice_eq(a->params, b->params) && slice_eq(a->metric, b->metric) &&
           slice_eq(a->unit, b->unit) && a->procs == b->procs;
}

const HarnessResult *harness_result_find(const HarnessResults *results, const HarnessResult *like)
{
    for (size_t i = 0; i < results->count; i++) {
        if (harness_result_same(&results->items[i], like)) {
            return &results->items[i];
        }
    }
    return NULL;
}

static void merge_one(HarnessBuild *b, const HarnessResults *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const HarnessResult *r = &list->items[i];
        HarnessKey key = {.name = r->name,
                          .package = r->package,
                          .params = r->params,
                          .metric = r->metric,
                          .unit = {r->unit, 1, r->higher_better, true},
                          .procs = r->procs};
        harness_add(b, &key, harness_result_center(r));
    }
    for (size_t i = 0; i < list->failure_count; i++) {
        harness_fail(b, list->failures[i].name, "%.*s", SLICE_FMT(list->failures[i].why));
    }
}

int harness_results_merge(Arena *arena, const HarnessResults *const *lists, size_t count,
                          HarnessResults **ret_results, Err *e)
{
    static const HarnessOptions none = {0};
    HarnessBuild b = harness_build_create(arena, &none);
    for (size_t i = 0; i < count; i++) {
        merge_one(&b, lists[i]);
    }
    b.goos = lists[0]->goos;
    b.goarch = lists[0]->goarch;
    b.cpu = lists[0]->cpu;
    return harness_build_give(&b, lists[0]->kind, ret_results, e);
}

// The metric that a program's results are mainly of is not worth a word.
static bool metric_is_plain(Slice metric)
{
    return slice_eq(metric, SLICE("time")) || slice_eq(metric, SLICE("value"));
}

void harness_result_label(const HarnessResult *r, Buf *out)
{
    buf_append(out, r->name);
    if (r->procs > 0) {
        buf_printf(out, "-%d", r->procs);
    }
    if (r->params.len > 0) {
        buf_printf(out, " [%.*s]", SLICE_FMT(r->params));
    }
    bool tells = slice_eq(r->unit, SLICE("sec/op")) && !metric_is_plain(r->metric);
    if (tells) {
        buf_printf(out, " (%.*s)", SLICE_FMT(r->metric));
    }
}
