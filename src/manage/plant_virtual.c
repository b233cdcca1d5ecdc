#include "manage/plant_virtual.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/units.h"
#include "model/sim_world.h"
#include "model/system_program.h"

enum {
    PLANT_BYTES_MAX = 256 << 20,
    AGE_BUCKETS = 8,         // of a client's patience
    AGE_TICKS_MAX = 1 << 22, // of one run
};

// Requests of a client by when they began, so that those are known that wait too long.
typedef struct Ages {
    int64_t width_ns; // 0: nobody's patience is known
    int64_t patience_ns;
    uint64_t *offered; // in all, at the beginning of bucket k
    uint32_t *ended;   // of those that began in bucket k
    size_t count, capacity;
    size_t first; // buckets before have nobody left
} Ages;

typedef struct ClientState {
    int64_t within_ns;
    Hist hist[2]; // of this window and of the one that was observed last
    uint64_t good, late, failed, offered_before;
    Ages ages;
} ClientState;

typedef struct EdgeState {
    uint64_t started, attempts, retries, hedges, timeouts, ok, failed;
    uint64_t topology; // calls at the last question about it
} EdgeState;

// Of this window and of the one that was observed last.
typedef struct WorkState {
    Hist whole[2], cut[2];
} WorkState;

typedef struct PlantVirtual {
    Plant plant;
    Virtual *v;
    Arena *arena;
    double confidence;
    ClientState *clients;
    EdgeState *edges;
    WorkState *work; // by agent
    VirtualServiceCounts *agents;
    int64_t observed_ns, topology_ns;
    unsigned side; // of the histograms that are written now
} PlantVirtual;

static PlantVirtual *self(Plant *plant)
{
    return (PlantVirtual *)plant;
}

// ---- what happens

static void ages_grow(Ages *a, size_t count)
{
    if (count > a->capacity) {
        size_t capacity = a->capacity == 0 ? 256 : 2 * a->capacity;
        capacity = capacity > count ? capacity : count;
        a->offered = mem_realloc(a->offered, capacity * sizeof *a->offered);
        a->ended = mem_realloc(a->ended, capacity * sizeof *a->ended);
        a->capacity = capacity;
    }
}

static void on_answered(void *context, Virtual *v, const VirtualEnd *end)
{
    PlantVirtual *p = context;
    (void)v;
    if (end->client == VIRTUAL_NONE) {
        return;
    }
    ClientState *c = &p->clients[end->client];
    int64_t took = end->ended_ns - end->started_ns;
    if (end->reason > CALL_SHARED) {
        c->failed++;
        hist_record_infinite(&c->hist[p->side], 1);
    } else {
        c->good += c->within_ns == 0 || took <= c->within_ns;
        c->late += c->within_ns > 0 && took > c->within_ns;
        hist_record(&c->hist[p->side], took);
    }
    Ages *a = &c->ages;
    size_t bucket = a->width_ns > 0 ? (size_t)(end->started_ns / a->width_ns) : 0;
    if (bucket < a->count) {
        a->ended[bucket]++;
    }
}

static void on_worked(void *context, Virtual *v, uint32_t service, int64_t work_ns, bool whole)
{
    PlantVirtual *p = context;
    (void)v;
    WorkState *w = &p->work[service];
    hist_record(whole ? &w->whole[p->side] : &w->cut[p->side], work_ns);
}

// The beginning of a client's next bucket.
static void on_tick(void *context, Virtual *v, uint64_t id)
{
    PlantVirtual *p = context;
    Ages *a = &p->clients[id].ages;
    ages_grow(a, a->count + 1);
    a->offered[a->count] = virtual_client_counts(v, (uint32_t)id).offered;
    a->ended[a->count++] = 0;
    if (a->count < AGE_TICKS_MAX) {
        virtual_tick(v, (int64_t)a->count * a->width_ns, id);
    }
}

static uint64_t overdue(Ages *a, int64_t now_ns)
{
    uint64_t left = 0;
    for (size_t k = a->first; k + 1 < a->count; k++) {
        if ((int64_t)(k + 1) * a->width_ns + a->patience_ns > now_ns) {
            break;
        }
        uint64_t here = a->offered[k + 1] - a->offered[k] - a->ended[k];
        if (here == 0 && k == a->first) {
            a->first++;
        }
        left += here;
    }
    return left;
}

// ---- the plant

static int64_t now(const Plant *plant)
{
    return virtual_now(((const PlantVirtual *)plant)->v);
}

static int wait_until(Plant *plant, int64_t at_ns, Err *e)
{
    PlantVirtual *p = self(plant);
    if (at_ns > virtual_now(p->v)) {
        virtual_run(p->v, at_ns);
    }
    if (virtual_overflowed(p->v)) {
        return err_set(e, ERR_LIMIT, "so many requests are under way that it does not come back");
    }
    return 0;
}

static void observe_clients(PlantVirtual *p, PlantWindow *w)
{
    for (uint32_t i = 0; i < p->plant.sys->client_count; i++) {
        ClientState *c = &p->clients[i];
        uint64_t offered = virtual_client_counts(p->v, i).offered;
        w->clients[i] = (PlantClient){.offered = offered - c->offered_before,
                                      .good = c->good,
                                      .late = c->late,
                                      .failed = c->failed,
                                      .overdue = overdue(&c->ages, w->until_ns),
                                      .latency = &c->hist[p->side]};
        c->offered_before = offered;
        c->good = c->late = c->failed = 0;
        hist_reset(&c->hist[1 - p->side]);
    }
}

static void observe_edges(PlantVirtual *p, PlantWindow *w)
{
    for (uint32_t i = 0; i < p->plant.sys->edge_count; i++) {
        const PolicyBlock *b = virtual_block(p->v, i);
        EdgeState *s = &p->edges[i];
        EdgeState n = {.started = b->started,
                       .attempts = b->attempts,
                       .retries = b->retries,
                       .hedges = b->hedges,
                       .timeouts = b->timeouts,
                       .topology = s->topology};
        for (int r = 0; r < CALL_REASON_COUNT; r++) {
            *(r <= CALL_SHARED ? &n.ok : &n.failed) += b->ended[r];
        }
        w->edges[i] = (PlantEdge){.calls = n.started - s->started,
                                  .attempts = n.attempts - s->attempts,
                                  .retries = n.retries - s->retries,
                                  .hedges = n.hedges - s->hedges,
                                  .timeouts = n.timeouts - s->timeouts,
                                  .ok = n.ok - s->ok,
                                  .failed = n.failed - s->failed};
        *s = n;
    }
}

static void observe_agents(PlantVirtual *p, PlantWindow *w)
{
    double span = (double)(w->until_ns - w->from_ns);
    for (uint32_t i = 0; i < p->plant.sys->agent_count; i++) {
        VirtualServiceCounts n = virtual_service_counts(p->v, i), *s = &p->agents[i];
        w->agents[i] = (PlantAgent){
            .arrivals = n.begun - s->begun,
            .served = n.served - s->served,
            .left = n.left_served - s->left_served,
            .busy_s = (n.busy_ns - s->busy_ns) / 1e9,
            .wasted_s = (n.wasted_ns - s->wasted_ns) / 1e9,
            .waiting = span > 0 ? (n.waiting_ns - s->waiting_ns) / span : 0,
            .servers = span > 0 ? (n.server_ns - s->server_ns) / span : 0,
            .service = &p->work[i].whole[p->side],
            .cut = &p->work[i].cut[p->side],
        };
        *s = n;
        hist_reset(&p->work[i].whole[1 - p->side]);
        hist_reset(&p->work[i].cut[1 - p->side]);
    }
}

static int observe(Plant *plant, Arena *arena, PlantWindow *ret_window, Err *e)
{
    PlantVirtual *p = self(plant);
    (void)e;
    PlantWindow w = plant_window_create(arena, plant->sys, p->observed_ns, virtual_now(p->v));
    observe_clients(p, &w);
    observe_edges(p, &w);
    observe_agents(p, &w);
    p->side = 1 - p->side;
    plant_window_finish(arena, plant->sys, &w, p->confidence);
    p->observed_ns = w.until_ns;
    *ret_window = w;
    return 0;
}

static int set_one(PlantVirtual *p, const SystemChange *c, Err *e)
{
    if (c->what.place == PLACE_EDGE) {
        return virtual_set(p->v, c->what.index, (PolicyParamId)c->what.param, c->value, e);
    }
    if (c->what.param == SYSTEM_PARAM_SERVERS) {
        uint32_t servers = p->plant.sys->agents[c->what.index].servers;
        if (servers == 0 || c->value.integer <= 0) {
            return err_set(e, ERR_ARG, "servers of %.*s: not from or to any number",
                           SLICE_FMT(p->plant.sys->agents[c->what.index].name));
        }
        virtual_set_servers(p->v, c->what.index, (uint32_t)c->value.integer);
        return 0;
    }
    if (virtual_service_block(p->v, c->what.index) == NULL) {
        return err_set(e, ERR_UNSUPPORTED, "%.*s has no policies of its own that could change",
                       SLICE_FMT(p->plant.sys->agents[c->what.index].name));
    }
    return virtual_service_set(p->v, c->what.index, (PolicyParamId)c->what.param, c->value, e);
}

static int set(Plant *plant, const SystemChange *changes, size_t count, ParamValue *ret_old, Err *e)
{
    PlantVirtual *p = self(plant);
    // The System says first whether it would be one: contradictions are refused before anything
    // moves.
    System *next = system_copy(p->arena, plant->sys);
    int rc = system_set_all(next, changes, count, e);
    size_t done = 0;
    for (; rc == 0 && done < count; done++) {
        ret_old[done] = system_get(plant->sys, changes[done].what);
        rc = set_one(p, &changes[done], e);
    }
    if (rc == 0) {
        return system_set_all(plant->sys, changes, count, e);
    }
    while (done > 1) {
        done--;
        SystemChange back = {changes[done - 1].what, ret_old[done - 1]};
        int undone = set_one(p, &back, NULL);
        assert(undone == 0); // it was there a moment ago
        (void)undone;
    }
    return rc;
}

static int set_program(Plant *plant, SystemPlace place, uint32_t index, Slice text, Err *e)
{
    PlantVirtual *p = self(plant);
    SystemProgram compiled;
    bool none = text.len == 0;
    int rc = none ? 0 : system_program(plant->sys, place, index, text, &compiled, e);
    if (rc != 0) {
        return rc;
    }
    const PolicyProgram *program = none ? NULL : &compiled.program;
    size_t count = none ? 0 : compiled.range_count;
    return place == PLACE_EDGE
               ? virtual_set_program(p->v, index, program, compiled.ranges, count, e)
               : virtual_service_set_program(p->v, index, program, compiled.ranges, count, e);
}

static int topology(Plant *plant, Arena *arena, PlantTopology *ret_topology, Err *e)
{
    PlantVirtual *p = self(plant);
    const System *sys = plant->sys;
    (void)e;
    PlantTopology t = {.from_ns = p->topology_ns, .until_ns = virtual_now(p->v)};
    t.links = ARENA_ARRAY(arena, PlantLink, sys->edge_count + 1);
    t.agents = ARENA_ARRAY(arena, Slice, sys->agent_count + 1);
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        const SystemEdge *edge = &sys->edges[i];
        uint64_t started = virtual_block(p->v, i)->started;
        uint64_t calls = started - p->edges[i].topology;
        bool client = edge->from & SYSTEM_FROM_CLIENT;
        p->edges[i].topology = started;
        if (calls > 0) {
            t.links[t.link_count++] =
                (PlantLink){.from = client ? sys->clients[edge->from & ~SYSTEM_FROM_CLIENT].name
                                           : sys->agents[edge->from].name,
                            .to = sys->agents[edge->to].name,
                            .calls = calls};
        }
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        t.agents[t.agent_count++] = sys->agents[i].name;
    }
    p->topology_ns = t.until_ns;
    *ret_topology = t;
    return 0;
}

static void destroy(Plant *plant)
{
    PlantVirtual *p = self(plant);
    for (uint32_t i = 0; i < plant->sys->client_count; i++) {
        hist_done(&p->clients[i].hist[0]);
        hist_done(&p->clients[i].hist[1]);
        free(p->clients[i].ages.offered);
        free(p->clients[i].ages.ended);
    }
    for (uint32_t i = 0; i < plant->sys->agent_count; i++) {
        for (int k = 0; k < 2; k++) {
            hist_done(&p->work[i].whole[k]);
            hist_done(&p->work[i].cut[k]);
        }
    }
    virtual_destroy(p->v);
    arena_destroy(p->arena);
    free(p);
}

void plant_virtual_work(Plant *plant, uint32_t agent, const Dist *work)
{
    virtual_set_work(self(plant)->v, agent, work);
}

static const PlantOps OPS = {.kind = "simulated",
                             .now = now,
                             .wait = wait_until,
                             .observe = observe,
                             .set = set,
                             .set_program = set_program,
                             .topology = topology,
                             .destroy = destroy};

static void clients_init(PlantVirtual *p)
{
    const System *sys = p->plant.sys;
    for (uint32_t i = 0; i < sys->client_count; i++) {
        ClientState *c = &p->clients[i];
        hist_init(&c->hist[0]);
        hist_init(&c->hist[1]);
        for (uint32_t k = 0; k < sys->objective_count; k++) {
            c->within_ns =
                sys->objectives[k].client == i ? sys->objectives[k].within_ns : c->within_ns;
        }
        c->ages.patience_ns = c->within_ns > 0 ? c->within_ns : sys->clients[i].deadline_ns;
        c->ages.width_ns = c->ages.patience_ns / AGE_BUCKETS;
        if (c->ages.width_ns > 0) {
            virtual_tick(p->v, 0, i);
        }
    }
}

int plant_virtual_create(const System *sys, const PlantVirtualOptions *options, Plant **ret_plant,
                         Err *e)
{
    int rc = system_check(sys, e);
    if (rc != 0) {
        return rc;
    }
    PlantVirtual *p = mem_zalloc(sizeof *p);
    p->plant.ops = &OPS;
    p->arena = arena_create(PLANT_BYTES_MAX);
    p->plant.sys = system_copy(p->arena, sys);
    p->confidence = options->confidence > 0 ? options->confidence : 0.9;
    p->clients = ARENA_ARRAY(p->arena, ClientState, sys->client_count + 1);
    p->edges = ARENA_ARRAY(p->arena, EdgeState, sys->edge_count + 1);
    p->agents = ARENA_ARRAY(p->arena, VirtualServiceCounts, sys->agent_count + 1);
    p->work = ARENA_ARRAY(p->arena, WorkState, sys->agent_count + 1);
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        for (int k = 0; k < 2; k++) {
            hist_init(&p->work[i].whole[k]);
            hist_init(&p->work[i].cut[k]);
        }
    }
    p->v =
        sim_world(p->plant.sys, &(SimWorldOptions){
                                    .seed = options->seed,
                                    .until_ns = options->horizon_ns,
                                    .room = PLANT_ROOM,
                                    .movable = true,
                                    .hooks = {p, on_answered, .tick = on_tick, .worked = on_worked},
                                });
    clients_init(p);
    *ret_plant = &p->plant;
    return 0;
}
