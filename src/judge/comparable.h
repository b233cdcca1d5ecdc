// Which runs of two groups may be compared at all. Private to compare.c.
#ifndef JUDGE_COMPARABLE_H
#define JUDGE_COMPARABLE_H

#include "judge/compare.h"

typedef struct RunGroup {
    const RunData **runs;
    size_t count;
} RunGroup;

// Keeps what may be compared; warnings and reasons go into `set`. False: nothing may, and
// set->not_comparable says why.
bool comparable_runs(Arena *arena, RunGroup *baseline, RunGroup *candidate, ChangeSet *set);

// One more warning, formatted by the caller.
void comparable_warn(ChangeSet *set, Slice text);

#endif
