// Life of a client: opening the way, finding out the era, the handshake of the older one, the end.
//
// The question "which era" is `server/discover`. Its answer, or an error that only the newer era
// knows, means the newer one; anything else, silence included, means `initialize`. A process that
// dies of the question is started once more for the older era.
#include "mcp/client_impl.h"

#include "base/json_write.h"

enum { ABOUT_BYTES_MAX = 128 << 20, ARENA_BYTES_MAX = 4 << 20 };
static const int64_t DISCOVERY_NS = 10 * NS_PER_S;
static const int64_t REQUEST_NS = 60 * NS_PER_S;
static const int64_t CLOSE_NS = 6 * NS_PER_S;

static const char *const LEGACY_VERSIONS[] = {"2025-11-25", "2025-06-18", "2025-03-26",
                                              "2024-11-05"};

static int open_transport(McpClient *c, Err *e)
{
    const McpOptions *o = &c->options;
    if (o->argv) {
        McpStdioOptions stdio = {.pool = o->pool,
                                 .argv = o->argv,
                                 .envp = o->envp,
                                 .directory = o->directory,
                                 .limits = c->limits,
                                 .sink = mcp_client_sink(c)};
        return mcp_stdio_open(&stdio, &c->transport, e);
    }
    McpHttpOptions http = {.pool = o->pool,
                           .http = o->http,
                           .url = o->url,
                           .headers = o->headers,
                           .header_count = o->header_count,
                           .limits = c->limits,
                           .sink = mcp_client_sink(c)};
    return mcp_http_open(&http, &c->transport, e);
}

static void close_transport(McpClient *c)
{
    if (c->transport) {
        c->transport->ops->close(c->transport, loop_clock(c->loop) + CLOSE_NS);
        c->transport = NULL;
    }
}

// ---- who is there

static Slice text_of(const Doc *object, const char *key)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    return d && d->type == DOC_STRING ? d->text : (Slice){"", 0};
}

// `about` becomes the client's; what it knew before goes.
static void learn(McpClient *c, Arena *about, const Doc *result)
{
    arena_destroy(c->about);
    c->about = about;
    const Doc *info = doc_get(result, SLICE("serverInfo"));
    if (!info) { // in the newer era
        info =
            doc_get(doc_get(result, SLICE("_meta")), SLICE("io.modelcontextprotocol/serverInfo"));
    }
    c->server_name = text_of(info, "name");
    c->server_version = text_of(info, "version");
    c->instructions = text_of(result, "instructions");
    const Doc *capabilities = doc_get(result, SLICE("capabilities"));
    c->capabilities = capabilities && capabilities->type == DOC_OBJECT ? capabilities : NULL;
}

static bool names_version(const Doc *list, const char *version)
{
    for (const Doc *v = doc_first(list); v; v = doc_next(v)) {
        if (v->type == DOC_STRING && slice_eq_cstr(v->text, version)) {
            return true;
        }
    }
    return false;
}

// ---- the older era

static int agree(McpClient *c, const Doc *result, Err *e)
{
    Slice version = text_of(result, "protocolVersion");
    for (size_t i = 0; i < COUNT_OF(LEGACY_VERSIONS); i++) {
        if (slice_eq_cstr(version, LEGACY_VERSIONS[i])) {
            c->version = LEGACY_VERSIONS[i];
            return 0;
        }
    }
    return err_set(e, ERR_VERSION,
                   "the server speaks version '%.*s' of the protocol; known are %s to %s and %s",
                   SLICE_FMT(slice_sub(version, 0, 40)), "2024-11-05", MCP_VERSION_LEGACY,
                   MCP_VERSION_MODERN);
}

int mcp_initialise(McpClient *c, Err *e)
{
    c->era = MCP_ERA_LEGACY;
    c->version = MCP_VERSION_LEGACY;
    Arena *about = arena_create(ABOUT_BYTES_MAX);
    Buf params = buf_create(1 << 20);
    buf_puts(&params, "\"protocolVersion\":\"" MCP_VERSION_LEGACY "\",\"capabilities\":");
    mcp_write_capabilities(c, &params);
    buf_puts(&params, ",\"clientInfo\":");
    mcp_write_client_info(c, &params);
    McpExchange x = {.request = {.method = SLICE("initialize"),
                                 .params = buf_slice(&params),
                                 .options = {.timeout_ns = c->options.discovery_timeout_ns}},
                     .initialises = true,
                     .plain = true};
    McpPending p;
    int rc = mcp_exchange(c, about, &x, &p, e);
    buf_done(&params);
    if (rc == 0 && p.answer.kind == RPC_ERROR) {
        rc = mcp_error_of(&p.answer, x.request.method, e);
    }
    if (rc == 0 && !p.answer.result) {
        rc = err_set(e, ERR_LIMIT, "the server's answer to initialize is too large");
    }
    free(p.file);
    rc = rc != 0 ? rc : agree(c, p.answer.result, e);
    if (rc != 0) {
        arena_destroy(about);
        return rc;
    }
    learn(c, about, p.answer.result);
    mcp_notify(c, SLICE("notifications/initialized"), (Slice){NULL, 0});
    const McpHandlers *h = &c->options.handlers;
    // Questions and news that belong to no request come on a stream of their own.
    if (c->options.listen || h->elicit || h->sample || h->root_count > 0 || h->notified) {
        c->transport->ops->listen(c->transport, slice_from_cstr(c->version));
    }
    if (c->log_level.len > 0 && mcp_can(c, SLICE("logging"))) {
        return mcp_set_log_level(c, buf_slice(&c->log_level), e);
    }
    return 0;
}

// ---- the question

// What the answer to server/discover means: the newer era, or 0 with *ret_legacy.
static int judge(McpClient *c, Arena *about, const McpPending *p, bool *ret_legacy, Err *e)
{
    *ret_legacy = true;
    const RpcMessage *m = &p->answer;
    if (m->kind == RPC_RESULT && m->result) {
        const Doc *versions = doc_get(m->result, SLICE("supportedVersions"));
        if (names_version(versions, MCP_VERSION_MODERN)) {
            *ret_legacy = false;
            learn(c, about, m->result);
            return 0;
        }
        bool known = false;
        for (size_t i = 0; i < COUNT_OF(LEGACY_VERSIONS); i++) {
            known |= names_version(versions, LEGACY_VERSIONS[i]);
        }
        if (versions && !known) {
            return err_set(e, ERR_VERSION, "the server speaks no version of the protocol we know");
        }
        return 0; // not what a server of the newer era says
    }
    if (m->kind == RPC_ERROR && m->error_code == RPC_UNSUPPORTED_VERSION) {
        const Doc *versions = doc_get(m->error_data, SLICE("supported"));
        *ret_legacy = !names_version(versions, MCP_VERSION_MODERN);
    } else if (m->kind == RPC_ERROR &&
               (m->error_code == RPC_MISSING_CAPABILITY || m->error_code == RPC_HEADER_MISMATCH)) {
        return mcp_error_of(m, SLICE("server/discover"), e);
    }
    return 0;
}

static int ask_once(McpClient *c, bool *ret_legacy, bool *ret_learned, Err *e)
{
    McpExchange x = {.request = {.method = SLICE("server/discover"),
                                 .options = {.timeout_ns = c->options.discovery_timeout_ns}}};
    Arena *about = arena_create(ABOUT_BYTES_MAX);
    McpPending p;
    int rc = mcp_exchange(c, about, &x, &p, e);
    *ret_legacy = rc == ERR_TIMEOUT || rc == ERR_CLOSED || rc == ERR_PROTOCOL || rc == ERR_PARSE ||
                  rc == ERR_NOT_FOUND || rc == ERR_IO || rc == ERR_BUSY;
    if (rc != 0) {
        rc = *ret_legacy ? 0 : rc;
    } else {
        free(p.file);
        rc = judge(c, about, &p, ret_legacy, e);
    }
    *ret_learned = c->about == about;
    if (!*ret_learned) {
        arena_destroy(about);
    }
    return rc;
}

static int discover(McpClient *c, bool *ret_legacy, Err *e)
{
    c->era = MCP_ERA_MODERN;
    c->version = MCP_VERSION_MODERN;
    bool learned = false;
    *ret_legacy = false;
    int rc = 0;
    // A server may refuse the version of the first request and name it as supported all the same.
    for (int i = 0; i < 2 && rc == 0 && !*ret_legacy && !learned; i++) {
        rc = ask_once(c, ret_legacy, &learned, e);
    }
    if (rc == 0 && !*ret_legacy && !learned) {
        rc = err_set(e, ERR_VERSION,
                     "the server refuses version " MCP_VERSION_MODERN " and names it as supported");
    }
    return rc;
}

// A process that ended at the question, or was asked too much, gets a second life.
static int reopen(McpClient *c, Err *e)
{
    if (!c->options.argv || !c->closed) {
        return 0;
    }
    close_transport(c);
    c->closed = false;
    return open_transport(c, e);
}

static int negotiate(McpClient *c, Err *e)
{
    bool legacy = c->options.era == MCP_ERA_LEGACY;
    int rc = legacy ? 0 : discover(c, &legacy, e);
    if (rc != 0 || !legacy) {
        return rc;
    }
    if (c->options.era == MCP_ERA_MODERN) {
        return err_set(e, ERR_VERSION, "the server does not speak version " MCP_VERSION_MODERN);
    }
    rc = reopen(c, e);
    return rc != 0 ? rc : mcp_initialise(c, e);
}

// ---- subscriptions of the newer era: a request whose answer is a stream of notifications

static void keep_listening(void *arg)
{
    McpClient *c = arg;
    c->listener = fiber_self();
    Arena *arena = arena_create(ABOUT_BYTES_MAX);
    static const char FILTER[] = "\"notifications\":{\"toolsListChanged\":true,"
                                 "\"promptsListChanged\":true,\"resourcesListChanged\":true";
    while (!c->closing && !c->closed) {
        Buf params = buf_create(1 << 20);
        buf_puts(&params, FILTER);
        if (c->subscriptions.len > 0) {
            buf_printf(&params, ",\"resourceSubscriptions\":[%.*s]",
                       SLICE_FMT(buf_slice(&c->subscriptions)));
        }
        buf_putc(&params, '}');
        McpExchange x = {.request = {.method = SLICE("subscriptions/listen"),
                                     .params = buf_slice(&params),
                                     .options = {.timeout_ns = NEVER_NS}}};
        McpPending p;
        int rc = mcp_exchange(c, arena, &x, &p, NULL);
        buf_done(&params);
        free(p.file);
        arena_reset(arena);
        if (rc == ERR_CONFLICT) {
            continue; // we want another set of news
        }
        // A broken stream is opened again; a server that refuses is not asked twice.
        if (rc == 0 || rc == ERR_LIMIT || fiber_sleep(NS_PER_S) != 0) {
            break;
        }
    }
    arena_destroy(arena);
    c->listener = NULL;
}

static void start_listening(McpClient *c)
{
    if (c->era == MCP_ERA_MODERN && c->listeners.alive == 0) {
        (void)!fiber_group_spawn(&c->listeners, c->options.pool, "mcp listen", keep_listening, c);
    }
}

int mcp_listen_to(McpClient *c, Slice uri, bool on, Err *e)
{
    Buf item = buf_create(c->subscriptions.max);
    Buf list = buf_create(c->subscriptions.max);
    json_quote(&item, uri);
    // A quoted text holds no bare quote, so it is found only as a whole.
    ptrdiff_t at = slice_find(buf_slice(&c->subscriptions), buf_slice(&item));
    if (on && at < 0) {
        buf_append(&list, buf_slice(&c->subscriptions));
        buf_puts(&list, list.len > 0 ? "," : "");
        buf_append(&list, buf_slice(&item));
    } else if (!on && at >= 0) {
        Slice all = buf_slice(&c->subscriptions);
        size_t end = (size_t)at + item.len;
        buf_append(&list, slice_sub(all, 0, at > 0 ? (size_t)at - 1 : 0));
        buf_append(&list, slice_sub(all, end + (at == 0 && end < all.len), all.len));
    }
    int rc = buf_check(&list, "the list of subscriptions", e);
    if (rc == 0 && on == (at < 0)) {
        buf_reset(&c->subscriptions);
        buf_append(&c->subscriptions, buf_slice(&list));
        mcp_restart_listening(c);
        start_listening(c);
    }
    buf_done(&item);
    buf_done(&list);
    return rc;
}

// ---- life

static const char *const *copy_argv(Arena *arena, const char *const *argv)
{
    size_t count = 0;
    while (argv[count]) {
        count++;
    }
    const char **copy = ARENA_ARRAY(arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        copy[i] = arena_cstr(arena, slice_from_cstr(argv[i]));
    }
    return copy;
}

static void copy_options(McpClient *c, const McpOptions *options)
{
    McpOptions *o = &c->options;
    *o = *options;
    o->argv = o->argv ? copy_argv(c->arena, o->argv) : NULL;
    o->url = arena_copy(c->arena, o->url);
    o->client_name =
        o->client_name.len ? arena_copy(c->arena, o->client_name) : SLICE("perfwright");
    o->client_version =
        o->client_version.len ? arena_copy(c->arena, o->client_version) : SLICE("0");
    HttpHeader *headers = ARENA_ARRAY(c->arena, HttpHeader, o->header_count + 1);
    for (size_t i = 0; i < o->header_count; i++) {
        headers[i] = (HttpHeader){arena_copy(c->arena, o->headers[i].name),
                                  arena_copy(c->arena, o->headers[i].value)};
    }
    o->headers = headers;
    McpRoot *roots = ARENA_ARRAY(c->arena, McpRoot, o->handlers.root_count + 1);
    for (size_t i = 0; i < o->handlers.root_count; i++) {
        roots[i] = (McpRoot){arena_copy(c->arena, o->handlers.roots[i].uri),
                             arena_copy(c->arena, o->handlers.roots[i].name)};
    }
    o->handlers.roots = roots;
    o->discovery_timeout_ns = o->discovery_timeout_ns ? o->discovery_timeout_ns : DISCOVERY_NS;
    o->request_timeout_ns = o->request_timeout_ns ? o->request_timeout_ns : REQUEST_NS;
    c->limits = mcp_limits_filled(&o->limits);
    c->log_level = buf_create(64);
    buf_append(&c->log_level, o->log_level);
}

int mcp_connect(const McpOptions *options, McpClient **ret_client, Err *e)
{
    if (!options->argv == !options->url.len || (options->url.len && !options->http)) {
        return err_set(e, ERR_ARG, "an MCP server is either a program or a URL");
    }
    McpClient *c = mem_zalloc(sizeof *c);
    c->arena = arena_create(ARENA_BYTES_MAX);
    c->loop = fiber_pool_loop(options->pool);
    c->subscriptions = buf_create(1 << 20);
    copy_options(c, options);
    int rc = open_transport(c, e);
    rc = rc != 0 ? rc : negotiate(c, e);
    if (rc != 0) {
        mcp_clean(e);
        mcp_close(c);
        return rc;
    }
    if (c->options.listen) {
        start_listening(c);
    }
    *ret_client = c;
    return 0;
}

static void wait_for(FiberGroup *group)
{
    bool cancelled = false;
    while (group->alive > 0) {
        if (fiber_group_wait(group, NEVER_NS) == ERR_CANCELLED) {
            cancelled = true;
            fiber_clear_cancel();
        }
    }
    if (cancelled) {
        fiber_cancel(fiber_self());
    }
}

void mcp_close(McpClient *c)
{
    if (!c) {
        return;
    }
    c->closing = true;
    Err why;
    int rc = err_set(&why, ERR_CLOSED, "the client is closed");
    mcp_fail_all(c, rc, &why);
    if (c->listener) {
        fiber_cancel(c->listener);
    }
    wait_for(&c->listeners);
    wait_for(&c->questions);
    close_transport(c);
    mcp_toolset_unref(c->tools);
    buf_done(&c->subscriptions);
    buf_done(&c->log_level);
    arena_destroy(c->about);
    arena_destroy(c->arena);
    free(c);
}

// ---- looking

McpEra mcp_era(const McpClient *c)
{
    return c->era;
}

Slice mcp_version(const McpClient *c)
{
    return slice_from_cstr(c->version);
}

bool mcp_is_alive(const McpClient *c)
{
    return !c->closed;
}

size_t mcp_outstanding(const McpClient *c)
{
    return c->pending_count - (c->listener ? 1 : 0);
}

Slice mcp_server_name(const McpClient *c)
{
    return c->server_name;
}

Slice mcp_server_version(const McpClient *c)
{
    return c->server_version;
}

Slice mcp_instructions(const McpClient *c)
{
    return c->instructions;
}

const Doc *mcp_capabilities(const McpClient *c)
{
    return c->capabilities;
}

bool mcp_can(const McpClient *c, Slice capability)
{
    return doc_get(c->capabilities, capability) != NULL;
}
