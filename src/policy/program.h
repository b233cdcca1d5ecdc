// Policy programs: an open policy. Beside setting parameters to numbers, a planner (or a language
// model) may write a small program that sets them anew every period from what was observed in it:
//
//     period = 2s;
//     var load = ewma(rate, 0.3);                       # 0.3 of the new, 0.7 of the old
//     limit.value = clamp(limit.value * if(p99 > 2s, 0.8, 1.05), 4, 200);
//     retry.attempts = if(errors > 5% or load > 18, 1, 3);
//
// Expressions only: no loops, no I/O, no calls of anything that is not in the table of functions.
// Length, depth, constants and variables have ceilings, so a step takes a bounded time (some
// microseconds). Values are clamped to the table's ranges (and those of the owner, which the
// driver gives), a NaN changes nothing, and choices and flags are numbers rounded to the nearest.
//
//     PolicyProgram program;
//     if ((rc = program_compile(text, &program, e)) != 0) ...   // "line 2, column 14: ..."
//     ProgramChange changes[PROGRAM_TARGETS_MAX];
//     size_t n = program_step(&program, &seen, values, changes);
//
// A compiled program is a value without pointers, its variables included: memcpy makes a second one
// that goes on as the first does. Times are seconds, shares 0..1.
//
// Names: rate (calls a second), p50, p99 (seconds, of attempts that were answered), errors,
// timeouts, throttled (shares of ended attempts), retries (a call), in_flight, waiting, time
// (seconds since the program began), every parameter as owner.name with its present value, and
// variables, which keep their value from step to step and begin at 0.
// Operators, weakest first: or, and, not, < <= > >= == !=, + -, * /, unary -.
// Functions: if(c, a, b), min, max, clamp(x, low, high), abs, sqrt, floor, ewma(x, weight).
// Units: ns us ms s m h, %, and none.
#ifndef POLICY_PROGRAM_H
#define POLICY_PROGRAM_H

#include "policy/params.h"

enum {
    PROGRAM_VERSION = 1,
    PROGRAM_TEXT_MAX = 4096,
    PROGRAM_OPS_MAX = 512,
    PROGRAM_DEPTH_MAX = 32, // of the stack, and of brackets
    PROGRAM_CONSTANTS_MAX = 64,
    PROGRAM_VARIABLES_MAX = 16, // those of ewma included
    PROGRAM_TARGETS_MAX = 16,   // parameters that it sets
    PROGRAM_NAME_MAX = 31,
};
#define PROGRAM_PERIOD_MIN_NS (100 * INT64_C(1000000))
#define PROGRAM_PERIOD_MAX_NS (600 * INT64_C(1000000000))

typedef enum ProgramSense {
    SENSE_RATE,
    SENSE_P50,
    SENSE_P99,
    SENSE_ERRORS,
    SENSE_TIMEOUTS,
    SENSE_THROTTLED,
    SENSE_RETRIES,
    SENSE_IN_FLIGHT,
    SENSE_WAITING,
    SENSE_TIME,
    PROGRAM_SENSES
} ProgramSense;
extern const char *const PROGRAM_SENSE_NAMES[PROGRAM_SENSES + 1]; // ends with NULL

// What was observed in the last period. A p50 or p99 without a sample is NAN; comparisons with NAN
// are false, arithmetic with it changes nothing.
typedef struct ProgramSeen {
    double sense[PROGRAM_SENSES];
} ProgramSeen;

typedef struct ProgramOp {
    uint8_t code;
    uint8_t argument; // constant, variable, sense or target; of PARAM ops a PolicyParamId
} ProgramOp;

typedef struct PolicyProgram {
    uint32_t version;
    uint32_t op_count, constant_count, variable_count, target_count;
    int64_t period_ns;
    ProgramOp ops[PROGRAM_OPS_MAX];
    double constants[PROGRAM_CONSTANTS_MAX];
    double variables[PROGRAM_VARIABLES_MAX];
    uint8_t targets[PROGRAM_TARGETS_MAX]; // PolicyParamId; those that are set, each once
    uint32_t begun;                       // bit i: the ewma of variable i has seen a value
} PolicyProgram;

typedef struct ProgramChange {
    PolicyParamId param;
    ParamValue value;
} ProgramChange;

// ERR_PARSE with line and column, ERR_LIMIT. A program that sets nothing, sets something that may
// not be changed while running, or sets one parameter twice is refused.
MUST_USE int program_compile(Slice text, PolicyProgram *ret_program, Err *e);

// One period is over. `values` are the parameters as they are; at most target_count changes, only
// of those whose value is another.
size_t program_step(PolicyProgram *program, const ProgramSeen *seen,
                    const ParamValue values[POLICY_PARAM_COUNT],
                    ProgramChange changes[PROGRAM_TARGETS_MAX]);

// Does it set this parameter?
bool program_sets(const PolicyProgram *program, PolicyParamId param);

#endif
