// JsonPath: one value out of a JSON text by a path, without building a tree. The paths are a subset
// of gjson's (github.com/tidwall/gjson, SYNTAX.md), which k6's response.json() takes:
//
//     user.name           member of a member
//     items.0             item of an array, from 0
//     fav\.movie          a key with a dot in it; "\" takes the next byte as it is
//     items.#             how many items there are
//     items.#.id          the ids of all items that have one, as an array
//     items.#(id==7).name of the first item for which the condition holds
//     items.#(id>7)#.name of all of them, as an array
//     tags.#(=="new")     conditions on the items themselves
//     items.#(owner)      the first that has an owner
//
// Operators: == (or =), !=, <, <=, >, >=, % (matches a pattern of * and ?), !%. A string compares
// with the text by bytes; a number with it as a number, and where it is none only != holds; true
// and false only with == and != (gjson also orders them); null, arrays and objects with nothing.
// Not supported, and refused by json_path_check(): wildcards in keys, "|", "@modifiers", "..",
// multipaths in braces, "~".
//
// As in gjson the text is not validated: what stands behind the value is never looked at, and text
// that is no JSON gives no value or a piece of itself, never anything else. The first of equal keys
// counts. O(length), no recursion over the text.
#ifndef LOAD_JSON_PATH_H
#define LOAD_JSON_PATH_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

typedef enum JsonType {
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
} JsonType;

typedef struct JsonValue {
    JsonType type;
    Slice raw; // as it stands in the text, quotes included
} JsonValue;

enum {
    JSON_PATH_BYTES_MAX = 1024,
    JSON_PATH_PARTS_MAX = 32,
    JSON_PATH_CONDITIONS_MAX = 8, // opening parentheses
    JSON_PATH_RESULT_MAX = 16 << 20,
};

// ERR_PARSE with words for a path outside the subset, ERR_LIMIT past the limits above.
MUST_USE int json_path_check(Slice path, Err *e);

// True and *ret_value when there is such a value. Results that the text does not contain (counts
// and "#" arrays) are made in `scratch`, which is reset first; one that passes its ceiling is no
// value. *ret_value borrows from `json` and `scratch`.
bool json_path_get(Slice json, Slice path, Buf *scratch, JsonValue *ret_value);

// The value as text, appended: strings without quotes and escapes, everything else as it stands.
// U+FFFD stands for half a surrogate pair.
void json_value_text(const JsonValue *value, Buf *out);

#endif
