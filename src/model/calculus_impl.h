// Inside network calculus: the checked network, and bounds on traffic inside of it.
#ifndef MODEL_CALCULUS_IMPL_H
#define MODEL_CALCULUS_IMPL_H

#include "model/calculus.h"

typedef struct CalculusMemo CalculusMemo;

enum { CALCULUS_MEMO_BUCKETS = 256, CALCULUS_COMBINATIONS_MAX = 64 };

struct Calculus {
    const CalculusNetwork *net;
    Arena *arena;
    uint64_t at[CALCULUS_SERVERS_MAX]; // set of flows that visit the server
    // Place of the server on the flow's path, from 1; 0: not on it.
    uint8_t place[CALCULUS_FLOWS_MAX][CALCULUS_SERVERS_MAX];
    CalculusMemo *memo[CALCULUS_MEMO_BUCKETS];
    int memo_count;
};

// Neither unbounded nor out of room is an error of the network: the caller decides.
typedef enum CalculusFound { CALCULUS_FOUND, CALCULUS_UNBOUNDED, CALCULUS_NO_ROOM } CalculusFound;

// One question: the options, and the flow that is served last (-1: none is).
typedef struct CalculusQuery {
    CalculusOrder order;
    CalculusCross cross;
    int last;
} CalculusQuery;

static inline uint64_t calculus_flow_bit(int flow)
{
    return flow < 0 ? 0 : UINT64_C(1) << flow;
}

// The server before `server` on the flow's path; -1 where the flow begins.
static inline int calculus_before(const Calculus *c, int flow, int server)
{
    int place = c->place[flow][server];
    return place > 1 ? c->net->flows[flow].path[place - 2] : -1;
}

// Arrival curve of the flows of `set` together at `server`. *ret lives in the arena.
CalculusFound calculus_arrival(Calculus *c, const CalculusQuery *q, int server, uint64_t set,
                               const Curve **ret);

typedef struct CalculusLine {
    double rate;
    double latency;
} CalculusLine;

// PMOO: rate-latency curves, each of which the servers path[0..n) together leave to the flows of
// `own`. `lines` has room for CALCULUS_COMBINATIONS_MAX.
CalculusFound calculus_pmoo(Calculus *c, const CalculusQuery *q, const int *path, int n,
                            uint64_t own, CalculusLine *lines, int *ret_count);

Curve calculus_leftover(const CalculusQuery *q, const Curve *service, const Curve *cross);

#endif
