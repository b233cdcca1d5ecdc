// Sampling of CPU time by signals, for where the kernel has no perf events for us: a POSIX timer on
// each thread's CPU clock sends SIGPROF to that thread, and the handler walks its stack.
//
//     rc = prof_timers_start(99, &timers, e);         // ERR_BUSY: one at a time in a process
//     ... every 100 ms or so: prof_timers_read(timers, on_sample, ctx);   // finds new threads too
//     prof_timers_stop(timers);
//
// SIGPROF is open in every thread (os/thread.h blocks the others). The handler is the process's for
// good and does nothing while no timers run.
#ifndef OS_PROF_TIMER_H
#define OS_PROF_TIMER_H

#include "os/perf_event.h"

typedef struct ProfTimers ProfTimers;

enum { PROF_TIMER_THREADS_MAX = 1024, PROF_TIMER_DEPTH_MAX = 127 };

// ERR_BUSY, ERR_LIMIT, ERR_IO.
MUST_USE int prof_timers_start(int hz, ProfTimers **ret_timers, Err *e);
void prof_timers_stop(ProfTimers *timers); // NULL is fine
// As perf_events_read.
int64_t prof_timers_read(ProfTimers *timers, PerfSampleFn *fn, void *ctx);

#endif
