// Signals as events of a loop.
//
// Call signals_block() in main before any thread starts: the signals are blocked everywhere
// (threads inherit it, and os/thread.h blocks all of them) and read from a signalfd on one loop, so
// handlers are ordinary code. SIGPIPE is ignored for the whole process.
//
//     signals_block();
//     rc = signals_watch(loop, on_signal, app, &signals, e);
#ifndef OS_SIGNAL_H
#define OS_SIGNAL_H

#include <signal.h>

#include "base/err.h"
#include "os/loop.h"

typedef struct Signals Signals;
// `number` is one of SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2. Repeats that came before
// the loop looked are one call.
typedef void SignalFn(void *ctx, int number);

void signals_block(void);
MUST_USE int signals_watch(Loop *loop, SignalFn *fn, void *ctx, Signals **ret_signals, Err *e);
void signals_close(Signals *signals); // NULL is fine; they stay blocked

// Puts a child's signals back to what a program expects, between fork and exec.
void signals_set_of_children(sigset_t *ret_mask, sigset_t *ret_default);

#endif
