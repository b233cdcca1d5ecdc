#include "improve/tests_count.h"

#include <string.h>

enum { LINE_MAX_BYTES = 1000, NUMBER_MAX = 100000000 };

// A summary of runner R on a line adds to counts[R]. Earlier rows win over later ones where both
// were seen: the first three run other runners' programs.
typedef enum Runner {
    CTEST,
    MESON,
    AUTOMAKE,
    SUREFIRE,
    CARGO,
    GO_TESTS,
    GO_PACKAGES,
    PYTEST,
    UNITTEST,
    JEST,
    VITEST,
    MOCHA,
    NODE, // and tape: "# pass 3"
    BUN,
    TAP,
    GTEST,  // and cmocka
    CATCH2, // and doctest
    CHECK,
    UNITY,
    CRITERION,
    MUNIT,
    CUNIT,
    RSPEC,
    MINITEST,
    JASMINE,
    BOOST,
    GRADLE,
    JUNIT_XML,
    PLAIN,
    RUNNERS,
} Runner;

static const char *const NAMES[RUNNERS] = {
    [CTEST] = "ctest",
    [MESON] = "meson",
    [AUTOMAKE] = "automake",
    [CARGO] = "cargo",
    [GO_TESTS] = "go",
    [GO_PACKAGES] = "go packages",
    [PYTEST] = "pytest",
    [UNITTEST] = "unittest",
    [JEST] = "jest",
    [VITEST] = "vitest",
    [MOCHA] = "mocha",
    [NODE] = "node",
    [BUN] = "bun",
    [SUREFIRE] = "surefire",
    [GTEST] = "gtest",
    [CATCH2] = "catch2",
    [CHECK] = "check",
    [UNITY] = "unity",
    [CRITERION] = "criterion",
    [MUNIT] = "munit",
    [CUNIT] = "cunit",
    [RSPEC] = "rspec",
    [MINITEST] = "minitest",
    [JASMINE] = "jasmine",
    [BOOST] = "boost",
    [GRADLE] = "gradle",
    [JUNIT_XML] = "junit",
    [TAP] = "tap",
    [PLAIN] = "plain",
};

typedef struct Scan {
    TestCount counts[RUNNERS];
    bool seen[RUNNERS];
    bool tap_plan;        // "1..5" or "TAP version": lines "ok 1" mean something
    int64_t ctest_skips;  // are told before the total
    int64_t unittest_ran; // "Ran 5 tests" waits for its "OK (skipped=1)"
    bool unittest_open;
} Scan;

// ---- small readers

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool has(Slice line, const char *text)
{
    return slice_find(line, slice_from_cstr(text)) >= 0;
}

static bool starts(Slice line, const char *text)
{
    return slice_starts_with(line, slice_from_cstr(text));
}

// The number at the start, blanks before it allowed; -1 without one. Large ones are cut: a hostile
// log must not overflow a sum.
static int64_t number_at(Slice s)
{
    size_t i = 0;
    while (i < s.len && (s.ptr[i] == ' ' || s.ptr[i] == '\t')) {
        i++;
    }
    if (i == s.len || !is_digit(s.ptr[i])) {
        return -1;
    }
    int64_t value = 0;
    for (; i < s.len && is_digit(s.ptr[i]); i++) {
        value = value < NUMBER_MAX ? value * 10 + (s.ptr[i] - '0') : NUMBER_MAX;
    }
    return value < NUMBER_MAX ? value : NUMBER_MAX;
}

// The number behind `label`: "Tests run: 3"; -1 without.
static int64_t after(Slice line, const char *label)
{
    ptrdiff_t at = slice_find(line, slice_from_cstr(label));
    return at < 0 ? -1 : number_at(slice_sub(line, (size_t)at + strlen(label), line.len));
}

// The number before `word`: "3 passed"; -1 without.
static int64_t before(Slice line, const char *word)
{
    size_t from = 0;
    for (;;) {
        ptrdiff_t found = slice_find(slice_sub(line, from, line.len), slice_from_cstr(word));
        if (found < 0) {
            return -1;
        }
        size_t at = from + (size_t)found, end = at;
        while (end > 0 && line.ptr[end - 1] == ' ') {
            end--;
        }
        size_t start = end;
        while (start > 0 && is_digit(line.ptr[start - 1])) {
            start--;
        }
        // "xpassed" is no "passed", but "3passed" never happens: a blank stands between.
        if (start < end && end < at) {
            return number_at(slice_sub(line, start, end - start));
        }
        from = at + 1;
    }
}

static int64_t or_none(int64_t n)
{
    return n < 0 ? 0 : n;
}

static void add(Scan *s, Runner r, int64_t passed, int64_t failed, int64_t skipped)
{
    TestCount *c = &s->counts[r];
    s->seen[r] = true;
    // Sums of cut numbers over any log stay far below the limit of the type.
    c->passed += passed > 0 ? passed : 0;
    c->failed += or_none(failed);
    c->skipped += or_none(skipped);
}

// ---- runners of programs

static void ctest(Scan *s, Slice line)
{
    if (has(line, "***Skipped") || has(line, "***Not Run (Disabled)")) {
        s->ctest_skips++;
    }
    int64_t failed = before(line, "tests failed out of");
    if (failed >= 0) {
        int64_t total = or_none(after(line, "out of"));
        add(s, CTEST, total - failed - s->ctest_skips, failed, s->ctest_skips);
        s->ctest_skips = 0;
    }
}

static void meson(Scan *s, Slice line)
{
    static const struct {
        const char *label;
        int what; // 0 passed, 1 failed, 2 skipped
    } ROWS[] = {{"Ok:", 0},      {"Expected Fail:", 2}, {"Fail:", 1},   {"Unexpected Pass:", 1},
                {"Skipped:", 2}, {"Timeout:", 1},       {"Ignored:", 2}};
    Slice text = slice_trim(line);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        size_t n = strlen(ROWS[i].label);
        if (!starts(text, ROWS[i].label) || text.len < n + 2 || text.ptr[n] != ' ') {
            continue;
        }
        int64_t count = number_at(slice_sub(text, n, text.len));
        Slice rest = slice_trim(slice_sub(text, n, text.len));
        // The value alone stands behind it, or this is somebody's sentence.
        for (size_t k = 0; k < rest.len; k++) {
            count = is_digit(rest.ptr[k]) ? count : -1;
        }
        if (count >= 0) {
            add(s, MESON, ROWS[i].what == 0 ? count : 0, ROWS[i].what == 1 ? count : 0,
                ROWS[i].what == 2 ? count : 0);
        }
        return;
    }
}

static void automake(Scan *s, Slice line)
{
    if (starts(line, "# PASS:")) {
        add(s, AUTOMAKE, after(line, "PASS:"), 0, 0);
    } else if (starts(line, "# SKIP:") || starts(line, "# XFAIL:")) {
        add(s, AUTOMAKE, 0, 0, after(line, ":"));
    } else if (starts(line, "# FAIL:") || starts(line, "# XPASS:") || starts(line, "# ERROR:")) {
        add(s, AUTOMAKE, 0, after(line, ":"), 0);
    }
}

// ---- languages

static void surefire(Scan *s, Slice line)
{
    // One line a class, with its time, and one in all.
    int64_t run = after(line, "Tests run:");
    if (run >= 0 && !has(line, "Time elapsed")) {
        int64_t failed = or_none(after(line, "Failures:")) + or_none(after(line, "Errors:"));
        int64_t skipped = or_none(after(line, "Skipped:"));
        add(s, SUREFIRE, run - failed - skipped, failed, skipped);
    } else if (starts(line, "OK (") && before(line, "test") >= 0) {
        add(s, SUREFIRE, before(line, "test"), 0, 0); // JUnit 4's own text runner
    }
}

static void cargo(Scan *s, Slice line)
{
    if (starts(line, "test result:")) {
        add(s, CARGO, before(line, "passed"), before(line, "failed"), before(line, "ignored"));
    } else if (has(line, "Summary [") && before(line, "passed") >= 0) { // nextest
        add(s, CARGO, before(line, "passed"),
            or_none(before(line, "failed")) + or_none(before(line, "timed out")),
            before(line, "skipped"));
    }
}

static void go(Scan *s, Slice line)
{
    Slice text = slice_trim(line);
    if (starts(text, "--- PASS: ")) {
        add(s, GO_TESTS, 1, 0, 0);
    } else if (starts(text, "--- SKIP: ")) {
        add(s, GO_TESTS, 0, 0, 1);
    } else if (starts(text, "--- FAIL: ") && s->seen[GO_TESTS]) {
        add(s, GO_TESTS, 0, 1, 0);
    } else if (starts(line, "ok  \t")) {
        add(s, GO_PACKAGES, 1, 0, 0);
    } else if (starts(line, "FAIL\t")) {
        add(s, GO_PACKAGES, 0, 1, 0);
    } else if (starts(line, "{") && has(line, "\"Test\":")) { // go test -json
        bool pass = has(line, "\"Action\":\"pass\""), fail = has(line, "\"Action\":\"fail\"");
        bool skip = has(line, "\"Action\":\"skip\"");
        if (pass || fail || skip) {
            add(s, GO_TESTS, pass, fail, skip);
        }
    }
}

// "=== 3 passed, 1 skipped in 0.12s ===", with -q without the signs.
static void pytest(Scan *s, Slice line)
{
    ptrdiff_t in = slice_find(line, SLICE(" in "));
    if (in < 0 || !has(slice_sub(line, (size_t)in, line.len), "s")) {
        return;
    }
    Slice text = line;
    while (text.len > 0 && (text.ptr[0] == '=' || text.ptr[0] == ' ')) {
        text = slice_sub(text, 1, text.len);
    }
    int64_t passed = before(text, "passed"), failed = before(text, "failed");
    int64_t errors = before(text, "error");
    if (text.len == 0 || !is_digit(text.ptr[0]) ||
        number_at(slice_sub(line, (size_t)in + 4, 9)) < 0 ||
        (passed < 0 && failed < 0 && errors < 0 && before(text, "skipped") < 0)) {
        return;
    }
    add(s, PYTEST, passed, or_none(failed) + or_none(errors) + or_none(before(text, "xpassed")),
        or_none(before(text, "skipped")) + or_none(before(text, "xfailed")));
}

// "Ran 3 tests in 0.001s", an empty line, "FAILED (failures=1, errors=1, skipped=2)".
static void unittest(Scan *s, Slice line)
{
    if (starts(line, "Ran ") && has(line, " test") && has(line, " in ")) {
        s->unittest_ran = or_none(after(line, "Ran "));
        s->unittest_open = true;
    } else if (s->unittest_open && (slice_eq(line, SLICE("OK")) || starts(line, "OK (") ||
                                    starts(line, "FAILED (") || starts(line, "NO TESTS RAN"))) {
        int64_t failed = or_none(after(line, "(failures=")) + or_none(after(line, ", failures=")) +
                         or_none(after(line, "errors=")) +
                         or_none(after(line, "unexpected successes="));
        int64_t skipped =
            or_none(after(line, "skipped=")) + or_none(after(line, "expected failures="));
        add(s, UNITTEST, s->unittest_ran - failed - skipped, failed, skipped);
        s->unittest_open = false;
    }
}

static void javascript(Scan *s, Slice line)
{
    Slice text = slice_trim(line);
    if (starts(text, "Tests:") && has(text, " total")) {
        add(s, JEST, before(text, "passed"), before(text, "failed"),
            or_none(before(text, "skipped")) + or_none(before(text, "todo")) +
                or_none(before(text, "pending")));
    } else if (starts(text, "Tests ") &&
               (before(text, "passed") >= 0 || before(text, "failed") >= 0 ||
                before(text, "skipped") >= 0)) {
        add(s, VITEST, before(text, "passed"), before(text, "failed"),
            or_none(before(text, "skipped")) + or_none(before(text, "todo")));
    } else if (text.len > 0 && is_digit(text.ptr[0]) && line.ptr[0] == ' ') {
        if (before(text, "passing") >= 0) {
            add(s, MOCHA, before(text, "passing"), 0, 0);
        } else if (before(text, "pending") >= 0 && s->seen[MOCHA]) {
            add(s, MOCHA, 0, 0, before(text, "pending"));
        } else if (before(text, "failing") >= 0 && s->seen[MOCHA]) {
            add(s, MOCHA, 0, before(text, "failing"), 0);
        } else if (slice_ends_with(text, SLICE(" pass"))) {
            add(s, BUN, before(text, "pass"), 0, 0);
        } else if (slice_ends_with(text, SLICE(" fail")) && s->seen[BUN]) {
            add(s, BUN, 0, before(text, "fail"), 0);
        } else if (slice_ends_with(text, SLICE(" skip")) && s->seen[BUN]) {
            add(s, BUN, 0, 0, before(text, "skip"));
        }
    } else if (starts(text, "ok | ") || starts(text, "FAILED | ")) { // deno
        add(s, BUN, before(text, "passed"), before(text, "failed"), before(text, "ignored"));
    }
}

// node --test: "# pass 3" in TAP, "ℹ pass 3" for people; tape: "# pass  3".
static void node(Scan *s, Slice line)
{
    Slice text = line;
    if (starts(text, "\xe2\x84\xb9 ")) {
        text = slice_sub(text, 4, text.len);
    } else if (starts(text, "# ")) {
        text = slice_sub(text, 2, text.len);
    } else {
        return;
    }
    if (starts(text, "pass ")) {
        add(s, NODE, after(text, "pass "), 0, 0);
    } else if (starts(text, "fail ") || starts(text, "cancelled ")) {
        add(s, NODE, 0, after(text, " "), 0);
    } else if (starts(text, "skipped ") || starts(text, "todo ")) {
        add(s, NODE, 0, 0, after(text, " "));
    }
}

static void tap(Scan *s, Slice line)
{
    if (starts(line, "TAP version") ||
        (starts(line, "1..") && number_at(slice_sub(line, 3, 12)) >= 0)) {
        s->tap_plan = true;
    }
    // The plan may come last, so lines are counted before it is known to be TAP.
    bool bad = starts(line, "not ok");
    size_t n = bad ? 6 : 2;
    if ((!bad && !starts(line, "ok")) || (line.len > n && line.ptr[n] != ' ')) {
        return;
    }
    bool aside =
        has(line, "# SKIP") || has(line, "# skip") || has(line, "# TODO") || has(line, "# todo");
    TestCount *c = &s->counts[TAP];
    c->skipped += aside;
    c->failed += !aside && bad;
    c->passed += !aside && !bad;
    s->seen[TAP] = true;
}

// ---- C and C++

static void gtest(Scan *s, Slice line)
{
    static const struct {
        const char *label;
        int what;
    } ROWS[] = {{"[  PASSED  ]", 0}, {"[  FAILED  ]", 1}, {"[  SKIPPED ]", 2}};
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        if (starts(line, ROWS[i].label)) {
            int64_t n = before(line, "test");
            if (n >= 0) {
                add(s, GTEST, i == 0 ? n : 0, i == 1 ? n : 0, i == 2 ? n : 0);
            }
            return;
        }
    }
}

static void cpp(Scan *s, Slice line)
{
    Slice text = slice_trim(line);
    int64_t n;
    if (has(text, "test cases:") && has(text, "|")) {
        add(s, CATCH2, before(text, "passed"), before(text, "failed"),
            or_none(before(text, "skipped")) + or_none(before(text, "failed as expected")));
    } else if (starts(text, "All tests passed (") && (n = before(text, "test case")) >= 0) {
        add(s, CATCH2, n, 0, 0);
    } else if (has(text, "%: Checks: ")) {
        int64_t failed = or_none(after(text, "Failures:")) + or_none(after(text, "Errors:"));
        add(s, CHECK, or_none(after(text, "Checks:")) - failed, failed, 0);
    } else if (before(text, "Tests") >= 0 && before(text, "Failures") >= 0) {
        int64_t failed = before(text, "Failures"), ignored = or_none(before(text, "Ignored"));
        add(s, UNITY, before(text, "Tests") - failed - ignored, failed, ignored);
    } else if (has(text, "Synthesis: Tested:")) {
        add(s, CRITERION, after(text, "Passing:"),
            or_none(after(text, "Failing:")) + or_none(after(text, "Crashing:")), 0);
    } else if (has(text, "tests successful,") && (n = after(text, "of ")) >= 0) {
        int64_t good = number_at(text), skipped = or_none(before(text, "("));
        skipped = or_none(after(text, "successful,"));
        add(s, MUNIT, good, n - good, skipped);
    } else if (starts(text, "Running ") && has(text, " test case")) {
        s->counts[BOOST].passed = or_none(after(text, "Running "));
    } else if (starts(text, "*** No errors detected") && s->counts[BOOST].passed > 0) {
        s->seen[BOOST] = true;
    } else if (starts(text, "*** ") && has(text, " detected in") && has(text, "failure")) {
        n = or_none(after(text, "*** "));
        s->counts[BOOST].failed += n;
        s->seen[BOOST] = true;
    } else if (starts(text, "tests ") && text.len < 80) { // CUnit: total, ran, passed, failed
        int64_t value[4];
        Slice rest = slice_sub(text, 5, text.len);
        for (int i = 0; i < 4; i++) {
            rest = slice_trim(rest);
            value[i] = number_at(rest);
            while (rest.len > 0 && is_digit(rest.ptr[0])) {
                rest = slice_sub(rest, 1, rest.len);
            }
        }
        if (value[0] >= 0 && value[2] >= 0 && value[3] >= 0) {
            add(s, CUNIT, value[2], value[3], value[0] - value[1]);
        }
    }
}

// ---- others

static void others(Scan *s, Slice line)
{
    Slice text = slice_trim(line);
    int64_t n;
    if ((n = before(text, "examples, ")) >= 0 || (n = before(text, "example, ")) >= 0) {
        int64_t failed = or_none(before(text, "failure")), aside = or_none(before(text, "pending"));
        add(s, RSPEC, n - failed - aside, failed, aside);
    } else if ((n = before(text, "runs, ")) >= 0 && has(text, "assertions")) {
        int64_t failed = or_none(before(text, "failures")) + or_none(before(text, "errors"));
        add(s, MINITEST, n - failed - or_none(before(text, "skips")), failed,
            before(text, "skips"));
    } else if ((n = before(text, "specs, ")) >= 0 || (n = before(text, "spec, ")) >= 0) {
        int64_t failed = or_none(before(text, "failure")), aside = or_none(before(text, "pending"));
        add(s, JASMINE, n - failed - aside, failed, aside);
    } else if ((n = before(text, "tests completed")) >= 0 ||
               (n = before(text, "test completed")) >= 0) {
        int64_t failed = or_none(before(text, "failed")), aside = or_none(before(text, "skipped"));
        add(s, GRADLE, n - failed - aside, failed, aside);
    } else if (starts(text, "<testsuite ") && (n = after(text, " tests=\"")) >= 0) {
        int64_t failed = or_none(after(text, " failures=\"")) + or_none(after(text, " errors=\""));
        int64_t aside = or_none(after(text, " skipped=\""));
        add(s, JUNIT_XML, n - failed - aside, failed, aside);
    }
}

// "12 tests passed", "12/12 passed", "passed: 12, failed: 0": home-made runners.
static void plain(Scan *s, Slice line)
{
    static const char *const PASSED[] = {"tests passed",  "test passed",       "passed",
                                         "checks passed", "assertions passed", "ok,",
                                         "tests ok"};
    static const char *const FAILED[] = {"tests failed", "test failed", "failed", "failures"};
    static const char *const LABELS[] = {"passed:", "Passed:", "PASSED:", "passed="};
    int64_t passed = -1, failed = -1;
    for (size_t i = 0; passed < 0 && i < COUNT_OF(PASSED); i++) {
        passed = before(line, PASSED[i]);
    }
    for (size_t i = 0; failed < 0 && i < COUNT_OF(FAILED); i++) {
        failed = before(line, FAILED[i]);
    }
    for (size_t i = 0; passed < 0 && i < COUNT_OF(LABELS); i++) {
        passed = after(line, LABELS[i]);
    }
    if (failed < 0) {
        failed = after(line, "failed:");
        failed = failed < 0 ? after(line, "Failed:") : failed;
    }
    if (passed >= 0 || failed >= 0) {
        add(s, PLAIN, passed, failed, before(line, "skipped"));
    }
}

// ---- all of it

// Takes colours and other escapes out and cuts what is too long to be a summary.
static Slice clean(Slice line, char out[LINE_MAX_BYTES])
{
    size_t n = 0;
    for (size_t i = 0; i < line.len && n < LINE_MAX_BYTES; i++) {
        unsigned char c = (unsigned char)line.ptr[i];
        if (c == 0x1b && i + 1 < line.len && line.ptr[i + 1] == '[') {
            for (i += 2; i < line.len && !(line.ptr[i] >= '@' && line.ptr[i] <= '~'); i++) {
            }
            continue;
        }
        if (c == '\r' || c == 0) {
            continue;
        }
        out[n++] = (char)c;
    }
    return (Slice){out, n};
}

static void scan_line(Scan *s, Slice line)
{
    ctest(s, line);
    meson(s, line);
    automake(s, line);
    // "[INFO] Tests run: ..."
    surefire(s, line);
    cargo(s, line);
    go(s, line);
    pytest(s, line);
    unittest(s, line);
    javascript(s, line);
    node(s, line);
    tap(s, line);
    gtest(s, line);
    cpp(s, line);
    others(s, line);
    plain(s, line);
}

TestCount tests_count(Slice output)
{
    Scan s = {0};
    char held[LINE_MAX_BYTES];
    while (output.len > 0) {
        Slice line;
        (void)slice_cut(output, '\n', &line, &output);
        line = clean(line, held);
        if (line.len > 0) {
            scan_line(&s, line);
        }
    }
    s.seen[TAP] = s.seen[TAP] && s.tap_plan;
    for (int r = 0; r < RUNNERS; r++) {
        if (s.seen[r]) {
            s.counts[r].framework = NAMES[r];
            return s.counts[r];
        }
    }
    return (TestCount){0};
}

const char *tests_count_worse(const TestCount *base, const TestCount *patched)
{
    return patched->failed > base->failed     ? "more tests fail"
           : patched->passed < base->passed   ? "fewer tests pass"
           : patched->skipped > base->skipped ? "more tests are skipped"
                                              : NULL;
}
