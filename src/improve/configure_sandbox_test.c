#include "improve/configure_sandbox.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "os/file.h"
#include "os/sandbox.h"

typedef struct Place {
    char root[64], repo[80], work[80], logs[80];
} Place;

static void place_init(Place *p)
{
    (void)snprintf(p->root, sizeof p->root, "/tmp/configure_test.XXXXXX");
    assert_non_null(mkdtemp(p->root));
    (void)snprintf(p->repo, sizeof p->repo, "%s/a repo", p->root);
    (void)snprintf(p->work, sizeof p->work, "%s/work", p->root);
    (void)snprintf(p->logs, sizeof p->logs, "%s/logs", p->root);
    assert_int_equal(dir_make_all(p->repo, NULL), 0);
    assert_int_equal(dir_make_all(p->logs, NULL), 0);
}

static void put(const Place *p, const char *name, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", p->repo, name);
    assert_int_equal(file_write(path, slice_from_cstr(text), NULL, NULL), 0);
}

// A plain directory with a space in its name is built and tested for real, in the sandbox; what it
// does to its own tree happens in copies.
static void test_for_real(void **state)
{
    (void)state;
    Err e = {0};
    if (sandbox_check(&e) != 0) {
        print_message("skipped: %s\n", e.text);
        return;
    }
    Place p;
    place_init(&p);
    put(&p, "Makefile",
        "x: x.c\n\tcc -o x x.c\ncheck: x\n\t./x\n\techo '/* changed */' >> x.c\n\t@echo '4 tests "
        "passed'\n");
    put(&p, "x.c", "int main(void) { return 0; }\n");
    Arena *arena = arena_create(64 << 20);
    ConfigureSandbox *sandbox = NULL;
    Tree tree;
    GitHash hash;
    ConfigureSandboxOptions where = {.repo = p.repo, .work_dir = p.work};
    if (configure_sandbox_create(&where, &sandbox, &e) != 0 ||
        configure_sandbox_tree(sandbox, arena, &tree, hash, &e) != 0) {
        fail_msg("%s", e.text);
    }
    assert_int_equal(tree.count, 2);
    ConfigureOptions options = {.tree = &tree,
                                .runner = configure_sandbox_runner(sandbox),
                                .log_dir = p.logs,
                                .tree_hash = slice_from_cstr(hash)};
    ConfigureReport report;
    if (configure(&options, arena, &report, &e) != 0) {
        fail_msg("%s", e.text);
    }
    for (size_t i = 0; i < report.trial_count; i++) {
        print_message("%.*s %.*s\n", SLICE_FMT(report.trials[i].kind),
                      SLICE_FMT(report.trials[i].reason));
    }
    assert_true(report.build_validated && report.test_validated);
    assert_int_equal(report.tests, 4);
    // That a step edits what is tracked is said.
    assert_true(text_has(report.steps.test.items[0].note, "x.c"));
    char path[200];
    (void)snprintf(path, sizeof path, "%s/x", p.repo);
    assert_int_not_equal(access(path, F_OK), 0);
    (void)snprintf(path, sizeof path, "%s/build-1.log", p.logs);
    assert_int_equal(access(path, F_OK), 0);
    configure_sandbox_destroy(sandbox);
    arena_destroy(arena);
    assert_int_equal(dir_remove_all(p.root, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_for_real)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
