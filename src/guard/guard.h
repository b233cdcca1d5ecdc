// Guard rails: what a load test may touch, how hard, and what it may cost. Every refusal names the
// rule and the place where the rule is set, with ERR_REFUSED (exit code 111).
//
// Three moments ask the guard: before a run (guard_check_run), on every connection after DNS
// (guard_check_address, in the net room's connect filter), and on every redirect or request URL
// whose host differs from the last one (guard_check_host).
#ifndef GUARD_GUARD_H
#define GUARD_GUARD_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct sockaddr;

#define GUARD_VUS_CEILING         1000
#define GUARD_DURATION_CEILING_NS (1800 * INT64_C(1000000000))
// Time a run may go on past its ceiling to stop gracefully before it is cut.
#define GUARD_ADMIN_FILE "/etc/perfwright/guard.toml"

// Who started the run. Only a person at the command line may use what the administrator's file
// raised; everything else is held to the built-in ceilings.
typedef enum GuardCaller { GUARD_CALLER_PERSON, GUARD_CALLER_AGENT, GUARD_CALLER_API } GuardCaller;

typedef struct GuardLimits {
    int64_t vus_max;
    int64_t duration_ns_max;
    Slice vus_origin; // "built in" or "file:line" of what set it
    Slice duration_origin;
} GuardLimits;

// One declared environment, as the plan or the administrator's file gives it.
typedef struct GuardEnvironment {
    Slice name;
    Slice kind;         // "production" is always refused
    const Slice *hosts; // exact names, addresses or "*.suffix"
    size_t host_count;
    bool data_isolated;
    Slice origin; // "plan.yaml:4"
} GuardEnvironment;

typedef struct GuardRun {
    GuardCaller caller;
    const GuardEnvironment *environment; // the chosen one; NULL: none declared (loopback only)
    const Slice *target_hosts;           // every host the plan's static URLs name
    size_t target_host_count;
    const Slice *writing_methods; // methods used that may change data, with the request's name
    size_t writing_method_count;
    int64_t vus; // planned maximum
    int64_t duration_ns;
} GuardRun;

typedef struct Guard Guard;

// Reads the administrator's file where there is one. `admin_file` NULL: GUARD_ADMIN_FILE.
MUST_USE int guard_create(const char *admin_file, Guard **ret_guard, Err *e);
void guard_destroy(Guard *guard);

const GuardLimits *guard_limits(const Guard *guard, GuardCaller caller);
MUST_USE int guard_check_run(Guard *guard, const GuardRun *run, Err *e);

// Remembers the run's environment for the two checks below, which are safe from any thread after
// it.
void guard_enter(Guard *guard, const GuardRun *run);
MUST_USE int guard_check_host(const Guard *guard, Slice host, Err *e);
// After DNS: link-local, cloud metadata, multicast and unspecified addresses are never a target; an
// undeclared name must resolve to loopback.
MUST_USE int guard_check_address(const Guard *guard, Slice host, const struct sockaddr *address,
                                 Err *e);

#endif
