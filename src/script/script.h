// Script: JavaScript (ES2023, QuickJS) under limits, on fibers.
//
// A ScriptProgram is source that was read, checked and linked once: an entry module and what it
// imports. It does not change and may be shared by threads. A Script is one instance of it: a heap
// of its own with the program's module variables. An instance runs one call at a time, because a
// JavaScript runtime can hold only one parked activation; whoever wants many calls under way has
// many instances, out of a ScriptPool.
//
//     ScriptProgram *program;
//     rc = script_program_load(&(ScriptProgramOptions){.root = "agents", .entry = "a.js"},
//                              &program, e);
//     ScriptPool *pool = script_pool_create(program, loop, &(ScriptPoolOptions){.scripts_max =
//     64});
//     ... in a fiber:
//     Script *script;
//     rc = script_pool_borrow(pool, deadline_ns, &script, e);
//     ScriptArg args[] = {script_arg_json(SLICE("{\"n\":1}"))};
//     rc = script_call(script, "default", args, 1, &(ScriptCallOptions){0}, &json, e);
//     script_pool_give(pool, script);
//
// A host function (script/host.h) that waits parks the fiber, and the script stands still inside
// the call: no callbacks are needed, and `await` works as well. Other fibers run meanwhile, and a
// script that computes for long gives way to them every few milliseconds.
//
// Limits, for each instance and call: heap, stack (what the fiber has left, less a reserve), time
// on the processor, deadline. Past a limit, and when its fiber is cancelled, the call ends by an
// error that the script cannot catch; the instance is then spent (script_is_spent), and the pool
// replaces it. A spent instance's memory is released block by block without asking the engine, so
// what state the script was in does not matter.
//
// Module variables live as long as their instance, and which instance serves a call is not defined:
// they are good for tables and caches, not for state.
//
// A program may be used by any thread; a Script and a ScriptPool belong to their loop's thread.
#ifndef SCRIPT_SCRIPT_H
#define SCRIPT_SCRIPT_H

#include "base/buf.h"
#include "base/doc.h"
#include "base/err.h"
#include "base/log.h"
#include "base/slice.h"
#include "os/fiber.h"
#include "os/loop.h"

typedef struct Script Script;
typedef struct ScriptProgram ScriptProgram;
typedef struct ScriptPool ScriptPool;
typedef struct ScriptModule ScriptModule; // script/host.h

enum {
    SCRIPT_HEAP_BYTES = 64 << 20, // defaults of the limits below
    SCRIPT_HEAP_BYTES_MIN = 256 << 10,
    SCRIPT_GC_THRESHOLD_BYTES = 1 << 20,
    SCRIPT_GC_PERCENT = 100,
    SCRIPT_STACK_RESERVE = 64 << 10, // for the engine's own C code and host functions
    SCRIPT_SOURCE_BYTES_MAX = 4 << 20,
    SCRIPT_MODULES_MAX = 1000, // files of one program
    SCRIPT_SPECIFIER_MAX = 1024,
    SCRIPT_TIMERS_MAX = 10000,  // pending in one instance
    SCRIPT_PROMISES_MAX = 1000, // host promises pending in one instance
    SCRIPT_ARGS_MAX = 16,
};

// What a context is built from. Scripts that need little start faster and smaller; what is left out
// is missing from the global object.
typedef enum ScriptParts {
    SCRIPT_DATE = 1 << 0,
    SCRIPT_REGEXP = 1 << 1,
    SCRIPT_PROXY = 1 << 2,       // and Reflect
    SCRIPT_COLLECTIONS = 1 << 3, // Map, Set, WeakMap, WeakSet
    SCRIPT_TYPED_ARRAYS = 1 << 4,
    SCRIPT_WEAK_REFS = 1 << 5,
    SCRIPT_NORMALIZE = 1 << 6, // String.prototype.normalize
    SCRIPT_PARTS_ALL = (1 << 7) - 1,
} ScriptParts;

// Zero takes the default.
typedef struct ScriptLimits {
    size_t heap_bytes; // of one instance
    // When to collect cycles (reference counts free the rest at once): a collection is due when the
    // heap has grown by gc_percent of what lived after the last one, and by gc_threshold_bytes at
    // least. Go's GOGC means the same.
    size_t gc_threshold_bytes;
    int gc_percent;
    // That one call may hold the thread, waiting not counted; 0: 1 s. The monotonic clock measures
    // it, so what the system gave to other threads meanwhile counts, too.
    int64_t cpu_ns;
    int64_t slice_ns; // after which a computing script lets other fibers run; 0: 2 ms
} ScriptLimits;

typedef struct ScriptProgramOptions {
    const char *root;  // directory that imports cannot leave; NULL: the program imports no files
    const char *entry; // file below root, or with `source` the name it goes by in messages
    Slice source;      // instead of the entry's file; NULL: read it
    unsigned parts;    // ScriptParts; 0: SCRIPT_PARTS_ALL
    // Host modules beside the language-level ones (docs/internals/script.md lists those).
    const ScriptModule *const *modules;
    size_t module_count;
    ScriptLimits limits;
} ScriptProgramOptions;

// Reads, compiles and links; runs nothing. ERR_PARSE for what the engine does not accept,
// ERR_NOT_FOUND for an import that is not there, ERR_REFUSED for one that leaves `root`, ERR_LIMIT.
// Blocks on files.
MUST_USE int script_program_load(const ScriptProgramOptions *options, ScriptProgram **ret_program,
                                 Err *e);
void script_program_destroy(ScriptProgram *program); // after its instances; NULL is fine

// ---- one instance

typedef struct ScriptOptions {
    Loop *loop;
    // The processor time of a call is read from here; NULL: the real clock.
    const Clock *cpu_clock;
    // Where console.log and its kin go; NULL: the program's log, with `name` as a field.
    void (*log)(void *context, LogLevel level, Slice text);
    void *log_context;
    void *host; // for host functions while no call says otherwise
} ScriptOptions;

// Makes the instance and runs its modules' top level. Outside a fiber a top-level wait fails.
MUST_USE int script_create(const ScriptProgram *program, const ScriptOptions *options,
                           Script **ret_script, Err *e);
void script_destroy(Script *script); // no call is under way; NULL is fine
bool script_has_function(Script *script, const char *export_name);
// Appends the exported value as JSON. ERR_NOT_FOUND without that export or when it is undefined.
MUST_USE int script_export_json(Script *script, const char *export_name, Buf *out, Err *e);

typedef struct ScriptArg {
    enum {
        SCRIPT_ARG_UNDEFINED,
        SCRIPT_ARG_JSON,   // `text` as a value; ERR_PARSE when it is no JSON
        SCRIPT_ARG_STRING, // `text`
        SCRIPT_ARG_NUMBER,
        SCRIPT_ARG_DOC,
        SCRIPT_ARG_OBJECT, // the functions of `object`, a module of kind SCRIPT_OBJECT
    } kind;
    Slice text;
    double number;
    const Doc *doc;
    const ScriptModule *object;
} ScriptArg;

static inline ScriptArg script_arg_json(Slice json)
{
    return (ScriptArg){.kind = SCRIPT_ARG_JSON, .text = json};
}
static inline ScriptArg script_arg_string(Slice text)
{
    return (ScriptArg){.kind = SCRIPT_ARG_STRING, .text = text};
}
static inline ScriptArg script_arg_number(double number)
{
    return (ScriptArg){.kind = SCRIPT_ARG_NUMBER, .number = number};
}
static inline ScriptArg script_arg_doc(const Doc *doc)
{
    return (ScriptArg){.kind = SCRIPT_ARG_DOC, .doc = doc};
}
static inline ScriptArg script_arg_object(const ScriptModule *object)
{
    return (ScriptArg){.kind = SCRIPT_ARG_OBJECT, .object = object};
}

typedef struct ScriptCallOptions {
    int64_t deadline_ns; // of the loop's clock; 0: none
    void *host;          // what script_host returns in host functions; NULL: the instance's
    // The call ends when its value is there and, with this, when no timer and no host promise is
    // pending any more. Without it what is pending then is dropped and cancelled.
    bool wait_for_all;
} ScriptCallOptions;

// Calls the exported function, runs the promise jobs it left, and waits for the promise it may have
// returned. Appends the value as JSON to `result` (nothing for undefined; `result` may be NULL).
//
// ERR_SCRIPT when the script threw; an error of a host function that it did not catch keeps its
// code. ERR_NOT_FOUND when there is no such function. Uncatchable: ERR_TIMEOUT (deadline),
// ERR_LIMIT (processor time, heap), ERR_CANCELLED. The text reads
// "file:line:column: TypeError: words (in f < g)".
MUST_USE int script_call(Script *script, const char *export_name, const ScriptArg *args,
                         size_t arg_count, const ScriptCallOptions *options, Buf *result, Err *e);

// Of the last call that failed; valid until the next call.
typedef struct ScriptFailure {
    Slice name;    // "TypeError"; empty when what was thrown is no Error
    Slice message; // or what was thrown, as JSON
    Slice stack;   // as the engine tells it, a line a frame
} ScriptFailure;
ScriptFailure script_failure(const Script *script);

// True after a limit or a cancelling: it takes no more calls.
bool script_is_spent(const Script *script);

typedef struct ScriptStats {
    size_t heap_bytes;
    size_t heap_bytes_peak;
    uint64_t calls;
    uint64_t collections; // between calls; the engine's own within calls are not counted
    int64_t cpu_ns;
} ScriptStats;
ScriptStats script_stats(const Script *script);

// ---- many instances

typedef struct ScriptPoolOptions {
    size_t scripts_max;   // instances alive; 0: SCRIPT_POOL_MAX
    size_t idle_max;      // kept for reuse; 0: SCRIPT_POOL_IDLE
    ScriptOptions script; // `loop` is the pool's
    // For tests: an instance that is not spent is taken apart object by object, and a lost
    // reference aborts. Otherwise its memory is freed in one sweep.
    bool check_leaks;
} ScriptPoolOptions;

enum { SCRIPT_POOL_MAX = 1000, SCRIPT_POOL_IDLE = 64 };

ScriptPool *script_pool_create(const ScriptProgram *program, Loop *loop,
                               const ScriptPoolOptions *options);
// Every instance was given back. NULL is fine.
void script_pool_destroy(ScriptPool *pool);

// An idle instance or a new one; with scripts_max alive, waits for one to be given back.
// ERR_TIMEOUT when none was by `deadline_ns` (0: do not wait, ERR_FULL), ERR_CANCELLED, or what
// making one failed with.
MUST_USE int script_pool_borrow(ScriptPool *pool, int64_t deadline_ns, Script **ret_script, Err *e);
void script_pool_give(ScriptPool *pool, Script *script);

typedef struct ScriptPoolStats {
    size_t alive;
    size_t idle;
    uint64_t created;
    uint64_t borrowed;
    uint64_t spent;
    size_t idle_heap_bytes;
} ScriptPoolStats;
ScriptPoolStats script_pool_stats(const ScriptPool *pool);

// ---- module specifiers

// What `specifier`, imported by the file `base` (both relative to the root, no "./" in front),
// means: appends "dir/file.js" for a file or "host:name" for a host module. ERR_REFUSED when it
// leaves the root or is absolute or a URL; ERR_ARG when it is malformed.
MUST_USE int script_resolve(Slice base, Slice specifier, Buf *out, Err *e);

#endif
