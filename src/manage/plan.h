// Plan: what somebody wants to change, and what it is hoped to do. The same value goes from a
// planner through validation into a negotiation; a limit is what a refusal teaches the next plan.
//
// A Plan is a small value whose texts live in the arena of the planning.
#ifndef MANAGE_PLAN_H
#define MANAGE_PLAN_H

#include "model/system.h"

enum {
    PLAN_CHANGES_MAX = 32,
    PLAN_PROGRAMS_MAX = 4,
    PLANS_MAX = 1000, // of one planning
    PLAN_LIMITS_MAX = 64,
};

typedef struct PlanProgram {
    SystemPlace place;
    uint32_t index;
    Slice text; // policy/program.h
} PlanProgram;

typedef struct Plan {
    SystemChange changes[PLAN_CHANGES_MAX];
    uint32_t count;
    PlanProgram *programs;
    uint32_t program_count;
    Slice planner; // "rules", "bayes", "llm", "person"
    Slice title;   // "retry at b instead of a": for people, one line
    Slice reason;  // what it builds on: "d's latency has no tail, c's has", one sentence
    double prior;  // higher is tried sooner
} Plan;

// What the next plan must keep to, because somebody refused: `what` stays within low..high (in the
// parameter's unit, durations in ns, choices by index, booleans 0 and 1), or the whole plan
// `refused` is not to be proposed again.
typedef struct PlanLimit {
    SystemParam what;
    double low, high;
    uint64_t refused; // plan_hash; 0: a limit on `what`
    uint32_t by;      // agent that refused
    Slice reason;
} PlanLimit;

// Adds one change, or replaces that of the same parameter. ERR_LIMIT when there are too many.
MUST_USE int plan_add(Plan *plan, SystemChange change, Err *e);
// The same changes in whatever order give the same number; titles do not count. Never 0.
uint64_t plan_hash(const System *sys, const Plan *plan);
// Does it keep to all limits? *ret_broken: the first that it does not.
bool plan_keeps(const System *sys, const Plan *plan, const PlanLimit *limits, size_t count,
                const PlanLimit **ret_broken);
// The System after it, in `arena`. ERR_ARG with what is out of range.
MUST_USE int plan_apply(Arena *arena, const System *sys, const Plan *plan, System **ret_system,
                        Err *e);
// Drops changes that set what is there already.
void plan_trim(const System *sys, Plan *plan);
// "b->c.timeout.attempt 1s -> 500ms, b->d.retry.attempts 1 -> 2"
void plan_write(const System *sys, const Plan *plan, Buf *out);
// {"changes": {"b->c.timeout.attempt": "500ms", ...}, "programs": {"d": "..."}} and back.
void plan_write_json(const System *sys, const Plan *plan, JsonWriter *w);
MUST_USE int plan_read(Arena *arena, const System *sys, const Doc *object, Plan *ret_plan, Err *e);
// A policy program for "d" or "b->c". ERR_NOT_FOUND, ERR_LIMIT.
MUST_USE int plan_add_program(Arena *arena, const System *sys, Plan *plan, Slice place, Slice text,
                              Err *e);
// The agents (or SYSTEM_FROM_CLIENT | client) that own something of it;
// ret_owners[PLAN_CHANGES_MAX].
size_t plan_owners(const System *sys, const Plan *plan, uint32_t *ret_owners);

#endif
