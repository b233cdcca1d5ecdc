#include "report/html.h"

#include <math.h>

#include "base/svg.h"
#include "report/html_charts.h"
#include "report/html_style.h"
#include "report/html_tables.h"
#include "report/words.h"

// Scripts are forbidden altogether; styles are inline because the page is one file.
#define POLICY "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

static void write_head(HtmlPage *page)
{
    const RunInfo *info = &page->m->in.run->info;
    buf_puts(page->out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                        "<meta http-equiv=\"Content-Security-Policy\" content=\"" POLICY "\">\n"
                        "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    xml_escape(page->out, page->m->verdict);
    buf_puts(page->out, " \xC2\xB7 ");
    xml_escape(page->out, info->name);
    buf_puts(page->out, "</title>\n<style>");
    buf_puts(page->out, report_html_style);
    buf_puts(page->out, "</style></head>\n<body>\n");
}

static void write_verdict(HtmlPage *page)
{
    const ReportModel *m = page->m;
    const RunInfo *info = &m->in.run->info;
    Buf *out = page->out;
    buf_puts(out, "<header class=\"page\"><h1>");
    xml_escape(out, info->name.len ? info->name : SLICE("load test"));
    buf_puts(out, "</h1><p class=\"sub\">");
    xml_escape(out, info->target);
    buf_printf(out, " \xC2\xB7 %.*s", SLICE_FMT(words_time(page->arena, info->started_unix_ns)));
    buf_printf(out, " \xC2\xB7 %.*s \xC2\xB7 run <span class=\"mono\">",
               SLICE_FMT(words_duration(page->arena, m->in.run->end.duration_ns)));
    xml_escape(out, slice_from_cstr(info->id));
    buf_printf(out, "</span></p>\n<div class=\"verdict %s\" role=\"status\"><b>",
               html_tone_class(m->tone));
    xml_escape(out, m->verdict);
    buf_puts(out, "</b><p>");
    xml_escape(out, m->headline);
    buf_puts(out, "</p></div>\n");
    if (m->notice_count > 0) {
        buf_puts(out, "<ul class=\"notices\">");
        for (size_t i = 0; i < m->notice_count; i++) {
            buf_printf(out, "<li class=\"%s\"><strong>", html_tone_class(m->notices[i].tone));
            xml_escape(out, m->notices[i].title);
            buf_puts(out, ":</strong> ");
            xml_escape(out, m->notices[i].text);
            buf_puts(out, "</li>\n");
        }
        buf_puts(out, "</ul>\n");
    }
}

static void figure(HtmlPage *page, const char *name, Slice value, Slice note)
{
    buf_printf(page->out, "<div><dt>%s</dt><dd>%.*s<small>%.*s</small></dd></div>\n", name,
               SLICE_FMT(value), SLICE_FMT(note));
}

static void write_figures(HtmlPage *page)
{
    const ReportTotals *t = &page->m->totals;
    Arena *a = page->arena;
    buf_puts(page->out, "<dl class=\"figures\">\n");
    bool open = !isnan(t->offered);
    figure(page, "Iterations", words_rate(a, t->iteration_rate),
           open ? arena_printf(a, "of %.*s offered", SLICE_FMT(words_rate(a, t->offered_rate)))
                : SLICE("closed model"));
    figure(page, "Dropped", words_count(a, t->dropped),
           open ? arena_printf(a, "of %.*s due", SLICE_FMT(words_count(a, t->offered)))
                : SLICE("closed model"));
    figure(page, "Failed", words_share(a, t->failed_share),
           arena_printf(a, "%.*s requests", SLICE_FMT(words_count(a, t->failed))));
    figure(page, "p50", words_ms(a, t->latency.p50), SLICE("request duration"));
    figure(page, "p95", words_ms(a, t->latency.p95), SLICE("request duration"));
    figure(page, "p99", words_ms(a, t->latency.p99), SLICE("request duration"));
    figure(page, "p99 corrected", words_ms(a, t->corrected.p99), SLICE("from intended start"));
    figure(page, "Requests", words_count(a, t->requests), words_rate(a, t->request_rate));
    buf_puts(page->out, "</dl></header>\n");
}

static void section(HtmlPage *page, const char *title)
{
    buf_printf(page->out, "<h2>%s</h2>\n", title);
}

static void write_charts(HtmlPage *page)
{
    // In the order a report is to be trusted in: did the test do what it should, did requests
    // fail, how long did they take, how many were there.
    section(page, "Fidelity: was the load what the plan says?");
    buf_puts(page->out, "<div class=\"charts\">\n");
    html_chart_rate(page);
    html_chart_generator(page);
    html_chart_machine(page);
    html_table_health(page);
    buf_puts(page->out, "</div>\n");
    section(page, "Failures");
    buf_puts(page->out, "<div class=\"charts\">\n");
    html_chart_errors(page);
    html_table_errors(page);
    buf_puts(page->out, "</div>\n");
    section(page, "Latency");
    buf_puts(page->out, "<div class=\"charts\">\n");
    html_chart_percentiles(page, false);
    html_chart_percentiles(page, true);
    html_chart_heat(page);
    html_chart_hdr(page);
    buf_puts(page->out, "</div>\n");
    html_table_endpoints(page);
    section(page, "Throughput");
    buf_puts(page->out, "<div class=\"charts\">\n");
    html_chart_requests(page);
    html_chart_vus(page);
    buf_puts(page->out, "</div>\n");
}

int report_html(const ReportModel *m, Buf *out, Err *e)
{
    HtmlPage page = {m, out, arena_create(256 << 20)};
    write_head(&page);
    write_verdict(&page);
    write_figures(&page);
    buf_puts(out, "<main>\n");
    html_table_slos(&page);
    html_table_thresholds(&page);
    html_table_changes(&page);
    write_charts(&page);
    html_table_checks(&page);
    html_table_facts(&page);
    buf_puts(out, "</main>\n<footer>");
    buf_printf(out, WORDS_NONE " means not measured. Percentiles are those of added histograms, "
                               "never averages of percentiles. Times are UTC.</footer>\n"
                               "</body></html>\n");
    arena_destroy(page.arena);
    return buf_check(out, "the HTML report", e);
}
