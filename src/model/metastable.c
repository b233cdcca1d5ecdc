#include "model/metastable.h"

#include <math.h>
#include <stdlib.h>

#include "model/ctmc.h"

// A chain and the numbering of its states: queue first, so that every jump is short.
typedef struct Station {
    const RetryStation *s;
    int queue, orbit; // how many values each takes
    double share;
    double retry_rate, drop_rate; // of one client in the orbit
    double *late;                 // by number ahead
    Ctmc *chain;
} Station;

static int state_of(const Station *t, int queue, int orbit)
{
    return queue * t->orbit + orbit;
}

// P(Poisson(x) <= k - 1) = P(Erlang(k, 1) > x).
static double erlang_tail(double k, double x)
{
    double sum = 0;
    for (double j = 0; j < k; j++) {
        sum += exp(j * log(x) - x - lgamma(j + 1));
    }
    return fmin(sum, 1);
}

// log P(Poisson(x) >= k), with its relative accuracy far out in the tail.
static double log_poisson_at_least(double k, double x)
{
    if (k <= x) {
        return log1p(-fmin(erlang_tail(k, x), 1 - 1e-16));
    }
    double sum = 1;
    double term = 1;
    for (double j = k + 1; term > 1e-17 * sum; j++) {
        term *= x / j;
        sum += term;
    }
    return k * log(x) - x - lgamma(k + 1) + log(sum);
}

// Own service only, or first `ahead - servers + 1` departures at the full rate and then own
// service: P(E + S > t) = P(E > t) + integral over E <= t, which is an Erlang of rate c mu - mu
// with another weight.
static double late_exactly(const RetryStation *s, int ahead)
{
    double mu = s->service_rate;
    double t = s->timeout_s;
    int wait = ahead - s->servers + 1;
    if (wait <= 0) {
        return exp(-mu * t);
    }
    if (s->servers == 1) {
        return erlang_tail(wait + 1, mu * t);
    }
    double all = mu * s->servers;
    double rest = all - mu;
    double log_second = -mu * t + wait * log(all / rest) + log_poisson_at_least(wait, rest * t);
    return fmin(erlang_tail(wait, all * t) + exp(log_second), 1);
}

static double late_chebyshev(const RetryStation *s, int ahead)
{
    if (ahead == 0) {
        return 0;
    }
    double rate = s->service_rate * (ahead < s->servers ? ahead : s->servers);
    double spare = s->timeout_s - ahead / rate;
    double deviation = sqrt(ahead) / rate;
    return spare > deviation ? deviation * deviation / (spare * spare) : 1;
}

double metastable_late(const RetryStation *s, int ahead)
{
    return s->as_metafor ? late_chebyshev(s, ahead) : late_exactly(s, ahead);
}

static int check(const RetryStation *s, Err *e)
{
    const struct {
        const char *name;
        double value, low, high;
    } fields[] = {
        {"arrival_rate", s->arrival_rate, 1e-9, 1e9},
        {"service_rate", s->service_rate, 1e-9, 1e9},
        {"timeout_s", s->timeout_s, 1e-9, 1e9},
        {"retries", s->retries, 0, 1e6},
        {"retry_share", s->retry_share, 0, 1},
        {"recovery_max_s", s->recovery_max_s, 0, 1e18},
        {"servers", s->servers, 1, METASTABLE_QUEUE_MAX - 1},
        {"queue_max", s->queue_max, s->servers + 1, METASTABLE_QUEUE_MAX},
        {"orbit_max", s->orbit_max, 1, METASTABLE_ORBIT_MAX},
    };
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (!(fields[i].value >= fields[i].low && fields[i].value <= fields[i].high)) {
            return err_set(e, ERR_ARG, "%s is %g, and must be %g to %g", fields[i].name,
                           fields[i].value, fields[i].low, fields[i].high);
        }
    }
    if (s->retries > 0 && (s->queue_max + 1) * (s->orbit_max + 1) > CTMC_STATES_MAX) {
        return err_set(e, ERR_LIMIT, "queue_max %d and orbit_max %d make more than %d states",
                       s->queue_max, s->orbit_max, CTMC_STATES_MAX);
    }
    return 0;
}

// Jumps of a state in which the queue has room. A late arrival brings its client into the orbit at
// once: that it will be late is settled when it comes.
static int add_with_room(const Station *t, int q, int o, Err *e)
{
    int from = state_of(t, q, o);
    double late = t->late[q];
    bool orbit_room = o + 1 < t->orbit;
    double joins = orbit_room ? t->share * t->s->arrival_rate * late : 0;
    double alone = t->s->arrival_rate - (t->s->as_metafor ? 0 : joins);
    int rc = orbit_room ? ctmc_add(t->chain, from, state_of(t, q + 1, o + 1), joins, e) : 0;
    double again = o * t->retry_rate;
    // A retry that will be late again leaves its client in the orbit.
    if (rc == 0) {
        rc = ctmc_add(t->chain, from, state_of(t, q + 1, o), alone + again * late, e);
    }
    if (rc == 0 && o > 0) {
        rc = ctmc_add(t->chain, from, state_of(t, q + 1, o - 1), again * (1 - late), e);
    }
    if (rc == 0 && o > 0) {
        rc = ctmc_add(t->chain, from, state_of(t, q, o - 1), o * t->drop_rate, e);
    }
    return rc;
}

static int add_when_full(const Station *t, int q, int o, Err *e)
{
    int from = state_of(t, q, o);
    bool retries = !t->s->as_metafor;
    int rc = 0;
    if (retries && o + 1 < t->orbit) {
        rc = ctmc_add(t->chain, from, from + 1, t->share * t->s->arrival_rate, e);
    }
    if (rc == 0 && o > 0) {
        double leaves = o * (t->drop_rate + (retries ? 0 : t->retry_rate));
        rc = ctmc_add(t->chain, from, from - 1, leaves, e);
    }
    return rc;
}

static void station_done(Station *t)
{
    ctmc_destroy(t->chain);
    free(t->late);
}

// *t is to be done in any case.
static int station_init(Station *t, const RetryStation *s, Err *e)
{
    *t = (Station){.s = s, .queue = s->queue_max + 1, .orbit = s->orbit_max + 1};
    int rc = check(s, e);
    if (rc != 0) {
        return rc;
    }
    if (s->retries == 0) {
        t->orbit = 1; // nobody is ever there
    }
    t->share = s->retry_share == 0 ? 1 : s->retry_share;
    // A client is in the orbit for a timeout at a time and gives up after the last of its attempts.
    t->retry_rate = s->retries / ((s->retries + 1) * s->timeout_s);
    t->drop_rate = 1 / ((s->retries + 1) * s->timeout_s);
    t->late = mem_alloc((size_t)t->queue * sizeof(double));
    for (int q = 0; q < t->queue; q++) {
        t->late[q] = metastable_late(s, q);
    }
    t->chain = ctmc_create(t->queue * t->orbit);
    for (int q = 0; rc == 0 && q < t->queue; q++) {
        double served = s->service_rate * (q < s->servers ? q : s->servers);
        for (int o = 0; rc == 0 && o < t->orbit; o++) {
            if (q > 0) {
                rc = ctmc_add(t->chain, state_of(t, q, o), state_of(t, q - 1, o), served, e);
            }
            if (rc == 0) {
                rc = q < s->queue_max ? add_with_room(t, q, o, e) : add_when_full(t, q, o, e);
            }
        }
    }
    return rc;
}

static int good_until(const Station *t)
{
    return t->queue / 10 - 1 > 0 ? t->queue / 10 - 1 : 0;
}

static int bad_from(const Station *t)
{
    return t->queue * 9 / 10;
}

static void mark(const Station *t, int from, int to, bool *set)
{
    for (int i = 0; i < t->queue * t->orbit; i++) {
        set[i] = i / t->orbit >= from && i / t->orbit <= to;
    }
}

static void long_run(const Station *t, const double *pi, Metastable *m)
{
    for (int q = 0; q < t->queue; q++) {
        for (int o = 0; o < t->orbit; o++) {
            double p = pi[state_of(t, q, o)];
            int busy = q < t->s->servers ? q : t->s->servers;
            m->queue_mean += p * q;
            m->orbit_mean += p * o;
            m->full_share += q == t->queue - 1 ? p : 0;
            m->empty_share += q == 0 ? p : 0;
            m->bad_share += q >= bad_from(t) ? p : 0;
            m->throughput += p * busy * t->s->service_rate;
            if (q < t->queue - 1) {
                m->goodput += p * (t->s->arrival_rate + o * t->retry_rate) * (1 - t->late[q]);
            }
            m->give_up_rate += p * o * t->drop_rate;
        }
    }
}

// The two regions, and how long it takes from one to the other. `mean` and `deviation` are room for
// one number a state.
static int passages(const Station *t, double *mean, double *deviation, bool *good, bool *bad,
                    Metastable *m, Err *e)
{
    int last = t->queue * t->orbit - 1;
    mark(t, 0, good_until(t), good);
    mark(t, bad_from(t), t->queue - 1, bad);
    int rc = ctmc_hitting(t->chain, good, mean, deviation, e);
    if (rc != 0) {
        return rc;
    }
    m->recovery_s = fmin(mean[last], METASTABLE_FOREVER_S);
    m->recovery_deviation_s = fmin(deviation[last], METASTABLE_FOREVER_S);
    // Every state leads to every other. Where the solver finds that the empty one never gets to a
    // full queue, its rate of getting there was too small for a double.
    Err never;
    rc = ctmc_hitting(t->chain, bad, mean, NULL, &never);
    if (rc != 0 && rc != ERR_ARG) {
        return err_set(e, (ErrCode)rc, "%s", never.text);
    }
    m->collapse_s = rc == 0 ? fmin(mean[0], METASTABLE_FOREVER_S) : METASTABLE_FOREVER_S;
    rc = ctmc_reach_before(t->chain, bad, good, mean, e);
    m->collapse_chance = rc == 0 ? mean[state_of(t, t->queue / 2, 0)] : 0;
    return rc;
}

// The same station with nobody in the orbit, ever.
static int drain(const RetryStation *s, double *ret, Err *e)
{
    RetryStation calm = *s;
    calm.retries = 0;
    Station t;
    int rc = station_init(&t, &calm, e);
    if (rc == 0) {
        double *mean = mem_alloc((size_t)t.queue * sizeof(double));
        bool *good = mem_alloc((size_t)t.queue * sizeof(bool));
        mark(&t, 0, good_until(&t), good);
        rc = ctmc_hitting(t.chain, good, mean, NULL, e);
        *ret = rc == 0 ? mean[t.queue - 1] : 0;
        free(mean);
        free(good);
    }
    station_done(&t);
    return rc;
}

static int memory(const Station *t, const double *pi, Metastable *m, Err *e)
{
    CtmcGap gap;
    int rc = ctmc_gap(t->chain, pi, &gap, e);
    if (rc == 0) {
        m->slow_rate = -gap.slowest;
        m->next_rate = -gap.next;
        m->mixing_s = log(100) / m->slow_rate;
        m->gap_converged = gap.converged;
    }
    return rc;
}

static int analyse(const Station *t, Metastable *m, Err *e)
{
    size_t n = (size_t)ctmc_states(t->chain);
    double *pi = mem_alloc(n * sizeof(double));
    double *spare = mem_alloc(n * sizeof(double));
    bool *good = mem_alloc(n * sizeof(bool));
    bool *bad = mem_alloc(n * sizeof(bool));
    int rc = ctmc_stationary(t->chain, pi, e);
    if (rc == 0) {
        long_run(t, pi, m);
        rc = memory(t, pi, m, e);
    }
    if (rc == 0) {
        rc = passages(t, pi, spare, good, bad, m, e);
    }
    free(pi);
    free(spare);
    free(good);
    free(bad);
    return rc;
}

int metastable_analyse(const RetryStation *s, Metastable *ret, Err *e)
{
    Metastable m = {0};
    Station t;
    int rc = station_init(&t, s, e);
    if (rc == 0) {
        rc = analyse(&t, &m, e);
    }
    station_done(&t);
    if (rc == 0) {
        rc = drain(s, &m.drain_s, e);
    }
    if (rc != 0) {
        return rc;
    }
    m.recovery_max_s = s->recovery_max_s > 0 ? s->recovery_max_s : 10 * m.drain_s;
    m.comes_back =
        s->arrival_rate < s->service_rate * s->servers && m.recovery_s <= m.recovery_max_s;
    *ret = m;
    return 0;
}

int metastable_after(const RetryStation *s, double seconds, double ret[2], Err *e)
{
    Station t;
    int rc = station_init(&t, s, e);
    if (rc == 0) {
        int n = t.queue * t.orbit;
        double *p = mem_zalloc((size_t)n * sizeof(double));
        p[0] = 1;
        rc = ctmc_transient(t.chain, seconds, p, e);
        for (int i = 0; rc == 0 && i < n; i++) {
            ret[0] = (i > 0 ? ret[0] : 0) + p[i] * (i / t.orbit);
            ret[1] = (i > 0 ? ret[1] : 0) + p[i] * (i % t.orbit);
        }
        free(p);
    }
    station_done(&t);
    return rc;
}
