#include "net/sse.h"

#include "net/server_conn.h"

static const int64_t HEARTBEAT_NS = 15 * NS_PER_S;

struct HttpSse {
    HttpReply *reply;
    Buf queue;   // for the next write
    Buf writing; // what the fiber is writing
    int64_t heartbeat_ns;
    Fiber *parked; // in sse_run
    bool finished;
    bool gone; // the client left
};

static void wake(HttpSse *sse)
{
    if (sse->parked) {
        fiber_resume(sse->parked);
    }
}

static void on_wake(void *ctx)
{
    HttpSse *sse = ctx;
    // What a client says on an event stream means nothing; only its end does.
    sse->gone = sse->gone || sse->reply->gone;
    wake(sse);
}

int sse_open(HttpReply *reply, const SseOptions *options, HttpSse **ret_sse, Err *e)
{
    int rc = http_reply_header(reply, SLICE("Cache-Control"), SLICE("no-store"), e);
    if (rc == 0) {
        rc = http_reply_begin(reply, 200, SLICE("text/event-stream"), e);
    }
    if (rc != 0) {
        return rc;
    }
    HttpSse *sse = mem_zalloc(sizeof *sse);
    size_t max = options->queue_max ? options->queue_max : SSE_QUEUE_MAX;
    sse->reply = reply;
    sse->queue = buf_create(max);
    sse->writing = buf_create(max);
    sse->heartbeat_ns = options->heartbeat_ns ? options->heartbeat_ns : HEARTBEAT_NS;
    reply->wake_fn = on_wake;
    reply->wake_ctx = sse;
    *ret_sse = sse;
    return 0;
}

static bool is_one_line(Slice s)
{
    return slice_find_byte(s, '\n') < 0 && slice_find_byte(s, '\r') < 0 &&
           slice_find_byte(s, '\0') < 0;
}

// A line break of any kind within the data begins another "data:" line.
static void append_data(Buf *out, Slice data)
{
    size_t from = 0;
    for (size_t i = 0; i <= data.len; i++) {
        if (i < data.len && data.ptr[i] != '\n' && data.ptr[i] != '\r') {
            continue;
        }
        buf_puts(out, "data: ");
        buf_append(out, slice_sub(data, from, i - from));
        buf_putc(out, '\n');
        if (i + 1 < data.len && data.ptr[i] == '\r' && data.ptr[i + 1] == '\n') {
            i++;
        }
        from = i + 1;
    }
}

int sse_send(HttpSse *sse, const SseEvent *event)
{
    if (sse->gone) {
        return ERR_CLOSED;
    }
    if (!is_one_line(event->event) || !is_one_line(event->id)) {
        return ERR_ARG;
    }
    Buf *out = &sse->queue;
    if (event->event.len > 0) {
        buf_puts(out, "event: ");
        buf_append(out, event->event);
        buf_putc(out, '\n');
    }
    if (event->id.len > 0) {
        buf_puts(out, "id: ");
        buf_append(out, event->id);
        buf_putc(out, '\n');
    }
    append_data(out, event->data);
    buf_putc(out, '\n');
    wake(sse);
    return out->overflowed ? ERR_LIMIT : 0;
}

void sse_finish(HttpSse *sse)
{
    sse->finished = true;
    wake(sse);
}

int sse_flush(HttpSse *sse, Err *e)
{
    while (sse->queue.len > 0 || sse->queue.overflowed) {
        if (sse->queue.overflowed) {
            return err_set(e, ERR_LIMIT, "the client reads events too slowly");
        }
        Buf full = sse->queue;
        sse->queue = sse->writing;
        sse->writing = full;
        buf_reset(&sse->queue);
        int rc = http_reply_write(sse->reply, buf_slice(&sse->writing), e);
        if (rc != 0) {
            sse->gone = sse->gone || rc == ERR_CLOSED;
            return rc;
        }
    }
    return 0;
}

int sse_run(HttpSse *sse, Err *e)
{
    const ServerConn *conn = sse->reply->conn;
    for (;;) {
        int rc = sse_flush(sse, e);
        if (rc != 0) {
            return rc;
        }
        if (sse->gone) {
            return err_set(e, ERR_CLOSED, "the client left");
        }
        if (sse->finished || conn->server->stopping) {
            return 0;
        }
        sse->parked = fiber_self();
        rc = fiber_park("events", clock_deadline(loop_clock(fiber_loop()), sse->heartbeat_ns));
        sse->parked = NULL;
        if (rc == ERR_TIMEOUT) {
            buf_puts(&sse->queue, ":\n\n"); // a comment, which keeps middle boxes awake
        } else if (rc != 0) {
            return err_set(e, rc, "cancelled");
        }
    }
}

void sse_close(HttpSse *sse)
{
    if (!sse) {
        return;
    }
    sse->reply->wake_fn = NULL;
    sse->reply->keep_alive = false; // clients reconnect; a fresh connection is cleaner
    buf_done(&sse->queue);
    buf_done(&sse->writing);
    free(sse);
}
