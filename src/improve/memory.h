// Memory: short notes that one run leaves for the next, in .perfwright/memory/ or on the Git branch
// perfwright/memory. A note is a Markdown file with a typed head:
//
//     ---
//     kind: avoid
//     by: person
//     files: [src/legacy.c]
//     ---
//     The ABI of this file is frozen.
//
// Kinds: command (how something is run), fact, tried (a goal and its verdict), avoid and prefer (a
// person's word on files or a goal, which the choice of goals obeys). What perfwright writes holds
// its own figures; an engine's words are never kept, so that a planted sentence cannot travel from
// one run to the next. Every note is data: it orders goals and is shown to the engine.
//
// Notes are not believed but checked: one that names a file or a command that is gone is stale, and
// is marked so in its file (a person's file is left alone, and only reported).
#ifndef IMPROVE_MEMORY_H
#define IMPROVE_MEMORY_H

#include "base/field.h"
#include "improve/git.h"
#include "improve/place.h"

enum {
    MEMORY_NOTES_MAX = 200,
    MEMORY_NOTE_BYTES_MAX = 4096, // of a file
    MEMORY_BYTES_MAX = 100 << 10, // of all
    MEMORY_FILES_MAX = 20,        // that one note names
};
#define MEMORY_BRANCH "perfwright/memory"

typedef enum NoteKind {
    NOTE_FACT,
    NOTE_COMMAND,
    NOTE_TRIED,
    NOTE_AVOID,
    NOTE_PREFER,
    NOTE_KINDS,
} NoteKind;
extern const char *const NOTE_KIND_NAMES[NOTE_KINDS + 1];

typedef enum NoteAuthor { NOTE_BY_PERFWRIGHT, NOTE_BY_PERSON } NoteAuthor;
extern const char *const NOTE_AUTHOR_NAMES[3];

typedef struct MemoryNote {
    Slice name; // of the file, without ".md"
    int64_t kind;
    int64_t by;
    FieldNames files; // relative to the repository
    Slice command;    // shell text; only looked at, never run from here
    Slice goal;       // an id of the plan
    Slice created;    // a date
    bool stale;
    Slice because; // why it is stale, or what is wrong with the file
    Slice text;
    bool broken;    // the file could not be read as a note; `because` says why
    bool on_branch; // comes from MEMORY_BRANCH and not from the folder
} MemoryNote;

typedef struct Memory {
    MemoryNote *notes; // by name
    size_t count;
} Memory;

// One note. ERR_PARSE with the position, ERR_LIMIT.
MUST_USE int memory_note_read(Arena *arena, Slice name, Slice file, MemoryNote *ret_note, Err *e);
void memory_note_write(const MemoryNote *note, Buf *out);

// What is in the folder. Files that are no notes are kept as broken ones; ERR_LIMIT past
// MEMORY_NOTES_MAX, and notes beyond MEMORY_BYTES_MAX are broken.
MUST_USE int memory_load(const Place *place, Arena *arena, Memory *ret_memory, Err *e);
// Adds what `files` (names and contents, of a branch) holds and the folder does not.
MUST_USE int memory_add_branch(Arena *arena, Memory *memory, const Slice *names,
                               const Slice *contents, size_t count, Err *e);
// The same from MEMORY_BRANCH of the repository; no repository and no such branch are fine.
MUST_USE int memory_load_branch(const Place *place, Loop *loop, Arena *arena, Memory *memory,
                                Err *e);
// ERR_EXISTS for a name that is there, unless `replace` and perfwright wrote it; ERR_REFUSED for
// one that a person wrote; ERR_ARG for a name outside of [a-z0-9-].
MUST_USE int memory_save(const Place *place, const MemoryNote *note, bool replace, Err *e);

// Looks whether the files are there and the command's program can be found (in the repository, or
// in one of `path`'s directories, parted by colons). Sets stale and because. Returns how many
// changed.
size_t memory_check(const Place *place, Arena *arena, Memory *memory, const char *path);

// The notes as text for an engine, stale and broken ones left out.
void memory_print(const Memory *memory, Buf *out);

#endif
