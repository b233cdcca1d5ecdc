// OpenAI Chat Completions on the wire (openai-openapi 2.3.0), for Azure too.
#include "llm/fake_work.h"

static const char *finish_name(const FakeAnswer *a)
{
    switch (a->finish) {
    case FAKE_FINISH_LENGTH: return "length";
    case FAKE_FINISH_TOOLS: return "tool_calls";
    case FAKE_FINISH_STOP:
    case FAKE_FINISH_STOP_SEQUENCE: break;
    }
    return "stop";
}

static void put_head(FakeWork *w, Buf *out, Slice object)
{
    FAKE_PUT(out, "{\"id\":\"");
    fake_put_id(out, SLICE("chatcmpl-"), w->id);
    FAKE_PUT(out, "\",\"object\":\"");
    buf_append(out, object);
    FAKE_PUT(out, "\",\"created\":");
    fake_put_int(out, w->created_s);
    FAKE_PUT(out, ",\"model\":");
    fake_put_string(out, w->request.model);
}

static void put_usage(const FakeWork *w, Buf *out)
{
    const FakeAnswer *a = &w->answer;
    FAKE_PUT(out, "\"usage\":{\"prompt_tokens\":");
    fake_put_int(out, a->tokens_in);
    FAKE_PUT(out, ",\"completion_tokens\":");
    fake_put_int(out, a->tokens_out);
    FAKE_PUT(out, ",\"total_tokens\":");
    fake_put_int(out, a->tokens_in + a->tokens_out);
    FAKE_PUT(out, ",\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
                  "\"completion_tokens_details\":{\"reasoning_tokens\":");
    fake_put_int(out, a->tokens_thought);
    FAKE_PUT(out, ",\"audio_tokens\":0,"
                  "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}");
}

// `empty`: the arguments follow in pieces.
static void put_call(const FakeWork *w, Buf *out, size_t i, bool empty)
{
    const FakeCall *call = &w->answer.calls[i];
    FAKE_PUT(out, "\"id\":\"");
    fake_put_id(out, SLICE("call_"), fake_call_id(w, i));
    FAKE_PUT(out, "\",\"type\":\"function\",\"function\":{\"name\":");
    fake_put_string(out, call->name);
    FAKE_PUT(out, ",\"arguments\":");
    fake_put_string(out, empty ? (Slice){"", 0} : call->arguments);
    FAKE_PUT(out, "}}");
}

static void put_message(const FakeWork *w, Buf *out)
{
    const FakeAnswer *a = &w->answer;
    FAKE_PUT(out, "\"message\":{\"role\":\"assistant\",\"content\":");
    if (a->text.len > 0 || a->call_count == 0) {
        fake_put_string(out, a->text);
    } else {
        FAKE_PUT(out, "null");
    }
    FAKE_PUT(out, ",\"refusal\":null,\"annotations\":[]");
    for (size_t i = 0; i < a->call_count; i++) {
        buf_append(out, i == 0 ? SLICE(",\"tool_calls\":[{") : SLICE(",{"));
        put_call(w, out, i, false);
    }
    buf_append(out, a->call_count > 0 ? SLICE("]}") : SLICE("}"));
}

static void whole(FakeWork *w, Buf *out)
{
    put_head(w, out, SLICE("chat.completion"));
    FAKE_PUT(out, ",\"choices\":[");
    for (int i = 0; i < w->request.choices; i++) {
        buf_append(out, i == 0 ? SLICE("{\"index\":") : SLICE(",{\"index\":"));
        fake_put_int(out, i);
        FAKE_PUT(out, ",");
        put_message(w, out);
        FAKE_PUT(out, ",\"logprobs\":null,\"finish_reason\":\"");
        buf_puts(out, finish_name(&w->answer));
        FAKE_PUT(out, "\"}");
    }
    FAKE_PUT(out, "],");
    put_usage(w, out);
    FAKE_PUT(out, ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_fake\"}");
}

// ---- streaming

static void chunk_begin(FakeWork *w, Buf *out)
{
    FAKE_PUT(out, "data: ");
    put_head(w, out, SLICE("chat.completion.chunk"));
    FAKE_PUT(out, ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_fake\",");
    if (w->request.include_usage) {
        FAKE_PUT(out, "\"usage\":null,");
    }
    FAKE_PUT(out, "\"choices\":[{\"index\":");
    fake_put_int(out, w->choice);
    FAKE_PUT(out, ",\"delta\":");
}

static void chunk_end(Buf *out, const char *finish)
{
    FAKE_PUT(out, ",\"logprobs\":null,\"finish_reason\":");
    if (finish) {
        buf_putc(out, '"');
        buf_puts(out, finish);
        buf_putc(out, '"');
    } else {
        FAKE_PUT(out, "null");
    }
    FAKE_PUT(out, "}]}\n\n");
}

static void begin(FakeWork *w, Buf *out)
{
    chunk_begin(w, out);
    bool text = w->answer.text.len > 0 || w->answer.call_count == 0;
    buf_append(out, text ? SLICE("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}")
                         : SLICE("{\"role\":\"assistant\",\"content\":null}"));
    chunk_end(out, NULL);
}

static void text(FakeWork *w, Buf *out, Slice piece)
{
    chunk_begin(w, out);
    FAKE_PUT(out, "{\"content\":");
    fake_put_string(out, piece);
    FAKE_PUT(out, "}");
    chunk_end(out, NULL);
}

static void calls(FakeWork *w, Buf *out)
{
    for (size_t i = 0; i < w->answer.call_count; i++) {
        chunk_begin(w, out);
        FAKE_PUT(out, "{\"tool_calls\":[{\"index\":");
        fake_put_int(out, (int64_t)i);
        FAKE_PUT(out, ",");
        put_call(w, out, i, true);
        FAKE_PUT(out, "]}");
        chunk_end(out, NULL);
        size_t at = 0;
        Slice piece;
        while (fake_text_piece(w->answer.calls[i].arguments, &at, &piece)) {
            chunk_begin(w, out);
            FAKE_PUT(out, "{\"tool_calls\":[{\"index\":");
            fake_put_int(out, (int64_t)i);
            FAKE_PUT(out, ",\"function\":{\"arguments\":");
            fake_put_string(out, piece);
            FAKE_PUT(out, "}}]}");
            chunk_end(out, NULL);
        }
    }
}

static void end(FakeWork *w, Buf *out)
{
    chunk_begin(w, out);
    FAKE_PUT(out, "{}");
    chunk_end(out, finish_name(&w->answer));
}

static void finish(FakeWork *w, Buf *out)
{
    if (w->request.include_usage) {
        FAKE_PUT(out, "data: ");
        put_head(w, out, SLICE("chat.completion.chunk"));
        FAKE_PUT(out, ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_fake\","
                      "\"choices\":[],");
        put_usage(w, out);
        FAKE_PUT(out, "}\n\n");
    }
    FAKE_PUT(out, "data: [DONE]\n\n");
}

static void error(FakeWork *w, Buf *out, const FakeFailure *failure)
{
    FAKE_PUT(out, "data: ");
    fake_error_body(w->route.provider, failure, w->id, out);
    FAKE_PUT(out, "\n\n");
}

const FakeApi FAKE_API_OPENAI_CHAT = {
    .protocol = FAKE_OPENAI_CHAT,
    .whole = whole,
    .begin = begin,
    .text = text,
    .calls = calls,
    .end = end,
    .finish = finish,
    .error = error,
    .stream_type = "text/event-stream; charset=utf-8",
};
