// The fake provider's inside: one request's work, and what the files of fake_*.c do for each other.
// Used by them and their tests only; llm/fake.h is the door.
#ifndef LLM_FAKE_WORK_H
#define LLM_FAKE_WORK_H

#include "llm/fake_script.h"
#include "llm/fake_text.h"
#include "net/server.h"

typedef enum FakeProvider {
    FAKE_BY_OPENAI,
    FAKE_BY_AZURE,
    FAKE_BY_ANTHROPIC,
    FAKE_BY_GEMINI,
    FAKE_BY_OLLAMA,
    FAKE_PROVIDERS,
} FakeProvider;

Slice fake_provider_name(FakeProvider provider);

// An error as the provider will word it. Empty texts take what belongs to the status.
typedef struct FakeFailure {
    int status;
    Slice message, type, code;
    const char *param;
    int64_t retry_after_ns; // -1: not said
} FakeFailure;

static inline FakeFailure fake_failure(int status, const char *message)
{
    return (FakeFailure){
        .status = status, .message = slice_from_cstr(message), .retry_after_ns = -1};
}

typedef enum FakeFinish {
    FAKE_FINISH_STOP,
    FAKE_FINISH_LENGTH,
    FAKE_FINISH_STOP_SEQUENCE,
    FAKE_FINISH_TOOLS,
} FakeFinish;

typedef struct FakeAnswer {
    Slice thought; // what the model shows of its thinking
    Slice text;
    FakeCall calls[FAKE_CALLS_MAX];
    size_t call_count;
    FakeFinish finish;
    Slice stop; // the sequence that ended the text
    int64_t tokens_in;
    int64_t tokens_out;     // the thought's included
    int64_t tokens_thought; // of one choice
} FakeAnswer;

typedef struct FakeShard FakeShard;
typedef struct FakeApi FakeApi;
typedef struct FakeWork FakeWork;
typedef void FakeOperation(FakeWork *w);

typedef struct FakeRoute {
    FakeProvider provider;
    FakeOperation *operation;
    const FakeApi *api; // of a generation
    Slice model;        // from the path
    Slice id;           // what stood in the place of "*"
    bool stream;        // from the path (Gemini)
    bool sse;           // Gemini's alt=sse
} FakeRoute;

// One request from its first byte to its last; lent by the shard, so that its buffers are warm.
struct FakeWork {
    FakeWork *next;
    FakeShard *shard;
    const HttpServerRequest *http;
    HttpReply *reply; // NULL for a line of a batch job: nothing is sent, nothing waits or breaks
    Slice body;
    FakeRoute route;
    FakeSettings settings; // as they were when the request came
    FakeRequest request;
    FakeAnswer answer;
    JsonDoc *doc;
    char *json_memory; // yyjson's
    size_t json_bytes;
    Buf out;     // of the answer's body, or of its next piece
    Buf made;    // made texts: structured output, arguments, filled-in rules
    uint64_t id; // of this answer
    int64_t created_s;
    int status; // answered
    bool counted;
    FakeFault fault; // that was done to it
    // State of a stream.
    int choice;
    int sequence;
    int item;
    bool first_chunk;
};

typedef void FakeStep(FakeWork *w, Buf *out);

// How a protocol writes what was answered. A stream is begin, thought (where there is one),
// text_begin, text..., text_end (where there is text), calls and end for each choice, and then
// finish. NULL: the protocol has nothing to say there.
struct FakeApi {
    FakeProtocol protocol;
    FakeStep *whole;
    FakeStep *begin;
    FakeStep *thought;
    FakeStep *text_begin;
    void (*text)(FakeWork *w, Buf *out, Slice piece);
    FakeStep *text_end;
    FakeStep *calls;
    FakeStep *end;
    FakeStep *finish;
    void (*error)(FakeWork *w, Buf *out, const FakeFailure *failure); // in a stream
    const char *stream_type;
};

extern const FakeApi FAKE_API_OPENAI_CHAT;
extern const FakeApi FAKE_API_OPENAI_RESPONSES;
extern const FakeApi FAKE_API_ANTHROPIC;
extern const FakeApi FAKE_API_GEMINI;
extern const FakeApi FAKE_API_OLLAMA_CHAT;
extern const FakeApi FAKE_API_OLLAMA_GENERATE;

// Appends a literal.
#define FAKE_PUT(out, literal) buf_append((out), SLICE(literal))
// "chatcmpl-6f1c...": a name with 24 hexadecimal digits.
void fake_put_id(Buf *out, Slice prefix, uint64_t id);
static inline uint64_t fake_call_id(const FakeWork *w, size_t index)
{
    return w->id * 31 + index;
}

// ---- fake_error.c

void fake_error_body(FakeProvider provider, const FakeFailure *failure, uint64_t id, Buf *out);
// Sends it, with the headers that go with it.
void fake_send_failure(FakeWork *w, const FakeFailure *failure);
// Adds the provider's headers about identity and limits.
void fake_add_headers(FakeWork *w, int status);
// A whole JSON answer out of w->out, with those headers.
void fake_send_json(FakeWork *w, int status);

// ---- fake_route.c

// False when no provider has such a path; then only ret_route->provider is set.
bool fake_route_find(const HttpServerRequest *http, FakeRoute *ret_route);

// The operation behind a path without host, as batch jobs name it.
bool fake_route_line(Slice path, FakeRoute *ret_route);

// ---- fake_compose.c

// Fills w->answer; `rule` may be NULL.
void fake_compose(FakeWork *w, const FakeRule *rule);

// ---- fake_generate.c: chat and everything like it

void fake_generate(FakeWork *w);
// Parses the request's body into w->doc. False: it has been answered with 400.
bool fake_parse_body(FakeWork *w);
void fake_forget_body(FakeWork *w);
// Rules, limits and faults: false when the request has been answered with an error. Otherwise
// w->fault is what shall happen to the answer, and *ret_rule the rule that decides it, or NULL.
bool fake_admit(FakeWork *w, const FakeRule **ret_rule);
// Sends w->out as JSON and does w->fault to it.
void fake_send_answer(FakeWork *w);
void fake_wait(FakeWork *w, int64_t ns);
// For batch jobs: answers `body` as the API would over HTTP. What it said is in the work's `out`
// and `status`; give the work back after.
FakeWork *fake_answer_line(FakeShard *shard, const FakeRoute *route, Slice body);

// ---- fake_embed.c

void fake_embed_openai(FakeWork *w);
void fake_embed_gemini(FakeWork *w);
void fake_embed_gemini_batch(FakeWork *w);
void fake_embed_ollama(FakeWork *w);
void fake_embed_ollama_old(FakeWork *w);

// ---- fake_list.c: models, token counts and small facts

void fake_list_models(FakeWork *w);
void fake_show_model(FakeWork *w);
void fake_count_tokens(FakeWork *w);
void fake_ollama_version(FakeWork *w);

// ---- fake_batch.c and fake_store.c

void fake_file_upload(FakeWork *w);
void fake_file_show(FakeWork *w);
void fake_file_content(FakeWork *w);
void fake_file_delete(FakeWork *w);
void fake_file_list(FakeWork *w);
void fake_batch_create(FakeWork *w);
void fake_batch_show(FakeWork *w);
void fake_batch_cancel(FakeWork *w);
void fake_batch_list(FakeWork *w);
void fake_message_batch_create(FakeWork *w);
void fake_message_batch_show(FakeWork *w);
void fake_message_batch_cancel(FakeWork *w);
void fake_message_batch_results(FakeWork *w);
void fake_message_batch_delete(FakeWork *w);
void fake_message_batch_list(FakeWork *w);
void fake_gemini_batch_create(FakeWork *w);
void fake_gemini_batch_show(FakeWork *w);
void fake_gemini_batch_cancel(FakeWork *w);
void fake_response_show(FakeWork *w);
void fake_response_delete(FakeWork *w);

// ---- fake_control.c

void fake_show_health(FakeWork *w);
void fake_show_metrics(FakeWork *w);
void fake_show_settings(FakeWork *w);
void fake_change_settings(FakeWork *w);
void fake_reset_settings(FakeWork *w);
void fake_show_counts(FakeWork *w);

#endif
