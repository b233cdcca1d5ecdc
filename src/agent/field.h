// One table of fields drives the reading of a configuration section into a plain C struct, the
// messages about what is wrong in it, and the manual's table of keys.
//
//     typedef struct Pool { int64_t size; bool enabled; Slice name; } Pool;
//     static const Field POOL[] = {
//         {{.name = "size", .kind = PARAM_INT, .min = 1, .max = 100, .initial.integer = 10,
//           .help = "Connections kept."}, FIELD_NUMBER, offsetof(Pool, size)},
//         ...
//     };
//     static const FieldTable POOL_TABLE = {"pool", POOL, COUNT_OF(POOL)};
//     Pool pool;
//     fields_init(&POOL_TABLE, &pool);
//     rc = fields_read(arena, &POOL_TABLE, doc, &pool, e);
//
// Numbers are the parameters of base/param.h: PARAM_BOOL is stored as bool, PARAM_FLOAT as double,
// every other kind as int64_t.
#ifndef AGENT_FIELD_H
#define AGENT_FIELD_H

#include "base/param.h"

typedef enum FieldKind {
    FIELD_NUMBER, // param.kind says which
    FIELD_TEXT,   // Slice
    FIELD_PATH,   // Slice; relative ones are relative to the file that says it
    FIELD_NAMES,  // FieldNames: an array of strings, each at most once
    FIELD_WORDS,  // FieldNames: an array of strings
    FIELD_TREE,   // const Doc *: an object that somebody else reads
} FieldKind;

typedef struct Field {
    Param param; // .name and .help; the rest for FIELD_NUMBER
    FieldKind kind;
    size_t offset; // in the struct
} Field;

typedef struct FieldTable {
    const char *section; // "runner"
    const Field *fields;
    size_t count;
} FieldTable;

typedef struct FieldNames {
    const Slice *items;
    size_t count;
    const Doc *doc; // where they stand; NULL when they were not given
} FieldNames;

enum { FIELDS_MAX = 64, FIELD_NAMES_MAX = 1000 };

// Sets numbers to their initial values and everything else to nothing.
void fields_init(const FieldTable *table, void *into);

// Takes the members of `object`, which may be NULL. Unknown members are refused with the nearest
// right name, wrong types and ranges at their place.
MUST_USE int fields_read(Arena *arena, const FieldTable *table, const Doc *object, void *into,
                         Err *e);

// The struct as a JSON object that fields_read takes back; what was not given is left out.
void fields_write(const FieldTable *table, const void *from, JsonWriter *w);

#endif
