// The engine's inside: what a thread of it holds. Only for load/'s own files.
//
//   Engine        coordinator, on the caller's thread: phases, collector, thresholds, budgets
//     Shard       one thread: loop, fibers, connections, recorder
//       ScenarioRun   one scenario's part on this shard, driven by its executor's ExecutorOps
//         Vu          one virtual user; owns a fiber only while it runs
//
// Shard and coordinator talk by loop_post in both directions (a plain call where they share the
// thread), with at most a few messages on their way, so the queues cannot fill.
#ifndef LOAD_SHARD_H
#define LOAD_SHARD_H

#include "base/rng.h"
#include "load/check.h"
#include "load/engine.h"
#include "load/schedule.h"
#include "os/fiber.h"
#include "os/thread.h"

typedef struct Shard Shard;
typedef struct ScenarioRun ScenarioRun;
typedef struct Vu Vu;
typedef struct Action Action;
typedef struct Site Site;

// An arrival that the generator itself is later for than this is dropped and counted: after a
// suspended process there is no point in firing a minute's arrivals at once.
#define ENGINE_LATE_DROP_NS NS_PER_S
// An arrival waits this long for a free VU, behind at most as many others as there are VUs.
#define ENGINE_QUEUE_WAIT_NS NS_PER_S
// k6's thresholdsRate.
#define ENGINE_THRESHOLD_EVERY_NS (2 * NS_PER_S)
// Setup and teardown may each take this long (k6's setupTimeout and teardownTimeout).
#define ENGINE_SETUP_NS (60 * NS_PER_S)

enum { ENGINE_QUEUE_MAX = 10000, ENGINE_ORIGINS_MAX = 1024 };

// ---- compiled steps (site.c)

// What came back, as far as it shows in labels; each combination has its own series.
typedef struct Outcome Outcome;
struct Outcome {
    Outcome *next;
    int status;
    int error_code;
    bool http2;
    bool complete; // the whole answer came
    bool expected;
    const char *tls_version; // a literal of the net room: compared by address
    RecorderSeries *reqs;
    RecorderSeries *failed;
    RecorderSeries *duration;
    RecorderSeries *corrected; // NULL until an arrival needs it
    RecorderSeries *blocked;
    RecorderSeries *connecting;
    RecorderSeries *tls;
    RecorderSeries *sending;
    RecorderSeries *waiting;
    RecorderSeries *receiving;
};

// An origin that requests went to, with the guard's word about its host.
typedef struct Origin Origin;
struct Origin {
    Origin *next;
    HttpOrigin http;
    int guard_rc; // of check_host
};

// One place in a scenario where a request is made: request, group and scenario together.
struct Site {
    const PlanRequest *request;
    Labels base;      // scenario, group, name, url, method and the tags
    Origin *origin;   // of a static URL
    Buf wire;         // of a static request: its head
    HttpRequest http; // ready to send when the request is static; else the parts that are
    bool is_static;
    Outcome *outcomes; // most recently added first
    RecorderSeries *sent;
    RecorderSeries *received;
    RecorderSeries **checks; // one a check
};

struct Action {
    const PlanStep *step;
    Site *site;                     // STEP_REQUEST
    RecorderSeries *group_duration; // STEP_GROUP
    Action *children;
    size_t child_count;
};

MUST_USE int site_create(Shard *shard, const PlanRequest *request, const PlanScenario *scenario,
                         Slice group, Site **ret_site, Err *e);
void site_done(Site *site);
Outcome *site_outcome(Vu *vu, Site *site, const HttpResponse *response);
// Finds or makes the origin of a URL; NULL when ENGINE_ORIGINS_MAX are there.
MUST_USE int shard_origin(Shard *shard, const Url *url, Origin **ret_origin, Err *e);
MUST_USE int actions_create(Shard *shard, const PlanScenario *scenario, Slice group,
                            const PlanStep *steps, size_t count, Action **ret, Err *e);
void actions_done(Action *actions, size_t count);
// System labels, then tags: of the request, the scenario, the plan. Returns how many were written.
size_t labels_base(const Shard *shard, const PlanScenario *scenario, Slice group,
                   const PlanRequest *request, Label out[LABELS_MAX]);

// ---- VUs (vu.c, vu_http.c)

// An iteration that is due.
typedef struct Tick {
    int64_t number;
    int64_t due_ns;
} Tick;

struct Vu {
    ScenarioRun *run; // NULL: setup and teardown
    Shard *shard;
    uint32_t id;    // 1-based in the test
    uint32_t index; // on this shard, in its scenario
    Fiber *fiber;
    HttpClient *client;
    HttpResponse response;
    Buf url, target, body, header_text, decoded; // scratch
    Slice answer_body;                           // decoded, where the plan looks at it
    HttpHeader *headers;                         //
    size_t header_capacity;
    TemplateScope scope;
    Slice *variables;   // by slot: the start value or what was extracted
    Buf *extracted;     // by slot
    const Slice **rows; // by feed, of this iteration
    int64_t iteration;  // of this VU, from 0
    int64_t number;     // of the iteration in its scenario
    Rng rng;
    bool rng_ready;
    bool first_request;  // of this iteration is still to come
    int64_t intended_ns; // of the iteration; -1: closed model
    bool busy;
    bool wanted;           // ramping-vus: should run
    LoopTimer leave_timer; // ramping-vus: end of gracefulRampDown
    Vu *next_free;         // arrivals
    Tick tick;             // arrivals: what to start with
};

Vu *vu_create(Shard *shard, ScenarioRun *run, uint32_t index, uint32_t id);
void vu_destroy(Vu *vu);
// One iteration. `intended_ns` -1 in the closed model, else of the loop's clock.
void vu_iterate(Vu *vu, int64_t number, int64_t intended_ns);
Rng *vu_rng(Vu *vu);
// Takes a value out of an answer into the VU's variable; false when there is none.
bool vu_extract(Vu *vu, const PlanExtract *extract, const CheckAnswer *answer);
// 0 to go on, ERR_CANCELLED, or another error: the rest of the iteration is skipped. *ret_failed:
// the answer was not as expected (or there was none).
MUST_USE int vu_request(Vu *vu, Site *site, bool *ret_failed, Err *e);

// ---- executors

typedef struct ExecutorOps {
    void (*start)(ScenarioRun *run);
    // No new iterations from now on: wake what is parked, forget what waits.
    void (*end)(ScenarioRun *run);
    // A fiber of the scenario has ended.
    void (*vu_left)(ScenarioRun *run, Vu *vu);
    void (*done)(ScenarioRun *run); // frees; may be NULL
} ExecutorOps;

extern const ExecutorOps executor_closed; // *-iterations, constant-vus
extern const ExecutorOps executor_ramping_vus;
extern const ExecutorOps executor_arrivals;

typedef enum RunState {
    SCENARIO_WAITING,
    SCENARIO_RUNNING,
    SCENARIO_ENDING,
    SCENARIO_OVER
} RunState;

struct ScenarioRun {
    Shard *shard;
    const PlanScenario *plan;
    const ExecutorOps *ops;
    RunState state;
    Action *actions;
    size_t action_count;
    int64_t start_ns;      // of the loop's clock
    LoopTimer start_timer; // startTime
    LoopTimer end_timer;   // regular end
    LoopTimer cut_timer;   // gracefulStop is over
    Vu **vus;              // by index
    uint32_t vu_count;     // initialised
    uint32_t vu_max;       // this shard's share
    uint32_t id_base;
    size_t fibers;           // alive
    int64_t started;         // iterations
    int64_t iteration_share; // shared-iterations: of this shard
    Slice rng_name;          // stream of the iterations' random numbers
    bool *uses_feed;         // by feed
    // ramping-vus
    VuCursor vu_cursor;
    VuStep vu_next;
    LoopTimer step_timer;
    uint32_t vu_target;
    // arrivals
    const Schedule *schedule;
    ScheduleCursor cursor;
    bool has_tick;
    Tick tick; // the next one, due_ns by the loop's clock
    LoopTimer tick_timer;
    Vu *free_vus;
    Tick *queue; // ring
    size_t queue_capacity, queue_first, queue_count;
    // series
    RecorderSeries *iterations;
    RecorderSeries *iteration_duration;
    RecorderSeries *generator_lateness;
    RecorderSeries *late_generator; // iteration_lateness by cause
    RecorderSeries *late_no_vu;
    RecorderSeries *dropped_generator;
    RecorderSeries *dropped_no_vu;
    RecorderSeries *dropped_max_duration;
};

MUST_USE int run_init(ScenarioRun *run, Shard *shard, const PlanScenario *plan, uint32_t id_base,
                      Err *e);
void run_done(ScenarioRun *run);
void run_start(ScenarioRun *run); // now or at startTime, from shard->engine's t0
void run_end(ScenarioRun *run);   // graceful
void run_cut(ScenarioRun *run);
// Spawns a fiber for the VU. False when the system has no more (the engine is told).
bool run_spawn(ScenarioRun *run, Vu *vu, FiberFn *fn);
void run_vu_left(ScenarioRun *run, Vu *vu);   // last thing a VU's fiber does
void run_check_over(ScenarioRun *run);        // ends the scenario when nothing is left to do
Vu *run_vu(ScenarioRun *run, uint32_t index); // makes it on first use
// Runs iterations while next(run, vu, &number) says so; the body of closed VUs' fibers.
void run_closed_vu(Vu *vu, bool (*next)(ScenarioRun *run, Vu *vu, int64_t *ret_number));

// ---- shards

typedef struct ShardCounters {
    int64_t due;
    int64_t dropped_generator, dropped_no_vu, dropped_other;
    int64_t iterations, interrupted;
    int64_t requests, failed;
    int64_t bytes_sent, bytes_received;
    int64_t vus;     // at work
    int64_t vus_max; // initialised
    int64_t vus_peak;
    double cpu;          // of the thread in the last interval
    int64_t interval_ns; // length of that one
    uint64_t slow_runs;
    int64_t slow_max_ns;
    int64_t last_active_ns;
    uint64_t overflows;
} ShardCounters;

// Coordinator <- shard.
typedef enum ShardEvent {
    SHARD_OVER,   // all its scenarios are
    SHARD_BUDGET, // its part of a budget is used up
    SHARD_FAILED, // error_text says what the generator lacks
} ShardEvent;

struct Shard {
    Engine *engine;
    unsigned index;
    Loop *loop;
    bool own_loop;
    FiberPool *pool;
    HttpContext *http;
    void *net_handle;
    bool net_is_open;
    Recorder *recorder;
    Arena *arena;
    Thread *thread; // NULL: the caller's
    ScenarioRun *runs;
    size_t run_count;
    size_t runs_left;
    Origin *origins;
    size_t origin_count;
    ShardCounters counters;
    int64_t budget_requests_left; // INT64_MAX: none
    int64_t budget_bytes_left;
    bool budget_told;
    bool failed;
    char error_text[256];
    // Reports: one at a time is with the coordinator, which reads the fields below meanwhile.
    LoopTimer interval_timer;
    int64_t interval_next_ns;
    HostLoad load_before;
    bool report_out;
    bool flush_wanted;
    ShardCounters report;
    const RecorderBatch *report_batch;
    int64_t report_index;
    bool report_final;
    bool report_here; // the coordinator's: came, and was not given back
};

MUST_USE int shard_create(Engine *engine, unsigned index, Shard **ret_shard, Err *e);
void shard_destroy(Shard *shard);
// On the shard's thread:
void shard_start(void *shard);
void shard_end(void *shard);
void shard_cut(void *shard);
void shard_flush(void *shard); // a last report
void shard_give_back(void *shard);
// From inside:
void shard_run_over(Shard *shard, ScenarioRun *run);
void shard_fail(Shard *shard, const char *what);
void shard_spend(Shard *shard, int64_t requests, int64_t bytes);

// ---- what shards may ask of the engine

const Plan *engine_plan(const Engine *engine);
const EngineOptions *engine_options(const Engine *engine);
unsigned engine_shards(const Engine *engine);
int64_t engine_t0(const Engine *engine);
int64_t engine_interval_ns(const Engine *engine);
Slice engine_start_value(const Engine *engine, uint32_t slot); // of a variable, after setup
const Schedule *engine_schedule(const Engine *engine, uint32_t scenario);
// From the shard's thread.
void engine_tell(Shard *shard, ShardEvent event);
void engine_report(Shard *shard);

#endif
