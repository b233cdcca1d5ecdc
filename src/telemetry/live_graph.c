// The service graph: from the series of agents, calls and breakers, as JSON and for Graphviz.
#include "telemetry/live_graph.h"

#include <math.h>

#include "base/json_write.h"

enum { GRAPH_PARTS_MAX = 20000, GRAPH_ARENA_BYTES = 256 << 20 };

static Slice key_of(LiveGraph *g, Slice from, Slice to)
{
    return arena_printf(g->arena, "%zu:%.*s%.*s", from.len, SLICE_FMT(from), SLICE_FMT(to));
}

static GraphPart *part_of(LiveGraph *g, Slice from, Slice to)
{
    Slice key = key_of(g, from, to);
    GraphPart *p = map_get(&g->by_name, key);
    if (!p && g->count < GRAPH_PARTS_MAX) {
        p = ARENA_NEW(g->arena, GraphPart);
        p->from = from;
        p->to = to;
        p->breaker = -1;
        hist_init(&p->all);
        hist_init(&p->window);
        int rc = map_put(&g->by_name, key, p);
        assert(rc == 0);
        (void)rc;
        g->parts = mem_realloc(g->parts, (g->count + 1) * sizeof(GraphPart *));
        g->parts[g->count++] = p;
    }
    return p;
}

static void add_series(LiveGraph *g, const Live *live, size_t id, Slice from, Slice to)
{
    const SeriesInfo *s = collector_series(live->collector, id);
    GraphPart *p = from.len > 0 ? part_of(g, from, to) : NULL;
    if (!p) {
        return;
    }
    const LiveSeen *seen = &live->seen[id];
    p->stats.total += (uint64_t)seen->count_before;
    p->stats.rate_per_s += seen->rate;
    if (!slice_eq(labels_get(s->labels, SLICE("status")), SLICE("success"))) {
        p->stats.errors_per_s += seen->rate;
    }
    hist_merge(&p->all, seen->before);
    hist_merge(&p->window, seen->window);
}

// The breaker of an agent is the node's; that of an edge "from->to", whose agent_name is `to`, the
// edge's.
static void add_breakers(LiveGraph *g, const Live *live)
{
    Slice metric = metric_info(M_AGENT_BREAKER_STATE)->name;
    for (size_t i = 0; i < live->count; i++) {
        const SeriesInfo *s = collector_series(live->collector, i);
        if (!slice_eq(s->metric, metric)) {
            continue;
        }
        Slice to = labels_get(s->labels, SLICE("agent_name"));
        Slice edge = labels_get(s->labels, SLICE("edge"));
        Slice from = slice_sub(edge, 0, edge.len - (edge.len > to.len + 2 ? to.len + 2 : edge.len));
        GraphPart *p =
            map_get(&g->by_name, edge.len > 0 ? key_of(g, from, to) : key_of(g, to, (Slice){0}));
        double state = collector_total(live->collector, i)->last;
        if (p && state >= 0 && state <= 2) {
            p->breaker = (int)state;
        }
    }
}

const char *graph_breaker_name(const GraphPart *part)
{
    static const char *const names[] = {"closed", "open", "half open"};
    return part->breaker >= 0 ? names[part->breaker] : NULL;
}

LiveGraph live_graph_make(const Live *live)
{
    LiveGraph g = {.arena = arena_create(GRAPH_ARENA_BYTES),
                   .by_name = map_create(GRAPH_PARTS_MAX, 0)};
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
    add_breakers(&g, live);
    for (size_t i = 0; i < g.count; i++) {
        GraphPart *p = g.parts[i];
        const Hist *h = p->window.count > 0 ? &p->window : &p->all;
        p->stats.p50_s = hist_quantile(h, 0.5) / 1e9;
        p->stats.p95_s = hist_quantile(h, 0.95) / 1e9;
        p->stats.p99_s = hist_quantile(h, 0.99) / 1e9;
    }
    return g;
}

void live_graph_done(LiveGraph *g)
{
    for (size_t i = 0; i < g->count; i++) {
        hist_done(&g->parts[i]->all);
        hist_done(&g->parts[i]->window);
    }
    free(g->parts);
    map_done(&g->by_name);
    arena_destroy(g->arena);
}

static void put_parts(JsonWriter *w, const LiveGraph *g, bool edges)
{
    json_array_begin(w);
    for (size_t i = 0; i < g->count; i++) {
        const GraphPart *p = g->parts[i];
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
        if (p->breaker >= 0) {
            json_field_string(w, "breaker", slice_from_cstr(graph_breaker_name(p)));
        }
        json_object_end(w);
    }
    json_array_end(w);
}

void live_graph_json(const Live *live, Buf *out)
{
    JsonWriter w = json_writer(out, 0);
    LiveGraph g = live_graph_make(live);
    json_object_begin(&w);
    json_key(&w, SLICE("nodes"));
    put_parts(&w, &g, false);
    json_key(&w, SLICE("edges"));
    put_parts(&w, &g, true);
    json_object_end(&w);
    live_graph_done(&g);
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

static void put_dot_label(Buf *out, const GraphPart *p)
{
    const LiveStats *s = &p->stats;
    buf_printf(out, "%.1f/s\\np50 %.3g ms  p95 %.3g ms", s->rate_per_s, s->p50_s * 1e3,
               s->p95_s * 1e3);
    if (p->breaker > 0) {
        buf_printf(out, "\\nbreaker %s", graph_breaker_name(p));
    }
}

static void put_dot_part(Buf *out, const GraphPart *p, double calls)
{
    bool failing = p->stats.errors_per_s > 0;
    buf_puts(out, "  ");
    put_dot_name(out, p->from);
    if (p->to.len > 0) {
        buf_puts(out, " -> ");
        put_dot_name(out, p->to);
        buf_puts(out, " [label=\"");
        put_dot_label(out, p);
        buf_printf(out, "\", penwidth=%.1f", 1 + 4 * (double)p->stats.total / fmax(calls, 1));
    } else {
        buf_puts(out, " [tooltip=\"");
        put_dot_label(out, p);
        buf_putc(out, '"');
    }
    buf_puts(out, failing ? ", color=red];\n" : "];\n");
}

void live_graph_dot(const Live *live, Buf *out)
{
    LiveGraph g = live_graph_make(live);
    double calls = 0;
    for (size_t i = 0; i < g.count; i++) {
        calls += g.parts[i]->to.len > 0 ? (double)g.parts[i]->stats.total : 0;
    }
    buf_puts(out, "digraph services {\n  rankdir=LR;\n  node [shape=box];\n");
    for (size_t i = 0; i < g.count; i++) {
        put_dot_part(out, g.parts[i], calls);
    }
    buf_puts(out, "}\n");
    live_graph_done(&g);
}
