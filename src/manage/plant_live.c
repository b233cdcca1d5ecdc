#include "manage/plant_live.h"

#include <math.h>

#include "manage/live_agents.h"
#include "model/system_program.h"
#include "os/thread.h"

enum {
    LIVE_ARENA_MAX = 64 << 20,
    LIVE_MAILBOX = 1 << 20, // of an agent whose queue the System leaves unbounded
    LIVE_PENDING_MAX = 64,  // additions of servers that have not begun to work
    STOP_DRAIN_MS = 200,
};

// Counts of an agent or edge since the beginning, to take windows from.
typedef struct Seen {
    PolicyStats stats;
    uint64_t handled, failed, queued;
    uint32_t places;
} Seen;

typedef struct PendingServers {
    int64_t at_ns; // of the System's time
    uint32_t agent, servers;
} PendingServers;

struct LiveWindow {
    int64_t from_ns, topology_from_ns; // of the System's time
    Seen *agents, *edges, *now_agents, *now_edges;
    uint64_t *links; // calls of each edge when the topology was last asked for
    Hist *client_latency, *agent_service, *agent_cut;
    PendingServers pending[LIVE_PENDING_MAX];
    uint32_t pending_count;
};

static LivePlant *live(Plant *plant)
{
    return (LivePlant *)plant;
}

Runner *plant_live_runner(Plant *plant)
{
    return live(plant)->runner;
}

// ---- the System's policies in the clock's time

static ParamValue scaled(uint16_t param, ParamValue value, double scale)
{
    const Param *row = &POLICY_PARAMS[param];
    double number = system_number(param, value);
    if (row->kind == PARAM_DURATION) {
        number /= scale;
    } else if (param == P_RATE_PER_SECOND || param == P_RETRY_BUDGET_MIN) {
        number *= scale;
    } else {
        return value;
    }
    if (number > 0 && row->max > row->min) { // 0 often means "off" and stays that
        number = fmin(fmax(number, row->min), row->max);
    }
    return system_value(param, number);
}

static void scale_all(const ParamValue *values, double scale, ParamValue *ret)
{
    for (uint16_t i = 0; i < POLICY_PARAM_COUNT; i++) {
        ret[i] = scaled(i, values[i], scale);
    }
}

// ---- making it

static int check(const System *sys, const PlantLiveOptions *o, Err *e)
{
    if (o->scale < 0 || o->scale > PLANT_LIVE_SCALE_MAX) {
        return err_set(e, ERR_ARG, "the time scale is %g, it can be above 0 and up to %d", o->scale,
                       PLANT_LIVE_SCALE_MAX);
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        const SystemAgent *a = &sys->agents[i];
        if (a->servers > 0 && a->discipline != VIRTUAL_FIFO) {
            return err_set(e, ERR_UNSUPPORTED,
                           "agent \"%.*s\": requests wait for its servers in the order \"%s\", the "
                           "runtime can only do \"fifo\"",
                           SLICE_FMT(a->name), SYSTEM_DISCIPLINES[a->discipline]);
        }
    }
    return 0;
}

static int register_agents(LivePlant *p, Err *e)
{
    const System *sys = p->base.sys;
    int rc = 0;
    for (uint32_t i = 0; i < p->agent_count && rc == 0; i++) {
        const SystemAgent *is = &sys->agents[i];
        p->agents[i] = (LiveAgent){.plant = p, .index = i};
        hist_init(&p->agents[i].service);
        hist_init(&p->agents[i].cut);
        ParamValue policy[POLICY_PARAM_COUNT];
        scale_all(is->policy, p->scale, policy);
        // A queue of 0 refuses whoever finds no server free; the mailbox also holds those that are
        // about to begin.
        AgentSpec spec = {
            .name = is->name,
            .run = live_agent_run,
            .self = &p->agents[i],
            .overflow = OVERFLOW_SHED,
            .mailbox_max = is->queue >= LIVE_MAILBOX ? LIVE_MAILBOX : is->queue + 1,
            .worker_limit = is->servers,
            .keeps_place = is->holds_server,
            .policies = is->has_policy ? policy : NULL,
        };
        rc = runner_register(p->runner, &spec, &p->agents[i].id, e);
    }
    return rc;
}

static int register_clients(LivePlant *p, Err *e)
{
    const System *sys = p->base.sys;
    int rc = 0;
    for (uint32_t i = 0; i < p->client_count && rc == 0; i++) {
        LiveClient *c = &p->clients[i];
        *c = (LiveClient){.plant = p, .index = i};
        hist_init(&c->latency);
        AgentSpec spec = {.name = sys->clients[i].name,
                          .run = live_client_run,
                          .self = c,
                          .overflow = OVERFLOW_SHED,
                          .mailbox_max = LIVE_MAILBOX};
        char name[SYSTEM_NAME_MAX + 16];
        int len = snprintf(name, sizeof name, "%.*s.arrivals", SLICE_FMT(sys->clients[i].name));
        AgentSpec arrivals = {
            .name = {name, (size_t)len}, .run = live_arrivals_run, .self = c, .mailbox_max = 1};
        rc = runner_register(p->runner, &spec, &c->id, e);
        rc = rc ? rc : runner_register(p->runner, &arrivals, &c->arrivals, e);
    }
    return rc;
}

static int register_edges(LivePlant *p, Err *e)
{
    const System *sys = p->base.sys;
    int rc = 0;
    for (uint32_t i = 0; i < p->edge_count && rc == 0; i++) {
        const SystemEdge *is = &sys->edges[i];
        AgentId from = is->from & SYSTEM_FROM_CLIENT ? p->clients[is->from & ~SYSTEM_FROM_CLIENT].id
                                                     : p->agents[is->from].id;
        ParamValue policy[POLICY_PARAM_COUNT];
        scale_all(is->policy, p->scale, policy);
        rc = runner_edge(p->runner, from, p->agents[is->to].id, policy, &p->edges[i], e);
    }
    return rc;
}

static int start_programs(LivePlant *p, Err *e);

static int start(LivePlant *p, Err *e)
{
    int rc = runner_start(p->runner, e);
    rc = rc ? rc : start_programs(p, e);
    for (uint32_t i = 0; i < p->client_count && rc == 0; i++) {
        rc = runner_emit(p->runner, &(EventSpec){.agent = p->clients[i].arrivals}, e);
    }
    return rc;
}

static struct LiveWindow *window_create(LivePlant *p)
{
    struct LiveWindow *w = ARENA_NEW(p->arena, struct LiveWindow);
    *w = (struct LiveWindow){0};
    w->agents = ARENA_ARRAY(p->arena, Seen, p->agent_count);
    w->now_agents = ARENA_ARRAY(p->arena, Seen, p->agent_count);
    w->edges = ARENA_ARRAY(p->arena, Seen, p->edge_count);
    w->now_edges = ARENA_ARRAY(p->arena, Seen, p->edge_count);
    w->links = ARENA_ARRAY(p->arena, uint64_t, p->edge_count);
    w->client_latency = ARENA_ARRAY(p->arena, Hist, p->client_count);
    w->agent_service = ARENA_ARRAY(p->arena, Hist, p->agent_count);
    w->agent_cut = ARENA_ARRAY(p->arena, Hist, p->agent_count);
    for (uint32_t i = 0; i < p->client_count; i++) {
        hist_init(&w->client_latency[i]);
    }
    for (uint32_t i = 0; i < p->agent_count; i++) {
        hist_init(&w->agent_service[i]);
        hist_init(&w->agent_cut[i]);
    }
    return w;
}

static const PlantOps LIVE_OPS;

static LivePlant *allocate(const System *sys, const PlantLiveOptions *options)
{
    LivePlant *p = mem_zalloc(sizeof *p);
    p->arena = arena_create(LIVE_ARENA_MAX);
    p->base = (Plant){&LIVE_OPS, system_copy(p->arena, sys)};
    p->options = *options;
    p->scale = options->scale > 0 ? options->scale : 1;
    p->clock = options->manual ? &options->manual->clock : clock_real();
    p->start_ns = clock_now(p->clock);
    p->agent_count = sys->agent_count;
    p->client_count = sys->client_count;
    p->edge_count = sys->edge_count;
    p->agents = ARENA_ARRAY(p->arena, LiveAgent, p->agent_count);
    p->clients = ARENA_ARRAY(p->arena, LiveClient, p->client_count);
    p->edges = ARENA_ARRAY(p->arena, AgentId, p->edge_count);
    p->tasks = mem_zalloc(PLANT_LIVE_TASKS * sizeof *p->tasks);
    p->ordinals = mem_zalloc((size_t)PLANT_LIVE_TASKS * p->agent_count);
    p->window = window_create(p);
    hist_init(&p->late);
    (void)pthread_mutex_init(&p->lock, NULL);
    return p;
}

int plant_live_create(const System *sys, const PlantLiveOptions *options, Plant **ret_plant, Err *e)
{
    int rc = check(sys, options, e);
    if (rc != 0) {
        return rc;
    }
    LivePlant *p = allocate(sys, options);
    RunnerOptions runner = {.shards = 1,
                            .seed = options->seed,
                            .trace_off = true,
                            .manual = options->manual,
                            .policy_room = PLANT_ROOM};
    rc = runner_create(&runner, &p->runner, e);
    rc = rc ? rc : register_agents(p, e);
    rc = rc ? rc : register_clients(p, e);
    rc = rc ? rc : register_edges(p, e);
    rc = rc ? rc : start(p, e);
    if (rc != 0) {
        plant_destroy(&p->base);
        return rc;
    }
    *ret_plant = &p->base;
    return 0;
}

static void live_destroy(Plant *plant)
{
    LivePlant *p = live(plant);
    (void)pthread_mutex_lock(&p->lock);
    p->stopping = true;
    (void)pthread_mutex_unlock(&p->lock);
    if (p->runner) {
        (void)runner_stop(p->runner, STOP_DRAIN_MS * NS_PER_MS);
        runner_destroy(p->runner);
    }
    for (uint32_t i = 0; i < p->client_count; i++) {
        hist_done(&p->clients[i].latency);
        hist_done(&p->window->client_latency[i]);
    }
    for (uint32_t i = 0; i < p->agent_count; i++) {
        hist_done(&p->agents[i].service);
        hist_done(&p->agents[i].cut);
        hist_done(&p->window->agent_service[i]);
        hist_done(&p->window->agent_cut[i]);
    }
    hist_done(&p->late);
    (void)pthread_mutex_destroy(&p->lock);
    free(p->tasks);
    free(p->ordinals);
    arena_destroy(p->arena);
    free(p);
}

// ---- time

static int64_t live_now(const Plant *plant)
{
    const LivePlant *p = (const LivePlant *)plant;
    return live_system_ns(p, clock_now(p->clock));
}

static int begin_pending(LivePlant *p, int64_t now_ns, Err *e)
{
    struct LiveWindow *w = p->window;
    int rc = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < w->pending_count; i++) {
        const PendingServers is = w->pending[i];
        if (is.at_ns > now_ns) {
            w->pending[kept++] = is;
        } else if (rc == 0) {
            rc = runner_set_workers(p->runner, p->agents[is.agent].id, is.servers, e);
        }
    }
    w->pending_count = kept;
    return rc;
}

// Servers that a fault takes away, and gives back.
static int move_lost_servers(LivePlant *p, int64_t from_ns, int64_t now_ns, Err *e)
{
    const System *sys = p->base.sys;
    int rc = 0;
    for (uint32_t i = 0; i < sys->fault_count && rc == 0; i++) {
        const SystemFault *f = &sys->faults[i];
        const SystemAgent *a = &sys->agents[f->agent];
        int64_t end = f->for_ns > 0 ? f->at_ns + f->for_ns : NEVER_NS;
        bool begins = f->at_ns > from_ns && f->at_ns <= now_ns;
        bool ends = end > from_ns && end <= now_ns;
        if (f->lose > 0 && a->servers > 0 && (begins || ends)) {
            uint32_t left = a->servers > f->lose ? a->servers - f->lose : 1;
            rc = runner_set_workers(p->runner, p->agents[f->agent].id, ends ? a->servers : left, e);
        }
    }
    return rc;
}

static int pause(LivePlant *p, int64_t until_ns, Err *e)
{
    int64_t now = clock_now(p->clock);
    if (p->options.stopped && p->options.stopped(p->options.stopped_arg)) {
        return err_set(e, ERR_CANCELLED, "stopped by request");
    }
    if (!p->options.manual) {
        int64_t rest = until_ns - now;
        thread_pause_ns(rest < PLANT_LIVE_SLICE_NS ? rest : PLANT_LIVE_SLICE_NS);
        return 0;
    }
    return runner_step(p->runner) ? 0 : err_set(e, ERR_CLOSED, "nothing happens any more");
}

static int live_wait(Plant *plant, int64_t at_ns, Err *e)
{
    LivePlant *p = live(plant);
    int64_t end = p->options.duration_ns > 0 ? p->options.duration_ns : NEVER_NS;
    int64_t goal = at_ns < end ? at_ns : end;
    int64_t until = p->start_ns + live_clock_ns(p, goal) + 1;
    int64_t before = live_now(plant);
    int rc = 0;
    while (rc == 0 && clock_now(p->clock) < until) {
        rc = pause(p, until, e);
        int64_t now = live_now(plant);
        rc = rc ? rc : move_lost_servers(p, before, now, e);
        rc = rc ? rc : begin_pending(p, now, e);
        before = now;
    }
    return rc == 0 && at_ns > end ? err_set(e, ERR_CLOSED, "the plant's time is over") : rc;
}

// ---- seeing

static void see(void *arg, const AgentMetrics *m)
{
    LivePlant *p = arg;
    const System *sys = p->base.sys;
    ptrdiff_t agent = system_find_agent(sys, m->name);
    ptrdiff_t edge = agent < 0 ? system_find_edge(sys, m->name) : -1;
    if (agent < 0 && edge < 0) {
        return;
    }
    Seen *seen = agent >= 0 ? &p->window->now_agents[agent] : &p->window->now_edges[edge];
    *seen = (Seen){.handled = m->handled,
                   .failed = m->failed,
                   .queued = m->queued,
                   .places = (uint32_t)m->places};
    if (m->policies) {
        seen->stats = *m->policies;
    }
}

static void edge_window(const Seen *now, const Seen *was, PlantEdge *out)
{
    const PolicyStats *a = &now->stats, *b = &was->stats;
    out->calls = a->started - b->started;
    out->attempts = a->attempts - b->attempts;
    out->retries = a->retries - b->retries;
    out->hedges = a->hedges - b->hedges;
    out->timeouts = a->timeouts - b->timeouts;
    out->ok = now->handled - was->handled;
    out->failed = now->failed - was->failed;
}

static uint64_t overdue(const LiveClient *c, int64_t now_ns)
{
    const System *sys = c->plant->base.sys;
    int64_t within = plant_within_ns(sys, c->index);
    if (within == NEVER_NS && sys->clients[c->index].deadline_ns > 0) {
        within = sys->clients[c->index].deadline_ns;
    }
    uint64_t n = 0;
    for (const LiveOpen *o = c->first; o && within != NEVER_NS; o = o->next) {
        if (now_ns - live_system_ns(c->plant, o->began_ns) <= within) {
            break; // the others came later
        }
        n++;
    }
    return n;
}

static void take_hist(Hist *into, Hist *from)
{
    Hist empty = *into;
    hist_reset(&empty);
    *into = *from;
    *from = empty;
}

static void take_counts(LivePlant *p, PlantWindow *window)
{
    (void)pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < p->client_count; i++) {
        LiveClient *c = &p->clients[i];
        window->clients[i] = c->counts;
        window->clients[i].overdue = overdue(c, window->until_ns);
        c->counts = (PlantClient){0};
        take_hist(&p->window->client_latency[i], &c->latency);
        window->clients[i].latency = &p->window->client_latency[i];
    }
    for (uint32_t i = 0; i < p->agent_count; i++) {
        LiveAgent *a = &p->agents[i];
        PlantAgent *out = &window->agents[i];
        out->served = a->served;
        out->busy_s = a->busy_s;
        out->wasted_s = a->wasted_s;
        a->served = 0;
        a->busy_s = a->wasted_s = 0;
        take_hist(&p->window->agent_service[i], &a->service);
        out->service = &p->window->agent_service[i];
        take_hist(&p->window->agent_cut[i], &a->cut);
        out->cut = &p->window->agent_cut[i];
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static void take_metrics(LivePlant *p, PlantWindow *window)
{
    struct LiveWindow *w = p->window;
    const System *sys = p->base.sys;
    memset(w->now_agents, 0, p->agent_count * sizeof *w->now_agents);
    memset(w->now_edges, 0, p->edge_count * sizeof *w->now_edges);
    runner_metrics(p->runner, see, p);
    for (uint32_t i = 0; i < p->edge_count; i++) {
        edge_window(&w->now_edges[i], &w->edges[i], &window->edges[i]);
        window->agents[sys->edges[i].to].arrivals += window->edges[i].attempts;
    }
    for (uint32_t i = 0; i < p->agent_count; i++) {
        const Seen *now = &w->now_agents[i], *was = &w->agents[i];
        PlantAgent *out = &window->agents[i];
        // Those that wait for a worker and for a place under the agent's own policies, in the
        // middle between both ends of the window.
        out->waiting = (double)(now->queued + was->queued) / 2 +
                       (double)(now->stats.waiting + was->stats.waiting) / 2;
        uint64_t places = now->places > 0 ? now->places : sys->agents[i].servers;
        uint64_t before = was->places > 0 ? was->places : places;
        out->servers = (double)(places + before) / 2;
    }
    memcpy(w->agents, w->now_agents, p->agent_count * sizeof *w->agents);
    memcpy(w->edges, w->now_edges, p->edge_count * sizeof *w->edges);
}

static int live_observe(Plant *plant, Arena *arena, PlantWindow *ret_window, Err *e)
{
    (void)e;
    LivePlant *p = live(plant);
    PlantWindow window =
        plant_window_create(arena, plant->sys, p->window->from_ns, live_now(plant));
    take_metrics(p, &window);
    take_counts(p, &window);
    plant_window_finish(arena, plant->sys, &window, 0.9);
    p->window->from_ns = window.until_ns;
    *ret_window = window;
    return 0;
}

static int live_topology(Plant *plant, Arena *arena, PlantTopology *ret_topology, Err *e)
{
    (void)e;
    LivePlant *p = live(plant);
    const System *sys = plant->sys;
    PlantTopology t = {.from_ns = p->window->topology_from_ns, .until_ns = live_now(plant)};
    t.links = ARENA_ARRAY(arena, PlantLink, p->edge_count);
    t.agents = ARENA_ARRAY(arena, Slice, p->agent_count);
    memset(p->window->now_edges, 0, p->edge_count * sizeof *p->window->now_edges);
    runner_metrics(p->runner, see, p);
    for (uint32_t i = 0; i < p->edge_count; i++) {
        const SystemEdge *edge = &sys->edges[i];
        uint64_t calls = p->window->now_edges[i].stats.started;
        Slice from = edge->from & SYSTEM_FROM_CLIENT
                         ? sys->clients[edge->from & ~SYSTEM_FROM_CLIENT].name
                         : sys->agents[edge->from].name;
        if (calls > p->window->links[i]) {
            t.links[t.link_count++] =
                (PlantLink){from, sys->agents[edge->to].name, calls - p->window->links[i]};
        }
        p->window->links[i] = calls;
    }
    for (uint32_t i = 0; i < p->agent_count; i++) {
        t.agents[t.agent_count++] = sys->agents[i].name;
    }
    p->window->topology_from_ns = t.until_ns;
    *ret_topology = t;
    return 0;
}

// ---- moving

static int move_servers(LivePlant *p, uint32_t agent, uint32_t was, uint32_t servers, Err *e)
{
    struct LiveWindow *w = p->window;
    uint32_t kept = 0; // what was on its way is overtaken
    for (uint32_t i = 0; i < w->pending_count; i++) {
        if (w->pending[i].agent != agent) {
            w->pending[kept++] = w->pending[i];
        }
    }
    w->pending_count = kept;
    int64_t delay = p->base.sys->agents[agent].start_delay_ns;
    if (servers <= was || delay == 0 || was == 0) {
        return runner_set_workers(p->runner, p->agents[agent].id, servers, e);
    }
    if (kept == LIVE_PENDING_MAX) {
        return err_set(e, ERR_LIMIT, "servers of %d agents are being started already", kept);
    }
    w->pending[w->pending_count++] = (PendingServers){live_now(&p->base) + delay, agent, servers};
    return 0;
}

static int move(LivePlant *p, const SystemChange *change, ParamValue was, Err *e)
{
    const SystemParam *what = &change->what;
    if (what->param == SYSTEM_PARAM_SERVERS) {
        return move_servers(p, what->index, (uint32_t)was.integer, (uint32_t)change->value.integer,
                            e);
    }
    AgentId id = what->place == PLACE_EDGE ? p->edges[what->index] : p->agents[what->index].id;
    return runner_set_policy(p->runner, id, (PolicyParamId)what->param,
                             scaled(what->param, change->value, p->scale), e);
}

static int live_set(Plant *plant, const SystemChange *changes, size_t count, ParamValue *ret_old,
                    Err *e)
{
    LivePlant *p = live(plant);
    for (size_t i = 0; i < count; i++) {
        ret_old[i] = system_get(plant->sys, changes[i].what);
    }
    int rc = system_set_all(plant->sys, changes, count, e);
    if (rc != 0) {
        return rc;
    }
    size_t done = 0;
    while (done < count && (rc = move(p, &changes[done], ret_old[done], e)) == 0) {
        done++;
    }
    if (rc == 0) {
        return 0;
    }
    for (size_t i = count; i > 0; i--) { // back, the last first: a parameter may be there twice
        SystemChange back = {changes[i - 1].what, ret_old[i - 1]};
        int undone = system_set(plant->sys, &back, NULL);
        if (undone == 0 && i <= done) {
            undone = move(p, &back, changes[i - 1].value, NULL);
        }
        (void)undone; // it was the value before
    }
    return rc;
}

// A program is written in the System's time: what it sees and sets has to be in it, too, so it runs
// where both times are one.
static int live_set_program(Plant *plant, SystemPlace place, uint32_t index, Slice text, Err *e)
{
    LivePlant *p = live(plant);
    SystemProgram compiled = {.range_count = 0};
    if (p->scale != 1) {
        return err_set(e, ERR_UNSUPPORTED,
                       "policy programs run live at a time scale of 1, this one is %g", p->scale);
    }
    int rc = text.len > 0 ? system_program(plant->sys, place, index, text, &compiled, e) : 0;
    AgentId id = place == PLACE_EDGE ? p->edges[index] : p->agents[index].id;
    return rc ? rc
              : runner_set_program(p->runner, id, text.len > 0 ? &compiled.program : NULL,
                                   compiled.ranges, compiled.range_count, e);
}

static int start_programs(LivePlant *p, Err *e)
{
    const System *sys = p->base.sys;
    int rc = 0;
    for (uint32_t i = 0; i < sys->edge_count && rc == 0; i++) {
        Slice text = sys->edges[i].program;
        rc = text.len > 0 ? live_set_program(&p->base, PLACE_EDGE, i, text, e) : 0;
    }
    for (uint32_t i = 0; i < sys->agent_count && rc == 0; i++) {
        Slice text = sys->agents[i].program;
        rc = text.len > 0 ? live_set_program(&p->base, PLACE_AGENT, i, text, e) : 0;
    }
    return rc;
}

// ---- health

PlantLiveHealth plant_live_health(Plant *plant)
{
    LivePlant *p = live(plant);
    (void)pthread_mutex_lock(&p->lock);
    PlantLiveHealth h = {.sent = p->late.count};
    if (p->late.count > 0) {
        h.late_p99_s = hist_quantile(&p->late, 0.99) / 1e9;
        h.late_max_s = (double)p->late.max / 1e9;
    }
    (void)pthread_mutex_unlock(&p->lock);
    return h;
}

static const PlantOps LIVE_OPS = {
    .kind = "live",
    .now = live_now,
    .wait = live_wait,
    .observe = live_observe,
    .set = live_set,
    .set_program = live_set_program,
    .topology = live_topology,
    .destroy = live_destroy,
};
