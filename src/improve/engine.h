// Engines: whoever writes the patch, all through one function. An engine works on a sandboxed
// working copy and leaves its edits there; what it says about them is data and decides nothing.
//
//     EngineChoice choice;
//     rc = engine_parse(arena, SLICE("claude"), &choice, e);
//     EngineOptions options = {.loop = loop, .pool = pool, .choice = choice, .settings = &settings,
//                              .workspace = ws, .steps = &steps, .goal = goal, .get_env = getenv};
//     EngineResult result;
//     rc = engine_run(&options, arena, &result, e);           // in a fiber
//     if (rc == 0 && result.edited) { judge(result.patch); }
//
// Engines: claude, codex, copilot, gemini and opencode are the programs of that name in their
// headless mode (engine_cli.h); llm is the tool loop over our own client (engine_llm.h);
// cmd:PROGRAM is anything that edits the working copy, run there with the goal in
// $PERFWRIGHT_GOAL_FILE; patch:FILE applies a diff that somebody made already.
//
// What an engine can reach: its working copy, a read-only system, a fresh home, and through the
// broker (broker.h) its provider. Not the network, unless the settings say so, not the user's
// checkout, home or keys. docs/internals/engines.md.
#ifndef IMPROVE_ENGINE_H
#define IMPROVE_ENGINE_H

#include "improve/engine_settings.h"
#include "improve/transcript.h"
#include "os/fiber.h"

struct Workspace; // improve/workspace.h
struct Steps;     // improve/steps.h

typedef enum EngineKind {
    ENGINE_CLAUDE,
    ENGINE_CODEX,
    ENGINE_COPILOT,
    ENGINE_GEMINI,
    ENGINE_OPENCODE,
    ENGINE_LLM,
    ENGINE_CMD,
    ENGINE_PATCH,
    ENGINE_KINDS,
} EngineKind;
extern const char *const ENGINE_NAMES[ENGINE_KINDS + 1]; // "claude", ...; ends with NULL

typedef struct EngineChoice {
    EngineKind kind;
    Slice argument; // ENGINE_CMD: a shell command; ENGINE_PATCH: a path; NUL follows
} EngineChoice;

// "claude", "llm", "cmd:./fix.sh", "patch:fix.diff". ERR_ARG with the nearest right name.
MUST_USE int engine_parse(Arena *arena, Slice text, EngineChoice *ret_choice, Err *e);

typedef enum EngineStatus {
    ENGINE_EDITED,      // ended well, and the tree is another one
    ENGINE_EMPTY,       // ended well and changed nothing
    ENGINE_CRASHED,     // exited with an error, died, or destroyed its working copy
    ENGINE_TIMED_OUT,   //
    ENGINE_OVER_BUDGET, // tokens, money, turns or output; stopped by us or by its own limit
    ENGINE_REFUSED,     // could not work: no such program, no provider, key refused
    ENGINE_STATUSES,
} EngineStatus;
extern const char *const ENGINE_STATUS_NAMES[ENGINE_STATUSES + 1]; // "edited", "over budget", ...

enum {
    // Together less than what one argument of a program may hold (128 KiB).
    ENGINE_GOAL_BYTES_MAX = 32 << 10,
    ENGINE_FEEDBACK_BYTES_MAX = 16 << 10,
    ENGINE_GUIDES_BYTES_MAX = 64 << 10, // of all of them
    ENGINE_GUIDES_MAX = 100,
    ENGINE_PATCH_BYTES_MAX = 16 << 20,
    ENGINE_FINAL_TEXT_MAX = 64 << 10,
};

// Guides that `configure` wrote and notes of earlier runs: text for the engine to read.
typedef struct EngineGuide {
    Slice name, text;
} EngineGuide;

// perfwright's own measurement of the working copy as it is now, for engines that may ask (llm).
// The text holds only figures that the judge took. Parks the fiber. Not 0: the tool says it failed.
typedef int EngineMeasureFn(void *ctx, Arena *arena, Slice *ret_text, Err *e);

typedef struct EngineOptions {
    Loop *loop;
    FiberPool *pool;
    EngineChoice choice;
    const EngineSettings *settings;
    struct Workspace *workspace;
    const char *deps_dir;      // what the install steps fetched; NULL: none
    const struct Steps *steps; // what llm builds and tests with, protected files; may be NULL
    Slice goal;
    Slice feedback; // what the critique found in the last attempt; may be empty
    const EngineGuide *guides;
    size_t guide_count;
    EngineMeasureFn *measure_fn; // NULL: not offered
    void *measure_ctx;
    void (*progress_fn)(void *ctx, Slice line); // one line for people, sanitised; may be NULL
    void *progress_ctx;
    char *(*get_env)(const char *name); // getenv
    const char *self; // perfwright's own program, for the broker's inner end; NULL: /proc/self/exe
    bool no_sandbox;  // the user said so; the transcript notes it
} EngineOptions;

typedef struct EngineResult {
    EngineStatus status;
    bool edited;   // the tree differs, whatever the status: a late engine's work may be judged
    Slice message; // one sentence about the status, for people
    Slice patch;   // workspace_diff; empty where nothing changed or the copy is destroyed
    Slice transcript;
    Slice final_text; // the engine's last words: data, and figures in it are not measurements
    TranscriptTotals totals;
    int64_t wall_ns;
} EngineResult;

// In a fiber. 0 whenever the engine was given a chance, however it ended; an error is ours: ERR_ARG
// (settings, goal too long), ERR_IO, ERR_UNSUPPORTED (no sandbox here), ERR_CANCELLED. The result
// lives in the arena.
MUST_USE int engine_run(const EngineOptions *options, Arena *arena, EngineResult *ret_result,
                        Err *e);

#endif
