#include "improve/patch.h"

// Git's grammar is in git's Documentation/diff-generate-patch.txt and apply.c, the older one in the
// GNU diffutils manual ("Detailed Description of Unified Format"). Reading is line by line with one
// line of look-ahead: `---` alone could be a line of prose in a mail, so it starts a file only when
// `+++` follows.

const char *const PATCH_CHANGE_NAMES[PATCH_CHANGES + 1] = {"modified", "added",  "deleted",
                                                           "renamed",  "copied", NULL};

typedef struct PatchReader {
    Arena *arena;
    Slice rest;   // from the current line on
    long line;    // number of the current line in the diff
    size_t lines; // of hunks, so far
    size_t file_capacity;
    Patch patch;
    Err *e;
} PatchReader;

static bool at_end(const PatchReader *r)
{
    return r->rest.len == 0;
}

// The current line without its newline.
static Slice peek(const PatchReader *r)
{
    ptrdiff_t end = slice_find_byte(r->rest, '\n');
    return end < 0 ? r->rest : slice_sub(r->rest, 0, (size_t)end);
}

static void next(PatchReader *r)
{
    size_t len = peek(r).len;
    r->rest = slice_sub(r->rest, len + (len < r->rest.len), r->rest.len);
    r->line++;
}

// Diffs that went through a mail program may have CR LF; headers are read without the CR.
static Slice header_of(Slice line)
{
    return slice_ends_with(line, SLICE("\r")) ? slice_sub(line, 0, line.len - 1) : line;
}

static bool take(Slice *line, Slice prefix)
{
    if (!slice_starts_with(*line, prefix)) {
        return false;
    }
    *line = slice_sub(*line, prefix.len, line->len);
    return true;
}

static bool take_number(Slice *line, long *ret)
{
    enum { DIGITS_MAX = 9 }; // line numbers beyond a thousand million are nobody's
    size_t n = 0;
    long value = 0;
    while (n < line->len && line->ptr[n] >= '0' && line->ptr[n] <= '9') {
        if (n == DIGITS_MAX) {
            return false;
        }
        value = value * 10 + (line->ptr[n++] - '0');
    }
    *line = slice_sub(*line, n, line->len);
    *ret = value;
    return n > 0;
}

// Makes room before it allocates: the arena of a stranger's diff has a ceiling that is an ordinary
// error.
static void *grow(PatchReader *r, size_t count, size_t item_bytes)
{
    if (arena_left(r->arena) < count * item_bytes + 64) {
        err_set(r->e, ERR_LIMIT, "patch: line %ld: larger than memory allows", r->line);
        return NULL;
    }
    return arena_alloc_array(r->arena, count, item_bytes);
}

// ---- paths ----

static int escape_value(Slice text, size_t *at)
{
    static const char NAMES[] = "abtnvfr\"\\";
    static const char VALUES[] = "\a\b\t\n\v\f\r\"\\";
    char c = text.ptr[*at];
    const char *known = c ? strchr(NAMES, c) : NULL;
    if (known != NULL) {
        (*at)++;
        return (unsigned char)VALUES[known - NAMES];
    }
    int value = 0, digits = 0;
    while (digits < 3 && *at < text.len && text.ptr[*at] >= '0' && text.ptr[*at] <= '7') {
        value = value * 8 + (text.ptr[(*at)++] - '0');
        digits++;
    }
    return digits == 3 && value < 256 ? value : -1;
}

// A name in quotes with C's escapes, as git writes bytes that are not plain. `text` starts at the
// opening quote and is moved behind the closing one.
static int take_quoted(PatchReader *r, Slice *text, Slice *ret_path)
{
    char *out = grow(r, text->len, 1);
    if (out == NULL) {
        return ERR_LIMIT;
    }
    size_t n = 0, at = 1;
    while (at < text->len && text->ptr[at] != '"') {
        int byte = (unsigned char)text->ptr[at++];
        if (byte == '\\') {
            byte = at < text->len ? escape_value(*text, &at) : -1;
        }
        if (byte < 0) {
            return err_set(r->e, ERR_PARSE, "patch: line %ld: a name with a bad escape", r->line);
        }
        out[n++] = (char)byte;
    }
    if (at >= text->len) {
        return err_set(r->e, ERR_PARSE, "patch: line %ld: a name without its closing quote",
                       r->line);
    }
    *ret_path = (Slice){out, n};
    *text = slice_sub(*text, at + 1, text->len);
    return 0;
}

static bool is_git_own(Slice part)
{
    // Also as file systems see it that fold case or drop trailing dots and spaces.
    while (part.len > 0 && (part.ptr[part.len - 1] == '.' || part.ptr[part.len - 1] == ' ')) {
        part.len--;
    }
    return slice_eq_nocase(part, SLICE(".git"));
}

static int check_path(const PatchReader *r, Slice path)
{
    if (path.len == 0 || path.len > PATCH_PATH_MAX) {
        return err_set(r->e, ERR_PARSE, "patch: line %ld: a path of %zu bytes", r->line, path.len);
    }
    bool bad = path.ptr[0] == '/' || memchr(path.ptr, 0, path.len) != NULL;
    for (Slice rest = path, part; rest.len > 0 && !bad;) {
        slice_cut(rest, '/', &part, &rest);
        bad = slice_eq_cstr(part, "..") || is_git_own(part);
    }
    if (bad) {
        return err_set(r->e, ERR_REFUSED,
                       "patch: line %ld: the path \"%.*s\" is outside of the tree or git's own",
                       r->line, SLICE_FMT(slice_sub(path, 0, 200)));
    }
    return 0;
}

// One of the "a/" and "b/" that git puts before names (or i/, w/, c/, o/: diff.mnemonicPrefix).
static Slice without_prefix(Slice path)
{
    bool prefixed = path.len > 2 && path.ptr[1] == '/' && strchr("abciwo", path.ptr[0]) != NULL;
    return prefixed ? slice_sub(path, 2, path.len) : path;
}

// The name of a `---` or `+++` line; empty for /dev/null. Behind a tab `diff -u` writes the time.
static int marked_name(PatchReader *r, Slice text, Slice *ret_path)
{
    Slice path = text, rest;
    if (slice_starts_with(text, SLICE("\""))) {
        int rc = take_quoted(r, &text, &path);
        if (rc != 0) {
            return rc;
        }
    } else {
        slice_cut(text, '\t', &path, &rest);
    }
    *ret_path = slice_eq_cstr(path, "/dev/null") ? SLICE("") : path;
    return 0;
}

// ---- hunks ----

// "@@ -1,2 +3 @@ section"
static int hunk_header(const PatchReader *r, Slice line, PatchHunk *hunk)
{
    hunk->old_count = hunk->new_count = 1;
    bool ok = take(&line, SLICE("@@ -")) && take_number(&line, &hunk->old_start) &&
              (!take(&line, SLICE(",")) || take_number(&line, &hunk->old_count)) &&
              take(&line, SLICE(" +")) && take_number(&line, &hunk->new_start) &&
              (!take(&line, SLICE(",")) || take_number(&line, &hunk->new_count)) &&
              take(&line, SLICE(" @@"));
    if (!ok) {
        return err_set(r->e, ERR_PARSE,
                       "patch: line %ld: a hunk must begin @@ -LINE,COUNT "
                       "+LINE,COUNT @@",
                       r->line);
    }
    hunk->section = slice_trim(line);
    return 0;
}

// Of the mark at the head of a line; an empty line is context whose blank a mail program took.
static int line_kind(Slice line)
{
    switch (line.len ? line.ptr[0] : ' ') {
    case ' ':
    case '\r': return PATCH_CONTEXT;
    case '+': return PATCH_ADDED;
    case '-': return PATCH_DELETED;
    default: return -1;
    }
}

static int hunk_line(PatchReader *r, PatchHunk *hunk, long *old_left, long *new_left)
{
    Slice text = peek(r);
    int kind = line_kind(text);
    bool in_old = kind == PATCH_CONTEXT || kind == PATCH_DELETED;
    bool in_new = kind == PATCH_CONTEXT || kind == PATCH_ADDED;
    if (at_end(r) || kind < 0 || (in_old && *old_left == 0) || (in_new && *new_left == 0)) {
        return err_set(
            r->e, ERR_PARSE,
            "patch: line %ld: the hunk is cut off; %ld old and %ld new lines are missing", r->line,
            *old_left, *new_left);
    }
    bool marked = text.len > 0 && text.ptr[0] != '\r';
    hunk->lines[hunk->line_count++] = (PatchLine){
        .kind = (PatchLineKind)kind,
        .text = marked ? slice_sub(text, 1, text.len) : text,
        .old_line = in_old ? hunk->old_start + hunk->old_count - *old_left : 0,
        .new_line = in_new ? hunk->new_start + hunk->new_count - *new_left : 0,
    };
    *old_left -= in_old;
    *new_left -= in_new;
    next(r);
    // "\ No newline at end of file", in whatever language.
    if (!at_end(r) && r->rest.ptr[0] == '\\') {
        hunk->lines[hunk->line_count - 1].no_newline = true;
        next(r);
    }
    return 0;
}

// Lines that the hunk holds at most: what is announced, but never more than are there.
static size_t lines_there(const PatchReader *r, long announced)
{
    size_t n = 0;
    for (size_t i = 0; i < r->rest.len && n < (size_t)announced; i++) {
        n += r->rest.ptr[i] == '\n';
    }
    return n + 1;
}

static int read_hunk(PatchReader *r, PatchFile *file, PatchHunk *hunk)
{
    int rc = hunk_header(r, header_of(peek(r)), hunk);
    if (rc != 0) {
        return rc;
    }
    next(r);
    size_t most = lines_there(r, hunk->old_count + hunk->new_count);
    if ((hunk->lines = grow(r, most, sizeof(PatchLine))) == NULL) {
        return ERR_LIMIT;
    }
    for (long old_left = hunk->old_count, new_left = hunk->new_count; old_left || new_left;) {
        if ((rc = hunk_line(r, hunk, &old_left, &new_left)) != 0) {
            return rc;
        }
        PatchLineKind kind = hunk->lines[hunk->line_count - 1].kind;
        file->lines_added += kind == PATCH_ADDED;
        file->lines_deleted += kind == PATCH_DELETED;
        if (++r->lines > PATCH_LINES_MAX) {
            return err_set(r->e, ERR_LIMIT, "patch: line %ld: more than %d lines in hunks", r->line,
                           PATCH_LINES_MAX);
        }
    }
    return 0;
}

static int read_hunks(PatchReader *r, PatchFile *file)
{
    size_t capacity = 0;
    while (!at_end(r) && slice_starts_with(r->rest, SLICE("@@ -"))) {
        if (file->hunk_count == capacity) {
            capacity = capacity ? capacity * 2 : 4;
            PatchHunk *hunks = grow(r, capacity, sizeof *hunks);
            if (hunks == NULL) {
                return ERR_LIMIT;
            }
            memcpy(hunks, file->hunk_count ? file->hunks : hunks, file->hunk_count * sizeof *hunks);
            file->hunks = hunks;
        }
        int rc = read_hunk(r, file, &file->hunks[file->hunk_count++]);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

// ---- files ----

static bool is_file_header(const PatchReader *r)
{
    if (!slice_starts_with(r->rest, SLICE("--- "))) {
        return false;
    }
    ptrdiff_t end = slice_find_byte(r->rest, '\n');
    return end >= 0 &&
           slice_starts_with(slice_sub(r->rest, (size_t)end + 1, r->rest.len), SLICE("+++ "));
}

// "a/x b/x" of a `diff --git` line without quotes: both names are the same behind their prefixes,
// or else a rename line follows, so the blank in the middle is the one that parts them.
static void split_git_names(Slice text, Slice *ret_old, Slice *ret_new)
{
    if (text.len % 2 == 1 && text.ptr[text.len / 2] == ' ') {
        Slice a = slice_sub(text, 0, text.len / 2);
        Slice b = slice_sub(text, text.len / 2 + 1, text.len);
        if (slice_eq(without_prefix(a), without_prefix(b))) {
            *ret_old = a;
            *ret_new = b;
        }
    }
}

static int plain_name(PatchReader *r, Slice text, Slice *ret_path)
{
    if (slice_starts_with(text, SLICE("\""))) {
        return take_quoted(r, &text, ret_path);
    }
    *ret_path = text;
    return 0;
}

static int git_names(PatchReader *r, Slice text, PatchFile *file)
{
    if (!slice_starts_with(text, SLICE("\""))) {
        ptrdiff_t quote = slice_find(text, SLICE(" \""));
        if (quote < 0) {
            split_git_names(text, &file->old_path, &file->new_path);
            return 0;
        }
        file->old_path = slice_sub(text, 0, (size_t)quote);
        text = slice_sub(text, (size_t)quote + 1, text.len);
        return take_quoted(r, &text, &file->new_path);
    }
    int rc = take_quoted(r, &text, &file->old_path);
    if (rc != 0) {
        return rc;
    }
    text = slice_trim(text);
    return plain_name(r, text, &file->new_path);
}

static unsigned mode_of(Slice text)
{
    unsigned mode = 0;
    for (size_t i = 0; i < text.len && i < 6 && text.ptr[i] >= '0' && text.ptr[i] <= '7'; i++) {
        mode = mode * 8 + (unsigned)(text.ptr[i] - '0');
    }
    return mode;
}

// One of git's extended header lines. *ret_known is false at the first line that is none.
static int extended_header(PatchReader *r, PatchFile *file, bool *ret_named, bool *ret_known)
{
    Slice line = header_of(peek(r));
    *ret_known = true;
    if (take(&line, SLICE("old mode "))) {
        file->old_mode = mode_of(line);
    } else if (take(&line, SLICE("new mode "))) {
        file->new_mode = mode_of(line);
    } else if (take(&line, SLICE("deleted file mode "))) {
        file->old_mode = mode_of(line);
        file->change = PATCH_FILE_DELETED;
    } else if (take(&line, SLICE("new file mode "))) {
        file->new_mode = mode_of(line);
        file->change = PATCH_FILE_ADDED;
    } else if (take(&line, SLICE("rename from ")) || take(&line, SLICE("copy from "))) {
        *ret_named = true;
        return plain_name(r, line, &file->old_path);
    } else if (take(&line, SLICE("rename to "))) {
        file->change = PATCH_FILE_RENAMED;
        return plain_name(r, line, &file->new_path);
    } else if (take(&line, SLICE("copy to "))) {
        file->change = PATCH_FILE_COPIED;
        return plain_name(r, line, &file->new_path);
    } else {
        *ret_known = slice_starts_with(line, SLICE("index ")) ||
                     slice_starts_with(line, SLICE("similarity index ")) ||
                     slice_starts_with(line, SLICE("dissimilarity index "));
    }
    return 0;
}

// "Binary files a/x and b/x differ", or the base85 lines of `git diff --binary`, which end with an
// empty line and are not looked into: what they hold, the file in the tree shows.
static void skip_binary(PatchReader *r, PatchFile *file)
{
    if (slice_starts_with(r->rest, SLICE("Binary files "))) {
        file->binary = true;
        next(r);
    } else if (slice_starts_with(r->rest, SLICE("GIT binary patch"))) {
        file->binary = true;
        next(r);
        while (!at_end(r) && !slice_starts_with(r->rest, SLICE("diff --git "))) {
            next(r);
        }
    }
}

static int name_lines(PatchReader *r, PatchFile *file, bool named)
{
    if (at_end(r) || !is_file_header(r)) {
        return 0;
    }
    Slice names[2];
    for (int i = 0; i < 2; i++) {
        Slice line = header_of(peek(r));
        int rc = marked_name(r, slice_sub(line, 4, line.len), &names[i]);
        if (rc != 0) {
            return rc;
        }
        next(r);
    }
    if (names[0].len == 0 && names[1].len == 0) {
        return err_set(r->e, ERR_PARSE, "patch: line %ld: a file that is neither before nor after",
                       r->line - 2);
    }
    if (named) {
        return 0; // the rename lines have no prefixes to guess about
    }
    file->old_path = names[0];
    file->new_path = names[1];
    return 0;
}

// "a/x" and "b/y" lose git's prefixes. "old/x" and "new/x", as `diff -r` writes them, lose what
// differs before names that do not. Where one side is not there, only git's own can be known.
static void strip_prefixes(PatchFile *file)
{
    Slice old_root, old_rest, new_root, new_rest;
    Slice old_cut = without_prefix(file->old_path), new_cut = without_prefix(file->new_path);
    bool one_side = file->old_path.len == 0 || file->new_path.len == 0;
    bool both_cut = old_cut.len < file->old_path.len && new_cut.len < file->new_path.len &&
                    file->old_path.ptr[0] != file->new_path.ptr[0];
    if (one_side || both_cut) {
        file->old_path = old_cut;
        file->new_path = new_cut;
    } else if (slice_cut(file->old_path, '/', &old_root, &old_rest) &&
               slice_cut(file->new_path, '/', &new_root, &new_rest) &&
               !slice_eq(old_root, new_root) && slice_eq(old_rest, new_rest)) {
        file->old_path = old_rest;
        file->new_path = new_rest;
    }
}

// Prefixes are taken off, the sides that are not there emptied, and both names looked at.
static int settle_names(const PatchReader *r, PatchFile *file, bool named)
{
    if (!named) {
        strip_prefixes(file);
    }
    if (file->change == PATCH_FILE_MODIFIED && file->old_path.len == 0) {
        file->change = PATCH_FILE_ADDED;
    } else if (file->change == PATCH_FILE_MODIFIED && file->new_path.len == 0) {
        file->change = PATCH_FILE_DELETED;
    }
    file->old_path = file->change == PATCH_FILE_ADDED ? SLICE("") : file->old_path;
    file->new_path = file->change == PATCH_FILE_DELETED ? SLICE("") : file->new_path;
    int rc = file->change == PATCH_FILE_ADDED ? 0 : check_path(r, file->old_path);
    return rc == 0 && file->change != PATCH_FILE_DELETED ? check_path(r, file->new_path) : rc;
}

static int add_file(PatchReader *r, PatchFile **ret_file)
{
    Patch *p = &r->patch;
    if (p->file_count == PATCH_FILES_MAX) {
        return err_set(r->e, ERR_LIMIT, "patch: line %ld: more than %d files", r->line,
                       PATCH_FILES_MAX);
    }
    if (p->file_count == r->file_capacity) {
        size_t capacity = r->file_capacity ? r->file_capacity * 2 : 8;
        PatchFile *files = grow(r, capacity, sizeof *files);
        if (files == NULL) {
            return ERR_LIMIT;
        }
        memcpy(files, p->file_count ? p->files : files, p->file_count * sizeof *files);
        p->files = files;
        r->file_capacity = capacity;
    }
    *ret_file = &p->files[p->file_count++];
    return 0;
}

static int read_file(PatchReader *r)
{
    PatchFile *file = NULL;
    bool named = false, known = true;
    int rc = add_file(r, &file);
    if (rc != 0) {
        return rc;
    }
    Slice line = header_of(peek(r));
    if (take(&line, SLICE("diff --git "))) {
        rc = git_names(r, line, file);
        for (next(r); rc == 0 && known && !at_end(r);) {
            rc = extended_header(r, file, &named, &known);
            if (rc == 0 && known) {
                next(r);
            }
        }
    }
    if (rc == 0) {
        rc = name_lines(r, file, named);
    }
    if (rc == 0) {
        rc = settle_names(r, file, named);
    }
    if (rc == 0) {
        skip_binary(r, file);
        rc = read_hunks(r, file);
    }
    r->patch.lines_added += file->lines_added;
    r->patch.lines_deleted += file->lines_deleted;
    return rc;
}

int patch_parse(Arena *arena, Slice diff, Patch *ret_patch, Err *e)
{
    if (diff.len > PATCH_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "patch: %zu bytes, the limit is %d", diff.len,
                       PATCH_BYTES_MAX);
    }
    PatchReader r = {.arena = arena, .rest = diff, .line = 1, .e = e};
    while (!at_end(&r)) {
        if (slice_starts_with(r.rest, SLICE("diff --cc ")) ||
            slice_starts_with(r.rest, SLICE("diff --combined "))) {
            return err_set(e, ERR_PARSE,
                           "patch: line %ld: a combined diff of a merge; diff "
                           "against one parent instead",
                           r.line);
        }
        if (slice_starts_with(r.rest, SLICE("diff --git ")) || is_file_header(&r)) {
            int rc = read_file(&r);
            if (rc != 0) {
                return rc;
            }
        } else {
            next(&r); // prose of a mail, `Only in x: y`, the line of another diff program
        }
    }
    if (r.patch.file_count == 0 && slice_trim(diff).len > 0) {
        return err_set(e, ERR_PARSE,
                       "patch: no file in it; a unified diff is needed (git diff, or "
                       "diff -u)");
    }
    *ret_patch = r.patch;
    return 0;
}

Slice patch_file_path(const PatchFile *file)
{
    return file->new_path.len ? file->new_path : file->old_path;
}

const PatchFile *patch_find(const Patch *patch, Slice path)
{
    for (size_t i = 0; i < patch->file_count; i++) {
        const PatchFile *f = &patch->files[i];
        if (slice_eq(f->new_path, path) || slice_eq(f->old_path, path)) {
            return f;
        }
    }
    return NULL;
}
