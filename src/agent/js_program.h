// JsProgram: a script program with a pool of instances for each loop that runs it. Shared by the
// JavaScript agents and tools; private to this room.
#ifndef AGENT_JS_PROGRAM_H
#define AGENT_JS_PROGRAM_H

#include "agent/js_agent.h"
#include "base/json_write.h"
#include "script/host.h"

typedef struct JsProgram JsProgram;

// Compiles the module and makes one instance, to see that its top level runs and that it has a
// default function. *ret_exports (may be NULL) gets {"description":..., "schema":...,
// "paginated":...} of what it exports.
MUST_USE int js_program_create(const JsOptions *options, const ScriptModule *const *modules,
                               size_t module_count, JsProgram **ret_program, Buf *ret_exports,
                               Err *e);
// No instance is borrowed, and the loops that borrowed stand still. NULL is fine.
void js_program_destroy(JsProgram *program);

typedef struct JsLoan {
    ScriptPool *pool;
    Script *script;
    Counter *collections; // NULL: not counted
    uint64_t collected;   // before the loan
} JsLoan;

// An instance for the running fiber's loop. Any thread.
MUST_USE int js_program_borrow(JsProgram *program, int64_t deadline_ns, JsLoan *ret_loan, Err *e);
void js_program_give(JsLoan *loan);

// The bytes as a value: JSON where they are, text otherwise.
void js_return_data(ScriptCall *call, Slice data);
void js_append_data(Buf *json, Slice data);
// Milliseconds from now as a time of the loop; NEVER_NS for what is too far.
MUST_USE int js_duration_arg(ScriptCall *call, size_t index, int64_t *ret_ns, Err *e);
// All arguments as one line of the log.
MUST_USE int js_log_args(ScriptCall *call, Slice name, Err *e);

#endif
