// The means that the critique is lent: an input as it asks for, both answers, a short comparison.
#include "improve/equality.h"
#include "improve/judge_impl.h"

enum { PAIRS_MAX = 24, INPUT_SIZE_MAX = 64 << 20 };
#define CRITIQUE_NS      (30 * NS_PER_S) // for all cases, of what the sessions left
#define CASE_SECONDS_MAX 5.0             // a case whose base takes longer than this is not run

static CritiqueSpeed speed_of(const JudgeMeasure *m)
{
    switch (m->outcome) {
    case JUDGE_FASTER:
    case JUDGE_FASTER_SMALL: return CRITIQUE_FASTER;
    case JUDGE_SAME: return CRITIQUE_SAME;
    case JUDGE_SLOWER: return CRITIQUE_SLOWER;
    case JUDGE_UNDECIDED:
    case JUDGE_CANNOT_TELL:
    case JUDGE_OUTCOMES: break;
    }
    return CRITIQUE_UNCLEAR;
}

static int not_run(CritiqueMeasured *m, Slice why)
{
    m->ran = false;
    m->why_not = why;
    return 0;
}

static JudgeWork *work_of(Judge *j, size_t workload)
{
    for (size_t i = 0; i < j->work_count; i++) {
        if (j->works[i].workload == &j->steps->workloads[workload]) {
            return &j->works[i];
        }
    }
    return NULL;
}

// The input whose other values the case keeps: its file, its row of arguments.
static const JudgeInput *row_of(const JudgeWork *work, const CritiqueCase *c)
{
    if (c->kind == CRITIQUE_FILE && c->file < work->workload->inputs.file_count &&
        c->file < work->input_count) {
        return &work->inputs[c->file];
    }
    return work->timed_count > 0 ? &work->inputs[work->timed[0]] : NULL;
}

static int compare_answers(Judge *j, JudgeWork *work, JudgeInput *in, CritiqueMeasured *m, Err *e)
{
    JudgeRan base = judge_ran_create(), patched = judge_ran_create();
    JudgeRunAsk ask = {.capture = true, .pad = 100};
    int rc = judge_look_at_base(j, work, in, &base, e);
    m->base_fails = rc == 0 && (!in->usable || in->base_exit != 0);
    if (rc == 0 && !m->base_fails && in->base_wall_s < CASE_SECONDS_MAX) {
        rc = judge_run(j, &j->patched, work, in, &ask, &patched, e);
        m->patch_fails =
            rc == 0 && (!judge_ended(&patched) || patched.bench.sample.exit_code != in->base_exit);
        m->output_known = in->comparable;
        Equality eq = equality_of(buf_slice(&base.bench.output), buf_slice(&patched.bench.output));
        m->output_equal = eq.same != EQUALITY_DIFFERENT;
        in->masked = eq.same == EQUALITY_BUT_TIMES;
    }
    judge_ran_done(&base);
    judge_ran_done(&patched);
    return rc;
}

static int compare(void *ctx, const CritiqueCase *c, Arena *arena, CritiqueMeasured *m, Err *e)
{
    Judge *j = ctx;
    JudgeWork *work = work_of(j, c->workload);
    (void)arena;
    *m = (CritiqueMeasured){0};
    if (!work || c->kind == CRITIQUE_BENCHMARK) {
        return not_run(m, SLICE("benchmarks with a harness of their own are not compared here"));
    }
    if (c->cold) {
        return not_run(m, SLICE("the page cache is the whole machine's and is left alone"));
    }
    if (c->size > INPUT_SIZE_MAX) {
        return not_run(m, SLICE("its input is too large"));
    }
    JudgeInput in;
    bool ok = false;
    Err refused = {0};
    JudgeMake make = {c->seed, c->size, c->has_input ? c->input : (Slice){0}, row_of(work, c)};
    if (c->has_input && !make.content.ptr) {
        make.content = SLICE("");
    }
    int rc = judge_make_input(j, work, &make, &in, &ok, &refused);
    if (rc != 0 || !ok) {
        return not_run(m, SLICE("its input could not be made"));
    }
    in.label = c->name;
    in.declared = c->declared;
    in.timed = true;
    if ((rc = compare_answers(j, work, &in, m, e)) != 0) {
        return rc;
    }
    if (m->base_fails || m->patch_fails || (m->output_known && !m->output_equal)) {
        m->ran = true;
        return 0;
    }
    if (in.base_wall_s >= CASE_SECONDS_MAX) {
        return not_run(m, SLICE("the base takes too long on it"));
    }
    JudgeWork one = *work;
    one.inputs = &in;
    one.input_count = one.timed_count = 1;
    one.timed[0] = 0;
    JudgeMeasure *measure = NULL;
    int64_t budget = c->budget_ns < judge_left(j) ? c->budget_ns : judge_left(j);
    rc = judge_measure(j, &j->base, &j->patched, &one, JUDGE_CRITIQUE, budget, PAIRS_MAX, &measure,
                       e);
    if (rc == 0) {
        measure->workload = arena_printf(j->arena, "%.*s, %.*s", SLICE_FMT(work->workload->name),
                                         SLICE_FMT(c->name));
        m->ran = measure->rounds > 0;
        m->why_not = measure->why;
        m->speed = speed_of(measure);
        m->ratio = measure->ratio;
        m->interval = measure->interval;
    }
    return rc;
}

static bool stop(void *ctx)
{
    Judge *j = ctx;
    return judge_stopped(j) || judge_left(j) < NS_PER_S;
}

int judge_critique(Judge *j, Err *e)
{
    const JudgeMeasure *claim = NULL;
    for (size_t i = 0; i < j->r->measure_count && !claim; i++) {
        const JudgeMeasure *m = &j->r->measures[i];
        claim = m->role == JUDGE_CLAIM &&
                        (m->outcome == JUDGE_FASTER || m->outcome == JUDGE_FASTER_SMALL)
                    ? m
                    : NULL;
    }
    if (!claim || j->o->no_critique || judge_condemned(j)) {
        judge_checked(j, "critique", false,
                      j->o->no_critique ? "not asked for" : "there is no gain to refute");
        return 0;
    }
    JudgeWork *work = &j->works[0];
    for (size_t i = 0; i < j->work_count; i++) {
        work = slice_eq(j->works[i].workload->name, claim->workload) ? &j->works[i] : work;
    }
    const WorkloadInputs *inputs = &work->workload->inputs;
    CritiqueOptions o = {
        .steps = j->steps,
        .patch = &j->patch,
        .workload = (size_t)(work->workload - j->steps->workloads),
        .seed = j->seed,
        .claimed_size = inputs->size_count > 0 ? inputs->sizes[0] : 0,
        .claimed_input = j->known_input_count > 0 ? j->known_inputs[0] : (Slice){0},
        .budget_ns = judge_left(j) < CRITIQUE_NS ? judge_left(j) : CRITIQUE_NS,
        .compare_fn = compare,
        .stop_fn = stop,
        .ctx = j,
    };
    judge_progress(j, "critique", "trying to refute it");
    Critique *critique = ARENA_NEW(j->arena, Critique);
    int rc = critique_run(&o, j->arena, critique, &j->r->findings, e);
    j->r->critique = critique;
    if (rc == 0) {
        judge_checked(j, "critique", critique->held + critique->refuted > 0,
                      "%zu attempts to refute it failed, %zu did not, %zu could not be made",
                      critique->held, critique->refuted, critique->not_run);
    }
    return rc;
}
