// The proposer's side of a negotiation: rounds of asking, then commit, watch, keep or withdraw.
//
//   PREPARING ──all accept──> PREPARED ──> COMMITTING ──all applied──> WATCHING ──> KEEPING ──> end
//     │  ^                       │             │                          │            │
//     v  │ revise                v             v                          v            v
//   REPLANNING ──> end       WITHDRAWING <────────────────────────────────────────────────
//
// Until a COMMIT was sent nothing can have changed anywhere, so a deal ends there at once; after
// it, the way back is asked for until it is confirmed or the resends are used up.
#include <assert.h>

#include "manage/negotiator_impl.h"

// ---- finding

Deal *deal_by_id(Negotiator *n, uint64_t id)
{
    for (size_t i = 0; i < NEGOTIATOR_DEALS_MAX; i++) {
        if (n->deals[i] && n->deals[i]->id == id && !n->deals[i]->ended) {
            return n->deals[i];
        }
    }
    return NULL;
}

Deal *deal_by_name(Negotiator *n, Slice negotiation)
{
    for (size_t i = 0; i < NEGOTIATOR_DEALS_MAX; i++) {
        Deal *d = n->deals[i];
        if (d && !d->ended && slice_eq(d->negotiation, negotiation)) {
            return d;
        }
    }
    return NULL;
}

void deal_free(Deal *d)
{
    if (d) {
        arena_destroy(d->round_arena);
        arena_destroy(d->arena);
        free(d);
    }
}

Party *deal_party(Deal *d, Slice name)
{
    for (size_t i = 0; i < d->party_count; i++) {
        if (slice_eq(d->parties[i].name, name)) {
            return &d->parties[i];
        }
    }
    return NULL;
}

static bool all_are(const Deal *d, PartyState state)
{
    for (size_t i = 0; i < d->party_count; i++) {
        if (d->parties[i].state != state) {
            return false;
        }
    }
    return true;
}

static int64_t min_ns(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// ---- ending

static void enter(Negotiator *n, Deal *d, DealState state)
{
    d->state = state;
    neg_act(n, &(NegotiatorAction){.kind = ACTION_DEAL,
                                   .deal = d->id,
                                   .grant = d->grant,
                                   .negotiation = d->negotiation,
                                   .round = d->round,
                                   .deal_state = state,
                                   .reason = d->reason,
                                   .text = d->text});
}

static size_t collect_answers(const Deal *d, PartyAnswer *ret)
{
    for (size_t i = 0; i < d->party_count; i++) {
        const Party *p = &d->parties[i];
        ret[i] = p->answer;
        ret[i].agent = p->name;
        if (p->state == PARTY_ASKED || p->state == PARTY_DEFERRED) {
            ret[i].answer = p->state == PARTY_DEFERRED ? MESSAGE_DEFER : MESSAGE_TYPES;
            ret[i].reason = REASON_NO_ANSWER;
        }
    }
    return d->party_count;
}

static void end(Negotiator *n, int64_t now_ns, Deal *d, NegotiationOutcome outcome)
{
    PartyAnswer answers[NEGOTIATOR_PARTIES_MAX];
    size_t count = outcome == NEGOTIATION_NOTHING ? collect_answers(d, answers) : 0;
    d->ended = true;
    neg_act(n, &(NegotiatorAction){.kind = ACTION_ENDED,
                                   .deal = d->id,
                                   .grant = d->grant,
                                   .negotiation = d->negotiation,
                                   .round = d->round,
                                   .outcome = outcome,
                                   .reason = d->reason,
                                   .text = d->text,
                                   .answers = answers,
                                   .answer_count = count});
    Grant *g = d->grant ? grant_by_id(n, d->grant) : NULL;
    if (g && g->deal == d->id) {
        grant_child_lost(n, now_ns, g, d);
    }
}

// One that serves another stays for a while: when that one is taken back, this one must be, too.
static void end_kept(Negotiator *n, int64_t now_ns, Deal *d)
{
    neg_act(n, &(NegotiatorAction){.kind = ACTION_ENDED,
                                   .deal = d->id,
                                   .grant = d->grant,
                                   .negotiation = d->negotiation,
                                   .round = d->round,
                                   .outcome = NEGOTIATION_KEPT});
    Grant *g = d->grant ? grant_by_id(n, d->grant) : NULL;
    d->ended = g == NULL;
    if (g) {
        d->watch_until_ns = clock_deadline(now_ns, n->options.undo_ns);
        enter(n, d, DEAL_KEPT);
        grant_child_kept(n, now_ns, g);
    }
}

static void end_when_back(Negotiator *n, int64_t now_ns, Deal *d)
{
    bool lost = false;
    for (size_t i = 0; i < d->party_count; i++) {
        PartyState state = d->parties[i].state;
        if (state != PARTY_GONE && state != PARTY_LOST) {
            return;
        }
        lost = lost || state == PARTY_LOST;
    }
    end(n, now_ns, d, lost ? NEGOTIATION_UNCONFIRMED : NEGOTIATION_ROLLED_BACK);
}

static void set_reason(Deal *d, MessageReason reason, Slice text)
{
    if (d->reason == REASON_NONE) { // the first one is why; the others follow from it
        d->reason = reason;
        d->text =
            text.len > 0 ? arena_copy(d->arena, slice_sub(text, 0, MESSAGE_TEXT_MAX)) : (Slice){0};
    }
}

// ---- sending

// What a party in this state has not answered.
static bool waits_for_answer(const Party *p)
{
    return p->state == PARTY_ASKED || p->state == PARTY_COMMITTING || p->state == PARTY_KEEPING ||
           p->state == PARTY_WITHDRAWING;
}

static void send_to(Negotiator *n, int64_t now_ns, Deal *d, const Party *p)
{
    Message m = {.negotiation = d->negotiation, .round = d->round, .token = p->token};
    switch (p->state) {
    case PARTY_ASKED:
    case PARTY_DEFERRED:
        m = d->plan;
        m.for_ns = d->deadline_ns - now_ns;
        break;
    case PARTY_COMMITTING: m.type = MESSAGE_COMMIT; break;
    case PARTY_KEEPING: m.type = MESSAGE_KEEP; break;
    case PARTY_WITHDRAWING:
        m.type = MESSAGE_WITHDRAW;
        m.token = d->keep_sent ? p->token : 0;
        m.reason = d->reason;
        m.text = d->text;
        break;
    case PARTY_ACCEPTED:
    case PARTY_REFUSED:
    case PARTY_APPLIED:
    case PARTY_KEPT:
    case PARTY_GONE:
    case PARTY_LOST: return;
    }
    neg_send(n, p->name, &m);
}

static void ask(Negotiator *n, int64_t now_ns, Deal *d, Party *p, PartyState state)
{
    p->state = state;
    p->asked_ns = now_ns;
    p->resends = 0;
    p->resend_at_ns = now_ns + n->options.resend_ns;
    send_to(n, now_ns, d, p);
}

static void ask_all(Negotiator *n, int64_t now_ns, Deal *d, PartyState state)
{
    for (size_t i = 0; i < d->party_count; i++) {
        ask(n, now_ns, d, &d->parties[i], state);
    }
}

// Whoever may hold a lease of this round is told once. Nothing was changed: where this is lost the
// lease runs out.
static void release_round(Negotiator *n, Deal *d)
{
    for (size_t i = 0; i < d->party_count; i++) {
        Party *p = &d->parties[i];
        if (p->state == PARTY_ASKED || p->state == PARTY_DEFERRED || p->state == PARTY_ACCEPTED) {
            neg_send(n, p->name,
                     &(Message){.type = MESSAGE_WITHDRAW,
                                .negotiation = d->negotiation,
                                .round = d->round,
                                .reason = d->reason});
        }
    }
}

void deal_withdraw(Negotiator *n, int64_t now_ns, Deal *d, MessageReason reason, Slice text)
{
    if (d->ended || d->state == DEAL_WITHDRAWING) {
        return;
    }
    set_reason(d, reason, text);
    if (!d->committed) {
        if (d->state != DEAL_REPLANNING) {
            release_round(n, d);
        }
        end(n, now_ns, d, NEGOTIATION_NOTHING);
        return;
    }
    enter(n, d, DEAL_WITHDRAWING);
    for (size_t i = 0; i < d->party_count; i++) {
        Party *p = &d->parties[i];
        if (p->state != PARTY_GONE && p->state != PARTY_LOST) {
            ask(n, now_ns, d, p, PARTY_WITHDRAWING);
        }
    }
    end_when_back(n, now_ns, d);
    // Whom this deal supports goes back now, not when everybody has confirmed.
    Grant *g = d->grant && !d->ended ? grant_by_id(n, d->grant) : NULL;
    if (g && g->deal == d->id) {
        grant_child_lost(n, now_ns, g, d);
    }
}

void negotiator_withdraw(Negotiator *n, int64_t now_ns, uint64_t deal, MessageReason reason,
                         Slice text)
{
    neg_begin(n);
    Deal *d = deal_by_id(n, deal);
    if (d) {
        deal_withdraw(n, now_ns, d, reason, text);
    }
    neg_finish(n, now_ns);
}

// ---- a round

void deal_start_round(Negotiator *n, int64_t now_ns, Deal *d)
{
    d->round++;
    d->round_due_ns = min_ns(d->deadline_ns, now_ns + n->options.answer_ns);
    enter(n, d, DEAL_PREPARING);
    ask_all(n, now_ns, d, PARTY_ASKED);
}

// No agreement: the leases go, and the planner hears why.
static void end_round(Negotiator *n, int64_t now_ns, Deal *d)
{
    release_round(n, d);
    if (d->round >= n->options.rounds_max || now_ns >= d->deadline_ns) {
        MessageReason reason = REASON_DEADLINE;
        Slice text = {0};
        for (size_t i = 0; i < d->party_count; i++) {
            const Party *p = &d->parties[i];
            if (p->state == PARTY_REFUSED) {
                reason = p->answer.answer == MESSAGE_REJECT ? p->answer.reason : REASON_REFUSED;
                text = p->answer.text;
            }
        }
        set_reason(d, reason, text);
        end(n, now_ns, d, NEGOTIATION_NOTHING);
        return;
    }
    PartyAnswer answers[NEGOTIATOR_PARTIES_MAX];
    size_t count = collect_answers(d, answers);
    d->round_due_ns = min_ns(d->deadline_ns, now_ns + n->options.answer_ns);
    enter(n, d, DEAL_REPLANNING);
    neg_act(n, &(NegotiatorAction){.kind = ACTION_REPLAN,
                                   .deal = d->id,
                                   .grant = d->grant,
                                   .negotiation = d->negotiation,
                                   .answers = answers,
                                   .answer_count = count,
                                   .round = d->round,
                                   .rounds_left = n->options.rounds_max - d->round});
}

// After each answer: agreed, refused, or not decided yet. One that is still asking others is not
// waited for once somebody said no.
static void consider_round(Negotiator *n, int64_t now_ns, Deal *d)
{
    if (d->state != DEAL_PREPARING) {
        return;
    }
    if (all_are(d, PARTY_ACCEPTED)) {
        enter(n, d, DEAL_PREPARED);
        Grant *g = d->grant ? grant_by_id(n, d->grant) : NULL;
        if (g) {
            grant_child_prepared(n, now_ns, g);
        } else {
            deal_commit(n, now_ns, d);
        }
        return;
    }
    bool refused = false, open = false;
    for (size_t i = 0; i < d->party_count; i++) {
        refused = refused || d->parties[i].state == PARTY_REFUSED;
        open = open || d->parties[i].state == PARTY_ASKED;
    }
    if (refused && !open) {
        end_round(n, now_ns, d);
    }
}

// ---- commit, watch, keep

void deal_commit(Negotiator *n, int64_t now_ns, Deal *d)
{
    if (d->ended || d->state != DEAL_PREPARED) {
        return;
    }
    d->committed = true;
    enter(n, d, DEAL_COMMITTING);
    ask_all(n, now_ns, d, PARTY_COMMITTING);
}

static void start_watch(Negotiator *n, int64_t now_ns, Deal *d)
{
    d->watch_until_ns = clock_deadline(now_ns, d->watch_ns);
    enter(n, d, DEAL_WATCHING);
    Grant *g = d->grant ? grant_by_id(n, d->grant) : NULL;
    if (g) {
        grant_child_applied(n, now_ns, g);
        return;
    }
    neg_act(n, &(NegotiatorAction){.kind = ACTION_WATCH,
                                   .deal = d->id,
                                   .negotiation = d->negotiation,
                                   .changes = d->plan.changes,
                                   .change_count = d->plan.change_count,
                                   .round = d->round});
}

void deal_keep(Negotiator *n, int64_t now_ns, Deal *d)
{
    if (!d->ended && d->state == DEAL_WATCHING) {
        d->keep_sent = true;
        enter(n, d, DEAL_KEEPING);
        ask_all(n, now_ns, d, PARTY_KEEPING);
    }
}

int negotiator_keep(Negotiator *n, int64_t now_ns, uint64_t deal, Err *e)
{
    neg_begin(n);
    Deal *d = deal_by_id(n, deal);
    if (!d || d->state != DEAL_WATCHING || d->grant != 0) {
        return err_set(e, ERR_NOT_FOUND, "that negotiation is not being watched");
    }
    deal_keep(n, now_ns, d);
    neg_finish(n, now_ns);
    return 0;
}

// ---- answers

// All of its changes must be among what it leased: one that it does not own would silently not be
// made.
static bool covers(const Deal *d, const Party *p, const Message *m)
{
    for (size_t i = 0; i < d->plan.change_count; i++) {
        bool found = !slice_eq(d->owners[i], p->name);
        for (size_t k = 0; !found && k < m->change_count; k++) {
            found = slice_eq(m->changes[k].param, d->plan.changes[i].param) &&
                    slice_eq(m->changes[k].value, d->plan.changes[i].value);
        }
        if (!found) {
            return false;
        }
    }
    return d->plan.change_count > 0;
}

// Thirds of a lease that an owner will not prolong any more get ever shorter: at some point it is
// left to end.
static void set_lease(const Negotiator *n, Party *p, int64_t from_ns, int64_t for_ns)
{
    int64_t third = for_ns / 3 > n->options.resend_ns ? for_ns / 3 : n->options.resend_ns;
    p->lease_until_ns = clock_deadline(from_ns, for_ns);
    p->renew_at_ns = clock_deadline(from_ns, third);
}

static void on_answer(Negotiator *n, int64_t now_ns, Deal *d, Party *p, const Message *m)
{
    if (d->state != DEAL_PREPARING || (p->state != PARTY_ASKED && p->state != PARTY_DEFERRED)) {
        return; // a double
    }
    Message answer = *m;
    if (m->type == MESSAGE_ACCEPT && !covers(d, p, m)) {
        neg_send(n, p->name,
                 &(Message){.type = MESSAGE_WITHDRAW,
                            .negotiation = d->negotiation,
                            .round = d->round,
                            .reason = REASON_NOT_OWNER});
        answer = (Message){.type = MESSAGE_REJECT,
                           .reason = REASON_NOT_OWNER,
                           .text = SLICE("it did not lease all that was asked of it")};
    }
    p->answer = neg_answer_of(d->round_arena, &answer);
    if (answer.type == MESSAGE_ACCEPT) {
        p->state = PARTY_ACCEPTED;
        p->token = m->token;
        set_lease(n, p, p->asked_ns, m->for_ns);
    } else {
        p->state = PARTY_REFUSED;
    }
    consider_round(n, now_ns, d);
}

static void on_defer(Negotiator *n, int64_t now_ns, Deal *d, Party *p)
{
    if (d->state == DEAL_PREPARING && p->state == PARTY_ASKED) {
        p->state = PARTY_DEFERRED;
        p->resend_at_ns = now_ns + n->options.answer_ns;
        consider_round(n, now_ns, d);
    }
}

static void on_failed(Negotiator *n, int64_t now_ns, Deal *d, Party *p, const Message *m)
{
    bool holds = d->state == DEAL_PREPARED || d->state == DEAL_COMMITTING ||
                 d->state == DEAL_WATCHING || d->state == DEAL_KEEPING;
    if (holds && m->token == p->token) {
        deal_withdraw(n, now_ns, d, m->reason, m->text);
    } else if (d->state == DEAL_PREPARING && p->state == PARTY_ACCEPTED && m->token == p->token) {
        Message no = *m;
        no.type = MESSAGE_REJECT;
        p->answer = neg_answer_of(d->round_arena, &no);
        p->state = PARTY_REFUSED;
        consider_round(n, now_ns, d);
    }
}

// The state that `type` confirms, and the one that follows.
static bool confirm(Party *p, PartyState from, PartyState to, const Message *m, bool by_token)
{
    if (p->state != from || (by_token && m->token != p->token)) {
        return false;
    }
    p->state = to;
    return true;
}

void deal_receive(Negotiator *n, int64_t now_ns, Deal *d, Slice from, const Message *m)
{
    Party *p = deal_party(d, from);
    if (!p || m->round != d->round) {
        return; // no party, or an answer to what was asked in another round
    }
    if (m->type == MESSAGE_ACCEPT || m->type == MESSAGE_REJECT || m->type == MESSAGE_COUNTER) {
        on_answer(n, now_ns, d, p, m);
    } else if (m->type == MESSAGE_DEFER) {
        on_defer(n, now_ns, d, p);
    } else if (m->type == MESSAGE_FAILED) {
        on_failed(n, now_ns, d, p, m);
    } else if (m->type == MESSAGE_RENEWED && m->token == p->token && p->renew_sent_ns > 0) {
        set_lease(n, p, p->renew_sent_ns, m->for_ns);
        p->renew_sent_ns = 0;
    } else if (m->type == MESSAGE_APPLIED && confirm(p, PARTY_COMMITTING, PARTY_APPLIED, m, true)) {
        if (all_are(d, PARTY_APPLIED)) {
            start_watch(n, now_ns, d);
        }
    } else if (m->type == MESSAGE_KEPT && confirm(p, PARTY_KEEPING, PARTY_KEPT, m, true)) {
        if (all_are(d, PARTY_KEPT)) {
            end_kept(n, now_ns, d);
        }
    } else if (m->type == MESSAGE_WITHDRAWN &&
               confirm(p, PARTY_WITHDRAWING, PARTY_GONE, m, false)) {
        end_when_back(n, now_ns, d);
    }
}

void deal_party_left(Negotiator *n, int64_t now_ns, Deal *d, Slice agent)
{
    Party *p = deal_party(d, agent);
    if (!p || d->state == DEAL_REPLANNING || d->state == DEAL_KEPT) {
        return;
    }
    if (d->state == DEAL_PREPARING) {
        p->answer = neg_answer_of(d->round_arena,
                                  &(Message){.type = MESSAGE_REJECT, .reason = REASON_LEFT});
        p->state = PARTY_REFUSED;
        consider_round(n, now_ns, d);
        return;
    }
    // Who leaves has put back what others changed there, but not what it kept.
    p->state = d->keep_sent ? PARTY_LOST : PARTY_GONE;
    if (d->state == DEAL_WITHDRAWING) {
        end_when_back(n, now_ns, d);
    } else {
        deal_withdraw(n, now_ns, d, REASON_LEFT, SLICE("a party left"));
    }
}

// ---- time

static bool holds_leases(const Deal *d)
{
    return d->state == DEAL_PREPARED || d->state == DEAL_COMMITTING || d->state == DEAL_WATCHING ||
           d->state == DEAL_KEEPING;
}

// KEEPING does not renew: it must be over before the leases are.
static bool renews(const Deal *d)
{
    return holds_leases(d) && d->state != DEAL_KEEPING;
}

static void renew(Negotiator *n, int64_t now_ns, Deal *d, Party *p)
{
    if (now_ns < p->renew_at_ns) {
        return;
    }
    // The first of a series is what the answer is counted from: an answer to it is still safe.
    p->renew_sent_ns = p->renew_sent_ns > 0 ? p->renew_sent_ns : now_ns;
    p->renew_at_ns = now_ns + n->options.resend_ns;
    neg_send(n, p->name,
             &(Message){.type = MESSAGE_RENEW,
                        .negotiation = d->negotiation,
                        .round = d->round,
                        .token = p->token,
                        .for_ns = n->options.hold_ns}); // the owner gives what it gives
}

// One that defers is asked now and then until the deadline: its answer may have been lost.
static void resend(Negotiator *n, int64_t now_ns, Deal *d, Party *p)
{
    if (now_ns < p->resend_at_ns) {
        return;
    }
    if (p->state == PARTY_DEFERRED) {
        p->asked_ns = now_ns; // a lease is counted from here; the owner's clock decides
        p->resend_at_ns = now_ns + n->options.answer_ns;
        send_to(n, now_ns, d, p);
    } else if (waits_for_answer(p) && p->resends < n->options.resends_max) {
        p->resends++;
        p->resend_at_ns = now_ns + n->options.resend_ns;
        send_to(n, now_ns, d, p);
    } else if (p->state == PARTY_ASKED) {
        p->resend_at_ns = NEVER_NS; // the end of the round is waited for in silence
    }
}

// True when the resends of a party are used up and the last had its time.
static bool silent(const Negotiator *n, int64_t now_ns, const Party *p)
{
    return waits_for_answer(p) && p->resends >= n->options.resends_max && now_ns >= p->resend_at_ns;
}

static void check_silence(Negotiator *n, int64_t now_ns, Deal *d)
{
    for (size_t i = 0; i < d->party_count && !d->ended; i++) {
        Party *p = &d->parties[i];
        if (d->state == DEAL_WITHDRAWING) {
            if (silent(n, now_ns, p)) {
                end(n, now_ns, d, NEGOTIATION_UNCONFIRMED);
            }
        } else if ((d->state == DEAL_COMMITTING || d->state == DEAL_KEEPING) &&
                   silent(n, now_ns, p)) {
            Slice who = arena_printf(d->arena, "no answer from %.*s", SLICE_FMT(p->name));
            deal_withdraw(n, now_ns, d, REASON_NO_ANSWER, who);
        } else if (holds_leases(d) && now_ns >= p->lease_until_ns && p->state != PARTY_KEPT) {
            deal_withdraw(n, now_ns, d, REASON_STALE, SLICE("a lease could not be renewed"));
        }
    }
}

// Parties that defer have until the deadline, those that say nothing until the end of the round.
static void check_round(Negotiator *n, int64_t now_ns, Deal *d)
{
    bool open = false;
    for (size_t i = 0; i < d->party_count; i++) {
        open = open || d->parties[i].state == PARTY_ASKED;
    }
    if (now_ns >= d->deadline_ns || (open && now_ns >= d->round_due_ns)) {
        end_round(n, now_ns, d);
    }
}

void deal_tick(Negotiator *n, int64_t now_ns, Deal *d)
{
    if (d->state == DEAL_PREPARING) {
        check_round(n, now_ns, d);
    } else if (d->state == DEAL_REPLANNING && now_ns >= d->round_due_ns) {
        deal_withdraw(n, now_ns, d, REASON_DEADLINE, SLICE("no other plan came"));
    } else if (d->state == DEAL_WATCHING && now_ns >= d->watch_until_ns) {
        deal_withdraw(n, now_ns, d, REASON_DEADLINE, SLICE("nobody decided to keep it"));
    } else if (d->grant == 0 && d->state == DEAL_COMMITTING && now_ns >= d->deadline_ns) {
        // One that serves another waits for that one's COMMIT, and ends when its grant does.
        deal_withdraw(n, now_ns, d, REASON_DEADLINE, SLICE("it was not applied in time"));
    }
    if (d->state == DEAL_KEPT) {
        d->ended = now_ns >= d->watch_until_ns;
    }
    check_silence(n, now_ns, d);
    for (size_t i = 0; i < d->party_count && !d->ended; i++) {
        resend(n, now_ns, d, &d->parties[i]);
        if (renews(d)) {
            renew(n, now_ns, d, &d->parties[i]);
        }
    }
}

int64_t deal_due(const Deal *d)
{
    int64_t due = NEVER_NS;
    switch (d->state) {
    case DEAL_PREPARING:
    case DEAL_REPLANNING: due = d->round_due_ns; break;
    case DEAL_COMMITTING: due = d->grant == 0 ? d->deadline_ns : NEVER_NS; break;
    case DEAL_WATCHING:
    case DEAL_KEPT: due = d->watch_until_ns; break;
    case DEAL_PREPARED:
    case DEAL_KEEPING:
    case DEAL_WITHDRAWING:
    case DEAL_STATES: break;
    }
    if (d->state == DEAL_PREPARING) {
        bool open = false;
        for (size_t i = 0; i < d->party_count; i++) {
            open = open || d->parties[i].state == PARTY_ASKED;
        }
        due = open ? due : d->deadline_ns;
    }
    for (size_t i = 0; i < d->party_count; i++) {
        const Party *p = &d->parties[i];
        bool resends = waits_for_answer(p) || p->state == PARTY_DEFERRED;
        due = resends ? min_ns(due, p->resend_at_ns) : due;
        due = holds_leases(d) && p->state != PARTY_KEPT ? min_ns(due, p->lease_until_ns) : due;
        due = renews(d) ? min_ns(due, p->renew_at_ns) : due;
    }
    return due;
}
