// Is the output of a patched program the same as that of its base?
//
// Byte for byte, where the base itself says the same each time. A benchmark's output often holds
// what it measured ("parsed 1000 lines in 12 ms"), which a faster program must change: lines that
// talk about time, rate or memory are then compared with their numbers masked, and the answer says
// that this was done. Everything else must match.
//
//     Equality eq = equality_of(base, patched);
//     if (eq.same == EQUALITY_DIFFERENT) ... eq.line, eq.base_line, eq.patched_line ...
#ifndef IMPROVE_EQUALITY_H
#define IMPROVE_EQUALITY_H

#include "base/slice.h"

typedef enum EqualitySame {
    EQUALITY_SAME,      // every byte
    EQUALITY_BUT_TIMES, // but for numbers on lines about time, rate or memory
    EQUALITY_DIFFERENT,
} EqualitySame;

typedef struct Equality {
    EqualitySame same;
    long line;          // 1-based, the first that differs; 0: none
    Slice base_line;    // borrowed; cut at EQUALITY_LINE_MAX
    Slice patched_line; // empty where the output ended
} Equality;

enum { EQUALITY_LINE_MAX = 200 };

Equality equality_of(Slice base, Slice patched);

// The line talks about time, rate, memory or dates, so that its numbers may differ.
bool equality_is_about_time(Slice line);

#endif
