// What E1 measured, for its tables and its judgement.
#ifndef BENCH_MANAGE_E1_H
#define BENCH_MANAGE_E1_H

#include "coordinate.h"

enum { ROWS = 24, RUNS_MAX = 20 };

typedef enum RowKind { ROW_FIXED, ROW_BASELINE, ROW_ALONE, ROW_CENTRAL, ROW_ORACLE } RowKind;

typedef struct Row {
    const char *name;
    RowKind kind;
    bool negotiated;
    Score scores[RUNS_MAX];
    Slice words; // its numbers
    double badness;
} Row;

typedef struct Load {
    double rho;
    System *sys;
    Row rows[ROWS];
    size_t row_count;
    Negotiated deals[RUNS_MAX];
    Arena *arenas[RUNS_MAX];   // of the deals
    const System *found[ROWS]; // what the rows came to, for the oracle to start from
    size_t found_count;
} Load;

void e1_table(Experiment *x, const Load *load, size_t runs);
// What was tuned and what was agreed on.
void e1_found(Experiment *x, const Load *load, size_t runs);
// The goals, in words.
void e1_judge(Experiment *x, const Load *loads, size_t count, size_t runs);

// Runs what the first found_count rows came to on the runtime, beside what is predicted of it.
MUST_USE int e1_live(Experiment *x, const Load *load, const ScoreOptions *score, Err *e);

#endif
