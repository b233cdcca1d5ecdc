#include "load/progress.h"

#include <math.h>

#include "base/units.h"

enum { FIELD_MAX = 128 };

Progress progress_create(const ProgressOptions *options)
{
    Progress p = {.options = *options, .line = buf_create(PROGRESS_LINE_MAX)};
    p.options.width = options->width > 0 ? options->width : 80;
    if (p.options.width < PROGRESS_WIDTH_MIN) {
        p.options.width = PROGRESS_WIDTH_MIN;
    }
    return p;
}

// ---- one field

static void clock_text(int64_t ns, char out[UNITS_TEXT_MAX])
{
    int64_t s = ns > 0 ? (ns + NS_PER_SECOND / 2) / NS_PER_SECOND : 0;
    if (s >= 3600) {
        (void)snprintf(out, UNITS_TEXT_MAX, "%lld:%02lld:%02lld", (long long)(s / 3600),
                       (long long)(s / 60 % 60), (long long)(s % 60));
    } else {
        (void)snprintf(out, UNITS_TEXT_MAX, "%02lld:%02lld", (long long)(s / 60),
                       (long long)(s % 60));
    }
}

static void rate_text(double per_second, char out[UNITS_TEXT_MAX])
{
    int decimals = per_second >= 100 || per_second == 0 ? 0 : 1;
    (void)snprintf(out, UNITS_TEXT_MAX, "%.*f/s", decimals, per_second);
}

static void latency_text(double ns, char out[UNITS_TEXT_MAX])
{
    if (isnan(ns)) {
        (void)snprintf(out, UNITS_TEXT_MAX, "-");
    } else {
        duration_format_short((int64_t)ns, out);
    }
}

typedef struct Line {
    Buf *out;
    int width; // characters allowed; 0: any
    int used;
    bool color;
    bool full; // a field did not fit: the ones behind it stay away too
} Line;

// Characters, not bytes: "µs" is two characters.
static int characters(const char *text)
{
    int n = 0;
    for (; *text; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

static void field(Line *line, const char *color, const char *text)
{
    int gap = line->used > 0 ? 2 : 0;
    int width = characters(text) + gap;
    if (line->full || (line->width > 0 && line->used + width > line->width)) {
        line->full = true;
        return;
    }
    buf_puts(line->out, gap ? "  " : "");
    if (line->color && color) {
        buf_printf(line->out, "\x1b[%sm%s\x1b[0m", color, text);
    } else {
        buf_puts(line->out, text);
    }
    line->used += width;
}

static void time_field(Line *line, const EngineStatus *s)
{
    char at[UNITS_TEXT_MAX];
    char of[UNITS_TEXT_MAX];
    char text[FIELD_MAX];
    clock_text(s->elapsed_ns, at);
    clock_text(s->planned_ns, of);
    (void)snprintf(text, sizeof text, "%s of %s", at, of);
    field(line, "1", text);
}

static void rate_field(Line *line, const EngineStatus *s)
{
    char offered[UNITS_TEXT_MAX];
    char achieved[UNITS_TEXT_MAX];
    char text[FIELD_MAX];
    rate_text(s->offered_rate, offered);
    rate_text(s->open_model ? s->iteration_rate : s->request_rate, achieved);
    if (s->open_model) {
        (void)snprintf(text, sizeof text, "offered %s achieved %s", offered, achieved);
    } else {
        (void)snprintf(text, sizeof text, "%s", achieved);
    }
    field(line, "36", text);
}

static void latency_field(Line *line, const EngineStatus *s)
{
    char p50[UNITS_TEXT_MAX];
    char p95[UNITS_TEXT_MAX];
    char p99[UNITS_TEXT_MAX];
    char text[FIELD_MAX * 2];
    latency_text(s->p50_ns, p50);
    latency_text(s->p95_ns, p95);
    latency_text(s->p99_ns, p99);
    (void)snprintf(text, sizeof text, "p50 %s p95 %s p99 %s", p50, p95, p99);
    field(line, NULL, text);
}

void progress_line(const EngineStatus *s, int width, bool color, Buf *out)
{
    Line line = {.out = out, .width = width, .color = color};
    char text[FIELD_MAX];
    time_field(&line, s);
    rate_field(&line, s);
    (void)snprintf(text, sizeof text, "errors %.1f%%", s->failed_rate * 100);
    field(&line, s->failed_rate > 0 ? "31" : NULL, text);
    latency_field(&line, s);
    (void)snprintf(text, sizeof text, "vus %lld/%lld", (long long)s->vus, (long long)s->vus_max);
    field(&line, NULL, text);
    if (s->dropped > 0) {
        (void)snprintf(text, sizeof text, "dropped %lld", (long long)s->dropped);
        field(&line, "33", text);
    }
    if (s->stopping) {
        field(&line, "33", "stopping");
    } else if (s->planned_ns > s->elapsed_ns) {
        char left[UNITS_TEXT_MAX];
        clock_text(s->planned_ns - s->elapsed_ns, left);
        (void)snprintf(text, sizeof text, "%s left", left);
        field(&line, NULL, text);
    }
}

// ---- drawing

void progress_update(Progress *p, const EngineStatus *s)
{
    const ProgressOptions *o = &p->options;
    if (!o->tty && s->elapsed_ns < p->next_plain_ns) {
        return;
    }
    p->next_plain_ns = s->elapsed_ns - s->elapsed_ns % PROGRESS_PLAIN_NS + PROGRESS_PLAIN_NS;
    buf_reset(&p->line);
    if (o->tty) {
        // One column stays free: a full last column wraps on some terminals.
        buf_puts(&p->line, "\r\x1b[2K");
        progress_line(s, o->width - 1, o->color, &p->line);
    } else {
        progress_line(s, 0, false, &p->line);
        buf_putc(&p->line, '\n');
    }
    p->drawn = true;
    o->write(o->ctx, buf_slice(&p->line));
}

void progress_end(Progress *p)
{
    if (p->drawn && p->options.tty) {
        p->options.write(p->options.ctx, SLICE("\r\x1b[2K"));
    }
    buf_done(&p->line);
    p->drawn = false;
}
