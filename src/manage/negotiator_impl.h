// What the files of the negotiator share: negotiator.c (calls, actions, time), negotiator_deal.c
// (the proposer's side), negotiator_plan.c (its plans), negotiator_grant.c (the owner's side).
#ifndef MANAGE_NEGOTIATOR_IMPL_H
#define MANAGE_NEGOTIATOR_IMPL_H

#include "base/arena.h"
#include "base/ring.h"
#include "manage/lease.h"
#include "manage/negotiator.h"

enum {
    DEAL_ARENA_MAX = 256 << 20, // ceilings that bounded messages and bounded numbers stay below
    GRANT_ARENA_MAX = 256 << 20,
    ACTION_ARENA_MAX = 1 << 30,
    AGENTS_KNOWN_MAX = 256, // whose incarnation is remembered
};

typedef enum PartyState {
    PARTY_ASKED,
    PARTY_DEFERRED,
    PARTY_ACCEPTED,
    PARTY_REFUSED, // rejected or countered
    PARTY_COMMITTING,
    PARTY_APPLIED,
    PARTY_KEEPING,
    PARTY_KEPT,
    PARTY_WITHDRAWING,
    PARTY_GONE, // holds nothing of this negotiation any more
    PARTY_LOST, // went away while it may have kept it
} PartyState;

typedef struct Party {
    Slice name;
    PartyState state;
    uint64_t token;
    int64_t asked_ns;       // when what it has not answered yet was sent first
    int64_t lease_until_ns; // as the proposer may rely on: counted from before the owner counts
    int64_t renew_at_ns;
    int64_t renew_sent_ns; // 0: no RENEW is unanswered
    int64_t resend_at_ns;
    uint32_t resends;
    PartyAnswer answer;
} Party;

typedef struct Deal {
    uint64_t id;
    bool ended;
    Arena *arena;       // of all rounds
    Arena *round_arena; // of the plan and the answers of this one
    Slice negotiation, root;
    uint64_t grant; // that this serves; 0: none
    uint32_t depth, round;
    DealState state;
    int64_t deadline_ns; // of the agreement
    int64_t round_due_ns;
    int64_t watch_ns, watch_until_ns;
    bool committed; // a COMMIT was sent, so something may be applied
    bool keep_sent; // a KEEP was sent, so something may be kept
    Message plan;   // what this round proposes
    Slice *owners;  // of its changes
    Party parties[NEGOTIATOR_PARTIES_MAX];
    size_t party_count;
    MessageReason reason; // why it withdraws
    Slice text;
} Deal;

typedef struct Grant {
    uint64_t id;
    bool dead;
    Arena *arena; // of this round
    char proposer[MESSAGE_NAME_MAX + 1];
    GrantState state;
    Message proposal;
    MessageChange *own; // the changes that are ours
    size_t own_count;
    MessageChange *old;
    size_t old_count;
    Message answer; // to the proposal, to be repeated for doubles
    bool answered;
    uint32_t asked;      // negotiations with others about it
    bool undo;           // withdrawn or expired while it was being applied
    bool tell_withdrawn; // when it is back
    bool keep_asked;
    bool child_applying; // ACTION_APPLY waits for the deal below
    uint64_t deal;       // that supports it; 0: none
    uint64_t token;
    int64_t deadline_ns;    // of the proposer's patience
    int64_t lease_until_ns; // while leased, applying or applied
    int64_t hold_until_ns;
    int64_t due_ns; // of KEPT: undo ends; ROLLING_BACK: try again; ended: forget
} Grant;

typedef struct KnownAgent {
    char name[MESSAGE_NAME_MAX + 1];
    uint64_t incarnation;
} KnownAgent;

struct Negotiator {
    NegotiatorOptions options;
    char agent[MESSAGE_NAME_MAX + 1];
    bool left;
    uint64_t last_id; // of deals and grants
    Deal *deals[NEGOTIATOR_DEALS_MAX];
    Grant *grants[NEGOTIATOR_GRANTS_MAX];
    LeaseTable leases;
    KnownAgent *known;
    size_t known_count, known_next;
    Ring actions;
    Arena *action_arena; // of what they point at
    Arena *former_arena; // of the call before: its actions may be this call's arguments
    Ring inbox;          // messages to itself
};

static inline Slice self_of(const Negotiator *n)
{
    return slice_from_cstr(n->agent);
}

// ---- negotiator.c

// Around every call from outside.
void neg_begin(Negotiator *n);
void neg_finish(Negotiator *n, int64_t now_ns);

// A deep copy goes to `to`, or into the own inbox when that is this agent. `to` empty: everybody.
void neg_send(Negotiator *n, Slice to, const Message *m);
// Copies everything that the action points at.
void neg_act(Negotiator *n, const NegotiatorAction *action);
// What a party answered, copied.
PartyAnswer neg_answer_of(Arena *arena, const Message *m);
bool neg_is_self(const Negotiator *n, Slice agent);

// ---- negotiator_deal.c: the proposer

Deal *deal_by_id(Negotiator *n, uint64_t id);
Deal *deal_by_name(Negotiator *n, Slice negotiation);
void deal_free(Deal *d);
void deal_receive(Negotiator *n, int64_t now_ns, Deal *d, Slice from, const Message *m);
void deal_tick(Negotiator *n, int64_t now_ns, Deal *d);
int64_t deal_due(const Deal *d);
// NULL: it is no party of this round.
Party *deal_party(Deal *d, Slice name);
// Asks the parties of the plan.
void deal_start_round(Negotiator *n, int64_t now_ns, Deal *d);
// For the grant that it serves.
void deal_commit(Negotiator *n, int64_t now_ns, Deal *d);
void deal_keep(Negotiator *n, int64_t now_ns, Deal *d);
void deal_withdraw(Negotiator *n, int64_t now_ns, Deal *d, MessageReason reason, Slice text);
void deal_party_left(Negotiator *n, int64_t now_ns, Deal *d, Slice agent);

// ---- negotiator_grant.c: the owner

Grant *grant_by_id(Negotiator *n, uint64_t id);
void grant_free(Grant *g);
void grant_receive(Negotiator *n, int64_t now_ns, Slice from, const Message *m);
void grant_tick(Negotiator *n, int64_t now_ns, Grant *g);
int64_t grant_due(const Grant *g);
// Its proposer is gone, or this agent goes.
void grant_abandon(Negotiator *n, int64_t now_ns, Grant *g);
// From the deal that supports it.
void grant_child_prepared(Negotiator *n, int64_t now_ns, Grant *g);
void grant_child_applied(Negotiator *n, int64_t now_ns, Grant *g);
void grant_child_kept(Negotiator *n, int64_t now_ns, Grant *g);
void grant_child_lost(Negotiator *n, int64_t now_ns, Grant *g, const Deal *d);

#endif
