// Prometheus: series under the names that k6's Prometheus output gives them, and the text
// exposition format (version 0.0.4) that /metrics pages speak.
//
//     counter   k6_http_reqs_total
//     gauge     k6_vus
//     rate      k6_checks_rate                    0..1
//     trend     k6_http_req_duration_p99          seconds; one name for each chosen stat
#ifndef TELEMETRY_PROMETHEUS_H
#define TELEMETRY_PROMETHEUS_H

#include "base/buf.h"
#include "telemetry/point.h"

enum { PROM_STATS_MAX = 16, PROM_SUFFIX_MAX = 24 };

typedef struct PromStat {
    enum { PROM_COUNT, PROM_SUM, PROM_AVG, PROM_MIN, PROM_MAX, PROM_QUANTILE } kind;
    double q;
    char suffix[PROM_SUFFIX_MAX]; // "p99", "p999" for p(99.9): k6 drops the point
} PromStat;

typedef struct PromStats {
    PromStat items[PROM_STATS_MAX];
    size_t count;
} PromStats;

// "p(99),min,max,avg,med,count,sum". ERR_ARG, ERR_LIMIT past PROM_STATS_MAX.
MUST_USE int prom_stats_parse(Slice list, PromStats *ret_stats, Err *e);

typedef void PromEmitFn(void *ctx, Slice name, Labels labels, double value);

// Calls emit for each sample of a series, `total` being the merge of all its points so far; nothing
// for a series without observations.
void prom_samples(const SeriesInfo *series, const Point *total, const PromStats *stats,
                  PromEmitFn *emit, void *ctx);

// Appends `text` as a valid label or metric name: other characters become '_'.
void prom_append_name(Buf *out, Slice text);

// "# HELP" and "# TYPE" lines; `type` is counter, gauge or untyped.
void prom_text_family(Buf *out, Slice name, const char *type, Slice help);
// `name{label="value"} 12.5`
void prom_text_sample(Buf *out, Slice name, Labels labels, double value);

#endif
