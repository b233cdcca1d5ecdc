#!/usr/bin/env python3
"""The whole program, as people and pipelines use it: every verb, every exit code, bad input, two
processes on one ledger, kill -9. Loads nothing but the bundled sample service on loopback.

    program_test.py PERFWRIGHT SHOP SOURCE_ROOT [WORDS OF CASES...]

Prints "ok NAME" or "FAIL NAME: why" for each case and the counts in cmocka's words. Verdicts that
must not depend on how busy this machine is are asked of imported numbers.
"""
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

PERFWRIGHT, SHOP, ROOT = [os.path.abspath(path) for path in sys.argv[1:4]]
WANTED = sys.argv[4:]
COMMAND_SECONDS = 120


class World:
    """A home, a ledger and a sample service of its own."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="perfwright-test-")
        self.ledger = os.path.join(self.dir, "ledger.db")
        self.env = {name: value for name, value in os.environ.items()
                    if not name.startswith(("PERFWRIGHT_", "XDG_", "K6_"))}
        self.env.update(HOME=self.dir, PERFWRIGHT_LEDGER=self.ledger, NO_COLOR="1")
        self.shop = self.url = None

    def start_shop(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.shop = subprocess.Popen([SHOP, "--port", str(port)])
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(self.url + "/health", timeout=1).read()
                return
            except OSError:
                if time.monotonic() > deadline or self.shop.poll() is not None:
                    raise
                time.sleep(0.02)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return self.path(name)

    def start(self, *args, file_bytes_max=None, **env):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))
        # Python ignores SIGXFSZ; inherited, a file that may not grow is an error of write().
        return subprocess.Popen([PERFWRIGHT, *args], cwd=self.dir, env={**self.env, **env},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True,
                                restore_signals=file_bytes_max is None,
                                preexec_fn=limit if file_bytes_max else None)

    def run(self, *args, code=0, **env):
        """Runs the program; the exit code must be `code` (or one of them)."""
        process = self.start(*args, **env)
        try:
            out, err = process.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"{' '.join(args)}: took over {COMMAND_SECONDS} s") from None
        codes = code if isinstance(code, tuple) else (code,)
        assert process.returncode in codes, \
            f"{' '.join(args)}: exit {process.returncode}, not {code}\n{out[-1500:]}\n{err[-3000:]}"
        assert "Sanitizer" not in err and "runtime error" not in err, err
        return Result(process.returncode, out, err)

    def json(self, *args, code=0):
        return json.loads(self.run(*args, "--json", code=code).out)

    def done(self):
        if self.shop:
            self.shop.terminate()
            self.shop.wait(10)
        shutil.rmtree(self.dir)


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


def has(text, *words):
    for word in words:
        assert word in text, f"no {word!r} in {text[-2000:]!r}"


def series(name, rng, center, runs=4, count=400, bad=0):
    """A time series document: log-normal latencies in milliseconds, `bad` ms for one in ten."""
    items = []
    for i in range(runs):
        level = center * rng.uniform(0.99, 1.01)
        values = [level * rng.lognormvariate(0, 0.2) for _ in range(count)]
        if bad:
            values[::10] = [bad * 1.0] * len(values[::10])
        items.append({"time": f"2026-01-{i + 1:02d}T12:00:00Z", "values": values})
    return json.dumps({"version": 1, "name": name, "metric": "http_req_duration", "unit": "ms",
                       "endpoint": "GET /cart", "runs": items})


def newest(w):
    return w.json("run", "list", "--limit", "1")["runs"][0]


def judged(w, code, *args):
    """A real run whose verdict is `code`. A pass may be "not proven" (a second of load on a busy
    machine proves little); a breach only where the generator could not keep up."""
    result = w.run(*args, code=(code, 113))
    if result.code == 113 and code == 99:
        assert newest(w)["status"] == "invalid", result.out + result.err
    return result


SLO = """apiVersion: openslo/v1
kind: SLO
metadata: {name: cart}
spec:
  service: shop
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  indicator:
    metadata: {name: latency}
    spec:
      thresholdMetric:
        metricSource: {type: perfwright, spec: {metric: http_req_duration}}
  objectives:
    - {displayName: fast, op: lte, value: %s, target: 0.95}
"""

# ---- what the program says about itself


def case_help_of_every_verb(w):
    overview = w.run("--help").out
    verbs = re.findall(r"^  (\w[\w-]*(?: [a-z]+)?)  +\S", overview, re.M)
    for verb in ("loadtest", "execute", "analyse", "compare", "report", "gate", "plan create",
                 "plan validate", "plan show", "slo validate", "slo eval", "run list", "run show",
                 "run export", "run import", "baseline pin", "baseline unpin", "baseline list",
                 "baseline show", "baseline export", "baseline import", "ledger verify",
                 "ledger head", "ledger prune", "ledger rebuild", "ledger path", "config show",
                 "doctor", "completion", "man", "version"):
        assert verb in verbs, f"{verb} is not in the overview"
    for verb in verbs:
        has(w.run(*verb.split(), "--help").out, "Usage: perfwright " + verb)
        has(w.run("man", *verb.split()).out, ".Dd")


def case_usage(w):
    has(w.run(code=2).out, "Usage")
    has(w.run("lodtest", code=2).err, 'did you mean "loadtest"')
    has(w.run("run", code=2).err, "run list")
    has(w.run("run", "list", "--jsno", code=2).err, "--json")
    has(w.run("run", "list", "--limit", "0", code=2).err, "--limit")
    has(w.run("run", "list", "--label", "x", code=2).err, "KEY=VALUE")
    w.run("plan", "validate", code=2)
    assert w.run("--version").out.startswith("perfwright ")
    has(w.run("completion", "bash").out, "perfwright")
    w.run("completion", "tcsh", code=2)


def case_doctor(w):
    assert w.json("doctor")["findings"]


def case_settings(w):
    folder = w.path("project")
    os.mkdir(folder)
    w.write("project/perfwright.toml", 'ledger = "own.db"\n[slo]\nlatency_p95 = "250ms"\n')
    settings = {item["name"]: item for item in w.json("config", "show")["settings"]}
    assert settings["ledger"]["origin"] == "PERFWRIGHT_LEDGER", settings["ledger"]
    process = subprocess.run([PERFWRIGHT, "config", "show"], cwd=folder, text=True,
                             env={**w.env, "PERFWRIGHT_LEDGER": ""}, capture_output=True)
    has(process.stdout, "250ms", "perfwright.toml:3", "own.db")
    w.write("project/perfwright.toml", "[slo]\nlatency_p59 = '1s'\n")
    process = subprocess.run([PERFWRIGHT, "run", "list"], cwd=folder, text=True, env=w.env,
                             capture_output=True)
    assert process.returncode == 104
    has(process.stderr, "perfwright.toml:2:1", "latency_p")
    process = subprocess.run([PERFWRIGHT, "version"], cwd=folder, env=w.env, capture_output=True)
    assert process.returncode == 0  # a broken file does not keep the program from saying who it is

# ---- plans and objectives


def case_plan_validate(w):
    good = os.path.join(ROOT, "examples/shop/plan.yaml")
    has(w.run("plan", "validate", good).out, "valid")
    assert w.json("plan", "validate", good)["valid"] is True
    bad = w.write("bad.yaml", "url: http://127.0.0.1/\nvuss: 10\nduration: 30\n"
                              "thresholds: {http_req_durations: 'p(95)<1'}\n")
    out = w.run("plan", "validate", bad, code=104).out
    has(out, "bad.yaml:2:1", 'did you mean "vus"', "bad.yaml:3:11", "unit", "bad.yaml:4:14",
        "http_req_duration")
    found = w.json("plan", "validate", bad, code=104)
    assert found["errors"] == 3 and found["mistakes"][0]["line"] == 2, found
    has(w.run("plan", "validate", w.path("none.yaml"), code=1).err, "none.yaml")


def case_plan_hostile(w):
    bombs = {
        "laughs.yaml": "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n"
            for i in range(8)),
        "deep.yaml": "[" * 5000,
        "cut.yaml": "url: \"http://127.0.0.1/",
        "tabs.yaml": "url:\n\thttp://x\n",
        "nul.yaml": "url: \"a\0b\"\n",
        "twice.yaml": "url: http://127.0.0.1/\nurl: http://127.0.0.1/\n",
        "empty.yaml": "",
        "list.json": "[1,2,3]",
        "cut.json": '{"url": "http://127.0.0.1/", ',
        "huge.json": '{"url": "http://127.0.0.1/", "vus": 1e400}',
        "cut.toml": "url = \"http://127.0.0.1/",
        "escape.yaml": "url: http://127.0.0.1/\n\"\\e[2J\\e]0;owned\\a\": 1\n",
    }
    for name, text in bombs.items():
        result = w.run("plan", "validate", w.write(name, text), code=104)
        has(result.out, name)
        assert "\x1b" not in result.out + result.err, name
        json.loads(w.run("plan", "validate", w.path(name), "--json", code=104).out)
    with open(w.path("binary.yaml"), "wb") as file:
        file.write(bytes(range(256)) * 40)
    w.run("plan", "validate", w.path("binary.yaml"), code=104)


def case_plan_show(w):
    plan = w.write("show.yaml", "name: shown\nurl: http://127.0.0.1/cart?n=${random(1,6)}\n"
                                "rate: 150/s\nduration: 5s\n")
    has(w.run("plan", "show", plan).out, "constant-arrival-rate", "750", "iterations/s",
        "/cart?n=${random(1,6)}")
    shown = w.json("plan", "show", plan)
    assert shown["scenarios"][0]["iterations"] == 750 and len(shown["sha256"]) == 64
    first = w.run("plan", "show", plan, "--schedule").out
    assert first == w.run("plan", "show", plan, "--schedule").out
    rows = first.splitlines()
    # 150 a second: the i-th at i/150 s, as k6 computes it.
    assert len(rows) == 751 and rows[151] == "default,iteration,150,1.000000000", rows[151]
    assert w.json("plan", "show", os.path.join(ROOT, "examples/shop/plan.yaml"))["name"] == "shop"
    secret = w.write("secret.yaml", "url: http://127.0.0.1/?key=${env.SHOP_KEY}\n")
    shown = w.run("plan", "show", secret, SHOP_KEY="hunter2").out
    assert "hunter2" not in shown and "${env.SHOP_KEY}" in shown, shown
    w.run("plan", "show", secret, code=104)


def case_plan_create(w):
    for number, args in enumerate((["--rate", "50/s", "--duration", "10s"],
                                   ["--vus", "5", "--duration", "10s"],
                                   ["--stages", "10s:5,5s:0"], ["--iterations", "9", "--vus", "3"],
                                   ["--method", "POST", "--isolated"], [])):
        file = w.path(f"made{number}.yaml")
        w.run("plan", "create", "--url", "https://shop.test/a?b=c d'\"", "-o", file, *args, code=2)
        w.run("plan", "create", "--url", "https://shop.test:8443/a?b=c", "-o", file, *args)
        w.run("plan", "validate", file)
    has(w.run("plan", "create", "--url", "http://x/", "-o", w.path("made0.yaml"), code=1).err,
        "--force")
    w.run("plan", "create", "--url", "http://x/", "-o", w.path("made0.yaml"), "--force")
    has(w.run("plan", "create", "--url", "gopher://x/", code=2).err, "gopher")
    w.run("plan", "create", "--url", "http://x/", "--rate", "1/s", "--stages", "1s:1", code=2)
    slo = w.write("made-slo.yaml", SLO % 100)
    has(w.run("plan", "create", "--url", "http://x/", "--slo", slo).out, "made-slo.yaml")


def case_slo_validate(w):
    good = os.path.join(ROOT, "examples/shop/slo.yaml")
    assert w.json("slo", "validate", good)["valid"] is True
    bad = w.write("bad-slo.yaml", (SLO % "fast").replace("budgetingMethod: Occurrences",
                                                        "budgetingMethod: Occurences"))
    out = w.run("slo", "validate", good, bad, code=104).out
    has(out, "bad-slo.yaml:6:", "Occurrences", "bad-slo.yaml:14:", "slo.yaml: valid")
    assert len(w.json("slo", "validate", bad, code=104)["files"][0]["problems"]) >= 2
    w.run("slo", "validate", w.path("none.yaml"), code=104)
    w.run("slo", "validate", w.write("cut-slo.yaml", "apiVersion: [\n"), code=104)

# ---- verdicts on numbers that do not depend on this machine


def import_series(w):
    if os.path.exists(w.path("imported")):
        return
    rng = random.Random(1)
    for name, center in (("base", 100), ("same", 100), ("slow", 140), ("quick", 80)):
        w.run("baseline", "import", name, w.write(name + ".json", series(name, rng, center)))
    w.write("imported", "")


def case_verdicts(w):
    import_series(w)
    w.run("gate", "same", "--baseline", "base", "--no-default-slo")
    w.run("gate", "quick", "--baseline", "base", "--no-default-slo")
    slow = w.run("gate", "slow", "--baseline", "base", "--no-default-slo", code=112)
    has(slow.out, "GET /cart")
    report = w.json("gate", "slow", "--baseline", "base", "--no-default-slo", code=112)
    assert isinstance(report, dict)
    has(w.run("compare", "base", "slow").out, "slower")
    w.run("analyse", "slow", "--baseline", "base")
    loose, tight = w.write("loose.yaml", SLO % 500), w.write("tight.yaml", SLO % 90)
    w.run("gate", "same", "--no-baseline", "--slo", loose)
    w.run("gate", "same", "--no-baseline", "--slo", tight, code=99)
    # A breach is said before a regression.
    w.run("gate", "slow", "--baseline", "base", "--slo", tight, code=99)
    assert w.json("slo", "eval", "same", "--slo", loose)["status"] == "pass"
    verdict = w.json("slo", "eval", "same", "--slo", tight, code=99)
    assert verdict["objectives"][0]["verdict"] == "breached"
    # One in twenty is allowed; a handful of requests proves nothing.
    few = w.write("few.json", series("few", random.Random(2), 100, runs=1, count=12))
    w.run("baseline", "import", "few", few)
    w.run("slo", "eval", "few", "--slo", loose, code=113)
    w.run("slo", "eval", "few", "--slo", loose, "--allow-not-proven")


def case_gate_of_nothing(w):
    w.run("gate", "no-such-name", code=1)
    w.run("gate", "latest", "--baseline", "nobody", code=1)
    w.run("slo", "eval", "latest", "--slo", w.path("none.yaml"), code=(1, 104))


def case_self_test(w):
    import_series(w)
    found = w.json("gate", "base,same", "--self-test")
    assert 0 <= found["rate"] <= 1 and found["splits"] > 0, found


def case_report_formats(w):
    import_series(w)
    for format_, word in (("text", "cart"), ("markdown", "|"), ("html", "<html"),
                          ("junit", "<testsuite"), ("json", "{"), ("summary", "metrics")):
        text = w.run("report", "slow", "--baseline", "base", "--format", format_).out
        has(text, word)
        if format_ in ("json", "summary"):
            json.loads(text)
    w.run("gate", "same", "--no-default-slo", "--report", w.path("r.pdf"), code=2)
    w.run("gate", "same", "--no-default-slo", "--report", w.path("r.html"), "--report",
          w.path("r.md"), "--summary-export", w.path("s.json"))
    for name in ("r.html", "r.md", "s.json"):
        assert os.path.getsize(w.path(name)) > 0

# ---- baselines, runs, ledger


def case_baselines(w):
    import_series(w)
    assert {"base", "slow"} <= {b["name"] for b in w.json("baseline", "list")["baselines"]}
    has(w.run("baseline", "list").out, "base")
    runs = w.json("baseline", "show", "base")["runs"]
    assert len(runs) == 4 and abs(runs[0]["p95Ms"] - 100 * 1.39) < 15, runs[0]
    has(w.run("baseline", "show", "base").out, runs[0]["id"])
    ids = ",".join(run["id"] for run in runs[:3])
    assert len(w.json("baseline", "pin", "three", "--runs", ids, "--note", "why")["runs"]) == 3
    w.run("baseline", "unpin", "three")
    has(w.run("baseline", "unpin", "three", code=1).err, "three")
    w.run("baseline", "show", "three", code=1)
    has(w.run("baseline", "pin", "x", "--runs", "label:commit=none", code=1).err, "label")
    other = w.path("other.db")
    w.run("baseline", "export", "base", "-o", w.path("base-out.json"))
    w.run("baseline", "import", "copy", w.path("base-out.json"), "--ledger", other)
    copied = w.json("baseline", "show", "copy", "--ledger", other)["runs"]
    assert [run["id"] for run in copied] == [run["id"] for run in runs]
    k6 = w.write("k6.json", json.dumps({"metrics": {
        "http_req_duration": {"avg": 12.5, "min": 1, "med": 10, "max": 90, "p(90)": 30, "p(95)": 40},
        "http_reqs": {"count": 1000, "rate": 100}}}))
    w.run("baseline", "import", "k6", k6, "--ledger", other)
    assert w.json("baseline", "show", "k6", "--ledger", other)["runs"][0]["p95Ms"] == 40
    for name, text in (("cut.json", '{"version": 1, "runs": ['), ("odd.json", '{"a": 1}'),
                       ("new.json", '{"format":"perfwright-baseline","version":99,"runs":[]}')):
        w.run("baseline", "import", "bad", w.write(name, text), code=(1, 104))


def case_runs(w):
    import_series(w)
    runs = w.json("run", "list", "--kind", "imported")["runs"]
    one = runs[0]["id"]
    has(w.run("run", "list").out, one)
    assert len(w.json("run", "list", "--limit", "2")["runs"]) == 2
    assert w.json("run", "list", "--label", "no=where")["runs"] == []
    assert w.json("run", "show", one)["id"] == one
    has(w.run("run", "show", one.lower()).out, one)
    w.run("run", "show", "0000", code=(1, 2))
    w.run("run", "show", "7ZZZZZZZ", code=1)
    w.run("run", "export", one, "-o", w.path("one.json"))
    assert json.loads(w.run("run", "export", one).out) == json.load(open(w.path("one.json")))
    other = w.path("other-runs.db")
    assert w.json("run", "import", w.path("one.json"), "--ledger", other)["id"] == one
    has(w.run("run", "import", w.path("one.json"), "--ledger", other, code=1).err, "already")
    changed = open(w.path("one.json")).read().replace("http_req_duration", "http_req_duratiom", 1)
    w.run("run", "import", w.write("changed.json", changed), "--ledger", w.path("third.db"), code=1)


def case_ledger(w):
    import_series(w)
    head = w.json("ledger", "head")
    assert w.run("ledger", "head").out.strip() == head["hash"]
    assert w.json("ledger", "verify")["ok"] is True
    has(w.run("ledger", "verify", "--head", head["hash"]).out, "ok")
    w.run("ledger", "verify", "--head", "0123" * 16, code=1)
    w.run("ledger", "verify", "--head", "abc", code=2)
    assert w.run("ledger", "path").out.strip() == w.ledger
    before = w.run("run", "list").out
    w.run("ledger", "rebuild")
    assert w.run("run", "list").out == before
    assert w.json("ledger", "prune", "--before", "1d", "--dry-run")["dryRun"] is True
    w.run("ledger", "prune", code=2)
    w.run("ledger", "verify", "--ledger", w.path("missing.db"), code=1)
    has(w.run("run", "list", "--ledger", w.write("text.db", "no database " * 500), code=1).err,
        "text.db")


def case_changed_record_is_named(w):
    import_series(w)
    copy = w.path("changed.db")
    w.run("ledger", "rebuild")
    for end in ("", "-wal", "-shm"):
        if os.path.exists(w.ledger + end):
            shutil.copy(w.ledger + end, copy + end)
    try:
        import sqlite3  # Python may be built without it
    except ImportError:
        return
    with sqlite3.connect(copy) as db:
        seq, payload = db.execute("SELECT seq, payload FROM record WHERE kind "
                                  "LIKE 'run.%' ORDER BY seq LIMIT 1 OFFSET 1").fetchone()
        changed = payload.replace(b":1", b":2", 1) if b":1" in payload else payload + b" "
        db.execute("UPDATE record SET payload = ? WHERE seq = ?", (changed, seq))
    found = w.json("ledger", "verify", "--ledger", copy, code=1)
    assert found["ok"] is False, found
    assert any(problem["record"] > 0 and problem["kind"] for problem in found["problems"]), found


def case_read_only_ledger(w):
    import_series(w)
    if os.geteuid() == 0:
        folder = None  # root writes anywhere: a directory in the file's place must do
        os.makedirs(w.path("blocked.db"), exist_ok=True)
        w.run("run", "list", "--ledger", w.path("blocked.db"), code=1)
        return
    folder = w.path("frozen")
    os.mkdir(folder)
    shutil.copy(w.ledger, folder + "/ledger.db")
    os.chmod(folder + "/ledger.db", 0o444)
    os.chmod(folder, 0o555)
    try:
        w.run("baseline", "pin", "x", "--runs", "base", "--ledger", folder + "/ledger.db", code=1)
        w.run("ledger", "head", "--ledger", folder + "/ledger.db")
    finally:
        os.chmod(folder, 0o755)

# ---- guard rails


def case_guard_rails(w):
    def plan(name, host, kind="test", extra=""):
        return w.write(name, f"environments:\n  e: {{kind: {kind}, baseUrl: 'http://{host}'{extra}}}\n"
                             "requests: {r: /}\niterations: 1\n")

    for args, rule in (
            ([plan("production.yaml", "127.0.0.1:1", "production")], "guard.production"),
            (["--url", "http://shop.example.com/"], "guard.undeclared-host"),
            (["--url", "http://169.254.169.254/latest/meta-data/"], "guard."),
            ([plan("meta.yaml", "169.254.169.254")], "guard.metadata-address"),
            (["--url", w.url + "/cart", "--method", "POST", "-i", "1"], "guard.data-isolation"),
            (["--url", w.url, "--vus", "1001", "-d", "1s"], "guard.vus-ceiling"),
            (["--url", w.url, "--vus", "1", "-d", "31m"], "guard.duration-ceiling")):
        result = w.run("loadtest", *args, code=111)
        has(result.err, rule)
    runs = w.json("run", "list")["runs"]
    assert all(run["kind"] != "loadtest" for run in runs), "a refused run was recorded"

# ---- real runs


def case_loadtest(w):
    judged(w, 0, "loadtest", "--url", w.url + "/health", "--rate", "40/s", "--duration", "1s",
           "--threshold", "http_req_failed=rate<0.5", "--no-default-slo", "--label", "commit=abc",
           "--report", w.path("out.html"), "--report", w.path("out.xml"))
    run = newest(w)
    assert run["requests"] == 40 and run["labels"]["commit"] == "abc", run
    assert w.json("run", "list", "--label", "commit=abc")["runs"][0]["id"] == run["id"]
    shown = w.json("run", "show", "latest")
    assert shown["totals"]["requests"] == 40 and shown["totals"]["failed"] == 0, shown["totals"]
    assert shown["environment"] and shown["health"] and shown["plan"], "not all was kept"
    has(w.run("run", "show").out, run["id"], "all requests")
    has(open(w.path("out.html")).read(), "<html")
    has(open(w.path("out.xml")).read(), "<testsuite")
    w.run("run", "export", "latest", "-o", w.path("real.json"))
    w.run("run", "import", w.path("real.json"), "--ledger", w.path("elsewhere.db"))
    w.run("ledger", "verify")


def case_threshold_fails(w):
    judged(w, 99, "loadtest", "--url", w.url + "/nowhere", "--rate", "100/s", "--duration", "1s",
           "--threshold", "http_req_failed=rate<0.01")


def case_loadtest_of_a_plan(w):
    plan = w.write("shop.yaml", f"""name: shop
seed: 7
environments:
  local: {{kind: test, baseUrl: '{w.url}', data: isolated}}
requests:
  list: {{url: '/products?page=${{random(0,9)}}', checks: [{{json: '#', equals: 20}}]}}
  cart:
    method: POST
    url: /cart
    json: {{product: 17, count: 2}}
    expectedStatuses: [201]
    checks: [{{json: totalCents, above: 0}}]
vus: 2
iterations: 200
thresholds: {{checks: rate>0.5}}
slo: shop-slo.yaml
""")
    w.write("shop-slo.yaml", SLO % 60000)
    result = judged(w, 0, "loadtest", plan, "--json")
    json.loads(result.out)
    shown = w.json("run", "show", "latest")
    assert shown["totals"]["requests"] == 400, shown["totals"]
    assert {e["name"] for e in shown["endpoints"]} == {"list", "cart"}, shown["endpoints"]
    assert any(a["name"].startswith("slo/") for a in shown["artifacts"]), shown["artifacts"]


def case_execute_then_gate(w):
    plan = w.write("three.yaml", f"name: three\nurl: {w.url}/products\nrate: 50/s\nduration: 1s\n")
    ids = w.run("execute", plan, "--runs", "3", "--label", "set=three").out.split()
    assert len(ids) == 3 and len(w.json("run", "list", "--label", "set=three")["runs"]) == 3
    if any(w.json("run", "show", id_)["status"] == "invalid" for id_ in ids):
        return  # this machine is too busy for more
    assert len(w.json("baseline", "pin", "main", "--runs", "latest")["runs"]) == 3
    w.run("gate", "label:set=three", "--baseline", "main", code=(0, 113))


def case_bad_targets(w):
    dead = "http://127.0.0.1:1/"
    judged(w, 99, "loadtest", "--url", dead, "--rate", "100/s", "--duration", "1s",
           "--threshold", "http_req_failed=rate<0.01")
    assert w.json("run", "show", "latest")["totals"]["failed"] > 0  # never a silent zero
    w.run("loadtest", "--url", "nonsense", code=(2, 104))
    w.run("loadtest", code=(2, 104))
    w.run("loadtest", w.write("bad2.yaml", "url: http://127.0.0.1/\nvsu: 1\n"), code=104)
    w.run("loadtest", w.path("none.yaml"), code=1)


def wait_for_run(w, known):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        runs = w.json("run", "list")["runs"]
        if runs and runs[0]["id"] not in known and runs[0]["status"] == "running":
            return runs[0]["id"]
        time.sleep(0.1)
    raise AssertionError("the run did not begin")


def known_runs(w):
    return {run["id"] for run in w.json("run", "list", "--limit", "1000")["runs"]}


def case_interrupt(w):
    known = known_runs(w)
    process = w.start("loadtest", "--url", w.url + "/health", "--rate", "50/s", "--duration", "60s",
                      "--no-default-slo")
    id_ = wait_for_run(w, known)
    time.sleep(1.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    shown = w.json("run", "show", id_)
    assert shown["status"] in ("partial", "invalid") and shown["totals"]["requests"] > 0, shown
    expected = 105 if shown["status"] == "partial" else 113
    assert process.returncode == expected, (process.returncode, err)
    assert id_ in out or "partial" in (out + err).lower(), out + err


def case_budget(w):
    plan = w.write("budget.yaml", f"url: {w.url}/health\nrate: 100/s\nduration: 20s\n"
                                  "budget: {requests: 50}\n")
    result = w.run("loadtest", plan, "--no-default-slo", code=(114, 113))
    run = newest(w)
    assert run["status"] in ("partial", "invalid") and 40 <= run["requests"] <= 80, run
    has(result.err + result.out, "budget")
    assert result.code == (114 if run["status"] == "partial" else 113)


def case_full_disk(w):
    ledger = w.path("full.db")
    w.run("run", "list", "--ledger", ledger)
    room = max(os.path.getsize(ledger + end) for end in ("", "-wal")
               if os.path.exists(ledger + end)) + (24 << 10)
    process = w.start("loadtest", "--url", w.url + "/health", "--rate", "100/s", "--duration", "5s",
                      "--no-default-slo", "--ledger", ledger, file_bytes_max=room)
    out, err = process.communicate(timeout=COMMAND_SECONDS)
    assert "Sanitizer" not in err, err
    # On a busy machine the run may be invalid besides, which is told first.
    assert process.returncode in (1, 113), (process.returncode, out, err)
    has(out + err, "could not take this run", "500")  # the test went on, and what it measured is told all the same
    w.run("ledger", "verify", "--ledger", ledger)


def case_kill_9(w):
    known = known_runs(w)
    process = w.start("loadtest", "--url", w.url + "/health", "--rate", "50/s", "--duration", "60s")
    id_ = wait_for_run(w, known)
    time.sleep(3.2)  # at most the last two seconds may be lost
    process.kill()
    process.communicate()
    listed = next(run for run in w.json("run", "list")["runs"] if run["id"] == id_)
    assert listed["status"] == "partial", listed
    w.run("ledger", "verify")
    assert w.json("run", "show", id_)["totals"]["requests"] > 0


STATION = """version = 1
name = "station"
[agents.s]
servers = 4
service = {dist = "exponential", mean = "100ms"}
[clients.c]
to = "s"
rate = 32
[objectives.c]
within = "2s"
goodput = 0.95
"""


def case_simulate(w):
    station = w.write("station.toml", STATION)
    short = ("--horizon", "60s", "--warmup", "10s")
    first = w.json("simulate", station, *short)
    assert first["outcome"] == {**w.json("simulate", station, *short, "--threads", "1")["outcome"],
                                "took_ms": first["outcome"]["took_ms"]}
    # M/M/4 at .8 takes 174.6 ms on average; sixteen hundred requests a run tell that to a fifth.
    mean = first["outcome"]["clients"]["c"]["mean"]["value"]
    assert 0.14 < mean < 0.21, mean
    assert newest(w)["kind"] == "simulation"
    slow = w.run("simulate", station, *short, "--set", "s.servers=3", code=99)
    has(slow.out, "objective breached")
    has(w.run("simulate", station, *short, "--warmup", "detect").out, "objective met")
    ranks = w.json("simulate", station, *short, "--vs", "s.servers=8", "--vs", "s.servers=3")
    assert [r["name"] for r in ranks["ranks"]][0] == "s.servers=8", ranks
    file = w.write("candidates.yaml", "more: {s.servers: 8}\nbad: {s.servers: 3}\n")
    has(w.run("simulate", station, *short, "--compare", file, "--plot", w.path("c.svg")).out, "more")
    with open(w.path("c.svg"), encoding="utf-8") as picture:
        has(picture.read(), "<svg", "requests that wait")
    for wrong, words in ((("--set", "s.server=3"), "servers"), (("--warmup", "soon"), "--warmup"),
                         (("--horizon", "5s", "--warmup", "9s"), "horizon"),
                         (("--vs", "s.servers=x"), "whole number")):
        has(w.run("simulate", station, *wrong, code=(1, 2)).err, words)
    nobody = w.write("nobody.toml", "version = 1\n[agents]\na = {}\n")
    has(w.run("simulate", nobody, code=(1, 2)).err, "no client")


def case_two_processes(w):
    args = ("loadtest", "--url", w.url + "/health", "--rate", "20/s", "--duration", "2s",
            "--no-default-slo", "--label", "two=1", "--threshold", "http_req_failed=rate<0.5")
    both = [w.start(*args), w.start(*args)]
    for process in both:
        _, err = process.communicate(timeout=COMMAND_SECONDS)
        assert process.returncode in (0, 113), err
    runs = w.json("run", "list", "--label", "two=1")["runs"]
    assert [run["requests"] for run in runs] == [40, 40], runs
    w.run("ledger", "verify")


# ---- coordination


PIPELINE = """
version = 1
name = "pipeline"
agents.b.calls = [{to = ["c", "d"], join = "all"}]
agents.c.service = {dist = "mixture", parts = [
  {weight = 0.92, dist = "lognormal", mean = "150ms", sigma = 0.4},
  {weight = 0.08, dist = "pareto", alpha = 1.5, min = "2s", cap = "60s"}]}
agents.d = {servers = 6, service = {dist = "lognormal", mean = "900ms", sigma = 0.25}, range = {"servers" = [6, 12]}}
clients.tasks = {to = "b", rate = 5.0}
objectives.tasks = {within = "8s", goodput = 0.97, window = "10s"}
[[edges]]
from = "tasks"
to = "b"
policy = {timeout = {attempt = "1s"}, retry = {attempts = 4, backoff = "0s", budget = 0.0}, cancel = {propagate = false}}
range = {"timeout.attempt" = ["200ms", "30s"], "retry.attempts" = [1, 4], "cancel.propagate" = [0, 1]}
[[edges]]
from = "b"
to = "c"
policy = {retry = {backoff = "0s", budget = 0.0}}
range = {"timeout.attempt" = ["100ms", "30s"], "retry.attempts" = [1, 4]}
[[edges]]
from = "b"
to = "d"
policy = {cancel = {propagate = false}}
range = {"timeout.attempt" = ["500ms", "30s"], "retry.attempts" = [1, 4], "cancel.propagate" = [0, 1]}
"""


def case_coordinate(w):
    system = w.write("pipeline.toml", PIPELINE)
    story = w.json("coordinate", "run", system, "--duration", "300s", "--report", w.path("s.html"))
    assert story["kept"] >= 1, story["events"]
    before, after = (story["clients"]["tasks"][when]["goodput"][0] for when in ("before", "after"))
    assert before < 0.9 and after > 0.95, (before, after)
    has(open(w.path("s.html"), encoding="utf-8").read(), "<svg")
    proposals = w.json("coordinate", "history", "--system", "pipeline")
    kept = [p for p in proposals if p["state"] == "kept"]
    assert kept, proposals
    told = w.run("coordinate", "history", kept[0]["id"]).out
    has(told, "predicted tasks.p99")
    has(told, "observed tasks.p99")
    w.run("ledger", "verify")


def waiting(w):
    """The id of the newest proposal that waits for a person."""
    deadline = time.monotonic() + COMMAND_SECONDS
    while time.monotonic() < deadline:
        began = os.path.exists(w.path("ledger.db"))  # the run makes it
        for proposal in w.json("coordinate", "history", "--system", "asked") if began else []:
            if proposal["state"] == "validated":
                return proposal["id"]
        time.sleep(0.1)
    raise AssertionError("no proposal waits")


def case_coordinate_asks(w):
    system = w.write("asked.toml", PIPELINE.replace('"pipeline"', '"asked"'))
    run = w.start("coordinate", "run", system, "--mode", "ask", "--duration", "300s")
    try:
        has(w.run("coordinate", "accept", waiting(w), "--reason", "go on").out, "approved")
        _, err = run.communicate(timeout=COMMAND_SECONDS)
        has(err, "approved by a person")
        assert run.returncode in (0, 99), err
    finally:
        run.kill()
        run.wait()
    run = w.start("coordinate", "run", system, "--mode", "ask", "--duration", "300s")
    try:
        has(w.run("coordinate", "reject", waiting(w)).out, "rejected")
        waiting_again = w.start("coordinate", "history")
        waiting_again.communicate(timeout=COMMAND_SECONDS)
        run.send_signal(signal.SIGINT)  # whether it waits for the next plan or not
        _, err = run.communicate(timeout=COMMAND_SECONDS)
        has(err, "refused by a person")
        assert run.returncode in (0, 99, 114), err
    finally:
        run.kill()
        run.wait()
    w.run("coordinate", "accept", "no-such-proposal", code=1)


def case_coordinate_bad_input(w):
    system = w.write("pipeline.toml", PIPELINE)
    has(w.run("coordinate", "propose", system, "d.servers=99", code=99).out, "rejected")
    has(w.run("coordinate", "propose", system, "d.server=9", code=(1, 2, 104)).err, "servers")
    has(w.run("coordinate", "propose", system, "d.servers=7", "--dry-run", code=(0, 99)).out, "tasks")
    circle = w.write("circle.toml", PIPELINE + """
[[agents.d.calls]]
to = ["b"]
""")
    has(w.run("coordinate", "run", circle, code=(1, 104)).err, "circle")
    w.run("coordinate", "run", w.path("none.toml"), code=(1, 104))
    has(w.run("coordinate", "run", system, "--mode", "maybe", code=2).err, "advise")


OBSERVED = """version = 1
name = "observed"
[agents.s]
servers = 4
service = {dist = "exponential", mean = "100ms"}
range = {"servers" = [4, 8]}
[clients.c]
to = "s"
rate = RATE
[objectives.c]
within = "2s"
goodput = 0.95
"""


def observed_rows(w, system, kind):
    """What a fit takes from the ledger."""
    w.run("interface", "fit", system, "--observed", kind, "--rows", w.path("rows.json"),
          "-o", w.path("model.json"))
    with open(w.path("rows.json"), encoding="utf-8") as file:
        rows = json.load(file)
    names = [column["name"] for column in rows["columns"]]
    return [dict(zip(names, row["cells"]), source=row["source"]) for row in rows["rows"]]


def case_observed(w):
    """Simulations, a run and windows become observations, and those a model that holds."""
    system = w.write("observed.toml", OBSERVED.replace("RATE", "16"))
    w.run("interface", "fit", system, "--observed", "runs", code=1)  # nothing was seen yet
    for rate in (16, 22, 28):
        system = w.write("observed.toml", OBSERVED.replace("RATE", str(rate)))
        for servers in (4, 5, 6, 8):
            w.run("simulate", system, "--horizon", "60s", "--warmup", "10s", "-r", "3", "-q",
                  "--seed", f"{rate}{servers}", "--set", f"s.servers={servers}")
    live = ("system", "run", system, "--horizon", "30s", "--warmup", "10s", "--scale", "20")
    code = w.run(*live, code=(0, 113)).code  # a busy machine measures itself
    w.run(*live, "--horizon", "12s", "--seed", "2", "--no-ledger", code=(0, 113))
    rows = observed_rows(w, system, "runs")
    lives = [r for r in rows if not r["source"].startswith("simulation")]
    assert [r["source"] for r in lives] == (["live:seed=1"] if code == 0 else []), lives
    assert sorted((r["c.rate"], r["s.servers"]) for r in rows if r not in lives) == \
        [(rate, servers) for rate in (16, 22, 28) for servers in (4, 5, 6, 8)], rows
    answer = w.run("interface", "query", system, "--rate", "c=22", "--with", "s.servers=6",
                   "--fidelity", "hybrid", "--model", w.path("model.json"))
    has(answer.out, "by hybrid")
    has(w.run("interface", "validate", system, "--fidelity", "hybrid", "--model",
              w.path("model.json"), "--settings", "6", "--requests", "500").out, "the intervals hold")
    # What rows do not say parts them: this timeout has no range.
    has(w.run("interface", "fit", system, "--observed", "runs", "--set", "c->s.timeout.attempt=9s",
              code=1).err, "no runs")
    w.run("coordinate", "run", system, "--duration", "200s", code=(0, 99))
    windows = observed_rows(w, system, "windows")
    assert 10 <= len(windows) <= 18, len(windows)  # of 20, but for the first two
    assert len({r["c.rate"] for r in windows}) > 1, "the load that came, not the one expected"
    w.run("ledger", "verify")


CASES = [(name[5:], case) for name, case in list(globals().items()) if name.startswith("case_")]


def main():
    world = World()
    passed, failed = 0, []
    try:
        world.start_shop()
        for name, case in CASES:
            if WANTED and not any(word in name for word in WANTED):
                continue
            begin = time.monotonic()
            try:
                case(world)
            except Exception as problem:  # a case that breaks must not hide the others
                failed.append(name)
                print(f"FAIL {name}: {type(problem).__name__}: {problem}", flush=True)
            else:
                passed += 1
                print(f"ok {name} ({time.monotonic() - begin:.1f} s)", flush=True)
    finally:
        world.done()
    print(f"[  PASSED  ] {passed} test(s).")
    if failed:
        print(f"[  FAILED  ] {len(failed)} test(s): {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
