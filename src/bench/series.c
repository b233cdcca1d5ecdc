#include "bench/series.h"

#include <math.h>
#include <stdlib.h>

#include "base/units.h"
#include "stat/sample.h"

static bool counts(const BenchSeries *series, const BenchSample *s)
{
    return !s->timed_out && (series->failures_counted || (s->exit_code == 0 && s->signal == 0));
}

static double seconds(int64_t ns)
{
    return (double)ns / (double)NS_PER_SECOND;
}

size_t bench_series_times(const BenchSeries *series, double *ret_seconds)
{
    size_t n = 0;
    for (size_t i = 0; i < series->count; i++) {
        if (counts(series, &series->samples[i])) {
            ret_seconds[n++] = seconds(series->samples[i].wall_ns);
        }
    }
    return n;
}

static double median_rss(const BenchSeries *series, double *room)
{
    size_t n = 0;
    for (size_t i = 0; i < series->count; i++) {
        if (series->samples[i].rss_max_bytes > 0 && counts(series, &series->samples[i])) {
            room[n++] = (double)series->samples[i].rss_max_bytes;
        }
    }
    return n > 0 ? sample_median(room, n) : NAN;
}

BenchStats bench_series_stats(const BenchSeries *series)
{
    BenchStats st = {.mean = NAN,
                     .deviation = NAN,
                     .median = NAN,
                     .min = NAN,
                     .max = NAN,
                     .user_s = NAN,
                     .system_s = NAN,
                     .rss = NAN};
    double *x = mem_alloc((series->count + 1) * sizeof *x);
    st.count = bench_series_times(series, x);
    st.failed = series->count - st.count;
    if (st.count > 0) {
        st.mean = sample_mean(x, st.count);
        st.deviation = st.count > 1 ? sqrt(sample_variance(x, st.count)) : NAN;
        sample_sort(x, st.count);
        st.median = sample_quantile(x, st.count, 0.5);
        st.min = x[0];
        st.max = x[st.count - 1];
        double user_s = 0, system_s = 0;
        for (size_t i = 0; i < series->count; i++) {
            const BenchSample *s = &series->samples[i];
            user_s += counts(series, s) ? seconds(s->user_ns) : 0;
            system_s += counts(series, s) ? seconds(s->system_ns) : 0;
        }
        st.user_s = user_s / (double)st.count;
        st.system_s = system_s / (double)st.count;
        st.rss = median_rss(series, x);
    }
    free(x);
    return st;
}

// ---- JSON

// Memory below the floor of measuring is not known, and 0 would be a lie.
static bool memory_known(const BenchSeries *series)
{
    bool known = series->count > 0;
    for (size_t i = 0; i < series->count; i++) {
        known =
            known && (!counts(series, &series->samples[i]) || series->samples[i].rss_max_bytes > 0);
    }
    return known;
}

static void write_memory(const BenchSeries *series, JsonWriter *w)
{
    json_key(w, SLICE("memory_usage_byte"));
    json_array_begin(w);
    for (size_t i = 0; i < series->count; i++) {
        if (counts(series, &series->samples[i])) {
            json_int(w, series->samples[i].rss_max_bytes);
        }
    }
    json_array_end(w);
}

static void write_arrays(const BenchSeries *series, JsonWriter *w)
{
    json_key(w, SLICE("times"));
    json_array_begin(w);
    for (size_t i = 0; i < series->count; i++) {
        if (counts(series, &series->samples[i])) {
            json_double(w, seconds(series->samples[i].wall_ns));
        }
    }
    json_array_end(w);
    if (memory_known(series)) {
        write_memory(series, w);
    }
    json_key(w, SLICE("exit_codes"));
    json_array_begin(w);
    for (size_t i = 0; i < series->count; i++) {
        const BenchSample *s = &series->samples[i];
        if (!counts(series, s)) {
            continue;
        }
        if (s->signal) {
            json_null(w); // hyperfine's word for "a signal ended it"
        } else {
            json_int(w, s->exit_code);
        }
    }
    json_array_end(w);
}

static void write_one(const BenchSeries *series, JsonWriter *w)
{
    BenchStats st = bench_series_stats(series);
    json_object_begin(w);
    json_field_string(w, "command", series->name);
    json_field_double(w, "mean", st.mean);
    json_field_double(w, "stddev", st.deviation);
    json_field_double(w, "median", st.median);
    json_field_double(w, "user", st.user_s);
    json_field_double(w, "system", st.system_s);
    json_field_double(w, "min", st.min);
    json_field_double(w, "max", st.max);
    write_arrays(series, w);
    if (series->parameter_count > 0) {
        json_key(w, SLICE("parameters"));
        json_object_begin(w);
        for (size_t i = 0; i < series->parameter_count; i++) {
            json_key(w, series->parameters[i].name);
            json_string(w, series->parameters[i].value);
        }
        json_object_end(w);
    }
    json_object_end(w);
}

void bench_series_write_json(const BenchSeries *series, size_t count, JsonWriter *w)
{
    json_object_begin(w);
    json_key(w, SLICE("results"));
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        write_one(&series[i], w);
    }
    json_array_end(w);
    json_object_end(w);
}

// ---- CSV

// RFC 4180: quoted where a comma, a quote or a line end is in it.
static void csv_text(Buf *out, Slice text)
{
    bool plain = true;
    for (size_t i = 0; i < text.len; i++) {
        plain = plain && text.ptr[i] != ',' && text.ptr[i] != '"' && text.ptr[i] != '\n' &&
                text.ptr[i] != '\r';
    }
    if (plain) {
        buf_append(out, text);
        return;
    }
    buf_putc(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        buf_puts(out, text.ptr[i] == '"' ? "\"\"" : (const char[]){text.ptr[i], '\0'});
    }
    buf_putc(out, '"');
}

static void csv_number(Buf *out, double value)
{
    char text[JSON_DOUBLE_MAX];
    buf_putc(out, ',');
    if (isfinite(value)) {
        (void)json_format_double(value, text);
        buf_puts(out, text);
    }
}

void bench_series_write_csv(const BenchSeries *series, size_t count, Buf *out)
{
    buf_puts(out, "command,mean,stddev,median,user,system,min,max");
    for (size_t i = 0; count > 0 && i < series[0].parameter_count; i++) {
        buf_puts(out, ",parameter_");
        csv_text(out, series[0].parameters[i].name);
    }
    buf_putc(out, '\n');
    for (size_t i = 0; i < count; i++) {
        BenchStats st = bench_series_stats(&series[i]);
        csv_text(out, series[i].name);
        const double numbers[] = {st.mean,     st.deviation, st.median, st.user_s,
                                  st.system_s, st.min,       st.max};
        for (size_t k = 0; k < COUNT_OF(numbers); k++) {
            csv_number(out, numbers[k]);
        }
        for (size_t k = 0; k < series[i].parameter_count; k++) {
            buf_putc(out, ',');
            csv_text(out, series[i].parameters[k].value);
        }
        buf_putc(out, '\n');
    }
}

// ---- Markdown

static double fastest_mean(const BenchSeries *series, size_t count, double *ret_deviation)
{
    double best = INFINITY;
    *ret_deviation = NAN;
    for (size_t i = 0; i < count; i++) {
        BenchStats st = bench_series_stats(&series[i]);
        if (st.mean < best) {
            best = st.mean;
            *ret_deviation = st.deviation;
        }
    }
    return best;
}

static void markdown_row(const BenchSeries *series, double unit, double best, double best_sd,
                         Buf *out)
{
    BenchStats st = bench_series_stats(series);
    buf_puts(out, "| `");
    for (size_t i = 0; i < series->name.len; i++) {
        char c = series->name.ptr[i];
        buf_puts(out, c == '|' ? "\\|" : (const char[]){c == '\n' ? ' ' : c, '\0'});
    }
    if (st.count == 0) {
        buf_puts(out, "` | not measured | | | |\n");
        return;
    }
    buf_printf(out, "` | %.1f", st.mean / unit);
    if (st.count > 1) {
        buf_printf(out, " ± %.1f", st.deviation / unit);
    }
    double ratio = st.mean / best;
    buf_printf(out, " | %.1f | %.1f | %.2f", st.min / unit, st.max / unit, ratio);
    if (ratio > 1 && st.count > 1 && isfinite(best_sd)) {
        // Gauss's propagation, as hyperfine prints it.
        double a = st.deviation / st.mean, b = best_sd / best;
        buf_printf(out, " ± %.2f", ratio * sqrt(a * a + b * b));
    }
    buf_puts(out, " |\n");
}

void bench_series_write_markdown(const BenchSeries *series, size_t count, Buf *out)
{
    double best_sd;
    double best = fastest_mean(series, count, &best_sd);
    bool in_seconds = best >= 1;
    const char *unit = in_seconds ? "s" : "ms";
    buf_printf(out, "| Command | Mean [%s] | Min [%s] | Max [%s] | Relative |\n", unit, unit, unit);
    buf_puts(out, "|:---|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < count; i++) {
        markdown_row(&series[i], in_seconds ? 1 : 1e-3, best, best_sd, out);
    }
}

void bench_sample_write(const BenchSample *s, JsonWriter *w)
{
    json_object_begin(w);
    json_field_int(w, "wall_ns", s->wall_ns);
    json_field_int(w, "user_ns", s->user_ns);
    json_field_int(w, "system_ns", s->system_ns);
    json_field_int(w, "rss_max_bytes", s->rss_max_bytes);
    json_field_int(w, "read_bytes", s->read_bytes);
    json_field_int(w, "written_bytes", s->written_bytes);
    json_field_int(w, "instructions", (int64_t)s->instructions);
    json_field_int(w, "faults_major", (int64_t)s->faults_major);
    json_field_int(w, "switches", (int64_t)s->switches);
    json_field_int(w, "exit_code", s->exit_code);
    json_field_int(w, "signal", s->signal);
    json_field_bool(w, "timed_out", s->timed_out);
    json_object_end(w);
}
