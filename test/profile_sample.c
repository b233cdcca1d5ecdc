// Profiles itself for test/profile_test.py: profile_sample DIRECTORY writes cpu.pb.gz, cpu.svg,
// heap.pb.gz and fibers.pb.gz there. Three quarters of the CPU time are spent in work_hard, one
// quarter in work_little; kept_blocks keeps what it allocates, lost_blocks frees it.
#include <assert.h>

#include "os/clock.h"
#include "os/fiber.h"
#include "os/file.h"
#include "prof/fibers.h"
#include "prof/heap.h"
#include "prof/profiler.h"

enum { BLOCKS = 4000, BLOCK_BYTES = 16 << 10, FIBERS = 3, UNIT_MS = 100 };

static int64_t cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void spin(int64_t ms)
{
    int64_t until = cpu_ns() + ms * NS_PER_MS;
    while (cpu_ns() < until) {
        for (volatile int i = 0; i < 20000; i++) {
        }
    }
}

__attribute__((noinline)) static void work_hard(void)
{
    spin(6 * UNIT_MS);
    __asm__ volatile(""); // no tail call: the frame stays
}

__attribute__((noinline)) static void work_little(void)
{
    spin(2 * UNIT_MS);
    __asm__ volatile("");
}

__attribute__((noinline)) static void kept_blocks(void **blocks)
{
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = mem_alloc(BLOCK_BYTES);
    }
}

__attribute__((noinline)) static void lost_blocks(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        void *volatile block = mem_alloc(BLOCK_BYTES);
        free(block);
    }
}

static int save(const char *directory, const char *name, Profile *profile)
{
    char path[512];
    Err e = {0};
    Buf out = buf_create(PROFILE_BYTES_MAX);
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    int rc = profile_resolve(profile, 0, &e);
    rc = rc == 0 ? profile_write_pprof(profile, &out, &e) : rc;
    rc = rc == 0 ? file_write(path, buf_slice(&out), NULL, &e) : rc;
    if (rc != 0) {
        (void)fprintf(stderr, "%s: %s\n", name, e.text);
    }
    buf_done(&out);
    profile_destroy(profile);
    return rc;
}

static int cpu(const char *directory, ProfilerMethod method, const char *name)
{
    char path[512];
    Err e = {0};
    Profiler *profiler;
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    int rc = profiler_start(&(ProfilerOptions){.kind = PROFILE_CPU, .hz = 500, .method = method},
                            &profiler, &e);
    if (rc == 0) {
        work_hard();
        work_little();
        rc = profiler_save(profiler, path, &e);
    }
    if (rc != 0) {
        (void)fprintf(stderr, "%s: %s\n", name, e.text);
    }
    return rc;
}

static int heap(const char *directory)
{
    static void *blocks[BLOCKS];
    Err e = {0};
    if (heap_sampling_start(64 << 10, &e) != 0) {
        (void)fprintf(stderr, "heap: %s\n", e.text);
        return ERR_UNSUPPORTED;
    }
    kept_blocks(blocks);
    lost_blocks();
    int rc = save(directory, "heap.pb.gz", heap_snapshot());
    heap_sampling_stop();
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    return rc;
}

static void wait_for_nothing(void *arg)
{
    (void)arg;
    int rc = fiber_park("nothing", NEVER_NS);
    assert(rc == ERR_CANCELLED);
    (void)rc;
}

static int fibers(const char *directory)
{
    Loop *loop;
    if (loop_create(&(LoopOptions){0}, &loop, NULL) != 0) {
        return ERR_IO;
    }
    FiberPool *pool = fiber_pool_create(loop, NULL);
    for (int i = 0; i < FIBERS; i++) {
        if (!fiber_spawn(pool, "sleeper", wait_for_nothing, NULL)) {
            return ERR_LIMIT;
        }
    }
    (void)loop_tick(loop, 0);
    Profile *profile = profile_create(PROFILE_FIBERS, 1);
    profile_add_fibers(profile, pool);
    int rc = save(directory, "fibers.pb.gz", profile);
    (void)fiber_pool_drain(pool, NEVER_NS);
    fiber_pool_destroy(pool);
    loop_destroy(loop);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fputs("usage: profile_sample DIRECTORY\n", stderr);
        return 2;
    }
    int rc = cpu(argv[1], PROFILER_AUTO, "cpu.pb.gz");
    rc = rc == 0 ? cpu(argv[1], PROFILER_SIGNAL, "signal.pb.gz") : rc;
    rc = rc == 0 ? cpu(argv[1], PROFILER_AUTO, "cpu.svg") : rc;
    rc = rc == 0 ? heap(argv[1]) : rc;
    rc = rc == 0 ? fibers(argv[1]) : rc;
    return rc == 0 ? 0 : 1;
}
