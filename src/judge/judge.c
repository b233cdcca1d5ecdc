#include "judge/judge.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "stat/rate.h"

enum { JUDGE_WARNINGS_MAX = 128, SPLITS_DEFAULT = 200, SIDE_MAX = 5 };
#define SPLIT_ARENA_BYTES ((size_t)256 << 20)

typedef struct Work {
    Arena *arena;
    const JudgeInput *in;
    Judgement *j;
    Slice *warnings;
} Work;

static void warn(Work *w, Slice text)
{
    if (w->j->warning_count < JUDGE_WARNINGS_MAX) {
        w->warnings[w->j->warning_count++] = text;
    }
}

int judge_exit_code(JudgeStatus status)
{
    switch (status) {
    case JUDGE_PASS: return EXIT_PASS;
    case JUDGE_SLO_BREACHED: return EXIT_THRESHOLDS;
    case JUDGE_REGRESSION: return EXIT_REGRESSION;
    case JUDGE_PARTIAL: return EXIT_PARTIAL;
    case JUDGE_INVALID:
    case JUDGE_NOT_PROVEN: return EXIT_NOT_PROVEN;
    case JUDGE_ERROR: break;
    }
    return EXIT_ERROR;
}

// Iterations and VUs alone are no measurement: a plan whose VUs only think must not pass. Totals
// count as well, for a run that is not in the ledger or was pruned has no points.
static bool has_requests(const RunData *run)
{
    for (size_t i = 0; i < run->series_count; i++) {
        const RunSeries *s = &run->series[i];
        if (slice_starts_with(s->info.metric, SLICE("http_req")) &&
            (s->point_count > 0 || s->total.count > 0)) {
            return true;
        }
    }
    return false;
}

static int verdict_rank(SloValue value)
{
    switch (value) {
    case SLO_MET: return 0;
    case SLO_NOT_PROVEN: return 1;
    case SLO_BREACHED: break;
    }
    return 2;
}

// Objectives over several runs: each run is judged by itself, since requests of different runs must
// not be pooled, and the worst verdict stands. That one run in twenty is "breached" by chance is
// held off by dividing alpha among the runs (Bonferroni).
static void judge_objectives(Work *w, const RunData *const *runs, size_t count)
{
    SloOptions o = w->in->slo_options;
    o.alpha = (o.alpha > 0 ? o.alpha : 0.05) / (double)count;
    for (size_t i = 0; i < count; i++) {
        bool defaulted;
        SloVerdicts v =
            slo_eval_all(w->arena, runs[i], w->in->slos, w->in->slo_count, &o, &defaulted);
        if (i == 0) {
            w->j->slos = v.items;
            w->j->slo_count = v.count;
            if (defaulted) {
                warn(w, SLICE("no objective was given: the platform's defaults were judged "
                              "(availability and p95)"));
            }
            continue;
        }
        for (size_t k = 0; k < v.count && k < w->j->slo_count; k++) {
            if (verdict_rank(v.items[k].value) > verdict_rank(w->j->slos[k].value)) {
                w->j->slos[k] = v.items[k];
            }
        }
    }
}

static void judge_changes(Work *w)
{
    const JudgeInput *in = w->in;
    if (in->baseline_missing.len > 0) {
        warn(w, arena_printf(w->arena,
                             "the plan's baseline '%.*s' is not pinned: nothing to "
                             "compare with",
                             SLICE_FMT(in->baseline_missing)));
    }
    if (in->baseline_count == 0) {
        return;
    }
    ChangeSet set = compare_runs(w->arena, in->baseline, in->baseline_count, in->candidate,
                                 in->candidate_count, &in->compare_options);
    Judgement *j = w->j;
    for (size_t i = 0; i < set.warning_count; i++) {
        warn(w, set.warnings[i]);
    }
    j->changes = set.changes;
    j->change_count = set.count;
    j->baseline_runs = set.baseline_runs;
    j->candidate_runs = set.candidate_runs;
    j->culprit = set.culprit;
    j->culprit_share = set.culprit_share;
    j->culprit_change = set.culprit_change;
    if (set.not_comparable.len) {
        j->changes = ARENA_NEW(w->arena, ChangeVerdict);
        *j->changes = (ChangeVerdict){.measure = MEASURE_P95,
                                      .metric = SLICE("http_req_duration"),
                                      .value = CHANGE_NOT_COMPARABLE,
                                      .baseline = (double)NAN,
                                      .candidate = (double)NAN,
                                      .ratio = (double)NAN,
                                      .difference = (double)NAN,
                                      .p = (double)NAN,
                                      .p_adjusted = (double)NAN,
                                      .share = (double)NAN,
                                      .decides = true,
                                      .reason = set.not_comparable};
        j->change_count = 1;
    }
}

typedef struct Tally {
    size_t breached;
    size_t not_proven; // that count
    size_t slower;
    size_t not_comparable;
} Tally;

static Tally count_verdicts(const Judgement *j)
{
    Tally t = {0};
    for (size_t i = 0; i < j->slo_count; i++) {
        t.breached += j->slos[i].value == SLO_BREACHED;
        t.not_proven += j->slos[i].value == SLO_NOT_PROVEN && !j->slos[i].advisory;
    }
    for (size_t i = 0; i < j->change_count; i++) {
        const ChangeVerdict *c = &j->changes[i];
        t.slower += c->decides && c->value == CHANGE_SLOWER;
        t.not_comparable +=
            c->decides && c->measure == MEASURE_P95 && c->value == CHANGE_NOT_COMPARABLE;
    }
    return t;
}

static bool any_cut_short(const JudgeInput *in)
{
    for (size_t i = 0; i < in->candidate_count; i++) {
        RunStatus s = in->candidate[i]->end.status;
        if (s == RUN_PARTIAL || s == RUN_ABORTED || s == RUN_RUNNING) {
            return true;
        }
    }
    return false;
}

static void conclude(Work *w)
{
    Judgement *j = w->j;
    Tally t = count_verdicts(j);
    size_t unsettled = w->in->allow_not_proven ? 0 : t.not_proven + t.not_comparable;
    if (t.breached > 0) {
        j->status = JUDGE_SLO_BREACHED;
        j->summary =
            arena_printf(w->arena, "%zu of %zu objectives breached", t.breached, j->slo_count);
    } else if (t.slower > 0 && j->culprit_change && j->culprit_change->value == CHANGE_SLOWER) {
        j->status = JUDGE_REGRESSION;
        j->summary = arena_printf(
            w->arena, "p95 of %.*s is %.1f %% slower%s and carries %.0f %% of the change",
            SLICE_FMT(j->culprit.len ? j->culprit : SLICE("all requests")),
            (j->culprit_change->ratio - 1) * 100,
            j->culprit_change->single_run ? " (single run)" : "", j->culprit_share * 100);
    } else if (t.slower > 0) {
        j->status = JUDGE_REGRESSION;
        j->summary = SLICE("errors or latency rose beyond doubt");
    } else if (any_cut_short(w->in)) {
        j->status = JUDGE_PARTIAL;
        j->summary = SLICE("the run ended early; what ran breaches nothing");
    } else if (unsettled > 0) {
        j->status = JUDGE_NOT_PROVEN;
        j->summary = t.not_proven > 0 ? arena_printf(w->arena, "%zu of %zu objectives not proven",
                                                     t.not_proven, j->slo_count)
                                      : SLICE("not comparable with the baseline");
    } else {
        j->status = JUDGE_PASS;
        j->summary = j->change_count ? SLICE("objectives met, no regression shown")
                                     : SLICE("objectives met");
    }
}

// Candidates whose generator kept up. Each of the others is named in a warning.
static size_t valid_runs(Work *w, const RunData **ret_runs)
{
    size_t n = 0;
    for (size_t i = 0; i < w->in->candidate_count; i++) {
        const RunData *run = w->in->candidate[i];
        if (run->end.status == RUN_INVALID) {
            w->j->invalid_reason = run->end.reason.len
                                       ? run->end.reason
                                       : SLICE("the load generator was the bottleneck");
            warn(w, arena_printf(w->arena, "run %s is invalid: %.*s", run->info.id,
                                 SLICE_FMT(w->j->invalid_reason)));
        } else if (has_requests(run)) {
            ret_runs[n++] = run;
        }
        if (run->info.load_scale > 0 && run->info.load_scale < 1) {
            warn(w, arena_printf(w->arena, "run %s ran at %g of the planned load", run->info.id,
                                 run->info.load_scale));
        }
    }
    return n;
}

Judgement judge(Arena *arena, const JudgeInput *input)
{
    Judgement j = {.culprit_share = (double)NAN};
    Work w = {.arena = arena, .in = input, .j = &j};
    w.warnings = ARENA_ARRAY(arena, Slice, JUDGE_WARNINGS_MAX);
    j.warnings = w.warnings;
    const RunData **valid = ARENA_ARRAY(arena, const RunData *, input->candidate_count + 1);
    size_t count = valid_runs(&w, valid);
    if (count == 0 && j.invalid_reason.len > 0) {
        j.status = JUDGE_INVALID;
        j.summary = arena_printf(arena, "no verdict: %.*s", SLICE_FMT(j.invalid_reason));
    } else if (count == 0) {
        j.status = JUDGE_ERROR;
        bool benchmarks = input->candidate_count > 0 &&
                          slice_eq_cstr(input->candidate[0]->info.kind, "benchmark");
        j.summary = benchmarks
                        ? SLICE("a benchmark has no requests: `benchmark compare` compares them")
                        : SLICE("there is nothing to judge: no run, or no request in it");
    } else {
        j.run = valid[count - 1];
        j.invalid_reason = (Slice){0};
        judge_objectives(&w, valid, count);
        judge_changes(&w);
        conclude(&w);
    }
    j.exit_code = judge_exit_code(j.status);
    return j;
}

// ---- null self-test ----

// Splits of 2k chosen runs into two sides; order of the sides matters to a gate.
static size_t distinct_splits(size_t n, size_t k)
{
    double ways = 1;
    for (size_t i = 0; i < k; i++) {
        ways *= (double)(n - i) / (double)(i + 1);
        ways *= (double)(n - k - i) / (double)(i + 1);
    }
    return ways > 1e15 ? SIZE_MAX : (size_t)(ways + 0.5);
}

static bool alarm_raised(const ChangeSet *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->changes[i].decides && set->changes[i].value == CHANGE_SLOWER) {
            return true;
        }
    }
    return false;
}

int judge_self_test(const RunData *const *runs, size_t count, const SelfTestOptions *options,
                    SelfTest *ret, Err *e)
{
    const RunData **usable = mem_alloc((count + 1) * sizeof(const RunData *));
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (runs[i]->end.status == RUN_COMPLETE) {
            usable[n++] = runs[i];
        }
    }
    size_t side = options->runs_a_side ? options->runs_a_side : n / 2 < SIDE_MAX ? n / 2 : SIDE_MAX;
    if (side == 0 || n < 2 * side) {
        free(usable);
        return err_set(e, ERR_ARG,
                       "a self-test with %zu runs a side needs %zu complete runs of one plan, "
                       "there are %zu",
                       side, side ? 2 * side : 2, n);
    }
    SelfTest r = {.splits = options->splits ? options->splits : SPLITS_DEFAULT,
                  .runs_a_side = side,
                  .distinct = distinct_splits(n, side)};
    Rng rng = rng_stream(options->seed, SLICE("gate-self-test"), 0);
    Arena *arena = arena_create(SPLIT_ARENA_BYTES);
    for (size_t i = 0; i < r.splits; i++) {
        arena_reset(arena);
        rng_shuffle(&rng, usable, n, sizeof *usable);
        ChangeSet set = compare_runs(arena, usable, side, usable + side, side, &options->compare);
        r.false_alarms += alarm_raised(&set);
    }
    arena_destroy(arena);
    free(usable);
    r.rate = (double)r.false_alarms / (double)r.splits;
    r.interval = rate_interval_exact((double)r.false_alarms, (double)r.splits, 0.95);
    *ret = r;
    return 0;
}
