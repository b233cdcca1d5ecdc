// A fake of all LLM providers on our own HTTP server: OpenAI (Chat Completions, Responses,
// embeddings, files and batches), Azure OpenAI, Anthropic, Gemini and Ollama, each with streaming,
// tools, structured output, errors, rate limits and faults on demand. Fast enough to be the quiet
// end of a measurement: it answers a small chat in a few microseconds and allocates nothing per
// request in steady state.
//
//     FakeLlm *fake;
//     rc = fake_llm_start(&(FakeLlmOptions){.threads = 1}, &fake, e);   // 127.0.0.1, a free port
//     NetAddr addr = fake_llm_addr(fake);
//     ... point a client's base URL there ...
//     fake_llm_stop(fake);
//
// or on a loop of the caller's, in the same thread (tests):
//
//     rc = fake_llm_start(&(FakeLlmOptions){.loop = loop, .pool = pool}, &fake, e);
//
// What it says is decided by a script (llm/fake_script.h); docs/guide/fake-llm.md is its manual.
// The same seed and the same requests in the same order on one thread give the same answers.
//
// Functions are for the thread that started it, but fake_llm_counts and fake_llm_change, which are
// for any.
#ifndef LLM_FAKE_H
#define LLM_FAKE_H

#include "llm/fake_script.h"
#include "net/server.h"

typedef struct FakeLlm FakeLlm;

enum {
    FAKE_THREADS_MAX = 64,
    FAKE_BODY_BYTES_MAX = 64 << 20,
    FAKE_CONNECTIONS_MAX = 50000, // of a thread; a slow model has many that wait
};

typedef struct FakeLlmOptions {
    const FakeScript *script; // NULL: fake_script_default; outlives the fake
    NetAddr addr;             // len 0: 127.0.0.1, any free port
    int threads;              // 0: one. They share the port
    Loop *loop;               // not NULL: on this loop, with these fibers, and no thread
    FiberPool *pool;
    Slice api_key;           // not empty: what every request must show, else 401
    const char *record_path; // JSON lines of what was asked; NULL: none
    Slice tls_cert, tls_key; // PEM; not empty: HTTPS, with HTTP/2 where the client wants it
} FakeLlmOptions;

MUST_USE int fake_llm_start(const FakeLlmOptions *options, FakeLlm **ret_fake, Err *e);
NetAddr fake_llm_addr(const FakeLlm *fake);
// Lets running answers finish for a moment, then cuts them. NULL is fine.
void fake_llm_stop(FakeLlm *fake);

typedef struct FakeCounts {
    uint64_t requests[5]; // by FakeProvider
    uint64_t statuses[6]; // by the hundred; 0: cut before a status was sent
    uint64_t faults[FAKE_FAULTS];
    uint64_t streams;
    uint64_t embeddings; // texts
    uint64_t tool_calls;
    uint64_t tokens_in, tokens_out;
} FakeCounts;

FakeCounts fake_llm_counts(FakeLlm *fake);
uint64_t fake_counts_requests(const FakeCounts *counts); // of all providers

// Changes settings while it runs; from the next request on.
void fake_llm_change(FakeLlm *fake, const FakeSettings *settings);
FakeSettings fake_llm_settings(FakeLlm *fake);

#endif
