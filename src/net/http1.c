#include "net/http1.h"

#include <assert.h>

#include <llhttp.h>

#include "net/http1_response.h"

static_assert(sizeof(llhttp_t) <= HTTP1_LLHTTP_WORDS * sizeof(uint64_t), "llhttp_t grew");

static llhttp_t *llhttp_of(Http1Parser *p)
{
    return (llhttp_t *)(void *)p->llhttp;
}

static int refuse(Http1Parser *p, int rc, int answer_status, const char *trouble)
{
    p->rc = rc;
    p->answer_status = answer_status;
    p->trouble = trouble;
    return HPE_USER;
}

// ---- callbacks: they fill the head in place

static int append_text(Http1Parser *p, const char *at, size_t len)
{
    buf_append(&p->head->text, (Slice){at, len});
    if (p->head->text.overflowed) {
        return refuse(p, ERR_LIMIT, 431, "the head is too large");
    }
    return 0;
}

static int on_line(llhttp_t *parser, const char *at, size_t len)
{
    Http1Parser *p = parser->data;
    HttpHead *head = p->head;
    if (len > head->limits.line_bytes_max - head->line_len) {
        return refuse(p, ERR_LIMIT, 414, "the first line is too long");
    }
    if (head->line_len == 0) {
        head->line_at = (uint32_t)head->text.len;
    }
    head->line_len += (uint32_t)len;
    return append_text(p, at, len);
}

// Spaces behind a value are not part of it.
static void end_field(HttpHead *head)
{
    if (head->field_count > 0) {
        HttpField *f = &head->fields[head->field_count - 1];
        while (f->value_len > 0) {
            char c = head->text.data[f->value_at + f->value_len - 1];
            if (c != ' ' && c != '\t') {
                break;
            }
            f->value_len--;
        }
    }
}

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
    Http1Parser *p = parser->data;
    HttpHead *head = p->head;
    if (p->part == HTTP1_NAME) {
        head->fields[head->field_count - 1].name_len += (uint32_t)len;
        return append_text(p, at, len);
    }
    end_field(head);
    p->part = HTTP1_NAME;
    if (p->stage == HTTP1_BODY && head->trailer_first > head->field_count) {
        head->trailer_first = head->field_count;
    }
    if (http_head_add(head, (Slice){at, len}, (Slice){NULL, 0}) != 0) {
        return refuse(p, ERR_LIMIT, 431, "too many header fields, or the head is too large");
    }
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    Http1Parser *p = parser->data;
    HttpField *f = &p->head->fields[p->head->field_count - 1];
    if (p->part != HTTP1_VALUE) {
        p->part = HTTP1_VALUE;
        f->value_at = (uint32_t)p->head->text.len;
    }
    f->value_len += (uint32_t)len;
    return append_text(p, at, len);
}

// Also the only sign of a field whose value is empty.
static int on_value_complete(llhttp_t *parser)
{
    Http1Parser *p = parser->data;
    p->part = HTTP1_BETWEEN;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    Http1Parser *p = parser->data;
    HttpHead *head = p->head;
    end_field(head);
    if (parser->http_major != 1) {
        return refuse(p, ERR_PROTOCOL, 505, "only HTTP/1.0 and HTTP/1.1 are understood here");
    }
    head->version_major = parser->http_major;
    head->version_minor = parser->http_minor;
    head->upgrade = parser->upgrade;
    head->chunked = (parser->flags & F_CHUNKED) != 0;
    if (parser->flags & F_CONTENT_LENGTH) {
        head->content_length =
            parser->content_length > INT64_MAX ? INT64_MAX : (int64_t)parser->content_length;
    }
    head->method = llhttp_method_name((llhttp_method_t)parser->method);
    head->expect_continue =
        slice_eq_nocase(http_head_get(head, SLICE("expect")), SLICE("100-continue"));
    p->stage = HTTP1_BODY;
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    Http1Parser *p = parser->data;
    p->body_bytes += (int64_t)len;
    if (p->body_fn) {
        int rc = p->body_fn(p->body_ctx, (Slice){at, len});
        if (rc != 0) {
            return refuse(p, rc, 413, "the body was refused");
        }
    }
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    Http1Parser *p = parser->data;
    end_field(p->head);
    p->head->keep_alive = llhttp_should_keep_alive(parser);
    p->stage = HTTP1_DONE;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_line,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

// ---- parsing

static void begin_request(Http1Parser *p)
{
    http_head_reset(p->head);
    p->stage = HTTP1_HEAD;
    p->part = HTTP1_BETWEEN;
    llhttp_t *parser = llhttp_of(p);
    llhttp_init(parser, HTTP_REQUEST, &settings);
    parser->data = p;
}

void http1_parser_init(Http1Parser *p, Http1Kind kind, HttpHead *head)
{
    p->kind = kind;
    p->head = head;
    p->body_fn = NULL;
    p->body_ctx = NULL;
    p->head_only = false;
    p->began = false;
    p->body_bytes = 0;
    p->answer_status = 400;
    p->rc = 0;
    p->interim = 0;
    p->trouble = NULL;
    if (kind == HTTP1_REQUEST) {
        begin_request(p);
    } else {
        http1_response_begin(p);
    }
}

static int parse_failed(Http1Parser *p, llhttp_errno_t code, Err *e)
{
    if (p->rc != 0) { // llhttp renames what some callbacks return
        return err_set(e, p->rc, "%s", p->trouble);
    }
    // A method that we do not know, unless it is not even a word.
    bool word = code == HPE_INVALID_METHOD && http_is_token((Slice){&p->first_byte, 1});
    p->answer_status = word ? 501 : code == HPE_INVALID_VERSION ? 505 : 400;
    const char *reason = llhttp_get_error_reason(llhttp_of(p));
    return err_set(e, ERR_PROTOCOL, "not a valid HTTP/1 request: %s",
                   reason && *reason ? reason : llhttp_errno_name(code));
}

int http1_parse(Http1Parser *p, Slice bytes, size_t *ret_used, Err *e)
{
    if (p->kind == HTTP1_RESPONSE) {
        return http1_response_parse(p, bytes, ret_used, e);
    }
    *ret_used = 0;
    if (bytes.len == 0 || p->stage == HTTP1_DONE) {
        return 0;
    }
    if (!p->began) {
        p->began = true;
        p->first_byte = *bytes.ptr;
    }
    llhttp_t *parser = llhttp_of(p);
    llhttp_errno_t code = llhttp_execute(parser, bytes.ptr, bytes.len);
    if (code == HPE_PAUSED || code == HPE_PAUSED_UPGRADE) {
        *ret_used = (size_t)(llhttp_get_error_pos(parser) - bytes.ptr);
        return 0;
    }
    *ret_used = bytes.len;
    return code == HPE_OK ? 0 : parse_failed(p, code, e);
}

int http1_eof(Http1Parser *p, Err *e)
{
    if (!p->began) {
        return err_set(e, ERR_CLOSED, "the peer closed the connection without a message");
    }
    if (p->kind == HTTP1_RESPONSE) {
        return http1_response_eof(p, e);
    }
    return err_set(e, ERR_PROTOCOL, "the peer closed in the middle of a request");
}

// ---- writing

// RFC 9112 section 3.2: no white space or controls; everything else is the server's business.
static bool is_target(Slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c == 0x7F) {
            return false;
        }
    }
    return s.len > 0;
}

static int write_headers(Buf *out, const Http1RequestHead *r, bool *has_host, bool *has_length,
                         Err *e)
{
    for (size_t i = 0; i < r->header_count; i++) {
        const HttpHeader *h = &r->headers[i];
        if (!http_is_token(h->name) || !http_is_field_value(h->value)) {
            return err_set(e, ERR_ARG, "header '%.*s' has a name or value that HTTP cannot carry",
                           SLICE_FMT(h->name));
        }
        *has_host = *has_host || slice_eq_nocase(h->name, SLICE("host"));
        *has_length = *has_length || slice_eq_nocase(h->name, SLICE("content-length")) ||
                      slice_eq_nocase(h->name, SLICE("transfer-encoding"));
        buf_append(out, h->name);
        buf_puts(out, ": ");
        buf_append(out, h->value);
        buf_puts(out, "\r\n");
    }
    return 0;
}

int http1_write_request(Buf *out, const Http1RequestHead *r, Err *e)
{
    if (!http_is_token(r->method)) {
        return err_set(e, ERR_ARG, "'%.*s' is not an HTTP method", SLICE_FMT(r->method));
    }
    if (!is_target(r->target)) {
        return err_set(e, ERR_ARG,
                       "'%.*s' is not a request target: spaces and control characters "
                       "must be percent-encoded",
                       SLICE_FMT(r->target));
    }
    buf_append(out, r->method);
    buf_putc(out, ' ');
    buf_append(out, r->target);
    buf_puts(out, " HTTP/1.1\r\n");
    bool has_host = false;
    bool has_length = false;
    int rc = write_headers(out, r, &has_host, &has_length, e);
    if (rc != 0) {
        return rc;
    }
    if (!has_host) {
        buf_puts(out, "Host: ");
        buf_append(out, r->host);
        buf_puts(out, "\r\n");
    }
    if (!has_length && r->body_bytes >= 0) {
        buf_printf(out, "Content-Length: %lld\r\n", (long long)r->body_bytes);
    }
    buf_puts(out, "\r\n");
    return buf_check(out, "request head", e);
}
