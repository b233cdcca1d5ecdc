#include "telemetry/remote_write.h"

#include <snappy-c.h>

enum { LABEL_BYTES_MAX = 64 << 10, LENGTH_DELIMITED = 2, FIXED64 = 1, VARINT = 0 };

static void put_varint(Buf *out, uint64_t value)
{
    while (value >= 0x80) {
        buf_putc(out, (char)(0x80 | (value & 0x7f)));
        value >>= 7;
    }
    buf_putc(out, (char)value);
}

static void put_bytes(Buf *out, unsigned field, Slice bytes)
{
    put_varint(out, field << 3 | LENGTH_DELIMITED);
    put_varint(out, bytes.len);
    buf_append(out, bytes);
}

// message Label { string name = 1; string value = 2; } in TimeSeries.labels = 1
static void put_label(Buf *series, Slice name, Slice value)
{
    Buf label = buf_create(LABEL_BYTES_MAX);
    put_bytes(&label, 1, name);
    put_bytes(&label, 2, value);
    if (!label.overflowed) {
        put_bytes(series, 1, buf_slice(&label));
    }
    buf_done(&label);
}

// message Sample { double value = 1; int64 timestamp = 2; } in TimeSeries.samples = 2
static void put_sample(Buf *series, double value, int64_t unix_ms)
{
    char bytes[8];
    Buf sample = buf_create(64);
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(bits >> (8 * i)); // little-endian on every machine
    }
    put_varint(&sample, 1 << 3 | FIXED64);
    buf_append(&sample, (Slice){bytes, sizeof bytes});
    put_varint(&sample, 2 << 3 | VARINT);
    put_varint(&sample, (uint64_t)unix_ms);
    put_bytes(series, 2, buf_slice(&sample));
    buf_done(&sample);
}

typedef struct WireLabel {
    Slice name;
    Slice value;
} WireLabel;

// Into place by name; receivers want them sorted, and renaming may have changed the order.
static size_t insert(WireLabel *list, size_t count, WireLabel label)
{
    size_t at = count;
    while (at > 0 && slice_cmp(label.name, list[at - 1].name) < 0) {
        at--;
    }
    if (at > 0 && slice_eq(label.name, list[at - 1].name)) {
        return count;
    }
    memmove(&list[at + 1], &list[at], (count - at) * sizeof *list);
    list[at] = label;
    return count + 1;
}

void remote_write_add(Buf *message, Slice name, Labels labels, double value, int64_t unix_ms)
{
    WireLabel list[LABELS_MAX + 1];
    Buf names = buf_create(LABEL_BYTES_MAX);
    Buf series = buf_create(REMOTE_WRITE_BYTES_MAX);
    size_t count = insert(list, 0, (WireLabel){SLICE("__name__"), name});
    // Reserved at once, so that slices into it stay where they are.
    size_t bytes = 0;
    for (size_t i = 0; i < labels.count; i++) {
        bytes += labels.items[i].key.len + 1;
    }
    bool fits = labels.count <= LABELS_MAX && buf_reserve(&names, bytes + 1) != NULL;
    for (size_t i = 0; i < labels.count && fits; i++) {
        size_t start = names.len;
        for (size_t k = 0; k < labels.items[i].key.len; k++) {
            char c = labels.items[i].key.ptr[k];
            bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
            bool digit = c >= '0' && c <= '9';
            buf_puts(&names, digit && k == 0 ? "_" : "");
            buf_putc(&names, letter || digit ? c : '_');
        }
        Slice label = {names.data + start, names.len - start};
        if (label.len > 0 && labels.items[i].value.len > 0) {
            count = insert(list, count, (WireLabel){label, labels.items[i].value});
        }
    }
    for (size_t i = 0; i < count; i++) {
        put_label(&series, list[i].name, list[i].value);
    }
    put_sample(&series, value, unix_ms);
    if (series.overflowed || !fits) {
        message->overflowed = true;
    } else {
        put_bytes(message, 1, buf_slice(&series)); // WriteRequest.timeseries = 1
    }
    buf_done(&series);
    buf_done(&names);
}

int remote_write_compress(Slice message, Buf *body, Err *e)
{
    size_t len = snappy_max_compressed_length(message.len);
    char *at = buf_reserve(body, len);
    if (!at ||
        snappy_compress(message.ptr ? message.ptr : "", message.len, at, &len) != SNAPPY_OK) {
        return err_set(e, ERR_LIMIT, "a request for the metrics receiver is too large: %zu bytes",
                       message.len);
    }
    buf_commit(body, len);
    return 0;
}
