#include "report/junit.h"

#include <math.h>

#include "base/svg.h"
#include "report/words.h"

// One suite: its cases are written aside because the suite's start tag has their counts.
typedef struct Suite {
    const char *name;
    Buf cases;
    size_t tests, failures, errors, skipped;
} Suite;

typedef enum Outcome { OUTCOME_PASS, OUTCOME_FAILURE, OUTCOME_ERROR, OUTCOME_SKIPPED } Outcome;

static void attribute(Buf *out, const char *name, Slice value)
{
    buf_printf(out, " %s=\"", name);
    xml_escape(out, value);
    buf_putc(out, '"');
}

static void add_case(Suite *s, Slice name, Outcome outcome, Slice message)
{
    static const char *const tags[] = {"system-out", "failure", "error", "skipped"};
    s->tests++;
    s->failures += outcome == OUTCOME_FAILURE;
    s->errors += outcome == OUTCOME_ERROR;
    s->skipped += outcome == OUTCOME_SKIPPED;
    buf_puts(&s->cases, "    <testcase");
    attribute(&s->cases, "classname", slice_from_cstr(s->name));
    attribute(&s->cases, "name", name);
    buf_printf(&s->cases, "><%s", tags[outcome]);
    if (outcome == OUTCOME_PASS) {
        buf_putc(&s->cases, '>');
        xml_escape(&s->cases, message);
        buf_puts(&s->cases, "</system-out></testcase>\n");
    } else {
        attribute(&s->cases, "message", message);
        buf_puts(&s->cases, "/></testcase>\n");
    }
}

static Suite suite_begin(const char *name)
{
    return (Suite){.name = name, .cases = buf_create(REPORT_JUNIT_MAX)};
}

static void suite_end(const ReportModel *m, Suite *s, Buf *out)
{
    if (s->tests > 0) {
        buf_puts(out, "  <testsuite");
        attribute(out, "name", slice_from_cstr(s->name));
        buf_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\"", s->tests,
                   s->failures, s->errors, s->skipped);
        buf_printf(out, " time=\"%.3f\">\n", isnan(m->duration_s) ? 0 : m->duration_s);
        if (s->cases.overflowed) {
            out->overflowed = true;
        }
        buf_append(out, buf_slice(&s->cases));
        buf_puts(out, "  </testsuite>\n");
    }
    buf_done(&s->cases);
}

static void run_suite(const ReportModel *m, Buf *out)
{
    Suite s = suite_begin("run");
    Slice status = words_status(m->in.run->end.status);
    bool invalid = m->in.judgement ? m->in.judgement->status == JUDGE_INVALID : false;
    if (m->in.run->end.status == RUN_INVALID || invalid) {
        // The first notice of an invalid run is why.
        add_case(&s, SLICE("the measurement is valid"), OUTCOME_ERROR, m->notices[0].text);
    } else if (m->in.run->end.status == RUN_COMPLETE) {
        add_case(&s, SLICE("the measurement is valid"), OUTCOME_PASS, status);
    } else {
        add_case(&s, SLICE("the measurement is valid"), OUTCOME_SKIPPED, status);
    }
    suite_end(m, &s, out);
}

static void slo_suite(const ReportModel *m, Arena *arena, Buf *out)
{
    Suite s = suite_begin("objectives");
    for (size_t i = 0; i < report_slo_count(m); i++) {
        const SloVerdict *slo = &m->in.judgement->slos[i];
        Outcome outcome = slo->value == SLO_MET        ? OUTCOME_PASS
                          : slo->value == SLO_BREACHED ? OUTCOME_FAILURE
                                                       : OUTCOME_SKIPPED;
        Slice message =
            arena_printf(arena, "%.*s: %.*s (measured %.*s, limit %.*s)",
                         SLICE_FMT(slo_value_name(slo->value)), SLICE_FMT(slo->reason),
                         SLICE_FMT(words_value(arena, slo->estimate, slo->unit, slo->is_share)),
                         SLICE_FMT(words_value(arena, slo->limit, slo->unit, slo->is_share)));
        add_case(&s, slo->name, outcome, message);
    }
    suite_end(m, &s, out);
}

static void threshold_suite(const ReportModel *m, Arena *arena, Buf *out)
{
    Suite s = suite_begin("thresholds");
    for (size_t i = 0; i < m->threshold_count && !m->invalid; i++) {
        const ReportThreshold *t = &m->thresholds[i];
        Slice name =
            arena_printf(arena, "%.*s %.*s", SLICE_FMT(t->metric), SLICE_FMT(t->expression));
        Slice value = arena_printf(arena, "value %.*s", SLICE_FMT(words_number(arena, t->value)));
        if (!t->has_value) {
            add_case(&s, name, OUTCOME_SKIPPED, SLICE("no data"));
        } else {
            add_case(&s, name, t->ok ? OUTCOME_PASS : OUTCOME_FAILURE, value);
        }
    }
    suite_end(m, &s, out);
}

static Outcome change_outcome(const ChangeVerdict *c)
{
    switch (c->value) {
    case CHANGE_FASTER:
    case CHANGE_NO_DIFFERENCE_SHOWN: return OUTCOME_PASS;
    case CHANGE_SLOWER: return c->decides ? OUTCOME_FAILURE : OUTCOME_SKIPPED;
    case CHANGE_NOT_COMPARABLE: break;
    }
    return OUTCOME_SKIPPED;
}

static void change_suite(const ReportModel *m, Arena *arena, Buf *out)
{
    Suite s = suite_begin("comparison");
    for (size_t i = 0; i < report_change_count(m); i++) {
        const ChangeVerdict *c = &m->in.judgement->changes[i];
        bool share = c->measure == MEASURE_ERROR_RATE;
        Slice name = arena_printf(arena, "%.*s %.*s",
                                  SLICE_FMT(c->endpoint.len ? c->endpoint : SLICE("all requests")),
                                  SLICE_FMT(change_measure_name(c->measure)));
        Slice change = share ? words_share(arena, c->difference) : words_change(arena, c->ratio);
        Slice message = arena_printf(
            arena, "%.*s: %.*s against %.*s (%.*s)%s%s", SLICE_FMT(change_words(arena, c)),
            SLICE_FMT(words_value(arena, c->candidate, c->unit, share)),
            SLICE_FMT(words_value(arena, c->baseline, c->unit, share)), SLICE_FMT(change),
            c->single_run ? ", single run" : "", c->decides ? "" : ", informative");
        add_case(&s, name, change_outcome(c), message);
    }
    suite_end(m, &s, out);
}

int report_junit(const ReportModel *m, Buf *out, Err *e)
{
    Arena *arena = arena_create(64 << 20);
    buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites");
    attribute(out, "name", m->in.run->info.name);
    buf_puts(out, ">\n");
    run_suite(m, out);
    slo_suite(m, arena, out);
    threshold_suite(m, arena, out);
    change_suite(m, arena, out);
    buf_puts(out, "</testsuites>\n");
    arena_destroy(arena);
    return buf_check(out, "the JUnit report", e);
}
