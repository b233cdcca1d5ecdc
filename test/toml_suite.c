// Holds the TOML reader to the public toml-test corpus (github.com/toml-lang/toml-test): every
// valid document must read as the tagged JSON beside it says, every invalid one must be refused.
//
//     toml_suite DIR     DIR holds files-toml-1.0.0, valid/ and invalid/
//
// toml_test.sh fetches the corpus and calls this.
#include <math.h>

#include "base/doc.h"

enum { CORPUS_ARENA = 64 << 20 };

typedef struct Tally {
    int passed, failed;
} Tally;

// Dates compare as text once T and Z are upper case and a fraction has no zeros at its end.
static Slice normal_datetime(Arena *arena, Slice text)
{
    Buf out = buf_create(text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        buf_putc(&out, c == ' ' || c == 't' ? 'T' : c == 'z' ? 'Z' : c);
    }
    ptrdiff_t dot = slice_find_byte(buf_slice(&out), '.');
    if (dot >= 0) {
        size_t end = (size_t)dot + 1;
        while (end < out.len && out.data[end] >= '0' && out.data[end] <= '9') {
            end++;
        }
        size_t keep = end;
        while (out.data[keep - 1] == '0') {
            keep--;
        }
        keep -= out.data[keep - 1] == '.';
        memmove(out.data + keep, out.data + end, out.len - end);
        out.len -= end - keep;
    }
    Slice copy = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return copy;
}

static const char *datetime_kind(Slice text)
{
    if (text.len > 2 && text.ptr[2] == ':') {
        return "time-local";
    }
    if (text.len == 10) {
        return "date-local";
    }
    Slice time = slice_sub(text, 11, text.len);
    bool offset = slice_find_byte(time, 'Z') >= 0 || slice_find_byte(time, '+') >= 0 ||
                  slice_find_byte(time, '-') >= 0;
    return offset ? "datetime" : "datetime-local";
}

static bool same_float(double have, Slice want)
{
    double value = 0;
    if (slice_eq_cstr(want, "nan")) {
        return isnan(have);
    }
    if (slice_ends_with(want, SLICE("inf"))) {
        return isinf(have) && (have < 0) == (want.ptr[0] == '-');
    }
    return slice_to_f64(want, &value) == 0 && value == have;
}

static bool same_scalar(Arena *arena, const Doc *have, Slice kind, Slice want)
{
    int64_t integer = 0;
    switch (have->type) {
    case DOC_STRING: return slice_eq_cstr(kind, "string") && slice_eq(have->text, want);
    case DOC_INT:
        return slice_eq_cstr(kind, "integer") && slice_to_i64(want, &integer) == 0 &&
               integer == have->integer;
    case DOC_FLOAT: return slice_eq_cstr(kind, "float") && same_float(have->real, want);
    case DOC_BOOL:
        return slice_eq_cstr(kind, "bool") && slice_eq_cstr(want, have->boolean ? "true" : "false");
    case DOC_DATETIME: {
        Slice text = normal_datetime(arena, have->text);
        return slice_eq_cstr(kind, datetime_kind(text)) &&
               slice_eq(text, normal_datetime(arena, want));
    }
    case DOC_NULL:
    case DOC_ARRAY:
    case DOC_OBJECT: break;
    }
    return false;
}

static bool same(Arena *arena, const Doc *have, const Doc *want)
{
    const Doc *kind = doc_get(want, SLICE("type")), *value = doc_get(want, SLICE("value"));
    if (doc_count(want) == 2 && kind && value && kind->type == DOC_STRING &&
        value->type == DOC_STRING) {
        return same_scalar(arena, have, kind->text, value->text);
    }
    if (have->type != want->type || doc_count(have) != doc_count(want)) {
        return false;
    }
    size_t i = 0;
    for (const Doc *w = doc_first(want); w; w = doc_next(w), i++) {
        const Doc *h = want->type == DOC_OBJECT ? doc_get(have, w->key) : doc_at(have, i);
        if (!h || !same(arena, h, w)) {
            return false;
        }
    }
    return true;
}

static bool valid_passes(Arena *arena, const char *path, Err *e)
{
    const Doc *have = NULL, *want = NULL;
    if (doc_read_file(arena, path, NULL, &have, e) != 0) {
        return false;
    }
    size_t stem = strlen(path) - strlen(".toml");
    Slice json = arena_printf(arena, "%.*s.json", (int)stem, path);
    if (doc_read_file(arena, json.ptr, NULL, &want, e) != 0) {
        return false;
    }
    if (!same(arena, have, want)) {
        (void)err_set(e, ERR_PARSE, "%s: read differently", path);
        return false;
    }
    return true;
}

static void run_one(const char *dir, Slice name, Tally *tally)
{
    Arena *arena = arena_create(CORPUS_ARENA);
    Err e = {0};
    Slice path = arena_printf(arena, "%s/%.*s", dir, SLICE_FMT(name));
    bool passed = false;
    if (slice_starts_with(name, SLICE("valid/"))) {
        passed = valid_passes(arena, path.ptr, &e);
    } else {
        const Doc *doc = NULL;
        passed = doc_read_file(arena, path.ptr, NULL, &doc, &e) == ERR_PARSE;
        if (!passed) {
            (void)err_set(&e, ERR_PARSE, "%s: was taken for valid", path.ptr);
        }
    }
    if (passed) {
        tally->passed++;
    } else {
        tally->failed++;
        printf("FAILED %s\n", e.text);
    }
    arena_destroy(arena);
}

int main(int argc, char **argv)
{
    char line[4096];
    Tally valid = {0}, invalid = {0};
    if (argc != 2) {
        fputs("usage: toml_suite DIR\n", stderr);
        return 2;
    }
    (void)snprintf(line, sizeof line, "%s/files-toml-1.0.0", argv[1]);
    FILE *list = fopen(line, "re");
    if (!list) {
        perror(line);
        return 2;
    }
    while (fgets(line, sizeof line, list)) {
        Slice name = slice_trim(slice_from_cstr(line));
        if (slice_ends_with(name, SLICE(".toml"))) {
            run_one(argv[1], name, slice_starts_with(name, SLICE("valid/")) ? &valid : &invalid);
        }
    }
    (void)fclose(list);
    printf("toml-test 1.0.0: valid %d passed, %d failed; invalid %d passed, %d failed\n",
           valid.passed, valid.failed, invalid.passed, invalid.failed);
    // An empty list would pass without having tested anything.
    return valid.failed + invalid.failed > 0 || valid.passed == 0 || invalid.passed == 0;
}
