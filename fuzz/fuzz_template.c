// Templates and thresholds: the two small languages inside a plan. What compiles renders without
// holes left, and a text without "$" is itself.
#include "load/threshold.h"
#include "load/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz template: %s", what);
    }
}

static void try_template(Arena *arena, Slice text)
{
    static const Slice variables[] = {SLICE_INIT("a"), SLICE_INIT("b")};
    static const Slice columns[] = {SLICE_INIT("c")};
    static const PlanFeed feeds[] = {
        {.name = SLICE_INIT("f"), .columns = columns, .column_count = COUNT_OF(columns)}};
    static const Slice *const rows[] = {columns};
    TemplateNames names = {.variables = variables,
                           .variable_count = COUNT_OF(variables),
                           .feeds = feeds,
                           .feed_count = COUNT_OF(feeds)};
    Rng rng = rng_stream(1, SLICE("fuzz"), 0);
    TemplateScope scope = {.variables = variables, .rows = rows, .rng = &rng};
    Template t;
    Err e = {0};
    if (template_compile(arena, text, &names, &t, &e) != 0) {
        require(e.text[0] != 0, "a mistake without words");
        return;
    }
    Buf out = buf_create(1 << 20);
    template_render(&t, &scope, &out);
    if (text.len > 0 && memchr(text.ptr, '$', text.len) == NULL) {
        require(slice_eq(buf_slice(&out), text), "text that changed");
    }
    require(!t.is_static || slice_eq(buf_slice(&out), template_text(&t)), "a static text moved");
    buf_done(&out);
}

static void try_threshold(Arena *arena, Slice text)
{
    MetricId metric = M_HTTP_REQ_DURATION;
    Labels filter = {0};
    Threshold t;
    Err e = {0};
    if (threshold_key_parse(arena, text, &metric, &filter, &e) != 0) {
        require(e.text[0] != 0, "a refused key without words");
    }
    for (int kind = METRIC_COUNTER; kind <= METRIC_TREND; kind++) {
        if (threshold_parse(text, (MetricKind)kind, &t, &e) == 0) {
            require(t.limit == t.limit && t.percentile >= 0 && t.percentile <= 100, "a limit");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { TEXT_MAX = 16 << 10 };
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(64 << 20);
    Slice text = {(const char *)data, size};
    try_template(arena, text);
    try_threshold(arena, text);
    arena_destroy(arena);
    return 0;
}
