// What became of attempts: merged, closed, ignored, and what follows for the choice of the next
// goal.
//
// What people did is read from the pull request through gh, or from the repository: the commit is
// an ancestor of the head, or a commit there makes the same change. Never from what an engine says.
//
// Each kind of goal and each file has a Beta(1, 1) prior over "an attempt at it is accepted"; a
// merged one counts for it, a closed one and one that was not proven against it. The mean of the
// posterior orders goals: it starts at one half, and needs evidence to leave it.
#ifndef IMPROVE_OUTCOMES_H
#define IMPROVE_OUTCOMES_H

#include "improve/attempt_state.h"
#include "improve/git.h"
#include "improve/memory.h"

typedef enum Outcome {
    OUTCOME_UNKNOWN,
    OUTCOME_OPEN,
    OUTCOME_MERGED,
    OUTCOME_CLOSED,
    OUTCOME_IGNORED, // open, and nobody said anything for OUTCOME_IGNORED_DAYS
    OUTCOMES,
} Outcome;
extern const char *const OUTCOME_NAMES[OUTCOMES + 1];
enum { OUTCOME_IGNORED_DAYS = 30, OUTCOME_COMMENTS_MAX = 16 << 10, OUTCOME_COMMITS_MAX = 200 };

Outcome outcome_of(Slice name);

// What `gh pr view --json state,updatedAt,comments,reviews` answered. *ret_comments: what people
// wrote, one paragraph each, cut at OUTCOME_COMMENTS_MAX: data for the next run. ERR_PROTOCOL.
MUST_USE int outcome_from_gh(Arena *arena, Slice json, int64_t now_unix_ns, Outcome *ret_outcome,
                             Slice *ret_comments, Err *e);

// The same change, whatever its lines' numbers and its message: a hash of the names of files and of
// the lines that go and come. As `git patch-id`, but for our own comparisons only.
void outcome_patch_id(Slice diff, char out[SHA256_HEX + 1]);
// Looks for the attempt's commit, or a commit with its change, in the history of the head.
MUST_USE int outcome_from_git(Git *git, const AttemptState *state, Slice patch,
                              Outcome *ret_outcome, Err *e);

typedef struct OutcomeRate {
    Slice name; // of a kind or a file
    int64_t accepted, refused;
    double mean; // of Beta(1 + accepted, 1 + refused)
} OutcomeRate;

typedef struct OutcomeRates {
    OutcomeRate kinds[GOAL_KINDS];
    OutcomeRate *files;
    size_t file_count;
} OutcomeRates;

void outcome_rates(Arena *arena, const AttemptState *states, size_t count, OutcomeRates *ret_rates);

// ---- which goal is next

typedef struct GoalChoice {
    const PlanGoal *goal; // NULL: none is left
    Slice why;            // for people
    double score;
} GoalChoice;

// Among open goals that were not tried and that no note avoids: notes that prefer it first, then
// the round, then the rates. `wanted`: an id of the plan, which is taken though it was tried; other
// text is a goal of its own, which lives in `arena`. ERR_NOT_FOUND when none is left,
// ERR_REFUSED for a wanted one that is refused or avoided, ERR_UNSUPPORTED for one about measuring.
// Those are a person's: whoever may change the benchmarks could choose the verdict.
MUST_USE int goal_choose(Arena *arena, const PlanDoc *plan, const AttemptState *states,
                         size_t count, const Memory *memory, const OutcomeRates *rates,
                         Slice wanted, GoalChoice *ret_choice, Err *e);

#endif
