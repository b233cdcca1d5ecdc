#include "improve/workspace.h"

#include "improve/repo_fixture.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static Workspace *create(World *w, const char *repo, const char *revision)
{
    Workspace *ws;
    int rc = workspace_create(
        &(WorkspaceOptions){
            .repo = repo, .revision = revision, .work_dir = w->work, .cut_history = true},
        w->arena, &ws, &w->e);
    if (rc != 0) {
        fail_msg("%s", w->e.text);
    }
    return ws;
}

static const char *in_tree(World *w, const Workspace *ws, const char *name)
{
    return arena_printf(w->arena, "%s/%s", workspace_tree(ws), name).ptr;
}

static void write_tree(World *w, const Workspace *ws, const char *name, const char *content)
{
    assert_int_equal(file_write(in_tree(w, ws, name), slice_from_cstr(content), NULL, &w->e), 0);
}

static bool has_note(const Workspace *ws, const char *words)
{
    size_t count;
    const Slice *notes = workspace_notes(ws, &count);
    for (size_t i = 0; i < count; i++) {
        if (slice_find(notes[i], slice_from_cstr(words)) >= 0) {
            return true;
        }
    }
    return false;
}

static void test_only_what_was_committed(void **state)
{
    World *w = *state;
    make_repo(w, "a b \xc3\xa9");
    put_file(w, "a b \xc3\xa9/src/d\xc3\xa9j\xc3\xa0 \"vu\"", "old secret\n");
    commit_all(w, "first");
    GIT(w, "tag", "v1.2.3");
    const char *old = host(w, "cd a*b* && git rev-parse HEAD:src");
    put_file(w, "a b \xc3\xa9/src/d\xc3\xa9j\xc3\xa0 \"vu\"", "new\n");
    assert_int_equal(symlink("/etc/shadow", at(w, "a b \xc3\xa9/outside")), 0);
    commit_all(w, "second");
    put_file(w, "a b \xc3\xa9/src/d\xc3\xa9j\xc3\xa0 \"vu\"", "dirty\n");
    put_file(w, "a b \xc3\xa9/untracked", "x");
    const char *before = fingerprint(w, w->repo);

    Workspace *ws = create(w, w->repo, NULL);
    assert_string_equal(get_file(w, in_tree(w, ws, "src/d\xc3\xa9j\xc3\xa0 \"vu\"")), "new\n");
    assert_int_equal(access(in_tree(w, ws, "untracked"), F_OK), -1);
    assert_true(has_note(ws, "1 changed files of the checkout are not committed"));
    assert_true(has_note(ws, "1 untracked"));
    struct stat st;
    assert_int_equal(lstat(in_tree(w, ws, "outside"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    // The history is gone from what a sandbox sees; the tag that versions are made of is there.
    const char *tree = workspace_tree(ws);
    assert_string_equal(
        host(w, arena_printf(w->arena,
                             "cd '%s' && git log --oneline --all | wc -l; git cat-file -e %s "
                             "2>/dev/null || echo gone; git describe --tags; git status -s",
                             tree, old)
                    .ptr),
        "1\ngone\nv1.2.3");
    assert_string_equal(fingerprint(w, w->repo), before);
    workspace_destroy(ws);
    // An older one.
    ws = create(w, w->repo, "HEAD~1");
    assert_string_equal(get_file(w, in_tree(w, ws, "src/d\xc3\xa9j\xc3\xa0 \"vu\"")),
                        "old secret\n");
    workspace_destroy(ws);
    Workspace *none;
    assert_int_equal(
        workspace_create(
            &(WorkspaceOptions){.repo = w->repo, .revision = "nothing", .work_dir = w->work},
            w->arena, &none, &w->e),
        ERR_NOT_FOUND);
    assert_string_equal(host(w, "ls 'work dir'"), "lock");
}

static void test_patches(void **state)
{
    World *w = *state;
    make_repo(w, "patches");
    put_file(w, "patches/a.c", "one\ntwo\nthree\n");
    put_file(w, "patches/gone", "x\n");
    put_file(w, "patches/.gitignore", "*.o\n");
    put_file(w, "patches/.gitattributes", "a.c -diff\n");
    assert_int_equal(symlink("/tmp", at(w, "patches/link")), 0);
    commit_all(w, "first");
    Workspace *ws = create(w, w->repo, "HEAD");
    Workspace *other;
    assert_int_equal(workspace_copy(ws, w->arena, &other, &w->e), 0);
    GitHash base;
    GitHash hash;
    assert_int_equal(workspace_tree_hash(ws, base, &w->e), 0);
    assert_int_equal(workspace_tree_hash(other, hash, &w->e), 0);
    assert_string_equal(base, hash);
    Slice diff;
    assert_int_equal(workspace_diff(ws, &diff, &w->e), 0);
    assert_int_equal(diff.len, 0);

    write_tree(w, ws, "a.c", "one\n2\nthree\n");
    write_tree(w, ws, "new file", "bin\x01\xff\n");
    write_tree(w, ws, "a.o", "ignored");
    assert_int_equal(unlink(in_tree(w, ws, "gone")), 0);
    assert_int_equal(chmod(in_tree(w, ws, ".gitignore"), 0755), 0);
    WorkspaceChanges changes;
    assert_int_equal(workspace_changes(ws, &changes, &w->e), 0);
    assert_int_equal(changes.modified, 3);
    assert_int_equal(changes.untracked, 1);
    assert_true(slice_eq_cstr(changes.first, ".gitignore"));
    assert_int_equal(workspace_diff(ws, &diff, &w->e), 0);
    assert_true(slice_find(diff, SLICE("+2\n")) > 0);
    assert_true(slice_find(diff, SLICE("a.o")) < 0);

    assert_int_equal(workspace_apply_patch(other, diff, &w->e), 0);
    assert_int_equal(workspace_tree_hash(ws, hash, &w->e), 0);
    assert_string_not_equal(base, hash);
    GitHash patched;
    assert_int_equal(workspace_tree_hash(other, patched, &w->e), 0);
    assert_string_equal(patched, hash);
    // Again: it is there already.
    assert_int_equal(workspace_apply_patch(other, diff, &w->e), ERR_CONFLICT);
    assert_int_equal(workspace_reset(other, true, &w->e), 0);
    assert_int_equal(workspace_tree_hash(other, hash, &w->e), 0);
    assert_string_equal(base, hash);

    static const struct {
        const char *diff;
        int rc;
    } BAD[] = {
        {" \n", ERR_ARG},
        {"this is no diff\n", ERR_PARSE},
        {"--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-never\n+x\n", ERR_CONFLICT},
        {"--- /dev/null\n+++ b/../../evil\n@@ -0,0 +1 @@\n+x\n", ERR_REFUSED},
        {"--- /dev/null\n+++ b/link/evil\n@@ -0,0 +1 @@\n+x\n", ERR_REFUSED},
        {"--- /dev/null\n+++ b/.git/hooks/x\n@@ -0,0 +1 @@\n+x\n", ERR_REFUSED},
    };
    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        int rc = workspace_apply_patch(other, slice_from_cstr(BAD[i].diff), &w->e);
        if (rc != BAD[i].rc) {
            fail_msg("%zu: %s, %s", i, err_name(rc), w->e.text);
        }
    }
    // Without a/ and b/, as diff -u makes it.
    assert_int_equal(
        workspace_apply_patch(
            other, SLICE("--- a.c\n+++ a.c\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"), &w->e),
        0);
    workspace_destroy(other);
    workspace_destroy(ws);
}

static void test_submodules_and_nested_repositories(void **state)
{
    World *w = *state;
    make_repo(w, "outer");
    put_file(w, "outer/a", "a\n");
    const char *outer = w->repo;
    make_repo(w, "outer/lib/sub module");
    put_file(w, "outer/lib/sub module/s", "s\n");
    commit_all(w, "sub");
    make_repo(w, "outer/absent");
    put_file(w, "outer/absent/x", "x\n");
    commit_all(w, "absent");
    w->repo = outer;
    commit_all(w, "with submodules");
    assert_int_equal(dir_remove_all(at(w, "outer/absent/.git"), &w->e), 0);

    Workspace *ws = create(w, outer, NULL);
    assert_string_equal(get_file(w, in_tree(w, ws, "lib/sub module/s")), "s\n");
    assert_int_equal(access(in_tree(w, ws, "absent/x"), F_OK), -1);
    assert_true(has_note(ws, "'absent' is not here"));
    Slice diff;
    assert_int_equal(workspace_diff(ws, &diff, &w->e), 0);
    assert_int_equal(diff.len, 0);
    // An engine that makes a repository inside cannot hide its changes there.
    write_tree(w, ws, "lib/sub module/s", "changed\n");
    (void)host(w, arena_printf(w->arena, "git init -q '%s/lib'", workspace_tree(ws)).ptr);
    assert_int_equal(workspace_diff(ws, &diff, &w->e), 0);
    assert_true(slice_find(diff, SLICE("+changed\n")) > 0);
    workspace_destroy(ws);
}

static void test_plain_directories_and_files(void **state)
{
    World *w = *state;
    put_file(w, "plain/dir/f", "f\n");
    put_file(w, "plain/nested/.git/config", "[core]\n\tfsmonitor = touch /tmp/never\n");
    put_file(w, "plain/.perfwright/steps.yaml", "x");
    assert_int_equal(chmod(at(w, "plain/dir/f"), 0755), 0);
    const char *before = fingerprint(w, at(w, "plain"));
    Workspace *ws = create(w, at(w, "plain"), NULL);
    assert_string_equal(get_file(w, in_tree(w, ws, "dir/f")), "f\n");
    assert_int_equal(access(in_tree(w, ws, "dir/f"), X_OK), 0);
    assert_int_equal(access(in_tree(w, ws, ".perfwright"), F_OK), -1);
    assert_int_equal(access(in_tree(w, ws, "nested/.git"), F_OK), -1);
    assert_string_equal(workspace_commit(ws), "");
    write_tree(w, ws, "dir/f", "g\n");
    Slice diff;
    assert_int_equal(workspace_diff(ws, &diff, &w->e), 0);
    assert_true(slice_find(diff, SLICE("+g\n")) > 0);
    GitHash hash;
    assert_int_equal(workspace_publish(ws, at(w, "plain"), "b", SLICE("m"), hash, &w->e),
                     ERR_UNSUPPORTED);
    workspace_destroy(ws);
    assert_string_equal(fingerprint(w, at(w, "plain")), before);
    ws = create(w, at(w, "plain/dir/f"), NULL);
    assert_string_equal(get_file(w, in_tree(w, ws, "f")), "f\n");
    workspace_destroy(ws);
    Workspace *none;
    assert_int_equal(
        workspace_create(
            &(WorkspaceOptions){.repo = at(w, "plain"), .revision = "v1", .work_dir = w->work},
            w->arena, &none, &w->e),
        ERR_NOT_FOUND);
}

static void test_a_branch_is_all_that_is_published(void **state)
{
    World *w = *state;
    make_repo(w, "publish");
    put_file(w, "publish/a", "a\n");
    commit_all(w, "first");
    Workspace *ws = create(w, w->repo, "HEAD");
    GitHash hash;
    assert_int_equal(workspace_publish(ws, w->repo, "perfwright/x", SLICE("m"), hash, &w->e),
                     ERR_ARG);
    write_tree(w, ws, "a", "b\n");
    const char *before = host(w, "cd publish && git status --porcelain; git rev-parse HEAD main");
    assert_int_equal(
        workspace_publish(ws, w->repo, "perfwright/x", SLICE("Faster\n\nby test\n"), hash, &w->e),
        0);
    assert_string_equal(host(w, "cd publish && git status --porcelain; git rev-parse HEAD main"),
                        before);
    assert_string_equal(host(w, "cd publish && git show perfwright/x:a; git log -1 --format=%s "
                                "perfwright/x; git rev-parse perfwright/x^"),
                        arena_printf(w->arena, "b\nFaster\n%s", workspace_commit(ws)).ptr);
    assert_int_equal(workspace_publish(ws, w->repo, "perfwright/x", SLICE("m"), hash, &w->e),
                     ERR_EXISTS);
    workspace_destroy(ws);
}

// What a killed run leaves is removed by the next; what a living one has is not, nor what was kept.
static void test_leftovers(void **state)
{
    World *w = *state;
    put_file(w, "left/f", "f\n");
    w->work = at(w, "left work");
    Workspace *mine = create(w, at(w, "left"), NULL);
    Workspace *kept = create(w, at(w, "left"), NULL);
    workspace_keep(kept);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); // should the test fail
        (void)create(w, at(w, "left"), NULL);
        (void)write(ready[1], "x", 1);
        for (;;) {
            (void)pause();
        }
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(workspace_sweep(w->work), 0);
    assert_string_equal(host(w, "ls -d 'left work'/w-* | wc -l"), "3");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(workspace_sweep(w->work), 1);
    assert_string_equal(host(w, "ls -d 'left work'/w-* | wc -l"), "2");
    assert_int_equal(workspace_sweep(at(w, "nowhere")), 0);
    workspace_destroy(mine);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

// A checkout in any state: what is copied is the commit that was asked for.
static void test_states_of_a_checkout(void **state)
{
    World *w = *state;
    make_repo(w, "states");
    put_file(w, "states/f", "1\n");
    commit_all(w, "first");
    put_file(w, "states/f", "2\n");
    commit_all(w, "second");
    GIT(w, "checkout", "-q", "--detach", "HEAD^");
    put_file(w, "states/f", "staged\n");
    GIT(w, "add", "f");
    put_file(w, "states/.git/index.lock", ""); // another git is at work, or crashed
    const char *before = fingerprint(w, w->repo);
    Workspace *ws = create(w, w->repo, NULL);
    assert_string_equal(get_file(w, in_tree(w, ws, "f")), "1\n");
    workspace_destroy(ws);
    ws = create(w, w->repo, "main");
    assert_string_equal(get_file(w, in_tree(w, ws, "f")), "2\n");
    workspace_destroy(ws);
    assert_string_equal(fingerprint(w, w->repo), before);
    // As `git clone --depth 1` leaves it.
    assert_int_equal(unlink(at(w, "states/.git/index.lock")), 0);
    put_file(w, "states/.git/shallow", host(w, "cd states && git rev-parse main"));
    ws = create(w, w->repo, "main");
    write_tree(w, ws, "f", "3\n");
    GitHash hash;
    assert_int_equal(workspace_publish(ws, w->repo, "perfwright/x", SLICE("m"), hash, &w->e), 0);
    assert_string_equal(host(w, "cd states && git show perfwright/x:f"), "3");
    workspace_destroy(ws);
}

// Only a name and a size on this disk: it is refused before it is copied.
static void test_huge_files(void **state)
{
    World *w = *state;
    put_file(w, "huge/small", "x\n");
    assert_string_equal(host(w, "truncate -s 17G huge/file"), "");
    Workspace *ws;
    assert_int_equal(
        workspace_create(&(WorkspaceOptions){.repo = at(w, "huge"), .work_dir = w->work}, w->arena,
                         &ws, &w->e),
        ERR_LIMIT);
    assert_non_null(strstr(w->e.text, "'file'"));
}

static void test_directories_of_its_own(void **state)
{
    World *w = *state;
    put_file(w, "one/f", "");
    put_file(w, "two/f", "");
    const char *one;
    const char *again;
    const char *two;
    assert_int_equal(workspace_dir(w->arena, at(w, "one"), &one, &w->e), 0);
    assert_int_equal(workspace_dir(w->arena, at(w, "two/../one/"), &again, &w->e), 0);
    assert_int_equal(workspace_dir(w->arena, at(w, "two"), &two, &w->e), 0);
    assert_string_equal(one, again);
    assert_string_not_equal(one, two);
    assert_true(slice_starts_with(slice_from_cstr(one),
                                  arena_printf(w->arena, "%s/cache/perfwright/improve/", w->dir)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_was_committed),
        cmocka_unit_test(test_patches),
        cmocka_unit_test(test_submodules_and_nested_repositories),
        cmocka_unit_test(test_plain_directories_and_files),
        cmocka_unit_test(test_a_branch_is_all_that_is_published),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_states_of_a_checkout),
        cmocka_unit_test(test_huge_files),
        cmocka_unit_test(test_directories_of_its_own),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
