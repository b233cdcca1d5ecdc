// Transcript: what an engine did, as JSON lines in words that no engine owns. It goes into the
// evidence bundle, so it has ceilings and holds no secret: every value that was named with
// transcript_hide is replaced wherever it stands.
//
//     {"t_ms":5120,"event":"message","role":"engine","text":"The loop calls strlen each time."}
//     {"t_ms":6002,"event":"command","command":"make -j2","exit":0,"ms":815,"output":"..."}
//     {"t_ms":7100,"event":"edit","path":"src/parse.c","kind":"update"}
//     {"t_ms":7101,"event":"usage","input":5120,"output":310,"cached":0,"cost_nano_usd":0}
//
// Everything in it that came from an engine is data. Nothing reads a transcript to decide anything;
// people do, to see how a patch came about.
#ifndef IMPROVE_TRANSCRIPT_H
#define IMPROVE_TRANSCRIPT_H

#include "base/buf.h"
#include "os/clock.h"

enum {
    TRANSCRIPT_BYTES_MAX = 8 << 20,
    TRANSCRIPT_TEXT_MAX = 16 << 10, // of one text; the middle of a longer one is left out
    TRANSCRIPT_SECRETS_MAX = 32,
    TRANSCRIPT_SECRET_BYTES_MIN = 6, // shorter ones are words that occur by themselves
};

typedef struct TranscriptTotals {
    int64_t messages, commands, commands_failed, timeouts, edits, errors;
    int64_t input_tokens, output_tokens, cached_tokens, cost_nano_usd;
} TranscriptTotals;

typedef struct Transcript {
    const Clock *clock;
    int64_t start_ns;
    Buf lines;
    Buf scratch;
    Slice secrets[TRANSCRIPT_SECRETS_MAX]; // borrowed
    size_t secret_count;
    TranscriptTotals totals;
    int64_t dropped; // events beyond the ceiling; the totals count them all the same
} Transcript;

// `clock` NULL: the real one.
Transcript transcript_create(const Clock *clock);
void transcript_done(Transcript *t);

// The value is borrowed for the transcript's life. False where it is too short to be told from an
// ordinary word, or where there are too many: the caller must not run an engine with it then.
MUST_USE bool transcript_hide(Transcript *t, Slice secret);
// Appends `text` with secrets replaced by [hidden] and, past TRANSCRIPT_TEXT_MAX, without its
// middle.
void transcript_clean(const Transcript *t, Slice text, Buf *out);

typedef struct TranscriptCommand {
    Slice command;
    bool exit_known;
    int64_t exit_code;
    int64_t duration_ns; // negative: not known
    bool timed_out;
    Slice output;
} TranscriptCommand;

void transcript_message(Transcript *t, const char *role, Slice text);
void transcript_command(Transcript *t, const TranscriptCommand *command);
void transcript_edit(Transcript *t, Slice path, const char *kind);
// Of a tool that neither runs commands nor edits: name and arguments.
void transcript_tool(Transcript *t, Slice name, Slice arguments);
// What was used since the last one.
typedef struct TranscriptUsage {
    int64_t input_tokens, output_tokens, cached_tokens, cost_nano_usd;
} TranscriptUsage;
void transcript_usage(Transcript *t, const TranscriptUsage *usage);
void transcript_timeout(Transcript *t, Slice what);
void transcript_error(Transcript *t, Slice text);
// Said by us: why an engine was ended, what the broker refused.
void transcript_note(Transcript *t, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
