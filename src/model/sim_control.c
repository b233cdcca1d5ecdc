// The formula as control variate. The busiest agent as an M/M/c station is simulated along with the
// real system, under the same arrivals and, because durations are inverses of one uniform number,
// with the same requests long and short. By how much its mean time misses what Erlang's formula
// says tells how lucky the run was, and the regression takes that luck out of the real system's
// measures (Lavenberg and Welch 1981, "A Perspective on the Use of Control Variables to Increase
// the Efficiency of Monte Carlo Simulations"). The twin costs two events a request.
#include "model/erlang.h"
#include "model/sim_impl.h"

#include <math.h>

static double nominal_load(const System *sys, uint32_t agent, double *visits)
{
    double load = 0, work_s = dist_mean(&sys->agents[agent].service) / NS_PER_SECOND;
    for (uint32_t c = 0; c < sys->client_count; c++) {
        system_visits(sys, c, visits);
        load += sys->clients[c].per_second * visits[agent] * work_s;
    }
    return load;
}

static int64_t last_spike(const System *sys)
{
    int64_t last = 0;
    for (uint32_t c = 0; c < sys->client_count; c++) {
        const SystemClient *client = &sys->clients[c];
        for (uint32_t i = 0; i < client->spike_count; i++) {
            int64_t end = client->spikes[i].at_ns + client->spikes[i].for_ns;
            last = end > last ? end : last;
        }
    }
    return last;
}

// Clients that call the agent once for each of their own requests arrive at the twin; others would
// not be the same process there.
static double join_clients(const System *sys, double *visits, SimTwin *twin)
{
    double rate = 0;
    for (uint32_t c = 0; c < sys->client_count; c++) {
        system_visits(sys, c, visits);
        twin->joins[c] = sys->clients[c].per_second > 0 && sys->clients[c].scv == 1 &&
                         fabs(visits[twin->agent] - 1) < 1e-9;
        rate += twin->joins[c] ? sys->clients[c].per_second : 0;
    }
    return rate;
}

void sim_twin_plan(Arena *arena, const System *sys, int64_t from_ns, SimTwin *ret_twin)
{
    double *visits = ARENA_ARRAY(arena, double, sys->agent_count);
    double busiest = 0;
    *ret_twin = (SimTwin){.joins = ARENA_ARRAY(arena, bool, sys->client_count)};
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        double load = nominal_load(sys, i, visits);
        if (sys->agents[i].servers > 0 && load / sys->agents[i].servers > busiest) {
            busiest = load / sys->agents[i].servers;
            ret_twin->agent = i;
        }
    }
    const SystemAgent *a = &sys->agents[ret_twin->agent];
    double work_s = dist_mean(&a->service) / NS_PER_SECOND;
    if (busiest <= 0 || !isfinite(work_s)) {
        return;
    }
    double rate = join_clients(sys, visits, ret_twin), load = rate * work_s;
    double room = a->servers - load;
    if (load < 0.2 * a->servers || room < 0.02 * a->servers) {
        return; // nothing ever waits, or it takes too long to become steady
    }
    // Relaxation takes some service times over (1 - rho)^2; forty of them leave e^-10 or less
    // (Morse 1955: the slowest mode of M/M/1 decays with mu (1 - sqrt(rho))^2).
    double slack = 1 - sqrt(load / a->servers);
    double settled_s = 10 * work_s / (a->servers * slack * slack) + 10 * work_s;
    int64_t spike = last_spike(sys);
    ret_twin->usable = (double)(from_ns - spike) / NS_PER_SECOND >= settled_s;
    ret_twin->exact_s = work_s + erlang_c(a->servers, load) * work_s / room;
}

typedef struct TwinTally {
    int64_t from_ns, to_ns;
    double sum_s;
    uint64_t count;
} TwinTally;

static void answered(void *context, Virtual *v, const VirtualEnd *end)
{
    TwinTally *tally = context;
    (void)v;
    if (end->started_ns >= tally->from_ns && end->started_ns < tally->to_ns) {
        tally->sum_s += (double)(end->ended_ns - end->started_ns) / NS_PER_SECOND;
        tally->count++;
    }
}

double sim_twin_run(const SimTwin *twin, const System *sys, uint64_t seed, int64_t from_ns,
                    int64_t to_ns)
{
    TwinTally tally = {.from_ns = from_ns, .to_ns = to_ns};
    ParamValue none[POLICY_PARAM_COUNT];
    policy_defaults(none);
    Virtual *v = virtual_create(
        &(VirtualOptions){.seed = seed, .hooks = {.context = &tally, .answered = answered}});
    // Luck goes by the numbers of services and clients, so the twin has those of the system.
    for (uint32_t i = 0; i <= twin->agent; i++) {
        const SystemAgent *a = &sys->agents[i];
        VirtualService service = {.queue_max = VIRTUAL_ANY};
        if (i == twin->agent) {
            service.servers = a->servers;
            service.work = dist_exponential(dist_mean(&a->service));
        }
        (void)virtual_service(v, &service);
    }
    uint32_t edge = virtual_edge(v, NULL, none, twin->agent);
    for (uint32_t c = 0; c < sys->client_count; c++) {
        const SystemClient *client = &sys->clients[c];
        (void)virtual_client(v, &(VirtualClient){
                                    .edge = edge,
                                    .per_second = twin->joins[c] ? client->per_second : 0,
                                    .scv = 1,
                                    .spikes = (const VirtualSpike *)(const void *)client->spikes,
                                    .spike_count = client->spike_count,
                                    .until_ns = to_ns,
                                });
    }
    (void)virtual_run(v, INT64_MAX);
    virtual_destroy(v);
    return tally.count > 0 ? tally.sum_s / (double)tally.count - twin->exact_s : NAN;
}
