// Arena: memory with one lifetime, freed at once. One arena per lifetime (process, run, request,
// tick), always passed explicitly.
//
// Memory comes zeroed and aligned to 16 bytes; allocation never returns NULL: exhausted memory goes
// to die(), and so does an arena that passes the ceiling named when it was made, because a ceiling
// that input can reach must be checked by the parser with an ordinary error first. Blocks grow
// geometrically from 4 KiB to 1 MiB. Under ASan the unused tail is poisoned.
//
//     Arena *a = arena_create(64 << 20);
//     Slice name = arena_printf(a, "vu-%d", id);
//     arena_destroy(a);
//
// Not thread-safe: an arena belongs to one thread at a time.
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slice.h"

typedef struct Arena Arena;

Arena *arena_create(size_t max_bytes);
void arena_destroy(Arena *arena); // NULL is fine
void arena_reset(Arena *arena);   // keeps the first block, frees the rest

void *arena_alloc(Arena *arena, size_t bytes) __attribute__((malloc, alloc_size(2)));
void *arena_alloc_array(Arena *arena, size_t count, size_t item_bytes)
    __attribute__((malloc, alloc_size(2, 3)));

// Copies; the result is followed by a NUL byte that its length does not count.
Slice arena_copy(Arena *arena, Slice s);
const char *arena_cstr(Arena *arena, Slice s);
Slice arena_printf(Arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);

size_t arena_used(const Arena *arena); // bytes handed out since create or reset
// Bytes that the ceiling still allows: what a parser asks before it allocates on behalf of input.
size_t arena_left(const Arena *arena);

#define ARENA_NEW(arena, Type)          ((Type *)arena_alloc((arena), sizeof(Type)))
#define ARENA_ARRAY(arena, Type, count) ((Type *)arena_alloc_array((arena), (count), sizeof(Type)))

#endif
