#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>

#include "os/mpsc.h"
#include "os/thread.h"

typedef struct Item {
    int producer;
    int number;
    char padding[11]; // an odd size
} Item;

static void test_order_and_capacity(void **state)
{
    (void)state;
    Mpsc *q = mpsc_create(5, sizeof(Item));
    assert_int_equal(mpsc_capacity(q), 8);
    Item item = {0};
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 8; i++) {
            item.number = round * 8 + i;
            assert_true(mpsc_push(q, &item));
        }
        assert_false(mpsc_push(q, &item));
        for (int i = 0; i < 8; i++) {
            assert_true(mpsc_pop(q, &item));
            assert_int_equal(item.number, round * 8 + i);
        }
        assert_false(mpsc_pop(q, &item));
    }
    mpsc_destroy(q);
    mpsc_destroy(NULL);
}

enum { PRODUCERS = 3, ITEMS = 50000 };

typedef struct Producer {
    Mpsc *queue;
    Waker *waker;
    int number;
} Producer;

static void produce(void *arg)
{
    const Producer *p = arg;
    for (int i = 0; i < ITEMS;) {
        if (mpsc_push(p->queue, &(Item){.producer = p->number, .number = i})) {
            waker_notify(p->waker);
            i++;
        }
    }
}

// The consumer sleeps whenever the queue is empty: a lost wake-up would stop it for ever. Items of
// one producer arrive in its order.
static void test_threads(void **state)
{
    (void)state;
    Waker waker;
    assert_int_equal(waker_init(&waker, NULL), 0);
    Mpsc *q = mpsc_create(64, sizeof(Item));
    Producer producers[PRODUCERS];
    Thread *threads[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i] = (Producer){q, &waker, i};
        assert_int_equal(
            thread_start("producer", THREAD_ANY_CPU, produce, &producers[i], &threads[i], NULL), 0);
    }
    int next[PRODUCERS] = {0};
    for (int total = 0; total < PRODUCERS * ITEMS;) {
        Item item;
        if (!mpsc_pop(q, &item)) {
            waker_announce_sleep(&waker);
            if (!mpsc_pop(q, &item)) {
                struct pollfd pfd = {.fd = waker.fd, .events = POLLIN};
                assert_int_equal(poll(&pfd, 1, -1), 1);
                waker_drain(&waker);
                continue;
            }
            waker_awake(&waker);
        }
        assert_int_equal(item.number, next[item.producer]++);
        total++;
    }
    for (int i = 0; i < PRODUCERS; i++) {
        thread_join(threads[i]);
    }
    mpsc_destroy(q);
    waker_done(&waker);
}

static void test_flag(void **state)
{
    (void)state;
    Flag flag = {0};
    assert_false(flag_is_set(&flag));
    flag_set(&flag);
    assert_true(flag_is_set(&flag));
    flag_clear(&flag);
    assert_false(flag_is_set(&flag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_capacity),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_flag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
