#include "telemetry/live.h"

#include "base/json_write.h"
#include "telemetry/exposition.h"
#include "telemetry/live_graph.h"

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
    LiveSeen *s = &live->seen[id];
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
