// What an event costs in the agent runtime, by workload. Everything that users would have on is on:
// metrics, a deadline on every event, hooks at every point, a retry policy around every agent.
//
//   agent_runtime [--json] [--seconds S] [WORKLOAD...]
//
// Figures are of one machine at one moment; bench/agent takes turns with the Go module it is
// compared with. An event of an orchestrator is one run of all its agents.
#include <malloc.h>
#include <stdatomic.h>
#include <unistd.h>

#include "agent/orchestrate.h"

// ---- allocations

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *ptr, size_t bytes);
static atomic_ulong allocations;

void *malloc(size_t bytes)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_calloc(count, bytes);
}
void *realloc(void *ptr, size_t bytes)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_realloc(ptr, bytes);
}

static size_t resident_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    char text[128] = "";
    if (f) {
        (void)!fgets(text, sizeof text, f);
        (void)fclose(f);
    }
    char *space = strchr(text, ' ');
    return space ? strtoul(space + 1, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

// ---- the world

static uint64_t hook_calls;

static void on_hook(void *arg, const HookInfo *info)
{
    (void)arg;
    (void)info;
    hook_calls++;
}

typedef struct Bench {
    const char *name;
    double seconds;
    bool json;
    int printed;
} Bench;

typedef struct Measure {
    uint64_t events; // per operation 1 unless `per` says otherwise
    int64_t elapsed_ns;
    int64_t cpu_ns;
    unsigned long allocations;
} Measure;

// Of all threads: on a busy machine it says more than the time of day.
static int64_t cpu_now(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static Runner *open_runner(unsigned shards, uint32_t event_buffer)
{
    Runner *runner;
    Err e = {0};
    RunnerOptions options = {.shards = shards,
                             .event_timeout_ns = 30 * NS_PER_S,
                             .hops_max = UINT16_MAX - 2,
                             .spin_ns = 50000,
                             .event_buffer = event_buffer};
    if (runner_create(&options, &runner, &e) != 0) {
        die("%s", e.text);
    }
    for (int p = 0; p < HOOK_POINTS; p++) {
        if (runner_hook(runner, (HookPoint)p, on_hook, NULL, &e) != 0) {
            die("%s", e.text);
        }
    }
    return runner;
}

static AgentId add(Runner *runner, const char *name, AgentRunFn *run, void *self)
{
    AgentId id;
    Err e = {0};
    ParamValue policies[POLICY_PARAM_COUNT];
    policy_defaults(policies);
    policies[P_RETRY_ATTEMPTS].integer = 3;
    AgentSpec spec = {
        .name = slice_from_cstr(name), .run = run, .self = self, .policies = policies};
    if (runner_register(runner, &spec, &id, &e) != 0) {
        die("%s", e.text);
    }
    return id;
}

static void start(Runner *runner)
{
    Err e = {0};
    if (runner_start(runner, &e) != 0) {
        die("%s", e.text);
    }
}

static void report(Bench *b, const char *name, const Measure *m)
{
    double per_event = (double)m->elapsed_ns / (double)m->events;
    double rate = 1e9 / per_event;
    double cpu = (double)m->cpu_ns / (double)m->events;
    if (b->json) {
        printf("%s\n  {\"workload\": \"%s\", \"events_per_s\": %.0f, \"ns_per_event\": %.1f, "
               "\"cpu_ns_per_event\": %.1f, \"allocations_per_event\": %.4f}",
               b->printed++ ? "," : "", name, rate, per_event, cpu,
               (double)m->allocations / (double)m->events);
    } else {
        printf("%-24s %12.0f /s %10.1f ns %10.1f ns CPU %8.4f allocations\n", name, rate, per_event,
               cpu, (double)m->allocations / (double)m->events);
    }
}

// ---- workloads

typedef struct Flow {
    AgentId *targets;
    size_t count, next;
    uint64_t left;
    atomic_ulong handled;
} Flow;

static int sink(AgentContext *ctx, const Event *event, State *state)
{
    (void)event;
    (void)state;
    Flow *flow = agent_self(ctx);
    unsigned long n = atomic_load_explicit(&flow->handled, memory_order_relaxed);
    atomic_store_explicit(&flow->handled, n + 1, memory_order_relaxed);
    return 0;
}

static int source(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    Flow *flow = agent_self(ctx);
    for (uint64_t i = 0; i < flow->left; i++) {
        AgentId target = flow->targets[flow->next];
        flow->next = flow->next + 1 == flow->count ? 0 : flow->next + 1;
        EventSpec spec = {.agent = target, .type = SLICE("tick"), .data = event_data(event)};
        int rc = agent_emit(ctx, &spec, NULL);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static void wait_for(Runner *runner)
{
    while (runner_counts(runner).in_flight > 0) {
        (void)usleep(100);
    }
}

// A source emits to `flow->targets` in turn; `events` a second are expected at least.
static void flow_measure(Bench *b, const char *name, Runner *runner, Flow *flow, double events)
{
    (void)add(runner, "source", source, flow);
    start(runner);
    EventSpec spec = {.target = SLICE("source"), .data = SLICE("{\"n\":1}")};
    flow->left = (uint64_t)(events / 20); // warms pools and pages
    (void)!runner_emit(runner, &spec, NULL);
    wait_for(runner);
    flow->left = (uint64_t)(b->seconds * events);
    unsigned long before = atomic_load(&allocations);
    int64_t cpu = cpu_now();
    int64_t begin = clock_now(clock_real());
    (void)!runner_emit(runner, &spec, NULL);
    wait_for(runner);
    Measure m = {.events = flow->left,
                 .elapsed_ns = clock_now(clock_real()) - begin,
                 .cpu_ns = cpu_now() - cpu,
                 .allocations = atomic_load(&allocations) - before};
    report(b, name, &m);
    RunnerCounts counts = runner_counts(runner);
    if (counts.failed > 0) {
        die("%s: %llu events failed", name, (unsigned long long)counts.failed);
    }
    (void)runner_stop(runner, NS_PER_S);
    runner_destroy(runner);
}

static void flow_run(Bench *b, const char *name, size_t agents)
{
    // A thousand agents have room for 4,000 events in all, which one agent has alone.
    Runner *runner = open_runner(1, agents > 1 ? 4 : 4096);
    Flow flow = {.targets = mem_alloc(agents * sizeof(AgentId)), .count = agents};
    for (size_t i = 0; i < agents; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "sink-%zu", i);
        flow.targets[i] = add(runner, text, sink, &flow);
    }
    flow_measure(b, name, runner, &flow, 4e6);
    free(flow.targets);
}

static int same(AgentContext *ctx, const Event *event, State *state)
{
    (void)ctx;
    (void)event;
    (void)state;
    return 0;
}

static void team_run(Bench *b, const char *name, OrchestrationSpec spec, size_t agents,
                     double events)
{
    Runner *runner = open_runner(1, 4096);
    Slice names[16];
    char texts[16][16];
    for (size_t i = 0; i < agents; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "agent-%zu", i);
        names[i] = slice_from_cstr(texts[i]);
        (void)add(runner, texts[i], same, NULL);
    }
    AgentId id;
    Err e = {0};
    spec.name = SLICE("team");
    spec.agents = names;
    spec.agent_count = agents;
    if (orchestrator_register(runner, &spec, &id, &e) != 0) {
        die("%s", e.text);
    }
    Flow flow = {.targets = &id, .count = 1};
    flow_measure(b, name, runner, &flow, events);
}

static void route(Bench *b)
{
    team_run(b, "route", (OrchestrationSpec){.mode = ORCHESTRATE_ROUTE}, 1, 1e6);
}

static void sequential(Bench *b)
{
    team_run(b, "sequential x5", (OrchestrationSpec){.mode = ORCHESTRATE_SEQUENTIAL}, 5, 3e5);
}

static void parallel(Bench *b)
{
    team_run(b, "parallel x10", (OrchestrationSpec){.mode = ORCHESTRATE_PARALLEL}, 10, 2e5);
}

static void loop(Bench *b)
{
    OrchestrationSpec spec = {.mode = ORCHESTRATE_LOOP, .max_iterations = 10};
    team_run(b, "loop x10", spec, 1, 2e5);
}

static void one_to_one(Bench *b)
{
    flow_run(b, "one-to-one", 1);
}

static void thousand_agents(Bench *b)
{
    flow_run(b, "1,000 agents", 1000);
}

static void from_outside(Bench *b)
{
    Runner *runner = open_runner(1, 4096);
    Flow flow = {0};
    AgentId id = add(runner, "sink", sink, &flow);
    start(runner);
    EventSpec spec = {.agent = id, .data = SLICE("{\"n\":1}")};
    uint64_t count = (uint64_t)(b->seconds * 1e6);
    unsigned long before = atomic_load(&allocations);
    int64_t cpu = cpu_now();
    int64_t begin = clock_now(clock_real());
    for (uint64_t i = 0; i < count; i++) {
        (void)!runner_emit(runner, &spec, NULL);
    }
    wait_for(runner);
    Measure m = {.events = count,
                 .elapsed_ns = clock_now(clock_real()) - begin,
                 .cpu_ns = cpu_now() - cpu,
                 .allocations = atomic_load(&allocations) - before};
    report(b, "emit-to-handler", &m);
    (void)runner_stop(runner, NS_PER_S);
    runner_destroy(runner);
}

typedef struct Pong {
    AgentId other;
    uint64_t left;
    Hist hop;
} Pong;

static int pong(AgentContext *ctx, const Event *event, State *state)
{
    (void)state;
    Pong *p = agent_self(ctx);
    hist_record(&p->hop, agent_now(ctx) - event->created_ns);
    if (p->left == 0) {
        return 0;
    }
    p->left--;
    EventSpec spec = {.agent = p->other, .data = event_data(event)};
    return agent_emit(ctx, &spec, NULL);
}

static void ping_pong(Bench *b, const char *name, unsigned shards, double rounds)
{
    Runner *runner = open_runner(shards, 4096);
    Pong p[2] = {0};
    hist_init(&p[0].hop);
    hist_init(&p[1].hop);
    // Two names that live on different shards, if there are two.
    AgentId ids[64];
    unsigned homes[64];
    size_t count = 0;
    for (; count < 64; count++) {
        char text[32];
        (void)snprintf(text, sizeof text, "agent-%zu", count);
        homes[count] = (unsigned)(slice_hash(slice_from_cstr(text)) % shards);
        bool first = count == 0;
        bool last = !first && (shards == 1 || homes[count] != homes[0]);
        ids[count] = add(runner, text, pong, first ? &p[0] : &p[1]);
        if (last) {
            break;
        }
    }
    p[0].other = ids[count];
    p[1].other = ids[0];
    start(runner);
    unsigned long before = 0;
    int64_t begin = 0, cpu = 0;
    Measure m = {0};
    for (int phase = 0; phase < 2; phase++) {
        uint64_t left = phase == 0 ? 1000 : (uint64_t)(rounds * b->seconds);
        m.events = left;
        before = atomic_load(&allocations);
        cpu = cpu_now();
        begin = clock_now(clock_real());
        while (left > 0) { // a chain is at most hops_max long
            uint64_t part = left < 60000 ? left : 60000;
            p[0].left = part / 2;
            p[1].left = part - part / 2;
            left -= part;
            EventSpec spec = {.agent = ids[0], .data = SLICE("{\"n\":1}")};
            (void)!runner_emit(runner, &spec, NULL);
            wait_for(runner);
        }
        m.elapsed_ns = clock_now(clock_real()) - begin;
        m.cpu_ns = cpu_now() - cpu;
        m.allocations = atomic_load(&allocations) - before;
    }
    report(b, name, &m);
    hist_merge(&p[0].hop, &p[1].hop);
    if (!b->json) {
        printf("%-24s p50 %.0f ns, p99 %.0f ns\n", "", hist_quantile(&p[0].hop, 0.5),
               hist_quantile(&p[0].hop, 0.99));
    } else {
        printf(",\n  {\"workload\": \"%s hop\", \"p50_ns\": %.0f, \"p99_ns\": %.0f}", name,
               hist_quantile(&p[0].hop, 0.5), hist_quantile(&p[0].hop, 0.99));
    }
    (void)runner_stop(runner, NS_PER_S);
    runner_destroy(runner);
    hist_done(&p[0].hop);
    hist_done(&p[1].hop);
}

static void ping_pong_here(Bench *b)
{
    ping_pong(b, "ping-pong", 1, 4e6);
}

static void ping_pong_across(Bench *b)
{
    ping_pong(b, "ping-pong across shards", 2, 1e5);
}

static void idle_agents(Bench *b)
{
    enum { AGENTS = 100000 };
    size_t before = resident_bytes();
    Runner *runner = open_runner(1, 4096);
    for (size_t i = 0; i < AGENTS; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "idle-%zu", i);
        (void)add(runner, text, sink, NULL);
    }
    start(runner);
    size_t after = resident_bytes();
    double mib = (double)(after - before) / (1 << 20);
    if (b->json) {
        printf("%s\n  {\"workload\": \"100,000 idle agents\", \"resident_mib\": %.1f}",
               b->printed++ ? "," : "", mib);
    } else {
        printf("%-24s %12.1f MiB\n", "100,000 idle agents", mib);
    }
    runner_destroy(runner);
}

// Resident memory before and after 10^8 events a second of --seconds: it has to stay where it is.
static void flat(Bench *b)
{
    enum { PARTS = 10 };
    Runner *runner = open_runner(1, 4096);
    Flow flow = {.count = 1};
    AgentId id = add(runner, "sink-0", sink, &flow);
    flow.targets = &id;
    (void)add(runner, "source", source, &flow);
    start(runner);
    EventSpec spec = {.target = SLICE("source"), .data = SLICE("{\"n\":1}")};
    size_t first = 0, last = 0;
    for (int part = 0; part <= PARTS; part++) {
        flow.left = part == 0 ? 1000000 : (uint64_t)(b->seconds * 1e8 / PARTS);
        (void)!runner_emit(runner, &spec, NULL);
        wait_for(runner);
        last = resident_bytes();
        first = part == 0 ? last : first;
    }
    double million = b->seconds * 1e8 / 1e6;
    if (b->json) {
        printf("%s\n  {\"workload\": \"flat\", \"million_events\": %.0f, \"resident_first\": %zu, "
               "\"resident_last\": %zu}",
               b->printed++ ? "," : "", million, first, last);
    } else {
        printf("%-24s %.1f MiB after a million events, %.1f MiB after %.0f million more\n", "flat",
               (double)first / (1 << 20), (double)last / (1 << 20), million);
    }
    (void)runner_stop(runner, NS_PER_S);
    runner_destroy(runner);
}

static const struct {
    const char *name;
    void (*run)(Bench *b);
} workloads[] = {
    {"one-to-one", one_to_one},
    {"1,000 agents", thousand_agents},
    {"emit-to-handler", from_outside},
    {"ping-pong", ping_pong_here},
    {"across", ping_pong_across},
    {"route", route},
    {"sequential x5", sequential},
    {"parallel x10", parallel},
    {"loop x10", loop},
    {"idle", idle_agents},
    {"flat", flat}, // only when it is named
};

int main(int argc, char **argv)
{
    Bench b = {.seconds = 1};
    bool all = true;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            b.json = true;
        } else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            b.seconds = strtod(argv[++i], NULL);
        } else {
            all = false;
        }
    }
    if (b.json) {
        printf("[");
    }
    for (size_t w = 0; w < COUNT_OF(workloads); w++) {
        bool wanted = all && workloads[w].run != flat;
        for (int i = 1; i < argc; i++) {
            wanted = wanted || strcmp(argv[i], workloads[w].name) == 0;
        }
        if (wanted) {
            workloads[w].run(&b);
            (void)fflush(stdout);
        }
    }
    if (b.json) {
        printf("\n]\n");
    }
    return 0;
}
