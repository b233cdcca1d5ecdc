#include "os/sandbox_watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "os/sandbox_internal.h"

enum { TEXT_BYTES = 2000, STAT_BLOCK_BYTES = 512, PROC_FIELD_UTIME = 14, PROC_FIELD_RSS = 24 };
// Below this much free space, whoever fills it is stopped: others need the disk too.
static const uint64_t RESERVE_BYTES = (uint64_t)256 << 20;

const char *const SANDBOX_BREACH_NAMES[SANDBOX_BREACHES + 1] = {
    "within limits", "memory", "processes", "disk", "disk full", NULL};

struct SandboxWatch {
    SandboxWatchOptions options;
    SandboxOptions limits; // with defaults
    LoopTimer timer;
    SandboxBreach breach;
    SandboxUsage usage;
    uint64_t free_at_start[SANDBOX_MOUNTS_MAX];
    uint64_t used_at_start;
};

// ---- processes

static ssize_t read_small(int directory, const char *path, char text[TEXT_BYTES])
{
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = read(fd, text, TEXT_BYTES - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = 0;
    return n;
}

pid_t sandbox_first_child(pid_t pid)
{
    char path[64];
    char text[TEXT_BYTES];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    return read_small(AT_FDCWD, path, text) > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

// While bwrap sets up, the root of its child is still the host's, and so its /proc. It is the
// sandbox's when the first process in it is the one whose root we went through.
int sandbox_open_proc(pid_t init)
{
    char path[64];
    struct stat seen;
    struct stat wanted;
    (void)snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)init);
    if (stat(path, &wanted) < 0) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "/proc/%d/root/proc", (int)init);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && (fstatat(fd, "1/ns/pid", &seen, 0) < 0 || seen.st_ino != wanted.st_ino)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

// Adds one process from its stat line. The name in parentheses may hold anything, so fields count
// from the last ')'.
//
// Resident sizes count a page once for each process that shares it, so a server that forks workers
// looks far too big. `shared_out`: proportional sizes instead, which cost a walk through every
// page table and are asked for only to convict.
static uint64_t proportional_bytes(int proc, const char *name)
{
    char path[NAME_MAX + 16];
    char text[TEXT_BYTES];
    (void)snprintf(path, sizeof path, "%s/smaps_rollup", name);
    const char *at = read_small(proc, path, text) > 0 ? strstr(text, "\nPss:") : NULL;
    return at ? (uint64_t)strtoull(at + strlen("\nPss:"), NULL, 10) * 1024 : 0;
}

// Field `wanted` of the line behind the name, which `at` (field 3, the state) begins.
static int64_t stat_field(const char *at, int wanted)
{
    for (int field = 3; field < wanted && at; field++) {
        at = strchr(at + 1, ' ');
    }
    return at ? strtoll(at, NULL, 10) : 0;
}

static void add_process(int proc, const char *name, bool shared_out, SandboxUsage *usage)
{
    char path[NAME_MAX + 8];
    char text[TEXT_BYTES];
    (void)snprintf(path, sizeof path, "%s/stat", name);
    const char *at = read_small(proc, path, text) > 0 ? strrchr(text, ')') : NULL;
    if (!at || at[1] != ' ' || at[2] == 'X') {
        return; // gone meanwhile
    }
    at += 2;
    // Its own time and that of children it waited for; process 1 waits for orphans.
    int64_t ticks = stat_field(at, PROC_FIELD_UTIME) + stat_field(at, PROC_FIELD_UTIME + 1) +
                    stat_field(at, PROC_FIELD_UTIME + 2) + stat_field(at, PROC_FIELD_UTIME + 3);
    usage->cpu_ns += ticks * (NS_PER_S / sysconf(_SC_CLK_TCK));
    if (strcmp(name, "1") == 0) {
        return; // bwrap's own, which reaps, or the holder
    }
    if (at[0] == 'Z') {
        usage->zombies++;
        return;
    }
    int64_t pages = stat_field(at, PROC_FIELD_RSS);
    usage->processes++;
    usage->rss_bytes += shared_out  ? proportional_bytes(proc, name)
                        : pages > 0 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE)
                                    : 0;
}

static bool look_at_processes(pid_t pid, bool shared_out, SandboxUsage *usage)
{
    pid_t init = sandbox_first_child(pid);
    int proc = init > 0 ? sandbox_open_proc(init) : -1;
    DIR *dir = proc >= 0 ? fdopendir(proc) : NULL;
    if (!dir) {
        if (proc >= 0) {
            (void)close(proc);
        }
        return false;
    }
    usage->processes = 0;
    usage->zombies = 0;
    usage->rss_bytes = 0;
    usage->cpu_ns = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') {
            add_process(proc, entry->d_name, shared_out, usage);
        }
    }
    (void)closedir(dir);
    usage->processes_max =
        usage->processes > usage->processes_max ? usage->processes : usage->processes_max;
    usage->rss_bytes_max =
        usage->rss_bytes > usage->rss_bytes_max ? usage->rss_bytes : usage->rss_bytes_max;
    return true;
}

bool sandbox_look(pid_t pid, SandboxUsage *usage)
{
    return look_at_processes(pid, false, usage);
}

static SandboxBreach look_at_memory(SandboxWatch *w)
{
    if (w->usage.rss_bytes <= w->limits.memory_bytes_max) {
        return SANDBOX_WITHIN;
    }
    SandboxUsage exact = {0};
    return look_at_processes(w->options.pid, true, &exact) &&
                   exact.rss_bytes > w->limits.memory_bytes_max
               ? SANDBOX_MEMORY
               : SANDBOX_WITHIN;
}

// ---- disk
//
// Adding up a tree costs about a microsecond a file, too much for every look. The free space of the
// file system costs nothing, but others use it as well. So: only when that has shrunk by half of
// what is allowed, or is nearly gone, the tree is measured, and only that measurement convicts.

static uint64_t free_bytes(const char *path)
{
    struct statvfs fs;
    return statvfs(path, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

static uint64_t add_tree(int directory, const char *name, unsigned depth)
{
    enum { DEPTH_MAX = 200 };
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return 0;
    }
    uint64_t sum = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            continue;
        }
        sum += (uint64_t)st.st_blocks * STAT_BLOCK_BYTES;
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
            sum += add_tree(fd, entry->d_name, depth + 1);
        }
    }
    (void)closedir(dir);
    return sum;
}

static uint64_t used_bytes(const SandboxOptions *limits)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < limits->mount_count; i++) {
        if (limits->mounts[i].writable) {
            sum += add_tree(AT_FDCWD, limits->mounts[i].host, 0);
        }
    }
    return sum;
}

static SandboxBreach look_at_disk(SandboxWatch *w)
{
    uint64_t shrunk_most = 0;
    uint64_t left_least = UINT64_MAX;
    for (size_t i = 0; i < w->limits.mount_count; i++) {
        if (w->limits.mounts[i].writable) {
            uint64_t left = free_bytes(w->limits.mounts[i].host);
            uint64_t shrunk = w->free_at_start[i] > left ? w->free_at_start[i] - left : 0;
            shrunk_most = shrunk > shrunk_most ? shrunk : shrunk_most;
            left_least = left < left_least ? left : left_least;
        }
    }
    bool nearly_full = left_least < RESERVE_BYTES;
    // After a first conviction that failed, again only when as much has gone once more.
    uint64_t suspicious =
        w->usage.grown_bytes + (w->limits.disk_bytes_max - w->usage.grown_bytes) / 2;
    if (shrunk_most <= suspicious && !(nearly_full && shrunk_most > w->usage.grown_bytes)) {
        return SANDBOX_WITHIN;
    }
    uint64_t used = used_bytes(&w->limits);
    w->usage.grown_bytes = used > w->used_at_start ? used - w->used_at_start : 0;
    if (w->usage.grown_bytes > w->limits.disk_bytes_max) {
        return SANDBOX_DISK;
    }
    // At least half of what disappeared is this sandbox's.
    return nearly_full && w->usage.grown_bytes > shrunk_most / 2 ? SANDBOX_DISK_FULL
                                                                 : SANDBOX_WITHIN;
}

// ---- the timer

static void on_look(LoopTimer *timer)
{
    SandboxWatch *w = CONTAINER_OF(timer, SandboxWatch, timer);
    if (sandbox_look(w->options.pid, &w->usage)) {
        w->breach =
            w->usage.processes > w->limits.processes_max ? SANDBOX_PROCESSES : look_at_memory(w);
    }
    if (w->breach == SANDBOX_WITHIN) {
        w->breach = look_at_disk(w);
    }
    if (w->breach == SANDBOX_WITHIN) {
        loop_timer_set(w->options.loop, timer, loop_now(w->options.loop) + SANDBOX_WATCH_NS);
        return;
    }
    // The first process of the namespace: the kernel ends all others with it. bwrap then ends too.
    pid_t init = sandbox_first_child(w->options.pid);
    (void)kill(init > 0 ? init : w->options.pid, SIGKILL);
}

SandboxWatch *sandbox_watch_start(const SandboxWatchOptions *options)
{
    SandboxWatch *w = mem_zalloc(sizeof *w);
    w->options = *options;
    w->limits = sandbox_with_defaults(options->limits);
    for (size_t i = 0; i < w->limits.mount_count; i++) {
        w->free_at_start[i] = free_bytes(w->limits.mounts[i].host);
    }
    w->used_at_start = used_bytes(&w->limits);
    loop_timer_init(&w->timer, on_look);
    loop_timer_set(options->loop, &w->timer, loop_clock(options->loop) + SANDBOX_WATCH_NS);
    return w;
}

SandboxBreach sandbox_watch_stop(SandboxWatch *watch, SandboxUsage *ret_usage)
{
    if (!watch) {
        return SANDBOX_WITHIN;
    }
    SandboxBreach breach = watch->breach;
    if (ret_usage) {
        *ret_usage = watch->usage;
    }
    loop_timer_cancel(watch->options.loop, &watch->timer);
    sandbox_cgroup_remove(watch->options.pid);
    free(watch);
    return breach;
}
