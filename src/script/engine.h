// What the files of this room share: the one place that sees QuickJS's header.
#ifndef SCRIPT_ENGINE_H
#define SCRIPT_ENGINE_H

#include <quickjs/quickjs.h>

#include "base/arena.h"
#include "base/map.h"
#include "script/host.h"

// In front of every block that the engine was given, so that a heap can be freed without it.
typedef struct ScriptBlock ScriptBlock;
struct ScriptBlock {
    ScriptBlock *prev, *next;
};

typedef struct ScriptTimer ScriptTimer;
struct ScriptTimer {
    ScriptTimer *next; // by due time
    int32_t id;
    int64_t due_ns;
    int64_t interval_ns; // 0: once
    JSValue fn;
    int argc;
    JSValue argv[SCRIPT_ARGS_MAX];
};

typedef struct ScriptPromiseSlot ScriptPromiseSlot;
struct ScriptPromiseSlot {
    JSValue resolve, reject;
    int rc;
    Buf outcome; // JSON, or the error's text
};

struct ScriptProgram {
    Arena *arena;
    char *root; // real path; NULL without one
    const char *entry;
    unsigned parts;
    ScriptLimits limits;
    // The language-level modules first, then the caller's; functions are numbered through.
    const ScriptModule **modules;
    size_t *first_function;
    size_t module_count;
    const ScriptFunction **functions;
    size_t function_count;
    Map sources;   // file name to Slice in the arena
    bool frozen;   // after loading no file is read any more
    int load_code; // why the loader refused, while loading
};

struct Script {
    const ScriptProgram *program;
    ScriptOptions options;
    JSRuntime *rt;
    JSContext *ctx;
    ScriptBlock blocks; // list head
    size_t heap_bytes, heap_bytes_peak;
    size_t gc_at_bytes; // collect between calls when the heap is larger
    bool heap_exceeded;
    JSValue exports; // namespace of the entry module
    JSValue error_constructor;
    JSValue *objects; // by module number: made SCRIPT_OBJECTs, else undefined
    Buf scratch;      // NUL-terminated copies for the engine's parsers

    // The call under way.
    bool busy;
    void *host;
    int64_t deadline_ns;
    int64_t cpu_used_ns;
    int64_t running_since_ns;
    int killed; // 0, or the code of the uncatchable error in kill_err
    Err kill_err;
    Fiber *waiter; // parked until a promise settles or a timer is due
    ScriptTimer *timers;
    size_t timer_count;
    int32_t last_timer_id;
    ScriptPromise *promises; // pending
    size_t promise_count;
    ScriptPromise *settled; // to be delivered, in the order of settling
    ScriptPromise **settled_end;
    int unhandled; // rejected promises that nobody handled so far
    Buf unhandled_text;

    bool spent;
    Buf failure_name, failure_message, failure_stack;
    ScriptStats stats;
    // The pool's.
    ScriptPool *pool;
    Script *pool_next;
};

struct ScriptCall {
    Script *script;
    JSContext *ctx;
    int argc;
    JSValueConst *argv;
    JSValue result;
    const char *held[SCRIPT_ARGS_MAX]; // text handed out, freed when the call returns
    int held_count;
    bool threw; // an exception of the script's own making is pending
};

// ---- engine.c

// A context without modules. ERR_LIMIT when the heap limit does not even hold the language.
MUST_USE int script_engine_open(Script *s, Err *e);
// `careful` takes the heap apart by the engine, which aborts on lost references.
void script_engine_close(Script *s, bool careful);
// Ends the call under way by an error that cannot be caught; the first reason counts.
void script_kill(Script *s, int code, const char *format, ...) PRINTF_LIKE(3, 4);
// Looks at every limit and lets other fibers run when it is their turn; s->killed afterwards.
int script_poll(Script *s);
// The processor clock stands while a host function runs or the fiber waits.
void script_clock_stop(Script *s);
void script_clock_start(Script *s);
// Before the engine is entered from the outside: how deep it may recurse here.
MUST_USE int script_enter_stack(Script *s, Err *e);
JSValue script_throw_killed(Script *s);

// ---- fault.c

// Takes the pending exception (or the reason for the kill) into *e and s->failure_*.
int script_take_exception(Script *s, Err *e);
// Drops it.
void script_drop_exception(JSContext *ctx);
JSValue script_throw_error(Script *s, int code, const char *text);

// ---- value.c

// Appends the string as UTF-8, lone surrogates replaced. False with an exception pending.
bool script_append_text(JSContext *ctx, JSValueConst value, Buf *out);
JSValue script_value_of_doc(Script *s, const Doc *doc);
JSValue script_value_of_json(Script *s, Slice json);
// Appends JSON.stringify(value); *ret_any false when that is undefined. -1 with an exception
// pending.
int script_append_json(JSContext *ctx, JSValueConst value, Buf *out, bool *ret_any);
// Lone surrogates in JSON's escapes, which no UTF-8 can carry, become U+FFFD. Same length.
void script_repair_escapes(char *json, size_t len);

// ---- host.c

// Puts the global modules on the global object.
MUST_USE int script_install_globals(Script *s);
// The functions of module number `index` as an object.
JSValue script_module_object(Script *s, size_t index);
JSValue script_object_of(Script *s, const ScriptModule *module);
// Rejects or fulfils what was settled; runs no jobs. False with an exception pending.
bool script_deliver_promises(Script *s);
void script_cancel_promises(Script *s);
// Calls the timers that are due. False with an exception pending.
bool script_fire_timers(Script *s);
void script_drop_timers(Script *s);

// ---- program.c

JSModuleDef *script_load_module(JSContext *ctx, const char *name, void *opaque);
char *script_normalize_module(JSContext *ctx, const char *base, const char *name, void *opaque);
JSValue script_compile_entry(Script *s);

// ---- run.c

// Runs jobs, timers and promises until `value` is settled: 0, with a value that is no promise, or
// the error. Takes `value`.
MUST_USE int script_settle(Script *s, JSValue value, bool wait_for_all, JSValue *ret_value, Err *e);
MUST_USE int script_begin(Script *s, const ScriptCallOptions *options, Err *e);
void script_end(Script *s, int rc);

// ---- array_guard.c

MUST_USE int script_guard_arrays(Script *s);

// ---- the language-level modules

extern const ScriptModule script_console, script_log, script_timers, script_timer_globals,
    script_encoding, script_crypto, script_url, script_text;

#endif
