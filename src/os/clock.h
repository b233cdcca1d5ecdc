// Clock: the seam through which the program sees time.
//
// Durations and deadlines are int64_t nanoseconds of the monotonic clock; wall time (nanoseconds
// since 1970-01-01 UTC) is only for people and for records. Everything that waits takes its time
// from a Clock, so a test or the simulator drives the same code with a ManualClock and never
// sleeps.
//
//     ManualClock manual;
//     clock_manual_init(&manual, 0, WALL_2026);
//     loop_create(&(LoopOptions){.manual = &manual}, &loop, e);
//     clock_manual_advance(&manual, 5 * NS_PER_MS);
//
// A real clock may be read from any thread; a ManualClock belongs to one thread.
#ifndef OS_CLOCK_H
#define OS_CLOCK_H

#include "base/err.h"
#include "base/slice.h"

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

// A deadline that never comes.
#define NEVER_NS INT64_MAX

typedef struct Clock {
    int64_t (*now_ns)(const struct Clock *clock);  // monotonic
    int64_t (*wall_ns)(const struct Clock *clock); // since 1970-01-01 UTC
} Clock;

// CLOCK_MONOTONIC and CLOCK_REALTIME.
const Clock *clock_real(void);

static inline int64_t clock_now(const Clock *clock)
{
    return clock->now_ns(clock);
}
static inline int64_t clock_wall(const Clock *clock)
{
    return clock->wall_ns(clock);
}

typedef struct ManualClock {
    Clock clock;
    int64_t now_ns;
    int64_t wall_minus_now_ns;
} ManualClock;

void clock_manual_init(ManualClock *manual, int64_t now_ns, int64_t wall_ns);
void clock_manual_advance(ManualClock *manual, int64_t by_ns); // by_ns >= 0

// now + wait without overflow: a wait that does not fit is NEVER_NS.
static inline int64_t clock_deadline(int64_t now_ns, int64_t wait_ns)
{
    int64_t due;
    return __builtin_add_overflow(now_ns, wait_ns, &due) ? NEVER_NS : due;
}

// A counter that is cheap to read (about 8 ns on x86-64, against 34 ns for the clock) and runs at
// an unknown but constant rate on one machine. Only differences mean something.
static inline uint64_t clock_cycles(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t count;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(count));
    return count;
#else
    return (uint64_t)clock_now(clock_real());
#endif
}

enum { CLOCK_RFC3339_MAX = 96 };

// "2026-11-20T09:30:00.123456789Z" (RFC 3339, always UTC, always nine digits) with a NUL; the
// room is for what the compiler believes a year may be.
void clock_print_rfc3339(int64_t wall_ns, char out[CLOCK_RFC3339_MAX]);

// RFC 3339 date-time with any number of fraction digits (those beyond nanoseconds are dropped) and
// any offset. ERR_PARSE; ERR_LIMIT for a year outside 1678..2261, which int64_t cannot hold.
MUST_USE int clock_parse_rfc3339(Slice text, int64_t *ret_wall_ns, Err *e);
// "Sun, 06 Nov 1994 08:49:37 GMT", IMF-fixdate of RFC 9110, 5.6.7, the only form that is sent
// today.
bool clock_parse_http_date(Slice text, int64_t *ret_wall_ns);

#endif
