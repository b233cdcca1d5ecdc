// The broker's inner end: listens on a free port of 127.0.0.1 inside of the sandbox, passes what
// comes there to the broker's socket, and becomes the engine. It knows no protocol and no key.
//
//     perfwright sandbox-forward --socket /run/perfwright/broker.sock
//         --set ANTHROPIC_BASE_URL=http://127.0.0.1:{port} -- claude -p ...
//
// The engine replaces this process, so its exit code, signals and output are its own; what forwards
// is a child that dies with it.
#ifndef IMPROVE_FORWARD_H
#define IMPROVE_FORWARD_H

#include "base/arena.h"
#include "base/err.h"

enum { FORWARD_WORD_BYTES_MAX = 256 << 10, FORWARD_SETS_MAX = 64 };

typedef struct ForwardOptions {
    const char *socket;
    const char *const *sets; // "NAME=value", end with NULL; {port} in the value is the port
    const char *const *argv; // ends with NULL; {port} likewise
} ForwardOptions;

// Returns only when it failed: ERR_ARG for a set without a name, ERR_NOT_FOUND when there is no
// such program, ERR_IO.
MUST_USE int forward_run(const ForwardOptions *options, Arena *arena, Err *e);

// `word` with every {port} replaced; in the arena. NULL past FORWARD_WORD_BYTES_MAX.
const char *forward_fill(Arena *arena, const char *word, int port);

#endif
