#include "bench/harness_store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

enum { LABEL_BYTES_MAX = 200 };

static Slice short_text(Slice text)
{
    return slice_sub(text, 0, LABEL_BYTES_MAX);
}

// Labels in order of their keys, as series want them; empty ones are left out.
static size_t labels_of(const HarnessResult *r, Label labels[8], Arena *arena)
{
    const Label all[] = {
        {SLICE("metric"), short_text(r->metric)},
        {SLICE("name"), short_text(r->name)},
        {SLICE("package"), short_text(r->package)},
        {SLICE("params"), short_text(r->params)},
        {SLICE("procs"), r->procs > 0 ? arena_printf(arena, "%d", r->procs) : (Slice){0}},
        {SLICE("stat"), SLICE("med")},
        {SLICE("unit"), short_text(r->unit)},
    };
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        if (all[i].value.len > 0) {
            labels[count++] = all[i];
        }
    }
    return count;
}

static void put_series(RunWriter *w, const HarnessResults *results)
{
    Arena *arena = arena_create(1 << 20);
    size_t count = results->count < HARNESS_SERIES_MAX ? results->count : HARNESS_SERIES_MAX;
    Point *points = mem_zalloc((count + 1) * sizeof *points);
    for (size_t i = 0; i < count; i++) {
        Label labels[8];
        double value = harness_result_center(&results->items[i]);
        SeriesInfo info = {.id = (uint32_t)i,
                           .kind = METRIC_GAUGE,
                           .unit = METRIC_UNIT_NONE,
                           .metric = SLICE("benchmark"),
                           .labels = {labels, labels_of(&results->items[i], labels, arena)}};
        run_declare_series(w, &info);
        points[i] =
            (Point){.series = (uint32_t)i, .count = 1, .last = value, .min = value, .max = value};
        arena_reset(arena);
    }
    run_interval(w, 0, points, count);
    free(points);
    arena_destroy(arena);
}

static void write_plan(const HarnessResults *results, const HarnessStore *about, Buf *out)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_cstr(&w, "harness", HARNESS_NAMES[results->kind]);
    json_field_string(&w, "source", short_text(about->source));
    json_object_end(&w);
}

static void write_summary(const HarnessResults *results, Buf *out)
{
    JsonWriter w = json_writer(out, 0);
    json_object_begin(&w);
    json_field_int(&w, "benchmarks", (int64_t)results->count);
    json_field_int(&w, "failed", (int64_t)results->failure_count);
    json_object_end(&w);
}

int harness_store(Ledger *ledger, const HarnessResults *results, const HarnessStore *about,
                  char ret_id[RUN_ID_LEN + 1], Err *e)
{
    Buf whole = buf_create(RUN_ARTIFACT_BYTES_MAX), plan = buf_create(4096),
        summary = buf_create(4096);
    JsonWriter w = json_writer(&whole, 0);
    harness_write(results, &w);
    write_plan(results, about, &plan);
    write_summary(results, &summary);
    RunInfo info = {.kind = SLICE("benchmark"),
                    .name = about->name,
                    .target = short_text(about->source),
                    .group = about->group,
                    .plan_json = buf_slice(&plan),
                    .load_scale = 1,
                    .started_unix_ns = about->started_unix_ns,
                    .interval_ns = NS_PER_SECOND,
                    .labels = about->labels,
                    .environment_json = about->environment_json};
    RunWriter *writer = NULL;
    int rc = buf_check(&whole, "benchmarks.json", e);
    rc = rc == 0 ? run_create(ledger, &info, &writer, e) : rc;
    if (rc == 0) {
        put_series(writer, results);
        rc =
            run_artifact(writer, HARNESS_ARTIFACT, SLICE("application/json"), buf_slice(&whole), e);
        RunEnd end = {.status = rc == 0 ? RUN_COMPLETE : RUN_PARTIAL,
                      .duration_ns = about->duration_ns,
                      .summary_json = buf_slice(&summary)};
        int end_rc = run_finish(writer, &end, rc == 0 ? e : NULL);
        rc = rc == 0 ? end_rc : rc;
        memcpy(ret_id, info.id, sizeof info.id);
    }
    buf_done(&whole);
    buf_done(&plan);
    buf_done(&summary);
    return rc;
}

int harness_recall(Ledger *ledger, Slice selector, Arena *arena, HarnessResults **ret_results,
                   Err *e)
{
    Buf text = buf_create(RUN_ARTIFACT_BYTES_MAX);
    HarnessOptions options = {.kind = HARNESS_OWN, .source = "benchmarks.json"};
    int rc = run_artifact_read(ledger, selector, HARNESS_ARTIFACT, &text, e);
    rc = rc == 0 ? harness_read(arena, buf_slice(&text), &options, ret_results, e) : rc;
    buf_done(&text);
    return rc;
}
