"""MCP servers that lie, hang, flood or crash, against `perfwright mcp`: each ends with a clear error
and nothing leaks (the program is built with the leak sanitizer where it is built for tests).

    mcp_hostile_test.py PERFWRIGHT [MODE]"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
SERVER = str(pathlib.Path(__file__).with_name("mcp_hostile.py"))
SCRATCH = tempfile.TemporaryDirectory()
GENEROUS = 60  # seconds; nothing below is about time

# mode, exit code, what standard error (or, after ok, standard output) must say, arguments
CALL = ["--tool", "t"]
STDIO = [
    ("fine", 0, "fine", CALL),
    ("silent", 102, "no answer to initialize within 500 ms", ["--connect-timeout", "500ms"]),
    ("crash", 1, "the server ended with exit code 3", []),
    ("killed", 1, "the server was ended by signal 9", []),
    ("dies_later", 1, "the server ended with exit code 0", CALL),
    ("garbage", 1, "more than 100 lines that are no messages", []),
    ("banner", 0, "tools  1", []),
    ("twice", 0, "tools  1", []),
    ("asks", 0, "tools  1", []),
    ("no_jsonrpc", 1, "\"jsonrpc\" is not \"2.0\"", []),
    ("wrong_id", 102, "no answer to tools/list within 3000 ms", ["--timeout", "3s"]),
    ("twice_key", 1, "tools", []),
    ("flood", 1, "floods us: more than 10000 messages", []),
    ("endless_line", 1, "larger than 4194304 bytes", []),
    ("huge", 1, "larger than 4194304 bytes", CALL),
    ("huge", 0, "1 requests, 0 failed", [*CALL, "--large-results", SCRATCH.name]),
    ("deep", 1, "nested deeper than 64 levels", CALL),
    ("error_text", 1, "\\x1b[31mred", CALL),
    ("wrong_content", 0, "1 requests, 0 failed", CALL),
    ("old_version", 1, "speaks version '1999-01-01'", []),
    ("tools_no_list", 1, "has no list of tools", []),
    ("tools_no_objects", 1, "lists a string among its tools", []),
    ("same_cursor", 1, "the same page of tools again and again", []),
    ("endless_pages", 1, "more than 1000 pages of tools", []),
    ("modern", 0, "2026-07-28", []),
    ("modern_liar", 1, "refuses version 2026-07-28 and names it as supported", []),
    ("modern_future", 1, "no version of the protocol we know", []),
    ("modern_asks_forever", 1, "asks back more than 10 times", CALL),
    ("modern_asks_odd", 1, "which this client cannot answer", CALL),
    ("modern_asks_nothing", 1, "asks for input but names none", CALL),
    ("modern_odd_type", 1, "a result of a type we do not know", CALL),
    ("stubborn", 0, "tools  1", []),
]
HTTP = [
    ("fine", 0, "fine", CALL),
    ("modern", 0, "2026-07-28", []),
    ("html", 1, "answers with 'text/html', not JSON or an event stream", []),
    ("status_500", 1, "HTTP 500 Internal Server Error: it broke", []),
    ("status_401", 111, "HTTP 401 Unauthorized", []),
    ("redirect", 1, "HTTP 302", []),
    ("reset", 1, "closed the connection", []),
    ("endless_html", 1, "a long body that is no message", []),
    ("stream_without_answer", 1, "without an answer to the request", []),
    ("stream_comments", 102, "no answer to tools/list within 3000 ms", ["--timeout", "3s"]),
    ("stream_stays_open", 0, "tools  1", []),
    ("stream_of_junk", 1, "", []),
    ("stream_deep", 1, "a message must be one JSON object", []),
    ("endless_event", 1, "larger than 4194304 bytes", []),
    ("truncated", 1, "", []),
    ("empty", 1, "without an answer", []),
    ("accepted", 1, "HTTP 202 without an answer to the request", []),
    ("other_id", 1, "does not answer the request", []),
    ("modern_asks_odd", 1, "which this client cannot answer", CALL),
]


def judge(name, done, code, text):
    where = done.stdout if code == 0 else done.stderr
    problems = []
    if done.returncode != code:
        problems.append(f"exit code {done.returncode}, wanted {code}")
    if text not in where:
        problems.append(f"does not say {text!r}")
    if "\x1b" in done.stdout + done.stderr:
        problems.append("an escape sequence of the server reached the terminal")
    if code != 0 and "perfwright: mcp test:" not in done.stderr:
        problems.append("no message")
    return [f"{name}: {p}\n  stdout: {done.stdout[-500:]}\n  stderr: {done.stderr[-1500:]}" for p in problems]


def run(arguments):
    command = [PROGRAM, "mcp", "test", *arguments]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=GENEROUS, errors="replace")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -1, "", "it did not end")


def try_stdio(case):
    mode, code, text, arguments = case
    done = run([*arguments, "--", sys.executable, SERVER, "stdio", mode])
    problems = judge("stdio " + mode, done, code, text)
    if "--large-results" in arguments:
        files = list(pathlib.Path(SCRATCH.name).iterdir())
        if [f.stat().st_size > 8 << 20 for f in files] != [True]:
            problems.append(f"stdio {mode}: not one large file: {files}")
    if mode == "stubborn":
        pid = int(re.search(r"pid (\d+)", done.stderr).group(1))
        try:
            os.kill(pid, 0)
            problems.append("stdio stubborn: the server is still alive")
        except ProcessLookupError:
            pass
    return problems


def try_http(case):
    mode, code, text, arguments = case
    with subprocess.Popen([sys.executable, SERVER, "http", mode], stdout=subprocess.PIPE,
                          text=True) as server:
        try:
            port = int(server.stdout.readline())
            done = run([*arguments, "--server", f"http://127.0.0.1:{port}/mcp"])
            return judge("http " + mode, done, code, text)
        finally:
            server.kill()


def main():
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        only = sys.argv[2:]
        tries = [pool.submit(fn, c) for fn, cases in ((try_stdio, STDIO), (try_http, HTTP))
                 for c in cases if not only or c[0] in only]
        problems = [p for t in tries for p in t.result()]
    for problem in problems:
        print(problem)
    print(f"{len(tries)} hostile servers, {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
