// Delay and backlog bounds of feed-forward networks: flows with arrival curves cross servers with
// service curves, and no sample path whatsoever exceeds what this answers.
//
// Three analyses (docs/internals/network-calculus.md tells them apart and says where they come
// from):
//   total flow     every server by itself, all its traffic together; the delays add up
//   separate flow  what each server leaves to the flow, put in a row: pays for the own burst once
//   PMOO           pays also for every cross flow's burst only once, by one formula for the path
//
// The servers' order of service is either that of arrival (FIFO) or unknown (arbitrary). Bounds for
// the arbitrary order hold for FIFO as well. PMOO exists for the arbitrary order only.
//
//     Arena *a = arena_create(CALCULUS_ARENA_BYTES);
//     Calculus *c;
//     if (calculus_create(&network, a, &c, e) != 0) { ... cyclic, or unstable, and where ... }
//     CalculusBound b;
//     if (calculus_bound(c, 0, &(CalculusOptions){.method = CALCULUS_SEPARATE}, &b, e) != 0) ...
//
// The network, its curves, paths and names are borrowed and must outlive the Calculus, which lives
// in the arena. One thread at a time. What it finds out about cross traffic it keeps, so asking
// for every flow of a network costs little more than asking for the dearest.
#ifndef MODEL_CALCULUS_H
#define MODEL_CALCULUS_H

#include "base/arena.h"
#include "model/curve.h"

enum {
    CALCULUS_SERVERS_MAX = 64,
    CALCULUS_FLOWS_MAX = 64,
    // Bounds on cross traffic that are remembered; needing more is ERR_LIMIT. They are what fills
    // the arena.
    CALCULUS_WORK_MAX = 8192,
    CALCULUS_ARENA_BYTES = 8 << 20,
};
// Largest coordinate or slope of a curve, and smallest positive rate of a server.
#define CALCULUS_VALUE_MAX 1e15

typedef struct CalculusServer {
    Slice name;
    Curve service; // strict: what a server that has work gives in any stretch of busy time
} CalculusServer;

typedef struct CalculusFlow {
    Slice name;
    Curve arrival;
    const int *path; // indices of servers, in order
    int path_length; // >= 1
} CalculusFlow;

typedef struct CalculusNetwork {
    const CalculusServer *servers;
    int server_count;
    const CalculusFlow *flows;
    int flow_count;
} CalculusNetwork;

typedef enum CalculusMethod { CALCULUS_TOTAL, CALCULUS_SEPARATE, CALCULUS_PMOO } CalculusMethod;
typedef enum CalculusOrder { CALCULUS_ARBITRARY, CALCULUS_FIFO } CalculusOrder;
// How cross traffic is bounded where it comes from another server: server by server, or with the
// PMOO formula over the stretch that it shares. Neither is always better; BEST takes the minimum.
// FIFO has only the first.
typedef enum CalculusCross {
    CALCULUS_CROSS_BEST,
    CALCULUS_CROSS_PER_SERVER,
    CALCULUS_CROSS_PMOO
} CalculusCross;

typedef struct CalculusOptions {
    CalculusMethod method;
    CalculusOrder order;
    CalculusCross cross;
    // In arbitrary order the flow itself may be taken to come last, so it does not disturb its own
    // cross traffic. The DNC tool takes the same liberty under FIFO, where nothing proves it. Only
    // for comparison with the numbers it has published.
    bool as_published_fifo;
} CalculusOptions;

typedef struct CalculusBound {
    bool delay_bounded;   // false: this analysis has no finite bound here; `why` says the reason
    bool backlog_bounded; //
    double delay;         // from the flow's first server to behind its last
    double backlog;  // separate, PMOO: the flow's own; total: the largest of a server's on the path
    const char *why; // NULL where both are bounded
} CalculusBound;

typedef struct Calculus Calculus;

// ERR_ARG for a curve of the wrong shape, a path to nowhere or a count outside its limit;
// ERR_UNSUPPORTED for flows that together go in a circle, naming it; ERR_UNSTABLE for a server
// that is asked for more than it gives, naming it with both rates.
MUST_USE int calculus_create(const CalculusNetwork *network, Arena *arena, Calculus **ret, Err *e);

// ERR_ARG for a flow that is not there, ERR_UNSUPPORTED for PMOO under FIFO, ERR_LIMIT past
// CALCULUS_WORK_MAX or the end of the arena.
MUST_USE int calculus_bound(Calculus *c, int flow, const CalculusOptions *options,
                            CalculusBound *ret, Err *e);

// Backlog of a server at which every flow that ever comes near ends or passes on along one tree:
// each flow's burst and what it sends during the latencies on its way (Schmitt, Zdarsky, Fidler:
// "Delay bounds under arbitrary multiplexing", 2008, for sink trees). ERR_UNSUPPORTED where two of
// its flows part and meet again or leave before it, or a curve is not one bucket or one
// rate-latency.
MUST_USE int calculus_tree_backlog(const Calculus *c, int server, double *ret, Err *e);

#endif
