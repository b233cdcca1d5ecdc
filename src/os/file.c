#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 64 << 10, MODE_DEFAULT = 0644, ATTEMPTS = 4 };

static int io_error(Err *e, const char *what, const char *path)
{
    int code = errno == ENOENT                      ? ERR_NOT_FOUND
               : errno == ENOSPC || errno == EDQUOT ? ERR_FULL
                                                    : ERR_IO;
    return err_errno(e, (ErrCode)code, errno, "cannot %s '%s'", what, path);
}

static int read_fd(int fd, const char *path, Buf *out, Err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return io_error(e, "read", path);
    }
    if (S_ISDIR(st.st_mode)) {
        return err_set(e, ERR_IO, "cannot read '%s': it is a directory", path);
    }
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > out->max - out->len) {
        return err_set(e, ERR_LIMIT, "'%s' has %lld bytes, the limit is %zu", path,
                       (long long)st.st_size, out->max - out->len);
    }
    for (;;) {
        // At the ceiling one byte more is asked for, to tell "full" from "too long".
        char extra;
        size_t room = out->max - out->len;
        size_t want = room < READ_BYTES ? room : READ_BYTES;
        char *at = want > 0 ? buf_reserve(out, want) : &extra;
        ssize_t n = read(fd, at, want > 0 ? want : 1);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return io_error(e, "read", path);
        }
        if (n == 0) {
            return 0;
        }
        if (want == 0) {
            return err_set(e, ERR_LIMIT, "'%s' has more than %zu bytes", path, out->max);
        }
        buf_commit(out, (size_t)n);
    }
}

int file_read(const char *path, Buf *out, Err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return io_error(e, "read", path);
    }
    int rc = read_fd(fd, path, out, e);
    (void)close(fd);
    return rc;
}

// ---- writing

static int write_fd(int fd, Slice content, const char *path, Err *e)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.ptr, content.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return io_error(e, "write", path);
        }
        content = slice_sub(content, (size_t)n, content.len);
    }
    return 0;
}

// The renaming itself is durable only when the directory is synced.
static int sync_parent(const char *path, Err *e)
{
    Buf parent = buf_create(PATH_MAX);
    const char *slash = strrchr(path, '/');
    buf_append(&parent, slash == path ? SLICE("/")
                        : slash       ? (Slice){path, (size_t)(slash - path)}
                                      : SLICE("."));
    int fd = open(parent.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;
    // Some file systems cannot sync directories and say EINVAL.
    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL)) {
        rc = io_error(e, "sync", parent.data);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    buf_done(&parent);
    return rc;
}

static int write_temporary(int fd, const char *path, Slice content, const FileWriteOptions *o,
                           Err *e)
{
    if (o->mode != 0 && fchmod(fd, o->mode) < 0) {
        return io_error(e, "set the mode of", path);
    }
    int rc = write_fd(fd, content, path, e);
    if (rc == 0 && !o->no_sync && fsync(fd) < 0) {
        rc = io_error(e, "sync", path);
    }
    return rc;
}

// A new file beside `path`. Not by mkostemp, whose 0600 would have to be widened by a umask that
// cannot be read without changing it for all threads.
static int open_temporary(const char *path, char name[PATH_MAX], int *ret_fd, Err *e)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        uint64_t salt;
        if (getrandom(&salt, sizeof salt, 0) != (ssize_t)sizeof salt) {
            return io_error(e, "get random bytes for", path);
        }
        int len = snprintf(name, PATH_MAX, "%s.%016llx", path, (unsigned long long)salt);
        if (len < 0 || len >= PATH_MAX) {
            return err_set(e, ERR_LIMIT, "the path '%.100s...' is too long", path);
        }
        *ret_fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE_DEFAULT);
        if (*ret_fd >= 0) {
            return 0;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    return io_error(e, "write", path);
}

int file_write(const char *path, Slice content, const FileWriteOptions *options, Err *e)
{
    FileWriteOptions o = options ? *options : (FileWriteOptions){0};
    char temporary[PATH_MAX];
    int fd = -1;
    int rc = open_temporary(path, temporary, &fd, e);
    if (rc != 0) {
        return rc;
    }
    rc = write_temporary(fd, path, content, &o, e);
    if (close(fd) < 0 && rc == 0) {
        rc = io_error(e, "write", path);
    }
    if (rc == 0 && rename(temporary, path) < 0) {
        rc = io_error(e, "replace", path);
    }
    if (rc != 0) {
        (void)unlink(temporary);
        return rc;
    }
    return o.no_sync ? 0 : sync_parent(path, e);
}

// ---- directories

static int make_one(const char *path, Err *e)
{
    if (mkdir(path, 0755) == 0) {
        return 0;
    }
    if (errno != EEXIST) {
        return io_error(e, "make the directory", path);
    }
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        return 0;
    }
    return err_set(e, ERR_EXISTS, "cannot make the directory '%s': something else is there", path);
}

int dir_make_all(const char *path, Err *e)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part) {
        return err_set(e, ERR_ARG, "'%.100s' is not a usable path", path);
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (part[i] == '/') {
            part[i] = '\0';
            int rc = make_one(part, e);
            if (rc != 0) {
                return rc;
            }
            part[i] = '/';
        }
    }
    return make_one(part, e);
}

int user_dir(UserDir kind, const char *name, Buf *out, Err *e)
{
    static const struct {
        const char *variable;
        const char *below_home;
    } dirs[] = {
        [USER_CONFIG] = {"XDG_CONFIG_HOME", ".config"},
        [USER_DATA] = {"XDG_DATA_HOME", ".local/share"},
        [USER_CACHE] = {"XDG_CACHE_HOME", ".cache"},
        [USER_STATE] = {"XDG_STATE_HOME", ".local/state"},
    };
    const char *base = getenv(dirs[kind].variable);
    const char *home = getenv("HOME");
    if (base && base[0] == '/') {
        buf_printf(out, "%s/%s", base, name);
    } else if (home && home[0] == '/') {
        buf_printf(out, "%s/%s/%s", home, dirs[kind].below_home, name);
    } else {
        return err_set(e, ERR_NOT_FOUND, "neither %s nor HOME is set to an absolute path",
                       dirs[kind].variable);
    }
    return buf_check(out, "path", e);
}

int user_file(UserDir kind, const char *variable, const char *name, Buf *out, Err *e)
{
    const char *named = getenv(variable);
    if (!named || named[0] == '\0') {
        return user_dir(kind, name, out, e);
    }
    buf_puts(out, named);
    return buf_check(out, variable, e);
}
