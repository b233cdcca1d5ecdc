// What both HTTP/1 fuzz targets need: parse the input whole and in pieces, and demand the same.
#ifndef FUZZ_HTTP1_FUZZ_H
#define FUZZ_HTTP1_FUZZ_H

#include <assert.h>

#include "net/http1.h"

typedef struct Http1Outcome {
    int rc;
    bool done;
    size_t used;
    HttpHead head;
    Buf body;
    int64_t body_bytes;
    int answer;
} Http1Outcome;

static inline int http1_fuzz_collect(void *ctx, Slice piece)
{
    Buf *body = ctx;
    buf_append(body, piece);
    return body->overflowed ? ERR_LIMIT : 0;
}

static inline Http1Outcome http1_fuzz_parse(Http1Kind kind, bool head_only, Slice input,
                                            size_t step)
{
    static const HttpLimits limits = {
        .head_bytes_max = 4096, .fields_max = 32, .line_bytes_max = 512};
    Http1Outcome o = {.head = http_head_create(&limits), .body = buf_create(1 << 16)};
    Http1Parser p;
    http1_parser_init(&p, kind, &o.head);
    p.body_fn = http1_fuzz_collect;
    p.body_ctx = &o.body;
    p.head_only = head_only;
    Err e = {0};
    while (o.rc == 0 && o.used < input.len && !http1_done(&p)) {
        Slice piece = slice_sub(input, o.used, step);
        size_t used = 0;
        o.rc = http1_parse(&p, piece, &used, &e);
        assert(used <= piece.len);
        assert(o.rc != 0 || used == piece.len || http1_done(&p));
        o.used += used;
    }
    if (o.rc == 0 && !http1_done(&p)) {
        o.rc = http1_eof(&p, &e);
    }
    o.done = http1_done(&p);
    o.body_bytes = p.body_bytes;
    o.answer = p.answer_status;
    assert(o.rc != 0 || o.done);
    assert(o.rc == 0 || e.text[0] != '\0');
    return o;
}

static inline void http1_fuzz_free(Http1Outcome *o)
{
    http_head_done(&o->head);
    buf_done(&o->body);
}

static inline void http1_fuzz_same(const Http1Outcome *a, const Http1Outcome *b)
{
    assert((a->rc == 0) == (b->rc == 0) && a->done == b->done);
    if (a->rc != 0) {
        return; // which of two faults is met first depends on the pieces
    }
    assert(a->used == b->used && a->body_bytes == b->body_bytes);
    assert(slice_eq(buf_slice(&a->body), buf_slice(&b->body)));
    assert(a->head.status == b->head.status && a->head.keep_alive == b->head.keep_alive);
    assert(a->head.content_length == b->head.content_length);
    assert(a->head.field_count == b->head.field_count);
    assert(slice_eq(http_head_line(&a->head), http_head_line(&b->head)));
    for (uint32_t i = 0; i < a->head.field_count; i++) {
        assert(slice_eq(http_head_name(&a->head, i), http_head_name(&b->head, i)));
        assert(slice_eq(http_head_value(&a->head, i), http_head_value(&b->head, i)));
        assert(http_is_token(http_head_name(&a->head, i)));
        assert(http_is_field_value(http_head_value(&a->head, i)));
    }
}

// Parses in one piece, in single bytes and in pieces of `step`; the caller frees the result.
static inline Http1Outcome http1_fuzz_all(Http1Kind kind, bool head_only, Slice input, size_t step)
{
    Http1Outcome whole = http1_fuzz_parse(kind, head_only, input, input.len + 1);
    size_t steps[] = {1, step};
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        Http1Outcome pieces = http1_fuzz_parse(kind, head_only, input, steps[i]);
        http1_fuzz_same(&whole, &pieces);
        http1_fuzz_free(&pieces);
    }
    return whole;
}

#endif
