#include "manage/coordinator_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"

enum { MANAGER_INBOX_BYTES_MAX = 64 << 20 };

const System *manager_view(const Manager *m)
{
    return m->c->published;
}

static bool same_limit(const PlanLimit *a, const PlanLimit *b)
{
    if (a->refused != b->refused) {
        return false;
    }
    return a->refused != 0 ||
           (a->what.place == b->what.place && a->what.index == b->what.index &&
            a->what.param == b->what.param && a->low == b->low && a->high == b->high);
}

static void drop_limit(Manager *m, size_t i)
{
    size_t behind = m->limit_count - i - 1;
    memmove(&m->limits[i], &m->limits[i + 1], behind * sizeof m->limits[0]);
    memmove(&m->limits_until_ns[i], &m->limits_until_ns[i + 1],
            behind * sizeof m->limits_until_ns[0]);
    m->limit_count--;
}

void manager_learn(Manager *m, const PlanLimit *limit, uint32_t windows)
{
    int64_t until = m->c->now_ns + windows * m->c->window_ns;
    for (size_t i = 0; i < m->limit_count; i++) {
        if (same_limit(&m->limits[i], limit)) {
            m->limits_until_ns[i] = until;
            return;
        }
    }
    if (m->limit_count == PLAN_LIMITS_MAX) {
        drop_limit(m, 0);
    }
    m->limits[m->limit_count] = *limit;
    m->limits[m->limit_count].reason = arena_copy(m->c->arena, limit->reason);
    m->limits_until_ns[m->limit_count++] = until;
}

void manager_forget_old(Manager *m)
{
    for (size_t i = m->limit_count; i-- > 0;) {
        if (m->limits_until_ns[i] <= m->c->now_ns) {
            drop_limit(m, i);
        }
    }
}

void manager_forget_party(Manager *m, uint32_t party)
{
    for (size_t i = m->limit_count; i-- > 0;) {
        if (m->limits[i].by == party) {
            drop_limit(m, i);
        }
    }
}

// ---- the bus

static BusVerdict on_message(void *ctx, const BusMessage *bus_message)
{
    Manager *m = ctx;
    if (!m->present || m->trouble.fault == PARTY_MUTE) {
        return BUS_DONE;
    }
    Arena *arena = arena_create(MESSAGE_BYTES_MAX * 8);
    Message message;
    Err e = {0};
    // What cannot be read is as if it had been lost: the sender asks again, or gives up.
    if (message_read(arena, bus_message->body, &message, &e) == 0) {
        negotiator_receive(m->negotiator, m->c->now_ns, bus_message->from, &message);
        manager_take_actions(m);
    } else {
        story_say(m->c, STORY_NOTE, m->name, "message from %.*s refused: %s",
                  SLICE_FMT(bus_message->from), e.text);
    }
    arena_destroy(arena);
    return BUS_DONE;
}

static int publish(Manager *m, Slice to, Slice body, Err *e)
{
    char subject[BUS_SUBJECT_MAX + 1];
    int len = snprintf(subject, sizeof subject, "manage.%.*s", SLICE_FMT(to));
    BusMessage out = {.subject = {subject, (size_t)len}, .from = m->name, .to = to, .body = body};
    m->c->sums.messages++;
    return bus_publish(m->bus, &out, e);
}

static void send_message(Manager *m, const NegotiatorAction *a)
{
    if (m->trouble.fault == PARTY_MUTE) {
        return;
    }
    Buf body = buf_create(MESSAGE_BYTES_MAX);
    message_write(a->message, &body);
    Err e = {0};
    int rc = buf_check(&body, "a message", &e);
    // Without a peer it is for everybody: somebody comes or goes.
    for (size_t i = 0; rc == 0 && i < m->c->manager_count; i++) {
        const Manager *to = m->c->managers[i];
        if (to != m && (a->peer.len == 0 || slice_eq(to->name, a->peer))) {
            rc = publish(m, to->name, buf_slice(&body), &e);
        }
    }
    Buf changes = buf_create(STORY_TEXT_MAX);
    for (size_t i = 0; i < a->message->change_count; i++) {
        buf_printf(&changes, "%s%.*s = %.*s", i == 0 ? "" : ", ",
                   SLICE_FMT(a->message->changes[i].param),
                   SLICE_FMT(a->message->changes[i].value));
    }
    MessageReason reason = a->message->reason;
    Buf text = buf_create(STORY_TEXT_MAX);
    buf_printf(&text, "%s%s%.*s", reason != REASON_NONE ? MESSAGE_REASON_NAMES[reason] : "",
               reason != REASON_NONE && a->message->text.len > 0 ? ": " : "",
               SLICE_FMT(a->message->text));
    story_add(m->c, &(StoryEvent){.kind = STORY_MESSAGE,
                                  .party = m->name,
                                  .other = a->peer,
                                  .message = slice_from_cstr(MESSAGE_TYPE_NAMES[a->message->type]),
                                  .changes = buf_slice(&changes),
                                  .text = rc == 0 ? buf_slice(&text) : slice_from_cstr(e.text)});
    buf_done(&text);
    buf_done(&changes);
    buf_done(&body);
}

// ---- actions are copied, then carried out one by one: each may make new ones

static MessageChange *copy_changes(Arena *arena, const MessageChange *from, size_t count)
{
    MessageChange *copy = ARENA_ARRAY(arena, MessageChange, count + 1);
    for (size_t i = 0; i < count; i++) {
        copy[i] =
            (MessageChange){arena_copy(arena, from[i].param), arena_copy(arena, from[i].value)};
    }
    return copy;
}

static PartyAnswer *copy_answers(Arena *arena, const PartyAnswer *from, size_t count)
{
    PartyAnswer *copy = ARENA_ARRAY(arena, PartyAnswer, count + 1);
    for (size_t i = 0; i < count; i++) {
        copy[i] = from[i];
        copy[i].agent = arena_copy(arena, from[i].agent);
        copy[i].text = arena_copy(arena, from[i].text);
        copy[i].changes = copy_changes(arena, from[i].changes, from[i].change_count);
        copy[i].constraints = ARENA_ARRAY(arena, MessageConstraint, from[i].constraint_count + 1);
        for (size_t k = 0; k < from[i].constraint_count; k++) {
            const MessageConstraint *old = &from[i].constraints[k];
            copy[i].constraints[k] = (MessageConstraint){arena_copy(arena, old->subject), old->op,
                                                         arena_copy(arena, old->value)};
        }
        copy[i].predicted = (ProposalEstimates){NULL, 0};
    }
    return copy;
}

void manager_take_actions(Manager *m)
{
    NegotiatorAction a;
    while (negotiator_next_action(m->negotiator, &a)) {
        if (m->inbox_count == MANAGER_INBOX_MAX) {
            continue; // as lost: the negotiator's own times take care of it
        }
        Arena *arena = m->inbox_arena;
        if (a.message != NULL) {
            Message *copy = ARENA_NEW(arena, Message);
            *copy = message_copy(arena, a.message);
            a.message = copy;
        }
        a.negotiation = arena_copy(arena, a.negotiation);
        a.peer = arena_copy(arena, a.peer);
        a.text = arena_copy(arena, a.text);
        a.changes = copy_changes(arena, a.changes, a.change_count);
        a.answers = copy_answers(arena, a.answers, a.answer_count);
        m->inbox[m->inbox_count++] = a;
    }
}

static void act(Manager *m, const NegotiatorAction *a)
{
    bool own = case_is_open(m) && a->deal != 0 && a->deal == m->current.deal;
    switch (a->kind) {
    case ACTION_SEND: send_message(m, a); return;
    case ACTION_VALIDATE: owner_validate(m, a); return;
    case ACTION_APPLY: owner_apply(m, a); return;
    case ACTION_ROLLBACK: owner_roll_back(m, a); return;
    case ACTION_REPLAN:
        if (own) {
            case_replan(m, a);
        } else {
            owner_replan(m, a);
        }
        return;
    case ACTION_WATCH:
        if (own) {
            case_watch(m);
        }
        return;
    case ACTION_ENDED:
        if (own) {
            case_ended(m, a);
        }
        return;
    case ACTION_GRANT: owner_grant(m, a); return;
    case ACTION_DEAL:
        if (own && a->deal_state == DEAL_COMMITTING) {
            case_agreed(m);
        }
        return;
    }
}

size_t manager_run(Manager *m)
{
    if (!m->present) {
        return 0;
    }
    size_t done = bus_poll(m->bus, 0);
    for (; m->inbox_next < m->inbox_count; m->inbox_next++) {
        NegotiatorAction a = m->inbox[m->inbox_next];
        act(m, &a);
        done++;
    }
    m->inbox_next = m->inbox_count = 0;
    arena_reset(m->inbox_arena);
    return done;
}

void manager_tick(Manager *m)
{
    if (m->present) {
        negotiator_tick(m->negotiator, m->c->now_ns);
        manager_take_actions(m);
    }
}

int64_t manager_next_due(const Manager *m)
{
    if (!m->present) {
        return NEVER_NS;
    }
    int64_t bus = bus_next_due(m->bus), negotiator = negotiator_next_due(m->negotiator);
    return bus < negotiator ? bus : negotiator;
}

// ---- life

int manager_join(Manager *m, Err *e)
{
    if (m->present) {
        return 0;
    }
    m->incarnation++;
    negotiator_destroy(m->negotiator);
    // Times are long against a window: who thinks in another process may take seconds for it. A
    // lease lives through the windows that it is watched for, and an undo through the rest of the
    // run, so that a person may still take back what was kept.
    Coordinator *c = m->c;
    m->negotiator = negotiator_create(&(NegotiatorOptions){
        .agent = m->name,
        .incarnation = m->incarnation,
        .owns = owner_owns,
        .ctx = m,
        .answer_ns = c->window_ns,
        .lease_ns = c->options.lease_ns,
        .hold_ns = 8 * c->options.lease_ns,
        .undo_ns = 100 * c->options.lease_ns,
    });
    int rc =
        local_connect(c->hub, &(BusOptions){.name = m->name, .clock = &c->clock.clock}, &m->bus, e);
    if (rc != 0) {
        return rc;
    }
    rc = faulty_wrap(m->bus, &c->faults, &m->bus, e);
    if (rc != 0) {
        return rc;
    }
    char subject[BUS_SUBJECT_MAX + 1];
    int len = snprintf(subject, sizeof subject, "manage.%.*s", SLICE_FMT(m->name));
    rc = bus_subscribe(m->bus, (Slice){subject, (size_t)len}, on_message, m, &m->subscription, e);
    m->present = rc == 0;
    return rc;
}

void manager_leave(Manager *m)
{
    if (!m->present) {
        return;
    }
    if (case_is_open(m)) {
        case_give_up(m, REASON_LEFT, "%.*s leaves", SLICE_FMT(m->name));
    }
    negotiator_leave(m->negotiator, m->c->now_ns);
    manager_take_actions(m);
    manager_run(m);
    bus_close(m->bus);
    m->bus = NULL;
    m->subscription = NULL;
    m->present = false;
}

int manager_create(Coordinator *c, uint32_t index, Manager **ret_manager, Err *e)
{
    Manager *m = mem_zalloc(sizeof *m);
    m->c = c;
    m->index = index;
    m->name = party_name(c->published, index);
    m->inbox = mem_zalloc(sizeof *m->inbox * MANAGER_INBOX_MAX);
    m->inbox_arena = arena_create(MANAGER_INBOX_BYTES_MAX);
    int rc = manager_join(m, e);
    if (rc != 0) {
        manager_destroy(m);
        return rc;
    }
    *ret_manager = m;
    return 0;
}

void manager_destroy(Manager *m)
{
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < MANAGER_GRANTS_MAX; i++) {
        arena_destroy(m->considerations[i].arena);
    }
    arena_destroy(m->current.arena);
    bus_close(m->bus);
    negotiator_destroy(m->negotiator);
    arena_destroy(m->inbox_arena);
    free(m->inbox);
    free(m);
}
