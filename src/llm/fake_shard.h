// One thread's part of the fake, and what its threads share. Used by fake_*.c only.
#ifndef LLM_FAKE_SHARD_H
#define LLM_FAKE_SHARD_H

#include <pthread.h>

#include "llm/fake.h"
#include "llm/fake_store.h"
#include "llm/fake_work.h"
#include "net/tls.h"
#include "os/thread.h"

// What the headers about limits say.
typedef struct FakeLimits {
    int64_t requests_limit, requests_left;
    int64_t tokens_limit, tokens_left;
    char reset[24];                   // "6ms"
    char reset_at[CLOCK_RFC3339_MAX]; // "2026-11-21T10:00:00Z"
} FakeLimits;

// A leaky bucket a minute deep, as the providers describe theirs.
typedef struct FakeBucket {
    double left;
    int64_t at_ns;
    int64_t limit; // that `left` is a part of
} FakeBucket;

struct FakeShard {
    FakeLlm *llm;
    size_t index;
    Loop *loop;
    FiberPool *pool;
    HttpServer *server;
    TlsServer *tls;
    TlsAcceptor acceptor;
    Thread *thread;
    FakeWork *free_work;
    Rng rng;
    uint64_t next_id;
    FakeBucket requests, tokens;
    FakeLimits limits;
    int64_t limits_at_s;
    // Other threads read the counts and change the settings. Nobody holds it for long, so a request
    // pays some 20 ns.
    pthread_mutex_t lock;
    FakeCounts counts;
    FakeSettings settings;
};

struct FakeLlm {
    FakeLlmOptions options;
    Arena *arena;         // of the default script and of settings that came later
    pthread_mutex_t lock; // of the arena, the rules' counts and the record
    const FakeScript *script;
    int64_t *rule_left; // by rule; -1: always
    FakeCorpus *corpus;
    FakeStore *store;
    FILE *record;
    NetAddr addr;
    size_t shard_count;
    FakeShard *shards;
};

FakeWork *fake_work_lend(FakeShard *shard);
void fake_work_give_back(FakeWork *work);

// Before the last byte of the answer goes, so that who has it and asks for the counts finds itself
// in them. Once a request.
void fake_count(FakeWork *w);

const FakeLimits *fake_shard_limits(FakeShard *shard);
// True when a request of that many tokens may pass; otherwise *ret_wait_ns is how long it should
// have waited.
bool fake_shard_admit(FakeShard *shard, const FakeSettings *settings, int64_t tokens,
                      int64_t *ret_wait_ns);
// Takes the tokens of the answer as well.
void fake_shard_charge(FakeShard *shard, const FakeSettings *settings, int64_t tokens);

#endif
