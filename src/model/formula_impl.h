// What the files of the formula share. See formula.h.
#ifndef MODEL_FORMULA_IMPL_H
#define MODEL_FORMULA_IMPL_H

#include "model/formula.h"

// When and how a call or request ends. What is in neither never ends by itself.
typedef struct Reply {
    Spread ok;
    Spread failed;
} Reply;

// A share of requests that nobody waits for any more after `seconds` and that hear of it.
typedef struct Atom {
    double share, seconds; // INFINITY: they are patient
} Atom;

typedef struct Atoms {
    Atom list[FORMULA_ATOMS_MAX]; // ascending in time
    int count;                    // 0: all are patient
} Atoms;

// The agents, callees before their callers but for circles; `ret_order` has room for all.
void formula_order(Arena *arena, const System *sys, uint32_t *ret_order);

// ---- one station (formula_station.c)

typedef struct StationAsk {
    double rate;      // arrivals a second
    double mean, scv; // of the time a server is held
    double arrival_scv;
    double servers; // > 0
    double room;    // that may wait; INFINITY
    const Atoms *atoms;
} StationAsk;

typedef struct StationAnswer {
    double waits;    // share that has to wait
    double blocked;  // share turned away at once
    bool overloaded; // the queue grows without end; then `wait` is never
} StationAnswer;

// The wait before service of those that are let in, whether they stay for it or not.
StationAnswer formula_station(const StationAsk *ask, Spread *ret_wait);

// E min(S, x) in O(1) after O(cells).
typedef struct Until {
    double seen[SPREAD_CELLS + 1], sum[SPREAD_CELLS + 1];
    int low, high;
    double zero, mean;
} Until;
void formula_until(Until *u, const Spread *s);
double formula_until_mean(const Until *u, double limit);

// ---- one call (formula_call.c)

typedef struct CallAsk {
    const ParamValue *policy;
    const Reply *target;   // what one request to the agent does
    double deadline;       // s from the start of the call; INFINITY
    double calls;          // a second: what budgets and limits look at
    const Atoms *patience; // of the one who calls, from the start of the call
} CallAsk;

// Means a call, of calls whose caller may leave before they end.
typedef struct CallAnswer {
    double attempts; // retries and hedges included, those refused here as well
    double retries, hedges, timeouts;
    double sent;   // attempts that reach the target
    double winner; // s from the start of an attempt to the good answer, where there is one
} CallAnswer;

typedef struct CallScratch {
    Spread begin, next, sum;
    Reply attempt;
} CallScratch;

CallAnswer formula_call(const CallAsk *ask, CallScratch *scratch, Reply *ret_reply);

void atoms_add(Atoms *atoms, double share, double seconds);
void atoms_finish(Atoms *atoms); // shares sum to 1

// ---- the system (formula.c)

typedef struct GroupState {
    double reach;   // share of requests that get so far, of those that wait for it
    double elapsed; // s from arrival to the group's beginning, mean
    double finish;  // s the group takes, mean where it ends well
} GroupState;

typedef struct AgentState {
    Spread work; // its own
    Spread hold; // of a server
    Spread wait;
    Until until;        // of `hold`
    Reply *reply;       // by class
    GroupState *groups; // by class and group
    Atoms patience, patience_before;
    double arrivals[FORMULA_CLASSES_MAX], arrivals_before[FORMULA_CLASSES_MAX];
    double next[FORMULA_CLASSES_MAX];
    const uint32_t *in; // edges that lead here
    uint32_t in_count;
    double arrival_scv;
    double rate;        // sum of arrivals
    double ideal;       // if nothing failed
    double useful;      // a second: requests whose answer reached a client
    double useful_work; // s of work a second in them
    double servers;     // 0: any number
    double held;        // s a server is held by one that is served
    double used;        // s a server is held by an arrival
    double utilisation, waiting, blocked;
    double through; // share of arrivals that are served; less than 1 in overload
    bool overloaded;
    bool fresh;
} AgentState;

typedef struct EdgeState {
    Reply *reply; // of a call, by class
    Atoms patience, patience_before;
    double calls[FORMULA_CLASSES_MAX], calls_before[FORMULA_CLASSES_MAX];
    CallAnswer answer[FORMULA_CLASSES_MAX];
    bool fresh;
    bool limits; // something here depends on how many calls there are
} EdgeState;

struct Formula {
    Arena *arena;
    uint32_t agent_count, edge_count, client_count, classes;
    uint8_t class_of_priority[POLICY_PRIORITIES + 1];
    AgentState *agents;
    EdgeState *edges;
    uint32_t *order; // callees before their callers
    double *rates;   // of clients
    double *visits;  // [client * agents + agent], if nothing failed
    CallScratch scratch;
    Reply current, joined, part;
    Spread sum;
    char reason[2048];
};

// Fills the outcome from what the last iteration left (formula_report.c).
void formula_report(Formula *f, const System *sys, const FormulaFacts *facts, Outcome *outcome);
const Reply *formula_client_reply(const Formula *f, const System *sys, uint32_t client);
double formula_goodput(const Formula *f, const System *sys, uint32_t client);
// The answer of one group of calls (formula_group.c) to f->joined.
void formula_group(Formula *f, const SystemGroup *group, uint32_t class);
// One pass from callees to callers: waits, replies; and back: rates, patience (formula_pass.c).
void formula_up(Formula *f, const System *sys, bool first);
// The largest relative change of a rate. `weight` of the new rates, 1 without damping.
double formula_down(Formula *f, const System *sys, double weight);

#endif
