#!/usr/bin/env python3
"""Prints "passed failed skipped" for a Meson testlog.json: cmocka's own counts where a program
printed them, one test for a program that did not."""
import json
import re
import sys

PASSED = re.compile(r"^\[  PASSED  \] (\d+) test\(s\)", re.M)
FAILED = re.compile(r"^\[  FAILED  \] (\d+) test\(s\)", re.M)
SKIPPED = re.compile(r"^\[  SKIPPED \] (\d+) test\(s\)", re.M)


def total(pattern, text):
    return sum(int(number) for number in pattern.findall(text))


def main():
    passed = failed = skipped = 0
    for line in open(sys.argv[1], encoding="utf-8"):
        test = json.loads(line)
        text = test.get("stdout", "") + test.get("stderr", "")
        program_failed = test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL")
        counts = [total(pattern, text) for pattern in (PASSED, FAILED, SKIPPED)]
        if sum(counts) == 0:
            counts = [test["result"] == "OK", program_failed, test["result"] == "SKIP"]
        elif program_failed and counts[1] == 0:
            counts[1] = 1  # it crashed, leaked or timed out behind its last test
        passed += counts[0]
        failed += counts[1]
        skipped += counts[2]
    print(passed, failed, skipped)


if __name__ == "__main__":
    main()
