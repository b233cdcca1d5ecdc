// Execute: a plan's runs, one after the other, each recorded as a run of its own.
//
// Asks the guard rails, opens the outputs, runs, and puts the OpenSLO documents beside each run, so
// that it can be judged again later. Signals are the caller's: one that arrives on `loop` calls
// execution_stop().
//
//     ExecuteOptions options = {.plan = plan, .ledger = ledger, .guard = guard, .runs = 3};
//     Execution *x = execution_create(&options, arena);
//     rc = execution_run(x, e);
//     ... x->status, x->run_ids ...
//     execution_destroy(x);
#ifndef ASSESS_EXECUTE_H
#define ASSESS_EXECUTE_H

#include "assess/guarding.h"
#include "load/session.h"

enum { EXECUTE_RUNS_MAX = 100, EXECUTE_OUTPUTS_MAX = 16 };

typedef struct ExecuteOptions {
    const Plan *plan;
    Ledger *ledger;
    Guard *guard;
    GuardingOptions guarding;
    int runs;      // 1..EXECUTE_RUNS_MAX
    int threads;   // 0: 1
    bool pin;      // threads to CPUs
    Labels labels; // --label
    Loop *loop;    // the first shard's; signals are watched there
    Slice version; // of the program
    bool no_setup, no_teardown, no_thresholds;
    const Slice *outputs; // --out
    size_t output_count;
    const Slice *slo_files; // instead of the plan's
    size_t slo_file_count;
    const char *spool_directory;
    char *(*get_env)(const char *name);
    // Each second; may be NULL.
    void (*on_status)(void *ctx, const EngineStatus *status);
    // Before the first second and behind the last one of run `index` of `runs`; may be NULL.
    void (*on_begin)(void *ctx, int index, const RunInfo *info);
    void (*on_end)(void *ctx, int index, const SessionResult *result);
    // A sentence for the person at the terminal; may be NULL.
    void (*on_note)(void *ctx, Slice text, bool warning);
    void *ctx;
} ExecuteOptions;

typedef struct Execution Execution;

Execution *execution_create(const ExecuteOptions *options, Arena *arena);
// 0 whenever at least one run was made, whatever its status. ERR_REFUSED by a guard rail.
MUST_USE int execution_run(Execution *execution, Err *e);
// Once: the running iterations end and no further run begins; twice: everything is cut.
void execution_stop(Execution *execution);
void execution_destroy(Execution *execution); // NULL is fine

// The worst status of the runs, how many were made, and a selector that names them all.
RunStatus execution_status(const Execution *execution);
bool execution_was_stopped(const Execution *execution);
Slice execution_selector(const Execution *execution);
// True when every run is sealed in the ledger; otherwise the last result in memory is the only one.
bool execution_is_recorded(const Execution *execution);
// The last run in the form reports read, for when the ledger could not take it.
RunData *execution_last_run(const Execution *execution, Arena *arena);

#endif
