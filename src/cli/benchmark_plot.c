#include "cli/benchmark_plot.h"

#include <math.h>
#include <string.h>

#include "base/units.h"

enum { CELLS_MAX = 60, CELLS_MIN = 10, MARGIN = 34, VALUES_MIN = 5 };

Slice plot_seconds(Arena *arena, double seconds)
{
    if (!isfinite(seconds)) {
        return SLICE("-");
    }
    if (seconds >= 1) {
        return arena_printf(arena, "%.3f s", seconds);
    }
    if (seconds >= 1e-3) {
        return arena_printf(arena, "%.*f ms", seconds < 0.1 ? 2 : 1, seconds * 1e3);
    }
    return arena_printf(arena, "%.1f us", seconds * 1e6);
}

static size_t cells(int columns)
{
    int n = columns - MARGIN;
    return (size_t)(n < CELLS_MIN ? CELLS_MIN : n > CELLS_MAX ? CELLS_MAX : n);
}

static void count_cells(const double *values, size_t count, double low, double high, size_t n,
                        unsigned counts[CELLS_MAX])
{
    memset(counts, 0, CELLS_MAX * sizeof counts[0]);
    for (size_t i = 0; i < count; i++) {
        double at = high > low ? (values[i] - low) / (high - low) : 0.5;
        double cell = floor(at * (double)n);
        counts[cell < 0 ? 0 : cell >= (double)n ? n - 1 : (size_t)cell]++;
    }
}

// `levels` ends with the highest; the first is for none.
static void put_cells(Buf *out, const unsigned counts[CELLS_MAX], size_t n,
                      const char *const *levels, size_t level_count)
{
    unsigned most = 1;
    for (size_t i = 0; i < n; i++) {
        most = counts[i] > most ? counts[i] : most;
    }
    for (size_t i = 0; i < n; i++) {
        size_t level = (counts[i] * (level_count - 1) + most - 1) / most;
        buf_puts(out, levels[level]);
    }
}

void plot_histogram(Buf *out, const double *values, size_t count, int columns)
{
    static const char *const BARS[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    if (count < VALUES_MIN) {
        return;
    }
    double low = values[0], high = values[0];
    for (size_t i = 1; i < count; i++) {
        low = fmin(low, values[i]);
        high = fmax(high, values[i]);
    }
    // More cells than this would show single values.
    size_t n = cells(columns);
    n = n > count ? count : n;
    unsigned counts[CELLS_MAX];
    count_cells(values, count, low, high, n, counts);
    buf_puts(out, "  spread   |");
    put_cells(out, counts, n, BARS, COUNT_OF(BARS));
    buf_puts(out, "|\n");
}

void plot_strip(Buf *out, const char *name, const double *values, size_t count, double low,
                double high, int columns)
{
    static const char *const DOTS[] = {" ", "·", ":", "*", "#"};
    unsigned counts[CELLS_MAX];
    size_t n = cells(columns);
    count_cells(values, count, low, high, n, counts);
    buf_printf(out, "  %-10s |", name);
    put_cells(out, counts, n, DOTS, COUNT_OF(DOTS));
    buf_puts(out, "|\n");
}
