// The streams and what they mean are the examples of WHATWG HTML, section 9.2.6 ("Interpreting an
// event stream"), and its grammar's corners.
#include "net/sse_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

typedef struct Case {
    const char *stream;
    const char *events; // "event|data|id;" each
} Case;

static const Case CASES[] = {
    {"data: YHOO\ndata: +2\ndata: 10\n\n", "|YHOO\n+2\n10|;"},
    {": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
     "|first event|1;|second event|;| third event|;"},
    {"data\n\ndata\ndata\n\ndata:", "||;|\n|;"},
    {"data:test\n\ndata: test\n\n", "|test|;|test|;"},
    {"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n", "add|73857293|;remove|2153|;"},
    {"data: a\r\ndata: b\r\n\r\ndata: c\r\rdata: d\n\r\n", "|a\nb|;|c|;|d|;"},
    {"\xEF\xBB\xBF"
     "data: mark\n\n",
     "|mark|;"},
    {"event: lost\n\ndata: kept\n\n", "|kept|;"},
    {"data: cut off\n", ""},
    {"datum: unknown\ndata: x\nretry: 12\n\n", "|x|;"},
    {"", ""},
    {"\n\n\n", ""},
};

static void read_all(const char *stream, size_t piece, Buf *out)
{
    SseReader reader = sse_reader(1 << 10);
    Slice left = slice_from_cstr(stream);
    while (left.len > 0) {
        Slice head = slice_sub(left, 0, piece);
        left = slice_sub(left, head.len, left.len);
        assert_int_equal(sse_reader_push(&reader, head, NULL), 0);
        SseReadEvent event;
        while (sse_reader_next(&reader, &event)) {
            buf_printf(out, "%.*s|%.*s|%.*s;", SLICE_FMT(event.event), SLICE_FMT(event.data),
                       SLICE_FMT(event.id));
        }
    }
    sse_reader_done(&reader);
}

static void test_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        for (size_t piece = 1; piece < 64; piece += piece < 8 ? 1 : 13) {
            Buf out = buf_create(1 << 10);
            buf_puts(&out, "");
            read_all(CASES[i].stream, piece, &out);
            assert_string_equal(out.len > 0 ? out.data : "", CASES[i].events);
            buf_done(&out);
        }
    }
}

static void test_lines(void **state)
{
    (void)state;
    SseReader reader = sse_reader(1 << 10);
    Slice line;
    assert_int_equal(sse_reader_push(&reader, SLICE("{\"a\":1}\r\n{\"b\""), NULL), 0);
    assert_true(sse_reader_line(&reader, &line));
    assert_true(slice_eq(line, SLICE("{\"a\":1}")));
    assert_false(sse_reader_line(&reader, &line));
    assert_int_equal(sse_reader_push(&reader, SLICE(":2}\n\nlast"), NULL), 0);
    assert_true(sse_reader_line(&reader, &line));
    assert_true(slice_eq(line, SLICE("{\"b\":2}")));
    assert_true(sse_reader_line(&reader, &line));
    assert_int_equal(line.len, 0);
    assert_false(sse_reader_line(&reader, &line));
    assert_true(slice_eq(sse_reader_rest(&reader), SLICE("last")));
    sse_reader_done(&reader);
}

static void test_ceiling(void **state)
{
    (void)state;
    enum { MAX = 256 };
    char line[MAX];
    memset(line, 'x', sizeof line);
    memcpy(line, "data: ", 6);
    line[sizeof line - 1] = '\n';
    SseReader reader = sse_reader(MAX);
    SseReadEvent event;
    // Two lines are 500 bytes of data: past the ceiling of an event, though no line is.
    assert_int_equal(sse_reader_push(&reader, (Slice){line, sizeof line}, NULL), 0);
    assert_false(sse_reader_next(&reader, &event));
    assert_int_equal(sse_reader_push(&reader, (Slice){line, sizeof line}, NULL), 0);
    assert_false(sse_reader_next(&reader, &event));
    Err e;
    assert_int_equal(sse_reader_push(&reader, SLICE("\n"), &e), ERR_LIMIT);
    sse_reader_done(&reader);

    reader = sse_reader(MAX); // one line without an end
    memset(line, 'x', sizeof line);
    int rc = 0, pushes = 0;
    while (rc == 0 && pushes++ < 10) {
        rc = sse_reader_push(&reader, (Slice){line, sizeof line}, NULL);
        assert_false(rc == 0 && sse_reader_next(&reader, &event));
    }
    assert_int_equal(rc, ERR_LIMIT);
    assert_int_equal(pushes, 3);
    sse_reader_done(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
