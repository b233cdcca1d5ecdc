#!/usr/bin/env python3
"""Holds the sample reports against parsers and schemas that are not ours.

    report_outputs.py REPORT_SAMPLE SOURCE_ROOT
"""
import html.parser
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

VOID = {"meta", "br", "link", "img", "hr", "input"}
# What would load something, run something or leave the page.
FORBIDDEN_TAGS = {"script", "iframe", "object", "embed", "link", "img", "a", "form", "base"}
FORBIDDEN_ATTRIBUTES = {"href", "src", "onclick", "onload", "onerror", "xlink:href", "action"}


class Page(html.parser.HTMLParser):
    """Checks nesting; collects what a screen reader would say about charts."""

    def __init__(self):
        super().__init__()
        self.open, self.labels, self.headings, self.charts = [], [], [], 0

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        assert tag not in FORBIDDEN_TAGS, tag
        assert not FORBIDDEN_ATTRIBUTES & attrs.keys(), attrs
        if tag == "svg":
            self.charts += 1
            assert attrs.get("role") == "img" and len(attrs.get("aria-label", "")) > 10, attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> inside {self.open[-3:]}"
        self.open.pop()


def luminance(colour):
    """Relative luminance of #rgb or #rrggbb by WCAG 2.2."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
              for v in (int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def check_contrast(text):
    """Lines and words of both themes: 4.5:1 (WCAG 2.2, 1.4.3), which includes the 3:1 of lines."""
    themes = [dict(re.findall(r"--(\w+):(#[0-9a-f]+)", block))
              for block in re.findall(r"\{([^{}]*--h9:[^{}]*)\}", text)]
    assert len(themes) >= 2, "no light and dark theme"
    for theme in themes:
        lines = [name for name in theme if re.fullmatch(r"c\d|ink|soft", name)]
        pairs = [(name, ground) for name in lines for ground in ("bg", "card")]
        pairs += [(name, name + "bg") for name in ("good", "warn", "bad", "neutral")]
        for name, ground in pairs:
            low, high = sorted((luminance(theme[name]), luminance(theme[ground])))
            ratio = (high + 0.05) / (low + 0.05)
            assert ratio >= 4.5, f"{name} on {ground}: {ratio:.2f}:1"


def check_html(path, charts):
    text = path.read_text(encoding="utf-8")
    check_contrast(text)
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == [], page.open
    assert page.charts >= charts, f"{path.name}: {page.charts} charts, {charts} expected"


def check_junit(path):
    root = xml.etree.ElementTree.parse(path).getroot()
    assert root.tag == "testsuites"
    cases = list(root.iter("testcase"))
    for outcome in ("failures", "skipped"):
        tag = {"failures": "failure", "skipped": "skipped"}[outcome]
        counted = sum(case.find(tag) is not None for case in cases)
        assert sum(int(s.get(outcome)) for s in root.iter("testsuite")) == counted, outcome
    assert sum(int(s.get("tests")) for s in root.iter("testsuite")) == len(cases)


def check_json(path, schema):
    document = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
    try:
        import jsonschema
    except ImportError:
        print(f"{path.name}: parsed; not held against the schema, python3-jsonschema is missing")
        return
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    validator(schema).validate(document)


def refuse_constant(name):
    raise ValueError(f"{name} is not JSON")


def main():
    program, root = sys.argv[1], pathlib.Path(sys.argv[2])
    schema = json.loads((root / "docs/report.schema.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([program, name], check=True)
        for stem, charts in (("sample", 12), ("invalid", 10), ("empty", 0)):
            check_html(folder / f"{stem}.html", charts)
            check_junit(folder / f"{stem}.xml")
            check_json(folder / f"{stem}.json", schema)
            json.loads((folder / f"{stem}.summary.json").read_text(encoding="utf-8"))
            assert (folder / f"{stem}.md").stat().st_size <= 1 << 20
    print("all reports are well-formed")


if __name__ == "__main__":
    main()
