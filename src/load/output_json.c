// k6's JSON output: a line for each metric when it first appears, then lines of type "Point".
#include "base/json_write.h"
#include "load/output.h"
#include "load/output_file.h"
#include "os/clock.h"
#include "telemetry/metric.h"

enum { INTERVAL_BYTES_MAX = 32 << 20 };

typedef struct JsonOutput {
    Output output;
    OutputFile *file;
    Buf text;
    Arena *arena;
    Slice *declared; // names of metrics that have their line
    size_t declared_count;
    int64_t points, dropped;
} JsonOutput;

enum { METRICS_MAX = 4096 }; // lines of type "Metric"; more metrics are written without one

static void json_start(Output *output, const OutputRun *run)
{
    (void)output;
    (void)run;
}

static void declare(JsonOutput *o, const SeriesInfo *s)
{
    for (size_t i = 0; i < o->declared_count; i++) {
        if (slice_eq(o->declared[i], s->metric)) {
            return;
        }
    }
    if (o->declared_count == METRICS_MAX) {
        return;
    }
    o->declared[o->declared_count++] = arena_copy(o->arena, s->metric);
    JsonWriter w = json_writer(&o->text, 0);
    json_object_begin(&w);
    json_field_cstr(&w, "type", "Metric");
    json_key(&w, SLICE("data"));
    json_object_begin(&w);
    json_field_string(&w, "name", s->metric);
    json_field_string(&w, "type", metric_kind_name(s->kind));
    json_field_cstr(&w, "contains",
                    s->unit == METRIC_UNIT_TIME    ? "time"
                    : s->unit == METRIC_UNIT_BYTES ? "data"
                                                   : "default");
    json_key(&w, SLICE("thresholds"));
    json_array_begin(&w);
    json_array_end(&w);
    json_key(&w, SLICE("submetrics"));
    json_null(&w);
    json_object_end(&w);
    json_field_string(&w, "metric", s->metric);
    json_object_end(&w);
    buf_putc(&o->text, '\n');
}

static void write_point(JsonOutput *o, const SeriesInfo *s, const OutputStat *stat, Slice time)
{
    JsonWriter w = json_writer(&o->text, 0);
    json_object_begin(&w);
    json_field_string(&w, "metric", s->metric);
    json_field_cstr(&w, "type", "Point");
    json_key(&w, SLICE("data"));
    json_object_begin(&w);
    json_field_string(&w, "time", time);
    json_field_double(&w, "value", stat->value);
    json_key(&w, SLICE("tags"));
    json_object_begin(&w);
    for (size_t i = 0; i < s->labels.count; i++) {
        json_key(&w, s->labels.items[i].key);
        json_string(&w, s->labels.items[i].value);
    }
    json_field_cstr(&w, "stat", stat->name);
    json_object_end(&w);
    json_object_end(&w);
    json_object_end(&w);
    buf_putc(&o->text, '\n');
}

static void json_interval(Output *output, const OutputInterval *interval)
{
    JsonOutput *o = (JsonOutput *)output;
    char time[CLOCK_RFC3339_MAX];
    int64_t count = 0;
    size_t declared = o->declared_count;
    clock_print_rfc3339(interval->unix_ns, time);
    buf_reset(&o->text);
    for (size_t i = 0; i < interval->count; i++) {
        const SeriesInfo *s = &interval->series[interval->points[i].series];
        OutputStat stats[OUTPUT_STATS_MAX];
        size_t n = output_stats(s, &interval->points[i], stats);
        if (n > 0) {
            declare(o, s);
        }
        for (size_t k = 0; k < n; k++, count++) {
            write_point(o, s, &stats[k], slice_from_cstr(time));
        }
    }
    if (!o->text.overflowed && output_file_write(o->file, buf_slice(&o->text))) {
        o->points += count;
    } else {
        o->dropped += count;
        o->declared_count = declared; // those lines are lost as well
    }
}

static int json_stop(Output *output, OutputReport *report, Err *e)
{
    JsonOutput *o = (JsonOutput *)output;
    report->points = o->points;
    report->dropped = o->dropped;
    if (o->dropped > 0) {
        (void)snprintf(report->warning, sizeof report->warning,
                       "output json: %lld points were dropped because the file was too slow",
                       (long long)o->dropped);
    }
    int rc = output_file_close(o->file, e);
    buf_done(&o->text);
    arena_destroy(o->arena);
    free(o);
    return rc;
}

static const OutputOps OPS = {json_start, json_interval, json_stop};

int output_json_open(Slice argument, const OutputOptions *options, Output **ret_output, Err *e)
{
    (void)options;
    JsonOutput *o = mem_zalloc(sizeof *o);
    int rc = output_file_open(argument, &o->file, e);
    if (rc != 0) {
        free(o);
        return rc;
    }
    o->output.ops = &OPS;
    o->text = buf_create(INTERVAL_BYTES_MAX);
    o->arena = arena_create(4 << 20);
    o->declared = ARENA_ARRAY(o->arena, Slice, METRICS_MAX);
    *ret_output = &o->output;
    return 0;
}
