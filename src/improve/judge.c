// The stages in their order, cheapest first. Each adds findings or measures; judge_decide makes a
// verdict of them in the end, whatever ended it.
#include "improve/judge.h"

#include <math.h>

#include "improve/judge_impl.h"
#include "os/fiber.h"
#include "os/file.h"
#include "os/host.h"

enum { ENVIRONMENT_BYTES_MAX = 1 << 20 };

static bool stop_early(const Judge *j)
{
    return judge_condemned(j) || j->r->same_artifact || j->only_protected;
}

// ---- before the patch is looked at

static int parse_metric(Slice text, BenchMetric *ret_metric, Err *e)
{
    if (text.len == 0) {
        *ret_metric = BENCH_WALL;
        return 0;
    }
    for (int i = 0; i < BENCH_METRICS; i++) {
        if (slice_eq_cstr(text, BENCH_METRIC_NAMES[i])) {
            *ret_metric = (BenchMetric)i;
            return 0;
        }
    }
    return err_set(e, ERR_ARG, "there is no metric \"%.*s\"", SLICE_FMT(text));
}

static int take_workloads(Judge *j, Err *e)
{
    j->works = ARENA_ARRAY(j->arena, JudgeWork, j->steps->workload_count + 1);
    for (size_t i = 0; i < j->steps->workload_count; i++) {
        const Workload *w = &j->steps->workloads[i];
        if (w->skeleton || w->run.len == 0) {
            continue;
        }
        JudgeWork *work = &j->works[j->work_count++];
        work->workload = w;
        int rc = parse_metric(w->metric, &work->metric, e);
        if (rc != 0) {
            return rc;
        }
    }
    return j->work_count > 0
               ? 0
               : err_set(e, ERR_ARG,
                         "no workload is known: give --workload CMD, or write one into "
                         ".perfwright/steps.yaml");
}

// The base in a clean copy, and what it is called.
static int make_base(Judge *j, Err *e)
{
    const char *revision = j->o->base.len > 0 ? arena_cstr(j->arena, j->o->base) : NULL;
    WorkspaceOptions o = {.repo = j->o->repository,
                          .revision = revision,
                          .work_dir = j->o->work_dir,
                          .cut_history = true,
                          .loop = j->o->loop};
    judge_progress(j, "copy", "the base");
    int rc = workspace_create(&o, j->arena, &j->base.source, e);
    if (rc != 0) {
        return rc;
    }
    j->data_dir = arena_printf(j->arena, "%s/data", workspace_root(j->base.source)).ptr;
    if ((rc = dir_make_all(j->data_dir, e)) != 0) {
        return rc;
    }
    Slice commit = slice_from_cstr(workspace_commit(j->base.source));
    if (commit.len == 0) { // a plain directory
        GitHash hash;
        rc = workspace_tree_hash(j->base.source, hash, e);
        commit = rc == 0 ? arena_printf(j->arena, "tree:%s", hash) : commit;
    }
    j->r->base_commit = arena_copy(j->arena, commit);
    return rc;
}

static int register_claim(Judge *j, Err *e)
{
    char steps_sha256[STEPS_HASH_HEX + 1];
    steps_hash(j->steps, steps_sha256);
    if (j->o->registration) {
        j->reg = j->o->registration;
        int rc = cheat_check_base(j->reg->base_commit, j->r->base_commit, e);
        return rc == 0 ? registration_check(j->reg, steps_sha256, j->r->base_commit, e) : rc;
    }
    Registration *r = ARENA_NEW(j->arena, Registration);
    *r = (Registration){.goal = SLICE("judge a patch that was sent"),
                        .target = slice_from_cstr(j->o->repository),
                        .base_commit = j->r->base_commit,
                        .min_effect = j->o->min_effect,
                        .budget_ns = j->budget_ns,
                        .workloads = ARENA_ARRAY(j->arena, RegisteredWorkload, j->work_count)};
    memcpy(r->steps_sha256, steps_sha256, sizeof steps_sha256);
    for (size_t i = 0; i < j->work_count && i < REGISTRATION_WORKLOADS_MAX; i++) {
        const JudgeWork *w = &j->works[i];
        r->workloads[r->workload_count++] =
            (RegisteredWorkload){w->workload->name, w->workload->run, w->metric};
    }
    j->reg = r;
    int rc = registration_make(r, j->o->seed, e);
    return rc == 0 && j->o->ledger ? registration_record(j->o->ledger, r, e) : rc;
}

// ---- the patch

static int take_patch(Judge *j, Err *e)
{
    j->diff = j->o->patch;
    if (j->o->head.len > 0) {
        Git *git;
        GitHash head;
        Buf diff = buf_create(PATCH_BYTES_MAX);
        int rc = git_open(&(GitOptions){j->o->repository, j->o->loop}, j->arena, &git, e);
        if (rc != 0) {
            return rc;
        }
        rc = git_resolve(git, arena_cstr(j->arena, j->o->head), head, e);
        rc = rc == 0 ? git_diff(git, arena_cstr(j->arena, j->r->base_commit), head, &diff, e) : rc;
        rc = rc == 0 ? buf_check(&diff, "the patch", e) : rc;
        if (rc == 0) {
            j->diff = arena_copy(j->arena, buf_slice(&diff));
            j->r->head_commit = arena_copy(j->arena, slice_from_cstr(head));
        }
        buf_done(&diff);
        git_close(git);
        if (rc != 0) {
            return rc;
        }
    }
    Sha256 hash = sha256_of(j->diff);
    sha256_hex(&hash, j->r->patch_sha256);
    j->seed = j->r->hidden_seed = registration_seed(j->reg, j->diff);
    j->rng = rng_stream(j->seed, SLICE("judge"), 0);
    return patch_parse(j->arena, j->diff, &j->patch, e);
}

static void look_at_languages(Judge *j)
{
    static const char *const C[] = {".c",   ".h",  ".cc",  ".cpp", ".cxx",
                                    ".hpp", ".hh", ".hxx", ".inc"};
    for (size_t i = 0; i < j->patch.file_count; i++) {
        Slice path = patch_file_path(&j->patch.files[i]);
        for (size_t k = 0; k < COUNT_OF(C); k++) {
            j->c_touched = j->c_touched || slice_ends_with(path, slice_from_cstr(C[k]));
        }
    }
}

// The scan before anything is built: its findings stand when they end it, and are made again with
// what inputs and outputs hold when they do not.
static void first_scan(Judge *j)
{
    Findings findings = {.arena = j->arena};
    (void)cheat_scan_patch(&(CheatScan){.patch = &j->patch, .steps = j->steps}, &findings);
    for (size_t i = 0; i < findings.count && findings_have(&findings, FINDING_CHEAT); i++) {
        findings_add(&j->r->findings, &findings.items[i]);
    }
}

static void second_scan(Judge *j)
{
    j->suspected = cheat_scan_patch(&(CheatScan){.patch = &j->patch,
                                                 .steps = j->steps,
                                                 .inputs = j->known_inputs,
                                                 .input_count = j->known_input_count,
                                                 .outputs = j->known_outputs,
                                                 .output_count = j->known_output_count},
                                    &j->r->findings);
}

// ---- all of it

static int measure_stages(Judge *j, Err *e)
{
    static const struct {
        const char *name;
        int (*run)(Judge *, Err *);
    } STAGES[] = {{"build", judge_build_both},
                  {"tests", judge_run_tests},
                  {"inputs", judge_draw_inputs},
                  {"output", judge_check_outputs}};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < COUNT_OF(STAGES) && !stop_early(j); i++) {
        if (judge_stopped(j)) {
            return err_set(e, ERR_CANCELLED, "interrupted");
        }
        rc = STAGES[i].run(j, e);
    }
    if (rc != 0) {
        return rc;
    }
    // Also when it stops here: a patch without effect may be a cheat without one.
    second_scan(j);
    static int (*const LAST[])(Judge *, Err *) = {judge_sanitize, judge_speed, judge_critique};
    for (size_t i = 0; rc == 0 && i < COUNT_OF(LAST) && !stop_early(j); i++) {
        rc = judge_stopped(j) ? err_set(e, ERR_CANCELLED, "interrupted") : LAST[i](j, e);
    }
    return rc;
}

static int run(Judge *j, Err *e)
{
    int rc = take_workloads(j, e);
    rc = rc == 0 && !j->o->no_sandbox ? sandbox_check(e) : rc;
    rc = rc == 0 ? make_base(j, e) : rc;
    rc = rc == 0 ? register_claim(j, e) : rc;
    rc = rc == 0 ? take_patch(j, e) : rc;
    if (rc != 0) {
        return rc;
    }
    look_at_languages(j);
    first_scan(j);
    if (j->patch.file_count == 0 || judge_condemned(j)) {
        j->r->same_artifact = j->patch.file_count == 0;
        return 0;
    }
    rc = judge_make_sides(j, e);
    return rc == 0 && !judge_condemned(j) ? measure_stages(j, e) : rc;
}

static JudgeReport *new_report(const JudgeOptions *o, Arena *arena)
{
    JudgeReport *r = ARENA_NEW(arena, JudgeReport);
    Buf environment = buf_create(ENVIRONMENT_BYTES_MAX);
    host_environment(&environment, o->version);
    *r = (JudgeReport){
        .findings = {.arena = arena},
        .measures = ARENA_ARRAY(arena, JudgeMeasure, JUDGE_MEASURES_MAX),
        .commands = ARENA_ARRAY(arena, JudgeCommand, JUDGE_COMMANDS_MAX),
        .checks = ARENA_ARRAY(arena, JudgeChecked, JUDGE_CHECKS_MAX),
        .attempts = o->attempts > 0 ? o->attempts : 1,
        .sandboxed = !o->no_sandbox,
        .environment_json = arena_copy(arena, buf_slice(&environment)),
        .started_unix_ns = clock_wall(clock_real()),
        .complete = true,
        .ratio = NAN,
    };
    buf_done(&environment);
    return r;
}

static int check_options(const JudgeOptions *o, Err *e)
{
    if (!o->repository || !o->steps || (o->patch.len > 0) == (o->head.len > 0)) {
        return err_set(e, ERR_ARG,
                       "a judgement needs a repository, steps, and either a patch or "
                       "a revision");
    }
    if (o->patch.len > (size_t)PATCH_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "the patch has more than %d bytes", PATCH_BYTES_MAX);
    }
    return 0;
}

int judge_patch(const JudgeOptions *o, Arena *arena, JudgeReport **ret_report, Err *e)
{
    int rc = check_options(o, e);
    if (rc != 0) {
        return rc;
    }
    Judge *j = ARENA_NEW(arena, Judge);
    *j = (Judge){.o = o,
                 .arena = arena,
                 .r = new_report(o, arena),
                 .room = ARENA_NEW(arena, JudgeRoom),
                 .steps = o->steps,
                 .work_dir = o->work_dir,
                 .budget_ns = o->budget_ns > 0 ? o->budget_ns : JUDGE_BUDGET_NS,
                 .base = {.name = "base"},
                 .patched = {.name = "patched"}};
    int64_t started = clock_now(clock_real());
    rc = run(j, e);
    if (fiber_self()) {
        fiber_clear_cancel(); // what was interrupted is still taken down in order
    }
    judge_side_done(j, &j->patched, o->keep_work);
    judge_side_done(j, &j->base, o->keep_work);
    if (rc == ERR_CANCELLED && j->reg) {
        j->r->complete = false;
        rc = 0;
    }
    if (rc != 0) {
        return rc;
    }
    j->r->took_ns = clock_now(clock_real()) - started;
    j->r->registration = *j->reg;
    judge_decide(j->r, &(JudgeRules){.min_effect = j->reg->min_effect, .second_required = true},
                 arena);
    if (j->patch.file_count == 0 && j->r->verdict == PATCH_NO_EFFECT) {
        j->r->reason = SLICE("the patch changes nothing");
    }
    rc = judge_record(j, e);
    *ret_report = j->r;
    return rc;
}
