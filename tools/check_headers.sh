#!/bin/sh
# Every header compiles alone: what it needs, it includes.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
count=0
for header in $(find src include -name '*.h' | sort); do
    count=$((count + 1))
    if ! printf '#include "%s"\n' "${header#src/}" |
        ${CC:-cc} -std=gnu17 -D_GNU_SOURCE -Isrc -Iinclude -fsyntax-only -Wall -include src/base/banned.h -x c - 2>/tmp/header.$$; then
        echo "$header does not compile alone:"
        head -5 /tmp/header.$$
        bad=$((bad + 1))
    fi
done
rm -f /tmp/header.$$
echo "headers: $count checked, $bad bad"
[ "$bad" = 0 ]
