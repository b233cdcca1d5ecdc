#include "load/session.h"

#include <math.h>

#include "ledger/sha256.h"
#include "ledger/ulid.h"
#include "load/dialer.h"

enum { SESSION_ARENA_BYTES_MAX = 64 << 20, SESSION_JSON_BYTES_MAX = 16 << 20 };

struct Session {
    SessionOptions options;
    Arena *arena;
    Dialer *dialer;
    Engine *engine; // of the running or last attempt
    RunWriter *writer;
    bool stop_wanted;
    SessionResult result;
};

Session *session_create(const SessionOptions *options)
{
    Session *s = mem_zalloc(sizeof *s);
    s->options = *options;
    s->arena = arena_create(SESSION_ARENA_BYTES_MAX);
    return s;
}

void session_destroy(Session *s)
{
    if (s) {
        engine_destroy(s->engine);
        dialer_destroy(s->dialer);
        arena_destroy(s->arena);
        free(s);
    }
}

void session_stop(Session *s)
{
    s->stop_wanted = true;
    if (s->engine) {
        engine_stop(s->engine);
    }
}

const SessionResult *session_result(const Session *s)
{
    return &s->result;
}

// ---- hooks

static void on_series(void *ctx, const SeriesInfo *series)
{
    Session *s = ctx;
    if (s->writer) {
        run_declare_series(s->writer, series);
    }
    for (size_t i = 0; i < s->options.output_count; i++) {
        const SessionOutput *o = &s->options.outputs[i];
        if (o->series) {
            o->series(o->ctx, series);
        }
    }
}

static void on_interval(void *ctx, const EngineInterval *interval)
{
    Session *s = ctx;
    if (s->writer) {
        run_interval(s->writer, interval->index, interval->points, interval->point_count);
    }
    for (size_t i = 0; i < s->options.output_count; i++) {
        const SessionOutput *o = &s->options.outputs[i];
        if (o->interval) {
            o->interval(o->ctx, interval);
        }
    }
}

static void on_event(void *ctx, int64_t at_ns, Slice kind, Slice text)
{
    Session *s = ctx;
    if (s->writer) {
        run_event(s->writer, at_ns, kind, text);
    }
    for (size_t i = 0; i < s->options.output_count; i++) {
        const SessionOutput *o = &s->options.outputs[i];
        if (o->event) {
            o->event(o->ctx, at_ns, kind, text);
        }
    }
}

// ---- the run's first record

static Slice target_of(Session *s)
{
    const PlanEnvironment *env = s->options.plan->environment;
    if (s->options.target.len > 0) {
        return s->options.target;
    }
    if (!env || env->base_url.len == 0) {
        // A plan without environment, such as a bare --url: the fixed part of its first URL.
        const Plan *plan = s->options.plan;
        const Template *url = plan->request_count > 0 ? &plan->requests[0].url : NULL;
        return url && url->part_count > 0 ? url->parts[0].text : (Slice){0};
    }
    return slice_trim(
        arena_printf(s->arena, "%.*s %.*s", SLICE_FMT(env->name), SLICE_FMT(env->base_url)));
}

static int make_info(Session *s, double scale, RunInfo *info, Err *e)
{
    const Plan *plan = s->options.plan;
    Buf environment = buf_create(SESSION_JSON_BYTES_MAX);
    Sha256 hash = sha256_of(plan->canonical_json);
    char hex[SHA256_HEX + 1];
    sha256_hex(&hash, hex);
    host_environment(&environment, s->options.version);
    *info = (RunInfo){
        .kind = SLICE("loadtest"),
        .name = plan->name.len > 0 ? plan->name : SLICE("load test"),
        .target = target_of(s),
        .group = s->options.group,
        .plan_json = plan->canonical_json,
        .plan_sha256 = arena_copy(s->arena, slice_from_cstr(hex)),
        .seed = plan->seed,
        .load_scale = scale,
        .started_unix_ns = clock_wall(clock_real()),
        .interval_ns = NS_PER_S,
        .labels = s->options.labels,
        .environment_json = arena_copy(s->arena, buf_slice(&environment)),
    };
    buf_done(&environment);
    return ulid_create(info->started_unix_ns / NS_PER_MS, info->id, e);
}

// Without a ledger that can be written the test goes on all the same; the result says so.
static void open_run(Session *s, RunInfo *info)
{
    Err e = {0};
    if (!s->options.ledger) {
        return;
    }
    if (run_create(s->options.ledger, info, &s->writer, &e) != 0) {
        s->writer = NULL;
        s->result.ledger_error = arena_copy(s->arena, slice_from_cstr(e.text));
    }
}

// ---- the run's last record

static RunStatus status_of(const EngineResult *r)
{
    RunStatus status = RUN_ABORTED;
    switch (r->end) {
    case ENGINE_DONE: status = RUN_COMPLETE; break;
    case ENGINE_STOPPED:
    case ENGINE_BUDGET: status = RUN_PARTIAL; break;
    case ENGINE_THRESHOLD:
    case ENGINE_CEILING:
    case ENGINE_SETUP_FAILED:
    case ENGINE_FAILED: return RUN_ABORTED;
    }
    return r->health.valid ? status : RUN_INVALID;
}

static Slice reason_of(Session *s, const EngineResult *r, RunStatus status)
{
    if (status != RUN_INVALID) {
        return r->reason;
    }
    return r->reason.len == 0 ? r->health.reason
                              : arena_printf(s->arena, "%.*s; %.*s", SLICE_FMT(r->reason),
                                             SLICE_FMT(r->health.reason));
}

static void write_labels(JsonWriter *w, Labels labels)
{
    json_object_begin(w);
    for (size_t i = 0; i < labels.count; i++) {
        json_key(w, labels.items[i].key);
        json_string(w, labels.items[i].value);
    }
    json_object_end(w);
}

static void write_thresholds(JsonWriter *w, const EngineResult *r)
{
    json_array_begin(w);
    for (size_t i = 0; i < r->threshold_count; i++) {
        const EngineThreshold *t = &r->thresholds[i];
        json_object_begin(w);
        json_field_string(w, "metric", metric_info(t->threshold->metric)->name);
        json_key(w, SLICE("labels"));
        write_labels(w, t->threshold->filter);
        json_field_string(w, "expression", t->threshold->test.source);
        json_field_double(w, "value", t->has_data ? t->value : NAN);
        json_field_bool(w, "ok", t->ok);
        json_field_bool(w, "aborted", t->aborted);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_checks(JsonWriter *w, const Collector *c)
{
    Hist hist;
    Point sum;
    hist_init(&hist);
    collector_sum(c, metric_info(M_CHECKS)->name, (Labels){0}, &sum, &hist);
    hist_done(&hist);
    json_object_begin(w);
    json_field_int(w, "passes", sum.trues);
    json_field_int(w, "fails", sum.count - sum.trues);
    json_object_end(w);
}

static void write_summary(JsonWriter *w, Session *s, const EngineResult *r)
{
    json_object_begin(w);
    json_field_int(w, "iterations", r->iterations);
    json_field_int(w, "iterations_interrupted", r->interrupted);
    json_key(w, SLICE("iterations_dropped"));
    json_object_begin(w);
    json_field_int(w, "generator", r->dropped_generator);
    json_field_int(w, "no_free_vu", r->dropped_no_vu);
    json_field_int(w, "max_duration", r->dropped_other);
    json_object_end(w);
    json_field_int(w, "requests", r->requests);
    json_field_int(w, "requests_failed", r->failed);
    json_field_int(w, "bytes_sent", r->bytes_sent);
    json_field_int(w, "bytes_received", r->bytes_received);
    json_key(w, SLICE("checks"));
    write_checks(w, engine_collector(s->engine));
    json_field_int(w, "vus_max", r->vus_max);
    json_field_double(w, "vu_hours", r->vu_hours);
    json_key(w, SLICE("cost"));
    json_object_begin(w);
    json_field_double(w, "money", r->cost);
    json_field_string(w, "currency", s->options.plan->budget.currency);
    json_object_end(w);
    json_field_double(w, "load_scale", s->result.info.load_scale);
    json_field_int(w, "attempt", s->result.attempts);
    json_field_bool(w, "cut", r->cut);
    json_field_string(w, "teardown_error", r->teardown_error);
    json_object_end(w);
}

static void make_end(Session *s, const EngineResult *r)
{
    Buf out = buf_create(SESSION_JSON_BYTES_MAX);
    RunEnd *end = &s->result.end;
    RunStatus status = status_of(r);
    *end = (RunEnd){
        .status = status, .reason = reason_of(s, r, status), .duration_ns = r->duration_ns};
    JsonWriter w = json_writer(&out, 0);
    health_write(&w, &r->health);
    end->health_json = arena_copy(s->arena, buf_slice(&out));
    buf_reset(&out);
    w = json_writer(&out, 0);
    write_thresholds(&w, r);
    end->thresholds_json = arena_copy(s->arena, buf_slice(&out));
    buf_reset(&out);
    w = json_writer(&out, 0);
    write_summary(&w, s, r);
    end->summary_json = arena_copy(s->arena, buf_slice(&out));
    buf_done(&out);
}

static void close_run(Session *s)
{
    Err e = {0};
    s->result.recorded = false;
    if (s->writer) {
        int rc = run_finish(s->writer, &s->result.end, &e);
        s->writer = NULL;
        s->result.recorded = rc == 0;
        if (rc != 0) {
            s->result.ledger_error = arena_copy(s->arena, slice_from_cstr(e.text));
        }
    }
}

// ---- attempts

// An engine that did not even start leaves an aborted run behind, with its reason.
static void note_failed_start(Session *s, const Err *e)
{
    s->result.end = (RunEnd){
        .status = RUN_ABORTED,
        .reason = arena_copy(s->arena, slice_from_cstr(e->text)),
        .health_json = SLICE("{}"),
        .thresholds_json = SLICE("[]"),
        .summary_json = SLICE("{}"),
    };
    close_run(s);
}

// Running out of something is the generator's failure; a plan that cannot run is not.
static bool is_own_failure(int rc)
{
    return rc == ERR_IO || rc == ERR_LIMIT;
}

static int attempt(Session *s, double scale, bool *ret_retry, Err *e)
{
    const SessionOptions *o = &s->options;
    SessionResult *r = &s->result;
    int rc = make_info(s, scale, &r->info, e);
    if (rc != 0) {
        return rc;
    }
    open_run(s, &r->info);
    EngineOptions options = {
        .plan = scale < 1 ? plan_scaled(s->arena, o->plan, scale) : o->plan,
        .threads = o->threads,
        .pin = o->pin,
        .loop = o->loop,
        .run_id = {r->info.id, RUN_ID_LEN},
        .hooks = {.ctx = s,
                  .on_series = on_series,
                  .on_interval = on_interval,
                  .on_event = on_event},
        .net = dialer_net(s->dialer),
        .transport = o->transport,
        .duration_ns_max = o->duration_ns_max,
        .spin_ns = o->spin_ns,
        .no_setup = o->no_setup,
        .no_teardown = o->no_teardown,
        .no_thresholds = o->no_thresholds,
    };
    engine_destroy(s->engine);
    s->engine = NULL;
    for (size_t i = 0; i < o->output_count; i++) {
        if (o->outputs[i].begin) {
            o->outputs[i].begin(o->outputs[i].ctx, &r->info);
        }
    }
    if ((rc = engine_create(&options, &s->engine, e)) != 0 ||
        (rc = engine_execute(s->engine, e)) != 0) {
        Err why = {0};
        note_failed_start(s, e ? e : &why);
        *ret_retry = is_own_failure(rc);
        return rc;
    }
    r->engine = engine_result(s->engine);
    r->collector = engine_collector(s->engine);
    make_end(s, r->engine);
    for (size_t i = 0; i < o->output_count; i++) {
        if (o->outputs[i].end) {
            o->outputs[i].end(o->outputs[i].ctx, &r->info, &r->end);
        }
    }
    close_run(s);
    *ret_retry = r->engine->end == ENGINE_FAILED;
    return 0;
}

int session_run(Session *s, Err *e)
{
    static const double scales[SESSION_ATTEMPTS] = {1, 1, SESSION_REDUCED_SCALE};
    const Plan *plan = s->options.plan;
    DialerOptions dialer = {
        .environment = plan->environment, .seed = plan->seed, .guard = s->options.guard};
    int rc = dialer_create(&dialer, &s->dialer, e);
    bool retry = rc == 0;
    while (retry && s->result.attempts < SESSION_ATTEMPTS && !s->stop_wanted) {
        double scale = scales[s->result.attempts++];
        retry = false;
        rc = attempt(s, scale, &retry, e);
    }
    return rc;
}

// ---- results from memory

RunData *session_run_data(const Session *s, Arena *arena)
{
    RunData *data = ARENA_NEW(arena, RunData);
    data->info = s->result.info;
    data->end = s->result.end;
    const Collector *c = s->result.collector;
    data->series_count = c ? collector_series_count(c) : 0;
    data->series = ARENA_ARRAY(arena, RunSeries, data->series_count + 1);
    // One point that spans the whole run: what is read off points is the total then.
    for (size_t i = 0; i < data->series_count; i++) {
        RunPoint *point = ARENA_NEW(arena, RunPoint);
        point->point = *collector_total(c, i);
        data->series[i] = (RunSeries){.info = *collector_series(c, i),
                                      .points = point,
                                      .point_count = 1,
                                      .total = point->point};
    }
    int64_t intervals = s->result.engine ? s->result.engine->interval_count : 0;
    data->interval_count = intervals > 0;
    data->merged = intervals > 0 ? intervals : 1;
    data->info.interval_ns *= data->merged;
    // Written by this program a moment ago: a document that cannot be read back is left out.
    const struct {
        Slice text;
        const Doc **ret;
    } documents[] = {{data->info.plan_json, &data->plan},
                     {data->info.environment_json, &data->environment},
                     {data->end.health_json, &data->health},
                     {data->end.thresholds_json, &data->thresholds},
                     {data->end.summary_json, &data->summary}};
    for (size_t i = 0; i < COUNT_OF(documents); i++) {
        if (documents[i].text.len > 0 &&
            doc_parse(arena, documents[i].text, NULL, documents[i].ret, NULL) != 0) {
            *documents[i].ret = NULL;
        }
    }
    return data;
}
