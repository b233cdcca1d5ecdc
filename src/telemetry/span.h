// Spans: what one piece of work was, when, and inside which other one; and the trace context that
// travels with a request (W3C Trace Context, https://www.w3.org/TR/trace-context/).
//
// A Tracer is one thread's: it makes ids and decides which traces are kept. A span is a value of
// fixed size on the caller's stack (or in its event): beginning, attributes and end allocate
// nothing. A finished span that is sampled is copied into the SpanQueue that all tracers share and
// the exporter empties; a full queue drops and counts. A trace that is not sampled costs the ids
// of its context only: span_begin with an unsampled parent is a few stores.
//
//     Span span;
//     span_begin(tracer, &span, &event->trace, SPAN_CONSUMER, SLICE("invoke_agent planner"), now);
//     span_text(&span, SLICE("gen_ai.agent.name"), name);
//     ... span.context is the parent of what is called from here ...
//     span_end(tracer, &span, now, rc == 0 ? SPAN_OK : SPAN_ERROR);
//
// Sampling is decided at the root by the trace id (OpenTelemetry's TraceIdRatioBased over the low
// 56 bits, which W3C level 2 makes random) and inherited by everything below.
//
// Tracer and spans: one thread. SpanQueue: spans from any thread, spans_take on the exporter's.
#ifndef TELEMETRY_SPAN_H
#define TELEMETRY_SPAN_H

#include "base/err.h"
#include "base/rng.h"
#include "base/slice.h"

enum {
    TRACE_ID_DIGITS = 32,
    SPAN_ID_DIGITS = 16,
    TRACEPARENT_BYTES = 55,   // "00-" + 32 + "-" + 16 + "-01"
    SPAN_NAME_MAX = 64,       // longer names are cut on a character
    SPAN_ATTRIBUTES_MAX = 12, // further ones are counted in dropped_attributes
    SPAN_TEXT_BYTES = 448,    // keys and values of all attributes
    SPAN_QUEUE_DEFAULT = 4096,
};

// ---- trace context

typedef struct TraceContext {
    uint64_t trace_id[2]; // in the order of the hexadecimal text; both 0: there is no trace
    uint64_t span_id;     // of the work that carries this context
    uint64_t parent_id;   // of the work it is part of; 0: a root, or not known here
    bool sampled;
} TraceContext;

static inline bool trace_is_set(const TraceContext *c)
{
    return (c->trace_id[0] | c->trace_id[1]) != 0;
}

// The value of a traceparent field, version 00 or a later one that begins like it. ERR_PARSE; the
// specification wants a new trace then.
MUST_USE int traceparent_parse(Slice text, TraceContext *ret_context);
// Writes 55 characters and a NUL. `context` is set.
void traceparent_format(const TraceContext *context, char out[TRACEPARENT_BYTES + 1]);

// ---- spans

typedef enum SpanKind { // OTLP's numbers
    SPAN_INTERNAL = 1,
    SPAN_SERVER = 2,
    SPAN_CLIENT = 3,
    SPAN_PRODUCER = 4,
    SPAN_CONSUMER = 5,
} SpanKind;

typedef enum SpanStatus { SPAN_UNSET = 0, SPAN_OK = 1, SPAN_ERROR = 2 } SpanStatus;

typedef enum SpanValueType {
    SPAN_VALUE_TEXT,
    SPAN_VALUE_INT,
    SPAN_VALUE_DOUBLE,
    SPAN_VALUE_BOOL,
} SpanValueType;

typedef struct SpanAttribute {
    uint16_t key_at, key_len; // in Span.text
    uint16_t text_at, text_len;
    SpanValueType type;
    union {
        int64_t integer;
        double real;
        bool boolean;
    };
} SpanAttribute;

typedef struct Span {
    TraceContext context; // what goes to callees; sampled says whether the rest is recorded
    uint8_t kind;         // SpanKind
    uint8_t status;       // SpanStatus
    uint8_t name_len;
    uint8_t attribute_count;
    uint8_t dropped_attributes;
    uint16_t text_len;
    int64_t begin_ns; // wall clock
    int64_t end_ns;
    char name[SPAN_NAME_MAX];
    SpanAttribute attributes[SPAN_ATTRIBUTES_MAX];
    char text[SPAN_TEXT_BYTES];
} Span;

typedef struct SpanQueue SpanQueue;

// `capacity` 0: SPAN_QUEUE_DEFAULT; rounded up to a power of two.
SpanQueue *span_queue_create(size_t capacity);
void span_queue_destroy(SpanQueue *queue); // NULL is fine
// Moves up to `max` spans out. The exporter's thread only.
size_t span_queue_take(SpanQueue *queue, Span *ret_spans, size_t max);
// Spans that found it full so far.
uint64_t span_queue_dropped(const SpanQueue *queue);

typedef struct Tracer {
    SpanQueue *queue; // NULL: contexts are made, nothing is kept
    Rng rng;
    uint64_t threshold; // of 2^56: traces below it are kept
} Tracer;

// `ratio` 0..1 of new traces is kept. Equal seeds give equal ids: pass what os/ says is random.
void tracer_init(Tracer *tracer, SpanQueue *queue, double ratio, uint64_t seed, uint64_t index);

// The context of work below `parent`, or of a new trace where that is NULL or empty. What
// span_begin makes its span's; for work that is passed on before it begins (an event in a mailbox).
TraceContext trace_child(Tracer *tracer, const TraceContext *parent);
// Begins a span whose context was made by trace_child.
void span_begin_in(Span *span, const TraceContext *context, SpanKind kind, Slice name,
                   int64_t wall_ns);
// Begins a span below `parent`, or a new trace where that is NULL or empty. Names are cut at
// SPAN_NAME_MAX.
void span_begin(Tracer *tracer, Span *span, const TraceContext *parent, SpanKind kind, Slice name,
                int64_t wall_ns);
void span_text(Span *span, Slice key, Slice value); // cut where SPAN_TEXT_BYTES ends
void span_int(Span *span, Slice key, int64_t value);
void span_double(Span *span, Slice key, double value);
void span_bool(Span *span, Slice key, bool value);
void span_end(Tracer *tracer, Span *span, int64_t wall_ns, SpanStatus status);

static inline Slice span_attribute_key(const Span *span, const SpanAttribute *a)
{
    return (Slice){span->text + a->key_at, a->key_len};
}
static inline Slice span_attribute_text(const Span *span, const SpanAttribute *a)
{
    return (Slice){span->text + a->text_at, a->text_len};
}

#endif
