// Variations of a workload that its declaration does not mention: other names for its files, a
// little less in them, its numbers by one. No honest patch fears them, and what answers from
// memory does: an answer known for one file's name, one number, one content.
//
// What the base does not accept says nothing and is dropped; on the others both sides must agree.
#include <sys/stat.h>

#include "improve/judge_impl.h"
#include "os/file.h"

enum {
    WORDS_MAX = 64,             // of a command that are looked at
    DATA_BYTES_MAX = 16 << 20,  // of a file that is varied
    SCRIPT_BYTES_MAX = 1 << 20, // of a script whose numbers are
    LITERALS_MAX = 2,           // the largest ones
    LITERAL_MIN = 10,
};

static void add(Judge *j, JudgeWork *work, Slice run, bool near, const char *what, Slice of)
{
    if (work->input_count == JUDGE_INPUTS_MAX) {
        return;
    }
    work->inputs[work->input_count++] = (JudgeInput){
        .hidden = true,
        .near = near,
        .label = arena_printf(j->arena, "%s %.*s", what, SLICE_FMT(of)),
        .run = run,
    };
}

static Slice replaced(Judge *j, Slice text, size_t at, size_t len, Slice with)
{
    return arena_printf(j->arena, "%.*s%.*s%.*s", (int)at, text.ptr, SLICE_FMT(with),
                        SLICE_FMT(slice_sub(text, at + len, text.len)));
}

// ---- files

// Position behind the newline that ends the line at `at`; the end without one.
static size_t line_end(Slice bytes, size_t at)
{
    ptrdiff_t newline = slice_find_byte(slice_sub(bytes, at, bytes.len), '\n');
    return newline < 0 ? bytes.len : at + (size_t)newline + 1;
}

static size_t last_line(Slice bytes)
{
    size_t at = bytes.len > 1 ? bytes.len - 1 : 0;
    while (at > 0 && bytes.ptr[at - 1] != '\n') {
        at--;
    }
    return at;
}

static int add_content(Judge *j, JudgeWork *work, Slice run, size_t at, Slice word, Slice bytes,
                       bool near, const char *what, Err *e)
{
    Slice inside;
    int rc = judge_write_input(j, bytes, &inside, e);
    if (rc == 0) {
        add(j, work, replaced(j, run, at, word.len, inside), near, what, word);
    }
    return rc;
}

static int vary_file(Judge *j, JudgeWork *work, Slice run, size_t at, Slice word, const char *host,
                     Err *e)
{
    Buf held = buf_create(DATA_BYTES_MAX);
    int rc = 0;
    if (file_read(host, &held, NULL) == 0 && held.len >= 2) {
        Slice all = buf_slice(&held);
        size_t half = line_end(all, all.len / 2), first = line_end(all, 0);
        const struct {
            Slice bytes;
            bool near;
            const char *what;
        } WAYS[] = {
            {all, true, "another name for"},
            {slice_sub(all, 0, last_line(all)), true, "all but the last line of"},
            {slice_sub(all, first, all.len), true, "all but the first line of"},
            {slice_sub(all, 0, half), false, "the first half of"},
            {slice_sub(all, half, all.len), false, "the second half of"},
        };
        for (size_t i = 0; rc == 0 && i < COUNT_OF(WAYS); i++) {
            if (WAYS[i].bytes.len > 0) {
                size_t before = work->input_count;
                rc = add_content(j, work, run, at, word, WAYS[i].bytes, WAYS[i].near, WAYS[i].what,
                                 e);
                if (i == 0 && work->input_count > before) {
                    work->inputs[before].renamed = true;
                }
            }
        }
    }
    buf_done(&held);
    return rc;
}

static bool ends_with_any(Slice word, const char *const *ends, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_ends_with(word, slice_from_cstr(ends[i]))) {
            return true;
        }
    }
    return false;
}

// The file of the base's tree that the word names; NULL when it is none.
static const char *tree_file(Judge *j, const JudgeWork *work, Slice word, struct stat *ret_stat)
{
    Slice below = work->workload->directory;
    bool top = below.len == 0 || slice_eq(below, SLICE("."));
    if (word.len == 0 || word.ptr[0] == '/' || word.ptr[0] == '-' ||
        slice_find(word, SLICE("..")) >= 0) {
        return NULL;
    }
    const char *path = arena_printf(j->arena, "%s/%.*s%s%.*s", workspace_tree(j->base.source),
                                    top ? 0 : (int)below.len, below.len > 0 ? below.ptr : "",
                                    top ? "" : "/", SLICE_FMT(word))
                           .ptr;
    return lstat(path, ret_stat) == 0 && S_ISREG(ret_stat->st_mode) ? path : NULL;
}

// ---- numbers of the command

static bool is_whole_number(Slice word, int64_t *ret_value)
{
    return word.len > 0 && word.ptr[0] >= '1' && word.ptr[0] <= '9' &&
           slice_to_i64(word, ret_value) == 0 && *ret_value >= 2 && *ret_value < INT64_C(1) << 40;
}

static void vary_number(Judge *j, JudgeWork *work, Slice run, size_t at, Slice word, int64_t n)
{
    const struct {
        int64_t value;
        bool near;
    } WAYS[] = {{n + 1, true}, {n - 1, true}, {n / 2, false}};
    for (size_t i = 0; i < COUNT_OF(WAYS); i++) {
        Slice text = arena_printf(j->arena, "%lld", (long long)WAYS[i].value);
        add(j, work, replaced(j, run, at, word.len, text), WAYS[i].near,
            arena_printf(j->arena, "%lld in place of", (long long)WAYS[i].value).ptr, word);
    }
}

// ---- numbers of the script that is run, where the patch does not touch it

typedef struct Literal {
    size_t at, len;
    int64_t value;
} Literal;

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

// The largest whole numbers of the text: what says how much work is done. Sorted, largest first.
static size_t find_literals(Slice text, Literal out[LITERALS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < text.len;) {
        size_t end = i;
        while (end < text.len && is_word_byte(text.ptr[end])) {
            end++;
        }
        Literal l = {i, end - i, 0};
        if (end > i && is_whole_number(slice_sub(text, i, end - i), &l.value) &&
            l.value >= LITERAL_MIN) {
            size_t place = 0;
            while (place < count && out[place].value >= l.value) {
                place++;
            }
            for (size_t k = LITERALS_MAX - 1; k > place; k--) {
                out[k] = out[k - 1];
            }
            if (place < LITERALS_MAX) {
                out[place] = l;
                count += count < LITERALS_MAX;
            }
        }
        i = end > i ? end : i + 1;
    }
    return count;
}

// Beside the script, on both sides and in what they were built from, so that it finds what it
// loads.
static int put_script(Judge *j, const JudgeWork *work, Slice name, Slice text, Err *e)
{
    const Workspace *const PLACES[] = {j->base.source, j->base.built, j->patched.source,
                                       j->patched.built};
    Slice below = work->workload->directory;
    bool top = below.len == 0 || slice_eq(below, SLICE("."));
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < COUNT_OF(PLACES); i++) {
        const char *path = arena_printf(j->arena, "%s/%.*s%s%.*s", workspace_tree(PLACES[i]),
                                        top ? 0 : (int)below.len, below.len > 0 ? below.ptr : "",
                                        top ? "" : "/", SLICE_FMT(name))
                               .ptr;
        FileWriteOptions o = {.mode = 0644, .no_sync = true};
        rc = file_write(path, text, &o, e);
    }
    return rc;
}

static int vary_script(Judge *j, JudgeWork *work, Slice run, size_t at, Slice word,
                       const char *host, Err *e)
{
    Buf held = buf_create(SCRIPT_BYTES_MAX);
    Literal literals[LITERALS_MAX];
    size_t count =
        file_read(host, &held, NULL) == 0 ? find_literals(buf_slice(&held), literals) : 0;
    size_t dot = word.len;
    while (dot > 0 && word.ptr[dot - 1] != '.') {
        dot--;
    }
    int rc = 0;
    // One literal at a time: where the claim is on a mixture of these, what knows one number gains
    // on some inputs and not on others, and that is looked at.
    for (size_t i = 0; rc == 0 && i < 2 * count && dot > 1; i++) {
        const Literal *l = &literals[i / 2];
        int64_t value = l->value + (i % 2 == 0 ? 1 : -1);
        Slice text = replaced(j, buf_slice(&held), l->at, l->len,
                              arena_printf(j->arena, "%lld", (long long)value));
        Slice name = arena_printf(j->arena, "%.*s_%u.%.*s", (int)dot - 1, word.ptr, j->files++,
                                  SLICE_FMT(slice_sub(word, dot, word.len)));
        rc = put_script(j, work, name, text, e);
        if (rc == 0) {
            add(j, work, replaced(j, run, at, word.len, name), true,
                arena_printf(j->arena, "%lld in place of %lld in", (long long)value,
                             (long long)l->value)
                    .ptr,
                word);
        }
    }
    buf_done(&held);
    return rc;
}

// Both sides have the same file: the patch leaves it, or it is taken from the base.
static bool is_same_on_both(Judge *j, Slice path)
{
    return !patch_find(&j->patch, path) || cheat_path_protected(path, j->steps);
}

// ---- words

static int vary_word(Judge *j, JudgeWork *work, Slice run, size_t at, Slice word, Err *e)
{
    static const char *const SCRIPTS[] = {".py", ".js", ".mjs", ".cjs",
                                          ".rb", ".pl", ".lua", ".php"};
    static const char *const PROGRAMS[] = {".ts", ".sh", ".c", ".h", ".jar", ".wasm", ".class"};
    int64_t n;
    struct stat st;
    if (is_whole_number(word, &n)) {
        vary_number(j, work, run, at, word, n);
        return 0;
    }
    const char *host = tree_file(j, work, word, &st);
    if (!host) {
        return 0;
    }
    if (ends_with_any(word, SCRIPTS, COUNT_OF(SCRIPTS))) {
        return st.st_size <= SCRIPT_BYTES_MAX && is_same_on_both(j, word)
                   ? vary_script(j, work, run, at, word, host, e)
                   : 0;
    }
    bool data = (st.st_mode & 0111) == 0 && st.st_size <= DATA_BYTES_MAX &&
                !ends_with_any(word, PROGRAMS, COUNT_OF(PROGRAMS));
    return data ? vary_file(j, work, run, at, word, host, e) : 0;
}

static bool is_plain(Slice word)
{
    for (size_t i = 0; i < word.len; i++) {
        if (strchr("'\"$`\\;&|<>(){}*?[]#~=", word.ptr[i])) {
            return false;
        }
    }
    return word.len > 0;
}

int judge_add_variations(Judge *j, JudgeWork *work, Err *e)
{
    if (work->input_count == 0 || work->unseen) {
        return 0;
    }
    const JudgeInput *first = &work->inputs[0];
    Slice run = first->run, input = {0};
    for (size_t i = 0; i < first->var_count; i++) {
        input = slice_eq(first->vars[i].name, SLICE("input")) ? first->vars[i].value : input;
    }
    size_t words = 0;
    int rc = 0;
    // Words behind the first. Quotes, variables and several commands mean that a word may not be
    // what it seems, and are left alone.
    for (size_t at = 0; rc == 0 && at < run.len && words < WORDS_MAX;) {
        size_t end = at;
        while (end < run.len && run.ptr[end] != ' ') {
            end++;
        }
        Slice word = slice_sub(run, at, end - at);
        if (words > 0 && input.len > 0 && slice_eq(word, input)) {
            rc = vary_file(j, work, run, at, word, judge_input_host(j, word), e);
        } else if (words > 0 && is_plain(word)) {
            rc = vary_word(j, work, run, at, word, e);
        }
        words += word.len > 0;
        at = end + 1;
    }
    return rc;
}
