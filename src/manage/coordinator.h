// Coordinator: runs the managers of a system over a bus and a plant. One window after the other it
// lets the plant go on, gives every manager what it may see, delivers what they say to each other,
// applies what they agree on, watches whether it does what was promised, and puts it back at the
// first window that says otherwise.
//
//     Coordinator *c;
//     rc = coordinator_create(plant, &(CoordinatorOptions){.seed = 7, .ledger = ledger}, &c, e);
//     do {
//         rc = coordinator_step(c, &more, e);               // one window of the plant
//     } while (rc == 0 && more);
//     coordinator_story(c, &story);                         // what happened, for reports
//     coordinator_destroy(c);
//
// One case at a time goes through these states (docs/internals/coordination.md has the diagram):
//
//     detected -> planned -> validated -> negotiating -> applied (lease) -> watching -> kept
//                    |            |             |              |                '-> rolled back
//                    '------------'-------------'--------------'-> given up
//
// Every transition is a record of the ledger with the interval that was predicted and, later, the
// value that was observed. Nothing of this is on the way of a request: the plant calls nothing in
// here, and a coordinator that is stopped, stuck or dead leaves a plant that serves as it is.
//
// One thread.
#ifndef MANAGE_COORDINATOR_H
#define MANAGE_COORDINATOR_H

#include "ledger/ledger.h"
#include "manage/planner.h"
#include "manage/validate.h"

typedef enum ApprovalMode { APPROVAL_AUTOMATIC, APPROVAL_ASK, APPROVAL_ADVISE } ApprovalMode;
extern const char *const APPROVAL_NAMES[]; // "auto", "ask", "advise", NULL

typedef enum CaseState {
    CASE_NONE,
    CASE_DETECTED,
    CASE_PLANNED,
    CASE_VALIDATED,
    CASE_WAITING, // for a person
    CASE_NEGOTIATING,
    CASE_APPLIED,
    CASE_WATCHING,
    CASE_KEPT,
    CASE_ROLLED_BACK,
    CASE_GIVEN_UP,
    CASE_STATES,
} CaseState;
extern const char *const CASE_STATE_NAMES[CASE_STATES + 1];

// What happened, as it happens: for the terminal, the report and tests.
typedef enum StoryKind {
    STORY_DETECTED,
    STORY_CLEARED,
    STORY_PLANNED,
    STORY_VALIDATED,
    STORY_ADVISED,  // advise only: this is what would be proposed
    STORY_APPROVED, // by a person, or by nobody in automatic mode
    STORY_MESSAGE,  // one party to another: propose, accept, reject, counter, ...
    STORY_APPLIED,
    STORY_OBSERVED, // a window after it, against what was predicted
    STORY_KEPT,
    STORY_ROLLED_BACK,
    STORY_GIVEN_UP,
    STORY_STRUCTURE, // edges, agents or visit ratios changed; the models are refitted
    STORY_DRIFT,     // an interface is contradicted again and again
    STORY_OBJECTIVE, // an objective was changed
    STORY_JOINED,
    STORY_LEFT,
    STORY_NOTE,
    STORY_KINDS,
} StoryKind;
extern const char *const STORY_NAMES[STORY_KINDS + 1];

typedef struct StoryEvent {
    StoryKind kind;
    int64_t at_ns;                // of the plant
    int64_t took_ns;              // of the clock: planning, validating, applying; 0
    Slice party, other;           // who; to whom
    Slice message;                // type of a message
    Slice text;                   // one sentence
    Slice changes;                // "b->c.timeout.attempt 0s -> 500ms, ...", or empty
    char proposal[32];            // id in the ledger, or empty
    CaseState state;              // of the case after it
    Estimate predicted, observed; // of the violated measure; NAN
} StoryEvent;

typedef struct CoordinatorHooks {
    void *context;
    void (*event)(void *context, const StoryEvent *event);
    // After each window.
    void (*window)(void *context, const PlantWindow *window, const DetectFound *found);
} CoordinatorHooks;

// How a party misbehaves: for experiments and tests, which must show that nothing bad follows.
typedef enum PartyFault {
    PARTY_HONEST,
    PARTY_MUTE,          // never answers
    PARTY_NO_APPLY,      // commits, says "applied", and does not
    PARTY_LIES,          // publishes service times that are `factor` times the true ones
    PARTY_FALSE_METRICS, // reports good numbers whatever happens
    PARTY_SELFISH,       // refuses everything that is not its own wish
    PARTY_STALE,         // its interface is the one of the beginning for ever
} PartyFault;

typedef struct PartyTrouble {
    Slice party;
    PartyFault fault;
    double factor;
} PartyTrouble;

typedef struct CoordinatorOptions {
    ApprovalMode mode;
    uint64_t seed;
    int64_t duration_ns;      // of the plant's time; 0: until the plant ends
    int64_t window_ns;        // 0: the shortest of the objectives
    int64_t lease_ns;         // of what is applied until it is kept; 0: 12 windows
    uint32_t watch_windows;   // good ones until it is kept; 0: 6
    uint32_t settle_windows;  // after applying, in which only "worse than before" counts; 0: 3
    int64_t plan_budget_ns;   // of the clock, for planning and validating once; 0: 3 s
    int64_t think_ns;         // that a simulated plant goes on while a plan is made; 0: none
    uint32_t plans_max;       // candidates of one planning; 0: PLANS_MAX
    uint32_t cases_max;       // at most so many; 0: 32
    Planner *const *planners; // asked in this order, their plans put together; borrowed
    size_t planner_count;     // 0: the rules (manage/planner_rules.h)
    ValidateAsk validate;     // settings of it; the rest is filled in
    Ledger *ledger;           // NULL: no records
    CoordinatorHooks hooks;
    const PartyTrouble *troubles;
    size_t trouble_count;
    double lose, duplicate; // shares of the bus' messages
} CoordinatorOptions;

typedef struct Coordinator Coordinator;

// The plant is borrowed.
MUST_USE int coordinator_create(Plant *plant, const CoordinatorOptions *options,
                                Coordinator **ret_coordinator, Err *e);
void coordinator_destroy(Coordinator *c); // NULL is fine; leases end, nothing is rolled back
// One window. *ret_more false: the duration or the plant is over.
MUST_USE int coordinator_step(Coordinator *c, bool *ret_more, Err *e);

// ---- while it runs

// New promises take effect with the next window; a case about an old one is given up.
MUST_USE int coordinator_objective(Coordinator *c, const SystemObjective *objective, Err *e);
// A party goes (its leases and promises end) or comes (back). ERR_NOT_FOUND.
MUST_USE int coordinator_leave(Coordinator *c, Slice party, Err *e);
MUST_USE int coordinator_join(Coordinator *c, Slice party, Err *e);
void coordinator_trouble(Coordinator *c, const PartyTrouble *trouble);
// Hears what a person said in the ledger without letting the plant go on: for a simulated plant
// that waits (CASE_WAITING) for as long as the person takes.
void coordinator_poll(Coordinator *c);
// A person's word about the proposal that waits, or about one that was applied.
MUST_USE int coordinator_approve(Coordinator *c, Slice proposal, bool yes, Err *e);
MUST_USE int coordinator_roll_back(Coordinator *c, Slice why, Err *e);

// ---- what happened

typedef struct CoordinatorWindow {
    int64_t from_ns, until_ns;
    uint32_t client;
    uint64_t offered, good, all; // all: ended or overdue
    Estimate goodput, p50, p99;
} CoordinatorWindow;

typedef struct Story {
    const System *before, *after; // the policies at the beginning and now
    const StoryEvent *events;
    size_t event_count;
    const CoordinatorWindow *windows; // client by client within each window
    size_t window_count;
    uint32_t cases, kept, rolled_back, given_up;
    uint32_t refits;
    int64_t refit_ns;               // the longest, of the clock
    int64_t decision_to_applied_ns; // the longest, of the clock
    uint64_t messages, lost, duplicated;
    uint64_t llm_calls; // by planners; none of them on the way of a request
} Story;
// Borrowed until the coordinator goes on.
Story coordinator_story(const Coordinator *c);

CaseState coordinator_state(const Coordinator *c);

#endif
