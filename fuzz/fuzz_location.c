// Redirect targets: the first line is a URL, the second a Location at it. What url_resolve makes is
// a URL that url_parse takes or refuses with words, has no dot segments, and resolves to itself.
#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_dots(Slice path)
{
    while (path.len > 0) {
        Slice segment;
        (void)slice_cut(path, '/', &segment, &path);
        if (slice_eq_cstr(segment, ".") || slice_eq_cstr(segment, "..")) {
            return true;
        }
    }
    return false;
}

static bool is_ascii(Slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Slice line;
    Slice ref;
    (void)slice_cut((Slice){(const char *)data, size}, '\n', &line, &ref);
    Url base;
    if (url_parse(line, &base, NULL) != 0) {
        return 0;
    }
    Buf out = buf_create(URL_BYTES_MAX);
    Buf again = buf_create(URL_BYTES_MAX);
    Err e = {0};
    Url url;
    int rc = url_resolve(&base, ref, &out, &e);
    if (rc == 0 && url_parse(buf_slice(&out), &url, &e) == 0) {
        bool relative = ref.len > 0 && ref.ptr[0] == '/' && !slice_starts_with(ref, SLICE("//"));
        if (relative && has_dots(url.path)) {
            die("fuzz location: dots are left in '%.*s'", SLICE_FMT(buf_slice(&out)));
        }
        // A host beyond ASCII stays as it is in a relative reference, and is escaped in an absolute
        // one. No guard rail lets either through.
        if (is_ascii(url.host) && (url_resolve(&base, buf_slice(&out), &again, &e) != 0 ||
                                   !slice_eq(buf_slice(&out), buf_slice(&again)))) {
            die("fuzz location: '%.*s' does not resolve to itself", SLICE_FMT(buf_slice(&out)));
        }
    } else if (e.text[0] == '\0') {
        die("fuzz location: a failure without words");
    }
    buf_done(&out);
    buf_done(&again);
    return 0;
}
