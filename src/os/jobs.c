#include "os/jobs.h"

#include <assert.h>
#include <pthread.h>

#include "os/fiber.h"
#include "os/thread.h"

struct JobPool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    Job *first;
    Job *last;
    size_t queued;
    size_t queue_max;
    size_t outstanding;
    bool stopping;
    int threads;
    Thread *thread[JOB_THREADS_MAX];
};

static void deliver(void *arg)
{
    Job *job = arg;
    JobPool *pool = job->pool;
    if (job->done) {
        job->done(job);
    }
    (void)pthread_mutex_lock(&pool->lock);
    pool->outstanding--;
    (void)pthread_mutex_unlock(&pool->lock);
}

static Job *take(JobPool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    while (!pool->first && !pool->stopping) {
        (void)pthread_cond_wait(&pool->work, &pool->lock);
    }
    Job *job = pool->first;
    if (job) {
        pool->first = job->next;
        pool->queued--;
        if (!pool->first) {
            pool->last = NULL;
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return job;
}

static void work(void *arg)
{
    JobPool *pool = arg;
    for (Job *job; (job = take(pool)) != NULL;) {
        job->run(job);
        // The loop's queue is full for a moment only; a worker has time.
        while (loop_post(job->loop, deliver, job) != 0) {
            (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        }
    }
}

int jobs_create(const JobOptions *options, JobPool **ret_pool, Err *e)
{
    assert(options->threads >= 1 && options->threads <= JOB_THREADS_MAX);
    JobPool *pool = mem_zalloc(sizeof *pool);
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->work, NULL);
    pool->queue_max = options->queue_max;
    for (int i = 0; i < options->threads; i++) {
        int rc = thread_start(options->name, THREAD_ANY_CPU, work, pool, &pool->thread[i], e);
        if (rc != 0) {
            jobs_destroy(pool);
            return rc;
        }
        pool->threads++;
    }
    *ret_pool = pool;
    return 0;
}

void jobs_destroy(JobPool *pool)
{
    if (!pool) {
        return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    assert(pool->outstanding == 0);
    pool->stopping = true;
    (void)pthread_cond_broadcast(&pool->work);
    (void)pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->threads; i++) {
        thread_join(pool->thread[i]);
    }
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int jobs_submit(JobPool *pool, Loop *loop, Job *job, Err *e)
{
    (void)pthread_mutex_lock(&pool->lock);
    bool full = pool->queued >= pool->queue_max;
    if (!full) {
        job->pool = pool;
        job->loop = loop;
        job->next = NULL;
        *(pool->last ? &pool->last->next : &pool->first) = job;
        pool->last = job;
        pool->queued++;
        pool->outstanding++;
        (void)pthread_cond_signal(&pool->work);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return full ? err_set(e, ERR_FULL, "%zu jobs wait already", pool->queue_max) : 0;
}

size_t jobs_outstanding(JobPool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    size_t outstanding = pool->outstanding;
    (void)pthread_mutex_unlock(&pool->lock);
    return outstanding;
}

void jobs_drain(JobPool *pool, Loop *loop)
{
    while (jobs_outstanding(pool) > 0) {
        (void)loop_tick(loop, NEVER_NS);
    }
}

typedef struct Call {
    Job job;
    void (*fn)(void *arg);
    void *arg;
    Fiber *fiber;
    bool done;
} Call;

static void call_run(Job *job)
{
    Call *call = CONTAINER_OF(job, Call, job);
    call->fn(call->arg);
}

static void call_done(Job *job)
{
    Call *call = CONTAINER_OF(job, Call, job);
    call->done = true;
    fiber_resume(call->fiber);
}

int jobs_call(JobPool *pool, void (*fn)(void *arg), void *arg, Err *e)
{
    if (fiber_is_cancelled()) {
        return err_set(e, ERR_CANCELLED, "cancelled");
    }
    Call call = {
        .job = {.run = call_run, .done = call_done}, .fn = fn, .arg = arg, .fiber = fiber_self()};
    int rc = jobs_submit(pool, fiber_loop(), &call.job, e);
    if (rc != 0) {
        return rc;
    }
    // The worker uses this frame, so a cancelled fiber stays until it is finished.
    bool cancelled = false;
    while (!call.done) {
        if (fiber_park("job", NEVER_NS) == ERR_CANCELLED) {
            cancelled = true;
            fiber_clear_cancel();
        }
    }
    if (cancelled) {
        fiber_cancel(fiber_self());
        return err_set(e, ERR_CANCELLED, "cancelled");
    }
    return 0;
}
