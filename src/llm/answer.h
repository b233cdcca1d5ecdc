// LlmAnswer: an answer as it grows, from one document or from a stream's events. The adapters fill
// it; the client turns it into an LlmResponse.
//
// Reading is sticky, as building text is with Buf: the answer_* readers return nothing and set
// `rc` and words at the first value of a wrong type; the adapter goes on and the client looks once.
#ifndef LLM_ANSWER_H
#define LLM_ANSWER_H

#include "base/buf.h"
#include "base/doc.h"
#include "llm/llm.h"

enum {
    LLM_ANSWER_PARTS_MAX = 256,
    LLM_ANSWER_BYTES_MAX = 16 << 20, // of content: an endless stream ends here
};

typedef struct LlmPending {
    LlmPartKind kind;
    int64_t index; // the protocol's own, to find the part again
    Buf text;      // or the arguments of a call
    Buf signature;
    Slice id, name;
    bool announced; // a tool call that chunk_fn has seen
} LlmPending;

typedef struct LlmAnswer {
    Arena *arena; // of the response
    LlmPending *pending;
    size_t count, capacity;
    size_t bytes, bytes_max;
    Slice id, model, finish_text;
    LlmFinish finish;
    LlmUsage usage;
    LlmFailure failure; // kind LLM_OK unless the answer itself holds an error
    bool ended;         // the protocol's own end was seen
    bool has_content;   // a byte of content, a thought or a call came
    int64_t chunks;
    LlmChunkFn *chunk_fn; // NULL: not streamed
    void *chunk_ctx;
    int rc;       // the first error: what is wrong is in `err`
    bool stopped; // by chunk_fn
    Err *e;
} LlmAnswer;

void llm_answer_init(LlmAnswer *answer, Arena *arena, Err *e);
void llm_answer_done(LlmAnswer *answer); // what is not in the arena
// Moves the parts into the response (arena, parts, text, usage, ...).
void llm_answer_finish(LlmAnswer *answer, LlmResponse *response);

// ---- for adapters

// The part with this kind and index, made when it is not there. NULL past LLM_ANSWER_PARTS_MAX.
LlmPending *llm_answer_part(LlmAnswer *answer, LlmPartKind kind, int64_t index);
// Appends content to a part and hands it to the caller as a chunk. Empty text is no content.
void llm_answer_add(LlmAnswer *answer, LlmPending *part, Slice text);
void llm_answer_sign(LlmAnswer *answer, LlmPending *part, Slice signature);
// The arguments are complete (or as complete as they will get).
void llm_answer_call_done(LlmAnswer *answer, LlmPending *part);
// All of it: a tool call that came in one piece.
void llm_answer_call(LlmAnswer *answer, int64_t index, Slice id, Slice name, Slice arguments);
int llm_answer_fail(LlmAnswer *answer, ErrCode code, const char *format, ...) PRINTF_LIKE(3, 4);

// ---- typed reading of the provider's JSON; missing and null are empty, 0 or NULL

Slice answer_string(LlmAnswer *answer, const Doc *object, const char *key);
Slice answer_keep(LlmAnswer *answer, const Doc *object, const char *key); // copied into the arena
int64_t answer_int(LlmAnswer *answer, const Doc *object, const char *key);
const Doc *answer_object(LlmAnswer *answer, const Doc *object, const char *key);
const Doc *answer_array(LlmAnswer *answer, const Doc *object, const char *key);

#endif
