// A profile of one workload: built and run in the sandbox under `perf` with the kernel's software
// clock, which samples on machines without performance counters too.
#ifndef IMPROVE_PROFILE_STEP_H
#define IMPROVE_PROFILE_STEP_H

#include "improve/goals.h"
#include "improve/step_run.h"

enum { PROFILE_HOT_MAX = 30 };

typedef struct StepProfile {
    bool taken;
    Slice reason; // why not
    Slice workload;
    HotSpot hot[PROFILE_HOT_MAX]; // by share
    size_t hot_count;
    double build_seconds, run_seconds;
} StepProfile;

// Builds by `steps` in a copy of the head and profiles its first workload. What cannot be profiled
// is no error but has a reason; errors are ours.
MUST_USE int profile_step(const Place *place, const Steps *steps, Loop *loop, const char *work_dir,
                          bool no_sandbox, Arena *arena, StepProfile *ret_profile, Err *e);
void step_profile_write(const StepProfile *profile, JsonWriter *w); // an object

// What `perf report -t ';' -F overhead,dso,symbol` printed. For tests.
size_t profile_read_perf(Arena *arena, Slice text, HotSpot *hot, size_t max);
// Looks through `paths` for the definition of each symbol.
void profile_find_files(const Place *place, Arena *arena, const Slice *paths, size_t count,
                        HotSpot *hot, size_t hot_count);

#endif
