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
// As sandbox_argv; `as_first`: the command is the first process of its namespace, which no signal
// from inside ends, in place of bwrap's own that reaps.
MUST_USE int sandbox_build_argv(Arena *arena, const SandboxOptions *options, bool as_first,
                                const char *const *argv, const char *const **ret_argv, Err *e);
// The process that `pid` started first, 0 if none (/proc/PID/task/PID/children).
pid_t sandbox_first_child(pid_t pid);
// Opens /proc as the sandbox whose first process is `init` sees it; -1 while that is not mounted.
int sandbox_open_proc(pid_t init);

// The most tasks, threads included, that the kernel lets a sandbox have.
unsigned sandbox_tasks_max(const SandboxOptions *options);

// The control group in which groups for sandboxes can be made, in `arena`; NULL where there is
// none.
const char *sandbox_cgroup_base(Arena *arena);
// Removes groups whose process is gone.
void sandbox_cgroup_sweep(const char *base);
// Of the sandbox whose bwrap is `pid`, once it has ended.
void sandbox_cgroup_remove(pid_t pid);
// A descriptor to which a process writes "0" to join it; -1 without one.
int sandbox_cgroup_open(pid_t pid);

#endif
