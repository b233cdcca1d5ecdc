#include "net/decode.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <zlib.h>

#include "base/gzip.h"

// Bytes made by other implementations: CPython 3.11's gzip and zlib, Node.js 20's brotli, zstd
// 1.5's command line.
static const char TEXT[] = "Hello, hello, hello, decoded world!";
// clang-format off
static const unsigned char GZIP[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
    0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51, 0xc8, 0x40, 0xa1, 0x52, 0x52, 0x93, 0xf3, 0x53,
    0x52, 0x53, 0x14, 0xca, 0xf3, 0x8b, 0x72, 0x52, 0x14, 0x01, 0x1b, 0x47, 0x99, 0x18, 0x23,
    0x00, 0x00, 0x00};
static const unsigned char ZLIB[] = {0x78, 0x9c, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51, 0xc8,
    0x40, 0xa1, 0x52, 0x52, 0x93, 0xf3, 0x53, 0x52, 0x53, 0x14, 0xca, 0xf3, 0x8b, 0x72, 0x52,
    0x14, 0x01, 0xda, 0x19, 0x0c, 0x32};
static const unsigned char RAW[] = {0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51, 0xc8, 0x40, 0xa1,
    0x52, 0x52, 0x93, 0xf3, 0x53, 0x52, 0x53, 0x14, 0xca, 0xf3, 0x8b, 0x72, 0x52, 0x14, 0x01};
static const unsigned char BR[] = {0x1b, 0x22, 0x00, 0x70, 0x1c, 0x07, 0xb9, 0x39, 0xc5, 0x3f,
    0x6b, 0x2a, 0xb8, 0x46, 0xa8, 0x90, 0xca, 0x92, 0x8c, 0x05, 0xad, 0x41, 0x42, 0xd8, 0xde,
    0xb4, 0x22, 0x92, 0x4c, 0x92, 0x8f, 0x4a, 0x20, 0x59, 0xeb, 0x98, 0x26, 0x0c, 0x01};
static const unsigned char ZSTD[] = {0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0xe5, 0x00, 0x00, 0xb0,
    0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x2c, 0x20, 0x68, 0x64, 0x65, 0x63, 0x6f, 0x64, 0x65, 0x64,
    0x20, 0x77, 0x6f, 0x72, 0x6c, 0x64, 0x21, 0x01, 0x00, 0x3a, 0x0a, 0x17, 0x04, 0x6d, 0x11,
    0x57};
static const unsigned char BR_GZIP[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
    0x03, 0x01, 0x27, 0x00, 0xd8, 0xff, 0x1b, 0x22, 0x00, 0x70, 0x1c, 0x07, 0xb9, 0x39, 0xc5,
    0x3f, 0x6b, 0x2a, 0xb8, 0x46, 0xa8, 0x90, 0xca, 0x92, 0x8c, 0x05, 0xad, 0x41, 0x42, 0xd8,
    0xde, 0xb4, 0x22, 0x92, 0x4c, 0x92, 0x8f, 0x4a, 0x20, 0x59, 0xeb, 0x98, 0x26, 0x0c, 0x01,
    0xd0, 0x4d, 0x46, 0xbd, 0x27, 0x00, 0x00, 0x00};
static const unsigned char BR_BOMB[] = {0x5b, 0xff, 0xff, 0x8f, 0x7f, 0x02, 0x20, 0x1e, 0x0b,
    0x04, 0x72, 0xef, 0x1f, 0x00};
static const unsigned char ZSTD_BOMB[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x54, 0x00, 0x00,
    0x10, 0x00, 0x00, 0x01, 0x00, 0xfb, 0xff, 0x39, 0xc0, 0x02, 0x02, 0x00, 0x10, 0x00, 0x02,
    0x00, 0x10, 0x00, 0x02, 0x00, 0x10, 0x00, 0x02, 0x00, 0x10, 0x00, 0x02, 0x00, 0x10, 0x00,
    0x02, 0x00, 0x10, 0x00, 0x03, 0x00, 0x10, 0x00};
// clang-format on

#define BYTES(array)                                                                               \
    {                                                                                              \
        (const char *)(array), sizeof(array)                                                       \
    }

typedef struct Case {
    const char *name;
    const char *coding;
    Slice bytes;
} Case;

static const Case cases[] = {
    {"gzip", "gzip", BYTES(GZIP)},       {"x-gzip", "X-GZIP", BYTES(GZIP)},
    {"zlib", "deflate", BYTES(ZLIB)},    {"raw deflate", "deflate", BYTES(RAW)},
    {"brotli", "br", BYTES(BR)},         {"zstd", "zstd", BYTES(ZSTD)},
    {"two", "br, gzip", BYTES(BR_GZIP)}, {"two and identity", "br,identity , gzip", BYTES(BR_GZIP)},
};

static int decode_max(const char *coding, Slice bytes, size_t max, Buf *plain, Slice *ret_body)
{
    HttpHead head = http_head_create(NULL);
    http_head_reset(&head);
    assert_int_equal(http_head_add(&head, SLICE("Content-Encoding"), slice_from_cstr(coding)), 0);
    *plain = buf_create(max);
    Err e = {0};
    int rc = http_decode_body(&head, bytes, plain, ret_body, &e);
    assert_true((rc == 0) == (e.text[0] == '\0'));
    http_head_done(&head);
    return rc;
}

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Buf plain;
        Slice body = {NULL, 0};
        // The ceiling is met exactly.
        int rc = decode_max(cases[i].coding, cases[i].bytes, sizeof TEXT + 20, &plain, &body);
        if (rc != 0 || !slice_eq_cstr(body, TEXT)) {
            fail_msg("%s: %s", cases[i].name, err_name(rc));
        }
        buf_done(&plain);
    }
}

static void test_ceiling(void **state)
{
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        Buf plain;
        Slice body;
        assert_int_equal(
            decode_max(cases[i].coding, cases[i].bytes, sizeof TEXT - 1, &plain, &body), 0);
        buf_done(&plain);
        assert_int_equal(
            decode_max(cases[i].coding, cases[i].bytes, sizeof TEXT - 2, &plain, &body), ERR_LIMIT);
        assert_true(plain.len <= sizeof TEXT - 2);
        buf_done(&plain);
        assert_int_equal(decode_max(cases[i].coding, cases[i].bytes, 0, &plain, &body), ERR_LIMIT);
        buf_done(&plain);
    }
}

static void test_damage(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        Buf plain;
        Slice body;
        for (size_t cut = 1; cut < cases[i].bytes.len; cut++) {
            Slice part = slice_sub(cases[i].bytes, 0, cut);
            int rc = decode_max(cases[i].coding, part, 1000, &plain, &body);
            if (rc != ERR_PROTOCOL) {
                fail_msg("%s cut at %zu: %s", cases[i].name, cut, err_name(rc));
            }
            buf_done(&plain);
        }
        Buf longer = buf_create(1000);
        buf_append(&longer, cases[i].bytes);
        buf_append(&longer, SLICE("rest"));
        assert_int_equal(decode_max(cases[i].coding, buf_slice(&longer), 1000, &plain, &body),
                         ERR_PROTOCOL);
        buf_done(&plain);
        buf_done(&longer);
    }
    Buf plain;
    Slice body;
    assert_int_equal(decode_max("gzip", SLICE("this is no gzip"), 1000, &plain, &body),
                     ERR_PROTOCOL);
    buf_done(&plain);
}

static void test_members(void **state)
{
    (void)state;
    Buf two = buf_create(1000);
    buf_append(&two, cases[0].bytes);
    buf_append(&two, cases[0].bytes);
    Buf plain;
    Slice body;
    assert_int_equal(decode_max("gzip", buf_slice(&two), 1000, &plain, &body), 0);
    assert_int_equal(body.len, 2 * (sizeof TEXT - 1));
    buf_done(&plain);
    buf_done(&two);
}

// A megabyte of zeros in each format, against a ceiling of 100,000 bytes.
static void test_bombs(void **state)
{
    (void)state;
    static const unsigned char zeros[1 << 20];
    static unsigned char small[1 << 16];
    uLongf len = sizeof small;
    assert_int_equal(compress2(small, &len, zeros, sizeof zeros, 9), Z_OK);
    const struct {
        const char *coding;
        Slice bytes;
    } bombs[] = {{"deflate", {(const char *)small, len}},
                 {"br", BYTES(BR_BOMB)},
                 {"zstd", BYTES(ZSTD_BOMB)}};
    for (size_t i = 0; i < COUNT_OF(bombs); i++) {
        Buf plain;
        Slice body;
        assert_int_equal(decode_max(bombs[i].coding, bombs[i].bytes, 100000, &plain, &body),
                         ERR_LIMIT);
        assert_true(plain.capacity < 1 << 18);
        buf_done(&plain);
        assert_int_equal(decode_max(bombs[i].coding, bombs[i].bytes, 1 << 20, &plain, &body), 0);
        assert_int_equal(body.len, 1 << 20);
        buf_done(&plain);
    }
}

static void test_names(void **state)
{
    (void)state;
    Buf plain;
    Slice body = {NULL, 0};
    assert_int_equal(decode_max("identity", SLICE("as is"), 0, &plain, &body), 0);
    assert_true(slice_eq_cstr(body, "as is"));
    assert_int_equal(decode_max("gzip", SLICE(""), 10, &plain, &body), 0);
    assert_int_equal(body.len, 0);
    assert_int_equal(decode_max("lzw", SLICE("x"), 10, &plain, &body), ERR_UNSUPPORTED);
    assert_int_equal(decode_max("gzip,gzip,gzip,gzip,gzip", SLICE("x"), 10, &plain, &body),
                     ERR_LIMIT);
}

static void test_gzip_both_ways(void **state)
{
    (void)state;
    static const char text[] = "metric_name,timestamp,metric_value metric_name,timestamp";
    Buf packed = buf_create(1 << 20), plain = buf_create(1 << 20), small = buf_create(20000);
    Err e = {0};
    // Two members, one of them empty, are one file.
    assert_int_equal(gzip_append(slice_from_cstr(text), &packed, &e), 0);
    assert_int_equal(gzip_append(SLICE(""), &packed, &e), 0);
    assert_int_equal(http_decode(SLICE("gzip"), buf_slice(&packed), &plain, &e), 0);
    assert_true(slice_eq_cstr(buf_slice(&plain), text));
    // Longer than a piece, and noise so that it stays long.
    char *noise = mem_alloc(100000);
    for (uint32_t i = 0, x = 1; i < 100000; i++) {
        x = x * 1664525 + 1013904223;
        noise[i] = (char)(x >> 24);
    }
    buf_reset(&packed);
    buf_reset(&plain);
    assert_int_equal(gzip_append((Slice){noise, 100000}, &packed, &e), 0);
    assert_int_equal(http_decode(SLICE("gzip"), buf_slice(&packed), &plain, &e), 0);
    assert_true(slice_eq(buf_slice(&plain), (Slice){noise, 100000}));
    assert_int_equal(gzip_append((Slice){noise, 100000}, &small, &e), ERR_LIMIT);
    free(noise);
    buf_done(&packed);
    buf_done(&plain);
    buf_done(&small);
}

static void test_zstd_both_ways(void **state)
{
    (void)state;
    char *text = mem_alloc(100000);
    for (size_t i = 0; i < 100000; i++) {
        text[i] = "state "[i % 6];
    }
    Buf packed = buf_create(1 << 20), plain = buf_create(100000), small = buf_create(100);
    assert_int_equal(http_encode_zstd((Slice){text, 100000}, &packed, NULL), 0);
    assert_true(packed.len < 1000);
    assert_int_equal(http_decode(SLICE("zstd"), buf_slice(&packed), &plain, NULL), 0);
    assert_true(slice_eq(buf_slice(&plain), (Slice){text, 100000}));
    assert_int_equal(http_encode_zstd((Slice){text, 100000}, &small, NULL), ERR_LIMIT);
    free(text);
    buf_done(&packed);
    buf_done(&plain);
    buf_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gzip_both_ways), cmocka_unit_test(test_zstd_both_ways),
        cmocka_unit_test(test_good),           cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_damage),         cmocka_unit_test(test_members),
        cmocka_unit_test(test_bombs),          cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
