// MemHook: how a heap profiler learns of allocations. The allocator's entry points
// (base/malloc_shim.c, linked into executables only) report every block here; one in `rate` bytes
// on average is passed on as sampled.
//
// The distance to the next sample is drawn from an exponential distribution, so each byte has the
// same chance whatever the sizes and periods of a program are (as in Go's and tcmalloc's heap
// profilers). Without a hook an allocation costs one load more.
//
// This hook and its counters are global because an allocator has no context. mem_hook_set from any
// thread; the rest is called by the allocator.
#ifndef BASE_MEM_HOOK_H
#define BASE_MEM_HOOK_H

#include <stdbool.h>
#include <stddef.h>

typedef struct MemHook {
    size_t rate;                                // bytes between samples on average; > 0
    void (*sampled)(void *block, size_t bytes); // may allocate: what it allocates is not reported
    void (*freed)(void *block);                 // of every block, sampled or not; must be quick
} MemHook;

// NULL takes the hook away; a thread may still be inside it then, so it lives as long as the
// process.
void mem_hook_set(const MemHook *hook);

void mem_hook_allocated(void *block, size_t bytes);
void mem_hook_freed(void *block);
// Between the two nothing of this thread is reported. Not nested.
void mem_hook_pause(void);
void mem_hook_resume(void);
// True once an allocator reports here.
bool mem_hook_is_fed(void);
void mem_hook_feed(void); // the allocator says so

#endif
