#include "improve/cheat_elf.h"

#include <elf.h>

// The format: System V ABI, chapters 4 and 5 (the generic part) and elf(5).

// Copies a structure out, so that no alignment is asked of the file.
static bool read_at(Slice file, uint64_t at, void *ret, size_t bytes)
{
    if (at > file.len || bytes > file.len - at) {
        return false;
    }
    memcpy(ret, file.ptr + at, bytes);
    return true;
}

static bool program_header(Slice file, const Elf64_Ehdr *header, unsigned i, Elf64_Phdr *ret)
{
    uint64_t offset;
    return !__builtin_add_overflow(header->e_phoff, (uint64_t)i * header->e_phentsize, &offset) &&
           read_at(file, offset, ret, sizeof *ret);
}

// Where the address lies in the file.
static bool file_offset(Slice file, const Elf64_Ehdr *header, uint64_t address, uint64_t *ret)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr p;
        if (program_header(file, header, i, &p) && p.p_type == PT_LOAD && address >= p.p_vaddr &&
            address - p.p_vaddr < p.p_filesz) {
            return !__builtin_add_overflow(p.p_offset, address - p.p_vaddr, ret);
        }
    }
    return false;
}

// The text at `at`, up to its NUL.
static bool text_at(Slice file, uint64_t at, Slice *ret)
{
    if (at >= file.len) {
        return false;
    }
    Slice rest = slice_sub(file, at, file.len);
    const char *end = memchr(rest.ptr, 0, rest.len);
    if (end == NULL) {
        return false;
    }
    *ret = slice_sub(rest, 0, (size_t)(end - rest.ptr));
    return true;
}

static int read_needed(Slice file, const Elf64_Ehdr *header, const Elf64_Phdr *dynamic,
                       ElfFacts *facts, Err *e)
{
    enum { ENTRIES_MAX = 10000 };
    uint64_t names[ELF_NEEDED_MAX], strings = 0;
    size_t count = 0;
    uint64_t entries = dynamic->p_filesz / sizeof(Elf64_Dyn);
    for (uint64_t i = 0; i < entries && i < ENTRIES_MAX; i++) {
        Elf64_Dyn d;
        if (!read_at(file, dynamic->p_offset + i * sizeof d, &d, sizeof d)) {
            return err_set(e, ERR_CORRUPT, "elf: the dynamic section is outside of the file");
        }
        if (d.d_tag == DT_NULL) {
            break;
        } else if (d.d_tag == DT_STRTAB) {
            strings = d.d_un.d_ptr;
        } else if (d.d_tag == DT_NEEDED && count < ELF_NEEDED_MAX) {
            names[count++] = d.d_un.d_val;
        }
    }
    uint64_t table = 0;
    if (count > 0 && !file_offset(file, header, strings, &table)) {
        return err_set(e, ERR_CORRUPT, "elf: the table of names is outside of the file");
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t at;
        Slice *name = &facts->needed[facts->needed_count];
        if (__builtin_add_overflow(table, names[i], &at) || !text_at(file, at, name)) {
            return err_set(e, ERR_CORRUPT, "elf: the name of a library is outside of the file");
        }
        facts->needed_count++;
    }
    return 0;
}

static void add_option(ElfFacts *facts, Slice word)
{
    bool kind = word.len > 2 && word.ptr[0] == '-' && strchr("Ofm", word.ptr[1]) != NULL;
    // Paths differ between two folders and say nothing.
    if (kind && slice_find_byte(word, '/') < 0 && facts->option_count < ELF_OPTIONS_MAX &&
        !elf_facts_option(facts, word)) {
        facts->options[facts->option_count++] = word;
    }
}

// "GNU C17 12.2.0 -mtune=generic -march=x86-64 -g -O2": DW_AT_producer, wherever it lies. Looking
// for the text is enough: strings of debug information are shared and not compressed by default.
static void read_options(Slice file, ElfFacts *facts)
{
    enum { PRODUCERS_MAX = 100000, PRODUCER_BYTES_MAX = 16 << 10 };
    Slice rest = slice_sub(file, 0, ELF_FILE_BYTES_MAX);
    for (int i = 0; i < PRODUCERS_MAX; i++) {
        ptrdiff_t at = slice_find(rest, SLICE("GNU C"));
        Slice text;
        if (at < 0) {
            return;
        }
        if (text_at(rest, (uint64_t)at, &text)) {
            text = slice_sub(text, 0, PRODUCER_BYTES_MAX);
            for (Slice word; text.len > 0;) {
                slice_cut(text, ' ', &word, &text);
                add_option(facts, word);
            }
        }
        rest = slice_sub(rest, (size_t)at + strlen("GNU C"), rest.len);
    }
}

int elf_facts(Arena *arena, Slice file, ElfFacts *ret_facts, Err *e)
{
    Elf64_Ehdr header;
    if (!read_at(file, 0, &header, sizeof header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) {
        return err_set(e, ERR_UNSUPPORTED, "elf: not a little-endian ELF file of 64 bits");
    }
    ElfFacts facts = {.needed = ARENA_ARRAY(arena, Slice, ELF_NEEDED_MAX),
                      .options = ARENA_ARRAY(arena, Slice, ELF_OPTIONS_MAX)};
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr p;
        if (!program_header(file, &header, i, &p)) {
            return err_set(e, ERR_CORRUPT, "elf: program headers are outside of the file");
        }
        if (p.p_type == PT_DYNAMIC && facts.needed_count == 0) {
            int rc =
                p.p_offset > file.len
                    ? err_set(e, ERR_CORRUPT, "elf: the dynamic section is outside of the file")
                    : read_needed(file, &header, &p, &facts, e);
            if (rc != 0) {
                return rc;
            }
        }
    }
    read_options(file, &facts);
    *ret_facts = facts;
    return 0;
}

static bool among(const Slice *items, size_t count, Slice text)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(items[i], text)) {
            return true;
        }
    }
    return false;
}

bool elf_facts_need(const ElfFacts *facts, Slice library)
{
    return among(facts->needed, facts->needed_count, library);
}

bool elf_facts_option(const ElfFacts *facts, Slice option)
{
    return among(facts->options, facts->option_count, option);
}
