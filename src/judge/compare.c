#include "judge/compare.h"

#include <math.h>

#include "judge/comparable.h"
#include "judge/endpoint.h"
#include "judge/pooled.h"
#include "stat/compare.h"
#include "stat/power.h"

enum { RUNS_FOR_TEST = 3 }; // a side, from which on the runs' own scatter is believed

// What decides: the middle, which few runs pin down, and the tail, which users feel.
static const ChangeMeasure DECISIVE[] = {MEASURE_P50, MEASURE_P95};

// Chance that `needed` plans for of finding a change of the margin.
#define NEEDED_POWER 0.8

typedef struct Work {
    Arena *arena;
    CompareOptions o;
    RunGroup baseline;
    RunGroup candidate;
    bool few;
    ChangeSet *set;
} Work;

// All runs of one endpoint.
typedef struct Rows {
    EndpointRun *baseline;
    EndpointRun *candidate;
} Rows;

static CompareOptions with_defaults(const CompareOptions *given)
{
    CompareOptions o = given ? *given : (CompareOptions){0};
    o.alpha = o.alpha > 0 ? o.alpha : 0.05;
    o.margin = o.margin > 0 ? o.margin : 0.05;
    o.margin_few = o.margin_few > 0 ? o.margin_few : 0.10;
    o.run_sd = o.run_sd > 0 ? o.run_sd : 0.03;
    o.error_increase = o.error_increase > 0 ? o.error_increase : 0.01;
    return o;
}

// ---- estimates ----

static double *values_of(Arena *arena, const EndpointRun *runs, size_t n, ChangeMeasure m)
{
    double *values = ARENA_ARRAY(arena, double, n + 1);
    for (size_t i = 0; i < n; i++) {
        values[i] = runs[i].value[m];
    }
    return values;
}

static double mean_log(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += log(x[i]);
    }
    return sum / (double)n;
}

static double squares_log(const double *x, size_t n)
{
    double mean = mean_log(x, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (log(x[i]) - mean) * (log(x[i]) - mean);
    }
    return sum;
}

static double within_variance(const Rows *rows, size_t nb, size_t nc, ChangeMeasure m)
{
    double sum = 0;
    for (size_t i = 0; i < nb; i++) {
        sum += rows->baseline[i].error_log[m] * rows->baseline[i].error_log[m];
    }
    for (size_t i = 0; i < nc; i++) {
        sum += rows->candidate[i].error_log[m] * rows->candidate[i].error_log[m];
    }
    return sum / (double)(nb + nc);
}

// Fewer than three runs on a side: the variance of one run's logarithm is what its blocks show plus
// the assumed variation from run to run, or what the few runs show, whichever is larger.
static Comparison compare_few(const Work *w, const Rows *rows, const double *x, const double *y,
                              ChangeMeasure m)
{
    size_t nb = w->baseline.count;
    size_t nc = w->candidate.count;
    double variance = within_variance(rows, nb, nc, m) + w->o.run_sd * w->o.run_sd;
    double df = fmax(1, fmin(rows->baseline[0].df, rows->candidate[0].df));
    double seen_df = (double)(nb + nc) - 2;
    double seen = seen_df > 0 ? (squares_log(x, nb) + squares_log(y, nc)) / seen_df : 0;
    if (seen > variance) {
        variance = seen;
        df = seen_df;
    }
    double error = sqrt(variance * (1 / (double)nb + 1 / (double)nc));
    return compare_from_estimate(mean_log(y, nc) - mean_log(x, nb), error, df, true,
                                 1 - 2 * w->o.alpha);
}

static uint64_t needed_runs(const Work *w, const Comparison *c)
{
    double share = 1 / (double)w->baseline.count + 1 / (double)w->candidate.count;
    double sd = c->standard_error / sqrt(share);
    uint64_t runs = power_runs(log1p(w->o.margin), sd, 2 * w->o.alpha, NEEDED_POWER);
    runs = runs < RUNS_FOR_TEST ? RUNS_FOR_TEST : runs;
    return runs >= POWER_RUNS_MAX ? 0 : runs;
}

static void set_test(const Work *w, const Comparison *c, ChangeVerdict *v)
{
    v->interval = c->interval;
    v->p = fmin(c->p_less, c->p_greater);
    v->needed.runs = needed_runs(w, c);
    // Sameness is a claim about runs to come; fewer than three a side cannot carry it.
    v->equivalent =
        !w->few && compare_equivalence_p(c, 1 / (1 + v->margin), 1 + v->margin) < w->o.alpha;
}

static Slice method_words(const Work *w, ChangeMeasure m)
{
    size_t nb = w->baseline.count;
    size_t nc = w->candidate.count;
    if (!w->few) {
        return arena_printf(w->arena, "Welch on logarithms, %zu against %zu runs", nb, nc);
    }
    if (m == MEASURE_THROUGHPUT) {
        return SLICE("not tested: fewer than three runs a side");
    }
    return arena_printf(w->arena,
                        "%s%zu against %zu runs: blocks of seconds, and an assumed %.3g %% from "
                        "run to run",
                        nb == 1 || nc == 1 ? "single run; " : "", nb, nc, w->o.run_sd * 100);
}

static ChangeVerdict change_empty(const Work *w, Slice endpoint, ChangeMeasure m)
{
    double nan = (double)NAN;
    bool time = m <= MEASURE_MEAN;
    return (ChangeVerdict){
        .endpoint = endpoint,
        .metric = m == MEASURE_ERROR_RATE ? SLICE("http_req_failed") : SLICE("http_req_duration"),
        .measure = m,
        .unit = time                      ? SLICE("ms")
                : m == MEASURE_THROUGHPUT ? SLICE("/s")
                                          : SLICE(""),
        .ratio = nan,
        .difference = nan,
        .interval = {-(double)INFINITY, (double)INFINITY, 0},
        .p = nan,
        .p_adjusted = nan,
        .single_run = w->baseline.count == 1 || w->candidate.count == 1,
        .value = CHANGE_NO_DIFFERENCE_SHOWN,
        .margin = w->few ? w->o.margin_few : w->o.margin,
        .share = nan,
    };
}

static bool all_positive(const double *x, size_t n)
{
    bool ok = n > 0;
    for (size_t i = 0; i < n; i++) {
        ok = ok && x[i] > 0;
    }
    return ok;
}

static ChangeVerdict change_of_ratio(const Work *w, const Rows *rows, Slice endpoint,
                                     ChangeMeasure m)
{
    size_t nb = w->baseline.count;
    size_t nc = w->candidate.count;
    double *x = values_of(w->arena, rows->baseline, nb, m);
    double *y = values_of(w->arena, rows->candidate, nc, m);
    ChangeVerdict v = change_empty(w, endpoint, m);
    v.method = method_words(w, m);
    if (!all_positive(x, nb) || !all_positive(y, nc)) {
        v.value = CHANGE_NOT_COMPARABLE;
        v.reason = SLICE("some run has no value");
        v.baseline = v.candidate = (double)NAN;
        return v;
    }
    v.baseline = exp(mean_log(x, nb));
    v.candidate = exp(mean_log(y, nc));
    v.ratio = v.candidate / v.baseline;
    v.difference = v.candidate - v.baseline;
    if (w->few && m == MEASURE_THROUGHPUT) {
        return v;
    }
    Comparison c = w->few ? compare_few(w, rows, x, y, m)
                          : compare_welch_ratio(x, nb, y, nc, 1 - 2 * w->o.alpha);
    set_test(w, &c, &v);
    return v;
}

// Error rates are zero in most runs, so that no t-test on runs exists. Errors rose when every run
// of the candidate is beyond every run of the baseline: no two 95 % intervals touch.
static ChangeVerdict change_of_errors(const Work *w, const Rows *rows, Slice endpoint)
{
    ChangeVerdict v = change_empty(w, endpoint, MEASURE_ERROR_RATE);
    v.method = SLICE("the runs' exact 95 % intervals apart");
    v.decides = true;
    Interval base = {1, 0, 0.95};
    Interval now = {1, 0, 0.95};
    double sums[2] = {0, 0};
    for (size_t i = 0; i < w->baseline.count; i++) {
        base.low = fmin(base.low, rows->baseline[i].errors.low);
        base.high = fmax(base.high, rows->baseline[i].errors.high);
        sums[0] += rows->baseline[i].value[MEASURE_ERROR_RATE];
    }
    for (size_t i = 0; i < w->candidate.count; i++) {
        now.low = fmin(now.low, rows->candidate[i].errors.low);
        now.high = fmax(now.high, rows->candidate[i].errors.high);
        sums[1] += rows->candidate[i].value[MEASURE_ERROR_RATE];
    }
    v.baseline = sums[0] / (double)w->baseline.count;
    v.candidate = sums[1] / (double)w->candidate.count;
    v.difference = v.candidate - v.baseline;
    v.interval = (Interval){now.low - base.high, now.high - base.low, 0.95};
    v.margin = w->o.error_increase;
    if (isnan(v.difference)) {
        v.value = CHANGE_NOT_COMPARABLE;
        v.reason = SLICE("some run has no value");
    } else if (v.interval.low > 0 && v.difference >= v.margin) {
        v.value = CHANGE_SLOWER;
    } else if (v.interval.high < 0 && -v.difference >= v.margin) {
        v.value = CHANGE_FASTER;
    }
    return v;
}

// ---- verdicts ----

static void decide(const Work *w, ChangeVerdict *v, double p)
{
    if (v->value == CHANGE_NOT_COMPARABLE || isnan(p)) {
        return;
    }
    v->value = CHANGE_NO_DIFFERENCE_SHOWN;
    bool more_is_better = v->measure == MEASURE_THROUGHPUT;
    bool large = fmax(v->ratio, 1 / v->ratio) >= 1 + v->margin;
    if (p < w->o.alpha && large) {
        v->value = (v->ratio > 1) == more_is_better ? CHANGE_FASTER : CHANGE_SLOWER;
    }
}

static const double *logs_of(const Work *w, const EndpointRun *runs, size_t n, ChangeMeasure m)
{
    double *x = values_of(w->arena, runs, n, m);
    for (size_t i = 0; i < n; i++) {
        x[i] = log(x[i]);
    }
    return x;
}

// Tests one measure of all endpoints anew with a variance that they share (pooled.h).
static void test_together(const Work *w, ChangeVerdict **primary, const Rows *rows, size_t n)
{
    ChangeMeasure m = primary[0]->measure;
    PooledInput in = {.baseline_runs = w->baseline.count, .candidate_runs = w->candidate.count};
    const double **before = ARENA_ARRAY(w->arena, const double *, n);
    const double **after = ARENA_ARRAY(w->arena, const double *, n);
    ChangeVerdict **tested = ARENA_ARRAY(w->arena, ChangeVerdict *, n);
    for (size_t i = 0; i < n; i++) {
        if (!isnan(primary[i]->p)) {
            before[in.endpoints] = logs_of(w, rows[i].baseline, in.baseline_runs, m);
            after[in.endpoints] = logs_of(w, rows[i].candidate, in.candidate_runs, m);
            tested[in.endpoints++] = primary[i];
        }
    }
    if (w->few || in.endpoints < POOLED_ENDPOINTS_MIN) {
        return;
    }
    in.baseline = before;
    in.candidate = after;
    PooledVariance *v = ARENA_ARRAY(w->arena, PooledVariance, in.endpoints);
    pooled_variances(&in, v);
    double share = 1 / (double)in.baseline_runs + 1 / (double)in.candidate_runs;
    for (size_t i = 0; i < in.endpoints; i++) {
        Comparison c = compare_from_estimate(log(tested[i]->ratio), sqrt(v[i].variance * share),
                                             v[i].df, true, 1 - 2 * w->o.alpha);
        set_test(w, &c, tested[i]);
        tested[i]->method = arena_printf(
            w->arena, "moderated t on logarithms, %zu against %zu runs, %.1f degrees of freedom",
            in.baseline_runs, in.candidate_runs, v[i].df);
    }
}

// Benjamini and Hochberg over the decisive measures of all endpoints, each direction a family of
// its own: a false "slower" is what a gate must not give.
static void decide_primary(const Work *w, ChangeVerdict **primary, size_t n)
{
    double *p = ARENA_ARRAY(w->arena, double, n + 1);
    for (int slower = 0; slower <= 1; slower++) {
        for (size_t i = 0; i < n; i++) {
            bool mine = (primary[i]->ratio > 1) == (slower == 1);
            // One-sided, so the other direction's p is the complement.
            p[i] = mine ? primary[i]->p : 1 - primary[i]->p;
        }
        compare_adjust_fdr(p, n, p);
        for (size_t i = 0; i < n; i++) {
            if ((primary[i]->ratio > 1) == (slower == 1)) {
                primary[i]->p_adjusted = p[i];
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        primary[i]->decides = true;
        decide(w, primary[i], primary[i]->p_adjusted);
    }
}

static Slice reason_words(const Work *w, const ChangeVerdict *v)
{
    if (v->reason.len || v->measure == MEASURE_ERROR_RATE || isnan(v->p)) {
        return v->reason;
    }
    double change = (v->ratio - 1) * 100;
    Slice runs = SLICE("");
    if (v->value == CHANGE_NO_DIFFERENCE_SHOWN && !v->equivalent && v->needed.runs > 0) {
        runs = arena_printf(w->arena, "; about %llu runs a side would show a change of %.3g %%",
                            (unsigned long long)v->needed.runs, w->o.margin * 100);
    }
    return arena_printf(w->arena, "%+.1f %% [%+.1f, %+.1f]%s%.*s", change,
                        (v->interval.low - 1) * 100, (v->interval.high - 1) * 100,
                        v->single_run ? ", single run" : "", SLICE_FMT(runs));
}

// ---- who carries the change ----

// Time spent in an endpoint: requests times their mean. The candidate's request count is used on
// both sides, so that a closed model that got through fewer requests does not look cheaper.
static double cost_change(const Work *w, const Rows *rows)
{
    double mean[2] = {0, 0};
    double requests = 0;
    for (size_t i = 0; i < w->baseline.count; i++) {
        mean[0] += rows->baseline[i].value[MEASURE_MEAN] / (double)w->baseline.count;
    }
    for (size_t i = 0; i < w->candidate.count; i++) {
        mean[1] += rows->candidate[i].value[MEASURE_MEAN] / (double)w->candidate.count;
        requests += rows->candidate[i].requests / (double)w->candidate.count;
    }
    double change = requests * (mean[1] - mean[0]);
    return isnan(change) ? 0 : change;
}

// Shares are of the changes in the same direction: an endpoint that got faster does not make the
// culprit's share pass 100 %.
static void set_shares(const double *cost, size_t endpoints, ChangeVerdict *changes)
{
    double up = 0;
    double down = 0;
    for (size_t i = 0; i < endpoints; i++) {
        up += fmax(cost[i], 0);
        down += fmin(cost[i], 0);
    }
    for (size_t i = 0; i < endpoints; i++) {
        double whole = cost[i] > 0 ? up : down;
        for (size_t m = 0; m < MEASURE_COUNT && whole != 0; m++) {
            changes[i * MEASURE_COUNT + m].share = cost[i] / whole;
        }
    }
}

static void name_culprit(ChangeSet *set, size_t endpoints)
{
    set->culprit_share = -2; // below every share: p95 may rise where the mean fell
    for (int wanted = CHANGE_SLOWER; wanted >= CHANGE_FASTER && !set->culprit_change; wanted--) {
        for (size_t k = 0; k < endpoints * COUNT_OF(DECISIVE); k++) {
            ChangeMeasure m = DECISIVE[COUNT_OF(DECISIVE) - 1 - k % COUNT_OF(DECISIVE)];
            const ChangeVerdict *v =
                &set->changes[k / COUNT_OF(DECISIVE) * MEASURE_COUNT + (size_t)m];
            if ((int)v->value == wanted && v->share > set->culprit_share) {
                set->culprit = v->endpoint;
                set->culprit_share = v->share;
                set->culprit_change = v;
            }
        }
    }
    set->culprit_share = set->culprit_change ? set->culprit_share : (double)NAN;
}

// ---- the whole ----

static Rows measure_rows(const Work *w, Slice endpoint)
{
    Rows rows = {ARENA_ARRAY(w->arena, EndpointRun, w->baseline.count),
                 ARENA_ARRAY(w->arena, EndpointRun, w->candidate.count)};
    EndpointAsk ask = {.endpoint = endpoint,
                       .warmup_ns = w->o.warmup_ns,
                       .with_errors = w->few,
                       .seed = w->o.seed};
    for (size_t i = 0; i < w->baseline.count; i++) {
        rows.baseline[i] = endpoint_measure(w->arena, w->baseline.runs[i], &ask);
    }
    for (size_t i = 0; i < w->candidate.count; i++) {
        rows.candidate[i] = endpoint_measure(w->arena, w->candidate.runs[i], &ask);
    }
    return rows;
}

static void compare_endpoint(const Work *w, const Rows *rows, Slice endpoint, ChangeVerdict *out)
{
    for (size_t m = 0; m < MEASURE_COUNT; m++) {
        out[m] = m == MEASURE_ERROR_RATE ? change_of_errors(w, rows, endpoint)
                                         : change_of_ratio(w, rows, endpoint, (ChangeMeasure)m);
        if (m <= MEASURE_MEAN && rows->candidate[0].corrected) {
            out[m].metric = SLICE("http_req_corrected_duration");
        }
        if (m != MEASURE_ERROR_RATE) {
            decide(w, &out[m], out[m].p); // the decisive ones once more, together
        }
    }
}

// Endpoints that only one side has are named and left out: there is nothing to compare them with.
static size_t common_endpoints(const Work *w, Slice **ret_names)
{
    Slice *names;
    RunGroup both = {ARENA_ARRAY(w->arena, const RunData *, w->baseline.count + w->candidate.count),
                     0};
    for (size_t i = 0; i < w->baseline.count; i++) {
        both.runs[both.count++] = w->baseline.runs[i];
    }
    for (size_t i = 0; i < w->candidate.count; i++) {
        both.runs[both.count++] = w->candidate.runs[i];
    }
    size_t n = endpoint_list(w->arena, both.runs, both.count, &names);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        size_t runs = 0;
        for (size_t k = 0; k < both.count; k++) {
            runs += endpoint_exists(both.runs[k], names[i]);
        }
        if (runs == both.count) {
            names[kept++] = names[i];
            continue;
        }
        comparable_warn(w->set,
                        arena_printf(w->arena, "endpoint %.*s is in %zu of %zu runs: left out",
                                     SLICE_FMT(names[i]), runs, both.count));
    }
    *ret_names = names;
    return kept;
}

static void compare_all(const Work *w)
{
    ChangeSet *set = w->set;
    Slice *names;
    size_t endpoints = common_endpoints(w, &names);
    // One endpoint is all requests already; without any, all requests are the one endpoint.
    size_t groups = endpoints > 1 ? endpoints + 1 : 1;
    size_t primaries = endpoints > 1 ? endpoints : 1;
    names[endpoints == 1 ? 1 : endpoints] = (Slice){0};
    set->changes = ARENA_ARRAY(w->arena, ChangeVerdict, groups * MEASURE_COUNT);
    set->count = groups * MEASURE_COUNT;
    // Measure by measure, so that each is a run of endpoints.
    ChangeVerdict **primary =
        ARENA_ARRAY(w->arena, ChangeVerdict *, primaries * COUNT_OF(DECISIVE));
    double *cost = ARENA_ARRAY(w->arena, double, primaries);
    Rows *all_rows = ARENA_ARRAY(w->arena, Rows, groups);
    for (size_t i = 0; i < groups; i++) {
        ChangeVerdict *out = &set->changes[i * MEASURE_COUNT];
        all_rows[i] = measure_rows(w, names[i]);
        compare_endpoint(w, &all_rows[i], names[i], out);
        if (i == primaries) {
            out[MEASURE_ERROR_RATE].decides = false; // all requests: informs only
            break;
        }
        cost[i] = cost_change(w, &all_rows[i]);
        for (size_t d = 0; d < COUNT_OF(DECISIVE); d++) {
            primary[d * primaries + i] = &out[DECISIVE[d]];
        }
    }
    for (size_t d = 0; d < COUNT_OF(DECISIVE); d++) {
        test_together(w, primary + d * primaries, all_rows, primaries);
    }
    decide_primary(w, primary, primaries * COUNT_OF(DECISIVE));
    set_shares(cost, primaries, set->changes);
    for (size_t i = 0; i < set->count; i++) {
        set->changes[i].reason = reason_words(w, &set->changes[i]);
    }
    name_culprit(set, primaries);
}

ChangeSet compare_runs(Arena *arena, const RunData *const *baseline, size_t baseline_count,
                       const RunData *const *candidate, size_t candidate_count,
                       const CompareOptions *options)
{
    ChangeSet set = {.culprit_share = (double)NAN};
    Work w = {.arena = arena, .o = with_defaults(options), .set = &set};
    w.baseline.runs = ARENA_ARRAY(arena, const RunData *, baseline_count + 1);
    w.candidate.runs = ARENA_ARRAY(arena, const RunData *, candidate_count + 1);
    for (size_t i = 0; i < baseline_count; i++) {
        w.baseline.runs[w.baseline.count++] = baseline[i];
    }
    for (size_t i = 0; i < candidate_count; i++) {
        w.candidate.runs[w.candidate.count++] = candidate[i];
    }
    if (!comparable_runs(arena, &w.baseline, &w.candidate, &set)) {
        return set;
    }
    w.few = w.baseline.count < RUNS_FOR_TEST || w.candidate.count < RUNS_FOR_TEST;
    compare_all(&w);
    if (w.few) {
        comparable_warn(&set, SLICE("fewer than three runs a side: the variation from run to run "
                                    "is assumed, not measured"));
    }
    return set;
}
