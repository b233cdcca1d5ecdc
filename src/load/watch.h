// Thresholds of a plan watched while it runs: which series each one looks at, and whether it holds.
#ifndef LOAD_WATCH_H
#define LOAD_WATCH_H

#include "load/engine.h"

typedef struct Watch Watch;

Watch *watch_create(const Plan *plan);
void watch_destroy(Watch *watch); // NULL is fine
// Evaluates all of them on the collector's totals. Returns the first with abortOnFail that is
// crossed past its delayAbortEval, or NULL.
const EngineThreshold *watch_eval(Watch *watch, const Collector *collector, int64_t test_ns);
// In the plan's order.
const EngineThreshold *watch_results(const Watch *watch, size_t *ret_count);

#endif
