// The program called as `agentcli`: AgentFlow's command lines in our words.
#ifndef CLI_AGENTCLI_H
#define CLI_AGENTCLI_H

#include "base/arena.h"
#include "base/err.h"

// True for ".../agentcli".
bool agentcli_is(const char *program);

// `args` behind the program's name to those that perfwright takes. ERR_UNSUPPORTED, with what to do
// instead, for commands that have no counterpart here.
MUST_USE int agentcli_translate(Arena *arena, const char *const *args, size_t count,
                                const char *const **ret_args, size_t *ret_count, Err *e);

#endif
