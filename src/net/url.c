#include "net/url.h"

static int parse_port(Url *url, Slice text, Slice port, Err *e)
{
    int64_t value = 0;
    if (port.len == 0) {
        return 0; // "host:" means the scheme's own
    }
    bool digits = port.ptr[0] >= '0' && port.ptr[0] <= '9';
    if (!digits || slice_to_i64(port, &value) != 0 || value < 1 || value > 65535) {
        return err_set(e, ERR_ARG, "URL '%.*s': port '%.*s' is not a number from 1 to 65535",
                       SLICE_FMT(text), SLICE_FMT(port));
    }
    url->port = (uint16_t)value;
    return 0;
}

static bool is_host(Slice host, bool ipv6)
{
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.ptr[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (ipv6 ? !hex && c != ':' && c != '.' : strchr("/?#[]@\\<>\"^`{|}%: ", c) != NULL) {
            return false;
        }
    }
    return host.len > 0;
}

static int parse_authority(Url *url, Slice text, Slice authority, Err *e)
{
    for (size_t i = authority.len; i > 0; i--) {
        if (authority.ptr[i - 1] == '@') {
            url->user_info = slice_sub(authority, 0, i - 1);
            authority = slice_sub(authority, i, authority.len);
            break;
        }
    }
    Slice port = {NULL, 0};
    if (authority.len > 0 && authority.ptr[0] == '[') {
        ptrdiff_t end = slice_find_byte(authority, ']');
        Slice rest = end < 0 ? authority : slice_sub(authority, (size_t)end + 1, authority.len);
        if (end < 0 || (rest.len > 0 && rest.ptr[0] != ':')) {
            return err_set(e, ERR_ARG, "URL '%.*s': '[' without ']' around an IPv6 address",
                           SLICE_FMT(text));
        }
        url->ipv6 = true;
        url->host = slice_sub(authority, 1, (size_t)end - 1);
        port = slice_sub(rest, 1, rest.len);
    } else {
        (void)slice_cut(authority, ':', &url->host, &port);
    }
    if (!is_host(url->host, url->ipv6)) {
        return err_set(e, ERR_ARG, "URL '%.*s' has no valid host", SLICE_FMT(text));
    }
    return parse_port(url, text, port, e);
}

static int check_bytes(Slice text, Err *e)
{
    if (text.len > URL_BYTES_MAX) {
        return err_set(e, ERR_ARG, "the URL has %zu bytes, the limit is %d", text.len,
                       URL_BYTES_MAX);
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c == 0x7F) {
            return err_set(e, ERR_ARG,
                           "URL '%.*s' has white space or a control character at position %zu; "
                           "write it percent-encoded",
                           SLICE_FMT(text), i);
        }
    }
    return 0;
}

// What is behind `separator` goes to *ret_tail (NULL without one), *text keeps what is before.
static void cut_tail(Slice *text, char separator, Slice *ret_tail)
{
    Slice head;
    if (slice_cut(*text, separator, &head, ret_tail)) {
        *text = head;
    } else {
        *ret_tail = (Slice){NULL, 0};
    }
}

int url_parse(Slice text, Url *ret_url, Err *e)
{
    int rc = check_bytes(text, e);
    if (rc != 0) {
        return rc;
    }
    Url url = {0};
    Slice rest;
    if (slice_eq_nocase(slice_sub(text, 0, 7), SLICE("http://"))) {
        url.port = 80;
        rest = slice_sub(text, 7, text.len);
    } else if (slice_eq_nocase(slice_sub(text, 0, 8), SLICE("https://"))) {
        url.tls = true;
        url.port = 443;
        rest = slice_sub(text, 8, text.len);
    } else {
        return err_set(e, ERR_ARG, "URL '%.*s' does not begin with http:// or https://",
                       SLICE_FMT(text));
    }
    cut_tail(&rest, '#', &url.fragment);
    cut_tail(&rest, '?', &url.query);
    ptrdiff_t slash = slice_find_byte(rest, '/');
    Slice authority = slash < 0 ? rest : slice_sub(rest, 0, (size_t)slash);
    url.path = slash < 0 ? (Slice){"", 0} : slice_sub(rest, (size_t)slash, rest.len);
    rc = parse_authority(&url, text, authority, e);
    if (rc == 0) {
        *ret_url = url;
    }
    return rc;
}

void url_append_target(Buf *out, const Url *url)
{
    if (url->path.len == 0) {
        buf_putc(out, '/');
    }
    buf_append(out, url->path);
    if (url->query.ptr) {
        buf_putc(out, '?');
        buf_append(out, url->query);
    }
}

void url_append_authority(Buf *out, const Url *url)
{
    buf_puts(out, url->ipv6 ? "[" : "");
    buf_append(out, url->host);
    buf_puts(out, url->ipv6 ? "]" : "");
    if (url->port != (url->tls ? 443 : 80)) {
        buf_printf(out, ":%u", url->port);
    }
}

// ---- relative references

// RFC 3986 section 3.1: ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) ":".
static bool has_scheme(Slice ref)
{
    for (size_t i = 0; i < ref.len; i++) {
        char c = ref.ptr[i];
        bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (c == ':') {
            return i > 0;
        }
        if (!alpha && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'))) {
            return false;
        }
    }
    return false;
}

// Servers put spaces and raw UTF-8 into Location; on the wire they are percent-encoded.
static void append_encoded(Buf *out, Slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c >= 0x7F) {
            buf_printf(out, "%%%02X", c);
        } else {
            buf_putc(out, (char)c);
        }
    }
}

// RFC 3986 section 5.2.4, segment by segment; `from` is where the path begins in `out`.
static void append_without_dots(Buf *out, Slice path)
{
    size_t from = out->len;
    while (path.len > 0) {
        // Each round takes "/segment"; the first slash is there in every path given.
        Slice rest = slice_sub(path, 1, path.len);
        ptrdiff_t slash = slice_find_byte(rest, '/');
        size_t len = slash < 0 ? rest.len : (size_t)slash;
        Slice segment = slice_sub(rest, 0, len);
        bool up = slice_eq_cstr(segment, "..");
        path = slice_sub(rest, len, rest.len);
        if (up) {
            while (out->len > from && out->data[--out->len] != '/') {
            }
        }
        if (!up && !slice_eq_cstr(segment, ".")) {
            buf_putc(out, '/');
            append_encoded(out, segment);
        } else if (path.len == 0) {
            buf_putc(out, '/');
        }
    }
}

// RFC 3986 section 5.2.3: the reference takes the place of what follows the base's last slash.
static void append_merged(Buf *out, const Url *base, Slice path)
{
    Slice dir = base->path;
    while (dir.len > 0 && dir.ptr[dir.len - 1] != '/') {
        dir.len--;
    }
    Buf merged = buf_create(2 * URL_BYTES_MAX + 1);
    buf_append(&merged, dir.len > 0 ? dir : SLICE("/"));
    buf_append(&merged, path);
    append_without_dots(out, buf_slice(&merged));
    buf_done(&merged);
}

int url_resolve(const Url *base, Slice ref, Buf *out, Err *e)
{
    if (ref.len > URL_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "the reference has %zu bytes, the limit is %d", ref.len,
                       URL_BYTES_MAX);
    }
    if (has_scheme(ref)) {
        append_encoded(out, ref);
        return buf_check(out, "URL", e);
    }
    buf_puts(out, base->tls ? "https:" : "http:");
    if (slice_starts_with(ref, SLICE("//"))) {
        append_encoded(out, ref);
        return buf_check(out, "URL", e);
    }
    buf_puts(out, "//");
    url_append_authority(out, base);
    Slice fragment;
    Slice query;
    bool has_fragment = slice_cut(ref, '#', &ref, &fragment);
    bool has_query = slice_cut(ref, '?', &ref, &query);
    if (ref.len == 0) {
        append_encoded(out, base->path);
        if (!has_query && base->query.ptr) {
            query = base->query;
            has_query = true;
        }
    } else if (ref.ptr[0] == '/') {
        append_without_dots(out, ref);
    } else {
        append_merged(out, base, ref);
    }
    if (has_query) {
        buf_putc(out, '?');
        append_encoded(out, query);
    }
    if (has_fragment) {
        buf_putc(out, '#');
        append_encoded(out, fragment);
    }
    return buf_check(out, "URL", e);
}
