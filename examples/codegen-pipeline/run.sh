#!/bin/sh
# The story of the code-generation pipeline, a chapter at a time, each in about a minute:
#
#     ./run.sh                     all of it, simulated and on the runtime (about ten minutes)
#     ./run.sh status-quo patient  these chapters
#     LIVE=no ./run.sh             only simulated (a minute in all)
#
# Chapters: status-quo, patient, rate-limit, autoscale, negotiate. PERFWRIGHT names the program,
# SCALE how many seconds of the system pass in one of the clock (10; 4 for negotiate), OUT where the report goes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
perfwright=${PERFWRIGHT:-perfwright}
system=$here/system.toml
scale=${SCALE:-10}
negotiation_scale=${SCALE:-4} # planning takes time of the clock
live=${LIVE:-yes}
out=${OUT:-.}

say() {
    printf '\n== %s\n\n' "$1"
}

# What it does in the calm before the spike at 100 s, then with the spike and after it; the latter
# on the runtime, too. Exit codes 99 and 113 say that promises are broken, which is the point here.
both() {
    say "$1: 100 s without a spike, simulated"
    shift
    "$perfwright" simulate "$system" --quiet --horizon 100s --warmup 30s "$@" || [ $? -ge 99 ]
    say "with the spike at 100 s, 300 s, simulated"
    "$perfwright" simulate "$system" --quiet --horizon 300s --warmup 30s "$@" || [ $? -ge 99 ]
    if [ "$live" = yes ]; then
        say "the same on the runtime, beside the simulator"
        "$perfwright" system run "$system" --no-ledger --both --horizon 300s --warmup 30s \
            --scale "$scale" "$@" || [ $? -ge 99 ]
    fi
}

status_quo() {
    both "As it stands: A gives up after 1 s and asks again, nobody tells D"
}

# Fixes that one agent can make alone.
patient() {
    both "A (and builds) wait 10 s instead of 1 s" \
        --set 'a->b.timeout.attempt=10s' --set 'builds->b.timeout.attempt=10s'
}

rate_limit() {
    both "D takes 16 requests a second, whoever asks" \
        --set d.rate.per_second=16 --set d.rate.burst=16
}

autoscale() {
    both "D scales to four times its servers" \
        --set d.autoscale.target=0.8 --set d.autoscale.min=18 --set d.autoscale.max=72
}

negotiate() {
    say "the agents agree on other policies, simulated"
    "$perfwright" coordinate run "$system" --no-ledger --duration 300s || [ $? -eq 99 ]
    if [ "$live" = yes ]; then
        say "the same on the runtime; the report: $out/story.html"
        "$perfwright" coordinate run "$system" --no-ledger --live --scale "$negotiation_scale" \
            --duration 300s --report "$out/story.html" || [ $? -eq 99 ]
    fi
}

[ $# -gt 0 ] || set -- status-quo patient rate-limit autoscale negotiate
for chapter; do
    case $chapter in
    status-quo) status_quo ;;
    patient) patient ;;
    rate-limit) rate_limit ;;
    autoscale) autoscale ;;
    negotiate) negotiate ;;
    *)
        echo "no chapter \"$chapter\": status-quo, patient, rate-limit, autoscale, negotiate" >&2
        exit 2
        ;;
    esac
done
