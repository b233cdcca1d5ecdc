// OpenAI Responses on the wire (openai-openapi 2.3.0).
#include "llm/fake_work.h"

static bool is_complete(const FakeWork *w)
{
    return w->answer.finish != FAKE_FINISH_LENGTH;
}

static void put_text_part(Buf *out, Slice text)
{
    FAKE_PUT(out, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":");
    fake_put_string(out, text);
    FAKE_PUT(out, "}");
}

// The message item; with `done` false as it stands before its text.
static void put_message(const FakeWork *w, Buf *out, bool done)
{
    FAKE_PUT(out, "{\"id\":\"");
    fake_put_id(out, SLICE("msg_"), w->id);
    FAKE_PUT(out, "\",\"type\":\"message\",\"role\":\"assistant\",\"status\":\"");
    buf_puts(out, !done ? "in_progress" : is_complete(w) ? "completed" : "incomplete");
    FAKE_PUT(out, "\",\"content\":[");
    if (done) {
        put_text_part(out, w->answer.text);
    }
    FAKE_PUT(out, "]}");
}

static void put_call(const FakeWork *w, Buf *out, size_t i, bool done)
{
    const FakeCall *call = &w->answer.calls[i];
    FAKE_PUT(out, "{\"id\":\"");
    fake_put_id(out, SLICE("fc_"), fake_call_id(w, i));
    FAKE_PUT(out, "\",\"type\":\"function_call\",\"status\":\"");
    buf_puts(out, done ? "completed" : "in_progress");
    FAKE_PUT(out, "\",\"call_id\":\"");
    fake_put_id(out, SLICE("call_"), fake_call_id(w, i));
    FAKE_PUT(out, "\",\"name\":");
    fake_put_string(out, call->name);
    FAKE_PUT(out, ",\"arguments\":");
    fake_put_string(out, done ? call->arguments : (Slice){"", 0});
    FAKE_PUT(out, "}");
}

static void put_summary_part(Buf *out, Slice text)
{
    FAKE_PUT(out, "{\"type\":\"summary_text\",\"text\":");
    fake_put_string(out, text);
    FAKE_PUT(out, "}");
}

static void put_reasoning(const FakeWork *w, Buf *out, bool done)
{
    FAKE_PUT(out, "{\"id\":\"");
    fake_put_id(out, SLICE("rs_"), w->id);
    FAKE_PUT(out, "\",\"type\":\"reasoning\",\"summary\":[");
    if (done) {
        put_summary_part(out, w->answer.thought);
    }
    FAKE_PUT(out, "]}");
}

static void put_usage(const FakeAnswer *a, Buf *out)
{
    FAKE_PUT(out, "{\"input_tokens\":");
    fake_put_int(out, a->tokens_in);
    FAKE_PUT(out, ",\"input_tokens_details\":{\"cached_tokens\":0,\"cache_write_tokens\":0},"
                  "\"output_tokens\":");
    fake_put_int(out, a->tokens_out);
    FAKE_PUT(out, ",\"output_tokens_details\":{\"reasoning_tokens\":");
    fake_put_int(out, a->tokens_thought);
    FAKE_PUT(out, "},\"total_tokens\":");
    fake_put_int(out, a->tokens_in + a->tokens_out);
    FAKE_PUT(out, "}");
}

static void put_output(const FakeWork *w, Buf *out)
{
    const FakeAnswer *a = &w->answer;
    bool text = a->text.len > 0 || a->call_count == 0;
    bool thought = a->thought.len > 0;
    if (thought) {
        put_reasoning(w, out, true);
    }
    if (text) {
        buf_append(out, thought ? SLICE(",") : SLICE(""));
        put_message(w, out, true);
    }
    for (size_t i = 0; i < a->call_count; i++) {
        buf_append(out, i > 0 || text || thought ? SLICE(",") : SLICE(""));
        put_call(w, out, i, true);
    }
}

static void put_response(const FakeWork *w, Buf *out, bool done)
{
    const char *status = !done ? "in_progress" : is_complete(w) ? "completed" : "incomplete";
    FAKE_PUT(out, "{\"id\":\"");
    fake_put_id(out, SLICE("resp_"), w->id);
    FAKE_PUT(out, "\",\"object\":\"response\",\"created_at\":");
    fake_put_int(out, w->created_s);
    FAKE_PUT(out, ",\"status\":\"");
    buf_puts(out, status);
    FAKE_PUT(out, "\",\"error\":null,\"incomplete_details\":");
    buf_append(out, done && !is_complete(w) ? SLICE("{\"reason\":\"max_output_tokens\"}")
                                            : SLICE("null"));
    FAKE_PUT(out, ",\"instructions\":null,\"max_output_tokens\":null,\"metadata\":{},"
                  "\"parallel_tool_calls\":true,\"previous_response_id\":null,\"store\":true,"
                  "\"temperature\":1,\"top_p\":1,\"tool_choice\":\"auto\",\"tools\":[],"
                  "\"truncation\":\"disabled\",\"text\":{\"format\":{\"type\":\"text\"}},"
                  "\"model\":");
    fake_put_string(out, w->request.model);
    FAKE_PUT(out, ",\"output\":[");
    if (done) {
        put_output(w, out);
    }
    FAKE_PUT(out, "],\"usage\":");
    if (done) {
        put_usage(&w->answer, out);
    } else {
        FAKE_PUT(out, "null");
    }
    FAKE_PUT(out, "}");
}

static void whole(FakeWork *w, Buf *out)
{
    put_response(w, out, true);
}

// ---- streaming

static void event_begin(FakeWork *w, Buf *out, Slice type)
{
    FAKE_PUT(out, "event: ");
    buf_append(out, type);
    FAKE_PUT(out, "\ndata: {\"type\":\"");
    buf_append(out, type);
    FAKE_PUT(out, "\",\"sequence_number\":");
    fake_put_int(out, w->sequence++);
}

static void event_end(Buf *out)
{
    FAKE_PUT(out, "}\n\n");
}

static void put_place(const FakeWork *w, Buf *out, Slice item_prefix, uint64_t id)
{
    FAKE_PUT(out, ",\"item_id\":\"");
    fake_put_id(out, item_prefix, id);
    FAKE_PUT(out, "\",\"output_index\":");
    fake_put_int(out, w->item);
}

static void put_text_place(const FakeWork *w, Buf *out)
{
    put_place(w, out, SLICE("msg_"), w->id);
    FAKE_PUT(out, ",\"content_index\":0");
}

static void put_response_event(FakeWork *w, Buf *out, Slice type, bool done)
{
    event_begin(w, out, type);
    FAKE_PUT(out, ",\"response\":");
    put_response(w, out, done);
    event_end(out);
}

static void item_event(FakeWork *w, Buf *out, Slice type)
{
    event_begin(w, out, type);
    FAKE_PUT(out, ",\"output_index\":");
    fake_put_int(out, w->item);
    FAKE_PUT(out, ",\"item\":");
}

static void begin(FakeWork *w, Buf *out)
{
    put_response_event(w, out, SLICE("response.created"), false);
    put_response_event(w, out, SLICE("response.in_progress"), false);
}

static void put_summary_place(const FakeWork *w, Buf *out)
{
    put_place(w, out, SLICE("rs_"), w->id);
    FAKE_PUT(out, ",\"summary_index\":0");
}

static void thought(FakeWork *w, Buf *out)
{
    item_event(w, out, SLICE("response.output_item.added"));
    put_reasoning(w, out, false);
    event_end(out);
    event_begin(w, out, SLICE("response.reasoning_summary_part.added"));
    put_summary_place(w, out);
    FAKE_PUT(out, ",\"part\":");
    put_summary_part(out, (Slice){"", 0});
    event_end(out);
    event_begin(w, out, SLICE("response.reasoning_summary_text.delta"));
    put_summary_place(w, out);
    FAKE_PUT(out, ",\"delta\":");
    fake_put_string(out, w->answer.thought);
    event_end(out);
    event_begin(w, out, SLICE("response.reasoning_summary_text.done"));
    put_summary_place(w, out);
    FAKE_PUT(out, ",\"text\":");
    fake_put_string(out, w->answer.thought);
    event_end(out);
    event_begin(w, out, SLICE("response.reasoning_summary_part.done"));
    put_summary_place(w, out);
    FAKE_PUT(out, ",\"part\":");
    put_summary_part(out, w->answer.thought);
    event_end(out);
    item_event(w, out, SLICE("response.output_item.done"));
    put_reasoning(w, out, true);
    event_end(out);
    w->item++;
}

static void text_begin(FakeWork *w, Buf *out)
{
    item_event(w, out, SLICE("response.output_item.added"));
    put_message(w, out, false);
    event_end(out);
    event_begin(w, out, SLICE("response.content_part.added"));
    put_text_place(w, out);
    FAKE_PUT(out, ",\"part\":");
    put_text_part(out, (Slice){"", 0});
    event_end(out);
}

static void text(FakeWork *w, Buf *out, Slice piece)
{
    event_begin(w, out, SLICE("response.output_text.delta"));
    put_text_place(w, out);
    FAKE_PUT(out, ",\"logprobs\":[],\"delta\":");
    fake_put_string(out, piece);
    event_end(out);
}

static void text_end(FakeWork *w, Buf *out)
{
    event_begin(w, out, SLICE("response.output_text.done"));
    put_text_place(w, out);
    FAKE_PUT(out, ",\"logprobs\":[],\"text\":");
    fake_put_string(out, w->answer.text);
    event_end(out);
    event_begin(w, out, SLICE("response.content_part.done"));
    put_text_place(w, out);
    FAKE_PUT(out, ",\"part\":");
    put_text_part(out, w->answer.text);
    event_end(out);
    item_event(w, out, SLICE("response.output_item.done"));
    put_message(w, out, true);
    event_end(out);
    w->item++;
}

static void stream_call(FakeWork *w, Buf *out, size_t i)
{
    const FakeCall *call = &w->answer.calls[i];
    uint64_t id = fake_call_id(w, i);
    item_event(w, out, SLICE("response.output_item.added"));
    put_call(w, out, i, false);
    event_end(out);
    size_t at = 0;
    Slice piece;
    while (fake_text_piece(call->arguments, &at, &piece)) {
        event_begin(w, out, SLICE("response.function_call_arguments.delta"));
        put_place(w, out, SLICE("fc_"), id);
        FAKE_PUT(out, ",\"delta\":");
        fake_put_string(out, piece);
        event_end(out);
    }
    event_begin(w, out, SLICE("response.function_call_arguments.done"));
    put_place(w, out, SLICE("fc_"), id);
    FAKE_PUT(out, ",\"name\":");
    fake_put_string(out, call->name);
    FAKE_PUT(out, ",\"arguments\":");
    fake_put_string(out, call->arguments);
    event_end(out);
    item_event(w, out, SLICE("response.output_item.done"));
    put_call(w, out, i, true);
    event_end(out);
    w->item++;
}

static void calls(FakeWork *w, Buf *out)
{
    for (size_t i = 0; i < w->answer.call_count; i++) {
        stream_call(w, out, i);
    }
}

static void end(FakeWork *w, Buf *out)
{
    put_response_event(
        w, out, is_complete(w) ? SLICE("response.completed") : SLICE("response.incomplete"), true);
}

static void error(FakeWork *w, Buf *out, const FakeFailure *f)
{
    event_begin(w, out, SLICE("error"));
    FAKE_PUT(out, ",\"code\":");
    fake_put_string(out, f->code.len ? f->code : SLICE("server_error"));
    FAKE_PUT(out, ",\"message\":");
    fake_put_string(out, f->message.len ? f->message : SLICE("The server had an error."));
    FAKE_PUT(out, ",\"param\":null");
    event_end(out);
}

const FakeApi FAKE_API_OPENAI_RESPONSES = {
    .protocol = FAKE_OPENAI_RESPONSES,
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
