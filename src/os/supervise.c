#include "os/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/sanitizer.h"
#include "os/signal.h"

enum {
    STACK_BYTES = 128 << 10,   // of the command's process until it is the command
    SCRATCH_BYTES = 256 << 10, // for what is read from /proc
    PATH_BYTES = 4096,
    TICK_MS = 20,                // how often watched files are looked at
    TICK_IDLE_MS = 250,          // and whether our own program still lives
    SHED_BYTES = 256 << 10,      // mappings that are worth giving back
    RSS_SLACK_BYTES = 512 << 10, // the kernel counts pages in batches for each CPU
    KILL_ROUNDS = 2000,          // of a millisecond: what does not die in two seconds stays
};

typedef enum Stage { STAGE_ENTER, STAGE_START, STAGE_DIRECTORY, STAGE_EXEC, STAGE_DONE } Stage;

// Shared by our program, the supervisor and the command's process until its exec. Everything that
// the latter two touch is in here, because the supervisor drops the heap.
typedef struct Job {
    char **argv;
    char **env;
    const char *search; // PATH
    const char *directory;
    int fds[3];
    int64_t timeout_ns;
    int watched[SUPERVISE_WATCHED_MAX];
    int64_t watched_bytes_max;
    int control; // its other end is held by our program: closed or written means stop
    pid_t parent;
    int maps_fd, clear_fd, children_fd; // of /proc, opened before a sandbox may hide it
    int counter_fd;
    Stage stage; // what did not work, with errno_value
    int errno_value;
    bool cancelled;
    int64_t start_ns;
    SuperviseEnd end;
    char *stack;
    char *scratch;
    size_t bytes; // of the mapping
} Job;

static int64_t now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int64_t timeval_ns(struct timeval tv)
{
    return (int64_t)tv.tv_sec * NS_PER_S + (int64_t)tv.tv_usec * NS_PER_US;
}

// ---- in the command's process, which shares the supervisor's memory until exec

static int give_up(Job *job, Stage stage)
{
    job->stage = stage;
    job->errno_value = errno;
    return 127;
}

// The shell's search, without its extras: an empty element is the current directory.
static const char *search_path(Job *job, char path[PATH_BYTES])
{
    const char *name = job->argv[0];
    if (strchr(name, '/') || !*name) {
        return name;
    }
    int found = ENOENT;
    for (const char *at = job->search; *at;) {
        size_t len = strcspn(at, ":");
        int n = snprintf(path, PATH_BYTES, "%.*s/%s", len ? (int)len : 1, len ? at : ".", name);
        struct stat st;
        if (n > 0 && n < PATH_BYTES && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            if (access(path, X_OK) == 0) {
                return path;
            }
            found = EACCES;
        }
        at += len + (at[len] == ':');
    }
    errno = found;
    return NULL;
}

// No instrumentation: the stack is ours, and exec never returns to clean its shadow.
__attribute__((no_sanitize("address", "thread", "undefined"))) static int command_main(void *arg)
{
    Job *job = arg;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setsid();
    for (int i = 0; i < 3; i++) {
        if (job->fds[i] != i && dup2(job->fds[i], i) < 0) {
            return give_up(job, STAGE_START);
        }
    }
    (void)syscall(SYS_close_range, 3U, ~0U, 0U);
    if (job->directory && chdir(job->directory) != 0) {
        return give_up(job, STAGE_DIRECTORY);
    }
    char buffer[PATH_BYTES];
    const char *path = search_path(job, buffer);
    if (!path) {
        return give_up(job, STAGE_EXEC);
    }
    sigset_t none;
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    struct rusage own; // the memory is the supervisor's still
    (void)getrusage(RUSAGE_SELF, &own);
    job->end.rss_floor_bytes = (int64_t)own.ru_maxrss * 1024 + RSS_SLACK_BYTES;
    job->start_ns = now_ns();
    (void)execve(path, job->argv, job->env);
    return give_up(job, STAGE_EXEC);
}

// ---- in the supervisor

// Instructions of everything that this process will start, counted from its exec on. -1: the
// machine has no such counter, or we may not use it.
static int open_counter(void)
{
    struct perf_event_attr attr = {
        .size = sizeof attr,
        .type = PERF_TYPE_HARDWARE,
        .config = PERF_COUNT_HW_INSTRUCTIONS,
        .disabled = 1,
        .enable_on_exec = 1,
        .inherit = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static const char *parse_hex(const char *at, uintptr_t *ret_value)
{
    uintptr_t value = 0;
    for (;; at++) {
        int digit = *at >= '0' && *at <= '9'   ? *at - '0'
                    : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10
                                               : -1;
        if (digit < 0) {
            *ret_value = value;
            return at;
        }
        value = value << 4 | (uintptr_t)digit;
    }
}

// One line of /proc/self/maps: "low-high rw-p 00000000 00:00 0   [heap]".
static void shed_line(const char *line, size_t len)
{
    uintptr_t low, high;
    const char *at = parse_hex(line, &low);
    if (*at != '-') {
        return;
    }
    at = parse_hex(at + 1, &high);
    static const char PRIVATE[] = " rw-p 00000000 00:00 0";
    uintptr_t here = (uintptr_t)&len;
    uintptr_t thread = (uintptr_t)&errno;
    bool ours = (low <= here && here < high) || (low <= thread && thread < high);
    size_t left = len - (size_t)(at - line);
    if (high - low < SHED_BYTES || ours || left < sizeof PRIVATE - 1 ||
        memcmp(at, PRIVATE, sizeof PRIVATE - 1) != 0) {
        return;
    }
    for (size_t i = sizeof PRIVATE - 1; i < left; i++) {
        if (at[i] == '[' && memcmp(at + i, "[heap]", 6) != 0) {
            return; // a stack
        }
    }
    (void)madvise((void *)low, high - low, MADV_DONTNEED);
}

// The kernel counts the largest memory that a process had before exec as its own, and our
// program's may be many times the command's. So the supervisor forgets the big anonymous mappings
// that it got by fork (nothing behind this point may use the heap) and resets the high-water mark.
static void forget_mappings(Job *job)
{
    ssize_t len = 0, n;
    while (len < SCRATCH_BYTES - 1 &&
           (n = read(job->maps_fd, job->scratch + len, (size_t)(SCRATCH_BYTES - 1 - len))) > 0) {
        len += n;
    }
    job->scratch[len > 0 ? len : 0] = '\0';
    for (const char *line = job->scratch; *line;) {
        size_t bytes = strcspn(line, "\n");
        shed_line(line, bytes);
        line += bytes + (line[bytes] == '\n');
    }
}

static void shed_memory(Job *job)
{
    if (SANITIZER_STACK_FACTOR == 1) { // else the mappings are the sanitizer's
        forget_mappings(job);
    }
    (void)!write(job->clear_fd, "5", 1);
}

static bool too_large(const Job *job)
{
    struct stat st;
    for (int i = 0; i < SUPERVISE_WATCHED_MAX; i++) {
        if (job->watched[i] > 0 && fstat(job->watched[i], &st) == 0 &&
            st.st_size > job->watched_bytes_max) {
            return true;
        }
    }
    return false;
}

static bool watches(const Job *job)
{
    return job->watched[0] > 0 || job->watched[1] > 0;
}

static int tick_ms(const Job *job)
{
    int tick = watches(job) ? TICK_MS : TICK_IDLE_MS;
    if (job->timeout_ns > 0) {
        int64_t left = (job->start_ns + job->timeout_ns - now_ns()) / NS_PER_MS + 1;
        tick = left < tick ? (int)(left > 0 ? left : 0) : tick;
    }
    return tick;
}

// Until the command has ended or must.
static void watch(Job *job, pid_t pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd fds[] = {{.fd = pidfd, .events = POLLIN}, {.fd = job->control, .events = POLLIN}};
    for (;;) {
        (void)poll(fds, 2, tick_ms(job));
        if (fds[0].revents || pidfd < 0) {
            break;
        }
        job->cancelled = fds[1].revents || getppid() != job->parent;
        job->end.timed_out = job->timeout_ns > 0 && now_ns() >= job->start_ns + job->timeout_ns;
        job->end.overflowed = watches(job) && too_large(job);
        if (job->cancelled || job->end.timed_out || job->end.overflowed) {
            (void)kill(-pid, SIGKILL);
            (void)kill(pid, SIGKILL); // it may not have become a leader yet
            break;
        }
    }
}

static void reap(Job *job, pid_t pid)
{
    int status = 0;
    struct rusage usage = {0};
    siginfo_t info;
    SuperviseEnd *end = &job->end;
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    end->wall_ns = now_ns() - job->start_ns;
    while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    end->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    end->user_ns = timeval_ns(usage.ru_utime);
    end->system_ns = timeval_ns(usage.ru_stime);
    int64_t rss = (int64_t)usage.ru_maxrss * 1024;
    end->rss_max_bytes = rss > end->rss_floor_bytes ? rss : 0;
    end->read_bytes = (int64_t)usage.ru_inblock * 512; // the kernel's unit, whatever the disk's
    end->written_bytes = (int64_t)usage.ru_oublock * 512;
    end->faults_minor = (uint64_t)usage.ru_minflt;
    end->faults_major = (uint64_t)usage.ru_majflt;
    end->switches = (uint64_t)(usage.ru_nvcsw + usage.ru_nivcsw);
    if (watches(job) && too_large(job)) {
        end->overflowed = true;
    }
}

// Takes those of our children that have ended; the CPU time is that of orphans.
static void reap_orphans(Job *job)
{
    struct rusage usage;
    while (wait4(-1, NULL, WNOHANG, &usage) > 0) {
        job->end.survivors_cpu_ns += timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
    }
}

// Kills the children that /proc lists for us and returns how many there were.
static unsigned kill_children(Job *job)
{
    ssize_t len = pread(job->children_fd, job->scratch, SCRATCH_BYTES - 1, 0);
    unsigned count = 0;
    pid_t pid = 0;
    for (ssize_t i = 0; i < len; i++) {
        char c = job->scratch[i];
        if (c >= '0' && c <= '9') {
            pid = pid * 10 + (c - '0');
        } else if (pid > 0) {
            (void)kill(pid, SIGKILL);
            count++;
            pid = 0;
        }
    }
    return count;
}

// Orphans come to us, whatever session they fled to. One that is killed sends its own children
// here, so it takes rounds.
static void end_survivors(Job *job, pid_t group)
{
    unsigned alive = 0;
    reap_orphans(job); // those that had ended before are no survivors
    for (int round = 0; round < KILL_ROUNDS; round++) {
        unsigned count = kill_children(job);
        // Where /proc is hidden, or the orphans belong to another, at least the group goes. Its
        // number is not given to others while it has members.
        (void)kill(-group, SIGKILL);
        alive = count > alive ? count : alive;
        reap_orphans(job);
        if (count == 0) {
            break;
        }
        (void)poll(NULL, 0, 1);
    }
    job->end.survivors = alive;
}

static bool start_command(Job *job, pid_t *ret_pid)
{
    job->stage = STAGE_DONE;
    pid_t pid =
        clone(command_main, job->stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | SIGCHLD, job);
    if (pid < 0) {
        (void)give_up(job, STAGE_START);
        return false;
    }
    if (job->stage != STAGE_DONE) { // it shares this memory, and ended before exec
        (void)waitpid(pid, NULL, 0);
        return false;
    }
    *ret_pid = pid;
    return true;
}

static void supervisor_main(Job *job, const SuperviseOptions *o)
{
    (void)setsid();
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    job->maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    job->clear_fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    job->children_fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    job->counter_fd = open_counter();
    int entered = o->enter_fn ? o->enter_fn(o->enter_ctx) : 0;
    if (entered != 0) {
        job->errno_value = entered < 0 ? errno : entered;
        job->stage = STAGE_ENTER;
        return;
    }
    shed_memory(job);
    pid_t pid;
    if (!start_command(job, &pid)) {
        return;
    }
    watch(job, pid);
    reap(job, pid);
    end_survivors(job, pid);
    uint64_t instructions;
    if (job->counter_fd >= 0 &&
        read(job->counter_fd, &instructions, sizeof instructions) == sizeof instructions) {
        job->end.instructions = instructions;
    }
}

// ---- in our program

static size_t strings_bytes(const char *const *strings, size_t *count)
{
    size_t bytes = 0;
    for (; *strings; strings++, (*count)++) {
        bytes += strlen(*strings) + 1;
    }
    (*count)++;
    return bytes;
}

static char **copy_strings(const char *const *strings, char ***pointers, char **text)
{
    char **first = *pointers;
    for (; *strings; strings++) {
        size_t len = strlen(*strings) + 1;
        memcpy(*text, *strings, len);
        *(*pointers)++ = *text;
        *text += len;
    }
    *(*pointers)++ = NULL;
    return first;
}

static const char *path_of(char *const *env)
{
    for (; *env; env++) {
        if (strncmp(*env, "PATH=", 5) == 0) {
            return *env + 5;
        }
    }
    return "/usr/local/bin:/usr/bin:/bin";
}

static int job_create(const SuperviseOptions *o, Job **ret_job, Err *e)
{
    size_t count = 0;
    size_t bytes = strings_bytes(o->argv, &count) + strings_bytes(o->env, &count);
    size_t directory = o->directory ? strlen(o->directory) + 1 : 0;
    if (bytes + directory > SUPERVISE_BYTES_MAX || count > SUPERVISE_STRINGS_MAX) {
        return err_set(e, ERR_LIMIT, "arguments and environment are %zu bytes, the limit is %d",
                       bytes + directory, SUPERVISE_BYTES_MAX);
    }
    size_t total =
        sizeof(Job) + 16 + STACK_BYTES + SCRATCH_BYTES + count * sizeof(char *) + bytes + directory;
    char *map = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        return err_errno(e, ERR_LIMIT, errno, "no memory for a sample");
    }
    Job *job = (void *)map;
    *job = (Job){.timeout_ns = o->timeout_ns, .watched_bytes_max = o->watched_bytes_max};
    job->bytes = total;
    job->stack = map + ((sizeof(Job) + 15) & ~(size_t)15);
    job->scratch = job->stack + STACK_BYTES;
    char **pointers = (void *)(job->scratch + SCRATCH_BYTES);
    char *text = (char *)(pointers + count);
    job->argv = copy_strings(o->argv, &pointers, &text);
    job->env = copy_strings(o->env, &pointers, &text);
    job->search = path_of(job->env);
    if (directory > 0) {
        job->directory = memcpy(text, o->directory, directory);
    }
    memcpy(job->fds, o->fds, sizeof job->fds);
    memcpy(job->watched, o->watched, sizeof job->watched);
    job->parent = getpid();
    job->stage = STAGE_START;
    *ret_job = job;
    return 0;
}

// Waits for the supervisor, and tells it to stop when somebody wants that. True: it was killed.
static bool await(pid_t pid, int pidfd, int cancel_fd, int control)
{
    struct pollfd fds[] = {{.fd = pidfd, .events = POLLIN},
                           {.fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN}};
    while (pidfd >= 0) {
        int n = poll(fds, 2, -1);
        if (n < 0 && errno != EINTR) {
            break;
        }
        if (n > 0 && fds[0].revents) {
            break;
        }
        if (n > 0 && fds[1].revents) {
            (void)!write(control, "", 1);
            fds[1].fd = -1;
        }
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return !WIFEXITED(status);
}

static int failure(const Job *job, bool supervisor_died, Err *e)
{
    int code = job->errno_value;
    const char *program = job->argv[0];
    if (supervisor_died) {
        return err_set(e, ERR_IO, "the process that watched over '%s' was killed", program);
    }
    if (job->cancelled) {
        return err_set(e, ERR_CANCELLED, "'%s' was stopped", program);
    }
    switch (job->stage) {
    case STAGE_DONE: return 0;
    case STAGE_ENTER:
        return err_errno(e, ERR_REFUSED, code, "cannot enter the sandbox for '%s' (%d)", program,
                         code);
    case STAGE_START: return err_errno(e, ERR_LIMIT, code, "cannot start '%s'", program);
    case STAGE_DIRECTORY:
        return err_errno(e, ERR_NOT_FOUND, code, "cannot start in '%s'", job->directory);
    case STAGE_EXEC: break;
    }
    bool missing = code == ENOENT || code == ENOTDIR;
    return err_errno(e, missing ? ERR_NOT_FOUND : ERR_IO, code, "cannot run '%s'", program);
}

static int fork_supervisor(const SuperviseOptions *o, Job *job, Err *e)
{
    int control[2];
    if (pipe2(control, O_CLOEXEC) < 0) {
        return err_errno(e, ERR_LIMIT, errno, "cannot open a pipe");
    }
    job->control = control[0];
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(control[1]);
        supervisor_main(job, o);
        _exit(job->stage == STAGE_DONE ? 0 : 1);
    }
    int fork_errno = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)close(control[0]);
    bool died = false;
    if (pid > 0) {
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        died = await(pid, pidfd, o->cancel_fd, control[1]);
        if (pidfd >= 0) {
            (void)close(pidfd);
        }
    }
    (void)close(control[1]);
    return pid < 0 ? err_errno(e, ERR_LIMIT, fork_errno, "cannot fork") : failure(job, died, e);
}

int supervise_run(const SuperviseOptions *options, SuperviseEnd *ret_end, Err *e)
{
    if (!options->argv || !options->argv[0] || !options->env) {
        return err_set(e, ERR_ARG, "a command needs a program and an environment");
    }
    Job *job = NULL;
    int rc = job_create(options, &job, e);
    if (rc != 0) {
        return rc;
    }
    rc = fork_supervisor(options, job, e);
    if (rc == 0) {
        *ret_end = job->end;
    }
    (void)munmap(job, job->bytes);
    return rc;
}
