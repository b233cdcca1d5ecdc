// B(n) = a B(n-1) / (n + a B(n-1)) loses no digits and holds for fractional n as well, so all that
// is needed is a place to start. Two things keep it short.
//
// The recursion forgets where it started: an error in B(n-1) is multiplied by a n / (n + a B)^2,
// which is about n / a below n = a. Over the k steps before n = min(a, c) the product is below
// exp(-k^2 / 2a), so ten standard deviations of a Poisson law suffice: 1e5 servers take 3,000 steps
// and not 1e5.
//
// Where the start would be below zero it is made at the fractional part x of c, in [0, 1), from the
// integral 1 / B(x, a) = a * Integral exp(-a t) (1 + t)^x dt = e^a a^-x Gamma(x + 1, a).
#include "model/erlang.h"

#include <math.h>

#define FORGET_DEVIATIONS 10.0
#define TINY              1e-300

enum { FRACTION_STEPS_MAX = 500 };

// 1 / B(x, a) for 0 < x < 1 and a >= 2: a times Legendre's continued fraction of Gamma(x + 1, a),
// by the modified Lentz method (Numerical Recipes 5.2 describes it).
static double inverse_by_fraction(double x, double a)
{
    double b = a - x;
    double c = 1e300;
    double d = 1 / b;
    double h = d;
    for (int i = 1; i < FRACTION_STEPS_MAX; i++) {
        double an = -i * (i - (x + 1));
        b += 2;
        d = 1 / (an * d + b);
        c = b + an / c;
        double factor = d * c;
        h *= factor;
        if (fabs(factor - 1) < 1e-16) {
            break;
        }
    }
    return a * h;
}

// The same for small a: e^a a^-x (Gamma(x + 1) - gamma(x + 1, a)), the lower function by its
// series.
static double inverse_by_series(double x, double a)
{
    double term = 1 / (x + 1);
    double sum = term;
    for (int n = 1; n < FRACTION_STEPS_MAX && term > sum * 1e-17; n++) {
        term *= a / (x + 1 + n);
        sum += term;
    }
    return exp(a + lgamma(x + 1) - x * log(a)) - a * sum;
}

static double loss_of_fraction(double x, double load)
{
    if (x == 0) {
        return 1;
    }
    return 1 / (load < 2 ? inverse_by_series(x, load) : inverse_by_fraction(x, load));
}

double erlang_b(double servers, double load)
{
    if (!(servers >= 0 && servers <= ERLANG_SERVERS_MAX && load >= 0 && isfinite(load))) {
        return NAN;
    }
    if (load == 0) {
        return servers == 0;
    }
    double x = servers - floor(servers);
    double middle = fmin(load, servers);
    double start = floor(middle - FORGET_DEVIATIONS * sqrt(middle)) - 1;
    double n = x;
    double b;
    if (start > 1) {
        n += start;
        b = 1 - n / load; // right in the fluid limit; the rest is forgotten
    } else {
        b = loss_of_fraction(x, load);
    }
    // Below TINY nothing is left to know, and numbers without leading digits are slow and never
    // reach zero.
    while (n < servers - 0.5 && b > TINY) {
        n += 1;
        b = load * b / (n + load * b);
    }
    return n < servers - 0.5 ? 0 : b;
}

double erlang_c(double servers, double load)
{
    double b = erlang_b(servers, load);
    if (!(load < servers)) {
        return isnan(b) ? b : 1;
    }
    // Not c B / (c - a (1 - B)), which is 0 / 0 where c and a are equal but for the last bit.
    return b / (1 - load / servers * (1 - b));
}

typedef double ErlangFormula(double servers, double load);

// Both formulas fall as servers are added: double until it is enough, then halve the interval.
static double servers_for(ErlangFormula *formula, double load, double target)
{
    if (!(load >= 0 && isfinite(load) && target > 0 && target <= 1)) {
        return NAN;
    }
    double low = -1; // known not to suffice
    double high = fmin(ERLANG_SERVERS_MAX, floor(load) + 1);
    while (formula(high, load) > target) {
        low = high;
        high = fmin(ERLANG_SERVERS_MAX, 2 * high);
        if (low == high) {
            return NAN;
        }
    }
    while (high - low > 1) {
        double middle = floor((low + high) / 2);
        if (formula(middle, load) <= target) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return high;
}

double erlang_b_servers(double load, double blocking)
{
    return servers_for(erlang_b, load, blocking);
}

double erlang_c_servers(double load, double waiting)
{
    return servers_for(erlang_c, load, waiting);
}
