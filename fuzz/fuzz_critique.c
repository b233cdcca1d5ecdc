// What a language model answers to the critic's question: never more cases than allowed, sizes near
// the declared ones, inputs below the ceiling. The same bytes are reshaped as an input.
#include "improve/critique.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz critique: %s", what);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { TEXT_MAX = 16 << 10 };
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(64 << 20);
    Slice text = {(const char *)data, size}, shaped;
    int64_t sizes[] = {1000};
    Workload workload = {.run = SLICE("run {input}"), .inputs = {.sizes = sizes, .size_count = 1}};
    Steps steps = {.workloads = &workload, .workload_count = 1};
    CritiqueOptions options = {
        .steps = &steps, .claimed_size = 1000, .claimed_input = SLICE("b\na\n")};
    CritiqueCase cases[CRITIQUE_PROPOSED_MAX];
    size_t count = 0;
    Err e = {0};
    int rc = critique_read_proposals(&options, text, arena, cases, &count, &e);
    require(rc == 0 || e.text[0] != 0, "an error without words");
    require(rc == 0 || count == 0, "cases of a refused answer");
    for (size_t i = 0; i < count; i++) {
        require(cases[i].size >= 100 && cases[i].size <= 10009, "a size beyond the declaration");
        require(cases[i].kind == CRITIQUE_PROPOSED, "another kind");
    }
    for (size_t i = 0; CRITIQUE_SHAPES[i]; i++) {
        bool repeats = slice_eq_cstr(SLICE("equal"), CRITIQUE_SHAPES[i]);
        rc = critique_shape(arena, CRITIQUE_SHAPES[i], text, 1, &shaped, &e);
        require(rc == 0 || (repeats && rc == ERR_LIMIT), "a shape");
        require(repeats || shaped.len <= size + 1, "a shape is longer");
    }
    arena_destroy(arena);
    return 0;
}
