#!/usr/bin/env python3
"""Agents from a configuration, served over HTTP by the whole program: results and streams, events
that are none, what is kept and traced, a load test against them, and the program called as agentcli.
Servers listen on free ports and are ended by their own process."""
import contextlib
import gzip
import http.client
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
CONFIG = """
[runner]
event_timeout = "20s"
[agents.echo]
builtin = "echo"
[agents.null]
builtin = "null"
[orchestration]
name = "team"
mode = "sequential"
agents = ["echo", "echo2"]
[agents.echo2]
builtin = "echo"
"""


def run(*words, code=0, program=PROGRAM):
    done = subprocess.run([str(w) for w in (program, *words)], capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == code or (code is None and done.returncode != 0), f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


@contextlib.contextmanager
def served(path):
    process = subprocess.Popen([PROGRAM, "agent", "run", path, "--listen", "127.0.0.1:0", "-d",
                                "120s"], stderr=subprocess.PIPE, text=True)
    try:
        line = process.stderr.readline()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", line).group(1))
        yield port
        process.terminate()
        assert process.wait(timeout=60) == 0, process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def request(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def post(port, agent, event):
    body = event if isinstance(event, str) else json.dumps(event)
    status, text = request(port, "POST", "/agents/" + agent, body)
    return status, json.loads(text)


def test_http(port):
    status, answer = post(port, "echo", {"data": {"q": [1, "ä"]}, "session": "s/1", "type": "t"})
    assert status == 200 and answer == {"agent": "echo", "session": "s/1", "data": {"q": [1, "ä"]},
                                        "state": {}}, answer
    status, answer = post(port, "echo", {"data": "x", "state": {"n": 7}})
    assert status == 200 and answer["state"] == {"n": 7} and answer["data"] == "x", answer
    assert post(port, "null", "")[1]["data"] is None
    assert post(port, "team", {"data": 5})[1]["data"] == 5
    status, text = request(port, "POST", "/agents/echo", '{"data":[1]}',
                           {"Accept": "text/event-stream"})
    assert status == 200 and text.startswith("event: result\ndata: {"), text


def test_malformed_events(port):
    for body, words in (('{"data": 1', "unexpected end"), ("[]", "must be an object"),
                        ('{"dat": 1}', 'did you mean \\"data\\"'), ('{"timeout": "x"}', "timeout"),
                        ('{"timeout": "0s"}', "more than 0"), ('{"session": 1}', "must be a string"),
                        ('{"state": []}', "must be an object"), ("\x00", "event:1:1"),
                        ("[" * 500, "")):
        status, answer = post(port, "echo", body)
        assert status == 400 and words in json.dumps(answer["error"]["reason"]), (body, answer)
    status, answer = post(port, "echo", {"session": "x" * 64})
    assert status == 413, answer
    status, answer = post(port, "ecco", {})
    assert status == 404 and answer["error"]["code"] == "ERR_NOT_FOUND", answer
    assert request(port, "GET", "/agents/echo")[0] == 405
    assert request(port, "GET", "/nothing")[0] == 404


def test_what_is_kept(port):
    url = ["--url", f"http://127.0.0.1:{port}"]
    out, _ = run("trace", "s/1", *url)
    assert "echo" in out and "OK" in out, out
    entries = json.loads(run("trace", "s/1", "--json", *url)[0])["entries"]
    assert [e["agent"] for e in entries] == ["echo"] and entries[0]["type"] == "t", entries
    assert "nothing is kept" in run("trace", "nobody", *url, code=1)[1]
    assert json.loads(run("cache", "stats", "--json", *url)[0])["sessions"] == 1
    assert "s/1" in run("cache", "list", *url)[0]
    assert "1 forgotten" in run("cache", "invalidate", "s/1", *url)[0]
    run("cache", "invalidate", "s/1", *url, code=1)
    post(port, "echo", {"session": "b"})
    assert "1 forgotten" in run("cache", "clear", *url)[0]
    agents = json.loads(request(port, "GET", "/agents")[1])
    assert set(agents["agents"]) == {"echo", "echo2", "null", "team"}
    assert request(port, "GET", "/healthz") == (200, "ok\n")


def test_monitoring(scratch):
    """Each key of [monitoring] has its effect."""
    config = scratch / "monitored.toml"

    def ask(section, *paths):
        config.write_text(CONFIG + "[monitoring]\n" + section)
        process = subprocess.Popen([PROGRAM, "agent", "run", config, "--listen", "127.0.0.1:0", "-d",
                                    "120s"], stderr=subprocess.PIPE, text=True)
        try:
            port = int(re.search(r":(\d+)/", process.stderr.readline()).group(1))
            assert post(port, "echo", {"data": 1})[0] == 200
            if not paths:
                return []
            monitor = int(re.search(r":(\d+)/metrics", process.stderr.readline()).group(1))
            return [request(monitor, "GET", path) for path in paths] + [monitor]
        finally:
            process.terminate()
            process.wait(timeout=60)
            process.stderr.close()

    metrics, heap, _ = ask("profile_port = 0\n", "/metrics", "/debug/pprof/heap")
    assert metrics[0] == 200 and \
        'agent_requests_total{agent_name="echo",status="success"} 1' in metrics[1], metrics
    assert heap[0] == 404, heap
    metrics, fibers, port = ask("profile_port = 0\nenable_metrics = false\n"
                                "enable_profiling = true\n", "/metrics",
                                "/debug/pprof/goroutine?debug=1")
    assert metrics[0] == 404 and fibers[0] == 200 and "fiber" in fibers[1], (metrics, fibers)
    assert ask(f"profile_port = {port}\n", "/healthz")[-1] == port  # free a moment ago
    assert ask("enable_metrics = false\n") == []
    live = ask('profile_port = 0\nmetrics_interval = "100ms"\n', "/debug/live")[0]
    assert live[0] == 200, live


def test_shards(scratch):
    """[runtime] shards: as many threads run agents; pin: each on a processor of its own."""
    config = scratch / "shards.toml"
    before = os.sched_getaffinity(0)
    allowed = sorted(before)
    for pin, one in ((False, False), (True, False), (True, True)):
        if one:  # as under taskset: no thread may leave the set
            allowed = allowed[-1:]
            os.sched_setaffinity(0, allowed)
        config.write_text(CONFIG + f"[runtime]\nshards = 3\npin = {str(pin).lower()}\n")
        process = subprocess.Popen([PROGRAM, "agent", "run", config, "--listen", "127.0.0.1:0", "-d",
                                    "120s"], stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr.readline()  # listens, so all threads are there,
            shards, until = {}, time.monotonic() + 60
            while len(shards) < 3 and time.monotonic() < until:  # but name themselves
                for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
                    name = (task / "comm").read_text().strip()
                    if name.startswith("agents-"):
                        shards[name] = sorted(os.sched_getaffinity(int(task.name)))
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0
            process.stderr.close()
        assert shards == {f"agents-{i}": [allowed[i % len(allowed)]] if pin else allowed
                          for i in range(3)}, shards
    os.sched_setaffinity(0, before)


def test_scripts(scratch):
    """Agents and tools in JavaScript, and the limits that [runtime] sets for them."""
    (scratch / "count.js").write_text(
        "export default function (event, state, ctx) {\n"
        "  const n = (state.get('n') ?? 0) + 1; state.set('n', n); return {n}; }\n")
    (scratch / "cycle.js").write_text(
        "export default function () { for (let i = 0; i < 500; i++) { const a = {x: [1, 2, 3]};"
        " a.self = a; } return 1; }\n")
    (scratch / "loop.js").write_text("export default function () { for (;;) {} }\n")
    (scratch / "large.js").write_text(
        "export default function (event) {\n"
        "  const all = []; for (let i = 0; i < event.data; i++) all.push('x'.repeat(1000) + i);\n"
        "  return all.length; }\n")
    config = scratch / "scripts.toml"
    agents = "".join(f'[agents.{n}]\nscript = "{n}.js"\n' for n in ("count", "cycle", "loop", "large"))

    def emit(runtime, agent, data="null", code=0):
        config.write_text(runtime + agents)
        return run("agent", "emit", config, agent, data, code=code)

    assert emit("", "count")[0] == '{"n":1}\n'
    # Stopped by the processor's time, long before the deadline of the event.
    error = emit('[runtime]\njs_cpu_limit = "50ms"\n[runner]\nevent_timeout = "1h"\n', "loop",
                 code=None)[1]
    assert "agent failed" in error, error
    assert emit('[runtime]\njs_heap_limit = "64MiB"\njs_gc_threshold = "64KiB"\n', "large",
                "10000")[0] == "10000\n"
    # The more a script may allocate between two collections, the fewer there are.
    pauses = []
    for threshold in ("64KiB", "32MiB"):
        config.write_text(f'[runtime]\njs_gc_threshold = "{threshold}"\n' + agents)
        out = run("benchmark", "--agent", "cycle", "--requests", "200", "-c", "1", "--config", config,
                  "--json")[0]
        pauses.append(json.loads(out)["cycle"]["GCPauses"])
    assert pauses[0] > pauses[1], pauses
    assert "agent failed" in emit('[runtime]\njs_heap_limit = "2MiB"\n', "large", "10000",
                                  code=None)[1]
    (scratch / "count.js").write_text("export default function ( {")
    assert "count.js:1" in run("agent", "validate", config, code=None)[1]


def test_loadtest(port, scratch):
    out, _ = run("loadtest", "--url", f"http://127.0.0.1:{port}/agents/echo", "--method", "POST",
                 "--body", '{"data": 1}', "--vus", "2", "--iterations", "50", "--data", "isolated", "--ledger",
                 scratch / "ledger.db", "--json", "--no-default-slo")
    assert json.loads(out), out


def test_examples(scratch):
    """What the README says of examples/, word for word but for the port."""
    examples = pathlib.Path(__file__).resolve().parent.parent / "examples"
    out, _ = run("agent", "emit", examples / "agent_js/agents.toml", "normalise",
                 '{"url": " HTTP://Example.ORG/a "}')
    assert json.loads(out) == {"url": "http://example.org/a", "number": 1}, out
    fake = subprocess.Popen([PROGRAM, "fake-llm", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        base = re.search(r"http://127\.0\.0\.1:\d+", fake.stdout.readline()).group(0)
        text = (examples / "agent_llm.toml").read_text().replace("http://127.0.0.1:8089", base)
        (scratch / "agent_llm.toml").write_text(text)
        out, _ = run("agent", "emit", scratch / "agent_llm.toml", "analyst",
                     '{"query": "Why is p99 ten times p50?"}')
        assert json.loads(out)["text"], out
    finally:
        fake.terminate()
        fake.wait(timeout=60)
        fake.stdout.close()


def test_agentcli(scratch):
    agentcli = scratch / "agentcli"
    agentcli.symlink_to(PROGRAM)
    out, _ = run("benchmark", "--concurrent-users", "2", "--requests", "200", program=agentcli)
    for figure in ("RequestsPerSecond", "AverageLatency", "P95Latency", "P99Latency", "ErrorRate",
                   "MemoryUsage", "GCPauses", "ActiveGoroutines"):
        assert out.count(figure) >= 3, out
    out, _ = run("benchmark", "--agent", "echo", "--requests", "100", "--config",
                 scratch / "agents.toml", "--json", program=agentcli)
    metrics = json.loads(out)["echo"]
    assert metrics["requests"] == 100 and metrics["errors"] == 0, metrics
    assert "k6 scripts come later" in run("loadtest", "--script", "x.js", "--vus", "100", code=2,
                                          program=agentcli)[1]
    assert "echo2" in run("list", scratch / "agents.toml", program=agentcli)[0]
    assert "did you mean" in run("benchmrk", code=2, program=agentcli)[1]
    run("benchmark", "--agent", "nobody", "--requests", "1", "--config", scratch / "agents.toml",
        code=1)


MCP_SERVER = """
import json, sys
TOOL = {"name": "add", "description": "Adds", "inputSchema": {"type": "object", "properties": {
    "a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]}}
for line in sys.stdin:
    message = json.loads(line)
    method, result = message.get("method"), None
    if method == "initialize":
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                  "serverInfo": {"name": "calc", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [TOOL]}
    elif method == "tools/call":
        args = message["params"]["arguments"]
        result = {"content": [{"type": "text", "text": "sum " + str(args["a"] + args["b"])}]}
    elif method == "ping":
        result = {}
    if "id" in message:
        answer = {"jsonrpc": "2.0", "id": message["id"]}
        if result is None:
            answer["error"] = {"code": -32601, "message": "no such method"}
        else:
            answer["result"] = result
        print(json.dumps(answer), flush=True)
"""

class Receiver(http.server.ThreadingHTTPServer):
    """Takes OTLP/HTTP in JSON and keeps the spans and the names of the metrics."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers["content-encoding"] == "gzip":
                body = gzip.decompress(body)
            for resource in json.loads(body).get("resourceSpans", []):
                for scope in resource["scopeSpans"]:
                    self.server.spans += scope["spans"]
            for resource in json.loads(body).get("resourceMetrics", []):
                for scope in resource["scopeMetrics"]:
                    self.server.metrics |= {m["name"] for m in scope["metrics"]}
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.spans, self.metrics = [], set()
        threading.Thread(target=self.serve_forever, daemon=True).start()


FAKE = """
rules:
- match: {after_tool: false}
  tools: [{name: calc_add, arguments: {a: 2, b: 40}}]
- match: {tool_result: sum 42}
  text: forty-two
"""


def attributes(span):
    return {a["key"]: next(iter(a["value"].values())) for a in span.get("attributes", [])}


def watch_model(config):
    """What the model's run did, on /metrics and in the spans that a receiver of OTLP gets."""
    receiver = Receiver()
    plain = config.read_text()
    trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    config.write_text(f"""{plain}
[monitoring]
profile_port = 0
metrics_interval = "100ms"
otlp_endpoint = "http://127.0.0.1:{receiver.server_port}"
trace_ratio = 0
""")
    process = subprocess.Popen([PROGRAM, "agent", "run", config, "--listen", "127.0.0.1:0", "-d",
                                "120s"], stderr=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r":(\d+)/", process.stderr.readline()).group(1))
        monitor = int(re.search(r":(\d+)/metrics", process.stderr.readline()).group(1))
        body = json.dumps({"data": "What is 2 and 40?", "session": "s"})
        for headers in ({"traceparent": f"00-{trace}-{caller}-01"}, {}):  # trace_ratio drops the second
            status, text = request(port, "POST", "/agents/model", body, headers)
            assert status == 200 and json.loads(text)["data"] == {"text": "forty-two"}, text
        metrics = request(monitor, "GET", "/metrics")[1]
        url = ["--url", f"http://127.0.0.1:{port}"]
        kept = json.loads(run("cache", "stats", "--json", *url)[0])
        assert kept["sessions"] == 1 and kept["models"]["entries"] == 2, kept
        assert kept["models"]["hits"] == 2 and kept["tools"]["entries"] == 0, kept
        assert "models     2 answers, " in run("cache", "stats", *url)[0]
        assert "1 forgotten, and 2 cached answers" in run("cache", "clear", *url)[0]
        assert json.loads(run("cache", "stats", "--json", *url)[0])["models"]["entries"] == 0
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0
        process.stderr.close()
        config.write_text(plain)
        receiver.shutdown()
        receiver.server_close()
    for line in ('mcp_tool_executions_total{server_id="calc",status="ok",tool_name="add"} 2',
                 'mcp_connections_total{server_id="calc",status="ok"} 1',
                 'mcp_connection_pool_size{server_id="calc"}',
                 'mcp_client_operation_duration_seconds_count{gen_ai_tool_name="add",'
                 'mcp_method_name="tools/call"} 2',
                 'gen_ai_client_operation_duration_seconds_count'):
        assert line in metrics, (line, [m for m in metrics.splitlines() if "mcp" in m])
    assert "mcp.client.operation.duration" in receiver.metrics, receiver.metrics
    spans = {s["name"]: s for s in receiver.spans}
    assert len(receiver.spans) == 4, [s["name"] for s in receiver.spans]
    assert {s["traceId"] for s in receiver.spans} == {trace}, receiver.spans
    agent, call = spans["invoke_agent model"], spans["tools/call add"]
    chats = [s for s in receiver.spans if s["name"] == "chat m"]
    assert agent["parentSpanId"] == caller and len(chats) == 2, receiver.spans
    assert {s["parentSpanId"] for s in [call, *chats]} == {agent["spanId"]}, receiver.spans
    assert attributes(agent)["gen_ai.conversation.id"] == "s", agent
    assert attributes(call)["gen_ai.tool.name"] == "add", call
    assert attributes(chats[0])["gen_ai.agent.name"] == "model", chats
    for child in (call, *chats):
        assert int(agent["startTimeUnixNano"]) <= int(child["startTimeUnixNano"]) + 10**6, child
        assert int(child["endTimeUnixNano"]) <= int(agent["endTimeUnixNano"]) + 10**6, child


def test_model_with_mcp_tools(scratch):
    """A model (the fake) that calls a tool of an MCP server, through the whole program."""
    (scratch / "server.py").write_text(MCP_SERVER)
    (scratch / "fake.yaml").write_text(FAKE)
    fake = subprocess.Popen([PROGRAM, "fake-llm", "--port", "0", "--script",
                             scratch / "fake.yaml"], stdout=subprocess.PIPE, text=True)
    try:
        base = re.search(r"http://127\.0\.0\.1:\d+", fake.stdout.readline()).group(0)
        config = scratch / "model.toml"
        config.write_text(f"""
[llm.openai]
base_url = "{base}/v1"
model = "m"
[agents.model]
llm = "openai"
tools = ["mcp:calc"]
[mcp.servers.calc]
command = "{sys.executable}"
args = ["{scratch / 'server.py'}"]
""")
        out, _ = run("agent", "emit", config, "model", '"What is 2 and 40?"')
        assert json.loads(out) == {"text": "forty-two"}, out
        watch_model(config)
        config.write_text(config.read_text().replace("server.py", "nothing.py"))
        assert "calc" in run("agent", "emit", config, "model", '"x"', code=None)[1]
    finally:
        fake.terminate()
        fake.wait(timeout=60)
        fake.stdout.close()


def main():
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        config = scratch / "agents.toml"
        config.write_text(CONFIG)
        os.environ["XDG_DATA_HOME"] = str(scratch)
        with served(config) as port:
            test_http(port)
            test_malformed_events(port)
            test_what_is_kept(port)
            test_loadtest(port, scratch)
        test_monitoring(scratch)
        test_shards(scratch)
        test_scripts(scratch)
        test_examples(scratch)
        test_agentcli(scratch)
        test_model_with_mcp_tools(scratch)
        assert "4 agents" not in run("agent", "validate", config)[0]
        shown = json.loads(run("agent", "show", config)[0])
        assert shown["runner"]["event_timeout"] == "20s"
        assert "retry" in run("agent", "keys")[0]
        assert run("agent", "emit", config, "echo", '{"a":1}')[0] == '{"a":1}\n'
        assert "--public" in run("agent", "run", config, "--listen", "0.0.0.0:0", code=111)[1]
        assert "ADDRESS:PORT" in run("agent", "run", config, "--listen", "8085", code=2)[1]
        config.write_text("[runner]\nmax_concurent_events = 1\n")
        error = run("agent", "validate", config, code=104)[1]
        assert "agents.toml:2:1" in error and 'did you mean "max_concurrent_events"?' in error
    print("ok")


main()
