#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "load/progress.h"

#define S(n) ((int64_t)(n)*INT64_C(1000000000))

static EngineStatus example(void)
{
    return (EngineStatus){
        .elapsed_ns = S(12),
        .planned_ns = S(60),
        .vus = 12,
        .vus_max = 50,
        .request_rate = 1998,
        .failed_rate = 0.002,
        .p50_ns = 1.2e6,
        .p95_ns = 3.4e6,
        .p99_ns = 8e6,
    };
}

static void check(const EngineStatus *s, int width, bool color, const char *expected)
{
    Buf out = buf_create(4096);
    progress_line(s, width, color, &out);
    assert_string_equal(out.data ? out.data : "", expected);
    buf_done(&out);
}

static void test_closed_model(void **state)
{
    (void)state;
    EngineStatus s = example();
    check(
        &s, 0, false,
        "00:12 of 01:00  1998/s  errors 0.2%  p50 1.2ms p95 3.4ms p99 8ms  vus 12/50  00:48 left");
}

static void test_open_model_shows_offered_and_achieved(void **state)
{
    (void)state;
    EngineStatus s = example();
    s.open_model = true;
    s.offered_rate = 2000;
    s.iteration_rate = 42.25;
    s.dropped = 7;
    s.failed_rate = 0;
    check(&s, 0, false,
          "00:12 of 01:00  offered 2000/s achieved 42.2/s  errors 0.0%  p50 1.2ms p95 3.4ms "
          "p99 8ms  vus 12/50  dropped 7  00:48 left");
}

static void test_stopping_and_no_requests(void **state)
{
    (void)state;
    EngineStatus s = example();
    s.stopping = true;
    s.elapsed_ns = S(3723);
    s.request_rate = 0;
    s.p50_ns = s.p95_ns = s.p99_ns = NAN;
    check(&s, 0, false,
          "1:02:03 of 01:00  0/s  errors 0.2%  p50 - p95 - p99 -  vus 12/50  stopping");
}

// Fields go from the end, whole ones only, at the very edge.
static void test_width_is_kept(void **state)
{
    (void)state;
    EngineStatus s = example();
    check(&s, 22, false, "00:12 of 01:00  1998/s");
    check(&s, 21, false, "00:12 of 01:00");
    check(&s, 36, false, "00:12 of 01:00  1998/s  errors 0.2%");
    check(&s, 1, false, "");
}

static void test_color_takes_no_room(void **state)
{
    (void)state;
    EngineStatus s = example();
    check(&s, 22, true, "\x1b[1m00:12 of 01:00\x1b[0m  \x1b[36m1998/s\x1b[0m");
}

static void take(void *ctx, Slice bytes)
{
    buf_append(ctx, bytes);
}

static void test_terminal_is_redrawn_in_place(void **state)
{
    (void)state;
    Buf out = buf_create(4096);
    Progress p =
        progress_create(&(ProgressOptions){.tty = true, .width = 23, .write = take, .ctx = &out});
    EngineStatus s = example();
    progress_update(&p, &s);
    s.elapsed_ns = S(13);
    progress_update(&p, &s);
    progress_end(&p);
    assert_string_equal(out.data, "\r\x1b[2K00:12 of 01:00  1998/s\r\x1b[2K00:13 of 01:00  1998/s"
                                  "\r\x1b[2K");
    buf_done(&out);
}

static void test_without_a_terminal_a_line_every_five_seconds(void **state)
{
    (void)state;
    Buf out = buf_create(4096);
    Progress p = progress_create(&(ProgressOptions){.write = take, .ctx = &out});
    EngineStatus s = example();
    int lines = 0;
    for (int second = 1; second <= 20; second++) {
        s.elapsed_ns = S(second);
        progress_update(&p, &s);
    }
    progress_end(&p);
    for (size_t i = 0; i < out.len; i++) {
        lines += out.data[i] == '\n';
    }
    assert_int_equal(lines, 5); // 1, 5, 10, 15, 20
    assert_null(strchr(out.data, '\x1b'));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_model),
        cmocka_unit_test(test_open_model_shows_offered_and_achieved),
        cmocka_unit_test(test_stopping_and_no_requests),
        cmocka_unit_test(test_width_is_kept),
        cmocka_unit_test(test_color_takes_no_room),
        cmocka_unit_test(test_terminal_is_redrawn_in_place),
        cmocka_unit_test(test_without_a_terminal_a_line_every_five_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
