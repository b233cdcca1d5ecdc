#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <netdb.h>
#include <semaphore.h>

#include "net/resolver.h"
#include "os/fiber.h"

typedef struct World {
    Loop *loop;
    FiberPool *pool;
    JobPool *jobs;
    Resolver *resolver;
    int answers; // of the stand-in for getaddrinfo
    int failure;
    const char *name;
    size_t rounds;
    NetAddr got[8];
    size_t got_count;
    int rc;
    int alive;
    int64_t wait_ns; // 0: for ever
    sem_t *hold;     // the stand-in waits for it
} World;

// Two IPv6 addresses, then two IPv4 ones, in the order a system might give them.
static int lookup(void *ctx, const char *name, NetAddr *addrs, size_t max, size_t *ret_count)
{
    World *w = ctx;
    (void)name;
    if (w->hold) {
        (void)sem_wait(w->hold);
    }
    if (w->failure != 0) {
        return w->failure;
    }
    static const char *const texts[] = {"::1", "2001:db8::1", "127.0.0.1", "192.0.2.7"};
    size_t count = (size_t)w->answers < max ? (size_t)w->answers : max;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(net_addr_parse(slice_from_cstr(texts[i]), 0, &addrs[i], NULL), 0);
    }
    *ret_count = count;
    return 0;
}

static void ask(void *arg)
{
    World *w = arg;
    NetResolver seam = resolver_seam(w->resolver);
    for (size_t i = 0; i < w->rounds; i++) {
        int64_t deadline_ns =
            w->wait_ns ? clock_deadline(loop_clock(w->loop), w->wait_ns) : NEVER_NS;
        w->rc = seam.resolve(seam.ctx, slice_from_cstr(w->name), 8080, deadline_ns, w->got, 8,
                             &w->got_count, NULL);
    }
    if (--w->alive == 0) {
        loop_stop(w->loop);
    }
}

static void run(World *w, ResolverOptions options, int fibers)
{
    Err e = {0};
    assert_int_equal(loop_create(&(LoopOptions){0}, &w->loop, &e), 0);
    assert_int_equal(
        jobs_create(&(JobOptions){.name = "dns", .threads = 1, .queue_max = 64}, &w->jobs, &e), 0);
    w->pool = fiber_pool_create(w->loop, NULL);
    options.loop = w->loop;
    options.jobs = w->jobs;
    options.lookup = options.lookup_ctx ? lookup : NULL;
    assert_int_equal(resolver_create(&options, &w->resolver, &e), 0);
    w->alive = fibers;
    w->rounds = w->rounds ? w->rounds : 1;
    for (int i = 0; i < fibers; i++) {
        assert_non_null(fiber_spawn(w->pool, "ask", ask, w));
    }
    loop_run(w->loop);
    assert_int_equal(fiber_pool_drain(w->pool, NEVER_NS), 0);
}

static void done(World *w)
{
    resolver_destroy(w->resolver);
    jobs_drain(w->jobs, w->loop);
    jobs_destroy(w->jobs);
    fiber_pool_destroy(w->pool);
    loop_destroy(w->loop);
}

static void assert_host(const NetAddr *addr, const char *host)
{
    char text[NET_ADDR_TEXT_MAX];
    net_addr_host(addr, text);
    assert_string_equal(text, host);
    assert_int_equal(net_addr_port(addr), 8080);
}

static void test_one_lookup_serves_all_who_ask(void **state)
{
    (void)state;
    World w = {.answers = 4, .name = "a.test", .rounds = 3};
    run(&w, (ResolverOptions){.lookup_ctx = &w, .select = RESOLVER_FIRST}, 20);
    assert_int_equal(w.rc, 0);
    assert_int_equal(resolver_lookups(w.resolver), 1);
    assert_int_equal(w.got_count, 4);
    assert_host(&w.got[0], "127.0.0.1"); // IPv4 is preferred, the rest follows
    assert_host(&w.got[1], "192.0.2.7");
    assert_host(&w.got[2], "::1");
    done(&w);
}

static void test_policy_and_selection(void **state)
{
    (void)state;
    static const struct {
        ResolverPolicy policy;
        ResolverSelect select;
        size_t rounds;
        const char *first;
    } cases[] = {
        {RESOLVER_PREFER_IPV6, RESOLVER_FIRST, 1, "::1"},
        {RESOLVER_ANY, RESOLVER_FIRST, 1, "::1"},
        {RESOLVER_PREFER_IPV4, RESOLVER_ROUND_ROBIN, 2, "192.0.2.7"},
        {RESOLVER_PREFER_IPV4, RESOLVER_ROUND_ROBIN, 3, "127.0.0.1"},
        {RESOLVER_PREFER_IPV6, RESOLVER_ROUND_ROBIN, 2, "2001:db8::1"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        World w = {.answers = 4, .name = "a.test", .rounds = cases[i].rounds};
        run(&w,
            (ResolverOptions){
                .lookup_ctx = &w, .policy = cases[i].policy, .select = cases[i].select},
            1);
        assert_host(&w.got[0], cases[i].first);
        done(&w);
    }
}

static void test_nothing_kept_means_every_question_is_asked(void **state)
{
    (void)state;
    World w = {.answers = 4, .name = "a.test", .rounds = 3};
    run(&w, (ResolverOptions){.lookup_ctx = &w, .ttl_ns = -1}, 1);
    assert_int_equal(resolver_lookups(w.resolver), 3);
    done(&w);
}

static void test_failures(void **state)
{
    (void)state;
    static const struct {
        int failure;
        int rc;
    } cases[] = {{EAI_NONAME, ERR_NOT_FOUND}, {EAI_AGAIN, ERR_DNS}, {EAI_FAIL, ERR_DNS}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        World w = {.failure = cases[i].failure, .name = "a.test", .rounds = 5};
        run(&w, (ResolverOptions){.lookup_ctx = &w}, 1);
        assert_int_equal(w.rc, cases[i].rc);
        assert_int_equal(resolver_lookups(w.resolver), 1); // the refusal is remembered for a moment
        done(&w);
    }
}

static void test_fixed_hosts_and_bad_names(void **state)
{
    (void)state;
    ResolverHost hosts[1] = {{.name = SLICE("Api.Test"), .addr = net_addr_loopback(0)}};
    World w = {.name = "api.test"};
    run(&w, (ResolverOptions){.lookup_ctx = &w, .hosts = hosts, .host_count = 1}, 1);
    assert_int_equal(w.rc, 0);
    assert_host(&w.got[0], "127.0.0.1");
    assert_int_equal(resolver_lookups(w.resolver), 0);
    done(&w);

    char longest[300];
    memset(longest, 'a', sizeof longest);
    longest[254] = '\0';
    World bad = {.name = longest, .answers = 1};
    run(&bad, (ResolverOptions){.lookup_ctx = &bad}, 1);
    assert_int_equal(bad.rc, ERR_NOT_FOUND);
    done(&bad);
    longest[253] = '\0';
    World edge = {.name = longest, .answers = 1};
    run(&edge, (ResolverOptions){.lookup_ctx = &edge}, 1);
    assert_int_equal(edge.rc, 0);
    done(&edge);
}

static void test_endings_and_blocked_names(void **state)
{
    (void)state;
    const Slice blocked[] = {SLICE_INIT("bad.test"), SLICE_INIT("*.evil.test")};
    NetAddr other;
    assert_int_equal(net_addr_parse(SLICE("192.0.2.1"), 0, &other, NULL), 0);
    const ResolverHost hosts[] = {{SLICE_INIT("*.shop.test"), net_addr_loopback(0)},
                                  {SLICE_INIT("a.shop.test"), other}};
    static const struct {
        const char *name;
        int rc;
        const char *first;
    } names[] = {
        {"bad.test", ERR_REFUSED, NULL},    {"BAD.test", ERR_REFUSED, NULL},
        {"x.Evil.test", ERR_REFUSED, NULL}, {"evil.test", 0, "127.0.0.1"},
        {".evil.test", 0, "127.0.0.1"},     {"notbad.test", 0, "127.0.0.1"},
        {"b.shop.test", 0, "127.0.0.1"},    {"a.shop.test", 0, "192.0.2.1"},
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        World w = {.name = names[i].name, .answers = 4};
        ResolverOptions options = {.lookup_ctx = &w,
                                   .select = RESOLVER_FIRST,
                                   .hosts = hosts,
                                   .host_count = COUNT_OF(hosts),
                                   .blocked = blocked,
                                   .blocked_count = COUNT_OF(blocked)};
        run(&w, options, 1);
        assert_int_equal(w.rc, names[i].rc);
        if (names[i].first) {
            assert_host(&w.got[0], names[i].first);
        }
        done(&w);
    }
}

// A lookup that takes longer than the request has: the request ends in time, the job later.
static void test_deadline(void **state)
{
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        sem_t hold;
        assert_int_equal(sem_init(&hold, 0, 0), 0);
        World w = {.name = "slow.test", .answers = 1, .wait_ns = NS_PER_MS, .hold = &hold};
        run(&w, (ResolverOptions){.lookup_ctx = &w, .ttl_ns = kept ? 0 : -1}, 2);
        assert_int_equal(w.rc, ERR_TIMEOUT);
        assert_int_equal(resolver_lookups(w.resolver), kept ? 1 : 2);
        resolver_destroy(w.resolver);
        w.resolver = NULL;
        assert_int_equal(sem_post(&hold), 0);
        assert_int_equal(sem_post(&hold), 0);
        done(&w);
        assert_int_equal(sem_destroy(&hold), 0);
    }
}

// RFC 6761 sections 6.3 and 6.4: localhost is loopback, .invalid never exists.
static void test_the_real_lookup(void **state)
{
    (void)state;
    World w = {.name = "localhost"};
    run(&w, (ResolverOptions){0}, 1);
    assert_int_equal(w.rc, 0);
    assert_true(net_addr_is_loopback(&w.got[0]));
    done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_lookup_serves_all_who_ask),
        cmocka_unit_test(test_policy_and_selection),
        cmocka_unit_test(test_nothing_kept_means_every_question_is_asked),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_fixed_hosts_and_bad_names),
        cmocka_unit_test(test_endings_and_blocked_names),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_the_real_lookup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
