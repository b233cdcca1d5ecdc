// Plant: the system of agents under management, seen through the one small door that management
// has: the time, what happened in the last window, moving policies, and who called whom. What is
// behind it is a simulated world (manage/plant_virtual.h) or the runtime itself
// (manage/plant_live.h); the coordinator cannot tell which, so what works in one works in the
// other.
//
//     Plant *plant;
//     rc = plant_virtual_create(sys, &(PlantVirtualOptions){.seed = 7}, &plant, e);
//     while ((rc = plant_wait(plant, plant_now(plant) + 10 * NS_PER_S, e)) == 0) {
//         PlantWindow window;
//         rc = plant_observe(plant, arena, &window, e);
//         ... window.outcome->clients[0].p99, window.clients[0].latency ...
//         rc = plant_set(plant, changes, count, old, e);
//     }
//     plant_destroy(plant);
//
// The requests of the plant never wait for management: it goes on by itself, and a plant of which
// nobody asks anything serves as before. Management's thread only; a live plant has its own.
//
// Times are nanoseconds of the plant's own clock, which begins at 0 and runs in the System's time:
// a live plant that runs ten times as fast shows (and takes) times as if it did not.
#ifndef MANAGE_PLANT_H
#define MANAGE_PLANT_H

#include "model/outcome.h"
#include "policy/block.h"
#include "stat/hist.h"

enum {
    PLANT_CHANGES_MAX = 64,    // of one set
    PLANT_PROGRAM_MAX = 4096,  // bytes of one policy program
    PLANT_TOPOLOGY_MAX = 8192, // edges that were seen
};

// A request counts in the window in which it ended. Requests that nobody has answered yet and that
// are older than their client's `within` (or deadline) are `overdue`: as of now, not summed up.
typedef struct PlantClient {
    uint64_t offered; // that began in the window
    uint64_t good;    // ended well within the objective's time
    uint64_t late;    // ended well, too late
    uint64_t failed;
    uint64_t overdue;
    const Hist *latency; // of what ended, ns; failures infinite
} PlantClient;

typedef struct PlantEdge {
    uint64_t calls, attempts, retries, hedges, timeouts; // begun in the window
    uint64_t ok, failed;                                 // calls ended in the window
    const Hist *latency;                                 // of attempts that were answered; or NULL
} PlantEdge;

typedef struct PlantAgent {
    uint64_t arrivals; // requests that began in the window
    uint64_t served;
    uint64_t left;       // were told to stop while they were served; 0 where it is not known
    double busy_s;       // server-seconds worked in the window
    double wasted_s;     // of those, for requests nobody waited for
    double waiting;      // requests, mean over the window
    double servers;      // mean over the window
    const Hist *service; // own work of those served in the window; or NULL
    const Hist *cut;     // how long those had worked who were told to stop in the middle; or NULL
} PlantAgent;

// The histograms belong to the plant and hold until it is observed again.
typedef struct PlantWindow {
    int64_t from_ns, until_ns;
    Outcome *outcome;     // FIDELITY_MEASURED, from the counts
    PlantClient *clients; // as many as the plant's System has, as the following
    PlantEdge *edges;
    PlantAgent *agents;
} PlantWindow;

// Who called whom since the last question, by name, so that agents and edges that the System does
// not know are seen, too.
typedef struct PlantLink {
    Slice from, to; // `from` may be a client
    uint64_t calls;
} PlantLink;

typedef struct PlantTopology {
    int64_t from_ns, until_ns;
    PlantLink *links;
    size_t link_count;
    Slice *agents; // those that are there
    size_t agent_count;
} PlantTopology;

typedef struct Plant Plant;

typedef struct PlantOps {
    const char *kind; // "simulated", "live"
    int64_t (*now)(const Plant *plant);
    // ERR_CLOSED when the plant ends before `at_ns`, ERR_CANCELLED when a person stops it.
    int (*wait)(Plant *plant, int64_t at_ns, Err *e);
    int (*observe)(Plant *plant, Arena *arena, PlantWindow *ret_window, Err *e);
    int (*set)(Plant *plant, const SystemChange *changes, size_t count, ParamValue *ret_old,
               Err *e);
    int (*set_program)(Plant *plant, SystemPlace place, uint32_t index, Slice text, Err *e);
    int (*topology)(Plant *plant, Arena *arena, PlantTopology *ret_topology, Err *e);
    void (*destroy)(Plant *plant);
} PlantOps;

// An implementation's struct begins with this one.
struct Plant {
    const PlantOps *ops;
    System *sys; // what it was made of, with the policies as they are now
};

static inline int64_t plant_now(const Plant *plant)
{
    return plant->ops->now(plant);
}
// Lets the plant go on until `at_ns`; returns at once when that is over.
MUST_USE int plant_wait(Plant *plant, int64_t at_ns, Err *e);
// What happened since the last call (or the beginning). In `arena`, but for the histograms.
MUST_USE int plant_observe(Plant *plant, Arena *arena, PlantWindow *ret_window, Err *e);
// All or none: at the first that is refused those before are put back. ret_old, if not NULL, gets
// the `count` values from before. No request in the plant is lost by it.
MUST_USE int plant_set(Plant *plant, const SystemChange *changes, size_t count, ParamValue *ret_old,
                       Err *e);
// Puts a policy program in the place of the one that is there; an empty one takes it away.
// ERR_UNSUPPORTED where the plant runs none.
MUST_USE int plant_set_program(Plant *plant, SystemPlace place, uint32_t index, Slice text, Err *e);
MUST_USE int plant_topology(Plant *plant, Arena *arena, PlantTopology *ret_topology, Err *e);
void plant_destroy(Plant *plant); // NULL is fine

// For implementations: what every policy block of a plant has room for, so that what an agent or
// edge began without can be turned on while it runs.
extern const PolicyShape PLANT_ROOM;

// What the objectives promise the client, NEVER_NS where nothing.
int64_t plant_within_ns(const System *sys, uint32_t client);

// For implementations: a window of the System's size with nothing in it, and its Outcome from the
// counts: rates, shares with binomial intervals, quantiles with their order statistics.
PlantWindow plant_window_create(Arena *arena, const System *sys, int64_t from_ns, int64_t until_ns);
void plant_window_finish(Arena *arena, const System *sys, PlantWindow *window, double confidence);

#endif
