// The pool: its servers, and what is asked of it by name.
#include "mcp/pool_impl.h"

#include <assert.h>

enum { ARENA_BYTES_MAX = 64 << 20 };
static const int64_t TOOLS_NS = 300 * NS_PER_S; // hints of tools are believed for so long

void mcp_pool_tell(McpPool *pool, const McpEvent *event)
{
    if (pool->options.event_fn) {
        pool->options.event_fn(pool->options.event_ctx, event);
    }
}

McpServer *mcp_pool_find(const McpPool *pool, Slice name)
{
    for (size_t i = 0; i < pool->server_count; i++) {
        if (slice_eq(pool->servers[i].options.name, name)) {
            return &pool->servers[i];
        }
    }
    return NULL;
}

static McpServer *find(const McpPool *pool, Slice name, Err *e)
{
    McpServer *s = pool->closing ? NULL : mcp_pool_find(pool, name);
    if (!s) {
        Slice *all = mem_alloc((pool->server_count + 1) * sizeof *all);
        for (size_t i = 0; i < pool->server_count; i++) {
            all[i] = pool->servers[i].options.name;
        }
        Slice near = slice_nearest(name, all, pool->server_count);
        (void)err_set(e, ERR_NOT_FOUND, "there is no MCP server '%.*s'%s%.*s%s", SLICE_FMT(name),
                      near.len ? "; did you mean '" : "", SLICE_FMT(near), near.len ? "'?" : "");
        free(all);
    }
    return s;
}

int mcp_pool_call(McpPool *pool, Arena *arena, const McpPoolCall *call, McpResult *ret_result,
                  Err *e)
{
    McpServer *s = find(pool, call->server, e);
    return s ? mcp_guarded_call(s, arena, call, ret_result, e) : ERR_NOT_FOUND;
}

int mcp_pool_tools(McpPool *pool, Slice server, McpToolSet **ret_tools, Err *e)
{
    McpServer *s = find(pool, server, e);
    if (!s) {
        return ERR_NOT_FOUND;
    }
    int64_t now = loop_clock(pool->loop);
    if (!s->tools || now >= s->tools_until_ns) {
        McpSlot *slot = NULL;
        McpToolSet *tools = NULL;
        Err why = {0};
        int rc = mcp_slot_take(s, &slot, &why);
        if (rc == 0) {
            rc = mcp_tools(slot->client, &tools, &why);
            mcp_slot_give(s, slot, rc, loop_clock(pool->loop) - now, &why);
        }
        if (rc != 0) {
            if (e) {
                *e = why;
            }
            return rc;
        }
        mcp_toolset_unref(s->tools);
        s->tools = tools;
        s->tools_until_ns = clock_deadline(loop_clock(pool->loop), TOOLS_NS);
    }
    s->tools->refs++;
    *ret_tools = s->tools;
    return 0;
}

int mcp_pool_borrow(McpPool *pool, Slice server, McpClient **ret_client, size_t *ret_slot, Err *e)
{
    McpServer *s = find(pool, server, e);
    McpSlot *slot = NULL;
    int rc = s ? mcp_slot_take(s, &slot, e) : ERR_NOT_FOUND;
    if (rc == 0) {
        *ret_client = slot->client;
        *ret_slot = (size_t)(slot - s->slots);
    }
    return rc;
}

void mcp_pool_give_back(McpPool *pool, Slice server, size_t slot)
{
    McpServer *s = mcp_pool_find(pool, server);
    assert(s && slot < s->slot_count);
    McpSlot *taken = &s->slots[slot];
    mcp_slot_give(s, taken, ERR_CANCELLED, (int64_t)taken->ewma_ns, NULL); // says nothing about it
}

size_t mcp_pool_server_count(const McpPool *pool)
{
    return pool->server_count;
}

Slice mcp_pool_server_name(const McpPool *pool, size_t index)
{
    return pool->servers[index].options.name;
}

PolicyBlock *mcp_pool_policy(McpPool *pool, Slice server)
{
    McpServer *s = mcp_pool_find(pool, server);
    return s ? s->block : NULL;
}

void mcp_pool_clear_cache(McpPool *pool, Slice server)
{
    for (size_t i = 0; i < pool->server_count; i++) {
        McpServer *s = &pool->servers[i];
        CacheEntry *entries = policy_cache(s->block);
        if (entries && (server.len == 0 || slice_eq(server, s->options.name))) {
            cache_clear(&s->block->cache, entries);
        }
    }
}

// ---- life

static const char *const *copy_words(Arena *arena, const char *const *words)
{
    size_t count = 0;
    while (words && words[count]) {
        count++;
    }
    const char **copy = ARENA_ARRAY(arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        copy[i] = arena_cstr(arena, slice_from_cstr(words[i]));
    }
    return words ? copy : NULL;
}

static const Slice *copy_slices(Arena *arena, const Slice *from, size_t count)
{
    Slice *copy = ARENA_ARRAY(arena, Slice, count + 1);
    for (size_t i = 0; i < count; i++) {
        copy[i] = arena_copy(arena, from[i]);
    }
    return copy;
}

static void copy_options(Arena *a, McpServerOptions *o)
{
    o->name = arena_copy(a, o->name);
    o->argv = copy_words(a, o->argv);
    o->directory = o->directory ? arena_cstr(a, slice_from_cstr(o->directory)) : NULL;
    o->urls = copy_slices(a, o->urls, o->url_count);
    o->idempotent_tools = copy_slices(a, o->idempotent_tools, o->idempotent_count);
    HttpHeader *headers = ARENA_ARRAY(a, HttpHeader, o->header_count + 1);
    for (size_t i = 0; i < o->header_count; i++) {
        headers[i] =
            (HttpHeader){arena_copy(a, o->headers[i].name), arena_copy(a, o->headers[i].value)};
    }
    o->headers = headers;
    McpToolTtl *ttls = ARENA_ARRAY(a, McpToolTtl, o->ttl_count + 1);
    for (size_t i = 0; i < o->ttl_count; i++) {
        ttls[i] = (McpToolTtl){arena_copy(a, o->tool_ttls[i].tool), o->tool_ttls[i].ttl_ns};
    }
    o->tool_ttls = ttls;
    o->connections_max = o->connections_max ? o->connections_max : 2;
    o->request_timeout_ns = o->request_timeout_ns ? o->request_timeout_ns : 60 * NS_PER_S;
    o->health_interval_ns = o->health_interval_ns ? o->health_interval_ns : 30 * NS_PER_S;
}

static int check_options(const McpPool *pool, const McpServerOptions *o, Err *e)
{
    if (o->name.len == 0 || mcp_pool_find(pool, o->name)) {
        return err_set(e, ERR_ARG, "MCP server '%.*s' is there twice, or has no name",
                       SLICE_FMT(o->name));
    }
    if (!o->argv == !o->url_count || (o->argv && !o->argv[0])) {
        return err_set(e, ERR_ARG, "MCP server '%.*s' needs a command or a URL, and not both",
                       SLICE_FMT(o->name));
    }
    if (o->connections_max > MCP_CONNECTIONS_MAX || o->url_count > MCP_URLS_MAX) {
        return err_set(e, ERR_LIMIT, "MCP server '%.*s': at most %d connections and %d URLs",
                       SLICE_FMT(o->name), MCP_CONNECTIONS_MAX, MCP_URLS_MAX);
    }
    if (o->url_count && !pool->options.http) {
        return err_set(e, ERR_ARG, "MCP server '%.*s' has a URL, and there is no HTTP here",
                       SLICE_FMT(o->name));
    }
    return 0;
}

static int add_server(McpPool *pool, const McpServerOptions *options, Err *e)
{
    int rc = check_options(pool, options, e);
    if (rc != 0) {
        return rc;
    }
    McpServer *s = &pool->servers[pool->server_count];
    *s = (McpServer){.pool = pool, .options = *options};
    rc = mcp_guard_open(s, e);
    if (rc != 0) {
        return rc;
    }
    copy_options(pool->arena, &s->options);
    s->options.policy = NULL;
    mcp_slots_open(s);
    pool->server_count++;
    return 0;
}

int mcp_pool_create(const McpPoolOptions *options, McpPool **ret_pool, Err *e)
{
    if (options->server_count > MCP_SERVERS_MAX) {
        return err_set(e, ERR_LIMIT, "at most %d MCP servers", MCP_SERVERS_MAX);
    }
    McpPool *pool = mem_zalloc(sizeof *pool);
    pool->options = *options;
    pool->arena = arena_create(ARENA_BYTES_MAX);
    pool->loop = fiber_pool_loop(options->pool);
    pool->rng = rng_stream(options->seed, SLICE("mcp-balance"), 0);
    pool->servers = ARENA_ARRAY(pool->arena, McpServer, options->server_count + 1);
    for (size_t i = 0; i < options->server_count; i++) {
        int rc = add_server(pool, &options->servers[i], e);
        if (rc != 0) {
            mcp_pool_close(pool);
            return rc;
        }
    }
    *ret_pool = pool;
    return 0;
}

// Whatever happens to the fiber that waits: true when it was cancelled meanwhile.
static bool wait_for_chores(McpPool *pool)
{
    bool cancelled = false;
    while (pool->chores.alive > 0) {
        if (fiber_group_wait(&pool->chores, NEVER_NS) == ERR_CANCELLED) {
            cancelled = true;
            fiber_clear_cancel();
        }
    }
    return cancelled;
}

void mcp_pool_close(McpPool *pool)
{
    if (!pool) {
        return;
    }
    pool->closing = true;
    bool cancelled = wait_for_chores(pool);
    for (size_t i = 0; i < pool->server_count; i++) {
        mcp_slots_close(&pool->servers[i]);
    }
    cancelled |= wait_for_chores(pool);
    for (size_t i = 0; i < pool->server_count; i++) {
        mcp_guard_close(&pool->servers[i]);
        mcp_toolset_unref(pool->servers[i].tools);
    }
    if (cancelled) {
        fiber_cancel(fiber_self());
    }
    arena_destroy(pool->arena);
    free(pool);
}
