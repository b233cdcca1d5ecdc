// Readers of what benchmark programs print for people and pipes: go test -bench, METRIC lines,
// libtest's and criterion's "bencher" lines, Catch2's table. Other lines are passed over: a
// program's own output stands between them.
#include <math.h>
#include <string.h>

#include "base/attr.h"
#include "bench/harness_build.h"

// ---- go test -bench: "BenchmarkName-8   100   1234 ns/op   12 B/op", and "key: value" lines

typedef struct GoReader {
    HarnessBuild *b;
    Slice package;
} GoReader;

// The digits behind the last dash are GOMAXPROCS, which is left out when it is 1.
static int go_procs(Slice *name)
{
    size_t at = name->len;
    while (at > 0 && name->ptr[at - 1] >= '0' && name->ptr[at - 1] <= '9') {
        at--;
    }
    int64_t procs;
    Slice digits = slice_sub(*name, at, name->len);
    if (at < 2 || digits.len == 0 || digits.len > 5 || digits.ptr[0] == '0' ||
        name->ptr[at - 1] != '-' || slice_to_i64(digits, &procs) != 0) {
        return 0;
    }
    name->len = at - 1;
    return (int)procs;
}

static Slice go_metric(Slice unit)
{
    return slice_eq(unit, SLICE("sec/op"))      ? SLICE("time")
           : slice_eq(unit, SLICE("B/op"))      ? SLICE("bytes")
           : slice_eq(unit, SLICE("allocs/op")) ? SLICE("allocs")
           : slice_eq(unit, SLICE("B/s"))       ? SLICE("speed")
                                                : unit;
}

static void go_result(GoReader *r, Slice line)
{
    Slice word, unit;
    int64_t iterations;
    double value;
    HarnessKey key = {.package = r->package};
    (void)harness_word(&line, &word);
    key.name = slice_sub(word, strlen("Benchmark"), word.len);
    key.procs = go_procs(&key.name);
    if (!harness_word(&line, &word) || slice_to_i64(word, &iterations) != 0 || iterations < 1 ||
        key.name.len == 0) {
        return; // a benchmark's name alone, before its own output
    }
    while (harness_word(&line, &word) && harness_word(&line, &unit)) {
        if (slice_to_f64(word, &value) != 0) {
            return;
        }
        key.unit = harness_unit_go(harness_scratch(r->b), unit);
        key.metric = go_metric(key.unit.name);
        harness_add(r->b, &key, value);
    }
}

// "--- FAIL: BenchmarkX", "FAIL\tpackage [build failed]".
static void go_failure(GoReader *r, Slice line)
{
    static const Slice mark = SLICE_INIT("--- FAIL: ");
    Slice word;
    if (slice_starts_with(line, mark)) {
        line = slice_sub(line, mark.len, line.len);
        if (harness_word(&line, &word)) {
            harness_fail(r->b, word, "the benchmark failed");
        }
    } else if (slice_starts_with(line, SLICE("FAIL\t"))) {
        line = slice_sub(line, 5, line.len);
        if (harness_word(&line, &word)) {
            Slice why = slice_trim(line);
            harness_fail(r->b, word, "the package failed %.*s", SLICE_FMT(why));
        }
    }
}

static bool go_config(Slice line, const char *key, Slice *ret_value)
{
    Slice name, value;
    if (!slice_cut(line, ':', &name, &value) || !slice_eq_cstr(name, key)) {
        return false;
    }
    *ret_value = slice_trim(value);
    return true;
}

void harness_read_go(HarnessBuild *b, Slice text)
{
    GoReader r = {.b = b};
    Slice line;
    while (harness_line(&text, &line)) {
        if (slice_starts_with(line, SLICE("Benchmark"))) {
            go_result(&r, line);
        } else if (!go_config(line, "pkg", &r.package) && !go_config(line, "goos", &b->goos) &&
                   !go_config(line, "goarch", &b->goarch) && !go_config(line, "cpu", &b->cpu)) {
            go_failure(&r, slice_trim(line));
        }
    }
}

// ---- "METRIC name=value", the value with or without a unit behind it

void harness_read_metric(HarnessBuild *b, Slice text)
{
    static const Slice mark = SLICE_INIT("METRIC ");
    Slice line, name, rest;
    while (harness_line(&text, &line)) {
        line = slice_trim(line);
        if (!slice_starts_with(line, mark) ||
            !slice_cut(slice_sub(line, mark.len, line.len), '=', &name, &rest)) {
            continue;
        }
        rest = slice_trim(rest);
        size_t n = 0;
        while (n < rest.len && memchr("+-.0123456789eE", rest.ptr[n], 15)) {
            n++;
        }
        double value;
        Slice number = slice_sub(rest, 0, n), unit = slice_sub(rest, n, rest.len);
        HarnessKey key = {.name = slice_trim(name), .metric = SLICE("value")};
        if (key.name.len == 0) {
            continue;
        }
        if (slice_to_f64(number, &value) != 0) {
            harness_fail(b, key.name, "\"%.*s\" is no number", SLICE_FMT(slice_sub(rest, 0, 40)));
            continue;
        }
        key.unit = harness_unit(harness_scratch(b), unit);
        key.unit.higher_better =
            key.unit.known ? key.unit.higher_better : b->options->higher_better;
        harness_add(b, &key, value);
    }
}

// ---- "test name ... bench:       1,234 ns/iter (+/- 56)"

// Digits with commas between them, as libtest prints thousands.
static bool grouped_number(Slice text, double *ret_value)
{
    char digits[64];
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != ',') {
            if (n + 1 >= sizeof digits) {
                return false;
            }
            digits[n++] = text.ptr[i];
        }
    }
    return slice_to_f64((Slice){digits, n}, ret_value) == 0;
}

void harness_read_bencher(HarnessBuild *b, Slice text)
{
    static const Slice mark = SLICE_INIT(" bench:"), dots = SLICE_INIT("...");
    Slice line;
    while (harness_line(&text, &line)) {
        ptrdiff_t at = slice_find(line, mark);
        if (!slice_starts_with(line, SLICE("test ")) || at < 0) {
            continue;
        }
        Slice name = slice_trim(slice_sub(line, 5, (size_t)at - 5));
        Slice rest = slice_sub(line, (size_t)at + mark.len, line.len), number, unit;
        double value;
        if (slice_ends_with(name, dots)) {
            name = slice_trim(slice_sub(name, 0, name.len - dots.len));
        }
        if (name.len == 0 || !harness_word(&rest, &number) || !harness_word(&rest, &unit) ||
            !grouped_number(number, &value)) {
            continue;
        }
        // The "+/-" is the distance of two order statistics, no standard deviation: left out.
        HarnessKey key = {
            .name = name, .metric = SLICE("time"), .unit = harness_unit(harness_scratch(b), unit)};
        harness_add_summary(b, &key, value, NAN, 0);
    }
}

// ---- Catch2's console table: a line with the name, samples, iterations and estimate; a line with
// mean and its bounds; a line with the standard deviation and its bounds.

// "341.123 ns" and two more at the end of a line.
static bool three_times(Arena *arena, Slice line, double ret_seconds[3])
{
    Slice number, unit;
    for (int i = 0; i < 3; i++) {
        if (!harness_word(&line, &number) || !harness_word(&line, &unit) ||
            slice_to_f64(number, &ret_seconds[i]) != 0) {
            return false;
        }
        HarnessUnit u = harness_unit(arena, unit);
        if (!slice_eq(u.name, SLICE("sec/op"))) {
            return false;
        }
        ret_seconds[i] = harness_unit_scale(&u, ret_seconds[i]);
    }
    return slice_trim(line).len == 0;
}

// "fib 10     100     208     7.1968 ms": the name and the number of samples.
static bool catch2_head(Slice line, Slice *ret_name, int64_t *ret_samples)
{
    Slice words[4];
    line = slice_trim(line);
    for (int i = 3; i >= 0; i--) {
        size_t n = line.len;
        while (n > 0 && line.ptr[n - 1] != ' ') {
            n--;
        }
        words[i] = slice_sub(line, n, line.len);
        line = slice_trim(slice_sub(line, 0, n));
    }
    int64_t iterations;
    double estimate;
    *ret_name = line;
    return line.len > 0 && slice_to_i64(words[0], ret_samples) == 0 &&
           slice_to_i64(words[1], &iterations) == 0 && slice_to_f64(words[2], &estimate) == 0;
}

// What is known of the benchmark whose lines are being read.
typedef struct Catch2 {
    Slice name; // long names stand on lines of their own above the one with the numbers
    int64_t samples;
    double mean[3], deviation[3];
    int have; // lines with numbers read so far
} Catch2;

static void catch2_name(HarnessBuild *b, Catch2 *c, Slice part)
{
    part = slice_trim(part);
    if (part.len == 0 || part.ptr[0] == '-' || c->name.len > HARNESS_TEXT_MAX ||
        arena_left(b->scratch) < (1 << 20)) {
        c->name = (Slice){0};
        return;
    }
    c->name = arena_printf(b->scratch, "%.*s%s%.*s", SLICE_FMT(c->name), c->name.len > 0 ? " " : "",
                           SLICE_FMT(slice_sub(part, 0, HARNESS_TEXT_MAX)));
}

void harness_read_catch2(HarnessBuild *b, Slice text)
{
    Slice line, part;
    Catch2 c = {0};
    while (harness_line(&text, &line)) {
        if (c.have == 0 && catch2_head(line, &part, &c.samples)) {
            catch2_name(b, &c, part);
            c.have = 1;
        } else if (c.have == 1 && three_times(b->scratch, line, c.mean)) {
            c.have = 2;
        } else if (c.have == 2 && three_times(b->scratch, line, c.deviation)) {
            HarnessKey key = {
                .name = c.name, .metric = SLICE("time"), .unit = {SLICE("sec/op"), 1, false, true}};
            harness_add_summary(b, &key, c.mean[0], c.deviation[0], c.samples);
            c = (Catch2){0};
            (void)harness_scratch(b);
        } else {
            c.name = c.have == 0 ? c.name : (Slice){0};
            c.have = 0;
            catch2_name(b, &c, line);
            if (c.name.len == 0) {
                (void)harness_scratch(b);
            }
        }
    }
}
