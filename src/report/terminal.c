#include "report/terminal.h"

#include <math.h>

#include "base/utf8.h"
#include "report/text_table.h"
#include "report/words.h"

typedef struct Screen {
    const ReportModel *m;
    Buf *out;
    Arena *arena;
    int width;
    bool color;
} Screen;

static Slice clean(Screen *s, Slice text)
{
    Buf safe = buf_create(1 << 16);
    utf8_sanitise(&safe, slice_sub(text, 0, 4096));
    Slice copy = arena_copy(s->arena, buf_slice(&safe));
    buf_done(&safe);
    return copy;
}

static void heading(Screen *s, const char *title)
{
    buf_putc(s->out, '\n');
    text_tone(s->out, slice_from_cstr(title), TONE_NEUTRAL, s->color);
    buf_putc(s->out, '\n');
}

static void heads(TextTable *t, const char *const *names)
{
    for (size_t i = 0; i < t->columns; i++) {
        text_cell(t, slice_from_cstr(names[i]), TONE_NEUTRAL);
    }
}

static void cell(TextTable *t, Slice text)
{
    text_cell(t, text, TONE_NEUTRAL);
}

// The table, and how many rows there was no room for.
static void finish(Screen *s, const TextTable *t, size_t shown, size_t all)
{
    text_table_write(t, s->out, s->width, s->color);
    if (shown < all) {
        buf_printf(s->out, "  ... and %zu more; the HTML and JSON reports have them\n",
                   all - shown);
    }
}

static size_t shown_rows(size_t count)
{
    return count < REPORT_TERMINAL_ROWS_MAX ? count : REPORT_TERMINAL_ROWS_MAX;
}

static void write_verdict(Screen *s)
{
    const ReportModel *m = s->m;
    const RunInfo *info = &m->in.run->info;
    Buf upper = buf_create(256);
    for (size_t i = 0; i < m->verdict.len; i++) {
        char c = m->verdict.ptr[i];
        buf_putc(&upper, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c);
    }
    text_tone(s->out, buf_slice(&upper), m->tone, s->color);
    buf_done(&upper);
    buf_printf(s->out, "  %.*s\n", SLICE_FMT(clean(s, m->headline)));
    for (size_t i = 0; i < m->notice_count; i++) {
        text_tone(s->out, m->notices[i].title, m->notices[i].tone, s->color);
        buf_printf(s->out, ": %.*s\n", SLICE_FMT(clean(s, m->notices[i].text)));
    }
    buf_printf(s->out, "%.*s, %.*s, %.*s, run %s, %.*s\n", SLICE_FMT(clean(s, info->name)),
               SLICE_FMT(clean(s, info->target)),
               SLICE_FMT(words_duration(s->arena, m->in.run->end.duration_ns)), info->id,
               SLICE_FMT(words_status(m->in.run->end.status)));
}

static void write_slos(Screen *s)
{
    static const char *const names[] = {"objective", "verdict", "measured",
                                        "interval",  "limit",   "budget used"};
    const ReportModel *m = s->m;
    size_t count = report_slo_count(m), shown = shown_rows(count);
    if (count == 0) {
        return;
    }
    heading(s, "Objectives");
    TextTable *t = text_table(s->arena, "llrlrr");
    heads(t, names);
    for (size_t i = 0; i < shown; i++) {
        const SloVerdict *slo = &m->in.judgement->slos[i];
        cell(t, clean(s, slo->name));
        text_cell(t, slo_value_name(slo->value), report_slo_tone(slo));
        cell(t, words_value(s->arena, slo->estimate, slo->unit, slo->is_share));
        cell(t, words_interval(s->arena, slo->interval, slo->unit, slo->is_share));
        cell(t, words_value(s->arena, slo->limit, slo->unit, slo->is_share));
        cell(t, words_share(s->arena, slo->budget.consumed));
    }
    finish(s, t, shown, count);
    for (size_t i = 0; i < shown; i++) {
        const SloVerdict *slo = &m->in.judgement->slos[i];
        if (slo->value != SLO_MET && slo->reason.len > 0) {
            buf_printf(s->out, "  %.*s: %.*s\n", SLICE_FMT(clean(s, slo->name)),
                       SLICE_FMT(clean(s, slo->reason)));
        }
    }
}

static void write_thresholds(Screen *s)
{
    const ReportModel *m = s->m;
    size_t shown = shown_rows(m->threshold_count);
    if (shown == 0) {
        return;
    }
    heading(s, "Thresholds");
    TextTable *t = text_table(s->arena, "lllr");
    for (size_t i = 0; i < shown; i++) {
        const ReportThreshold *h = &m->thresholds[i];
        cell(t, clean(s, h->metric));
        text_cell(t, report_threshold_words(m, h), report_threshold_tone(m, h));
        cell(t, clean(s, h->expression));
        cell(t, words_number(s->arena, h->value));
    }
    finish(s, t, shown, m->threshold_count);
}

// benchstat's layout: "~" where no difference was shown, so that only what changed has a number.
static Slice versus(Screen *s, const ChangeVerdict *c)
{
    if (c->value == CHANGE_NOT_COMPARABLE) {
        return SLICE("not comparable");
    }
    if (c->value == CHANGE_NO_DIFFERENCE_SHOWN) {
        return SLICE("~");
    }
    return c->measure == MEASURE_ERROR_RATE ? words_share(s->arena, c->difference)
                                            : words_change(s->arena, c->ratio);
}

static void change_row(Screen *s, TextTable *t, const ChangeVerdict *c)
{
    const Judgement *j = s->m->in.judgement;
    bool share = c->measure == MEASURE_ERROR_RATE;
    double p = isnan(c->p_adjusted) ? c->p : c->p_adjusted;
    cell(t, c->endpoint.len ? clean(s, c->endpoint) : SLICE("all requests"));
    cell(t, change_measure_name(c->measure));
    cell(t, words_value(s->arena, c->baseline, c->unit, share));
    cell(t, words_value(s->arena, c->candidate, c->unit, share));
    text_cell(t, versus(s, c), report_change_tone(c));
    cell(t, share ? words_interval(s->arena, c->interval, c->unit, true)
                  : words_change_interval(s->arena, c->interval));
    cell(t, isnan(p) ? arena_printf(s->arena, "(n=%zu+%zu)", j->baseline_runs, j->candidate_runs)
                     : arena_printf(s->arena, "(p=%.*s n=%zu+%zu)", SLICE_FMT(words_p(s->arena, p)),
                                    j->baseline_runs, j->candidate_runs));
    Slice words = change_words(s->arena, c);
    text_cell(t,
              c->single_run ? arena_printf(s->arena, "%.*s, single run", SLICE_FMT(words)) : words,
              report_change_tone(c));
}

// What decides, and what changed: a screen is short, the other rows are in every other format.
static bool worth_a_row(const ChangeVerdict *c)
{
    bool changed = c->value == CHANGE_SLOWER || c->value == CHANGE_FASTER;
    if (c->measure == MEASURE_ERROR_RATE) {
        return changed;
    }
    return c->decides || c->measure == MEASURE_P95;
}

static void write_changes(Screen *s)
{
    static const char *const names[] = {"endpoint", "measure",  "base", "candidate",
                                        "vs base",  "interval", "",     ""};
    const ReportModel *m = s->m;
    const Judgement *j = m->in.judgement;
    size_t count = 0;
    for (size_t i = 0; i < report_change_count(m); i++) {
        count += worth_a_row(&j->changes[i]);
    }
    if (count == 0) {
        return;
    }
    heading(s, "Against the baseline");
    TextTable *t = text_table(s->arena, "llrrrlll");
    heads(t, names);
    size_t shown = shown_rows(count), rows = 0;
    for (size_t i = 0; i < report_change_count(m) && rows < shown; i++) {
        if (worth_a_row(&j->changes[i])) {
            change_row(s, t, &j->changes[i]);
            rows++;
        }
    }
    finish(s, t, shown, count);
    if (j->culprit.len > 0) {
        buf_printf(s->out, "  %.*s carries %.*s of the change in time spent\n",
                   SLICE_FMT(clean(s, j->culprit)),
                   SLICE_FMT(words_share(s->arena, j->culprit_share)));
    }
}

static void write_fidelity(Screen *s)
{
    const ReportTotals *t = &s->m->totals;
    Arena *a = s->arena;
    heading(s, "Fidelity");
    if (isnan(t->offered)) {
        buf_printf(s->out, "  %.*s iterations, %.*s (closed model: nothing was offered)\n",
                   SLICE_FMT(words_count(a, t->iterations)),
                   SLICE_FMT(words_rate(a, t->iteration_rate)));
    } else {
        buf_printf(s->out, "  %.*s of %.*s iterations due, %.*s of %.*s offered, %.*s dropped\n",
                   SLICE_FMT(words_count(a, t->iterations)), SLICE_FMT(words_count(a, t->offered)),
                   SLICE_FMT(words_rate(a, t->iteration_rate)),
                   SLICE_FMT(words_rate(a, t->offered_rate)),
                   SLICE_FMT(words_count(a, t->dropped)));
    }
    buf_printf(s->out, "  generator late by %.*s at p99, %.*s at worst; at most %.*s VUs\n",
               SLICE_FMT(words_ms(a, t->generator.p99)), SLICE_FMT(words_ms(a, t->generator.max)),
               SLICE_FMT(words_count(a, t->vus_max)));
}

static void write_failures(Screen *s)
{
    const ReportModel *m = s->m;
    Arena *a = s->arena;
    heading(s, "Failures");
    if (isnan(m->totals.failed)) {
        buf_puts(s->out, "  not measured\n");
    } else {
        buf_printf(s->out, "  %.*s of %.*s requests (%.*s)\n",
                   SLICE_FMT(words_count(a, m->totals.failed)),
                   SLICE_FMT(words_count(a, m->totals.requests)),
                   SLICE_FMT(words_share(a, m->totals.failed_share)));
    }
    for (size_t i = 0; i < m->kind_count; i++) {
        buf_printf(s->out, "  %.*s x %.*s, first at %.*s\n",
                   SLICE_FMT(words_count(a, m->kinds[i].count)),
                   SLICE_FMT(clean(s, m->kinds[i].name)),
                   SLICE_FMT(words_second(a, m->kinds[i].first_seen_s)));
    }
    if (!isnan(m->totals.checks_total)) {
        buf_printf(s->out, "  checks: %.*s of %.*s passed\n",
                   SLICE_FMT(words_count(a, m->totals.checks_passed)),
                   SLICE_FMT(words_count(a, m->totals.checks_total)));
    }
    for (size_t i = 0; i < shown_rows(m->check_count); i++) {
        const ReportCheck *c = &m->checks[i];
        if (c->fails > 0) {
            buf_printf(s->out, "  failed check: %.*s (%.*s of %.*s)\n",
                       SLICE_FMT(clean(s, c->name)), SLICE_FMT(words_count(a, (double)c->fails)),
                       SLICE_FMT(words_count(a, (double)(c->fails + c->passes))));
        }
    }
}

static void latency_cells(Screen *s, TextTable *t, const ReportLatency *l)
{
    const double values[] = {l->mean, l->p50, l->p90, l->p95, l->p99, l->max};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        cell(t, words_ms(s->arena, values[i]));
    }
}

static void write_latency(Screen *s)
{
    static const char *const names[] = {"endpoint", "requests", "failed", "mean", "p50",
                                        "p90",      "p95",      "p99",    "max"};
    const ReportModel *m = s->m;
    size_t shown = shown_rows(m->endpoint_count);
    heading(s, "Latency");
    TextTable *t = text_table(s->arena, "lrrrrrrrr");
    heads(t, names);
    for (size_t i = 0; i < shown; i++) {
        const ReportEndpoint *e = &m->endpoints[i];
        cell(t, clean(s, e->name));
        cell(t, words_count(s->arena, e->requests));
        cell(t, words_share(s->arena, e->failed_share));
        latency_cells(s, t, &e->latency);
    }
    cell(t, SLICE("all requests"));
    cell(t, words_count(s->arena, m->totals.requests));
    cell(t, words_share(s->arena, m->totals.failed_share));
    latency_cells(s, t, &m->totals.latency);
    if (m->totals.corrected.count > 0) {
        cell(t, SLICE("from intended start"));
        cell(t, (Slice){0});
        cell(t, (Slice){0});
        latency_cells(s, t, &m->totals.corrected);
    }
    finish(s, t, shown, m->endpoint_count);
}

static void write_throughput(Screen *s)
{
    const ReportTotals *t = &s->m->totals;
    heading(s, "Throughput");
    buf_printf(s->out, "  %.*s requests, %.*s; sent %.*s, received %.*s\n",
               SLICE_FMT(words_count(s->arena, t->requests)),
               SLICE_FMT(words_rate(s->arena, t->request_rate)),
               SLICE_FMT(words_bytes(s->arena, t->data_sent)),
               SLICE_FMT(words_bytes(s->arena, t->data_received)));
}

static void write_origin(Screen *s)
{
    const ReportInput *in = &s->m->in;
    buf_printf(s->out, "\nseal %.*s  plan %.*s  seed %llu\n",
               SLICE_FMT(in->run->seal_hash.len ? in->run->seal_hash : SLICE("missing")),
               SLICE_FMT(slice_sub(in->run->info.plan_sha256, 0, 12)),
               (unsigned long long)in->run->info.seed);
    if (in->command.len > 0) {
        buf_printf(s->out, "again: %.*s\n", SLICE_FMT(clean(s, in->command)));
    }
}

int report_terminal(const ReportModel *m, const TerminalOptions *options, Buf *out, Err *e)
{
    Screen s = {.m = m,
                .out = out,
                .arena = arena_create(64 << 20),
                .width = options->width > 0 ? options->width : REPORT_TERMINAL_WIDTH,
                .color = options->color};
    write_verdict(&s);
    write_slos(&s);
    write_thresholds(&s);
    write_changes(&s);
    write_fidelity(&s);
    write_failures(&s);
    write_latency(&s);
    write_throughput(&s);
    write_origin(&s);
    if (slice_find(buf_slice(out), SLICE(WORDS_NONE)) >= 0) {
        buf_puts(out, WORDS_NONE " means not measured\n");
    }
    arena_destroy(s.arena);
    return buf_check(out, "the terminal report", e);
}
