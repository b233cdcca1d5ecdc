#include "base/doc.h"

#include <errno.h>
#include <stdarg.h>

#include "base/doc_build.h"
#include "base/utf8.h"

static int format_of(const DocOptions *options, DocFormat *ret_format, Err *e)
{
    if (options->format != DOC_FORMAT_BY_NAME) {
        *ret_format = options->format;
        return 0;
    }
    static const struct {
        Slice suffix;
        DocFormat format;
    } suffixes[] = {
        {SLICE_INIT(".json"), DOC_FORMAT_JSON},
        {SLICE_INIT(".yaml"), DOC_FORMAT_YAML},
        {SLICE_INIT(".yml"), DOC_FORMAT_YAML},
        {SLICE_INIT(".toml"), DOC_FORMAT_TOML},
    };
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        if (slice_ends_with(slice_from_cstr(options->source), suffixes[i].suffix)) {
            *ret_format = suffixes[i].format;
            return 0;
        }
    }
    return err_set(e, ERR_ARG,
                   "%s: the format is told by the end of the name, which must be .json, .yaml, "
                   ".yml or .toml",
                   options->source);
}

static size_t limit_or(size_t limit, size_t fallback)
{
    return limit ? limit : fallback;
}

static int check_text(DocBuilder *b, size_t max_bytes)
{
    if (b->text.len > max_bytes) {
        return doc_fail(b, ERR_LIMIT, (DocPlace){1, 1}, "%zu bytes, the limit is %zu", b->text.len,
                        max_bytes);
    }
    if (slice_starts_with(b->text, SLICE("\xEF\xBB\xBF"))) {
        b->text = slice_sub(b->text, 3, b->text.len);
    }
    ptrdiff_t invalid = utf8_find_invalid(b->text);
    if (invalid >= 0) {
        return doc_fail(b, ERR_PARSE, doc_place_of(b->text, (size_t)invalid),
                        "byte 0x%02x is not UTF-8", (unsigned char)b->text.ptr[invalid]);
    }
    return 0;
}

static int read_as(DocBuilder *b, DocFormat format, Doc **ret_doc)
{
    switch (format) {
    case DOC_FORMAT_BY_NAME: break;
    case DOC_FORMAT_JSON: return doc_json_read(b, ret_doc);
    case DOC_FORMAT_YAML: return doc_yaml_read(b, ret_doc);
    case DOC_FORMAT_TOML: return doc_toml_read(b, ret_doc);
    }
    return err_set(b->e, ERR_ARG, "%s: no document format given", b->source);
}

static int parse(Arena *arena, Slice text, const DocOptions *options, bool many,
                 const Doc **ret_doc, Err *e)
{
    static const DocOptions json = {.format = DOC_FORMAT_JSON};
    DocOptions o = options ? *options : json;
    o.source = o.source ? o.source : "input";
    DocFormat format = DOC_FORMAT_JSON;
    int rc = format_of(&o, &format, e);
    if (rc != 0) {
        return rc;
    }
    size_t max_depth = limit_or(o.max_depth, DOC_DEPTH_MAX);
    DocBuilder b = {
        .arena = arena,
        .source = arena_cstr(arena, slice_from_cstr(o.source)),
        .text = text,
        .max_nodes = limit_or(o.max_nodes, DOC_NODES_MAX),
        .max_depth = max_depth > DOC_DEPTH_MAX ? DOC_DEPTH_MAX : max_depth,
        .max_alias_nodes = limit_or(o.max_alias_nodes, DOC_ALIAS_NODES_MAX),
        .many = many,
        .e = e,
    };
    Doc *doc = NULL;
    if ((rc = check_text(&b, limit_or(o.max_bytes, DOC_BYTES_MAX))) != 0 ||
        (rc = read_as(&b, format, &doc)) != 0) {
        return rc;
    }
    if (many && format != DOC_FORMAT_YAML) {
        Doc *all = NULL;
        if ((rc = doc_build_node(&b, DOC_ARRAY, (DocPlace){1, 1}, &all)) != 0) {
            return rc;
        }
        doc_build_append(all, doc);
        if ((rc = doc_build_close(&b, all)) != 0) {
            return rc;
        }
        doc = all;
    }
    *ret_doc = doc;
    return 0;
}

int doc_parse(Arena *arena, Slice text, const DocOptions *options, const Doc **ret_doc, Err *e)
{
    return parse(arena, text, options, false, ret_doc, e);
}

int doc_parse_all(Arena *arena, Slice text, const DocOptions *options, const Doc **ret_array,
                  Err *e)
{
    return parse(arena, text, options, true, ret_array, e);
}

// Reads until the end of the file or one byte past the ceiling, which the parser then reports.
static int read_bytes(FILE *file, const char *path, Buf *text, Err *e)
{
    enum { PIECE = 64 << 10 };
    for (;;) {
        size_t room = text->max - text->len < PIECE ? text->max - text->len : PIECE;
        char *at = buf_reserve(text, room);
        size_t n = room ? fread(at, 1, room, file) : 0;
        if (n > 0) {
            buf_commit(text, n);
        } else if (room && ferror(file)) {
            return err_errno(e, ERR_IO, errno, "%s", path);
        } else {
            return 0;
        }
    }
}

static int read_file(Arena *arena, const char *path, const DocOptions *options, bool many,
                     const Doc **ret_doc, Err *e)
{
    DocOptions o = options ? *options : (DocOptions){0};
    o.source = o.source ? o.source : path;
    Buf text = buf_create(limit_or(o.max_bytes, DOC_BYTES_MAX) + 1);
    FILE *file = fopen(path, "rbe");
    if (!file) {
        return err_errno(e, ERR_IO, errno, "%s", path);
    }
    int rc = read_bytes(file, path, &text, e);
    (void)fclose(file);
    if (rc == 0) {
        rc = parse(arena, buf_slice(&text), &o, many, ret_doc, e);
    }
    buf_done(&text);
    return rc;
}

int doc_read_file(Arena *arena, const char *path, const DocOptions *options, const Doc **ret_doc,
                  Err *e)
{
    return read_file(arena, path, options, false, ret_doc, e);
}

int doc_read_file_all(Arena *arena, const char *path, const DocOptions *options,
                      const Doc **ret_array, Err *e)
{
    return read_file(arena, path, options, true, ret_array, e);
}

const Doc *doc_get(const Doc *object, Slice key)
{
    if (!object || object->type != DOC_OBJECT) {
        return NULL;
    }
    size_t from = 0, to = object->count_;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = slice_cmp(key, object->index_[middle]->key);
        if (order == 0) {
            return object->index_[middle];
        }
        if (order < 0) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return NULL;
}

const Doc *doc_at(const Doc *array, size_t index)
{
    return array && array->type == DOC_ARRAY && index < array->count_ ? array->index_[index] : NULL;
}

double doc_number(const Doc *d)
{
    if (!doc_is_number(d)) {
        return 0;
    }
    return d->type == DOC_INT ? (double)d->integer : d->real;
}

const char *doc_type_name(DocType type)
{
    static const char *const names[] = {
        [DOC_NULL] = "null",        [DOC_BOOL] = "true or false",      [DOC_INT] = "a whole number",
        [DOC_FLOAT] = "a number",   [DOC_STRING] = "a string",         [DOC_ARRAY] = "an array",
        [DOC_OBJECT] = "an object", [DOC_DATETIME] = "a date or time",
    };
    return names[type];
}

PRINTF_LIKE(4, 0)
static int err_at(Err *e, const Doc *at, DocPlace place, const char *format, va_list args)
{
    char words[ERR_TEXT_MAX];
    (void)vsnprintf(words, sizeof words, format, args);
    return err_set(e, ERR_PARSE, "%s:%d:%d: %s", at->source, place.line, place.column, words);
}

int doc_err(Err *e, const Doc *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = err_at(e, at, (DocPlace){at->line, at->column}, format, args);
    va_end(args);
    return rc;
}

int doc_err_key(Err *e, const Doc *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = err_at(e, at, (DocPlace){at->key_line, at->key_column}, format, args);
    va_end(args);
    return rc;
}

int doc_expect(const Doc *d, DocType type, const char *what, Err *e)
{
    if (d->type == type || (type == DOC_FLOAT && d->type == DOC_INT)) {
        return 0;
    }
    return doc_err(e, d, "%s must be %s, not %s", what, doc_type_name(type),
                   doc_type_name(d->type));
}

int doc_expect_fields(const Doc *object, const Slice *names, size_t count, Err *e)
{
    for (const Doc *m = doc_first(object); m; m = doc_next(m)) {
        bool known = false;
        for (size_t i = 0; i < count && !known; i++) {
            known = slice_eq(m->key, names[i]);
        }
        if (!known) {
            Slice nearest = slice_nearest(m->key, names, count);
            return doc_err_key(e, m, "unknown field \"%.*s\"%s%.*s%s", SLICE_FMT(m->key),
                               nearest.len ? "; did you mean \"" : "", SLICE_FMT(nearest),
                               nearest.len ? "\"?" : "");
        }
    }
    return 0;
}
