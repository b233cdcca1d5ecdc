#include "report/markdown.h"

#include <math.h>

#include "base/utf8.h"
#include "report/words.h"

enum { ROOM_FOR_CUTS = 512 };

typedef struct Sheet {
    const ReportModel *m;
    Buf *out; // of the section being written
    Arena *arena;
} Sheet;

typedef void Section(Sheet *s);

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// An underscore inside a word is harmless, and metric names are full of them.
static bool is_active(Slice text, size_t at)
{
    char c = text.ptr[at];
    if (c == '_') {
        return at == 0 || at + 1 == text.len || !is_word_byte(text.ptr[at - 1]) ||
               !is_word_byte(text.ptr[at + 1]);
    }
    return strchr("&<>\"'|`*[]\\@#~$", c) != NULL;
}

// Text of the run as text: what Markdown or HTML would act upon becomes a character reference,
// which works inside tables as well. "@" and "#" would notify people and link issues.
static void text(Sheet *s, Slice value)
{
    Slice cut = slice_sub(value, 0, REPORT_MARKDOWN_TEXT_MAX);
    for (size_t at = 0; at < cut.len;) {
        uint32_t c = 0;
        size_t len = utf8_decode(slice_sub(cut, at, 4), &c);
        if (len == 0 || c < 0x20 || c == 0x7F) {
            buf_puts(s->out, len == 0 ? "\xEF\xBF\xBD" : " ");
        } else if (len == 1 && is_active(cut, at)) {
            buf_printf(s->out, "&#%u;", (unsigned)c);
        } else {
            buf_append(s->out, slice_sub(cut, at, len));
        }
        at += len ? len : 1;
    }
    buf_puts(s->out, cut.len < value.len ? "\xE2\x80\xA6" : "");
}

static void cell(Sheet *s, Slice value)
{
    buf_puts(s->out, " ");
    text(s, value);
    buf_puts(s->out, " |");
}

// Numbers in our own words, which need no escaping.
static void number(Sheet *s, Slice words)
{
    buf_printf(s->out, " %.*s |", SLICE_FMT(words));
}

// "l" and "r" columns.
static void heads(Sheet *s, const char *title, const char *align, const char *const *names)
{
    if (title) {
        buf_printf(s->out, "\n### %s\n\n", title);
    }
    buf_puts(s->out, "|");
    for (size_t i = 0; align[i]; i++) {
        buf_printf(s->out, " %s |", names[i]);
    }
    buf_puts(s->out, "\n|");
    for (size_t i = 0; align[i]; i++) {
        buf_puts(s->out, align[i] == 'r' ? "---:|" : "---|");
    }
    buf_puts(s->out, "\n");
}

static size_t shown_rows(size_t count)
{
    return count < REPORT_MARKDOWN_ROWS_MAX ? count : REPORT_MARKDOWN_ROWS_MAX;
}

static void rest(Sheet *s, size_t all)
{
    if (shown_rows(all) < all) {
        buf_printf(s->out, "\n%zu of %zu rows are shown; the HTML and JSON reports have all.\n",
                   shown_rows(all), all);
    }
}

static void write_verdict(Sheet *s)
{
    const ReportModel *m = s->m;
    const RunInfo *info = &m->in.run->info;
    buf_puts(s->out, "## Load test: ");
    text(s, m->verdict);
    buf_puts(s->out, "\n\n");
    text(s, m->headline);
    buf_puts(s->out, "\n\n");
    size_t shown = shown_rows(m->notice_count);
    for (size_t i = 0; i < shown; i++) {
        buf_puts(s->out, "> **");
        text(s, m->notices[i].title);
        buf_puts(s->out, ":** ");
        text(s, m->notices[i].text);
        buf_puts(s->out, i + 1 < shown ? "\n>\n" : "\n\n");
    }
    text(s, info->name);
    buf_puts(s->out, " \xC2\xB7 ");
    text(s, info->target);
    buf_printf(s->out, " \xC2\xB7 %.*s \xC2\xB7 run `%s` \xC2\xB7 %.*s\n",
               SLICE_FMT(words_duration(s->arena, m->in.run->end.duration_ns)), info->id,
               SLICE_FMT(words_status(m->in.run->end.status)));
    rest(s, m->notice_count);
}

static void write_slos(Sheet *s)
{
    static const char *const names[] = {"objective", "verdict", "statement",  "measured",
                                        "interval",  "limit",   "budget used"};
    size_t count = report_slo_count(s->m);
    if (count == 0) {
        return;
    }
    heads(s, "Objectives", "lllrrrr", names);
    for (size_t i = 0; i < shown_rows(count); i++) {
        const SloVerdict *slo = &s->m->in.judgement->slos[i];
        buf_puts(s->out, "|");
        cell(s, slo->name);
        buf_puts(s->out, " **");
        text(s, slo_value_name(slo->value));
        buf_puts(s->out, "** |");
        cell(s, slo->indicator);
        number(s, words_value(s->arena, slo->estimate, slo->unit, slo->is_share));
        number(s, words_interval(s->arena, slo->interval, slo->unit, slo->is_share));
        number(s, words_value(s->arena, slo->limit, slo->unit, slo->is_share));
        number(s, words_share(s->arena, slo->budget.consumed));
        buf_puts(s->out, "\n");
    }
    rest(s, count);
}

static void write_thresholds(Sheet *s)
{
    static const char *const names[] = {"threshold", "result", "expression", "value"};
    const ReportModel *m = s->m;
    if (m->threshold_count == 0) {
        return;
    }
    heads(s, "Thresholds", "lllr", names);
    for (size_t i = 0; i < shown_rows(m->threshold_count); i++) {
        const ReportThreshold *t = &m->thresholds[i];
        buf_puts(s->out, "|");
        cell(s, t->metric);
        cell(s, report_threshold_words(m, t));
        cell(s, t->expression);
        number(s, words_number(s->arena, t->value));
        buf_puts(s->out, "\n");
    }
    rest(s, m->threshold_count);
}

static void change_row(Sheet *s, const ChangeVerdict *c)
{
    bool share = c->measure == MEASURE_ERROR_RATE;
    Slice words = change_words(s->arena, c);
    buf_puts(s->out, "|");
    cell(s, c->endpoint.len ? c->endpoint : SLICE("all requests"));
    cell(s, change_measure_name(c->measure));
    number(s, words_value(s->arena, c->baseline, c->unit, share));
    number(s, words_value(s->arena, c->candidate, c->unit, share));
    number(s, c->value == CHANGE_NO_DIFFERENCE_SHOWN ? SLICE("~")
              : share                                ? words_share(s->arena, c->difference)
                                                     : words_change(s->arena, c->ratio));
    number(s, share ? words_interval(s->arena, c->interval, c->unit, true)
                    : words_change_interval(s->arena, c->interval));
    number(s, words_p(s->arena, isnan(c->p_adjusted) ? c->p : c->p_adjusted));
    cell(s, c->single_run ? arena_printf(s->arena, "%.*s, single run", SLICE_FMT(words)) : words);
    buf_puts(s->out, "\n");
}

static void write_changes(Sheet *s)
{
    static const char *const names[] = {"endpoint", "measure",  "base", "candidate",
                                        "vs base",  "interval", "p",    "verdict"};
    size_t count = report_change_count(s->m);
    if (count == 0) {
        return;
    }
    const Judgement *j = s->m->in.judgement;
    buf_puts(s->out, "\n### Against the baseline\n\n");
    buf_printf(s->out, "%zu baseline and %zu candidate runs. ", j->baseline_runs,
               j->candidate_runs);
    if (j->culprit.len > 0) {
        text(s, j->culprit);
        buf_printf(s->out, " carries %.*s of the change in time spent.",
                   SLICE_FMT(words_share(s->arena, j->culprit_share)));
    }
    buf_puts(s->out, "\n\n");
    heads(s, NULL, "llrrrrrl", names);
    for (size_t i = 0; i < shown_rows(count); i++) {
        change_row(s, &j->changes[i]);
    }
    rest(s, count);
}

static void fact(Sheet *s, const char *name, Slice value, Slice note)
{
    buf_printf(s->out, "| %s |", name);
    cell(s, value);
    cell(s, note);
    buf_puts(s->out, "\n");
}

static void write_totals(Sheet *s)
{
    static const char *const names[] = {"what", "value", ""};
    const ReportTotals *t = &s->m->totals;
    Arena *a = s->arena;
    bool open = !isnan(t->offered);
    heads(s, "What was measured", "lrl", names);
    fact(s, "iterations", words_rate(a, t->iteration_rate),
         open ? arena_printf(a, "of %.*s offered, %.*s dropped",
                             SLICE_FMT(words_rate(a, t->offered_rate)),
                             SLICE_FMT(words_count(a, t->dropped)))
              : SLICE("closed model"));
    fact(s, "generator lateness p99", words_ms(a, t->generator.p99), (Slice){0});
    fact(s, "failed requests", words_share(a, t->failed_share),
         arena_printf(a, "%.*s of %.*s", SLICE_FMT(words_count(a, t->failed)),
                      SLICE_FMT(words_count(a, t->requests))));
    fact(s, "request duration p50", words_ms(a, t->latency.p50), (Slice){0});
    fact(s, "request duration p95", words_ms(a, t->latency.p95), (Slice){0});
    fact(s, "request duration p99", words_ms(a, t->latency.p99), (Slice){0});
    fact(s, "p99 from the intended start", words_ms(a, t->corrected.p99), (Slice){0});
    fact(s, "throughput", words_rate(a, t->request_rate), SLICE("requests"));
    for (size_t i = 0; i < s->m->kind_count; i++) {
        const ReportErrorKind *k = &s->m->kinds[i];
        fact(s, "errors", words_count(a, k->count), k->name);
    }
}

static void write_endpoints(Sheet *s)
{
    static const char *const names[] = {"endpoint", "requests", "failed", "p50",
                                        "p90",      "p95",      "p99",    "max"};
    const ReportModel *m = s->m;
    if (m->endpoint_count == 0) {
        return;
    }
    heads(s, "Endpoints", "lrrrrrrr", names);
    for (size_t i = 0; i < shown_rows(m->endpoint_count); i++) {
        const ReportEndpoint *e = &m->endpoints[i];
        const double latencies[] = {e->latency.p50, e->latency.p90, e->latency.p95, e->latency.p99,
                                    e->latency.max};
        buf_puts(s->out, "|");
        cell(s, e->name);
        number(s, words_count(s->arena, e->requests));
        number(s, words_share(s->arena, e->failed_share));
        for (size_t k = 0; k < COUNT_OF(latencies); k++) {
            number(s, words_ms(s->arena, latencies[k]));
        }
        buf_puts(s->out, "\n");
    }
    rest(s, m->endpoint_count);
}

static void write_checks(Sheet *s)
{
    static const char *const names[] = {"check", "passed", "failed"};
    const ReportModel *m = s->m;
    if (m->check_count == 0) {
        return;
    }
    heads(s, "Checks", "lrr", names);
    for (size_t i = 0; i < shown_rows(m->check_count); i++) {
        buf_puts(s->out, "|");
        cell(s, m->checks[i].name);
        number(s, words_count(s->arena, (double)m->checks[i].passes));
        number(s, words_count(s->arena, (double)m->checks[i].fails));
        buf_puts(s->out, "\n");
    }
    rest(s, m->check_count);
}

static void write_origin(Sheet *s)
{
    const ReportInput *in = &s->m->in;
    buf_puts(s->out, "\n<sub>seal ");
    text(s, in->run->seal_hash.len ? in->run->seal_hash : SLICE("missing"));
    if (in->ledger_head.len > 0) {
        buf_puts(s->out, ", ledger head ");
        text(s, in->ledger_head);
    }
    buf_puts(s->out, ", plan ");
    text(s, in->run->info.plan_sha256);
    buf_printf(s->out, ", seed %llu", (unsigned long long)in->run->info.seed);
    if (in->command.len > 0) {
        buf_puts(s->out, ", again: ");
        text(s, in->command);
    }
    buf_puts(s->out, ". " WORDS_NONE " means not measured.</sub>\n");
}

int report_markdown(const ReportModel *m, Buf *out, Err *e)
{
    static const struct {
        const char *name;
        Section *write;
    } sections[] = {
        {"verdict", write_verdict},       {"objectives", write_slos},
        {"thresholds", write_thresholds}, {"comparison", write_changes},
        {"totals", write_totals},         {"endpoints", write_endpoints},
        {"checks", write_checks},         {"provenance", write_origin},
    };
    size_t ceiling = out->max < REPORT_MARKDOWN_MAX ? out->max : REPORT_MARKDOWN_MAX;
    Buf section = buf_create(REPORT_MARKDOWN_MAX);
    Buf cut = buf_create(ROOM_FOR_CUTS);
    Sheet s = {m, &section, arena_create(64 << 20)};
    for (size_t i = 0; i < COUNT_OF(sections); i++) {
        buf_reset(&section);
        sections[i].write(&s);
        if (section.overflowed || out->len + section.len + ROOM_FOR_CUTS > ceiling) {
            buf_printf(&cut, "%s%s", cut.len ? ", " : "", sections[i].name);
        } else {
            buf_append(out, buf_slice(&section));
        }
    }
    if (cut.len > 0) {
        buf_printf(out, "\nLeft out for want of room: %.*s. The HTML report has it.\n",
                   SLICE_FMT(buf_slice(&cut)));
    }
    arena_destroy(s.arena);
    buf_done(&section);
    buf_done(&cut);
    return buf_check(out, "the Markdown report", e);
}
