#include "improve/research.h"

#include <unistd.h>

#include "improve/attempt_state.h"
#include "ledger/proposal.h"
#include "os/clock.h"

static void say(const ResearchOptions *o, const char *stage, Slice text)
{
    if (o->progress_fn) {
        o->progress_fn(o->ctx, stage, text);
    }
}

// ---- reading what is there

int plan_doc_load(const Place *place, Arena *arena, PlanDoc *ret_plan, Err *e)
{
    Slice json, markdown;
    PlanDoc plan;
    int rc = place_read(place, arena, SLICE("plan.json"), &json, e);
    if (rc == ERR_NOT_FOUND) {
        return err_set(e, ERR_NOT_FOUND,
                       "there is no plan in %.*s yet: `perfwright improve "
                       "research` makes it",
                       SLICE_FMT(place->dir));
    }
    if (rc == 0) {
        const char *source = arena_printf(arena, "%.*s/plan.json", SLICE_FMT(place->dir)).ptr;
        rc = plan_doc_read(arena, json, source, &plan, e);
    }
    if (rc == 0 && place_read(place, arena, SLICE("plan.md"), &markdown, NULL) == 0) {
        rc = plan_doc_take_edits(arena, markdown, &plan, e);
    }
    if (rc == 0) {
        *ret_plan = plan;
    }
    return rc;
}

int steps_of_place(const Place *place, Arena *arena, Steps *ret_steps, Err *e)
{
    Slice text;
    int rc = place_read(place, arena, SLICE("steps.yaml"), &text, e);
    if (rc == ERR_NOT_FOUND) {
        return err_set(e, ERR_NOT_FOUND,
                       "there are no steps in %.*s yet: `perfwright improve "
                       "configure` makes them",
                       SLICE_FMT(place->dir));
    }
    return rc != 0 ? rc
                   : steps_parse(arena, text,
                                 arena_printf(arena, "%.*s/steps.yaml", SLICE_FMT(place->dir)).ptr,
                                 ret_steps, e);
}

// ---- facts for the conditions

static bool installed(const char *program, const char *path)
{
    for (Slice rest = slice_from_cstr(path ? path : ""), dir; rest.len > 0;) {
        char at[4096];
        (void)slice_cut(rest, ':', &dir, &rest);
        int len = snprintf(at, sizeof at, "%.*s/%s", SLICE_FMT(dir), program);
        if (len > 0 && (size_t)len < sizeof at && access(at, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

static void find_tools(Arena *arena, const char *path, ConditionFacts *facts)
{
    static const char *const TOOLS[] = {"perf",  "valgrind", "gdb",   "cc",      "c++",  "cmake",
                                        "meson", "make",     "cargo", "go",      "node", "npm",
                                        "mvn",   "gradle",   "java",  "python3", "bwrap"};
    facts->tools = SLICE("");
    for (size_t i = 0; i < COUNT_OF(TOOLS); i++) {
        if (installed(TOOLS[i], path)) {
            facts->tools = arena_printf(arena, "%.*s%s%s", SLICE_FMT(facts->tools),
                                        facts->tools.len > 0 ? ", " : "", TOOLS[i]);
        }
    }
    facts->has_profiler = installed("perf", path) || installed("valgrind", path);
}

static void facts_of_steps(const Steps *steps, ConditionFacts *facts)
{
    double seconds = 0;
    bool timed = true;
    facts->has_steps = true;
    facts->tests_declared = steps->test.count > 0;
    for (size_t i = 0; i < steps->build.count; i++) {
        seconds += steps->build.items[i].seconds;
        timed = timed && steps->build.items[i].validated;
    }
    for (size_t i = 0; i < steps->test.count; i++) {
        const Step *test = &steps->test.items[i];
        seconds += test->seconds;
        timed = timed && test->validated;
        facts->tests_validated = facts->tests_validated || test->validated;
        if (test->tests >= 0) {
            facts->tests_passed = (facts->tests_passed < 0 ? 0 : facts->tests_passed) + test->tests;
        }
    }
    for (size_t i = 0; i < steps->benchmark_count; i++) {
        facts->has_measure = facts->has_measure || steps->benchmarks[i].validated;
    }
    for (size_t i = 0; i < steps->workload_count; i++) {
        facts->has_measure = facts->has_measure || !steps->workloads[i].skeleton;
    }
    // An unvalidated step has no time that counts.
    facts->cycle_seconds = timed ? (seconds > 0 ? seconds : 0) : 0;
}

static void facts_of_goals(const PlanDoc *plan, ConditionFacts *facts)
{
    for (size_t i = 0; i < plan->goal_count; i++) {
        bool open = plan->goals[i].state == GOAL_OPEN;
        facts->goals_open += open;
        facts->goals_measurable += open && plan->goals[i].workload.len > 0;
    }
}

static const Doc *tree_of(Arena *arena, Buf *json)
{
    const Doc *doc = NULL;
    int rc = doc_parse(arena, buf_slice(json), NULL, &doc, NULL);
    buf_done(json);
    return rc == 0 ? doc : NULL;
}

// ---- writing

static int write_plan(const ResearchOptions *o, Arena *arena, const PlanDoc *plan, Slice old_md,
                      Err *e)
{
    Buf json = buf_create(PLAN_BYTES_MAX), md = buf_create(PLAN_BYTES_MAX);
    JsonWriter w = json_writer(&json, 2);
    plan_doc_write(plan, &w);
    buf_putc(&json, '\n');
    int rc = buf_check(&json, "plan.json", e);
    rc = rc == 0 ? plan_doc_markdown(plan, old_md, &md, e) : rc;
    if (rc == 0 && !o->dry_run) {
        rc = place_write(o->place, SLICE("plan.json"), buf_slice(&json), e);
        rc = rc == 0 ? place_write(o->place, SLICE("plan.md"), buf_slice(&md), e) : rc;
        // What belongs to this machine and not to the repository.
        rc = rc == 0 ? place_write(o->place, SLICE(".gitignore"),
                                   SLICE("attempts/\nlogs/\noutbox/\ntrial.json\n"), e)
                     : rc;
    }
    if (rc == 0 && o->ledger && !o->dry_run) {
        Proposal draft = {.kind = PROPOSAL_PLAN,
                          .target = o->place->target,
                          .title = SLICE("a plan to improve it"),
                          .author = SLICE("perfwright"),
                          .content_json = buf_slice(&json)};
        rc = proposal_create(o->ledger, &draft, e);
    }
    buf_done(&json);
    buf_done(&md);
    (void)arena;
    return rc;
}

// ---- the run

static int open_git(const ResearchOptions *o, Arena *arena, Git **ret_git, Err *e)
{
    int rc =
        git_open(&(GitOptions){.path = o->place->repo.ptr, .loop = o->loop}, arena, ret_git, e);
    return rc == ERR_NOT_FOUND ? 0 : rc; // a plain directory
}

static int take_profile(const ResearchOptions *o, const Steps *steps, Git *git, Arena *arena,
                        StepProfile *profile, Err *e)
{
    const Slice *paths = NULL;
    size_t count = 0;
    if (o->no_profile || !steps) {
        *profile = (StepProfile){.reason = o->no_profile
                                               ? SLICE("it was not asked for")
                                               : SLICE("how it is built and run is not known yet: "
                                                       "configure first, then research again")};
        return 0;
    }
    say(o, "profile", SLICE("building and running a workload in the sandbox"));
    Err why = {0};
    int rc =
        profile_step(o->place, steps, o->loop, o->work_dir, o->no_sandbox, arena, profile, &why);
    if (rc == ERR_CANCELLED) {
        return err_set(e, ERR_CANCELLED, "%s", why.text);
    }
    if (rc != 0) { // no sandbox here, no room: a plan can do without a profile
        *profile = (StepProfile){.reason = arena_copy(arena, slice_from_cstr(why.text))};
        return 0;
    }
    if (profile->taken && git && git_list(git, "HEAD", &paths, &count, NULL) == 0) {
        profile_find_files(o->place, arena, paths, count, profile->hot, profile->hot_count);
    }
    return 0;
}

static int make_plan(const ResearchOptions *o, Git *git, const Steps *steps, Arena *arena,
                     PlanDoc *plan, Err *e)
{
    Survey survey;
    StepProfile profile;
    ConditionFacts facts = {
        .tests_passed = -1, .resolvable = o->resolvable, .engine = o->engine, .budget = o->budget};
    SurveyOptions look = {.place = o->place, .git = git, .issues = o->issues};
    say(o, "survey", o->place->target);
    int rc = survey_take(&look, arena, &survey, e);
    if (rc != 0 || (rc = take_profile(o, steps, git, arena, &profile, e)) != 0) {
        return rc;
    }
    plan->target = o->place->target;
    plan->revision = survey.revision;
    plan->created = attempt_time(arena, clock_wall(clock_real()));
    plan->resolvable = o->resolvable;
    goals_find(arena,
               &(GoalSources){.survey = &survey,
                              .steps = steps,
                              .hot = profile.hot,
                              .hot_count = profile.hot_count,
                              .hot_workload = profile.workload},
               plan);
    Buf text = buf_create(PLAN_BYTES_MAX);
    JsonWriter w = json_writer(&text, 0);
    survey_write(&survey, &w);
    plan->survey = tree_of(arena, &text);
    text = buf_create(PLAN_BYTES_MAX);
    w = json_writer(&text, 0);
    step_profile_write(&profile, &w);
    plan->profile = tree_of(arena, &text);
    facts.test_files = survey.tests.total;
    facts.dependencies = survey.dependencies;
    find_tools(arena, o->path, &facts);
    if (steps) {
        facts_of_steps(steps, &facts);
        facts.cycle_seconds += facts.cycle_seconds > 0 ? profile.run_seconds : 0;
    }
    facts_of_goals(plan, &facts);
    conditions_judge(arena, &facts, plan);
    return 0;
}

int research_run(const ResearchOptions *o, Arena *arena, PlanDoc *ret_plan, Err *e)
{
    PlanDoc old = {0}, plan = {0};
    Steps *steps = ARENA_NEW(arena, Steps);
    Slice old_md = {0};
    Git *git = NULL;
    int rc = plan_doc_load(o->place, arena, &old, e);
    bool had = rc == 0;
    if (rc != 0 && rc != ERR_NOT_FOUND) {
        return rc;
    }
    rc = steps_of_place(o->place, arena, steps, e);
    bool has_steps = rc == 0;
    if ((rc != 0 && rc != ERR_NOT_FOUND) || (rc = open_git(o, arena, &git, e)) != 0) {
        return rc;
    }
    rc = make_plan(o, git, has_steps ? steps : NULL, arena, &plan, e);
    git_close(git);
    if (rc == 0 && had) {
        rc = plan_doc_carry(arena, &old, &plan, e);
    }
    if (rc != 0) {
        return rc;
    }
    goals_refuse_small(arena, &plan);
    (void)!place_read(o->place, arena, SLICE("plan.md"), &old_md, NULL);
    rc = write_plan(o, arena, &plan, old_md, e);
    if (rc == 0) {
        *ret_plan = plan;
    }
    return rc;
}
