// mcp servers|tools|health|test|info: what MCP servers are there, what they can, whether they work.
// The server is a URL, a command behind `--`, or those of a configuration.
#include "cli/app.h"
#include "cli/commands.h"

#include <unistd.h>

#include "agent/mcp_servers.h"
#include "base/json_write.h"
#include "base/utf8.h"
#include "cli/table.h"
#include "mcp/dialer.h"
#include "mcp/metrics.h"
#include "os/signal.h"
#include "stat/hist.h"

enum { HEALTH_LINES_MAX = 256, RESULT_BYTES_MAX = 512 << 20, TEXT_BYTES_MAX = 64 << 20 };

typedef struct World {
    App *app;
    const OptionSet *set;
    Loop *loop;
    FiberPool *fibers;
    McpDialer *dialer;
    McpPool *pool;
    McpServerOptions *servers;
    size_t server_count;
    int (*act)(struct World *w, Err *e);
    int rc;
    Err *e;
    JsonWriter json;
    bool is_json;
} World;

static int test_one(World *w, Err *e);

// ---- which servers

static void say_log(void *ctx, Slice level, Slice text)
{
    World *w = ctx;
    Buf line = buf_create(64 << 10);
    utf8_sanitise(&line, slice_sub(text, 0, 4096));
    app_say(w->app, "%.*s: %.*s", SLICE_FMT(level), SLICE_FMT(buf_slice(&line)));
    buf_done(&line);
}

static int servers_of_config(World *w, Err *e)
{
    const char *path = arena_cstr(w->app->arena, option_string(w->set, "config"));
    const AgentConfig *config = NULL;
    int rc = agent_config_load(w->app->arena, path, &config, e);
    rc = rc != 0
             ? rc
             : agent_mcp_servers(w->app->arena, config, getenv, &w->servers, &w->server_count, e);
    if (rc == 0 && w->server_count == 0) {
        return err_set(e, ERR_ARG, "%s names no MCP server that is enabled ([mcp.servers.NAME])",
                       path);
    }
    return rc;
}

static int server_of_command_line(World *w, Err *e)
{
    size_t words = option_positional_count(w->set);
    Slice url = option_string(w->set, "server");
    if ((words > 0) == (url.len > 0)) {
        return err_set(e, ERR_ARG,
                       "which server? --server URL, -- COMMAND ..., or --config FILE; one of them");
    }
    w->servers = ARENA_NEW(w->app->arena, McpServerOptions);
    w->server_count = 1;
    McpServerOptions *o = w->servers;
    *o = (McpServerOptions){.name = SLICE("server"),
                            .connections_max = 1,
                            .health_interval_ns = -1,
                            .connect_timeout_ns = option_int(w->set, "connect-timeout"),
                            .request_timeout_ns = option_int(w->set, "timeout")};
    if (url.len > 0) {
        Slice *urls = ARENA_NEW(w->app->arena, Slice);
        *urls = url;
        o->urls = urls;
        o->url_count = 1;
        return 0;
    }
    const char **argv = ARENA_ARRAY(w->app->arena, const char *, words + 1);
    for (size_t i = 0; i < words; i++) {
        argv[i] = arena_cstr(w->app->arena, option_positional(w->set, i));
    }
    o->argv = argv;
    return 0;
}

// Only `mcp test` calls tools, so only it has the option.
static const char *large_results(const World *w)
{
    bool has_option = w->act == test_one;
    Slice directory = has_option ? option_string(w->set, "large-results") : (Slice){NULL, 0};
    return directory.len > 0 ? arena_cstr(w->app->arena, directory) : NULL;
}

static int find_servers(World *w, Err *e)
{
    bool configured = option_string(w->set, "config").len > 0;
    int rc = configured ? servers_of_config(w, e) : server_of_command_line(w, e);
    Slice only = option_string(w->set, "name");
    size_t kept = 0;
    for (size_t i = 0; rc == 0 && i < w->server_count; i++) {
        if (only.len == 0 || slice_eq(w->servers[i].name, only)) {
            w->servers[kept] = w->servers[i];
            w->servers[kept].handlers = (McpHandlers){.log = say_log, .ctx = w};
            w->servers[kept].limits.spill_directory = large_results(w);
            kept++;
        }
    }
    w->server_count = kept;
    return rc == 0 && kept == 0
               ? err_set(e, ERR_NOT_FOUND, "there is no MCP server '%.*s'", SLICE_FMT(only))
               : rc;
}

// ---- the frame of all verbs

static void run_fiber(void *arg)
{
    World *w = arg;
    w->rc = w->act(w, w->e);
    mcp_pool_close(w->pool);
    w->pool = NULL;
    loop_stop(w->loop);
}

static int with_pool(App *app, const OptionSet *set, int (*act)(World *w, Err *e), Err *e)
{
    World w = {.app = app,
               .set = set,
               .act = act,
               .e = e,
               .is_json = option_flag(set, "json"),
               .json = json_writer(&app->out, 2)};
    int rc = find_servers(&w, e);
    rc = rc != 0 ? rc : loop_create(&(LoopOptions){0}, &w.loop, e);
    if (rc != 0) {
        return rc;
    }
    signals_block();
    w.fibers = fiber_pool_create(w.loop, NULL);
    rc = mcp_dialer_open(w.loop, &w.dialer, e);
    if (rc == 0) {
        McpPoolOptions o = {.pool = w.fibers,
                            .http = mcp_dialer_http(w.dialer),
                            .servers = w.servers,
                            .server_count = w.server_count,
                            .seed = (uint64_t)getpid()};
        rc = mcp_pool_create(&o, &w.pool, e);
    }
    if (rc == 0 && fiber_spawn(w.fibers, "mcp", run_fiber, &w)) {
        loop_run(w.loop);
        rc = w.rc;
    }
    (void)fiber_pool_drain(w.fibers, NEVER_NS);
    mcp_dialer_close(w.dialer);
    fiber_pool_destroy(w.fibers);
    loop_destroy(w.loop);
    return rc;
}

static void begin_json(World *w, const char *list)
{
    json_object_begin(&w->json);
    json_field_int(&w->json, "version", 1);
    json_key(&w->json, slice_from_cstr(list));
    json_array_begin(&w->json);
}

static void end_json(World *w)
{
    json_array_end(&w->json);
    json_object_end(&w->json);
    buf_putc(&w->app->out, '\n');
}

// Text of a server, safe to print.
static void put_text(Buf *out, Slice text, size_t max)
{
    utf8_sanitise(out, slice_sub(text, 0, max));
}

static const char *era_name(McpEra era)
{
    return era == MCP_ERA_MODERN ? "stateless" : era == MCP_ERA_LEGACY ? "session" : "unknown";
}

static Slice target_of(Arena *arena, const McpServerOptions *o)
{
    if (o->url_count > 0) {
        return o->urls[0];
    }
    Buf words = buf_create(64 << 10);
    for (size_t i = 0; o->argv[i]; i++) {
        buf_printf(&words, "%s%s", i ? " " : "", o->argv[i]);
    }
    Slice text = arena_copy(arena, buf_slice(&words));
    buf_done(&words);
    return text;
}

// ---- servers

static int run_servers(App *app, const OptionSet *set, Err *e)
{
    World w = {.app = app,
               .set = set,
               .is_json = option_flag(set, "json"),
               .json = json_writer(&app->out, 2)};
    int rc = find_servers(&w, e);
    if (rc != 0) {
        return rc;
    }
    Table t = table_create(app->arena, 4);
    static const char *const HEAD[] = {"NAME", "TRANSPORT", "CONNECTIONS", "TARGET"};
    for (size_t i = 0; i < COUNT_OF(HEAD); i++) {
        table_put(&t, slice_from_cstr(HEAD[i]));
    }
    if (w.is_json) {
        begin_json(&w, "servers");
    }
    for (size_t i = 0; i < w.server_count; i++) {
        const McpServerOptions *o = &w.servers[i];
        const char *transport = o->url_count ? "http" : "stdio";
        if (w.is_json) {
            json_object_begin(&w.json);
            json_field_string(&w.json, "name", o->name);
            json_field_cstr(&w.json, "transport", transport);
            json_field_int(&w.json, "connections", (int64_t)o->connections_max);
            json_field_string(&w.json, "target", target_of(app->arena, o));
            json_object_end(&w.json);
        } else {
            table_put(&t, o->name);
            table_put(&t, slice_from_cstr(transport));
            table_putf(&t, "%zu", o->connections_max);
            table_put(&t, target_of(app->arena, o));
        }
    }
    if (w.is_json) {
        end_json(&w);
    } else {
        table_print(&t, 0, &app->out);
    }
    return EXIT_PASS;
}

// ---- tools

static void print_tool(World *w, const McpTool *tool)
{
    App *app = w->app;
    put_text(&app->out, tool->name, 200);
    buf_puts(&app->out, tool->read_only    ? "  (read-only)"
                        : tool->idempotent ? "  (idempotent)"
                                           : "");
    buf_putc(&app->out, '\n');
    Slice line;
    Slice rest;
    (void)slice_cut(tool->description, '\n', &line, &rest);
    if (line.len > 0) {
        buf_puts(&app->out, "    ");
        put_text(&app->out, line, 300);
        buf_putc(&app->out, '\n');
    }
    const Doc *properties = doc_get(tool->input_schema, SLICE("properties"));
    for (const Doc *p = doc_first(properties); p; p = doc_next(p)) {
        const Doc *type = doc_get(p, SLICE("type"));
        buf_puts(&app->out, "      ");
        put_text(&app->out, p->key, 100);
        if (type && type->type == DOC_STRING) {
            buf_puts(&app->out, ": ");
            put_text(&app->out, type->text, 40);
        }
        buf_putc(&app->out, '\n');
    }
}

static int list_tools(World *w, Err *e)
{
    int rc = 0;
    if (w->is_json) {
        begin_json(w, "servers");
    }
    for (size_t i = 0; i < w->server_count && rc == 0; i++) {
        Slice name = w->servers[i].name;
        McpToolSet *tools = NULL;
        rc = mcp_pool_tools(w->pool, name, &tools, e);
        if (rc != 0) {
            break;
        }
        if (w->is_json) {
            json_object_begin(&w->json);
            json_field_string(&w->json, "name", name);
            json_field_int(&w->json, "refused", (int64_t)tools->refused);
            json_key(&w->json, SLICE("tools"));
            json_array_begin(&w->json);
        } else if (w->server_count > 1) {
            buf_printf(&w->app->out, "%.*s:\n", SLICE_FMT(name));
        }
        for (size_t k = 0; k < tools->count; k++) {
            if (w->is_json) {
                doc_write(&w->json, tools->tools[k].doc);
            } else {
                print_tool(w, &tools->tools[k]);
            }
        }
        if (w->is_json) {
            json_array_end(&w->json);
            json_object_end(&w->json);
        }
        mcp_toolset_unref(tools);
    }
    if (w->is_json && rc == 0) {
        end_json(w);
    }
    return rc;
}

static int run_tools(App *app, const OptionSet *set, Err *e)
{
    return with_pool(app, set, list_tools, e);
}

// ---- health

static void json_health(World *w, Slice name, const McpHealth *h)
{
    json_object_begin(&w->json);
    json_field_string(&w->json, "server", name);
    json_field_string(&w->json, "target", h->target);
    json_field_bool(&w->json, "healthy", h->healthy);
    json_field_cstr(&w->json, "era", era_name(h->era));
    json_field_double(&w->json, "latency_ms", (double)h->latency_ns / 1e6);
    if (h->error[0]) {
        json_field_cstr(&w->json, "error", h->error);
    }
    json_object_end(&w->json);
}

static int check_health(World *w, Err *e)
{
    (void)e;
    McpHealth *lines = ARENA_ARRAY(w->app->arena, McpHealth, HEALTH_LINES_MAX);
    bool all = true;
    if (w->is_json) {
        begin_json(w, "connections");
    }
    for (size_t i = 0; i < w->server_count; i++) {
        Slice name = w->servers[i].name;
        size_t count = mcp_pool_check(w->pool, name, lines, HEALTH_LINES_MAX);
        for (size_t k = 0; k < count; k++) {
            const McpHealth *h = &lines[k];
            all &= h->healthy;
            if (w->is_json) {
                json_health(w, name, h);
                continue;
            }
            char took[UNITS_TEXT_MAX];
            (void)duration_format_short(h->latency_ns, took);
            buf_printf(&w->app->out, "%-4s %.*s  ", h->healthy ? "ok" : "DOWN", SLICE_FMT(name));
            put_text(&w->app->out, h->target, 200);
            buf_printf(&w->app->out, "  %s", h->healthy ? took : "");
            put_text(&w->app->out, slice_from_cstr(h->error), sizeof h->error);
            buf_putc(&w->app->out, '\n');
        }
    }
    if (w->is_json) {
        end_json(w);
    }
    return all ? EXIT_PASS : EXIT_ERROR;
}

static int run_health(App *app, const OptionSet *set, Err *e)
{
    return with_pool(app, set, check_health, e);
}

// ---- info

typedef struct Counts {
    int64_t tools, resources, templates, prompts; // -1: the server has none of the kind
} Counts;

static int64_t count_list(McpClient *c, const char *capability, McpList list)
{
    McpItems items;
    if (!mcp_can(c, slice_from_cstr(capability))) {
        return -1;
    }
    Arena *arena = arena_create(RESULT_BYTES_MAX);
    int rc = mcp_list(c, arena, list, &items, NULL);
    arena_destroy(arena);
    return rc == 0 ? (int64_t)items.count : -1;
}

static void json_info(World *w, Slice name, McpClient *c, const Counts *n)
{
    json_object_begin(&w->json);
    json_field_string(&w->json, "name", name);
    json_field_string(&w->json, "server_name", mcp_server_name(c));
    json_field_string(&w->json, "server_version", mcp_server_version(c));
    json_field_string(&w->json, "protocol_version", mcp_version(c));
    json_field_cstr(&w->json, "era", era_name(mcp_era(c)));
    json_field_int(&w->json, "tools", n->tools);
    json_field_int(&w->json, "resources", n->resources);
    json_field_int(&w->json, "resource_templates", n->templates);
    json_field_int(&w->json, "prompts", n->prompts);
    json_field_string(&w->json, "instructions", mcp_instructions(c));
    json_key(&w->json, SLICE("capabilities"));
    if (mcp_capabilities(c)) {
        doc_write(&w->json, mcp_capabilities(c));
    } else {
        json_null(&w->json);
    }
    json_object_end(&w->json);
}

static void print_count(Buf *out, const char *what, int64_t n)
{
    if (n >= 0) {
        buf_printf(out, "%-13s %lld\n", what, (long long)n);
    }
}

static void print_info(Buf *out, McpClient *c, const Counts *n)
{
    buf_puts(out, "server        ");
    put_text(out, mcp_server_name(c), 200);
    buf_putc(out, ' ');
    put_text(out, mcp_server_version(c), 100);
    buf_printf(out, "\nprotocol      %.*s (%s)\n", SLICE_FMT(mcp_version(c)), era_name(mcp_era(c)));
    buf_puts(out, "capabilities ");
    for (const Doc *d = doc_first(mcp_capabilities(c)); d; d = doc_next(d)) {
        buf_putc(out, ' ');
        put_text(out, d->key, 100);
    }
    buf_putc(out, '\n');
    print_count(out, "tools", n->tools);
    print_count(out, "resources", n->resources);
    print_count(out, "templates", n->templates);
    print_count(out, "prompts", n->prompts);
    Slice line;
    Slice rest;
    (void)slice_cut(mcp_instructions(c), '\n', &line, &rest);
    if (line.len > 0) {
        buf_puts(out, "instructions  ");
        put_text(out, line, 300);
        buf_putc(out, '\n');
    }
}

static int show_info(World *w, Err *e)
{
    int rc = 0;
    if (w->is_json) {
        begin_json(w, "servers");
    }
    for (size_t i = 0; i < w->server_count && rc == 0; i++) {
        Slice name = w->servers[i].name;
        McpClient *c = NULL;
        size_t slot = 0;
        rc = mcp_pool_borrow(w->pool, name, &c, &slot, e);
        if (rc != 0) {
            break;
        }
        Counts n = {.tools = count_list(c, "tools", MCP_TOOLS),
                    .resources = count_list(c, "resources", MCP_RESOURCES),
                    .templates = count_list(c, "resources", MCP_TEMPLATES),
                    .prompts = count_list(c, "prompts", MCP_PROMPTS)};
        if (w->is_json) {
            json_info(w, name, c, &n);
        } else {
            print_info(&w->app->out, c, &n);
        }
        mcp_pool_give_back(w->pool, name, slot);
    }
    if (w->is_json && rc == 0) {
        end_json(w);
    }
    return rc;
}

static int run_info(App *app, const OptionSet *set, Err *e)
{
    return with_pool(app, set, show_info, e);
}

// ---- test

typedef struct Drive {
    World *world;
    int64_t left;
    int64_t done;
    int64_t failed;
    int64_t tool_errors;
    Hist latency;
    Err first;
} Drive;

static void keep_calling(void *arg)
{
    Drive *d = arg;
    World *w = d->world;
    McpPoolCall call = {.server = w->servers[0].name,
                        .tool = option_string(w->set, "tool"),
                        .arguments = option_string(w->set, "arguments"),
                        .options = {.timeout_ns = option_int(w->set, "timeout")},
                        .no_cache = true};
    while (d->left > 0) {
        d->left--;
        Arena *arena = arena_create(RESULT_BYTES_MAX);
        McpResult r;
        Err e;
        int64_t start = loop_clock(w->loop);
        int rc = mcp_pool_call(w->pool, arena, &call, &r, &e);
        d->done++;
        if (rc != 0) {
            if (d->failed++ == 0) {
                d->first = e;
            }
        } else {
            hist_record(&d->latency, loop_clock(w->loop) - start);
            d->tool_errors += r.is_error;
        }
        if (d->done == 1 && rc == 0 && r.result && option_int(w->set, "requests") == 1) {
            Buf text = buf_create(TEXT_BYTES_MAX);
            mcp_text_of(r.result, &text);
            if (w->is_json) {
                json_key(&w->json, SLICE("result"));
                doc_write(&w->json, r.result);
            } else {
                buf_append(&w->app->out, buf_slice(&text));
            }
            buf_done(&text);
        }
        if (r.file) {
            app_say(w->app, "%lld bytes of the result are in %s", (long long)r.bytes, r.file);
            free(r.file);
        }
        arena_destroy(arena);
    }
}

static double quantile_ms(const Hist *h, double q)
{
    return hist_count_all(h) > 0 ? (double)hist_quantile(h, q) / 1e6 : 0;
}

static void report_calls(World *w, Drive *d)
{
    static const double QUANTILES[] = {0.5, 0.95, 0.99};
    static const char *const NAMES[] = {"p50_ms", "p95_ms", "p99_ms"};
    if (w->is_json) {
        json_field_int(&w->json, "requests", d->done);
        json_field_int(&w->json, "failed", d->failed);
        json_field_int(&w->json, "tool_errors", d->tool_errors);
        for (size_t i = 0; i < COUNT_OF(QUANTILES); i++) {
            json_field_double(&w->json, NAMES[i], quantile_ms(&d->latency, QUANTILES[i]));
        }
        return;
    }
    buf_printf(&w->app->out,
               "%lld requests, %lld failed, %lld answered with an error of the tool\n",
               (long long)d->done, (long long)d->failed, (long long)d->tool_errors);
    buf_printf(&w->app->out, "p50 %.2f ms, p95 %.2f ms, p99 %.2f ms\n",
               quantile_ms(&d->latency, 0.5), quantile_ms(&d->latency, 0.95),
               quantile_ms(&d->latency, 0.99));
}

static int call_tool(World *w, Err *e)
{
    Drive d = {.world = w, .left = option_int(w->set, "requests")};
    hist_init(&d.latency);
    FiberGroup group = {0};
    int64_t at_once = option_int(w->set, "concurrency");
    for (int64_t i = 0; i < at_once && i < option_int(w->set, "requests"); i++) {
        (void)!fiber_group_spawn(&group, w->fibers, "call", keep_calling, &d);
    }
    int rc = fiber_group_wait(&group, NEVER_NS);
    report_calls(w, &d);
    hist_done(&d.latency);
    if (d.failed > 0) {
        app_warn(w->app, "the first failure: %s", d.first.text);
        if (e) {
            *e = d.first;
        }
        rc = d.first.code;
    }
    return rc != 0 ? rc : d.tool_errors > 0 ? EXIT_ERROR : EXIT_PASS;
}

// Everything that can be asked without acting.
static int probe(World *w, McpClient *c, Err *e)
{
    static const struct {
        const char *what;
        const char *capability;
        McpList list;
    } LISTS[] = {{"tools", "tools", MCP_TOOLS},
                 {"resources", "resources", MCP_RESOURCES},
                 {"resource templates", "resources", MCP_TEMPLATES},
                 {"prompts", "prompts", MCP_PROMPTS}};
    int64_t start = loop_clock(w->loop);
    int rc = mcp_ping(c, option_int(w->set, "timeout"), e);
    double took_ms = (double)(loop_clock(w->loop) - start) / 1e6;
    if (w->is_json) {
        json_field_double(&w->json, "ping_ms", took_ms);
    } else {
        buf_printf(&w->app->out, "%-4s ping  %.2f ms\n", rc == 0 ? "ok" : "FAIL", took_ms);
    }
    for (size_t i = 0; i < COUNT_OF(LISTS) && rc == 0; i++) {
        if (!mcp_can(c, slice_from_cstr(LISTS[i].capability))) {
            continue;
        }
        Arena *arena = arena_create(RESULT_BYTES_MAX);
        McpItems items = {0};
        rc = mcp_list(c, arena, LISTS[i].list, &items, e);
        if (w->is_json) {
            json_field_int(&w->json, LISTS[i].what, (int64_t)items.count);
        } else {
            buf_printf(&w->app->out, "%-4s %s  %zu\n", rc == 0 ? "ok" : "FAIL", LISTS[i].what,
                       items.count);
        }
        arena_destroy(arena);
    }
    return rc;
}

static int test_one(World *w, Err *e)
{
    Slice name = w->servers[0].name;
    McpClient *c = NULL;
    size_t slot = 0;
    int rc = mcp_pool_borrow(w->pool, name, &c, &slot, e);
    if (rc != 0) {
        return rc;
    }
    if (w->is_json) {
        json_object_begin(&w->json);
        json_field_int(&w->json, "version", 1);
        json_field_string(&w->json, "protocol_version", mcp_version(c));
    } else {
        buf_printf(&w->app->out, "ok   connected  version %.*s (%s)\n", SLICE_FMT(mcp_version(c)),
                   era_name(mcp_era(c)));
    }
    bool call = option_string(w->set, "tool").len > 0;
    rc = call ? 0 : probe(w, c, e);
    mcp_pool_give_back(w->pool, name, slot);
    rc = call ? call_tool(w, e) : rc;
    if (w->is_json) {
        json_object_end(&w->json);
        buf_putc(&w->app->out, '\n');
    }
    return rc;
}

static int run_test(App *app, const OptionSet *set, Err *e)
{
    return with_pool(app, set, test_one, e);
}

// ---- tables

#define SERVER_OPTIONS                                                                             \
    {.name = "server",                                                                             \
     .kind = OPTION_STRING,                                                                        \
     .metavar = "URL",                                                                             \
     .section = "Server",                                                                          \
     .help = "A server over streamable HTTP."},                                                    \
        {.name = "config",                                                                         \
         .short_name = 'c',                                                                        \
         .kind = OPTION_STRING,                                                                    \
         .metavar = "FILE",                                                                        \
         .section = "Server",                                                                      \
         .help = "The servers of an agent configuration: [mcp.servers.NAME]."},                    \
        {.name = "name",                                                                           \
         .short_name = 'n',                                                                        \
         .kind = OPTION_STRING,                                                                    \
         .section = "Server",                                                                      \
         .help = "Only this one of the configuration."},                                           \
        {.name = "connect-timeout",                                                                \
         .kind = OPTION_DURATION,                                                                  \
         .default_text = "10s",                                                                    \
         .min = 1e6,                                                                               \
         .max = 86400e9,                                                                           \
         .section = "Server",                                                                      \
         .help = "Until it has said which protocol it speaks."},                                   \
        {.name = "timeout",                                                                        \
         .kind = OPTION_DURATION,                                                                  \
         .default_text = "30s",                                                                    \
         .min = 1e6,                                                                               \
         .max = 86400e9,                                                                           \
         .section = "Server",                                                                      \
         .help = "For one request."},                                                              \
        OPTION_JSON

static const Option OPTIONS[] = {SERVER_OPTIONS};
static const Option TEST_OPTIONS[] = {
    {.name = "tool", .kind = OPTION_STRING, .metavar = "NAME", .help = "Call this tool."},
    {.name = "arguments",
     .short_name = 'a',
     .kind = OPTION_STRING,
     .metavar = "JSON",
     .default_text = "{}",
     .help = "With these arguments, a JSON object."},
    {.name = "requests",
     .kind = OPTION_INT,
     .min = 1,
     .max = 1e9,
     .default_text = "1",
     .help = "So many times."},
    {.name = "concurrency",
     .kind = OPTION_INT,
     .min = 1,
     .max = 1000,
     .default_text = "1",
     .help = "So many at a time."},
    {.name = "large-results",
     .kind = OPTION_STRING,
     .metavar = "DIR",
     .help = "Write results that are too large for memory (4 MiB) to files there, as they came. "
             "Without it such a result is an error."},
    SERVER_OPTIONS};
static const Positional COMMAND_WORDS[] = {
    {.name = "COMMAND",
     .help = "Behind `--`: a program that speaks MCP over its standard input and output.",
     .optional = true,
     .many = true}};

#define ABOUT_SERVERS                                                                              \
    "The server is a URL, a command behind `--`, or those of a configuration. Both eras of the "   \
    "protocol are spoken: 2026-07-28, and 2025-11-25 and older."

static const Example TOOLS_EXAMPLES[] = {
    {"perfwright mcp tools --server http://127.0.0.1:3001/mcp", "Of a server over HTTP."},
    {"perfwright mcp tools -- npx -y @modelcontextprotocol/server-everything",
     "Of one that is started for it."},
};
static const Example TEST_EXAMPLES[] = {
    {"perfwright mcp test --server http://127.0.0.1:3001/mcp", "Does it answer?"},
    {"perfwright mcp test --tool echo -a '{\"message\":\"hi\"}' --requests 1000 -- ./server",
     "How fast is one of its tools?"},
};

static const Verb VERB_SERVERS = {.name = "mcp servers",
                                  .summary = "list the MCP servers of a configuration",
                                  .description = "Connects to none of them.",
                                  OPTION_TABLE(OPTIONS),
                                  POSITIONAL_TABLE(COMMAND_WORDS)};
const Command CMD_MCP_SERVERS = {&VERB_SERVERS, run_servers, true};

static const Verb VERB_TOOLS = {.name = "mcp tools",
                                .summary = "list the tools of MCP servers",
                                .description = ABOUT_SERVERS
                                "\n\nA tool whose header annotations break the protocol's rules "
                                "is left out, and a warning says so.",
                                OPTION_TABLE(OPTIONS),
                                POSITIONAL_TABLE(COMMAND_WORDS),
                                EXAMPLE_TABLE(TOOLS_EXAMPLES)};
const Command CMD_MCP_TOOLS = {&VERB_TOOLS, run_tools, true};

static const Verb VERB_HEALTH = {.name = "mcp health",
                                 .summary = "check every MCP server",
                                 .description =
                                     ABOUT_SERVERS "\n\nExit code 1 when one does not answer.",
                                 OPTION_TABLE(OPTIONS),
                                 POSITIONAL_TABLE(COMMAND_WORDS)};
const Command CMD_MCP_HEALTH = {&VERB_HEALTH, run_health, true};

static const Verb VERB_INFO = {.name = "mcp info",
                               .summary = "show what an MCP server says about itself",
                               .description = ABOUT_SERVERS,
                               OPTION_TABLE(OPTIONS),
                               POSITIONAL_TABLE(COMMAND_WORDS)};
const Command CMD_MCP_INFO = {&VERB_INFO, run_info, true};

static const Verb VERB_TEST = {
    .name = "mcp test",
    .summary = "try an MCP server, or call one of its tools",
    .description = ABOUT_SERVERS
    "\n\nWithout --tool it is asked for everything that it lists. With --tool the tool is "
    "called, as often as --requests says, and the latencies are printed; results are not "
    "taken from a cache. Exit code 1 when a call failed or the tool reported an error.",
    OPTION_TABLE(TEST_OPTIONS),
    POSITIONAL_TABLE(COMMAND_WORDS),
    EXAMPLE_TABLE(TEST_EXAMPLES)};
const Command CMD_MCP_TEST = {&VERB_TEST, run_test, true};
