// HTTP/2 sessions fed with bytes, both sides, over loopback: byte 0 chooses the side. Nothing
// may crash, leak or hang; a client's failure has a code and words.
#include <sys/socket.h>
#include <unistd.h>

#include "net/http.h"
#include "net/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16 << 10 };

typedef struct World {
    Loop *loop;
    FiberPool *pool;
    Slice input;
    NetAddr addr;
    int kept; // the server's end of the connection
} World;

static void answer(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    (void)ctx;
    http_reply_send(reply, 200, SLICE("text/plain"), request->body, NULL);
}

static void speak(void *arg)
{
    World *w = arg;
    TcpStream *tcp;
    TcpConnectOptions options = {.loop = w->loop, .addr = w->addr, .deadline_ns = NEVER_NS};
    if (tcp_connect(&options, &tcp, NULL) != 0) {
        return;
    }
    char text[4096];
    size_t n = 1;
    if (stream_write_all(&tcp->stream, w->input, NULL) == 0) {
        (void)shutdown(tcp->io.fd, SHUT_WR);
        while (n > 0 && stream_read(&tcp->stream, text, sizeof text, &n, NULL) == 0) {
        }
    }
    stream_close(&tcp->stream);
}

static void run(World *w, FiberFn *fn)
{
    FiberGroup group = {0};
    if (!fiber_group_spawn(&group, w->pool, "fuzz", fn, w)) {
        die("fuzz http2: no fiber");
    }
    while (group.alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
}

static void fuzz_server(World *w)
{
    HttpServer *server;
    HttpServerOptions options = {.loop = w->loop, .pool = w->pool, .handler = answer};
    Err e;
    if (http_server_open(&options, &server, &e) != 0) {
        die("fuzz http2: %s", e.text);
    }
    w->addr = http_server_addr(server);
    run(w, speak);
    (void)http_server_drain(server, NEVER_NS);
    http_server_destroy(server);
}

static void on_accept(void *ctx, int fd, const NetAddr *peer)
{
    World *w = ctx;
    (void)peer;
    // All of it fits the socket's buffer; closing the writing side says that nothing follows.
    ssize_t n = write(fd, w->input.ptr, w->input.len);
    (void)n;
    (void)shutdown(fd, SHUT_WR);
    w->kept = dup(fd); // kept open, so that unread bytes do not reset the connection
    (void)close(fd);
}

static void ask(void *arg)
{
    World *w = arg;
    HttpContext *ctx = http_context_create(&(HttpContextOptions){.loop = w->loop});
    HttpClient *client = http_client_create(ctx);
    HttpOrigin origin;
    char text[60];
    int len = snprintf(text, sizeof text, "http://127.0.0.1:%u/", net_addr_port(&w->addr));
    Url url;
    Err e = {0};
    if (url_parse((Slice){text, (size_t)len}, &url, &e) != 0 ||
        http_origin_init(&origin, &url, &e) != 0) {
        die("fuzz http2: %s", e.text);
    }
    origin.h2c = true;
    HttpResponse response = http_response_create(NULL);
    HttpRequest request = {.origin = &origin,
                           .method = SLICE("POST"),
                           .target = SLICE("/"),
                           .body = SLICE("body"),
                           .body_mode = HTTP_BODY_KEEP,
                           .timeout_ns = 20 * NS_PER_S};
    int rc = http_client_do(client, &request, &response, &e);
    if (rc != 0 && (response.error_code == 0 || e.text[0] == '\0')) {
        die("fuzz http2: a failure without code or words");
    }
    http_response_done(&response);
    http_origin_done(&origin);
    http_client_destroy(client);
    http_context_destroy(ctx);
}

static void fuzz_client(World *w)
{
    Listener *listener;
    ListenOptions options = {
        .loop = w->loop, .addr = net_addr_loopback(0), .fn = on_accept, .ctx = w};
    Err e;
    if (listener_open(&options, &listener, &e) != 0) {
        die("fuzz http2: %s", e.text);
    }
    w->addr = listener_addr(listener);
    w->kept = -1;
    run(w, ask);
    listener_close(listener);
    if (w->kept >= 0) {
        (void)close(w->kept);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > INPUT_MAX) {
        return 0;
    }
    World w = {.input = {(const char *)data + 1, size - 1}};
    Err e;
    if (loop_create(&(LoopOptions){0}, &w.loop, &e) != 0) {
        die("fuzz http2: %s", e.text);
    }
    w.pool = fiber_pool_create(w.loop, &(FiberOptions){.stack_bytes = 256 << 10});
    if (data[0] % 2 == 0) {
        fuzz_server(&w);
    } else {
        fuzz_client(&w);
    }
    fiber_pool_destroy(w.pool);
    loop_destroy(w.loop);
    return 0;
}
