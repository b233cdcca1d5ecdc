#include "prof/profiler.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/loop.h"
#include "os/prof_timer.h"
#include "os/thread.h"
#include "prof/heap.h"

// Samples wait in rings of the kernel's or of ours; a thread empties them ten times a second, so
// that they may be small and the profile grows by different stacks only.
#define READ_EVERY_NS (100 * NS_PER_MS)

enum { THREAD_NAMES_MAX = 1024, THREAD_NAME_BYTES = 16 };

typedef struct ThreadName {
    uint32_t tid;
    char text[THREAD_NAME_BYTES];
} ThreadName;

struct Profiler {
    ProfilerOptions options;
    ProfilerMethod method;
    PerfEvents *perf;
    ProfTimers *timers;
    Profile *profile;
    int64_t begin_ns, begin_wall_ns;
    Thread *thread;
    Loop *loop;
    LoopTimer tick;
    uint32_t own_tid; // of that thread, which is left out
    ThreadName *names;
    size_t name_count;
};

// ---- samples

// As the thread is called now; kept, because it may be gone at the next look.
static Slice name_of_thread(Profiler *p, uint32_t pid, uint32_t tid)
{
    for (size_t i = 0; i < p->name_count; i++) {
        if (p->names[i].tid == tid) {
            return slice_from_cstr(p->names[i].text);
        }
    }
    if (p->name_count == THREAD_NAMES_MAX) {
        return (Slice){0};
    }
    ThreadName *name = &p->names[p->name_count++];
    char path[64];
    Buf text = buf_create(64);
    name->tid = tid;
    (void)snprintf(path, sizeof path, "/proc/%u/task/%u/comm", pid, tid);
    if (file_read(path, &text, NULL) == 0) {
        (void)snprintf(name->text, sizeof name->text, "%.*s",
                       SLICE_FMT(slice_trim(buf_slice(&text))));
    }
    buf_done(&text);
    return slice_from_cstr(name->text);
}

static void on_sample(void *ctx, const PerfSample *sample)
{
    Profiler *p = ctx;
    if (sample->tid == p->own_tid) {
        return;
    }
    profile_add(p->profile, &(ProfileSample){
                                .pcs = sample->pcs,
                                .depth = sample->depth,
                                .leaf_is_pc = true,
                                .values = {1, NS_PER_S / p->options.hz},
                                .label_key = SLICE("thread"),
                                .label = name_of_thread(p, sample->pid, sample->tid),
                            });
}

static void read_samples(Profiler *p)
{
    int64_t lost = p->perf ? perf_events_read(p->perf, on_sample, p)
                           : prof_timers_read(p->timers, on_sample, p);
    profile_add_lost(p->profile, lost);
}

static void on_tick(LoopTimer *timer)
{
    Profiler *p = CONTAINER_OF(timer, Profiler, tick);
    read_samples(p);
    loop_timer_set(p->loop, timer, loop_now(p->loop) + READ_EVERY_NS);
}

static void reader(void *arg)
{
    Profiler *p = arg;
    p->own_tid = (uint32_t)syscall(SYS_gettid);
    loop_timer_set(p->loop, &p->tick, loop_clock(p->loop) + READ_EVERY_NS);
    loop_run(p->loop);
    loop_timer_cancel(p->loop, &p->tick);
}

// ---- starting

// Time in the kernel is half the story of a server, so what can see it comes first: perf events of
// a privileged process, then signals, then perf events of user space alone.
static int open_sampler(Profiler *p, Err *e)
{
    const ProfilerOptions *o = &p->options;
    PerfOptions perf = {.pid = o->pid, .hz = o->hz};
    bool own = o->pid == 0 || o->pid == (int)getpid();
    int rc = ERR_UNSUPPORTED;
    p->method = PROFILER_PERF;
    if (o->method != PROFILER_SIGNAL) {
        rc = perf_events_open(&perf, &p->perf, e);
        if (rc == ERR_REFUSED && (!own || o->method == PROFILER_PERF)) {
            perf.user_only = true;
            rc = perf_events_open(&perf, &p->perf, e);
        }
    }
    if (rc != 0 && own && o->method != PROFILER_PERF) {
        p->method = PROFILER_SIGNAL;
        rc = prof_timers_start(o->hz, &p->timers, e);
    }
    return rc;
}

static void free_profiler(Profiler *p)
{
    perf_events_close(p->perf);
    prof_timers_stop(p->timers);
    loop_destroy(p->loop);
    profile_destroy(p->profile);
    free(p->names);
    free(p);
}

static int start_cpu(Profiler *p, Err *e)
{
    p->names = mem_zalloc(THREAD_NAMES_MAX * sizeof p->names[0]);
    p->profile = profile_create(PROFILE_CPU, NS_PER_S / p->options.hz);
    loop_timer_init(&p->tick, on_tick);
    int rc = loop_create(&(LoopOptions){0}, &p->loop, e);
    rc = rc == 0 ? open_sampler(p, e) : rc;
    return rc == 0 ? thread_start("profiler", THREAD_ANY_CPU, reader, p, &p->thread, e) : rc;
}

int profiler_start(const ProfilerOptions *options, Profiler **ret_profiler, Err *e)
{
    if (options->hz < 0 || options->hz > PROFILER_HZ_MAX || options->pid < 0) {
        return err_set(e, ERR_ARG, "a profile takes 1 to %d samples a second", PROFILER_HZ_MAX);
    }
    if (options->kind == PROFILE_FIBERS || (options->kind == PROFILE_HEAP && options->pid != 0)) {
        return err_set(e, ERR_ARG, "only CPU and, of this process, heap can be profiled");
    }
    Profiler *p = mem_zalloc(sizeof *p);
    p->options = *options;
    p->options.hz = options->hz ? options->hz : PROFILER_HZ;
    p->begin_ns = clock_now(clock_real());
    p->begin_wall_ns = clock_wall(clock_real());
    int rc = options->kind == PROFILE_HEAP ? heap_sampling_start(0, e) : start_cpu(p, e);
    if (rc != 0) {
        free_profiler(p);
        return rc;
    }
    *ret_profiler = p;
    return 0;
}

ProfilerMethod profiler_method(const Profiler *profiler)
{
    return profiler->method;
}

// ---- stopping

Profile *profiler_stop(Profiler *p)
{
    if (p->options.kind == PROFILE_HEAP) {
        p->profile = heap_snapshot();
        heap_sampling_stop();
    } else {
        loop_stop(p->loop);
        thread_join(p->thread);
        read_samples(p);
    }
    Profile *profile = p->profile;
    profile_set_times(profile, p->begin_wall_ns, clock_now(clock_real()) - p->begin_ns);
    p->profile = NULL;
    free_profiler(p);
    return profile;
}

int profiler_save(Profiler *profiler, const char *path, Err *e)
{
    int pid = profiler->options.pid;
    Profile *profile = profiler_stop(profiler);
    Buf out = buf_create(PROFILE_BYTES_MAX);
    int rc = profile_resolve(profile, pid, e);
    if (rc == 0) {
        rc = slice_ends_with(slice_from_cstr(path), SLICE(".svg"))
                 ? profile_write_svg(profile, SLICE("perfwright"), &out, e)
                 : profile_write_pprof(profile, &out, e);
    }
    rc = rc == 0 ? file_write(path, buf_slice(&out), NULL, e) : rc;
    buf_done(&out);
    profile_destroy(profile);
    return rc;
}
