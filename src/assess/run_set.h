// Sets of runs: what a verdict is about, and what it is compared with.
//
//     latest            all runs of the newest command (loadtest --runs 3 makes three)
//     latest~1          those of the command before
//     01J8ZK...         one run, by its id or a unique beginning of it
//     label:commit=abc  every finished run with that label
//     group:01J8...     the runs one command made, by the id of its first
//     NAME              a pinned baseline
//     A,B,C             all of these together
//
// Runs come oldest first and each once.
#ifndef ASSESS_RUN_SET_H
#define ASSESS_RUN_SET_H

#include "ledger/run.h"

enum { RUN_SET_MAX = 200 };

typedef struct RunSet {
    RunData **runs;
    size_t count;
} RunSet;

// ERR_NOT_FOUND when a part of the selector names nothing, ERR_LIMIT past RUN_SET_MAX.
MUST_USE int run_set_load(Ledger *ledger, Slice selector, Arena *arena, RunSet *ret_set, Err *e);
// The ids only, in the same order, for what need not read the runs.
MUST_USE int run_set_ids(Ledger *ledger, Slice selector, Arena *arena, Slice **ret_ids,
                         size_t *ret_count, Err *e);
void run_set_done(RunSet *set); // frees the histograms; a zeroed set is fine

#endif
