// plan validate: every mistake of a plan, and of the objectives it names, with its place.
#include "cli/commands.h"

#include "base/json_write.h"
#include "base/utf8.h"
#include "cli/plan_env.h"
#include "judge/openslo.h"

typedef struct Validation {
    App *app;
    JsonWriter *json; // NULL: text
    int64_t errors, warnings;
} Validation;

static void put_mistake(Validation *v, bool warning, int line, int column, Slice text)
{
    v->errors += !warning;
    v->warnings += warning;
    if (!v->json) {
        buf_puts(&v->app->out, warning ? "warning: " : "");
        utf8_sanitise(&v->app->out, text);
        buf_putc(&v->app->out, '\n');
        return;
    }
    json_object_begin(v->json);
    json_field_cstr(v->json, "severity", warning ? "warning" : "error");
    if (line > 0) {
        json_field_int(v->json, "line", line);
        json_field_int(v->json, "column", column);
    }
    json_field_string(v->json, "text", text);
    json_object_end(v->json);
}

// The documents that the plan judges by: a mistake in one would be found after the test otherwise.
static void check_slo_files(Validation *v, const Plan *plan)
{
    for (size_t i = 0; i < plan->slo_file_count; i++) {
        OpenSlo file = {0};
        Err e = {0};
        const char *path = arena_cstr(v->app->arena, plan->slo_files[i]);
        int rc = openslo_read_file(v->app->arena, path, &file, &e);
        for (size_t k = 0; k < file.problem_count; k++) {
            put_mistake(v, false, 0, 0, file.problems[k]);
        }
        if (rc != 0 && file.problem_count == 0) {
            put_mistake(v, false, 0, 0, slice_from_cstr(e.text));
        }
    }
}

static void put_end(Validation *v, const char *path, const Plan *plan, size_t left_out)
{
    if (v->json) {
        json_array_end(v->json);
        json_field_bool(v->json, "valid", v->errors == 0);
        json_field_int(v->json, "errors", v->errors);
        json_field_int(v->json, "warnings", v->warnings);
        json_field_int(v->json, "leftOut", (int64_t)left_out);
        json_object_end(v->json);
        buf_putc(&v->app->out, '\n');
    } else if (v->errors > 0) {
        app_say(v->app, "%s: %lld mistake%s, %lld warning%s", path, (long long)v->errors,
                v->errors == 1 ? "" : "s", (long long)v->warnings, v->warnings == 1 ? "" : "s");
        if (left_out > 0) {
            app_say(v->app, "%zu more were not listed", left_out);
        }
    } else {
        buf_printf(&v->app->out, "%s: valid: %zu scenario%s, %zu request%s, %zu threshold%s\n",
                   path, plan->scenario_count, plan->scenario_count == 1 ? "" : "s",
                   plan->request_count, plan->request_count == 1 ? "" : "s", plan->threshold_count,
                   plan->threshold_count == 1 ? "" : "s");
    }
}

static int run_validate(App *app, const OptionSet *set, Err *e)
{
    const char *path = arena_cstr(app->arena, option_positional(set, 0));
    PlanEnv *env = ARENA_NEW(app->arena, PlanEnv);
    PlanOptions options = plan_env_options(env, app->arena);
    PlanMistakes *mistakes = ARENA_NEW(app->arena, PlanMistakes);
    const Plan *plan = NULL;
    int rc = plan_read_file(app->arena, path, &options, &plan, mistakes, e);
    if (rc != 0 && rc != ERR_PARSE && rc != ERR_LIMIT) {
        return rc; // no file, or one that cannot be read
    }
    JsonWriter w = json_writer(&app->out, 2);
    Validation v = {.app = app, .json = option_flag(set, "json") ? &w : NULL};
    if (v.json) {
        json_object_begin(&w);
        json_field_int(&w, "version", 1);
        json_field_cstr(&w, "file", path);
        json_key(&w, SLICE("mistakes"));
        json_array_begin(&w);
    }
    for (size_t i = 0; i < mistakes->count; i++) {
        const PlanMistake *m = &mistakes->items[i];
        put_mistake(&v, m->warning, m->line, m->column, plan_env_hide(env, m->text));
    }
    if (rc == 0) {
        check_slo_files(&v, plan);
    }
    put_end(&v, path, plan, mistakes->left_out);
    return v.errors == 0 ? EXIT_PASS : EXIT_PLAN_INVALID;
}

static const Positional VALIDATE_ARGS[] = {{"FILE", "The plan: YAML, JSON or TOML.", false, false}};
static const Option VALIDATE_OPTIONS[] = {OPTION_JSON};
static const Verb VERB_VALIDATE = {
    .name = "plan validate",
    .summary = "list every mistake of a plan with file, line and column",
    .description = "Files that the plan names are looked at as well: feeds, bodies, objectives. "
                   "Nothing is sent. Exits with 104 when the plan is not valid; warnings do not "
                   "count. docs/guide/plan.md describes plans.",
    OPTION_TABLE(VALIDATE_OPTIONS),
    POSITIONAL_TABLE(VALIDATE_ARGS)};
const Command CMD_PLAN_VALIDATE = {&VERB_VALIDATE, run_validate, false};
