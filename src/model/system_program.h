// Policy programs of a System: their text compiled, with what their owners allow.
//
//     SystemProgram p;
//     rc = system_program(sys, PLACE_EDGE, edge, text, &p, e);
//     rc = system_program_allowed(sys, PLACE_EDGE, edge, &p, e);     // of somebody else's proposal
//     rc = virtual_set_program(v, edge, &p.program, p.ranges, p.range_count, e);
#ifndef MODEL_SYSTEM_PROGRAM_H
#define MODEL_SYSTEM_PROGRAM_H

#include "model/system.h"
#include "policy/virtual.h"

typedef struct SystemProgram {
    PolicyProgram program;
    ProgramRange ranges[PROGRAM_TARGETS_MAX];
    size_t range_count;
} SystemProgram;

// `text` for the agent or edge `index`, with the ranges of its owner where there are some.
// ERR_PARSE, ERR_LIMIT.
MUST_USE int system_program(const System *sys, SystemPlace place, uint32_t index, Slice text,
                            SystemProgram *ret_program, Err *e);
// ERR_REFUSED: it sets a parameter that its owner gives no range for.
MUST_USE int system_program_allowed(const System *sys, SystemPlace place, uint32_t index,
                                    const SystemProgram *program, Err *e);

// Starts all programs of the System in a world whose services and edges have its numbers, and room.
void system_programs_start(const System *sys, Virtual *v);

#endif
