// One station: the wait before service.
//
// The work found by an arrival (the virtual wait) of M/M/c with impatience has the density
//     v(u) = v(0) exp( integral_0^u [ rate P(patience > x) - c mu ] dx ),  v(0) = rate pi_(c-1)
// (Baccelli and Hebuterne, "On queues with impatient customers", 1981), where the probabilities of
// fewer than c in the system sum to pi_(c-1) / B(c-1, a) with Erlang's B. Without impatience that
// is Erlang's C and an exponential wait. Patience here is a few fixed times (timeouts seen from
// above), so the exponent is piecewise linear and every cell of the grid has a closed form.
//
// For general arrivals and service the drift is divided by k = (ca^2 + cs^2) / 2, the diffusion
// limit, and v(0) with it: without impatience the mean wait is then Allen and Cunneen's, and the
// probability of waiting stays Erlang's, which hardly depends on the law of service. A bounded
// queue of K cuts the density at the work of K + 1 requests; what is in the last request's worth of
// it is turned away.
#include <math.h>

#include "model/erlang.h"
#include "model/formula_impl.h"

void atoms_add(Atoms *atoms, double share, double seconds)
{
    if (share <= 0) {
        return;
    }
    if (!(seconds > 0)) {
        seconds = 0;
    }
    for (int i = 0; i < atoms->count; i++) {
        Atom *a = &atoms->list[i];
        bool same =
            isinf(a->seconds) ? isinf(seconds) : fabs(a->seconds - seconds) <= 0.01 * a->seconds;
        if (same || atoms->count == FORMULA_ATOMS_MAX) {
            if (!same && i + 1 < atoms->count && atoms->list[i + 1].seconds <= seconds) {
                continue; // full: joins the nearest one below
            }
            if (!isinf(a->seconds) && !isinf(seconds)) {
                a->seconds = (a->share * a->seconds + share * seconds) / (a->share + share);
            }
            a->share += share;
            return;
        }
    }
    int i = atoms->count++;
    for (; i > 0 && atoms->list[i - 1].seconds > seconds; i--) {
        atoms->list[i] = atoms->list[i - 1];
    }
    atoms->list[i] = (Atom){share, seconds};
}

void atoms_finish(Atoms *atoms)
{
    double sum = 0;
    for (int i = 0; i < atoms->count; i++) {
        sum += atoms->list[i].share;
    }
    for (int i = 0; i < atoms->count; i++) {
        atoms->list[i].share /= sum;
    }
}

// The density on one stretch where the drift is constant.
typedef struct Stretch {
    double from, to; // s
    double slope;    // of the logarithm
    double log_v;    // at `from`
} Stretch;

enum { STRETCHES_MAX = FORMULA_ATOMS_MAX + 1 };

static int stretches_of(const StationAsk *ask, double end, Stretch out[STRETCHES_MAX])
{
    double k = fmax((ask->arrival_scv + ask->scv) / 2, 0.02);
    double served = ask->servers / ask->mean, alive = 1, from = 0, log_v = log(ask->rate / k);
    if (!isinf(ask->room) && ask->rate != served) { // so that one queued has rate / served of none
        double x = log(ask->rate / served) / k;
        log_v += log(x / expm1(x));
    }
    int n = 0;
    for (int i = 0; i <= ask->atoms->count && from < end; i++) {
        double to = i < ask->atoms->count ? ask->atoms->list[i].seconds : INFINITY;
        to = fmin(to, end);
        if (to > from) {
            double slope = (ask->rate * alive - served) / k;
            if (!isinf(ask->room)) { // the same ratio from one request to the next as in M/M/c/K
                slope = log(fmax(ask->rate * alive / served, 1e-6)) * served / k;
            }
            out[n++] = (Stretch){from, to, slope, log_v};
            log_v += isinf(to) ? 0 : slope * (to - from);
            from = to;
        }
        alive -= i < ask->atoms->count ? ask->atoms->list[i].share : 0;
        alive = alive < 1e-9 ? 0 : alive;
    }
    return n;
}

// Integral of the density over [a, b] of one stretch, over exp(highest).
static double integral(const Stretch *s, double a, double b, double highest)
{
    double at = exp(s->log_v + s->slope * (a - s->from) - highest), x = s->slope * (b - a);
    return isinf(b) ? at / -s->slope : at * (fabs(x) < 1e-9 ? b - a : expm1(x) / s->slope);
}

static double border_above(int cell)
{
    return spread_time(cell) * 1.0293022366434921;
}

// Masses of the density on the grid; their sum.
static double lay(const Stretch *s, int n, double mean, double highest, Spread *out)
{
    // A wait of less than a hundredth of the service time is none.
    int cell = mean > 0 ? (int)fmax(log2(mean * 0.01 / SPREAD_LEAST) * SPREAD_OCTAVE, 0) : 0;
    double total = 0, from = 0;
    cell = cell < SPREAD_CELLS - 1 ? cell : SPREAD_CELLS - 1;
    out->low = out->high = cell;
    for (int i = 0; i < n;) {
        double to = cell == SPREAD_CELLS - 1 ? INFINITY : border_above(cell);
        double until = fmin(to, s[i].to);
        double mass = until > from ? integral(&s[i], from, until, highest) : 0;
        if (out->high == cell) {
            out->mass[out->high++] = 0;
        }
        out->mass[cell] += mass;
        total += mass;
        from = until;
        if (until >= s[i].to) {
            i++;
        }
        if (until >= to && cell < SPREAD_CELLS - 1) {
            cell++;
            bool falling = i < n && s[i].slope < 0 && isinf(s[i].to);
            if (falling && mass < 1e-9 * total &&
                s[i].log_v + s[i].slope * (from - s[i].from) < highest - 25) {
                break;
            }
        }
    }
    return total;
}

StationAnswer formula_station(const StationAsk *ask, Spread *ret_wait)
{
    StationAnswer answer = {0};
    spread_none(ret_wait);
    if (!(ask->rate > 0) || !(ask->mean > 0)) {
        return answer;
    }
    double one = ask->mean / ask->servers,
           end = isinf(ask->room) ? INFINITY : (ask->room + 1) * one;
    Stretch stretch[STRETCHES_MAX];
    int n = stretches_of(ask, end, stretch);
    const Stretch *last = &stretch[n - 1];
    if (isinf(last->to) && last->slope >= 0) {
        spread_clear(ret_wait);
        return (StationAnswer){.waits = 1, .overloaded = true};
    }
    double load = ask->rate * ask->mean;
    double log_idle = -log(erlang_b(fmax(ask->servers - 1, 0), load));
    if (!isfinite(log_idle)) { // so far overloaded that nobody ever finds a free server
        log_idle = -600;
    }
    double highest = log_idle;
    for (int i = 0; i < n; i++) {
        highest = fmax(highest, stretch[i].log_v);
        highest = isinf(stretch[i].to)
                      ? highest
                      : fmax(highest, stretch[i].log_v +
                                          stretch[i].slope * (stretch[i].to - stretch[i].from));
    }
    double idle = exp(log_idle - highest);
    double busy = lay(stretch, n, ask->mean, highest, ret_wait), total = idle + busy;
    spread_scale(ret_wait, 1 / total);
    ret_wait->zero = idle / total;
    if (!isinf(end)) {
        answer.blocked = spread_cut(ret_wait, end - one);
        if (ask->room < 1) { // a queue of none: whoever finds all busy is turned away
            answer.blocked = busy / total;
            spread_none(ret_wait);
        }
        double left = spread_total(ret_wait);
        spread_scale(ret_wait, left > 0 ? 1 / left : 0);
    }
    answer.waits = 1 - ret_wait->zero;
    return answer;
}

void formula_until(Until *u, const Spread *s)
{
    u->low = s->low;
    u->high = s->high;
    u->zero = s->zero;
    double seen = s->zero, sum = 0, t = spread_time(s->low);
    for (int i = s->low; i < s->high; i++, t *= 1.0594630943592953) {
        u->seen[i] = seen;
        u->sum[i] = sum;
        seen += s->mass[i];
        sum += s->mass[i] * t;
    }
    u->seen[s->high] = seen;
    u->sum[s->high] = sum;
    u->mean = sum;
}

double formula_until_mean(const Until *u, double limit)
{
    if (!(limit > SPREAD_LEAST)) {
        return 0;
    }
    if (isinf(limit)) {
        return u->mean;
    }
    double place = log2(limit / SPREAD_LEAST) * SPREAD_OCTAVE + 0.5;
    if (place <= u->low) {
        return (1 - u->zero) * limit;
    }
    if (place >= u->high) {
        return u->sum[u->high] + (1 - u->seen[u->high]) * limit;
    }
    int i = (int)place;
    double share = place - i; // of that cell
    double seen = u->seen[i] + share * (u->seen[i + 1] - u->seen[i]);
    double sum = u->sum[i] + share * (u->sum[i + 1] - u->sum[i]);
    return fmin(sum + (1 - seen) * limit, u->mean);
}
