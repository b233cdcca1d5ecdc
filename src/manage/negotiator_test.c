// One negotiation at a time: what each message does. negotiation_model_test.c has the crowd.
#include "manage/negotiator_test.h"

static World *calm(unsigned agents)
{
    World *w = world_create(1, agents);
    return w;
}

static const Slice X0 = SLICE_INIT("x0"), X1 = SLICE_INIT("x1"), X2 = SLICE_INIT("x2");

static uint64_t propose(World *w, unsigned by, const MessageChange *changes, const Slice *owners,
                        size_t count)
{
    uint64_t deal = 0;
    Err e = {0};
    NegotiationPlan plan = {.changes = changes,
                            .owners = owners,
                            .change_count = count,
                            .text = SLICE("because"),
                            .for_ns = 5 * NS_PER_S,
                            .watch_ns = 20 * NS_PER_S};
    if (negotiator_propose(w->agents[by].n, w->now_ns, &plan, &deal, &e) != 0) {
        fail_msg("%s", e.text);
    }
    drain(&w->agents[by]);
    return deal;
}

static uint64_t propose_one(World *w, unsigned by, const char *param, const char *value,
                            Slice owner)
{
    MessageChange change = {slice_from_cstr(param), slice_from_cstr(value)};
    return propose(w, by, &change, &owner, 1);
}

static void assert_outcome(const World *w, size_t index, unsigned agent, NegotiationOutcome outcome,
                           MessageReason reason)
{
    assert_true(index < w->end_count);
    assert_int_equal(w->ends[index].agent, agent);
    if (w->ends[index].outcome != outcome || w->ends[index].reason != reason) {
        fail_msg("outcome %s, reason %s", NEGOTIATION_OUTCOME_NAMES[w->ends[index].outcome],
                 MESSAGE_REASON_NAMES[w->ends[index].reason]);
    }
}

static void assert_values(World *w, unsigned agent, int64_t p, int64_t q)
{
    assert_int_equal(w->agents[agent].places[0].value, p);
    assert_int_equal(w->agents[agent].places[1].value, q);
}

static void test_all_or_none_is_kept(void **state)
{
    (void)state;
    World *w = calm(3);
    world_start(w);
    MessageChange changes[] = {{SLICE("x0->y.q"), SLICE("1")},
                               {SLICE("x1.p"), SLICE("2")},
                               {SLICE("x2->y.q"), SLICE("3")},
                               {SLICE("x1->y.q"), SLICE("4")}};
    Slice owners[] = {X0, X1, X2, X1};
    (void)propose(w, 0, changes, owners, 4);
    run_world(w, NEVER_NS);
    assert_outcome(w, 0, 0, NEGOTIATION_KEPT, REASON_NONE);
    assert_values(w, 0, 0, 1);
    assert_values(w, 1, 2, 4);
    assert_values(w, 2, 0, 3);
    // Six messages to each of the two others: no chatter.
    assert_int_equal(w->sent, 12);
    assert_int_equal(negotiator_deals(w->agents[0].n), 0);
    assert_int_equal(negotiator_leases(w->agents[1].n, NULL, 0), 0);
    world_destroy(w);
}

static void reject_as_bystander(Agent *a, const NegotiatorAction *v)
{
    static const MessageConstraint LIMIT = {SLICE_INIT("x1.p"), CONSTRAINT_AT_MOST,
                                            SLICE_INIT("1")};
    assert_true(slice_eq(v->peer, X0));
    assert_true(slice_eq(v->message->text, SLICE("because")));
    bool fits = slice_eq(v->changes[0].value, SLICE("1"));
    NegotiatorDecision no = {.answer = MESSAGE_REJECT,
                             .reason = REASON_BYSTANDER,
                             .text = SLICE("batch would suffer"),
                             .constraints = &LIMIT,
                             .constraint_count = 1};
    NegotiatorDecision yes = {.answer = MESSAGE_ACCEPT};
    negotiator_decide(a->n, a->world->now_ns, v->grant, fits ? &yes : &no);
}

// The next plan uses what the rejection said.
static void keep_to_constraint(Agent *a, const NegotiatorAction *r)
{
    assert_int_equal(r->answer_count, 1);
    assert_int_equal(r->rounds_left, NEGOTIATOR_ROUNDS_MAX - 1);
    const PartyAnswer *no = &r->answers[0];
    assert_true(slice_eq(no->agent, X1));
    assert_int_equal(no->answer, MESSAGE_REJECT);
    assert_int_equal(no->reason, REASON_BYSTANDER);
    assert_true(slice_eq(no->text, SLICE("batch would suffer")));
    assert_int_equal(no->constraints[0].op, CONSTRAINT_AT_MOST);
    MessageChange change = {no->constraints[0].subject, no->constraints[0].value};
    NegotiationPlan plan = {
        .changes = &change, .owners = &X1, .change_count = 1, .text = SLICE("because")};
    assert_int_equal(negotiator_revise(a->n, a->world->now_ns, r->deal, &plan, NULL), 0);
}

static void test_a_rejection_makes_the_next_plan(void **state)
{
    (void)state;
    World *w = calm(2);
    w->host = (Host){.validate = reject_as_bystander, .replan = keep_to_constraint};
    world_start(w);
    (void)propose_one(w, 0, "x1.p", "5", X1);
    run_world(w, NEVER_NS);
    assert_outcome(w, 0, 0, NEGOTIATION_KEPT, REASON_NONE);
    assert_int_equal(w->ends[0].round, 2);
    assert_values(w, 1, 1, 0);
    world_destroy(w);
}

static void reject_all(Agent *a, const NegotiatorAction *v)
{
    negotiator_decide(a->n, a->world->now_ns, v->grant,
                      &(NegotiatorDecision){.answer = MESSAGE_REJECT, .reason = REASON_OBJECTIVE});
}

static void test_one_no_releases_the_others(void **state)
{
    (void)state;
    World *w = calm(3);
    w->host = (Host){.validate = reject_all};
    world_start(w);
    // x0's own part is leased at once, x1 says no.
    MessageChange changes[] = {{SLICE("x0.p"), SLICE("1")}, {SLICE("x1.p"), SLICE("2")}};
    Slice owners[] = {X0, X1};
    (void)propose(w, 0, changes, owners, 2);
    run_world(w, NEVER_NS);
    assert_outcome(w, 0, 0, NEGOTIATION_NOTHING, REASON_REFUSED);
    assert_int_equal(negotiator_leases(w->agents[0].n, NULL, 0), 0);
    assert_values(w, 0, 0, 0);
    world_destroy(w);
}

static void insist(Agent *a, const NegotiatorAction *r)
{
    MessageChange change = {SLICE("x1.p"), SLICE("5")};
    NegotiationPlan plan = {.changes = &change, .owners = &X1, .change_count = 1};
    int rc = negotiator_revise(a->n, a->world->now_ns, r->deal, &plan, NULL);
    assert_int_equal(rc, 0);
}

static void test_rounds_are_bounded(void **state)
{
    (void)state;
    World *w = calm(2);
    w->host = (Host){.validate = reject_all, .replan = insist};
    world_start(w);
    (void)propose_one(w, 0, "x1.p", "5", X1);
    run_world(w, NEVER_NS);
    assert_outcome(w, 0, 0, NEGOTIATION_NOTHING, REASON_OBJECTIVE);
    assert_int_equal(w->ends[0].round, NEGOTIATOR_ROUNDS_MAX);
    world_destroy(w);
}

// B counters with separate values and one more change; A takes the counter as its next plan.
static void counter_first(Agent *a, const NegotiatorAction *v)
{
    MessageChange better[] = {{SLICE("x1.p"), SLICE("3")}, {SLICE("x1->y.q"), SLICE("1")}};
    NegotiatorDecision counter = {.answer = MESSAGE_COUNTER,
                                  .text = SLICE("only with cancellation"),
                                  .changes = better,
                                  .change_count = 2};
    NegotiatorDecision yes = {.answer = MESSAGE_ACCEPT};
    negotiator_decide(a->n, a->world->now_ns, v->grant, v->round == 1 ? &counter : &yes);
}

static void take_counter(Agent *a, const NegotiatorAction *r)
{
    assert_int_equal(r->answers[0].answer, MESSAGE_COUNTER);
    assert_int_equal(r->answers[0].change_count, 2);
    Slice owners[] = {X1, X1};
    NegotiationPlan plan = {.changes = r->answers[0].changes, .owners = owners, .change_count = 2};
    assert_int_equal(negotiator_revise(a->n, a->world->now_ns, r->deal, &plan, NULL), 0);
}

static void test_a_counter_is_taken(void **state)
{
    (void)state;
    World *w = calm(2);
    w->host = (Host){.validate = counter_first, .replan = take_counter};
    world_start(w);
    (void)propose_one(w, 0, "x1.p", "5", X1);
    run_world(w, NEVER_NS);
    assert_outcome(w, 0, 0, NEGOTIATION_KEPT, REASON_NONE);
    assert_values(w, 1, 3, 1);
    world_destroy(w);
}

// x1 asks x2 before it answers x0.
static void ask_x2(Agent *a, const NegotiatorAction *v)
{
    if (a->index == 1 && !v->supported && !v->refused) {
        MessageChange change = {SLICE("x2.p"), SLICE("7")};
        NegotiationPlan plan = {
            .changes = &change, .owners = &X2, .change_count = 1, .direction = DIRECTION_UPSTREAM};
        uint64_t deal;
        Err e = {0};
        if (negotiator_propose_for(a->n, a->world->now_ns, v->grant, &plan, &deal, &e) != 0) {
            fail_msg("%s", e.text);
        }
    } else if (v->refused) {
        negotiator_decide(a->n, a->world->now_ns, v->grant,
                          &(NegotiatorDecision){.answer = MESSAGE_REJECT,
                                                .reason = REASON_DEPENDENCY,
                                                .text = v->text});
    } else {
        assert_int_equal(v->message->depth, a->index == 2);
        accept_it(a, v);
    }
}

static void test_a_recipient_asks_others_first(void **state)
{
    (void)state;
    World *w = calm(3);
    w->host = (Host){.validate = ask_x2};
    world_start(w);
    (void)propose_one(w, 0, "x1.p", "5", X1);
    run_world(w, NEVER_NS);
    assert_int_equal(w->end_count, 2);
    assert_outcome(w, 0, 1, NEGOTIATION_KEPT, REASON_NONE); // what x0's hangs on comes first
    assert_outcome(w, 1, 0, NEGOTIATION_KEPT, REASON_NONE);
    assert_values(w, 1, 5, 0);
    assert_values(w, 2, 7, 0);
    world_destroy(w);
}

static void refuse_at_x2(Agent *a, const NegotiatorAction *v)
{
    (a->index == 2 ? reject_all : ask_x2)(a, v);
}

static void test_a_refused_dependency_refuses(void **state)
{
    (void)state;
    World *w = calm(3);
    w->host = (Host){.validate = refuse_at_x2};
    world_start(w);
    (void)propose_one(w, 0, "x1.p", "5", X1);
    run_world(w, NEVER_NS);
    assert_outcome(w, 0, 1, NEGOTIATION_NOTHING, REASON_REFUSED);
    assert_outcome(w, 1, 0, NEGOTIATION_NOTHING, REASON_REFUSED);
    assert_values(w, 1, 0, 0);
    world_destroy(w);
}

// Each asks the next, round and round; the depth ends it.
static void ask_next(Agent *a, const NegotiatorAction *v)
{
    World *w = a->world;
    if (v->supported || v->refused) {
        assert_true(v->refused);
        reject_all(a, v);
        return;
    }
    const Agent *next = &w->agents[(a->index + 1) % w->count];
    char param[16];
    (void)snprintf(param, sizeof param, "x%u->y.q", next->index);
    MessageChange change = {slice_from_cstr(param), SLICE("1")};
    Slice owner = name_of(next);
    NegotiationPlan plan = {.changes = &change, .owners = &owner, .change_count = 1};
    uint64_t deal;
    int rc = negotiator_propose_for(a->n, w->now_ns, v->grant, &plan, &deal, NULL);
    if (rc != 0) {
        assert_int_equal(rc, ERR_LIMIT);
        assert_int_equal(v->message->depth, NEGOTIATOR_DEPTH_MAX);
        (*(int *)w->ctx)++;
        reject_all(a, v);
    }
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    int ends = 0;
    World *w = calm(2);
    w->host = (Host){.validate = ask_next};
    w->ctx = &ends;
    world_start(w);
    (void)propose_one(w, 0, "x1.p", "5", X1);
    run_world(w, NEVER_NS);
    assert_int_equal(ends, 1);
    assert_int_equal(w->end_count, NEGOTIATOR_DEPTH_MAX + 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_values(w, i, 0, 0);
    }
    // Whoever is asked from deeper than it allows says so without thinking.
    Message m = {.type = MESSAGE_PROPOSE,
                 .negotiation = SLICE("x1-9-9"),
                 .root = SLICE("x1-9-9"),
                 .round = 1,
                 .depth = NEGOTIATOR_DEPTH_MAX + 1,
                 .for_ns = NS_PER_S};
    negotiator_receive(w->agents[0].n, w->now_ns, X1, &m);
    NegotiatorAction act;
    assert_true(negotiator_next_action(w->agents[0].n, &act));
    assert_int_equal(act.message->type, MESSAGE_REJECT);
    assert_int_equal(act.message->reason, REASON_DEPTH);
    world_destroy(w);
}

static void roll_it_back(Agent *a, const NegotiatorAction *act)
{
    assert_int_equal(a->world->agents[1].places[0].value, 5);
    negotiator_withdraw(a->n, a->world->now_ns, act->deal, REASON_CONTRADICTED, SLICE("p99 rose"));
}

static void test_what_contradicts_goes_back(void **state)
{
    (void)state;
    World *w = calm(2);
    w->host = (Host){.watch = roll_it_back};
    world_start(w);
    (void)propose_one(w, 0, "x1.p", "5", X1);
    run_world(w, NEVER_NS);
    assert_outcome(w, 0, 0, NEGOTIATION_ROLLED_BACK, REASON_CONTRADICTED);
    assert_values(w, 1, 0, 0);
    world_destroy(w);
}

static void wait_and_see(Agent *a, const NegotiatorAction *act)
{
    (void)a;
    (void)act;
}

// Leases are renewed as long as it is watched, and not a moment longer than the watch may last.
static void test_nobody_decides(void **state)
{
    (void)state;
    World *w = calm(2);
    w->host = (Host){.watch = wait_and_see};
    world_start(w);
    (void)propose_one(w, 0, "x1.p", "5", X1);
    run_world(w, w->now_ns + 15 * NS_PER_S); // the lease alone is 10 s
    assert_values(w, 1, 5, 0);
    run_world(w, NEVER_NS);
    assert_outcome(w, 0, 0, NEGOTIATION_ROLLED_BACK, REASON_DEADLINE);
    assert_values(w, 1, 0, 0);
    assert_true(w->ends[0].at_ns <= 22 * NS_PER_S);
    world_destroy(w);
}

// The proposer falls silent after the commit: the owner goes back by itself.
static void test_a_lease_expires(void **state)
{
    (void)state;
    World *w = calm(2);
    w->host = (Host){.watch = wait_and_see};
    world_start(w);
    (void)propose_one(w, 0, "x1.p", "5", X1);
    run_world(w, w->now_ns + NS_PER_S);
    assert_values(w, 1, 5, 0);
    w->agents[0].mute = true;
    run_world(w, w->now_ns + NEGOTIATOR_LEASE_NS);
    assert_values(w, 1, 0, 0);
    run_world(w, NEVER_NS);
    assert_outcome(w, 0, 0, NEGOTIATION_UNCONFIRMED, REASON_STALE); // it heard that much
    world_destroy(w);
}

static void test_an_agent_that_never_answers(void **state)
{
    (void)state;
    World *w = calm(2);
    world_start(w);
    w->agents[1].mute = true;
    (void)propose_one(w, 0, "x1.p", "5", X1);
    run_world(w, NEVER_NS);
    assert_outcome(w, 0, 0, NEGOTIATION_NOTHING, REASON_REFUSED); // by the host, asked to replan
    assert_values(w, 1, 0, 0);
    world_destroy(w);
}

static bool cannot_apply(Agent *a)
{
    return a->index != 2;
}

static void test_one_cannot_apply(void **state)
{
    (void)state;
    World *w = calm(3);
    w->host = (Host){.applies = cannot_apply};
    world_start(w);
    MessageChange changes[] = {{SLICE("x1.p"), SLICE("1")}, {SLICE("x2.p"), SLICE("2")}};
    Slice owners[] = {X1, X2};
    (void)propose(w, 0, changes, owners, 2);
    run_world(w, NEVER_NS);
    assert_outcome(w, 0, 0, NEGOTIATION_ROLLED_BACK, REASON_APPLY);
    assert_values(w, 1, 0, 0);
    world_destroy(w);
}

static void test_two_proposers_one_policy(void **state)
{
    (void)state;
    World *w = calm(3);
    w->host = (Host){.watch = wait_and_see};
    world_start(w);
    (void)propose_one(w, 0, "x2.p", "5", X2);
    (void)propose_one(w, 1, "x2.p", "6", X2);
    run_world(w, w->now_ns + NS_PER_S);
    assert_outcome(w, 0, 1, NEGOTIATION_NOTHING, REASON_REFUSED);
    assert_values(w, 2, 5, 0);
    LeaseView view;
    assert_int_equal(negotiator_leases(w->agents[2].n, &view, 1), 1);
    assert_true(slice_eq(view.holder, X0));
    assert_int_equal(view.state, GRANT_APPLIED);
    // An order under an older token does nothing, nor does one of somebody else.
    Message m = {
        .type = MESSAGE_KEEP, .negotiation = view.negotiation, .round = 1, .token = view.token - 1};
    NegotiatorAction act;
    negotiator_receive(w->agents[2].n, w->now_ns, X0, &m);
    assert_true(negotiator_next_action(w->agents[2].n, &act));
    assert_int_equal(act.message->type, MESSAGE_FAILED);
    assert_int_equal(act.message->reason, REASON_STALE);
    m.token = view.token;
    m.type = MESSAGE_KEEP;
    negotiator_receive(w->agents[2].n, w->now_ns, X1, &m);
    assert_true(negotiator_next_action(w->agents[2].n, &act));
    assert_int_equal(act.message->type, MESSAGE_FAILED);
    assert_int_equal(negotiator_leases(w->agents[2].n, NULL, 0), 1);
    world_destroy(w);
}

static bool lose_kept(World *w, const char *from, unsigned to, const Message *m)
{
    (void)from;
    (void)to;
    return m->type == MESSAGE_KEPT && *(bool *)w->ctx;
}

// KEPT is lost for good: what was kept is taken back, because the proposer cannot know.
static void test_a_keep_that_nobody_confirms(void **state)
{
    (void)state;
    bool lossy = true;
    World *w = calm(2);
    w->ctx = &lossy;
    w->drop = lose_kept;
    world_start(w);
    (void)propose_one(w, 0, "x1.p", "5", X1);
    run_world(w, NEVER_NS);
    assert_outcome(w, 0, 0, NEGOTIATION_ROLLED_BACK, REASON_NO_ANSWER);
    assert_values(w, 1, 0, 0);
    world_destroy(w);
}

static void test_agents_leave(void **state)
{
    (void)state;
    World *w = calm(3);
    w->host = (Host){.watch = wait_and_see};
    world_start(w);
    MessageChange changes[] = {{SLICE("x1.p"), SLICE("1")}, {SLICE("x2.p"), SLICE("2")}};
    Slice owners[] = {X1, X2};
    (void)propose(w, 0, changes, owners, 2);
    run_world(w, w->now_ns + NS_PER_S);
    assert_values(w, 2, 2, 0);
    negotiator_leave(w->agents[2].n, w->now_ns);
    drain(&w->agents[2]);
    run_world(w, w->now_ns + NS_PER_S);
    assert_outcome(w, 0, 0, NEGOTIATION_ROLLED_BACK, REASON_LEFT);
    assert_values(w, 1, 0, 0);
    assert_values(w, 2, 0, 0);
    // The proposer leaves.
    (void)propose_one(w, 0, "x1.p", "3", X1);
    run_world(w, w->now_ns + NS_PER_S);
    assert_values(w, 1, 3, 0);
    negotiator_leave(w->agents[0].n, w->now_ns);
    drain(&w->agents[0]);
    run_world(w, NEVER_NS);
    assert_outcome(w, 1, 0, NEGOTIATION_ROLLED_BACK, REASON_LEFT);
    assert_values(w, 1, 0, 0);
    uint64_t deal;
    MessageChange change = {SLICE("x1.p"), SLICE("1")};
    NegotiationPlan plan = {
        .changes = &change, .owners = &X1, .change_count = 1, .for_ns = NS_PER_S};
    assert_int_equal(negotiator_propose(w->agents[0].n, w->now_ns, &plan, &deal, NULL), ERR_CLOSED);
    world_destroy(w);
}

// A crashed proposer comes back as another incarnation: what it had leased goes back at once.
static void test_a_restart_is_a_farewell(void **state)
{
    (void)state;
    World *w = calm(2);
    w->host = (Host){.watch = wait_and_see};
    world_start(w);
    Message join = {.type = MESSAGE_JOIN, .token = 1};
    negotiator_receive(w->agents[1].n, w->now_ns, X0, &join);
    (void)propose_one(w, 0, "x1.p", "5", X1);
    run_world(w, w->now_ns + NS_PER_S);
    negotiator_receive(w->agents[1].n, w->now_ns, X0, &join); // a double says nothing new
    drain(&w->agents[1]);
    assert_values(w, 1, 5, 0);
    join.token = 2;
    negotiator_receive(w->agents[1].n, w->now_ns, X0, &join);
    drain(&w->agents[1]);
    assert_values(w, 1, 0, 0);
    world_destroy(w);
}

static bool never_rolls(Agent *a)
{
    return a->world->now_ns > 30 * NS_PER_S;
}

// A host that cannot put the old values back is asked again, and nobody else gets the place.
static void test_a_rollback_is_tried_until_it_works(void **state)
{
    (void)state;
    World *w = calm(2);
    w->host = (Host){.watch = roll_it_back, .rolls_back = never_rolls};
    world_start(w);
    (void)propose_one(w, 0, "x1.p", "5", X1);
    run_world(w, 20 * NS_PER_S);
    assert_values(w, 1, 5, 0);
    assert_int_equal(negotiator_leases(w->agents[1].n, NULL, 0), 1);
    run_world(w, NEVER_NS);
    assert_values(w, 1, 0, 0);
    assert_outcome(w, 0, 0, NEGOTIATION_UNCONFIRMED, REASON_CONTRADICTED);
    world_destroy(w);
}

static void test_an_ask_without_changes(void **state)
{
    (void)state;
    World *w = calm(2);
    w->host = (Host){.validate = counter_first, .replan = take_counter};
    world_start(w);
    MessageConstraint want = {SLICE("x1->x0.rate"), CONSTRAINT_AT_MOST, SLICE("12")};
    NegotiationPlan plan = {.asked = X1,
                            .constraints = &want,
                            .constraint_count = 1,
                            .for_ns = 5 * NS_PER_S,
                            .watch_ns = NS_PER_S};
    uint64_t deal;
    assert_int_equal(negotiator_propose(w->agents[0].n, w->now_ns, &plan, &deal, NULL), 0);
    drain(&w->agents[0]);
    run_world(w, NEVER_NS);
    assert_outcome(w, 0, 0, NEGOTIATION_KEPT, REASON_NONE);
    assert_values(w, 1, 3, 1);
    world_destroy(w);
}

static void test_bad_plans(void **state)
{
    (void)state;
    World *w = calm(2);
    world_start(w);
    Negotiator *n = w->agents[0].n;
    MessageChange twice[] = {{SLICE("x1.p"), SLICE("1")}, {SLICE("x1.p"), SLICE("2")}};
    MessageChange many[NEGOTIATOR_PARTIES_MAX + 1];
    Slice owners[NEGOTIATOR_PARTIES_MAX + 1];
    char names[NEGOTIATOR_PARTIES_MAX + 1][16];
    uint64_t deal;
    for (unsigned i = 0; i <= NEGOTIATOR_PARTIES_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "z%u.p", i);
        many[i] = (MessageChange){slice_from_cstr(names[i]), SLICE("1")};
        owners[i] = message_place(many[i].param);
    }
    NegotiationPlan plan = {.changes = twice, .owners = owners, .change_count = 2, .for_ns = 1};
    assert_int_equal(negotiator_propose(n, 0, &plan, &deal, NULL), ERR_ARG);
    plan.change_count = 0;
    assert_int_equal(negotiator_propose(n, 0, &plan, &deal, NULL), ERR_ARG);
    plan = (NegotiationPlan){.changes = many, .owners = owners, .change_count = 1};
    assert_int_equal(negotiator_propose(n, 0, &plan, &deal, NULL), ERR_ARG); // no time
    plan.for_ns = NS_PER_S;
    plan.change_count = NEGOTIATOR_PARTIES_MAX + 1;
    assert_int_equal(negotiator_propose(n, 0, &plan, &deal, NULL), ERR_LIMIT);
    assert_int_equal(negotiator_deals(n), 0);
    plan.change_count = NEGOTIATOR_PARTIES_MAX;
    for (int i = 0; i < NEGOTIATOR_DEALS_MAX; i++) {
        assert_int_equal(negotiator_propose(n, 0, &plan, &deal, NULL), 0);
    }
    assert_int_equal(negotiator_propose(n, 0, &plan, &deal, NULL), ERR_LIMIT);
    assert_int_equal(negotiator_keep(n, 0, deal, NULL), ERR_NOT_FOUND);
    assert_int_equal(negotiator_revise(n, 0, deal, &plan, NULL), ERR_NOT_FOUND);
    assert_int_equal(negotiator_propose_for(n, 0, 77, &plan, &deal, NULL), ERR_NOT_FOUND);
    drain(&w->agents[0]);
    world_destroy(w);
}

// Not its parameter; not enough room for one more request.
static void test_owners_refuse(void **state)
{
    (void)state;
    World *w = calm(2);
    w->options.grants_max = 2;
    w->host = (Host){.validate = wait_and_see};
    world_start(w);
    Message m = {.type = MESSAGE_PROPOSE, .round = 1, .for_ns = NS_PER_S};
    MessageChange change = {SLICE("x7.p"), SLICE("1")};
    m.changes = &change;
    m.change_count = 1;
    static const struct {
        const char *id, *param;
        MessageType answer;
        MessageReason reason;
    } CASES[] = {
        {"x0-1-1", "x7.p", MESSAGE_REJECT, REASON_NOT_OWNER},
        {"x0-1-2", "x1.p", MESSAGE_TYPES, REASON_NONE},
        {"x0-1-3", "x1.p", MESSAGE_TYPES, REASON_NONE},
        {"x0-1-4", "x1.p", MESSAGE_REJECT, REASON_OVERLOADED},
        {"x0-1-2", "x1.p", MESSAGE_DEFER, REASON_NONE}, // a double while it thinks
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        m.negotiation = m.root = slice_from_cstr(CASES[i].id);
        change.param = slice_from_cstr(CASES[i].param);
        negotiator_receive(w->agents[1].n, w->now_ns, X0, &m);
        MessageType answer = MESSAGE_TYPES;
        MessageReason reason = REASON_NONE;
        NegotiatorAction act;
        while (negotiator_next_action(w->agents[1].n, &act)) {
            answer = act.kind == ACTION_SEND ? act.message->type : answer;
            reason = act.kind == ACTION_SEND ? act.message->reason : reason;
        }
        assert_int_equal(answer, CASES[i].answer);
        assert_int_equal(reason, CASES[i].reason);
    }
    world_destroy(w);
}

// Sends to x1 as x0, and returns the type of the answer; MESSAGE_TYPES: none.
static MessageType tell(World *w, const Message *m, uint64_t *ret_token)
{
    Agent *owner = &w->agents[1];
    MessageType answer = MESSAGE_TYPES;
    NegotiatorAction act;
    negotiator_receive(owner->n, w->now_ns, X0, m);
    while (negotiator_next_action(owner->n, &act)) {
        if (act.kind == ACTION_SEND) {
            answer = act.message->type;
            *ret_token = act.message->token;
        } else {
            run_action(owner, &act);
        }
    }
    return answer;
}

// A proposer that renews for ever holds a place for hold_ns, not longer.
static void test_nobody_holds_a_place_for_ever(void **state)
{
    (void)state;
    World *w = calm(2);
    w->options = (NegotiatorOptions){.lease_ns = 2 * NS_PER_S, .hold_ns = 10 * NS_PER_S};
    world_start(w);
    MessageChange change = {SLICE("x1.p"), SLICE("5")};
    uint64_t token = 0;
    Message m = {.type = MESSAGE_PROPOSE,
                 .negotiation = SLICE("x0-1-1"),
                 .root = SLICE("x0-1-1"),
                 .round = 1,
                 .for_ns = INT64_MAX,
                 .changes = &change,
                 .change_count = 1};
    assert_int_equal(tell(w, &m, &token), MESSAGE_ACCEPT);
    int64_t granted_ns = w->now_ns;
    m.token = token;
    m.type = MESSAGE_COMMIT;
    assert_int_equal(tell(w, &m, &token), MESSAGE_APPLIED);
    assert_values(w, 1, 5, 0);
    m.type = MESSAGE_RENEW;
    while (w->now_ns < granted_ns + 10 * NS_PER_S - NS_PER_MS) {
        run_world(w, w->now_ns + NS_PER_S - NS_PER_MS / 10);
        assert_int_equal(tell(w, &m, &token), MESSAGE_RENEWED);
        assert_values(w, 1, 5, 0);
    }
    run_world(w, granted_ns + 10 * NS_PER_S);
    assert_values(w, 1, 0, 0);
    assert_int_equal(tell(w, &m, &token), MESSAGE_FAILED);
    // One round more than any negotiation has makes no sense.
    m.type = MESSAGE_PROPOSE;
    m.round = NEGOTIATOR_ROUNDS_MAX;
    assert_int_equal(tell(w, &m, &token), MESSAGE_ACCEPT);
    m.round++;
    assert_int_equal(tell(w, &m, &token), MESSAGE_REJECT);
    world_destroy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_or_none_is_kept),
        cmocka_unit_test(test_a_rejection_makes_the_next_plan),
        cmocka_unit_test(test_one_no_releases_the_others),
        cmocka_unit_test(test_rounds_are_bounded),
        cmocka_unit_test(test_a_counter_is_taken),
        cmocka_unit_test(test_a_recipient_asks_others_first),
        cmocka_unit_test(test_a_refused_dependency_refuses),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_what_contradicts_goes_back),
        cmocka_unit_test(test_nobody_decides),
        cmocka_unit_test(test_a_lease_expires),
        cmocka_unit_test(test_an_agent_that_never_answers),
        cmocka_unit_test(test_one_cannot_apply),
        cmocka_unit_test(test_two_proposers_one_policy),
        cmocka_unit_test(test_a_keep_that_nobody_confirms),
        cmocka_unit_test(test_agents_leave),
        cmocka_unit_test(test_a_restart_is_a_farewell),
        cmocka_unit_test(test_a_rollback_is_tried_until_it_works),
        cmocka_unit_test(test_an_ask_without_changes),
        cmocka_unit_test(test_bad_plans),
        cmocka_unit_test(test_owners_refuse),
        cmocka_unit_test(test_nobody_holds_a_place_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
