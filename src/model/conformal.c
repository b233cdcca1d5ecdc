#include "model/conformal.h"

#include <math.h>
#include <string.h>

// ceil() of a product that is a whole number in exact arithmetic must not climb for its last bit.
#define ROUNDING 1e-9

double conformal_offset(const double *sorted, size_t n, double alpha)
{
    double rank = ceil((double)(n + 1) * (1 - alpha) - ROUNDING);
    if (rank < 1) {
        return -INFINITY;
    }
    return rank > (double)n ? INFINITY : sorted[(size_t)rank - 1];
}

size_t conformal_min_scores(double alpha)
{
    return (size_t)ceil(1 / alpha - 1 - ROUNDING);
}

// How many of the sorted scores are below `score`.
static size_t below(const double *sorted, size_t n, double score)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] < score) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

double conformal_p_value(const double *sorted, size_t n, double score)
{
    return (double)(n - below(sorted, n, score) + 1) / (double)(n + 1);
}

// ---- adaptive

int adaptive_init(AdaptiveConformal *a, const AdaptiveOptions *o, Err *e)
{
    double gamma = o->gamma == 0 ? 0.02 : o->gamma;
    size_t window = o->window == 0 ? 200 : o->window;
    if (!(o->coverage > 0 && o->coverage < 1) || !(gamma > 0 && gamma < 1)) {
        return err_set(e, ERR_ARG, "coverage %g and gamma %g must be between 0 and 1", o->coverage,
                       gamma);
    }
    if (window > CONFORMAL_WINDOW_MAX) {
        return err_set(e, ERR_ARG, "a window of %zu scores, at most %d", window,
                       CONFORMAL_WINDOW_MAX);
    }
    memset(a, 0, sizeof *a);
    a->target = a->alpha = 1 - o->coverage;
    a->gamma = gamma;
    a->window = window;
    return 0;
}

static void take(AdaptiveConformal *a, double score)
{
    if (a->count == a->window) {
        // Out with the oldest.
        size_t at = below(a->sorted, a->count, a->scores[a->next]);
        memmove(a->sorted + at, a->sorted + at + 1, (a->count - at - 1) * sizeof *a->sorted);
        a->count--;
    }
    size_t at = below(a->sorted, a->count, score);
    memmove(a->sorted + at + 1, a->sorted + at, (a->count - at) * sizeof *a->sorted);
    a->sorted[at] = score;
    a->scores[a->next] = score;
    a->next = (a->next + 1) % a->window;
    a->count++;
}

void adaptive_seed(AdaptiveConformal *a, const double *scores, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isnan(scores[i])) {
            take(a, scores[i]);
        }
    }
}

double adaptive_offset(const AdaptiveConformal *a)
{
    if (a->alpha <= 0) {
        return INFINITY;
    }
    return a->alpha >= 1 ? 0 : fmax(conformal_offset(a->sorted, a->count, a->alpha), 0);
}

bool adaptive_tell(AdaptiveConformal *a, double score)
{
    // An outcome that is not a number was not covered by anything.
    double s = isnan(score) ? INFINITY : score;
    // By the rule's own offset, not the one cut at 0: at alpha >= 1 everything is a miss, which is
    // what brings alpha back; the bound on the long run needs it.
    bool missed =
        a->alpha >= 1 || (a->alpha > 0 && s > conformal_offset(a->sorted, a->count, a->alpha));
    a->alpha += a->gamma * (a->target - missed);
    a->told++;
    a->missed += missed;
    take(a, s);
    return missed;
}

double adaptive_missed(const AdaptiveConformal *a)
{
    return a->told > 0 ? (double)a->missed / (double)a->told : NAN;
}
