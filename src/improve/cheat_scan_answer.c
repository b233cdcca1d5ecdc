#include "improve/cheat_scan_impl.h"

#include "ledger/sha256.h"

// Answers that are in the patch, and answers that are kept from call to call. What decides are the
// hidden inputs of the judge; these checks say where to look, and catch what is in plain sight.

enum {
    DIGITS_MIN = 6,       // of a number that is no accident in an output
    HASH_TEXT_MIN = 16,   // of a text with digits, as a hash or an encoded answer is
    INPUT_TEXT_MIN = 32,  // of an input; shorter words are what parsers look for
    SIZE_MIN = 100,       // smaller sizes are everywhere
    TABLE_NUMBERS = 2000, // a table of so many numbers is said
};

typedef struct Answers {
    CheatScanner *s;
    size_t literals;
    size_t numbers;
    Slice numbers_file;
    Slice said[CHEATS]; // one finding a file and kind is enough
} Answers;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// 1000000, 65536, 4294967295: everybody's numbers.
static bool is_round(Slice digits)
{
    int64_t value;
    if (slice_to_i64(digits, &value) != 0) {
        return false;
    }
    size_t zeros = 0;
    while (zeros < digits.len && digits.ptr[digits.len - 1 - zeros] == '0') {
        zeros++;
    }
    uint64_t v = (uint64_t)value;
    bool near_power = (v & (v - 1)) == 0 || (v & (v + 1)) == 0;
    return near_power || zeros >= 3 || digits.len - zeros <= 3;
}

// `literal` in `content` with no digit or letter at its sides.
static bool stands_in(Slice content, Slice literal)
{
    content = slice_sub(content, 0, CHEAT_CONTENT_MAX);
    while (content.len >= literal.len) {
        ptrdiff_t at = slice_find(content, literal);
        if (at < 0) {
            return false;
        }
        size_t end = (size_t)at + literal.len;
        if ((at == 0 || !cheat_is_word_byte(content.ptr[at - 1])) &&
            (end == content.len || !cheat_is_word_byte(content.ptr[end]))) {
            return true;
        }
        content = slice_sub(content, end, content.len);
    }
    return false;
}

static bool in_any(const Slice *contents, size_t count, Slice literal)
{
    for (size_t i = 0; i < count; i++) {
        if (stands_in(contents[i], literal)) {
            return true;
        }
    }
    return false;
}

static bool is_hash_of_input(const CheatScan *scan, Slice literal)
{
    for (size_t i = 0; i < scan->input_count && literal.len == SHA256_HEX; i++) {
        Sha256 hash = sha256_of(scan->inputs[i]);
        char hex[SHA256_HEX + 1];
        sha256_hex(&hash, hex);
        if (slice_eq_nocase(literal, slice_from_cstr(hex))) {
            return true;
        }
    }
    return false;
}

static void say(Answers *a, FindingLevel level, const PatchFile *file, const PatchLine *line,
                const char *what, Slice literal)
{
    cheat_found(a->s, CHEAT_ANSWER_KNOWN, level, patch_file_path(file), line->new_line, "%s: %.*s",
                what, SLICE_FMT(slice_sub(literal, 0, 80)));
}

static void look_up_text(Answers *a, const PatchFile *file, const PatchLine *line, Slice text)
{
    const CheatScan *scan = a->s->scan;
    size_t digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        digits += is_digit(text.ptr[i]);
    }
    bool packed =
        text.len >= HASH_TEXT_MIN && digits >= DIGITS_MIN && slice_find_byte(text, ' ') < 0;
    if (is_hash_of_input(scan, text)) {
        say(a, FINDING_CHEAT, file, line, "the hash of a declared input is in the code", text);
    } else if (packed && in_any(scan->outputs, scan->output_count, text)) {
        say(a, FINDING_CHEAT, file, line, "a text of the expected output is in the code", text);
    } else if (text.len >= INPUT_TEXT_MIN && in_any(scan->inputs, scan->input_count, text)) {
        say(a, FINDING_DOUBT, file, line, "a text of a declared input is in the code", text);
    }
}

// A comparison with exactly the size that is measured.
static bool is_measured_size(const CheatScan *scan, Slice code, Slice digits)
{
    bool compared = slice_find(code, SLICE("==")) >= 0 || cheat_has(code, "case");
    int64_t value;
    if (!compared || slice_to_i64(digits, &value) != 0 || value < SIZE_MIN) {
        return false;
    }
    for (size_t i = 0; scan->steps && i < scan->steps->workload_count; i++) {
        const WorkloadInputs *inputs = &scan->steps->workloads[i].inputs;
        for (size_t k = 0; k < inputs->size_count; k++) {
            if (inputs->sizes[k] == value) {
                return true;
            }
        }
    }
    for (size_t i = 0; i < scan->input_count; i++) {
        if ((int64_t)scan->inputs[i].len == value && !is_round(digits)) {
            return true;
        }
    }
    return false;
}

static void look_up_number(Answers *a, const PatchFile *file, const PatchLine *line, Slice code,
                           Slice digits)
{
    const CheatScan *scan = a->s->scan;
    if (digits.len >= DIGITS_MIN && !is_round(digits) &&
        in_any(scan->outputs, scan->output_count, digits)) {
        say(a, FINDING_CHEAT, file, line, "a number of the expected output is in the code", digits);
    } else if (is_measured_size(scan, code, digits)) {
        say(a, FINDING_DOUBT, file, line, "the size that is measured is treated apart", digits);
    }
}

// Every literal of an added line. Escapes are passed over, not read: an answer with newlines in it
// is found by its parts.
static void scan_line(void *ctx, const PatchFile *file, CheatPath class, const PatchLine *line,
                      Slice code)
{
    (void)class;
    Answers *a = ctx;
    for (size_t i = 0; i < code.len && line->kind == PATCH_ADDED; i++) {
        char c = code.ptr[i];
        size_t end = i + 1;
        if (c == '"' || c == '\'') {
            while (end < code.len && code.ptr[end] != c && code.ptr[end] != '\\') {
                end++;
            }
            if (end - i > HASH_TEXT_MIN && a->literals++ < CHEAT_LITERALS_MAX) {
                look_up_text(a, file, line, slice_sub(code, i + 1, end - i - 1));
            }
            // An escape: what follows is another piece of the same literal.
            while (end + 1 < code.len && code.ptr[end] == '\\') {
                size_t from = end + 2;
                for (end = from; end < code.len && code.ptr[end] != c && code.ptr[end] != '\\';) {
                    end++;
                }
                end = end < code.len ? end : code.len;
                if (end - from >= HASH_TEXT_MIN && end > from &&
                    a->literals++ < CHEAT_LITERALS_MAX) {
                    look_up_text(a, file, line, slice_sub(code, from, end - from));
                }
            }
            i = end;
        } else if (is_digit(c) && (i == 0 || !cheat_is_word_byte(code.ptr[i - 1]))) {
            while (end < code.len && is_digit(code.ptr[end])) {
                end++;
            }
            a->numbers++;
            a->numbers_file = patch_file_path(file);
            if (end - i >= 3 && a->literals++ < CHEAT_LITERALS_MAX) {
                look_up_number(a, file, line, code, slice_sub(code, i, end - i));
            }
            i = end - 1;
        }
    }
}

void cheat_scan_answers(CheatScanner *s)
{
    Answers a = {.s = s};
    cheat_each_line(s, CHEAT_PATH_SOURCE, scan_line, &a);
    if (a.numbers >= TABLE_NUMBERS) {
        cheat_found(s, CHEAT_ANSWER_KNOWN, FINDING_NOTE, a.numbers_file, 0,
                    "%zu numbers are put into the code; hidden inputs decide whether they are a "
                    "table or the answers",
                    a.numbers);
    }
}

// ---- the last input and its answer

typedef struct Static {
    Slice name;
    Slice file;
    long line;
    bool pointer;
    bool compared, returned;
} Static;

typedef struct Statics {
    Static items[CHEAT_STATICS_MAX];
    size_t count;
} Statics;

static bool is_ident_start(char c)
{
    return cheat_is_word_byte(c) && !is_digit(c);
}

// The last name of a piece of a declaration: "char *last_text" gives "last_text".
static Slice last_name(Slice text)
{
    text = slice_trim(text);
    size_t from = text.len;
    while (from > 0 && cheat_is_word_byte(text.ptr[from - 1])) {
        from--;
    }
    return slice_sub(text, from, text.len);
}

// "static char *last; " of C; "let last = ..." and "_last = None" at the first column elsewhere.
static bool declares_static(Slice code, CheatLanguage language, Static *ret)
{
    size_t end = 0;
    while (end < code.len && strchr("=;[(,", code.ptr[end]) == NULL) {
        end++;
    }
    Slice head = slice_sub(code, 0, end);
    bool function = end < code.len && code.ptr[end] == '(';
    ret->name = last_name(head);
    ret->pointer = slice_find_byte(head, '*') >= 0;
    if (function || ret->name.len == 0 || !is_ident_start(ret->name.ptr[0])) {
        return false;
    }
    if (language == CHEAT_LANG_C) {
        // "static const char *last" points at constants and changes itself.
        return cheat_has(head, "static") && (ret->pointer || !cheat_has(head, "const")) &&
               slice_trim(head).len > strlen("static") + ret->name.len;
    }
    bool js = language == CHEAT_LANG_JS &&
              (slice_starts_with(code, SLICE("let ")) || slice_starts_with(code, SLICE("var ")));
    bool python = language == CHEAT_LANG_PYTHON && head.len > 0 && is_ident_start(head.ptr[0]) &&
                  end < code.len && code.ptr[end] == '=' && slice_eq(slice_trim(head), ret->name);
    return js || python;
}

static void collect_static(void *ctx, const PatchFile *file, CheatPath class, const PatchLine *line,
                           Slice code)
{
    (void)class;
    Statics *statics = ctx;
    Static found = {.file = patch_file_path(file), .line = line->new_line};
    if (line->kind == PATCH_ADDED && statics->count < CHEAT_STATICS_MAX &&
        declares_static(code, cheat_language(found.file), &found)) {
        statics->items[statics->count++] = found;
    }
}

// Where `name` stands as a word of its own.
static ptrdiff_t find_name(Slice code, Slice name)
{
    for (size_t from = 0; from + name.len <= code.len;) {
        ptrdiff_t at = slice_find(slice_sub(code, from, code.len), name);
        if (at < 0) {
            return -1;
        }
        size_t start = from + (size_t)at, end = start + name.len;
        if ((start == 0 || !cheat_is_word_byte(code.ptr[start - 1])) &&
            (end == code.len || !cheat_is_word_byte(code.ptr[end]))) {
            return (ptrdiff_t)start;
        }
        from = end;
    }
    return -1;
}

static bool compares(Slice text, bool name_is_left)
{
    // What the other side begins (or ends) with: a name of the caller's, not a constant.
    text = slice_trim(text);
    size_t at = 0;
    if (name_is_left) {
        while (at < text.len && (text.ptr[at] == '=' || text.ptr[at] == ' ')) {
            at++;
        }
        if (slice_starts_with(text, SLICE("is "))) {
            at = strlen("is ");
        }
        Slice other = slice_sub(text, at, text.len);
        bool none =
            slice_starts_with(other, SLICE("NULL")) || slice_starts_with(other, SLICE("None")) ||
            slice_starts_with(other, SLICE("null")) || slice_starts_with(other, SLICE("undefined"));
        return at >= 2 && other.len > 0 && is_ident_start(other.ptr[0]) && !none;
    }
    size_t end = text.len;
    while (end > 0 && (text.ptr[end - 1] == '=' || text.ptr[end - 1] == ' ')) {
        end--;
    }
    bool word = end >= 2 && text.len - end == 0 && slice_ends_with(text, SLICE(" is"));
    return word || (text.len - end >= 2 && end > 0 && cheat_is_word_byte(text.ptr[end - 1]) &&
                    !is_digit(text.ptr[end - 1]));
}

static void use_static(Static *one, Slice code)
{
    ptrdiff_t at = find_name(code, one->name);
    if (at < 0) {
        return;
    }
    Slice before = slice_sub(code, 0, (size_t)at);
    Slice behind = slice_sub(code, (size_t)at + one->name.len, code.len);
    bool condition = cheat_has(code, "if") || slice_find_byte(code, '?') >= 0 ||
                     slice_find(code, SLICE("&&")) >= 0;
    bool by_content =
        slice_find(before, SLICE("cmp(")) >= 0 || slice_find(before, SLICE(".equals(")) >= 0;
    one->compared |= condition && (compares(behind, true) || compares(before, false) || by_content);
    // Compared by what it points at, it is no longer the address that decides.
    one->pointer &= !(condition && by_content);
    one->returned |= cheat_has(before, "return");
}

static void use_statics(void *ctx, const PatchFile *file, CheatPath class, const PatchLine *line,
                        Slice code)
{
    (void)class;
    Statics *statics = ctx;
    for (size_t i = 0; i < statics->count && line->kind == PATCH_ADDED; i++) {
        if (slice_eq(statics->items[i].file, patch_file_path(file)) &&
            statics->items[i].line != line->new_line) {
            use_static(&statics->items[i], code);
        }
    }
}

// A variable that outlives the call is compared with an argument, and another one is returned: the
// last input and its answer. In a loop that measures one input over and over that is all there is
// to do, and hardly ever elsewhere.
void cheat_scan_last(CheatScanner *s)
{
    Statics statics = {0};
    cheat_each_line(s, CHEAT_PATH_SOURCE, collect_static, &statics);
    cheat_each_line(s, CHEAT_PATH_SOURCE, use_statics, &statics);
    for (size_t i = 0; i < statics.count; i++) {
        const Static *key = &statics.items[i];
        for (size_t k = 0; k < statics.count && key->compared; k++) {
            const Static *answer = &statics.items[k];
            if (k != i && answer->returned && slice_eq(key->file, answer->file)) {
                cheat_found(s, CHEAT_CACHE_IN_PROCESS, key->pointer ? FINDING_CHEAT : FINDING_DOUBT,
                            key->file, key->line,
                            key->pointer ? "\"%.*s\" holds the address of the last input, and its "
                                           "answer is given again whatever lies there now"
                                         : "\"%.*s\" holds the last input, and its answer is given "
                                           "again",
                            SLICE_FMT(key->name));
                return;
            }
        }
    }
}
