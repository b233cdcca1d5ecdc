#include "ledger/doc_field.h"

#include "ledger/record.h"

static int missing(const Doc *d, const char *key, const char *what, Err *e)
{
    return err_set(e, ERR_CORRUPT, d ? "\"%s\" must be %s" : "\"%s\" is missing: it must be %s",
                   key, what);
}

int field_object(Arena *arena, Slice payload, const Doc **ret, Err *e)
{
    DocOptions o = {.format = DOC_FORMAT_JSON, .source = "record", .max_bytes = RECORD_PAYLOAD_MAX};
    int rc = doc_parse(arena, payload, &o, ret, e);
    if (rc == 0 && (*ret)->type != DOC_OBJECT) {
        return err_set(e, ERR_CORRUPT, "a record's payload must be an object");
    }
    return rc == ERR_PARSE ? ERR_CORRUPT : rc;
}

int field_text(const Doc *object, const char *key, Slice *ret, Err *e)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    if (!d || d->type != DOC_STRING) {
        return missing(d, key, "a string", e);
    }
    *ret = d->text;
    return 0;
}

int field_int(const Doc *object, const char *key, int64_t min, int64_t max, int64_t *ret, Err *e)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    if (!d || d->type != DOC_INT) {
        return missing(d, key, "a whole number", e);
    }
    if (d->integer < min || d->integer > max) {
        return err_set(e, ERR_CORRUPT, "\"%s\" must be from %lld to %lld, not %lld", key,
                       (long long)min, (long long)max, (long long)d->integer);
    }
    *ret = d->integer;
    return 0;
}

int field_number(const Doc *object, const char *key, double *ret, Err *e)
{
    const Doc *d = doc_get(object, slice_from_cstr(key));
    if (!doc_is_number(d)) {
        return missing(d, key, "a number", e);
    }
    *ret = doc_number(d);
    return 0;
}

int field_int_or(const Doc *object, const char *key, int64_t otherwise, int64_t *ret, Err *e)
{
    *ret = otherwise;
    return doc_get(object, slice_from_cstr(key))
               ? field_int(object, key, INT64_MIN, INT64_MAX, ret, e)
               : 0;
}

int field_number_or(const Doc *object, const char *key, double otherwise, double *ret, Err *e)
{
    *ret = otherwise;
    return doc_get(object, slice_from_cstr(key)) ? field_number(object, key, ret, e) : 0;
}
