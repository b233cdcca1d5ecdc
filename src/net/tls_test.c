#include "net/tls.h"

#include <unistd.h>

#include "net/net_test.h"
#include "net/tls_cert.h"

// The client against our server, both in one loop. What each side must refuse comes from RFC 8446,
// RFC 6125 (names) and k6's error table.

typedef struct Pem {
    Buf cert;
    Buf key;
} Pem;

static Pem make(const char *host, const Pem *issuer, int64_t valid_for_s)
{
    Pem pem = {buf_create(TLS_CERT_BYTES_MAX), buf_create(TLS_CERT_BYTES_MAX)};
    TlsCertSpec spec = {.host = host, .valid_for_s = valid_for_s};
    if (issuer) {
        spec.issuer_cert = buf_slice(&issuer->cert);
        spec.issuer_key = buf_slice(&issuer->key);
    }
    assert_int_equal(tls_cert_make(&spec, &pem.cert, &pem.key, NULL), 0);
    return pem;
}

static void pem_done(Pem *pem)
{
    buf_done(&pem->cert);
    buf_done(&pem->key);
}

typedef struct Case {
    const char *name;
    const char *cert_host;
    const char *url_host;
    int64_t valid_for_s;
    bool other_ca;   // the client trusts another authority
    bool skip;       // insecure_skip_verify
    bool ask_client; // the server wants a certificate
    bool client_cert;
    TlsVersion client_max;
    TlsVersion server_min;
    int rc;
    int error_code;
    const char *tls_version;
} Case;

static const Case cases[] = {
    {"good", "localhost", "localhost", .tls_version = "tls1.3"},
    {"numeric address", "127.0.0.1", "127.0.0.1", .tls_version = "tls1.3"},
    {"1.2", "localhost", "localhost", .client_max = TLS_VERSION_1_2, .tls_version = "tls1.2"},
    {"wrong host", "example.test", "localhost", .rc = ERR_TLS, .error_code = NET_TLS_HOSTNAME},
    {"wrong address", "127.0.0.2", "127.0.0.1", .rc = ERR_TLS, .error_code = NET_TLS_HOSTNAME},
    {"unknown authority", "localhost", "localhost", .other_ca = true, .rc = ERR_TLS,
     .error_code = NET_TLS_AUTHORITY},
    {"skip: authority", "localhost", "localhost", .other_ca = true, .skip = true,
     .tls_version = "tls1.3"},
    {"skip: host", "example.test", "localhost", .skip = true, .tls_version = "tls1.3"},
    {"expired", "localhost", "localhost", .valid_for_s = -60, .rc = ERR_TLS, .error_code = NET_TLS},
    {"versions", "localhost", "localhost", .client_max = TLS_VERSION_1_2,
     .server_min = TLS_VERSION_1_3, .rc = ERR_TLS, .error_code = NET_TLS},
    {"client certificate", "localhost", "localhost", .ask_client = true, .client_cert = true,
     .tls_version = "tls1.3"},
    {"no client certificate", "localhost", "localhost", .ask_client = true, .rc = ERR_TLS,
     .error_code = NET_TLS},
    {"no client certificate, 1.2", "localhost", "localhost", .ask_client = true,
     .client_max = TLS_VERSION_1_2, .rc = ERR_TLS, .error_code = NET_TLS},
};

typedef struct World {
    Loop *loop;
    FiberPool *pool;
    HttpClient *client;
    HttpOrigin origin;
    HttpResponse response;
    int rc;
    Err e;
} World;

static void hello(void *ctx, const HttpServerRequest *request, HttpReply *reply)
{
    (void)ctx;
    assert_true(request->tls);
    Buf big = buf_create(1 << 20);
    while (big.len < 100000) {
        buf_append(&big, SLICE("hello, this goes through several records. "));
    }
    http_reply_send(reply, 200, SLICE("text/plain"), buf_slice(&big), NULL);
    buf_done(&big);
}

static void ask(void *arg)
{
    World *w = arg;
    Buf body = buf_create(1 << 20);
    while (body.len < 50000) {
        buf_puts(&body, "0123456789");
    }
    for (int i = 0; i < 3 && w->rc == 0; i++) {
        HttpRequest request = {
            .origin = &w->origin,
            .method = SLICE("POST"),
            .target = SLICE("/"),
            .body = i == 1 ? buf_slice(&body) : SLICE("short"),
            .body_mode = HTTP_BODY_KEEP,
            .timeout_ns = 20 * NS_PER_S,
        };
        w->rc = http_client_do(w->client, &request, &w->response, &w->e);
        if (w->rc == 0) {
            assert_int_equal(w->response.status, 200);
            assert_true(w->response.body.len >= 100000);
            assert_int_equal(w->response.reused, i > 0);
        }
    }
    buf_done(&body);
}

static void make_origin(HttpOrigin *origin, const char *host, NetAddr addr)
{
    Buf text = buf_create(300);
    buf_printf(&text, "https://%s:%u/", host, net_addr_port(&addr));
    Url url;
    assert_int_equal(url_parse(buf_slice(&text), &url, NULL), 0);
    assert_int_equal(http_origin_init(origin, &url, NULL), 0);
    buf_done(&text);
}

static void run_fiber(World *w, FiberFn *fn, void *arg)
{
    FiberGroup group = {0};
    assert_non_null(fiber_group_spawn(&group, w->pool, "client", fn, arg));
    while (group.alive > 0) {
        (void)loop_tick(w->loop, NEVER_NS);
    }
}

static void run_case(const Case *c, const Pem *ca, const Pem *other_ca)
{
    World w = {0};
    Pem cert = make(c->cert_host, ca, c->valid_for_s);
    TlsServerOptions server_options = {.cert.text = buf_slice(&cert.cert),
                                       .key.text = buf_slice(&cert.key),
                                       .no_h2 = true,
                                       .version_min = c->server_min};
    server_options.client_ca.text = c->ask_client ? buf_slice(&ca->cert) : (Slice){NULL, 0};
    TlsServer *tls_server;
    assert_int_equal(tls_server_create(&server_options, &tls_server, NULL), 0);
    TlsClientOptions client_options = {.ca.text = buf_slice(&(c->other_ca ? other_ca : ca)->cert),
                                       .insecure_skip_verify = c->skip,
                                       .version_max = c->client_max};
    if (c->client_cert) {
        client_options.cert.text = buf_slice(&cert.cert);
        client_options.key.text = buf_slice(&cert.key);
    }
    TlsClient *tls_client;
    assert_int_equal(tls_client_create(&client_options, &tls_client, NULL), 0);
    TlsConnector connector = tls_client_connector(tls_client);
    TlsAcceptor acceptor = tls_server_acceptor(tls_server);
    assert_int_equal(loop_create(&(LoopOptions){0}, &w.loop, NULL), 0);
    w.pool = fiber_pool_create(w.loop, &(FiberOptions){.stack_bytes = 512 << 10});
    HttpServerOptions options = {
        .loop = w.loop, .pool = w.pool, .tls = &acceptor, .handler = hello};
    HttpServer *server;
    assert_int_equal(http_server_open(&options, &server, NULL), 0);
    HttpContext *ctx =
        http_context_create(&(HttpContextOptions){.loop = w.loop, .tls = &connector});
    w.client = http_client_create(ctx);
    w.response = http_response_create(NULL);
    make_origin(&w.origin, c->url_host, http_server_addr(server));
    run_fiber(&w, ask, &w);
    if (w.rc != c->rc || w.response.error_code != c->error_code) {
        fail_msg("%s: %s, code %d: %s", c->name, err_name(w.rc), w.response.error_code, w.e.text);
    }
    if (c->tls_version) {
        assert_string_equal(w.response.tls_version, c->tls_version);
        assert_int_not_equal(w.response.tls_cipher[0], '\0');
    }
    http_response_done(&w.response);
    http_client_destroy(w.client);
    http_context_destroy(ctx);
    http_origin_done(&w.origin);
    assert_int_equal(http_server_drain(server, NEVER_NS), 0);
    http_server_destroy(server);
    fiber_pool_destroy(w.pool);
    loop_destroy(w.loop);
    tls_client_destroy(tls_client);
    tls_server_destroy(tls_server);
    pem_done(&cert);
}

static void test_handshakes(void **state)
{
    (void)state;
    Pem ca = make(NULL, NULL, 0);
    Pem other_ca = make(NULL, NULL, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        run_case(&cases[i], &ca, &other_ca);
    }
    pem_done(&ca);
    pem_done(&other_ca);
}

// ---- peers that are no TLS servers

static void say_http(NetWorld *w, TcpStream *peer)
{
    (void)w;
    assert_int_equal(
        stream_write_all(&peer->stream, SLICE("HTTP/1.1 400 Bad Request\r\n\r\n"), NULL), 0);
    char text[1024];
    size_t n = 1;
    while (n > 0 && stream_read(&peer->stream, text, sizeof text, &n, NULL) == 0) {
    }
    stream_close(&peer->stream);
}

static void close_at_once(NetWorld *w, TcpStream *peer)
{
    (void)w;
    char text[4096];
    size_t n;
    assert_int_equal(stream_read(&peer->stream, text, sizeof text, &n, NULL), 0);
    stream_close(&peer->stream);
}

static void say_nothing(NetWorld *w, TcpStream *peer)
{
    (void)w;
    char text[4096];
    size_t n = 1;
    while (n > 0 && stream_read(&peer->stream, text, sizeof text, &n, NULL) == 0) {
    }
    stream_close(&peer->stream);
}

static void reset(NetWorld *w, TcpStream *peer)
{
    struct linger now = {1, 0};
    assert_int_equal(setsockopt(peer->io.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close_at_once(w, peer);
}

static const struct {
    const char *name;
    void (*serve)(NetWorld *w, TcpStream *peer);
    int rc;
    int error_code;
    int64_t timeout_ms;
} peers[] = {
    {"plain text", say_http, ERR_TLS, NET_TLS_HEADER, 20000},
    {"closes", close_at_once, ERR_TLS, NET_TLS, 20000},
    {"resets", reset, ERR_CLOSED, NET_RESET, 20000},
    {"says nothing", say_nothing, ERR_TIMEOUT, NET_TIMEOUT, 30},
};

typedef struct Dial {
    HttpClient *client;
    HttpRequest request;
    HttpResponse *response;
    int rc;
} Dial;

static void dial(void *arg)
{
    Dial *d = arg;
    Err e;
    d->rc = http_client_do(d->client, &d->request, d->response, &e);
}

static void test_no_tls_peers(void **state)
{
    (void)state;
    NetWorld w;
    net_world_open(&w);
    TlsClient *tls;
    assert_int_equal(tls_client_create(&(TlsClientOptions){0}, &tls, NULL), 0);
    TlsConnector connector = tls_client_connector(tls);
    HttpContext *ctx =
        http_context_create(&(HttpContextOptions){.loop = w.loop, .tls = &connector});
    HttpOrigin origin;
    make_origin(&origin, "localhost", w.addr);
    HttpResponse response = http_response_create(NULL);
    for (size_t i = 0; i < COUNT_OF(peers); i++) {
        w.serve = peers[i].serve;
        Dial d = {.client = http_client_create(ctx), .response = &response};
        d.request = (HttpRequest){.origin = &origin,
                                  .method = SLICE("GET"),
                                  .target = SLICE("/"),
                                  .timeout_ns = peers[i].timeout_ms * NS_PER_MS};
        net_world_run(&w, dial, &d);
        if (d.rc != peers[i].rc || response.error_code != peers[i].error_code) {
            fail_msg("%s: %s, code %d", peers[i].name, err_name(d.rc), response.error_code);
        }
        http_client_destroy(d.client);
    }
    http_response_done(&response);
    http_origin_done(&origin);
    http_context_destroy(ctx);
    net_world_close(&w);
    tls_client_destroy(tls);
}

static void test_bad_options(void **state)
{
    (void)state;
    Pem a = make("localhost", NULL, 0);
    Pem b = make("localhost", NULL, 0);
    const TlsClientOptions bad[] = {
        {.ca.text = SLICE_INIT("no PEM")},
        {.cert.text = buf_slice(&a.cert)},
        {.key.text = buf_slice(&a.key)},
        {.cert.text = buf_slice(&a.cert), .key.text = buf_slice(&b.key)},
        {.version_min = TLS_VERSION_1_3, .version_max = TLS_VERSION_1_2},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        TlsClient *client;
        Err e;
        assert_int_equal(tls_client_create(&bad[i], &client, &e), ERR_ARG);
        assert_true(e.text[0] != '\0');
    }
    TlsClient *client;
    TlsClientOptions missing = {.ca.file = "/nonexistent/ca.pem"};
    assert_int_equal(tls_client_create(&missing, &client, NULL), ERR_NOT_FOUND);
    TlsServer *server;
    assert_int_equal(tls_server_create(&(TlsServerOptions){0}, &server, NULL), ERR_ARG);
    pem_done(&a);
    pem_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshakes),
        cmocka_unit_test(test_no_tls_peers),
        cmocka_unit_test(test_bad_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
