// The tables of the HTML report. Each appends its section, or nothing (or one sentence) where the
// run has nothing of the kind.
#ifndef REPORT_HTML_TABLES_H
#define REPORT_HTML_TABLES_H

#include "report/html_charts.h"

void html_table_slos(HtmlPage *page);
void html_table_thresholds(HtmlPage *page);
void html_table_changes(HtmlPage *page); // with the forest plot
void html_table_errors(HtmlPage *page);
void html_table_endpoints(HtmlPage *page);
void html_table_checks(HtmlPage *page);
void html_table_health(HtmlPage *page);
void html_table_facts(HtmlPage *page); // provenance, environment, totals

#endif
