// The runner of configure that really runs: clean copies, commands in the sandbox, packages by the
// system's own programs.
//
//     rc = configure_sandbox_create(&(ConfigureSandboxOptions){.repo = repo, ...}, &sandbox, e);
//     options.runner = configure_sandbox_runner(sandbox);
//     ...
//     configure_sandbox_destroy(sandbox);
#ifndef IMPROVE_CONFIGURE_SANDBOX_H
#define IMPROVE_CONFIGURE_SANDBOX_H

#include "improve/configure.h"

typedef struct ConfigureSandboxOptions {
    const char *repo;
    const char *work_dir; // NULL: where workspaces of this repository belong
} ConfigureSandboxOptions;

typedef struct ConfigureSandbox ConfigureSandbox;

MUST_USE int configure_sandbox_create(const ConfigureSandboxOptions *options,
                                      ConfigureSandbox **ret_sandbox, Err *e);
const ConfigureRunner *configure_sandbox_runner(ConfigureSandbox *sandbox);
void configure_sandbox_destroy(ConfigureSandbox *sandbox); // NULL is fine

// The end of a log that a step left: what counts and messages are read from.
enum { CONFIGURE_OUTPUT_MAX = 4 << 20 };
Slice configure_log_text(Arena *arena, const char *path);

#endif
