// Targets that misbehave: the engine goes on, counts each failure under k6's error code (reference:
// the table of codes in k6's documentation) and ends when the plan ends.
#include "load/load_test.h"

#include "net/stream.h"

typedef struct Hostile {
    LoadWorld w;
    FiberPool *pool;
    Listener *listener;
    void (*serve)(TcpStream *peer);
    FiberGroup peers;
} Hostile;

typedef struct Peer {
    Hostile *hostile;
    TcpStream *tcp;
} Peer;

static void peer_main(void *arg)
{
    Peer *peer = arg;
    peer->hostile->serve(peer->tcp);
    stream_close(&peer->tcp->stream);
    free(peer);
}

static void on_accept(void *ctx, int fd, const NetAddr *addr)
{
    Hostile *h = ctx;
    Peer *peer = mem_zalloc(sizeof *peer);
    peer->hostile = h;
    assert_int_equal(tcp_from_fd(h->w.loop, fd, addr, &peer->tcp, NULL), 0);
    assert_non_null(fiber_spawn(h->pool, "peer", peer_main, peer));
}

static void read_request(TcpStream *tcp)
{
    char bytes[4096];
    size_t n;
    int rc = stream_read(&tcp->stream, bytes, sizeof bytes, &n, NULL);
    (void)rc;
}

static void say(TcpStream *tcp, const char *text)
{
    int rc = stream_write_all(&tcp->stream, slice_from_cstr(text), NULL);
    (void)rc;
}

// Waits until the client has gone.
static void linger(TcpStream *tcp)
{
    char bytes[4096];
    size_t n = 1;
    while (n > 0 && stream_read(&tcp->stream, bytes, sizeof bytes, &n, NULL) == 0) {
    }
}

static void never_answers(TcpStream *tcp)
{
    linger(tcp);
}
static void closes_at_once(TcpStream *tcp)
{
    (void)tcp;
}
static void closes_after_the_request(TcpStream *tcp)
{
    read_request(tcp);
}
static void closes_in_the_body(TcpStream *tcp)
{
    read_request(tcp);
    say(tcp, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
}
static void speaks_garbage(TcpStream *tcp)
{
    read_request(tcp);
    say(tcp, "\x01\x02\xff not HTTP at all\r\n\r\n");
    linger(tcp);
}
static void has_an_endless_head(TcpStream *tcp)
{
    read_request(tcp);
    say(tcp, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 100000; i++) {
        if (stream_write_all(&tcp->stream, SLICE("X-More: and more and more and more\r\n"), NULL)) {
            return;
        }
    }
}
static void has_an_endless_body(TcpStream *tcp)
{
    read_request(tcp);
    say(tcp, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (stream_write_all(&tcp->stream, SLICE("4\r\nmore\r\n"), NULL) == 0) {
        if (fiber_sleep(NS_PER_MS) != 0) {
            return;
        }
    }
}
static void drips_its_head(TcpStream *tcp)
{
    read_request(tcp);
    const char *head = "HTTP/1.1 200 OK\r\nX-Slow: ";
    for (const char *c = head; *c; c++) {
        if (stream_write_all(&tcp->stream, (Slice){c, 1}, NULL) != 0 ||
            fiber_sleep(20 * NS_PER_MS) != 0) {
            return;
        }
    }
    linger(tcp);
}

static void open_hostile(Hostile *h, void (*serve)(TcpStream *tcp))
{
    *h = (Hostile){.serve = serve};
    load_open(&h->w);
    loop_destroy(h->w.loop);
    assert_int_equal(loop_create(&(LoopOptions){0}, &h->w.loop, NULL), 0);
    h->pool = fiber_pool_create(h->w.loop, &(FiberOptions){.stack_bytes = 256 << 10});
    ListenOptions listen = {
        .loop = h->w.loop, .addr = net_addr_loopback(0), .fn = on_accept, .ctx = h};
    assert_int_equal(listener_open(&listen, &h->listener, NULL), 0);
    NetAddr addr = listener_addr(h->listener);
    Slice url = arena_printf(h->w.arena, "http://127.0.0.1:%u/", net_addr_port(&addr));
    h->w.requests[0].url = template_literal(h->w.arena, url);
    h->w.requests[0].timeout_ns = 100 * NS_PER_MS;
    h->w.options.loop = h->w.loop;
    h->w.options.transport = NULL;
    h->w.scenarios[0].executor = EXECUTOR_SHARED_ITERATIONS;
    h->w.scenarios[0].vus = h->w.scenarios[0].max_vus = 2;
    h->w.scenarios[0].iterations = 4;
}

static void close_hostile(Hostile *h)
{
    listener_close(h->listener);
    engine_destroy(h->w.engine);
    h->w.engine = NULL;
    assert_int_equal(fiber_pool_drain(h->pool, NEVER_NS), 0);
    fiber_pool_destroy(h->pool);
    load_close(&h->w);
}

static void test_every_failure_has_its_code(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        void (*serve)(TcpStream *tcp);
        const char *code;
    } cases[] = {
        {"never answers", never_answers, "1050"},
        {"drips its head", drips_its_head, "1050"},
        {"has an endless body", has_an_endless_body, "1050"},
        {"closes in the body", closes_in_the_body, "1000"},
        {"closes after the request", closes_after_the_request, "1000"},
        {"speaks garbage", speaks_garbage, "1000"},
        {"has an endless head", has_an_endless_head, "1000"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Hostile h;
        open_hostile(&h, cases[i].serve);
        load_run(&h.w);
        int64_t coded = load_count(&h.w, M_HTTP_REQS, "error_code", cases[i].code);
        if (coded != 4) {
            print_error("a server that %s\n", cases[i].what);
            for (size_t k = 0; k < collector_series_count(engine_collector(h.w.engine)); k++) {
                const SeriesInfo *info = collector_series(engine_collector(h.w.engine), k);
                Slice code = labels_get(info->labels, SLICE("error_code"));
                if (slice_eq_cstr(info->metric, "http_reqs")) {
                    print_error("  code %.*s\n", SLICE_FMT(code));
                }
            }
        }
        assert_int_equal(coded, 4);
        assert_int_equal(h.w.result->iterations, 4);
        assert_int_equal(h.w.result->failed, 4);
        close_hostile(&h);
    }
}

// It may be seen as a reset or as an end of the stream, by timing; never as a success.
static void test_closing_at_once_is_a_failure(void **state)
{
    (void)state;
    Hostile h;
    open_hostile(&h, closes_at_once);
    load_run(&h.w);
    assert_int_equal(h.w.result->failed, 4);
    assert_int_equal(load_count(&h.w, M_HTTP_REQS, "expected_response", "false"), 4);
    close_hostile(&h);
}

// In the open model a dead target shows as failures and as infinite corrected durations, and the
// arrivals keep their times.
static void test_open_model_against_a_dead_target(void **state)
{
    (void)state;
    Hostile h;
    open_hostile(&h, never_answers);
    h.w.scenarios[0].executor = EXECUTOR_CONSTANT_ARRIVAL_RATE;
    h.w.scenarios[0].rate = 50;
    h.w.scenarios[0].duration_ns = 200 * NS_PER_MS;
    h.w.scenarios[0].pre_allocated_vus = h.w.scenarios[0].max_vus = 20;
    load_run(&h.w);
    assert_int_equal(h.w.result->iterations, 10);
    Hist hist;
    hist_init(&hist);
    load_total(&h.w, M_HTTP_REQ_CORRECTED_DURATION, NULL, NULL, &hist);
    assert_int_equal(hist.infinite, 10);
    assert_int_equal(hist.count, 0);
    hist_done(&hist);
    close_hostile(&h);
}

// A URL that only shows to be wrong when it is filled in fails like a request, with k6's 1020.
static void test_bad_url_at_run_time(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    TemplateNames none = {0};
    assert_int_equal(
        template_compile(w.arena, SLICE("nonsense:${vu}"), &none, &w.requests[0].url, NULL), 0);
    w.scenarios[0].executor = EXECUTOR_SHARED_ITERATIONS;
    w.scenarios[0].vus = w.scenarios[0].max_vus = 1;
    w.scenarios[0].iterations = 3;
    load_run(&w);
    assert_int_equal(w.sent, 0);
    assert_int_equal(load_count(&w, M_HTTP_REQS, "error_code", "1020"), 3);
    load_close(&w);
}

static int refuse(void *ctx, Slice host, Err *e)
{
    (void)ctx;
    return err_set(e, ERR_REFUSED, "'%.*s' is not for you", SLICE_FMT(host));
}

static void test_refused_hosts_are_never_sent_to(void **state)
{
    (void)state;
    LoadWorld w;
    load_open(&w);
    const EngineNet net = {.check_host = refuse};
    w.options.net = &net;
    w.scenarios[0].executor = EXECUTOR_SHARED_ITERATIONS;
    w.scenarios[0].vus = w.scenarios[0].max_vus = 1;
    w.scenarios[0].iterations = 3;
    load_run(&w);
    assert_int_equal(w.sent, 0);
    assert_int_equal(load_count(&w, M_HTTP_REQS, "error_code", "1111"), 3);
    load_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_failure_has_its_code),
        cmocka_unit_test(test_closing_at_once_is_a_failure),
        cmocka_unit_test(test_open_model_against_a_dead_target),
        cmocka_unit_test(test_bad_url_at_run_time),
        cmocka_unit_test(test_refused_hosts_are_never_sent_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
