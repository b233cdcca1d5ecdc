// What a bundle claims, in the form that is checked and measured again elsewhere: the verdict, for
// each workload the ratio with its interval, and every sample that the ratio was made from.
//
//     BundleClaim claim = {.verdict = PATCH_PROVEN, .title = ..., .workloads = w, .count = n};
//     rc = bundle_add_claim(writer, &claim, e);         // claim.json and samples.json
//     rc = bundle_read_claim(bundle, arena, &claim, e); // strict
//
// Texts are borrowed; what is read lives in the arena.
#ifndef IMPROVE_BUNDLE_CLAIM_H
#define IMPROVE_BUNDLE_CLAIM_H

#include "improve/bundle.h"
#include "improve/verdict.h"
#include "stat/interval.h"

enum { BUNDLE_WORKLOADS_MAX = 200, BUNDLE_SAMPLES_MAX = 200000 };

typedef enum BundleArm {
    BUNDLE_ARM_A,       // base
    BUNDLE_ARM_A_AGAIN, // base once more: the A/A arm
    BUNDLE_ARM_B,       // patched
    BUNDLE_ARMS,
} BundleArm;
extern const char *const BUNDLE_ARM_NAMES[BUNDLE_ARMS + 1]; // "A", "AA", "B", NULL

typedef struct BundleSample {
    int session; // 1: the first; 2: the one that reproduces
    int round;   // samples of one round belong together
    BundleArm arm;
    int64_t at_ns; // start, since the start of the session
    double value;  // in the metric's unit; NAN: no measurement (failed, timed out)
} BundleSample;

typedef struct BundleWorkload {
    Slice name;
    Slice metric; // "wall", "cpu", ...: bench/sample.h
    bool guard;   // must not get worse; not part of the claim
    // base / patched of the metric: above 1 is better. NAN where it was not found out.
    double ratio;
    Interval interval;
    BundleSample *samples; // in the order they were taken
    size_t sample_count;
} BundleWorkload;

typedef struct BundleClaim {
    PatchVerdict verdict;
    Slice title;         // one line: the goal
    Slice reason;        // of the verdict, one sentence
    Slice repository;    // what it was called where it was measured
    Slice base_revision; // commit there
    Slice base_tree;     // git's hash of the base tree; empty when unknown
    double min_effect;   // registered: 0.05 for 5 %
    int attempt;         // k of best-of-k; 1 for the first
    BundleWorkload *workloads;
    size_t count;
} BundleClaim;

// Adds claim.json and samples.json. ERR_ARG for a value that cannot be: a ratio of 0 or less, an
// interval that does not hold its estimate, two workloads of one name and metric.
MUST_USE int bundle_add_claim(BundleWriter *writer, const BundleClaim *claim, Err *e);
// ERR_NOT_FOUND when the bundle has no claim.json; samples are optional. ERR_PARSE with the place.
MUST_USE int bundle_read_claim(const Bundle *bundle, Arena *arena, BundleClaim **ret_claim, Err *e);

#endif
