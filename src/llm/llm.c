#include "llm/llm.h"

static const struct {
    const char *name, *otel;
} PROTOCOLS[LLM_PROTOCOLS] = {
    [LLM_OPENAI] = {"openai", "openai"},
    [LLM_OPENAI_RESPONSES] = {"openai-responses", "openai"},
    [LLM_AZURE] = {"azure", "azure.ai.openai"},
    [LLM_ANTHROPIC] = {"anthropic", "anthropic"},
    [LLM_GEMINI] = {"gemini", "gcp.gemini"},
    [LLM_OLLAMA] = {"ollama", "ollama"},
};

const char *llm_protocol_name(LlmProtocol protocol)
{
    return PROTOCOLS[protocol].name;
}

const char *llm_protocol_otel_name(LlmProtocol protocol)
{
    return PROTOCOLS[protocol].otel;
}

int llm_protocol_parse(Slice name, LlmProtocol *ret_protocol, Err *e)
{
    Slice names[LLM_PROTOCOLS];
    for (int i = 0; i < LLM_PROTOCOLS; i++) {
        names[i] = slice_from_cstr(PROTOCOLS[i].name);
        if (slice_eq(name, names[i])) {
            *ret_protocol = (LlmProtocol)i;
            return 0;
        }
    }
    Slice near = slice_nearest(name, names, LLM_PROTOCOLS);
    return err_set(e, ERR_NOT_FOUND, "'%.*s' is no LLM protocol%s%.*s%s", SLICE_FMT(name),
                   near.len > 0 ? "; did you mean '" : "", SLICE_FMT(near),
                   near.len > 0 ? "'?" : "");
}

const char *llm_failure_name(LlmFailureKind kind)
{
    static const char *const NAMES[] = {
        [LLM_OK] = "ok",
        [LLM_FAIL_NETWORK] = "network",
        [LLM_FAIL_TIMEOUT] = "timeout",
        [LLM_FAIL_RATE] = "rate",
        [LLM_FAIL_QUOTA] = "quota",
        [LLM_FAIL_AUTH] = "auth",
        [LLM_FAIL_REQUEST] = "request",
        [LLM_FAIL_SERVER] = "server",
        [LLM_FAIL_RESPONSE] = "response",
        [LLM_FAIL_BUDGET] = "budget",
        [LLM_FAIL_REFUSED] = "refused",
        [LLM_FAIL_CANCELLED] = "cancelled",
        [LLM_FAIL_UNSUPPORTED] = "unsupported",
    };
    return NAMES[kind];
}

const char *llm_finish_name(LlmFinish finish)
{
    static const char *const NAMES[] = {
        [LLM_FINISH_NONE] = "none",     [LLM_FINISH_STOP] = "stop",
        [LLM_FINISH_LENGTH] = "length", [LLM_FINISH_TOOLS] = "tools",
        [LLM_FINISH_FILTER] = "filter", [LLM_FINISH_OTHER] = "other",
    };
    return NAMES[finish];
}

struct LlmShared {
    size_t owners;
    Arena *arena;
};

void llm_response_done(LlmResponse *response)
{
    LlmShared *shared = response->shared;
    if (shared && --shared->owners == 0) {
        arena_destroy(shared->arena);
        free(shared);
    }
    arena_destroy(response->arena);
    *response = (LlmResponse){0};
}

void llm_response_share(LlmResponse *response, LlmResponse *other)
{
    if (!response->shared) {
        response->shared = mem_alloc(sizeof *response->shared);
        *response->shared = (LlmShared){.owners = 1, .arena = response->arena};
        response->arena = NULL;
    }
    *other = *response;
    other->shared->owners++;
}

void llm_embed_response_done(LlmEmbedResponse *response)
{
    arena_destroy(response->arena);
    *response = (LlmEmbedResponse){0};
}
