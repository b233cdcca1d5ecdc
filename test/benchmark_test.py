#!/usr/bin/env python3
"""`perfwright benchmark` with commands, as people use it; its files against hyperfine's own where
hyperfine is installed. Times are only asserted where they are true by construction (a sleep takes
at least as long as it says), verdicts only of effects that dwarf any noise.

    benchmark_test.py PERFWRIGHT
"""
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PERFWRIGHT = os.path.abspath(sys.argv[1])
DIR = tempfile.mkdtemp(prefix="perfwright-benchmark-")
ENV = {k: v for k, v in os.environ.items() if not k.startswith(("PERFWRIGHT_", "XDG_"))}
ENV.update(HOME=DIR, PERFWRIGHT_LEDGER=os.path.join(DIR, "ledger.db"), NO_COLOR="1")


def run(*args, code=0):
    done = subprocess.run([PERFWRIGHT, *args], env=ENV, cwd=DIR, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    return done


def case_one_command():
    out = run("benchmark", "-r", "6", "--", "sleep", "0.02").stdout
    assert "6 runs" in out and "median" in out, out
    results = json.loads(run("benchmark", "-r", "3", "--json", "--", "sleep", "0.02").stdout)["results"]
    assert len(results) == 1 and len(results[0]["times"]) == 3
    assert min(results[0]["times"]) >= 0.02 and results[0]["min"] >= 0.02
    assert results[0]["exit_codes"] == [0, 0, 0]
    # Arguments behind -- are not for a shell, lines are.
    out = run("benchmark", "-r", "1", "--output", "out.txt", "--", "echo", "$HOME", "a  b").stdout
    assert open(os.path.join(DIR, "out.txt")).read() == "$HOME a  b\n", out
    run("benchmark", "-r", "1", "--output", "out.txt", "echo $HOME")
    assert open(os.path.join(DIR, "out.txt")).read() == DIR + "\n"


def case_around_a_command():
    def log(name):
        return f"printf {name} >> {DIR}/log"
    run("benchmark", "-w", "1", "-r", "2", "--setup", log("s"), "--prepare", log("p"), "--conclude",
        log("c"), "--cleanup", log("e"), log("x"))
    assert open(os.path.join(DIR, "log")).read() == "s" + "pxc" * 3 + "e"


def case_failures():
    assert "exit code 3" in run("benchmark", "echo why >&2; exit 3", code=1).stderr
    assert "why" in run("benchmark", "echo why >&2; exit 3", code=1).stderr
    result = json.loads(run("benchmark", "-r", "2", "-i", "--json", "exit 3").stdout)["results"][0]
    assert result["exit_codes"] == [3, 3]
    assert "no such" in run("benchmark", "--", "no-such-program-at-all", code=1).stderr.lower()
    run("benchmark", "--timeout", "50ms", "sleep 30", code=102)
    for args in (["--vs", "true"], ["a", "--duration", "1s"], ["--parameter-scan", "n,1", "true"],
                 ["true", "--vs", "true", "--min-effect", "x"], ["--warmup", "1"],
                 ["a", "b", "--vs", "c"]):
        run("benchmark", *args, code=2)


def case_parameters_and_exports():
    run("benchmark", "-r", "2", "-P", "n,1,2", "-L", "w,a,b", "true {n} {w}", "--export-json", "o.json",
        "--export-csv", "o.csv", "--export-markdown", "o.md")
    results = json.load(open(os.path.join(DIR, "o.json")))["results"]
    assert [r["command"] for r in results] == ["true 1 a", "true 1 b", "true 2 a", "true 2 b"]
    assert results[2]["parameters"] == {"n": "2", "w": "a"}
    rows = list(csv.DictReader(open(os.path.join(DIR, "o.csv"))))
    assert rows[3]["parameter_w"] == "b" and float(rows[3]["mean"]) > 0
    lines = open(os.path.join(DIR, "o.md")).read().splitlines()
    assert len(lines) == 6 and lines[2].startswith("| `true 1 a` | ")
    assert run("benchmark", "-q", "-r", "1", "--export-csv", "-", "true").stdout.startswith("command,mean")


def kind(value):
    return float if isinstance(value, int) else type(value)


def case_like_hyperfine():
    if not shutil.which("hyperfine"):
        print("skip hyperfine: not installed")
        return
    args = ["--runs", "3", "--export-json", "h.json", "--export-csv", "h.csv", "--export-markdown", "h.md"]
    subprocess.run(["hyperfine", *args, "-P", "n", "1", "2", "sleep 0.0{n}"], check=True, cwd=DIR,
                   capture_output=True)
    theirs = {k: open(os.path.join(DIR, "h." + k)).read() for k in ("json", "csv", "md")}
    run("benchmark", *args, "-P", "n,1,2", "sleep 0.0{n}")
    ours = {k: open(os.path.join(DIR, "h." + k)).read() for k in ("json", "csv", "md")}
    for a, b in zip(json.loads(theirs["json"])["results"], json.loads(ours["json"])["results"]):
        assert set(a) <= set(b), (set(a), set(b))
        assert all(kind(a[k]) == kind(b[k]) for k in a), (a, b)
        assert a["command"] == b["command"] and a["parameters"] == b["parameters"]
    assert theirs["csv"].splitlines()[0] == ours["csv"].splitlines()[0]
    assert theirs["md"].splitlines()[:2] == ours["md"].splitlines()[:2]


def case_versus():
    fast, slow = "sleep 0.01", "sleep 0.3"
    out = run("benchmark", slow, "--vs", fast)
    assert "times as fast as A" in out.stdout and "10 pairs" in out.stdout, out.stdout
    done = run("benchmark", fast, "--vs", slow, "--json", "--seed", "7", code=112)
    doc = json.loads(done.stdout)
    assert doc["outcome"] == "slower" and doc["effect"]["ratio"] > 2 and doc["seed"] == 7
    assert doc["effect"]["low"] > 1 and len(doc["samples"]) == 33
    assert {s["arm"] for s in doc["samples"]} == {"base", "control", "candidate"}
    # Too little time for any verdict.
    assert "undecided" in run("benchmark", "true", "--vs", "true", "--pairs", "8", "--budget", "100ms",
                              "--prepare", "sleep 0.05", code=113).stdout
    assert "failed 3 times" in run("benchmark", "true", "--vs", "exit 9", code=1).stdout


def case_nothing_is_left():
    run("benchmark", "-r", "2", f"setsid sleep 987.654 & echo $! >> {DIR}/pids; exit 0")
    for pid in open(os.path.join(DIR, "pids")).read().split():
        assert not os.path.exists(f"/proc/{pid}") or "sleep" not in open(f"/proc/{pid}/comm").read()


def case_the_record():
    run("benchmark", "-r", "2", "--name", "kept", "-l", "commit=abc", "--", "true")
    doc = json.loads(run("run", "show", "label:commit=abc", "--json").stdout)
    assert doc["kind"] == "benchmark" and doc["name"] == "kept" and doc["status"] == "complete"
    assert doc["summary"]["results"][0]["exit_codes"] == [0, 0]
    assert sorted(a["name"] for a in doc["artifacts"]) == ["benchmarks.json", "samples.json"]
    run("benchmark", "-r", "2", "--no-record", "--name", "unkept", "--", "true")
    assert "unkept" not in run("run", "list", "--kind", "benchmark").stdout
    run("run", "show")
    done = subprocess.run([PERFWRIGHT, "compare", "latest", "latest"], env=ENV, capture_output=True,
                          text=True)
    assert "benchmark compare" in done.stdout, done
    assert "sec/op" in run("benchmark", "compare", "latest", "latest").stdout
    run("ledger", "verify")


def case_interrupted():
    child = subprocess.Popen([PERFWRIGHT, "benchmark", "--runs", "1000", "--name", "cut", "sleep 0.05"],
                             env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1.5)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 105, (child.returncode, out, err)
    doc = json.loads(run("run", "show", "latest", "--json").stdout)
    assert doc["name"] == "cut" and doc["status"] == "partial", doc


def case_noise():
    doc = json.loads(run("doctor", "noise", "--budget", "3s", "--json").stdout)
    assert len(doc["lengths"]) == 3 and doc["overhead_s"] > 0
    assert "clock" in run("doctor", "noise", "--budget", "2s").stdout


failed = 0
cases = [(name[5:], fn) for name, fn in list(globals().items()) if name.startswith("case_")]
for name, fn in cases:
    try:
        fn()
        print("ok", name)
    except Exception as why:  # every case is told, whatever went wrong
        failed += 1
        print("FAIL", name + ":", type(why).__name__, why)
shutil.rmtree(DIR, ignore_errors=True)
print(f"{len(cases)} test(s) run, {failed} failed")
sys.exit(1 if failed else 0)
