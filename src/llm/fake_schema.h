// A value that fits a JSON schema: what a fake model answers where structured output is asked for,
// and the arguments of the tools it calls.
//
// Understood: type (also a list of types, and Gemini's upper-case names), const, enum, properties
// with required, items, prefixItems, minItems, minLength, minimum and maximum (also exclusive),
// multipleOf, format for dates and the like, anyOf, oneOf, allOf and local "$ref". A pattern is
// not: such a text is made without looking at it. All properties are given, required or not, as far
// as the nesting limit goes; beyond it only the required ones.
#ifndef LLM_FAKE_SCHEMA_H
#define LLM_FAKE_SCHEMA_H

#include "base/buf.h"
#include "base/json_view.h"

enum {
    FAKE_SCHEMA_DEPTH_MAX = 24,
    FAKE_SCHEMA_OPTIONAL_DEPTH = 5,
    FAKE_SCHEMA_VALUES_MAX = 20000,
    FAKE_SCHEMA_BYTES_MAX = 1 << 20, // of `out`; what would begin behind it is null
};

// Appends the value as compact JSON. `schema` NULL gives {}.
void fake_schema_value(JsonVal *schema, Buf *out);

#endif
