#include "load/watch.h"

typedef struct Watched {
    uint32_t *series; // that match; ids of the collector
    size_t count;
    size_t capacity;
} Watched;

struct Watch {
    const Plan *plan;
    Watched *watched;         // by threshold
    EngineThreshold *results; // by threshold
    size_t seen;              // series of the collector looked at so far
    Hist scratch;
};

Watch *watch_create(const Plan *plan)
{
    Watch *w = mem_zalloc(sizeof *w);
    w->plan = plan;
    w->watched = mem_zalloc((plan->threshold_count + 1) * sizeof *w->watched);
    w->results = mem_zalloc((plan->threshold_count + 1) * sizeof *w->results);
    for (size_t i = 0; i < plan->threshold_count; i++) {
        w->results[i] = (EngineThreshold){.threshold = &plan->thresholds[i], .ok = true};
    }
    hist_init(&w->scratch);
    return w;
}

void watch_destroy(Watch *w)
{
    if (!w) {
        return;
    }
    for (size_t i = 0; i < w->plan->threshold_count; i++) {
        free(w->watched[i].series);
    }
    hist_done(&w->scratch);
    free(w->watched);
    free(w->results);
    free(w);
}

static void add(Watched *watched, uint32_t id)
{
    if (watched->count == watched->capacity) {
        watched->capacity = watched->capacity ? watched->capacity * 2 : 8;
        watched->series =
            mem_realloc(watched->series, watched->capacity * sizeof watched->series[0]);
    }
    watched->series[watched->count++] = id;
}

// Series only ever get more, so each is held against each threshold once.
static void look_at_new_series(Watch *w, const Collector *c)
{
    size_t count = collector_series_count(c);
    for (; w->seen < count; w->seen++) {
        const SeriesInfo *info = collector_series(c, w->seen);
        for (size_t i = 0; i < w->plan->threshold_count; i++) {
            const PlanThreshold *t = &w->plan->thresholds[i];
            if (slice_eq(metric_info(t->metric)->name, info->metric) &&
                labels_match(info->labels, t->filter)) {
                add(&w->watched[i], info->id);
            }
        }
    }
}

static void eval(Watch *w, size_t i, const Collector *c, int64_t test_ns)
{
    const PlanThreshold *t = &w->plan->thresholds[i];
    const MetricInfo *metric = metric_info(t->metric);
    Point total = {.hist = metric->kind == METRIC_TREND ? &w->scratch : NULL};
    hist_reset(&w->scratch);
    for (size_t k = 0; k < w->watched[i].count; k++) {
        point_merge(&total, &w->scratch, collector_total(c, w->watched[i].series[k]), metric->kind);
    }
    EngineThreshold *r = &w->results[i];
    r->has_data = threshold_eval(&t->test, metric->unit, &total, test_ns, &r->value, &r->ok);
}

const EngineThreshold *watch_eval(Watch *w, const Collector *c, int64_t test_ns)
{
    look_at_new_series(w, c);
    EngineThreshold *abort = NULL;
    for (size_t i = 0; i < w->plan->threshold_count; i++) {
        eval(w, i, c, test_ns);
        EngineThreshold *r = &w->results[i];
        if (!abort && !r->ok && r->threshold->abort_on_fail &&
            test_ns >= r->threshold->delay_abort_eval_ns) {
            r->aborted = true;
            abort = r;
        }
    }
    return abort;
}

const EngineThreshold *watch_results(const Watch *w, size_t *ret_count)
{
    *ret_count = w->plan->threshold_count;
    return w->results;
}
