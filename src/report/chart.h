// The parts that the report's charts are made of: a frame with axes, lines with direct labels, and
// the invisible strips that give a tool tip for each step of time without a script.
//
//     Chart c = chart_begin(out, arena, "Latency", "p95 rose from 41 to 63 ms at 0:36");
//     chart_x_time(&c, 0, 60);
//     chart_y(&c, 1, 500, true, "ms");
//     chart_line(&c, &(ChartLine){...});
//     chart_end(&c);
//
// Colour never stands alone: each line also has a dash pattern and its name beside it.
#ifndef REPORT_CHART_H
#define REPORT_CHART_H

#include "base/arena.h"
#include "base/svg.h"

enum { CHART_WIDTH = 560, CHART_HEIGHT = 236, CHART_LINES_MAX = 8 };

typedef enum ChartUnit { CHART_MS, CHART_RATE, CHART_SHARE, CHART_COUNT } ChartUnit;

typedef struct ChartLabel {
    Slice name;
    int tone; // number of the line's class
    double y;
} ChartLabel;

typedef struct Chart {
    Buf *out;
    Arena *arena;
    Svg svg;
    Scale x, y;
    ChartUnit unit;
    ChartLabel labels[CHART_LINES_MAX];
    int label_count;
    double left, right, top, bottom; // of the plot area
} Chart;

// A line through (x[i], y[i]); values that are not finite make gaps.
typedef struct ChartLine {
    Slice name;
    int tone; // 1..6: colour and dash
    const double *x, *y;
    size_t count;
    bool stepped; // the value holds until the next point
    bool filled;  // down to the axis
} ChartLine;

// <figure> with heading, the finding as caption and accessible name, and the open <svg>.
Chart chart_begin(Buf *out, Arena *arena, const char *title, Slice finding);
void chart_x_time(Chart *c, double from_s, double to_s);
void chart_y(Chart *c, double min, double max, bool log, ChartUnit unit);
void chart_line(Chart *c, const ChartLine *line);
// One strip over step `index` of `count` equal ones, showing `text`.
void chart_tip(Chart *c, size_t index, size_t count, Slice text);
// Draws the labels and closes the <svg>; the <figure> stays open for a table.
void chart_end(Chart *c);
// <details> around a table that the caller fills with rows; `head` is ready-made cells' text.
void chart_table_begin(Buf *out, const char *const *head, size_t count);
// Says so where only one row in `stride` was written.
void chart_table_end(Buf *out, size_t stride);
void chart_close(Buf *out); // </figure>

// A value in the chart's unit, short enough for an axis.
Slice chart_tick(Arena *arena, ChartUnit unit, double value);

#endif
