#include "improve/cheat_text.h"

bool cheat_is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

CheatLanguage cheat_language(Slice path)
{
    static const struct {
        const char *suffix;
        CheatLanguage language;
    } SUFFIXES[] = {
        {".c", CHEAT_LANG_C},           {".h", CHEAT_LANG_C},         {".cc", CHEAT_LANG_C},
        {".cpp", CHEAT_LANG_C},         {".cxx", CHEAT_LANG_C},       {".hh", CHEAT_LANG_C},
        {".hpp", CHEAT_LANG_C},         {".hxx", CHEAT_LANG_C},       {".inl", CHEAT_LANG_C},
        {".inc", CHEAT_LANG_C},         {".rs", CHEAT_LANG_C},        {".go", CHEAT_LANG_C},
        {".java", CHEAT_LANG_C},        {".cs", CHEAT_LANG_C},        {".js", CHEAT_LANG_JS},
        {".mjs", CHEAT_LANG_JS},        {".cjs", CHEAT_LANG_JS},      {".ts", CHEAT_LANG_JS},
        {".jsx", CHEAT_LANG_JS},        {".tsx", CHEAT_LANG_JS},      {".py", CHEAT_LANG_PYTHON},
        {".pyx", CHEAT_LANG_PYTHON},    {".sh", CHEAT_LANG_SHELL},    {".yml", CHEAT_LANG_SHELL},
        {".yaml", CHEAT_LANG_SHELL},    {".cmake", CHEAT_LANG_SHELL}, {".mk", CHEAT_LANG_SHELL},
        {".toml", CHEAT_LANG_SHELL},    {".build", CHEAT_LANG_SHELL}, {".txt", CHEAT_LANG_SHELL},
        {"Makefile", CHEAT_LANG_SHELL}, {".am", CHEAT_LANG_SHELL},    {".rb", CHEAT_LANG_SHELL},
    };
    for (size_t i = 0; i < COUNT_OF(SUFFIXES); i++) {
        if (slice_ends_with(path, slice_from_cstr(SUFFIXES[i].suffix))) {
            return SUFFIXES[i].language;
        }
    }
    return CHEAT_LANG_OTHER;
}

// Where a line comment begins outside of quotes, or the length.
static size_t comment_at(Slice line, CheatLanguage language)
{
    bool hash = language == CHEAT_LANG_PYTHON || language == CHEAT_LANG_SHELL;
    bool slashes = language == CHEAT_LANG_C || language == CHEAT_LANG_JS;
    char quote = 0;
    for (size_t i = 0; i < line.len; i++) {
        char c = line.ptr[i];
        if (c == '\\') {
            i++;
        } else if (quote) {
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '`' || c == '\'') {
            quote = c;
        } else if ((hash && c == '#') || (slashes && c == '/' && i + 1 < line.len &&
                                          (line.ptr[i + 1] == '/' || line.ptr[i + 1] == '*'))) {
            return i;
        }
    }
    return line.len;
}

Slice cheat_code(Slice line, CheatLanguage language)
{
    line = slice_sub(line, 0, CHEAT_LINE_MAX);
    Slice trimmed = slice_trim(line);
    bool slashes = language == CHEAT_LANG_C || language == CHEAT_LANG_JS;
    // Inside a block comment only the habit of a star at the head of lines shows; `*p = 1` has none
    // of its blanks.
    if (slashes && (slice_starts_with(trimmed, SLICE("* ")) || slice_eq_cstr(trimmed, "*"))) {
        return SLICE("");
    }
    return slice_sub(line, 0, comment_at(line, language));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

// Bytes of `text` that `word` covers at its head; 0: it is not there.
static size_t match_here(Slice text, const char *word)
{
    size_t at = 0;
    for (; *word; word++) {
        if (*word != ' ') {
            if (at == text.len || text.ptr[at] != *word) {
                return 0;
            }
            at++;
            continue;
        }
        bool needed = cheat_is_word_byte(word[-1]) && cheat_is_word_byte(word[1]);
        if (needed && (at == text.len || !is_blank(text.ptr[at]))) {
            return 0;
        }
        while (at < text.len && is_blank(text.ptr[at])) {
            at++;
        }
    }
    return at;
}

ptrdiff_t cheat_find(Slice text, const char *word)
{
    size_t word_len = strlen(word);
    for (size_t i = 0; i < text.len; i++) {
        const char *first = memchr(text.ptr + i, word[0], text.len - i);
        if (first == NULL) {
            return -1;
        }
        i = (size_t)(first - text.ptr);
        size_t n = match_here(slice_sub(text, i, text.len), word);
        bool head = !cheat_is_word_byte(word[0]) || i == 0 || !cheat_is_word_byte(text.ptr[i - 1]);
        bool tail = !cheat_is_word_byte(word[word_len - 1]) || i + n == text.len ||
                    !cheat_is_word_byte(text.ptr[i + n]);
        if (n > 0 && head && tail) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

bool cheat_has(Slice text, const char *word)
{
    return cheat_find(text, word) >= 0;
}

void cheat_count_line(CheatCount *count, const PatchFile *file, const PatchLine *line, bool has)
{
    if (!has || line->kind == PATCH_CONTEXT) {
        return;
    }
    count->net += line->kind == PATCH_ADDED ? 1 : -1;
    if (line->kind == PATCH_ADDED && count->line == 0) {
        count->file = patch_file_path(file);
        count->line = line->new_line;
        count->text = slice_trim(line->text);
    }
}
