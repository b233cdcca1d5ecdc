// Connections of one server: which one a call takes, what its end says about it, and checks while
// nobody calls.
#include "mcp/pool_impl.h"

#include <math.h>

static const int64_t DOWN_NS = NS_PER_S; // after a first failure; doubles
static const int64_t DOWN_NS_MAX = 30 * NS_PER_S;
static const int64_t CHECK_NS = 10 * NS_PER_S; // how long a check may take
// How long a latency is remembered: the average forgets to 1/e in this time (Finagle's default).
static const double DECAY_NS = 10e9;
enum {
    UNKNOWN_LATENCY_NS = 1000000, // of a connection that has done nothing yet
    CANDIDATES_MAX = 256,         // connections that MCP_LATENCY looks at
};

bool mcp_is_connection_failure(int rc)
{
    return rc == ERR_CLOSED || rc == ERR_CONNECT || rc == ERR_TIMEOUT || rc == ERR_PROTOCOL ||
           rc == ERR_LIMIT || rc == ERR_DNS || rc == ERR_TLS || rc == ERR_IO || rc == ERR_BUSY;
}

// ---- health

static void mark_down(McpServer *s, McpSlot *slot, const Err *why)
{
    unsigned n = slot->failures_in_row < 5 ? slot->failures_in_row : 5;
    int64_t wait = DOWN_NS << n;
    slot->failures_in_row++;
    slot->down = true;
    slot->retry_at_ns = loop_clock(s->pool->loop) + (wait < DOWN_NS_MAX ? wait : DOWN_NS_MAX);
    (void)snprintf(slot->error, sizeof slot->error, "%.*s", (int)sizeof slot->error - 1,
                   why ? why->text : "");
}

static void mark_up(McpSlot *slot)
{
    slot->down = false;
    slot->failures_in_row = 0;
    slot->error[0] = '\0';
}

typedef struct Closing {
    McpClient *client;
} Closing;

static void close_client(void *arg)
{
    Closing *closing = arg;
    mcp_close(closing->client);
    free(closing);
}

// Closing parks; the caller should not.
static void drop_client(McpServer *s, McpSlot *slot)
{
    Closing *closing = mem_zalloc(sizeof *closing);
    closing->client = slot->client;
    slot->client = NULL;
    slot->retire = false;
    mcp_pool_tell(s->pool, &(McpEvent){.kind = MCP_EVENT_LOST, .server = s->options.name});
    if (!fiber_group_spawn(&s->pool->chores, s->pool->options.pool, "mcp close", close_client,
                           closing)) {
        close_client(closing); // no fiber is left: then we wait ourselves
    }
}

// ---- connecting

static int connect_slot(McpServer *s, McpSlot *slot, Err *e)
{
    const McpServerOptions *o = &s->options;
    McpOptions options = {.pool = s->pool->options.pool,
                          .argv = slot->url.len > 0 ? NULL : o->argv,
                          .envp = o->envp,
                          .directory = o->directory,
                          .http = s->pool->options.http,
                          .url = slot->url,
                          .headers = o->headers,
                          .header_count = o->header_count,
                          .handlers = o->handlers,
                          .limits = o->limits,
                          .era = slot->era,
                          .discovery_timeout_ns = o->connect_timeout_ns,
                          .request_timeout_ns = o->request_timeout_ns};
    int64_t start = loop_clock(s->pool->loop);
    Err why;
    slot->connecting = true;
    int rc = mcp_connect(&options, &slot->client, &why);
    // What was found out may have changed (a new version was deployed): ask again.
    if (rc != 0 && rc != ERR_CANCELLED && slot->era != MCP_ERA_UNKNOWN) {
        slot->era = options.era = MCP_ERA_UNKNOWN;
        rc = mcp_connect(&options, &slot->client, &why);
    }
    slot->connecting = false;
    slot->connects++;
    mcp_pool_tell(s->pool, &(McpEvent){.kind = MCP_EVENT_CONNECT,
                                       .server = o->name,
                                       .rc = rc,
                                       .duration_ns = loop_clock(s->pool->loop) - start});
    if (rc != 0) {
        slot->failures++;
        mark_down(s, slot, &why);
        (void)err_set(e, (ErrCode)rc, "MCP server '%.*s': %s", SLICE_FMT(o->name), why.text);
    } else {
        slot->era = mcp_era(slot->client);
        for (size_t i = 0; i < s->slot_count; i++) { // one program or origin has one era
            if (slice_eq(s->slots[i].url, slot->url)) {
                s->slots[i].era = slot->era;
            }
        }
        mark_up(slot);
    }
    fiber_queue_wake_all(&s->waiting);
    return rc;
}

// ---- choosing

static double expected_ns(const McpSlot *slot, int64_t now)
{
    double age = (double)(now - slot->ewma_at_ns);
    double ewma = slot->ewma_ns * exp(-age / DECAY_NS);
    if (ewma < UNKNOWN_LATENCY_NS / 10.0) {
        ewma = UNKNOWN_LATENCY_NS / 10.0;
    }
    return ewma * (slot->users + 1);
}

// A connection that failed lately is passed over while there is a better one.
typedef struct Look {
    int64_t now;
    bool desperate;
} Look;

static bool usable(const McpSlot *slot, Look look)
{
    return slot->client && mcp_is_alive(slot->client) && !slot->retire &&
           (!slot->down || look.now >= slot->retry_at_ns || look.desperate);
}

static McpSlot *least_outstanding(McpServer *s, Look look)
{
    McpSlot *best = NULL;
    for (size_t i = 0; i < s->slot_count; i++) {
        McpSlot *slot = &s->slots[(s->turn + i) % s->slot_count];
        if (usable(slot, look) && (!best || slot->users < best->users)) {
            best = slot;
        }
    }
    s->turn++;
    return best;
}

static McpSlot *round_robin(McpServer *s, Look look)
{
    for (size_t i = 0; i < s->slot_count; i++) {
        McpSlot *slot = &s->slots[s->turn++ % s->slot_count];
        if (usable(slot, look)) {
            return slot;
        }
    }
    return NULL;
}

static McpSlot *quicker_of_two(McpServer *s, Look look)
{
    McpSlot *candidates[CANDIDATES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < s->slot_count && count < COUNT_OF(candidates); i++) {
        if (usable(&s->slots[i], look)) {
            candidates[count++] = &s->slots[i];
        }
    }
    if (count < 2) {
        return count ? candidates[0] : NULL;
    }
    size_t a = (size_t)rng_below(&s->pool->rng, count);
    size_t b = (a + 1 + (size_t)rng_below(&s->pool->rng, count - 1)) % count;
    return expected_ns(candidates[a], look.now) <= expected_ns(candidates[b], look.now)
               ? candidates[a]
               : candidates[b];
}

// A place that is not connected yet: where a URL has no connection at all, or all are busy.
static McpSlot *fresh_place(McpServer *s, int64_t now, bool desperate)
{
    for (size_t i = 0; i < s->slot_count; i++) {
        McpSlot *slot = &s->slots[(s->turn + i) % s->slot_count];
        if (!slot->client && !slot->connecting &&
            (desperate || !slot->down || now >= slot->retry_at_ns)) {
            return slot;
        }
    }
    return NULL;
}

// A URL without a connection takes no part in balancing: it gets one first.
static McpSlot *unconnected_url(McpServer *s, int64_t now)
{
    size_t per_url = s->options.connections_max;
    for (size_t first = 0; first < s->slot_count; first += per_url) {
        bool has_one = false;
        for (size_t i = first; i < first + per_url; i++) {
            has_one |= s->slots[i].client || s->slots[i].connecting;
        }
        McpSlot *slot = &s->slots[first];
        if (!has_one && (!slot->down || now >= slot->retry_at_ns)) {
            return slot;
        }
    }
    return NULL;
}

static McpSlot *choose(McpServer *s, Look look)
{
    switch (s->options.balance) {
    case MCP_ROUND_ROBIN: return round_robin(s, look);
    case MCP_LEAST_OUTSTANDING: return least_outstanding(s, look);
    case MCP_LATENCY: return quicker_of_two(s, look);
    }
    return NULL;
}

static bool any_connecting(const McpServer *s)
{
    for (size_t i = 0; i < s->slot_count; i++) {
        if (s->slots[i].connecting) {
            return true;
        }
    }
    return false;
}

// Connections that died by themselves make place.
static void sweep(McpServer *s)
{
    for (size_t i = 0; i < s->slot_count; i++) {
        McpSlot *slot = &s->slots[i];
        if (slot->client && !mcp_is_alive(slot->client) && slot->users == 0) {
            drop_client(s, slot);
        }
    }
}

int mcp_slot_take(McpServer *s, McpSlot **ret_slot, Err *e)
{
    // Each place is tried at most once; what fails to connect costs nothing at the server.
    Err why = {0};
    int rc = err_set(&why, ERR_CONNECT, "MCP server '%.*s': no connection is left",
                     SLICE_FMT(s->options.name));
    for (size_t tries = 0; tries <= s->slot_count;) {
        sweep(s);
        int64_t now = loop_clock(s->pool->loop);
        McpSlot *slot = choose(s, (Look){now, false});
        McpSlot *fresh = unconnected_url(s, now);
        fresh = !fresh && (!slot || slot->users > 0) ? fresh_place(s, now, false) : fresh;
        slot = slot || fresh ? slot : choose(s, (Look){now, true});
        fresh = !fresh && !slot && tries == 0 ? fresh_place(s, now, true) : fresh;
        if (!slot && !fresh && any_connecting(s)) {
            rc = fiber_queue_wait(&s->waiting, "mcp connection", NEVER_NS);
            if (rc == 0) {
                rc = ERR_CONNECT;
                continue; // somebody else tried, not we; it ends because connecting does
            }
            (void)err_set(&why, (ErrCode)rc, "cancelled");
            break;
        }
        if (fresh && (rc = connect_slot(s, fresh, &why)) == 0) {
            slot = fresh;
        } else if (rc == ERR_CANCELLED || (!fresh && !slot)) {
            break;
        }
        if (slot && slot->client) { // connecting parked: it may be gone
            slot->users++;
            *ret_slot = slot;
            return 0;
        }
        tries++;
    }
    if (e) {
        *e = why;
    }
    return rc;
}

void mcp_slot_give(McpServer *s, McpSlot *slot, int rc, int64_t latency_ns, const Err *why)
{
    int64_t now = loop_clock(s->pool->loop);
    slot->users--;
    slot->calls++;
    slot->used_at_ns = now;
    // Peaks count at once, calm is believed slowly.
    double age = (double)(now - slot->ewma_at_ns);
    double weight = exp(-age / DECAY_NS);
    double sample = (double)latency_ns;
    slot->ewma_ns =
        sample > slot->ewma_ns ? sample : slot->ewma_ns * weight + sample * (1 - weight);
    slot->ewma_at_ns = now;
    if (rc != 0 && rc != ERR_CANCELLED && mcp_is_connection_failure(rc)) {
        slot->failures++;
        slot->retire |= !mcp_is_alive(slot->client);
        if (rc != ERR_IO && rc != ERR_LIMIT) { // those are one call's own
            mark_down(s, slot, why);
        }
    } else if (rc != ERR_CANCELLED) {
        mark_up(slot);
    }
    if (slot->users == 0 && slot->client && (slot->retire || !mcp_is_alive(slot->client))) {
        drop_client(s, slot);
    }
}

// ---- checks

static void check_slot(McpServer *s, McpSlot *slot)
{
    if (!slot->client && (slot->connecting || connect_slot(s, slot, NULL) != 0)) {
        return;
    }
    int64_t start = loop_clock(s->pool->loop);
    Err why = {0};
    slot->users++;
    int rc = mcp_ping(slot->client, CHECK_NS, &why);
    slot->latency_ns = loop_clock(s->pool->loop) - start;
    slot->users--;
    mcp_pool_tell(s->pool, &(McpEvent){.kind = MCP_EVENT_HEALTH,
                                       .server = s->options.name,
                                       .rc = rc,
                                       .duration_ns = slot->latency_ns});
    if (rc == 0) {
        mark_up(slot);
    } else if (rc != ERR_CANCELLED) {
        slot->failures++;
        mark_down(s, slot, &why);
        slot->retire = true;
    }
    if (slot->users == 0 && slot->client && (slot->retire || !mcp_is_alive(slot->client))) {
        drop_client(s, slot);
    }
}

// Connections that were used lately have shown that they live; places that nobody wanted stay
// empty, and one that failed is tried again so that traffic finds it ready.
static void check_idle(void *arg)
{
    McpServer *s = arg;
    int64_t interval = s->options.health_interval_ns;
    for (size_t i = 0; i < s->slot_count && !s->pool->closing; i++) {
        McpSlot *slot = &s->slots[i];
        int64_t now = loop_clock(s->pool->loop);
        bool idle = slot->client && now - slot->used_at_ns >= interval;
        bool due = slot->down && now >= slot->retry_at_ns;
        if (idle || due) {
            check_slot(s, slot);
        }
    }
    if (!s->pool->closing) {
        loop_timer_set(s->pool->loop, &s->health, loop_clock(s->pool->loop) + interval);
    }
}

static void on_health(LoopTimer *timer)
{
    McpServer *s = CONTAINER_OF(timer, McpServer, health);
    if (!fiber_group_spawn(&s->pool->chores, s->pool->options.pool, "mcp health", check_idle, s)) {
        loop_timer_set(s->pool->loop, timer,
                       loop_now(s->pool->loop) + s->options.health_interval_ns);
    }
}

static size_t report(const McpServer *s, McpHealth *lines, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < s->slot_count && count < max; i++) {
        const McpSlot *slot = &s->slots[i];
        if (!slot->client && slot->connects == 0) {
            continue; // never needed
        }
        Slice target = slot->url.len > 0 ? slot->url : slice_from_cstr(s->options.argv[0]);
        McpHealth *line = &lines[count++];
        *line = (McpHealth){.target = target,
                            .healthy = slot->client && !slot->down && mcp_is_alive(slot->client),
                            .era = slot->era,
                            .latency_ns = slot->latency_ns,
                            .outstanding = slot->users,
                            .calls = slot->calls,
                            .failures = slot->failures,
                            .connects = slot->connects};
        memcpy(line->error, slot->error, sizeof line->error);
    }
    return count;
}

size_t mcp_pool_health(const McpPool *pool, Slice name, McpHealth *ret_lines, size_t max)
{
    const McpServer *s = mcp_pool_find(pool, name);
    return s ? report(s, ret_lines, max) : 0;
}

size_t mcp_pool_check(McpPool *pool, Slice name, McpHealth *ret_lines, size_t max)
{
    McpServer *s = mcp_pool_find(pool, name);
    if (!s) {
        return 0;
    }
    sweep(s);
    size_t per_url = s->slot_count / (s->options.url_count ? s->options.url_count : 1);
    for (size_t i = 0; i < s->slot_count; i++) {
        // The first of every URL, and what is connected beside.
        if (i % per_url == 0 || s->slots[i].client) {
            check_slot(s, &s->slots[i]);
        }
    }
    return report(s, ret_lines, max);
}

// ---- life

void mcp_slots_open(McpServer *s)
{
    McpServerOptions *o = &s->options;
    size_t urls = o->url_count ? o->url_count : 1;
    s->slot_count = urls * o->connections_max;
    s->slots = ARENA_ARRAY(s->pool->arena, McpSlot, s->slot_count);
    for (size_t i = 0; i < s->slot_count; i++) {
        // Places of one URL lie together for mcp_pool_check; `turn` walks over all of them.
        s->slots[i].url = o->url_count ? o->urls[i / o->connections_max] : (Slice){NULL, 0};
    }
    loop_timer_init(&s->health, on_health);
    if (o->health_interval_ns > 0) {
        loop_timer_set(s->pool->loop, &s->health,
                       loop_clock(s->pool->loop) + o->health_interval_ns);
    }
}

void mcp_slots_close(McpServer *s)
{
    loop_timer_cancel(s->pool->loop, &s->health);
    for (size_t i = 0; i < s->slot_count; i++) {
        if (s->slots[i].client) {
            drop_client(s, &s->slots[i]); // each in a fiber: a stubborn one takes seconds
        }
    }
}
