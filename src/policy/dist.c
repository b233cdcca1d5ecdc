#include "policy/dist.h"

#include <math.h>

#include "stat/dist.h"

// ---- making

Dist dist_fixed(double ns)
{
    return (Dist){.kind = DIST_FIXED, .scale = ns};
}

Dist dist_exponential(double mean_ns)
{
    return (Dist){.kind = DIST_EXPONENTIAL, .scale = mean_ns};
}

Dist dist_gamma(double mean_ns, double shape)
{
    return (Dist){.kind = DIST_GAMMA, .scale = mean_ns, .shape = shape};
}

Dist dist_hyperexponential(double mean_ns, double scv)
{
    double p = (1 + sqrt((scv - 1) / (scv + 1))) / 2;
    return (Dist){.kind = DIST_HYPEREXPONENTIAL,
                  .shape = p,
                  .scale = mean_ns / (2 * p),
                  .other = mean_ns / (2 * (1 - p))};
}

Dist dist_lognormal(double mean_ns, double sigma)
{
    return (Dist){
        .kind = DIST_LOGNORMAL, .scale = mean_ns * exp(-sigma * sigma / 2), .shape = sigma};
}

Dist dist_pareto(double least_ns, double tail_index, double cap_ns)
{
    return (Dist){.kind = DIST_PARETO, .scale = least_ns, .shape = tail_index, .other = cap_ns};
}

Dist dist_uniform(double low_ns, double high_ns)
{
    return (Dist){.kind = DIST_UNIFORM, .scale = low_ns, .other = high_ns};
}

Dist dist_weibull(double scale_ns, double shape)
{
    return (Dist){.kind = DIST_WEIBULL, .scale = scale_ns, .shape = shape};
}

Dist dist_empirical(const double *points, uint32_t count)
{
    return (Dist){.kind = DIST_EMPIRICAL, .points = points, .count = count};
}

Dist dist_mixture(const DistPart *parts, uint32_t count)
{
    return (Dist){.kind = DIST_MIXTURE, .parts = parts, .count = count};
}

Dist dist_of_scv(double mean_ns, double scv)
{
    if (scv <= 0) {
        return dist_fixed(mean_ns);
    }
    if (scv == 1) {
        return dist_exponential(mean_ns);
    }
    return scv < 1 ? dist_gamma(mean_ns, 1 / scv) : dist_hyperexponential(mean_ns, scv);
}

// ---- checking

static int check_points(const Dist *d, Err *e)
{
    if (d->count < 2 || d->count > DIST_POINTS_MAX) {
        return err_set(e, ERR_ARG, "an empirical distribution needs 2 to %d points, not %u",
                       DIST_POINTS_MAX, d->count);
    }
    for (uint32_t i = 0; i < d->count; i++) {
        double least = i == 0 ? 0 : d->points[i - 1];
        if (!(d->points[i] >= least && isfinite(d->points[i]))) {
            return err_set(e, ERR_ARG, "the points of an empirical distribution must not fall");
        }
    }
    return 0;
}

static int check_parts(const Dist *d, Err *e)
{
    double sum = 0;
    if (d->count < 1 || d->count > DIST_PARTS_MAX) {
        return err_set(e, ERR_ARG, "a mixture has 1 to %d parts, not %u", DIST_PARTS_MAX, d->count);
    }
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->parts[i].dist.kind == DIST_MIXTURE || !(d->parts[i].weight >= 0)) {
            return err_set(e, ERR_ARG, "part %u of a mixture is a mixture or has no weight", i + 1);
        }
        int rc = dist_check(&d->parts[i].dist, e);
        if (rc != 0) {
            return rc;
        }
        sum += d->parts[i].weight;
    }
    if (fabs(sum - 1) > 1e-6) {
        return err_set(e, ERR_ARG, "the weights of a mixture sum to %g instead of 1", sum);
    }
    return 0;
}

static bool positive(double x)
{
    return x > 0 && isfinite(x);
}

int dist_check(const Dist *d, Err *e)
{
    bool ok = true;
    switch (d->kind) {
    case DIST_FIXED: ok = d->scale >= 0 && isfinite(d->scale); break;
    case DIST_EXPONENTIAL: ok = positive(d->scale); break;
    case DIST_GAMMA: ok = positive(d->scale) && d->shape >= 1e-3 && d->shape <= 1e6; break;
    case DIST_WEIBULL: ok = positive(d->scale) && d->shape >= 0.05 && d->shape <= 1e3; break;
    case DIST_LOGNORMAL: ok = positive(d->scale) && d->shape >= 0 && d->shape <= 10; break;
    case DIST_HYPEREXPONENTIAL:
        ok = positive(d->scale) && positive(d->other) && d->shape >= 0 && d->shape <= 1;
        break;
    case DIST_PARETO: ok = positive(d->scale) && positive(d->shape) && d->other >= d->scale; break;
    case DIST_UNIFORM: ok = d->scale >= 0 && d->other >= d->scale && isfinite(d->other); break;
    case DIST_EMPIRICAL: return check_points(d, e);
    case DIST_MIXTURE: return check_parts(d, e);
    }
    return ok ? 0 : err_set(e, ERR_ARG, "a distribution's parameter is out of its domain");
}

// ---- functions of the normal and the gamma distribution

// The tail of the standard normal's quantile: r = sqrt(-log(tail)).
static double normal_tail(double r)
{
    if (r <= 5) {
        r -= 1.6;
        double num = 7.74545014278341407640e-4;
        num = num * r + 2.27238449892691845833e-2;
        num = num * r + 2.41780725177450611770e-1;
        num = num * r + 1.27045825245236838258;
        num = num * r + 3.64784832476320460504;
        num = num * r + 5.76949722146069140550;
        num = num * r + 4.63033784615654529590;
        num = num * r + 1.42343711074968357734;
        double den = 1.05075007164441684324e-9;
        den = den * r + 5.47593808499534494600e-4;
        den = den * r + 1.51986665636164571966e-2;
        den = den * r + 1.48103976427480074590e-1;
        den = den * r + 6.89767334985100004550e-1;
        den = den * r + 1.67638483018380384940;
        den = den * r + 2.05319162663775882187;
        return num / (den * r + 1);
    }
    r -= 5;
    double num = 2.01033439929228813265e-7;
    num = num * r + 2.71155556874348757815e-5;
    num = num * r + 1.24266094738807843860e-3;
    num = num * r + 2.65321895265761230930e-2;
    num = num * r + 2.96560571828504891230e-1;
    num = num * r + 1.78482653991729133580;
    num = num * r + 5.46378491116411436990;
    num = num * r + 6.65790464350110377720;
    double den = 2.04426310338993978564e-15;
    den = den * r + 1.42151175831644588870e-7;
    den = den * r + 1.84631831751005468180e-5;
    den = den * r + 7.86869131145613259100e-4;
    den = den * r + 1.48753612908506148525e-2;
    den = den * r + 1.36929880922735805310e-1;
    den = den * r + 5.99832206555887937690e-1;
    return num / (den * r + 1);
}

// Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", 1988: 16 digits in
// one pass. The room stat's function iterates, and this one is called for every sample.
static double normal_quantile(double u)
{
    double q = u - 0.5;
    if (fabs(q) > 0.425) {
        double tail = q < 0 ? u : 1 - u;
        if (tail <= 0) {
            tail = 0x1p-54;
        }
        double z = normal_tail(sqrt(-log(tail)));
        return q < 0 ? -z : z;
    }
    double r = 0.180625 - q * q;
    double num = 2.5090809287301226727e3;
    num = num * r + 3.3430575583588128105e4;
    num = num * r + 6.7265770927008700853e4;
    num = num * r + 4.5921953931549871457e4;
    num = num * r + 1.3731693765509461125e4;
    num = num * r + 1.9715909503065514427e3;
    num = num * r + 1.3314166789178437745e2;
    num = num * r + 3.3871328727963666080;
    double den = 5.2264952788528545610e3;
    den = den * r + 2.8729085735721942674e4;
    den = den * r + 3.9307895800092710610e4;
    den = den * r + 2.1213794301586595867e4;
    den = den * r + 5.3941960214247511077e3;
    den = den * r + 6.8718700749205790830e2;
    den = den * r + 4.2313330701600911252e1;
    return q * num / (den * r + 1);
}

// P(k, x), the regularised lower incomplete gamma function (DLMF 8.11.4 and 8.9.2).
static double gamma_lower(double k, double x)
{
    if (x <= 0) {
        return 0;
    }
    double log_front = k * log(x) - x - lgamma(k);
    if (x < k + 1) {
        double term = 1 / k, sum = term;
        for (int i = 1; i < 100000 && term > sum * 1e-17; i++) {
            term *= x / (k + i);
            sum += term;
        }
        return sum * exp(log_front);
    }
    // Lentz's method.
    double b = x + 1 - k, c = 1e300, d = 1 / b, h = d;
    for (int i = 1; i < 100000; i++) {
        double a = -i * (i - k);
        b += 2;
        d = 1 / (a * d + b);
        c = b + a / c;
        h *= c * d;
        if (fabs(c * d - 1) < 1e-16) {
            break;
        }
    }
    return 1 - h * exp(log_front);
}

// From the approximation of Wilson and Hilferty by Newton's steps within a bracket.
static double gamma_quantile(double k, double p)
{
    if (p <= 0) {
        return 0;
    }
    double t = 1 - 1 / (9 * k) + normal_quantile(p) / (3 * sqrt(k));
    double x = k * t * t * t, low = 0, high = INFINITY;
    if (t <= 0 || k < 0.5) {
        x = exp((log(p) + lgamma(k + 1)) / k); // the first term of the series
    }
    for (int i = 0; i < 200; i++) {
        double off = gamma_lower(k, x) - p;
        low = off < 0 ? x : low;
        high = off < 0 ? high : x;
        double next = x - off / exp((k - 1) * log(x) - x - lgamma(k));
        if (!(next > low && next < high)) {
            next = isinf(high) ? 2 * x : low + (high - low) / 2;
        }
        if (fabs(next - x) <= 1e-14 * x) {
            return next;
        }
        x = next;
    }
    return x;
}

// ---- sampling

static double between_points(const Dist *d, double p)
{
    double at = p * (d->count - 1);
    uint32_t i = (uint32_t)at;
    i = i < d->count - 1 ? i : d->count - 2;
    return d->points[i] + (at - i) * (d->points[i + 1] - d->points[i]);
}

// The part that `u` falls into, and where in it.
static const Dist *part_of(const Dist *d, double *u)
{
    uint32_t i = 0;
    double left = *u;
    while (i + 1 < d->count && left >= d->parts[i].weight) {
        left -= d->parts[i++].weight;
    }
    left /= d->parts[i].weight;
    *u = left < 1 ? left : 0x1.fffffffffffffp-1;
    return &d->parts[i].dist;
}

static double pareto(const Dist *d, double p)
{
    double x = d->scale * pow(1 - p, -1 / d->shape);
    return x < d->other ? x : d->other;
}

static double sample(const Dist *d, double u)
{
    switch (d->kind) {
    case DIST_FIXED: return d->scale;
    case DIST_EXPONENTIAL: return -d->scale * log(1 - u);
    case DIST_GAMMA: return d->scale / d->shape * gamma_quantile(d->shape, u);
    case DIST_HYPEREXPONENTIAL:
        if (u < d->shape) {
            return -d->scale * log(1 - u / d->shape);
        }
        return -d->other * log((1 - u) / (1 - d->shape));
    case DIST_LOGNORMAL: return d->scale * exp(d->shape * normal_quantile(u));
    case DIST_PARETO: return pareto(d, u);
    case DIST_UNIFORM: return d->scale + u * (d->other - d->scale);
    case DIST_WEIBULL: return d->scale * pow(-log(1 - u), 1 / d->shape);
    case DIST_EMPIRICAL: return between_points(d, u);
    case DIST_MIXTURE: {
        const Dist *part = part_of(d, &u);
        return sample(part, u);
    }
    }
    return 0;
}

int64_t dist_sample(const Dist *d, double u)
{
    // The commonest one without the way through the switch.
    double x = d->kind == DIST_EXPONENTIAL ? -d->scale * log(1 - u) : sample(d, u);
    return x > 0 ? (int64_t)(x < 0x1p61 ? x : 0x1p61) : 0;
}

// ---- moments

// Integral of n x^(n-1) P(X > x): the n-th moment of a Pareto cut at `other`.
static double pareto_moment(const Dist *d, int n)
{
    double a = d->shape, least = d->scale, cap = d->other;
    double head = pow(least, n);
    if (isinf(cap)) {
        return a > n ? head * a / (a - n) : INFINITY;
    }
    double ratio = cap / least;
    double tail = a == n ? log(ratio) : (pow(ratio, n - a) - 1) / (n - a);
    return head * (1 + n * tail);
}

static double points_moment(const Dist *d, int n)
{
    double sum = 0;
    for (uint32_t i = 0; i + 1 < d->count; i++) {
        double a = d->points[i], b = d->points[i + 1];
        sum += n == 1 ? (a + b) / 2 : (a * a + a * b + b * b) / 3;
    }
    return sum / (d->count - 1);
}

// E[X^n] for n = 1 and 2.
static double moment(const Dist *d, int n)
{
    double scale = pow(d->scale, n), k = d->shape;
    switch (d->kind) {
    case DIST_FIXED: return scale;
    case DIST_EXPONENTIAL: return n * scale;
    case DIST_GAMMA: return n == 1 ? scale : scale * (1 + 1 / k);
    case DIST_HYPEREXPONENTIAL: return n * (k * scale + (1 - k) * pow(d->other, n));
    case DIST_LOGNORMAL: return scale * exp(n * n * k * k / 2);
    case DIST_PARETO: return pareto_moment(d, n);
    case DIST_UNIFORM:
        return n == 1 ? (d->scale + d->other) / 2
                      : (d->scale * d->scale + d->scale * d->other + d->other * d->other) / 3;
    case DIST_WEIBULL: return scale * tgamma(1 + n / k);
    case DIST_EMPIRICAL: return points_moment(d, n);
    case DIST_MIXTURE: break;
    }
    double sum = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        sum += d->parts[i].weight * moment(&d->parts[i].dist, n);
    }
    return sum;
}

double dist_mean(const Dist *d)
{
    return moment(d, 1);
}

double dist_scv(const Dist *d)
{
    double mean = moment(d, 1), second = moment(d, 2);
    if (mean == 0 || d->kind == DIST_FIXED) {
        return 0;
    }
    double scv = second / (mean * mean) - 1;
    return isinf(second) ? INFINITY : scv > 0 ? scv : 0;
}

// ---- distribution function and its inverse

static double points_cdf(const Dist *d, double x)
{
    uint32_t low = 0, high = d->count - 1;
    if (x < d->points[0]) {
        return 0;
    }
    if (x >= d->points[high]) {
        return 1;
    }
    while (high - low > 1) { // points[low] <= x < points[high]
        uint32_t mid = (low + high) / 2;
        *(d->points[mid] <= x ? &low : &high) = mid;
    }
    double within = (x - d->points[low]) / (d->points[high] - d->points[low]);
    return (low + within) / (d->count - 1);
}

double dist_cdf(const Dist *d, double ns)
{
    double x = ns, k = d->shape, sum = 0;
    if (x < 0) {
        return 0;
    }
    switch (d->kind) {
    case DIST_FIXED: return x >= d->scale;
    case DIST_EXPONENTIAL: return -expm1(-x / d->scale);
    case DIST_GAMMA: return gamma_lower(k, x * k / d->scale);
    case DIST_HYPEREXPONENTIAL: return -k * expm1(-x / d->scale) - (1 - k) * expm1(-x / d->other);
    case DIST_LOGNORMAL:
        return x == 0 ? 0 : k == 0 ? x >= d->scale : dist_normal_cdf(log(x / d->scale) / k);
    case DIST_PARETO: return x >= d->other ? 1 : x < d->scale ? 0 : 1 - pow(d->scale / x, k);
    case DIST_UNIFORM:
        return x >= d->other ? 1 : x < d->scale ? 0 : (x - d->scale) / (d->other - d->scale);
    case DIST_WEIBULL: return -expm1(-pow(x / d->scale, k));
    case DIST_EMPIRICAL: return points_cdf(d, x);
    case DIST_MIXTURE: break;
    }
    for (uint32_t i = 0; i < d->count; i++) {
        sum += d->parts[i].weight * dist_cdf(&d->parts[i].dist, x);
    }
    return sum;
}

// By bisection: `low` and `high` are quantiles of the parts, so between them it is.
static double search(const Dist *d, double p, double low, double high)
{
    for (int i = 0; i < 200 && high - low > 1e-12 * high; i++) {
        double mid = low + (high - low) / 2;
        *(dist_cdf(d, mid) < p ? &low : &high) = mid;
    }
    return high;
}

double dist_quantile(const Dist *d, double p)
{
    double low = INFINITY, high = 0;
    if (d->kind == DIST_HYPEREXPONENTIAL) {
        low = -fmin(d->scale, d->other) * log(1 - p);
        high = -fmax(d->scale, d->other) * log(1 - p);
        return search(d, p, low, high);
    }
    if (d->kind != DIST_MIXTURE) {
        return sample(d, p);
    }
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->parts[i].weight > 0) {
            double q = dist_quantile(&d->parts[i].dist, p);
            low = q < low ? q : low;
            high = q > high ? q : high;
        }
    }
    return search(d, p, low, high);
}
