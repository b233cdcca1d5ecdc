#include "llm/fake_dist.h"

#include <math.h>

#include "base/units.h"
#include "os/file.h"

enum { FILE_BYTES_MAX = 4 << 20, PRINTED_VALUES_MAX = 16 };

// The 95th percentile of the standard normal distribution.
static const double Z95 = 1.6448536269514722;

static int read_value(Slice text, bool durations, int64_t *ret_value, Err *e)
{
    text = slice_trim(text);
    if (durations) {
        return duration_parse(text, 0, ret_value, e);
    }
    int rc = slice_to_i64(text, ret_value);
    if (rc != 0 || *ret_value < 0) {
        return err_set(e, ERR_ARG, "\"%.*s\" is no whole number from 0", SLICE_FMT(text));
    }
    return 0;
}

static int read_two(Slice text, FakeDist *d, Err *e)
{
    Slice first, second;
    if (!slice_cut(text, ',', &first, &second)) {
        return err_set(e, ERR_ARG, "two values parted by a comma are wanted, not \"%.*s\"",
                       SLICE_FMT(text));
    }
    int rc = read_value(first, d->durations, &d->a, e);
    if (rc == 0) {
        rc = read_value(second, d->durations, &d->b, e);
    }
    if (rc == 0 && d->b < d->a) {
        rc =
            err_set(e, ERR_ARG, "the second value of \"%.*s\" is below the first", SLICE_FMT(text));
    }
    if (rc == 0 && d->kind == FAKE_DIST_LOGNORMAL && d->a == 0) {
        rc = err_set(e, ERR_ARG, "the median of a lognormal distribution cannot be 0");
    }
    return rc;
}

static int read_values(Arena *arena, Slice text, char separator, FakeDist *d, Err *e)
{
    size_t places = 1;
    for (size_t i = 0; i < text.len; i++) {
        places += text.ptr[i] == separator;
    }
    if (places > FAKE_DIST_VALUES_MAX + 1 || places * sizeof *d->values > arena_left(arena) / 2) {
        return err_set(e, ERR_LIMIT, "more than %d values", FAKE_DIST_VALUES_MAX);
    }
    int64_t *values = ARENA_ARRAY(arena, int64_t, places);
    size_t count = 0;
    for (bool more = true; more;) {
        Slice one;
        more = slice_cut(text, separator, &one, &text);
        if (slice_trim(one).len == 0) {
            continue; // the end of a file's last line
        }
        int rc = read_value(one, d->durations, &values[count], e);
        if (rc != 0) {
            return rc;
        }
        count++;
    }
    if (count == 0) {
        return err_set(e, ERR_ARG, "an empirical distribution needs a value");
    }
    if (count > FAKE_DIST_VALUES_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d values", FAKE_DIST_VALUES_MAX);
    }
    d->values = values;
    d->count = count;
    return 0;
}

static int read_file(Arena *arena, Slice path, FakeDist *d, Err *e)
{
    Buf text = buf_create(FILE_BYTES_MAX);
    int rc = file_read(arena_cstr(arena, path), &text, e);
    if (rc == 0) {
        rc = read_values(arena, buf_slice(&text), '\n', d, e);
    }
    buf_done(&text);
    return rc;
}

static int read_empirical(Arena *arena, Slice text, bool files, FakeDist *d, Err *e)
{
    if (text.len == 0 || text.ptr[0] != '@') {
        return read_values(arena, text, ',', d, e);
    }
    if (!files) {
        return err_set(e, ERR_REFUSED, "a file of values may be named at the start only");
    }
    return read_file(arena, slice_sub(text, 1, text.len), d, e);
}

int fake_dist_parse(Arena *arena, Slice text, bool durations, bool files, FakeDist *ret_dist,
                    Err *e)
{
    FakeDist d = {.durations = durations};
    Slice kind, rest;
    int rc = 0;
    if (!slice_cut(text, ':', &kind, &rest)) {
        rc = read_value(text, durations, &d.a, e);
    } else if (slice_eq_cstr(kind, "uniform")) {
        d.kind = FAKE_DIST_UNIFORM;
        rc = read_two(rest, &d, e);
    } else if (slice_eq_cstr(kind, "lognormal")) {
        d.kind = FAKE_DIST_LOGNORMAL;
        rc = read_two(rest, &d, e);
    } else if (slice_eq_cstr(kind, "empirical")) {
        d.kind = FAKE_DIST_EMPIRICAL;
        rc = read_empirical(arena, rest, files, &d, e);
    } else {
        rc = err_set(e, ERR_ARG,
                     "no distribution \"%.*s\"; there is a plain value, uniform:A,B, "
                     "lognormal:MEDIAN,P95 and empirical:A,B,...",
                     SLICE_FMT(kind));
    }
    if (rc == 0) {
        *ret_dist = d;
    }
    return rc;
}

static int64_t sample_lognormal(const FakeDist *d, Rng *rng)
{
    double mu = log((double)d->a);
    double sigma = (log((double)d->b) - mu) / Z95;
    double value = rng_lognormal(rng, mu, sigma);
    return value < 9e18 ? (int64_t)value : INT64_MAX;
}

int64_t fake_dist_sample(const FakeDist *d, Rng *rng)
{
    switch (d->kind) {
    case FAKE_DIST_FIXED: return d->a;
    case FAKE_DIST_UNIFORM: return rng_between(rng, d->a, d->b);
    case FAKE_DIST_LOGNORMAL: return sample_lognormal(d, rng);
    case FAKE_DIST_EMPIRICAL: return d->values[rng_below(rng, d->count)];
    }
    return 0;
}

static void print_value(const FakeDist *d, int64_t value, Buf *out)
{
    if (d->durations) {
        char text[UNITS_TEXT_MAX];
        duration_format(value, text);
        buf_puts(out, text);
    } else {
        buf_printf(out, "%lld", (long long)value);
    }
}

void fake_dist_print(const FakeDist *d, Buf *out)
{
    static const char *const prefixes[] = {"", "uniform:", "lognormal:", "empirical:"};
    buf_puts(out, prefixes[d->kind]);
    if (d->kind == FAKE_DIST_EMPIRICAL && d->count > PRINTED_VALUES_MAX) {
        buf_printf(out, "(%zu values)", d->count);
        return;
    }
    if (d->kind == FAKE_DIST_EMPIRICAL) {
        for (size_t i = 0; i < d->count; i++) {
            buf_puts(out, i ? "," : "");
            print_value(d, d->values[i], out);
        }
        return;
    }
    print_value(d, d->a, out);
    if (d->kind != FAKE_DIST_FIXED) {
        buf_putc(out, ',');
        print_value(d, d->b, out);
    }
}
