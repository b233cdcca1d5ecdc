#include "improve/cheat.h"

// What a path is for is told by its name: the names below are what the build systems and runners of
// seven languages look for by default. A repository that is different says so in its steps.

const char *const CHEAT_PATH_NAMES[CHEAT_PATHS + 1] = {
    "source", "test",          "benchmark",     "CI", "build file", "lock file", "the steps",
    "a log",  "compiled code", "documentation", NULL,
};

bool cheat_glob(Slice pattern, Slice path)
{
    if (slice_ends_with(pattern, SLICE("/"))) {
        return slice_starts_with(path, pattern);
    }
    if (slice_find_byte(pattern, '/') < 0) {
        for (size_t i = path.len; i > 0; i--) {
            if (path.ptr[i - 1] == '/') {
                path = slice_sub(path, i, path.len);
                break;
            }
        }
    }
    // The last star seen, and where it began to match: the usual backtracking to one point only.
    // A later star of either kind makes earlier ones need no more tries, but for `*` behind `**`,
    // which keeps its own point.
    struct {
        size_t pattern, path;
        bool set;
    } one = {0}, two = {0};
    size_t p = 0, s = 0;
    while (s < path.len || p < pattern.len) {
        if (p + 1 < pattern.len && pattern.ptr[p] == '*' && pattern.ptr[p + 1] == '*') {
            p += 2;
            p += p < pattern.len && pattern.ptr[p] == '/'; // "**/x" is also x itself
            two.pattern = p, two.path = s, two.set = true, one.set = false;
        } else if (p < pattern.len && pattern.ptr[p] == '*') {
            one.pattern = ++p, one.path = s, one.set = true;
        } else if (p < pattern.len && s < path.len &&
                   (pattern.ptr[p] == path.ptr[s] ||
                    (pattern.ptr[p] == '?' && path.ptr[s] != '/'))) {
            p++, s++;
        } else if (one.set && one.path < path.len && path.ptr[one.path] != '/') {
            p = one.pattern, s = ++one.path;
        } else if (two.set && two.path < path.len) {
            p = two.pattern, s = ++two.path, one.set = false;
        } else {
            return false;
        }
    }
    return true;
}

static bool one_of(Slice text, const char *const *words)
{
    for (; *words; words++) {
        if (slice_eq_nocase(text, slice_from_cstr(*words))) {
            return true;
        }
    }
    return false;
}

static bool ends_with_one(Slice text, const char *const *suffixes)
{
    for (; *suffixes; suffixes++) {
        if (slice_ends_with(text, slice_from_cstr(*suffixes))) {
            return true;
        }
    }
    return false;
}

static bool any_folder(Slice path, const char *const *names)
{
    for (Slice folder; slice_cut(path, '/', &folder, &path);) {
        if (one_of(folder, names)) {
            return true;
        }
    }
    return false;
}

static Slice base_name(Slice path)
{
    size_t at = path.len;
    while (at > 0 && path.ptr[at - 1] != '/') {
        at--;
    }
    return slice_sub(path, at, path.len);
}

static bool is_ci(Slice path)
{
    static const char *const FOLDERS[] = {".github", ".gitlab", ".circleci", ".buildkite", NULL};
    static const char *const NAMES[] = {
        ".travis.yml", ".gitlab-ci.yml", "appveyor.yml", "azure-pipelines.yml",
        "Jenkinsfile", ".cirrus.yml",    "bors.toml",    NULL};
    return any_folder(path, FOLDERS) || one_of(base_name(path), NAMES);
}

static bool is_lock(Slice name)
{
    static const char *const NAMES[] = {"package-lock.json",
                                        "yarn.lock",
                                        "pnpm-lock.yaml",
                                        "Cargo.lock",
                                        "go.sum",
                                        "poetry.lock",
                                        "Pipfile.lock",
                                        "uv.lock",
                                        "bun.lockb",
                                        "gradle.lockfile",
                                        "Gemfile.lock",
                                        "npm-shrinkwrap.json",
                                        NULL};
    return one_of(name, NAMES);
}

static bool is_build(Slice name)
{
    static const char *const NAMES[] = {"CMakeLists.txt",
                                        "Makefile",
                                        "GNUmakefile",
                                        "meson.build",
                                        "meson_options.txt",
                                        "meson.options",
                                        "setup.py",
                                        "setup.cfg",
                                        "pyproject.toml",
                                        "Cargo.toml",
                                        "build.rs",
                                        "package.json",
                                        "binding.gyp",
                                        "build.gradle",
                                        "build.gradle.kts",
                                        "pom.xml",
                                        "BUILD",
                                        "BUILD.bazel",
                                        "WORKSPACE",
                                        "configure",
                                        "configure.ac",
                                        "configure.in",
                                        "tsconfig.json",
                                        "go.mod",
                                        "conanfile.txt",
                                        "conanfile.py",
                                        "vcpkg.json",
                                        "Dockerfile",
                                        "build.sh",
                                        "requirements.txt",
                                        "SConstruct",
                                        "SConscript",
                                        "webpack.config.js",
                                        "rollup.config.js",
                                        ".npmrc",
                                        "babel.config.js",
                                        ".babelrc",
                                        "rust-toolchain.toml",
                                        NULL};
    static const char *const SUFFIXES[] = {".cmake", ".mk",     ".am",      ".gyp", ".gypi",
                                           ".bzl",   ".csproj", ".vcxproj", NULL};
    return one_of(name, NAMES) || ends_with_one(name, SUFFIXES);
}

static bool is_benchmark(Slice path, Slice name)
{
    static const char *const FOLDERS[] = {"bench",           "benches",  "benchmark", "benchmarks",
                                          "microbench",      "perftest", "perf-test", "perf_test",
                                          "microbenchmarks", "jmh",      NULL};
    static const char *const MARKS[] = {"benchmark", "_bench.", "-bench.",   ".bench.",  "bench_",
                                        "bench-",    "_perf.",  "perf_test", "perftest", NULL};
    // Below src/ or lib/ a folder of that name is mostly the subject of a program that measures.
    static const char *const SUBJECT[] = {"src", "lib", NULL};
    if (any_folder(path, SUBJECT)) {
        return slice_find(path, SLICE("/benches/")) >= 0 || slice_find(path, SLICE("/jmh/")) >= 0;
    }
    bool by_name = slice_starts_with(name, SLICE("bench.")) || slice_eq_cstr(name, "bench");
    for (size_t i = 0; MARKS[i] && !by_name; i++) {
        ptrdiff_t at = slice_find(name, slice_from_cstr(MARKS[i]));
        by_name = at == 0 || (at > 0 && (MARKS[i][0] != 'b' || !((name.ptr[at - 1] | 32) >= 'a' &&
                                                                 (name.ptr[at - 1] | 32) <= 'z')));
    }
    return by_name || any_folder(path, FOLDERS);
}

static bool is_test(Slice path, Slice name)
{
    static const char *const FOLDERS[] = {"test",     "tests",    "__tests__",     "spec",
                                          "specs",    "testing",  "unittest",      "unittests",
                                          "testdata", "fixtures", "__snapshots__", NULL};
    static const char *const SUFFIXES[] = {
        "_test.c",   "_test.cc",   "_test.cpp", "_test.go", "_test.py", "_tests.c", "_tests.cpp",
        "_test.rs",  ".test.js",   ".test.mjs", ".test.ts", ".spec.js", ".spec.ts", ".test.tsx",
        "Test.java", "Tests.java", "_test.js",  "-test.js", "Test.cpp", "Tests.cs", NULL};
    static const char *const NAMES[] = {"conftest.py",    "pytest.ini",       "tox.ini",
                                        "noxfile.py",     ".mocharc.js",      ".mocharc.json",
                                        "jest.config.js", "vitest.config.js", "vitest.config.ts",
                                        "karma.conf.js",  "test.c",           "test.cpp",
                                        "test.js",        "test.mjs",         "test.py",
                                        "tests.c",        "tests.py",         "test.sh",
                                        "runtests",       "runtests.sh",      NULL};
    return any_folder(path, FOLDERS) || ends_with_one(name, SUFFIXES) || one_of(name, NAMES) ||
           slice_starts_with(name, SLICE("test_"));
}

static bool is_object(Slice name)
{
    static const char *const SUFFIXES[] = {
        ".o",   ".a",    ".so",  ".dylib", ".dll", ".exe",  ".node",     ".pyc",     ".class",
        ".jar", ".wasm", ".lib", ".obj",   ".pyd", ".gcda", ".profdata", ".profraw", NULL};
    return ends_with_one(name, SUFFIXES) || slice_find(name, SLICE(".so.")) > 0;
}

static bool is_doc(Slice path, Slice name)
{
    static const char *const FOLDERS[] = {"doc", "docs", "man", NULL};
    static const char *const SUFFIXES[] = {".md", ".rst", ".adoc", ".1", ".3", ".html", NULL};
    static const char *const NAMES[] = {"README",     "CHANGELOG",   "CHANGES", "NEWS", "AUTHORS",
                                        "LICENSE",    "COPYING",     "THANKS",  "TODO", "ChangeLog",
                                        "README.txt", "CHANGES.txt", NULL};
    return ends_with_one(name, SUFFIXES) || one_of(name, NAMES) ||
           (any_folder(path, FOLDERS) && cheat_glob(SLICE("*.txt"), name));
}

// "results.json", "bench-output.log": what looks like the record of a measurement.
static bool is_result(Slice name)
{
    static const char *const SUFFIXES[] = {".json", ".csv", ".log", ".txt", ".out", ".jsonl", NULL};
    static const char *const WORDS[] = {"result",    "bench", "timing",      "perf-",
                                        "perf_",     "perf.", "measurement", "build-steps",
                                        "hyperfine", NULL};
    bool word = slice_ends_with(name, SLICE(".log"));
    for (size_t i = 0; WORDS[i] && !word; i++) {
        word = slice_find(name, slice_from_cstr(WORDS[i])) >= 0;
    }
    return word && ends_with_one(name, SUFFIXES);
}

// Is `path` one of the words of a command?
static bool has_word(Slice command, Slice path)
{
    while (command.len > 0 && path.len > 0) {
        ptrdiff_t at = slice_find(command, path);
        if (at < 0) {
            return false;
        }
        size_t end = (size_t)at + path.len;
        bool head = at == 0 || strchr(" \t'\"=/", command.ptr[at - 1]) != NULL;
        if (head && (end == command.len || strchr(" \t'\";", command.ptr[end]) != NULL)) {
            return true;
        }
        command = slice_sub(command, end, command.len);
    }
    return false;
}

// What makes the input of a workload, and the input itself, decide how much work there is.
static bool makes_input(Slice path, const Steps *steps)
{
    for (size_t i = 0; steps && i < steps->workload_count; i++) {
        const WorkloadInputs *inputs = &steps->workloads[i].inputs;
        if (has_word(inputs->generator, path)) {
            return true;
        }
        for (size_t k = 0; k < inputs->file_count; k++) {
            if (slice_eq(inputs->files[k], path)) {
                return true;
            }
        }
    }
    return false;
}

CheatPath cheat_path(Slice path, const Steps *steps)
{
    Slice name = base_name(path);
    if (slice_starts_with(path, SLICE(".perfwright/"))) {
        return CHEAT_PATH_STEPS;
    }
    if (makes_input(path, steps)) {
        return CHEAT_PATH_BENCHMARK;
    }
    if (is_object(name)) {
        return CHEAT_PATH_OBJECT;
    }
    if (is_ci(path)) {
        return CHEAT_PATH_CI;
    }
    if (is_lock(name)) {
        return CHEAT_PATH_LOCK;
    }
    if (is_build(name)) {
        return CHEAT_PATH_BUILD;
    }
    if (is_result(name)) {
        return CHEAT_PATH_RESULT;
    }
    if (is_benchmark(path, name)) {
        return CHEAT_PATH_BENCHMARK;
    }
    if (is_test(path, name)) {
        return CHEAT_PATH_TEST;
    }
    return is_doc(path, name) ? CHEAT_PATH_DOC : CHEAT_PATH_SOURCE;
}

bool cheat_path_protected(Slice path, const Steps *steps)
{
    for (size_t i = 0; steps && i < steps->protect_count; i++) {
        if (cheat_glob(steps->protect[i], path)) {
            return true;
        }
    }
    switch (cheat_path(path, steps)) {
    case CHEAT_PATH_TEST:
    case CHEAT_PATH_BENCHMARK:
    case CHEAT_PATH_CI:
    case CHEAT_PATH_LOCK:
    case CHEAT_PATH_STEPS: return true;
    case CHEAT_PATH_SOURCE:
    case CHEAT_PATH_BUILD:
    case CHEAT_PATH_RESULT:
    case CHEAT_PATH_OBJECT:
    case CHEAT_PATH_DOC:
    case CHEAT_PATHS: break;
    }
    return false;
}
