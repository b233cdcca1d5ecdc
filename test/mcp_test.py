"""The MCP client against software that is not ours: the protocol's own conformance suite (every
functional scenario that either requirement set asks of a client) and the official example server,
over a pipe and over HTTP.

    mcp_test.py PERFWRIGHT CONFORMANCE_CLIENT

Authorization (the suite's auth/*) is not part of the client: a token goes into a header."""
import concurrent.futures
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

import npm_peers

PROGRAM, CLIENT = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
NODE = str(npm_peers.node_or_skip())
SUITE = str(npm_peers.package("@modelcontextprotocol/conformance") / "dist" / "index.js")
EVERYTHING = str(npm_peers.package("@modelcontextprotocol/server-everything") / "dist" / "index.js")
REQUIREMENTS = npm_peers.package("@modelcontextprotocol/conformance") / "requirements"
# Added to the suite after the sets were frozen; passed all the same.
BEYOND = {"2025-11-25": ["json-schema-2020-12-preservation"],
          "2026-07-28": ["json-schema-2020-12-preservation"]}
GENEROUS = 120  # seconds
problems = []


def check(condition, what):
    if not condition:
        problems.append(what)
        print("FAIL", what)


def required(revision):
    """The client scenarios of a requirement set, without auth/*: a list in a file of ours to read."""
    scenarios, section = [], None
    for line in (REQUIREMENTS / f"{revision}.yaml").read_text().splitlines():
        if line and not line.startswith((" ", "#", "-")):
            section = line.rstrip(":").strip()
        elif section == "client" and line.strip().startswith("- "):
            scenarios.append(line.strip()[2:].strip())
    return [s for s in scenarios if not s.startswith("auth/")]


def play(revision, scenario, directory):
    done = subprocess.run([NODE, SUITE, "client", "--command", CLIENT, "--scenario", scenario,
                           "--spec-version", revision], cwd=directory, capture_output=True,
                          text=True, timeout=GENEROUS, stdin=subprocess.DEVNULL)
    text = done.stdout + done.stderr
    good = (done.returncode == 0 and " 0 failed, 0 warnings" in text
            and "CLIENT EXITED WITH ERROR" not in text)
    return f"{revision} {scenario}", good, text


def conformance(directory):
    plays = [(r, s) for r in ("2025-11-25", "2026-07-28") for s in required(r) + BEYOND[r]]
    check(len(plays) >= 13, f"the requirement sets name {len(plays)} functional scenarios")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for name, good, text in pool.map(lambda p: play(*p, directory), plays):
            check(good, f"conformance {name}\n{text[-3000:]}")
    print(len(plays), "scenarios of the conformance suite")


def mcp(*arguments):
    done = subprocess.run([PROGRAM, "mcp", *arguments], capture_output=True, text=True,
                          timeout=GENEROUS, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def everything(target, how):
    """`target`: the last arguments of the verb."""
    code, out, err = mcp("info", "--json", *target)
    check(code == 0, f"{how}: info: {err}")
    info = json.loads(out)["servers"][0] if code == 0 else {}
    check(info.get("protocol_version") == "2025-11-25" and info.get("era") == "session", f"{how}: {info}")
    check(info.get("tools", 0) >= 10 and info.get("prompts", 0) >= 3, f"{how}: {info}")
    code, out, err = mcp("tools", "--json", *target)
    tools = {t["name"]: t for t in json.loads(out)["servers"][0]["tools"]} if code == 0 else {}
    check("inputSchema" in tools.get("echo", {}), f"{how}: tools: {err}")
    code, out, err = mcp("test", "--tool", "get-sum", "-a", '{"a":2,"b":40}', *target)
    check(code == 0 and "42" in out, f"{how}: get-sum: {out} {err}")
    code, out, err = mcp("test", "--tool", "echo", "-a", '{"message":"hi"}', "--requests", "50",
                         "--concurrency", "8", "--json", *target)
    check(code == 0 and json.loads(out)["failed"] == 0, f"{how}: echo: {out} {err}")
    code, out, err = mcp("test", "--tool", "no-such-tool", *target)
    check(code == 1, f"{how}: a tool that is not there: {code} {out} {err}")
    code, out, err = mcp("test", "--tool", "trigger-long-running-operation",
                         "-a", '{"duration":60,"steps":2}', "--timeout", "3s", *target)
    check(code == 102 and "no answer to tools/call" in err, f"{how}: timeout: {code} {err}")
    code, out, err = mcp("health", "--json", *target)
    check(code == 0 and json.loads(out)["connections"][0]["healthy"], f"{how}: health: {out} {err}")


def whole_client(target, how):
    done = subprocess.run([CLIENT, *target], env=os.environ | {"MCP_CONFORMANCE_SCENARIO": "everything"},
                          capture_output=True, text=True, timeout=GENEROUS, stdin=subprocess.DEVNULL)
    for words in ("prompt: user: ", "Rome", "completed: 1 Engineering", "file:///srv/data"):
        check(words in done.stderr, f"{how}: no {words!r} in: {done.stderr[-1500:]}")
    check(done.returncode == 0, f"{how}: the client ends with {done.returncode}: {done.stderr[-500:]}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def over_http():
    for _ in range(5):  # the server cannot be told to choose a port, so another may take ours
        port = free_port()
        server = subprocess.Popen([NODE, EVERYTHING, "streamableHttp"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                  env=os.environ | {"PORT": str(port)})
        try:
            deadline = time.monotonic() + GENEROUS
            while server.poll() is None and time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    whole_client([f"http://127.0.0.1:{port}/mcp"], "http")
                    return everything(["--server", f"http://127.0.0.1:{port}/mcp"], "http")
                except OSError:
                    time.sleep(0.05)
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait()
    check(False, "the example server does not start")


def from_config(directory):
    path = pathlib.Path(directory) / "agents.toml"
    path.write_text(f"""
[mcp]
enabled = true
max_retries = 1
enable_caching = true
[mcp.servers.everything]
command = "{NODE}"
args = ["{EVERYTHING}", "stdio"]
env = {{ MARK = "of-the-configuration" }}
max_connections = 1
""")
    code, out, err = mcp("servers", "--json", "--config", str(path))
    check(code == 0 and json.loads(out)["servers"][0]["name"] == "everything", f"servers: {err}")
    code, out, err = mcp("test", "--tool", "get-env", "--config", str(path))
    check(code == 0 and "of-the-configuration" in out, f"environment: {out[-500:]} {err}")
    code, out, err = mcp("tools", "--config", str(path), "--name", "other")
    check(code != 0 and "no MCP server 'other'" in err, f"an unknown name: {err}")


with tempfile.TemporaryDirectory() as scratch:
    with concurrent.futures.ThreadPoolExecutor(4) as at_once:
        parts = [at_once.submit(conformance, scratch),
                 at_once.submit(everything, ["--", NODE, EVERYTHING, "stdio"], "stdio"),
                 at_once.submit(whole_client, ["--", NODE, EVERYTHING, "stdio"], "stdio"),
                 at_once.submit(over_http), at_once.submit(from_config, scratch)]
        for part in parts:
            part.result()
print(len(problems), "problems")
sys.exit(1 if problems else 0)
