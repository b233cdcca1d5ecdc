#include "improve/goals.h"

#include <math.h>

enum { HOT_GOALS_MAX = 5, BENCHMARK_GOALS_MAX = 10, ISSUE_GOALS_MAX = 10, CHURN_GOALS_MAX = 3 };

// ---- conditions

static void add_condition(PlanDoc *plan, const char *name, ConditionState state, Slice measured,
                          const char *reason)
{
    plan->conditions[plan->condition_count++] = (PlanCondition){.name = slice_from_cstr(name),
                                                                .state = state,
                                                                .measured = measured,
                                                                .reason = slice_from_cstr(reason)};
}

static void judge_engineering(Arena *a, const ConditionFacts *f, PlanDoc *plan)
{
    Slice tests = f->tests_passed >= 0
                      ? arena_printf(a, "%lld tests passed", (long long)f->tests_passed)
                  : f->tests_validated ? SLICE("the test step passed")
                  : f->tests_declared  ? SLICE("a test step that was not validated")
                                       : arena_printf(a, "%zu test files, not run", f->test_files);
    Slice measured = arena_printf(a, "%.*s, %zu dependencies", SLICE_FMT(tests), f->dependencies);
    if (f->test_files == 0 && !f->tests_declared && !f->tests_validated) {
        add_condition(plan, "well-engineered", CONDITION_UNMET, measured,
                      "there are no tests to tell a wrong patch from a right one");
    } else if (!f->tests_validated) {
        add_condition(plan, "well-engineered", CONDITION_DOUBTFUL, measured,
                      "the tests have not been run yet: `perfwright improve configure`");
    } else if (f->dependencies > DEPENDENCIES_GOOD) {
        add_condition(plan, "well-engineered", CONDITION_DOUBTFUL, measured,
                      "so many dependencies may change under it");
    } else {
        add_condition(plan, "well-engineered", CONDITION_MET, measured, "");
    }
}

static void judge_goals(Arena *a, const ConditionFacts *f, PlanDoc *plan)
{
    ConditionState state = f->goals_measurable > 0 ? CONDITION_MET
                           : f->goals_open > 0     ? CONDITION_DOUBTFUL
                                                   : CONDITION_UNMET;
    add_condition(plan, "clear-goals", state,
                  arena_printf(a, "%zu open, %zu with something to measure", f->goals_open,
                               f->goals_measurable),
                  state == CONDITION_MET        ? ""
                  : state == CONDITION_DOUBTFUL ? "none names what would show it"
                                                : "nothing was found: add one to plan.md");
}

static void judge_tools(Arena *a, const ConditionFacts *f, PlanDoc *plan)
{
    ConditionState state = f->has_measure && f->has_profiler ? CONDITION_MET
                           : f->has_measure || !f->has_steps ? CONDITION_DOUBTFUL
                                                             : CONDITION_UNMET;
    add_condition(plan, "tools", state,
                  arena_printf(a, "%.*s", SLICE_FMT(f->tools.len > 0 ? f->tools : SLICE("none"))),
                  state == CONDITION_MET        ? ""
                  : !f->has_steps               ? "what can be measured is not known yet"
                  : state == CONDITION_DOUBTFUL ? "there is no profiler: the engine works blind"
                                                : "there is no workload and no benchmark that ran");
}

static void judge_machine(Arena *a, const ConditionFacts *f, PlanDoc *plan)
{
    if (!(f->resolvable > 0)) {
        add_condition(plan, "machine", CONDITION_DOUBTFUL, SLICE("not measured"),
                      "`perfwright doctor --noise` tells");
        return;
    }
    ConditionState state = f->resolvable <= RESOLVABLE_GOOD       ? CONDITION_MET
                           : f->resolvable <= RESOLVABLE_BEARABLE ? CONDITION_DOUBTFUL
                                                                  : CONDITION_UNMET;
    add_condition(plan, "machine", state,
                  arena_printf(a, "effects from %.1f %% on can be told", 100 * f->resolvable),
                  state == CONDITION_MET        ? ""
                  : state == CONDITION_DOUBTFUL ? "only large effects can be shown here"
                                                : "nothing but very large effects can be shown");
}

static void judge_cycle(Arena *a, const ConditionFacts *f, PlanDoc *plan)
{
    if (!(f->cycle_seconds > 0)) {
        add_condition(plan, "within-two-minutes", CONDITION_DOUBTFUL, SLICE("not measured"),
                      "build, test and benchmark have not been run yet");
        return;
    }
    ConditionState state = f->cycle_seconds <= CYCLE_SECONDS_GOOD       ? CONDITION_MET
                           : f->cycle_seconds <= CYCLE_SECONDS_BEARABLE ? CONDITION_DOUBTFUL
                                                                        : CONDITION_UNMET;
    add_condition(plan, "within-two-minutes", state,
                  arena_printf(a, "build, test and measurement take %.1f s", f->cycle_seconds),
                  state == CONDITION_MET ? "" : "an engine gets few tries in its time");
}

static void judge_budget(Arena *a, const ConditionFacts *f, PlanDoc *plan)
{
    bool ready = f->engine.len > 0 && f->budget.len > 0;
    add_condition(
        plan, "budget", ready ? CONDITION_MET : CONDITION_DOUBTFUL,
        ready ? arena_printf(a, "engine %.*s, %.*s", SLICE_FMT(f->engine), SLICE_FMT(f->budget))
              : SLICE("no engine is configured"),
        ready ? "" : "give one with --engine, or in [improve] of the settings");
}

void conditions_judge(Arena *arena, const ConditionFacts *facts, PlanDoc *plan)
{
    plan->conditions = ARENA_ARRAY(arena, PlanCondition, PLAN_CONDITIONS_MAX);
    plan->condition_count = 0;
    judge_engineering(arena, facts, plan);
    judge_goals(arena, facts, plan);
    judge_tools(arena, facts, plan);
    judge_machine(arena, facts, plan);
    judge_cycle(arena, facts, plan);
    judge_budget(arena, facts, plan);
    size_t count[3] = {0};
    const PlanCondition *worst = NULL;
    for (size_t i = 0; i < plan->condition_count; i++) {
        const PlanCondition *c = &plan->conditions[i];
        count[c->state]++;
        worst = !worst || c->state > worst->state ? c : worst;
    }
    bool blind = plan->conditions[3].state == CONDITION_UNMET;
    plan->feasibility = blind || count[CONDITION_UNMET] >= 2 ? FEASIBILITY_NONE
                        : count[CONDITION_UNMET] == 1 || count[CONDITION_DOUBTFUL] >= 3
                            ? FEASIBILITY_DOUBTFUL
                            : FEASIBLE;
    worst = blind ? &plan->conditions[3] : worst;
    plan->reason =
        arena_printf(arena, "%zu of %zu conditions are met%s%.*s%s%.*s", count[CONDITION_MET],
                     plan->condition_count, worst->state == CONDITION_MET ? "" : "; ",
                     SLICE_FMT(worst->state == CONDITION_MET ? SLICE("") : worst->name),
                     worst->state == CONDITION_MET ? "" : ": ", SLICE_FMT(worst->reason));
}

// ---- goals

static PlanGoal *add_goal(Arena *arena, PlanDoc *plan, GoalKind kind, int round, Slice key,
                          Slice title)
{
    // The id follows from what the goal is about, not from its place or its figures.
    Slice seed = arena_printf(arena, "%s\n%.*s", GOAL_KIND_NAMES[kind], SLICE_FMT(key));
    Sha256 hash = sha256_of(seed);
    char hex[SHA256_HEX + 1];
    sha256_hex(&hash, hex);
    Slice id = arena_printf(arena, "g%.6s", hex);
    if (plan->goal_count == PLAN_GOALS_MAX || plan_doc_goal(plan, id)) {
        return NULL;
    }
    PlanGoal *goal = &plan->goals[plan->goal_count++];
    *goal = (PlanGoal){.id = id, .round = round, .kind = kind, .title = slice_sub(title, 0, 200)};
    // One line, whatever the repository put there.
    char *text = arena_alloc(arena, goal->title.len + 1);
    for (size_t i = 0; i < goal->title.len; i++) {
        text[i] =
            goal->title.ptr[i] == '\n' || goal->title.ptr[i] == '\r' ? ' ' : goal->title.ptr[i];
    }
    goal->title.ptr = text;
    return goal;
}

static void set_file(Arena *arena, PlanGoal *goal, Slice file)
{
    if (goal && file.len > 0) {
        Slice *files = ARENA_ARRAY(arena, Slice, 1);
        files[0] = file;
        goal->files = (FieldNames){files, 1, NULL};
    }
}

static void from_profile(Arena *arena, const GoalSources *s, PlanDoc *plan)
{
    for (size_t i = 0, n = 0; i < s->hot_count && n < HOT_GOALS_MAX; i++) {
        const HotSpot *hot = &s->hot[i];
        if (hot->share < 0.08 || hot->file.len == 0) {
            continue; // of a library, or too little to gain: Amdahl bounds it by its share
        }
        Slice key =
            arena_printf(arena, "%.*s %.*s", SLICE_FMT(s->hot_workload), SLICE_FMT(hot->symbol));
        PlanGoal *goal = add_goal(
            arena, plan, GOAL_TIME, hot->share >= 0.3 ? 1 : 2, key,
            arena_printf(arena, "less time in %.*s()", SLICE_FMT(slice_sub(hot->symbol, 0, 80))));
        if (goal) {
            goal->workload = s->hot_workload;
            goal->why = arena_printf(arena, "%.0f %% of the samples of workload %.*s fall into it",
                                     100 * hot->share, SLICE_FMT(s->hot_workload));
            set_file(arena, goal, hot->file);
            n++;
        }
    }
}

static void from_steps(Arena *arena, const GoalSources *s, PlanDoc *plan)
{
    const Steps *steps = s->steps;
    bool any = false;
    for (size_t i = 0; i < steps->workload_count; i++) {
        const Workload *w = &steps->workloads[i];
        if (w->skeleton) {
            continue;
        }
        any = true;
        PlanGoal *goal =
            add_goal(arena, plan, GOAL_TIME, 1, w->name,
                     arena_printf(arena, "make workload %.*s faster", SLICE_FMT(w->name)));
        if (goal) {
            goal->workload = w->name;
        }
        goal = add_goal(arena, plan, GOAL_MEMORY, 3, w->name,
                        arena_printf(arena, "less memory in workload %.*s", SLICE_FMT(w->name)));
        if (goal) {
            goal->workload = w->name;
        }
    }
    for (size_t i = 0; i < steps->benchmark_count && i < BENCHMARK_GOALS_MAX; i++) {
        const Benchmark *b = &steps->benchmarks[i];
        PlanGoal *goal = add_goal(
            arena, plan, GOAL_TIME, 2, arena_printf(arena, "bench %.*s", SLICE_FMT(b->name)),
            arena_printf(arena, "make benchmark %.*s faster", SLICE_FMT(b->name)));
        if (goal) {
            goal->why = arena_printf(arena, "it is at %.*s", SLICE_FMT(b->source));
        }
        any = any || b->validated;
    }
    if (!any) {
        PlanGoal *goal = add_goal(arena, plan, GOAL_MEASURING, 1, SLICE("workload"),
                                  SLICE("a workload that stands for what people do with it"));
        if (goal) {
            goal->why = SLICE("there is none that can be measured: fill the skeleton in "
                              ".perfwright/steps.yaml");
        }
    }
}

static GoalKind kind_of(Slice title)
{
    if (slice_find(title, SLICE("memory")) >= 0 || slice_find(title, SLICE("alloc")) >= 0) {
        return GOAL_MEMORY;
    }
    return slice_find(title, SLICE("throughput")) >= 0 ? GOAL_THROUGHPUT : GOAL_TIME;
}

static void from_survey(Arena *arena, const GoalSources *s, PlanDoc *plan)
{
    const Survey *survey = s->survey;
    for (size_t i = 0; i < survey->issues.count && i < ISSUE_GOALS_MAX; i++) {
        const SurveyLine *issue = &survey->issues.items[i];
        PlanGoal *goal = add_goal(arena, plan, kind_of(issue->text), 2, issue->file,
                                  arena_printf(arena, "issue %.*s: %.*s", SLICE_FMT(issue->file),
                                               SLICE_FMT(issue->text)));
        if (goal) {
            goal->why = SLICE("people ask for it");
        }
    }
    for (size_t i = 0, n = 0; i < survey->churn_count && n < CHURN_GOALS_MAX; i++) {
        const SurveyChurn *churn = &survey->churn[i];
        if (survey_is_test(churn->file) || survey_is_benchmark(churn->file) || churn->commits < 3) {
            continue;
        }
        PlanGoal *goal =
            add_goal(arena, plan, GOAL_TIME, 3, churn->file,
                     arena_printf(arena, "quick wins in %.*s", SLICE_FMT(churn->file)));
        if (goal) {
            goal->why = arena_printf(arena, "%zu of the newest %d commits changed it",
                                     churn->commits, SURVEY_CHURN_COMMITS);
            set_file(arena, goal, churn->file);
            n++;
        }
    }
}

void goals_find(Arena *arena, const GoalSources *sources, PlanDoc *plan)
{
    plan->goals = ARENA_ARRAY(arena, PlanGoal, PLAN_GOALS_MAX);
    plan->goal_count = 0;
    from_profile(arena, sources, plan);
    if (sources->steps) {
        from_steps(arena, sources, plan);
    } else {
        PlanGoal *goal = add_goal(arena, plan, GOAL_MEASURING, 1, SLICE("configure"),
                                  SLICE("know how it is built, tested and measured"));
        if (goal) {
            goal->why = SLICE("`perfwright improve configure` was not here yet");
        }
    }
    from_survey(arena, sources, plan);
}

void goals_refuse_small(Arena *arena, PlanDoc *plan)
{
    for (size_t i = 0; i < plan->goal_count; i++) {
        PlanGoal *goal = &plan->goals[i];
        double effect = goal->min_effect > 0 ? goal->min_effect : GOAL_EFFECT_DEFAULT;
        bool timed = goal->kind == GOAL_TIME || goal->kind == GOAL_THROUGHPUT;
        bool small = timed && plan->resolvable > 0 && effect < plan->resolvable;
        if (goal->state == GOAL_OPEN && small) {
            goal->state = GOAL_REFUSED;
            goal->why = arena_printf(arena,
                                     "at least %.1f %% is asked for, and this machine cannot tell "
                                     "less than %.1f %% from noise",
                                     100 * effect, 100 * plan->resolvable);
        } else if (goal->state == GOAL_REFUSED && !small) {
            goal->state = GOAL_OPEN;
        }
    }
}
