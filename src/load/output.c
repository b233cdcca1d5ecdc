#include "load/output.h"

#include "base/units.h"

typedef int OpenFn(Slice argument, const OutputOptions *options, Output **ret_output, Err *e);

static const struct {
    Slice name;
    OpenFn *open;
} KINDS[] = {
    {SLICE_INIT("json"), output_json_open},
    {SLICE_INIT("csv"), output_csv_open},
    {SLICE_INIT("prometheus"), output_prometheus_open},
    {SLICE_INIT("experimental-prometheus-rw"), output_prometheus_open},
};

int output_open(Slice spec, const OutputOptions *options, Output **ret_output, Err *e)
{
    Slice name, argument;
    Slice names[COUNT_OF(KINDS)];
    (void)slice_cut(spec, '=', &name, &argument);
    for (size_t i = 0; i < COUNT_OF(KINDS); i++) {
        names[i] = KINDS[i].name;
        if (slice_eq(name, KINDS[i].name)) {
            return KINDS[i].open(argument, options, ret_output, e);
        }
    }
    Slice nearest = slice_nearest(name, names, COUNT_OF(names));
    return err_set(e, ERR_ARG, "output '%.*s': there are json, csv and prometheus%s%.*s%s",
                   SLICE_FMT(name), nearest.len > 0 ? "; did you mean '" : "", SLICE_FMT(nearest),
                   nearest.len > 0 ? "'?" : "");
}

void output_start(Output *output, const OutputRun *run)
{
    output->ops->start(output, run);
}

void output_interval(Output *output, const OutputInterval *interval)
{
    output->ops->interval(output, interval);
}

int output_stop(Output *output, OutputReport *ret_report, Err *e)
{
    *ret_report = (OutputReport){0};
    return output->ops->stop(output, ret_report, e);
}

static size_t trend_stats(const SeriesInfo *series, const Point *point, OutputStat *stats)
{
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"med", 0.5}, {"p(90)", 0.9}, {"p(95)", 0.95}, {"p(99)", 0.99}};
    const Hist *h = point->hist;
    if (!h || hist_count_all(h) == 0) {
        return 0;
    }
    double scale = series->unit == METRIC_UNIT_TIME ? 1.0 / (double)NS_PER_MS : 1;
    size_t n = 0;
    stats[n++] = (OutputStat){"count", (double)hist_count_all(h)};
    if (h->count == 0) {
        return n; // all of them failed without an end: there is no time to tell
    }
    stats[n++] = (OutputStat){"avg", hist_mean(h) * scale};
    stats[n++] = (OutputStat){"min", (double)h->min * scale};
    stats[n++] = (OutputStat){"max", (double)h->max * scale};
    for (size_t i = 0; i < COUNT_OF(quantiles); i++) {
        stats[n++] = (OutputStat){quantiles[i].name, hist_quantile(h, quantiles[i].q) * scale};
    }
    return n;
}

size_t output_stats(const SeriesInfo *series, const Point *point,
                    OutputStat ret_stats[OUTPUT_STATS_MAX])
{
    switch (series->kind) {
    case METRIC_COUNTER:
        ret_stats[0] = (OutputStat){"count", (double)point->count};
        return point->count != 0;
    case METRIC_GAUGE: ret_stats[0] = (OutputStat){"value", point->last}; return 1;
    case METRIC_RATE:
        if (point->count <= 0) {
            return 0;
        }
        ret_stats[0] = (OutputStat){"rate", (double)point->trues / (double)point->count};
        ret_stats[1] = (OutputStat){"count", (double)point->count};
        return 2;
    case METRIC_TREND: return trend_stats(series, point, ret_stats);
    }
    return 0;
}
