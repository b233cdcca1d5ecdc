// Files: read whole ones with a ceiling, replace them without ever leaving half of one, make
// directories, and know where a user's configuration, data and caches belong.
//
// All of it blocks, so a loop calls it through the job pool. Any thread.
#ifndef OS_FILE_H
#define OS_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

// Appends the file to `out`. ERR_NOT_FOUND, ERR_LIMIT when it is larger than out->max allows (which
// is found before it is read), ERR_IO. Reads what is no regular file (a pipe, /proc) to its end.
MUST_USE int file_read(const char *path, Buf *out, Err *e);

typedef struct FileWriteOptions {
    unsigned mode; // permission bits; 0: 0644 less the umask
    bool no_sync;  // skip fsync: the file may be empty after a power failure
} FileWriteOptions;

// Replaces the file's content in one step: readers see the old or the new, and so does the machine
// after a crash (written beside it, synced, renamed, directory synced). A symbolic link is
// replaced, not followed. `options` may be NULL. ERR_FULL when the disk is full, ERR_IO.
MUST_USE int file_write(const char *path, Slice content, const FileWriteOptions *options, Err *e);

// Makes the directory and what is missing above it (mode 0755 less the umask). Fine when it exists;
// ERR_EXISTS when something else is in the way.
MUST_USE int dir_make_all(const char *path, Err *e);
// Removes a directory with everything in it, not following links. Fine when it does not exist.
// Takes whatever a hostile program left: directories without permissions, ones nested deeper than a
// path can name.
MUST_USE int dir_remove_all(const char *path, Err *e);
// Removes what is in it and leaves the directory.
MUST_USE int dir_empty(const char *path, Err *e);

typedef enum UserDir {
    USER_CONFIG, // $XDG_CONFIG_HOME, or ~/.config
    USER_DATA,   // $XDG_DATA_HOME, or ~/.local/share
    USER_CACHE,  // $XDG_CACHE_HOME, or ~/.cache
    USER_STATE,  // $XDG_STATE_HOME, or ~/.local/state
} UserDir;

// Appends the directory of that kind for `name` (XDG Base Directory Specification 0.8; a relative
// path in the variable is ignored, as it says). It is not made. ERR_NOT_FOUND when there is no home
// directory either.
MUST_USE int user_dir(UserDir kind, const char *name, Buf *out, Err *e);
// Appends the path that the environment variable gives, or where it is unset or empty the file
// `name` in the directory of that kind.
MUST_USE int user_file(UserDir kind, const char *variable, const char *name, Buf *out, Err *e);

#endif
