#include "telemetry/live.h"

#include <math.h>

#include "base/json_write.h"
#include "base/map.h"
#include "telemetry/exposition.h"

typedef struct Seen {
    Hist *before; // trends: the total at the beginning of the interval
    Hist *window; // and what came since
    int64_t count_before;
    double rate;
} Seen;

struct Live {
    const Collector *collector;
    Seen *seen; // by series id
    size_t count;
    int64_t begin_ns;
    double interval_s;
    bool begun;
};

Live *live_create(void)
{
    return mem_zalloc(sizeof(Live));
}

static Hist *new_hist(void)
{
    Hist *h = mem_alloc(sizeof *h);
    hist_init(h);
    return h;
}

void live_destroy(Live *live)
{
    if (!live) {
        return;
    }
    for (size_t i = 0; i < live->count; i++) {
        if (live->seen[i].before) {
            hist_done(live->seen[i].before);
            hist_done(live->seen[i].window);
            free(live->seen[i].before);
            free(live->seen[i].window);
        }
    }
    free(live->seen);
    free(live);
}

// into = now - before. Both have one layout, so their buckets meet.
static void subtract(Hist *into, const Hist *now, const Hist *before)
{
    HistIter a = hist_iter(now), b = hist_iter(before);
    HistBucket x, y = {0};
    bool more = hist_next(&b, &y);
    hist_reset(into);
    while (hist_next(&a, &x)) {
        while (more && y.low < x.low) {
            more = hist_next(&b, &y);
        }
        uint64_t old = more && y.low == x.low ? y.count : 0;
        if (x.count > old) {
            hist_record_n(into, x.low + (x.high - x.low) / 2, x.count - old);
        }
    }
    if (now->infinite > before->infinite) {
        hist_record_infinite(into, now->infinite - before->infinite);
    }
}

static void update_one(Live *live, size_t id)
{
    Seen *s = &live->seen[id];
    const SeriesInfo *info = collector_series(live->collector, id);
    const Point *total = collector_total(live->collector, id);
    int64_t count = total->count;
    if (info->kind == METRIC_TREND) {
        if (!s->before) {
            s->before = new_hist();
            s->window = new_hist();
        }
        subtract(s->window, total->hist, s->before);
        hist_reset(s->before);
        hist_merge(s->before, total->hist);
        count = (int64_t)hist_count_all(total->hist);
    }
    s->rate = live->interval_s > 0 ? (double)(count - s->count_before) / live->interval_s : 0;
    s->count_before = count;
}

void live_update(Live *live, const Collector *collector, int64_t now_ns)
{
    size_t count = collector_series_count(collector);
    live->collector = collector;
    live->interval_s = live->begun ? (double)(now_ns - live->begin_ns) / 1e9 : 0;
    live->begin_ns = now_ns;
    live->begun = true;
    if (count > live->count) {
        live->seen = mem_realloc(live->seen, count * sizeof live->seen[0]);
        memset(live->seen + live->count, 0, (count - live->count) * sizeof live->seen[0]);
        live->count = count;
    }
    for (size_t i = 0; i < count; i++) {
        update_one(live, i);
    }
}

// ---- JSON

static void put_quantiles(JsonWriter *w, MetricUnit unit, const Hist *h)
{
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}, {"max", 1}};
    for (size_t i = 0; i < COUNT_OF(quantiles); i++) {
        json_field_double(w, quantiles[i].name,
                          exposition_value(unit, hist_quantile(h, quantiles[i].q)));
    }
}

static void put_series(JsonWriter *w, const Live *live, size_t id)
{
    const SeriesInfo *s = collector_series(live->collector, id);
    const Point *total = collector_total(live->collector, id);
    json_object_begin(w);
    json_field_string(w, "metric", s->metric);
    json_field_string(w, "kind", metric_kind_name(s->kind));
    json_key(w, SLICE("labels"));
    json_object_begin(w);
    for (size_t i = 0; i < s->labels.count; i++) {
        json_key(w, s->labels.items[i].key);
        json_string(w, s->labels.items[i].value);
    }
    json_object_end(w);
    if (s->kind == METRIC_GAUGE) {
        json_field_double(w, "value", exposition_value(s->unit, total->last));
    } else {
        json_field_int(w, "total", live->seen[id].count_before);
        json_field_double(w, "rate", live->seen[id].rate);
    }
    if (s->kind == METRIC_TREND) {
        put_quantiles(w, s->unit, live->seen[id].window);
    }
    json_object_end(w);
}

void live_json(const Live *live, Buf *out)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_double(&w, "interval_s", live->interval_s);
    json_key(&w, SLICE("series"));
    json_array_begin(&w);
    for (size_t i = 0; i < live->count; i++) {
        put_series(&w, live, i);
    }
    json_array_end(&w);
    json_object_end(&w);
}

// ---- graph

// A node or, with two names, an edge.
typedef struct Part {
    Slice from, to;
    LiveStats stats;
    Hist all, window;
} Part;

typedef struct Graph {
    Part **parts; // nodes first met first, then edges
    size_t count;
    Map by_name;
    Arena *arena;
} Graph;

enum { GRAPH_PARTS_MAX = 20000, GRAPH_ARENA_BYTES = 256 << 20 };

static Part *part_of(Graph *g, Slice from, Slice to)
{
    Slice key = arena_printf(g->arena, "%zu:%.*s%.*s", from.len, SLICE_FMT(from), SLICE_FMT(to));
    Part *p = map_get(&g->by_name, key);
    if (!p && g->count < GRAPH_PARTS_MAX) {
        p = ARENA_NEW(g->arena, Part);
        p->from = from;
        p->to = to;
        hist_init(&p->all);
        hist_init(&p->window);
        int rc = map_put(&g->by_name, key, p);
        assert(rc == 0);
        (void)rc;
        g->parts = mem_realloc(g->parts, (g->count + 1) * sizeof(Part *));
        g->parts[g->count++] = p;
    }
    return p;
}

static void add_series(Graph *g, const Live *live, size_t id, Slice from, Slice to)
{
    const SeriesInfo *s = collector_series(live->collector, id);
    Part *p = from.len > 0 ? part_of(g, from, to) : NULL;
    if (!p) {
        return;
    }
    const Seen *seen = &live->seen[id];
    p->stats.total += (uint64_t)seen->count_before;
    p->stats.rate_per_s += seen->rate;
    if (!slice_eq(labels_get(s->labels, SLICE("status")), SLICE("success"))) {
        p->stats.errors_per_s += seen->rate;
    }
    hist_merge(&p->all, seen->before);
    hist_merge(&p->window, seen->window);
}

static Graph make_graph(const Live *live)
{
    Graph g = {.arena = arena_create(GRAPH_ARENA_BYTES), .by_name = map_create(GRAPH_PARTS_MAX, 0)};
    for (int edges = 0; edges < 2; edges++) {
        Slice metric = metric_info(edges ? M_AGENT_CALL_DURATION : M_AGENT_REQUEST_DURATION)->name;
        for (size_t i = 0; i < live->count; i++) {
            const SeriesInfo *s = collector_series(live->collector, i);
            if (slice_eq(s->metric, metric)) {
                add_series(&g, live, i,
                           labels_get(s->labels, edges ? SLICE("caller") : SLICE("agent_name")),
                           labels_get(s->labels, SLICE("callee")));
            }
        }
    }
    for (size_t i = 0; i < g.count; i++) {
        Part *p = g.parts[i];
        const Hist *h = p->window.count > 0 ? &p->window : &p->all;
        p->stats.p50_s = hist_quantile(h, 0.5) / 1e9;
        p->stats.p95_s = hist_quantile(h, 0.95) / 1e9;
        p->stats.p99_s = hist_quantile(h, 0.99) / 1e9;
    }
    return g;
}

static void free_graph(Graph *g)
{
    for (size_t i = 0; i < g->count; i++) {
        hist_done(&g->parts[i]->all);
        hist_done(&g->parts[i]->window);
    }
    free(g->parts);
    map_done(&g->by_name);
    arena_destroy(g->arena);
}

static void put_parts(JsonWriter *w, const Graph *g, bool edges)
{
    json_array_begin(w);
    for (size_t i = 0; i < g->count; i++) {
        const Part *p = g->parts[i];
        if ((p->to.len > 0) != edges) {
            continue;
        }
        json_object_begin(w);
        json_field_string(w, edges ? "from" : "name", p->from);
        if (edges) {
            json_field_string(w, "to", p->to);
        }
        json_field_double(w, "rate", p->stats.rate_per_s);
        json_field_double(w, "error_rate", p->stats.errors_per_s);
        json_field_double(w, "p50", p->stats.p50_s);
        json_field_double(w, "p95", p->stats.p95_s);
        json_field_double(w, "p99", p->stats.p99_s);
        json_field_int(w, "total", (int64_t)p->stats.total);
        json_object_end(w);
    }
    json_array_end(w);
}

void live_graph_json(const Live *live, Buf *out)
{
    JsonWriter w = json_writer(out, 0);
    Graph g = make_graph(live);
    json_object_begin(&w);
    json_key(&w, SLICE("nodes"));
    put_parts(&w, &g, false);
    json_key(&w, SLICE("edges"));
    put_parts(&w, &g, true);
    json_object_end(&w);
    free_graph(&g);
}

// A DOT string in quotes: only the quote and the backslash are special.
static void put_dot_name(Buf *out, Slice name)
{
    buf_putc(out, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"' || name.ptr[i] == '\\') {
            buf_putc(out, '\\');
        }
        buf_putc(out, (unsigned char)name.ptr[i] < ' ' ? ' ' : name.ptr[i]);
    }
    buf_putc(out, '"');
}

static void put_dot_label(Buf *out, const LiveStats *s)
{
    buf_printf(out, "%.1f/s\\np50 %.3g ms  p95 %.3g ms", s->rate_per_s, s->p50_s * 1e3,
               s->p95_s * 1e3);
}

static void put_dot_part(Buf *out, const Part *p, double calls)
{
    bool failing = p->stats.errors_per_s > 0;
    buf_puts(out, "  ");
    put_dot_name(out, p->from);
    if (p->to.len > 0) {
        buf_puts(out, " -> ");
        put_dot_name(out, p->to);
        buf_puts(out, " [label=\"");
        put_dot_label(out, &p->stats);
        buf_printf(out, "\", penwidth=%.1f", 1 + 4 * (double)p->stats.total / fmax(calls, 1));
    } else {
        buf_puts(out, " [tooltip=\"");
        put_dot_label(out, &p->stats);
        buf_putc(out, '"');
    }
    buf_puts(out, failing ? ", color=red];\n" : "];\n");
}

void live_graph_dot(const Live *live, Buf *out)
{
    Graph g = make_graph(live);
    double calls = 0;
    for (size_t i = 0; i < g.count; i++) {
        calls += g.parts[i]->to.len > 0 ? (double)g.parts[i]->stats.total : 0;
    }
    buf_puts(out, "digraph services {\n  rankdir=LR;\n  node [shape=box];\n");
    for (size_t i = 0; i < g.count; i++) {
        put_dot_part(out, g.parts[i], calls);
    }
    buf_puts(out, "}\n");
    free_graph(&g);
}
