#!/usr/bin/env python3
"""`perfwright llm test` against aimock (npm @copilotkit/aimock), a provider that is not ours.

    aimock_test.py PERFWRIGHT ENGINE_SAMPLE

Every protocol: chat, streaming, a round trip of a tool, structured output, images, embeddings,
errors, and aimock's chaos (500, 429, malformed JSON, broken connections). Skipped (77) where the
npm packages are not installed."""
import base64
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import npm_peers  # noqa: E402

SECONDS = 120
KEY = "sk-aimock-never-print-this"
PROTOCOLS = ["openai", "responses", "azure", "azure1", "anthropic", "gemini", "ollama"]
SECTIONS = {
    "openai": ("openai", "/v1"), "responses": ("openai-responses", "/v1"), "azure": ("azure", ""),
    "azure1": ("azure", ""), "anthropic": ("anthropic", ""), "gemini": ("gemini", ""),
    "ollama": ("ollama", ""),
}
FIXTURES = {"fixtures": [
    {"match": {"userMessage": "weather", "hasToolResult": False},
     "response": {"toolCalls": [{"name": "get_weather", "arguments": "{}"}]}},
    {"match": {"userMessage": "weather", "hasToolResult": True},
     "response": {"content": "It is sunny."}},
    {"match": {"userMessage": "speed it up", "hasToolResult": False},
     "response": {"toolCalls": [{"name": "edit", "arguments": json.dumps(
         {"path": "slow.c", "old": "SLOW", "new": "FAST"})}]}},
    {"match": {"userMessage": "speed it up", "hasToolResult": True},
     "response": {"toolCalls": [{"name": "finish", "arguments": "{\"summary\":\"done\"}"}]}},
    {"match": {"userMessage": "slow down"},
     "response": {"error": {"message": "later", "type": "rate_limit_error",
                            "code": "rate_limit_exceeded"}, "status": 429}},
    {"match": {"userMessage": "forbidden"},
     "response": {"error": {"message": "no", "type": "invalid_request_error"}, "status": 400}},
    {"match": {"userMessage": "structure"}, "response": {"content": "{\"ready\":true}"}},
    {"match": {"inputText": "vector"}, "response": {"embedding": [0.25, -0.5, 1]}},
    {"match": {"userMessage": "cut"}, "response": {"content": "a b c d e f g h i j k l m n o p"},
     "chunkSize": 4, "latency": 20, "truncateAfterChunks": 7},
    {"match": {"userMessage": "hello"}, "response": {"content": "Hello from the other side."}},
]}
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg==")
failed = []


def check(name, ok, what=""):
    if not ok:
        failed.append(name)
        print(f"FAIL {name}: {what}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class World:
    def __init__(self, program, folder, port):
        self.program, self.folder, self.port = program, folder, port
        self.config = folder / "llm.toml"
        text = ""
        for name, (protocol, path) in SECTIONS.items():
            text += (f"[llm.{name}]\nprovider = \"{protocol}\"\nmodel = \"m\"\n"
                     f"base_url = \"http://127.0.0.1:{port}{path}\"\napi_key_env = \"AIMOCK_KEY\"\n"
                     "retry_initial_interval = \"1ms\"\nretry_max_interval = \"2ms\"\n"
                     "retry_budget = 0\n")
            text += "api_version = \"2024-10-21\"\n" if name == "azure" else ""
        self.config.write_text(text)
        self.env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.env["AIMOCK_KEY"] = KEY

    def ask(self, *args, names=()):
        """The answers by provider."""
        done = subprocess.run(
            [self.program, "llm", "test", "-c", str(self.config), "--json", *names, *args],
            capture_output=True, text=True, env=self.env, timeout=SECONDS, check=False)
        check("secret", KEY not in done.stdout + done.stderr, "the key was printed")
        try:
            return {p["name"]: p for p in json.loads(done.stdout)["providers"]}
        except (ValueError, KeyError):
            check("output", False, done.stdout + done.stderr)
            return {}

    def chaos(self, **rates):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/__aimock/chaos",
                                         data=json.dumps(rates).encode(), method="POST",
                                         headers={"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=SECONDS).close()

    def calm(self):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/__aimock/chaos",
                                         method="DELETE")
        urllib.request.urlopen(request, timeout=SECONDS).close()


def chats(world):
    for stream in ([], ["--stream"]):
        mode = "stream" if stream else "plain"
        for name, p in world.ask("--prompt", "hello", *stream).items():
            check(f"{mode} {name}", p["ok"] and p["text"] == "Hello from the other side." and
                  p["finish"] == "stop" and (p["chunks"] > 1) == bool(stream), p)
        answers = world.ask("--prompt", "what weather?", "--tool", "get_weather", "--tool-result",
                            "{\"sky\":\"clear\"}", *stream)
        for name, p in answers.items():
            check(f"{mode} tool {name}", p["ok"] and p["text"] == "It is sunny." and
                  p["called"] == "get_weather" and p["turns"] == 2, p)


def more(world):
    schema = world.folder / "schema.json"
    schema.write_text('{"type":"object","properties":{"ready":{"type":"boolean"}},'
                      '"required":["ready"],"additionalProperties":false}')
    for name, p in world.ask("--prompt", "structure", "--schema", str(schema)).items():
        check(f"structured {name}", p["ok"] and json.loads(p["text"]) == {"ready": True}, p)
    image = world.folder / "pixel.png"
    image.write_bytes(PIXEL)
    for name, p in world.ask("--prompt", "hello", "--image", str(image)).items():
        check(f"image {name}", p["ok"], p)
    # aimock has neither Gemini's batchEmbedContents nor a fixture for Ollama's embeddings.
    for name, p in world.ask("--prompt", "a vector", "--embed",
                             names=["openai", "responses", "azure", "azure1"]).items():
        check(f"embeddings {name}", p["ok"] and p["dimensions"] == 3, p)
    p = world.ask("--embed", names=["anthropic"])["anthropic"]
    check("no embeddings", p["failure"] == "unsupported", p)


def errors(world):
    for name, p in world.ask("--prompt", "forbidden").items():
        check(f"400 {name}", p["failure"] == "request" and p["attempts"] == 1, p)
    for name, p in world.ask("--prompt", "slow down", names=["openai", "anthropic"]).items():
        check(f"429 {name}", p["failure"] == "rate" and p["attempts"] == 3, p)
    for name, p in world.ask("--prompt", "cut", "--stream").items():
        check(f"cut stream {name}", not p["ok"] and p["attempts"] == 1, p)


def chaos(world):
    """Faults are found out, told apart and retried."""
    cases = [("dropRate", "server", 3), ("malformedRate", "response", 3),
             ("disconnectRate", "network", 3)]
    for rate, failure, attempts in cases:
        world.chaos(**{rate: 1})
        for name, p in world.ask("--prompt", "hello").items():
            check(f"{rate} {name}", p["ok"] is False and p.get("failure") == failure and
                  p["attempts"] == attempts, p)
        world.calm()
    world.chaos(rateLimitRate=1)
    for name, p in world.ask("--prompt", "hello", names=["openai"]).items():
        # Retry-After: 1 is obeyed, so the two pauses take two seconds.
        check(f"rateLimitRate {name}", p["failure"] == "rate" and p["attempts"] == 3 and
              p["durationMs"] >= 1900, p)
    world.calm()
    p = world.ask("--prompt", "hello", names=["openai"])["openai"]
    check("calm again", p["ok"], p)


def recorded(world):
    tape = world.folder / "tape.jsonl"
    live = world.ask("--prompt", "hello", "--record", str(tape))
    check("tape", KEY not in tape.read_text() and len(tape.read_text().splitlines()) ==
          len(PROTOCOLS), "the cassette")
    del world.env["AIMOCK_KEY"]  # replaying needs neither key nor server
    world.calm()
    played = world.ask("--prompt", "hello", "--replay", str(tape))
    for name, p in played.items():
        check(f"replay {name}", p["ok"] and p["text"] == live[name]["text"], p)


# The tool loop of `improve` edits a repository, by every protocol.
def engine(world):
    repo = world.folder / "repo"
    repo.mkdir()
    (repo / "slow.c").write_text("// SLOW\n")
    for name in PROTOCOLS:
        config = world.folder / f"improve-{name}.toml"
        config.write_text(f"[improve]\nprovider = \"{name}\"\n" + world.config.read_text())
        done = subprocess.run([sys.argv[2], "--repo", repo, "--work-dir", world.folder / "work",
                               "--config", config, "--engine", "llm", "--goal", "speed it up"],
                              capture_output=True, text=True, env=world.env, timeout=SECONDS,
                              check=False)
        result = json.loads(done.stdout) if done.returncode == 0 else {}
        check(f"engine {name}", "+// FAST" in result.get("patch", "") and
              result.get("final_text") == "done", done.stdout + done.stderr)


def main():
    node = npm_peers.node_or_skip()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        fixtures = folder / "fixtures.json"
        fixtures.write_text(json.dumps(FIXTURES))
        port = free_port()
        command = [node, npm_peers.package("@copilotkit/aimock") / "dist" / "cli.js", "-p",
                   str(port), "-f", str(fixtures), "--log-level", "silent"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as mock:
            try:
                deadline = time.monotonic() + SECONDS
                while time.monotonic() < deadline:
                    with socket.socket() as s:
                        if s.connect_ex(("127.0.0.1", port)) == 0:
                            break
                    time.sleep(0.05)
                world = World(sys.argv[1], folder, port)
                for part in (chats, more, errors, chaos, engine, recorded):
                    part(world)
            finally:
                mock.terminate()
                mock.wait(SECONDS)
    print(f"aimock: {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
