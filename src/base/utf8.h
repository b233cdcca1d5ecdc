// UTF-8: decoding, validation, and what a terminal needs. RFC 3629: no surrogates, no overlong
// forms, nothing above U+10FFFF.
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/buf.h"
#include "base/slice.h"

// Decodes the character at the front of `s` and returns its length in bytes, 1 to 4; 0 when `s` is
// empty or starts with an invalid sequence.
size_t utf8_decode(Slice s, uint32_t *ret_char);
// Writes 1 to 4 bytes; `c` must be a scalar value.
size_t utf8_encode(uint32_t c, char out[4]);
// Position of the first byte that is not part of a valid character, or -1.
ptrdiff_t utf8_find_invalid(Slice s);

// Columns that `s` takes on a terminal: 0 for combining marks, 2 for wide East Asian characters and
// emoji, 1 for the rest. An approximation by ranges; terminals differ on ambiguous characters.
int utf8_width(Slice s);

// Appends `s` so that it cannot drive a terminal: control characters (C0, DEL, C1), line and
// paragraph separators and bidirectional overrides become \xNN or \u{NNNN}; invalid bytes become
// \xNN. Tab and newline are escaped as well: \t, \n.
void utf8_sanitise(Buf *out, Slice s);

#endif
