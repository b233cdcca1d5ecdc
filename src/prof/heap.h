// Sampled heap allocations: what was allocated since sampling began and what of it is still alive,
// by the stack that allocated it.
//
//     heap_sampling_start(0);
//     ... work ...
//     Profile *profile = heap_snapshot();
//
// Numbers are estimates: a sampled block of b bytes stands for 1 / (1 - exp(-b / rate)) blocks of
// its size, the inverse of its chance to be sampled. Blocks allocated before sampling began are in
// no number. One sampler a process, any thread; sampling may stay on (at the default rate about one
// stack walk in half a mebibyte).
#ifndef PROF_HEAP_H
#define PROF_HEAP_H

#include "prof/profile.h"

enum {
    HEAP_RATE = 512 << 10,   // Go's default
    HEAP_LIVE_MAX = 1 << 17, // sampled blocks alive; more count as allocated only
};

// Bytes between samples on average; 0: HEAP_RATE. Begins afresh, unless sampling is on already:
// then it goes on and only stops at as many stops as there were starts. ERR_UNSUPPORTED in a
// program whose allocator does not report (base/malloc_shim.c is not linked in).
MUST_USE int heap_sampling_start(size_t rate, Err *e);
void heap_sampling_stop(void);
bool heap_sampling_is_on(void);

// An empty profile while sampling is off. The caller destroys it.
Profile *heap_snapshot(void);

#endif
