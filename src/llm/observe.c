#include "llm/observe.h"

struct LlmTelemetry {
    Recorder *recorder;
    Tracer *tracer;
    const Clock *clock;
};

LlmTelemetry *llm_telemetry_create(Recorder *recorder, Tracer *tracer, const Clock *clock)
{
    LlmTelemetry *t = mem_zalloc(sizeof *t);
    *t = (LlmTelemetry){recorder, tracer, clock ? clock : clock_real()};
    return t;
}

void llm_telemetry_destroy(LlmTelemetry *telemetry)
{
    free(telemetry);
}

static void record_tokens(LlmTelemetry *t, Label *labels, size_t count, const char *type,
                          int64_t tokens)
{
    labels[count] = (Label){SLICE("gen_ai.token.type"), slice_from_cstr(type)};
    recorder_trend(recorder_series(t->recorder, M_GEN_AI_TOKEN_USAGE, labels, count + 1), tokens);
}

static void record(LlmTelemetry *t, const LlmObservation *o)
{
    const char *provider = llm_protocol_otel_name(o->protocol);
    Label labels[6] = {{SLICE("gen_ai.operation.name"), slice_from_cstr(o->operation)},
                       {SLICE("gen_ai.provider.name"), slice_from_cstr(provider)},
                       {SLICE("gen_ai.request.model"), o->model}};
    size_t n = 3, with_error = n;
    if (o->error) {
        labels[with_error++] = (Label){SLICE("error.type"), slice_from_cstr(o->error)};
    }
    Recorder *r = t->recorder;
    recorder_trend(recorder_series(r, M_GEN_AI_OPERATION_DURATION, labels, with_error),
                   o->duration_ns);
    if (o->usage.known) {
        record_tokens(t, labels, n, "input", o->usage.input_tokens);
        record_tokens(t, labels, n, "output", o->usage.output_tokens);
    }
    if (o->streamed && o->first_content_ns > 0) {
        recorder_trend(recorder_series(r, M_GEN_AI_TIME_TO_FIRST_CHUNK, labels, n),
                       o->first_content_ns);
        if (o->chunks > 1) {
            int64_t rest = o->duration_ns - o->first_content_ns;
            recorder_trend(recorder_series(r, M_GEN_AI_TIME_PER_OUTPUT_CHUNK, labels, n),
                           (rest > 0 ? rest : 0) / (o->chunks - 1));
        }
    }
}

static void add_attributes(Span *span, const LlmObservation *o)
{
    // Of what may stand in a span, what people search by; there is room for twelve.
    span_text(span, SLICE("gen_ai.operation.name"), slice_from_cstr(o->operation));
    span_text(span, SLICE("gen_ai.provider.name"),
              slice_from_cstr(llm_protocol_otel_name(o->protocol)));
    span_text(span, SLICE("gen_ai.request.model"), o->model);
    span_text(span, SLICE("server.address"), o->server_address);
    span_int(span, SLICE("server.port"), o->server_port);
    if (o->response_model.len > 0) {
        span_text(span, SLICE("gen_ai.response.model"), o->response_model);
    }
    if (o->usage.known) {
        span_int(span, SLICE("gen_ai.usage.input_tokens"), o->usage.input_tokens);
        span_int(span, SLICE("gen_ai.usage.output_tokens"), o->usage.output_tokens);
    }
    if (o->finish != LLM_FINISH_NONE) {
        span_text(span, SLICE("gen_ai.response.finish_reasons"),
                  slice_from_cstr(llm_finish_name(o->finish)));
    }
    if (o->error) {
        span_text(span, SLICE("error.type"), slice_from_cstr(o->error));
    }
    if (o->session.len > 0) {
        span_text(span, SLICE("gen_ai.conversation.id"), o->session);
    }
    if (o->agent.len > 0) {
        span_text(span, SLICE("gen_ai.agent.name"), o->agent);
    }
}

static void trace(LlmTelemetry *t, const LlmObservation *o)
{
    TraceContext parent = {0};
    bool has_parent = o->traceparent.len > 0 && traceparent_parse(o->traceparent, &parent) == 0;
    char name[SPAN_NAME_MAX + 1];
    (void)snprintf(name, sizeof name, "%s %.*s", o->operation, SLICE_FMT(o->model));
    int64_t end = clock_wall(t->clock);
    Span span;
    span_begin(t->tracer, &span, has_parent ? &parent : NULL, SPAN_CLIENT, slice_from_cstr(name),
               end - o->duration_ns);
    add_attributes(&span, o);
    span_end(t->tracer, &span, end, o->error ? SPAN_ERROR : SPAN_UNSET);
}

static void observe(void *ctx, const LlmObservation *observation)
{
    LlmTelemetry *t = ctx;
    if (!observation->attempt) {
        return;
    }
    if (t->recorder) {
        record(t, observation);
    }
    if (t->tracer) {
        trace(t, observation);
    }
}

LlmObserver llm_telemetry_observer(LlmTelemetry *telemetry)
{
    return (LlmObserver){observe, telemetry};
}
