// What runs inside the live plant: the agents, clients and arrivals of a System as handlers of the
// runtime. Only for plant_live.c.
//
// Everything here is on the runner's one shard, but for what `lock` guards: the counts, which
// management reads and empties.
#ifndef MANAGE_LIVE_AGENTS_H
#define MANAGE_LIVE_AGENTS_H

#include <pthread.h>

#include "agent/runner.h"
#include "manage/plant_live.h"

typedef struct LivePlant LivePlant;

// A request of a client under way, on its handler's stack; oldest first.
typedef struct LiveOpen LiveOpen;
struct LiveOpen {
    int64_t began_ns; // when it was due, of the shard's clock
    LiveOpen *prev, *next;
};

typedef struct LiveClient {
    LivePlant *plant;
    uint32_t index;
    AgentId id;       // of the agent that sends one request an event
    AgentId arrivals; // of the agent that makes those events
    uint64_t begun;   // tasks
    // Under the lock:
    PlantClient counts; // `overdue` and `latency` are set when it is observed
    Hist latency;       // ns of the System's time
    LiveOpen *first, *last;
} LiveClient;

typedef struct LiveAgent {
    LivePlant *plant;
    uint32_t index;
    AgentId id;
    // Under the lock:
    uint64_t served;
    double busy_s, wasted_s; // of the System's time
    Hist service, cut;
} LiveAgent;

struct LivePlant {
    Plant base;
    PlantLiveOptions options;
    Runner *runner;
    Arena *arena;
    const Clock *clock;
    int64_t start_ns; // of the clock
    double scale;
    uint32_t agent_count, client_count, edge_count;
    LiveAgent *agents;
    LiveClient *clients;
    AgentId *edges;
    uint64_t *tasks;   // the newest task in each row of `ordinals`
    uint8_t *ordinals; // requests that it has made so far, by agent
    bool stopping;     // under the lock
    pthread_mutex_t lock;
    Hist late;                 // of sending, ns of the clock; under the lock
    struct LiveWindow *window; // plant_live.c's
};

// The System's time for a moment of the clock, and how long something takes by the clock.
static inline int64_t live_system_ns(const LivePlant *p, int64_t clock_ns)
{
    return (int64_t)((double)(clock_ns - p->start_ns) * p->scale);
}
static inline int64_t live_clock_ns(const LivePlant *p, int64_t system_ns)
{
    return (int64_t)((double)system_ns / p->scale);
}

AgentRunFn live_agent_run, live_client_run, live_arrivals_run;

#endif
