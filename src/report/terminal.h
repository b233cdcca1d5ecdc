// The summary that a terminal shows when a run ends: verdict first, then whether the load was what
// the plan says, then failures, latency and throughput.
//
// Text of the run is sanitised, so a name cannot drive the terminal. Without colour the same words
// are there.
#ifndef REPORT_TERMINAL_H
#define REPORT_TERMINAL_H

#include "report/model.h"

enum { REPORT_TERMINAL_MAX = 1 << 20, REPORT_TERMINAL_ROWS_MAX = 30, REPORT_TERMINAL_WIDTH = 100 };

typedef struct TerminalOptions {
    int width; // columns; 0: REPORT_TERMINAL_WIDTH
    bool color;
} TerminalOptions;

MUST_USE int report_terminal(const ReportModel *m, const TerminalOptions *options, Buf *out,
                             Err *e);

#endif
