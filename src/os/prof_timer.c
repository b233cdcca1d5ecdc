#include "os/prof_timer.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/mpsc.h"
#include "os/stack_walk.h"

enum { SAMPLES_WAITING = 1024 };

typedef struct Sample {
    uint32_t tid;
    uint32_t depth;
    uint64_t pcs[PROF_TIMER_DEPTH_MAX];
} Sample;

typedef struct ThreadTimer {
    int tid;
    timer_t timer;
} ThreadTimer;

struct ProfTimers {
    Mpsc *samples;
    ThreadTimer threads[PROF_TIMER_THREADS_MAX];
    size_t thread_count;
    int64_t period_ns;
    uint64_t refused; // by the queue, as far as they were reported
    Sample sample;
};

// What a signal handler may touch has to be global. `running` is where samples go, `inside` counts
// the handlers at work, so that stopping knows when nobody uses the queue any more.
static _Atomic(Mpsc *) running;
static atomic_int inside;

static void on_sigprof(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    int saved = errno;
    atomic_fetch_add(&inside, 1);
    Mpsc *samples = atomic_load(&running);
    if (samples) {
        Sample s;
        s.tid = (uint32_t)syscall(SYS_gettid);
        s.depth = (uint32_t)stack_walk_context(context, s.pcs, PROF_TIMER_DEPTH_MAX);
        (void)mpsc_push(samples, &s);
    }
    atomic_fetch_sub(&inside, 1);
    errno = saved;
}

// The kernel's number for a thread's CPU clock (posix-timers.h: CPUCLOCK_SCHED, per thread), which
// pthread_getcpuclockid only tells for a pthread_t.
static clockid_t clock_of_thread(int tid)
{
    enum { CPUCLOCK_SCHED = 2, CPUCLOCK_PERTHREAD = 4 };
    return (clockid_t)(~(unsigned)tid << 3) | CPUCLOCK_SCHED | CPUCLOCK_PERTHREAD;
}

static bool is_known(const ProfTimers *p, int tid)
{
    for (size_t i = 0; i < p->thread_count; i++) {
        if (p->threads[i].tid == tid) {
            return true;
        }
    }
    return false;
}

static int add_thread(ProfTimers *p, int tid, Err *e)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF};
    event._sigev_un._tid = tid;
    timer_t timer;
    if (p->thread_count == PROF_TIMER_THREADS_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d threads to sample", PROF_TIMER_THREADS_MAX);
    }
    if (timer_create(clock_of_thread(tid), &event, &timer) < 0) {
        // EINVAL: the thread ended just now.
        return errno == EINVAL ? 0 : err_errno(e, ERR_IO, errno, "cannot make a profiling timer");
    }
    struct timespec period = {p->period_ns / 1000000000, p->period_ns % 1000000000};
    struct itimerspec when = {period, period};
    if (timer_settime(timer, 0, &when, NULL) < 0) {
        (void)timer_delete(timer);
        return err_errno(e, ERR_IO, errno, "cannot set a profiling timer");
    }
    p->threads[p->thread_count++] = (ThreadTimer){tid, timer};
    return 0;
}

// Timers for threads that have none yet. The timers of threads that ended stay until the end: the
// kernel gives their numbers out again only after all others.
static int find_threads(ProfTimers *p, Err *e)
{
    int tids[PROF_TIMER_THREADS_MAX];
    size_t count = perf_threads(0, tids, PROF_TIMER_THREADS_MAX);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count && i < PROF_TIMER_THREADS_MAX; i++) {
        rc = is_known(p, tids[i]) ? 0 : add_thread(p, tids[i], e);
    }
    return rc;
}

int prof_timers_start(int hz, ProfTimers **ret_timers, Err *e)
{
    ProfTimers *p = mem_zalloc(sizeof *p);
    p->samples = mpsc_create(SAMPLES_WAITING, sizeof(Sample));
    p->period_ns = 1000000000 / hz;
    Mpsc *nobody = NULL;
    if (!atomic_compare_exchange_strong(&running, &nobody, p->samples)) {
        mpsc_destroy(p->samples);
        free(p);
        return err_set(e, ERR_BUSY, "another CPU profile by signals is being taken");
    }
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART};
    action.sa_sigaction = on_sigprof;
    (void)sigemptyset(&action.sa_mask);
    int rc = sigaction(SIGPROF, &action, NULL) < 0
                 ? err_errno(e, ERR_IO, errno, "cannot take SIGPROF")
                 : find_threads(p, e);
    if (rc != 0) {
        prof_timers_stop(p);
        return rc;
    }
    *ret_timers = p;
    return 0;
}

void prof_timers_stop(ProfTimers *p)
{
    if (!p) {
        return;
    }
    for (size_t i = 0; i < p->thread_count; i++) {
        (void)timer_delete(p->threads[i].timer);
    }
    atomic_store(&running, NULL);
    while (atomic_load(&inside) > 0) {
        (void)sched_yield();
    }
    mpsc_destroy(p->samples);
    free(p);
}

int64_t prof_timers_read(ProfTimers *p, PerfSampleFn *fn, void *ctx)
{
    while (mpsc_pop(p->samples, &p->sample)) {
        fn(ctx, &(PerfSample){.pid = (uint32_t)getpid(),
                              .tid = p->sample.tid,
                              .pcs = p->sample.pcs,
                              .depth = p->sample.depth});
    }
    (void)find_threads(p, NULL); // past the limit a thread goes without
    uint64_t refused = mpsc_refused(p->samples);
    int64_t lost = (int64_t)(refused - p->refused);
    p->refused = refused;
    return lost;
}
