// The proposer's side: one case from a broken promise to a policy that is kept, or to nothing.

#include "manage/coordinator_impl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "manage/plan_message.h"
#include "stat/rate.h"

enum {
    PLANNINGS_MAX = 3,      // of one case: the first and those after refusals
    REST_DOUBLINGS_MAX = 5, // of the pause after a case that came to nothing
    SETTLE_MAX = 36,        // windows that the backlog of before is waited for
    EXCUSED_MAX = 24,       // windows in which other load than predicted is no contradiction
};

// How much more load than the prediction was made for says nothing about the prediction.
#define LOAD_SLACK 1.25
// That a window contradicts a promise by chance: one in ten thousand, as there are many windows.
#define GUARD_CONFIDENCE 0.9999

bool case_is_open(const Manager *m)
{
    switch (m->current.state) {
    case CASE_NONE:
    case CASE_KEPT:
    case CASE_ROLLED_BACK:
    case CASE_GIVEN_UP:
    case CASE_STATES: return false;
    case CASE_DETECTED:
    case CASE_PLANNED:
    case CASE_VALIDATED:
    case CASE_WAITING:
    case CASE_NEGOTIATING:
    case CASE_APPLIED:
    case CASE_WATCHING: break;
    }
    return true;
}

static Slice reason_of(const Case *k)
{
    return slice_from_cstr(MESSAGE_REASON_NAMES[k->why]);
}

// After a case that came to nothing the next one waits, twice as long each time: who cannot be
// helped must not keep everybody busy.
static void rest(Manager *m)
{
    uint32_t doublings = m->failures < REST_DOUBLINGS_MAX ? m->failures : REST_DOUBLINGS_MAX;
    m->rest_until_ns = m->c->now_ns + m->c->window_ns * (INT64_C(1) << doublings);
    m->failures++;
}

static void case_close(Manager *m, CaseState state)
{
    Case *k = &m->current;
    k->state = state;
    if (state == CASE_KEPT) {
        m->failures = 0;
        m->rest_until_ns = m->c->now_ns;
        m->c->sums.kept++;
    } else {
        m->c->sums.rolled_back += state == CASE_ROLLED_BACK;
        m->c->sums.given_up += state == CASE_GIVEN_UP;
        rest(m);
    }
}

void case_give_up(Manager *m, MessageReason reason, const char *format, ...)
{
    char text[STORY_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    Case *k = &m->current;
    k->why = reason;
    if (k->deal != 0) {
        // The end comes when everybody is back at the old values: case_ended.
        story_say(m->c, STORY_NOTE, m->name, "withdraws: %s", text);
        negotiator_withdraw(m->negotiator, m->c->now_ns, k->deal, reason, slice_from_cstr(text));
        manager_take_actions(m);
        return;
    }
    record_step(m, PROPOSAL_REJECTED, m->name, text, NULL, NULL);
    case_close(m, CASE_GIVEN_UP);
    story_say(m->c, STORY_GIVEN_UP, m->name, "%s", text);
}

void case_open(Manager *m, const Violation *violation)
{
    Case *k = &m->current;
    arena_destroy(k->arena);
    *k = (Case){.state = CASE_DETECTED,
                .arena = arena_create(MANAGER_CASE_BYTES_MAX),
                .violation = *violation};
    m->c->sums.cases++;
    const System *sys = manager_view(m);
    Slice client = sys->clients[violation->client].name;
    const char *unit =
        violation->measure == MEASURE_P50 || violation->measure == MEASURE_P99 ? " s" : "";
    Slice text = arena_printf(
        k->arena, "%s of %.*s is %.4g%s, promised is %.4g%s (%llu requests since %.0f s)",
        MEASURE_NAMES[violation->measure], SLICE_FMT(client), violation->value, unit,
        violation->limit, unit, (unsigned long long)violation->requests,
        (double)violation->since_ns / 1e9);
    story_add(m->c, &(StoryEvent){.kind = STORY_DETECTED,
                                  .party = m->name,
                                  .other = client,
                                  .text = text,
                                  .predicted = {NAN, NAN, NAN},
                                  .observed = {violation->value, violation->observed.low,
                                               violation->observed.high}});
}

// ---- plan and validate

static PlanList make_plans(Manager *m, Arena *arena)
{
    Coordinator *c = m->c;
    Case *k = &m->current;
    PlanContext context = {
        .view = manager_view(m),
        .self = m->index,
        .reach = 2,
        .violation = &k->violation,
        .observed = c->last.outcome,
        .limits = m->limits,
        .limit_count = m->limit_count,
        .budget_ns = c->options.plan_budget_ns,
        .seed = c->options.seed + k->plannings,
        .case_number = c->sums.cases,
    };
    PlanList all = {.plans = ARENA_ARRAY(arena, Plan, PLANS_MAX)};
    int64_t began = clock_now(clock_real());
    for (size_t i = 0; i < c->options.planner_count; i++) {
        PlanList list = {0};
        Err e = {0};
        context.plans_max = c->options.plans_max - all.count;
        if (planner_plan(c->options.planners[i], arena, &context, &list, &e) != 0) {
            story_say(c, STORY_NOTE, m->name, "planner %s: %s", c->options.planners[i]->ops->name,
                      e.text);
            continue;
        }
        memcpy(all.plans + all.count, list.plans, list.count * sizeof(Plan));
        all.count += list.count;
    }
    k->state = CASE_PLANNED;
    story_add(c, &(StoryEvent){.kind = STORY_PLANNED,
                               .party = m->name,
                               .took_ns = clock_now(clock_real()) - began,
                               .text = arena_printf(arena, "%zu candidates", all.count)});
    return all;
}

static ValidateAsk ask_of(const Manager *m, const Plan *plans, size_t count)
{
    ValidateAsk ask = m->c->options.validate;
    ask.view = manager_view(m);
    ask.plans = plans;
    ask.count = count;
    ask.self = m->index;
    ask.purpose = m->current.violation.client;
    ask.limits = m->limits;
    ask.limit_count = m->limit_count;
    ask.budget_ns = m->c->options.plan_budget_ns;
    ask.seed = m->c->options.seed;
    ask.may_amend = true;
    ask.trigger_ns = coordinator_backlog(m->c);
    return ask;
}

// A plan that fails only by what others could mend is worth asking about: its owners judge it
// themselves, and nothing is committed to before everybody found a form of it sound.
static bool worth_asking(const Manager *m, const Verdict *v, const Validation *validation)
{
    if (v->kind != VERDICT_REJECTED || v->outcome == NULL ||
        (v->reason != VERDICT_COLLAPSE && v->reason != VERDICT_HARM &&
         v->reason != VERDICT_OBJECTIVE && v->reason != VERDICT_NO_BETTER)) {
        return false;
    }
    uint32_t owners[PLAN_CHANGES_MAX];
    size_t count = plan_owners(manager_view(m), &v->plan, owners);
    for (size_t i = 0; i < count; i++) {
        if (owners[i] != m->index) {
            return v->gap.value <= validation->baseline_gap.value + 0.01;
        }
    }
    return false;
}

static Verdict *choose(const Manager *m, const Validation *validation)
{
    if (validation->sound > 0) {
        return &validation->verdicts[0];
    }
    for (size_t i = 0; i < validation->count; i++) {
        if (worth_asking(m, &validation->verdicts[i], validation)) {
            return &validation->verdicts[i];
        }
    }
    return NULL;
}

static void tell_validation(Manager *m, const Validation *v, const Verdict *chosen)
{
    Buf text = buf_create(STORY_TEXT_MAX);
    for (size_t i = 0; i < VALIDATE_STAGES; i++) {
        if (v->stages[i].looked_at > 0) {
            buf_printf(&text, "%s%s %zu of %zu", text.len == 0 ? "" : ", ", v->stages[i].name,
                       v->stages[i].let_through, v->stages[i].looked_at);
        }
    }
    if (chosen != NULL) {
        buf_printf(&text, "; %s: %.*s (%s)", VERDICT_NAMES[chosen->kind],
                   SLICE_FMT(chosen->plan.title), VERDICT_REASON_NAMES[chosen->reason]);
    }
    Buf changes = buf_create(STORY_TEXT_MAX);
    if (chosen != NULL) {
        plan_write(manager_view(m), &chosen->plan, &changes);
    }
    story_add(m->c, &(StoryEvent){.kind = STORY_VALIDATED,
                                  .party = m->name,
                                  .took_ns = v->took_ns,
                                  .text = buf_slice(&text),
                                  .changes = buf_slice(&changes)});
    buf_done(&text);
    buf_done(&changes);
}

// Plans, validates, and takes the best; NULL with the case given up when there is none.
static Verdict *think(Manager *m)
{
    Case *k = &m->current;
    k->plannings++;
    manager_forget_old(m);
    PlanList plans = make_plans(m, k->arena);
    if (plans.count == 0) {
        case_give_up(m, REASON_OBJECTIVE, "nothing is left to try");
        return NULL;
    }
    ValidateAsk ask = ask_of(m, plans.plans, plans.count);
    Validation validation;
    Err e = {0};
    if (validate(k->arena, &ask, &validation, &e) != 0) {
        case_give_up(m, REASON_MALFORMED, "validation: %s", e.text);
        return NULL;
    }
    k->state = CASE_VALIDATED;
    Verdict *chosen = choose(m, &validation);
    tell_validation(m, &validation, chosen);
    if (chosen == NULL) {
        const Verdict *first = &validation.verdicts[0];
        case_give_up(m, REASON_OBJECTIVE, "none of %zu candidates would do; the best: %.*s",
                     validation.count, SLICE_FMT(first->words));
    }
    return chosen;
}

static void take_plan(Manager *m, Verdict *verdict)
{
    Case *k = &m->current;
    k->verdict = verdict;
    k->plan = verdict->plan;
    k->predicted = verdict->outcome;
    k->backlog_ns = 2 * coordinator_backlog(m->c);
}

// ---- negotiate

static MessageDirection direction_of(const System *sys, uint32_t self, uint32_t other)
{
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        if (sys->edges[i].from == self && sys->edges[i].to == other) {
            return DIRECTION_DOWNSTREAM;
        }
        if (sys->edges[i].from == other && sys->edges[i].to == self) {
            return DIRECTION_UPSTREAM;
        }
    }
    return DIRECTION_PEER;
}

// The parts of the plan that this party asks for itself: those of owners that it knows. The others
// are in the document only; whoever put them in asks for them (manager_owner.c).
typedef struct Request {
    MessageChange changes[PLAN_CHANGES_MAX + PLAN_PROGRAMS_MAX];
    Slice owners[PLAN_CHANGES_MAX + PLAN_PROGRAMS_MAX];
    size_t count;
    MessageDirection direction;
} Request;

static Request *request_of(const Manager *m, Arena *arena, const Plan *plan)
{
    const System *sys = manager_view(m);
    Request *r = ARENA_NEW(arena, Request);
    enum { MAX = PLAN_CHANGES_MAX + PLAN_PROGRAMS_MAX };
    MessageChange *all = ARENA_ARRAY(arena, MessageChange, MAX);
    uint32_t *owners = ARENA_ARRAY(arena, uint32_t, MAX);
    size_t count = plan_to_changes(arena, sys, plan, all, owners);
    for (size_t i = 0; i < count; i++) {
        if (!parties_are_neighbours(sys, m->index, owners[i])) {
            continue;
        }
        r->changes[r->count] = all[i];
        r->owners[r->count++] = party_name(sys, owners[i]);
        if (owners[i] != m->index && r->direction == DIRECTION_NONE) {
            r->direction = direction_of(sys, m->index, owners[i]);
        }
    }
    return r;
}

// How long a contradiction of the promise is only the backlog of before: as long as the prediction
// says that it takes to come back, and a little longer.
static uint32_t settle_windows(const Manager *m)
{
    const Coordinator *c = m->c;
    double recovery = m->current.verdict->recovery.high * 1e9;
    double wait = (isfinite(recovery) ? recovery : 0) + (double)m->current.backlog_ns;
    uint32_t predicted = (uint32_t)ceil(fmin(1.5 * wait / (double)c->window_ns, SETTLE_MAX));
    return predicted > c->options.settle_windows ? predicted : c->options.settle_windows;
}

static NegotiationPlan negotiation_of(Manager *m, const Request *r)
{
    Case *k = &m->current;
    Coordinator *c = m->c;
    const System *sys = manager_view(m);
    uint32_t windows = SETTLE_MAX + c->options.watch_windows + 2 * EXCUSED_MAX + 4;
    PlanDocument document = {.plan = k->plan,
                             .client = k->violation.client,
                             .measure = k->violation.measure,
                             .limit = k->violation.limit};
    return (NegotiationPlan){
        .changes = r->changes,
        .owners = r->owners,
        .change_count = r->count,
        .predicted = record_estimates(k->arena, sys, k->predicted),
        .direction = r->direction,
        .text = k->plan.reason,
        .document = plan_document_write(k->arena, sys, &document),
        .for_ns = 6 * c->window_ns,
        .watch_ns = windows * c->window_ns,
    };
}

static void propose(Manager *m)
{
    Case *k = &m->current;
    Err e = {0};
    Request *r = request_of(m, k->arena, &k->plan);
    NegotiationPlan plan = negotiation_of(m, r);
    k->state = CASE_NEGOTIATING;
    int rc = negotiator_propose(m->negotiator, m->c->now_ns, &plan, &k->deal, &e);
    if (rc != 0) {
        k->deal = 0;
        case_give_up(m, REASON_MALFORMED, "cannot propose: %s", e.text);
        return;
    }
    manager_take_actions(m);
}

void case_decided(Manager *m, bool yes, Slice by)
{
    Case *k = &m->current;
    if (k->state != CASE_WAITING && k->state != CASE_VALIDATED) {
        return;
    }
    if (!yes) {
        manager_learn(m,
                      &(PlanLimit){.refused = plan_hash(manager_view(m), &k->plan),
                                   .by = m->index,
                                   .reason = SLICE("a person said no")},
                      LIMIT_WINDOWS);
        k->why = REASON_REFUSED;
        case_close(m, CASE_GIVEN_UP);
        story_say(m->c, STORY_GIVEN_UP, m->name, "refused by %.*s", SLICE_FMT(by));
        return;
    }
    story_say(m->c, STORY_APPROVED, m->name, "approved by %.*s", SLICE_FMT(by));
    propose(m);
}

void case_step(Manager *m)
{
    Case *k = &m->current;
    Coordinator *c = m->c;
    if (k->state != CASE_DETECTED) {
        return;
    }
    Verdict *chosen = think(m);
    if (chosen == NULL) {
        return;
    }
    take_plan(m, chosen);
    coordinator_think(c);
    ProposalEstimates predicted = record_estimates(k->arena, manager_view(m), k->predicted);
    record_create(m);
    bool sound = chosen->kind != VERDICT_REJECTED;
    record_step(m, PROPOSAL_VALIDATED, m->name,
                sound ? arena_cstr(k->arena, chosen->words)
                      : "not sound by itself: asked about, for its owners to mend",
                &predicted, NULL);
    switch (c->options.mode) {
    case APPROVAL_ADVISE:
        case_close(m, CASE_GIVEN_UP);
        story_say(c, STORY_ADVISED, m->name, "advice: %.*s", SLICE_FMT(k->plan.title));
        return;
    case APPROVAL_ASK:
        k->state = CASE_WAITING;
        story_say(c, STORY_NOTE, m->name, "waits for a person: %.*s", SLICE_FMT(k->plan.title));
        return;
    case APPROVAL_AUTOMATIC: break;
    }
    record_step(m, PROPOSAL_APPROVED, SLICE("automatic"), "mode auto", NULL, NULL);
    case_decided(m, true, SLICE("nobody: mode auto"));
}

// What a person wants goes the way of all plans but for the planning: it is validated with what is
// known now, negotiated, watched and, where it does not do what was predicted, taken back.
void case_for_person(Manager *m, const Plan *plan, const char *proposal)
{
    Case *k = &m->current;
    arena_destroy(k->arena);
    *k = (Case){.state = CASE_PLANNED,
                .arena = arena_create(MANAGER_CASE_BYTES_MAX),
                .violation = {.client = 0, .measure = MEASURE_P99, .value = NAN}};
    m->c->sums.cases++;
    memcpy(k->proposal, proposal, sizeof k->proposal);
    Plan *own = ARENA_NEW(k->arena, Plan);
    *own = *plan;
    own->title = arena_copy(k->arena, plan->title);
    own->reason = arena_copy(k->arena, plan->reason);
    k->plan = *own;
    ValidateAsk ask = ask_of(m, own, 1);
    ask.may_be_equal = true;
    ask.always = 1;
    Validation *validation = ARENA_NEW(k->arena, Validation);
    Err e = {0};
    if (validate(k->arena, &ask, validation, &e) != 0) {
        case_give_up(m, REASON_MALFORMED, "validation: %s", e.text);
        return;
    }
    tell_validation(m, validation, &validation->verdicts[0]);
    if (validation->sound == 0) {
        case_give_up(m, REASON_OBJECTIVE, "%.*s", SLICE_FMT(validation->verdicts[0].words));
        return;
    }
    take_plan(m, &validation->verdicts[0]);
    k->state = CASE_VALIDATED;
    case_decided(m, true, SLICE("a person"));
}

// ---- replan after refusals and counter-proposals

static void learn_from(Manager *m, const PartyAnswer *answer, uint64_t hash)
{
    const System *sys = manager_view(m);
    Manager *other = coordinator_find(m->c, answer->agent);
    uint32_t by = other != NULL ? other->index : m->index;
    for (size_t i = 0; i < answer->constraint_count; i++) {
        PlanLimit limit;
        if (plan_limit_of(sys, &answer->constraints[i], &limit)) {
            limit.by = by;
            limit.reason = answer->text;
            manager_learn(m, &limit, LIMIT_WINDOWS);
        }
    }
    manager_learn(m, &(PlanLimit){.refused = hash, .by = by, .reason = answer->text},
                  LIMIT_WINDOWS);
    if (answer->reason != REASON_NO_ANSWER) {
        return;
    }
    // Nobody is there to change what is its own: as if it had said "leave that as it is".
    for (uint32_t i = 0; i < m->current.plan.count; i++) {
        SystemParam what = m->current.plan.changes[i].what;
        if (system_owner(sys, what) == by) {
            double now = system_number(what.param, system_get(sys, what));
            manager_learn(m,
                          &(PlanLimit){.what = what,
                                       .low = now,
                                       .high = now,
                                       .by = by,
                                       .reason = SLICE("its owner does not answer")},
                          SILENCE_WINDOWS);
        }
    }
}

// What of the plan stays when those who countered say how they want it: a counter-proposal is a
// whole plan, so what its maker left out of its own part is meant to be left out.
static Plan without_counterers(const Manager *m, const NegotiatorAction *a)
{
    const System *sys = manager_view(m);
    Plan rest = m->current.plan;
    rest.count = 0;
    for (uint32_t i = 0; i < m->current.plan.count; i++) {
        SystemChange change = m->current.plan.changes[i];
        Slice owner = party_name(sys, system_owner(sys, change.what));
        bool countered = false;
        for (size_t k = 0; k < a->answer_count; k++) {
            countered = countered || (a->answers[k].answer == MESSAGE_COUNTER &&
                                      slice_eq(a->answers[k].agent, owner));
        }
        if (!countered) {
            rest.changes[rest.count++] = change;
        }
    }
    return rest;
}

static bool merge_counters(Manager *m, const NegotiatorAction *a, Plan *ret_plan)
{
    Case *k = &m->current;
    Plan plan = without_counterers(m, a);
    bool any = false;
    for (size_t i = 0; i < a->answer_count; i++) {
        const PartyAnswer *answer = &a->answers[i];
        Plan counter;
        Err e = {0};
        if (answer->answer != MESSAGE_COUNTER) {
            continue;
        }
        if (plan_from_changes(k->arena, manager_view(m), answer->changes, answer->change_count,
                              &counter, &e) != 0) {
            story_say(m->c, STORY_NOTE, m->name, "counter-proposal of %.*s: %s",
                      SLICE_FMT(answer->agent), e.text);
            continue;
        }
        for (uint32_t j = 0; j < counter.count; j++) {
            any = plan_add(&plan, counter.changes[j], &e) == 0 || any;
        }
        if (counter.program_count > 0) {
            plan.programs = counter.programs;
            plan.program_count = counter.program_count;
            any = true;
        }
        plan.reason = arena_printf(k->arena, "amended by %.*s", SLICE_FMT(answer->agent));
        plan.title = arena_copy(k->arena, answer->text);
    }
    plan_trim(manager_view(m), &plan);
    *ret_plan = plan;
    return any;
}

static Verdict *judge_counter(Manager *m, const Plan *plan)
{
    Case *k = &m->current;
    Plan *one = ARENA_NEW(k->arena, Plan);
    *one = *plan;
    ValidateAsk ask = ask_of(m, one, 1);
    Validation *validation = ARENA_NEW(k->arena, Validation);
    Err e = {0};
    if (validate(k->arena, &ask, validation, &e) != 0 || validation->count == 0) {
        return NULL;
    }
    tell_validation(m, validation, &validation->verdicts[0]);
    return validation->sound > 0 ? &validation->verdicts[0] : NULL;
}

static void revise(Manager *m, Verdict *verdict)
{
    Case *k = &m->current;
    take_plan(m, verdict);
    ProposalEstimates predicted = record_estimates(k->arena, manager_view(m), k->predicted);
    record_amended(m, &predicted);
    Request *r = request_of(m, k->arena, &k->plan);
    NegotiationPlan plan = negotiation_of(m, r);
    Err e = {0};
    k->state = CASE_NEGOTIATING;
    if (negotiator_revise(m->negotiator, m->c->now_ns, k->deal, &plan, &e) != 0) {
        case_give_up(m, REASON_DEADLINE, "cannot revise: %s", e.text);
        return;
    }
    manager_take_actions(m);
}

void case_replan(Manager *m, const NegotiatorAction *a)
{
    Case *k = &m->current;
    uint64_t hash = plan_hash(manager_view(m), &k->plan);
    Plan *countered = ARENA_NEW(k->arena, Plan);
    bool counter = merge_counters(m, a, countered);
    for (size_t i = 0; i < a->answer_count; i++) {
        const PartyAnswer *answer = &a->answers[i];
        if (answer->answer == MESSAGE_REJECT || answer->reason == REASON_NO_ANSWER) {
            learn_from(m, answer, hash);
        }
    }
    if (a->rounds_left == 0) {
        case_give_up(m, REASON_DEADLINE, "no agreement within the rounds");
        return;
    }
    Verdict *verdict = counter ? judge_counter(m, countered) : NULL;
    if (verdict == NULL && k->plannings < PLANNINGS_MAX) {
        verdict = think(m); // gives up, and withdraws the deal, when there is none
        if (verdict == NULL) {
            return;
        }
    }
    if (verdict == NULL) {
        case_give_up(m, REASON_OBJECTIVE, "no plan is left that everybody could agree to");
        return;
    }
    revise(m, verdict);
}

// ---- apply and watch

void case_agreed(Manager *m)
{
    Case *k = &m->current;
    Coordinator *c = m->c;
    k->agreed_clock_ns = clock_now(clock_real());
    k->state = CASE_APPLIED;
    size_t clients = c->plant->sys->client_count;
    k->was = system_copy(k->arena, manager_view(m));
    k->before = ARENA_ARRAY(k->arena, PlantClient, clients);
    k->offered = ARENA_ARRAY(k->arena, double, clients);
    for (size_t i = 0; i < clients && c->last.clients != NULL; i++) {
        k->before[i] = c->last.clients[i];
        k->before[i].latency = NULL;
        k->offered[i] = manager_view(m)->clients[i].per_second; // what was predicted for
    }
    // What a person would get back.
    Plan undo = k->plan;
    for (uint32_t i = 0; i < undo.count; i++) {
        undo.changes[i].value = system_get(c->published, undo.changes[i].what);
    }
    c->undo = undo;
    c->undo.programs = NULL;
    c->undo.program_count = 0;
}

void case_watch(Manager *m)
{
    Case *k = &m->current;
    Coordinator *c = m->c;
    int64_t took = clock_now(clock_real()) - k->agreed_clock_ns;
    k->state = CASE_WATCHING;
    k->applied_ns = plant_now(c->plant);
    c->sums.decision_to_applied_ns =
        took > c->sums.decision_to_applied_ns ? took : c->sums.decision_to_applied_ns;
    detect_forget(c->detect);
    ProposalEstimates predicted = record_estimates(k->arena, manager_view(m), k->predicted);
    record_step(m, PROPOSAL_APPLIED, m->name, "all owners applied it", &predicted, NULL);
    Buf changes = buf_create(STORY_TEXT_MAX);
    plan_write(c->before, &k->plan, &changes);
    story_add(c, &(StoryEvent){.kind = STORY_APPLIED,
                               .party = m->name,
                               .took_ns = took,
                               .text = k->plan.title,
                               .changes = buf_slice(&changes),
                               .predicted = k->predicted->clients[k->violation.client].p99,
                               .observed = {NAN, NAN, NAN}});
    buf_done(&changes);
}

// Bad requests (not good in time) of a client's window.
static double bad_of(const PlantClient *p, double *ret_all)
{
    double bad = (double)(p->late + p->failed + p->overdue);
    *ret_all = bad + (double)p->good;
    return bad;
}

// Worse than what was there before, for any client with a promise? That holds from the first window
// on, when the promise itself cannot be asked for yet because the backlog of before is still there.
static bool worse_than_before(Manager *m, const PlantWindow *window, Violation *ret_violation)
{
    const System *sys = m->c->plant->sys;
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        uint32_t client = sys->objectives[i].client;
        double all_before, all, bad_before = bad_of(&m->current.before[client], &all_before);
        double bad = bad_of(&window->clients[client], &all);
        if (all <= 0 || all_before <= 0) {
            continue;
        }
        double high = rate_interval_exact(bad_before, all_before, 0.999).high;
        double limit = fmax(high, 1 - sys->objectives[i].goodput);
        if (limit < 1 && bad > limit * all &&
            rate_test(bad, all, limit, TEST_GREATER) < 1 - GUARD_CONFIDENCE) {
            *ret_violation = (Violation){.objective = i,
                                         .client = client,
                                         .measure = MEASURE_GOODPUT,
                                         .limit = 1 - limit,
                                         .value = 1 - bad / all,
                                         .requests = (uint64_t)all};
            return true;
        }
    }
    return false;
}

// A prediction is about the load it was made for. A window with clearly more says nothing about it,
// and neither do those after it until its backlog is gone.
static bool out_of_conditions(Manager *m, const PlantWindow *window)
{
    const System *sys = m->c->plant->sys;
    double seconds = (double)(window->until_ns - window->from_ns) / 1e9;
    for (uint32_t i = 0; i < sys->client_count && seconds > 0; i++) {
        double expected = m->current.offered[i] * seconds;
        double seen = (double)window->clients[i].offered;
        if (expected > 0 && seen > LOAD_SLACK * expected + 4 * sqrt(expected)) {
            return true;
        }
    }
    return false;
}

static void tell_window(Manager *m, const PlantWindow *window, const char *what)
{
    Case *k = &m->current;
    const ClientOutcome *seen = &window->outcome->clients[k->violation.client];
    const ClientOutcome *said = &k->predicted->clients[k->violation.client];
    story_add(m->c, &(StoryEvent){.kind = STORY_OBSERVED,
                                  .party = m->name,
                                  .text = slice_from_cstr(what),
                                  .predicted = said->p99,
                                  .observed = seen->p99});
}

// Who was served before it was applied had waited less than who comes next out of the same queue:
// until what was there is worked off, worse than before says nothing about the change.
static bool backlog_is_gone(const Manager *m)
{
    return m->current.watched * m->c->window_ns > m->current.backlog_ns;
}

static bool contradicts(Manager *m, const PlantWindow *window, Violation *ret_violation)
{
    DetectGuard guard = {.confidence = GUARD_CONFIDENCE};
    return detect_contradicts(m->c->plant->sys, m->current.predicted, window, &guard,
                              ret_violation);
}

// The plan is not proposed again for a while.
static void refuse_again(Manager *m, const char *why)
{
    manager_learn(m,
                  &(PlanLimit){.refused = plan_hash(manager_view(m), &m->current.plan),
                               .by = m->index,
                               .reason = slice_from_cstr(why)},
                  LIMIT_WINDOWS);
}

static void take_back(Manager *m, const PlantWindow *window, const Violation *v, const char *than)
{
    Slice client = m->c->plant->sys->clients[v->client].name;
    tell_window(m, window, "contradicts the prediction");
    refuse_again(m, "contradicted by what was observed");
    case_give_up(m, REASON_CONTRADICTED, "%s of %.*s is %.4g, %s %.4g", MEASURE_NAMES[v->measure],
                 SLICE_FMT(client), v->value, than, v->limit);
}

static void keep(Manager *m)
{
    Err e = {0};
    if (negotiator_keep(m->negotiator, m->c->now_ns, m->current.deal, &e) != 0) {
        case_give_up(m, REASON_STALE, "cannot be kept: %s", e.text);
        return;
    }
    manager_take_actions(m);
}

// False: it is seen as if somebody had not applied its part, and the case is given up. Asked only
// while it is watched: nobody waits for these simulations.
static bool all_have_applied(Manager *m, const PlantWindow *window)
{
    Case *k = &m->current;
    const ValidateAsk *v = &m->c->options.validate;
    if (k->check == NULL) {
        int64_t horizon_ns = v->horizon_ns > 0 ? v->horizon_ns : VALIDATE_HORIZON_NS;
        SimOptions sim = {
            .seed = m->c->options.seed,
            .horizon_ns = horizon_ns,
            .warmup_ns = horizon_ns / 4,
            .replications = v->replications > 0 ? v->replications : VALIDATE_REPLICATIONS,
            .threads = v->threads,
            .settle = true,
        };
        k->check = applied_create(k->arena, &(AppliedAsk){.view = k->was,
                                                          .plan = &k->plan,
                                                          .with = k->predicted,
                                                          .proposer = m->index,
                                                          .sim = sim});
    }
    applied_window(k->check, window);
    AppliedDoubt doubt;
    if (!applied_doubt(k->check, &doubt)) {
        return true;
    }
    refuse_again(m, "seen as if it was not applied");
    case_give_up(m, REASON_CONTRADICTED, "%.*s", SLICE_FMT(doubt.words));
    return false;
}

// At first the backlog of before is still there: then the promise cannot be asked for, only that it
// is not worse than before. From the first window that is as promised on, the first that is not
// takes it back.
void case_window(Manager *m, const PlantWindow *window)
{
    Case *k = &m->current;
    Violation v = {0}, worse = {0};
    if (k->state != CASE_WATCHING) {
        return;
    }
    k->watched++;
    if (out_of_conditions(m, window) && k->excused < EXCUSED_MAX) {
        k->excused++;
        k->grace = settle_windows(m);
        tell_window(m, window, "more load than the prediction is about");
        return;
    }
    bool promised = !contradicts(m, window, &v);
    if (!promised && k->grace > 0) {
        k->grace--;
        tell_window(m, window, "comes back from more load");
        return;
    }
    k->grace = 0;
    k->settled = k->settled || promised;
    if (!promised && k->settled) {
        take_back(m, window, &v, "predicted was");
    } else if (!promised && backlog_is_gone(m) && worse_than_before(m, window, &worse)) {
        take_back(m, window, &worse, "before it was");
    } else if (!promised && k->watched > settle_windows(m)) {
        take_back(m, window, &v, "by now it was to be");
    } else if (!promised) {
        tell_window(m, window, "settling");
    } else {
        tell_window(m, window, "as predicted");
        if (all_have_applied(m, window) && ++k->good >= m->c->options.watch_windows) {
            keep(m);
        }
    }
}

static void kept(Manager *m)
{
    Case *k = &m->current;
    Coordinator *c = m->c;
    ProposalEstimates observed = record_estimates(k->arena, manager_view(m), c->last.outcome);
    record_step(m, PROPOSAL_KEPT, m->name, "it does what was predicted", NULL, &observed);
    case_close(m, CASE_KEPT);
    story_add(c, &(StoryEvent){.kind = STORY_KEPT,
                               .party = m->name,
                               .text = k->plan.title,
                               .predicted = k->predicted->clients[k->violation.client].p99,
                               .observed = c->last.outcome->clients[k->violation.client].p99});
    // From now on this is what is to be expected, until something else is kept.
    arena_destroy(c->expected_arena);
    c->expected_arena = k->arena;
    c->expected = k->predicted;
    k->arena = NULL;
}

void case_ended(Manager *m, const NegotiatorAction *a)
{
    Case *k = &m->current;
    Coordinator *c = m->c;
    bool was_applied = k->state == CASE_APPLIED || k->state == CASE_WATCHING;
    MessageReason why = k->why != REASON_NONE ? k->why : a->reason;
    k->why = why;
    k->deal = 0;
    if (a->outcome == NEGOTIATION_KEPT) {
        kept(m);
        return;
    }
    if (was_applied || a->outcome == NEGOTIATION_ROLLED_BACK) {
        Arena *arena = c->window_arena;
        ProposalEstimates observed = {NULL, 0};
        if (c->last.outcome != NULL) {
            observed = record_estimates(arena, manager_view(m), c->last.outcome);
        }
        Slice reason = reason_of(k);
        record_step(m, PROPOSAL_ROLLED_BACK, m->name, reason.ptr, NULL, &observed);
        case_close(m, CASE_ROLLED_BACK);
        story_say(c, STORY_ROLLED_BACK, m->name, "%s (%s)", reason.ptr,
                  NEGOTIATION_OUTCOME_NAMES[a->outcome]);
        detect_forget(c->detect);
        return;
    }
    Slice reason = reason_of(k);
    record_step(m, PROPOSAL_REJECTED, m->name, reason.ptr, NULL, NULL);
    case_close(m, CASE_GIVEN_UP);
    story_say(c, STORY_GIVEN_UP, m->name, "%s%s%.*s", reason.ptr, a->text.len > 0 ? ": " : "",
              SLICE_FMT(a->text));
}

void case_take_back(Manager *m, Slice why)
{
    case_give_up(m, REASON_REFUSED, "%.*s", SLICE_FMT(why));
}
