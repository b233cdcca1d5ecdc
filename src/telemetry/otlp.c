#include "telemetry/otlp.h"

#include <math.h>

#include "base/gzip.h"
#include "base/json_write.h"
#include "telemetry/exposition.h"

// Bodies as the JSON mapping of opentelemetry-proto has them: lowerCamelCase, ids in hexadecimal,
// enums as numbers, 64-bit integers as strings (docs/specification.md, "JSON Protobuf Encoding").

enum { TEMPORALITY_CUMULATIVE = 2 };

// ---- common

static void put_int(JsonWriter *w, const char *key, int64_t value)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%lld", (long long)value);
    json_field_string(w, key, (Slice){text, (size_t)len});
}

static void attribute_begin(JsonWriter *w, Slice key)
{
    json_object_begin(w);
    json_key(w, SLICE("key"));
    json_string(w, key);
    json_key(w, SLICE("value"));
    json_object_begin(w);
}

static void attribute_end(JsonWriter *w)
{
    json_object_end(w);
    json_object_end(w);
}

static void put_attribute(JsonWriter *w, Slice key, Slice value)
{
    if (value.len > 0) {
        attribute_begin(w, key);
        json_field_string(w, "stringValue", value);
        attribute_end(w);
    }
}

static void begin_array(JsonWriter *w, const char *key)
{
    json_key(w, slice_from_cstr(key));
    json_array_begin(w);
}

static void begin_object(JsonWriter *w, const char *key)
{
    json_key(w, slice_from_cstr(key));
    json_object_begin(w);
}

// {"resourceX":[{"resource":{..},"scopeX":[{"scope":{..}, and what the caller puts behind it.
static void begin_body(JsonWriter *w, const OtlpResource *r, const char *resources,
                       const char *scopes)
{
    json_object_begin(w);
    begin_array(w, resources);
    json_object_begin(w);
    begin_object(w, "resource");
    begin_array(w, "attributes");
    put_attribute(w, SLICE("service.name"), r->service);
    put_attribute(w, SLICE("service.version"), r->version);
    put_attribute(w, SLICE("service.instance.id"), r->instance);
    put_attribute(w, SLICE("telemetry.sdk.language"), SLICE("c"));
    put_attribute(w, SLICE("telemetry.sdk.name"), SLICE("perfwright"));
    json_array_end(w);
    json_object_end(w);
    begin_array(w, scopes);
    json_object_begin(w);
    begin_object(w, "scope");
    json_field_cstr(w, "name", "perfwright");
    json_object_end(w);
}

static void end_body(JsonWriter *w)
{
    json_object_end(w);
    json_array_end(w);
    json_object_end(w);
    json_array_end(w);
    json_object_end(w);
}

// ---- traces

static void put_id(JsonWriter *w, const char *key, const uint64_t *words, size_t count)
{
    char text[TRACE_ID_DIGITS + 1];
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(text + 16 * i, sizeof text - 16 * i, "%016llx",
                       (unsigned long long)words[i]);
    }
    json_field_string(w, key, (Slice){text, 16 * count});
}

static void put_span_attributes(JsonWriter *w, const Span *s)
{
    begin_array(w, "attributes");
    for (size_t i = 0; i < s->attribute_count; i++) {
        const SpanAttribute *a = &s->attributes[i];
        attribute_begin(w, span_attribute_key(s, a));
        switch (a->type) {
        case SPAN_VALUE_TEXT: json_field_string(w, "stringValue", span_attribute_text(s, a)); break;
        case SPAN_VALUE_INT: put_int(w, "intValue", a->integer); break;
        case SPAN_VALUE_DOUBLE: json_field_double(w, "doubleValue", a->real); break;
        case SPAN_VALUE_BOOL: json_field_bool(w, "boolValue", a->boolean); break;
        }
        attribute_end(w);
    }
    json_array_end(w);
    if (s->dropped_attributes > 0) {
        json_field_int(w, "droppedAttributesCount", s->dropped_attributes);
    }
}

static void put_span(JsonWriter *w, const Span *s)
{
    json_object_begin(w);
    put_id(w, "traceId", s->context.trace_id, 2);
    put_id(w, "spanId", &s->context.span_id, 1);
    if (s->context.parent_id != 0) {
        put_id(w, "parentSpanId", &s->context.parent_id, 1);
    }
    json_field_string(w, "name", (Slice){s->name, s->name_len});
    json_field_int(w, "kind", s->kind);
    put_int(w, "startTimeUnixNano", s->begin_ns);
    put_int(w, "endTimeUnixNano", s->end_ns);
    put_span_attributes(w, s);
    begin_object(w, "status");
    json_field_int(w, "code", s->status);
    json_object_end(w);
    json_object_end(w);
}

void otlp_traces(Buf *out, const OtlpResource *resource, const Span *spans, size_t count)
{
    JsonWriter w = json_writer(out, 0);
    begin_body(&w, resource, "resourceSpans", "scopeSpans");
    begin_array(&w, "spans");
    for (size_t i = 0; i < count; i++) {
        put_span(&w, &spans[i]);
    }
    json_array_end(&w);
    end_body(&w);
}

// ---- metrics

typedef struct Times {
    int64_t start_wall_ns, wall_ns;
} Times;

static void begin_point(JsonWriter *w, const SeriesInfo *s, Times t)
{
    json_object_begin(w);
    begin_array(w, "attributes");
    for (size_t i = 0; i < s->labels.count; i++) {
        put_attribute(w, s->labels.items[i].key, s->labels.items[i].value);
    }
    json_array_end(w);
    put_int(w, "startTimeUnixNano", t.start_wall_ns);
    put_int(w, "timeUnixNano", t.wall_ns);
}

static void put_number(JsonWriter *w, const SeriesInfo *s, const Point *p)
{
    if (s->kind == METRIC_COUNTER && s->unit != METRIC_UNIT_TIME) {
        put_int(w, "asInt", p->count);
    } else if (s->kind == METRIC_COUNTER) {
        json_field_double(w, "asDouble", exposition_value(s->unit, (double)p->count));
    } else if (s->kind == METRIC_RATE) {
        json_field_double(w, "asDouble", p->count ? (double)p->trues / (double)p->count : 0);
    } else {
        json_field_double(w, "asDouble", exposition_value(s->unit, p->last));
    }
}

static void put_extremes(JsonWriter *w, MetricUnit unit, const Hist *h)
{
    json_field_double(w, "sum", exposition_value(unit, (double)h->sum));
    if (h->count > 0) {
        json_field_double(w, "min", exposition_value(unit, (double)h->min));
        json_field_double(w, "max", exposition_value(unit, (double)h->max));
    }
}

static void put_buckets(JsonWriter *w, const MetricInfo *m, const Hist *h)
{
    uint64_t counts[METRIC_BOUNDS_MAX + 1];
    exposition_buckets(m, h, counts);
    put_int(w, "count", (int64_t)hist_count_all(h));
    put_extremes(w, m->unit, h);
    begin_array(w, "bucketCounts");
    for (size_t i = 0; i <= m->bound_count; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "%llu", (unsigned long long)counts[i]);
        json_string(w, (Slice){text, (size_t)len});
    }
    json_array_end(w);
    begin_array(w, "explicitBounds");
    for (size_t i = 0; i < m->bound_count; i++) {
        json_double(w, m->bounds[i]);
    }
    json_array_end(w);
}

static void put_summary(JsonWriter *w, const SeriesInfo *s, const Hist *h)
{
    static const double quantiles[] = {0, 0.5, 0.9, 0.95, 0.99, 1};
    put_int(w, "count", (int64_t)h->count);
    json_field_double(w, "sum", exposition_value(s->unit, (double)h->sum));
    begin_array(w, "quantileValues");
    for (size_t i = 0; i < COUNT_OF(quantiles) && h->count > 0; i++) {
        json_object_begin(w);
        json_field_double(w, "quantile", quantiles[i]);
        json_field_double(w, "value", exposition_value(s->unit, hist_quantile(h, quantiles[i])));
        json_object_end(w);
    }
    json_array_end(w);
}

static const char *data_name(const MetricInfo *m, MetricKind kind)
{
    switch (kind) {
    case METRIC_COUNTER: return "sum";
    case METRIC_GAUGE:
    case METRIC_RATE: return "gauge";
    case METRIC_TREND: break;
    }
    return m && m->bounds ? "histogram" : "summary";
}

static void begin_metric(JsonWriter *w, const MetricInfo *m, const SeriesInfo *s)
{
    const char *data = data_name(m, s->kind);
    json_object_begin(w);
    json_field_string(w, "name", s->metric);
    json_field_string(w, "description", m ? m->help : SLICE(""));
    json_field_cstr(w, "unit", m ? m->otel_unit : s->unit == METRIC_UNIT_TIME ? "s" : "1");
    begin_object(w, data);
    if (s->kind == METRIC_COUNTER || (s->kind == METRIC_TREND && m && m->bounds)) {
        json_field_int(w, "aggregationTemporality", TEMPORALITY_CUMULATIVE);
    }
    if (s->kind == METRIC_COUNTER) {
        json_field_bool(w, "isMonotonic", true);
    }
    begin_array(w, "dataPoints");
}

static void end_metric(JsonWriter *w)
{
    json_array_end(w);
    json_object_end(w);
    json_object_end(w);
}

static void put_point(JsonWriter *w, const MetricInfo *m, const SeriesInfo *s, const Point *p,
                      Times t)
{
    begin_point(w, s, t);
    if (s->kind != METRIC_TREND) {
        put_number(w, s, p);
    } else if (m && m->bounds) {
        put_buckets(w, m, p->hist);
    } else {
        put_summary(w, s, p->hist);
    }
    json_object_end(w);
}

void otlp_metrics(Buf *out, const OtlpResource *resource, const Collector *collector,
                  int64_t start_wall_ns, int64_t wall_ns)
{
    JsonWriter w = json_writer(out, 0);
    Times t = {start_wall_ns, wall_ns};
    size_t count;
    const SeriesInfo **order = exposition_order(collector, &count);
    const MetricInfo *m = NULL;
    begin_body(&w, resource, "resourceMetrics", "scopeMetrics");
    begin_array(&w, "metrics");
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !slice_eq(order[i]->metric, order[i - 1]->metric)) {
            MetricId id;
            if (i > 0) {
                end_metric(&w);
            }
            m = metric_by_name(order[i]->metric, &id) ? metric_info(id) : NULL;
            begin_metric(&w, m, order[i]);
        }
        put_point(&w, m, order[i], collector_total(collector, order[i]->id), t);
    }
    if (count > 0) {
        end_metric(&w);
    }
    json_array_end(&w);
    end_body(&w);
    free(order);
}
