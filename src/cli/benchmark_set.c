#include "cli/benchmark_set.h"

#include "agent/benchmark.h"
#include "base/json_write.h"

enum { TOOLS = 5, STREAM_ITEMS = 100, STOP_SECONDS = 5 };

struct BenchmarkSet {
    Runner *runner;
};

typedef struct Workload {
    const char *title;
    const char *agent;
} Workload;

static const Workload WORKLOADS[] = {
    {"single agent: one event read as JSON and answered", "single"},
    {"multi-agent: five agents one after the other, one state", "multi"},
    {"streaming: 100 items an answer", "streaming"},
};

// Reads the question as JSON, writes to the state and answers: what an agent does at least.
static int run_single(AgentContext *ctx, const Event *event, State *state)
{
    const Doc *doc = NULL;
    Err e = {0};
    int rc = event_doc(event, agent_arena(ctx), &doc, &e);
    if (rc != 0) {
        return agent_fail(ctx, (ErrCode)rc, "%s", e.text);
    }
    const Doc *query = doc_get(doc, SLICE("query"));
    rc = state_set_string(state, SLICE("query"), query ? query->text : (Slice){0});
    return rc != 0 ? rc : agent_reply(ctx, SLICE("{\"answer\":\"Paris\"}"));
}

static int run_step(AgentContext *ctx, const Event *event, State *state)
{
    int rc = state_set_int(state, SLICE("steps"), state_get_int(state, SLICE("steps"), 0) + 1);
    return rc != 0 ? rc : agent_reply(ctx, event_data(event));
}

// Five calls in a row, each with the state of the one before.
static int run_multi(AgentContext *ctx, const Event *event, State *state)
{
    static const Slice steps[TOOLS] = {SLICE_INIT("step-0"), SLICE_INIT("step-1"),
                                       SLICE_INIT("step-2"), SLICE_INIT("step-3"),
                                       SLICE_INIT("step-4")};
    int rc = 0;
    for (int i = 0; i < TOOLS && rc == 0; i++) {
        AgentResult result = {0};
        EventSpec spec = {.target = steps[i], .data = event_data(event)};
        rc = agent_call(ctx, &spec, &(AgentCallOptions){.state = state}, &result, NULL);
        rc = rc == 0 ? state_replace(state, &result.state) : rc;
        agent_result_done(&result);
    }
    return rc != 0 ? rc : agent_reply(ctx, SLICE("{\"done\":true}"));
}

static int run_streaming(AgentContext *ctx, const Event *event, State *state)
{
    (void)event, (void)state;
    int rc = 0;
    for (int i = 0; i < STREAM_ITEMS && rc == 0; i++) {
        rc = agent_stream(ctx, SLICE("{\"id\":1,\"name\":\"item\",\"value\":3.14}"));
    }
    return rc;
}

static int add(Runner *runner, const char *name, AgentRunFn *run, Err *e)
{
    return runner_register(runner, &(AgentSpec){.name = slice_from_cstr(name), .run = run}, NULL,
                           e);
}

int benchmark_set_create(Arena *arena, BenchmarkSet **ret_set, Err *e)
{
    BenchmarkSet *set = ARENA_NEW(arena, BenchmarkSet);
    int rc = runner_create(&(RunnerOptions){.event_timeout_ns = 30 * NS_PER_S}, &set->runner, e);
    if (rc != 0) {
        return rc;
    }
    rc = add(set->runner, "single", run_single, e);
    rc = rc == 0 ? add(set->runner, "multi", run_multi, e) : rc;
    rc = rc == 0 ? add(set->runner, "streaming", run_streaming, e) : rc;
    for (int i = 0; i < TOOLS && rc == 0; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "step-%d", i);
        rc = add(set->runner, name, run_step, e);
    }
    rc = rc == 0 ? runner_start(set->runner, e) : rc;
    if (rc != 0) {
        benchmark_set_destroy(set);
        return rc;
    }
    *ret_set = set;
    return 0;
}

void benchmark_set_destroy(BenchmarkSet *set)
{
    if (set) {
        (void)runner_stop(set->runner, STOP_SECONDS * NS_PER_S);
        runner_destroy(set->runner);
    }
}

Runner *benchmark_set_runner(BenchmarkSet *set)
{
    return set->runner;
}

size_t benchmark_set_count(const BenchmarkSet *set)
{
    (void)set;
    return COUNT_OF(WORKLOADS);
}

const char *benchmark_set_title(const BenchmarkSet *set, size_t index)
{
    (void)set;
    return WORKLOADS[index].title;
}

Slice benchmark_set_agent(const BenchmarkSet *set, size_t index)
{
    (void)set;
    return slice_from_cstr(WORKLOADS[index].agent);
}

Slice benchmark_set_data(const BenchmarkSet *set, size_t index)
{
    (void)set;
    (void)index;
    return SLICE(BENCHMARK_QUESTION);
}
