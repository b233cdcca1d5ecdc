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

// Reads 2 * count digits; false for anything else.
static bool read_hex(const char *text, uint8_t *ret_bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

int traceparent_parse(Slice text, TraceContext *ret_context)
{
    enum { TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53 };
    TraceContext c;
    uint8_t version, flags;
    if (text.len < TRACEPARENT_BYTES || text.ptr[2] != '-' || text.ptr[SPAN_AT - 1] != '-' ||
        text.ptr[FLAGS_AT - 1] != '-' || !read_hex(text.ptr, &version, 1) || version == 0xff ||
        !read_hex(text.ptr + TRACE_AT, c.trace_id, TRACE_ID_BYTES) ||
        !read_hex(text.ptr + SPAN_AT, c.span_id, SPAN_ID_BYTES) ||
        !read_hex(text.ptr + FLAGS_AT, &flags, 1)) {
        return ERR_PARSE;
    }
    // Version 00 ends here; a later one may go on behind a dash.
    if (text.len > TRACEPARENT_BYTES && (version == 0 || text.ptr[TRACEPARENT_BYTES] != '-')) {
        return ERR_PARSE;
    }
    if (is_zero(c.trace_id, TRACE_ID_BYTES) || is_zero(c.span_id, SPAN_ID_BYTES)) {
        return ERR_PARSE;
    }
    c.sampled = flags & 1;
    *ret_context = c;
    return 0;
}

static char *put_hex(char *at, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

void traceparent_format(const TraceContext *context, char out[TRACEPARENT_BYTES + 1])
{
    char *at = out;
    memcpy(at, "00-", 3);
    at = put_hex(at + 3, context->trace_id, TRACE_ID_BYTES);
    *at++ = '-';
    at = put_hex(at, context->span_id, SPAN_ID_BYTES);
    *at++ = '-';
    *at++ = '0';
    *at++ = context->sampled ? '1' : '0';
    *at = '\0';
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

static void new_id(Rng *rng, uint8_t *id, size_t bytes)
{
    do {
        for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
            uint64_t word = rng_u64(rng);
            memcpy(id + i, &word, sizeof word);
        }
    } while (is_zero(id, bytes)); // the one value that means "none"
}

static bool keep_trace(const Tracer *tracer, const TraceContext *c)
{
    uint64_t low = 0;
    for (size_t i = TRACE_ID_BYTES - 7; i < TRACE_ID_BYTES; i++) {
        low = low << 8 | c->trace_id[i];
    }
    return low < tracer->threshold;
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

void span_begin(Tracer *tracer, Span *span, const TraceContext *parent, SpanKind kind, Slice name,
                int64_t wall_ns)
{
    span->has_parent = parent && trace_is_set(parent);
    if (span->has_parent) {
        span->context = *parent;
        memcpy(span->parent_id, parent->span_id, SPAN_ID_BYTES);
    } else {
        new_id(&tracer->rng, span->context.trace_id, TRACE_ID_BYTES);
        span->context.sampled = keep_trace(tracer, &span->context);
    }
    if (!span->context.sampled && span->has_parent) {
        return; // callees of an unsampled span may as well call its parent their own
    }
    new_id(&tracer->rng, span->context.span_id, SPAN_ID_BYTES);
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
