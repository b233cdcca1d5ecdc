#include "mcp/event_stream.h"

#include "base/units.h"

// A wait that a server may ask for; longer ones are cut (a peer must not park us for days).
static const int64_t RETRY_MS_MAX = 3600 * 1000;

EventStream event_stream_create(const EventStreamOptions *options)
{
    size_t max = options->event_bytes_max ? options->event_bytes_max : EVENT_STREAM_BYTES_MAX;
    EventStream s = {.options = *options, .retry_ns = -1};
    s.options.event_bytes_max = max;
    s.line = buf_create(EVENT_STREAM_FIELD_MAX);
    s.data = buf_create(max + 1);
    s.type = buf_create(EVENT_STREAM_FIELD_MAX);
    s.id = buf_create(EVENT_STREAM_FIELD_MAX);
    return s;
}

void event_stream_done(EventStream *s)
{
    buf_done(&s->line);
    buf_done(&s->data);
    buf_done(&s->type);
    buf_done(&s->id);
}

static int too_long(const EventStream *s, Err *e)
{
    return err_set(e, ERR_LIMIT, "an event of the stream is longer than %zu bytes",
                   s->options.event_bytes_max);
}

// Data of the current event: `first` where a data line begins behind another one.
static int take_data(EventStream *s, Slice piece, Err *e)
{
    if (piece.len > s->options.event_bytes_max - s->event_bytes) {
        return too_long(s, e);
    }
    s->event_bytes += piece.len;
    if (!s->options.data_fn) {
        buf_append(&s->data, piece);
        return 0;
    }
    bool first = !s->has_data;
    s->has_data = true;
    return s->options.data_fn(s->options.ctx, piece, first, e);
}

static int begin_data_line(EventStream *s, Err *e)
{
    s->in_data = true;
    if (s->has_data) {
        return take_data(s, SLICE("\n"), e);
    }
    if (s->options.data_fn) {
        return take_data(s, (Slice){"", 0}, e);
    }
    s->has_data = true;
    return 0;
}

static int end_event(EventStream *s, Err *e)
{
    int rc = 0;
    if (s->has_data) {
        StreamEvent event = {.type = s->type.len > 0 ? buf_slice(&s->type) : SLICE("message"),
                             .data = buf_slice(&s->data),
                             .id = buf_slice(&s->id)};
        rc = s->options.event_fn(s->options.ctx, &event, e);
    }
    s->has_data = false;
    s->event_bytes = 0;
    buf_reset(&s->data);
    buf_reset(&s->type);
    return rc;
}

static void set_retry(EventStream *s, Slice value)
{
    int64_t ms = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9') {
            return;
        }
        ms = ms > RETRY_MS_MAX ? ms : ms * 10 + (value.ptr[i] - '0');
    }
    if (value.len > 0) {
        s->retry_ns = (ms > RETRY_MS_MAX ? RETRY_MS_MAX : ms) * NS_PER_MS;
    }
}

// A complete line that is no data field.
static int take_field(EventStream *s, Err *e)
{
    Slice line = buf_slice(&s->line);
    if (s->line.overflowed) {
        return err_set(e, ERR_LIMIT, "a field of the event stream is longer than %d bytes",
                       EVENT_STREAM_FIELD_MAX);
    }
    Slice name;
    Slice value;
    (void)slice_cut(line, ':', &name, &value);
    if (value.len > 0 && value.ptr[0] == ' ') {
        value = slice_sub(value, 1, value.len);
    }
    if (slice_eq(name, SLICE("data"))) { // without a colon: an empty line of data
        int rc = begin_data_line(s, e);
        s->in_data = false;
        return rc;
    }
    if (slice_eq(name, SLICE("event"))) {
        buf_reset(&s->type);
        buf_append(&s->type, value);
    } else if (slice_eq(name, SLICE("id")) && slice_find_byte(value, '\0') < 0) {
        buf_reset(&s->id);
        buf_append(&s->id, value);
    } else if (slice_eq(name, SLICE("retry"))) {
        set_retry(s, value);
    }
    return 0; // comments and fields that the standard does not know
}

static int end_line(EventStream *s, Err *e)
{
    if (s->in_data) {
        s->in_data = false;
        return 0;
    }
    int rc = s->line.len == 0 && !s->line.overflowed ? end_event(s, e) : take_field(s, e);
    buf_reset(&s->line);
    return rc;
}

// Bytes inside a line. A data field is recognised by its first bytes and never collected in `line`.
static int take_piece(EventStream *s, Slice piece, Err *e)
{
    static const Slice DATA = SLICE_INIT("data:");
    int rc = 0;
    while (piece.len > 0 && !s->in_data && s->line.len <= DATA.len) {
        if (s->line.len == DATA.len && slice_eq(buf_slice(&s->line), DATA)) {
            piece = slice_sub(piece, piece.ptr[0] == ' ', piece.len);
            buf_reset(&s->line);
            rc = begin_data_line(s, e);
            if (rc != 0) {
                return rc;
            }
            break;
        }
        if (s->line.len == DATA.len) {
            break;
        }
        buf_putc(&s->line, piece.ptr[0]);
        piece = slice_sub(piece, 1, piece.len);
    }
    if (s->in_data) {
        return piece.len > 0 ? take_data(s, piece, e) : 0;
    }
    // A comment may be as long as it likes: keep-alives are comments.
    if (s->line.len == 0 || s->line.data[0] != ':') {
        buf_append(&s->line, piece);
    }
    return 0;
}

static Slice skip_mark(EventStream *s, Slice bytes)
{
    static const char MARK[3] = "\xEF\xBB\xBF";
    // The mark may come in pieces; `line` holds what of it was seen.
    while (!s->began && bytes.len > 0) {
        if (s->line.len < 3 && bytes.ptr[0] == MARK[s->line.len]) {
            buf_putc(&s->line, bytes.ptr[0]);
            bytes = slice_sub(bytes, 1, bytes.len);
            if (s->line.len == 3) {
                buf_reset(&s->line);
                s->began = true;
            }
        } else {
            s->began = true;
        }
    }
    return bytes;
}

int event_stream_feed(EventStream *s, Slice bytes, Err *e)
{
    bytes = skip_mark(s, bytes);
    while (bytes.len > 0) {
        if (s->skip_lf && bytes.ptr[0] == '\n') {
            bytes = slice_sub(bytes, 1, bytes.len);
            s->skip_lf = false;
            continue;
        }
        s->skip_lf = false;
        size_t n = 0;
        while (n < bytes.len && bytes.ptr[n] != '\n' && bytes.ptr[n] != '\r') {
            n++;
        }
        int rc = take_piece(s, slice_sub(bytes, 0, n), e);
        if (rc == 0 && n < bytes.len) {
            s->skip_lf = bytes.ptr[n] == '\r';
            // "data:" alone: the field was recognised, its value is empty.
            if (!s->in_data && slice_eq(buf_slice(&s->line), SLICE("data:"))) {
                buf_reset(&s->line);
                rc = begin_data_line(s, e);
            }
            rc = rc != 0 ? rc : end_line(s, e);
            n++;
        }
        if (rc != 0) {
            return rc;
        }
        bytes = slice_sub(bytes, n, bytes.len);
    }
    return 0;
}
