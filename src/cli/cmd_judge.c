// analyse, compare, report, gate: verdicts on runs that the ledger holds.
#include "cli/commands.h"
#include "cli/judging.h"

#include "base/json_write.h"

static const Positional RUNS[] = {
    {"RUNS", "Selector of runs: latest, an id, label:KEY=VALUE, group:ID, a baseline's name.", true,
     false},
};

static Slice selector_of(const OptionSet *set)
{
    Slice selector = option_positional(set, 0);
    return selector.len > 0 ? selector : SLICE("latest");
}

static int run_judging_verb(App *app, const OptionSet *set, Err *e)
{
    app->quiet = option_flag(set, "quiet");
    Ledger *ledger = NULL;
    int rc = app_open_ledger(app, set, false, &ledger, e);
    if (rc != 0) {
        return rc;
    }
    AssessOptions options = judging_options(app, set, selector_of(set));
    rc = judging_run(app, set, ledger, &options, e);
    ledger_close(ledger);
    return rc;
}

// ---- analyse

static int run_analyse(App *app, const OptionSet *set, Err *e)
{
    int rc = run_judging_verb(app, set, e);
    // Looking is not gating: the verdict is in the text.
    return rc < 0 ? rc : EXIT_PASS;
}

static const Option JUDGE_OPTIONS[] = {
    OPTION_BASELINE,       OPTION_NO_BASELINE,    OPTION_SLO,
    OPTION_NO_DEFAULT_SLO, OPTION_MARGIN,         OPTION_ALLOW_NOT_PROVEN,
    OPTION_REPORT,         OPTION_SUMMARY_EXPORT, OPTION_QUIET,
    OPTION_JSON,           OPTION_LEDGER,
};
static const Example ANALYSE_EXAMPLES[] = {
    {"perfwright analyse", "The newest command's runs."},
    {"perfwright analyse label:commit=4f2c --baseline main", "Against a pinned baseline."},
};
static const Verb VERB_ANALYSE = {
    .name = "analyse",
    .summary = "judge recorded runs and show what was found",
    .description = "Reads runs from the ledger, judges them against objectives, thresholds and a "
                   "baseline, and prints the report. Exits with 0 whatever the verdict; use gate "
                   "where the exit code matters.",
    OPTION_TABLE(JUDGE_OPTIONS),
    POSITIONAL_TABLE(RUNS),
    EXAMPLE_TABLE(ANALYSE_EXAMPLES)};
const Command CMD_ANALYSE = {&VERB_ANALYSE, run_analyse};

// ---- report

static int run_report(App *app, const OptionSet *set, Err *e)
{
    Ledger *ledger = NULL;
    int rc = app_open_ledger(app, set, false, &ledger, e);
    if (rc != 0) {
        return rc;
    }
    ReportFormat format = REPORT_FORMAT_TEXT;
    (void)report_format_by_name(option_string(set, "format"), &format); // a choice of the table
    AssessOptions options = judging_options(app, set, selector_of(set));
    Assessment a;
    if ((rc = assess(ledger, app->arena, &options, &a, e)) == 0) {
        AssessmentStyle style = {.color = app->color, .columns = app->columns};
        rc = assessment_write(&a, format, &style, &app->out, e);
        assessment_done(&a);
    }
    ledger_close(ledger);
    return rc;
}

static const char *const FORMAT_NAMES[] = {"text",  "markdown", "html", "json",
                                           "junit", "summary",  NULL};
static const Option REPORT_OPTIONS[] = {
    {.name = "format",
     .short_name = 'f',
     .kind = OPTION_CHOICE,
     .choices = FORMAT_NAMES,
     .default_text = "text",
     .section = "Output",
     .help = "What to print on standard output."},
    OPTION_BASELINE,
    OPTION_NO_BASELINE,
    OPTION_SLO,
    OPTION_NO_DEFAULT_SLO,
    OPTION_MARGIN,
    OPTION_ALLOW_NOT_PROVEN,
    OPTION_LEDGER,
};
static const Example REPORT_EXAMPLES[] = {
    {"perfwright report latest --format html > report.html", "A page to look at."},
    {"perfwright report latest --format markdown >> $GITHUB_STEP_SUMMARY", "In a pipeline."},
};
static const Verb VERB_REPORT = {.name = "report",
                                 .summary = "print the report of recorded runs in any format",
                                 OPTION_TABLE(REPORT_OPTIONS),
                                 POSITIONAL_TABLE(RUNS),
                                 EXAMPLE_TABLE(REPORT_EXAMPLES)};
const Command CMD_REPORT = {&VERB_REPORT, run_report};

// ---- compare

static int run_compare(App *app, const OptionSet *set, Err *e)
{
    app->quiet = option_flag(set, "quiet");
    Ledger *ledger = NULL;
    int rc = app_open_ledger(app, set, false, &ledger, e);
    if (rc != 0) {
        return rc;
    }
    AssessOptions options = judging_options(app, set, option_positional(set, 1));
    options.baseline = option_positional(set, 0);
    options.no_baseline = false;
    options.slo_options.no_defaults = true;
    rc = judging_run(app, set, ledger, &options, e);
    ledger_close(ledger);
    return rc < 0 ? rc : EXIT_PASS;
}

static const Positional COMPARE_ARGS[] = {
    {"BASELINE", "Selector of the runs to compare with.", false, false},
    {"CANDIDATE", "Selector of the runs in question.", false, false},
};
static const Example COMPARE_EXAMPLES[] = {
    {"perfwright compare main latest", "A pinned baseline and the newest command."},
    {"perfwright compare label:commit=4f2c label:commit=9ab1 --json", "Two commits."},
};
static const Verb VERB_COMPARE = {
    .name = "compare",
    .summary = "compare two sets of runs, endpoint by endpoint",
    .description =
        "With three or more runs a side: a test at the level of runs, with the ratio, "
        "its interval and p-values corrected for the number of endpoints. With one run a "
        "side the difference is shown with an interval from blocks of that run and the "
        "words \"single run\".",
    OPTION_TABLE(JUDGE_OPTIONS),
    POSITIONAL_TABLE(COMPARE_ARGS),
    EXAMPLE_TABLE(COMPARE_EXAMPLES)};
const Command CMD_COMPARE = {&VERB_COMPARE, run_compare};

// ---- gate

static void print_self_test(App *app, const SelfTest *t, bool json)
{
    if (json) {
        JsonWriter w = json_writer(&app->out, 2);
        json_object_begin(&w);
        json_field_int(&w, "version", 1);
        json_field_int(&w, "splits", (int64_t)t->splits);
        json_field_int(&w, "distinctSplits", (int64_t)t->distinct);
        json_field_int(&w, "runsPerSide", (int64_t)t->runs_a_side);
        json_field_int(&w, "falseAlarms", (int64_t)t->false_alarms);
        json_field_double(&w, "rate", t->rate);
        json_field_double(&w, "low", t->interval.low);
        json_field_double(&w, "high", t->interval.high);
        json_object_end(&w);
        buf_putc(&app->out, '\n');
        return;
    }
    buf_printf(&app->out,
               "self-test: %zu of %zu random splits of these runs would have been called a "
               "regression:\nfalse-alarm rate %.1f %% [%.1f, %.1f], %zu runs a side, %zu distinct "
               "splits\n",
               t->false_alarms, t->splits, t->rate * 100, t->interval.low * 100,
               t->interval.high * 100, t->runs_a_side, t->distinct);
}

static int run_self_test(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    RunSet runs;
    int rc = run_set_load(ledger, selector_of(set), app->arena, &runs, e);
    if (rc != 0) {
        return rc;
    }
    AssessOptions options = judging_options(app, set, (Slice){0});
    SelfTestOptions self = {.seed = 1, .compare = options.compare_options};
    SelfTest result;
    rc = judge_self_test((const RunData *const *)runs.runs, runs.count, &self, &result, e);
    if (rc == 0) {
        print_self_test(app, &result, option_flag(set, "json"));
    }
    run_set_done(&runs);
    return rc;
}

static int run_gate(App *app, const OptionSet *set, Err *e)
{
    if (!option_flag(set, "self-test")) {
        return run_judging_verb(app, set, e);
    }
    Ledger *ledger = NULL;
    int rc = app_open_ledger(app, set, false, &ledger, e);
    if (rc == 0) {
        rc = run_self_test(app, set, ledger, e);
        ledger_close(ledger);
    }
    return rc;
}

static const Option GATE_OPTIONS[] = {
    {.name = "self-test",
     .kind = OPTION_FLAG,
     .section = "Judging",
     .help = "Split the runs (which must be of unchanged code) at random, compare the halves, and "
             "print how often this gate would have raised a false alarm."},
    OPTION_BASELINE,
    OPTION_NO_BASELINE,
    OPTION_SLO,
    OPTION_NO_DEFAULT_SLO,
    OPTION_MARGIN,
    OPTION_ALLOW_NOT_PROVEN,
    OPTION_REPORT,
    OPTION_SUMMARY_EXPORT,
    OPTION_QUIET,
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Example GATE_EXAMPLES[] = {
    {"perfwright gate latest --baseline main --report junit.xml", "The last step of a pipeline."},
    {"perfwright gate label:branch=main --self-test", "How often would it cry wolf here?"},
};
static const Verb VERB_GATE = {
    .name = "gate",
    .summary = "judge recorded runs and answer with the exit code",
    .description =
        "0 pass, 99 an objective or threshold breached, 112 slower than the baseline, 113 not "
        "proven or not valid, 114 partial, 1 nothing to judge. docs/guide/exit-codes.md says which "
        "one wins.",
    OPTION_TABLE(GATE_OPTIONS),
    POSITIONAL_TABLE(RUNS),
    EXAMPLE_TABLE(GATE_EXAMPLES)};
const Command CMD_GATE = {&VERB_GATE, run_gate};
