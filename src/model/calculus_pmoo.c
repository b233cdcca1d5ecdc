// Pay multiplexing only once: one leftover rate-latency for a whole path (Schmitt, Zdarsky,
// Martinovic: "Improving performance bounds in feed-forward networks by paying multiplexing only
// once", 2008).
//
// With servers (R_i, T_i) on the path and cross flows (r_k, b_k), each over a stretch P_k of it,
// the path leaves
//
//     R = min over i of (R_i - sum of r_k at i)
//     T = sum of T_i + sum over k of (b_k + r_k * sum of T_i on P_k) / R
//
// to the flow under study in arbitrary order, each b_k once however many servers k shares. Cross
// flows with the same stretch are one; a flow that leaves the path and returns is two.
//
// Curves with several pieces are the minimum of their buckets and the maximum of their
// rate-latencies, so every choice of one line each gives a curve that holds; the caller takes the
// best of all that it tries.
#include "model/calculus_impl.h"

#include <assert.h>

enum { GROUPS_MAX = 128 };

typedef struct Group {
    uint64_t set;
    int from, to; // places on the path
    const Curve *arrival;
} Group;

typedef struct Groups {
    int count;
    Group group[GROUPS_MAX];
} Groups;

// How far the flow stays with the path from path[i] on.
static int stretch_end(const Calculus *c, int flow, const int *path, int n, int i)
{
    while (i + 1 < n && c->place[flow][path[i + 1]] == c->place[flow][path[i]] + 1) {
        i++;
    }
    return i;
}

static CalculusFound add_to_group(Groups *g, int flow, int from, int to)
{
    for (int k = 0; k < g->count; k++) {
        if (g->group[k].from == from && g->group[k].to == to) {
            g->group[k].set |= calculus_flow_bit(flow);
            return CALCULUS_FOUND;
        }
    }
    if (g->count == GROUPS_MAX) {
        return CALCULUS_NO_ROOM;
    }
    g->group[g->count++] = (Group){.set = calculus_flow_bit(flow), .from = from, .to = to};
    return CALCULUS_FOUND;
}

static CalculusFound find_groups(Calculus *c, const CalculusQuery *q, const int *path, int n,
                                 uint64_t own, Groups *g)
{
    for (int i = 0; i < n; i++) {
        uint64_t cross = c->at[path[i]] & ~own & ~calculus_flow_bit(q->last);
        for (; cross != 0; cross &= cross - 1) {
            int flow = __builtin_ctzll(cross);
            if (i > 0 && calculus_before(c, flow, path[i]) == path[i - 1]) {
                continue; // here since an earlier server of the path
            }
            int to = stretch_end(c, flow, path, n, i);
            if (add_to_group(g, flow, i, to) != CALCULUS_FOUND) {
                return CALCULUS_NO_ROOM;
            }
        }
    }
    for (int k = 0; k < g->count; k++) {
        Group *one = &g->group[k];
        CalculusFound f = calculus_arrival(c, q, path[one->from], one->set, &one->arrival);
        if (f != CALCULUS_FOUND) {
            return f;
        }
    }
    return CALCULUS_FOUND;
}

// Which piece of every curve is in use: servers first, then groups.
typedef struct Choice {
    int8_t piece[CALCULUS_SERVERS_MAX + GROUPS_MAX];
} Choice;

static CalculusLine server_line(const Calculus *c, int server, int piece)
{
    const Curve *s = &c->net->servers[server].service;
    const CurvePiece *p = &s->piece[piece];
    return (CalculusLine){p->slope, p->slope > 0 ? p->x - p->y / p->slope : 0};
}

static bool combine(const Calculus *c, const int *path, int n, const Groups *g,
                    const Choice *choice, CalculusLine *ret)
{
    double rate_left = CALCULUS_VALUE_MAX;
    double latency = 0;
    for (int i = 0; i < n; i++) {
        CalculusLine line = server_line(c, path[i], choice->piece[i]);
        double left = line.rate;
        for (int k = 0; k < g->count; k++) {
            if (g->group[k].from <= i && i <= g->group[k].to) {
                left -= g->group[k].arrival->piece[choice->piece[n + k]].slope;
            }
        }
        if (left <= 1e-12 * line.rate) {
            return false;
        }
        rate_left = left < rate_left ? left : rate_left;
        latency += line.latency;
    }
    double owed = 0;
    for (int k = 0; k < g->count; k++) {
        const CurvePiece *p = &g->group[k].arrival->piece[choice->piece[n + k]];
        double on_path = 0;
        for (int i = g->group[k].from; i <= g->group[k].to; i++) {
            on_path += server_line(c, path[i], choice->piece[i]).latency;
        }
        owed += p->y - p->slope * p->x + p->slope * on_path;
    }
    *ret = (CalculusLine){rate_left, latency + owed / rate_left};
    return ret->latency < 1e100;
}

static int pieces(const Calculus *c, const int *path, int n, const Groups *g, int k)
{
    return k < n ? c->net->servers[path[k]].service.count : g->group[k - n].arrival->count;
}

CalculusFound calculus_pmoo(Calculus *c, const CalculusQuery *q, const int *path, int n,
                            uint64_t own, CalculusLine *lines, int *ret_count)
{
    Groups g = {0};
    CalculusFound f = find_groups(c, q, path, n, own, &g);
    if (f != CALCULUS_FOUND) {
        return f;
    }
    // The ultimate lines first: they alone bound the long run. Then as many others as there is room
    // for, counting down like an odometer.
    Choice choice;
    for (int k = 0; k < n + g.count; k++) {
        choice.piece[k] = (int8_t)(pieces(c, path, n, &g, k) - 1);
    }
    int count = 0;
    for (int tried = 0; tried < CALCULUS_COMBINATIONS_MAX; tried++) {
        count += combine(c, path, n, &g, &choice, &lines[count]);
        int k = 0;
        while (k < n + g.count && choice.piece[k] == 0) {
            choice.piece[k] = (int8_t)(pieces(c, path, n, &g, k) - 1);
            k++;
        }
        if (k == n + g.count) {
            break;
        }
        choice.piece[k]--;
    }
    *ret_count = count;
    return count > 0 ? CALCULUS_FOUND : CALCULUS_UNBOUNDED;
}
