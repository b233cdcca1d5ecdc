#include "ledger/liveness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

// Open file description locks, not POSIX record locks: those are dropped as soon as the process
// closes any descriptor of the file, and do not show to their own process.

static struct flock byte_of(Slice run_id)
{
    // 62 bits of hash: two of a thousand living runs meet with a chance of 1e-13, and then one of
    // them is refused its start.
    return (struct flock){.l_type = F_WRLCK,
                          .l_whence = SEEK_SET,
                          .l_start = (off_t)(slice_hash(run_id) >> 2),
                          .l_len = 1};
}

static int open_live(const char *ledger_path)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s-live", ledger_path);
    if (n < 0 || n >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
}

int liveness_hold(const char *ledger_path, Slice run_id, int *ret_fd, Err *e)
{
    int fd = open_live(ledger_path);
    if (fd < 0) {
        return err_errno(e, ERR_IO, errno, "cannot open '%s-live'", ledger_path);
    }
    struct flock lock = byte_of(run_id);
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        *ret_fd = fd;
        return 0;
    }
    int why = errno;
    (void)close(fd);
    return err_errno(e, why == EAGAIN || why == EACCES ? ERR_BUSY : ERR_IO, why,
                     "cannot lock '%s-live'", ledger_path);
}

void liveness_release(int fd)
{
    (void)close(fd);
}

bool liveness_held(const char *ledger_path, Slice run_id)
{
    int fd = open_live(ledger_path);
    if (fd < 0) {
        return true;
    }
    struct flock lock = byte_of(run_id);
    bool held = fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
    (void)close(fd);
    return held;
}
