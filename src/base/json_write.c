#include "base/json_write.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

#include "base/utf8.h"

static void new_line(JsonWriter *w)
{
    if (w->indent > 0) {
        buf_printf(w->out, "\n%*s", w->indent * w->depth, "");
    }
}

// What has to stand before a value or a key.
static void separate(JsonWriter *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0) {
        return;
    }
    bool *has_items = &w->has_items[w->depth - 1];
    if (*has_items) {
        buf_putc(w->out, ',');
    }
    *has_items = true;
    new_line(w);
}

static void begin(JsonWriter *w, char bracket)
{
    assert(w->depth < JSON_DEPTH_MAX);
    separate(w);
    buf_putc(w->out, bracket);
    w->has_items[w->depth++] = false;
}

static void end(JsonWriter *w, char bracket)
{
    assert(w->depth > 0 && !w->after_key);
    if (w->has_items[--w->depth]) {
        new_line(w);
    }
    buf_putc(w->out, bracket);
}

void json_object_begin(JsonWriter *w)
{
    begin(w, '{');
}

void json_object_end(JsonWriter *w)
{
    end(w, '}');
}

void json_array_begin(JsonWriter *w)
{
    begin(w, '[');
}

void json_array_end(JsonWriter *w)
{
    end(w, ']');
}

void json_key(JsonWriter *w, Slice key)
{
    assert(w->depth > 0 && !w->after_key);
    separate(w);
    json_quote(w->out, key);
    buf_puts(w->out, w->indent > 0 ? ": " : ":");
    w->after_key = true;
}

void json_null(JsonWriter *w)
{
    json_raw(w, SLICE("null"));
}

void json_bool(JsonWriter *w, bool value)
{
    json_raw(w, value ? SLICE("true") : SLICE("false"));
}

void json_int(JsonWriter *w, int64_t value)
{
    separate(w);
    buf_printf(w->out, "%" PRId64, value);
}

void json_uint(JsonWriter *w, uint64_t value)
{
    separate(w);
    buf_printf(w->out, "%" PRIu64, value);
}

void json_double(JsonWriter *w, double value)
{
    if (!isfinite(value)) {
        json_null(w);
        return;
    }
    char text[JSON_DOUBLE_MAX];
    size_t len = json_format_double(value, text);
    json_raw(w, (Slice){text, len});
}

void json_string(JsonWriter *w, Slice text)
{
    separate(w);
    json_quote(w->out, text);
}

void json_cstr(JsonWriter *w, const char *text)
{
    if (text) {
        json_string(w, slice_from_cstr(text));
    } else {
        json_null(w);
    }
}

void json_raw(JsonWriter *w, Slice json)
{
    separate(w);
    buf_append(w->out, json);
}

void json_field_string(JsonWriter *w, const char *key, Slice text)
{
    json_key(w, slice_from_cstr(key));
    json_string(w, text);
}

void json_field_cstr(JsonWriter *w, const char *key, const char *text)
{
    json_key(w, slice_from_cstr(key));
    json_cstr(w, text);
}

void json_field_int(JsonWriter *w, const char *key, int64_t value)
{
    json_key(w, slice_from_cstr(key));
    json_int(w, value);
}

void json_field_double(JsonWriter *w, const char *key, double value)
{
    json_key(w, slice_from_cstr(key));
    json_double(w, value);
}

void json_field_bool(JsonWriter *w, const char *key, bool value)
{
    json_key(w, slice_from_cstr(key));
    json_bool(w, value);
}

// "d.ddde+NN" with the fewest digits that read back as `value`. 15 digits survive the way through a
// double and back, so what is left of 15 after dropping zeros is the shortest, if it reads back at
// all; subnormals hold fewer and are tried from one digit on.
static void shortest_exponent_form(double value, char text[JSON_DOUBLE_MAX])
{
    int precision = value < 2.2250738585072014e-308 ? 0 : 14;
    for (; precision <= 16; precision++) {
        (void)snprintf(text, JSON_DOUBLE_MAX, "%.*e", precision, value);
        if (strtod(text, NULL) == value) {
            return;
        }
    }
}

// Number::toString of ECMA-262: plain up to 21 digits and down to 1e-6, else with an exponent.
size_t json_format_double(double value, char out[JSON_DOUBLE_MAX])
{
    if (value == 0) {
        memcpy(out, "0", 2);
        return 1;
    }
    char form[JSON_DOUBLE_MAX], digits[20];
    shortest_exponent_form(fabs(value), form);
    int count = 0;
    const char *p = form;
    for (; *p != 'e'; p++) {
        if (*p != '.') {
            digits[count++] = *p;
        }
    }
    int point = (int)strtol(p + 1, NULL, 10) + 1; // the value is 0.digits * 10^point
    while (count > 1 && digits[count - 1] == '0') {
        count--;
    }
    const char *sign = value < 0 ? "-" : "";
    int len = 0;
    if (point >= count && point <= 21) {
        len = snprintf(out, JSON_DOUBLE_MAX, "%s%.*s%.*s", sign, count, digits, point - count,
                       "00000000000000000000");
    } else if (point > 0 && point <= 21) {
        len = snprintf(out, JSON_DOUBLE_MAX, "%s%.*s.%.*s", sign, point, digits, count - point,
                       digits + point);
    } else if (point > -6 && point <= 0) {
        len = snprintf(out, JSON_DOUBLE_MAX, "%s0.%.*s%.*s", sign, -point, "000000", count, digits);
    } else {
        len = snprintf(out, JSON_DOUBLE_MAX, "%s%c%s%.*se%+d", sign, digits[0],
                       count > 1 ? "." : "", count - 1, digits + 1, point - 1);
    }
    return (size_t)len;
}

// One byte that JSON cannot hold as it is.
static void escape(Buf *out, unsigned char c)
{
    static const char from[] = "\b\t\n\f\r\"\\";
    static const char to[] = "btnfr\"\\";
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        char pair[2] = {'\\', to[known - from]};
        buf_append(out, (Slice){pair, 2});
    } else {
        buf_printf(out, "\\u%04x", c);
    }
}

void json_quote(Buf *out, Slice text)
{
    buf_putc(out, '"');
    size_t plain = 0; // start of the run that needs no change
    for (size_t at = 0; at < text.len;) {
        unsigned char c = (unsigned char)text.ptr[at];
        uint32_t decoded = 0;
        size_t len = c < 0x80 ? 1 : utf8_decode(slice_sub(text, at, 4), &decoded);
        if (len > 0 && c >= 0x20 && c != '"' && c != '\\') {
            at += len;
            continue;
        }
        buf_append(out, slice_sub(text, plain, at - plain));
        if (len == 0) {
            buf_puts(out, "\xEF\xBF\xBD");
        } else {
            escape(out, c);
        }
        plain = ++at;
    }
    buf_append(out, slice_sub(text, plain, text.len));
    buf_putc(out, '"');
}

// Recursion is bounded by DOC_DEPTH_MAX.
static void write_tree(JsonWriter *w, const Doc *doc, bool sorted)
{
    switch (doc->type) {
    case DOC_NULL: json_null(w); break;
    case DOC_BOOL: json_bool(w, doc->boolean); break;
    case DOC_INT: json_int(w, doc->integer); break;
    case DOC_FLOAT: json_double(w, doc->real); break;
    case DOC_STRING:
    case DOC_DATETIME: json_string(w, doc->text); break;
    case DOC_ARRAY:
        json_array_begin(w);
        for (const Doc *m = doc_first(doc); m; m = doc_next(m)) {
            write_tree(w, m, sorted);
        }
        json_array_end(w);
        break;
    case DOC_OBJECT:
        json_object_begin(w);
        const Doc *m = doc_first(doc);
        for (size_t i = 0; i < doc_count(doc); i++, m = doc_next(m)) {
            const Doc *member = sorted ? doc->index_[i] : m;
            json_key(w, member->key);
            write_tree(w, member, sorted);
        }
        json_object_end(w);
        break;
    }
}

// One level more for the array of doc_parse_all.
_Static_assert((int)DOC_DEPTH_MAX < (int)JSON_DEPTH_MAX, "every Doc can be written");

void doc_write(JsonWriter *w, const Doc *doc)
{
    write_tree(w, doc, false);
}

void doc_write_canonical(const Doc *doc, Buf *out)
{
    JsonWriter w = json_writer(out, 0);
    write_tree(&w, doc, true);
}
