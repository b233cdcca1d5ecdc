#include "improve/configure.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

// A machine whose commands are a script: the first line that fits answers.
typedef struct Answer {
    const char *command; // a part of it
    const char *output;
    int exit_code;
    int times; // how often it answers so; 0: always
} Answer;

typedef struct Machine {
    Answer answers[8];
    ConfigureRunner runner;
    int copies, open, runs;
    int64_t now_ns;
    Slice installed; // the last package
    bool network_in_build;
    char last[4096];
} Machine;

static int fake_open(void *ctx, void **ret_copy, Err *e)
{
    (void)e;
    Machine *m = ctx;
    m->copies++;
    m->open++;
    *ret_copy = m;
    return 0;
}

static void fake_close(void *ctx, void *copy)
{
    Machine *m = ctx;
    m->open -= copy != NULL;
}

static int fake_run(void *ctx, void *copy, const ConfigureCommand *k, Arena *arena,
                    ConfigureOutcome *out, Err *e)
{
    (void)copy;
    (void)arena;
    (void)e;
    Machine *m = ctx;
    m->runs++;
    m->now_ns += NS_PER_SECOND;
    (void)snprintf(m->last, sizeof m->last, "%.*s", SLICE_FMT(k->run));
    *out = (ConfigureOutcome){.ok = true, .seconds = 1};
    for (size_t i = 0; i < COUNT_OF(m->answers); i++) {
        Answer *a = &m->answers[i];
        if (a->command && a->times >= 0 && text_has(k->run, a->command)) {
            a->times = a->times == 1 ? -1 : a->times > 1 ? a->times - 1 : 0;
            out->output = slice_from_cstr(a->output);
            out->ok = a->exit_code == 0;
            out->text = out->ok ? (Slice){0} : SLICE("exit code 1");
            m->network_in_build |= k->network;
            break;
        }
    }
    return 0;
}

static int64_t fake_now(void *ctx)
{
    return ((Machine *)ctx)->now_ns;
}

static bool fake_installed(void *ctx, Slice name)
{
    (void)ctx;
    (void)name;
    return false;
}

static Slice fake_search(void *ctx, Arena *arena, Slice library)
{
    (void)ctx;
    return arena_printf(arena, "lib%.*s-dev", SLICE_FMT(library));
}

static int fake_install(void *ctx, const Slice *names, size_t count, Err *e)
{
    (void)e;
    ((Machine *)ctx)->installed = names[count - 1];
    return 0;
}

static void machine_init(Machine *m)
{
    m->runner = (ConfigureRunner){.ctx = m,
                                  .open = fake_open,
                                  .run = fake_run,
                                  .close = fake_close,
                                  .now_ns = fake_now,
                                  .package_installed = fake_installed,
                                  .package_search = fake_search,
                                  .package_install = fake_install};
}

typedef struct World {
    Arena *arena;
    Tree tree;
    ConfigureReport report;
} World;

static World world(const char *file, const char *text)
{
    World w = {.arena = arena_create(64 << 20)};
    TreeFile files[] = {{.path = slice_from_cstr(file), .text = slice_from_cstr(text)},
                        {.path = SLICE("a.c"), .text = SLICE("int a;\n")}};
    tree_make(w.arena, files, slice_eq_cstr(SLICE("go.mod"), file) ? 1 : 2, &w.tree);
    return w;
}

static void configured(World *w, Machine *m, ConfigureOptions *o)
{
    machine_init(m);
    o->tree = &w->tree;
    o->runner = &m->runner;
    o->log_dir = "/nowhere";
    Err e = {0};
    if (configure(o, w->arena, &w->report, &e) != 0) {
        fail_msg("%s", e.text);
    }
    assert_int_equal(m->open, 0);
}

static const char MAKEFILE[] = "all:\n\ttrue\ncheck:\n\ttrue\n";

static void test_runs_twice_in_clean_copies(void **state)
{
    (void)state;
    World w = world("Makefile", MAKEFILE);
    Machine m = {.answers = {{"make check", "12 tests passed\n", 0, 0}}};
    configured(&w, &m, &(ConfigureOptions){.tree_hash = SLICE("tree")});
    assert_true(w.report.build_validated && w.report.test_validated);
    assert_int_equal(m.copies, 2);
    assert_int_equal(w.report.tests, 12);
    assert_true(w.report.incremental_seconds > 0);
    assert_false(m.network_in_build);
    const Step *test = step_list_find(&w.report.steps.test, SLICE("test"));
    assert_non_null(test);
    assert_true(test->validated && slice_eq_cstr(test->run, "make check"));

    // Again, with nothing changed: nothing is run. With another tree: everything.
    World again = world("Makefile", MAKEFILE);
    Machine idle = {0};
    configured(&again, &idle,
               &(ConfigureOptions){.tree_hash = SLICE("tree"), .old = &w.report.steps});
    assert_true(again.report.kept_from_before);
    assert_int_equal(idle.runs, 0);
    World other = world("Makefile", MAKEFILE);
    configured(&other, &idle,
               &(ConfigureOptions){.tree_hash = SLICE("tree2"), .old = &w.report.steps});
    assert_true(idle.runs > 0);
    arena_destroy(w.arena);
    arena_destroy(again.arena);
    arena_destroy(other.arena);
}

static void test_an_exit_code_is_not_a_test(void **state)
{
    (void)state;
    World w = world("Makefile", MAKEFILE);
    Machine m = {.answers = {{"make check", "No tests were found!!!\n", 0, 0}}};
    configured(&w, &m, &(ConfigureOptions){0});
    assert_true(w.report.build_validated);
    assert_false(w.report.test_validated);
    assert_false(w.report.steps.test.items[0].validated);
    arena_destroy(w.arena);
}

static void test_a_missing_header_is_installed_when_allowed(void **state)
{
    (void)state;
    for (int allowed = 0; allowed < 2; allowed++) {
        World w = world("Makefile", MAKEFILE);
        Machine m = {
            .answers = {
                {"make -j", "a.c:1:10: fatal error: zlib.h: No such file or directory\n", 1, 1},
                {"make -j", "", allowed ? 0 : 1, 0},
                {"make check", "1 tests passed\n", 0, 0}}};
        configured(&w, &m, &(ConfigureOptions){.install_packages = allowed});
        const Steps *s = &w.report.steps;
        if (allowed) {
            assert_true(slice_eq_cstr(m.installed, "zlib1g-dev"));
            assert_int_equal(s->packages_missing_count, 0);
            assert_true(slice_eq_cstr(s->build.items[0].run, "make -j\"$(nproc)\""));
        } else {
            assert_int_equal(s->packages_missing_count, 1);
            assert_true(slice_eq_cstr(s->packages_missing[0], "zlib1g-dev"));
        }
        arena_destroy(w.arena);
    }
}

// What the registry no longer has is left out of a development install, and said; the file is put
// back.
static void test_an_npm_install_goes_without_what_is_not_there(void **state)
{
    (void)state;
    static const struct {
        const char *output, *deleted; // NULL: nothing is done about it
    } CASES[] = {
        {"npm error notarget No matching version found for @x/rules@^22.2.5.\n",
         "npm pkg delete 'devDependencies[@x/rules]'"},
        {"npm error notarget No matching version found for rules@9\n",
         "npm pkg delete 'devDependencies[rules]'"},
        {"npm error 404  '@x/rules@1' is not in this registry.\n",
         "npm pkg delete 'devDependencies[@x/rules]'"},
        {"npm error notarget No matching version found for a'$(id)@9\n", NULL},
        {"npm error notarget No matching version found for @x\n", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        World w = world("package.json", "{\"scripts\": {\"test\": \"tape test\"}}");
        Machine m = {.answers = {{"npm pkg delete", "", 0, 0},
                                 {"npm install", CASES[i].output, 1, 0},
                                 {"npm test", "12 tests passed\n", 0, 0}}};
        configured(&w, &m, &(ConfigureOptions){0});
        const Step *step = &w.report.steps.install.items[0];
        assert_int_equal(step->validated, CASES[i].deleted != NULL);
        assert_int_equal(text_has(step->run, "npm pkg delete"), CASES[i].deleted != NULL);
        if (CASES[i].deleted) {
            assert_true(text_has(step->run, CASES[i].deleted));
            assert_true(text_has(step->run, "cp /tmp/package.json.kept package.json"));
            assert_true(text_has(step->note, "which the registry does not have"));
        }
        arena_destroy(w.arena);
    }
}

static void test_a_failing_test_is_left_out_and_said(void **state)
{
    (void)state;
    World w = world("go.mod", "module x\n");
    Machine m = {
        .answers = {{"-skip '^(TestNet)$'", "ok  \tx\t0.1s\n", 0, 0},
                    {"go test",
                     "--- FAIL: TestNet (0.00s)\nFAIL\nFAIL\tx\t0.1s\nok  \ty\t0.1s\nFAIL\n", 1,
                     0}}};
    configured(&w, &m, &(ConfigureOptions){0});
    assert_true(w.report.test_validated);
    const Step *test = &w.report.steps.test.items[0];
    assert_true(text_ends(test->run, "-skip '^(TestNet)$'"));
    assert_true(text_has(test->note, "TestNet"));
    arena_destroy(w.arena);
}

static void test_the_time_limit_ends_it(void **state)
{
    (void)state;
    World w = world("Makefile", MAKEFILE);
    Machine m = {.answers = {{"make", "", 1, 0}}};
    configured(&w, &m, &(ConfigureOptions){.time_limit_ns = 2 * NS_PER_SECOND});
    assert_true(w.report.out_of_time);
    assert_true(m.runs <= 3);
    assert_false(w.report.steps.build.items[0].validated); // a guess, and said to be one
    assert_true(text_has(w.report.steps.build.items[0].note, "guessed"));
    arena_destroy(w.arena);
}

static void test_a_persons_command_is_what_runs(void **state)
{
    (void)state;
    World w = world("Makefile", MAKEFILE);
    Steps old = {0};
    Step mine = {.name = SLICE("test"),
                 .run = SLICE("./mine"),
                 .directory = SLICE("."),
                 .tests = -1,
                 .by_person = true};
    assert_int_equal(step_list_add(w.arena, &old.test, &mine, NULL), 0);
    Machine m = {.answers = {{"./mine", "3 tests passed\n", 0, 0}}};
    configured(&w, &m, &(ConfigureOptions){.old = &old});
    assert_true(w.report.test_validated);
    assert_int_equal(w.report.tests, 3);
    assert_true(slice_eq_cstr(w.report.steps.test.items[0].run, "./mine"));
    assert_true(w.report.steps.test.items[0].by_person);
    arena_destroy(w.arena);
}

static void test_a_dry_run_runs_nothing(void **state)
{
    (void)state;
    World w = world("Makefile", MAKEFILE);
    Machine m = {0};
    configured(&w, &m, &(ConfigureOptions){.dry_run = true});
    assert_int_equal(m.runs, 0);
    assert_int_equal(w.report.steps.build.count, 1);
    assert_false(w.report.build_validated);
    // No benchmark: a skeleton is proposed.
    assert_int_equal(w.report.steps.workload_count, 1);
    assert_true(w.report.steps.workloads[0].skeleton);
    arena_destroy(w.arena);
}

static size_t words_in(Slice text)
{
    size_t words = 0;
    bool inside = false;
    for (size_t i = 0; i < text.len; i++) {
        bool blank = text.ptr[i] == ' ' || text.ptr[i] == '\n';
        words += !blank && !inside;
        inside = !blank;
    }
    return words;
}

static void test_guides_are_short(void **state)
{
    (void)state;
    World w = world("Makefile", MAKEFILE);
    Machine m = {.answers = {{"make check", "12 tests passed\n", 0, 0}}};
    configured(&w, &m, &(ConfigureOptions){0});
    for (int i = 0; i < 3; i++) {
        Buf out = buf_create(1 << 16);
        if (i == 0) {
            configure_guide_build(&w.report, &out);
        } else if (i == 1) {
            configure_guide_measure(&w.report, 0.02, &out);
        } else {
            configure_guide_bottlenecks(&w.report, &out);
        }
        size_t words = words_in(buf_slice(&out));
        assert_true(words > 20 && words <= CONFIGURE_GUIDE_WORDS_MAX);
        buf_done(&out);
    }
    arena_destroy(w.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_twice_in_clean_copies),
        cmocka_unit_test(test_an_exit_code_is_not_a_test),
        cmocka_unit_test(test_a_missing_header_is_installed_when_allowed),
        cmocka_unit_test(test_an_npm_install_goes_without_what_is_not_there),
        cmocka_unit_test(test_a_failing_test_is_left_out_and_said),
        cmocka_unit_test(test_the_time_limit_ends_it),
        cmocka_unit_test(test_a_persons_command_is_what_runs),
        cmocka_unit_test(test_a_dry_run_runs_nothing),
        cmocka_unit_test(test_guides_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
