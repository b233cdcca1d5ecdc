#!/usr/bin/env bash
# The slow half of ./check --full. Each part says how it ended; the exit code is 1 when one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0

part() {
    local name=$1
    shift
    local log
    log=build/full-$(echo "$name" | tr ' /' '--').log
    if "$@" >"$log" 2>&1; then
        echo "ok    $name"
    else
        echo "FAIL  $name (see $log)"
        tail -n 25 "$log"
        failed=1
    fi
}

configure() {
    local dir=$1
    shift
    [ -d "$dir" ] || meson setup "$dir" "$@"
}

release_without_warnings() {
    configure build/full-release --buildtype=release -Dwerror=true && ninja -C build/full-release
}

clang_without_warnings() {
    CC=clang configure build/full-clang --buildtype=release -Dwerror=true && ninja -C build/full-clang
}

tsan() {
    configure build/full-tsan -Db_sanitize=thread -Dwerror=true && ninja -C build/full-tsan &&
        meson test -C build/full-tsan --no-rebuild --suite unit --timeout-multiplier 5
}

with_valgrind() {
    configure build/full-plain -Dwerror=true && ninja -C build/full-plain &&
        meson test -C build/full-plain --no-rebuild --suite unit --timeout-multiplier 20 --wrapper \
            "valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --fair-sched=yes"
}

fuzzing() {
    CC=clang configure build/full-fuzz -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args=-fsanitize=fuzzer-no-link -Dfuzz_engine=-fsanitize=fuzzer -Dtests=disabled &&
        ninja -C build/full-fuzz || return 1
    local target name
    for target in build/full-fuzz/fuzz/fuzz_*; do
        [ -x "$target" ] && [ -f "$target" ] || continue
        name=$(basename "$target")
        mkdir -p "build/full-fuzz/corpus/$name"
        echo "== $name"
        "$target" -max_total_time="${PERFWRIGHT_FUZZ_SECONDS:-30}" -rss_limit_mb=2048 -timeout=10 \
            -artifact_prefix="build/full-fuzz/$name-" \
            "build/full-fuzz/corpus/$name" "fuzz/corpus/${name#fuzz_}" || return 1
    done
}

layout() {
    git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
}

arm64_syntax() {
    aarch64-linux-gnu-gcc -std=gnu17 -D_GNU_SOURCE -Isrc -include src/base/banned.h -Wall -c \
        -o build/fiber_arm64.o src/os/fiber_switch.c
}

mkdir -p build
part "release build, gcc" release_without_warnings
part "release build, clang" clang_without_warnings
part "layout" layout
part "arm64 fibers compile" arm64_syntax
part "threads under TSan" tsan
part "unit tests under valgrind" with_valgrind
part "fuzzing" fuzzing
exit $failed
