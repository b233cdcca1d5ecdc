#include "net/sse_read.h"

SseReader sse_reader(size_t max)
{
    return (SseReader){
        // Room for an event without its end beside the piece that brings it.
        .in = buf_create(2 * max), .event = buf_create(max), .data = buf_create(max),
        .id = buf_create(max),     .retry_ms = -1,
    };
}

void sse_reader_done(SseReader *reader)
{
    buf_done(&reader->in);
    buf_done(&reader->event);
    buf_done(&reader->data);
    buf_done(&reader->id);
}

int sse_reader_push(SseReader *reader, Slice bytes, Err *e)
{
    if (reader->at > 0) {
        // Once a push, so that many small events in one piece move their bytes once.
        buf_consume(&reader->in, reader->at);
        reader->seen -= reader->at;
        reader->at = 0;
    }
    buf_append(&reader->in, bytes);
    if (reader->in.overflowed || reader->data.overflowed || reader->event.overflowed ||
        reader->id.overflowed) {
        return err_set(e, ERR_LIMIT, "one event of the stream is larger than %zu bytes",
                       reader->data.max);
    }
    return 0;
}

static bool skip_mark(SseReader *reader)
{
    static const char MARK[] = "\xEF\xBB\xBF";
    Slice in = buf_slice(&reader->in);
    size_t have = in.len < 3 ? in.len : 3;
    if (have == 0 || (have < 3 && memcmp(in.ptr, MARK, have) == 0)) {
        return false; // may still become one
    }
    if (have == 3 && memcmp(in.ptr, MARK, 3) == 0) {
        reader->at = reader->seen = 3;
    }
    reader->started = true;
    return true;
}

bool sse_reader_line(SseReader *reader, Slice *ret_line)
{
    if (!reader->started && !skip_mark(reader)) {
        return false;
    }
    Slice in = buf_slice(&reader->in);
    if (reader->skip_lf && reader->at < in.len) {
        reader->at += in.ptr[reader->at] == '\n';
        reader->seen = reader->seen < reader->at ? reader->at : reader->seen;
        reader->skip_lf = false;
    }
    size_t end = reader->seen;
    while (end < in.len && in.ptr[end] != '\n' && in.ptr[end] != '\r') {
        end++;
    }
    reader->seen = end;
    if (end == in.len) {
        return false;
    }
    *ret_line = slice_sub(in, reader->at, end - reader->at);
    reader->skip_lf = in.ptr[end] == '\r';
    reader->at = reader->seen = end + 1;
    return true;
}

Slice sse_reader_rest(SseReader *reader)
{
    Slice in = buf_slice(&reader->in);
    size_t from = reader->at;
    if (reader->skip_lf && from < in.len && in.ptr[from] == '\n') {
        from++;
    }
    return slice_sub(in, from, in.len - from);
}

static void take_field(SseReader *reader, Slice line)
{
    Slice name, value;
    (void)slice_cut(line, ':', &name, &value);
    if (value.len > 0 && value.ptr[0] == ' ') {
        value = slice_sub(value, 1, value.len - 1);
    }
    int64_t ms;
    if (slice_eq(name, SLICE("data"))) {
        buf_append(&reader->data, value);
        buf_putc(&reader->data, '\n');
        reader->has_data = true;
    } else if (slice_eq(name, SLICE("event"))) {
        buf_reset(&reader->event);
        buf_append(&reader->event, value);
    } else if (slice_eq(name, SLICE("id")) && slice_find_byte(value, '\0') < 0) {
        buf_reset(&reader->id);
        buf_append(&reader->id, value);
    } else if (slice_eq(name, SLICE("retry")) && slice_to_i64(value, &ms) == 0 && ms >= 0) {
        reader->retry_ms = ms;
    }
}

static void begin_event(SseReader *reader)
{
    buf_reset(&reader->data);
    buf_reset(&reader->event);
    reader->has_data = reader->given = false;
}

bool sse_reader_next(SseReader *reader, SseReadEvent *ret_event)
{
    if (reader->given) {
        begin_event(reader);
    }
    Slice line;
    while (sse_reader_line(reader, &line)) {
        if (line.len == 0 && !reader->has_data) {
            begin_event(reader); // an event without data is none (9.2.6, step 2)
        } else if (line.len == 0) {
            reader->given = true;
            Slice data = {reader->data.data, reader->data.len - 1}; // without the last newline
            *ret_event = (SseReadEvent){buf_slice(&reader->event), data, buf_slice(&reader->id)};
            return true;
        } else if (line.ptr[0] == ':') {
            reader->comments++;
        } else {
            take_field(reader, line);
        }
        if (reader->data.overflowed) {
            return false; // the next push says so
        }
    }
    return false;
}
