// Runs made up from seeded distributions, for tests of this room: the truth about them is known.
#ifndef JUDGE_SIM_TEST_H
#define JUDGE_SIM_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "ledger/run.h"

typedef struct SimEndpoint {
    const char *name;
    double median_ms;
    double sigma;  // of the lognormal
    double failed; // share of requests
} SimEndpoint;

typedef struct SimSpec {
    uint64_t seed;
    size_t seconds;
    size_t rate;      // requests a second and endpoint
    double run_sd;    // of the logarithm, from run to run, the same for all endpoints
    double second_sd; // from second to second
    const SimEndpoint *endpoints;
    size_t count;
    double corrected_ms; // added by queueing, in a second series; 0: closed model
    bool unlabelled;     // no expected_response label, failures only in http_req_failed
} SimSpec;

typedef struct SimSeries {
    RunSeries *out;
    RunPoint *points;
    Hist *hists;
    Hist *total;
} SimSeries;

static inline SimSeries sim_series(Arena *a, RunData *run, const char *metric, const char *name,
                                   const char *expected)
{
    SimSeries s = {.out = &run->series[run->series_count]};
    Label labels[2] = {{SLICE("name"), slice_from_cstr(name)},
                       {SLICE("expected_response"), slice_from_cstr(expected)}};
    MetricId id;
    assert_true(metric_by_name(slice_from_cstr(metric), &id));
    s.out->info = (SeriesInfo){.id = (uint32_t)run->series_count++,
                               .kind = metric_info(id)->kind,
                               .unit = metric_info(id)->unit,
                               .metric = metric_info(id)->name};
    assert_int_equal(labels_copy(a, labels, expected ? 2 : 1, &s.out->info.labels, NULL), 0);
    size_t n = (size_t)run->interval_count;
    s.points = ARENA_ARRAY(a, RunPoint, n + 1);
    s.out->points = s.points;
    s.out->point_count = n;
    for (size_t i = 0; i < n; i++) {
        s.points[i] = (RunPoint){.index = (int64_t)i, .point = {.series = s.out->info.id}};
    }
    if (s.out->info.kind == METRIC_TREND) {
        s.hists = ARENA_ARRAY(a, Hist, n + 1);
        s.total = ARENA_NEW(a, Hist);
        hist_init(s.total);
        s.out->total.hist = s.total;
        for (size_t i = 0; i < n; i++) {
            hist_init(&s.hists[i]);
            s.points[i].point.hist = &s.hists[i];
        }
    }
    return s;
}

static inline void sim_record(SimSeries *s, size_t second, double ms)
{
    hist_record(&s->hists[second], (int64_t)(ms * 1e6));
    hist_record(s->total, (int64_t)(ms * 1e6));
    s->points[second].point.count++;
}

static inline void sim_count(SimSeries *s, size_t second, bool is_true)
{
    s->points[second].point.count++;
    s->points[second].point.trues += is_true;
    s->out->total.count++;
    s->out->total.trues += is_true;
}

static inline void sim_endpoint(Arena *a, RunData *run, const SimSpec *spec, const SimEndpoint *e,
                                double factor, Rng *rng)
{
    const char *label = spec->unlabelled ? NULL : "true";
    SimSeries ok = sim_series(a, run, "http_req_duration", e->name, label);
    SimSeries bad = e->failed > 0 && !spec->unlabelled
                        ? sim_series(a, run, "http_req_duration", e->name, "false")
                        : ok;
    SimSeries late = {0};
    if (spec->corrected_ms > 0) {
        late = sim_series(a, run, "http_req_corrected_duration", e->name, label);
    }
    SimSeries failed = sim_series(a, run, "http_req_failed", e->name, NULL);
    SimSeries sent = sim_series(a, run, "http_reqs", e->name, NULL);
    for (size_t second = 0; second < spec->seconds; second++) {
        double shared = exp(rng_normal(rng, 0, spec->second_sd)) * factor * e->median_ms;
        for (size_t i = 0; i < spec->rate; i++) {
            bool fails = rng_double(rng) < e->failed;
            double ms = fails ? 0.5 : shared * rng_lognormal(rng, 0, e->sigma);
            sim_record(fails ? &bad : &ok, second, ms);
            if (late.hists && !fails) {
                sim_record(&late, second, ms + spec->corrected_ms);
            }
            sim_count(&failed, second, fails);
            sim_count(&sent, second, false);
        }
    }
}

// One run; `index` numbers the runs of one seed.
static inline RunData *sim_run(Arena *a, const SimSpec *spec, uint64_t index)
{
    RunData *run = ARENA_NEW(a, RunData);
    run->series = ARENA_ARRAY(a, RunSeries, spec->count * 5 + 1);
    run->interval_count = (int64_t)spec->seconds;
    run->info.interval_ns = INT64_C(1000000000);
    run->info.load_scale = 1;
    run->info.plan_sha256 = SLICE("same");
    (void)snprintf(run->info.id, sizeof run->info.id, "RUN%06d", (int)index);
    run->end.status = RUN_COMPLETE;
    run->end.duration_ns = (int64_t)spec->seconds * INT64_C(1000000000);
    Rng rng = rng_stream(spec->seed, SLICE("sim"), index);
    double factor = exp(rng_normal(&rng, 0, spec->run_sd));
    for (size_t i = 0; i < spec->count; i++) {
        sim_endpoint(a, run, spec, &spec->endpoints[i], factor, &rng);
    }
    return run;
}

static inline void sim_done(RunData *run)
{
    for (size_t i = 0; i < run->series_count; i++) {
        RunSeries *s = &run->series[i];
        for (size_t k = 0; k < s->point_count && s->info.kind == METRIC_TREND; k++) {
            hist_done((Hist *)(uintptr_t)s->points[k].point.hist);
        }
        hist_done((Hist *)(uintptr_t)s->total.hist);
    }
}

#endif
