#include "telemetry/span.h"

#include <assert.h>

#include "os/mpsc.h"

#define SAMPLED_ALL (UINT64_C(1) << 56)

// ---- trace context

static int hex_digit(char c)
{
    // Upper case is not allowed (section 3.2.2.3).
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, size_t digits, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0) {
            return false;
        }
        value = value << 4 | (unsigned)digit;
    }
    *ret_value = value;
    return true;
}

int traceparent_parse(Slice text, TraceContext *ret_context)
{
    enum { TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53 };
    TraceContext c = {.parent_id = 0};
    uint64_t version, flags;
    if (text.len < TRACEPARENT_BYTES || text.ptr[2] != '-' || text.ptr[SPAN_AT - 1] != '-' ||
        text.ptr[FLAGS_AT - 1] != '-' || !read_hex(text.ptr, 2, &version) || version == 0xff ||
        !read_hex(text.ptr + TRACE_AT, 16, &c.trace_id[0]) ||
        !read_hex(text.ptr + TRACE_AT + 16, 16, &c.trace_id[1]) ||
        !read_hex(text.ptr + SPAN_AT, 16, &c.span_id) ||
        !read_hex(text.ptr + FLAGS_AT, 2, &flags)) {
        return ERR_PARSE;
    }
    // Version 00 ends here; a later one may go on behind a dash.
    if (text.len > TRACEPARENT_BYTES && (version == 0 || text.ptr[TRACEPARENT_BYTES] != '-')) {
        return ERR_PARSE;
    }
    if (!trace_is_set(&c) || c.span_id == 0) {
        return ERR_PARSE;
    }
    c.sampled = flags & 1;
    *ret_context = c;
    return 0;
}

void traceparent_format(const TraceContext *context, char out[TRACEPARENT_BYTES + 1])
{
    int len =
        snprintf(out, TRACEPARENT_BYTES + 1, "00-%016llx%016llx-%016llx-%02x",
                 (unsigned long long)context->trace_id[0], (unsigned long long)context->trace_id[1],
                 (unsigned long long)context->span_id, context->sampled);
    assert(len == TRACEPARENT_BYTES);
    (void)len;
}

// ---- queue

struct SpanQueue {
    Mpsc *spans;
};

SpanQueue *span_queue_create(size_t capacity)
{
    SpanQueue *queue = mem_zalloc(sizeof *queue);
    queue->spans = mpsc_create(capacity ? capacity : SPAN_QUEUE_DEFAULT, sizeof(Span));
    return queue;
}

void span_queue_destroy(SpanQueue *queue)
{
    if (queue) {
        mpsc_destroy(queue->spans);
        free(queue);
    }
}

size_t span_queue_take(SpanQueue *queue, Span *ret_spans, size_t max)
{
    size_t count = 0;
    while (count < max && mpsc_pop(queue->spans, &ret_spans[count])) {
        count++;
    }
    return count;
}

uint64_t span_queue_dropped(const SpanQueue *queue)
{
    return mpsc_refused(queue->spans);
}

// ---- spans

void tracer_init(Tracer *tracer, SpanQueue *queue, double ratio, uint64_t seed, uint64_t index)
{
    ratio = ratio > 0 ? ratio : 0; // NaN too
    *tracer = (Tracer){
        .queue = queue,
        .rng = rng_stream(seed, SLICE("trace"), index),
        .threshold = ratio >= 1 ? SAMPLED_ALL : (uint64_t)(ratio * (double)SAMPLED_ALL),
    };
}

static uint64_t new_id(Rng *rng)
{
    uint64_t id;
    do {
        id = rng_u64(rng);
    } while (id == 0); // the one value that means "none"
    return id;
}

TraceContext trace_child(Tracer *tracer, const TraceContext *parent)
{
    TraceContext c = {.span_id = new_id(&tracer->rng)};
    if (parent && trace_is_set(parent)) {
        c.trace_id[0] = parent->trace_id[0];
        c.trace_id[1] = parent->trace_id[1];
        c.parent_id = parent->span_id;
        c.sampled = parent->sampled;
    } else {
        c.trace_id[0] = new_id(&tracer->rng);
        c.trace_id[1] = new_id(&tracer->rng);
        c.sampled = (c.trace_id[1] & (SAMPLED_ALL - 1)) < tracer->threshold;
    }
    return c;
}

// As much of the text as fits without half a character at its end.
static size_t fitting(Slice text, size_t room)
{
    if (text.len <= room) {
        return text.len;
    }
    while (room > 0 && (text.ptr[room] & 0xC0) == 0x80) {
        room--;
    }
    return room;
}

void span_begin_in(Span *span, const TraceContext *context, SpanKind kind, Slice name,
                   int64_t wall_ns)
{
    span->context = *context;
    if (!context->sampled) {
        return;
    }
    span->kind = (uint8_t)kind;
    span->status = SPAN_UNSET;
    span->attribute_count = 0;
    span->dropped_attributes = 0;
    span->text_len = 0;
    span->begin_ns = wall_ns;
    span->name_len = (uint8_t)fitting(name, SPAN_NAME_MAX);
    if (span->name_len > 0) {
        memcpy(span->name, name.ptr, span->name_len);
    }
}

void span_begin(Tracer *tracer, Span *span, const TraceContext *parent, SpanKind kind, Slice name,
                int64_t wall_ns)
{
    TraceContext context = trace_child(tracer, parent);
    span_begin_in(span, &context, kind, name, wall_ns);
}

static uint16_t put_text(Span *span, Slice text)
{
    size_t len = fitting(text, SPAN_TEXT_BYTES - span->text_len);
    if (len > 0) {
        memcpy(span->text + span->text_len, text.ptr, len);
    }
    span->text_len = (uint16_t)(span->text_len + len);
    return (uint16_t)len;
}

// NULL when the span is not recorded, or has no room for one more.
static SpanAttribute *add(Span *span, Slice key, SpanValueType type)
{
    if (!span->context.sampled) {
        return NULL;
    }
    if (span->attribute_count == SPAN_ATTRIBUTES_MAX ||
        key.len > (size_t)SPAN_TEXT_BYTES - span->text_len) {
        if (span->dropped_attributes < UINT8_MAX) {
            span->dropped_attributes++;
        }
        return NULL;
    }
    SpanAttribute *a = &span->attributes[span->attribute_count++];
    *a = (SpanAttribute){.type = type, .key_at = span->text_len};
    a->key_len = put_text(span, key);
    return a;
}

void span_text(Span *span, Slice key, Slice value)
{
    SpanAttribute *a = add(span, key, SPAN_VALUE_TEXT);
    if (a) {
        a->text_at = span->text_len;
        a->text_len = put_text(span, value);
    }
}

void span_int(Span *span, Slice key, int64_t value)
{
    SpanAttribute *a = add(span, key, SPAN_VALUE_INT);
    if (a) {
        a->integer = value;
    }
}

void span_double(Span *span, Slice key, double value)
{
    SpanAttribute *a = add(span, key, SPAN_VALUE_DOUBLE);
    if (a) {
        a->real = value;
    }
}

void span_bool(Span *span, Slice key, bool value)
{
    SpanAttribute *a = add(span, key, SPAN_VALUE_BOOL);
    if (a) {
        a->boolean = value;
    }
}

void span_end(Tracer *tracer, Span *span, int64_t wall_ns, SpanStatus status)
{
    if (!span->context.sampled || !tracer->queue) {
        return;
    }
    span->end_ns = wall_ns > span->begin_ns ? wall_ns : span->begin_ns;
    span->status = (uint8_t)status;
    (void)mpsc_push(tracer->queue->spans, span); // a full queue counts it
}
