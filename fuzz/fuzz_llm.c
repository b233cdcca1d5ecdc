// Answers and streams of every protocol: whatever a provider sends, reading ends with an answer or
// with an error that has words, and what was delivered in pieces is what the answer holds.
#include <assert.h>

#include "llm/wire.h"
#include "net/sse_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count_text(void *ctx, const LlmChunk *chunk)
{
    size_t *bytes = ctx;
    *bytes += chunk->kind == LLM_CHUNK_TEXT ? chunk->text.len : 0;
    return 0;
}

static int read_stream(const LlmAdapter *adapter, Slice body, LlmAnswer *answer)
{
    SseReader reader = sse_reader(1 << 16);
    Arena *scratch = arena_create(64 << 20);
    int rc = sse_reader_push(&reader, body, NULL);
    while (rc == 0 && !answer->ended) {
        SseReadEvent event = {0};
        bool lines = adapter->framing == LLM_FRAMES_LINES;
        if (lines ? !sse_reader_line(&reader, &event.data) : !sse_reader_next(&reader, &event)) {
            break;
        }
        if (event.data.len > 0) {
            rc = llm_read_event(adapter, event.event, event.data, scratch, answer);
        }
        arena_reset(scratch);
    }
    arena_destroy(scratch);
    sse_reader_done(&reader);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1 << 16) {
        return 0;
    }
    const LlmAdapter *adapter = llm_adapter((LlmProtocol)(data[0] % LLM_PROTOCOLS));
    bool stream = data[0] & 0x80;
    Slice body = {(const char *)data + 1, size - 1};
    Arena *arena = arena_create(64 << 20), *scratch = arena_create(64 << 20);
    LlmAnswer answer;
    Err e = {0};
    size_t delivered = 0;
    llm_answer_init(&answer, arena, &e);
    answer.bytes_max = 1 << 16;
    answer.chunk_fn = count_text;
    answer.chunk_ctx = &delivered;
    int rc = stream ? read_stream(adapter, body, &answer)
                    : llm_read_answer(adapter, body, scratch, &answer);
    if (rc == 0) {
        LlmResponse response = {0};
        llm_answer_finish(&answer, &response);
        assert(response.text.len == delivered);
        assert(response.part_count <= LLM_ANSWER_PARTS_MAX);
    } else {
        assert(e.code == rc && e.text[0] != 0);
    }
    llm_answer_done(&answer);
    arena_destroy(arena);
    arena_destroy(scratch);
    return 0;
}
