// JSON paths: the first line is the path, the rest the text. Whatever they are, a value lies within
// the text or within scratch; and where the text is JSON, a value found is JSON as well.
#include "doc_check.h"
#include "load/json_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(Slice part, Slice whole)
{
    return part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len;
}

static bool is_json(Slice text)
{
    Arena *arena = arena_create(64 << 20);
    const Doc *doc = NULL;
    bool ok = doc_parse(arena, text, &(DocOptions){.format = DOC_FORMAT_JSON}, &doc, NULL) == 0;
    arena_destroy(arena);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { TEXT_MAX = 16 << 10 };
    Slice path = {0}, json = {0};
    if (size > TEXT_MAX || !slice_cut((Slice){(const char *)data, size}, '\n', &path, &json)) {
        return 0;
    }
    Buf scratch = buf_create(1 << 20), text = buf_create(1 << 20);
    JsonValue value;
    Err e = {0};
    int rc = json_path_check(path, &e);
    doc_require(rc == 0 || e.text[0] != 0, "a refusal without words");
    if (json_path_get(json, path, &scratch, &value)) {
        doc_require(rc == 0, "a value for a path that is none");
        doc_require(lies_in(value.raw, json) || lies_in(value.raw, buf_slice(&scratch)),
                    "a value from elsewhere");
        json_value_text(&value, &text);
        doc_require(!is_json(json) || is_json(value.raw), "a value that is not JSON");
    }
    buf_done(&text);
    buf_done(&scratch);
    return 0;
}
