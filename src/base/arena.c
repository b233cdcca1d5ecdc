#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>

#include "base/err.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes)   ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

enum { BLOCK_FIRST = 4096, BLOCK_LARGEST = 1 << 20, ALIGNMENT = 16 };

typedef struct Block {
    struct Block *older;
    size_t capacity;
    size_t used;
    size_t padding; // keeps data[] on a 16-byte boundary
    char data[];
} Block;

_Static_assert(offsetof(Block, data) % ALIGNMENT == 0, "block data is aligned");

struct Arena {
    Block *newest;
    size_t max_bytes;
    size_t used;
};

static Block *block_create(size_t capacity, Block *older)
{
    Block *block = mem_alloc(sizeof(Block) + capacity);
    block->older = older;
    block->capacity = capacity;
    block->used = 0;
    ASAN_POISON_MEMORY_REGION(block->data, capacity);
    return block;
}

static void block_destroy(Block *block)
{
    ASAN_UNPOISON_MEMORY_REGION(block->data, block->capacity);
    free(block);
}

Arena *arena_create(size_t max_bytes)
{
    assert(max_bytes > 0);
    Arena *arena = mem_zalloc(sizeof *arena);
    arena->max_bytes = max_bytes;
    return arena;
}

void arena_destroy(Arena *arena)
{
    if (!arena) {
        return;
    }
    while (arena->newest) {
        Block *older = arena->newest->older;
        block_destroy(arena->newest);
        arena->newest = older;
    }
    free(arena);
}

void arena_reset(Arena *arena)
{
    while (arena->newest && arena->newest->older) {
        Block *older = arena->newest->older;
        block_destroy(arena->newest);
        arena->newest = older;
    }
    if (arena->newest) {
        arena->newest->used = 0;
        ASAN_POISON_MEMORY_REGION(arena->newest->data, arena->newest->capacity);
    }
    arena->used = 0;
}

static Block *block_for(Arena *arena, size_t bytes)
{
    Block *block = arena->newest;
    if (block && block->capacity - block->used >= bytes) {
        return block;
    }
    size_t capacity = block ? block->capacity * 2 : BLOCK_FIRST;
    if (capacity > BLOCK_LARGEST) {
        capacity = BLOCK_LARGEST;
    }
    if (capacity < bytes) {
        capacity = bytes;
    }
    arena->newest = block_create(capacity, block);
    return arena->newest;
}

void *arena_alloc(Arena *arena, size_t bytes)
{
    size_t rounded = 0;
    if (__builtin_add_overflow(bytes, ALIGNMENT - 1, &rounded)) {
        die("arena: %zu bytes asked for", bytes);
    }
    rounded &= ~(size_t)(ALIGNMENT - 1);
    if (rounded > arena->max_bytes - arena->used) {
        die("arena: %zu bytes over its ceiling of %zu", arena->used + rounded - arena->max_bytes,
            arena->max_bytes);
    }
    Block *block = block_for(arena, rounded);
    char *at = block->data + block->used;
    block->used += rounded;
    arena->used += rounded;
    ASAN_UNPOISON_MEMORY_REGION(at, bytes);
    memset(at, 0, bytes);
    return at;
}

void *arena_alloc_array(Arena *arena, size_t count, size_t item_bytes)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, item_bytes, &bytes)) {
        die("arena: %zu items of %zu bytes asked for", count, item_bytes);
    }
    return arena_alloc(arena, bytes);
}

Slice arena_copy(Arena *arena, Slice s)
{
    char *copy = arena_alloc(arena, s.len + 1);
    if (s.len > 0) {
        memcpy(copy, s.ptr, s.len);
    }
    return (Slice){copy, s.len};
}

const char *arena_cstr(Arena *arena, Slice s)
{
    return arena_copy(arena, s).ptr;
}

Slice arena_printf(Arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(len >= 0);
    char *text = arena_alloc(arena, (size_t)len + 1);
    (void)vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return (Slice){text, (size_t)len};
}

size_t arena_used(const Arena *arena)
{
    return arena->used;
}

size_t arena_left(const Arena *arena)
{
    return arena->max_bytes - arena->used;
}
