// A bus that fails on purpose: messages are lost, doubled, delayed and reordered by chance from a
// seed, and agents are cut off from each other. It wraps a connection of any backend.
//
//     FaultPlan plan = {.seed = 7, .lose = 0.1, .duplicate = 0.1, .delay = 0.3,
//                       .delay_ns_max = NS_PER_S};
//     rc = faulty_wrap(inner, &plan, &bus, e);       // `bus` owns `inner` now
//     fault_cut(&plan, SLICE("a"), SLICE("b"));      // nothing passes until fault_heal
//
// The plan may change while it is used and must outlive the connections; all of them belong to one
// thread. With equal seeds, names and calls the same messages fail.
#ifndef BUS_FAULTY_H
#define BUS_FAULTY_H

#include "bus/bus.h"

enum {
    FAULT_CUTS_MAX = 16,
    FAULT_HELD_MAX = 4096, // delayed messages of one connection; past it they are lost
};

typedef struct FaultPlan {
    uint64_t seed;
    double lose, duplicate, delay; // share of the messages published, 0..1 each
    // A delayed message waits a uniform time up to this, so it is overtaken by later ones: that is
    // how the order changes, too.
    int64_t delay_ns_max;
    struct FaultCut {
        char a[BUS_NAME_MAX + 1], b[BUS_NAME_MAX + 1];
    } cuts[FAULT_CUTS_MAX];
    size_t cut_count;
    uint64_t lost, doubled, delayed, stopped; // what was done; `stopped` by cuts
} FaultPlan;

// Both ways. ERR_ARG for a name past its limit; ERR_LIMIT past FAULT_CUTS_MAX.
MUST_USE int fault_cut(FaultPlan *plan, Slice a, Slice b, Err *e);
void fault_heal(FaultPlan *plan); // all cuts

// `inner` must be fresh: no subscriptions, not attached. On an error it stays the caller's.
MUST_USE int faulty_wrap(Bus *inner, FaultPlan *plan, Bus **ret_bus, Err *e);

#endif
