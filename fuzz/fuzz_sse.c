// An event stream means the same however it is cut into pieces, and lines never hold an end of
// line.
#include <assert.h>

#include "net/sse_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EVENT_MAX = 4 << 10 };

static void gather(Slice text, size_t piece, Buf *out)
{
    SseReader reader = sse_reader(EVENT_MAX);
    while (text.len > 0) {
        Slice head = slice_sub(text, 0, piece);
        text = slice_sub(text, head.len, text.len);
        if (sse_reader_push(&reader, head, NULL) != 0) {
            break;
        }
        SseReadEvent event;
        while (sse_reader_next(&reader, &event)) {
            assert(slice_find_byte(event.event, '\n') < 0 && slice_find_byte(event.id, '\r') < 0);
            assert(slice_find_byte(event.data, '\r') < 0);
            buf_printf(out, "%zu %zu %zu;", event.event.len, event.data.len, event.id.len);
            buf_append(out, event.data);
        }
    }
    sse_reader_done(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > EVENT_MAX) {
        return 0;
    }
    Slice text = {(const char *)data + 1, size - 1};
    Buf whole = buf_create(1 << 20), parts = buf_create(1 << 20);
    gather(text, EVENT_MAX, &whole);
    gather(text, 1 + data[0] % 16, &parts);
    assert(slice_eq(buf_slice(&whole), buf_slice(&parts)));
    buf_done(&whole);
    buf_done(&parts);
    return 0;
}
