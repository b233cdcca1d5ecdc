// The service graph out of a Live's series; for live_graph.c and live_svg.c.
#ifndef TELEMETRY_LIVE_GRAPH_H
#define TELEMETRY_LIVE_GRAPH_H

#include "base/map.h"
#include "telemetry/live.h"

typedef struct LiveSeen {
    Hist *before; // trends: the total at the beginning of the interval
    Hist *window; // and what came since
    int64_t count_before;
    double rate;
} LiveSeen;

struct Live {
    const Collector *collector;
    LiveSeen *seen; // by series id
    size_t count;
    int64_t begin_ns;
    double interval_s;
    bool begun;
};

// A node or, with two names, an edge.
typedef struct GraphPart {
    Slice from, to;
    LiveStats stats;
    Hist all, window;
    int breaker; // agent_circuit_breaker_state; -1: none
} GraphPart;

typedef struct LiveGraph {
    GraphPart **parts; // nodes first met first, then edges
    size_t count;
    Map by_name;
    Arena *arena;
} LiveGraph;

LiveGraph live_graph_make(const Live *live);
void live_graph_done(LiveGraph *graph);
// "closed", "open", "half open"; NULL for a part without a breaker.
const char *graph_breaker_name(const GraphPart *part);

#endif
