"""An MCP server that misbehaves in one way, named on its command line:

    mcp_hostile.py stdio MODE          one message a line on standard input and output
    mcp_hostile.py http MODE           prints its port, then serves POST /mcp

Modes that are none of the protocol's eras in particular answer `initialize`; those that begin with
`modern` answer `server/discover`."""
import json
import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODE = sys.argv[2] if len(sys.argv) > 2 else "fine"
TOOL = {"name": "t", "inputSchema": {"type": "object"}}


def result(request, value):
    return {"jsonrpc": "2.0", "id": request.get("id"), "result": value}


def error(request, code, message, data=None):
    body = {"code": code, "message": message}
    if data is not None:
        body["data"] = data
    return {"jsonrpc": "2.0", "id": request.get("id"), "error": body}


def page(request, key, items):
    cursor = request.get("params", {}).get("cursor", "0")
    value = {key: items, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    if MODE == "same_cursor":
        value["nextCursor"] = "again"
    if MODE == "endless_pages":
        value["nextCursor"] = str(int(cursor) + 1)
    return result(request, value)


def call(request):
    if MODE == "huge":
        return result(request, {"content": [{"type": "text", "text": "x" * (8 << 20)}]})
    if MODE == "deep":
        text = '{"a":' * 5000 + "1" + "}" * 5000
        return json.dumps(result(request, {"content": [], "deep": 0})).replace('"deep": 0', '"deep":' + text)
    if MODE == "error_text":
        return error(request, -32603, "\x1b[31mred\x1b[0m " + "long " * 1000)
    if MODE == "modern_asks_forever":
        return result(request, {"resultType": "input_required", "requestState": "s"})
    if MODE == "modern_asks_odd":
        return result(request, {"resultType": "input_required",
                                "inputRequests": {"a": {"method": "os/execute", "params": {}}}})
    if MODE == "modern_asks_nothing":
        return result(request, {"resultType": "input_required"})
    if MODE == "modern_odd_type":
        return result(request, {"resultType": "surprise"})
    if MODE == "wrong_content":
        return result(request, {"content": [{"type": "text"}, 5, None, {"type": 7, "data": []}]})
    return result(request, {"content": [{"type": "text", "text": "fine"}], "resultType": "complete"})


def answer(request):
    """The message to send, or None for none."""
    method = request.get("method")
    if method == "server/discover":
        if not MODE.startswith("modern"):
            return error(request, -32601, "Method not found")
        if MODE == "modern_liar":
            return error(request, -32022, "no", {"supported": ["2026-07-28"]})
        if MODE == "modern_future":
            return result(request, {"resultType": "complete", "supportedVersions": ["2099-01-01"],
                                    "capabilities": {}, "ttlMs": 0, "cacheScope": "private"})
        return result(request, {"resultType": "complete", "supportedVersions": ["2026-07-28"],
                                "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"})
    if method == "initialize":
        version = "1999-01-01" if MODE == "old_version" else "2025-11-25"
        return result(request, {"protocolVersion": version, "capabilities": {"tools": {}},
                                "serverInfo": {"name": "hostile", "version": "1"}})
    if method == "tools/list":
        if MODE == "tools_no_list":
            return result(request, {"tools": {"t": TOOL}})
        if MODE == "tools_no_objects":
            return result(request, {"tools": ["t", 5]})
        return page(request, "tools", [TOOL])
    if method == "tools/call":
        return call(request)
    if "id" in request:
        return result(request, {})
    return None


# ---- a message a line

def say(message):
    text = message if isinstance(message, str) else json.dumps(message)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def flood():
    note = json.dumps({"jsonrpc": "2.0", "method": "notifications/message",
                       "params": {"level": "info", "data": "x"}}) + "\n"
    while True:
        sys.stdout.write(note * 100)
        sys.stdout.flush()


def stdio_odd(request):
    """True when the mode has dealt with the request."""
    method = request.get("method")
    if MODE == "silent":
        return True
    if MODE == "crash":
        os._exit(3)
    if MODE == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if MODE == "dies_later" and method == "tools/call":
        os._exit(0)
    if MODE == "no_jsonrpc":
        say({"id": request.get("id"), "result": {}})
        return True
    if MODE == "wrong_id" and method == "tools/list":
        say(result({"id": 999}, {"tools": []}))
        say(result({"id": "1"}, {"tools": []}))
        say(result({"id": None}, {"tools": []}))
        return True
    if MODE == "twice_key" and method == "tools/list":
        say('{"jsonrpc":"2.0","id":%d,"result":{"tools":[],"tools":[1]}}' % request["id"])
        return True
    if MODE == "flood" and method == "tools/list":
        flood()
    if MODE == "endless_line" and method == "tools/list":
        sys.stdout.write('{"jsonrpc":"2.0","result":{"a":"')
        while True:
            sys.stdout.write("x" * 65536)
    if MODE == "asks" and method == "tools/list":
        say({"jsonrpc": "2.0", "id": "q1", "method": "sampling/createMessage", "params": {}})
        reply = json.loads(sys.stdin.readline())
        assert reply["id"] == "q1" and reply["error"]["code"] == -32601, reply
    return False


def serve_stdio():
    if MODE == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.stderr.write("pid %d\n" % os.getpid())
        sys.stderr.flush()
    if MODE == "banner":
        print("Welcome to my server!\n", flush=True)
    if MODE == "garbage":
        while True:
            print("neither JSON nor a message", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if stdio_odd(request):
            continue
        message = answer(request)
        if message is not None:
            say(message)
            if MODE == "twice":
                say(message)
    while MODE == "stubborn":
        time.sleep(0.1)


# ---- HTTP

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def whole(self, status, kind, body):
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        self.wfile.write(data)

    def stream(self, *pieces, end=True):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece.encode())
        self.wfile.flush()
        self.close_connection = True
        while not end:
            time.sleep(0.05)
            self.wfile.write(b": still here\n\n")
            self.wfile.flush()

    def endless(self, kind, piece, first=b""):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(first)
        while True:
            self.wfile.write(piece)

    def odd(self, request):
        method = request.get("method")
        message = "data: %s\n\n" % json.dumps(answer(request))
        if MODE == "html":
            self.whole(200, "text/html", "<html>hello</html>")
        elif MODE == "status_500":
            self.whole(500, "text/plain", "it broke")
        elif MODE == "status_401":
            self.whole(401, "application/json", '{"error":"who are you?"}')
        elif MODE == "redirect":
            self.whole(302, "text/plain", "")
        elif MODE == "reset":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif MODE == "endless_html":
            self.endless("text/html", b"<p>more</p>" * 100)
        elif method != "tools/list":
            return False
        elif MODE == "stream_without_answer":
            self.stream(": nothing\n\n")
        elif MODE == "stream_comments":
            self.stream(end=False)
        elif MODE == "stream_stays_open":
            self.stream(message, end=False)
        elif MODE == "stream_of_junk":
            self.stream("data: {not json}\n\n")
        elif MODE == "stream_deep":
            self.stream("data: " + "[" * 1000 + "\n\n")
        elif MODE == "endless_event":
            self.endless("text/event-stream", b"x" * 4096,
                         b'data: {"jsonrpc":"2.0","result":{"a":"')
        elif MODE == "truncated":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"jsonrpc":"2.0","id":')
            self.close_connection = True
        elif MODE == "empty":
            self.whole(200, "application/json", "")
        elif MODE == "accepted":
            self.whole(202, "text/plain", "")
        elif MODE == "other_id":
            self.whole(200, "application/json", json.dumps(result({"id": 77}, {"tools": []})))
        else:
            return False
        return True

    def do_GET(self):
        self.whole(405, "text/plain", "")

    do_DELETE = do_GET

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            if self.odd(request):
                return
            message = answer(request)
            if message is None:
                self.whole(202, "text/plain", "")
            else:
                self.whole(200, "application/json",
                           message if isinstance(message, str) else json.dumps(message))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        serve_stdio()
    else:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        print(server.server_address[1], flush=True)
        server.serve_forever()
