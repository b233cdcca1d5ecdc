#include "improve/cheat_scan_impl.h"

#include <math.h>

// Edits to what measures and what tests. The judge takes those files from the base on both sides,
// so what is said here is about intent: honest patches add tests and benchmarks and adapt them, and
// that is a note; what only ever makes measuring easier is a cheat.

// ---- whole files

static bool is_declared_output(const Steps *steps, Slice path)
{
    for (size_t i = 0; steps && i < steps->workload_count; i++) {
        if (slice_eq(steps->workloads[i].output, path)) {
            return true;
        }
    }
    return false;
}

static bool matches_any(const Slice *globs, size_t count, Slice path)
{
    for (size_t i = 0; i < count; i++) {
        if (cheat_glob(globs[i], path)) {
            return true;
        }
    }
    return false;
}

static void scan_object(CheatScanner *s, const PatchFile *file, Slice path)
{
    const Steps *steps = s->scan->steps;
    bool profile = slice_ends_with(path, SLICE(".gcda")) ||
                   slice_ends_with(path, SLICE(".profdata")) ||
                   slice_ends_with(path, SLICE(".profraw"));
    if (file->change == PATCH_FILE_DELETED) {
        return;
    }
    if (profile) {
        cheat_found(s, CHEAT_FLAGS, FINDING_CHEAT, path, 0, "a profile for the compiler is added");
    } else {
        bool artifact = steps && matches_any(steps->artifacts, steps->artifact_count, path);
        cheat_found(s, CHEAT_STALE, artifact ? FINDING_CHEAT : FINDING_DOUBT, path, 0,
                    artifact ? "what the build should make comes ready-made with the patch"
                             : "compiled code comes with the patch");
    }
}

static void scan_path(CheatScanner *s, const PatchFile *file, Slice path)
{
    const Steps *steps = s->scan->steps;
    bool added = file->change == PATCH_FILE_ADDED || file->change == PATCH_FILE_COPIED;
    const char *what = PATCH_CHANGE_NAMES[file->change];
    CheatPath class = cheat_path(path, steps);
    switch (class) {
    case CHEAT_PATH_STEPS:
        cheat_found(s, CHEAT_EDITS_MEASUREMENT, added ? FINDING_NOTE : FINDING_CHEAT, path, 0,
                    "%s; the judge uses those of the base", what);
        return;
    case CHEAT_PATH_OBJECT: scan_object(s, file, path); return;
    case CHEAT_PATH_RESULT:
        if (is_declared_output(steps, path)) {
            cheat_found(s, CHEAT_FABRICATED, FINDING_CHEAT, path, 0,
                        "the file that the workload should write is %s by the patch", what);
        } else if (file->change != PATCH_FILE_DELETED) {
            cheat_found(s, CHEAT_FABRICATED, FINDING_NOTE, path, 0,
                        "it looks like a record of a measurement; no number in it is used");
        }
        return;
    case CHEAT_PATH_CI:
    case CHEAT_PATH_LOCK:
        cheat_found(s, CHEAT_EDITS_MEASUREMENT, FINDING_NOTE, path, 0,
                    "%s %s; the judge uses that of the base", CHEAT_PATH_NAMES[class], what);
        return;
    case CHEAT_PATH_SOURCE:
    case CHEAT_PATH_BUILD:
        if (steps && !added && matches_any(steps->protect, steps->protect_count, path)) {
            cheat_found(s, CHEAT_EDITS_MEASUREMENT, FINDING_CHEAT, path, 0,
                        "%s though the steps protect it", what);
        }
        return;
    case CHEAT_PATH_TEST:
    case CHEAT_PATH_BENCHMARK:
    case CHEAT_PATH_DOC:
    case CHEAT_PATHS: return;
    }
}

void cheat_scan_paths(CheatScanner *s)
{
    for (size_t i = 0; i < s->scan->patch->file_count; i++) {
        const PatchFile *file = &s->scan->patch->files[i];
        scan_path(s, file, patch_file_path(file));
        if (file->change == PATCH_FILE_RENAMED && !slice_eq(file->old_path, file->new_path)) {
            CheatPath was = cheat_path(file->old_path, s->scan->steps);
            if (was == CHEAT_PATH_STEPS) {
                scan_path(s, file, file->old_path);
            }
        }
    }
}

// ---- benchmarks

// Is the file one that the declared commands name, by its name or the name without its suffix?
static bool is_referenced(const Steps *steps, Slice path)
{
    Slice name = path, folder, stem, suffix;
    while (slice_find_byte(name, '/') >= 0) {
        slice_cut(name, '/', &folder, &name);
    }
    slice_cut(name, '.', &stem, &suffix);
    for (size_t i = 0; steps && i < steps->workload_count; i++) {
        const Workload *w = &steps->workloads[i];
        if (slice_find(w->run, name) >= 0 || slice_find(w->inputs.generator, name) >= 0 ||
            (stem.len >= 4 && slice_find(w->run, stem) >= 0)) {
            return true;
        }
        for (size_t k = 0; k < w->inputs.file_count; k++) {
            if (slice_eq(w->inputs.files[k], path)) {
                return true;
            }
        }
    }
    for (size_t i = 0; steps && i < steps->benchmark_count; i++) {
        if (slice_starts_with(steps->benchmarks[i].source, path) ||
            slice_find(steps->benchmarks[i].run, name) >= 0) {
            return true;
        }
    }
    return false;
}

// A number at `*at`, which is moved behind it: 10, 1_000, 1e6, 0.5, with suffixes such as UL.
static bool take_value(Slice line, size_t *at, double *ret)
{
    char digits[40];
    size_t n = 0, i = *at;
    if (line.ptr[i] < '0' || line.ptr[i] > '9' || (i > 0 && cheat_is_word_byte(line.ptr[i - 1]))) {
        return false;
    }
    for (; i < line.len && n < sizeof digits - 1; i++) {
        char c = line.ptr[i];
        bool exponent = (c == 'e' || c == 'E') && i + 1 < line.len && line.ptr[i + 1] >= '0' &&
                        line.ptr[i + 1] <= '9';
        if (c == '_' || c == '\'') {
            continue;
        }
        if ((c < '0' || c > '9') && c != '.' && !exponent) {
            break;
        }
        digits[n++] = c;
    }
    while (i < line.len && cheat_is_word_byte(line.ptr[i])) {
        i++;
    }
    int rc = slice_to_f64((Slice){digits, n}, ret);
    *at = i;
    return rc == 0;
}

static void skip_blanks(Slice line, size_t *at)
{
    while (*at < line.len && (line.ptr[*at] == ' ' || line.ptr[*at] == '\t')) {
        (*at)++;
    }
}

// Two lines that differ in nothing but one or more numbers. The first pair that differs is given.
static bool differ_in_numbers(Slice old, Slice new, double *ret_old, double *ret_new)
{
    size_t a = 0, b = 0;
    bool differ = false;
    for (;;) {
        skip_blanks(old, &a);
        skip_blanks(new, &b);
        if (a == old.len || b == new.len) {
            return differ && a == old.len && b == new.len;
        }
        double x, y;
        size_t a_next = a, b_next = b;
        if (take_value(old, &a_next, &x) && take_value(new, &b_next, &y)) {
            if (x != y && !differ) {
                *ret_old = x;
                *ret_new = y;
                differ = true;
            }
            a = a_next;
            b = b_next;
        } else if (old.ptr[a++] != new.ptr[b++]) {
            return false;
        }
    }
}

static bool has_one(Slice code, const char *const *words)
{
    for (; *words; words++) {
        if (slice_find(code, slice_from_cstr(*words)) >= 0) {
            return true;
        }
    }
    return false;
}

static const char *const TIME_WORDS[] = {"ns",   "nsec", "msec",   "usec", "elapsed", "duration",
                                         "time", "sec",  "per_op", "/op",  "ops",     NULL};

static bool is_power_of_thousand(double x)
{
    return x == 1e3 || x == 1e6 || x == 1e9 || x == 1e-3 || x == 1e-6 || x == 1e-9 || x == 1;
}

// "ns" for "ms": the lines differ in one word only, and both words are units.
static bool units_swapped(Slice old, Slice new)
{
    static const char *const UNITS[] = {
        "ns",           "us",      "ms",    "s",           "nsec",
        "usec",         "msec",    "sec",   "nanoseconds", "microseconds",
        "milliseconds", "seconds", "ns/op", "us/op",       "ms/op",
        "s/op",         "ops/s",   NULL};
    size_t head = 0, tail = 0;
    while (head < old.len && head < new.len &&old.ptr[head] == new.ptr[head]) {
        head++;
    }
    while (tail < old.len - head &&
           tail < new.len - head &&old.ptr[old.len - 1 - tail] == new.ptr[new.len - 1 - tail]) {
        tail++;
    }
    if (head == old.len && head == new.len) {
        return false;
    }
    // Out to the ends of the word on both sides.
    while (head > 0 && (cheat_is_word_byte(old.ptr[head - 1]) || old.ptr[head - 1] == '/')) {
        head--;
    }
    while (tail > 0 &&
           (cheat_is_word_byte(old.ptr[old.len - tail]) || old.ptr[old.len - tail] == '/')) {
        tail--;
    }
    bool a = false, b = false;
    for (size_t i = 0; UNITS[i]; i++) {
        a |= slice_eq_cstr(slice_sub(old, head, old.len - tail - head), UNITS[i]);
        b |= slice_eq_cstr(slice_sub(new, head, new.len - tail - head), UNITS[i]);
    }
    return a && b;
}

// A deleted line and the added one that takes its place, in a file that measures.
static void compare_lines(CheatScanner *s, Slice path, const PatchLine *old, const PatchLine *new)
{
    static const char *const AMOUNTS[] = {
        "for",   "while", "range", "iter", "ITER", "count", "COUNT", "size",  "SIZE",  "rep",
        "REP",   "loop",  "LOOP",  "run",  "RUN",  "len",   "LEN",   "times", "TIMES", "round",
        "ROUND", "N ",    "n ",    "N=",   "n=",   "num",   "NUM",   "warm",  NULL};
    CheatLanguage language = cheat_language(path);
    Slice a = slice_trim(cheat_code(old->text, language));
    Slice b = slice_trim(cheat_code(new->text, language));
    double x = 0, y = 0;
    if (units_swapped(a, b)) {
        cheat_found(s, CHEAT_UNITS, FINDING_CHEAT, path, new->new_line, "%.*s",
                    SLICE_FMT(slice_sub(b, 0, 120)));
    } else if (differ_in_numbers(a, b, &x, &y)) {
        if (is_power_of_thousand(x) && is_power_of_thousand(y) && has_one(a, TIME_WORDS)) {
            cheat_found(s, CHEAT_UNITS, FINDING_CHEAT, path, new->new_line,
                        "a factor of %g became %g", x, y);
        } else if (y < x && has_one(a, AMOUNTS)) {
            cheat_found(s, CHEAT_LESS_WORK, FINDING_CHEAT, path, new->new_line,
                        "%g became %g (%.*s)", x, y, SLICE_FMT(slice_sub(b, 0, 120)));
        }
    }
}

// Pairs the n-th deleted line of a run of changes with its n-th added one.
static void compare_hunk(CheatScanner *s, Slice path, const PatchHunk *hunk)
{
    for (size_t i = 0; i < hunk->line_count;) {
        size_t deleted = i, added;
        while (i < hunk->line_count && hunk->lines[i].kind == PATCH_DELETED) {
            i++;
        }
        added = i;
        while (i < hunk->line_count && hunk->lines[i].kind == PATCH_ADDED) {
            i++;
        }
        for (size_t k = 0; deleted + k < added && added + k < i; k++) {
            compare_lines(s, path, &hunk->lines[deleted + k], &hunk->lines[added + k]);
        }
        i += i == deleted;
    }
}

void cheat_scan_bench(CheatScanner *s)
{
    const Steps *steps = s->scan->steps;
    for (size_t i = 0; i < s->scan->patch->file_count; i++) {
        const PatchFile *file = &s->scan->patch->files[i];
        Slice path = file->old_path;
        if (path.len == 0 || file->change == PATCH_FILE_COPIED ||
            cheat_path(path, steps) != CHEAT_PATH_BENCHMARK) {
            continue;
        }
        size_t before = s->findings->count;
        for (size_t h = 0; h < file->hunk_count; h++) {
            compare_hunk(s, path, &file->hunks[h]);
        }
        bool changed = file->lines_deleted > 0 || file->change != PATCH_FILE_MODIFIED;
        bool declared = is_referenced(steps, path);
        if (changed && declared) {
            long line = file->hunk_count ? file->hunks[0].new_start : 0;
            cheat_found(s, CHEAT_EDITS_MEASUREMENT, FINDING_CHEAT, path, line,
                        "what the claim is measured with is %s", PATCH_CHANGE_NAMES[file->change]);
        } else if (before == s->findings->count) {
            cheat_found(s, CHEAT_EDITS_MEASUREMENT, FINDING_NOTE, path, 0,
                        "a benchmark is %s; the judge uses that of the base",
                        changed ? PATCH_CHANGE_NAMES[file->change] : "extended");
        }
    }
}

// ---- tests

typedef struct TestCounts {
    CheatCount cases, checks, skips, passes;
    long added; // lines
    bool touched;
} TestCounts;

static bool starts_case(Slice code)
{
    static const char *const STARTS[] = {"it(",
                                         "it (",
                                         "test(",
                                         "test (",
                                         "specify(",
                                         "def test",
                                         "async def test",
                                         "TEST(",
                                         "TEST_F(",
                                         "TEST_P(",
                                         "TEST_CASE(",
                                         "#[test]",
                                         "func Test",
                                         "@Test",
                                         "START_TEST(",
                                         "add_test(",
                                         "static void test",
                                         "void test",
                                         "TYPED_TEST(",
                                         "BOOST_AUTO_TEST_CASE(",
                                         "add_subdirectory(test",
                                         "enable_testing(",
                                         NULL};
    code = slice_trim(code);
    for (size_t i = 0; STARTS[i]; i++) {
        if (slice_starts_with(code, slice_from_cstr(STARTS[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_skip(Slice code)
{
    static const char *const SKIPS[] = {"pytest.mark.skip",
                                        "pytest.mark.skipif",
                                        "pytest.mark.xfail",
                                        "pytest.skip",
                                        "pytest.xfail",
                                        "unittest.skip",
                                        "unittest.skipIf",
                                        "unittest.expectedFailure",
                                        "skipTest (",
                                        "SkipTest",
                                        "it.skip",
                                        "test.skip",
                                        "describe.skip",
                                        "xit (",
                                        "xdescribe (",
                                        "xtest (",
                                        "it.todo",
                                        "test.todo",
                                        "test.failing",
                                        "t.Skip (",
                                        "t.SkipNow (",
                                        "t.Skipf (",
                                        "GTEST_SKIP",
                                        "#[ignore",
                                        "@Disabled",
                                        "@Ignore",
                                        "WILL_FAIL",
                                        "should_fail : true",
                                        "DISABLED TRUE",
                                        "this.skip (",
                                        "collect_ignore",
                                        "testPathIgnorePatterns",
                                        "--deselect",
                                        "--ignore",
                                        "cmocka_skip",
                                        "ck_skip",
                                        "--passWithNoTests",
                                        "-DBUILD_TESTING=OFF",
                                        NULL};
    for (size_t i = 0; SKIPS[i]; i++) {
        if (cheat_has(code, SKIPS[i])) {
            return true;
        }
    }
    return slice_find(code, SLICE("DISABLED_")) >= 0;
}

static bool is_check(Slice code)
{
    static const char *const CHECKS[] = {"assert",      "expect(",   "EXPECT_", "ASSERT_", "CHECK(",
                                         "REQUIRE(",    "t.Error",   "t.Fatal", "should.", "fail(",
                                         "strictEqual", "deepEqual", "t.is(",   "ok(",     NULL};
    return has_one(code, CHECKS);
}

// Success whatever happened, in a script that runs tests.
static bool is_pass(Slice code, CheatPath class)
{
    static const char *const ALWAYS[] = {
        "|| true",   "|| exit 0",   "|| :", "continue-on-error: true",
        "if: false", "--no-verify", NULL};
    if (class == CHEAT_PATH_BUILD) {
        // The scripts of package.json and of make's recipes.
        bool tests = slice_find(code, SLICE("\"test\"")) >= 0 ||
                     slice_find(code, SLICE("test:")) >= 0 ||
                     slice_find(code, SLICE("check:")) >= 0;
        return tests &&
               (has_one(code, ALWAYS) || slice_find(code, SLICE("exit 0")) >= 0 ||
                slice_find(code, SLICE("\"true\"")) >= 0 || slice_find(code, SLICE("\"echo")) >= 0);
    }
    return has_one(code, ALWAYS) || cheat_has(code, "exit 0");
}

static void count_tests(void *ctx, const PatchFile *file, CheatPath class, const PatchLine *line,
                        Slice code)
{
    TestCounts *counts = ctx;
    // What a new file skips or lets pass is no test that was there before.
    bool there = file->change != PATCH_FILE_ADDED;
    bool runs = class == CHEAT_PATH_TEST || class == CHEAT_PATH_BUILD;
    if (class == CHEAT_PATH_TEST) {
        counts->touched = true;
        counts->added += line->kind == PATCH_ADDED && slice_trim(code).len > 0;
        cheat_count_line(&counts->checks, file, line, is_check(code));
    }
    if (runs) {
        cheat_count_line(&counts->cases, file, line, starts_case(code));
    }
    // Tests live beside the code in Rust.
    if (there && (runs || class == CHEAT_PATH_CI || class == CHEAT_PATH_SOURCE)) {
        cheat_count_line(&counts->skips, file, line, is_skip(code));
    }
    if (there && (runs || class == CHEAT_PATH_CI)) {
        cheat_count_line(&counts->passes, file, line, is_pass(code, class));
    }
}

void cheat_scan_tests(CheatScanner *s)
{
    TestCounts counts = {0};
    cheat_each_line(s, CHEAT_PATHS, count_tests, &counts);
    const CheatCount *skips = &counts.skips, *passes = &counts.passes;
    if (skips->net > 0) {
        cheat_found(s, CHEAT_TESTS_SKIPPED, FINDING_CHEAT, skips->file, skips->line, "%.*s",
                    SLICE_FMT(slice_sub(skips->text, 0, 120)));
    }
    if (passes->net > 0) {
        cheat_found(s, CHEAT_TESTS_SKIPPED, FINDING_CHEAT, passes->file, passes->line,
                    "success whatever happened (%.*s)", SLICE_FMT(slice_sub(passes->text, 0, 120)));
    }
    if (counts.cases.net < 0) {
        cheat_found(s, CHEAT_TESTS_SKIPPED, FINDING_CHEAT, SLICE(""), 0,
                    "%ld tests are taken out and none put in their place", -counts.cases.net);
    } else if (counts.checks.net < 0 && counts.added == 0) {
        cheat_found(s, CHEAT_TESTS_SKIPPED, FINDING_DOUBT, SLICE(""), 0,
                    "%ld checks are taken out of tests and nothing put in their place",
                    -counts.checks.net);
    } else if (counts.touched) {
        cheat_found(s, CHEAT_EDITS_MEASUREMENT, FINDING_NOTE, SLICE(""), 0,
                    "tests are changed; those of the base are the ones that count");
    }
}
