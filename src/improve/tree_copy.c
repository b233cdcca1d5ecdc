#include "improve/tree_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "os/file.h"

enum { DEPTH_MAX = 100, COPY_BYTES = 1 << 30, MODE_OWNER = 0700, MODE_BITS = 0777 };

typedef struct Copy {
    TreeCopyOptions options;
    TreeCopyResult result;
    Err *e;
} Copy;

static int failed(Copy *c, const char *what, const char *name)
{
    return err_errno(c->e, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, errno,
                     "cannot %s '%s'", what, name);
}

static bool is_listed(const char *const *list, const char *name)
{
    for (size_t i = 0; list && list[i]; i++) {
        if (strcmp(list[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static int copy_content(int in, int out)
{
    if (ioctl(out, FICLONE, in) == 0) {
        return 0;
    }
    for (;;) {
        // Not copy_file_range: it refuses to go from one kind of file system to another.
        ssize_t n = sendfile(out, in, NULL, COPY_BYTES);
        if (n == 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return -1;
        }
    }
}

static void copy_times(int fd, const struct stat *st)
{
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    (void)futimens(fd, times);
}

static int copy_file(Copy *c, int from, int to, const char *name, const struct stat *st)
{
    int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (in < 0) {
        return failed(c, "read", name);
    }
    (void)unlinkat(to, name, 0);
    int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE_OWNER);
    int rc = out < 0 || copy_content(in, out) < 0 || fchmod(out, st->st_mode & MODE_BITS) < 0
                 ? failed(c, "copy", name)
                 : 0;
    if (out >= 0) {
        copy_times(out, st);
        (void)close(out);
    }
    (void)close(in);
    return rc;
}

static int copy_link(Copy *c, int from, int to, const char *name)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(from, name, target, sizeof target - 1);
    if (n < 0) {
        return failed(c, "read the link", name);
    }
    target[n] = '\0';
    (void)unlinkat(to, name, 0);
    return symlinkat(target, to, name) < 0 ? failed(c, "make the link", name) : 0;
}

static int count(Copy *c, const struct stat *st, const char *name)
{
    c->result.files++;
    c->result.bytes += S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    if (c->options.files_max && c->result.files > c->options.files_max) {
        return err_set(c->e, ERR_LIMIT, "more than %zu files to copy (at '%s')",
                       c->options.files_max, name);
    }
    if (c->options.bytes_max && c->result.bytes > c->options.bytes_max) {
        return err_set(c->e, ERR_LIMIT, "more than %llu bytes to copy (at '%s')",
                       (unsigned long long)c->options.bytes_max, name);
    }
    return 0;
}

static int copy_directory(Copy *c, int from, int to, unsigned depth);

static int copy_below(Copy *c, int from, int to, const char *name, const struct stat *st,
                      unsigned depth)
{
    if (depth == DEPTH_MAX) {
        return err_set(c->e, ERR_LIMIT, "directories are nested deeper than %d at '%s'", DEPTH_MAX,
                       name);
    }
    int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0) {
        return failed(c, "read", name);
    }
    int out = mkdirat(to, name, MODE_OWNER) < 0 && errno != EEXIST
                  ? -1
                  : openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rc = out < 0 ? failed(c, "make", name) : copy_directory(c, in, out, depth + 1);
    if (out >= 0) {
        (void)fchmod(out, st->st_mode & MODE_BITS);
        copy_times(out, st);
        (void)close(out);
    }
    (void)close(in);
    return rc;
}

static int copy_entry(Copy *c, int from, int to, const char *name, unsigned depth)
{
    struct stat st;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return failed(c, "read", name);
    }
    int rc = count(c, &st, name);
    if (rc != 0) {
        return rc;
    }
    if (S_ISDIR(st.st_mode)) {
        return copy_below(c, from, to, name, &st, depth);
    }
    if (S_ISREG(st.st_mode)) {
        return copy_file(c, from, to, name, &st);
    }
    return S_ISLNK(st.st_mode) ? copy_link(c, from, to, name) : 0;
}

// Leaves both descriptors open.
static int copy_directory(Copy *c, int from, int to, unsigned depth)
{
    int again = fcntl(from, F_DUPFD_CLOEXEC, 0);
    DIR *dir = again >= 0 ? fdopendir(again) : NULL;
    if (!dir) {
        if (again >= 0) {
            (void)close(again);
        }
        return failed(c, "read", "a directory");
    }
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            (depth == 0 && is_listed(c->options.skip_top, name))) {
            continue;
        }
        if (depth > 0 && is_listed(c->options.skip_all, name)) {
            c->result.skipped++;
            continue;
        }
        rc = copy_entry(c, from, to, name, depth);
    }
    (void)closedir(dir);
    return rc;
}

int tree_copy(const char *from, const char *to, const TreeCopyOptions *options,
              TreeCopyResult *ret_result, Err *e)
{
    Copy c = {.options = options ? *options : (TreeCopyOptions){0}, .e = e};
    int in = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int out = in >= 0 ? open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int rc = out < 0 ? failed(&c, in < 0 ? "read" : "write", in < 0 ? from : to)
                     : copy_directory(&c, in, out, 0);
    if (in >= 0) {
        (void)close(in);
    }
    if (out >= 0) {
        (void)close(out);
    }
    if (ret_result) {
        *ret_result = c.result;
    }
    return rc;
}

int tree_copy_file(const char *from, const char *to_directory, Err *e)
{
    Copy c = {.e = e};
    const char *slash = strrchr(from, '/');
    const char *name = slash ? slash + 1 : from;
    struct stat st;
    int to = open(to_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = to >= 0 ? openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE_OWNER) : -1;
    int rc = in < 0 || out < 0 || fstat(in, &st) < 0 || copy_content(in, out) < 0 ||
                     fchmod(out, st.st_mode & MODE_BITS) < 0
                 ? failed(&c, "copy", from)
                 : 0;
    int all[] = {to, in, out};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        if (all[i] >= 0) {
            (void)close(all[i]);
        }
    }
    return rc;
}

// ---- removing by name

static size_t remove_below(int parent, Buf *path, const char *name, unsigned depth)
{
    int again = fcntl(parent, F_DUPFD_CLOEXEC, 0);
    DIR *dir = again >= 0 ? fdopendir(again) : NULL;
    if (!dir) {
        if (again >= 0) {
            (void)close(again);
        }
        return 0;
    }
    size_t removed = 0;
    size_t len = path->len;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        buf_printf(path, "/%s", entry->d_name);
        bool named = strcmp(entry->d_name, name) == 0;
        if (named && depth > 0 && !path->overflowed && dir_remove_all(path->data, NULL) == 0) {
            removed++;
        } else if (!named && entry->d_type == DT_DIR && depth < DEPTH_MAX && !path->overflowed) {
            int fd = openat(parent, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (fd >= 0) {
                removed += remove_below(fd, path, name, depth + 1);
                (void)close(fd);
            }
        }
        path->len = len;
        path->overflowed = false;
    }
    (void)closedir(dir);
    return removed;
}

size_t tree_remove_named(const char *top, const char *name)
{
    Buf path = buf_create(PATH_MAX);
    buf_puts(&path, top);
    int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t removed = fd >= 0 ? remove_below(fd, &path, name, 0) : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    buf_done(&path);
    return removed;
}
