#include "net/net_test.h"

#include <unistd.h>

typedef struct Pair {
    Loop *loop;
    FiberPool *pool;
    TcpStream *a;
    TcpStream *b;
    int codes[4];
    size_t bytes;
    int events;
} Pair;

static void open_pair(Pair *p)
{
    *p = (Pair){0};
    assert_int_equal(loop_create(&(LoopOptions){0}, &p->loop, NULL), 0);
    p->pool = fiber_pool_create(p->loop, &(FiberOptions){0});
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    NetAddr none = {0};
    assert_int_equal(tcp_from_fd(p->loop, fds[0], &none, &p->a, NULL), 0);
    assert_int_equal(tcp_from_fd(p->loop, fds[1], &none, &p->b, NULL), 0);
}

static void run_pair(Pair *p)
{
    while (fiber_pool_stats(p->pool).alive > 0) {
        (void)loop_tick(p->loop, NEVER_NS);
    }
}

static void close_pair(Pair *p)
{
    if (p->a) {
        stream_close(&p->a->stream);
    }
    if (p->b) {
        stream_close(&p->b->stream);
    }
    fiber_pool_destroy(p->pool);
    loop_destroy(p->loop);
}

enum { MANY = 8 << 20 };

static void write_many(void *arg)
{
    Pair *p = arg;
    char *data = mem_alloc(MANY);
    for (size_t i = 0; i < MANY; i++) {
        data[i] = (char)(i * 7);
    }
    struct iovec parts[4] = {{data, 1}, {NULL, 0}, {data + 1, 1000}, {data + 1001, MANY - 1001}};
    p->codes[0] = stream_writev_all(&p->a->stream, parts, 4, NULL);
    assert_int_equal(p->a->stream.bytes_out, MANY);
    free(data);
}

static void read_many(void *arg)
{
    Pair *p = arg;
    char first[10];
    assert_int_equal(stream_read_exact(&p->b->stream, first, sizeof first, NULL), 0);
    p->bytes = sizeof first;
    static char buffer[5000];
    while (p->bytes < MANY) {
        size_t n;
        assert_int_equal(stream_read(&p->b->stream, buffer, sizeof buffer, &n, NULL), 0);
        for (size_t i = 0; i < n; i++) {
            assert_true(buffer[i] == (char)((p->bytes + i) * 7));
        }
        p->bytes += n;
    }
}

static void test_bytes_arrive_in_order(void **state)
{
    (void)state;
    Pair p;
    open_pair(&p);
    assert_non_null(fiber_spawn(p.pool, "writer", write_many, &p));
    assert_non_null(fiber_spawn(p.pool, "reader", read_many, &p));
    run_pair(&p);
    assert_int_equal(p.codes[0], 0);
    assert_int_equal(p.bytes, MANY);
    close_pair(&p);
}

static void read_one(void *arg)
{
    Pair *p = arg;
    char byte;
    size_t n = 7;
    Err e = {0};
    p->codes[0] = stream_read(&p->a->stream, &byte, 1, &n, &e);
    p->bytes = n;
    assert_true(p->codes[0] == 0 || e.text[0]);
}

static void write_until_full(void *arg)
{
    Pair *p = arg;
    static const char block[65536];
    do {
        p->codes[1] = stream_write_all(&p->a->stream, (Slice){block, sizeof block}, NULL);
    } while (p->codes[1] == 0);
}

static void test_deadline(void **state)
{
    (void)state;
    Pair p;
    open_pair(&p);
    stream_set_deadline(&p.a->stream, loop_clock(p.loop) + 5 * NS_PER_MS);
    assert_non_null(fiber_spawn(p.pool, "reader", read_one, &p));
    assert_non_null(fiber_spawn(p.pool, "writer", write_until_full, &p));
    run_pair(&p);
    assert_int_equal(p.codes[0], ERR_TIMEOUT);
    assert_int_equal(p.codes[1], ERR_TIMEOUT);
    close_pair(&p);
}

static void test_end_of_stream_stays(void **state)
{
    (void)state;
    Pair p;
    open_pair(&p);
    assert_int_equal(write(p.b->io.fd, "x", 1), 1);
    stream_close(&p.b->stream);
    p.b = NULL;
    for (int i = 0; i < 3; i++) {
        assert_non_null(fiber_spawn(p.pool, "reader", read_one, &p));
        run_pair(&p);
        assert_int_equal(p.codes[0], 0);
        assert_int_equal(p.bytes, i == 0);
    }
    assert_non_null(fiber_spawn(p.pool, "writer", write_until_full, &p));
    run_pair(&p);
    assert_int_equal(p.codes[1], ERR_CLOSED);
    assert_int_not_equal(p.a->stream.sys_errno, 0);
    assert_false(tcp_is_quiet(p.a));
    close_pair(&p);
}

static void close_a(void *arg)
{
    Pair *p = arg;
    stream_close(&p->a->stream);
    p->a = NULL;
}

// A third fiber closes while one reads and one writes: both leave, and the last one frees.
static void test_close_under_two_fibers(void **state)
{
    (void)state;
    Pair p;
    open_pair(&p);
    assert_non_null(fiber_spawn(p.pool, "reader", read_one, &p));
    assert_non_null(fiber_spawn(p.pool, "writer", write_until_full, &p));
    while (!p.a->reader || !p.a->writer) {
        (void)loop_tick(p.loop, 0);
    }
    assert_non_null(fiber_spawn(p.pool, "closer", close_a, &p));
    run_pair(&p);
    assert_int_equal(p.codes[0], ERR_CLOSED);
    assert_int_equal(p.codes[1], ERR_CLOSED);
    close_pair(&p);
}

static void on_readable(void *ctx)
{
    ++*(int *)ctx;
}

static void test_idle_stream_tells_about_bytes(void **state)
{
    (void)state;
    Pair p;
    open_pair(&p);
    p.a->readable_fn = on_readable;
    p.a->readable_ctx = &p.events;
    (void)loop_tick(p.loop, 0);
    int before = p.events;
    assert_true(tcp_is_quiet(p.a));
    assert_int_equal(write(p.b->io.fd, "x", 1), 1);
    (void)loop_tick(p.loop, NEVER_NS);
    assert_int_equal(p.events, before + 1);
    assert_false(tcp_is_quiet(p.a));
    close_pair(&p);
}

static void test_listener_in_use(void **state)
{
    (void)state;
    NetWorld w;
    net_world_open(&w);
    Listener *second;
    ListenOptions options = {.loop = w.loop, .addr = w.addr, .fn = net_world_accept, .ctx = &w};
    Err e;
    assert_int_equal(listener_open(&options, &second, &e), ERR_EXISTS);
    assert_non_null(strstr(e.text, "127.0.0.1:"));
    net_world_close(&w);
}

static void test_listeners_share_a_port(void **state)
{
    (void)state;
    NetWorld w;
    net_world_open(&w);
    ListenOptions options = {.loop = w.loop,
                             .addr = net_addr_loopback(0),
                             .reuse_port = true,
                             .fn = net_world_accept,
                             .ctx = &w};
    Listener *first;
    Listener *second;
    assert_int_equal(listener_open(&options, &first, NULL), 0);
    options.addr = listener_addr(first);
    assert_int_equal(listener_open(&options, &second, NULL), 0);
    listener_close(second);
    listener_close(first);
    net_world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_arrive_in_order),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_end_of_stream_stays),
        cmocka_unit_test(test_close_under_two_fibers),
        cmocka_unit_test(test_idle_stream_tells_about_bytes),
        cmocka_unit_test(test_listener_in_use),
        cmocka_unit_test(test_listeners_share_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
