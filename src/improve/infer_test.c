#include "improve/infer.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "improve/infer_shell.h"

enum { FILES_MAX = 8 };

typedef struct Case {
    const char *what;
    const char *files[2 * FILES_MAX]; // path, text, ...
    const char *recipe;               // the first
    const char *build, *test;         // found in its first alternatives
} Case;

static Inference *inferred(Arena *arena, const char *const *files)
{
    TreeFile list[FILES_MAX] = {0};
    size_t count = 0;
    for (; count < FILES_MAX && files[2 * count]; count++) {
        list[count] = (TreeFile){.path = slice_from_cstr(files[2 * count]),
                                 .text = slice_from_cstr(files[2 * count + 1])};
    }
    Tree *tree = ARENA_NEW(arena, Tree);
    tree_make(arena, list, count, tree);
    Inference *in = NULL;
    assert_int_equal(infer(tree, &(InferOptions){0}, &in, NULL), 0);
    return in;
}

static const Case CASES[] = {
    {"cmake with options",
     {"CMakeLists.txt",
      "project(x C)\noption(X_BUILD_TESTS \"t\" OFF)\noption(X_BENCHMARK \"b\" OFF)\n"
      "option(X_WERROR \"w\" ON)\noption(X_TEST_COVERAGE \"c\" OFF)\nenable_testing()\n",
      "a.c", "int a(void) { return 1; }\n"},
     "cmake",
     "-DX_WERROR=OFF -DBUILD_TESTING=ON -DX_BUILD_TESTS=ON -DX_BENCHMARK=ON",
     "ctest --test-dir build"},
    {"a build directory that is taken",
     {"CMakeLists.txt", "project(x C)\n", "build/VS/x.sln", "", "a.c", "int a;\n"},
     "cmake",
     "-B build-perfwright",
     "ctest --test-dir build-perfwright"},
    {"meson",
     {"meson.build", "project('x', 'c')\n", "meson_options.txt",
      "option('tests', type: 'boolean', value: false)\noption('bench',\n  type: 'feature')\n",
      "a.c", "int a;\n"},
     "meson",
     "-Dtests=true -Dbench=enabled",
     "meson test -C build"},
    {"autotools",
     {"configure.ac", "AC_INIT\nAM_INIT_AUTOMAKE\nLT_INIT\n", "autogen.sh", "", "a.c", "int a;\n"},
     "autotools",
     "sh ./autogen.sh",
     "make check"},
    {"make",
     {"Makefile", "CFLAGS := -O2\nall: x\ncheck: all\n\t./x\nbench perf: x\n\t./x\n", "x.c",
      "int main(void) { return 0; }\n"},
     "make",
     "make -j",
     "make check"},
    {"cargo workspace",
     {"Cargo.toml", "[workspace]\nmembers = [\"a\"]\n", "a/src/lib.rs", "pub fn a() {}\n"},
     "cargo",
     "cargo build --release --offline --workspace",
     "cargo test --offline --workspace"},
    {"go",
     {"go.mod", "module example.com/x\n", "x.go", "package x\n"},
     "go",
     "go build ./...",
     "go test ./..."},
    {"npm with a linter before its tests",
     {"package.json", "{\"scripts\": {\"test\": \"standard && tape test/*.js\"}}", "a.js", "x\n"},
     "npm",
     "node --check",
     "\ntape test/*.js"},
    {"npm without tests of its own",
     {"package.json",
      "{\"scripts\": {\"test\": \"echo \\\"Error: no test specified\\\" && exit 1\"}}", "a.js",
      "x\n"},
     "npm",
     "node --check",
     "node --test"},
    {"maven of old",
     {"pom.xml", "<project><source>1.6</source></project>", "src/main/java/A.java", "class A {}\n"},
     "maven",
     "-Dmaven.compiler.source=8",
     "mvn -o"},
    {"python",
     {"pyproject.toml",
      "[project]\nname = 'x'\n[project.optional-dependencies]\ntest = ['pytest']\n",
      "x/__init__.py", "a = 1\n", "tests/test_x.py", "import hypothesis\n"},
     "python",
     "ast.parse",
     "-m pytest -q -p no:cacheprovider tests"},
    {"a lone program", {"sort.c", "int main(void) { return 0; }\n"}, "sources", "cc -O2", NULL},
    {"the language decides",
     {"package.json", "{\"scripts\": {\"test\": \"mocha\"}}", "setup.py", "x\n", "x.py",
      "a = 1\nb = 2\nc = 3\n"},
     "python",
     "ast.parse",
     "pytest"},
};

static void test_recipes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        const Case *c = &CASES[i];
        Arena *arena = arena_create(64 << 20);
        Inference *in = inferred(arena, c->files);
        print_message("%s\n", c->what);
        assert_true(in->recipe_count > 0);
        const Recipe *r = &in->recipes[0];
        assert_true(slice_eq_cstr(r->name, c->recipe));
        assert_true(r->build_count > 0 && text_has(r->builds[0].run, c->build));
        assert_true(c->test ? r->test_count > 0 && text_has(r->tests[0].run, c->test)
                            : r->test_count == 0);
        arena_destroy(arena);
    }
}

// What Maven's plugins load is loaded by running one test; which one.
static void test_maven_install(void **state)
{
    (void)state;
    static const struct {
        const char *what, *path, *text, *expected;
    } CLASSES[] = {
        {"JUnit 4 and 5", "src/test/java/x/ATest.java", "class ATest { @Test void a() {} }",
         " -Dtest=ATest "},
        {"JUnit 3", "src/test/java/x/BTest.java", "class BTest extends TestCase {}",
         " -Dtest=BTest "},
        {"a base class runs nothing", "src/test/java/x/BaseTest.java",
         "abstract class BaseTest { @Test void a() {} }", " -Dtest=NoSuchTestAtAll "},
        {"a helper", "src/test/java/x/InTest.java", "class InTest {}", " -Dtest=NoSuchTestAtAll "},
        {"what is not a test by its place", "src/main/java/x/CTest.java", "@Test class CTest {}",
         " -Dtest=NoSuchTestAtAll "},
        {"a name for the shell", "src/test/java/$(id)Test.java", "@Test", "=NoSuchTestAtAll "},
    };
    for (size_t i = 0; i < COUNT_OF(CLASSES); i++) {
        const char *files[2 * FILES_MAX] = {"pom.xml", "<project/>", CLASSES[i].path,
                                            CLASSES[i].text};
        Arena *arena = arena_create(64 << 20);
        Inference *in = inferred(arena, files);
        print_message("%s\n", CLASSES[i].what);
        assert_true(in->recipe_count > 0 && in->recipes[0].install_count == 1);
        assert_true(text_has(in->recipes[0].installs[0].run, CLASSES[i].expected));
        arena_destroy(arena);
    }
}

static const char WORKFLOW[] =
    "on: push\n"
    "env: {TOP: '1'}\n"
    "jobs:\n"
    "  lint: {runs-on: ubuntu-latest, steps: [{run: make check}]}\n"
    "  build:\n"
    "    runs-on: ${{ matrix.os }}\n"
    "    strategy: {matrix: {os: [windows-latest, ubuntu-22.04], cc: [gcc, clang]}}\n"
    "    steps:\n"
    "      - uses: actions/checkout@v4\n"
    "      - run: |\n"
    "          sudo apt-get update\n"
    "          sudo apt-get install -y --no-install-recommends \\\n"
    "            libfoo-dev clang-15 bar=1.2\n"
    "      - if: runner.os == 'Windows'\n"
    "        run: cmake -G VS .\n"
    "      - run: |\n"
    "          mkdir out && cd out\n"
    "          CC=${{ matrix.cc }} cmake ..\n"
    "          make\n"
    "      - working-directory: out\n"
    "        run: ctest\n"
    "      - run: codecov\n";

static void test_a_workflow(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    const char *files[] = {".github/workflows/ci.yml", WORKFLOW, NULL, NULL};
    Inference *in = inferred(arena, files);
    assert_int_equal(in->recipe_count, 1);
    const Recipe *r = &in->recipes[0];
    assert_true(slice_eq_cstr(r->name, "github workflow ci.yml, job build"));
    assert_true(slice_eq_cstr(r->builds[0].run,
                              "set -e\n"
                              "(export TOP='1'\nmkdir -p out && cd out\n"
                              "CC=gcc cmake ..\n)\n"
                              "(export TOP='1'\nmkdir -p out && cd out\nmake\n)"));
    assert_true(slice_eq_cstr(r->tests[0].run, "set -e\n(export TOP='1'\ncd 'out'\nctest\n)"));
    assert_true(slice_eq_cstr(r->tests[0].source, ".github/workflows/ci.yml:16"));
    // clang is for another row of the matrix.
    assert_int_equal(in->package_count, 2);
    assert_true(slice_eq_cstr(in->packages[0].name, "libfoo-dev"));
    assert_true(slice_eq_cstr(in->packages[1].name, "bar"));
    arena_destroy(arena);
}

static void test_an_unknown_expression_makes_a_job_late(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    const char *files[] = {".github/workflows/ci.yml",
                           "jobs:\n  a:\n    runs-on: ubuntu\n    steps:\n"
                           "      - run: make test X=${{ secrets.K }}\n",
                           "Makefile",
                           "test:\n\ttrue\n",
                           NULL,
                           NULL};
    Inference *in = inferred(arena, files);
    assert_int_equal(in->recipe_count, 2);
    assert_true(slice_eq_cstr(in->recipes[0].name, "make"));
    arena_destroy(arena);
}

static void test_shell_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        ShellKind kind;
    } KINDS[] = {
        {"sudo apt-get install -y x", SHELL_SYSTEM},
        {"cd build && cmake ..", SHELL_BUILD},
        {"make -j4 && make check", SHELL_TEST},
        {"cargo clippy", SHELL_NOTHING},
        {"npm run lint", SHELL_NOTHING},
        {"npm ci", SHELL_INSTALL},
        {"go test -bench . ./...", SHELL_BENCHMARK},
        {"export A=1", SHELL_PLACE},
        {"# make", SHELL_NOTHING},
        {"make install", SHELL_NOTHING},
    };
    for (size_t i = 0; i < COUNT_OF(KINDS); i++) {
        assert_int_equal(shell_kind(slice_from_cstr(KINDS[i].line)), KINDS[i].kind);
    }
}

static void test_benchmarks(void **state)
{
    (void)state;
    static const char *const FILES[2 * FILES_MAX] = {
        "bench/hash.cc",
        "#include <benchmark/benchmark.h>\nBENCHMARK(BM_hash)->Arg(1);\n",
        "x_test.go",
        "func BenchmarkX(b *testing.B) {\n}\nfunc BenchmarkHelp(b *testing.B, n int) {\n}\n",
        "benches/sort.rs",
        "use criterion::Criterion;\n",
        "tests/test_a.py",
        "def test_fast(benchmark):\n    pass\n",
        "src/B.java",
        "import org.openjdk.jmh.annotations.*;\n  @Benchmark\n  public void run() {\n",
        "benchmark/parse.js",
        "const Benchmark = require('benchmark')\n",
        "Cargo.toml",
        "[package]\nname = \"x\"\n[dev-dependencies]\ncriterion = \"0.5\"\n",
        "src/workbenchmen.c",
        "int x;\n"};
    static const struct {
        const char *name, *harness, *source;
    } EXPECTED[] = {{"BM_hash", "google-benchmark", "bench/hash.cc:2"},
                    {"BenchmarkX", "go", "x_test.go:1"},
                    {"sort", "criterion", "benches/sort.rs:1"},
                    {"test_fast", "pytest-benchmark", "tests/test_a.py:1"},
                    {"B.run", "jmh", "src/B.java:3"},
                    {"parse", "benchmark.js", "benchmark/parse.js:1"}};
    Arena *arena = arena_create(64 << 20);
    const Steps *s = &inferred(arena, FILES)->found;
    for (size_t i = 0; i < COUNT_OF(EXPECTED); i++) {
        bool found = false;
        for (size_t k = 0; k < s->benchmark_count; k++) {
            const Benchmark *b = &s->benchmarks[k];
            found |= slice_eq_cstr(b->name, EXPECTED[i].name) &&
                     slice_eq_cstr(b->harness, EXPECTED[i].harness) &&
                     slice_eq_cstr(b->source, EXPECTED[i].source);
        }
        assert_true(found || (print_message("no %s\n", EXPECTED[i].name), false));
    }
    for (size_t k = 0; k < s->benchmark_count; k++) {
        print_message("%.*s %.*s\n", SLICE_FMT(s->benchmarks[k].name),
                      SLICE_FMT(s->benchmarks[k].source));
    }
    assert_int_equal(s->benchmark_count, COUNT_OF(EXPECTED));
    arena_destroy(arena);
}

static void test_wanted_packages(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    const char *files[] = {"CMakeLists.txt",
                           "project(x)\nfind_package(ZLIB REQUIRED)\npkg_check_modules(U libuv)\n",
                           "meson.build",
                           "g = dependency('gtest', required: false)\n",
                           NULL,
                           NULL};
    Inference *in = inferred(arena, files);
    bool zlib = false, uv = false, gtest = false;
    for (size_t i = 0; i < in->package_count; i++) {
        const PackageWish *p = &in->packages[i];
        zlib |= slice_eq_cstr(p->name, "zlib1g-dev") && p->needed;
        uv |= slice_eq_cstr(p->name, "libuv1-dev") && !p->needed;
        gtest |= slice_eq_cstr(p->name, "libgtest-dev") && p->needed;
    }
    assert_true(zlib && uv && gtest);
    arena_destroy(arena);
}

static void test_nothing_to_see(void **state)
{
    (void)state;
    Arena *arena = arena_create(64 << 20);
    const char *files[] = {"README", "", NULL, NULL};
    Inference *in = inferred(arena, files);
    assert_int_equal(in->recipe_count, 0);
    assert_true(slice_eq_cstr(in->language, "unknown"));
    Inference *none = NULL;
    assert_int_equal(infer(in->tree, &(InferOptions){.directory = SLICE("no")}, &none, NULL),
                     ERR_NOT_FOUND);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recipes),
        cmocka_unit_test(test_maven_install),
        cmocka_unit_test(test_a_workflow),
        cmocka_unit_test(test_an_unknown_expression_makes_a_job_late),
        cmocka_unit_test(test_shell_kinds),
        cmocka_unit_test(test_benchmarks),
        cmocka_unit_test(test_wanted_packages),
        cmocka_unit_test(test_nothing_to_see),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
