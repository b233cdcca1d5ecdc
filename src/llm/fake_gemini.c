// Gemini's generateContent on the wire (v1beta). Calls arrive whole and finish with STOP, as the
// real service has it.
#include "llm/fake_work.h"

static const char *finish_name(const FakeAnswer *a)
{
    return a->finish == FAKE_FINISH_LENGTH ? "MAX_TOKENS" : "STOP";
}

// Gemini counts thoughts apart.
static int64_t said_tokens(const FakeAnswer *a)
{
    return a->tokens_out - a->tokens_thought;
}

static void put_calls(const FakeWork *w, Buf *out, bool any)
{
    const FakeAnswer *a = &w->answer;
    for (size_t i = 0; i < a->call_count; i++) {
        buf_append(out, any || i > 0 ? SLICE(",") : SLICE(""));
        FAKE_PUT(out, "{\"functionCall\":{\"id\":\"");
        fake_put_id(out, SLICE(""), fake_call_id(w, i));
        FAKE_PUT(out, "\",\"name\":");
        fake_put_string(out, a->calls[i].name);
        FAKE_PUT(out, ",\"args\":");
        buf_append(out, a->calls[i].arguments);
        FAKE_PUT(out, "}}");
    }
}

static void put_text_part(Buf *out, Slice text)
{
    FAKE_PUT(out, "{\"text\":");
    fake_put_string(out, text);
    FAKE_PUT(out, "}");
}

static void put_thought(const FakeWork *w, Buf *out)
{
    FAKE_PUT(out, "{\"thought\":true,\"text\":");
    fake_put_string(out, w->answer.thought);
    FAKE_PUT(out, "}");
}

static void put_tail(const FakeWork *w, Buf *out, int64_t tokens_out)
{
    const FakeAnswer *a = &w->answer;
    FAKE_PUT(out, "],\"usageMetadata\":{\"promptTokenCount\":");
    fake_put_int(out, a->tokens_in);
    FAKE_PUT(out, ",\"candidatesTokenCount\":");
    fake_put_int(out, tokens_out);
    if (a->tokens_thought > 0) {
        FAKE_PUT(out, ",\"thoughtsTokenCount\":");
        fake_put_int(out, a->tokens_thought);
        tokens_out += a->tokens_thought;
    }
    FAKE_PUT(out, ",\"totalTokenCount\":");
    fake_put_int(out, a->tokens_in + tokens_out);
    FAKE_PUT(out, "},\"modelVersion\":");
    fake_put_string(out, w->request.model);
    FAKE_PUT(out, ",\"responseId\":\"");
    fake_put_id(out, SLICE(""), w->id);
    FAKE_PUT(out, "\"}");
}

static void put_finish(const FakeWork *w, Buf *out, int index)
{
    FAKE_PUT(out, "],\"role\":\"model\"},\"finishReason\":\"");
    buf_puts(out, finish_name(&w->answer));
    FAKE_PUT(out, "\",\"index\":");
    fake_put_int(out, index);
    FAKE_PUT(out, "}");
}

static void whole(FakeWork *w, Buf *out)
{
    const FakeAnswer *a = &w->answer;
    FAKE_PUT(out, "{\"candidates\":[");
    for (int i = 0; i < w->request.choices; i++) {
        buf_append(out, i > 0 ? SLICE(",") : SLICE(""));
        FAKE_PUT(out, "{\"content\":{\"parts\":[");
        bool thought = a->thought.len > 0;
        bool text = a->text.len > 0 || a->call_count == 0;
        if (thought) {
            put_thought(w, out);
        }
        if (text) {
            buf_append(out, thought ? SLICE(",") : SLICE(""));
            put_text_part(out, a->text);
        }
        put_calls(w, out, text || thought);
        put_finish(w, out, i);
    }
    put_tail(w, out, said_tokens(a));
}

// ---- streaming: events, or the items of one array

static void chunk_begin(FakeWork *w, Buf *out)
{
    if (w->route.sse) {
        FAKE_PUT(out, "data: ");
    } else {
        buf_append(out, w->first_chunk ? SLICE("[") : SLICE(",\r\n"));
    }
    w->first_chunk = false;
    FAKE_PUT(out, "{\"candidates\":[{\"content\":{\"parts\":[");
}

static void chunk_end(FakeWork *w, Buf *out, int64_t tokens_out)
{
    put_tail(w, out, tokens_out);
    if (w->route.sse) {
        FAKE_PUT(out, "\r\n\r\n");
    }
}

static void text(FakeWork *w, Buf *out, Slice piece)
{
    chunk_begin(w, out);
    put_text_part(out, piece);
    FAKE_PUT(out, "],\"role\":\"model\"},\"index\":0}");
    chunk_end(w, out, ++w->sequence);
}

static void thought(FakeWork *w, Buf *out)
{
    chunk_begin(w, out);
    put_thought(w, out);
    FAKE_PUT(out, "],\"role\":\"model\"},\"index\":0}");
    chunk_end(w, out, 0);
}

static void calls(FakeWork *w, Buf *out)
{
    if (w->answer.call_count > 0) {
        chunk_begin(w, out);
        put_calls(w, out, false);
        FAKE_PUT(out, "],\"role\":\"model\"},\"index\":0}");
        chunk_end(w, out, said_tokens(&w->answer));
    }
}

static void end(FakeWork *w, Buf *out)
{
    chunk_begin(w, out);
    put_text_part(out, (Slice){"", 0});
    put_finish(w, out, 0);
    chunk_end(w, out, said_tokens(&w->answer));
}

static void finish(FakeWork *w, Buf *out)
{
    if (!w->route.sse) {
        FAKE_PUT(out, "]");
    }
}

static void error(FakeWork *w, Buf *out, const FakeFailure *failure)
{
    if (w->route.sse) {
        FAKE_PUT(out, "data: ");
    } else {
        buf_append(out, w->first_chunk ? SLICE("[") : SLICE(",\r\n"));
    }
    fake_error_body(FAKE_BY_GEMINI, failure, w->id, out);
    buf_append(out, w->route.sse ? SLICE("\r\n\r\n") : SLICE("]"));
}

const FakeApi FAKE_API_GEMINI = {
    .protocol = FAKE_GEMINI,
    .whole = whole,
    .thought = thought,
    .text = text,
    .calls = calls,
    .end = end,
    .finish = finish,
    .error = error,
    .stream_type = "text/event-stream",
};
