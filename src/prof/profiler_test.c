#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem_hook.h"
#include "os/clock.h"
#include "os/fiber.h"
#include "os/mpsc.h"
#include "os/thread.h"
#include "prof/heap.h"
#include "prof/profiler.h"

// Spins for CPU time, not for time, so that a busy machine changes nothing but the duration.
enum { SPIN_MS = 300, HZ = 500 };

static int64_t cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

__attribute__((noinline)) static void spin_in_the_test(void)
{
    int64_t until = cpu_ns() + SPIN_MS * NS_PER_MS;
    while (cpu_ns() < until) {
        for (volatile int i = 0; i < 100000; i++) {
        }
    }
}

static void spin_thread(void *arg)
{
    (void)arg;
    spin_in_the_test();
}

static void spin_fiber(void *arg)
{
    spin_in_the_test();
    loop_stop(arg);
}

static void expect(Profile *p, const char *what)
{
    Buf out = buf_create(PROFILE_BYTES_MAX);
    Err e = {0};
    if (profile_resolve(p, 0, &e) != 0 || profile_write_text(p, &out, &e) != 0) {
        fail_msg("%s", e.text);
    }
    if (slice_find(buf_slice(&out), slice_from_cstr(what)) < 0) {
        fail_msg("no %s in\n%s", what, out.data);
    }
    buf_done(&out);
}

// There the kernel's samples are of valgrind itself, and handling a signal takes longer than the
// time to the next.
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload && strstr(preload, "vgpreload");
}

static Profiler *start(ProfilerMethod method, int pid)
{
    if (under_valgrind()) {
        skip();
    }
    Profiler *profiler = NULL;
    Err e = {0};
    ProfilerOptions options = {.kind = PROFILE_CPU, .hz = HZ, .method = method, .pid = pid};
    int rc = profiler_start(&options, &profiler, &e);
    if (method == PROFILER_PERF && (rc == ERR_UNSUPPORTED || rc == ERR_REFUSED)) {
        print_message("skipped: %s\n", e.text);
        skip();
    }
    if (rc != 0) {
        fail_msg("%s", e.text);
    }
    return profiler;
}

// A thread that is there when sampling begins, one that begins later, and a fiber.
static void take(ProfilerMethod method)
{
    Profiler *profiler = start(method, 0); // first, as it may skip the test
    Loop *loop;
    assert_int_equal(loop_create(&(LoopOptions){0}, &loop, NULL), 0);
    FiberPool *pool = fiber_pool_create(loop, NULL);
    assert_true(method == PROFILER_AUTO || profiler_method(profiler) == method);
    Thread *thread;
    assert_int_equal(thread_start("spinner", THREAD_ANY_CPU, spin_thread, NULL, &thread, NULL), 0);
    assert_non_null(fiber_spawn(pool, "spin", spin_fiber, loop));
    loop_run(loop);
    thread_join(thread);
    Profile *p = profiler_stop(profiler);
    // 2 x 300 ms at 500 Hz are 300 samples; how many come depends on the host's timer interrupts.
    assert_true(profile_stats(p).samples > 10);
    expect(p, "spin_in_the_test");
    expect(p, "{thread: spinner}");
    expect(p, "spin_fiber");
    expect(p, "fiber_context_start"); // the walk reached the base of the fiber and ended there
    profile_destroy(p);
    (void)fiber_pool_drain(pool, NEVER_NS);
    fiber_pool_destroy(pool);
    loop_destroy(loop);
}

static void test_cpu_by_perf_events(void **state)
{
    (void)state;
    take(PROFILER_PERF);
}

static void test_cpu_by_signals(void **state)
{
    (void)state;
    take(PROFILER_SIGNAL);
}

static void test_one_by_signals_at_a_time(void **state)
{
    (void)state;
    Profiler *first = start(PROFILER_SIGNAL, 0), *second = NULL;
    ProfilerOptions options = {.kind = PROFILE_CPU, .method = PROFILER_SIGNAL};
    assert_int_equal(profiler_start(&options, &second, NULL), ERR_BUSY);
    profile_destroy(profiler_stop(first));
    profile_destroy(profiler_stop(start(PROFILER_SIGNAL, 0)));
}

static void test_another_process(void **state)
{
    (void)state;
    if (under_valgrind()) {
        skip();
    }
    pid_t child = fork();
    if (child == 0) {
        // Also when this test is skipped, it ends by itself.
        for (int i = 0; i < 20; i++) {
            spin_in_the_test();
        }
        _exit(0);
    }
    Profiler *profiler = start(PROFILER_PERF, child);
    spin_in_the_test(); // the child gets its share meanwhile
    Profile *p = profiler_stop(profiler);
    int rc = profile_resolve(p, child, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(rc, 0);
    assert_true(profile_stats(p).samples > 0);
    profile_destroy(p);
}

static void test_wrong_options(void **state)
{
    (void)state;
    static const struct {
        ProfilerOptions options;
        int rc;
    } cases[] = {
        {{.kind = PROFILE_CPU, .hz = -1}, ERR_ARG},
        {{.kind = PROFILE_CPU, .hz = PROFILER_HZ_MAX + 1}, ERR_ARG},
        {{.kind = PROFILE_CPU, .pid = -5}, ERR_ARG},
        {{.kind = PROFILE_FIBERS}, ERR_ARG},
        {{.kind = PROFILE_HEAP, .pid = 1}, ERR_ARG},
        {{.kind = PROFILE_CPU, .pid = 0x3FFFFFFF}, ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Profiler *profiler = NULL;
        int rc = profiler_start(&cases[i].options, &profiler, NULL);
        if (rc != cases[i].rc) {
            fail_msg("case %zu: %d", i, rc);
        }
    }
}

// The allocator's hook is called by hand, as base/malloc_shim.c would.
static void test_heap_estimates(void **state)
{
    (void)state;
    enum { BLOCKS = 20000, BYTES = 4096, RATE = 64 << 10 };
    assert_int_equal(heap_sampling_start(RATE, NULL), ERR_UNSUPPORTED);
    mem_hook_feed();
    assert_int_equal(heap_sampling_start(RATE, NULL), 0);
    static char blocks[BLOCKS][16]; // only their addresses matter
    for (int i = 0; i < BLOCKS; i++) {
        mem_hook_allocated(blocks[i], BYTES);
    }
    for (int i = 0; i < BLOCKS / 2; i++) {
        mem_hook_freed(blocks[i]);
    }
    Profile *p = heap_snapshot();
    ProfileStats stats = profile_stats(p);
    // About 1,250 samples: the estimate of the number of blocks has a standard deviation of 2.9 %.
    // Five of them.
    assert_in_range(stats.samples, BLOCKS * 85 / 100, BLOCKS * 115 / 100);
    Buf out = buf_create(PROFILE_BYTES_MAX);
    assert_int_equal(profile_resolve(p, 0, NULL), 0);
    assert_int_equal(profile_write_text(p, &out, NULL), 0);
    assert_true(slice_find(buf_slice(&out), SLICE("test_heap_estimates")) > 0);
    buf_done(&out);
    profile_destroy(p);
    for (int i = BLOCKS / 2; i < BLOCKS; i++) {
        mem_hook_freed(blocks[i]);
    }
    p = heap_snapshot();
    assert_int_equal(profile_write_text(p, &out, NULL), 0);
    // Everything was freed, to the last byte.
    assert_true(slice_find(buf_slice(&out), SLICE("0 inuse_objects, 0 inuse_space")) > 0);
    buf_done(&out);
    profile_destroy(p);
    heap_sampling_stop();
    assert_false(heap_sampling_is_on());
    mem_hook_allocated(blocks[0], 1 << 30); // nobody listens
}

static void test_heap_edge_of_live_blocks(void **state)
{
    (void)state;
    mem_hook_feed();
    assert_int_equal(heap_sampling_start(1, NULL), 0);
    assert_int_equal(heap_sampling_start(1, NULL), 0); // the second asks for the same
    for (uintptr_t i = 1; i <= HEAP_LIVE_MAX + 3; i++) {
        mem_hook_allocated((void *)(i * 16), 4096);
    }
    Profile *p = heap_snapshot();
    Buf out = buf_create(PROFILE_BYTES_MAX);
    assert_int_equal(profile_write_text(p, &out, NULL), 0);
    char line[64];
    (void)snprintf(line, sizeof line, "%d alloc_objects", HEAP_LIVE_MAX + 3);
    assert_true(slice_find(buf_slice(&out), slice_from_cstr(line)) > 0);
    (void)snprintf(line, sizeof line, "%d inuse_objects", HEAP_LIVE_MAX);
    assert_true(slice_find(buf_slice(&out), slice_from_cstr(line)) > 0);
    buf_done(&out);
    profile_destroy(p);
    for (uintptr_t i = 1; i <= HEAP_LIVE_MAX + 3; i++) {
        mem_hook_freed((void *)(i * 16));
    }
    heap_sampling_stop();
    assert_true(heap_sampling_is_on());
    heap_sampling_stop();
    assert_false(heap_sampling_is_on());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_by_perf_events),
        cmocka_unit_test(test_cpu_by_signals),
        cmocka_unit_test(test_one_by_signals_at_a_time),
        cmocka_unit_test(test_another_process),
        cmocka_unit_test(test_wrong_options),
        cmocka_unit_test(test_heap_estimates),
        cmocka_unit_test(test_heap_edge_of_live_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
