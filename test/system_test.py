#!/usr/bin/env python3
"""Systems of agents as people use them: the example's story in short, the runtime beside the
simulator, and a system watched.

    system_test.py PERFWRIGHT SOURCE_ROOT

The effects are those of the paper that the example is from ("Towards Agentic Performance
Management", AgenticOS 2026): what stands collapses; a longer timeout has a long tail and falls with
a spike; a rate limit hurts bystanders; scaling wastes what it adds. Simulated, so exact for a seed
and independent of this machine; what runs live is only asked for what must hold on any.
"""
import json
import os
import pty
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

PERFWRIGHT, ROOT = [os.path.abspath(path) for path in sys.argv[1:3]]
SYSTEM = os.path.join(ROOT, "examples", "codegen-pipeline", "system.toml")
HOME = tempfile.TemporaryDirectory(prefix="perfwright-systems-")
ENV = dict(os.environ, HOME=HOME.name, NO_COLOR="1", TERM="xterm",
           PERFWRIGHT_LEDGER=os.path.join(HOME.name, "ledger.db"))
CALM = ("--horizon", "100s", "--warmup", "30s")
SPIKE = ("--horizon", "240s", "--warmup", "30s")
PATIENT = ("--set", "a->b.timeout.attempt=10s", "--set", "builds->b.timeout.attempt=10s")


def run(*words, codes=(0,)):
    done = subprocess.run([PERFWRIGHT, *words], env=ENV, capture_output=True, text=True, timeout=100)
    assert done.returncode in codes, f"{words}: {done.returncode}\n{done.stderr}"
    return done.stdout


def simulate(*words):
    text = run("simulate", SYSTEM, "--quiet", "--json", "-r", "2", *words, codes=(0, 99, 113))
    document = json.loads(text)
    return document.get("outcome", document)


def value(part, name, measure):
    found = part[name][measure]["value"]
    return float("inf") if found == "infinite" else found


def case_the_story():
    calm = simulate(*CALM)
    assert value(calm["clients"], "tasks", "goodput") < 0.1
    assert value(calm["agents"], "d", "wasted") > 0.9

    patient = simulate(*CALM, *PATIENT)
    assert value(patient["clients"], "tasks", "goodput") > 0.97
    assert value(patient["clients"], "tasks", "p99") > 4  # promised
    assert value(simulate(*SPIKE, *PATIENT)["clients"], "tasks", "goodput") < 0.7

    limited = simulate(*CALM, "--set", "d.rate.per_second=16", "--set", "d.rate.burst=16")
    assert value(limited["clients"], "audits", "errors") > 0.05  # they did nothing wrong
    assert value(limited["clients"], "tasks", "goodput") < 0.9

    scaled = simulate(*CALM, "--set", "d.autoscale.target=0.8", "--set", "d.autoscale.min=18",
                      "--set", "d.autoscale.max=72")
    assert value(scaled["agents"], "d", "servers") > 36
    assert value(scaled["agents"], "d", "wasted") > 0.8
    assert value(scaled["edges"], "a->b", "retries") > 20  # three for each call
    assert value(scaled["clients"], "tasks", "goodput") < 0.5


def case_live_and_simulated():
    text = run("system", "run", SYSTEM, "--no-ledger", "--both", "--json", "--scale", "20", "--horizon",
               "60s", "--warmup", "10s", *PATIENT, codes=(0, 113))
    both = json.loads(text)
    assert both["rows"] > 20 and both["overlapping"] <= both["rows"]
    assert set(both["live"]["clients"]) == set(both["simulated"]["clients"])


def case_watch_lines_and_json():
    words = ("system", "watch", SYSTEM, "--mode", "none", "--duration", "30s")
    assert run(*words).count("codegen-pipeline, simulated") == 3
    windows = [json.loads(line) for line in run(*words, "--json").splitlines()]
    assert [w["untilSeconds"] for w in windows] == [10, 20, 30]
    assert "tasks" in windows[0]["outcome"]["clients"]
    managed = [json.loads(line) for line in
               run("system", "watch", SYSTEM, "--mode", "advise", "--duration", "30s", "--json",
                   codes=(0, 99)).splitlines()]
    assert managed[-1]["broken"] > 0 and any(w["events"] for w in managed)


def case_watch_draws_on_a_terminal():
    parent, child = pty.openpty()
    process = subprocess.Popen([PERFWRIGHT, "system", "watch", SYSTEM, "--mode", "none", "--duration",
                                "30s", "--scale", "100"], env=ENV, stdout=child, stderr=child)
    os.close(child)
    seen = b""
    while True:
        try:
            part = os.read(parent, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    assert process.wait(timeout=60) == 0
    os.close(parent)
    assert seen.count(b"\x1b[H") >= 3 and b"\x1b[?25h" in seen  # drawn anew; the cursor is back
    assert b"\x1b[1m" not in seen and b"\x1b[31m" not in seen  # NO_COLOR
    assert b"P99" in seen and b"POLICY" in seen


def case_watch_ends_with_ctrl_c():
    process = subprocess.Popen([PERFWRIGHT, "system", "watch", SYSTEM, "--mode", "none", "--live",
                                "--duration", "1h"], env=ENV, stdout=subprocess.PIPE, text=True)
    assert "codegen-pipeline, live" in process.stdout.readline()
    process.send_signal(2)
    process.stdout.read()
    assert process.wait(timeout=60) == 114


def case_interfaces_are_published():
    process = subprocess.Popen([PERFWRIGHT, "system", "watch", SYSTEM, "--mode", "none", "--live",
                                "--duration", "1h", "--port", "0"], env=ENV, text=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        url = process.stderr.readline().split()[-1]
        names = json.load(urllib.request.urlopen(url, timeout=20))
        assert [page["agent"] for page in names] == ["a", "b", "c", "d"]
        d = json.load(urllib.request.urlopen(url + "/d", timeout=20))
        assert d["format"] == "perfwright-interface" and d["agent"] == "d"
        try:
            urllib.request.urlopen(url + "/nobody", timeout=20)
            raise AssertionError("nobody has an interface")
        except urllib.error.HTTPError as error:
            assert error.code == 404
    finally:
        process.send_signal(2)
        assert process.wait(timeout=60) == 114


def case_bad_input():
    run("system", "watch", os.path.join(ROOT, "none.toml"), codes=(1, 104))
    run("system", "watch", "http://127.0.0.1:9", "--looks", "1", codes=tuple(range(1, 128)))
    run("system", "watch", SYSTEM, "--mode", "maybe", codes=(2,))


def main():
    failed = 0
    for name, case in list(globals().items()):
        if name.startswith("case_"):
            try:
                case()
                print(f"ok {name[5:]}")
            except (AssertionError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
                failed += 1
                print(f"FAIL {name[5:]}: {error!r}")
    return 1 if failed else 0


sys.exit(main())
