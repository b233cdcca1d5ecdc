// Clients. Open ones make calls apart by gaps of a renewal process in "operational time", which
// runs as fast as the rate is (Cinlar 1975): stretched through spikes and bursts, it keeps its
// variation, and a Poisson process stays exactly one. Closed ones think between their calls.
#include "policy/virtual_impl.h"

#include <assert.h>
#include <math.h>

static bool between(int64_t at, const VirtualSpike *spike)
{
    return at >= spike->at_ns && at - spike->at_ns < spike->for_ns;
}

// The next burst or calm from `from_ns` on.
static void next_burst(Client *c, int64_t from_ns)
{
    bool calm = ++c->burst_count % 2 == 0;
    double mean = (double)(calm ? c->is.calm_ns : c->is.burst_ns);
    double u = luck(c->luck, LUCK_BURST, 0, (uint32_t)c->burst_count);
    double lasts = -mean * log(1 - u);
    c->burst_until = lasts < 0x1p61 ? from_ns + (int64_t)lasts : INT64_MAX;
}

// The rate at `at_ns` and until when it stays.
static void rate_at(Client *c, int64_t at_ns)
{
    c->rate = c->is.per_second;
    c->rate_until = INT64_MAX;
    for (uint32_t i = 0; i < c->is.spike_count; i++) {
        const VirtualSpike *spike = &c->is.spikes[i];
        int64_t end = spike->at_ns + spike->for_ns;
        if (between(at_ns, spike)) {
            c->rate *= spike->factor;
            c->rate_until = end < c->rate_until ? end : c->rate_until;
        } else if (spike->at_ns > at_ns && spike->at_ns < c->rate_until) {
            c->rate_until = spike->at_ns;
        }
    }
    if (c->is.burst_factor > 0) {
        while (c->burst_until <= at_ns) {
            next_burst(c, c->burst_until);
        }
        c->rate *= c->burst_count % 2 == 1 ? c->is.burst_factor : 1;
        c->rate_until = c->burst_until < c->rate_until ? c->burst_until : c->rate_until;
    }
}

// When `need` (in arrivals at rate 1) has passed since `from_ns`; INT64_MAX never.
static int64_t stretch(Client *c, int64_t from_ns, double need)
{
    int64_t at = from_ns;
    for (;;) {
        if (at >= c->rate_until) {
            rate_at(c, at);
        }
        double takes = c->rate > 0 ? need * 1e9 / c->rate : INFINITY;
        if (c->rate_until == INT64_MAX) {
            return takes < 0x1p61 ? at + (int64_t)takes : INT64_MAX;
        }
        double room = (double)(c->rate_until - at);
        if (takes < room) {
            return at + (int64_t)takes;
        }
        need -= room * c->rate / 1e9;
        need = need > 0 ? need : 0;
        at = c->rate_until;
    }
}

// The gap before call `n`, in arrivals at rate 1. It is drawn one call ahead: a logarithm takes
// some 100 cycles, and the event heap's next decision would wait for it.
static double draw_gap(const Client *c, uint64_t n)
{
    if (c->gap.kind == DIST_FIXED) {
        return 1;
    }
    double u = luck(luck_key(c->luck, n), LUCK_GAP, 0, 0);
    if (c->gap.kind == DIST_EXPONENTIAL) {
        return -log(1 - u);
    }
    return (double)dist_sample(&c->gap, u) / 1e9;
}

static int64_t next_arrival(Client *c, int64_t from_ns)
{
    if (c->is.time_count > 0) {
        return c->begun < c->is.time_count ? c->is.start_ns + c->is.times[c->begun] : INT64_MAX;
    }
    double gap = c->next_gap;
    c->next_gap = draw_gap(c, c->begun + 1);
    if (c->rate_until == INT64_MAX && c->rate > 0) {
        gap *= 1e9 / c->rate;
        return gap < 0x1p61 ? from_ns + (int64_t)gap : INT64_MAX;
    }
    return stretch(c, from_ns, gap);
}

static bool is_over(const Client *c, int64_t at_ns)
{
    return at_ns == INT64_MAX || (c->is.until_ns > 0 && at_ns >= c->is.until_ns) ||
           (c->is.count > 0 && c->counts.offered >= c->is.count);
}

// What tells one call from the other, beside its time.
static void dress(const Client *c, uint64_t luck_of, int64_t now, CallOptions *o)
{
    const VirtualClient *is = &c->is;
    o->deadline_ns = is->deadline_ns ? now + is->deadline_ns : 0;
    if (is->keys > 0) {
        double u = luck(luck_of, LUCK_KEY, 0, 0);
        o->key.low = 1 + (uint64_t)(u * u * u * (double)is->keys);
    }
    if (is->spread > 1) {
        o->priority = (uint8_t)(1 + luck(luck_of, LUCK_PRIORITY, 0, 0) * is->spread);
    }
    o->once = is->once > 0 && luck(luck_of, LUCK_ONCE, 0, 0) < is->once;
}

static bool is_impatient(const Client *c)
{
    return c->is.patience.kind != DIST_FIXED || c->is.patience.scale > 0;
}

static void leave_later(Virtual *v, const Client *c, int32_t op, uint64_t serial, uint64_t luck_of)
{
    bool open = v->ops[op].serial == serial && (v->ops[op].plain || !call_is_done(&v->states[op]));
    bool leaves = c->is.cancel > 0 && luck(luck_of, LUCK_CANCEL, 0, 0) < c->is.cancel;
    int64_t after_ns = c->is.cancel_after_ns;
    if (is_impatient(c)) {
        leaves = true;
        after_ns = dist_sample(&c->is.patience, luck(luck_of, LUCK_PATIENCE, 0, 0));
    }
    if (open && leaves) {
        v->ops[op].armed |= ARMED_CANCEL;
        virtual_wake_at(v, NODE_CANCEL, (uint32_t)op, v->now + after_ns);
    }
}

static void call(Virtual *v, uint32_t client, uint64_t luck_of, int32_t user)
{
    Client *c = &v->clients[client];
    CallOptions options = {.task = luck_of, .priority = c->is.priority};
    int32_t task = task_new(v, luck_of, client);
    Task *t = &v->tasks[task];
    c->counts.offered++;
    t->user = user;
    if (c->dressed) {
        dress(c, luck_of, v->now, &options);
        t->key = options.key;
    }
    if (options.priority) {
        t->priority = options.priority;
    }
    uint64_t serial = v->serial;
    CallFrom from = {.parent = NONE, .place = c->is.edge};
    int32_t op = op_start(v, &from, &options, task);
    if (c->is.cancel > 0 || is_impatient(c)) {
        leave_later(v, c, op, serial, luck_of);
    }
    task_unref(v, task);
}

void client_arrival(Virtual *v, uint32_t client)
{
    Client *c = &v->clients[client];
    uint64_t task = luck_key(c->luck, c->begun++);
    if (is_over(c, v->now)) {
        return;
    }
    // The next one first, so that of two at one time the earlier goes first.
    int64_t next = next_arrival(c, v->now);
    if (next != INT64_MAX) {
        virtual_wake_at(v, NODE_ARRIVAL, client, next > v->now ? next : v->now);
    }
    call(v, client, task, NONE);
}

static void think(Virtual *v, uint32_t user)
{
    User *u = &v->users[user];
    const Client *c = &v->clients[u->client];
    double draw = luck(luck_key(u->luck, u->begun), LUCK_THINK, 0, 0);
    int64_t at = v->now + dist_sample(&c->is.think, draw);
    virtual_wake_at(v, NODE_USER, user, at > c->is.start_ns ? at : c->is.start_ns);
}

void client_user(Virtual *v, uint32_t user)
{
    User *u = &v->users[user];
    uint64_t task = luck_key(u->luck, u->begun++);
    if (!is_over(&v->clients[u->client], v->now)) {
        call(v, u->client, task, (int32_t)user);
    }
}

void client_answered(Virtual *v, uint32_t client, int32_t user, CallReason reason)
{
    v->clients[client].counts.ended[reason]++;
    if (user != NONE) {
        think(v, (uint32_t)user);
    }
}

static void add_users(Virtual *v, uint32_t client)
{
    for (uint32_t i = 0; i < v->clients[client].is.users; i++) {
        v->users = virtual_grown(v->users, v->user_count, &v->user_room, sizeof *v->users);
        event_heap_room(&v->heap, NODE_USER, v->user_room);
        uint64_t key = luck_key(v->clients[client].luck, UINT64_C(1) << 63 | i);
        v->users[v->user_count] = (User){.luck = key, .client = client};
        think(v, v->user_count++);
    }
}

uint32_t virtual_client(Virtual *v, const VirtualClient *client)
{
    v->clients = virtual_grown(v->clients, v->client_count, &v->client_room, sizeof *v->clients);
    event_heap_room(&v->heap, NODE_ARRIVAL, v->client_room);
    uint32_t at = v->client_count++;
    Client *c = &v->clients[at];
    *c = (Client){.is = *client,
                  .gap = dist_of_scv(1e9, client->scv),
                  .luck = luck_key(v->seed, at + 1),
                  .burst_count = 1}; // the first one drawn is a calm
    c->dressed = client->deadline_ns || client->keys || client->spread > 1 || client->once > 0;
    int64_t start = client->start_ns > v->now ? client->start_ns : v->now;
    if (client->burst_factor > 0) {
        next_burst(c, start);
    }
    if (client->users > 0) {
        add_users(v, at);
    } else if (client->per_second > 0 || client->time_count > 0) {
        rate_at(c, start);
        // The first gap begins at the start; that of a renewal process in equilibrium would not,
        // but which of the two matters only to runs of a few calls.
        c->next_gap = draw_gap(c, 0);
        int64_t first = next_arrival(c, start);
        if (first != INT64_MAX) {
            virtual_wake_at(v, NODE_ARRIVAL, at, first);
        }
    }
    return at;
}
