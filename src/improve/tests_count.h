// How many tests a test run had, from what it printed.
//
//     TestCount count = tests_count(log);
//     if (count.framework && count.failed == 0 && count.passed > 0) ...
//
// An exit code says that nothing failed, not that anything ran: a patch that skips the tests, or a
// command that finds none, exits with 0 as well. So the summaries of the usual runners are read:
// ctest, meson, automake, go, cargo (and nextest), pytest, unittest, jest, vitest, mocha, node,
// ava, bun, deno, tape and other TAP, surefire, gradle, JUnit XML, gtest, cmocka, Catch2, doctest,
// libcheck, Unity, Criterion, munit, CUnit, Boost.Test, rspec, minitest, jasmine; and last a plain
// "12 tests passed".
//
// A runner that runs other programs (ctest, meson, automake) is believed over what those print.
// Several summaries of one runner, as of several packages, are added up.
#ifndef IMPROVE_TESTS_COUNT_H
#define IMPROVE_TESTS_COUNT_H

#include "base/slice.h"

typedef struct TestCount {
    const char *framework; // "pytest"; NULL: nothing that is known was found
    int64_t passed;
    int64_t failed;  // errors, time-outs, crashes and unexpected passes among them
    int64_t skipped; // ignored, pending, to do and expected failures among them
} TestCount;

// `output` may hold terminal colours and bytes that are no text. Never fails; costs one pass.
TestCount tests_count(Slice output);

// What became worse from base to patched, as a sentence without full stop; NULL when nothing did:
// fewer passed, more failed, more skipped. Both must have a framework.
const char *tests_count_worse(const TestCount *base, const TestCount *patched);

#endif
