#include "manage/live_agents.h"

#include <assert.h>
#include <math.h>

#include "policy/chance.h"

// What an event of a client's agent carries.
typedef struct Sending {
    uint64_t task;  // 0: a user of a closed client, who goes on asking
    int64_t due_ns; // of the shard's clock
} Sending;

// What a request carries: who asked in the first place.
typedef struct Request {
    uint64_t task;
} Request;

static bool stopping(LivePlant *p)
{
    (void)pthread_mutex_lock(&p->lock);
    bool yes = p->stopping;
    (void)pthread_mutex_unlock(&p->lock);
    return yes;
}

// ---- luck

enum { ORDINALS = 256, LUCKS = 8 }; // LUCKS: different draws for one request

static uint32_t ordinal_of(LivePlant *p, uint64_t task, uint32_t agent)
{
    size_t row = task % PLANT_LIVE_TASKS;
    uint8_t *ordinals = &p->ordinals[row * p->agent_count];
    if (p->tasks[row] != task) { // another task was there so long ago that it is over
        p->tasks[row] = task;
        memset(ordinals, 0, p->agent_count);
    }
    return ordinals[agent]++;
}

static double luck(const LivePlant *p, uint64_t task, ChancePurpose purpose, uint32_t agent,
                   uint32_t ordinal, uint32_t which)
{
    return chance(p->options.seed, task, purpose, (agent * ORDINALS + ordinal) * LUCKS + which);
}

// ---- agents

typedef struct Fault {
    double slow, fail;
    bool stop;
    int64_t stop_until_ns; // of the System's time; NEVER_NS
} Fault;

static Fault fault_now(const LivePlant *p, uint32_t agent, int64_t now_ns)
{
    const System *sys = p->base.sys;
    Fault f = {.slow = 1};
    for (uint32_t i = 0; i < sys->fault_count; i++) {
        const SystemFault *is = &sys->faults[i];
        int64_t until = is->for_ns > 0 ? is->at_ns + is->for_ns : NEVER_NS;
        if (is->agent == agent && now_ns >= is->at_ns && now_ns < until) {
            f.slow *= is->slow > 0 ? is->slow : 1;
            f.fail = fmax(f.fail, is->fail);
            f.stop_until_ns = is->stop ? until : f.stop_until_ns;
            f.stop |= is->stop;
        }
    }
    return f;
}

static void note_work(LiveAgent *a, int64_t began_ns, int64_t now_ns, bool wanted, bool whole)
{
    LivePlant *p = a->plant;
    double took_ns = (double)(now_ns - began_ns) * p->scale;
    (void)pthread_mutex_lock(&p->lock);
    a->busy_s += took_ns / 1e9;
    a->wasted_s += wanted ? 0 : took_ns / 1e9;
    a->served += whole;
    hist_record(whole ? &a->service : &a->cut, (int64_t)took_ns);
    (void)pthread_mutex_unlock(&p->lock);
}

static int work(AgentContext *ctx, LiveAgent *a, uint64_t task, uint32_t ordinal)
{
    LivePlant *p = a->plant;
    const SystemAgent *is = &p->base.sys->agents[a->index];
    int64_t began = agent_now(ctx);
    int64_t system_now = live_system_ns(p, began);
    Fault fault = fault_now(p, a->index, system_now);
    int rc = 0;
    if (fault.stop) {
        int64_t rest =
            fault.stop_until_ns == NEVER_NS ? NEVER_NS / 4 : fault.stop_until_ns - system_now;
        rc = agent_sleep(ctx, live_clock_ns(p, rest));
    }
    double u = luck(p, task, CHANCE_SERVICE, a->index, ordinal, 0);
    int64_t service = (int64_t)((double)dist_sample(&is->service, u) * fault.slow);
    if (rc == 0 && service > 0) {
        rc = agent_sleep(ctx, live_clock_ns(p, service));
    }
    note_work(a, began, agent_now(ctx), agent_is_wanted(ctx), rc == 0);
    double fails = fmax(is->fail, fault.fail);
    if (rc == 0 && fails > 0 && luck(p, task, CHANCE_FAULT, a->index, ordinal, 0) < fails) {
        rc = agent_fail(ctx, ERR_IO, "a failure that the system's description asks for");
    }
    return rc;
}

// One target of a group: so many calls, one after another.
typedef struct Line {
    const SystemTarget *target;
    uint32_t left;
    AgentCall call;
} Line;

typedef struct Group {
    AgentContext *ctx;
    LivePlant *plant;
    const SystemGroup *is;
    Request request;
    Line *lines;
    AgentCall **waiting; // of lines with a call under way, else NULL
    uint32_t under_way, good, failed;
} Group;

static int line_next(Group *g, uint32_t i)
{
    Line *line = &g->lines[i];
    const System *sys = g->plant->base.sys;
    line->left--;
    EventSpec spec = {.agent = g->plant->agents[sys->edges[line->target->edge].to].id,
                      .data = {(const char *)&g->request, sizeof g->request}};
    int rc = agent_call_start(g->ctx, &spec, NULL, &line->call, NULL);
    if (rc == 0) {
        g->waiting[i] = &line->call;
        g->under_way++;
    }
    return rc;
}

static uint32_t times_of(Group *g, uint32_t agent, uint32_t ordinal, uint32_t group, uint32_t i)
{
    const SystemTarget *t = &g->is->targets[i];
    uint32_t n = group * SYSTEM_TARGETS_MAX + i;
    uint64_t task = g->request.task ^ (n + UINT64_C(1)) * UINT64_C(0x9E3779B97F4A7C15);
    if (t->chance < 1 && luck(g->plant, task, CHANCE_FAULT, agent, ordinal, 1) >= t->chance) {
        return 0;
    }
    double part = t->repeat - floor(t->repeat);
    bool once_more = part > 0 && luck(g->plant, task, CHANCE_FAULT, agent, ordinal, 2) < part;
    return (uint32_t)floor(t->repeat) + once_more;
}

// With how many good answers the group is done, of `lines` that were begun.
static uint32_t enough_of(const SystemGroup *is, uint32_t lines)
{
    switch (is->join) {
    case JOIN_ALL: return lines;
    case JOIN_ANY: return lines > 0 ? 1 : 0;
    case JOIN_FIRST: return is->first < lines ? is->first : lines;
    }
    return lines;
}

static int group_wait(Group *g, uint32_t enough)
{
    int rc = 0;
    while (rc == 0 && g->under_way > 0 && g->good < enough) {
        int at = agent_call_wait_any(g->ctx, g->waiting, g->is->count);
        if (at < 0) {
            return at;
        }
        Line *line = &g->lines[at];
        bool good = line->call.result.code == 0;
        g->waiting[at] = NULL;
        g->under_way--;
        agent_result_done(&line->call.result);
        if (!good) {
            g->failed++;
        } else if (line->left > 0) {
            rc = line_next(g, (uint32_t)at);
        } else {
            g->good++;
        }
    }
    return rc;
}

static int run_group(AgentContext *ctx, LiveAgent *a, const Request *request, uint32_t ordinal,
                     uint32_t index)
{
    const SystemGroup *is = &a->plant->base.sys->agents[a->index].groups[index];
    Group g = {.ctx = ctx, .plant = a->plant, .is = is, .request = *request};
    g.lines = ARENA_ARRAY(agent_arena(ctx), Line, is->count);
    g.waiting = ARENA_ARRAY(agent_arena(ctx), AgentCall *, is->count);
    uint32_t lines = 0;
    int rc = 0;
    for (uint32_t i = 0; i < is->count && rc == 0; i++) {
        g.lines[i] = (Line){&is->targets[i], times_of(&g, a->index, ordinal, index, i), {{0}}};
        if (g.lines[i].left > 0) {
            lines++;
            if (line_next(&g, i) != 0) {
                g.failed++;
            }
        }
    }
    uint32_t enough = enough_of(is, lines);
    rc = group_wait(&g, enough);
    for (uint32_t i = 0; i < is->count; i++) {
        if (g.waiting[i]) {
            agent_call_drop(ctx, g.waiting[i]);
        }
    }
    if (rc == 0 && g.good < enough) {
        rc = agent_fail(ctx, ERR_IO, "%u of %u calls failed", g.failed, lines);
    }
    return rc;
}

int live_agent_run(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    LiveAgent *a = agent_self(ctx);
    Request request = {0};
    Slice data = event_data(event);
    assert(data.len == sizeof request);
    memcpy(&request, data.ptr, sizeof request);
    const SystemAgent *is = &a->plant->base.sys->agents[a->index];
    uint32_t ordinal = ordinal_of(a->plant, request.task, a->index);
    int rc = work(ctx, a, request.task, ordinal);
    for (uint32_t i = 0; i < is->group_count && rc == 0; i++) {
        rc = run_group(ctx, a, &request, ordinal, i);
    }
    return rc;
}

// ---- clients

static void open_request(LiveClient *c, LiveOpen *open)
{
    (void)pthread_mutex_lock(&c->plant->lock);
    c->counts.offered++;
    open->prev = c->last;
    open->next = NULL;
    *(c->last ? &c->last->next : &c->first) = open;
    c->last = open;
    (void)pthread_mutex_unlock(&c->plant->lock);
}

static void close_request(LiveClient *c, LiveOpen *open, int code, int64_t now_ns)
{
    LivePlant *p = c->plant;
    int64_t took = (int64_t)((double)(now_ns - open->began_ns) * p->scale);
    (void)pthread_mutex_lock(&p->lock);
    *(open->prev ? &open->prev->next : &c->first) = open->next;
    *(open->next ? &open->next->prev : &c->last) = open->prev;
    // What the end of the plant cancels says nothing about the system.
    if (!p->stopping || code == 0) {
        if (code != 0) {
            c->counts.failed++;
            hist_record_infinite(&c->latency, 1);
        } else {
            *(took <= plant_within_ns(p->base.sys, c->index) ? &c->counts.good : &c->counts.late) +=
                1;
            hist_record(&c->latency, took);
        }
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static int ask(AgentContext *ctx, LiveClient *c, uint64_t task, int64_t due_ns)
{
    LivePlant *p = c->plant;
    const SystemClient *is = &p->base.sys->clients[c->index];
    LiveOpen open = {.began_ns = due_ns};
    Request request = {.task = task};
    EventSpec spec = {.agent = p->agents[p->base.sys->edges[is->edge].to].id,
                      .data = {(const char *)&request, sizeof request}};
    if (is->deadline_ns > 0) {
        spec.deadline_ns = due_ns + live_clock_ns(p, is->deadline_ns);
    }
    open_request(c, &open);
    AgentResult result;
    int rc = agent_call(ctx, &spec, NULL, &result, NULL);
    agent_result_done(&result);
    close_request(c, &open, rc, agent_now(ctx));
    return rc;
}

static uint64_t next_task(LiveClient *c)
{
    return (uint64_t)(c->index + 1) << 40 | c->begun++;
}

static int user_run(AgentContext *ctx, LiveClient *c)
{
    const SystemClient *is = &c->plant->base.sys->clients[c->index];
    int rc = 0;
    while (rc == 0 && !stopping(c->plant)) {
        uint64_t task = next_task(c);
        double u = luck(c->plant, task, CHANCE_ARRIVAL, 0, 0, 1);
        rc = agent_sleep(ctx, live_clock_ns(c->plant, dist_sample(&is->think, u)));
        if (rc == 0) {
            (void)ask(ctx, c, task, agent_now(ctx));
        }
    }
    return rc;
}

int live_client_run(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    LiveClient *c = agent_self(ctx);
    Sending sending = {0};
    Slice data = event_data(event);
    assert(data.len == sizeof sending);
    memcpy(&sending, data.ptr, sizeof sending);
    return sending.task == 0 ? user_run(ctx, c) : ask(ctx, c, sending.task, sending.due_ns);
}

// ---- arrivals

static double rate_at(const SystemClient *is, int64_t at_ns, int64_t *ret_until_ns)
{
    double rate = is->per_second;
    *ret_until_ns = NEVER_NS;
    for (uint32_t i = 0; i < is->spike_count; i++) {
        const SystemSpike *s = &is->spikes[i];
        int64_t end = s->at_ns + s->for_ns;
        int64_t edge = at_ns < s->at_ns ? s->at_ns : at_ns < end ? end : NEVER_NS;
        *ret_until_ns = edge < *ret_until_ns ? edge : *ret_until_ns;
        rate *= at_ns >= s->at_ns && at_ns < end ? s->factor : 1;
    }
    return rate;
}

// The time at which `amount` of expected requests have come since `from_ns`: exact for a rate that
// changes in steps.
static int64_t arrival_after(const SystemClient *is, int64_t from_ns, double amount)
{
    for (;;) {
        int64_t until;
        double rate = rate_at(is, from_ns, &until);
        double here = until == NEVER_NS ? INFINITY : rate * (double)(until - from_ns) / 1e9;
        if (amount <= here && rate > 0) {
            double gap = amount / rate * 1e9;
            return gap < 0x1p61 ? from_ns + (int64_t)gap : NEVER_NS;
        }
        if (until == NEVER_NS) {
            return NEVER_NS;
        }
        amount -= here;
        from_ns = until;
    }
}

static int send_one(AgentContext *ctx, LiveClient *c, const Sending *sending)
{
    EventSpec spec = {.agent = c->id, .data = {(const char *)sending, sizeof *sending}};
    return agent_emit(ctx, &spec, NULL);
}

static void note_late(LivePlant *p, int64_t late_ns)
{
    (void)pthread_mutex_lock(&p->lock);
    hist_record(&p->late, late_ns > 0 ? late_ns : 0);
    (void)pthread_mutex_unlock(&p->lock);
}

static int open_arrivals(AgentContext *ctx, LiveClient *c)
{
    LivePlant *p = c->plant;
    const SystemClient *is = &p->base.sys->clients[c->index];
    Dist gap = dist_of_scv(1e9, is->scv); // of operational time: 1 is one request
    int64_t at = 0, end = p->options.duration_ns > 0 ? p->options.duration_ns : NEVER_NS;
    int rc = 0;
    while (rc == 0 && !stopping(p)) {
        Sending s = {.task = next_task(c)};
        double u = luck(p, s.task, CHANCE_ARRIVAL, 0, 0, 0);
        at = arrival_after(is, at, (double)dist_sample(&gap, u) / 1e9);
        if (at >= end) {
            return 0;
        }
        s.due_ns = p->start_ns + live_clock_ns(p, at);
        int64_t wait = s.due_ns - agent_now(ctx);
        rc = wait > 0 ? agent_sleep(ctx, wait) : 0;
        if (rc == 0) {
            note_late(p, agent_now(ctx) - s.due_ns);
            rc = send_one(ctx, c, &s);
        }
    }
    return rc;
}

int live_arrivals_run(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    (void)state;
    LiveClient *c = agent_self(ctx);
    const SystemClient *is = &c->plant->base.sys->clients[c->index];
    if (is->per_second > 0) {
        return open_arrivals(ctx, c);
    }
    int rc = 0;
    for (uint32_t i = 0; i < is->users && rc == 0; i++) {
        rc = send_one(ctx, c, &(Sending){.task = 0});
    }
    return rc;
}
