#!/bin/sh
# How often `improve configure` finds out how a repository is built and tested: runs it over unpacked
# sources, one after the other, and prints a row each and the rates at the end.
#
#   bench/improve/infer.sh DIRECTORY [NAME...]     each directory below DIRECTORY is a repository
#
# PERFWRIGHT is the program, LIMIT the time for each (default 4m). In a container
# OPTIONS=--install-packages lets it install what is missing. Sources for a rehearsal are named in
# infer_sources.txt; they are fetched with the registries' own clients and never kept in this tree.
set -u
program=${PERFWRIGHT:-perfwright}
limit=${LIMIT:-4m}
top=${1:?a directory with unpacked sources}
shift
[ $# -gt 0 ] || set -- $(ls "$top")
work=$(mktemp -d)
trap 'chmod -R u+rwX "$work"; rm -rf "$work"' EXIT
all=0 builds=0 tests=0
printf '%-28s %-11s %-24s %-6s %-6s %6s %s\n' repository language by build test tests benchmarks
for name in "$@"; do
    rm -rf "$work/repo"
    cp -a "$top/$name" "$work/repo"
    "$program" improve configure "$work/repo" --json --quiet --work-dir "$work/copies" \
        --time-limit "$limit" ${OPTIONS:-} >"$work/out.json" 2>"$work/err"
    python3 - "$name" "$work/out.json" "$work/err" <<'PY'
import json, sys
name, out, err = sys.argv[1:4]
try:
    r = json.load(open(out))
except ValueError:
    print(f"{name:28} {open(err).read().strip()[:120]}")
    sys.exit(0)
ran = sum(b["validated"] for b in r["steps"]["benchmarks"])
yes = lambda ok: "yes" if ok else "no"
print(f"{name:28} {r['language']:11} {r['recipe'][:24]:24} {yes(r['buildValidated']):6} "
      f"{yes(r['testValidated']):6} {r['tests'] if r['tests'] is not None else '-':>6} "
      f"{r['benchmarksFound']} found, {ran} ran{', out of time' if r['outOfTime'] else ''}")
PY
    all=$((all + 1))
    grep -q '"buildValidated": true' "$work/out.json" && builds=$((builds + 1))
    grep -q '"testValidated": true' "$work/out.json" && tests=$((tests + 1))
    chmod -R u+rwX "$work/copies" 2>/dev/null
    rm -rf "$work/copies"
done
echo "$all repositories, $builds built, $tests tested"
