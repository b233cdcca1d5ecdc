// One run of a System on the live plant, measured: what `system run --live` prints and what
// predictions are held against.
//
//     Outcome *measured;
//     rc = live_run(arena, sys, &(LiveRunOptions){.plant = {.seed = 7, .scale = 10},
//                                                 .warmup_ns = ..., .horizon_ns = ...}, &run, e);
//
// Values are of everything between warm-up and horizon; intervals come from sections of that time
// (batch means with Student's t), because requests of one run depend on each other. A quantile that
// is infinite in some section is open above.
#ifndef MANAGE_LIVE_RUN_H
#define MANAGE_LIVE_RUN_H

#include "manage/plant_live.h"

enum { LIVE_RUN_SECTIONS = 10 };

typedef struct LiveRunOptions {
    PlantLiveOptions plant;
    int64_t warmup_ns, horizon_ns; // of the System's time
    double confidence;             // 0: 0.9
    // After each section and a few times before the first; `measured` is of the last section, NULL
    // before there was one. May be NULL.
    void (*progress)(void *context, int64_t now_ns, const PlantWindow *last);
    void *context;
} LiveRunOptions;

typedef struct LiveRun {
    Outcome *outcome;
    PlantLiveHealth health;
    int64_t measured_ns; // less than was asked for when it was stopped
    bool stopped;        // by `plant.stopped`: what was measured so far
    // Requests were sent so late that the machine measured itself; then no verdict is right.
    bool invalid;
} LiveRun;

// A p99 of lateness above this share of the fastest median latency, or of a millisecond where that
// is longer, makes a run invalid.
#define LIVE_RUN_LATE_SHARE 0.05

MUST_USE int live_run(Arena *arena, const System *sys, const LiveRunOptions *options,
                      LiveRun *ret_run, Err *e);

#endif
