// HTTP/1 responses, against llhttp: what our parser accepts, llhttp accepts too, with the same
// status, body and length. (We refuse more: other versions, empty lines in front.) The first byte
// chooses how the rest is cut into pieces and whether the request was HEAD.
#include "http1_fuzz.h"

#include <llhttp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Oracle {
    llhttp_t parser;
    Buf body;
    bool head_only;
    bool done;
    bool excused; // it stumbled where it is known to be wrong, or stricter than anybody needs
    int status;
    size_t fields;
} Oracle;

static int on_headers_complete(llhttp_t *parser)
{
    Oracle *o = parser->data;
    o->status = parser->status_code;
    return o->head_only ? 1 : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    Oracle *o = parser->data;
    buf_append(&o->body, (Slice){at, len});
    return 0;
}

static int on_value_complete(llhttp_t *parser)
{
    Oracle *o = parser->data;
    o->fields++;
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    Oracle *o = parser->data;
    o->done = true;
    return HPE_PAUSED;
}

// One message, which may be an interim one; returns how much it took.
static size_t oracle_parse(Oracle *o, Slice input)
{
    static const llhttp_settings_t settings = {
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_header_value_complete = on_value_complete,
        .on_message_complete = on_message_complete,
    };
    llhttp_init(&o->parser, HTTP_RESPONSE, &settings);
    o->parser.data = o;
    o->done = false;
    o->fields = 0;
    buf_reset(&o->body);
    llhttp_errno_t code = llhttp_execute(&o->parser, input.ptr, input.len);
    if (code == HPE_OK) {
        (void)llhttp_finish(&o->parser);
        return input.len;
    }
    const char *reason = llhttp_get_error_reason(&o->parser);
    reason = reason ? reason : "";
    // Nobody reads chunk extensions, so we only look for their end. And it takes a tab behind
    // Content-Length for garbage, which RFC 9110 section 5.5 allows.
    o->excused = strstr(reason, "in chunk extensions") ||
                 (strstr(reason, "in Content-Length") && memchr(input.ptr, '\t', input.len));
    const char *at = llhttp_get_error_pos(&o->parser);
    return at ? (size_t)(at - input.ptr) : input.len;
}

static void compare(const Http1Outcome *ours, bool head_only, Slice input)
{
    Oracle o = {.head_only = head_only, .body = buf_create(1 << 16)};
    size_t used = 0;
    do {
        used += oracle_parse(&o, slice_sub(input, used, input.len));
    } while (o.done && o.status / 100 == 1 && o.status != 101 && used < input.len);
    if (o.excused) {
        buf_done(&o.body);
        return;
    }
    assert(o.done);
    assert(used == ours->used);
    assert(o.status == ours->head.status);
    assert(o.fields == ours->head.field_count);
    assert(slice_eq(buf_slice(&o.body), buf_slice(&ours->body)));
    // We may close a connection that could go on, never the other way round.
    assert(!ours->head.keep_alive || llhttp_should_keep_alive(&o.parser));
    buf_done(&o.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    Slice input = {(const char *)data + 1, size - 1};
    bool head_only = data[0] & 0x80;
    Http1Outcome o = http1_fuzz_all(HTTP1_RESPONSE, head_only, input, 2 + data[0] % 64);
    if (o.rc == 0) {
        compare(&o, head_only, input);
    }
    http1_fuzz_free(&o);
    return 0;
}
