#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "telemetry/span.h"

// The examples and rules of W3C Trace Context level 1, sections 3.2.2 and 3.2.4, and cases of its
// own test suite (github.com/w3c/trace-context, test/test.py, class TraceContextTest).
static const struct {
    const char *name;
    const char *text;
    int rc;
    bool sampled;
} PARENTS[] = {
    {"sampled", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 0, true},
    {"not sampled", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", 0, false},
    {"other flags", "00-12345678901234567890123456789012-1234567890123456-ff", 0, true},
    {"flag 2 only", "00-12345678901234567890123456789012-1234567890123456-02", 0, false},
    {"later version", "cc-12345678901234567890123456789012-1234567890123456-01", 0, true},
    {"later, longer", "cc-12345678901234567890123456789012-1234567890123456-01-what", 0, true},
    {"later, glued", "cc-12345678901234567890123456789012-1234567890123456-01.what", ERR_PARSE, 0},
    {"00 is no longer", "00-12345678901234567890123456789012-1234567890123456-01-x", ERR_PARSE, 0},
    {"version ff", "ff-12345678901234567890123456789012-1234567890123456-01", ERR_PARSE, 0},
    {"version .0", ".0-12345678901234567890123456789012-1234567890123456-01", ERR_PARSE, 0},
    {"short version", "0-12345678901234567890123456789012-1234567890123456-01", ERR_PARSE, 0},
    {"zero trace", "00-00000000000000000000000000000000-1234567890123456-01", ERR_PARSE, 0},
    {"zero span", "00-12345678901234567890123456789012-0000000000000000-01", ERR_PARSE, 0},
    {"dot in trace", "00-.2345678901234567890123456789012-1234567890123456-01", ERR_PARSE, 0},
    {"short trace", "00-123456789012345678901234567890-1234567890123456-01", ERR_PARSE, 0},
    {"upper case", "00-ABCDEF78901234567890123456789012-1234567890123456-01", ERR_PARSE, 0},
    {"flags .0", "00-12345678901234567890123456789012-1234567890123456-.0", ERR_PARSE, 0},
    {"short flags", "00-12345678901234567890123456789012-1234567890123456-1", ERR_PARSE, 0},
    {"no dash", "00-12345678901234567890123456789012.1234567890123456-01", ERR_PARSE, 0},
    {"empty", "", ERR_PARSE, 0},
};

static void test_traceparent(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(PARENTS); i++) {
        TraceContext c = {0};
        int rc = traceparent_parse(slice_from_cstr(PARENTS[i].text), &c);
        if (rc != PARENTS[i].rc || (rc == 0 && c.sampled != PARENTS[i].sampled)) {
            fail_msg("%s: rc %d, sampled %d", PARENTS[i].name, rc, c.sampled);
        }
        assert_int_equal(trace_is_set(&c), rc == 0);
    }
    TraceContext c;
    char text[TRACEPARENT_BYTES + 1];
    assert_int_equal(traceparent_parse(slice_from_cstr(PARENTS[0].text), &c), 0);
    traceparent_format(&c, text);
    assert_string_equal(text, PARENTS[0].text);
}

static void test_parent_and_child(void **state)
{
    (void)state;
    SpanQueue *queue = span_queue_create(8);
    Tracer tracer;
    Span root, child, got[8];
    tracer_init(&tracer, queue, 1, 7, 0);
    span_begin(&tracer, &root, NULL, SPAN_SERVER, SLICE("root"), 1000);
    span_begin(&tracer, &child, &root.context, SPAN_CLIENT, SLICE("child"), 1100);
    span_text(&child, SLICE("gen_ai.operation.name"), SLICE("chat"));
    span_int(&child, SLICE("tokens"), -5);
    span_double(&child, SLICE("share"), 0.5);
    span_bool(&child, SLICE("cached"), true);
    span_end(&tracer, &child, 1200, SPAN_ERROR);
    span_end(&tracer, &root, 900, SPAN_OK); // the wall clock was set back
    assert_int_equal(span_queue_take(queue, got, 8), 2);
    assert_true(got[1].context.parent_id == 0);
    assert_int_equal(got[1].end_ns, 1000);
    assert_true(got[0].context.parent_id == got[1].context.span_id);
    assert_memory_equal(got[0].context.trace_id, got[1].context.trace_id, TRACE_ID_DIGITS / 2);
    assert_true(got[0].context.span_id != got[1].context.span_id);
    assert_int_equal(got[0].attribute_count, 4);
    assert_true(
        slice_eq_cstr(span_attribute_key(&got[0], &got[0].attributes[0]), "gen_ai.operation.name"));
    assert_true(slice_eq_cstr(span_attribute_text(&got[0], &got[0].attributes[0]), "chat"));
    assert_int_equal(got[0].attributes[1].integer, -5);
    span_queue_destroy(queue);
}

static void test_edges_of_a_span(void **state)
{
    (void)state;
    SpanQueue *queue = span_queue_create(2);
    Tracer tracer;
    Span s, got;
    tracer_init(&tracer, queue, 1, 7, 0);
    char name[SPAN_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    memcpy(name + SPAN_NAME_MAX - 1, "\xC3\xA9", 2); // one character over the edge
    span_begin(&tracer, &s, NULL, SPAN_INTERNAL, (Slice){name, sizeof name}, 0);
    assert_int_equal(s.name_len, SPAN_NAME_MAX - 1);
    for (int i = 0; i < SPAN_ATTRIBUTES_MAX + 1; i++) {
        span_int(&s, SLICE("k"), i);
    }
    assert_int_equal(s.attribute_count, SPAN_ATTRIBUTES_MAX);
    assert_int_equal(s.dropped_attributes, 1);
    char text[SPAN_TEXT_BYTES + 1];
    memset(text, 't', sizeof text);
    span_begin(&tracer, &s, NULL, SPAN_INTERNAL, SLICE("x"), 0);
    span_text(&s, SLICE("key"), (Slice){text, sizeof text});
    assert_int_equal(s.attributes[0].text_len, SPAN_TEXT_BYTES - 3);
    span_text(&s, SLICE("more"), SLICE("x"));
    assert_int_equal(s.dropped_attributes, 1);
    // The queue's edge.
    for (int i = 0; i < 3; i++) {
        span_end(&tracer, &s, 1, SPAN_OK);
    }
    assert_int_equal(span_queue_dropped(queue), 1);
    assert_int_equal(span_queue_take(queue, &got, 1), 1);
    span_queue_destroy(queue);
}

static void test_sampling(void **state)
{
    (void)state;
    enum { TRACES = 4000 };
    SpanQueue *queue = span_queue_create(0);
    Tracer tracer, deaf;
    tracer_init(&tracer, queue, 0.25, 11, 0);
    tracer_init(&deaf, queue, 0, 11, 1);
    int kept = 0;
    for (int i = 0; i < TRACES; i++) {
        Span root, child, grandchild;
        span_begin(&tracer, &root, NULL, SPAN_SERVER, SLICE("r"), 0);
        // A tracer that would keep nothing follows the root's decision.
        span_begin(&deaf, &child, &root.context, SPAN_CLIENT, SLICE("c"), 0);
        span_begin(&deaf, &grandchild, &child.context, SPAN_CLIENT, SLICE("g"), 0);
        assert_int_equal(child.context.sampled, root.context.sampled);
        assert_memory_equal(grandchild.context.trace_id, root.context.trace_id,
                            TRACE_ID_DIGITS / 2);
        span_text(&child, SLICE("k"), SLICE("v"));
        span_end(&deaf, &child, 1, SPAN_OK);
        kept += root.context.sampled;
    }
    // Binomial(4000, 0.25): mean 1000, standard deviation 27; the seed makes it one number.
    assert_in_range(kept, 900, 1100);
    Span got;
    int recorded = 0;
    while (span_queue_take(queue, &got, 1) == 1) {
        recorded++;
    }
    assert_int_equal(recorded, kept);
    span_queue_destroy(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traceparent),
        cmocka_unit_test(test_parent_and_child),
        cmocka_unit_test(test_edges_of_a_span),
        cmocka_unit_test(test_sampling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
