// When iterations are meant to start and how many VUs are meant to run: pure arithmetic, no clock.
//
// An arrival schedule belongs to the two arrival-rate executors. The i-th iteration starts where
// the exact integral of the rate profile reaches a whole number, as k6 does it:
//   constant-arrival-rate  t(i) = i * timeUnit / rate, i from 0, before `duration`
//   ramping-arrival-rate   integral(t(i)) = i + 1, up to and including the end of the last stage
// so there is no drift and equal plans give equal times. With `poisson` the targets are the sums of
// unit-rate exponential gaps (inversion method for a non-homogeneous Poisson process), drawn from
// the plan's seed and the scenario's name.
//
// Times are nanoseconds from the start of the scenario. Threads take iterations in stripes: thread
// k of n takes those with index = k (mod n), and each computes its own, so there is no dispatcher.
//
//     Schedule *s = schedule_create(arena, scenario, plan->seed);
//     ScheduleCursor c = schedule_cursor(s, thread, threads);
//     while (schedule_next(&c, &index, &start_ns)) { ... }
//
// A Schedule is immutable: any thread may read it; a cursor belongs to one thread.
#ifndef LOAD_SCHEDULE_H
#define LOAD_SCHEDULE_H

#include "base/arena.h"
#include "base/rng.h"
#include "base/units.h"
#include "load/plan.h"

// What the plan's reader enforces, and what keeps every product here inside 128 bits.
#define SCHEDULE_RATE_MAX     INT64_C(1000000000)                      // per timeUnit
#define SCHEDULE_DURATION_MAX (INT64_C(31536000) * 1000 * 1000 * 1000) // a year
#define SCHEDULE_VUS_MAX      INT64_C(100000000)                       // k6's own sanity limit

// ---- arrivals

typedef struct Schedule Schedule;

typedef struct ScheduleCursor {
    const Schedule *schedule;
    int64_t index; // of the iteration that schedule_next gives next
    uint32_t threads;
    size_t stage;  // the search for a time goes forward only
    Rng rng;       // Poisson only
    int64_t drawn; // Poisson: gaps drawn so far
    double sum;    // Poisson: their sum
} ScheduleCursor;

// `scenario` has an arrival-rate executor and has passed plan_parse(); it is borrowed.
Schedule *schedule_create(Arena *arena, const PlanScenario *scenario, uint64_t seed);

// Iterations in all threads together; with Poisson arrivals the expected number, rounded.
int64_t schedule_count(const Schedule *s);
// The profile's integral from 0 to `at_ns` in iterations, and the rate there per second; constant
// outside of the schedule. At a jump the rate is the one after it.
double schedule_area(const Schedule *s, int64_t at_ns);
double schedule_rate(const Schedule *s, int64_t at_ns);

ScheduleCursor schedule_cursor(const Schedule *s, uint32_t thread, uint32_t threads);
// The next iteration of this thread. False when there is none left; it stays false.
bool schedule_next(ScheduleCursor *c, int64_t *ret_index, int64_t *ret_ns);

// ---- ramping-vus

// One change of the planned number of VUs, in k6's steps: a stage from a to b over d brings the
// next VU every d/|b-a|, the last one at its end; ramping down the first VU goes after one step.
// VU j (from 0) runs while vus > j, so a change from 4 to 6 starts VUs 4 and 5.
typedef struct VuStep {
    int64_t at_ns;
    int64_t vus;
} VuStep;

typedef struct VuCursor {
    const PlanScenario *scenario;
    size_t stage;
    int64_t stage_start_ns;
    int64_t from; // VUs at the start of the stage
    int64_t vus;  // planned after the last step given
    bool started, ended;
} VuCursor;

VuCursor vu_cursor(const PlanScenario *scenario);
// Steps in order of time, each with another number than before: first startVUs at 0, last 0 at the
// end of the last stage. A VU that goes has gracefulRampDown to finish its iteration, at the end
// gracefulStop; both are the executor's business. False behind the last.
bool vu_cursor_next(VuCursor *c, VuStep *ret_step);

// The planned number of VUs at a moment, 0 before 0 and from the end on. Closed form.
int64_t vus_planned(const PlanScenario *scenario, int64_t at_ns);
// The most VUs that may run at a moment when those that go take all of gracefulRampDown (k6's
// execution requirement); from the end on those of the last moment, until gracefulStop is over.
int64_t vus_reserved(const PlanScenario *scenario, int64_t at_ns);

// ---- all executors

// How many of `count` things numbered from 0 fall to thread k of n when thread = number mod n.
int64_t stripe_share(int64_t count, uint32_t thread, uint32_t threads);

// Iterations the scenario starts when nothing is late; -1 where only the target's speed tells
// (constant-vus, ramping-vus).
int64_t scenario_iterations(const PlanScenario *scenario);
// Planned length from startTime on without graceful stops: maxDuration for the *-iterations
// executors, which mostly end earlier.
int64_t scenario_duration_ns(const PlanScenario *scenario);

#endif
