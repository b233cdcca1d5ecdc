#include "improve/tests_count.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

typedef struct Case {
    const char *framework; // NULL: none
    int64_t passed, failed, skipped;
    const char *output;
} Case;

// The forms are those of the runners' own documentation and source (ctest: cmCTestTestHandler.cxx;
// meson: mtest.py; automake: check.am; go: testing/testing.go and cmd/go; cargo: libtest's
// formatters/pretty.rs; pytest: terminal.py; unittest: runner.py; surefire: its console reporter),
// with names and numbers of ours.
static const Case CASES[] = {
    {"ctest", 11, 0, 1,
     "      Start  3: parse\n 3/12 Test  #3: parse ........***Skipped   0.01 sec\n"
     "[  PASSED  ] 400 tests.\n\n100% tests passed, 0 tests failed out of 12\n"},
    {"ctest", 10, 2, 0, "83% tests passed, 2 tests failed out of 12\n"},
    {"meson", 3, 1, 2,
     "Ok:                 3   \nExpected Fail:      1   \nFail:               1   \n"
     "Unexpected Pass:    0   \nSkipped:            1   \nTimeout:            0   \n"},
    {"automake", 5, 1, 2,
     "# TOTAL: 8\n# PASS:  5\n# SKIP:  1\n# XFAIL: 1\n# FAIL:  1\n# XPASS: 0\n# ERROR: 0\n"},
    {"cargo", 5, 1, 1,
     "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in "
     "0.00s\ntest result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured\n"},
    {"cargo", 3, 0, 1, "     Summary [   0.005s] 3 tests run: 3 passed, 1 skipped\n"},
    {"go", 2, 1, 1,
     "=== RUN   TestA\n--- PASS: TestA (0.00s)\n    --- PASS: TestA/x (0.00s)\n"
     "--- SKIP: TestC (0.00s)\n--- FAIL: TestB (0.00s)\nFAIL\nFAIL\texample.com/m\t0.1s\n"},
    {"go packages", 1, 1, 0,
     "--- FAIL: TestB (0.00s)\nFAIL\texample.com/a\t0.004s\nok  \texample.com/b\t0.002s\n"
     "?   \texample.com/c\t[no test files]\n"},
    {"go", 1, 0, 1,
     "{\"Time\":\"x\",\"Action\":\"pass\",\"Package\":\"a\",\"Test\":\"T\",\"Elapsed\":0}\n"
     "{\"Action\":\"skip\",\"Package\":\"a\",\"Test\":\"U\"}\n"
     "{\"Action\":\"pass\",\"Package\":\"a\",\"Elapsed\":0.1}\n"},
    {"pytest", 3, 2, 3, "==== 1 failed, 3 passed, 2 skipped, 1 xfailed, 1 error in 0.12s ====\n"},
    {"pytest", 17, 0, 0,
     "\x1b[32m.................\x1b[0m\n\x1b[32m\x1b[1m17 passed\x1b[0m\x1b[32m "
     "in 0.04s\x1b[0m\n"},
    {"pytest", 0, 0, 4, "============================= 4 skipped in 0.01s =====\n"},
    {"unittest", 3, 0, 0, "...\n------\nRan 3 tests in 0.001s\n\nOK\n"},
    {"unittest", 5, 3, 2, "Ran 10 tests in 0.001s\n\nFAILED (failures=2, errors=1, skipped=2)\n"},
    {"unittest", 2, 0, 1, "Ran 3 tests in 0.001s\n\nOK (expected failures=1)\n"},
    {"jest", 3, 1, 2,
     "Test Suites: 1 failed, 1 total\n"
     "Tests:       1 failed, 2 skipped, 3 passed, 6 total\n"},
    {"vitest", 3, 1, 0, " Test Files  1 failed (1)\n      Tests  1 failed | 3 passed (4)\n"},
    {"mocha", 3, 1, 2, "\n  3 passing (12ms)\n  2 pending\n  1 failing\n"},
    {"node", 4, 1, 0,
     "\xe2\x84\xb9 tests 5\n\xe2\x84\xb9 pass 4\n\xe2\x84\xb9 fail 1\n\xe2\x84\xb9 skipped 0\n"},
    {"node", 4, 0, 1,
     "TAP version 13\nok 1 - a.js\n1..1\n# tests 5\n# pass 4\n# fail 0\n# skipped 1\n"},
    {"bun", 3, 1, 0, "bun test v1\n 3 pass\n 1 fail\n 5 expect() calls\n"},
    {"bun", 3, 0, 1, "ok | 3 passed | 0 failed | 1 ignored (12ms)\n"},
    {"tap", 2, 1, 1, "1..4\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no network\nok 4\n"},
    {NULL, 0, 0, 0, "ok so far\nok\n"},
    {"surefire", 4, 1, 1,
     "[INFO] Tests run: 6, Failures: 0, Errors: 1, Skipped: 1, Time elapsed: 0.1 s - in X\n"
     "[ERROR] Tests run: 6, Failures: 0, Errors: 1, Skipped: 1\n"},
    {"surefire", 3, 0, 0, "Time: 0.005\n\nOK (3 tests)\n"},
    {"gtest", 2, 1, 1,
     "[  PASSED  ] 2 tests.\n[  SKIPPED ] 1 test, listed below:\n"
     "[  SKIPPED ] A.b\n[  FAILED  ] 1 test, listed below:\n[  FAILED  ] A.c\n"},
    {"gtest", 7, 0, 0,
     "[==========] 4 test(s) run.\n[  PASSED  ] 4 test(s).\n"
     "[  PASSED  ] 3 test(s).\n"},
    {"catch2", 2, 0, 0, "All tests passed (5 assertions in 2 test cases)\n"},
    {"catch2", 2, 1, 0,
     "test cases: 3 | 2 passed | 1 failed\nassertions: 9 | 8 passed | 1 failed\n"},
    {"catch2", 3, 0, 1, "[doctest] test cases:  3 |  3 passed | 0 failed | 1 skipped\n"},
    {"check", 3, 1, 0, "75%: Checks: 4, Failures: 1, Errors: 0\n"},
    {"unity", 3, 1, 1, "-----\n5 Tests 1 Failures 1 Ignored \nFAIL\n"},
    {"criterion", 3, 2, 0,
     "[====] Synthesis: Tested: 5 | Passing: 3 | Failing: 1 | Crashing: 1 \n"},
    {"munit", 3, 1, 0, "3 of 4 (75%) tests successful, 0 (0%) test skipped.\n"},
    {"cunit", 3, 1, 0,
     "Run Summary:    Type  Total    Ran Passed Failed Inactive\n"
     "               tests      4      4      3      1        0\n"},
    {"boost", 4, 0, 0, "Running 4 test cases...\n\n*** No errors detected\n"},
    {"rspec", 5, 1, 1, "7 examples, 1 failure, 1 pending\n"},
    {"minitest", 3, 1, 1, "5 runs, 9 assertions, 1 failures, 0 errors, 1 skips\n"},
    {"jasmine", 5, 0, 0, "5 specs, 0 failures\n"},
    {"gradle", 2, 1, 0, "3 tests completed, 1 failed\n"},
    {"junit", 2, 1, 1,
     "<testsuite name=\"a\" tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"0\">\n"},
    {"plain", 12, 0, 0, "All good: 12 tests passed\n"},
    {"plain", 11, 1, 0, "passed: 11, failed: 1\n"},
    {NULL, 0, 0, 0, ""},
    {NULL, 0, 0, 0, "make: Nothing to be done for 'check'.\n"},
    // A number past every sense is cut, not overflowed.
    {"plain", 100000000, 0, 0, "99999999999999999999999 tests passed\n"},
};

static void test_every_runner(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        const Case *c = &CASES[i];
        TestCount n = tests_count(slice_from_cstr(c->output));
        if ((n.framework == NULL) != (c->framework == NULL) ||
            (n.framework && strcmp(n.framework, c->framework) != 0) || n.passed != c->passed ||
            n.failed != c->failed || n.skipped != c->skipped) {
            fail_msg("case %zu (%s): %s %lld/%lld/%lld", i, c->framework,
                     n.framework ? n.framework : "none", (long long)n.passed, (long long)n.failed,
                     (long long)n.skipped);
        }
    }
}

static void test_worse(void **state)
{
    (void)state;
    const TestCount base = {"x", 10, 1, 2};
    assert_null(tests_count_worse(&base, &base));
    assert_null(tests_count_worse(&base, &(TestCount){"x", 11, 0, 2}));
    assert_string_equal(tests_count_worse(&base, &(TestCount){"x", 9, 1, 2}), "fewer tests pass");
    assert_string_equal(tests_count_worse(&base, &(TestCount){"x", 9, 2, 2}), "more tests fail");
    assert_string_equal(tests_count_worse(&base, &(TestCount){"x", 10, 1, 3}),
                        "more tests are skipped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_runner),
        cmocka_unit_test(test_worse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
