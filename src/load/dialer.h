// Dialer: the engine's way out. TLS as the plan's environment asks for, names through the system's
// resolver, and the guard's word about every address a connection is about to be opened to and
// every host a request names.
//
//     DialerOptions options = {.environment = plan->environment, .guard = guard};
//     rc = dialer_create(&options, &dialer, e);
//     engine_options.net = dialer_net(dialer);
//     ... engine_destroy ...; dialer_destroy(dialer);
#ifndef LOAD_DIALER_H
#define LOAD_DIALER_H

#include "guard/guard.h"
#include "load/engine.h"

typedef struct Dialer Dialer;

typedef struct DialerOptions {
    const PlanEnvironment *environment; // NULL: defaults
    uint64_t seed;                      // of the choice among a name's addresses
    const Guard *guard;                 // NULL: everything is allowed. After guard_enter.
} DialerOptions;

// ERR_LIMIT when the system has no threads for name lookups.
MUST_USE int dialer_create(const DialerOptions *options, Dialer **ret_dialer, Err *e);
void dialer_destroy(Dialer *dialer); // after the engine; NULL is fine
const EngineNet *dialer_net(const Dialer *dialer);

#endif
