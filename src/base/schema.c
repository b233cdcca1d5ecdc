#include "base/schema.h"

#include <math.h>
#include <stdarg.h>

#include "base/json_write.h"
#include "base/utf8.h"

enum { PATH_BYTES_MAX = 256, SHOWN_BYTES_MAX = 120 };

typedef struct Validator {
    const Doc *root;
    Buf path; // of the value under test
    int depth;
    int steps;
    bool quiet; // inside anyOf and its kin a failure is not the last word
    Err *e;
} Validator;

static int apply(Validator *v, const Doc *schema, const Doc *value);

static bool is_type_name(Slice name)
{
    static const char *const names[] = {"null",   "boolean", "integer", "number",
                                        "string", "array",   "object"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (slice_eq_cstr(name, names[i])) {
            return true;
        }
    }
    return false;
}

static bool is_integer(const Doc *value)
{
    return value->type == DOC_INT ||
           (value->type == DOC_FLOAT && isfinite(value->real) && value->real == floor(value->real));
}

static bool has_type(const Doc *value, Slice name)
{
    switch (value->type) {
    case DOC_NULL: return slice_eq(name, SLICE("null"));
    case DOC_BOOL: return slice_eq(name, SLICE("boolean"));
    case DOC_INT:
    case DOC_FLOAT:
        return slice_eq(name, SLICE("number")) ||
               (slice_eq(name, SLICE("integer")) && is_integer(value));
    case DOC_STRING:
    case DOC_DATETIME: return slice_eq(name, SLICE("string"));
    case DOC_ARRAY: return slice_eq(name, SLICE("array"));
    case DOC_OBJECT: return slice_eq(name, SLICE("object"));
    }
    return false;
}

// "#", "#/$defs/name" and the like: a JSON pointer (RFC 6901) into the same document.
static const Doc *follow(const Doc *root, Slice reference)
{
    if (reference.len == 0 || reference.ptr[0] != '#') {
        return NULL;
    }
    const Doc *at = root;
    Slice rest = slice_sub(reference, 1, reference.len);
    while (at && rest.len > 0) {
        Slice part;
        if (rest.ptr[0] != '/') {
            return NULL;
        }
        (void)slice_cut(slice_sub(rest, 1, rest.len), '/', &part, &rest);
        // slice_cut takes the separator away; a pointer goes on with it.
        rest = rest.len > 0 ? (Slice){rest.ptr - 1, rest.len + 1} : rest;
        Buf name = buf_create(part.len + 1);
        for (size_t i = 0; i < part.len; i++) {
            bool escape = part.ptr[i] == '~' && i + 1 < part.len;
            buf_putc(&name, !escape ? part.ptr[i] : part.ptr[++i] == '1' ? '/' : '~');
        }
        int64_t index;
        at = at->type == DOC_ARRAY
                 ? (slice_to_i64(buf_slice(&name), &index) == 0 ? doc_at(at, (size_t)index) : NULL)
                 : doc_get(at, buf_slice(&name));
        buf_done(&name);
    }
    return at;
}

// ---- is it a schema

typedef enum Shape {
    IS_SCHEMA,     // an object or a boolean
    IS_SCHEMAS,    // an array of at least one
    IS_SCHEMA_MAP, // an object of schemas
    IS_STRINGS,    // an array of strings
    IS_TYPE,       // a type's name, or an array of such
    IS_COUNT,      // a whole number of at least 0
    IS_NUMBER,     //
    IS_POSITIVE,   // a number above 0
    IS_BOOL,       //
    IS_LIST,       // an array
    IS_REFERENCE,  // a string that leads somewhere
} Shape;

static const struct {
    Slice name;
    Shape shape;
} keywords[] = {
    {SLICE_INIT("type"), IS_TYPE},
    {SLICE_INIT("enum"), IS_LIST},
    {SLICE_INIT("properties"), IS_SCHEMA_MAP},
    {SLICE_INIT("$defs"), IS_SCHEMA_MAP},
    {SLICE_INIT("definitions"), IS_SCHEMA_MAP},
    {SLICE_INIT("required"), IS_STRINGS},
    {SLICE_INIT("additionalProperties"), IS_SCHEMA},
    {SLICE_INIT("items"), IS_SCHEMA},
    {SLICE_INIT("prefixItems"), IS_SCHEMAS},
    {SLICE_INIT("minItems"), IS_COUNT},
    {SLICE_INIT("maxItems"), IS_COUNT},
    {SLICE_INIT("uniqueItems"), IS_BOOL},
    {SLICE_INIT("minProperties"), IS_COUNT},
    {SLICE_INIT("maxProperties"), IS_COUNT},
    {SLICE_INIT("minLength"), IS_COUNT},
    {SLICE_INIT("maxLength"), IS_COUNT},
    {SLICE_INIT("minimum"), IS_NUMBER},
    {SLICE_INIT("maximum"), IS_NUMBER},
    {SLICE_INIT("exclusiveMinimum"), IS_NUMBER},
    {SLICE_INIT("exclusiveMaximum"), IS_NUMBER},
    {SLICE_INIT("multipleOf"), IS_POSITIVE},
    {SLICE_INIT("allOf"), IS_SCHEMAS},
    {SLICE_INIT("anyOf"), IS_SCHEMAS},
    {SLICE_INIT("oneOf"), IS_SCHEMAS},
    {SLICE_INIT("not"), IS_SCHEMA},
    {SLICE_INIT("$ref"), IS_REFERENCE},
};

static int check_schema(const Doc *root, const Doc *schema, int depth, Err *e);

static int check_each(const Doc *root, const Doc *list, int depth, Err *e)
{
    int rc = 0;
    for (const Doc *item = doc_first(list); item && rc == 0; item = doc_next(item)) {
        rc = check_schema(root, item, depth, e);
    }
    return rc;
}

static int check_type(const Doc *d, Err *e)
{
    bool is_list = d->type == DOC_ARRAY && doc_count(d) > 0;
    for (const Doc *name = is_list ? doc_first(d) : d; name;
         name = is_list ? doc_next(name) : NULL) {
        if (name->type != DOC_STRING || !is_type_name(name->text)) {
            return doc_err(e, name,
                           "\"type\" must be null, boolean, integer, number, string, array or "
                           "object, or a list of these");
        }
    }
    return 0;
}

static int check_strings(const Doc *d, const char *name, Err *e)
{
    int rc = doc_expect(d, DOC_ARRAY, name, e);
    for (const Doc *item = doc_first(d); item && rc == 0; item = doc_next(item)) {
        rc = doc_expect(item, DOC_STRING, name, e);
    }
    return rc;
}

static int check_number(const Doc *d, const char *name, Shape shape, Err *e)
{
    bool ok = doc_is_number(d) && (shape == IS_NUMBER || doc_number(d) >= 0);
    ok = ok && (shape != IS_COUNT || d->type == DOC_INT) &&
         (shape != IS_POSITIVE || doc_number(d) > 0);
    const char *wanted = shape == IS_NUMBER  ? "a number"
                         : shape == IS_COUNT ? "a whole number of at least 0"
                                             : "a number above 0";
    return ok ? 0 : doc_err(e, d, "\"%s\" must be %s", name, wanted);
}

static int check_keyword(const Doc *root, const Doc *d, const char *name, Shape shape, int depth,
                         Err *e)
{
    int rc;
    switch (shape) {
    case IS_SCHEMA: return check_schema(root, d, depth, e);
    case IS_SCHEMAS:
        if (d->type != DOC_ARRAY || doc_count(d) == 0) {
            return doc_err(e, d, "\"%s\" must be a list of schemas", name);
        }
        return check_each(root, d, depth, e);
    case IS_SCHEMA_MAP:
        rc = doc_expect(d, DOC_OBJECT, name, e);
        return rc != 0 ? rc : check_each(root, d, depth, e);
    case IS_STRINGS: return check_strings(d, name, e);
    case IS_TYPE: return check_type(d, e);
    case IS_COUNT:
    case IS_NUMBER:
    case IS_POSITIVE: return check_number(d, name, shape, e);
    case IS_BOOL: return doc_expect(d, DOC_BOOL, name, e);
    case IS_LIST: return doc_expect(d, DOC_ARRAY, name, e);
    case IS_REFERENCE:
        rc = doc_expect(d, DOC_STRING, name, e);
        if (rc == 0 && !follow(root, d->text)) {
            rc = doc_err(e, d, "\"%.*s\" leads nowhere in this schema", SLICE_FMT(d->text));
        }
        return rc;
    }
    return 0;
}

static int check_schema(const Doc *root, const Doc *schema, int depth, Err *e)
{
    if (schema->type == DOC_BOOL) {
        return 0;
    }
    if (schema->type != DOC_OBJECT) {
        return doc_err(e, schema, "a schema must be an object, not %s",
                       doc_type_name(schema->type));
    }
    if (depth == SCHEMA_DEPTH_MAX) {
        return err_set(e, ERR_LIMIT, "the schema is nested deeper than %d", SCHEMA_DEPTH_MAX);
    }
    int rc = 0;
    for (size_t i = 0; i < COUNT_OF(keywords) && rc == 0; i++) {
        const Doc *d = doc_get(schema, keywords[i].name);
        if (d) {
            rc = check_keyword(root, d, keywords[i].name.ptr, keywords[i].shape, depth + 1, e);
        }
    }
    return rc;
}

int schema_check(const Doc *schema, Err *e)
{
    return check_schema(schema, schema, 0, e);
}

// ---- does the value fit

static int fail(Validator *v, const char *format, ...) PRINTF_LIKE(2, 3);

static int fail(Validator *v, const char *format, ...)
{
    if (v->quiet) {
        return ERR_ARG;
    }
    char words[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    return err_set(v->e, ERR_ARG, "%.*s: %s", SLICE_FMT(buf_slice(&v->path)), words);
}

// The value as a person wrote it, cut where it is long.
static void show(const Doc *d, Buf *out)
{
    Buf json = buf_create(DOC_BYTES_MAX);
    JsonWriter w = json_writer(&json, 0);
    doc_write(&w, d);
    Slice text = buf_slice(&json);
    buf_append(out, slice_sub(text, 0, SHOWN_BYTES_MAX));
    buf_puts(out, text.len > SHOWN_BYTES_MAX ? "..." : "");
    buf_done(&json);
}

static bool same_value(const Doc *a, const Doc *b)
{
    if (doc_is_number(a) && doc_is_number(b)) {
        return a->type == DOC_INT && b->type == DOC_INT ? a->integer == b->integer
                                                        : doc_number(a) == doc_number(b);
    }
    if (a->type != b->type) {
        return false;
    }
    Buf x = buf_create(DOC_BYTES_MAX), y = buf_create(DOC_BYTES_MAX);
    doc_write_canonical(a, &x);
    doc_write_canonical(b, &y);
    bool same = slice_eq(buf_slice(&x), buf_slice(&y));
    buf_done(&x);
    buf_done(&y);
    return same;
}

static int test_type(Validator *v, const Doc *type, const Doc *value)
{
    bool is_list = type->type == DOC_ARRAY;
    Buf wanted = buf_create(256);
    bool ok = false;
    for (const Doc *t = is_list ? doc_first(type) : type; t; t = is_list ? doc_next(t) : NULL) {
        ok = ok || has_type(value, t->text);
        buf_puts(&wanted, wanted.len > 0 ? " or " : "");
        buf_append(&wanted, t->text);
    }
    int rc = ok ? 0
                : fail(v, "must be of type %.*s, not %s", SLICE_FMT(buf_slice(&wanted)),
                       doc_type_name(value->type));
    buf_done(&wanted);
    return rc;
}

static int test_enum(Validator *v, const Doc *values, const Doc *value)
{
    for (const Doc *one = doc_first(values); one; one = doc_next(one)) {
        if (same_value(one, value)) {
            return 0;
        }
    }
    Buf text = buf_create(ERR_TEXT_MAX);
    for (const Doc *one = doc_first(values); one; one = doc_next(one)) {
        buf_puts(&text, text.len > 0 ? ", " : "must be one of ");
        show(one, &text);
    }
    buf_puts(&text, ", not ");
    show(value, &text);
    int rc = fail(v, "%s", text.data);
    buf_done(&text);
    return rc;
}

static int test_const(Validator *v, const Doc *wanted, const Doc *value)
{
    if (same_value(wanted, value)) {
        return 0;
    }
    Buf text = buf_create(ERR_TEXT_MAX);
    show(wanted, &text);
    int rc = fail(v, "must be %s", text.data);
    buf_done(&text);
    return rc;
}

static int apply_at(Validator *v, const Doc *schema, const Doc *value, Slice member, size_t index)
{
    size_t before = v->path.len;
    if (member.ptr) {
        buf_putc(&v->path, '.');
        buf_append(&v->path, member);
    } else {
        buf_printf(&v->path, "[%zu]", index);
    }
    int rc = apply(v, schema, value);
    v->path.len = before;
    v->path.overflowed = false; // a path that is too long to show is cut
    return rc;
}

static int test_additional(Validator *v, const Doc *schema, const Doc *value)
{
    const Doc *properties = doc_get(schema, SLICE("properties"));
    const Doc *additional = doc_get(schema, SLICE("additionalProperties"));
    int rc = 0;
    for (const Doc *m = additional ? doc_first(value) : NULL; m && rc == 0; m = doc_next(m)) {
        if (doc_get(properties, m->key)) {
            continue;
        }
        if (additional->type != DOC_BOOL || additional->boolean) {
            rc = apply_at(v, additional, m, m->key, 0);
            continue;
        }
        Slice names[64];
        size_t count = 0;
        for (const Doc *p = doc_first(properties); p && count < COUNT_OF(names); p = doc_next(p)) {
            names[count++] = p->key;
        }
        Slice near = slice_nearest(m->key, names, count);
        rc = fail(v, "has no member \"%.*s\"%s%.*s%s", SLICE_FMT(m->key),
                  near.len ? "; did you mean \"" : "", SLICE_FMT(near), near.len ? "\"?" : "");
    }
    return rc;
}

static int test_counts(Validator *v, const Doc *schema, size_t count, const char *min_name,
                       const char *max_name, const char *what)
{
    const Doc *min = doc_get(schema, slice_from_cstr(min_name));
    const Doc *max = doc_get(schema, slice_from_cstr(max_name));
    if (min && (int64_t)count < min->integer) {
        return fail(v, "must have at least %lld %s, not %zu", (long long)min->integer, what, count);
    }
    if (max && (int64_t)count > max->integer) {
        return fail(v, "must have at most %lld %s, not %zu", (long long)max->integer, what, count);
    }
    return 0;
}

static int test_object(Validator *v, const Doc *schema, const Doc *value)
{
    int rc = test_counts(v, schema, doc_count(value), "minProperties", "maxProperties", "members");
    for (const Doc *name = doc_first(doc_get(schema, SLICE("required"))); name && rc == 0;
         name = doc_next(name)) {
        if (!doc_get(value, name->text)) {
            rc = fail(v, "the member \"%.*s\" is missing", SLICE_FMT(name->text));
        }
    }
    for (const Doc *p = doc_first(doc_get(schema, SLICE("properties"))); p && rc == 0;
         p = doc_next(p)) {
        const Doc *m = doc_get(value, p->key);
        if (m) {
            rc = apply_at(v, p, m, m->key, 0);
        }
    }
    return rc != 0 ? rc : test_additional(v, schema, value);
}

static int test_unique(Validator *v, const Doc *value)
{
    // Quadratic; a million comparisons are the end of it.
    for (const Doc *a = doc_first(value); a; a = doc_next(a)) {
        for (const Doc *b = doc_next(a); b; b = doc_next(b)) {
            if (++v->steps > SCHEMA_STEPS_MAX) {
                return err_set(v->e, ERR_LIMIT, "too many items to compare");
            }
            if (same_value(a, b)) {
                return fail(v, "has the same item twice");
            }
        }
    }
    return 0;
}

static int test_array(Validator *v, const Doc *schema, const Doc *value)
{
    int rc = test_counts(v, schema, doc_count(value), "minItems", "maxItems", "items");
    const Doc *prefix = doc_first(doc_get(schema, SLICE("prefixItems")));
    const Doc *items = doc_get(schema, SLICE("items"));
    size_t index = 0;
    for (const Doc *item = doc_first(value); item && rc == 0; item = doc_next(item), index++) {
        const Doc *own = prefix ? prefix : items;
        prefix = prefix ? doc_next(prefix) : NULL;
        if (own) {
            rc = apply_at(v, own, item, (Slice){NULL, 0}, index);
        }
    }
    const Doc *unique = doc_get(schema, SLICE("uniqueItems"));
    return rc == 0 && unique && unique->boolean ? test_unique(v, value) : rc;
}

static size_t count_characters(Slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += (text.ptr[i] & 0xC0) != 0x80;
    }
    return count;
}

static int test_number(Validator *v, const Doc *schema, const Doc *value)
{
    double x = doc_number(value);
    const Doc *d;
    if ((d = doc_get(schema, SLICE("minimum"))) && !(x >= doc_number(d))) {
        return fail(v, "must be at least %.17g, not %.17g", doc_number(d), x);
    }
    if ((d = doc_get(schema, SLICE("maximum"))) && !(x <= doc_number(d))) {
        return fail(v, "must be at most %.17g, not %.17g", doc_number(d), x);
    }
    if ((d = doc_get(schema, SLICE("exclusiveMinimum"))) && !(x > doc_number(d))) {
        return fail(v, "must be above %.17g, not %.17g", doc_number(d), x);
    }
    if ((d = doc_get(schema, SLICE("exclusiveMaximum"))) && !(x < doc_number(d))) {
        return fail(v, "must be below %.17g, not %.17g", doc_number(d), x);
    }
    if ((d = doc_get(schema, SLICE("multipleOf")))) {
        // 0.3 is three times 0.1 although the doubles say otherwise by one part in 2^52.
        double times = x / doc_number(d);
        if (fabs(times - nearbyint(times)) > 1e-9 * fmax(1, fabs(times))) {
            return fail(v, "must be a multiple of %.17g, not %.17g", doc_number(d), x);
        }
    }
    return 0;
}

// How many of the schemas fit; an ERR_LIMIT on the way goes out through *ret_rc.
static size_t count_fitting(Validator *v, const Doc *schemas, const Doc *value, int *ret_rc)
{
    bool quiet = v->quiet;
    size_t fitting = 0;
    v->quiet = true;
    for (const Doc *s = doc_first(schemas); s && *ret_rc == 0; s = doc_next(s)) {
        int rc = apply(v, s, value);
        fitting += rc == 0;
        *ret_rc = rc == ERR_LIMIT ? rc : 0;
    }
    v->quiet = quiet;
    return fitting;
}

static int test_combined(Validator *v, const Doc *schema, const Doc *value)
{
    int rc = 0;
    const Doc *list = doc_get(schema, SLICE("allOf"));
    for (const Doc *s = doc_first(list); s && rc == 0; s = doc_next(s)) {
        rc = apply(v, s, value);
    }
    list = doc_get(schema, SLICE("anyOf"));
    if (rc == 0 && list && count_fitting(v, list, value, &rc) == 0 && rc == 0) {
        // With one choice its own words are better than "none of one".
        rc = doc_count(list) == 1 ? apply(v, doc_first(list), value)
                                  : fail(v, "fits none of %zu schemas (anyOf)", doc_count(list));
    }
    list = doc_get(schema, SLICE("oneOf"));
    if (rc == 0 && list) {
        size_t fitting = count_fitting(v, list, value, &rc);
        if (rc == 0 && fitting != 1) {
            rc = fail(v, "fits %zu of %zu schemas and must fit one (oneOf)", fitting,
                      doc_count(list));
        }
    }
    const Doc *not = doc_get(schema, SLICE("not"));
    if (rc == 0 && not ) {
        bool quiet = v->quiet;
        v->quiet = true;
        int inner = apply(v, not, value);
        v->quiet = quiet;
        rc = inner == ERR_LIMIT ? inner : inner == 0 ? fail(v, "fits what it must not (not)") : 0;
    }
    return rc;
}

static int test_by_type(Validator *v, const Doc *schema, const Doc *value)
{
    switch (value->type) {
    case DOC_OBJECT: return test_object(v, schema, value);
    case DOC_ARRAY: return test_array(v, schema, value);
    case DOC_STRING:
    case DOC_DATETIME:
        return test_counts(v, schema, count_characters(value->text), "minLength", "maxLength",
                           "characters");
    case DOC_INT:
    case DOC_FLOAT: return test_number(v, schema, value);
    case DOC_NULL:
    case DOC_BOOL: return 0;
    }
    return 0;
}

static int test_keywords(Validator *v, const Doc *schema, const Doc *value)
{
    const Doc *d;
    int rc = 0;
    if ((d = doc_get(schema, SLICE("type")))) {
        rc = test_type(v, d, value);
    }
    if (rc == 0 && (d = doc_get(schema, SLICE("enum")))) {
        rc = test_enum(v, d, value);
    }
    if (rc == 0 && (d = doc_get(schema, SLICE("const")))) {
        rc = test_const(v, d, value);
    }
    if (rc == 0 && (d = doc_get(schema, SLICE("$ref")))) {
        rc = apply(v, follow(v->root, d->text), value);
    }
    if (rc == 0) {
        rc = test_by_type(v, schema, value);
    }
    return rc != 0 ? rc : test_combined(v, schema, value);
}

static int apply(Validator *v, const Doc *schema, const Doc *value)
{
    if (schema->type == DOC_BOOL) {
        return schema->boolean ? 0 : fail(v, "nothing is allowed here");
    }
    if (v->depth == SCHEMA_DEPTH_MAX || ++v->steps > SCHEMA_STEPS_MAX) {
        return err_set(v->e, ERR_LIMIT, "the schema refers to itself without end");
    }
    v->depth++;
    int rc = test_keywords(v, schema, value);
    v->depth--;
    return rc;
}

int schema_validate(const Doc *schema, const Doc *value, const char *what, Err *e)
{
    Validator v = {.root = schema, .path = buf_create(PATH_BYTES_MAX), .e = e};
    buf_puts(&v.path, what);
    int rc = apply(&v, schema, value);
    buf_done(&v.path);
    return rc;
}
