#include "os/clock.h"

#include <assert.h>

static int64_t timespec_ns(clockid_t id)
{
    struct timespec ts;
    int rc = clock_gettime(id, &ts);
    assert(rc == 0);
    (void)rc;
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int64_t real_now(const Clock *clock)
{
    (void)clock;
    return timespec_ns(CLOCK_MONOTONIC);
}

static int64_t real_wall(const Clock *clock)
{
    (void)clock;
    return timespec_ns(CLOCK_REALTIME);
}

const Clock *clock_real(void)
{
    static const Clock real = {.now_ns = real_now, .wall_ns = real_wall};
    return &real;
}

static int64_t manual_now(const Clock *clock)
{
    return ((const ManualClock *)(const void *)clock)->now_ns; // its first member
}

static int64_t manual_wall(const Clock *clock)
{
    const ManualClock *manual = (const ManualClock *)(const void *)clock;
    return manual->now_ns + manual->wall_minus_now_ns;
}

void clock_manual_init(ManualClock *manual, int64_t now_ns, int64_t wall_ns)
{
    *manual = (ManualClock){
        .clock = {.now_ns = manual_now, .wall_ns = manual_wall},
        .now_ns = now_ns,
        .wall_minus_now_ns = wall_ns - now_ns,
    };
}

void clock_manual_advance(ManualClock *manual, int64_t by_ns)
{
    assert(by_ns >= 0);
    manual->now_ns += by_ns;
}

void clock_print_rfc3339(int64_t wall_ns, char out[CLOCK_RFC3339_MAX])
{
    time_t seconds = wall_ns / NS_PER_S;
    int fraction_ns = (int)(wall_ns % NS_PER_S);
    if (fraction_ns < 0) { // before 1970: the fraction counts from the second before
        seconds--;
        fraction_ns += NS_PER_S;
    }
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    (void)snprintf(out, CLOCK_RFC3339_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fraction_ns);
}

// Two or four digits at `at`; -1 when one of them is none.
static int digits(Slice text, size_t at, size_t count)
{
    int value = 0;
    for (size_t i = at; i < at + count; i++) {
        if (i >= text.len || text.ptr[i] < '0' || text.ptr[i] > '9') {
            return -1;
        }
        value = value * 10 + (text.ptr[i] - '0');
    }
    return value;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

// The date and time of day, without fraction and offset. A leap second (60) is taken as the first
// of the next minute, as POSIX time does.
static bool parse_fields(Slice text, struct tm *ret_tm)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    if (text.len < sizeof shape) {
        return false;
    }
    for (size_t i = 0; i < sizeof shape - 1; i++) {
        char c = text.ptr[i];
        char t = c == 't' || c == ' ' ? 'T' : c;
        if (shape[i] != 'd' && t != shape[i]) {
            return false;
        }
    }
    int year = digits(text, 0, 4);
    int month = digits(text, 5, 2);
    int day = digits(text, 8, 2);
    int hour = digits(text, 11, 2);
    int minute = digits(text, 14, 2);
    int second = digits(text, 17, 2);
    if (year < 0 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) ||
        hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) {
        return false;
    }
    *ret_tm = (struct tm){.tm_year = year - 1900,
                          .tm_mon = month - 1,
                          .tm_mday = day,
                          .tm_hour = hour,
                          .tm_min = minute,
                          .tm_sec = second};
    return true;
}

// ".123" at `*at`, moved past it.
static bool parse_fraction(Slice text, size_t *at, int64_t *ret_ns)
{
    *ret_ns = 0;
    if (*at >= text.len || text.ptr[*at] != '.') {
        return true;
    }
    size_t start = ++*at;
    int64_t unit = NS_PER_S / 10;
    for (int digit; (digit = digits(text, *at, 1)) >= 0; ++*at) {
        *ret_ns += digit * unit;
        unit /= 10;
    }
    return *at > start;
}

// "Z" or "+hh:mm", which must end the text.
static bool parse_offset(Slice text, size_t at, int64_t *ret_seconds)
{
    if (at + 1 == text.len && (text.ptr[at] == 'Z' || text.ptr[at] == 'z')) {
        *ret_seconds = 0;
        return true;
    }
    if (at + 6 != text.len || (text.ptr[at] != '+' && text.ptr[at] != '-') ||
        text.ptr[at + 3] != ':') {
        return false;
    }
    int hours = digits(text, at + 1, 2);
    int minutes = digits(text, at + 4, 2);
    *ret_seconds = (text.ptr[at] == '-' ? -60 : 60) * ((int64_t)hours * 60 + minutes);
    return hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60;
}

int clock_parse_rfc3339(Slice text, int64_t *ret_wall_ns, Err *e)
{
    struct tm tm;
    int64_t fraction_ns;
    int64_t offset_s;
    size_t at = 19;
    if (!parse_fields(text, &tm) || !parse_fraction(text, &at, &fraction_ns) ||
        !parse_offset(text, at, &offset_s)) {
        return err_set(e, ERR_PARSE, "'%.*s' is not an RFC 3339 time like 2026-11-20T09:30:00Z",
                       SLICE_FMT(text));
    }
    int64_t wall_ns;
    if (__builtin_mul_overflow(timegm(&tm) - offset_s, NS_PER_S, &wall_ns) ||
        __builtin_add_overflow(wall_ns, fraction_ns, &wall_ns)) {
        return err_set(e, ERR_LIMIT, "the time '%.*s' is outside the years 1678 to 2261",
                       SLICE_FMT(text));
    }
    *ret_wall_ns = wall_ns;
    return 0;
}

// Columns are fixed.
bool clock_parse_http_date(Slice text, int64_t *ret_wall_ns)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t day, year, hour, minute, second, month = -1;
    if (text.len != 29 || !slice_ends_with(text, SLICE(" GMT")) ||
        slice_to_i64(slice_sub(text, 5, 2), &day) != 0 ||
        slice_to_i64(slice_sub(text, 12, 4), &year) != 0 ||
        slice_to_i64(slice_sub(text, 17, 2), &hour) != 0 ||
        slice_to_i64(slice_sub(text, 20, 2), &minute) != 0 ||
        slice_to_i64(slice_sub(text, 23, 2), &second) != 0) {
        return false;
    }
    for (int i = 0; i < 12; i++) {
        if (memcmp(text.ptr + 8, months + 3 * (size_t)i, 3) == 0) {
            month = i;
        }
    }
    struct tm tm = {.tm_mday = (int)day,
                    .tm_mon = (int)month,
                    .tm_year = (int)year - 1900,
                    .tm_hour = (int)hour,
                    .tm_min = (int)minute,
                    .tm_sec = (int)second};
    time_t at = month < 0 ? -1 : timegm(&tm);
    return at >= 0 && !__builtin_mul_overflow((int64_t)at, NS_PER_S, ret_wall_ns);
}
