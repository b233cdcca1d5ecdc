// The machine of an attempt: see attempt_state.h for its phases.
#include "improve/attempt.h"

#include <stdarg.h>
#include <unistd.h>

#include "improve/approval.h"
#include "improve/attempt_impl.h"
#include "improve/research.h"
#include "os/clock.h"

enum { SAY_MAX = 500 };

void attempt_say(const Attempt *a, const char *stage, const char *format, ...)
{
    char text[SAY_MAX];
    va_list args;
    if (!a->o->progress_fn) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    a->o->progress_fn(a->o->ctx, stage, slice_from_cstr(text));
}

int attempt_save(Attempt *a, Err *e)
{
    return attempt_state_save(a->o->place, a->arena, &a->state, e);
}

static Slice round_file(Attempt *a, const char *format)
{
    Slice name = slice_from_cstr(format), head, tail;
    if (!slice_cut(name, '#', &head, &tail)) { // a '#' stands for the round
        return attempt_file(a->arena, &a->state, format);
    }
    return attempt_file(a->arena, &a->state,
                        arena_printf(a->arena, "%.*s%lld%.*s", SLICE_FMT(head),
                                     (long long)a->state.round, SLICE_FMT(tail))
                            .ptr);
}

int attempt_put(Attempt *a, const char *format, Slice text, Err *e)
{
    return place_write(a->o->place, round_file(a, format), text, e);
}

int attempt_get(Attempt *a, const char *format, Slice *ret_text, Err *e)
{
    return place_read(a->o->place, a->arena, round_file(a, format), ret_text, e);
}

void attempt_give_up(Attempt *a, const char *format, ...)
{
    char text[SAY_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    a->state.phase = ATTEMPT_GIVEN_UP;
    a->state.error = arena_copy(a->arena, slice_from_cstr(text));
}

static bool stopped(const Attempt *a)
{
    return a->o->stop_fn && a->o->stop_fn(a->o->ctx);
}

// ---- before the first turn

static int check_approval(Attempt *a, ApprovalOf of, Slice *ret_sha256, Err *e)
{
    char hash[SHA256_HEX + 1];
    ApprovalState given = APPROVAL_NONE;
    const AttemptOptions *o = a->o;
    int rc = approval_hash(o->place, a->arena, of, hash, e);
    if (rc == 0) {
        *ret_sha256 = arena_copy(a->arena, slice_from_cstr(hash));
        rc = o->yes ? approval_state(o->ledger, o->place->target, of, hash, &given, e)
                    : approval_check(o->ledger, o->place->target, of, hash, e);
    }
    if (rc == 0 && o->yes && given != APPROVAL_GIVEN) {
        Slice by = o->author.len > 0 ? o->author : SLICE("--yes");
        rc = approval_give(o->ledger, o->place->target, of, hash, by, SLICE(""), e);
    }
    return rc;
}

static const Workload *claimed_workload(const Attempt *a, Slice name)
{
    const Workload *w = name.len > 0 ? steps_workload(&a->steps, name) : NULL;
    for (size_t i = 0; i < a->steps.workload_count && !w; i++) {
        w = a->steps.workloads[i].skeleton ? NULL : &a->steps.workloads[i];
    }
    return w && !w->skeleton ? w : NULL;
}

static Slice engine_of(const AttemptOptions *o)
{
    return o->engine.len > 0 ? o->engine : o->settings->engine;
}

static int begin(Attempt *a, const AttemptState *states, size_t count, Slice *ret_why, Err *e)
{
    OutcomeRates rates;
    GoalChoice choice;
    char id[ULID_LEN + 1];
    Slice engine = engine_of(a->o);
    outcome_rates(a->arena, states, count, &rates);
    int rc =
        goal_choose(a->arena, &a->plan, states, count, &a->memory, &rates, a->o->goal, &choice, e);
    if (rc != 0) {
        return rc;
    }
    const Workload *w = claimed_workload(a, choice.goal->workload);
    if (!w) {
        return err_set(e, ERR_NOT_FOUND,
                       "steps.yaml has no workload to measure: fill the skeleton "
                       "under \"workloads\" with a command that stands for what "
                       "people do");
    }
    if (engine.len == 0) {
        return err_set(e, ERR_ARG,
                       "which engine? Give --engine, or [improve] engine in the "
                       "settings");
    }
    int64_t now = clock_wall(clock_real());
    if ((rc = ulid_create(now / NS_PER_MS, id, e)) != 0) {
        return rc;
    }
    a->goal = choice.goal;
    a->state.id = arena_copy(a->arena, slice_from_cstr(id));
    a->state.goal_id = choice.goal->id;
    a->state.goal_title = choice.goal->title;
    a->state.goal_kind = choice.goal->kind;
    a->state.goal_files = choice.goal->files;
    a->state.workload = w->name;
    a->state.min_effect = a->o->min_effect > 0 ? a->o->min_effect : choice.goal->min_effect;
    a->state.engine = engine;
    a->state.created = attempt_time(a->arena, now);
    a->state.phase = ATTEMPT_PICKED;
    a->state.round = 1;
    *ret_why = choice.why;
    return attempt_save(a, e);
}

// The goal of an attempt that is resumed, which the plan may have lost since.
static void find_goal(Attempt *a)
{
    a->goal = plan_doc_goal(&a->plan, a->state.goal_id);
    if (!a->goal) {
        PlanGoal *own = ARENA_NEW(a->arena, PlanGoal);
        *own = (PlanGoal){.id = a->state.goal_id,
                          .title = a->state.goal_title,
                          .kind = a->state.goal_kind,
                          .round = 1,
                          .files = a->state.goal_files};
        a->goal = own;
    }
}

// Takes up an unfinished attempt. *ret_found: there was one that nobody else works on.
static int take_up(Attempt *a, const AttemptState *states, size_t count, bool *ret_found, Err *e)
{
    *ret_found = false;
    if (a->o->resume.len > 0) {
        int rc = attempt_state_find(a->o->place, a->arena, a->o->resume, &a->state, e);
        if (rc == 0 && attempt_is_over(a->state.phase)) {
            return err_set(e, ERR_CONFLICT, "attempt %.*s is over: %s", SLICE_FMT(a->state.id),
                           ATTEMPT_PHASE_NAMES[a->state.phase]);
        }
        *ret_found = rc == 0;
        return rc == 0 ? attempt_lock(a->o->place, a->arena, &a->state, &a->lock, e) : rc;
    }
    for (size_t i = count; i > 0 && !a->o->fresh; i--) {
        if (attempt_is_over(states[i - 1].phase)) {
            continue;
        }
        if (attempt_lock(a->o->place, a->arena, &states[i - 1], &a->lock, NULL) == 0) {
            a->state = states[i - 1];
            *ret_found = true;
            return 0;
        }
    }
    return 0;
}

// ---- turns

static BenchMetric metric_of(int64_t kind, Slice declared)
{
    if (kind == GOAL_MEMORY) {
        return BENCH_RSS;
    }
    if (kind == GOAL_IO) {
        return BENCH_IO;
    }
    return slice_eq_cstr(declared, "cpu") ? BENCH_CPU : BENCH_WALL;
}

static void register_workload(Attempt *a, const Workload *w, bool claimed)
{
    Registration *r = &a->registration;
    if (r->workload_count < REGISTRATION_WORKLOADS_MAX) {
        r->workloads[r->workload_count++] = (RegisteredWorkload){
            .name = w->name,
            .run = w->run,
            .metric = metric_of(claimed ? a->state.goal_kind : GOAL_TIME, w->metric)};
    }
}

// Fixed and in the ledger before there is a patch of this round.
static int take_registration(Attempt *a, Err *e)
{
    const Workload *claimed = claimed_workload(a, a->state.workload);
    Registration *r = &a->registration;
    Buf text = buf_create(REGISTRATION_BYTES_MAX);
    JsonWriter w = json_writer(&text, 2);
    if (!claimed) {
        attempt_give_up(a, "workload %.*s is no longer in steps.yaml",
                        SLICE_FMT(a->state.workload));
        return 0;
    }
    *r = (Registration){.goal = arena_printf(a->arena, "%.*s: %.*s", SLICE_FMT(a->state.goal_id),
                                             SLICE_FMT(a->state.goal_title)),
                        .target = a->o->place->target,
                        .base_commit = a->state.base_commit,
                        .workloads =
                            ARENA_ARRAY(a->arena, RegisteredWorkload, REGISTRATION_WORKLOADS_MAX),
                        .min_effect = a->state.min_effect,
                        .budget_ns = a->o->judge_ns};
    steps_hash(&a->steps, r->steps_sha256);
    register_workload(a, claimed, true);
    for (size_t i = 0; i < a->steps.workload_count; i++) {
        const Workload *other = &a->steps.workloads[i];
        if (other != claimed && !other->skeleton) {
            register_workload(a, other, false);
        }
    }
    int rc = registration_make(r, NULL, e);
    rc = rc == 0 ? registration_record(a->o->ledger, r, e) : rc;
    if (rc == 0) {
        registration_write_secret(r, &w);
        rc = attempt_put(a, "registration-#.json", buf_slice(&text), e);
    }
    if (rc == 0) {
        a->state.proposal = arena_copy(a->arena, slice_from_cstr(r->proposal_id));
        a->state.phase = ATTEMPT_REGISTERED;
        attempt_say(a, "register", "%s, before a patch exists", r->sha256);
    }
    buf_done(&text);
    return rc;
}

// Where the registration stands in the ledger. A process that died behind the judgement left it
// decided already: then this judgement is one more look at the patch and decides nothing there.
static int bind_proposal(Attempt *a, Err *e)
{
    Proposal *p = NULL;
    int rc = proposal_load(a->o->ledger, a->state.proposal, a->arena, &p, e);
    if (rc == 0 && p->state == PROPOSAL_DRAFT) {
        memcpy(a->registration.proposal_id, p->id, sizeof a->registration.proposal_id);
    } else if (rc == 0) {
        a->registration.proposal_id[0] = '\0';
        a->state.judged++;
    }
    return rc;
}

static int load_registration(Attempt *a, Err *e)
{
    Slice text;
    const Doc *doc = NULL;
    DocOptions options = {.format = DOC_FORMAT_JSON, .source = "registration.json"};
    if (a->registration.sha256[0] != '\0') {
        return 0;
    }
    int rc = attempt_get(a, "registration-#.json", &text, e);
    rc = rc == 0 ? doc_parse(a->arena, text, &options, &doc, e) : rc;
    rc = rc == 0 ? registration_read(a->arena, doc, &a->registration, e) : rc;
    return rc == 0 ? bind_proposal(a, e) : rc;
}

// k of best-of-k: every patch that was judged for this goal, here and in earlier attempts.
static unsigned attempts_so_far(Attempt *a)
{
    AttemptState *states = NULL;
    size_t count = 0;
    int64_t judged = a->state.judged + 1;
    if (attempt_state_list(a->o->place, a->arena, &states, &count, NULL) == 0) {
        for (size_t i = 0; i < count; i++) {
            bool other = !slice_eq(states[i].id, a->state.id);
            judged += other && slice_eq(states[i].goal_id, a->state.goal_id) ? states[i].judged : 0;
        }
    }
    return (unsigned)(judged < 1000 ? judged : 1000);
}

static int store_verdict(Attempt *a, Err *e)
{
    const JudgeReport *r = a->report;
    Buf text = buf_create(JUDGE_REPORT_BYTES_MAX);
    JsonWriter w = json_writer(&text, 1);
    judge_report_write(r, &w);
    int rc = buf_check(&text, "the report", e);
    // Past the ceiling of a file in .perfwright it is in the ledger only.
    if (rc == 0 && text.len < PLACE_FILE_BYTES_MAX) {
        rc = attempt_put(a, "report-#.json", buf_slice(&text), e);
    }
    buf_done(&text);
    a->state.judged++;
    a->state.verdict = slice_from_cstr(PATCH_VERDICT_NAMES[r->verdict]);
    a->state.claim = r->claim;
    a->state.reason = r->reason;
    a->state.run_id = arena_copy(a->arena, slice_from_cstr(r->run_id));
    return rc;
}

// What follows from a verdict.
static int after_verdict(Attempt *a, Err *e)
{
    const JudgeReport *r = a->report;
    unsigned rounds =
        a->o->rounds > 0 && a->o->rounds < ATTEMPT_ROUNDS_MAX ? a->o->rounds : ATTEMPT_ROUNDS_MAX;
    if (r->verdict == PATCH_PROVEN || r->verdict == PATCH_SMALL) {
        a->state.phase = ATTEMPT_PUBLISHING;
        return attempt_evidence(a, e);
    }
    if (r->verdict == PATCH_CHEAT) { // no second chance to do it less visibly
        attempt_give_up(a, "%s: %.*s", PATCH_VERDICT_NAMES[r->verdict], SLICE_FMT(r->reason));
        return 0;
    }
    const EngineSettings *s = a->o->settings;
    bool spent = (s->time_ns > 0 && a->state.spent_ns >= s->time_ns) ||
                 (s->tokens > 0 && a->state.spent_tokens >= s->tokens) ||
                 (s->cost_usd > 0 && a->state.spent_usd >= s->cost_usd);
    if (a->state.round >= rounds || spent) {
        attempt_give_up(a, "%s after %lld round%s%s: %.*s", PATCH_VERDICT_NAMES[r->verdict],
                        (long long)a->state.round, a->state.round == 1 ? "" : "s",
                        spent ? ", the budget is spent" : "", SLICE_FMT(r->reason));
        return 0;
    }
    Buf feedback = buf_create(64 << 10);
    attempt_feedback(r, &feedback);
    int rc = attempt_put(a, "feedback-#.txt", buf_slice(&feedback), e);
    buf_done(&feedback);
    a->state.round++;
    a->state.phase = ATTEMPT_PICKED; // each round is registered before its patch
    a->registration = (Registration){0};
    return rc;
}

static int take_judgement(Attempt *a, Err *e)
{
    Slice patch;
    int rc = load_registration(a, e);
    rc = rc == 0 ? attempt_get(a, "patch-#.diff", &patch, e) : rc;
    if (rc != 0) {
        return rc;
    }
    JudgeOptions judge = {.loop = a->o->loop,
                          .repository = a->o->place->repo.ptr,
                          .base = a->state.base_commit,
                          .patch = patch,
                          .steps = &a->steps,
                          .registration = &a->registration,
                          .budget_ns = a->o->judge_ns,
                          .attempts = attempts_so_far(a),
                          .path = a->o->get_env ? a->o->get_env("PATH") : NULL,
                          .no_sandbox = a->o->no_sandbox,
                          .no_critique = a->o->no_critique,
                          .keep_work = a->o->keep_work,
                          .work_dir = a->o->work_dir,
                          .ledger = a->o->ledger,
                          .progress_fn = a->o->progress_fn,
                          .stop_fn = a->o->stop_fn,
                          .ctx = a->o->ctx};
    attempt_say(a, "judge", "round %lld", (long long)a->state.round);
    rc = judge_patch(&judge, a->arena, &a->report, e);
    if (rc != 0) {
        return rc;
    }
    if (!a->report->complete) {
        return err_set(e, ERR_CANCELLED,
                       "interrupted while it was judged; `perfwright improve "
                       "attempt --resume` goes on");
    }
    attempt_say(a, "verdict", "%s: %.*s", PATCH_VERDICT_NAMES[a->report->verdict],
                SLICE_FMT(a->report->reason));
    rc = store_verdict(a, e);
    return rc == 0 ? after_verdict(a, e) : rc;
}

static int turn(Attempt *a, Err *e)
{
    switch ((AttemptPhase)a->state.phase) {
    case ATTEMPT_PICKED: return take_registration(a, e);
    case ATTEMPT_REGISTERED: a->state.phase = ATTEMPT_WORKING; return 0;
    case ATTEMPT_WORKING: return attempt_work(a, e);
    case ATTEMPT_JUDGING: return take_judgement(a, e);
    case ATTEMPT_PUBLISHING: return attempt_publish(a, e);
    case ATTEMPT_DONE:
    case ATTEMPT_GIVEN_UP:
    case ATTEMPT_PHASES: break;
    }
    return 0;
}

static int go_on(Attempt *a, Err *e)
{
    while (!attempt_is_over(a->state.phase)) {
        if (stopped(a)) {
            return err_set(e, ERR_CANCELLED,
                           "interrupted; `perfwright improve attempt --resume` "
                           "goes on");
        }
        int rc = turn(a, e);
        int saved = attempt_save(a, rc == 0 ? e : NULL);
        if (rc != 0 || saved != 0) {
            return rc != 0 ? rc : saved;
        }
    }
    return 0;
}

static int base_commit(Attempt *a, Err *e)
{
    Git *git = NULL;
    GitHash head = "";
    int rc = git_open(&(GitOptions){.path = a->o->place->repo.ptr, .loop = a->o->loop}, a->arena,
                      &git, e);
    if (rc == ERR_NOT_FOUND) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%.*s is in no Git repository: an attempt needs a "
                       "commit to start from (git init, git commit)",
                       SLICE_FMT(a->o->place->repo));
    }
    rc = rc == 0 ? git_resolve(git, "HEAD", head, e) : rc;
    git_close(git);
    a->state.base_commit = arena_copy(a->arena, slice_from_cstr(head));
    return rc;
}

static int prepare(Attempt *a, AttemptResult *result, Err *e)
{
    AttemptState *states = NULL;
    size_t count = 0;
    const AttemptOptions *o = a->o;
    Slice plan_sha256 = {0}, steps_sha256 = {0};
    int rc = plan_doc_load(o->place, a->arena, &a->plan, e);
    if (rc != 0 || (rc = steps_of_place(o->place, a->arena, &a->steps, e)) != 0 ||
        (rc = check_approval(a, APPROVAL_PLAN, &plan_sha256, e)) != 0 ||
        (rc = check_approval(a, APPROVAL_STEPS, &steps_sha256, e)) != 0 ||
        (rc = memory_load(o->place, a->arena, &a->memory, e)) != 0 ||
        (rc = memory_load_branch(o->place, o->loop, a->arena, &a->memory, e)) != 0 ||
        (rc = attempt_state_list(o->place, a->arena, &states, &count, e)) != 0 ||
        (rc = take_up(a, states, count, &result->resumed, e)) != 0) {
        return rc;
    }
    (void)memory_check(o->place, a->arena, &a->memory, o->get_env ? o->get_env("PATH") : NULL);
    if (result->resumed) {
        find_goal(a);
        attempt_say(a, "resume", "attempt %.*s, %s", SLICE_FMT(a->state.id),
                    ATTEMPT_PHASE_NAMES[a->state.phase]);
        if (!slice_eq(a->state.steps_sha256, steps_sha256)) {
            attempt_give_up(a, "steps.yaml changed since it began");
            return attempt_save(a, e);
        }
        return 0;
    }
    a->state.plan_sha256 = plan_sha256;
    a->state.steps_sha256 = steps_sha256;
    if ((rc = base_commit(a, e)) != 0 || (rc = begin(a, states, count, &result->why, e)) != 0) {
        return rc;
    }
    attempt_say(a, "goal", "%.*s: %.*s (%.*s)", SLICE_FMT(a->state.goal_id),
                SLICE_FMT(a->state.goal_title), SLICE_FMT(result->why));
    return attempt_lock(o->place, a->arena, &a->state, &a->lock, e);
}

int attempt_execute(const AttemptOptions *options, Arena *arena, AttemptResult *ret_result, Err *e)
{
    Attempt *a = ARENA_NEW(arena, Attempt);
    AttemptResult result = {0};
    *a = (Attempt){.o = options, .arena = arena, .lock = -1};
    int rc = prepare(a, &result, e);
    rc = rc == 0 ? go_on(a, e) : rc;
    if (rc == 0) {
        attempt_remember(a);
    }
    if (a->lock >= 0) {
        (void)close(a->lock);
    }
    result.state = a->state;
    result.report = a->report;
    *ret_result = result;
    return rc;
}
