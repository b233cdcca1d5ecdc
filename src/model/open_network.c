#include "model/open_network.h"

#include <math.h>

static bool not_negative(double x)
{
    return x >= 0 && isfinite(x);
}

// All flows put together, as the stations see them.
typedef struct Flow {
    const OpenNetwork *net;
    double *rate;    // matrix
    double *total;   // by station
    double *outside; // by station
    double *between; // [from * stations + to], a second
    Service *service;
    double *scv; // by station: of arrivals
} Flow;

static double route(const OpenNetwork *net, uint32_t r, uint32_t from, uint32_t to)
{
    return net->routing ? net->routing[((size_t)r * net->stations + from) * net->stations + to] : 0;
}

static int check_class(const OpenNetwork *net, uint32_t r, Err *e)
{
    for (uint32_t i = 0; i < net->stations; i++) {
        size_t cell = (size_t)r * net->stations + i;
        double arrival_scv = net->arrival_scv ? net->arrival_scv[cell] : 1;
        double service_scv = net->service_scv ? net->service_scv[cell] : 1;
        if (!not_negative(net->service_s[cell]) || !not_negative(net->arrivals[cell]) ||
            !not_negative(arrival_scv) || !not_negative(service_scv)) {
            return err_set(e, ERR_ARG,
                           "class %u at station %u: times, rates and scv must be finite and not "
                           "negative",
                           r, i);
        }
        double out = 0;
        for (uint32_t j = 0; j < net->stations; j++) {
            double p = route(net, r, i, j);
            if (!(p >= 0 && p <= 1)) {
                return err_set(e, ERR_ARG, "class %u: routing from %u to %u must be 0 to 1, not %g",
                               r, i, j, p);
            }
            out += p;
        }
        if (out > 1 + 1e-9) {
            return err_set(e, ERR_ARG, "class %u: the routing from station %u sums to %g", r, i,
                           out);
        }
    }
    return 0;
}

static int check(const OpenNetwork *net, Err *e)
{
    if (net->stations < 1 || net->stations > OPEN_STATIONS_MAX || net->classes < 1 ||
        net->classes > OPEN_CLASSES_MAX) {
        return err_set(e, ERR_ARG, "1 to %d stations and 1 to %d classes, not %u and %u",
                       OPEN_STATIONS_MAX, OPEN_CLASSES_MAX, net->stations, net->classes);
    }
    for (uint32_t i = 0; i < net->stations; i++) {
        if (!(net->servers[i] >= 0 && net->servers[i] <= STATION_SERVERS_MAX)) {
            return err_set(e, ERR_ARG, "station %u: 0 to %g servers, not %g", i,
                           STATION_SERVERS_MAX, net->servers[i]);
        }
    }
    int rc = 0;
    for (uint32_t r = 0; !rc && r < net->classes; r++) {
        rc = check_class(net, r, e);
    }
    return rc;
}

// Solves a x = b in place by elimination with row pivots; b becomes x. False where a is singular.
static bool eliminate(double *a, double *b, size_t n)
{
    for (size_t c = 0; c < n; c++) {
        size_t pivot = c;
        for (size_t i = c + 1; i < n; i++) {
            pivot = fabs(a[i * n + c]) > fabs(a[pivot * n + c]) ? i : pivot;
        }
        if (!(fabs(a[pivot * n + c]) > 1e-12)) {
            return false;
        }
        for (size_t j = 0; pivot != c && j < n; j++) {
            double swap = a[c * n + j];
            a[c * n + j] = a[pivot * n + j];
            a[pivot * n + j] = swap;
        }
        double swap = b[c];
        b[c] = b[pivot];
        b[pivot] = swap;
        for (size_t i = c + 1; i < n; i++) {
            double factor = a[i * n + c] / a[c * n + c];
            for (size_t j = c; factor != 0 && j < n; j++) {
                a[i * n + j] -= factor * a[c * n + j];
            }
            b[i] -= factor * b[c];
        }
    }
    for (size_t c = n; c-- > 0;) {
        for (size_t j = c + 1; j < n; j++) {
            b[c] -= a[c * n + j] * b[j];
        }
        b[c] /= a[c * n + c];
    }
    return true;
}

// The traffic equations of one class: rate_j = arrivals_j + Sum_i rate_i P_ij.
static int visit_rates(const OpenNetwork *net, uint32_t r, double *table, double *ret_rate, Err *e)
{
    size_t n = net->stations;
    for (size_t i = 0; i < n; i++) {
        ret_rate[i] = net->arrivals[r * n + i];
        for (size_t j = 0; j < n; j++) {
            table[j * n + i] = (i == j) - route(net, r, (uint32_t)i, (uint32_t)j);
        }
    }
    bool solved = eliminate(table, ret_rate, n);
    for (size_t i = 0; i < n; i++) {
        solved = solved && ret_rate[i] >= -1e-9 && isfinite(ret_rate[i]);
        ret_rate[i] = fmax(0, ret_rate[i]);
    }
    if (!solved) {
        return err_set(e, ERR_UNSTABLE,
                       "class %u: some of its requests go round for ever: a circle of stations "
                       "must have a way out",
                       r);
    }
    return 0;
}

static Flow *make_flow(Arena *arena, const OpenNetwork *net)
{
    size_t n = net->stations;
    Flow *f = ARENA_NEW(arena, Flow);
    *f = (Flow){.net = net,
                .rate = ARENA_ARRAY(arena, double, n * net->classes),
                .total = ARENA_ARRAY(arena, double, n),
                .outside = ARENA_ARRAY(arena, double, n),
                .between = ARENA_ARRAY(arena, double, n *n),
                .service = ARENA_ARRAY(arena, Service, n),
                .scv = ARENA_ARRAY(arena, double, n)};
    return f;
}

// The mixture of the classes' service times at a station: mean and scv.
static int mix_service(Flow *f, uint32_t i, bool with_scv, Err *e)
{
    const OpenNetwork *net = f->net;
    double mean = 0;
    double second = 0;
    for (uint32_t r = 0; r < net->classes; r++) {
        size_t cell = (size_t)r * net->stations + i;
        double scv = with_scv && net->service_scv ? net->service_scv[cell] : 1;
        double s = net->service_s[cell];
        double share = f->rate[cell] / f->total[i];
        mean += share * s;
        second += share * s * s * (1 + scv);
    }
    if (!(mean > 0)) {
        return err_set(e, ERR_ARG, "station %u is visited and takes no time: leave it out", i);
    }
    double scv = with_scv ? fmax(0, second / (mean * mean) - 1) : 1;
    return service_two_moments(mean, scv, &f->service[i], e);
}

static int gather(Arena *arena, Flow *f, bool with_scv, Err *e)
{
    const OpenNetwork *net = f->net;
    size_t n = net->stations;
    double *table = ARENA_ARRAY(arena, double, n *n);
    for (uint32_t r = 0; r < net->classes; r++) {
        double *rate = f->rate + r * n;
        int rc = visit_rates(net, r, table, rate, e);
        if (rc) {
            return rc;
        }
        for (uint32_t i = 0; i < n; i++) {
            f->total[i] += rate[i];
            f->outside[i] += net->arrivals[r * n + i];
            for (uint32_t j = 0; j < n; j++) {
                f->between[i * n + j] += rate[i] * route(net, r, i, j);
            }
        }
    }
    int rc = 0;
    for (uint32_t i = 0; !rc && i < n; i++) {
        f->scv[i] = 1;
        rc = f->total[i] > 0 ? mix_service(f, i, with_scv, e) : 0;
    }
    return rc;
}

// ---- QNA: Whitt, "The Queueing Network Analyzer" (Bell System Technical Journal 62, 1983). The
// equation numbers are the paper's.

static double busy_share(const Flow *f, uint32_t i)
{
    double servers = f->net->servers[i];
    return servers > 0 ? f->total[i] * f->service[i].mean_s / servers : 0;
}

// (29): how far a superposition of `streams` equivalent streams is from a renewal process.
static double renewal_weight(double rho, double streams)
{
    double u = 1 - rho;
    return 1 / (1 + 4 * u * u * (streams - 1));
}

// (10): the scv of what arrives from outside, over the classes.
static double outside_scv(const Flow *f, uint32_t j)
{
    const OpenNetwork *net = f->net;
    double squares = 0;
    double mean = 0;
    for (uint32_t r = 0; r < net->classes; r++) {
        size_t cell = (size_t)r * net->stations + j;
        double share = net->arrivals[cell] / f->outside[j];
        squares += share * share;
        mean += share * (net->arrival_scv ? net->arrival_scv[cell] : 1);
    }
    double w = renewal_weight(busy_share(f, j), 1 / squares);
    return 1 - w + w * mean;
}

// Immediate feedback (section III.C of the paper): who goes back to the station that he leaves is
// served all at once instead, which keeps the flow a renewal process. `ret_back` is the share.
static double feed_back(const Flow *f, uint32_t i)
{
    return f->total[i] > 0 ? f->between[(size_t)i * f->net->stations + i] / f->total[i] : 0;
}

// (24) - (26): linear equations for the scv of arrivals, ca_j = a_j + Sum_i ca_i b_ij.
static void flow_equations(const Flow *f, uint32_t j, double *row, double *ret_right)
{
    size_t n = f->net->stations;
    double own = f->between[j * n + j];
    double rate = f->total[j] - own;
    double squares = 0;
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        row[i] = i == j;
        double p = i == j ? 0 : f->between[i * n + j] / rate;
        squares += p * p;
        if (p == 0) {
            continue;
        }
        double rho = busy_share(f, i);
        double back = feed_back(f, i);
        double q = f->between[i * n + j] / (f->total[i] * (1 - back));
        double scv = back + (1 - back) * f->service[i].scv;
        double servers = fmax(1, f->net->servers[i]);
        double x = f->net->servers[i] > 0 ? 1 + (fmax(scv, 0.2) - 1) / sqrt(servers) : 1;
        sum += p * ((1 - q) + q * rho * rho * x);
        row[i] = -p * q * (1 - rho * rho);
    }
    double p0 = f->outside[j] / rate;
    squares += p0 * p0;
    double w = renewal_weight(busy_share(f, j), 1 / squares);
    double c0 = p0 > 0 ? outside_scv(f, j) : 1;
    for (uint32_t i = 0; i < n; i++) {
        row[i] = i == j ? 1 : w * row[i];
    }
    *ret_right = 1 + w * (p0 * c0 - 1 + sum);
}

static int flow_variability(Arena *arena, Flow *f, Err *e)
{
    size_t n = f->net->stations;
    double *table = ARENA_ARRAY(arena, double, n *n);
    for (uint32_t j = 0; j < n; j++) {
        if (f->total[j] > 0) {
            flow_equations(f, j, table + j * n, &f->scv[j]);
        } else {
            table[j * n + j] = 1;
        }
    }
    if (!eliminate(table, f->scv, n)) {
        return err_set(e, ERR_UNSTABLE,
                       "the flows' variability has no solution: a circle of stations "
                       "must have a way out");
    }
    for (uint32_t j = 0; j < n; j++) {
        f->scv[j] = fmax(0, f->scv[j]);
    }
    return 0;
}

// ---- stations

static int solve_station(const Flow *f, uint32_t i, OpenMethod method, Station *ret, Err *e)
{
    double servers = f->net->servers[i];
    StationLoad load = {.rate = f->total[i],
                        .servers = servers,
                        .service_s = f->service[i].mean_s,
                        .service = &f->service[i],
                        .arrival_scv = f->scv[i]};
    if (servers == 0) {
        return station_unlimited(&load, ret, e);
    }
    if (method == OPEN_JACKSON) {
        return station_mmc(&load, ret, e);
    }
    double back = feed_back(f, i);
    if (back == 0) {
        return station_ggc(&load, ret, e);
    }
    // All visits in a row as one; then the wait of one of them.
    Service whole;
    double scv = back + (1 - back) * f->service[i].scv;
    int rc = service_two_moments(f->service[i].mean_s / (1 - back), scv, &whole, e);
    load.service = &whole;
    load.rate *= 1 - back;
    rc = rc ? rc : station_ggc(&load, ret, e);
    if (rc) {
        return rc;
    }
    ret->service = f->service[i];
    ret->rate = f->total[i];
    ret->throughput = f->total[i];
    ret->wait_s *= 1 - back;
    ret->decay /= 1 - back;
    ret->response_s = ret->wait_s + ret->service.mean_s;
    return 0;
}

static double visit_time(const Flow *f, OpenMethod method, const Station *s, size_t cell)
{
    double own = f->net->service_s[cell];
    // One server that is shared slows every class down by the same factor; elsewhere all wait
    // alike.
    bool shared = method == OPEN_JACKSON && s->servers == 1;
    return shared ? own / (1 - s->utilisation) : own + s->wait_s;
}

static void answer_classes(const Flow *f, OpenMethod method, OpenAnswer *a)
{
    const OpenNetwork *net = f->net;
    for (uint32_t r = 0; r < net->classes; r++) {
        double entered = 0;
        double inside = 0;
        for (uint32_t i = 0; i < net->stations; i++) {
            size_t cell = (size_t)r * net->stations + i;
            a->rate[cell] = f->rate[cell];
            entered += net->arrivals[cell];
            if (f->rate[cell] > 0) {
                a->visit_s[cell] = visit_time(f, method, &a->station[i], cell);
                a->in_station[cell] = f->rate[cell] * a->visit_s[cell];
                inside += a->in_station[cell];
            }
        }
        a->response_s[r] = entered > 0 ? inside / entered : 0;
    }
}

int open_solve(Arena *arena, const OpenNetwork *net, OpenMethod method, OpenAnswer **ret_answer,
               Err *e)
{
    int rc = check(net, e);
    if (rc) {
        return rc;
    }
    Flow *f = make_flow(arena, net);
    rc = gather(arena, f, method == OPEN_QNA, e);
    for (uint32_t i = 0; !rc && i < net->stations; i++) {
        if (net->servers[i] > 0 && !(busy_share(f, i) < 1)) {
            rc = err_set(
                e, ERR_UNSTABLE,
                "station %u: rho %.4g: its queue grows without end; stable below %.4g of the "
                "present rates, or with more than %.6g servers",
                i, busy_share(f, i), 1 / busy_share(f, i), busy_share(f, i) * net->servers[i]);
        }
    }
    if (!rc && method == OPEN_QNA) {
        rc = flow_variability(arena, f, e);
    }
    if (rc) {
        return rc;
    }
    size_t cells = (size_t)net->stations * net->classes;
    OpenAnswer *a = ARENA_NEW(arena, OpenAnswer);
    *a = (OpenAnswer){.rate = ARENA_ARRAY(arena, double, cells),
                      .visit_s = ARENA_ARRAY(arena, double, cells),
                      .in_station = ARENA_ARRAY(arena, double, cells),
                      .response_s = ARENA_ARRAY(arena, double, net->classes),
                      .arrival_scv = f->scv,
                      .station = ARENA_ARRAY(arena, Station, net->stations)};
    for (uint32_t i = 0; !rc && i < net->stations; i++) {
        rc = f->total[i] > 0 ? solve_station(f, i, method, &a->station[i], e) : 0;
    }
    if (rc) {
        err_wrap(e, "open network");
        return rc;
    }
    answer_classes(f, method, a);
    *ret_answer = a;
    return 0;
}
