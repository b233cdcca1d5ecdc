#include "agent/monitor.h"

#include "agent/monitor_impl.h"
#include "os/host.h"
#include "prof/heap.h"

enum { ARENA_BYTES_MAX = 1 << 20, FIBERS_MAX = 256, CONNECTIONS_MAX = 128, JOBS_MAX = 128 };
// One may wait for a shard that hangs, one for another; profiles still come out.
enum { JOB_THREADS = 3 };
#define DRAIN_NS (2 * NS_PER_S)

// ---- making

static void copy_options(Monitor *m, const MonitorOptions *options)
{
    m->options = *options;
    MonitorOptions *o = &m->options;
    o->service = arena_copy(m->arena, o->service.len > 0 ? slice_sub(o->service, 0, 1024)
                                                         : SLICE("perfwright"));
    o->version = arena_copy(m->arena, slice_sub(o->version, 0, 1024));
    o->otlp_endpoint = arena_copy(m->arena, slice_sub(o->otlp_endpoint, 0, 4096));
    o->interval_ns = o->interval_ns > 0 ? o->interval_ns : MONITOR_INTERVAL_NS;
}

static int open_exporter(Monitor *m, Err *e)
{
    const MonitorOptions *o = &m->options;
    int rc = url_parse(o->otlp_endpoint, &m->endpoint, e);
    rc = rc == 0 ? http_origin_init(&m->origin, &m->endpoint, e) : rc;
    if (rc != 0) {
        err_wrap(e, "OTLP endpoint \"%.*s\"", SLICE_FMT(o->otlp_endpoint));
        return rc;
    }
    m->otlp = otlp_create(&(OtlpOptions){
        .resource = {.service = o->service, .version = o->version},
        .seed = (uint64_t)m->start_wall_ns,
    });
    m->spans = mem_alloc(OTLP_BATCH_SPANS * sizeof(Span));
    return 0;
}

static void free_monitor(Monitor *m)
{
    if (m->client) {
        http_client_destroy(m->client);
    }
    http_context_destroy(m->http);
    http_server_destroy(m->server);
    jobs_destroy(m->jobs);
    fiber_pool_destroy(m->pool);
    loop_destroy(m->loop);
    live_destroy(m->live);
    collector_destroy(m->collector);
    if (m->otlp) {
        http_origin_done(&m->origin);
        otlp_destroy(m->otlp);
    }
    if (m->sampling_heap) {
        heap_sampling_stop();
    }
    free(m->spans);
    arena_destroy(m->arena);
    free(m);
}

int monitor_create(const MonitorOptions *options, Monitor **ret_monitor, Err *e)
{
    Monitor *m = mem_zalloc(sizeof *m);
    m->arena = arena_create(ARENA_BYTES_MAX);
    m->start_wall_ns = clock_wall(clock_real());
    copy_options(m, options);
    m->collector = collector_create(0);
    m->live = live_create();
    int rc = m->options.otlp_endpoint.len > 0 ? open_exporter(m, e) : 0;
    rc = rc == 0 ? loop_create(&(LoopOptions){0}, &m->loop, e) : rc;
    if (rc != 0) {
        free_monitor(m);
        return rc;
    }
    m->pool = fiber_pool_create(m->loop, &(FiberOptions){.fibers_max = FIBERS_MAX});
    *ret_monitor = m;
    return 0;
}

int monitor_add(Monitor *m, const MonitorSource *source, Err *e)
{
    if (m->source_count == MONITOR_SOURCES_MAX) {
        return err_set(e, ERR_LIMIT, "a monitor has at most %d sources", MONITOR_SOURCES_MAX);
    }
    m->sources[m->source_count++] = *source;
    return 0;
}

// ---- running

static void stop_on_loop(void *arg)
{
    Monitor *m = arg;
    http_server_stop(m->server);
    loop_stop(m->loop);
}

static void last_export(void *arg)
{
    monitor_export_now(arg);
}

static void monitor_thread(void *arg)
{
    Monitor *m = arg;
    bool exporting = fiber_spawn(m->pool, "export", monitor_export, m) != NULL;
    loop_run(m->loop);
    int64_t deadline_ns = loop_clock(m->loop) + DRAIN_NS;
    (void)http_server_drain(m->server, deadline_ns);
    (void)fiber_pool_drain(m->pool, NEVER_NS);
    if (exporting && m->otlp && fiber_spawn(m->pool, "last export", last_export, m)) {
        while (fiber_pool_stats(m->pool).alive > 0 && loop_clock(m->loop) < deadline_ns) {
            (void)loop_tick(m->loop, deadline_ns - loop_clock(m->loop));
        }
        (void)fiber_pool_drain(m->pool, NEVER_NS);
    }
    jobs_drain(m->jobs, m->loop);
    if (m->client) {
        http_client_close_idle(m->client);
    }
}

static int open_parts(Monitor *m, Err *e)
{
    const MonitorOptions *o = &m->options;
    HttpServerOptions server = {.loop = m->loop,
                                .pool = m->pool,
                                .addr = net_addr_loopback(o->port),
                                .handler = monitor_handle,
                                .ctx = m,
                                .connections_max = CONNECTIONS_MAX};
    JobOptions jobs = {.name = "monitor job", .threads = JOB_THREADS, .queue_max = JOBS_MAX};
    int rc = jobs_create(&jobs, &m->jobs, e);
    rc = rc == 0 ? http_server_open(&server, &m->server, e) : rc;
    if (rc != 0) {
        return rc;
    }
    NetAddr addr = http_server_addr(m->server);
    m->port = net_addr_port(&addr);
    if (m->otlp) {
        m->http = http_context_create(&(HttpContextOptions){
            .loop = m->loop, .resolver = o->resolver, .tls = o->tls, .filter = o->filter});
        m->client = http_client_create(m->http);
    }
    // Without an allocator that reports, the page says so when it is asked for.
    m->sampling_heap = o->profiling && heap_sampling_start(0, NULL) == 0;
    return 0;
}

int monitor_start(Monitor *m, Err *e)
{
    int rc = open_parts(m, e);
    rc = rc == 0 ? thread_start("monitor", THREAD_ANY_CPU, monitor_thread, m, &m->thread, e) : rc;
    m->started = rc == 0;
    return rc;
}

uint16_t monitor_port(const Monitor *m)
{
    return m->port;
}

void monitor_stop(Monitor *m)
{
    if (!m) {
        return;
    }
    if (m->started) {
        while (loop_post(m->loop, stop_on_loop, m) != 0) { // the queue has room in a moment
        }
        thread_join(m->thread);
    }
    free_monitor(m);
}

// ---- collecting

int monitor_lock(Monitor *m)
{
    while (m->busy) {
        int rc = fiber_queue_wait(&m->waiting, "the monitor's numbers", NEVER_NS);
        if (rc != 0) {
            return rc;
        }
    }
    m->busy = true;
    m->busy_since_ns = loop_clock(m->loop);
    return 0;
}

void monitor_unlock(Monitor *m)
{
    m->busy = false;
    (void)fiber_queue_wake_one(&m->waiting);
}

static void collect_own(Monitor *m)
{
    HostLoad load;
    host_load(&load);
    Point cpu = {.count = load.own_user_ns + load.own_system_ns};
    Point memory = {.count = 1, .last = (double)load.rss_bytes};
    collector_set(m->collector, M_PROCESS_CPU, (Labels){0}, &cpu);
    collector_set(m->collector, M_PROCESS_MEMORY, (Labels){0}, &memory);
    if (m->options.spans) {
        const Label full = {SLICE_INIT("reason"), SLICE_INIT("queue full")};
        Point dropped = {.count = (int64_t)span_queue_dropped(m->options.spans)};
        collector_set(m->collector, M_TELEMETRY_SPANS_DROPPED, (Labels){&full, 1}, &dropped);
    }
    if (m->otlp) {
        OtlpStats stats = otlp_stats(m->otlp);
        Point failed = {.count = (int64_t)(stats.dropped_full + stats.dropped_failed)};
        collector_set(m->collector, M_TELEMETRY_EXPORT_FAILURES, (Labels){0}, &failed);
    }
}

static void collect_job(void *arg)
{
    Monitor *m = arg;
    for (size_t i = 0; i < m->source_count; i++) {
        if (m->sources[i].collect) {
            m->sources[i].collect(m->sources[i].ctx, m->collector);
        }
    }
}

int monitor_collect(Monitor *m)
{
    int rc = monitor_lock(m);
    if (rc != 0) {
        return rc;
    }
    rc = jobs_call(m->jobs, collect_job, m, NULL);
    if (rc != 0) {
        monitor_unlock(m);
        return rc;
    }
    collect_own(m);
    return 0;
}
