// LLM calls in words that no provider owns: what is asked, what came back, what went wrong.
//
//     LlmPart text = llm_text(SLICE("Why is p99 ten times p50?"));
//     LlmMessage user = {.role = LLM_USER, .parts = &text, .part_count = 1};
//     LlmRequest request = {.role = SLICE("analysis"), .messages = &user, .message_count = 1,
//                           .max_output_tokens = 500, .kind = LLM_FACTUAL};
//     LlmResponse response;
//     if ((rc = llm_chat(client, &request, &response, e)) != 0) {      // llm/client.h
//         ... response.failure says which kind of failure it was ...
//     }
//     use(response.text);
//     llm_response_done(&response);
//
// Requests only borrow: everything they point at lives until the call returns. A response owns its
// memory; llm_response_done is due after every call, failed ones included.
//
// A conversation with tools: send `tools`, and when `response.finish` is LLM_FINISH_TOOLS append
// llm_response_message(&response) and one LLM_TOOL message whose parts are LLM_PART_TOOL_RESULT,
// one a call, and ask again. What providers want back unchanged (thinking with its signature) is in
// the parts of the response's message, so send that and not a copy of the text.
#ifndef LLM_LLM_H
#define LLM_LLM_H

#include "base/arena.h"
#include "base/err.h"

// The protocols spoken. An OpenAI-compatible server is LLM_OPENAI with another base URL.
typedef enum LlmProtocol {
    LLM_OPENAI,           // Chat Completions
    LLM_OPENAI_RESPONSES, // Responses
    LLM_AZURE,            // dated deployments path, or the v1 path when no api_version is set
    LLM_ANTHROPIC,        // Messages
    LLM_GEMINI,           // generateContent
    LLM_OLLAMA,           // /api/chat
    LLM_PROTOCOLS,
} LlmProtocol;

// "openai", "openai-responses", "azure", "anthropic", "gemini", "ollama".
const char *llm_protocol_name(LlmProtocol protocol);
// ERR_NOT_FOUND with the nearest right name.
MUST_USE int llm_protocol_parse(Slice name, LlmProtocol *ret_protocol, Err *e);
// The value of gen_ai.provider.name in OpenTelemetry's conventions.
const char *llm_protocol_otel_name(LlmProtocol protocol);

typedef enum LlmRole { LLM_SYSTEM, LLM_USER, LLM_ASSISTANT, LLM_TOOL } LlmRole;

typedef enum LlmPartKind {
    LLM_PART_TEXT,        // text
    LLM_PART_IMAGE,       // media_type and data, or url
    LLM_PART_TOOL_CALL,   // id, name, arguments (assistant)
    LLM_PART_TOOL_RESULT, // id, name, text, is_error (tool)
    LLM_PART_THINKING,    // text, signature (assistant): sent back to providers that want it
} LlmPartKind;

typedef struct LlmPart {
    LlmPartKind kind;
    bool is_error;
    Slice text;
    Slice media_type; // "image/png"
    Slice data;       // the image's bytes; base64 is made on the wire
    Slice url;        // instead of data: what the provider can fetch, or a data: URL
    Slice id;         // of the call; made up where a protocol has none (Ollama)
    Slice name;       // of the tool
    Slice arguments;  // JSON object
    Slice signature;  // opaque; Anthropic's thinking, Gemini's thoughtSignature
} LlmPart;

typedef struct LlmMessage {
    LlmRole role;
    const LlmPart *parts;
    size_t part_count;
} LlmMessage;

static inline LlmPart llm_text(Slice text)
{
    return (LlmPart){.kind = LLM_PART_TEXT, .text = text};
}

typedef struct LlmTool {
    Slice name;
    Slice description;
    Slice schema; // JSON schema of the arguments; empty: an object without members
    bool strict;  // the provider shall hold the arguments to the schema, where it can
} LlmTool;

typedef enum LlmToolChoice {
    LLM_TOOLS_AUTO,
    LLM_TOOLS_NONE,
    LLM_TOOLS_REQUIRED,
    LLM_TOOLS_NAMED, // tool_name
} LlmToolChoice;

typedef enum LlmOutput { LLM_OUTPUT_TEXT, LLM_OUTPUT_JSON, LLM_OUTPUT_SCHEMA } LlmOutput;

// How long an answer stays good in the cache: 24 h, 5 min, 1 h (as the tuning guide has them).
typedef enum LlmKind { LLM_OTHER, LLM_FACTUAL, LLM_CREATIVE } LlmKind;

typedef enum LlmCachePolicy {
    LLM_CACHE_USE,    // answer from the cache, else ask and store
    LLM_CACHE_BYPASS, // neither look nor store
    LLM_CACHE_RENEW,  // ask and store
} LlmCachePolicy;

typedef enum LlmChunkKind { LLM_CHUNK_TEXT, LLM_CHUNK_THINKING, LLM_CHUNK_TOOL_CALL } LlmChunkKind;

// A piece of a streamed answer. Tool calls come whole, once their arguments are complete.
typedef struct LlmChunk {
    LlmChunkKind kind;
    Slice text;
    const LlmPart *call; // LLM_CHUNK_TOOL_CALL
} LlmChunk;

// On the caller's fiber, so it may park. Not 0: the call is given up with that code.
typedef int LlmChunkFn(void *ctx, const LlmChunk *chunk);

typedef struct LlmBudget LlmBudget; // llm/budget.h
enum { LLM_BUDGETS_MAX = 4 };       // event, agent, session, run

typedef struct LlmRequest {
    // Which model: a role of [llm.roles], or a provider's name of the configuration with a model
    // of its own or else the provider's. All empty: the configuration's default.
    Slice role;
    Slice provider;
    Slice model;
    const LlmMessage *messages; // LLM_SYSTEM ones first
    size_t message_count;
    const LlmTool *tools;
    size_t tool_count;
    LlmToolChoice tool_choice;
    Slice tool_name;
    bool no_parallel_tools;
    LlmOutput output;
    Slice schema; // LLM_OUTPUT_SCHEMA: JSON schema of the answer
    Slice schema_name;
    int64_t max_output_tokens; // 0: the provider's default (of its configuration, if need be)
    const Slice *stop;
    size_t stop_count;
    bool has_temperature, has_top_p, has_seed;
    double temperature;
    double top_p;
    int64_t seed;
    Slice reasoning_effort; // "low", "medium", "high", ... as the provider knows it; may be empty
    LlmKind kind;
    LlmCachePolicy cache;
    LlmChunkFn *chunk_fn; // not NULL: stream the answer to it
    void *chunk_ctx;
    int64_t deadline_ns; // of the loop's clock, for all attempts together; 0: provider's timeout
    LlmBudget *budgets[LLM_BUDGETS_MAX]; // NULL where there is none
    Slice agent;                         // for metrics and spans; may be empty
    Slice session;
    Slice traceparent; // W3C; sent as a header when not empty
} LlmRequest;

typedef enum LlmFinish {
    LLM_FINISH_NONE, // no answer
    LLM_FINISH_STOP,
    LLM_FINISH_LENGTH,
    LLM_FINISH_TOOLS,
    LLM_FINISH_FILTER, // refused by the provider's safety
    LLM_FINISH_OTHER,
} LlmFinish;

typedef struct LlmUsage {
    bool known;            // the provider said so
    int64_t input_tokens;  // cached ones included, whatever the provider's own field means
    int64_t output_tokens; // reasoning included
    int64_t cached_tokens; // of the input
    int64_t cache_write_tokens;
    int64_t reasoning_tokens;
    int64_t cost_nano_usd; // by the price table, 10^-9 USD; 0 where no price is set
} LlmUsage;

typedef enum LlmFailureKind {
    LLM_OK,
    LLM_FAIL_NETWORK,     // no connection, TLS, connection lost
    LLM_FAIL_TIMEOUT,     // request, first content, idle stream or deadline
    LLM_FAIL_RATE,        // 429, 529: come back later
    LLM_FAIL_QUOTA,       // money or quota is used up: never retried
    LLM_FAIL_AUTH,        // 401, 403
    LLM_FAIL_REQUEST,     // 400, 404, 413, 422: the request is wrong
    LLM_FAIL_SERVER,      // 5xx
    LLM_FAIL_RESPONSE,    // truncated, wrong types, wrong content type, endless
    LLM_FAIL_BUDGET,      // ours is used up; nothing was sent
    LLM_FAIL_REFUSED,     // a guard rail or an open breaker; nothing was sent
    LLM_FAIL_CANCELLED,   // the caller's chunk_fn or fiber
    LLM_FAIL_UNSUPPORTED, // the protocol has no such thing
} LlmFailureKind;

const char *llm_failure_name(LlmFailureKind kind); // "rate"
const char *llm_finish_name(LlmFinish finish);     // "stop"

typedef struct LlmFailure {
    LlmFailureKind kind;
    int status;             // HTTP, 0 without an answer
    bool content_delivered; // a content byte had reached the caller
    int64_t retry_after_ns; // what the provider asked for; negative: nothing
    int should_retry;       // x-should-retry: 1, 0, or -1 when not said
    Slice type;             // the provider's own words: "rate_limit_error"
    Slice message;
} LlmFailure;

typedef struct LlmShared LlmShared;

typedef struct LlmResponse {
    Arena *arena;      // owns what is below,
    LlmShared *shared; // or this does, together with the cache and equal calls
    Slice id;          // the provider's
    Slice request_id;
    Slice provider; // that answered, by its name in the configuration
    Slice model;    // that answered, by the provider's word
    LlmFinish finish;
    Slice finish_text;    // the provider's own word
    Slice text;           // all text parts in a row
    const LlmPart *parts; // the assistant's message
    size_t part_count;
    size_t tool_call_count; // parts that are LLM_PART_TOOL_CALL
    LlmUsage usage;
    LlmFailure failure;
    bool from_cache;
    int attempts; // sent, over all providers
    int64_t duration_ns;
    int64_t first_content_ns; // streaming: until the first content; 0: none came
} LlmResponse;

static inline LlmMessage llm_response_message(const LlmResponse *response)
{
    return (LlmMessage){LLM_ASSISTANT, response->parts, response->part_count};
}
void llm_response_done(LlmResponse *response); // on the client's thread; a zeroed one is fine
// Makes the response one of several owners of its memory; `other` becomes another one.
void llm_response_share(LlmResponse *response, LlmResponse *other);

typedef struct LlmEmbedRequest {
    Slice role, provider, model; // as in LlmRequest
    const Slice *inputs;
    size_t input_count;
    int64_t dimensions; // 0: the model's
    LlmKind kind;
    int64_t deadline_ns;
    LlmBudget *budgets[LLM_BUDGETS_MAX];
    Slice agent, session, traceparent;
} LlmEmbedRequest;

typedef struct LlmEmbedResponse {
    Arena *arena;
    Slice provider, model;
    const float *vectors; // input_count rows of `dimensions`
    size_t count;
    size_t dimensions;
    LlmUsage usage;
    LlmFailure failure;
    int attempts;
    int64_t duration_ns;
} LlmEmbedResponse;

void llm_embed_response_done(LlmEmbedResponse *response);

#endif
