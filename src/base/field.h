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
#ifndef BASE_FIELD_H
#define BASE_FIELD_H

#include "base/param.h"

typedef enum FieldKind {
    FIELD_NUMBER, // param.kind says which
    FIELD_TEXT,   // Slice
    FIELD_PATH,   // Slice; relative ones are relative to the file that says it
    FIELD_NAMES,  // FieldNames: an array of strings, each at most once
    FIELD_WORDS,  // FieldNames: an array of strings
    FIELD_TREE,   // const Doc *: an object that somebody else reads
    FIELD_ANY,    // const Doc *: any value that somebody else reads
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

// One row a field: struct, member, key, then bounds and default where the kind has them.
// clang-format off
#define BOOL_FIELD(type, member, key, def, words) \
    {{.name = key, .kind = PARAM_BOOL, .initial.boolean = (def), .help = words}, \
     FIELD_NUMBER, offsetof(type, member)}
#define INT_FIELD(type, member, key, lo, hi, def, words) \
    {{.name = key, .kind = PARAM_INT, .min = (lo), .max = (hi), .initial.integer = (def), \
      .help = words}, FIELD_NUMBER, offsetof(type, member)}
#define TIME_FIELD(type, member, key, lo, hi, def, words) \
    {{.name = key, .kind = PARAM_DURATION, .min = (double)(lo), .max = (double)(hi), \
      .initial.integer = (def), .help = words}, FIELD_NUMBER, offsetof(type, member)}
#define SIZE_FIELD(type, member, key, lo, hi, def, words) \
    {{.name = key, .kind = PARAM_SIZE, .min = (double)(lo), .max = (double)(hi), \
      .initial.integer = (def), .help = words}, FIELD_NUMBER, offsetof(type, member)}
#define REAL_FIELD(type, member, key, lo, hi, def, words) \
    {{.name = key, .kind = PARAM_FLOAT, .min = (lo), .max = (hi), .initial.real = (def), \
      .help = words}, FIELD_NUMBER, offsetof(type, member)}
#define CHOICE_FIELD(type, member, key, list, def, words) \
    {{.name = key, .kind = PARAM_CHOICE, .choices = (list), .initial.integer = (def), \
      .help = words}, FIELD_NUMBER, offsetof(type, member)}
#define TEXT_FIELD(type, member, key, how, words) \
    {{.name = key, .help = words}, how, offsetof(type, member)}
// clang-format on

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
