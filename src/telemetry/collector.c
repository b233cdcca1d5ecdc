#include "telemetry/collector.h"

#include "base/map.h"

typedef struct Cell {
    SeriesInfo info;
    Point interval;
    Point total;
    Hist *total_hist; // trends
    Hist *own_hist;   // of the interval, once two sources met in it
    bool changed;
} Cell;

typedef struct Source {
    uint32_t *ids; // recorder's id to ours, plus 1; 0: not known yet
    size_t count;
} Source;

struct Collector {
    size_t series_max;
    Arena *arena;
    Map by_key;
    Cell **cells; // by id
    size_t cell_count;
    size_t cell_capacity;
    Source sources[COLLECTOR_SOURCES_MAX];
    Point *points;
    size_t point_capacity;
    Buf key;
};

Collector *collector_create(size_t series_max)
{
    Collector *c = mem_zalloc(sizeof *c);
    c->series_max = series_max ? series_max : RECORDER_SERIES_MAX;
    c->arena = arena_create(2 * RECORDER_LABEL_BYTES_MAX + c->series_max * sizeof(Cell) * 4);
    c->by_key = map_create(c->series_max * 2 + METRIC_COUNT * 2, 0);
    c->key = buf_create(1 << 20);
    return c;
}

static void free_hist(Hist *h)
{
    if (h) {
        hist_done(h);
        free(h);
    }
}

void collector_destroy(Collector *c)
{
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->cell_count; i++) {
        free_hist(c->cells[i]->total_hist);
        free_hist(c->cells[i]->own_hist);
    }
    for (size_t i = 0; i < COLLECTOR_SOURCES_MAX; i++) {
        free(c->sources[i].ids);
    }
    free(c->cells);
    free(c->points);
    map_done(&c->by_key);
    buf_done(&c->key);
    arena_destroy(c->arena);
    free(c);
}

void point_merge(Point *into, Hist *into_hist, const Point *from, MetricKind kind)
{
    if (kind == METRIC_GAUGE && from->count > 0) {
        into->min = into->count == 0 || from->min < into->min ? from->min : into->min;
        into->max = into->count == 0 || from->max > into->max ? from->max : into->max;
        into->last = from->last;
    }
    into->count += from->count;
    into->trues += from->trues;
    if (from->hist) {
        hist_merge(into_hist, from->hist);
    }
}

static Hist *new_hist(void)
{
    Hist *h = mem_alloc(sizeof *h);
    hist_init(h);
    return h;
}

static Slice make_key(Buf *out, const SeriesInfo *info)
{
    buf_reset(out);
    buf_append(out, info->metric);
    for (size_t i = 0; i < info->labels.count; i++) {
        const Label *l = &info->labels.items[i];
        buf_printf(out, "\n%zu ", l->key.len);
        buf_append(out, l->key);
        buf_printf(out, " %zu ", l->value.len);
        buf_append(out, l->value);
    }
    return buf_slice(out);
}

static Cell *add_cell(Collector *c, Slice key, const SeriesInfo *info)
{
    if (c->cell_count == c->cell_capacity) {
        c->cell_capacity = c->cell_capacity ? c->cell_capacity * 2 : 64;
        c->cells = mem_realloc(c->cells, c->cell_capacity * sizeof(Cell *));
    }
    Cell *cell = ARENA_NEW(c->arena, Cell);
    cell->info = *info;
    cell->info.id = (uint32_t)c->cell_count;
    cell->info.metric = arena_copy(c->arena, info->metric);
    int rc =
        labels_copy(c->arena, info->labels.items, info->labels.count, &cell->info.labels, NULL);
    assert(rc == 0); // copied from a recorder's, which are in order
    cell->total.series = cell->interval.series = cell->info.id;
    if (info->kind == METRIC_TREND) {
        cell->total_hist = new_hist();
        cell->total.hist = cell->total_hist;
    }
    rc = map_put(&c->by_key, arena_copy(c->arena, key), cell);
    assert(rc == 0);
    c->cells[c->cell_count++] = cell;
    return cell;
}

// Several recorders may each have their full share of different series, so the cap is kept here
// once more, with the same overflow series.
static Cell *find_cell(Collector *c, const SeriesInfo *info)
{
    Slice key = make_key(&c->key, info);
    Cell *cell = map_get(&c->by_key, key);
    if (cell) {
        return cell;
    }
    if (c->cell_count < c->series_max && arena_left(c->arena) > (1 << 20) + 4 * key.len) {
        return add_cell(c, key, info);
    }
    const Label overflow = {SLICE_INIT("overflow"), SLICE_INIT("true")};
    SeriesInfo rest = *info;
    rest.labels = (Labels){&overflow, 1};
    key = make_key(&c->key, &rest);
    cell = map_get(&c->by_key, key);
    return cell ? cell : add_cell(c, key, &rest);
}

static Cell *cell_of(Collector *c, unsigned source, const SeriesInfo *info)
{
    Source *s = &c->sources[source];
    if (info->id >= s->count) {
        size_t count = (size_t)info->id * 2 + 64;
        s->ids = mem_realloc(s->ids, count * sizeof s->ids[0]);
        memset(s->ids + s->count, 0, (count - s->count) * sizeof s->ids[0]);
        s->count = count;
    }
    if (s->ids[info->id] == 0) {
        s->ids[info->id] = find_cell(c, info)->info.id + 1;
    }
    return c->cells[s->ids[info->id] - 1];
}

// The first source's histogram is borrowed; a second one makes the interval need its own.
static void add_interval(Cell *cell, const Point *from)
{
    Point *p = &cell->interval;
    if (from->hist && !p->hist) {
        p->hist = from->hist;
        p->count = from->count;
        return;
    }
    if (from->hist && p->hist != cell->own_hist) {
        if (!cell->own_hist) {
            cell->own_hist = new_hist();
        }
        hist_reset(cell->own_hist);
        hist_merge(cell->own_hist, p->hist);
        p->hist = cell->own_hist;
    }
    point_merge(p, cell->own_hist, from, cell->info.kind);
}

void collector_add(Collector *c, unsigned source, const RecorderBatch *batch)
{
    assert(source < COLLECTOR_SOURCES_MAX);
    for (size_t i = 0; i < batch->count; i++) {
        const RecorderItem *item = &batch->items[i];
        Cell *cell = cell_of(c, source, item->info);
        add_interval(cell, &item->point);
        point_merge(&cell->total, cell->total_hist, &item->point, cell->info.kind);
        cell->changed = true;
    }
}

void collector_set(Collector *c, MetricId metric, Labels labels, const Point *total)
{
    const MetricInfo *m = metric_info(metric);
    SeriesInfo info = {.kind = m->kind, .unit = m->unit, .metric = m->name, .labels = labels};
    Cell *cell = find_cell(c, &info);
    uint32_t id = cell->total.series;
    cell->total = *total;
    cell->total.series = id;
    cell->total.hist = cell->total_hist;
    if (cell->total_hist) {
        hist_reset(cell->total_hist);
        if (total->hist) {
            hist_merge(cell->total_hist, total->hist);
        }
    }
}

void collector_points(Collector *c, const Point **ret_points, size_t *ret_count)
{
    if (c->point_capacity < c->cell_count) {
        c->point_capacity = c->cell_capacity;
        c->points = mem_realloc(c->points, c->point_capacity * sizeof c->points[0]);
    }
    size_t n = 0;
    for (size_t i = 0; i < c->cell_count; i++) {
        if (c->cells[i]->changed) {
            c->points[n++] = c->cells[i]->interval;
        }
    }
    *ret_points = c->points;
    *ret_count = n;
}

void collector_next(Collector *c)
{
    for (size_t i = 0; i < c->cell_count; i++) {
        c->cells[i]->changed = false;
        c->cells[i]->interval = (Point){.series = (uint32_t)i};
    }
}

size_t collector_series_count(const Collector *c)
{
    return c->cell_count;
}

const SeriesInfo *collector_series(const Collector *c, size_t id)
{
    assert(id < c->cell_count);
    return &c->cells[id]->info;
}

const Point *collector_total(const Collector *c, size_t id)
{
    assert(id < c->cell_count);
    return &c->cells[id]->total;
}

size_t collector_sum(const Collector *c, Slice metric, Labels filter, Point *ret_point,
                     Hist *ret_hist)
{
    size_t n = 0;
    hist_reset(ret_hist);
    *ret_point = (Point){0};
    for (size_t i = 0; i < c->cell_count; i++) {
        const Cell *cell = c->cells[i];
        if (slice_eq(cell->info.metric, metric) && labels_match(cell->info.labels, filter)) {
            point_merge(ret_point, ret_hist, &cell->total, cell->info.kind);
            ret_point->hist = cell->info.kind == METRIC_TREND ? ret_hist : NULL;
            n++;
        }
    }
    return n;
}
