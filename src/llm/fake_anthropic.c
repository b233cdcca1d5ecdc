// Anthropic Messages on the wire (anthropic-version 2023-06-01).
#include "llm/fake_work.h"

static const char *stop_reason(const FakeAnswer *a)
{
    switch (a->finish) {
    case FAKE_FINISH_LENGTH: return "max_tokens";
    case FAKE_FINISH_TOOLS: return "tool_use";
    case FAKE_FINISH_STOP_SEQUENCE: return "stop_sequence";
    case FAKE_FINISH_STOP: break;
    }
    return "end_turn";
}

static void put_usage(Buf *out, int64_t input, int64_t output)
{
    FAKE_PUT(out, "\"usage\":{\"input_tokens\":");
    fake_put_int(out, input);
    FAKE_PUT(out, ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"
                  "\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,"
                  "\"ephemeral_1h_input_tokens\":0},\"output_tokens\":");
    fake_put_int(out, output);
    FAKE_PUT(out, ",\"service_tier\":\"standard\"}");
}

static void put_stop(const FakeAnswer *a, Buf *out)
{
    FAKE_PUT(out, "\"stop_reason\":\"");
    buf_puts(out, stop_reason(a));
    FAKE_PUT(out, "\",\"stop_sequence\":");
    if (a->finish == FAKE_FINISH_STOP_SEQUENCE) {
        fake_put_string(out, a->stop);
    } else {
        FAKE_PUT(out, "null");
    }
}

static void put_message_head(const FakeWork *w, Buf *out)
{
    FAKE_PUT(out, "{\"id\":\"");
    fake_put_id(out, SLICE("msg_"), w->id);
    FAKE_PUT(out, "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    fake_put_string(out, w->request.model);
    FAKE_PUT(out, ",\"content\":[");
}

static void put_tool_use(const FakeWork *w, Buf *out, size_t i, Slice input)
{
    FAKE_PUT(out, "{\"type\":\"tool_use\",\"id\":\"");
    fake_put_id(out, SLICE("toolu_"), fake_call_id(w, i));
    FAKE_PUT(out, "\",\"name\":");
    fake_put_string(out, w->answer.calls[i].name);
    FAKE_PUT(out, ",\"input\":");
    buf_append(out, input);
    FAKE_PUT(out, "}");
}

// Opaque to clients, which send it back with the thought.
static void put_signature(const FakeWork *w, Buf *out)
{
    FAKE_PUT(out, "\"signature\":\"");
    fake_put_id(out, SLICE("sig"), w->id);
    FAKE_PUT(out, "\"}");
}

static void whole(FakeWork *w, Buf *out)
{
    const FakeAnswer *a = &w->answer;
    bool thought = a->thought.len > 0;
    bool text = a->text.len > 0 || (a->call_count == 0 && !thought);
    put_message_head(w, out);
    if (thought) {
        FAKE_PUT(out, "{\"type\":\"thinking\",\"thinking\":");
        fake_put_string(out, a->thought);
        FAKE_PUT(out, ",");
        put_signature(w, out);
    }
    if (text) {
        buf_append(out, thought ? SLICE(",") : SLICE(""));
        FAKE_PUT(out, "{\"type\":\"text\",\"text\":");
        fake_put_string(out, a->text);
        FAKE_PUT(out, "}");
    }
    for (size_t i = 0; i < a->call_count; i++) {
        buf_append(out, i > 0 || text || thought ? SLICE(",") : SLICE(""));
        put_tool_use(w, out, i, a->calls[i].arguments);
    }
    FAKE_PUT(out, "],");
    put_stop(a, out);
    FAKE_PUT(out, ",");
    put_usage(out, a->tokens_in, a->tokens_out);
    FAKE_PUT(out, "}");
}

// ---- streaming

static void begin(FakeWork *w, Buf *out)
{
    FAKE_PUT(out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
    put_message_head(w, out);
    FAKE_PUT(out, "],\"stop_reason\":null,\"stop_sequence\":null,");
    put_usage(out, w->answer.tokens_in, 1);
    FAKE_PUT(out, "}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n");
}

static void block_begin(const FakeWork *w, Buf *out)
{
    FAKE_PUT(out, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":");
    fake_put_int(out, w->item);
    FAKE_PUT(out, ",\"content_block\":");
}

static void text_begin(FakeWork *w, Buf *out)
{
    block_begin(w, out);
    FAKE_PUT(out, "{\"type\":\"text\",\"text\":\"\"}}\n\n");
}

static void delta_begin(const FakeWork *w, Buf *out)
{
    FAKE_PUT(out, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
    fake_put_int(out, w->item);
    FAKE_PUT(out, ",\"delta\":");
}

static void text(FakeWork *w, Buf *out, Slice piece)
{
    delta_begin(w, out);
    FAKE_PUT(out, "{\"type\":\"text_delta\",\"text\":");
    fake_put_string(out, piece);
    FAKE_PUT(out, "}}\n\n");
}

static void text_end(FakeWork *w, Buf *out)
{
    FAKE_PUT(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":");
    fake_put_int(out, w->item++);
    FAKE_PUT(out, "}\n\n");
}

static void thought(FakeWork *w, Buf *out)
{
    block_begin(w, out);
    FAKE_PUT(out, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n");
    size_t at = 0;
    Slice piece;
    while (fake_text_piece(w->answer.thought, &at, &piece)) {
        delta_begin(w, out);
        FAKE_PUT(out, "{\"type\":\"thinking_delta\",\"thinking\":");
        fake_put_string(out, piece);
        FAKE_PUT(out, "}}\n\n");
    }
    delta_begin(w, out);
    FAKE_PUT(out, "{\"type\":\"signature_delta\",");
    put_signature(w, out);
    FAKE_PUT(out, "}\n\n");
    text_end(w, out);
}

static void calls(FakeWork *w, Buf *out)
{
    for (size_t i = 0; i < w->answer.call_count; i++) {
        block_begin(w, out);
        put_tool_use(w, out, i, SLICE("{}"));
        FAKE_PUT(out, "}\n\n");
        size_t at = 0;
        Slice piece;
        while (fake_text_piece(w->answer.calls[i].arguments, &at, &piece)) {
            delta_begin(w, out);
            FAKE_PUT(out, "{\"type\":\"input_json_delta\",\"partial_json\":");
            fake_put_string(out, piece);
            FAKE_PUT(out, "}}\n\n");
        }
        text_end(w, out);
    }
}

static void end(FakeWork *w, Buf *out)
{
    FAKE_PUT(out, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{");
    put_stop(&w->answer, out);
    FAKE_PUT(out, "},\"usage\":{\"output_tokens\":");
    fake_put_int(out, w->answer.tokens_out);
    FAKE_PUT(out, "}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

static void error(FakeWork *w, Buf *out, const FakeFailure *failure)
{
    FAKE_PUT(out, "event: error\ndata: ");
    fake_error_body(FAKE_BY_ANTHROPIC, failure, w->id, out);
    FAKE_PUT(out, "\n\n");
}

const FakeApi FAKE_API_ANTHROPIC = {
    .protocol = FAKE_ANTHROPIC,
    .whole = whole,
    .begin = begin,
    .thought = thought,
    .text_begin = text_begin,
    .text = text,
    .text_end = text_end,
    .calls = calls,
    .end = end,
    .error = error,
    .stream_type = "text/event-stream; charset=utf-8",
};
