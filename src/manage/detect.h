// Detect: says, over the windows of a plant, that a promise is broken, that the structure has
// changed, or that a model is contradicted by what happens. One noisy window is never enough.
//
//     Detect *d = detect_create(sys, &DETECT_DEFAULTS);
//     each window:  detect_window(d, &window, arena, &found);
//                   found.violations[i].client, .measure, .observed, ...
//     detect_destroy(d);
//
// Every objective is a statement about a share of requests: p99 <= 4 s says that at most 1 % are
// slower than 4 s, goodput >= 0.99 that at most 1 % are not good. So one test does for all of them:
//   - a window whose share is over the limit raises suspicion, and is not used as evidence (it was
//     picked because it looked bad);
//   - the windows after it are: sequential_log_evidence (stat/sequential.h) of their requests, with
//     the counts divided by how much more the windows vary than independent requests would;
//   - at 1 / (1 - confidence) the objective is violated; it is met again (hysteresis) after
//     `clear_windows` in a row that are not over the limit. Two windows are the soonest.
//
// Plain data in and out; reads no clock. One thread.
#ifndef MANAGE_DETECT_H
#define MANAGE_DETECT_H

#include "manage/plant.h"
#include "stat/interval.h"

typedef enum Measure {
    MEASURE_GOODPUT,
    MEASURE_ERRORS,
    MEASURE_P50,
    MEASURE_P99,
    MEASURES
} Measure;
extern const char *const MEASURE_NAMES[MEASURES + 1]; // "goodput", ..., NULL

typedef struct Violation {
    uint32_t objective; // index in the System
    uint32_t client;
    Measure measure;
    double limit;      // share (goodput, errors) or seconds
    Interval observed; // in the same unit, of the windows of the evidence
    double value;
    int64_t since_ns;   // begin of the first bad window
    int64_t decided_ns; // end of the window that decided it
    uint64_t requests;  // that the evidence is of
} Violation;

typedef enum StructureKind {
    STRUCTURE_EDGE_NEW,
    STRUCTURE_EDGE_GONE,
    STRUCTURE_VISITS
} StructureKind;
extern const char *const STRUCTURE_NAMES[];

typedef struct StructureChange {
    StructureKind kind;
    Slice from, to;
    double expected; // calls for one request at `from`
    Interval observed;
} StructureChange;

typedef struct DetectOptions {
    double confidence;       // that a violation is one; default 0.999
    uint32_t clear_windows;  // default 3
    uint64_t requests_min;   // of the evidence; default 20
    double visits_tolerance; // relative change of a visit ratio that matters; default 0.1
} DetectOptions;
extern const DetectOptions DETECT_DEFAULTS;

typedef struct DetectFound {
    Violation *violations; // all that are violated now
    size_t count;
    uint64_t begun; // bit i: violations[i] is new in this window (the first 64)
    size_t cleared; // objectives that are met again as of this window
} DetectFound;

typedef struct Detect Detect;

// Keeps its own copy of the objectives.
Detect *detect_create(const System *sys, const DetectOptions *options);
void detect_destroy(Detect *d); // NULL is fine
// Objectives that changed begin anew; those that are the same keep their evidence.
void detect_objectives(Detect *d, const System *sys);
// After policies changed: what was seen before says nothing about what comes now.
void detect_forget(Detect *d);
void detect_window(Detect *d, const PlantWindow *window, Arena *arena, DetectFound *ret_found);

// ---- structure: what was called against what the System says

// Compares calls for one request at the caller with the System's visit ratios. `window` gives the
// arrivals of the same time. The changes are in `arena`.
size_t detect_structure(const System *sys, const PlantTopology *topology, const PlantWindow *window,
                        const DetectOptions *options, Arena *arena, StructureChange **ret_changes);

// ---- drift: a prediction interval that is missed too often

// Counts answers inside and outside of an interval of confidence c; contradicted when the evidence
// against "misses happen with probability 1 - c" reaches 1 / 0.001.
typedef struct DriftWatch {
    double confidence;
    double misses, seen;
} DriftWatch;
// True once the predictions are contradicted; it begins anew then.
bool drift_seen(DriftWatch *watch, bool inside);

// ---- the guard: does one window contradict what was promised?

typedef struct DetectGuard {
    double confidence; // that it is not chance
    bool strict;       // any miss of the prediction counts; else only those that break the promise
} DetectGuard;

// Is the window worse than `predicted` (the unfavourable ends of its intervals) for any of the
// System's objectives? *ret_violation: where, and by how much.
bool detect_contradicts(const System *sys, const Outcome *predicted, const PlantWindow *window,
                        const DetectGuard *guard, Violation *ret_violation);

#endif
