#!/usr/bin/env python3
"""No file over 1500 lines, no function over 70 lines, no line over 100 columns. The brace
counting is rough and enough for code that clang-format laid out: a body opens with "{" in column 0."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE_LINES_MAX = 1500
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100


def check(path):
    name = path.relative_to(ROOT)
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) > FILE_LINES_MAX:
        yield f"{name}: {len(lines)} lines, the limit is {FILE_LINES_MAX}"
    opened = None
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX and "http" not in line:
            yield f"{name}:{number}: {len(line)} columns, the limit is {COLUMNS_MAX}"
        if line == "{":
            opened = number
        elif line.startswith("}") and opened:
            length = number - opened - 1
            # A test's table of cases is data, not logic.
            is_test = str(path).endswith("_test.c")
            if length > FUNCTION_LINES_MAX and not is_test:
                yield f"{name}:{opened}: function of {length} lines, the limit is {FUNCTION_LINES_MAX}"
            opened = None


def main():
    problems = []
    for folder in ("src", "include", "examples", "bench", "fuzz", "test"):
        for path in sorted((ROOT / folder).rglob("*.[ch]")):
            problems += check(path)
    for problem in problems:
        print(problem)
    print(f"size: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
