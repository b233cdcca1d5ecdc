// Load shedding: refuse early what would only wait or make things worse.
//   shed.queue_delay   the oldest waiting call has waited this long. Calls of the default priority
//   4
//                      go then, those of 3, 2 and 1 at 2, 3 and 4 times the delay, those of 5 to 8
//                      at 0.8 to 0.2 of it (in the way of DAGOR: Zhou et al., "Overload Control for
//                      Scaling WeChat Microservices", SoCC 2018: queueing time and priority)
//   shed.cpu           the processor gauge (policy_gauge_cpu) is over it: shed with the probability
//                      (cpu - limit) / (1 - limit) * priority / 4
//   shed.throttle_k    K > 0: client-side adaptive throttling (Beyer et al., "Site Reliability
//                      Engineering", ch. 21): refuse with the probability
//                      max(0, (requests - K accepts) / (requests + 1)) over shed.throttle_window
// Calls of priority <= `shed.keep_priority` are only refused by the throttle.
#ifndef POLICY_SHED_H
#define POLICY_SHED_H

#include "policy/params.h"

enum { SHED_SLICES = 8 };

typedef enum ShedCause { SHED_NO, SHED_QUEUE_DELAY, SHED_CPU, SHED_THROTTLE } ShedCause;

typedef struct ShedState {
    double cpu; // 0 .. 1, set by the driver
    uint32_t requests[SHED_SLICES], accepts[SHED_SLICES];
    int64_t newest; // number of the newest slice
} ShedState;

// May the call go on? Counts it as a request of the throttle. `unit` is uniform in [0, 1).
ShedCause shed_decide(ShedState *s, const ParamValue *p, int64_t now_ns, int64_t queue_wait_ns,
                      uint32_t priority, double unit);

// The target accepted an attempt (whatever its answer was).
void shed_accepted(ShedState *s, const ParamValue *p, int64_t now_ns);

// The throttle's probability now.
double shed_throttle(ShedState *s, const ParamValue *p, int64_t now_ns);

#endif
