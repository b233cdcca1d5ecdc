// Performance interface of an agent: I x P => O x E. From environment inputs I (who calls it, how
// often, how unevenly) and policies P (its own, and its neighbours' that it depends on) to outputs
// O (latency, goodput, errors, load) and effects E (what it sends to others, retries, wasted work).
//
// It is a document and a program. The document is what an agent publishes:
//
//     {"format": "perfwright-interface", "version": 1, "agent": "d", "system": "pipeline",
//      "revision": 3, "issued_unix_ns": ..., "expires_unix_ns": ...,
//      "inputs":   [{"from": "b", "rate": {"value": 14, "low": 0, "high": 42}, "scv": 1}],
//      "policies": [{"name": "d.servers", "owner": "d", "unit": "servers", "value": 18,
//                    "low": 18, "high": 72}],
//      "outputs":  ["offered", "goodput", "errors", "mean", "p50", "p99", ...],
//      "effects":  [{"to": "x", "calls": {...}, "attempts": {...}, "retries": {...}}],
//      "region":   {"utilisation": 0.95},
//      "cost_ns":  {"bounds": 2000, "formula": 60000, "simulation": 400000000},
//      "fit":      {"rows": 400, "error": 0.06, "on": "..."},
//      "fragment": {"agents": {"d": {...}}, "edges": [...], "clients": {...}, "objectives": {...}}}
//
// The fragment is a part of a System document: the agent with its work as a distribution, its
// servers, the calls it makes and their policies, the clients that come to it directly. With the
// fragments of others it composes to the System that the reader can know (interface_compose).
//
// The program answers questions about a System, so put together or whole (interface_query): with
// other inputs and policies, by the best fidelity that a budget allows, as intervals.
//
//     Interface *mine;
//     rc = interface_of(arena, sys, d, NULL, &mine, e);
//     interface_write(mine, &writer);                                  // published
//     ...
//     rc = interface_read(arena, doc, &theirs, e);                     // by somebody else
//     rc = interface_compose(arena, list, 3, &options, &known, e);     // what they all say
//     rc = interface_program(known.sys, &program, e);
//     rc = interface_query(program, arena, &(InterfaceQuery){.changes = c, .change_count = 1,
//                                            .budget_ns = 50 * NS_PER_MS}, &answer, e);
//     answer.outcome->clients[0].p99      value, low, high; answer.fidelity, .took_ns
//
// Documents are immutable and live in their arena. A program belongs to one thread at a time.
#ifndef MODEL_INTERFACE_H
#define MODEL_INTERFACE_H

#include "model/outcome.h"

enum {
    INTERFACE_VERSION = 1,
    INTERFACE_INPUTS_MAX = 256,
    INTERFACE_POLICIES_MAX = 8192,
    INTERFACE_EFFECTS_MAX = 1024,
    INTERFACE_BYTES_MAX = 1 << 20, // of a document
    INTERFACE_MARKS_MAX = 256,
};
#define INTERFACE_FORMAT "perfwright-interface"
#define INTERFACE_UTILISATION                                                                      \
    0.95 // where formulas and short simulations stop being worth their name

typedef struct InterfaceInput {
    Slice from;             // an agent or a client
    double rate, low, high; // calls a second
    double scv;             // of their gaps
} InterfaceInput;

typedef struct InterfacePolicy {
    Slice name;  // "d.servers", "b->d.timeout.attempt"
    Slice owner; // who decides about it
    Slice unit;
    double value, low, high; // as in SystemRange; low = high: not to be changed
} InterfacePolicy;

typedef struct InterfaceEffect {
    Slice to;
    Estimate calls, attempts, retries; // a second, at the inputs' values
} InterfaceEffect;

typedef struct InterfaceFit {
    uint64_t rows;    // 0: nothing was fitted
    double error;     // median relative error, cross-validated
    Slice on;         // what it was fitted on
    const Doc *model; // for model/learned.h; or NULL
} InterfaceFit;

typedef struct Interface {
    Slice agent, system_name;
    int64_t revision, issued_unix_ns, expires_unix_ns; // expires 0: never
    InterfaceInput *inputs;
    InterfacePolicy *policies;
    InterfaceEffect *effects;
    uint32_t input_count, policy_count, effect_count;
    double utilisation_max;     // validity: of the agent
    double cost_ns[FIDELITIES]; // NAN: not offered
    InterfaceFit fit;
    const Doc *fragment;
} Interface;

typedef struct InterfaceOptions {
    const Outcome *observed; // of `sys`; NULL: the formula's
    int64_t now_unix_ns;     // 0: the clock's
    int64_t ttl_ns;          // until it expires; 0: never
    int64_t revision;        // 0: 1
} InterfaceOptions;

// Of one agent of a System. `options` may be NULL.
MUST_USE int interface_of(Arena *arena, const System *sys, uint32_t agent,
                          const InterfaceOptions *options, Interface **ret_interface, Err *e);
void interface_write(const Interface *interface, JsonWriter *w);
// JSON, TOML or YAML. ERR_PARSE with the place, ERR_VERSION, ERR_LIMIT.
MUST_USE int interface_read(Arena *arena, const Doc *doc, Interface **ret_interface, Err *e);

// The agent and what lies below it, with those who call it as clients at the rates of `observed`
// (NULL: the formula's): what one agent can be asked about. Names of edges stay as they were.
MUST_USE int interface_local(Arena *arena, const System *sys, uint32_t agent,
                             const Outcome *observed, System **ret_system, Err *e);

// ---- what several say together

typedef enum InterfaceMarkKind {
    MARK_STALE,         // expired
    MARK_MISSING,       // somebody is called who published nothing
    MARK_CONTRADICTION, // two say different things; the owner is believed
    MARK_UNSURE,        // a rate that one says it gets and the other would not send
} InterfaceMarkKind;
extern const char *const INTERFACE_MARK_NAMES[]; // ends with NULL

typedef struct InterfaceMark {
    InterfaceMarkKind kind;
    Slice agent;
    Slice words; // one sentence
} InterfaceMark;

typedef struct InterfaceComposeOptions {
    int64_t now_unix_ns; // 0: the clock's
    bool strict;         // every mark is an error: ERR_CONFLICT, ERR_NOT_FOUND, ERR_TIMEOUT (stale)
    Slice name;          // of the System; empty: that of the first
} InterfaceComposeOptions;

typedef struct InterfaceKnown {
    System *sys;
    InterfaceMark *marks;
    uint32_t mark_count;
} InterfaceKnown;

// Of several documents of one agent the highest revision counts; two that differ with the same one
// are ERR_CONFLICT. An agent that is called and did not publish becomes one without work (marked);
// one that calls and did not publish becomes a client at the rate that the called one states.
MUST_USE int interface_compose(Arena *arena, const Interface *const *list, size_t count,
                               const InterfaceComposeOptions *options, InterfaceKnown *ret_known,
                               Err *e);

// ---- the program

typedef struct InterfaceProgram InterfaceProgram;

struct InterfaceFitted; // model/interface_fit.h

typedef struct InterfaceRate {
    Slice client;
    double rate; // a second; of an open client
    double scv;  // 0: as it is
} InterfaceRate;

typedef struct InterfaceQuery {
    const InterfaceRate *rates;
    size_t rate_count;
    const SystemChange *changes;
    size_t change_count;
    bool exact_fidelity;            // `fidelity` and no other; else the best that the budget allows
    Fidelity fidelity;              // bounds, formula, simulation, hybrid
    int64_t budget_ns;              // of the clock; 0: 50 ms
    double confidence;              // 0: 0.9
    uint64_t seed;                  // of simulations
    bool outside;                   // also outside of ranges and of the region, and then say so
    uint32_t threads;               // of simulations; 0: 1
    struct InterfaceFitted *fitted; // of the program's System, for the hybrid; or NULL
} InterfaceQuery;

typedef struct InterfaceAnswer {
    Outcome *outcome;
    const System *sys; // with the query's inputs and policies
    Fidelity fidelity;
    bool outside; // of the region
    Slice note;   // why it is worth less than it might be; empty
    int64_t took_ns;
} InterfaceAnswer;

// `sys` is borrowed. ERR_LIMIT for systems that are too large.
MUST_USE int interface_program(const System *sys, InterfaceProgram **ret_program, Err *e);
void interface_program_destroy(InterfaceProgram *program); // NULL is fine
// Answers in `arena`. ERR_ARG: a client that is not there or closed, a rate that is none, a value
// outside of what its owner allows (unless `outside`); ERR_UNSUPPORTED: a fidelity that it does not
// have. Auto takes the hybrid before the formula where something was fitted, and simulates where
// the budget has room. An unstable system is an answer, not an error.
MUST_USE int interface_query(InterfaceProgram *program, Arena *arena, const InterfaceQuery *query,
                             InterfaceAnswer *ret_answer, Err *e);
// What a query has cost so far, ns; NAN: never asked.
double interface_cost(const InterfaceProgram *program, Fidelity fidelity);

#endif
