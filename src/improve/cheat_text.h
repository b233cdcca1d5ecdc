// Source text as the scan of patches sees it: by line, in no language in particular.
#ifndef IMPROVE_CHEAT_TEXT_H
#define IMPROVE_CHEAT_TEXT_H

#include "improve/cheat.h"

typedef enum CheatLanguage {
    CHEAT_LANG_OTHER,
    CHEAT_LANG_C, // and C++
    CHEAT_LANG_JS,
    CHEAT_LANG_PYTHON,
    CHEAT_LANG_SHELL, // and everything else whose comments begin with #
} CheatLanguage;

CheatLanguage cheat_language(Slice path);
// The line, at most CHEAT_LINE_MAX bytes, without a comment that begins in it; a line that is
// nothing but a comment is empty.
Slice cheat_code(Slice line, CheatLanguage language);
// Position of `word` or -1. Where the word begins or ends with a letter, digit or underscore, the
// text does not go on with one there. A blank in `word` is any run of white space, or none beside
// punctuation.
ptrdiff_t cheat_find(Slice text, const char *word);
bool cheat_has(Slice text, const char *word);
bool cheat_is_word_byte(char c);

// Occurrences in added less those in deleted lines: what the patch brings, not what it moves.
// The place is that of the first added line.
typedef struct CheatCount {
    long net;
    Slice file;
    long line;
    Slice text;
} CheatCount;
void cheat_count_line(CheatCount *count, const PatchFile *file, const PatchLine *line, bool has);

#endif
