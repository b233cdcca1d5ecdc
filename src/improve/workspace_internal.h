// What the files of a workspace share: workspace.c (directories and locks) and workspace_git.c.
#ifndef IMPROVE_WORKSPACE_INTERNAL_H
#define IMPROVE_WORKSPACE_INTERNAL_H

#include "improve/workspace.h"

struct Workspace {
    Arena *arena;
    Loop *loop;
    const char *work_dir;
    const char *root;
    const char *tree;
    const char *git;
    const char *home;
    const char *origin; // the top of the repository it came from; NULL for a plain directory
    int lock;           // held
    GitHash commit;     // of the origin
    Slice *notes;
    size_t note_count;
};

void workspace_note(Workspace *ws, Slice note);
// The tree of the revision, submodules included, and the trusted git directory for it.
MUST_USE int workspace_fill(Workspace *ws, Git *git, const WorkspaceOptions *options, Err *e);
// A first commit of all that is in the tree, in the trusted git directory. `git` lends its objects;
// NULL: there is no repository behind it.
MUST_USE int workspace_begin(Workspace *ws, const Git *git, Err *e);
// tree/.git, for builds and engines.
MUST_USE int workspace_make_inner(Workspace *ws, bool cut_history, Err *e);
// After the files were copied: what the index knows of them (inode numbers, times) is stale.
MUST_USE int workspace_refresh(Workspace *ws, Err *e);

#endif
