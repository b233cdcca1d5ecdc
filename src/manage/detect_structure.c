#include "manage/detect.h"

#include <math.h>

#include "stat/rate.h"

// Calls along `edge` for one request at its caller when nothing fails, retries and hedges not
// counted: what the System says.
static double expected_visits(const System *sys, const SystemEdge *edge)
{
    if (edge->from & SYSTEM_FROM_CLIENT) {
        return 1;
    }
    const SystemAgent *caller = &sys->agents[edge->from];
    double visits = 0;
    for (uint32_t g = 0; g < caller->group_count; g++) {
        for (uint32_t t = 0; t < caller->groups[g].count; t++) {
            const SystemTarget *target = &caller->groups[g].targets[t];
            visits += &sys->edges[target->edge] == edge ? target->chance * target->repeat : 0;
        }
    }
    return visits;
}

static double calls_seen(const PlantTopology *topology, Slice from, Slice to)
{
    double calls = 0;
    for (size_t i = 0; i < topology->link_count; i++) {
        const PlantLink *link = &topology->links[i];
        calls += slice_eq(link->from, from) && slice_eq(link->to, to) ? (double)link->calls : 0;
    }
    return calls;
}

static Slice name_from(const System *sys, const SystemEdge *edge)
{
    return edge->from & SYSTEM_FROM_CLIENT ? sys->clients[edge->from & ~SYSTEM_FROM_CLIENT].name
                                           : sys->agents[edge->from].name;
}

// Poisson's interval for a count, by the square root (Anscombe 1948), over the requests.
static Interval visits_interval(double calls, double requests, double confidence)
{
    double z = confidence >= 0.9989 ? 3.29 : 2.576;
    double root = sqrt(calls + 0.375), low = fmax(0, root - z / 2), high = root + z / 2;
    return (Interval){fmax(0, low * low - 0.375) / requests, (high * high - 0.375) / requests,
                      confidence};
}

static bool edge_known(const System *sys, const PlantLink *link)
{
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        if (slice_eq(name_from(sys, &sys->edges[i]), link->from) &&
            slice_eq(sys->agents[sys->edges[i].to].name, link->to)) {
            return true;
        }
    }
    return false;
}

// A call to a bounded callee may be refused or answered from a cache, and a request that fails
// early never makes its later calls: fewer calls than expected say something only where the
// shortfall is beyond the tolerance as well as beyond chance.
static bool edge_changed(const System *sys, const SystemEdge *edge, double calls, double requests,
                         const DetectOptions *options, StructureChange *ret_change)
{
    double expected = expected_visits(sys, edge);
    if (requests * fmax(expected, calls / requests) < (double)options->requests_min) {
        return false;
    }
    Interval seen = visits_interval(calls, requests, options->confidence);
    double slack = options->visits_tolerance * expected;
    *ret_change = (StructureChange){
        .kind = calls == 0 ? STRUCTURE_EDGE_GONE : STRUCTURE_VISITS,
        .from = name_from(sys, edge),
        .to = sys->agents[edge->to].name,
        .expected = expected,
        .observed = seen,
    };
    return seen.low > expected + slack || seen.high < expected - slack;
}

size_t detect_structure(const System *sys, const PlantTopology *topology, const PlantWindow *window,
                        const DetectOptions *options, Arena *arena, StructureChange **ret_changes)
{
    StructureChange *changes =
        ARENA_ARRAY(arena, StructureChange, sys->edge_count + topology->link_count + 1);
    size_t count = 0;
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        const SystemEdge *edge = &sys->edges[i];
        if (edge->from & SYSTEM_FROM_CLIENT) {
            continue; // a client calls what it is a client of
        }
        double requests = (double)window->agents[edge->from].arrivals;
        double calls = calls_seen(topology, name_from(sys, edge), sys->agents[edge->to].name);
        if (requests > 0 && edge_changed(sys, edge, calls, requests, options, &changes[count])) {
            count++;
        }
    }
    for (size_t i = 0; i < topology->link_count; i++) {
        const PlantLink *link = &topology->links[i];
        if (edge_known(sys, link) || link->calls < options->requests_min) {
            continue;
        }
        ptrdiff_t from = system_find_agent(sys, link->from);
        double requests = from >= 0 ? (double)window->agents[from].arrivals : 0;
        changes[count++] = (StructureChange){
            .kind = STRUCTURE_EDGE_NEW,
            .from = link->from,
            .to = link->to,
            .observed = requests > 0
                            ? visits_interval((double)link->calls, requests, options->confidence)
                            : (Interval){0, INFINITY, options->confidence},
        };
    }
    *ret_changes = changes;
    return count;
}
