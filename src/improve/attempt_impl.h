// What the parts of an attempt share.
#ifndef IMPROVE_ATTEMPT_IMPL_H
#define IMPROVE_ATTEMPT_IMPL_H

#include "improve/attempt.h"
#include "improve/workspace.h"

typedef struct Attempt {
    const AttemptOptions *o;
    Arena *arena;
    PlanDoc plan;
    Steps steps;
    Memory memory;
    AttemptState state;
    const PlanGoal *goal; // of the plan, or made from the state when it is no longer there
    JudgeReport *report;  // of this round
    Registration registration;
    int lock;
} Attempt;

void attempt_say(const Attempt *a, const char *stage, const char *format, ...) PRINTF_LIKE(3, 4);
MUST_USE int attempt_save(Attempt *a, Err *e);
// Reads and writes a file of the attempt; the name has %lld for the round.
MUST_USE int attempt_put(Attempt *a, const char *format, Slice text, Err *e);
MUST_USE int attempt_get(Attempt *a, const char *format, Slice *ret_text, Err *e);

// attempt_work.c: the engine's turn. Leaves patch-N.diff, or gives up.
MUST_USE int attempt_work(Attempt *a, Err *e);
void attempt_give_up(Attempt *a, const char *format, ...) PRINTF_LIKE(2, 3);
// attempt_publish.c: the bundle and the draft of the pull request, from the report of this round;
// then the branch, which needs no report.
MUST_USE int attempt_evidence(Attempt *a, Err *e);
MUST_USE int attempt_publish(Attempt *a, Err *e);
// The note of what was tried, whatever came out. A failure is only said.
void attempt_remember(Attempt *a);

#endif
