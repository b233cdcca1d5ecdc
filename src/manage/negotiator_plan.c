// Plans: what a negotiation proposes, checked and taken over, first or in a later round.
#include "manage/negotiator_impl.h"

static int64_t min_ns(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int check_plan(const Negotiator *n, const NegotiationPlan *plan, Err *e)
{
    if (plan->change_count > MESSAGE_CHANGES_MAX ||
        plan->constraint_count > MESSAGE_CONSTRAINTS_MAX ||
        plan->predicted.count > PROPOSAL_ESTIMATES_MAX || plan->text.len > MESSAGE_TEXT_MAX ||
        plan->document.len > MESSAGE_BYTES_MAX / 2) {
        return err_set(e, ERR_LIMIT, "a plan is larger than what a message may carry");
    }
    if (plan->change_count == 0 && (plan->asked.len == 0 || plan->constraint_count == 0)) {
        return err_set(e, ERR_ARG, "a plan without changes asks somebody for something");
    }
    if (plan->change_count == 0 &&
        (plan->asked.len > MESSAGE_NAME_MAX || neg_is_self(n, plan->asked))) {
        return err_set(e, ERR_ARG, "an agent asks others, not itself");
    }
    for (size_t i = 0; i < plan->change_count; i++) {
        const MessageChange *c = &plan->changes[i];
        if (message_place(c->param).len == 0 || c->param.len > MESSAGE_NAME_MAX ||
            c->value.len == 0 || c->value.len > MESSAGE_TEXT_MAX || plan->owners[i].len == 0 ||
            plan->owners[i].len > MESSAGE_NAME_MAX) {
            return err_set(e, ERR_ARG, "change %zu of the plan has no parameter, value or owner",
                           i + 1);
        }
        for (size_t k = 0; k < i; k++) {
            if (slice_eq(plan->changes[k].param, c->param)) {
                return err_set(e, ERR_ARG, "the plan changes %.*s twice", SLICE_FMT(c->param));
            }
        }
    }
    return 0;
}

static int add_party(Deal *d, Slice name, Err *e)
{
    if (deal_party(d, name)) {
        return 0;
    }
    if (d->party_count == NEGOTIATOR_PARTIES_MAX) {
        return err_set(e, ERR_LIMIT, "a negotiation has at most %d parties",
                       NEGOTIATOR_PARTIES_MAX);
    }
    d->parties[d->party_count++] = (Party){.name = arena_copy(d->round_arena, name)};
    return 0;
}

// Takes the plan over; nothing of the former round stays.
static int set_plan(Deal *d, const NegotiationPlan *plan, Err *e)
{
    arena_reset(d->round_arena);
    d->party_count = 0;
    int rc = plan->change_count == 0 ? add_party(d, plan->asked, e) : 0;
    for (size_t i = 0; rc == 0 && i < plan->change_count; i++) {
        rc = add_party(d, plan->owners[i], e);
    }
    if (rc != 0) {
        d->party_count = 0;
        return rc;
    }
    Message m = {.type = MESSAGE_PROPOSE,
                 .negotiation = d->negotiation,
                 .root = d->root,
                 .round = d->round + 1,
                 .depth = d->depth,
                 .direction = plan->direction,
                 .text = plan->text,
                 .document = plan->document,
                 .change_count = plan->change_count,
                 .constraint_count = plan->constraint_count,
                 .predicted = plan->predicted};
    MessageChange *changes = ARENA_ARRAY(d->round_arena, MessageChange, plan->change_count + 1);
    MessageConstraint *constraints =
        ARENA_ARRAY(d->round_arena, MessageConstraint, plan->constraint_count + 1);
    d->owners = ARENA_ARRAY(d->round_arena, Slice, plan->change_count + 1);
    for (size_t i = 0; i < plan->change_count; i++) {
        changes[i] = plan->changes[i];
        d->owners[i] = arena_copy(d->round_arena, plan->owners[i]);
    }
    for (size_t i = 0; i < plan->constraint_count; i++) {
        constraints[i] = plan->constraints[i];
    }
    m.changes = changes;
    m.constraints = constraints;
    d->plan = message_copy(d->round_arena, &m);
    return 0;
}

static Deal *new_deal(Negotiator *n, const Grant *served, Err *e)
{
    size_t live = negotiator_deals(n);
    Deal **place = NULL;
    for (size_t i = 0; i < NEGOTIATOR_DEALS_MAX; i++) {
        Deal *d = n->deals[i];
        if (!d || d->state == DEAL_KEPT) { // the latter only remembers
            place = !place || !d ? &n->deals[i] : place;
        }
    }
    if (live >= n->options.deals_max || !place) {
        (void)err_set(e, ERR_LIMIT, "%.*s proposes %zu things already", SLICE_FMT(n->options.agent),
                      live);
        return NULL;
    }
    Deal *d = mem_zalloc(sizeof *d);
    d->id = ++n->last_id;
    d->arena = arena_create(DEAL_ARENA_MAX);
    d->round_arena = arena_create(DEAL_ARENA_MAX);
    // Names are cut so that the numbers, which make it unique, always fit.
    d->negotiation =
        arena_printf(d->arena, "%.*s-%llu-%llu", SLICE_FMT(slice_sub(self_of(n), 0, 80)),
                     (unsigned long long)n->options.incarnation, (unsigned long long)d->id);
    d->root = served ? arena_copy(d->arena, served->proposal.root) : d->negotiation;
    d->depth = served ? served->proposal.depth + 1 : 0;
    d->grant = served ? served->id : 0;
    deal_free(*place);
    *place = d;
    return d;
}

static void drop_new(Negotiator *n, Deal *d)
{
    for (size_t i = 0; i < NEGOTIATOR_DEALS_MAX; i++) {
        n->deals[i] = n->deals[i] == d ? NULL : n->deals[i];
    }
    deal_free(d);
}

static int propose(Negotiator *n, int64_t now_ns, const NegotiationPlan *plan, Grant *served,
                   int64_t for_ns, uint64_t *ret_deal, Err *e)
{
    int rc = n->left ? err_set(e, ERR_CLOSED, "this agent has left") : check_plan(n, plan, e);
    if (rc == 0 && (for_ns <= 0 || plan->watch_ns < 0)) {
        rc = err_set(e, ERR_ARG, "a negotiation needs time");
    }
    if (rc != 0) {
        return rc;
    }
    Deal *d = new_deal(n, served, e);
    if (!d) {
        return ERR_LIMIT;
    }
    d->deadline_ns = clock_deadline(now_ns, min_ns(for_ns, n->options.hold_ns));
    d->watch_ns = served ? n->options.hold_ns : min_ns(plan->watch_ns, n->options.hold_ns);
    if ((rc = set_plan(d, plan, e)) != 0) {
        drop_new(n, d);
        return rc;
    }
    *ret_deal = d->id;
    if (served) {
        served->deal = d->id;
    }
    deal_start_round(n, now_ns, d);
    return 0;
}

int negotiator_propose(Negotiator *n, int64_t now_ns, const NegotiationPlan *plan,
                       uint64_t *ret_deal, Err *e)
{
    neg_begin(n);
    int rc = propose(n, now_ns, plan, NULL, plan->for_ns, ret_deal, e);
    neg_finish(n, now_ns);
    return rc;
}

int negotiator_propose_for(Negotiator *n, int64_t now_ns, uint64_t grant,
                           const NegotiationPlan *plan, uint64_t *ret_deal, Err *e)
{
    neg_begin(n);
    Grant *g = grant_by_id(n, grant);
    if (!g || g->state != GRANT_VALIDATING || g->deal != 0) {
        return err_set(e, ERR_NOT_FOUND, "no request waits for that");
    }
    if (g->proposal.depth + 1 > n->options.depth_max) {
        return err_set(e, ERR_LIMIT, "the request came through %u agents already",
                       g->proposal.depth + 1);
    }
    if (g->asked >= n->options.rounds_max) {
        return err_set(e, ERR_LIMIT, "others were asked %u times for this request", g->asked);
    }
    // A quarter of the time stays for the answer and for applying it.
    int64_t for_ns = (g->deadline_ns - now_ns) / 4 * 3;
    if (for_ns < n->options.resend_ns) {
        return err_set(e, ERR_TIMEOUT, "no time is left to ask others");
    }
    uint64_t deal;
    int rc = propose(n, now_ns, plan, g, min_ns(for_ns, plan->for_ns > 0 ? plan->for_ns : for_ns),
                     &deal, e);
    if (rc == 0) {
        *ret_deal = deal;
        g->state = GRANT_ASKING;
        g->asked++;
        Deal *d = deal_by_id(n, deal);
        neg_send(n, slice_from_cstr(g->proposer),
                 &(Message){.type = MESSAGE_DEFER,
                            .negotiation = g->proposal.negotiation,
                            .round = g->proposal.round,
                            .for_ns = for_ns,
                            .child = d ? d->negotiation : (Slice){0}});
        neg_act(n, &(NegotiatorAction){.kind = ACTION_GRANT,
                                       .grant = g->id,
                                       .deal = deal,
                                       .negotiation = g->proposal.negotiation,
                                       .peer = slice_from_cstr(g->proposer),
                                       .grant_state = g->state});
    }
    neg_finish(n, now_ns);
    return rc;
}

int negotiator_revise(Negotiator *n, int64_t now_ns, uint64_t deal, const NegotiationPlan *plan,
                      Err *e)
{
    neg_begin(n);
    Deal *d = deal_by_id(n, deal);
    if (!d || d->state != DEAL_REPLANNING) {
        return err_set(e, ERR_NOT_FOUND, "that negotiation waits for no plan");
    }
    if (d->round >= n->options.rounds_max) {
        return err_set(e, ERR_LIMIT, "its %u rounds are used up", d->round);
    }
    if (now_ns >= d->deadline_ns) {
        return err_set(e, ERR_TIMEOUT, "its time is over");
    }
    int rc = check_plan(n, plan, e);
    if (rc == 0) {
        rc = set_plan(d, plan, e);
    }
    if (rc == 0) {
        deal_start_round(n, now_ns, d);
    }
    neg_finish(n, now_ns);
    return rc;
}
