#include "model/system_impl.h"

#include <math.h>

// ---- finding and copying

ptrdiff_t system_find_agent(const System *sys, Slice name)
{
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        if (slice_eq(sys->agents[i].name, name)) {
            return i;
        }
    }
    return -1;
}

ptrdiff_t system_find_edge(const System *sys, Slice name)
{
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        if (slice_eq(sys->edges[i].name, name)) {
            return i;
        }
    }
    return -1;
}

ptrdiff_t system_find_client(const System *sys, Slice name)
{
    for (uint32_t i = 0; i < sys->client_count; i++) {
        if (slice_eq(sys->clients[i].name, name)) {
            return i;
        }
    }
    return -1;
}

static void *copy_array(Arena *arena, const void *items, uint32_t count, size_t item_bytes)
{
    void *copy = arena_alloc_array(arena, (size_t)count + 1, item_bytes);
    if (count > 0) {
        memcpy(copy, items, count * item_bytes);
    }
    return copy;
}

System *system_copy(Arena *arena, const System *sys)
{
    System *copy = ARENA_NEW(arena, System);
    *copy = *sys;
    copy->arena = arena;
    copy->agents = copy_array(arena, sys->agents, sys->agent_count, sizeof sys->agents[0]);
    copy->edges = copy_array(arena, sys->edges, sys->edge_count, sizeof sys->edges[0]);
    copy->clients = copy_array(arena, sys->clients, sys->client_count, sizeof sys->clients[0]);
    copy->objectives =
        copy_array(arena, sys->objectives, sys->objective_count, sizeof sys->objectives[0]);
    copy->faults = copy_array(arena, sys->faults, sys->fault_count, sizeof sys->faults[0]);
    return copy;
}

// ---- visits: requests that go on from level to level

// With repeats of a thousand on every level numbers would leave the range of a double.
static double held(double requests)
{
    return fmin(requests, 1e100);
}

// What `now` requests at each agent call one level below; their sum.
static double next_level(const System *sys, const double *now, double *ret_next)
{
    double sum = 0;
    memset(ret_next, 0, sys->agent_count * sizeof ret_next[0]);
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        const SystemAgent *a = &sys->agents[i];
        for (uint32_t g = 0; g < a->group_count && now[i] > 0; g++) {
            for (uint32_t t = 0; t < a->groups[g].count; t++) {
                const SystemTarget *target = &a->groups[g].targets[t];
                double calls = held(now[i] * target->chance * target->repeat);
                double *at = &ret_next[sys->edges[target->edge].to];
                *at = held(*at + calls);
                sum = held(sum + calls);
            }
        }
    }
    return sum;
}

// Takes `level` down to where nothing is left, or SYSTEM_LEVELS_MAX; adds what it meets to `total`,
// which may be NULL. Returns how many requests are left.
static double descend(const System *sys, double *level, double *total)
{
    double *next = mem_zalloc((sys->agent_count + 1) * sizeof *next);
    double left = 1;
    for (int depth = 0; depth < SYSTEM_LEVELS_MAX && left > SYSTEM_TAIL_MAX * 1e-9; depth++) {
        for (uint32_t i = 0; i < sys->agent_count && total; i++) {
            total[i] += level[i];
        }
        left = next_level(sys, level, next);
        memcpy(level, next, sys->agent_count * sizeof *next);
    }
    free(next);
    return left;
}

void system_visits(const System *sys, uint32_t client, double *ret)
{
    double *level = mem_zalloc((sys->agent_count + 1) * sizeof *level);
    memset(ret, 0, sys->agent_count * sizeof ret[0]);
    level[sys->edges[sys->clients[client].edge].to] = 1;
    (void)descend(sys, level, ret);
    free(level);
}

// ---- circles

// The caller that brings most requests to `to`; every agent that still has requests after so many
// levels has one.
static uint32_t main_caller(const System *sys, const double *level, uint32_t to)
{
    uint32_t best = to;
    double most = 0;
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        const SystemAgent *a = &sys->agents[i];
        for (uint32_t g = 0; g < a->group_count; g++) {
            for (uint32_t t = 0; t < a->groups[g].count; t++) {
                const SystemTarget *target = &a->groups[g].targets[t];
                double calls = level[i] * target->chance * target->repeat;
                if (sys->edges[target->edge].to == to && calls > most) {
                    most = calls;
                    best = i;
                }
            }
        }
    }
    return best;
}

// Walks from the busiest agent of the last level up its main callers until one comes again, and
// writes that circle in the order of calls.
static void name_circle(const System *sys, const double *level, Buf *out)
{
    uint32_t *path = mem_zalloc((sys->agent_count + 1) * sizeof *path);
    uint32_t at = 0, count = 0, again = 0;
    for (uint32_t i = 1; i < sys->agent_count; i++) {
        at = level[i] > level[at] ? i : at;
    }
    for (bool met = false; !met;) {
        path[count++] = at;
        at = main_caller(sys, level, at);
        for (again = 0; again < count && path[again] != at; again++) {
        }
        met = again < count;
    }
    buf_append(out, sys->agents[at].name);
    for (uint32_t i = count; i-- > again;) {
        buf_puts(out, " -> ");
        buf_append(out, sys->agents[path[i]].name);
    }
    free(path);
}

// One request at every agent at once meets every circle. A chain without one ends within as many
// levels as there are agents.
_Static_assert((int)SYSTEM_LEVELS_MAX >= (int)SYSTEM_AGENTS_MAX, "a chain may pass every agent");

static int check_circles(const System *sys, Err *e)
{
    double *level = mem_alloc((sys->agent_count + 1) * sizeof *level);
    int rc = 0;
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        level[i] = 1;
    }
    if (descend(sys, level, NULL) > SYSTEM_TAIL_MAX) {
        Buf names = buf_create(SYSTEM_AGENTS_MAX * (SYSTEM_NAME_MAX + 5));
        name_circle(sys, level, &names);
        rc = err_set(e, ERR_ARG, "calls go in a circle without end: %.400s", names.data);
        buf_done(&names);
    }
    free(level);
    return rc;
}

// One request at agent `i` makes visits[i] requests, itself included; the same a level higher.
// False: nothing changed.
static bool raise_visits(const System *sys, double *visits)
{
    bool changed = false;
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        const SystemAgent *a = &sys->agents[i];
        double sum = 1;
        for (uint32_t g = 0; g < a->group_count; g++) {
            for (uint32_t t = 0; t < a->groups[g].count; t++) {
                const SystemTarget *target = &a->groups[g].targets[t];
                sum += target->chance * target->repeat * visits[sys->edges[target->edge].to];
            }
        }
        sum = held(sum);
        changed = changed || sum > visits[i] * (1 + 1e-12);
        visits[i] = sum;
    }
    return changed;
}

int system_check(const System *sys, Err *e)
{
    int rc = check_circles(sys, e);
    if (rc != 0) {
        return rc;
    }
    double *visits = mem_zalloc((sys->agent_count + 1) * sizeof *visits);
    for (int depth = 0; depth < SYSTEM_LEVELS_MAX && raise_visits(sys, visits); depth++) {
    }
    for (uint32_t i = 0; i < sys->agent_count && rc == 0; i++) {
        if (visits[i] > SYSTEM_VISITS_MAX) {
            rc = err_set(e, ERR_LIMIT,
                         "one request to \"%.*s\" makes %.3g requests on average, the limit is %d",
                         SLICE_FMT(sys->agents[i].name), visits[i], SYSTEM_VISITS_MAX);
        }
    }
    free(visits);
    return rc;
}
