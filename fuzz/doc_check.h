// What holds for every Doc tree, whatever the text was; shared by the three readers' fuzz targets.
#ifndef FUZZ_DOC_CHECK_H
#define FUZZ_DOC_CHECK_H

#include "base/json_write.h"

static inline void doc_require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz doc: %s", what);
    }
}

static inline void doc_check_tree(const Doc *d, size_t depth)
{
    doc_require(depth <= DOC_DEPTH_MAX + 1, "deeper than the limit");
    doc_require(d->line >= 1 && d->column >= 1, "a value without a position");
    size_t n = 0;
    for (const Doc *m = doc_first(d); m; m = doc_next(m), n++) {
        if (d->type == DOC_OBJECT) {
            doc_require(doc_get(d, m->key) == m, "a member is not found by its key");
            doc_require(m->key_line >= 1 && m->key_column >= 1, "a key without a position");
        } else {
            doc_require(doc_at(d, n) == m, "an item is not found by its index");
        }
        doc_check_tree(m, depth + 1);
    }
    doc_require(n == doc_count(d), "count differs from the list");
}

// The canonical form must be JSON whose canonical form is itself.
static inline void doc_check_canonical(Arena *arena, const Doc *d)
{
    Buf first = buf_create(16 << 20), second = buf_create(16 << 20);
    const Doc *again = NULL;
    doc_write_canonical(d, &first);
    doc_require(doc_parse(arena, buf_slice(&first), NULL, &again, NULL) == 0,
                "the canonical form is not JSON");
    doc_write_canonical(again, &second);
    doc_require(slice_eq(buf_slice(&first), buf_slice(&second)), "the canonical form moves");
    buf_done(&first);
    buf_done(&second);
}

static inline int doc_fuzz(const uint8_t *data, size_t size, DocFormat format)
{
    enum { TEXT_MAX = 64 << 10 };
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(64 << 20);
    DocOptions o = {.format = format, .source = "f"};
    const Doc *doc = NULL;
    Err e = {0};
    int rc = doc_parse(arena, (Slice){(const char *)data, size}, &o, &doc, &e);
    int line = 0, column = 0;
    if (rc == 0) {
        doc_check_tree(doc, 1);
        doc_check_canonical(arena, doc);
    } else {
        doc_require(sscanf(e.text, "f:%d:%d: ", &line, &column) == 2 && line > 0 && column > 0,
                    "an error without a position");
    }
    arena_destroy(arena);
    return 0;
}

#endif
