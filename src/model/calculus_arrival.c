// Bounds on traffic inside the network, by recursion upstream.
//
// The traffic of a set of flows at a server is what begins there plus, for every server that feeds
// it, what comes over that edge. Flows that come over one edge are treated as one for as far back
// as they have been together: one leftover, one output, one burst, instead of one each (Bondorf and
// Schmitt, "Boosting sensor network calculus by thoroughly bounding cross-traffic", 2015). Behind
// the place where they met, each of their groups is a question of its own, so the recursion ends
// where the flows begin; the network has no cycles.
#include "model/calculus_impl.h"

#include <assert.h>
#include <math.h>

// Where bounds have grown past any use the arithmetic would soon be past its range.
#define USELESS 1e100

struct CalculusMemo {
    CalculusMemo *next;
    uint64_t set;
    int server, last, mode;
    CalculusFound found;
    Curve curve;
};

static CalculusMemo **memo_bucket(Calculus *c, int server, uint64_t set, int last, int mode)
{
    uint64_t h = set * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ (uint64_t)(server * 131 + last * 8 + mode)) * UINT64_C(0x9e3779b97f4a7c15);
    return &c->memo[h >> 56];
}

static CalculusMemo *memo_find(Calculus *c, const CalculusQuery *q, int server, uint64_t set)
{
    int mode = (int)q->order * 4 + (int)q->cross;
    CalculusMemo *m = *memo_bucket(c, server, set, q->last, mode);
    while (m != NULL &&
           (m->set != set || m->server != server || m->last != q->last || m->mode != mode)) {
        m = m->next;
    }
    return m;
}

static CalculusMemo *memo_add(Calculus *c, const CalculusQuery *q, int server, uint64_t set)
{
    // Twice the size: the arena pads, and starts a new block where the old one is too short.
    if (c->memo_count == CALCULUS_WORK_MAX || arena_left(c->arena) < 2 * sizeof(CalculusMemo)) {
        return NULL;
    }
    int mode = (int)q->order * 4 + (int)q->cross;
    CalculusMemo **bucket = memo_bucket(c, server, set, q->last, mode);
    CalculusMemo *m = ARENA_NEW(c->arena, CalculusMemo);
    *m = (CalculusMemo){.next = *bucket,
                        .set = set,
                        .server = server,
                        .last = q->last,
                        .mode = mode,
                        .curve = curve_token_bucket(0, 0)};
    *bucket = m;
    c->memo_count++;
    return m;
}

Curve calculus_leftover(const CalculusQuery *q, const Curve *service, const Curve *cross)
{
    return q->order == CALCULUS_FIFO ? curve_leftover_fifo(service, cross)
                                     : curve_leftover_arbitrary(service, cross);
}

static CalculusFound output(const Curve *arrival, const Curve *service, Curve *ret)
{
    if (!curve_output(arrival, service, ret) || !(curve_burst(ret) < USELESS)) {
        return CALCULUS_UNBOUNDED;
    }
    return CALCULUS_FOUND;
}

// The servers that all of `set` cross together before they reach `server` over the edge from
// `from`, in order; returns how many.
static int common_path(const Calculus *c, uint64_t set, int from, int *path)
{
    int reversed[CALCULUS_SERVERS_MAX];
    int n = 0;
    for (int s = from; s >= 0;) {
        assert(n < CALCULUS_SERVERS_MAX);
        reversed[n++] = s;
        int before = calculus_before(c, __builtin_ctzll(set), s);
        for (uint64_t rest = set; rest != 0 && before >= 0; rest &= rest - 1) {
            before = calculus_before(c, __builtin_ctzll(rest), s) == before ? before : -1;
        }
        s = before;
    }
    for (int i = 0; i < n; i++) {
        path[i] = reversed[n - 1 - i];
    }
    return n;
}

static CalculusFound over_servers(Calculus *c, const CalculusQuery *q, const int *path, int n,
                                  uint64_t set, Curve *inout)
{
    for (int i = 0; i < n; i++) {
        const Curve *cross;
        uint64_t others = c->at[path[i]] & ~set & ~calculus_flow_bit(q->last);
        CalculusFound f = calculus_arrival(c, q, path[i], others, &cross);
        if (f != CALCULUS_FOUND) {
            return f;
        }
        Curve left = calculus_leftover(q, &c->net->servers[path[i]].service, cross);
        Curve out;
        f = output(inout, &left, &out);
        if (f != CALCULUS_FOUND) {
            return f;
        }
        *inout = out;
    }
    return CALCULUS_FOUND;
}

static CalculusFound over_pmoo(Calculus *c, const CalculusQuery *q, const int *path, int n,
                               uint64_t set, Curve *inout)
{
    CalculusLine lines[CALCULUS_COMBINATIONS_MAX];
    int count;
    CalculusFound f = calculus_pmoo(c, q, path, n, set, lines, &count);
    if (f != CALCULUS_FOUND) {
        return f;
    }
    Curve best;
    bool any = false;
    for (int i = 0; i < count; i++) {
        Curve service = curve_rate_latency(lines[i].rate, lines[i].latency);
        Curve out;
        if (output(inout, &service, &out) == CALCULUS_FOUND) {
            best = any ? curve_arrival_min(&best, &out) : out;
            any = true;
        }
    }
    if (!any) {
        return CALCULUS_UNBOUNDED;
    }
    *inout = best;
    return CALCULUS_FOUND;
}

// What comes over the edge from `from`. All of `set` does.
static CalculusFound over_edge(Calculus *c, const CalculusQuery *q, int from, uint64_t set,
                               Curve *ret)
{
    int path[CALCULUS_SERVERS_MAX];
    int n = common_path(c, set, from, path);
    const Curve *begin;
    CalculusFound f = calculus_arrival(c, q, path[0], set, &begin);
    if (f != CALCULUS_FOUND) {
        return f;
    }
    Curve by_server = *begin;
    Curve by_pmoo = *begin;
    bool pmoo = q->order != CALCULUS_FIFO && q->cross != CALCULUS_CROSS_PER_SERVER;
    bool servers = !pmoo || q->cross == CALCULUS_CROSS_BEST;
    CalculusFound fs = servers ? over_servers(c, q, path, n, set, &by_server) : CALCULUS_UNBOUNDED;
    CalculusFound fp = pmoo ? over_pmoo(c, q, path, n, set, &by_pmoo) : CALCULUS_UNBOUNDED;
    if (fs == CALCULUS_NO_ROOM || fp == CALCULUS_NO_ROOM) {
        return CALCULUS_NO_ROOM;
    }
    if (fs == CALCULUS_FOUND && fp == CALCULUS_FOUND) {
        *ret = curve_arrival_min(&by_server, &by_pmoo);
    } else if (fs == CALCULUS_FOUND || fp == CALCULUS_FOUND) {
        *ret = fs == CALCULUS_FOUND ? by_server : by_pmoo;
    } else {
        return CALCULUS_UNBOUNDED;
    }
    return CALCULUS_FOUND;
}

static CalculusFound arrival(Calculus *c, const CalculusQuery *q, int server, uint64_t set,
                             Curve *ret)
{
    Curve sum = curve_token_bucket(0, 0);
    while (set != 0) {
        int first = __builtin_ctzll(set);
        int from = calculus_before(c, first, server);
        uint64_t together = 0;
        for (uint64_t rest = set; rest != 0; rest &= rest - 1) {
            int flow = __builtin_ctzll(rest);
            together |= calculus_before(c, flow, server) == from ? calculus_flow_bit(flow) : 0;
        }
        set &= ~together;
        if (from < 0) {
            for (; together != 0; together &= together - 1) {
                sum = curve_sum(&sum, &c->net->flows[__builtin_ctzll(together)].arrival);
            }
            continue;
        }
        // The flow that is served last delays nobody on the edges that it uses itself. A flow that
        // has parted from it may have been delayed by it before: there it counts as any other.
        CalculusQuery upstream = *q;
        if (q->last >= 0 &&
            (c->place[q->last][server] == 0 || calculus_before(c, q->last, server) != from)) {
            upstream.last = -1;
        }
        Curve part;
        CalculusFound f = over_edge(c, &upstream, from, together, &part);
        if (f != CALCULUS_FOUND) {
            return f;
        }
        sum = curve_sum(&sum, &part);
    }
    *ret = sum;
    return CALCULUS_FOUND;
}

CalculusFound calculus_arrival(Calculus *c, const CalculusQuery *q, int server, uint64_t set,
                               const Curve **ret)
{
    CalculusMemo *m = memo_find(c, q, server, set);
    if (m == NULL) {
        m = memo_add(c, q, server, set);
        if (m == NULL) {
            return CALCULUS_NO_ROOM;
        }
        m->found = arrival(c, q, server, set, &m->curve);
    }
    *ret = &m->curve;
    return m->found;
}
