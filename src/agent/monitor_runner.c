#include "agent/monitor_runner.h"

#include "agent/runner_impl.h"
#include "prof/fibers.h"

enum { WEIGHT_LOG2_MAX = 20 };

// One event as the hook saw it.
typedef struct Seen {
    AgentId from, to;
    bool ok;
    uint8_t weight_log2;
    int64_t took_ns;
} Seen;

typedef struct Edge {
    AgentId from, to;
    bool ok;
    Hist took;
} Edge;

struct MonitorRunner {
    Runner *runner;
    MonitorSource source;
    Mpsc *seen;
    Counter weight_log2; // of the next events; changed by the collector only
    uint64_t refused;    // by the queue at the last collection
    Map edges;           // by from, to and ok
    Arena *arena;        // of edges and keys
};

// ---- edges

static bool is_kept(uint64_t id, unsigned weight_log2)
{
    // Numbers are given out in order: a hash, or whatever alternates would be seen in part.
    return weight_log2 == 0 || (id + 1) * UINT64_C(0x9E3779B97F4A7C15) >> (64 - weight_log2) == 0;
}

static void on_event(void *arg, const HookInfo *info)
{
    MonitorRunner *m = arg;
    const Event *event = info->event;
    unsigned weight_log2 = (unsigned)counter_get(&m->weight_log2);
    if (event->source == AGENT_NONE || !is_kept(event->id, weight_log2)) {
        return;
    }
    Seen seen = {.from = event->source,
                 .to = event->target,
                 .ok = info->code == 0,
                 .weight_log2 = (uint8_t)weight_log2,
                 .took_ns = info->now_ns - event->created_ns};
    (void)mpsc_push(m->seen, &seen); // a full queue makes the next collection choose fewer
}

static Edge *edge_of(MonitorRunner *m, const Seen *seen)
{
    uint64_t key[2] = {(uint64_t)seen->from << 32 | seen->to, seen->ok};
    Slice text = {(const char *)key, sizeof key};
    Edge *edge = map_get(&m->edges, text);
    if (!edge && map_count(&m->edges) < MONITOR_EDGES_MAX) {
        edge = ARENA_NEW(m->arena, Edge);
        *edge = (Edge){.from = seen->from, .to = seen->to, .ok = seen->ok};
        hist_init(&edge->took);
        int rc = map_put(&m->edges, arena_copy(m->arena, text), edge);
        assert(rc == 0);
        (void)rc;
    }
    return edge;
}

static void take_seen(MonitorRunner *m)
{
    Seen seen;
    size_t count = 0;
    // No more than fits once: emitters may be as fast as this is.
    while (count < MONITOR_EDGE_SAMPLES && mpsc_pop(m->seen, &seen)) {
        Edge *edge = edge_of(m, &seen);
        if (edge) {
            hist_record_n(&edge->took, seen.took_ns, UINT64_C(1) << seen.weight_log2);
        }
        count++;
    }
    uint64_t refused = mpsc_refused(m->seen);
    unsigned weight_log2 = (unsigned)counter_get(&m->weight_log2);
    if (refused != m->refused && weight_log2 < WEIGHT_LOG2_MAX) {
        (void)counter_add(&m->weight_log2, 1);
    } else if (count < MONITOR_EDGE_SAMPLES / 4 && weight_log2 > 0) {
        (void)counter_add(&m->weight_log2, -1);
    }
    m->refused = refused;
}

static Slice status_name(bool ok)
{
    return ok ? SLICE("success") : SLICE("error");
}

static void put_call(Collector *c, Slice from, Slice to, bool ok, const Hist *took)
{
    const Label labels[] = {
        {SLICE("callee"), to}, {SLICE("caller"), from}, {SLICE("status"), status_name(ok)}};
    Point p = {.count = (int64_t)took->count, .hist = took};
    collector_set(c, M_AGENT_CALL_DURATION, (Labels){labels, COUNT_OF(labels)}, &p);
}

// The two names in "from->to"; false for an ordinary agent's.
static bool is_proxy(Slice name, Slice *ret_from, Slice *ret_to)
{
    ptrdiff_t at = slice_find(name, SLICE("->"));
    if (at < 0) {
        return false;
    }
    *ret_from = slice_sub(name, 0, (size_t)at);
    *ret_to = slice_sub(name, (size_t)at + 2, name.len);
    return true;
}

static void put_edges(MonitorRunner *m, Collector *c)
{
    Slice key, a, b;
    void *value;
    for (size_t i = 0; map_next(&m->edges, &i, &key, &value);) {
        const Edge *edge = value;
        Slice from = runner_agent_name(m->runner, edge->from);
        Slice to = runner_agent_name(m->runner, edge->to);
        // What goes by way of a proxy is counted there.
        if (!is_proxy(from, &a, &b) && !is_proxy(to, &a, &b)) {
            put_call(c, from, to, edge->ok, &edge->took);
        }
    }
}

// ---- agents

static void put_gauge(Collector *c, MetricId id, Labels labels, uint64_t value)
{
    double v = (double)value;
    collector_set(c, id, labels, &(Point){.count = 1, .last = v, .min = v, .max = v});
}

static void put_count(Collector *c, MetricId id, Labels labels, uint64_t value)
{
    collector_set(c, id, labels, &(Point){.count = (int64_t)value});
}

static void put_outcome(Collector *c, Slice agent, bool ok, uint64_t count, const Hist *took)
{
    const Label labels[] = {{SLICE("agent_name"), agent}, {SLICE("status"), status_name(ok)}};
    Point p = {.count = (int64_t)took->count, .hist = took};
    collector_set(c, M_AGENT_REQUEST_DURATION, (Labels){labels, 2}, &p);
    put_count(c, M_AGENT_REQUESTS, (Labels){labels, 2}, count);
}

// Labels of an agent's policies or an edge's, with room for one of the series' own. In order, as
// series want them: agent_name, edge, reason or state.
typedef struct Owner {
    Label labels[3];
    size_t count;
} Owner;

static Labels with(Owner *owner, Slice key, const char *value)
{
    owner->labels[owner->count] = (Label){key, slice_from_cstr(value)};
    return (Labels){owner->labels, owner->count + 1};
}

// Zeros are shown, but for reasons: there are many, and most never happen.
static void put_results(Collector *c, Owner *owner, const PolicyStats *s)
{
    for (CallReason reason = 0; reason < CALL_REASON_COUNT; reason++) {
        if (s->ended[reason] > 0) {
            Labels labels = with(owner, SLICE("reason"), call_reason_name(reason));
            put_count(c, M_AGENT_POLICY_RESULTS, labels, s->ended[reason]);
            if (call_reason_is_refusal(reason)) {
                put_count(c, M_AGENT_EVENTS_SHED, labels, s->ended[reason]);
            }
        }
    }
}

static void put_policies(Collector *c, Owner *owner, const PolicyStats *s)
{
    Labels labels = {owner->labels, owner->count};
    put_count(c, M_AGENT_RETRIES, labels, s->retries);
    put_count(c, M_AGENT_HEDGES, labels, s->hedges);
    put_count(c, M_AGENT_ATTEMPT_TIMEOUTS, labels, s->timeouts);
    if (s->has_cache) {
        put_count(c, M_AGENT_CACHE_HITS, labels, s->cache_hits);
        put_count(c, M_AGENT_CACHE_MISSES, labels, s->cache_misses);
    }
    if (s->has_limit) {
        put_gauge(c, M_AGENT_CONCURRENCY_LIMIT, labels, s->limit);
        put_gauge(c, M_AGENT_CONCURRENCY_IN_FLIGHT, labels, s->in_flight);
        put_gauge(c, M_AGENT_CONCURRENCY_QUEUE_DEPTH, labels, s->waiting);
    }
    if (s->has_breaker) {
        put_gauge(c, M_AGENT_BREAKER_STATE, labels, s->breaker);
        for (int mode = 0; mode < BREAKER_MODES; mode++) {
            put_count(c, M_AGENT_BREAKER_TRANSITIONS,
                      with(owner, SLICE("state"), breaker_mode_name((BreakerMode)mode)),
                      s->breaker_entered[mode]);
        }
    }
    put_results(c, owner, s);
}

static void put_edge(Collector *c, const AgentMetrics *a, Slice from, Slice to)
{
    Owner owner = {{{SLICE("agent_name"), to}, {SLICE("edge"), a->name}}, 2};
    put_call(c, from, to, true, a->duration_ns);
    put_call(c, from, to, false, a->error_duration_ns);
    put_gauge(c, M_AGENT_MAILBOX_DEPTH, (Labels){owner.labels, owner.count}, a->queued);
    if (a->policies) {
        put_policies(c, &owner, a->policies);
    }
}

static void put_agent(void *arg, const AgentMetrics *a)
{
    Collector *c = arg;
    Slice from, to;
    if (is_proxy(a->name, &from, &to)) {
        put_edge(c, a, from, to);
        return;
    }
    Owner owner = {{{SLICE("agent_name"), a->name}}, 1};
    const Label timeouts[] = {{SLICE("agent_name"), a->name},
                              {SLICE("error_type"), SLICE("timeout")}};
    Labels agent = {owner.labels, 1};
    Point queue = {.count = (int64_t)a->queue_ns->count, .hist = a->queue_ns};
    put_outcome(c, a->name, true, a->handled, a->duration_ns);
    put_outcome(c, a->name, false, a->failed, a->error_duration_ns);
    collector_set(c, M_AGENT_QUEUE_WAIT, agent, &queue);
    put_gauge(c, M_AGENT_ACTIVE_REQUESTS, agent, a->running);
    put_gauge(c, M_AGENT_MAILBOX_DEPTH, agent, a->queued);
    put_count(c, M_AGENT_ERRORS, (Labels){timeouts, 2}, a->timeouts);
    if (a->places > 0) {
        put_gauge(c, M_AGENT_WORKERS, agent, a->places);
    }
    if (a->policies) {
        put_policies(c, &owner, a->policies);
    }
}

static void put_shed(Collector *c, Slice reason, uint64_t count)
{
    const Label labels[] = {{SLICE("reason"), reason}};
    put_count(c, M_AGENT_EVENTS_SHED, (Labels){labels, 1}, count);
}

static void put_shard(Shard *shard, void *arg)
{
    Collector *c = arg;
    char text[16];
    int len = snprintf(text, sizeof text, "%u", shard->index);
    const Label labels[] = {{SLICE("shard"), {text, (size_t)len}}};
    put_gauge(c, M_RUNNER_QUEUE_DEPTH, (Labels){labels, 1}, shard->queued);
    put_gauge(c, M_RUNNER_FIBERS, (Labels){labels, 1}, fiber_pool_stats(shard->fibers).alive);
}

static void collect(void *ctx, Collector *c)
{
    MonitorRunner *m = ctx;
    RunnerCounts counts = runner_counts(m->runner);
    runner_metrics(m->runner, put_agent, c);
    runner_on_shards(m->runner, put_shard, c);
    put_shed(c, SLICE("mailbox full"), counts.shed);
    put_shed(c, SLICE("refused"), counts.refused);
    take_seen(m);
    put_edges(m, c);
}

static void add_fibers(Shard *shard, void *arg)
{
    profile_add_fibers(arg, shard->fibers);
}

static void fibers(void *ctx, Profile *profile)
{
    const MonitorRunner *m = ctx;
    runner_on_shards(m->runner, add_fibers, profile);
}

// ---- life

int monitor_runner_create(Runner *runner, MonitorRunner **ret_source, Err *e)
{
    MonitorRunner *m = mem_zalloc(sizeof *m);
    m->runner = runner;
    m->source = (MonitorSource){.collect = collect, .fibers = fibers, .ctx = m};
    m->seen = mpsc_create(MONITOR_EDGE_SAMPLES, sizeof(Seen));
    m->edges = map_create(MONITOR_EDGES_MAX, 0);
    m->arena = arena_create((size_t)MONITOR_EDGES_MAX * (sizeof(Edge) + 64) + (1 << 20));
    int rc = runner_hook(runner, HOOK_AFTER_EVENT, on_event, m, e);
    if (rc != 0) {
        monitor_runner_destroy(m);
        return rc;
    }
    *ret_source = m;
    return 0;
}

void monitor_runner_destroy(MonitorRunner *m)
{
    if (!m) {
        return;
    }
    Slice key;
    void *value;
    for (size_t i = 0; map_next(&m->edges, &i, &key, &value);) {
        hist_done(&((Edge *)value)->took);
    }
    map_done(&m->edges);
    arena_destroy(m->arena);
    mpsc_destroy(m->seen);
    free(m);
}

const MonitorSource *monitor_runner_source(const MonitorRunner *m)
{
    return &m->source;
}
