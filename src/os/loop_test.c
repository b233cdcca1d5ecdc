#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "os/loop.h"
#include "os/thread.h"

static Loop *make_loop(ManualClock *manual, bool auto_advance)
{
    Loop *loop = NULL;
    if (manual) {
        clock_manual_init(manual, 1000, 0);
    }
    assert_int_equal(
        loop_create(
            &(LoopOptions){.manual = manual, .auto_advance = auto_advance, .post_capacity = 4},
            &loop, NULL),
        0);
    return loop;
}

// ---- timers

typedef struct Alarm {
    LoopTimer timer;
    Loop *loop;
    int64_t fired_ns;
    int fired;
    int64_t again_ns;
} Alarm;

static void on_alarm(LoopTimer *timer)
{
    Alarm *a = CONTAINER_OF(timer, Alarm, timer);
    a->fired++;
    a->fired_ns = loop_now(a->loop);
    if (a->again_ns != 0) {
        loop_timer_set(a->loop, timer, a->again_ns);
    }
}

static void test_timers_fire_in_order_of_time(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    ManualClock manual;
    Loop *loop = make_loop(&manual, true);
    Alarm *alarms = mem_zalloc(COUNT * sizeof *alarms);
    uint32_t x = 12345;
    for (int i = 0; i < COUNT; i++) {
        alarms[i].loop = loop;
        loop_timer_init(&alarms[i].timer, on_alarm);
        x = x * 1664525 + 1013904223;
        loop_timer_set(loop, &alarms[i].timer, 2000 + x % 5000);
    }
    // Some move later, some earlier, some away.
    int64_t *due_ns = mem_zalloc(COUNT * sizeof *due_ns);
    for (int i = 0; i < COUNT; i++) {
        due_ns[i] = alarms[i].timer.due_ns;
        if (i % 5 == 1) {
            due_ns[i] += 3000;
            loop_timer_set(loop, &alarms[i].timer, due_ns[i]);
        } else if (i % 5 == 2) {
            due_ns[i] -= 500;
            loop_timer_set(loop, &alarms[i].timer, due_ns[i]);
        } else if (i % 5 == 3) {
            loop_timer_cancel(loop, &alarms[i].timer);
        } else if (i % 5 == 4) {
            loop_timer_disarm(&alarms[i].timer);
        }
    }
    while (loop_timer_next(loop) != NEVER_NS) {
        (void)loop_tick(loop, 0);
    }
    for (int i = 0; i < COUNT; i++) {
        bool runs = i % 5 < 3;
        assert_int_equal(alarms[i].fired, runs);
        assert_true(!runs || alarms[i].fired_ns == due_ns[i]);
    }
    free(due_ns);
    free(alarms);
    loop_destroy(loop);
}

static void test_timer_moves_cheaply_and_never_fires_early(void **state)
{
    (void)state;
    ManualClock manual;
    Loop *loop = make_loop(&manual, false);
    Alarm a = {.loop = loop};
    loop_timer_init(&a.timer, on_alarm);
    loop_timer_set(loop, &a.timer, 2000);
    loop_timer_set(loop, &a.timer, 5000);
    assert_true(loop_timer_next(loop) == 2000); // the old place, put right when it comes up
    clock_manual_advance(&manual, 3999);
    assert_false(loop_tick(loop, 0));
    assert_true(loop_timer_next(loop) == 5000);
    assert_int_equal(a.fired, 0);
    clock_manual_advance(&manual, 1);
    assert_true(loop_tick(loop, 0));
    assert_int_equal(a.fired, 1);
    assert_false(loop_timer_is_set(&a.timer));
    loop_destroy(loop);
}

static void test_timer_in_the_past_does_not_hold_the_loop(void **state)
{
    (void)state;
    ManualClock manual;
    Loop *loop = make_loop(&manual, false);
    Alarm a = {.loop = loop, .again_ns = 1};
    loop_timer_init(&a.timer, on_alarm);
    loop_timer_set(loop, &a.timer, 1);
    (void)loop_tick(loop, 0);
    (void)loop_tick(loop, 0);
    assert_int_equal(a.fired, 2);
    loop_timer_cancel(loop, &a.timer);
    loop_destroy(loop);
}

static void test_auto_advance_simulates_a_day(void **state)
{
    (void)state;
    ManualClock manual;
    Loop *loop = make_loop(&manual, true);
    Alarm a = {.loop = loop};
    loop_timer_init(&a.timer, on_alarm);
    for (int minute = 1; minute <= 24 * 60; minute++) {
        loop_timer_set(loop, &a.timer, manual.now_ns + 60 * NS_PER_S);
        while (a.fired < minute) {
            (void)loop_tick(loop, NEVER_NS);
        }
    }
    assert_true(manual.now_ns == 1000 + 24 * 3600 * NS_PER_S);
    loop_destroy(loop);
}

static void test_real_timer_is_not_early(void **state)
{
    (void)state;
    for (int spin = 0; spin < 2; spin++) {
        Loop *loop;
        assert_int_equal(
            loop_create(&(LoopOptions){.spin_ns = spin * 200 * NS_PER_US}, &loop, NULL), 0);
        Alarm a = {.loop = loop};
        loop_timer_init(&a.timer, on_alarm);
        int64_t due_ns = loop_clock(loop) + 300 * NS_PER_US;
        loop_timer_set(loop, &a.timer, due_ns);
        while (a.fired == 0) {
            (void)loop_tick(loop, NEVER_NS);
        }
        assert_true(a.fired_ns >= due_ns);
        loop_destroy(loop);
    }
}

// ---- file descriptors

typedef struct End {
    LoopIo io;
    Loop *loop;
    unsigned events;
    int calls;
    struct End *victim;
} End;

static void on_end(LoopIo *io, unsigned events)
{
    End *end = CONTAINER_OF(io, End, io);
    end->events = events;
    end->calls++;
    if (end->victim) {
        loop_io_remove(end->loop, &end->victim->io);
    }
}

static void make_ends(Loop *loop, int fds[2], End ends[2], unsigned events)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        ends[i] = (End){.loop = loop};
        loop_io_init(&ends[i].io, on_end);
        assert_int_equal(loop_io_add(loop, &ends[i].io, fds[i], events, NULL), 0);
    }
}

static void drop_ends(Loop *loop, const int fds[2], End ends[2])
{
    for (int i = 0; i < 2; i++) {
        loop_io_remove(loop, &ends[i].io);
        loop_io_remove(loop, &ends[i].io); // twice is fine
        (void)close(fds[i]);
    }
}

static void test_io_level_and_change(void **state)
{
    (void)state;
    Loop *loop = make_loop(NULL, false);
    int fds[2];
    End ends[2];
    make_ends(loop, fds, ends, LOOP_READ);
    assert_int_equal(write(fds[0], "x", 1), 1);
    assert_true(loop_tick(loop, NEVER_NS));
    assert_true(loop_tick(loop, NEVER_NS)); // level: still there
    assert_int_equal(ends[1].calls, 2);
    assert_int_equal(ends[1].events, LOOP_READ);
    assert_int_equal(loop_io_change(loop, &ends[1].io, LOOP_WRITE, NULL), 0);
    assert_true(loop_tick(loop, NEVER_NS));
    assert_int_equal(ends[1].events, LOOP_WRITE);
    drop_ends(loop, fds, ends);
    loop_destroy(loop);
}

static void test_io_edge_reports_once_and_hangup(void **state)
{
    (void)state;
    Loop *loop = make_loop(NULL, false);
    int fds[2];
    End ends[2];
    make_ends(loop, fds, ends, LOOP_READ | LOOP_EDGE);
    assert_int_equal(write(fds[0], "x", 1), 1);
    assert_true(loop_tick(loop, NEVER_NS));
    assert_false(loop_tick(loop, 0));
    assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
    assert_true(loop_tick(loop, NEVER_NS));
    assert_int_equal(ends[1].events, LOOP_READ | LOOP_HANGUP);
    drop_ends(loop, fds, ends);
    loop_destroy(loop);
}

static void test_io_removed_in_the_same_round_is_not_called(void **state)
{
    (void)state;
    Loop *loop = make_loop(NULL, false);
    int fds[2];
    End ends[2];
    make_ends(loop, fds, ends, LOOP_READ);
    ends[0].victim = &ends[1];
    ends[1].victim = &ends[0];
    assert_int_equal(write(fds[0], "x", 1), 1);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_true(loop_tick(loop, NEVER_NS));
    assert_int_equal(ends[0].calls + ends[1].calls, 1);
    drop_ends(loop, fds, ends);
    loop_destroy(loop);
}

static void test_io_refuses_a_bad_descriptor(void **state)
{
    (void)state;
    Loop *loop = make_loop(NULL, false);
    LoopIo io;
    loop_io_init(&io, on_end);
    Err e;
    assert_int_equal(loop_io_add(loop, &io, 1 << 20, LOOP_READ, &e), ERR_IO);
    assert_int_equal(io.fd, -1);
    loop_destroy(loop);
}

// ---- deferred and posted work

typedef struct Step {
    LoopDefer defer;
    Loop *loop;
    char name;
    char *out;
    struct Step *also;
    struct Step *cancels;
} Step;

static void on_step(LoopDefer *defer)
{
    Step *s = CONTAINER_OF(defer, Step, defer);
    *s->out++ = s->name;
    if (s->also) {
        s->also->out = s->out;
        loop_defer(s->loop, &s->also->defer);
    }
    if (s->cancels) {
        loop_defer_cancel(s->loop, &s->cancels->defer);
    }
}

static void test_deferred_work(void **state)
{
    (void)state;
    Loop *loop = make_loop(NULL, false);
    char out[8] = "";
    Step a = {.loop = loop, .name = 'a', .out = out};
    Step c = {.loop = loop, .name = 'c', .out = out};
    Step b = {.loop = loop, .name = 'b', .out = out + 1, .also = &a, .cancels = &c};
    loop_defer_init(&a.defer, on_step);
    loop_defer_init(&b.defer, on_step);
    loop_defer_init(&c.defer, on_step);
    loop_defer(loop, &a.defer);
    loop_defer(loop, &b.defer);
    loop_defer(loop, &b.defer); // once is enough
    loop_defer(loop, &c.defer);
    assert_true(loop_tick(loop, NEVER_NS));
    assert_string_equal(out, "ab"); // a again only in the next round, c never
    assert_true(loop_tick(loop, NEVER_NS));
    assert_string_equal(out, "aba");
    assert_false(loop_tick(loop, 0));
    loop_defer_cancel(loop, &a.defer); // not queued: nothing happens
    loop_destroy(loop);
}

static void on_count(void *arg)
{
    ++*(int *)arg;
}

static void test_post_is_bounded(void **state)
{
    (void)state;
    Loop *loop = make_loop(NULL, false); // four places
    int count = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(loop_post(loop, on_count, &count), 0);
    }
    assert_int_equal(loop_post(loop, on_count, &count), ERR_FULL);
    assert_true(loop_tick(loop, 0));
    assert_int_equal(count, 4);
    assert_int_equal(loop_post(loop, on_count, &count), 0);
    (void)loop_tick(loop, 0);
    assert_int_equal(count, 5);
    loop_destroy(loop);
}

enum { POSTS = 20000, POSTERS = 3 };

typedef struct Poster {
    Loop *loop;
    int *count;
} Poster;

static void on_total(void *arg)
{
    Poster *p = arg;
    if (++*p->count == POSTS * POSTERS) {
        loop_stop(p->loop);
    }
}

static void post_many(void *arg)
{
    Poster *p = arg;
    for (int i = 0; i < POSTS;) {
        if (loop_post(p->loop, on_total, p) == 0) {
            i++;
        }
    }
}

static void test_post_from_threads_loses_nothing(void **state)
{
    (void)state;
    Loop *loop;
    assert_int_equal(loop_create(&(LoopOptions){0}, &loop, NULL), 0);
    int count = 0;
    Poster poster = {loop, &count};
    Thread *threads[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        assert_int_equal(
            thread_start("poster", THREAD_ANY_CPU, post_many, &poster, &threads[i], NULL), 0);
    }
    loop_run(loop);
    assert_int_equal(count, POSTS * POSTERS);
    for (int i = 0; i < POSTERS; i++) {
        thread_join(threads[i]);
    }
    loop_destroy(loop);
}

static void run_loop(void *arg)
{
    loop_run(arg);
}

static void test_stop_wakes_a_sleeping_loop(void **state)
{
    (void)state;
    Loop *loop = make_loop(NULL, false);
    Thread *thread;
    assert_int_equal(thread_start("sleeper", THREAD_ANY_CPU, run_loop, loop, &thread, NULL), 0);
    loop_stop(loop);
    thread_join(thread);
    loop_destroy(loop);
}

static void test_thread_pinning_refuses_unknown_cpu(void **state)
{
    (void)state;
    Thread *thread;
    assert_int_equal(thread_start("x", 1023, run_loop, NULL, &thread, NULL), ERR_ARG);
    assert_int_equal(thread_start("x", 1 << 20, run_loop, NULL, &thread, NULL), ERR_ARG);
    assert_int_equal(thread_pin_self(-1, NULL), ERR_ARG);
    assert_true(thread_cpu_count() >= 1);
    assert_true(thread_cpu_at(0) >= 0);
    assert_int_equal(thread_cpu_at((unsigned)thread_cpu_count()), thread_cpu_at(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_fire_in_order_of_time),
        cmocka_unit_test(test_timer_moves_cheaply_and_never_fires_early),
        cmocka_unit_test(test_timer_in_the_past_does_not_hold_the_loop),
        cmocka_unit_test(test_auto_advance_simulates_a_day),
        cmocka_unit_test(test_real_timer_is_not_early),
        cmocka_unit_test(test_io_level_and_change),
        cmocka_unit_test(test_io_edge_reports_once_and_hangup),
        cmocka_unit_test(test_io_removed_in_the_same_round_is_not_called),
        cmocka_unit_test(test_io_refuses_a_bad_descriptor),
        cmocka_unit_test(test_deferred_work),
        cmocka_unit_test(test_post_is_bounded),
        cmocka_unit_test(test_post_from_threads_loses_nothing),
        cmocka_unit_test(test_stop_wakes_a_sleeping_loop),
        cmocka_unit_test(test_thread_pinning_refuses_unknown_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
