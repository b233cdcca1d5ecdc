// Properties: any bytes in pieces of any size give the same events as in one piece; no crash.
#include <assert.h>

#include "mcp/event_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int note(void *ctx, const StreamEvent *event, Err *e)
{
    (void)e;
    Slice parts[] = {event->type, event->data, event->id};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        buf_printf(ctx, "%zu:", parts[i].len);
        buf_append(ctx, parts[i]);
    }
    return 0;
}

static int feed(Slice text, size_t step, Buf *out)
{
    EventStream s = event_stream_create(
        &(EventStreamOptions){.event_fn = note, .ctx = out, .event_bytes_max = 512});
    int rc = 0;
    for (size_t at = 0; at < text.len && rc == 0; at += step) {
        rc = event_stream_feed(&s, slice_sub(text, at, step), NULL);
    }
    event_stream_done(&s);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    Slice text = {(const char *)data + 1, size - 1};
    Buf whole = buf_create(4 << 20);
    Buf pieces = buf_create(4 << 20);
    int rc = feed(text, text.len + 1, &whole);
    int rc_pieces = feed(text, (size_t)data[0] % 7 + 1, &pieces);
    assert(rc == rc_pieces);
    assert(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
