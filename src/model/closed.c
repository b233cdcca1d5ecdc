// Checks, the way from a network to demands and back, and bounds. Open classes see the closed ones
// through the queue that they find, closed ones see a server that open classes leave only a part of
// (Lazowska et al. 7.4.3, Bolch et al. 8.2.3), so a mixed network is a closed one with longer
// demands.
#include "model/closed.h"

#include <math.h>

#include "model/closed_impl.h"

static bool not_negative(double x)
{
    return x >= 0 && isfinite(x);
}

static double visits_of(const ClosedNetwork *net, size_t cell)
{
    return net->visits ? net->visits[cell] : 1;
}

static double rate_of(const ClosedNetwork *net, uint32_t r)
{
    return net->rate ? net->rate[r] : 0;
}

static double think_of(const ClosedNetwork *net, uint32_t r)
{
    return net->think_s ? net->think_s[r] : 0;
}

static int check_center(const ClosedNetwork *net, uint32_t k, Err *e)
{
    const ClosedCenter *c = &net->center[k];
    switch (c->kind) {
    case CENTER_QUEUE:
    case CENTER_DELAY:
    case CENTER_FIFO: return 0;
    case CENTER_SERVERS:
        if (c->servers < 1 || c->servers > CLOSED_SERVERS_MAX) {
            return err_set(e, ERR_ARG, "center %u: 1 to %d servers, not %u", k, CLOSED_SERVERS_MAX,
                           c->servers);
        }
        return 0;
    case CENTER_LOAD_DEPENDENT:
        if (!c->rates || c->rate_count < 1 || c->rate_count > CLOSED_SERVERS_MAX) {
            return err_set(e, ERR_ARG, "center %u: 1 to %d rates, not %u", k, CLOSED_SERVERS_MAX,
                           c->rate_count);
        }
        for (uint32_t i = 0; i < c->rate_count; i++) {
            if (!(c->rates[i] > 0 && isfinite(c->rates[i]))) {
                return err_set(e, ERR_ARG, "center %u: rate %u must be finite and above 0, not %g",
                               k, i, c->rates[i]);
            }
        }
        return 0;
    }
    return err_set(e, ERR_ARG, "center %u: no such kind", k);
}

static int check_class(const ClosedNetwork *net, uint32_t r, Err *e)
{
    double n = net->population ? net->population[r] : 0;
    if (!(n >= 0 && n <= CLOSED_POPULATION_MAX)) {
        return err_set(e, ERR_ARG, "class %u: a population of 0 to %d, not %g", r,
                       CLOSED_POPULATION_MAX, n);
    }
    if (!not_negative(rate_of(net, r)) || !not_negative(think_of(net, r))) {
        return err_set(e, ERR_ARG, "class %u: rate and think time must be finite and not negative",
                       r);
    }
    if (n > 0 && rate_of(net, r) > 0) {
        return err_set(e, ERR_ARG, "class %u is both open and closed", r);
    }
    double round = think_of(net, r);
    for (uint32_t k = 0; k < net->centers; k++) {
        size_t cell = (size_t)r * net->centers + k;
        double scv = net->scv ? net->scv[cell] : 1;
        if (!not_negative(net->service_s[cell]) || !not_negative(visits_of(net, cell)) ||
            !not_negative(scv)) {
            return err_set(e, ERR_ARG,
                           "class %u at center %u: service time, visits and scv must be finite and "
                           "not negative",
                           r, k);
        }
        round += net->service_s[cell] * visits_of(net, cell);
    }
    if (!(round > 0 && isfinite(round))) {
        return err_set(e, ERR_ARG, "class %u: a round takes no time, so it has no throughput", r);
    }
    return 0;
}

static int check_network(const ClosedNetwork *net, Err *e)
{
    if (net->centers < 1 || net->centers > CLOSED_CENTERS_MAX || net->classes < 1 ||
        net->classes > CLOSED_CLASSES_MAX) {
        return err_set(e, ERR_ARG, "1 to %d centers and 1 to %d classes, not %u and %u",
                       CLOSED_CENTERS_MAX, CLOSED_CLASSES_MAX, net->centers, net->classes);
    }
    if (!(net->tolerance >= 0 && net->tolerance < 1)) {
        return err_set(e, ERR_ARG, "the tolerance must be 0 or more and below 1, not %g",
                       net->tolerance);
    }
    int rc = 0;
    for (uint32_t k = 0; !rc && k < net->centers; k++) {
        rc = check_center(net, k, e);
    }
    for (uint32_t r = 0; !rc && r < net->classes; r++) {
        rc = check_class(net, r, e);
    }
    return rc;
}

int closed_lattice(const ClosedWork *w, size_t cells_each, ClosedLattice *ret_lattice, Err *e)
{
    ClosedLattice l = {.classes = w->classes, .count = 1};
    for (uint32_t r = 0; r < w->classes; r++) {
        double n = w->population[r];
        if (n != floor(n)) {
            return err_set(e, ERR_ARG, "exact methods need whole populations, not %g", n);
        }
        l.top[r] = (uint32_t)n;
        l.stride[r] = l.count;
        size_t cells;
        if (__builtin_mul_overflow(l.count, (size_t)l.top[r] + 1, &l.count) ||
            __builtin_mul_overflow(l.count, cells_each, &cells) || cells > CLOSED_TABLE_MAX) {
            return err_set(e, ERR_LIMIT,
                           "the populations span more than the %d numbers that an exact method may "
                           "keep: take the Linearizer",
                           CLOSED_TABLE_MAX);
        }
    }
    *ret_lattice = l;
    return 0;
}

// What open classes take of each center.
static int open_load(const ClosedNetwork *net, double *ret_load, Err *e)
{
    for (uint32_t k = 0; k < net->centers; k++) {
        double load = 0;
        for (uint32_t r = 0; r < net->classes; r++) {
            size_t cell = (size_t)r * net->centers + k;
            load += rate_of(net, r) * visits_of(net, cell) * net->service_s[cell];
        }
        CenterKind kind = net->center[k].kind;
        ret_load[k] = kind == CENTER_DELAY ? 0 : load;
        if (load > 0 && kind != CENTER_DELAY && kind != CENTER_QUEUE) {
            return err_set(
                e, ERR_UNSUPPORTED,
                "center %u: open classes beside closed ones are answered at queues of one "
                "server and delays",
                k);
        }
        if (!(ret_load[k] < 1)) {
            return err_set(e, ERR_UNSTABLE,
                           "center %u: open classes alone bring rho %.4g: its queue grows without "
                           "end; stable below %.4g of their rates",
                           k, load, 1 / load);
        }
    }
    return 0;
}

static ClosedWork *make_work(Arena *arena, const ClosedNetwork *net, const double *open)
{
    size_t cells = (size_t)net->centers * net->classes;
    ClosedWork *w = ARENA_NEW(arena, ClosedWork);
    *w = (ClosedWork){.centers = net->centers,
                      .center = net->center,
                      .tolerance = net->tolerance > 0 ? net->tolerance : 1e-12,
                      .demand = ARENA_ARRAY(arena, double, cells),
                      .service_s = ARENA_ARRAY(arena, double, cells),
                      .visits = ARENA_ARRAY(arena, double, cells),
                      .scv = ARENA_ARRAY(arena, double, cells),
                      .think_s = ARENA_ARRAY(arena, double, net->classes),
                      .population = ARENA_ARRAY(arena, double, net->classes),
                      .throughput = ARENA_ARRAY(arena, double, net->classes),
                      .in_center = ARENA_ARRAY(arena, double, cells),
                      .busy = ARENA_ARRAY(arena, double, net->centers)};
    for (uint32_t r = 0; r < net->classes; r++) {
        if (!net->population || net->population[r] == 0) {
            continue;
        }
        uint32_t to = w->classes++;
        w->population[to] = net->population[r];
        w->think_s[to] = think_of(net, r);
        for (uint32_t k = 0; k < net->centers; k++) {
            size_t from_cell = (size_t)r * net->centers + k;
            size_t cell = (size_t)to * net->centers + k;
            w->service_s[cell] = net->service_s[from_cell] / (1 - open[k]);
            w->visits[cell] = visits_of(net, from_cell);
            w->scv[cell] = net->scv ? net->scv[from_cell] : 1;
            w->demand[cell] = w->service_s[cell] * w->visits[cell];
        }
    }
    return w;
}

static int run(ClosedWork *w, ClosedMethod method, Err *e)
{
    if (w->classes == 0) {
        return 0;
    }
    switch (method) {
    case CLOSED_EXACT: return closed_convolution(w, e);
    case CLOSED_MVA: return closed_mean_values(w, e);
    case CLOSED_LINEARIZER: return closed_linearizer(w, e);
    case CLOSED_SCHWEITZER: return closed_schweitzer(w, e);
    }
    return err_set(e, ERR_ARG, "no such method");
}

static double per_server(const ClosedNetwork *net, const ClosedWork *w, uint32_t k, double work)
{
    const ClosedCenter *c = &net->center[k];
    if (c->kind == CENTER_SERVERS) {
        return work / c->servers;
    }
    if (c->kind == CENTER_LOAD_DEPENDENT) {
        // The share of time that it works at all, split by the work that each class brings.
        double all = 0;
        for (uint32_t r = 0; r < w->classes; r++) {
            all += w->throughput[r] * w->demand[(size_t)r * w->centers + k];
        }
        return all > 0 ? w->busy[k] * work / all : 0;
    }
    return work;
}

static void answer_closed(const ClosedNetwork *net, const ClosedWork *w, ClosedAnswer *a)
{
    uint32_t from = 0;
    for (uint32_t r = 0; r < net->classes; r++) {
        if (!net->population || net->population[r] == 0) {
            continue;
        }
        double x = w->throughput[from];
        a->throughput[r] = x;
        for (uint32_t k = 0; k < net->centers; k++) {
            size_t cell = (size_t)r * net->centers + k;
            double q = w->in_center[(size_t)from * net->centers + k];
            double visits = visits_of(net, cell);
            a->in_center[cell] = q;
            a->visit_s[cell] = visits > 0 ? q / (x * visits) : 0;
            a->utilisation[cell] = per_server(net, w, k, x * visits * net->service_s[cell]);
            a->response_s[r] += q / x;
        }
        from++;
    }
}

static void answer_open(const ClosedNetwork *net, const double *open, ClosedAnswer *a)
{
    for (uint32_t k = 0; k < net->centers; k++) {
        double found = 0; // closed customers at the center
        for (uint32_t r = 0; r < net->classes; r++) {
            found += rate_of(net, r) > 0 ? 0 : a->in_center[(size_t)r * net->centers + k];
        }
        for (uint32_t r = 0; r < net->classes; r++) {
            double rate = rate_of(net, r);
            size_t cell = (size_t)r * net->centers + k;
            double visits = visits_of(net, cell);
            if (rate == 0 || visits == 0) {
                continue;
            }
            bool delay = net->center[k].kind == CENTER_DELAY;
            double visit = net->service_s[cell] * (delay ? 1 : (1 + found) / (1 - open[k]));
            a->throughput[r] = rate;
            a->visit_s[cell] = visit;
            a->in_center[cell] = rate * visits * visit;
            a->utilisation[cell] = rate * visits * net->service_s[cell];
            a->response_s[r] += visits * visit;
        }
    }
}

int closed_solve(Arena *arena, const ClosedNetwork *net, ClosedMethod method,
                 ClosedAnswer **ret_answer, Err *e)
{
    double open[CLOSED_CENTERS_MAX];
    int rc = check_network(net, e);
    rc = rc ? rc : open_load(net, open, e);
    if (rc) {
        return rc;
    }
    ClosedWork *w = make_work(arena, net, open);
    rc = run(w, method, e);
    if (rc) {
        return rc;
    }
    size_t cells = (size_t)net->centers * net->classes;
    ClosedAnswer *a = ARENA_NEW(arena, ClosedAnswer);
    *a = (ClosedAnswer){.throughput = ARENA_ARRAY(arena, double, net->classes),
                        .response_s = ARENA_ARRAY(arena, double, net->classes),
                        .utilisation = ARENA_ARRAY(arena, double, cells),
                        .in_center = ARENA_ARRAY(arena, double, cells),
                        .visit_s = ARENA_ARRAY(arena, double, cells),
                        .iterations = w->iterations};
    answer_closed(net, w, a);
    answer_open(net, open, a);
    *ret_answer = a;
    return 0;
}

// ---- bounds

typedef struct Demands {
    double customers, think_s;
    double queues, delays; // sums over the centers of each kind
    double most;           // of one queue
    double centers;        // queues with any demand
} Demands;

static int demands_of(const ClosedNetwork *net, Demands *ret, Err *e)
{
    int rc = check_network(net, e);
    if (rc) {
        return rc;
    }
    if (net->classes != 1 || !net->population || !(net->population[0] > 0)) {
        return err_set(e, ERR_UNSUPPORTED, "bounds are for one closed class");
    }
    *ret = (Demands){.customers = net->population[0], .think_s = think_of(net, 0)};
    for (uint32_t k = 0; k < net->centers; k++) {
        double d = net->service_s[k] * visits_of(net, k);
        switch (net->center[k].kind) {
        case CENTER_QUEUE:
            ret->queues += d;
            ret->most = fmax(ret->most, d);
            ret->centers += d > 0;
            break;
        case CENTER_DELAY: ret->delays += d; break;
        case CENTER_SERVERS:
        case CENTER_LOAD_DEPENDENT:
        case CENTER_FIFO:
            return err_set(e, ERR_UNSUPPORTED, "bounds know queues of one server and delays");
        }
    }
    return 0;
}

int closed_bounds_asymptotic(const ClosedNetwork *net, ClosedBounds *ret_bounds, Err *e)
{
    Demands d;
    int rc = demands_of(net, &d, e);
    if (rc) {
        return rc;
    }
    double n = d.customers;
    double alone = d.queues + d.delays;
    *ret_bounds = (ClosedBounds){
        .throughput_low = n / (n * d.queues + d.delays + d.think_s),
        .throughput_high = fmin(n / (alone + d.think_s), d.most > 0 ? 1 / d.most : INFINITY),
        .response_low = fmax(alone, n * d.most - d.think_s),
        .response_high = n * d.queues + d.delays,
    };
    return 0;
}

int closed_bounds_balanced(const ClosedNetwork *net, ClosedBounds *ret_bounds, Err *e)
{
    Demands d;
    int rc = demands_of(net, &d, e);
    if (rc) {
        return rc;
    }
    if (d.delays > 0 || d.queues == 0) {
        return err_set(
            e, ERR_UNSUPPORTED,
            "balanced job bounds need queues and no delay centers: count delays as think "
            "time");
    }
    double n = d.customers;
    double mean = d.queues / d.centers;
    // Table 5.3 of Lazowska et al.
    double worst = d.queues + (n - 1) * d.most / (1 + d.think_s / (n * d.queues));
    double best = d.queues + (n - 1) * mean / (1 + d.think_s / d.queues);
    *ret_bounds = (ClosedBounds){
        .throughput_low = n / (d.think_s + worst),
        .throughput_high = fmin(1 / d.most, n / (d.think_s + best)),
        .response_low = fmax(n * d.most - d.think_s, best),
        .response_high = worst,
    };
    return 0;
}
