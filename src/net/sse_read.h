// Reading event streams: server-sent events (WHATWG HTML, section 9.2.6) and plain lines (NDJSON).
// Sans-I/O: bytes are pushed as they come, whole events or lines are taken out.
//
//     SseReader reader = sse_reader(1 << 20);
//     while (... bytes arrive ...) {
//         if ((rc = sse_reader_push(&reader, bytes, e)) != 0) ...     // too much for one event
//         while (sse_reader_next(&reader, &event)) { use(event.event, event.data); }
//     }
//     sse_reader_done(&reader);
//
// Lines end in LF, CRLF or CR, also across pushes; a byte order mark at the start is skipped;
// comments and unknown fields are ignored; an event that the stream's end cuts off is never given
// out. Slices given out are good until the next call. Each byte is looked at a fixed number of
// times, however small the pieces are.
#ifndef NET_SSE_READ_H
#define NET_SSE_READ_H

#include "base/buf.h"

typedef struct SseReader {
    Buf in;           // bytes from `at` on were not taken yet
    size_t at;        // start of the current line
    size_t seen;      // bytes that hold no end of line, `at` <= `seen`
    bool skip_lf;     // the last line ended in CR
    bool started;     // the byte order mark was looked for
    Buf event;        // of the event being gathered
    Buf data;         // with a newline behind each line
    Buf id;           // of the stream: stays until changed
    bool has_data;    // a data line was there, if only an empty one
    bool given;       // the event was given out
    int64_t comments; // comment lines seen: keep-alives
    int64_t retry_ms; // what the server asked for; -1: nothing
} SseReader;

typedef struct SseReadEvent {
    Slice event; // empty: "message"
    Slice data;  // lines joined by newlines
    Slice id;    // the last one set in the stream
} SseReadEvent;

// `max` bounds the bytes of one event or line, and of one push; at most SIZE_MAX / 2.
SseReader sse_reader(size_t max);
void sse_reader_done(SseReader *reader);
// ERR_LIMIT when an event or line grows past the ceiling; the stream is then unusable.
MUST_USE int sse_reader_push(SseReader *reader, Slice bytes, Err *e);
// The next whole event. False: push more.
bool sse_reader_next(SseReader *reader, SseReadEvent *ret_event);
// The next whole line instead, without its end: use one of the two on a stream.
bool sse_reader_line(SseReader *reader, Slice *ret_line);
// What is left at the end of the stream: a last line without an end (NDJSON allows it).
Slice sse_reader_rest(SseReader *reader);

#endif
