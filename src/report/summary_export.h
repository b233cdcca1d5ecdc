// k6's --summary-export file, in the old shape that scripts in pipelines read: metrics with their
// values hoisted, rates under "value", thresholds as {expression: true when it FAILED}, checks as
// an object, four blanks of indentation.
//
// Trends are in milliseconds. k6's "id" members (MD5 of a path) are left out.
#ifndef REPORT_SUMMARY_EXPORT_H
#define REPORT_SUMMARY_EXPORT_H

#include "report/model.h"

enum { REPORT_SUMMARY_MAX = 16 << 20 };

MUST_USE int report_summary_export(const ReportModel *m, Buf *out, Err *e);

#endif
