#include "improve/engine_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "improve/workspace.h"

enum { NAME_BYTES_MAX = 255, CHUNK = 16 << 10 };

// ---- paths

static int check_part(Slice part, Slice path, Err *e)
{
    if (part.len == 0 || part.len > NAME_BYTES_MAX || slice_eq(part, SLICE("..")) ||
        slice_eq(part, SLICE(".")) || slice_find_byte(part, '\0') >= 0) {
        return err_set(e, ERR_REFUSED,
                       "'%.*s': paths are relative to the top of the repository and do not leave "
                       "it",
                       SLICE_FMT(slice_sub(path, 0, 200)));
    }
    if (slice_eq_nocase(part, SLICE(".git"))) {
        return err_set(e, ERR_REFUSED, "git directories are not to be read or changed");
    }
    return 0;
}

int files_path(Slice path, Slice *ret_relative, Err *e)
{
    static const char inside[] = WORKSPACE_INSIDE "/";
    Slice left = path;
    if (slice_eq_cstr(left, WORKSPACE_INSIDE)) {
        left = (Slice){0};
    } else if (slice_starts_with(left, slice_from_cstr(inside))) {
        left = slice_sub(left, sizeof inside - 1, left.len);
    }
    while (slice_starts_with(left, SLICE("./"))) {
        left = slice_sub(left, 2, left.len);
    }
    while (left.len > 1 && left.ptr[left.len - 1] == '/') {
        left.len--;
    }
    if (slice_eq(left, SLICE("."))) {
        left.len = 0;
    }
    if (left.len > FILES_PATH_MAX) {
        return err_set(e, ERR_REFUSED, "the path is longer than %d bytes", FILES_PATH_MAX);
    }
    Slice rest = left, part;
    int depth = 0;
    for (bool more = left.len > 0; more;) {
        more = slice_cut(rest, '/', &part, &rest);
        int rc = ++depth > FILES_DEPTH_MAX
                     ? err_set(e, ERR_REFUSED, "the path is deeper than %d", FILES_DEPTH_MAX)
                     : check_part(part, path, e);
        if (rc != 0) {
            return rc;
        }
    }
    *ret_relative = left;
    return 0;
}

static int refuse_open(int reason, Slice path, Err *e)
{
    if (reason == ELOOP || reason == ENOTDIR) {
        return err_set(e, ERR_REFUSED,
                       "'%.*s': not a directory or a symbolic link; name the file itself",
                       SLICE_FMT(path));
    }
    return err_errno(e, reason == ENOENT ? ERR_NOT_FOUND : ERR_IO, reason, "'%.*s'",
                     SLICE_FMT(path));
}

// The directory that holds the last part of `path`, which goes to `ret_name`. Missing directories
// are made with `make`.
static int open_parent(int tree, Slice path, bool make, int *ret_fd, char name[NAME_BYTES_MAX + 1],
                       Err *e)
{
    Slice part, rest;
    int fd = dup(tree);
    bool more = slice_cut(path, '/', &part, &rest);
    while (fd >= 0) {
        memcpy(name, part.ptr, part.len);
        name[part.len] = '\0';
        if (!more) {
            *ret_fd = fd;
            return 0;
        }
        if (make) {
            (void)mkdirat(fd, name, 0755); // that it is there already is fine, the rest shows below
        }
        int next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int reason = errno;
        (void)close(fd);
        errno = reason;
        fd = next;
        more = slice_cut(rest, '/', &part, &rest);
    }
    return refuse_open(errno, path, e);
}

static int open_file(int tree, Slice path, int flags, int *ret_fd, Err *e)
{
    char name[NAME_BYTES_MAX + 1];
    int dir = -1;
    Slice relative;
    int rc = files_path(path, &relative, e);
    if (rc == 0 && relative.len == 0) {
        rc = err_set(e, ERR_REFUSED, "a file's path is needed");
    }
    if (rc == 0) {
        rc = open_parent(tree, relative, false, &dir, name, e);
    }
    if (rc != 0) {
        return rc;
    }
    // Without O_NONBLOCK a pipe that the repository brings would hold us up for ever.
    int fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int reason = errno;
    (void)close(dir);
    struct stat st;
    if (fd < 0) {
        return refuse_open(reason, relative, e);
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return err_set(e, ERR_REFUSED, "'%.*s' is not a regular file%s", SLICE_FMT(relative),
                       S_ISDIR(st.st_mode) ? " but a directory: list it" : "");
    }
    *ret_fd = fd;
    return 0;
}

static int read_all(int fd, Buf *out, Slice path, Err *e)
{
    char bytes[CHUNK / 4];
    ssize_t n;
    while ((n = read(fd, bytes, sizeof bytes)) > 0) {
        buf_append(out, (Slice){bytes, (size_t)n});
        if (out->overflowed) {
            return err_set(e, ERR_LIMIT, "'%.*s' is larger than %zu bytes", SLICE_FMT(path),
                           out->max);
        }
    }
    return n < 0 ? err_errno(e, ERR_IO, errno, "'%.*s'", SLICE_FMT(path)) : 0;
}

// ---- reading

typedef struct Lines { // a walk over a file's lines that keeps those that are wanted
    int64_t first, last, line;
    size_t limit; // of out->len
    Buf *out;
    bool begun; // this line has its number
    bool full, odd, beyond;
} Lines;

static void put_bytes(Lines *l, Slice bytes)
{
    l->beyond = l->beyond || l->line > l->last;
    if (l->line < l->first || l->beyond || l->full) {
        return;
    }
    if (!l->begun) {
        buf_printf(l->out, "%lld\t", (long long)l->line);
        l->begun = true;
    }
    size_t room = l->limit > l->out->len ? l->limit - l->out->len : 0;
    l->full = bytes.len > room;
    buf_append(l->out, slice_sub(bytes, 0, room));
}

static void walk_lines(Lines *l, Slice bytes)
{
    l->odd = l->odd || memchr(bytes.ptr, '\0', bytes.len) != NULL;
    while (bytes.len > 0) {
        ptrdiff_t end = slice_find_byte(bytes, '\n');
        size_t len = end < 0 ? bytes.len : (size_t)end + 1;
        put_bytes(l, slice_sub(bytes, 0, len));
        bytes = slice_sub(bytes, len, bytes.len);
        if (end >= 0) {
            l->line++;
            l->begun = false;
        }
    }
}

int files_read(int tree, Slice path, int64_t first, int64_t count, Buf *out, Err *e)
{
    int fd = -1;
    int rc = open_file(tree, path, O_RDONLY, &fd, e);
    if (rc != 0) {
        return rc;
    }
    first = first > 0 ? first : 1;
    count = count > 0 && count < FILES_LINES_DEFAULT ? count : FILES_LINES_DEFAULT;
    Lines l = {.first = first,
               .last = first + count - 1,
               .line = 1,
               .limit = out->len + FILES_READ_BYTES_MAX,
               .out = out};
    char bytes[CHUNK / 4];
    ssize_t n = 0;
    while (!l.beyond && !l.full && !l.odd && (n = read(fd, bytes, sizeof bytes)) > 0) {
        walk_lines(&l, (Slice){bytes, (size_t)n});
    }
    int reason = errno;
    (void)close(fd);
    if (n < 0) {
        return err_errno(e, ERR_IO, reason, "'%.*s'", SLICE_FMT(path));
    }
    if (l.odd) {
        return err_set(e, ERR_UNSUPPORTED, "'%.*s' is not a text file", SLICE_FMT(path));
    }
    if (l.full || l.beyond) {
        buf_printf(out, "\n[there is more: ask for lines from %lld on]\n",
                   (long long)(l.full ? l.line : l.last + 1));
    }
    return 0;
}

// ---- listing

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int list_open(DIR *dir, Arena *arena, Buf *out)
{
    const char **names = ARENA_ARRAY(arena, const char *, FILES_LIST_MAX);
    size_t count = 0;
    bool more = false;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcasecmp(name, ".git") == 0) {
            continue;
        }
        struct stat st;
        bool known = fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        more = count == FILES_LIST_MAX;
        if (more) {
            break;
        }
        names[count++] = arena_printf(arena, "%s%s", name,
                                      known && S_ISDIR(st.st_mode)   ? "/"
                                      : known && S_ISLNK(st.st_mode) ? " (symbolic link)"
                                                                     : "")
                             .ptr;
    }
    qsort(names, count, sizeof *names, by_bytes);
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s\n", names[i]);
    }
    if (more) {
        buf_printf(out, "[more than %d names: search instead]\n", FILES_LIST_MAX);
    }
    return 0;
}

int files_list(int tree, Slice path, Arena *arena, Buf *out, Err *e)
{
    char name[NAME_BYTES_MAX + 1] = ".";
    int parent = -1;
    Slice relative;
    int rc = files_path(path, &relative, e);
    if (rc == 0 && relative.len > 0) {
        rc = open_parent(tree, relative, false, &parent, name, e);
    }
    if (rc != 0) {
        return rc;
    }
    int fd =
        openat(parent >= 0 ? parent : tree, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int reason = errno;
    if (parent >= 0) {
        (void)close(parent);
    }
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        return refuse_open(reason, relative.len > 0 ? relative : SLICE("."), e);
    }
    rc = list_open(dir, arena, out);
    (void)closedir(dir);
    return rc;
}

// ---- writing

static int write_all(int fd, Slice content, Slice path, Err *e)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.ptr, content.len);
        if (n < 0 && errno != EINTR) {
            return err_errno(e, errno == ENOSPC ? ERR_FULL : ERR_IO, errno, "'%.*s'",
                             SLICE_FMT(path));
        }
        content = slice_sub(content, n > 0 ? (size_t)n : 0, content.len);
    }
    return 0;
}

int files_replace(int tree, Slice path, Slice old, Slice fresh, Err *e)
{
    int fd = -1;
    if (old.len == 0) {
        return err_set(e, ERR_ARG, "`old` is empty: give the text that is to be replaced");
    }
    int rc = open_file(tree, path, O_RDWR, &fd, e);
    if (rc != 0) {
        return rc;
    }
    Buf text = buf_create(FILES_EDIT_BYTES_MAX), out = buf_create(2 * FILES_EDIT_BYTES_MAX);
    rc = read_all(fd, &text, path, e);
    Slice all = buf_slice(&text);
    ptrdiff_t at = rc == 0 ? slice_find(all, old) : -1;
    Slice tail = at >= 0 ? slice_sub(all, (size_t)at + old.len, all.len) : (Slice){0};
    if (rc == 0 && at < 0) {
        rc = err_set(e, ERR_NOT_FOUND,
                     "`old` does not occur in '%.*s': read the file and give its text exactly, "
                     "white space included",
                     SLICE_FMT(path));
    } else if (rc == 0 && slice_find(tail, old) >= 0) {
        rc = err_set(e, ERR_CONFLICT,
                     "`old` occurs more than once in '%.*s': give more of the lines around it",
                     SLICE_FMT(path));
    }
    if (rc == 0) {
        buf_append(&out, slice_sub(all, 0, (size_t)at));
        buf_append(&out, fresh);
        buf_append(&out, tail);
        rc = buf_check(&out, "the edited file", e);
    }
    // In place: whoever holds the file (a build, a link) sees the edit, and the mode stays.
    if (rc == 0 && (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0)) {
        rc = err_errno(e, ERR_IO, errno, "'%.*s'", SLICE_FMT(path));
    }
    if (rc == 0) {
        rc = write_all(fd, buf_slice(&out), path, e);
    }
    (void)close(fd);
    buf_done(&text);
    buf_done(&out);
    return rc;
}

int files_create(int tree, Slice path, Slice content, Err *e)
{
    char name[NAME_BYTES_MAX + 1];
    int dir = -1;
    Slice relative;
    int rc = files_path(path, &relative, e);
    if (rc == 0 && (relative.len == 0 || content.len > FILES_EDIT_BYTES_MAX)) {
        rc =
            err_set(e, ERR_REFUSED, "a path is needed, and at most %d bytes", FILES_EDIT_BYTES_MAX);
    }
    if (rc == 0) {
        rc = open_parent(tree, relative, true, &dir, name, e);
    }
    if (rc != 0) {
        return rc;
    }
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    int reason = errno;
    (void)close(dir);
    if (fd < 0) {
        return reason == EEXIST
                   ? err_set(e, ERR_EXISTS, "'%.*s' exists: edit it with `old` and `new`",
                             SLICE_FMT(relative))
                   : refuse_open(reason, relative, e);
    }
    rc = write_all(fd, content, relative, e);
    (void)close(fd);
    return rc;
}
