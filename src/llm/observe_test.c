// Names and attributes are those of OpenTelemetry's conventions for generative AI (v1.42.0).
#include "llm/observe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static LlmObservation observation(void)
{
    return (LlmObservation){.attempt = true,
                            .operation = "chat",
                            .protocol = LLM_GEMINI,
                            .provider = SLICE("main"),
                            .model = SLICE("gemini-2.5-flash"),
                            .response_model = SLICE("gemini-2.5-flash-001"),
                            .server_address = SLICE("example.com"),
                            .server_port = 443,
                            .session = SLICE("s7"),
                            .traceparent =
                                SLICE("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
                            .duration_ns = 3000,
                            .first_content_ns = 1000,
                            .chunks = 5,
                            .streamed = true,
                            .finish = LLM_FINISH_STOP,
                            .usage = {.known = true, .input_tokens = 7, .output_tokens = 9}};
}

static void test_metrics(void **state)
{
    (void)state;
    Recorder *r = recorder_create(&(RecorderOptions){0});
    LlmTelemetry *t = llm_telemetry_create(r, NULL, NULL);
    LlmObserver observer = llm_telemetry_observer(t);
    LlmObservation o = observation();
    observer.fn(observer.ctx, &o);
    assert_int_equal(recorder_series_count(r), 5);
    const Label labels[] = {{SLICE("gen_ai.operation.name"), SLICE("chat")},
                            {SLICE("gen_ai.provider.name"), SLICE("gcp.gemini")},
                            {SLICE("gen_ai.request.model"), SLICE("gemini-2.5-flash")},
                            {SLICE("gen_ai.token.type"), SLICE("output")}};
    RecorderSeries *s = recorder_series(r, M_GEN_AI_OPERATION_DURATION, labels, 3);
    assert_int_equal(s->active->max, 3000);
    assert_int_equal(recorder_series(r, M_GEN_AI_TOKEN_USAGE, labels, 4)->active->max, 9);
    assert_int_equal(recorder_series(r, M_GEN_AI_TIME_TO_FIRST_CHUNK, labels, 3)->active->max,
                     1000);
    assert_int_equal(recorder_series(r, M_GEN_AI_TIME_PER_OUTPUT_CHUNK, labels, 3)->active->max,
                     500);
    assert_int_equal(recorder_series_count(r), 5); // asked for by the same names
    o.error = "rate";
    o.usage.known = o.streamed = false;
    observer.fn(observer.ctx, &o);
    assert_int_equal(recorder_series_count(r), 6); // one with error.type
    o.attempt = false;                             // the call as a whole is no operation
    observer.fn(observer.ctx, &o);
    assert_int_equal(recorder_series_count(r), 6);
    llm_telemetry_destroy(t);
    recorder_destroy(r);
}

static void test_span(void **state)
{
    (void)state;
    SpanQueue *queue = span_queue_create(0);
    Tracer tracer;
    tracer_init(&tracer, queue, 0, 1, 0); // the parent's word counts, not the ratio
    ManualClock clock;
    clock_manual_init(&clock, 0, 1000000);
    LlmTelemetry *t = llm_telemetry_create(NULL, &tracer, &clock.clock);
    LlmObserver observer = llm_telemetry_observer(t);
    LlmObservation o = observation();
    observer.fn(observer.ctx, &o);
    Span span;
    assert_int_equal(span_queue_take(queue, &span, 1), 1);
    assert_int_equal(span.name_len, strlen("chat gemini-2.5-flash"));
    assert_memory_equal(span.name, "chat gemini-2.5-flash", span.name_len);
    assert_int_equal(span.kind, SPAN_CLIENT);
    assert_int_equal(span.context.parent_id, 0xb7ad6b7169203331);
    assert_int_equal(span.end_ns - span.begin_ns, 3000);
    assert_int_equal(span.dropped_attributes, 0);
    bool conversation = false;
    for (int i = 0; i < span.attribute_count; i++) {
        conversation = conversation || slice_eq(span_attribute_key(&span, &span.attributes[i]),
                                                SLICE("gen_ai.conversation.id"));
    }
    assert_true(conversation);
    llm_telemetry_destroy(t);
    span_queue_destroy(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_metrics), cmocka_unit_test(test_span)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
