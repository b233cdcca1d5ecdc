// Doc: one tree for JSON, YAML and TOML that remembers where everything stood, so that every later
// complaint about a plan, an SLO or a setting can name file, line and column.
//
// The tree lives in the arena it was read into, is immutable, and keeps nothing of the input text:
// the text may be freed after reading. Any thread may read it.
//
//     const Doc *plan = NULL;
//     if ((rc = doc_read_file(arena, "plan.yaml", NULL, &plan, e)) != 0) { return rc; }
//     for (const Doc *m = doc_first(plan); m; m = doc_next(m)) {
//         if (slice_eq(m->key, SLICE("vus")) && m->type != DOC_INT) {
//             return doc_err(e, m, "vus must be a whole number");   // plan.yaml:3:8: vus must ...
//         }
//     }
//
// What the three formats have in common, and where they are narrowed:
// - Objects keep source order; a key that is there twice is an error that names both places.
// - YAML scalars follow the core schema of YAML 1.2 (so `no`, `on` and `12:30` are strings and
//   `010` is ten). Merge keys, custom tags and keys that are not scalars are refused.
// - An integer that int64 cannot hold is DOC_FLOAT (JSON, YAML) or an error (TOML); `text` keeps
//   the spelling of every number, so that nothing is lost. JSON numbers are finite; YAML and TOML
//   may say .inf and nan.
// - TOML's four kinds of date and time are DOC_DATETIME with the text as written.
#ifndef BASE_DOC_H
#define BASE_DOC_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

typedef enum DocType {
    DOC_NULL,
    DOC_BOOL,
    DOC_INT,
    DOC_FLOAT,
    DOC_STRING,
    DOC_ARRAY,
    DOC_OBJECT,
    DOC_DATETIME,
} DocType;

typedef struct Doc Doc;
struct Doc {
    DocType type;
    int line, column;         // of the value, from 1; columns count characters, not bytes
    int key_line, key_column; // of the key, in members of an object
    Slice key;
    Slice text; // DOC_STRING: the value; numbers and DOC_DATETIME: as written. NUL follows.
    union {
        bool boolean;
        int64_t integer;
        double real;
    };
    const char *source; // the name the tree was read under
    // Private: use the functions below.
    Doc *first_, *next_;
    size_t count_;
    Doc **index_; // arrays: in order; objects: sorted by key
};

typedef enum DocFormat {
    DOC_FORMAT_BY_NAME, // .json, .yaml, .yml or .toml at the end of `source`
    DOC_FORMAT_JSON,
    DOC_FORMAT_YAML,
    DOC_FORMAT_TOML,
} DocFormat;

enum {
    DOC_BYTES_MAX = 16 << 20, // the defaults of the limits below
    DOC_NODES_MAX = 1000000,
    DOC_DEPTH_MAX = 64,
    DOC_ALIAS_NODES_MAX = 10000,
};

// Zero in a limit takes its default. Passing a limit is ERR_LIMIT with the position.
typedef struct DocOptions {
    DocFormat format;
    const char *source;     // for messages; NULL: "input", or the path in doc_read_file
    size_t max_bytes;       // of the text
    size_t max_nodes;       // values in the tree, aliases expanded
    size_t max_depth;       // of nested arrays and objects; more than DOC_DEPTH_MAX is clamped
    size_t max_alias_nodes; // values that YAML aliases may add in all ("billion laughs")
} DocOptions;

// Reads one document. ERR_PARSE and ERR_LIMIT read "source:line:column: what is wrong". An empty
// YAML text is DOC_NULL; several YAML documents in one text are an error. With `options` NULL the
// text is JSON.
MUST_USE int doc_parse(Arena *arena, Slice text, const DocOptions *options, const Doc **ret_doc,
                       Err *e);
// Reads all documents of a YAML stream as the items of one DOC_ARRAY, possibly none. The other
// formats give an array of one.
MUST_USE int doc_parse_all(Arena *arena, Slice text, const DocOptions *options,
                           const Doc **ret_array, Err *e);
// Reads the file at `path`, one document; ERR_IO, or ERR_LIMIT past max_bytes.
MUST_USE int doc_read_file(Arena *arena, const char *path, const DocOptions *options,
                           const Doc **ret_doc, Err *e);
MUST_USE int doc_read_file_all(Arena *arena, const char *path, const DocOptions *options,
                               const Doc **ret_array, Err *e);

// Items of an array or members of an object, in source order; NULL and 0 for scalars and NULL.
static inline const Doc *doc_first(const Doc *d)
{
    return d ? d->first_ : NULL;
}
static inline const Doc *doc_next(const Doc *d)
{
    return d->next_;
}
static inline size_t doc_count(const Doc *d)
{
    return d ? d->count_ : 0;
}
// The member `key`, or NULL when it is missing or `object` is no object. O(log members).
const Doc *doc_get(const Doc *object, Slice key);
// The item `index`, or NULL. O(1).
const Doc *doc_at(const Doc *array, size_t index);

static inline bool doc_is_number(const Doc *d)
{
    return d && (d->type == DOC_INT || d->type == DOC_FLOAT);
}
// The value of DOC_INT or DOC_FLOAT as a double, 0 for anything else.
double doc_number(const Doc *d);

// "an object", "a string", "a whole number": for messages.
const char *doc_type_name(DocType type);

// Returns ERR_PARSE with "source:line:column: " before the text; the position is the value's, or
// the key's in doc_err_key.
int doc_err(Err *e, const Doc *at, const char *format, ...) PRINTF_LIKE(3, 4);
int doc_err_key(Err *e, const Doc *at, const char *format, ...) PRINTF_LIKE(3, 4);
// 0 when `d` has the type, else "`what` must be a string, not an array" at its place.
MUST_USE int doc_expect(const Doc *d, DocType type, const char *what, Err *e);
// 0 when every member of `object` is one of `names`, else an error at the first that is not, with
// the nearest right name.
MUST_USE int doc_expect_fields(const Doc *object, const Slice *names, size_t count, Err *e);

#endif
