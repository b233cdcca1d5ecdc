#include "model/learned_impl.h"

#include <math.h>
#include <stdlib.h>

// A step that the drift monitor drops something on by mistake: about once in 500 outcomes at most.
#define DRIFT_DELTA 0.002

const char *const LEARNED_KIND_NAMES[LEARNED_KINDS] = {"auto", "gp", "trees", "base"};

void learned_model_destroy(LearnedModel *o)
{
    if (o) {
        gp_destroy(o->gp);
        trees_destroy(o->trees);
        free(o->scores);
        free(o->residuals);
        free(o);
    }
}

void learned_destroy(Learned *m)
{
    if (m) {
        for (size_t i = 0; i < m->output_count; i++) {
            learned_model_destroy(m->models[i]);
        }
        arena_destroy(m->arena);
        free(m);
    }
}

size_t learned_inputs(const Learned *m)
{
    return m->input_count;
}

size_t learned_outputs(const Learned *m)
{
    return m->output_count;
}

const Column *learned_input(const Learned *m, size_t i)
{
    return &m->inputs[i].column;
}

const Column *learned_output(const Learned *m, size_t i)
{
    return &m->models[i]->column;
}

const Slice *learned_left_out(const Learned *m, size_t *ret_count)
{
    *ret_count = m->left_out_count;
    return m->left_out;
}

double learned_confidence(const Learned *m)
{
    return m->confidence;
}

const LearnedReport *learned_report(const Learned *m, size_t output)
{
    return &m->models[output]->report;
}

LearnedRegion learned_region(const Learned *m, size_t input)
{
    return m->inputs[input].region;
}

size_t learned_rows(const Learned *m)
{
    return m->rows;
}

const Slice *learned_sources(const Learned *m, size_t *ret_count, size_t *ret_more)
{
    *ret_count = m->source_count;
    *ret_more = m->sources_more;
    return m->sources;
}

// ---- the scale that is learned on

double learned_base(const Learned *m, const LearnedModel *o, const double *values)
{
    if (!o->report.hybrid) {
        return o->report.logarithm ? 1 : 0;
    }
    double base = m->base(m->base_ctx, m, values, o->column.name);
    return isfinite(base) && (base > 0 || !o->report.logarithm) ? base : (double)NAN;
}

double learned_to_scale(const LearnedModel *o, double value, double base)
{
    return o->report.logarithm ? log(value / base) : value - base;
}

double learned_from_scale(const LearnedModel *o, double t, double base)
{
    return o->report.logarithm ? base * exp(t) : base + t;
}

size_t learned_features(const Learned *m, const LearnedModel *o, const double *values, double base,
                        double *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < m->input_count; i++) {
        const LearnedInput *in = &m->inputs[i];
        if (in->used) {
            // Outside of the region a value may have no logarithm; half the lowest is far enough.
            ret[count++] = in->logarithm ? log(fmax(values[i], in->region.low / 2)) : values[i];
        }
    }
    if (o->report.hybrid) {
        ret[count++] = o->report.logarithm ? log(base) : base;
    }
    return count;
}

void learned_ask(const Gp *gp, const Trees *trees, const double *features, double *ret_mean,
                 double *ret_scale)
{
    if (gp) {
        double variance;
        gp_predict(gp, features, ret_mean, &variance);
        *ret_scale = sqrt(fmax(variance + gp_noise(gp), 1e-24));
    } else {
        *ret_mean = trees ? trees_predict(trees, features) : 0;
        *ret_scale = 1;
    }
}

int learned_begin(Learned *m, LearnedModel *o, Err *e)
{
    AdaptiveOptions options = {.coverage = m->confidence, .window = CONFORMAL_WINDOW_MAX};
    int rc = adaptive_init(&o->conformal, &options, e);
    if (rc == 0) {
        adaptive_seed(&o->conformal, o->scores, o->known);
        drift_init(&o->drift, o->residuals, o->known, DRIFT_DELTA);
    }
    return rc;
}

// ---- asking

// How far outside of the region a value is, in widths of it; 0 inside. Of n values drawn from a
// range the outermost are a mean gap away from its ends, so that much is no excursion: without it a
// tenth of the questions would be refused for the sake of ten inputs and two hundred rows.
static double excess(const Learned *m, const LearnedInput *in, double value)
{
    double width = in->region.high - in->region.low;
    double size = fmax(fabs(in->region.low), fabs(in->region.high));
    double over = fmax(in->region.low - value, value - in->region.high);
    double gap = m->rows > 1 ? width / (double)(m->rows - 1) : 0;
    if (over <= fmax(gap, 1e-9 * size)) { // the last bits may be lost in a file
        return 0;
    }
    return over / (width > 0 ? width : fmax(size, 1e-9));
}

static int check_values(const Learned *m, const double *values, LearnedWhere where,
                        double *ret_excess, Err *e)
{
    *ret_excess = 0;
    for (size_t i = 0; i < m->input_count; i++) {
        const LearnedInput *in = &m->inputs[i];
        if (!isfinite(values[i])) {
            return err_set(e, ERR_ARG, "%.*s is not finite", SLICE_FMT(in->column.name));
        }
        double over = excess(m, in, values[i]);
        if (over > 0 && where == LEARNED_INSIDE) {
            return err_set(
                e, ERR_REFUSED,
                "%.*s is %g, and the model was fitted on %g to %g: nothing is known there",
                SLICE_FMT(in->column.name), values[i], in->region.low, in->region.high);
        }
        *ret_excess = fmax(*ret_excess, over);
    }
    return 0;
}

static Estimate estimate_of(const Learned *m, const LearnedModel *o, const double *values,
                            double stretch)
{
    double features[LEARNED_FEATURES_MAX], mean, scale, base = learned_base(m, o, values);
    if (isnan(base)) {
        return (Estimate){NAN, NAN, NAN};
    }
    (void)learned_features(m, o, values, base, features);
    learned_ask(o->gp, o->trees, features, &mean, &scale);
    double reach = adaptive_offset(&o->conformal) * scale * stretch;
    return (Estimate){learned_from_scale(o, mean, base), learned_from_scale(o, mean - reach, base),
                      learned_from_scale(o, mean + reach, base)};
}

int learned_predict(const Learned *m, const double *values, LearnedWhere where,
                    LearnedAnswer *ret_answers, Err *e)
{
    double over;
    int rc = check_values(m, values, where, &over, e);
    for (size_t i = 0; rc == 0 && i < m->output_count; i++) {
        ret_answers[i] = (LearnedAnswer){estimate_of(m, m->models[i], values, 1 + over), over > 0};
    }
    return rc;
}

void learned_tell(Learned *m, const double *values, const double *outcomes)
{
    double over, features[LEARNED_FEATURES_MAX], mean, scale;
    if (check_values(m, values, LEARNED_ANYWHERE, &over, NULL) != 0) {
        return;
    }
    m->asked++;
    if (over > 0) {
        // A guess that was wrong says nothing about the intervals inside.
        m->outside++;
        return;
    }
    for (size_t i = 0; i < m->output_count; i++) {
        LearnedModel *o = m->models[i];
        double base = learned_base(m, o, values);
        if (isnan(outcomes[i]) || isnan(base)) {
            continue;
        }
        (void)learned_features(m, o, values, base, features);
        learned_ask(o->gp, o->trees, features, &mean, &scale);
        // A value that has no logarithm is a miss, and as far below as can be.
        bool outlandish = o->report.logarithm && outcomes[i] <= 0;
        double t = outlandish ? -INFINITY : learned_to_scale(o, outcomes[i], base);
        o->told++;
        o->missed += adaptive_tell(&o->conformal, conformal_score(t, mean, scale));
        o->drifted = drift_tell(&o->drift, t - mean) != DRIFT_NONE || o->drifted;
    }
}

RefitAdvice learned_advise(const Learned *m, size_t rows_now)
{
    RefitAdvice best = {REFIT_NONE, 0};
    for (size_t i = 0; i < m->output_count; i++) {
        const LearnedModel *o = m->models[i];
        RefitFacts facts = {.inputs = m->input_count,
                            .rows_fitted = m->rows,
                            .rows_now = rows_now,
                            .drifted = o->drifted,
                            .window = drift_window(&o->drift),
                            .told = o->told,
                            .missed = o->missed,
                            .confidence = m->confidence,
                            .asked = m->asked,
                            .outside = m->outside};
        RefitAdvice advice = refit_advise(&facts);
        // Reasons are in the order of their weight; of two drifts the one that keeps less.
        if (advice.reason != REFIT_NONE &&
            (best.reason == REFIT_NONE || advice.reason < best.reason ||
             (advice.reason == best.reason && advice.rows < best.rows))) {
            best = advice;
        }
    }
    return best;
}
