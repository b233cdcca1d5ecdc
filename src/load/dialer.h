// Dialer: the engine's way out. TLS as the plan's environment asks for, and the guard's word about
// every address a connection is about to be opened to and every host a request names.
//
//     DialerOptions options = {.environment = plan->environment, .guard = guard};
//     dialer = dialer_create(&options);
//     engine_options.net = dialer_net(dialer);
//     ... engine_destroy ...; dialer_destroy(dialer);
#ifndef LOAD_DIALER_H
#define LOAD_DIALER_H

#include "guard/guard.h"
#include "load/engine.h"

typedef struct Dialer Dialer;

typedef struct DialerOptions {
    const PlanEnvironment *environment; // NULL: defaults
    const Guard *guard;                 // NULL: everything is allowed. After guard_enter.
} DialerOptions;

Dialer *dialer_create(const DialerOptions *options);
void dialer_destroy(Dialer *dialer); // after the engine; NULL is fine
const EngineNet *dialer_net(const Dialer *dialer);

#endif
