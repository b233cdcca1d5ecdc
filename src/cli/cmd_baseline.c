// baseline pin, unpin, list, show, export, import: names for runs that others are compared with.
#include "cli/commands.h"
#include "cli/table.h"

#include <math.h>

#include "assess/run_set.h"
#include "base/json_write.h"
#include "ledger/baseline.h"
#include "os/clock.h"
#include "os/file.h"
#include "report/words.h"

static int with_ledger(App *app, const OptionSet *set,
                       int (*work)(App *app, const OptionSet *set, Ledger *ledger, Err *e), Err *e)
{
    Ledger *ledger = NULL;
    int rc = app_open_ledger(app, set, false, &ledger, e);
    if (rc == 0) {
        rc = work(app, set, ledger, e);
        ledger_close(ledger);
    }
    return rc;
}

static void json_time(JsonWriter *w, const char *key, int64_t unix_ns)
{
    char text[CLOCK_RFC3339_MAX];
    clock_print_rfc3339(unix_ns, text);
    json_field_cstr(w, key, text);
}

static const Positional NAME_ARGS[] = {{"NAME", "The baseline's name.", false, false}};
static const Option PLAIN_OPTIONS[] = {OPTION_JSON, OPTION_LEDGER};

// ---- pin

static int pin(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    Slice name = option_positional(set, 0);
    Slice *ids = NULL;
    size_t count = 0;
    int rc = run_set_ids(ledger, option_string(set, "runs"), app->arena, &ids, &count, e);
    if (rc == 0) {
        rc = baseline_pin(ledger, name, ids, count, option_string(set, "note"), e);
    }
    if (rc != 0) {
        return rc;
    }
    if (!option_flag(set, "json")) {
        app_say(app, "%.*s: %zu run%s", SLICE_FMT(name), count, count == 1 ? "" : "s");
        return EXIT_PASS;
    }
    JsonWriter w = json_writer(&app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_field_string(&w, "name", name);
    json_key(&w, SLICE("runs"));
    json_array_begin(&w);
    for (size_t i = 0; i < count; i++) {
        json_string(&w, ids[i]);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_putc(&app->out, '\n');
    return EXIT_PASS;
}

static int run_pin(App *app, const OptionSet *set, Err *e)
{
    return with_ledger(app, set, pin, e);
}

static const Option PIN_OPTIONS[] = {
    {.name = "runs",
     .kind = OPTION_STRING,
     .metavar = "RUNS",
     .default_text = "latest",
     .help = "Which runs: latest (all of the newest command), ids, label:KEY=VALUE, group:ID, "
             "another baseline, or several of these parted by commas."},
    {.name = "note", .kind = OPTION_STRING, .metavar = "TEXT", .help = "Why, for later readers."},
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Example PIN_EXAMPLES[] = {
    {"perfwright baseline pin main --runs label:commit=4f2c", "What the branch is held to."},
};
static const Verb VERB_PIN = {
    .name = "baseline pin",
    .summary = "give recorded runs a name to compare with",
    .description =
        "Three runs or more make comparisons tests at the level of runs. A name that is pinned "
        "again stands for the new runs; the ledger keeps the history. Invalid runs are refused.",
    OPTION_TABLE(PIN_OPTIONS),
    POSITIONAL_TABLE(NAME_ARGS),
    EXAMPLE_TABLE(PIN_EXAMPLES)};
const Command CMD_BASELINE_PIN = {&VERB_PIN, run_pin, false};

// ---- unpin

static int unpin(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    (void)app;
    return baseline_unpin(ledger, option_positional(set, 0), e);
}

static int run_unpin(App *app, const OptionSet *set, Err *e)
{
    return with_ledger(app, set, unpin, e);
}

static const Option UNPIN_OPTIONS[] = {OPTION_LEDGER};
static const Verb VERB_UNPIN = {.name = "baseline unpin",
                                .summary = "forget a baseline's name; its runs stay",
                                OPTION_TABLE(UNPIN_OPTIONS),
                                POSITIONAL_TABLE(NAME_ARGS)};
const Command CMD_BASELINE_UNPIN = {&VERB_UNPIN, run_unpin, false};

// ---- list

static void list_json(App *app, const Baseline *items, size_t count)
{
    JsonWriter w = json_writer(&app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_key(&w, SLICE("baselines"));
    json_array_begin(&w);
    for (size_t i = 0; i < count; i++) {
        json_object_begin(&w);
        json_field_string(&w, "name", items[i].name);
        json_field_int(&w, "runs", items[i].runs);
        json_time(&w, "pinned", items[i].pinned_unix_ns);
        json_field_string(&w, "note", items[i].note);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_putc(&app->out, '\n');
}

static int list(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    Baseline *items = NULL;
    size_t count = 0;
    int rc = baseline_list(ledger, app->arena, &items, &count, e);
    if (rc != 0) {
        return rc;
    }
    if (option_flag(set, "json")) {
        list_json(app, items, count);
        return EXIT_PASS;
    }
    if (count == 0) {
        app_say(app, "no baselines in %s", ledger_path(ledger));
        return EXIT_PASS;
    }
    Table t = table_create(app->arena, 4);
    table_right(&t, 1);
    table_put(&t, SLICE("NAME"));
    table_put(&t, SLICE("RUNS"));
    table_put(&t, SLICE("PINNED"));
    table_put(&t, SLICE("NOTE"));
    for (size_t i = 0; i < count; i++) {
        table_put(&t, items[i].name);
        table_putf(&t, "%lld", (long long)items[i].runs);
        table_put(&t, words_time(app->arena, items[i].pinned_unix_ns));
        table_put(&t, items[i].note);
    }
    table_print(&t, 0, &app->out);
    return EXIT_PASS;
}

static int run_list_verb(App *app, const OptionSet *set, Err *e)
{
    return with_ledger(app, set, list, e);
}

static const Verb VERB_LIST = {
    .name = "baseline list", .summary = "list the pinned baselines", OPTION_TABLE(PLAIN_OPTIONS)};
const Command CMD_BASELINE_LIST = {&VERB_LIST, run_list_verb, false};

// ---- show

static double p95_ms(const RunData *run)
{
    double ns = 0;
    bool known = run_quantile(run, SLICE("http_req_duration"), (Labels){0}, 0.95, &ns);
    return known ? ns / (double)NS_PER_MS : (double)NAN;
}

static void show_json(App *app, Slice name, RunData *const *runs, size_t count)
{
    JsonWriter w = json_writer(&app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_field_string(&w, "name", name);
    json_key(&w, SLICE("runs"));
    json_array_begin(&w);
    for (size_t i = 0; i < count; i++) {
        json_object_begin(&w);
        json_field_cstr(&w, "id", runs[i]->info.id);
        json_field_string(&w, "status", run_status_name(runs[i]->end.status));
        json_field_string(&w, "name", runs[i]->info.name);
        json_time(&w, "started", runs[i]->info.started_unix_ns);
        json_field_double(&w, "p95Ms", p95_ms(runs[i]));
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_putc(&app->out, '\n');
}

static void show_text(App *app, RunData *const *runs, size_t count)
{
    Table t = table_create(app->arena, 5);
    table_right(&t, 3);
    static const char *const HEADS[] = {"ID", "STATUS", "STARTED", "P95", "NAME"};
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        table_put(&t, slice_from_cstr(HEADS[i]));
    }
    for (size_t i = 0; i < count; i++) {
        table_putf(&t, "%s", runs[i]->info.id);
        table_put(&t, run_status_name(runs[i]->end.status));
        table_put(&t, words_time(app->arena, runs[i]->info.started_unix_ns));
        table_put(&t, words_ms(app->arena, p95_ms(runs[i])));
        table_put(&t, runs[i]->info.name);
    }
    table_print(&t, 0, &app->out);
}

static int show(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    Slice name = option_positional(set, 0);
    Slice *ids = NULL;
    size_t count = 0;
    int rc = baseline_resolve(ledger, name, app->arena, &ids, &count, e);
    RunData **runs = ARENA_ARRAY(app->arena, RunData *, count + 1);
    size_t loaded = 0;
    while (rc == 0 && loaded < count) {
        rc = run_load(ledger, ids[loaded], app->arena, &runs[loaded], e);
        loaded += rc == 0;
    }
    if (rc == 0 && option_flag(set, "json")) {
        show_json(app, name, runs, count);
    } else if (rc == 0) {
        show_text(app, runs, count);
    }
    for (size_t i = 0; i < loaded; i++) {
        run_data_done(runs[i]);
    }
    return rc;
}

static int run_show(App *app, const OptionSet *set, Err *e)
{
    return with_ledger(app, set, show, e);
}

static const Verb VERB_SHOW = {.name = "baseline show",
                               .summary = "show the runs that a baseline stands for",
                               OPTION_TABLE(PLAIN_OPTIONS),
                               POSITIONAL_TABLE(NAME_ARGS)};
const Command CMD_BASELINE_SHOW = {&VERB_SHOW, run_show, false};

// ---- export

static int export(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    Slice path = option_string(set, "output");
    if (path.len == 0) {
        int rc = baseline_export(ledger, option_positional(set, 0), &app->out, e);
        return rc != 0 ? rc : buf_check(&app->out, "the export (use --output)", e);
    }
    Buf out = buf_create(RUN_EXPORT_BYTES_MAX);
    int rc = baseline_export(ledger, option_positional(set, 0), &out, e);
    if (rc == 0) {
        rc = buf_check(&out, "the export", e);
    }
    if (rc == 0) {
        rc = file_write(arena_cstr(app->arena, path), buf_slice(&out), NULL, e);
    }
    buf_done(&out);
    return rc;
}

static int run_export_verb(App *app, const OptionSet *set, Err *e)
{
    return with_ledger(app, set, export, e);
}

static const Option EXPORT_OPTIONS[] = {
    {.name = "output",
     .short_name = 'o',
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "Output",
     .help = "Write there instead of to standard output."},
    OPTION_LEDGER,
};
static const Verb VERB_EXPORT = {.name = "baseline export",
                                 .summary = "write a baseline with all its runs as JSON",
                                 OPTION_TABLE(EXPORT_OPTIONS),
                                 POSITIONAL_TABLE(NAME_ARGS)};
const Command CMD_BASELINE_EXPORT = {&VERB_EXPORT, run_export_verb, false};

// ---- import

static int import(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    const char *path = arena_cstr(app->arena, option_positional(set, 1));
    Buf text = buf_create(RUN_EXPORT_BYTES_MAX);
    int rc = file_read(path, &text, e);
    if (rc == 0) {
        rc = baseline_import(ledger, option_positional(set, 0), buf_slice(&text), path, e);
    }
    buf_done(&text);
    return rc;
}

static int run_import_verb(App *app, const OptionSet *set, Err *e)
{
    return with_ledger(app, set, import, e);
}

static const Positional IMPORT_ARGS[] = {
    {"NAME", "The name to pin the runs under.", false, false},
    {"FILE",
     "A baseline or run that was exported, a JSON time series of another tool, or what k6 wrote "
     "with --summary-export.",
     false, false},
};
static const Option IMPORT_OPTIONS[] = {OPTION_LEDGER};
static const Example IMPORT_EXAMPLES[] = {
    {"perfwright baseline import k6-main summary.json", "Compare with what k6 measured."},
};
static const Verb VERB_IMPORT = {
    .name = "baseline import",
    .summary = "make a baseline of runs from a file, also of other tools",
    .description = "docs/internals/ledger.md describes the time series document.",
    OPTION_TABLE(IMPORT_OPTIONS),
    POSITIONAL_TABLE(IMPORT_ARGS),
    EXAMPLE_TABLE(IMPORT_EXAMPLES)};
const Command CMD_BASELINE_IMPORT = {&VERB_IMPORT, run_import_verb, false};
