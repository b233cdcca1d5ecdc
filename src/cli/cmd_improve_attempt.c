// improve attempt: an engine writes a patch, the judge says what it is worth.
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/improve_cli.h"
#include "improve/attempt.h"

typedef struct Try {
    AttemptOptions options;
    EngineSettings settings;
    AttemptResult result;
} Try;

static int attempt_fiber(ImproveCli *cli, Err *e)
{
    Try *t = cli->ctx;
    t->options.loop = cli->loop;
    t->options.pool = cli->pool;
    return attempt_execute(&t->options, cli->app->arena, &t->result, e);
}

static void print_result(App *app, const Place *place, const AttemptState *s)
{
    Buf *out = &app->out;
    bool done = s->phase == ATTEMPT_DONE;
    buf_printf(out, "%.*s\n", SLICE_FMT(s->verdict.len > 0 ? s->verdict : SLICE("NOT JUDGED")));
    if (s->claim.len > 0) {
        buf_printf(out, "%.*s\n", SLICE_FMT(s->claim));
    }
    if (!done) {
        buf_printf(out, "given up: %.*s\n", SLICE_FMT(s->error));
    }
    buf_printf(out, "\nattempt   %.*s\ngoal      %.*s ", SLICE_FMT(s->id), SLICE_FMT(s->goal_id));
    buf_append(out, s->goal_title);
    buf_printf(out, "\nrecords   %.*s/attempts/%.*s\n", SLICE_FMT(place->dir), SLICE_FMT(s->id));
    if (done && s->branch.len > 0) {
        buf_printf(out, "branch    %.*s\n\n`perfwright improve pr` opens a pull request for it.\n",
                   SLICE_FMT(s->branch));
    }
}

static int exit_of(const AttemptState *s)
{
    for (int i = 0; i < PATCH_VERDICTS; i++) {
        if (slice_eq_cstr(s->verdict, PATCH_VERDICT_NAMES[i])) {
            return (int)patch_verdict_exit((PatchVerdict)i);
        }
    }
    return EXIT_NOT_PROVEN; // nothing was judged, so nothing is proven
}

static int read_effect(const OptionSet *set, double *ret_effect, Err *e)
{
    Slice text = option_string(set, "min-effect");
    bool percent = slice_ends_with(text, SLICE("%"));
    double value = 0;
    if (text.len == 0) {
        return 0;
    }
    if (slice_to_f64(percent ? slice_sub(text, 0, text.len - 1) : text, &value) != 0 ||
        !(value > 0) || (percent ? value / 100 : value) >= 1) {
        return err_set(e, ERR_ARG, "--min-effect: write 10%% or 0.1, not \"%.*s\"",
                       SLICE_FMT(text));
    }
    *ret_effect = percent ? value / 100 : value;
    return 0;
}

static int take_options(ImproveCli *cli, Try *t, Err *e)
{
    const OptionSet *set = cli->set;
    Arena *arena = cli->app->arena;
    Slice work_dir = option_string(set, "work-dir");
    t->options = (AttemptOptions){
        .place = &cli->place,
        .ledger = cli->ledger,
        .goal = option_string(set, "goal"),
        .resume = option_string(set, "resume"),
        .fresh = option_flag(set, "fresh"),
        .engine = option_string(set, "engine"),
        .settings = &t->settings,
        .author = improve_cli_person(arena),
        .yes = option_flag(set, "yes"),
        .judge_ns = option_int(set, "judge-budget"),
        .rounds = (unsigned)option_int(set, "rounds"),
        .work_dir = work_dir.len > 0 ? arena_cstr(arena, work_dir) : NULL,
        .no_sandbox = option_flag(set, "no-sandbox"),
        .no_critique = option_flag(set, "no-critique"),
        .no_branch = option_flag(set, "no-branch"),
        .keep_work = option_flag(set, "keep-work"),
        .get_env = getenv,
        .progress_fn = improve_cli_say,
        .stop_fn = improve_cli_stopped,
        .ctx = cli,
    };
    return read_effect(set, &t->options.min_effect, e);
}

static int run_attempt(App *app, const OptionSet *set, Err *e)
{
    ImproveCli cli;
    Try *t = ARENA_NEW(app->arena, Try);
    int rc = improve_cli_open(&cli, app, set, option_positional(set, 0), e);
    rc = rc == 0 ? improve_cli_ledger(&cli, false, e) : rc;
    rc = rc == 0 ? improve_cli_settings(&cli, &t->settings, e) : rc;
    rc = rc == 0 ? take_options(&cli, t, e) : rc;
    cli.ctx = t;
    rc = rc == 0 ? improve_cli_fiber(&cli, attempt_fiber, e) : rc;
    int code = rc;
    if (rc == 0 && option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        attempt_state_write(&t->result.state, &w);
        buf_putc(&app->out, '\n');
        code = exit_of(&t->result.state);
    } else if (rc == 0) {
        print_result(app, &cli.place, &t->result.state);
        code = exit_of(&t->result.state);
    }
    improve_cli_close(&cli);
    return code;
}

static const Positional ATTEMPT_ARGS[] = {
    {"REPO", "The repository; without it here.", true, false}};
static const Option ATTEMPT_OPTIONS[] = {
    {.name = "goal",
     .kind = OPTION_STRING,
     .metavar = "ID|TEXT",
     .help = "A goal of the plan by its id, or one of your own in a line. Without it: the next one "
             "that was not tried."},
    {.name = "engine",
     .kind = OPTION_STRING,
     .metavar = "ENGINE",
     .help = "claude, codex, copilot, gemini, opencode, llm, cmd:COMMAND or patch:FILE."},
    {.name = "yes",
     .kind = OPTION_FLAG,
     .help = "Approve plan and steps as they are: for pipelines, where the repository's review is "
             "the approval."},
    {.name = "resume",
     .kind = OPTION_STRING,
     .metavar = "ATTEMPT",
     .help = "Go on with this one. An unfinished attempt is taken up without it, too."},
    {.name = "fresh", .kind = OPTION_FLAG, .help = "Begin another although one is unfinished."},
    {.name = "min-effect",
     .kind = OPTION_STRING,
     .metavar = "PERCENT",
     .help = "Over the goal's own: 10% or 0.1."},
    {.name = "rounds",
     .kind = OPTION_INT,
     .min = 1,
     .max = ATTEMPT_ROUNDS_MAX,
     .default_text = "3",
     .help = "How often the engine hears what was found and tries again."},
    {.name = "judge-budget",
     .kind = OPTION_DURATION,
     .metavar = "TIME",
     .help = "Measuring time of each judgement."},
    {.name = "time",
     .kind = OPTION_DURATION,
     .section = "Budget of the engine",
     .help = "In all rounds together."},
    {.name = "tokens", .kind = OPTION_COUNT, .section = "Budget of the engine", .help = "As time."},
    {.name = "cost",
     .kind = OPTION_FLOAT,
     .min = 0,
     .max = 1e6,
     .metavar = "USD",
     .section = "Budget of the engine",
     .help = "As time."},
    {.name = "no-critique", .kind = OPTION_FLAG, .help = "Without the attempts to refute it."},
    {.name = "no-branch", .kind = OPTION_FLAG, .help = "Leave the patch in .perfwright only."},
    {.name = "keep-work", .kind = OPTION_FLAG, .help = "Leave working copies on disk."},
    OPTION_PATH,
    OPTION_NO_SANDBOX,
    OPTION_WORK_DIR,
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Example ATTEMPT_EXAMPLES[] = {
    {"perfwright improve attempt --engine claude", "The next goal of the plan."},
    {"perfwright improve attempt --goal g1a2b3c --engine cmd:./fix.sh", "This goal, by a script."},
};
static const Verb VERB_ATTEMPT = {
    .name = "improve attempt",
    .summary = "let an engine write a patch for a goal, and judge it",
    .description =
        "Registers what will be measured before a patch exists, lets the engine work in a copy, "
        "judges the patch, and sends back what was found, three rounds at most. What is proven "
        "becomes a branch, a bundle of evidence and the draft of a pull request in "
        ".perfwright/attempts. Nothing leaves the machine.\n\nExits as `improve verify` does; 113 "
        "also where nothing was judged.",
    POSITIONAL_TABLE(ATTEMPT_ARGS),
    OPTION_TABLE(ATTEMPT_OPTIONS),
    EXAMPLE_TABLE(ATTEMPT_EXAMPLES)};
const Command CMD_IMPROVE_ATTEMPT = {&VERB_ATTEMPT, run_attempt, false};
