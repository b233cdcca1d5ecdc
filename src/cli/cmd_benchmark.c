// benchmark: how fast agents are, as the tuning guide's tool has it; and how fast commands are.
#include "cli/commands.h"

#include "agent/benchmark.h"
#include "base/json_write.h"
#include "cli/agent_client.h"
#include "bench/ab.h"
#include "cli/benchmark_jobs.h"
#include "cli/benchmark_results.h"
#include "cli/benchmark_set.h"
#include "prof/profiler.h"

// What the guide's command line asks for where it does not say it.
#define DURATION_DEFAULT (10 * NS_PER_SECOND)

typedef struct Measuring {
    App *app;
    const OptionSet *set;
    JsonWriter w;
    bool json;
    uint64_t errors;
} Measuring;

static BenchmarkOptions benchmark_options(const OptionSet *set)
{
    BenchmarkOptions options = {
        .users = (unsigned)option_int(set, "concurrent-users"),
        .requests = (uint64_t)option_int(set, "requests"),
        .duration_ns = option_int(set, "duration"),
        .data = option_string(set, "data"),
    };
    if (options.requests == 0 && options.duration_ns == 0) {
        options.duration_ns = DURATION_DEFAULT;
    }
    return options;
}

static int measure(Measuring *m, const char *name, const BenchmarkOptions *options, Err *e)
{
    BenchmarkMetrics metrics;
    int rc = benchmark_run(options, &metrics, e);
    if (rc != 0) {
        return rc;
    }
    if (m->json) {
        json_key(&m->w, slice_from_cstr(name));
        benchmark_write_json(&metrics, &m->w);
    } else {
        buf_printf(&m->app->out, "%s%s\n", m->app->out.len > 0 ? "\n" : "", name);
        benchmark_write_text(&metrics, &m->app->out);
    }
    m->errors += metrics.errors;
    benchmark_metrics_done(&metrics);
    return 0;
}

// One agent of the user's configuration.
static int measure_agent(Measuring *m, Err *e)
{
    Assembly *assembly = NULL;
    Slice agent = option_string(m->set, "agent");
    const char *config = arena_cstr(m->app->arena, option_string(m->set, "config"));
    int rc = cli_assemble(m->app, config, false, &assembly, e);
    if (rc != 0) {
        return rc;
    }
    BenchmarkOptions options = benchmark_options(m->set);
    options.runner = assembly_runner(assembly);
    options.agent = agent;
    options.collections = assembly_collections;
    options.collections_arg = assembly;
    if ((rc = assembly_start(assembly, e)) == 0) {
        rc = measure(m, arena_cstr(m->app->arena, agent), &options, e);
        (void)assembly_stop(assembly, 0);
    }
    assembly_destroy(assembly);
    return rc;
}

// The standard set: each of its workloads gets an equal part of the time.
static int measure_set(Measuring *m, Err *e)
{
    BenchmarkSet *set = NULL;
    int rc = benchmark_set_create(m->app->arena, &set, e);
    if (rc != 0) {
        return rc;
    }
    size_t count = benchmark_set_count(set);
    for (size_t i = 0; i < count && rc == 0; i++) {
        BenchmarkOptions options = benchmark_options(m->set);
        options.runner = benchmark_set_runner(set);
        options.agent = benchmark_set_agent(set, i);
        options.duration_ns /= (int64_t)count;
        if (options.data.len == 0) {
            options.data = benchmark_set_data(set, i);
        }
        rc = measure(m, benchmark_set_title(set, i), &options, e);
    }
    benchmark_set_destroy(set);
    return rc;
}

static int run_measurement(Measuring *m, Err *e)
{
    if (m->json) {
        json_object_begin(&m->w);
        json_field_int(&m->w, "version", 1);
    }
    int rc = option_given(m->set, "agent") ? measure_agent(m, e) : measure_set(m, e);
    if (m->json && rc == 0) {
        json_object_end(&m->w);
        buf_putc(&m->app->out, '\n');
    }
    return rc;
}

// Commands and agents are measured with different options: one that would be ignored is a mistake.
static int check_options(const OptionSet *set, bool commands, Err *e)
{
    static const char *const OF_AGENTS[] = {"duration", "concurrent-users", "requests", "agent",
                                            "data",     "profile"};
    static const char *const OF_COMMANDS[] = {"warmup", "runs", "vs", "prepare", "export-json"};
    const char *const *others = commands ? OF_AGENTS : OF_COMMANDS;
    size_t count = commands ? COUNT_OF(OF_AGENTS) : COUNT_OF(OF_COMMANDS);
    for (size_t i = 0; i < count; i++) {
        if (option_given(set, others[i])) {
            return err_set(e, ERR_ARG, "--%s is for measuring %s", others[i],
                           commands ? "agents, not commands" : "commands: name one");
        }
    }
    return 0;
}

static int run_benchmark(App *app, const OptionSet *set, Err *e)
{
    bool commands = option_positional_count(set) > 0;
    int checked = check_options(set, commands, e);
    if (checked != 0) {
        return checked;
    }
    if (option_given(set, "harness")) {
        return commands ? benchmark_harness(app, set, e)
                        : err_set(e, ERR_ARG, "--harness wants the benchmark program behind --");
    }
    if (commands) {
        return option_given(set, "vs") ? benchmark_versus(app, set, e)
                                       : benchmark_commands(app, set, e);
    }
    Measuring m = {.app = app, .set = set, .json = option_flag(set, "json")};
    m.w = json_writer(&app->out, 2);
    Profiler *profiler = NULL;
    bool profiled = option_given(set, "profile");
    if (profiled != option_given(set, "output")) {
        return err_set(e, ERR_ARG, "--profile and --output go together");
    }
    int rc = 0;
    if (profiled) {
        ProfileKind kind = option_int(set, "profile") == 0 ? PROFILE_CPU : PROFILE_HEAP;
        rc = profiler_start(&(ProfilerOptions){.kind = kind}, &profiler, e);
    }
    if (rc != 0 || (rc = run_measurement(&m, e)) != 0) {
        if (profiler) {
            profile_destroy(profiler_stop(profiler));
        }
        return rc;
    }
    if (profiled) {
        const char *path = arena_cstr(app->arena, option_string(set, "output"));
        if ((rc = profiler_save(profiler, path, e)) != 0) {
            return rc;
        }
        app_say(app, "profile written to %s (go tool pprof %s)", path, path);
    }
    return EXIT_PASS;
}

static const char *const PROFILES[] = {"cpu", "memory", NULL};
static const Option OPTIONS[] = {
    {.name = "duration",
     .short_name = 'd',
     .kind = OPTION_DURATION,
     .min = 1e6,
     .max = 864e11,
     .help = "How long in all; without it and --requests: 10s."},
    {.name = "concurrent-users",
     .short_name = 'c',
     .kind = OPTION_INT,
     .min = 1,
     .max = BENCHMARK_USERS_MAX,
     .default_text = "10",
     .help = "Users that each send their next request when the last was answered."},
    {.name = "requests",
     .short_name = 'n',
     .kind = OPTION_INT,
     .min = 1,
     .max = 1e12,
     .help = "Requests in all, of each workload."},
    {.name = "agent",
     .short_name = 'a',
     .kind = OPTION_STRING,
     .metavar = "NAME",
     .help = "Measure this agent of --config instead of the standard set."},
    {.name = "config",
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .default_text = "agents.toml",
     .env = "PERFWRIGHT_AGENTS",
     .help = "The configuration that declares the agent."},
    {.name = "data",
     .kind = OPTION_STRING,
     .metavar = "JSON",
     .help = "What each request carries."},
    {.name = "profile",
     .kind = OPTION_CHOICE,
     .choices = PROFILES,
     .section = "Profiling",
     .help = "Profile this program meanwhile."},
    {.name = "output",
     .short_name = 'o',
     .kind = OPTION_STRING,
     .metavar = "FILE",
     .section = "Profiling",
     .help = "Where the profile goes: pprof, or a flame graph where the name ends in .svg. Of "
             "commands: where their output goes: null, pipe, inherit or a file."},
    BENCHMARK_COMMAND_OPTIONS,
    {.name = "harness",
     .kind = OPTION_STRING,
     .metavar = "KIND",
     .section = "Benchmark programs",
     .help = "The command is a benchmark program: google, go, criterion, pytest, jmh, "
             "benchmarkdotnet, vitest, hyperfine, custom, metric, bencher, catch2. It is started "
             "--runs times (10), each a sample of every benchmark it has; with --vs both sides in "
             "random order."},
    {.name = "filter",
     .kind = OPTION_STRING,
     .metavar = "PATTERN",
     .section = "Benchmark programs",
     .help = "Only these benchmarks, in the harness's own grammar."},
    {.name = "higher-is-better",
     .kind = OPTION_FLAG,
     .section = "Benchmark programs",
     .help = "For custom and metric results whose unit does not say it."},
    {.name = "gate",
     .kind = OPTION_FLOAT,
     .metavar = "PERCENT",
     .min = 0,
     .max = 10000,
     .section = "Benchmark programs",
     .help = "With --vs: exit with 112 when a benchmark is significantly worse by more."},
    OPTION_JSON,
};
static const Positional POSITIONALS[] = {
    {.name = "COMMAND",
     .help = "A command line to measure, in quotes; or one command with its arguments behind --.",
     .optional = true,
     .many = true},
};
static const Example EXAMPLES[] = {
    {"perfwright benchmark -- sort big.txt", "How long a command takes."},
    {"perfwright benchmark --warmup 3 'grep -c a big.txt' 'rg -c a big.txt'", "Two, in turns."},
    {"perfwright benchmark './old in' --vs './new in'", "Is the second faster? 112: slower."},
    {"perfwright benchmark --harness google -- ./bench", "A benchmark program, ten processes."},
    {"perfwright benchmark --duration 60s --concurrent-users 10", "The standard set."},
    {"perfwright benchmark --agent myagent --requests 1000", "One agent of agents.toml."},
    {"perfwright benchmark --profile memory --output profile.mem", "With a profile of memory."},
    {"perfwright benchmark --profile cpu --output cpu.svg", "With a flame graph."},
};
static const Verb VERB = {
    .name = "benchmark",
    .summary = "measure commands, one against another, or agents",
    .description =
        "With commands: each run is a fresh process, its wall and CPU time, memory and exit code "
        "are taken, and what it leaves behind is ended. --vs runs two commands in random order "
        "until it is decided whether the second is faster: exit code 112 when it is slower, 113 "
        "when it could not be decided (docs/guide/benchmark-commands.md).\n\n"
        "Without commands: agents. Without --agent the standard set runs: docs/guide/benchmark.md "
        "describes it. It needs no network and no provider.",
    OPTION_TABLE(OPTIONS),
    POSITIONAL_TABLE(POSITIONALS),
    EXAMPLE_TABLE(EXAMPLES)};
const Command CMD_BENCHMARK = {&VERB, run_benchmark, false};
