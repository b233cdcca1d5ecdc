#!/usr/bin/env bash
# Installs what perfwright needs from Debian 12 or 13, and says what it installs.
#
#   tools/install_deps.sh build          compiler, Meson, libraries
#   tools/install_deps.sh build check    and what only the tests need
#   tools/install_deps.sh npm            what the tests run against, from npm, into build/npm
#   tools/install_deps.sh pip            and from PyPI, into build/py
#
# Needs root or sudo, and only when something is missing. On Debian 12, yyjson, llhttp and QuickJS
# come from Debian 13's archive, from the same mirror that the machine already uses: the added source
# is pinned so low that nothing else is ever taken from it.
set -euo pipefail

BUILD="gcc libc6-dev pkg-config meson ninja-build python3 ca-certificates
  libyaml-dev libyyjson-dev libllhttp-dev libquickjs libssl-dev libcurl4-openssl-dev libnghttp2-dev
  bubblewrap git libsqlite3-dev zlib1g-dev libbrotli-dev libzstd-dev libsnappy-dev libdw-dev libxgboost-dev"
CHECK="libcmocka-dev nginx-light prometheus golang-go curl nghttp2-client python3-jsonschema
  libxml2-utils openssl g++"
FULL="valgrind clang clang-tidy clang-format libclang-rt-14-dev wrk gcc-aarch64-linux-gnu
  libc6-dev-arm64-cross qemu-user"
FROM_TRIXIE="libyyjson-dev libyyjson0 libllhttp-dev libllhttp9.2 libquickjs"

. /etc/os-release
if [ "${ID:-}" != debian ] && [[ "${ID_LIKE:-}" != *debian* ]]; then
    echo "install_deps: this script knows Debian 12 and 13; here is ${PRETTY_NAME:-unknown}." >&2
    echo "install_deps: install these by hand and go on: $BUILD" >&2
    exit 1
fi
if [ "${VERSION_ID:-}" != 12 ]; then
    FULL=${FULL//libclang-rt-14-dev/libclang-rt-dev}
fi

packages=""
peers=no
python_peers=no
for set in "$@"; do
    case $set in
    npm)
        peers=yes
        packages+=" npm"
        ;;
    pip)
        python_peers=yes
        packages+=" python3-pip"
        ;;
    build) packages+=" $BUILD" ;;
    check) packages+=" $CHECK" ;;
    full) packages+=" $FULL" ;;
    *)
        echo "usage: tools/install_deps.sh build|check|full|npm|pip ..." >&2
        exit 2
        ;;
    esac
done

# Official SDKs, a third-party fake provider and MCP's suite, pinned by test/npm/package-lock.json.
# --ignore-scripts: nothing of theirs runs at installation; node itself comes along as a package,
# because Debian 12's is older than some of them want.
install_peers() {
    local from to
    from=$(cd "$(dirname "$0")/../test/npm" && pwd)
    to=$(cd "$(dirname "$0")/.." && pwd)/build/npm
    if cmp -s "$from/package-lock.json" "$to/.installed"; then
        return
    fi
    echo "installing with npm into build/npm: $(grep -c '"integrity"' "$from/package-lock.json") packages"
    mkdir -p "$to"
    rm -f "$to/.installed"
    cp "$from/package.json" "$from/package-lock.json" "$to/"
    if ! (cd "$to" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >"$to/npm.log" 2>&1
    then
        tail -n 20 "$to/npm.log" >&2
        echo "install_deps: npm failed; its last words are above" >&2
        exit 1
    fi
    cp "$from/package-lock.json" "$to/.installed"
}

# Pure Python, so that one hash is right for every machine; nothing of theirs runs at installation.
install_python_peers() {
    local from to
    from=$(cd "$(dirname "$0")/../test/python" && pwd)/requirements.txt
    to=$(cd "$(dirname "$0")/.." && pwd)/build/py
    if cmp -s "$from" "$to/.installed"; then
        return
    fi
    echo "installing with pip into build/py: $(grep -c '==' "$from") packages"
    rm -rf "$to"
    mkdir -p "$to"
    if ! python3 -m pip install --quiet --disable-pip-version-check --target "$to" --no-deps --no-cache-dir \
        --only-binary=:all: --platform any --implementation py --abi none \
        --require-hashes -r "$from" >"$to.log" 2>&1
    then
        tail -n 20 "$to.log" >&2
        echo "install_deps: pip failed; its last words are above" >&2
        exit 1
    fi
    cp "$from" "$to/.installed"
}

# A program that is already there by another road (a newer Go, say) needs no package.
has_command() {
    case $1 in
    golang-go) command -v go ;;
    python3-pip) python3 -m pip --version ;;
    npm | python3 | git | curl | openssl | valgrind | clang | wrk | gcc | g++ | meson) command -v "$1" ;;
    *) false ;;
    esac >/dev/null 2>&1
}

missing=""
for package in $packages; do
    if ! has_command "$package" &&
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
        missing+=" $package"
    fi
done
if [ -z "$missing" ]; then
    [ $peers = no ] || install_peers
    [ $python_peers = no ] || install_python_peers
    exit 0
fi

sudo=""
if [ "$(id -u)" != 0 ]; then
    sudo=sudo
    if ! command -v sudo >/dev/null; then
        echo "install_deps: not root and no sudo. Ask an administrator to install:$missing" >&2
        exit 1
    fi
fi
echo "installing with apt-get:$missing"

# The mirror this machine uses for Debian itself.
mirror() {
    {
        sed -n 's/^URIs:[[:space:]]*\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources
        sed -n 's/^deb[[:space:]]\+\(\[[^]]*\][[:space:]]*\)\?\([^ ]*\).*/\2/p' \
            /etc/apt/sources.list /etc/apt/sources.list.d/*.list
    } 2>/dev/null | grep -E '/debian/?$' | head -n 1
}

# The list of pinned packages grows with the program, so the file's content is what counts.
if [ "${VERSION_ID:-}" = 12 ] &&
    ! grep -qxF "Package: $FROM_TRIXIE" /etc/apt/preferences.d/perfwright-trixie 2>/dev/null; then
    uri=$(mirror)
    if [ -z "$uri" ]; then
        echo "install_deps: found no Debian mirror in apt's sources" >&2
        exit 1
    fi
    echo "adding Debian 13 as a source for yyjson, llhttp and QuickJS only (pinned)"
    $sudo tee /etc/apt/sources.list.d/perfwright-trixie.sources >/dev/null <<EOF
Types: deb
URIs: $uri
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
EOF
    $sudo tee /etc/apt/preferences.d/perfwright-trixie >/dev/null <<EOF
Package: *
Pin: release n=trixie
Pin-Priority: 50

Package: $FROM_TRIXIE
Pin: release n=trixie
Pin-Priority: 990
EOF
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { $sudo apt-get update && $sudo apt-get install -y --no-install-recommends $missing; } \
    >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "install_deps: apt-get failed; its last words are above" >&2
    exit 1
fi
# Services that packages start are not wanted: tests start their own, on their own ports.
for service in nginx prometheus prometheus-node-exporter; do
    if [[ " $missing " == *" ${service%-light}"* ]] && command -v systemctl >/dev/null; then
        $sudo systemctl disable --now "$service" >/dev/null 2>&1 || true
    fi
done
[ $peers = no ] || install_peers
[ $python_peers = no ] || install_python_peers
