// A companion: a child that does something for this process while it becomes another program, and
// that dies with it, whatever program it is by then.
//
//     rc = companion_start(serve, &state, &companion, e);      // serve() never returns in the
//     child rc = process_become(argv, e);                            // returns only when it failed
//     companion_kill(companion);
//
// For small programs with one thread: it stands on fork.
#ifndef OS_COMPANION_H
#define OS_COMPANION_H

#include <sys/types.h>

#include "base/err.h"

// The child has no standard streams (they are /dev/null), ignores what is meant for its parent
// (SIGINT, SIGTERM, SIGPIPE), calls `fn` and ends when that returns.
MUST_USE int companion_start(void (*fn)(void *ctx), void *ctx, pid_t *ret_pid, Err *e);
void companion_kill(pid_t pid); // and waits for it

// Replaces this program by argv[0], found in PATH, with default signals. ERR_NOT_FOUND, ERR_IO.
int process_become(char *const *argv, Err *e);

#endif
