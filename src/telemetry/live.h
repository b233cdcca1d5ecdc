// Live: what a collector's numbers did in the last interval: rates, percentiles, and the graph of
// who calls whom. For dashboards and people; /metrics and OTLP have the totals.
//
//     Live *live = live_create();
//     ... every 10 s: live_update(live, collector, now_ns);
//     live_json(live, &out);
//     live_graph_dot(live, &out);
//
// Percentiles are of the interval, from the difference of two histograms, so they have Hist's
// error of 0.4 %. For one thread.
#ifndef TELEMETRY_LIVE_H
#define TELEMETRY_LIVE_H

#include "telemetry/collector.h"

typedef struct Live Live;

Live *live_create(void);
void live_destroy(Live *live); // NULL is fine

// Ends the interval. The first call begins the first one. Series refer to the collector, which must
// outlive `live`.
void live_update(Live *live, const Collector *collector, int64_t now_ns);

// {"interval_s", "series": [{"metric", "kind", "labels", "total", "rate", "value", "p50", ...}]};
// times in seconds.
void live_json(const Live *live, Buf *out);

// ---- the service graph, from agent_call_duration_seconds{caller, callee, status} and
// agent_request_duration_seconds{agent_name, status}, breakers of
// agent_circuit_breaker_state{agent_name, edge}; rates of the last interval, 0 before there
// was one

typedef struct LiveStats {
    double rate_per_s;
    double errors_per_s;        // status other than "success"
    double p50_s, p95_s, p99_s; // of the interval, or of everything when nothing happened in it
    uint64_t total;
} LiveStats;

// {"nodes": [{"name", "rate", "error_rate", "p50", "p95", "p99", "total"}],
//  "edges": [{"from", "to", ...}]}; "breaker" where one has a circuit breaker
void live_graph_json(const Live *live, Buf *out);
// Graphviz; edges as wide as their share of the calls, red where calls fail.
void live_graph_dot(const Live *live, Buf *out);
// A picture for a browser, light or dark; beyond 150 nodes the busiest.
void live_graph_svg(const Live *live, Buf *out);

#endif
