// The rules planner's inside: what is known of latencies, and the moves. Only for planner_rules.c
// and rules_*.c.
#ifndef MANAGE_RULES_IMPL_H
#define MANAGE_RULES_IMPL_H

#include "manage/planner.h"

enum {
    RULES_SAMPLES = 512, // of an agent's latency
    RULES_DEPTH_MAX = 16,
    RULES_TIMEOUTS_MAX = 6,
    RULES_MOVES_MAX = 400,
    RULES_PLACES_MAX = 64, // edges of one set
};

// ---- latency without queueing, by drawing from the view

typedef struct RulesLatency {
    double *ns; // RULES_SAMPLES of them, ascending
} RulesLatency;

// Of one request at `agent` with all that it calls, nothing waiting and nothing failing.
RulesLatency rules_latency(Arena *arena, const System *view, uint32_t agent);
double rules_quantile(const RulesLatency *l, double q);
// Timeouts at which giving up and asking again is a good idea, best first. *ret_gain: by how much
// the best shortens the 99 % quantile (0.5: to the half); 1 where restarting does not help.
size_t rules_restarts(const RulesLatency *l, uint32_t attempts_max,
                      double ret_ns[RULES_TIMEOUTS_MAX], double *ret_gain);

// ---- moves

typedef enum Aspect {
    ASPECT_ATTEMPTS = 1 << 0, // timeouts and retries
    ASPECT_CANCEL = 1 << 1,
    ASPECT_BUDGET = 1 << 2,
    ASPECT_HEDGE = 1 << 3,
    ASPECT_LIMIT = 1 << 4,
    ASPECT_RATE = 1 << 5,
    ASPECT_BREAKER = 1 << 6,
    ASPECT_SERVERS = 1 << 7,
    ASPECT_SHED = 1 << 8,
} Aspect;

typedef enum SetKind {
    SET_OWN,      // all edges of the planner
    SET_OWN_EDGE, // one of them
    SET_CALLEE,   // all edges of an agent it calls
    SET_CALLER,   // of one that calls it
    SET_AGENT,    // an agent's own policies and servers; no edges
} SetKind;

// Where a move sets something.
typedef struct PlaceSet {
    SetKind kind;
    uint32_t number; // two sets with one number are the same place
    uint32_t party;  // who decides: an agent, or SYSTEM_FROM_CLIENT | client
    uint32_t edges[RULES_PLACES_MAX];
    uint32_t count;
    RulesLatency latency; // of the slowest target
    double gain;          // of restarts there
    double restarts[RULES_TIMEOUTS_MAX];
    size_t restart_count;
} PlaceSet;

typedef struct Move {
    Plan plan;
    uint32_t set;     // number of its PlaceSet
    uint32_t aspects; // of Aspect
    SetKind kind;
    bool calm;    // takes load away: no retries, patient
    bool restart; // adds attempts
} Move;

typedef struct Rules {
    Arena *arena;
    const PlanContext *context;
    const System *view;
    double within_ns; // of the promise that is broken, or the longest of the view
    PlaceSet *sets;
    size_t set_count, set_room;
    Move *moves;
    size_t move_count;
} Rules;

void rules_find_sets(Rules *r);
void rules_find_moves(Rules *r);

#endif
