// Server-sent events (WHATWG HTML, section 9.2): a reply that goes on.
//
// Events are queued by anybody on the loop's thread and written by the handler's fiber. A client
// that does not keep up is cut off when its queue passes the ceiling, instead of eating memory or
// holding up the sender.
//
//     HttpSse *sse;
//     rc = sse_open(reply, &(SseOptions){0}, &sse, e);
//     ... make `sse` known to whoever has events: sse_send(sse, &event) ...
//     rc = sse_run(sse, e);       // writes and sends heartbeats until the end
//     ... forget `sse` ...
//     sse_close(sse);
//
// or, where the handler itself is the source: sse_send, sse_flush, sse_send, ..., sse_close.
#ifndef NET_SSE_H
#define NET_SSE_H

#include "net/server.h"

typedef struct HttpSse HttpSse;

typedef struct SseOptions {
    int64_t heartbeat_ns; // a comment line when nothing else was sent; 0: 15 s
    size_t queue_max;     // bytes waiting for the client; 0: 1 MiB
} SseOptions;

enum { SSE_QUEUE_MAX = 1 << 20 };

typedef struct SseEvent {
    Slice event; // empty: "message"
    Slice id;    // empty: none
    Slice data;  // may have several lines
} SseEvent;

// Begins the answer. Close it before the handler returns.
MUST_USE int sse_open(HttpReply *reply, const SseOptions *options, HttpSse **ret_sse, Err *e);
// Never parks. ERR_LIMIT when the client is too slow, and then for ever; ERR_CLOSED when it is
// gone; ERR_ARG for a line break in event or id.
MUST_USE int sse_send(HttpSse *sse, const SseEvent *event);
// Ends sse_run after what is queued has been written.
void sse_finish(HttpSse *sse);

// For the handler's fiber.
MUST_USE int sse_flush(HttpSse *sse, Err *e);
// 0 after sse_finish or when the server stops; ERR_CLOSED when the client left, ERR_LIMIT,
// ERR_TIMEOUT when it was too slow, ERR_CANCELLED.
MUST_USE int sse_run(HttpSse *sse, Err *e);
void sse_close(HttpSse *sse); // NULL is fine

#endif
