// The engine's struct and its coordinating half. Only for load/engine.c and load/coordinator.c.
#ifndef LOAD_COORDINATOR_H
#define LOAD_COORDINATOR_H

#include "guard/budget.h"
#include "guard/guard.h"
#include "load/shard.h"
#include "load/watch.h"

struct Engine {
    EngineOptions options;
    Arena *arena;
    unsigned shard_count;
    Shard *shards[ENGINE_THREADS_MAX];
    Collector *collector;
    Recorder *recorder; // the coordinator's own: gauges
    Watch *watch;
    Slice *start_values;
    const Schedule **schedules; // by scenario; NULL in the closed model
    bool open_model;
    Site **setup;
    Site **teardown;
    // phases
    Fiber *conductor;
    Fiber *sequence_fiber; // of a setup or teardown under way
    int64_t t0_ns;
    int64_t scenarios_end_ns;
    bool began;    // t0 is set
    bool ending;   // no new iterations
    bool cut;      // second stop
    bool flushing; // last reports
    bool finished;
    int stops_wanted;
    LoopDefer stop_defer;
    LoopTimer ceiling_timer;
    unsigned shards_over;
    unsigned shards_flushed;
    // intervals
    int64_t last_index;
    int64_t next_threshold_ns;
    size_t series_declared;
    RecorderSeries *vus;
    RecorderSeries *vus_max;
    ShardCounters seen[ENGINE_THREADS_MAX]; // of each shard's last report
    ShardCounters sums;                     // over shards, at the last interval
    ShardCounters previous;                 // ... and the one before
    int64_t previous_ns;
    HostLoad load_before;
    HealthTotals health;
    Hist *duration_hist; // scratch
    EngineStatus status;
    double vu_ns; // integral of initialised VUs over time
    Budget budget;
    bool past_ceiling;
    EngineResult result;
};

void coordinator_init(Engine *engine);
void coordinator_done(Engine *engine);
void coordinator_begin(Engine *engine);
void coordinator_command(Engine *engine, void (*command)(void *shard)); // to every shard
void coordinator_flush(Engine *engine);
void coordinator_finish(Engine *engine); // fills engine->result
void coordinator_event(Engine *engine, Slice kind, Slice text);
// Graceful end for a reason; the first one counts.
void engine_end(Engine *engine, EngineEnd end, Slice reason);

#endif
