// Plain makefiles: which targets there are, read, not guessed.
#include "improve/infer.h"

static bool target_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '/';
}

// The line of the rule for `target`, 0 where there is none. Conditionals and includes are not
// followed: what is wrong here shows when it is run.
static long rule_line(Slice text, const char *target)
{
    Slice line, wanted = slice_from_cstr(target);
    long number = 0;
    while (text_line(&text, &line, &number)) {
        Slice targets, rest;
        if (line.len == 0 || line.ptr[0] == '\t' || line.ptr[0] == '#' ||
            !slice_cut(line, ':', &targets, &rest) || (rest.len > 0 && rest.ptr[0] == '=')) {
            continue;
        }
        size_t at = 0;
        while (at < targets.len) {
            size_t end = at;
            while (end < targets.len && target_char(targets.ptr[end])) {
                end++;
            }
            if (end > at && slice_eq(slice_sub(targets, at, end - at), wanted)) {
                return number;
            }
            at = end > at ? end : at + 1;
        }
    }
    return 0;
}

static const char *const MAKEFILES[] = {"GNUmakefile", "makefile", "Makefile"};
static const char *const TESTS[] = {
    "check",    "test",      "tests",     "unittest",  "unittests", "unit-test", "unit-tests",
    "runtests", "run-tests", "run_tests", "testsuite", "test-all",  "quicktest", "selftest"};
static const char *const DIRECTORIES[] = {"test", "tests", "t", "unittest", "unit"};

static void tests_in_directories(Inference *in, Recipe *r, Slice source)
{
    for (size_t d = 0; d < COUNT_OF(DIRECTORIES); d++) {
        for (size_t m = 0; m < COUNT_OF(MAKEFILES); m++) {
            Slice path =
                path_join(in->arena, infer_path(in, DIRECTORIES[d]), slice_from_cstr(MAKEFILES[m]));
            Slice text = tree_text(in->tree, path);
            for (size_t t = 0; text.len > 0 && t < COUNT_OF(TESTS); t++) {
                long line = rule_line(text, TESTS[t]);
                if (line > 0) {
                    infer_test(in, r, "in a directory", infer_source(in, path, line),
                               "make -C %s %s", DIRECTORIES[d], TESTS[t]);
                }
            }
            if (text.len > 0) {
                infer_test(in, r, "in a directory", source, "make -C %s", DIRECTORIES[d]);
            }
        }
    }
}

static void benchmark_rules(Inference *in, Slice path, Slice text)
{
    static const char *const RULES[] = {"bench",     "benchmark", "benchmarks", "perf",  "benches",
                                        "run-bench", "perftest",  "speed",      "timing"};
    for (size_t i = 0; i < COUNT_OF(RULES); i++) {
        long line = rule_line(text, RULES[i]);
        if (line > 0) {
            Slice directory = path_directory(path);
            infer_benchmark(in, arena_printf(in->arena, "make %s", RULES[i]),
                            arena_printf(in->arena, "make %s", RULES[i]), directory, "command",
                            infer_source(in, path, line));
        }
    }
}

static void from_makefile(Inference *in, Slice path, Slice text)
{
    benchmark_rules(in, path, text);
    // A Makefile beside another build system is that system's, or a front for it; beside Cargo or
    // npm it is a list of shortcuts.
    bool front = infer_has(in, "configure.ac") || infer_has(in, "configure.in") ||
                 infer_has(in, "configure") || infer_has(in, "Makefile.am");
    bool other = infer_has(in, "Cargo.toml") || infer_has(in, "go.mod") ||
                 infer_has(in, "package.json") || infer_has(in, "pom.xml");
    Recipe *r = infer_recipe(in, "make", in->directory,
                             (front   ? 30
                              : other ? 40
                                      : 66) +
                                 (text_has_word(in->ci_text, "make") ? 9 : 0) -
                                 (text_has(in->ci_text, "cmake") ? 6 : 0));
    Slice source = infer_source(in, path, 1);
    infer_build(in, r, "make", source, "make -j\"$(nproc)\"");
    infer_build(in, r, "make, one job", source, "make");
    static const char *const BUILDS[] = {"all", "build", "lib", "static"};
    for (size_t i = 0; i < COUNT_OF(BUILDS); i++) {
        long line = rule_line(text, BUILDS[i]);
        if (line > 0) {
            infer_build(in, r, BUILDS[i], infer_source(in, path, line), "make %s", BUILDS[i]);
        }
    }
    for (size_t i = 0; i < COUNT_OF(TESTS); i++) {
        long line = rule_line(text, TESTS[i]);
        if (line > 0) {
            infer_test(in, r, TESTS[i], infer_source(in, path, line), "make %s", TESTS[i]);
        }
    }
    tests_in_directories(in, r, source);
}

void infer_make(Inference *in)
{
    for (size_t i = 0; i < COUNT_OF(MAKEFILES); i++) {
        Slice path = infer_path(in, MAKEFILES[i]), text = tree_text(in->tree, path);
        if (text.len > 0) {
            from_makefile(in, path, text);
            break;
        }
    }
    // The build may be one floor down and nowhere else.
    static const char *const BELOW[] = {"src", "source", "lib"};
    for (size_t i = 0; in->recipe_count == 0 && i < COUNT_OF(BELOW); i++) {
        Slice directory = infer_path(in, BELOW[i]);
        Slice path = path_join(in->arena, directory, SLICE("Makefile"));
        Slice text = tree_text(in->tree, path);
        if (text.len > 0) {
            Recipe *r = infer_recipe(in, "make", directory, 55);
            infer_build(in, r, "make", infer_source(in, path, 1), "make -j\"$(nproc)\"");
            for (size_t t = 0; t < COUNT_OF(TESTS); t++) {
                long line = rule_line(text, TESTS[t]);
                if (line > 0) {
                    infer_test(in, r, TESTS[t], infer_source(in, path, line), "make %s", TESTS[t]);
                }
            }
        }
    }
    // Benchmarks with a makefile of their own.
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        if (infer_is_below(in, path) && slice_eq_cstr(path_name(path), "Makefile") &&
            path_depth(path) > 0 && path_depth(path) <= 2) {
            benchmark_rules(in, path, tree_text(in->tree, path));
        }
    }
}
