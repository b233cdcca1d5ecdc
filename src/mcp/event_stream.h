// EventStream: reads text/event-stream (WHATWG HTML, section 9.2.6) without I/O: bytes in, events
// out. It differs from net/sse_read.h in one thing: data can be taken piece by piece while an event
// is still coming, so that one of 100 MB goes to a file without being in memory.
//
//     EventStream s = event_stream_create(&(EventStreamOptions){.event_fn = on_event, .ctx = me});
//     rc = event_stream_feed(&s, bytes, e);      // in pieces of any size
//     ... at the end of the body: what is left is not an event and is dropped ...
//     event_stream_done(&s);
//
// As the standard has it: lines end in LF, CR or CRLF; a byte order mark at the beginning is
// skipped; `data` fields of one event are joined by LF; an event without data is not dispatched; an
// `id` with a NUL and a `retry` that is no number are ignored; the last id stays in force for the
// events after it. One thing is added: an event without data that sets an id still moves last_id,
// because that is what a client resumes from.
#ifndef MCP_EVENT_STREAM_H
#define MCP_EVENT_STREAM_H

#include "base/buf.h"
#include "base/err.h"

typedef struct StreamEvent {
    Slice type; // "message" when the server named none
    Slice data;
    Slice id; // the last one that was said; empty: none
} StreamEvent;

// A negative result ends feeding with that code.
typedef int EventStreamFn(void *ctx, const StreamEvent *event, Err *e);
// Where the caller wants pieces of a long `data` instead of one text: called with what came of the
// current event, as soon as it came; the event's own data is empty then. `first` begins an event.
typedef int EventStreamDataFn(void *ctx, Slice piece, bool first, Err *e);

typedef struct EventStreamOptions {
    EventStreamFn *event_fn;
    EventStreamDataFn *data_fn; // NULL: data is collected
    void *ctx;
    size_t event_bytes_max; // type, id and data of one event; 0: EVENT_STREAM_BYTES_MAX
} EventStreamOptions;

enum { EVENT_STREAM_BYTES_MAX = 4 << 20, EVENT_STREAM_FIELD_MAX = 4096 };

typedef struct EventStream {
    EventStreamOptions options;
    Buf line; // begin of the line that is not complete: all of it but a data field's value
    Buf data;
    Buf type;
    Buf id;
    int64_t retry_ns; // what the server asked for; -1: it did not
    size_t event_bytes;
    bool has_data; // a data field was seen in this event
    bool in_data;  // inside of the value of a data field
    bool skip_lf;  // a CR ended the last line
    bool began;    // the byte order mark is behind us
} EventStream;

EventStream event_stream_create(const EventStreamOptions *options);
void event_stream_done(EventStream *s);

// 0, ERR_LIMIT for an event (or a field name, id or type) that is too long, or what a callback
// said. After a failure the reader is not to be fed again.
MUST_USE int event_stream_feed(EventStream *s, Slice bytes, Err *e);

// The id to resume behind; empty without one. Good until the next feed.
static inline Slice event_stream_last_id(const EventStream *s)
{
    return buf_slice(&s->id);
}

#endif
