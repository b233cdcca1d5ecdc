// Durations, rates, sizes and counts: what is read prints to something that reads as the same
// value.
#include "base/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz units: %s", what);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Slice in = {(const char *)data, size};
    char text[UNITS_TEXT_MAX];
    int64_t value = 0, back = 0;
    Rate rate;
    Err e;
    if (duration_parse(in, NS_PER_SECOND, &value, &e) == 0) {
        Slice out = {text, duration_format(value, text)};
        require(value >= 0, "a negative duration");
        require(duration_parse(out, 0, &back, &e) == 0 && back == value, "duration");
        require(duration_format_short(value, text) < UNITS_TEXT_MAX, "short duration");
    }
    if (size_parse(in, &value, &e) == 0) {
        Slice out = {text, size_format(value, text)};
        require(size_parse(out, &back, &e) == 0 && back == value, "size");
        require(size_format_short(value, text) < UNITS_TEXT_MAX, "short size");
    }
    if (count_parse(in, &value, &e) == 0) {
        require(value >= 0, "a negative count");
    }
    if (rate_parse(in, NS_PER_SECOND, &rate, &e) == 0) {
        require(rate.count > 0 && rate.per_ns > 0, "a rate that is none");
        require(rate_format(rate, text) < UNITS_TEXT_MAX, "rate text");
    }
    return 0;
}
