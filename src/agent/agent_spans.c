#include "agent/agent_spans.h"

struct AgentSpans {
    // Only ends spans, whose contexts the runner made: nothing of it changes, so that all shards
    // share it.
    Tracer tracer;
};

AgentSpans *agent_spans_create(void)
{
    AgentSpans *spans = mem_zalloc(sizeof *spans);
    tracer_init(&spans->tracer, span_queue_create(0), 1, 0, 0);
    return spans;
}

void agent_spans_destroy(AgentSpans *spans)
{
    if (spans) {
        span_queue_destroy(spans->tracer.queue);
        free(spans);
    }
}

SpanQueue *agent_spans_queue(const AgentSpans *spans)
{
    return spans ? spans->tracer.queue : NULL;
}

static void put_run(AgentSpans *spans, const HookInfo *info)
{
    const Event *event = info->event;
    char name[SPAN_NAME_MAX + 1];
    (void)snprintf(name, sizeof name, "invoke_agent %.*s", SLICE_FMT(info->agent));
    int64_t end_ns = clock_wall(clock_real());
    Span span;
    span_begin_in(&span, &event->trace, event->source == AGENT_NONE ? SPAN_CONSUMER : SPAN_INTERNAL,
                  slice_from_cstr(name), end_ns - (info->now_ns - event->created_ns));
    span_text(&span, SLICE("gen_ai.operation.name"), SLICE("invoke_agent"));
    span_text(&span, SLICE("gen_ai.agent.name"), info->agent);
    if (event->session_len > 0) {
        span_text(&span, SLICE("gen_ai.conversation.id"), event_session(event));
    }
    if (event->type_len > 0) {
        span_text(&span, SLICE("event.type"), event_type(event));
    }
    if (info->attempt > 1) {
        span_int(&span, SLICE("attempts"), info->attempt);
    }
    if (info->code != 0) {
        span_text(&span, SLICE("error.type"), slice_from_cstr(err_name(info->code)));
        span_text(&span, SLICE("error.message"), slice_from_cstr(info->reason));
    }
    span_end(&spans->tracer, &span, end_ns, info->code != 0 ? SPAN_ERROR : SPAN_OK);
}

// What failed is told by HOOK_ERROR, which also knows of events that never ran.
static void on_event(void *arg, const HookInfo *info)
{
    if (info->event->trace.sampled && (info->point == HOOK_ERROR || info->code == 0)) {
        put_run(arg, info);
    }
}

int agent_spans_watch(AgentSpans *spans, Runner *runner, Err *e)
{
    int rc = runner_hook(runner, HOOK_AFTER_EVENT, on_event, spans, e);
    return rc != 0 ? rc : runner_hook(runner, HOOK_ERROR, on_event, spans, e);
}

Slice agent_traceparent(const AgentContext *ctx, char out[TRACEPARENT_BYTES + 1])
{
    const TraceContext *trace = &agent_event(ctx)->trace;
    if (!trace_is_set(trace)) {
        return (Slice){0};
    }
    traceparent_format(trace, out);
    return (Slice){out, TRACEPARENT_BYTES};
}
