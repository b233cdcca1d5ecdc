// What the files of the coordinator share.
#ifndef MANAGE_COORDINATOR_IMPL_H
#define MANAGE_COORDINATOR_IMPL_H

#include "bus/faulty.h"
#include "manage/manager.h"
#include "manage/work_seen.h"

enum {
    STORY_EVENTS_MAX = 20000, // later ones are counted, not kept
    STORY_WINDOWS_MAX = 20000,
    STORY_TEXT_MAX = 1024,
};

struct Coordinator {
    Plant *plant;
    CoordinatorOptions options;
    Planner *own_planner; // where the options name none
    Arena *arena;         // of the run
    Arena *window_arena;  // of one window
    int64_t window_ns;
    int64_t now_ns; // management's time: the plant's waits added up; thinking takes none of it
    ManualClock clock;
    LocalHub *hub;
    FaultPlan faults;   // of the bus
    Manager **managers; // agents first, then clients
    size_t manager_count;
    System *published; // what interfaces say, put together, with the policies as they are
    System *before;    // the policies at the beginning
    Detect *detect;
    PlantWindow last; // the last window; lives in window_arena
    DetectFound found;
    char kept_proposal[PROPOSAL_ID_LEN + 1]; // in the ledger, kept last
    Plan undo;                               // what was there before the plan that was applied last
    DriftWatch *drift;                       // by client
    DriftWatch *agent_drift;                 // by agent
    WorkSeen *work_seen;                     // by agent
    const Outcome *expected;                 // of the policies that were kept last; NULL
    Arena *expected_arena;
    uint32_t structure_seen; // windows in a row with a changed structure
    // The story.
    StoryEvent *events;
    size_t event_count, event_capacity;
    CoordinatorWindow *windows;
    size_t story_windows, window_capacity;
    Story sums;
};

// ---- the story and the ledger (coordinator_story.c)

// Texts are copied. Times and the state are filled in.
void story_add(Coordinator *c, const StoryEvent *event);
void story_say(Coordinator *c, StoryKind kind, Slice party, const char *format, ...)
    PRINTF_LIKE(4, 5);
void story_window(Coordinator *c, const PlantWindow *window);
// One transition of a case, in the ledger. Nothing without one; a failure to write is told in the
// story and does not stop what is under way.
void record_create(Manager *m);
void record_step(Manager *m, ProposalState to, Slice author, const char *reason,
                 const ProposalEstimates *predicted, const ProposalEstimates *observed);
// The plan of the case has become another one: a new proposal, with the old one as its parent.
void record_amended(Manager *m, const ProposalEstimates *predicted);
void record_note(Manager *m, Slice author, const char *format, ...) PRINTF_LIKE(3, 4);
// Names and numbers of the promised clients: "tasks.p99", "tasks.goodput", ...
ProposalEstimates record_estimates(Arena *arena, const System *sys, const Outcome *outcome);
// What another process wrote about the proposal: PROPOSAL_STATES when there is no ledger.
ProposalState record_state(Manager *m);
ProposalState record_kept_state(Coordinator *c);
// The oldest approved proposal about this system that no manager of this run made: a person's.
// Its plan and id; false when there is none.
bool record_approved(Coordinator *c, Arena *arena, Plan *ret_plan,
                     char ret_id[PROPOSAL_ID_LEN + 1]);

// ---- the world (coordinator.c)

Manager *coordinator_manager(const Coordinator *c, uint32_t index);
Manager *coordinator_find(const Coordinator *c, Slice name);
Slice party_name(const System *sys, uint32_t index);
// Is there an edge between the two, or are they one?
bool parties_are_neighbours(const System *sys, uint32_t a, uint32_t b);
// Sets them in the plant and in what is published. All or none.
MUST_USE int coordinator_set(Coordinator *c, const Plan *plan, Err *e);
// The longest time that a limited agent would need now for what waits there, at least the default
// trigger of a stability check and at most two minutes.
int64_t coordinator_backlog(const Coordinator *c);
// The plant goes on for options.think_ns.
void coordinator_think(Coordinator *c);
// Another case waits until this one is decided: two changes at once could not be told apart.
bool coordinator_busy(const Coordinator *c);

// ---- what is known (coordinator_publish.c)
// From the agents' interfaces into `published`.
void coordinator_publish(Coordinator *c);

// ---- models that no longer fit (coordinator_refit.c)
void coordinator_check_structure(Coordinator *c, const PlantWindow *window);
void coordinator_check_drift(Coordinator *c, const PlantWindow *window);

#endif
