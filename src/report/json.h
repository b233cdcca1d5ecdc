// The report for machines: docs/report.schema.json is its contract, "version" in it the promise.
// Numbers that were not measured are null, and so are the open ends of intervals. Nothing is cut
// but the steps of the time axis, which are the model's.
#ifndef REPORT_JSON_H
#define REPORT_JSON_H

#include "report/model.h"

enum { REPORT_JSON_VERSION = 1, REPORT_JSON_MAX = 64 << 20 };

MUST_USE int report_json(const ReportModel *m, Buf *out, Err *e);

#endif
