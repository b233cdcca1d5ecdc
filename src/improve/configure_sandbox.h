// The runner of configure that really runs: clean copies, commands in the sandbox, packages by the
// system's own programs.
//
//     rc = configure_sandbox_create(&(ConfigureSandboxOptions){.repo = repo}, &sandbox, e);
//     rc = configure_sandbox_tree(sandbox, arena, &tree, hash, e);   // what is committed
//     options.runner = configure_sandbox_runner(sandbox);
//     ...
//     configure_sandbox_destroy(sandbox);                            // after the tree's last use
//
// What install steps fetch stays in the work directory and is found again the next time.
#ifndef IMPROVE_CONFIGURE_SANDBOX_H
#define IMPROVE_CONFIGURE_SANDBOX_H

#include "improve/configure.h"
#include "improve/git.h"
#include "os/loop.h"

typedef struct ConfigureSandboxOptions {
    const char *repo;     // a repository, a plain directory or a file
    const char *work_dir; // NULL: where workspaces of this repository belong
    bool no_sandbox;      // --no-sandbox: with our own rights
    bool read_only;       // nothing is going to be run (--dry-run)
    // Not NULL: called in a fiber of this loop. Cancelling it ends the step that runs; from then on
    // the time is over, so that what was validated before is kept.
    Loop *loop;
} ConfigureSandboxOptions;

typedef struct ConfigureSandbox ConfigureSandbox;

// ERR_UNSUPPORTED where there is no sandbox and one is needed; otherwise as workspace_create.
MUST_USE int configure_sandbox_create(const ConfigureSandboxOptions *options,
                                      ConfigureSandbox **ret_sandbox, Err *e);
// The files of a clean copy: build products and other ignored files of the user's are not in it.
MUST_USE int configure_sandbox_tree(ConfigureSandbox *sandbox, Arena *arena, Tree *ret_tree,
                                    GitHash ret_hash, Err *e);
// What a clean copy does not hold, one sentence each.
const Slice *configure_sandbox_notes(const ConfigureSandbox *sandbox, size_t *ret_count);
const ConfigureRunner *configure_sandbox_runner(ConfigureSandbox *sandbox);
void configure_sandbox_destroy(ConfigureSandbox *sandbox); // NULL is fine

// The end of a log that a step left: what counts and messages are read from.
enum { CONFIGURE_OUTPUT_MAX = 4 << 20 };
Slice configure_log_text(Arena *arena, const char *path);

#endif
