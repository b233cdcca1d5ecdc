#!/usr/bin/env python3
"""The official SDKs of OpenAI, Anthropic, Google and Ollama against `perfwright fake-llm`.

    fake_llm_sdk_test.py PERFWRIGHT

Starts the fake on a free port with test/fake_llm_sdk.yaml and runs test/fake_llm_sdk.mjs under the
node of test/npm. Skipped (77) where the npm packages are not installed."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import npm_peers  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 120


def main():
    node = npm_peers.node_or_skip()
    command = [sys.argv[1], "fake-llm", "--port", "0", "--script", str(HERE / "fake_llm_sdk.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as fake:
        try:
            base = fake.stdout.readline().strip()
            if not base.startswith("http://"):
                print(f"FAIL start: the fake said {base!r}")
                return 1
            # Proxies are for what is not on this machine.
            env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
            return subprocess.run([node, HERE / "fake_llm_sdk.mjs", base, npm_peers.MODULES],
                                  env=env, timeout=SECONDS, check=False).returncode
        finally:
            fake.terminate()
            fake.wait(SECONDS)


if __name__ == "__main__":
    sys.exit(main())
