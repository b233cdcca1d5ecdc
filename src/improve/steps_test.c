#include "improve/steps.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "improve/steps_impl.h"

static const char FULL[] = "version: 1\n"
                           "install:\n"
                           "  - {name: packages, run: npm ci, network: true}\n"
                           "build:\n"
                           "  - name: compile\n"
                           "    run: |-\n"
                           "      set -e\n"
                           "        make  \n"
                           "\n"
                           "      make \"x: y\" # z\n"
                           "    directory: sub dir\n"
                           "    source: .github/workflows/ci.yml:12\n"
                           "    validated: true\n"
                           "    seconds: 1.5\n"
                           "    note: 'left out: é \\ \" '\n"
                           "test:\n"
                           "  - {name: test, run: make check, tests: 12}\n"
                           "benchmarks:\n"
                           "  - {name: b, run: ./b, harness: go, source: 'b_test.go:3'}\n"
                           "workloads:\n"
                           "  - name: parse\n"
                           "    run: ./parse {input}\n"
                           "    metric: cpu\n"
                           "    output: stdout\n"
                           "    inputs: {generator: random-bytes, sizes: [1, 20], files: [a.txt],\n"
                           "      arguments: [[10, -v], []]}\n"
                           "artifacts: [build/**]\n"
                           "protect: ['bench/*.c']\n"
                           "environment: {LC_ALL: C, N: 2}\n"
                           "limits: {time: 10m, memory: 4GiB, processes: 100}\n";

static Slice written(Arena *arena, const Steps *steps)
{
    Buf out = buf_create(STEPS_BYTES_MAX);
    steps_write(steps, &out);
    Slice text = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

static Steps parsed(Arena *arena, Slice text)
{
    Steps steps = {0};
    Err e = {0};
    if (steps_parse(arena, text, "s.yaml", &steps, &e) != 0) {
        fail_msg("%s in\n%.*s", e.text, SLICE_FMT(text));
    }
    return steps;
}

static void test_everything_is_read(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    Steps s = parsed(arena, slice_from_cstr(FULL));
    assert_true(s.install.items[0].network);
    assert_true(slice_eq_cstr(s.build.items[0].run, "set -e\n  make  \n\nmake \"x: y\" # z"));
    assert_true(slice_eq_cstr(s.build.items[0].directory, "sub dir"));
    assert_true(s.build.items[0].validated);
    assert_int_equal(s.test.items[0].tests, 12);
    assert_int_equal(s.build.items[0].tests, -1);
    const Workload *w = steps_workload(&s, SLICE("parse"));
    assert_non_null(w);
    assert_int_equal(w->inputs.sizes[1], 20);
    assert_int_equal(w->inputs.argument_count, 2);
    assert_true(slice_eq_cstr(w->inputs.arguments[0].words[0], "10"));
    assert_int_equal(s.limits.time_ns, 600000000000);
    assert_int_equal(s.limits.memory_bytes, INT64_C(4) << 30);
    assert_true(slice_eq_cstr(s.environment[1].value, "2"));
    arena_destroy(arena);
}

static void test_written_and_read_back(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    Steps s = parsed(arena, slice_from_cstr(FULL));
    Slice first = written(arena, &s);
    Steps back = parsed(arena, first);
    assert_true(slice_eq(written(arena, &back), first));
    char a[STEPS_HASH_HEX + 1], b[STEPS_HASH_HEX + 1];
    steps_hash(&s, a);
    steps_hash(&back, b);
    assert_string_equal(a, b);
    back.build.items[0].seconds = 99; // a mark, not a decision
    steps_hash(&back, b);
    assert_string_equal(a, b);
    back.build.items[0].run = SLICE("make");
    steps_hash(&back, b);
    assert_string_not_equal(a, b);
    arena_destroy(arena);
}

static void test_hostile_texts_survive(void **state)
{
    (void)state;
    static const Slice TEXTS[] = {
        SLICE_INIT("true"),
        SLICE_INIT("a: b"),
        SLICE_INIT("a #b"),
        SLICE_INIT("- x"),
        SLICE_INIT("  lead"),
        SLICE_INIT("trail "),
        SLICE_INIT("\nfirst"),
        SLICE_INIT("last\n"),
        SLICE_INIT("a\n\n\nb"),
        SLICE_INIT("a\n   \nb"),
        SLICE_INIT("a\tb\r\nc"),
        SLICE_INIT("\x1b[31m"),
        SLICE_INIT("\xc2\x80"),
        SLICE_INIT("\xe2\x80\xa8"),
        SLICE_INIT("\xef\xbb\xbf"),
        SLICE_INIT("*a"),
        SLICE_INIT("&a b"),
        SLICE_INIT("12"),
        SLICE_INIT("\xf0\x9f\x98\x80 --- ..."),
    };
    Arena *arena = arena_create(16 << 20);
    for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
        Steps s = {0};
        Step step = {.name = TEXTS[i], .run = SLICE("x"), .directory = SLICE("."), .tests = -1};
        step.note = TEXTS[i];
        assert_int_equal(step_list_add(arena, &s.build, &step, NULL), 0);
        Steps back = parsed(arena, written(arena, &s));
        assert_true(slice_eq(back.build.items[0].name, TEXTS[i]));
        assert_true(slice_eq(back.build.items[0].note, TEXTS[i]));
        assert_false(back.build.items[0].by_person); // the seal still fits
    }
    arena_destroy(arena);
}

static void test_mistakes_name_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } CASES[] = {
        {"{}", "s.yaml:1:1: steps need \"version: 1\""},
        {"version: 2\nnew: 1", "s.yaml:1:10: version 2 is newer than this program knows (1)"},
        {"version: 1\nbiuld: []", "s.yaml:2:1: unknown field \"biuld\"; did you mean \"build\"?"},
        {"version: 1\nbuild: [{name: a}]", "s.yaml:2:9: the step needs a command in run"},
        {"version: 1\nbuild: [{run: a}]", "s.yaml:2:9: the entry needs a name"},
        {"version: 1\nbuild: [{name: a, run: [x]}]", "s.yaml:2:24: run must be a string"},
        {"version: 1\nbuild: [{name: a, run: x, directory: a/../..}]",
         "s.yaml:2:38: directory must be below the top of the tree"},
        {"version: 1\nbuild: [{name: a, run: x}, {name: a, run: y}]",
         "s.yaml:2:28: build has two steps called \"a\""},
        {"version: 1\ntest: [{name: a, run: x, network: true}]",
         "s.yaml:2:8: only install steps may have network"},
        {"version: 1\nworkloads: [{name: a, run: x, metric: speed}]",
         "s.yaml:2:39: metric must be wall, cpu or rss"},
        {"version: 1\nenvironment: {A-B: x}", "s.yaml:2:15: \"A-B\" is no name of a variable"},
        {"version: 1\nlimits: {time: 10}", "s.yaml:2:16: time must be a duration such as 10m"},
        {"version: 1\nbuild: [{name: a, run: x, by: robot}]",
         "s.yaml:2:31: by can only be \"person\""},
    };
    Arena *arena = arena_create(16 << 20);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        Steps s;
        Err e = {0};
        assert_true(steps_parse(arena, slice_from_cstr(CASES[i].text), "s.yaml", &s, &e) < 0);
        assert_true(slice_starts_with(slice_from_cstr(e.text), slice_from_cstr(CASES[i].error)) ||
                    (print_message("%s\n", e.text), false));
    }
    arena_destroy(arena);
}

static void test_edges_of_the_limits(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    for (int over = 0; over < 2; over++) {
        Buf text = buf_create(1 << 20);
        buf_puts(&text, "version: 1\nbuild:\n");
        for (int i = 0; i < STEP_LIST_MAX + over; i++) {
            buf_printf(&text, "  - {name: s%d, run: x}\n", i);
        }
        Steps s;
        Err e = {0};
        int rc = steps_parse(arena, buf_slice(&text), "s", &s, &e);
        assert_int_equal(rc, over ? ERR_LIMIT : 0);
        buf_done(&text);
    }
    Buf text = buf_create(1 << 20);
    buf_puts(&text, "version: 1\nbuild: [{name: a, run: \"");
    for (int i = 0; i <= STEP_TEXT_MAX; i++) {
        buf_putc(&text, 'x');
    }
    buf_puts(&text, "\"}]\n");
    Steps s;
    assert_int_equal(steps_parse(arena, buf_slice(&text), "s", &s, NULL), ERR_LIMIT);
    buf_done(&text);
    arena_destroy(arena);
}

static void test_an_edit_is_a_persons(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    Steps ours = {0};
    Step step = {
        .name = SLICE("build"), .run = SLICE("make"), .directory = SLICE("."), .tests = -1};
    assert_int_equal(step_list_add(arena, &ours.build, &step, NULL), 0);
    step.name = SLICE("test");
    assert_int_equal(step_list_add(arena, &ours.test, &step, NULL), 0);
    const char *text = arena_cstr(arena, written(arena, &ours));
    // As an editor would: another command, everything else left as it stood.
    const char *at = strstr(text, "run: make");
    assert_non_null(at);
    Slice edited = arena_printf(arena, "%.*srun: make -j8%s", (int)(at - text), text, at + 9);
    Steps old = parsed(arena, edited);
    assert_true(old.build.items[0].by_person);
    assert_false(old.test.items[0].by_person);

    Steps fresh = {0};
    step.name = SLICE("other");
    assert_int_equal(step_list_add(arena, &fresh.build, &step, NULL), 0);
    step.run = SLICE("make check");
    assert_int_equal(step_list_add(arena, &fresh.test, &step, NULL), 0);
    assert_int_equal(steps_merge(arena, &old, &fresh, NULL), 0);
    assert_true(slice_eq_cstr(fresh.build.items[0].run, "make -j8"));
    assert_true(slice_eq_cstr(fresh.test.items[0].run, "make check"));
    Steps again = parsed(arena, written(arena, &fresh));
    assert_true(again.build.items[0].by_person);
    arena_destroy(arena);
}

static void test_a_skeleton_makes_room_for_a_workload(void **state)
{
    (void)state;
    Arena *arena = arena_create(16 << 20);
    Steps old = parsed(arena, SLICE("version: 1\nworkloads: [{name: mine, run: ./a}]\n"));
    Workload skeleton = {.name = SLICE("skeleton"),
                         .run = SLICE("false"),
                         .directory = SLICE("."),
                         .metric = SLICE("wall"),
                         .skeleton = true};
    Steps fresh = {.workloads = &skeleton, .workload_count = 1};
    assert_int_equal(steps_merge(arena, &old, &fresh, NULL), 0);
    assert_int_equal(fresh.workload_count, 1);
    assert_true(slice_eq_cstr(fresh.workloads[0].name, "mine"));
    arena_destroy(arena);
}

static void test_places_in_commands(void **state)
{
    (void)state;
    Arena *arena = arena_create(1 << 20);
    const StepsVariable v[] = {{SLICE("seed"), SLICE("7")}, {SLICE("input"), SLICE("a 'b'")}};
    Slice out = steps_expand(arena, SLICE("x {seed} {input} {other} {"), v, 2, true);
    assert_true(slice_eq_cstr(out, "x 7 'a '\\''b'\\''' {other} {"));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_read),
        cmocka_unit_test(test_written_and_read_back),
        cmocka_unit_test(test_hostile_texts_survive),
        cmocka_unit_test(test_mistakes_name_their_place),
        cmocka_unit_test(test_edges_of_the_limits),
        cmocka_unit_test(test_an_edit_is_a_persons),
        cmocka_unit_test(test_a_skeleton_makes_room_for_a_workload),
        cmocka_unit_test(test_places_in_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
