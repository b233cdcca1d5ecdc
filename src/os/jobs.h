// JobPool: threads for work that blocks (files, SQLite commits, getaddrinfo) or computes for long.
// The answer comes back on the loop that asked.
//
// A Job is embedded in the caller's object. run() is called on a worker thread and touches only
// that object; then done() is called on the job's loop. The queue is bounded: a full one refuses,
// and the caller decides what that means. Jobs are not cancelled; they are short or know their own
// deadline.
//
//     JobPool *pool;
//     jobs_create(&(JobOptions){.name = "files", .threads = 2, .queue_max = 256}, &pool, e);
//     job->run = read_it; job->done = on_read;
//     rc = jobs_submit(pool, loop, job, e);
//
// or, inside a fiber, blocking only that fiber:
//
//     rc = jobs_call(pool, compute, &state, e);
//
// jobs_submit from any thread that owns `loop`.
#ifndef OS_JOBS_H
#define OS_JOBS_H

#include "base/err.h"
#include "os/loop.h"

typedef struct JobPool JobPool;
typedef struct Job Job;

struct Job {
    void (*run)(Job *job);  // on a worker thread
    void (*done)(Job *job); // on the loop's thread; may free the job. May be NULL.
    // The pool's:
    JobPool *pool;
    Loop *loop;
    Job *next;
};

typedef struct JobOptions {
    const char *name; // of the threads
    int threads;      // 1..JOB_THREADS_MAX
    size_t queue_max; // jobs waiting for a thread
} JobOptions;

enum { JOB_THREADS_MAX = 64 };

MUST_USE int jobs_create(const JobOptions *options, JobPool **ret_pool, Err *e);
// Every job was delivered (jobs_drain). NULL is fine.
void jobs_destroy(JobPool *pool);

// ERR_FULL, with the job untouched, when queue_max jobs wait.
MUST_USE int jobs_submit(JobPool *pool, Loop *loop, Job *job, Err *e);
size_t jobs_outstanding(JobPool *pool); // submitted and not delivered yet
// Runs the loop until every job of the pool was delivered. All of them must belong to this loop.
void jobs_drain(JobPool *pool, Loop *loop);

// For fibers: runs fn(arg) on a worker while this fiber is parked. ERR_FULL as above, ERR_CANCELLED
// when the fiber was cancelled; either fn was not called, or it has returned: never leaves it
// behind with `arg`.
MUST_USE int jobs_call(JobPool *pool, void (*fn)(void *arg), void *arg, Err *e);

#endif
