#include "report/words.h"

#include <math.h>

#include "base/units.h"

// Digits of `text` before the point in groups of three; the rest is copied.
static Slice group_digits(Arena *arena, const char *text)
{
    char out[64];
    size_t len = 0, digits = strspn(*text == '-' ? text + 1 : text, "0123456789");
    if (*text == '-') {
        out[len++] = *text++;
    }
    for (size_t i = 0; text[i] && len + 2 < sizeof out; i++) {
        if (i > 0 && i < digits && (digits - i) % 3 == 0) {
            out[len++] = ',';
        }
        out[len++] = text[i];
    }
    return arena_copy(arena, (Slice){out, len});
}

Slice words_number(Arena *arena, double value)
{
    if (!isfinite(value)) {
        return isnan(value) ? SLICE(WORDS_NONE)
               : value > 0  ? SLICE("\xE2\x88\x9E")
                            : SLICE("-\xE2\x88\x9E");
    }
    double size = fabs(value);
    char text[40];
    if (size >= 1e15) {
        return arena_printf(arena, "%.3g", value);
    }
    // The borders are where rounding would carry into a digit more: 99.96 is "100", not "100.0".
    int decimals = size >= 99.95 || size == 0 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3;
    if (size > 0 && size < 0.0995) {
        return arena_printf(arena, "%.3g", value);
    }
    (void)snprintf(text, sizeof text, "%.*f", decimals, value);
    return group_digits(arena, text);
}

Slice words_ms(Arena *arena, double ms)
{
    const char *unit = "ms";
    if (isfinite(ms) && fabs(ms) >= 999.5) {
        ms /= 1e3;
        unit = "s";
    } else if (isfinite(ms) && fabs(ms) > 0 && fabs(ms) < 0.9995) {
        ms *= 1e3;
        unit = "\xC2\xB5s";
    }
    if (!isfinite(ms)) {
        return words_number(arena, ms);
    }
    return arena_printf(arena, "%.*s %s", SLICE_FMT(words_number(arena, ms)), unit);
}

Slice words_count(Arena *arena, double count)
{
    if (!isfinite(count) || fabs(count) >= 1e15) {
        return words_number(arena, count);
    }
    char text[40];
    (void)snprintf(text, sizeof text, "%.0f", count);
    return group_digits(arena, text);
}

// A number with its unit, or the dash alone.
static Slice with_unit(Arena *arena, double value, const char *unit)
{
    Slice number = words_number(arena, value);
    return isnan(value) ? number : arena_printf(arena, "%.*s%s", SLICE_FMT(number), unit);
}

Slice words_rate(Arena *arena, double per_second)
{
    if (isfinite(per_second) && fabs(per_second) >= 99.95) {
        return arena_printf(arena, "%.*s/s", SLICE_FMT(words_count(arena, per_second)));
    }
    return with_unit(arena, per_second, "/s");
}

Slice words_share(Arena *arena, double share)
{
    return with_unit(arena, share * 100, " %");
}

Slice words_change(Arena *arena, double ratio)
{
    if (!isfinite(ratio)) {
        return words_number(arena, ratio);
    }
    return arena_printf(arena, "%+.1f %%", (ratio - 1) * 100);
}

Slice words_p(Arena *arena, double p)
{
    if (isnan(p)) {
        return SLICE(WORDS_NONE);
    }
    return p < 0.001 ? SLICE("<0.001") : arena_printf(arena, "%.3f", p);
}

Slice words_bytes(Arena *arena, double bytes)
{
    static const char *const units[] = {" B", " kB", " MB", " GB", " TB"};
    size_t unit = 0;
    while (fabs(bytes) >= 999.5 && unit + 1 < COUNT_OF(units) && isfinite(bytes)) {
        bytes /= 1000;
        unit++;
    }
    return with_unit(arena, bytes, units[unit]);
}

Slice words_time(Arena *arena, int64_t unix_ns)
{
    if (unix_ns <= 0) {
        return SLICE(WORDS_NONE);
    }
    time_t seconds = (time_t)(unix_ns / NS_PER_SECOND);
    struct tm tm;
    char text[64];
    if (!gmtime_r(&seconds, &tm) ||
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0) {
        return SLICE(WORDS_NONE);
    }
    return arena_copy(arena, slice_from_cstr(text));
}

Slice words_duration(Arena *arena, int64_t ns)
{
    if (ns <= 0) {
        return SLICE(WORDS_NONE);
    }
    char text[UNITS_TEXT_MAX];
    size_t len = duration_format_short(ns, text);
    return arena_copy(arena, (Slice){text, len});
}

Slice words_second(Arena *arena, double seconds)
{
    if (!isfinite(seconds)) {
        return SLICE(WORDS_NONE);
    }
    if (seconds < 60) {
        return arena_printf(arena, "%.6g s", seconds);
    }
    long long whole = (long long)seconds;
    if (whole < 3600) {
        return arena_printf(arena, "%lld:%02lld", whole / 60, whole % 60);
    }
    return arena_printf(arena, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
}

Slice words_value(Arena *arena, double value, Slice unit, bool is_share)
{
    if (is_share) {
        return words_share(arena, value);
    }
    if (slice_eq(unit, SLICE("ms"))) {
        return words_ms(arena, value);
    }
    if (slice_eq(unit, SLICE("/s"))) {
        return words_rate(arena, value);
    }
    if (slice_eq(unit, SLICE("bytes"))) {
        return words_bytes(arena, value);
    }
    Slice number = words_number(arena, value);
    if (unit.len == 0 || isnan(value)) {
        return number;
    }
    return arena_printf(arena, "%.*s %.*s", SLICE_FMT(number), SLICE_FMT(unit));
}

static bool is_unbounded(Interval i)
{
    return !(isfinite(i.low) || isfinite(i.high));
}

Slice words_interval(Arena *arena, Interval interval, Slice unit, bool is_share)
{
    if (is_unbounded(interval)) {
        return (Slice){0};
    }
    return arena_printf(arena, "[%.*s, %.*s]",
                        SLICE_FMT(words_value(arena, interval.low, unit, is_share)),
                        SLICE_FMT(words_value(arena, interval.high, unit, is_share)));
}

Slice words_change_interval(Arena *arena, Interval ratio)
{
    if (is_unbounded(ratio)) {
        return (Slice){0};
    }
    return arena_printf(arena, "[%.*s, %.*s]", SLICE_FMT(words_change(arena, ratio.low)),
                        SLICE_FMT(words_change(arena, ratio.high)));
}

Slice words_status(RunStatus status)
{
    switch (status) {
    case RUN_RUNNING: return SLICE("still running");
    case RUN_COMPLETE: return SLICE("complete");
    case RUN_PARTIAL: return SLICE("partial: ended early");
    case RUN_ABORTED: return SLICE("aborted by a rule of the plan");
    case RUN_INVALID: return SLICE("invalid: the generator was the bottleneck");
    }
    return SLICE("unknown");
}
