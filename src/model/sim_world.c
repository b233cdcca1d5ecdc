#include "model/sim_world.h"

#include <stddef.h>
#include <stdlib.h>

#include "model/system_program.h"

static VirtualService service_of(const SystemAgent *a, const VirtualGroup *groups)
{
    return (VirtualService){
        .servers = a->servers,
        .queue_max = a->queue,
        .discipline = a->discipline,
        .work = a->service,
        .holds_server = a->holds_server,
        .start_delay_ns = a->start_delay_ns,
        .groups = groups,
        .group_count = a->group_count,
        .faults = {.fail = a->fail},
    };
}

static void add_agent(Virtual *v, const SystemAgent *a)
{
    VirtualTarget targets[SYSTEM_GROUPS_MAX * 8];
    VirtualGroup groups[SYSTEM_GROUPS_MAX];
    size_t wanted = 0, used = 0;
    for (uint32_t g = 0; g < a->group_count; g++) {
        wanted += a->groups[g].count;
    }
    VirtualTarget *room = wanted <= COUNT_OF(targets) ? targets : mem_alloc(wanted * sizeof *room);
    for (uint32_t g = 0; g < a->group_count; g++) {
        const SystemGroup *group = &a->groups[g];
        groups[g] = (VirtualGroup){.targets = room + used,
                                   .count = group->count,
                                   .need = group->join == JOIN_ALL ? 0 : group->first};
        for (uint32_t t = 0; t < group->count; t++) {
            room[used++] = (VirtualTarget){group->targets[t].edge, group->targets[t].chance,
                                           group->targets[t].repeat};
        }
    }
    VirtualService service = service_of(a, groups);
    (void)virtual_service(v, &service);
    if (room != targets) {
        free(room);
    }
}

_Static_assert(sizeof(VirtualSpike) == sizeof(SystemSpike) &&
                   offsetof(VirtualSpike, factor) == offsetof(SystemSpike, factor) &&
                   offsetof(VirtualSpike, for_ns) == offsetof(SystemSpike, for_ns),
               "spikes are lent as they are");

static void add_client(Virtual *v, const SystemClient *c, int64_t until_ns)
{
    (void)virtual_client(v, &(VirtualClient){
                                .edge = c->edge,
                                .per_second = c->per_second,
                                .scv = c->scv,
                                .spikes = (const VirtualSpike *)(const void *)c->spikes,
                                .spike_count = c->spike_count,
                                .users = c->users,
                                .think = c->think,
                                .until_ns = until_ns,
                                .patience = c->patience,
                                .priority = c->priority,
                                .deadline_ns = c->deadline_ns,
                            });
}

// ---- faults: those of one agent may overlap, so it gets the sum of them at every change

static bool is_on(const SystemFault *f, int64_t at_ns)
{
    return at_ns >= f->at_ns && (f->for_ns == 0 || at_ns - f->at_ns < f->for_ns);
}

static void faults_at(Virtual *v, const System *sys, uint32_t agent, int64_t at_ns)
{
    const SystemAgent *a = &sys->agents[agent];
    VirtualFaults sum = {.slow_factor = 1};
    double good = 1 - a->fail;
    uint64_t lost = 0;
    for (uint32_t i = 0; i < sys->fault_count; i++) {
        const SystemFault *f = &sys->faults[i];
        if (f->agent == agent && is_on(f, at_ns)) {
            sum.slow_factor *= f->slow > 0 ? f->slow : 1;
            sum.stopped = sum.stopped || f->stop;
            good *= 1 - f->fail;
            lost += f->lose;
        }
    }
    sum.slow = sum.slow_factor != 1 ? 1 : 0;
    sum.fail = 1 - good;
    sum.lost = lost < a->servers ? (uint32_t)lost : a->servers;
    virtual_set_faults_at(v, at_ns, agent, &sum);
}

static void add_faults(Virtual *v, const System *sys)
{
    for (uint32_t i = 0; i < sys->fault_count; i++) {
        const SystemFault *f = &sys->faults[i];
        faults_at(v, sys, f->agent, f->at_ns);
        if (f->for_ns > 0) {
            faults_at(v, sys, f->agent, f->at_ns + f->for_ns);
        }
    }
}

static PolicyShape shape_of(const ParamValue *policy, Slice program, const PolicyShape *room)
{
    PolicyShape shape = policy_shape(policy);
    shape.program = program.len > 0;
    return policy_shape_max(&shape, room);
}

static bool needs_block(const SystemAgent *a, bool movable)
{
    bool needed = a->has_policy || a->program.len > 0;
    for (uint32_t i = 0; movable && i < a->range_count; i++) {
        needed = needed || a->ranges[i].param != SYSTEM_PARAM_SERVERS;
    }
    return needed;
}

Virtual *sim_world(const System *sys, const SimWorldOptions *options)
{
    const SimWorldOptions *o = options;
    Virtual *v = virtual_create(
        &(VirtualOptions){.seed = o->seed, .open_max = o->open_max, .hooks = o->hooks});
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        add_agent(v, &sys->agents[i]);
    }
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        PolicyShape shape = shape_of(sys->edges[i].policy, sys->edges[i].program, &o->room);
        (void)virtual_edge(v, &shape, sys->edges[i].policy, sys->edges[i].to);
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        const SystemAgent *a = &sys->agents[i];
        if (needs_block(a, o->movable)) {
            PolicyShape shape = shape_of(a->policy, a->program, &o->room);
            virtual_service_policy(v, i, &shape, a->policy);
        }
    }
    system_programs_start(sys, v);
    for (uint32_t i = 0; i < sys->client_count; i++) {
        add_client(v, &sys->clients[i], o->until_ns);
    }
    add_faults(v, sys);
    return v;
}
