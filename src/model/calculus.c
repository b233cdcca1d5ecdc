#include "model/calculus.h"

#include <math.h>

#include "base/buf.h"
#include "model/calculus_impl.h"

static bool in_range(const Curve *c)
{
    for (int i = 0; i < c->count; i++) {
        const CurvePiece *p = &c->piece[i];
        if (p->x > CALCULUS_VALUE_MAX || p->y > CALCULUS_VALUE_MAX ||
            p->slope > CALCULUS_VALUE_MAX) {
            return false;
        }
    }
    return true;
}

static int check_counts(const CalculusNetwork *n, Err *e)
{
    if (n->server_count < 1 || n->server_count > CALCULUS_SERVERS_MAX) {
        return err_set(e, ERR_ARG, "a network has 1 to %d servers, not %d", CALCULUS_SERVERS_MAX,
                       n->server_count);
    }
    if (n->flow_count < 1 || n->flow_count > CALCULUS_FLOWS_MAX) {
        return err_set(e, ERR_ARG, "a network has 1 to %d flows, not %d", CALCULUS_FLOWS_MAX,
                       n->flow_count);
    }
    for (int s = 0; s < n->server_count; s++) {
        const CalculusServer *server = &n->servers[s];
        if (!curve_is_service(&server->service) || !in_range(&server->service)) {
            return err_set(e, ERR_ARG,
                           "server \"%.*s\": its service curve is not convex from 0 and at most %g",
                           SLICE_FMT(server->name), CALCULUS_VALUE_MAX);
        }
    }
    return 0;
}

static int check_flow(const CalculusNetwork *n, int f, Err *e)
{
    const CalculusFlow *flow = &n->flows[f];
    if (!curve_is_arrival(&flow->arrival) || !in_range(&flow->arrival)) {
        return err_set(e, ERR_ARG, "flow \"%.*s\": its arrival curve is not concave and at most %g",
                       SLICE_FMT(flow->name), CALCULUS_VALUE_MAX);
    }
    if (flow->path_length < 1) {
        return err_set(e, ERR_ARG, "flow \"%.*s\" crosses no server", SLICE_FMT(flow->name));
    }
    for (int i = 0; i < flow->path_length; i++) {
        if (flow->path[i] < 0 || flow->path[i] >= n->server_count) {
            return err_set(e, ERR_ARG, "flow \"%.*s\": there is no server %d, they are 0 to %d",
                           SLICE_FMT(flow->name), flow->path[i], n->server_count - 1);
        }
    }
    return 0;
}

typedef struct Search {
    const CalculusNetwork *net;
    uint64_t next[CALCULUS_SERVERS_MAX]; // servers that some flow enters from here
    uint64_t done;                       // nothing behind these leads back
    uint64_t open;                       // on the way from the start to here
    int way[CALCULUS_SERVERS_MAX];
    int way_length;
} Search;

static int refuse_cycle(const Search *s, int again, Err *e)
{
    Buf text = buf_create(ERR_TEXT_MAX / 2);
    int i = 0;
    while (s->way[i] != again) {
        i++;
    }
    for (; i < s->way_length; i++) {
        buf_printf(&text, "%.*s -> ", SLICE_FMT(s->net->servers[s->way[i]].name));
    }
    Slice circle = buf_slice(&text);
    int rc = err_set(e, ERR_UNSUPPORTED,
                     "flows go in a circle, %.*s%.*s: these bounds need a feed-forward network; "
                     "simulate it, or cut a call out",
                     SLICE_FMT(circle), SLICE_FMT(s->net->servers[again].name));
    buf_done(&text);
    return rc;
}

// Depth first; at most CALCULUS_SERVERS_MAX deep.
static int visit(Search *s, int server, Err *e)
{
    s->open |= calculus_flow_bit(server);
    s->way[s->way_length++] = server;
    for (uint64_t rest = s->next[server] & ~s->done; rest != 0; rest &= rest - 1) {
        int next = __builtin_ctzll(rest);
        int rc = 0;
        if ((s->open & calculus_flow_bit(next)) != 0) {
            rc = refuse_cycle(s, next, e);
        } else if ((s->done & calculus_flow_bit(next)) == 0) {
            rc = visit(s, next, e);
        }
        if (rc != 0) {
            return rc;
        }
    }
    s->way_length--;
    s->open &= ~calculus_flow_bit(server);
    s->done |= calculus_flow_bit(server);
    return 0;
}

static int check_cycles(const CalculusNetwork *n, Err *e)
{
    Search s = {.net = n};
    for (int f = 0; f < n->flow_count; f++) {
        const CalculusFlow *flow = &n->flows[f];
        for (int i = 0; i + 1 < flow->path_length; i++) {
            s.next[flow->path[i]] |= calculus_flow_bit(flow->path[i + 1]);
        }
    }
    for (int server = 0; server < n->server_count; server++) {
        int rc = (s.done & calculus_flow_bit(server)) != 0 ? 0 : visit(&s, server, e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int check_stable(const Calculus *c, Err *e)
{
    for (int s = 0; s < c->net->server_count; s++) {
        double asked = 0;
        for (uint64_t rest = c->at[s]; rest != 0; rest &= rest - 1) {
            asked += curve_rate(&c->net->flows[__builtin_ctzll(rest)].arrival);
        }
        double given = curve_rate(&c->net->servers[s].service);
        if (asked > given * (1 + 1e-12)) {
            return err_set(
                e, ERR_UNSTABLE,
                "server \"%.*s\" is unstable: its flows bring %g per unit of time in the "
                "long run and it serves %g, so what waits grows without end; take %g "
                "away or add as much",
                SLICE_FMT(c->net->servers[s].name), asked, given, asked - given);
        }
    }
    return 0;
}

int calculus_create(const CalculusNetwork *network, Arena *arena, Calculus **ret, Err *e)
{
    int rc = check_counts(network, e);
    for (int f = 0; rc == 0 && f < network->flow_count; f++) {
        rc = check_flow(network, f, e);
    }
    // Before the places are noted: only in a network without circles has a server one per flow.
    if (rc == 0) {
        rc = check_cycles(network, e);
    }
    if (rc != 0) {
        return rc;
    }
    if (arena_left(arena) < 2 * sizeof(Calculus)) {
        return err_set(e, ERR_LIMIT, "the arena has no room for a network");
    }
    Calculus *c = ARENA_NEW(arena, Calculus);
    c->net = network;
    c->arena = arena;
    for (int f = 0; f < network->flow_count; f++) {
        const CalculusFlow *flow = &network->flows[f];
        for (int i = 0; i < flow->path_length; i++) {
            c->at[flow->path[i]] |= calculus_flow_bit(f);
            c->place[f][flow->path[i]] = (uint8_t)(i + 1);
        }
    }
    rc = check_stable(c, e);
    if (rc == 0) {
        *ret = c;
    }
    return rc;
}

static const char NO_ORDER[] =
    "a server on the path is asked for all that it gives, so that in arbitrary order a request may "
    "wait for ever";
static const char USED_UP[] = "other flows leave no service on the path in the worst case";

static CalculusFound total(Calculus *c, const CalculusQuery *q, const CalculusFlow *flow,
                           CalculusBound *b)
{
    for (int i = 0; i < flow->path_length; i++) {
        int s = flow->path[i];
        const Curve *all;
        CalculusFound f = calculus_arrival(c, q, s, c->at[s], &all);
        if (f != CALCULUS_FOUND) {
            return f;
        }
        const Curve *service = &c->net->servers[s].service;
        double delay;
        double backlog;
        // A flow that has the server to itself is in order with itself.
        bool in_order = q->order == CALCULUS_FIFO || (c->at[s] & (c->at[s] - 1)) == 0;
        if (!curve_backlog(all, service, &backlog)) {
            return CALCULUS_UNBOUNDED;
        }
        b->backlog = fmax(b->backlog, backlog);
        if (!(in_order ? curve_delay(all, service, &delay) : curve_busy(all, service, &delay))) {
            b->delay_bounded = false;
            b->why = NO_ORDER;
            continue;
        }
        b->delay += delay;
    }
    return CALCULUS_FOUND;
}

static CalculusFound separate(Calculus *c, const CalculusQuery *q, int flow, CalculusBound *b)
{
    const CalculusFlow *own = &c->net->flows[flow];
    Curve path = {0};
    for (int i = 0; i < own->path_length; i++) {
        int s = own->path[i];
        const Curve *cross;
        CalculusFound f = calculus_arrival(c, q, s, c->at[s] & ~calculus_flow_bit(flow), &cross);
        if (f != CALCULUS_FOUND) {
            return f;
        }
        Curve left = calculus_leftover(q, &c->net->servers[s].service, cross);
        path = i == 0 ? left : curve_tandem(&path, &left);
    }
    bool ok = curve_delay(&own->arrival, &path, &b->delay) &&
              curve_backlog(&own->arrival, &path, &b->backlog);
    return ok ? CALCULUS_FOUND : CALCULUS_UNBOUNDED;
}

static CalculusFound pmoo(Calculus *c, const CalculusQuery *q, int flow, CalculusBound *b)
{
    const CalculusFlow *own = &c->net->flows[flow];
    CalculusLine lines[CALCULUS_COMBINATIONS_MAX];
    int count;
    CalculusFound f =
        calculus_pmoo(c, q, own->path, own->path_length, calculus_flow_bit(flow), lines, &count);
    if (f != CALCULUS_FOUND) {
        return f;
    }
    b->delay = INFINITY;
    b->backlog = INFINITY;
    for (int i = 0; i < count; i++) {
        Curve path = curve_rate_latency(lines[i].rate, lines[i].latency);
        double delay;
        double backlog;
        if (curve_delay(&own->arrival, &path, &delay) &&
            curve_backlog(&own->arrival, &path, &backlog)) {
            b->delay = fmin(b->delay, delay);
            b->backlog = fmin(b->backlog, backlog);
        }
    }
    return isfinite(b->delay) ? CALCULUS_FOUND : CALCULUS_UNBOUNDED;
}

int calculus_bound(Calculus *c, int flow, const CalculusOptions *options, CalculusBound *ret,
                   Err *e)
{
    if (flow < 0 || flow >= c->net->flow_count) {
        return err_set(e, ERR_ARG, "there is no flow %d, they are 0 to %d", flow,
                       c->net->flow_count - 1);
    }
    bool fifo = options->order == CALCULUS_FIFO;
    if (fifo && options->method == CALCULUS_PMOO) {
        return err_set(e, ERR_UNSUPPORTED,
                       "PMOO is for arbitrary order; use the separate flow analysis for FIFO");
    }
    bool comes_last = options->method != CALCULUS_TOTAL && (!fifo || options->as_published_fifo);
    CalculusQuery q = {options->order, options->cross, comes_last ? flow : -1};
    CalculusBound b = {.delay_bounded = true, .backlog_bounded = true};
    CalculusFound f = CALCULUS_FOUND;
    switch (options->method) {
    case CALCULUS_TOTAL: f = total(c, &q, &c->net->flows[flow], &b); break;
    case CALCULUS_SEPARATE: f = separate(c, &q, flow, &b); break;
    case CALCULUS_PMOO: f = pmoo(c, &q, flow, &b); break;
    }
    if (f == CALCULUS_NO_ROOM) {
        return err_set(
            e, ERR_LIMIT,
            "the network needs more than %d bounds on cross traffic, or more memory than "
            "the arena has",
            CALCULUS_WORK_MAX);
    }
    if (f == CALCULUS_UNBOUNDED) {
        b = (CalculusBound){.why = USED_UP};
    } else if (!b.delay_bounded) {
        b.delay = 0;
    }
    *ret = b;
    return 0;
}

// The way that every flow through `server` takes from its start must be the only way from there.
static int check_tree(const Calculus *c, int server, Err *e)
{
    int next[CALCULUS_SERVERS_MAX];
    for (int s = 0; s < c->net->server_count; s++) {
        next[s] = -1;
    }
    uint64_t seen = c->at[server];
    for (uint64_t rest = seen; rest != 0; rest &= rest - 1) {
        int f = __builtin_ctzll(rest);
        const CalculusFlow *flow = &c->net->flows[f];
        for (int i = 0; flow->path[i] != server; i++) {
            int s = flow->path[i];
            bool parts = next[s] >= 0 && next[s] != flow->path[i + 1];
            if (parts || (c->at[s] & ~seen) != 0) {
                return err_set(e, ERR_UNSUPPORTED,
                               "flows part at server \"%.*s\": what leads to \"%.*s\" is no tree",
                               SLICE_FMT(c->net->servers[s].name),
                               SLICE_FMT(c->net->servers[server].name));
            }
            next[s] = flow->path[i + 1];
        }
    }
    return 0;
}

int calculus_tree_backlog(const Calculus *c, int server, double *ret, Err *e)
{
    if (server < 0 || server >= c->net->server_count) {
        return err_set(e, ERR_ARG, "there is no server %d, they are 0 to %d", server,
                       c->net->server_count - 1);
    }
    int rc = check_tree(c, server, e);
    if (rc != 0) {
        return rc;
    }
    double sum = 0;
    for (uint64_t rest = c->at[server]; rest != 0; rest &= rest - 1) {
        const CalculusFlow *flow = &c->net->flows[__builtin_ctzll(rest)];
        double latency = 0;
        for (int i = 0; i < c->place[flow - c->net->flows][server]; i++) {
            const Curve *s = &c->net->servers[flow->path[i]].service;
            if (s->count > 2 || (s->count == 2 && s->piece[0].slope > 0) || curve_rate(s) == 0) {
                return err_set(e, ERR_UNSUPPORTED, "server \"%.*s\" is not one rate-latency",
                               SLICE_FMT(c->net->servers[flow->path[i]].name));
            }
            latency += curve_latency(s);
        }
        if (flow->arrival.count > 1) {
            return err_set(e, ERR_UNSUPPORTED, "flow \"%.*s\" is not one token bucket",
                           SLICE_FMT(flow->name));
        }
        sum += curve_burst(&flow->arrival) + curve_rate(&flow->arrival) * latency;
    }
    *ret = sum;
    return 0;
}
