// plan show: what a plan would do, as compiled: how long, how hard, with which requests, and when
// every iteration is meant to start.
#include "cli/commands.h"
#include "cli/table.h"

#include <math.h>

#include "base/json_write.h"
#include "base/utf8.h"
#include "cli/plan_env.h"
#include "ledger/sha256.h"
#include "load/schedule.h"
#include "os/clock.h"
#include "report/words.h"

enum { PLOT_COLUMNS = 60, SCHEDULE_ROWS_MAX = 1000000 };

typedef struct View {
    App *app;
    const Plan *plan;
    PlanEnv *env;
    const Schedule **schedules; // by scenario; NULL in closed models
} View;

static bool is_arrival(const PlanScenario *s)
{
    return s->executor == EXECUTOR_CONSTANT_ARRIVAL_RATE ||
           s->executor == EXECUTOR_RAMPING_ARRIVAL_RATE;
}

// A template as it would be written in a plan.
static Slice template_words(const View *v, const Template *t)
{
    const Plan *plan = v->plan;
    Buf out = buf_create(1 << 20);
    for (size_t i = 0; i < t->part_count; i++) {
        const TemplatePart *part = &t->parts[i];
        switch (part->kind) {
        case PART_TEXT: buf_append(&out, plan_env_hide(v->env, part->text)); break;
        case PART_VARIABLE:
            buf_printf(&out, "${%.*s}", SLICE_FMT(plan->variable_names[part->slot]));
            break;
        case PART_FEED: {
            const PlanFeed *feed = &plan->feeds[part->slot];
            buf_printf(&out, "${%.*s.%.*s}", SLICE_FMT(feed->name),
                       SLICE_FMT(feed->columns[part->column]));
            break;
        }
        case PART_VU: buf_puts(&out, "${vu}"); break;
        case PART_ITERATION: buf_puts(&out, "${iteration}"); break;
        case PART_ITERATION_IN_TEST: buf_puts(&out, "${iteration_in_test}"); break;
        case PART_RUN_ID: buf_puts(&out, "${run_id}"); break;
        case PART_SCENARIO: buf_puts(&out, "${scenario}"); break;
        case PART_UUID: buf_puts(&out, "${uuid}"); break;
        case PART_RANDOM:
            buf_printf(&out, "${random(%lld,%lld)}", (long long)part->low, (long long)part->high);
            break;
        }
    }
    Slice text = arena_copy(v->app->arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

// ---- load over time

// Iterations a second that all open scenarios together are meant to start at a moment.
static double offered_at(const View *v, int64_t at_ns)
{
    double sum = 0;
    for (size_t i = 0; i < v->plan->scenario_count; i++) {
        const PlanScenario *s = &v->plan->scenarios[i];
        int64_t inside = at_ns - s->start_time_ns;
        if (v->schedules[i] && inside >= 0 && inside < s->duration_ns) {
            sum += schedule_rate(v->schedules[i], inside);
        }
    }
    return sum;
}

// Virtual users that all closed scenarios together are meant to run at a moment.
static double closed_vus_at(const View *v, int64_t at_ns)
{
    double sum = 0;
    for (size_t i = 0; i < v->plan->scenario_count; i++) {
        const PlanScenario *s = &v->plan->scenarios[i];
        int64_t inside = at_ns - s->start_time_ns;
        if (is_arrival(s) || inside < 0 || inside >= scenario_duration_ns(s)) {
            continue;
        }
        sum +=
            s->executor == EXECUTOR_RAMPING_VUS ? (double)vus_planned(s, inside) : (double)s->vus;
    }
    return sum;
}

typedef double (*LoadAt)(const View *v, int64_t at_ns);

static int64_t moment(const View *v, int column)
{
    // The middle of the column: its ends belong to two stages.
    return (int64_t)((double)plan_duration_ns(v->plan) * (column + 0.5) / PLOT_COLUMNS);
}

// One line of blocks of eight heights.
static void put_plot(const View *v, const char *what, LoadAt load)
{
    static const char *const BLOCKS[] = {" ",
                                         "\xE2\x96\x81",
                                         "\xE2\x96\x82",
                                         "\xE2\x96\x83",
                                         "\xE2\x96\x84",
                                         "\xE2\x96\x85",
                                         "\xE2\x96\x86",
                                         "\xE2\x96\x87",
                                         "\xE2\x96\x88"};
    double peak = 0;
    for (int i = 0; i < PLOT_COLUMNS; i++) {
        peak = fmax(peak, load(v, moment(v, i)));
    }
    if (peak <= 0) {
        return;
    }
    Buf *out = &v->app->out;
    buf_printf(out, "  %-13s |", what);
    for (int i = 0; i < PLOT_COLUMNS; i++) {
        buf_puts(out, BLOCKS[(int)ceil(load(v, moment(v, i)) / peak * 8 - 1e-9)]);
    }
    buf_printf(out, "| peak %.*s\n", SLICE_FMT(words_number(v->app->arena, peak)));
}

static void show_load(const View *v)
{
    Arena *arena = v->app->arena;
    buf_printf(&v->app->out, "\nload over time, 0 to %.*s\n",
               SLICE_FMT(words_duration(arena, plan_duration_ns(v->plan))));
    put_plot(v, "iterations/s", offered_at);
    put_plot(v, "closed VUs", closed_vus_at);
}

// ---- text

static void show_head(const View *v)
{
    const Plan *plan = v->plan;
    Arena *arena = v->app->arena;
    Table t = table_create(arena, 2);
    table_put(&t, SLICE("plan"));
    table_put(&t, plan->name);
    table_put(&t, SLICE("source"));
    table_put(&t, plan->source);
    table_put(&t, SLICE("seed"));
    table_putf(&t, "%llu", (unsigned long long)plan->seed);
    if (plan->environment) {
        const PlanEnvironment *environment = plan->environment;
        table_put(&t, SLICE("environment"));
        table_put(&t, arena_printf(arena, "%.*s (%.*s) %.*s%s", SLICE_FMT(environment->name),
                                   SLICE_FMT(environment_kind_name(environment->kind)),
                                   SLICE_FMT(plan_env_hide(v->env, environment->base_url)),
                                   environment->data_isolated ? ", data isolated" : ""));
    }
    table_put(&t, SLICE("length"));
    table_put(&t,
              arena_printf(arena, "%.*s, with graceful stops at most %.*s",
                           SLICE_FMT(words_duration(arena, plan_duration_ns(plan))),
                           SLICE_FMT(words_duration(arena, plan_duration_with_stops_ns(plan)))));
    table_put(&t, SLICE("VUs"));
    table_putf(&t, "at most %lld", (long long)plan_vus_max(plan));
    if (plan->baseline.len > 0) {
        table_put(&t, SLICE("baseline"));
        table_put(&t, plan->baseline);
    }
    table_print(&t, 0, &v->app->out);
}

static void show_scenarios(const View *v)
{
    static const char *const HEADS[] = {"SCENARIO", "EXECUTOR", "STARTS",
                                        "LENGTH",   "VUS",      "ITERATIONS"};
    Arena *arena = v->app->arena;
    Table t = table_create(arena, COUNT_OF(HEADS));
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        table_put(&t, slice_from_cstr(HEADS[i]));
    }
    for (size_t i = 0; i < v->plan->scenario_count; i++) {
        const PlanScenario *s = &v->plan->scenarios[i];
        int64_t iterations = scenario_iterations(s);
        table_put(&t, s->name);
        table_put(&t, executor_name(s->executor));
        table_put(&t,
                  s->start_time_ns == 0 ? SLICE("0s") : words_duration(arena, s->start_time_ns));
        table_put(&t, words_duration(arena, scenario_duration_ns(s)));
        table_putf(&t, "%lld", (long long)s->max_vus);
        table_put(&t, iterations < 0 ? SLICE("as the target answers")
                                     : words_count(arena, (double)iterations));
    }
    buf_putc(&v->app->out, '\n');
    table_print(&t, 0, &v->app->out);
}

static void show_requests(const View *v)
{
    static const char *const HEADS[] = {"REQUEST", "METHOD", "CHECKS", "URL"};
    Table t = table_create(v->app->arena, COUNT_OF(HEADS));
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        table_put(&t, slice_from_cstr(HEADS[i]));
    }
    for (size_t i = 0; i < v->plan->request_count; i++) {
        const PlanRequest *request = &v->plan->requests[i];
        table_put(&t, request->name);
        table_put(&t, request->method);
        table_putf(&t, "%zu", request->check_count);
        table_put(&t, template_words(v, &request->url));
    }
    buf_putc(&v->app->out, '\n');
    table_print(&t, 0, &v->app->out);
}

static void show_conditions(const View *v)
{
    const Plan *plan = v->plan;
    if (plan->threshold_count + plan->slo_file_count == 0) {
        buf_puts(&v->app->out,
                 "\nno thresholds and no objectives: the platform's defaults apply\n");
        return;
    }
    Table t = table_create(v->app->arena, 3);
    for (size_t i = 0; i < plan->threshold_count; i++) {
        table_put(&t, plan->thresholds[i].key);
        table_put(&t, plan->thresholds[i].test.source);
        table_put(&t, plan->thresholds[i].abort_on_fail ? SLICE("ends the test") : (Slice){0});
    }
    for (size_t i = 0; i < plan->slo_file_count; i++) {
        table_put(&t, SLICE("objectives"));
        table_put(&t, plan->slo_files[i]);
        table_put(&t, (Slice){0});
    }
    buf_puts(&v->app->out, "\nwhat has to hold\n");
    table_print(&t, 2, &v->app->out);
}

static void show_text(const View *v)
{
    show_head(v);
    show_scenarios(v);
    show_load(v);
    show_requests(v);
    show_conditions(v);
}

// ---- JSON

static void json_scenarios(JsonWriter *w, const View *v)
{
    json_key(w, SLICE("scenarios"));
    json_array_begin(w);
    for (size_t i = 0; i < v->plan->scenario_count; i++) {
        const PlanScenario *s = &v->plan->scenarios[i];
        int64_t iterations = scenario_iterations(s);
        json_object_begin(w);
        json_field_string(w, "name", s->name);
        json_field_string(w, "executor", executor_name(s->executor));
        json_field_double(w, "startSeconds", (double)s->start_time_ns / (double)NS_PER_S);
        json_field_double(w, "lengthSeconds", (double)scenario_duration_ns(s) / (double)NS_PER_S);
        json_field_int(w, "vusMax", s->max_vus);
        json_key(w, SLICE("iterations"));
        if (iterations < 0) {
            json_null(w); // only the target's speed tells
        } else {
            json_int(w, iterations);
        }
        json_object_end(w);
    }
    json_array_end(w);
}

static void json_requests(JsonWriter *w, const View *v)
{
    json_key(w, SLICE("requests"));
    json_array_begin(w);
    for (size_t i = 0; i < v->plan->request_count; i++) {
        const PlanRequest *request = &v->plan->requests[i];
        json_object_begin(w);
        json_field_string(w, "name", request->name);
        json_field_string(w, "method", request->method);
        json_field_string(w, "url", template_words(v, &request->url));
        json_field_bool(w, "writes", request->writes);
        json_field_int(w, "checks", (int64_t)request->check_count);
        json_object_end(w);
    }
    json_array_end(w);
    json_key(w, SLICE("thresholds"));
    json_array_begin(w);
    for (size_t i = 0; i < v->plan->threshold_count; i++) {
        const PlanThreshold *t = &v->plan->thresholds[i];
        json_object_begin(w);
        json_field_string(w, "metric", t->key);
        json_field_string(w, "expression", t->test.source);
        json_field_bool(w, "abortOnFail", t->abort_on_fail);
        json_object_end(w);
    }
    json_array_end(w);
}

static void json_load(JsonWriter *w, const View *v)
{
    json_key(w, SLICE("load"));
    json_array_begin(w);
    for (int i = 0; i < PLOT_COLUMNS; i++) {
        int64_t at_ns = moment(v, i);
        json_object_begin(w);
        json_field_double(w, "atSeconds", (double)at_ns / (double)NS_PER_S);
        json_field_double(w, "iterationsPerSecond", offered_at(v, at_ns));
        json_field_double(w, "closedVUs", closed_vus_at(v, at_ns));
        json_object_end(w);
    }
    json_array_end(w);
}

static void show_json(const View *v)
{
    const Plan *plan = v->plan;
    Sha256 hash = sha256_of(plan->canonical_json);
    char hex[SHA256_HEX + 1];
    sha256_hex(&hash, hex);
    JsonWriter w = json_writer(&v->app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_field_string(&w, "name", plan->name);
    json_field_string(&w, "source", plan->source);
    json_field_cstr(&w, "sha256", hex);
    json_key(&w, SLICE("seed"));
    json_uint(&w, plan->seed);
    json_key(&w, SLICE("environment"));
    if (plan->environment) {
        json_object_begin(&w);
        json_field_string(&w, "name", plan->environment->name);
        json_field_string(&w, "kind", environment_kind_name(plan->environment->kind));
        json_field_string(&w, "baseUrl", plan_env_hide(v->env, plan->environment->base_url));
        json_field_bool(&w, "dataIsolated", plan->environment->data_isolated);
        json_object_end(&w);
    } else {
        json_null(&w);
    }
    json_field_int(&w, "vusMax", plan_vus_max(plan));
    json_field_double(&w, "lengthSeconds", (double)plan_duration_ns(plan) / (double)NS_PER_S);
    json_field_double(&w, "lengthWithStopsSeconds",
                      (double)plan_duration_with_stops_ns(plan) / (double)NS_PER_S);
    json_scenarios(&w, v);
    json_requests(&w, v);
    json_load(&w, v);
    json_key(&w, SLICE("plan"));
    json_raw(&w, plan->canonical_json);
    json_object_end(&w);
    buf_putc(&v->app->out, '\n');
}

// ---- schedule

static void put_row(const View *v, const PlanScenario *s, const char *what, int64_t number,
                    int64_t at_ns)
{
    Buf *out = &v->app->out;
    utf8_sanitise(out, s->name);
    buf_printf(out, ",%s,%lld,%.9f\n", what, (long long)number,
               (double)(s->start_time_ns + at_ns) / (double)NS_PER_S);
}

// What the engine would do when, to the nanosecond, scenario by scenario.
static void show_schedule(const View *v, int64_t limit)
{
    buf_puts(&v->app->out, "scenario,event,number,at_s\n");
    for (size_t i = 0; i < v->plan->scenario_count; i++) {
        const PlanScenario *s = &v->plan->scenarios[i];
        int64_t rows = 0, number, at_ns;
        if (v->schedules[i]) {
            ScheduleCursor cursor = schedule_cursor(v->schedules[i], 0, 1);
            while (rows++ < limit && schedule_next(&cursor, &number, &at_ns)) {
                put_row(v, s, "iteration", number, at_ns);
            }
        } else if (s->executor == EXECUTOR_RAMPING_VUS) {
            VuCursor cursor = vu_cursor(s);
            VuStep step;
            while (rows++ < limit && vu_cursor_next(&cursor, &step)) {
                put_row(v, s, "vus", step.vus, step.at_ns);
            }
        } else {
            put_row(v, s, "vus", s->vus, 0);
        }
    }
}

static int run_show(App *app, const OptionSet *set, Err *e)
{
    const char *path = arena_cstr(app->arena, option_positional(set, 0));
    View v = {.app = app, .env = ARENA_NEW(app->arena, PlanEnv)};
    PlanOptions options = plan_env_options(v.env, app->arena);
    PlanMistakes *mistakes = ARENA_NEW(app->arena, PlanMistakes);
    int rc = plan_read_file(app->arena, path, &options, &v.plan, mistakes, e);
    for (size_t i = 0; i < mistakes->count; i++) {
        Slice text = plan_env_hide(v.env, mistakes->items[i].text);
        if (mistakes->items[i].warning) {
            app_warn(app, "%.*s", SLICE_FMT(text));
        }
    }
    if (rc != 0) {
        return rc;
    }
    v.schedules = ARENA_ARRAY(app->arena, const Schedule *, v.plan->scenario_count + 1);
    for (size_t i = 0; i < v.plan->scenario_count; i++) {
        const PlanScenario *s = &v.plan->scenarios[i];
        v.schedules[i] = is_arrival(s) ? schedule_create(app->arena, s, v.plan->seed) : NULL;
    }
    if (option_flag(set, "schedule")) {
        show_schedule(&v, option_int(set, "limit"));
        return buf_check(&app->out, "the schedule (lower --limit)", e);
    }
    if (option_flag(set, "json")) {
        show_json(&v);
    } else {
        show_text(&v);
    }
    return EXIT_PASS;
}

static const Positional SHOW_ARGS[] = {{"FILE", "The plan: YAML, JSON or TOML.", false, false}};
static const Option SHOW_OPTIONS[] = {
    {.name = "schedule",
     .kind = OPTION_FLAG,
     .section = "Output",
     .help = "Print the intended start of every iteration, and every change of the number of VUs, "
             "as CSV. Equal plans with equal seeds print the same."},
    {.name = "limit",
     .kind = OPTION_INT,
     .min = 1,
     .max = SCHEDULE_ROWS_MAX,
     .default_text = "1000",
     .section = "Output",
     .help = "Rows of --schedule a scenario."},
    OPTION_JSON,
};
static const Example SHOW_EXAMPLES[] = {
    {"perfwright plan show plan.yaml", "How long, how hard, which requests."},
    {"perfwright plan show plan.yaml --schedule | head", "The first intended starts."},
};
static const Verb VERB_SHOW = {
    .name = "plan show",
    .summary = "show what a plan would do, without doing it",
    .description = "Nothing is sent. Values of environment variables are shown as ${env.NAME}.",
    OPTION_TABLE(SHOW_OPTIONS),
    POSITIONAL_TABLE(SHOW_ARGS),
    EXAMPLE_TABLE(SHOW_EXAMPLES)};
const Command CMD_PLAN_SHOW = {&VERB_SHOW, run_show, false};
