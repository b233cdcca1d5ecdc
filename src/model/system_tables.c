// The keys of a System document: one row a key.
#include "model/system_impl.h"

const char *const SYSTEM_DISCIPLINES[] = {"fifo", "lifo", "priority", "sharing", NULL};
const char *const SYSTEM_JOINS[] = {"all", "any", "first", NULL};

#define TABLE(section, rows)                                                                       \
    {                                                                                              \
        section, rows, COUNT_OF(rows)                                                              \
    }
#define DAY  NS_PER_DAY
#define YEAR (366 * NS_PER_DAY)

// clang-format off
static const Field AGENT[] = {
    INT_FIELD(AgentFields, servers, "servers", 0, SYSTEM_SERVERS_MAX, 0,
              "Requests that it works on at a time; 0: any number."),
    INT_FIELD(AgentFields, queue, "queue", 0, 1e9, -1,
              "Requests that may wait for a server; without it any number."),
    CHOICE_FIELD(AgentFields, discipline, "discipline", SYSTEM_DISCIPLINES, VIRTUAL_FIFO,
                 "Who gets the next free server."),
    BOOL_FIELD(AgentFields, holds_server, "holds_server", false,
               "A request keeps its server while its own calls are under way."),
    TIME_FIELD(AgentFields, start_delay_ns, "start_delay", 0, DAY, 0,
               "How long an added server takes until it works."),
    REAL_FIELD(AgentFields, fail, "fail", 0, 1, 0, "Share of requests that fail by themselves."),
    TEXT_FIELD(AgentFields, service, "service", FIELD_ANY,
               "Own work of a request, before its calls: a distribution."),
    TEXT_FIELD(AgentFields, calls, "calls", FIELD_ANY, "Groups of calls, one after the other."),
    TEXT_FIELD(AgentFields, policy, "policy", FIELD_TREE, "Its own policies, inside every edge's."),
    TEXT_FIELD(AgentFields, range, "range", FIELD_TREE, "What it lets planners try."),
    TEXT_FIELD(AgentFields, program, "program", FIELD_TEXT, "A policy program."),
};
const FieldTable SYSTEM_AGENT_TABLE = TABLE("agent", AGENT);

static const Field EDGE[] = {
    TEXT_FIELD(EdgeFields, from, "from", FIELD_TEXT, "The agent or client that calls."),
    TEXT_FIELD(EdgeFields, to, "to", FIELD_TEXT, "The agent that is called."),
    TEXT_FIELD(EdgeFields, policy, "policy", FIELD_TREE, "Policies of these calls."),
    TEXT_FIELD(EdgeFields, range, "range", FIELD_TREE, "What their owner lets planners try."),
    TEXT_FIELD(EdgeFields, program, "program", FIELD_TEXT, "A policy program."),
};
const FieldTable SYSTEM_EDGE_TABLE = TABLE("edge", EDGE);

static const Field GROUP[] = {
    TEXT_FIELD(GroupFields, to, "to", FIELD_ANY, "Agents called at the same time."),
    CHOICE_FIELD(GroupFields, join, "join", SYSTEM_JOINS, JOIN_ALL, "Which answers it waits for."),
    INT_FIELD(GroupFields, first, "first", 1, SYSTEM_TARGETS_MAX, 1,
              "join = \"first\": of how many good answers."),
};
const FieldTable SYSTEM_GROUP_TABLE = TABLE("calls", GROUP);

static const Field TARGET[] = {
    TEXT_FIELD(TargetFields, agent, "agent", FIELD_TEXT, "The agent that is called."),
    REAL_FIELD(TargetFields, chance, "chance", 0, 1, 1, "Share of requests that call it at all."),
    REAL_FIELD(TargetFields, repeat, "repeat", 1, SYSTEM_REPEAT_MAX, 1,
               "Times, one after the other; a mean where it is not whole."),
};
const FieldTable SYSTEM_TARGET_TABLE = TABLE("to", TARGET);

static const Field CLIENT[] = {
    TEXT_FIELD(ClientFields, to, "to", FIELD_TEXT, "The agent that it calls."),
    REAL_FIELD(ClientFields, rate, "rate", 0, 1e9, 0, "Open: requests a second."),
    REAL_FIELD(ClientFields, scv, "scv", 0, 1e4, 1,
               "Squared coefficient of variation of the gaps; 1 is Poisson, more is bursty."),
    INT_FIELD(ClientFields, users, "users", 0, 1e6, 0, "Closed: how many take turns."),
    TEXT_FIELD(ClientFields, think, "think", FIELD_ANY, "Closed: pause before each request."),
    TEXT_FIELD(ClientFields, patience, "patience", FIELD_ANY,
               "After which the caller leaves: a distribution. Without it, it waits."),
    TIME_FIELD(ClientFields, deadline_ns, "deadline", 0, DAY, 0,
               "Nobody waits for an answer after this; 0: for ever."),
    INT_FIELD(ClientFields, priority, "priority", 0, POLICY_PRIORITIES, 0,
              "1 is the most important; 0: the default."),
    TEXT_FIELD(ClientFields, spikes, "spikes", FIELD_ANY, "Times at which the rate is another."),
};
const FieldTable SYSTEM_CLIENT_TABLE = TABLE("client", CLIENT);

static const Field SPIKE[] = {
    TIME_FIELD(SpikeFields, at_ns, "at", 0, YEAR, 0, "When it begins."),
    TIME_FIELD(SpikeFields, for_ns, "for", 1, YEAR, 0, "How long it lasts."),
    REAL_FIELD(SpikeFields, factor, "factor", 0, 1e6, 1, "Factor on the rate."),
};
const FieldTable SYSTEM_SPIKE_TABLE = TABLE("spike", SPIKE);

static const Field OBJECTIVE[] = {
    TIME_FIELD(ObjectiveFields, within_ns, "within", 0, DAY, 0,
               "An answer later than this is not good; 0: any is."),
    REAL_FIELD(ObjectiveFields, goodput, "goodput", 0, 1, 0,
               "Share of what was offered that must be good; 0: not promised."),
    TIME_FIELD(ObjectiveFields, p50_ns, "p50", 0, DAY, 0, "Half of all must be as fast."),
    TIME_FIELD(ObjectiveFields, p99_ns, "p99", 0, DAY, 0,
               "99 % must be as fast; failures count as infinite."),
    REAL_FIELD(ObjectiveFields, errors, "errors", 0, 1, 0, "Share that may fail; 0: not promised."),
    TIME_FIELD(ObjectiveFields, window_ns, "window", NS_PER_MS, DAY, 10 * NS_PER_SECOND,
               "Over which recovery and the live system are judged."),
};
const FieldTable SYSTEM_OBJECTIVE_TABLE = TABLE("objective", OBJECTIVE);

static const Field FAULT[] = {
    TEXT_FIELD(FaultFields, agent, "agent", FIELD_TEXT, "Whom it meets."),
    TIME_FIELD(FaultFields, at_ns, "at", 0, YEAR, 0, "When it begins."),
    TIME_FIELD(FaultFields, for_ns, "for", 0, YEAR, 0, "How long it lasts; 0: to the end."),
    REAL_FIELD(FaultFields, slow, "slow", 0, 1e6, 1, "Factor on the work of a request."),
    REAL_FIELD(FaultFields, fail, "fail", 0, 1, 0, "Share of requests that fail."),
    INT_FIELD(FaultFields, lose, "lose", 0, SYSTEM_SERVERS_MAX, 0, "Servers that are gone."),
    BOOL_FIELD(FaultFields, stop, "stop", false, "It answers nothing at all."),
};
const FieldTable SYSTEM_FAULT_TABLE = TABLE("fault", FAULT);
// clang-format on
