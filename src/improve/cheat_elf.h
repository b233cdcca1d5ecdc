// What an ELF file says of how it was made: the libraries it needs, and the options that gcc
// records in its debug information (-grecord-gcc-switches is the default) or in .GCC.command.line.
//
// Files come from builds of strangers' code: every offset is checked, nothing is mapped.
#ifndef IMPROVE_CHEAT_ELF_H
#define IMPROVE_CHEAT_ELF_H

#include "base/arena.h"
#include "base/err.h"

enum {
    ELF_NEEDED_MAX = 256,
    ELF_OPTIONS_MAX = 256,         // different ones
    ELF_FILE_BYTES_MAX = 64 << 20, // of which compiler options are looked for in
};

typedef struct ElfFacts {
    Slice *needed; // "libc.so.6"
    size_t needed_count;
    Slice *options; // "-O2", "-march=x86-64": those that begin with -O, -f or -m, each once
    size_t option_count;
} ElfFacts;

// Texts are borrowed from `file`. ERR_UNSUPPORTED for what is no little-endian ELF file of 64 bits,
// ERR_CORRUPT for one that does not hold together.
MUST_USE int elf_facts(Arena *arena, Slice file, ElfFacts *ret_facts, Err *e);
bool elf_facts_need(const ElfFacts *facts, Slice library);
bool elf_facts_option(const ElfFacts *facts, Slice option);

#endif
