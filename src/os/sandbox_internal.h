// What the files of os/sandbox share. Nobody else includes it.
#ifndef OS_SANDBOX_INTERNAL_H
#define OS_SANDBOX_INTERNAL_H

#include "os/sandbox.h"

// For sandboxes with a network: how this machine reaches it (proxies, certificates, package
// mirrors), as variables and files without passwords or tokens. Appends to both.
void sandbox_network(Arena *arena, const char *home, SandboxTools *tools);

// "NAME=value" of what a command sees, ends with NULL, in `arena`.
const char *const *sandbox_make_environment(Arena *arena, const SandboxOptions *options,
                                            const SandboxTools *tools);
// Options with every 0 replaced by its default.
SandboxOptions sandbox_with_defaults(const SandboxOptions *options);
// The process that `pid` started first, 0 if none (/proc/PID/task/PID/children).
pid_t sandbox_first_child(pid_t pid);
// Opens /proc as the sandbox whose first process is `init` sees it; -1 while that is not mounted.
int sandbox_open_proc(pid_t init);

#endif
