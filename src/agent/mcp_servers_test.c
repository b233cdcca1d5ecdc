#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/mcp_servers.h"

static char *fake_env(const char *name)
{
    static char token[] = "s3cret";
    return strcmp(name, "TOKEN") == 0 ? token : NULL;
}

typedef struct Read {
    Arena *arena;
    McpServerOptions *servers;
    size_t count;
    int rc;
    Err e;
} Read;

static Read read_text(const char *text)
{
    Read r = {.arena = arena_create(16 << 20)};
    const Doc *root = NULL;
    const AgentConfig *config = NULL;
    DocOptions toml = {.format = DOC_FORMAT_TOML, .source = "agents.toml"};
    r.rc = doc_parse(r.arena, slice_from_cstr(text), &toml, &root, &r.e);
    r.rc = r.rc != 0 ? r.rc : agent_config_read(r.arena, root, &config, &r.e);
    r.rc =
        r.rc != 0 ? r.rc : agent_mcp_servers(r.arena, config, fake_env, &r.servers, &r.count, &r.e);
    return r;
}

static void test_every_key_has_its_effect(void **state)
{
    (void)state;
    Read r = read_text("[mcp]\n"
                       "connection_timeout = \"3s\"\n"
                       "request_timeout = \"7s\"\n"
                       "max_retries = 4\n"
                       "retry_delay = \"20ms\"\n"
                       "enable_caching = true\n"
                       "cache_ttl = \"2m\"\n"
                       "cache_max_size = \"1MiB\"\n"
                       "max_connections = 9\n"
                       "health_interval = \"11s\"\n"
                       "balance = \"latency\"\n"
                       "max_message_size = \"2MiB\"\n"
                       "[mcp.servers.web]\n"
                       "url = \"https://example.com/mcp\"\n"
                       "headers = { Authorization = \"Bearer ${TOKEN}!\" }\n"
                       "idempotent_tools = [\"find\"]\n"
                       "tool_ttls = { find = \"5s\" }\n"
                       "[mcp.servers.local]\n"
                       "command = \"server\"\n"
                       "args = [\"-v\", \"a b\"]\n"
                       "env = { MARK = \"x=y\" }\n"
                       "max_connections = 1\n"
                       "[mcp.servers.off]\n"
                       "command = \"server\"\n"
                       "enabled = false\n");
    if (r.rc != 0) {
        fail_msg("%s", r.e.text);
    }
    assert_int_equal(r.count, 2);
    bool web_first = r.servers[0].url_count == 1;
    const McpServerOptions *web = &r.servers[web_first ? 0 : 1];
    const McpServerOptions *local = &r.servers[web_first ? 1 : 0];
    assert_true(slice_eq_cstr(web->urls[0], "https://example.com/mcp"));
    assert_true(slice_eq_cstr(web->headers[0].value, "Bearer s3cret!"));
    assert_true(slice_eq_cstr(web->idempotent_tools[0], "find"));
    assert_int_equal(web->tool_ttls[0].ttl_ns, 5 * NS_PER_S);
    assert_int_equal(web->connections_max, 9);
    assert_int_equal(web->balance, MCP_LATENCY);
    assert_int_equal(web->connect_timeout_ns, 3 * NS_PER_S);
    assert_int_equal(web->request_timeout_ns, 7 * NS_PER_S);
    assert_int_equal(web->health_interval_ns, 11 * NS_PER_S);
    assert_int_equal(web->cache_ttl_ns, 120 * NS_PER_S);
    assert_int_equal(web->limits.message_bytes_max, 2 << 20);
    assert_int_equal(web->policy[P_RETRY_ATTEMPTS].integer, 5);
    assert_int_equal(web->policy[P_RETRY_BACKOFF].integer, 20 * NS_PER_MS);
    assert_int_equal(web->policy[P_CACHE_MAX_BYTES].integer, 1 << 20);
    assert_string_equal(local->argv[0], "server");
    assert_string_equal(local->argv[2], "a b");
    assert_null(local->argv[3]);
    assert_string_equal(local->envp[0], "MARK=x=y");
    assert_int_equal(local->connections_max, 1);
    arena_destroy(r.arena);
}

static void test_nothing_is_cached_unless_asked_for(void **state)
{
    (void)state;
    Read r = read_text("[mcp]\n[mcp.servers.a]\ncommand = \"x\"\ntool_ttls = { t = \"1m\" }\n");
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.servers[0].cache_ttl_ns, 0);
    assert_int_equal(r.servers[0].ttl_count, 0);
    assert_int_equal(r.servers[0].policy[P_CACHE_TTL].integer, 0);
    arena_destroy(r.arena);
    r = read_text("[mcp]\nenabled = false\n[mcp.servers.a]\ncommand = \"x\"\n");
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.count, 0);
    arena_destroy(r.arena);
}

static void test_mistakes_are_shown_at_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *words;
    } LINES[] = {
        {"headers = { Authorization = \"Bearer ${NOWHERE}\" }", "the environment has no NOWHERE"},
        {"headers = { \"a b\" = \"x\" }", "HTTP cannot carry the header 'a b'"},
        {"headers = { a = 1 }", "must be a string"},
    };
    for (size_t i = 0; i < COUNT_OF(LINES); i++) {
        Buf text = buf_create(4096);
        buf_printf(&text, "[mcp]\n[mcp.servers.a]\nurl = \"http://127.0.0.1/\"\n%s\n",
                   LINES[i].line);
        Read r = read_text(text.data);
        if (r.rc == 0 || !strstr(r.e.text, LINES[i].words) || !strstr(r.e.text, "agents.toml:4:")) {
            fail_msg("%s: %s", LINES[i].line, r.rc ? r.e.text : "fine");
        }
        arena_destroy(r.arena);
        buf_done(&text);
    }
    Read r = read_text("[mcp]\nenable_caching = true\n[mcp.servers.a]\ncommand = \"x\"\n"
                       "tool_ttls = { t = \"soon\" }\n");
    assert_int_not_equal(r.rc, 0);
    assert_non_null(strstr(r.e.text, "agents.toml:5:"));
    arena_destroy(r.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_has_its_effect),
        cmocka_unit_test(test_nothing_is_cached_unless_asked_for),
        cmocka_unit_test(test_mistakes_are_shown_at_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
