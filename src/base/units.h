// Durations, rates, sizes and counts as people write them, both ways.
//
//     duration   1m30s  500ms  1.5h  2d      int64 nanoseconds, never negative when read
//     rate       2000/s  100/m  5000/30s     a count per a duration
//     size       10MB  64KiB  512B           int64 bytes; kB MB GB TB are powers of 1000
//     count      250  10k  2M                int64; k M G are powers of 1000
//
// Durations follow Go's grammar as k6 does, with `d` for 24 hours. A bare number is refused unless
// the caller names a default unit, because `30` has meant seconds in one tool and milliseconds in
// the next; 0 needs no unit. Nothing may surround or stand between the parts.
// Errors: ERR_PARSE, or ERR_LIMIT when the value does not fit.
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define NS_PER_US     INT64_C(1000)
#define NS_PER_MS     INT64_C(1000000)
#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MINUTE (60 * NS_PER_SECOND)
#define NS_PER_HOUR   (60 * NS_PER_MINUTE)
#define NS_PER_DAY    (24 * NS_PER_HOUR)

enum { UNITS_TEXT_MAX = 48 }; // room for any of the formatted texts below

typedef struct Rate {
    double count;   // > 0
    int64_t per_ns; // > 0
} Rate;

// `default_unit` is what a bare number counts in (NS_PER_SECOND, ...), 0 to refuse it. Digits below
// one nanosecond are cut, as in Go.
MUST_USE int duration_parse(Slice text, int64_t default_unit, int64_t *ret_ns, Err *e);
// `default_per_ns` is the period of a bare number, 0 to refuse it.
MUST_USE int rate_parse(Slice text, int64_t default_per_ns, Rate *ret_rate, Err *e);
// A bare number is bytes.
MUST_USE int size_parse(Slice text, int64_t *ret_bytes, Err *e);
MUST_USE int count_parse(Slice text, int64_t *ret_count, Err *e);

static inline double rate_per_second(Rate r)
{
    return r.count * (double)NS_PER_SECOND / (double)r.per_ns;
}

// Exact: what duration_parse, rate_parse and size_parse read back as the same value (rates whose
// count has up to 15 digits). "1m30s", "1.5ms", "5000/30s", "64KiB".
size_t duration_format(int64_t ns, char out[UNITS_TEXT_MAX]);
size_t rate_format(Rate rate, char out[UNITS_TEXT_MAX]);
size_t size_format(int64_t bytes, char out[UNITS_TEXT_MAX]);

// For people, as k6 prints them: two decimals at most, whole seconds from a minute on.
// "1.23ms", "15s", "2m3s"; "1.23MB".
size_t duration_format_short(int64_t ns, char out[UNITS_TEXT_MAX]);
size_t size_format_short(int64_t bytes, char out[UNITS_TEXT_MAX]);

#endif
