// Who still writes a run? A lock on one byte of the file "<ledger>-live", held while the run's
// writer exists and released by the kernel however its process ends. Unlike a process id it cannot
// be taken over by another process, and it means the same in every container that shares the
// ledger's directory.
#ifndef LEDGER_LIVENESS_H
#define LEDGER_LIVENESS_H

#include "base/err.h"
#include "base/slice.h"

// Takes the run's byte; *ret_fd holds it until closed. ERR_BUSY when somebody has it.
MUST_USE int liveness_hold(const char *ledger_path, Slice run_id, int *ret_fd, Err *e);
void liveness_release(int fd);
// True while somebody, this process included, holds the run's byte. Where it cannot be found out
// the answer is true: a run is then left alone.
bool liveness_held(const char *ledger_path, Slice run_id);

#endif
