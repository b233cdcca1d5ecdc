// Readers of the smaller JSON files: vitest and tinybench, hyperfine, the custom list of
// github-action-benchmark, criterion's sample.json.
#include <math.h>
#include <string.h>

#include "base/doc.h"
#include "base/json_write.h"
#include "bench/harness_build.h"

static Slice text_of(const Doc *object, Slice name)
{
    const Doc *d = doc_get(object, name);
    return d && d->type == DOC_STRING ? d->text : (Slice){0};
}

static double number_of(const Doc *object, Slice name)
{
    const Doc *d = doc_get(object, name);
    return doc_is_number(d) ? doc_number(d) : NAN;
}

static double value_of(const Doc *d)
{
    return doc_is_number(d) ? doc_number(d) : NAN;
}

static HarnessUnit unit_of(Slice name, double factor, bool higher)
{
    return (HarnessUnit){name, factor, higher, true};
}

static int64_t count_of(const Doc *object, Slice name)
{
    double n = number_of(object, name);
    return n >= 1 && n < 1e15 ? (int64_t)n : 0;
}

// ---- vitest, tinybench: milliseconds per call

static void js_task(HarnessBuild *b, HarnessKey *key, const Doc *stats)
{
    key->metric = SLICE("time");
    key->unit = unit_of(SLICE("sec/op"), 1e-3, false);
    const Doc *samples = doc_get(stats, SLICE("samples"));
    if (doc_count(samples) > 0 && samples->type == DOC_ARRAY) {
        for (const Doc *d = doc_first(samples); d; d = doc_next(d)) {
            harness_add(b, key, value_of(d));
        }
        return;
    }
    // vitest leaves the samples out unless it is told to keep them.
    double center = number_of(stats, SLICE("median"));
    center = isnan(center) ? number_of(stats, SLICE("p50")) : center;
    center = isnan(center) ? number_of(stats, SLICE("mean")) : center;
    int64_t n = count_of(stats, SLICE("sampleCount"));
    harness_add_summary(b, key, center, number_of(stats, SLICE("sd")),
                        n > 0 ? n : count_of(stats, SLICE("samplesCount")));
}

static int tinybench_tasks(HarnessBuild *b, const Doc *list, Err *e)
{
    for (const Doc *item = doc_first(list); item; item = doc_next(item)) {
        HarnessKey key = {.name = text_of(item, SLICE("name"))};
        const Doc *result = doc_get(item, SLICE("result"));
        if (key.name.len == 0) {
            return doc_err(e, item, "a task must have a name");
        }
        const Doc *latency = doc_get(result, SLICE("latency")); // from version 3 on
        const Doc *stats = latency ? latency : result;
        Slice state = text_of(result, SLICE("state"));
        if (doc_get(result, SLICE("error")) || !stats || stats->type != DOC_OBJECT) {
            harness_fail(b, key.name, "the task threw or did not run");
        } else if (state.len > 0 && !slice_eq(state, SLICE("completed"))) {
            harness_fail(b, key.name, "the task is %.*s", SLICE_FMT(state));
        } else {
            js_task(b, &key, stats);
        }
    }
    return 0;
}

static int vitest_group(HarnessBuild *b, const Doc *group, Err *e)
{
    const Doc *list = doc_get(group, SLICE("benchmarks"));
    if (!list || list->type != DOC_ARRAY) {
        return doc_err(e, group, "a group must have benchmarks");
    }
    for (const Doc *item = doc_first(list); item; item = doc_next(item)) {
        HarnessKey key = {.name = text_of(item, SLICE("name")),
                          .package = text_of(group, SLICE("fullName"))};
        if (key.name.len == 0) {
            return doc_err(e, item, "a benchmark must have a name");
        }
        js_task(b, &key, item);
    }
    return 0;
}

int harness_read_vitest(HarnessBuild *b, const Doc *doc, Err *e)
{
    if (doc->type == DOC_ARRAY) {
        return tinybench_tasks(b, doc, e);
    }
    const Doc *files = doc_get(doc, SLICE("files"));
    if (!files || files->type != DOC_ARRAY) {
        return doc_err(e, doc, "files must be an array");
    }
    for (const Doc *file = doc_first(files); file; file = doc_next(file)) {
        const Doc *groups = doc_get(file, SLICE("groups"));
        if (!groups || groups->type != DOC_ARRAY) {
            return doc_err(e, file, "a file must have groups");
        }
        for (const Doc *group = doc_first(groups); group; group = doc_next(group)) {
            int rc = vitest_group(b, group, e);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

// ---- hyperfine: seconds per run

static Slice params_of(Arena *arena, const Doc *object)
{
    Buf out = buf_create(HARNESS_TEXT_MAX);
    for (const Doc *m = doc_first(object); m; m = doc_next(m)) {
        Slice value = m->text;
        buf_printf(&out, "%s%.*s=%.*s", out.len > 0 ? ", " : "", SLICE_FMT(m->key),
                   SLICE_FMT(value));
    }
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

// Runs that ended otherwise than with 0 are no measurement, also where they were to be ignored:
// hyperfine writes null for one that a signal ended.
static bool run_failed(const Doc *codes, size_t index)
{
    const Doc *code = doc_at(codes, index);
    return code && !(code->type == DOC_INT && code->integer == 0);
}

static void hyperfine_series(HarnessBuild *b, const HarnessKey *key, const Doc *values,
                             const Doc *codes)
{
    size_t i = 0;
    for (const Doc *d = doc_first(values); d; d = doc_next(d), i++) {
        if (!run_failed(codes, i)) {
            harness_add(b, key, value_of(d));
        }
    }
}

static int hyperfine_item(HarnessBuild *b, const Doc *item, Err *e)
{
    HarnessKey key = {.name = text_of(item, SLICE("command")),
                      .params = params_of(harness_scratch(b), doc_get(item, SLICE("parameters"))),
                      .metric = SLICE("time"),
                      .unit = unit_of(SLICE("sec/op"), 1, false)};
    const Doc *times = doc_get(item, SLICE("times")), *codes = doc_get(item, SLICE("exit_codes"));
    if (key.name.len == 0 || (codes && codes->type != DOC_ARRAY)) {
        return doc_err(e, item, "a result must have a command");
    }
    size_t failed = 0;
    for (size_t i = 0; i < doc_count(codes); i++) {
        failed += run_failed(codes, i);
    }
    if (failed > 0) {
        harness_fail(b, key.name, "%zu of %zu runs failed", failed, doc_count(codes));
    }
    if (times && times->type == DOC_ARRAY) {
        hyperfine_series(b, &key, times, codes);
    } else {
        harness_add_summary(b, &key, number_of(item, SLICE("median")),
                            number_of(item, SLICE("stddev")), 0);
    }
    const Doc *memory = doc_get(item, SLICE("memory_usage_byte"));
    if (memory && memory->type == DOC_ARRAY) {
        key.metric = SLICE("memory");
        key.unit = unit_of(SLICE("B"), 1, false);
        hyperfine_series(b, &key, memory, codes);
    }
    if (failed == 0 && number_of(item, SLICE("user")) > 0) {
        key.metric = SLICE("user");
        key.unit = unit_of(SLICE("sec/op"), 1, false);
        harness_add_summary(b, &key, number_of(item, SLICE("user")), NAN,
                            (int64_t)doc_count(times));
    }
    return 0;
}

int harness_read_hyperfine(HarnessBuild *b, const Doc *doc, Err *e)
{
    const Doc *list = doc_get(doc, SLICE("results"));
    if (!list || list->type != DOC_ARRAY) {
        return doc_err(e, doc, "results must be an array");
    }
    int rc = 0;
    for (const Doc *item = doc_first(list); item && rc == 0; item = doc_next(item)) {
        rc = hyperfine_item(b, item, e);
    }
    return rc;
}

// ---- [{"name","unit","value"}]

int harness_read_custom(HarnessBuild *b, const Doc *doc, Err *e)
{
    int rc = doc_expect(doc, DOC_ARRAY, "a list of results", e);
    for (const Doc *item = doc_first(doc); item && rc == 0; item = doc_next(item)) {
        HarnessKey key = {.name = text_of(item, SLICE("name")), .metric = SLICE("value")};
        const Doc *value = doc_get(item, SLICE("value"));
        if (key.name.len == 0 || !doc_is_number(value)) {
            return doc_err(e, item, "a result needs a name and a value that is a number");
        }
        key.unit = harness_unit(harness_scratch(b), text_of(item, SLICE("unit")));
        key.unit.higher_better =
            key.unit.known ? key.unit.higher_better : b->options->higher_better;
        harness_add_summary(b, &key, doc_number(value), NAN, 0);
    }
    return rc;
}

// ---- criterion: total nanoseconds of each sample, and how many iterations it had

int harness_read_criterion(HarnessBuild *b, const Doc *doc, Err *e)
{
    const Doc *iters = doc_get(doc, SLICE("iters")), *times = doc_get(doc, SLICE("times"));
    if (!iters || iters->type != DOC_ARRAY || !times || times->type != DOC_ARRAY ||
        doc_count(iters) != doc_count(times)) {
        return doc_err(e, doc, "sample.json needs iters and times of one length");
    }
    HarnessKey key = {.name = b->options->name.len > 0 ? b->options->name : SLICE("criterion"),
                      .metric = SLICE("time"),
                      .unit = unit_of(SLICE("sec/op"), 1e-9, false)};
    const Doc *t = doc_first(times);
    for (const Doc *n = doc_first(iters); n; n = doc_next(n), t = doc_next(t)) {
        double iterations = value_of(n);
        harness_add(b, &key, iterations > 0 ? value_of(t) / iterations : NAN);
    }
    return 0;
}
