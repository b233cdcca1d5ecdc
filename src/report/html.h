// The report as one HTML file: no external resource, no script; charts are inline SVG. Light and
// dark by the reader's preference, a print style, every chart with its finding in words and its
// numbers in a table. All text of the run is escaped, so a hostile endpoint name stays text; the
// page's own Content-Security-Policy forbids scripts and loads besides.
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include "report/model.h"

enum {
    REPORT_HTML_MAX = 32 << 20,
    REPORT_HTML_ROWS_MAX = 200, // of the endpoint, check and objective tables; the rest is counted
};

// Appends the page. ERR_LIMIT when the Buf's ceiling is too low.
MUST_USE int report_html(const ReportModel *m, Buf *out, Err *e);

#endif
