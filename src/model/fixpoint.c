#include "model/fixpoint.h"

#include <math.h>

enum { ROUNDS_MAX = 20000, HALVINGS = 60 };
#define TOLERANCE 1e-11

static bool settled(double x, double y)
{
    return fabs(y - x) <= TOLERANCE * fmax(1e-300, fabs(y));
}

// How far to go beyond x + step when steps shrink by `ratio` each: Aitken's extrapolation, taken
// only where the ratio has settled, since next to a tangency (steps that shrink and then grow
// again) it would leap over the place that the iteration is about to find or to pass.
static bool extrapolate(const double ratio[2])
{
    return ratio[1] > 0 && ratio[1] < 1 && fabs(ratio[1] - ratio[0]) < 0.02 * (1 - ratio[1]);
}

// Iterates from one bound towards the fixed point nearest to it. A point is beyond the fixed point
// where the map moves it back.
static int follow(FixpointMap *map, const void *context, double start, double *ret_x, Err *e)
{
    double x = start;
    double before = NAN; // the last step
    double ratio[2] = {NAN, NAN};
    for (int i = 0; i < ROUNDS_MAX; i++) {
        double y;
        int rc = map(context, x, &y, e);
        if (rc) {
            return rc;
        }
        double step = y - x;
        if (settled(x, y)) {
            *ret_x = y;
            return 0;
        }
        ratio[0] = ratio[1];
        ratio[1] = step / before;
        before = step;
        x = y;
        if (extrapolate(ratio)) {
            double far = y + step * ratio[1] / (1 - ratio[1]);
            double moved;
            rc = map(context, far, &moved, e);
            if (rc) {
                return rc;
            }
            if ((moved - far) * step >= 0) {
                x = far;
            }
            before = ratio[0] = ratio[1] = NAN;
        }
    }
    // A tangency, or a gap beside one that is too narrow to pass in this many steps: the state
    // stays here for so long that it counts as a fixed point.
    *ret_x = x;
    return 0;
}

// Between a fixed point that attracts from above and one that attracts from below, map(x) - x
// changes its sign from minus to plus at one that repels.
static int tipping_of(FixpointMap *map, const void *context, FixpointPair *pair, Err *e)
{
    double low = pair->low;
    double high = pair->high;
    for (int i = 0; i < HALVINGS && !settled(low, high); i++) {
        double middle = (low + high) / 2;
        double y;
        int rc = map(context, middle, &y, e);
        if (rc) {
            return rc;
        }
        if (y < middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    pair->tipping = (low + high) / 2;
    return 0;
}

int fixpoint_solve(FixpointMap *map, const void *context, const double bounds[2],
                   FixpointPair *ret_pair, Err *e)
{
    if (!(bounds[0] <= bounds[1] && isfinite(bounds[0]) && isfinite(bounds[1]))) {
        return err_set(e, ERR_ARG, "bounds must be finite and in order, not %g and %g", bounds[0],
                       bounds[1]);
    }
    double ends[2];
    for (int i = 0; i < 2; i++) {
        int rc = map(context, bounds[i], &ends[i], e);
        if (rc) {
            return rc;
        }
    }
    double slack = 1e-12 * fabs(bounds[1]);
    if (!(ends[0] >= bounds[0] - slack && ends[1] <= bounds[1] + slack)) {
        return err_set(e, ERR_ARG, "the map leaves its bounds: %g goes to %g and %g to %g",
                       bounds[0], ends[0], bounds[1], ends[1]);
    }
    FixpointPair pair = {.tipping = NAN};
    int rc = follow(map, context, bounds[0], &pair.low, e);
    rc = rc ? rc : follow(map, context, bounds[1], &pair.high, e);
    if (rc) {
        return rc;
    }
    pair.bistable = pair.high - pair.low > 1e-6 * fabs(pair.high);
    if (!pair.bistable) {
        pair.high = pair.low;
    } else {
        rc = tipping_of(map, context, &pair, e);
    }
    if (!rc) {
        *ret_pair = pair;
    }
    return rc;
}

// ---- retries

static int retry_station(const void *context, double rate, Station *ret_station, Err *e)
{
    StationLoad load = *(const StationLoad *)context;
    load.rate = rate;
    return station_ggc(&load, ret_station, e);
}

// Share of attempts that fail at `rate`, and the station there.
static int fail_share(const RetryLoad *load, double rate, RetryPoint *ret, Err *e)
{
    RetryPoint p = {.rate = rate, .fail = 1, .stable = false};
    const void *context = load->station ? load->context : &load->load;
    RetryStation *station = load->station ? load->station : retry_station;
    int rc = station(context, rate, &p.station, e);
    if (rc && rc != ERR_UNSTABLE) {
        return rc;
    }
    if (!rc) {
        double late = isinf(load->timeout_s) ? 0 : station_tail(&p.station, load->timeout_s);
        if (isnan(late)) {
            return err_set(e, ERR_UNSUPPORTED, "the station answers no distribution");
        }
        double good = (1 - load->fail) * (1 - p.station.block_probability) *
                      (1 - p.station.abandon_probability) * (1 - late);
        p.fail = fmin(1, fmax(0, 1 - good));
        p.stable = true;
    }
    *ret = p;
    return 0;
}

// 1 + f + ... + f^(attempts - 1), without 0 / 0 at f = 1.
static double mean_attempts(double f, uint32_t attempts)
{
    double sum = 0;
    double power = 1;
    for (uint32_t i = 0; i < attempts && power > 1e-18; i++) {
        sum += power;
        power *= f;
    }
    return sum;
}

static int retry_map(const void *context, double rate, double *ret_rate, Err *e)
{
    const RetryLoad *load = context;
    RetryPoint p;
    int rc = fail_share(load, rate, &p, e);
    if (!rc) {
        *ret_rate = load->rate * mean_attempts(p.fail, load->attempts);
    }
    return rc;
}

static int point_at(const RetryLoad *load, double rate, RetryPoint *ret, Err *e)
{
    int rc = fail_share(load, rate, ret, e);
    if (!rc) {
        ret->attempts = mean_attempts(ret->fail, load->attempts);
        ret->goodput = 1 - pow(ret->fail, load->attempts);
    }
    return rc;
}

int retry_solve(const RetryLoad *load, RetryAnswer *ret_answer, Err *e)
{
    if (!(load->rate > 0 && isfinite(load->rate)) || !(load->timeout_s > 0) ||
        !(load->fail >= 0 && load->fail <= 1)) {
        return err_set(
            e, ERR_ARG,
            "rate and timeout must be above 0 and the share of failures 0 to 1, not %g, %g "
            "and %g",
            load->rate, load->timeout_s, load->fail);
    }
    if (load->attempts < 1 || load->attempts > RETRY_ATTEMPTS_MAX) {
        return err_set(e, ERR_ARG, "1 to %d attempts, not %u", RETRY_ATTEMPTS_MAX, load->attempts);
    }
    double bounds[2] = {load->rate, load->rate * load->attempts};
    FixpointPair pair = {0};
    int rc = fixpoint_solve(retry_map, load, bounds, &pair, e);
    RetryAnswer a = {0};
    rc = rc ? rc : point_at(load, pair.low, &a.low, e);
    rc = rc ? rc : point_at(load, pair.high, &a.high, e);
    if (rc) {
        return rc;
    }
    a.bistable = pair.bistable;
    a.tipping = pair.tipping;
    *ret_answer = a;
    return 0;
}
