// The means that the probes for cheats are lent: a run in disguise, in the folders of the run
// before, and what was left behind.
#include "improve/judge_impl.h"

// Of what is left of the measuring budget.
#define PROBE_SHARE 0.5

static JudgeWork *work_of(Judge *j, size_t workload)
{
    for (size_t i = 0; i < j->work_count; i++) {
        if (j->works[i].workload == &j->steps->workloads[workload]) {
            return &j->works[i];
        }
    }
    return NULL;
}

static int probe_run(void *ctx, const CheatRun *run, CheatRan *ret_ran, Err *e)
{
    Judge *j = ctx;
    JudgeWork *work = work_of(j, run->workload);
    *ret_ran = (CheatRan){0};
    if (judge_stopped(j)) {
        return err_set(e, ERR_CANCELLED, "interrupted");
    }
    bool elsewhere = run->how & CHEAT_OTHER_PLACE;
    if (!work || work->timed_count == 0 || (elsewhere && j->o->no_sandbox)) {
        return 0;
    }
    const JudgeInput *in = &work->inputs[work->timed[0]];
    JudgeSide *side = run->side == CHEAT_BASE ? &j->base : &j->patched;
    JudgeRunAsk ask = {.pad = 64,
                       .other_place = elsewhere,
                       .other_parent = run->how & CHEAT_OTHER_PARENT,
                       .keep_scratch = run->how & CHEAT_SECOND_RUN,
                       .leave_tree = true,
                       .env_extra = run->how & CHEAT_OTHER_ENVIRONMENT ? CHEAT_ENVIRONMENT : NULL};
    JudgeRan ran = judge_ran_create();
    int rc = judge_run(j, side, work, in, &ask, &ran, e);
    if (rc == 0) {
        ret_ran->measured = judge_ended(&ran) && ran.bench.sample.exit_code == in->base_exit;
        ret_ran->sample = ran.bench.sample;
        ret_ran->survivors = ran.survivors;
        ret_ran->files_left = judge_files_left(j, side, work, &ask);
        if (in->stable && !in->masked) {
            memcpy(ret_ran->output_sha256, ran.bench.output_sha256, sizeof ret_ran->output_sha256);
        }
    }
    judge_ran_done(&ran);
    return rc;
}

// The index among the steps' workloads of the first that is judged is what the probes count from.
int judge_probe(Judge *j, Err *e)
{
    int rc = 0;
    if (j->base.machine_code) {
        rc = cheat_check_artifacts(workspace_tree(j->base.built), workspace_tree(j->patched.built),
                                   j->steps, j->arena, &j->r->findings, e);
    }
    // Without an effect there is nothing that could have been faked, but what the scan doubts is
    // settled: a cache on disk gains nothing in the fresh folders of a measurement.
    bool gain = false;
    for (size_t i = 0; i < j->r->measure_count; i++) {
        gain = gain || j->r->measures[i].outcome == JUDGE_FASTER ||
               j->r->measures[i].outcome == JUDGE_FASTER_SMALL;
    }
    if (rc != 0 || (!gain && !findings_have(&j->r->findings, FINDING_DOUBT))) {
        return rc;
    }
    int64_t limit = (int64_t)(PROBE_SHARE * (double)judge_left(j));
    int64_t cost = (int64_t)(j->works[0].inputs[j->works[0].timed[0]].base_wall_s * 24 * 1e9);
    if (cost > limit) {
        judge_checked(j, "probes", false, "no time left for running it in disguise");
        return 0;
    }
    judge_progress(j, "probes", "in disguise, and in the folders of the run before");
    CheatMeans means = {.run_fn = probe_run,
                        .ctx = j,
                        .workload_count = j->steps->workload_count,
                        .metric = BENCH_CPU}; // wall time is others' as well
    rc = cheat_probe(&means, j->suspected, &j->r->findings, e);
    if (rc == 0) {
        judge_checked(j, "probes", true,
                      "run at another place, in another environment, twice in the same folders");
    }
    return rc;
}
