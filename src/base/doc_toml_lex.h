// The lexical half of the TOML reader: characters, strings, numbers and dates.
#ifndef BASE_DOC_TOML_LEX_H
#define BASE_DOC_TOML_LEX_H

#include "base/doc_build.h"

typedef struct TomlText {
    DocBuilder *b;
    const char *at, *end;
    DocPlace place; // of `at`
    Buf scratch;    // the string being unescaped
} TomlText;

// The byte at the cursor, or ahead of it; -1 behind the end.
static inline int toml_peek(const TomlText *t, size_t ahead)
{
    return (size_t)(t->end - t->at) > ahead ? (unsigned char)t->at[ahead] : -1;
}
void toml_step(TomlText *t);                   // one byte
void toml_skip_blanks(TomlText *t);            // spaces and tabs
bool toml_take(TomlText *t, const char *word); // steps over `word` if it is next

// A comment up to the end of its line, if one is next.
MUST_USE int toml_skip_comment(TomlText *t);
// Steps over LF or CRLF if next; *ret_found says so. A bare CR is an error.
MUST_USE int toml_newline(TomlText *t, bool *ret_found);
// White space, comments and newlines, in any number: between the items of an array.
MUST_USE int toml_skip_all(TomlText *t);

// "basic", 'literal', and with `multi_line_allowed` the two tripled kinds. The result is in
// t->scratch until the next string.
MUST_USE int toml_read_string(TomlText *t, bool multi_line_allowed);
// Boolean, number or date; sets type, value and text of `node`.
MUST_USE int toml_read_scalar(TomlText *t, Doc *node);

// "unexpected `x`" or "unexpected end of the text" at the cursor, then " in `where`".
int toml_unexpected(TomlText *t, const char *where);

#endif
