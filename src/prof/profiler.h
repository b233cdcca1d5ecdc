// Profiler: where CPU time goes and where memory comes from, by sampling, while the program runs.
//
//     Profiler *profiler;
//     rc = profiler_start(&(ProfilerOptions){.kind = PROFILE_CPU}, &profiler, e);
//     ... work ...
//     Profile *profile = profiler_stop(profiler);          // the profiler is gone
//     rc = profile_resolve(profile, 0, e);
//     rc = profile_write_pprof(profile, &out, e);          // or profile_write_svg
//     profile_destroy(profile);
//
// or for both formats in one call, as `--profile cpu --output F` wants it:
//
//     rc = profiler_save(profiler, "cpu.pb.gz", e);         // stops, resolves, writes, frees;
//                                                           // .svg makes a flame graph
//
// CPU: perf_event_open with the software clock "cpu-clock" (machines in clouds often have no PMU),
// one event a thread and CPU, stacks by frame pointers in the kernel; where the kernel forbids that
// (perf_event_paranoid above 2, seccomp), a timer on each thread's CPU clock with SIGPROF, for this
// process only. Heap: one allocation in every `rate` bytes on average (prof/heap.h).
//
// Start and stop from any thread but not at the same time; one CPU profile by signals at once
// (ERR_BUSY). docs/internals/profiler.md has the method and its errors.
#ifndef PROF_PROFILER_H
#define PROF_PROFILER_H

#include "prof/profile.h"

typedef struct Profiler Profiler;

typedef enum ProfilerMethod {
    PROFILER_AUTO,
    PROFILER_PERF,   // perf_event_open or an error
    PROFILER_SIGNAL, // SIGPROF
} ProfilerMethod;

enum {
    PROFILER_HZ = 99, // not a divisor of anything periodic
    PROFILER_HZ_MAX = 10000,
    PROFILER_THREADS_MAX = 1024, // of the process that is sampled
};

typedef struct ProfilerOptions {
    ProfileKind kind; // PROFILE_CPU or PROFILE_HEAP
    int pid;          // CPU: another process, with PROFILER_PERF; 0: this one
    int hz;           // CPU: samples a second of CPU time; 0: PROFILER_HZ
    ProfilerMethod method;
} ProfilerOptions;

// ERR_ARG, ERR_BUSY, ERR_UNSUPPORTED (says which setting to change), ERR_NOT_FOUND (no such
// process), ERR_REFUSED (not permitted to look at it), ERR_LIMIT (threads).
MUST_USE int profiler_start(const ProfilerOptions *options, Profiler **ret_profiler, Err *e);
// Ends sampling and hands over what was seen, without symbols. Frees the profiler.
Profile *profiler_stop(Profiler *profiler);
// As stop, resolved and written: pprof, or SVG where the path ends with ".svg". Blocks on the disk.
MUST_USE int profiler_save(Profiler *profiler, const char *path, Err *e);

// PROFILER_PERF or PROFILER_SIGNAL: what is at work.
ProfilerMethod profiler_method(const Profiler *profiler);

#endif
