// Approximations whose cost does not grow with the population.
//
// Mean value analysis needs the queues with one customer less. Bard and Schweitzer take them as
// proportional: Q_s(N - e_r) = (N_s - [r = s]) Q_s(N) / N_s. The Linearizer (Chandy and Neuse, CACM
// 25, 1982) takes the share that a class has at a center as linear: it solves N and each N - e_r
// with the deviations F_sr = Q_s(N - e_r) / (N_s - [r = s]) - Q_s(N) / N_s of the round before.
//
// A center of m servers becomes a queue that is m times as fast and a delay of the rest (Seidmann,
// Schweitzer, Shalev-Oren 1987): right at both ends, alone and overloaded.
#include <math.h>
#include <stdlib.h>

#include "model/closed_impl.h"

enum { ITERATIONS_MAX = 100000, LINEARIZER_ROUNDS = 3 };

typedef struct Point {
    double *population; // by class
    double *throughput; // by class
    double *q;          // matrix: at queues, Seidmann's delays not counted
} Point;

typedef struct Approx {
    ClosedWork *w;
    double *deviation; // F: [r][matrix], or NULL
    Point base;        // N
} Approx;

static double servers_of(const ClosedCenter *c)
{
    return c->kind == CENTER_SERVERS ? c->servers : 1;
}

// Mean number of class s at the center of `cell` when one of class r is away.
static double with_one_less(const Approx *a, const Point *p, uint32_t r, uint32_t s, size_t cell)
{
    double n = p->population[s];
    double less = n - (r == s);
    if (!(less > 0)) {
        return 0;
    }
    size_t matrix = (size_t)a->w->centers * a->w->classes;
    double f = a->deviation ? a->deviation[r * matrix + cell] : 0;
    return fmax(0, less * (p->q[cell] / n + f));
}

static double residence(const Approx *a, const Point *p, uint32_t r, uint32_t k)
{
    const ClosedWork *w = a->w;
    size_t cell = (size_t)r * w->centers + k;
    if (w->center[k].kind == CENTER_DELAY) {
        return w->demand[cell];
    }
    double queue = 0;
    double work = 0;
    for (uint32_t s = 0; s < w->classes; s++) {
        size_t other = (size_t)s * w->centers + k;
        double n = p->population[s];
        double found = with_one_less(a, p, r, s, other);
        double share = n > 0 ? fmax(0, n - (r == s)) / n : 0;
        double busy = share * p->throughput[s] * w->demand[other];
        queue += found;
        work += w->service_s[other] * (found + busy * (w->scv[other] - 1) / 2);
    }
    if (w->center[k].kind == CENTER_FIFO) {
        return w->demand[cell] + w->visits[cell] * fmax(0, work);
    }
    return w->demand[cell] / servers_of(&w->center[k]) * (1 + queue);
}

// What Seidmann's delay adds.
static double extra_delay(const ClosedWork *w, uint32_t r, uint32_t k)
{
    double m = servers_of(&w->center[k]);
    return w->demand[(size_t)r * w->centers + k] * (m - 1) / m;
}

static double iterate_class(const Approx *a, Point *p, uint32_t r, double *next)
{
    const ClosedWork *w = a->w;
    double round = w->think_s[r];
    for (uint32_t k = 0; k < w->centers; k++) {
        next[k] = residence(a, p, r, k);
        round += next[k] + extra_delay(w, r, k);
    }
    double change = 0;
    double *q = p->q + (size_t)r * w->centers;
    double x = p->population[r] / round;
    for (uint32_t k = 0; k < w->centers; k++) {
        double value = x * next[k];
        change = fmax(change, fabs(value - q[k]) / p->population[r]);
        q[k] = value;
    }
    p->throughput[r] = x;
    return change;
}

// The fixed point at one population. Classes one after the other (Gauss and Seidel): half the
// rounds, and no oscillation between classes.
static int core(Approx *a, Point *p, Err *e)
{
    double next[CLOSED_CENTERS_MAX];
    for (int i = 0; i < ITERATIONS_MAX; i++) {
        double change = 0;
        for (uint32_t r = 0; r < a->w->classes; r++) {
            if (p->population[r] > 0) {
                change = fmax(change, iterate_class(a, p, r, next));
            }
        }
        a->w->iterations++;
        if (change < a->w->tolerance) {
            return 0;
        }
    }
    return err_set(e, ERR_LIMIT, "the fixed point did not settle in %d iterations", ITERATIONS_MAX);
}

// Customers start where their work is.
static void start_class(const ClosedWork *w, uint32_t r, Point *p)
{
    const double *demand = w->demand + (size_t)r * w->centers;
    double all = w->think_s[r];
    for (uint32_t k = 0; k < w->centers; k++) {
        all += demand[k];
    }
    for (uint32_t k = 0; k < w->centers; k++) {
        p->q[(size_t)r * w->centers + k] = p->population[r] * demand[k] / all;
    }
}

// The network with one customer of class `away` less; of no class where that is w->classes.
static Point point_create(const ClosedWork *w, uint32_t away)
{
    size_t matrix = (size_t)w->centers * w->classes;
    Point p = {.population = mem_zalloc(w->classes * sizeof(double)),
               .throughput = mem_zalloc(w->classes * sizeof(double)),
               .q = mem_zalloc(matrix * sizeof(double))};
    for (uint32_t r = 0; r < w->classes; r++) {
        p.population[r] = fmax(0, w->population[r] - (r == away));
        start_class(w, r, &p);
    }
    return p;
}

static void point_destroy(Point *p)
{
    free(p->population);
    free(p->throughput);
    free(p->q);
}

static int check_centers(const ClosedWork *w, Err *e)
{
    for (uint32_t k = 0; k < w->centers; k++) {
        if (w->center[k].kind == CENTER_LOAD_DEPENDENT) {
            return err_set(
                e, ERR_UNSUPPORTED,
                "center %u: approximations know several servers but not rates of its own; "
                "take the exact method",
                k);
        }
    }
    return 0;
}

static void finish(Approx *a)
{
    ClosedWork *w = a->w;
    for (uint32_t r = 0; r < w->classes; r++) {
        w->throughput[r] = a->base.throughput[r];
        for (uint32_t k = 0; k < w->centers; k++) {
            size_t cell = (size_t)r * w->centers + k;
            w->in_center[cell] = a->base.q[cell] + a->base.throughput[r] * extra_delay(w, r, k);
        }
    }
}

int closed_schweitzer(ClosedWork *w, Err *e)
{
    int rc = check_centers(w, e);
    if (rc) {
        return rc;
    }
    Approx a = {.w = w, .base = point_create(w, w->classes)};
    rc = core(&a, &a.base, e);
    if (!rc) {
        finish(&a);
    }
    point_destroy(&a.base);
    return rc;
}

// Solves N - e_r and notes how the shares of all classes deviate from those at N.
static int deviate(Approx *a, uint32_t r, double *ret_deviation, Err *e)
{
    const ClosedWork *w = a->w;
    Point p = point_create(w, r);
    int rc = core(a, &p, e);
    for (uint32_t s = 0; !rc && s < w->classes; s++) {
        for (uint32_t k = 0; k < w->centers; k++) {
            size_t cell = (size_t)s * w->centers + k;
            double n = p.population[s];
            double share = n > 0 ? p.q[cell] / n : 0;
            ret_deviation[cell] = n > 0 ? share - a->base.q[cell] / a->base.population[s] : 0;
        }
    }
    point_destroy(&p);
    return rc;
}

int closed_linearizer(ClosedWork *w, Err *e)
{
    int rc = check_centers(w, e);
    if (rc) {
        return rc;
    }
    size_t matrix = (size_t)w->centers * w->classes;
    Approx a = {.w = w, .base = point_create(w, w->classes)};
    // Classes without a deviation of their own read zeros; the new ones count from the next round.
    a.deviation = mem_zalloc(w->classes * matrix * sizeof(double));
    double *next = mem_zalloc(w->classes * matrix * sizeof(double));
    for (int round = 1; !rc && round <= LINEARIZER_ROUNDS; round++) {
        rc = core(&a, &a.base, e);
        for (uint32_t r = 0; !rc && round < LINEARIZER_ROUNDS && r < w->classes; r++) {
            rc = deviate(&a, r, next + r * matrix, e);
        }
        if (!rc && round < LINEARIZER_ROUNDS) {
            double *old = a.deviation;
            a.deviation = next;
            next = old;
        }
    }
    if (!rc) {
        finish(&a);
    }
    free(a.deviation);
    free(next);
    point_destroy(&a.base);
    return rc;
}
