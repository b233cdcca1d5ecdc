// The distribution of the time in a station.
//
// A tail comes with its density where there is one, because Newton's step on the logarithm of the
// tail, which is nearly straight, needs three or four evaluations from a poor start; without a
// density the bracket is narrowed by false position (Illinois), halved where that stalls.
#include <math.h>

#include "model/erlang.h"
#include "model/queueing.h"
#include "model/special.h"

typedef double TailFunction(const Station *s, double t, double *ret_density);

// ---- exponential wait

static double sojourn_exponential(const Station *s, double t, double *ret_density)
{
    ServicePoint at = service_at(&s->service, s->decay, t);
    double pw = s->wait_probability;
    *ret_density = (1 - pw) * at.density + pw * s->decay * at.then;
    return fmin(1, at.tail + pw * at.then);
}

static double wait_exponential(const Station *s, double t, double *ret_density)
{
    double tail = s->wait_probability * exp(-s->decay * t);
    *ret_density = s->decay * tail;
    return tail;
}

// ---- transforms

typedef struct Transform {
    const Station *s;
    bool with_service;
} Transform;

// Pollaczek and Khinchine's transform of the wait, times that of the service; of the tail.
static void mg1_tail(const void *context, SpecialLine line, double complex *ret_values)
{
    const Transform *x = context;
    double mean = x->s->service.mean_s;
    double rho = x->s->rate * mean;
    service_lst(&x->s->service, line, ret_values);
    for (int k = 0; k < SPECIAL_LINE; k++) {
        double complex z = line.x + I * (k * line.h);
        double complex service = ret_values[k];
        double complex wait = (1 - rho) / (1 - rho * (1 - service) / (z * mean));
        ret_values[k] = (1 - wait * (x->with_service ? service : 1)) / z;
    }
}

// Coffman, Muntz and Trotter, "Waiting time distributions for processor-sharing systems" (J. ACM
// 17, 1970), give the transform for a job of known length; over an exponential length its
// denominator, expanded as a geometric series, integrates term by term.
static double complex sharing_tail_at(double lambda, double mu, double complex z)
{
    double rho = lambda / mu;
    double complex b = lambda + mu + z;
    // The smaller root, by the form that does not subtract.
    double complex root = csqrt(b * b - 4 * lambda * mu);
    root = creal(conj(b) * root) < 0 ? -root : root;
    double complex r = 2 * mu / (b + root);
    double complex d = (1 - rho * r) * (1 - rho * r);
    double complex ratio = rho * (1 - r) * (1 - r) / d;
    double complex step = mu / r - lambda * r;
    double complex base = mu + lambda * (1 - r) + z;
    double complex power = mu * (1 - rho) * (1 - rho * r * r) / d;
    double complex sum = 0;
    for (int k = 0; k < 100000; k++) {
        double complex term = power / (base + k * step);
        sum += term;
        if (cabs(term) < 1e-14 * cabs(sum)) {
            break;
        }
        power *= ratio;
    }
    return (1 - sum) / z;
}

static void sharing_tail(const void *context, SpecialLine line, double complex *ret_values)
{
    const Transform *x = context;
    for (int k = 0; k < SPECIAL_LINE; k++) {
        ret_values[k] =
            sharing_tail_at(x->s->rate, 1 / x->s->service.mean_s, line.x + I * (k * line.h));
    }
}

// The atom of a deterministic service is a jump that inversion would smear: the wait is inverted
// and shifted instead.
static double sojourn_transform(const Station *s, double t, double *ret_density)
{
    *ret_density = NAN;
    Transform x = {s, true};
    if (s->service.kind == SERVICE_DETERMINISTIC) {
        x.with_service = false;
        t -= s->service.shift_s;
        if (t < 0) {
            return 1;
        }
    }
    if (t == 0) {
        return x.with_service ? service_tail(&s->service, 0) : s->wait_probability;
    }
    return fmin(1, fmax(0, special_laplace_invert(mg1_tail, &x, t)));
}

static double wait_transform(const Station *s, double t, double *ret_density)
{
    *ret_density = NAN;
    Transform x = {s, false};
    return t == 0 ? s->wait_probability
                  : fmin(s->wait_probability, fmax(0, special_laplace_invert(mg1_tail, &x, t)));
}

static double sojourn_sharing(const Station *s, double t, double *ret_density)
{
    *ret_density = NAN;
    Transform x = {s, true};
    return t == 0 ? 1 : fmin(1, fmax(0, special_laplace_invert(sharing_tail, &x, t)));
}

static double sojourn_stretched(const Station *s, double t, double *ret_density)
{
    double stretch = s->response_s / s->service.mean_s;
    *ret_density = service_density(&s->service, t / stretch) / stretch;
    return service_tail(&s->service, t / stretch);
}

// ---- M/M/c/K
//
// Who finds c + j inside waits for j + 1 services at rate c mu: an Erlang law. With N Poisson of
// mean x = c mu t, P(wait > t) = Sum_j w_j P(N <= j) = Sum_i P(N = i) W_i where W_i = Sum_{j >= i}
// w_j. The time in the station adds an exponential service: I_j = Integral of Erlang's density
// times exp(-mu (t - u)) obeys I_{j-1} = I_j (c - 1) / c + P(N = j), all of it positive going down.

typedef struct FiniteRoom {
    double wait;    // P(wait > t) of an admitted arrival
    double service; // P(wait <= t < wait + service), of those that wait at all
    double density; // of the wait
} FiniteRoom;

static FiniteRoom finite_room(const Station *s, double t)
{
    FiniteRoom ret = {0};
    double count = s->room - s->servers; // states c .. K - 1 wait
    double ratio = s->rate * s->service.mean_s / s->servers;
    double x = s->servers / s->service.mean_s * t;
    // Beyond this the Poisson terms are nothing.
    double edge = floor(x + 12 * sqrt(x) + 30);
    double poisson = exp(edge * log(x) - x - lgamma(edge + 1));
    // Weights relative to that of K - 1; where they are largest at the other end they are scaled
    // back before they overflow.
    double weight = 1;
    double norm = 0;
    double integral = 0;
    for (double j = fmax(count - 1, edge); j >= 0; j--) {
        double here = j <= edge ? poisson : 0;
        if (j < count) {
            norm += weight;
            ret.service += weight * integral;
            ret.density += weight * here;
            weight /= ratio;
        }
        ret.wait += here * norm;
        integral = integral * (s->servers - 1) / s->servers + here;
        poisson *= j <= edge ? j / x : 1;
        if (norm > 1e200) {
            weight *= 1e-200;
            norm *= 1e-200;
            ret.service *= 1e-200;
            ret.density *= 1e-200;
            ret.wait *= 1e-200;
        }
    }
    if (norm > 0) {
        ret.wait *= s->wait_probability / norm;
        ret.service *= s->wait_probability / norm;
        ret.density *= s->wait_probability / norm * s->servers / s->service.mean_s;
    }
    return ret;
}

// Who is in service at t leaves at rate mu: that is the density of the sojourn time.
static double sojourn_finite(const Station *s, double t, double *ret_density)
{
    double in_service = (1 - s->wait_probability) * exp(-t / s->service.mean_s);
    FiniteRoom room = {0};
    if (t > 0 && s->wait_probability > 0) {
        room = finite_room(s, t);
        in_service += room.service;
    }
    *ret_density = in_service / s->service.mean_s;
    return t == 0 ? 1 : fmin(1, in_service + room.wait);
}

static double wait_finite(const Station *s, double t, double *ret_density)
{
    *ret_density = NAN;
    if (t == 0 || s->wait_probability == 0) {
        return s->wait_probability;
    }
    FiniteRoom room = finite_room(s, t);
    *ret_density = room.density;
    return room.wait;
}

// ---- Erlang A
//
// The offered wait V, of somebody patient, has density proportional to exp(eta (1 - e^(-theta x)) -
// c mu x); who is served has it times e^(-theta x). Integrals of exp(eta (1 - e^(-theta x)) - k
// theta x) over [t, inf) are exp(eta - y - k theta t) S(k, y) / theta with y = eta e^(-theta t) and
// S of special_log_kummer.

static double impatient_integral(double k, double eta, double theta_t)
{
    double y = eta * exp(-theta_t);
    return -eta * expm1(-theta_t) - k * theta_t + special_log_kummer(k, y, NULL);
}

static double wait_impatient(const Station *s, double t, double *ret_density)
{
    double kappa = s->servers * s->patience_s / s->service.mean_s;
    double eta = s->rate * s->patience_s;
    double theta_t = t / s->patience_s;
    double log_all = special_log_kummer(kappa, eta, NULL);
    double share = s->wait_probability / (1 - s->abandon_probability);
    *ret_density =
        share / s->patience_s * exp(-eta * expm1(-theta_t) - (kappa + 1) * theta_t - log_all);
    return fmin(1, share * exp(impatient_integral(kappa + 1, eta, theta_t) - log_all));
}

// As above, the density is that of who is in service.
static double sojourn_impatient(const Station *s, double t, double *ret_density)
{
    double mu = 1 / s->service.mean_s;
    double served = 1 - s->abandon_probability;
    double kappa = s->servers * s->patience_s * mu;
    double eta = s->rate * s->patience_s;
    double log_all = special_log_kummer(kappa, eta, NULL);
    // Waited x <= t, then in service at t: the density times e^(-mu (t - x)).
    double k = kappa + 1 - mu * s->patience_s;
    double whole = special_log_kummer(k, eta, NULL);
    double rest = impatient_integral(k, eta, t / s->patience_s);
    double waited = -exp(whole - log_all - mu * t) * expm1(fmin(0, rest - whole));
    double in_service = (1 - s->wait_probability) * exp(-mu * t) + s->wait_probability * waited;
    double wait_density;
    double waits = wait_impatient(s, t, &wait_density);
    *ret_density = mu * in_service / served;
    return t == 0 ? 1 : fmin(1, in_service / served + waits);
}

// ---- tails and quantiles

static TailFunction *sojourn_of(StationLaw law)
{
    switch (law) {
    case LAW_UNKNOWN: return NULL;
    case LAW_EXPONENTIAL_WAIT: return sojourn_exponential;
    case LAW_TRANSFORM: return sojourn_transform;
    case LAW_SHARING: return sojourn_sharing;
    case LAW_STRETCHED: return sojourn_stretched;
    case LAW_FINITE_ROOM: return sojourn_finite;
    case LAW_IMPATIENT: return sojourn_impatient;
    }
    return NULL;
}

// Shared processors make nobody wait, only slower.
static TailFunction *wait_of(StationLaw law)
{
    switch (law) {
    case LAW_UNKNOWN:
    case LAW_SHARING:
    case LAW_STRETCHED: return NULL;
    case LAW_EXPONENTIAL_WAIT: return wait_exponential;
    case LAW_TRANSFORM: return wait_transform;
    case LAW_FINITE_ROOM: return wait_finite;
    case LAW_IMPATIENT: return wait_impatient;
    }
    return NULL;
}

static double evaluate(const Station *s, TailFunction *tail, double t)
{
    double density;
    return tail && t >= 0 ? tail(s, t, &density) : NAN;
}

double station_tail(const Station *s, double t)
{
    return evaluate(s, sojourn_of(s->law), t);
}

double station_wait_tail(const Station *s, double t)
{
    return evaluate(s, wait_of(s->law), t);
}

typedef struct Bracket {
    double low, high;    // tail(low) > q >= tail(high)
    double above, below; // tail - q at the two; Illinois halves the one that stays
    int side;            // which end moved last: -1 low, 1 high
} Bracket;

static void narrow(Bracket *b, double t, double excess)
{
    if (excess > 0) {
        b->low = t;
        b->above = excess;
        b->below /= b->side < 0 ? 2 : 1;
        b->side = -1;
    } else {
        b->high = t;
        b->below = excess;
        b->above /= b->side > 0 ? 2 : 1;
        b->side = 1;
    }
}

static double guess_within(const Bracket *b, double t, int round)
{
    if (isinf(b->high)) {
        return 2 * t;
    }
    double falsi = b->low + (b->high - b->low) * b->above / (b->above - b->below);
    return falsi > b->low && falsi < b->high && round % 4 != 3 ? falsi : (b->low + b->high) / 2;
}

#define NEWTON_STEP 1e-6

// t with tail(t) = q, from a guess above 0. Where the tail jumps over q, the place of the jump.
static double root_of(const Station *s, TailFunction *tail, double q, double t)
{
    enum { ROUNDS_MAX = 400 };
    Bracket b = {.high = INFINITY, .above = 1 - q};
    for (int round = 0; round < ROUNDS_MAX; round++) {
        double density = NAN;
        double y = tail(s, t, &density);
        double next = t + y * log(y / q) / density;
        if (fabs(next - t) <= NEWTON_STEP * t) {
            return next; // the error after a step of Newton's is about the square of it
        }
        if (isinf(b.high)) {
            next = fmin(next, 4 * t); // where the tail is still flat a step may lead anywhere
        }
        narrow(&b, t, y - q);
        if (!isinf(b.high) && b.high - b.low <= 1e-11 * b.high) {
            break;
        }
        t = next > b.low && next < b.high ? next : guess_within(&b, t, round);
    }
    return isinf(b.high) ? NAN : b.high;
}

// Near the answer and cheap. A sum of two times has a quantile between the greater of the two
// quantiles and their sum.
static double first_guess(const Station *s, double p)
{
    double reach = -log1p(-p);
    bool simple = s->service.kind == SERVICE_EXPONENTIAL || s->service.kind == SERVICE_SHIFTED;
    if (s->law != LAW_EXPONENTIAL_WAIT || !simple) {
        return s->response_s * fmax(0.1, reach);
    }
    double service = s->service.shift_s + reach / s->service.rate[0];
    double over = log(s->wait_probability) + reach;
    double wait = over > 0 ? over / s->decay : 0;
    return sqrt(service * service + wait * wait);
}

double station_quantile(const Station *s, double p)
{
    TailFunction *tail = sojourn_of(s->law);
    if (!tail || !(p > 0 && p < 1)) {
        return NAN;
    }
    if (s->law == LAW_STRETCHED || (s->law == LAW_EXPONENTIAL_WAIT && s->wait_probability == 0)) {
        return service_quantile(&s->service, p) * s->response_s / s->service.mean_s;
    }
    return root_of(s, tail, 1 - p, first_guess(s, p));
}

double station_wait_quantile(const Station *s, double p)
{
    TailFunction *tail = wait_of(s->law);
    if (!tail || !(p > 0 && p < 1)) {
        return NAN;
    }
    if (s->law == LAW_EXPONENTIAL_WAIT) {
        double over = s->wait_probability / (1 - p);
        return over > 1 ? log(over) / s->decay : 0;
    }
    if (evaluate(s, tail, 0) <= 1 - p) {
        return 0;
    }
    return root_of(s, tail, 1 - p, fmax(s->wait_s, 1e-9 * s->service.mean_s));
}
