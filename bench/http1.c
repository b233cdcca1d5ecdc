// One number against wrk: what a keep-alive GET costs the client in CPU time, with timings and
// eight histogram values recorded a request, as the load engine does it. bench/http1.sh starts
// nginx and runs this and wrk in turn.
//
//     http1 URL CONNECTIONS SECONDS [h2c]        prints one JSON line
//
// With h2c the same over HTTP/2 without TLS; bench/h2.sh compares that with h2load.
#include <stdio.h>
#include <sys/resource.h>

#include "net/http.h"
#include "os/fiber.h"
#include "stat/hist.h"

enum { SERIES = 8 };

typedef struct Bench {
    Loop *loop;
    HttpContext *ctx;
    HttpOrigin origin;
    Buf wire;
    int64_t end_ns;
    Hist series[SERIES];
    uint64_t requests;
    uint64_t failures;
    uint64_t bytes;
} Bench;

static void record(Bench *b, const HttpResponse *r)
{
    const HttpTimings *t = &r->timings;
    int64_t duration_ns = http_timings_duration(t);
    hist_record(&b->series[0], duration_ns);
    hist_record(&b->series[1], t->blocked_ns);
    hist_record(&b->series[2], t->connecting_ns);
    hist_record(&b->series[3], t->tls_handshaking_ns);
    hist_record(&b->series[4], t->sending_ns);
    hist_record(&b->series[5], t->waiting_ns);
    hist_record(&b->series[6], t->receiving_ns);
    hist_record(&b->series[7], r->status < 400 ? duration_ns : 0);
    b->requests++;
    b->bytes += r->bytes_received;
}

static void user(void *arg)
{
    Bench *b = arg;
    HttpClient *client = http_client_create(b->ctx);
    HttpResponse response = http_response_create(NULL);
    HttpRequest request = {
        .origin = &b->origin,
        .method = SLICE("GET"),
        .wire = buf_slice(&b->wire),
        .timeout_ns = 60 * NS_PER_S,
    };
    while (loop_now(b->loop) < b->end_ns) {
        if (http_client_do(client, &request, &response, NULL) == 0 && response.status == 200) {
            record(b, &response);
        } else {
            b->failures++;
            if (fiber_sleep(NS_PER_MS) != 0) {
                break;
            }
        }
    }
    http_response_done(&response);
    http_client_destroy(client);
}

static double seconds(struct timeval tv)
{
    return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static void print(const Bench *b, int connections, double wall_s)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    double n = (double)b->requests;
    (void)printf("{\"connections\": %d, \"requests\": %llu, \"failures\": %llu, \"per_s\": %.0f, "
                 "\"cpu_us\": %.3f, \"user_us\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
                 "\"rss_kb\": %ld}\n",
                 connections, (unsigned long long)b->requests, (unsigned long long)b->failures,
                 n / wall_s, (seconds(u.ru_utime) + seconds(u.ru_stime)) / n * 1e6,
                 seconds(u.ru_utime) / n * 1e6, hist_quantile(&b->series[0], 0.5) / 1e3,
                 hist_quantile(&b->series[0], 0.99) / 1e3, u.ru_maxrss);
}

static int run(Bench *b, const char *url_text, int connections, double duration_s, bool h2c, Err *e)
{
    Url url;
    int rc = url_parse(slice_from_cstr(url_text), &url, e);
    if (rc == 0) {
        rc = http_origin_init(&b->origin, &url, e);
    }
    b->origin.h2c = h2c;
    if (rc == 0) {
        rc = loop_create(&(LoopOptions){0}, &b->loop, e);
    }
    if (rc != 0) {
        return rc;
    }
    Buf target = buf_create(URL_BYTES_MAX);
    url_append_target(&target, &url);
    HttpRequest request = {
        .origin = &b->origin, .method = SLICE("GET"), .target = buf_slice(&target)};
    rc = http_request_wire(&b->wire, &request, e);
    buf_done(&target);
    if (rc != 0) {
        return rc;
    }
    FiberPool *pool = fiber_pool_create(b->loop, &(FiberOptions){0});
    b->ctx = http_context_create(&(HttpContextOptions){.loop = b->loop});
    int64_t begin_ns = loop_clock(b->loop);
    b->end_ns = begin_ns + (int64_t)(duration_s * 1e9);
    for (int i = 0; i < connections; i++) {
        Fiber *fiber = fiber_spawn(pool, "user", user, b);
        if (!fiber) {
            return err_set(e, ERR_LIMIT, "cannot make %d fibers", connections);
        }
    }
    while (fiber_pool_stats(pool).alive > 0) {
        (void)loop_tick(b->loop, NEVER_NS);
    }
    print(b, connections, (double)(loop_clock(b->loop) - begin_ns) / 1e9);
    fiber_pool_destroy(pool);
    http_context_destroy(b->ctx);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5) {
        (void)fprintf(stderr, "usage: http1 URL CONNECTIONS SECONDS [h2c]\n");
        return 2;
    }
    Bench *b = mem_zalloc(sizeof *b);
    b->wire = buf_create(HTTP_HEAD_BYTES_MAX);
    for (int i = 0; i < SERIES; i++) {
        hist_init(&b->series[i]);
    }
    Err e = {0};
    int connections = (int)strtol(argv[2], NULL, 10);
    int rc = run(b, argv[1], connections, strtod(argv[3], NULL), argc == 5, &e);
    if (rc != 0) {
        (void)fprintf(stderr, "http1: %s\n", e.text);
    }
    for (int i = 0; i < SERIES; i++) {
        hist_done(&b->series[i]);
    }
    buf_done(&b->wire);
    http_origin_done(&b->origin);
    loop_destroy(b->loop);
    free(b);
    return rc == 0 ? 0 : 1;
}
