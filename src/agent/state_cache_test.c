#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/state_cache.h"
#include "os/thread.h"

static void put(StateCache *cache, const char *session, int64_t now_ns, int64_t value)
{
    State s = state_create();
    assert_int_equal(state_set_int(&s, SLICE("n"), value), 0);
    state_cache_store(cache, slice_from_cstr(session), now_ns, &s);
    state_done(&s);
}

// -1: nothing is kept.
static int64_t get(StateCache *cache, const char *session, int64_t now_ns)
{
    State s = state_create();
    bool found = state_cache_load(cache, slice_from_cstr(session), now_ns, &s);
    int64_t value = found ? state_get_int(&s, SLICE("n"), -2) : -1;
    state_done(&s);
    return value;
}

static void test_least_recently_used_goes_first(void **state)
{
    (void)state;
    StateCache *cache = state_cache_create(&(StateCacheOptions){2, 1000});
    put(cache, "a", 1, 1);
    put(cache, "b", 2, 2);
    assert_int_equal(get(cache, "a", 3), 1); // now b is the oldest
    put(cache, "c", 4, 3);
    assert_int_equal(get(cache, "b", 5), -1);
    assert_int_equal(get(cache, "a", 6), 1);
    assert_int_equal(get(cache, "c", 7), 3);
    StateCacheStats stats = state_cache_stats(cache);
    assert_int_equal(stats.sessions, 2);
    assert_int_equal(stats.evicted, 1);
    assert_int_equal(stats.hits, 3);
    assert_int_equal(stats.misses, 1);
    state_cache_destroy(cache);
}

static void test_quiet_sessions_are_forgotten(void **state)
{
    (void)state;
    StateCache *cache = state_cache_create(&(StateCacheOptions){10, 1000});
    put(cache, "a", 0, 1);
    assert_int_equal(get(cache, "a", 999), 1); // the edge, and a use
    assert_int_equal(get(cache, "a", 1998), 1);
    assert_int_equal(get(cache, "a", 2998), -1);
    assert_int_equal(state_cache_stats(cache).expired, 1);
    state_cache_destroy(cache);
}

static void test_the_callers_values_win(void **state)
{
    (void)state;
    StateCache *cache = state_cache_create(&(StateCacheOptions){10, 1000});
    State s = state_create();
    assert_int_equal(state_set_int(&s, SLICE("n"), 1), 0);
    assert_int_equal(state_set_int(&s, SLICE("kept"), 2), 0);
    state_cache_store(cache, SLICE("a"), 0, &s);
    state_done(&s);
    assert_int_equal(state_set_int(&s, SLICE("n"), 7), 0);
    assert_true(state_cache_load(cache, SLICE("a"), 1, &s));
    assert_int_equal(state_get_int(&s, SLICE("n"), 0), 7);
    assert_int_equal(state_get_int(&s, SLICE("kept"), 0), 2);
    state_done(&s);
    assert_true(state_cache_forget(cache, SLICE("a")));
    assert_false(state_cache_forget(cache, SLICE("a")));
    put(cache, "b", 1, 1);
    assert_int_equal(state_cache_clear(cache), 1);
    state_cache_destroy(cache);
}

enum { SESSIONS = 5000, THREADS = 4 };

static void hammer(void *arg)
{
    StateCache *cache = arg;
    for (int i = 0; i < SESSIONS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "s%d", i % 1500);
        put(cache, name, i, i);
        (void)get(cache, name, i);
    }
}

// Many stripes, several threads: never more than the ceiling.
static void test_threads(void **state)
{
    (void)state;
    StateCache *cache = state_cache_create(&(StateCacheOptions){1024, INT64_MAX});
    Thread *threads[THREADS];
    Err e;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(thread_start("hammer", THREAD_ANY_CPU, hammer, cache, &threads[i], &e), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        thread_join(threads[i]);
    }
    assert_true(state_cache_stats(cache).sessions <= 1024);
    state_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_recently_used_goes_first),
        cmocka_unit_test(test_quiet_sessions_are_forgotten),
        cmocka_unit_test(test_the_callers_values_win),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
