// A comparison as JSON, for records, bundles and --json; and as lines for people.
#ifndef BENCH_AB_WRITE_H
#define BENCH_AB_WRITE_H

#include "base/json_write.h"
#include "bench/ab.h"

typedef struct AbNames {
    const char *const *metrics; // of each value of a sample, such as BENCH_METRIC_NAMES
    const bool *more_is_better; // of each; NULL: of none but as the options say of the primary
} AbNames;

// Members of an object that the caller has begun: outcome, reason, effect, control, metrics, looks.
void ab_result_write(const AbOptions *options, const AbResult *result, const AbNames *names,
                     JsonWriter *w);
// An array: every sample in order, with its arm, round, place, start and values.
void ab_samples_write(const AbResult *result, const AbNames *names, size_t metrics, JsonWriter *w);

// "B is 1.23 times as fast as A (99 % interval 1.19 to 1.27, 20 pairs)".
void ab_describe(const AbOptions *options, const AbResult *result, const char *base,
                 const char *candidate, Buf *out);

#endif
