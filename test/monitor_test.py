#!/usr/bin/env python3
"""The monitor's pages and exports against programs that are not ours: promtool and a Prometheus
server of Debian's, `go tool pprof`, and OTLP's official protobuf definitions (from PyPI, in
build/py: tools/install_deps.sh peers).

monitor_test.py MONITOR_SAMPLE SOURCE_ROOT"""
import gzip
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
import xml.etree.ElementTree

ROOT = sys.argv.pop()
SAMPLE = sys.argv.pop()
PATIENCE = 60  # seconds; only a hang takes that long
PEERS = os.path.join(ROOT, "build", "py")
if os.path.isdir(PEERS):
    sys.path.insert(0, PEERS)
try:
    from google.protobuf import json_format
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
except ImportError:
    json_format = None


class Receiver(http.server.ThreadingHTTPServer):
    """Takes OTLP/HTTP in JSON; refuses the first request, to be retried."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            refused = self.server.asked == 0
            self.server.asked += 1
            answer = b"{}"
            self.send_response(503 if refused else 200)
            if refused:
                self.send_header("retry-after", "0")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            if not refused:
                assert self.headers["content-type"] == "application/json"
                assert self.headers["content-encoding"] == "gzip"
                self.server.got.setdefault(self.path, []).append(gzip.decompress(body).decode())

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.got, self.asked = {}, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


def wait_for(condition, what):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE} s for {what}")


class Monitor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="monitor-")
        cls.receiver = Receiver()
        cls.sample = subprocess.Popen([SAMPLE, cls.receiver.url], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        cls.port = int(cls.sample.stdout.readline())

    @classmethod
    def tearDownClass(cls):
        cls.sample.stdin.close()
        code = cls.sample.wait(PATIENCE)
        cls.sample.stdout.close()
        cls.receiver.shutdown()
        cls.receiver.server_close()
        shutil.rmtree(cls.directory)
        assert code == 0, code

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answer:
            return answer.read()

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_promtool_finds_nothing_wrong(self):
        run = subprocess.run(["promtool", "check", "metrics"], input=self.get("/metrics"),
                             capture_output=True, timeout=PATIENCE)
        # Exit code 1: not readable. 3: advice about names; the load test's and AgenticGoKit's names
        # are given, so only advice on the metrics that we named ourselves counts.
        self.assertIn(run.returncode, (0, 3), run.stderr.decode())
        advice = [line for line in run.stdout.decode().splitlines() + run.stderr.decode().splitlines()
                  if line.startswith(("agent_", "runner_", "gen_ai_", "telemetry_", "process_"))]
        self.assertEqual(advice, [])

    @unittest.skipUnless(shutil.which("prometheus"), "Prometheus is not installed")
    def test_prometheus_scrapes_it(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        config = os.path.join(self.directory, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("global: {scrape_interval: 500ms, scrape_timeout: 500ms}\nscrape_configs:\n"
                    "- job_name: sample\n  static_configs:\n"
                    f"  - targets: ['127.0.0.1:{self.port}']\n")
        server = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.directory}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def ask(query):
            url = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.request.quote(query)}"
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    return json.load(answer)["data"]["result"]
            except (urllib.error.URLError, OSError):
                return None
        try:
            self.assertEqual(wait_for(lambda: ask('up{job="sample"} == 1'), "a scrape")[0]["value"][1], "1")
            wanted = {
                'agent_requests_total{status="success"}': "3",
                'agent_request_duration_seconds_bucket{status="error",le="0.1"}': "2",
                'agent_request_duration_seconds_count{status="error"}': "3",
                'gen_ai_client_operation_duration_seconds_bucket{status="success",le="5.12"}': "3",
                'gen_ai_client_token_usage_count{status="success"}': "3",
                'mcp_client_operation_duration_seconds_count{gen_ai_operation_name="chat",status="success"}': "3",
                'agent_mailbox_depth{status="success"}': "0.5",
                'agent_circuit_breaker_state{status="success"}': "0.5",
                'agent_circuit_breaker_transitions_total{status="success"}': "3",
                'agent_concurrency_limit{status="success"}': "0.5",
                'agent_concurrency_queue_depth{status="success"}': "0.5",
                'agent_policy_results_total{status="success"}': "3",
            }
            for query, value in wanted.items():
                result = wait_for(lambda q=query: ask(q), query)
                self.assertEqual(result[0]["value"][1], value, query)
                self.assertEqual(result[0]["metric"]["agent_name"], 'pl"an\\ner\n')
        finally:
            server.terminate()
            server.wait(PATIENCE)

    @unittest.skipUnless(json_format, "the OTLP definitions are not installed")
    def test_traces_by_the_official_definitions(self):
        body = wait_for(lambda: self.receiver.got.get("/v1/traces"), "traces")[0]
        request = json_format.Parse(body, trace_service_pb2.ExportTraceServiceRequest())
        resource = {a.key: a.value.string_value for a in request.resource_spans[0].resource.attributes}
        self.assertEqual(resource["service.name"], "sample")
        self.assertEqual(resource["service.version"], "1.2.3")
        child, parent = request.resource_spans[0].scope_spans[0].spans
        self.assertEqual((child.name, child.kind, child.status.code), ("chat model-x", 3, 2))
        self.assertEqual((parent.name, parent.kind, parent.status.code), ("invoke_agent planner", 5, 1))
        # Identifiers are hexadecimal in OTLP's JSON, where protobuf's own mapping has base64: the
        # parser decodes them as that, so they are compared in the text.
        text = json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]
        self.assertRegex(text[0]["traceId"], "^[0-9a-f]{32}$")
        self.assertRegex(text[0]["spanId"], "^[0-9a-f]{16}$")
        self.assertEqual(text[0]["traceId"], text[1]["traceId"])
        self.assertEqual(text[0]["parentSpanId"], text[1]["spanId"])
        self.assertNotIn("parentSpanId", text[1])
        self.assertEqual(child.end_time_unix_nano - child.start_time_unix_nano, 4000)
        values = {a.key: a.value for a in child.attributes}
        self.assertEqual(values["gen_ai.usage.input_tokens"].int_value, 9007199254740993)
        self.assertEqual(values["gen_ai.request.temperature"].double_value, 0.25)
        self.assertIs(values["gen_ai.request.stream"].bool_value, True)

    @unittest.skipUnless(json_format, "the OTLP definitions are not installed")
    def test_metrics_by_the_official_definitions(self):
        body = wait_for(lambda: self.receiver.got.get("/v1/metrics"), "metrics")[0]
        request = json_format.Parse(body, metrics_service_pb2.ExportMetricsServiceRequest())
        metrics = {m.name: m for m in request.resource_metrics[0].scope_metrics[0].metrics}
        m = metrics["gen_ai.client.operation.duration"]
        self.assertEqual(m.unit, "s")
        self.assertEqual(m.histogram.aggregation_temporality, 2)
        point = m.histogram.data_points[0]
        self.assertEqual(point.count, 3)
        self.assertAlmostEqual(point.sum, 3.14, places=9)
        self.assertEqual(list(point.explicit_bounds), [
            .01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92])
        self.assertEqual(list(point.bucket_counts), [0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0])
        self.assertEqual((point.min, point.max), (0.07, 3.0))
        self.assertEqual({a.key: a.value.string_value for a in point.attributes}["gen_ai.operation.name"], "chat")
        self.assertEqual(metrics["gen_ai.client.token.usage"].unit, "{token}")
        requests = metrics["agent_requests_total"].sum
        self.assertTrue(requests.is_monotonic)
        self.assertEqual(requests.data_points[0].as_int, 3)
        self.assertLess(point.start_time_unix_nano, point.time_unix_nano)
        for name in ("agent_mailbox_depth", "agent_workers", "agent_circuit_breaker_state",
                     "agent_concurrency_limit", "agent_concurrency_in_flight"):
            self.assertEqual(metrics[name].gauge.data_points[0].as_double, 0.5, name)
        for name in ("agent_circuit_breaker_transitions_total", "agent_cache_hits_total",
                     "agent_hedges_total", "agent_attempt_timeouts_total"):
            self.assertTrue(metrics[name].sum.is_monotonic, name)
            self.assertEqual(metrics[name].sum.data_points[0].as_int, 3, name)
        for m in metrics.values():  # the sum of a histogram's buckets is its count
            for p in m.histogram.data_points:
                self.assertEqual(sum(p.bucket_counts), p.count, m.name)

    def test_the_graph_is_a_picture(self):
        root = wait_for(lambda: next((g for g in [xml.etree.ElementTree.fromstring(
            self.get("/debug/graph?format=svg"))] if len(g.findall(".//{*}rect")) == 1), None), "a node")
        self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
        texts = [t.text or "" for t in root.findall(".//{*}text")]
        self.assertTrue(any(t.startswith('pl"an\\ner') for t in texts), texts)
        self.assertTrue(any("p95" in t for t in texts), texts)
        self.assertTrue(any("breaker closed" in t for t in texts), texts)  # the sample's is 0.5

    @unittest.skipUnless(shutil.which("go"), "Go is not installed")
    def test_go_tool_pprof_over_http(self):
        environment = dict(os.environ, GOTOOLCHAIN="local", PPROF_TMPDIR=self.directory)
        for path, wanted in (("heap", "keep_memory"), ("goroutine", "monitor_handle"),
                             ("profile?seconds=1", "Type: cpu")):
            run = subprocess.run(["go", "tool", "pprof", "-top", "-nodecount=200",
                                  f"http://127.0.0.1:{self.port}/debug/pprof/{path}"],
                                 env=environment, capture_output=True, text=True, timeout=2 * PATIENCE)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn(wanted, run.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=1)
