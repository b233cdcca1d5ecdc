// run list, show, export, import: what the ledger holds about runs.
#include "cli/commands.h"
#include "cli/table.h"

#include "base/json_write.h"
#include "ledger/run.h"
#include "os/clock.h"
#include "os/file.h"
#include "report/model.h"
#include "report/words.h"

enum { EVENTS_SHOWN = 50 };

// ---- pieces

static Slice labels_text(Arena *arena, Labels labels)
{
    Slice text = {0};
    for (size_t i = 0; i < labels.count; i++) {
        text = arena_printf(arena, "%.*s%s%.*s=%.*s", SLICE_FMT(text), i > 0 ? " " : "",
                            SLICE_FMT(labels.items[i].key), SLICE_FMT(labels.items[i].value));
    }
    return text;
}

static void json_labels(JsonWriter *w, Labels labels)
{
    json_key(w, SLICE("labels"));
    json_object_begin(w);
    for (size_t i = 0; i < labels.count; i++) {
        json_key(w, labels.items[i].key);
        json_string(w, labels.items[i].value);
    }
    json_object_end(w);
}

static void json_time(JsonWriter *w, const char *key, int64_t unix_ns)
{
    char text[CLOCK_RFC3339_MAX];
    clock_print_rfc3339(unix_ns, text);
    json_field_cstr(w, key, text);
}

static void json_info(JsonWriter *w, const RunInfo *info)
{
    json_field_cstr(w, "id", info->id);
    json_field_string(w, "kind", info->kind);
    json_field_string(w, "name", info->name);
    json_field_string(w, "target", info->target);
    json_field_string(w, "group", info->group);
    json_time(w, "started", info->started_unix_ns);
    json_field_double(w, "loadScale", info->load_scale);
    json_labels(w, info->labels);
}

// KEY=VALUE of every --label.
static int read_labels(App *app, const OptionSet *set, Labels *ret_labels, Err *e)
{
    Label *items = ARENA_ARRAY(app->arena, Label, LABELS_MAX);
    size_t count = 0;
    for (const OptionValue *v = option_values(set, "label"); v; v = v->next) {
        if (count == LABELS_MAX) {
            return err_set(e, ERR_ARG, "more than %d labels", LABELS_MAX);
        }
        if (!slice_cut(v->text, '=', &items[count].key, &items[count].value)) {
            return err_set(e, ERR_ARG, "--label %.*s: write KEY=VALUE", SLICE_FMT(v->text));
        }
        count++;
    }
    int rc = labels_copy(app->arena, items, count, ret_labels, e);
    return rc == 0 ? 0 : ERR_ARG;
}

// ---- run list

static void list_json(App *app, const RunListItem *items, size_t count)
{
    JsonWriter w = json_writer(&app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_key(&w, SLICE("runs"));
    json_array_begin(&w);
    for (size_t i = 0; i < count; i++) {
        json_object_begin(&w);
        json_info(&w, &items[i].info);
        json_field_string(&w, "status", run_status_name(items[i].status));
        json_field_string(&w, "reason", items[i].reason);
        json_field_double(&w, "durationSeconds", (double)items[i].duration_ns / (double)NS_PER_S);
        json_field_int(&w, "requests", items[i].requests);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_putc(&app->out, '\n');
}

static void list_text(App *app, const RunListItem *items, size_t count)
{
    static const char *const HEADS[] = {"ID",       "STATUS", "STARTED", "DURATION",
                                        "REQUESTS", "NAME",   "LABELS"};
    Table t = table_create(app->arena, COUNT_OF(HEADS));
    table_right(&t, 3);
    table_right(&t, 4);
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        table_put(&t, slice_from_cstr(HEADS[i]));
    }
    for (size_t i = 0; i < count; i++) {
        const RunListItem *item = &items[i];
        table_putf(&t, "%s", item->info.id);
        table_put(&t, run_status_name(item->status));
        table_put(&t, words_time(app->arena, item->info.started_unix_ns));
        table_put(&t, words_duration(app->arena, item->duration_ns));
        table_put(&t, words_count(app->arena, (double)item->requests));
        table_put(&t, item->info.name);
        table_put(&t, labels_text(app->arena, item->info.labels));
    }
    table_print(&t, 0, &app->out);
}

static int run_run_list(App *app, const OptionSet *set, Err *e)
{
    RunFilter filter = {.kind = option_string(set, "kind"),
                        .name = option_string(set, "name"),
                        .group = option_string(set, "group"),
                        .limit = option_int(set, "limit")};
    Ledger *ledger = NULL;
    int rc = read_labels(app, set, &filter.labels, e);
    if (rc != 0 || (rc = app_open_ledger(app, set, false, &ledger, e)) != 0) {
        return rc;
    }
    RunListItem *items = NULL;
    size_t count = 0;
    if ((rc = run_list(ledger, &filter, app->arena, &items, &count, e)) == 0) {
        if (option_flag(set, "json")) {
            list_json(app, items, count);
        } else if (count == 0) {
            app_say(app, "no runs in %s", ledger_path(ledger));
        } else {
            list_text(app, items, count);
        }
    }
    ledger_close(ledger);
    return rc;
}

static const Option LIST_OPTIONS[] = {
    {.name = "label",
     .short_name = 'l',
     .kind = OPTION_STRING,
     .metavar = "KEY=VALUE",
     .repeat = true,
     .help = "Only runs with this label. Repeatable: all must be there."},
    {.name = "name", .kind = OPTION_STRING, .help = "Only runs of the plan with this name."},
    {.name = "kind", .kind = OPTION_STRING, .help = "Only runs of this kind: loadtest, imported."},
    {.name = "group", .kind = OPTION_STRING, .metavar = "ID", .help = "Only runs of one command."},
    {.name = "limit",
     .short_name = 'n',
     .kind = OPTION_INT,
     .min = 1,
     .max = 10000,
     .default_text = "50",
     .help = "At most so many, newest first."},
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Example LIST_EXAMPLES[] = {
    {"perfwright run list --label branch=main -n 10", "The newest ten of a branch."},
};
static const Verb VERB_LIST = {.name = "run list",
                               .summary = "list recorded runs, newest first",
                               OPTION_TABLE(LIST_OPTIONS),
                               EXAMPLE_TABLE(LIST_EXAMPLES)};
const Command CMD_RUN_LIST = {&VERB_LIST, run_run_list, false};

// ---- run show

typedef struct Shown {
    const RunData *run;
    ReportModel model; // the same numbers as in every report
    RunArtifact *artifacts;
    size_t artifact_count;
} Shown;

static void json_latency(JsonWriter *w, const char *key, const ReportLatency *l)
{
    json_key(w, slice_from_cstr(key));
    json_object_begin(w);
    json_field_int(w, "count", (int64_t)l->count);
    json_field_double(w, "mean", l->mean);
    json_field_double(w, "min", l->min);
    json_field_double(w, "p50", l->p50);
    json_field_double(w, "p90", l->p90);
    json_field_double(w, "p95", l->p95);
    json_field_double(w, "p99", l->p99);
    json_field_double(w, "max", l->max);
    json_object_end(w);
}

static void json_totals(JsonWriter *w, const Shown *s)
{
    const ReportTotals *t = &s->model.totals;
    json_key(w, SLICE("totals"));
    json_object_begin(w);
    json_field_double(w, "requests", t->requests);
    json_field_double(w, "failed", t->failed);
    json_field_double(w, "iterations", t->iterations);
    json_field_double(w, "dropped", t->dropped);
    json_field_double(w, "dataSent", t->data_sent);
    json_field_double(w, "dataReceived", t->data_received);
    json_latency(w, "durationMs", &t->latency);
    json_latency(w, "correctedMs", &t->corrected);
    json_object_end(w);
    json_key(w, SLICE("endpoints"));
    json_array_begin(w);
    for (size_t i = 0; i < s->model.endpoint_count; i++) {
        const ReportEndpoint *endpoint = &s->model.endpoints[i];
        json_object_begin(w);
        json_field_string(w, "name", endpoint->name);
        json_field_double(w, "requests", endpoint->requests);
        json_field_double(w, "failed", endpoint->failed);
        json_latency(w, "durationMs", &endpoint->latency);
        json_latency(w, "correctedMs", &endpoint->corrected);
        json_object_end(w);
    }
    json_array_end(w);
}

static void json_doc(JsonWriter *w, const char *key, const Doc *doc)
{
    json_key(w, slice_from_cstr(key));
    if (doc) {
        doc_write(w, doc);
    } else {
        json_null(w);
    }
}

static void json_lists(JsonWriter *w, const Shown *s)
{
    json_key(w, SLICE("events"));
    json_array_begin(w);
    for (size_t i = 0; i < s->run->event_count; i++) {
        const RunEvent *event = &s->run->events[i];
        json_object_begin(w);
        json_field_double(w, "atSeconds", (double)event->at_ns / (double)NS_PER_S);
        json_field_string(w, "kind", event->kind);
        json_field_string(w, "text", event->text);
        json_object_end(w);
    }
    json_array_end(w);
    json_key(w, SLICE("artifacts"));
    json_array_begin(w);
    for (size_t i = 0; i < s->artifact_count; i++) {
        const RunArtifact *artifact = &s->artifacts[i];
        json_object_begin(w);
        json_field_string(w, "name", artifact->name);
        json_field_string(w, "mediaType", artifact->media_type);
        json_field_string(w, "sha256", artifact->sha256);
        json_field_int(w, "bytes", artifact->bytes);
        json_object_end(w);
    }
    json_array_end(w);
}

static void show_json(App *app, const Shown *s)
{
    const RunData *run = s->run;
    JsonWriter w = json_writer(&app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_info(&w, &run->info);
    json_field_string(&w, "status", run_status_name(run->end.status));
    json_field_string(&w, "reason", run->end.reason);
    json_field_double(&w, "durationSeconds", (double)run->end.duration_ns / (double)NS_PER_S);
    json_key(&w, SLICE("seed"));
    json_uint(&w, run->info.seed);
    json_field_string(&w, "planSha256", run->info.plan_sha256);
    json_field_string(&w, "sealHash", run->seal_hash);
    json_field_bool(&w, "pruned", run->pruned);
    json_field_int(&w, "lostIntervals", run->lost_intervals);
    json_totals(&w, s);
    json_lists(&w, s);
    json_doc(&w, "thresholds", run->thresholds);
    json_doc(&w, "health", run->health);
    json_doc(&w, "summary", run->summary);
    json_doc(&w, "environment", run->environment);
    json_doc(&w, "plan", run->plan);
    json_object_end(&w);
    buf_putc(&app->out, '\n');
}

static void put_fact(Table *t, const char *name, Slice value)
{
    if (value.len > 0) {
        table_put(t, slice_from_cstr(name));
        table_put(t, value);
    }
}

static void show_head(App *app, const Shown *s)
{
    const RunData *run = s->run;
    Arena *arena = app->arena;
    Table t = table_create(arena, 2);
    put_fact(&t, "run", slice_from_cstr(run->info.id));
    Slice status = run_status_name(run->end.status);
    put_fact(&t, "status",
             run->end.reason.len > 0
                 ? arena_printf(arena, "%.*s: %.*s", SLICE_FMT(status), SLICE_FMT(run->end.reason))
                 : status);
    put_fact(&t, "kind", run->info.kind);
    put_fact(&t, "name", run->info.name);
    put_fact(&t, "target", run->info.target);
    put_fact(&t, "started", words_time(arena, run->info.started_unix_ns));
    put_fact(&t, "duration", words_duration(arena, run->end.duration_ns));
    put_fact(&t, "labels", labels_text(arena, run->info.labels));
    put_fact(&t, "group", run->info.group);
    put_fact(&t, "seed", arena_printf(arena, "%llu", (unsigned long long)run->info.seed));
    if (run->info.load_scale != 1.0) {
        put_fact(&t, "load",
                 arena_printf(arena, "reduced to %.*s of the plan's",
                              SLICE_FMT(words_share(arena, run->info.load_scale))));
    }
    put_fact(&t, "plan sha256", run->info.plan_sha256);
    put_fact(&t, "seal", run->seal_hash);
    put_fact(&t, "points", run->pruned ? SLICE("pruned; the totals are kept") : (Slice){0});
    if (run->lost_intervals > 0) {
        put_fact(&t, "lost",
                 arena_printf(arena, "%lld intervals did not reach the disk",
                              (long long)run->lost_intervals));
    }
    table_print(&t, 0, &app->out);
}

static void put_endpoint(Table *t, Slice name, double requests, double failed_share,
                         const ReportLatency *l)
{
    table_put(t, name);
    table_put(t, words_count(t->arena, requests));
    table_put(t, words_share(t->arena, failed_share));
    table_put(t, words_ms(t->arena, l->p50));
    table_put(t, words_ms(t->arena, l->p95));
    table_put(t, words_ms(t->arena, l->p99));
    table_put(t, words_ms(t->arena, l->max));
}

static void show_endpoints(App *app, const Shown *s)
{
    static const char *const HEADS[] = {"ENDPOINT", "REQUESTS", "FAILED", "P50",
                                        "P95",      "P99",      "MAX"};
    const ReportModel *m = &s->model;
    Table t = table_create(app->arena, COUNT_OF(HEADS));
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        table_put(&t, slice_from_cstr(HEADS[i]));
        if (i > 0) {
            table_right(&t, i);
        }
    }
    for (size_t i = 0; i < m->endpoint_count; i++) {
        const ReportEndpoint *endpoint = &m->endpoints[i];
        put_endpoint(&t, endpoint->name, endpoint->requests, endpoint->failed_share,
                     &endpoint->latency);
    }
    put_endpoint(&t, SLICE("all requests"), m->totals.requests, m->totals.failed_share,
                 &m->totals.latency);
    buf_putc(&app->out, '\n');
    table_print(&t, 0, &app->out);
}

static void show_facts(App *app, const char *title, ReportFacts facts)
{
    if (facts.count == 0) {
        return;
    }
    Table t = table_create(app->arena, 2);
    for (size_t i = 0; i < facts.count; i++) {
        table_put(&t, facts.items[i].name);
        table_put(&t, facts.items[i].value);
    }
    buf_printf(&app->out, "\n%s\n", title);
    table_print(&t, 2, &app->out);
}

static void show_lists(App *app, const Shown *s)
{
    if (s->run->event_count > 0) {
        size_t count = s->run->event_count, shown = count < EVENTS_SHOWN ? count : EVENTS_SHOWN;
        Table t = table_create(app->arena, 3);
        for (size_t i = 0; i < shown; i++) {
            const RunEvent *event = &s->run->events[i];
            table_put(&t, words_second(app->arena, (double)event->at_ns / (double)NS_PER_S));
            table_put(&t, event->kind);
            table_put(&t, event->text);
        }
        buf_puts(&app->out, "\nevents\n");
        table_print(&t, 2, &app->out);
        if (shown < count) {
            buf_printf(&app->out, "  and %zu more; --json has all\n", count - shown);
        }
    }
    if (s->artifact_count > 0) {
        Table t = table_create(app->arena, 3);
        table_right(&t, 1);
        for (size_t i = 0; i < s->artifact_count; i++) {
            const RunArtifact *artifact = &s->artifacts[i];
            table_put(&t, artifact->name);
            table_put(&t, words_bytes(app->arena, (double)artifact->bytes));
            table_put(&t, artifact->sha256);
        }
        buf_puts(&app->out, "\nartifacts\n");
        table_print(&t, 2, &app->out);
    }
}

static void show_text(App *app, const Shown *s)
{
    show_head(app, s);
    show_endpoints(app, s);
    show_lists(app, s);
    show_facts(app, "generator health", s->model.health);
    show_facts(app, "environment", s->model.environment);
}

// Runs of other tools came as a few numbers without a histogram.
static void fill_quantiles(const RunData *run, Labels filter, ReportLatency *l)
{
    double ns = 0;
    struct {
        double q;
        double *ms;
    } wanted[] = {{0.5, &l->p50}, {0.9, &l->p90}, {0.95, &l->p95}, {0.99, &l->p99}};
    for (size_t i = 0; l->count == 0 && i < COUNT_OF(wanted); i++) {
        if (run_quantile(run, SLICE("http_req_duration"), filter, wanted[i].q, &ns)) {
            *wanted[i].ms = ns / (double)NS_PER_MS;
        }
    }
}

static void prepare_model(ReportModel *m, const RunData *run, Arena *arena)
{
    report_model_init(m, &(ReportInput){.run = run}, arena);
    fill_quantiles(run, (Labels){0}, &m->totals.latency);
    for (size_t i = 0; i < m->endpoint_count; i++) {
        Slice name = m->endpoints[i].name;
        Label label = {SLICE("name"), slice_eq(name, SLICE("(unnamed)")) ? (Slice){0} : name};
        fill_quantiles(run, (Labels){&label, 1}, &m->endpoints[i].latency);
    }
}

static int show(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    RunData *run = NULL;
    Slice selector = option_positional(set, 0);
    int rc = run_load(ledger, selector.len > 0 ? selector : SLICE("latest"), app->arena, &run, e);
    if (rc != 0) {
        return rc;
    }
    Shown s = {.run = run};
    rc = run_artifacts(ledger, slice_from_cstr(run->info.id), app->arena, &s.artifacts,
                       &s.artifact_count, e);
    if (rc == 0) {
        prepare_model(&s.model, run, app->arena);
        if (option_flag(set, "json")) {
            show_json(app, &s);
        } else {
            show_text(app, &s);
        }
        report_model_done(&s.model);
    }
    run_data_done(run);
    return rc;
}

static int run_run_show(App *app, const OptionSet *set, Err *e)
{
    Ledger *ledger = NULL;
    int rc = app_open_ledger(app, set, false, &ledger, e);
    if (rc == 0) {
        rc = show(app, set, ledger, e);
        ledger_close(ledger);
    }
    return rc;
}

static const Positional SHOW_ARGS[] = {
    {"RUN", "A run: latest (the default), latest~1, an id or its beginning, label:KEY=VALUE.", true,
     false},
};
static const Option SHOW_OPTIONS[] = {OPTION_JSON, OPTION_LEDGER};
static const Verb VERB_SHOW = {
    .name = "run show",
    .summary = "show what one run recorded, without judging it",
    .description = "Totals of every endpoint, events, the generator's health, the machine, and the "
                   "files kept with the run. `perfwright report` shows verdicts.",
    OPTION_TABLE(SHOW_OPTIONS),
    POSITIONAL_TABLE(SHOW_ARGS)};
const Command CMD_RUN_SHOW = {&VERB_SHOW, run_run_show, false};

// ---- run export, run import

static int run_run_export(App *app, const OptionSet *set, Err *e)
{
    Ledger *ledger = NULL;
    int rc = app_open_ledger(app, set, false, &ledger, e);
    if (rc != 0) {
        return rc;
    }
    Slice selector = option_positional(set, 0);
    Slice path = option_string(set, "output");
    Buf out = buf_create(RUN_EXPORT_BYTES_MAX);
    rc = run_export(ledger, selector, &out, e);
    if (rc == 0) {
        rc = buf_check(&out, "the export", e);
    }
    if (rc == 0 && path.len > 0) {
        rc = file_write(arena_cstr(app->arena, path), buf_slice(&out), NULL, e);
    } else if (rc == 0) {
        buf_append(&app->out, buf_slice(&out));
        rc = buf_check(&app->out, "the export (use --output)", e);
    }
    buf_done(&out);
    ledger_close(ledger);
    return rc;
}

static const Positional EXPORT_ARGS[] = {
    {"RUN", "A run: latest, an id or its beginning, label:KEY=VALUE.", false, false},
};
static const Option EXPORT_OPTIONS[] = {
    {.name = "output",
     .short_name = 'o',
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "Output",
     .help = "Write there instead of to standard output."},
    OPTION_LEDGER,
};
static const Verb VERB_EXPORT = {
    .name = "run export",
    .summary = "write one run, with its hashes and files, as JSON",
    .description = "The document is what `perfwright run import` reads on another machine.",
    OPTION_TABLE(EXPORT_OPTIONS),
    POSITIONAL_TABLE(EXPORT_ARGS)};
const Command CMD_RUN_EXPORT = {&VERB_EXPORT, run_run_export, false};

static int run_run_import(App *app, const OptionSet *set, Err *e)
{
    const char *path = arena_cstr(app->arena, option_positional(set, 0));
    Buf text = buf_create(RUN_EXPORT_BYTES_MAX);
    Ledger *ledger = NULL;
    char id[RUN_ID_LEN + 1];
    int rc = file_read(path, &text, e);
    if (rc == 0 && (rc = app_open_ledger(app, set, false, &ledger, e)) == 0) {
        rc = run_import(ledger, buf_slice(&text), path, id, e);
        ledger_close(ledger);
    }
    buf_done(&text);
    if (rc != 0) {
        return rc;
    }
    if (option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        json_object_begin(&w);
        json_field_int(&w, "version", 1);
        json_field_cstr(&w, "id", id);
        json_object_end(&w);
        buf_putc(&app->out, '\n');
    } else {
        buf_printf(&app->out, "%s\n", id);
    }
    return EXIT_PASS;
}

static const Positional IMPORT_ARGS[] = {
    {"FILE", "What `perfwright run export` wrote.", false, false},
};
static const Option IMPORT_OPTIONS[] = {OPTION_JSON, OPTION_LEDGER};
static const Verb VERB_IMPORT = {
    .name = "run import",
    .summary = "take an exported run into this ledger",
    .description = "The run keeps its id and its hashes, which are checked. Numbers of other tools "
                   "come in by `perfwright baseline import`.",
    OPTION_TABLE(IMPORT_OPTIONS),
    POSITIONAL_TABLE(IMPORT_ARGS)};
const Command CMD_RUN_IMPORT = {&VERB_IMPORT, run_run_import, false};
