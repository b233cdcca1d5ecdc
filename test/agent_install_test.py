#!/usr/bin/env python3
"""The installed library is one that others can build on: `meson install` into a scratch directory,
pkg-config from there, and the examples in C and C++ built and run against it. The agent in a shared
library is also loaded by the installed program."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(sys.argv[1]).resolve()
SOURCE = pathlib.Path(sys.argv[2]).resolve()
SANITIZE = sys.argv[3]
EXAMPLES = SOURCE / "examples" / "agent_c"


def run(*words, env=None, cwd=None):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=120,
                          env=env, cwd=cwd)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def main():
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root)
        pc = next(root.rglob("perfwright.pc"))
        library = next(root.rglob("libperfwright.so.0"))
        program = next(p for p in root.rglob("perfwright") if p.is_file() and os.access(p, os.X_OK))
        env = dict(os.environ, PKG_CONFIG_PATH=str(pc.parent), PKG_CONFIG_SYSROOT_DIR=str(root),
                   LD_LIBRARY_PATH=str(library.parent))
        flags = run("pkg-config", "--cflags", "--libs", "perfwright", env=env).split()
        # Programs that load an instrumented library have to be instrumented themselves.
        extra = ["-fsanitize=" + SANITIZE] if SANITIZE != "none" else []

        # Nothing but pw_* is shown.
        names = run("nm", "-D", "--defined-only", library)
        shown = [line.split()[-1].split("@")[0] for line in names.splitlines()]
        strange = [n for n in shown if not n.startswith("pw_") and n != "PERFWRIGHT_0"]
        assert not strange, f"the library shows {strange[:5]}"
        assert "pw_runner_create" in shown

        # Everything that the headers declare is there.
        for header in (SOURCE / "include" / "perfwright").glob("*.h"):
            for name in re.findall(r"^PW_API[^;(]*?(pw_\w+)\(", header.read_text(), re.M):
                assert name in shown, f"{header.name} declares {name}, the library has it not"

        warnings = ["-Wall", "-Wextra", "-Werror"]
        run("cc", "-std=c11", *warnings, *extra, "-o", root / "benchmark",
            EXAMPLES / "benchmark.c", *flags, env=env)
        text = run(root / "benchmark", "2", "2000", env=env)
        for figure in ("RequestsPerSecond", "AverageLatency", "P95Latency", "P99Latency", "ErrorRate",
                       "MemoryUsage", "GCPauses", "ActiveGoroutines"):
            assert text.count(figure) == 2, text
        assert text.count("ErrorRate          0.000 %") == 2, text

        run("c++", "-std=c++17", *warnings, *extra, "-o", root / "hello", EXAMPLES / "hello.cpp",
            *flags, env=env)
        assert run(root / "hello", env=env) == "hello world\n"

        run("cc", "-std=c11", *warnings, *extra, "-shared", "-fPIC", "-o", root / "libgreeter.so",
            EXAMPLES / "greeter.c", *flags, env=env)
        (root / "agents.toml").write_text((EXAMPLES / "agents.toml").read_text())
        answer = run(program, "agent", "emit", root / "agents.toml", "greeter", '"Ada"',
                     "--session", "s", env=env, cwd=scratch)
        assert answer == '{"greeting": "Ada", "number": 1}\n', answer

        # A tool in C, called by an agent in JavaScript.
        run("cc", "-std=c11", *warnings, *extra, "-shared", "-fPIC", "-o", root / "libadd.so",
            EXAMPLES / "tool.c", *flags, env=env)
        (root / "sum.js").write_text(
            "export default (event, state, ctx) => ctx.tool('add', event.data);")
        (root / "tool.toml").write_text("""
[tools.add]
library = "./libadd.so"
schema = { type = "object", properties = { a = { type = "integer" }, b = { type = "integer" } },
  required = ["a", "b"] }
[agents.sum]
script = "sum.js"
""".replace(",\n  required", ", required"))
        assert run(program, "agent", "emit", root / "tool.toml", "sum", '{"a":2,"b":40}',
                   env=env) == '{"sum":42}\n'
        bad = subprocess.run([program, "agent", "emit", root / "tool.toml", "sum", '{"a":2}'],
                             capture_output=True, text=True, env=env, timeout=60)
        assert bad.returncode != 0 and '"b"' in bad.stderr, bad.stderr

        bad = subprocess.run([program, "agent", "emit", root / "agents.toml", "greeter", "7"],
                             capture_output=True, text=True, env=env, timeout=60)
        assert bad.returncode != 0 and "send a name as JSON text" in bad.stderr, bad.stderr
        (root / "agents.toml").write_text('[agents.x]\nlibrary = "./nothing.so"\n')
        bad = subprocess.run([program, "agent", "validate", root / "agents.toml"],
                             capture_output=True, text=True, env=env, timeout=60)
        assert bad.returncode != 0 and 'agent "x"' in bad.stderr and "nothing.so" in bad.stderr, bad
    print("ok")


main()
