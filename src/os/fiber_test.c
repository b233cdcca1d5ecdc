#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "os/fiber.h"

typedef struct World {
    ManualClock manual;
    Loop *loop;
    FiberPool *pool;
    Buf trace;
    Fiber *fibers[4];
    FiberQueue queue;
    int codes[4];
} World;

static int setup_with(void **state, FiberOptions options)
{
    World *w = mem_zalloc(sizeof *w);
    w->trace = buf_create(1 << 20);
    clock_manual_init(&w->manual, 0, 0);
    if (loop_create(&(LoopOptions){.manual = &w->manual, .auto_advance = true}, &w->loop, NULL)) {
        return -1;
    }
    w->pool = fiber_pool_create(w->loop, &options);
    *state = w;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, (FiberOptions){0});
}

static int setup_small(void **state)
{
    return setup_with(state, (FiberOptions){.fibers_max = 40, .guarded_max = 10, .cached_max = 5});
}

static int teardown(void **state)
{
    World *w = *state;
    fiber_pool_destroy(w->pool);
    loop_destroy(w->loop);
    buf_done(&w->trace);
    free(w);
    return 0;
}

static void run_until_idle(World *w)
{
    while (fiber_pool_stats(w->pool).alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
}

// ---- running, sleeping, waking

typedef struct Walker {
    World *w;
    char name;
    int64_t step_ns;
} Walker;

static void walk(void *arg)
{
    Walker *k = arg;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fiber_sleep(k->step_ns), 0);
        buf_printf(&k->w->trace, "%c%d ", k->name, (int)loop_now(k->w->loop));
    }
}

static void test_sleepers_interleave_by_time(void **state)
{
    World *w = *state;
    Walker a = {w, 'a', 100};
    Walker b = {w, 'b', 130};
    assert_non_null(fiber_spawn(w->pool, "a", walk, &a));
    assert_non_null(fiber_spawn(w->pool, "b", walk, &b));
    run_until_idle(w);
    assert_string_equal(w->trace.data, "a100 b130 a200 b260 a300 b390 ");
}

// Values in callee-saved and floating-point registers survive a switch.
static void compute(void *arg)
{
    double *result = arg;
    double sum = 0;
    uint64_t products = 1;
    for (int i = 1; i <= 20; i++) {
        sum += sqrt(i);
        products = products * 31 + (uint64_t)i;
        assert_int_equal(fiber_yield(), 0);
    }
    *result = sum + (double)(products % 1000);
}

static void test_registers_survive(void **state)
{
    World *w = *state;
    double results[8];
    for (size_t i = 0; i < COUNT_OF(results); i++) {
        assert_non_null(fiber_spawn(w->pool, "compute", compute, &results[i]));
    }
    run_until_idle(w);
    for (size_t i = 1; i < COUNT_OF(results); i++) {
        assert_true(results[i] == results[0]);
    }
}

static void park_for_code(void *arg)
{
    World *w = arg;
    w->codes[0] = fiber_park("code", loop_now(w->loop) + 50);
    w->codes[1] = fiber_park("time", loop_now(w->loop) + 50);
    w->codes[2] = fiber_park("cancel", NEVER_NS);
    w->codes[3] = fiber_park("cancel again", NEVER_NS);
}

static void test_park_returns_what_woke_it(void **state)
{
    World *w = *state;
    Fiber *f = fiber_spawn(w->pool, "parker", park_for_code, w);
    assert_non_null(f);
    assert_int_equal(fiber_state(f), FIBER_READY);
    (void)loop_tick(w->loop, 0);
    assert_int_equal(fiber_state(f), FIBER_PARKED);
    assert_string_equal(fiber_waits_for(f), "code");
    fiber_resume_with(f, 7);
    fiber_resume_with(f, 8); // the first wins
    while (strcmp(fiber_waits_for(f), "cancel") != 0) {
        (void)loop_tick(w->loop, 0);
    }
    assert_int_equal(w->codes[0], 7);
    assert_int_equal(w->codes[1], ERR_TIMEOUT);
    fiber_cancel(f);
    run_until_idle(w);
    assert_int_equal(w->codes[2], ERR_CANCELLED);
    assert_int_equal(w->codes[3], ERR_CANCELLED);
}

static void say_goodbye(void *arg)
{
    World *w = arg;
    w->codes[0] = fiber_sleep(NS_PER_S);
    assert_true(fiber_is_cancelled());
    w->codes[1] = fiber_yield();
    fiber_clear_cancel();
    w->codes[2] = fiber_sleep(10);
    w->codes[3] = fiber_yield();
}

static void test_cancelled_fiber_may_clean_up(void **state)
{
    World *w = *state;
    Fiber *f = fiber_spawn(w->pool, "goodbye", say_goodbye, w);
    (void)loop_tick(w->loop, 0);
    fiber_cancel(f);
    run_until_idle(w);
    assert_int_equal(w->codes[0], ERR_CANCELLED);
    assert_int_equal(w->codes[1], ERR_CANCELLED);
    assert_int_equal(w->codes[2], 0);
    assert_int_equal(w->codes[3], 0);
}

static void test_cancel_before_the_first_run(void **state)
{
    World *w = *state;
    Fiber *f = fiber_spawn(w->pool, "early", park_for_code, w);
    fiber_cancel(f);
    run_until_idle(w);
    for (size_t i = 0; i < COUNT_OF(w->codes); i++) {
        assert_int_equal(w->codes[i], ERR_CANCELLED);
    }
}

static void wait_forever(void *arg)
{
    World *w = arg;
    w->codes[0] += fiber_park("forever", NEVER_NS) == ERR_CANCELLED;
}

static void refuse_to_go(void *arg)
{
    World *w = arg;
    while (w->codes[1] == 0) {
        fiber_clear_cancel();
        int rc = fiber_sleep(100);
        (void)rc;
    }
}

static void test_drain_cancels_all_and_names_stragglers(void **state)
{
    World *w = *state;
    for (int i = 0; i < 100; i++) {
        assert_non_null(fiber_spawn(w->pool, "waiter", wait_forever, w));
    }
    assert_non_null(fiber_spawn(w->pool, "straggler", refuse_to_go, w));
    (void)loop_tick(w->loop, 0);
    assert_int_equal(fiber_pool_drain(w->pool, loop_clock(w->loop) + 1000), 1);
    assert_int_equal(w->codes[0], 100);
    w->codes[1] = 1;
    assert_int_equal(fiber_pool_drain(w->pool, NEVER_NS), 0);
}

// ---- queues and groups

static void queue_user(void *arg)
{
    World *w = arg;
    int64_t deadline_ns = w->codes[3] == 0 ? loop_now(w->loop) + 100 : NEVER_NS;
    int me = w->codes[3]++;
    int rc = fiber_queue_wait(&w->queue, "queue", deadline_ns);
    buf_printf(&w->trace, "%d:%d ", me, rc);
}

static void test_queue_wakes_in_order_and_skips_the_timed_out(void **state)
{
    World *w = *state;
    for (int i = 0; i < 4; i++) {
        assert_non_null(fiber_spawn(w->pool, "user", queue_user, w));
    }
    (void)loop_tick(w->loop, 0);
    assert_true(fiber_queue_wake_one(&w->queue));
    (void)loop_tick(w->loop, 0);
    assert_string_equal(w->trace.data, "0:0 ");
    fiber_queue_wake_all(&w->queue);
    run_until_idle(w);
    assert_string_equal(w->trace.data, "0:0 1:0 2:0 3:0 ");
    assert_false(fiber_queue_wake_one(&w->queue));
    assert_null(w->queue.first);
    assert_null(w->queue.last);
}

static void on_time(void *arg)
{
    World *w = arg;
    // The first waiter's deadline is this instant too: whoever is woken, nobody's wake-up is lost.
    assert_int_equal(fiber_sleep(100), 0);
    assert_true(fiber_queue_wake_one(&w->queue));
}

static void test_queue_wake_up_at_the_deadline_is_not_lost(void **state)
{
    World *w = *state;
    Fiber *first = fiber_spawn(w->pool, "user", queue_user, w);
    Fiber *second = fiber_spawn(w->pool, "user", queue_user, w);
    assert_non_null(first);
    assert_non_null(fiber_spawn(w->pool, "timer", on_time, w));
    while (fiber_pool_stats(w->pool).alive > 1 && w->trace.len < 8) {
        (void)loop_tick(w->loop, NEVER_NS);
        if (w->trace.len == 4 && fiber_pool_stats(w->pool).alive == 1) {
            break;
        }
    }
    bool first_timed_out = strstr(w->trace.data, "0:-7") != NULL;
    if (!first_timed_out) {
        fiber_cancel(second);
    }
    run_until_idle(w);
    assert_true(first_timed_out ? strstr(w->trace.data, "1:0") != NULL
                                : strstr(w->trace.data, "0:0") != NULL);
}

typedef struct Family {
    World *w;
    FiberGroup group;
    int done;
} Family;

static void child(void *arg)
{
    Family *f = arg;
    assert_int_equal(fiber_sleep(10 * (1 + f->done)), 0);
    f->done++;
}

static void parent(void *arg)
{
    Family *f = arg;
    for (int i = 0; i < 10; i++) {
        assert_non_null(fiber_group_spawn(&f->group, fiber_pool(), "child", child, f));
    }
    assert_int_equal(fiber_group_wait(&f->group, loop_now(fiber_loop()) + 5), ERR_TIMEOUT);
    assert_int_equal(fiber_group_wait(&f->group, NEVER_NS), 0);
    assert_int_equal(f->done, 10);
    f->done = 100;
}

static void test_group(void **state)
{
    World *w = *state;
    Family f = {.w = w};
    assert_non_null(fiber_spawn(w->pool, "parent", parent, &f));
    run_until_idle(w);
    assert_int_equal(f.done, 100);
}

// ---- the pool

static __attribute__((noinline)) void measure_deep(size_t *left, int depth)
{
    left[depth] = fiber_stack_left();
    if (depth > 0) {
        measure_deep(left, depth - 1);
    }
    left[depth] += 0; // not a tail call
}

static void measure_left(void *arg)
{
    measure_deep(arg, 3);
}

static void test_stack_left_shrinks_with_depth(void **state)
{
    World *w = *state;
    size_t left[4] = {0};
    assert_non_null(fiber_spawn(w->pool, "measure", measure_left, left));
    run_until_idle(w);
    assert_in_range(left[3], FIBER_STACK_BYTES / 2, FIBER_STACK_BYTES * 4);
    assert_true(left[0] < left[1] && left[1] < left[2] && left[2] < left[3]);
    measure_deep(left, 3); // outside a fiber: the thread's own stack, some megabytes
    assert_true(left[3] > left[0] && left[3] > (256 << 10));
}

static void test_limits_and_recycling(void **state)
{
    World *w = *state; // at most 40 fibers, 10 guard pages, 5 stacks kept
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 40; i++) {
            assert_non_null(fiber_spawn(w->pool, "one of forty", wait_forever, w));
        }
        assert_null(fiber_spawn(w->pool, "one too many", wait_forever, w));
        (void)loop_tick(w->loop, 0);
        FiberStats stats = fiber_pool_stats(w->pool);
        assert_int_equal(stats.stacks, 40);
        assert_true(stats.guarded <= 10);
        assert_int_equal(fiber_pool_drain(w->pool, NEVER_NS), 0);
        assert_int_equal(fiber_pool_stats(w->pool).stacks, 5);
    }
    FiberStats stats = fiber_pool_stats(w->pool);
    assert_int_equal(stats.alive_peak, 40);
    assert_int_equal(stats.spawned, 120);
}

static void count_names(void *ctx, const Fiber *fiber)
{
    int *count = ctx;
    *count +=
        strcmp(fiber_name(fiber), "listed") == 0 && strcmp(fiber_waits_for(fiber), "forever") == 0;
}

static __attribute__((noinline)) void deep_wait(World *w, int depth)
{
    if (depth == 0) {
        wait_forever(w);
    } else {
        deep_wait(w, depth - 1);
    }
    w->codes[2]++; // not a tail call
}

static void wait_deep(void *arg)
{
    deep_wait(arg, 5);
}

static void test_listing_and_backtrace(void **state)
{
    World *w = *state;
    Fiber *f = fiber_spawn(w->pool, "listed", wait_deep, w);
    assert_non_null(fiber_spawn(w->pool, "other", wait_forever, w));
    (void)loop_tick(w->loop, 0);
    int count = 0;
    fiber_pool_each(w->pool, count_names, &count);
    assert_int_equal(count, 1);
    void *addresses[32];
    size_t frames = fiber_backtrace(f, addresses, COUNT_OF(addresses));
#if !defined(PW_FIBER_UCONTEXT)
    assert_in_range(frames, 6, COUNT_OF(addresses) - 1);
    assert_int_equal(fiber_backtrace(f, addresses, 3), 3);
#endif
    (void)frames;
    assert_int_equal(fiber_pool_drain(w->pool, NEVER_NS), 0);
}

typedef struct SlowLog {
    int calls;
    int64_t longest_ns;
    char name[16];
} SlowLog;

static void on_slow(void *ctx, const Fiber *fiber, const char *name, int64_t ran_ns)
{
    SlowLog *log = ctx;
    log->calls++;
    log->longest_ns = ran_ns;
    assert_non_null(fiber);
    (void)snprintf(log->name, sizeof log->name, "%s", name);
}

static void hog(void *arg)
{
    (void)arg;
    int64_t until_ns = clock_now(clock_real()) + 6 * NS_PER_MS;
    while (clock_now(clock_real()) < until_ns) {
    }
    assert_int_equal(fiber_yield(), 0);
}

static void test_slow_run_is_counted_and_named(void **state)
{
    World *w = *state;
    SlowLog log = {0};
    FiberPool *pool =
        fiber_pool_create(w->loop, &(FiberOptions){.slow_fn = on_slow, .slow_ctx = &log});
    assert_non_null(fiber_spawn(pool, "hog", hog, NULL));
    while (fiber_pool_stats(pool).alive > 0) {
        (void)loop_tick(w->loop, 0);
    }
    assert_int_equal(fiber_pool_stats(pool).slow_runs, log.calls);
    assert_true(log.calls >= 1);
    assert_true(fiber_pool_stats(pool).slow_max_ns >= 5 * NS_PER_MS);
    assert_string_equal(log.name, "hog");
    fiber_pool_destroy(pool);
}

static void overflow(void *arg)
{
    volatile char frame[1024];
    frame[0] = 1;
    if (arg) {
        overflow(arg);
    }
    frame[1] = frame[0]; // not a tail call
}

// The guard page turns an overflow into a fault of the child process.
static void test_overflow_faults(void **state)
{
    World *w = *state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        (void)freopen("/dev/null", "w", stderr);
        Fiber *f = fiber_spawn(w->pool, "deep", overflow, w);
        (void)f;
        (void)loop_tick(w->loop, 0);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

static void many(void *arg)
{
    World *w = arg;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fiber_sleep(1 + (int64_t)(w->codes[0]++ % 7)), 0);
    }
    w->codes[1]++;
}

static void test_thousands(void **state)
{
    World *w = *state;
    for (int i = 0; i < 3000; i++) {
        assert_non_null(fiber_spawn(w->pool, "many", many, w));
    }
    run_until_idle(w);
    assert_int_equal(w->codes[1], 3000);
    assert_true(fiber_pool_stats(w->pool).switches == 18000);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sleepers_interleave_by_time),
        TEST(test_registers_survive),
        TEST(test_park_returns_what_woke_it),
        TEST(test_cancelled_fiber_may_clean_up),
        TEST(test_stack_left_shrinks_with_depth),
        TEST(test_cancel_before_the_first_run),
        TEST(test_drain_cancels_all_and_names_stragglers),
        TEST(test_queue_wakes_in_order_and_skips_the_timed_out),
        TEST(test_queue_wake_up_at_the_deadline_is_not_lost),
        TEST(test_group),
        cmocka_unit_test_setup_teardown(test_limits_and_recycling, setup_small, teardown),
        TEST(test_listing_and_backtrace),
        TEST(test_slow_run_is_counted_and_named),
        TEST(test_overflow_faults),
        TEST(test_thousands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
