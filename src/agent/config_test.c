#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/config.h"
#include "os/file.h"

// Reads TOML text; a message in `e` on failure.
static int read_text(Arena *arena, const char *text, const AgentConfig **ret_config, Err *e)
{
    const Doc *root = NULL;
    DocOptions options = {.format = DOC_FORMAT_TOML, .source = "a.toml"};
    int rc = doc_parse(arena, slice_from_cstr(text), &options, &root, e);
    return rc != 0 ? rc : agent_config_read(arena, root, ret_config, e);
}

static const AgentConfig *read_good(Arena *arena, const char *text)
{
    const AgentConfig *config = NULL;
    Err e = {0};
    if (read_text(arena, text, &config, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return config;
}

// The tuning guide's own TOML, letter by letter (its sections "Connection Pooling" and "Application
// Configuration").
static const char GUIDE[] = "[llm.azure]\n"
                            "max_connections = 50\n"
                            "min_connections = 5\n"
                            "connection_timeout = \"10s\"\n"
                            "idle_timeout = \"300s\"\n"
                            "max_connection_lifetime = \"3600s\"\n"
                            "[llm.openai]\n"
                            "max_connections = 30\n"
                            "request_timeout = \"30s\"\n"
                            "retry_max_attempts = 3\n"
                            "retry_initial_interval = \"1s\"\n"
                            "[runner]\n"
                            "max_concurrent_events = 100\n"
                            "event_buffer_size = 1000\n"
                            "worker_pool_size = 50\n"
                            "event_timeout = \"30s\"\n"
                            "[memory]\n"
                            "state_cache_size = 10000\n"
                            "state_cache_ttl = \"1h\"\n"
                            "enable_state_compression = true\n"
                            "[performance]\n"
                            "enable_request_batching = true\n"
                            "batch_size = 10\n"
                            "batch_timeout = \"100ms\"\n"
                            "enable_connection_pooling = true\n"
                            "pool_size = 50\n"
                            "[monitoring]\n"
                            "enable_metrics = true\n"
                            "metrics_interval = \"10s\"\n"
                            "enable_profiling = true\n"
                            "profile_port = 6060\n";

static void test_guide(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    const AgentConfig *c = read_good(arena, GUIDE);
    assert_int_equal(c->runner.max_concurrent_events, 100);
    assert_int_equal(c->runner.event_buffer_size, 1000);
    assert_int_equal(c->runner.worker_pool_size, 50);
    assert_int_equal(c->runner.event_timeout_ns, 30 * NS_PER_SECOND);
    assert_int_equal(c->memory.state_cache_size, 10000);
    assert_int_equal(c->memory.state_cache_ttl_ns, NS_PER_HOUR);
    assert_true(c->memory.enable_state_compression);
    assert_true(c->performance.enable_request_batching);
    assert_int_equal(c->performance.batch_size, 10);
    assert_int_equal(c->performance.batch_timeout_ns, 100 * NS_PER_MS);
    assert_true(c->performance.enable_connection_pooling);
    assert_int_equal(c->performance.pool_size, 50);
    assert_true(c->monitoring.enable_metrics);
    assert_int_equal(c->monitoring.metrics_interval_ns, 10 * NS_PER_SECOND);
    assert_true(c->monitoring.enable_profiling);
    assert_int_equal(c->monitoring.profile_port, 6060);
    arena_destroy(arena);
}

static const char WHOLE[] =
    "[runtime]\nshards = 2\nmemory_limit = \"8GiB\"\n"
    "[llm]\nprovider = \"main\"\n"
    "[llm.main]\nprovider = \"compatible\"\nendpoint = \"http://127.0.0.1:1/v1\"\nmodel = \"m\"\n"
    "fallback = [\"ollama\"]\n"
    "[llm.ollama]\nmodel = \"small\"\n"
    "[llm.roles]\nanalysis = \"ollama/big\"\n"
    "[llm.prices.m]\ninput = 2.5\noutput = 10\n"
    "[agents.echo]\nbuiltin = \"echo\"\noverflow = \"dead_letter\"\ndead_letter = \"lost\"\n"
    "policies = [\"careful\"]\n"
    "[agents.lost]\nbuiltin = \"null\"\n"
    "[agents.code]\nlibrary = \"./libcode.so\"\n"
    "[agents.js]\nscript = \"/srv/a.js\"\n"
    "[agents.analyst]\nrole = \"analysis\"\nsystem_prompt = \"You read.\"\n"
    "tools = [\"search\", \"mcp:files\", \"mcp:files/read\"]\n"
    "[tools.search]\nscript = \"search.js\"\nschema = { type = \"object\" }\n"
    "[policies.careful.retry]\nattempts = 2\n"
    "[edges.one]\nfrom = \"*\"\nto = \"echo\"\npolicies = [\"careful\"]\n"
    "[mcp]\nmax_retries = 1\n"
    "[mcp.servers.files]\ncommand = \"files\"\nargs = [\"-v\", \"-v\"]\n"
    "tool_ttls = { read = \"1m\" }\n"
    "[orchestration]\nmode = \"dag\"\n"
    "[orchestration.nodes.last]\nagent = \"echo\"\nafter = [\"js\", \"code\"]\n"
    "[orchestration.nodes.js]\nafter = [\"code\"]\n"
    "[orchestration.nodes.code]\n";

static void test_whole(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    const AgentConfig *c = read_good(arena, WHOLE);
    assert_int_equal(c->runtime.memory_limit, INT64_C(8) << 30);
    assert_int_equal(agent_config_agent(c, SLICE("analyst"))->kind, AGENT_KIND_LLM);
    assert_int_equal(agent_config_agent(c, SLICE("code"))->kind, AGENT_KIND_LIBRARY);
    assert_int_equal(agent_config_agent(c, SLICE("js"))->kind, AGENT_KIND_SCRIPT);
    assert_int_equal(agent_config_agent(c, SLICE("analyst"))->tools.count, 3);
    assert_int_equal(c->mcp_servers[0].args.count, 2);
    // Each node after what it waits for.
    assert_true(slice_eq_cstr(c->orchestration.nodes[0].name, "code"));
    assert_true(slice_eq_cstr(c->orchestration.nodes[1].name, "js"));
    assert_true(slice_eq_cstr(c->orchestration.nodes[2].agent, "echo"));
    arena_destroy(arena);
}

#define ECHO "[agents.a]\nbuiltin = \"echo\"\n[agents.b]\nbuiltin = \"echo\"\n"

static const struct Bad {
    const char *text, *words;
} BAD[] = {
    {"[runer]\n", "a.toml:1:2: unknown field \"runer\"; did you mean \"runner\"?"},
    {"[runner]\nmax_concurent_events = 3\n",
     "a.toml:2:1: unknown field \"max_concurent_events\"; did you mean \"max_concurrent_events\"?"},
    {"[runner]\nmax_concurrent_events = 0\n", "0 is not between 1 and 1000000"},
    {"[runner]\nevent_timeout = \"30\"\n", "a.toml:2:"},
    {"[runner]\nevent_timeout = 30\n", "must be a string, not a whole number"},
    {"[memory]\nenable_state_compression = \"yes\"\n", "must be true or false, not a string"},
    {"[monitoring]\nprofile_port = 65536\n", "65536 is not between 0 and 65535"},
    {"runner = 3\n", "runner must be an object"},
    {"llm = 3\n", "llm must be an object"},
    {"[agents.a]\n", "must have one of library, script"},
    {"[agents.a]\nscript = \"a.js\"\nbuiltin = \"echo\"\n", "must have only one of"},
    {"[agents.a]\nbuiltin = \"ecco\"\n", "builtin is \"echo\" or \"null\""},
    {"[agents.a]\nscript = \"a.js\"\ntools = []\n", "are for LLM agents"},
    {"[agents.a]\nllm = \"openai\"\n", "there is no section llm \"openai\""},
    {"[agents.a]\nrole = \"chart\"\n", "needs a provider"},
    {"[llm.cache]\n[agents.a]\nllm = \"cache\"\n", "there is no section llm \"cache\""},
    {"[llm.ollama]\n[agents.a]\nllm = \"ollama\"\ntools = [\"serch\"]\n[tools.search]\n"
     "script = \"s.js\"\n",
     "there is no tool \"serch\"; did you mean \"search\"?"},
    {"[llm.ollama]\n[agents.a]\nllm = \"ollama\"\ntools = [\"mcp:x\"]\n",
     "there is no MCP server \"x\""},
    {"[llm.ollama]\n[agents.a]\nllm = \"ollama\"\ntools = [\"t\", \"t\"]\n", "names \"t\" twice"},
    {ECHO "policies = [\"p\"]\n", "there is no policy \"p\""},
    {"[policies.p.retry]\natempts = 3\n", "did you mean \"attempts\"?"},
    {"[policies.p.rety]\n", "did you mean \"retry\"?"},
    {"[policies.p.retry]\nattempts = 0\n", "attempts: 0 is not between"},
    {"[policies.p]\nlimit = { kind = \"aimd\", min = 9, max = 3 }\n", "limit.min is 9"},
    {ECHO "overflow = \"dead_letter\"\n", "needs dead_letter"},
    {ECHO "dead_letter = \"b\"\n", "its own dead letter"},
    {"[agents.a]\nbuiltin = \"echo\"\noverflow = \"dead_letter\"\ndead_letter = \"b\"\n"
     "[agents.b]\nbuiltin = \"echo\"\noverflow = \"dead_letter\"\ndead_letter = \"a\"\n",
     "dead letters of \"a\" come back to it"},
    {"[agents.a]\nbuiltin = \"echo\"\noverflow = \"shedd\"\n", "did you mean shed?"},
    {ECHO "[edges.x]\nfrom = \"a\"\n", "needs from and to"},
    {ECHO "[edges.x]\nfrom = \"a\"\nto = \"c\"\n", "there is no agent \"c\""},
    {"[tools.t]\n", "must have one of script and library"},
    {"[mcp.servers.s]\n", "one of command and url"},
    {"[mcp.servers.s]\nurl = \"http://h\"\nheaders = { x = 1 }\n", "x must be a string"},
    {"[mcp.servers.s]\nurl = \"http://h\"\ntool_ttls = { x = \"1\" }\n", "x: "},
    {ECHO "[orchestration]\nmode = \"sequential\"\n", "mode = \"sequential\" needs agents"},
    {ECHO "[orchestration]\nmode = \"parallel\"\nagents = [\"a\", \"c\"]\n",
     "there is no agent \"c\""},
    {ECHO "[orchestration]\nmode = \"mixed\"\nsequential_agents = [\"a\"]\n",
     "needs collaborative"},
    {ECHO "[orchestration]\nmode = \"loop\"\nagents = [\"a\", \"b\"]\n", "needs loop_agent"},
    {ECHO "[orchestration]\nname = \"a\"\nagents = [\"a\"]\n", "both named \"a\""},
    {ECHO "[orchestration]\n", "mode = \"route\" needs agents or routes"},
    {ECHO "[orchestration]\nroutes = { x = \"c\" }\n", "there is no agent \"c\""},
    {ECHO "[orchestration]\nmode = \"sequential\"\nagents = [\"a\"]\nsequential_agents = [\"b\"]\n",
     "says the same as agents"},
    {ECHO "[orchestration]\nmode = \"dag\"\n[orchestration.nodes.a]\nafter = [\"b\"]\n"
          "[orchestration.nodes.b]\nafter = [\"a\"]\n",
     "runs in a circle: a waits for b waits for a"},
    {ECHO "[orchestration]\nmode = \"dag\"\n[orchestration.nodes.a]\nafter = [\"a\"]\n",
     "runs in a circle: a waits for a"},
    {ECHO "[orchestration]\nmode = \"dag\"\n[orchestration.nodes.a]\nafter = [\"z\"]\n",
     "there is no node \"z\""},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        Arena *arena = arena_create(16 << 20);
        const AgentConfig *config = NULL;
        Err e = {0};
        int rc = read_text(arena, BAD[i].text, &config, &e);
        if (rc == 0 || !strstr(e.text, BAD[i].words)) {
            fail_msg("case %zu: got \"%s\", wanted \"%s\"", i, e.text, BAD[i].words);
        }
        assert_null(config);
        arena_destroy(arena);
    }
}

// A workflow at the ceiling is read, one node more is refused.
static void test_limits(void **state)
{
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        Arena *arena = arena_create(64 << 20);
        Buf text = buf_create(1 << 20);
        buf_puts(&text, ECHO "[orchestration]\nmode = \"dag\"\n");
        for (int i = 0; i < CONFIG_NODES_MAX + extra; i++) {
            buf_printf(&text, "[orchestration.nodes.n%d]\nagent = \"a\"\n", i);
            if (i > 0) {
                buf_printf(&text, "after = [\"n%d\"]\n", i - 1);
            }
        }
        const AgentConfig *config = NULL;
        Err e = {0};
        assert_int_equal(read_text(arena, text.data, &config, &e), extra ? ERR_LIMIT : 0);
        buf_done(&text);
        arena_destroy(arena);
    }
}

// Paths are relative to the file that says them.
static void test_paths(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    const Doc *root = NULL;
    DocOptions options = {.format = DOC_FORMAT_TOML, .source = "conf/a.toml"};
    Err e = {0};
    assert_int_equal(doc_parse(arena,
                               SLICE("[agents.a]\nscript = \"x/a.js\"\n"
                                     "[agents.b]\nscript = \"/x/a.js\"\n"),
                               &options, &root, &e),
                     0);
    const AgentConfig *config = NULL;
    assert_int_equal(agent_config_read(arena, root, &config, &e), 0);
    assert_true(slice_eq_cstr(config->agents[0].script, "conf/x/a.js"));
    assert_true(slice_eq_cstr(config->agents[1].script, "/x/a.js"));
    arena_destroy(arena);
}

// What is written reads back as the same.
static void test_write(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    Buf first = buf_create(1 << 20), second = buf_create(1 << 20);
    JsonWriter w = json_writer(&first, 0);
    agent_config_write(read_good(arena, WHOLE), &w);
    const Doc *root = NULL;
    const AgentConfig *again = NULL;
    Err e = {0};
    assert_int_equal(doc_parse(arena, buf_slice(&first), NULL, &root, &e), 0);
    if (agent_config_read(arena, root, &again, &e) != 0) {
        fail_msg("%s", e.text);
    }
    w = json_writer(&second, 0);
    agent_config_write(again, &w);
    assert_string_equal(first.data, second.data);
    buf_done(&first);
    buf_done(&second);
    arena_destroy(arena);
}

static void test_defaults(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    const AgentConfig *config = NULL;
    Err e = {0};
    assert_int_equal(agent_config_read(arena, NULL, &config, &e), 0);
    assert_int_equal(config->runner.max_concurrent_events, 100);
    assert_int_equal(config->agent_count, 0);
    arena_destroy(arena);
}

// The manual's reference is what the tables say.
static void test_manual(void **state)
{
    (void)state;
    const char *source_root = getenv("PW_SOURCE_ROOT");
    if (!source_root) {
        skip();
    }
    Arena *arena = arena_create(4 << 20);
    Slice path = arena_printf(arena, "%s/docs/guide/agents.md", source_root);
    Buf manual = buf_create(1 << 20);
    Err e = {0};
    if (file_read(path.ptr, &manual, &e) != 0) {
        fail_msg("%s", e.text);
    }
    Buf keys = buf_create(1 << 20);
    agent_config_keys(&keys);
    if (slice_find(buf_slice(&manual), buf_slice(&keys)) < 0) {
        fail_msg("docs/guide/agents.md does not hold what `perfwright agent keys` prints");
    }
    buf_done(&keys);
    buf_done(&manual);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guide),    cmocka_unit_test(test_whole),
        cmocka_unit_test(test_bad),      cmocka_unit_test(test_limits),
        cmocka_unit_test(test_paths),    cmocka_unit_test(test_write),
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_manual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
