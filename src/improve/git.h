// Git: what we need to know of somebody's repository, found without running anything that is his.
//
// A repository's own configuration can name programs that git runs: core.fsmonitor, hooks, clean
// and smudge filters, textconv, external diffs, gpg.program, alternateRefsCommand, a promisor
// remote's upload-pack. Listing them all to switch them off is a race against new versions. So the
// repository's configuration is read by a few kinds of call only, rev-parse, symbolic-ref,
// for-each-ref and update-ref, which deal in references and run nothing; everything else goes
// through a *shadow*: an empty git directory of ours in a temporary directory, with a clean
// configuration, whose objects are the repository's (GIT_OBJECT_DIRECTORY). No call writes into the
// repository, takes a lock in it or refreshes its index. The system's and the user's configuration
// are not read either, and there is no shell.
//
//     rc = git_open(&(GitOptions){.path = "."}, arena, &git, e);
//     rc = git_facts(git, &facts, e);
//     rc = git_resolve(git, "HEAD~3", commit, e);
//     git_close(git);
//
// Calls block (or park, in a fiber whose loop is given). For one thread.
#ifndef IMPROVE_GIT_H
#define IMPROVE_GIT_H

#include "base/arena.h"
#include "base/buf.h"
#include "os/loop.h"

enum {
    GIT_HASH_MAX = 64,              // SHA-256 in hex; SHA-1 has 40
    GIT_OUTPUT_BYTES_MAX = 64 << 20 // of one call
};

typedef char GitHash[GIT_HASH_MAX + 1]; // hex with a NUL

typedef struct Git Git;

typedef struct GitOptions {
    const char *path; // in the working tree, or a bare repository
    Loop *loop;       // of the calling fiber; NULL: the thread blocks
} GitOptions;

// ERR_NOT_FOUND when the path is in no repository (a plain directory) or there is no git program,
// ERR_IO. Strings that Git hands out live in `arena`.
MUST_USE int git_open(const GitOptions *options, Arena *arena, Git **ret_git, Err *e);
void git_close(Git *git); // NULL is fine

typedef struct GitBranch {
    Slice name; // "main", "origin/main"
    GitHash hash;
    bool remote;
} GitBranch;

typedef struct GitSubmodule {
    Slice path; // in the tree
    GitHash hash;
    bool present; // its repository is here, so that a copy can be made without a network
} GitSubmodule;

typedef struct GitFacts {
    const char *top;     // of the working tree; the git directory of a bare one
    const char *git_dir; // absolute
    GitHash head;        // "" while there is no commit
    Slice branch;        // "" when the head is detached
    bool detached;
    bool bare;
    bool shallow;
    bool partial;     // a clone without all objects: what is missing cannot be read here
    size_t dirty;     // tracked files that differ from the head, in the index or the tree
    size_t untracked; // files that are neither tracked nor ignored (a directory of them is one)
    const GitBranch *branches;
    size_t branch_count;
    const GitSubmodule *submodules; // of the head
    size_t submodule_count;
} GitFacts;

MUST_USE int git_facts(Git *git, GitFacts *ret_facts, Err *e);

// The commit that a revision names ("HEAD~3", "v1.2", a branch, a hash). ERR_NOT_FOUND.
MUST_USE int git_resolve(Git *git, const char *revision, GitHash ret_commit, Err *e);

typedef struct GitCommit {
    GitHash hash;
    int64_t time_s; // the committer's, since 1970
    Slice author;   // name
    Slice subject;
    Slice body;
} GitCommit;

typedef struct GitLogOptions {
    const char *revision; // NULL: the head
    const char *grep;     // extended regular expression over messages, case ignored; NULL: all
    const char *path;     // only commits that touch it; NULL: all
    size_t commits_max;   // 0: 100
} GitLogOptions;

// Newest first.
MUST_USE int git_log(Git *git, const GitLogOptions *options, const GitCommit **ret_commits,
                     size_t *ret_count, Err *e);

// BASE..HEAD, BASE...HEAD (from where they parted) or one revision (its parent is the base) as two
// commits.
MUST_USE int git_range(Git *git, const char *range, GitHash ret_base, GitHash ret_head, Err *e);

typedef struct GitChange {
    char status; // 'A' added, 'M' modified, 'D' deleted, 'R' renamed, 'T' type changed
    Slice path;  // the new one
    Slice old_path;
} GitChange;

MUST_USE int git_changed_files(Git *git, const char *base, const char *head,
                               const GitChange **ret_changes, size_t *ret_count, Err *e);
// A binary diff that `git apply` takes, with a/ and b/ before paths, appended. No textconv, no
// external diff, attributes that hide a file's content are not obeyed.
MUST_USE int git_diff(Git *git, const char *base, const char *head, Buf *out, Err *e);
// The file at that commit, appended. ERR_NOT_FOUND, ERR_LIMIT.
MUST_USE int git_read(Git *git, const char *commit, const char *path, Buf *out, Err *e);
// Paths of the files at that commit, sorted, in `arena` of git_open.
MUST_USE int git_list(Git *git, const char *commit, const Slice **ret_paths, size_t *ret_count,
                      Err *e);

// Of a commit's tree, whatever directory they are in, but not what is inside of them.
MUST_USE int git_submodules(Git *git, const char *commit, const GitSubmodule **ret_list,
                            size_t *ret_count, Err *e);
const char *git_top(const Git *git); // as GitFacts.top

// ---- for workspace.c: the same kind of call in a git directory of ours

typedef struct GitCall {
    Loop *loop;
    const char *directory; // git -C: in somebody's repository, under its configuration
    const char *git_dir;   // NULL: found from `directory`
    const char *work_tree; // NULL: none
    const char *objects;   // another object directory in place of git_dir's; NULL
    const char *lent;      // another one beside it, only read; NULL
    const char *index;     // another index file; NULL
    const char *shallow;   // another file of a shallow clone's edges; NULL
    Slice input;
    bool ok_1;          // exit code 1 is an answer too (diff --exit-code)
    int *ret_exit_code; // may be NULL
} GitCall;

// Runs `git ARGS...` (ends with NULL) in the clean environment that this header's head describes
// and appends what it prints to `out` (may be NULL). ERR_IO with git's own words when it fails,
// ERR_LIMIT, ERR_TIMEOUT, ERR_CANCELLED, ERR_UNSUPPORTED without git.
MUST_USE int git_run(const GitCall *call, const char *const *args, Buf *out, Err *e);
// A call in the shadow of this repository.
GitCall git_call(const Git *git);
// The repository's objects directory.
const char *git_objects(const Git *git);
bool git_uses_sha256(const Git *git);
// The file that says where a shallow clone ends; NULL for a whole one.
const char *git_shallow_file(const Git *git);
// Its tags, as `git update-ref --stdin` takes them.
MUST_USE int git_tags(Git *git, Buf *out, Err *e);
// Makes a reference that must not exist yet; no hook runs.
MUST_USE int git_update_ref(Git *git, const char *ref, const char *commit, Err *e);
// Makes an empty git directory with our clean configuration and attributes; fine when it is there.
MUST_USE int git_make_dir(const char *git_dir, bool sha256, Err *e);

#endif
