// What a fake provider needs to know of a request, read from each protocol's JSON
// (docs/internals/fake-llm.md names the fields). Slices and values point into the request's
// document.
#ifndef LLM_FAKE_REQUEST_H
#define LLM_FAKE_REQUEST_H

#include "base/err.h"
#include "base/json_view.h"

typedef enum FakeProtocol {
    FAKE_OPENAI_CHAT,
    FAKE_OPENAI_RESPONSES,
    FAKE_ANTHROPIC,
    FAKE_GEMINI,
    FAKE_OLLAMA_CHAT,
    FAKE_OLLAMA_GENERATE,
    FAKE_PROTOCOLS,
} FakeProtocol;

enum { FAKE_TEXTS_MAX = 16, FAKE_TOOLS_MAX = 128, FAKE_STOPS_MAX = 8, FAKE_CHOICES_MAX = 16 };

typedef struct FakeTool {
    Slice name;
    JsonVal *schema; // of its arguments, NULL without one
} FakeTool;

typedef enum FakeToolChoice {
    FAKE_TOOLS_AUTO,
    FAKE_TOOLS_NONE,
    FAKE_TOOLS_REQUIRED
} FakeToolChoice;

typedef struct FakeRequest {
    Slice model;
    bool stream;
    bool include_usage;          // OpenAI Chat: a last chunk with the usage
    Slice texts[FAKE_TEXTS_MAX]; // of the last user message
    size_t text_count;
    Slice system_text;
    Slice tool_result; // text of the last tool result, where that is the last message
    bool after_tool;   // it is
    FakeTool tools[FAKE_TOOLS_MAX];
    size_t tool_count; // those beyond FAKE_TOOLS_MAX are not called
    FakeToolChoice tool_choice;
    Slice tool_wanted; // by name
    bool json;         // structured output: any object, or `schema`
    JsonVal *schema;
    int64_t max_tokens; // -1: not said
    Slice stops[FAKE_STOPS_MAX];
    size_t stop_count;
    int choices;
    uint64_t prompt_bytes; // of all texts, for the usage
    uint64_t images;
} FakeRequest;

// `ret_request` is reset first. ERR_ARG with a provider's words for the caller, and the name of the
// field at fault in *ret_param (a literal or NULL). `path_model`: the model where the path names it
// (Gemini, Azure's deployments), else empty.
MUST_USE int fake_request_read(FakeProtocol protocol, JsonVal *root, Slice path_model,
                               FakeRequest *ret_request, const char **ret_param, Err *e);

// As an estimate: four bytes a token, and 85 for an image (what OpenAI counts for one of low
// detail).
int64_t fake_request_tokens(const FakeRequest *r);

// The tool that the request names, or its first one; NULL without tools.
const FakeTool *fake_request_tool(const FakeRequest *r, Slice name);

#endif
