// Broker: how an engine in a sandbox without network reaches its provider, and nothing else.
//
// Outside of the sandbox the broker listens on a Unix socket. It takes HTTP requests, allows the
// few paths with which models are asked, puts the key in, and sends them to the one host of the
// configuration. Inside, forward.h listens on a port of 127.0.0.1 and passes bytes to that socket;
// the engine is told that its provider lives there. So the key is never inside, and no other host
// can be named: a request that is meant for one (as to a proxy) is refused.
//
//     rc = broker_open(&(BrokerOptions){.loop = loop, .pool = pool, .config = &settings.llm,
//                      .provider = index, .get_env = getenv, .socket_path = path,
//                      .tokens_max = 2000000, .transcript = &transcript}, &broker, e);
//     ... the engine runs ...
//     BrokerStats stats = broker_stats(broker);
//     broker_close(broker);
//
// Budgets hold before a request is sent: what it can cost at most is reserved, and what it did cost
// by the provider's own count is settled; where the provider says nothing, by the bytes. Requests
// that would make the provider itself fetch from the web (search, fetch, remote tool servers) are
// refused too: an answer could be looked up there. docs/internals/broker.md.
//
// Everything is for the loop's thread.
#ifndef IMPROVE_BROKER_H
#define IMPROVE_BROKER_H

#include "improve/transcript.h"
#include "llm/config.h"
#include "os/fiber.h"

typedef struct Broker Broker;

enum {
    BROKER_BODY_BYTES_MAX = 8 << 20, // of a request
    BROKER_NOTES_MAX = 50,           // refusals in the transcript
};

typedef struct BrokerOptions {
    Loop *loop;
    FiberPool *pool;
    const LlmConfig *config; // borrowed, as everything here
    size_t provider;         // index in it
    char *(*get_env)(const char *name);
    const char *socket_path; // is made, for us alone, and removed at the end
    int64_t requests_max;    // 0: no limit, as for the others
    int64_t tokens_max;
    int64_t cost_nano_max;  // then a model without a price is refused
    bool web;               // let the provider's own web tools pass
    Transcript *transcript; // the key is hidden in it; NULL: none
} BrokerOptions;

typedef struct BrokerStats {
    uint64_t requests; // that reached the provider
    uint64_t refused;
    uint64_t bytes_in, bytes_out; // bodies, as the engine sees them
    int64_t input_tokens, output_tokens, cached_tokens, cost_nano_usd;
    uint64_t estimated; // answers whose tokens were taken from their bytes
    bool over_budget;   // a request was refused for it
} BrokerStats;

// ERR_NOT_FOUND where the key is not set, ERR_ARG, ERR_IO, ERR_LIMIT for a path that is too long.
MUST_USE int broker_open(const BrokerOptions *options, Broker **ret_broker, Err *e);
BrokerStats broker_stats(const Broker *broker);
// The path of the provider's base URL ("/v1" or empty): the engine's base URL ends with it.
Slice broker_base_path(const Broker *broker);
// In a fiber: gives up what is under way and waits until its connections are gone.
void broker_close(Broker *broker); // NULL is fine

// ---- parts, for tests

// Whether a request line may pass: 0, or the status to refuse it with and why.
int broker_check(LlmProtocol protocol, Slice base_path, Slice method, Slice target, Slice host,
                 const char **ret_why);

// Finds usage in an answer's bytes as they pass, whatever the framing: the largest value of each
// name. Keys inside of strings cannot be taken for one, their quotes are escaped.
typedef struct BrokerUsage {
    char tail[96]; // of what came before, for a name that was cut
    size_t tail_len;
    bool known;
    int64_t input, output, cached, cache_write;
    bool input_excludes_cache; // Anthropic's way to count
} BrokerUsage;
void broker_usage_push(BrokerUsage *usage, Slice bytes);

// What a request may cost, from its body. ERR_PARSE for a body that is no JSON object, ERR_REFUSED
// for one that makes the provider fetch from the web.
typedef struct BrokerAsk {
    Slice model;          // in the arena; empty: in the path, or none
    int64_t input_tokens; // estimated from the bytes
    int64_t output_max;
} BrokerAsk;
MUST_USE int broker_read_ask(Arena *arena, Slice body, bool web, BrokerAsk *ret_ask, Err *e);
// The model in ".../models/NAME:generateContent"; empty without one.
Slice broker_path_model(Slice path);

#endif
