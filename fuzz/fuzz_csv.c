// CSV feeds: what is read has every row as long as the header, and written back with all fields in
// quotes it reads as the same cells.
#include "load/feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz csv: %s", what);
    }
}

static void put_row(Buf *out, const Slice *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, i ? ",\"" : "\"");
        for (size_t k = 0; k < cells[i].len; k++) {
            buf_puts(out, cells[i].ptr[k] == '"' ? "\"" : "");
            buf_putc(out, cells[i].ptr[k]);
        }
        buf_putc(out, '"');
    }
    buf_puts(out, "\r\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { TEXT_MAX = 16 << 10 };
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(64 << 20);
    PlanFeed feed = {.name = SLICE("f")}, again = {.name = SLICE("f")};
    Err e = {0};
    int rc = feed_read_csv(arena, (Slice){(const char *)data, size}, "f", &feed, &e);
    require(rc == 0 || rc == ERR_PARSE || rc == ERR_LIMIT, "an unexpected code");
    require(rc == 0 || e.text[0] == 'f', "an error without a source");
    if (rc == 0) {
        Buf text = buf_create(1 << 20);
        put_row(&text, feed.columns, feed.column_count);
        for (size_t i = 0; i < feed.row_count; i++) {
            put_row(&text, feed.cells + i * feed.column_count, feed.column_count);
        }
        require(feed_read_csv(arena, buf_slice(&text), "f", &again, &e) == 0, "written, not read");
        require(again.row_count == feed.row_count && again.column_count == feed.column_count,
                "another size");
        for (size_t i = 0; i < feed.row_count * feed.column_count; i++) {
            require(slice_eq(feed.cells[i], again.cells[i]), "another cell");
        }
        buf_done(&text);
    }
    arena_destroy(arena);
    return 0;
}
