#!/bin/sh
# Small non-streaming chats a second of `perfwright fake-llm` on one core, against nginx returning a
# fixed body of the same size on the same core, in interleaved pairs.
#
#     bench/fake_llm.sh BUILD_DIR [PAIRS] [SECONDS] [CONNECTIONS]
#
# The servers are pinned to CPU 0, wrk to CPU 1. Besides the rate, which wrk's core may bound, the
# servers' CPU time a request is compared: its inverse is what a core of its own would carry. Needs
# nginx, wrk, curl and python3. The goal is 50,000 requests a second.
set -eu
build=$1 pairs=${2:-3} seconds=${3:-3} connections=${4:-64}
dir=$(mktemp -d)
nginx_pid= fake_pid=
cleanup() {
    [ -z "$nginx_pid" ] || kill "$nginx_pid" 2>/dev/null || true
    [ -z "$fake_pid" ] || kill "$fake_pid" 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT INT TERM

cat >"$dir/chat.lua" <<'LUA'
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer sk-test"
wrk.body = '{"model":"gpt-x","messages":[{"role":"system","content":"You are a helpful assistant."},'
  .. '{"role":"user","content":"Why is the tail so much slower than the median?"}],'
  .. '"temperature":0.2,"max_tokens":256}'
LUA
taskset -c 0 "$build/perfwright" fake-llm --port 0 --port-file "$dir/port" >"$dir/fake.log" 2>&1 &
fake_pid=$!
while [ ! -s "$dir/port" ]; do sleep 0.05; done
fake_port=$(cat "$dir/port")
curl -s "http://127.0.0.1:$fake_port/v1/chat/completions" -o "$dir/body" -d \
    '{"model":"gpt-x","messages":[{"role":"user","content":"x"}]}'

nginx_port=18082
cat >"$dir/nginx.conf" <<CONF
daemon off; pid $dir/nginx.pid; error_log $dir/error.log; worker_processes 1;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path $dir/a; proxy_temp_path $dir/b; fastcgi_temp_path $dir/c;
  uwsgi_temp_path $dir/d; scgi_temp_path $dir/e;
  server { listen 127.0.0.1:$nginx_port; location / { return 200 '$(cat "$dir/body")'; } }
}
CONF
taskset -c 0 nginx -e "$dir/error.log" -c "$dir/nginx.conf" &
nginx_pid=$!
python3 - "$dir" "$fake_pid" "$fake_port" "$nginx_pid" "$nginx_port" "$pairs" "$seconds" "$connections" <<'PY'
import os, re, statistics, subprocess, sys, time, urllib.request
directory, fake_pid, fake_port, nginx_pid, nginx_port = sys.argv[1:6]
pairs, seconds, connections = map(int, sys.argv[6:])
for port in fake_port, nginx_port:
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health").read()
            break
        except OSError:
            time.sleep(0.05)
worker = subprocess.run(["pgrep", "-P", nginx_pid], capture_output=True, text=True).stdout.split()[0]

def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

def run(pid, port):
    before = cpu_s(pid)
    out = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
                          "-s", directory + "/chat.lua", f"http://127.0.0.1:{port}/v1/chat/completions"],
                         capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(out)
    n = int(re.search(r"(\d+) requests in", out).group(1))
    return n / seconds, (cpu_s(pid) - before) / n * 1e6

rates, cores, costs = [], [], []
for pair in range(pairs):
    order = [(fake_pid, fake_port), (worker, nginx_port)]
    results = [run(*who) for who in (order if pair % 2 == 0 else order[::-1])]
    ours, theirs = results if pair % 2 == 0 else results[::-1]
    rates.append(ours[0])
    cores.append(1e6 / ours[1])
    costs.append(ours[1] / theirs[1])
    print("fake-llm %7.0f/s %.2f us CPU   nginx %7.0f/s %.2f us CPU   CPU ratio %.2f" % (
        *ours, *theirs, costs[-1]))
print("median %.0f requests/s (goal 50000); its CPU time allows %.0f/s on a core of its own" % (
    statistics.median(rates), statistics.median(cores)))
print("CPU a request %.2f times nginx's (%.2f to %.2f)" % (
    statistics.median(costs), min(costs), max(costs)))
PY
