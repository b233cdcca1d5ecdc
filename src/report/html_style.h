// The report page's style sheet, as one string.
#ifndef REPORT_HTML_STYLE_H
#define REPORT_HTML_STYLE_H

extern const char report_html_style[];

#endif
