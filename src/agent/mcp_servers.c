#include "agent/mcp_servers.h"

#include <unistd.h>

enum { VALUE_BYTES_MAX = 64 << 10 };

// "Bearer ${TOKEN}" with the environment's words.
static int expand(Arena *arena, const Doc *value, char *(*get_env)(const char *), Slice *ret,
                  Err *e)
{
    Buf out = buf_create(VALUE_BYTES_MAX);
    Slice rest = value->text;
    int rc = 0;
    while (rest.len > 0 && rc == 0) {
        ptrdiff_t at = slice_find(rest, SLICE("${"));
        ptrdiff_t end = at < 0 ? -1 : slice_find_byte(slice_sub(rest, (size_t)at, rest.len), '}');
        if (at < 0 || end < 0) {
            buf_append(&out, rest);
            break;
        }
        buf_append(&out, slice_sub(rest, 0, (size_t)at));
        const char *name = arena_cstr(arena, slice_sub(rest, (size_t)at + 2, (size_t)end - 2));
        const char *word = get_env ? get_env(name) : NULL;
        if (!word) {
            rc = doc_err(e, value, "the environment has no %s", name);
        } else {
            buf_puts(&out, word);
        }
        rest = slice_sub(rest, (size_t)at + (size_t)end + 1, rest.len);
    }
    rc = rc != 0 ? rc : buf_check(&out, "a header", e);
    *ret = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return rc;
}

static int read_headers(Arena *arena, const Doc *object, char *(*get_env)(const char *),
                        McpServerOptions *o, Err *e)
{
    HttpHeader *headers = ARENA_ARRAY(arena, HttpHeader, doc_count(object) + 1);
    for (const Doc *d = doc_first(object); d; d = doc_next(d)) {
        int rc = doc_expect(d, DOC_STRING, "a header's value", e);
        HttpHeader *header = &headers[o->header_count++];
        header->name = d->key;
        rc = rc != 0 ? rc : expand(arena, d, get_env, &header->value, e);
        if (rc != 0) {
            return rc;
        }
        if (!http_is_token(header->name) || !http_is_field_value(header->value)) {
            return doc_err_key(e, d, "HTTP cannot carry the header '%.*s'",
                               SLICE_FMT(header->name));
        }
    }
    o->headers = headers;
    return 0;
}

// Our environment with the server's words over it.
static int read_env(Arena *arena, const Doc *object, McpServerOptions *o, Err *e)
{
    if (!object) {
        return 0;
    }
    size_t ours = 0;
    while (environ[ours]) {
        ours++;
    }
    const char **envp = ARENA_ARRAY(arena, const char *, ours + doc_count(object) + 1);
    size_t count = 0;
    for (const Doc *d = doc_first(object); d; d = doc_next(d)) {
        int rc = doc_expect(d, DOC_STRING, "a variable's value", e);
        if (rc != 0) {
            return rc;
        }
        envp[count++] = arena_printf(arena, "%.*s=%.*s", SLICE_FMT(d->key), SLICE_FMT(d->text)).ptr;
    }
    for (size_t i = 0; i < ours; i++) {
        Slice name;
        Slice value;
        (void)slice_cut(slice_from_cstr(environ[i]), '=', &name, &value);
        if (!doc_get(object, name)) {
            envp[count++] = environ[i];
        }
    }
    o->envp = envp;
    return 0;
}

static int read_ttls(Arena *arena, const Doc *object, McpServerOptions *o, Err *e)
{
    McpToolTtl *ttls = ARENA_ARRAY(arena, McpToolTtl, doc_count(object) + 1);
    for (const Doc *d = doc_first(object); d; d = doc_next(d)) {
        McpToolTtl *ttl = &ttls[o->ttl_count++];
        ttl->tool = d->key;
        int rc = doc_expect(d, DOC_STRING, "a tool's time to live", e);
        if (rc == 0 && duration_parse(d->text, 0, &ttl->ttl_ns, NULL) != 0) {
            rc = doc_err(e, d, "'%.*s' is no duration such as \"1m\"", SLICE_FMT(d->text));
        }
        if (rc != 0) {
            return rc;
        }
    }
    o->tool_ttls = ttls;
    return 0;
}

static const char *const *read_argv(Arena *arena, const ConfigMcpServer *s)
{
    const char **argv = ARENA_ARRAY(arena, const char *, s->args.count + 2);
    argv[0] = arena_cstr(arena, s->command);
    for (size_t i = 0; i < s->args.count; i++) {
        argv[i + 1] = arena_cstr(arena, s->args.items[i]);
    }
    return argv;
}

static const ParamValue *read_policy(Arena *arena, const ConfigMcp *mcp)
{
    ParamValue *values = ARENA_ARRAY(arena, ParamValue, POLICY_PARAM_COUNT);
    mcp_policy_defaults(values);
    values[P_RETRY_ATTEMPTS].integer =
        mcp->max_retries < POLICY_ATTEMPTS_MAX ? mcp->max_retries + 1 : POLICY_ATTEMPTS_MAX;
    values[P_RETRY_BACKOFF].integer = mcp->retry_delay_ns;
    if (values[P_RETRY_MAX_BACKOFF].integer < mcp->retry_delay_ns) {
        values[P_RETRY_MAX_BACKOFF].integer = mcp->retry_delay_ns;
    }
    values[P_CACHE_MAX_BYTES].integer = mcp->cache_max_size;
    if (!mcp->enable_caching) {
        values[P_CACHE_TTL].integer = 0;
    }
    return values;
}

static int read_server(Arena *arena, const ConfigMcp *mcp, const ConfigMcpServer *s,
                       char *(*get_env)(const char *), McpServerOptions *o, Err *e)
{
    *o = (McpServerOptions){
        .name = s->name,
        .connections_max = (size_t)(s->max_connections ? s->max_connections : mcp->max_connections),
        .balance = (McpBalance)mcp->balance,
        .idempotent_tools = s->idempotent_tools.items,
        .idempotent_count = s->idempotent_tools.count,
        .cache_ttl_ns = mcp->enable_caching ? mcp->cache_ttl_ns : 0,
        .connect_timeout_ns = mcp->connection_timeout_ns,
        .request_timeout_ns = mcp->request_timeout_ns,
        .health_interval_ns = mcp->health_interval_ns ? mcp->health_interval_ns : -1,
        .limits = {.message_bytes_max = (size_t)mcp->max_message_size},
        .policy = read_policy(arena, mcp)};
    if (s->url.len > 0) {
        Slice *urls = ARENA_NEW(arena, Slice);
        *urls = s->url;
        o->urls = urls;
        o->url_count = 1;
    } else {
        o->argv = read_argv(arena, s);
    }
    int rc = read_headers(arena, s->headers, get_env, o, e);
    rc = rc != 0 ? rc : read_env(arena, s->env, o, e);
    return rc == 0 && mcp->enable_caching ? read_ttls(arena, s->tool_ttls, o, e) : rc;
}

int agent_mcp_servers(Arena *arena, const AgentConfig *config, char *(*get_env)(const char *),
                      McpServerOptions **ret_servers, size_t *ret_count, Err *e)
{
    McpServerOptions *servers = ARENA_ARRAY(arena, McpServerOptions, config->mcp_server_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < config->mcp_server_count && config->mcp.enabled; i++) {
        const ConfigMcpServer *s = &config->mcp_servers[i];
        int rc =
            s->enabled ? read_server(arena, &config->mcp, s, get_env, &servers[count++], e) : 0;
        if (rc != 0) {
            return rc;
        }
    }
    *ret_servers = servers;
    *ret_count = count;
    return 0;
}
