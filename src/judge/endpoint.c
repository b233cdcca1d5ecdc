#include "judge/endpoint.h"

#include <math.h>

#include "base/map.h"
#include "judge/selection.h"
#include "judge/share.h"
#include "stat/blocks.h"

static const struct {
    ChangeMeasure measure;
    double q;
} QUANTILES[] = {{MEASURE_P50, 0.5}, {MEASURE_P95, 0.95}, {MEASURE_P99, 0.99}};

static Labels endpoint_filter(const Slice *endpoint, Label *item)
{
    *item = (Label){SLICE("name"), *endpoint};
    return (Labels){item, endpoint->len ? 1 : 0};
}

static void measure_times(const Selection *s, EndpointRun *r)
{
    Hist h;
    hist_init(&h);
    selection_hist(s, &h);
    r->requests = (double)h.count;
    for (size_t i = 0; i < COUNT_OF(QUANTILES); i++) {
        r->value[QUANTILES[i].measure] = hist_quantile(&h, QUANTILES[i].q) / 1e6;
    }
    r->value[MEASURE_MEAN] = hist_mean(&h) / 1e6;
    hist_done(&h);
    double seconds = (double)s->intervals * s->interval_s;
    r->value[MEASURE_THROUGHPUT] = seconds > 0 ? r->requests / seconds : (double)NAN;
}

static void measure_scatter(Arena *arena, const Selection *s, const EndpointAsk *ask,
                            EndpointRun *r)
{
    BlockAsk blocks = {.n_q = COUNT_OF(QUANTILES)};
    BlockQuantile quantiles[COUNT_OF(QUANTILES)];
    for (size_t i = 0; i < COUNT_OF(QUANTILES); i++) {
        blocks.q[i] = QUANTILES[i].q;
    }
    SelectionHists hists = selection_hists(arena, s);
    Rng rng = rng_stream(ask->seed, SLICE("compare-blocks"), slice_hash(ask->endpoint));
    if (block_quantiles(hists.seconds, hists.count, &blocks, &rng, quantiles, NULL) == 0) {
        for (size_t i = 0; i < COUNT_OF(QUANTILES); i++) {
            r->error_log[QUANTILES[i].measure] = quantiles[i].standard_error_log;
            // Interpolated within the bucket: two runs half a bucket apart are not the same.
            r->value[QUANTILES[i].measure] = quantiles[i].estimate / 1e6;
        }
        r->df = quantiles[0].df;
    }
    selection_hists_done(&hists);
    double *n;
    double *sum;
    double df;
    selection_sums(arena, s, &n, &sum);
    double mean_ns = r->value[MEASURE_MEAN] * 1e6;
    r->error_log[MEASURE_MEAN] = mean_error(n, sum, s->intervals, &df) / mean_ns;
}

EndpointRun endpoint_measure(Arena *arena, const RunData *run, const EndpointAsk *ask)
{
    EndpointRun r = {.df = 0};
    for (size_t i = 0; i < MEASURE_COUNT; i++) {
        r.value[i] = r.error_log[i] = (double)NAN;
    }
    Label item;
    SelectionAsk times = {.metric = SLICE("http_req_duration"),
                          .filter = endpoint_filter(&ask->endpoint, &item),
                          .corrected = true,
                          .warmup_ns = ask->warmup_ns};
    Selection all = selection_make(arena, run, &times);
    // A request that failed fast must not make its endpoint look faster; the error rate has it.
    Selection s = selection_answered(arena, &all, true);
    r.corrected = s.corrected > 0;
    measure_times(&s, &r);
    if (ask->with_errors && r.requests > 0) {
        measure_scatter(arena, &s, ask, &r);
    }
    SelectionAsk failures = times;
    failures.metric = SLICE("http_req_failed");
    Selection f = selection_make(arena, run, &failures);
    EffectiveRate rate = effective_rate(selection_trues(arena, &f), f.intervals, 1);
    r.value[MEASURE_ERROR_RATE] = rate.rate;
    r.errors = effective_rate_interval(&rate, 0.95);
    return r;
}

size_t endpoint_list(Arena *arena, const RunData *const *runs, size_t count, Slice **ret_names)
{
    Slice *names = ARENA_ARRAY(arena, Slice, ENDPOINTS_MAX + 1);
    Map seen = map_create(ENDPOINTS_MAX, 0);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < runs[i]->series_count; k++) {
            const SeriesInfo *info = &runs[i]->series[k].info;
            Slice name = labels_get(info->labels, SLICE("name"));
            if (name.len == 0 || !slice_eq(info->metric, SLICE("http_req_duration")) ||
                map_get(&seen, name) != NULL) {
                continue;
            }
            Slice *at = &names[map_count(&seen) < ENDPOINTS_MAX ? map_count(&seen) : 0];
            if (map_put(&seen, name, at) == 0) {
                *at = name;
            }
        }
    }
    size_t n = map_count(&seen);
    map_done(&seen);
    *ret_names = names;
    return n;
}

bool endpoint_exists(const RunData *run, Slice endpoint)
{
    for (size_t k = 0; k < run->series_count; k++) {
        const SeriesInfo *info = &run->series[k].info;
        if (slice_eq(info->metric, SLICE("http_req_duration")) &&
            slice_eq(labels_get(info->labels, SLICE("name")), endpoint)) {
            return true;
        }
    }
    return false;
}
