#!/usr/bin/env python3
"""A plan against nginx: HTTP/1.1 and HTTP/2, in the clear and over TLS, redirects, coded bodies and
two threads. What nginx wrote into its access log is the truth about what was sent.

    nginx_test.py PERFWRIGHT SOURCE_ROOT

Prints "ok NAME" or "FAIL NAME: why" for each case and the counts in cmocka's words.
"""
import collections
import gzip
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

PERFWRIGHT, ROOT = [os.path.abspath(path) for path in sys.argv[1:3]]

CONF = """
worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 512; }}
http {{
    log_format ours '$server_protocol $ssl_protocol $status $request_method $request_uri $connection';
    access_log {dir}/access.log ours;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    gzip_static on;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
    server {{
        listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl; listen 127.0.0.1:{tls2} ssl http2;
        listen 127.0.0.1:{clear2} http2;
        root {dir}/www;
        location = /first {{ return 302 /second; }}
        location = /second {{ return 301 /data.json; }}
        location = /away {{ return 307 http://127.0.0.1:{plain}/data.json; }}
    }}
}}
"""


class Nginx:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perfwright-nginx-"))
        self.dir.chmod(0o755)
        holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
        names = ("plain", "tls", "tls2", "clear2")
        self.port = {n: h.getsockname()[1] for n, h in zip(names, holders)}
        for holder in holders:
            holder.close()
        www = self.dir / "www"
        www.mkdir()
        body = json.dumps({"items": [{"id": i, "name": f"thing {i}"} for i in range(200)]})
        (www / "data.json").write_text(body)
        (www / "data.json.gz").write_bytes(gzip.compress(body.encode()))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out",
                        "cert.pem", "-subj", "/CN=lab", "-days", "2", "-addext",
                        "subjectAltName=IP:127.0.0.1"], cwd=self.dir, check=True,
                       stderr=subprocess.DEVNULL)
        (self.dir / "nginx.conf").write_text(CONF.format(dir=self.dir, **self.port))
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen([nginx, "-p", self.dir, "-c", self.dir / "nginx.conf"],
                                        stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port["clear2"]), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.02)

    def url(self, name, path="/data.json"):
        return f"http{'s' if name.startswith('tls') else ''}://127.0.0.1:{self.port[name]}{path}"

    def log(self):
        """The lines since the last call: [protocol, tls, status, method, path, connection]."""
        path = self.dir / "access.log"
        lines = [line.split() for line in path.read_text().splitlines()]
        path.write_text("")
        return lines

    def done(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir)


def loadtest(nginx, plan, *more, code=0):
    home = nginx.dir
    (home / "plan.yaml").write_text(plan)
    env = {n: v for n, v in os.environ.items() if not n.startswith(("PERFWRIGHT_", "XDG_", "K6_"))}
    env.update(HOME=str(home), PERFWRIGHT_LEDGER=str(home / "ledger.db"), NO_COLOR="1")
    result = subprocess.run([PERFWRIGHT, "loadtest", "plan.yaml", "--json", "--no-default-slo",
                             *more], cwd=home, env=env, capture_output=True, text=True, timeout=60)
    assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr, result.stderr
    # A busy machine may make a run invalid; what was sent is the same.
    assert result.returncode in (code, 113), f"exit {result.returncode}: {result.stderr[-1500:]}"
    return json.loads(result.stdout)


def plan_for(nginx, name, path="/data.json", environment="", more=""):
    base = nginx.url(name, "")
    return f"""
version: 1
environments: {{lab: {{kind: test, baseUrl: "{base}", tls: {{caFile: cert.pem}}{environment}}}}}
environment: lab
requests:
  data: {{url: "{path}", {more} checks: [{{status: 200}}, {{json: "items.#", equals: 200}}]}}
scenarios:
  main: {{executor: shared-iterations, vus: 4, iterations: 40}}
"""


def all_passed(report):
    assert report["totals"]["requests"] == 40 and report["totals"]["failed"] == 0, report["totals"]
    assert report["checks"] and all(c["fails"] == 0 for c in report["checks"]), report["checks"]


def every_protocol(nginx):
    for name, more, protocol, tls in (("plain", "", "HTTP/1.1", "-"), ("tls", "", "HTTP/1.1", "TLSv1.3"),
                                      ("tls2", "", "HTTP/2.0", "TLSv1.3"),
                                      ("tls2", ", http2: false", "HTTP/1.1", "TLSv1.3"),
                                      ("clear2", ", http2PriorKnowledge: true", "HTTP/2.0", "-")):
        nginx.log()
        report = loadtest(nginx, plan_for(nginx, name, environment=more))
        all_passed(report)
        lines = nginx.log()
        assert collections.Counter((line[0], line[1], line[2]) for line in lines) == {
            (protocol, tls, "200"): 40}, (name, more, lines[:3])
        # Four users, each with a connection that it keeps.
        assert len({line[5] for line in lines}) <= 4, lines[:3]


def tls_versions(nginx):
    for version, text in (("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")):
        nginx.log()
        plan = plan_for(nginx, "tls").replace(
            "caFile: cert.pem", f'caFile: cert.pem, minVersion: "{version}", maxVersion: "{version}"')
        all_passed(loadtest(nginx, plan))
        assert {line[1] for line in nginx.log()} == {text}


def redirects(nginx):
    for path, hops in (("/first", ["/first", "/second", "/data.json"]),
                       ("/away", ["/away", "/data.json"])):
        nginx.log()
        report = loadtest(nginx, plan_for(nginx, "plain", path))
        lines = nginx.log()
        counts = collections.Counter(line[4] for line in lines)
        assert counts == {hop: 40 for hop in hops}, counts
        # k6 counts every hop as a request of its own.
        assert report["totals"]["requests"] == 40 * len(hops), report["totals"]
        assert report["totals"]["iterations"] == 40 and report["totals"]["failed"] == 0
    nginx.log()
    plan = plan_for(nginx, "plain", "/first", more="maxRedirects: 0, ")
    report = loadtest(nginx, plan.replace("status: 200", "status: 302").replace(
        ', {json: "items.#", equals: 200}', ""))
    assert collections.Counter(line[4] for line in nginx.log()) == {"/first": 40}


def coded_bodies(nginx):
    plan = plan_for(nginx, "plain", more="headers: {Accept-Encoding: gzip}, ")
    report = loadtest(nginx, plan)
    all_passed(report) # the check reads the JSON inside
    size = (nginx.dir / "www/data.json").stat().st_size
    assert report["totals"]["data_received"] < 40 * size, report["totals"]


def two_threads(nginx):
    plan = plan_for(nginx, "plain").replace("vus: 4, iterations: 40", "vus: 7, iterations: 333")
    nginx.log()
    report = loadtest(nginx, plan, "--threads", "2")
    assert report["totals"]["requests"] == 333 and len(nginx.log()) == 333, report["totals"]


def a_complete_report(nginx):
    report = loadtest(nginx, plan_for(nginx, "tls2"), "--report", "report.html", "--report",
                      "report.md", "--report", "junit.xml", "--summary-export", "summary.json")
    page = (nginx.dir / "report.html").read_text()
    assert page.count("<svg") >= 4 and "data" in page
    assert "data" in (nginx.dir / "report.md").read_text()
    assert "<testsuite" in (nginx.dir / "junit.xml").read_text()
    metrics = json.loads((nginx.dir / "summary.json").read_text())["metrics"]
    for name in ("http_req_duration", "http_req_blocked", "http_req_connecting",
                 "http_req_tls_handshaking", "http_req_sending", "http_req_waiting",
                 "http_req_receiving", "http_reqs", "iterations", "checks", "data_received"):
        assert name in metrics, sorted(metrics)
    assert metrics["http_req_tls_handshaking"]["max"] > 0
    assert report["run"]["id"]


def main():
    nginx = Nginx()
    passed = failed = 0
    try:
        for case in (every_protocol, tls_versions, redirects, coded_bodies, two_threads,
                     a_complete_report):
            try:
                case(nginx)
                print("ok", case.__name__)
                passed += 1
            except Exception as error: # pylint: disable=broad-except
                print(f"FAIL {case.__name__}: {type(error).__name__}: {error}")
                failed += 1
    finally:
        nginx.done()
    print(f"[  PASSED  ] {passed} test(s).")
    if failed:
        print(f"[  FAILED  ] {failed} test(s).")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
