#!/usr/bin/env python3
"""What the compiler's poison list cannot catch: calls that library code must not make, mutable
globals, unfinished work, and things that must never be in the tree. Exits 1 with file:line."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# pattern, why, folders of src it is allowed in
RULES = [
    (r"\b(printf|puts|putchar|perror)\s*\(", "library code never prints", ("cli",)),
    (r"\b(exit|_exit|quick_exit)\s*\(", "library code never exits", ("cli", "os")),
    (r"\bassert\s*\(\s*0\s*\)", "say what cannot happen with die()", ()),
    (r"\b(TODO|FIXME|XXX|HACK)\b", "unfinished work belongs in an issue", ()),
    (r"\b(usleep|sleep|nanosleep)\s*\(", "waiting goes through the loop", ("os",)),
    (r"\bgetenv\s*\(", "the environment is read at the edge and handed down", ("cli", "config", "os")),
    (r"\b(popen|fork|vfork)\s*\(", "child processes go through os/process.h", ("os",)),
    (r"\b(malloc|calloc|realloc|strdup|strndup)\s*\(", "mem_alloc() or an arena", ("base",)),
    (r"#\s*ifdef\s+__(x86_64|aarch64|linux)", "platform switches live in os/", ("os",)),
    (r"<stdatomic\.h>", "atomics live in os/", ("os",)),
]


def code_lines(text):
    """Lines with comments and string literals blanked."""
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)
    for line in text.splitlines():
        line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        yield re.sub(r"//.*", "", line)


def main():
    problems = []
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        name = path.relative_to(ROOT)
        room = path.relative_to(ROOT / "src").parts[0]
        if path.name.endswith("_test.c") or path.name.endswith("_test.h"):
            continue
        for number, line in enumerate(code_lines(path.read_text(encoding="utf-8")), 1):
            for pattern, why, allowed in RULES:
                if room not in allowed and re.search(pattern, line):
                    problems.append(f"{name}:{number}: {line.strip()[:60]}: {why}")
    for problem in problems:
        print(problem)
    print(f"banned: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
