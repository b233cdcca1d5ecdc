// The draft of a pull request: every figure in it comes from the judge's report, and stands beside
// the ledger's reference that it comes from. The engine's words are quoted, with their figures
// struck out.
#ifndef IMPROVE_PR_BODY_H
#define IMPROVE_PR_BODY_H

#include "improve/attempt_state.h"
#include "improve/judge.h"

enum { PR_BODY_MAX = 60000 }; // outbox.h

typedef struct PrFacts {
    const AttemptState *state;
    const JudgeReport *report;
    Slice goal_why;
    Slice engine_text;       // its last words
    const char *bundle_file; // name beside the branch
    Slice critique_rounds;   // one line a round of what was found and sent back; may be empty
} PrFacts;

// ERR_LIMIT past PR_BODY_MAX.
MUST_USE int pr_body(const PrFacts *facts, Buf *out, Err *e);
// One line, at most 120 bytes.
Slice pr_title(Arena *arena, const AttemptState *state);
// "perfwright/less-copying-in-parse-1a2b": for a branch, from the goal and the attempt's id.
Slice pr_branch(Arena *arena, const AttemptState *state);

#endif
