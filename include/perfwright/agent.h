/* perfwright's agent runtime: agents in C, and the runner that runs them. C11 and C++.
 *
 * An agent is a name and a handler. It is sent events, each with a target, a type, a session, a
 * deadline and data (bytes, by convention JSON), and may answer, emit further events and call other
 * agents. Events that were accepted end exactly once: handled, failed with a reason, or shed and
 * counted.
 *
 *     static int greet(PwContext *ctx, const PwEvent *event, PwState *state)
 *     {
 *         size_t length;
 *         const char *name = pw_event_data(event, &length);
 *         pw_state_set_int(state, "greeted", pw_state_get_int(state, "greeted", 0) + 1);
 *         return pw_reply(ctx, name, length);
 *     }
 *
 *     PwRunner *runner = NULL;
 *     PwError error = PW_ERROR_INIT;
 *     PwAgentOptions agent = PW_AGENT_OPTIONS_INIT;
 *     PwEventOptions event = PW_EVENT_OPTIONS_INIT;
 *     agent.name = "greeter"; agent.run = greet;
 *     event.target = "greeter"; event.data = "\"you\""; event.data_length = 5;
 *     if (pw_runner_create(NULL, &runner, &error) != 0 ||
 *         pw_runner_register(runner, &agent, &error) != 0 ||
 *         pw_runner_start(runner, &error) != 0) {
 *         fprintf(stderr, "%s\n", error.text);
 *     }
 *     PwResult *result = NULL;
 *     pw_runner_call(runner, &event, &result, &error);
 *     ... pw_result_data(result, &length) ...
 *     pw_result_destroy(result);
 *     pw_runner_stop(runner, 1000000000);
 *     pw_runner_destroy(runner);
 *
 * Build with `cc agent.c $(pkg-config --cflags --libs perfwright)`. A shared library with a
 * function `int pw_agent_run(PwContext *, const PwEvent *, PwState *)` is an agent that a
 * configuration names with `library = "./libagent.so"`.
 *
 * Functions return 0 or a negative PW_ERR_* and put words into the PwError, which may be NULL.
 * Times are nanoseconds. Option structs begin with their size, so that a program built against an
 * older header works with a newer library: initialise them with the PW_*_INIT macro. Text that goes
 * in is copied; text that comes out is borrowed from the object it was asked of. */
#ifndef PERFWRIGHT_AGENT_H
#define PERFWRIGHT_AGENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PW_API             __attribute__((visibility("default")))
#define PW_PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#else
#define PW_API
#define PW_PRINTF_LIKE(f, a)
#endif

/* "0.1.0" */
PW_API const char *pw_version(void);

/* ---- errors */

enum PwErrorCode {
    PW_ERR_ARG = -1,
    PW_ERR_PARSE = -2,
    PW_ERR_LIMIT = -3,
    PW_ERR_IO = -4,
    PW_ERR_NOT_FOUND = -5,
    PW_ERR_EXISTS = -6,
    PW_ERR_TIMEOUT = -7,
    PW_ERR_CANCELLED = -8,
    PW_ERR_REFUSED = -9,
    PW_ERR_CONFLICT = -10,
    PW_ERR_VERSION = -11,
    PW_ERR_PROTOCOL = -12,
    PW_ERR_CLOSED = -16,
    PW_ERR_FULL = -17,
    PW_ERR_BUSY = -19,
    PW_ERR_UNSUPPORTED = -20
};

#define PW_ERROR_TEXT_MAX 1024
typedef struct PwError {
    int code;
    char text[PW_ERROR_TEXT_MAX];
} PwError;
#define PW_ERROR_INIT {0, {0}}

/* ---- opaque things */

typedef struct PwRunner PwRunner;
typedef struct PwContext PwContext; /* of one run of a handler */
typedef struct PwEvent PwEvent;
typedef struct PwState PwState;
typedef struct PwResult PwResult;

/* A handler. It may wait (pw_call, pw_sleep); others run meanwhile. It must not block its thread
 * for long. */
typedef int PwAgentFn(PwContext *ctx, const PwEvent *event, PwState *state);

/* ---- the runner */

typedef struct PwRunnerOptions {
    size_t size;
    const char *config_file; /* TOML (docs/guide/agents.md); NULL: none */
    const char *config_text; /* the same from memory; NULL: none */
    unsigned shards;         /* threads; 0: what the configuration says */
    int64_t event_timeout_ns; /* deadline of events that bring none; 0: the configuration's */
} PwRunnerOptions;
#define PW_RUNNER_OPTIONS_INIT {sizeof(PwRunnerOptions), NULL, NULL, 0, 0}

typedef struct PwAgentOptions {
    size_t size;
    const char *name;
    PwAgentFn *run;
    void *self;                  /* pw_self */
    void (*destroy)(void *self); /* with the runner; may be NULL */
    uint32_t workers;            /* runs at one time; 0: the runner's worker_pool_size */
    uint32_t mailbox;            /* events that wait; 0: the runner's event_buffer_size */
    int overflow;                /* PwOverflow */
} PwAgentOptions;
#define PW_AGENT_OPTIONS_INIT {sizeof(PwAgentOptions), NULL, NULL, NULL, NULL, 0, 0, 0}

enum PwOverflow { PW_OVERFLOW_BLOCK, PW_OVERFLOW_SHED, PW_OVERFLOW_DEAD_LETTER };

typedef struct PwEventOptions {
    size_t size;
    const char *target; /* name of an agent */
    const char *type;
    const char *session;
    const char *data;
    size_t data_length;
    int64_t timeout_ns; /* 0: the runner's */
    int priority;       /* PwPriority */
} PwEventOptions;
#define PW_EVENT_OPTIONS_INIT {sizeof(PwEventOptions), NULL, NULL, NULL, NULL, 0, 0, 0}

enum PwPriority { PW_PRIORITY_INHERIT, PW_PRIORITY_HIGH, PW_PRIORITY_NORMAL, PW_PRIORITY_LOW };

/* `options` may be NULL: no agents but those that are registered, every default. */
PW_API int pw_runner_create(const PwRunnerOptions *options, PwRunner **ret_runner, PwError *error);
PW_API void pw_runner_destroy(PwRunner *runner); /* stops it if need be; NULL is fine */
/* Before pw_runner_start. */
PW_API int pw_runner_register(PwRunner *runner, const PwAgentOptions *options, PwError *error);
PW_API int pw_runner_start(PwRunner *runner, PwError *error);
/* Accepts nothing more, lets what was accepted end, cancels the rest after `drain_ns`. Returns how
 * many events had to be cancelled. What is sent afterwards is PW_ERR_CLOSED. */
PW_API size_t pw_runner_stop(PwRunner *runner, int64_t drain_ns);

/* From any thread outside of handlers. Emitting waits for room if that is the agent's rule. */
PW_API int pw_runner_emit(PwRunner *runner, const PwEventOptions *event, PwError *error);
/* Emits and waits for the answer: returns the handler's code. *ret_result is set whenever the event
 * was accepted; destroy it. */
PW_API int pw_runner_call(PwRunner *runner, const PwEventOptions *event, PwResult **ret_result,
                          PwError *error);

typedef struct PwCounts {
    size_t size;
    uint64_t accepted, handled, failed, shed, dead_letters, refused, retries, in_flight, fibers;
} PwCounts;
#define PW_COUNTS_INIT {sizeof(PwCounts), 0, 0, 0, 0, 0, 0, 0, 0, 0}
PW_API int pw_runner_counts(const PwRunner *runner, PwCounts *ret_counts);

/* ---- hooks: on the runner's threads, before pw_runner_start; must not wait */

enum PwHookPoint {
    PW_HOOK_BEFORE_EVENT,
    PW_HOOK_AFTER_EVENT,
    PW_HOOK_BEFORE_AGENT,
    PW_HOOK_AFTER_AGENT,
    PW_HOOK_ERROR
};

typedef struct PwHookInfo {
    size_t size;
    int point; /* PwHookPoint */
    const PwEvent *event;
    const char *agent;
    int code;
    const char *reason;
} PwHookInfo;
typedef void PwHookFn(void *arg, const PwHookInfo *info);
PW_API int pw_runner_hook(PwRunner *runner, int point, PwHookFn *fn, void *arg, PwError *error);

/* ---- results */

PW_API int pw_result_code(const PwResult *result);
PW_API const char *pw_result_reason(const PwResult *result); /* "" when all is well */
/* A NUL follows that the length does not count. */
PW_API const char *pw_result_data(const PwResult *result, size_t *ret_length);
PW_API const PwState *pw_result_state(const PwResult *result);
PW_API void pw_result_destroy(PwResult *result); /* NULL is fine */

/* ---- inside a handler */

PW_API void *pw_self(const PwContext *ctx);
PW_API const char *pw_event_data(const PwEvent *event, size_t *ret_length);
/* Types and sessions are followed by a NUL. */
PW_API const char *pw_event_type(const PwEvent *event);
PW_API const char *pw_event_session(const PwEvent *event);
PW_API uint64_t pw_event_id(const PwEvent *event);
PW_API int64_t pw_now_ns(const PwContext *ctx);
PW_API int64_t pw_deadline_ns(const PwContext *ctx); /* INT64_MAX: none */
PW_API int pw_is_cancelled(const PwContext *ctx);
PW_API unsigned pw_attempt(const PwContext *ctx); /* from 1 */

/* What the caller gets; the last one wins. */
PW_API int pw_reply(PwContext *ctx, const void *data, size_t length);
/* One piece of a streamed answer, before the reply. */
PW_API int pw_stream(PwContext *ctx, const void *data, size_t length);
/* Returns `code` and remembers the sentence for the caller and the hooks. */
PW_API int pw_fail(PwContext *ctx, int code, const char *format, ...) PW_PRINTF_LIKE(3, 4);
PW_API int pw_emit(PwContext *ctx, const PwEventOptions *event, PwError *error);
/* Emits and waits. Returns the callee's code; *ret_result as in pw_runner_call. */
PW_API int pw_call(PwContext *ctx, const PwEventOptions *event, const PwState *state,
                   PwResult **ret_result, PwError *error);
PW_API int pw_sleep(PwContext *ctx, int64_t duration_ns); /* 0 or PW_ERR_CANCELLED */

/* ---- state: copy-on-write values under names */

PW_API int64_t pw_state_get_int(const PwState *state, const char *key, int64_t fallback);
PW_API double pw_state_get_double(const PwState *state, const char *key, double fallback);
PW_API int pw_state_get_bool(const PwState *state, const char *key, int fallback);
/* Copies at most `capacity` - 1 bytes and a NUL; returns the whole length, or -1 when there is no
 * text under the key. `out` may be NULL with capacity 0. */
PW_API ptrdiff_t pw_state_get_text(const PwState *state, const char *key, char *out,
                                   size_t capacity);
PW_API int pw_state_set_int(PwState *state, const char *key, int64_t value);
PW_API int pw_state_set_double(PwState *state, const char *key, double value);
PW_API int pw_state_set_bool(PwState *state, const char *key, int value);
PW_API int pw_state_set_text(PwState *state, const char *key, const char *text, size_t length);
PW_API int pw_state_remove(PwState *state, const char *key);
PW_API size_t pw_state_count(const PwState *state);

/* ---- tools: functions with a JSON schema, which models and JavaScript agents call by name
 *
 * A shared library with `int pw_tool_call(PwToolCall *call, PwError *error)` is a tool that a
 * configuration names with [tools.NAME] library = "./libtool.so" and a schema. Arguments were
 * checked against the schema. It returns 0 after pw_tool_return, or pw_tool_fail's code. */

typedef struct PwToolCall PwToolCall;
typedef int PwToolFn(PwToolCall *call, PwError *error);

/* The arguments as a JSON object; a NUL follows that the length does not count. */
PW_API const char *pw_tool_args(const PwToolCall *call, size_t *ret_length);
/* The whole result, JSON. PW_ERR_LIMIT past the tool's max_result, PW_ERR_PARSE. */
PW_API int pw_tool_return(PwToolCall *call, const char *json, size_t length, PwError *error);
/* Returns `code` and says why, to whoever called: a model reads it and may do better. */
PW_API int pw_tool_fail(PwError *error, int code, const char *format, ...) PW_PRINTF_LIKE(3, 4);

#ifdef __cplusplus
}
#endif
#endif
