// Conformal prediction: an interval around any predictor that covers as often as it says, whatever
// the predictor is worth. A bad predictor gets wide intervals, not wrong ones.
//
// A *score* says how far an outcome was from its prediction: |y - mean| / scale (conformal_score),
// or max(low - y, y - high) for a predictor of quantiles (conformal_quantile_score, Romano,
// Patterson, Candes: "Conformalized Quantile Regression", NeurIPS 2019).
//
// Split conformal: of n scores on data that the predictor has not seen, the ceil((n + 1) (1 -
// alpha))-th smallest is an offset that the next score does not pass with probability 1 - alpha at
// least, and 1 - alpha + 1 / (n + 1) at most where there are no ties, for exchangeable data and any
// distribution (Vovk et al. 2005; Lei et al. 2018). With too few scores it is INFINITY.
//
// Adaptive (Gibbs, Candes: "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021):
// the level that is asked for moves with every outcome, alpha += gamma (target - missed), so that
// the share of misses over any run of T outcomes is within (max(alpha1, 1 - alpha1) + gamma) / (T
// gamma) of the target, whatever the data do.
//
//     AdaptiveConformal a;
//     rc = adaptive_init(&a, &(AdaptiveOptions){.coverage = 0.9}, e);
//     for each outcome:
//         offset = adaptive_offset(&a);              // interval: mean -+ offset * scale
//         adaptive_tell(&a, conformal_score(y, mean, scale));
//
// Plain values, no memory of their own; any thread, one at a time.
#ifndef MODEL_CONFORMAL_H
#define MODEL_CONFORMAL_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { CONFORMAL_WINDOW_MAX = 512 }; // scores that the adaptive form keeps

// `scale` > 0 is the predictor's own idea of its error at this point; 1 where it has none.
static inline double conformal_score(double y, double mean, double scale)
{
    return (y > mean ? y - mean : mean - y) / scale;
}

static inline double conformal_quantile_score(double y, double low, double high)
{
    return low - y > y - high ? low - y : y - high;
}

// The offset of split conformal. `sorted` ascends; 0 < alpha < 1.
double conformal_offset(const double *sorted, size_t n, double alpha);
// How many scores the offset needs to be finite: 9 for alpha 0.1, 19 for 0.05.
size_t conformal_min_scores(double alpha);

// P-value of a score among others: the share of them, itself included, that are at least as large.
// At most alpha with probability at most alpha when they are exchangeable.
double conformal_p_value(const double *sorted, size_t n, double score);

typedef struct AdaptiveOptions {
    double coverage; // 1 - alpha, e.g. 0.9
    double gamma;    // 0: 0.02. Larger follows faster and is rougher
    size_t window;   // newest scores that count; 0: 200
} AdaptiveOptions;

typedef struct AdaptiveConformal {
    double target, gamma; // of misses
    double alpha;         // asked for now; may leave 0..1
    size_t window, count, next;
    double scores[CONFORMAL_WINDOW_MAX]; // a ring
    double sorted[CONFORMAL_WINDOW_MAX];
    size_t told, missed;
} AdaptiveConformal;

// ERR_ARG for a coverage or gamma outside of 0..1 or a window of more than CONFORMAL_WINDOW_MAX.
MUST_USE int adaptive_init(AdaptiveConformal *a, const AdaptiveOptions *options, Err *e);
// Scores that are known beforehand, such as those of the fit: they fill the window and count as
// neither hit nor miss.
void adaptive_seed(AdaptiveConformal *a, const double *scores, size_t count);
// INFINITY when nothing less covers, or is known; never below 0: -INFINITY stands for "even an
// empty interval is enough" (alpha >= 1) and is cut.
double adaptive_offset(const AdaptiveConformal *a);
// True when the score was above the offset of this moment: a miss. Then moves the level.
bool adaptive_tell(AdaptiveConformal *a, double score);
// Share of misses so far; NAN before the first.
double adaptive_missed(const AdaptiveConformal *a);

#endif
