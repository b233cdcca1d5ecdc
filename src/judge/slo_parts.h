// What objectives and thresholds share when they are judged: units, words, the empty verdict.
// Private to slo_eval.c and slo_threshold.c.
#ifndef JUDGE_SLO_PARTS_H
#define JUDGE_SLO_PARTS_H

#include "judge/selection.h"
#include "judge/share.h"
#include "judge/slo_eval.h"

double slo_alpha(const SloOptions *o);
// Histogram units in one unit of k6's: 1e6 for times.
double slo_unit_scale(MetricUnit unit);
Slice slo_unit_text(MetricUnit unit); // "ms", "bytes", ""
// A limit as written, in the histogram's integers. `below` moves it so that "above" includes equal
// values: value >= T is value > T - 1.
int64_t slo_limit_value(double limit, MetricUnit unit, bool below);
Slice slo_labels_words(Arena *arena, Labels labels); // "{name:login}" or empty
// All numbers NaN, not proven.
SloVerdict slo_verdict_empty(void);
// The quantile people know, beside the share that was tested: p95 with its interval.
// `more_infinite` failures count as values above every other.
void slo_set_observed(const Selection *s, double q, uint64_t more_infinite, SloVerdict *v);
// One sentence about a share: what was seen, what is allowed, what is sure. `what` as in "were
// slow".
Slice slo_share_reason(Arena *arena, const SloVerdict *v, const char *what, bool at_most);

#endif
