#!/usr/bin/env python3
"""Every include "room/file.h" under src/ must be allowed by tools/rooms.txt; third-party headers
belong to one file each. Prints each violation as file:line and exits 1."""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SYSTEM_PREFIXES = ("sys/", "linux/", "netinet/", "arpa/", "net/if", "sanitizer/", "valgrind/")
SYSTEM = set("""assert.h complex.h ctype.h dirent.h elf.h endian.h errno.h execinfo.h fcntl.h float.h fnmatch.h
getopt.h glob.h ifaddrs.h inttypes.h langinfo.h limits.h link.h locale.h malloc.h math.h netdb.h
poll.h pthread.h pwd.h sched.h setjmp.h signal.h spawn.h stdalign.h stdarg.h stdatomic.h stdbool.h
stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h syslog.h termios.h time.h
ucontext.h unistd.h unwind.h wchar.h x86intrin.h""".split())
# A library whose API is spread over headers, or a test framework, may be seen by several files.
MANY_USERS = ("openssl/", "cmocka.h")


def read_rooms():
    rooms = {}
    for line in (ROOT / "tools/rooms.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            room, uses = line.split(":")
            rooms[room.strip()] = set(uses.split())
    return rooms


def main():
    rooms = read_rooms()
    problems = []
    third_party = collections.defaultdict(set)
    order = list(rooms)
    for room, uses in rooms.items():
        for used in uses:
            if used not in rooms or order.index(used) >= order.index(room):
                problems.append(f"tools/rooms.txt: {room} may not use {used}: it is not below it")
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        room = path.relative_to(ROOT / "src").parts[0]
        name = path.relative_to(ROOT)
        if room not in rooms:
            problems.append(f"{name}:1: room {room} is not in tools/rooms.txt")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            ours = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if ours:
                target = ours.group(1).split("/")[0] if "/" in ours.group(1) else None
                if target is None:
                    problems.append(f'{name}:{number}: write "room/file.h", not "{ours.group(1)}"')
                elif target != room and target not in rooms[room]:
                    problems.append(f"{name}:{number}: {room} may not use {target}")
            theirs = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
            if theirs:
                header = theirs.group(1)
                if header not in SYSTEM and not header.startswith(SYSTEM_PREFIXES + MANY_USERS):
                    third_party[header].add(str(name))
    for header, users in sorted(third_party.items()):
        users = {user for user in users if not user.endswith("_test.c")}
        if len(users) > 1:
            problems.append(f"<{header}> is included by {', '.join(sorted(users))}: one seam only")
    for problem in problems:
        print(problem)
    print(f"layers: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
