// What the files of the performance interface share. See interface.h.
#ifndef MODEL_INTERFACE_IMPL_H
#define MODEL_INTERFACE_IMPL_H

#include "model/interface.h"

// A System document in the making, from members of other documents.
typedef struct Assembly {
    Arena *arena;
    Slice name;
    const Doc **agents; // each with its name as key
    const Doc **edges;
    const Doc **clients;
    const Doc **objectives;
    size_t agent_count, edge_count, client_count, objective_count;
    Slice *empty; // agents of which nothing is known
    size_t empty_count;
    struct AssemblyCaller { // agents whose calls come from outside
        Slice from, to;
        double rate, scv;
    } * callers;
    size_t caller_count;
} Assembly;

void assembly_init(Assembly *a, Arena *arena, size_t agents, size_t edges, size_t others);
MUST_USE int assembly_read(const Assembly *a, System **ret_system, Err *e);

// The System's own document, in the arena.
MUST_USE int interface_system_doc(Arena *arena, const System *sys, const Doc **ret_doc, Err *e);

// Calls of an edge a second: of `observed`, or else of the formula.
MUST_USE int interface_rates(Arena *arena, const System *sys, const Outcome *observed,
                             const Outcome **ret_outcome, Err *e);

#endif
