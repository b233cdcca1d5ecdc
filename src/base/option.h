// Command lines: one table of options a verb drives parsing, the environment, help, shell
// completion and the manual page (option_export.h), so that they cannot disagree.
//
//     static const Option OPTIONS[] = {
//         {.name = "vus", .short_name = 'u', .kind = OPTION_INT, .min = 1, .max = 1000,
//          .default_text = "1", .env = "PERFWRIGHT_VUS", .help = "Virtual users."},
//         {.name = "duration", .short_name = 'd', .kind = OPTION_DURATION, .help = "How long."},
//         {.name = "color", .kind = OPTION_FLAG, .negatable = true, .help = "Colour."},
//         {.name = "label", .kind = OPTION_STRING, .repeat = true, .metavar = "KEY=VALUE"},
//     };
//     static const Verb LOADTEST = {.name = "loadtest", .summary = "...", OPTION_TABLE(OPTIONS)};
//
//     OptionSet *set = NULL;
//     if ((rc = option_parse(arena, &LOADTEST, args, count, getenv, &set, e)) != 0) { usage: 2 }
//     if (option_help_wanted(set)) { option_help(...); return 0; }
//     int64_t vus = option_int(set, "vus");
//
// Understood: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, -abc for three flags, --no-name where
// negatable, `--` (the rest are positional), options and positionals mixed, -h and --help. A value
// that starts with `--` must be written with `=`, because it is far more often a forgotten value.
// Command line beats environment beats default; given twice, the last wins, and repeatable options
// collect. Everything is checked here: kind, range, choice, required, number of positionals.
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/units.h"

typedef enum OptionKind {
    OPTION_FLAG,
    OPTION_STRING,
    OPTION_INT,
    OPTION_FLOAT,
    OPTION_DURATION, // units.h; so are the next three
    OPTION_RATE,
    OPTION_SIZE,
    OPTION_COUNT,
    OPTION_CHOICE, // one of `choices`
} OptionKind;

typedef struct Option {
    const char *name; // long name without dashes
    char short_name;  // 0: none
    OptionKind kind;
    const char *metavar;        // in help; NULL: by kind
    const char *default_text;   // in the option's own grammar; NULL: none
    const char *const *choices; // OPTION_CHOICE: ends with NULL
    const char *env;            // variable that overrides the default; lists are parted by commas
    const char *section;        // heading in help; NULL: "Options"
    const char *help;           // sentences, without the default, which is added
    int64_t default_unit;       // of a bare duration or rate period in ns; 0: refused
    double min, max; // inclusive, when not both 0; ns, bytes or the number; not for rates
    bool repeat, negatable, required, hidden;
} Option;

typedef struct Positional {
    const char *name; // "PLAN"
    const char *help;
    bool optional, many; // only the last may be `many`
} Positional;

typedef struct Example {
    const char *command, *what;
} Example;

typedef struct Verb {
    const char *name;        // "loadtest", or two words: "run list"
    const char *summary;     // one line without a full stop
    const char *description; // paragraphs parted by an empty line; may be NULL
    const Option *options;
    size_t option_count;
    const Positional *positionals;
    size_t positional_count;
    const Example *examples;
    size_t example_count;
} Verb;

#define OPTION_TABLE(table)     .options = (table), .option_count = COUNT_OF(table)
#define POSITIONAL_TABLE(table) .positionals = (table), .positional_count = COUNT_OF(table)
#define EXAMPLE_TABLE(table)    .examples = (table), .example_count = COUNT_OF(table)

enum { OPTION_VALUES_MAX = 10000 }; // of one option, and of the positionals

typedef enum OptionOrigin {
    OPTION_ABSENT,
    OPTION_FROM_DEFAULT,
    OPTION_FROM_ENV,
    OPTION_FROM_ARGS,
} OptionOrigin;

typedef struct OptionValue OptionValue;
struct OptionValue {
    const OptionValue *next; // of a repeatable option
    Slice text;              // as given; NUL follows
    union {
        bool flag;
        int64_t integer; // OPTION_INT, DURATION (ns), SIZE, COUNT, CHOICE (index)
        double real;
        Rate rate;
    };
};

typedef struct OptionSet OptionSet;

// `args` are the arguments behind the verb. `get_env` is getenv, or NULL for no environment.
// ERR_ARG with words for the person who typed it.
MUST_USE int option_parse(Arena *arena, const Verb *verb, const char *const *args, size_t count,
                          char *(*get_env)(const char *name), OptionSet **ret_set, Err *e);

// --help or -h was among the arguments; then nothing is required and no value should be used.
bool option_help_wanted(const OptionSet *set);

// The value of an option by its name in the table; another name or kind is a bug and asserts. For
// an option without value and default they return false, 0 or the empty slice.
bool option_flag(const OptionSet *set, const char *name);
Slice option_string(const OptionSet *set, const char *name);
int64_t option_int(const OptionSet *set, const char *name); // and duration, size, count, choice
double option_float(const OptionSet *set, const char *name);
Rate option_rate(const OptionSet *set, const char *name);
// All values of a repeatable option, in order; NULL when there are none.
const OptionValue *option_values(const OptionSet *set, const char *name);
OptionOrigin option_origin(const OptionSet *set, const char *name);
// Is in the verb's table: for code that several verbs share.
bool option_known(const OptionSet *set, const char *name);
// On the command line or in the environment.
bool option_given(const OptionSet *set, const char *name);

size_t option_positional_count(const OptionSet *set);
Slice option_positional(const OptionSet *set, size_t index); // empty past the end
// How many of the positionals stood behind `--`: `benchmark --runs 5 -- make test` has two.
size_t option_behind_dashes(const OptionSet *set);

// The text of --help. `program` is "perfwright", or "" for a program without verbs; `columns` the
// width to wrap at.
void option_help(Buf *out, const char *program, const Verb *verb, int columns);

// Checks a table: names unique and well-formed, defaults valid, help present. For tests.
MUST_USE int option_table_check(const Verb *verb, Err *e);

// "DURATION" and so on: what help shows behind the name, NULL for a flag.
const char *option_metavar(const Option *option);

#endif
