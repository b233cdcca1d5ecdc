// Members of an object that must be there and be of one type: what reading payloads is made of.
#ifndef LEDGER_DOC_FIELD_H
#define LEDGER_DOC_FIELD_H

#include "base/doc.h"

// The payload of a record, which is an object; ERR_CORRUPT when it is not.
MUST_USE int field_object(Arena *arena, Slice payload, const Doc **ret, Err *e);

// ERR_CORRUPT with the member's name when it is missing or of another type.
MUST_USE int field_text(const Doc *object, const char *key, Slice *ret, Err *e);
MUST_USE int field_int(const Doc *object, const char *key, int64_t min, int64_t max, int64_t *ret,
                       Err *e);
MUST_USE int field_number(const Doc *object, const char *key, double *ret, Err *e);
// A member that may be missing.
MUST_USE int field_int_or(const Doc *object, const char *key, int64_t otherwise, int64_t *ret,
                          Err *e);
MUST_USE int field_number_or(const Doc *object, const char *key, double otherwise, double *ret,
                             Err *e);

#endif
