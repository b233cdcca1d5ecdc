// What an engine prints reads the same however it is cut into pieces, each line of the transcript
// is a JSON object, secrets are not in it, and sums stay sane.
#include <assert.h>

#include "improve/engine_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 64 << 10 };

static const char SECRET[] = "sk-fuzz-secret";

typedef struct Seen {
    Transcript t;
    EngineReader *r;
} Seen;

static void read_all(Seen *s, EngineKind kind, Slice text, size_t piece, ManualClock *clock)
{
    s->t = transcript_create(&clock->clock);
    bool hidden = transcript_hide(&s->t, slice_from_cstr(SECRET));
    assert(hidden);
    s->r = engine_reader_create(kind, &s->t);
    while (text.len > 0) {
        engine_reader_push(s->r, slice_sub(text, 0, piece));
        text = slice_sub(text, piece, text.len);
    }
    engine_reader_end(s->r);
}

static void forget(Seen *s)
{
    engine_reader_destroy(s->r);
    transcript_done(&s->t);
}

static void check_lines(Slice text)
{
    Arena *arena = arena_create(64 << 20);
    Slice line;
    while (slice_cut(text, '\n', &line, &text)) {
        const Doc *doc = NULL;
        int rc = doc_parse(arena, line, NULL, &doc, NULL);
        assert(rc == 0 && doc->type == DOC_OBJECT && doc_get(doc, SLICE("event")));
        arena_reset(arena);
    }
    assert(text.len == 0);
    arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > INPUT_MAX) {
        return 0;
    }
    EngineKind kind = (EngineKind)(data[0] % (ENGINE_OPENCODE + 1));
    Slice text = {(const char *)data + 2, size - 2};
    ManualClock clock;
    clock_manual_init(&clock, 0, 0);
    Seen whole, parts;
    read_all(&whole, kind, text, INPUT_MAX, &clock);
    read_all(&parts, kind, text, 1 + data[1] % 37, &clock);
    assert(slice_eq(buf_slice(&whole.t.lines), buf_slice(&parts.t.lines)));
    assert(slice_eq(buf_slice(&engine_reader_state(whole.r)->final_text),
                    buf_slice(&engine_reader_state(parts.r)->final_text)));
    assert(slice_find(buf_slice(&whole.t.lines), slice_from_cstr(SECRET)) < 0);
    const TranscriptTotals *t = &whole.t.totals;
    assert(t->input_tokens >= 0 && t->output_tokens >= 0 && t->cost_nano_usd >= 0);
    check_lines(buf_slice(&whole.t.lines));
    forget(&whole);
    forget(&parts);
    return 0;
}
