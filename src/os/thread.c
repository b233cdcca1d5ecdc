#include "os/thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

// libc's own frames (resolver, printf of floats, dlopen) fit with room to spare.
enum { THREAD_STACK_BYTES = 1 << 20, THREAD_NAME_MAX = 16 };

struct Thread {
    pthread_t id;
    ThreadFn *fn;
    void *arg;
    char name[THREAD_NAME_MAX];
};

static void *thread_main(void *arg)
{
    Thread *thread = arg;
    (void)prctl(PR_SET_NAME, thread->name);
    thread->fn(thread->arg);
    return NULL;
}

static int create(Thread *thread, int cpu, Err *e)
{
    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);
    if (rc != 0) {
        return err_errno(e, ERR_IO, rc, "cannot start thread '%s'", thread->name);
    }
    (void)pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    if (cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)cpu, &set);
        (void)pthread_attr_setaffinity_np(&attr, sizeof set, &set);
    }
    // Inherited by the new thread, which therefore never sees a signal but the profiler's.
    sigset_t all;
    sigset_t old;
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGPROF); // the profiler's (os/prof_timer.h)
    (void)pthread_sigmask(SIG_BLOCK, &all, &old);
    rc = pthread_create(&thread->id, &attr, thread_main, thread);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    if (rc != 0) {
        return err_errno(e, rc == EINVAL && cpu >= 0 ? ERR_ARG : ERR_LIMIT, rc,
                         "cannot start thread '%s' on CPU %d", thread->name, cpu);
    }
    return 0;
}

int thread_start(const char *name, int cpu, ThreadFn *fn, void *arg, Thread **ret_thread, Err *e)
{
    if (cpu >= CPU_SETSIZE) {
        return err_set(e, ERR_ARG, "CPU %d does not exist", cpu);
    }
    Thread *thread = mem_zalloc(sizeof *thread);
    thread->fn = fn;
    thread->arg = arg;
    (void)snprintf(thread->name, sizeof thread->name, "%s", name);
    int rc = create(thread, cpu, e);
    if (rc != 0) {
        free(thread);
        return rc;
    }
    *ret_thread = thread;
    return 0;
}

void thread_join(Thread *thread)
{
    if (thread) {
        (void)pthread_join(thread->id, NULL);
        free(thread);
    }
}

int thread_pin_self(int cpu, Err *e)
{
    if (cpu < 0 || cpu >= CPU_SETSIZE) {
        return err_set(e, ERR_ARG, "CPU %d does not exist", cpu);
    }
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0) {
        return err_errno(e, ERR_ARG, errno, "cannot pin to CPU %d", cpu);
    }
    return 0;
}

int thread_cpu_at(unsigned index)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) == 0) {
        return THREAD_ANY_CPU;
    }
    int left = (int)(index % (unsigned)CPU_COUNT(&set));
    int cpu = 0;
    while (!CPU_ISSET((size_t)cpu, &set) || left-- > 0) {
        cpu++;
    }
    return cpu;
}

void thread_set_timer_slack_ns(long slack_ns)
{
    // Without this the kernel rounds every sleep up by 50 us to batch wake-ups.
    (void)prctl(PR_SET_TIMERSLACK, (unsigned long)slack_ns, 0UL, 0UL, 0UL);
}

void thread_pause_ns(int64_t ns)
{
    struct timespec ts = {.tv_nsec = ns < 999999999 ? (long)ns : 999999999};
    (void)nanosleep(&ts, NULL);
}

int thread_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0) {
        return 1;
    }
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}
