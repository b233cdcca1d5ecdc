// System: the description of a system of agents on which every model works: who calls whom, under
// which policies, how long work takes, who asks for it and what was promised to them. Formulas,
// bounds, the simulator and the live runtime all start from the same System, so what they say is
// about the same thing.
//
//     System *sys;
//     rc = system_load(arena, "pipeline.toml", &sys, e);       // or system_read(arena, doc, ...)
//     SystemChange change;
//     rc = system_parse_change(sys, SLICE("b->c.timeout.attempt=1s"), &change, e);
//     System *candidate = system_copy(arena, sys);
//     rc = system_set(candidate, &change, e);
//     rc = sim_run(candidate, ...);                             // model/sim.h
//
// The document:
//
//     version = 1
//     name = "codegen-pipeline"
//     [agents.b]                        # an orchestrator: any number at a time, no own work
//     [[agents.b.calls]]                # groups in order; the edges of one group in parallel
//     to = ["c", {agent = "d", chance = 0.5, repeat = 2}]
//     join = "all"                      # all | any | first (with `first = k`)
//     [agents.d]
//     servers = 18                      # 0 or missing: any number
//     queue = 200                       # that may wait; missing: any number
//     discipline = "fifo"               # fifo | lifo | priority | sharing (processor sharing)
//     holds_server = true               # also while its own calls are under way
//     start_delay = "3s"                # until an added server works
//     service = {dist = "lognormal", mean = "900ms", sigma = 0.25}
//     policy = {limit = {kind = "fixed", value = 30}}          # its own, inside of every edge's
//     range = {"servers" = [18, 72], "limit.value" = [1, 100]} # what it lets planners try
//     [[edges]]                         # only those with policies need to be named
//     from = "a"
//     to = "b"
//     policy = {timeout = {attempt = "1s"}, retry = {attempts = 4}, cancel = {propagate = false}}
//     range = {"retry.attempts" = [1, 4], "timeout.attempt" = ["100ms", "30s"]}
//     [clients.tasks]                   # an open client ...
//     to = "a"
//     rate = 16.0                       # a second; scv = 1 is Poisson, more is bursty
//     deadline = "30s"                  # patience = {dist = ...}: leaves after a random time
//     spikes = [{at = "100s", for = "15s", factor = 3.0}]
//     [clients.batch]                   # ... or a closed one
//     to = "b"
//     users = 20
//     think = {dist = "exponential", mean = "2s"}
//     [objectives.tasks]                # by client
//     within = "8s"                     # an answer later than this is not good
//     goodput = 0.99                    # share of what was offered that must be good
//     p99 = "4s"                        # failures count as infinite
//     window = "10s"                    # over which recovery and the live system are judged
//     [[faults]]
//     at = "200s"
//     for = "60s"
//     agent = "d"
//     slow = 2.0                        # or fail = 0.1, lose = 9 (servers), stop = true
//
// Work (`service`, `think`) is a distribution: {dist = "fixed" | "exponential" | "lognormal" |
// ...}, or "50ms" for a fixed time; model/system_dist.h lists them.
//
// Who owns what: an agent owns its own policies and those of the edges that leave it; a client owns
// the edge that leads into the system. An edge is named "from->to". Agents and clients share one
// space of names: letters, digits, '_' and '-'.
//
// Agents may call in a circle where chances make every chain of calls end: what is left of a
// request SYSTEM_LEVELS_MAX calls deep must be less than SYSTEM_TAIL_MAX requests. One request of a
// client makes SYSTEM_VISITS_MAX requests at most, on average.
//
// A System is a plain value in its arena: copying is copying arrays. Read-only use from any thread.
#ifndef MODEL_SYSTEM_H
#define MODEL_SYSTEM_H

#include "policy/params.h"
#include "policy/virtual.h"

enum {
    SYSTEM_VERSION = 1,
    SYSTEM_AGENTS_MAX = 1024,
    SYSTEM_EDGES_MAX = 8192,
    SYSTEM_CLIENTS_MAX = 256,
    SYSTEM_GROUPS_MAX = 16,  // of calls that one agent makes one after the other
    SYSTEM_TARGETS_MAX = 64, // of one group
    SYSTEM_SPIKES_MAX = 64,
    SYSTEM_FAULTS_MAX = 256,
    SYSTEM_NAME_MAX = 63,
    SYSTEM_SERVERS_MAX = 100000, // of one agent
    SYSTEM_REPEAT_MAX = 1000,
    SYSTEM_LEVELS_MAX = 1024, // calls below calls
    SYSTEM_VISITS_MAX = 100000,
    SYSTEM_CHANGES_MAX = 256, // of one document of changes
};
#define SYSTEM_TAIL_MAX 1e-6

// The names of VirtualDiscipline; sharing: servers are shared out evenly, nobody waits.
extern const char *const SYSTEM_DISCIPLINES[]; // ends with NULL

// A group is done with all answers, with the first good one, or with the first `first` good ones;
// what is still under way then is cancelled.
typedef enum SystemJoin { JOIN_ALL, JOIN_ANY, JOIN_FIRST } SystemJoin;
extern const char *const SYSTEM_JOINS[]; // ends with NULL

typedef struct SystemTarget {
    uint32_t edge;
    double chance; // 0..1, of being called at all
    double repeat; // times, one after the other; the mean where it is not whole
} SystemTarget;

typedef struct SystemGroup {
    SystemTarget *targets;
    uint32_t count;
    SystemJoin join;
    uint32_t first; // of JOIN_FIRST
} SystemGroup;

// What planners may try for one parameter; without one they leave it alone.
typedef struct SystemRange {
    uint16_t param;   // PolicyParamId or SYSTEM_PARAM_SERVERS
    double low, high; // in the parameter's unit, durations in ns, false and true as 0 and 1
} SystemRange;

// Beside the policies' table: how many servers an agent has.
enum { SYSTEM_PARAM_SERVERS = POLICY_PARAM_COUNT };

typedef struct SystemAgent {
    Slice name;
    uint32_t servers; // 0: any number
    uint32_t queue;   // UINT32_MAX: any number
    VirtualDiscipline discipline;
    bool holds_server;
    int64_t start_delay_ns;
    Dist service; // own work, before its calls; fixed 0 where there is none
    double fail;  // share of requests that fail by themselves, retryable
    SystemGroup *groups;
    uint32_t group_count;
    bool has_policy;
    ParamValue policy[POLICY_PARAM_COUNT];
    SystemRange *ranges;
    uint32_t range_count;
    Slice program; // policy program (policy/program.h), or empty
} SystemAgent;

typedef struct SystemEdge {
    Slice name;        // "from->to"
    uint32_t from, to; // agents; `from` of a client's edge is SYSTEM_FROM_CLIENT | client
    ParamValue policy[POLICY_PARAM_COUNT];
    SystemRange *ranges;
    uint32_t range_count;
    Slice program;
} SystemEdge;
#define SYSTEM_FROM_CLIENT 0x80000000u

typedef struct SystemSpike {
    int64_t at_ns, for_ns;
    double factor; // of the rate
} SystemSpike;

typedef struct SystemClient {
    Slice name;
    uint32_t edge;       // into the system
    double per_second;   // open: mean rate outside of spikes; 0: closed
    double scv;          // squared coefficient of variation of the gaps; 1 Poisson
    uint32_t users;      // closed
    Dist think;          // closed
    Dist patience;       // after which the caller leaves; fixed 0: it waits
    int64_t deadline_ns; // 0 none
    uint8_t priority;    // 0: default
    SystemSpike *spikes;
    uint32_t spike_count;
} SystemClient;

// 0: not promised.
typedef struct SystemObjective {
    uint32_t client;
    int64_t within_ns; // 0: any time is good
    double goodput;    // share of offered
    int64_t p50_ns, p99_ns;
    double errors;     // share at most
    int64_t window_ns; // default 10 s
} SystemObjective;

typedef struct SystemFault {
    int64_t at_ns, for_ns; // for 0: to the end
    uint32_t agent;
    double slow;   // factor on service times; 1 or 0: none
    double fail;   // share that fails
    uint32_t lose; // servers
    bool stop;     // answers nothing
} SystemFault;

typedef struct System {
    Arena *arena;
    Slice name;
    SystemAgent *agents;
    SystemEdge *edges; // those of clients included
    SystemClient *clients;
    SystemObjective *objectives;
    SystemFault *faults;
    uint32_t agent_count, edge_count, client_count, objective_count, fault_count;
} System;

// What is wrong is ERR_PARSE with file, line and column, contradictions included (a call in a
// circle without end, an objective of a client that is not there, a value out of its owner's
// range); ERR_LIMIT past a ceiling.
MUST_USE int system_load(Arena *arena, const char *path, System **ret_system, Err *e);
MUST_USE int system_read(Arena *arena, const Doc *doc, System **ret_system, Err *e);
// TOML text, under the name `source`.
MUST_USE int system_parse(Arena *arena, Slice text, const char *source, System **ret_system,
                          Err *e);
// The document again, as JSON; system_read reads it back to an equal System.
void system_write(const System *sys, JsonWriter *w);
// A copy whose parts that system_set changes are its own; what is never changed is shared.
System *system_copy(Arena *arena, const System *sys);

ptrdiff_t system_find_agent(const System *sys, Slice name);
ptrdiff_t system_find_edge(const System *sys, Slice name); // "a->b"
ptrdiff_t system_find_client(const System *sys, Slice name);

// ---- changes: what a proposal is made of

typedef enum SystemPlace { PLACE_AGENT, PLACE_EDGE } SystemPlace;

typedef struct SystemParam {
    SystemPlace place;
    uint32_t index;
    uint16_t param; // PolicyParamId or SYSTEM_PARAM_SERVERS
} SystemParam;

typedef struct SystemChange {
    SystemParam what;
    ParamValue value;
} SystemChange;

// The parameter's row in the policies' table, or the one of `servers`.
const Param *system_param_row(uint16_t param);
// The value as a number, as in SystemRange, and back (the nearest value of its kind).
double system_number(uint16_t param, ParamValue value);
ParamValue system_value(uint16_t param, double number);

// "a->b.retry.attempts", "d.servers", "d.limit.value". ERR_NOT_FOUND with the nearest right name.
MUST_USE int system_find_param(const System *sys, Slice dotted, SystemParam *ret_param, Err *e);
void system_param_name(const System *sys, SystemParam what, Buf *out);
ParamValue system_get(const System *sys, SystemParam what);
// Must be in the range of the policies' table, and policies must not contradict each other
// (limit.min <= limit.max). ERR_ARG, and the System is unchanged then. All changes of
// system_set_all are made before policies are compared.
MUST_USE int system_set(System *sys, const SystemChange *change, Err *e);
MUST_USE int system_set_all(System *sys, const SystemChange *changes, size_t count, Err *e);
// Who decides about it: the agent's index, or SYSTEM_FROM_CLIENT | client.
uint32_t system_owner(const System *sys, SystemParam what);
// What its owner lets planners try; NULL: nothing.
const SystemRange *system_range(const System *sys, SystemParam what);
// ERR_REFUSED: the owner gave no range for it, or the value is outside of it.
MUST_USE int system_allowed(const System *sys, const SystemChange *change, Err *e);

// "a->b.retry.attempts=2".
MUST_USE int system_parse_change(const System *sys, Slice text, SystemChange *ret_change, Err *e);
// As a document and back: {"a->b.retry.attempts": 2, "b->c.timeout.attempt": "1s"}.
MUST_USE int system_read_changes(Arena *arena, const System *sys, const Doc *object,
                                 SystemChange **ret_changes, size_t *ret_count, Err *e);
void system_write_changes(const System *sys, const SystemChange *changes, size_t count,
                          JsonWriter *w);
// For people: "a->b.retry.attempts 4 -> 1, b->c.timeout.attempt 0s -> 1s".
void system_print_changes(const System *before, const SystemChange *changes, size_t count,
                          Buf *out);

// ---- structure

// Is there an end to every chain of calls, and to how many one request makes? For what was put
// together by hand; system_read has checked. ERR_ARG names the circle; ERR_LIMIT.
MUST_USE int system_check(const System *sys, Err *e);
// Requests that one request of `client` makes at each agent when nothing fails (visit ratios);
// ret[agent_count].
void system_visits(const System *sys, uint32_t client, double *ret);

#endif
