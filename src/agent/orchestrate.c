#include "agent/orchestrate.h"

#include <assert.h>

#include "agent/runner_impl.h"

typedef struct Step {
    Slice name;
    Slice agent;
    AgentId id;      // of `agent`, once it was found; an orchestrator runs on one shard only
    uint32_t *after; // indices of steps before it
    size_t after_count;
} Step;

typedef struct Orchestrator {
    Arena *arena;
    OrchestrationSpec spec; // with copies
    Step *first;            // agents or workflow steps
    size_t first_count;
    Step *then;
    size_t then_count;
} Orchestrator;

// One run of an orchestrator.
typedef struct Run {
    AgentContext *ctx;
    const Orchestrator *o;
    State *state; // the result
    Slice data;   // for the next agent
    Bytes *held;  // what `data` lies in; NULL: in the event
    Buf errors;   // JSON objects, separated by commas
    int first_error;
    char first_reason[REASON_MAX];
    size_t succeeded;
} Run;

// ---- answers, state and errors

static void on_chunk(void *arg, Slice chunk)
{
    context_stream_now(((Run *)arg)->ctx, chunk);
}

static AgentCallOptions call_options(Run *run, const State *state)
{
    return (AgentCallOptions){.state = state, .on_chunk = on_chunk, .chunk_arg = run};
}

static EventSpec event_spec(const Run *run, Slice agent, Slice data)
{
    return (EventSpec){.target = agent,
                       .type = event_type(agent_event(run->ctx)),
                       .data = data,
                       .timeout_ns = run->o->spec.step_timeout_ns};
}

// Bytes that `data` lies in may go away: the run keeps the result's.
static void keep_answer(Run *run, AgentResult *result)
{
    if (result->data.len == 0) {
        return; // an agent without an answer passes on what it got
    }
    Bytes *bytes = result->bytes ? bytes_ref(result->bytes) : bytes_copy(result->data);
    bytes_unref(run->held);
    run->held = bytes;
    run->data = bytes_slice(bytes);
}

static int apply_state(Run *run, const State *from)
{
    switch (run->o->spec.state) {
    case STATE_MERGE: return state_merge(run->state, from);
    case STATE_OVERWRITE: return state_replace(run->state, from);
    case STATE_ISOLATE: break;
    }
    return 0;
}

static void note_error(Run *run, Slice agent, int code, const char *reason)
{
    if (run->first_error == 0) {
        run->first_error = code;
        (void)snprintf(run->first_reason, sizeof run->first_reason, "%.*s: %.80s",
                       (int)(agent.len < 40 ? agent.len : 40), agent.ptr, reason);
    }
    if (run->errors.len > 0) {
        buf_putc(&run->errors, ',');
    }
    JsonWriter w = json_writer(&run->errors, 0);
    json_object_begin(&w);
    json_field_string(&w, "agent", agent);
    json_field_cstr(&w, "code", err_name(code));
    json_field_cstr(&w, "reason", reason);
    json_object_end(&w);
}

static bool ends_now(const Run *run)
{
    return run->first_error != 0 &&
           (run->o->spec.errors == ERRORS_FAIL_FAST || agent_is_cancelled(run->ctx));
}

// The orchestrator's own end.
static int run_end(Run *run)
{
    int rc = run->first_error;
    if (rc != 0 && run->o->spec.errors != ERRORS_FAIL_FAST) {
        Buf json = buf_create(run->errors.len + 2);
        buf_putc(&json, '[');
        buf_append(&json, buf_slice(&run->errors));
        buf_putc(&json, ']');
        int set = state_set_json(run->state, SLICE("errors"), buf_slice(&json));
        rc = set != 0 ? set : rc;
        buf_done(&json);
        if (set == 0 && run->o->spec.errors == ERRORS_CONTINUE && run->succeeded > 0) {
            rc = 0;
        }
    }
    if (rc != 0) {
        rc = agent_fail(run->ctx, (ErrCode)rc, "%s",
                        run->first_error ? run->first_reason : err_name(rc));
    } else if (run->held) {
        rc = agent_reply_bytes(run->ctx, run->held);
    } else if (run->data.len > 0) {
        rc = agent_reply(run->ctx, run->data);
    }
    bytes_unref(run->held);
    buf_done(&run->errors);
    return rc;
}

// ---- one after another

static void run_one(Run *run, Slice agent, AgentId id)
{
    EventSpec spec = event_spec(run, id == AGENT_NONE ? agent : (Slice){0}, run->data);
    spec.agent = id;
    AgentCallOptions options = call_options(run, run->state);
    AgentResult result;
    Err e; // 1 KiB that a good call never touches
    int rc = agent_call(run->ctx, &spec, &options, &result, &e);
    if (rc != 0) {
        note_error(run, agent, rc, e.text);
    } else {
        run->succeeded++;
        keep_answer(run, &result);
        if ((rc = apply_state(run, &result.state)) != 0) {
            note_error(run, agent, rc, "the merged state has too many keys");
        }
    }
    agent_result_done(&result);
}

static void run_sequence(Run *run, Step *steps, size_t count)
{
    for (size_t i = 0; i < count && !ends_now(run); i++) {
        if (steps[i].id == AGENT_NONE) {
            steps[i].id = runner_find(agent_runner(run->ctx), steps[i].agent);
        }
        run_one(run, steps[i].agent, steps[i].id);
    }
}

static void run_loop(Run *run)
{
    const OrchestrationSpec *spec = &run->o->spec;
    uint32_t max = spec->max_iterations ? spec->max_iterations : ORCHESTRATE_ITERATIONS;
    uint32_t i = 0;
    while (i < max && !ends_now(run) &&
           !state_get_bool(run->state, SLICE("loop_completed"), false)) {
        run_sequence(run, run->o->first, run->o->first_count);
        i++;
    }
    if (spec->state != STATE_ISOLATE &&
        state_set_int(run->state, SLICE("loop_iterations"), i) != 0) {
        note_error(run, spec->name, ERR_LIMIT, "the state is full");
    }
}

// ---- many at once

typedef enum StepPhase { STEP_WAITS, STEP_RUNS, STEP_DONE, STEP_FAILED, STEP_SKIPPED } StepPhase;

typedef struct StepRun {
    AgentCall call;
    StepPhase phase;
} StepRun;

typedef struct Graph {
    Run *run;
    const Step *steps;
    size_t count;
    StepRun *states;
    AgentCall **open; // by step; NULL: not running
    size_t running, left;
} Graph;

// A text that is JSON as itself, any other as a string.
static void write_answer(JsonWriter *w, Arena *arena, Slice text)
{
    const Doc *doc = NULL;
    if (text.len == 0) {
        json_null(w);
    } else if (doc_parse(arena, text, NULL, &doc, NULL) == 0) {
        json_raw(w, text);
    } else {
        json_string(w, text);
    }
}

static size_t answers_max(const Run *run)
{
    return run->ctx->shard->runner->options.data_max;
}

// What a step gets: the event's data, the answer of its one predecessor, or all of theirs by name.
static Slice step_data(const Graph *g, const Step *step, Buf *buf)
{
    if (step->after_count == 0) {
        return g->run->data;
    }
    if (step->after_count == 1) {
        return g->states[step->after[0]].call.result.data;
    }
    JsonWriter w = json_writer(buf, 0);
    json_object_begin(&w);
    for (size_t i = 0; i < step->after_count; i++) {
        json_key(&w, g->steps[step->after[i]].name);
        write_answer(&w, agent_arena(g->run->ctx), g->states[step->after[i]].call.result.data);
    }
    json_object_end(&w);
    return buf_slice(buf);
}

static int step_state(const Graph *g, const Step *step, State *ret_state)
{
    *ret_state = state_clone(g->run->state);
    int rc = 0;
    for (size_t i = 0; i < step->after_count && rc == 0; i++) {
        const State *from = &g->states[step->after[i]].call.result.state;
        if (g->run->o->spec.state == STATE_MERGE) {
            rc = state_merge(ret_state, from);
        } else if (g->run->o->spec.state == STATE_OVERWRITE) {
            rc = state_replace(ret_state, from);
        }
    }
    return rc;
}

static void step_end(Graph *g, size_t i, int code, const char *reason)
{
    g->states[i].phase = code == 0 ? STEP_DONE : STEP_FAILED;
    g->left--;
    if (code == 0) {
        g->run->succeeded++;
    } else {
        note_error(g->run, g->steps[i].name, code, reason);
    }
}

static void step_start(Graph *g, size_t i)
{
    const Step *step = &g->steps[i];
    Buf buf = buf_create(answers_max(g->run));
    EventSpec spec = event_spec(g->run, step->agent, step_data(g, step, &buf));
    Err e = {0};
    State state;
    int rc = step_state(g, step, &state);
    if (rc == 0) {
        rc = buf_check(&buf, "the answers of its predecessors", &e);
    } else {
        (void)snprintf(e.text, sizeof e.text, "the states before it have too many keys");
    }
    if (rc == 0) {
        AgentCallOptions options = call_options(g->run, &state);
        rc = agent_call_start(g->run->ctx, &spec, &options, &g->states[i].call, &e);
    }
    if (rc == 0) {
        g->states[i].phase = STEP_RUNS;
        g->open[i] = &g->states[i].call;
        g->running++;
    } else {
        step_end(g, i, rc, e.text);
    }
    state_done(&state);
    buf_done(&buf);
}

// Ready: all before it are done. A step after a failed one is skipped.
static bool step_ready(Graph *g, size_t i)
{
    if (g->states[i].phase != STEP_WAITS) {
        return false;
    }
    bool ready = true;
    for (size_t k = 0; k < g->steps[i].after_count; k++) {
        StepPhase before = g->states[g->steps[i].after[k]].phase;
        if (before == STEP_FAILED || before == STEP_SKIPPED) {
            g->states[i].phase = STEP_SKIPPED;
            g->left--;
            note_error(g->run, g->steps[i].name, ERR_CANCELLED, "a step before it failed");
            return false;
        }
        ready = ready && before == STEP_DONE;
    }
    return ready;
}

// Steps are in an order in which no step comes before one it needs, so one pass sees all effects.
static void start_ready(Graph *g)
{
    uint32_t max = g->run->o->spec.max_concurrent;
    for (size_t i = 0; i < g->count && !ends_now(g->run); i++) {
        if ((max == 0 || g->running < max) && step_ready(g, i)) {
            step_start(g, i);
        }
    }
}

static void finish_answers(Graph *g)
{
    Run *run = g->run;
    bool any = false;
    for (size_t i = 0; i < g->count; i++) {
        AgentResult *result = &g->states[i].call.result;
        if (g->states[i].phase == STEP_DONE) {
            any = any || result->data.len > 0;
            if (apply_state(run, &result->state) != 0) {
                note_error(run, g->steps[i].name, ERR_LIMIT, "the merged state has too many keys");
            }
        }
    }
    if (!any) {
        return;
    }
    Buf out = buf_create(answers_max(run));
    JsonWriter w = json_writer(&out, 0);
    json_object_begin(&w);
    for (size_t i = 0; i < g->count; i++) {
        if (g->states[i].phase == STEP_DONE) {
            json_key(&w, g->steps[i].name);
            write_answer(&w, agent_arena(run->ctx), g->states[i].call.result.data);
        }
    }
    json_object_end(&w);
    if (out.overflowed) {
        note_error(run, run->o->spec.name, ERR_LIMIT, "the answers together are too large");
    } else {
        AgentResult all = {.data = buf_slice(&out)};
        keep_answer(run, &all);
    }
    buf_done(&out);
}

static void run_graph(Run *run, const Step *steps, size_t count)
{
    Graph g = {.run = run,
               .steps = steps,
               .count = count,
               .left = count,
               .states = ARENA_ARRAY(agent_arena(run->ctx), StepRun, count),
               .open = ARENA_ARRAY(agent_arena(run->ctx), AgentCall *, count)};
    start_ready(&g);
    while (g.running > 0 && !ends_now(run)) {
        int i = agent_call_wait_any(run->ctx, g.open, count);
        if (i < 0) {
            note_error(run, run->o->spec.name, i, "cancelled");
            break;
        }
        g.open[i] = NULL;
        g.running--;
        const AgentResult *result = &g.states[i].call.result;
        step_end(&g, (size_t)i, result->code, result->reason);
        if (g.left > g.running) {
            start_ready(&g);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (g.open[i]) {
            agent_call_drop(run->ctx, g.open[i]);
        }
    }
    finish_answers(&g);
    for (size_t i = 0; i < count; i++) {
        agent_result_done(&g.states[i].call.result);
    }
}

// ---- route

static Slice choose_route(Run *run, StateValue *held)
{
    const OrchestrationSpec *spec = &run->o->spec;
    const Event *event = agent_event(run->ctx);
    for (size_t i = 0; i < spec->route_count; i++) {
        if (slice_eq(spec->routes[i].type, event_type(event))) {
            return spec->routes[i].agent;
        }
    }
    if (state_get(run->state, SLICE("route"), held) && held->type == STATE_STRING) {
        return held->text;
    }
    const Doc *doc = NULL;
    if (slice_find(run->data, SLICE("\"route\"")) >= 0 &&
        event_doc(event, agent_arena(run->ctx), &doc, NULL) == 0) {
        const Doc *route = doc_get(doc, SLICE("route"));
        if (route && route->type == DOC_STRING) {
            return route->text;
        }
    }
    return spec->agent_count > 0 ? spec->agents[0] : (Slice){0};
}

static void run_route(Run *run)
{
    StateValue held = {.held = NULL};
    Slice agent = choose_route(run, &held);
    if (agent.len > 0) {
        run_one(run, agent, AGENT_NONE);
    } else {
        note_error(run, run->o->spec.name, ERR_NOT_FOUND,
                   "the event names no route, and there is no default");
    }
    state_value_done(&held);
}

static int orchestrate(AgentContext *ctx, const Event *event, State *state)
{
    const Orchestrator *o = agent_self(ctx);
    Run run = {.ctx = ctx, .o = o, .state = state, .data = event_data(event)};
    run.errors = buf_create(answers_max(&run));
    switch (o->spec.mode) {
    case ORCHESTRATE_ROUTE: run_route(&run); break;
    case ORCHESTRATE_SEQUENTIAL: run_sequence(&run, o->first, o->first_count); break;
    case ORCHESTRATE_LOOP: run_loop(&run); break;
    case ORCHESTRATE_PARALLEL:
    case ORCHESTRATE_WORKFLOW: run_graph(&run, o->first, o->first_count); break;
    case ORCHESTRATE_MIXED:
        run_graph(&run, o->first, o->first_count);
        run_sequence(&run, o->then, o->then_count);
        break;
    }
    return run_end(&run);
}

// ---- registering

static Step *steps_of_list(Arena *arena, const Slice *agents, size_t count)
{
    Step *steps = ARENA_ARRAY(arena, Step, count + 1);
    for (size_t i = 0; i < count; i++) {
        steps[i].name = steps[i].agent = arena_copy(arena, agents[i]);
        steps[i].id = AGENT_NONE;
    }
    return steps;
}

static int find_step(const OrchestrationSpec *spec, Slice name, size_t *ret_index)
{
    for (size_t i = 0; i < spec->step_count; i++) {
        if (slice_eq(spec->steps[i].name, name)) {
            *ret_index = i;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

static int check_step(const OrchestrationSpec *spec, size_t i, Err *e)
{
    const WorkflowStep *step = &spec->steps[i];
    size_t at = i;
    if (step->name.len == 0) {
        return err_set(e, ERR_ARG, "step %zu of workflow \"%.*s\" has no name", i + 1,
                       SLICE_FMT(spec->name));
    }
    if (find_step(spec, step->name, &at) == 0 && at != i) {
        return err_set(e, ERR_ARG, "workflow \"%.*s\" has two steps \"%.*s\"",
                       SLICE_FMT(spec->name), SLICE_FMT(step->name));
    }
    for (size_t k = 0; k < step->after_count; k++) {
        if (find_step(spec, step->after[k], &at) != 0) {
            return err_set(e, ERR_ARG,
                           "step \"%.*s\" of workflow \"%.*s\" comes after \"%.*s\", which is no "
                           "step of it",
                           SLICE_FMT(step->name), SLICE_FMT(spec->name), SLICE_FMT(step->after[k]));
        }
    }
    return 0;
}

// True when every step before `i` has its place in the order.
static bool is_placeable(const OrchestrationSpec *spec, size_t i, const uint32_t *place)
{
    for (size_t k = 0; k < spec->steps[i].after_count; k++) {
        size_t before = 0;
        if (find_step(spec, spec->steps[i].after[k], &before) != 0 || place[before] == UINT32_MAX) {
            return false;
        }
    }
    return true;
}

static void place_step(Orchestrator *o, const OrchestrationSpec *spec, size_t i,
                       const uint32_t *place, Step *step)
{
    const WorkflowStep *from = &spec->steps[i];
    step->name = arena_copy(o->arena, from->name);
    step->agent = from->agent.len > 0 ? arena_copy(o->arena, from->agent) : step->name;
    step->after_count = from->after_count;
    step->after = ARENA_ARRAY(o->arena, uint32_t, from->after_count + 1);
    for (size_t k = 0; k < from->after_count; k++) {
        size_t before = 0;
        int rc = find_step(spec, from->after[k], &before);
        assert(rc == 0);
        (void)rc;
        step->after[k] = place[before];
    }
}

// Puts the steps into an order in which each comes after those it needs (Kahn, "Topological sorting
// of large networks", 1962); what cannot be placed lies on a circle or behind one.
static int sort_steps(Orchestrator *o, const OrchestrationSpec *spec, Err *e)
{
    uint32_t *place = ARENA_ARRAY(o->arena, uint32_t, spec->step_count + 1);
    memset(place, 0xff, spec->step_count * sizeof *place);
    o->first = ARENA_ARRAY(o->arena, Step, spec->step_count + 1);
    size_t stuck = 0;
    for (bool progress = true; progress && o->first_count < spec->step_count;) {
        progress = false;
        for (size_t i = 0; i < spec->step_count; i++) {
            if (place[i] != UINT32_MAX) {
                continue;
            }
            stuck = i;
            if (is_placeable(spec, i, place)) {
                place_step(o, spec, i, place, &o->first[o->first_count]);
                place[i] = (uint32_t)o->first_count++;
                progress = true;
            }
        }
    }
    if (o->first_count == spec->step_count) {
        return 0;
    }
    return err_set(e, ERR_ARG,
                   "the steps of workflow \"%.*s\" form a circle: \"%.*s\" needs itself by way of "
                   "what it comes after",
                   SLICE_FMT(spec->name), SLICE_FMT(spec->steps[stuck].name));
}

static int check_counts(const OrchestrationSpec *spec, Err *e)
{
    size_t most = spec->agent_count;
    most = spec->then_count > most ? spec->then_count : most;
    most = spec->step_count > most ? spec->step_count : most;
    most = spec->route_count > most ? spec->route_count : most;
    if (most > ORCHESTRATE_AGENTS_MAX) {
        return err_set(e, ERR_LIMIT, "orchestrator \"%.*s\" has %zu agents, the limit is %d",
                       SLICE_FMT(spec->name), most, ORCHESTRATE_AGENTS_MAX);
    }
    size_t needed = spec->mode == ORCHESTRATE_WORKFLOW ? spec->step_count
                    : spec->mode == ORCHESTRATE_ROUTE  ? 1
                                                       : spec->agent_count;
    if (needed == 0) {
        return err_set(e, ERR_ARG, "orchestrator \"%.*s\" has no agents to run",
                       SLICE_FMT(spec->name));
    }
    return 0;
}

static int build(Orchestrator *o, const OrchestrationSpec *spec, Err *e)
{
    int rc = check_counts(spec, e);
    for (size_t i = 0; i < spec->step_count && rc == 0; i++) {
        rc = check_step(spec, i, e);
    }
    if (rc != 0) {
        return rc;
    }
    o->spec = *spec;
    o->spec.name = arena_copy(o->arena, spec->name);
    Slice *agents = ARENA_ARRAY(o->arena, Slice, spec->agent_count + 1);
    for (size_t i = 0; i < spec->agent_count; i++) {
        agents[i] = arena_copy(o->arena, spec->agents[i]);
    }
    o->spec.agents = agents;
    Route *routes = ARENA_ARRAY(o->arena, Route, spec->route_count + 1);
    for (size_t i = 0; i < spec->route_count; i++) {
        routes[i].type = arena_copy(o->arena, spec->routes[i].type);
        routes[i].agent = arena_copy(o->arena, spec->routes[i].agent);
    }
    o->spec.routes = routes;
    if (spec->mode == ORCHESTRATE_WORKFLOW) {
        return sort_steps(o, spec, e);
    }
    o->first = steps_of_list(o->arena, spec->agents, spec->agent_count);
    o->first_count = spec->agent_count;
    o->then = steps_of_list(o->arena, spec->then, spec->then_count);
    o->then_count = spec->then_count;
    return 0;
}

static void orchestrator_destroy(void *self)
{
    arena_destroy(((Orchestrator *)self)->arena);
}

int orchestrator_register(Runner *runner, const OrchestrationSpec *spec, AgentId *ret_id, Err *e)
{
    Arena *arena = arena_create(64 << 20);
    Orchestrator *o = ARENA_NEW(arena, Orchestrator);
    o->arena = arena;
    int rc = build(o, spec, e);
    if (rc == 0) {
        AgentSpec agent = {
            .name = spec->name, .run = orchestrate, .self = o, .destroy = orchestrator_destroy};
        rc = runner_register(runner, &agent, ret_id, e);
    }
    if (rc != 0) {
        arena_destroy(arena);
    }
    return rc;
}

// ---- names

typedef struct NamedValue {
    const char *name;
    int value;
} NamedValue;

static bool by_name(const NamedValue *table, size_t count, Slice name, int *ret_value)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq_cstr(name, table[i].name)) {
            *ret_value = table[i].value;
            return true;
        }
    }
    return false;
}

bool orchestration_mode_by_name(Slice name, OrchestrationMode *ret_mode)
{
    static const NamedValue modes[] = {
        {"route", ORCHESTRATE_ROUTE},
        {"sequential", ORCHESTRATE_SEQUENTIAL},
        {"parallel", ORCHESTRATE_PARALLEL},
        {"collaborate", ORCHESTRATE_PARALLEL},
        {"collaborative", ORCHESTRATE_PARALLEL},
        {"loop", ORCHESTRATE_LOOP},
        {"mixed", ORCHESTRATE_MIXED},
        {"workflow", ORCHESTRATE_WORKFLOW},
        {"dag", ORCHESTRATE_WORKFLOW},
    };
    int value;
    if (!by_name(modes, COUNT_OF(modes), name, &value)) {
        return false;
    }
    *ret_mode = (OrchestrationMode)value;
    return true;
}

bool error_strategy_by_name(Slice name, ErrorStrategy *ret_strategy)
{
    static const NamedValue strategies[] = {{"fail_fast", ERRORS_FAIL_FAST},
                                            {"collect", ERRORS_COLLECT},
                                            {"collect_all", ERRORS_COLLECT},
                                            {"continue", ERRORS_CONTINUE}};
    int value;
    if (!by_name(strategies, COUNT_OF(strategies), name, &value)) {
        return false;
    }
    *ret_strategy = (ErrorStrategy)value;
    return true;
}

bool state_strategy_by_name(Slice name, StateStrategy *ret_strategy)
{
    static const NamedValue strategies[] = {
        {"merge", STATE_MERGE}, {"overwrite", STATE_OVERWRITE}, {"isolate", STATE_ISOLATE}};
    int value;
    if (!by_name(strategies, COUNT_OF(strategies), name, &value)) {
        return false;
    }
    *ret_strategy = (StateStrategy)value;
    return true;
}
