#!/usr/bin/env python3
"""`perfwright fake-llm` on the wire: faults as a client sees them, limits, keys, the control
endpoint, HTTP/2 and TLS, records, bad options; and structured output judged by jsonschema.

    fake_llm_test.py PERFWRIGHT [WORDS OF CASES...]

What the SDKs of the providers say to it is in fake_llm_sdk_test.py."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
import urllib.parse

import jsonschema

PERFWRIGHT = os.path.abspath(sys.argv[1])
WANTED = sys.argv[2:]
SECONDS = 60
CASES = []


def case(function):
    CASES.append(function)
    return function


@contextlib.contextmanager
def fake(*options):
    """Runs a fake on a free port and yields its host and port."""
    command = [PERFWRIGHT, "fake-llm", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as process:
        try:
            url = urllib.parse.urlsplit(process.stdout.readline().strip())
            assert url.port, "the fake did not start"
            yield url.hostname, url.port
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0, process.returncode


def ask(where, path, body=None, method="POST", headers=None):
    """Returns status, headers and body; what cannot be read raises as http.client has it."""
    connection = http.client.HTTPConnection(*where, timeout=SECONDS)
    try:
        data = body if isinstance(body, (bytes, str, type(None))) else json.dumps(body)
        connection.request(method, path, data, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def chat(message="hi", **more):
    return {"model": "m", "messages": [{"role": "user", "content": message}], **more}


PROVIDERS = {
    "/v1/chat/completions": chat(),
    "/openai/deployments/d/chat/completions?api-version=2024-10-21":
        {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"model": "m", "input": "hi"},
    "/v1/messages": chat(max_tokens=20),
    "/v1beta/models/m:generateContent": {"contents": [{"parts": [{"text": "hi"}]}]},
    "/api/chat": chat(stream=False),
    "/api/generate": {"model": "m", "prompt": "hi", "stream": False},
}
STREAMS = {
    "/v1/chat/completions": chat(stream=True),
    "/v1/responses": {"model": "m", "input": "hi", "stream": True},
    "/v1/messages": chat(max_tokens=20, stream=True),
    "/v1beta/models/m:streamGenerateContent?alt=sse": {"contents": [{"parts": [{"text": "hi"}]}]},
    "/v1beta/models/m:streamGenerateContent": {"contents": [{"parts": [{"text": "hi"}]}]},
    "/api/chat": chat(),
    "/api/generate": {"model": "m", "prompt": "hi"},
}
ENDS = ("[DONE]", "response.completed", "message_stop", "STOP", '"done":true')


def is_json(text):
    try:
        json.loads(text)
        return True
    except ValueError:
        return False


@case
def faults_with_a_status():
    for kind, status in (("rate_limit", 429), ("server_error", 500), ("unavailable", 503),
                         ("overloaded", None)):
        with fake("--fault", f"{kind}=1", "--retry-after", "1500ms") as where:
            for path, body in {**PROVIDERS, **{p: b for p, b in STREAMS.items()}}.items():
                got, headers, text = ask(where, path, body)
                want = status or (529 if path == "/v1/messages" else 503)
                assert got == want, (kind, path, got)
                assert "error" in json.loads(text), (kind, path, text)
                if kind == "rate_limit" and path == "/v1/messages":
                    assert headers["retry-after"] == "2"
                    assert headers["anthropic-ratelimit-requests-limit"]
                elif kind == "rate_limit" and "v1beta" in path:
                    delay = json.loads(text)["error"]["details"][0]["retryDelay"]
                    assert delay == "1.5s", delay
                elif kind == "rate_limit" and "/api/" not in path:
                    assert headers["retry-after-ms"] == "1500"


@case
def whole_answers_that_are_broken():
    def check(kind, judge):
        with fake("--fault", f"{kind}=1", "--stall", "50ms") as where:
            for path, body in PROVIDERS.items():
                try:
                    result = ask(where, path, body)
                except (http.client.HTTPException, ConnectionError) as error:
                    result = error
                assert judge(result), (kind, path, result)

    check("malformed", lambda r: r[0] == 200 and not is_json(r[2]))
    check("truncated", lambda r: r[0] == 200 and not is_json(r[2]) and r[2].startswith("{"))
    check("error_in_200", lambda r: r[0] == 200 and "error" in json.loads(r[2]))
    check("wrong_type", lambda r: r[0] == 200 and r[1]["content-type"].startswith("text/html"))
    check("disconnect", lambda r: isinstance(r, http.client.IncompleteRead))
    check("stall", lambda r: isinstance(r, http.client.IncompleteRead))


@case
def streams_that_are_broken():
    def check(kind, judge):
        with fake("--fault", f"{kind}=1", "--stall", "50ms") as where:
            for path, body in STREAMS.items():
                try:
                    result = ask(where, path, body)
                except http.client.IncompleteRead as error:
                    result = error
                assert judge(result), (kind, path, result)

    def cut(r):
        text = r.partial.decode()
        return text.count("\n") > 0 and not any(end in text for end in ENDS)

    check("truncated", lambda r: r[0] == 200 and not any(end in r[2] for end in ENDS))
    check("malformed", lambda r: r[0] == 200 and '{"broken": \n' in r[2])
    check("error_in_200", lambda r: r[0] == 200 and "error" in r[2]
          and not any(end in r[2] for end in ENDS))
    check("wrong_type", lambda r: r[1]["content-type"].startswith("text/html"))
    check("disconnect", lambda r: isinstance(r, http.client.IncompleteRead) and cut(r))
    check("stall", lambda r: isinstance(r, http.client.IncompleteRead) and cut(r))


@case
def a_stall_ends_when_the_client_leaves():
    with fake("--fault", "stall=1", "--stall", "1h") as where:
        with socket.create_connection(where, timeout=SECONDS) as client:
            body = json.dumps(chat()).encode()
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: "
                           + str(len(body)).encode() + b"\r\n\r\n" + body)
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        while json.loads(ask(where, "/_fake/counts", method="GET")[2])["faults"]["stall"] == 0:
            pass  # bounded by the suite's limit
        # And a new one, cut by the end of the fake itself (see fake()).
        client = socket.create_connection(where, timeout=SECONDS)
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: "
                       + str(len(body)).encode() + b"\r\n\r\n" + body)
        assert client.recv(100)
    client.close()


@case
def equal_seeds_are_equal():
    def outcomes(seed):
        with fake("--seed", str(seed), "--fault", "server_error=0.3", "--answer-tokens",
                  "uniform:1,40") as where:
            answers = [ask(where, "/v1/chat/completions", chat()) for _ in range(60)]
            return [(status, json.loads(text)["choices"][0]["message"]["content"]
                     if status == 200 else "") for status, _, text in answers]
    first = outcomes(7)
    assert first == outcomes(7)
    assert first != outcomes(8)
    assert 5 < sum(status == 500 for status, _ in first) < 35


@case
def limits_are_kept_and_told():
    with fake("--requests-per-minute", "3") as where:
        got = [ask(where, "/v1/chat/completions", chat()) for _ in range(5)]
        assert [g[0] for g in got] == [200, 200, 200, 429, 429], [g[0] for g in got]
        assert [g[1]["x-ratelimit-remaining-requests"] for g in got[:3]] == ["2", "1", "0"]
        assert got[0][1]["x-ratelimit-limit-requests"] == "3"
        assert 1 <= int(got[3][1]["retry-after"]) <= 20
    with fake("--tokens-per-minute", "40") as where:
        got = [ask(where, "/v1/messages", chat("x" * 80, max_tokens=5)) for _ in range(3)]
        assert [g[0] for g in got] == [200, 429, 429], [g[0] for g in got]
        assert got[0][1]["anthropic-ratelimit-tokens-remaining"] == "15"


@case
def keys_are_asked_for():
    with fake("--api-key", "secret") as where:
        for headers in ({"Authorization": "Bearer secret"}, {"x-api-key": "secret"},
                        {"api-key": "secret"}, {"x-goog-api-key": "secret"}):
            assert ask(where, "/v1/chat/completions", chat(), headers=headers)[0] == 200
        for headers in ({}, {"Authorization": "Bearer secret2"}, {"Authorization": "secret"}):
            status, _, text = ask(where, "/v1/chat/completions", chat(), headers=headers)
            assert status == 401 and json.loads(text)["error"]["code"] == "invalid_api_key"
        assert ask(where, "/_fake/settings", method="GET")[0] == 401
        assert ask(where, "/health", method="GET")[0] == 200


@case
def settings_change_while_it_runs():
    with fake("--threads", "2", "--fault", "unavailable=1") as where:
        statuses = {ask(where, "/v1/chat/completions", chat())[0] for _ in range(20)}
        assert statuses == {503}
        status, _, text = ask(where, "/_fake/settings", {"faults": {"unavailable": 0}})
        assert status == 200 and json.loads(text)["faults"]["unavailable"] == 0
        assert {ask(where, "/v1/chat/completions", chat())[0] for _ in range(20)} == {200}
        for bad in ({"fault": 1}, {"faults": {"stall": 7}}, {"latency": "empirical:@/etc/hosts"},
                    "{", [], {"seed": 1}):
            assert ask(where, "/_fake/settings", bad)[0] == 400, bad
        assert ask(where, "/_fake/settings", method="DELETE")[0] == 200
        assert ask(where, "/v1/chat/completions", chat())[0] == 503
        counts = json.loads(ask(where, "/_fake/counts", method="GET")[2])
        assert counts["faults"]["unavailable"] == 21, counts
        metrics = ask(where, "/metrics", method="GET")[2]
        assert 'perfwright_fake_faults_total{kind="unavailable"} 21\n' in metrics


@case
def bad_requests():
    with fake() as where:
        for path in PROVIDERS:
            for body in ("", "{", "[]", "7", '{"model": "m"', "\xff", "[" * 100000):
                status, _, text = ask(where, path, body.encode("latin-1"))
                assert status == 400 and "error" in json.loads(text), (path, body[:20], status)
        for method, path in (("GET", "/v1/chat/completions"), ("POST", "/nothing"),
                             ("POST", "/v1beta/models/m:dance"), ("GET", "/v1/files/file-1"),
                             ("GET", "/v1/batches/batch_" + "0" * 24), ("POST", "/v1/batches/x/y"),
                             ("POST", "/openai/deployments/"), ("POST", "/openai/" + "x" * 400),
                             ("GET", "/v1/messages/batches/msgbatch_zz")):
            status, _, text = ask(where, path, None, method)
            assert status == 404 and "error" in json.loads(text), (method, path, status)
        assert ask(where, "/v1/files", "no multipart")[0] == 400
        assert ask(where, "/v1/embeddings", {"model": "m", "input": []})[0] == 400
        assert ask(where, "/v1/embeddings", {"model": "m", "input": "x", "dimensions": 4097})[0] == 400
        assert ask(where, "/v1/embeddings", {"model": "m", "input": ["x"] * 2049})[0] == 400
        assert ask(where, "/v1/chat/completions", chat())[0] == 200


SCHEMAS = [
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    {"type": "array", "items": {"type": "string", "minLength": 12}, "minItems": 2, "maxItems": 3},
    {"type": "object", "additionalProperties": False, "required": ["kind", "when", "tree"],
     "properties": {"kind": {"enum": ["x", "y"]}, "when": {"type": "string", "format": "date-time"},
                    "tree": {"$ref": "#/$defs/tree"}},
     "$defs": {"tree": {"type": "object", "required": ["name"], "properties": {
         "name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}}},
    {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, {"type": "null"}]},
    {"type": "integer", "minimum": 10, "multipleOf": 7},
    {"type": "integer", "maximum": -10, "multipleOf": 7},
    {"type": "number", "minimum": -0.5, "maximum": -0.25},
    {"type": ["boolean", "null"]},
    {"allOf": [{"type": "object", "properties": {"a": {"const": [1]}}, "required": ["a"]},
               {"properties": {"b": {"type": "string", "maxLength": 1}}, "required": ["b"]}]},
    {"type": "array", "prefixItems": [{"const": 1}, {"type": "boolean"}], "minItems": 2},
    {"type": "string", "enum": ["only"]},
]


@case
def structured_output_fits_its_schema():
    with fake() as where:
        for schema in SCHEMAS:
            text = ask(where, "/v1/chat/completions", chat(response_format={
                "type": "json_schema", "json_schema": {"name": "x", "schema": schema}}))[2]
            value = json.loads(json.loads(text)["choices"][0]["message"]["content"])
            jsonschema.validate(value, schema, jsonschema.Draft202012Validator)
            text = ask(where, "/v1/messages", chat(max_tokens=4000, tools=[
                {"name": "f", "input_schema": schema}], tool_choice={"type": "any"}))[2]
            jsonschema.validate(json.loads(text)["content"][0]["input"], schema,
                                jsonschema.Draft202012Validator)


@case
def http2_and_tls():
    for options, flags in (((), ["--http2-prior-knowledge"]), (("--tls",), ["-k", "--http2"])):
        with fake("--fault", "disconnect=0", *options) as (host, port):
            scheme = "https" if options else "http"
            command = ["curl", "-sS", "--max-time", str(SECONDS), *flags, "--noproxy", "*",
                       "-w", "%{http_version}", f"{scheme}://{host}:{port}/v1/chat/completions",
                       "-d", json.dumps(chat(stream=True))]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            assert out.endswith("data: [DONE]\n\n2"), out
            settings = command.copy()
            settings[-3] = f"{scheme}://{host}:{port}/_fake/settings"
            settings[-1] = '{"faults":{"disconnect":1}}'
            subprocess.run(settings, capture_output=True, check=True)
            broken = subprocess.run(command, capture_output=True, text=True, check=False)
            assert broken.returncode == 92, broken  # a stream that was reset


@case
def many_at_once():
    with fake("--threads", "2", "--latency", "uniform:1ms,20ms", "--tokens-per-second", "5000",
              "--tool-rate", "0.5") as where:
        tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]

        def one(i):
            path, body = list({**PROVIDERS, **STREAMS}.items())[i % 9]
            if path == "/v1/chat/completions":
                body = chat(tools=tools, stream=i % 2 == 0)
            return ask(where, path, body)[0]
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            assert set(pool.map(one, range(400))) == {200}
        counts = json.loads(ask(where, "/_fake/counts", method="GET")[2])
        assert sum(counts["requests"].values()) == 400, counts
        assert counts["streams"] > 50 and counts["tool_calls"] > 0, counts


@case
def what_was_asked_is_recorded():
    directory = tempfile.mkdtemp(prefix="perfwright-fake-")
    try:
        path = os.path.join(directory, "asked.jsonl")
        with fake("--record", path, "--port-file", os.path.join(directory, "port")) as where:
            with open(os.path.join(directory, "port"), encoding="utf-8") as file:
                assert int(file.read()) == where[1]
            ask(where, "/v1/chat/completions", chat("what\nnow"))
            ask(where, "/v1/messages?beta=true", "{")
        with open(path, encoding="utf-8") as file:
            first, second = map(json.loads, file)
        assert json.loads(first["body"]) == chat("what\nnow")
        assert (first["provider"], first["status"], first["fault"]) == ("openai", 200, None)
        assert (second["target"], second["status"]) == ("/v1/messages?beta=true", 400)
    finally:
        shutil.rmtree(directory)


@case
def bad_options():
    directory = tempfile.mkdtemp(prefix="perfwright-fake-")
    try:
        script = os.path.join(directory, "s.yaml")
        with open(script, "w", encoding="utf-8") as file:
            file.write("rules:\n  - match: {massage: x}\n")
        for options, words in ((["--fault", "burn=1"], "no fault"), (["--fault", "stall"], "KIND=RATE"),
                               (["--fault", "stall=2"], "from 0 to 1"), (["--latency", "5"], "--latency"),
                               (["--script", script], "s.yaml:2:13: "), (["--script", "/none.yaml"], "none"),
                               (["--host", "localhost"], "numeric"), (["--threads", "65"], "64"),
                               (["--tls-cert", script], "together"), (["--record", directory], "record"),
                               (["--fault", "stall=0.6", "--fault", "malformed=0.6"], "more than 1")):
            done = subprocess.run([PERFWRIGHT, "fake-llm", "--port", "0", *options],
                                  capture_output=True, text=True, timeout=SECONDS, check=False)
            assert done.returncode not in (0, -signal.SIGABRT), options
            assert words in done.stderr, (options, done.stderr)
    finally:
        shutil.rmtree(directory)


def main():
    failed = 0
    chosen = [c for c in CASES if not WANTED or any(word in c.__name__ for word in WANTED)]
    for function in chosen:
        try:
            function()
            print(f"ok {function.__name__}", flush=True)
        except Exception:  # a case's failure must not hide the others
            failed += 1
            print(f"FAIL {function.__name__}: {traceback.format_exc()}", flush=True)
    print(f"[  PASSED  ] {len(chosen) - failed} test(s).")
    if failed:
        print(f"[  FAILED  ] {failed} test(s).")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
