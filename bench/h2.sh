#!/bin/sh
# CPU per request of our HTTP/2 client (h2c) against h2load's, on loopback, in interleaved pairs.
#
#     bench/h2.sh BUILD_DIR [PAIRS] [SECONDS] [CONNECTIONS]
#
# nginx (one worker, pinned to CPU 0) serves a file of 600 bytes; the clients run pinned to CPU 1,
# one after the other, in alternating order. Needs nginx, h2load and GNU time's successor: python3 reads
# the children's resource usage.
set -eu
build=$1 pairs=${2:-5} seconds=${3:-3} connections=${4:-64}
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
dir=$(mktemp -d)
nginx_pid=
cleanup() {
    [ -z "$nginx_pid" ] || kill "$nginx_pid" 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT INT TERM
mkdir "$dir/www"
head -c 600 /dev/zero | tr '\0' x >"$dir/www/index.txt"
chmod -R a+rX "$dir"
cat >"$dir/nginx.conf" <<CONF
daemon off; pid $dir/nginx.pid; error_log $dir/error.log; worker_processes 1;
worker_cpu_affinity 01;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; tcp_nodelay on; default_type text/plain;
  client_body_temp_path $dir/a; proxy_temp_path $dir/b; fastcgi_temp_path $dir/c;
  uwsgi_temp_path $dir/d; scgi_temp_path $dir/e;
  open_file_cache max=16; 
  server { listen 127.0.0.1:$port http2; root $dir/www; }
}
CONF
nginx -e "$dir/error.log" -c "$dir/nginx.conf" &
nginx_pid=$!
url=http://127.0.0.1:$port/index.txt
python3 - "$build/bench/http1" "$url" "$pairs" "$seconds" "$connections" <<'PY'
import json, os, re, socket, statistics, subprocess, sys, time
program, url, pairs, seconds, connections = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
host, port = re.search(r"//([^:]+):(\d+)", url).groups()
for _ in range(100):
    try:
        socket.create_connection((host, int(port))).close()
        break
    except OSError:
        time.sleep(0.05)

def cpu(argv):
    p = subprocess.Popen(["taskset", "-c", "1"] + argv, stdout=subprocess.PIPE, text=True)
    out = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    if status:
        sys.exit(f"{argv[0]} failed")
    return out, usage.ru_utime, usage.ru_stime

def h2load():
    out, user, sys_ = cpu(["h2load", "-t1", "-m1", f"-c{connections}", f"-D{seconds}", url])
    n, failed = map(int, re.search(r"(\d+) succeeded, (\d+) failed", out).groups())
    if failed:
        sys.exit(f"h2load failures: {out}")
    return n, user / n * 1e6, sys_ / n * 1e6

def ours():
    out, user, sys_ = cpu([program, url, str(connections), str(seconds), "h2c"])
    r = json.loads(out)
    if r["failures"]:
        sys.exit(f"failures: {out}")
    n = r["requests"]
    return n, user / n * 1e6, sys_ / n * 1e6

ratios, users, user_ratios = [], [], []
for pair in range(pairs):
    a, b = (h2load(), ours()) if pair % 2 == 0 else (lambda o: (h2load(), o))(ours())
    ratios.append((b[1] + b[2]) / (a[1] + a[2]))
    users.append(b[1])
    print("h2load %7.0f/s %.2f us (user %.2f)   ours %7.0f/s %.2f us (user %.2f)   ratio %.3f" % (
        a[0] / seconds, a[1] + a[2], a[1], b[0] / seconds, b[1] + b[2], b[1], ratios[-1]))
print("median ratio %.3f (%.3f to %.3f), median user CPU %.2f us a request" % (
    statistics.median(ratios), min(ratios), max(ratios), statistics.median(users)))
PY
