// The owner's side: what to say to those who want something changed. An owner judges a request by
// its own objectives, within the whole plan that it is a part of; it looks for a better form of its
// own part (it knows its edges best), and asks those behind it for what they must do.

#include "manage/coordinator_impl.h"

#include <math.h>
#include <string.h>

#include "manage/plan_message.h"

enum {
    CONSIDER_BYTES_MAX = 256 << 20,
    AMENDMENTS_MAX = 200, // of one request that are looked at
};

// An amendment must be worth another round: a tenth of somebody's tail (of the sum of logarithms).
#define AMEND_GAIN 0.1

bool owner_owns(void *manager, Slice param)
{
    const Manager *m = manager;
    const System *sys = manager_view(m);
    SystemParam what = {0};
    if (slice_ends_with(param, SLICE(".program"))) {
        Slice place = slice_sub(param, 0, param.len - strlen(".program"));
        ptrdiff_t edge = system_find_edge(sys, place), agent = system_find_agent(sys, place);
        if (edge < 0 && agent < 0) {
            return false;
        }
        what.place = edge >= 0 ? PLACE_EDGE : PLACE_AGENT;
        what.index = (uint32_t)(edge >= 0 ? edge : agent);
    } else if (system_find_param(sys, param, &what, NULL) != 0) {
        return false;
    }
    return system_owner(sys, what) == m->index;
}

static Consideration *consideration_of(Manager *m, uint64_t grant)
{
    for (size_t i = 0; i < MANAGER_GRANTS_MAX; i++) {
        if (m->considerations[i].grant == grant) {
            return &m->considerations[i];
        }
    }
    return NULL;
}

static void consideration_end(Consideration *x)
{
    arena_destroy(x->arena);
    *x = (Consideration){0};
}

// A free place; the oldest makes room where there is none (its negotiation ends by its times).
static Consideration *consideration_begin(Manager *m, uint64_t grant)
{
    Consideration *x = consideration_of(m, grant);
    x = x != NULL ? x : consideration_of(m, 0);
    x = x != NULL ? x : &m->considerations[0];
    consideration_end(x);
    x->grant = grant;
    x->arena = arena_create(CONSIDER_BYTES_MAX);
    return x;
}

static void decide(Manager *m, uint64_t grant, const NegotiatorDecision *decision)
{
    negotiator_decide(m->negotiator, m->c->now_ns, grant, decision);
    manager_take_actions(m);
}

static void reject(Manager *m, uint64_t grant, MessageReason reason, Slice text)
{
    decide(m, grant,
           &(NegotiatorDecision){.answer = MESSAGE_REJECT, .reason = reason, .text = text});
}

static void accept(Manager *m, uint64_t grant, ProposalEstimates predicted)
{
    decide(m, grant, &(NegotiatorDecision){.answer = MESSAGE_ACCEPT, .predicted = predicted});
}

// ---- what is asked

// The whole plan: the document, with what is asked of this owner in any case.
static int read_request(Manager *m, Arena *arena, const Message *message, PlanDocument *ret, Err *e)
{
    const System *sys = manager_view(m);
    Plan asked = {0};
    int rc = plan_document_read(arena, sys, message->document, ret, e);
    rc = rc != 0
             ? rc
             : plan_from_changes(arena, sys, message->changes, message->change_count, &asked, e);
    for (uint32_t i = 0; rc == 0 && i < asked.count; i++) {
        rc = plan_add(&ret->plan, asked.changes[i], e);
    }
    if (rc == 0 && ret->plan.program_count == 0) {
        ret->plan.programs = asked.programs;
        ret->plan.program_count = asked.program_count;
    }
    ret->plan.planner = SLICE("request");
    ret->plan.title = arena_copy(arena, message->text);
    return rc;
}

// ---- amendments

// The plan with one planner's idea of how to go on from it.
static bool amended(const System *view, const Plan *whole, const Plan *idea, Plan *ret_plan)
{
    Plan plan = *whole;
    for (uint32_t i = 0; i < idea->count; i++) {
        if (plan_add(&plan, idea->changes[i], NULL) != 0) {
            return false;
        }
    }
    if (idea->program_count > 0) {
        plan.programs = idea->programs;
        plan.program_count = idea->program_count;
    }
    plan.title = idea->title;
    plan.reason = idea->reason;
    plan.planner = idea->planner;
    plan_trim(view, &plan);
    *ret_plan = plan;
    return plan.count + plan.program_count > 0;
}

// [0] is the request itself.
static PlanList amendments(Manager *m, Arena *arena, const PlanDocument *request)
{
    Coordinator *c = m->c;
    const System *view = manager_view(m);
    PlanList all = {.plans = ARENA_ARRAY(arena, Plan, AMENDMENTS_MAX + 1)};
    System *after;
    all.plans[all.count++] = request->plan;
    if (plan_apply(arena, view, &request->plan, &after, NULL) != 0) {
        return all;
    }
    Violation violation = {.client = request->client,
                           .measure = request->measure,
                           .limit = request->limit,
                           .value = NAN};
    PlanContext context = {
        .view = after,
        .self = m->index,
        .reach = 1,
        .violation = request->client != UINT32_MAX ? &violation : NULL,
        .base = &request->plan,
        .budget_ns = c->options.plan_budget_ns / 2,
        .seed = c->options.seed,
        .case_number = c->sums.cases,
    };
    for (size_t i = 0; i < c->options.planner_count && request->client != UINT32_MAX; i++) {
        PlanList list = {0};
        size_t max = c->options.plans_max < AMENDMENTS_MAX ? c->options.plans_max : AMENDMENTS_MAX;
        context.plans_max = max + 1 - all.count;
        if (planner_plan(c->options.planners[i], arena, &context, &list, NULL) != 0) {
            continue;
        }
        for (size_t k = 0; k < list.count; k++) {
            all.count += amended(view, &request->plan, &list.plans[k], &all.plans[all.count]);
        }
    }
    return all;
}

static const Verdict *verdict_of(const Validation *validation, size_t index)
{
    for (size_t i = 0; i < validation->count; i++) {
        if (validation->verdicts[i].index == index) {
            return &validation->verdicts[i];
        }
    }
    return NULL;
}

static bool is_sound(const Verdict *v)
{
    return v->kind == VERDICT_ACCEPTED || v->kind == VERDICT_AMENDED;
}

// Is the best so much better than the request that it is worth another round?
static bool worth_a_round(const System *view, const Verdict *request, const Verdict *best)
{
    if (!is_sound(request) || request->kind == VERDICT_AMENDED) {
        return true;
    }
    if (best->gap.value < request->gap.value - 0.01) {
        return true;
    }
    double gain = 0;
    for (uint32_t i = 0; i < view->objective_count; i++) {
        uint32_t client = view->objectives[i].client;
        Estimate was = request->outcome->clients[client].p99;
        Estimate is = best->outcome->clients[client].p99;
        gain += isfinite(was.value) && isfinite(is.value) && is.value > 0
                    ? log(was.value / is.value)
                    : 0;
    }
    return gain > AMEND_GAIN;
}

// ---- decisions

static void split_others(Manager *m, Consideration *x, uint32_t proposer)
{
    const System *sys = manager_view(m);
    x->others = (Plan){0};
    for (uint32_t i = 0; i < x->whole.count; i++) {
        uint32_t owner = system_owner(sys, x->whole.changes[i].what);
        if (owner != m->index && !parties_are_neighbours(sys, proposer, owner) &&
            parties_are_neighbours(sys, m->index, owner)) {
            x->others.changes[x->others.count++] = x->whole.changes[i];
        }
    }
}

// Asks those behind this owner for their part; the proposer hears that it takes a while.
static int ask_others(Manager *m, Consideration *x, const NegotiatorAction *a, Err *e)
{
    const System *sys = manager_view(m);
    MessageChange changes[PLAN_CHANGES_MAX + PLAN_PROGRAMS_MAX];
    uint32_t indices[PLAN_CHANGES_MAX + PLAN_PROGRAMS_MAX];
    Slice owners[PLAN_CHANGES_MAX + PLAN_PROGRAMS_MAX];
    size_t count = plan_to_changes(x->arena, sys, &x->others, changes, indices);
    for (size_t i = 0; i < count; i++) {
        owners[i] = party_name(sys, indices[i]);
    }
    NegotiationPlan plan = {
        .changes = changes,
        .owners = owners,
        .change_count = count,
        .predicted = x->predicted,
        .direction = DIRECTION_UPSTREAM,
        .text = arena_printf(x->arena, "needed for a request of %.*s", SLICE_FMT(a->peer)),
        .document = a->message->document,
        .for_ns = a->message->for_ns / 2,
        .watch_ns = m->c->options.lease_ns,
    };
    int rc = negotiator_propose_for(m->negotiator, m->c->now_ns, a->grant, &plan, &x->deal, e);
    manager_take_actions(m);
    return rc;
}

static void say_yes(Manager *m, Consideration *x, const NegotiatorAction *a)
{
    Manager *proposer = coordinator_find(m->c, a->peer);
    if (proposer != NULL) {
        split_others(m, x, proposer->index);
    }
    if (x->others.count == 0) {
        accept(m, a->grant, x->predicted);
        return;
    }
    Err e = {0};
    if (ask_others(m, x, a, &e) != 0) {
        reject(m, a->grant, REASON_DEPENDENCY, slice_from_cstr(e.text));
    }
}

static void counter(Manager *m, Consideration *x, const NegotiatorAction *a, const Verdict *best)
{
    const System *sys = manager_view(m);
    MessageChange *changes =
        ARENA_ARRAY(x->arena, MessageChange, PLAN_CHANGES_MAX + PLAN_PROGRAMS_MAX);
    size_t count = plan_to_changes(x->arena, sys, &best->plan, changes, NULL);
    m->countered = plan_hash(sys, &best->plan);
    Slice text = best->plan.title;
    if (best->kind == VERDICT_AMENDED) {
        text = arena_printf(x->arena, "%.*s; %.*s", SLICE_FMT(best->plan.title),
                            SLICE_FMT(best->words));
    }
    decide(m, a->grant,
           &(NegotiatorDecision){.answer = MESSAGE_COUNTER,
                                 .text = text,
                                 .changes = changes,
                                 .change_count = count,
                                 .predicted = record_estimates(x->arena, sys, best->outcome)});
}

static MessageReason reason_for(VerdictReason reason)
{
    switch (reason) {
    case VERDICT_RANGE: return REASON_RANGE;
    case VERDICT_LIMIT: return REASON_REFUSED;
    case VERDICT_HARM: return REASON_BYSTANDER;
    case VERDICT_COLLAPSE: return REASON_UNSTABLE;
    case VERDICT_BUDGET:
    case VERDICT_OUTRUN: return REASON_DEADLINE;
    case VERDICT_FINE:
    case VERDICT_CAPACITY:
    case VERDICT_NO_BETTER:
    case VERDICT_OBJECTIVE:
    case VERDICT_REASONS: break;
    }
    return REASON_OBJECTIVE;
}

static Slice limit_text(Arena *arena, uint16_t param, double number)
{
    Buf text = buf_create(256);
    param_format(system_param_row(param), system_value(param, number), &text);
    Slice copy = arena_copy(arena, buf_slice(&text));
    buf_done(&text);
    return copy;
}

// What is wrong with the request, in a form that the next plan can keep to.
static void refuse(Manager *m, Consideration *x, const NegotiatorAction *a, const Verdict *v)
{
    const System *sys = manager_view(m);
    MessageConstraint *constraints =
        ARENA_ARRAY(x->arena, MessageConstraint, MESSAGE_CONSTRAINTS_MAX);
    size_t count = 0;
    for (size_t i = 0; i < v->limit_count && count + 2 <= MESSAGE_CONSTRAINTS_MAX; i++) {
        const PlanLimit *limit = &v->limits[i];
        Buf name = buf_create(1024);
        system_param_name(sys, limit->what, &name);
        Slice subject = arena_copy(x->arena, buf_slice(&name));
        buf_done(&name);
        if (isfinite(limit->low)) {
            constraints[count++] = (MessageConstraint){
                subject, CONSTRAINT_AT_LEAST, limit_text(x->arena, limit->what.param, limit->low)};
        }
        if (isfinite(limit->high)) {
            constraints[count++] = (MessageConstraint){
                subject, CONSTRAINT_AT_MOST, limit_text(x->arena, limit->what.param, limit->high)};
        }
    }
    for (size_t i = 0; i < v->harm_count && count < MESSAGE_CONSTRAINTS_MAX; i++) {
        const Harm *h = &v->harms[i];
        if (h->harmful && isfinite(h->before.value)) {
            constraints[count++] = (MessageConstraint){
                arena_printf(x->arena, "%.*s.%s", SLICE_FMT(sys->clients[h->client].name),
                             MEASURE_NAMES[h->measure]),
                h->measure == MEASURE_GOODPUT ? CONSTRAINT_AT_LEAST : CONSTRAINT_AT_MOST,
                arena_printf(x->arena, "%.6g", h->before.value)};
        }
    }
    ProposalEstimates predicted = {NULL, 0};
    if (v->outcome != NULL) {
        predicted = record_estimates(x->arena, sys, v->outcome);
    }
    decide(m, a->grant,
           &(NegotiatorDecision){.answer = MESSAGE_REJECT,
                                 .reason = reason_for(v->reason),
                                 .text = v->words,
                                 .constraints = constraints,
                                 .constraint_count = count,
                                 .predicted = predicted});
}

static void consider(Manager *m, const NegotiatorAction *a)
{
    Consideration *x = consideration_begin(m, a->grant);
    const System *view = manager_view(m);
    PlanDocument request;
    Err e = {0};
    if (read_request(m, x->arena, a->message, &request, &e) != 0) {
        reject(m, a->grant, REASON_MALFORMED, slice_from_cstr(e.text));
        return;
    }
    x->whole = request.plan;
    if (m->countered != 0 && plan_hash(view, &request.plan) == m->countered) {
        say_yes(m, x, a); // it is what this owner has said itself
        return;
    }
    PlanList plans = amendments(m, x->arena, &request);
    ValidateAsk ask = m->c->options.validate;
    ask.view = view;
    ask.plans = plans.plans;
    ask.count = plans.count;
    ask.self = m->index;
    ask.purpose = request.client;
    ask.budget_ns = m->c->options.plan_budget_ns;
    ask.seed = m->c->options.seed;
    ask.may_be_equal = true;
    ask.may_amend = true;
    ask.always = 1;
    ask.trigger_ns = coordinator_backlog(m->c);
    Validation validation;
    if (validate(x->arena, &ask, &validation, &e) != 0) {
        reject(m, a->grant, REASON_MALFORMED, slice_from_cstr(e.text));
        return;
    }
    const Verdict *as_asked = verdict_of(&validation, 0), *best = &validation.verdicts[0];
    if (validation.sound > 0 && worth_a_round(view, as_asked, best)) {
        counter(m, x, a, best);
    } else if (is_sound(as_asked)) {
        x->predicted = record_estimates(x->arena, view, as_asked->outcome);
        say_yes(m, x, a);
    } else {
        refuse(m, x, a, as_asked);
    }
}

void owner_validate(Manager *m, const NegotiatorAction *a)
{
    Consideration *x = a->grant != 0 ? consideration_of(m, a->grant) : NULL;
    if (m->trouble.fault == PARTY_SELFISH) {
        reject(m, a->grant, REASON_REFUSED, SLICE("not in my interest"));
    } else if (a->supported && x != NULL) {
        accept(m, a->grant, x->predicted);
    } else if (a->refused) {
        reject(m, a->grant, REASON_DEPENDENCY, SLICE("those who would have to help said no"));
    } else {
        consider(m, a);
    }
}

void owner_replan(Manager *m, const NegotiatorAction *a)
{
    // One try: what the others refuse is the proposer's to plan around.
    negotiator_withdraw(m->negotiator, m->c->now_ns, a->deal, REASON_DEPENDENCY, a->text);
    manager_take_actions(m);
}

void owner_grant(Manager *m, const NegotiatorAction *a)
{
    Consideration *x = consideration_of(m, a->grant);
    bool over = a->grant_state == GRANT_RELEASED || a->grant_state == GRANT_ROLLED_BACK ||
                a->grant_state == GRANT_KEPT;
    if (x != NULL && over) {
        consideration_end(x);
    }
}

// ---- doing it

void owner_apply(Manager *m, const NegotiatorAction *a)
{
    Coordinator *c = m->c;
    Arena *arena = arena_create(MESSAGE_BYTES_MAX * 8);
    MessageChange old[PLAN_CHANGES_MAX + PLAN_PROGRAMS_MAX];
    size_t count = 0;
    Plan plan;
    Err e = {0};
    int rc = plan_from_changes(arena, c->published, a->changes, a->change_count, &plan, &e);
    if (rc == 0) {
        Plan before = plan;
        for (uint32_t i = 0; i < before.count; i++) {
            before.changes[i].value = system_get(c->published, before.changes[i].what);
        }
        before.programs = ARENA_ARRAY(arena, PlanProgram, PLAN_PROGRAMS_MAX);
        for (uint32_t i = 0; i < plan.program_count; i++) {
            const PlanProgram *p = &plan.programs[i];
            before.programs[i] = *p;
            before.programs[i].text = p->place == PLACE_AGENT
                                          ? c->published->agents[p->index].program
                                          : c->published->edges[p->index].program;
        }
        count = plan_to_changes(arena, c->published, &before, old, NULL);
        // Who says that it did and does not is found out by what is observed, not by asking it.
        rc = m->trouble.fault == PARTY_NO_APPLY ? 0 : coordinator_set(c, &plan, &e);
    }
    negotiator_applied(m->negotiator, c->now_ns, a->grant, rc == 0, old, rc == 0 ? count : 0,
                       slice_from_cstr(e.text));
    manager_take_actions(m);
    arena_destroy(arena);
}

void owner_roll_back(Manager *m, const NegotiatorAction *a)
{
    Coordinator *c = m->c;
    Arena *arena = arena_create(MESSAGE_BYTES_MAX * 8);
    Plan plan;
    Err e = {0};
    int rc = plan_from_changes(arena, c->published, a->changes, a->change_count, &plan, &e);
    rc = rc != 0 || m->trouble.fault == PARTY_NO_APPLY ? rc : coordinator_set(c, &plan, &e);
    if (rc != 0) {
        story_say(c, STORY_NOTE, m->name, "cannot go back: %s", e.text);
    }
    negotiator_rolled_back(m->negotiator, c->now_ns, a->grant, rc == 0);
    manager_take_actions(m);
    arena_destroy(arena);
}
