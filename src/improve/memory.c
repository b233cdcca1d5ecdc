#include "improve/memory.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const NOTE_KIND_NAMES[NOTE_KINDS + 1] = {"fact",  "command", "tried",
                                                     "avoid", "prefer",  NULL};
const char *const NOTE_AUTHOR_NAMES[3] = {"perfwright", "person", NULL};

enum { NAME_MAX_BYTES = 80 };
#define FENCE SLICE("---")

// clang-format off
static const Field NOTE_FIELDS[] = {
    CHOICE_FIELD(MemoryNote, kind, "kind", NOTE_KIND_NAMES, NOTE_FACT, "What it is about."),
    CHOICE_FIELD(MemoryNote, by, "by", NOTE_AUTHOR_NAMES, NOTE_BY_PERSON, "Who wrote it."),
    TEXT_FIELD(MemoryNote, files, "files", FIELD_NAMES, "Paths in the repository."),
    TEXT_FIELD(MemoryNote, command, "command", FIELD_TEXT, "A command."),
    TEXT_FIELD(MemoryNote, goal, "goal", FIELD_TEXT, "A goal of the plan."),
    TEXT_FIELD(MemoryNote, created, "created", FIELD_TEXT, "A date."),
    BOOL_FIELD(MemoryNote, stale, "stale", false, "What it names is gone."),
    TEXT_FIELD(MemoryNote, because, "because", FIELD_TEXT, "Why it is stale."),
};
static const FieldTable NOTE_TABLE = {"note", NOTE_FIELDS, COUNT_OF(NOTE_FIELDS)};
// clang-format on

static bool name_ok(Slice name)
{
    bool ok = name.len > 0 && name.len <= NAME_MAX_BYTES && name.ptr[0] != '-';
    for (size_t i = 0; ok && i < name.len; i++) {
        char c = name.ptr[i];
        ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    }
    return ok;
}

// The head between two lines of "---", and what follows.
static int split_note(Slice name, Slice file, Slice *ret_head, Slice *ret_text, Err *e)
{
    Slice first, rest = file, line;
    (void)slice_cut(rest, '\n', &first, &rest);
    if (!slice_eq(slice_trim(first), FENCE)) {
        return err_set(e, ERR_PARSE, "memory/%.*s.md:1:1: a note begins with a line of ---",
                       SLICE_FMT(name));
    }
    Slice head = rest;
    while (rest.len > 0) {
        (void)slice_cut(rest, '\n', &line, &rest);
        if (slice_eq(slice_trim(line), FENCE)) {
            *ret_head = slice_sub(head, 0, (size_t)(line.ptr - head.ptr));
            *ret_text = slice_trim(rest);
            return 0;
        }
    }
    return err_set(e, ERR_PARSE, "memory/%.*s.md: the head has no closing ---", SLICE_FMT(name));
}

static int check_note(const Doc *doc, const MemoryNote *note, Err *e)
{
    if (note->files.count > MEMORY_FILES_MAX) {
        return doc_err(e, note->files.doc, "a note names at most %d files", MEMORY_FILES_MAX);
    }
    for (size_t i = 0; i < note->files.count; i++) {
        if (!place_name_ok(note->files.items[i])) {
            return doc_err(e, doc_at(note->files.doc, i),
                           "\"%.*s\" is no path inside of the repository",
                           SLICE_FMT(note->files.items[i]));
        }
    }
    if (note->text.len == 0 && note->command.len == 0 && note->files.count == 0) {
        return doc_err(e, doc, "the note says nothing");
    }
    return 0;
}

int memory_note_read(Arena *arena, Slice name, Slice file, MemoryNote *ret_note, Err *e)
{
    Slice head, text;
    const Doc *doc = NULL;
    MemoryNote note = {0};
    if (file.len > MEMORY_NOTE_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "memory/%.*s.md has %zu bytes, the limit is %d",
                       SLICE_FMT(name), file.len, MEMORY_NOTE_BYTES_MAX);
    }
    int rc = split_note(name, file, &head, &text, e);
    if (rc != 0) {
        return rc;
    }
    DocOptions options = {
        .format = DOC_FORMAT_YAML,
        .source = arena_printf(arena, "memory/%.*s.md", SLICE_FMT(name)).ptr,
        .max_bytes = MEMORY_NOTE_BYTES_MAX,
        .max_nodes = 200,
        .max_alias_nodes = 10,
    };
    // One more line before it, so that positions are those of the file.
    head = arena_printf(arena, "\n%.*s", SLICE_FMT(head));
    fields_init(&NOTE_TABLE, &note);
    if ((rc = doc_parse(arena, head, &options, &doc, e)) != 0) {
        return rc;
    }
    note.name = arena_copy(arena, name);
    note.text = arena_copy(arena, text);
    if (doc->type != DOC_NULL && ((rc = doc_expect(doc, DOC_OBJECT, "the head", e)) != 0 ||
                                  (rc = fields_read(arena, &NOTE_TABLE, doc, &note, e)) != 0)) {
        return rc;
    }
    if ((rc = check_note(doc, &note, e)) == 0) {
        *ret_note = note;
    }
    return rc;
}

void memory_note_write(const MemoryNote *note, Buf *out)
{
    buf_printf(out, "---\nkind: %s\nby: %s\n", NOTE_KIND_NAMES[note->kind],
               NOTE_AUTHOR_NAMES[note->by]);
    if (note->files.count > 0) {
        buf_puts(out, "files: [");
        for (size_t i = 0; i < note->files.count; i++) {
            buf_puts(out, i ? ", " : "");
            json_quote(out, note->files.items[i]); // JSON's strings are YAML's
        }
        buf_puts(out, "]\n");
    }
    const struct {
        const char *key;
        Slice value;
    } texts[] = {{"command", note->command},
                 {"goal", note->goal},
                 {"created", note->created},
                 {"because", note->stale ? note->because : SLICE("")}};
    if (note->stale) {
        buf_puts(out, "stale: true\n");
    }
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (texts[i].value.len > 0) {
            buf_printf(out, "%s: ", texts[i].key);
            json_quote(out, texts[i].value);
            buf_putc(out, '\n');
        }
    }
    buf_puts(out, "---\n");
    buf_append(out, note->text);
    buf_putc(out, '\n');
}

// ---- the folder

static void add_note(Arena *arena, Memory *memory, Slice name, Slice file, size_t *bytes)
{
    MemoryNote *note = &memory->notes[memory->count++];
    Err e = {0};
    *bytes += file.len;
    if (*bytes > MEMORY_BYTES_MAX) {
        (void)err_set(&e, ERR_LIMIT, "the memory is full: its limit is %d bytes", MEMORY_BYTES_MAX);
    } else if (memory_note_read(arena, name, file, note, &e) == 0) {
        return;
    }
    *note = (MemoryNote){.name = arena_copy(arena, name),
                         .by = NOTE_BY_PERSON,
                         .broken = true,
                         .because = arena_copy(arena, slice_from_cstr(e.text))};
}

static bool note_name(Slice file, Slice *ret_name)
{
    if (!slice_ends_with(file, SLICE(".md"))) {
        return false;
    }
    *ret_name = slice_sub(file, 0, file.len - 3);
    return name_ok(*ret_name);
}

int memory_load(const Place *place, Arena *arena, Memory *ret_memory, Err *e)
{
    Slice *names = NULL;
    size_t count = 0, bytes = 0;
    Memory memory = {.notes = ARENA_ARRAY(arena, MemoryNote, MEMORY_NOTES_MAX)};
    int rc = place_list(place, arena, SLICE("memory"), MEMORY_NOTES_MAX, &names, &count, e);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        Slice name, file;
        if (!note_name(names[i], &name)) {
            continue;
        }
        rc = place_read(place, arena, arena_printf(arena, "memory/%.*s", SLICE_FMT(names[i])),
                        &file, e);
        if (rc == 0) {
            add_note(arena, &memory, name, file, &bytes);
        }
    }
    if (rc == 0) {
        *ret_memory = memory;
    }
    return rc;
}

static const MemoryNote *find_note(const Memory *memory, Slice name)
{
    for (size_t i = 0; i < memory->count; i++) {
        if (slice_eq(memory->notes[i].name, name)) {
            return &memory->notes[i];
        }
    }
    return NULL;
}

int memory_add_branch(Arena *arena, Memory *memory, const Slice *names, const Slice *contents,
                      size_t count, Err *e)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        Slice name;
        if (!note_name(names[i], &name) || find_note(memory, name)) {
            continue;
        }
        if (memory->count == MEMORY_NOTES_MAX) {
            return err_set(e, ERR_LIMIT,
                           "branch " MEMORY_BRANCH " and the folder hold more than "
                           "%d notes",
                           MEMORY_NOTES_MAX);
        }
        add_note(arena, memory, name, contents[i], &bytes);
        memory->notes[memory->count - 1].on_branch = true;
    }
    return 0;
}

int memory_load_branch(const Place *place, Loop *loop, Arena *arena, Memory *memory, Err *e)
{
    Git *git = NULL;
    GitHash head;
    const Slice *paths = NULL;
    size_t count = 0, kept = 0;
    if (git_open(&(GitOptions){.path = place->repo.ptr, .loop = loop}, arena, &git, NULL) != 0) {
        return 0;
    }
    int rc = git_resolve(git, MEMORY_BRANCH, head, NULL) == 0
                 ? git_list(git, head, &paths, &count, e)
                 : 0;
    Slice *names = ARENA_ARRAY(arena, Slice, MEMORY_NOTES_MAX);
    Slice *contents = ARENA_ARRAY(arena, Slice, MEMORY_NOTES_MAX);
    for (size_t i = 0; rc == 0 && i < count && kept < MEMORY_NOTES_MAX; i++) {
        Buf text = buf_create(2 * MEMORY_NOTE_BYTES_MAX);
        if (slice_ends_with(paths[i], SLICE(".md")) &&
            git_read(git, head, arena_cstr(arena, paths[i]), &text, NULL) == 0) {
            names[kept] = paths[i];
            contents[kept++] = arena_copy(arena, buf_slice(&text));
        }
        buf_done(&text);
    }
    git_close(git);
    return rc == 0 ? memory_add_branch(arena, memory, names, contents, kept, e) : rc;
}

int memory_save(const Place *place, const MemoryNote *note, bool replace, Err *e)
{
    if (!name_ok(note->name)) {
        return err_set(e, ERR_ARG, "a note's name is made of a-z, 0-9 and -, not \"%.*s\"",
                       SLICE_FMT(note->name));
    }
    Arena *arena = arena_create(4 << 20);
    Buf file = buf_create(MEMORY_NOTE_BYTES_MAX);
    Slice path = arena_printf(arena, "memory/%.*s.md", SLICE_FMT(note->name)), old;
    MemoryNote before = {0};
    int rc = place_read(place, arena, path, &old, NULL);
    if (rc == 0 && (memory_note_read(arena, note->name, old, &before, NULL) != 0 ||
                    (before.by == NOTE_BY_PERSON && note->by != NOTE_BY_PERSON))) {
        rc = err_set(e, ERR_REFUSED, "memory/%.*s.md is a person's: it is not overwritten",
                     SLICE_FMT(note->name));
    } else if (rc == 0 && !replace) {
        rc = err_set(e, ERR_EXISTS, "there is a note %.*s already", SLICE_FMT(note->name));
    } else {
        memory_note_write(note, &file);
        rc = buf_check(&file, "the note", e);
        rc = rc == 0 ? place_write(place, path, buf_slice(&file), e) : rc;
    }
    buf_done(&file);
    arena_destroy(arena);
    return rc;
}

// ---- is it still so?

static bool is_there(const Place *place, Slice name)
{
    char path[PATH_MAX];
    struct stat st;
    Slice sub = place->sub.len > 0 ? place->sub : SLICE(".");
    int len = snprintf(path, sizeof path, "%.*s/%.*s/%.*s", SLICE_FMT(place->repo), SLICE_FMT(sub),
                       SLICE_FMT(name));
    return len > 0 && (size_t)len < sizeof path && lstat(path, &st) == 0;
}

static bool in_path(Slice program, const char *path)
{
    for (Slice rest = slice_from_cstr(path), dir; rest.len > 0;) {
        char at[PATH_MAX];
        (void)slice_cut(rest, ':', &dir, &rest);
        int len = snprintf(at, sizeof at, "%.*s/%.*s", SLICE_FMT(dir), SLICE_FMT(program));
        if (dir.len > 0 && len > 0 && (size_t)len < sizeof at && access(at, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

// The first word that is no assignment: what the command would start.
static Slice program_of(Slice command)
{
    for (Slice rest = slice_trim(command), word; rest.len > 0;) {
        (void)slice_cut(rest, ' ', &word, &rest);
        if (word.len > 0 && slice_find_byte(word, '=') < 0) {
            return word;
        }
    }
    return SLICE("");
}

static Slice what_is_gone(const Place *place, Arena *arena, const MemoryNote *note,
                          const char *path)
{
    for (size_t i = 0; i < note->files.count; i++) {
        if (!is_there(place, note->files.items[i])) {
            return arena_printf(arena, "%.*s is gone", SLICE_FMT(note->files.items[i]));
        }
    }
    Slice program = program_of(note->command);
    if (program.len == 0) {
        return SLICE("");
    }
    Slice local =
        slice_starts_with(program, SLICE("./")) ? slice_sub(program, 2, program.len) : program;
    bool found = slice_find_byte(program, '/') >= 0 ? place_name_ok(local) && is_there(place, local)
                                                    : in_path(program, path);
    return found ? SLICE("") : arena_printf(arena, "there is no program %.*s", SLICE_FMT(program));
}

size_t memory_check(const Place *place, Arena *arena, Memory *memory, const char *path)
{
    size_t changed = 0;
    for (size_t i = 0; i < memory->count; i++) {
        MemoryNote *note = &memory->notes[i];
        if (note->broken) {
            continue;
        }
        Slice gone = what_is_gone(place, arena, note, path ? path : "");
        if (note->stale != (gone.len > 0)) {
            note->stale = gone.len > 0;
            note->because = gone;
            changed++;
            if (note->by == NOTE_BY_PERFWRIGHT && !note->on_branch) {
                // The mark is a convenience: without it the next run finds the same again.
                (void)!memory_save(place, note, true, NULL);
            }
        }
    }
    return changed;
}

void memory_print(const Memory *memory, Buf *out)
{
    for (size_t i = 0; i < memory->count; i++) {
        const MemoryNote *note = &memory->notes[i];
        if (note->stale || note->broken) {
            continue;
        }
        buf_printf(out, "- %s (by %s)", NOTE_KIND_NAMES[note->kind], NOTE_AUTHOR_NAMES[note->by]);
        for (size_t k = 0; k < note->files.count; k++) {
            buf_printf(out, "%s%.*s", k ? ", " : " on ", SLICE_FMT(note->files.items[k]));
        }
        buf_printf(out, ": %.*s\n", SLICE_FMT(note->text));
    }
}
