// One command, run by a supervisor of its own: what bench/command.h measures with.
//
// supervise_run() forks a supervisor, which enters a sandbox where one is given, gives back the
// memory that it does not need, starts the command without copying a page table (CLONE_VM and
// CLONE_VFORK, as posix_spawn does), waits for it, and ends what it left behind. The supervisor is
// the reaper of orphans (PR_SET_CHILD_SUBREAPER), so a process that left its session is found too.
// The supervisor talks through one shared mapping and never allocates: it is a fork of a program
// that may have threads.
//
// The interval that is measured begins just before execve and ends when the supervisor sees the
// end. Blocks the calling thread. Any thread.
#ifndef OS_SUPERVISE_H
#define OS_SUPERVISE_H

#include "base/err.h"
#include "base/slice.h"

enum {
    SUPERVISE_BYTES_MAX = 4 << 20,   // arguments and environment
    SUPERVISE_STRINGS_MAX = 1 << 16, // of both together
    SUPERVISE_WATCHED_MAX = 2,
};

typedef struct SuperviseOptions {
    const char *const *argv; // ends with NULL; argv[0] is looked up in the PATH of `env`
    const char *const *env;  // ends with NULL
    const char *directory;   // to start in, looked up behind enter_fn; NULL: ours
    int fds[3];              // that become 0, 1 and 2; borrowed
    int64_t timeout_ns;      // 0: none
    // Files that must not grow over a ceiling while the command runs; 0: none. Looked at every
    // 20 ms.
    int watched[SUPERVISE_WATCHED_MAX];
    int64_t watched_bytes_max;
    int (*enter_fn)(void *ctx); // 0, a number that is told, or -1 with errno
    void *enter_ctx;
    int cancel_fd; // readable: kill, ERR_CANCELLED; 0 or less: none
} SuperviseOptions;

typedef struct SuperviseEnd {
    int exit_code; // or -1
    int signal;
    bool timed_out;
    bool overflowed;
    int64_t wall_ns;
    int64_t user_ns;
    int64_t system_ns;
    // 0: not known, because it was less than what the supervisor itself had when it started the
    // command; the kernel counts that in.
    int64_t rss_max_bytes;
    int64_t rss_floor_bytes; // that much
    int64_t read_bytes;
    int64_t written_bytes;
    uint64_t faults_minor;
    uint64_t faults_major;
    uint64_t switches;
    uint64_t instructions; // 0: no counter
    unsigned survivors;
    int64_t survivors_cpu_ns;
} SuperviseEnd;

// ERR_NOT_FOUND: no such program or directory; ERR_IO: it may not be executed, or the supervisor
// was killed; ERR_REFUSED: enter_fn; ERR_CANCELLED; ERR_LIMIT.
MUST_USE int supervise_run(const SuperviseOptions *options, SuperviseEnd *ret_end, Err *e);

#endif
