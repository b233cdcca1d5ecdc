#include "manage/story_report.h"

#include <math.h>
#include <string.h>

#include "base/svg.h"
#include "os/clock.h"
#include "report/chart.h"
#include "report/html_style.h"
#include "stat/effective.h"
#include "stat/quantile.h"

enum { ARENA_MAX = 64 << 20 };

// ---- periods

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

StoryPeriod story_period(const Story *story, uint32_t client, int64_t from_ns, int64_t until_ns)
{
    StoryPeriod p = {.from_ns = from_ns, .until_ns = until_ns};
    BlockCount *blocks = mem_zalloc((story->window_count + 1) * sizeof *blocks);
    double *p99 = mem_zalloc((story->window_count + 1) * sizeof *p99);
    size_t count = 0, latencies = 0;
    for (size_t i = 0; i < story->window_count; i++) {
        const CoordinatorWindow *w = &story->windows[i];
        if (w->client != client || w->from_ns < from_ns || w->until_ns > until_ns) {
            continue;
        }
        blocks[count++] = (BlockCount){.n = w->all, .hits = w->all - w->good};
        p.requests += w->all;
        if (!isnan(w->p99.value)) {
            p99[latencies++] = w->p99.value;
        }
    }
    p.goodput = p.p99 = (Estimate){NAN, NAN, NAN};
    if (p.requests > 0) {
        EffectiveRate bad = effective_rate(blocks, count, 1);
        Interval interval = effective_rate_interval(&bad, 0.9);
        p.goodput = (Estimate){1 - bad.rate, 1 - interval.high, 1 - interval.low};
    }
    if (latencies > 0) {
        qsort(p99, latencies, sizeof *p99, by_value);
        Interval interval = quantile_interval(p99, latencies, 0.5, 0.9);
        double middle = p99[latencies / 2];
        p.p99 = (Estimate){middle, isinf(interval.low) ? p99[0] : interval.low, interval.high};
    }
    free(blocks);
    free(p99);
    return p;
}

bool story_before_after(const Story *story, uint32_t client, StoryPeriod *ret_before,
                        StoryPeriod *ret_after)
{
    int64_t first = -1, last = -1, kept = -1;
    for (size_t i = 0; i < story->event_count; i++) {
        const StoryEvent *e = &story->events[i];
        first = e->kind == STORY_APPLIED && first < 0 ? e->at_ns : first;
        last = e->kind == STORY_APPLIED ? e->at_ns : last;
        kept = e->kind == STORY_KEPT ? e->at_ns : kept;
    }
    int64_t end = story->window_count > 0 ? story->windows[story->window_count - 1].until_ns : 0;
    *ret_before = story_period(story, client, 0, first < 0 ? end : first);
    if (first < 0) {
        return false;
    }
    // What was kept was watched before; the backlog is gone by then.
    *ret_after = story_period(story, client, kept > last ? kept : last, end);
    return true;
}

// ---- words

static void put_time(int64_t ns, Buf *out)
{
    int64_t s = ns / NS_PER_S;
    buf_printf(out, "%lld:%02lld", (long long)(s / 60), (long long)(s % 60));
}

static void put_seconds(double s, Buf *out)
{
    if (isinf(s)) {
        buf_puts(out, "inf");
    } else if (s < 1) {
        buf_printf(out, "%.3g ms", s * 1e3);
    } else {
        buf_printf(out, "%.3g s", s);
    }
}

static void put_estimate(Estimate e, bool share, Buf *out)
{
    if (isnan(e.value)) {
        buf_puts(out, "-");
        return;
    }
    double ends[3] = {e.value, e.low, e.high};
    for (int i = 0; i < 3; i++) {
        buf_puts(out, i == 0 ? "" : i == 1 ? " [" : ", ");
        if (share) {
            buf_printf(out, "%.4g %%", ends[i] * 100);
        } else {
            put_seconds(ends[i], out);
        }
    }
    buf_putc(out, ']');
}

void story_line(const StoryEvent *e, Buf *out)
{
    put_time(e->at_ns, out);
    buf_printf(out, "  %.*s", SLICE_FMT(e->party));
    if (e->other.len > 0) {
        buf_printf(out, "%s%.*s", e->kind == STORY_MESSAGE ? " -> " : ": ", SLICE_FMT(e->other));
    }
    if (e->kind == STORY_MESSAGE) {
        buf_printf(out, "  %.*s", SLICE_FMT(e->message));
    } else {
        buf_printf(out, "  %s", STORY_NAMES[e->kind]);
    }
    if (e->changes.len > 0) {
        buf_printf(out, "  %.*s", SLICE_FMT(e->changes));
    }
    if (e->text.len > 0) {
        buf_printf(out, "  %.*s", SLICE_FMT(e->text));
    }
    if (!isnan(e->predicted.value)) {
        buf_puts(out, "  predicted p99 ");
        put_estimate(e->predicted, false, out);
    }
    if (!isnan(e->observed.value)) {
        buf_puts(out, e->kind == STORY_DETECTED ? "" : "  observed ");
        if (e->kind != STORY_DETECTED) {
            put_estimate(e->observed, false, out);
        }
    }
    if (e->took_ns > 0) {
        buf_printf(out, "  (took %.3g ms)", (double)e->took_ns / 1e6);
    }
}

// Renewals and their answers say nothing to a reader.
static bool worth_telling(const StoryEvent *e)
{
    return e->kind != STORY_MESSAGE ||
           (!slice_eq_cstr(e->message, "renew") && !slice_eq_cstr(e->message, "renewed"));
}

// A cell of a Markdown table.
static void put_cell(Slice text, Buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '|' || c == '<' || c == '`') {
            buf_putc(out, '\\');
        }
        buf_putc(out, c == '\n' || c == '\r' ? ' ' : c);
    }
}

static void summary(const Story *s, Buf *out)
{
    buf_printf(out,
               "%u cases: %u kept, %u rolled back, %u given up. %llu messages (%llu lost, %llu "
               "doubled). Agreed to applied at most %.3g ms. Models refitted %u times, at most "
               "%.3g ms.",
               s->cases, s->kept, s->rolled_back, s->given_up, (unsigned long long)s->messages,
               (unsigned long long)s->lost, (unsigned long long)s->duplicated,
               (double)s->decision_to_applied_ns / 1e6, s->refits, (double)s->refit_ns / 1e6);
}

static void markdown_periods(const Story *s, Buf *out)
{
    buf_puts(out,
             "| client | goodput before | after | p99 before | after |\n|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < s->before->client_count; i++) {
        StoryPeriod before, after = {.goodput = {NAN, NAN, NAN}, .p99 = {NAN, NAN, NAN}};
        (void)story_before_after(s, i, &before, &after);
        buf_puts(out, "| ");
        put_cell(s->before->clients[i].name, out);
        const Estimate cells[] = {before.goodput, after.goodput, before.p99, after.p99};
        for (int k = 0; k < 4; k++) {
            buf_puts(out, " | ");
            put_estimate(cells[k], k < 2, out);
        }
        buf_puts(out, " |\n");
    }
}

int story_markdown(const Story *s, Buf *out, Err *e)
{
    buf_puts(out, "# ");
    put_cell(s->before->name, out);
    buf_puts(out, ": what was coordinated\n\n");
    summary(s, out);
    buf_puts(out, "\n\n## Before and after\n\n");
    markdown_periods(s, out);
    buf_puts(out, "\nGoodput with 90 % intervals over windows; p99 is the median of the windows'.\n"
                  "\n## What happened\n\n| time | who | what | |\n|---|---|---|---|\n");
    size_t rows = 0;
    for (size_t i = 0; i < s->event_count && rows < STORY_ROWS_MAX; i++) {
        const StoryEvent *ev = &s->events[i];
        if (!worth_telling(ev)) {
            continue;
        }
        rows++;
        Buf line = buf_create(1 << 16);
        buf_puts(out, "| ");
        put_time(ev->at_ns, out);
        buf_puts(out, " | ");
        put_cell(ev->party, out);
        buf_puts(out, ev->other.len > 0 ? " to " : "");
        put_cell(ev->other, out);
        buf_puts(out, " | ");
        put_cell(ev->kind == STORY_MESSAGE ? ev->message : slice_from_cstr(STORY_NAMES[ev->kind]),
                 out);
        buf_puts(out, " | ");
        buf_append(&line, ev->changes);
        buf_puts(&line, ev->changes.len > 0 && ev->text.len > 0 ? "; " : "");
        buf_append(&line, ev->text);
        put_cell(buf_slice(&line), out);
        if (!isnan(ev->predicted.value)) {
            buf_puts(out, "; predicted p99 ");
            put_estimate(ev->predicted, false, out);
        }
        if (!isnan(ev->observed.value)) {
            buf_puts(out, "; observed ");
            put_estimate(ev->observed, false, out);
        }
        buf_puts(out, " |\n");
        buf_done(&line);
    }
    return buf_check(out, "the report", e);
}

// ---- HTML

#define POLICY "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

static void html_head(const Story *s, Buf *out)
{
    buf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"" POLICY "\">\n"
                  "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    xml_escape(out, s->before->name);
    buf_puts(out, "</title>\n<style>");
    buf_puts(out, report_html_style);
    buf_puts(out, "</style></head>\n<body>\n<header class=\"page\"><h1>");
    xml_escape(out, s->before->name);
    buf_puts(out, "</h1><p class=\"sub\">");
    Buf text = buf_create(4096);
    summary(s, &text);
    xml_escape(out, buf_slice(&text));
    buf_done(&text);
    buf_puts(out, "</p></header>\n<main>\n");
}

typedef struct Course {
    double x[STORY_ROWS_MAX * 4], y[STORY_ROWS_MAX * 4];
    size_t count;
    double max;
} Course;

// A client's windows; with many of them every k-th.
static Course *course_of(const Story *s, Arena *arena, uint32_t client, bool share)
{
    Course *c = ARENA_NEW(arena, Course);
    size_t windows = s->window_count / (s->before->client_count > 0 ? s->before->client_count : 1);
    size_t stride = windows / COUNT_OF(c->x) + 1, seen = 0;
    for (size_t i = 0; i < s->window_count; i++) {
        const CoordinatorWindow *w = &s->windows[i];
        if (w->client != client || seen++ % stride != 0 || c->count == COUNT_OF(c->x)) {
            continue;
        }
        double y = share ? w->goodput.value : w->p99.value * 1e3;
        c->x[c->count] = (double)w->until_ns / 1e9;
        c->y[c->count++] = isfinite(y) ? y : NAN;
        c->max = isfinite(y) && y > c->max ? y : c->max;
    }
    return c;
}

static void html_chart(const Story *s, Arena *arena, bool share, Buf *out)
{
    uint32_t clients = s->before->client_count < 6 ? s->before->client_count : 6;
    double end = 1, max = share ? 1 : 10;
    Course **courses = ARENA_ARRAY(arena, Course *, clients + 1);
    for (uint32_t i = 0; i < clients; i++) {
        courses[i] = course_of(s, arena, i, share);
        max = !share && courses[i]->max > max ? courses[i]->max : max;
        size_t n = courses[i]->count;
        end = n > 0 && courses[i]->x[n - 1] > end ? courses[i]->x[n - 1] : end;
    }
    Chart chart = chart_begin(out, arena, share ? "Good answers" : "Latency, p99",
                              share ? SLICE("share of requests that were good in time, by window")
                                    : SLICE("of each window; a gap where requests failed or none "
                                            "were answered"));
    chart_x_time(&chart, 0, end);
    chart_y(&chart, share ? 0 : 1, max, !share, share ? CHART_SHARE : CHART_MS);
    for (uint32_t i = 0; i < clients; i++) {
        chart_line(&chart, &(ChartLine){.name = s->before->clients[i].name,
                                        .tone = 1 + (int)i,
                                        .x = courses[i]->x,
                                        .y = courses[i]->y,
                                        .count = courses[i]->count});
    }
    chart_end(&chart);
    chart_close(out);
}

static void html_cell(Slice text, Buf *out)
{
    buf_puts(out, "<td>");
    xml_escape(out, text);
    buf_puts(out, "</td>");
}

static void html_estimate(Estimate e, bool share, Buf *out)
{
    Buf text = buf_create(256);
    put_estimate(e, share, &text);
    html_cell(buf_slice(&text), out);
    buf_done(&text);
}

static void html_periods(const Story *s, Buf *out)
{
    buf_puts(out, "<section><h2>Before and after</h2><table><thead><tr><th>client</th>"
                  "<th>goodput before</th><th>after</th><th>p99 before</th><th>after</th></tr>"
                  "</thead><tbody>\n");
    for (uint32_t i = 0; i < s->before->client_count; i++) {
        StoryPeriod before, after = {.goodput = {NAN, NAN, NAN}, .p99 = {NAN, NAN, NAN}};
        (void)story_before_after(s, i, &before, &after);
        buf_puts(out, "<tr>");
        html_cell(s->before->clients[i].name, out);
        html_estimate(before.goodput, true, out);
        html_estimate(after.goodput, true, out);
        html_estimate(before.p99, false, out);
        html_estimate(after.p99, false, out);
        buf_puts(out, "</tr>\n");
    }
    buf_puts(out, "</tbody></table></section>\n");
}

static void html_events(const Story *s, Buf *out)
{
    buf_puts(out,
             "<section><h2>What happened</h2><table><thead><tr><th>time</th><th>who</th>"
             "<th>what</th><th></th><th>predicted</th><th>observed</th></tr></thead><tbody>\n");
    size_t rows = 0;
    for (size_t i = 0; i < s->event_count && rows < STORY_ROWS_MAX; i++) {
        const StoryEvent *e = &s->events[i];
        if (!worth_telling(e)) {
            continue;
        }
        rows++;
        Buf text = buf_create(1 << 16);
        put_time(e->at_ns, &text);
        buf_puts(out, "<tr>");
        html_cell(buf_slice(&text), out);
        buf_reset(&text);
        buf_printf(&text, "%.*s%s%.*s", SLICE_FMT(e->party),
                   e->other.len > 0 ? " \xE2\x86\x92 " : "", SLICE_FMT(e->other));
        html_cell(buf_slice(&text), out);
        html_cell(e->kind == STORY_MESSAGE ? e->message : slice_from_cstr(STORY_NAMES[e->kind]),
                  out);
        buf_reset(&text);
        buf_printf(&text, "%.*s%s%.*s", SLICE_FMT(e->changes),
                   e->changes.len > 0 && e->text.len > 0 ? "; " : "", SLICE_FMT(e->text));
        html_cell(buf_slice(&text), out);
        html_estimate(e->predicted, false, out);
        html_estimate(e->observed, false, out);
        buf_puts(out, "</tr>\n");
        buf_done(&text);
    }
    buf_puts(out, "</tbody></table></section>\n");
}

int story_html(const Story *s, Buf *out, Err *e)
{
    Arena *arena = arena_create(ARENA_MAX);
    html_head(s, out);
    html_chart(s, arena, true, out);
    html_chart(s, arena, false, out);
    html_periods(s, out);
    html_events(s, out);
    buf_puts(out, "</main></body></html>\n");
    arena_destroy(arena);
    return buf_check(out, "the report", e);
}

// ---- JSON

static void json_event(JsonWriter *w, const StoryEvent *e)
{
    json_object_begin(w);
    json_field_double(w, "at", (double)e->at_ns / 1e9);
    json_field_cstr(w, "kind", STORY_NAMES[e->kind]);
    json_field_string(w, "party", e->party);
    if (e->other.len > 0) {
        json_field_string(w, "other", e->other);
    }
    if (e->kind == STORY_MESSAGE) {
        json_field_string(w, "message", e->message);
    }
    if (e->changes.len > 0) {
        json_field_string(w, "changes", e->changes);
    }
    json_field_string(w, "text", e->text);
    json_field_cstr(w, "state", CASE_STATE_NAMES[e->state]);
    if (e->proposal[0] != '\0') {
        json_field_cstr(w, "proposal", e->proposal);
    }
    if (!isnan(e->predicted.value)) {
        verdict_estimate_write(w, "predicted", e->predicted);
    }
    if (!isnan(e->observed.value)) {
        verdict_estimate_write(w, "observed", e->observed);
    }
    if (e->took_ns > 0) {
        json_field_double(w, "tookMs", (double)e->took_ns / 1e6);
    }
    json_object_end(w);
}

static void json_period(JsonWriter *w, const char *key, const StoryPeriod *p)
{
    json_key(w, slice_from_cstr(key));
    json_object_begin(w);
    json_field_int(w, "requests", (int64_t)p->requests);
    verdict_estimate_write(w, "goodput", p->goodput);
    verdict_estimate_write(w, "p99", p->p99);
    json_object_end(w);
}

void story_write(const Story *s, JsonWriter *w)
{
    json_object_begin(w);
    json_field_int(w, "version", 1);
    json_field_string(w, "system", s->before->name);
    json_field_int(w, "cases", s->cases);
    json_field_int(w, "kept", s->kept);
    json_field_int(w, "rolledBack", s->rolled_back);
    json_field_int(w, "givenUp", s->given_up);
    json_field_int(w, "messages", (int64_t)s->messages);
    json_field_double(w, "agreedToAppliedMs", (double)s->decision_to_applied_ns / 1e6);
    json_key(w, SLICE("clients"));
    json_object_begin(w);
    for (uint32_t i = 0; i < s->before->client_count; i++) {
        StoryPeriod before, after;
        bool applied = story_before_after(s, i, &before, &after);
        json_key(w, s->before->clients[i].name);
        json_object_begin(w);
        json_period(w, "before", &before);
        if (applied) {
            json_period(w, "after", &after);
        }
        json_object_end(w);
    }
    json_object_end(w);
    json_key(w, SLICE("events"));
    json_array_begin(w);
    for (size_t i = 0; i < s->event_count; i++) {
        json_event(w, &s->events[i]);
    }
    json_array_end(w);
    json_object_end(w);
}
