// k6's thresholds, judged with the same statistics as objectives, and the list of everything a run
// is held to.
#include <math.h>

#include "judge/expression.h"
#include "judge/slo_parts.h"

typedef struct Ask {
    Arena *arena;
    const Selection *s;
    const Expression *x;
    double alpha;
} Ask;

static bool is_upper(ExpressionOp op)
{
    return op == EXPR_LE || op == EXPR_LT;
}

// p(95) < T says that at most 5 % are at or above T; p(95) > T that more than 5 % are above it.
static void judge_quantile(const Ask *a, SloVerdict *v)
{
    bool upper = is_upper(a->x->op);
    bool equal_is_above = a->x->op == EXPR_LT || a->x->op == EXPR_GE;
    int64_t at = slo_limit_value(a->x->limit, a->s->unit, equal_is_above);
    ShareAsk ask = {.counts = selection_above(a->arena, a->s, at),
                    .count = a->s->intervals,
                    .interval_s = a->s->interval_s,
                    .limit = 1 - a->x->quantile,
                    .at_most = upper,
                    .alpha = a->alpha};
    v->target = upper ? a->x->quantile : (double)NAN;
    share_judge(a->arena, &ask, v);
    slo_set_observed(a->s, a->x->quantile, 0, v);
    v->reason =
        slo_share_reason(a->arena, v, upper ? "were too large" : "were large enough", upper);
}

static void judge_rate(const Ask *a, SloVerdict *v)
{
    ShareAsk ask = {.counts = selection_trues(a->arena, a->s),
                    .count = a->s->intervals,
                    .interval_s = a->s->interval_s,
                    .limit = a->x->limit,
                    .at_most = is_upper(a->x->op),
                    .alpha = a->alpha};
    share_judge(a->arena, &ask, v);
    v->reason = slo_share_reason(a->arena, v, "were true", ask.at_most);
}

static Slice mean_reason(Arena *arena, const SloVerdict *v)
{
    return arena_printf(arena, "%.6g %.*s, between %.6g and %.6g with %.3g %% confidence; limit %g",
                        v->estimate, SLICE_FMT(v->unit), v->interval.low, v->interval.high,
                        v->interval.confidence * 100, v->limit);
}

// A number that is what it is: nothing was sampled, so there is no interval.
static void judge_plain(const Ask *a, double value, SloVerdict *v)
{
    v->estimate = value;
    v->limit = a->x->limit;
    v->method = SLICE("as counted");
    if (isnan(value)) {
        v->reason = SLICE("nothing was observed");
        return;
    }
    v->value = expression_holds(a->x->op, value, a->x->limit) ? SLO_MET : SLO_BREACHED;
    v->reason = arena_printf(a->arena, "%.6g, limit %g", value, a->x->limit);
}

static void judge_mean(const Ask *a, const double *n, const double *sum, double plain,
                       SloVerdict *v)
{
    MeanAsk ask = {.n = n,
                   .sum = sum,
                   .count = a->s->intervals,
                   .interval_s = a->s->interval_s,
                   .limit = a->x->limit,
                   .at_most = is_upper(a->x->op),
                   .alpha = a->alpha};
    if (!mean_judge(a->arena, &ask, v)) {
        judge_plain(a, plain, v); // every block alike, or too short for two of them
        return;
    }
    v->reason = mean_reason(a->arena, v);
}

static void judge_average(const Ask *a, SloVerdict *v)
{
    double *n;
    double *sum;
    selection_sums(a->arena, a->s, &n, &sum);
    double total_n = 0;
    double total = 0;
    for (size_t i = 0; i < a->s->intervals; i++) {
        sum[i] /= slo_unit_scale(a->s->unit);
        total_n += n[i];
        total += sum[i];
    }
    v->n = (uint64_t)total_n;
    judge_mean(a, n, sum, total / total_n, v);
}

// A counter's rate, per second.
static void judge_pace(const Ask *a, SloVerdict *v)
{
    BlockCount *counts = selection_trues(a->arena, a->s);
    double *n = ARENA_ARRAY(a->arena, double, a->s->intervals + 1);
    double *sum = ARENA_ARRAY(a->arena, double, a->s->intervals + 1);
    double total = 0;
    for (size_t i = 0; i < a->s->intervals; i++) {
        n[i] = a->s->interval_s;
        sum[i] = (double)counts[i].n;
        total += sum[i];
    }
    v->n = (uint64_t)total;
    v->unit = SLICE("/s");
    judge_mean(a, n, sum, total / ((double)a->s->intervals * a->s->interval_s), v);
}

static double extreme(const Ask *a, double q)
{
    Hist h;
    hist_init(&h);
    selection_hist(a->s, &h);
    double value = hist_quantile(&h, q) / slo_unit_scale(a->s->unit);
    hist_done(&h);
    return value;
}

static double plain_value(const Ask *a, const Point *total)
{
    if (a->s->kind == METRIC_TREND) {
        return extreme(a, a->x->stat == EXPR_MIN ? 0 : a->x->stat == EXPR_MAX ? 1 : a->x->quantile);
    }
    if (a->s->kind == METRIC_GAUGE) {
        return a->x->stat == EXPR_MIN   ? total->min
               : a->x->stat == EXPR_MAX ? total->max
                                        : total->last;
    }
    return (double)total->count;
}

static void judge_expression(const Ask *a, SloVerdict *v)
{
    bool ordered = a->x->op != EXPR_EQ && a->x->op != EXPR_NE;
    MetricKind kind = a->s->kind;
    Point total = selection_total(a->s);
    v->n = (uint64_t)(total.count > 0 ? total.count : 0);
    if (kind == METRIC_TREND && a->x->stat == EXPR_AVG) {
        judge_average(a, v);
    } else if (kind == METRIC_TREND && a->x->stat == EXPR_QUANTILE && ordered &&
               a->x->quantile > 0 && a->x->quantile < 1) {
        judge_quantile(a, v);
    } else if (kind == METRIC_RATE && ordered) {
        judge_rate(a, v);
    } else if (kind == METRIC_COUNTER && a->x->stat == EXPR_RATE && ordered) {
        judge_pace(a, v);
    } else if (kind == METRIC_RATE) {
        judge_plain(a, (double)total.trues / (double)total.count, v);
    } else {
        judge_plain(a, plain_value(a, &total), v);
    }
}

SloVerdict slo_eval_threshold(Arena *arena, const RunData *run, Slice metric, Labels filter,
                              Slice expression, const SloOptions *options)
{
    SloVerdict v = slo_verdict_empty();
    v.name = arena_printf(arena, "%.*s%.*s %.*s", SLICE_FMT(metric),
                          SLICE_FMT(slo_labels_words(arena, filter)), SLICE_FMT(expression));
    v.indicator = v.name;
    v.endpoint = labels_get(filter, SLICE("name"));
    v.metric = metric;
    v.origin = SLICE("plan thresholds");
    Err e;
    Expression x;
    if (expression_parse(expression, &x, &e) != 0) {
        v.reason = arena_copy(arena, slice_from_cstr(e.text));
        return v;
    }
    // What k6 would have looked at: the metric as named, without correction.
    SelectionAsk ask = {
        .metric = metric, .filter = filter, .warmup_ns = options ? options->warmup_ns : 0};
    Selection s = selection_make(arena, run, &ask);
    if (s.count == 0) {
        v.reason = arena_printf(arena, "the run has no series %.*s%.*s", SLICE_FMT(metric),
                                SLICE_FMT(slo_labels_words(arena, filter)));
        return v;
    }
    v.threshold = s.kind == METRIC_RATE ? (double)NAN : x.limit;
    v.unit = slo_unit_text(s.unit);
    judge_expression(&(Ask){arena, &s, &x, slo_alpha(options)}, &v);
    return v;
}

static Labels labels_of(Arena *arena, const Doc *labels)
{
    Label items[LABELS_MAX];
    size_t n = 0;
    for (const Doc *m = doc_first(labels); m && n < LABELS_MAX; m = doc_next(m)) {
        items[n++] = (Label){m->key, m->text};
    }
    Labels result = {0};
    // Members of an object are unique and there are no more than LABELS_MAX: nothing can go wrong.
    return labels_copy(arena, items, n, &result, NULL) == 0 ? result : (Labels){0};
}

static Slice text_of(const Doc *object, Slice key)
{
    const Doc *d = doc_get(object, key);
    return d && d->type == DOC_STRING ? d->text : (Slice){0};
}

static SloVerdicts defaults(Arena *arena, const RunData *run, const SloOptions *o)
{
    double availability = o && o->default_availability > 0 ? o->default_availability : 0.99;
    double p95_ms = o && o->default_p95_ms > 0 ? o->default_p95_ms : 500;
    Slo slos[] = {
        {.name = SLICE("availability"),
         .metric = SLICE("http_req_failed"),
         .true_is_bad = true,
         .target = availability},
        {.name = SLICE("latency p95"),
         .metric = SLICE("http_req_duration"),
         .threshold = p95_ms,
         .failures_are_bad = true,
         .target = 0.95},
    };
    SloVerdicts r = {ARENA_ARRAY(arena, SloVerdict, COUNT_OF(slos)), COUNT_OF(slos)};
    for (size_t i = 0; i < COUNT_OF(slos); i++) {
        slos[i].origin = SLICE("platform default");
        slos[i].advisory = true;
        r.items[i] = slo_eval(arena, run, &slos[i], o);
    }
    return r;
}

SloVerdicts slo_eval_all(Arena *arena, const RunData *run, const Slo *slos, size_t count,
                         const SloOptions *options, bool *ret_defaulted)
{
    size_t thresholds =
        run->thresholds && run->thresholds->type == DOC_ARRAY ? doc_count(run->thresholds) : 0;
    *ret_defaulted = count + thresholds == 0 && !(options && options->no_defaults);
    if (*ret_defaulted) {
        return defaults(arena, run, options);
    }
    SloVerdicts r = {ARENA_ARRAY(arena, SloVerdict, count + thresholds + 1), 0};
    for (size_t i = 0; i < count; i++) {
        r.items[r.count++] = slo_eval(arena, run, &slos[i], options);
    }
    for (size_t i = 0; i < thresholds; i++) {
        const Doc *t = doc_at(run->thresholds, i);
        r.items[r.count++] = slo_eval_threshold(arena, run, text_of(t, SLICE("metric")),
                                                labels_of(arena, doc_get(t, SLICE("labels"))),
                                                text_of(t, SLICE("expression")), options);
    }
    return r;
}
