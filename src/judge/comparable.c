#include "judge/comparable.h"

#include <math.h>

#include "judge/selection.h"

enum { WARNINGS_MAX = 64 };

// Two plans are different tests when the load differs by more than this.
#define LOAD_RATIO_MAX 1.2

void comparable_warn(ChangeSet *set, Slice text)
{
    for (size_t i = 0; i < set->warning_count; i++) {
        if (slice_eq(set->warnings[i], text)) {
            return;
        }
    }
    if (set->warning_count < WARNINGS_MAX) {
        set->warnings[set->warning_count++] = text;
    }
}

static Slice unusable(Arena *arena, const RunData *run)
{
    switch (run->end.status) {
    case RUN_COMPLETE: return (Slice){0};
    case RUN_INVALID: return arena_printf(arena, "it is invalid: %.*s", SLICE_FMT(run->end.reason));
    case RUN_RUNNING: return SLICE("it is still running");
    case RUN_PARTIAL:
    case RUN_ABORTED:
        return arena_printf(arena, "it ended early: %.*s", SLICE_FMT(run->end.reason));
    }
    return SLICE("its status is unknown");
}

static void keep_usable(Arena *arena, RunGroup *group, const char *side, ChangeSet *set)
{
    const RunData **kept = ARENA_ARRAY(arena, const RunData *, group->count + 1);
    size_t n = 0;
    for (size_t i = 0; i < group->count; i++) {
        const RunData *run = group->runs[i];
        Slice why = unusable(arena, run);
        if (why.len == 0 && n == COMPARE_RUNS_MAX) {
            why = SLICE("there are more runs than can be used");
        }
        if (why.len == 0) {
            kept[n++] = run;
            continue;
        }
        comparable_warn(set, arena_printf(arena, "%s run %s was left out: %.*s", side, run->info.id,
                                          SLICE_FMT(why)));
    }
    *group = (RunGroup){kept, n};
}

static double scale_of(const RunData *run)
{
    return run->info.load_scale > 0 ? run->info.load_scale : 1;
}

static void keep_scale(Arena *arena, RunGroup *group, double scale, const char *side,
                       ChangeSet *set)
{
    size_t n = 0;
    for (size_t i = 0; i < group->count; i++) {
        const RunData *run = group->runs[i];
        if (fabs(scale_of(run) - scale) < 1e-9) {
            group->runs[n++] = run;
            continue;
        }
        comparable_warn(set, arena_printf(arena, "%s run %s was left out: it ran at %g of the load",
                                          side, run->info.id, scale_of(run)));
    }
    group->count = n;
}

static double largest_scale(const RunGroup *group)
{
    double scale = 0;
    for (size_t i = 0; i < group->count; i++) {
        scale = fmax(scale, scale_of(group->runs[i]));
    }
    return scale;
}

static double pace(Arena *arena, const RunGroup *group)
{
    double sum = 0;
    for (size_t i = 0; i < group->count; i++) {
        SelectionAsk ask = {.metric = SLICE("http_req_duration")};
        Selection s = selection_make(arena, group->runs[i], &ask);
        double seconds = (double)s.intervals * s.interval_s;
        sum += seconds > 0 ? (double)selection_total(&s).count / seconds : 0;
    }
    return sum / (double)group->count;
}

static bool same_plan(const RunGroup *baseline, const RunGroup *candidate)
{
    Slice first = baseline->runs[0]->info.plan_sha256;
    for (size_t i = 0; i < baseline->count; i++) {
        if (!slice_eq(baseline->runs[i]->info.plan_sha256, first)) {
            return false;
        }
    }
    for (size_t i = 0; i < candidate->count; i++) {
        if (!slice_eq(candidate->runs[i]->info.plan_sha256, first)) {
            return false;
        }
    }
    return true;
}

static bool same_load(Arena *arena, const RunGroup *baseline, const RunGroup *candidate,
                      ChangeSet *set)
{
    if (same_plan(baseline, candidate)) {
        return true;
    }
    double before = pace(arena, baseline);
    double after = pace(arena, candidate);
    if (before <= 0 || after <= 0) {
        set->not_comparable = SLICE("the plans differ and one side has no requests");
        return false;
    }
    if (fmax(after / before, before / after) > LOAD_RATIO_MAX) {
        set->not_comparable =
            arena_printf(arena,
                         "the plans differ, and so does the load: %.4g against %.4g requests a "
                         "second",
                         before, after);
        return false;
    }
    comparable_warn(set, SLICE("the plans differ; compared because the load is about the same"));
    return true;
}

// What makes two machines different; load averages and free memory change by themselves.
static const char *const ENVIRONMENT[] = {"cpu_model",    "machine",     "kernel",
                                          "governor",     "cpus_online", "cpus_allowed",
                                          "memory_bytes", "cpu_quota",   "memory_limit_bytes"};

static void warn_environment(Arena *arena, const RunGroup *baseline, const RunGroup *candidate,
                             ChangeSet *set)
{
    const Doc *before = baseline->runs[0]->environment;
    for (size_t i = 0; i < candidate->count; i++) {
        const Doc *after = candidate->runs[i]->environment;
        for (size_t k = 0; k < COUNT_OF(ENVIRONMENT); k++) {
            const Doc *a = doc_get(before, slice_from_cstr(ENVIRONMENT[k]));
            const Doc *b = doc_get(after, slice_from_cstr(ENVIRONMENT[k]));
            if (a && b && !slice_eq(a->text, b->text)) {
                comparable_warn(
                    set, arena_printf(arena,
                                      "the runs come from different machines: %s \"%.*s\" "
                                      "against \"%.*s\"",
                                      ENVIRONMENT[k], SLICE_FMT(a->text), SLICE_FMT(b->text)));
            }
        }
    }
}

bool comparable_runs(Arena *arena, RunGroup *baseline, RunGroup *candidate, ChangeSet *set)
{
    set->warnings = ARENA_ARRAY(arena, Slice, WARNINGS_MAX);
    keep_usable(arena, baseline, "baseline", set);
    keep_usable(arena, candidate, "candidate", set);
    // A retry at half load ends up beside full runs of the same plan: only equal loads remain.
    double scale = fmin(largest_scale(baseline), largest_scale(candidate));
    keep_scale(arena, baseline, scale, "baseline", set);
    keep_scale(arena, candidate, scale, "candidate", set);
    set->baseline_runs = baseline->count;
    set->candidate_runs = candidate->count;
    if (baseline->count == 0 || candidate->count == 0) {
        set->not_comparable = arena_printf(arena, "no %s run is left that may be compared",
                                           baseline->count == 0 ? "baseline" : "candidate");
        return false;
    }
    if (!same_load(arena, baseline, candidate, set)) {
        return false;
    }
    warn_environment(arena, baseline, candidate, set);
    return true;
}
