// A world of agents that negotiate, for tests: each has a negotiator and two places with a value
// each, messages travel in virtual time and may be lost, doubled and delayed, hosts decide by a
// function. What must hold always is checked after every step.
#ifndef MANAGE_NEGOTIATOR_TEST_H
#define MANAGE_NEGOTIATOR_TEST_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "manage/negotiator.h"

enum { AGENTS_MAX = 6, PLACES = 2, FLIGHTS_MAX = 4096, ENDS_MAX = 256, LATER_MAX = 256 };

typedef struct World World;
typedef struct Agent Agent;

typedef struct Host {                                         // NULL: the default in brackets
    void (*validate)(Agent *a, const NegotiatorAction *v);    // [accept]
    void (*replan)(Agent *a, const NegotiatorAction *replan); // [withdraw]
    void (*watch)(Agent *a, const NegotiatorAction *watch);   // [keep]
    bool (*applies)(Agent *a);                                // [yes]; false: says it failed
    bool (*rolls_back)(Agent *a);                             // [yes]
    int64_t (*takes)(Agent *a);                               // [0 ns] until APPLY is answered
} Host;

typedef struct Place {
    char param[16];                      // "x0.p", "x0->y.q"
    int64_t value, kept;                 // what is set, and what nobody has leased
    uint64_t applied_by;                 // grant; 0: nobody
    char changed_by[MESSAGE_ID_MAX + 1]; // the negotiation whose value was kept last
} Place;

struct Agent {
    World *world;
    unsigned index;
    char name[8];
    Negotiator *n;
    Place places[PLACES];
    bool mute;     // never sends anything
    bool pretends; // says that it applied, and does not
    uint64_t incarnation;
};

typedef struct Flight {
    int64_t due_ns;
    uint64_t order;
    unsigned to;
    char from[8];
    Message m;
    Arena *arena;
} Flight;

typedef struct Ended {
    unsigned agent;
    uint64_t deal, grant;
    char negotiation[MESSAGE_ID_MAX + 1];
    NegotiationOutcome outcome;
    MessageReason reason;
    int64_t at_ns;
    uint32_t round;
} Ended;

typedef struct Later { // an APPLY that is answered later
    unsigned agent;
    int64_t due_ns;
    uint64_t grant;
    Arena *arena;
    MessageChange *changes;
    size_t count;
    char negotiation[MESSAGE_ID_MAX + 1];
} Later;

struct World {
    Agent agents[AGENTS_MAX];
    unsigned count;
    Host host;
    NegotiatorOptions options;
    int64_t now_ns;
    uint64_t seed;
    Rng rng;
    double lose, duplicate, delay;
    int64_t delay_ns_max;
    int64_t hop_ns; // every message takes at least this
    bool (*drop)(World *w, const char *from, unsigned to, const Message *m); // NULL: by chance only
    Flight flights[FLIGHTS_MAX];
    size_t flight_count;
    uint64_t order, sent;
    Ended ends[ENDS_MAX];
    size_t end_count;
    Later later[LATER_MAX];
    size_t later_count;
    void *ctx;
};

#define W_FAIL(w, ...)                                                                             \
    do {                                                                                           \
        print_error("seed %llu at %lld ns: ", (unsigned long long)(w)->seed,                       \
                    (long long)(w)->now_ns);                                                       \
        fail_msg(__VA_ARGS__);                                                                     \
    } while (0)

static inline Slice name_of(const Agent *a)
{
    return slice_from_cstr(a->name);
}

static inline Place *place_of(Agent *a, Slice param)
{
    for (unsigned i = 0; i < PLACES; i++) {
        if (slice_eq_cstr(param, a->places[i].param)) {
            return &a->places[i];
        }
    }
    return NULL;
}

static inline bool agent_owns(void *ctx, Slice param)
{
    return place_of(ctx, param) != NULL;
}

// ---- the network

static inline void fly(World *w, const char *from, unsigned to, const Message *m)
{
    if (w->lose > 0 && rng_double(&w->rng) < w->lose) {
        return;
    }
    if (w->drop && w->drop(w, from, to, m)) {
        return;
    }
    assert_true(w->flight_count < FLIGHTS_MAX);
    Flight *f = &w->flights[w->flight_count++];
    *f = (Flight){.due_ns = w->now_ns + w->hop_ns, .order = ++w->order, .to = to};
    (void)snprintf(f->from, sizeof f->from, "%s", from);
    if (w->delay > 0 && rng_double(&w->rng) < w->delay) {
        f->due_ns += rng_between(&w->rng, 0, w->delay_ns_max);
    }
    f->arena = arena_create(2 * (size_t)MESSAGE_ARENA_MAX);
    w->sent++;
    if (w->sent % 4 == 0) { // now and then over the wire
        Buf json = buf_create(MESSAGE_BYTES_MAX);
        Err e = {0};
        message_write(m, &json);
        if (message_read(f->arena, buf_slice(&json), &f->m, &e) != 0) {
            W_FAIL(w, "%s: %s", json.data, e.text);
        }
        buf_done(&json);
    } else {
        f->m = message_copy(f->arena, m);
    }
}

static inline void send_message(World *w, const Agent *from, Slice to, const Message *m)
{
    for (unsigned i = 0; i < w->count; i++) {
        if (from->mute || i == from->index ||
            (to.len > 0 && !slice_eq(to, name_of(&w->agents[i])))) {
            continue;
        }
        fly(w, from->name, i, m);
        if (w->duplicate > 0 && rng_double(&w->rng) < w->duplicate) {
            fly(w, from->name, i, m);
        }
    }
}

// ---- the hosts

static inline void answer_apply(Agent *a, uint64_t grant, const MessageChange *changes,
                                size_t count)
{
    World *w = a->world;
    MessageChange old[8];
    char text[8][24];
    if (w->host.applies && !w->host.applies(a)) {
        negotiator_applied(a->n, w->now_ns, grant, false, NULL, 0, SLICE("cannot"));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        Place *p = place_of(a, changes[i].param);
        assert_non_null(p);
        if (p->applied_by != 0) {
            W_FAIL(w, "%s is changed by two negotiations at once", p->param);
        }
        if (p->value != p->kept) {
            W_FAIL(w, "%s was not put back before it was given away", p->param);
        }
        (void)snprintf(text[i], sizeof text[i], "%lld", (long long)p->value);
        old[i] = (MessageChange){changes[i].param, slice_from_cstr(text[i])};
        int64_t value = 0;
        assert_int_equal(slice_to_i64(changes[i].value, &value), 0);
        p->applied_by = grant;
        p->value = a->pretends ? p->value : value;
    }
    negotiator_applied(a->n, w->now_ns, grant, true, old, count, (Slice){0});
}

static inline void do_apply(Agent *a, const NegotiatorAction *act)
{
    World *w = a->world;
    int64_t takes = w->host.takes ? w->host.takes(a) : 0;
    if (takes == 0) {
        answer_apply(a, act->grant, act->changes, act->change_count);
        return;
    }
    assert_true(w->later_count < LATER_MAX);
    Later *l = &w->later[w->later_count++];
    *l = (Later){.agent = a->index, .due_ns = w->now_ns + takes, .grant = act->grant};
    l->arena = arena_create(1 << 20);
    Message copy =
        message_copy(l->arena, &(Message){.changes = (MessageChange *)(uintptr_t)act->changes,
                                          .change_count = act->change_count});
    l->changes = copy.changes;
    l->count = act->change_count;
}

static inline void do_rollback(Agent *a, const NegotiatorAction *act)
{
    World *w = a->world;
    bool ok = !w->host.rolls_back || w->host.rolls_back(a);
    for (size_t i = 0; ok && i < act->change_count; i++) {
        Place *p = place_of(a, act->changes[i].param);
        int64_t value = 0;
        assert_int_equal(slice_to_i64(act->changes[i].value, &value), 0);
        p->value = p->kept = value;
        p->applied_by = 0;
        p->changed_by[0] = '\0';
    }
    negotiator_rolled_back(a->n, w->now_ns, act->grant, ok);
}

// What a kept grant set is the value from now on.
static inline void note_grant(Agent *a, const NegotiatorAction *act)
{
    for (unsigned i = 0; i < PLACES; i++) {
        Place *p = &a->places[i];
        if (act->grant_state == GRANT_KEPT && p->applied_by == act->grant) {
            p->kept = p->value;
            p->applied_by = 0;
            (void)snprintf(p->changed_by, sizeof p->changed_by, "%.*s",
                           SLICE_FMT(act->negotiation));
        }
    }
}

static inline void note_end(Agent *a, const NegotiatorAction *act)
{
    World *w = a->world;
    assert_true(w->end_count < ENDS_MAX);
    Ended *end = &w->ends[w->end_count++];
    *end = (Ended){.agent = a->index,
                   .deal = act->deal,
                   .grant = act->grant,
                   .outcome = act->outcome,
                   .reason = act->reason,
                   .at_ns = w->now_ns,
                   .round = act->round};
    (void)snprintf(end->negotiation, sizeof end->negotiation, "%.*s", SLICE_FMT(act->negotiation));
}

static inline void accept_it(Agent *a, const NegotiatorAction *v)
{
    negotiator_decide(a->n, a->world->now_ns, v->grant,
                      &(NegotiatorDecision){.answer = MESSAGE_ACCEPT});
}

static inline void run_action(Agent *a, const NegotiatorAction *act)
{
    World *w = a->world;
    switch (act->kind) {
    case ACTION_SEND: send_message(w, a, act->peer, act->message); break;
    case ACTION_VALIDATE: (w->host.validate ? w->host.validate : accept_it)(a, act); break;
    case ACTION_APPLY: do_apply(a, act); break;
    case ACTION_ROLLBACK: do_rollback(a, act); break;
    case ACTION_REPLAN:
        if (w->host.replan) {
            w->host.replan(a, act);
        } else {
            negotiator_withdraw(a->n, w->now_ns, act->deal, REASON_REFUSED, (Slice){0});
        }
        break;
    case ACTION_WATCH:
        if (w->host.watch) {
            w->host.watch(a, act);
        } else {
            assert_int_equal(negotiator_keep(a->n, w->now_ns, act->deal, NULL), 0);
        }
        break;
    case ACTION_ENDED: note_end(a, act); break;
    case ACTION_GRANT: note_grant(a, act); break;
    case ACTION_DEAL: break;
    }
}

static inline void drain(Agent *a)
{
    NegotiatorAction act;
    while (negotiator_next_action(a->n, &act)) {
        run_action(a, &act);
    }
}

// ---- what must always hold

static inline void check_agent(World *w, Agent *a)
{
    LeaseView views[16];
    size_t count = negotiator_leases(a->n, views, COUNT_OF(views));
    assert_true(count <= PLACES);
    for (size_t i = 0; i < count; i++) {
        bool timed = views[i].state == GRANT_LEASED || views[i].state == GRANT_APPLIED;
        if (timed && views[i].until_ns <= w->now_ns) {
            W_FAIL(w, "%s: the lease of %.*s outlives its end", a->name, SLICE_FMT(views[i].place));
        }
        for (size_t k = 0; k < i; k++) {
            if (slice_eq(views[i].place, views[k].place)) {
                W_FAIL(w, "%s: two hold %.*s", a->name, SLICE_FMT(views[i].place));
            }
        }
    }
    for (unsigned i = 0; i < PLACES; i++) {
        const Place *p = &a->places[i];
        bool held = false;
        for (size_t k = 0; k < count; k++) {
            held = held || slice_eq(views[k].place, message_place(slice_from_cstr(p->param)));
        }
        if (p->value != p->kept && !held) {
            W_FAIL(w, "%s is changed and nobody holds or keeps it", p->param);
        }
    }
}

static inline void check_all(World *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        check_agent(w, &w->agents[i]);
    }
}

// ---- time

static inline int64_t next_event(const World *w)
{
    int64_t due = NEVER_NS;
    for (size_t i = 0; i < w->flight_count; i++) {
        due = w->flights[i].due_ns < due ? w->flights[i].due_ns : due;
    }
    for (size_t i = 0; i < w->later_count; i++) {
        due = w->later[i].due_ns < due ? w->later[i].due_ns : due;
    }
    for (unsigned i = 0; i < w->count; i++) {
        int64_t one = negotiator_next_due(w->agents[i].n);
        due = one < due ? one : due;
    }
    return due;
}

static inline bool deliver_one(World *w)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < w->flight_count; i++) {
        const Flight *f = &w->flights[i];
        if (f->due_ns <= w->now_ns &&
            (first == SIZE_MAX || f->due_ns < w->flights[first].due_ns ||
             (f->due_ns == w->flights[first].due_ns && f->order < w->flights[first].order))) {
            first = i;
        }
    }
    if (first == SIZE_MAX) {
        return false;
    }
    Flight f = w->flights[first];
    w->flights[first] = w->flights[--w->flight_count];
    Agent *to = &w->agents[f.to];
    negotiator_receive(to->n, w->now_ns, slice_from_cstr(f.from), &f.m);
    drain(to);
    arena_destroy(f.arena);
    return true;
}

static inline bool answer_one_later(World *w)
{
    for (size_t i = 0; i < w->later_count; i++) {
        if (w->later[i].due_ns <= w->now_ns) {
            Later l = w->later[i];
            w->later[i] = w->later[--w->later_count];
            answer_apply(&w->agents[l.agent], l.grant, l.changes, l.count);
            drain(&w->agents[l.agent]);
            arena_destroy(l.arena);
            return true;
        }
    }
    return false;
}

// Runs until `until_ns` or until nothing is left to happen; NEVER_NS: to the end.
static inline void run_world(World *w, int64_t until_ns)
{
    for (size_t steps = 0;; steps++) {
        int64_t due = next_event(w);
        if (due == NEVER_NS || due > until_ns) {
            w->now_ns = until_ns != NEVER_NS && until_ns > w->now_ns ? until_ns : w->now_ns;
            return;
        }
        w->now_ns = due > w->now_ns ? due : w->now_ns;
        if (steps > 200000) {
            W_FAIL(w, "the world does not come to rest");
        }
        for (unsigned i = 0; i < w->count; i++) {
            if (negotiator_next_due(w->agents[i].n) <= w->now_ns) {
                negotiator_tick(w->agents[i].n, w->now_ns);
                drain(&w->agents[i]);
            }
        }
        while (answer_one_later(w) || deliver_one(w)) {
        }
        // Everybody's clock has come to now, also of those that had nothing to do.
        check_all(w);
    }
}

// ---- making one

static inline void join_world(World *w, Agent *a)
{
    NegotiatorOptions o = w->options;
    o.agent = name_of(a);
    o.owns = agent_owns;
    o.ctx = a;
    o.incarnation = ++a->incarnation;
    a->n = negotiator_create(&o);
}

static inline World *world_create(uint64_t seed, unsigned agents)
{
    World *w = mem_zalloc(sizeof *w);
    w->seed = seed;
    w->rng = rng_stream(seed, SLICE("world"), 0);
    w->count = agents;
    w->hop_ns = NS_PER_MS;
    w->now_ns = NS_PER_S;
    return w;
}

static inline void world_start(World *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        Agent *a = &w->agents[i];
        a->world = w;
        a->index = i;
        (void)snprintf(a->name, sizeof a->name, "x%u", i);
        (void)snprintf(a->places[0].param, sizeof a->places[0].param, "x%u.p", i);
        (void)snprintf(a->places[1].param, sizeof a->places[1].param, "x%u->y.q", i);
        join_world(w, a);
    }
}

static inline void world_destroy(World *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        negotiator_destroy(w->agents[i].n);
    }
    for (size_t i = 0; i < w->flight_count; i++) {
        arena_destroy(w->flights[i].arena);
    }
    for (size_t i = 0; i < w->later_count; i++) {
        arena_destroy(w->later[i].arena);
    }
    free(w);
}

#endif
