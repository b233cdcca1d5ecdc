#!/usr/bin/env python3
"""Profiles of a program whose truth is known (profile_sample.c), read by `go tool pprof`, where Go
is there, and by the reader below, which takes the message apart by the field numbers of
github.com/google/pprof/blob/main/proto/profile.proto.

profile_test.py PROFILE_SAMPLE"""
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

SAMPLE = sys.argv.pop()


def fields(data):
    """(number, value) of each field of a protobuf message; submessages as bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            length = varint()
            yield key >> 3, data[at:at + length]
            at += length
        else:
            raise ValueError(f"wire type {key & 7}")


def packed(data):
    return [value for _, value in fields(b"".join(b"\x08" + chunk for chunk in varints(data)))]


def varints(data):
    start = 0
    for i, byte in enumerate(data):
        if byte < 128:
            yield data[start:i + 1]
            start = i + 1


class Profile:
    def __init__(self, path):
        top = list(fields(gzip.open(path).read()))
        self.strings = [v.decode() for n, v in top if n == 6]
        self.types = [(self.strings[dict(fields(v)).get(1, 0)], self.strings[dict(fields(v)).get(2, 0)])
                      for n, v in top if n == 1]
        functions = {dict(fields(v))[1]: self.strings[dict(fields(v)).get(2, 0)] for n, v in top if n == 5}
        self.mappings = {dict(fields(v))[1]: dict(fields(v)) for n, v in top if n == 3}
        self.locations = {}
        for n, v in top:
            if n == 4:
                f = list(fields(v))
                names = [functions[dict(fields(line))[1]] for number, line in f if number == 4]
                self.locations[dict(f)[1]] = names
                mapping = dict(f).get(2, 0)
                assert mapping == 0 or mapping in self.mappings, mapping
        self.samples = []
        for n, v in top:
            if n == 2:
                f = dict(fields(v))
                stack = [name for i in packed(f.get(1, b"")) for name in self.locations[i]]
                label = dict(fields(f[3])) if 3 in f else {}
                self.samples.append((stack, packed(f[2]), self.strings[label.get(2, 0)]))
        self.period = dict((n, v) for n, v in top if n == 12).get(12)

    def share(self, function, value):
        total = sum(s[1][value] for s in self.samples)
        return sum(s[1][value] for s in self.samples if function in s[0]) / total

    def total(self, function, value):
        return sum(s[1][value] for s in self.samples if function in s[0])


class Profiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="profiles-")
        subprocess.run([SAMPLE, cls.directory], check=True, timeout=90)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    def path(self, name):
        return os.path.join(self.directory, name)

    def check_cpu(self, name):
        p = Profile(self.path(name))
        self.assertEqual(p.types, [("samples", "count"), ("cpu", "nanoseconds")])
        self.assertEqual(p.period, 2_000_000)
        self.assertGreater(sum(s[1][0] for s in p.samples), 40)
        # 75 % and 25 % of the CPU time by construction; the wide margins are for a busy machine,
        # where timer interrupts come late.
        self.assertAlmostEqual(p.share("work_hard", 1), 0.75, delta=0.2)
        self.assertAlmostEqual(p.share("work_little", 1), 0.25, delta=0.2)
        stack = next(s[0] for s in p.samples if "work_hard" in s[0])
        self.assertLess(stack.index("work_hard"), stack.index("main"))
        self.assertTrue(all(s[2] for s in p.samples), "every sample names its thread")

    def test_cpu(self):
        self.check_cpu("cpu.pb.gz")

    def test_cpu_by_signals(self):
        self.check_cpu("signal.pb.gz")

    def test_heap(self):
        p = Profile(self.path("heap.pb.gz"))
        self.assertEqual(p.types, [("alloc_objects", "count"), ("alloc_space", "bytes"),
                                   ("inuse_objects", "count"), ("inuse_space", "bytes")])
        # 4000 blocks of 16 KiB each, one sample in 64 KiB: 1000 samples, standard deviation 3 %.
        for function in "kept_blocks", "lost_blocks":
            self.assertAlmostEqual(p.total(function, 0) / 4000, 1, delta=0.2)
            self.assertAlmostEqual(p.total(function, 1) / (4000 * 16384), 1, delta=0.2)
        self.assertEqual(p.total("kept_blocks", 3), p.total("kept_blocks", 1))
        self.assertEqual(p.total("lost_blocks", 3), 0)

    def test_fibers(self):
        p = Profile(self.path("fibers.pb.gz"))
        self.assertEqual(p.types, [("goroutine", "count")])
        self.assertEqual(p.total("wait_for_nothing", 0), 3)
        self.assertEqual({s[2] for s in p.samples}, {"sleeper: nothing"})

    def test_flame_graph(self):
        root = xml.etree.ElementTree.parse(self.path("cpu.svg")).getroot()
        titles = [t.text for t in root.iter("{http://www.w3.org/2000/svg}title")]
        hard = [t for t in titles if t.startswith("work_hard: ")]
        self.assertEqual(len(hard), 1)
        share = float(re.search(r"([0-9.]+) %", hard[0]).group(1))
        self.assertAlmostEqual(share, 75, delta=20)

    @unittest.skipUnless(shutil.which("go"), "Go is not installed")
    def test_go_tool_pprof(self):
        environment = dict(os.environ, GOTOOLCHAIN="local",
                           PPROF_TMPDIR=self.directory)
        for name, wanted, options in (("cpu.pb.gz", "work_hard", ["-cum"]),
                                      ("heap.pb.gz", "kept_blocks", ["-sample_index=inuse_space"]),
                                      ("heap.pb.gz", "lost_blocks", ["-sample_index=alloc_space"]),
                                      ("fibers.pb.gz", "wait_for_nothing", [])):
            run = subprocess.run(["go", "tool", "pprof", "-top", "-nodecount=100", *options, self.path(name)],
                                 env=environment, capture_output=True, text=True, timeout=60)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn(wanted, run.stdout)
            # The allocator's own frames are cut off.
            self.assertNotIn("mem_hook_allocated", run.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=1)
