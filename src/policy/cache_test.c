#include "policy/policy_test.h"

#include "base/rng.h"
#include "policy/cache.h"
#include "policy/flight.h"

enum { ROOM = 64 };

typedef struct Fixture {
    ParamValue p[POLICY_PARAM_COUNT];
    CacheState s;
    CacheEntry entries[ROOM];
} Fixture;

static void init(Fixture *f, int64_t entries, int64_t bytes)
{
    policy_defaults(f->p);
    f->p[P_CACHE_TTL] = whole(10 * S);
    f->p[P_CACHE_MAX_ENTRIES] = whole(entries);
    f->p[P_CACHE_MAX_BYTES] = whole(bytes);
    cache_init(&f->s, f->entries, ROOM);
}

static PolicyKey key(uint64_t n)
{
    return (PolicyKey){.high = n % 3, .low = n + 1};
}

static int32_t store(Fixture *f, uint64_t n, uint64_t bytes, int64_t now)
{
    return cache_store(&f->s, f->entries, f->p, key(n), bytes, 0, now);
}

static bool has(Fixture *f, uint64_t n, int64_t now)
{
    return cache_lookup(&f->s, f->entries, key(n), now) != CACHE_NONE;
}

static void test_ttl(void **state)
{
    (void)state;
    Fixture f;
    init(&f, 4, 1000);
    int32_t slot = store(&f, 1, 10, 0);
    assert_int_equal(cache_lookup(&f.s, f.entries, key(1), 10 * S - 1), slot);
    assert_false(has(&f, 1, 10 * S)); // expired, and its payload is to be dropped
    assert_int_equal(cache_next_evicted(&f.s, f.entries), slot);
    assert_int_equal(cache_next_evicted(&f.s, f.entries), CACHE_NONE);
    (void)cache_store(&f.s, f.entries, f.p, key(2), 10, 1 * S, 0); // a ttl of its own
    assert_true(has(&f, 2, 1 * S - 1));
    assert_false(has(&f, 2, 1 * S));
    assert_int_equal(f.s.count, 0);
    assert_int_equal(f.s.bytes, 0);
}

static void test_least_recently_used_goes(void **state)
{
    (void)state;
    Fixture f;
    init(&f, 3, 1000);
    int32_t one = store(&f, 1, 1, 0);
    (void)store(&f, 2, 1, 0);
    (void)store(&f, 3, 1, 0);
    assert_true(has(&f, 1, 0));
    int32_t two = store(&f, 4, 1, 0); // takes the slot of 2
    assert_false(has(&f, 2, 0));
    assert_true(has(&f, 1, 0) && has(&f, 3, 0) && has(&f, 4, 0));
    assert_int_not_equal(one, two);
    assert_int_equal(cache_next_evicted(&f.s, f.entries), CACHE_NONE); // reused at once
}

static void test_bytes(void **state)
{
    (void)state;
    Fixture f;
    init(&f, 10, 100);
    assert_int_equal(store(&f, 9, 101, 0), CACHE_NONE); // larger than all of it
    assert_true(store(&f, 0, 100, 0) >= 0);             // exactly all of it
    assert_true(store(&f, 1, 40, 0) >= 0);
    assert_true(store(&f, 2, 40, 0) >= 0);
    assert_true(store(&f, 3, 80, 0) >= 0); // 1 and 2 have to go
    assert_int_equal(f.s.bytes, 80);
    int evicted = 0;
    while (cache_next_evicted(&f.s, f.entries) != CACHE_NONE) {
        evicted++;
    }
    assert_int_equal(evicted, 3);
    assert_int_equal(store(&f, 3, 20, 0), cache_lookup(&f.s, f.entries, key(3), 0)); // replaced
    assert_int_equal(f.s.bytes, 20);
    cache_clear(&f.s, f.entries);
    assert_int_equal(f.s.count, 0);
    assert_false(cache_invalidate(&f.s, f.entries, key(3)));
}

// Against a plain list in order of use, with ceilings that change on the way.
static void test_against_a_list(void **state)
{
    (void)state;
    Fixture f;
    struct {
        uint64_t n, bytes;
        int64_t expires;
    } list[ROOM + 1];
    size_t count = 0;
    bool held[ROOM] = {false}; // payloads that the driver keeps
    Rng r = rng_stream(2, SLICE("cache"), 0);
    init(&f, 20, 400);
    for (int64_t now = 0; now < 30000; now++) {
        uint64_t n = rng_below(&r, 60);
        size_t at = 0;
        while (at < count && list[at].n != n) {
            at++;
        }
        if (rng_below(&r, 500) == 0) {
            f.p[P_CACHE_MAX_ENTRIES] = whole(rng_between(&r, 1, 40));
            f.p[P_CACHE_MAX_BYTES] = whole(rng_between(&r, 100, 800));
        }
        bool known = at < count && list[at].expires > now;
        int32_t slot = cache_lookup(&f.s, f.entries, key(n), now);
        assert_int_equal(slot != CACHE_NONE, known);
        uint64_t bytes = known ? list[at].bytes : rng_below(&r, 90);
        int64_t expires = known ? list[at].expires : now + 200;
        if (at < count) {
            memmove(&list[at], &list[at + 1], (count - at - 1) * sizeof list[0]);
            count--;
        }
        if (!known) {
            slot = cache_store(&f.s, f.entries, f.p, key(n), bytes, 200, now);
            assert_true(slot != CACHE_NONE);
            held[slot] = true;
        }
        list[count].n = n;
        list[count].bytes = bytes;
        list[count++].expires = expires;
        uint64_t sum = 0;
        for (size_t i = 0; i < count; i++) {
            sum += list[i].bytes;
        }
        while (!known && ((int64_t)count > f.p[P_CACHE_MAX_ENTRIES].integer ||
                          (int64_t)sum > f.p[P_CACHE_MAX_BYTES].integer)) {
            sum -= list[0].bytes;
            memmove(&list[0], &list[1], --count * sizeof list[0]);
        }
        for (int32_t gone; (gone = cache_next_evicted(&f.s, f.entries)) != CACHE_NONE;) {
            assert_true(held[gone]); // dropped once
            held[gone] = false;
        }
        assert_int_equal(f.s.count, count);
        assert_int_equal(f.s.bytes, sum);
    }
}

static void test_single_flight(void **state)
{
    (void)state;
    FlightEntry entries[5];
    FlightState s;
    FlightNews news;
    bool leads;
    flight_init(&s, entries, COUNT_OF(entries));
    int32_t leader = flight_join(&s, entries, key(1), 100, &leads);
    assert_true(leads);
    int32_t second = flight_join(&s, entries, key(1), 101, &leads);
    assert_false(leads);
    (void)flight_join(&s, entries, key(1), 102, &leads);
    (void)flight_join(&s, entries, key(2), 200, &leads);
    assert_true(leads);
    (void)flight_join(&s, entries, key(1), 103, &leads);
    assert_int_equal(flight_join(&s, entries, key(1), 104, &leads), FLIGHT_NONE); // full
    flight_leave(&s, entries, second);
    assert_false(flight_next(&s, entries, &news));
    flight_finish(&s, entries, leader, -7, 3);
    assert_true(flight_next(&s, entries, &news));
    assert_int_equal(news.waiter, 102);
    assert_int_equal(news.leader, 100);
    assert_int_equal(news.code, -7);
    assert_int_equal(news.slot, 3);
    assert_false(news.lead);
    assert_true(flight_next(&s, entries, &news));
    assert_int_equal(news.waiter, 103);
    assert_false(flight_next(&s, entries, &news));
    assert_int_equal(s.count, 1);
}

static void test_a_waiter_takes_over(void **state)
{
    (void)state;
    FlightEntry entries[8];
    FlightState s;
    FlightNews news;
    bool leads;
    flight_init(&s, entries, COUNT_OF(entries));
    int32_t leader = flight_join(&s, entries, key(1), 1, &leads);
    (void)flight_join(&s, entries, key(1), 2, &leads);
    (void)flight_join(&s, entries, key(1), 3, &leads);
    flight_abandon(&s, entries, leader);
    assert_true(flight_next(&s, entries, &news));
    assert_true(news.lead);
    assert_int_equal(news.waiter, 2);
    assert_false(flight_next(&s, entries, &news));
    (void)flight_join(&s, entries, key(1), 4, &leads); // follows the new leader
    assert_false(leads);
    flight_finish(&s, entries, news.slot, 0, CACHE_NONE);
    assert_true(flight_next(&s, entries, &news));
    assert_int_equal(news.waiter, 3);
    assert_true(flight_next(&s, entries, &news));
    assert_int_equal(news.waiter, 4);
    assert_false(flight_next(&s, entries, &news));
    assert_int_equal(s.count, 0);
}

// The last waiter leaves between the leader's end and the reading of the news.
static void test_nobody_left_to_tell(void **state)
{
    (void)state;
    FlightEntry entries[4];
    FlightState s;
    FlightNews news;
    bool leads;
    flight_init(&s, entries, COUNT_OF(entries));
    int32_t leader = flight_join(&s, entries, key(1), 1, &leads);
    int32_t waiter = flight_join(&s, entries, key(1), 2, &leads);
    flight_finish(&s, entries, leader, 0, CACHE_NONE);
    flight_leave(&s, entries, waiter);
    assert_false(flight_next(&s, entries, &news));
    assert_int_equal(s.count, 0);
    flight_abandon(&s, entries, flight_join(&s, entries, key(1), 1, &leads));
    assert_int_equal(s.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ttl),
        cmocka_unit_test(test_least_recently_used_goes),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_against_a_list),
        cmocka_unit_test(test_single_flight),
        cmocka_unit_test(test_a_waiter_takes_over),
        cmocka_unit_test(test_nobody_left_to_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
