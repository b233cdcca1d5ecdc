#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "improve/survey.h"
#include "os/file.h"

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(survey_language(SLICE("a/b.cc")), "C++");
    assert_string_equal(survey_language(SLICE("x.mjs")), "JavaScript");
    assert_null(survey_language(SLICE("README.md")));
    assert_true(survey_is_test(SLICE("src/foo_test.go")));
    assert_true(survey_is_test(SLICE("tests/a.py")));
    assert_false(survey_is_test(SLICE("src/latest.c")));
    assert_true(survey_is_benchmark(SLICE("bench/hash.cc")));
    assert_true(survey_is_benchmark(SLICE("src/hash_benchmark.cc")));
    assert_false(survey_is_benchmark(SLICE("src/workbench.c")));
    assert_true(survey_speaks_of_speed(SLICE("Fix quadratic parsing")));
    assert_false(survey_speaks_of_speed(SLICE("Fix breakfast menu")));
}

static void test_licences(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {"MIT License\n\nPermission is hereby granted, free of charge, to", "MIT"},
        {"                                 Apache License\n Version 2.0", "Apache-2.0"},
        {"GNU GENERAL PUBLIC LICENSE Version 3", "GPL"},
        {"All rights reserved.", ""},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        assert_true(slice_eq_cstr(survey_licence(slice_from_cstr(CASES[i][0])), CASES[i][1]));
    }
}

static void test_dependencies(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        size_t want;
    } CASES[] = {
        {"package.json",
         "{\"dependencies\":{\"a\":\"1\",\"b\":\"2\"},\"devDependencies\":{\"c\":"
         "\"1\"}}",
         3},
        {"package.json", "no json", 0},
        {"requirements.txt", "# x\nflask==1\n\n-r other\nnumpy\n", 2},
        {"Cargo.toml",
         "[package]\nname = \"x\"\n[dependencies]\nserde = \"1\"\n"
         "[dev-dependencies]\nrand = \"0.8\"\n",
         2},
        {"go.mod", "module x\nrequire a.b/c v1\nrequire (\n\td.e/f v1.2.3\n)\n", 2},
        {"meson.build", "d = dependency('zlib')\n", 1},
    };
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        size_t got =
            survey_dependencies(slice_from_cstr(CASES[i].name), slice_from_cstr(CASES[i].text));
        if (got != CASES[i].want) {
            fail_msg("%s: %zu", CASES[i].text, got);
        }
    }
}

static void put(const char *dir, const char *name, const char *text)
{
    char at[300];
    (void)snprintf(at, sizeof at, "%s/%s", dir, name);
    assert_int_equal(file_write(at, slice_from_cstr(text), NULL, NULL), 0);
}

static void test_a_plain_directory(void **state)
{
    (void)state;
    char dir[] = "/tmp/survey_test.XXXXXX", at[200];
    Arena *arena = arena_create(64 << 20);
    Place place;
    Survey survey;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(at, sizeof at, "%s/tests/a b", dir);
    assert_int_equal(dir_make_all(at, NULL), 0);
    put(dir, "a.c", "int main(void){}\n");
    put(dir, "tests/a b/t.c", "x\n");
    put(dir, "LICENSE", "Permission is hereby granted, free of charge\n");
    put(dir, "README.md", "It is fast.\n\n```\nmake check\n```\n\n$ ./run --all\n");
    (void)snprintf(at, sizeof at, "%s/NOTES.md", dir);
    assert_int_equal(symlink("/etc/passwd", at), 0); // not followed
    assert_int_equal(place_find(arena, slice_from_cstr(dir), SLICE(""), &place, NULL), 0);
    SurveyOptions options = {.place = &place,
                             .issues = SLICE("[{\"number\":4,\"title\":\"too slow\"},{\"number\":5,"
                                             "\"title\":\"typo\"}]")};
    assert_int_equal(survey_take(&options, arena, &survey, NULL), 0);
    assert_int_equal(survey.files, 4);
    assert_string_equal(survey.languages[0].name, "C");
    assert_true(slice_eq_cstr(survey.licence, "MIT"));
    assert_int_equal(survey.tests.total, 1);
    assert_int_equal(survey.commands.total, 2);
    assert_int_equal(survey.mentions.items[0].line, 1);
    assert_int_equal(survey.issues.total, 1);
    options.issues = SLICE("{}");
    assert_int_equal(survey_take(&options, arena, &survey, NULL), ERR_PARSE);
    Buf json = buf_create(1 << 20);
    JsonWriter w = json_writer(&json, 0);
    survey_write(&survey, &w);
    assert_true(slice_find(buf_slice(&json), SLICE("\"README.md:1 It is fast.\"")) >= 0);
    buf_done(&json);
    assert_int_equal(dir_remove_all(dir, NULL), 0);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_licences),
        cmocka_unit_test(test_dependencies),
        cmocka_unit_test(test_a_plain_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
