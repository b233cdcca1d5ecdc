// k6's CSV output: fixed columns, one for each of k6's system tags, the rest in extra_tags.
#include "base/units.h"
#include "load/output.h"
#include "load/output_file.h"
#include "os/clock.h"

enum { INTERVAL_BYTES_MAX = 32 << 20 };

typedef enum TimeFormat {
    TIME_UNIX,
    TIME_MILLI,
    TIME_MICRO,
    TIME_NANO,
    TIME_RFC3339,
    TIME_RFC3339_NANO,
    TIME_FORMATS,
} TimeFormat;

static const Slice TIME_NAMES[TIME_FORMATS] = {
    SLICE_INIT("unix"),      SLICE_INIT("unix_milli"), SLICE_INIT("unix_micro"),
    SLICE_INIT("unix_nano"), SLICE_INIT("rfc3339"),    SLICE_INIT("rfc3339_nano"),
};

// k6's default system tags, sorted as its header has them.
static const Slice TAGS[] = {
    SLICE_INIT("check"),       SLICE_INIT("error"),
    SLICE_INIT("error_code"),  SLICE_INIT("expected_response"),
    SLICE_INIT("group"),       SLICE_INIT("method"),
    SLICE_INIT("name"),        SLICE_INIT("proto"),
    SLICE_INIT("scenario"),    SLICE_INIT("service"),
    SLICE_INIT("status"),      SLICE_INIT("subproto"),
    SLICE_INIT("tls_version"), SLICE_INIT("url"),
};

typedef struct CsvOutput {
    Output output;
    OutputFile *file;
    Buf text;
    Buf extra;
    TimeFormat format;
    int64_t points, dropped;
} CsvOutput;

// As Go's encoding/csv: quotes where a comma, quote, line break or leading blank stands.
static void put_field(Buf *out, Slice s)
{
    bool quote = s.len > 0 && s.ptr[0] == ' ';
    for (size_t i = 0; i < s.len && !quote; i++) {
        quote = s.ptr[i] == ',' || s.ptr[i] == '"' || s.ptr[i] == '\n' || s.ptr[i] == '\r';
    }
    if (!quote) {
        buf_append(out, s);
        return;
    }
    buf_putc(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        buf_puts(out, s.ptr[i] == '"' ? "\"" : "");
        buf_putc(out, s.ptr[i]);
    }
    buf_putc(out, '"');
}

static void put_time(Buf *out, TimeFormat format, int64_t unix_ns)
{
    char text[CLOCK_RFC3339_MAX];
    switch (format) {
    case TIME_UNIX: buf_printf(out, "%lld", (long long)(unix_ns / NS_PER_SECOND)); return;
    case TIME_MILLI: buf_printf(out, "%lld", (long long)(unix_ns / NS_PER_MS)); return;
    case TIME_MICRO: buf_printf(out, "%lld", (long long)(unix_ns / NS_PER_US)); return;
    case TIME_NANO: buf_printf(out, "%lld", (long long)unix_ns); return;
    case TIME_RFC3339:
        clock_print_rfc3339(unix_ns, text);
        buf_printf(out, "%.19sZ", text);
        return;
    case TIME_RFC3339_NANO:
    case TIME_FORMATS: break;
    }
    clock_print_rfc3339(unix_ns, text);
    buf_puts(out, text);
}

static bool is_column(Slice key)
{
    for (size_t i = 0; i < COUNT_OF(TAGS); i++) {
        if (slice_eq(TAGS[i], key)) {
            return true;
        }
    }
    return false;
}

static void put_row(CsvOutput *o, const SeriesInfo *s, const OutputStat *stat, int64_t unix_ns)
{
    put_field(&o->text, s->metric);
    buf_putc(&o->text, ',');
    put_time(&o->text, o->format, unix_ns);
    buf_printf(&o->text, ",%f", stat->value);
    for (size_t i = 0; i < COUNT_OF(TAGS); i++) {
        buf_putc(&o->text, ',');
        put_field(&o->text, labels_get(s->labels, TAGS[i]));
    }
    buf_reset(&o->extra);
    for (size_t i = 0; i < s->labels.count; i++) {
        const Label *l = &s->labels.items[i];
        if (!is_column(l->key)) {
            buf_printf(&o->extra, "%.*s=%.*s&", SLICE_FMT(l->key), SLICE_FMT(l->value));
        }
    }
    buf_printf(&o->extra, "stat=%s", stat->name);
    buf_putc(&o->text, ',');
    put_field(&o->text, buf_slice(&o->extra));
    buf_puts(&o->text, ",\n"); // metadata stays empty
}

static void csv_start(Output *output, const OutputRun *run)
{
    CsvOutput *o = (CsvOutput *)output;
    (void)run;
    buf_reset(&o->text);
    buf_puts(&o->text, "metric_name,timestamp,metric_value");
    for (size_t i = 0; i < COUNT_OF(TAGS); i++) {
        buf_printf(&o->text, ",%.*s", SLICE_FMT(TAGS[i]));
    }
    buf_puts(&o->text, ",extra_tags,metadata\n");
    (void)output_file_write(o->file, buf_slice(&o->text));
}

static void csv_interval(Output *output, const OutputInterval *interval)
{
    CsvOutput *o = (CsvOutput *)output;
    int64_t count = 0;
    buf_reset(&o->text);
    for (size_t i = 0; i < interval->count; i++) {
        const SeriesInfo *s = &interval->series[interval->points[i].series];
        OutputStat stats[OUTPUT_STATS_MAX];
        size_t n = output_stats(s, &interval->points[i], stats);
        for (size_t k = 0; k < n; k++, count++) {
            put_row(o, s, &stats[k], interval->unix_ns);
        }
    }
    bool taken = !o->text.overflowed && output_file_write(o->file, buf_slice(&o->text));
    o->points += taken ? count : 0;
    o->dropped += taken ? 0 : count;
}

static void csv_free(CsvOutput *o)
{
    buf_done(&o->text);
    buf_done(&o->extra);
    free(o);
}

static int csv_stop(Output *output, OutputReport *report, Err *e)
{
    CsvOutput *o = (CsvOutput *)output;
    report->points = o->points;
    report->dropped = o->dropped;
    if (o->dropped > 0) {
        (void)snprintf(report->warning, sizeof report->warning,
                       "output csv: %lld points were dropped because the file was too slow",
                       (long long)o->dropped);
    }
    int rc = output_file_close(o->file, e);
    csv_free(o);
    return rc;
}

static const OutputOps OPS = {csv_start, csv_interval, csv_stop};

static int take_format(CsvOutput *o, Slice text, Err *e)
{
    for (TimeFormat f = 0; f < TIME_FORMATS; f++) {
        if (slice_eq(text, TIME_NAMES[f])) {
            o->format = f;
            return 0;
        }
    }
    return err_set(e, ERR_ARG,
                   "output csv: timeFormat '%.*s' is not unix, unix_milli, unix_micro, unix_nano, "
                   "rfc3339 or rfc3339_nano",
                   SLICE_FMT(text));
}

static int take_part(CsvOutput *o, Slice part, Slice *path, Err *e)
{
    Slice key, value;
    int64_t interval_ns;
    if (!slice_cut(part, '=', &key, &value) || slice_eq_cstr(key, "fileName")) {
        *path = value.ptr ? value : part;
        return 0;
    }
    if (slice_eq_cstr(key, "timeFormat")) {
        return take_format(o, value, e);
    }
    if (slice_eq_cstr(key, "saveInterval")) {
        // Checked as k6 does; lines are handed to the writer as they come in any case.
        return duration_parse(value, 0, &interval_ns, e);
    }
    return err_set(e, ERR_ARG, "output csv: there is no option '%.*s'", SLICE_FMT(key));
}

static int parse_argument(CsvOutput *o, Slice argument, const OutputOptions *options, Slice *path,
                          Err *e)
{
    const char *format = options->get_env ? options->get_env("K6_CSV_TIME_FORMAT") : NULL;
    const char *file = options->get_env ? options->get_env("K6_CSV_FILENAME") : NULL;
    int rc = format && format[0] ? take_format(o, slice_from_cstr(format), e) : 0;
    *path = file && file[0] ? slice_from_cstr(file) : SLICE("file.csv"); // k6's default
    while (rc == 0 && argument.len > 0) {
        Slice part;
        (void)slice_cut(argument, ',', &part, &argument);
        rc = take_part(o, part, path, e);
    }
    return rc;
}

int output_csv_open(Slice argument, const OutputOptions *options, Output **ret_output, Err *e)
{
    CsvOutput *o = mem_zalloc(sizeof *o);
    Slice path;
    o->output.ops = &OPS;
    o->text = buf_create(INTERVAL_BYTES_MAX);
    o->extra = buf_create(1 << 20);
    int rc = parse_argument(o, argument, options, &path, e);
    if (rc == 0) {
        rc = output_file_open(path, &o->file, e);
    }
    if (rc != 0) {
        csv_free(o);
        return rc;
    }
    *ret_output = &o->output;
    return 0;
}
