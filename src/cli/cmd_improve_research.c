// improve research, approve, status: what is known, what a person said to it, where things stand.
#include <math.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "bench/noise.h"
#include "cli/commands.h"
#include "cli/improve_cli.h"
#include "improve/approval.h"
#include "improve/outcomes.h"
#include "improve/research.h"
#include "os/file.h"

enum { ISSUES_BYTES_MAX = 16 << 20 };

// ---- research

typedef struct Research {
    ResearchOptions options;
    EngineSettings settings;
    PlanDoc plan;
} Research;

// The shortest spin's wall clock at 20 pairs: what a judgement with the default budget has to do
// with at the least.
static double measure_noise(ImproveCli *cli)
{
    NoiseReport report;
    Err e = {0};
    improve_cli_say(cli, "noise", SLICE("what this machine can tell: a few seconds"));
    Arena *arena = arena_create(64 << 20);
    int rc = noise_measure(&(NoiseOptions){.budget_ns = 4 * NS_PER_S}, arena, &report, &e);
    double best = 0;
    for (size_t i = 0; rc == 0 && i < report.count; i++) {
        double effect = report.rows[i].resolvable_wall[1];
        best = isfinite(effect) && effect > 0 && (best == 0 || effect < best) ? effect : best;
    }
    arena_destroy(arena);
    if (rc != 0) {
        improve_cli_say(cli, "noise", slice_from_cstr(e.text));
    }
    return best;
}

static int take_issues(ImproveCli *cli, Slice *ret_issues, Err *e)
{
    Buf text = buf_create(ISSUES_BYTES_MAX);
    Slice file = option_string(cli->set, "issues");
    int rc = 0, exit_code = 0;
    if (file.len > 0) {
        rc = file_read(arena_cstr(cli->app->arena, file), &text, e);
    } else if (option_flag(cli->set, "gh")) {
        static const char *const ARGV[] = {"gh",      "issue", "list",   "--limit",      "500",
                                           "--state", "all",   "--json", "number,title", NULL};
        rc = improve_cli_program(cli, ARGV, &text, &exit_code, e);
        if (rc == 0 && exit_code != 0) {
            rc = err_set(e, ERR_IO, "gh issue list ended with %d: %.200s", exit_code,
                         text.data ? text.data : "");
        }
    }
    if (rc == 0) {
        *ret_issues = arena_copy(cli->app->arena, buf_slice(&text));
    }
    buf_done(&text);
    return rc;
}

static int research_work(ImproveCli *cli, Err *e)
{
    Research *r = cli->ctx;
    int rc = take_issues(cli, &r->options.issues, e);
    r->options.loop = cli->loop;
    return rc == 0 ? research_run(&r->options, cli->app->arena, &r->plan, e) : rc;
}

static void print_plan(App *app, const Place *place, const PlanDoc *plan)
{
    buf_printf(&app->out, "%s: %.*s\n\n", FEASIBILITY_NAMES[plan->feasibility],
               SLICE_FMT(plan->reason));
    for (size_t i = 0; i < plan->condition_count; i++) {
        const PlanCondition *c = &plan->conditions[i];
        buf_printf(&app->out, "%-20.*s %-9s %.*s%s%.*s\n", SLICE_FMT(c->name),
                   CONDITION_STATE_NAMES[c->state], SLICE_FMT(c->measured),
                   c->reason.len > 0 ? "; " : "", SLICE_FMT(c->reason));
    }
    buf_puts(&app->out, "\nGoals:\n");
    for (size_t i = 0; i < plan->goal_count; i++) {
        const PlanGoal *g = &plan->goals[i];
        buf_printf(&app->out, "%-10.*s %-8s round %d %-10s ", SLICE_FMT(g->id),
                   GOAL_STATE_NAMES[g->state], (int)g->round, GOAL_KIND_NAMES[g->kind]);
        utf8_sanitise(&app->out, g->title);
        buf_putc(&app->out, '\n');
    }
    buf_printf(&app->out,
               "\nThe plan is in %.*s/plan.md: look at it, change it, then `perfwright "
               "improve approve plan`.\n",
               SLICE_FMT(place->dir));
}

static Slice budget_text(Arena *arena, const EngineSettings *s)
{
    char time[UNITS_TEXT_MAX] = "";
    if (s->time_ns > 0) {
        (void)duration_format_short(s->time_ns, time);
    }
    Slice tokens =
        s->tokens > 0 ? arena_printf(arena, ", %lld tokens", (long long)s->tokens) : SLICE("");
    Slice cost = s->cost_usd > 0 ? arena_printf(arena, ", %.2f USD", s->cost_usd) : SLICE("");
    return time[0] ? arena_printf(arena, "%s%.*s%.*s", time, SLICE_FMT(tokens), SLICE_FMT(cost))
                   : SLICE("");
}

static int run_research(App *app, const OptionSet *set, Err *e)
{
    ImproveCli cli;
    Research r = {0};
    int rc = improve_cli_open(&cli, app, set, option_positional(set, 0), e);
    if (rc != 0 || (rc = improve_cli_ledger(&cli, false, e)) != 0 ||
        (rc = improve_cli_settings(&cli, &r.settings, e)) != 0) {
        improve_cli_close(&cli);
        return rc;
    }
    Slice work_dir = option_string(set, "work-dir");
    r.options = (ResearchOptions){
        .place = &cli.place,
        .engine = r.settings.engine,
        .budget = budget_text(app->arena, &r.settings),
        .no_profile = option_flag(set, "no-profile"),
        .no_sandbox = option_flag(set, "no-sandbox"),
        .work_dir = work_dir.len > 0 ? arena_cstr(app->arena, work_dir) : NULL,
        .path = getenv("PATH"),
        .ledger = cli.ledger,
        .dry_run = option_flag(set, "dry-run"),
        .progress_fn = improve_cli_say,
        .ctx = &cli,
    };
    r.options.resolvable = option_flag(set, "no-noise") ? 0 : measure_noise(&cli);
    cli.ctx = &r;
    rc = improve_cli_fiber(&cli, research_work, e);
    if (rc == 0 && option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        plan_doc_write(&r.plan, &w);
        buf_putc(&app->out, '\n');
    } else if (rc == 0) {
        print_plan(app, &cli.place, &r.plan);
    }
    improve_cli_close(&cli);
    return rc == 0 ? EXIT_PASS : rc;
}

static const Positional REPO_ARGS[] = {
    {"REPO", "The repository, a plain directory or a single file; without it here.", true, false}};
static const Option RESEARCH_OPTIONS[] = {
    OPTION_PATH,
    {.name = "issues",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .help = "Issues as `gh issue list --json number,title` prints them."},
    {.name = "gh", .kind = OPTION_FLAG, .help = "Ask gh for the issues."},
    {.name = "engine", .kind = OPTION_STRING, .metavar = "NAME", .help = "That will be used."},
    {.name = "no-profile", .kind = OPTION_FLAG, .help = "Do not build and profile a workload."},
    {.name = "no-noise", .kind = OPTION_FLAG, .help = "Do not measure what this machine can tell."},
    {.name = "dry-run", .kind = OPTION_FLAG, .help = "Write nothing."},
    OPTION_NO_SANDBOX,
    OPTION_WORK_DIR,
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Example RESEARCH_EXAMPLES[] = {
    {"perfwright improve research .", "This repository."},
    {"perfwright improve research . --gh", "With the issues that speak of performance."},
};
static const Verb VERB_RESEARCH = {
    .name = "improve research",
    .summary = "what a repository is, where its time goes, and a plan to improve it",
    .description =
        "Writes .perfwright/plan.md and plan.json. Run again, it keeps what a person wrote there. "
        "Ends with possible, doubtful or out of reach, by six conditions that are each measured.",
    POSITIONAL_TABLE(REPO_ARGS),
    OPTION_TABLE(RESEARCH_OPTIONS),
    EXAMPLE_TABLE(RESEARCH_EXAMPLES)};
const Command CMD_IMPROVE_RESEARCH = {&VERB_RESEARCH, run_research, false};

// ---- approve

static int approve_one(ImproveCli *cli, ApprovalOf of, Err *e)
{
    char hash[SHA256_HEX + 1];
    Slice content = SLICE("");
    Steps steps;
    PlanDoc plan;
    Arena *arena = cli->app->arena;
    // What cannot be read is not approved.
    int rc = of == APPROVAL_PLAN ? plan_doc_load(&cli->place, arena, &plan, e)
                                 : steps_of_place(&cli->place, arena, &steps, e);
    rc = rc == 0 ? approval_hash(&cli->place, arena, of, hash, e) : rc;
    Buf text = buf_create(PROPOSAL_CONTENT_MAX / 2);
    if (rc == 0) {
        JsonWriter w = json_writer(&text, 0);
        if (of == APPROVAL_PLAN) {
            plan_doc_write(&plan, &w);
        } else {
            steps_write_json(&steps, &w);
        }
        content = text.overflowed ? SLICE("") : buf_slice(&text);
        rc = approval_give(cli->ledger, cli->place.target, of, hash, improve_cli_person(arena),
                           content, e);
    }
    buf_done(&text);
    if (rc == 0) {
        app_say(cli->app, "approved the %s (%.12s)", APPROVAL_OF_NAMES[of], hash);
    }
    return rc;
}

static int run_approve(App *app, const OptionSet *set, Err *e)
{
    ImproveCli cli;
    Slice what = option_positional(set, 0);
    bool all = slice_eq_cstr(what, "all");
    int rc = improve_cli_open(&cli, app, set, option_positional(set, 1), e);
    rc = rc == 0 ? improve_cli_ledger(&cli, false, e) : rc;
    bool known = all;
    for (int i = 0; rc == 0 && i < APPROVALS; i++) {
        if (all || slice_eq_cstr(what, APPROVAL_OF_NAMES[i])) {
            known = true;
            rc = approve_one(&cli, (ApprovalOf)i, e);
        }
    }
    if (rc == 0 && !known) {
        rc = err_set(e, ERR_ARG, "approve what? plan, steps or all, not \"%.*s\"", SLICE_FMT(what));
    }
    improve_cli_close(&cli);
    return rc == 0 ? EXIT_PASS : rc;
}

static const Positional APPROVE_ARGS[] = {
    {"WHAT", "plan, steps, or all.", false, false},
    {"REPO", "The repository; without it here.", true, false}};
static const Option APPROVE_OPTIONS[] = {OPTION_PATH, OPTION_LEDGER};
static const Example APPROVE_EXAMPLES[] = {
    {"perfwright improve approve plan", "I have looked at .perfwright/plan.md."}};
static const Verb VERB_APPROVE = {
    .name = "improve approve",
    .summary = "say that a person looked at the plan or the steps",
    .description = "The ledger remembers the hash of what was approved: an edit asks for approval "
                   "again. `improve attempt` refuses without it.",
    POSITIONAL_TABLE(APPROVE_ARGS),
    OPTION_TABLE(APPROVE_OPTIONS),
    EXAMPLE_TABLE(APPROVE_EXAMPLES)};
const Command CMD_IMPROVE_APPROVE = {&VERB_APPROVE, run_approve, false};

// ---- status

typedef struct Status {
    PlanDoc plan;
    bool has_plan, has_steps;
    ApprovalState approvals[APPROVALS];
    AttemptState *attempts;
    size_t attempt_count;
    OutcomeRates rates;
    GoalChoice next;
    Slice none_left;
    Memory memory;
} Status;

static int take_status(ImproveCli *cli, Status *s, Err *e)
{
    Steps steps;
    Arena *arena = cli->app->arena;
    Err why = {0};
    int rc = plan_doc_load(&cli->place, arena, &s->plan, e);
    s->has_plan = rc == 0;
    if (rc != 0 && rc != ERR_NOT_FOUND) {
        return rc;
    }
    rc = steps_of_place(&cli->place, arena, &steps, e);
    s->has_steps = rc == 0;
    if (rc != 0 && rc != ERR_NOT_FOUND) {
        return rc;
    }
    for (int i = 0; i < APPROVALS && cli->ledger; i++) {
        char hash[SHA256_HEX + 1];
        if (approval_hash(&cli->place, arena, (ApprovalOf)i, hash, NULL) == 0 &&
            (rc = approval_state(cli->ledger, cli->place.target, (ApprovalOf)i, hash,
                                 &s->approvals[i], e)) != 0) {
            return rc;
        }
    }
    if ((rc = attempt_state_list(&cli->place, arena, &s->attempts, &s->attempt_count, e)) != 0 ||
        (rc = memory_load(&cli->place, arena, &s->memory, e)) != 0) {
        return rc;
    }
    outcome_rates(arena, s->attempts, s->attempt_count, &s->rates);
    if (s->has_plan && goal_choose(arena, &s->plan, s->attempts, s->attempt_count, &s->memory,
                                   &s->rates, SLICE(""), &s->next, &why) != 0) {
        s->none_left = arena_copy(arena, slice_from_cstr(why.text));
    }
    return 0;
}

static const char *approval_word(const Status *s, ApprovalOf of)
{
    static const char *const WORDS[] = {[APPROVAL_NONE] = "not approved",
                                        [APPROVAL_OLD] = "changed since it was approved",
                                        [APPROVAL_GIVEN] = "approved"};
    return (of == APPROVAL_PLAN ? s->has_plan : s->has_steps) ? WORDS[s->approvals[of]]
                                                              : "not made yet";
}

static void print_attempt(Buf *out, const AttemptState *a)
{
    buf_printf(out, "%.*s  %-10s %-16.*s ", SLICE_FMT(a->id), ATTEMPT_PHASE_NAMES[a->phase],
               SLICE_FMT(a->verdict.len > 0 ? a->verdict : SLICE("-")));
    utf8_sanitise(out, slice_sub(a->goal_title, 0, 60));
    buf_putc(out, '\n');
    const Slice more[] = {a->claim, a->error, a->url, a->outcome};
    for (size_t i = 0; i < COUNT_OF(more); i++) {
        if (more[i].len > 0) {
            buf_puts(out, "    ");
            utf8_sanitise(out, slice_sub(more[i], 0, 300));
            buf_putc(out, '\n');
        }
    }
}

static void print_status(App *app, const Status *s)
{
    Buf *out = &app->out;
    double spent = 0;
    int64_t tokens = 0;
    buf_printf(out, "plan   %s\nsteps  %s\n\n", approval_word(s, APPROVAL_PLAN),
               approval_word(s, APPROVAL_STEPS));
    for (size_t i = 0; i < s->attempt_count; i++) {
        print_attempt(out, &s->attempts[i]);
        spent += s->attempts[i].spent_usd;
        tokens += s->attempts[i].spent_tokens;
    }
    buf_printf(out, "%zu attempt%s, %lld tokens, %.2f USD\n\n", s->attempt_count,
               s->attempt_count == 1 ? "" : "s", (long long)tokens, spent);
    for (int i = 0; i < GOAL_KINDS; i++) {
        const OutcomeRate *rate = &s->rates.kinds[i];
        if (rate->accepted + rate->refused > 0) {
            buf_printf(out, "%-11s accepted %lld of %lld; the next with probability %.2f\n",
                       GOAL_KIND_NAMES[i], (long long)rate->accepted,
                       (long long)(rate->accepted + rate->refused), rate->mean);
        }
    }
    if (s->next.goal) {
        buf_printf(out, "next goal: %.*s ", SLICE_FMT(s->next.goal->id));
        utf8_sanitise(out, s->next.goal->title);
        buf_printf(out, " (%.*s)\n", SLICE_FMT(s->next.why));
    } else if (s->none_left.len > 0) {
        buf_printf(out, "%.*s\n", SLICE_FMT(s->none_left));
    }
}

static void write_status(App *app, const Status *s)
{
    JsonWriter w = json_writer(&app->out, 2);
    json_object_begin(&w);
    json_field_int(&w, "version", 1);
    json_field_cstr(&w, "plan", approval_word(s, APPROVAL_PLAN));
    json_field_cstr(&w, "steps", approval_word(s, APPROVAL_STEPS));
    json_key(&w, SLICE("attempts"));
    json_array_begin(&w);
    for (size_t i = 0; i < s->attempt_count; i++) {
        attempt_state_write(&s->attempts[i], &w);
    }
    json_array_end(&w);
    json_key(&w, SLICE("rates"));
    json_object_begin(&w);
    for (int i = 0; i < GOAL_KINDS; i++) {
        json_field_double(&w, GOAL_KIND_NAMES[i], s->rates.kinds[i].mean);
    }
    json_object_end(&w);
    if (s->next.goal) {
        json_field_string(&w, "nextGoal", s->next.goal->id);
    }
    json_object_end(&w);
    buf_putc(&app->out, '\n');
}

static int run_status(App *app, const OptionSet *set, Err *e)
{
    ImproveCli cli;
    Status *s = ARENA_NEW(app->arena, Status);
    int rc = improve_cli_open(&cli, app, set, option_positional(set, 0), e);
    if (rc == 0 && improve_cli_ledger(&cli, true, NULL) != 0) {
        cli.ledger = NULL; // none yet: nothing was approved
    }
    rc = rc == 0 ? take_status(&cli, s, e) : rc;
    if (rc == 0 && option_flag(set, "json")) {
        write_status(app, s);
    } else if (rc == 0) {
        print_status(app, s);
    }
    improve_cli_close(&cli);
    return rc == 0 ? EXIT_PASS : rc;
}

static const Option STATUS_OPTIONS[] = {OPTION_PATH, OPTION_JSON, OPTION_LEDGER};
static const Example STATUS_EXAMPLES[] = {{"perfwright improve status", "Here."}};
static const Verb VERB_STATUS = {
    .name = "improve status",
    .summary = "phases, approvals, attempts with their verdicts, the next goal",
    POSITIONAL_TABLE(REPO_ARGS),
    OPTION_TABLE(STATUS_OPTIONS),
    EXAMPLE_TABLE(STATUS_EXAMPLES)};
const Command CMD_IMPROVE_STATUS = {&VERB_STATUS, run_status, false};
