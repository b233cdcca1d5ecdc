// Learned models of a System: what it did as a row, what a model says of it as an Outcome, and the
// formula as the base that a model corrects.
//
//     rc = dataset_add_outcome(d, sys, observed, SLICE("simulation:seed=3"), at_unix_ns, e);
//     ...
//     rc = formula_base_create(sys, &base, e);
//     rc = learned_fit(d, &(LearnedOptions){.base = formula_base, .base_ctx = base,
//                                           .base_name = FORMULA_BASE_NAME}, &model, e);
//     rc = learned_outcome(model, candidate, LEARNED_INSIDE, outcome, e);
//
// Columns. Inputs, of each client: "tasks.rate" [1/s] and "tasks.scv", or "batch.users" of a closed
// one; "tasks.spike" is the largest factor on its rate where it has spikes. Policies: every
// parameter that its owner gives planners a range for, by its name ("b->c.timeout.attempt" [s],
// "d.servers"). Outputs: "tasks.p99" [s], "b->c.retries" [1/s], "d.utilisation" and the other
// estimates of an Outcome. What an outcome does not answer, or answers with infinity, is a missing
// cell: a quantile is infinite when too many requests failed, which "tasks.errors" says as a
// number.
#ifndef MODEL_LEARNED_SYSTEM_H
#define MODEL_LEARNED_SYSTEM_H

#include "model/learned.h"

// Makes the columns that the table does not have yet, and a row of the estimates' values.
MUST_USE int dataset_add_outcome(Dataset *d, const System *sys, const Outcome *outcome,
                                 Slice source, int64_t at_unix_ns, Err *e);

// The inputs of the model as they are in the System. ERR_NOT_FOUND for one that it does not have.
MUST_USE int learned_values(const Learned *m, const System *sys, double *ret_values, Err *e);
// Fills what the model answers of an outcome of `sys` (outcome_create) and leaves the rest. Shares
// stay within 0..1, times and rates above 0; a quantile ends at infinity where the model says that
// too many requests may fail. `stable` is true: a model from data knows of nothing else.
// ERR_REFUSED outside of the region, unless `where` allows it: then the reason says so.
MUST_USE int learned_outcome(const Learned *m, const System *sys, LearnedWhere where,
                             Outcome *outcome, Err *e);
// What really came of `sys`: learned_tell.
MUST_USE int learned_tell_outcome(Learned *m, const System *sys, const Outcome *observed, Err *e);

// ---- the formula as base

typedef struct FormulaBase FormulaBase;

#define FORMULA_BASE_NAME "formula 1"

// `sys` is borrowed and says everything that is no input of the model. One thread at a time.
MUST_USE int formula_base_create(const System *sys, FormulaBase **ret_base, Err *e);
void formula_base_destroy(FormulaBase *base); // NULL is fine
// A LearnedBase. NAN for what the formula does not answer, and in an unstable system.
double formula_base(void *base, const Learned *m, const double *inputs, Slice output);

#endif
