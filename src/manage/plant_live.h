// The live plant: a System on the agent runtime itself. Every agent of the document is an agent of
// a Runner that waits for one of its workers, works as long as the System says (a sleep of its
// fiber) and calls its groups through edges with the System's policies; clients send requests on
// time. So what management sees and moves is the code that runs.
//
//     Plant *plant;
//     rc = plant_live_create(sys, &(PlantLiveOptions){.seed = 7, .scale = 10}, &plant, e);
//     ... manage/plant.h ...
//     plant_destroy(plant);             // stops the runner; what is under way is cancelled
//
// Time runs `scale` times as fast as the System says: service times, timeouts and pauses are so
// much shorter, rates so much higher, and what is reported is in the System's time again.
//
// What a System can say and the runtime cannot do is refused with ERR_UNSUPPORTED: processor
// sharing, and LIFO or priorities among requests for a worker. An autoscaler's own servers begin at
// once; `start_delay` holds for servers that management adds.
//
// Luck is keyed as in the simulator: by client task, agent and the ordinal of the task's request
// there, so the same requests take as long whatever the policies are.
#ifndef MANAGE_PLANT_LIVE_H
#define MANAGE_PLANT_LIVE_H

#include "agent/runner.h"
#include "manage/plant.h"

typedef struct PlantLiveOptions {
    uint64_t seed;
    double scale;        // System seconds in one second of the clock; 0: 1
    int64_t duration_ns; // of the System's time; then no client asks any more. 0: no end
    // Asked every PLANT_LIVE_SLICE_NS while plant_wait waits; true: it returns ERR_CANCELLED.
    bool (*stopped)(void *arg);
    void *stopped_arg;
    ManualClock *manual; // tests: no threads, and time goes on by itself in plant_wait
} PlantLiveOptions;

#define PLANT_LIVE_SLICE_NS (20 * NS_PER_MS)
enum {
    PLANT_LIVE_SCALE_MAX = 1000,
    PLANT_LIVE_TASKS = 1 << 16, // whose requests' ordinals are remembered
};

MUST_USE int plant_live_create(const System *sys, const PlantLiveOptions *options,
                               Plant **ret_plant, Err *e);

// For the monitor's pages; it belongs to the plant.
Runner *plant_live_runner(Plant *plant);

// How late clients sent their requests, in seconds of the clock: a machine that cannot keep up
// measures itself.
typedef struct PlantLiveHealth {
    uint64_t sent;
    double late_p99_s, late_max_s;
} PlantLiveHealth;
PlantLiveHealth plant_live_health(Plant *plant);

#endif
