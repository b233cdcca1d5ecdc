// What the files of the learned model share.
#ifndef MODEL_LEARNED_IMPL_H
#define MODEL_LEARNED_IMPL_H

#include "model/conformal.h"
#include "model/gp.h"
#include "model/learned.h"
#include "model/trees.h"

enum { LEARNED_FEATURES_MAX = LEARNED_INPUTS_MAX + 1, LEARNED_TEXT_MAX = 4 << 20 };

typedef struct LearnedInput {
    Column column;
    LearnedRegion region;
    bool used;      // it changes
    bool logarithm; // positive, and over more than a factor of ten
} LearnedInput;

typedef struct LearnedModel {
    Column column;
    LearnedReport report;
    Gp *gp; // one of the two, or neither: the base as it is
    Trees *trees;
    // Of the cross-validation, newest last, at most CONFORMAL_WINDOW_MAX: what the two below were
    // begun with, and what goes into the document.
    double *scores, *residuals;
    size_t known;
    AdaptiveConformal conformal;
    DriftMonitor drift;
    bool drifted;
    size_t told, missed;
} LearnedModel;

struct Learned {
    Arena *arena; // of text
    LearnedInput inputs[LEARNED_INPUTS_MAX];
    size_t input_count;
    LearnedModel *models[LEARNED_OUTPUTS_MAX];
    size_t output_count;
    Slice left_out[LEARNED_OUTPUTS_MAX];
    size_t left_out_count;
    Slice sources[LEARNED_SOURCES_MAX];
    size_t source_count, sources_more;
    size_t rows;
    double confidence;
    LearnedBase *base;
    void *base_ctx;
    Slice base_name;
    size_t asked, outside;
};

// What the model of an output works on: the inputs that change, and the base's prediction with a
// base. Returns their number.
size_t learned_features(const Learned *m, const LearnedModel *o, const double *values, double base,
                        double *ret);
// The base's word on an output; NAN when it has none that can be used. 1 (or 0) without a base,
// which leaves the value as it is.
double learned_base(const Learned *m, const LearnedModel *o, const double *values);
// To and from the scale that is learned on.
double learned_to_scale(const LearnedModel *o, double value, double base);
double learned_from_scale(const LearnedModel *o, double t, double base);
// Mean and scale of the error, on that scale, by whichever of the two is there; 0 by neither.
void learned_ask(const Gp *gp, const Trees *trees, const double *features, double *ret_mean,
                 double *ret_scale);
// Begins intervals and watch with what the cross-validation gave. ERR_ARG for the confidence.
MUST_USE int learned_begin(Learned *m, LearnedModel *o, Err *e);
void learned_model_destroy(LearnedModel *o);

#endif
