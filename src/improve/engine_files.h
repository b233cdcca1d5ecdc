// The files of a working copy as an engine that runs in our own process may touch them: regular
// files below one directory, reached without a symbolic link, never a git directory.
//
// Each part of a path is opened by itself relative to the one before and no link is followed, so
// neither ".." nor a link that the repository brings (or that is swapped in meanwhile) leads out.
// Messages are for a model to read: they say what to do instead.
#ifndef IMPROVE_ENGINE_FILES_H
#define IMPROVE_ENGINE_FILES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    FILES_PATH_MAX = 4096,
    FILES_DEPTH_MAX = 64,
    FILES_READ_BYTES_MAX = 64 << 10, // given back by one read
    FILES_LINES_DEFAULT = 1000,      // of one read
    FILES_EDIT_BYTES_MAX = 4 << 20,  // of a file that is edited
    FILES_LIST_MAX = 2000,           // names of one listing
};

// The path relative to the tree: "/work/a/b", "./a/b" and "a/b" are the same. ERR_REFUSED for what
// leaves it, for a git directory and for what no file may be called. Borrows.
MUST_USE int files_path(Slice path, Slice *ret_relative, Err *e);

// Appends lines `first` (from 1) to `first + count - 1`, each with its number and a tab, as "12\t".
// ERR_NOT_FOUND, ERR_REFUSED, ERR_UNSUPPORTED for a file that is no text.
MUST_USE int files_read(int tree, Slice path, int64_t first, int64_t count, Buf *out, Err *e);
// Appends the names in the directory, one a line, in the order of their bytes; directories end with
// "/". "" and "." are the tree itself.
MUST_USE int files_list(int tree, Slice path, Arena *arena, Buf *out, Err *e);
// Puts `fresh` in the place of `old`, which has to be there exactly once. The file keeps its mode.
// ERR_NOT_FOUND, ERR_CONFLICT where it is there more than once.
MUST_USE int files_replace(int tree, Slice path, Slice old, Slice fresh, Err *e);
// Makes a file with its directories. ERR_EXISTS.
MUST_USE int files_create(int tree, Slice path, Slice content, Err *e);

#endif
