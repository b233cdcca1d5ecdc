// Virtual: a world in virtual time whose calls go through call_step. Services with servers, queues,
// durations and faults; edges with policies that lead to them; clients that call. It is the second
// driver of the call, so what it predicts is about the code that runs live.
//
//     Virtual *v = virtual_create(&(VirtualOptions){.seed = 7});
//     uint32_t d = virtual_service(v, &(VirtualService){
//         .servers = 18, .queue_max = VIRTUAL_ANY, .work = dist_lognormal(900e6, 0.25)});
//     uint32_t to_d = virtual_edge(v, NULL, values, d);
//     VirtualTarget calls[] = {{.edge = to_d, .chance = 1, .repeat = 1}};
//     VirtualGroup group = {calls, 1, 0};
//     uint32_t b = virtual_service(v, &(VirtualService){
//         .queue_max = VIRTUAL_ANY, .groups = &group, .group_count = 1});
//     uint32_t to_b = virtual_edge(v, NULL, values, b);
//     virtual_client(v, &(VirtualClient){.edge = to_b, .per_second = 16, .scv = 1});
//     virtual_run(v, 900 * NS_PER_SECOND);
//     virtual_client_counts(v, 0), virtual_service_counts(v, d), virtual_block(v, to_d)->retries;
//     virtual_destroy(v);
//
// A request at a service is: its own work under one of the servers, then the groups of calls, one
// group after the other, the calls of a group in parallel. A service may own a policy block, as an
// agent may: then an attempt of the edge's call is a call on the callee's block, and its attempts
// are the requests. A cancelled attempt takes all that it started with it, as far as the edges
// propagate (cancel.propagate); what is not told goes on as an orphan.
//
// Luck is a function of (seed, root task, service, n): how long the n-th request takes that one
// client's task makes at a service, whoever makes it. So two worlds with other policies meet the
// same durations and faults, also when a retry moves from one agent to another; and one seed gives
// one trace. Everything is in arrays with indices: virtual_clone copies a world between two runs.
//
// One thread a world; worlds share nothing, so they may run in parallel. Calls and requests take
// memory only while they are under way. docs/internals/simulator.md explains the engine.
#ifndef POLICY_VIRTUAL_H
#define POLICY_VIRTUAL_H

#include "policy/call.h"
#include "policy/dist.h"
#include "policy/program_run.h"

typedef struct Virtual Virtual;

enum {
    VIRTUAL_SERVICES_MAX = 4096,
    VIRTUAL_EDGES_MAX = 65536,
    VIRTUAL_GROUPS_MAX = 16,    // of a service
    VIRTUAL_TARGETS_MAX = 64,   // of a group
    VIRTUAL_REPEAT_MAX = 10000, // calls of one target
    VIRTUAL_DEPTH_MAX = 64,     // calls inside calls; one deeper fails
    VIRTUAL_OPEN_MAX = 1 << 23, // calls and requests under way
};
#define VIRTUAL_ANY  UINT32_MAX
#define VIRTUAL_NONE UINT32_MAX

// Who is next when a server becomes free.
typedef enum VirtualDiscipline {
    VIRTUAL_FIFO,
    VIRTUAL_LIFO,
    VIRTUAL_PRIORITY, // the most important, the oldest among equals; no preemption
    VIRTUAL_SHARING,  // processor sharing: nobody waits, all are slower
} VirtualDiscipline;

typedef struct VirtualTarget {
    uint32_t edge; // may be made later, but before the run
    double chance; // 0..1, of being called at all
    double repeat; // times, one after the other; the mean where it is not whole
} VirtualTarget;

typedef struct VirtualGroup {
    const VirtualTarget *targets;
    uint32_t count;
    uint32_t need; // answers that are waited for: 1 any, k the first k, 0 all. Those that are not
                   // needed any more are given up; too few left: the request fails at once
} VirtualGroup;

// Shares are of requests, drawn once for each; the first that applies is taken, in this order.
typedef struct VirtualFaults {
    double hang;        // does not answer before `hang_ns`
    double fail;        // retryable error, after the work
    double fatal;       // error that must not be retried, after the work
    double throttle;    // refused at once, with `retry_after_ns`
    double slow;        // takes `slow_factor` times as long
    double slow_factor; //
    uint32_t lost;      // servers that are gone
    bool stopped;       // no work begins; what is being served ends
} VirtualFaults;

typedef struct VirtualService {
    uint32_t servers;   // 0: any number
    uint32_t queue_max; // requests that may wait for a server, 0 none; VIRTUAL_ANY
    VirtualDiscipline discipline;
    Dist work;              // own; zeroed: none
    double batch_item_ns;   // work an item on top of `work`, which is once for a batch
    bool holds_server;      // while its calls are under way, too (not with sharing, not in batches)
    bool ignores_cancel;    // an abandoned request that is being served goes on to its end
    int64_t start_delay_ns; // until an added server works
    int64_t hang_ns;        // then a hung request fails and lets go; 0: never
    int64_t retry_after_ns; // that a throttled request is told
    uint64_t answer_bytes;
    const VirtualGroup *groups; // copied
    uint32_t group_count;
    VirtualFaults faults;
} VirtualService;

// Factor of a client's rate while it lasts; spikes that overlap multiply.
typedef struct VirtualSpike {
    int64_t at_ns, for_ns;
    double factor;
} VirtualSpike;

// Who calls, and when: at a rate, at given times, or users that think between their calls.
typedef struct VirtualClient {
    uint32_t edge;
    double per_second; // > 0: open, the mean rate outside of spikes
    double scv;        // of the gaps: 0 even, 1 Poisson, else dist_of_scv; stretched by the rate
    const VirtualSpike *spikes; // borrowed
    uint32_t spike_count;
    double burst_factor; // > 0: rate times that in bursts (exponential, mean burst_ns), which come
    int64_t burst_ns;    // after calms (mean calm_ns): a Markov-modulated process
    int64_t calm_ns;
    const int64_t *times; // borrowed, ascending, from start_ns: instead of a rate
    uint64_t time_count;
    uint32_t users; // > 0: closed
    Dist think;     // of users, also before the first call
    int64_t start_ns;
    int64_t until_ns; // no call begins then or later; 0: no end
    uint64_t count;   // calls at most; 0: any number
    uint64_t keys;    // > 0: each call has one of so many cache keys, skewed to the first
    uint8_t priority; // 0: the default; also of all calls made for it
    uint8_t spread;   // > 1: instead each call has a priority of 1 .. so many
    double once;      // share of calls that must not be repeated
    double cancel;    // share of calls that are cancelled by their caller after ...
    int64_t cancel_after_ns;
    Dist patience;       // or all are, each after a time drawn from it; zeroed: none is
    int64_t deadline_ns; // from the call; 0 none
} VirtualClient;

typedef struct VirtualEnd {
    uint32_t client; // for whom; VIRTUAL_NONE: virtual_call
    uint32_t edge;   // VIRTUAL_NONE: a call on a service's own block
    uint64_t serial; // of the call, counted from 0 over the world
    int64_t started_ns, ended_ns;
    CallReason reason;
    int code;
    uint32_t attempts;
} VirtualEnd;

// All may be NULL. They may start calls, set policies and schedule ticks.
typedef struct VirtualHooks {
    void *context;
    void (*answered)(void *context, Virtual *v, const VirtualEnd *end); // calls of clients
    void (*ended)(void *context, Virtual *v, const VirtualEnd *end);    // all calls
    void (*action)(void *context, Virtual *v, uint64_t serial, const CallAction *action);
    void (*tick)(void *context, Virtual *v, uint64_t id);
    // A request's own work ended (`whole`), or it was told to stop in the middle of it. Not of
    // batches, whose work is nobody's own.
    void (*worked)(void *context, Virtual *v, uint32_t service, int64_t work_ns, bool whole);
} VirtualHooks;

typedef struct VirtualOptions {
    uint64_t seed;
    VirtualHooks hooks;
    uint32_t open_max; // calls and requests under way; 0: 1 << 20
    bool trace;        // virtual_trace; costs time
} VirtualOptions;

Virtual *virtual_create(const VirtualOptions *options);
void virtual_destroy(Virtual *v); // NULL is fine
// A copy that goes on as the original does, with hooks of its own. Not from a hook.
Virtual *virtual_clone(const Virtual *v, const VirtualHooks *hooks);

// ---- building. Services, edges and clients are numbered from 0; all before the first call.

uint32_t virtual_service(Virtual *v, const VirtualService *service);
// Leads to a service. Owns a policy block of `shape` (NULL: what the values need).
uint32_t virtual_edge(Virtual *v, const PolicyShape *shape,
                      const ParamValue values[POLICY_PARAM_COUNT], uint32_t service);
// Gives a service a block of its own: limits, queue, shedding, rate, ... in front of its servers;
// batches (batch.*) and the number of servers (autoscale.*, load a server as its metric) behind.
void virtual_service_policy(Virtual *v, uint32_t service, const PolicyShape *shape,
                            const ParamValue values[POLICY_PARAM_COUNT]);
uint32_t virtual_client(Virtual *v, const VirtualClient *client);

// ---- running

// Runs until nothing happens any more or the next event is after `until_ns`, and then it is
// `until_ns`. Stops early when open_max is reached (virtual_overflowed): a system that has so much
// under way does not come back. Events handled, see virtual_events.
uint64_t virtual_run(Virtual *v, int64_t until_ns);

// Starts one call now; its serial. `handle` is not used, and `task` 0 is replaced by the serial
// + 1.
uint64_t virtual_call(Virtual *v, uint32_t edge, const CallOptions *options);
void virtual_tick(Virtual *v, int64_t at_ns, uint64_t id); // hooks.tick then
// policy_set, and what waits behind the change.
MUST_USE int virtual_set(Virtual *v, uint32_t edge, PolicyParamId id, ParamValue value, Err *e);
MUST_USE int virtual_service_set(Virtual *v, uint32_t service, PolicyParamId id, ParamValue value,
                                 Err *e);
// A policy program on an edge's or a service's block, NULL for none; the block needs room for one.
// It ticks for ever: such a world is run until a time, not until nothing happens.
MUST_USE int virtual_set_program(Virtual *v, uint32_t edge, const PolicyProgram *program,
                                 const ProgramRange *ranges, size_t range_count, Err *e);
MUST_USE int virtual_service_set_program(Virtual *v, uint32_t service, const PolicyProgram *program,
                                         const ProgramRange *ranges, size_t range_count, Err *e);
// From now on so many; added ones after start_delay_ns; those taken away end what they serve. Not
// from or to 0.
void virtual_set_servers(Virtual *v, uint32_t service, uint32_t servers);
// What begins from now on takes this: the world drifts. `work` is copied, its points are borrowed.
void virtual_set_work(Virtual *v, uint32_t service, const Dist *work);
// Replaces the service's faults, now or then.
void virtual_set_faults(Virtual *v, uint32_t service, const VirtualFaults *faults);
void virtual_set_faults_at(Virtual *v, int64_t at_ns, uint32_t service,
                           const VirtualFaults *faults);

// ---- what happened

typedef struct VirtualClientCounts {
    uint64_t offered; // calls begun
    uint64_t ended[CALL_REASON_COUNT];
} VirtualClientCounts;

// Counts are since the start. A request is exactly one of refused, served, left or still here.
typedef struct VirtualServiceCounts {
    uint64_t begun;        // requests that came
    uint64_t refused;      // queue full, throttled, too deep
    uint64_t served;       // came to their end, whatever the outcome
    uint64_t left_waiting; // told to stop while they waited for a server
    uint64_t left_served;  // ... or later
    uint64_t wasted;       // of served and left_served: nobody waited for them at their end
    uint32_t here;         // now: waiting, being served or waiting for their calls
    uint32_t orphans;      // of these: nobody waits for them, up to the client
    uint32_t waiting, busy, servers; // now; servers: those that work
    // Integrals over time, ns: divide a difference by the time between to get a mean.
    double waiting_ns, busy_ns, here_ns;
    double server_ns; // servers there, those that start included
    double work_ns;   // server time of requests that ended ...
    double wasted_ns; // ... for nobody
} VirtualServiceCounts;

VirtualClientCounts virtual_client_counts(const Virtual *v, uint32_t client);
VirtualServiceCounts virtual_service_counts(const Virtual *v, uint32_t service);
PolicyBlock *virtual_block(Virtual *v, uint32_t edge);            // its counters are the edge's
PolicyBlock *virtual_service_block(Virtual *v, uint32_t service); // NULL: none of its own

int64_t virtual_now(const Virtual *v);
bool virtual_overflowed(const Virtual *v);
// Events: what came off the event heap and did something (timers too early do not), and ends of
// calls and requests handed on within the same moment.
uint64_t virtual_events(const Virtual *v);
uint64_t virtual_steps(const Virtual *v);      // call_step calls so far
uint64_t virtual_trace(const Virtual *v);      // hash of every action and its time
uint32_t virtual_calls_open(const Virtual *v); // calls under way
uint32_t virtual_requests_open(const Virtual *v);
uint32_t virtual_busy(const Virtual *v, uint32_t service); // servers at work, orphans included

#endif
