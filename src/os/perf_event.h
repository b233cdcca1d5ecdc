// Sampling of CPU time by the kernel: perf_event_open(2) with the software clock, which works
// without a performance counter (most virtual machines have none).
//
// Every thread of the process gets an event on every CPU, inherited by the threads it starts; the
// events of one CPU share a ring that the kernel writes and perf_events_read empties. A sample is
// the stack of a thread that used another 1/hz seconds of CPU time, found by frame pointers.
//
//     rc = perf_events_open(&(PerfOptions){.pid = 0, .hz = 99}, &events, e);
//     ... every 100 ms or so: perf_events_read(events, on_sample, ctx);
//     perf_events_close(events);
//
// One thread at a time.
#ifndef OS_PERF_EVENT_H
#define OS_PERF_EVENT_H

#include "base/err.h"
#include "base/slice.h"

typedef struct PerfEvents PerfEvents;

enum { PERF_EVENTS_MAX = 16384 }; // threads times CPUs

typedef struct PerfOptions {
    int pid; // 0: this process
    int hz;
    // Leave out time in the kernel, which users without privilege may not look at when
    // perf_event_paranoid is 2.
    bool user_only;
} PerfOptions;

typedef struct PerfSample {
    uint32_t pid;
    uint32_t tid;
    const uint64_t *pcs; // of user space, innermost first; good during the call
    size_t depth;
} PerfSample;

typedef void PerfSampleFn(void *ctx, const PerfSample *sample);

// ERR_REFUSED: not permitted (words say what would help); ERR_NOT_FOUND: no such process;
// ERR_UNSUPPORTED: no perf events here (seccomp); ERR_LIMIT.
MUST_USE int perf_events_open(const PerfOptions *options, PerfEvents **ret_events, Err *e);
void perf_events_close(PerfEvents *events); // NULL is fine
// Calls fn for each sample since the last call. Returns how many the kernel had to drop meanwhile.
int64_t perf_events_read(PerfEvents *events, PerfSampleFn *fn, void *ctx);

// The threads of a process, up to `max`; returns how many there are. 0: no such process.
size_t perf_threads(int pid, int *ret_tids, size_t max);

#endif
