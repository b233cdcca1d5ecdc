// Where `improve` keeps things: .perfwright/ in the user's repository, and nowhere else in it.
//
//     Place place;
//     rc = place_find(arena, SLICE("."), SLICE(""), &place, e);
//     rc = place_write(&place, SLICE("plan.md"), text, e);         // repo/.perfwright/plan.md
//
// The repository is somebody else's: a `.perfwright` that it planted as a symbolic link to
// elsewhere, or a link anywhere below it, is refused (ERR_REFUSED), for reading as for writing.
//
// Texts of a Place live in the arena and end with a NUL.
#ifndef IMPROVE_PLACE_H
#define IMPROVE_PLACE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { PLACE_FILE_BYTES_MAX = 16 << 20 };

typedef struct Place {
    Slice repo;   // absolute, links resolved
    Slice sub;    // --path of a monorepo, relative; empty: all of it
    Slice dir;    // where .perfwright is, itself included
    Slice target; // what the ledger calls it: repo, or repo:sub
} Place;

// `repo` is a directory, or a file whose directory is meant. ERR_NOT_FOUND, ERR_ARG for a `sub`
// that leads out of it.
MUST_USE int place_find(Arena *arena, Slice repo, Slice sub, Place *ret_place, Err *e);

// dir/name in the arena, checked for links. `name` is relative, without "..": ERR_ARG.
MUST_USE int place_path(const Place *place, Arena *arena, Slice name, const char **ret_path,
                        Err *e);
// ERR_NOT_FOUND; ERR_LIMIT past PLACE_FILE_BYTES_MAX.
MUST_USE int place_read(const Place *place, Arena *arena, Slice name, Slice *ret_text, Err *e);
// Makes the directories that are missing and replaces the file in one step.
MUST_USE int place_write(const Place *place, Slice name, Slice text, Err *e);
// Fine when it is not there.
MUST_USE int place_remove(const Place *place, Slice name, Err *e);
// Names in the directory dir/name, sorted, without those that begin with a dot; none where there is
// no such directory. At most `max`, ERR_LIMIT beyond.
MUST_USE int place_list(const Place *place, Arena *arena, Slice name, size_t max, Slice **ret_names,
                        size_t *ret_count, Err *e);

// A name that stays below where it is put: relative, no empty part, no "." and "..", no NUL.
bool place_name_ok(Slice name);

#endif
