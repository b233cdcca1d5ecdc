#include "policy/virtual_impl.h"

#include <assert.h>
#include <math.h>

// ---- the world

void *virtual_grown(void *items, uint32_t count, uint32_t *room, size_t item_bytes)
{
    if (count < *room) {
        return items;
    }
    uint32_t more = *room ? *room * 2 : 16;
    char *grown = mem_realloc(items, more * item_bytes);
    memset(grown + *room * item_bytes, 0, (more - *room) * item_bytes);
    *room = more;
    return grown;
}

Virtual *virtual_create(const VirtualOptions *options)
{
    Virtual *v = mem_zalloc(sizeof *v);
    v->seed = options->seed;
    v->hooks = options->hooks;
    v->trace_on = options->trace;
    v->open_max = options->open_max ? options->open_max : 1 << 20;
    if (v->open_max > VIRTUAL_OPEN_MAX) {
        v->open_max = VIRTUAL_OPEN_MAX;
    }
    v->task_free = v->op_free = v->request_free = v->later_free = NONE;
    v->note_room = 64;
    v->notes = mem_alloc(v->note_room * sizeof *v->notes);
    event_heap_init(&v->heap);
    return v;
}

void virtual_destroy(Virtual *v)
{
    if (!v) {
        return;
    }
    for (uint32_t i = 0; i < v->edge_count; i++) {
        free(v->edges[i].block);
    }
    for (uint32_t i = 0; i < v->service_count; i++) {
        free(v->services[i].block);
        free(v->services[i].sharers);
    }
    void *const arrays[] = {v->notes,    v->tasks,  v->task_counts, v->ops,     v->states,
                            v->requests, v->edges,  v->groups,      v->targets, v->clients,
                            v->users,    v->laters, v->services};
    for (size_t i = 0; i < COUNT_OF(arrays); i++) {
        free(arrays[i]);
    }
    event_heap_done(&v->heap);
    free(v);
}

static void *copied(const void *items, size_t bytes)
{
    if (!items) {
        return NULL;
    }
    void *copy = mem_alloc(bytes ? bytes : 1);
    memcpy(copy, items, bytes);
    return copy;
}

Virtual *virtual_clone(const Virtual *v, const VirtualHooks *hooks)
{
    Virtual *c = copied(v, sizeof *v);
    c->hooks = hooks ? *hooks : (VirtualHooks){0};
    event_heap_copy(&c->heap, &v->heap);
    c->notes = copied(v->notes, v->note_room * sizeof *v->notes);
    c->tasks = copied(v->tasks, v->task_room * sizeof *v->tasks);
    c->task_counts =
        copied(v->task_counts, (size_t)v->task_room * v->service_count * sizeof *v->task_counts);
    c->ops = copied(v->ops, v->op_room * sizeof *v->ops);
    c->states = copied(v->states, v->op_room * sizeof *v->states);
    c->requests = copied(v->requests, v->request_room * sizeof *v->requests);
    c->services = copied(v->services, v->service_room * sizeof *v->services);
    c->edges = copied(v->edges, v->edge_room * sizeof *v->edges);
    c->groups = copied(v->groups, v->group_room * sizeof *v->groups);
    c->targets = copied(v->targets, v->target_room * sizeof *v->targets);
    c->clients = copied(v->clients, v->client_room * sizeof *v->clients);
    c->users = copied(v->users, v->user_room * sizeof *v->users);
    c->laters = copied(v->laters, v->later_room * sizeof *v->laters);
    for (uint32_t i = 0; i < v->edge_count; i++) {
        c->edges[i].block = copied(v->edges[i].block, v->edges[i].block->bytes);
    }
    for (uint32_t i = 0; i < v->service_count; i++) {
        const Service *s = &v->services[i];
        c->services[i].block = copied(s->block, s->block ? s->block->bytes : 0);
        c->services[i].sharers = copied(s->sharers, s->sharer_room * sizeof *s->sharers);
    }
    return c;
}

// ---- building

static void add_group(Virtual *v, const VirtualGroup *group)
{
    assert(group->count <= VIRTUAL_TARGETS_MAX);
    v->groups = virtual_grown(v->groups, v->group_count, &v->group_room, sizeof *v->groups);
    v->groups[v->group_count++] = (Group){v->target_count, group->count, group->need};
    for (uint32_t i = 0; i < group->count; i++) {
        v->targets =
            virtual_grown(v->targets, v->target_count, &v->target_room, sizeof *v->targets);
        v->targets[v->target_count] = group->targets[i];
        if (v->targets[v->target_count].repeat > VIRTUAL_REPEAT_MAX) {
            v->targets[v->target_count].repeat = VIRTUAL_REPEAT_MAX;
        }
        v->target_count++;
    }
}

uint32_t virtual_service(Virtual *v, const VirtualService *service)
{
    assert(v->tasks_open == 0 && v->service_count < VIRTUAL_SERVICES_MAX);
    assert(service->group_count <= VIRTUAL_GROUPS_MAX);
    v->services =
        virtual_grown(v->services, v->service_count, &v->service_room, sizeof *v->services);
    Service *s = &v->services[v->service_count];
    *s = (Service){.is = *service,
                   .asked = service->servers,
                   .gathering = NONE,
                   .first_group = v->group_count,
                   .plain = true,
                   .changed_ns = v->now,
                   .asked_ns = v->now,
                   .attained_ns = v->now};
    s->is.groups = NULL;
    for (uint32_t i = 0; i < POLICY_PRIORITIES; i++) {
        s->first[i] = s->last[i] = NONE;
    }
    for (uint32_t i = 0; i < service->group_count; i++) {
        add_group(v, &service->groups[i]);
    }
    // The counts by task and service are laid out anew.
    v->service_count++;
    v->task_counts = mem_realloc(
        v->task_counts, (size_t)v->task_room * v->service_count * sizeof *v->task_counts + 1);
    event_heap_room(&v->heap, NODE_SHARING, v->service_room);
    event_heap_room(&v->heap, NODE_BATCH, v->service_room);
    event_heap_room(&v->heap, NODE_SCALE, v->service_room);
    virtual_set_faults(v, v->service_count - 1, &service->faults);
    return v->service_count - 1;
}

static PolicyBlock *new_block(const Virtual *v, const PolicyShape *shape, const ParamValue *values)
{
    PolicyShape needed = policy_shape(values);
    const PolicyShape *made = shape ? shape : &needed;
    PolicyBlock *block = mem_alloc(policy_bytes(made));
    policy_init(block, made, values, v->seed, v->now);
    return block;
}

uint32_t virtual_edge(Virtual *v, const PolicyShape *shape,
                      const ParamValue values[POLICY_PARAM_COUNT], uint32_t service)
{
    assert(v->edge_count < VIRTUAL_EDGES_MAX);
    PolicyBlock *block = new_block(v, shape, values);
    v->edges = virtual_grown(v->edges, v->edge_count, &v->edge_room, sizeof *v->edges);
    v->edges[v->edge_count] = (Edge){block, service, policy_is_plain(block)};
    return v->edge_count++;
}

void virtual_service_policy(Virtual *v, uint32_t service, const PolicyShape *shape,
                            const ParamValue values[POLICY_PARAM_COUNT])
{
    Service *s = &v->services[service];
    assert(v->tasks_open == 0);
    free(s->block);
    s->block = new_block(v, shape, values);
    s->plain = policy_is_plain(s->block);
    s->batches = values[P_BATCH_MAX_ITEMS].integer > 1;
}

// ---- looking

PolicyBlock *virtual_block(Virtual *v, uint32_t edge)
{
    return v->edges[edge].block;
}
PolicyBlock *virtual_service_block(Virtual *v, uint32_t service)
{
    return v->services[service].block;
}
int64_t virtual_now(const Virtual *v)
{
    return v->now;
}
bool virtual_overflowed(const Virtual *v)
{
    return v->overflowed;
}
uint64_t virtual_events(const Virtual *v)
{
    return v->events;
}
uint64_t virtual_steps(const Virtual *v)
{
    return v->steps;
}
uint64_t virtual_trace(const Virtual *v)
{
    return v->trace;
}
uint32_t virtual_calls_open(const Virtual *v)
{
    return v->ops_open;
}
uint32_t virtual_requests_open(const Virtual *v)
{
    return v->requests_open;
}
uint32_t virtual_busy(const Virtual *v, uint32_t service)
{
    return v->services[service].busy;
}
VirtualClientCounts virtual_client_counts(const Virtual *v, uint32_t client)
{
    return v->clients[client].counts;
}

VirtualServiceCounts virtual_service_counts(const Virtual *v, uint32_t service)
{
    Service s = v->services[service]; // a copy: looking changes nothing
    service_account(v, &s);
    s.counts.waiting = s.waiting;
    s.counts.busy = s.busy;
    s.counts.servers = s.usable;
    s.counts.server_ns += (double)(v->now - s.asked_ns) * s.asked;
    return s.counts;
}

// ---- changes

int virtual_set(Virtual *v, uint32_t edge, PolicyParamId id, ParamValue value, Err *e)
{
    PolicyBlock *block = v->edges[edge].block;
    int rc = policy_set(block, id, value, v->now, e);
    if (rc == 0) {
        v->edges[edge].plain = policy_is_plain(block);
        virtual_drain(v, block);
    }
    return rc;
}

int virtual_service_set(Virtual *v, uint32_t service, PolicyParamId id, ParamValue value, Err *e)
{
    Service *s = &v->services[service];
    if (!s->block) {
        return err_set(e, ERR_REFUSED, "service %u has no policies of its own", service);
    }
    int rc = policy_set(s->block, id, value, v->now, e);
    if (rc != 0) {
        return rc;
    }
    s->batches = s->block->p[P_BATCH_MAX_ITEMS].integer > 1;
    s->plain = policy_is_plain(s->block);
    virtual_drain(v, s->block);
    if (s->gathering != NONE && (!s->batches || batch_is_full(&s->block->batch, s->block->p) ||
                                 batch_due(&s->block->batch, s->block->p) <= v->now)) {
        service_batch_due(v, service);
    }
    servers_scale_watch(v, service);
    return 0;
}

static uint32_t later_new(Virtual *v, const Later *later, int64_t at_ns)
{
    int32_t at = v->later_free;
    if (at == NONE) {
        v->laters = virtual_grown(v->laters, v->later_count, &v->later_room, sizeof *v->laters);
        event_heap_room(&v->heap, NODE_LATER, v->later_room);
        at = (int32_t)v->later_count++;
    } else {
        v->later_free = v->laters[at].next_free;
    }
    v->laters[at] = *later;
    virtual_wake_at(v, NODE_LATER, (uint32_t)at, at_ns > v->now ? at_ns : v->now);
    return (uint32_t)at;
}

void virtual_tick(Virtual *v, int64_t at_ns, uint64_t id)
{
    (void)later_new(v, &(Later){.kind = LATER_TICK, .id = id}, at_ns);
}

void virtual_set_faults_at(Virtual *v, int64_t at_ns, uint32_t service, const VirtualFaults *faults)
{
    (void)later_new(v, &(Later){.kind = LATER_FAULTS, .service = service, .faults = *faults},
                    at_ns);
}

void virtual_servers_later(Virtual *v, int64_t at_ns, uint32_t service, uint32_t count)
{
    (void)later_new(v, &(Later){.kind = LATER_SERVERS, .service = service, .count = count}, at_ns);
}

// ---- programs

static int set_program(Virtual *v, uint32_t place, PolicyBlock *block, const PolicyProgram *program,
                       const ProgramRange *ranges, size_t range_count, Err *e)
{
    int rc = policy_set_program(block, program, ranges, range_count, v->now, e);
    if (rc == 0 && program) {
        Later later = {.kind = LATER_PROGRAM, .service = place};
        (void)later_new(v, &later, policy_program_due(block));
    }
    return rc;
}

int virtual_set_program(Virtual *v, uint32_t edge, const PolicyProgram *program,
                        const ProgramRange *ranges, size_t range_count, Err *e)
{
    Edge *is = &v->edges[edge];
    int rc = set_program(v, edge, is->block, program, ranges, range_count, e);
    is->plain = policy_is_plain(is->block);
    return rc;
}

int virtual_service_set_program(Virtual *v, uint32_t service, const PolicyProgram *program,
                                const ProgramRange *ranges, size_t range_count, Err *e)
{
    Service *s = &v->services[service];
    if (!s->block) {
        return err_set(e, ERR_REFUSED, "service %u has no policies of its own", service);
    }
    int rc = set_program(v, GATE | service, s->block, program, ranges, range_count, e);
    s->plain = policy_is_plain(s->block);
    return rc;
}

static void program_due(Virtual *v, uint32_t place)
{
    bool is_service = place & GATE;
    uint32_t index = place & ~GATE;
    PolicyBlock *block = is_service ? v->services[index].block : v->edges[index].block;
    if (policy_program_due(block) != v->now) {
        return; // it was replaced, and the new one has its own time
    }
    policy_program_tick(block, v->now);
    *(is_service ? &v->services[index].plain : &v->edges[index].plain) = policy_is_plain(block);
    virtual_drain(v, block);
    (void)later_new(v, &(Later){.kind = LATER_PROGRAM, .service = place},
                    policy_program_due(block));
}

void virtual_set_work(Virtual *v, uint32_t service, const Dist *work)
{
    v->services[service].is.work = *work;
}

void virtual_set_faults(Virtual *v, uint32_t service, const VirtualFaults *faults)
{
    Service *s = &v->services[service];
    s->is.faults = *faults;
    s->faulty = faults->hang > 0 || faults->fail > 0 || faults->fatal > 0 || faults->throttle > 0 ||
                faults->slow > 0;
    servers_settle(v, service);
}

// ---- running

void virtual_note(Virtual *v, Note note)
{
    if (v->note_count == v->note_room) {
        // Unrolled into a new ring.
        Note *more = mem_alloc(2 * v->note_room * sizeof *more);
        for (uint32_t i = 0; i < v->note_count; i++) {
            more[i] = v->notes[(v->note_first + i) & (v->note_room - 1)];
        }
        free(v->notes);
        v->notes = more;
        v->note_first = 0;
        v->note_room *= 2;
    }
    v->notes[(v->note_first + v->note_count++) & (v->note_room - 1)] = note;
}

static void later_happens(Virtual *v, uint32_t at)
{
    Later later = v->laters[at];
    v->laters[at].next_free = v->later_free;
    v->later_free = (int32_t)at;
    switch (later.kind) {
    case LATER_TICK:
        if (v->hooks.tick) {
            v->hooks.tick(v->hooks.context, v, later.id);
        }
        break;
    case LATER_FAULTS: virtual_set_faults(v, later.service, &later.faults); break;
    case LATER_SERVERS: servers_started(v, later.service, later.count); break;
    case LATER_PROGRAM: program_due(v, later.service); break;
    }
}

static void happen(Virtual *v, EventNode node)
{
    uint32_t at = event_index(node);
    v->events++;
    switch ((NodeKind)event_kind(node)) {
    case NODE_TIMER: op_timer(v, (int32_t)at); break;
    case NODE_CANCEL:
        v->ops[at].armed &= (uint8_t)~ARMED_CANCEL;
        op_cancel(v, (int32_t)at);
        break;
    case NODE_WORK: service_work_done(v, (int32_t)at); break;
    case NODE_SHARING: sharing_done(v, at); break;
    case NODE_BATCH: service_batch_due(v, at); break;
    case NODE_SCALE: servers_scale(v, at); break;
    case NODE_ARRIVAL: client_arrival(v, at); break;
    case NODE_USER: client_user(v, at); break;
    case NODE_LATER: later_happens(v, at); break;
    }
}

static void notes_happen(Virtual *v)
{
    while (v->note_count > 0) {
        Note note = v->notes[v->note_first];
        v->note_first = (v->note_first + 1) & (v->note_room - 1);
        v->note_count--;
        request_note(v, &note);
    }
}

uint64_t virtual_run(Virtual *v, int64_t until_ns)
{
    uint64_t before = v->events;
    notes_happen(v);
    for (int64_t at; (at = event_heap_next(&v->heap)) <= until_ns && at != INT64_MAX;) {
        v->now = at;
        happen(v, event_heap_pop(&v->heap));
        notes_happen(v);
        if (v->overflowed) {
            return v->events - before;
        }
    }
    if (until_ns != INT64_MAX && until_ns > v->now) {
        v->now = until_ns;
    }
    return v->events - before;
}
