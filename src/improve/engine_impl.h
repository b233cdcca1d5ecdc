// What the files of the engines share; for them only.
#ifndef IMPROVE_ENGINE_IMPL_H
#define IMPROVE_ENGINE_IMPL_H

#include "improve/engine.h"
#include "improve/steps.h"
#include "improve/workspace.h"

// How an engine ended, before anybody looked at the tree. ENGINE_EDITED stands for "ended well".
typedef struct EngineOutcome {
    EngineStatus status;
    Slice message; // in the arena; empty where there is nothing to say
    Slice final_text;
} EngineOutcome;

// One run of an engine.
typedef struct EngineRun {
    const EngineOptions *o;
    Arena *arena;
    Transcript *t;
    const char *scratch; // a directory of ours on the host, removed at the end
    int64_t deadline_ns; // of the loop's clock
} EngineRun;

// In a fiber; 0 however the engine ended.
MUST_USE int engine_cli_run(EngineRun *run, EngineOutcome *ret_outcome, Err *e);
MUST_USE int engine_llm_run(EngineRun *run, EngineOutcome *ret_outcome, Err *e);

// The whole prompt: what is to be done, the rules, guides and feedback marked as data.
void engine_prompt(const EngineOptions *options, Buf *out);
// "NAME=value" of steps.yaml's environment, as the judge's builds have it, appended to `env` up to
// `max`. Returns how many there are then. `steps` may be NULL.
size_t engine_environment(const Steps *steps, Arena *arena, const char **env, size_t count,
                          size_t max);
// In single quotes for the shell.
void engine_quote(Buf *out, Slice word);

#endif
