// The service graph as a picture: callers left, callees right of them, in columns (Sugiyama,
// Tagawa, Toda, "Methods for visual understanding of hierarchical system structures", 1981, in its
// simplest form): edges that close a circle are left aside, a node's column is the longest way to
// it, and within a column nodes go where their neighbours are. Graphviz does better; this needs
// nothing but a browser.
#include <math.h>

#include "base/svg.h"
#include "telemetry/live_graph.h"

enum {
    NODES_SHOWN = 150, // more cannot be read; the busiest are
    EDGES_SHOWN = 1500,
    NAME_BYTES = 25,
    SWEEPS = 6,
    MARGIN = 24,
    TOP = 56,
    BOX_W = 200,
    BOX_H = 62,
    COLUMN = BOX_W + 160, // room for the labels of edges
    ROW = BOX_H + 44,
    BELOW = 32, // between two arrows that go back
};

typedef struct Box {
    Slice name;
    const GraphPart *part; // NULL: only known as a caller
    size_t column, row;
    double key; // where the neighbours are
    double x, y;
    enum { NEW, OPEN, DONE } visit;
    bool called;
} Box;

typedef struct Arrow {
    size_t from, to;
    const GraphPart *part;
    bool back;       // closes a circle
    double curve[8]; // x, y of the ends and, between, of the control points
} Arrow;

typedef struct Picture {
    Box boxes[NODES_SHOWN];
    size_t box_count, left_out;
    Arrow arrows[EDGES_SHOWN];
    size_t arrow_count;
    size_t order[NODES_SHOWN]; // callees first
    size_t ordered;
    size_t columns, rows;
    double calls;
    Map by_name;
    Svg svg;
} Picture;

// ---- what is shown

static int by_total(const void *a, const void *b)
{
    const GraphPart *x = *(GraphPart *const *)a, *y = *(GraphPart *const *)b;
    return (x->stats.total < y->stats.total) - (x->stats.total > y->stats.total);
}

static Box *box_of(Picture *p, Slice name, const GraphPart *part)
{
    Box *box = map_get(&p->by_name, name);
    if (!box && p->box_count < NODES_SHOWN) {
        box = &p->boxes[p->box_count++];
        *box = (Box){.name = name, .part = part};
        int rc = map_put(&p->by_name, name, box);
        assert(rc == 0);
        (void)rc;
    }
    p->left_out += !box;
    return box;
}

static void choose(Picture *p, const LiveGraph *g)
{
    GraphPart **busiest = mem_alloc((g->count + 1) * sizeof(GraphPart *));
    for (size_t i = 0; i < g->count; i++) {
        busiest[i] = g->parts[i];
    }
    qsort(busiest, g->count, sizeof(GraphPart *), by_total);
    for (size_t i = 0; i < g->count; i++) {
        if (busiest[i]->to.len == 0) {
            (void)box_of(p, busiest[i]->from, busiest[i]);
        }
    }
    size_t known = p->left_out; // what an edge names besides would be counted once an edge
    for (size_t i = 0; i < g->count && p->arrow_count < EDGES_SHOWN; i++) {
        const GraphPart *part = busiest[i];
        Box *from = part->to.len > 0 ? box_of(p, part->from, NULL) : NULL;
        Box *to = from ? box_of(p, part->to, NULL) : NULL;
        if (to) {
            to->called = to->called || to != from;
            p->calls += (double)part->stats.total;
            p->arrows[p->arrow_count++] = (Arrow){
                .from = (size_t)(from - p->boxes), .to = (size_t)(to - p->boxes), .part = part};
        }
    }
    p->left_out = known;
    free(busiest);
}

// ---- where it goes

// Depth first; as deep as there are boxes.
static void visit(Picture *p, size_t at)
{
    p->boxes[at].visit = OPEN;
    for (size_t i = 0; i < p->arrow_count; i++) {
        Arrow *a = &p->arrows[i];
        if (a->from != at) {
            continue;
        }
        if (p->boxes[a->to].visit == OPEN) {
            a->back = true;
        } else if (p->boxes[a->to].visit == NEW) {
            visit(p, a->to);
        }
    }
    p->boxes[at].visit = DONE;
    p->order[p->ordered++] = at;
}

static void find_columns(Picture *p)
{
    for (int called = 0; called < 2; called++) {
        for (size_t i = 0; i < p->box_count; i++) {
            if (p->boxes[i].visit == NEW && (called || !p->boxes[i].called)) {
                visit(p, i);
            }
        }
    }
    for (size_t i = p->ordered; i-- > 0;) { // callers first
        const Box *from = &p->boxes[p->order[i]];
        for (size_t k = 0; k < p->arrow_count; k++) {
            const Arrow *a = &p->arrows[k];
            Box *to = &p->boxes[a->to];
            if (a->from == p->order[i] && !a->back && to->column <= from->column) {
                to->column = from->column + 1;
            }
        }
        p->columns = from->column + 1 > p->columns ? from->column + 1 : p->columns;
    }
}

// Numbers the rows of each column by the keys; equal ones stay in order.
static void number_rows(Picture *p)
{
    for (size_t i = 0; i < p->box_count; i++) {
        Box *a = &p->boxes[i];
        size_t row = 0;
        for (size_t k = 0; k < p->box_count; k++) {
            const Box *b = &p->boxes[k];
            row += b->column == a->column && (b->key < a->key || (b->key == a->key && k < i));
        }
        a->row = row;
        p->rows = row + 1 > p->rows ? row + 1 : p->rows;
    }
}

static void place(Picture *p)
{
    for (size_t i = 0; i < p->box_count; i++) {
        Box *box = &p->boxes[i];
        size_t below = 0;
        for (size_t k = 0; k < p->box_count; k++) {
            below += p->boxes[k].column == box->column && p->boxes[k].row > box->row;
        }
        double mid = ((double)box->row - (double)below) / 2; // from the column's middle
        box->x = MARGIN + (double)box->column * COLUMN;
        box->y = TOP + ((double)(p->rows - 1) / 2 + mid) * ROW;
    }
}

static void find_rows(Picture *p)
{
    number_rows(p);
    place(p);
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        bool by_callers = sweep % 2 == 0;
        for (size_t i = 0; i < p->box_count; i++) {
            double sum = 0, count = 0;
            for (size_t k = 0; k < p->arrow_count; k++) {
                const Arrow *a = &p->arrows[k];
                if (!a->back && (by_callers ? a->to : a->from) == i) {
                    sum += p->boxes[by_callers ? a->from : a->to].y;
                    count++;
                }
            }
            p->boxes[i].key = count > 0 ? sum / count : p->boxes[i].y;
        }
        number_rows(p);
        place(p);
    }
}

// ---- how it looks

// Colours have at least 4.5 : 1 against their ground (WCAG 2.2, 1.4.3) in both themes. Text says
// what colour says, so nobody depends on colour.
static const char STYLE[] =
    "svg{--bg:#fbfbfa;--box:#fff;--ink:#1b1f24;--soft:#57606a;--rule:#8b949e;--good:#0a6b4d;"
    "--warn:#8a5a00;--bad:#b0291a;background:var(--bg);font:12px system-ui,sans-serif}"
    "@media(prefers-color-scheme:dark){svg{--bg:#12161b;--box:#191e25;--ink:#e6e9ec;"
    "--soft:#a3adb8;--rule:#6b7683;--good:#4fd0a2;--warn:#efb24c;--bad:#ff8a72}}"
    "text{fill:var(--ink)}.h{font-size:15px}.soft{fill:var(--soft)}"
    "text.closed{fill:var(--good)}text.half{fill:var(--warn)}text.open,text.fails{fill:var(--bad)}"
    ".name{font-weight:600;font-size:13px}"
    "rect.box{fill:var(--box);stroke:var(--rule)}rect.half{stroke:var(--warn);stroke-width:2}"
    "rect.open{stroke:var(--bad);stroke-width:3}"
    "path.edge{fill:none;stroke:var(--rule)}path.fails,path.open{stroke:var(--bad)}"
    "path.half{stroke:var(--warn)}path.open{stroke-dasharray:6 4}path.head{fill:var(--soft)}"
    ".on{text-anchor:middle;paint-order:stroke;stroke:var(--bg);stroke-width:4px}";

static const char *class_of(const GraphPart *part)
{
    static const char *const classes[] = {"closed", "open", "half"};
    if (part && part->breaker >= 0) {
        return classes[part->breaker];
    }
    return "none";
}

static void put_ms(Buf *out, const char *name, double seconds)
{
    buf_printf(out, seconds < 0.01 ? ", %s %.2g ms" : ", %s %.0f ms", name, seconds * 1e3);
}

static void describe(Buf *out, const GraphPart *part, bool all)
{
    const LiveStats *s = &part->stats;
    buf_reset(out);
    buf_printf(out, "%.1f/s", s->rate_per_s);
    if (part->all.count > 0) {
        if (all) {
            put_ms(out, "p50", s->p50_s);
        }
        put_ms(out, "p95", s->p95_s);
        if (all) {
            put_ms(out, "p99", s->p99_s);
        }
    }
}

// The state of the breaker, else what fails: nothing when all is well. Returns the class.
static const char *trouble(Buf *out, const GraphPart *part)
{
    const char *name = graph_breaker_name(part);
    buf_reset(out);
    if (name) {
        buf_printf(out, "breaker %s", name);
    }
    if (part->stats.errors_per_s > 0) {
        buf_printf(out, "%s%.1f/s fail", name ? ", " : "", part->stats.errors_per_s);
        return "fails";
    }
    return class_of(part);
}

static void put_tip(Svg *s, Buf *text, const GraphPart *part)
{
    Buf words = buf_create(1024);
    describe(&words, part, true);
    buf_append(text, buf_slice(&words));
    (void)trouble(&words, part);
    buf_printf(text, " %.*s", SLICE_FMT(buf_slice(&words)));
    svg_title(s, buf_slice(text));
    buf_done(&words);
}

static void put_name(Svg *s, const Box *box)
{
    Buf text = buf_create(NAME_BYTES + 8);
    Slice shown = box->name;
    if (shown.len > NAME_BYTES) {
        shown.len = NAME_BYTES - 1;
        while (shown.len > 0 && ((unsigned char)box->name.ptr[shown.len] & 0xC0) == 0x80) {
            shown.len--; // not within a character
        }
    }
    buf_append(&text, shown);
    buf_puts(&text, shown.len < box->name.len ? "…" : "");
    svg_text(s, box->x + 10, box->y + 19, "name", buf_slice(&text));
    buf_done(&text);
}

static void put_box(Svg *s, const Box *box)
{
    char class_name[16];
    (void)snprintf(class_name, sizeof class_name, "box %s", class_of(box->part));
    Buf text = buf_create(64 << 10);
    svg_open(s, "g");
    if (box->part) {
        buf_append(&text, box->name);
        buf_puts(&text, ": ");
        put_tip(s, &text, box->part);
    }
    svg_rect(s, box->x, box->y, BOX_W, BOX_H, class_name);
    put_name(s, box);
    if (box->part) {
        describe(&text, box->part, false);
        svg_text(s, box->x + 10, box->y + 36, "soft", buf_slice(&text));
        const char *how = trouble(&text, box->part);
        svg_text(s, box->x + 10, box->y + 53, how, buf_slice(&text));
    }
    svg_close(s);
    buf_done(&text);
}

static void put_curve(Buf *out, const double xy[8])
{
    for (int i = 0; i < 8; i++) {
        buf_putc(out, i == 0 ? 'M' : i == 2 ? 'C' : ' ');
        svg_number(out, xy[i]);
    }
}

static double curve_at(const double xy[8], int axis, double t)
{
    double u = 1 - t;
    const double *a = xy + axis;
    return u * u * u * a[0] + 3 * u * u * t * a[2] + 3 * u * t * t * a[4] + t * t * t * a[6];
}

// Where an arrow's words go: in the gap behind its caller, for there no box hides the line.
static double label_at(const Picture *p, const Arrow *a)
{
    double low = 0, high = 1, x = p->boxes[a->from].x + (BOX_W + COLUMN) / 2.0;
    for (int i = 0; i < 20 && !a->back; i++) {
        double mid = (low + high) / 2;
        bool before = curve_at(a->curve, 0, mid) < x;
        low = before ? mid : low;
        high = before ? high : mid;
    }
    return (low + high) / 2;
}

static void put_arrow_labels(Picture *p, const Arrow *a)
{
    Svg *s = &p->svg;
    Buf text = buf_create(1024);
    char class_name[16];
    double t = label_at(p, a), x = curve_at(a->curve, 0, t), y = curve_at(a->curve, 1, t);
    describe(&text, a->part, false);
    svg_text(s, x, y - 2, "on", buf_slice(&text));
    (void)snprintf(class_name, sizeof class_name, "on %s", trouble(&text, a->part));
    if (text.len > 0) {
        svg_text(s, x, y + 13, class_name, buf_slice(&text));
    }
    buf_done(&text);
}

// Forward from side to side; back below all boxes, each at a depth of its own; to itself, a loop.
static void bend(Picture *p, Arrow *a, double bottom)
{
    const Box *from = &p->boxes[a->from], *to = &p->boxes[a->to];
    double x1 = from->x + BOX_W, x2 = to->x, y1 = from->y, y2 = to->y, reach = (x2 - x1) / 2;
    double forth[8] = {x1,         y1 + BOX_H / 2.0, x1 + reach, y1 + BOX_H / 2.0,
                       x2 - reach, y2 + BOX_H / 2.0, x2,         y2 + BOX_H / 2.0};
    y1 += BOX_H;
    y2 += BOX_H;
    // The middle of a cubic Bezier curve is (ends + 3 * control points) / 8.
    double down = a->from == a->to ? y1 + 38 : (8 * bottom - y1 - y2) / 6;
    double back[8] = {from->x + BOX_W * 0.7, y1,   from->x + BOX_W * 0.7, down,
                      to->x + BOX_W * 0.3,   down, to->x + BOX_W * 0.3,   y2};
    memcpy(a->curve, a->back ? back : forth, sizeof a->curve);
}

static void put_arrow(Picture *p, const Arrow *a)
{
    Svg *s = &p->svg;
    Buf text = buf_create(64 << 10);
    svg_open(s, "g");
    buf_printf(&text, "%.*s calls %.*s: ", SLICE_FMT(a->part->from), SLICE_FMT(a->part->to));
    put_tip(s, &text, a->part);
    buf_reset(&text);
    put_curve(&text, a->curve);
    svg_open(s, "path");
    svg_attr(s, "d", buf_slice(&text));
    buf_reset(&text);
    buf_printf(&text, "edge %s%s", class_of(a->part),
               a->part->stats.errors_per_s > 0 ? " fails" : "");
    svg_attr(s, "class", buf_slice(&text));
    svg_attr_number(s, "stroke-width", 1.2 + 4 * (double)a->part->stats.total / fmax(p->calls, 1));
    svg_attr_cstr(s, "marker-end", "url(#head)");
    svg_close(s);
    svg_close(s);
    buf_done(&text);
}

static void put_head(Picture *p, const Live *live)
{
    Svg *s = &p->svg;
    Buf text = buf_create(1024);
    svg_open(s, "style");
    svg_content(s, slice_from_cstr(STYLE));
    svg_close(s);
    svg_open(s, "marker");
    svg_attr_cstr(s, "id", "head");
    svg_attr_cstr(s, "viewBox", "0 0 10 10");
    svg_attr_number(s, "refX", 9);
    svg_attr_number(s, "refY", 5);
    svg_attr_number(s, "markerWidth", 9);
    svg_attr_number(s, "markerHeight", 9);
    svg_attr_cstr(s, "markerUnits", "userSpaceOnUse");
    svg_attr_cstr(s, "orient", "auto");
    svg_open(s, "path");
    svg_attr_cstr(s, "d", "M0 0 10 5 0 10z");
    svg_attr_cstr(s, "class", "head");
    svg_close(s);
    svg_close(s);
    buf_printf(&text, "Who calls whom, %.0f s", live->interval_s);
    if (p->left_out > 0) {
        buf_printf(&text, "; the busiest %zu agents, %zu more are not shown", p->box_count,
                   p->left_out);
    }
    if (p->box_count == 0) {
        buf_puts(&text, ": nothing yet");
    }
    svg_text(s, MARGIN, 30, "h", buf_slice(&text));
    buf_done(&text);
}

void live_graph_svg(const Live *live, Buf *out)
{
    LiveGraph g = live_graph_make(live);
    Picture *p = mem_zalloc(sizeof *p);
    p->by_name = map_create(NODES_SHOWN, 0);
    choose(p, &g);
    find_columns(p);
    find_rows(p);
    size_t columns = p->columns > 0 ? p->columns : 1;
    double width = 2.0 * MARGIN + (double)columns * COLUMN - (COLUMN - BOX_W);
    double height = TOP + (double)p->rows * ROW;
    for (size_t i = 0; i < p->arrow_count; i++) {
        Arrow *a = &p->arrows[i];
        bend(p, a, height);
        height += a->back && a->from != a->to ? BELOW : 0;
    }
    width = fmax(width, 520); // the heading
    p->svg = svg_begin(out, width, height);
    svg_attr_number(&p->svg, "width", width);
    svg_attr_number(&p->svg, "height", height);
    svg_attr_cstr(&p->svg, "role", "img");
    put_head(p, live);
    for (size_t i = 0; i < p->arrow_count; i++) { // behind the boxes
        put_arrow(p, &p->arrows[i]);
    }
    for (size_t i = 0; i < p->box_count; i++) {
        put_box(&p->svg, &p->boxes[i]);
    }
    for (size_t i = 0; i < p->arrow_count; i++) {
        put_arrow_labels(p, &p->arrows[i]);
    }
    svg_end(&p->svg);
    map_done(&p->by_name);
    free(p);
    live_graph_done(&g);
}
