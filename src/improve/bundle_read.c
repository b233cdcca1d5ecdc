#include "improve/bundle.h"

#include "base/gzip.h"
#include "base/json_write.h"
#include "improve/bundle_tar.h"
#include "os/file.h"

#define MANIFEST SLICE("manifest.json")
#define FORMAT   SLICE("perfwright-bundle")

static const Slice MANIFEST_FIELDS[] = {SLICE_INIT("format"), SLICE_INIT("parts"),
                                        SLICE_INIT("version")};
static const Slice PART_FIELDS[] = {SLICE_INIT("bytes"), SLICE_INIT("name"), SLICE_INIT("sha256")};

static int read_part(const Doc *item, Slice before, BundlePart *ret_part, size_t *ret_bytes, Err *e)
{
    const Doc *bytes = doc_get(item, SLICE("bytes"));
    const Doc *name = doc_get(item, SLICE("name"));
    const Doc *hash = doc_get(item, SLICE("sha256"));
    Sha256 parsed;
    int rc = doc_expect(item, DOC_OBJECT, "a part", e);
    if (rc != 0 || (rc = doc_expect_fields(item, PART_FIELDS, COUNT_OF(PART_FIELDS), e)) != 0) {
        return rc;
    }
    if (!bytes || !name || !hash) {
        return doc_err(e, item, "a part needs bytes, name and sha256");
    }
    if (bytes->type != DOC_INT || bytes->integer < 0 || bytes->integer > BUNDLE_PART_BYTES_MAX) {
        return doc_err(e, bytes, "bytes must be a whole number up to %d", BUNDLE_PART_BYTES_MAX);
    }
    if (name->type != DOC_STRING || !bundle_name_ok(name->text) || slice_eq(name->text, MANIFEST)) {
        return doc_err(e, name, "this cannot be the name of a part");
    }
    if (slice_cmp(before, name->text) >= 0) {
        return doc_err(e, name, "parts must be sorted by name, each there once");
    }
    if (hash->type != DOC_STRING || sha256_parse(hash->text, &parsed) != 0) {
        return doc_err(e, hash, "sha256 must be 64 hexadecimal digits");
    }
    char hex[SHA256_HEX + 1];
    sha256_hex(&parsed, hex);
    if (!slice_eq_cstr(hash->text, hex)) {
        return doc_err(e, hash, "sha256 must be in lower case"); // one spelling, one id
    }
    *ret_part = (BundlePart){.name = name->text, .sha256_hex = hash->text};
    *ret_bytes = (size_t)bytes->integer;
    return 0;
}

static int check_manifest(const Doc *doc, Err *e)
{
    int rc = doc_expect(doc, DOC_OBJECT, "the manifest", e);
    if (rc != 0) {
        return rc;
    }
    const Doc *format = doc_get(doc, SLICE("format"));
    const Doc *version = doc_get(doc, SLICE("version"));
    if (!format || format->type != DOC_STRING || !slice_eq(format->text, FORMAT)) {
        return doc_err(e, doc, "this is no evidence bundle of perfwright");
    }
    if (!version || version->type != DOC_INT || version->integer < 1) {
        return doc_err(e, doc, "version must be a whole number from 1");
    }
    // Before the fields: a newer format may have more of them.
    if (version->integer > BUNDLE_VERSION) {
        return err_set(e, ERR_VERSION, "the bundle has version %lld; this program reads up to %d",
                       (long long)version->integer, BUNDLE_VERSION);
    }
    rc = doc_expect_fields(doc, MANIFEST_FIELDS, COUNT_OF(MANIFEST_FIELDS), e);
    if (rc != 0) {
        return rc;
    }
    const Doc *parts = doc_get(doc, SLICE("parts"));
    if (!parts || parts->type != DOC_ARRAY) {
        return doc_err(e, doc, "parts must be an array");
    }
    if (doc_count(parts) > BUNDLE_PARTS_MAX) {
        return err_set(e, ERR_LIMIT, "a bundle has at most %d parts", BUNDLE_PARTS_MAX);
    }
    return 0;
}

static int read_manifest(Arena *arena, Slice *rest, Bundle *bundle, const Doc **ret_parts, Err *e)
{
    Slice text;
    const Doc *doc;
    int rc = bundle_tar_take(rest, MANIFEST, SIZE_MAX, BUNDLE_MANIFEST_BYTES_MAX, &text, e);
    if (rc != 0) {
        return rc;
    }
    Sha256 id = sha256_of(text);
    sha256_hex(&id, bundle->id);
    DocOptions options = {.format = DOC_FORMAT_JSON, .source = "manifest.json"};
    if ((rc = doc_parse(arena, text, &options, &doc, e)) != 0 ||
        (rc = check_manifest(doc, e)) != 0) {
        return rc;
    }
    // One spelling only: the id is the hash of these bytes.
    Buf canonical = buf_create(BUNDLE_MANIFEST_BYTES_MAX + 1);
    doc_write_canonical(doc, &canonical);
    buf_putc(&canonical, '\n');
    bool same = slice_eq(buf_slice(&canonical), text);
    buf_done(&canonical);
    if (!same) {
        return err_set(e, ERR_PARSE, "manifest.json is not in its canonical form");
    }
    *ret_parts = doc_get(doc, SLICE("parts"));
    return 0;
}

static int read_parts(Arena *arena, Slice rest, Bundle *bundle, Err *e)
{
    const Doc *parts = NULL;
    int rc = read_manifest(arena, &rest, bundle, &parts, e);
    if (rc != 0) {
        return rc;
    }
    bundle->parts = ARENA_ARRAY(arena, BundlePart, doc_count(parts) + 1);
    Slice before = {0};
    for (const Doc *item = doc_first(parts); item; item = doc_next(item)) {
        BundlePart *part = &bundle->parts[bundle->count];
        size_t bytes = 0;
        if ((rc = read_part(item, before, part, &bytes, e)) != 0 ||
            (rc = bundle_tar_take(&rest, part->name, bytes, BUNDLE_PART_BYTES_MAX, &part->bytes,
                                  e)) != 0) {
            return rc;
        }
        before = part->name;
        bundle->count++;
    }
    return bundle_tar_take_end(rest, e);
}

int bundle_read(Arena *arena, Slice packed, Bundle **ret_bundle, Err *e)
{
    Bundle *bundle = ARENA_NEW(arena, Bundle);
    bundle->unpacked = buf_create(BUNDLE_BYTES_MAX + BUNDLE_MANIFEST_BYTES_MAX +
                                  (size_t)(BUNDLE_PARTS_MAX + 4) * 2 * BUNDLE_BLOCK);
    int rc = inflate_append(INFLATE_GZIP, packed, &bundle->unpacked, e);
    if (rc != 0) {
        rc = rc == ERR_PROTOCOL ? err_set(e, ERR_PARSE, "the bundle is no gzip file, or cut off")
                                : rc;
    } else {
        rc = read_parts(arena, buf_slice(&bundle->unpacked), bundle, e);
    }
    if (rc != 0) {
        bundle_destroy(bundle);
        return rc;
    }
    *ret_bundle = bundle;
    return 0;
}

int bundle_load(Arena *arena, const char *path, Bundle **ret_bundle, Err *e)
{
    Buf packed = buf_create(BUNDLE_BYTES_MAX + (1 << 20));
    int rc = file_read(path, &packed, e);
    if (rc == 0 && (rc = bundle_read(arena, buf_slice(&packed), ret_bundle, e)) != 0) {
        (void)err_wrap(e, "%s", path);
    }
    buf_done(&packed);
    return rc;
}

void bundle_destroy(Bundle *bundle)
{
    if (bundle) {
        buf_done(&bundle->unpacked);
        bundle->count = 0;
    }
}

const BundlePart *bundle_part(const Bundle *bundle, Slice name)
{
    for (size_t i = 0; i < bundle->count; i++) {
        if (slice_eq(bundle->parts[i].name, name)) {
            return &bundle->parts[i];
        }
    }
    return NULL;
}

int bundle_verify_hashes(const Bundle *bundle, Arena *arena, BundleProblems *ret_problems, Err *e)
{
    *ret_problems = (BundleProblems){ARENA_ARRAY(arena, BundleProblem, bundle->count + 1), 0};
    for (size_t i = 0; i < bundle->count; i++) {
        const BundlePart *part = &bundle->parts[i];
        Sha256 stated, real = sha256_of(part->bytes);
        if (sha256_parse(part->sha256_hex, &stated) != 0 || !sha256_eq(&stated, &real)) {
            char hex[SHA256_HEX + 1];
            sha256_hex(&real, hex);
            ret_problems->items[ret_problems->count++] = (BundleProblem){
                part->name, arena_printf(arena, "has SHA-256 %s, the manifest says %.*s", hex,
                                         SLICE_FMT(part->sha256_hex))};
        }
    }
    if (ret_problems->count > 0) {
        const BundleProblem *first = &ret_problems->items[0];
        return err_set(e, ERR_CORRUPT, "%.*s %.*s", SLICE_FMT(first->part), SLICE_FMT(first->text));
    }
    return 0;
}
