// Copying a directory tree: files (by reflink or in the kernel where the file system can),
// directories, links as links, with modes and modification times. Whatever else lies there (pipes,
// sockets, devices) is left out. Names only, never paths: a link put in place of a directory is not
// followed, and nothing outside of the two directories is touched.
#ifndef IMPROVE_TREE_COPY_H
#define IMPROVE_TREE_COPY_H

#include "base/err.h"
#include "base/slice.h"

typedef struct TreeCopyOptions {
    const char *const *skip_top; // names left out at the top; ends with NULL; NULL: none
    const char *const *skip_all; // names left out everywhere below the top
    size_t files_max;            // 0: any number
    uint64_t bytes_max;          // 0: any number
} TreeCopyOptions;

typedef struct TreeCopyResult {
    size_t files; // and directories and links
    uint64_t bytes;
    size_t skipped; // by name below the top
} TreeCopyResult;

// `to` is an existing directory; what is in it is kept and replaced where names meet. ERR_LIMIT,
// ERR_FULL, ERR_IO. Both must not change meanwhile; if they do the copy is of some state or other.
MUST_USE int tree_copy(const char *from, const char *to, const TreeCopyOptions *options,
                       TreeCopyResult *ret_result, Err *e);
// One file under the same name.
MUST_USE int tree_copy_file(const char *from, const char *to_directory, Err *e);
// Removes directories and files of that name everywhere below the top; how many.
size_t tree_remove_named(const char *top, const char *name);

#endif
