// LlmCassette: conversations with providers, recorded and played back, so that tests need neither
// network nor keys. A file of JSON lines:
//
//     {"version":1,"url":"https://api.openai.com/v1/chat/completions","request":"{...}",
//      "status":200,"headers":{"content-type":"application/json"},"body":"{...}"}
//
// An exchange is found by its URL and the exact bytes of its request; equal ones are played in the
// order they were recorded, the last one again and again. Headers of requests, and so keys, are
// never written; bodies that are no UTF-8 stand as "body_base64".
//
//     rc = llm_cassette_open("test/data/chat.jsonl", LLM_CASSETTE_REPLAY, &cassette, e);
//     options.cassette = cassette;
//
// Recording appends each exchange as it ends. For one thread.
#ifndef LLM_CASSETTE_H
#define LLM_CASSETTE_H

#include "base/buf.h"

typedef struct LlmCassette LlmCassette;

typedef enum LlmCassetteMode { LLM_CASSETTE_REPLAY, LLM_CASSETTE_RECORD } LlmCassetteMode;

typedef struct LlmTake {
    int status;
    Slice content_type, retry_after;
    Slice body;
} LlmTake;

// ERR_IO, ERR_PARSE with "file:line", ERR_VERSION.
MUST_USE int llm_cassette_open(const char *path, LlmCassetteMode mode, LlmCassette **ret_cassette,
                               Err *e);
void llm_cassette_close(LlmCassette *cassette); // NULL is fine
LlmCassetteMode llm_cassette_mode(const LlmCassette *cassette);
// ERR_NOT_FOUND names the request that nobody recorded.
MUST_USE int llm_cassette_play(LlmCassette *cassette, Slice url, Slice request, LlmTake *ret_take,
                               Err *e);
MUST_USE int llm_cassette_record(LlmCassette *cassette, Slice url, Slice request,
                                 const LlmTake *take, Err *e);

#endif
