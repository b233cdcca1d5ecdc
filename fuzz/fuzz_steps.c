// steps.yaml, which a repository brings along: whatever the text, words about what is wrong, or
// steps that are written and read back as the same bytes with the same hash and the same owner.
#include "improve/steps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 16, ROOM = 64 << 20 };

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz steps: %s", what);
    }
}

static Slice written(Arena *arena, const Steps *steps)
{
    Buf out = buf_create(16 * (size_t)TEXT_MAX);
    steps_write(steps, &out);
    require(!out.overflowed, "written far larger than it was");
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

static void check(Arena *arena, const Steps *steps)
{
    Slice text = written(arena, steps);
    Steps back;
    Err e = {0};
    if (steps_parse(arena, text, "back", &back, &e) != 0) {
        die("fuzz steps: what was written is not read: %s\n%.*s", e.text, SLICE_FMT(text));
    }
    require(slice_eq(written(arena, &back), text), "what was read is written otherwise");
    char a[STEPS_HASH_HEX + 1], b[STEPS_HASH_HEX + 1];
    steps_hash(steps, a);
    steps_hash(&back, b);
    require(strcmp(a, b) == 0, "the hash moves");
    require(step_list_touched(&steps->build) == step_list_touched(&back.build), "the owner moves");
    Buf json = buf_create(16 * (size_t)TEXT_MAX);
    JsonWriter w = json_writer(&json, 0);
    steps_write_json(steps, &w);
    const Doc *doc = NULL;
    require(json.overflowed || doc_parse(arena, buf_slice(&json), NULL, &doc, NULL) == 0,
            "what was written is no JSON");
    buf_done(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(ROOM);
    Steps steps;
    Err e = {0};
    int rc = steps_parse(arena, (Slice){(const char *)data, size}, "f", &steps, &e);
    require(rc == 0 || e.text[0] != '\0', "refused without a word");
    if (rc == 0) {
        check(arena, &steps);
    }
    arena_destroy(arena);
    return 0;
}
