// A world for tests of this room: a loop, fibers, and a server that says what a script tells it.
#ifndef NET_NET_TEST_H
#define NET_NET_TEST_H

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "net/http.h"
#include "os/fiber.h"

typedef struct NetWorld {
    Loop *loop;
    FiberPool *pool;
    Listener *listener;
    NetAddr addr; // of the listener
    // The next accepted connection is served by this.
    void (*serve)(struct NetWorld *w, TcpStream *peer);
    const void *script;
    int accepted;
    bool done;
} NetWorld;

typedef struct NetPeer {
    NetWorld *world;
    TcpStream *tcp;
} NetPeer;

static inline void net_world_serve(void *arg)
{
    NetPeer *peer = arg;
    peer->world->serve(peer->world, peer->tcp);
    free(peer);
}

static inline void net_world_accept(void *ctx, int fd, const NetAddr *addr)
{
    NetWorld *w = ctx;
    w->accepted++;
    NetPeer *peer = mem_zalloc(sizeof *peer);
    peer->world = w;
    assert_int_equal(tcp_from_fd(w->loop, fd, addr, &peer->tcp, NULL), 0);
    assert_non_null(fiber_spawn(w->pool, "peer", net_world_serve, peer));
}

static inline void net_world_open(NetWorld *w)
{
    *w = (NetWorld){0};
    assert_int_equal(loop_create(&(LoopOptions){0}, &w->loop, NULL), 0);
    w->pool = fiber_pool_create(w->loop, &(FiberOptions){0});
    ListenOptions options = {
        .loop = w->loop, .addr = net_addr_loopback(0), .fn = net_world_accept, .ctx = w};
    assert_int_equal(listener_open(&options, &w->listener, NULL), 0);
    w->addr = listener_addr(w->listener);
}

// Runs fn(arg) in a fiber until it has ended; then cancels what is left.
static inline void net_world_run(NetWorld *w, FiberFn *fn, void *arg)
{
    FiberGroup group = {0};
    assert_non_null(fiber_group_spawn(&group, w->pool, "test", fn, arg));
    while (group.alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
}

static inline void net_world_close(NetWorld *w)
{
    listener_close(w->listener);
    assert_int_equal(fiber_pool_drain(w->pool, NEVER_NS), 0);
    fiber_pool_destroy(w->pool);
    loop_destroy(w->loop);
}

#endif
