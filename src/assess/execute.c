#include "assess/execute.h"

#include <assert.h>
#include <stdarg.h>

#include "assess/assessment.h"
#include "ledger/ulid.h"
#include "load/output.h"
#include "os/clock.h"
#include "os/file.h"

enum { SERIES_MAX = 20000 };

struct Execution {
    ExecuteOptions options;
    Arena *arena;
    Session *session; // of the running or last run
    bool stopped;
    bool recorded;
    RunStatus status;
    Slice selector;
    char group[ULID_LEN + 1];
    int index; // of the running run
    Output *outputs[EXECUTE_OUTPUTS_MAX];
    size_t output_count;
    SeriesInfo *series; // by id; for the outputs
    size_t series_count;
    int64_t started_unix_ns;
};

Execution *execution_create(const ExecuteOptions *options, Arena *arena)
{
    assert(options->runs >= 1 && options->runs <= EXECUTE_RUNS_MAX);
    assert(options->output_count <= EXECUTE_OUTPUTS_MAX);
    Execution *x = mem_zalloc(sizeof *x);
    x->options = *options;
    x->arena = arena;
    x->recorded = true;
    x->status = RUN_COMPLETE;
    return x;
}

void execution_destroy(Execution *x)
{
    if (x) {
        session_destroy(x->session);
        free(x->series);
        free(x);
    }
}

void execution_stop(Execution *x)
{
    x->stopped = true;
    if (x->session) {
        session_stop(x->session);
    }
}

static void note(Execution *x, bool warning, const char *format, ...) PRINTF_LIKE(3, 4);

static void note(Execution *x, bool warning, const char *format, ...)
{
    if (!x->options.on_note) {
        return;
    }
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    x->options.on_note(x->options.ctx, slice_from_cstr(text), warning);
}

// ---- what the session tells

static void on_begin(void *ctx, const RunInfo *info)
{
    Execution *x = ctx;
    x->started_unix_ns = info->started_unix_ns;
    x->series_count = 0;
    OutputRun run = {slice_from_cstr(info->id), info->name, info->interval_ns};
    for (size_t i = 0; i < x->output_count; i++) {
        output_start(x->outputs[i], &run);
    }
    if (x->options.on_begin) {
        x->options.on_begin(x->options.ctx, x->index, info);
    }
}

static void on_series(void *ctx, const SeriesInfo *series)
{
    Execution *x = ctx;
    if (!x->series) {
        x->series = mem_zalloc(SERIES_MAX * sizeof *x->series);
    }
    // Ids are dense and come in order.
    if (series->id == x->series_count && x->series_count < SERIES_MAX) {
        x->series[x->series_count++] = *series;
    }
}

static void on_interval(void *ctx, const EngineInterval *interval)
{
    Execution *x = ctx;
    OutputInterval out = {
        .index = interval->index,
        .unix_ns = x->started_unix_ns + (interval->index + 1) * NS_PER_S,
        .series = x->series,
        .series_count = x->series_count,
        .points = interval->points,
        .count = interval->point_count,
    };
    for (size_t i = 0; i < x->output_count; i++) {
        output_interval(x->outputs[i], &out);
    }
    if (x->options.on_status) {
        x->options.on_status(x->options.ctx, interval->status);
    }
}

static void on_event(void *ctx, int64_t at_ns, Slice kind, Slice text)
{
    Execution *x = ctx;
    (void)at_ns;
    note(x, true, "%.*s: %.*s", SLICE_FMT(kind), SLICE_FMT(text));
}

// ---- outputs

static int open_outputs(Execution *x, Err *e)
{
    OutputOptions options = {.get_env = x->options.get_env,
                             .spool_directory = x->options.spool_directory};
    for (size_t i = 0; i < x->options.output_count; i++) {
        int rc = output_open(x->options.outputs[i], &options, &x->outputs[i], e);
        if (rc != 0) {
            return rc;
        }
        x->output_count++;
    }
    return 0;
}

// A run whose output could not be written is still a run: that is a warning.
static void close_outputs(Execution *x)
{
    for (size_t i = 0; i < x->output_count; i++) {
        OutputReport report = {0};
        Err e = {0};
        if (output_stop(x->outputs[i], &report, &e) != 0) {
            note(x, true, "--out %.*s: %s", SLICE_FMT(x->options.outputs[i]), e.text);
        } else if (report.warning[0]) {
            note(x, true, "--out %.*s: %s", SLICE_FMT(x->options.outputs[i]), report.warning);
        }
    }
    x->output_count = 0;
}

// ---- one run

static int attach_slos(Execution *x, Slice run_id, Err *e)
{
    bool own = x->options.slo_file_count > 0;
    const Slice *files = own ? x->options.slo_files : x->options.plan->slo_files;
    size_t count = own ? x->options.slo_file_count : x->options.plan->slo_file_count;
    for (size_t i = 0; i < count; i++) {
        Buf text = buf_create(RUN_ARTIFACT_BYTES_MAX);
        int rc = file_read(arena_cstr(x->arena, files[i]), &text, e);
        if (rc == 0) {
            Slice name = arena_printf(x->arena, ASSESS_SLO_ARTIFACT "%.*s", SLICE_FMT(files[i]));
            rc = run_attach(x->options.ledger, run_id, name, SLICE("application/yaml"),
                            buf_slice(&text), e);
        }
        buf_done(&text);
        if (rc != 0) {
            return err_wrap(e, "keeping %.*s with the run", SLICE_FMT(files[i]));
        }
    }
    return 0;
}

// Worse statuses hide better ones; the enum is not in that order.
static RunStatus worse(RunStatus a, RunStatus b)
{
    static const int badness[] = {[RUN_COMPLETE] = 0,
                                  [RUN_PARTIAL] = 1,
                                  [RUN_RUNNING] = 1,
                                  [RUN_ABORTED] = 2,
                                  [RUN_INVALID] = 3};
    return badness[a] >= badness[b] ? a : b;
}

static void take_result(Execution *x)
{
    const SessionResult *result = session_result(x->session);
    Slice id = slice_from_cstr(result->info.id);
    x->status = worse(x->status, result->end.status);
    x->selector = x->selector.len > 0
                      ? arena_printf(x->arena, "%.*s,%.*s", SLICE_FMT(x->selector), SLICE_FMT(id))
                      : arena_copy(x->arena, id);
    x->recorded = x->recorded && result->recorded;
    if (!result->recorded) {
        note(x, true, "the ledger could not take this run: %.*s", SLICE_FMT(result->ledger_error));
    } else {
        Err e = {0};
        if (attach_slos(x, id, &e) != 0) {
            note(x, true, "%s", e.text);
        }
    }
    if (x->options.on_end) {
        x->options.on_end(x->options.ctx, x->index, result);
    }
}

static int run_once(Execution *x, Err *e)
{
    const ExecuteOptions *o = &x->options;
    int rc = open_outputs(x, e);
    if (rc != 0) {
        close_outputs(x);
        return rc;
    }
    SessionOutput output = {.ctx = x,
                            .begin = on_begin,
                            .series = on_series,
                            .interval = on_interval,
                            .event = on_event};
    session_destroy(x->session);
    x->session = session_create(&(SessionOptions){
        .plan = o->plan,
        .ledger = o->ledger,
        .guard = o->guard,
        .duration_ns_max = guard_limits(o->guard, o->guarding.caller)->duration_ns_max,
        .loop = o->loop,
        .threads = o->threads,
        .pin = o->pin,
        .group = o->runs > 1 ? slice_from_cstr(x->group) : (Slice){0},
        .labels = o->labels,
        .version = o->version,
        .outputs = &output,
        .output_count = 1,
        .no_setup = o->no_setup,
        .no_teardown = o->no_teardown,
        .no_thresholds = o->no_thresholds,
    });
    rc = session_run(x->session, e);
    close_outputs(x);
    if (rc == 0) {
        take_result(x);
    }
    return rc;
}

int execution_run(Execution *x, Err *e)
{
    int rc = guarding_enter(x->options.guard, x->options.plan, &x->options.guarding, x->arena, e);
    if (rc == 0) {
        rc = ulid_create(clock_wall(clock_real()) / NS_PER_MS, x->group, e);
    }
    for (x->index = 0; rc == 0 && x->index < x->options.runs && !x->stopped; x->index++) {
        rc = run_once(x, e);
    }
    return rc;
}

RunStatus execution_status(const Execution *x)
{
    return x->status;
}

bool execution_was_stopped(const Execution *x)
{
    return x->stopped;
}

Slice execution_selector(const Execution *x)
{
    return x->selector;
}

bool execution_is_recorded(const Execution *x)
{
    return x->recorded;
}

RunData *execution_last_run(const Execution *x, Arena *arena)
{
    return session_run_data(x->session, arena);
}
