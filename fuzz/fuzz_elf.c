// ELF files of strangers: whatever the offsets say, nothing outside of the file is read, and every
// name and option lies within it.
#include "improve/cheat_elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz elf: %s", what);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { TEXT_MAX = 1 << 20 };
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(8 << 20);
    Slice file = {(const char *)data, size};
    ElfFacts facts;
    Err e = {0};
    int rc = elf_facts(arena, file, &facts, &e);
    require(rc == 0 || rc == ERR_UNSUPPORTED || rc == ERR_CORRUPT, "an unexpected code");
    for (size_t i = 0; rc == 0 && i < facts.needed_count + facts.option_count; i++) {
        bool library = i < facts.needed_count;
        Slice text = library ? facts.needed[i] : facts.options[i - facts.needed_count];
        require(text.ptr >= file.ptr && text.ptr + text.len <= file.ptr + file.len, "outside");
        require(library || text.ptr[0] == '-', "no option");
    }
    arena_destroy(arena);
    return 0;
}
