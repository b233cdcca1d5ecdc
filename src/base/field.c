#include "base/field.h"

#include <assert.h>

static void *place(void *into, const Field *field)
{
    return (char *)into + field->offset;
}

static const void *place_of(const void *from, const Field *field)
{
    return (const char *)from + field->offset;
}

static void store(const Field *field, ParamValue value, void *into)
{
    if (field->param.kind == PARAM_BOOL) {
        *(bool *)place(into, field) = value.boolean;
    } else if (field->param.kind == PARAM_FLOAT) {
        *(double *)place(into, field) = value.real;
    } else {
        *(int64_t *)place(into, field) = value.integer;
    }
}

static ParamValue load(const Field *field, const void *from)
{
    ParamValue value = {0};
    if (field->param.kind == PARAM_BOOL) {
        value.boolean = *(const bool *)place_of(from, field);
    } else if (field->param.kind == PARAM_FLOAT) {
        value.real = *(const double *)place_of(from, field);
    } else {
        value.integer = *(const int64_t *)place_of(from, field);
    }
    return value;
}

void fields_init(const FieldTable *table, void *into)
{
    for (size_t i = 0; i < table->count; i++) {
        const Field *field = &table->fields[i];
        switch (field->kind) {
        case FIELD_NUMBER: store(field, field->param.initial, into); break;
        case FIELD_TEXT:
        case FIELD_PATH: *(Slice *)place(into, field) = (Slice){0}; break;
        case FIELD_NAMES:
        case FIELD_WORDS: *(FieldNames *)place(into, field) = (FieldNames){0}; break;
        case FIELD_TREE:
        case FIELD_ANY: *(const Doc **)place(into, field) = NULL; break;
        }
    }
}

// ---- reading

static int read_text(Arena *arena, const Field *field, const Doc *d, Slice *ret_text, Err *e)
{
    int rc = doc_expect(d, DOC_STRING, field->param.name, e);
    if (rc != 0) {
        return rc;
    }
    if (memchr(d->text.ptr, '\0', d->text.len)) {
        return doc_err(e, d, "%s: a NUL character is not allowed", field->param.name);
    }
    if (field->kind != FIELD_PATH || d->text.len == 0 || d->text.ptr[0] == '/') {
        *ret_text = d->text;
        return 0;
    }
    const char *slash = strrchr(d->source, '/');
    *ret_text = slash ? arena_printf(arena, "%.*s/%.*s", (int)(slash - d->source), d->source,
                                     SLICE_FMT(d->text))
                      : d->text;
    return 0;
}

static int read_names(Arena *arena, const Field *field, const Doc *d, FieldNames *ret_names, Err *e)
{
    int rc = doc_expect(d, DOC_ARRAY, field->param.name, e);
    if (rc != 0) {
        return rc;
    }
    if (doc_count(d) > FIELD_NAMES_MAX) {
        return doc_err(e, d, "%s has %zu items, the limit is %d", field->param.name, doc_count(d),
                       FIELD_NAMES_MAX);
    }
    Slice *items = ARENA_ARRAY(arena, Slice, doc_count(d) + 1);
    size_t count = 0;
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        if ((rc = read_text(arena, field, m, &items[count], e)) != 0) {
            return rc;
        }
        for (size_t i = 0; field->kind == FIELD_NAMES && i < count; i++) {
            if (slice_eq(items[i], items[count])) {
                return doc_err(e, m, "%s names \"%.*s\" twice", field->param.name,
                               SLICE_FMT(items[count]));
            }
        }
        count++;
    }
    *ret_names = (FieldNames){items, count, d};
    return 0;
}

static int read_number(const FieldTable *table, const Field *field, const Doc *d, void *into,
                       Err *e)
{
    const ParamTable one = {table->section, &field->param, 1};
    ParamValue value = load(field, into);
    int rc = param_read_value(&one, 0, d, &value, e);
    if (rc == 0) {
        store(field, value, into);
    }
    return rc;
}

static int read_field(Arena *arena, const FieldTable *table, const Field *field, const Doc *d,
                      void *into, Err *e)
{
    int rc = 0;
    switch (field->kind) {
    case FIELD_NUMBER: return read_number(table, field, d, into, e);
    case FIELD_TEXT:
    case FIELD_PATH: return read_text(arena, field, d, place(into, field), e);
    case FIELD_NAMES:
    case FIELD_WORDS: return read_names(arena, field, d, place(into, field), e);
    case FIELD_TREE:
        if ((rc = doc_expect(d, DOC_OBJECT, field->param.name, e)) == 0) {
            *(const Doc **)place(into, field) = d;
        }
        return rc;
    case FIELD_ANY: *(const Doc **)place(into, field) = d; return 0;
    }
    return rc;
}

int fields_read(Arena *arena, const FieldTable *table, const Doc *object, void *into, Err *e)
{
    assert(table->count <= FIELDS_MAX);
    if (!object) {
        return 0;
    }
    Slice names[FIELDS_MAX];
    for (size_t i = 0; i < table->count; i++) {
        names[i] = slice_from_cstr(table->fields[i].param.name);
    }
    int rc = doc_expect(object, DOC_OBJECT, table->section, e);
    if (rc != 0 || (rc = doc_expect_fields(object, names, table->count, e)) != 0) {
        return rc;
    }
    for (size_t i = 0; i < table->count && rc == 0; i++) {
        const Doc *d = doc_get(object, names[i]);
        rc = d ? read_field(arena, table, &table->fields[i], d, into, e) : 0;
    }
    return rc;
}

// ---- writing

static void write_names(const FieldNames *names, const char *key, JsonWriter *w)
{
    if (!names->doc && names->count == 0) {
        return;
    }
    json_key(w, slice_from_cstr(key));
    json_array_begin(w);
    for (size_t i = 0; i < names->count; i++) {
        json_string(w, names->items[i]);
    }
    json_array_end(w);
}

void fields_write(const FieldTable *table, const void *from, JsonWriter *w)
{
    json_object_begin(w);
    for (size_t i = 0; i < table->count; i++) {
        const Field *field = &table->fields[i];
        const void *at = place_of(from, field);
        switch (field->kind) {
        case FIELD_NUMBER:
            json_key(w, slice_from_cstr(field->param.name));
            param_write_value(&field->param, load(field, from), w);
            break;
        case FIELD_TEXT:
        case FIELD_PATH:
            if (((const Slice *)at)->len > 0) {
                json_field_string(w, field->param.name, *(const Slice *)at);
            }
            break;
        case FIELD_NAMES:
        case FIELD_WORDS: write_names(at, field->param.name, w); break;
        case FIELD_TREE:
        case FIELD_ANY:
            if (*(const Doc *const *)at) {
                json_key(w, slice_from_cstr(field->param.name));
                doc_write(w, *(const Doc *const *)at);
            }
            break;
        }
    }
    json_object_end(w);
}
