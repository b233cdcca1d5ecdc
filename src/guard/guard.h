// Guard rails: what a load test may touch, how hard, and what it may cost. Every refusal names the
// rule and the place where the rule is set, with ERR_REFUSED (exit code 111):
//
//     'db.example.com' is declared by no environment (guard.undeclared-host, built in): ...
//
// Three moments ask the guard: before a run (guard_check_run), on every connection after DNS
// (guard_check_address, in the net room's connect filter), and on every redirect or request URL
// whose host differs from the last one (guard_check_host).
//
//     Guard *guard;
//     if ((rc = guard_create(NULL, &guard, e)) != 0) ...
//     if ((rc = guard_check_run(guard, &run, e)) != 0) ...       // refused: exit 111
//     guard_enter(guard, &run);
//     ... the engine runs; its filter calls guard_check_address(guard, host, address, e) ...
//     guard_destroy(guard);
//
// The rules, how they are set and what was rejected: docs/guide/guard-rails.md and
// docs/internals/guard.md. Budgets are in budget.h.
#ifndef GUARD_GUARD_H
#define GUARD_GUARD_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct sockaddr;

#define GUARD_VUS_CEILING         1000
#define GUARD_DURATION_CEILING_NS (1800 * INT64_C(1000000000))
// Time a run may go on past its ceiling to stop gracefully before it is cut.
#define GUARD_STOP_GRACE_NS (30 * INT64_C(1000000000))
#define GUARD_ADMIN_FILE    "/etc/perfwright/guard.toml"

// Declared hosts of the administrator's file, and of a plan.
enum { GUARD_HOSTS_MAX = 10000 };

// Names of the rules as they stand in refusals.
#define GUARD_RULE_PRODUCTION       "guard.production"
#define GUARD_RULE_ENVIRONMENT_KIND "guard.environment-kind"
#define GUARD_RULE_HOST_FORM        "guard.host-form"
#define GUARD_RULE_UNDECLARED_HOST  "guard.undeclared-host"
#define GUARD_RULE_METADATA_ADDRESS "guard.metadata-address"
#define GUARD_RULE_SPECIAL_ADDRESS  "guard.special-address"
#define GUARD_RULE_VUS_CEILING      "guard.vus-ceiling"
#define GUARD_RULE_DURATION_CEILING "guard.duration-ceiling"
#define GUARD_RULE_DATA_ISOLATION   "guard.data-isolation"
#define GUARD_RULE_ADMIN_FILE       "guard.admin-file"

// The kinds an environment may have; any other is refused, so that a misspelt "prodction" is.
#define GUARD_KINDS "development, test, performance, staging or production"

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
    const Slice *hosts; // exact names, addresses or "*.suffix"; the base URL's host is among them
    size_t host_count;
    bool data_isolated;
    Slice origin; // "plan.yaml:4"
} GuardEnvironment;

typedef struct GuardRun {
    GuardCaller caller;
    const GuardEnvironment *environment; // the chosen one; NULL: none declared (loopback only)
    // Everything else the plan declares: hosts of its production environments are refused whatever
    // environment was chosen.
    const GuardEnvironment *declared;
    size_t declared_count;
    const Slice *target_hosts; // every host the plan's static URLs name
    size_t target_host_count;
    const Slice *writing_methods; // methods used that may change data, with the request's name
    size_t writing_method_count;
    // A person's `--data isolated` for a run without environment; nobody else's word counts.
    bool data_isolated;
    int64_t vus; // planned maximum
    int64_t duration_ns;
} GuardRun;

typedef struct Guard Guard;

// Reads the administrator's file where there is one. `admin_file` NULL: GUARD_ADMIN_FILE.
// ERR_REFUSED when there is one that cannot be trusted or understood.
MUST_USE int guard_create(const char *admin_file, Guard **ret_guard, Err *e);
void guard_destroy(Guard *guard); // NULL is fine

const GuardLimits *guard_limits(const Guard *guard, GuardCaller caller);
// What the administrator's file declares: by name, or by a host that a bare URL names. NULL: none.
const GuardEnvironment *guard_environment(const Guard *guard, Slice name);
const GuardEnvironment *guard_environment_of_host(const Guard *guard, Slice host);

MUST_USE int guard_check_run(Guard *guard, const GuardRun *run, Err *e);

// Remembers the run's environment (copied) for the two checks below, which are safe from any thread
// after it. Before it, and when the run is one that guard_check_run refuses, they know no
// environment: loopback only.
void guard_enter(Guard *guard, const GuardRun *run);
// `host` without port, as url_parse gives it.
MUST_USE int guard_check_host(const Guard *guard, Slice host, Err *e);
// After DNS: link-local, cloud metadata, multicast and unspecified addresses are never a target; an
// undeclared name must resolve to loopback.
MUST_USE int guard_check_address(const Guard *guard, Slice host, const struct sockaddr *address,
                                 Err *e);

// For services that perfwright uses itself and puts under no load (metrics receivers, model
// providers, MCP servers): any address but the ones that are never a target. From any thread.
MUST_USE int guard_check_peer(Slice host, const struct sockaddr *address, Err *e);

// Everything but GET, HEAD and OPTIONS, spelt exactly so (methods are case-sensitive).
bool guard_method_writes(Slice method);
bool guard_kind_is_known(Slice kind);

#endif
