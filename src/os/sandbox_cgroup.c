// The one limit that cannot be kept by looking from time to time: a process that forks doubles its
// number within a fraction of a millisecond, so the kernel must hold it. Two ways, because neither
// works everywhere:
//
//   RLIMIT_NPROC   counts by user and user namespace (Linux 5.14), but never binds a process whose
//                  user outside is root; set inside by sandbox.c
//   pids.max       of a control group of the sandbox's own: version 2 where a group above ours is
//                  ours to divide (a systemd user session), version 1 as root
//
// A group is named after the process that became bwrap, so whoever has its number finds it again.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"
#include "os/sandbox_internal.h"

#define GROUP_PREFIX "perfwright-"
enum { PROC_BYTES_MAX = 1 << 20, ARENA_BYTES = 4 << 20 };

typedef struct Lines {
    Buf text;
    Slice rest;
} Lines;

static bool read_lines(const char *path, Lines *lines)
{
    lines->text = buf_create(PROC_BYTES_MAX);
    bool read = file_read(path, &lines->text, NULL) == 0;
    lines->rest = buf_slice(&lines->text);
    return read;
}

static bool has_word(Slice list, char separator, const char *word)
{
    while (list.len > 0) {
        Slice item;
        (void)slice_cut(list, separator, &item, &list);
        if (slice_eq_cstr(slice_trim(item), word)) {
            return true;
        }
    }
    return false;
}

// Our group: of version 1's pids controller, or of version 2 (whose list of controllers is empty).
static Slice own_group(Arena *arena, bool v2)
{
    Lines lines;
    Slice found = {NULL, 0};
    for (bool ok = read_lines("/proc/self/cgroup", &lines); ok && lines.rest.len > 0;) {
        Slice line;
        Slice number;
        Slice controllers;
        Slice path;
        (void)slice_cut(lines.rest, '\n', &line, &lines.rest);
        if (slice_cut(line, ':', &number, &line) && slice_cut(line, ':', &controllers, &path) &&
            (v2 ? controllers.len == 0 : has_word(controllers, ',', "pids"))) {
            found = arena_copy(arena, path);
        }
    }
    buf_done(&lines.text);
    return found;
}

// Where that hierarchy is mounted whole (field 4, the root of the mount, is "/"). proc(5) gives the
// fields: ID, parent, device, root, mount point, options, ..., "-", type, source, super options.
static const char *mount_point(Arena *arena, bool v2)
{
    enum { ROOT = 3, POINT = 4, FIELDS = 5 };
    Lines lines;
    const char *found = NULL;
    for (bool ok = read_lines("/proc/self/mountinfo", &lines);
         ok && !found && lines.rest.len > 0;) {
        Slice line;
        Slice field[FIELDS];
        Slice type;
        (void)slice_cut(lines.rest, '\n', &line, &lines.rest);
        ptrdiff_t dash = slice_find(line, SLICE(" - "));
        Slice super = dash < 0 ? (Slice){NULL, 0} : slice_sub(line, (size_t)dash + 3, line.len);
        for (size_t i = 0; i < FIELDS; i++) {
            (void)slice_cut(line, ' ', &field[i], &line);
        }
        (void)slice_cut(super, ' ', &type, &super);
        Slice source;
        (void)slice_cut(super, ' ', &source, &super);
        bool right = v2 ? slice_eq_cstr(type, "cgroup2")
                        : slice_eq_cstr(type, "cgroup") && has_word(super, ',', "pids");
        if (right && slice_eq_cstr(field[ROOT], "/")) {
            found = arena_cstr(arena, field[POINT]);
        }
    }
    buf_done(&lines.text);
    return found;
}

// May we make groups with a pids.max in it and move our processes there?
static bool can_divide(Arena *arena, const char *group, bool v2)
{
    if (access(group, W_OK) != 0 ||
        access(arena_printf(arena, "%s/cgroup.procs", group).ptr, W_OK) != 0) {
        return false;
    }
    if (!v2) {
        return true;
    }
    Buf text = buf_create(PATH_MAX);
    bool has =
        file_read(arena_printf(arena, "%s/cgroup.subtree_control", group).ptr, &text, NULL) == 0 &&
        has_word(buf_slice(&text), ' ', "pids");
    buf_done(&text);
    return has;
}

static const char *find_base(Arena *arena, bool v2)
{
    const char *mount = mount_point(arena, v2);
    Slice path = own_group(arena, v2);
    if (!mount || path.len == 0) {
        return NULL;
    }
    // Version 2 divides only groups without processes, so it is one above ours, if any.
    for (;;) {
        while (path.len > 0 && path.ptr[path.len - 1] == '/') {
            path.len--;
        }
        const char *group = arena_printf(arena, "%s%.*s", mount, SLICE_FMT(path)).ptr;
        if (can_divide(arena, group, v2)) {
            return group;
        }
        if (path.len == 0 || !v2) {
            return NULL;
        }
        while (path.len > 0 && path.ptr[path.len - 1] != '/') {
            path.len--;
        }
    }
}

const char *sandbox_cgroup_base(Arena *arena)
{
    const char *base = find_base(arena, true);
    return base ? base : find_base(arena, false);
}

static const char *group_of(Arena *arena, const char *base, pid_t pid)
{
    return arena_printf(arena, "%s/" GROUP_PREFIX "%d", base, (int)pid).ptr;
}

void sandbox_cgroup_sweep(const char *base)
{
    DIR *dir = opendir(base);
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        int64_t pid;
        Slice name = slice_from_cstr(entry->d_name);
        if (!slice_starts_with(name, SLICE(GROUP_PREFIX)) ||
            slice_to_i64(slice_sub(name, strlen(GROUP_PREFIX), name.len), &pid) != 0) {
            continue;
        }
        // Only what nobody can be about to use; one with processes in it refuses anyway.
        if (pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH) {
            (void)unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
        }
    }
    if (dir) {
        (void)closedir(dir);
    }
}

void sandbox_cgroup_remove(pid_t pid)
{
    Arena *arena = arena_create(ARENA_BYTES);
    const char *base = pid > 0 ? sandbox_cgroup_base(arena) : NULL;
    if (base) {
        (void)rmdir(group_of(arena, base, pid));
    }
    arena_destroy(arena);
}

int sandbox_cgroup_open(pid_t pid)
{
    Arena *arena = arena_create(ARENA_BYTES);
    const char *base = sandbox_cgroup_base(arena);
    int fd = -1;
    if (base) {
        const char *procs = arena_printf(arena, "%s/cgroup.procs", group_of(arena, base, pid)).ptr;
        fd = open(procs, O_WRONLY | O_CLOEXEC);
    }
    arena_destroy(arena);
    return fd;
}

bool sandbox_holds_forks(void)
{
    Arena *arena = arena_create(ARENA_BYTES);
    bool holds = getuid() != 0 || sandbox_cgroup_base(arena) != NULL;
    arena_destroy(arena);
    return holds;
}
