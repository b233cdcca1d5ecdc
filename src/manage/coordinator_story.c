// The coordinator's memory: the story of the run, and its records in the ledger.

#include "manage/coordinator_impl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const STORY_NAMES[STORY_KINDS + 1] = {
    "detected",  "cleared",  "planned", "validated",   "advised",  "approved",  "message",
    "applied",   "observed", "kept",    "rolled back", "given up", "structure", "drift",
    "objective", "joined",   "left",    "note",        NULL};

static const Estimate UNKNOWN = {NAN, NAN, NAN};

static bool is_zero(Estimate e)
{
    return e.value == 0 && e.low == 0 && e.high == 0;
}

void story_add(Coordinator *c, const StoryEvent *event)
{
    if (c->event_count == STORY_EVENTS_MAX) {
        return;
    }
    if (c->event_count == c->event_capacity) {
        c->event_capacity = c->event_capacity == 0 ? 64 : 2 * c->event_capacity;
        c->events = mem_realloc(c->events, c->event_capacity * sizeof *c->events);
    }
    StoryEvent *e = &c->events[c->event_count++];
    *e = *event;
    e->at_ns = plant_now(c->plant);
    e->party = arena_copy(c->arena, slice_sub(event->party, 0, STORY_TEXT_MAX));
    e->other = arena_copy(c->arena, slice_sub(event->other, 0, STORY_TEXT_MAX));
    e->message = arena_copy(c->arena, slice_sub(event->message, 0, STORY_TEXT_MAX));
    e->text = arena_copy(c->arena, slice_sub(event->text, 0, STORY_TEXT_MAX));
    e->changes = arena_copy(c->arena, slice_sub(event->changes, 0, STORY_TEXT_MAX));
    // A case's own events carry no estimate unless they say one; nought is not a latency.
    e->predicted = is_zero(event->predicted) ? UNKNOWN : event->predicted;
    e->observed = is_zero(event->observed) ? UNKNOWN : event->observed;
    const Manager *m = coordinator_find(c, event->party);
    if (m != NULL) {
        e->state = m->current.state;
        snprintf(e->proposal, sizeof e->proposal, "%s", m->current.proposal);
    }
    if (c->options.hooks.event != NULL) {
        c->options.hooks.event(c->options.hooks.context, e);
    }
}

void story_say(Coordinator *c, StoryKind kind, Slice party, const char *format, ...)
{
    char text[STORY_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    story_add(c, &(StoryEvent){.kind = kind, .party = party, .text = slice_from_cstr(text)});
}

void story_window(Coordinator *c, const PlantWindow *window)
{
    const System *sys = c->plant->sys;
    for (uint32_t i = 0; i < sys->client_count && c->story_windows < STORY_WINDOWS_MAX; i++) {
        if (c->story_windows == c->window_capacity) {
            c->window_capacity = c->window_capacity == 0 ? 256 : 2 * c->window_capacity;
            c->windows = mem_realloc(c->windows, c->window_capacity * sizeof *c->windows);
        }
        const ClientOutcome *o = &window->outcome->clients[i];
        const PlantClient *n = &window->clients[i];
        c->windows[c->story_windows++] =
            (CoordinatorWindow){.from_ns = window->from_ns,
                                .until_ns = window->until_ns,
                                .offered = n->offered,
                                .good = n->good,
                                .all = n->good + n->late + n->failed + n->overdue,
                                .goodput = o->goodput,
                                .p50 = o->p50,
                                .p99 = o->p99,
                                .client = i};
    }
}

Story coordinator_story(const Coordinator *c)
{
    Story s = c->sums;
    s.before = c->before;
    s.after = c->published;
    s.events = c->events;
    s.event_count = c->event_count;
    s.windows = c->windows;
    s.window_count = c->story_windows;
    s.lost = c->faults.lost;
    s.duplicated = c->faults.doubled;
    for (size_t i = 0; i < c->options.planner_count; i++) {
        s.llm_calls += c->options.planners[i]->llm_calls;
    }
    return s;
}

// ---- the ledger

static void add_estimate(Arena *arena, ProposalEstimates *list, Slice client, const char *measure,
                         Estimate e, double confidence)
{
    if (isnan(e.value)) {
        return;
    }
    list->items[list->count++] = (ProposalEstimate){
        .name = arena_printf(arena, "%.*s.%s", SLICE_FMT(client), measure),
        .value = e.value,
        .low = isnan(e.low) ? e.value : e.low,
        .high = isnan(e.high) ? e.value : e.high,
        .confidence = confidence,
    };
}

ProposalEstimates record_estimates(Arena *arena, const System *sys, const Outcome *outcome)
{
    // Systems with very many clients name the first ones.
    uint32_t clients = sys->client_count < PROPOSAL_ESTIMATES_MAX / 3 ? sys->client_count
                                                                      : PROPOSAL_ESTIMATES_MAX / 3;
    ProposalEstimates list = {ARENA_ARRAY(arena, ProposalEstimate, 3 * (size_t)clients + 1), 0};
    for (uint32_t i = 0; i < clients; i++) {
        const ClientOutcome *o = &outcome->clients[i];
        Slice name = sys->clients[i].name;
        add_estimate(arena, &list, name, "goodput", o->goodput, outcome->confidence);
        add_estimate(arena, &list, name, "p50", o->p50, outcome->confidence);
        add_estimate(arena, &list, name, "p99", o->p99, outcome->confidence);
    }
    return list;
}

static void record_failed(Manager *m, const Err *e)
{
    story_say(m->c, STORY_NOTE, m->name, "the ledger: %s", e->text);
}

static Slice content_of(Manager *m)
{
    Case *k = &m->current;
    Buf text = buf_create(PROPOSAL_CONTENT_MAX);
    JsonWriter w = json_writer(&text, 0);
    const System *sys = manager_view(m);
    json_object_begin(&w);
    json_key(&w, SLICE("plan"));
    plan_write_json(sys, &k->plan, &w);
    json_key(&w, SLICE("verdict"));
    verdict_write(sys, k->verdict, &w);
    json_field_string(&w, "client", sys->clients[k->violation.client].name);
    json_field_cstr(&w, "measure", MEASURE_NAMES[k->violation.measure]);
    json_field_double(&w, "observed", k->violation.value);
    json_field_double(&w, "limit", k->violation.limit);
    json_object_end(&w);
    Slice copy = arena_copy(k->arena, buf_slice(&text));
    buf_done(&text);
    return copy;
}

void record_create(Manager *m)
{
    Coordinator *c = m->c;
    Case *k = &m->current;
    if (c->options.ledger == NULL) {
        return;
    }
    char parent[PROPOSAL_ID_LEN + 1];
    memcpy(parent, k->proposal, sizeof parent);
    Proposal p = {.kind = PROPOSAL_POLICY,
                  .target = c->plant->sys->name,
                  .title = k->plan.title,
                  .author = m->name,
                  .reason = k->plan.reason,
                  .content_json = content_of(m)};
    Err e = {0};
    memcpy(p.parent, parent, sizeof p.parent);
    if (proposal_create(c->options.ledger, &p, &e) != 0) {
        record_failed(m, &e);
        return;
    }
    memcpy(k->proposal, p.id, sizeof k->proposal);
}

void record_amended(Manager *m, const ProposalEstimates *predicted)
{
    // What everybody agreed to in the end is a proposal of its own: its content is what is applied.
    char was[PROPOSAL_ID_LEN + 1];
    memcpy(was, m->current.proposal, sizeof was);
    record_create(m);
    char is[PROPOSAL_ID_LEN + 1];
    memcpy(is, m->current.proposal, sizeof is);
    if (strcmp(was, is) == 0) {
        return; // no ledger, or it could not be written
    }
    char reason[STORY_TEXT_MAX];
    snprintf(reason, sizeof reason, "amended: %s", is);
    memcpy(m->current.proposal, was, sizeof was);
    record_step(m, PROPOSAL_REJECTED, m->name, reason, NULL, NULL);
    memcpy(m->current.proposal, is, sizeof is);
    record_step(m, PROPOSAL_VALIDATED, m->name, "validated", predicted, NULL);
    snprintf(reason, sizeof reason, "as %s was", was);
    record_step(m, PROPOSAL_APPROVED, m->name, reason, NULL, NULL);
}

static void record(Manager *m, const ProposalStep *step, bool note)
{
    Coordinator *c = m->c;
    Slice id = slice_from_cstr(m->current.proposal);
    if (c->options.ledger == NULL || id.len == 0) {
        return;
    }
    Err e = {0};
    int rc = note ? proposal_note(c->options.ledger, id, step, &e)
                  : proposal_step(c->options.ledger, id, step, &e);
    // What a person decided meanwhile stands: then there is nothing to add.
    if (rc != 0 && rc != ERR_CONFLICT) {
        record_failed(m, &e);
    }
}

void record_step(Manager *m, ProposalState to, Slice author, const char *reason,
                 const ProposalEstimates *predicted, const ProposalEstimates *observed)
{
    ProposalStep step = {.to = to, .author = author, .reason = slice_from_cstr(reason)};
    if (predicted != NULL) {
        step.predicted = *predicted;
    }
    if (observed != NULL) {
        step.observed = *observed;
    }
    record(m, &step, false);
    if (to == PROPOSAL_KEPT) {
        memcpy(m->c->kept_proposal, m->current.proposal, sizeof m->c->kept_proposal);
    }
}

void record_note(Manager *m, Slice author, const char *format, ...)
{
    char text[STORY_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    record(m, &(ProposalStep){.author = author, .reason = slice_from_cstr(text)}, true);
}

static ProposalState state_in_ledger(Coordinator *c, const char *id)
{
    if (c->options.ledger == NULL || id[0] == '\0') {
        return PROPOSAL_STATES;
    }
    Proposal *p = NULL;
    int rc = proposal_load(c->options.ledger, slice_from_cstr(id), c->window_arena, &p, NULL);
    return rc == 0 ? p->state : PROPOSAL_STATES;
}

ProposalState record_state(Manager *m)
{
    return state_in_ledger(m->c, m->current.proposal);
}

ProposalState record_kept_state(Coordinator *c)
{
    return state_in_ledger(c, c->kept_proposal);
}

// Made by nobody of this run.
static bool is_foreign(const Coordinator *c, const Proposal *p)
{
    return coordinator_find(c, p->author) == NULL && strcmp(p->id, c->kept_proposal) != 0;
}

bool record_approved(Coordinator *c, Arena *arena, Plan *ret_plan, char ret_id[PROPOSAL_ID_LEN + 1])
{
    enum { LOOK_AT = 100 };
    Proposal *items = NULL;
    size_t count = 0;
    ProposalKind kind = PROPOSAL_POLICY;
    ProposalState state = PROPOSAL_APPROVED;
    ProposalFilter filter = {
        .kind = &kind, .state = &state, .target = c->plant->sys->name, .limit = LOOK_AT};
    if (c->options.ledger == NULL ||
        proposal_list(c->options.ledger, &filter, arena, &items, &count, NULL) != 0) {
        return false;
    }
    for (size_t i = count; i-- > 0;) {
        const Doc *doc = NULL;
        if (!is_foreign(c, &items[i]) ||
            doc_parse(arena, items[i].content_json, NULL, &doc, NULL) != 0) {
            continue;
        }
        const Doc *plan = doc_get(doc, SLICE("plan"));
        Err e = {.text = "it holds no plan"};
        if (plan != NULL && plan_read(arena, c->published, plan, ret_plan, &e) == 0) {
            ret_plan->title = items[i].title;
            ret_plan->reason = items[i].reason;
            ret_plan->planner = SLICE("person");
            memcpy(ret_id, items[i].id, PROPOSAL_ID_LEN + 1);
            return true;
        }
        ProposalStep step = {.to = PROPOSAL_REJECTED,
                             .author = SLICE("coordinator"),
                             .reason = slice_from_cstr(e.text)};
        if (proposal_step(c->options.ledger, slice_from_cstr(items[i].id), &step, &e) != 0) {
            story_say(c, STORY_NOTE, SLICE("ledger"), "%s", e.text);
        }
    }
    return false;
}
