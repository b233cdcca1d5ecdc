// Learned: a model of a system's outputs fitted on what was observed, that knows how good it is,
// what it was fitted on, and where it has nothing to say.
//
// For each output column of a Dataset it learns from the input and policy columns
// - the output itself, in logarithms where it is positive throughout (latencies and rates differ by
//   factors), else as it is; or
// - the *residual* of a base prediction, when one is given: a hybrid, which needs far fewer rows,
//   because the formula brings the shape and only its error is learned;
// with a Gaussian process (few rows, smooth, knows where it is unsure) or with trees (many rows,
// steps). AUTO takes the one whose cross-validated error is smaller, or leaves a base as it is
// where neither makes it better: then what was learned is how wrong the base is.
//
//     LearnedOptions o = {.kind = LEARNED_AUTO, .seed = 1, .base = formula, .base_ctx = system};
//     rc = learned_fit(dataset, &o, &model, e);
//     rc = learned_predict(model, values, LEARNED_INSIDE, answers, e);  // one an output
//     learned_tell(model, output, value);      // what came of the last prediction: adapts, watches
//     if (learned_advise(model, dataset_rows(d), 0).reason != REFIT_NONE) refit
//
// Intervals are conformal: the scores are those of the cross-validation, in which every row is
// predicted by a model that has not seen it, and they adapt with learned_tell (model/conformal.h),
// so that coverage holds in the long run whatever the system does. For exchangeable rows
// cross-validated scores cover 1 - 2 alpha for certain and 1 - alpha in practice (Barber, Candes,
// Ramdas, Tibshirani: "Predictive inference with the jackknife+", 2021, theorem 4).
//
// The *region* is the box of the inputs that were seen, and a mean gap between rows around it.
// Outside of it a model from data is a guess:
// learned_predict refuses with ERR_REFUSED and the name of the input, unless told LEARNED_ANYWHERE;
// then the answer says so, and its interval is stretched by how far outside it is, with no promise
// about coverage.
//
// learned_fit blocks for as long as the models take (seconds at thousands of rows): call it on a
// job thread. One thread at a time, except for learned_predict while nobody tells.
#ifndef MODEL_LEARNED_H
#define MODEL_LEARNED_H

#include "model/dataset.h"
#include "model/drift.h"
#include "model/outcome.h"

enum {
    LEARNED_VERSION = 1,
    LEARNED_INPUTS_MAX = 63, // a Gaussian process' 64 less the base's prediction
    LEARNED_OUTPUTS_MAX = 64,
    LEARNED_ROWS_MIN = 10, // fewer make no interval of 90 %
    LEARNED_FOLDS_MAX = 20,
    LEARNED_SOURCES_MAX = 64, // that the model names; further ones are counted
};

typedef enum LearnedKind {
    LEARNED_AUTO,
    LEARNED_GP,
    LEARNED_TREES,
    LEARNED_BASE, // the base alone, with an interval
    LEARNED_KINDS
} LearnedKind;
extern const char *const LEARNED_KIND_NAMES[LEARNED_KINDS]; // "auto", "gp", "trees", "base"

typedef struct Learned Learned;

// What a formula says of an output at these values of the model's inputs (learned_input of `m`,
// which may still be in the making: ask it for nothing else). NAN where it has nothing to say (an
// unstable system, say): such rows are left out, and such questions are not answered. Called from
// whichever thread fits or asks.
typedef double LearnedBase(void *ctx, const Learned *m, const double *inputs, Slice output);

typedef struct LearnedOptions {
    LearnedKind kind;
    double confidence; // of the intervals; 0: 0.9
    size_t folds;      // of the cross-validation; 0: 5
    uint64_t seed;
    LearnedBase *base; // NULL: no formula
    void *base_ctx;
    const char *base_name; // "queueing 1", kept with the model
    size_t gp_rows_max;    // AUTO tries a Gaussian process up to so many rows; 0: 600
    // Only outputs that end with ".p99" and so on, a list that ends with NULL; NULL: all. Every
    // output is a model of its own, and takes its time.
    const char *const *measures;
} LearnedOptions;

// Rows that miss an input are left out, and for an output those that miss it. Inputs that never
// change are no help, but belong to the region as a point. Outputs that never change, or have fewer
// than LEARNED_ROWS_MIN rows, are left out, and learned_left_out says why; those that the base
// never has a word on are learned without it. ERR_ARG with the reason where no output or no
// changing input remains; ERR_LIMIT.
MUST_USE int learned_fit(const Dataset *d, const LearnedOptions *options, Learned **ret_model,
                         Err *e);
void learned_destroy(Learned *m); // NULL is fine

size_t learned_inputs(const Learned *m);
size_t learned_outputs(const Learned *m);
const Column *learned_input(const Learned *m, size_t i);
const Column *learned_output(const Learned *m, size_t i);
// Sentences about outputs of the table that the model does not answer.
const Slice *learned_left_out(const Learned *m, size_t *ret_count);

typedef enum LearnedWhere { LEARNED_INSIDE, LEARNED_ANYWHERE } LearnedWhere;

typedef struct LearnedAnswer {
    Estimate estimate; // NAN when the base has nothing to say
    bool outside;      // of the region
} LearnedAnswer;

// `values` has one value an input; `ret_answers` one an output. ERR_REFUSED outside of the region,
// ERR_ARG for a value that is not finite. Estimates hold with learned_confidence(), and are what
// learned_tell takes the next outcomes for.
MUST_USE int learned_predict(const Learned *m, const double *values, LearnedWhere where,
                             LearnedAnswer *ret_answers, Err *e);
double learned_confidence(const Learned *m);

// What really came of an input, output by output (NAN: not known): moves the intervals and watches
// for drift. Counts the question as inside or outside for learned_advise.
void learned_tell(Learned *m, const double *values, const double *outcomes);
// Should it be fitted again, now that there are `rows_now` rows?
RefitAdvice learned_advise(const Learned *m, size_t rows_now);

// ---- what it is worth

typedef struct LearnedReport {
    LearnedKind kind; // of this output
    bool logarithm;   // of the values or their ratio to the base
    bool hybrid;      // corrects the base
    size_t rows;      // that had this output
    // Of cross-validated predictions, relative to the value or a hundredth of the range of values,
    // whichever is larger (shares are often 0).
    double median_error;
    double base_error; // the same of the base alone; NAN without
    double coverage;   // of intervals that were made of the scores of other folds
    double median_width;
} LearnedReport;

const LearnedReport *learned_report(const Learned *m, size_t output);

typedef struct LearnedRegion {
    double low, high; // of one input
} LearnedRegion;

LearnedRegion learned_region(const Learned *m, size_t input);
size_t learned_rows(const Learned *m);
// Sources of the rows, at most LEARNED_SOURCES_MAX; ret_more is how many there are beyond.
const Slice *learned_sources(const Learned *m, size_t *ret_count, size_t *ret_more);

// ---- as a document

// {"format": "perfwright-learned", "version": 1, ...}: columns, region, sources, report, models and
// scores. A hybrid read back needs its base again: ERR_ARG when it is missing or has another name.
void learned_write(const Learned *m, JsonWriter *w);
MUST_USE int learned_read(const Doc *doc, const LearnedOptions *options, Learned **ret_model,
                          Err *e);

#endif
