#!/bin/sh
# Fetches the public toml-test corpus through the Go client, which checks it against the Go checksum
# database, and runs toml_suite over it. 77 means skipped: no Go, or the corpus cannot be fetched.
set -eu
suite=$(realpath "$1")
module=github.com/toml-lang/toml-test/v2@v2.2.0
sum=h1:q3ELZu7oPnpl9TClC6OOcAccXwj+jwAyFP8WvzBdK1M=

command -v go >/dev/null || { echo "skipped: go is not installed"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: "${HOME:=$work}"
export HOME
cd "$work"
if ! go mod download -json "$module" >info.json 2>why.txt; then
    cat why.txt
    echo "skipped: $module cannot be fetched"
    exit 77
fi
grep -qF "\"$sum\"" info.json || { echo "the corpus is not the one expected"; cat info.json; exit 1; }
dir=$(sed -n 's/^.*"Dir": "\(.*\)".*$/\1/p' info.json)
"$suite" "$dir/tests"
