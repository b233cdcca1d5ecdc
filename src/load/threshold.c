#include "load/threshold.h"

#include <math.h>

#include "base/units.h"

// In k6's order: the first that occurs anywhere in the text is the operator.
static const struct {
    Slice text;
    ThresholdOp op;
} OPERATORS[] = {
    {SLICE_INIT("<="), TEST_LE}, {SLICE_INIT("<"), TEST_LT},   {SLICE_INIT(">="), TEST_GE},
    {SLICE_INIT(">"), TEST_GT},  {SLICE_INIT("==="), TEST_EQ}, {SLICE_INIT("=="), TEST_EQ},
    {SLICE_INIT("!="), TEST_NE},
};

static const struct {
    Slice name;
    ThresholdAgg agg;
} AGGREGATIONS[] = {
    {SLICE_INIT("count"), AGG_COUNT}, {SLICE_INIT("rate"), AGG_RATE},
    {SLICE_INIT("value"), AGG_VALUE}, {SLICE_INIT("avg"), AGG_AVG},
    {SLICE_INIT("min"), AGG_MIN},     {SLICE_INIT("max"), AGG_MAX},
    {SLICE_INIT("med"), AGG_MED},
};

static const char *allowed(MetricKind kind)
{
    switch (kind) {
    case METRIC_COUNTER: return "count and rate";
    case METRIC_GAUGE: return "value";
    case METRIC_RATE: return "rate";
    case METRIC_TREND: return "avg, min, max, med and p(N)";
    }
    return "nothing";
}

static bool is_allowed(MetricKind kind, ThresholdAgg agg)
{
    switch (agg) {
    case AGG_COUNT: return kind == METRIC_COUNTER;
    case AGG_RATE: return kind == METRIC_COUNTER || kind == METRIC_RATE;
    case AGG_VALUE: return kind == METRIC_GAUGE;
    case AGG_AVG:
    case AGG_MIN:
    case AGG_MAX:
    case AGG_MED:
    case AGG_P: return kind == METRIC_TREND;
    }
    return false;
}

static int parse_percentile(Slice text, Threshold *t, Err *e)
{
    Slice number = slice_trim(slice_sub(text, 2, text.len - 3));
    if (!slice_ends_with(text, SLICE(")")) || slice_to_f64(number, &t->percentile) != 0 ||
        t->percentile < 0 || t->percentile > 100) {
        return err_set(e, ERR_PARSE,
                       "\"%.*s\" is no percentile; write p(N) with N from 0 to 100, as p(99.9)",
                       SLICE_FMT(text));
    }
    t->agg = AGG_P;
    return 0;
}

static int parse_aggregation(Slice text, MetricKind kind, Threshold *t, Err *e)
{
    bool found = false;
    if (slice_starts_with(text, SLICE("p("))) {
        int rc = parse_percentile(text, t, e);
        if (rc != 0) {
            return rc;
        }
        found = true;
    }
    for (size_t i = 0; i < COUNT_OF(AGGREGATIONS) && !found; i++) {
        if (slice_eq(AGGREGATIONS[i].name, text)) {
            t->agg = AGGREGATIONS[i].agg;
            found = true;
        }
    }
    Slice name = metric_kind_name(kind);
    if (!found) {
        return err_set(e, ERR_PARSE, "\"%.*s\" is no aggregation; a %.*s has %s", SLICE_FMT(text),
                       SLICE_FMT(name), allowed(kind));
    }
    if (!is_allowed(kind, t->agg)) {
        return err_set(e, ERR_PARSE, "\"%.*s\" does not apply to a %.*s; it has %s",
                       SLICE_FMT(text), SLICE_FMT(name), allowed(kind));
    }
    return 0;
}

int threshold_parse(Slice text, MetricKind kind, Threshold *ret, Err *e)
{
    for (size_t i = 0; i < COUNT_OF(OPERATORS); i++) {
        ptrdiff_t at = slice_find(text, OPERATORS[i].text);
        if (at < 0) {
            continue;
        }
        Threshold t = {.source = text, .kind = kind, .op = OPERATORS[i].op};
        Slice left = slice_trim(slice_sub(text, 0, (size_t)at));
        Slice right = slice_trim(slice_sub(text, (size_t)at + OPERATORS[i].text.len, text.len));
        int rc = parse_aggregation(left, kind, &t, e);
        if (rc != 0) {
            return rc;
        }
        if (slice_to_f64(right, &t.limit) != 0) {
            return err_set(e, ERR_PARSE,
                           "\"%.*s\" is no number; times are in milliseconds without a unit",
                           SLICE_FMT(right));
        }
        *ret = t;
        return 0;
    }
    return err_set(e, ERR_PARSE,
                   "\"%.*s\" has no operator; write an aggregation, one of < <= > >= == !=, and a "
                   "number, as \"%s\"",
                   SLICE_FMT(text), kind == METRIC_TREND ? "p(95)<500" : "rate<0.01");
}

// ---- keys

static int unknown_metric(Slice name, Err *e)
{
    Slice names[METRIC_COUNT];
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        names[i] = metric_info((MetricId)i)->name;
    }
    Slice nearest = slice_nearest(name, names, METRIC_COUNT);
    if (nearest.len > 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no metric \"%.*s\"; did you mean \"%.*s\"?",
                       SLICE_FMT(name), SLICE_FMT(nearest));
    }
    return err_set(e, ERR_NOT_FOUND,
                   "there is no metric \"%.*s\"; http_req_duration, http_req_failed and checks are "
                   "the most used ones",
                   SLICE_FMT(name));
}

static Slice unquote(Slice s)
{
    s = slice_trim(s);
    while (s.len > 0 && (s.ptr[0] == '"' || s.ptr[0] == '\'')) {
        s = slice_sub(s, 1, s.len - 1);
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == '"' || s.ptr[s.len - 1] == '\'')) {
        s.len--;
    }
    return s;
}

static int parse_filter(Arena *arena, Slice text, Labels *ret, Err *e)
{
    Label labels[LABELS_MAX];
    size_t count = 0;
    Slice rest = text, item = {0};
    while (rest.len > 0) {
        (void)slice_cut(rest, ',', &item, &rest);
        if (slice_trim(item).len == 0) {
            continue;
        }
        if (count == LABELS_MAX) {
            return err_set(e, ERR_LIMIT, "more than %d tags", LABELS_MAX);
        }
        Label *label = &labels[count];
        if (!slice_cut(item, ':', &label->key, &label->value) || unquote(label->key).len == 0) {
            return err_set(e, ERR_PARSE, "\"%.*s\" is no tag; write {tag:value,other:value}",
                           SLICE_FMT(item));
        }
        label->key = unquote(label->key);
        label->value = unquote(label->value);
        count++;
    }
    if (count == 0) {
        return err_set(e, ERR_PARSE, "no tag between the braces; write {tag:value}");
    }
    return labels_copy(arena, labels, count, ret, e);
}

int threshold_key_parse(Arena *arena, Slice key, MetricId *ret_metric, Labels *ret_filter, Err *e)
{
    Slice name = key, tags = {0};
    bool has_tags = slice_cut(key, '{', &name, &tags);
    name = slice_trim(name);
    tags = slice_trim(tags);
    if (has_tags != slice_ends_with(has_tags ? tags : name, SLICE("}"))) {
        return err_set(e, ERR_PARSE, "\"%.*s\" lacks a brace; write metric{tag:value}",
                       SLICE_FMT(key));
    }
    MetricId metric;
    Labels filter = {0};
    if (!metric_by_name(name, &metric)) {
        return unknown_metric(name, e);
    }
    if (has_tags) {
        int rc = parse_filter(arena, slice_sub(tags, 0, tags.len - 1), &filter, e);
        if (rc != 0) {
            return rc;
        }
    }
    *ret_metric = metric;
    *ret_filter = filter;
    return 0;
}

// ---- evaluation

static bool compare(double value, ThresholdOp op, double limit)
{
    switch (op) {
    case TEST_LE: return value <= limit;
    case TEST_LT: return value < limit;
    case TEST_GE: return value >= limit;
    case TEST_GT: return value > limit;
    case TEST_EQ: return value == limit;
    case TEST_NE: return value != limit;
    }
    return false;
}

static double trend_value(const Threshold *t, const Hist *h)
{
    switch (t->agg) {
    case AGG_AVG: return hist_mean(h);
    case AGG_MIN: return (double)h->min;
    case AGG_MAX: return (double)h->max;
    case AGG_MED: return hist_quantile(h, 0.5);
    case AGG_P: return hist_quantile(h, t->percentile / 100);
    case AGG_COUNT:
    case AGG_RATE:
    case AGG_VALUE: break;
    }
    return NAN;
}

// The value in our own units; NAN while there is none.
static double current_value(const Threshold *t, const Point *total, int64_t test_ns)
{
    if (total->hist) {
        return total->hist->count > 0 ? trend_value(t, total->hist) : NAN;
    }
    switch (t->agg) {
    case AGG_COUNT: return (double)total->count;
    case AGG_VALUE: return total->last;
    case AGG_RATE: break;
    case AGG_AVG:
    case AGG_MIN:
    case AGG_MAX:
    case AGG_MED:
    case AGG_P: return NAN; // a trend without a histogram: nothing recorded
    }
    return test_ns > 0 ? (double)total->count * (double)NS_PER_SECOND / (double)test_ns : NAN;
}

bool threshold_eval(const Threshold *t, MetricUnit unit, const Point *total, int64_t test_ns,
                    double *ret_value, bool *ret_ok)
{
    double value = NAN;
    if (total && t->kind == METRIC_RATE) {
        value = total->count > 0 ? (double)total->trues / (double)total->count : NAN;
    } else if (total) {
        value = current_value(t, total, test_ns);
    }
    if (isnan(value)) {
        *ret_ok = true;
        return false;
    }
    *ret_value = unit == METRIC_UNIT_TIME ? value / (double)NS_PER_MS : value;
    *ret_ok = compare(*ret_value, t->op, t->limit);
    return true;
}
