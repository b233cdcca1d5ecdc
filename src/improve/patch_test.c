// The diffs here were written by git 2.39 and GNU diff 3.8.
#include "improve/patch.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

static const char GIT_DIFF[] = "From 1234 Mon Sep 17 00:00:00 2001\n"
                               "Subject: [PATCH] faster\n"
                               "--- \n"
                               " lib/a.c | 3 ++-\n"
                               "\n"
                               "diff --git a/lib/a.c b/lib/a.c\n"
                               "index 0a1b2c3..4d5e6f7 100644\n"
                               "--- a/lib/a.c\n"
                               "+++ b/lib/a.c\n"
                               "@@ -10,3 +10,4 @@ int f(void)\n"
                               " one\n"
                               "-two\n"
                               "+2\n"
                               "+2b\n"
                               "\n"
                               "@@ -40 +41 @@\n"
                               "-old\n"
                               "\\ No newline at end of file\n"
                               "+new\n"
                               "\\ No newline at end of file\n"
                               "diff --git a/new file.txt b/new file.txt\n"
                               "new file mode 100755\n"
                               "index 0000000..e69de29\n"
                               "diff --git \"a/sch\\303\\266n\\t.c\" \"b/sch\\303\\266n\\t.c\"\n"
                               "deleted file mode 100644\n"
                               "index 5626abf..0000000\n"
                               "--- \"a/sch\\303\\266n\\t.c\"\n"
                               "+++ /dev/null\n"
                               "@@ -1 +0,0 @@\n"
                               "-one\n"
                               "diff --git a/x/from.c b/y/to.c\n"
                               "similarity index 90%\n"
                               "rename from x/from.c\n"
                               "rename to y/to.c\n"
                               "--- a/x/from.c\n"
                               "+++ b/y/to.c\n"
                               "@@ -1,2 +1,2 @@\n"
                               "-a\n"
                               "+b\n"
                               " c\n"
                               "diff --git a/run.sh b/run.sh\n"
                               "old mode 100644\n"
                               "new mode 100755\n"
                               "diff --git a/p.png b/p.png\n"
                               "index 1..2 100644\n"
                               "Binary files a/p.png and b/p.png differ\n"
                               "diff --git a/q.bin b/q.bin\n"
                               "index 1..2 100644\n"
                               "GIT binary patch\n"
                               "literal 3\n"
                               "Kc${NkU|;|M00aO5\n"
                               "\n"
                               "literal 0\n"
                               "Hc$@<O00001\n"
                               "\n"
                               "-- \n"
                               "2.39.5\n";

static int parse(Arena *arena, const char *text, Patch *patch, Err *e)
{
    return patch_parse(arena, slice_from_cstr(text), patch, e);
}

static void assert_slice(Slice s, const char *expected)
{
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.ptr, expected, s.len);
}

static void test_files_of_a_mail(void **state)
{
    (void)state;
    static const struct {
        PatchChange change;
        const char *old_path, *new_path;
        size_t added, deleted;
        bool binary;
    } FILES[] = {
        {PATCH_FILE_MODIFIED, "lib/a.c", "lib/a.c", 3, 2, false},
        {PATCH_FILE_ADDED, "", "new file.txt", 0, 0, false},
        {PATCH_FILE_DELETED, "sch\303\266n\t.c", "", 0, 1, false},
        {PATCH_FILE_RENAMED, "x/from.c", "y/to.c", 1, 1, false},
        {PATCH_FILE_MODIFIED, "run.sh", "run.sh", 0, 0, false},
        {PATCH_FILE_MODIFIED, "p.png", "p.png", 0, 0, true},
        {PATCH_FILE_MODIFIED, "q.bin", "q.bin", 0, 0, true},
    };
    Arena *arena = arena_create(1 << 20);
    Patch patch;
    Err e = {0};
    assert_int_equal(parse(arena, GIT_DIFF, &patch, &e), 0);
    assert_int_equal(patch.file_count, COUNT_OF(FILES));
    for (size_t i = 0; i < COUNT_OF(FILES); i++) {
        assert_int_equal(patch.files[i].change, FILES[i].change);
        assert_slice(patch.files[i].old_path, FILES[i].old_path);
        assert_slice(patch.files[i].new_path, FILES[i].new_path);
        assert_int_equal(patch.files[i].lines_added, FILES[i].added);
        assert_int_equal(patch.files[i].lines_deleted, FILES[i].deleted);
        assert_int_equal(patch.files[i].binary, FILES[i].binary);
    }
    assert_int_equal(patch.files[1].new_mode, 0100755);
    assert_int_equal(patch.files[4].old_mode, 0100644);
    assert_int_equal(patch.lines_added, 4);
    assert_int_equal(patch.lines_deleted, 4);
    assert_ptr_equal(patch_find(&patch, SLICE("y/to.c")), &patch.files[3]);
    assert_ptr_equal(patch_find(&patch, SLICE("x/from.c")), &patch.files[3]);
    assert_null(patch_find(&patch, SLICE("none")));
    arena_destroy(arena);
}

static void test_lines_have_their_numbers(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    Patch patch;
    assert_int_equal(parse(arena, GIT_DIFF, &patch, NULL), 0);
    const PatchHunk *h = patch.files[0].hunks;
    assert_int_equal(patch.files[0].hunk_count, 2);
    assert_slice(h->section, "int f(void)");
    assert_int_equal(h->line_count, 5);
    static const struct {
        PatchLineKind kind;
        long old_line, new_line;
        const char *text;
    } LINES[] = {{PATCH_CONTEXT, 10, 10, "one"},
                 {PATCH_DELETED, 11, 0, "two"},
                 {PATCH_ADDED, 0, 11, "2"},
                 {PATCH_ADDED, 0, 12, "2b"},
                 {PATCH_CONTEXT, 12, 13, ""}};
    for (size_t i = 0; i < COUNT_OF(LINES); i++) {
        assert_int_equal(h->lines[i].kind, LINES[i].kind);
        assert_int_equal(h->lines[i].old_line, LINES[i].old_line);
        assert_int_equal(h->lines[i].new_line, LINES[i].new_line);
        assert_slice(h->lines[i].text, LINES[i].text);
    }
    assert_true(h[1].lines[0].no_newline && h[1].lines[1].no_newline);
    assert_int_equal(h[1].lines[1].new_line, 41);
    arena_destroy(arena);
}

static void test_other_writers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *old_path, *new_path;
    } CASES[] = {
        // diff -u
        {"--- a.c.orig\t2024-01-01 00:00:00.0 +0000\n+++ a.c\t2024-01-01\n@@ -1 +1 @@\n-x\n+y\n",
         "a.c.orig", "a.c"},
        // diff -ru, and between the files a line that says which command it was
        {"diff -ru old/s/a.c new/s/a.c\n--- old/s/a.c\t1\n+++ new/s/a.c\t2\n@@ -1 +1 @@\n-x\n+y\n",
         "s/a.c", "s/a.c"},
        // git diff --no-prefix
        {"diff --git lib/a.c lib/a.c\n--- lib/a.c\n+++ lib/a.c\n@@ -1 +1 @@\n-x\n+y\n", "lib/a.c",
         "lib/a.c"},
        // diff.mnemonicPrefix
        {"diff --git i/b.c w/b.c\n--- i/b.c\n+++ w/b.c\n@@ -1 +1 @@\n-x\n+y\n", "b.c", "b.c"},
        // CR LF
        {"--- a/c.c\r\n+++ b/c.c\r\n@@ -1 +1 @@\r\n-x\r\n+y\r\n", "c.c", "c.c"},
        // A deleted line that looks like a header is a line.
        {"--- a/d.sql\n+++ b/d.sql\n@@ -1,2 +1 @@\n--- a note\n-+++ x\n+y\n", "d.sql", "d.sql"},
    };
    Arena *arena = arena_create(1 << 20);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        Patch patch;
        Err e = {0};
        assert_int_equal(parse(arena, CASES[i].text, &patch, &e), 0);
        assert_int_equal(patch.file_count, 1);
        assert_slice(patch.files[0].old_path, CASES[i].old_path);
        assert_slice(patch.files[0].new_path, CASES[i].new_path);
        assert_int_equal(patch.lines_added, 1);
    }
    arena_destroy(arena);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *text, *says;
    } CASES[] = {
        {ERR_PARSE, "hello\n", "no file in it"},
        {ERR_PARSE, "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n", "line 5: the hunk is cut off"},
        {ERR_PARSE, "--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n-x\n+y\n+z\n", "cut off"},
        {ERR_PARSE, "--- a/x\n+++ b/x\n@@ -1 +1,9999999999 @@\n", "must begin"},
        {ERR_PARSE, "--- /dev/null\n+++ /dev/null\n@@ -1 +1 @@\n", "neither"},
        {ERR_PARSE, "--- \"a/x\n+++ b/x\n@@ -1 +1 @@\n", "closing quote"},
        {ERR_PARSE, "--- \"a/\\9\"\n+++ b/x\n@@ -1 +1 @@\n", "bad escape"},
        {ERR_PARSE, "diff --cc x\n", "combined"},
        {ERR_PARSE, "diff --git a b c d\n", "a path of 0 bytes"},
        {ERR_REFUSED, "--- a/../x\n+++ b/../x\n@@ -1 +1 @@\n-x\n+y\n", "outside"},
        {ERR_REFUSED, "--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-x\n+y\n", "outside"},
        {ERR_REFUSED, "--- a/.git/config\n+++ b/.git/config\n@@ -1 +1 @@\n-x\n+y\n", "outside"},
        {ERR_REFUSED, "--- a/s/.GIT. /x\n+++ b/s/.GIT. /x\n@@ -1 +1 @@\n-x\n+y\n", "outside"},
        {ERR_REFUSED, "--- \"a/x\\000y\"\n+++ b/x\n@@ -1 +1 @@\n-x\n+y\n", "outside"},
        {ERR_REFUSED, "diff --git a/x b/../y\nrename from x\nrename to ../y\n", "outside"},
    };
    Arena *arena = arena_create(1 << 20);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        Patch patch;
        Err e = {0};
        assert_int_equal(parse(arena, CASES[i].text, &patch, &e), CASES[i].code);
        assert_non_null(strstr(e.text, CASES[i].says));
    }
    Patch empty;
    assert_int_equal(parse(arena, " \n\n", &empty, NULL), 0);
    assert_int_equal(empty.file_count, 0);
    arena_destroy(arena);
}

// A diff of `lines` added lines in one hunk.
static Slice long_diff(Buf *out, int lines)
{
    buf_reset(out);
    buf_printf(out, "--- /dev/null\n+++ b/x\n@@ -0,0 +1,%d @@\n", lines);
    for (int i = 0; i < lines; i++) {
        buf_puts(out, "+\n");
    }
    return buf_slice(out);
}

static void test_limits(void **state)
{
    (void)state;
    Buf out = buf_create(PATCH_BYTES_MAX + 2);
    Arena *arena = arena_create(128 << 20);
    Patch patch;
    Err e = {0};
    assert_int_equal(patch_parse(arena, long_diff(&out, PATCH_LINES_MAX), &patch, &e), 0);
    assert_int_equal(patch_parse(arena, long_diff(&out, PATCH_LINES_MAX + 1), &patch, &e),
                     ERR_LIMIT);
    arena_reset(arena);
    for (int over = 0; over < 2; over++) {
        buf_reset(&out);
        for (int i = 0; i < PATCH_FILES_MAX + over; i++) {
            buf_printf(&out, "diff --git a/%d b/%d\nnew file mode 100644\n", i, i);
        }
        assert_int_equal(patch_parse(arena, buf_slice(&out), &patch, &e), over ? ERR_LIMIT : 0);
        arena_reset(arena);
    }
    for (int over = 0; over < 2; over++) {
        buf_reset(&out);
        buf_puts(&out, "--- /dev/null\n+++ b/");
        for (int i = 0; i < PATCH_PATH_MAX + over; i++) {
            buf_putc(&out, 'x');
        }
        buf_puts(&out, "\n@@ -0,0 +1 @@\n+\n");
        assert_int_equal(patch_parse(arena, buf_slice(&out), &patch, &e), over ? ERR_PARSE : 0);
    }
    for (int over = 0; over < 2; over++) {
        buf_reset(&out);
        buf_puts(&out, "diff --git a/x b/x\nnew file mode 100644\n");
        char *blank = buf_reserve(&out, PATCH_BYTES_MAX + over - out.len);
        assert_non_null(blank);
        memset(blank, '\n', PATCH_BYTES_MAX + over - out.len);
        buf_commit(&out, PATCH_BYTES_MAX + over - out.len);
        assert_int_equal(patch_parse(arena, buf_slice(&out), &patch, &e), over ? ERR_LIMIT : 0);
    }
    // A small arena is an ordinary error as well.
    Arena *small = arena_create(64 << 10);
    assert_int_equal(patch_parse(small, long_diff(&out, 10000), &patch, &e), ERR_LIMIT);
    arena_destroy(small);
    arena_destroy(arena);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_of_a_mail), cmocka_unit_test(test_lines_have_their_numbers),
        cmocka_unit_test(test_other_writers),   cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
