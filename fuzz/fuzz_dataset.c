// Tables of observations, as CSV (first byte even) and as JSON (odd): what is read has finite or
// missing cells, and written as JSON it reads as the same table.
#include <math.h>

#include "model/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz dataset: %s", what);
    }
}

static int read(Arena *arena, Slice text, bool json, Dataset *d, Err *e)
{
    if (!json) {
        return dataset_read_csv(d, text, "f", e);
    }
    const Doc *doc;
    int rc =
        doc_parse(arena, text, &(DocOptions){.format = DOC_FORMAT_JSON, .source = "f"}, &doc, e);
    return rc == 0 ? dataset_read(d, doc, e) : rc;
}

static void check_same(const Dataset *a, const Dataset *b)
{
    require(dataset_rows(a) == dataset_rows(b) && dataset_columns(a) == dataset_columns(b),
            "another size");
    for (size_t i = 0; i < dataset_rows(a); i++) {
        require(slice_eq(dataset_source(a, i), dataset_source(b, i)), "another source");
        require(dataset_at(a, i) == dataset_at(b, i), "another time");
        for (size_t k = 0; k < dataset_columns(a); k++) {
            double x = dataset_cell(a, i, k), y = dataset_cell(b, i, k);
            require(!isinf(x), "an infinite cell");
            require((isnan(x) && isnan(y)) || x == y, "another cell");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { TEXT_MAX = 16 << 10 };
    if (size == 0 || size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(64 << 20);
    Dataset *d = dataset_create(), *again = dataset_create();
    Err e = {0};
    int rc = read(arena, (Slice){(const char *)data + 1, size - 1}, data[0] & 1, d, &e);
    require(rc == 0 || rc == ERR_PARSE || rc == ERR_LIMIT || rc == ERR_ARG || rc == ERR_CONFLICT ||
                rc == ERR_VERSION,
            "an unexpected code");
    require(rc == 0 || e.text[0] == 'f', "an error without a source");
    if (rc == 0) {
        Buf text = buf_create(1 << 20);
        JsonWriter w = json_writer(&text, 0);
        dataset_write(d, SLICE("s"), &w);
        require(buf_check(&text, "the table", &e) == 0, "a small text makes a large one");
        require(read(arena, buf_slice(&text), true, again, &e) == 0, "written, not read");
        check_same(d, again);
        buf_done(&text);
    }
    dataset_destroy(d);
    dataset_destroy(again);
    arena_destroy(arena);
    return 0;
}
