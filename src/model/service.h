// Service: the distribution of the time that a server works on one request, with everything that
// formulas ask of it: moments, tail, quantile, and its Laplace transform.
//
//     Service s;
//     rc = service_lognormal(0.9, 0.25, &s, e);          // mean 0.9 s, sigma of the logarithm
//     rc = service_two_moments(0.9, 0.0645, &s, e);      // where only the variability is known
//     double p99_s = service_quantile(&s, 0.99);
//
// Times are seconds. A small value; only an empirical one borrows memory. scv is the squared
// coefficient of variation, variance / mean^2: 0 for equal times, 1 for exponential ones.
#ifndef MODEL_SERVICE_H
#define MODEL_SERVICE_H

#include <stdint.h>

#include "base/err.h"
#include "model/special.h"
#include "policy/dist.h"

typedef enum ServiceKind {
    SERVICE_DETERMINISTIC,
    SERVICE_EXPONENTIAL,
    SERVICE_SHIFTED, // a constant and an exponential
    SERVICE_ERLANG,  // a sum of equal exponentials
    SERVICE_HYPEREXPONENTIAL,
    SERVICE_LOGNORMAL,
    SERVICE_EMPIRICAL,
} ServiceKind;

enum {
    SERVICE_PHASES_MAX = 100000, // of Erlang
    SERVICE_VALUES_MAX = 4096    // of an empirical one
};

typedef struct Service {
    ServiceKind kind;
    double mean_s;
    double scv;
    double moment3;       // E S^3; what P-K's variance of the wait needs
    double shift_s;       // SHIFTED
    double share[2];      // HYPEREXPONENTIAL; sums to 1
    double rate[2];       // [0] also of EXPONENTIAL, SHIFTED and each phase of ERLANG
    uint32_t phases;      // ERLANG
    double mu, sigma;     // LOGNORMAL, of the logarithm
    const double *values; // EMPIRICAL, borrowed
    uint32_t count;
} Service;

// ERR_ARG where a number is not finite or not above zero (scv and sigma may be zero).
MUST_USE int service_deterministic(double mean_s, Service *ret_service, Err *e);
MUST_USE int service_exponential(double mean_s, Service *ret_service, Err *e);
MUST_USE int service_erlang(double mean_s, uint32_t phases, Service *ret_service, Err *e);
// Two exponential branches: with probability `share` of mean mean_s[0], otherwise of mean_s[1].
MUST_USE int service_hyperexponential(double share, const double mean_s[2], Service *ret_service,
                                      Err *e);
MUST_USE int service_lognormal(double mean_s, double sigma, Service *ret_service, Err *e);
// `values`: 2..SERVICE_VALUES_MAX quantiles at equal steps from the smallest to the largest,
// ascending, joined by straight lines; a sorted sample will do. Borrowed for as long as the
// Service.
MUST_USE int service_empirical(const double *values, size_t count, Service *ret_service, Err *e);
// The law that the literature fits to two moments: scv 0 deterministic; below 1 shifted
// exponential; 1 exponential; above 1 two exponential branches with balanced means (Whitt,
// "Approximating a point process by a renewal process", 1982).
MUST_USE int service_two_moments(double mean_s, double scv, Service *ret_service, Err *e);

// The law of a Dist, whose durations are ns: exactly for fixed, exponential, Erlang,
// hyperexponential and lognormal ones; the others as an empirical law of `count` quantiles, written
// to `room`, whose mean and scv are the Dist's. ERR_ARG also where the mean is infinite.
MUST_USE int service_of_dist(const Dist *d, double *room, size_t count, Service *ret_service,
                             Err *e);

double service_tail(const Service *s, double t);     // P(S > t)
double service_density(const Service *s, double t);  // NAN where there is none
double service_quantile(const Service *s, double p); // smallest t with P(S <= t) >= p, 0 < p < 1
// E exp(-z S) at the points of a line, Re z >= 0.
void service_lst(const Service *s, SpecialLine line, double complex ret_values[SPECIAL_LINE]);

// Integral over x in [0, t] of exp(-decay (t - x)) dF(x), decay > 0: what S adds to a wait with an
// exponential tail. Closed forms but for ERLANG (when its rate is below `decay`) and LOGNORMAL.
double service_then_exponential(const Service *s, double decay, double t);

// Tail, density and the integral above at one t: what Newton's steps on a sojourn time need, with
// their exponentials computed once.
typedef struct ServicePoint {
    double tail, density, then;
} ServicePoint;
ServicePoint service_at(const Service *s, double decay, double t);

#endif
