#include "agent/benchmark.h"

#include "base/units.h"
#include "os/host.h"

// How often the waiting thread looks: at the time, at fibers, and after users whose request could
// not be sent.
enum { LOOK_MS = 2 };

typedef struct Bench Bench;

// One user's requests follow each other, so nothing in it needs a lock but what the waiting thread
// also touches, and that is only touched while nothing of the user's is under way.
typedef struct User {
    Bench *bench;
    Hist latency_ns;
    uint64_t sent, errors, items;
    int64_t began_ns;
    char first_error[128];
    Flag idle; // its last request could not be sent: the waiting thread tries again
} User;

struct Bench {
    const BenchmarkOptions *options;
    EventSpec spec;
    int64_t end_ns;
    Counter tickets; // requests handed out
    Counter active;  // users that still have something under way or to do
    User *users;
};

static int64_t now(void)
{
    return clock_now(clock_real());
}

// True when the user may send one more.
static bool take_ticket(Bench *bench)
{
    if (bench->end_ns != NEVER_NS && now() >= bench->end_ns) {
        return false;
    }
    uint64_t taken = (uint64_t)counter_add(&bench->tickets, 1);
    return bench->options->requests == 0 || taken <= bench->options->requests;
}

static void note_error(User *user, const char *reason)
{
    user->errors++;
    if (user->first_error[0] == '\0') {
        (void)snprintf(user->first_error, sizeof user->first_error, "%.127s", reason);
    }
}

static void on_done(void *arg, AgentResult *result);

static void on_chunk(void *arg, Slice chunk)
{
    (void)chunk;
    ((User *)arg)->items++;
}

// Sends the user's next request, or ends the user. A request that was not accepted is an error, and
// the user waits for the next look before it tries again: a full runner must not be hammered.
static void send_next(User *user)
{
    Bench *bench = user->bench;
    if (!take_ticket(bench)) {
        (void)counter_add(&bench->active, -1);
        return;
    }
    SubmitOptions submit = {.on_done = on_done, .on_chunk = on_chunk, .arg = user};
    Err e = {0};
    user->sent++;
    user->began_ns = now();
    if (runner_submit(bench->options->runner, &bench->spec, &submit, &e) != 0) {
        note_error(user, e.text);
        flag_set(&user->idle);
    }
}

static void on_done(void *arg, AgentResult *result)
{
    User *user = arg;
    if (result->code == 0) {
        hist_record(&user->latency_ns, now() - user->began_ns);
    } else {
        note_error(user, result->reason[0] ? result->reason : err_name(result->code));
    }
    send_next(user);
}

static void wait_for_users(Bench *bench, Loop *loop, BenchmarkMetrics *metrics)
{
    while (counter_get(&bench->active) > 0) {
        (void)loop_tick(loop, LOOK_MS * NS_PER_MS);
        for (unsigned i = 0; i < bench->options->users; i++) {
            if (flag_is_set(&bench->users[i].idle)) {
                flag_clear(&bench->users[i].idle);
                send_next(&bench->users[i]);
            }
        }
        uint64_t fibers = runner_counts(bench->options->runner).fibers;
        metrics->active_fibers = fibers > metrics->active_fibers ? fibers : metrics->active_fibers;
    }
}

static void gather(Bench *bench, BenchmarkMetrics *metrics)
{
    for (unsigned i = 0; i < bench->options->users; i++) {
        User *user = &bench->users[i];
        hist_merge(&metrics->latency_ns, &user->latency_ns);
        hist_done(&user->latency_ns);
        metrics->errors += user->errors;
        metrics->items += user->items;
        if (metrics->first_error[0] == '\0') {
            memcpy(metrics->first_error, user->first_error, sizeof metrics->first_error);
        }
    }
}

void benchmark_summarise(BenchmarkMetrics *m)
{
    const Hist *h = &m->latency_ns;
    HostLoad load;
    host_load(&load);
    m->memory_bytes = load.rss_bytes > 0 ? (uint64_t)load.rss_bytes : 0;
    m->requests = h->count + m->errors;
    m->error_rate = m->requests > 0 ? (double)m->errors / (double)m->requests : 0;
    m->requests_per_second =
        m->duration_ns > 0 ? (double)h->count * 1e9 / (double)m->duration_ns : 0;
    if (h->count > 0) {
        m->average_latency_ns = (int64_t)hist_mean(h);
        m->p50_latency_ns = (int64_t)hist_quantile(h, 0.50);
        m->p95_latency_ns = (int64_t)hist_quantile(h, 0.95);
        m->p99_latency_ns = (int64_t)hist_quantile(h, 0.99);
    }
}

static int check(const BenchmarkOptions *o, Err *e)
{
    if (runner_find(o->runner, o->agent) == AGENT_NONE) {
        return err_set(e, ERR_NOT_FOUND, "there is no agent \"%.*s\"", SLICE_FMT(o->agent));
    }
    if (o->users > BENCHMARK_USERS_MAX) {
        return err_set(e, ERR_ARG, "%u users are more than the limit of %d", o->users,
                       BENCHMARK_USERS_MAX);
    }
    if (o->requests == 0 && o->duration_ns <= 0) {
        return err_set(e, ERR_ARG, "a benchmark needs a number of requests or a duration");
    }
    return 0;
}

int benchmark_run(const BenchmarkOptions *options, BenchmarkMetrics *ret_metrics, Err *e)
{
    BenchmarkOptions o = *options;
    o.users = o.users > 0 ? o.users : 1;
    int rc = check(&o, e);
    if (rc != 0) {
        return rc;
    }
    Loop *loop = NULL;
    if ((rc = loop_create(&(LoopOptions){0}, &loop, e)) != 0) {
        return rc;
    }
    Bench bench = {
        .options = &o,
        .spec = {.target = o.agent,
                 .type = o.type,
                 .data = o.data.len > 0 ? o.data : SLICE(BENCHMARK_QUESTION),
                 .timeout_ns = o.timeout_ns},
        .users = mem_zalloc(o.users * sizeof(User)),
    };
    memset(ret_metrics, 0, sizeof *ret_metrics);
    hist_init(&ret_metrics->latency_ns);
    uint64_t collections = o.collections ? o.collections(o.collections_arg) : 0;
    int64_t began_ns = now();
    bench.end_ns = o.duration_ns > 0 ? began_ns + o.duration_ns : NEVER_NS;
    (void)counter_add(&bench.active, (long)o.users);
    for (unsigned i = 0; i < o.users; i++) {
        bench.users[i].bench = &bench;
        hist_init(&bench.users[i].latency_ns);
        send_next(&bench.users[i]);
    }
    wait_for_users(&bench, loop, ret_metrics);
    loop_destroy(loop);
    ret_metrics->duration_ns = now() - began_ns;
    gather(&bench, ret_metrics);
    free(bench.users);
    ret_metrics->gc_pauses = o.collections ? o.collections(o.collections_arg) - collections : 0;
    benchmark_summarise(ret_metrics);
    return 0;
}

void benchmark_metrics_done(BenchmarkMetrics *metrics)
{
    hist_done(&metrics->latency_ns);
}

// ---- printing

void benchmark_write_json(const BenchmarkMetrics *m, JsonWriter *w)
{
    json_object_begin(w);
    json_field_double(w, "RequestsPerSecond", m->requests_per_second);
    json_field_int(w, "AverageLatency", m->average_latency_ns);
    json_field_int(w, "P95Latency", m->p95_latency_ns);
    json_field_int(w, "P99Latency", m->p99_latency_ns);
    json_field_double(w, "ErrorRate", m->error_rate);
    json_field_int(w, "MemoryUsage", (int64_t)m->memory_bytes);
    json_field_int(w, "GCPauses", (int64_t)m->gc_pauses);
    json_field_int(w, "ActiveGoroutines", (int64_t)m->active_fibers);
    json_field_int(w, "requests", (int64_t)m->requests);
    json_field_int(w, "errors", (int64_t)m->errors);
    if (m->items > 0 && m->duration_ns > 0) {
        json_field_double(w, "itemsPerSecond", (double)m->items * 1e9 / (double)m->duration_ns);
    }
    json_field_int(w, "p50LatencyNs", m->p50_latency_ns);
    json_field_int(w, "durationNs", m->duration_ns);
    if (m->first_error[0]) {
        json_field_cstr(w, "firstError", m->first_error);
    }
    json_object_end(w);
}

static void put_time(Buf *out, const char *name, int64_t ns, bool measured)
{
    char text[UNITS_TEXT_MAX];
    (void)duration_format_short(ns, text);
    buf_printf(out, "  %-18s %s\n", name, measured ? text : "not measured");
}

void benchmark_write_text(const BenchmarkMetrics *m, Buf *out)
{
    char memory[UNITS_TEXT_MAX];
    bool any = m->latency_ns.count > 0;
    (void)size_format_short((int64_t)m->memory_bytes, memory);
    buf_printf(out, "  %-18s %.1f\n", "RequestsPerSecond", m->requests_per_second);
    put_time(out, "AverageLatency", m->average_latency_ns, any);
    put_time(out, "P95Latency", m->p95_latency_ns, any);
    put_time(out, "P99Latency", m->p99_latency_ns, any);
    buf_printf(out, "  %-18s %.3f%% (%llu of %llu)\n", "ErrorRate", m->error_rate * 100,
               (unsigned long long)m->errors, (unsigned long long)m->requests);
    buf_printf(out, "  %-18s %s\n", "MemoryUsage", memory);
    buf_printf(out, "  %-18s %llu\n", "GCPauses", (unsigned long long)m->gc_pauses);
    buf_printf(out, "  %-18s %llu\n", "ActiveGoroutines", (unsigned long long)m->active_fibers);
    if (m->items > 0 && m->duration_ns > 0) {
        buf_printf(out, "  %-18s %.1f\n", "items a second",
                   (double)m->items * 1e9 / (double)m->duration_ns);
    }
    if (m->first_error[0]) {
        buf_printf(out, "  first error: %s\n", m->first_error);
    }
}
