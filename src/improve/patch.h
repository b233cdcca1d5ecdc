// A diff as files, hunks and lines: unified diffs as git, `diff -u` and format-patch mails write
// them. Everything in the rooms that looks at a patch looks at this.
//
//     Patch patch;
//     rc = patch_parse(arena, diff, &patch, e);
//     for (size_t i = 0; i < patch.file_count; i++) {
//         const PatchFile *f = &patch.files[i];
//         ... patch_file_path(f), f->lines_added, f->hunks[0].lines[0].text ...
//     }
//
// A diff comes from strangers, so paths that leave the tree or reach into .git are refused here,
// once, for all. That a hunk fits its file is not known here: `git apply` says that.
//
// Texts are borrowed from the diff and the arena.
#ifndef IMPROVE_PATCH_H
#define IMPROVE_PATCH_H

#include "base/arena.h"
#include "base/err.h"

enum {
    PATCH_BYTES_MAX = 32 << 20,
    PATCH_FILES_MAX = 10000,
    PATCH_LINES_MAX = 500000, // of all hunks together
    PATCH_PATH_MAX = 4096,    // bytes
};

typedef enum PatchLineKind {
    PATCH_CONTEXT,
    PATCH_ADDED,
    PATCH_DELETED,
} PatchLineKind;

typedef struct PatchLine {
    PatchLineKind kind;
    bool no_newline; // the file ends behind it without a newline
    Slice text;      // without the mark and the newline
    long old_line;   // 1-based; 0 in an added line
    long new_line;   // 1-based; 0 in a deleted line
} PatchLine;

typedef struct PatchHunk {
    long old_start, old_count;
    long new_start, new_count;
    Slice section; // what git writes behind the second @@: the function, mostly
    PatchLine *lines;
    size_t line_count;
} PatchHunk;

typedef enum PatchChange {
    PATCH_FILE_MODIFIED,
    PATCH_FILE_ADDED,
    PATCH_FILE_DELETED,
    PATCH_FILE_RENAMED, // and perhaps changed
    PATCH_FILE_COPIED,  // and perhaps changed
    PATCH_CHANGES,
} PatchChange;
extern const char *const PATCH_CHANGE_NAMES[PATCH_CHANGES + 1]; // "modified", ..., NULL

typedef struct PatchFile {
    PatchChange change;
    Slice old_path;              // relative to the top; empty in an added file
    Slice new_path;              // empty in a deleted file
    unsigned old_mode, new_mode; // as git writes them (0100755); 0: not said
    bool binary;                 // there are no hunks then, and the content is unknown here
    PatchHunk *hunks;
    size_t hunk_count;
    size_t lines_added, lines_deleted;
} PatchFile;

typedef struct Patch {
    PatchFile *files;
    size_t file_count;
    size_t lines_added, lines_deleted;
} Patch;

// A diff of nothing but white space is a patch of no files. ERR_PARSE with the line of the diff
// (text without any file in it, a hunk that is cut off, a combined diff of a merge), ERR_LIMIT, and
// ERR_REFUSED for a path that is absolute, climbs with "..", or is git's own.
MUST_USE int patch_parse(Arena *arena, Slice diff, Patch *ret_patch, Err *e);

// Where the file is after the patch; of a deleted one, where it was.
Slice patch_file_path(const PatchFile *file);
// The file of that path, by its new or its old name; NULL when the patch does not touch it.
const PatchFile *patch_find(const Patch *patch, Slice path);

#endif
