// Orchestrators: agents that run other agents. To the runner they are agents like any other, so
// they nest, and policies, deadlines, hooks and metrics hold for them as for all.
//
//   route        one agent, chosen by the event
//   sequential   one after another; each gets the answer of the one before
//   parallel     all at once ("collaborate"); the answers come as one JSON object by agent
//   loop         the sequence again until the state has "loop_completed": true, or max_iterations
//   mixed        first `agents` in parallel, then `then` in sequence
//   workflow     steps that name the steps they need: a directed graph without circles
//
//     static const Slice team[] = {SLICE_INIT("planner"), SLICE_INIT("critic")};
//     OrchestrationSpec spec = {.name = SLICE("team"), .mode = ORCHESTRATE_SEQUENTIAL,
//                               .agents = team, .agent_count = 2};
//     rc = orchestrator_register(runner, &spec, NULL, e);
//
// State. Every agent begins with the state as its predecessors left it (in parallel: as the
// orchestrator got it). With STATE_MERGE what it leaves is merged into the result, in the order of
// the list whatever finished first; with STATE_OVERWRITE it replaces the result (in parallel: the
// last of the list wins); with STATE_ISOLATE it is dropped: only answers travel.
//
// Errors. ERRORS_FAIL_FAST ends with the first error and cancels what runs. ERRORS_COLLECT runs
// everything that can run and fails with the first error. ERRORS_CONTINUE runs everything that can
// run, and fails only where nothing succeeded. Both write the state's "errors": a JSON array of
// {agent, code, reason}. A workflow step whose predecessor failed is skipped and listed there.
//
// Pieces that agents stream go through to the orchestrator's caller as they come.
#ifndef AGENT_ORCHESTRATE_H
#define AGENT_ORCHESTRATE_H

#include "agent/runner.h"

typedef enum OrchestrationMode {
    ORCHESTRATE_ROUTE,
    ORCHESTRATE_SEQUENTIAL,
    ORCHESTRATE_PARALLEL,
    ORCHESTRATE_LOOP,
    ORCHESTRATE_MIXED,
    ORCHESTRATE_WORKFLOW,
} OrchestrationMode;

typedef enum ErrorStrategy { ERRORS_FAIL_FAST, ERRORS_COLLECT, ERRORS_CONTINUE } ErrorStrategy;
typedef enum StateStrategy { STATE_MERGE, STATE_OVERWRITE, STATE_ISOLATE } StateStrategy;

typedef struct WorkflowStep {
    Slice name;         // unique in the workflow
    Slice agent;        // empty: as the name
    const Slice *after; // names of steps whose answers it needs
    size_t after_count; // one: it gets that answer; several: a JSON object by step
} WorkflowStep;

// Where events of a type go.
typedef struct Route {
    Slice type;
    Slice agent;
} Route;

enum {
    ORCHESTRATE_AGENTS_MAX = 1000, // agents, steps or routes of one orchestrator
    ORCHESTRATE_ITERATIONS = 10,   // default max_iterations
};

// Everything is copied.
typedef struct OrchestrationSpec {
    Slice name;
    OrchestrationMode mode;
    const Slice *agents; // sequential, parallel, loop, mixed; route: [0] gets what no route takes
    size_t agent_count;
    const Slice *then; // mixed: the second phase
    size_t then_count;
    const WorkflowStep *steps; // workflow
    size_t step_count;
    const Route *routes; // route
    size_t route_count;
    uint32_t max_iterations; // loop; 0: ORCHESTRATE_ITERATIONS
    uint32_t max_concurrent; // parallel, mixed, workflow: calls at once; 0: no limit
    int64_t step_timeout_ns; // of each call; 0: none but the event's own
    ErrorStrategy errors;
    StateStrategy state;
} OrchestrationSpec;

// ERR_ARG with the step's name for empty lists, unknown or repeated steps and circles; else as
// runner_register. Agents are looked up when they are called.
//
// A route is chosen by, in this order: the route of the event's type, the state's "route", the
// member "route" of the event's data, agents[0]. None of them: ERR_NOT_FOUND.
MUST_USE int orchestrator_register(Runner *runner, const OrchestrationSpec *spec, AgentId *ret_id,
                                   Err *e);

// "route", "sequential", "parallel" or "collaborate", "loop", "mixed", "workflow" or "dag"; the
// others likewise: "fail_fast", "collect" or "collect_all", "continue"; "merge", "overwrite",
// "isolate". False: unknown.
bool orchestration_mode_by_name(Slice name, OrchestrationMode *ret_mode);
bool error_strategy_by_name(Slice name, ErrorStrategy *ret_strategy);
bool state_strategy_by_name(Slice name, StateStrategy *ret_strategy);

#endif
