// Against Debian's Prometheus: started for real, killed in the middle, started again; every sample
// it holds afterwards must be one that was sent, and every one that was sent must be there.
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/doc.h"
#include "load/output.h"
#include "net/addr.h"
#include "os/clock.h"
#include "os/file.h"

#define PROMETHEUS "/usr/bin/prometheus"

enum { PHASE = 20, POINTS = 3 * PHASE, ANSWER_MAX = 1 << 20, WAIT_ROUNDS = 1500 };

typedef struct World {
    char directory[64];
    char spool[96];
    char url[64];
    uint16_t port;
    pid_t pid;
} World;

static char push_interval[] = "1s";
static char trend_stats[] = "p(99),count";

static char *env(const char *name)
{
    return strcmp(name, "K6_PROMETHEUS_RW_PUSH_INTERVAL") == 0 ? push_interval
           : strcmp(name, "K6_PROMETHEUS_RW_TREND_STATS") == 0 ? trend_stats
                                                               : NULL;
}

static uint16_t free_port(void)
{
    NetAddr addr = net_addr_loopback(0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, &addr.u.any, addr.len), 0);
    assert_int_equal(getsockname(fd, &addr.u.any, &addr.len), 0);
    (void)close(fd);
    return net_addr_port(&addr);
}

// ---- a client as plain as can be: the output under test has the real one

static bool ask(const World *w, const char *target, Buf *answer)
{
    char request[1024];
    NetAddr addr = net_addr_loopback(w->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int len =
        snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n", target);
    buf_reset(answer);
    bool ok = connect(fd, &addr.u.any, addr.len) == 0 && write(fd, request, (size_t)len) == len;
    for (ssize_t n = 1; ok && n > 0;) {
        char *at = buf_reserve(answer, 4096);
        n = at ? read(fd, at, 4096) : -1;
        buf_commit(answer, n > 0 ? (size_t)n : 0);
    }
    (void)close(fd);
    ptrdiff_t body = slice_find(buf_slice(answer), SLICE("\r\n\r\n"));
    ok = ok && body > 0 && slice_find(buf_slice(answer), SLICE(" 200 ")) > 0;
    if (ok) {
        buf_consume(answer, (size_t)body + 4);
    }
    return ok;
}

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static void start(World *w)
{
    char listen[64], data[256], config[256], path[192];
    (void)snprintf(path, sizeof path, "%s/prometheus.yml", w->directory);
    assert_int_equal(file_write(path, SLICE("global: {}\n"), NULL, NULL), 0);
    (void)snprintf(listen, sizeof listen, "--web.listen-address=127.0.0.1:%u", w->port);
    (void)snprintf(data, sizeof data, "--storage.tsdb.path=%s/data", w->directory);
    (void)snprintf(config, sizeof config, "--config.file=%s", path);
    w->pid = fork();
    assert_true(w->pid >= 0);
    if (w->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); // a failed test leaves nothing behind
        int null = open("/dev/null", O_RDWR);
        (void)dup2(null, 1);
        (void)dup2(null, 2);
        (void)execl(PROMETHEUS, PROMETHEUS, listen, data, config,
                    "--web.enable-remote-write-receiver", "--log.level=error", (char *)NULL);
        _exit(127);
    }
    Buf answer = buf_create(ANSWER_MAX);
    for (int i = 0; i < WAIT_ROUNDS && !ask(w, "/-/ready", &answer); i++) {
        nap();
    }
    assert_true(ask(w, "/-/ready", &answer));
    buf_done(&answer);
}

static void stop(World *w)
{
    assert_int_equal(kill(w->pid, SIGKILL), 0);
    assert_int_equal(waitpid(w->pid, NULL, 0), w->pid);
}

// ---- what is sent

static const Label labels[] = {{SLICE_INIT("name"), SLICE_INIT("login")}};
static const SeriesInfo series[] = {
    {0, METRIC_COUNTER, METRIC_UNIT_NONE, SLICE_INIT("http_reqs"), {labels, 1}},
    {1, METRIC_GAUGE, METRIC_UNIT_NONE, SLICE_INIT("vus"), {NULL, 0}},
    {2, METRIC_RATE, METRIC_UNIT_NONE, SLICE_INIT("checks"), {labels, 1}},
    {3, METRIC_TREND, METRIC_UNIT_TIME, SLICE_INIT("http_req_duration"), {labels, 1}},
};

static void send_one(Output *out, int i, int64_t t0)
{
    Hist h;
    hist_init(&h);
    hist_record_n(&h, 3000000, 10);
    const Point points[] = {{.series = 0, .count = 10 + i},
                            {.series = 1, .last = i * 0.5},
                            {.series = 2, .count = 4, .trues = i % 5},
                            {.series = 3, .count = 10, .hist = &h}};
    output_interval(out, &(OutputInterval){.index = i,
                                           .unix_ns = t0 + i * NS_PER_S,
                                           .series = series,
                                           .series_count = COUNT_OF(series),
                                           .points = points,
                                           .count = COUNT_OF(points)});
    hist_done(&h);
}

static Output *open_output(const World *w, int64_t flush_ns)
{
    Output *out = NULL;
    Err e = {0};
    char spec[128];
    (void)snprintf(spec, sizeof spec, "experimental-prometheus-rw=%s", w->url);
    OutputOptions options = {env, w->spool, flush_ns};
    if (output_open(slice_from_cstr(spec), &options, &out, &e) != 0) {
        fail_msg("%s", e.text);
    }
    output_start(out, &(OutputRun){.interval_ns = NS_PER_S});
    return out;
}

// ---- what must be there

typedef double Expected(int i);

// Two outputs sent: the second, a new run, counts from nothing.
static int first_of_run(int i)
{
    return i < 2 * PHASE ? 0 : 2 * PHASE;
}
static double expected_requests(int i)
{
    double sum = 0;
    for (int k = first_of_run(i); k <= i; k++) {
        sum += 10 + k;
    }
    return sum;
}
static double expected_vus(int i)
{
    return i * 0.5;
}
static double expected_checks(int i)
{
    double trues = 0, all = 0;
    for (int k = first_of_run(i); k <= i; k++) {
        trues += k % 5;
        all += 4;
    }
    return trues / all;
}
static double expected_p99(int i)
{
    (void)i;
    return 3000000 * (1 / 1e9);
}
static double expected_count(int i)
{
    return 10 * (i - first_of_run(i) + 1);
}

static int stored(const World *w, const char *query)
{
    Buf answer = buf_create(ANSWER_MAX);
    Arena *arena = arena_create(1 << 24);
    const Doc *d = NULL;
    char target[256];
    (void)snprintf(target, sizeof target, "/api/v1/query?query=%s%%5B1h%%5D", query);
    int n = 0;
    if (ask(w, target, &answer) && doc_parse(arena, buf_slice(&answer), NULL, &d, NULL) == 0) {
        const Doc *result = doc_get(doc_get(d, SLICE("data")), SLICE("result"));
        n = (int)doc_count(doc_get(doc_at(result, 0), SLICE("values")));
    }
    arena_destroy(arena);
    buf_done(&answer);
    return n;
}

// A range selector returns the samples as stored, with their own times, which query_range with its
// steps and look-back would not show.
static void compare(const World *w, const char *query, Expected *expected, int64_t t0)
{
    Buf answer = buf_create(ANSWER_MAX);
    Arena *arena = arena_create(1 << 24);
    const Doc *d = NULL;
    char target[256];
    (void)snprintf(target, sizeof target, "/api/v1/query?query=%s%%5B1h%%5D", query);
    assert_true(ask(w, target, &answer));
    assert_int_equal(doc_parse(arena, buf_slice(&answer), NULL, &d, NULL), 0);
    const Doc *result = doc_get(doc_get(d, SLICE("data")), SLICE("result"));
    assert_int_equal(doc_count(result), 1);
    const Doc *values = doc_get(doc_at(result, 0), SLICE("values"));
    assert_int_equal(doc_count(values), POINTS);
    for (int i = 0; i < POINTS; i++) {
        const Doc *pair = doc_at(values, (size_t)i);
        double value;
        assert_int_equal(slice_to_f64(doc_at(pair, 1)->text, &value), 0);
        int64_t at_ms = (int64_t)llround(doc_number(doc_at(pair, 0)) * 1000);
        assert_int_equal(at_ms, t0 / NS_PER_MS + (int64_t)i * 1000);
        if (value != expected(i)) {
            fail_msg("%s point %d: %.17g instead of %.17g", query, i, value, expected(i));
        }
    }
    arena_destroy(arena);
    buf_done(&answer);
}

static void world_open(World *w)
{
    *w = (World){.port = free_port()};
    (void)snprintf(w->directory, sizeof w->directory, "/tmp/prometheus-test-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    (void)snprintf(w->spool, sizeof w->spool, "%s/spool", w->directory);
    (void)snprintf(w->url, sizeof w->url, "http://127.0.0.1:%u/api/v1/write", w->port);
}

static void test_nothing_is_lost_or_doubled(void **state)
{
    (void)state;
    if (access(PROMETHEUS, X_OK) != 0) {
        skip();
    }
    World w;
    OutputReport report;
    Err e = {0};
    world_open(&w);
    start(&w);
    // In the past, so that the query's "now" is behind all of it.
    int64_t t0 = clock_wall(clock_real()) / NS_PER_S * NS_PER_S - 2 * POINTS * NS_PER_S;
    Output *out = open_output(&w, 50 * NS_PER_MS);
    for (int i = 0; i < PHASE; i++) {
        send_one(out, i, t0);
    }
    for (int i = 0; i < WAIT_ROUNDS && stored(&w, "k6_vus") < PHASE / 4; i++) {
        nap();
    }
    stop(&w); // in the middle of sending
    for (int i = PHASE; i < 2 * PHASE; i++) {
        send_one(out, i, t0);
    }
    assert_int_equal(output_stop(out, &report, &e), 0);
    assert_true(report.waiting >= PHASE);
    assert_int_equal(report.dropped, 0);
    assert_non_null(strstr(report.warning, "wait on disk"));
    start(&w);
    out = open_output(&w, 60 * NS_PER_S); // a new process would do the same
    for (int i = 2 * PHASE; i < POINTS; i++) {
        send_one(out, i, t0);
    }
    assert_int_equal(output_stop(out, &report, &e), 0);
    assert_int_equal(report.waiting, 0);
    assert_int_equal(report.dropped, 0);
    assert_string_equal(report.warning, "");
    compare(&w, "k6_http_reqs_total", expected_requests, t0);
    compare(&w, "k6_vus", expected_vus, t0);
    compare(&w, "k6_checks_rate", expected_checks, t0);
    compare(&w, "k6_http_req_duration_p99", expected_p99, t0);
    compare(&w, "k6_http_req_duration_count", expected_count, t0);
    stop(&w);
    assert_int_equal(dir_remove_all(w.directory, NULL), 0);
}

static void test_what_the_receiver_refuses_is_counted(void **state)
{
    (void)state;
    if (access(PROMETHEUS, X_OK) != 0) {
        skip();
    }
    World w;
    OutputReport report;
    Err e = {0};
    world_open(&w);
    start(&w);
    (void)snprintf(w.url, sizeof w.url, "http://127.0.0.1:%u/no/such/page", w.port);
    Output *out = open_output(&w, 60 * NS_PER_S);
    send_one(out, 0, clock_wall(clock_real()));
    assert_int_equal(output_stop(out, &report, &e), 0);
    assert_int_equal(report.dropped, 5);
    assert_int_equal(report.points, 0);
    assert_int_equal(report.waiting, 0);
    assert_non_null(strstr(report.warning, "refused 5 points"));
    stop(&w);
    assert_int_equal(dir_remove_all(w.directory, NULL), 0);
}

// Nothing is sent to where a cloud serves credentials: the address is refused before a socket is
// opened.
static void test_a_receiver_that_no_run_may_reach(void **state)
{
    (void)state;
    World w;
    OutputReport report;
    Err e = {0};
    world_open(&w);
    (void)snprintf(w.url, sizeof w.url, "http://169.254.169.254/api/v1/write");
    Output *out = open_output(&w, 60 * NS_PER_S);
    send_one(out, 0, clock_wall(clock_real()));
    assert_int_equal(output_stop(out, &report, &e), 0);
    assert_int_equal(report.dropped, 5);
    assert_int_equal(report.waiting, 0);
    assert_non_null(strstr(report.warning, "169.254.169.254"));
    assert_int_equal(dir_remove_all(w.directory, NULL), 0);
}

static void test_two_processes_to_one_receiver(void **state)
{
    (void)state;
    World w;
    OutputReport report;
    Err e = {0};
    world_open(&w); // nobody listens
    Output *a = open_output(&w, NS_PER_MS), *b = open_output(&w, NS_PER_MS);
    send_one(a, 0, NS_PER_S);
    send_one(b, 0, NS_PER_S);
    assert_int_equal(output_stop(a, &report, &e), 0);
    assert_int_equal(report.waiting, 1);
    assert_int_equal(output_stop(b, &report, &e), 0);
    assert_int_equal(report.waiting, 1);
    assert_int_equal(dir_remove_all(w.directory, NULL), 0);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost_or_doubled),
        cmocka_unit_test(test_what_the_receiver_refuses_is_counted),
        cmocka_unit_test(test_a_receiver_that_no_run_may_reach),
        cmocka_unit_test(test_two_processes_to_one_receiver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
