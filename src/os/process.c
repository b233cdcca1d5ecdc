#include "os/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/fiber.h"
#include "os/signal.h"

enum { OUTPUT_BYTES = 16 << 10, READS_PER_ROUND = 16 };
static const int64_t POLL_NS = 2 * NS_PER_MS;
static const int64_t GRACE_NS = 2 * NS_PER_S;

typedef struct Pipe {
    LoopIo io; // our end
    Process *process;
    ProcessStream stream;
} Pipe;

struct Process {
    ProcessOptions options;
    pid_t pid;
    LoopIo exited; // a pidfd
    Pipe in;
    Pipe out;
    Pipe err;
    Slice input;  // not written yet
    Buf talk;     // the same for a child that is talked to
    bool hang_up; // close its input once `talk` is written
    LoopTimer deadline;
    LoopTimer poll; // where there are no pidfds (sandboxes, valgrind)
    int64_t start_ns;
    bool waited;
    bool terminated; // SIGTERM was sent at the deadline
    ProcessEnd end;
};

static void close_pipe(Pipe *pipe)
{
    int fd = pipe->io.fd;
    if (fd >= 0) {
        loop_io_remove(pipe->process->options.loop, &pipe->io);
        (void)close(fd);
    }
}

static void process_free(Process *p)
{
    int fd = p->exited.fd;
    loop_io_remove(p->options.loop, &p->exited);
    if (fd >= 0) {
        (void)close(fd);
    }
    close_pipe(&p->in);
    close_pipe(&p->out);
    close_pipe(&p->err);
    loop_timer_cancel(p->options.loop, &p->deadline);
    loop_timer_cancel(p->options.loop, &p->poll);
    buf_done(&p->talk);
    free(p);
}

// The end is known when the process is gone and nobody holds its output open.
static void finish_if_over(Process *p)
{
    if (!p->waited || p->out.io.fd >= 0 || p->err.io.fd >= 0) {
        return;
    }
    ProcessEnd end = p->end;
    void (*end_fn)(void *, const ProcessEnd *) = p->options.end_fn;
    void *ctx = p->options.ctx;
    process_free(p);
    if (end_fn) {
        end_fn(ctx, &end);
    }
}

static int64_t grace_ns(const Process *p)
{
    return p->options.grace_ns ? p->options.grace_ns : GRACE_NS;
}

static int64_t timeval_ns(struct timeval tv)
{
    return (int64_t)tv.tv_sec * NS_PER_S + (int64_t)tv.tv_usec * NS_PER_US;
}

// The process is a zombie, or will be soon.
static bool reap(Process *p)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) {
        return false;
    }
    int status;
    struct rusage usage;
    // What it left behind in its group goes too, which also closes its output. Before waiting: the
    // zombie keeps the group's number from being given to somebody else.
    (void)kill(-p->pid, SIGKILL);
    if (wait4(p->pid, &status, 0, &usage) != p->pid) {
        return false;
    }
    p->waited = true;
    p->end.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    p->end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    p->end.wall_ns = loop_clock(p->options.loop) - p->start_ns;
    p->end.user_ns = timeval_ns(usage.ru_utime);
    p->end.system_ns = timeval_ns(usage.ru_stime);
    p->end.rss_max_bytes = (int64_t)usage.ru_maxrss * 1024;
    close_pipe(&p->in);
    // A grandchild that left the group may hold the output open; we do not wait long for that.
    loop_timer_set(p->options.loop, &p->deadline,
                   clock_deadline(loop_now(p->options.loop), grace_ns(p)));
    return true;
}

static void on_exit_event(LoopIo *io, unsigned events)
{
    (void)events;
    Process *p = CONTAINER_OF(io, Process, exited);
    if (reap(p)) {
        int fd = io->fd;
        loop_io_remove(p->options.loop, io);
        (void)close(fd);
        finish_if_over(p);
    }
}

static void on_poll(LoopTimer *timer)
{
    Process *p = CONTAINER_OF(timer, Process, poll);
    if (reap(p)) {
        finish_if_over(p);
    } else {
        loop_timer_set(p->options.loop, timer, loop_now(p->options.loop) + POLL_NS);
    }
}

static void on_output(LoopIo *io, unsigned events)
{
    (void)events;
    Pipe *pipe = CONTAINER_OF(io, Pipe, io);
    Process *p = pipe->process;
    char bytes[OUTPUT_BYTES / 4];
    for (int i = 0; i < READS_PER_ROUND; i++) {
        ssize_t n = read(io->fd, bytes, sizeof bytes);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            close_pipe(pipe);
            finish_if_over(p);
            return;
        }
        if (p->options.output_fn) {
            p->options.output_fn(p->options.ctx, pipe->stream, (Slice){bytes, (size_t)n});
        }
    }
}

static void on_input(LoopIo *io, unsigned events)
{
    (void)events;
    Pipe *pipe = CONTAINER_OF(io, Pipe, io);
    Process *p = pipe->process;
    ssize_t n = write(io->fd, p->input.ptr, p->input.len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    p->input = n > 0 ? slice_sub(p->input, (size_t)n, p->input.len) : (Slice){NULL, 0};
    if (p->input.len == 0) {
        close_pipe(pipe); // all written, or the child does not read any more
    }
}

// Watching for room costs a round of the loop each time, so it is done only while bytes wait.
static void watch_for_room(Process *p)
{
    unsigned events = p->talk.len > 0 ? LOOP_WRITE : 0;
    if (p->in.io.events != events &&
        loop_io_change(p->options.loop, &p->in.io, events, NULL) != 0) {
        close_pipe(&p->in);
    }
}

static void flush_talk(Process *p)
{
    while (p->in.io.fd >= 0 && p->talk.len > 0) {
        ssize_t n = write(p->in.io.fd, p->talk.data, p->talk.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n <= 0) {
            close_pipe(&p->in); // the child does not read any more
            return;
        }
        buf_consume(&p->talk, (size_t)n);
    }
    if (p->in.io.fd < 0) {
        return;
    }
    if (p->hang_up && p->talk.len == 0) {
        close_pipe(&p->in);
    } else {
        watch_for_room(p);
    }
}

// Also called for the error that epoll always reports: the child closed its end.
static void on_talk(LoopIo *io, unsigned events)
{
    Process *p = CONTAINER_OF(CONTAINER_OF(io, Pipe, io), Process, in);
    if (events & LOOP_HANGUP) {
        close_pipe(&p->in);
    } else {
        flush_talk(p);
    }
}

int process_write(Process *process, Slice bytes, Err *e)
{
    if (process->in.io.fd < 0 || process->hang_up || process->waited) {
        return err_set(e, ERR_CLOSED, "process %d does not read its input any more",
                       (int)process->pid);
    }
    if (bytes.len > process->talk.max - process->talk.len) {
        return err_set(e, ERR_FULL, "process %d does not read its input: %zu bytes are waiting",
                       (int)process->pid, process->talk.len);
    }
    buf_append(&process->talk, bytes);
    flush_talk(process);
    return 0;
}

void process_close_input(Process *process)
{
    process->hang_up = true;
    flush_talk(process);
}

void process_abandon(Process *process)
{
    if (!process) {
        return;
    }
    if (!process->waited) {
        (void)kill(-process->pid, SIGKILL);
        (void)waitpid(process->pid, NULL, 0);
    }
    process_free(process);
}

void process_kill(Process *process, int signal_number)
{
    if (!process->waited) {
        (void)kill(-process->pid, signal_number);
    }
}

pid_t process_pid(const Process *process)
{
    return process->pid;
}

static void on_deadline(LoopTimer *timer)
{
    Process *p = CONTAINER_OF(timer, Process, deadline);
    if (p->waited) {
        close_pipe(&p->out);
        close_pipe(&p->err);
        finish_if_over(p);
        return;
    }
    p->end.timed_out = true;
    process_kill(p, p->terminated ? SIGKILL : SIGTERM);
    if (!p->terminated) {
        p->terminated = true;
        loop_timer_set(p->options.loop, timer,
                       clock_deadline(loop_now(p->options.loop), grace_ns(p)));
    }
}

// ---- starting

const char *process_path(void)
{
    const char *path = getenv("PATH");
    return path ? path : "/usr/local/bin:/usr/bin:/bin";
}

typedef struct Fds {
    int in[2];
    int out[2];
    int err[2];
} Fds;

static void close_fds(Fds *fds)
{
    int *all[] = {fds->in, fds->out, fds->err};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        for (int k = 0; k < 2; k++) {
            if (all[i][k] >= 0) {
                (void)close(all[i][k]);
                all[i][k] = -1;
            }
        }
    }
}

static int open_pipes(const ProcessOptions *o, Fds *fds, Err *e)
{
    *fds = (Fds){{-1, -1}, {-1, -1}, {-1, -1}};
    bool piped = o->input.len > 0 || o->talk_bytes_max > 0;
    bool bad = piped && pipe2(fds->in, O_CLOEXEC) < 0;
    if (!o->inherit_output) {
        bad = bad || pipe2(fds->out, O_CLOEXEC) < 0;
        bad = bad || (!o->merge_err && pipe2(fds->err, O_CLOEXEC) < 0);
    }
    if (bad) {
        int rc = err_errno(e, ERR_LIMIT, errno, "cannot open a pipe");
        close_fds(fds);
        return rc;
    }
    return 0;
}

// What the child does before exec. The calls only fail for lack of memory, which is die()'s.
static void fill_actions(const ProcessOptions *o, const Fds *fds,
                         posix_spawn_file_actions_t *actions)
{
    if (o->directory) {
        (void)posix_spawn_file_actions_addchdir_np(actions, o->directory);
    }
    if (fds->in[0] >= 0) {
        (void)posix_spawn_file_actions_adddup2(actions, fds->in[0], 0);
    } else {
        (void)posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    }
    if (!o->inherit_output) {
        (void)posix_spawn_file_actions_adddup2(actions, fds->out[1], 1);
        (void)posix_spawn_file_actions_adddup2(actions, o->merge_err ? fds->out[1] : fds->err[1],
                                               2);
    } else if (o->merge_err) {
        (void)posix_spawn_file_actions_adddup2(actions, 1, 2);
    }
    (void)posix_spawn_file_actions_addclosefrom_np(actions, 3);
}

static int spawn(const ProcessOptions *o, const Fds *fds, pid_t *ret_pid, Err *e)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attr);
    fill_actions(o, fds, &actions);
    sigset_t mask;
    sigset_t defaults;
    signals_set_of_children(&mask, &defaults);
    (void)posix_spawnattr_setsigmask(&attr, &mask);
    (void)posix_spawnattr_setsigdefault(&attr, &defaults);
    (void)posix_spawnattr_setpgroup(&attr, 0);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    // exec takes pointers to non-const for historical reasons and does not write.
    char *const *argv = (char *const *)(uintptr_t)o->argv;
    char *const *envp = o->envp ? (char *const *)(uintptr_t)o->envp : environ;
    int reason = posix_spawnp(ret_pid, argv[0], &actions, &attr, argv, envp);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (reason == 0) {
        return 0;
    }
    int code = reason == ENOENT                       ? ERR_NOT_FOUND
               : reason == EAGAIN || reason == ENOMEM ? ERR_LIMIT
                                                      : ERR_IO;
    return err_errno(e, (ErrCode)code, reason, "cannot start '%s'", argv[0]);
}

static int watch_pipe(Process *p, Pipe *pipe, int *fd, LoopIoFn *fn, unsigned events, Err *e)
{
    loop_io_init(&pipe->io, fn);
    pipe->process = p;
    if (*fd < 0) {
        return 0;
    }
    (void)fcntl(*fd, F_SETFL, O_NONBLOCK);
    int rc = loop_io_add(p->options.loop, &pipe->io, *fd, events, e);
    if (rc == 0) {
        *fd = -1; // the pipe's now
    }
    return rc;
}

static int watch_process(Process *p, Fds *fds, Err *e)
{
    loop_io_init(&p->exited, on_exit_event);
    loop_timer_init(&p->deadline, on_deadline);
    loop_timer_init(&p->poll, on_poll);
    p->out.stream = PROCESS_OUT;
    p->err.stream = PROCESS_ERR;
    bool talks = p->options.talk_bytes_max > 0;
    int rc =
        watch_pipe(p, &p->in, &fds->in[1], talks ? on_talk : on_input, talks ? 0 : LOOP_WRITE, e);
    int rc_out = watch_pipe(p, &p->out, &fds->out[0], on_output, LOOP_READ, e);
    int rc_err = watch_pipe(p, &p->err, &fds->err[0], on_output, LOOP_READ, e);
    rc = rc ? rc : rc_out ? rc_out : rc_err;
    if (rc != 0) {
        return rc;
    }
    int pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (pidfd < 0 && (errno == ENOSYS || errno == EPERM)) {
        loop_timer_set(p->options.loop, &p->poll, loop_clock(p->options.loop) + POLL_NS);
        return 0;
    }
    if (pidfd < 0) {
        return err_errno(e, ERR_LIMIT, errno, "cannot watch process %d", (int)p->pid);
    }
    rc = loop_io_add(p->options.loop, &p->exited, pidfd, LOOP_READ, e);
    if (rc != 0) {
        (void)close(pidfd);
    }
    return rc;
}

int process_start(const ProcessOptions *options, Process **ret_process, Err *e)
{
    Fds fds;
    int rc = open_pipes(options, &fds, e);
    if (rc != 0) {
        return rc;
    }
    pid_t pid;
    rc = spawn(options, &fds, &pid, e);
    if (rc != 0) {
        close_fds(&fds);
        return rc;
    }
    Process *p = mem_zalloc(sizeof *p);
    p->options = *options;
    p->pid = pid;
    p->input = options->input;
    p->talk = buf_create(options->talk_bytes_max);
    p->start_ns = loop_clock(options->loop);
    rc = watch_process(p, &fds, e);
    close_fds(&fds);
    if (rc != 0) {
        // A child that cannot be watched is not left running.
        (void)kill(-pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        process_free(p);
        return rc;
    }
    if (options->timeout_ns > 0) {
        loop_timer_set(options->loop, &p->deadline,
                       clock_deadline(p->start_ns, options->timeout_ns));
    }
    *ret_process = p;
    return 0;
}

// ---- in a fiber

ProcessResult process_result_create(size_t output_bytes_max)
{
    return (ProcessResult){.out = buf_create(output_bytes_max),
                           .err = buf_create(output_bytes_max)};
}

void process_result_done(ProcessResult *result)
{
    buf_done(&result->out);
    buf_done(&result->err);
}

typedef struct Run {
    ProcessResult *result;
    Fiber *fiber;
    bool ended;
} Run;

static void run_output(void *ctx, ProcessStream stream, Slice bytes)
{
    Run *run = ctx;
    Buf *buf = stream == PROCESS_OUT ? &run->result->out : &run->result->err;
    size_t room = buf->max - buf->len;
    buf_append(buf, slice_sub(bytes, 0, room));
    if (bytes.len > room) {
        buf->overflowed = true;
    }
}

static void run_end(void *ctx, const ProcessEnd *end)
{
    Run *run = ctx;
    run->result->end = *end;
    run->ended = true;
    if (run->fiber) {
        fiber_resume(run->fiber);
    }
}

static int timed_out(const ProcessOptions *options, Err *e)
{
    return err_set(e, ERR_TIMEOUT, "'%s' did not end within %lld ms", options->argv[0],
                   (long long)(options->timeout_ns / NS_PER_MS));
}

// Without a loop of the caller's: one that turns until the process has ended.
static int run_blocking(ProcessOptions *o, Run *run, Err *e)
{
    int rc = loop_create(&(LoopOptions){0}, &o->loop, e);
    if (rc != 0) {
        return rc;
    }
    Process *process;
    rc = process_start(o, &process, e);
    while (rc == 0 && !run->ended) {
        (void)loop_tick(o->loop, NEVER_NS);
    }
    loop_destroy(o->loop);
    return rc == 0 && run->result->end.timed_out ? timed_out(o, e) : rc;
}

int process_run(const ProcessOptions *options, ProcessResult *result, Err *e)
{
    Run run = {.result = result, .fiber = options->loop ? fiber_self() : NULL};
    ProcessOptions o = *options;
    o.output_fn = run_output;
    o.end_fn = run_end;
    o.ctx = &run;
    if (!o.loop) {
        return run_blocking(&o, &run, e);
    }
    Process *process;
    int rc = process_start(&o, &process, e);
    if (rc != 0) {
        return rc;
    }
    bool cancelled = false;
    while (!run.ended) {
        if (fiber_park("process", NEVER_NS) == ERR_CANCELLED) {
            cancelled = true;
            fiber_clear_cancel();
            process_kill(process, SIGKILL);
        }
    }
    if (cancelled) {
        fiber_cancel(fiber_self());
        return err_set(e, ERR_CANCELLED, "cancelled");
    }
    return result->end.timed_out ? timed_out(options, e) : 0;
}
