#include "improve/bundle_report.h"

#include <math.h>
#include <string.h>

#include "base/json_write.h"

// ---- the claim

static double flipped(double ratio)
{
    return isfinite(ratio) && ratio > 0 ? 1 / ratio : NAN;
}

static BundleWorkload *workload_of(BundleClaim *claim, const JudgeMeasure *m)
{
    Slice metric = slice_from_cstr(BENCH_METRIC_NAMES[m->metric]);
    for (size_t i = 0; i < claim->count; i++) {
        BundleWorkload *w = &claim->workloads[i];
        if (slice_eq(w->name, m->workload) && slice_eq(w->metric, metric)) {
            return w;
        }
    }
    BundleWorkload *w = &claim->workloads[claim->count++];
    *w = (BundleWorkload){.name = m->workload, .metric = metric, .guard = m->role == JUDGE_GUARD};
    w->ratio = flipped(m->ratio);
    w->interval =
        (Interval){flipped(m->interval.high), flipped(m->interval.low), m->interval.confidence};
    // Half an answer is none: the bundle's reader would refuse it.
    if (isnan(w->ratio) || isnan(w->interval.low) || isnan(w->interval.high)) {
        w->ratio = w->interval.low = w->interval.high = NAN;
    }
    return w;
}

static void add_samples(BundleWorkload *w, const JudgeMeasure *m, Arena *arena)
{
    static const BundleArm arms[JUDGE_ARMS] = {[JUDGE_ARM_BASE] = BUNDLE_ARM_A,
                                               [JUDGE_ARM_BASE_AGAIN] = BUNDLE_ARM_A_AGAIN,
                                               [JUDGE_ARM_PATCHED] = BUNDLE_ARM_B};
    BundleSample *all = ARENA_ARRAY(arena, BundleSample, w->sample_count + m->sample_count + 1);
    if (w->sample_count > 0) {
        memcpy(all, w->samples, w->sample_count * sizeof *all);
    }
    for (size_t i = 0; i < m->sample_count; i++) {
        const JudgeSample *s = &m->samples[i];
        if (!s->warmup && s->arm < JUDGE_ARMS) {
            all[w->sample_count++] =
                (BundleSample){.session = m->role == JUDGE_SECOND ? 2 : 1,
                               .round = (int)s->round,
                               .arm = arms[s->arm],
                               .at_ns = s->at_ns,
                               .value = bench_sample_value(&s->sample, m->metric)};
        }
    }
    w->samples = all;
}

BundleClaim bundle_claim_of(const JudgeReport *report, Slice repository, Arena *arena)
{
    BundleClaim claim = {.verdict = report->verdict,
                         .title = report->registration.goal,
                         .reason = report->reason,
                         .repository = repository,
                         .base_revision = report->base_commit,
                         .min_effect = report->registration.min_effect,
                         .attempt = (int)report->attempts,
                         .workloads =
                             ARENA_ARRAY(arena, BundleWorkload, report->measure_count + 1)};
    for (size_t i = 0; i < report->measure_count; i++) {
        const JudgeMeasure *m = &report->measures[i];
        // Layouts and refutations are in the report; a claim is what is measured again elsewhere.
        if (m->role == JUDGE_CLAIM || m->role == JUDGE_SECOND || m->role == JUDGE_GUARD) {
            add_samples(workload_of(&claim, m), m, arena);
        }
    }
    return claim;
}

// ---- the parts

static int add_json(BundleWriter *writer, Slice name, const JudgeReport *report,
                    void (*put)(const JudgeReport *report, JsonWriter *w), Err *e)
{
    Buf text = buf_create(JUDGE_REPORT_BYTES_MAX);
    JsonWriter w = json_writer(&text, 1);
    put(report, &w);
    int rc = buf_check(&text, "a part of the bundle", e);
    rc = rc == 0 ? bundle_add(writer, name, buf_slice(&text), e) : rc;
    buf_done(&text);
    return rc;
}

static void put_registration(const JudgeReport *report, JsonWriter *w)
{
    registration_write_secret(&report->registration, w);
}

static int add_commands(BundleWriter *writer, const JudgeReport *report, Err *e)
{
    Buf text = buf_create(JUDGE_REPORT_BYTES_MAX);
    for (size_t i = 0; i < report->command_count; i++) {
        const JudgeCommand *c = &report->commands[i];
        buf_printf(&text, "%.*s\t%d\t%.*s\n", SLICE_FMT(c->what), c->exit_code, SLICE_FMT(c->run));
    }
    int rc = buf_check(&text, "commands.txt", e);
    rc = rc == 0 ? bundle_add(writer, BUNDLE_COMMANDS, buf_slice(&text), e) : rc;
    buf_done(&text);
    return rc;
}

int bundle_add_report(BundleWriter *writer, const JudgeReport *report, Slice repository,
                      Arena *arena, Err *e)
{
    BundleClaim claim = bundle_claim_of(report, repository, arena);
    int rc = bundle_add_claim(writer, &claim, e);
    rc = rc == 0 ? add_json(writer, BUNDLE_REPORT, report, judge_report_write, e) : rc;
    rc = rc == 0 ? add_json(writer, BUNDLE_REGISTRATION, report, put_registration, e) : rc;
    rc = rc == 0 ? add_commands(writer, report, e) : rc;
    if (rc == 0 && report->environment_json.len > 0) {
        rc = bundle_add(writer, BUNDLE_ENVIRONMENT, report->environment_json, e);
    }
    return rc;
}
