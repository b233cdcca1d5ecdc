// What the load engine can do on this machine, against a server of our own in a child process on
// the other CPU:
//
//   load_rate rate 20000 60     open model: achieved rate, lateness of the generator, and that of a
//                               bare timer loop at the same rate before and after (the worse), for
//                               scale
//   load_rate closed 50 5       closed model: requests a second, CPU time per request
//   load_rate memory 1000 10    resident memory of so many VUs, each with a connection
//   load_rate record            nanoseconds per recorded value
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load/engine.h"
#include "net/server.h"
#include "os/host.h"
#include "os/thread.h"

typedef struct Bench {
    Arena *arena;
    PlanEnvironment environment;
    PlanScenario scenario;
    PlanRequest request;
    PlanStep steps[2];
    Plan plan;
} Bench;

static int64_t to_int(const char *text)
{
    int64_t n = 0;
    if (slice_to_i64(slice_from_cstr(text), &n) != 0 || n <= 0) {
        die("not a positive number: %s", text);
    }
    return n;
}

// ---- the server

static void answer(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    (void)ctx;
    (void)request;
    http_reply_send(reply, 200, SLICE("text/plain"), SLICE("hello, world\n"), NULL);
}

static void serve(int port_pipe)
{
    Loop *loop;
    HttpServer *server;
    Err e = {0};
    if (thread_pin_self(1, NULL) != 0) {
        fputs("load_rate: server not pinned\n", stderr);
    }
    if (loop_create(&(LoopOptions){0}, &loop, &e) != 0) {
        die("%s", e.text);
    }
    FiberPool *pool = fiber_pool_create(loop, &(FiberOptions){0});
    HttpServerOptions options = {.loop = loop, .pool = pool, .handler = answer};
    if (http_server_open(&options, &server, &e) != 0) {
        die("%s", e.text);
    }
    NetAddr addr = http_server_addr(server);
    uint16_t port = net_addr_port(&addr);
    if (write(port_pipe, &port, sizeof port) != sizeof port) {
        die("cannot tell the port");
    }
    loop_run(loop);
}

static pid_t start_server(uint16_t *ret_port)
{
    int ends[2];
    if (pipe(ends) != 0) {
        die("no pipe");
    }
    pid_t pid = fork();
    if (pid < 0) {
        die("no child");
    }
    if (pid == 0) {
        close(ends[0]);
        serve(ends[1]);
        _exit(0);
    }
    close(ends[1]);
    if (read(ends[0], ret_port, sizeof *ret_port) != sizeof *ret_port) {
        die("the server did not start");
    }
    close(ends[0]);
    return pid;
}

// ---- the plan

static void make_plan(Bench *b, uint16_t port)
{
    *b = (Bench){.arena = arena_create(1 << 20)};
    Slice url = arena_printf(b->arena, "http://127.0.0.1:%u/", port);
    b->request = (PlanRequest){
        .name = SLICE("hello"),
        .method = SLICE("GET"),
        .url = template_literal(b->arena, url),
        .timeout_ns = PLAN_REQUEST_TIMEOUT_NS,
    };
    b->steps[0] = (PlanStep){.kind = STEP_REQUEST, .request = &b->request};
    b->scenario = (PlanScenario){
        .name = SLICE("bench"),
        .graceful_stop_ns = PLAN_GRACEFUL_STOP_NS,
        .time_unit_ns = NS_PER_S,
        .steps = b->steps,
        .step_count = 1,
    };
    b->plan = (Plan){
        .name = SLICE("bench"),
        .environment = &b->environment,
        .requests = &b->request,
        .request_count = 1,
        .scenarios = &b->scenario,
        .scenario_count = 1,
        .discard_bodies = true,
        .run_header = SLICE("X-Perfwright-Run"),
        .user_agent = SLICE("perfwright"),
    };
}

static Engine *run_plan(Bench *b, EngineHooks hooks)
{
    Engine *engine;
    Err e = {0};
    EngineOptions options = {.plan = &b->plan, .run_id = SLICE("bench"), .hooks = hooks};
    if (engine_create(&options, &engine, &e) != 0 || engine_execute(engine, &e) != 0) {
        die("%s", e.text);
    }
    return engine;
}

// ---- a bare timer loop, for scale

typedef struct Bare {
    Loop *loop;
    LoopTimer timer;
    int64_t due_ns, gap_ns, left;
    Hist late;
} Bare;

static void on_bare(LoopTimer *timer)
{
    Bare *b = CONTAINER_OF(timer, Bare, timer);
    while (b->left > 0 && b->due_ns <= loop_clock(b->loop)) {
        hist_record(&b->late, loop_clock(b->loop) - b->due_ns);
        b->due_ns += b->gap_ns;
        b->left--;
    }
    if (b->left > 0) {
        loop_timer_set(b->loop, timer, b->due_ns);
    } else {
        loop_stop(b->loop);
    }
}

static double bare_p99_us(int64_t rate, int64_t seconds)
{
    Bare b = {.gap_ns = NS_PER_S / rate, .left = rate * seconds};
    hist_init(&b.late);
    if (loop_create(&(LoopOptions){0}, &b.loop, NULL) != 0) {
        die("no loop");
    }
    loop_timer_init(&b.timer, on_bare);
    b.due_ns = loop_clock(b.loop) + b.gap_ns;
    loop_timer_set(b.loop, &b.timer, b.due_ns);
    loop_run(b.loop);
    double p99 = hist_quantile(&b.late, 0.99) / 1e3;
    hist_done(&b.late);
    loop_destroy(b.loop);
    return p99;
}

// ---- modes

static double cpu_seconds(void)
{
    HostLoad load;
    host_load(&load);
    return (double)(load.own_user_ns + load.own_system_ns) / 1e9;
}

static void mode_rate(Bench *b, int64_t rate, int64_t seconds)
{
    double bare = bare_p99_us(rate, 2);
    b->scenario.executor = EXECUTOR_CONSTANT_ARRIVAL_RATE;
    b->scenario.rate = rate;
    b->scenario.duration_ns = seconds * NS_PER_S;
    b->scenario.pre_allocated_vus = 50;
    b->scenario.max_vus = 1000;
    double cpu = cpu_seconds();
    Engine *engine = run_plan(b, (EngineHooks){0});
    cpu = cpu_seconds() - cpu;
    double after = bare_p99_us(rate, 2);
    bare = after > bare ? after : bare;
    const EngineResult *r = engine_result(engine);
    printf("offered   %lld (%lld/s for %lld s)\n", (long long)(rate * seconds), (long long)rate,
           (long long)seconds);
    printf("achieved  %lld (%.4f %%), dropped %lld + %lld, failed %lld\n", (long long)r->iterations,
           100.0 * (double)r->iterations / (double)(rate * seconds),
           (long long)r->dropped_generator, (long long)r->dropped_no_vu, (long long)r->failed);
    printf("generator lateness p50 %.1f us, p99 %.1f us, max %.1f us\n",
           r->health.lateness_p50_ns / 1e3, r->health.lateness_p99_ns / 1e3,
           r->health.lateness_max_ns / 1e3);
    printf("bare timer loop    p99 %.1f us (ratio %.2f)\n", bare,
           r->health.lateness_p99_ns / 1e3 / bare);
    printf("cpu %.2f us a request, steal %.1f %%, vus %lld, verdict %s %.*s\n",
           cpu * 1e6 / (double)(r->requests + !r->requests), r->health.steal_mean * 100,
           (long long)r->vus_max,
           r->health.valid ? "valid" : "INVALID:", SLICE_FMT(r->health.reason));
    engine_destroy(engine);
}

static void mode_closed(Bench *b, int64_t vus, int64_t seconds)
{
    b->scenario.executor = EXECUTOR_CONSTANT_VUS;
    b->scenario.vus = b->scenario.max_vus = vus;
    b->scenario.duration_ns = seconds * NS_PER_S;
    double cpu = cpu_seconds();
    Engine *engine = run_plan(b, (EngineHooks){0});
    cpu = cpu_seconds() - cpu;
    const EngineResult *r = engine_result(engine);
    printf("%lld requests, %.0f/s, cpu %.2f us a request, failed %lld\n", (long long)r->requests,
           (double)r->requests / (double)seconds, cpu * 1e6 / (double)r->requests,
           (long long)r->failed);
    engine_destroy(engine);
}

static void print_rss(void *ctx, const EngineInterval *interval)
{
    (void)ctx;
    HostLoad load;
    host_load(&load);
    printf("%3lld s: %.1f MiB resident, %lld requests\n", (long long)interval->index + 1,
           (double)load.rss_bytes / (1 << 20), (long long)interval->status->requests);
}

static void mode_memory(Bench *b, int64_t vus, int64_t seconds)
{
    b->scenario.executor = EXECUTOR_CONSTANT_VUS;
    b->scenario.vus = b->scenario.max_vus = vus;
    b->scenario.duration_ns = seconds * NS_PER_S;
    b->steps[1] =
        (PlanStep){.kind = STEP_THINK, .think = {.kind = THINK_EXPONENTIAL, .a_ns = NS_PER_S / 10}};
    b->scenario.step_count = 2;
    engine_destroy(run_plan(b, (EngineHooks){.on_interval = print_rss}));
}

static void mode_record(void)
{
    enum { ROUNDS = 20000000 };
    Recorder *r = recorder_create(&(RecorderOptions){0});
    RecorderSeries *s = recorder_series(r, M_HTTP_REQ_DURATION, NULL, 0);
    uint64_t x = 88172645463325252u;
    int64_t begin_ns = clock_now(clock_real());
    for (int i = 0; i < ROUNDS; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        recorder_trend(s, (int64_t)(100000 + (x & 0xfffff)));
    }
    int64_t took_ns = clock_now(clock_real()) - begin_ns;
    printf("%.2f ns a record (random number included)\n", (double)took_ns / ROUNDS);
    recorder_destroy(r);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "record") == 0) {
        mode_record();
        return 0;
    }
    if (argc != 4) {
        fputs("usage: load_rate rate|closed|memory N SECONDS | load_rate record\n", stderr);
        return 2;
    }
    uint16_t port;
    Bench b;
    int64_t n = to_int(argv[2]);
    int64_t seconds = to_int(argv[3]);
    pid_t server = start_server(&port);
    if (thread_pin_self(0, NULL) != 0) {
        fputs("load_rate: not pinned\n", stderr);
    }
    make_plan(&b, port);
    if (strcmp(argv[1], "rate") == 0) {
        mode_rate(&b, n, seconds);
    } else if (strcmp(argv[1], "closed") == 0) {
        mode_closed(&b, n, seconds);
    } else {
        mode_memory(&b, n, seconds);
    }
    arena_destroy(b.arena);
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    return 0;
}
