// The third phase: an engine writes a patch for one goal of the plan, the judge says what it is
// worth, what the judge found goes back to the engine, three rounds at most; what is proven becomes
// a branch, an evidence bundle and the draft of a pull request.
//
//     AttemptOptions options = {.place = &place, .loop = loop, .pool = pool, .ledger = ledger,
//                               .engine = SLICE("claude"), .settings = &settings, ...};
//     rc = attempt_execute(&options, arena, &result, e);            // in a fiber
//
// An attempt whose process died goes on where it was: attempt_execute takes up the newest
// unfinished one, whatever goal it is for, before it begins another.
//
// It refuses without the approval of plan and steps. Nothing leaves the machine here.
#ifndef IMPROVE_ATTEMPT_H
#define IMPROVE_ATTEMPT_H

#include "improve/attempt_state.h"
#include "improve/engine.h"
#include "improve/judge.h"
#include "improve/outcomes.h"
#include "improve/steps.h"

typedef struct AttemptOptions {
    const Place *place;
    Loop *loop;
    FiberPool *pool;
    Ledger *ledger; // not NULL: what is not registered cannot be proven
    Slice goal;     // an id of the plan or a line of text; empty: the next one
    Slice resume;   // an attempt's id or its end; empty: the newest unfinished one, if any
    bool fresh;     // begin another although one is unfinished
    Slice engine;   // for engine_parse; empty: what the settings say
    const EngineSettings *settings;
    Slice author;         // who says --yes
    bool yes;             // approve plan and steps as they are
    int64_t judge_ns;     // measuring budget of each judgement; 0: the judge's default
    double min_effect;    // over the goal's; 0: the goal's
    unsigned rounds;      // 0: ATTEMPT_ROUNDS_MAX; more is clamped to it
    const char *work_dir; // of the copies; NULL: the user's cache
    bool no_sandbox, no_critique, keep_work, no_branch;
    char *(*get_env)(const char *name); // getenv
    const char *self;                   // engine.h
    // One line a stage, for people. May be NULL.
    void (*progress_fn)(void *ctx, const char *stage, Slice text);
    bool (*stop_fn)(void *ctx); // as the judge's; may be NULL
    void *ctx;
} AttemptOptions;

typedef struct AttemptResult {
    AttemptState state;
    JudgeReport *report; // of the newest judgement; NULL: nothing was judged in this process
    bool resumed;
    Slice why; // this goal
} AttemptResult;

// 0 when the attempt ended (done or given up: the state says which and why), ERR_CANCELLED when it
// was interrupted (it can be resumed), ERR_REFUSED (no approval, goal refused), ERR_NOT_FOUND (no
// plan, no steps, no goal left), ERR_BUSY, or what kept it from working (no sandbox).
MUST_USE int attempt_execute(const AttemptOptions *options, Arena *arena, AttemptResult *ret_result,
                             Err *e);

// ---- parts, for tests

// What the engine is told. Everything that comes from the repository, a person or an earlier engine
// stands in marked blocks that are called data.
void attempt_goal_text(const AttemptState *state, const PlanGoal *goal, const PlanDoc *plan,
                       const Steps *steps, const Memory *memory, Slice comments, Buf *out);
// What the judge found, for the next round. Figures are the judge's.
void attempt_feedback(const JudgeReport *report, Buf *out);

#endif
