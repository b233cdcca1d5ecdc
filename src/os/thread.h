// Threads: started with a name and, where wanted, pinned to one CPU.
//
// A thread belongs to whoever started it, and is joined exactly once. Signals are blocked in every
// started thread: they go to the main thread's loop (os/signal.h). Only SIGPROF is the thread's
// own (os/prof_timer.h).
#ifndef OS_THREAD_H
#define OS_THREAD_H

#include <stdint.h>

#include "base/err.h"

typedef struct Thread Thread;
typedef void ThreadFn(void *arg);

enum { THREAD_ANY_CPU = -1 };

// `name` shows in top and gdb (15 characters are kept). `cpu` is a number of the allowed set, or
// THREAD_ANY_CPU. ERR_ARG for a CPU that this process may not use, ERR_LIMIT when the system
// refuses another thread.
MUST_USE int thread_start(const char *name, int cpu, ThreadFn *fn, void *arg, Thread **ret_thread,
                          Err *e);
void thread_join(Thread *thread); // waits, then frees; NULL is fine

// The calling thread. Pinning is ERR_ARG for a CPU outside the allowed set.
MUST_USE int thread_pin_self(int cpu, Err *e);
void thread_set_timer_slack_ns(long slack_ns);
// The calling thread sleeps, at most a second. Not for loops' threads: those have timers.
void thread_pause_ns(int64_t ns);
// CPUs this process may run on (affinity, not cgroup quota; see os/host.h for that).
int thread_cpu_count(void);
// The number of the index-th of them, in turn when there are fewer: for thread_start.
int thread_cpu_at(unsigned index);

#endif
