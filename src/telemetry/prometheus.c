#include "telemetry/prometheus.h"

#include <math.h>

#include "base/json_write.h"

#define NS_A_SECOND 1e9

static int parse_stat(Slice text, PromStat *ret_stat, Err *e)
{
    static const struct {
        Slice name;
        int kind;
    } plain[] = {{SLICE_INIT("count"), PROM_COUNT}, {SLICE_INIT("sum"), PROM_SUM},
                 {SLICE_INIT("avg"), PROM_AVG},     {SLICE_INIT("min"), PROM_MIN},
                 {SLICE_INIT("max"), PROM_MAX},     {SLICE_INIT("med"), PROM_QUANTILE}};
    PromStat stat = {.q = 0.5};
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        if (slice_eq(text, plain[i].name)) {
            stat.kind = plain[i].kind;
            (void)snprintf(stat.suffix, sizeof stat.suffix, "%.*s", SLICE_FMT(text));
            *ret_stat = stat;
            return 0;
        }
    }
    bool percentile = slice_starts_with(text, SLICE("p(")) && slice_ends_with(text, SLICE(")"));
    Slice number = percentile ? slice_sub(text, 2, text.len - 3) : text;
    if (!percentile || number.len > 16 || slice_to_f64(number, &stat.q) != 0 || stat.q < 0 ||
        stat.q > 100) {
        return err_set(e, ERR_ARG,
                       "trend stat '%.*s': there are count, sum, avg, min, max, med, p(N)",
                       SLICE_FMT(text));
    }
    stat.kind = PROM_QUANTILE;
    stat.q /= 100;
    size_t len = 0;
    stat.suffix[len++] = 'p';
    for (size_t i = 0; i < number.len; i++) {
        if (number.ptr[i] >= '0' && number.ptr[i] <= '9') {
            stat.suffix[len++] = number.ptr[i];
        }
    }
    *ret_stat = stat;
    return 0;
}

int prom_stats_parse(Slice list, PromStats *ret_stats, Err *e)
{
    PromStats stats = {.count = 0};
    do {
        Slice part;
        (void)slice_cut(list, ',', &part, &list);
        if (stats.count == PROM_STATS_MAX) {
            return err_set(e, ERR_LIMIT, "more than %d trend stats", PROM_STATS_MAX);
        }
        int rc = parse_stat(slice_trim(part), &stats.items[stats.count++], e);
        if (rc != 0) {
            return rc;
        }
    } while (list.len > 0);
    *ret_stats = stats;
    return 0;
}

static double stat_value(const PromStat *stat, const Hist *h)
{
    switch (stat->kind) {
    case PROM_COUNT: return (double)hist_count_all(h);
    case PROM_SUM: return (double)h->sum;
    case PROM_AVG: return hist_mean(h);
    case PROM_MIN: return (double)h->min;
    case PROM_MAX: return (double)h->max;
    case PROM_QUANTILE: return hist_quantile(h, stat->q);
    }
    return NAN;
}

static void emit_one(const SeriesInfo *s, const char *suffix, double value, PromEmitFn *emit,
                     void *ctx)
{
    Buf name = buf_create(1024);
    buf_puts(&name, "k6_");
    prom_append_name(&name, s->metric);
    buf_puts(&name, suffix[0] ? "_" : "");
    buf_puts(&name, suffix);
    if (!name.overflowed) {
        emit(ctx, buf_slice(&name), s->labels, value);
    }
    buf_done(&name);
}

void prom_samples(const SeriesInfo *series, const Point *total, const PromStats *stats,
                  PromEmitFn *emit, void *ctx)
{
    switch (series->kind) {
    case METRIC_COUNTER: emit_one(series, "total", (double)total->count, emit, ctx); return;
    case METRIC_GAUGE: emit_one(series, "", total->last, emit, ctx); return;
    case METRIC_RATE:
        if (total->count > 0) {
            emit_one(series, "rate", (double)total->trues / (double)total->count, emit, ctx);
        }
        return;
    case METRIC_TREND: break;
    }
    double scale = series->unit == METRIC_UNIT_TIME ? 1 / NS_A_SECOND : 1;
    for (size_t i = 0; i < stats->count && total->hist; i++) {
        const PromStat *stat = &stats->items[i];
        bool known =
            stat->kind == PROM_COUNT ? hist_count_all(total->hist) > 0 : total->hist->count > 0;
        if (known) {
            emit_one(series, stat->suffix,
                     stat_value(stat, total->hist) * (stat->kind == PROM_COUNT ? 1 : scale), emit,
                     ctx);
        }
    }
}

void prom_append_name(Buf *out, Slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool digit = c >= '0' && c <= '9';
        if (digit && i == 0) {
            buf_putc(out, '_');
        }
        buf_putc(out, letter || digit ? c : '_');
    }
}

// ---- text

static void put_escaped(Buf *out, Slice s, bool quote)
{
    for (size_t i = 0; i < s.len; i++) {
        switch (s.ptr[i]) {
        case '\\': buf_puts(out, "\\\\"); break;
        case '\n': buf_puts(out, "\\n"); break;
        case '"': buf_puts(out, quote ? "\\\"" : "\""); break;
        default: buf_putc(out, s.ptr[i]); break;
        }
    }
}

void prom_text_family(Buf *out, Slice name, const char *type, Slice help)
{
    buf_printf(out, "# HELP %.*s ", SLICE_FMT(name));
    put_escaped(out, help, false);
    buf_printf(out, "\n# TYPE %.*s %s\n", SLICE_FMT(name), type);
}

void prom_text_sample(Buf *out, Slice name, Labels labels, double value)
{
    char number[JSON_DOUBLE_MAX];
    buf_append(out, name);
    for (size_t i = 0; i < labels.count; i++) {
        buf_putc(out, i == 0 ? '{' : ',');
        prom_append_name(out, labels.items[i].key);
        buf_puts(out, "=\"");
        put_escaped(out, labels.items[i].value, true);
        buf_putc(out, '"');
    }
    buf_puts(out, labels.count > 0 ? "} " : " ");
    if (isfinite(value)) {
        (void)json_format_double(value, number);
        buf_puts(out, number);
    } else {
        buf_puts(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
    }
    buf_putc(out, '\n');
}
