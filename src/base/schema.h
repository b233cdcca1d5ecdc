// Schema: checks a Doc against a JSON Schema (draft 2020-12), the subset that tools and structured
// model output are described with:
//
//   type (a name or a list), enum, const, properties, required, additionalProperties, items,
//   prefixItems, minItems, maxItems, uniqueItems, minProperties, maxProperties, minLength,
//   maxLength, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, allOf, anyOf,
//   oneOf, not, $ref to "#" or "#/$defs/..." of the same document, and true or false as a schema.
//
// `pattern` and `format` are taken as remarks, as a validator may: the regular expressions that
// schemas hold are ECMAScript's. What else a schema says is ignored, which is the standard's rule
// for unknown keywords.
//
//     rc = schema_check(schema, e);                             // once
//     rc = schema_validate(schema, value, "arguments", e);
//     // arguments.unit: must be one of "C", "F", not "K"
#ifndef BASE_SCHEMA_H
#define BASE_SCHEMA_H

#include "base/doc.h"

enum {
    SCHEMA_DEPTH_MAX = 128,     // of schemas within schemas, references followed
    SCHEMA_STEPS_MAX = 1000000, // schemas applied in one validation
};

// 0 when every keyword above has the type it must have and every $ref leads somewhere. ERR_PARSE at
// the place in the schema otherwise, ERR_LIMIT for one that is too deep.
MUST_USE int schema_check(const Doc *schema, Err *e);

// 0, or ERR_ARG with the path in the value (below `what`) and what is wrong there. ERR_LIMIT when
// a schema that refers to itself makes no end. `schema` has passed schema_check.
MUST_USE int schema_validate(const Doc *schema, const Doc *value, const char *what, Err *e);

#endif
