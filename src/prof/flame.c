#include <math.h>

#include "base/svg.h"
#include "prof/profile.h"
#include "prof/profile_impl.h"

// Flame graph (Brendan Gregg, "The Flame Graph", CACM 59(6), 2016): stacks merged into a tree from
// the root, each frame as wide as its share, children in alphabetical order. The root lies on top
// ("icicle"), where reading begins. A click zooms, by a few lines of script inside the file;
// without script the tool tips say everything.

enum {
    WIDTH = 1200,
    ROW = 18,
    TOP = 40,
    MARGIN = 10,
    NODES_MAX = 200000,
    NAME_MAX_BYTES = 256,
};
// Narrower frames cannot be seen and are left out.
static const double NARROWEST = 0.1;
static const double LETTER = 6.6; // of the 11 px monospace face

typedef struct Node Node;
struct Node {
    Slice name;
    int64_t total, self;
    Node *child; // the newest first until they are sorted
    Node *next;
    size_t children;
    unsigned depth;
};

typedef struct Graph {
    Arena *arena;
    const Profile *profile;
    size_t shown; // number of the value
    size_t nodes;
    unsigned deepest;
    Node root;
} Graph;

static Node *child_named(Graph *g, Node *parent, Slice name)
{
    for (Node *n = parent->child; n; n = n->next) {
        if (slice_eq(n->name, name)) {
            return n;
        }
    }
    if (g->nodes == NODES_MAX) {
        return NULL;
    }
    g->nodes++;
    Node *n = ARENA_NEW(g->arena, Node);
    n->name = arena_copy(g->arena, slice_sub(name, 0, NAME_MAX_BYTES));
    n->depth = parent->depth + 1;
    n->next = parent->child;
    parent->child = n;
    parent->children++;
    g->deepest = n->depth > g->deepest ? n->depth : g->deepest;
    return n;
}

static Node *descend(Graph *g, Node *at, Slice name, int64_t value)
{
    Node *n = at ? child_named(g, at, name) : NULL;
    if (n) {
        n->total += value;
    }
    return n;
}

static void add_stack(Graph *g, const Stack *s)
{
    char room[PROFILE_FRAME_NAME_MAX];
    int64_t value = s->values[g->shown];
    Node *at = &g->root;
    if (value <= 0) {
        return;
    }
    at->total += value;
    if (s->label.len > 0) {
        at = descend(g, at, s->label, value);
    }
    for (size_t f = s->depth; f > 0; f--) {
        const Location *l = profile_location(g->profile, stack_address(s, f - 1));
        size_t lines = l && l->line_count > 0 ? l->line_count : 1;
        for (size_t i = lines; i > 0; i--) {
            at = descend(g, at, profile_frame_name(l, i - 1, room, sizeof room), value);
        }
    }
    if (at) {
        at->self += value;
    }
}

static int by_name(const void *a, const void *b)
{
    return slice_cmp((*(Node *const *)a)->name, (*(Node *const *)b)->name);
}

static Node **sorted_children(const Node *n)
{
    Node **order = mem_alloc((n->children + 1) * sizeof(Node *));
    size_t count = 0;
    for (Node *c = n->child; c; c = c->next) {
        order[count++] = c;
    }
    qsort(order, count, sizeof(Node *), by_name);
    return order;
}

// Warm colours by the name, so that a function looks the same in every picture.
static void put_color(Svg *s, Slice name)
{
    uint64_t h = slice_hash(name);
    char color[32];
    (void)snprintf(color, sizeof color, "rgb(%u,%u,%u)", 205 + (unsigned)(h % 50),
                   90 + (unsigned)(h / 64 % 120), (unsigned)(h / 8192 % 70));
    svg_attr_cstr(s, "fill", color);
}

static void put_amount(const Graph *g, int64_t value, Buf *out)
{
    switch (g->profile->kind) {
    case PROFILE_CPU: buf_printf(out, "%.3f s", (double)value / 1e9); return;
    case PROFILE_HEAP: buf_printf(out, "%.1f KiB", (double)value / 1024); return;
    case PROFILE_FIBERS: buf_printf(out, "%lld fibers", (long long)value); return;
    }
}

static void put_title(const Graph *g, Svg *s, const Node *n)
{
    Buf text = buf_create(NAME_MAX_BYTES + 128);
    buf_append(&text, n->name);
    buf_puts(&text, ": ");
    put_amount(g, n->total, &text);
    buf_printf(&text, ", %.2f %%", 100.0 * (double)n->total / (double)g->root.total);
    svg_title(s, buf_slice(&text));
    buf_done(&text);
}

static void put_node(const Graph *g, Svg *s, const Node *n, double x, double width)
{
    double y = TOP + n->depth * ROW;
    svg_open(s, "g");
    svg_attr_cstr(s, "class", "f");
    svg_attr_number(s, "data-x", x);
    svg_attr_number(s, "data-w", width);
    svg_attr(s, "data-n", n->name);
    put_title(g, s, n);
    svg_open(s, "rect");
    svg_attr_number(s, "x", x);
    svg_attr_number(s, "y", y);
    svg_attr_number(s, "width", fmax(width - 0.3, NARROWEST));
    svg_attr_number(s, "height", ROW - 1);
    put_color(s, n->name);
    svg_close(s);
    size_t letters = width > 2 * LETTER ? (size_t)((width - LETTER) / LETTER) : 0;
    Slice shown = slice_sub(n->name, 0, letters);
    // An ASCII name is cut anywhere; another one is shown whole or not at all.
    bool whole = shown.len == n->name.len;
    for (size_t i = 0; i < shown.len && !whole; i++) {
        shown.len = (unsigned char)shown.ptr[i] >= 0x80 ? 0 : shown.len;
    }
    svg_text(s, x + 3, y + ROW - 5, NULL, shown);
    svg_close(s);
}

// Depth first. Recursion is as deep as the deepest stack, and that is bounded.
static void put_tree(const Graph *g, Svg *s, const Node *n, double x, double per_unit)
{
    put_node(g, s, n, x, (double)n->total * per_unit);
    Node **order = sorted_children(n);
    for (size_t i = 0; i < n->children; i++) {
        double width = (double)order[i]->total * per_unit;
        if (width >= NARROWEST && order[i]->depth <= PROFILE_DEPTH_MAX * 4) {
            put_tree(g, s, order[i], x, per_unit);
        }
        x += width;
    }
    free(order);
}

static const char STYLE[] = "text{font:11px monospace;pointer-events:none;fill:#111}"
                            ".h{font:15px sans-serif}.f rect:hover{stroke:#000;cursor:pointer}"
                            ".dim{opacity:.25}";

// Zoom: every frame's place is recomputed from data-x and data-w; the frames outside are hidden,
// those around the chosen one become as wide as the picture.
static const char SCRIPT[] =
    "const W=1180,M=10,all=[...document.querySelectorAll('.f')];"
    "function zoom(x,w){for(const g of all){const a=+g.dataset.x,b=+g.dataset.w,"
    "r=g.children[1],t=g.children[2],around=a<=x+.01&&a+b>=x+w-.01,"
    "inside=a>=x-.01&&a+b<=x+w+.01;g.style.display=around||inside?'':'none';"
    "const n=around?M:M+(a-x)*W/w,k=around?W:b*W/w;r.setAttribute('x',n);"
    "r.setAttribute('width',Math.max(k-.3,.1));t.setAttribute('x',n+3);"
    "const c=Math.floor((k-6.6)/6.6);t.textContent=c>1?g.dataset.n.slice(0,c):'';}}"
    "for(const g of all)g.addEventListener('click',()=>zoom(+g.dataset.x,+g.dataset.w));";

static void put_head(Graph *g, Svg *s, Slice title)
{
    Buf text = buf_create(1024);
    ProfileStats stats = profile_stats(g->profile);
    svg_open(s, "style");
    svg_content(s, slice_from_cstr(STYLE));
    svg_close(s);
    buf_append(&text, slice_sub(title, 0, NAME_MAX_BYTES));
    buf_puts(&text, ": ");
    put_amount(g, g->root.total, &text);
    buf_printf(&text, " in %zu stacks", stats.stacks);
    if (stats.lost > 0) {
        buf_printf(&text, ", %lld samples lost", (long long)stats.lost);
    }
    svg_text(s, MARGIN, 24, "h", buf_slice(&text));
    buf_done(&text);
}

int profile_write_svg(Profile *profile, Slice title, Buf *out, Err *e)
{
    const ProfileValueType *types;
    Graph g = {.profile = profile, .arena = arena_create(2 * (size_t)PROFILE_BYTES_MAX)};
    (void)profile_value_types(profile->kind, &types, &g.shown);
    if (profile->location_size == 0) {
        profile_list_locations(profile);
    }
    g.root.name = SLICE("all");
    for (size_t i = 0; i < profile->stack_count; i++) {
        add_stack(&g, profile->stacks[i]);
    }
    Svg s = svg_begin(out, WIDTH, TOP + (g.deepest + 2) * ROW);
    put_head(&g, &s, title);
    if (g.root.total > 0) {
        put_tree(&g, &s, &g.root, MARGIN, (WIDTH - 2.0 * MARGIN) / (double)g.root.total);
    }
    svg_open(&s, "script");
    svg_content(&s, slice_from_cstr(SCRIPT));
    svg_close(&s);
    svg_end(&s);
    arena_destroy(g.arena);
    return buf_check(out, "the flame graph", e);
}
