#!/usr/bin/env python3
"""plan_schema.py PLAN_CHECK ROOT: docs/plan.schema.json and the plan's parser agree.

Every example in the guide and every plan under examples/ is a plan for both; each of the wrong ones below
is wrong for both. Skipped (77) where Python has no jsonschema."""
import json
import pathlib
import re
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is not installed")
    sys.exit(77)

URL = "url: http://127.0.0.1/\n"
REQ = "requests: {a: 'http://127.0.0.1/'}\n"
WRONG = [
    URL + "vuss: 1",
    URL + "vus: 0",
    URL + "vus: 1.5",
    URL + "duration: 30",
    URL + "version: 2",
    URL + "seed: -1",
    URL + "maxRedirects: 101",
    URL + "expectedStatuses: 99",
    URL + "expectedStatuses: []",
    URL + "checks: [{}]",
    URL + "checks: [{status: 200, json: a}]",
    URL + "checks: [{header: a, exists: 3}]",
    URL + "checks: [{body: {}}]",
    URL + "extract: {x: {json: a, header: b}}",
    URL + "extract: {x: {between: [a]}}",
    URL + "environments: {a: {}}",
    URL + "environments: {a: {kind: prod}}",
    URL + "environments: {a: {kind: test, tls: {certFile: a}}}",
    URL + "feeds: {f: {order: random}}",
    URL + "thresholds: {checks: {abortOnFail: true}}",
    URL + "budget: {money: {limit: 1}}",
    URL + "tags: {a: [1]}",
    URL + "options: {discardBodies: 1}",
    URL + "stages: [{duration: 1s}]",
    URL + "stages: []",
    "requests: {a: {method: GET}}",
    REQ + "steps: []",
    REQ + "steps: [{weight: 1}]",
    REQ + "steps: [{request: a, think: 1s}]",
    REQ + "steps: [{think: {mean: 1s}}]",
    REQ + "scenarios: {}",
    REQ + "scenarios: {s: {}}",
    REQ + "scenarios: {s: {executor: nope}}",
]


def main():
    check, root = sys.argv[1], pathlib.Path(sys.argv[2])
    schema = json.loads((root / "docs/plan.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    def judge(text, folder, expected, what):
        done = subprocess.run([check, str(folder)], input=text.encode(), stdout=subprocess.PIPE, check=True)
        answer = json.loads(done.stdout)
        problems = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}"
                    for e in validator.iter_errors(answer["document"])]
        if answer["ok"] != expected:
            return [f"{what}: the parser says {answer['ok']}: {answer['mistakes']}"]
        if (not problems) != expected:
            return [f"{what}: the schema says {problems or 'fine'}"]
        return []

    failures, count = [], 0
    guide = (root / "docs/guide/plan.md").read_text(encoding="utf-8")
    for number, example in enumerate(re.findall(r"```yaml\n(.*?)```", guide, re.S), 1):
        failures += judge(example, root / "examples", True, f"example {number} of the guide")
        count += 1
    for path in sorted((root / "examples").rglob("*.yaml")):
        if ".perfwright" in path.parts:
            continue  # of improve, no plans
        text = path.read_text(encoding="utf-8")
        if "openslo" in text:
            continue
        failures += judge(text, path.parent, True, str(path))
        count += 1
    for text in WRONG:
        failures += judge(text, root, False, text)
        count += 1
    print(*failures, sep="\n")
    print(f"{count} documents, {len(failures)} disagreements")
    return 1 if failures or count < len(WRONG) + 4 else 0


if __name__ == "__main__":
    sys.exit(main())
