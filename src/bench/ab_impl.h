// Between ab.c, which takes the samples, and ab_decide.c, which reads them.
#ifndef BENCH_AB_IMPL_H
#define BENCH_AB_IMPL_H

#include "bench/ab.h"

typedef struct AbContrast {
    AbComparison effect;
    AbComparison control;
    bool control_differs;
} AbContrast;

// The options with every default filled in.
AbOptions ab_defaults(const AbOptions *options);
MUST_USE int ab_check(const AbOptions *filled, Err *e);
MUST_USE int ab_compare_metric(const AbSample *samples, size_t count, size_t metric, double alpha,
                               AbContrast *ret, Err *e);
bool ab_judge(const AbOptions *filled, const AbContrast *contrast, bool last, AbResult *result);
// metrics and controls, at result->look_alpha.
MUST_USE int ab_fill_metrics(const AbOptions *filled, const AbSample *samples, size_t count,
                             AbResult *result, Err *e);

#endif
