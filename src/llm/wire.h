// LlmAdapter: one protocol as a table: where its endpoints are, how a request is written and how
// answers and stream events are read. Adapters do no I/O and hold no state. The formats are in the
// vendors' API references, whose versions docs/internals/llm.md names.
#ifndef LLM_WIRE_H
#define LLM_WIRE_H

#include "base/json_write.h"
#include "llm/answer.h"

// Where a provider is and what its protocol needs to know beside the request.
typedef struct LlmEndpoint {
    Slice base_url;      // without a slash at the end
    Slice api_version;   // Azure's dated interface; empty: v1
    bool old_max_tokens; // OpenAI-compatible servers that know max_tokens only
    int64_t max_tokens;  // where the request names none and the protocol must
} LlmEndpoint;

typedef struct LlmAsk {
    const LlmEndpoint *endpoint;
    const LlmRequest *request;
    Slice model;
    bool stream;
} LlmAsk;

typedef struct LlmEmbedAsk {
    const LlmEndpoint *endpoint;
    Slice model;
    const Slice *inputs;
    size_t input_count;
    int64_t dimensions;
} LlmEmbedAsk;

// Rows are stored as they come, by the provider's own index where it gives one.
typedef struct LlmEmbedRows {
    float *vectors; // count * dimensions, NULL until the first row
    size_t count;   // rows wanted
    size_t dimensions;
    size_t filled;
} LlmEmbedRows;

typedef enum LlmFraming { LLM_FRAMES_SSE, LLM_FRAMES_LINES } LlmFraming;

typedef struct LlmAdapter {
    const char *default_url;  // of the endpoint; NULL: must be configured
    const char *auth_header;  // "Authorization"
    const char *auth_prefix;  // "Bearer "
    const char *extra_header; // whole line that every request carries, or NULL
    LlmFraming framing;
    void (*chat_url)(const LlmAsk *ask, Buf *url);
    // ERR_ARG or ERR_UNSUPPORTED for a request that this protocol cannot say.
    int (*chat_body)(const LlmAsk *ask, JsonWriter *w, Err *e);
    void (*chat_answer)(const Doc *doc, LlmAnswer *answer);
    // One event; `name` is SSE's event name. Sets answer->ended at the protocol's end.
    void (*chat_event)(Slice name, const Doc *doc, LlmAnswer *answer);
    // NULL: the protocol has no embeddings.
    void (*embed_url)(const LlmEmbedAsk *ask, Buf *url);
    void (*embed_body)(const LlmEmbedAsk *ask, JsonWriter *w);
    void (*embed_answer)(const Doc *doc, LlmEmbedRows *rows, LlmAnswer *answer);
} LlmAdapter;

extern const LlmAdapter LLM_ADAPTER_OPENAI;
extern const LlmAdapter LLM_ADAPTER_RESPONSES;
extern const LlmAdapter LLM_ADAPTER_AZURE;
extern const LlmAdapter LLM_ADAPTER_ANTHROPIC;
extern const LlmAdapter LLM_ADAPTER_GEMINI;
extern const LlmAdapter LLM_ADAPTER_OLLAMA;

const LlmAdapter *llm_adapter(LlmProtocol protocol);

// A whole answer's text: JSON in, answer filled; a body with an error inside fills answer->failure
// and is an error. Scratch memory comes from `scratch`. ERR_PROTOCOL, ERR_LIMIT.
MUST_USE int llm_read_answer(const LlmAdapter *adapter, Slice body, Arena *scratch,
                             LlmAnswer *answer);
// One event of a stream.
MUST_USE int llm_read_event(const LlmAdapter *adapter, Slice name, Slice data, Arena *scratch,
                            LlmAnswer *answer);
MUST_USE int llm_read_embeddings(const LlmAdapter *adapter, Slice body, Arena *scratch,
                                 LlmEmbedRows *rows, LlmAnswer *answer);

// ---- shared by adapters

typedef struct WireFinish {
    const char *text;
    LlmFinish finish;
} WireFinish;
// The provider's word for why it stopped; LLM_FINISH_OTHER for one that the table does not have.
LlmFinish wire_finish(const WireFinish *words, size_t count, Slice text);
// As OpenAI and Ollama name them.
const char *wire_role_name(LlmRole role);

// JSON that came from outside, checked before it goes between ours: an object, or ERR_ARG with
// `what`. Empty text is {}.
MUST_USE int wire_object(JsonWriter *w, Slice json, const char *what, Err *e);
void wire_field(JsonWriter *w, const char *key, Slice text); // left out when empty
// "data:image/png;base64,..." or the part's url.
void wire_image_url(JsonWriter *w, const LlmPart *image);
void wire_base64(JsonWriter *w, Slice data);
void wire_number(JsonWriter *w, const char *key, bool has, double value);
void wire_stop(JsonWriter *w, const char *key, const LlmRequest *request);
// All system messages' text, joined by an empty line.
void wire_system_text(const LlmRequest *request, Buf *out);
bool wire_has_system(const LlmRequest *request);
// The name of the call with this id in the conversation, for protocols that want names.
Slice wire_call_name(const LlmRequest *request, const LlmPart *result);
// OpenAI's embeddings, which belong to the Responses protocol as well.
void wire_openai_embed_url(const LlmEmbedAsk *ask, Buf *url);
void wire_openai_embed_body(const LlmEmbedAsk *ask, JsonWriter *w);
void wire_openai_embed_answer(const Doc *doc, LlmEmbedRows *rows, LlmAnswer *answer);
// A model's name within a URL's path.
void wire_path_segment(Buf *url, Slice text);
// Adds a row of numbers (a DOC_ARRAY) at `index`.
void wire_embed_row(LlmAnswer *answer, LlmEmbedRows *rows, size_t index, const Doc *numbers);

#endif
