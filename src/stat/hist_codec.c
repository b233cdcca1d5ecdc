// The bytes of a histogram, version 1:
//
//     'H'  version  varint infinite  varint n
//     and when n > 0:
//     zigzag min    varint (max - min)    varint (sum - count * min)    n times: varint gap, varint
//     count
//
// where n is the number of buckets that are not empty, gap the distance of a bucket's number from
// the one before (of the first: its number), and varints are LEB128 of up to 128 bits. The count is
// the sum of the counts and is not written. All differences are unsigned by construction, which
// keeps the sum short for latencies and leaves fewer ways to be wrong.
//
// The decoder accepts exactly what the encoder writes: shortest varints, gaps of at least one,
// minimum and maximum inside the outermost buckets, a sum that such buckets can have. So one
// histogram has one encoding and a hash over it means something; the fuzz target relies on it.
#include <string.h>

#include "stat/hist.h"

typedef unsigned __int128 Wide;

enum {
    MAGIC = 'H',
    VARINT_BYTES_MAX = 19 // ceil(128 / 7)
};

static void put_varint(Buf *out, Wide value)
{
    char bytes[VARINT_BYTES_MAX];
    size_t n = 0;
    while (value >= 0x80) {
        bytes[n++] = (char)((unsigned char)(value & 0x7f) | 0x80);
        value >>= 7;
    }
    bytes[n++] = (char)(unsigned char)value;
    buf_append(out, (Slice){bytes, n});
}

void hist_encode(const Hist *h, Buf *out)
{
    HistBucket b;
    unsigned used = 0;
    for (HistIter it = hist_iter(h); hist_next(&it, &b);) {
        used++;
    }
    buf_putc(out, MAGIC);
    buf_putc(out, HIST_VERSION);
    put_varint(out, h->infinite);
    put_varint(out, used);
    if (used == 0) {
        return;
    }
    put_varint(out, ((uint64_t)h->min << 1) ^ (uint64_t)(h->min >> 63));
    put_varint(out, (uint64_t)h->max - (uint64_t)h->min);
    put_varint(out, (Wide)(h->sum - (HistSum)h->count * h->min));
    unsigned before = 0;
    for (HistIter it = hist_iter(h); hist_next(&it, &b);) {
        unsigned number = hist_bucket_number(b.low);
        put_varint(out, number - before);
        put_varint(out, b.count);
        before = number;
    }
}

typedef struct Reader {
    const unsigned char *at;
    const unsigned char *end;
    const char *fault; // the first thing that was wrong; later reads give 0
} Reader;

static void fault(Reader *r, const char *what)
{
    if (r->fault == NULL) {
        r->fault = what;
        r->at = r->end;
    }
}

// A varint of at most `max`; 0 and a fault otherwise.
static Wide get_varint(Reader *r, Wide max, const char *what)
{
    Wide value = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX && r->at < r->end; i++) {
        unsigned char byte = *r->at++;
        // The nineteenth byte has room for two bits.
        if (i == VARINT_BYTES_MAX - 1 && byte > 3) {
            break;
        }
        value |= (Wide)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            if ((byte == 0 && i > 0) || value > max) {
                break;
            }
            return value;
        }
    }
    fault(r, what);
    return 0;
}

// Smallest and largest sum that the buckets, the minimum and the maximum allow.
typedef struct SumRange {
    HistSum low;
    HistSum high;
} SumRange;

// One bucket's share of the range. The extremes are one value each; every other value of their
// buckets is only known to lie between the bucket's bounds, cut by minimum and maximum.
static void range_add(SumRange *range, const HistBucket *b, int64_t min, int64_t max)
{
    int64_t low = b->low < min ? min : b->low;
    int64_t high = b->high > max ? max : b->high;
    HistSum n = (HistSum)b->count;
    range->low += n * low;
    range->high += n * high;
    if (b->low <= max && max <= b->high) {
        range->low += (HistSum)max - low;
    }
    if (b->low <= min && min <= b->high) {
        range->high -= (HistSum)high - min;
    }
}

static void read_buckets(Reader *r, Hist *h, unsigned used, int64_t min, int64_t max,
                         SumRange *ret_range)
{
    unsigned number = 0;
    uint64_t total = 0;
    HistBucket b = {0};
    for (unsigned i = 0; i < used && r->fault == NULL; i++) {
        unsigned gap = (unsigned)get_varint(r, HIST_BUCKETS - 1 - number, "a bucket number");
        uint64_t count = (uint64_t)get_varint(r, HIST_COUNT_MAX - total, "a count");
        number += gap;
        if ((i > 0 && gap == 0) || count == 0) {
            fault(r, "an empty or repeated bucket");
        }
        if (r->fault != NULL) {
            return;
        }
        b = hist_bucket_at(number);
        b.count = count;
        if ((i == 0 && (min < b.low || min > b.high)) ||
            (i + 1 == used && (max < b.low || max > b.high))) {
            fault(r, "a minimum or maximum outside its bucket");
            return;
        }
        total += count;
        hist_record_n(h, b.low, count);
        range_add(ret_range, &b, min, max);
    }
}

static void read_values(Reader *r, Hist *h, unsigned used)
{
    uint64_t zigzag = (uint64_t)get_varint(r, UINT64_MAX, "the minimum");
    int64_t min = (int64_t)((zigzag >> 1) ^ (0 - (zigzag & 1)));
    uint64_t span = (uint64_t)INT64_MAX - (uint64_t)min;
    int64_t max = (int64_t)((uint64_t)min + (uint64_t)get_varint(r, span, "the maximum"));
    Wide above_min = get_varint(r, (Wide)HIST_COUNT_MAX << 64, "the sum");
    SumRange range = {0};
    read_buckets(r, h, used, min, max, &range);
    if (r->fault != NULL) {
        return;
    }
    HistSum sum = (HistSum)above_min + (HistSum)h->count * min;
    if ((h->count == 1 && min != max) || sum < range.low || sum > range.high) {
        fault(r, "a sum that these buckets cannot have");
        return;
    }
    h->min = min;
    h->max = max;
    h->sum = sum;
}

int hist_decode(Hist *h, Slice bytes, Err *e)
{
    hist_reset(h);
    if (bytes.len < 2 || bytes.ptr[0] != MAGIC || bytes.len > HIST_ENCODED_MAX) {
        return err_set(e, ERR_CORRUPT, "these %zu bytes are not a histogram", bytes.len);
    }
    unsigned version = (unsigned char)bytes.ptr[1];
    if (version > HIST_VERSION) {
        return err_set(e, ERR_VERSION, "histogram of format %u; this program reads up to %d",
                       version, HIST_VERSION);
    }
    const unsigned char *data = (const unsigned char *)bytes.ptr;
    Reader r = {data + 2, data + bytes.len, version == 0 ? "the version" : NULL};
    uint64_t infinite = (uint64_t)get_varint(&r, HIST_COUNT_MAX, "the number of failures");
    unsigned used = (unsigned)get_varint(&r, HIST_BUCKETS, "the number of buckets");
    if (used > 0) {
        read_values(&r, h, used);
    }
    if (r.fault == NULL && r.at != r.end) {
        fault(&r, "the end: bytes follow it");
    }
    if (r.fault != NULL) {
        hist_reset(h);
        return err_set(e, ERR_CORRUPT, "damaged histogram: wrong in %s", r.fault);
    }
    h->infinite = infinite;
    return 0;
}
