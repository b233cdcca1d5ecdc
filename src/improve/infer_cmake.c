// CMake: the options that switch tests and benchmarks on are read from option() lines, because
// there are as many names for them as projects.
#include "improve/infer.h"

enum { OPTIONS_TEXT_MAX = 4000, OPTIONS_MAX = 40 };

typedef struct CmakeOptions {
    Buf tests, benchmarks, quiet; // " -DX=ON"
    Buf tests_off, benchmarks_off;
    int tests_count, benchmarks_count;
    bool has_tests, fetches;
} CmakeOptions;

static bool token_in(Slice name, const char *const *tokens)
{
    Slice token, rest = name;
    while (rest.len > 0) {
        (void)slice_cut(rest, '_', &token, &rest);
        for (const char *const *t = tokens; *t; t++) {
            if (slice_eq_nocase(token, slice_from_cstr(*t))) {
                return true;
            }
        }
    }
    return false;
}

static void take_option(CmakeOptions *o, Slice name)
{
    static const char *const TEST[] = {"TEST",      "TESTS",       "TESTING", "UNITTEST",
                                       "UNITTESTS", "UNITTESTING", "GTEST",   NULL};
    static const char *const BENCHMARK[] = {"BENCH", "BENCHES",  "BENCHMARK",    "BENCHMARKS",
                                            "PERF",  "PERFTEST", "BENCHMARKING", NULL};
    static const char *const STRICT[] = {"WERROR", NULL};
    // Switches that only look like one of the above, or that need more than a compiler.
    static const char *const NOT[] = {
        "COVERAGE", "VALGRIND", "FUZZ",     "FUZZER", "FUZZING", "SANITIZER", "SANITIZE", "INSTALL",
        "CUDA",     "ONLINE",   "NETWORK",  "SLOW",   "DISABLE", "NO",        "SKIP",     "WITHOUT",
        "DOWNLOAD", "FETCH",    "EXTERNAL", "SYSTEM", "PYTHON",  "WASM",      "ANDROID",  "USE",
        "32BIT",    "M32",      "DOCS",     "MODULE", "MODULES", "INTERNAL",  "PACKAGE",  NULL};
    if (token_in(name, STRICT) || text_has_nocase(name, "WARNINGS_AS_ERRORS") ||
        text_has_nocase(name, "WARNING_AS_ERROR") || text_has_nocase(name, "FATAL_WARNINGS")) {
        buf_printf(&o->quiet, " -D%.*s=OFF", SLICE_FMT(name));
    } else if (!token_in(name, NOT) && token_in(name, BENCHMARK)) {
        if (++o->benchmarks_count <= OPTIONS_MAX) {
            buf_printf(&o->benchmarks, " -D%.*s=ON", SLICE_FMT(name));
            buf_printf(&o->benchmarks_off, " -D%.*s=OFF", SLICE_FMT(name));
        }
    } else if (!token_in(name, NOT) && token_in(name, TEST) &&
               !slice_eq_cstr(name, "BUILD_TESTING") && ++o->tests_count <= OPTIONS_MAX) {
        buf_printf(&o->tests, " -D%.*s=ON", SLICE_FMT(name));
        buf_printf(&o->tests_off, " -D%.*s=OFF", SLICE_FMT(name));
    }
}

static Slice leading_name(Slice s)
{
    size_t n = 0;
    s = slice_trim(s);
    while (n < s.len &&
           (s.ptr[n] == '_' || (s.ptr[n] >= '0' && s.ptr[n] <= '9') ||
            (s.ptr[n] >= 'A' && s.ptr[n] <= 'Z') || (s.ptr[n] >= 'a' && s.ptr[n] <= 'z'))) {
        n++;
    }
    return slice_sub(s, 0, n);
}

static void read_options(CmakeOptions *o, Slice text)
{
    static const char *const STARTS[] = {"option(", "option (", "cmake_dependent_option(",
                                         "cmake_dependent_option ("};
    Slice line;
    while (text_line(&text, &line, NULL)) {
        line = slice_trim(line);
        for (size_t i = 0; i < COUNT_OF(STARTS); i++) {
            size_t n = strlen(STARTS[i]);
            if (slice_eq_nocase(slice_sub(line, 0, n), slice_from_cstr(STARTS[i]))) {
                take_option(o, leading_name(slice_sub(line, n, line.len)));
            }
        }
        if (text_starts(line, "set(") && text_has(line, "CACHE BOOL")) {
            take_option(o, leading_name(slice_sub(line, 4, line.len)));
        }
        o->has_tests |=
            text_has_nocase(line, "enable_testing(") || text_has_nocase(line, "enable_testing (") ||
            text_has_nocase(line, "include(CTest") || text_has_nocase(line, "add_test(");
        o->fetches |= text_has_nocase(line, "FetchContent_") || text_has(line, "CPMAddPackage");
    }
}

static bool is_cmake_file(Slice path)
{
    return slice_eq_cstr(path_name(path), "CMakeLists.txt") || text_ends(path, ".cmake");
}

// Options of vendored projects are theirs, so only what is near the top counts.
static void read_files(Inference *in, Slice top, CmakeOptions *o)
{
    int depth = path_depth(top);
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        if (is_cmake_file(path) && path_depth(path) <= depth + 2 &&
            slice_starts_with(
                path, slice_eq_cstr(path_directory(top), ".") ? SLICE("") : path_directory(top)) &&
            !text_has(path, "third") && !text_has(path, "extern") && !text_has(path, "vendor") &&
            !text_has(path, "deps/")) {
            read_options(o, tree_text(in->tree, path));
        }
    }
}

static void add_recipe(Inference *in, Slice top, int score)
{
    CmakeOptions o = {.tests = buf_create(OPTIONS_TEXT_MAX),
                      .benchmarks = buf_create(OPTIONS_TEXT_MAX),
                      .quiet = buf_create(OPTIONS_TEXT_MAX),
                      .tests_off = buf_create(OPTIONS_TEXT_MAX),
                      .benchmarks_off = buf_create(OPTIONS_TEXT_MAX)};
    read_files(in, top, &o);
    Slice directory = path_directory(top), source = infer_source(in, top, 1);
    Recipe *r = infer_recipe(in, "cmake", in->directory, score);
    const char *build = infer_build_directory(in, in->directory);
    // Where the project is not at the top, the sources are named relative to it.
    Slice where = slice_eq(directory, in->directory) ? SLICE(".") : directory;
    if (!slice_eq_cstr(in->directory, ".") && where.len > in->directory.len) {
        where = slice_sub(where, in->directory.len + 1, where.len);
    }
    Slice common =
        arena_printf(in->arena,
                     "cmake -S %.*s -B %s -G Ninja -DCMAKE_BUILD_TYPE=Release%.*s"
                     // Downloads by FetchContent are answered by what the system has (CMake 3.24).
                     "%s",
                     SLICE_FMT(where), build, SLICE_FMT(buf_slice(&o.quiet)),
                     o.fetches ? " -DFETCHCONTENT_TRY_FIND_PACKAGE_MODE=ALWAYS" : "");
    Slice tests = arena_copy(in->arena, buf_slice(&o.tests));
    Slice benchmarks = arena_copy(in->arena, buf_slice(&o.benchmarks));
    Slice compile = arena_printf(in->arena, "cmake --build %s -j\"$(nproc)\"", build);
    if (benchmarks.len > 0) {
        infer_build(in, r, "with tests and benchmarks", source,
                    "%.*s -DBUILD_TESTING=ON%.*s%.*s\n%.*s", SLICE_FMT(common), SLICE_FMT(tests),
                    SLICE_FMT(benchmarks), SLICE_FMT(compile));
    }
    Slice without = buf_slice(&o.benchmarks_off);
    infer_build(in, r, "with tests", source, "%.*s -DBUILD_TESTING=ON%.*s%.*s\n%.*s",
                SLICE_FMT(common), SLICE_FMT(tests), SLICE_FMT(without), SLICE_FMT(compile));
    infer_build(in, r, "bare", source, "%.*s -DBUILD_TESTING=OFF%.*s%.*s\n%.*s", SLICE_FMT(common),
                SLICE_FMT(buf_slice(&o.tests_off)), SLICE_FMT(without), SLICE_FMT(compile));
    infer_test(in, r, "ctest", source,
               "ctest --test-dir %s --output-on-failure --timeout 120 -j\"$(nproc)\"", build);
    static const char *const BELOW[] = {"tests", "test"};
    for (size_t i = 0; i < COUNT_OF(BELOW); i++) { // where only a part calls enable_testing()
        infer_test(in, r, "ctest of a part", source,
                   "ctest --test-dir %s/%s --output-on-failure --timeout 120", build, BELOW[i]);
    }
    infer_test(in, r, "the target check", source, "cmake --build %s --target check", build);
    infer_test(in, r, "the target test", source, "cmake --build %s --target test", build);
    infer_test(in, r, "the programs called test", source,
               "find %s -type f -perm -u+x \\( -name '*test*' -o -name '*Test*' \\) -not -path "
               "'*/CMakeFiles/*' -not -path '*/_deps/*' -not -name '*.so*' -not -name '*.cmake' | "
               "sort >/tmp/tests\n"
               "[ -s /tmp/tests ] || { echo 'no tests were found'; exit 1; }\n"
               "while read -r t; do\n  timeout 100 \"$t\" </dev/null\n  echo \"PASS: $t\"\ndone "
               "</tmp/tests",
               build);
    buf_done(&o.tests);
    buf_done(&o.benchmarks);
    buf_done(&o.quiet);
    buf_done(&o.tests_off);
    buf_done(&o.benchmarks_off);
}

void infer_cmake(Inference *in)
{
    Slice top = infer_path(in, "CMakeLists.txt");
    bool used = text_has(in->ci_text, "cmake");
    if (tree_has(in->tree, top)) {
        add_recipe(in, top, 74 + (used ? 8 : 0));
        return;
    }
    // Some keep it in a directory of its own: build/cmake, cmake, projects/cmake.
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        if (infer_is_below(in, path) && slice_eq_cstr(path_name(path), "CMakeLists.txt") &&
            path_depth(path) <= 2 && text_has_nocase(tree_text(in->tree, path), "project(") &&
            !text_has(path, "example") && !text_has(path, "test")) {
            add_recipe(in, path, 54 + (used ? 8 : 0));
            return;
        }
    }
}
