#include "improve/git.h"

#include "improve/repo_fixture.h"

static Git *open_repo(World *w)
{
    Git *git;
    assert_int_equal(git_open(&(GitOptions){.path = w->repo}, w->arena, &git, &w->e), 0);
    return git;
}

static void make_history(World *w, const char *name)
{
    make_repo(w, name);
    put_file(w, arena_printf(w->arena, "%s/src/a.c", name).ptr, "int a;\n");
    put_file(w, arena_printf(w->arena, "%s/d\xc3\xa9j\xc3\xa0 vu", name).ptr, "x\n");
    commit_all(w, "first");
    put_file(w, arena_printf(w->arena, "%s/src/a.c", name).ptr, "int a = 1;\n");
    commit_all(w, "Make A faster\n\nby a lot");
    GIT(w, "mv", "src/a.c", "src/b.c");
    commit_all(w, "move");
}

static void test_facts(void **state)
{
    World *w = *state;
    make_history(w, "r 1");
    put_file(w, "r 1/src/b.c", "changed\n");
    put_file(w, "r 1/new", "x");
    put_file(w, "r 1/.gitignore", "*.o\n");
    put_file(w, "r 1/x.o", "x");
    GIT(w, "branch", "other");
    Git *git = open_repo(w);
    GitFacts f;
    assert_int_equal(git_facts(git, &f, &w->e), 0);
    assert_string_equal(f.top, w->repo);
    assert_true(slice_eq_cstr(f.branch, "main"));
    assert_false(f.detached || f.bare || f.shallow || f.partial);
    assert_int_equal(f.dirty, 1);
    assert_int_equal(f.untracked, 2); // new, .gitignore
    assert_int_equal(f.branch_count, 2);
    assert_true(slice_eq_cstr(f.branches[1].name, "other"));
    assert_string_equal(f.branches[0].hash, f.head);
    git_close(git);
    GIT(w, "checkout", "-q", "-f", "--detach", "HEAD^");
    // As `git clone --depth` writes it.
    put_file(w, "r 1/.git/shallow", arena_printf(w->arena, "%s\n", f.head).ptr);
    git = open_repo(w);
    assert_int_equal(git_facts(git, &f, &w->e), 0);
    assert_true(f.detached && f.shallow);
    assert_int_equal(f.branch.len, 0);
    git_close(git);
}

static void test_no_commit_and_no_repository(void **state)
{
    World *w = *state;
    make_repo(w, "empty");
    Git *git = open_repo(w);
    GitFacts f;
    assert_int_equal(git_facts(git, &f, &w->e), 0);
    assert_string_equal(f.head, "");
    GitHash hash;
    assert_int_equal(git_resolve(git, "HEAD", hash, &w->e), ERR_NOT_FOUND);
    git_close(git);
    assert_int_equal(git_open(&(GitOptions){.path = w->dir}, w->arena, &git, &w->e), ERR_NOT_FOUND);
    assert_int_equal(git_open(&(GitOptions){.path = at(w, "nowhere")}, w->arena, &git, &w->e),
                     ERR_NOT_FOUND);
}

static void test_history(void **state)
{
    World *w = *state;
    make_history(w, "r2");
    Git *git = open_repo(w);
    const GitCommit *log;
    size_t count;
    assert_int_equal(git_log(git, &(GitLogOptions){0}, &log, &count, &w->e), 0);
    assert_int_equal(count, 3);
    assert_true(slice_eq_cstr(log[0].subject, "move"));
    assert_true(slice_eq_cstr(log[1].body, "by a lot"));
    assert_true(slice_eq_cstr(log[0].author, "perfwright"));
    assert_int_equal(log[0].time_s, 946684800); // 2000-01-01T00:00:00Z
    assert_int_equal(git_log(git, &(GitLogOptions){.grep = "faster|slower"}, &log, &count, &w->e),
                     0);
    assert_int_equal(count, 1);
    assert_int_equal(git_log(git, &(GitLogOptions){.path = "src/b.c"}, &log, &count, &w->e), 0);
    assert_int_equal(count, 1);
    assert_int_equal(git_log(git, &(GitLogOptions){.commits_max = 2}, &log, &count, &w->e), 0);
    assert_int_equal(count, 2);
    git_close(git);
}

static void test_ranges_and_contents(void **state)
{
    World *w = *state;
    make_history(w, "r3");
    Git *git = open_repo(w);
    GitHash base;
    GitHash head;
    GitHash first;
    assert_int_equal(git_resolve(git, "HEAD~2", first, &w->e), 0);
    assert_int_equal(git_range(git, "HEAD~2..HEAD", base, head, &w->e), 0);
    assert_string_equal(base, first);
    assert_int_equal(git_range(git, "HEAD~2...", base, head, &w->e), 0);
    assert_string_equal(base, first);
    assert_int_equal(git_range(git, "HEAD~1", base, head, &w->e), 0);
    assert_string_equal(base, first);
    assert_int_equal(git_range(git, "nothing..HEAD", base, head, &w->e), ERR_NOT_FOUND);
    assert_int_equal(git_range(git, "--output=x..HEAD", base, head, &w->e), ERR_NOT_FOUND);

    assert_int_equal(git_range(git, "HEAD~1..HEAD", base, head, &w->e), 0);
    const GitChange *changes;
    size_t count;
    assert_int_equal(git_changed_files(git, base, head, &changes, &count, &w->e), 0);
    assert_int_equal(count, 1);
    assert_int_equal(changes[0].status, 'R');
    assert_true(slice_eq_cstr(changes[0].path, "src/b.c"));
    assert_true(slice_eq_cstr(changes[0].old_path, "src/a.c"));
    Buf out = buf_create(1 << 20);
    assert_int_equal(git_diff(git, first, head, &out, &w->e), 0);
    assert_true(slice_find(buf_slice(&out), SLICE("+++ b/src/b.c\n")) > 0);
    buf_reset(&out);
    assert_int_equal(git_read(git, "HEAD~1", "src/a.c", &out, &w->e), 0);
    assert_true(slice_eq_cstr(buf_slice(&out), "int a = 1;\n"));
    assert_int_equal(git_read(git, "HEAD", "src/a.c", &out, &w->e), ERR_NOT_FOUND);
    buf_done(&out);
    const Slice *paths;
    assert_int_equal(git_list(git, "HEAD", &paths, &count, &w->e), 0);
    assert_int_equal(count, 2);
    assert_true(slice_eq_cstr(paths[0], "d\xc3\xa9j\xc3\xa0 vu"));
    git_close(git);
}

// A file that its attributes declare binary would not be seen in a diff.
static void test_attributes_hide_nothing(void **state)
{
    World *w = *state;
    make_repo(w, "r4");
    put_file(w, "r4/.gitattributes", "*.c binary\n*.h -diff\n");
    put_file(w, "r4/a.c", "one\n");
    put_file(w, "r4/a.h", "one\n");
    commit_all(w, "first");
    put_file(w, "r4/a.c", "two\n");
    put_file(w, "r4/a.h", "two\n");
    commit_all(w, "second");
    Git *git = open_repo(w);
    GitHash base;
    GitHash head;
    Buf out = buf_create(1 << 20);
    assert_int_equal(git_range(git, "HEAD~1..HEAD", base, head, &w->e), 0);
    assert_int_equal(git_diff(git, base, head, &out, &w->e), 0);
    assert_true(slice_find(buf_slice(&out), SLICE("+two\n")) > 0);
    assert_true(slice_find(buf_slice(&out), SLICE("GIT binary")) < 0);
    buf_done(&out);
    git_close(git);
}

static void test_files_elsewhere_are_refused(void **state)
{
    World *w = *state;
    make_history(w, "r5");
    GIT(w, "config", "core.worktree", "/usr");
    Git *git;
    assert_int_equal(git_open(&(GitOptions){.path = w->repo}, w->arena, &git, &w->e), ERR_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_no_commit_and_no_repository),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_ranges_and_contents),
        cmocka_unit_test(test_attributes_hide_nothing),
        cmocka_unit_test(test_files_elsewhere_are_refused),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
