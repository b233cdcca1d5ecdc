#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "os/fiber.h"
#include "os/jobs.h"
#include "os/mpsc.h"

typedef struct Work {
    Job job;
    int input;
    int output;
    Flag *go; // run() waits for it
    int *delivered;
} Work;

static void run_work(Job *job)
{
    Work *w = CONTAINER_OF(job, Work, job);
    while (w->go && !flag_is_set(w->go)) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
    }
    w->output = w->input * 2;
}

static void done_work(Job *job)
{
    Work *w = CONTAINER_OF(job, Work, job);
    assert_int_equal(w->output, w->input * 2);
    ++*w->delivered;
}

static void make(int threads, size_t queue_max, Loop **loop, JobPool **pool)
{
    assert_int_equal(loop_create(&(LoopOptions){.post_capacity = 2}, loop, NULL), 0);
    JobOptions options = {.name = "test", .threads = threads, .queue_max = queue_max};
    assert_int_equal(jobs_create(&options, pool, NULL), 0);
}

static void test_answers_come_back_on_the_loop(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    Loop *loop;
    JobPool *pool;
    make(3, COUNT, &loop, &pool); // the loop's queue of two overflows all the time
    Work *works = mem_zalloc(COUNT * sizeof *works);
    int delivered = 0;
    for (int i = 0; i < COUNT; i++) {
        works[i] = (Work){
            .job = {.run = run_work, .done = done_work}, .input = i, .delivered = &delivered};
        assert_int_equal(jobs_submit(pool, loop, &works[i].job, NULL), 0);
    }
    jobs_drain(pool, loop);
    assert_int_equal(delivered, COUNT);
    jobs_destroy(pool);
    loop_destroy(loop);
    free(works);
}

static void test_full_queue_refuses(void **state)
{
    (void)state;
    Loop *loop;
    JobPool *pool;
    make(1, 2, &loop, &pool);
    Flag go = {0};
    int delivered = 0;
    Work works[8];
    int accepted = 0;
    for (size_t i = 0; i < COUNT_OF(works); i++) {
        works[i] =
            (Work){.job = {.run = run_work, .done = done_work}, .go = &go, .delivered = &delivered};
        Err e;
        int rc = jobs_submit(pool, loop, &works[i].job, &e);
        assert_true(rc == 0 || rc == ERR_FULL);
        accepted += rc == 0;
    }
    assert_in_range(accepted, 2, 3); // two wait, one may be running
    flag_set(&go);
    jobs_drain(pool, loop);
    assert_int_equal(delivered, accepted);
    jobs_destroy(pool);
    loop_destroy(loop);
}

typedef struct Caller {
    JobPool *pool;
    Flag go;
    int value;
    int rc;
} Caller;

static void set_value(void *arg)
{
    Caller *c = arg;
    while (!flag_is_set(&c->go)) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
    }
    c->value = 42;
}

static void call_it(void *arg)
{
    Caller *c = arg;
    c->rc = jobs_call(c->pool, set_value, c, NULL);
    // Nothing is left behind: the value is there even when the fiber was cancelled.
    assert_int_equal(c->value, c->rc == ERR_FULL ? 0 : 42);
}

static void test_fiber_call(void **state)
{
    (void)state;
    for (int cancel = 0; cancel < 2; cancel++) {
        Loop *loop;
        Caller c = {0};
        make(1, 2, &loop, &c.pool);
        FiberPool *fibers = fiber_pool_create(loop, &(FiberOptions){0});
        Fiber *f = fiber_spawn(fibers, "caller", call_it, &c);
        (void)loop_tick(loop, 0);
        if (cancel) {
            fiber_cancel(f);
            (void)loop_tick(loop, 0);
        }
        assert_int_equal(fiber_pool_stats(fibers).alive, 1);
        flag_set(&c.go);
        while (fiber_pool_stats(fibers).alive > 0) {
            (void)loop_tick(loop, NEVER_NS);
        }
        assert_int_equal(c.rc, cancel ? ERR_CANCELLED : 0);
        jobs_drain(c.pool, loop);
        jobs_destroy(c.pool);
        fiber_pool_destroy(fibers);
        loop_destroy(loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_come_back_on_the_loop),
        cmocka_unit_test(test_full_queue_refuses),
        cmocka_unit_test(test_fiber_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
