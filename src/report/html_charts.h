// The charts of the HTML report. Each appends one <figure>, or nothing where the run has nothing of
// the kind.
#ifndef REPORT_HTML_CHARTS_H
#define REPORT_HTML_CHARTS_H

#include "report/model.h"

enum { FOREST_ROWS_MAX = 60, HDR_PEERS_MAX = 3, CHART_TABLE_ROWS_MAX = 30 };

typedef struct HtmlPage {
    const ReportModel *m;
    Buf *out;
    Arena *arena; // of the rendering
} HtmlPage;

// "good", "bad", ...: a class of the style sheet.
const char *html_tone_class(ReportTone tone);

void html_chart_rate(HtmlPage *page);
void html_chart_vus(HtmlPage *page);
void html_chart_generator(HtmlPage *page);
void html_chart_machine(HtmlPage *page);
void html_chart_errors(HtmlPage *page);
void html_chart_percentiles(HtmlPage *page, bool corrected);
void html_chart_heat(HtmlPage *page);
void html_chart_hdr(HtmlPage *page);
void html_chart_requests(HtmlPage *page);
void html_chart_forest(HtmlPage *page);
// A small line of an endpoint's p95, for a table cell.
void html_spark(HtmlPage *page, const double *values, size_t count, Slice label);

#endif
