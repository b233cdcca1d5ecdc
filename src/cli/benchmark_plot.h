// Times as people read them, and small pictures of samples for a terminal.
#ifndef CLI_BENCHMARK_PLOT_H
#define CLI_BENCHMARK_PLOT_H

#include "base/arena.h"
#include "base/buf.h"

Slice plot_seconds(Arena *arena, double seconds); // "12.3 ms"; "-" for none
// One line of bars over the range of the values, with its ends. Nothing for fewer than five values.
void plot_histogram(Buf *out, const double *values, size_t count, int columns);
// A line of dots on a given axis: where each value lies; darker where several do.
void plot_strip(Buf *out, const char *name, const double *values, size_t count, double low,
                double high, int columns);

#endif
