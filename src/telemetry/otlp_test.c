#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/doc.h"
#include "base/gzip.h"
#include "telemetry/otlp.h"

#define WALL_NS INT64_C(784111777000000000) // Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110's example

static const Span *make_span(Span *span)
{
    Tracer tracer;
    tracer_init(&tracer, NULL, 1, 3, 0);
    span_begin(&tracer, span, NULL, SPAN_CLIENT, SLICE("chat gpt"), 1544712660000000000);
    span->context.trace_id[0] = UINT64_C(0x5B8EFFF798038103);
    span->context.trace_id[1] = UINT64_C(0xD269B633813FC60C);
    span->context.span_id = UINT64_C(0xEEE19B7EC3C1B174);
    span->context.parent_id = UINT64_C(0xEEE19B7EC3C1B173);
    span_text(span, SLICE("my.span.attr"), SLICE("some value"));
    span_int(span, SLICE("n"), INT64_C(9007199254740993));
    span->end_ns = 1544712661000000000;
    return span;
}

static Slice text_at(const Doc *doc, const char *path)
{
    Slice rest = slice_from_cstr(path), part;
    while (doc && rest.len > 0) {
        int64_t index;
        (void)slice_cut(rest, '/', &part, &rest);
        doc = slice_to_i64(part, &index) == 0 ? doc_at(doc, (size_t)index) : doc_get(doc, part);
    }
    if (!doc) {
        fail_msg("nothing at %s", path);
        return (Slice){0};
    }
    return doc->text;
}

// Ids, times and layout of the example in opentelemetry-proto, examples/trace.json.
// test/otlp_test.py reads such bodies with the official protobuf definitions.
static void test_span_as_json(void **state)
{
    (void)state;
    Span span;
    Buf out = buf_create(OTLP_BODY_BYTES_MAX);
    Arena *a = arena_create(1 << 20);
    const Doc *doc;
    OtlpResource resource = {.service = SLICE("my.service")};
    otlp_traces(&out, &resource, make_span(&span), 1);
    assert_int_equal(doc_parse(a, buf_slice(&out), NULL, &doc, NULL), 0);
    static const char *const wanted[][2] = {
        {"resourceSpans/0/resource/attributes/0/key", "service.name"},
        {"resourceSpans/0/resource/attributes/0/value/stringValue", "my.service"},
        {"resourceSpans/0/scopeSpans/0/spans/0/traceId", "5b8efff798038103d269b633813fc60c"},
        {"resourceSpans/0/scopeSpans/0/spans/0/spanId", "eee19b7ec3c1b174"},
        {"resourceSpans/0/scopeSpans/0/spans/0/parentSpanId", "eee19b7ec3c1b173"},
        {"resourceSpans/0/scopeSpans/0/spans/0/name", "chat gpt"},
        {"resourceSpans/0/scopeSpans/0/spans/0/kind", "3"},
        {"resourceSpans/0/scopeSpans/0/spans/0/startTimeUnixNano", "1544712660000000000"},
        {"resourceSpans/0/scopeSpans/0/spans/0/endTimeUnixNano", "1544712661000000000"},
        {"resourceSpans/0/scopeSpans/0/spans/0/attributes/0/value/stringValue", "some value"},
        {"resourceSpans/0/scopeSpans/0/spans/0/attributes/1/value/intValue", "9007199254740993"},
    };
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        Slice text = text_at(doc, wanted[i][0]);
        if (!slice_eq_cstr(text, wanted[i][1])) {
            fail_msg("%s is %.*s", wanted[i][0], SLICE_FMT(text));
        }
    }
    arena_destroy(a);
    buf_done(&out);
}

static OtlpExporter *exporter_with_span(void)
{
    Span span;
    OtlpExporter *x = otlp_create(&(OtlpOptions){.resource = {.service = SLICE("s")}, .seed = 5});
    otlp_put_spans(x, make_span(&span), 1, 0);
    return x;
}

static void test_what_each_status_means(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *retry_after;
        bool retried;
        int64_t least_s, most_s; // until the next attempt
    } cases[] = {
        {200, "", false, 0, 0},    {202, "", false, 0, 0},
        {400, "", false, 0, 0},    {401, "", false, 0, 0},
        {404, "", false, 0, 0},    {413, "", false, 0, 0},
        {500, "", false, 0, 0},    {501, "", false, 0, 0},
        {429, "", true, 0, 1},     {502, "", true, 0, 1},
        {503, "", true, 0, 1},     {504, "", true, 0, 1},
        {0, "", true, 0, 1},       {429, "7", true, 7, 7},
        {503, "junk", true, 0, 1}, {503, "Sun, 06 Nov 1994 08:49:47 GMT", true, 10, 10},
        {503, "600", false, 0, 0}, {400, "7", false, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        OtlpExporter *x = exporter_with_span();
        OtlpRequest request;
        assert_true(otlp_take(x, 0, &request));
        assert_string_equal(request.path, "/v1/traces");
        assert_false(otlp_take(x, 0, &request)); // one at a time
        otlp_answer(x, 0, WALL_NS, cases[i].status, slice_from_cstr(cases[i].retry_after),
                    (Slice){0});
        int64_t due = otlp_due_ns(x);
        bool retried = due != NEVER_NS;
        if (retried != cases[i].retried ||
            (retried && (due < cases[i].least_s * NS_PER_S || due > cases[i].most_s * NS_PER_S))) {
            fail_msg("status %d, Retry-After %s: due at %lld", cases[i].status,
                     cases[i].retry_after, (long long)due);
        }
        OtlpStats stats = otlp_stats(x);
        assert_int_equal(stats.sent, cases[i].status / 100 == 2);
        assert_int_equal(stats.dropped_failed, !retried && cases[i].status / 100 != 2);
        otlp_destroy(x);
    }
}

static void test_backoff_grows_and_ends(void **state)
{
    (void)state;
    OtlpExporter *x = exporter_with_span();
    OtlpRequest request;
    int64_t now = 0;
    int attempts = 0;
    for (; otlp_due_ns(x) != NEVER_NS; attempts++) {
        int64_t due = otlp_due_ns(x);
        assert_true(due - now <= OTLP_BACKOFF_MAX_NS);
        assert_false(otlp_take(x, due - 1, &request));
        now = due;
        assert_true(otlp_take(x, now, &request));
        otlp_answer(x, now, WALL_NS, 0, (Slice){0}, (Slice){0});
    }
    // 1, 2, 4, 8, 16 and then 30 s, each between half and whole, within 300 s.
    assert_in_range(attempts, 13, 28);
    assert_true(now <= OTLP_GIVE_UP_NS);
    assert_int_equal(otlp_stats(x).dropped_failed, 1);
    assert_int_equal(otlp_stats(x).waiting_bytes, 0);
    otlp_destroy(x);
}

static void test_partial_success(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int64_t rejected;
    } cases[] = {
        {"{}", 0},
        {"{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"no\"}}", 3},
        {"{\"partialSuccess\":{\"rejectedDataPoints\":2}}", 2},
        {"{\"partialSuccess\":{\"rejectedSpans\":\"-1\"}}", 0},
        {"{\"partialSuccess\":{\"rejectedSpans\":{}}}", 0},
        {"{\"partialSuccess\":[]}", 0},
        {"<html>", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        OtlpExporter *x = exporter_with_span();
        OtlpRequest request;
        assert_true(otlp_take(x, 0, &request));
        otlp_answer(x, 0, WALL_NS, 200, (Slice){0}, slice_from_cstr(cases[i].body));
        assert_int_equal(otlp_stats(x).rejected_items, cases[i].rejected);
        assert_true(otlp_due_ns(x) == NEVER_NS); // never sent again
        otlp_destroy(x);
    }
}

static void test_queue_edges(void **state)
{
    (void)state;
    Span span;
    OtlpExporter *x = otlp_create(&(OtlpOptions){.plain = true});
    make_span(&span);
    for (int i = 0; i < OTLP_QUEUE_BATCHES + 2; i++) {
        otlp_put_spans(x, &span, 1, 0);
    }
    assert_int_equal(otlp_stats(x).waiting, OTLP_QUEUE_BATCHES);
    assert_int_equal(otlp_stats(x).dropped_full, 2);
    OtlpRequest request;
    assert_true(otlp_take(x, 0, &request));
    assert_false(request.gzip);
    size_t one = request.body.len;
    otlp_destroy(x);
    x = otlp_create(&(OtlpOptions){.plain = true, .queue_bytes = 2 * one});
    for (int i = 0; i < 3; i++) {
        otlp_put_spans(x, &span, 1, 0);
    }
    assert_int_equal(otlp_stats(x).waiting, 2);
    assert_int_equal(otlp_stats(x).dropped_full, 1);
    otlp_destroy(x);
    // More spans than a batch holds are several batches.
    Span *spans = mem_alloc((OTLP_BATCH_SPANS + 1) * sizeof(Span));
    for (int i = 0; i <= OTLP_BATCH_SPANS; i++) {
        spans[i] = span;
    }
    x = otlp_create(&(OtlpOptions){.queue_bytes = 0});
    otlp_put_spans(x, spans, OTLP_BATCH_SPANS, 0);
    assert_int_equal(otlp_stats(x).waiting, 1);
    otlp_put_spans(x, spans, OTLP_BATCH_SPANS + 1, 0);
    assert_int_equal(otlp_stats(x).waiting, 3);
    assert_true(otlp_take(x, 0, &request));
    Buf plain = buf_create(OTLP_BODY_BYTES_MAX);
    assert_true(request.gzip);
    assert_int_equal(inflate_append(INFLATE_GZIP, request.body, &plain, NULL), 0);
    assert_true(slice_starts_with(buf_slice(&plain), SLICE("{\"resourceSpans\":[")));
    buf_done(&plain);
    free(spans);
    otlp_destroy(x);
    otlp_destroy(NULL);
}

static void test_retry_after(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t s; // -1: not understood
    } cases[] = {
        {"0", 0},
        {" 120 ", 120},
        {"-1", -1},
        {"1.5", -1},
        {"3600", 3600},
        {"3601", 3600},
        {"9223372036854775807", 3600},
        {"", -1},
        {"Sun, 06 Nov 1994 08:50:37 GMT", 60},
        {"Sun, 06 Nov 1994 08:48:37 GMT", 0},
        {"Sun, 06 Non 1994 08:50:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:50:37 CET", -1},
        {"Fri, 31 Dec 9999 23:59:59 GMT", -1}, // beyond what nanoseconds hold
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t ns = otlp_retry_after_ns(slice_from_cstr(cases[i].text), WALL_NS);
        if (ns != (cases[i].s < 0 ? -1 : cases[i].s * NS_PER_S)) {
            fail_msg("%s: %lld", cases[i].text, (long long)ns);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_span_as_json),
        cmocka_unit_test(test_what_each_status_means),
        cmocka_unit_test(test_backoff_grows_and_ends),
        cmocka_unit_test(test_partial_success),
        cmocka_unit_test(test_queue_edges),
        cmocka_unit_test(test_retry_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
