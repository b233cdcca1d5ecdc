// Readers of JSON that a benchmark framework writes: Google Benchmark, pytest-benchmark, JMH,
// BenchmarkDotNet. What is of the wrong type is an error at its place; what is not known is passed
// over, because these formats grow.
#include <math.h>

#include "base/doc.h"
#include "base/json_write.h"
#include "bench/harness_build.h"

static Slice text_of(const Doc *object, Slice name)
{
    const Doc *d = doc_get(object, name);
    return d && d->type == DOC_STRING ? d->text : (Slice){0};
}

// NAN where it is missing or no number.
static double number_of(const Doc *object, Slice name)
{
    const Doc *d = doc_get(object, name);
    return doc_is_number(d) ? doc_number(d) : NAN;
}

static int array_of(const Doc *object, Slice name, const Doc **ret_array, Err *e)
{
    const Doc *d = doc_get(object, name);
    if (!d || d->type != DOC_ARRAY) {
        return doc_err(e, d ? d : object, "%.*s must be an array", SLICE_FMT(name));
    }
    *ret_array = d;
    return 0;
}

static HarnessUnit seconds(double factor)
{
    return (HarnessUnit){SLICE("sec/op"), factor, false, true};
}

// {"n":10,"mode":"fast"} as "n=10, mode=fast".
static Slice params_text(Arena *arena, const Doc *object)
{
    Buf out = buf_create(HARNESS_TEXT_MAX);
    for (const Doc *m = doc_first(object); m; m = doc_next(m)) {
        Buf value = buf_create(HARNESS_TEXT_MAX);
        if (m->type == DOC_STRING) {
            buf_append(&value, m->text);
        } else {
            doc_write_canonical(m, &value);
        }
        buf_printf(&out, "%s%.*s=%.*s", out.len > 0 ? ", " : "", SLICE_FMT(m->key),
                   SLICE_FMT(buf_slice(&value)));
        buf_done(&value);
    }
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

// ---- Google Benchmark

// With repetitions the file has every repetition and the aggregates of them; the repetitions are
// the samples. With only aggregates, mean and stddev are all there is.
static bool google_is_aggregate(const Doc *item)
{
    Slice type = text_of(item, SLICE("run_type"));
    if (type.len > 0) {
        return slice_eq(type, SLICE("aggregate"));
    }
    // Before 1.5 only the end of the name says it.
    Slice name = text_of(item, SLICE("name"));
    return slice_ends_with(name, SLICE("_mean")) || slice_ends_with(name, SLICE("_median")) ||
           slice_ends_with(name, SLICE("_stddev")) || slice_ends_with(name, SLICE("_cv")) ||
           slice_ends_with(name, SLICE("_BigO")) || slice_ends_with(name, SLICE("_RMS"));
}

static Slice google_name(const Doc *item)
{
    Slice run = text_of(item, SLICE("run_name"));
    return run.len > 0 ? run : text_of(item, SLICE("name"));
}

typedef struct GoogleMetric {
    Slice member, metric;
    HarnessUnit unit; // factor 0: by time_unit
} GoogleMetric;

static const GoogleMetric GOOGLE_METRICS[] = {
    {SLICE_INIT("real_time"), SLICE_INIT("time"), {SLICE_INIT("sec/op"), 0, false, true}},
    {SLICE_INIT("cpu_time"), SLICE_INIT("cpu"), {SLICE_INIT("sec/op"), 0, false, true}},
    {SLICE_INIT("bytes_per_second"), SLICE_INIT("bytes"), {SLICE_INIT("B/s"), 1, true, true}},
    {SLICE_INIT("items_per_second"), SLICE_INIT("items"), {SLICE_INIT("items/s"), 1, true, true}},
    {SLICE_INIT("allocs_per_iter"),
     SLICE_INIT("allocs"),
     {SLICE_INIT("allocs/op"), 1, false, true}},
    {SLICE_INIT("max_bytes_used"), SLICE_INIT("memory"), {SLICE_INIT("B"), 1, false, true}},
};

static HarnessKey google_key(HarnessBuild *b, const Doc *item, const GoogleMetric *metric)
{
    (void)harness_scratch(b);
    HarnessKey key = {.name = google_name(item), .metric = metric->metric, .unit = metric->unit};
    if (key.unit.factor == 0) {
        Slice unit = text_of(item, SLICE("time_unit"));
        key.unit = harness_unit(b->scratch, unit.len > 0 ? unit : SLICE("ns"));
    }
    return key;
}

static void google_iteration(HarnessBuild *b, const Doc *item)
{
    const Doc *failed = doc_get(item, SLICE("error_occurred"));
    if (failed && failed->type == DOC_BOOL && failed->boolean) {
        Slice why = text_of(item, SLICE("error_message"));
        harness_fail(b, google_name(item), "%.*s", SLICE_FMT(why));
        return;
    }
    for (size_t i = 0; i < COUNT_OF(GOOGLE_METRICS); i++) {
        if (doc_get(item, GOOGLE_METRICS[i].member)) {
            HarnessKey key = google_key(b, item, &GOOGLE_METRICS[i]);
            harness_add(b, &key, number_of(item, GOOGLE_METRICS[i].member));
        }
    }
}

// The aggregate `which` of the same benchmark, or NULL. They stand together, a handful at most.
static const Doc *google_sibling(const Doc *item, const char *which)
{
    Slice name = google_name(item);
    for (const Doc *d = item; d && slice_eq(google_name(d), name); d = doc_next(d)) {
        if (slice_eq_cstr(text_of(d, SLICE("aggregate_name")), which)) {
            return d;
        }
    }
    return NULL;
}

static void google_aggregate(HarnessBuild *b, const Doc *item)
{
    const Doc *deviation = google_sibling(item, "stddev");
    const Doc *median = google_sibling(item, "median");
    double n = number_of(item, SLICE("repetitions"));
    for (size_t i = 0; i < COUNT_OF(GOOGLE_METRICS); i++) {
        Slice member = GOOGLE_METRICS[i].member;
        if (doc_get(item, member)) {
            HarnessKey key = google_key(b, item, &GOOGLE_METRICS[i]);
            harness_add_summary(b, &key, number_of(median ? median : item, member),
                                number_of(deviation, member), n >= 1 && n < 1e9 ? (int64_t)n : 0);
        }
    }
}

int harness_read_google(HarnessBuild *b, const Doc *doc, Err *e)
{
    const Doc *list = NULL;
    int rc = array_of(doc, SLICE("benchmarks"), &list, e);
    if (rc != 0) {
        return rc;
    }
    bool iterations = false;
    for (const Doc *item = doc_first(list); item; item = doc_next(item)) {
        if (item->type != DOC_OBJECT || google_name(item).len == 0) {
            return doc_err(e, item, "a benchmark must be an object with a name");
        }
        iterations |= !google_is_aggregate(item);
    }
    for (const Doc *item = doc_first(list); item; item = doc_next(item)) {
        if (!google_is_aggregate(item)) {
            google_iteration(b, item);
        } else if (!iterations && slice_eq(text_of(item, SLICE("aggregate_name")), SLICE("mean"))) {
            google_aggregate(b, item);
        }
    }
    return 0;
}

// ---- pytest-benchmark: seconds per call

static void pytest_name(const Doc *item, HarnessKey *key)
{
    Slice full = text_of(item, SLICE("fullname"));
    ptrdiff_t at = slice_find(full, SLICE("::"));
    key->name = at >= 0 ? slice_sub(full, (size_t)at + 2, full.len) : text_of(item, SLICE("name"));
    key->package = at >= 0 ? slice_sub(full, 0, (size_t)at) : (Slice){0};
}

int harness_read_pytest(HarnessBuild *b, const Doc *doc, Err *e)
{
    const Doc *list = NULL;
    int rc = array_of(doc, SLICE("benchmarks"), &list, e);
    for (const Doc *item = rc == 0 ? doc_first(list) : NULL; item; item = doc_next(item)) {
        const Doc *stats = doc_get(item, SLICE("stats"));
        HarnessKey key = {.metric = SLICE("time"), .unit = seconds(1)};
        pytest_name(item, &key);
        if (!stats || stats->type != DOC_OBJECT || key.name.len == 0) {
            return doc_err(e, item, "a benchmark must have a name and stats");
        }
        const Doc *data = doc_get(stats, SLICE("data"));
        if (doc_count(data) > 0 && data->type == DOC_ARRAY) {
            for (const Doc *d = doc_first(data); d; d = doc_next(d)) {
                harness_add(b, &key, doc_is_number(d) ? doc_number(d) : NAN);
            }
            continue;
        }
        const Doc *rounds = doc_get(stats, SLICE("rounds"));
        harness_add_summary(b, &key, number_of(stats, SLICE("median")),
                            number_of(stats, SLICE("stddev")),
                            rounds && rounds->type == DOC_INT ? rounds->integer : 0);
    }
    return rc;
}

// ---- JMH

// "·gc.alloc.rate.norm" of the GC profiler is what is allocated per operation.
static Slice jmh_metric(Slice member)
{
    Slice dot = SLICE("\xc2\xb7");
    if (slice_starts_with(member, dot)) {
        member = slice_sub(member, dot.len, member.len);
    }
    return slice_eq(member, SLICE("gc.alloc.rate.norm")) ? SLICE("bytes") : (Slice){0};
}

// JMH says "ops/us" for throughput, and "ms/op" or "B/op" for the rest.
static void jmh_values(HarnessBuild *b, HarnessKey *key, const Doc *metric)
{
    key->unit = harness_unit(b->scratch, text_of(metric, SLICE("scoreUnit")));
    const Doc *forks = doc_get(metric, SLICE("rawData"));
    bool any = false;
    for (const Doc *f = forks && forks->type == DOC_ARRAY ? doc_first(forks) : NULL; f;
         f = doc_next(f)) {
        for (const Doc *d = f->type == DOC_ARRAY ? doc_first(f) : NULL; d; d = doc_next(d)) {
            harness_add(b, key, doc_is_number(d) ? doc_number(d) : NAN);
            any = true;
        }
    }
    if (!any) { // mode "sample" keeps a histogram instead
        harness_add_summary(b, key, number_of(metric, SLICE("score")), NAN, 0);
    }
}

static int jmh_item(HarnessBuild *b, const Doc *item, Err *e)
{
    Slice full = text_of(item, SLICE("benchmark"));
    const Doc *primary = doc_get(item, SLICE("primaryMetric"));
    if (full.len == 0 || !primary || primary->type != DOC_OBJECT) {
        return doc_err(e, item, "a JMH result needs benchmark and primaryMetric");
    }
    size_t dot = full.len;
    while (dot > 0 && full.ptr[dot - 1] != '.') {
        dot--;
    }
    HarnessKey key = {.name = slice_sub(full, dot, full.len),
                      .package = slice_sub(full, 0, dot > 0 ? dot - 1 : 0),
                      .params = params_text(harness_scratch(b), doc_get(item, SLICE("params")))};
    // One method may be measured in several modes, whose units may be the same.
    Slice mode = text_of(item, SLICE("mode"));
    key.metric = slice_eq(mode, SLICE("thrpt"))    ? SLICE("throughput")
                 : slice_eq(mode, SLICE("sample")) ? SLICE("sampled")
                 : slice_eq(mode, SLICE("ss"))     ? SLICE("single")
                                                   : SLICE("time");
    jmh_values(b, &key, primary);
    const Doc *others = doc_get(item, SLICE("secondaryMetrics"));
    for (const Doc *m = doc_first(others); m; m = doc_next(m)) {
        key.metric = jmh_metric(m->key);
        if (key.metric.len > 0 && m->type == DOC_OBJECT) {
            jmh_values(b, &key, m);
        }
    }
    return 0;
}

int harness_read_jmh(HarnessBuild *b, const Doc *doc, Err *e)
{
    int rc = doc_expect(doc, DOC_ARRAY, "a JMH result file", e);
    for (const Doc *item = doc_first(doc); item && rc == 0; item = doc_next(item)) {
        rc = jmh_item(b, item, e);
    }
    return rc;
}

// ---- BenchmarkDotNet: nanoseconds per operation

static void dotnet_times(HarnessBuild *b, const HarnessKey *key, const Doc *item)
{
    const Doc *stats = doc_get(item, SLICE("Statistics"));
    const Doc *values = doc_get(stats, SLICE("OriginalValues"));
    if (!stats || stats->type != DOC_OBJECT) {
        harness_fail(b, key->name, "it has no statistics: the benchmark did not run");
    } else if (doc_count(values) > 0 && values->type == DOC_ARRAY) {
        for (const Doc *d = doc_first(values); d; d = doc_next(d)) {
            harness_add(b, key, doc_is_number(d) ? doc_number(d) : NAN);
        }
    } else {
        double n = number_of(stats, SLICE("N"));
        harness_add_summary(b, key, number_of(stats, SLICE("Median")),
                            number_of(stats, SLICE("StandardDeviation")),
                            n >= 1 && n < 1e9 ? (int64_t)n : 0);
    }
}

int harness_read_dotnet(HarnessBuild *b, const Doc *doc, Err *e)
{
    const Doc *list = NULL;
    int rc = array_of(doc, SLICE("Benchmarks"), &list, e);
    for (const Doc *item = rc == 0 ? doc_first(list) : NULL; item; item = doc_next(item)) {
        Slice space = text_of(item, SLICE("Namespace")), type = text_of(item, SLICE("Type"));
        HarnessKey key = {.name = text_of(item, SLICE("Method")),
                          .params = text_of(item, SLICE("Parameters")),
                          .metric = SLICE("time"),
                          .unit = seconds(1e-9)};
        if (key.name.len == 0) {
            return doc_err(e, item, "a benchmark must have a Method");
        }
        space = slice_sub(space, 0, HARNESS_TEXT_MAX);
        type = slice_sub(type, 0, HARNESS_TEXT_MAX);
        key.package = arena_printf(harness_scratch(b), "%.*s%s%.*s", SLICE_FMT(space),
                                   space.len > 0 ? "." : "", SLICE_FMT(type));
        dotnet_times(b, &key, item);
        const Doc *memory = doc_get(item, SLICE("Memory"));
        if (doc_is_number(doc_get(memory, SLICE("BytesAllocatedPerOperation")))) {
            key.metric = SLICE("bytes");
            key.unit = (HarnessUnit){SLICE("B/op"), 1, false, true};
            harness_add_summary(b, &key, number_of(memory, SLICE("BytesAllocatedPerOperation")),
                                NAN, 0);
        }
    }
    return rc;
}
