// SandboxWatch: the limits of a sandbox that the kernel does not keep for us, and the end of what
// runs into them.
//
// Memory and disk by looking: a timer looks every SANDBOX_WATCH_NS at the processes in the sandbox
// (a handful, found in its own /proc) and at the free space of the file systems it may write to.
// What grows in between is the overshoot: about 100 MB of memory or 200 MB of disk on today's
// machines. A memory control group would be exact, but an ordinary user cannot make one without a
// delegating service manager; RLIMIT_AS and RLIMIT_DATA refuse Go, Java and AddressSanitizer, which
// reserve far more than they use. One look costs some 50 us.
//
// The number of processes must not be left to looking (a fork bomb has thousands within one period;
// sandbox_cgroup.c bounds it): here it only means that a sandbox at its bound is ended.
//
//     rc = sandbox_watch_start(&(SandboxWatchOptions){.loop = loop, .pid = process_pid(process),
//                                                     .limits = &options}, &watch);
//     ... when the process has ended ...
//     SandboxBreach breach = sandbox_watch_stop(watch);
//
// At a breach everything in the sandbox is killed. For the loop's thread.
#ifndef OS_SANDBOX_WATCH_H
#define OS_SANDBOX_WATCH_H

#include "os/loop.h"
#include "os/sandbox.h"

#define SANDBOX_WATCH_NS (50 * NS_PER_MS)

typedef enum SandboxBreach {
    SANDBOX_WITHIN,
    SANDBOX_MEMORY,    // more than memory_bytes_max resident
    SANDBOX_PROCESSES, // more than processes_max
    SANDBOX_DISK,      // writable mounts grew by more than disk_bytes_max
    SANDBOX_DISK_FULL, // or their file system is nearly full, and this sandbox filled it
    SANDBOX_BREACHES,
} SandboxBreach;
extern const char *const SANDBOX_BREACH_NAMES[SANDBOX_BREACHES + 1]; // "within limits", "memory"...

typedef struct SandboxUsage {
    unsigned processes;
    unsigned zombies;       // not among them
    unsigned processes_max; // highest seen
    uint64_t rss_bytes;     // sum over the processes: pages that two share count twice
    uint64_t rss_bytes_max; // highest seen
    int64_t cpu_ns;         // of all that ran in it, as of the last look
    uint64_t grown_bytes;   // of writable mounts, as last measured
} SandboxUsage;

typedef struct SandboxWatch SandboxWatch;

typedef struct SandboxWatchOptions {
    Loop *loop;
    pid_t pid;                    // of the process started with sandbox_argv
    const SandboxOptions *limits; // borrowed, with its mounts, until the watch is stopped
} SandboxWatchOptions;

SandboxWatch *sandbox_watch_start(const SandboxWatchOptions *options);
// Frees it. `ret_usage` may be NULL. NULL is fine.
SandboxBreach sandbox_watch_stop(SandboxWatch *watch, SandboxUsage *ret_usage);

// One look, without a watch: processes and resident memory of the sandbox that `pid` (bwrap, or a
// holder) started. False while it is being set up and after its end.
bool sandbox_look(pid_t pid, SandboxUsage *usage);

#endif
