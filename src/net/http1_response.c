// Responses are what a load generator parses all day, so they have a parser of their own: about a
// seventh of llhttp's instructions, because a head is looked at line by line with memchr instead of
// byte by byte, and copied once instead of field by field. It is as strict as llhttp, which the
// fuzz target and the tests hold it to. RFC 9112 is meant where only a section is named.
#include "net/http1_response.h"

#include <assert.h>

static int broken(Http1Parser *p, const char *trouble, Err *e)
{
    (void)p;
    return err_set(e, ERR_PROTOCOL, "not a valid HTTP/1 response: %s", trouble);
}

static int too_large(const char *what, Err *e)
{
    return err_set(e, ERR_LIMIT, "%s", what);
}

void http1_response_begin(Http1Parser *p)
{
    http_head_reset(p->head);
    p->stage = HTTP1_HEAD;
    p->response = (Http1Response){.body = HTTP1_NO_BODY};
}

// ---- lines

// Whether s is the word, which is given in lower case. Or-ing 0x20 turns upper case into lower and
// maps nothing else onto a letter or "-" that a header may contain.
static inline bool is_word(Slice s, const char *lower, size_t len)
{
    if (s.len != len) {
        return false;
    }
    unsigned differs = 0;
    for (size_t i = 0; i < len; i++) {
        differs |= (unsigned)((s.ptr[i] | 0x20) ^ lower[i]);
    }
    return differs == 0;
}

#define IS_WORD(s, lower) is_word((s), (lower), sizeof(lower) - 1)

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

// "HTTP/1.1 200 OK"; the reason and the space before it may be missing (section 4).
static int parse_status_line(Http1Parser *p, Slice line, Err *e)
{
    HttpHead *head = p->head;
    const char *t = line.ptr;
    if (line.len < 12 || memcmp(t, "HTTP/1.", 7) != 0 || (t[7] != '0' && t[7] != '1') ||
        t[8] != ' ' || (line.len > 12 && t[12] != ' ')) {
        return broken(p, "it does not begin with HTTP/1.1 and a status", e);
    }
    int status = 0;
    for (int i = 9; i < 12; i++) {
        if (t[i] < '0' || t[i] > '9') {
            return broken(p, "the status is not a number", e);
        }
        status = status * 10 + (t[i] - '0');
    }
    if (status < 100) {
        return broken(p, "the status is below 100", e);
    }
    head->version_major = 1;
    head->version_minor = t[7] - '0';
    head->status = status;
    if (line.len > 13) {
        head->line_at = 13; // the status line is where the text begins
        head->line_len = (uint32_t)line.len - 13;
    }
    return head->line_len > head->limits.line_bytes_max ? too_large("the first line is too long", e)
                                                        : 0;
}

static int set_length(Http1Parser *p, Slice value, Err *e)
{
    int64_t length = 0;
    bool ok = value.len > 0 && p->head->content_length < 0;
    for (size_t i = 0; i < value.len && ok; i++) {
        int digit = value.ptr[i] - '0';
        ok = digit >= 0 && digit <= 9 && !__builtin_mul_overflow(length, 10, &length) &&
             !__builtin_add_overflow(length, digit, &length);
    }
    if (!ok) {
        return broken(p, "Content-Length is not one number", e);
    }
    p->head->content_length = length;
    return 0;
}

// The last coding decides: only "chunked" says where the body ends (section 6.3).
static int set_encoding(Http1Parser *p, Slice value, Err *e)
{
    p->response.encoded = true;
    while (value.len > 0) {
        Slice coding;
        (void)slice_cut(value, ',', &coding, &value);
        if (p->head->chunked) {
            return broken(p, "a transfer coding follows chunked", e);
        }
        p->head->chunked = IS_WORD(slice_trim(coding), "chunked");
    }
    return 0;
}

static void set_connection(Http1Parser *p, Slice value)
{
    while (value.len > 0) {
        Slice option;
        (void)slice_cut(value, ',', &option, &value);
        option = slice_trim(option);
        if (IS_WORD(option, "close")) {
            p->response.close = true;
        } else if (IS_WORD(option, "keep-alive")) {
            p->response.keep_alive = true;
        }
    }
}

// What frames the message; by length first, because nearly all names differ there.
static int note_field(Http1Parser *p, Slice name, Slice value, Err *e)
{
    switch (name.len) {
    case 14: return IS_WORD(name, "content-length") ? set_length(p, value, e) : 0;
    case 17: return IS_WORD(name, "transfer-encoding") ? set_encoding(p, value, e) : 0;
    case 10:
        if (IS_WORD(name, "connection")) {
            set_connection(p, value);
        }
        return 0;
    default: return 0;
    }
}

static HttpField *next_field(HttpHead *head)
{
    if (head->field_count == head->field_capacity) {
        head->field_capacity = head->field_capacity ? head->field_capacity * 2 : 16;
        head->fields = mem_realloc(head->fields, head->field_capacity * sizeof *head->fields);
    }
    return &head->fields[head->field_count++];
}

// "name: value" with optional white space around the value. A line that begins with white space
// would continue the one before (section 5.2, obsolete); it fails as an empty name.
static int parse_field(Http1Parser *p, const char *base, Slice line, Err *e)
{
    HttpHead *head = p->head;
    Slice name = {line.ptr, http_token_len(line)};
    if (name.len == 0 || name.len == line.len || line.ptr[name.len] != ':') {
        return broken(p, "a header line has no valid name", e);
    }
    Slice value = {line.ptr + name.len + 1, line.len - name.len - 1};
    while (value.len > 0 && is_blank(*value.ptr)) {
        value.ptr++;
        value.len--;
    }
    while (value.len > 0 && is_blank(value.ptr[value.len - 1])) {
        value.len--;
    }
    if (!http_is_field_value(value)) {
        return broken(p, "a header value has control characters", e);
    }
    if (head->field_count >= head->limits.fields_max) {
        return too_large("too many header fields", e);
    }
    *next_field(head) = (HttpField){
        .name_at = (uint32_t)(name.ptr - base),
        .name_len = (uint32_t)name.len,
        .value_at = (uint32_t)(value.ptr - base),
        .value_len = (uint32_t)value.len,
    };
    if (p->stage == HTTP1_BODY &&
        (IS_WORD(name, "content-length") || IS_WORD(name, "transfer-encoding") ||
         IS_WORD(name, "connection"))) {
        return broken(p, "a trailer tries to frame the message", e);
    }
    return p->stage == HTTP1_BODY ? 0 : note_field(p, name, value, e);
}

// What does not begin like HTTP need not send a whole line to be recognised.
static bool may_be_http(Slice text)
{
    static const char start[] = "HTTP/1.";
    size_t len = text.len < sizeof start - 1 ? text.len : sizeof start - 1;
    return memcmp(text.ptr, start, len) == 0;
}

// Parses the complete lines of `text` from where the last call stopped. *ret_end is the position
// behind the empty line, 0 while it has not come.
static int parse_lines(Http1Parser *p, Slice text, size_t *ret_end, Err *e)
{
    Http1Response *r = &p->response;
    *ret_end = 0;
    for (;;) {
        const char *lf = memchr(text.ptr + r->scanned, '\n', text.len - r->scanned);
        if (!lf) {
            r->scanned = text.len;
            return r->status_seen || may_be_http(text) ? 0 : broken(p, "it is something else", e);
        }
        Slice line = {text.ptr + r->line_at, (size_t)(lf - text.ptr) - r->line_at};
        if (line.len == 0 || line.ptr[line.len - 1] != '\r') {
            return broken(p, "a line does not end in CR and LF", e);
        }
        line.len--;
        r->line_at = r->scanned = (size_t)(lf - text.ptr) + 1;
        if (line.len == 0 && (r->status_seen || p->stage == HTTP1_BODY)) {
            *ret_end = r->line_at;
            return 0;
        }
        int rc;
        if (r->status_seen) {
            rc = parse_field(p, text.ptr, line, e);
        } else {
            r->status_seen = true;
            rc = !http_is_field_value(line) ? broken(p, "control characters in the first line", e)
                                            : parse_status_line(p, line, e);
        }
        if (rc != 0) {
            return rc;
        }
    }
}

// ---- framing

static void finish(Http1Parser *p)
{
    const Http1Response *r = &p->response;
    HttpHead *head = p->head;
    bool wanted = head->version_minor == 1 ? !r->close : r->keep_alive && !r->close;
    head->keep_alive = wanted && r->body != HTTP1_BODY_TO_END && head->status != 101;
    p->stage = HTTP1_DONE;
}

// Section 6.3, in its order.
static int begin_body(Http1Parser *p, Err *e)
{
    HttpHead *head = p->head;
    Http1Response *r = &p->response;
    int status = head->status;
    if (r->encoded && head->content_length >= 0) {
        return broken(p, "it has both Content-Length and Transfer-Encoding", e);
    }
    head->upgrade = status == 101;
    p->stage = HTTP1_BODY;
    if (p->head_only || status / 100 == 1 || status == 204 || status == 304) {
        finish(p);
    } else if (head->chunked) {
        r->body = HTTP1_CHUNK_SIZE;
    } else if (r->encoded || head->content_length < 0) {
        r->body = HTTP1_BODY_TO_END;
    } else if (head->content_length == 0) {
        finish(p);
    } else {
        r->body = HTTP1_BODY_LENGTH;
        r->left = head->content_length;
    }
    return 0;
}

// Usually the whole head comes at once: it is parsed where it lies and copied once.
static int parse_head(Http1Parser *p, Slice bytes, size_t *ret_used, Err *e)
{
    HttpHead *head = p->head;
    size_t end = 0;
    size_t before = head->text.len;
    bool whole = before == 0;
    if (!whole) {
        size_t room = head->text.max - before;
        buf_append(&head->text, slice_sub(bytes, 0, room));
    }
    Slice text = whole ? bytes : buf_slice(&head->text);
    int rc = parse_lines(p, text, &end, e);
    if (rc != 0) {
        return rc;
    }
    if (end == 0 && !whole && bytes.len > head->text.len - before) {
        return too_large("the head is too large", e);
    }
    if (whole) {
        buf_append(&head->text, slice_sub(bytes, 0, end ? end : bytes.len));
        if (head->text.overflowed) {
            return too_large("the head is too large", e);
        }
    } else if (end > 0) {
        head->text.len = end; // the rest of `bytes` is not the head's
    }
    *ret_used = end == 0 ? bytes.len : end - before;
    return end > 0 ? begin_body(p, e) : 0;
}

// ---- body

static int give(Http1Parser *p, Slice piece, Err *e)
{
    p->body_bytes += (int64_t)piece.len;
    if (p->body_fn) {
        int rc = p->body_fn(p->body_ctx, piece);
        if (rc != 0) {
            return err_set(e, (ErrCode)rc, "the body was refused");
        }
    }
    return 0;
}

static int take_data(Http1Parser *p, Slice bytes, size_t *ret_used, Err *e)
{
    Http1Response *r = &p->response;
    Slice piece = bytes;
    if ((uint64_t)r->left < piece.len) {
        piece.len = (size_t)r->left;
    }
    r->left -= (int64_t)piece.len;
    *ret_used = piece.len;
    if (r->left == 0) {
        if (r->body == HTTP1_BODY_LENGTH) {
            finish(p);
        } else {
            r->body = HTTP1_CHUNK_CR;
        }
    }
    return give(p, piece, e);
}

static int hex_value(char c)
{
    int lower = c | 0x20;
    return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The chunk-size line, a byte at a time: it is short, and its extensions (section 7.1.1) are rare.
static int take_size(Http1Parser *p, char c, Err *e)
{
    Http1Response *r = &p->response;
    if (++r->line_len > HTTP1_CHUNK_LINE_MAX) {
        return too_large("a chunk extension is too long", e);
    }
    if (r->size_cr) {
        if (c != '\n' || r->size_digits == 0) {
            return broken(p, "a chunk size line is malformed", e);
        }
        bool last = r->left == 0;
        r->size_cr = r->extension = false;
        r->size_digits = r->line_len = 0;
        r->body = last ? HTTP1_TRAILERS : HTTP1_CHUNK_DATA;
        r->line_at = r->scanned = p->head->text.len;
        return 0;
    }
    if (c == '\r') {
        r->size_cr = true;
        return 0;
    }
    if (r->extension) {
        return !http_is_field_value((Slice){&c, 1}) ? broken(p, "a chunk extension is malformed", e)
                                                    : 0;
    }
    int digit = hex_value(c);
    if (digit < 0) {
        r->extension = c == ';' && r->size_digits > 0;
        return r->extension ? 0 : broken(p, "a chunk size is not a number", e);
    }
    if (r->left > INT64_MAX >> 4) {
        return broken(p, "a chunk size is too large", e);
    }
    r->left = r->left << 4 | digit;
    r->size_digits++;
    return 0;
}

// Trailers go behind the head's text.
static int take_trailers(Http1Parser *p, Slice bytes, size_t *ret_used, Err *e)
{
    HttpHead *head = p->head;
    if (head->trailer_first > head->field_count) {
        head->trailer_first = head->field_count;
    }
    size_t before = head->text.len;
    Slice fits = slice_sub(bytes, 0, head->text.max - before);
    buf_append(&head->text, fits);
    size_t end = 0;
    int rc = parse_lines(p, buf_slice(&head->text), &end, e);
    if (rc != 0) {
        return rc;
    }
    if (end == 0) {
        *ret_used = fits.len;
        return fits.len < bytes.len ? too_large("the trailers are too large", e) : 0;
    }
    *ret_used = end - before;
    head->text.len = end;
    finish(p);
    return 0;
}

static int take_body(Http1Parser *p, Slice bytes, size_t *ret_used, Err *e)
{
    Http1Response *r = &p->response;
    *ret_used = 1;
    switch (r->body) {
    case HTTP1_NO_BODY: assert(false); return 0;
    case HTTP1_BODY_TO_END: *ret_used = bytes.len; return give(p, bytes, e);
    case HTTP1_BODY_LENGTH:
    case HTTP1_CHUNK_DATA: return take_data(p, bytes, ret_used, e);
    case HTTP1_CHUNK_SIZE: return take_size(p, *bytes.ptr, e);
    case HTTP1_CHUNK_CR:
        r->body = HTTP1_CHUNK_LF;
        return *bytes.ptr == '\r' ? 0 : broken(p, "a chunk does not end in CR and LF", e);
    case HTTP1_CHUNK_LF:
        r->body = HTTP1_CHUNK_SIZE;
        return *bytes.ptr == '\n' ? 0 : broken(p, "a chunk does not end in CR and LF", e);
    case HTTP1_TRAILERS: return take_trailers(p, bytes, ret_used, e);
    }
    return 0;
}

// ---- messages

static int skip_interim(Http1Parser *p, Err *e)
{
    http1_response_begin(p);
    if (++p->interim > HTTP1_INTERIM_MAX) {
        return err_set(e, ERR_PROTOCOL, "more than %d interim responses", HTTP1_INTERIM_MAX);
    }
    return 0;
}

int http1_response_parse(Http1Parser *p, Slice bytes, size_t *ret_used, Err *e)
{
    size_t total = 0;
    int rc = 0;
    while (rc == 0 && total < bytes.len && p->stage != HTTP1_DONE) {
        Slice rest = slice_sub(bytes, total, bytes.len);
        size_t used = 0;
        p->began = true;
        rc = p->stage == HTTP1_HEAD ? parse_head(p, rest, &used, e) : take_body(p, rest, &used, e);
        total += used;
        if (rc == 0 && p->stage == HTTP1_DONE && p->head->status / 100 == 1 &&
            p->head->status != 101) {
            rc = skip_interim(p, e);
        }
    }
    *ret_used = total;
    return rc;
}

int http1_response_eof(Http1Parser *p, Err *e)
{
    if (p->stage == HTTP1_BODY && p->response.body == HTTP1_BODY_TO_END) {
        finish(p);
        return 0;
    }
    return err_set(e, ERR_PROTOCOL, "the peer closed in the middle of a response");
}
