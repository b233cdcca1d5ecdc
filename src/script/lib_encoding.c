#include "script/engine.h"

#include "base/utf8.h"

// Base64 (RFC 4648 sections 4 and 5), hexadecimal, UTF-8. Where something is decoded, "bytes" as
// the last argument asks for an ArrayBuffer; otherwise the result is text and must be UTF-8.

// "std", "url" (with padding), "raw" and "rawurl" (without).
static int variant_arg(ScriptCall *call, bool *ret_url, bool *ret_raw, Err *e)
{
    Slice name = SLICE("std");
    if (script_arg_is_given(call, 1)) {
        int rc = script_arg_to_string(call, 1, "the variant", &name, e);
        if (rc != 0) {
            return rc;
        }
    }
    *ret_url = slice_eq(name, SLICE("url")) || slice_eq(name, SLICE("rawurl"));
    *ret_raw = slice_eq(name, SLICE("raw")) || slice_eq(name, SLICE("rawurl"));
    if (!*ret_url && !*ret_raw && !slice_eq(name, SLICE("std"))) {
        return err_set(e, ERR_ARG, "base64 variants are std, url, raw and rawurl, not \"%.*s\"",
                       SLICE_FMT(name));
    }
    return 0;
}

static void translate(Buf *b, const char *from, const char *to)
{
    for (size_t i = 0; i < b->len; i++) {
        const char *at = b->data[i] ? strchr(from, b->data[i]) : NULL;
        b->data[i] = at ? to[at - from] : b->data[i];
    }
}

static int b64_encode(ScriptCall *call, Err *e)
{
    Slice bytes;
    bool url, raw;
    int rc = script_arg_to_bytes(call, 0, "the data", &bytes, e);
    if (rc == 0) {
        rc = variant_arg(call, &url, &raw, e);
    }
    if (rc != 0) {
        return rc;
    }
    Buf out = buf_create(bytes.len * 2 + 16);
    buf_append_base64(&out, bytes.ptr, bytes.len);
    if (url) {
        translate(&out, "+/", "-_");
    }
    while (raw && out.len > 0 && out.data[out.len - 1] == '=') {
        out.len--;
    }
    script_return_string(call, buf_slice(&out));
    buf_done(&out);
    return 0;
}

static int return_decoded(ScriptCall *call, size_t index, Slice bytes, Err *e)
{
    Slice as = {NULL, 0};
    if (script_arg_is_given(call, index)) {
        int rc = script_arg_to_string(call, index, "the form of the result", &as, e);
        if (rc != 0) {
            return rc;
        }
    }
    if (slice_eq(as, SLICE("bytes"))) {
        script_return_bytes(call, bytes);
        return 0;
    }
    if (utf8_find_invalid(bytes) >= 0) {
        return err_set(e, ERR_PARSE, "the decoded bytes are no text; ask for \"bytes\"");
    }
    script_return_string(call, bytes);
    return 0;
}

static int b64_decode(ScriptCall *call, Err *e)
{
    Slice text;
    bool url, raw;
    int rc = script_arg_to_string(call, 0, "the text", &text, e);
    if (rc == 0) {
        rc = variant_arg(call, &url, &raw, e);
    }
    if (rc != 0) {
        return rc;
    }
    Buf in = buf_create(text.len + 16);
    Buf out = buf_create(text.len + 16);
    buf_append(&in, text);
    if (url) {
        // What belongs to the other alphabet must not pass for this one.
        translate(&in, "+/-_", "!!+/");
    }
    while (raw && in.len % 4 != 0 && in.len % 4 != 1) {
        buf_putc(&in, '=');
    }
    rc = buf_append_base64_decoded(&out, buf_slice(&in));
    rc = rc != 0 ? err_set(e, ERR_PARSE, "this is no base64")
                 : return_decoded(call, 2, buf_slice(&out), e);
    buf_done(&in);
    buf_done(&out);
    return rc;
}

static int hex_encode(ScriptCall *call, Err *e)
{
    Slice bytes;
    int rc = script_arg_to_bytes(call, 0, "the data", &bytes, e);
    if (rc != 0) {
        return rc;
    }
    Buf out = buf_create(bytes.len * 2 + 1);
    buf_append_hex(&out, bytes.ptr, bytes.len);
    script_return_string(call, buf_slice(&out));
    buf_done(&out);
    return 0;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int hex_decode(ScriptCall *call, Err *e)
{
    Slice text;
    int rc = script_arg_to_string(call, 0, "the text", &text, e);
    if (rc != 0) {
        return rc;
    }
    Buf out = buf_create(text.len / 2 + 1);
    for (size_t i = 0; i < text.len && rc == 0; i += 2) {
        int high = hex_digit(text.ptr[i]);
        int low = i + 1 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
        if (high < 0 || low < 0) {
            rc = err_set(e, ERR_PARSE, "this is no hexadecimal: position %zu", i);
        } else {
            buf_putc(&out, (char)(high * 16 + low));
        }
    }
    if (rc == 0) {
        rc = return_decoded(call, 1, buf_slice(&out), e);
    }
    buf_done(&out);
    return rc;
}

static int utf8_encode_text(ScriptCall *call, Err *e)
{
    Slice text;
    int rc = script_arg_to_string(call, 0, "the text", &text, e);
    if (rc == 0) {
        script_return_bytes(call, text);
    }
    return rc;
}

static int utf8_decode_bytes(ScriptCall *call, Err *e)
{
    Slice bytes;
    int rc = script_arg_to_bytes(call, 0, "the bytes", &bytes, e);
    return rc != 0 ? rc : return_decoded(call, SCRIPT_ARGS_MAX, bytes, e);
}

static const ScriptFunction functions[] = {
    {"b64encode", 2, b64_encode},        {"b64decode", 3, b64_decode},
    {"hexEncode", 1, hex_encode},        {"hexDecode", 2, hex_decode},
    {"utf8Encode", 1, utf8_encode_text}, {"utf8Decode", 1, utf8_decode_bytes},
};
const ScriptModule script_encoding = {SCRIPT_IMPORT, "encoding", functions, COUNT_OF(functions)};
