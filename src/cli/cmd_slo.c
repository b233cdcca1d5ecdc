// slo validate, slo eval: OpenSLO documents, and what a run says about them.
#include "cli/commands.h"
#include "cli/table.h"

#include "assess/assessment.h"
#include "base/json_write.h"
#include "base/utf8.h"
#include "judge/openslo.h"
#include "report/words.h"

enum { FILES_MAX = 100 };

// ---- slo validate

typedef struct Checked {
    Slice path;
    OpenSlo file;
    bool valid;
    Slice unreadable; // why the file gave no document at all
} Checked;

static Checked check_file(App *app, Slice path)
{
    Checked c = {.path = path};
    Err e = {0};
    int rc = openslo_read_file(app->arena, arena_cstr(app->arena, path), &c.file, &e);
    c.valid = rc == 0;
    if (rc != 0 && c.file.problem_count == 0) {
        c.unreadable = arena_copy(app->arena, slice_from_cstr(e.text));
    }
    return c;
}

static void put_line(App *app, Slice text)
{
    utf8_sanitise(&app->out, text);
    buf_putc(&app->out, '\n');
}

static void validate_text(App *app, const Checked *c)
{
    for (size_t i = 0; i < c->file.problem_count; i++) {
        put_line(app, c->file.problems[i]);
    }
    if (c->unreadable.len > 0) {
        put_line(app, c->unreadable);
    }
    if (c->file.problems_in_all > c->file.problem_count) {
        app_say(app, "%.*s: and %zu more", SLICE_FMT(c->path),
                c->file.problems_in_all - c->file.problem_count);
    }
    for (size_t i = 0; i < c->file.note_count; i++) {
        app_say(app, "note: %.*s", SLICE_FMT(c->file.notes[i]));
    }
    if (c->valid) {
        buf_printf(&app->out, "%.*s: valid, %zu objective%s\n", SLICE_FMT(c->path),
                   c->file.slo_count, c->file.slo_count == 1 ? "" : "s");
    }
}

static void json_texts(JsonWriter *w, const char *key, const Slice *texts, size_t count)
{
    json_key(w, slice_from_cstr(key));
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        json_string(w, texts[i]);
    }
    json_array_end(w);
}

static void validate_json(JsonWriter *w, const Checked *c)
{
    json_object_begin(w);
    json_field_string(w, "file", c->path);
    json_field_bool(w, "valid", c->valid);
    if (c->unreadable.len > 0) {
        json_texts(w, "problems", &c->unreadable, 1);
    } else {
        json_texts(w, "problems", c->file.problems, c->file.problem_count);
    }
    json_texts(w, "notes", c->file.notes, c->file.note_count);
    json_key(w, SLICE("objectives"));
    json_array_begin(w);
    for (size_t i = 0; c->valid && i < c->file.slo_count; i++) {
        const Slo *slo = &c->file.slos[i];
        json_object_begin(w);
        json_field_string(w, "name", slo->name);
        json_field_string(w, "service", slo->service);
        json_field_string(w, "origin", slo->origin);
        json_field_string(w, "metric", slo->metric);
        json_field_double(w, "target", slo->target);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static int run_validate(App *app, const OptionSet *set, Err *e)
{
    (void)e;
    bool json = option_flag(set, "json"), all_valid = true;
    JsonWriter w = json_writer(&app->out, 2);
    if (json) {
        json_object_begin(&w);
        json_field_int(&w, "version", 1);
        json_key(&w, SLICE("files"));
        json_array_begin(&w);
    }
    for (size_t i = 0; i < option_positional_count(set); i++) {
        Checked c = check_file(app, option_positional(set, i));
        all_valid = all_valid && c.valid;
        if (json) {
            validate_json(&w, &c);
        } else {
            validate_text(app, &c);
        }
    }
    if (json) {
        json_array_end(&w);
        json_field_bool(&w, "valid", all_valid);
        json_object_end(&w);
        buf_putc(&app->out, '\n');
    }
    return all_valid ? EXIT_PASS : EXIT_PLAN_INVALID;
}

static const Positional VALIDATE_ARGS[] = {{"FILE", "OpenSLO v1 documents.", false, true}};
static const Option VALIDATE_OPTIONS[] = {OPTION_JSON};
static const Verb VERB_VALIDATE = {
    .name = "slo validate",
    .summary = "list every mistake of OpenSLO documents with its place",
    .description = "Exits with 104 when a document is not valid. docs/guide/slo.md says what an "
                   "indicator may name.",
    OPTION_TABLE(VALIDATE_OPTIONS),
    POSITIONAL_TABLE(VALIDATE_ARGS)};
const Command CMD_SLO_VALIDATE = {&VERB_VALIDATE, run_validate, false};

// ---- slo eval

static void json_interval(JsonWriter *w, const char *key, Interval interval)
{
    json_key(w, slice_from_cstr(key));
    json_array_begin(w);
    json_double(w, interval.low);
    json_double(w, interval.high);
    json_array_end(w);
}

static void json_verdict(JsonWriter *w, const SloVerdict *v)
{
    json_object_begin(w);
    json_field_string(w, "name", v->name);
    json_field_string(w, "verdict", slo_value_name(v->value));
    json_field_string(w, "endpoint", v->endpoint);
    json_field_string(w, "indicator", v->indicator);
    json_field_string(w, "origin", v->origin);
    json_field_bool(w, "advisory", v->advisory);
    json_field_double(w, "target", v->target);
    json_field_double(w, "estimate", v->estimate);
    json_interval(w, "interval", v->interval);
    json_field_double(w, "limit", v->limit);
    json_field_double(w, "observed", v->observed);
    json_interval(w, "observedInterval", v->observed_interval);
    json_field_string(w, "unit", v->unit);
    json_field_int(w, "n", (int64_t)v->n);
    json_field_double(w, "effectiveN", v->n_effective);
    json_field_int(w, "neededRequests", (int64_t)v->needed.requests);
    json_field_double(w, "budgetConsumed", v->budget.consumed);
    json_field_double(w, "burnRate", v->budget.burn_rate);
    json_field_string(w, "method", v->method);
    json_field_string(w, "reason", v->reason);
    json_object_end(w);
}

static void eval_json(App *app, const Judgement *j)
{
    JsonWriter w = json_writer(&app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_field_string(&w, "status", judge_status_name(j->status));
    json_field_int(&w, "exitCode", j->exit_code);
    json_field_string(&w, "summary", j->summary);
    json_texts(&w, "warnings", j->warnings, j->warning_count);
    json_key(&w, SLICE("objectives"));
    json_array_begin(&w);
    for (size_t i = 0; i < j->slo_count; i++) {
        json_verdict(&w, &j->slos[i]);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_putc(&app->out, '\n');
}

static void eval_text(App *app, const Judgement *j)
{
    static const char *const HEADS[] = {"VERDICT",  "OBJECTIVE", "INDICATOR",
                                        "ESTIMATE", "LIMIT",     "BURN RATE"};
    Arena *arena = app->arena;
    Table t = table_create(arena, COUNT_OF(HEADS));
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        table_put(&t, slice_from_cstr(HEADS[i]));
    }
    for (size_t i = 0; i < j->slo_count; i++) {
        const SloVerdict *v = &j->slos[i];
        table_put(&t, slo_value_name(v->value));
        table_put(&t, v->name);
        table_put(&t, v->indicator);
        Slice estimate = words_value(arena, v->estimate, v->unit, v->is_share);
        Slice interval = words_interval(arena, v->interval, v->unit, v->is_share);
        table_put(&t, arena_printf(arena, "%.*s %.*s", SLICE_FMT(estimate), SLICE_FMT(interval)));
        table_put(&t, words_value(arena, v->limit, v->unit, v->is_share));
        table_put(&t, words_number(arena, v->budget.burn_rate));
    }
    if (j->slo_count > 0) {
        table_print(&t, 0, &app->out);
    }
    for (size_t i = 0; i < j->slo_count; i++) {
        if (j->slos[i].value != SLO_MET) {
            app_say(app, "%.*s: %.*s", SLICE_FMT(j->slos[i].name), SLICE_FMT(j->slos[i].reason));
        }
    }
    for (size_t i = 0; i < j->warning_count; i++) {
        app_warn(app, "%.*s", SLICE_FMT(j->warnings[i]));
    }
    buf_printf(&app->out, "%.*s\n", SLICE_FMT(j->summary));
}

static int eval(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    Slice *files = ARENA_ARRAY(app->arena, Slice, FILES_MAX);
    size_t count = 0;
    for (const OptionValue *v = option_values(set, "slo"); v; v = v->next) {
        if (count == FILES_MAX) {
            return err_set(e, ERR_ARG, "more than %d --slo", FILES_MAX);
        }
        files[count++] = v->text;
    }
    Slice runs = option_positional(set, 0);
    AssessOptions options = {
        .candidate = runs.len > 0 ? runs : SLICE("latest"),
        .no_baseline = true,
        .slo_files = files,
        .slo_file_count = count,
        .slo_options = {.default_availability =
                            config_get(app->config, CONFIG_SLO_AVAILABILITY)->real,
                        .default_p95_ms =
                            (double)config_get(app->config, CONFIG_SLO_LATENCY_P95)->integer /
                            (double)NS_PER_MS},
        .allow_not_proven = option_flag(set, "allow-not-proven"),
    };
    Assessment a;
    int rc = assess(ledger, app->arena, &options, &a, e);
    if (rc != 0) {
        return rc;
    }
    if (option_flag(set, "json")) {
        eval_json(app, &a.judgement);
    } else {
        eval_text(app, &a.judgement);
    }
    rc = a.judgement.exit_code;
    assessment_done(&a);
    return rc;
}

static int run_eval(App *app, const OptionSet *set, Err *e)
{
    Ledger *ledger = NULL;
    int rc = app_open_ledger(app, set, false, &ledger, e);
    if (rc == 0) {
        rc = eval(app, set, ledger, e);
        ledger_close(ledger);
    }
    return rc;
}

static const Positional EVAL_ARGS[] = {
    {"RUNS", "Selector of runs: latest (the default), an id, label:KEY=VALUE, a baseline.", true,
     false},
};
static const Option EVAL_OPTIONS[] = {
    {.name = "slo",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .repeat = true,
     .section = "Judging",
     .help = "OpenSLO v1 document to judge by, instead of those the run was started with. "
             "Repeatable."},
    {.name = "allow-not-proven",
     .kind = OPTION_FLAG,
     .section = "Judging",
     .help = "Exit with 0 instead of 113 when the evidence does not suffice."},
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Example EVAL_EXAMPLES[] = {
    {"perfwright slo eval latest --slo slo.yaml", "Judge a recorded run by another objective."},
};
static const Verb VERB_EVAL = {
    .name = "slo eval",
    .summary = "judge recorded runs by objectives and thresholds only",
    .description = "met, breached or not proven, each with its interval. Exit codes are those of "
                   "`perfwright gate`: 0, 99 breached, 113 not proven or not valid, 114 partial.",
    OPTION_TABLE(EVAL_OPTIONS),
    POSITIONAL_TABLE(EVAL_ARGS),
    EXAMPLE_TABLE(EVAL_EXAMPLES)};
const Command CMD_SLO_EVAL = {&VERB_EVAL, run_eval, false};
