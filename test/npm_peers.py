"""Where the packages of test/npm/package.json are, for the tests that run them.

    import npm_peers
    node = npm_peers.node_or_skip()               # a node of version 22
    suite = npm_peers.package("@modelcontextprotocol/conformance")   # its directory

`tools/install_deps.sh npm` installs them into build/npm; where that was not done, a test that needs
them says so and ends with 77, which meson counts as skipped."""
import pathlib
import platform
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODULES = ROOT / "build" / "npm" / "node_modules"
SKIPPED = 77


def package(name):
    return MODULES / name


def node_or_skip():
    arch = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), "unknown")
    node = MODULES / f"node-linux-{arch}" / "bin" / "node"
    if not node.exists() or not (MODULES.parent / ".installed").exists():
        print("skipped: the npm packages are not installed; run tools/install_deps.sh npm")
        sys.exit(SKIPPED)
    return node
