// The judgement in the ledger: a run with the whole report as its artifact, and the step of the
// proposal that was registered before.
#include <math.h>

#include "improve/judge_impl.h"
#include "ledger/run.h"
#include "os/clock.h"

static int write_run(Judge *j, Slice report, Err *e)
{
    JudgeReport *r = j->r;
    RunInfo info = {.kind = SLICE("patch"),
                    .name = r->registration.goal.len > 0 ? r->registration.goal : SLICE("patch"),
                    .target = r->registration.target,
                    .plan_json = SLICE("{}"),
                    .plan_sha256 = slice_from_cstr(r->registration.sha256),
                    .seed = r->hidden_seed,
                    .load_scale = 1,
                    .started_unix_ns = r->started_unix_ns,
                    .interval_ns = NS_PER_S,
                    .environment_json = r->environment_json};
    RunWriter *writer;
    Buf plan = buf_create(REGISTRATION_BYTES_MAX), end = buf_create(1 << 16);
    JsonWriter w = json_writer(&plan, 0);
    registration_write(&r->registration, &w);
    info.plan_json = buf_slice(&plan);
    w = json_writer(&end, 0);
    json_object_begin(&w);
    json_field_string(&w, "claim", r->claim);
    json_field_string(&w, "reason", r->reason);
    json_field_cstr(&w, "verdict", PATCH_VERDICT_NAMES[r->verdict]);
    json_object_end(&w);
    int rc = run_create(j->o->ledger, &info, &writer, e);
    if (rc == 0) {
        Err drop;
        rc = run_artifact(writer, SLICE("report.json"), SLICE("application/json"), report, e);
        if (rc == 0) {
            rc = run_artifact(writer, SLICE("patch.diff"), SLICE("text/x-diff"), j->diff, e);
        }
        int end_rc = run_finish(writer,
                                &(RunEnd){.status = r->complete ? RUN_COMPLETE : RUN_PARTIAL,
                                          .reason = r->complete ? SLICE("") : r->reason,
                                          .duration_ns = r->took_ns,
                                          .health_json = SLICE("{}"),
                                          .thresholds_json = SLICE("[]"),
                                          .summary_json = buf_slice(&end)},
                                rc == 0 ? e : &drop);
        rc = rc == 0 ? end_rc : rc;
        memcpy(r->run_id, info.id, sizeof r->run_id);
    }
    buf_done(&plan);
    buf_done(&end);
    return rc;
}

static int step_proposal(Judge *j, Err *e)
{
    JudgeReport *r = j->r;
    if (r->registration.proposal_id[0] == 0) {
        return 0;
    }
    Slice evidence[] = {arena_printf(j->arena, "run:%s", r->run_id),
                        arena_printf(j->arena, "patch:%s", r->patch_sha256)};
    ProposalEstimate seen = {.name = SLICE("ratio"),
                             .value = r->ratio,
                             .low = r->interval.low,
                             .high = r->interval.high,
                             .confidence = 1 - r->registration.alpha};
    bool good = r->verdict == PATCH_PROVEN || r->verdict == PATCH_SMALL;
    ProposalStep step = {
        .to = good ? PROPOSAL_VALIDATED : PROPOSAL_REJECTED,
        .author = SLICE("perfwright"),
        .reason = arena_printf(j->arena, "%s: %.*s", PATCH_VERDICT_NAMES[r->verdict],
                               SLICE_FMT(slice_sub(r->reason, 0, 2000))),
        .evidence = {evidence, COUNT_OF(evidence)},
        .observed = {&seen, isfinite(r->ratio) && isfinite(r->interval.low) ? 1 : 0}};
    Slice id = slice_from_cstr(r->registration.proposal_id);
    // What was interrupted is neither: the registration stays open for another judgement.
    return r->complete ? proposal_step(j->o->ledger, id, &step, e)
                       : proposal_note(j->o->ledger, id, &step, e);
}

int judge_record(Judge *j, Err *e)
{
    if (!j->o->ledger) {
        return 0;
    }
    Buf report = buf_create(JUDGE_REPORT_BYTES_MAX);
    JsonWriter w = json_writer(&report, 0);
    judge_report_write(j->r, &w);
    int rc = buf_check(&report, "the report", e);
    rc = rc == 0 ? write_run(j, buf_slice(&report), e) : rc;
    rc = rc == 0 ? step_proposal(j, e) : rc;
    buf_done(&report);
    return rc == 0 ? 0 : err_wrap(e, "recording the judgement");
}
