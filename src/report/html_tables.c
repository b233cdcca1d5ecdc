#include "report/html_tables.h"

#include <math.h>

#include "base/svg.h"
#include "report/html.h"
#include "report/words.h"

// ---- cells ----

static void small(HtmlPage *page, Slice text)
{
    if (text.len > 0) {
        buf_puts(page->out, "<small>");
        xml_escape(page->out, text);
        buf_puts(page->out, "</small>");
    }
}

static void row_head(HtmlPage *page, Slice text, Slice note)
{
    buf_puts(page->out, "<tr><th scope=\"row\">");
    xml_escape(page->out, text);
    small(page, note);
    buf_puts(page->out, "</th>");
}

static void cell(HtmlPage *page, Slice text)
{
    buf_puts(page->out, "<td>");
    xml_escape(page->out, text);
    buf_puts(page->out, "</td>");
}

static void cell_note(HtmlPage *page, Slice text, Slice note)
{
    buf_puts(page->out, "<td>");
    xml_escape(page->out, text);
    small(page, note);
    buf_puts(page->out, "</td>");
}

static void cell_text(HtmlPage *page, Slice text, Slice note)
{
    buf_puts(page->out, "<td class=\"text\">");
    xml_escape(page->out, text);
    small(page, note);
    buf_puts(page->out, "</td>");
}

static void cell_chip(HtmlPage *page, ReportTone tone, Slice text)
{
    buf_printf(page->out, "<td class=\"text\"><span class=\"chip %s\">", html_tone_class(tone));
    xml_escape(page->out, text);
    buf_puts(page->out, "</span></td>");
}

// Column heads; those that begin with "<" are of text and stand left.
static void table_begin(HtmlPage *page, const char *const *heads, size_t count)
{
    buf_puts(page->out, "<div class=\"card\"><table><thead><tr>");
    for (size_t i = 0; i < count; i++) {
        bool text = heads[i][0] == '<';
        buf_printf(page->out, "<th scope=\"col\"%s>%s</th>", text ? " class=\"text\"" : "",
                   heads[i] + text);
    }
    buf_puts(page->out, "</tr></thead><tbody>\n");
}

static void table_end(HtmlPage *page, size_t shown, size_t all)
{
    buf_puts(page->out, "</tbody></table></div>\n");
    if (shown < all) {
        buf_printf(page->out,
                   "<p class=\"note\">%zu of %zu rows are shown; the JSON report has "
                   "all.</p>\n",
                   shown, all);
    }
}

static size_t shown_rows(size_t count)
{
    return count < REPORT_HTML_ROWS_MAX ? count : REPORT_HTML_ROWS_MAX;
}

// ---- objectives ----

static Slice needed_words(Arena *arena, const Needed *needed)
{
    if (needed->runs > 0) {
        return arena_printf(arena, "%llu runs a side would settle it",
                            (unsigned long long)needed->runs);
    }
    if (needed->requests == 0) {
        return (Slice){0};
    }
    return arena_printf(arena, "about %.*s requests in all would settle it",
                        SLICE_FMT(words_count(arena, (double)needed->requests)));
}

static void slo_row(HtmlPage *page, const SloVerdict *slo)
{
    Arena *a = page->arena;
    cell_chip(page, report_slo_tone(slo), slo_value_name(slo->value));
    cell_text(page, slo->indicator, slo->reason);
    cell_note(page, words_value(a, slo->estimate, slo->unit, slo->is_share),
              words_interval(a, slo->interval, slo->unit, slo->is_share));
    cell(page, words_value(a, slo->limit, slo->unit, slo->is_share));
    cell_note(page, words_value(a, slo->observed, slo->unit, false),
              words_interval(a, slo->observed_interval, slo->unit, false));
    cell_note(
        page, words_share(a, slo->budget.consumed),
        isnan(slo->budget.burn_rate)
            ? (Slice){0}
            : arena_printf(a, "burn rate %.*s", SLICE_FMT(words_number(a, slo->budget.burn_rate))));
    cell_text(page, slo->method, needed_words(a, &slo->needed));
    buf_puts(page->out, "</tr>\n");
}

void html_table_slos(HtmlPage *page)
{
    static const char *const heads[] = {"Objective", "<Verdict",    "<Statement",  "Measured",
                                        "Limit",     "In its unit", "Budget used", "<Evidence"};
    size_t count = report_slo_count(page->m), shown = shown_rows(count);
    if (count == 0) {
        return;
    }
    buf_puts(page->out, "<h2>Objectives</h2>\n");
    table_begin(page, heads, COUNT_OF(heads));
    for (size_t i = 0; i < shown; i++) {
        const SloVerdict *slo = &page->m->in.judgement->slos[i];
        row_head(page, slo->name, slo->origin);
        slo_row(page, slo);
    }
    table_end(page, shown, count);
}

void html_table_thresholds(HtmlPage *page)
{
    static const char *const heads[] = {"Threshold", "<Result", "<Expression", "Value"};
    const ReportModel *m = page->m;
    size_t shown = shown_rows(m->threshold_count);
    if (shown == 0) {
        return;
    }
    buf_puts(page->out, "<h2>Thresholds of the plan</h2>\n");
    table_begin(page, heads, COUNT_OF(heads));
    for (size_t i = 0; i < shown; i++) {
        const ReportThreshold *t = &m->thresholds[i];
        row_head(page, t->metric, (Slice){0});
        cell_chip(page, report_threshold_tone(m, t), report_threshold_words(m, t));
        cell_text(page, t->expression, (Slice){0});
        cell(page, words_number(page->arena, t->value));
        buf_puts(page->out, "</tr>\n");
    }
    table_end(page, shown, m->threshold_count);
}

// ---- comparison ----

static void change_row(HtmlPage *page, const ChangeVerdict *c)
{
    Arena *a = page->arena;
    bool rate = c->measure == MEASURE_ERROR_RATE;
    cell_chip(page, report_change_tone(c), change_words(a, c));
    cell_text(page, change_measure_name(c->measure), c->decides ? SLICE("decides") : (Slice){0});
    cell(page, words_value(a, c->baseline, c->unit, rate));
    cell(page, words_value(a, c->candidate, c->unit, rate));
    if (rate) {
        cell_note(page, words_share(a, c->difference),
                  words_interval(a, c->interval, c->unit, true));
    } else {
        cell_note(page, words_change(a, c->ratio), words_change_interval(a, c->interval));
    }
    cell(page, words_p(a, isnan(c->p_adjusted) ? c->p : c->p_adjusted));
    cell(page, words_share(a, c->share));
    Slice more = c->value == CHANGE_NO_DIFFERENCE_SHOWN && !c->equivalent
                     ? needed_words(a, &c->needed)
                     : (Slice){0};
    cell_text(page,
              c->single_run ? arena_printf(a, "single run; %.*s", SLICE_FMT(c->method)) : c->method,
              c->value == CHANGE_NOT_COMPARABLE ? c->reason : more);
    buf_puts(page->out, "</tr>\n");
}

void html_table_changes(HtmlPage *page)
{
    static const char *const heads[] = {"Endpoint",     "<Verdict",        "<Measure",
                                        "Baseline",     "Candidate",       "Change",
                                        "p (adjusted)", "Share of change", "<Evidence"};
    const ReportModel *m = page->m;
    size_t count = report_change_count(m), shown = shown_rows(count);
    if (count == 0) {
        return;
    }
    const Judgement *j = m->in.judgement;
    buf_puts(page->out, "<h2>Against the baseline</h2>\n<p class=\"note\">");
    buf_printf(page->out, "%zu candidate against %zu baseline %s. ", j->candidate_runs,
               j->baseline_runs, j->baseline_runs == 1 ? "run" : "runs");
    if (j->culprit.len > 0) {
        buf_puts(page->out, "<strong>");
        xml_escape(page->out, j->culprit);
        buf_printf(page->out, "</strong> carries %.*s of the change in time spent. ",
                   SLICE_FMT(words_share(page->arena, j->culprit_share)));
    }
    buf_puts(page->out, "The band is the smallest change that counts; a whisker is the interval of "
                        "candidate over baseline.</p>\n");
    html_chart_forest(page);
    buf_puts(page->out, "<p></p>");
    table_begin(page, heads, COUNT_OF(heads));
    for (size_t i = 0; i < shown; i++) {
        Slice name = j->changes[i].endpoint;
        row_head(page, name.len ? name : SLICE("all requests"), j->changes[i].metric);
        change_row(page, &j->changes[i]);
    }
    table_end(page, shown, count);
}

// ---- what was measured ----

void html_table_errors(HtmlPage *page)
{
    static const char *const heads[] = {"Kind", "Requests", "Share", "First seen"};
    const ReportModel *m = page->m;
    if (m->kind_count == 0) {
        bool none = m->totals.failed == 0;
        buf_printf(page->out, "<p class=\"note\">%s</p>\n",
                   none ? "No request failed." : "Failed requests were not measured.");
        return;
    }
    table_begin(page, heads, COUNT_OF(heads));
    for (size_t i = 0; i < m->kind_count; i++) {
        const ReportErrorKind *kind = &m->kinds[i];
        row_head(page, kind->name, (Slice){0});
        cell(page, words_count(page->arena, kind->count));
        cell(page, words_share(page->arena, kind->share));
        cell(page, words_second(page->arena, kind->first_seen_s));
        buf_puts(page->out, "</tr>\n");
    }
    table_end(page, 0, 0);
}

static void endpoint_row(HtmlPage *page, const ReportEndpoint *e)
{
    Arena *a = page->arena;
    const double latencies[] = {e->latency.mean, e->latency.p50, e->latency.p90,  e->latency.p95,
                                e->latency.p99,  e->latency.max, e->corrected.p99};
    row_head(page, e->name, (Slice){0});
    cell(page, words_count(a, e->requests));
    cell(page, words_rate(a, e->per_second));
    cell_note(page, words_share(a, e->failed_share),
              e->failed > 0 ? words_count(a, e->failed) : (Slice){0});
    for (size_t i = 0; i < COUNT_OF(latencies); i++) {
        cell(page, words_ms(a, latencies[i]));
    }
    buf_puts(page->out, "<td>");
    html_spark(page, e->spark, REPORT_SPARK_STEPS,
               arena_printf(a, "p95 over time, %.*s over the whole run",
                            SLICE_FMT(words_ms(a, e->latency.p95))));
    buf_puts(page->out, "</td></tr>\n");
}

void html_table_endpoints(HtmlPage *page)
{
    static const char *const heads[] = {"Endpoint", "Requests", "Rate",          "Failed",
                                        "Mean",     "p50",      "p90",           "p95",
                                        "p99",      "Max",      "p99 corrected", "p95 over time"};
    const ReportModel *m = page->m;
    size_t shown = shown_rows(m->endpoint_count);
    if (shown == 0) {
        return;
    }
    buf_puts(page->out, "<h2>Endpoints, by time spent</h2>\n");
    table_begin(page, heads, COUNT_OF(heads));
    for (size_t i = 0; i < shown; i++) {
        endpoint_row(page, &m->endpoints[i]);
    }
    table_end(page, shown, m->endpoint_count);
}

void html_table_checks(HtmlPage *page)
{
    static const char *const heads[] = {"Check", "<Result", "Passed", "Failed", "Share passed"};
    const ReportModel *m = page->m;
    size_t shown = shown_rows(m->check_count);
    if (shown == 0) {
        return;
    }
    buf_puts(page->out, "<h2>Checks</h2>\n");
    table_begin(page, heads, COUNT_OF(heads));
    for (size_t i = 0; i < shown; i++) {
        const ReportCheck *c = &m->checks[i];
        double all = (double)(c->passes + c->fails);
        row_head(page, c->name, c->endpoint);
        cell_chip(page, c->fails ? TONE_WARN : TONE_GOOD,
                  c->fails ? SLICE("some failed") : SLICE("all passed"));
        cell(page, words_count(page->arena, (double)c->passes));
        cell(page, words_count(page->arena, (double)c->fails));
        cell(page, words_share(page->arena, all > 0 ? (double)c->passes / all : (double)NAN));
        buf_puts(page->out, "</tr>\n");
    }
    table_end(page, shown, m->check_count);
}

// ---- facts ----

static void fact(HtmlPage *page, const char *name, Slice value, bool mono)
{
    buf_printf(page->out, "<dt>%s</dt><dd%s>", name, mono ? " class=\"mono\"" : "");
    xml_escape(page->out, value.len ? value : SLICE("not recorded"));
    buf_puts(page->out, "</dd>\n");
}

static void fact_items(HtmlPage *page, const ReportFacts *facts)
{
    buf_puts(page->out, "<dl class=\"facts\">\n");
    for (size_t i = 0; i < facts->count; i++) {
        buf_puts(page->out, "<dt>");
        xml_escape(page->out, facts->items[i].name);
        buf_puts(page->out, "</dt><dd>");
        xml_escape(page->out, facts->items[i].value);
        buf_puts(page->out, "</dd>\n");
    }
    buf_printf(page->out, "</dl>%s",
               facts->cut ? "<p class=\"note\">There is more; the JSON report has all.</p>" : "");
}

static void fact_list(HtmlPage *page, const char *title, const ReportFacts *facts)
{
    if (facts->count > 0) {
        buf_printf(page->out, "<div><h2>%s</h2><div class=\"card\">", title);
        fact_items(page, facts);
        buf_puts(page->out, "</div></div>\n");
    }
}

void html_table_health(HtmlPage *page)
{
    if (page->m->health.count > 0) {
        buf_puts(page->out, "<div class=\"card\"><h3 class=\"inside\">Generator health</h3>");
        fact_items(page, &page->m->health);
        buf_puts(page->out, "</div>\n");
    }
}

static void peer_list(HtmlPage *page)
{
    const ReportInput *in = &page->m->in;
    for (size_t i = 0; i < in->peer_count; i++) {
        const RunData *run = in->peers[i].run;
        fact(page, in->peers[i].baseline ? "Baseline run" : "Further run",
             arena_printf(page->arena, "%s, %.*s, seal %.*s", run->info.id,
                          SLICE_FMT(words_status(run->end.status)),
                          SLICE_FMT(run->seal_hash.len ? run->seal_hash : SLICE("missing"))),
             true);
    }
}

void html_table_facts(HtmlPage *page)
{
    const ReportModel *m = page->m;
    const RunInfo *info = &m->in.run->info;
    buf_puts(page->out, "<div class=\"columns\"><div><h2>Where the numbers come from</h2><div "
                        "class=\"card\"><dl class=\"facts\">\n");
    fact(page, "Run", slice_from_cstr(info->id), true);
    fact(page, "Status", words_status(m->in.run->end.status), false);
    fact(page, "Seal", m->in.run->seal_hash, true);
    if (m->in.ledger_head.len > 0) {
        fact(page, "Ledger head", m->in.ledger_head, true);
    }
    fact(page, "Plan SHA-256", info->plan_sha256, true);
    fact(page, "Seed", arena_printf(page->arena, "%llu", (unsigned long long)info->seed), true);
    fact(page, "Load", words_share(page->arena, info->load_scale), false);
    fact(page, "Again with", m->in.command, true);
    fact(page, "Program", m->in.program_version, false);
    for (size_t i = 0; i < info->labels.count; i++) {
        fact(page, "Label",
             arena_printf(page->arena, "%.*s = %.*s", SLICE_FMT(info->labels.items[i].key),
                          SLICE_FMT(info->labels.items[i].value)),
             false);
    }
    peer_list(page);
    buf_puts(page->out, "</dl></div></div>\n");
    fact_list(page, "Machine of the generator", &m->environment);
    fact_list(page, "Totals as the engine counted them", &m->summary);
    buf_puts(page->out, "</div>\n");
}
