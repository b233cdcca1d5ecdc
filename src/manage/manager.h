// Manager: one party's mind: an agent's, or a client's. It knows what was published, what it owns
// and whom it answers to, and has a negotiator. As a proposer it takes one case at a time from a
// broken promise to a policy that is kept (manager_case.c); as an owner it judges what others ask
// of it, by its own objectives, and amends it where it knows better (manager_owner.c).
//
// Internal to coordination: the coordinator drives all managers, on its thread.
#ifndef MANAGE_MANAGER_H
#define MANAGE_MANAGER_H

#include "bus/local.h"
#include "manage/applied.h"
#include "manage/coordinator.h"
#include "manage/negotiator.h"

enum {
    LIMIT_WINDOWS = 60, // that a refusal is kept to
    SILENCE_WINDOWS = 6,
    MANAGER_INBOX_MAX = 4096, // actions that wait to be carried out
    MANAGER_GRANTS_MAX = NEGOTIATOR_GRANTS_MAX,
    MANAGER_CASE_BYTES_MAX = 256 << 20, // of one case's arena
};

typedef struct Coordinator Coordinator;
typedef struct Manager Manager;

// What an owner thinks about a request, from its PROPOSE until the grant has ended.
typedef struct Consideration {
    uint64_t grant; // 0: free
    uint64_t deal;  // with others about it; 0: none
    Arena *arena;
    Plan whole;  // the plan that the request is a part of, as this owner would have it
    Plan others; // what it asks of others for it
    ProposalEstimates predicted;
} Consideration;

// One broken promise, from its detection to its end.
typedef struct Case {
    CaseState state;
    Arena *arena; // of the case
    Violation violation;
    Plan plan; // the whole
    Verdict *verdict;
    const Outcome *predicted;
    char proposal[PROPOSAL_ID_LEN + 1]; // in the ledger; empty without one
    uint64_t deal;
    uint32_t plannings;
    int64_t agreed_clock_ns; // when everybody had agreed
    int64_t applied_ns;      // of the plant
    int64_t backlog_ns;      // until what waited when it was applied is gone
    bool settled;            // one window was as promised
    uint32_t watched, good, excused, grace;
    PlantClient *before; // counts of the last window before it was applied
    double *offered;     // requests a second then
    const System *was;   // the view then
    AppliedCheck *check; // from the first window as promised on
    MessageReason why;
} Case;

struct Manager {
    Coordinator *c;
    Slice name;
    uint32_t index; // agent, or SYSTEM_FROM_CLIENT | client
    bool present;
    PartyTrouble trouble;
    uint64_t incarnation;
    Negotiator *negotiator;
    Bus *bus;
    BusSubscription *subscription;
    Arena *inbox_arena; // copies of actions
    NegotiatorAction *inbox;
    size_t inbox_count, inbox_next;
    PlanLimit limits[PLAN_LIMITS_MAX]; // learned from refusals; the oldest goes first
    int64_t limits_until_ns[PLAN_LIMITS_MAX];
    size_t limit_count;
    Case current;
    uint32_t failures; // cases that came to nothing, one after the other
    int64_t rest_until_ns;
    bool refitted;      // since its last contradicted case
    uint64_t countered; // plan_hash of its last counter-proposal
    Consideration considerations[MANAGER_GRANTS_MAX];
};

MUST_USE int manager_create(Coordinator *c, uint32_t index, Manager **ret_manager, Err *e);
void manager_destroy(Manager *m); // NULL is fine
// Connects (again) with a new incarnation.
MUST_USE int manager_join(Manager *m, Err *e);
void manager_leave(Manager *m);

// Delivers what is on the bus for it and carries out what follows; how much there was to do.
size_t manager_run(Manager *m);
void manager_tick(Manager *m);
int64_t manager_next_due(const Manager *m);
// The negotiator was called: takes its actions.
void manager_take_actions(Manager *m);

// What it takes the world to be: what was published, its own part as it is.
const System *manager_view(const Manager *m);
// Keeps to a limit for so many windows: what was refused then may be fine later. Equal ones are not
// added twice.
void manager_learn(Manager *m, const PlanLimit *limit, uint32_t windows);
void manager_forget_old(Manager *m);
// The party is there again: what was only learned from its silence holds no longer.
void manager_forget_party(Manager *m, uint32_t party);

// ---- proposer (manager_case.c)
void case_open(Manager *m, const Violation *violation);
void case_step(Manager *m); // plans, validates and proposes, as far as it goes at once
// A person's plan, approved under this id of the ledger.
void case_for_person(Manager *m, const Plan *plan, const char *proposal);
void case_replan(Manager *m, const NegotiatorAction *a);
void case_watch(Manager *m); // everybody has applied
void case_agreed(Manager *m);
void case_ended(Manager *m, const NegotiatorAction *a);
void case_window(Manager *m, const PlantWindow *window); // one more window while it is watched
void case_give_up(Manager *m, MessageReason reason, const char *format, ...) PRINTF_LIKE(3, 4);
// Approved or refused by a person.
void case_decided(Manager *m, bool yes, Slice by);
// A person wants what was applied back to what it was.
void case_take_back(Manager *m, Slice why);
bool case_is_open(const Manager *m);

// ---- owner (manager_owner.c)
void owner_validate(Manager *m, const NegotiatorAction *a);
void owner_apply(Manager *m, const NegotiatorAction *a);
void owner_roll_back(Manager *m, const NegotiatorAction *a);
void owner_replan(Manager *m, const NegotiatorAction *a); // of a deal for somebody else
void owner_grant(Manager *m, const NegotiatorAction *a);
bool owner_owns(void *manager, Slice param);

#endif
