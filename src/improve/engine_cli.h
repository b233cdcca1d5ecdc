// How the programs are driven: one row of a table each, of what their makers document for headless
// use (docs/internals/engines.md names the pages). A new program is a row and a reader.
#ifndef IMPROVE_ENGINE_CLI_H
#define IMPROVE_ENGINE_CLI_H

#include "improve/engine_impl.h"

// Where things are as the engine sees them.
typedef struct EnginePlaces {
    const char *goal;    // the prompt's file
    const char *errors;  // where standard error goes; NULL: with the output
    const char *socket;  // the broker's; NULL: there is none
    const char *self;    // perfwright, for sandbox-forward
    const char *program; // the engine's own; for cmd the shell command
    Slice base_path;     // of the provider's base URL
    LlmProtocol protocol;
} EnginePlaces;

// Appends the shell command that runs the engine. ERR_UNSUPPORTED where the program cannot speak to
// such a provider.
MUST_USE int engine_cli_command(const EngineOptions *options, const EnginePlaces *places,
                                Arena *arena, Buf *out, Err *e);
// The name of the program, "" for cmd.
const char *engine_cli_program(EngineKind kind);

#endif
