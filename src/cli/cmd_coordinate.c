// coordinate: agents that keep promises by agreeing on policies; and a person's say in it, from
// another terminal, through the ledger.
#include "cli/commands.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json_write.h"
#include "cli/outcome_table.h"
#include "cli/system_file.h"
#include "cli/table.h"
#include "llm/config.h"
#include "manage/plan_message.h"
#include "manage/planner_llm.h"
#include "manage/planner_rules.h"
#include "manage/planner_search.h"
#include "manage/plant_live.h"
#include "manage/plant_virtual.h"
#include "manage/story_report.h"
#include "model/observed.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/signal.h"

enum { HISTORY_MAX = 1000, PLANNERS_MAX = 2 };
#define WAIT_NS (200 * NS_PER_MS)
// A language model takes its time; what serves meanwhile does not wait for it.
#define LLM_PLAN_BUDGET_NS (30 * NS_PER_SECOND)

#define SYSTEM_POSITIONAL                                                                          \
    {                                                                                              \
        "SYSTEM", "The System document: TOML, YAML or JSON.", false, false                         \
    }

// ---- run

typedef struct Run {
    App *app;
    Loop *loop;
    Signals *signals;
    bool stop;
    Ledger *ledger;
    Plant *plant;
    Coordinator *coordinator;
    Planner *planners[PLANNERS_MAX];
    size_t planner_count;
    LlmConfig llm;
    size_t violated; // as of the last window
    Sha256 policies; // as of the end of the last window
    uint32_t steady; // windows at whose ends they were the same
    bool deaf;       // an observation could not be kept
} Run;

static void on_signal(void *ctx, int number)
{
    Run *r = ctx;
    r->stop = r->stop || number == SIGINT || number == SIGTERM;
}

static bool is_stopped(void *ctx)
{
    Run *r = ctx;
    (void)loop_tick(r->loop, 0);
    return r->stop;
}

static void on_event(void *ctx, const StoryEvent *event)
{
    Run *r = ctx;
    Buf line = buf_create(64 << 10);
    story_line(event, &line);
    app_say(r->app, "%.*s", SLICE_FMT(buf_slice(&line)));
    buf_done(&line);
}

// An observation for models to be fitted on, of a window from whose beginning to whose end nobody
// changed a policy: what is agreed on after one window takes effect early in the next.
static void observe(Run *r, const PlantWindow *window)
{
    const System *sys = r->plant->sys;
    Sha256 policies = observed_policies(sys);
    r->steady = sha256_eq(&policies, &r->policies) ? r->steady + 1 : 0;
    r->policies = policies;
    if (r->ledger == NULL || r->steady < 2 || r->deaf) {
        return;
    }
    char source[64];
    int n = snprintf(source, sizeof source, "%s:window=%.0fs-%.0fs", r->plant->ops->kind,
                     (double)window->from_ns / 1e9, (double)window->until_ns / 1e9);
    Err e = {0};
    if (observed_store(r->ledger, sys, window->outcome, OBSERVED_WINDOWS,
                       (Slice){source, (size_t)n}, clock_wall(clock_real()), &e) != 0) {
        r->deaf = true; // said once; management goes on without
        app_warn(r->app, "no more observations are kept: %s", e.text);
    }
}

static void on_window(void *ctx, const PlantWindow *window, const DetectFound *found)
{
    Run *r = ctx;
    r->violated = found->count;
    observe(r, window);
}

static int make_plant(Run *r, const OptionSet *set, const System *sys, Err *e)
{
    uint64_t seed = (uint64_t)option_int(set, "seed");
    if (!option_flag(set, "live")) {
        return plant_virtual_create(sys, &(PlantVirtualOptions){.seed = seed}, &r->plant, e);
    }
    return plant_live_create(sys,
                             &(PlantLiveOptions){.seed = seed,
                                                 .scale = option_float(set, "scale"),
                                                 .stopped = is_stopped,
                                                 .stopped_arg = r},
                             &r->plant, e);
}

static ApprovalMode mode_of(const OptionSet *set)
{
    Slice text = option_string(set, "mode");
    for (int i = 0; APPROVAL_NAMES[i] != NULL; i++) {
        if (slice_eq_cstr(text, APPROVAL_NAMES[i])) {
            return (ApprovalMode)i;
        }
    }
    return APPROVAL_AUTOMATIC;
}

// ---- who plans

static int llm_planner(Run *r, const OptionSet *set, Err *e)
{
    PlannerLlmOptions options = {.config = &r->llm,
                                 .get_env = getenv,
                                 .timeout_ns = LLM_PLAN_BUDGET_NS,
                                 .seed = (uint64_t)option_int(set, "seed")};
    int rc = 0;
    if (option_given(set, "llm-config")) {
        const Doc *doc = NULL;
        const char *path = arena_cstr(r->app->arena, option_string(set, "llm-config"));
        rc = doc_read_file(r->app->arena, path, NULL, &doc, e);
        rc = rc != 0 ? rc : llm_config_read(r->app->arena, doc_get(doc, SLICE("llm")), &r->llm, e);
    }
    return rc != 0 ? rc : planner_llm_create(&options, &r->planners[r->planner_count++], e);
}

// The rules plan always, last: whoever was asked before may have no answer.
static int make_planners(Run *r, const OptionSet *set, Err *e)
{
    Slice who = option_string(set, "planner");
    int rc = 0;
    if (slice_eq_cstr(who, "llm")) {
        rc = llm_planner(r, set, e);
    } else if (slice_eq_cstr(who, "bayes")) {
        r->planners[r->planner_count++] = planner_bayes_create(&(PlannerSearchOptions){0});
    } else if (slice_eq_cstr(who, "random")) {
        r->planners[r->planner_count++] = planner_random_create(&(PlannerSearchOptions){0});
    }
    if (rc == 0) {
        r->planners[r->planner_count++] = planner_rules_create();
    }
    return rc;
}

static int coordinate(Run *r, const OptionSet *set, const System *sys, Err *e)
{
    int rc = make_plant(r, set, sys, e);
    rc = rc != 0 ? rc : make_planners(r, set, e);
    if (rc != 0) {
        return rc;
    }
    bool model = slice_eq_cstr(option_string(set, "planner"), "llm");
    CoordinatorOptions options = {
        .planners = r->planners,
        .planner_count = r->planner_count,
        .plan_budget_ns = model ? LLM_PLAN_BUDGET_NS : 0,
        .mode = mode_of(set),
        .seed = (uint64_t)option_int(set, "seed"),
        .duration_ns = option_int(set, "duration"),
        // Where nothing is live, thinking takes the time of the world as well.
        .think_ns = option_flag(set, "live") ? 0 : option_int(set, "think"),
        .ledger = r->ledger,
        .hooks = {.context = r, .event = on_event, .window = on_window},
    };
    rc = coordinator_create(r->plant, &options, &r->coordinator, e);
    bool live = option_flag(set, "live");
    for (bool more = true; rc == 0 && more && !is_stopped(r);) {
        if (!live && coordinator_state(r->coordinator) == CASE_WAITING) {
            // A simulated world has all the time that a person takes.
            (void)loop_tick(r->loop, WAIT_NS);
            coordinator_poll(r->coordinator);
        } else {
            rc = coordinator_step(r->coordinator, &more, e);
        }
    }
    return rc == ERR_CANCELLED ? 0 : rc;
}

static int write_report(const Story *story, Slice path, Err *e)
{
    Buf out = buf_create(STORY_REPORT_MAX);
    bool markdown = slice_ends_with(path, SLICE(".md"));
    int rc = markdown ? story_markdown(story, &out, e) : story_html(story, &out, e);
    Arena *arena = arena_create(1 << 16);
    rc = rc != 0 ? rc : file_write(arena_cstr(arena, path), buf_slice(&out), NULL, e);
    arena_destroy(arena);
    buf_done(&out);
    return rc;
}

static void print_table(App *app, const Story *story)
{
    static const char *const HEADS[] = {"CLIENT", "GOODPUT BEFORE", "AFTER", "P99 BEFORE", "AFTER"};
    Table t = table_create(app->arena, COUNT_OF(HEADS));
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        table_put(&t, slice_from_cstr(HEADS[i]));
    }
    for (uint32_t i = 0; i < story->before->client_count; i++) {
        StoryPeriod before, after = {.goodput = {NAN, NAN, NAN}, .p99 = {NAN, NAN, NAN}};
        (void)story_before_after(story, i, &before, &after);
        const Estimate cells[] = {before.goodput, after.goodput, before.p99, after.p99};
        table_put(&t, story->before->clients[i].name);
        for (int k = 0; k < 4; k++) {
            Buf text = buf_create(256);
            outcome_estimate_print(cells[k], k < 2 ? OUTCOME_SHARE : OUTCOME_SECONDS, &text);
            table_put(&t, buf_slice(&text));
            buf_done(&text);
        }
    }
    table_print(&t, 0, &app->out);
}

static int report(Run *r, const OptionSet *set, Err *e)
{
    App *app = r->app;
    Story story = coordinator_story(r->coordinator);
    Slice path = option_string(set, "report");
    int rc = path.len > 0 ? write_report(&story, path, e) : 0;
    if (rc != 0) {
        return rc;
    }
    if (option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        story_write(&story, &w);
        buf_putc(&app->out, '\n');
    } else {
        print_table(app, &story);
        buf_printf(&app->out,
                   "%u cases: %u kept, %u rolled back, %u given up; agreed to applied "
                   "at most %.3g ms\n",
                   story.cases, story.kept, story.rolled_back, story.given_up,
                   (double)story.decision_to_applied_ns / 1e6);
        buf_printf(&app->out, "%zu promises are broken at the end\n", r->violated);
    }
    if (r->stop) {
        return EXIT_PARTIAL;
    }
    return r->violated > 0 ? EXIT_THRESHOLDS : EXIT_PASS;
}

static int run_run(App *app, const OptionSet *set, Err *e)
{
    System *sys = NULL;
    Run r = {.app = app};
    int rc = cli_load_system(app, set, &sys, e);
    rc = rc != 0 ? rc : loop_create(&(LoopOptions){0}, &r.loop, e);
    rc = rc != 0 ? rc : signals_watch(r.loop, on_signal, &r, &r.signals, e);
    if (rc == 0 && !option_flag(set, "no-ledger")) {
        rc = app_open_ledger(app, set, false, &r.ledger, e);
    }
    rc = rc != 0 ? rc : coordinate(&r, set, sys, e);
    rc = rc != 0 ? rc : report(&r, set, e);
    coordinator_destroy(r.coordinator);
    for (size_t i = 0; i < r.planner_count; i++) {
        planner_destroy(r.planners[i]);
    }
    plant_destroy(r.plant);
    ledger_close(r.ledger);
    signals_close(r.signals);
    loop_destroy(r.loop);
    return rc;
}

static const Positional RUN_ARGS[] = {SYSTEM_POSITIONAL};
static const char *const MODES[] = {"auto", "ask", "advise", NULL};
static const char *const PLANNERS[] = {"rules", "bayes", "random", "llm", NULL};
static const Option RUN_OPTIONS[] = {
    {.name = "mode",
     .kind = OPTION_CHOICE,
     .choices = MODES,
     .default_text = "auto",
     .help = "What happens with a plan that all agree to: it is applied, a person is asked first "
             "(perfwright coordinate accept), or it is only told."},
    {.name = "planner",
     .kind = OPTION_CHOICE,
     .choices = PLANNERS,
     .default_text = "rules",
     .help = "Who plans first: the rules, a search by simulation (bayes, random), or a language "
             "model. The rules add their plans to the others', and all are validated."},
    {.name = "llm-config",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .env = "PERFWRIGHT_LLM_CONFIG",
     .help = "With --planner llm: TOML file with the [llm] tree (docs/guide/llm.md)."},
    {.name = "live",
     .kind = OPTION_FLAG,
     .help = "Run the system on the agent runtime instead of simulating it."},
    OPTION_SCALE("With --live: seconds of the system in one second of the clock."),
    {.name = "duration",
     .kind = OPTION_DURATION,
     .default_text = "600s",
     .min = 1e9,
     .max = 86400e9,
     .help = "How long it runs, of the system's time."},
    {.name = "think",
     .kind = OPTION_DURATION,
     .default_text = "2s",
     .min = 0,
     .max = 600e9,
     .help = "Without --live: how long the simulated world goes on while a plan is made."},
    OPTION_SEED("Of arrivals, service times, faults and models."),
    OPTION_SYSTEM_SET,
    OPTION_JSON,
    {.name = "report",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "Output",
     .help = "Write the story as a page (.html) or as Markdown (.md)."},
    OPTION_LEDGER,
    {.name = "no-ledger",
     .kind = OPTION_FLAG,
     .section = "Ledger",
     .help = "Keep no record; then nobody can be asked."},
};
static const Example RUN_EXAMPLES[] = {
    {"perfwright coordinate run pipeline.toml --report story.html",
     "Simulated: what breaks, who proposes what, what comes of it."},
    {"perfwright coordinate run pipeline.toml --live --duration 600s",
     "The same on the agent runtime, ten times as fast as the document says."},
    {"perfwright coordinate run pipeline.toml --live --mode ask",
     "Waits for `perfwright coordinate accept latest` in another terminal."},
};
static const Verb VERB_RUN = {
    .name = "coordinate run",
    .summary = "let the agents of a system keep its promises by agreeing on policies",
    .description =
        "Watches the system; when a promise is broken, the agent that answers for it plans, "
        "validates its plans by models, proposes the best to those who own the policies, and "
        "watches what comes of it. What does not do what was predicted is taken back.\n\n"
        "Exits with 0 when all promises are kept at the end, 99 when some are broken, 114 when "
        "it was stopped (Ctrl-C).",
    OPTION_TABLE(RUN_OPTIONS),
    POSITIONAL_TABLE(RUN_ARGS),
    EXAMPLE_TABLE(RUN_EXAMPLES)};
const Command CMD_COORDINATE_RUN = {&VERB_RUN, run_run, false};

// ---- propose

static int read_changes(App *app, const OptionSet *set, const System *sys, Plan *plan, Err *e)
{
    for (size_t i = 1; i < option_positional_count(set); i++) {
        SystemChange change;
        int rc = system_parse_change(sys, option_positional(set, i), &change, e);
        rc = rc != 0 ? rc : plan_add(plan, change, e);
        if (rc != 0) {
            return rc;
        }
    }
    Slice reason = option_string(set, "reason");
    plan->planner = SLICE("person");
    plan->reason = reason.len > 0 ? reason : SLICE("a person's proposal");
    Buf text = buf_create(PROPOSAL_TEXT_MAX);
    plan_write(sys, plan, &text);
    plan->title = arena_copy(app->arena, buf_slice(&text));
    buf_done(&text);
    return 0;
}

static void print_verdict(App *app, const System *sys, const Verdict *v)
{
    buf_printf(&app->out, "%s: %.*s\n", VERDICT_NAMES[v->kind], SLICE_FMT(v->words));
    if (v->kind == VERDICT_AMENDED) {
        buf_puts(&app->out, "as amended: ");
        plan_write(sys, &v->plan, &app->out);
        buf_putc(&app->out, '\n');
    }
    if (v->outcome != NULL) {
        outcome_table_print(app, sys, v->outcome);
    }
    for (size_t i = 0; i < v->harm_count; i++) {
        const Harm *h = &v->harms[i];
        if (h->harmful) {
            buf_printf(&app->out, "harms %.*s: %s from %.4g to %.4g\n",
                       SLICE_FMT(sys->clients[h->client].name), MEASURE_NAMES[h->measure],
                       h->before.value, h->after.value);
        }
    }
}

static int record_proposal(App *app, const OptionSet *set, const System *sys, const Verdict *v,
                           Err *e)
{
    Ledger *ledger = NULL;
    int rc = app_open_ledger(app, set, false, &ledger, e);
    if (rc != 0) {
        return rc;
    }
    Buf content = buf_create(PROPOSAL_CONTENT_MAX);
    JsonWriter w = json_writer(&content, 0);
    json_object_begin(&w);
    json_key(&w, SLICE("plan"));
    plan_write_json(sys, &v->plan, &w);
    json_key(&w, SLICE("verdict"));
    verdict_write(sys, v, &w);
    json_object_end(&w);
    Proposal p = {.kind = PROPOSAL_POLICY,
                  .target = sys->name,
                  .title = slice_sub(v->plan.title, 0, PROPOSAL_TEXT_MAX),
                  .author = SLICE("person"),
                  .reason = v->plan.reason,
                  .content_json = buf_slice(&content)};
    rc = proposal_create(ledger, &p, e);
    ProposalStep step = {.to = PROPOSAL_VALIDATED, .author = SLICE("validation")};
    bool sound = v->kind == VERDICT_ACCEPTED || v->kind == VERDICT_AMENDED;
    step.to = sound ? PROPOSAL_VALIDATED : PROPOSAL_REJECTED;
    step.reason = v->words;
    rc = rc != 0 ? rc : proposal_step(ledger, slice_from_cstr(p.id), &step, e);
    if (rc == 0) {
        buf_printf(&app->out, "proposal %s: %s\n", p.id, sound ? "validated" : "rejected");
    }
    buf_done(&content);
    ledger_close(ledger);
    return rc;
}

static int run_propose(App *app, const OptionSet *set, Err *e)
{
    System *sys = NULL;
    Plan *plan = ARENA_NEW(app->arena, Plan);
    int rc = cli_load_system(app, set, &sys, e);
    rc = rc != 0 ? rc : read_changes(app, set, sys, plan, e);
    if (rc != 0) {
        return rc;
    }
    ValidateAsk ask = {.view = sys,
                       .plans = plan,
                       .count = 1,
                       .self = UINT32_MAX, // nobody's own: all promises are everybody's
                       .purpose = sys->objective_count > 0 ? sys->objectives[0].client : UINT32_MAX,
                       .may_be_equal = true,
                       .may_amend = true,
                       .seed = (uint64_t)option_int(set, "seed"),
                       .always = 1};
    Validation v;
    rc = validate(app->arena, &ask, &v, e);
    if (rc != 0) {
        return rc;
    }
    if (option_flag(set, "json")) {
        JsonWriter w = json_writer(&app->out, 2);
        verdict_write(sys, &v.verdicts[0], &w);
        buf_putc(&app->out, '\n');
    } else {
        print_verdict(app, sys, &v.verdicts[0]);
    }
    rc = option_flag(set, "dry-run") ? 0 : record_proposal(app, set, sys, &v.verdicts[0], e);
    return rc != 0 ? rc : v.sound > 0 ? EXIT_PASS : EXIT_THRESHOLDS;
}

static const Positional PROPOSE_ARGS[] = {
    SYSTEM_POSITIONAL,
    {"CHANGE", "NAME=VALUE: \"b->c.timeout.attempt=500ms\".", false, true},
};
static const Option PROPOSE_OPTIONS[] = {
    {.name = "reason", .kind = OPTION_STRING, .metavar = "TEXT", .help = "Why, for the record."},
    OPTION_SEED("Of the simulations."),
    {.name = "dry-run", .kind = OPTION_FLAG, .help = "Only say what would come of it."},
    OPTION_SYSTEM_SET,
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Example PROPOSE_EXAMPLES[] = {
    {"perfwright coordinate propose pipeline.toml 'a->b.retry.attempts=1' --dry-run",
     "What would come of it, and whom would it harm?"},
    {"perfwright coordinate propose pipeline.toml 'd.servers=24' --reason 'more audits soon'",
     "Validates it and records it; a running `coordinate run` applies it once it is accepted."},
};
static const Verb VERB_PROPOSE = {
    .name = "coordinate propose",
    .summary = "validate a change of policies and put it before the agents",
    .description = "Exits with 0 when validation finds it sound, with 99 when not.",
    OPTION_TABLE(PROPOSE_OPTIONS),
    POSITIONAL_TABLE(PROPOSE_ARGS),
    EXAMPLE_TABLE(PROPOSE_EXAMPLES)};
const Command CMD_COORDINATE_PROPOSE = {&VERB_PROPOSE, run_propose, false};

// ---- accept, reject, rollback

static int step_to(App *app, const OptionSet *set, ProposalState to, Err *e)
{
    Ledger *ledger = NULL;
    Proposal *p = NULL;
    int rc = app_open_ledger(app, set, false, &ledger, e);
    if (rc != 0) {
        return rc;
    }
    Slice selector = option_positional(set, 0);
    rc = proposal_load(ledger, selector.len > 0 ? selector : SLICE("latest"), app->arena, &p, e);
    ProposalStep step = {
        .to = to, .author = SLICE("person"), .reason = option_string(set, "reason")};
    rc = rc != 0 ? rc : proposal_step(ledger, slice_from_cstr(p->id), &step, e);
    if (rc == 0) {
        buf_printf(&app->out, "proposal %s of %.*s is %s: %.*s\n", p->id, SLICE_FMT(p->target),
                   PROPOSAL_STATE_NAMES[to], SLICE_FMT(p->title));
    }
    ledger_close(ledger);
    return rc != 0 ? rc : EXIT_PASS;
}

static int run_accept(App *app, const OptionSet *set, Err *e)
{
    return step_to(app, set, PROPOSAL_APPROVED, e);
}
static int run_reject(App *app, const OptionSet *set, Err *e)
{
    return step_to(app, set, PROPOSAL_REJECTED, e);
}
static int run_rollback(App *app, const OptionSet *set, Err *e)
{
    return step_to(app, set, PROPOSAL_ROLLED_BACK, e);
}

static const Positional PROPOSAL_ARGS[] = {
    {"PROPOSAL", "Its id, a beginning of it, or latest (the default).", true, false},
};
static const Option STEP_OPTIONS[] = {
    {.name = "reason", .kind = OPTION_STRING, .metavar = "TEXT", .help = "Why, for the record."},
    OPTION_LEDGER,
};
static const Example ACCEPT_EXAMPLES[] = {
    {"perfwright coordinate accept", "The newest proposal; the run that waits for it goes on."},
};
static const Verb VERB_ACCEPT = {.name = "coordinate accept",
                                 .summary = "approve a proposal that waits for a person",
                                 OPTION_TABLE(STEP_OPTIONS),
                                 POSITIONAL_TABLE(PROPOSAL_ARGS),
                                 EXAMPLE_TABLE(ACCEPT_EXAMPLES)};
const Command CMD_COORDINATE_ACCEPT = {&VERB_ACCEPT, run_accept, false};

static const Example REJECT_EXAMPLES[] = {
    {"perfwright coordinate reject latest --reason 'not during the sale'",
     "It is not proposed again in that run."},
};
static const Verb VERB_REJECT = {.name = "coordinate reject",
                                 .summary = "refuse a proposal that waits for a person",
                                 OPTION_TABLE(STEP_OPTIONS),
                                 POSITIONAL_TABLE(PROPOSAL_ARGS),
                                 EXAMPLE_TABLE(REJECT_EXAMPLES)};
const Command CMD_COORDINATE_REJECT = {&VERB_REJECT, run_reject, false};

static const Example ROLLBACK_EXAMPLES[] = {
    {"perfwright coordinate rollback", "The policies of before, within a window of the run."},
};
static const Verb VERB_ROLLBACK = {.name = "coordinate rollback",
                                   .summary = "take a proposal back that was applied or kept",
                                   OPTION_TABLE(STEP_OPTIONS),
                                   POSITIONAL_TABLE(PROPOSAL_ARGS),
                                   EXAMPLE_TABLE(ROLLBACK_EXAMPLES)};
const Command CMD_COORDINATE_ROLLBACK = {&VERB_ROLLBACK, run_rollback, false};

// ---- history

static void print_estimates(App *app, const char *what, ProposalEstimates list)
{
    for (size_t i = 0; i < list.count; i++) {
        const ProposalEstimate *e = &list.items[i];
        buf_printf(&app->out, "    %s %.*s %.4g [%.4g, %.4g]\n", what, SLICE_FMT(e->name), e->value,
                   e->low, e->high);
    }
}

static void print_proposal(App *app, const Proposal *p)
{
    buf_printf(&app->out, "%s  %s  %.*s\n%.*s\n%.*s\n", p->id, PROPOSAL_STATE_NAMES[p->state],
               SLICE_FMT(p->target), SLICE_FMT(p->title), SLICE_FMT(p->reason));
    for (size_t i = 0; i < p->step_count; i++) {
        const ProposalStep *s = &p->steps[i];
        char at[CLOCK_RFC3339_MAX];
        clock_print_rfc3339(s->at_unix_ns, at);
        bool note = s->from == s->to && i > 0;
        buf_printf(&app->out, "  %.19s  %-11s  %.*s: %.*s\n", at,
                   note ? "note" : PROPOSAL_STATE_NAMES[s->to], SLICE_FMT(s->author),
                   SLICE_FMT(s->reason));
        print_estimates(app, "predicted", s->predicted);
        print_estimates(app, "observed", s->observed);
    }
}

static void print_list(App *app, const Proposal *items, size_t count)
{
    static const char *const HEADS[] = {"PROPOSAL", "STATE", "SYSTEM", "BY", "WHAT"};
    Table t = table_create(app->arena, COUNT_OF(HEADS));
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        table_put(&t, slice_from_cstr(HEADS[i]));
    }
    for (size_t i = 0; i < count; i++) {
        table_put(&t, slice_from_cstr(items[i].id));
        table_put(&t, slice_from_cstr(PROPOSAL_STATE_NAMES[items[i].state]));
        table_put(&t, items[i].target);
        table_put(&t, items[i].author);
        table_put(&t, items[i].title);
    }
    table_print(&t, 0, &app->out);
}

static int history(App *app, const OptionSet *set, Ledger *ledger, Err *e)
{
    Slice selector = option_positional(set, 0);
    bool json = option_flag(set, "json");
    JsonWriter w = json_writer(&app->out, 2);
    if (selector.len > 0) {
        Proposal *p = NULL;
        int rc = proposal_load(ledger, selector, app->arena, &p, e);
        if (rc == 0 && json) {
            proposal_write(p, &w);
            buf_putc(&app->out, '\n');
        } else if (rc == 0) {
            print_proposal(app, p);
        }
        return rc;
    }
    Proposal *items = NULL;
    size_t count = 0;
    ProposalKind kind = PROPOSAL_POLICY;
    ProposalFilter filter = {
        .kind = &kind, .target = option_string(set, "system"), .limit = option_int(set, "limit")};
    int rc = proposal_list(ledger, &filter, app->arena, &items, &count, e);
    if (rc != 0) {
        return rc;
    }
    if (!json) {
        print_list(app, items, count);
        return 0;
    }
    json_array_begin(&w);
    for (size_t i = 0; i < count; i++) {
        proposal_write(&items[i], &w);
    }
    json_array_end(&w);
    buf_putc(&app->out, '\n');
    return 0;
}

static int run_history(App *app, const OptionSet *set, Err *e)
{
    Ledger *ledger = NULL;
    int rc = app_open_ledger(app, set, true, &ledger, e);
    rc = rc != 0 ? rc : history(app, set, ledger, e);
    ledger_close(ledger);
    return rc != 0 ? rc : EXIT_PASS;
}

static const Positional HISTORY_ARGS[] = {
    {"PROPOSAL", "Show this one with all its steps: an id, a beginning of it, latest.", true,
     false},
};
static const Option HISTORY_OPTIONS[] = {
    {.name = "system", .kind = OPTION_STRING, .metavar = "NAME", .help = "Only of this system."},
    {.name = "limit",
     .kind = OPTION_INT,
     .default_text = "20",
     .min = 1,
     .max = HISTORY_MAX,
     .help = "How many, the newest first."},
    OPTION_JSON,
    OPTION_LEDGER,
};
static const Example HISTORY_EXAMPLES[] = {
    {"perfwright coordinate history", "What was proposed, and what became of it."},
    {"perfwright coordinate history latest", "Step by step: predicted, decided, observed."},
};
static const Verb VERB_HISTORY = {.name = "coordinate history",
                                  .summary = "list policy proposals, or tell the story of one",
                                  OPTION_TABLE(HISTORY_OPTIONS),
                                  POSITIONAL_TABLE(HISTORY_ARGS),
                                  EXAMPLE_TABLE(HISTORY_EXAMPLES)};
const Command CMD_COORDINATE_HISTORY = {&VERB_HISTORY, run_history, false};
