// One row a cheat (of the catalogue in docs/internals/cheats.md) and one a patch that looks like it
// and is honest: additions, moved lines, adapted tests, caches by content.
#include "improve/cheat.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

static const char STEPS_TEXT[] =
    "version: 1\n"
    "build: [{name: build, run: make}]\n"
    "workloads:\n"
    "  - name: parse\n"
    "    run: ./parse {input}\n"
    "    metric: wall\n"
    "    output: out/result.json\n"
    "    inputs:\n"
    "      generator: python3 gen.py --seed {seed} --size {size} > {input}\n"
    "      sizes: [12345]\n"
    "  - name: bench\n"
    "    run: node benchmark/run.js\n"
    "    metric: wall\n"
    "artifacts: [parse]\n"
    "protect: [data/golden/**]\n";

typedef struct Case {
    const char *path;   // "-path": deleted, "+path": added, else modified
    const char *body;   // lines of one hunk
    Cheat cheat;        // that must be among the findings
    FindingLevel level; // FINDING_NOTE and cheat 0: nothing above a note
} Case;

static const Case CASES[] = {
    // 1: what measures
    {"benchmark/run.js", "-run(parse, text)\n+run(parse, short)\n", CHEAT_EDITS_MEASUREMENT,
     FINDING_CHEAT},
    {"-benchmark/run.js", "-run(parse, text)\n", CHEAT_EDITS_MEASUREMENT, FINDING_CHEAT},
    {"gen.py", "-print(text)\n+print(text[:5])\n", CHEAT_EDITS_MEASUREMENT, FINDING_CHEAT},
    {".perfwright/steps.yaml", "-a: 1\n+a: 2\n", CHEAT_EDITS_MEASUREMENT, FINDING_CHEAT},
    {"data/golden/x.bin.txt", "-a\n+b\n", CHEAT_EDITS_MEASUREMENT, FINDING_CHEAT},
    {"benchmark/run.js", "+run(parse, other)\n", 0, FINDING_NOTE},
    {"+benchmark/new.js", "+run(parse, other)\n", 0, FINDING_NOTE},
    {"benchmark/unnamed.js", "-const a = require('x')\n+const b = require('y')\n", 0, FINDING_NOTE},
    {".github/workflows/ci.yml", "-  - run: make\n+  - run: make -j2\n", 0, FINDING_NOTE},
    {"src/benchmark/executor.rs", "-run(parse, text)\n+run(parse, &text)\n", 0, FINDING_NOTE},
    // 2: less of it
    {"benchmark/unnamed.js",
     "-for (let i = 0; i < 100000; i++) {\n+for (let i = 0; i < 1000; i++) {\n", CHEAT_LESS_WORK,
     FINDING_CHEAT},
    {"bench/b.c", "-#define ITERATIONS 1e6\n+#define ITERATIONS 1e3\n", CHEAT_LESS_WORK,
     FINDING_CHEAT},
    {"tests/bench_parse.py", "-    for _ in range(1_000):\n+    for _ in range(10):\n",
     CHEAT_LESS_WORK, FINDING_CHEAT},
    {"bench/b.c", "-#define ITERATIONS 1000\n+#define ITERATIONS 100000\n", 0, FINDING_NOTE},
    // 3: the answer
    {"lib/a.c", "+    return 982451653;\n", CHEAT_ANSWER_KNOWN, FINDING_CHEAT},
    {"lib/a.js", "+  return 'd41d8cd98f00b204e9800998ecf8427e'\n", CHEAT_ANSWER_KNOWN,
     FINDING_CHEAT},
    {"lib/a.py",
     "+    if h == '24f29bfb8c00a420588b76687cbe490cfec2ca01e2be47a6c99636bdac7163de':\n",
     CHEAT_ANSWER_KNOWN, FINDING_CHEAT},
    {"lib/a.c", "+    if (n == 12345) {\n", CHEAT_ANSWER_KNOWN, FINDING_DOUBT},
    {"lib/a.c", "+    static const unsigned M = 4294967295u, K = 2654435769u;\n", 0, FINDING_NOTE},
    {"lib/a.c", "+    x = n / 12345;\n", 0, FINDING_NOTE},
    // 4: the last input
    {"lib/a.c",
     "+    static const char *last;\n+    static int last_sum;\n+    if (text == last) {\n"
     "+        return last_sum;\n+    }\n",
     CHEAT_CACHE_IN_PROCESS, FINDING_CHEAT},
    {"lib/a.c",
     "+    static char last[99];\n+    static int last_sum;\n+    if (strcmp(last, text) == 0)\n"
     "+        return last_sum;\n",
     CHEAT_CACHE_IN_PROCESS, FINDING_DOUBT},
    {"lib/a.py",
     "+_last = None\n+_sum = 0\n+    global _last, _sum\n+    if _last is text:\n"
     "+        return _sum\n",
     CHEAT_CACHE_IN_PROCESS, FINDING_DOUBT},
    {"lib/a.js",
     "+let lastText = null\n+let lastSum = 0\n+  if (lastText === text) {\n+    return lastSum\n",
     CHEAT_CACHE_IN_PROCESS, FINDING_DOUBT},
    {"lib/a.c",
     "+static int ready;\n+static int table[256];\n+    if (ready == 0) {\n+        fill(table);\n"
     "+    return table[i];\n",
     0, FINDING_NOTE},
    {"lib/a.py", "+@functools.lru_cache(maxsize=None)\n", 0, FINDING_NOTE},
    // 5: files that outlive the process
    {"lib/a.c", "+    FILE *f = fopen(\"/tmp/sum.cache\", \"r\");\n", CHEAT_CACHE_ON_DISK,
     FINDING_DOUBT},
    {"lib/a.js", "+  fs.writeFileSync(path, text)\n", 0, FINDING_NOTE},
    // 6: before and after
    {"lib/a.c", "+__attribute__((constructor)) static void fill(void)\n", CHEAT_WORK_MOVED,
     FINDING_NOTE},
    {"lib/a.js", "+  setTimeout(() => finish(text), 0)\n", CHEAT_WORK_MOVED, FINDING_NOTE},
    // 7: beside
    {"lib/a.c", "+    if (daemon(0, 0) == 0)\n", CHEAT_BACKGROUND, FINDING_DOUBT},
    {"lib/a.js", "+  spawn('node', [f], { detached: true })\n", CHEAT_BACKGROUND, FINDING_DOUBT},
    {"lib/a.c", "+    pthread_create(&t, NULL, work, p);\n", CHEAT_BACKGROUND, FINDING_NOTE},
    // 8: who measures
    {"lib/a.c", "+    if (getenv(\"BENCHMARK_MODE\"))\n", CHEAT_DETECTS_HARNESS, FINDING_CHEAT},
    {"lib/a.py", "+if os.environ.get('PERFWRIGHT_GOAL_FILE'):\n", CHEAT_DETECTS_HARNESS,
     FINDING_CHEAT},
    {"lib/a.py", "+    f = sys._getframe(1).f_code.co_filename\n", CHEAT_DETECTS_HARNESS,
     FINDING_DOUBT},
    {"lib/a.c", "+    return getenv(\"HOME\");\n", CHEAT_DETECTS_HARNESS, FINDING_NOTE},
    {"lib/a.c", "-    pid = getppid();\n+    pid_t pid = getppid();\n", 0, FINDING_NOTE},
    {"lib/a.c", "+    // getppid() and daemon() are not used here\n", 0, FINDING_NOTE},
    // 9: the clock
    {"lib/a.c", "+int clock_gettime(clockid_t id, struct timespec *t)\n", CHEAT_CLOCK,
     FINDING_CHEAT},
    {"lib/a.h", "+#define gettimeofday(a, b) slow_clock(a)\n", CHEAT_CLOCK, FINDING_CHEAT},
    {"lib/a.js", "+performance.now = () => 0\n", CHEAT_CLOCK, FINDING_CHEAT},
    {"tests/conftest.py", "+time.perf_counter = lambda: 0.0\n", CHEAT_CLOCK, FINDING_CHEAT},
    {"lib/a.c", "+    clock_gettime(CLOCK_MONOTONIC, &t);\n", 0, FINDING_NOTE},
    {"lib/a.js", "+  const t = performance.now()\n+  if (Date.now === x) {\n", 0, FINDING_NOTE},
    {"lib/a.c", "+static uint32_t times(const Virtual *v)\n", 0, FINDING_NOTE},
    {"lib/a.c", "+    puts(\"perfwright\");\n", 0, FINDING_NOTE},
    {"+tests/test_new.py", "+@pytest.mark.skipif(WINDOWS)\n+def test_new():\n", 0, FINDING_NOTE},
    {"lib/a.c", "+    if (x == 9223372036854775807) {\n", 0, FINDING_NOTE},
    {"lib/a.h", "+int gettimeofday(struct timeval *t, void *z);\n", 0, FINDING_NOTE},
    // 10: flags
    {"CMakeLists.txt", "-set(CMAKE_C_FLAGS \"-O2\")\n+set(CMAKE_C_FLAGS \"-O3\")\n", CHEAT_FLAGS,
     FINDING_CHEAT},
    {"Makefile", "+CFLAGS += -ffast-math\n", CHEAT_FLAGS, FINDING_CHEAT},
    {"Makefile", "-CFLAGS = -g -fsanitize=address\n+CFLAGS = -g\n", CHEAT_FLAGS, FINDING_CHEAT},
    {"setup.py", "+    extra_compile_args=['-march=native'],\n", CHEAT_FLAGS, FINDING_CHEAT},
    {"Cargo.toml", "-opt-level = 2\n+opt-level = 3\n", CHEAT_FLAGS, FINDING_CHEAT},
    {"meson.build",
     "-  default_options: ['buildtype=debug'])\n"
     "+  default_options: ['buildtype=release'])\n",
     CHEAT_FLAGS, FINDING_CHEAT},
    {"lib/a.c", "+#pragma GCC optimize(\"Ofast\")\n", CHEAT_FLAGS, FINDING_CHEAT},
    {"Makefile", "+CFLAGS += -mavx2\n", CHEAT_FLAGS, FINDING_CHEAT},
    {"Makefile", "-a.o: a.c\n-\t$(CC) -O2 -c a.c\n+a.o: a.c a.h\n+\t$(CC) -O2 -c a.c\n", 0,
     FINDING_NOTE},
    {"CMakeLists.txt", "+  src/fast_path.c\n", 0, FINDING_NOTE},
    // 11: libraries
    {"Makefile", "+LDLIBS += -ljemalloc\n", CHEAT_OTHER_LIBRARY, FINDING_CHEAT},
    {"Makefile", "+LDLIBS += -lfastzlib -lm\n", CHEAT_OTHER_LIBRARY, FINDING_DOUBT},
    {"Makefile", "-LDLIBS = -lm\n+LDLIBS = -lm -lpthread\n", 0, FINDING_NOTE},
    {"package.json", " \"dependencies\": {\n+  \"fast-parse\": \"^1.0.0\"\n", CHEAT_OTHER_LIBRARY,
     FINDING_DOUBT},
    {"package.json", " \"devDependencies\": {\n+  \"benchmark\": \"^2.1.4\"\n", 0, FINDING_NOTE},
    {"package.json", "-  \"version\": \"1.0.1\",\n+  \"version\": \"1.0.2\",\n", 0, FINDING_NOTE},
    {"lib/a.py", "+lib = ctypes.CDLL('libfast.so')\n", CHEAT_OTHER_LIBRARY, FINDING_DOUBT},
    // 12: records
    {"+out/result.json", "+{\"time\": 0.001}\n", CHEAT_FABRICATED, FINDING_CHEAT},
    {"+bench-results.json", "+{\"speedup\": 12}\n", CHEAT_FABRICATED, FINDING_NOTE},
    {"lib/a.c", "+    printf(\"METRIC %s=%d\\n\", \"time\", 1);\n", CHEAT_FABRICATED,
     FINDING_DOUBT},
    // 13: units
    {"bench/b.c", "-    report(ns / 1e6, \"ms\");\n+    report(ns / 1e9, \"ms\");\n", CHEAT_UNITS,
     FINDING_CHEAT},
    {"bench/b.c", "-    printf(\"%f ms\", t);\n+    printf(\"%f us\", t);\n", CHEAT_UNITS,
     FINDING_CHEAT},
    // 14: tests
    {"tests/test_a.py", "+@pytest.mark.skip\n", CHEAT_TESTS_SKIPPED, FINDING_CHEAT},
    {"test/a.test.js", "-  it('parses', () => {\n+  it.skip('parses', () => {\n",
     CHEAT_TESTS_SKIPPED, FINDING_CHEAT},
    {"-tests/test_a.py", "-def test_one():\n-    assert f() == 1\n", CHEAT_TESTS_SKIPPED,
     FINDING_CHEAT},
    {"tests/run.sh", "-./t\n+./t || true\n", CHEAT_TESTS_SKIPPED, FINDING_CHEAT},
    {"package.json", "-    \"test\": \"mocha\"\n+    \"test\": \"exit 0\"\n", CHEAT_TESTS_SKIPPED,
     FINDING_CHEAT},
    {"meson.build", "-add_test('a', exe)\n", CHEAT_TESTS_SKIPPED, FINDING_CHEAT},
    {"tests/a_test.c", "-    assert_int_equal(f(), 1);\n", CHEAT_TESTS_SKIPPED, FINDING_DOUBT},
    {"tests/test_a.py",
     "-def test_one():\n-    assert f(1) == 1\n+def test_first():\n"
     "+    assert f(1, 2) == 1\n",
     0, FINDING_NOTE},
    {"tests/test_a.py", "+def test_one():\n+    assert f(1) == 1\n", 0, FINDING_NOTE},
    // 15: validation that goes: a note, hidden inputs decide
    {"lib/a.c", "-    if (n > MAX) return -1;\n+    n &= MASK;\n", CHEAT_WRONG_UNSEEN,
     FINDING_NOTE},
    // 18: ready-made
    {"+parse.o", "+ELF\n", CHEAT_STALE, FINDING_DOUBT},
    {"+prof/a.gcda", "+x\n", CHEAT_FLAGS, FINDING_CHEAT},
    // Honest work in every kind of file
    {"lib/a.c",
     "-    for (i = 0; i < strlen(s); i++) {\n+    size_t n = strlen(s);\n"
     "+    for (i = 0; i < n; i++) {\n",
     0, FINDING_NOTE},
    {"CHANGELOG.md", "+- 3x faster parsing (-O3, /tmp/x)\n", 0, FINDING_NOTE},
    {"lib/a.js", "-  return re.test(s)\n+  return s === 'x'\n", 0, FINDING_NOTE},
    {"package-lock.json", "-  \"a\": 1\n+  \"a\": 2\n", 0, FINDING_NOTE},
};

static void put_diff(Buf *out, const Case *c)
{
    const char *path = c->path + (c->path[0] == '+' || c->path[0] == '-');
    int counts[3] = {0};
    for (const char *p = c->body; *p; p = strchr(p, '\n') + 1) {
        counts[*p == ' ' ? 0 : *p == '+' ? 1 : 2]++;
    }
    buf_printf(out, "--- %s%s\n+++ %s%s\n@@ -%d,%d +%d,%d @@\n%s", c->path[0] == '+' ? "" : "a/",
               c->path[0] == '+' ? "/dev/null" : path, c->path[0] == '-' ? "" : "b/",
               c->path[0] == '-' ? "/dev/null" : path, counts[0] + counts[2] > 0,
               counts[0] + counts[2], counts[0] + counts[1] > 0, counts[0] + counts[1], c->body);
}

static bool found(const Findings *findings, Cheat cheat, FindingLevel level)
{
    for (size_t i = 0; i < findings->count; i++) {
        const Finding *f = &findings->items[i];
        if (f->level == level && slice_eq_cstr(f->check, cheat_check(cheat))) {
            return true;
        }
    }
    return false;
}

static void print_findings(const Findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        const Finding *f = &findings->items[i];
        print_message("  %s %.*s %.*s:%ld %.*s\n", FINDING_LEVEL_NAMES[f->level],
                      SLICE_FMT(f->check), SLICE_FMT(f->file), f->line, SLICE_FMT(f->text));
    }
}

static void scan_text(Arena *arena, Slice diff, const Steps *steps, Findings *findings)
{
    Slice inputs[] = {SLICE_INIT("the declared input\n")};
    Slice outputs[] = {SLICE_INIT("sum 982451653\nd41d8cd98f00b204e9800998ecf8427e\n")};
    Patch patch;
    Err e = {0};
    assert_int_equal(patch_parse(arena, diff, &patch, &e), 0);
    (void)cheat_scan_patch(&(CheatScan){.patch = &patch,
                                        .steps = steps,
                                        .inputs = inputs,
                                        .input_count = 1,
                                        .outputs = outputs,
                                        .output_count = 1},
                           findings);
}

static void test_every_cheat_and_its_honest_likeness(void **state)
{
    (void)state;
    Arena *arena = arena_create(8 << 20);
    Buf diff = buf_create(64 << 10);
    bool ok = true;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        arena_reset(arena);
        buf_reset(&diff);
        put_diff(&diff, &CASES[i]);
        Steps steps;
        Err e = {0};
        assert_int_equal(steps_parse(arena, SLICE(STEPS_TEXT), "steps", &steps, &e), 0);
        Findings findings = {.arena = arena};
        scan_text(arena, buf_slice(&diff), &steps, &findings);
        bool right = CASES[i].cheat ? found(&findings, CASES[i].cheat, CASES[i].level)
                                    : !findings_have(&findings, FINDING_DOUBT);
        if (!right) {
            print_message("case %zu: %s: expected %s of %d\n%s", i, CASES[i].path,
                          FINDING_LEVEL_NAMES[CASES[i].level], CASES[i].cheat, CASES[i].body);
            print_findings(&findings);
        }
        ok &= right;
    }
    assert_true(ok);
    buf_done(&diff);
    arena_destroy(arena);
}

static void test_flags_of_instructions_with_code_for_them(void **state)
{
    (void)state;
    Arena *arena = arena_create(8 << 20);
    Findings findings = {.arena = arena};
    scan_text(arena,
              SLICE("--- a/Makefile\n+++ b/Makefile\n@@ -1,0 +2,1 @@\n+fast.o: CFLAGS += -mavx2\n"
                    "--- /dev/null\n+++ b/fast.c\n@@ -0,0 +1,1 @@\n+int f(void) { return 1; }\n"),
              NULL, &findings);
    assert_false(findings_have(&findings, FINDING_DOUBT));
    assert_true(found(&findings, CHEAT_FLAGS, FINDING_NOTE));
    arena_destroy(arena);
}

static void test_the_place_is_named(void **state)
{
    (void)state;
    Arena *arena = arena_create(8 << 20);
    Findings findings = {.arena = arena};
    scan_text(
        arena,
        SLICE("--- a/lib/a.c\n+++ b/lib/a.c\n@@ -7,1 +7,2 @@\n x\n+    if (getppid() == 1)\n"),
        NULL, &findings);
    assert_int_equal(findings.count, 1);
    assert_true(slice_eq_cstr(findings.items[0].check, "catalogue-8"));
    assert_true(slice_eq_cstr(findings.items[0].file, "lib/a.c"));
    assert_int_equal(findings.items[0].line, 8);
    arena_destroy(arena);
}

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        CheatPath class;
    } PATHS[] = {
        {"src/parse.c", CHEAT_PATH_SOURCE},
        {"perf.c", CHEAT_PATH_SOURCE},
        {"lib/workbench.js", CHEAT_PATH_SOURCE},
        {"src/tests/a.rs", CHEAT_PATH_TEST},
        {"tests/test_x.py", CHEAT_PATH_TEST},
        {"pkg/parse_test.go", CHEAT_PATH_TEST},
        {"bench/main.cc", CHEAT_PATH_BENCHMARK},
        {"bench.js", CHEAT_PATH_BENCHMARK},
        {"benches/parse.rs", CHEAT_PATH_BENCHMARK},
        {"crates/x/benches/parse.rs", CHEAT_PATH_BENCHMARK},
        {"src/jmh/java/A.java", CHEAT_PATH_BENCHMARK},
        {"parse_benchmark.cc", CHEAT_PATH_BENCHMARK},
        {".github/workflows/a.yml", CHEAT_PATH_CI},
        {"CMakeLists.txt", CHEAT_PATH_BUILD},
        {"package.json", CHEAT_PATH_BUILD},
        {"yarn.lock", CHEAT_PATH_LOCK},
        {".perfwright/steps.yaml", CHEAT_PATH_STEPS},
        {"build-steps.log", CHEAT_PATH_RESULT},
        {"lib/libz.so.1", CHEAT_PATH_OBJECT},
        {"docs/a.md", CHEAT_PATH_DOC},
        {"README", CHEAT_PATH_DOC},
    };
    for (size_t i = 0; i < COUNT_OF(PATHS); i++) {
        CheatPath class = cheat_path(slice_from_cstr(PATHS[i].path), NULL);
        if (class != PATHS[i].class) {
            fail_msg("%s is taken for %s", PATHS[i].path, CHEAT_PATH_NAMES[class]);
        }
    }
    Slice protect[] = {SLICE_INIT("golden/**")};
    Steps steps = {.protect = protect, .protect_count = 1};
    assert_true(cheat_path_protected(SLICE("golden/a/b"), &steps));
    assert_true(cheat_path_protected(SLICE("tests/a.c"), NULL));
    assert_false(cheat_path_protected(SLICE("CMakeLists.txt"), NULL));
}

static void test_globs(void **state)
{
    (void)state;
    // As gitignore(5) describes them, where that has the form.
    static const struct {
        const char *pattern, *path;
        bool matches;
    } GLOBS[] = {
        {"*.c", "a.c", true},
        {"*.c", "x/y/a.c", true},
        {"x/*.c", "x/a.c", true},
        {"x/*.c", "x/y/a.c", false},
        {"x/**", "x/y/a.c", true},
        {"**/a.c", "a.c", true},
        {"**/a.c", "x/y/a.c", true},
        {"**/a.c", "x/b.c", false},
        {"x/**/a.c", "x/a.c", true},
        {"x/**/*.c", "x/y/z.c", true},
        {"bench/", "bench/x", true},
        {"bench/", "benchx", false},
        {"a?c", "abc", true},
        {"x/a?c", "x/a/c", false},
        {"build/parse", "build/parse", true},
        {"**", "x/y", true},
        {"x/*", "x/", true},
        {"", "x", false},
        {"*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < COUNT_OF(GLOBS); i++) {
        if (cheat_glob(slice_from_cstr(GLOBS[i].pattern), slice_from_cstr(GLOBS[i].path)) !=
            GLOBS[i].matches) {
            fail_msg("%s and %s", GLOBS[i].pattern, GLOBS[i].path);
        }
    }
}

static void test_limits(void **state)
{
    (void)state;
    Arena *arena = arena_create(8 << 20);
    Buf diff = buf_create(1 << 20);
    // The word stands at the last byte that is looked at, and then one further.
    for (int over = 0; over < 2; over++) {
        buf_reset(&diff);
        buf_puts(&diff, "--- a/a.c\n+++ b/a.c\n@@ -1,0 +2,1 @@\n+");
        for (size_t i = 0; i < CHEAT_LINE_MAX - strlen("getppid") + (size_t)over; i++) {
            buf_putc(&diff, ' ');
        }
        buf_puts(&diff, "getppid\n");
        Findings findings = {.arena = arena};
        scan_text(arena, buf_slice(&diff), NULL, &findings);
        assert_int_equal(findings.count, over ? 0 : 1);
    }
    // Literals beyond the ceiling are not looked for.
    for (int over = 0; over < 2; over++) {
        buf_reset(&diff);
        buf_printf(&diff, "--- a/a.c\n+++ b/a.c\n@@ -1,0 +2,%d @@\n", CHEAT_LITERALS_MAX + over);
        for (int i = 1; i < CHEAT_LITERALS_MAX + over; i++) {
            buf_puts(&diff, "+ 777\n");
        }
        buf_puts(&diff, "+ 982451653\n");
        Findings findings = {.arena = arena};
        scan_text(arena, buf_slice(&diff), NULL, &findings);
        assert_int_equal(findings_have(&findings, FINDING_CHEAT), !over);
    }
    // Variables beyond the ceiling are not followed.
    for (int over = 0; over < 2; over++) {
        buf_reset(&diff);
        int lines = CHEAT_STATICS_MAX + over + 2;
        buf_printf(&diff, "--- a/a.c\n+++ b/a.c\n@@ -1,0 +2,%d @@\n", lines);
        for (int i = 2; i < CHEAT_STATICS_MAX + over; i++) {
            buf_printf(&diff, "+ static int v%d;\n", i);
        }
        buf_puts(&diff, "+ static char *last;\n+ static int sum;\n+ if (last == text)\n"
                        "+ return sum;\n");
        Findings findings = {.arena = arena};
        scan_text(arena, buf_slice(&diff), NULL, &findings);
        assert_int_equal(findings_have(&findings, FINDING_CHEAT), !over);
    }
    // What lies behind the ceiling of an output is not found.
    Buf output = buf_create(CHEAT_CONTENT_MAX + 100);
    for (int over = 0; over < 2; over++) {
        buf_reset(&output);
        char *blank = buf_reserve(&output, CHEAT_CONTENT_MAX - 6 + over);
        memset(blank, ' ', CHEAT_CONTENT_MAX - 6 + over);
        buf_commit(&output, CHEAT_CONTENT_MAX - 6 + over);
        buf_puts(&output, "918273");
        Slice outputs[] = {buf_slice(&output)};
        Patch patch;
        Findings findings = {.arena = arena};
        assert_int_equal(patch_parse(arena,
                                     SLICE("--- a/a.c\n+++ b/a.c\n@@ -1,0 +2 @@\n+ x = 918273;\n"),
                                     &patch, NULL),
                         0);
        (void)cheat_scan_patch(&(CheatScan){.patch = &patch, .outputs = outputs, .output_count = 1},
                               &findings);
        assert_int_equal(findings_have(&findings, FINDING_CHEAT), !over);
    }
    buf_done(&output);
    buf_done(&diff);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cheat_and_its_honest_likeness),
        cmocka_unit_test(test_flags_of_instructions_with_code_for_them),
        cmocka_unit_test(test_the_place_is_named),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
