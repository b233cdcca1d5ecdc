#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "os/file.h"

typedef struct World {
    char dir[PATH_MAX];
    char path[PATH_MAX];
} World;

static int setup(void **state)
{
    World *w = mem_zalloc(sizeof *w);
    const char *base = getenv("TMPDIR");
    (void)snprintf(w->dir, sizeof w->dir, "%s/file_test.XXXXXX", base ? base : "/tmp");
    *state = w;
    return mkdtemp(w->dir) ? 0 : -1;
}

static int teardown(void **state)
{
    World *w = *state;
    int rc = dir_remove_all(w->dir, NULL);
    free(w);
    return rc;
}

static const char *at(World *w, const char *name)
{
    (void)snprintf(w->path, sizeof w->path, "%.2000s/%s", w->dir, name);
    return w->path;
}

static size_t entries(const char *dir)
{
    DIR *d = opendir(dir);
    size_t count = 0;
    while (readdir(d)) {
        count++;
    }
    (void)closedir(d);
    return count - 2; // "." and ".."
}

static void test_write_and_read(void **state)
{
    World *w = *state;
    (void)umask(022);
    const char *path = at(w, "a.txt");
    assert_int_equal(file_write(path, SLICE("first"), NULL, NULL), 0);
    assert_int_equal(file_write(path, SLICE("second\n"), NULL, NULL), 0);
    Buf out = buf_create(100);
    assert_int_equal(file_read(path, &out, NULL), 0);
    assert_string_equal(out.data, "second\n");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(file_write(path, SLICE("x"), &(FileWriteOptions){.mode = 0600}, NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(entries(w->dir), 1); // nothing temporary is left
    buf_done(&out);
}

static void test_read_limit_at_its_edge(void **state)
{
    World *w = *state;
    const char *path = at(w, "ten");
    assert_int_equal(file_write(path, SLICE("0123456789"), NULL, NULL), 0);
    for (size_t max = 9; max <= 10; max++) {
        Buf out = buf_create(max);
        Err e;
        assert_int_equal(file_read(path, &out, &e), max == 10 ? 0 : ERR_LIMIT);
        buf_done(&out);
    }
    // A file without a size: /proc says 0 and gives more.
    Buf small = buf_create(3);
    assert_int_equal(file_read("/proc/self/stat", &small, NULL), ERR_LIMIT);
    buf_done(&small);
    Buf large = buf_create(4096);
    assert_int_equal(file_read("/proc/self/stat", &large, NULL), 0);
    assert_true(large.len > 3);
    buf_done(&large);
}

static void test_read_failures(void **state)
{
    World *w = *state;
    Buf out = buf_create(100);
    Err e;
    assert_int_equal(file_read(at(w, "none"), &out, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "none"));
    assert_int_equal(file_read(w->dir, &out, &e), ERR_IO);
    buf_done(&out);
}

static void test_failed_write_leaves_the_old_content(void **state)
{
    World *w = *state;
    const char *path = at(w, "kept");
    assert_int_equal(file_write(path, SLICE("old"), NULL, NULL), 0);
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){2, old.rlim_max}), 0);
    Err e;
    int rc = file_write(path, SLICE("new and longer"), NULL, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(rc, ERR_IO);
    Buf out = buf_create(100);
    assert_int_equal(file_read(path, &out, NULL), 0);
    assert_string_equal(out.data, "old");
    assert_int_equal(entries(w->dir), 1);
    buf_done(&out);
    assert_int_equal(file_write(at(w, "no/such/dir"), SLICE("x"), NULL, NULL), ERR_NOT_FOUND);
}

static void test_directories(void **state)
{
    World *w = *state;
    assert_int_equal(dir_make_all(at(w, "a/b//c/"), NULL), 0);
    assert_int_equal(dir_make_all(at(w, "a/b/c"), NULL), 0);
    assert_int_equal(file_write(at(w, "a/b/c/file"), SLICE("x"), NULL, NULL), 0);
    assert_int_equal(symlink(w->dir, at(w, "a/link")), 0);
    Err e;
    assert_int_equal(dir_make_all(at(w, "a/b/c/file/d"), &e), ERR_EXISTS);
    assert_int_equal(dir_make_all("", &e), ERR_ARG);
    assert_int_equal(dir_remove_all(at(w, "a"), NULL), 0);
    assert_int_equal(entries(w->dir), 0); // the link was removed, not followed
    assert_int_equal(dir_remove_all(at(w, "a"), NULL), 0);
}

static void test_user_directories(void **state)
{
    (void)state;
    static const struct {
        UserDir kind;
        const char *variable;
        const char *value;
        const char *home;
        const char *expect;
    } cases[] = {
        {USER_CONFIG, "XDG_CONFIG_HOME", "/c", "/h", "/c/app"},
        {USER_CONFIG, "XDG_CONFIG_HOME", "relative", "/h", "/h/.config/app"},
        {USER_DATA, "XDG_DATA_HOME", NULL, "/h", "/h/.local/share/app"},
        {USER_CACHE, "XDG_CACHE_HOME", NULL, "/h", "/h/.cache/app"},
        {USER_STATE, "XDG_STATE_HOME", "", "/h", "/h/.local/state/app"},
        {USER_STATE, "XDG_STATE_HOME", NULL, NULL, NULL},
    };
    const char *old_home = getenv("HOME");
    char *home = old_home ? strdup(old_home) : NULL;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        (void)unsetenv(cases[i].variable);
        (void)unsetenv("HOME");
        if (cases[i].value) {
            (void)setenv(cases[i].variable, cases[i].value, 1);
        }
        if (cases[i].home) {
            (void)setenv("HOME", cases[i].home, 1);
        }
        Buf out = buf_create(PATH_MAX);
        Err e;
        int rc = user_dir(cases[i].kind, "app", &out, &e);
        assert_int_equal(rc, cases[i].expect ? 0 : ERR_NOT_FOUND);
        if (rc == 0) {
            assert_string_equal(out.data, cases[i].expect);
        }
        (void)unsetenv(cases[i].variable);
        buf_done(&out);
    }
    if (home) {
        (void)setenv("HOME", home, 1);
        free(home);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static void test_user_file_yields_to_its_variable(void **state)
{
    (void)state;
    Err e;
    Buf path = buf_create(4096);
    assert_int_equal(setenv("HOME", "/home/u", 1), 0);
    assert_int_equal(unsetenv("XDG_DATA_HOME"), 0);
    assert_int_equal(setenv("PW_TEST_FILE", "", 1), 0);
    assert_int_equal(user_file(USER_DATA, "PW_TEST_FILE", "pw/x.db", &path, &e), 0);
    assert_string_equal(path.data, "/home/u/.local/share/pw/x.db");
    buf_reset(&path);
    assert_int_equal(setenv("PW_TEST_FILE", "here.db", 1), 0);
    assert_int_equal(user_file(USER_DATA, "PW_TEST_FILE", "pw/x.db", &path, &e), 0);
    assert_string_equal(path.data, "here.db");
    buf_done(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_write_and_read),
        TEST(test_read_limit_at_its_edge),
        TEST(test_read_failures),
        TEST(test_failed_write_leaves_the_old_content),
        TEST(test_directories),
        TEST(test_user_directories),
        cmocka_unit_test(test_user_file_yields_to_its_variable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
