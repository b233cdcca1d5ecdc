#include "manage/negotiator.h"

#include <assert.h>

#include "manage/negotiator_impl.h"

const char *const NEGOTIATION_OUTCOME_NAMES[NEGOTIATION_OUTCOMES + 1] = {
    [NEGOTIATION_NOTHING] = "nothing",
    [NEGOTIATION_KEPT] = "kept",
    [NEGOTIATION_ROLLED_BACK] = "rolled_back",
    [NEGOTIATION_UNCONFIRMED] = "unconfirmed",
};

const char *const GRANT_STATE_NAMES[GRANT_STATES + 1] = {
    [GRANT_VALIDATING] = "validating",
    [GRANT_ASKING] = "asking",
    [GRANT_LEASED] = "leased",
    [GRANT_APPLYING] = "applying",
    [GRANT_APPLIED] = "applied",
    [GRANT_KEPT] = "kept",
    [GRANT_ROLLING_BACK] = "rolling_back",
    [GRANT_ROLLED_BACK] = "rolled_back",
    [GRANT_RELEASED] = "released",
};

const char *const DEAL_STATE_NAMES[DEAL_STATES + 1] = {
    [DEAL_PREPARING] = "preparing",     [DEAL_PREPARED] = "prepared",
    [DEAL_REPLANNING] = "replanning",   [DEAL_COMMITTING] = "committing",
    [DEAL_WATCHING] = "watching",       [DEAL_KEEPING] = "keeping",
    [DEAL_WITHDRAWING] = "withdrawing", [DEAL_KEPT] = "kept",
};

// Tokens of one life lie in 2^20 of them; a life that has used them up goes on into the next one's,
// which only a restart within the same second as 2^20 leases could meet.
enum { TOKEN_BITS = 20, INCARNATION_BITS = 42, DEPTH_CEILING = 16 };

static uint32_t or_default(uint32_t value, uint32_t otherwise, uint32_t ceiling)
{
    value = value ? value : otherwise;
    return value < ceiling ? value : ceiling;
}

static int64_t or_default_ns(int64_t value, int64_t otherwise)
{
    return value > 0 ? value : otherwise;
}

Negotiator *negotiator_create(const NegotiatorOptions *options)
{
    assert(options->agent.len > 0 && options->agent.len <= MESSAGE_NAME_MAX && options->owns);
    Negotiator *n = mem_zalloc(sizeof *n);
    NegotiatorOptions *o = &n->options;
    *o = *options;
    o->depth_max = or_default(o->depth_max, NEGOTIATOR_DEPTH_MAX, DEPTH_CEILING);
    o->rounds_max = or_default(o->rounds_max, NEGOTIATOR_ROUNDS_MAX, NEGOTIATOR_ROUNDS_MAX);
    o->resends_max = or_default(o->resends_max, NEGOTIATOR_RESENDS_MAX, NEGOTIATOR_RESENDS_MAX);
    o->deals_max = or_default(o->deals_max, NEGOTIATOR_DEALS_MAX, NEGOTIATOR_DEALS_MAX);
    o->grants_max = or_default(o->grants_max, NEGOTIATOR_GRANTS_MAX, NEGOTIATOR_GRANTS_MAX);
    o->answer_ns = or_default_ns(o->answer_ns, NEGOTIATOR_ANSWER_NS);
    o->resend_ns = or_default_ns(o->resend_ns, NEGOTIATOR_RESEND_NS);
    o->lease_ns = or_default_ns(o->lease_ns, NEGOTIATOR_LEASE_NS);
    o->hold_ns = or_default_ns(o->hold_ns, NEGOTIATOR_HOLD_NS);
    o->undo_ns = or_default_ns(o->undo_ns, NEGOTIATOR_UNDO_NS);
    o->incarnation &= (UINT64_C(1) << INCARNATION_BITS) - 1;
    memcpy(n->agent, options->agent.ptr, options->agent.len);
    o->agent = self_of(n);
    n->leases = lease_table(o->incarnation << TOKEN_BITS);
    n->known = mem_zalloc(AGENTS_KNOWN_MAX * sizeof *n->known);
    n->actions = ring_create(NEGOTIATOR_ACTIONS_MAX, sizeof(NegotiatorAction));
    n->inbox = ring_create(NEGOTIATOR_ACTIONS_MAX, sizeof(Message));
    n->action_arena = arena_create(ACTION_ARENA_MAX);
    n->former_arena = arena_create(ACTION_ARENA_MAX);
    return n;
}

void negotiator_destroy(Negotiator *n)
{
    if (!n) {
        return;
    }
    for (size_t i = 0; i < NEGOTIATOR_DEALS_MAX; i++) {
        deal_free(n->deals[i]);
    }
    for (size_t i = 0; i < NEGOTIATOR_GRANTS_MAX; i++) {
        grant_free(n->grants[i]);
    }
    lease_table_done(&n->leases);
    free(n->known);
    ring_done(&n->actions);
    ring_done(&n->inbox);
    arena_destroy(n->action_arena);
    arena_destroy(n->former_arena);
    free(n);
}

// ---- actions

bool neg_is_self(const Negotiator *n, Slice agent)
{
    return slice_eq_cstr(agent, n->agent);
}

static Slice keep_text(Arena *arena, Slice s)
{
    return s.len > 0 ? arena_copy(arena, s) : (Slice){0};
}

PartyAnswer neg_answer_of(Arena *arena, const Message *m)
{
    Message copy = message_copy(arena, m);
    return (PartyAnswer){.answer = m->type,
                         .reason = m->reason,
                         .text = copy.text,
                         .constraints = copy.constraints,
                         .constraint_count = copy.constraint_count,
                         .changes = copy.changes,
                         .change_count = copy.change_count,
                         .predicted = copy.predicted};
}

static const PartyAnswer *keep_answers(Arena *arena, const PartyAnswer *answers, size_t count)
{
    PartyAnswer *copy = ARENA_ARRAY(arena, PartyAnswer, count + 1);
    for (size_t i = 0; i < count; i++) {
        const PartyAnswer *from = &answers[i];
        // Answers are parts of messages: copied as one.
        copy[i] = neg_answer_of(arena, &(Message){.type = from->answer,
                                                  .reason = from->reason,
                                                  .text = from->text,
                                                  .constraints = from->constraints,
                                                  .constraint_count = from->constraint_count,
                                                  .changes = from->changes,
                                                  .change_count = from->change_count,
                                                  .predicted = from->predicted});
        copy[i].agent = keep_text(arena, from->agent);
    }
    return copy;
}

void neg_act(Negotiator *n, const NegotiatorAction *action)
{
    Arena *arena = n->action_arena;
    NegotiatorAction a = *action;
    a.negotiation = keep_text(arena, a.negotiation);
    a.peer = keep_text(arena, a.peer);
    a.text = keep_text(arena, a.text);
    if (a.message) {
        Message *m = ARENA_NEW(arena, Message);
        *m = message_copy(arena, a.message);
        a.message = m;
    }
    if (a.change_count > 0) {
        MessageChange *changes = ARENA_ARRAY(arena, MessageChange, a.change_count);
        for (size_t i = 0; i < a.change_count; i++) {
            changes[i] = (MessageChange){keep_text(arena, a.changes[i].param),
                                         keep_text(arena, a.changes[i].value)};
        }
        a.changes = changes;
    }
    a.answers = keep_answers(arena, a.answers, a.answer_count);
    bool pushed = ring_push(&n->actions, &a);
    assert(pushed); // the caller drains after every call, and one makes far fewer
}

void neg_send(Negotiator *n, Slice to, const Message *m)
{
    if (neg_is_self(n, to)) {
        Message copy = message_copy(n->action_arena, m);
        bool pushed = ring_push(&n->inbox, &copy);
        assert(pushed);
        return;
    }
    neg_act(n, &(NegotiatorAction){
                   .kind = ACTION_SEND, .peer = to, .negotiation = m->negotiation, .message = m});
}

bool negotiator_next_action(Negotiator *n, NegotiatorAction *ret_action)
{
    return ring_pop(&n->actions, ret_action);
}

// ---- calls

// What ended in an earlier call goes now: within a call pointers to it stay good.
static void sweep(Negotiator *n)
{
    for (size_t i = 0; i < NEGOTIATOR_DEALS_MAX; i++) {
        if (n->deals[i] && n->deals[i]->ended) {
            deal_free(n->deals[i]);
            n->deals[i] = NULL;
        }
    }
    for (size_t i = 0; i < NEGOTIATOR_GRANTS_MAX; i++) {
        if (n->grants[i] && n->grants[i]->dead) {
            grant_free(n->grants[i]);
            n->grants[i] = NULL;
        }
    }
}

// A host that calls from within its loop over the actions finds those that are left behind the new
// ones: memory is only taken back when there are none.
void neg_begin(Negotiator *n)
{
    if (n->actions.count == 0) {
        Arena *former = n->former_arena;
        n->former_arena = n->action_arena;
        n->action_arena = former;
        arena_reset(n->action_arena);
    }
    sweep(n);
}

// The proposer's messages go to the owner's side and the other way round.
static void route(Negotiator *n, int64_t now_ns, Slice from, const Message *m)
{
    switch (m->type) {
    case MESSAGE_PROPOSE:
    case MESSAGE_COMMIT:
    case MESSAGE_RENEW:
    case MESSAGE_KEEP:
    case MESSAGE_WITHDRAW: grant_receive(n, now_ns, from, m); break;
    case MESSAGE_ACCEPT:
    case MESSAGE_REJECT:
    case MESSAGE_COUNTER:
    case MESSAGE_DEFER:
    case MESSAGE_APPLIED:
    case MESSAGE_FAILED:
    case MESSAGE_RENEWED:
    case MESSAGE_KEPT:
    case MESSAGE_WITHDRAWN: {
        Deal *d = deal_by_name(n, m->negotiation);
        if (d) {
            deal_receive(n, now_ns, d, from, m);
        } else if (m->type == MESSAGE_ACCEPT) {
            // Too late: it need not wait for the end of its lease.
            neg_send(n, from,
                     &(Message){.type = MESSAGE_WITHDRAW,
                                .negotiation = m->negotiation,
                                .round = m->round,
                                .reason = REASON_STALE});
        }
        break;
    }
    case MESSAGE_ANNOUNCE:
    case MESSAGE_QUERY:
    case MESSAGE_ANSWER:
    case MESSAGE_METRICS:
    case MESSAGE_JOIN:
    case MESSAGE_LEAVE:
    case MESSAGE_TYPES: break;
    }
}

// Messages to oneself, until there are none: each moves a bounded machine forward.
void neg_finish(Negotiator *n, int64_t now_ns)
{
    Message m;
    while (ring_pop(&n->inbox, &m)) {
        route(n, now_ns, self_of(n), &m);
    }
}

// ---- agents that come and go

static KnownAgent *known_agent(Negotiator *n, Slice name)
{
    for (size_t i = 0; i < n->known_count; i++) {
        if (slice_eq_cstr(name, n->known[i].name)) {
            return &n->known[i];
        }
    }
    // Past the ceiling the oldest is forgotten: then a late double of its JOIN counts again.
    KnownAgent *fresh = &n->known[n->known_next];
    n->known_next = (n->known_next + 1) % AGENTS_KNOWN_MAX;
    n->known_count += n->known_count < AGENTS_KNOWN_MAX;
    *fresh = (KnownAgent){0};
    memcpy(fresh->name, name.ptr, name.len);
    return fresh;
}

static void agent_is_gone(Negotiator *n, int64_t now_ns, Slice agent)
{
    for (size_t i = 0; i < NEGOTIATOR_DEALS_MAX; i++) {
        if (n->deals[i] && !n->deals[i]->ended) {
            deal_party_left(n, now_ns, n->deals[i], agent);
        }
    }
    for (size_t i = 0; i < NEGOTIATOR_GRANTS_MAX; i++) {
        Grant *g = n->grants[i];
        if (g && !g->dead && slice_eq_cstr(agent, g->proposer)) {
            grant_abandon(n, now_ns, g);
        }
    }
}

// A JOIN of a new incarnation says that the former one ended without saying so.
static void receive_presence(Negotiator *n, int64_t now_ns, Slice from, const Message *m)
{
    KnownAgent *known = known_agent(n, from);
    bool first = known->incarnation == 0;
    if (m->type == MESSAGE_JOIN && m->token > known->incarnation) {
        known->incarnation = m->token;
        if (!first) {
            agent_is_gone(n, now_ns, from);
        }
    } else if (m->type == MESSAGE_LEAVE && m->token >= known->incarnation) {
        known->incarnation = m->token;
        agent_is_gone(n, now_ns, from);
    }
}

void negotiator_receive(Negotiator *n, int64_t now_ns, Slice from, const Message *m)
{
    neg_begin(n);
    if (from.len == 0 || from.len > MESSAGE_NAME_MAX || neg_is_self(n, from)) {
        return; // nobody else speaks for this agent
    }
    if (m->type == MESSAGE_JOIN || m->type == MESSAGE_LEAVE) {
        receive_presence(n, now_ns, from, m);
    } else {
        route(n, now_ns, from, m);
    }
    neg_finish(n, now_ns);
}

void negotiator_leave(Negotiator *n, int64_t now_ns)
{
    neg_begin(n);
    n->left = true;
    for (size_t i = 0; i < NEGOTIATOR_DEALS_MAX; i++) {
        if (n->deals[i] && !n->deals[i]->ended) {
            deal_withdraw(n, now_ns, n->deals[i], REASON_LEFT, SLICE("the proposer leaves"));
        }
    }
    for (size_t i = 0; i < NEGOTIATOR_GRANTS_MAX; i++) {
        if (n->grants[i] && !n->grants[i]->dead) {
            grant_abandon(n, now_ns, n->grants[i]);
        }
    }
    neg_send(n, (Slice){0}, &(Message){.type = MESSAGE_LEAVE, .token = n->options.incarnation});
    neg_finish(n, now_ns);
}

// ---- time

void negotiator_tick(Negotiator *n, int64_t now_ns)
{
    neg_begin(n);
    // Owners first: a lease that is over must not be renewed by what comes in the same instant.
    for (size_t i = 0; i < NEGOTIATOR_GRANTS_MAX; i++) {
        if (n->grants[i] && !n->grants[i]->dead) {
            grant_tick(n, now_ns, n->grants[i]);
        }
    }
    for (size_t i = 0; i < NEGOTIATOR_DEALS_MAX; i++) {
        if (n->deals[i] && !n->deals[i]->ended) {
            deal_tick(n, now_ns, n->deals[i]);
        }
    }
    neg_finish(n, now_ns);
}

int64_t negotiator_next_due(const Negotiator *n)
{
    int64_t due = NEVER_NS;
    for (size_t i = 0; i < NEGOTIATOR_DEALS_MAX; i++) {
        if (n->deals[i] && !n->deals[i]->ended) {
            int64_t one = deal_due(n->deals[i]);
            due = one < due ? one : due;
        }
    }
    for (size_t i = 0; i < NEGOTIATOR_GRANTS_MAX; i++) {
        if (n->grants[i] && !n->grants[i]->dead) {
            int64_t one = grant_due(n->grants[i]);
            due = one < due ? one : due;
        }
    }
    return due;
}

// ---- to look at

size_t negotiator_deals(const Negotiator *n)
{
    size_t count = 0;
    for (size_t i = 0; i < NEGOTIATOR_DEALS_MAX; i++) {
        count += n->deals[i] && !n->deals[i]->ended && n->deals[i]->state != DEAL_KEPT;
    }
    return count;
}

size_t negotiator_leases(const Negotiator *n, LeaseView *ret, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < n->leases.count; i++) {
        const Lease *lease = &n->leases.items[i];
        for (size_t k = 0; lease->grant != 0 && k < NEGOTIATOR_GRANTS_MAX; k++) {
            const Grant *g = n->grants[k];
            if (!g || g->id != lease->grant) {
                continue;
            }
            if (count < max) {
                ret[count] = (LeaseView){.place = slice_from_cstr(lease->place),
                                         .holder = slice_from_cstr(g->proposer),
                                         .negotiation = g->proposal.negotiation,
                                         .token = g->token,
                                         .until_ns = g->lease_until_ns,
                                         .state = g->state};
            }
            count++;
        }
    }
    return count;
}
