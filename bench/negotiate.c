// What the bus and a negotiation cost: one message between two connections of a hub, and one whole
// negotiation (propose, accept, commit, applied, keep, kept) of two agents over that bus with
// messages as JSON, hosts that answer at once.
#include <stdio.h>

#include "bus/local.h"
#include "manage/negotiator.h"

enum { MESSAGES = 200000, BATCH = 500, NEGOTIATIONS = 2000 };

static BusVerdict count_one(void *ctx, const BusMessage *m)
{
    *(uint64_t *)ctx += m->body.len;
    return BUS_DONE;
}

static int bench_bus(void)
{
    LocalHub *hub = local_hub_create();
    Bus *a, *b;
    BusSubscription *s;
    uint64_t bytes = 0;
    char body[100] = {0};
    int rc = local_connect(hub, &(BusOptions){.name = SLICE("a")}, &a, NULL);
    rc = rc == 0 ? local_connect(hub, &(BusOptions){.name = SLICE("b")}, &b, NULL) : rc;
    rc = rc == 0 ? bus_subscribe(b, SLICE("s.*"), count_one, &bytes, &s, NULL) : rc;
    if (rc != 0) {
        return rc;
    }
    int64_t from = clock_now(clock_real());
    for (int i = 0; rc == 0 && i < MESSAGES; i++) {
        rc = bus_publish(a, &(BusMessage){.subject = SLICE("s.x"), .body = {body, sizeof body}},
                         NULL);
        if (i % BATCH == BATCH - 1) {
            (void)bus_poll(b, 0);
        }
    }
    int64_t took = clock_now(clock_real()) - from;
    (void)printf("bus: %d messages of %zu bytes, %.0f ns each\n", MESSAGES, sizeof body,
                 (double)took / MESSAGES);
    bus_close(a);
    bus_close(b);
    local_hub_destroy(hub);
    return bytes == (uint64_t)MESSAGES * sizeof body ? rc : ERR_CONFLICT;
}

// ---- negotiations

typedef struct Agent {
    const char *name;
    Negotiator *n;
    Bus *bus;
    int64_t value;
    uint64_t ended, kept, messages;
    Arena *arena;
} Agent;

static bool owns(void *ctx, Slice param)
{
    return slice_eq_cstr(message_place(param), ((Agent *)ctx)->name);
}

static void publish(Agent *a, const NegotiatorAction *act)
{
    Buf body = buf_create(MESSAGE_BYTES_MAX);
    message_write(act->message, &body);
    BusMessage m = {.subject = act->peer, .to = act->peer, .body = buf_slice(&body)};
    if (bus_publish(a->bus, &m, NULL) != 0) {
        die("publish failed");
    }
    a->messages++;
    buf_done(&body);
}

static void run_action(Agent *a, int64_t now_ns, const NegotiatorAction *act)
{
    char old[24];
    MessageChange undo = {act->change_count > 0 ? act->changes[0].param : (Slice){0}, {0}};
    switch (act->kind) {
    case ACTION_SEND: publish(a, act); break;
    case ACTION_VALIDATE:
        negotiator_decide(a->n, now_ns, act->grant,
                          &(NegotiatorDecision){.answer = MESSAGE_ACCEPT});
        break;
    case ACTION_APPLY:
        undo.value = (Slice){old, (size_t)snprintf(old, sizeof old, "%lld", (long long)a->value)};
        (void)!slice_to_i64(act->changes[0].value, &a->value);
        negotiator_applied(a->n, now_ns, act->grant, true, &undo, 1, (Slice){0});
        break;
    case ACTION_WATCH: (void)!negotiator_keep(a->n, now_ns, act->deal, NULL); break;
    case ACTION_ENDED:
        a->ended++;
        a->kept += act->outcome == NEGOTIATION_KEPT;
        break;
    case ACTION_ROLLBACK:
    case ACTION_REPLAN:
    case ACTION_GRANT:
    case ACTION_DEAL: break;
    }
}

static void drain(Agent *a, int64_t now_ns)
{
    NegotiatorAction act;
    while (negotiator_next_action(a->n, &act)) {
        run_action(a, now_ns, &act);
    }
}

static BusVerdict on_message(void *ctx, const BusMessage *bus_message)
{
    Agent *a = ctx;
    Message m;
    arena_reset(a->arena);
    if (message_read(a->arena, bus_message->body, &m, NULL) == 0) {
        int64_t now_ns = clock_now(clock_real());
        negotiator_receive(a->n, now_ns, bus_message->from, &m);
        drain(a, now_ns);
    }
    return BUS_DONE;
}

static int start(Agent *a, LocalHub *hub)
{
    BusSubscription *s;
    a->arena = arena_create(MESSAGE_ARENA_MAX);
    a->n = negotiator_create(&(NegotiatorOptions){
        .agent = slice_from_cstr(a->name), .owns = owns, .ctx = a, .undo_ns = NS_PER_MS});
    int rc = local_connect(hub, &(BusOptions){.name = slice_from_cstr(a->name)}, &a->bus, NULL);
    return rc == 0 ? bus_subscribe(a->bus, slice_from_cstr(a->name), on_message, a, &s, NULL) : rc;
}

static int negotiate(Agent *a, Agent *b, int i)
{
    char values[2][16];
    MessageChange changes[2] = {{SLICE("a.x"), {0}}, {SLICE("b.x"), {0}}};
    Slice owners[2] = {SLICE("a"), SLICE("b")};
    for (int k = 0; k < 2; k++) {
        int len = snprintf(values[k], sizeof values[k], "%d", i + 1);
        changes[k].value = (Slice){values[k], (size_t)len};
    }
    NegotiationPlan plan = {.changes = changes,
                            .owners = owners,
                            .change_count = 2,
                            .for_ns = 5 * NS_PER_S,
                            .watch_ns = 5 * NS_PER_S};
    uint64_t deal;
    int64_t now_ns = clock_now(clock_real());
    negotiator_tick(a->n, now_ns);
    negotiator_tick(b->n, now_ns);
    int rc = negotiator_propose(a->n, now_ns, &plan, &deal, NULL);
    drain(a, now_ns);
    uint64_t ended = a->ended;
    for (int round = 0; rc == 0 && a->ended == ended && round < 100; round++) {
        (void)bus_poll(b->bus, 0);
        (void)bus_poll(a->bus, 0);
    }
    return rc;
}

static int bench_negotiation(void)
{
    LocalHub *hub = local_hub_create();
    Agent a = {.name = "a"}, b = {.name = "b"};
    int rc = start(&a, hub);
    rc = rc == 0 ? start(&b, hub) : rc;
    int64_t from = clock_now(clock_real());
    for (int i = 0; rc == 0 && i < NEGOTIATIONS; i++) {
        rc = negotiate(&a, &b, i);
    }
    int64_t took = clock_now(clock_real()) - from;
    (void)printf("negotiation: %llu of %d kept, %.1f messages and %.1f us each\n",
                 (unsigned long long)a.kept, NEGOTIATIONS,
                 (double)(a.messages + b.messages) / NEGOTIATIONS,
                 (double)took / NEGOTIATIONS / 1e3);
    Agent *both[] = {&a, &b};
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        bus_close(both[i]->bus);
        negotiator_destroy(both[i]->n);
        arena_destroy(both[i]->arena);
    }
    local_hub_destroy(hub);
    return rc;
}

int main(void)
{
    int rc = bench_bus();
    rc = rc == 0 ? bench_negotiation() : rc;
    return rc == 0 ? 0 : 1;
}
