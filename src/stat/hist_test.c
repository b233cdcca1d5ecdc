#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "stat/hist.h"

#define ERROR_MAX (1.0 / 256)

// The bucket of v holds v, and its midpoint is within 0.4 % of it; near zero it is exact.
static void check_value(int64_t v)
{
    HistBucket b = hist_bucket_at(hist_bucket_number(v));
    assert_true(b.low <= v && v <= b.high);
    if (v >= -256 && v <= 255) {
        assert_true(b.low == b.high);
        return;
    }
    double off = fabs(hist_bucket_mid(&b) - (double)v);
    assert_true(off <= ERROR_MAX * fabs((double)v));
}

static void test_every_bucket_edge(void **state)
{
    (void)state;
    int64_t expect_low = INT64_MIN;
    for (unsigned n = 0; n < HIST_BUCKETS; n++) {
        HistBucket b = hist_bucket_at(n);
        assert_true(b.low == expect_low); // no gap, no overlap
        assert_true(b.high >= b.low);
        assert_int_equal(hist_bucket_number(b.low), n);
        assert_int_equal(hist_bucket_number(b.high), n);
        check_value(b.low);
        check_value(b.high);
        check_value(b.low + (b.high - b.low) / 2);
        expect_low = b.high == INT64_MAX ? 0 : b.high + 1;
    }
    assert_true(expect_low == 0); // the last bucket ended at INT64_MAX
}

static void test_every_value_near_zero(void **state)
{
    (void)state;
    for (int64_t v = -70000; v <= 70000; v++) {
        check_value(v);
    }
}

static void test_record_and_ask(void **state)
{
    (void)state;
    Hist h;
    hist_init(&h);
    assert_true(isnan(hist_quantile(&h, 0.5)));
    assert_true(isnan(hist_mean(&h)));
    assert_true(isnan(hist_value_at_rank(&h, 1)));
    for (int64_t v = 1; v <= 100; v++) {
        hist_record(&h, v);
    }
    // R 4: quantile(1:100, c(.5, .9, .95, .99), type = 7) gives 50.50 90.10 95.05 99.01.
    assert_true(fabs(hist_quantile(&h, 0.50) - 50.50) < 1e-9);
    assert_true(fabs(hist_quantile(&h, 0.90) - 90.10) < 1e-9);
    assert_true(fabs(hist_quantile(&h, 0.95) - 95.05) < 1e-9);
    assert_true(fabs(hist_quantile(&h, 0.99) - 99.01) < 1e-9);
    assert_true(hist_quantile(&h, -1) == 1 && hist_quantile(&h, 2) == 100);
    assert_true(hist_mean(&h) == 50.5);
    assert_true(fabs(hist_stddev(&h) - 29.011491975882016) < 1e-12); // R: sd(1:100)
    assert_int_equal(hist_count_above(&h, 95), 5);
    assert_int_equal(hist_count_at_or_below(&h, 95), 95);
    assert_int_equal(hist_count_above(&h, 0), 100);
    assert_int_equal(hist_count_above(&h, 100), 0);
    hist_reset(&h);
    assert_int_equal(h.count, 0);
    assert_true(isnan(hist_quantile(&h, 0.5)));
    hist_done(&h);
    hist_done(NULL);
}

static void test_extremes_and_exact_sum(void **state)
{
    (void)state;
    Hist h;
    hist_init(&h);
    static const int64_t values[] = {INT64_MAX, INT64_MIN, INT64_MIN, 0, -1, 1, -129, 1000000007};
    HistSum sum = 0;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        hist_record(&h, values[i]);
        sum += values[i];
    }
    assert_true(h.sum == sum);
    assert_true(h.min == INT64_MIN && h.max == INT64_MAX);
    assert_true(hist_value_at_rank(&h, 1) == (double)INT64_MIN);
    assert_true(hist_value_at_rank(&h, 8) == (double)INT64_MAX);
    assert_true(hist_value_at_rank(&h, 4) == -1);
    assert_int_equal(hist_count_at_or_below(&h, -1), 4);
    HistBucket b;
    int64_t before = INT64_MIN;
    unsigned n = 0;
    for (HistIter it = hist_iter(&h); hist_next(&it, &b); n++) {
        assert_true(n == 0 || b.low > before);
        before = b.high;
        assert_int_equal(b.count, n == 0 ? 2 : 1);
    }
    assert_int_equal(n, 7);
    hist_done(&h);
}

static void test_infinite_only_in_all(void **state)
{
    (void)state;
    Hist h;
    hist_init(&h);
    hist_record_infinite(&h, 1);
    assert_true(isinf(hist_quantile_all(&h, 0.5)) && isnan(hist_quantile(&h, 0.5)));
    for (int64_t v = 1; v <= 98; v++) {
        hist_record(&h, v);
    }
    hist_record_infinite(&h, 1);
    assert_int_equal(hist_count_all(&h), 100);
    assert_int_equal(h.count, 98);
    assert_true(hist_quantile(&h, 1) == 98);
    assert_true(fabs(hist_quantile_all(&h, 0.5) - 50.5) < 1e-9);
    assert_true(isinf(hist_quantile_all(&h, 0.99)));
    assert_false(isinf(hist_quantile_all(&h, 0.97)));
    assert_int_equal(hist_count_above(&h, 97), 1);
    hist_done(&h);
}

// A deterministic mix of magnitudes and signs.
static uint64_t mix(uint64_t *s)
{
    *s += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = (*s ^ (*s >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int64_t mixed_value(uint64_t *s)
{
    uint64_t shift = mix(s) % 64;
    int64_t v = (int64_t)(mix(s) >> 1 >> shift);
    return mix(s) % 4 == 0 ? ~v : v;
}

static void test_merge_is_recording_both(void **state)
{
    (void)state;
    Hist a;
    Hist b;
    Hist both;
    hist_init(&a);
    hist_init(&b);
    hist_init(&both);
    uint64_t seed = 1;
    for (int i = 0; i < 5000; i++) {
        int64_t v = mixed_value(&seed);
        hist_record(i % 3 ? &a : &b, v);
        hist_record(&both, v);
    }
    hist_record_infinite(&b, 7);
    hist_record_infinite(&both, 7);
    assert_false(hist_equal(&a, &both));
    hist_merge(&a, &b);
    assert_true(hist_equal(&a, &both));
    hist_merge(&a, &a);
    assert_int_equal(a.count, 10000);
    hist_reset(&b);
    hist_record_n(&b, 5, 3);
    hist_record_n(&b, 5, 0);
    assert_int_equal(b.count, 3);
    assert_true(b.sum == 15);
    hist_done(&a);
    hist_done(&b);
    hist_done(&both);
}

static void test_encoding_round_trip(void **state)
{
    (void)state;
    Hist h;
    Hist back;
    hist_init(&h);
    hist_init(&back);
    Buf bytes = buf_create(HIST_ENCODED_MAX);
    uint64_t seed = 2;
    for (int size = 0; size < 3000; size = size * 2 + 1) {
        hist_reset(&h);
        hist_record_infinite(&h, (uint64_t)size / 3);
        for (int i = 0; i < size; i++) {
            hist_record_n(&h, mixed_value(&seed), 1 + mix(&seed) % 1000);
        }
        buf_reset(&bytes);
        hist_encode(&h, &bytes);
        assert_int_equal(hist_decode(&back, buf_slice(&bytes), NULL), 0);
        assert_true(hist_equal(&h, &back));
        // Every strict prefix is refused and leaves an empty histogram.
        for (size_t n = 0; n < bytes.len; n += 1 + n / 7) {
            assert_int_equal(hist_decode(&back, slice_sub(buf_slice(&bytes), 0, n), NULL),
                             ERR_CORRUPT);
            assert_int_equal(hist_count_all(&back), 0);
        }
    }
    hist_done(&h);
    hist_done(&back);
    buf_done(&bytes);
}

// The layout written down by hand, so that a change of format cannot pass unnoticed.
static void test_encoding_golden_bytes(void **state)
{
    (void)state;
    Hist h;
    hist_init(&h);
    hist_record_infinite(&h, 3);
    hist_record_n(&h, 5, 2);
    hist_record(&h, 300);
    Buf bytes = buf_create(100);
    hist_encode(&h, &bytes);
    // Numbers: the middle is 57 * 128 = 7296; 5 is 7301 = 85 39 (LEB128); 300 is octave 2,
    // (300 - 256) / 2 = 22: 7296 + 2 * 128 + 22 = 7574, a gap of 273 = 91 02. min 5 zigzag 0a;
    // max - min = 295 = a7 02; sum - 3 * 5 = 295 = a7 02.
    static const char expect[] = "H\x01\x03\x02\x0a\xa7\x02\xa7\x02\x85\x39\x02\x91\x02\x01";
    assert_int_equal(bytes.len, sizeof expect - 1);
    assert_memory_equal(bytes.data, expect, sizeof expect - 1);
    hist_done(&h);
    buf_done(&bytes);
}

static void test_decoding_refuses(void **state)
{
    (void)state;
    static const struct {
        Slice bytes;
        int code;
        const char *words;
    } rows[] = {
        {SLICE_INIT("H\x02\x00\x00"), ERR_VERSION, "format 2"},
        {SLICE_INIT("H\x00\x00\x00"), ERR_CORRUPT, "version"},
        {SLICE_INIT("G\x01\x00\x00"), ERR_CORRUPT, "not a histogram"},
        {SLICE_INIT(""), ERR_CORRUPT, "not a histogram"},
        {SLICE_INIT("H\x01\x00\x00\x00"), ERR_CORRUPT, "bytes follow"},
        {SLICE_INIT("H\x01\x80\x00\x00"), ERR_CORRUPT, "failures"},          // overlong varint
        {SLICE_INIT("H\x01\x00\x81\x72"), ERR_CORRUPT, "number of buckets"}, // 14593
        // Counts: 2^47 is allowed, one more is not.
        {SLICE_INIT("H\x01\x00\x01\x00\x00\x00\x80\x39\x80\x80\x80\x80\x80\x80\x20"), 0, NULL},
        {SLICE_INIT("H\x01\x00\x01\x00\x00\x00\x80\x39\x81\x80\x80\x80\x80\x80\x20"), ERR_CORRUPT,
         "a count"},
        // One value 5 whose minimum says 4; two equal buckets; a sum of 1 for one value 0.
        {SLICE_INIT("H\x01\x00\x01\x08\x00\x00\x85\x39\x01"), ERR_CORRUPT, "minimum"},
        {SLICE_INIT("H\x01\x00\x02\x0a\x00\x00\x85\x39\x01\x00\x01"), ERR_CORRUPT, "repeated"},
        {SLICE_INIT("H\x01\x00\x01\x00\x00\x01\x80\x39\x01"), ERR_CORRUPT, "sum"},
        // A bucket past the last one.
        {SLICE_INIT("H\x01\x00\x01\x00\x00\x00\x80\x72\x01"), ERR_CORRUPT, "bucket number"},
        // An endless varint.
        {SLICE_INIT("H\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                    "\xff\xff\xff\xff\xff"),
         ERR_CORRUPT, "failures"},
    };
    Hist h;
    hist_init(&h);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        Err e = {0};
        hist_record(&h, 1);
        assert_int_equal(hist_decode(&h, rows[i].bytes, &e), rows[i].code);
        if (rows[i].words != NULL) {
            assert_non_null(strstr(e.text, rows[i].words));
            assert_int_equal(hist_count_all(&h), 0);
        }
    }
    hist_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_bucket_edge),    cmocka_unit_test(test_every_value_near_zero),
        cmocka_unit_test(test_record_and_ask),       cmocka_unit_test(test_extremes_and_exact_sum),
        cmocka_unit_test(test_infinite_only_in_all), cmocka_unit_test(test_merge_is_recording_both),
        cmocka_unit_test(test_encoding_round_trip),  cmocka_unit_test(test_encoding_golden_bytes),
        cmocka_unit_test(test_decoding_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
