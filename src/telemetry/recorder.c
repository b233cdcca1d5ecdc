#include "telemetry/recorder.h"

#include "base/arena.h"
#include "base/map.h"

struct Recorder {
    size_t series_max;
    bool shared;
    bool taken; // a batch is out
    Arena *arena;
    Map by_key;
    RecorderSeries **series; // by id
    size_t series_count;
    size_t series_capacity;
    RecorderSeries *changed_first; // list of what changed in this interval
    RecorderSeries **changed_last;
    RecorderItem *items; // of the batch that is out
    size_t item_capacity;
    RecorderBatch batch;
    uint64_t overflows;
    Buf key; // scratch
};

Recorder *recorder_create(const RecorderOptions *options)
{
    Recorder *r = mem_zalloc(sizeof *r);
    r->series_max = options->series_max ? options->series_max : RECORDER_SERIES_MAX;
    r->shared = options->shared;
    // The text of all labels; series beyond what fits go to the overflow series like those beyond
    // the cap. Each metric may add its overflow series.
    r->arena = arena_create(RECORDER_LABEL_BYTES_MAX + r->series_max * sizeof(RecorderSeries) * 2 +
                            (1 << 20));
    r->by_key = map_create(r->series_max * 2 + METRIC_COUNT * 2, 0);
    r->changed_last = &r->changed_first;
    r->key = buf_create(1 << 20);
    return r;
}

static void free_hist(Hist *h)
{
    if (h) {
        hist_done(h);
        free(h);
    }
}

void recorder_destroy(Recorder *r)
{
    if (!r) {
        return;
    }
    for (size_t i = 0; i < r->series_count; i++) {
        free_hist(r->series[i]->active);
        free_hist(r->series[i]->shelf);
    }
    free(r->series);
    free(r->items);
    map_done(&r->by_key);
    buf_done(&r->key);
    arena_destroy(r->arena);
    free(r);
}

static Hist *new_hist(void)
{
    Hist *h = mem_alloc(sizeof *h);
    hist_init(h);
    return h;
}

// Sorts into `ret`, drops empty values (an absent label and an empty one are the same thing) and
// repeated keys. Returns how many are left.
static size_t tidy(const Label *labels, size_t count, Label ret[LABELS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < count && n < LABELS_MAX; i++) {
        if (labels[i].value.len == 0) {
            continue;
        }
        size_t at = n;
        while (at > 0 && slice_cmp(labels[i].key, ret[at - 1].key) < 0) {
            at--;
        }
        if (at > 0 && slice_eq(labels[i].key, ret[at - 1].key)) {
            continue;
        }
        memmove(&ret[at + 1], &ret[at], (n - at) * sizeof ret[0]);
        ret[at] = labels[i];
        n++;
    }
    return n;
}

static void put_length_and_text(Buf *out, Slice text)
{
    uint32_t len = (uint32_t)text.len;
    buf_append(out, (Slice){(const char *)&len, sizeof len});
    buf_append(out, text);
}

// Lengths before the texts: no label can forge another series' key.
static Slice make_key(Buf *out, Slice metric, const Label *labels, size_t count)
{
    buf_reset(out);
    put_length_and_text(out, metric);
    for (size_t i = 0; i < count; i++) {
        put_length_and_text(out, labels[i].key);
        put_length_and_text(out, labels[i].value);
    }
    return buf_slice(out);
}

static RecorderSeries *add_series(Recorder *r, Slice key, const SeriesInfo *info)
{
    if (r->series_count == r->series_capacity) {
        r->series_capacity = r->series_capacity ? r->series_capacity * 2 : 64;
        r->series = mem_realloc(r->series, r->series_capacity * sizeof(RecorderSeries *));
    }
    RecorderSeries *s = ARENA_NEW(r->arena, RecorderSeries);
    s->recorder = r;
    s->info = *info;
    s->info.id = (uint32_t)r->series_count;
    s->info.metric = arena_copy(r->arena, info->metric);
    int rc = labels_copy(r->arena, info->labels.items, info->labels.count, &s->info.labels, NULL);
    assert(rc == 0); // sorted, unique and few: tidy() saw to it
    s->point.series = s->info.id;
    if (info->kind == METRIC_TREND) {
        s->active = new_hist();
        s->shelf = r->shared ? new_hist() : NULL;
        s->point.hist = s->active;
    }
    rc = map_put(&r->by_key, arena_copy(r->arena, key), s);
    assert(rc == 0);
    r->series[r->series_count++] = s;
    return s;
}

// Room for this series' texts; what is kept back is for the overflow series.
static bool has_room(const Recorder *r, size_t key_bytes)
{
    return r->series_count < r->series_max &&
           arena_left(r->arena) > 4 * key_bytes + LABELS_MAX * sizeof(Label) + (1 << 19);
}

RecorderSeries *recorder_custom(Recorder *r, Slice metric, MetricKind kind, MetricUnit unit,
                                const Label *labels, size_t count)
{
    Label sorted[LABELS_MAX];
    size_t n = tidy(labels, count, sorted);
    Slice key = make_key(&r->key, metric, sorted, n);
    RecorderSeries *s = map_get(&r->by_key, key);
    if (s) {
        return s;
    }
    SeriesInfo info = {.kind = kind, .unit = unit, .metric = metric, .labels = {sorted, n}};
    if (!r->key.overflowed && has_room(r, key.len)) {
        return add_series(r, key, &info);
    }
    r->overflows++;
    const Label overflow = {SLICE_INIT("overflow"), SLICE_INIT("true")};
    info.labels = (Labels){&overflow, 1};
    key = make_key(&r->key, metric, &overflow, 1);
    s = map_get(&r->by_key, key);
    return s ? s : add_series(r, key, &info);
}

RecorderSeries *recorder_series(Recorder *r, MetricId metric, const Label *labels, size_t count)
{
    const MetricInfo *m = metric_info(metric);
    return recorder_custom(r, m->name, m->kind, m->unit, labels, count);
}

size_t recorder_series_count(const Recorder *r)
{
    return r->series_count;
}

uint64_t recorder_overflows(const Recorder *r)
{
    return r->overflows;
}

void recorder_mark(RecorderSeries *s)
{
    Recorder *r = s->recorder;
    assert(r->shared || !r->taken);
    s->changed = true;
    s->next = NULL;
    *r->changed_last = s;
    r->changed_last = &s->next;
}

void recorder_gauge(RecorderSeries *s, double value)
{
    recorder_touch(s);
    Point *p = &s->point;
    p->min = p->count == 0 || value < p->min ? value : p->min;
    p->max = p->count == 0 || value > p->max ? value : p->max;
    p->last = value;
    p->count++;
}

static void push_item(Recorder *r, RecorderSeries *s)
{
    if (r->batch.count == r->item_capacity) {
        r->item_capacity = r->item_capacity ? r->item_capacity * 2 : 64;
        r->items = mem_realloc(r->items, r->item_capacity * sizeof *r->items);
        r->batch.items = r->items;
    }
    r->items[r->batch.count++] = (RecorderItem){&s->info, s->point};
    if (r->shared && s->active) {
        Hist *full = s->active;
        s->active = s->shelf;
        s->shelf = full;
    }
    s->point = (Point){.series = s->info.id, .hist = s->active};
    s->changed = false;
}

const RecorderBatch *recorder_take(Recorder *r)
{
    if (r->taken) {
        return NULL;
    }
    r->batch = (RecorderBatch){.items = r->items};
    for (RecorderSeries *s = r->changed_first; s; s = s->next) {
        push_item(r, s);
    }
    r->changed_first = NULL;
    r->changed_last = &r->changed_first;
    r->taken = true;
    return &r->batch;
}

void recorder_give_back(Recorder *r)
{
    assert(r->taken);
    for (size_t i = 0; i < r->batch.count; i++) {
        RecorderSeries *s = r->series[r->items[i].point.series];
        if (s->active) {
            hist_reset(r->shared ? s->shelf : s->active);
        }
    }
    r->taken = false;
}
