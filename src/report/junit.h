// JUnit XML, which every CI system shows as test results: each objective, threshold and comparison
// is a test case. What broke is a failure; what was not proven, not comparable or only informative
// is skipped with its reason; a run without a verdict is one case with an error.
#ifndef REPORT_JUNIT_H
#define REPORT_JUNIT_H

#include "report/model.h"

enum { REPORT_JUNIT_MAX = 16 << 20 };

MUST_USE int report_junit(const ReportModel *m, Buf *out, Err *e);

#endif
