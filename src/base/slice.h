// Slice: a borrowed run of bytes. Text inside the program is a Slice by value; NUL-terminated
// strings exist only at the system's edge. A Slice never owns what it points at.
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

typedef struct Slice {
    const char *ptr; // may be NULL when len is 0
    size_t len;      // bytes
} Slice;

// A string literal as a Slice: SLICE("GET").
#define SLICE(literal) ((Slice){(literal), sizeof(literal) - 1})
// For static initialisers, where a compound literal is not constant.
#define SLICE_INIT(literal)                                                                        \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
// printf("%.*s", SLICE_FMT(s))
#define SLICE_FMT(s) (int)(s).len, ((s).ptr ? (s).ptr : "")

Slice slice_from_cstr(const char *text);           // NULL gives the empty slice
Slice slice_sub(Slice s, size_t from, size_t len); // clamped to s
bool slice_eq(Slice a, Slice b);
bool slice_eq_cstr(Slice a, const char *b);
bool slice_eq_nocase(Slice a, Slice b); // ASCII only
int slice_cmp(Slice a, Slice b);        // by bytes, then by length
bool slice_starts_with(Slice s, Slice prefix);
bool slice_ends_with(Slice s, Slice suffix);
Slice slice_trim(Slice s); // ASCII white space on both sides

// Position of the first `byte`, or -1.
ptrdiff_t slice_find_byte(Slice s, char byte);
// Position of the first `needle`, or -1. The empty needle is at 0.
ptrdiff_t slice_find(Slice s, Slice needle);

// Splits at the first `sep`. True when found; otherwise *ret_head is all of `s` and *ret_tail
// empty.
bool slice_cut(Slice s, char sep, Slice *ret_head, Slice *ret_tail);

// Whole-slice number parsing in the C locale: no white space, no trailing bytes. Returns 0 or
// ERR_PARSE; ERR_LIMIT when the value does not fit.
MUST_USE int slice_to_i64(Slice s, int64_t *ret_value);
MUST_USE int slice_to_f64(Slice s, double *ret_value); // finite values only

// The one of `names` that a person who typed `wrong` most likely meant: Damerau-Levenshtein
// distance (optimal string alignment) of at most 2, or 1 in words of up to four letters; the empty
// slice when none is that near. ASCII case counts as no difference.
Slice slice_nearest(Slice wrong, const Slice *names, size_t count);

// FNV-1a with a final mix: for maps over our own keys. Keys chosen by a peer go through map.h's
// seeded hash instead.
uint64_t slice_hash(Slice s);

#endif
