// Negotiator: how agents agree on a change of policies, as a state machine without I/O. One per
// agent; it is proposer and owner at the same time. Messages, time and local decisions go in;
// actions come out: send this, ask the validator, apply, roll back. docs/internals/negotiation.md
// has the diagrams and the proof that every negotiation ends.
//
// A negotiation changes parameters of one or more owners, all or none:
//
//   proposer                              owner
//   PROPOSE (changes, for_ns) ──────────> ACTION_VALIDATE, then negotiator_decide:
//            <──────────────────────────    ACCEPT: its places are leased under a fencing token
//            <──────────────────────────    REJECT with reason and constraints | COUNTER
//            <──────────────────────────    DEFER: it asks others first (negotiator_propose_for)
//   all accepted: COMMIT (token) ───────> ACTION_APPLY, then APPLIED
//   all applied: ACTION_WATCH; RENEW ───> the lease holds on
//   negotiator_keep: KEEP ──────────────> the new values outlive the lease
//   anything else: WITHDRAW ────────────> ACTION_ROLLBACK, or only the release
//   silence ────────────────────────────> the lease expires: ACTION_ROLLBACK
//
// What it promises, whatever the other agents and the network do:
// - at most one negotiation holds a place ("a->b", "d") at a time, and only the newest token acts;
// - values that were applied and neither kept nor held by a live lease go back to the old ones;
// - a negotiation ends: rounds, depth, resends and times are bounded by the options;
// - messages may be lost, doubled, delayed and reordered.
//
// A lease is not durable: a host that starts again puts its kept values back before it joins under
// a larger incarnation. And no protocol makes KEEP atomic over a network that may stop in between
// (two generals): then the outcome says UNCONFIRMED.
//
//     Negotiator *n = negotiator_create(&(NegotiatorOptions){.agent = SLICE("b"), .owns = ...});
//     negotiator_receive(n, now_ns, from, &message);       // or _tick, _propose, _decide, ...
//     for (NegotiatorAction a; negotiator_next_action(n, &a);) {
//         switch (a.kind) { case ACTION_SEND: ... }
//     }
//
// Drain the actions after every call; other calls may be made while draining, what they want done
// comes behind. What an action points at lives through the first call after the one that took it
// out, so it may be passed to that. One thread. Times are those of any
// clock that does not go back.
#ifndef MANAGE_NEGOTIATOR_H
#define MANAGE_NEGOTIATOR_H

#include "manage/message.h"
#include "os/clock.h"

typedef struct Negotiator Negotiator;

enum {
    NEGOTIATOR_DEPTH_MAX = 3,   // how far a request may be passed on; the defaults of the options
    NEGOTIATOR_ROUNDS_MAX = 4,  // plans of one negotiation
    NEGOTIATOR_DEALS_MAX = 16,  // as proposer at one time
    NEGOTIATOR_GRANTS_MAX = 64, // as owner, those that only remember included
    NEGOTIATOR_RESENDS_MAX = 5, // of one message
    NEGOTIATOR_PARTIES_MAX = 16,
    NEGOTIATOR_ACTIONS_MAX = 4096, // that one call may make
};

#define NEGOTIATOR_ANSWER_NS NS_PER_S // defaults, too
#define NEGOTIATOR_RESEND_NS (200 * NS_PER_MS)
#define NEGOTIATOR_LEASE_NS  (10 * NS_PER_S)
#define NEGOTIATOR_HOLD_NS   (600 * NS_PER_S)
#define NEGOTIATOR_UNDO_NS   (10 * NS_PER_S)

typedef struct NegotiatorOptions { // zero: the default
    Slice agent;
    // Larger at every start of this agent: tokens of a former life are then always older.
    uint64_t incarnation;
    bool (*owns)(void *ctx, Slice param); // is this parameter ours to change?
    void *ctx;
    uint32_t depth_max, rounds_max, resends_max, deals_max, grants_max; // at most the names above,
                                                                        // but depth: 16
    int64_t answer_ns; // how long a party may be silent in a round
    int64_t resend_ns;
    int64_t lease_ns; // that this owner gives
    int64_t hold_ns;  // longest that one negotiation may hold a lease here, however often renewed
    int64_t undo_ns;  // after KEEP: how long the proposer may still take it back
} NegotiatorOptions;

Negotiator *negotiator_create(const NegotiatorOptions *options);
void negotiator_destroy(Negotiator *n); // NULL is fine; says goodbye to nobody

// ---- proposing

typedef struct NegotiationPlan {
    const MessageChange *changes;
    const Slice *owners; // of each change, by name; this agent's own are fine
    size_t change_count;
    // Without changes: `asked` is asked to bring about `constraints`; it may only reject or
    // counter.
    Slice asked;
    const MessageConstraint *constraints;
    size_t constraint_count;
    ProposalEstimates predicted;
    MessageDirection direction;
    Slice text;
    // JSON, goes along in every PROPOSE: the whole plan, so that an owner, who is asked for its
    // part only, can judge it in its place. May be empty.
    Slice document;
    int64_t for_ns;   // until everybody must have agreed and applied, all rounds together
    int64_t watch_ns; // how long negotiator_keep may be waited for afterwards
} NegotiationPlan;

// *ret_deal names the negotiation here. ERR_ARG; ERR_LIMIT: too many deals or parties.
MUST_USE int negotiator_propose(Negotiator *n, int64_t now_ns, const NegotiationPlan *plan,
                                uint64_t *ret_deal, Err *e);
// In place of negotiator_decide: asks others first, for changes of places that the grant itself
// does not ask for. The proposer of `grant` hears DEFER. When all of them accept, ACTION_VALIDATE
// comes again with `supported` set (their leases wait); when not, ACTION_REPLAN of the deal: revise
// it, or give it up and ACTION_VALIDATE comes again with `refused` set. ERR_LIMIT: too deep;
// ERR_TIMEOUT: no time left; ERR_NOT_FOUND: no such grant.
MUST_USE int negotiator_propose_for(Negotiator *n, int64_t now_ns, uint64_t grant,
                                    const NegotiationPlan *plan, uint64_t *ret_deal, Err *e);
// After ACTION_REPLAN: the next round. `for_ns` and `watch_ns` of the plan are not looked at.
// ERR_LIMIT when the rounds are used up, ERR_TIMEOUT, ERR_NOT_FOUND.
MUST_USE int negotiator_revise(Negotiator *n, int64_t now_ns, uint64_t deal,
                               const NegotiationPlan *plan, Err *e);
// After ACTION_WATCH. ERR_NOT_FOUND when it is not being watched any more.
MUST_USE int negotiator_keep(Negotiator *n, int64_t now_ns, uint64_t deal, Err *e);
// In any state: back to the old values everywhere. Nothing happens for a deal that has ended.
void negotiator_withdraw(Negotiator *n, int64_t now_ns, uint64_t deal, MessageReason reason,
                         Slice text);

// ---- owning

typedef struct NegotiatorDecision {
    MessageType answer;   // ACCEPT, REJECT or COUNTER
    MessageReason reason; // REJECT
    Slice text;
    const MessageConstraint *constraints; // REJECT, COUNTER
    size_t constraint_count;
    const MessageChange *changes; // COUNTER
    size_t change_count;
    ProposalEstimates predicted; // what this owner expects
} NegotiatorDecision;

// Answers ACTION_VALIDATE; a place that was leased to somebody meanwhile makes an ACCEPT a REJECT.
// Nothing happens when the proposer has gone meanwhile.
void negotiator_decide(Negotiator *n, int64_t now_ns, uint64_t grant,
                       const NegotiatorDecision *decision);
// Answers ACTION_APPLY: every one must be answered. `old`: what to set to undo it. With ok false
// nothing was changed.
void negotiator_applied(Negotiator *n, int64_t now_ns, uint64_t grant, bool ok,
                        const MessageChange *old, size_t old_count, Slice text);
// Answers ACTION_ROLLBACK. With ok false it is asked for again after resend_ns, and the place stays
// taken until it worked.
void negotiator_rolled_back(Negotiator *n, int64_t now_ns, uint64_t grant, bool ok);

// ---- the world

// Messages of types that are no part of a negotiation are ignored, LEAVE and JOIN excepted.
void negotiator_receive(Negotiator *n, int64_t now_ns, Slice from, const Message *m);
void negotiator_tick(Negotiator *n, int64_t now_ns);
int64_t negotiator_next_due(const Negotiator *n); // when to tick next; NEVER_NS
// This agent goes: withdraws what it proposed, rolls back what others changed here, tells both.
void negotiator_leave(Negotiator *n, int64_t now_ns);

typedef enum NegotiationOutcome {
    NEGOTIATION_NOTHING,     // no agreement; nothing was changed
    NEGOTIATION_KEPT,        // everybody keeps it
    NEGOTIATION_ROLLED_BACK, // was applied somewhere and is back, confirmed by all
    // Somebody did not confirm the way back. What it holds by lease expires by itself; what it
    // kept while its answer was lost stays.
    NEGOTIATION_UNCONFIRMED,
    NEGOTIATION_OUTCOMES,
} NegotiationOutcome;
extern const char *const NEGOTIATION_OUTCOME_NAMES[NEGOTIATION_OUTCOMES + 1];

typedef enum GrantState {
    GRANT_VALIDATING,
    GRANT_ASKING, // others, by a negotiation of its own
    GRANT_LEASED, // accepted
    GRANT_APPLYING,
    GRANT_APPLIED,
    GRANT_KEPT,
    GRANT_ROLLING_BACK,
    GRANT_ROLLED_BACK,
    GRANT_RELEASED, // ended without a change: rejected, countered, withdrawn, expired
    GRANT_STATES,
} GrantState;
extern const char *const GRANT_STATE_NAMES[GRANT_STATES + 1];

typedef enum DealState {
    DEAL_PREPARING,
    DEAL_PREPARED, // everybody accepted; a deal for somebody else's waits for its COMMIT
    DEAL_REPLANNING,
    DEAL_COMMITTING,
    DEAL_WATCHING,
    DEAL_KEEPING,
    DEAL_WITHDRAWING,
    DEAL_KEPT, // one that served another: may still be taken back along with it
    DEAL_STATES,
} DealState;
extern const char *const DEAL_STATE_NAMES[DEAL_STATES + 1];

// One party's answer in a round that came to nothing.
typedef struct PartyAnswer {
    Slice agent;
    MessageType answer;   // ACCEPT, REJECT, COUNTER; DEFER: had not decided; TYPES: never answered
    MessageReason reason; // REASON_NO_ANSWER for the last two
    Slice text;
    MessageConstraint *constraints;
    size_t constraint_count;
    MessageChange *changes; // COUNTER
    size_t change_count;
    ProposalEstimates predicted;
} PartyAnswer;

typedef enum ActionKind {
    ACTION_SEND,     // `message` to `peer`, under a new idempotency key
    ACTION_VALIDATE, // `message` is the PROPOSE of `peer`; answer with decide or propose_for
    ACTION_APPLY,    // set `changes`; answer with applied
    ACTION_ROLLBACK, // set `changes`, the old values; answer with rolled_back
    ACTION_REPLAN,   // `answers` of round `round`; answer with revise or withdraw, within answer_ns
    ACTION_WATCH,    // all is applied; answer with keep or withdraw, within watch_ns
    ACTION_ENDED,    // of the deal: `outcome`, `reason`, `answers`. One that served another and was
                     // kept may end a second time when it is taken back
    ACTION_GRANT,    // the grant of `peer` came into `grant_state`, for the record
    ACTION_DEAL,     // the deal came into `deal_state`, for the record
} ActionKind;

typedef struct NegotiatorAction {
    ActionKind kind;
    uint64_t deal, grant;
    Slice negotiation;
    Slice peer;
    const Message *message;
    const MessageChange *changes;
    size_t change_count;
    const PartyAnswer *answers;
    size_t answer_count;
    uint32_t round, rounds_left;
    bool supported, refused; // ACTION_VALIDATE after propose_for
    NegotiationOutcome outcome;
    GrantState grant_state;
    DealState deal_state;
    MessageReason reason;
    Slice text;
} NegotiatorAction;

// False when there is none.
bool negotiator_next_action(Negotiator *n, NegotiatorAction *ret_action);

// ---- to look at

typedef struct LeaseView {
    Slice place;
    Slice holder;      // the proposer
    Slice negotiation; //
    uint64_t token;
    int64_t until_ns;
    GrantState state;
} LeaseView;

// The places that are taken now; returns how many there are, fills at most `max`.
size_t negotiator_leases(const Negotiator *n, LeaseView *ret, size_t max);
size_t negotiator_deals(const Negotiator *n); // that have not ended

#endif
