#include "ledger/totals.h"

static int64_t add_held(int64_t a, int64_t b)
{
    int64_t sum;
    return !__builtin_add_overflow(a, b, &sum) ? sum : b > 0 ? INT64_MAX : INT64_MIN;
}

void point_add(Point *into, const Point *p, MetricKind kind, bool first)
{
    into->count = add_held(into->count, p->count);
    into->trues = add_held(into->trues, p->trues);
    if (kind == METRIC_GAUGE) {
        into->last = p->last;
        into->min = first || p->min < into->min ? p->min : into->min;
        into->max = first || p->max > into->max ? p->max : into->max;
    }
}

void totals_done(Totals *t)
{
    for (size_t i = 0; i < t->count; i++) {
        hist_done(&t->items[i].hist);
    }
    free(t->items);
    *t = (Totals){0};
}

void totals_declare(Totals *t, uint32_t series, MetricKind kind)
{
    if (series >= t->count) {
        size_t count = t->count ? t->count : 64;
        while (count <= series) {
            count *= 2;
        }
        t->items = mem_realloc(t->items, count * sizeof *t->items);
        for (size_t i = t->count; i < count; i++) {
            t->items[i] = (SeriesTotal){.point = {.series = (uint32_t)i}};
            hist_init(&t->items[i].hist);
        }
        t->count = count;
    }
    t->items[series].declared = true;
    t->items[series].kind = kind;
}

int totals_add(Totals *t, const PackedPoint *point, Err *e)
{
    uint32_t id = point->point.series;
    if (id >= t->count || !t->items[id].declared) {
        return err_set(e, ERR_CORRUPT, "a point of series %u, which was not declared", id);
    }
    SeriesTotal *total = &t->items[id];
    if (point->hist.len > 0) {
        Hist h;
        hist_init(&h);
        int rc = hist_decode(&h, point->hist, e);
        if (rc == 0) {
            hist_merge(&total->hist, &h);
        }
        hist_done(&h);
        if (rc != 0) {
            return rc;
        }
    }
    point_add(&total->point, &point->point, total->kind, !total->any);
    total->any = true;
    return 0;
}

void totals_pack(const Totals *t, Arena *arena, PackedPoint **ret_points, size_t *ret_count)
{
    PackedPoint *points = ARENA_ARRAY(arena, PackedPoint, t->count ? t->count : 1);
    size_t n = 0;
    Buf bytes = buf_create(HIST_ENCODED_MAX);
    for (size_t i = 0; i < t->count; i++) {
        const SeriesTotal *total = &t->items[i];
        if (!total->declared) {
            continue;
        }
        points[n].point = total->point;
        if (total->kind == METRIC_TREND) {
            buf_reset(&bytes);
            hist_encode(&total->hist, &bytes);
            points[n].hist = arena_copy(arena, buf_slice(&bytes));
        }
        n++;
    }
    buf_done(&bytes);
    *ret_points = points;
    *ret_count = n;
}
