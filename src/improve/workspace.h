// Workspace: a clean copy of a repository at one revision, in which engines edit and steps run.
//
// The copy holds what was committed, nothing else: no dirty changes, no ignored files, no hooks, no
// configuration, and with cut_history one commit, so that an answer cannot be found in the history.
// Submodules that are present locally are copied in as plain files. On disk:
//
//     WORK_DIR/w-XXXXXX/     held by a lock (flock), so that what a killed run left is known
//         lock
//         tree/              seen as WORKSPACE_INSIDE in every sandbox, on every side
//         git/               the trusted git directory: outside of what a sandbox may write
//         home/              the home directory of steps (not of timed samples): tool caches
//
// tree/.git is a second, untrusted repository for the engine and for builds that ask git for a
// version. We never read it.
//
//     rc = workspace_create(&(WorkspaceOptions){.repo = repo, .revision = "HEAD",
//                                               .cut_history = true}, arena, &ws, e);
//     rc = workspace_copy(ws, arena, &patched, e);
//     rc = workspace_apply_patch(patched, diff, e);
//     workspace_destroy(patched);
//     workspace_destroy(ws);
//
// The user's checkout is only read. Calls block (or park in a fiber, with `loop`). One thread.
#ifndef IMPROVE_WORKSPACE_H
#define IMPROVE_WORKSPACE_H

#include "improve/git.h"
#include "os/sandbox.h"

#define WORKSPACE_INSIDE "/work"
#define WORKSPACE_DEPS   "/deps"

typedef struct WorkspaceOptions {
    const char *repo; // a directory in a repository (its top is taken), a plain directory, a file
    const char *revision; // NULL: HEAD. A plain directory or file has none: NULL or "HEAD"
    const char *work_dir; // NULL: workspace_dir(repo)
    bool cut_history;     // one commit; otherwise the commit and what it descends from
    Loop *loop;           // of the calling fiber; NULL: the thread blocks
} WorkspaceOptions;

typedef struct Workspace Workspace;

// $XDG_CACHE_HOME/perfwright/improve/<hash of the repository's real path>, in `arena`. Not made.
MUST_USE int workspace_dir(Arena *arena, const char *repo, const char **ret_dir, Err *e);

// Also removes workspaces in work_dir whose owners are gone (kill -9, a crash). ERR_NOT_FOUND for a
// revision that does not exist, ERR_LIMIT for a plain directory of more than WORKSPACE_FILES_MAX
// files or WORKSPACE_BYTES_MAX, ERR_FULL, ERR_IO.
MUST_USE int workspace_create(const WorkspaceOptions *options, Arena *arena, Workspace **ret_ws,
                              Err *e);
enum { WORKSPACE_FILES_MAX = 500000 };
#define WORKSPACE_BYTES_MAX ((uint64_t)16 << 30)
// Another workspace beside it with the same files, untracked and ignored ones and modification
// times included, as a file system's reflinks where it has them.
MUST_USE int workspace_copy(const Workspace *from, Arena *arena, Workspace **ret_ws, Err *e);
// Removes it from disk. NULL is fine.
void workspace_destroy(Workspace *ws);
// Frees it but leaves the directory (--keep-work); workspace_root says where it is.
void workspace_keep(Workspace *ws);
// How many workspaces without an owner were removed from the directory. Fine when it is not there.
size_t workspace_sweep(const char *work_dir);

const char *workspace_root(const Workspace *ws);
const char *workspace_tree(const Workspace *ws);   // on the host
const char *workspace_home(const Workspace *ws);   // on the host
const char *workspace_commit(const Workspace *ws); // of the repository it was made from; "" if none
// What the copy does not hold, one sentence each, for people: dirty files, submodules that are not
// here, large files kept elsewhere (LFS). Empty when there is nothing to say.
const Slice *workspace_notes(const Workspace *ws, size_t *ret_count);

// A unified diff (git's, with or without a/ b/; binary too). All or nothing. ERR_CONFLICT with the
// first hunk that does not apply, ERR_REFUSED for a path that leaves the tree, ERR_ARG when empty.
MUST_USE int workspace_apply_patch(Workspace *ws, Slice diff, Err *e);
// What differs from the commit it was made with, new files included, ignored ones not; in `arena`
// of workspace_create. Repositories that somebody made inside the tree are removed first: git would
// not look into them.
MUST_USE int workspace_diff(Workspace *ws, Slice *ret_diff, Err *e);
// Git's hash of the tree's files now (ignored ones not): equal means byte for byte the same names,
// modes and contents.
MUST_USE int workspace_tree_hash(Workspace *ws, GitHash ret_hash, Err *e);
// Puts the tree back to its commit: edits undone, untracked files removed; ignored files (build
// products) too when `ignored`.
MUST_USE int workspace_reset(Workspace *ws, bool ignored, Err *e);

typedef struct WorkspaceChanges {
    size_t modified; // tracked files edited or deleted
    size_t untracked;
    Slice first; // the first modified path, "" if none
} WorkspaceChanges;
MUST_USE int workspace_changes(Workspace *ws, WorkspaceChanges *ret_changes, Err *e);
// Makes the state of the tree now the commit to compare with: before the engine works on a copy in
// which an install step left files.
MUST_USE int workspace_commit_all(Workspace *ws, Err *e);

// As a branch with one commit on top of `parent` in the user's repository: the only thing that is
// ever written there. ERR_EXISTS when the branch exists.
MUST_USE int workspace_publish(Workspace *ws, const char *repo, const char *branch, Slice message,
                               GitHash ret_commit, Err *e);

#endif
