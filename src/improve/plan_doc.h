// The plan of a repository: what was found out about it, whether it is worth a try, and the goals,
// as plan.json for programs and plan.md for people. A person's edits to either win.
//
// plan.md is made of sections between markers, which carry a hash of what perfwright put there:
//
//     <!-- perfwright:begin conditions 5f0c11a2 -->
//     ...
//     <!-- perfwright:end conditions -->
//
// What stands outside of them is a person's: it is kept as it is and read as comments. A section
// whose text no longer fits its hash was edited and is kept too; one that was deleted stays away.
// The section of goals is read back: a ticked or struck box closes a goal, a changed line changes
// it, a line without an id adds one, and lines that begin with ">" are remarks about it:
//
//     - [ ] **g1** round 1, time, at least 10 %: less copying in parse() (src/parse.c)
//       > only the reader, please
//     - [x] **g2** round 2, memory: smaller nodes
//     - [ ] memory: do not keep the whole file (src/read.c)
//
// All of this is data: it chooses among goals and is shown to the engine. Nothing in it is run.
#ifndef IMPROVE_PLAN_DOC_H
#define IMPROVE_PLAN_DOC_H

#include "base/arena.h"
#include "base/field.h"
#include "base/json_write.h"
#include "ledger/sha256.h"

enum {
    PLAN_VERSION = 1,
    PLAN_BYTES_MAX = 1 << 20, // of either file
    PLAN_GOALS_MAX = 100,
    PLAN_CONDITIONS_MAX = 16,
    PLAN_FILES_MAX = 50, // of one goal
    PLAN_TEXT_MAX = 2000,
    PLAN_COMMENTS_MAX = 16 << 10, // bytes that are passed on
};

typedef enum GoalKind {
    GOAL_TIME,
    GOAL_THROUGHPUT,
    GOAL_MEMORY,
    GOAL_IO,
    GOAL_MEASURING, // better benchmarks first
    GOAL_KINDS,
} GoalKind;
extern const char *const GOAL_KIND_NAMES[GOAL_KINDS + 1];

typedef enum GoalState {
    GOAL_OPEN,
    GOAL_CLOSED,  // by a person: done, or not wanted
    GOAL_REFUSED, // smaller than this machine resolves; `why` has the figure
    GOAL_STATES,
} GoalState;
extern const char *const GOAL_STATE_NAMES[GOAL_STATES + 1];

typedef struct PlanGoal {
    Slice id;      // "g1"; a person's: "p" and eight digits of a hash of the title
    int64_t round; // 1: measuring and quick wins, 2, 3
    int64_t kind;  // GoalKind
    int64_t state; // GoalState
    Slice title;   // one line
    Slice why;
    Slice workload;    // of steps.yaml; empty: the first
    Slice remarks;     // a person's
    FieldNames files;  // where to look
    double min_effect; // 0.1: ten percent; 0: the default
    bool by_person;
} PlanGoal;

typedef enum ConditionState { CONDITION_MET, CONDITION_DOUBTFUL, CONDITION_UNMET } ConditionState;
extern const char *const CONDITION_STATE_NAMES[4];

typedef struct PlanCondition {
    Slice name; // "within-two-minutes"
    int64_t state;
    Slice measured; // with numbers
    Slice reason;
} PlanCondition;

typedef enum Feasibility { FEASIBLE, FEASIBILITY_DOUBTFUL, FEASIBILITY_NONE } Feasibility;
extern const char *const FEASIBILITY_NAMES[4]; // "possible", "doubtful", "out of reach"

typedef struct PlanDoc {
    Slice target;
    Slice revision; // that was looked at
    Slice created;  // 2026-11-21T12:00:00Z
    int64_t feasibility;
    Slice reason;
    double resolvable; // smallest effect that this machine can tell; 0: not measured
    PlanCondition *conditions;
    size_t condition_count;
    PlanGoal *goals;
    size_t goal_count;
    Slice comments;    // a person's text in plan.md
    const Doc *survey; // an object; NULL: none
    const Doc *profile;
} PlanDoc;

// Strict: unknown members, ranges, duplicate ids are errors at their place. ERR_VERSION.
MUST_USE int plan_doc_read(Arena *arena, Slice json, const char *source, PlanDoc *ret_plan, Err *e);
void plan_doc_write(const PlanDoc *plan, JsonWriter *w);

// plan.md: `old` is the file as it is (empty: none), and its edits are taken over into it.
MUST_USE int plan_doc_markdown(const PlanDoc *plan, Slice old, Buf *out, Err *e);
// Takes what a person wrote in plan.md into the plan: goals and comments.
MUST_USE int plan_doc_take_edits(Arena *arena, Slice markdown, PlanDoc *plan, Err *e);
// Carries a person's goals and closed boxes from an older plan into a fresh one.
MUST_USE int plan_doc_carry(Arena *arena, const PlanDoc *old, PlanDoc *fresh, Err *e);

const PlanGoal *plan_doc_goal(const PlanDoc *plan, Slice id); // NULL: none of that id
// What an approval is of: both files.
void plan_doc_hash(Slice json, Slice markdown, char out[SHA256_HEX + 1]);

#endif
