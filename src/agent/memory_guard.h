// MemoryGuard: a limit for the memory of the process, as Go's SetMemoryLimit is one, but with
// another means: there is no heap to collect, so new events from outside are shed while the process
// is over the limit, and accepted again once it is a twentieth below. What runs is not touched.
#ifndef AGENT_MEMORY_GUARD_H
#define AGENT_MEMORY_GUARD_H

#include "agent/runner.h"

typedef struct MemoryGuard MemoryGuard;

enum { MEMORY_GUARD_LOOK_MS = 100 }; // between two looks at the resident memory

MUST_USE int memory_guard_start(Runner *runner, int64_t limit_bytes, MemoryGuard **ret_guard,
                                Err *e);
void memory_guard_stop(MemoryGuard *guard); // NULL is fine

// Whether to shed, given whether it was so until now.
bool memory_guard_decide(int64_t limit_bytes, int64_t resident_bytes, bool shedding);

#endif
