#include "judge/slo_parts.h"

#include <math.h>

#include "stat/quantile.h"

#define NS_PER_MS_F 1e6

double slo_alpha(const SloOptions *o)
{
    return o && o->alpha > 0 ? o->alpha : 0.05;
}

double slo_unit_scale(MetricUnit unit)
{
    return unit == METRIC_UNIT_TIME ? NS_PER_MS_F : 1;
}

Slice slo_unit_text(MetricUnit unit)
{
    switch (unit) {
    case METRIC_UNIT_TIME: return SLICE("ms");
    case METRIC_UNIT_BYTES: return SLICE("bytes");
    case METRIC_UNIT_NONE: break;
    }
    return SLICE("");
}

int64_t slo_limit_value(double limit, MetricUnit unit, bool below)
{
    double scaled = limit * slo_unit_scale(unit);
    scaled = below ? ceil(scaled) - 1 : floor(scaled);
    return scaled >= 9e18 ? INT64_MAX : scaled <= -9e18 ? INT64_MIN : (int64_t)scaled;
}

void slo_set_observed(const Selection *s, double q, uint64_t more_infinite, SloVerdict *v)
{
    Hist h;
    hist_init(&h);
    selection_hist(s, &h);
    hist_record_infinite(&h, more_infinite);
    double scale = slo_unit_scale(s->unit);
    if (hist_count_all(&h) > 0 && q > 0 && q < 1) {
        QuantileAsk ask = {.q = q,
                           .confidence = v->interval.confidence,
                           .n_effective = v->n_effective,
                           .with_infinite = true};
        Interval i = quantile_hist_interval(&h, &ask);
        v->observed = hist_quantile_all(&h, q) / scale;
        v->observed_interval = (Interval){i.low / scale, i.high / scale, i.confidence};
    }
    v->unit = slo_unit_text(s->unit);
    hist_done(&h);
}

Slice slo_labels_words(Arena *arena, Labels labels)
{
    if (labels.count == 0) {
        return SLICE("");
    }
    Slice text = SLICE("{");
    for (size_t i = 0; i < labels.count; i++) {
        text = arena_printf(arena, "%.*s%s%.*s:%.*s", SLICE_FMT(text), i ? "," : "",
                            SLICE_FMT(labels.items[i].key), SLICE_FMT(labels.items[i].value));
    }
    return arena_printf(arena, "%.*s}", SLICE_FMT(text));
}

static Slice needed_words(Arena *arena, const SloVerdict *v)
{
    if (v->needed.requests > 0) {
        return arena_printf(arena,
                            "; about %llu in all (%.3g minutes of this load) would settle it",
                            (unsigned long long)v->needed.requests, v->needed.minutes);
    }
    if (v->needed.minutes > 0) {
        return arena_printf(arena, "; about %.3g minutes of this load would settle it",
                            v->needed.minutes);
    }
    return SLICE("; too close to the limit to be settled by testing");
}

Slice slo_share_reason(Arena *arena, const SloVerdict *v, const char *what, bool at_most)
{
    if (v->n == 0) {
        return SLICE("nothing was observed");
    }
    double confidence = 100 * (1 - (1 - v->interval.confidence) / 2);
    Slice seen = arena_printf(arena, "%.3g %% of %llu %s, %.3g %% %s", v->estimate * 100,
                              (unsigned long long)v->n, what, v->limit * 100,
                              at_most ? "allowed" : "wanted");
    if (v->value == SLO_NOT_PROVEN) {
        return arena_printf(arena, "%.*s; between %.3g and %.3g %%%.*s", SLICE_FMT(seen),
                            v->interval.low * 100, v->interval.high * 100,
                            SLICE_FMT(needed_words(arena, v)));
    }
    bool show_high = (v->value == SLO_MET) == at_most;
    return arena_printf(arena, "%.*s; at %s %.3g %% with %.3g %% confidence", SLICE_FMT(seen),
                        show_high ? "most" : "least",
                        100 * (show_high ? v->interval.high : v->interval.low), confidence);
}

SloVerdict slo_verdict_empty(void)
{
    double nan = (double)NAN;
    Interval none = {-(double)INFINITY, (double)INFINITY, 0};
    return (SloVerdict){.target = nan,
                        .threshold = nan,
                        .value = SLO_NOT_PROVEN,
                        .estimate = nan,
                        .interval = none,
                        .limit = nan,
                        .p_breached = nan,
                        .p_met = nan,
                        .observed = nan,
                        .observed_interval = none,
                        .n_effective = nan,
                        .budget = {nan, nan, nan, nan, {false}}};
}
