#include "manage/work_seen.h"

#include <math.h>

void work_seen_init(WorkSeen *seen)
{
    *seen = (WorkSeen){.windows = 0};
    for (int i = 0; i < 2; i++) {
        hist_init(&seen->whole[i]);
        hist_init(&seen->cut[i]);
    }
}

void work_seen_done(WorkSeen *seen)
{
    for (int i = 0; i < 2; i++) {
        hist_done(&seen->whole[i]);
        hist_done(&seen->cut[i]);
    }
}

void work_seen_reset(WorkSeen *seen)
{
    for (int i = 0; i < 2; i++) {
        hist_reset(&seen->whole[i]);
        hist_reset(&seen->cut[i]);
    }
    seen->windows = 0;
}

void work_seen_add(WorkSeen *seen, const PlantAgent *agent)
{
    if (!agent->service) {
        return;
    }
    if (seen->windows == WORK_WINDOWS) {
        seen->block = 1 - seen->block;
        seen->windows = 0;
        hist_reset(&seen->whole[seen->block]);
        hist_reset(&seen->cut[seen->block]);
    }
    seen->windows++;
    hist_merge(&seen->whole[seen->block], agent->service);
    if (agent->cut) {
        hist_merge(&seen->cut[seen->block], agent->cut);
    }
}

uint64_t work_seen_count(const WorkSeen *seen)
{
    return seen->whole[0].count + seen->whole[1].count;
}

// ---- the product-limit estimator

// A step of the distribution function: F(x) = share from `ns` on.
typedef struct Law {
    Hist whole, cut;
    double at_risk; // beyond what was passed
    double survival;
    HistIter ends, cuts;
    HistBucket end, leave;
    bool has_end, has_leave;
} Law;

static void law_begin(Law *law, const WorkSeen *seen)
{
    hist_init(&law->whole);
    hist_init(&law->cut);
    for (int i = 0; i < 2; i++) {
        hist_merge(&law->whole, &seen->whole[i]);
        hist_merge(&law->cut, &seen->cut[i]);
    }
    law->at_risk = (double)(law->whole.count + law->cut.count);
    law->survival = 1;
    law->ends = hist_iter(&law->whole);
    law->cuts = hist_iter(&law->cut);
    law->has_end = hist_next(&law->ends, &law->end);
    law->has_leave = hist_next(&law->cuts, &law->leave);
}

static void law_end(Law *law)
{
    hist_done(&law->whole);
    hist_done(&law->cut);
}

// The next time at which work ended, and the distribution function there. Ends and leaves of one
// bucket: the ends come first, as is the estimator's convention.
static bool law_next(Law *law, double *ret_ns, double *ret_share)
{
    if (!law->has_end) {
        return false;
    }
    while (law->has_leave && law->leave.high < law->end.low) {
        law->at_risk -= (double)law->leave.count;
        law->has_leave = hist_next(&law->cuts, &law->leave);
    }
    law->survival *= 1 - (double)law->end.count / law->at_risk;
    law->at_risk -= (double)law->end.count;
    *ret_ns = hist_bucket_mid(&law->end);
    *ret_share = 1 - law->survival;
    law->has_end = hist_next(&law->ends, &law->end);
    return true;
}

// F at ascending times; NAN beyond the longest work that came to its end, where it is not known.
static void shares_at(const WorkSeen *seen, const double *ns, size_t count, double *ret)
{
    Law law;
    double at, share, before = 0;
    size_t i = 0;
    law_begin(&law, seen);
    while (i < count && law_next(&law, &at, &share)) {
        for (; i < count && ns[i] < at; i++) {
            ret[i] = before;
        }
        before = share;
    }
    // All that was left came to its end, too: then nothing takes longer.
    bool known = law.survival < 1e-9;
    for (; i < count; i++) {
        ret[i] = known ? 1 : NAN;
    }
    law_end(&law);
}

bool work_contradicts(const WorkSeen *seen, const Dist *published)
{
    static const double SHARES[] = {0.25, 0.5, 0.75, 0.9, 0.95, 0.99};
    static const double SLACK = 0.1, DEVIATIONS = 4;
    double n = (double)work_seen_count(seen);
    if (n < WORK_ENOUGH) {
        return false;
    }
    double below[COUNT_OF(SHARES)], above[COUNT_OF(SHARES)];
    double low[COUNT_OF(SHARES)], high[COUNT_OF(SHARES)];
    for (size_t i = 0; i < COUNT_OF(SHARES); i++) {
        double x = dist_quantile(published, SHARES[i]);
        below[i] = x * (1 - SLACK);
        above[i] = x * (1 + SLACK);
    }
    shares_at(seen, below, COUNT_OF(SHARES), low);
    shares_at(seen, above, COUNT_OF(SHARES), high);
    for (size_t i = 0; i < COUNT_OF(SHARES); i++) {
        double chance = DEVIATIONS * sqrt(SHARES[i] * (1 - SHARES[i]) / n);
        if (low[i] > SHARES[i] + chance || high[i] < SHARES[i] - chance) {
            return true; // NAN is neither
        }
    }
    return false;
}

Dist work_refit(Arena *arena, const WorkSeen *seen, const Dist *published)
{
    double *points = ARENA_ARRAY(arena, double, WORK_POINTS);
    Law law;
    double at = 0, share = 0, last = 0;
    int i = 0;
    law_begin(&law, seen);
    bool more = law_next(&law, &at, &share);
    for (; i < WORK_POINTS && more; i++) {
        double p = (double)i / (WORK_POINTS - 1);
        while (more && share < p - 1e-12) {
            last = at;
            more = law_next(&law, &at, &share);
        }
        if (more || share >= p - 1e-12) {
            last = at;
        } else {
            break;
        }
        points[i] = last;
    }
    // The rest is what the agent said of work that takes longer than that.
    double from = dist_cdf(published, at), known = share;
    for (; i < WORK_POINTS; i++) {
        double p = (double)i / (WORK_POINTS - 1);
        double inside = known < 1 ? (p - known) / (1 - known) : 1;
        double q = from + fmax(0, inside) * (1 - from);
        points[i] = fmax(at, dist_quantile(published, fmin(q, 0.9999)));
    }
    law_end(&law);
    return dist_empirical(points, WORK_POINTS);
}
