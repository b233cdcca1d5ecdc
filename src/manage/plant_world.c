#include "manage/plant_world.h"

#include "model/system_program.h"

enum { QUEUE_ROOM = 1 << 14, WINDOW_ROOM = 256 };

// Room for what planners may turn on while it runs.
static PolicyShape roomy(const ParamValue *values)
{
    PolicyShape now = policy_shape(values);
    PolicyShape more = {.queue = QUEUE_ROOM,
                        .window = WINDOW_ROOM,
                        .quantile = true,
                        .autoscale = true,
                        .program = true};
    return policy_shape_max(&now, &more);
}

static VirtualGroup group_of(Arena *arena, const SystemGroup *g)
{
    VirtualTarget *targets = ARENA_ARRAY(arena, VirtualTarget, g->count + 1);
    for (uint32_t i = 0; i < g->count; i++) {
        targets[i] =
            (VirtualTarget){g->targets[i].edge, g->targets[i].chance, g->targets[i].repeat};
    }
    uint32_t need = g->join == JOIN_ALL ? 0 : g->join == JOIN_ANY ? 1 : g->first;
    return (VirtualGroup){targets, g->count, need};
}

static void add_agent(Arena *arena, Virtual *v, const SystemAgent *agent)
{
    VirtualGroup *groups = ARENA_ARRAY(arena, VirtualGroup, agent->group_count + 1);
    for (uint32_t g = 0; g < agent->group_count; g++) {
        groups[g] = group_of(arena, &agent->groups[g]);
    }
    uint32_t service = virtual_service(v, &(VirtualService){
                                              .servers = agent->servers,
                                              .queue_max = agent->queue,
                                              .discipline = agent->discipline,
                                              .work = agent->service,
                                              .holds_server = agent->holds_server,
                                              .start_delay_ns = agent->start_delay_ns,
                                              .groups = groups,
                                              .group_count = agent->group_count,
                                              .faults = {.fail = agent->fail},
                                          });
    bool movable = agent->has_policy || agent->program.len > 0;
    for (uint32_t i = 0; i < agent->range_count; i++) {
        movable = movable || agent->ranges[i].param != SYSTEM_PARAM_SERVERS;
    }
    if (movable) {
        PolicyShape shape = roomy(agent->policy);
        virtual_service_policy(v, service, &shape, agent->policy);
    }
}

static void add_client(Arena *arena, Virtual *v, const SystemClient *c, int64_t horizon_ns)
{
    VirtualSpike *spikes = ARENA_ARRAY(arena, VirtualSpike, c->spike_count + 1);
    for (uint32_t i = 0; i < c->spike_count; i++) {
        spikes[i] = (VirtualSpike){c->spikes[i].at_ns, c->spikes[i].for_ns, c->spikes[i].factor};
    }
    virtual_client(v, &(VirtualClient){.edge = c->edge,
                                       .per_second = c->per_second,
                                       .scv = c->scv,
                                       .spikes = spikes,
                                       .spike_count = c->spike_count,
                                       .users = c->users,
                                       .think = c->think,
                                       .until_ns = horizon_ns,
                                       .priority = c->priority,
                                       .deadline_ns = c->deadline_ns});
}

static bool lasts_at(const SystemFault *f, int64_t at_ns)
{
    return f->at_ns <= at_ns && (f->for_ns == 0 || at_ns < f->at_ns + f->for_ns);
}

// All faults of one agent that last at one moment, together.
static VirtualFaults faults_at(const System *sys, uint32_t agent, int64_t at_ns)
{
    VirtualFaults all = {.fail = sys->agents[agent].fail};
    double factor = 1;
    for (uint32_t i = 0; i < sys->fault_count; i++) {
        const SystemFault *f = &sys->faults[i];
        if (f->agent != agent || !lasts_at(f, at_ns)) {
            continue;
        }
        all.fail = 1 - (1 - all.fail) * (1 - f->fail);
        all.lost += f->lose;
        all.stopped = all.stopped || f->stop;
        factor *= f->slow > 0 ? f->slow : 1;
    }
    all.slow = factor != 1 ? 1 : 0;
    all.slow_factor = factor;
    return all;
}

static void add_faults(Virtual *v, const System *sys)
{
    for (uint32_t i = 0; i < sys->fault_count; i++) {
        const SystemFault *f = &sys->faults[i];
        int64_t ends[] = {f->at_ns, f->at_ns + f->for_ns};
        for (int k = 0; k < (f->for_ns == 0 ? 1 : 2); k++) {
            VirtualFaults all = faults_at(sys, f->agent, ends[k]);
            virtual_set_faults_at(v, ends[k], f->agent, &all);
        }
    }
}

Virtual *plant_world_create(Arena *arena, const System *sys, const PlantWorldOptions *options)
{
    Virtual *v = virtual_create(&(VirtualOptions){.seed = options->seed, .hooks = options->hooks});
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        add_agent(arena, v, &sys->agents[i]);
    }
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        PolicyShape shape = roomy(sys->edges[i].policy);
        virtual_edge(v, &shape, sys->edges[i].policy, sys->edges[i].to);
    }
    for (uint32_t i = 0; i < sys->client_count; i++) {
        add_client(arena, v, &sys->clients[i], options->horizon_ns);
    }
    add_faults(v, sys);
    system_programs_start(sys, v);
    return v;
}
