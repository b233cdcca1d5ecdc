// The configuration of an agent system from hostile bytes: it is refused with words and a place, or
// it is read; and what was read is written as JSON that reads back as the same.
#include "agent/config.h"
#include "base/json_write.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Slice written(Arena *arena, const AgentConfig *config)
{
    Buf out = buf_create(64 << 20);
    JsonWriter w = json_writer(&out, 0);
    agent_config_write(config, &w);
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *arena = arena_create(256 << 20);
    const Doc *root = NULL;
    const AgentConfig *config = NULL;
    Err e = {0};
    DocOptions options = {.format = DOC_FORMAT_TOML, .source = "f.toml", .max_bytes = 1 << 20};
    int rc = doc_parse(arena, (Slice){(const char *)data, size}, &options, &root, &e);
    rc = rc != 0 ? rc : agent_config_read(arena, root, &config, &e);
    if (rc != 0) {
        if (e.text[0] == '\0') {
            abort(); // refused without a word
        }
    } else {
        Slice first = written(arena, config);
        const Doc *again = NULL;
        const AgentConfig *second = NULL;
        options = (DocOptions){.format = DOC_FORMAT_JSON, .source = "f.toml"};
        if (doc_parse(arena, first, &options, &again, &e) != 0 ||
            agent_config_read(arena, again, &second, &e) != 0 ||
            !slice_eq(first, written(arena, second))) {
            abort();
        }
    }
    arena_destroy(arena);
    return 0;
}
