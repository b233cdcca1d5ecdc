// The owner's side of a negotiation: what was asked of this agent and what it granted.
//
//   VALIDATING <──> ASKING (others)          a deal of its own, which its leases wait for
//       │ ACCEPT
//       v
//     LEASED ── COMMIT ──> APPLYING ──> APPLIED ── KEEP ──> KEPT (may be taken back for undo_ns)
//       │                     │            │                  │
//       v                     v            v                  v
//    RELEASED            (not applied)  ROLLING_BACK ──> ROLLED_BACK
//
// A lease that is over ends LEASED and APPLIED whatever the proposer does. An ended grant is
// remembered for a while, so that doubles are answered as the first time.
#include <assert.h>

#include "manage/negotiator_impl.h"

// ---- finding and ending

Grant *grant_by_id(Negotiator *n, uint64_t id)
{
    for (size_t i = 0; i < NEGOTIATOR_GRANTS_MAX; i++) {
        if (n->grants[i] && n->grants[i]->id == id && !n->grants[i]->dead) {
            return n->grants[i];
        }
    }
    return NULL;
}

static Grant *find(Negotiator *n, Slice proposer, Slice negotiation)
{
    for (size_t i = 0; i < NEGOTIATOR_GRANTS_MAX; i++) {
        Grant *g = n->grants[i];
        if (g && !g->dead && slice_eq_cstr(proposer, g->proposer) &&
            slice_eq(g->proposal.negotiation, negotiation)) {
            return g;
        }
    }
    return NULL;
}

void grant_free(Grant *g)
{
    if (g) {
        arena_destroy(g->arena);
        free(g);
    }
}

static bool is_over(const Grant *g)
{
    return g->state == GRANT_RELEASED || g->state == GRANT_ROLLED_BACK || g->state == GRANT_KEPT;
}

static Slice proposer_of(const Grant *g)
{
    return slice_from_cstr(g->proposer);
}

static void enter(Negotiator *n, Grant *g, GrantState state, MessageReason reason)
{
    g->state = state;
    neg_act(n, &(NegotiatorAction){.kind = ACTION_GRANT,
                                   .grant = g->id,
                                   .deal = g->deal,
                                   .negotiation = g->proposal.negotiation,
                                   .peer = proposer_of(g),
                                   .round = g->proposal.round,
                                   .grant_state = state,
                                   .reason = reason});
}

static void reply(Negotiator *n, const Grant *g, MessageType type)
{
    neg_send(n, proposer_of(g),
             &(Message){.type = type,
                        .negotiation = g->proposal.negotiation,
                        .round = g->proposal.round,
                        .token = g->token});
}

static void reply_failed(Negotiator *n, const Grant *g, MessageReason reason, Slice text)
{
    neg_send(n, proposer_of(g),
             &(Message){.type = MESSAGE_FAILED,
                        .negotiation = g->proposal.negotiation,
                        .round = g->proposal.round,
                        .token = g->token,
                        .reason = reason,
                        .text = text});
}

// The deal goes its way back by itself; it reports to nobody any more.
static void drop_child(Negotiator *n, int64_t now_ns, Grant *g, MessageReason reason)
{
    Deal *d = g->deal ? deal_by_id(n, g->deal) : NULL;
    g->deal = 0;
    if (d) {
        deal_withdraw(n, now_ns, d, reason, SLICE("what it was asked for is over"));
    }
}

static void release(Negotiator *n, int64_t now_ns, Grant *g, MessageReason reason)
{
    lease_release(&n->leases, g->id);
    drop_child(n, now_ns, g, reason);
    g->due_ns = clock_deadline(now_ns, n->options.undo_ns);
    enter(n, g, GRANT_RELEASED, reason);
}

static void roll_back(Negotiator *n, int64_t now_ns, Grant *g, MessageReason reason)
{
    g->due_ns = NEVER_NS; // until the host says how it went
    drop_child(n, now_ns, g, reason);
    enter(n, g, GRANT_ROLLING_BACK, reason);
    neg_act(n, &(NegotiatorAction){.kind = ACTION_ROLLBACK,
                                   .grant = g->id,
                                   .negotiation = g->proposal.negotiation,
                                   .peer = proposer_of(g),
                                   .changes = g->old,
                                   .change_count = g->old_count,
                                   .reason = reason});
}

void negotiator_rolled_back(Negotiator *n, int64_t now_ns, uint64_t grant, bool ok)
{
    neg_begin(n);
    Grant *g = grant_by_id(n, grant);
    if (g && g->state == GRANT_ROLLING_BACK) {
        if (ok) {
            lease_release(&n->leases, g->id);
            g->due_ns = clock_deadline(now_ns, n->options.undo_ns);
            enter(n, g, GRANT_ROLLED_BACK, REASON_NONE);
            if (g->tell_withdrawn) {
                reply(n, g, MESSAGE_WITHDRAWN);
            }
        } else {
            g->due_ns = clock_deadline(now_ns, n->options.resend_ns);
        }
    }
    neg_finish(n, now_ns);
}

// ---- PROPOSE

static void refuse(Negotiator *n, Slice to, const Message *m, MessageReason reason, Slice text)
{
    neg_send(n, to,
             &(Message){.type = MESSAGE_REJECT,
                        .negotiation = m->negotiation,
                        .round = m->round,
                        .reason = reason,
                        .text = text});
}

// The answer, which doubles of the proposal get again. Its parts are copied.
static void answer(Negotiator *n, Grant *g, const Message *m)
{
    g->answer = message_copy(g->arena, m);
    g->answer.negotiation = g->proposal.negotiation;
    g->answer.round = g->proposal.round;
    g->answered = true;
    neg_send(n, proposer_of(g), &g->answer);
}

static void reject(Negotiator *n, int64_t now_ns, Grant *g, MessageReason reason, Slice text)
{
    answer(n, g, &(Message){.type = MESSAGE_REJECT, .reason = reason, .text = text});
    release(n, now_ns, g, reason);
}

static size_t count_own(const Negotiator *n, const Message *m)
{
    size_t own = 0;
    for (size_t i = 0; i < m->change_count; i++) {
        own += n->options.owns(n->options.ctx, m->changes[i].param);
    }
    return own;
}

static bool is_taken(const Negotiator *n, const Grant *g)
{
    for (size_t i = 0; i < g->own_count; i++) {
        const Lease *lease = lease_holder(&n->leases, message_place(g->own[i].param));
        if (lease && lease->grant != g->id) {
            return true;
        }
    }
    return false;
}

// What can be said without asking the validator.
static MessageReason cannot(const Negotiator *n, Slice from, const Message *m)
{
    bool self = neg_is_self(n, from);
    if (n->left && !self) {
        return REASON_LEFT;
    }
    if (m->depth > n->options.depth_max) {
        return REASON_DEPTH;
    }
    if (m->for_ns <= 0) {
        return REASON_DEADLINE;
    }
    if ((m->change_count == 0 && (m->constraint_count == 0 || self)) ||
        m->round > NEGOTIATOR_ROUNDS_MAX) {
        return REASON_MALFORMED;
    }
    if (m->change_count > 0 && count_own(n, m) == 0) {
        return REASON_NOT_OWNER;
    }
    return REASON_NONE;
}

static Grant *new_grant(Negotiator *n)
{
    size_t live = 0;
    Grant **place = NULL, **oldest = NULL;
    for (size_t i = 0; i < NEGOTIATOR_GRANTS_MAX; i++) {
        Grant **at = &n->grants[i];
        if (!*at) {
            place = at;
            continue;
        }
        live += !(*at)->dead;
        // One that only remembers may be forgotten; not one of this very call, it may be in use.
        if ((*at)->state != GRANT_KEPT && is_over(*at) && !(*at)->dead &&
            (!oldest || (*at)->due_ns < (*oldest)->due_ns)) {
            oldest = at;
        }
    }
    if (live >= n->options.grants_max || !place) {
        if (!oldest) {
            return NULL;
        }
        grant_free(*oldest);
        *oldest = NULL;
        place = oldest;
    }
    Grant *g = mem_zalloc(sizeof *g);
    g->id = ++n->last_id;
    g->arena = arena_create(GRANT_ARENA_MAX);
    *place = g;
    return g;
}

static void ask_validator(Negotiator *n, Grant *g, bool supported, bool refused,
                          MessageReason reason, Slice text)
{
    enter(n, g, GRANT_VALIDATING, reason);
    neg_act(n, &(NegotiatorAction){.kind = ACTION_VALIDATE,
                                   .grant = g->id,
                                   .deal = g->deal,
                                   .negotiation = g->proposal.negotiation,
                                   .peer = proposer_of(g),
                                   .message = &g->proposal,
                                   .changes = g->own,
                                   .change_count = g->own_count,
                                   .round = g->proposal.round,
                                   .supported = supported,
                                   .refused = refused,
                                   .reason = reason,
                                   .text = text});
}

static void accept(Negotiator *n, int64_t now_ns, Grant *g, const NegotiatorDecision *decision)
{
    Err e = {0};
    uint64_t token;
    int rc = lease_take(&n->leases, g->own, g->own_count, g->id, &token, &e);
    if (rc != 0) {
        reject(n, now_ns, g, rc == ERR_BUSY ? REASON_BUSY : REASON_OVERLOADED,
               slice_from_cstr(e.text));
        return;
    }
    g->token = token;
    g->lease_until_ns = clock_deadline(now_ns, n->options.lease_ns);
    g->hold_until_ns = clock_deadline(now_ns, n->options.hold_ns);
    enter(n, g, GRANT_LEASED, REASON_NONE);
    answer(n, g,
           &(Message){.type = MESSAGE_ACCEPT,
                      .token = token,
                      .for_ns = n->options.lease_ns,
                      .changes = g->own,
                      .change_count = g->own_count,
                      .text = decision->text,
                      .predicted = decision->predicted});
}

// A first proposal, or the next round of one.
static void consider(Negotiator *n, int64_t now_ns, Grant *g, Slice from, const Message *m)
{
    arena_reset(g->arena);
    memset(g->proposer, 0, sizeof g->proposer);
    memcpy(g->proposer, from.ptr, from.len);
    g->proposal = message_copy(g->arena, m);
    g->answered = g->undo = g->tell_withdrawn = g->keep_asked = g->child_applying = false;
    g->asked = 0;
    g->token = 0;
    g->old = NULL;
    g->old_count = 0;
    int64_t patience = m->for_ns < n->options.hold_ns ? m->for_ns : n->options.hold_ns;
    g->deadline_ns = clock_deadline(now_ns, patience);
    g->own = ARENA_ARRAY(g->arena, MessageChange, m->change_count + 1);
    g->own_count = 0;
    for (size_t i = 0; i < m->change_count; i++) {
        if (n->options.owns(n->options.ctx, m->changes[i].param)) {
            g->own[g->own_count++] = g->proposal.changes[i];
        }
    }
    MessageReason why = cannot(n, from, m);
    if (why != REASON_NONE) {
        reject(n, now_ns, g, why, (Slice){0});
    } else if (is_taken(n, g)) {
        reject(n, now_ns, g, REASON_BUSY, SLICE("it is leased to another negotiation"));
    } else if (neg_is_self(n, from)) {
        accept(n, now_ns, g, &(NegotiatorDecision){0}); // the proposer has validated it
    } else {
        ask_validator(n, g, false, false, REASON_NONE, (Slice){0});
    }
}

static void on_double(Negotiator *n, int64_t now_ns, const Grant *g)
{
    if (g->answered) {
        neg_send(n, proposer_of(g), &g->answer);
    } else if (!is_over(g)) {
        neg_send(n, proposer_of(g),
                 &(Message){.type = MESSAGE_DEFER,
                            .negotiation = g->proposal.negotiation,
                            .round = g->proposal.round,
                            .for_ns = g->deadline_ns > now_ns ? g->deadline_ns - now_ns : 0});
    }
}

static void on_propose(Negotiator *n, int64_t now_ns, Slice from, Grant *g, const Message *m)
{
    if (!g) {
        MessageReason why = cannot(n, from, m);
        g = why == REASON_NONE ? new_grant(n) : NULL;
        if (g) {
            consider(n, now_ns, g, from, m);
        } else {
            // Nothing is remembered of what needs no thought: a double gets the same answer.
            refuse(n, from, m, why != REASON_NONE ? why : REASON_OVERLOADED, (Slice){0});
        }
        return;
    }
    if (m->round < g->proposal.round) {
        return;
    }
    if (m->round == g->proposal.round) {
        on_double(n, now_ns, g);
        return;
    }
    switch (g->state) {
    case GRANT_VALIDATING:
    case GRANT_ASKING:
    case GRANT_LEASED:
        release(n, now_ns, g, REASON_STALE);
        consider(n, now_ns, g, from, m);
        break;
    case GRANT_RELEASED:
    case GRANT_ROLLED_BACK: consider(n, now_ns, g, from, m); break;
    case GRANT_APPLYING:
    case GRANT_APPLIED:
    case GRANT_KEPT:
    case GRANT_ROLLING_BACK: refuse(n, from, m, REASON_STALE, (Slice){0}); break;
    case GRANT_STATES: break;
    }
}

// ---- the decision

// The decision as a message, with lists of its own; what is too long for a message is cut.
static Message message_of(Grant *g, const NegotiatorDecision *decision, MessageType type)
{
    Message m = {.type = type, .predicted = decision->predicted};
    m.text = slice_sub(decision->text, 0, MESSAGE_TEXT_MAX);
    m.constraint_count = decision->constraint_count < MESSAGE_CONSTRAINTS_MAX
                             ? decision->constraint_count
                             : MESSAGE_CONSTRAINTS_MAX;
    m.constraints = ARENA_ARRAY(g->arena, MessageConstraint, m.constraint_count + 1);
    for (size_t i = 0; i < m.constraint_count; i++) {
        m.constraints[i] = decision->constraints[i];
    }
    if (type == MESSAGE_COUNTER) {
        m.change_count = decision->change_count;
        m.changes = ARENA_ARRAY(g->arena, MessageChange, m.change_count + 1);
        for (size_t i = 0; i < m.change_count; i++) {
            m.changes[i] = decision->changes[i];
        }
    } else {
        m.reason = decision->reason != REASON_NONE ? decision->reason : REASON_REFUSED;
    }
    return m;
}

void negotiator_decide(Negotiator *n, int64_t now_ns, uint64_t grant,
                       const NegotiatorDecision *decision)
{
    neg_begin(n);
    Grant *g = grant_by_id(n, grant);
    if (!g || g->state != GRANT_VALIDATING) {
        return; // the proposer has gone meanwhile
    }
    if (now_ns >= g->deadline_ns) {
        reject(n, now_ns, g, REASON_DEADLINE, SLICE("no decision came in time"));
    } else if (decision->answer == MESSAGE_ACCEPT && g->own_count > 0) {
        accept(n, now_ns, g, decision);
    } else {
        bool counter = decision->answer == MESSAGE_COUNTER && decision->change_count > 0 &&
                       decision->change_count <= MESSAGE_CHANGES_MAX;
        Message m = message_of(g, decision, counter ? MESSAGE_COUNTER : MESSAGE_REJECT);
        answer(n, g, &m);
        release(n, now_ns, g, m.reason);
    }
    neg_finish(n, now_ns);
}

void grant_child_prepared(Negotiator *n, int64_t now_ns, Grant *g)
{
    (void)now_ns;
    if (g->state == GRANT_ASKING) {
        ask_validator(n, g, true, false, REASON_NONE, (Slice){0});
    }
}

// ---- COMMIT

static void apply(Negotiator *n, Grant *g)
{
    g->child_applying = false;
    neg_act(n, &(NegotiatorAction){.kind = ACTION_APPLY,
                                   .grant = g->id,
                                   .negotiation = g->proposal.negotiation,
                                   .peer = proposer_of(g),
                                   .changes = g->own,
                                   .change_count = g->own_count});
}

static void on_commit(Negotiator *n, int64_t now_ns, Grant *g)
{
    switch (g->state) {
    case GRANT_LEASED: {
        enter(n, g, GRANT_APPLYING, REASON_NONE);
        Deal *d = g->deal ? deal_by_id(n, g->deal) : NULL;
        if (d) {
            g->child_applying = true; // what it depends on comes first
            deal_commit(n, now_ns, d);
        } else {
            apply(n, g);
        }
        break;
    }
    case GRANT_APPLIED:
    case GRANT_KEPT: reply(n, g, MESSAGE_APPLIED); break;
    case GRANT_APPLYING: break; // the answer comes when it is done
    case GRANT_VALIDATING:
    case GRANT_ASKING:
    case GRANT_ROLLING_BACK:
    case GRANT_ROLLED_BACK:
    case GRANT_RELEASED: reply_failed(n, g, REASON_STALE, SLICE("the lease is over")); break;
    case GRANT_STATES: break;
    }
}

void grant_child_applied(Negotiator *n, int64_t now_ns, Grant *g)
{
    (void)now_ns;
    if (g->state == GRANT_APPLYING && g->child_applying) {
        apply(n, g);
    }
}

void negotiator_applied(Negotiator *n, int64_t now_ns, uint64_t grant, bool ok,
                        const MessageChange *old, size_t old_count, Slice text)
{
    neg_begin(n);
    Grant *g = grant_by_id(n, grant);
    if (!g || g->state != GRANT_APPLYING || g->child_applying) {
        return;
    }
    if (ok) {
        Message m = {.changes = ARENA_ARRAY(g->arena, MessageChange, old_count + 1),
                     .change_count = old_count};
        for (size_t i = 0; i < old_count; i++) {
            m.changes[i] = old[i];
        }
        Message copy = message_copy(g->arena, &m);
        g->old = copy.changes;
        g->old_count = old_count;
    }
    if (!ok) {
        reply_failed(n, g, REASON_APPLY, slice_sub(text, 0, MESSAGE_TEXT_MAX));
        release(n, now_ns, g, REASON_APPLY);
        if (g->tell_withdrawn) {
            reply(n, g, MESSAGE_WITHDRAWN);
        }
    } else if (g->undo || now_ns >= g->lease_until_ns) {
        if (!g->tell_withdrawn) {
            reply_failed(n, g, REASON_STALE, SLICE("the lease is over"));
        }
        roll_back(n, now_ns, g, REASON_STALE);
    } else {
        enter(n, g, GRANT_APPLIED, REASON_NONE);
        reply(n, g, MESSAGE_APPLIED);
    }
    neg_finish(n, now_ns);
}

// ---- RENEW, KEEP

static void on_renew(Negotiator *n, int64_t now_ns, Grant *g, const Message *m)
{
    bool holds =
        g->state == GRANT_LEASED || g->state == GRANT_APPLYING || g->state == GRANT_APPLIED;
    int64_t lease = m->for_ns < n->options.lease_ns ? m->for_ns : n->options.lease_ns;
    int64_t until = clock_deadline(now_ns, lease);
    until = until < g->hold_until_ns ? until : g->hold_until_ns;
    if (g->state == GRANT_KEPT) {
        return;
    }
    if (!holds || g->undo || until <= now_ns) {
        reply_failed(n, g, REASON_STALE, SLICE("the lease is over"));
        return;
    }
    g->lease_until_ns = until > g->lease_until_ns ? until : g->lease_until_ns;
    neg_send(n, proposer_of(g),
             &(Message){.type = MESSAGE_RENEWED,
                        .negotiation = g->proposal.negotiation,
                        .round = g->proposal.round,
                        .token = g->token,
                        .for_ns = g->lease_until_ns - now_ns});
}

static void keep(Negotiator *n, int64_t now_ns, Grant *g)
{
    lease_release(&n->leases, g->id);
    g->due_ns = clock_deadline(now_ns, n->options.undo_ns);
    enter(n, g, GRANT_KEPT, REASON_NONE);
    reply(n, g, MESSAGE_KEPT);
}

static void on_keep(Negotiator *n, int64_t now_ns, Grant *g)
{
    Deal *d = g->deal ? deal_by_id(n, g->deal) : NULL;
    if (g->state == GRANT_KEPT) {
        reply(n, g, MESSAGE_KEPT);
    } else if (g->state == GRANT_APPLIED && d) {
        g->keep_asked = true;
        deal_keep(n, now_ns, d);
    } else if (g->state == GRANT_APPLIED) {
        keep(n, now_ns, g);
    } else if (g->state != GRANT_APPLYING) {
        reply_failed(n, g, REASON_STALE, SLICE("the lease is over"));
    }
}

void grant_child_kept(Negotiator *n, int64_t now_ns, Grant *g)
{
    if (g->state == GRANT_APPLIED && g->keep_asked) {
        keep(n, now_ns, g);
    }
}

// ---- the way back

static void on_unknown(Negotiator *n, Slice from, const Message *m)
{
    Message a = {.negotiation = m->negotiation, .round = m->round, .token = m->token};
    if (m->type == MESSAGE_WITHDRAW && m->token == 0) {
        a.type = MESSAGE_WITHDRAWN; // nothing is held, so nothing is left to do
    } else {
        a.type = MESSAGE_FAILED;
        a.reason = REASON_STALE;
    }
    neg_send(n, from, &a);
}

static void on_withdraw(Negotiator *n, int64_t now_ns, Grant *g, const Message *m)
{
    if (m->round < g->proposal.round) {
        neg_send(n, proposer_of(g),
                 &(Message){
                     .type = MESSAGE_WITHDRAWN, .negotiation = m->negotiation, .round = m->round});
        return;
    }
    g->proposal.round = m->round; // proposals of this round that come late are over, too
    if (m->token != 0 && m->token != g->token) {
        // It was kept and forgotten, and a late double of the proposal made this grant: what was
        // kept then is not undone by ending this one.
        if (g->state == GRANT_VALIDATING || g->state == GRANT_ASKING || g->state == GRANT_LEASED) {
            release(n, now_ns, g, m->reason);
        }
        on_unknown(n, proposer_of(g), m);
        return;
    }
    switch (g->state) {
    case GRANT_VALIDATING:
    case GRANT_ASKING:
    case GRANT_LEASED:
        g->answered = false;
        release(n, now_ns, g, m->reason);
        reply(n, g, MESSAGE_WITHDRAWN);
        break;
    case GRANT_APPLYING:
        g->tell_withdrawn = true;
        if (g->child_applying) {
            release(n, now_ns, g, m->reason); // nothing of ours was changed
            reply(n, g, MESSAGE_WITHDRAWN);
        } else {
            g->undo = true;
        }
        break;
    case GRANT_APPLIED:
        g->tell_withdrawn = true;
        roll_back(n, now_ns, g, m->reason);
        break;
    case GRANT_KEPT:
        if (lease_retake(&n->leases, g->own, g->own_count, g->id, g->token, NULL) == 0) {
            g->tell_withdrawn = true;
            roll_back(n, now_ns, g, m->reason);
        } else {
            reply_failed(n, g, REASON_STALE, SLICE("others have built on it since"));
        }
        break;
    case GRANT_ROLLING_BACK: g->tell_withdrawn = true; break;
    case GRANT_ROLLED_BACK:
    case GRANT_RELEASED: reply(n, g, MESSAGE_WITHDRAWN); break;
    case GRANT_STATES: break;
    }
}

// What supports it is gone: the deal below ended or goes back.
void grant_child_lost(Negotiator *n, int64_t now_ns, Grant *g, const Deal *d)
{
    g->deal = 0;
    switch (g->state) {
    case GRANT_ASKING: ask_validator(n, g, false, true, d->reason, d->text); break;
    case GRANT_VALIDATING: // it was supported and the host thinks about it
        reject(n, now_ns, g, REASON_DEPENDENCY, d->text);
        break;
    case GRANT_LEASED:
        reply_failed(n, g, REASON_DEPENDENCY, d->text);
        release(n, now_ns, g, REASON_DEPENDENCY);
        break;
    case GRANT_APPLYING:
        reply_failed(n, g, REASON_DEPENDENCY, d->text);
        if (g->child_applying) {
            g->child_applying = false;
            release(n, now_ns, g, REASON_DEPENDENCY);
        } else {
            g->undo = true;
        }
        break;
    case GRANT_APPLIED:
        reply_failed(n, g, REASON_DEPENDENCY, d->text);
        roll_back(n, now_ns, g, REASON_DEPENDENCY);
        break;
    case GRANT_KEPT:
    case GRANT_ROLLING_BACK:
    case GRANT_ROLLED_BACK:
    case GRANT_RELEASED:
    case GRANT_STATES: break;
    }
}

void grant_abandon(Negotiator *n, int64_t now_ns, Grant *g)
{
    switch (g->state) {
    case GRANT_VALIDATING:
    case GRANT_ASKING:
    case GRANT_LEASED: release(n, now_ns, g, REASON_LEFT); break;
    case GRANT_APPLYING:
        if (g->child_applying) {
            g->child_applying = false;
            release(n, now_ns, g, REASON_LEFT);
        } else {
            g->undo = true;
        }
        break;
    case GRANT_APPLIED: roll_back(n, now_ns, g, REASON_LEFT); break;
    case GRANT_KEPT: // what was kept stays when its proposer goes
    case GRANT_ROLLING_BACK:
    case GRANT_ROLLED_BACK:
    case GRANT_RELEASED:
    case GRANT_STATES: break;
    }
}

// ---- what comes in

void grant_receive(Negotiator *n, int64_t now_ns, Slice from, const Message *m)
{
    Grant *g = find(n, from, m->negotiation);
    if (m->type == MESSAGE_PROPOSE) {
        on_propose(n, now_ns, from, g, m);
        return;
    }
    if (g && m->type == MESSAGE_WITHDRAW) {
        on_withdraw(n, now_ns, g, m);
        return;
    }
    // The newest token of the newest round, or nothing: orders that come late must not act.
    if (!g || m->round != g->proposal.round || m->token != g->token || g->token == 0) {
        on_unknown(n, from, m);
        return;
    }
    bool leased = g->state == GRANT_LEASED || g->state == GRANT_APPLIED;
    if (leased && now_ns >= g->lease_until_ns) {
        grant_tick(n, now_ns, g); // it is over, only nobody has ticked yet
    }
    if (m->type == MESSAGE_COMMIT) {
        on_commit(n, now_ns, g);
    } else if (m->type == MESSAGE_RENEW) {
        on_renew(n, now_ns, g, m);
    } else if (m->type == MESSAGE_KEEP) {
        on_keep(n, now_ns, g);
    }
}

// ---- time

void grant_tick(Negotiator *n, int64_t now_ns, Grant *g)
{
    if (now_ns < grant_due(g)) {
        return;
    }
    switch (g->state) {
    case GRANT_VALIDATING:
    case GRANT_ASKING:
        reject(n, now_ns, g, REASON_DEADLINE, SLICE("no decision came in time"));
        break;
    case GRANT_LEASED:
        reply_failed(n, g, REASON_STALE, SLICE("the lease is over"));
        release(n, now_ns, g, REASON_STALE);
        break;
    case GRANT_APPLYING:
        if (g->child_applying) {
            g->child_applying = false;
            reply_failed(n, g, REASON_STALE, SLICE("the lease is over"));
            release(n, now_ns, g, REASON_STALE);
        } else {
            g->undo = true;
        }
        break;
    case GRANT_APPLIED:
        reply_failed(n, g, REASON_STALE, SLICE("the lease is over"));
        roll_back(n, now_ns, g, REASON_STALE);
        break;
    case GRANT_ROLLING_BACK: roll_back(n, now_ns, g, REASON_NONE); break;
    case GRANT_KEPT:
    case GRANT_ROLLED_BACK:
    case GRANT_RELEASED: g->dead = true; break;
    case GRANT_STATES: break;
    }
}

int64_t grant_due(const Grant *g)
{
    switch (g->state) {
    case GRANT_VALIDATING:
    case GRANT_ASKING: return g->deadline_ns;
    case GRANT_LEASED:
    case GRANT_APPLIED: return g->lease_until_ns;
    case GRANT_APPLYING: return g->undo ? NEVER_NS : g->lease_until_ns;
    case GRANT_ROLLING_BACK:
    case GRANT_KEPT:
    case GRANT_ROLLED_BACK:
    case GRANT_RELEASED: return g->due_ns;
    case GRANT_STATES: break;
    }
    return NEVER_NS;
}
