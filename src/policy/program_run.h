// A policy program at work in a block: it watches the block's calls for a period and then sets
// parameters as policy_set does. Its state lies in the block, so a copied block goes on alike, in
// the simulator and live.
//
//     rc = policy_set_program(block, &program, ranges, range_count, now_ns, e);   // NULL: none
//     at policy_program_due(block):  policy_program_tick(block, now_ns);
//                                    while (policy_next_work(...)) ...             // see call.h
//
// The driver sets a timer for the due time, again after each tick.
#ifndef POLICY_PROGRAM_RUN_H
#define POLICY_PROGRAM_RUN_H

#include "policy/block.h"
#include "policy/program.h"

// What the owner allows, in the table's unit (durations in ns); a parameter without one has the
// table's range.
typedef struct ProgramRange {
    PolicyParamId param;
    double low, high;
} ProgramRange;

typedef struct ProgramRun {
    bool on;
    PolicyProgram program;
    ProgramRange ranges[PROGRAM_TARGETS_MAX];
    uint32_t range_count;
    int64_t begun_ns, due_ns, since_ns;
    uint64_t started, retries, timeouts; // of the block when the period began
    uint64_t ok, failed, throttled;      // attempts that ended in it
    uint64_t changes, refused;           // so far; refused: against another value
    HedgeHist latency;
} ProgramRun;

// ERR_REFUSED: the block has no room for a program (its shape).
MUST_USE int policy_set_program(PolicyBlock *block, const PolicyProgram *program,
                                const ProgramRange *ranges, size_t range_count, int64_t now_ns,
                                Err *e);
int64_t policy_program_due(PolicyBlock *block); // INT64_MAX: there is none
void policy_program_tick(PolicyBlock *block, int64_t now_ns);

// For call.c: how an attempt ended.
typedef enum ProgramEnd { PROGRAM_OK, PROGRAM_FAILED, PROGRAM_THROTTLED } ProgramEnd;
void program_watch(ProgramRun *run, ProgramEnd end, int64_t latency_ns);

#endif
