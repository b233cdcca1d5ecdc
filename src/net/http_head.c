#include "net/http_head.h"

HttpHead http_head_create(const HttpLimits *limits)
{
    static const HttpLimits standard = {HTTP_HEAD_BYTES_MAX, HTTP_FIELDS_MAX, HTTP_LINE_BYTES_MAX};
    HttpHead head = {.limits = limits ? *limits : standard, .content_length = -1};
    head.text = buf_create(head.limits.head_bytes_max);
    return head;
}

void http_head_done(HttpHead *head)
{
    buf_done(&head->text);
    free(head->fields);
    head->fields = NULL;
    head->field_count = head->field_capacity = 0;
}

void http_head_reset(HttpHead *head)
{
    buf_reset(&head->text);
    head->field_count = 0;
    head->trailer_first = UINT32_MAX;
    head->status = 0;
    head->line_at = head->line_len = 0;
    head->method = "";
    head->version_major = head->version_minor = 0;
    head->content_length = -1;
    head->keep_alive = head->chunked = head->upgrade = head->expect_continue = false;
}

static Slice text_at(const HttpHead *head, uint32_t at, uint32_t len)
{
    return len > 0 ? (Slice){head->text.data + at, len} : (Slice){"", 0};
}

Slice http_head_name(const HttpHead *head, uint32_t index)
{
    const HttpField *f = &head->fields[index];
    return text_at(head, f->name_at, f->name_len);
}

Slice http_head_value(const HttpHead *head, uint32_t index)
{
    const HttpField *f = &head->fields[index];
    return text_at(head, f->value_at, f->value_len);
}

Slice http_head_line(const HttpHead *head)
{
    return text_at(head, head->line_at, head->line_len);
}

bool http_head_each(const HttpHead *head, Slice name, uint32_t *at, Slice *ret_value)
{
    while (*at < head->field_count) {
        uint32_t i = (*at)++;
        if (head->fields[i].name_len == name.len &&
            slice_eq_nocase(http_head_name(head, i), name)) {
            *ret_value = http_head_value(head, i);
            return true;
        }
    }
    return false;
}

Slice http_head_get(const HttpHead *head, Slice name)
{
    uint32_t at = 0;
    Slice value = {NULL, 0};
    (void)http_head_each(head, name, &at, &value);
    return value;
}

bool http_head_has_token(const HttpHead *head, Slice name, Slice token)
{
    uint32_t at = 0;
    Slice rest;
    while (http_head_each(head, name, &at, &rest)) {
        while (rest.len > 0) {
            Slice item;
            (void)slice_cut(rest, ',', &item, &rest);
            if (slice_eq_nocase(slice_trim(item), token)) {
                return true;
            }
        }
    }
    return false;
}

int http_head_add(HttpHead *head, Slice name, Slice value)
{
    if (head->field_count >= head->limits.fields_max) {
        return ERR_LIMIT;
    }
    if (head->field_count == head->field_capacity) {
        head->field_capacity = head->field_capacity ? head->field_capacity * 2 : 16;
        head->fields = mem_realloc(head->fields, head->field_capacity * sizeof *head->fields);
    }
    char *at = buf_reserve(&head->text, name.len + value.len);
    if (!at) {
        return ERR_LIMIT;
    }
    HttpField field = {.name_at = (uint32_t)head->text.len,
                       .name_len = (uint32_t)name.len,
                       .value_at = (uint32_t)(head->text.len + name.len),
                       .value_len = (uint32_t)value.len};
    if (name.len > 0) {
        memcpy(at, name.ptr, name.len);
    }
    if (value.len > 0) {
        memcpy(at + name.len, value.ptr, value.len);
    }
    buf_commit(&head->text, name.len + value.len);
    head->fields[head->field_count++] = field;
    return 0;
}

const char *http_reason(int status)
{
    switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
    }
}

size_t http_token_len(Slice s)
{
    static const bool allowed[256] = {
        ['0' ... '9'] = true,  ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,
        ['#' ... '\''] = true, ['*'] = true,         ['+'] = true,         ['-'] = true,
        ['.'] = true,          ['^' ... '`'] = true, ['|'] = true,         ['~'] = true,
    };
    size_t i = 0;
    while (i < s.len && allowed[(unsigned char)s.ptr[i]]) {
        i++;
    }
    return i;
}

bool http_is_token(Slice s)
{
    return s.len > 0 && http_token_len(s) == s.len;
}

// Eight bytes at a time: whether any byte of x is below n, or equal to n (Sean Anderson, "Bit
// Twiddling Hacks", "Determine if a word has a byte less than n", which is exact for n <= 128).
#define ONES            (~UINT64_C(0) / 255)
#define HAS_LESS(x, n)  (((x)-ONES * (n)) & ~(x)&ONES * 128)
#define HAS_EQUAL(x, n) HAS_LESS((x) ^ ONES * (n), 1)

static bool suspicious(const char *at)
{
    uint64_t x;
    memcpy(&x, at, sizeof x);
    return (HAS_LESS(x, ' ') | HAS_EQUAL(x, 0x7F)) != 0;
}

bool http_is_field_value(Slice s)
{
    size_t i = 0;
    if (s.len >= sizeof(uint64_t)) {
        size_t last = s.len - sizeof(uint64_t);
        while (i < last && !suspicious(s.ptr + i)) {
            i += sizeof(uint64_t);
        }
        if (i >= last && !suspicious(s.ptr + last)) { // overlaps the one before
            return true;
        }
        i = 0; // perhaps only a tab: look closely
    }
    for (; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7F) {
            return false;
        }
    }
    return true;
}
