// improve outcomes, memory, install: what was learned, and running without being asked.
#include <stdlib.h>

#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/improve_cli.h"
#include "improve/install.h"
#include "improve/outcomes.h"
#include "ledger/proposal.h"
#include "os/clock.h"

// ---- outcomes

// The proposal's end. One that is there already is fine: outcomes are looked up again and again.
static int close_proposal(ImproveCli *cli, const AttemptState *s, Outcome outcome, Err *e)
{
    static const ProposalState WAY[] = {PROPOSAL_APPROVED, PROPOSAL_APPLIED, PROPOSAL_KEPT};
    Slice url = s->url;
    if (outcome == OUTCOME_MERGED) {
        for (size_t i = 0; i < COUNT_OF(WAY); i++) {
            ProposalStep step = {.to = WAY[i],
                                 .author = SLICE("perfwright"),
                                 .reason = SLICE("merged"),
                                 .evidence = {&url, url.len > 0}};
            int rc = proposal_step(cli->ledger, s->proposal, &step, e);
            if (rc != 0 && rc != ERR_CONFLICT) {
                return rc;
            }
        }
    } else if (outcome == OUTCOME_CLOSED) {
        ProposalStep step = {.to = PROPOSAL_ROLLED_BACK,
                             .author = SLICE("perfwright"),
                             .reason = SLICE("closed without merging"),
                             .evidence = {&url, url.len > 0}};
        int rc = proposal_step(cli->ledger, s->proposal, &step, e);
        if (rc != 0 && rc != ERR_CONFLICT) {
            return rc;
        }
    }
    return 0;
}

static int ask_gh(ImproveCli *cli, const AttemptState *s, Outcome *ret_outcome, Err *e)
{
    Arena *arena = cli->app->arena;
    Slice comments = {0};
    Buf out = buf_create(16 << 20);
    int exit_code = 0;
    const char *const argv[] = {
        "gh", "pr", "view", arena_cstr(arena, s->url), "--json", "state,updatedAt,comments,reviews",
        NULL};
    int rc = improve_cli_program(cli, argv, &out, &exit_code, e);
    if (rc == 0 && exit_code != 0) {
        rc = err_set(e, ERR_IO, "gh pr view ended with %d", exit_code);
    }
    rc = rc == 0 ? outcome_from_gh(arena, buf_slice(&out), clock_wall(clock_real()), ret_outcome,
                                   &comments, e)
                 : rc;
    if (rc == 0 && comments.len > 0) {
        rc = place_write(&cli->place, attempt_file(arena, s, "comments.md"), comments, e);
    }
    buf_done(&out);
    return rc;
}

static int look_up(ImproveCli *cli, Git *git, AttemptState *s, Err *e)
{
    Arena *arena = cli->app->arena;
    Outcome outcome = OUTCOME_UNKNOWN;
    Slice patch = SLICE("");
    int rc = 0;
    if (s->url.len > 0 && !option_flag(cli->set, "no-gh")) {
        rc = ask_gh(cli, s, &outcome, e);
    } else if (git) {
        Slice name = arena_printf(arena, "patch-%lld.diff", (long long)s->round);
        (void)!place_read(&cli->place, arena, attempt_file(arena, s, name.ptr), &patch, NULL);
        rc = outcome_from_git(git, s, patch, &outcome, e);
    }
    if (rc != 0 || outcome == OUTCOME_UNKNOWN) {
        return rc;
    }
    s->outcome = slice_from_cstr(OUTCOME_NAMES[outcome]);
    rc = attempt_state_save(&cli->place, arena, s, e);
    return rc == 0 ? close_proposal(cli, s, outcome, e) : rc;
}

static void print_outcome(App *app, const AttemptState *s)
{
    buf_printf(&app->out, "%.*s  %-16.*s %-8.*s ", SLICE_FMT(s->id),
               SLICE_FMT(s->verdict.len > 0 ? s->verdict : SLICE("-")),
               SLICE_FMT(s->outcome.len > 0 ? s->outcome : SLICE("unknown")));
    utf8_sanitise(&app->out, slice_sub(s->goal_title, 0, 80));
    buf_putc(&app->out, '\n');
}

static int outcomes_work(ImproveCli *cli, Err *e)
{
    AttemptState *states = NULL;
    size_t count = 0;
    Git *git = NULL;
    Arena *arena = cli->app->arena;
    int rc = attempt_state_list(&cli->place, arena, &states, &count, e);
    if (rc == 0 && git_open(&(GitOptions){.path = cli->place.repo.ptr, .loop = cli->loop}, arena,
                            &git, NULL) != 0) {
        git = NULL;
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (states[i].phase != ATTEMPT_DONE) {
            continue;
        }
        Err why = {0};
        if (look_up(cli, git, &states[i], &why) != 0) { // one that cannot be asked stops no other
            app_warn(cli->app, "attempt %.*s: %s", SLICE_FMT(states[i].id), why.text);
        }
        print_outcome(cli->app, &states[i]);
    }
    git_close(git);
    OutcomeRates rates;
    outcome_rates(arena, states, rc == 0 ? count : 0, &rates);
    for (int i = 0; rc == 0 && i < GOAL_KINDS; i++) {
        buf_printf(&cli->app->out, "%s%-11s accepted %lld of %lld, mean %.2f\n", i == 0 ? "\n" : "",
                   GOAL_KIND_NAMES[i], (long long)rates.kinds[i].accepted,
                   (long long)(rates.kinds[i].accepted + rates.kinds[i].refused),
                   rates.kinds[i].mean);
    }
    return rc;
}

static int run_outcomes(App *app, const OptionSet *set, Err *e)
{
    ImproveCli cli;
    int rc = improve_cli_open(&cli, app, set, option_positional(set, 0), e);
    rc = rc == 0 ? improve_cli_ledger(&cli, false, e) : rc;
    rc = rc == 0 ? improve_cli_fiber(&cli, outcomes_work, e) : rc;
    improve_cli_close(&cli);
    return rc == 0 ? EXIT_PASS : rc;
}

static const Positional REPO_ARGS[] = {{"REPO", "The repository; without it here.", true, false}};
static const Option OUTCOMES_OPTIONS[] = {
    {.name = "no-gh", .kind = OPTION_FLAG, .help = "Look into the repository's history only."},
    OPTION_LEDGER,
};
static const Example OUTCOMES_EXAMPLES[] = {
    {"perfwright improve outcomes", "What became of the pull requests?"}};
static const Verb VERB_OUTCOMES = {
    .name = "improve outcomes",
    .summary = "find out what became of attempts: merged, closed, ignored; and learn from it",
    .description = "Asks gh about pull requests, and looks into the history for commits that make "
                   "the same change. What people wrote there is read by the next attempt, as data. "
                   "The rates order the goals that come next.",
    POSITIONAL_TABLE(REPO_ARGS),
    OPTION_TABLE(OUTCOMES_OPTIONS),
    EXAMPLE_TABLE(OUTCOMES_EXAMPLES)};
const Command CMD_IMPROVE_OUTCOMES = {&VERB_OUTCOMES, run_outcomes, false};

// ---- memory

static void print_note(App *app, const MemoryNote *note)
{
    buf_printf(&app->out, "%-30.*s %-8s %-10s %s%s", SLICE_FMT(note->name),
               note->broken ? "-" : NOTE_KIND_NAMES[note->kind],
               note->broken ? "-" : NOTE_AUTHOR_NAMES[note->by],
               note->broken  ? "broken: "
               : note->stale ? "stale: "
                             : "",
               note->on_branch ? "(branch) " : "");
    utf8_sanitise(&app->out, note->because);
    buf_putc(&app->out, '\n');
}

static int memory_show(ImproveCli *cli, const Memory *memory, Slice name, Err *e)
{
    for (size_t i = 0; i < memory->count; i++) {
        const MemoryNote *note = &memory->notes[i];
        if (slice_eq(note->name, name) && !note->broken) {
            memory_note_write(note, &cli->app->out);
            return 0;
        }
    }
    return err_set(e, ERR_NOT_FOUND,
                   "there is no note \"%.*s\"; `perfwright improve memory list` "
                   "has them",
                   SLICE_FMT(name));
}

static int memory_add(ImproveCli *cli, Slice name, Err *e)
{
    const OptionSet *set = cli->set;
    Arena *arena = cli->app->arena;
    Slice *files = ARENA_ARRAY(arena, Slice, MEMORY_FILES_MAX);
    MemoryNote note = {.name = name,
                       .kind = option_int(set, "kind"),
                       .by = NOTE_BY_PERSON,
                       .command = option_string(set, "command"),
                       .goal = option_string(set, "goal"),
                       .created = slice_sub(attempt_time(arena, clock_wall(clock_real())), 0, 10),
                       .text = option_string(set, "text")};
    for (const OptionValue *v = option_values(set, "file"); v; v = v->next) {
        if (note.files.count == MEMORY_FILES_MAX || !place_name_ok(v->text)) {
            return err_set(e, ERR_ARG, "--file %.*s: at most %d paths inside of the repository",
                           SLICE_FMT(v->text), MEMORY_FILES_MAX);
        }
        files[note.files.count++] = v->text;
    }
    note.files.items = files;
    if (note.text.len == 0 && note.files.count == 0 && note.command.len == 0) {
        return err_set(e, ERR_ARG, "the note says nothing: give --text, --file or --command");
    }
    return memory_save(&cli->place, &note, false, e);
}

static int run_memory(App *app, const OptionSet *set, Err *e)
{
    ImproveCli cli;
    Memory memory;
    Slice action = option_positional(set, 0), name = option_positional(set, 1);
    int rc = improve_cli_open(&cli, app, set, option_string(set, "repo"), e);
    rc = rc == 0 ? memory_load(&cli.place, app->arena, &memory, e) : rc;
    rc = rc == 0 ? memory_load_branch(&cli.place, NULL, app->arena, &memory, e) : rc;
    if (rc != 0) {
        improve_cli_close(&cli);
        return rc;
    }
    if (slice_eq_cstr(action, "list") || slice_eq_cstr(action, "check") || action.len == 0) {
        if (slice_eq_cstr(action, "check")) {
            size_t changed = memory_check(&cli.place, app->arena, &memory, getenv("PATH"));
            app_say(app, "%zu note%s changed", changed, changed == 1 ? "" : "s");
        }
        for (size_t i = 0; i < memory.count; i++) {
            print_note(app, &memory.notes[i]);
        }
    } else if (slice_eq_cstr(action, "show")) {
        rc = memory_show(&cli, &memory, name, e);
    } else if (slice_eq_cstr(action, "add")) {
        rc = memory_add(&cli, name, e);
    } else {
        rc = err_set(e, ERR_ARG, "memory takes list, show, add or check, not \"%.*s\"",
                     SLICE_FMT(action));
    }
    improve_cli_close(&cli);
    return rc == 0 ? EXIT_PASS : rc;
}

static const Positional MEMORY_ARGS[] = {
    {"ACTION", "list (which is meant without one), show, add or check.", true, false},
    {"NAME", "Of the note: a-z, 0-9 and -.", true, false}};
static const Option MEMORY_OPTIONS[] = {
    OPTION_REPO,
    {.name = "kind",
     .kind = OPTION_CHOICE,
     .choices = NOTE_KIND_NAMES,
     .default_text = "fact",
     .help = "avoid and prefer are obeyed when the next goal is chosen."},
    {.name = "file",
     .kind = OPTION_STRING,
     .metavar = "PATH",
     .repeat = true,
     .help = "What it is about. Gone, it makes the note stale."},
    {.name = "goal", .kind = OPTION_STRING, .metavar = "ID", .help = "Of the plan."},
    {.name = "command", .kind = OPTION_STRING, .metavar = "CMD", .help = "Of a command."},
    {.name = "text", .kind = OPTION_STRING, .help = "What it says."},
};
static const Example MEMORY_EXAMPLES[] = {
    {"perfwright improve memory add abi --kind avoid --file src/api.c --text 'frozen ABI'",
     "No attempt touches it."},
    {"perfwright improve memory check", "Is it still so?"},
};
static const Verb VERB_MEMORY = {
    .name = "improve memory",
    .summary = "the notes that runs and people leave for the next run",
    .description = "Notes are files in .perfwright/memory, or on the branch " MEMORY_BRANCH
                   ". They are checked against the repository before they are believed.",
    POSITIONAL_TABLE(MEMORY_ARGS),
    OPTION_TABLE(MEMORY_OPTIONS),
    EXAMPLE_TABLE(MEMORY_EXAMPLES)};
const Command CMD_IMPROVE_MEMORY = {&VERB_MEMORY, run_memory, false};

// ---- install

static int run_install(App *app, const OptionSet *set, Err *e)
{
    ImproveCli cli;
    Slice secrets[INSTALL_SECRETS_MAX + 1];
    InstallOptions options = {.engine = option_string(set, "engine"),
                              .schedule = option_string(set, "schedule"),
                              .setup = option_string(set, "setup"),
                              .secrets = secrets,
                              .pull_requests = option_flag(set, "pull-requests")};
    for (const OptionValue *v = option_values(set, "secret");
         v && options.secret_count <= INSTALL_SECRETS_MAX; v = v->next) {
        secrets[options.secret_count++] = v->text;
    }
    Buf text = buf_create(1 << 20);
    int rc = improve_cli_open(&cli, app, set, option_positional(set, 0), e);
    rc = rc == 0 ? install_text(&options, &text, e) : rc;
    if (rc == 0 && option_flag(set, "print")) {
        buf_append(&app->out, buf_slice(&text));
    } else if (rc == 0) {
        rc = install_write(&cli.place, buf_slice(&text), e);
        if (rc == 0) {
            app_say(app, "wrote " INSTALL_FILE ": look at it, then commit it");
        }
    }
    buf_done(&text);
    improve_cli_close(&cli);
    return rc == 0 ? EXIT_PASS : rc;
}

static const Option INSTALL_OPTIONS[] = {
    {.name = "engine", .kind = OPTION_STRING, .metavar = "NAME", .help = "For --engine there."},
    {.name = "schedule",
     .kind = OPTION_STRING,
     .metavar = "CRON",
     .help = "Five fields; without: weekday nights."},
    {.name = "setup",
     .kind = OPTION_STRING,
     .metavar = "CMD",
     .help = "Puts perfwright into the runner's PATH."},
    {.name = "secret",
     .kind = OPTION_STRING,
     .metavar = "NAME",
     .repeat = true,
     .help = "A secret of the repository that the engine gets, such as ANTHROPIC_API_KEY."},
    {.name = "pull-requests",
     .kind = OPTION_FLAG,
     .help = "With a second job, which alone may write, that opens drafts for what was proven."},
    {.name = "print", .kind = OPTION_FLAG, .help = "Print it instead of writing it."},
};
static const Example INSTALL_EXAMPLES[] = {
    {"perfwright improve install --engine claude --secret ANTHROPIC_API_KEY --pull-requests",
     "Weekday nights, with drafts."}};
static const Verb VERB_INSTALL = {
    .name = "improve install",
    .summary = "write a scheduled GitHub workflow for attempts",
    .description = "Writes " INSTALL_FILE " and refuses to overwrite it. Permissions are as few as "
                   "the work needs, actions are pinned to commits.",
    POSITIONAL_TABLE(REPO_ARGS),
    OPTION_TABLE(INSTALL_OPTIONS),
    EXAMPLE_TABLE(INSTALL_EXAMPLES)};
const Command CMD_IMPROVE_INSTALL = {&VERB_INSTALL, run_install, false};
