#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/units.h"
#include "mcp/event_stream.h"

// Each event as "type|data|id;".
static int note(void *ctx, const StreamEvent *event, Err *e)
{
    (void)e;
    buf_printf(ctx, "%.*s|%.*s|%.*s;", SLICE_FMT(event->type), SLICE_FMT(event->data),
               SLICE_FMT(event->id));
    return 0;
}

typedef struct Case {
    const char *name;
    Slice text;
    const char *events;
    int64_t retry_ms; // -1: none
} Case;

// The first four are the examples of the standard (section 9.2.6).
static const Case CASES[] = {
    {"three blocks", SLICE_INIT("data: YHOO\ndata: +2\ndata: 10\n\n"), "message|YHOO\n+2\n10|;",
     -1},
    {"comment and ids",
     SLICE_INIT(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
                "data:  third event\n\n"),
     "message|first event|1;message|second event|;message| third event|;", -1},
    {"empty data", SLICE_INIT("data\n\ndata\ndata\n\ndata:"), "message||;message|\n|;", -1},
    {"one blank is removed", SLICE_INIT("data:test\n\ndata: test\n\n"),
     "message|test|;message|test|;", -1},
    {"types", SLICE_INIT("event: add\ndata: 7\n\ndata: 8\n\n"), "add|7|;message|8|;", -1},
    {"endings", SLICE_INIT("data: a\r\n\r\ndata: b\r\rdata: c\n\n"),
     "message|a|;message|b|;message|c|;", -1},
    {"byte order mark",
     SLICE_INIT("\xEF\xBB\xBF"
                "data: x\n\n"),
     "message|x|;", -1},
    {"unfinished is dropped", SLICE_INIT("data: x\n\ndata: y\n"), "message|x|;", -1},
    {"without data, with id", SLICE_INIT("id: 5\nevent: no\n\ndata: y\n\n"), "message|y|5;", -1},
    {"id with NUL", SLICE_INIT("id: 1\ndata: x\n\nid: 2\0\ndata: y\n\n"),
     "message|x|1;message|y|1;", -1},
    {"retry", SLICE_INIT("retry: 500\n\n"), "", 500},
    {"retry is digits", SLICE_INIT("retry: 5e2\n\nretry: \n\nretry:-1\n\n"), "", -1},
    {"retry has an end", SLICE_INIT("retry: 99999999999999999999999\n\n"), "", 3600000},
    {"unknown fields", SLICE_INIT("datax: 1\ndat: 2\ndata : 3\nDATA: 4\n\n"), "", -1},
    {"colons", SLICE_INIT("data:: a:b\n\n"), "message|: a:b|;", -1},
    {"priming", SLICE_INIT("id: e-1\nretry: 500\ndata: \n\n"), "message||e-1;", 500},
    {"empty data line between", SLICE_INIT("data: a\ndata:\ndata: b\n\n"), "message|a\n\nb|;", -1},
};

static void test_cases_in_pieces_of_every_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        const Case *c = &CASES[i];
        for (size_t step = 1; step <= c->text.len; step++) {
            Buf out = buf_create(4096);
            EventStream s =
                event_stream_create(&(EventStreamOptions){.event_fn = note, .ctx = &out});
            for (size_t at = 0; at < c->text.len; at += step) {
                assert_int_equal(event_stream_feed(&s, slice_sub(c->text, at, step), NULL), 0);
            }
            if (!slice_eq_cstr(buf_slice(&out), c->events)) {
                fail_msg("%s, step %zu: '%.*s'", c->name, step, SLICE_FMT(buf_slice(&out)));
            }
            assert_int_equal(s.retry_ns, c->retry_ms < 0 ? -1 : c->retry_ms * NS_PER_MS);
            event_stream_done(&s);
            buf_done(&out);
        }
    }
}

static void test_limits_at_their_edge(void **state)
{
    (void)state;
    for (size_t len = 99; len <= 101; len++) {
        Buf out = buf_create(4096);
        Buf text = buf_create(4096);
        buf_puts(&text, "data: ");
        for (size_t i = 0; i < len; i++) {
            buf_putc(&text, 'x');
        }
        EventStream s = event_stream_create(
            &(EventStreamOptions){.event_fn = note, .ctx = &out, .event_bytes_max = 100});
        assert_int_equal(event_stream_feed(&s, buf_slice(&text), NULL), len > 100 ? ERR_LIMIT : 0);
        event_stream_done(&s);
        buf_done(&text);
        buf_done(&out);
    }
    for (size_t len = EVENT_STREAM_FIELD_MAX - 1; len <= EVENT_STREAM_FIELD_MAX + 1; len++) {
        Buf text = buf_create(8192);
        buf_puts(&text, "id: ");
        while (text.len < len) {
            buf_putc(&text, '1');
        }
        buf_putc(&text, '\n');
        EventStream s = event_stream_create(&(EventStreamOptions){.event_fn = note});
        assert_int_equal(event_stream_feed(&s, buf_slice(&text), NULL),
                         len > EVENT_STREAM_FIELD_MAX ? ERR_LIMIT : 0);
        event_stream_done(&s);
        buf_done(&text);
    }
}

// A server that keeps a connection alive with comments must not run into a ceiling.
static void test_long_comments_are_free(void **state)
{
    (void)state;
    EventStream s = event_stream_create(&(EventStreamOptions){.event_fn = note});
    assert_int_equal(event_stream_feed(&s, SLICE(": "), NULL), 0);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(event_stream_feed(&s, SLICE("keep alive"), NULL), 0);
    }
    assert_true(s.line.len <= 16);
    event_stream_done(&s);
}

static int piece(void *ctx, Slice text, bool first, Err *e)
{
    (void)e;
    buf_printf(ctx, "%s%.*s", first ? "^" : "", SLICE_FMT(text));
    return 0;
}

static void test_data_in_pieces(void **state)
{
    (void)state;
    Buf out = buf_create(4096);
    EventStream s =
        event_stream_create(&(EventStreamOptions){.event_fn = note, .data_fn = piece, .ctx = &out});
    assert_int_equal(event_stream_feed(&s, SLICE("data: ab"), NULL), 0);
    assert_string_equal(out.data, "^ab");
    assert_int_equal(event_stream_feed(&s, SLICE("c\ndata: d\n\ndata: e\n\n"), NULL), 0);
    assert_string_equal(out.data, "^abc\ndmessage||;^emessage||;");
    event_stream_done(&s);
    buf_done(&out);
}

static int stop(void *ctx, const StreamEvent *event, Err *e)
{
    (void)ctx;
    (void)event;
    return err_set(e, ERR_CLOSED, "enough");
}

static void test_callback_ends_it(void **state)
{
    (void)state;
    Err e;
    EventStream s = event_stream_create(&(EventStreamOptions){.event_fn = stop});
    assert_int_equal(event_stream_feed(&s, SLICE("data: a\n\n"), &e), ERR_CLOSED);
    assert_string_equal(e.text, "enough");
    event_stream_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases_in_pieces_of_every_size),
        cmocka_unit_test(test_limits_at_their_edge),
        cmocka_unit_test(test_long_comments_are_free),
        cmocka_unit_test(test_data_in_pieces),
        cmocka_unit_test(test_callback_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
