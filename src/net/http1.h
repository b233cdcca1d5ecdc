// HTTP/1.0 and 1.1 (RFC 9112) without I/O: bytes in, a head and body pieces out; and the other way.
//
//     Http1Parser p;
//     http1_parser_init(&p, HTTP1_RESPONSE, &head);
//     p.body_fn = collect; p.body_ctx = buf;        // NULL: count and forget
//     while (!http1_done(&p)) {
//         ... read bytes ...
//         if (n == 0) rc = http1_eof(&p, e);
//         else rc = http1_parse(&p, bytes, &used, e);
//     }
//
// Parsing is strict: what two implementations might understand differently (both Content-Length and
// Transfer-Encoding, bare LF, spaces before a colon, folded lines that hide something) is refused,
// because smuggling lives there.
#ifndef NET_HTTP1_H
#define NET_HTTP1_H

#include "base/buf.h"
#include "net/http_head.h"

typedef enum Http1Kind { HTTP1_REQUEST, HTTP1_RESPONSE } Http1Kind;

typedef enum Http1Stage {
    HTTP1_HEAD, // waiting for the rest of the head
    HTTP1_BODY, // the head is there
    HTTP1_DONE, // the message is complete
} Http1Stage;

typedef enum Http1Part { HTTP1_BETWEEN, HTTP1_NAME, HTTP1_VALUE } Http1Part; // of a header field

// What comes next behind the head of a response.
typedef enum Http1Body {
    HTTP1_NO_BODY,
    HTTP1_BODY_LENGTH, // `left` bytes
    HTTP1_BODY_TO_END, // everything until the peer closes
    HTTP1_CHUNK_SIZE,
    HTTP1_CHUNK_DATA,
    HTTP1_CHUNK_CR,
    HTTP1_CHUNK_LF,
    HTTP1_TRAILERS,
} Http1Body;

// State of the response parser.
typedef struct Http1Response {
    size_t scanned; // of the text: no line feed before here
    size_t line_at; // where the unfinished line begins
    int64_t left;   // bytes of the body or chunk
    uint32_t line_len;
    uint32_t size_digits;
    Http1Body body;
    bool status_seen;
    bool encoded; // there is a Transfer-Encoding
    bool close;   // Connection said so
    bool keep_alive;
    bool size_cr;
    bool extension;
} Http1Response;

// A piece of the body, chunked coding removed. A negative result ends parsing with that code.
typedef int Http1BodyFn(void *ctx, Slice piece);

enum {
    HTTP1_LLHTTP_WORDS = 16,
    HTTP1_INTERIM_MAX = 16,      // 1xx answers before the real one
    HTTP1_CHUNK_LINE_MAX = 4096, // a chunk's size with its extensions
};

typedef struct Http1Parser {
    Http1Kind kind;
    Http1Stage stage;
    HttpHead *head;
    Http1BodyFn *body_fn;
    void *body_ctx;
    bool head_only;     // the answer to HEAD: no body follows whatever the head says
    bool began;         // a byte of this message was seen
    int64_t body_bytes; // of the decoded body so far
    // After a failure: what a server should answer (400, 413, 414, 431, 501, 505).
    int answer_status;
    // The codec's:
    int rc;
    int interim;
    char first_byte;
    Http1Part part;
    const char *trouble;
    union {
        Http1Response response;
        uint64_t llhttp[HTTP1_LLHTTP_WORDS]; // requests
    };
} Http1Parser;

// Resets the head too. Set body_fn, body_ctx and head_only afterwards.
void http1_parser_init(Http1Parser *p, Http1Kind kind, HttpHead *head);

static inline bool http1_done(const Http1Parser *p)
{
    return p->stage == HTTP1_DONE;
}

// Takes bytes up to the end of the message; *ret_used is less than bytes.len only when it is done,
// and the rest belongs to the next message. Interim (1xx) responses are skipped. ERR_PROTOCOL,
// ERR_LIMIT, or what body_fn said.
MUST_USE int http1_parse(Http1Parser *p, Slice bytes, size_t *ret_used, Err *e);
// The peer closed: that is the end of a message without length (done), else ERR_CLOSED when nothing
// of the message had come, ERR_PROTOCOL when it was cut off.
MUST_USE int http1_eof(Http1Parser *p, Err *e);

// ---- writing

typedef struct HttpHeader {
    Slice name;
    Slice value;
} HttpHeader;

typedef struct Http1RequestHead {
    Slice method;
    Slice target; // "/path?query"
    Slice host;   // for the Host field, with the port where it is not the scheme's own
    const HttpHeader *headers;
    size_t header_count;
    int64_t body_bytes; // -1: no body (no Content-Length is sent)
} Http1RequestHead;

// Appends the head to `out`. Host and Content-Length are left out when `headers` has them. ERR_ARG
// for a method, target, name or value that would break the message; ERR_LIMIT past out->max.
MUST_USE int http1_write_request(Buf *out, const Http1RequestHead *request, Err *e);

#endif
