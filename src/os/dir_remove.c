// Removing trees that somebody else filled.
//
// Everything goes by open directories and names in them: no path is built, so a tree may be deeper
// than PATH_MAX, and a link put in place of a directory while we work is not followed. Directories
// below DEPTH_MAX are moved up to the top, which keeps the open files few however deep it goes.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

enum { DEPTH_MAX = 50, MOVED_NAME_BYTES = 40, MODE_OWNER = 0700, PASSES_MAX = 1000000 };

typedef struct Removal {
    int top;
    unsigned long moved; // directories that came up so far
    int error;           // errno of the first failure, 0
} Removal;

static void failed(Removal *r)
{
    r->error = r->error ? r->error : errno;
}

static int open_directory(int parent, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, flags);
    if (fd < 0 && errno == EACCES && fchmodat(parent, name, MODE_OWNER, 0) == 0) {
        fd = openat(parent, name, flags);
    }
    return fd;
}

static void move_up(Removal *r, int parent, const char *name)
{
    char to[MOVED_NAME_BYTES];
    // A name may be taken; the next is not.
    for (int attempt = 0; attempt < PASSES_MAX; attempt++) {
        (void)snprintf(to, sizeof to, ".moved-%lu", r->moved++);
        if (renameat2(parent, name, r->top, to, RENAME_NOREPLACE) == 0) {
            return;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    failed(r);
}

static void empty(Removal *r, int fd, unsigned depth);

static void remove_entry(Removal *r, int parent, const char *name, unsigned depth)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) {
        return;
    }
    // EISDIR for a directory; EPERM is what POSIX says for it.
    if (errno != EISDIR && errno != EPERM) {
        failed(r);
        return;
    }
    if (depth == DEPTH_MAX) {
        move_up(r, parent, name);
        return;
    }
    int fd = open_directory(parent, name);
    if (fd < 0) {
        failed(r);
        return;
    }
    empty(r, fd, depth + 1);
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
        failed(r);
    }
}

// Closes `fd`. Reads again until nothing is found: what is moved up may come behind the reading
// position, and removing while reading may skip entries on some file systems.
static void empty(Removal *r, int fd, unsigned depth)
{
    // Without write permission nothing can be removed from it (Go's module cache is like that).
    struct stat st;
    if (fstat(fd, &st) == 0 && (st.st_mode & S_IRWXU) != S_IRWXU) {
        (void)fchmod(fd, MODE_OWNER);
    }
    DIR *dir = fdopendir(fd);
    if (!dir) {
        failed(r);
        (void)close(fd);
        return;
    }
    for (bool found = true; found && !r->error;) {
        found = false;
        rewinddir(dir);
        for (struct dirent *entry; !r->error && (entry = readdir(dir)) != NULL;) {
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
                found = true;
                remove_entry(r, fd, entry->d_name, depth);
            }
        }
    }
    (void)closedir(dir);
}

int dir_empty(const char *path, Err *e)
{
    Removal r = {.top = open_directory(AT_FDCWD, path)};
    if (r.top < 0) {
        return errno == ENOENT ? 0 : err_errno(e, ERR_IO, errno, "cannot empty '%s'", path);
    }
    int fd = fcntl(r.top, F_DUPFD_CLOEXEC, 0);
    empty(&r, fd, 0);
    (void)close(r.top);
    return r.error ? err_errno(e, ERR_IO, r.error, "cannot remove what is in '%s'", path) : 0;
}

int dir_remove_all(const char *path, Err *e)
{
    if (unlink(path) == 0 || errno == ENOENT) {
        return 0;
    }
    int rc = dir_empty(path, e);
    if (rc == 0 && rmdir(path) < 0 && errno != ENOENT) {
        rc = err_errno(e, ERR_IO, errno, "cannot remove '%s'", path);
    }
    return rc;
}
