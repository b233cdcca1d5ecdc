// Elimination without subtraction. A chain watched only while it is in the states 0..k is again a
// chain: what left for state k+1 and above comes back somewhere, and the rates of that are sums and
// products of rates. Taking states out from the top, one keeps for each its row to and its column
// from the states below, and its total rate; from these every question is answered by a sweep down
// and a sweep up. The diagonal, the only place where elimination would subtract, is never formed: a
// state's total rate is the sum of where it can go.
#include "model/ctmc.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/arnoldi.h"

typedef struct Edge {
    int from, to;
    double rate;
} Edge;

struct Ctmc {
    int states;
    int band; // largest |from - to|
    Edge *edges;
    size_t edge_count, edge_capacity;
};

Ctmc *ctmc_create(int states)
{
    assert(states >= 1 && states <= CTMC_STATES_MAX);
    Ctmc *c = mem_zalloc(sizeof(*c));
    c->states = states;
    return c;
}

void ctmc_destroy(Ctmc *c)
{
    if (c != NULL) {
        free(c->edges);
        free(c);
    }
}

int ctmc_states(const Ctmc *c)
{
    return c->states;
}

int ctmc_add(Ctmc *c, int from, int to, double rate, Err *e)
{
    if (from < 0 || from >= c->states || to < 0 || to >= c->states || from == to) {
        return err_set(e, ERR_ARG, "a rate from state %d to %d: states are 0 to %d, and different",
                       from, to, c->states - 1);
    }
    if (!(rate >= 0) || isinf(rate)) {
        return err_set(e, ERR_ARG, "the rate from state %d to %d is %g", from, to, rate);
    }
    if (rate == 0) {
        return 0;
    }
    if (c->edge_count == c->edge_capacity) {
        c->edge_capacity = c->edge_capacity == 0 ? 64 : 2 * c->edge_capacity;
        c->edges = mem_realloc(c->edges, c->edge_capacity * sizeof(Edge));
    }
    c->edges[c->edge_count++] = (Edge){from, to, rate};
    c->band = abs(from - to) > c->band ? abs(from - to) : c->band;
    return 0;
}

// The chain with the states of `gone` (NULL: none) taken as the end of the walk.
typedef struct Eliminated {
    int n, band;
    double *cell;  // row i, columns i - band .. i + band
    double *total; // rate out of a state when it was taken out; 0 for those that are gone
    double *ends;  // rate into `gone`, while working
} Eliminated;

static double *row(const Eliminated *m, int i)
{
    // So that row(m, i)[j] is the rate from i to j.
    return m->cell + (size_t)i * (size_t)(2 * m->band + 1) + m->band - i;
}

static void eliminated_done(Eliminated *m)
{
    free(m->cell);
    free(m->total);
    free(m->ends);
}

static int lowest(const Eliminated *m, int k)
{
    return k > m->band ? k - m->band : 0;
}

static bool take_out(Eliminated *m, int k)
{
    const double *out = row(m, k);
    double total = m->ends[k];
    int low = lowest(m, k);
    for (int j = low; j < k; j++) {
        total += out[j];
    }
    if (!(total > 0)) {
        return false;
    }
    m->total[k] = total;
    for (int i = low; i < k; i++) {
        double *into = row(m, i);
        if (into[k] == 0) {
            continue;
        }
        double share = into[k] / total;
        m->ends[i] += share * m->ends[k];
        double keep = into[i]; // what comes back to i itself does not leave it
        for (int j = low; j < k; j++) {
            into[j] += share * out[j];
        }
        into[i] = keep;
    }
    return true;
}

// Takes out all states but those of `gone`, down to state `until`. On ERR_ARG *ret_stuck is a state
// that never gets to those that are left or gone. *m is to be done in any case.
static int eliminate(const Ctmc *c, const bool *gone, int until, Eliminated *m, int *ret_stuck,
                     Err *e)
{
    *m = (Eliminated){.n = c->states, .band = c->band};
    size_t width = 2 * (size_t)c->band + 1;
    if (width > CTMC_CELLS_MAX / (size_t)c->states) {
        return err_set(e, ERR_LIMIT,
                       "a chain of %d states with jumps over %d needs %zu cells, the limit is %d: "
                       "number the states so that jumps are shorter, or take fewer",
                       c->states, c->band, width * (size_t)c->states, CTMC_CELLS_MAX);
    }
    m->cell = mem_zalloc(width * (size_t)c->states * sizeof(double));
    m->total = mem_zalloc((size_t)c->states * sizeof(double));
    m->ends = mem_zalloc((size_t)c->states * sizeof(double));
    for (size_t i = 0; i < c->edge_count; i++) {
        const Edge *edge = &c->edges[i];
        if (gone != NULL && gone[edge->from]) {
            continue;
        }
        if (gone != NULL && gone[edge->to]) {
            m->ends[edge->from] += edge->rate;
        } else {
            row(m, edge->from)[edge->to] += edge->rate;
        }
    }
    for (int k = m->n - 1; k >= until; k--) {
        if ((gone == NULL || !gone[k]) && !take_out(m, k)) {
            *ret_stuck = k;
            return ERR_ARG;
        }
    }
    return 0;
}

// x = what `rhs` accumulates to along the walk until its end. In place.
static void accumulate(const Eliminated *m, double *x)
{
    for (int k = m->n - 1; k >= 0; k--) {
        if (m->total[k] == 0) {
            continue;
        }
        double share = x[k] / m->total[k];
        for (int i = lowest(m, k); i < k && share != 0; i++) {
            x[i] += row(m, i)[k] * share;
        }
    }
    for (int k = 0; k < m->n; k++) {
        if (m->total[k] == 0) {
            x[k] = 0;
            continue;
        }
        const double *out = row(m, k);
        for (int j = lowest(m, k); j < k; j++) {
            x[k] += out[j] * x[j];
        }
        x[k] /= m->total[k];
    }
}

int ctmc_stationary(const Ctmc *c, double *ret, Err *e)
{
    Eliminated m;
    int stuck = -1;
    int rc = eliminate(c, NULL, 1, &m, &stuck, e);
    if (rc != 0) {
        eliminated_done(&m);
        return stuck < 0 ? rc
                         : err_set(e, ERR_ARG, "state 0 cannot be reached from state %d", stuck);
    }
    double sum = 1;
    ret[0] = 1;
    for (int k = 1; k < m.n; k++) {
        double in = 0;
        for (int i = lowest(&m, k); i < k; i++) {
            in += ret[i] * row(&m, i)[k];
        }
        ret[k] = in / m.total[k];
        sum += ret[k];
        if (sum > 1e200) { // shares grow along the chain: keep them inside the doubles
            for (int i = 0; i <= k; i++) {
                ret[i] /= sum;
            }
            sum = 1;
        }
    }
    for (int k = 0; k < m.n; k++) {
        ret[k] /= sum;
    }
    eliminated_done(&m);
    return 0;
}

static int never(int stuck, int rc, Err *e)
{
    return stuck < 0 ? rc : err_set(e, ERR_ARG, "from state %d the target is never reached", stuck);
}

int ctmc_hitting(const Ctmc *c, const bool *target, double *ret_mean, double *ret_deviation, Err *e)
{
    Eliminated m;
    int stuck = -1;
    int rc = eliminate(c, target, 0, &m, &stuck, e);
    if (rc != 0) {
        eliminated_done(&m);
        return never(stuck, rc, e);
    }
    for (int i = 0; i < c->states; i++) {
        ret_mean[i] = target[i] ? 0 : 1;
    }
    accumulate(&m, ret_mean);
    if (ret_deviation != NULL) {
        // Total variance: each jump adds its rate times (mean there - mean here)^2, which is never
        // negative, unlike second moment minus square.
        memset(ret_deviation, 0, (size_t)c->states * sizeof(double));
        for (size_t i = 0; i < c->edge_count; i++) {
            const Edge *edge = &c->edges[i];
            double step = ret_mean[edge->to] - ret_mean[edge->from];
            ret_deviation[edge->from] += target[edge->from] ? 0 : edge->rate * step * step;
        }
        accumulate(&m, ret_deviation);
        for (int i = 0; i < c->states; i++) {
            ret_deviation[i] = sqrt(ret_deviation[i]);
        }
    }
    eliminated_done(&m);
    return 0;
}

int ctmc_reach_before(const Ctmc *c, const bool *first, const bool *other, double *ret, Err *e)
{
    bool *gone = mem_alloc((size_t)c->states * sizeof(bool));
    for (int i = 0; i < c->states; i++) {
        gone[i] = first[i] || other[i];
        ret[i] = 0;
    }
    for (size_t i = 0; i < c->edge_count; i++) {
        const Edge *edge = &c->edges[i];
        ret[edge->from] += !gone[edge->from] && first[edge->to] ? edge->rate : 0;
    }
    Eliminated m;
    int stuck = -1;
    int rc = eliminate(c, gone, 0, &m, &stuck, e);
    if (rc == 0) {
        accumulate(&m, ret);
        for (int i = 0; i < c->states; i++) {
            ret[i] = first[i] ? 1 : fmin(ret[i], 1);
        }
    }
    eliminated_done(&m);
    free(gone);
    return rc == 0 ? 0 : never(stuck, rc, e);
}

// One jump of the uniformised chain.
static void step(const Ctmc *c, const double *out, double clock, const double *p, double *ret)
{
    for (int i = 0; i < c->states; i++) {
        ret[i] = p[i] * (1 - out[i] / clock);
    }
    for (size_t i = 0; i < c->edge_count; i++) {
        const Edge *edge = &c->edges[i];
        ret[edge->to] += p[edge->from] * (edge->rate / clock);
    }
}

// Sum over k of Poisson(k; jumps) times the distribution after k jumps.
static void mix(const Ctmc *c, const double *out, double clock, double jumps, double *inout)
{
    size_t n = (size_t)c->states;
    double *p = mem_alloc(n * sizeof(double));
    double *next = mem_alloc(n * sizeof(double));
    memcpy(p, inout, n * sizeof(double));
    memset(inout, 0, n * sizeof(double));
    double last = jumps + 8 * sqrt(jumps) + 40;
    double weight_sum = 0;
    for (double k = 0; k <= last; k++) {
        // Each by itself: exp(-jumps), from which one would multiply upwards, may be 0.
        double weight = exp(k * log(jumps) - jumps - lgamma(k + 1));
        for (size_t i = 0; i < n && weight > 0; i++) {
            inout[i] += weight * p[i];
        }
        weight_sum += weight;
        step(c, out, clock, p, next);
        double *swap = p;
        p = next;
        next = swap;
    }
    for (size_t i = 0; i < n; i++) {
        inout[i] /= weight_sum;
    }
    free(p);
    free(next);
}

int ctmc_transient(const Ctmc *c, double seconds, double *inout, Err *e)
{
    if (!(seconds >= 0) || isinf(seconds)) {
        return err_set(e, ERR_ARG, "a chain cannot be taken %g s into the future", seconds);
    }
    double *out = mem_zalloc((size_t)c->states * sizeof(double));
    double clock = 0;
    for (size_t i = 0; i < c->edge_count; i++) {
        out[c->edges[i].from] += c->edges[i].rate;
        clock = fmax(clock, out[c->edges[i].from]);
    }
    double jumps = clock * seconds;
    double work = (jumps + 8 * sqrt(jumps) + 40) * (double)(c->edge_count + (size_t)c->states);
    int rc = 0;
    if (jumps > CTMC_STEPS_MAX || work > CTMC_WORK_MAX) {
        rc = err_set(e, ERR_LIMIT, "%g s are %g jumps of a chain with %zu rates, which is too long",
                     seconds, jumps, c->edge_count);
    } else if (jumps > 0) {
        mix(c, out, clock, jumps, inout);
    }
    free(out);
    return rc;
}

typedef struct Inverse {
    const Eliminated *m;
    double *scale; // square roots of the stationary shares
} Inverse;

// x := what is left of x when its mean under the scale, the part along the eigenvalue 0, is out.
static void project(const double *scale, int n, double *x)
{
    double mean = 0;
    for (int i = 0; i < n; i++) {
        mean += scale[i] * x[i];
    }
    for (int i = 0; i < n; i++) {
        x[i] -= mean * scale[i];
    }
}

// x := -Q^# x, the inverse on the vectors of stationary mean 0: solved with one state held at 0,
// then shifted back to mean 0. Every component is kept times the square root of its state's share:
// in that measure a reversible chain is symmetric, and no chain so skewed that its small
// eigenvalues drown in rounding.
static void apply_inverse(void *context, double *x)
{
    const Inverse *v = context;
    int n = v->m->n;
    for (int i = 0; i < n; i++) {
        x[i] = v->scale[i] > 0 ? x[i] / v->scale[i] : 0;
    }
    accumulate(v->m, x);
    for (int i = 0; i < n; i++) {
        x[i] *= v->scale[i];
    }
    project(v->scale, n, x);
}

int ctmc_gap(const Ctmc *c, const double *stationary, CtmcGap *ret, Err *e)
{
    if (c->states < 2) {
        return err_set(e, ERR_ARG, "a chain of one state has nothing to forget");
    }
    // The state held at 0 is the most frequent: near to everything, so that the solution is not
    // swamped by a constant which the projection would have to take out again.
    int home = 0;
    for (int i = 1; i < c->states; i++) {
        home = stationary[i] > stationary[home] ? i : home;
    }
    bool *gone = mem_zalloc((size_t)c->states * sizeof(bool));
    gone[home] = true;
    Eliminated m;
    int stuck = -1;
    int rc = eliminate(c, gone, 0, &m, &stuck, e);
    free(gone);
    if (rc != 0) {
        eliminated_done(&m);
        return never(stuck, rc, e);
    }
    double *start = mem_alloc((size_t)c->states * sizeof(double));
    Inverse v = {&m, mem_alloc((size_t)c->states * sizeof(double))};
    for (int i = 0; i < c->states; i++) {
        v.scale[i] = sqrt(stationary[i]);
        start[i] = sin(1.0 + 0.7 * i) * v.scale[i]; // no symmetry that an eigenvector might share
    }
    project(v.scale, c->states, start);
    double re[2], im[2];
    ret->converged = arnoldi_largest(c->states, apply_inverse, &v, start, re, im);
    // An eigenvalue mu of -Q^# is -1 / mu of Q.
    double size = re[0] * re[0] + im[0] * im[0];
    ret->slowest = -re[0] / size;
    ret->slowest_i = fabs(im[0]) / size;
    size = re[1] * re[1] + im[1] * im[1];
    ret->next = size > 0 ? -re[1] / size : 0;
    free(start);
    free(v.scale);
    eliminated_done(&m);
    return 0;
}
