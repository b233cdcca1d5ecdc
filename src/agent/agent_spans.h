// AgentSpans: the spans of an agent system, on their way to the exporter. Runs of agents come from
// the runner's hooks; who calls models and tools takes the queue and makes theirs below the run's.
//
//     AgentSpans *spans = agent_spans_create();
//     rc = agent_spans_watch(spans, runner, e);       // before runner_start
//     monitor.spans = agent_spans_queue(spans);
//     ... llm_host_trace(host, agent_spans_queue(spans)) ...
//     agent_spans_destroy(spans);                     // after everything that fills the queue
//
// One span an event that ran or failed: "invoke_agent NAME", from its creation, so that waiting in
// a mailbox is part of it, to its end. Its parent is the event whose handler sent it, or the
// context that came from outside.
#ifndef AGENT_AGENT_SPANS_H
#define AGENT_AGENT_SPANS_H

#include "agent/runner.h"
#include "telemetry/span.h"

typedef struct AgentSpans AgentSpans;

AgentSpans *agent_spans_create(void);
void agent_spans_destroy(AgentSpans *spans); // NULL is fine
MUST_USE int agent_spans_watch(AgentSpans *spans, Runner *runner, Err *e);
SpanQueue *agent_spans_queue(const AgentSpans *spans); // NULL without spans

// The context of the handler's event as a traceparent's value, in `out`; empty without one.
Slice agent_traceparent(const AgentContext *ctx, char out[TRACEPARENT_BYTES + 1]);

#endif
