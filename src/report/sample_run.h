// A made-up run for the tests of this room: a minute of open-model load on three endpoints with a
// slow spell from second 35 to 41, refused connections and 503s in it, from one seed. Not part of
// the library.
//
//     SampleRun *s = sample_run_create();
//     report_model_init(&m, &s->input, s->arena);
//     sample_run_destroy(s);
#ifndef REPORT_SAMPLE_RUN_H
#define REPORT_SAMPLE_RUN_H

#include <assert.h>
#include <math.h>

#include "base/rng.h"
#include "base/units.h"
#include "report/model.h"

enum { SAMPLE_SECONDS = 60, SAMPLE_SERIES = 24, SAMPLE_RATE = 200 };

typedef struct SampleRun {
    Arena *arena;
    RunData run;
    RunSeries series[SAMPLE_SERIES];
    RunPoint points[SAMPLE_SERIES][SAMPLE_SECONDS];
    Hist hists[SAMPLE_SERIES][SAMPLE_SECONDS];
    Hist totals[SAMPLE_SERIES];
    Label labels[SAMPLE_SERIES][3];
    SloVerdict slos[3];
    ChangeVerdict changes[8];
    Judgement judgement;
    Slice warnings[1];
    ReportInput input;
} SampleRun;

static const char *const sample_endpoints[] = {"GET /catalogue", "POST /checkout",
                                               "<img src=x onerror=alert(1)>&\"'"};

static inline size_t sample_series(SampleRun *s, Slice metric, MetricKind kind, Label *labels,
                                   size_t label_count)
{
    size_t i = s->run.series_count++;
    assert(i < SAMPLE_SERIES);
    for (size_t k = 0; k < label_count; k++) {
        s->labels[i][k] = labels[k];
    }
    RunSeries *series = &s->series[i];
    series->info = (SeriesInfo){.id = (uint32_t)i,
                                .kind = kind,
                                .unit = kind == METRIC_TREND ? METRIC_UNIT_TIME : METRIC_UNIT_NONE,
                                .metric = metric,
                                .labels = {s->labels[i], label_count}};
    hist_init(&s->totals[i]);
    for (int64_t t = 0; t < SAMPLE_SECONDS; t++) {
        hist_init(&s->hists[i][t]);
        s->points[i][t].index = t;
        s->points[i][t].point.hist = kind == METRIC_TREND ? &s->hists[i][t] : NULL;
    }
    series->points = s->points[i];
    series->point_count = SAMPLE_SECONDS;
    series->total.hist = kind == METRIC_TREND ? &s->totals[i] : NULL;
    return i;
}

static inline void sample_observe(SampleRun *s, size_t series, int64_t t, int64_t value)
{
    hist_record(&s->hists[series][t], value);
    hist_record(&s->totals[series], value);
    s->points[series][t].point.count++;
    s->series[series].total.count++;
}

static inline void sample_count(SampleRun *s, size_t series, int64_t t, bool is_true)
{
    s->points[series][t].point.count++;
    s->series[series].total.count++;
    s->points[series][t].point.trues += is_true;
    s->series[series].total.trues += is_true;
}

static inline void sample_gauge(SampleRun *s, size_t series, int64_t t, double value)
{
    s->points[series][t].point.last = value;
    s->series[series].total.last = value;
    s->series[series].total.max = fmax(s->series[series].total.max, value);
}

typedef struct SampleIds {
    size_t duration[3], corrected[3], requests[3], failed[3], refused, unavailable;
    size_t iterations, lateness, dropped, generator, vus, vus_max, checks[2], sent, received;
} SampleIds;

static inline SampleIds sample_declare(SampleRun *s)
{
    SampleIds ids;
    for (size_t e = 0; e < 3; e++) {
        Label l[] = {{SLICE("name"), slice_from_cstr(sample_endpoints[e])},
                     {SLICE("status"), SLICE("200")}};
        ids.duration[e] = sample_series(s, SLICE("http_req_duration"), METRIC_TREND, l, 2);
        ids.corrected[e] =
            sample_series(s, SLICE("http_req_corrected_duration"), METRIC_TREND, l, 2);
        ids.requests[e] = sample_series(s, SLICE("http_reqs"), METRIC_COUNTER, l, 1);
        ids.failed[e] = sample_series(s, SLICE("http_req_failed"), METRIC_RATE, l, 2);
    }
    Label refused[] = {{SLICE("error_code"), SLICE("1212")},
                       {SLICE("name"), slice_from_cstr(sample_endpoints[1])}};
    Label unavailable[] = {{SLICE("name"), slice_from_cstr(sample_endpoints[1])},
                           {SLICE("status"), SLICE("503")}};
    ids.refused = sample_series(s, SLICE("http_req_failed"), METRIC_RATE, refused, 2);
    ids.unavailable = sample_series(s, SLICE("http_req_failed"), METRIC_RATE, unavailable, 2);
    ids.iterations = sample_series(s, SLICE("iterations"), METRIC_COUNTER, NULL, 0);
    ids.lateness = sample_series(s, SLICE("iteration_lateness"), METRIC_TREND, NULL, 0);
    ids.dropped = sample_series(s, SLICE("dropped_iterations"), METRIC_COUNTER, NULL, 0);
    ids.generator = sample_series(s, SLICE("generator_lateness"), METRIC_TREND, NULL, 0);
    ids.vus = sample_series(s, SLICE("vus"), METRIC_GAUGE, NULL, 0);
    ids.vus_max = sample_series(s, SLICE("vus_max"), METRIC_GAUGE, NULL, 0);
    for (size_t c = 0; c < 2; c++) {
        Label l[] = {{SLICE("check"), c ? SLICE("body has an id") : SLICE("status is 200")},
                     {SLICE("name"), slice_from_cstr(sample_endpoints[c])}};
        ids.checks[c] = sample_series(s, SLICE("checks"), METRIC_RATE, l, 2);
    }
    ids.sent = sample_series(s, SLICE("data_sent"), METRIC_COUNTER, NULL, 0);
    ids.received = sample_series(s, SLICE("data_received"), METRIC_COUNTER, NULL, 0);
    return ids;
}

static inline void sample_request(SampleRun *s, const SampleIds *ids, int64_t t, Rng *rng)
{
    uint64_t pick = rng_below(rng, 10);
    size_t e = pick < 6 ? 0 : pick < 9 ? 1 : 2;
    bool spell = t >= 35 && t < 42;
    static const double typical_ms[] = {4, 18, 2};
    double ms = rng_lognormal(rng, log(typical_ms[e]), 0.35) * (spell ? 2.5 : 1);
    double wait_ms = spell ? rng_exponential(rng, 40) : rng_exponential(rng, 0.05);
    sample_count(s, ids->requests[e], t, false);
    sample_count(s, ids->iterations, t, false);
    sample_observe(s, ids->lateness, t, (int64_t)(wait_ms * 1e6));
    sample_observe(s, ids->generator, t, 20000 + (int64_t)(rng_exponential(rng, 30000)));
    bool bad = e == 1 && rng_double(rng) < (spell ? 0.25 : 0.002);
    size_t failed = !bad ? ids->failed[e] : spell && pick == 8 ? ids->refused : ids->unavailable;
    sample_count(s, failed, t, bad);
    sample_observe(s, ids->duration[e], t, (int64_t)(ms * 1e6));
    sample_observe(s, ids->corrected[e], t, (int64_t)((ms + wait_ms) * 1e6));
    if (e < 2) {
        sample_count(s, ids->checks[e], t, !bad);
    }
    s->points[ids->received][t].point.count += 1800;
    s->series[ids->received].total.count += 1800;
    s->points[ids->sent][t].point.count += 240;
    s->series[ids->sent].total.count += 240;
}

static inline const Doc *sample_doc(SampleRun *s, const char *json)
{
    const Doc *doc = NULL;
    int rc = doc_parse(s->arena, slice_from_cstr(json), NULL, &doc, NULL);
    assert(rc == 0);
    return rc == 0 ? doc : NULL;
}

static inline void sample_documents(SampleRun *s, Rng *rng)
{
    RunData *r = &s->run;
    Buf health = buf_create(1 << 16);
    buf_puts(&health, "{\"valid\":true,\"reason\":\"\",\"slow_max_ns\":5200000,\"cpu_share_max\":0."
                      "61,\"steal_share\":0.004,\"samples\":{"
                      "\"cpu\":[");
    for (int t = 0; t < SAMPLE_SECONDS; t++) {
        buf_printf(&health, "%s%.3f", t ? "," : "", 0.35 + 0.1 * rng_double(rng));
    }
    buf_puts(&health, "],\"steal\":[");
    for (int t = 0; t < SAMPLE_SECONDS; t++) {
        buf_printf(&health, "%s%.3f", t ? "," : "", 0.01 * rng_double(rng));
    }
    buf_puts(&health, "]}}");
    r->health = sample_doc(s, health.data);
    buf_done(&health);
    r->environment = sample_doc(s, "{\"cpu_model\":\"Example CPU\",\"cpus_online\":2,"
                                   "\"kernel\":\"6.1.0\",\"governor\":null}");
    r->thresholds =
        sample_doc(s, "[{\"metric\":\"http_req_duration\",\"labels\":{\"name\":\"POST /checkout\"},"
                      "\"expression\":\"p(95)<50\",\"value\":61.5,\"ok\":false},"
                      "{\"metric\":\"http_req_failed\",\"labels\":{},\"expression\":\"rate<0.05\","
                      "\"value\":0.011,\"ok\":true}]");
    r->summary = sample_doc(s, "{\"iterations\":12000,\"cost\":{\"money\":0.02,\"currency\":"
                               "\"EUR\"}}");
}

static inline ChangeVerdict sample_change(const char *endpoint, ChangeMeasure measure, double base,
                                          double ratio, double half, ChangeValue value)
{
    bool rate = measure == MEASURE_THROUGHPUT;
    return (ChangeVerdict){.endpoint = slice_from_cstr(endpoint),
                           .metric = SLICE("http_req_corrected_duration"),
                           .measure = measure,
                           .unit = rate ? SLICE("/s") : SLICE("ms"),
                           .baseline = base,
                           .candidate = base * ratio,
                           .ratio = ratio,
                           .difference = base * (ratio - 1),
                           .interval = {ratio - half, ratio + half, 0.95},
                           .p = value == CHANGE_SLOWER ? 0.0004 : 0.41,
                           .p_adjusted = value == CHANGE_SLOWER ? 0.0012 : 0.41,
                           .method = SLICE("Welch on logarithms, 3 against 3 runs"),
                           .decides = measure == MEASURE_P95,
                           .value = value,
                           .margin = 0.05,
                           .share = value == CHANGE_SLOWER ? 0.94 : 0.03,
                           .needed = {.runs = value == CHANGE_SLOWER ? 0 : 7},
                           .reason = SLICE("p95 against the pinned baseline")};
}

static inline SloVerdict sample_slo(const char *name, SloValue value, double limit, double p95)
{
    return (SloVerdict){
        .name = slice_from_cstr(name),
        .endpoint = SLICE("POST /checkout"),
        .metric = SLICE("http_req_duration"),
        .indicator = SLICE("95 % of http_req_duration{name:POST /checkout} <= 50 ms"),
        .origin = SLICE("slo.yaml:12"),
        .target = 0.95,
        .threshold = limit,
        .unit = SLICE("ms"),
        .value = value,
        .is_share = true,
        .estimate = value == SLO_MET ? 0.012 : 0.081,
        .interval = {value == SLO_MET ? 0.007 : 0.062, value == SLO_MET ? 0.02 : 0.104, 0.95},
        .limit = 0.05,
        .p_breached = value == SLO_MET ? 1 : 0.0008,
        .p_met = value == SLO_MET ? 0.0002 : 0.9,
        .method = SLICE("binomial, 812 effective of 3600 requests, 10 blocks"),
        .observed = p95,
        .observed_interval = {p95 * 0.95, p95 * 1.07, 0.95},
        .n = 3600,
        .n_effective = 812,
        .needed = {.requests = value == SLO_NOT_PROVEN ? 9000 : 0},
        .budget = {.allowed = 0.05,
                   .consumed = value == SLO_MET ? 0.24 : 1.62,
                   .burn_rate = 1.62,
                   .exhausted_after_h = 444},
        .reason = SLICE("8.1 % of requests were slower than 50 ms, 5 % are allowed"),
    };
}

static inline void sample_judge(SampleRun *s)
{
    s->slos[0] = sample_slo("checkout-latency", SLO_BREACHED, 50, 61.5);
    s->slos[1] = sample_slo("catalogue-latency", SLO_MET, 25, 11.2);
    s->slos[2] = sample_slo("availability", SLO_NOT_PROVEN, (double)NAN, (double)NAN);
    s->changes[0] = sample_change("POST /checkout", MEASURE_P50, 15.1, 1.19, 0.03, CHANGE_SLOWER);
    s->changes[1] = sample_change("POST /checkout", MEASURE_P95, 50.6, 1.213, 0.06, CHANGE_SLOWER);
    s->changes[2] =
        sample_change("GET /catalogue", MEASURE_P50, 4.01, 1.002, 0.01, CHANGE_NO_DIFFERENCE_SHOWN);
    s->changes[3] =
        sample_change("GET /catalogue", MEASURE_P95, 11.1, 1.011, 0.04, CHANGE_NO_DIFFERENCE_SHOWN);
    s->changes[4] = sample_change(sample_endpoints[2], MEASURE_P95, 4.4, 0.91, 0.05, CHANGE_FASTER);
    s->changes[5] = sample_change("", MEASURE_P95, 31.0, 1.13, 0.05, CHANGE_SLOWER);
    s->changes[6] =
        sample_change("", MEASURE_THROUGHPUT, 200, 1.0, 0.001, CHANGE_NO_DIFFERENCE_SHOWN);
    s->warnings[0] = SLICE("no objective for \"GET /catalogue\": platform defaults were used");
    s->judgement = (Judgement){
        .status = JUDGE_SLO_BREACHED,
        .exit_code = 99,
        .summary = SLICE("checkout-latency is breached, and POST /checkout is 21 % slower than the "
                         "baseline."),
        .run = &s->run,
        .slos = s->slos,
        .slo_count = 3,
        .changes = s->changes,
        .change_count = 7,
        .baseline_runs = 3,
        .candidate_runs = 3,
        .culprit = SLICE("POST /checkout"),
        .culprit_share = 0.94,
        .culprit_change = &s->changes[1],
        .warnings = s->warnings,
        .warning_count = 1,
    };
}

static inline SampleRun *sample_run_create(void)
{
    SampleRun *s = mem_zalloc(sizeof *s);
    s->arena = arena_create(64 << 20);
    RunData *r = &s->run;
    r->series = s->series;
    SampleIds ids = sample_declare(s);
    Rng rng = rng_stream(7, SLICE("sample-run"), 0);
    for (int64_t t = 0; t < SAMPLE_SECONDS; t++) {
        for (int i = 0; i < SAMPLE_RATE; i++) {
            sample_request(s, &ids, t, &rng);
        }
        bool spell = t >= 35 && t < 42;
        for (int i = 0; spell && i < 15; i++) {
            sample_count(s, ids.dropped, t, false);
        }
        sample_gauge(s, ids.vus, t, spell ? 50 : 12);
        sample_gauge(s, ids.vus_max, t, 50);
    }
    r->info = (RunInfo){
        .id = "01JDZ5N4V8YQ3T0M6W2R9XKABC",
        .kind = SLICE("loadtest"),
        .name = SLICE("shop"),
        .target = SLICE("staging http://127.0.0.1:8080"),
        .plan_sha256 = SLICE("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
        .seed = 7,
        .load_scale = 1,
        .started_unix_ns = INT64_C(1795228690000000000),
        .interval_ns = NS_PER_SECOND,
    };
    r->end = (RunEnd){.status = RUN_COMPLETE, .duration_ns = SAMPLE_SECONDS * NS_PER_SECOND};
    r->interval_count = SAMPLE_SECONDS;
    r->seal_hash = SLICE("60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752");
    sample_documents(s, &rng);
    sample_judge(s);
    s->input = (ReportInput){.run = r,
                             .judgement = &s->judgement,
                             .program_version = SLICE("0.1.0"),
                             .command = SLICE("perfwright loadtest shop.yaml --seed 7")};
    return s;
}

static inline void sample_run_destroy(SampleRun *s)
{
    for (size_t i = 0; i < s->run.series_count; i++) {
        hist_done(&s->totals[i]);
        for (size_t t = 0; t < SAMPLE_SECONDS; t++) {
            hist_done(&s->hists[i][t]);
        }
    }
    arena_destroy(s->arena);
    free(s);
}

#endif
