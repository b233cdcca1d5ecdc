#include "report/model.h"

#include <math.h>

#include "base/units.h"
#include "report/model_tables.h"
#include "report/series.h"
#include "report/words.h"

static const double NOT_MEASURED = (double)NAN;

static double to_ms(double ns)
{
    return ns / (double)NS_PER_MS;
}

ReportLatency report_latency(const Hist *h)
{
    bool any = h->count > 0;
    return (ReportLatency){
        .count = h->count,
        .mean = to_ms(hist_mean(h)),
        .min = any ? to_ms((double)h->min) : NOT_MEASURED,
        .p50 = to_ms(hist_quantile(h, 0.5)),
        .p90 = to_ms(hist_quantile(h, 0.9)),
        .p95 = to_ms(hist_quantile(h, 0.95)),
        .p99 = to_ms(hist_quantile(h, 0.99)),
        .p999 = to_ms(hist_quantile(h, 0.999)),
        .max = any ? to_ms((double)h->max) : NOT_MEASURED,
    };
}

// ---- totals ----

static void total_of(ReportModel *m, Slice metric, SeriesSum *sum)
{
    SeriesGroup group = series_group(m->arena, m->in.run, metric, (Labels){0});
    series_total(&group, sum);
}

static double count_of(ReportModel *m, Slice metric, SeriesSum *sum)
{
    total_of(m, metric, sum);
    return sum->any ? sum->count : NOT_MEASURED;
}

static ReportLatency latency_of(ReportModel *m, Slice metric, SeriesSum *sum)
{
    total_of(m, metric, sum);
    return report_latency(&sum->hist);
}

static double vus_max(ReportModel *m)
{
    double max = NOT_MEASURED;
    for (size_t i = 0; i < m->in.run->series_count; i++) {
        const RunSeries *series = &m->in.run->series[i];
        // "vus" is read once a second, when those of an open model may all be idle.
        if ((slice_eq(series->info.metric, SLICE("vus")) ||
             slice_eq(series->info.metric, SLICE("vus_max"))) &&
            series->point_count > 0) {
            max = fmax(max, series->total.max); // fmax ignores the NaN
        }
    }
    return max;
}

// Dropped iterations have no series until the first one: in an open model none is a measured zero.
static void fill_offered(ReportModel *m, SeriesSum *sum)
{
    ReportTotals *t = &m->totals;
    t->offered = NOT_MEASURED;
    t->dropped = count_of(m, SLICE("dropped_iterations"), sum);
    total_of(m, SLICE("iteration_lateness"), sum);
    t->lateness = report_latency(&sum->hist);
    if (sum->any || !isnan(t->dropped)) {
        t->dropped = isnan(t->dropped) ? 0 : t->dropped;
        t->offered = sum->count + t->dropped;
    }
}

static void fill_totals(ReportModel *m)
{
    ReportTotals *t = &m->totals;
    SeriesSum sum;
    series_sum_init(&sum);
    total_of(m, SLICE("http_req_duration"), &sum);
    hist_merge(&m->duration, &sum.hist);
    t->latency = report_latency(&m->duration);
    total_of(m, SLICE("http_req_corrected_duration"), &sum);
    hist_merge(&m->corrected, &sum.hist);
    t->corrected = report_latency(&m->corrected);
    t->iteration = latency_of(m, SLICE("iteration_duration"), &sum);
    t->generator = latency_of(m, SLICE("generator_lateness"), &sum);
    t->requests = count_of(m, SLICE("http_reqs"), &sum);
    t->iterations = count_of(m, SLICE("iterations"), &sum);
    t->data_sent = count_of(m, SLICE("data_sent"), &sum);
    t->data_received = count_of(m, SLICE("data_received"), &sum);
    fill_offered(m, &sum);
    total_of(m, SLICE("http_req_failed"), &sum);
    t->failed = sum.any ? sum.trues : NOT_MEASURED;
    t->failed_share = sum.count > 0 ? sum.trues / sum.count : NOT_MEASURED;
    total_of(m, SLICE("checks"), &sum);
    t->checks_total = sum.any ? sum.count : NOT_MEASURED;
    t->checks_passed = sum.any ? sum.trues : NOT_MEASURED;
    t->vus_max = vus_max(m);
    t->request_rate = t->requests / m->duration_s;
    t->iteration_rate = t->iterations / m->duration_s;
    t->offered_rate = t->offered / m->duration_s;
    series_sum_done(&sum);
}

// ---- time axis ----

typedef struct Axis {
    int64_t merged; // intervals a step
    double interval_s;
} Axis;

// Seconds of step `i` that the run covered: the last one may be cut short. NaN where that is under
// a quarter, because a rate over so little time says nothing.
static double step_seconds(const ReportModel *m, size_t i)
{
    double covered = m->step_s;
    if (!isnan(m->duration_s)) {
        covered = fmin(covered, m->duration_s - (double)i * m->step_s);
    }
    return covered < m->step_s / 4 ? NOT_MEASURED : covered;
}

static Axis make_axis(ReportModel *m, size_t most, size_t *ret_count)
{
    int64_t intervals = m->in.run->interval_count;
    int64_t merged = (intervals + (int64_t)most - 1) / (int64_t)most;
    merged = merged > 0 ? merged : 1;
    *ret_count = intervals > 0 ? (size_t)((intervals + merged - 1) / merged) : 0;
    int64_t interval_ns = m->in.run->info.interval_ns;
    return (Axis){merged, (double)(interval_ns > 0 ? interval_ns : NS_PER_SECOND) / 1e9};
}

typedef void StepFill(ReportStep *step, const SeriesSum *sum, double seconds);

static void fill_latency(ReportStep *step, const SeriesSum *sum, double seconds)
{
    (void)seconds;
    step->latency = report_latency(&sum->hist);
}
static void fill_corrected(ReportStep *step, const SeriesSum *sum, double seconds)
{
    (void)seconds;
    step->corrected = report_latency(&sum->hist);
}
static void fill_requests(ReportStep *step, const SeriesSum *sum, double seconds)
{
    step->requests = sum->count / seconds;
}
static void fill_achieved(ReportStep *step, const SeriesSum *sum, double seconds)
{
    step->achieved = sum->count / seconds;
}
// Started iterations; the dropped ones are added when they are read, just after.
static void fill_started(ReportStep *step, const SeriesSum *sum, double seconds)
{
    step->offered = sum->count / seconds;
}
static void fill_dropped(ReportStep *step, const SeriesSum *sum, double seconds)
{
    step->dropped = sum->count / seconds;
    step->offered += step->dropped;
}
static void fill_failed(ReportStep *step, const SeriesSum *sum, double seconds)
{
    step->failed = sum->trues / seconds;
}
static void fill_vus(ReportStep *step, const SeriesSum *sum, double seconds)
{
    (void)seconds;
    step->vus = sum->any ? sum->gauge : NOT_MEASURED;
}
static void fill_generator(ReportStep *step, const SeriesSum *sum, double seconds)
{
    (void)seconds;
    step->lateness_p99_ms = to_ms(hist_quantile(&sum->hist, 0.99));
}

// Runs `fill` over all steps where the run has the metric at all; elsewhere values stay NaN.
static void fill_steps(ReportModel *m, Axis axis, Slice metric, StepFill *fill)
{
    SeriesGroup group = series_group(m->arena, m->in.run, metric, (Labels){0});
    SeriesSum sum;
    series_sum_init(&sum);
    for (size_t i = 0; i < m->step_count && group.count > 0; i++) {
        series_take(&group, (int64_t)(i + 1) * axis.merged, &sum);
        fill(&m->steps[i], &sum, step_seconds(m, i));
    }
    series_sum_done(&sum);
}

// One number an interval out of the health document, averaged over each step.
static void fill_sample(ReportModel *m, Axis axis, Slice key, size_t offset)
{
    const Doc *values = doc_get(doc_get(m->in.run->health, SLICE("samples")), key);
    for (size_t i = 0; values && i < m->step_count; i++) {
        double sum = 0, count = 0;
        for (int64_t k = 0; k < axis.merged; k++) {
            const Doc *value = doc_at(values, i * (size_t)axis.merged + (size_t)k);
            if (doc_is_number(value)) {
                sum += doc_number(value);
                count++;
            }
        }
        double *slot = (double *)(void *)((char *)&m->steps[i] + offset);
        *slot = count > 0 ? sum / count : NOT_MEASURED;
    }
}

static void make_steps(ReportModel *m)
{
    Axis axis = make_axis(m, REPORT_STEPS_MAX, &m->step_count);
    m->step_s = axis.interval_s * (double)axis.merged;
    m->steps = ARENA_ARRAY(m->arena, ReportStep, m->step_count ? m->step_count : 1);
    Hist none;
    hist_init(&none);
    for (size_t i = 0; i < m->step_count; i++) {
        ReportStep *s = &m->steps[i];
        *s = (ReportStep){.at_s = (double)i * m->step_s, .latency = report_latency(&none)};
        s->corrected = s->latency;
        s->offered = s->achieved = s->requests = s->dropped = s->vus = s->failed = NOT_MEASURED;
        s->lateness_p99_ms = s->cpu = s->steal = NOT_MEASURED;
    }
    static const struct {
        Slice metric;
        StepFill *fill;
    } fills[] = {
        {SLICE_INIT("http_req_duration"), fill_latency},
        {SLICE_INIT("http_req_corrected_duration"), fill_corrected},
        {SLICE_INIT("http_reqs"), fill_requests},
        {SLICE_INIT("iterations"), fill_achieved},
        {SLICE_INIT("iteration_lateness"), fill_started},
        {SLICE_INIT("dropped_iterations"), fill_dropped},
        {SLICE_INIT("http_req_failed"), fill_failed},
        {SLICE_INIT("vus"), fill_vus},
        {SLICE_INIT("generator_lateness"), fill_generator},
    };
    for (size_t i = 0; i < COUNT_OF(fills); i++) {
        fill_steps(m, axis, fills[i].metric, fills[i].fill);
    }
    fill_sample(m, axis, SLICE("cpu"), offsetof(ReportStep, cpu));
    fill_sample(m, axis, SLICE("steal"), offsetof(ReportStep, steal));
}

// ---- heat map ----

// Rows of equal steps of the logarithm between the smallest and the largest duration.
static void heat_rows(ReportModel *m)
{
    ReportHeat *heat = &m->heat;
    double low = fmax(m->totals.latency.min, 0.001), high = fmax(m->totals.latency.max, low * 1.01);
    // A row is never finer than 4 %: the histogram's own buckets (0.8 %) would show through.
    double finest = log(high / low) / log(1.04);
    heat->rows = (size_t)fmax(1, fmin(REPORT_HEAT_ROWS_MAX, floor(finest)));
    double *bounds = ARENA_ARRAY(m->arena, double, heat->rows + 1);
    for (size_t i = 0; i <= heat->rows; i++) {
        bounds[i] = low * pow(high / low, (double)i / (double)heat->rows);
    }
    heat->row_bounds = bounds;
}

static size_t heat_row_of(const ReportHeat *heat, double ms)
{
    double span = log(heat->row_bounds[heat->rows] / heat->row_bounds[0]);
    double at = log(fmax(ms, heat->row_bounds[0]) / heat->row_bounds[0]) / span;
    size_t row = (size_t)fmax(0, at * (double)heat->rows);
    return row < heat->rows ? row : heat->rows - 1;
}

static void make_heat(ReportModel *m)
{
    ReportHeat *heat = &m->heat;
    if (m->duration.count == 0) {
        return;
    }
    Axis axis = make_axis(m, REPORT_HEAT_COLUMNS_MAX, &heat->columns);
    heat->column_s = axis.interval_s * (double)axis.merged;
    heat_rows(m);
    uint64_t *counts = ARENA_ARRAY(m->arena, uint64_t, heat->columns * heat->rows + 1);
    SeriesGroup group = series_group(m->arena, m->in.run, SLICE("http_req_duration"), (Labels){0});
    SeriesSum sum;
    series_sum_init(&sum);
    for (size_t column = 0; column < heat->columns; column++) {
        series_take(&group, (int64_t)(column + 1) * axis.merged, &sum);
        HistIter it = hist_iter(&sum.hist);
        HistBucket bucket;
        while (hist_next(&it, &bucket)) {
            size_t row = heat_row_of(heat, to_ms(hist_bucket_mid(&bucket)));
            uint64_t *cell = &counts[column * heat->rows + row];
            *cell += bucket.count;
            heat->max = *cell > heat->max ? *cell : heat->max;
        }
    }
    series_sum_done(&sum);
    heat->counts = counts;
}

// ---- verdict and notices ----

static void add_notice(ReportModel *m, ReportTone tone, Slice title, Slice text)
{
    m->notices[m->notice_count++] = (ReportNotice){tone, title, text};
}

static bool is_invalid(const ReportModel *m)
{
    const Judgement *j = m->in.judgement;
    return m->in.run->end.status == RUN_INVALID || (j && j->status == JUDGE_INVALID);
}

static Slice reason_or(const ReportModel *m, Slice fallback)
{
    return m->in.run->end.reason.len ? m->in.run->end.reason : fallback;
}

static void status_notice(ReportModel *m)
{
    switch (m->in.run->end.status) {
    case RUN_RUNNING:
        add_notice(m, TONE_WARN, SLICE("Partial result"), SLICE("the run has not ended yet"));
        break;
    case RUN_PARTIAL:
        add_notice(m, TONE_WARN, SLICE("Partial result"),
                   reason_or(m, SLICE("the run ended early; the numbers are those of what ran")));
        break;
    case RUN_ABORTED:
        add_notice(m, TONE_BAD, SLICE("Aborted, partial result"),
                   reason_or(m, SLICE("a rule of the plan stopped the run")));
        break;
    case RUN_COMPLETE:
    case RUN_INVALID: break;
    }
}

static bool any_single_run(const Judgement *j)
{
    for (size_t i = 0; i < j->change_count; i++) {
        if (j->changes[i].single_run) {
            return true;
        }
    }
    return false;
}

static void make_notices(ReportModel *m)
{
    const Judgement *j = m->in.judgement;
    m->notices = ARENA_ARRAY(m->arena, ReportNotice, 6 + (j ? j->warning_count : 0));
    if (is_invalid(m)) {
        Slice why = j && j->invalid_reason.len ? j->invalid_reason
                                               : reason_or(m, SLICE("the generator was the "
                                                                    "bottleneck"));
        add_notice(m, TONE_BAD, SLICE("Invalid run, no verdict"), why);
    }
    status_notice(m);
    double scale = m->in.run->info.load_scale;
    if (scale > 0 && scale < 1) {
        add_notice(m, TONE_WARN, SLICE("Reduced load"),
                   arena_printf(m->arena,
                                "the run was repeated at %.*s of the planned load; it is never "
                                "compared with a full run",
                                SLICE_FMT(words_share(m->arena, scale))));
    }
    if (m->judged && any_single_run(j)) {
        add_notice(m, TONE_WARN, SLICE("Single run"),
                   SLICE("one side of the comparison is a single run: its intervals show the "
                         "variation inside a run, not from run to run"));
    }
    if (m->in.run->seal_hash.len == 0) {
        add_notice(m, TONE_WARN, SLICE("Not sealed"),
                   SLICE("the run has no seal in the ledger, so these numbers cannot be verified "
                         "later"));
    }
    for (size_t i = 0; j && i < j->warning_count; i++) {
        add_notice(m, TONE_WARN, SLICE("Warning"), j->warnings[i]);
    }
}

static ReportTone judgement_tone(JudgeStatus status)
{
    switch (status) {
    case JUDGE_PASS: return TONE_GOOD;
    case JUDGE_SLO_BREACHED:
    case JUDGE_REGRESSION:
    case JUDGE_ERROR: return TONE_BAD;
    case JUDGE_PARTIAL:
    case JUDGE_INVALID:
    case JUDGE_NOT_PROVEN: return TONE_WARN;
    }
    return TONE_NEUTRAL;
}

static void make_verdict(ReportModel *m)
{
    const Judgement *j = m->in.judgement;
    m->invalid = is_invalid(m);
    m->judged = j && !m->invalid;
    if (is_invalid(m)) {
        m->verdict = SLICE("no verdict");
        m->tone = TONE_WARN;
        m->headline = SLICE("The generator was the bottleneck, so nothing is said about the "
                            "service.");
    } else if (!j) {
        m->verdict = SLICE("not judged");
        m->tone = TONE_NEUTRAL;
        m->headline = SLICE("No objective and no baseline was asked about.");
    } else {
        m->verdict = judge_status_name(j->status);
        m->tone = judgement_tone(j->status);
        m->headline = j->summary;
    }
}

size_t report_slo_count(const ReportModel *m)
{
    return m->judged ? m->in.judgement->slo_count : 0;
}

size_t report_change_count(const ReportModel *m)
{
    return m->judged ? m->in.judgement->change_count : 0;
}

ReportTone report_slo_tone(const SloVerdict *slo)
{
    switch (slo->value) {
    case SLO_MET: return TONE_GOOD;
    case SLO_BREACHED: return TONE_BAD;
    case SLO_NOT_PROVEN: return TONE_WARN;
    }
    return TONE_NEUTRAL;
}

Slice report_threshold_words(const ReportModel *m, const ReportThreshold *threshold)
{
    if (m->invalid) {
        return SLICE("not judged");
    }
    return !threshold->has_value ? SLICE("no data")
           : threshold->ok       ? SLICE("holds")
                                 : SLICE("crossed");
}

ReportTone report_threshold_tone(const ReportModel *m, const ReportThreshold *threshold)
{
    if (m->invalid || !threshold->has_value) {
        return TONE_NEUTRAL;
    }
    return threshold->ok ? TONE_GOOD : TONE_BAD;
}

ReportTone report_change_tone(const ChangeVerdict *change)
{
    switch (change->value) {
    case CHANGE_FASTER: return TONE_GOOD;
    case CHANGE_SLOWER: return TONE_BAD;
    case CHANGE_NO_DIFFERENCE_SHOWN:
    case CHANGE_NOT_COMPARABLE: break;
    }
    return TONE_NEUTRAL;
}

void report_model_init(ReportModel *m, const ReportInput *input, Arena *arena)
{
    *m = (ReportModel){.in = *input, .arena = arena};
    hist_init(&m->duration);
    hist_init(&m->corrected);
    if (m->in.peer_count > REPORT_PEERS_MAX) {
        m->in.peer_count = REPORT_PEERS_MAX;
    }
    int64_t duration_ns = input->run->end.duration_ns;
    m->duration_s = duration_ns > 0 ? (double)duration_ns / 1e9 : NOT_MEASURED;
    make_verdict(m);
    make_notices(m);
    fill_totals(m);
    make_steps(m);
    make_heat(m);
    model_tables(m);
}

void report_model_done(ReportModel *m)
{
    hist_done(&m->duration);
    hist_done(&m->corrected);
}
