#include "script/engine.h"

#include "base/json_write.h"
#include "base/utf8.h"
#include "net/url.h"

// URLs of http and https: taking apart, resolving, and the query string.

static int parse_text(ScriptCall *call, Err *e)
{
    Slice text;
    Url url;
    int rc = script_arg_to_string(call, 0, "the URL", &text, e);
    if (rc == 0) {
        rc = url_parse(text, &url, e);
    }
    if (rc != 0) {
        return rc;
    }
    Buf host = buf_create(URL_BYTES_MAX + 16);
    Buf json = buf_create((size_t)URL_BYTES_MAX * 16);
    url_append_authority(&host, &url);
    JsonWriter w = json_writer(&json, 0);
    json_object_begin(&w);
    json_field_cstr(&w, "protocol", url.tls ? "https:" : "http:");
    json_field_string(&w, "host", buf_slice(&host));
    json_field_string(&w, "hostname", url.host);
    json_field_int(&w, "port", url.port);
    json_field_string(&w, "pathname", url.path.len ? url.path : SLICE("/"));
    json_field_string(&w, "search", url.query);
    json_field_string(&w, "hash", url.fragment);
    json_field_string(&w, "userInfo", url.user_info);
    json_object_end(&w);
    rc = script_return_json(call, buf_slice(&json), e);
    buf_done(&host);
    buf_done(&json);
    return rc;
}

static int resolve_text(ScriptCall *call, Err *e)
{
    Slice base, reference;
    Url url;
    int rc = script_arg_to_string(call, 0, "the base", &base, e);
    if (rc == 0) {
        rc = script_arg_to_string(call, 1, "the reference", &reference, e);
    }
    if (rc == 0) {
        rc = url_parse(base, &url, e);
    }
    if (rc != 0) {
        return rc;
    }
    Buf out = buf_create((size_t)URL_BYTES_MAX * 8);
    rc = url_resolve(&url, reference, &out, e);
    if (rc == 0) {
        script_return_string(call, buf_slice(&out));
    }
    buf_done(&out);
    return rc;
}

// Everything but RFC 3986's unreserved characters.
static void append_encoded(Buf *out, Slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c != '\0' && strchr("-._~", c) != NULL);
        if (plain) {
            buf_putc(out, (char)c);
        } else {
            buf_printf(out, "%%%02X", c);
        }
    }
}

// application/x-www-form-urlencoded: "+" is a space; a "%" that starts no escape stands for itself
// (the URL standard, section 5.1). Bytes that are no UTF-8 become U+FFFD when written as JSON.
static void append_decoded(Buf *out, Slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char hex[3] = {0};
        char *end = hex;
        if (text.ptr[i] == '%' && i + 2 < text.len) {
            memcpy(hex, text.ptr + i + 1, 2);
            bool digits = strspn(hex, "0123456789abcdefABCDEF") == 2;
            long value = digits ? strtol(hex, &end, 16) : 0;
            if (digits) {
                buf_putc(out, (char)value);
                i += 2;
                continue;
            }
        }
        buf_putc(out, (char)(text.ptr[i] == '+' ? ' ' : text.ptr[i]));
    }
}

// "a=1&a=2&b" is [["a", "1"], ["a", "2"], ["b", ""]]: in order, nothing folded; Object.fromEntries
// makes an object of it.
static int parse_query(ScriptCall *call, Err *e)
{
    Slice text, pair, name, value;
    int rc = script_arg_to_string(call, 0, "the query", &text, e);
    if (rc != 0) {
        return rc;
    }
    if (text.len > 0 && text.ptr[0] == '?') {
        text = slice_sub(text, 1, text.len);
    }
    Buf json = buf_create(text.len * 8 + 64);
    Buf part = buf_create(text.len + 1);
    JsonWriter w = json_writer(&json, 0);
    json_array_begin(&w);
    while (text.len > 0) {
        (void)slice_cut(text, '&', &pair, &text);
        if (pair.len == 0) {
            continue;
        }
        (void)slice_cut(pair, '=', &name, &value);
        json_array_begin(&w);
        buf_reset(&part);
        append_decoded(&part, name);
        json_string(&w, buf_slice(&part));
        buf_reset(&part);
        append_decoded(&part, value);
        json_string(&w, buf_slice(&part));
        json_array_end(&w);
    }
    json_array_end(&w);
    rc = script_return_json(call, buf_slice(&json), e);
    buf_done(&part);
    buf_done(&json);
    return rc;
}

static void append_pair(Buf *out, Slice name, const Doc *value)
{
    Buf text = buf_create(DOC_BYTES_MAX);
    if (value->type == DOC_STRING) {
        buf_append(&text, value->text);
    } else {
        JsonWriter w = json_writer(&text, 0);
        doc_write(&w, value);
    }
    buf_puts(out, out->len > 0 ? "&" : "");
    append_encoded(out, name);
    buf_putc(out, '=');
    append_encoded(out, buf_slice(&text));
    buf_done(&text);
}

// An object; a member that is an array gives one pair for each item.
static int format_query(ScriptCall *call, Err *e)
{
    const Doc *doc;
    Arena *arena = arena_create((size_t)64 << 20);
    Buf out = buf_create(DOC_BYTES_MAX);
    int rc = script_arg_to_doc(call, 0, "the query", arena, &doc, e);
    if (rc == 0) {
        rc = doc_expect(doc, DOC_OBJECT, "the query", e);
    }
    for (const Doc *m = rc == 0 ? doc_first(doc) : NULL; m; m = doc_next(m)) {
        if (m->type != DOC_ARRAY) {
            append_pair(&out, m->key, m);
        }
        for (const Doc *item = m->type == DOC_ARRAY ? doc_first(m) : NULL; item;
             item = doc_next(item)) {
            append_pair(&out, m->key, item);
        }
    }
    if (rc == 0) {
        rc = buf_check(&out, "the query", e);
    }
    if (rc == 0) {
        script_return_string(call, buf_slice(&out));
    }
    buf_done(&out);
    arena_destroy(arena);
    return rc;
}

static const ScriptFunction functions[] = {
    {"parse", 1, parse_text},
    {"resolve", 2, resolve_text},
    {"parseQuery", 1, parse_query},
    {"formatQuery", 1, format_query},
};
const ScriptModule script_url = {SCRIPT_IMPORT, "url", functions, COUNT_OF(functions)};
