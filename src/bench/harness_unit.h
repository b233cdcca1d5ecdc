// Units as benchmark programs spell them, and the canonical ones: an exact factor and a direction.
#ifndef BENCH_HARNESS_UNIT_H
#define BENCH_HARNESS_UNIT_H

#include "base/arena.h"

typedef struct HarnessUnit {
    Slice name;    // canonical: "sec/op", "ops/s", "B/s", "B/op", "B", "allocs/op", or as given
    double factor; // the value in the canonical unit is the given one times this
    bool higher_better;
    bool known; // the direction follows from the unit
} HarnessUnit;

// The value in the canonical unit, correctly rounded: no double is 1e-9, but 1e9 is one.
double harness_unit_scale(const HarnessUnit *unit, double value);

// Of a benchmark's figure: "ns", "us/op", "ms/iter", "ops/ms", "MB/s", "KiB", "bytes", ...
HarnessUnit harness_unit(Arena *arena, Slice text);
// As benchstat makes units tidy: "ns" above the fraction line becomes "sec", "MB" becomes "B";
// nothing else changes, so that "p99-ns/GC" is "p99-sec/GC".
HarnessUnit harness_unit_go(Arena *arena, Slice text);
// Bytes above the fraction line: scaled by 1024 ("KiB") where others are scaled by 1000.
bool harness_unit_binary(Slice unit);

#endif
