// A simulation over time as one SVG file: goodput and latency of every client, what waits at every
// agent. Means over the replications; a file of its own, with its style inside.
#ifndef CLI_SIMULATE_PLOT_H
#define CLI_SIMULATE_PLOT_H

#include "base/buf.h"
#include "model/sim.h"

void simulate_plot(const System *sys, const SimResult *result, Buf *out);

#endif
