#include "model/service.h"

#include <math.h>
#include <stdbool.h>

#include "base/attr.h"
#include "model/special.h"
#include "stat/dist.h"

// Where the normal density behind a lognormal law no longer matters to a double.
#define NORMAL_REACH 8.5
// exp of minus this is nothing beside 1.
#define EXP_REACH 40.0
#define SIGMA_MAX 5.0

static bool positive(double x)
{
    return x > 0 && isfinite(x);
}

static int not_positive(Err *e, const char *what, double value)
{
    return err_set(e, ERR_ARG, "%s must be a finite number above 0, not %g", what, value);
}

int service_deterministic(double mean_s, Service *ret_service, Err *e)
{
    if (!positive(mean_s)) {
        return not_positive(e, "the service time", mean_s);
    }
    *ret_service = (Service){.kind = SERVICE_DETERMINISTIC,
                             .mean_s = mean_s,
                             .moment3 = mean_s * mean_s * mean_s,
                             .shift_s = mean_s};
    return 0;
}

int service_exponential(double mean_s, Service *ret_service, Err *e)
{
    if (!positive(mean_s)) {
        return not_positive(e, "the mean service time", mean_s);
    }
    *ret_service = (Service){.kind = SERVICE_EXPONENTIAL,
                             .mean_s = mean_s,
                             .scv = 1,
                             .moment3 = 6 * mean_s * mean_s * mean_s,
                             .rate = {1 / mean_s}};
    return 0;
}

int service_erlang(double mean_s, uint32_t phases, Service *ret_service, Err *e)
{
    if (!positive(mean_s)) {
        return not_positive(e, "the mean service time", mean_s);
    }
    if (phases < 1 || phases > SERVICE_PHASES_MAX) {
        return err_set(e, ERR_ARG, "an Erlang law has 1 to %d phases, not %u", SERVICE_PHASES_MAX,
                       phases);
    }
    double k = phases;
    *ret_service = (Service){.kind = SERVICE_ERLANG,
                             .mean_s = mean_s,
                             .scv = 1 / k,
                             .moment3 = mean_s * mean_s * mean_s * (k + 1) * (k + 2) / (k * k),
                             .rate = {k / mean_s},
                             .phases = phases};
    return 0;
}

int service_hyperexponential(double share, const double mean_s[2], Service *ret_service, Err *e)
{
    if (!positive(mean_s[0]) || !positive(mean_s[1])) {
        return not_positive(e, "the mean of each branch",
                            positive(mean_s[0]) ? mean_s[1] : mean_s[0]);
    }
    if (!(share >= 0 && share <= 1)) {
        return err_set(e, ERR_ARG, "the share of the first branch must be 0 to 1, not %g", share);
    }
    Service s = {.kind = SERVICE_HYPEREXPONENTIAL,
                 .share = {share, 1 - share},
                 .rate = {1 / mean_s[0], 1 / mean_s[1]}};
    double second = 0;
    for (int i = 0; i < 2; i++) {
        double m = mean_s[i];
        s.mean_s += s.share[i] * m;
        second += s.share[i] * 2 * m * m;
        s.moment3 += s.share[i] * 6 * m * m * m;
    }
    s.scv = second / (s.mean_s * s.mean_s) - 1;
    *ret_service = s;
    return 0;
}

int service_lognormal(double mean_s, double sigma, Service *ret_service, Err *e)
{
    if (!positive(mean_s)) {
        return not_positive(e, "the mean service time", mean_s);
    }
    if (!(sigma >= 0 && sigma <= SIGMA_MAX)) {
        return err_set(e, ERR_ARG, "sigma of a lognormal law must be 0 to %g, not %g", SIGMA_MAX,
                       sigma);
    }
    if (sigma == 0) {
        return service_deterministic(mean_s, ret_service, e);
    }
    double w = exp(sigma * sigma);
    *ret_service = (Service){.kind = SERVICE_LOGNORMAL,
                             .mean_s = mean_s,
                             .scv = expm1(sigma * sigma),
                             .moment3 = mean_s * mean_s * mean_s * w * w * w,
                             .mu = log(mean_s) - sigma * sigma / 2,
                             .sigma = sigma};
    return 0;
}

int service_empirical(const double *values, size_t count, Service *ret_service, Err *e)
{
    if (count < 2 || count > SERVICE_VALUES_MAX) {
        return err_set(e, ERR_ARG, "an empirical law needs 2 to %d values, not %zu",
                       SERVICE_VALUES_MAX, count);
    }
    Service s = {.kind = SERVICE_EMPIRICAL, .values = values, .count = (uint32_t)count};
    double second = 0;
    for (size_t i = 0; i < count; i++) {
        double b = values[i];
        double a = i > 0 ? values[i - 1] : 0;
        if (!(b >= a && isfinite(b))) {
            return err_set(e, ERR_ARG,
                           "the values of an empirical law must be finite, not negative and "
                           "ascending; value %zu is %g",
                           i, b);
        }
        if (i > 0) {
            s.mean_s += (a + b) / 2;
            second += (a * a + a * b + b * b) / 3;
            s.moment3 += (a * a * a + a * a * b + a * b * b + b * b * b) / 4;
        }
    }
    double segments = (double)(count - 1);
    s.mean_s /= segments;
    if (!positive(s.mean_s)) {
        return not_positive(e, "the mean of the values", s.mean_s);
    }
    s.scv = fmax(0, second / segments / (s.mean_s * s.mean_s) - 1);
    s.moment3 /= segments;
    *ret_service = s;
    return 0;
}

int service_two_moments(double mean_s, double scv, Service *ret_service, Err *e)
{
    if (!positive(mean_s)) {
        return not_positive(e, "the mean service time", mean_s);
    }
    if (!(scv >= 0 && isfinite(scv))) {
        return err_set(e, ERR_ARG,
                       "the service time's scv must be a finite number, at least 0, not %g", scv);
    }
    if (scv == 0) {
        return service_deterministic(mean_s, ret_service, e);
    }
    if (scv == 1) {
        return service_exponential(mean_s, ret_service, e);
    }
    if (scv > 1) {
        // p1 m1 = p2 m2, with p1 + p2 = 1.
        double p = (1 + sqrt((scv - 1) / (scv + 1))) / 2;
        return service_hyperexponential(p, (double[2]){mean_s / (2 * p), mean_s / (2 * (1 - p))},
                                        ret_service, e);
    }
    double deviation = mean_s * sqrt(scv);
    double d = mean_s - deviation;
    double m = deviation;
    *ret_service = (Service){.kind = SERVICE_SHIFTED,
                             .mean_s = mean_s,
                             .scv = scv,
                             .moment3 = d * d * d + 3 * d * d * m + 6 * d * m * m + 6 * m * m * m,
                             .shift_s = d,
                             .rate = {1 / m}};
    return 0;
}

// Quantiles at equal steps; the last, which may be far out or infinite, is where the mean comes out
// right.
static int service_of_quantiles(const Dist *d, double *room, size_t count, Service *ret_service,
                                Err *e)
{
    if (count < 2 || count > SERVICE_VALUES_MAX) {
        return err_set(e, ERR_ARG, "an empirical law needs room for 2 to %d values, not %zu",
                       SERVICE_VALUES_MAX, count);
    }
    size_t last = count - 1;
    double sum = 0; // of the segments before the last
    for (size_t i = 0; i < last; i++) {
        room[i] = dist_quantile(d, (double)i / (double)last) / 1e9;
        sum += i > 0 ? (room[i] + room[i - 1]) / 2 : 0;
    }
    double mean_s = dist_mean(d) / 1e9;
    room[last] = fmax(room[last - 1], 2 * (mean_s * (double)last - sum) - room[last - 1]);
    int rc = service_empirical(room, count, ret_service, e);
    double scv = dist_scv(d);
    if (!rc && isfinite(scv)) {
        ret_service->scv = scv;
    }
    return rc;
}

int service_of_dist(const Dist *d, double *room, size_t count, Service *ret_service, Err *e)
{
    int rc = dist_check(d, e);
    if (rc) {
        return rc;
    }
    double mean_s = dist_mean(d) / 1e9;
    if (!positive(mean_s)) {
        return not_positive(e, "the mean of the distribution", mean_s);
    }
    switch (d->kind) {
    case DIST_FIXED: return service_deterministic(mean_s, ret_service, e);
    case DIST_EXPONENTIAL: return service_exponential(mean_s, ret_service, e);
    case DIST_GAMMA:
        if (d->shape == floor(d->shape) && d->shape >= 1 && d->shape <= SERVICE_PHASES_MAX) {
            return service_erlang(mean_s, (uint32_t)d->shape, ret_service, e);
        }
        break;
    case DIST_HYPEREXPONENTIAL:
        return service_hyperexponential(d->shape, (double[2]){d->scale / 1e9, d->other / 1e9},
                                        ret_service, e);
    case DIST_LOGNORMAL:
        if (d->shape <= SIGMA_MAX) {
            return service_lognormal(mean_s, d->shape, ret_service, e);
        }
        break;
    case DIST_PARETO:
    case DIST_UNIFORM:
    case DIST_WEIBULL:
    case DIST_EMPIRICAL:
    case DIST_MIXTURE: break;
    }
    return service_of_quantiles(d, room, count, ret_service, e);
}

// Index of the last value that is at most t; values[0] <= t < values[count - 1].
static size_t segment_of(const Service *s, double t)
{
    size_t low = 0;
    size_t high = s->count - 1;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (s->values[middle] <= t) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static double empirical_tail(const Service *s, double t)
{
    if (t < s->values[0]) {
        return 1;
    }
    if (t >= s->values[s->count - 1]) {
        return 0;
    }
    size_t i = segment_of(s, t);
    double part = (t - s->values[i]) / (s->values[i + 1] - s->values[i]);
    return 1 - ((double)i + part) / (s->count - 1);
}

double service_tail(const Service *s, double t)
{
    if (!(t > 0)) {
        return t == 0 && s->kind == SERVICE_EMPIRICAL ? empirical_tail(s, 0) : 1;
    }
    switch (s->kind) {
    case SERVICE_DETERMINISTIC: return t < s->shift_s;
    case SERVICE_EXPONENTIAL: return exp(-s->rate[0] * t);
    case SERVICE_SHIFTED: return t <= s->shift_s ? 1 : exp(-s->rate[0] * (t - s->shift_s));
    case SERVICE_ERLANG: return special_gamma_q(s->phases, s->rate[0] * t);
    case SERVICE_HYPEREXPONENTIAL:
        return s->share[0] * exp(-s->rate[0] * t) + s->share[1] * exp(-s->rate[1] * t);
    case SERVICE_LOGNORMAL: return dist_normal_cdf((s->mu - log(t)) / s->sigma);
    case SERVICE_EMPIRICAL: return empirical_tail(s, t);
    }
    return NAN;
}

double service_density(const Service *s, double t)
{
    if (!(t >= 0)) {
        return 0;
    }
    switch (s->kind) {
    case SERVICE_DETERMINISTIC:
    case SERVICE_EMPIRICAL: return NAN;
    case SERVICE_EXPONENTIAL: return s->rate[0] * exp(-s->rate[0] * t);
    case SERVICE_SHIFTED:
        return t < s->shift_s ? 0 : s->rate[0] * exp(-s->rate[0] * (t - s->shift_s));
    case SERVICE_ERLANG: {
        double k = s->phases;
        double x = s->rate[0] * t;
        return x > 0 ? s->rate[0] * exp((k - 1) * log(x) - x - lgamma(k))
                     : (s->phases == 1 ? s->rate[0] : 0);
    }
    case SERVICE_HYPEREXPONENTIAL:
        return s->share[0] * s->rate[0] * exp(-s->rate[0] * t) +
               s->share[1] * s->rate[1] * exp(-s->rate[1] * t);
    case SERVICE_LOGNORMAL: {
        if (t == 0) {
            return 0;
        }
        double z = (log(t) - s->mu) / s->sigma;
        return exp(-z * z / 2) / (t * s->sigma * sqrt(2 * M_PI));
    }
    }
    return NAN;
}

// Root of the tail by halving: for the laws whose quantile has no closed form. 60 halvings of a
// bracket that doubling found leave less than a rounding error.
static double quantile_by_halving(const Service *s, double p)
{
    double high = s->mean_s;
    while (service_tail(s, high) > 1 - p) {
        high *= 2;
    }
    double low = 0;
    for (int i = 0; i < 60 && high - low > 1e-14 * high; i++) {
        double middle = (low + high) / 2;
        if (service_tail(s, middle) > 1 - p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

double service_quantile(const Service *s, double p)
{
    if (!(p > 0 && p < 1)) {
        return NAN;
    }
    switch (s->kind) {
    case SERVICE_DETERMINISTIC: return s->shift_s;
    case SERVICE_EXPONENTIAL:
    case SERVICE_SHIFTED: return s->shift_s - log1p(-p) / s->rate[0];
    case SERVICE_ERLANG:
    case SERVICE_HYPEREXPONENTIAL: return quantile_by_halving(s, p);
    case SERVICE_LOGNORMAL: return exp(s->mu + s->sigma * dist_normal_quantile(p));
    case SERVICE_EMPIRICAL: {
        double at = p * (s->count - 1);
        size_t i = (size_t)at;
        if (i >= s->count - 1) {
            return s->values[s->count - 1];
        }
        return s->values[i] + (at - (double)i) * (s->values[i + 1] - s->values[i]);
    }
    }
    return NAN;
}

// ---- Laplace transforms

// exp(-z value) along the line, times a weight: one turn from each point to the next.
static void add_turning(double value, double weight, SpecialLine line, double complex *values)
{
    double complex point = weight * exp(-line.x * value);
    double complex turn = cexp(-I * (line.h * value));
    for (int k = 0; k < SPECIAL_LINE; k++) {
        values[k] += point;
        point *= turn;
    }
}

// The mean of exp(-z e^(mu + sigma Z)) over a normal Z, by the trapezoidal rule, whose error falls
// exponentially once the integrand turns by less than half a circle a step. It turns by y S sigma
// times the step and has died by exp(-x S); on the line y / x is at most 9.
static void lognormal_lst(const Service *s, SpecialLine line, double complex *values)
{
    double step = 1.0 / 32 / fmax(1, s->sigma);
    int reach = (int)(NORMAL_REACH / step);
    for (int i = -reach; i <= reach; i++) {
        double z = i * step;
        double value = exp(s->mu + s->sigma * z);
        if (line.x * value > EXP_REACH) {
            break;
        }
        add_turning(value, exp(-z * z / 2) * step / sqrt(2 * M_PI), line, values);
    }
}

// Each segment is a uniform law.
static void empirical_lst(const Service *s, SpecialLine line, double complex *values)
{
    double complex left[SPECIAL_LINE] = {0};
    add_turning(s->values[0], 1, line, left);
    for (uint32_t i = 0; i + 1 < s->count; i++) {
        double width = s->values[i + 1] - s->values[i];
        double complex right[SPECIAL_LINE] = {0};
        add_turning(s->values[i + 1], 1, line, right);
        for (int k = 0; k < SPECIAL_LINE; k++) {
            double complex zw = (line.x + I * (k * line.h)) * width;
            // (1 - e^-zw) / zw loses its digits for small zw; two terms of its series instead.
            values[k] += (cabs(zw) < 1e-3 ? (left[k] + right[k]) / 2 * (1 - zw * zw / 12)
                                          : (left[k] - right[k]) / zw) /
                         (s->count - 1);
            left[k] = right[k];
        }
    }
}

static double complex simple_lst(const Service *s, double complex z)
{
    switch (s->kind) {
    case SERVICE_DETERMINISTIC: return cexp(-z * s->shift_s);
    case SERVICE_EXPONENTIAL: return s->rate[0] / (s->rate[0] + z);
    case SERVICE_SHIFTED: return cexp(-z * s->shift_s) * s->rate[0] / (s->rate[0] + z);
    case SERVICE_ERLANG: return cexp(-(double)s->phases * clog(1 + z / s->rate[0]));
    case SERVICE_HYPEREXPONENTIAL:
        return s->share[0] * s->rate[0] / (s->rate[0] + z) +
               s->share[1] * s->rate[1] / (s->rate[1] + z);
    case SERVICE_LOGNORMAL:
    case SERVICE_EMPIRICAL: break;
    }
    return NAN;
}

void service_lst(const Service *s, SpecialLine line, double complex ret_values[SPECIAL_LINE])
{
    for (int k = 0; k < SPECIAL_LINE; k++) {
        ret_values[k] = 0;
    }
    if (s->kind == SERVICE_LOGNORMAL) {
        lognormal_lst(s, line, ret_values);
        return;
    }
    if (s->kind == SERVICE_EMPIRICAL) {
        empirical_lst(s, line, ret_values);
        return;
    }
    for (int k = 0; k < SPECIAL_LINE; k++) {
        ret_values[k] = simple_lst(s, line.x + I * (k * line.h));
    }
}

// ---- the service after an exponential wait

// Integral over [0, t] of rate exp(-rate x) exp(-decay (t - x)) dx, written so that nothing cancels
// where the two rates are near each other and nothing overflows where they are not.
static double exponential_then(double rate, double decay, double t)
{
    double slow = fmin(rate, decay);
    double gap = fabs(rate - decay) * t;
    double grown = gap < 1e-12 ? t : -expm1(-gap) / (gap / t);
    return rate * exp(-slow * t) * grown;
}

typedef struct Convolved {
    const Service *service;
    double decay, t;
} Convolved;

static double erlang_point(const void *context, double x)
{
    const Convolved *c = context;
    return service_density(c->service, x) * exp(-c->decay * (c->t - x));
}

static double lognormal_point(const void *context, double z)
{
    const Convolved *c = context;
    double x = exp(c->service->mu + c->service->sigma * z);
    return exp(-z * z / 2 - c->decay * (c->t - x)) / sqrt(2 * M_PI);
}

static double erlang_then(const Service *s, double decay, double t)
{
    double rate = s->rate[0];
    if (rate > decay) {
        double k = s->phases;
        double log_gain = k * log(rate / (rate - decay));
        double p = special_gamma_p(k, (rate - decay) * t);
        return p > 0 ? exp(log_gain - decay * t + log(p)) : 0;
    }
    Convolved c = {s, decay, t};
    return special_integral(erlang_point, &c, (double[2]){fmax(0, t - EXP_REACH / decay), t}, 6);
}

// The normal density sets one scale, the decay before t another, which may be far shorter: cut
// where the second has fallen by some powers of e.
static double lognormal_then(const Service *s, double decay, double t)
{
    static const double cuts[] = {EXP_REACH, 14, 4, 0};
    Convolved c = {s, decay, t};
    double sum = 0;
    double from = -NORMAL_REACH;
    for (size_t i = 0; i < COUNT_OF(cuts); i++) {
        double x = t - cuts[i] / decay;
        double to = x > 0 ? fmin(NORMAL_REACH, (log(x) - s->mu) / s->sigma) : -NORMAL_REACH;
        if (to > from) {
            // What lies before the first cut is nothing.
            int panels = 1 + (int)((to - from) / 4);
            sum += i > 0 ? special_integral(lognormal_point, &c, (double[2]){from, to}, panels) : 0;
            from = to;
        }
    }
    return sum;
}

static double empirical_then(const Service *s, double decay, double t)
{
    double sum = 0;
    for (uint32_t i = 0; i + 1 < s->count && s->values[i] < t; i++) {
        double a = s->values[i];
        double width = s->values[i + 1] - a;
        double b = fmin(s->values[i + 1], t);
        double middle = exp(-decay * (t - b));
        double x = decay * (b - a);
        sum += width > 0 ? middle * (x < 1e-12 ? b - a : -expm1(-x) / decay) / width : middle;
    }
    return sum / (s->count - 1);
}

double service_then_exponential(const Service *s, double decay, double t)
{
    if (!(t > 0)) {
        return 0;
    }
    switch (s->kind) {
    case SERVICE_DETERMINISTIC: return t < s->shift_s ? 0 : exp(-decay * (t - s->shift_s));
    case SERVICE_EXPONENTIAL: return exponential_then(s->rate[0], decay, t);
    case SERVICE_SHIFTED:
        return t > s->shift_s ? exponential_then(s->rate[0], decay, t - s->shift_s) : 0;
    case SERVICE_ERLANG: return erlang_then(s, decay, t);
    case SERVICE_HYPEREXPONENTIAL:
        return s->share[0] * exponential_then(s->rate[0], decay, t) +
               s->share[1] * exponential_then(s->rate[1], decay, t);
    case SERVICE_LOGNORMAL: return lognormal_then(s, decay, t);
    case SERVICE_EMPIRICAL: return empirical_then(s, decay, t);
    }
    return NAN;
}

// Of one exponential, t >= 0.
static ServicePoint exponential_at(double rate, double decay, double t)
{
    double tail = exp(-rate * t);
    double gap = (rate - decay) * t;
    // The difference of two exponentials keeps its digits where they differ.
    double then = fabs(gap) > 0.01 ? rate * (exp(-decay * t) - tail) / (rate - decay)
                                   : exponential_then(rate, decay, t);
    return (ServicePoint){tail, rate * tail, then};
}

ServicePoint service_at(const Service *s, double decay, double t)
{
    switch (s->kind) {
    case SERVICE_EXPONENTIAL: return exponential_at(s->rate[0], decay, fmax(0, t));
    case SERVICE_SHIFTED:
        return t < s->shift_s ? (ServicePoint){1, 0, 0}
                              : exponential_at(s->rate[0], decay, t - s->shift_s);
    case SERVICE_HYPEREXPONENTIAL: {
        ServicePoint a = exponential_at(s->rate[0], decay, fmax(0, t));
        ServicePoint b = exponential_at(s->rate[1], decay, fmax(0, t));
        double p = s->share[0];
        double q = s->share[1];
        return (ServicePoint){p * a.tail + q * b.tail, p * a.density + q * b.density,
                              p * a.then + q * b.then};
    }
    case SERVICE_DETERMINISTIC:
    case SERVICE_ERLANG:
    case SERVICE_LOGNORMAL:
    case SERVICE_EMPIRICAL: break;
    }
    return (ServicePoint){service_tail(s, t), service_density(s, t),
                          service_then_exponential(s, decay, t)};
}
