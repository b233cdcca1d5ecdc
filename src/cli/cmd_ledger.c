// ledger verify, head, rebuild, prune, path: care for the log that every number comes from.
#include "cli/commands.h"

#include "base/json_write.h"
#include "base/utf8.h"
#include "os/clock.h"
#include "os/file.h"

// ---- verify

typedef struct Problems {
    App *app;
    JsonWriter *json; // NULL: text
} Problems;

static void on_problem(void *ctx, const LedgerProblem *problem)
{
    Problems *p = ctx;
    if (p->json) {
        json_object_begin(p->json);
        json_field_string(p->json, "chain", problem->run_id);
        json_field_int(p->json, "record", problem->run_seq);
        json_field_string(p->json, "kind", problem->kind);
        json_field_cstr(p->json, "what", problem->what);
        json_object_end(p->json);
        return;
    }
    Buf *out = &p->app->out;
    utf8_sanitise(out, problem->run_id);
    if (problem->run_seq > 0) {
        buf_printf(out, ": record %lld", (long long)problem->run_seq);
        if (problem->kind.len > 0) {
            buf_puts(out, " (");
            utf8_sanitise(out, problem->kind);
            buf_putc(out, ')');
        }
    }
    buf_printf(out, ": %s\n", problem->what);
}

static void verify_end_json(JsonWriter *w, const LedgerCheck *check, const LedgerHead *head)
{
    json_array_end(w);
    json_field_bool(w, "ok", check->problems == 0);
    json_field_int(w, "chains", check->chains);
    json_field_int(w, "records", check->records);
    json_field_int(w, "contents", check->contents);
    json_field_int(w, "problemCount", check->problems);
    json_field_cstr(w, "head", head->hash);
    json_object_end(w);
    buf_putc(w->out, '\n');
}

static int verify(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    JsonWriter w = json_writer(&app->out, 2);
    bool json = option_flag(set, "json");
    Problems problems = {app, json ? &w : NULL};
    LedgerCheck check = {0};
    LedgerHead head = {0};
    int rc = ledger_head(ledger, &head, e);
    if (rc != 0) {
        return rc;
    }
    if (json) {
        json_object_begin(&w);
        json_field_int(&w, "version", 1);
        json_key(&w, SLICE("problems"));
        json_array_begin(&w);
    }
    rc = ledger_verify(ledger, option_string(set, "head"), on_problem, &problems, &check, e);
    bool judged = rc == 0 || check.problems > 0;
    if (!judged) {
        buf_reset(&app->out); // half a document is none
        return rc;
    }
    if (json) {
        verify_end_json(&w, &check, &head);
    } else if (rc == 0) {
        buf_printf(&app->out, "ok: %lld records in %lld chains, %lld files\nhead: %s\n",
                   (long long)check.records, (long long)check.chains, (long long)check.contents,
                   head.hash);
    }
    return rc;
}

// Opens, calls, closes: all of these verbs do it.
static int with_ledger(App *app, const OptionSet *set, bool read_only,
                       int (*work)(App *app, const OptionSet *set, Ledger *ledger, Err *e), Err *e)
{
    Ledger *ledger = NULL;
    int rc = app_open_ledger(app, set, read_only, &ledger, e);
    if (rc == 0) {
        rc = work(app, set, ledger, e);
        ledger_close(ledger);
    }
    return rc;
}

static int run_verify(App *app, const OptionSet *set, Err *e)
{
    return with_ledger(app, set, true, verify, e);
}

static const Option VERIFY_OPTIONS[] = {
    {.name = "head",
     .kind = OPTION_STRING,
     .metavar = "HASH",
     .help = "A head that was printed earlier: by `perfwright ledger head`, or in a report. It "
             "must be part of the chain."},
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Example VERIFY_EXAMPLES[] = {
    {"perfwright ledger verify --head $(cat ledger.head)", "Against a head kept elsewhere."},
};
static const Verb VERB_VERIFY = {
    .name = "ledger verify",
    .summary = "recompute every hash of the ledger and name what does not fit",
    .description =
        "Without --head, a ledger that was rewritten from some record on, or cut off at its "
        "end, cannot be told from a whole one: keep a head outside of the ledger. Exits with 1 "
        "when there is a problem.",
    OPTION_TABLE(VERIFY_OPTIONS),
    EXAMPLE_TABLE(VERIFY_EXAMPLES)};
const Command CMD_LEDGER_VERIFY = {&VERB_VERIFY, run_verify, false};

// ---- head

static int head_of(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    LedgerHead head;
    int rc = ledger_head(ledger, &head, e);
    if (rc != 0) {
        return rc;
    }
    if (!option_flag(set, "json")) {
        buf_printf(&app->out, "%s\n", head.hash);
        return EXIT_PASS;
    }
    JsonWriter w = json_writer(&app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_field_int(&w, "records", head.records);
    json_field_cstr(&w, "hash", head.hash);
    json_object_end(&w);
    buf_putc(&app->out, '\n');
    return EXIT_PASS;
}

static int run_head(App *app, const OptionSet *set, Err *e)
{
    return with_ledger(app, set, true, head_of, e);
}

static const Option PLAIN_OPTIONS[] = {OPTION_JSON, OPTION_LEDGER};
static const Verb VERB_HEAD = {
    .name = "ledger head",
    .summary = "print the hash at the end of the ledger's chain",
    .description = "Keep it where it cannot be changed along with the ledger: `perfwright ledger "
                   "verify --head` checks against it.",
    OPTION_TABLE(PLAIN_OPTIONS)};
const Command CMD_LEDGER_HEAD = {&VERB_HEAD, run_head, false};

// ---- rebuild

static int rebuild(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    (void)set;
    int rc = ledger_rebuild(ledger, e);
    if (rc == 0) {
        app_say(app, "rebuilt %s", ledger_path(ledger));
    }
    return rc;
}

static int run_rebuild(App *app, const OptionSet *set, Err *e)
{
    return with_ledger(app, set, false, rebuild, e);
}

static const Option REBUILD_OPTIONS[] = {OPTION_LEDGER};
static const Verb VERB_REBUILD = {
    .name = "ledger rebuild",
    .summary = "make the ledger's query tables anew from its records",
    .description = "Nothing is lost by it: the tables hold nothing that the records do not.",
    OPTION_TABLE(REBUILD_OPTIONS)};
const Command CMD_LEDGER_REBUILD = {&VERB_REBUILD, run_rebuild, false};

// ---- prune

static int prune(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    int64_t runs = 0;
    bool dry = option_flag(set, "dry-run");
    PruneOptions options = {
        .before_unix_ns = clock_wall(clock_real()) - option_int(set, "before"),
        .dry_run = dry,
    };
    int rc = ledger_prune(ledger, &options, &runs, e);
    if (rc != 0) {
        return rc;
    }
    if (option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        json_object_begin(&w);
        json_field_int(&w, "version", 1);
        json_field_int(&w, "runs", runs);
        json_field_bool(&w, "dryRun", dry);
        json_object_end(&w);
        buf_putc(&app->out, '\n');
    } else {
        buf_printf(&app->out, "%lld run%s %s\n", (long long)runs, runs == 1 ? "" : "s",
                   dry ? "would be pruned" : "pruned");
    }
    return EXIT_PASS;
}

static int run_prune(App *app, const OptionSet *set, Err *e)
{
    return with_ledger(app, set, false, prune, e);
}

static const Option PRUNE_OPTIONS[] = {
    {.name = "before",
     .kind = OPTION_DURATION,
     .metavar = "AGE",
     .required = true,
     .help = "Runs that started longer ago than this, such as 90d."},
    {.name = "dry-run", .kind = OPTION_FLAG, .help = "Only count them."},
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Verb VERB_PRUNE = {
    .name = "ledger prune",
    .summary = "drop the points and files of old runs, keep their totals and hashes",
    .description =
        "Runs that a baseline holds are left alone. The file does not shrink: its room is used "
        "again.",
    OPTION_TABLE(PRUNE_OPTIONS)};
const Command CMD_LEDGER_PRUNE = {&VERB_PRUNE, run_prune, false};

// ---- path

static int run_path(App *app, const OptionSet *set, Err *e)
{
    Slice path = option_string(set, "ledger");
    if (path.len == 0) {
        path = config_get(app->config, CONFIG_LEDGER)->text;
    }
    Buf own = buf_create(1 << 16);
    if (path.len == 0) {
        int rc = user_file(USER_DATA, "PERFWRIGHT_LEDGER", "perfwright/ledger.db", &own, e);
        if (rc != 0) {
            buf_done(&own);
            return rc;
        }
        path = buf_slice(&own);
    }
    if (option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        json_object_begin(&w);
        json_field_int(&w, "version", 1);
        json_field_string(&w, "path", path);
        json_object_end(&w);
    } else {
        buf_append(&app->out, path);
    }
    buf_putc(&app->out, '\n');
    buf_done(&own);
    return EXIT_PASS;
}

static const Verb VERB_PATH = {.name = "ledger path",
                               .summary = "print where the ledger lies, whether it exists or not",
                               OPTION_TABLE(PLAIN_OPTIONS)};
const Command CMD_LEDGER_PATH = {&VERB_PATH, run_path, false};
