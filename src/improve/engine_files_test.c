#include "improve/engine_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

typedef struct World {
    Arena *arena;
    char root[64]; // root/tree is the working copy, root/secret lies outside
    int tree;
    Buf out;
    Err e;
} World;

static const char *in(World *w, const char *name)
{
    return arena_printf(w->arena, "%s/%s", w->root, name).ptr;
}

static void put(World *w, const char *name, const char *text)
{
    assert_int_equal(file_write(in(w, name), slice_from_cstr(text), NULL, NULL), 0);
}

static void open_world(World *w)
{
    *w = (World){.arena = arena_create(64 << 20), .out = buf_create(8 << 20)};
    (void)snprintf(w->root, sizeof w->root, "/tmp/files-test-XXXXXX");
    assert_non_null(mkdtemp(w->root));
    assert_int_equal(dir_make_all(in(w, "tree/src"), NULL), 0);
    assert_int_equal(dir_make_all(in(w, "tree/.git"), NULL), 0);
    put(w, "secret", "KEY\n");
    put(w, "tree/.git/config", "[core]\n");
    put(w, "tree/src/a.c", "one\ntwo\nthree\ntwo and a half\n");
    assert_int_equal(symlink("../secret", in(w, "tree/link")), 0);
    assert_int_equal(symlink("..", in(w, "tree/up")), 0);
    assert_int_equal(symlink("/etc", in(w, "tree/src/etc")), 0);
    assert_int_equal(mkfifo(in(w, "tree/pipe"), 0600), 0);
    w->tree = open(in(w, "tree"), O_RDONLY | O_DIRECTORY);
    assert_true(w->tree >= 0);
}

static void close_world(World *w)
{
    (void)close(w->tree);
    assert_int_equal(dir_remove_all(w->root, NULL), 0);
    buf_done(&w->out);
    arena_destroy(w->arena);
}

// Every way out of the tree is closed, for reading, listing, editing and making.
static void test_no_way_out(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "../secret",   "src/../../secret", "/etc/passwd",    "/work/../etc/passwd",
        "link",        "up/secret",        "src/etc/passwd", "src//a.c",
        ".git/config", ".GIT/config",      "src/.git/x",     "/work",
        "./../secret", "src/./a.c",        "pipe",           "src",
    };
    World w;
    open_world(&w);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        Slice path = slice_from_cstr(bad[i]);
        buf_reset(&w.out);
        assert_true(files_read(w.tree, path, 0, 0, &w.out, &w.e) < 0);
        assert_int_equal(slice_find(buf_slice(&w.out), SLICE("KEY")), -1);
        assert_true(files_replace(w.tree, path, SLICE("KEY"), SLICE("x"), &w.e) < 0);
        assert_true(files_create(w.tree, path, SLICE("x"), &w.e) < 0);
    }
    static const char *const lists[] = {"..", "up", "src/etc", ".git", "link", "/etc"};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        assert_true(files_list(w.tree, slice_from_cstr(lists[i]), w.arena, &w.out, &w.e) < 0);
    }
    assert_true(files_create(w.tree, SLICE("up/new"), SLICE("x"), &w.e) < 0);
    assert_true(files_create(w.tree, SLICE("src/etc/new"), SLICE("x"), &w.e) < 0);
    assert_int_not_equal(access(in(&w, "new"), F_OK), 0);
    Buf secret = buf_create(100);
    assert_int_equal(file_read(in(&w, "secret"), &secret, NULL), 0);
    assert_true(slice_eq_cstr(buf_slice(&secret), "KEY\n"));
    buf_done(&secret);
    close_world(&w);
}

static void test_reading(void **state)
{
    (void)state;
    World w;
    open_world(&w);
    assert_int_equal(files_read(w.tree, SLICE("/work/src/a.c"), 2, 2, &w.out, &w.e), 0);
    assert_true(slice_starts_with(buf_slice(&w.out), SLICE("2\ttwo\n3\tthree\n")));
    assert_true(slice_find(buf_slice(&w.out), SLICE("ask for lines from 4 on")) > 0);
    buf_reset(&w.out);
    assert_int_equal(files_read(w.tree, SLICE("src/a.c"), 0, 0, &w.out, &w.e), 0);
    assert_int_equal(slice_find(buf_slice(&w.out), SLICE("there is more")), -1);
    buf_reset(&w.out);
    assert_int_equal(files_list(w.tree, SLICE("."), w.arena, &w.out, &w.e), 0);
    assert_true(
        slice_eq_cstr(buf_slice(&w.out), "link (symbolic link)\npipe\nsrc/\nup (symbolic link)\n"));
    assert_int_equal(file_write(in(&w, "tree/b.bin"), (Slice){"a\0b", 3}, NULL, NULL), 0);
    assert_int_equal(files_read(w.tree, SLICE("b.bin"), 0, 0, &w.out, &w.e), ERR_UNSUPPORTED);
    // At the edge of what one read gives, and one line beyond.
    Buf big = buf_create(1 << 20);
    while (big.len < FILES_READ_BYTES_MAX - 2) {
        buf_putc(&big, 'x');
    }
    assert_int_equal(file_write(in(&w, "tree/big"), buf_slice(&big), NULL, NULL), 0);
    buf_reset(&w.out);
    assert_int_equal(files_read(w.tree, SLICE("big"), 0, 0, &w.out, &w.e), 0);
    assert_int_equal(w.out.len, FILES_READ_BYTES_MAX); // "1\t" and the line
    buf_puts(&big, "y");
    assert_int_equal(file_write(in(&w, "tree/big"), buf_slice(&big), NULL, NULL), 0);
    assert_int_equal(files_read(w.tree, SLICE("big"), 0, 0, &w.out, &w.e), 0);
    assert_true(slice_find(buf_slice(&w.out), SLICE("there is more")) > 0);
    buf_done(&big);
    close_world(&w);
}

static void test_editing(void **state)
{
    (void)state;
    World w;
    open_world(&w);
    assert_int_equal(chmod(in(&w, "tree/src/a.c"), 0755), 0);
    assert_int_equal(files_replace(w.tree, SLICE("src/a.c"), SLICE("two"), SLICE("2"), &w.e),
                     ERR_CONFLICT);
    assert_int_equal(files_replace(w.tree, SLICE("src/a.c"), SLICE("four"), SLICE("4"), &w.e),
                     ERR_NOT_FOUND);
    assert_int_equal(files_replace(w.tree, SLICE("src/a.c"), SLICE(""), SLICE("4"), &w.e), ERR_ARG);
    assert_int_equal(files_replace(w.tree, SLICE("src/a.c"), SLICE("two\n"), SLICE("2\n"), &w.e),
                     0);
    Buf text = buf_create(1000);
    assert_int_equal(file_read(in(&w, "tree/src/a.c"), &text, NULL), 0);
    assert_true(slice_eq_cstr(buf_slice(&text), "one\n2\nthree\ntwo and a half\n"));
    struct stat st;
    assert_int_equal(stat(in(&w, "tree/src/a.c"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0755);
    assert_int_equal(files_create(w.tree, SLICE("new/dir/f.c"), SLICE("x\n"), &w.e), 0);
    assert_int_equal(access(in(&w, "tree/new/dir/f.c"), F_OK), 0);
    assert_int_equal(files_create(w.tree, SLICE("new/dir/f.c"), SLICE("y\n"), &w.e), ERR_EXISTS);
    buf_done(&text);
    close_world(&w);
}

static void test_path_limits(void **state)
{
    (void)state;
    Buf path = buf_create(1 << 16);
    Slice relative;
    for (int i = 0; i < FILES_DEPTH_MAX; i++) {
        buf_puts(&path, i ? "/d" : "d");
    }
    assert_int_equal(files_path(buf_slice(&path), &relative, NULL), 0);
    buf_puts(&path, "/d");
    assert_int_equal(files_path(buf_slice(&path), &relative, NULL), ERR_REFUSED);
    buf_reset(&path);
    while (path.len < 255) {
        buf_putc(&path, 'n');
    }
    assert_int_equal(files_path(buf_slice(&path), &relative, NULL), 0);
    buf_putc(&path, 'n');
    assert_int_equal(files_path(buf_slice(&path), &relative, NULL), ERR_REFUSED);
    assert_int_equal(files_path((Slice){"a\0b", 3}, &relative, NULL), ERR_REFUSED);
    buf_done(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_way_out),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_editing),
        cmocka_unit_test(test_path_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
