#include "improve/bundle.h"

#include <stdlib.h>
#include <string.h>

#include "base/gzip.h"
#include "base/json_write.h"
#include "improve/bundle_tar.h"
#include "os/file.h"

#define MANIFEST SLICE("manifest.json")
#define FORMAT   SLICE("perfwright-bundle")

enum { NAMES_BYTES_MAX = 1 << 20 }; // 1000 names of 100 bytes and their array

typedef struct Part {
    Slice name; // in the writer's arena
    char *bytes;
    size_t len;
} Part;

struct BundleWriter {
    Arena *arena;
    Part parts[BUNDLE_PARTS_MAX]; // kept sorted by name
    size_t count;
    size_t bytes; // of all parts
};

BundleWriter *bundle_writer_create(void)
{
    BundleWriter *w = mem_zalloc(sizeof *w);
    w->arena = arena_create(NAMES_BYTES_MAX);
    return w;
}

void bundle_writer_destroy(BundleWriter *w)
{
    if (!w) {
        return;
    }
    for (size_t i = 0; i < w->count; i++) {
        free(w->parts[i].bytes);
    }
    arena_destroy(w->arena);
    free(w);
}

static int check_room(const BundleWriter *w, Slice name, size_t len, Err *e)
{
    if (!bundle_name_ok(name) || slice_eq(name, MANIFEST)) {
        return err_set(e, ERR_ARG, "\"%.*s\" cannot be the name of a part of a bundle",
                       SLICE_FMT(name));
    }
    if (w->count == BUNDLE_PARTS_MAX) {
        return err_set(e, ERR_LIMIT, "a bundle has at most %d parts", BUNDLE_PARTS_MAX);
    }
    if (len > BUNDLE_PART_BYTES_MAX || w->bytes + len > BUNDLE_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "%.*s (%zu bytes) makes the bundle too large", SLICE_FMT(name),
                       len);
    }
    return 0;
}

int bundle_add(BundleWriter *w, Slice name, Slice bytes, Err *e)
{
    int rc = check_room(w, name, bytes.len, e);
    if (rc != 0) {
        return rc;
    }
    size_t at = 0;
    while (at < w->count && slice_cmp(w->parts[at].name, name) < 0) {
        at++;
    }
    if (at < w->count && slice_eq(w->parts[at].name, name)) {
        return err_set(e, ERR_EXISTS, "the bundle has %.*s already", SLICE_FMT(name));
    }
    memmove(&w->parts[at + 1], &w->parts[at], (w->count - at) * sizeof w->parts[0]);
    Part *part = &w->parts[at];
    *part = (Part){.name = arena_copy(w->arena, name), .len = bytes.len};
    part->bytes = mem_alloc(bytes.len + 1);
    if (bytes.len > 0) {
        memcpy(part->bytes, bytes.ptr, bytes.len);
    }
    w->count++;
    w->bytes += bytes.len;
    return 0;
}

int bundle_add_file(BundleWriter *w, Slice name, const char *path, size_t bytes_max, Err *e)
{
    size_t max =
        bytes_max > 0 && bytes_max < BUNDLE_PART_BYTES_MAX ? bytes_max : BUNDLE_PART_BYTES_MAX;
    Buf text = buf_create(BUNDLE_PART_BYTES_MAX);
    int rc = file_read(path, &text, e);
    if (rc == 0 && text.len > max) {
        size_t dropped = text.len - max;
        Buf cut = buf_create(max + 128);
        buf_printf(&cut, "[the first %zu bytes were left out]\n", dropped);
        buf_append(&cut, slice_sub(buf_slice(&text), dropped, max));
        rc = bundle_add(w, name, buf_slice(&cut), e);
        buf_done(&cut);
    } else if (rc == 0) {
        rc = bundle_add(w, name, buf_slice(&text), e);
    }
    buf_done(&text);
    return rc;
}

// The manifest is the canonical form (members sorted), so that its hash depends on nothing else.
static void write_manifest(const BundleWriter *w, Buf *out)
{
    JsonWriter j = json_writer(out, 0);
    json_object_begin(&j);
    json_field_string(&j, "format", FORMAT);
    json_key(&j, SLICE("parts"));
    json_array_begin(&j);
    for (size_t i = 0; i < w->count; i++) {
        const Part *part = &w->parts[i];
        Sha256 hash = sha256_of((Slice){part->bytes, part->len});
        char hex[SHA256_HEX + 1];
        sha256_hex(&hash, hex);
        json_object_begin(&j);
        json_field_int(&j, "bytes", (int64_t)part->len);
        json_field_string(&j, "name", part->name);
        json_field_cstr(&j, "sha256", hex);
        json_object_end(&j);
    }
    json_array_end(&j);
    json_field_int(&j, "version", BUNDLE_VERSION);
    json_object_end(&j);
    buf_putc(out, '\n');
}

int bundle_write(const BundleWriter *w, Buf *out, char ret_id[SHA256_HEX + 1], Err *e)
{
    Buf manifest = buf_create(BUNDLE_MANIFEST_BYTES_MAX);
    Buf tar = buf_create(BUNDLE_BYTES_MAX + BUNDLE_MANIFEST_BYTES_MAX +
                         (size_t)(BUNDLE_PARTS_MAX + 4) * 2 * BUNDLE_BLOCK);
    write_manifest(w, &manifest);
    int rc = buf_check(&manifest, "the manifest of the bundle", e);
    if (rc == 0) {
        Sha256 id = sha256_of(buf_slice(&manifest));
        sha256_hex(&id, ret_id);
        bundle_tar_append(&tar, MANIFEST, buf_slice(&manifest));
        for (size_t i = 0; i < w->count; i++) {
            bundle_tar_append(&tar, w->parts[i].name, (Slice){w->parts[i].bytes, w->parts[i].len});
        }
        bundle_tar_end(&tar);
        rc = buf_check(&tar, "the bundle", e);
    }
    if (rc == 0) {
        rc = gzip_append(buf_slice(&tar), out, e);
    }
    buf_done(&manifest);
    buf_done(&tar);
    return rc;
}

int bundle_save(const BundleWriter *w, const char *path, char ret_id[SHA256_HEX + 1], Err *e)
{
    Buf packed = buf_create(BUNDLE_BYTES_MAX + (1 << 20));
    int rc = bundle_write(w, &packed, ret_id, e);
    rc = rc == 0 ? file_write(path, buf_slice(&packed), NULL, e) : rc;
    buf_done(&packed);
    return rc;
}
