// Parameters: each tunable number of a policy or engine is declared once in a table, and that table
// drives files, command line, reports and the planners' search.
//
//     enum { RETRY_ATTEMPTS, RETRY_BACKOFF };
//     static const Param RETRY_PARAMS[] = {
//         [RETRY_ATTEMPTS] = {.name = "attempts", .kind = PARAM_INT, .min = 1, .max = 10,
//                             .initial.integer = 3, .live = true, .help = "Tries in all."},
//         [RETRY_BACKOFF] = {.name = "backoff", .kind = PARAM_DURATION, .max = 60e9,
//                            .initial.integer = 100 * NS_PER_MS, .help = "First pause."},
//     };
//     static const ParamTable RETRY = {"retry", RETRY_PARAMS, COUNT_OF(RETRY_PARAMS)};
//     ParamValue values[COUNT_OF(RETRY_PARAMS)];
//     param_defaults(&RETRY, values);
//     if ((rc = param_read(&RETRY, doc_get(policy, SLICE("retry")), values, e)) != 0) ...
//
// Values are plain arrays beside the table: copying one is copying a configuration.
#ifndef BASE_PARAM_H
#define BASE_PARAM_H

#include "base/doc.h"
#include "base/json_write.h"
#include "base/units.h"

typedef enum ParamKind {
    PARAM_BOOL,
    PARAM_INT,
    PARAM_FLOAT,
    PARAM_DURATION, // integer, ns; in documents text as "250ms"
    PARAM_SIZE,     // integer, bytes; in documents text as "64KiB" or a whole number
    PARAM_CHOICE,   // integer, index into `choices`
} ParamKind;

typedef union ParamValue {
    bool boolean;    // PARAM_BOOL
    double real;     // PARAM_FLOAT
    int64_t integer; // the others
} ParamValue;

typedef struct Param {
    const char *name; // as in documents: snake_case
    ParamKind kind;
    const char *unit;           // for people where the kind does not say it: "requests"; or NULL
    double min, max;            // inclusive; both 0: any value of the kind
    const char *const *choices; // PARAM_CHOICE: ends with NULL
    ParamValue initial;
    bool live;        // may be changed while running
    const char *help; // one sentence
} Param;

typedef struct ParamTable {
    const char *owner; // the policy or engine: "retry"
    const Param *params;
    size_t count;
} ParamTable;

void param_defaults(const ParamTable *table, ParamValue *values);

// The index of `name`, or -1.
ptrdiff_t param_find(const ParamTable *table, Slice name);

// 0, or ERR_ARG with "retry.attempts: 11 is not between 1 and 10".
MUST_USE int param_check(const ParamTable *table, size_t index, ParamValue value, Err *e);

// Takes the members of `object` over `values`; those that are missing keep what they have, NULL
// changes nothing. Unknown members, wrong types and ranges are errors at their place, and then
// `values` is unchanged.
MUST_USE int param_read(const ParamTable *table, const Doc *object, ParamValue *values, Err *e);

// One value from a document, for readers whose objects hold more than parameters. Wrong types and
// ranges are errors at its place, and then *ret_value is unchanged.
MUST_USE int param_read_value(const ParamTable *table, size_t index, const Doc *value,
                              ParamValue *ret_value, Err *e);

// Sets one parameter from text: "attempts", "5". With `running` only live ones: ERR_REFUSED.
MUST_USE int param_set(const ParamTable *table, Slice name, Slice text, bool running,
                       ParamValue *values, Err *e);

// The values as one JSON object that param_read reads back.
void param_write(const ParamTable *table, const ParamValue *values, JsonWriter *w);
// One value as its kind is written: a number, a boolean, or the words of param_format.
void param_write_value(const Param *param, ParamValue value, JsonWriter *w);

// One value as text for people and for param_set: "250ms", "64KiB", "true".
void param_format(const Param *param, ParamValue value, Buf *out);

#endif
