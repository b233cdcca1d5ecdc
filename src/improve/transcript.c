#include "improve/transcript.h"

#include <stdarg.h>

#include "base/json_write.h"

// The scratch holds one text before its middle is left out: as much as the longest line of any
// engine, with every byte of it replaced by a longer word.
enum { SCRATCH_BYTES_MAX = 16 << 20, NOTE_MAX = 2000 };

static const Slice HIDDEN = SLICE_INIT("[hidden]");

Transcript transcript_create(const Clock *clock)
{
    const Clock *c = clock ? clock : clock_real();
    return (Transcript){.clock = c,
                        .start_ns = clock_now(c),
                        .lines = buf_create(TRANSCRIPT_BYTES_MAX),
                        .scratch = buf_create(SCRATCH_BYTES_MAX)};
}

void transcript_done(Transcript *t)
{
    buf_done(&t->lines);
    buf_done(&t->scratch);
}

bool transcript_hide(Transcript *t, Slice secret)
{
    if (secret.len < TRANSCRIPT_SECRET_BYTES_MIN || t->secret_count == TRANSCRIPT_SECRETS_MAX) {
        return false;
    }
    t->secrets[t->secret_count++] = secret;
    return true;
}

// The nearest secret in `text`, or -1.
static ptrdiff_t find_secret(const Transcript *t, Slice text, size_t *ret_len)
{
    ptrdiff_t best = -1;
    for (size_t i = 0; i < t->secret_count; i++) {
        ptrdiff_t at = slice_find(text, t->secrets[i]);
        if (at >= 0 && (best < 0 || at < best)) {
            best = at;
            *ret_len = t->secrets[i].len;
        }
    }
    return best;
}

static void hide_all(const Transcript *t, Slice text, Buf *out)
{
    size_t len = 0;
    for (ptrdiff_t at; (at = find_secret(t, text, &len)) >= 0;) {
        buf_append(out, slice_sub(text, 0, (size_t)at));
        buf_append(out, HIDDEN);
        text = slice_sub(text, (size_t)at + len, text.len);
    }
    buf_append(out, text);
}

// Secrets go before the middle does: a cut through one would leave half of it.
void transcript_clean(const Transcript *t, Slice text, Buf *out)
{
    Buf whole = buf_create(SCRATCH_BYTES_MAX);
    hide_all(t, text, &whole);
    Slice clean = buf_slice(&whole);
    if (whole.overflowed) {
        buf_puts(out, "[too long]");
    } else if (clean.len <= TRANSCRIPT_TEXT_MAX) {
        buf_append(out, clean);
    } else {
        size_t half = TRANSCRIPT_TEXT_MAX / 2;
        buf_append(out, slice_sub(clean, 0, half));
        buf_printf(out, "\n[%zu bytes left out]\n", clean.len - 2 * half);
        buf_append(out, slice_sub(clean, clean.len - half, half));
    }
    buf_done(&whole);
}

// ---- lines

typedef struct Line {
    Transcript *t;
    JsonWriter w;
    size_t from; // where the line began, to take it back
} Line;

static Line line_begin(Transcript *t, const char *event)
{
    Line line = {.t = t, .from = t->lines.len};
    line.w = json_writer(&t->lines, 0);
    json_object_begin(&line.w);
    json_field_int(&line.w, "t_ms", (clock_now(t->clock) - t->start_ns) / NS_PER_MS);
    json_field_cstr(&line.w, "event", event);
    return line;
}

static void line_text(Line *line, const char *key, Slice text)
{
    Buf *scratch = &line->t->scratch;
    buf_reset(scratch);
    transcript_clean(line->t, text, scratch);
    json_field_string(&line->w, key, buf_slice(scratch));
}

// A line that does not fit goes as a whole: what is there stays valid JSON lines.
static void line_end(Line *line)
{
    json_object_end(&line->w);
    buf_putc(&line->t->lines, '\n');
    if (line->t->lines.overflowed) {
        line->t->lines.len = line->from;
        line->t->dropped++;
    }
}

void transcript_message(Transcript *t, const char *role, Slice text)
{
    t->totals.messages++;
    Line line = line_begin(t, "message");
    json_field_cstr(&line.w, "role", role);
    line_text(&line, "text", text);
    line_end(&line);
}

void transcript_command(Transcript *t, const TranscriptCommand *command)
{
    t->totals.commands++;
    t->totals.timeouts += command->timed_out;
    t->totals.commands_failed += command->exit_known && command->exit_code != 0;
    Line line = line_begin(t, "command");
    line_text(&line, "command", command->command);
    if (command->exit_known) {
        json_field_int(&line.w, "exit", command->exit_code);
    }
    if (command->duration_ns >= 0) {
        json_field_int(&line.w, "ms", command->duration_ns / NS_PER_MS);
    }
    if (command->timed_out) {
        json_field_bool(&line.w, "timed_out", true);
    }
    line_text(&line, "output", command->output);
    line_end(&line);
}

void transcript_edit(Transcript *t, Slice path, const char *kind)
{
    t->totals.edits++;
    Line line = line_begin(t, "edit");
    line_text(&line, "path", path);
    json_field_cstr(&line.w, "kind", kind);
    line_end(&line);
}

void transcript_tool(Transcript *t, Slice name, Slice arguments)
{
    Line line = line_begin(t, "tool");
    line_text(&line, "name", name);
    line_text(&line, "arguments", arguments);
    line_end(&line);
}

// Engines are not trusted with their own sums either: nothing negative, nothing that overflows.
static int64_t add(int64_t sum, int64_t value)
{
    int64_t result;
    return value <= 0 ? sum : __builtin_add_overflow(sum, value, &result) ? INT64_MAX : result;
}

void transcript_usage(Transcript *t, const TranscriptUsage *usage)
{
    t->totals.input_tokens = add(t->totals.input_tokens, usage->input_tokens);
    t->totals.output_tokens = add(t->totals.output_tokens, usage->output_tokens);
    t->totals.cached_tokens = add(t->totals.cached_tokens, usage->cached_tokens);
    t->totals.cost_nano_usd = add(t->totals.cost_nano_usd, usage->cost_nano_usd);
    Line line = line_begin(t, "usage");
    json_field_int(&line.w, "input", usage->input_tokens);
    json_field_int(&line.w, "output", usage->output_tokens);
    json_field_int(&line.w, "cached", usage->cached_tokens);
    json_field_int(&line.w, "cost_nano_usd", usage->cost_nano_usd);
    line_end(&line);
}

void transcript_timeout(Transcript *t, Slice what)
{
    t->totals.timeouts++;
    Line line = line_begin(t, "timeout");
    line_text(&line, "what", what);
    line_end(&line);
}

void transcript_error(Transcript *t, Slice text)
{
    t->totals.errors++;
    Line line = line_begin(t, "error");
    line_text(&line, "text", text);
    line_end(&line);
}

void transcript_note(Transcript *t, const char *format, ...)
{
    char text[NOTE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    Line line = line_begin(t, "note");
    line_text(&line, "text", slice_from_cstr(text));
    line_end(&line);
}
