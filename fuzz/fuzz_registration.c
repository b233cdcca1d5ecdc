// The document of a registration (improve/preregister.h): words about what is wrong, or one that is
// written and read back with the same hash.
#include "base/doc.h"
#include "improve/preregister.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 16, ROOM = 32 << 20 };

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz registration: %s", what);
    }
}

static int read_one(Arena *arena, Slice text, Registration *ret_r, Err *e)
{
    const Doc *doc;
    int rc = doc_parse(arena, text, NULL, &doc, e);
    return rc == 0 ? registration_read(arena, doc, ret_r, e) : rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(ROOM);
    Registration r, back;
    Err e = {0};
    if (read_one(arena, (Slice){(const char *)data, size}, &r, &e) != 0) {
        require(e.text[0] != 0, "refused without words");
    } else {
        Buf out = buf_create(REGISTRATION_BYTES_MAX);
        JsonWriter w = json_writer(&out, 0);
        registration_write(&r, &w);
        require(read_one(arena, buf_slice(&out), &back, &e) == 0, "its own document is refused");
        require(slice_eq_cstr(slice_from_cstr(r.sha256), back.sha256), "another hash");
        buf_done(&out);
    }
    arena_destroy(arena);
    return 0;
}
