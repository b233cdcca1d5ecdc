// Profile: stacks and what was counted at each, and the ways to write it down.
//
// A profile holds addresses only while it is filled; symbols come in one pass at the end
// (profile_resolve), by libdw from the modules of a process. Then it is written as gzipped pprof
// (github.com/google/pprof/blob/main/proto/profile.proto), which `go tool pprof` and most viewers
// open, or as a flame graph in SVG.
//
//     Profile *p = profile_create(PROFILE_CPU, period_ns);
//     profile_add(p, &(ProfileSample){.pcs = pcs, .depth = n, .values = {1, period_ns}});
//     profile_resolve(p, 0, e);
//     rc = profile_write_pprof(p, &out, e);
//     rc = profile_write_svg(p, SLICE("perfwright"), &out, e);
//     profile_destroy(p);
//
// One thread at a time. Equal stacks with equal labels are one entry.
#ifndef PROF_PROFILE_H
#define PROF_PROFILE_H

#include "base/buf.h"

typedef struct Profile Profile;

enum {
    PROFILE_DEPTH_MAX = 127, // as the kernel's perf_event_max_stack
    PROFILE_VALUES_MAX = 4,
    PROFILE_STACKS_MAX = 200000, // further stacks are counted as lost
    PROFILE_BYTES_MAX = 64 << 20,
};

typedef enum ProfileKind {
    PROFILE_CPU,    // samples/count, cpu/nanoseconds
    PROFILE_HEAP,   // alloc_objects, alloc_space, inuse_objects, inuse_space
    PROFILE_FIBERS, // goroutine/count: what Go's tools expect under that name
} ProfileKind;

typedef struct ProfileSample {
    const uint64_t *pcs; // innermost first
    size_t depth;        // 0 is one unknown frame
    // True: pcs[0] is where execution stood (a sampled pc), not a return address.
    bool leaf_is_pc;
    int64_t values[PROFILE_VALUES_MAX];
    Slice label_key, label; // a text label; empty: none
} ProfileSample;

// `period` of sampling: nanoseconds for CPU, bytes for heap, 1 for fibers.
Profile *profile_create(ProfileKind kind, int64_t period);
void profile_destroy(Profile *profile); // NULL is fine
ProfileKind profile_kind(const Profile *profile);

void profile_add(Profile *profile, const ProfileSample *sample);
void profile_set_times(Profile *profile, int64_t wall_begin_ns, int64_t duration_ns);
// Samples that were not taken or had no room; shown in the outputs.
void profile_add_lost(Profile *profile, int64_t count);

typedef struct ProfileStats {
    size_t stacks;    // different ones
    int64_t samples;  // sum of the first value
    int64_t lost;     //
    size_t locations; // different addresses
    size_t resolved;  // of those with a function's name
} ProfileStats;

ProfileStats profile_stats(const Profile *profile);

// Finds modules, functions and lines of all addresses in the process `pid` (0: this one), which
// must still run for its modules to be found. Takes from milliseconds to a second: not on a loop.
// ERR_IO when the process cannot be read; addresses that nothing is known about are no error.
MUST_USE int profile_resolve(Profile *profile, int pid, Err *e);

// Both work before profile_resolve too, with bare addresses. ERR_LIMIT past the ceiling of `out`.
MUST_USE int profile_write_pprof(Profile *profile, Buf *out, Err *e);
MUST_USE int profile_write_svg(Profile *profile, Slice title, Buf *out, Err *e);
// A list for people, the costliest stacks first: what ?debug=1 answers.
MUST_USE int profile_write_text(Profile *profile, Buf *out, Err *e);

#endif
