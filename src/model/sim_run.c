// One replication: a world is run window by window, its requests recorded as they are answered, and
// its counters read where the measured time and its sections begin and end.
#include "model/sim_impl.h"
#include "model/sim_world.h"

#include <math.h>

#include "base/rng.h"
#include "stat/rate.h"

// ---- what is recorded

// Requests of one client that were offered in one section.
typedef struct Tally {
    uint64_t ended, good, failed;
    Hist latency; // ns; failures as infinite
} Tally;

typedef struct EdgeCounts {
    uint64_t calls, attempts, retries, hedges, timeouts;
} EdgeCounts;

// All counters of a world at one moment.
typedef struct Snapshot {
    int64_t at_ns;
    uint64_t *offered; // by client
    EdgeCounts *edges;
    VirtualServiceCounts *agents;
} Snapshot;

typedef struct Replication {
    const SimPlan *plan;
    SimRun *run;
    Arena *arena;
    Virtual *v;
    Tally *tallies;       // [section * clients + client]
    Snapshot *snapshots;  // [sections + 1]
    Snapshot before, now; // of the window
    Snapshot marks[2];    // while it warms up: some windows ago, for runs that are settled early
    uint32_t open[SIM_SETTLE_WINDOWS + 1]; // under way at the ends of the last windows
} Replication;

static Snapshot snapshot_new(Arena *arena, const System *sys)
{
    return (Snapshot){
        .offered = ARENA_ARRAY(arena, uint64_t, sys->client_count + 1),
        .edges = ARENA_ARRAY(arena, EdgeCounts, sys->edge_count + 1),
        .agents = ARENA_ARRAY(arena, VirtualServiceCounts, sys->agent_count + 1),
    };
}

static void snapshot_take(const Replication *r, Snapshot *s, bool edges)
{
    const System *sys = r->plan->sys;
    s->at_ns = virtual_now(r->v);
    for (uint32_t i = 0; i < sys->client_count; i++) {
        s->offered[i] = virtual_client_counts(r->v, i).offered;
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        s->agents[i] = virtual_service_counts(r->v, i);
    }
    for (uint32_t i = 0; i < sys->edge_count && edges; i++) {
        const PolicyBlock *b = virtual_block(r->v, i);
        s->edges[i] = (EdgeCounts){b->started, b->attempts, b->retries, b->hedges, b->timeouts};
    }
}

static bool is_success(CallReason reason)
{
    return reason == CALL_OK || reason == CALL_CACHED || reason == CALL_SHARED;
}

static uint32_t section_of(const SimPlan *plan, int64_t at_ns)
{
    int64_t since = at_ns - plan->o.warmup_ns, all = plan->o.horizon_ns - plan->o.warmup_ns;
    return (uint32_t)((__int128)since * plan->sections / all);
}

// Where section `s` begins.
static int64_t section_start(const SimPlan *plan, uint32_t s)
{
    int64_t all = plan->o.horizon_ns - plan->o.warmup_ns;
    // Rounded up, so that section_of(section_start(s)) is s.
    return plan->o.warmup_ns + (int64_t)(((__int128)all * s + plan->sections - 1) / plan->sections);
}

static void answered(void *context, Virtual *v, const VirtualEnd *end)
{
    Replication *r = context;
    const SimPlan *plan = r->plan;
    uint32_t clients = plan->sys->client_count;
    if (end->started_ns >= plan->o.horizon_ns) {
        return;
    }
    (void)v;
    int64_t took = end->ended_ns - end->started_ns;
    bool success = is_success(end->reason), good = success && took <= plan->within_ns[end->client];
    SimWindow *w =
        &r->run->windows[(size_t)(end->started_ns / plan->window_ns) * clients + end->client];
    w->ok += success;
    w->good += good;
    w->failed += !success;
    w->latency_sum_s += success ? (double)took / NS_PER_SECOND : 0;
    if (end->started_ns < plan->o.warmup_ns) {
        return;
    }
    Tally *t = &r->tallies[section_of(plan, end->started_ns) * clients + end->client];
    t->ended++;
    t->good += good;
    t->failed += !success;
    if (success) {
        hist_record(&t->latency, took);
    } else {
        hist_record_infinite(&t->latency, 1);
    }
}

// ---- from counters to measures

static void fix(Estimate *x, double value)
{
    *x = (Estimate){value, value, value};
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

static double seconds(double ns)
{
    return isnan(ns) ? NAN : ns / NS_PER_SECOND;
}

static void measure_client(const Tally *t, uint64_t offered, double time_s, ClientOutcome *c)
{
    // What is not answered failed. More may be answered than was offered up to a settled end.
    uint64_t open = offered > t->ended ? offered - t->ended : 0;
    Hist all = t->latency; // shares the buckets; only the count of failures differs
    all.infinite += open;
    double requests = (double)(t->ended + open);
    fix(&c->offered, (double)offered / time_s);
    fix(&c->goodput, share((double)t->good, requests));
    fix(&c->errors, share((double)(t->failed + open), requests));
    fix(&c->mean, seconds(hist_mean(&t->latency)));
    if (requests > 0) {
        fix(&c->p50, seconds(hist_quantile_all(&all, 0.5)));
        fix(&c->p99, seconds(hist_quantile_all(&all, 0.99)));
    }
}

static void measure_edge(const EdgeCounts *a, const EdgeCounts *b, double time_s, EdgeOutcome *e)
{
    fix(&e->calls, (double)(b->calls - a->calls) / time_s);
    fix(&e->attempts, (double)(b->attempts - a->attempts) / time_s);
    fix(&e->retries, (double)(b->retries - a->retries) / time_s);
    fix(&e->hedges, (double)(b->hedges - a->hedges) / time_s);
    fix(&e->timeouts, (double)(b->timeouts - a->timeouts) / time_s);
}

static void measure_agent(const VirtualServiceCounts *a, const VirtualServiceCounts *b,
                          bool limited, double time_s, AgentOutcome *out)
{
    double time_ns = time_s * NS_PER_SECOND;
    double servers = (b->server_ns - a->server_ns) / time_ns;
    double busy = (b->busy_ns - a->busy_ns) / time_ns;
    fix(&out->arrivals, (double)(b->begun - a->begun) / time_s);
    fix(&out->waiting, (b->waiting_ns - a->waiting_ns) / time_ns);
    fix(&out->utilisation, limited ? share(busy, servers) : busy);
    if (limited) {
        fix(&out->servers, servers);
    }
    fix(&out->wasted, share(b->wasted_ns - a->wasted_ns, b->work_ns - a->work_ns));
}

static void measure(const Replication *r, const Snapshot *from, const Snapshot *to,
                    const Tally *tallies, Outcome *out)
{
    const System *sys = r->plan->sys;
    double time_s = (double)(to->at_ns - from->at_ns) / NS_PER_SECOND;
    out->fidelity = FIDELITY_SIMULATION;
    for (uint32_t i = 0; i < sys->client_count; i++) {
        measure_client(&tallies[i], to->offered[i] - from->offered[i], time_s, &out->clients[i]);
    }
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        measure_edge(&from->edges[i], &to->edges[i], time_s, &out->edges[i]);
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        measure_agent(&from->agents[i], &to->agents[i], sys->agents[i].servers > 0, time_s,
                      &out->agents[i]);
    }
}

// ---- recovery

// Not good beyond chance: so many bad ones would come by in one window of a thousand if the
// objective were just met.
static bool is_bad(const SimWindow *w, double goodput)
{
    return w->offered > 0 && (double)w->good < goodput * w->offered &&
           rate_test(w->offered - w->good, w->offered, 1 - goodput, TEST_GREATER) < 0.001;
}

static void find_recovery(const Replication *r, Outcome *out)
{
    const SimPlan *plan = r->plan;
    const System *sys = plan->sys;
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        const SystemObjective *o = &sys->objectives[i];
        uint32_t w = r->run->window_count;
        if (o->goodput <= 0 || plan->trouble_ns < 0 || plan->trouble_ns >= plan->o.horizon_ns) {
            continue;
        }
        while (w > 0 &&
               !is_bad(&r->run->windows[(w - 1) * sys->client_count + o->client], o->goodput)) {
            w--;
        }
        double late_s = (double)(w * plan->window_ns - plan->trouble_ns) / NS_PER_SECOND;
        bool never = r->run->end != SIM_ENDED || w == r->run->window_count;
        fix(&out->clients[o->client].recovery, never ? INFINITY : fmax(late_s, 0));
    }
}

// ---- early ends

// Windows whose requests had all the time they may take.
static uint32_t mature_windows(const Replication *r, uint32_t client)
{
    int64_t within = r->plan->within_ns[client];
    int64_t now = virtual_now(r->v);
    return within >= now ? 0 : (uint32_t)((now - within) / r->plan->window_ns);
}

static bool has_diverged(const Replication *r)
{
    const SimPlan *plan = r->plan;
    const System *sys = plan->sys;
    if (r->run->window_count <= SIM_SETTLE_WINDOWS) {
        return false;
    }
    for (uint32_t i = 1; i < COUNT_OF(r->open); i++) {
        if (r->open[i] <= r->open[i - 1]) {
            return false;
        }
    }
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        uint32_t client = sys->objectives[i].client, mature = mature_windows(r, client);
        uint64_t offered = 0, good = 0;
        if (sys->objectives[i].goodput <= 0 || mature < SIM_SETTLE_WINDOWS ||
            (int64_t)(mature - SIM_SETTLE_WINDOWS) * plan->window_ns < plan->trouble_ns) {
            continue;
        }
        for (uint32_t w = mature - SIM_SETTLE_WINDOWS; w < mature; w++) {
            offered += r->run->windows[w * sys->client_count + client].offered;
            good += r->run->windows[w * sys->client_count + client].good;
        }
        if (offered >= 20 && good == 0) {
            return true;
        }
    }
    return false;
}

// More bad ones already than the objective leaves if all that are still to come were good; six
// deviations of a Poisson number for how many that will be.
static bool has_missed(const Replication *r)
{
    const SimPlan *plan = r->plan;
    const System *sys = plan->sys;
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        const SystemObjective *o = &sys->objectives[i];
        double most = plan->expected[o->client];
        uint32_t mature = mature_windows(r, o->client);
        uint64_t bad = 0;
        if (o->goodput <= 0 || most <= 0) {
            continue;
        }
        most += 6 * sqrt(most);
        for (uint32_t w = 0; w < mature; w++) {
            const SimWindow *window = &r->run->windows[w * sys->client_count + o->client];
            if ((int64_t)w * plan->window_ns >= plan->o.warmup_ns) {
                bad += window->offered - window->good;
            }
        }
        // Not long before, so that there is something to judge by.
        int64_t measured = virtual_now(r->v) - plan->o.warmup_ns;
        if ((double)bad > (1 - o->goodput) * most &&
            measured >= SIM_SETTLE_WINDOWS * plan->window_ns) {
            return true;
        }
    }
    return false;
}

// ---- running

static void end_window(Replication *r)
{
    const System *sys = r->plan->sys;
    SimRun *run = r->run;
    size_t at = run->window_count++;
    snapshot_take(r, &r->now, false);
    double time_ns = fmax((double)(r->now.at_ns - r->before.at_ns), 1); // 0: it has overflowed
    for (uint32_t i = 0; i < sys->client_count; i++) {
        run->windows[at * sys->client_count + i].offered =
            (uint32_t)(r->now.offered[i] - r->before.offered[i]);
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        const VirtualServiceCounts *a = &r->before.agents[i], *b = &r->now.agents[i];
        run->agents[at * sys->agent_count + i] =
            (SimAgentWindow){(float)((b->waiting_ns - a->waiting_ns) / time_ns),
                             (float)((b->busy_ns - a->busy_ns) / time_ns),
                             (float)((b->server_ns - a->server_ns) / time_ns)};
    }
    Snapshot swap = r->before;
    r->before = r->now;
    r->now = swap;
    memmove(r->open, r->open + 1, sizeof r->open - sizeof r->open[0]);
    r->open[SIM_SETTLE_WINDOWS] = virtual_calls_open(r->v) + virtual_requests_open(r->v);
}

// True: there is no need to go on.
static bool is_settled(Replication *r)
{
    if (virtual_overflowed(r->v)) {
        r->run->end = SIM_OVERFLOWED;
    } else if (r->plan->o.settle && has_diverged(r)) {
        r->run->end = SIM_DIVERGED;
    } else if (r->plan->o.settle && has_missed(r)) {
        r->run->end = SIM_MISSED;
    }
    return r->run->end != SIM_ENDED;
}

// A client as it was in the last windows before a settled end; with all that was measured where the
// objective was missed in the measured time.
static void measure_settled_client(const Replication *r, uint32_t client, ClientOutcome *c)
{
    const SimPlan *plan = r->plan;
    const System *sys = plan->sys;
    bool missed = r->run->end == SIM_MISSED;
    uint32_t to = mature_windows(r, client);
    uint32_t from = to > SIM_SETTLE_WINDOWS ? to - SIM_SETTLE_WINDOWS : 0;
    uint64_t offered = 0, ok = 0, good = 0, failed = 0;
    double sum_s = 0;
    if (missed) {
        from = (uint32_t)((plan->o.warmup_ns + plan->window_ns - 1) / plan->window_ns);
    }
    to = to > from ? to : from;
    for (uint32_t w = from; w < to && w < r->run->window_count; w++) {
        const SimWindow *window = &r->run->windows[w * sys->client_count + client];
        offered += window->offered;
        ok += window->ok;
        good += window->good;
        failed += window->failed;
        sum_s += window->latency_sum_s;
    }
    if (offered == 0) {
        return;
    }
    double requests = (double)offered, bad = (double)(offered - ok);
    fix(&c->offered, requests / seconds((double)((to - from) * plan->window_ns)));
    fix(&c->goodput, (double)good / requests);
    fix(&c->errors, bad / requests);
    fix(&c->mean, share(sum_s, (double)ok));
    if (!missed) { // what is known of the latency is that it grows
        fix(&c->p50, bad > requests / 2 ? INFINITY : NAN);
        fix(&c->p99, bad > requests / 100 ? INFINITY : NAN);
        return;
    }
    Hist all;
    hist_init(&all);
    for (uint32_t s = 0; s < plan->sections; s++) {
        hist_merge(&all, &r->tallies[s * sys->client_count + client].latency);
    }
    hist_record_infinite(&all, offered - ok - failed);
    if (hist_count_all(&all) > 0) {
        fix(&c->p50, seconds(hist_quantile_all(&all, 0.5)));
        fix(&c->p99, seconds(hist_quantile_all(&all, 0.99)));
    }
    hist_done(&all);
}

static void measure_settled(Replication *r, Outcome *out)
{
    const System *sys = r->plan->sys;
    Snapshot end = snapshot_new(r->arena, sys);
    bool warm = virtual_now(r->v) > r->plan->o.warmup_ns;
    Tally *none = ARENA_ARRAY(r->arena, Tally, sys->client_count + 1);
    snapshot_take(r, &end, true);
    measure(r, warm ? &r->snapshots[0] : &r->marks[0], &end, none, out);
    for (uint32_t c = 0; c < sys->client_count; c++) {
        out->clients[c] =
            (ClientOutcome){{NAN, NAN, NAN}, {NAN, NAN, NAN}, {NAN, NAN, NAN}, {NAN, NAN, NAN},
                            {NAN, NAN, NAN}, {NAN, NAN, NAN}, {NAN, NAN, NAN}};
        measure_settled_client(r, c, &out->clients[c]);
    }
}

static bool all_answered(const Replication *r)
{
    const System *sys = r->plan->sys;
    uint32_t sections = r->plan->sections;
    for (uint32_t c = 0; c < sys->client_count; c++) {
        uint64_t offered = r->snapshots[sections].offered[c] - r->snapshots[0].offered[c];
        for (uint32_t s = 0; s < sections; s++) {
            offered -= r->tallies[s * sys->client_count + c].ended;
        }
        if (offered > 0) {
            return false;
        }
    }
    return true;
}

// To the horizon, stopping at the ends of windows and sections. False: settled before.
static bool run_measured(Replication *r)
{
    const SimPlan *plan = r->plan;
    uint32_t section = 0; // the next of which the start is to be seen
    while (r->run->window_count < plan->windows) {
        int64_t window_end = (int64_t)(r->run->window_count + 1) * plan->window_ns;
        int64_t next = section_start(plan, section);
        if (section <= plan->sections && next <= window_end) {
            r->run->events += virtual_run(r->v, next);
            snapshot_take(r, &r->snapshots[section++], true);
            if (virtual_overflowed(r->v)) {
                return !is_settled(r);
            }
            continue;
        }
        r->run->events += virtual_run(r->v, window_end);
        end_window(r);
        if (is_settled(r)) {
            return false;
        }
        if (section == 0 && r->run->window_count % SIM_SETTLE_WINDOWS == 0) {
            Snapshot oldest = r->marks[0];
            r->marks[0] = r->marks[1];
            r->marks[1] = oldest;
            snapshot_take(r, &r->marks[1], true);
        }
    }
    return true;
}

// Behind the horizon: until what was measured is answered, but not for longer than the grace.
static void run_grace(Replication *r)
{
    const SimPlan *plan = r->plan;
    int64_t step = plan->window_ns < plan->grace_ns ? plan->window_ns : plan->grace_ns;
    int64_t end = plan->o.horizon_ns + plan->grace_ns;
    while (!all_answered(r) && !virtual_overflowed(r->v) && virtual_now(r->v) < end) {
        r->run->events += virtual_run(r->v, virtual_now(r->v) + step);
    }
}

static void measure_all(Replication *r, SimSlot *slot)
{
    const SimPlan *plan = r->plan;
    uint32_t clients = plan->sys->client_count;
    for (uint32_t s = 0; s < plan->sections && plan->sections > 1; s++) {
        measure(r, &r->snapshots[s], &r->snapshots[s + 1], &r->tallies[s * clients],
                slot->sections[s]);
    }
    for (uint32_t s = 1; s < plan->sections; s++) {
        for (uint32_t c = 0; c < clients; c++) {
            Tally *sum = &r->tallies[c], *t = &r->tallies[s * clients + c];
            sum->ended += t->ended;
            sum->good += t->good;
            sum->failed += t->failed;
            hist_merge(&sum->latency, &t->latency);
        }
    }
    measure(r, &r->snapshots[0], &r->snapshots[plan->sections], r->tallies, slot->outcome);
}

static void replication_init(Replication *r, const SimPlan *plan, SimSlot *slot)
{
    const System *sys = plan->sys;
    size_t tallies = (size_t)plan->sections * sys->client_count;
    *r = (Replication){.plan = plan, .run = &slot->run, .arena = arena_create(1 << 30)};
    r->tallies = ARENA_ARRAY(r->arena, Tally, tallies + 1);
    for (size_t i = 0; i < tallies; i++) {
        hist_init(&r->tallies[i].latency);
    }
    r->snapshots = ARENA_ARRAY(r->arena, Snapshot, plan->sections + 1);
    for (uint32_t i = 0; i <= plan->sections; i++) {
        r->snapshots[i] = snapshot_new(r->arena, sys);
    }
    r->before = snapshot_new(r->arena, sys);
    r->now = snapshot_new(r->arena, sys);
    r->marks[0] = snapshot_new(r->arena, sys);
    r->marks[1] = snapshot_new(r->arena, sys);
    const VirtualHooks hooks = {.context = r, .answered = answered};
    r->v = sim_world(
        sys,
        &(SimWorldOptions){.seed = slot->run.luck, .open_max = plan->o.open_max, .hooks = hooks});
}

static void replication_done(Replication *r)
{
    size_t tallies = (size_t)r->plan->sections * r->plan->sys->client_count;
    for (size_t i = 0; i < tallies; i++) {
        hist_done(&r->tallies[i].latency);
    }
    virtual_destroy(r->v);
    arena_destroy(r->arena);
}

void sim_replicate(const SimPlan *plan, SimSlot *slot)
{
    Replication r;
    replication_init(&r, plan, slot);
    if (run_measured(&r)) {
        slot->run.diverged = has_diverged(&r);
        run_grace(&r);
        measure_all(&r, slot);
        slot->run.ended_ns = plan->o.horizon_ns;
    } else {
        slot->run.diverged = slot->run.end != SIM_MISSED;
        measure_settled(&r, slot->outcome);
        slot->run.ended_ns = virtual_now(r.v);
    }
    find_recovery(&r, slot->outcome);
    slot->run.control = plan->twin.usable && slot->run.end == SIM_ENDED
                            ? sim_twin_run(&plan->twin, plan->sys, slot->run.luck,
                                           plan->o.warmup_ns, plan->o.horizon_ns)
                            : NAN;
    replication_done(&r);
}

// ---- the plan

static int64_t longest_within(const System *sys)
{
    int64_t longest = 0;
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        longest = sys->objectives[i].within_ns > longest ? sys->objectives[i].within_ns : longest;
    }
    return longest;
}

static int64_t shortest_window(const System *sys)
{
    int64_t shortest = 10 * NS_PER_SECOND;
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        int64_t window = sys->objectives[i].window_ns;
        shortest = window > 0 && window < shortest ? window : shortest;
    }
    return shortest;
}

// Windows divide the horizon, so that the last one is whole.
static void plan_windows(SimPlan *plan)
{
    int64_t wanted = shortest_window(plan->sys), horizon = plan->o.horizon_ns;
    int64_t count = (horizon + wanted - 1) / wanted;
    count = count < SIM_WINDOWS_MAX ? count : SIM_WINDOWS_MAX;
    plan->window_ns = (horizon + count - 1) / count;
    plan->windows = (uint32_t)((horizon + plan->window_ns - 1) / plan->window_ns);
}

static int64_t end_of(int64_t at_ns, int64_t for_ns)
{
    int64_t end;
    return __builtin_add_overflow(at_ns, for_ns, &end) ? INT64_MAX : end;
}

// Spikes and faults that begin before the horizon; INT64_MAX: one that never ends.
static int64_t last_trouble(const System *sys, int64_t horizon_ns)
{
    int64_t last = -1;
    for (uint32_t c = 0; c < sys->client_count; c++) {
        for (uint32_t i = 0; i < sys->clients[c].spike_count; i++) {
            const SystemSpike *s = &sys->clients[c].spikes[i];
            int64_t end = end_of(s->at_ns, s->for_ns);
            last = s->at_ns < horizon_ns && end > last ? end : last;
        }
    }
    for (uint32_t i = 0; i < sys->fault_count; i++) {
        const SystemFault *f = &sys->faults[i];
        int64_t end = f->for_ns > 0 ? end_of(f->at_ns, f->for_ns) : INT64_MAX;
        last = f->at_ns < horizon_ns && end > last ? end : last;
    }
    return last;
}

static int64_t overlap(int64_t a, int64_t b, int64_t from, int64_t to)
{
    int64_t low = a > from ? a : from, high = b < to ? b : to;
    return high > low ? high - low : 0;
}

static double expected_requests(const SystemClient *c, int64_t from_ns, int64_t to_ns)
{
    double sum = seconds((double)(to_ns - from_ns));
    for (uint32_t i = 0; i < c->spike_count; i++) {
        const SystemSpike *s = &c->spikes[i];
        sum += (s->factor - 1) *
               seconds((double)overlap(s->at_ns, end_of(s->at_ns, s->for_ns), from_ns, to_ns));
    }
    return c->per_second * sum;
}

static int check_options(const System *sys, const SimOptions *o, Err *e)
{
    if (sys->client_count == 0) {
        return err_set(e, ERR_ARG, "the system has no client, so nothing would happen");
    }
    if (o->horizon_ns <= o->warmup_ns || o->horizon_ns > 366 * NS_PER_DAY) {
        return err_set(e, ERR_ARG, "the horizon must be after the warm-up and within a year");
    }
    if (o->replications > SIM_REPLICATIONS_MAX) {
        return err_set(e, ERR_ARG, "%u replications, the limit is %d", o->replications,
                       SIM_REPLICATIONS_MAX);
    }
    if (!(o->confidence > 0 && o->confidence < 1)) {
        return err_set(e, ERR_ARG, "the confidence must be between 0 and 1");
    }
    return 0;
}

static void fill_options(SimOptions *o)
{
    o->horizon_ns = o->horizon_ns ? o->horizon_ns : SIM_HORIZON_DEFAULT_NS;
    o->replications = o->replications ? o->replications : SIM_REPLICATIONS_DEFAULT;
    o->confidence = o->confidence != 0 ? o->confidence : 0.9;
    if (o->warmup_ns == 0) {
        int64_t third = o->horizon_ns / 3;
        o->warmup_ns = third < SIM_WARMUP_DEFAULT_NS ? third : SIM_WARMUP_DEFAULT_NS;
    }
    o->warmup_ns = o->warmup_ns == SIM_WARMUP_NONE ? 0 : o->warmup_ns;
}

int sim_plan(Arena *arena, const System *sys, const SimOptions *options, SimPlan *ret_plan, Err *e)
{
    SimPlan plan = {.sys = sys, .o = *options};
    fill_options(&plan.o);
    int rc = check_options(sys, &plan.o, e);
    if (rc != 0) {
        return rc;
    }
    int64_t within = longest_within(sys);
    plan_windows(&plan);
    plan.grace_ns = plan.o.horizon_ns / 4 > 2 * within ? plan.o.horizon_ns / 4 : 2 * within;
    plan.sections = plan.o.replications == 1 ? SIM_SECTIONS : 1;
    plan.trouble_ns = last_trouble(sys, plan.o.horizon_ns);
    plan.within_ns = ARENA_ARRAY(arena, int64_t, sys->client_count);
    plan.expected = ARENA_ARRAY(arena, double, sys->client_count);
    for (uint32_t i = 0; i < sys->client_count; i++) {
        plan.within_ns[i] = INT64_MAX;
        plan.expected[i] = expected_requests(&sys->clients[i], plan.o.warmup_ns, plan.o.horizon_ns);
    }
    for (uint32_t i = 0; i < sys->objective_count; i++) {
        const SystemObjective *o = &sys->objectives[i];
        if (o->within_ns > 0) {
            plan.within_ns[o->client] = o->within_ns;
        }
    }
    if (!plan.o.no_controls && plan.o.replications >= SIM_CONTROL_RUNS) {
        sim_twin_plan(arena, sys, plan.o.warmup_ns, &plan.twin);
    }
    *ret_plan = plan;
    return 0;
}

// Philox of (seed, replication): nearby seeds do not share replications.
static uint64_t luck_of(uint64_t seed, uint32_t replication)
{
    Rng r = rng_stream(seed, SLICE("replication"), replication);
    return rng_u64(&r);
}

void sim_slot_init(Arena *arena, const SimPlan *plan, uint32_t replication, SimSlot *slot)
{
    const System *sys = plan->sys;
    *slot = (SimSlot){.outcome = outcome_create(arena, sys)};
    slot->run = (SimRun){
        .replication = replication,
        .outcome = slot->outcome,
        .windows = ARENA_ARRAY(arena, SimWindow, (size_t)plan->windows * sys->client_count),
        .agents = ARENA_ARRAY(arena, SimAgentWindow, (size_t)plan->windows * sys->agent_count),
        .control = NAN,
        .luck = luck_of(plan->o.seed, replication),
    };
    slot->sections = ARENA_ARRAY(arena, Outcome *, plan->sections);
    for (uint32_t i = 0; i < plan->sections; i++) {
        slot->sections[i] = plan->sections > 1 ? outcome_create(arena, sys) : slot->outcome;
    }
}
