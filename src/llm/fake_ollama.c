// Ollama's /api/chat and /api/generate on the wire: one JSON object a line.
#include "llm/fake_work.h"
#include "os/clock.h"

enum { PROMPT_NS_PER_TOKEN = 1000000, ANSWER_NS_PER_TOKEN = 10000000 };

static void put_head(const FakeWork *w, Buf *out)
{
    char at[CLOCK_RFC3339_MAX];
    clock_print_rfc3339(w->created_s * NS_PER_S, at);
    FAKE_PUT(out, "{\"model\":");
    fake_put_string(out, w->request.model);
    FAKE_PUT(out, ",\"created_at\":\"");
    buf_puts(out, at);
    FAKE_PUT(out, "\",");
}

static void put_calls(const FakeAnswer *a, Buf *out)
{
    for (size_t i = 0; i < a->call_count; i++) {
        buf_append(out, i == 0 ? SLICE(",\"tool_calls\":[") : SLICE(","));
        FAKE_PUT(out, "{\"function\":{\"name\":");
        fake_put_string(out, a->calls[i].name);
        FAKE_PUT(out, ",\"arguments\":");
        buf_append(out, a->calls[i].arguments);
        FAKE_PUT(out, "}}");
    }
    buf_append(out, a->call_count > 0 ? SLICE("]") : SLICE(""));
}

// What was said, in the place that the API has for it.
static void put_said(const FakeWork *w, Buf *out, Slice text, Slice thought, bool with_calls)
{
    bool chat = w->route.api->protocol == FAKE_OLLAMA_CHAT;
    buf_append(out, chat ? SLICE("\"message\":{\"role\":\"assistant\",\"content\":")
                         : SLICE("\"response\":"));
    fake_put_string(out, text);
    if (thought.len > 0) {
        FAKE_PUT(out, ",\"thinking\":");
        fake_put_string(out, thought);
    }
    if (chat) {
        if (with_calls) {
            put_calls(&w->answer, out);
        }
        FAKE_PUT(out, "}");
    }
}

static void put_counters(const FakeWork *w, Buf *out)
{
    const FakeAnswer *a = &w->answer;
    int64_t prompt_ns = a->tokens_in * PROMPT_NS_PER_TOKEN;
    int64_t answer_ns = a->tokens_out * ANSWER_NS_PER_TOKEN;
    FAKE_PUT(out, ",\"done\":true,\"done_reason\":\"");
    buf_puts(out, a->finish == FAKE_FINISH_LENGTH ? "length" : "stop");
    FAKE_PUT(out, "\",\"total_duration\":");
    fake_put_int(out, prompt_ns + answer_ns);
    FAKE_PUT(out, ",\"load_duration\":0,\"prompt_eval_count\":");
    fake_put_int(out, a->tokens_in);
    FAKE_PUT(out, ",\"prompt_eval_duration\":");
    fake_put_int(out, prompt_ns);
    FAKE_PUT(out, ",\"eval_count\":");
    fake_put_int(out, a->tokens_out);
    FAKE_PUT(out, ",\"eval_duration\":");
    fake_put_int(out, answer_ns);
    FAKE_PUT(out, "}");
}

static void whole(FakeWork *w, Buf *out)
{
    put_head(w, out);
    put_said(w, out, w->answer.text, w->answer.thought, true);
    put_counters(w, out);
}

// ---- streaming

static void text(FakeWork *w, Buf *out, Slice piece)
{
    put_head(w, out);
    put_said(w, out, piece, (Slice){NULL, 0}, false);
    FAKE_PUT(out, ",\"done\":false}\n");
}

static void thought(FakeWork *w, Buf *out)
{
    put_head(w, out);
    put_said(w, out, (Slice){"", 0}, w->answer.thought, false);
    FAKE_PUT(out, ",\"done\":false}\n");
}

static void calls(FakeWork *w, Buf *out)
{
    if (w->answer.call_count > 0) {
        put_head(w, out);
        put_said(w, out, (Slice){"", 0}, (Slice){NULL, 0}, true);
        FAKE_PUT(out, ",\"done\":false}\n");
    }
}

static void end(FakeWork *w, Buf *out)
{
    put_head(w, out);
    put_said(w, out, (Slice){"", 0}, (Slice){NULL, 0}, false);
    put_counters(w, out);
    FAKE_PUT(out, "\n");
}

static void error(FakeWork *w, Buf *out, const FakeFailure *failure)
{
    fake_error_body(FAKE_BY_OLLAMA, failure, w->id, out);
    FAKE_PUT(out, "\n");
}

const FakeApi FAKE_API_OLLAMA_CHAT = {
    .protocol = FAKE_OLLAMA_CHAT,
    .whole = whole,
    .thought = thought,
    .text = text,
    .calls = calls,
    .end = end,
    .error = error,
    .stream_type = "application/x-ndjson",
};

const FakeApi FAKE_API_OLLAMA_GENERATE = {
    .protocol = FAKE_OLLAMA_GENERATE,
    .whole = whole,
    .thought = thought,
    .text = text,
    .calls = calls,
    .end = end,
    .error = error,
    .stream_type = "application/x-ndjson",
};
