// A streaming JSON writer into a Buf, and the canonical form of a Doc for hashing.
//
//     JsonWriter w = json_writer(&out, 2);      // 0: compact, n: a line per item, n blanks a level
//     json_object_begin(&w);
//     json_key(&w, SLICE("p95_ms"));
//     json_double(&w, 12.5);
//     json_object_end(&w);
//
// The caller keeps the grammar: a key before every member, begin and end in pairs, at most
// JSON_DEPTH_MAX deep; asserts catch mistakes. Text that is no UTF-8 is written with U+FFFD in the
// place of the bad bytes, so the output is always valid. Check the Buf once at the end.
#ifndef BASE_JSON_WRITE_H
#define BASE_JSON_WRITE_H

#include "base/buf.h"
#include "base/doc.h"

enum { JSON_DEPTH_MAX = 128, JSON_DOUBLE_MAX = 32 };

typedef struct JsonWriter {
    Buf *out;
    int indent;
    int depth;
    bool after_key;
    bool has_items[JSON_DEPTH_MAX]; // by level: a comma is due before the next item
} JsonWriter;

static inline JsonWriter json_writer(Buf *out, int indent)
{
    return (JsonWriter){.out = out, .indent = indent};
}

void json_object_begin(JsonWriter *w);
void json_object_end(JsonWriter *w);
void json_array_begin(JsonWriter *w);
void json_array_end(JsonWriter *w);
void json_key(JsonWriter *w, Slice key);

void json_null(JsonWriter *w);
void json_bool(JsonWriter *w, bool value);
void json_int(JsonWriter *w, int64_t value);
void json_uint(JsonWriter *w, uint64_t value);
// Shortest decimal that reads back as the same double, in ECMAScript's notation; null for NaN and
// the infinities, which JSON cannot say.
void json_double(JsonWriter *w, double value);
void json_string(JsonWriter *w, Slice text);
void json_cstr(JsonWriter *w, const char *text); // NULL is written as null
void json_raw(JsonWriter *w, Slice json);        // a value that is JSON already

// json_key and the value in one call.
void json_field_string(JsonWriter *w, const char *key, Slice text);
void json_field_cstr(JsonWriter *w, const char *key, const char *text);
void json_field_int(JsonWriter *w, const char *key, int64_t value);
void json_field_double(JsonWriter *w, const char *key, double value);
void json_field_bool(JsonWriter *w, const char *key, bool value);

// The number as json_double writes it, NUL-terminated; returns its length. `value` must be finite.
size_t json_format_double(double value, char out[JSON_DOUBLE_MAX]);
// Appends `text` in quotes, escaped.
void json_quote(Buf *out, Slice text);

// Writes the tree as one value, in source order. Dates are strings; NaN and infinities null.
void doc_write(JsonWriter *w, const Doc *doc);

// Appends the canonical form: compact, members sorted, numbers in shortest form. Equal trees give
// equal bytes, whatever format and order they were written in. As RFC 8785 except that keys sort
// by code point (the RFC: by UTF-16 unit, which differs above U+FFFF) and that integers are exact
// to 64 bits (the RFC: to 53).
void doc_write_canonical(const Doc *doc, Buf *out);

#endif
