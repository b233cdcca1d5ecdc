// Circuit breaker: stop asking a target that fails or has become slow, and find out gently when it
// is well again (Nygard, "Release It!", 2nd ed., ch. 5).
//
// The law is resilience4j's (docs: CircuitBreaker), with the consecutive-failure rule and success
// threshold of Hystrix-like breakers beside it:
//   closed     counts ends of attempts over the last `breaker.calls` of them (window = count) or
//   the
//              last `breaker.period` (window = time, in BREAKER_SLICES slices). From
//              `breaker.min_calls` on it opens when the failure rate reaches
//              `breaker.failure_rate` or the rate of slow ones (longer than `breaker.slow_after`)
//              reaches `breaker.slow_rate`. Or after `breaker.consecutive` failures in a row.
//   open       refuses for `breaker.open_for`.
//   half-open  lets `breaker.probes` attempts be under way at a time. With `breaker.successes` > 0
//              that many successes in a row close it and one failure opens it; with 0 the rates
//              over `breaker.probes` ends decide, as in resilience4j.
// Slow counts as failure in half-open with `successes`. Ends that belong to an earlier state (the
// epoch differs) are ignored, so a straggler from before cannot close or open anything.
#ifndef POLICY_BREAKER_H
#define POLICY_BREAKER_H

#include "policy/params.h"

enum { BREAKER_SLICES = 16 };

// The numbers are what metrics show, as in AgenticGoKit's mcp_circuit_breaker_state.
typedef enum BreakerMode {
    BREAKER_CLOSED = 0,
    BREAKER_OPEN = 1,
    BREAKER_HALF_OPEN = 2,
} BreakerMode;

enum { BREAKER_MODES = 3 };

const char *breaker_mode_name(BreakerMode mode); // "closed", "open", "half_open"

typedef struct BreakerSlice {
    uint32_t calls, failures, slow;
} BreakerSlice;

typedef struct BreakerState {
    BreakerMode mode;
    uint32_t epoch; // changes with every change of mode
    int64_t open_until;
    uint32_t in_a_row;  // failures (closed) or successes (half-open)
    uint32_t probes;    // half-open: attempts under way
    BreakerSlice total; // of the window
    uint32_t next;      // count window: ring position
    uint32_t filled;    // count window: entries in the ring
    int64_t slice_ns;   // time window: number of the newest slice (time / slice length)
    uint32_t room;      // count window: bytes at the region, one an attempt
    uint32_t entered[BREAKER_MODES]; // how often it came into each mode, for metrics
    BreakerSlice half_open;          // ends seen in half-open
} BreakerState;

// `ring` is the region of `room` bytes that the block keeps for the window; it also holds the
// slices of the time window and so has at least BREAKER_RING_MIN bytes. NULL when the shape has
// none.
enum { BREAKER_RING_MIN = BREAKER_SLICES * (int)sizeof(BreakerSlice) };

void breaker_init(BreakerState *s, uint32_t room);

// May an attempt begin? Moves open to half-open when it is time. On true *ret_epoch belongs to the
// attempt and comes back with breaker_end or breaker_ignore.
bool breaker_allow(BreakerState *s, const ParamValue *p, int64_t now_ns, uint32_t *ret_epoch);

// The attempt of `epoch` ended.
void breaker_end(BreakerState *s, const ParamValue *p, void *ring, int64_t now_ns, uint32_t epoch,
                 bool failed, bool slow);

// It ended without saying anything about the target (cancelled, the caller's mistake).
void breaker_ignore(BreakerState *s, uint32_t epoch);

// Forgets what it counted: after a change of the window's parameters.
void breaker_reset(BreakerState *s, void *ring);

#endif
