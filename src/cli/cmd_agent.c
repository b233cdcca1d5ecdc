// agent run, validate, show, list, emit and keys: the agent runtime from its configuration.
#include "cli/commands.h"
#include "cli/table.h"

#include "agent/assembly.h"
#include "agent/gateway.h"
#include "api/api.h"
#include "base/json_write.h"
#include "cli/agent_client.h"
#include "os/signal.h"
#include "policy/params.h"

int cli_assemble(App *app, const char *path, bool serving, Assembly **ret_assembly, Err *e)
{
    const AgentConfig *config = NULL;
    int rc = agent_config_load(app->arena, path, &config, e);
    return rc != 0 ? rc
                   : assembly_create(&(AssemblyOptions){.config = config,
                                                        .library_agent = api_library_agent,
                                                        .library_tool = api_library_tool,
                                                        .without_monitoring = !serving},
                                     ret_assembly, e);
}

static const Positional FILE_ARG[] = {
    {"FILE", "The configuration: TOML (docs/guide/agents.md).", false, false}};

// ---- validate, keys

static int run_validate(App *app, const OptionSet *set, Err *e)
{
    Assembly *assembly = NULL;
    const char *path = arena_cstr(app->arena, option_positional(set, 0));
    int rc = cli_assemble(app, path, false, &assembly, e);
    if (rc != 0) {
        return rc;
    }
    const AgentConfig *config = assembly_config(assembly);
    buf_printf(&app->out, "%s: %zu agents, %zu tools, %zu policies, %zu MCP servers\n", path,
               config->agent_count, config->tool_count, config->policy_count,
               config->mcp_server_count);
    assembly_destroy(assembly);
    return EXIT_PASS;
}

static const Example VALIDATE_EXAMPLES[] = {
    {"perfwright agent validate agents.toml", "Also loads the agents' code, without running it."},
};
static const Verb VERB_VALIDATE = {.name = "agent validate",
                                   .summary = "check a configuration of agents, and load them",
                                   POSITIONAL_TABLE(FILE_ARG),
                                   EXAMPLE_TABLE(VALIDATE_EXAMPLES)};
const Command CMD_AGENT_VALIDATE = {&VERB_VALIDATE, run_validate, false};

static int run_keys(App *app, const OptionSet *set, Err *e)
{
    (void)set;
    (void)e;
    agent_config_keys(&app->out);
    buf_puts(&app->out,
             "\n### [policies.NAME]\n\n| group | key | default | |\n|---|---|---|---|\n");
    for (size_t t = 0; t < POLICY_OWNERS; t++) {
        const ParamTable *table = &POLICY_TABLES[t];
        for (size_t i = 0; i < table->count; i++) {
            buf_printf(&app->out, "| `%s` | `%s` | `", table->owner, table->params[i].name);
            param_format(&table->params[i], table->params[i].initial, &app->out);
            buf_printf(&app->out, "` | %s |\n", table->params[i].help);
        }
    }
    return EXIT_PASS;
}

static const Verb VERB_KEYS = {
    .name = "agent keys",
    .summary = "print every key of a configuration, as Markdown",
};
const Command CMD_AGENT_KEYS = {&VERB_KEYS, run_keys, true};

// ---- show, list

static int run_show(App *app, const OptionSet *set, Err *e)
{
    const AgentConfig *config = NULL;
    const char *path = arena_cstr(app->arena, option_positional(set, 0));
    int rc = agent_config_load(app->arena, path, &config, e);
    if (rc == 0) {
        JsonWriter w = json_writer(&app->out, 2);
        agent_config_write(config, &w);
        buf_putc(&app->out, '\n');
    }
    return rc;
}

static const Example SHOW_EXAMPLES[] = {
    {"perfwright agent show agents.toml", "Every setting, the defaults included, as JSON."},
};
static const Verb VERB_SHOW = {.name = "agent show",
                               .summary = "show a configuration of agents with every default",
                               POSITIONAL_TABLE(FILE_ARG),
                               EXAMPLE_TABLE(SHOW_EXAMPLES)};
const Command CMD_AGENT_SHOW = {&VERB_SHOW, run_show, false};

static const char *kind_name(ConfigAgentKind kind)
{
    static const char *const names[] = {
        [AGENT_KIND_LIBRARY] = "C",
        [AGENT_KIND_SCRIPT] = "JavaScript",
        [AGENT_KIND_LLM] = "language model",
        [AGENT_KIND_BUILTIN] = "built in",
    };
    return names[kind];
}

static Slice source_of(const ConfigAgent *agent)
{
    switch (agent->kind) {
    case AGENT_KIND_LIBRARY: return agent->library;
    case AGENT_KIND_SCRIPT: return agent->script;
    case AGENT_KIND_LLM: return agent->llm.len > 0 ? agent->llm : agent->role;
    case AGENT_KIND_BUILTIN: return agent->builtin;
    }
    return (Slice){0};
}

static int run_list(App *app, const OptionSet *set, Err *e)
{
    const AgentConfig *config = NULL;
    const char *path = arena_cstr(app->arena, option_positional(set, 0));
    int rc = agent_config_load(app->arena, path, &config, e);
    if (rc != 0) {
        return rc;
    }
    Table t = table_create(app->arena, 3);
    table_put(&t, SLICE("AGENT"));
    table_put(&t, SLICE("KIND"));
    table_put(&t, SLICE("FROM"));
    for (size_t i = 0; i < config->agent_count; i++) {
        table_put(&t, config->agents[i].name);
        table_put(&t, slice_from_cstr(kind_name(config->agents[i].kind)));
        table_put(&t, source_of(&config->agents[i]));
    }
    if (config->orchestration.given) {
        table_put(&t, config->orchestration.name);
        table_put(&t, SLICE("orchestration"));
        table_put(&t, slice_from_cstr(CONFIG_MODES[config->orchestration.mode]));
    }
    table_print(&t, 0, &app->out);
    return EXIT_PASS;
}

static const Example LIST_EXAMPLES[] = {
    {"perfwright agent list agents.toml", "Names, kinds and where their code is."},
};
static const Verb VERB_LIST = {.name = "agent list",
                               .summary = "list the agents of a configuration",
                               POSITIONAL_TABLE(FILE_ARG),
                               EXAMPLE_TABLE(LIST_EXAMPLES)};
const Command CMD_AGENT_LIST = {&VERB_LIST, run_list, false};

// ---- emit

static int print_result(App *app, const AgentResult *result, Err *e)
{
    if (result->code != 0) {
        return err_set(e, (ErrCode)result->code, "the agent failed: %s",
                       result->reason[0] ? result->reason : err_name(result->code));
    }
    buf_append(&app->out, result->data);
    if (result->data.len > 0 && result->data.ptr[result->data.len - 1] != '\n') {
        buf_putc(&app->out, '\n');
    }
    return EXIT_PASS;
}

static int run_emit(App *app, const OptionSet *set, Err *e)
{
    Assembly *assembly = NULL;
    const char *path = arena_cstr(app->arena, option_positional(set, 0));
    int rc = cli_assemble(app, path, false, &assembly, e);
    if (rc != 0) {
        return rc;
    }
    EventSpec spec = {
        .target = option_positional(set, 1),
        .data = option_positional(set, 2),
        .type = option_string(set, "type"),
        .session = option_string(set, "session"),
        .timeout_ns = option_int(set, "timeout"),
    };
    AgentResult result = {0};
    if ((rc = assembly_start(assembly, e)) == 0) {
        rc = runner_call(assembly_runner(assembly), &spec, NULL, &result, e);
        rc = rc == 0 || result.reason[0] ? print_result(app, &result, e) : rc;
        (void)assembly_stop(assembly, 0);
    }
    agent_result_done(&result);
    assembly_destroy(assembly);
    return rc;
}

static const Positional EMIT_ARGS[] = {
    {"FILE", "The configuration: TOML.", false, false},
    {"AGENT", "Who is sent the event.", false, false},
    {"DATA", "The event's data, by convention JSON.", true, false},
};
static const Option EMIT_OPTIONS[] = {
    {.name = "type", .kind = OPTION_STRING, .help = "Type of the event."},
    {.name = "session", .kind = OPTION_STRING, .help = "Session of the event."},
    {.name = "timeout",
     .kind = OPTION_DURATION,
     .help = "Deadline of the event; without: the configuration's event_timeout."},
};
static const Example EMIT_EXAMPLES[] = {
    {"perfwright agent emit agents.toml echo '{\"query\": \"hi\"}'",
     "Start the agents, send one event, print the answer, stop."},
};
static const Verb VERB_EMIT = {.name = "agent emit",
                               .summary = "send one event to an agent and print its answer",
                               OPTION_TABLE(EMIT_OPTIONS),
                               POSITIONAL_TABLE(EMIT_ARGS),
                               EXAMPLE_TABLE(EMIT_EXAMPLES)};
const Command CMD_AGENT_EMIT = {&VERB_EMIT, run_emit, false};

// ---- run

typedef struct Serving {
    App *app;
    Loop *loop;
    FiberPool *pool;
    Signals *signals;
    Assembly *assembly;
    Gateway *gateway;
    int signals_seen;
} Serving;

static void on_signal(void *ctx, int number)
{
    Serving *s = ctx;
    if (number == SIGINT || number == SIGTERM) {
        s->signals_seen++;
        loop_stop(s->loop);
    }
}

int cli_listen_addr(Slice text, NetAddr *ret_addr, Err *e)
{
    ptrdiff_t colon = -1;
    for (size_t i = 0; i < text.len; i++) {
        colon = text.ptr[i] == ':' ? (ptrdiff_t)i : colon;
    }
    int64_t port;
    if (colon < 0 || slice_to_i64(slice_sub(text, (size_t)colon + 1, text.len), &port) != 0 ||
        port < 0 || port > 65535) {
        return err_set(e, ERR_ARG, "\"%.*s\" is not ADDRESS:PORT", SLICE_FMT(text));
    }
    return net_addr_parse(slice_sub(text, 0, (size_t)colon), (uint16_t)port, ret_addr, e);
}

static int listen_addr(const OptionSet *set, NetAddr *ret_addr, Err *e)
{
    int rc = cli_listen_addr(option_string(set, "listen"), ret_addr, e);
    if (rc == 0 && !net_addr_is_loopback(ret_addr) && !option_flag(set, "public")) {
        return err_set(
            e, ERR_REFUSED,
            "%.*s can be reached from other machines, and whoever reaches it can use the "
            "agents: give --public if that is meant",
            SLICE_FMT(option_string(set, "listen")));
    }
    return rc;
}

static int serve(Serving *s, const OptionSet *set, Err *e)
{
    GatewayOptions options = {.assembly = s->assembly, .loop = s->loop, .pool = s->pool};
    int rc = listen_addr(set, &options.addr, e);
    if (rc != 0 || (rc = signals_watch(s->loop, on_signal, s, &s->signals, e)) != 0 ||
        (rc = assembly_start(s->assembly, e)) != 0 ||
        (rc = gateway_open(&options, &s->gateway, e)) != 0) {
        return rc;
    }
    NetAddr addr = gateway_addr(s->gateway);
    char text[NET_ADDR_TEXT_MAX];
    net_addr_print(&addr, text);
    app_say(s->app, "agents at http://%s/agents", text);
    if (assembly_monitor_port(s->assembly) > 0) {
        app_say(s->app, "metrics at http://127.0.0.1:%u/metrics",
                assembly_monitor_port(s->assembly));
    }
    if (option_given(set, "duration")) {
        int64_t end_ns = loop_clock(s->loop) + option_int(set, "duration");
        while (s->signals_seen == 0 && loop_clock(s->loop) < end_ns) {
            (void)loop_tick(s->loop, end_ns - loop_clock(s->loop));
        }
    } else {
        loop_run(s->loop);
    }
    const AgentConfig *config = assembly_config(s->assembly);
    // A second signal does not wait for what is under way.
    int64_t drain_ns = s->signals_seen > 1 ? 0 : config->runner.stop_timeout_ns;
    size_t cut = gateway_drain(s->gateway, loop_clock(s->loop) + drain_ns);
    size_t cancelled = assembly_stop(s->assembly, drain_ns);
    if (cut + cancelled > 0) {
        app_warn(s->app, "%zu events were cancelled", cancelled > cut ? cancelled : cut);
    }
    return EXIT_PASS;
}

static int run_run(App *app, const OptionSet *set, Err *e)
{
    Serving s = {.app = app};
    const char *path = arena_cstr(app->arena, option_positional(set, 0));
    int rc = cli_assemble(app, path, true, &s.assembly, e);
    if (rc != 0 || (rc = loop_create(&(LoopOptions){0}, &s.loop, e)) != 0) {
        assembly_destroy(s.assembly);
        return rc;
    }
    s.pool = fiber_pool_create(s.loop, NULL);
    rc = serve(&s, set, e);
    gateway_destroy(s.gateway);
    assembly_destroy(s.assembly);
    signals_close(s.signals);
    fiber_pool_destroy(s.pool);
    loop_destroy(s.loop);
    return rc;
}

static const Option RUN_OPTIONS[] = {
    {.name = "listen",
     .kind = OPTION_STRING,
     .metavar = "ADDRESS:PORT",
     .default_text = "127.0.0.1:8085",
     .help = "Where the agents are reached over HTTP; port 0 takes any free one."},
    {.name = "public",
     .kind = OPTION_FLAG,
     .help = "Allow an address that other machines can reach."},
    {.name = "duration",
     .short_name = 'd',
     .kind = OPTION_DURATION,
     .help = "Stop after this long; without: when interrupted."},
};
static const Example RUN_EXAMPLES[] = {
    {"perfwright agent run agents.toml --listen 127.0.0.1:8085", "Serve until interrupted."},
    {"curl -d '{\"data\": {\"query\": \"hi\"}}' http://127.0.0.1:8085/agents/echo",
     "Send an event."},
    {"perfwright loadtest --url http://127.0.0.1:8085/agents/echo --method POST "
     "--data isolated --vus 10",
     "Load the agents."},
};
static const Verb VERB_RUN = {
    .name = "agent run",
    .summary = "run agents and serve them over HTTP",
    .description = "POST /agents/NAME takes an event, {\"data\": ..., \"type\": ..., \"session\": "
                   "..., \"timeout\": ...}, and answers with its result; with \"Accept: "
                   "text/event-stream\" the pieces come as they are made. GET /agents lists them.",
    OPTION_TABLE(RUN_OPTIONS),
    POSITIONAL_TABLE(FILE_ARG),
    EXAMPLE_TABLE(RUN_EXAMPLES)};
const Command CMD_AGENT_RUN = {&VERB_RUN, run_run, false};
