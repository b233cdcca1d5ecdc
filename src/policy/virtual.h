// Virtual: a world in virtual time whose calls go through call_step. Services with servers, queues,
// latencies and faults; edges with policies that lead to them; calls that arrive. It is the second
// driver of the call, so what it predicts is about the code that runs live.
//
//     Virtual *v = virtual_create(&(VirtualOptions){.seed = 7});
//     uint32_t search = virtual_service(v, &(VirtualService){
//         .servers = 8, .latency = dist_lognormal(2e6, 0.5), .fail = 0.01});
//     uint32_t edge = virtual_edge(v, NULL, values, search);
//     virtual_arrivals(v, edge, &(VirtualArrivals){.per_second = 3000, .count = 100000});
//     virtual_run(v, INT64_MAX);
//     policy block: virtual_block(v, edge)->ended[CALL_OK], ...; every call: hooks.ended
//     virtual_destroy(v);
//
// A service may call others (`downstream`): its server is held meanwhile, the deadline goes along,
// and a cancelled attempt cancels what it started. Luck is a function of (seed, task, service,
// attempt), so two worlds with other policies meet the same latencies and faults, and one seed
// gives one trace. Everything is in arrays with indices: virtual_clone copies a world in mid-run.
//
// One thread. Calls and requests take memory only while they are under way.
#ifndef POLICY_VIRTUAL_H
#define POLICY_VIRTUAL_H

#include "policy/call.h"
#include "policy/dist.h"

typedef struct Virtual Virtual;

// Who is next when a server becomes free.
typedef enum VirtualDiscipline {
    VIRTUAL_FIFO,
    VIRTUAL_LIFO,
    VIRTUAL_PRIORITY, // the most important, the oldest among equals; no preemption
    VIRTUAL_SHARING,  // processor sharing: nobody waits, all are slower
} VirtualDiscipline;

enum { VIRTUAL_DOWNSTREAM_MAX = 4 };

// Shares are of attempts, drawn once for each; the first that applies is taken, in this order.
typedef struct VirtualService {
    uint32_t servers;   // requests served at a time; 0: any number
    uint32_t queue_max; // that may wait for a server; one more is throttled. 0: any number
    Dist latency;
    double hang;                                 // never answers
    int64_t hang_ns;                             // but fails and lets go after this; 0: never
    double fail;                                 // retryable error
    double fatal;                                // error that must not be retried
    double throttle;                             // refused at once, with `retry_after_ns`
    double slow;                                 // takes `slow_factor` times as long
    double slow_factor;                          //
    int64_t retry_after_ns;                      //
    bool ignores_cancel;                         // an abandoned request keeps its server to the end
    uint32_t downstream[VIRTUAL_DOWNSTREAM_MAX]; // edges, called one after the other when served
    uint32_t downstream_count;
    uint64_t answer_bytes;
} VirtualService;

typedef struct VirtualEnd {
    uint32_t edge;
    uint64_t serial; // of the call, counted from 0 over the world
    int64_t started_ns, ended_ns;
    CallReason reason;
    int code;
    uint32_t attempts;
} VirtualEnd;

// All may be NULL. They may start calls, set policies and schedule ticks.
typedef struct VirtualHooks {
    void *context;
    void (*ended)(void *context, Virtual *v, const VirtualEnd *end);
    void (*action)(void *context, Virtual *v, uint64_t serial, const CallAction *action);
    void (*tick)(void *context, Virtual *v, uint64_t id);
} VirtualHooks;

typedef struct VirtualOptions {
    uint64_t seed;
    VirtualHooks hooks;
} VirtualOptions;

// Calls of an open model.
typedef struct VirtualArrivals {
    double per_second; // Poisson
    uint64_t count;
    int64_t start_ns;
    uint64_t keys;       // > 0: each call has one of so many cache keys, skewed to the first
    uint32_t priorities; // > 1: each call has a priority of 1 .. so many
    double once;         // share of calls that must not be repeated
    double cancel;       // share of calls that are cancelled by their caller after ...
    int64_t cancel_after_ns;
    int64_t deadline_ns; // from the arrival; 0 none
} VirtualArrivals;

Virtual *virtual_create(const VirtualOptions *options);
void virtual_destroy(Virtual *v); // NULL is fine
// A copy that goes on as the original does, with hooks of its own.
Virtual *virtual_clone(const Virtual *v, const VirtualHooks *hooks);

// Services and edges are numbered from 0. An edge owns a policy block of `shape` (NULL: what the
// values need). Every edge that a service names must be made before the run.
uint32_t virtual_service(Virtual *v, const VirtualService *service);
uint32_t virtual_edge(Virtual *v, const PolicyShape *shape,
                      const ParamValue values[POLICY_PARAM_COUNT], uint32_t service);
PolicyBlock *virtual_block(Virtual *v, uint32_t edge);
VirtualService *virtual_service_at(Virtual *v, uint32_t service); // faults may change in the run

// Starts one call now; its serial. `handle` is not used, and `task` 0 is replaced by the serial
// + 1.
uint64_t virtual_call(Virtual *v, uint32_t edge, const CallOptions *options);
void virtual_arrivals(Virtual *v, uint32_t edge, const VirtualArrivals *arrivals);
void virtual_tick(Virtual *v, int64_t at_ns, uint64_t id);
// policy_set, and what waits behind the change.
MUST_USE int virtual_set(Virtual *v, uint32_t edge, PolicyParamId id, ParamValue value, Err *e);

// Runs until nothing happens any more or the next event is after `until_ns`; events handled.
uint64_t virtual_run(Virtual *v, int64_t until_ns);

int64_t virtual_now(const Virtual *v);
uint64_t virtual_steps(const Virtual *v);      // call_step calls so far
uint64_t virtual_trace(const Virtual *v);      // hash of every action and its time
uint32_t virtual_calls_open(const Virtual *v); // calls under way
uint32_t virtual_requests_open(const Virtual *v);
uint32_t virtual_busy(const Virtual *v, uint32_t service); // servers at work, orphans included

#endif
