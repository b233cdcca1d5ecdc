#include "cli/benchmark_set.h"

#include "agent/assembly.h"
#include "agent/benchmark.h"
#include "llm/fake.h"

enum { TOOLS = 5, STREAM_ITEMS = 100, STOP_SECONDS = 5 };

struct BenchmarkSet {
    FakeLlm *fake;
    Assembly *assembly;
    Runner *runner; // the assembly's
};

typedef struct Workload {
    const char *title;
    const char *agent;
} Workload;

static const Workload WORKLOADS[] = {
    {"single agent: one event read as JSON and answered", "single"},
    {"multi-agent: five agents one after the other, one state", "multi"},
    {"streaming: 100 items an answer", "streaming"},
    {"model: one agent on fake-llm, a request over HTTP for each event", "model"},
    {"team of models: three agents on fake-llm, one after the other", "team"},
};

// The models answer at once, so what is measured is the runtime, the client and HTTP. The cache is
// off: equal questions would be answered from memory.
static const char CONFIG[] = "[llm.openai]\n"
                             "base_url = \"http://127.0.0.1:%u/v1\"\n"
                             "model = \"fake\"\n"
                             "[llm.cache]\n"
                             "enabled = false\n"
                             "[agents.model]\n"
                             "llm = \"openai\"\n"
                             "system_prompt = \"Answer in one word.\"\n"
                             "[agents.planner]\n"
                             "llm = \"openai\"\n"
                             "[agents.analyst]\n"
                             "llm = \"openai\"\n"
                             "[agents.critic]\n"
                             "llm = \"openai\"\n"
                             "[orchestration]\n"
                             "name = \"team\"\n"
                             "mode = \"sequential\"\n"
                             "agents = [\"planner\", \"analyst\", \"critic\"]\n";

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

static int add_agents(Runner *runner, Err *e)
{
    int rc = add(runner, "single", run_single, e);
    rc = rc == 0 ? add(runner, "multi", run_multi, e) : rc;
    rc = rc == 0 ? add(runner, "streaming", run_streaming, e) : rc;
    for (int i = 0; i < TOOLS && rc == 0; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "step-%d", i);
        rc = add(runner, name, run_step, e);
    }
    return rc;
}

static int assemble(Arena *arena, BenchmarkSet *set, Err *e)
{
    const Doc *root = NULL;
    const AgentConfig *config = NULL;
    NetAddr addr = fake_llm_addr(set->fake);
    Slice toml = arena_printf(arena, CONFIG, net_addr_port(&addr));
    DocOptions options = {.format = DOC_FORMAT_TOML, .source = "the standard set"};
    int rc = doc_parse(arena, toml, &options, &root, e);
    if (rc != 0 || (rc = agent_config_read(arena, root, &config, e)) != 0) {
        return rc;
    }
    rc = assembly_create(&(AssemblyOptions){.config = config, .without_monitoring = true},
                         &set->assembly, e);
    if (rc != 0) {
        return rc;
    }
    set->runner = assembly_runner(set->assembly);
    rc = add_agents(set->runner, e);
    return rc != 0 ? rc : assembly_start(set->assembly, e);
}

int benchmark_set_create(Arena *arena, BenchmarkSet **ret_set, Err *e)
{
    BenchmarkSet *set = ARENA_NEW(arena, BenchmarkSet);
    int rc = fake_llm_start(&(FakeLlmOptions){.threads = 1}, &set->fake, e);
    if (rc == 0) {
        rc = assemble(arena, set, e);
    }
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
        if (set->assembly) {
            (void)assembly_stop(set->assembly, STOP_SECONDS * NS_PER_S);
        }
        assembly_destroy(set->assembly);
        fake_llm_stop(set->fake);
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
