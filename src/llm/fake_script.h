// How a fake provider behaves: numbers that may change while it runs (FakeSettings), and a script
// of rules that says what is answered to what (FakeScript). docs/guide/fake-llm.md is the manual of
// both.
//
//     latency: lognormal:200ms,1s
//     tokens_per_second: 80
//     faults: {rate_limit: 0.01, disconnect: 0.001}
//     rules:
//       - match: {message: weather, after_tool: false}
//         tools: [{name: get_weather, arguments: {city: Paris}}]
//       - match: {tool_result: sunny}
//         text: Take a hat.
//       - match: {message: fail}
//         times: 2
//         error: {status: 429, retry_after: 1s}
#ifndef LLM_FAKE_SCRIPT_H
#define LLM_FAKE_SCRIPT_H

#include "base/doc.h"
#include "base/json_write.h"
#include "llm/fake_dist.h"
#include "llm/fake_request.h"

typedef enum FakeFault {
    FAKE_RATE_LIMIT,   // 429 with what the provider says about waiting
    FAKE_SERVER_ERROR, // 500
    FAKE_UNAVAILABLE,  // 503
    FAKE_OVERLOADED,   // 529 as Anthropic has it, 503 elsewhere
    FAKE_MALFORMED,    // 200 with text that is no JSON
    FAKE_TRUNCATED,    // 200 with an answer that ends early, though HTTP says it is whole
    FAKE_DISCONNECT,   // the connection breaks half-way
    FAKE_STALL,        // half an answer, then nothing
    FAKE_ERROR_IN_200, // 200 with an error's body; in a stream behind the first pieces
    FAKE_WRONG_TYPE,   // 200 with a web page
    FAKE_FAULTS,
    FAKE_NO_FAULT = FAKE_FAULTS,
} FakeFault;

const char *fake_fault_name(FakeFault fault); // "rate_limit"
// ERR_ARG with the nearest right name.
MUST_USE int fake_fault_parse(Slice name, FakeFault *ret_fault, Err *e);

typedef struct FakeSettings {
    FakeDist latency;         // until the first content
    FakeDist ttft;            // the same in streams, where has_ttft
    bool has_ttft;            //
    double tokens_per_second; // 0: all at once
    FakeDist answer_tokens;
    double fault_rate[FAKE_FAULTS]; // of requests, 0..1; their sum is at most 1
    double tool_rate;               // of requests with tools and a free choice: a call is made
    int64_t retry_after_ns;         // of a 429
    int64_t stall_ns;
    int64_t requests_per_minute; // beyond: 429. 0: no limit
    int64_t tokens_per_minute;   //
    int64_t batch_delay_ns;      // until a batch job is done
} FakeSettings;

FakeSettings fake_settings_default(void);
// Takes the members of `object` that are settings' over `settings`. With `only` others are errors.
// On failure nothing is changed.
MUST_USE int fake_settings_read(Arena *arena, const Doc *object, bool only, bool files,
                                FakeSettings *settings, Err *e);
MUST_USE int fake_settings_check(const FakeSettings *settings, Err *e);
void fake_settings_write(const FakeSettings *settings, JsonWriter *w);

typedef struct FakeCall {
    Slice name;
    Slice arguments; // JSON; empty: made from the tool's schema
} FakeCall;

enum { FAKE_CALLS_MAX = 16, FAKE_RULES_MAX = 1000 };

typedef struct FakeRule {
    // What must hold; empty: whatever. Texts are parts of the request's, byte by byte.
    Slice model, message, system_text, tool_result, tool, provider;
    int stream, after_tool; // -1: whatever
    int64_t times;          // how often it may be used; -1: always
    // What is done.
    bool has_text;
    Slice text;     // "{{message}}" stands for the user's text
    Slice thinking; // before it
    FakeCall calls[FAKE_CALLS_MAX];
    size_t call_count;
    int status; // of an error; 0: none
    Slice error_message, error_type, error_code;
    int64_t retry_after_ns; // -1: none
    FakeFault fault;
    bool has_latency;
    FakeDist latency;
} FakeRule;

typedef struct FakeScript {
    FakeSettings settings;
    uint64_t seed;
    Slice *models; // what /v1/models and the like list
    size_t model_count;
    FakeRule *rules;
    size_t rule_count;
} FakeScript;

// In the arena. The defaults, without rules.
FakeScript *fake_script_default(Arena *arena);
// ERR_PARSE with "file:line:column: ...".
MUST_USE int fake_script_read(Arena *arena, const Doc *doc, FakeScript **ret_script, Err *e);

// Whether the rule holds, its count aside. `provider` is "openai" and so on.
bool fake_rule_matches(const FakeRule *rule, const FakeRequest *request, Slice provider);

#endif
