#include "base/units.h"

#include <inttypes.h>
#include <math.h>

typedef struct Unit {
    const char *name;
    int64_t factor;
} Unit;

// Longer names before their beginnings: "ms" before "m".
static const Unit DURATION_UNITS[] = {
    {"ns", 1},
    {"us", NS_PER_US},
    {"\xC2\xB5s", NS_PER_US}, // U+00B5, the micro sign
    {"\xCE\xBCs", NS_PER_US}, // U+03BC, the Greek letter
    {"ms", NS_PER_MS},
    {"s", NS_PER_SECOND},
    {"m", NS_PER_MINUTE},
    {"h", NS_PER_HOUR},
    {"d", NS_PER_DAY},
    {NULL, 0},
};

static const Unit SIZE_UNITS[] = {
    {"KiB", INT64_C(1) << 10},
    {"MiB", INT64_C(1) << 20},
    {"GiB", INT64_C(1) << 30},
    {"TiB", INT64_C(1) << 40},
    {"kB", 1000},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", INT64_C(1000000000000)},
    {"B", 1},
    {NULL, 0},
};

static const Unit COUNT_UNITS[] = {
    {"k", 1000},
    {"M", 1000000},
    {"G", 1000000000},
    {NULL, 0},
};

// Fraction digits beyond these cannot change the result: the largest factor is below 10^14.
enum { FRACTION_DIGITS = 18 };
static const int64_t FRACTION_ONE = INT64_C(1000000000000000000);

typedef struct Decimal {
    int64_t whole;
    int64_t fraction; // in units of 1 / FRACTION_ONE
} Decimal;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Digits with an optional fraction at the front of *s, which moves behind them.
static int take_decimal(Slice *s, Decimal *ret_number)
{
    size_t at = 0, digits = 0;
    int64_t whole = 0, fraction = 0, scale = FRACTION_ONE;
    bool too_large = false;
    for (; at < s->len && is_digit(s->ptr[at]); at++, digits++) {
        too_large = too_large || __builtin_mul_overflow(whole, 10, &whole) ||
                    __builtin_add_overflow(whole, s->ptr[at] - '0', &whole);
    }
    if (at < s->len && s->ptr[at] == '.') {
        for (at++; at < s->len && is_digit(s->ptr[at]); at++, digits++) {
            scale /= 10;
            fraction += scale * (s->ptr[at] - '0');
        }
    }
    if (digits == 0) {
        return ERR_PARSE;
    }
    *s = slice_sub(*s, at, s->len);
    *ret_number = (Decimal){whole, fraction};
    return too_large ? ERR_LIMIT : 0;
}

static int64_t take_unit(Slice *s, const Unit *units)
{
    for (; units->name; units++) {
        Slice name = slice_from_cstr(units->name);
        if (slice_starts_with(*s, name)) {
            *s = slice_sub(*s, name.len, s->len);
            return units->factor;
        }
    }
    return 0;
}

// *total += number * factor. The fraction is cut to whole units as Go does it; the thousandth added
// before stands for the rounding of Go's double, so that 0.333...h is twenty minutes there and
// here.
static int add_scaled(int64_t *total, Decimal number, int64_t factor)
{
    __int128 fraction = (__int128)number.fraction * factor + FRACTION_ONE / 1000;
    int64_t whole = 0;
    if (__builtin_mul_overflow(number.whole, factor, &whole) ||
        __builtin_add_overflow(*total, whole, total) ||
        __builtin_add_overflow(*total, (int64_t)(fraction / FRACTION_ONE), total)) {
        return ERR_LIMIT;
    }
    return 0;
}

static int too_large(Err *e, const char *what, Slice text)
{
    return err_set(e, ERR_LIMIT, "%s \"%.*s\" is too large", what, SLICE_FMT(text));
}

static int not_a_duration(Err *e, Slice text)
{
    return err_set(e, ERR_PARSE,
                   "\"%.*s\" is not a duration; write it as in 90s, 1m30s, 1.5h or 500ms",
                   SLICE_FMT(text));
}

int duration_parse(Slice text, int64_t default_unit, int64_t *ret_ns, Err *e)
{
    Slice rest = text;
    int64_t total = 0;
    bool first = true;
    do {
        Decimal number = {0};
        int rc = take_decimal(&rest, &number);
        if (rc == ERR_PARSE) {
            return not_a_duration(e, text);
        }
        int64_t factor = take_unit(&rest, DURATION_UNITS);
        bool bare = factor == 0 && first && rest.len == 0;
        if (bare && number.whole == 0 && number.fraction == 0) {
            factor = NS_PER_SECOND;
        } else if (bare) {
            factor = default_unit;
        }
        if (factor == 0 && bare) {
            return err_set(e, ERR_PARSE, "duration \"%.*s\" has no unit; write %.*ss or %.*sms",
                           SLICE_FMT(text), SLICE_FMT(text), SLICE_FMT(text));
        }
        if (factor == 0) {
            return not_a_duration(e, text);
        }
        if (rc != 0 || add_scaled(&total, number, factor) != 0) {
            return too_large(e, "duration", text);
        }
        first = false;
    } while (rest.len > 0);
    *ret_ns = total;
    return 0;
}

// A number with at most one unit behind it.
static int parse_amount(Slice text, const Unit *units, const char *what, const char *example,
                        int64_t *ret_value, Err *e)
{
    Slice rest = text;
    Decimal number = {0};
    int64_t total = 0;
    int rc = take_decimal(&rest, &number);
    int64_t factor = rc == ERR_PARSE ? 0 : take_unit(&rest, units);
    if (rc != ERR_PARSE && factor == 0 && rest.len == 0 && number.fraction == 0) {
        factor = 1;
    }
    if (factor == 0 || rest.len > 0) {
        return err_set(e, ERR_PARSE, "\"%.*s\" is not a %s; write it as in %s", SLICE_FMT(text),
                       what, example);
    }
    if (rc != 0 || add_scaled(&total, number, factor) != 0) {
        return too_large(e, what, text);
    }
    *ret_value = total;
    return 0;
}

int size_parse(Slice text, int64_t *ret_bytes, Err *e)
{
    return parse_amount(text, SIZE_UNITS, "size", "512B, 64KiB or 10MB", ret_bytes, e);
}

int count_parse(Slice text, int64_t *ret_count, Err *e)
{
    return parse_amount(text, COUNT_UNITS, "count", "250, 10k or 2M", ret_count, e);
}

// The period: a duration, or a bare unit as in `100/m`.
static int parse_period(Slice text, int64_t *ret_ns)
{
    Slice rest = text;
    int64_t factor = take_unit(&rest, DURATION_UNITS);
    if (factor > 0 && rest.len == 0) {
        *ret_ns = factor;
        return 0;
    }
    int rc = duration_parse(text, 0, ret_ns, NULL);
    return rc == 0 && *ret_ns == 0 ? ERR_PARSE : rc;
}

int rate_parse(Slice text, int64_t default_per_ns, Rate *ret_rate, Err *e)
{
    Slice count, period;
    Rate rate = {.per_ns = default_per_ns};
    if (slice_cut(text, '/', &count, &period)) {
        rate.per_ns = 0;
        (void)parse_period(period, &rate.per_ns);
    } else if (default_per_ns == 0) {
        return err_set(e, ERR_PARSE, "rate \"%.*s\" has no period; write %.*s/s or %.*s/m",
                       SLICE_FMT(text), SLICE_FMT(text), SLICE_FMT(text));
    }
    Slice rest = count;
    Decimal unused = {0};
    // take_decimal checks the grammar, without sign and exponent; the value is a double's.
    if (rate.per_ns <= 0 || take_decimal(&rest, &unused) == ERR_PARSE || rest.len > 0 ||
        slice_to_f64(count, &rate.count) != 0) {
        return err_set(e, ERR_PARSE, "\"%.*s\" is not a rate; write it as in 2000/s or 5000/30s",
                       SLICE_FMT(text));
    }
    if (rate.count <= 0) {
        return err_set(e, ERR_PARSE, "rate \"%.*s\" must be above zero", SLICE_FMT(text));
    }
    *ret_rate = rate;
    return 0;
}

// value / unit with the decimals it needs, up to nine, without zeros at the end.
static int format_fraction(char *out, size_t room, uint64_t value, uint64_t unit, const char *name)
{
    int len = snprintf(out, room, "%" PRIu64, value / unit);
    uint64_t rest = value % unit;
    char *p = out + len;
    if (rest > 0) {
        *p++ = '.';
        while (rest > 0) {
            rest *= 10;
            *p++ = (char)('0' + rest / unit);
            rest %= unit;
        }
    }
    return (int)(p - out) + snprintf(p, room - (size_t)(p - out), "%s", name);
}

static uint64_t magnitude(int64_t value, char **out)
{
    if (value < 0) {
        *(*out)++ = '-';
        return -(uint64_t)value;
    }
    return (uint64_t)value;
}

size_t duration_format(int64_t ns, char out[UNITS_TEXT_MAX])
{
    char *p = out;
    char *const end = out + UNITS_TEXT_MAX;
    uint64_t left = magnitude(ns, &p);
    if (left < NS_PER_SECOND) {
        uint64_t unit = left >= NS_PER_MS ? NS_PER_MS : left >= NS_PER_US ? NS_PER_US : 1;
        const char *name = left == 0           ? "s"
                           : unit == NS_PER_MS ? "ms"
                           : unit == NS_PER_US ? "us"
                                               : "ns";
        p += format_fraction(p, (size_t)(end - p), left, unit, name);
        return (size_t)(p - out);
    }
    if (left >= NS_PER_HOUR) {
        p += snprintf(p, (size_t)(end - p), "%" PRIu64 "h", left / NS_PER_HOUR);
        left %= NS_PER_HOUR;
    }
    if (left >= NS_PER_MINUTE) {
        p += snprintf(p, (size_t)(end - p), "%" PRIu64 "m", left / NS_PER_MINUTE);
        left %= NS_PER_MINUTE;
    }
    if (left > 0) {
        p += format_fraction(p, (size_t)(end - p), left, NS_PER_SECOND, "s");
    }
    return (size_t)(p - out);
}

size_t rate_format(Rate rate, char out[UNITS_TEXT_MAX])
{
    for (const Unit *u = DURATION_UNITS; u->name; u++) {
        if (u->factor == rate.per_ns) {
            return (size_t)snprintf(out, UNITS_TEXT_MAX, "%.15g/%s", rate.count, u->name);
        }
    }
    char period[UNITS_TEXT_MAX];
    (void)duration_format(rate.per_ns, period);
    return (size_t)snprintf(out, UNITS_TEXT_MAX, "%.15g/%.24s", rate.count, period);
}

size_t size_format(int64_t bytes, char out[UNITS_TEXT_MAX])
{
    // The largest unit that divides the value, powers of 1024 first.
    const Unit *best = NULL;
    for (const Unit *u = SIZE_UNITS; u->name; u++) {
        bool binary = u->name[1] == 'i';
        if (bytes != 0 && bytes % u->factor == 0 && u->factor > 1 &&
            (!best || (u->factor > best->factor && (binary || best->name[1] != 'i')))) {
            best = u;
        }
    }
    return (size_t)snprintf(out, UNITS_TEXT_MAX, "%" PRId64 "%s",
                            best ? bytes / best->factor : bytes, best ? best->name : "B");
}

// Hundredths of `unit`, rounded half up; UINT64_MAX where they do not fit.
static uint64_t hundredths(uint64_t value, uint64_t unit)
{
    unsigned __int128 parts = ((unsigned __int128)value * 100 + unit / 2) / unit;
    return parts < UINT64_MAX ? (uint64_t)parts : UINT64_MAX;
}

static size_t format_minutes(uint64_t ns, char *out, size_t room)
{
    uint64_t seconds = (ns + NS_PER_SECOND / 2) / NS_PER_SECOND;
    uint64_t hours = seconds / 3600, minutes = seconds / 60 % 60;
    if (hours > 0) {
        return (size_t)snprintf(out, room, "%" PRIu64 "h%" PRIu64 "m%" PRIu64 "s", hours, minutes,
                                seconds % 60);
    }
    return (size_t)snprintf(out, room, "%" PRIu64 "m%" PRIu64 "s", minutes, seconds % 60);
}

size_t duration_format_short(int64_t ns, char out[UNITS_TEXT_MAX])
{
    static const struct {
        uint64_t unit;
        uint64_t below; // hundredths; from here on the next unit is used
        const char *name;
    } steps[] = {
        {1, 1000 * 100, "ns"},
        {NS_PER_US, 1000 * 100, "\xC2\xB5s"},
        {NS_PER_MS, 1000 * 100, "ms"},
        {NS_PER_SECOND, 60 * 100, "s"},
    };
    char *p = out;
    uint64_t value = magnitude(ns, &p);
    size_t room = UNITS_TEXT_MAX - (size_t)(p - out);
    if (value == 0) {
        return (size_t)snprintf(out, UNITS_TEXT_MAX, "0s");
    }
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        uint64_t parts = hundredths(value, steps[i].unit);
        if (parts < steps[i].below) {
            return (size_t)(p - out) + (size_t)format_fraction(p, room, parts, 100, steps[i].name);
        }
    }
    return (size_t)(p - out) + format_minutes(value, p, room);
}

size_t size_format_short(int64_t bytes, char out[UNITS_TEXT_MAX])
{
    static const char *const names[] = {"B", "kB", "MB", "GB", "TB"};
    char *p = out;
    uint64_t value = magnitude(bytes, &p);
    size_t room = UNITS_TEXT_MAX - (size_t)(p - out);
    uint64_t unit = 1;
    size_t i = 0;
    while (i + 1 < COUNT_OF(names) && hundredths(value, unit) >= 1000 * 100) {
        unit *= 1000;
        i++;
    }
    return (size_t)(p - out) +
           (size_t)format_fraction(p, room, hundredths(value, unit), 100, names[i]);
}
