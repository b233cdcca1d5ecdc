// For authors of host modules: functions in C that scripts import, find on the global object or get
// as an argument. The engine's own types stay behind this header.
//
//     static int random_between(ScriptCall *call, Err *e)
//     {
//         double low, high;
//         int rc = script_arg_to_number(call, 0, "low", &low, e);
//         if (rc == 0) {
//             rc = script_arg_to_number(call, 1, "high", &high, e);
//         }
//         if (rc == 0) {
//             script_return_number(call, ...);
//         }
//         return rc;
//     }
//     static const ScriptFunction functions[] = {{"between", 2, random_between}};
//     static const ScriptModule module = {SCRIPT_IMPORT, "random", functions, 1};
//
// An error becomes a JavaScript Error with the text as its message and the code's name ("ERR_IO")
// as its `code`; ERR_CANCELLED cannot be caught. A function that waits parks its fiber and returns
// when it is done; it must give up at script_deadline_ns.
//
// A function that starts something and returns a promise at once embeds a ScriptPromise in its
// operation, and settles it later, on the loop's thread:
//
//     typedef struct Op { ScriptPromise promise; ... } Op;
//     op->promise.cancel = cancel_op;      // must lead to a script_promise_settle, soon
//     op->promise.release = free_op;
//     rc = script_promise_start(call, &op->promise, e);
//     ... later:  script_promise_settle(&op->promise, rc, json, &err);
//
// The call that made it does not end before every promise of its own is settled and released.
#ifndef SCRIPT_HOST_H
#define SCRIPT_HOST_H

#include "script/script.h"

typedef struct ScriptCall ScriptCall;

typedef struct ScriptFunction {
    const char *name;
    int arity; // what .length says
    int (*fn)(ScriptCall *call, Err *e);
} ScriptFunction;

typedef enum ScriptModuleKind {
    SCRIPT_IMPORT,        // import { f } from "name", or import name from "name"
    SCRIPT_GLOBAL_OBJECT, // name.f()
    SCRIPT_GLOBALS,       // f()
    SCRIPT_OBJECT,        // only as a SCRIPT_ARG_OBJECT
} ScriptModuleKind;

struct ScriptModule {
    ScriptModuleKind kind;
    const char *name;
    const ScriptFunction *functions;
    size_t function_count;
};

// ---- the call

void *script_host(const ScriptCall *call);
Script *script_of(const ScriptCall *call);
int64_t script_deadline_ns(const ScriptCall *call); // NEVER_NS without one
Loop *script_loop(const ScriptCall *call);

// ---- arguments; `name` is for messages

size_t script_arg_count(const ScriptCall *call);
bool script_arg_is_given(const ScriptCall *call, size_t index); // not undefined and not null
bool script_arg_is_null(const ScriptCall *call, size_t index);
bool script_arg_is_string(const ScriptCall *call, size_t index);
bool script_arg_is_object(const ScriptCall *call, size_t index); // objects, arrays, functions
// Exactly of the type; ERR_ARG otherwise. Text is valid UTF-8 (lone surrogates become U+FFFD) and
// lives until the call returns.
MUST_USE int script_arg_to_string(ScriptCall *call, size_t index, const char *name, Slice *ret,
                                  Err *e);
MUST_USE int script_arg_to_number(ScriptCall *call, size_t index, const char *name, double *ret,
                                  Err *e);
// A whole number of at most 2^53.
MUST_USE int script_arg_to_int(ScriptCall *call, size_t index, const char *name, int64_t *ret,
                               Err *e);
MUST_USE int script_arg_to_bool(ScriptCall *call, size_t index, const char *name, bool *ret,
                                Err *e);
// A string's UTF-8, or what an ArrayBuffer or a view of one holds.
MUST_USE int script_arg_to_bytes(ScriptCall *call, size_t index, const char *name, Slice *ret,
                                 Err *e);
// What String(value) says; for objects, JSON.
MUST_USE int script_arg_to_text(ScriptCall *call, size_t index, Buf *out, Err *e);
// JSON.stringify(value); "null" for undefined. Past out->max it is ERR_LIMIT.
MUST_USE int script_arg_to_json(ScriptCall *call, size_t index, const char *name, Buf *out, Err *e);
MUST_USE int script_arg_to_doc(ScriptCall *call, size_t index, const char *name, Arena *arena,
                               const Doc **ret, Err *e);
// A member of an object argument, as JSON; appends nothing when it is missing or undefined.
MUST_USE int script_arg_member_json(ScriptCall *call, size_t index, const char *member, Buf *out,
                                    Err *e);

// ---- the result; undefined when none of these is called

void script_return_string(ScriptCall *call, Slice text);
void script_return_number(ScriptCall *call, double number);
void script_return_bool(ScriptCall *call, bool value);
void script_return_null(ScriptCall *call);
void script_return_bytes(ScriptCall *call, Slice bytes); // an ArrayBuffer
MUST_USE int script_return_json(ScriptCall *call, Slice json, Err *e);
MUST_USE int script_return_doc(ScriptCall *call, const Doc *doc, Err *e);

// ---- timers, for setTimeout and its kin

// Calls the function that argument `index` is, after `delay_ns` and then every `interval_ns` (0:
// once), with the arguments behind index + 1. Returns the number through *ret_id.
MUST_USE int script_timer_start(ScriptCall *call, size_t index, int64_t delay_ns, bool repeat,
                                int32_t *ret_id, Err *e);
void script_timer_stop(ScriptCall *call, int32_t id); // fine when there is none

// ---- promises

typedef struct ScriptPromise ScriptPromise;
struct ScriptPromise {
    void (*cancel)(ScriptPromise *promise);  // nobody waits for it any more
    void (*release)(ScriptPromise *promise); // the operation's memory may go
    // Private.
    Script *script;
    ScriptPromise *prev, *next;
    struct ScriptPromiseSlot *slot;
    bool settled, cancelled;
};

// Makes the promise the call's result.
MUST_USE int script_promise_start(ScriptCall *call, ScriptPromise *promise, Err *e);
// Once, from a callback or another fiber of the loop: with rc 0 it is fulfilled with `json` (empty:
// undefined), otherwise rejected with the error. `json` is copied.
void script_promise_settle(ScriptPromise *promise, int rc, Slice json, const Err *e);

#endif
