// The report as Markdown for a job summary or a comment: tables, no images, never above the
// ceiling. GitHub refuses a job summary over 1 MiB as a whole, so sections that do not fit are left
// out and named.
#ifndef REPORT_MARKDOWN_H
#define REPORT_MARKDOWN_H

#include "report/model.h"

enum {
    REPORT_MARKDOWN_MAX = 1 << 20, // bytes
    REPORT_MARKDOWN_ROWS_MAX = 50, // of any table
    REPORT_MARKDOWN_TEXT_MAX = 240 // bytes of a name or sentence before escaping
};

// Appends at most REPORT_MARKDOWN_MAX bytes, or the Buf's ceiling where that is lower.
MUST_USE int report_markdown(const ReportModel *m, Buf *out, Err *e);

#endif
