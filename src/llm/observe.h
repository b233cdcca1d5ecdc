// Metrics and spans of LLM calls, named as OpenTelemetry's conventions for generative AI have them:
// what the client's observer hook sees, written to a recorder and a tracer.
//
//     LlmTelemetry *telemetry = llm_telemetry_create(recorder, tracer, clock);
//     options.observer = llm_telemetry_observer(telemetry);
//
// Each attempt is one CLIENT span "chat MODEL" below the request's traceparent, and one record of
// gen_ai.client.operation.duration, token.usage, and, when streamed, time_to_first_chunk and
// time_per_output_chunk. Answers of the cache are no operation and leave none. For the thread of
// the recorder and the client.
#ifndef LLM_OBSERVE_H
#define LLM_OBSERVE_H

#include "llm/client.h"
#include "telemetry/recorder.h"
#include "telemetry/span.h"

typedef struct LlmTelemetry LlmTelemetry;

// Either may be NULL; both are borrowed. `clock` NULL: the real one.
LlmTelemetry *llm_telemetry_create(Recorder *recorder, Tracer *tracer, const Clock *clock);
void llm_telemetry_destroy(LlmTelemetry *telemetry); // NULL is fine
LlmObserver llm_telemetry_observer(LlmTelemetry *telemetry);

#endif
