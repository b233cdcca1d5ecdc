// Runs of load tests as rows.
#include <math.h>

#include "model/dataset.h"

enum { RUN_ARENA_MAX = 512 << 20, LIST_ARENA_MAX = 64 << 20 };

typedef enum RunOutput { OUT_MEAN, OUT_P50, OUT_P99, OUT_ERRORS, OUT_GOODPUT, OUTPUTS } RunOutput;

static const struct {
    const char *name, *unit;
} OUTPUT_COLUMNS[OUTPUTS] = {
    {"mean", "s"}, {"p50", "s"}, {"p99", "s"}, {"errors", ""}, {"goodput", "1/s"}};

typedef struct RunTotals {
    double requests, failed, seconds;
    Hist duration;
} RunTotals;

static void add_up(const RunData *run, RunTotals *t)
{
    hist_init(&t->duration);
    t->seconds = (double)run->end.duration_ns / 1e9;
    for (size_t i = 0; i < run->series_count; i++) {
        const RunSeries *s = &run->series[i];
        if (slice_eq(s->info.metric, SLICE("http_reqs"))) {
            t->requests += (double)s->total.count;
        } else if (slice_eq(s->info.metric, SLICE("http_req_failed"))) {
            t->failed += (double)s->total.trues;
        } else if (slice_eq(s->info.metric, SLICE("http_req_duration")) && s->total.hist) {
            hist_merge(&t->duration, s->total.hist);
        }
    }
}

static double finite_seconds(double ns)
{
    return isfinite(ns) ? ns / 1e9 : (double)NAN;
}

static void fill_outputs(const RunTotals *t, double values[OUTPUTS])
{
    bool lost = t->duration.infinite > 0;
    values[OUT_MEAN] = lost ? (double)NAN : finite_seconds(hist_mean(&t->duration));
    values[OUT_P50] = finite_seconds(hist_quantile_all(&t->duration, 0.5));
    values[OUT_P99] = finite_seconds(hist_quantile_all(&t->duration, 0.99));
    values[OUT_ERRORS] = t->failed / t->requests;
    values[OUT_GOODPUT] = (t->requests - t->failed) / t->seconds;
}

// Labels first: they may make columns, and the row is as wide as the table is then.
static int label_columns(Dataset *d, Labels labels, Err *e)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < labels.count; i++) {
        Slice key = labels.items[i].key, role, name;
        double value;
        size_t ignored;
        if (slice_cut(key, '.', &role, &name) && slice_to_f64(labels.items[i].value, &value) == 0) {
            if (slice_eq(role, SLICE("input"))) {
                rc = dataset_column(d, name, SLICE(""), COLUMN_INPUT, &ignored, e);
            } else if (slice_eq(role, SLICE("policy"))) {
                rc = dataset_column(d, name, SLICE(""), COLUMN_POLICY, &ignored, e);
            }
        }
    }
    return rc;
}

static void fill_labels(const Dataset *d, Labels labels, double *cells)
{
    for (size_t i = 0; i < labels.count; i++) {
        Slice role, name;
        double value;
        if (slice_cut(labels.items[i].key, '.', &role, &name) &&
            (slice_eq(role, SLICE("input")) || slice_eq(role, SLICE("policy"))) &&
            slice_to_f64(labels.items[i].value, &value) == 0) {
            cells[dataset_find(d, name)] = value;
        }
    }
}

static int add_run(Dataset *d, const RunData *run, Err *e)
{
    double cells[DATASET_COLUMNS_MAX], values[OUTPUTS];
    size_t places[OUTPUTS], rate;
    RunTotals t = {0};
    int rc = label_columns(d, run->info.labels, e);
    if (rc == 0) {
        rc = dataset_column(d, SLICE("load.rate"), SLICE("1/s"), COLUMN_INPUT, &rate, e);
    }
    for (size_t i = 0; rc == 0 && i < OUTPUTS; i++) {
        rc = dataset_column(d, slice_from_cstr(OUTPUT_COLUMNS[i].name),
                            slice_from_cstr(OUTPUT_COLUMNS[i].unit), COLUMN_OUTPUT, &places[i], e);
    }
    if (rc != 0) {
        return rc;
    }
    add_up(run, &t);
    if (t.requests > 0 && t.seconds > 0) {
        for (size_t k = 0; k < dataset_columns(d); k++) {
            cells[k] = NAN;
        }
        fill_outputs(&t, values);
        for (size_t i = 0; i < OUTPUTS; i++) {
            cells[places[i]] = values[i];
        }
        cells[rate] = t.requests / t.seconds;
        fill_labels(d, run->info.labels, cells);
        char source[RUN_ID_LEN + 8];
        (void)snprintf(source, sizeof source, "run:%s", run->info.id);
        rc = dataset_add(d, cells, slice_from_cstr(source), run->info.started_unix_ns, e);
    }
    hist_done(&t.duration);
    return rc;
}

static int load_one(Dataset *d, Ledger *ledger, const RunListItem *item, Err *e)
{
    Arena *arena = arena_create(RUN_ARENA_MAX);
    RunData *run;
    int rc = run_load(ledger, slice_from_cstr(item->info.id), arena, &run, e);
    if (rc == 0) {
        rc = add_run(d, run, e);
        run_data_done(run);
    }
    arena_destroy(arena);
    return rc;
}

int dataset_load_runs(Dataset *d, Ledger *ledger, const RunFilter *filter, Err *e)
{
    Arena *arena = arena_create(LIST_ARENA_MAX);
    RunListItem *items;
    size_t count;
    int rc = run_list(ledger, filter, arena, &items, &count, e);
    for (size_t i = rc == 0 ? count : 0; rc == 0 && i-- > 0;) {
        if (items[i].status == RUN_COMPLETE) {
            rc = load_one(d, ledger, &items[i], e);
        }
    }
    arena_destroy(arena);
    return rc;
}
