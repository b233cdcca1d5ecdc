// The fake provider's reading of requests: the first byte is the operation, the rest the body.
// Whatever the body is, the answer is JSON with 200 or an error's status; and the parts of a
// multipart body lie within it, one behind the other.
#include "base/json_view.h"
#include "doc_check.h"
#include "llm/fake_batch.h"
#include "llm/fake_shard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const FakeRoute routes[] = {
    {.provider = FAKE_BY_OPENAI, .operation = fake_generate, .api = &FAKE_API_OPENAI_CHAT},
    {.provider = FAKE_BY_OPENAI, .operation = fake_generate, .api = &FAKE_API_OPENAI_RESPONSES},
    {.provider = FAKE_BY_ANTHROPIC, .operation = fake_generate, .api = &FAKE_API_ANTHROPIC},
    {.provider = FAKE_BY_GEMINI,
     .operation = fake_generate,
     .api = &FAKE_API_GEMINI,
     .model = SLICE_INIT("m")},
    {.provider = FAKE_BY_OLLAMA, .operation = fake_generate, .api = &FAKE_API_OLLAMA_CHAT},
    {.provider = FAKE_BY_OLLAMA, .operation = fake_generate, .api = &FAKE_API_OLLAMA_GENERATE},
    {.provider = FAKE_BY_OPENAI, .operation = fake_embed_openai},
    {.provider = FAKE_BY_GEMINI, .operation = fake_embed_gemini, .model = SLICE_INIT("m")},
    {.provider = FAKE_BY_GEMINI, .operation = fake_embed_gemini_batch, .model = SLICE_INIT("m")},
    {.provider = FAKE_BY_OLLAMA, .operation = fake_embed_ollama},
    {.provider = FAKE_BY_ANTHROPIC, .operation = fake_count_tokens, .api = &FAKE_API_ANTHROPIC},
};

static void check_multipart(Slice body)
{
    Slice boundary, rest, head, content;
    if (!slice_cut(body, '\n', &boundary, &rest) || boundary.len == 0) {
        return;
    }
    const char *end = rest.ptr + rest.len;
    const char *from = rest.ptr;
    while (fake_multipart_next(&rest, boundary, &head, &content)) {
        doc_require(head.ptr >= from && content.ptr >= head.ptr + head.len, "a part out of order");
        doc_require(content.ptr + content.len <= rest.ptr, "a part longer than its place");
        doc_require(rest.ptr + rest.len == end && rest.ptr > from, "no progress");
        from = rest.ptr;
    }
}

// One for the whole process: what a request leaves behind must not hurt the next.
static FakeShard *shard(void)
{
    static FakeLlm *llm;
    static Loop *loop;
    static FiberPool *pool;
    if (!llm) {
        doc_require(loop_create(&(LoopOptions){0}, &loop, NULL) == 0, "a loop");
        pool = fiber_pool_create(loop, NULL);
        FakeLlmOptions options = {.loop = loop, .pool = pool};
        doc_require(fake_llm_start(&options, &llm, NULL) == 0, "a fake");
    }
    return &llm->shards[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { BODY_MAX = 16 << 10 };
    if (size < 1 || size > BODY_MAX) {
        return 0;
    }
    Slice body = {(const char *)data + 1, size - 1};
    size_t index = (size_t)(data[0] - '0');
    if (index >= COUNT_OF(routes)) {
        check_multipart(body);
        return 0;
    }
    FakeWork *w = fake_answer_line(shard(), &routes[index], body);
    doc_require(w->status == 200 || w->status == 400, "another status");
    JsonDoc *doc = yyjson_read(w->out.data, w->out.len, 0);
    doc_require(doc != NULL, "an answer that is no JSON");
    JsonVal *error = json_at(yyjson_doc_get_root(doc), "error"); // null in a good response
    doc_require((w->status == 400) == (error && !yyjson_is_null(error)), "an error that is none");
    yyjson_doc_free(doc);
    fake_work_give_back(w);
    return 0;
}
