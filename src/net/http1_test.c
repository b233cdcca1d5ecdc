#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "net/http1.h"

static int collect(void *ctx, Slice piece)
{
    Buf *buf = ctx;
    buf_append(buf, piece);
    return buf->overflowed ? ERR_LIMIT : 0;
}

// Parses `text` in pieces of `step` bytes; an end of stream follows when `eof`.
static int parse_all(Http1Parser *p, Slice text, size_t step, bool eof, size_t *ret_used, Err *e)
{
    size_t at = 0;
    while (at < text.len && !http1_done(p)) {
        size_t used = 0;
        int rc = http1_parse(p, slice_sub(text, at, step), &used, e);
        if (rc != 0) {
            return rc;
        }
        at += used;
    }
    *ret_used = at;
    return eof && !http1_done(p) ? http1_eof(p, e) : 0;
}

typedef struct Case {
    const char *name;
    Http1Kind kind;
    const char *text;
    const char *rest; // behind the message
    bool head_only;
    bool eof;
    int rc;
    int answer; // requests that fail: what the server says
    int status;
    const char *body;
    bool keep_alive;
} Case;

#define OK "HTTP/1.1 200 OK\r\n"

static const Case cases[] = {
    // The examples of RFC 9112: message body length (section 6.3) and connections (section 9.3).
    {"length", HTTP1_RESPONSE, OK "Content-Length: 5\r\n\r\nhello", "", .status = 200,
     .body = "hello", .keep_alive = true},
    {"zero length", HTTP1_RESPONSE, OK "Content-Length: 0\r\n\r\n", "", .status = 200, .body = "",
     .keep_alive = true},
    {"leftover", HTTP1_RESPONSE, OK "Content-Length: 2\r\n\r\nhi", "HTTP/1.1 500 No\r\n",
     .status = 200, .body = "hi", .keep_alive = true},
    {"chunked", HTTP1_RESPONSE,
     OK "Transfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n5;x=y\r\npedia\r\n0\r\n\r\n", "next",
     .status = 200, .body = "Wikipedia", .keep_alive = true},
    {"trailers", HTTP1_RESPONSE,
     OK "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n", "", .status = 200,
     .body = "a", .keep_alive = true},
    {"until close", HTTP1_RESPONSE, OK "\r\nall of it", "", .eof = true, .status = 200,
     .body = "all of it"},
    {"1.0 closes", HTTP1_RESPONSE, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "",
     .status = 200, .body = "x"},
    {"1.0 keep-alive", HTTP1_RESPONSE,
     "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", "", .status = 200,
     .body = "x", .keep_alive = true},
    {"connection close", HTTP1_RESPONSE, OK "Connection: close\r\nContent-Length: 1\r\n\r\nx", "",
     .status = 200, .body = "x"},
    {"answer to HEAD", HTTP1_RESPONSE, OK "Content-Length: 500\r\n\r\n", "", .head_only = true,
     .status = 200, .body = "", .keep_alive = true},
    {"204", HTTP1_RESPONSE, "HTTP/1.1 204 No Content\r\n\r\n", "", .status = 204, .body = "",
     .keep_alive = true},
    {"304", HTTP1_RESPONSE, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "HTTP",
     .status = 304, .body = "", .keep_alive = true},
    {"interim", HTTP1_RESPONSE,
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK
     "Content-Length: 2\r\n\r\nok",
     "", .status = 200, .body = "ok", .keep_alive = true},
    {"no reason", HTTP1_RESPONSE, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "", .status = 200,
     .body = "", .keep_alive = true},
    {"empty value and spaces", HTTP1_RESPONSE,
     OK "X-Empty:\r\nX-Pad:  a b \t\r\nContent-Length: 0\r\n\r\n", "", .status = 200, .body = "",
     .keep_alive = true},
    {"same length twice", HTTP1_RESPONSE, OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", "",
     .rc = ERR_PROTOCOL},
    // Hostile or broken.
    {"nothing", HTTP1_RESPONSE, "", "", .eof = true, .rc = ERR_CLOSED},
    {"cut head", HTTP1_RESPONSE, "HTTP/1.1 200 OK\r\nCont", "", .eof = true, .rc = ERR_PROTOCOL},
    {"cut body", HTTP1_RESPONSE, OK "Content-Length: 9\r\n\r\nshort", "", .eof = true,
     .rc = ERR_PROTOCOL},
    {"cut chunk", HTTP1_RESPONSE, OK "Transfer-Encoding: chunked\r\n\r\n9\r\nshort", "",
     .eof = true, .rc = ERR_PROTOCOL},
    {"garbage", HTTP1_RESPONSE, "SSH-2.0-OpenSSH_9.2\r\n", "", .rc = ERR_PROTOCOL},
    {"status of letters", HTTP1_RESPONSE, "HTTP/1.1 abc OK\r\n\r\n", "", .rc = ERR_PROTOCOL},
    {"both lengths", HTTP1_RESPONSE,
     OK "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", .rc = ERR_PROTOCOL},
    {"negative length", HTTP1_RESPONSE, OK "Content-Length: -1\r\n\r\n", "", .rc = ERR_PROTOCOL},
    {"huge length", HTTP1_RESPONSE, OK "Content-Length: 99999999999999999999\r\n\r\n", "",
     .rc = ERR_PROTOCOL},
    {"framing trailer", HTTP1_RESPONSE,
     OK "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\n\r\n", "", .rc = ERR_PROTOCOL},
    {"bad chunk size", HTTP1_RESPONSE, OK "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "",
     .rc = ERR_PROTOCOL},
    {"huge chunk size", HTTP1_RESPONSE,
     OK "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "", .rc = ERR_PROTOCOL},
    {"space before colon", HTTP1_RESPONSE, OK "Content-Length : 0\r\n\r\n", "", .rc = ERR_PROTOCOL},
    {"folded line", HTTP1_RESPONSE, OK "X-A: 1\r\n X-B: 2\r\nContent-Length: 0\r\n\r\n", "",
     .rc = ERR_PROTOCOL},
    {"NUL in value", HTTP1_RESPONSE, OK "X-A: a\x01z\r\n\r\n", "", .rc = ERR_PROTOCOL},
    {"bare LF", HTTP1_RESPONSE, "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "", .rc = ERR_PROTOCOL},
    // Requests, with the answer a server gives.
    {"get", HTTP1_REQUEST, "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", "GET /next", .body = "",
     .keep_alive = true},
    {"post", HTTP1_REQUEST, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "",
     .body = "abc", .keep_alive = true},
    {"chunked post", HTTP1_REQUEST,
     "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "",
     .body = "abc", .keep_alive = true},
    {"unknown method", HTTP1_REQUEST, "BREW / HTTP/1.1\r\nHost: x\r\n\r\n", "", .rc = ERR_PROTOCOL,
     .answer = 501},
    {"no version", HTTP1_REQUEST, "GET /\r\n\r\n", "", .rc = ERR_PROTOCOL, .answer = 505},
    {"version 3.0", HTTP1_REQUEST, "GET / HTTP/3.0\r\nHost: x\r\n\r\n", "", .rc = ERR_PROTOCOL,
     .answer = 505},
    {"smuggling", HTTP1_REQUEST,
     "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "",
     .rc = ERR_PROTOCOL, .answer = 400},
    {"chunked not last", HTTP1_REQUEST,
     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "", .rc = ERR_PROTOCOL,
     .answer = 400},
    {"space in target", HTTP1_REQUEST, "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", "",
     .rc = ERR_PROTOCOL, .answer = 400},
};

static void run_case(const Case *c, size_t step)
{
    Buf text = buf_create(4096);
    buf_puts(&text, c->text);
    buf_puts(&text, c->rest);
    Buf body = buf_create(4096);
    HttpHead head = http_head_create(NULL);
    Http1Parser p;
    http1_parser_init(&p, c->kind, &head);
    p.body_fn = collect;
    p.body_ctx = &body;
    p.head_only = c->head_only;
    size_t used = 0;
    Err e = {0};
    int rc = parse_all(&p, buf_slice(&text), step, c->eof, &used, &e);
    if (rc != c->rc) {
        fail_msg("%s (step %zu): %s %s instead of %s", c->name, step, err_name(rc), e.text,
                 err_name(c->rc));
    }
    if (rc == 0) {
        assert_true(http1_done(&p));
        assert_int_equal(used, strlen(c->text));
        assert_int_equal(head.status, c->status);
        if (head.keep_alive != c->keep_alive || !slice_eq_cstr(buf_slice(&body), c->body)) {
            fail_msg("%s: keep-alive %d, body '%.*s'", c->name, head.keep_alive, (int)body.len,
                     body.data);
        }
    } else if (c->kind == HTTP1_REQUEST && p.answer_status != c->answer) {
        fail_msg("%s: answer %d", c->name, p.answer_status);
    }
    http_head_done(&head);
    buf_done(&body);
    buf_done(&text);
}

static void test_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        run_case(&cases[i], 4096);
        run_case(&cases[i], 1); // the same in single bytes
        run_case(&cases[i], 7);
    }
}

static void test_head_fields(void **state)
{
    (void)state;
    HttpHead head = http_head_create(NULL);
    for (size_t step = 1; step < 200; step += 3) {
        Http1Parser p;
        http1_parser_init(&p, HTTP1_RESPONSE, &head);
        size_t used;
        assert_int_equal(
            parse_all(&p,
                      SLICE(OK
                            "X-Empty:\r\nX-Pad:  a b \t\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n"
                            "Connection: Foo, Keep-Alive\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "1\r\na\r\n0\r\nX-Sum: 42\r\n\r\n"),
                      step, false, &used, NULL),
            0);
        assert_int_equal(head.field_count, 7);
        assert_int_equal(head.trailer_first, 6);
        assert_true(slice_eq_cstr(http_head_line(&head), "OK"));
        assert_true(slice_eq_cstr(http_head_get(&head, SLICE("x-empty")), ""));
        assert_non_null(http_head_get(&head, SLICE("x-empty")).ptr);
        assert_true(slice_eq_cstr(http_head_get(&head, SLICE("X-PAD")), "a b"));
        assert_true(slice_eq_cstr(http_head_get(&head, SLICE("X-Sum")), "42"));
        assert_null(http_head_get(&head, SLICE("X-None")).ptr);
        assert_true(http_head_has_token(&head, SLICE("connection"), SLICE("keep-alive")));
        assert_false(http_head_has_token(&head, SLICE("connection"), SLICE("keep")));
        uint32_t at = 0;
        Slice value;
        assert_true(http_head_each(&head, SLICE("Set-Cookie"), &at, &value));
        assert_true(slice_eq_cstr(value, "a=1"));
        assert_true(http_head_each(&head, SLICE("Set-Cookie"), &at, &value));
        assert_true(slice_eq_cstr(value, "b=2"));
        assert_false(http_head_each(&head, SLICE("Set-Cookie"), &at, &value));
    }
    http_head_done(&head);
}

static void test_request_head(void **state)
{
    (void)state;
    HttpHead head = http_head_create(NULL);
    Http1Parser p;
    http1_parser_init(&p, HTTP1_REQUEST, &head);
    size_t used;
    assert_int_equal(http1_parse(&p,
                                 SLICE("PUT /a?b HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\n"
                                       "Content-Length: 12\r\n\r\n"),
                                 &used, NULL),
                     0);
    assert_int_equal(p.stage, HTTP1_BODY);
    assert_string_equal(head.method, "PUT");
    assert_true(slice_eq_cstr(http_head_line(&head), "/a?b"));
    assert_true(head.expect_continue);
    assert_int_equal(head.content_length, 12);
    assert_int_equal(head.version_minor, 1);
    http_head_done(&head);
}

// Each limit at its edge: `fits` passes, one more does not.
static int parse_with_limits(const HttpLimits *limits, size_t line, size_t fields, size_t value,
                             int *ret_answer)
{
    Buf text = buf_create(1 << 20);
    buf_puts(&text, "GET /");
    for (size_t i = 1; i < line; i++) {
        buf_putc(&text, 'x');
    }
    buf_puts(&text, " HTTP/1.1\r\n");
    for (size_t i = 0; i < fields; i++) {
        buf_puts(&text, "n: ");
        for (size_t k = 0; k < value; k++) {
            buf_putc(&text, 'v');
        }
        buf_puts(&text, "\r\n");
    }
    buf_puts(&text, "\r\n");
    int results[2];
    for (int way = 0; way < 2; way++) {
        HttpHead head = http_head_create(limits);
        Http1Parser p;
        http1_parser_init(&p, HTTP1_REQUEST, &head);
        size_t used;
        results[way] = parse_all(&p, buf_slice(&text), way ? 1 : text.len, false, &used, NULL);
        *ret_answer = p.answer_status;
        http_head_done(&head);
    }
    assert_int_equal(results[0], results[1]);
    buf_done(&text);
    return results[0];
}

static void test_limits_at_their_edges(void **state)
{
    (void)state;
    HttpLimits limits = {.head_bytes_max = 200, .fields_max = 5, .line_bytes_max = 50};
    int answer;
    assert_int_equal(parse_with_limits(&limits, 50, 1, 1, &answer), 0);
    assert_int_equal(parse_with_limits(&limits, 51, 1, 1, &answer), ERR_LIMIT);
    assert_int_equal(answer, 414);
    assert_int_equal(parse_with_limits(&limits, 1, 5, 1, &answer), 0);
    assert_int_equal(parse_with_limits(&limits, 1, 6, 1, &answer), ERR_LIMIT);
    assert_int_equal(answer, 431);
    assert_int_equal(parse_with_limits(&limits, 1, 1, 198, &answer), 0); // target + name + value
    assert_int_equal(parse_with_limits(&limits, 1, 1, 199, &answer), ERR_LIMIT);
    assert_int_equal(answer, 431);
}

static void test_interim_responses_are_bounded(void **state)
{
    (void)state;
    for (int count = HTTP1_INTERIM_MAX; count <= HTTP1_INTERIM_MAX + 1; count++) {
        Buf text = buf_create(1 << 16);
        for (int i = 0; i < count; i++) {
            buf_puts(&text, "HTTP/1.1 100 Continue\r\n\r\n");
        }
        buf_puts(&text, OK "Content-Length: 0\r\n\r\n");
        HttpHead head = http_head_create(NULL);
        Http1Parser p;
        http1_parser_init(&p, HTTP1_RESPONSE, &head);
        size_t used;
        int rc = parse_all(&p, buf_slice(&text), 4096, false, &used, NULL);
        assert_int_equal(rc, count > HTTP1_INTERIM_MAX ? ERR_PROTOCOL : 0);
        http_head_done(&head);
        buf_done(&text);
    }
}

static void test_body_sink_may_refuse(void **state)
{
    (void)state;
    HttpHead head = http_head_create(NULL);
    Buf body = buf_create(4);
    Http1Parser p;
    http1_parser_init(&p, HTTP1_REQUEST, &head);
    p.body_fn = collect;
    p.body_ctx = &body;
    size_t used;
    assert_int_equal(
        http1_parse(&p, SLICE("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345"), &used, NULL),
        ERR_LIMIT);
    assert_int_equal(p.answer_status, 413);
    buf_done(&body);
    http_head_done(&head);
}

static void test_write_request(void **state)
{
    (void)state;
    Buf out = buf_create(4096);
    HttpHeader headers[] = {{SLICE("Accept"), SLICE("*/*")}};
    assert_int_equal(http1_write_request(&out,
                                         &(Http1RequestHead){.method = SLICE("POST"),
                                                             .target = SLICE("/a"),
                                                             .host = SLICE("h:81"),
                                                             .headers = headers,
                                                             .header_count = 1,
                                                             .body_bytes = 3},
                                         NULL),
                     0);
    assert_string_equal(out.data, "POST /a HTTP/1.1\r\nAccept: */*\r\nHost: h:81\r\n"
                                  "Content-Length: 3\r\n\r\n");
    buf_reset(&out);
    HttpHeader own[] = {{SLICE("host"), SLICE("other")},
                        {SLICE("transfer-encoding"), SLICE("chunked")}};
    assert_int_equal(http1_write_request(&out,
                                         &(Http1RequestHead){.method = SLICE("GET"),
                                                             .target = SLICE("/"),
                                                             .headers = own,
                                                             .header_count = 2,
                                                             .body_bytes = 3},
                                         NULL),
                     0);
    assert_string_equal(out.data,
                        "GET / HTTP/1.1\r\nhost: other\r\ntransfer-encoding: chunked\r\n\r\n");
    buf_done(&out);
}

static void test_write_request_refuses_injection(void **state)
{
    (void)state;
    static const struct {
        Slice method, target, name, value;
    } bad[] = {
        {SLICE_INIT("GE T"), SLICE_INIT("/"), SLICE_INIT("a"), SLICE_INIT("b")},
        {SLICE_INIT(""), SLICE_INIT("/"), SLICE_INIT("a"), SLICE_INIT("b")},
        {SLICE_INIT("GET"), SLICE_INIT("/ HTTP/1.1\r\nX: y"), SLICE_INIT("a"), SLICE_INIT("b")},
        {SLICE_INIT("GET"), SLICE_INIT(""), SLICE_INIT("a"), SLICE_INIT("b")},
        {SLICE_INIT("GET"), SLICE_INIT("/"), SLICE_INIT("a:"), SLICE_INIT("b")},
        {SLICE_INIT("GET"), SLICE_INIT("/"), SLICE_INIT("a"), SLICE_INIT("b\r\nX: y")},
        {SLICE_INIT("GET"), SLICE_INIT("/"), SLICE_INIT("a\0"), SLICE_INIT("b")},
        {SLICE_INIT("GET"), SLICE_INIT("/"), SLICE_INIT("a"), SLICE_INIT("b\0c")},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        Buf out = buf_create(4096);
        HttpHeader header = {bad[i].name, bad[i].value};
        Http1RequestHead head = {.method = bad[i].method,
                                 .target = bad[i].target,
                                 .host = SLICE("h"),
                                 .headers = &header,
                                 .header_count = 1,
                                 .body_bytes = -1};
        Err e;
        assert_int_equal(http1_write_request(&out, &head, &e), ERR_ARG);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_head_fields),
        cmocka_unit_test(test_request_head),
        cmocka_unit_test(test_limits_at_their_edges),
        cmocka_unit_test(test_interim_responses_are_bounded),
        cmocka_unit_test(test_body_sink_may_refuse),
        cmocka_unit_test(test_write_request),
        cmocka_unit_test(test_write_request_refuses_injection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
