// Diffs. What is accepted adds up, names no path outside of the tree, and written again as a git
// diff it reads as the same lines.
#include "base/buf.h"
#include "improve/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz patch: %s", what);
    }
}

static void put_name(Buf *out, const char *prefix, Slice path)
{
    if (path.len == 0) {
        buf_puts(out, "/dev/null\n");
        return;
    }
    buf_printf(out, "\"%s", prefix);
    for (size_t i = 0; i < path.len; i++) {
        buf_printf(out, "\\%03o", (unsigned char)path.ptr[i]);
    }
    buf_puts(out, "\"\n");
}

static void put_file(Buf *out, const PatchFile *f)
{
    if (f->hunk_count == 0) {
        return;
    }
    buf_puts(out, "--- ");
    put_name(out, "a/", f->old_path);
    buf_puts(out, "+++ ");
    put_name(out, "b/", f->new_path);
    for (size_t h = 0; h < f->hunk_count; h++) {
        const PatchHunk *hunk = &f->hunks[h];
        buf_printf(out, "@@ -%ld,%ld +%ld,%ld @@\n", hunk->old_start, hunk->old_count,
                   hunk->new_start, hunk->new_count);
        for (size_t i = 0; i < hunk->line_count; i++) {
            buf_putc(out, " +-"[hunk->lines[i].kind]);
            buf_append(out, hunk->lines[i].text);
            buf_puts(out, hunk->lines[i].no_newline ? "\n\\ No\n" : "\n");
        }
    }
}

static void check_lines(const PatchHunk *hunk)
{
    long old_line = hunk->old_start, new_line = hunk->new_start;
    for (size_t i = 0; i < hunk->line_count; i++) {
        const PatchLine *line = &hunk->lines[i];
        require(line->kind == PATCH_ADDED ? line->old_line == 0 : line->old_line == old_line++,
                "an old line number");
        require(line->kind == PATCH_DELETED ? line->new_line == 0 : line->new_line == new_line++,
                "a new line number");
    }
    require(old_line == hunk->old_start + hunk->old_count, "old lines do not add up");
    require(new_line == hunk->new_start + hunk->new_count, "new lines do not add up");
}

static void check_path(Slice path)
{
    require(path.len == 0 || path.ptr[0] != '/', "an absolute path");
    for (Slice part; path.len > 0;) {
        slice_cut(path, '/', &part, &path);
        require(!slice_eq_cstr(part, "..") && !slice_eq_cstr(part, ".git"), "a path outside");
    }
}

static void check_same(const Patch *a, const Patch *b)
{
    size_t k = 0;
    for (size_t i = 0; i < a->file_count; i++) {
        const PatchFile *f = &a->files[i];
        if (f->hunk_count > 0) {
            const PatchFile *g = &b->files[k++];
            require(slice_eq(patch_file_path(f), patch_file_path(g)), "another path");
            require(f->hunk_count == g->hunk_count && f->lines_added == g->lines_added &&
                        f->lines_deleted == g->lines_deleted,
                    "another count");
        }
    }
    require(k == b->file_count, "another number of files");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { TEXT_MAX = 64 << 10 };
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(64 << 20);
    Patch patch, again;
    Err e = {0};
    int rc = patch_parse(arena, (Slice){(const char *)data, size}, &patch, &e);
    require(rc == 0 || rc == ERR_PARSE || rc == ERR_REFUSED || rc == ERR_LIMIT, "another code");
    if (rc == 0) {
        Buf out = buf_create(4 << 20);
        for (size_t i = 0; i < patch.file_count; i++) {
            check_path(patch.files[i].old_path);
            check_path(patch.files[i].new_path);
            for (size_t h = 0; h < patch.files[i].hunk_count; h++) {
                check_lines(&patch.files[i].hunks[h]);
            }
            put_file(&out, &patch.files[i]);
        }
        require(patch_parse(arena, buf_slice(&out), &again, &e) == 0, "written, not read");
        check_same(&patch, &again);
        buf_done(&out);
    }
    arena_destroy(arena);
    return 0;
}
