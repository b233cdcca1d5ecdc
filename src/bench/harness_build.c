#include "bench/harness_build.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_write.h"
#include "stat/sample.h"

enum { KEY_BYTES_MAX = 8192, WHY_BYTES_MAX = 300, SCRATCH_BYTES_MAX = 4 << 20 };

HarnessBuild harness_build_create(Arena *arena, const HarnessOptions *options)
{
    return (HarnessBuild){.arena = arena,
                          .scratch = arena_create(SCRATCH_BYTES_MAX),
                          .options = options,
                          .key = buf_create(KEY_BYTES_MAX),
                          .index = map_create(HARNESS_RESULTS_MAX, 0),
                          .failures = ARENA_ARRAY(arena, HarnessFailure, HARNESS_FAILURES_MAX)};
}

void harness_build_done(HarnessBuild *b)
{
    free(b->items);
    free(b->rows);
    map_done(&b->index);
    buf_done(&b->key);
    arena_destroy(b->scratch);
    b->scratch = NULL;
    b->items = NULL;
    b->rows = NULL;
    b->count = b->row_count = b->capacity = b->row_capacity = 0;
}

Arena *harness_scratch(HarnessBuild *b)
{
    if (arena_used(b->scratch) > SCRATCH_BYTES_MAX / 4) {
        arena_reset(b->scratch);
    }
    return b->scratch;
}

static bool is_blank(char c)
{
    return (unsigned char)c <= ' ' || c == 127;
}

// Names come from files that anybody may have written: cut to their ceiling, controls made blanks,
// blanks at both ends left out. Applied again it changes nothing: results are merged by name.
static Slice append_text(Buf *out, Slice text)
{
    size_t from = out->len, start = 0;
    while (start < text.len && is_blank(text.ptr[start])) {
        start++;
    }
    text = slice_sub(text, start, HARNESS_TEXT_MAX);
    while (text.len > 0 && is_blank(text.ptr[text.len - 1])) {
        text.len--;
    }
    for (size_t i = 0; i < text.len; i++) {
        buf_putc(out, is_blank(text.ptr[i]) ? ' ' : text.ptr[i]);
    }
    return (Slice){NULL, out->len - from};
}

static Slice copy_text(Arena *arena, Slice text)
{
    Buf out = buf_create(HARNESS_TEXT_MAX);
    (void)append_text(&out, text);
    Slice copy = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return copy;
}

// The texts of a key as they will be kept, one behind the other, so that two that are cut alike are
// one. Their lengths go to `len`.
enum { KEY_TEXTS = 5 };

static Slice key_text(HarnessBuild *b, const HarnessKey *key, size_t len[KEY_TEXTS])
{
    const Slice texts[KEY_TEXTS] = {key->name, key->package, key->params, key->metric,
                                    key->unit.name};
    buf_reset(&b->key);
    for (size_t i = 0; i < KEY_TEXTS; i++) {
        len[i] = append_text(&b->key, texts[i]).len;
        buf_putc(&b->key, '\n');
    }
    buf_printf(&b->key, "%d", key->procs);
    return buf_slice(&b->key);
}

static void add_result(HarnessBuild *b, const HarnessKey *key, Slice text,
                       const size_t len[KEY_TEXTS])
{
    Slice texts[KEY_TEXTS];
    size_t from = 0;
    for (size_t i = 0; i < KEY_TEXTS; i++) {
        texts[i] = slice_sub(text, from, len[i]);
        from += len[i] + 1;
    }
    if (b->count == b->capacity) {
        b->capacity = b->capacity ? 2 * b->capacity : 64;
        b->items = mem_realloc(b->items, b->capacity * sizeof b->items[0]);
    }
    b->items[b->count++] = (HarnessResult){.name = texts[0],
                                           .package = texts[1],
                                           .params = texts[2],
                                           .metric = texts[3],
                                           .unit = texts[4],
                                           .higher_better = key->unit.higher_better,
                                           .procs = key->procs,
                                           .mean = NAN,
                                           .sd = NAN};
}

// SIZE_MAX when there is no room.
static size_t result_of(HarnessBuild *b, const HarnessKey *key)
{
    size_t len[KEY_TEXTS];
    Slice text = key_text(b, key, len);
    void *found = map_get(&b->index, text);
    if (found) {
        return (size_t)(uintptr_t)found - 1;
    }
    if (arena_left(b->arena) < (size_t)2 * KEY_BYTES_MAX) {
        b->overflowed = true;
        return SIZE_MAX;
    }
    text = arena_copy(b->arena, text);
    if (map_put(&b->index, text, (void *)(uintptr_t)(b->count + 1)) != 0) { // NOLINT
        b->overflowed = true;
        return SIZE_MAX;
    }
    add_result(b, key, text, len);
    return b->count - 1;
}

static bool is_measurement(Slice unit, double value)
{
    // What took no time was not done, whatever else the program says.
    bool of_time = slice_eq(unit, SLICE("sec/op")) || slice_eq(unit, SLICE("ops/s"));
    return isfinite(value) && value >= 0 && !(of_time && value == 0);
}

static bool add_row(HarnessBuild *b, size_t result, double value)
{
    if (b->row_count == HARNESS_SAMPLES_MAX) {
        b->overflowed = true;
        return false;
    }
    if (b->row_count == b->row_capacity) {
        b->row_capacity = b->row_capacity ? 2 * b->row_capacity : 256;
        b->rows = mem_realloc(b->rows, b->row_capacity * sizeof b->rows[0]);
    }
    b->rows[b->row_count++] = (HarnessRow){(uint32_t)result, value};
    b->items[result].count++;
    return true;
}

void harness_add(HarnessBuild *b, const HarnessKey *key, double value)
{
    double scaled = harness_unit_scale(&key->unit, value);
    if (!is_measurement(key->unit.name, scaled)) {
        harness_fail(b, key->name, "%.*s of %g is no measurement", SLICE_FMT(key->metric), value);
        return;
    }
    size_t at = result_of(b, key);
    if (at == SIZE_MAX) {
        return;
    }
    HarnessResult *r = &b->items[at];
    if (r->count == 0 && !isnan(r->mean)) {
        (void)add_row(b, at, r->mean);
    }
    (void)add_row(b, at, scaled);
}

void harness_add_summary(HarnessBuild *b, const HarnessKey *key, double mean, double sd, int64_t n)
{
    double scaled = harness_unit_scale(&key->unit, mean);
    if (!is_measurement(key->unit.name, scaled)) {
        harness_fail(b, key->name, "%.*s of %g is no measurement", SLICE_FMT(key->metric), mean);
        return;
    }
    size_t at = result_of(b, key);
    if (at == SIZE_MAX) {
        return;
    }
    if (b->items[at].count > 0 || !isnan(b->items[at].mean)) {
        harness_add(b, key, mean);
        return;
    }
    double spread = harness_unit_scale(&key->unit, sd);
    b->items[at].mean = scaled;
    b->items[at].sd = isfinite(spread) && spread >= 0 ? spread : NAN;
    b->items[at].n = n > 0 ? n : 0;
}

void harness_fail(HarnessBuild *b, Slice name, const char *format, ...)
{
    if (b->failure_count == HARNESS_FAILURES_MAX || arena_left(b->arena) < KEY_BYTES_MAX) {
        return; // that some failed is known
    }
    char why[WHY_BYTES_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args);
    va_end(args);
    b->failures[b->failure_count++] =
        (HarnessFailure){copy_text(b->arena, name), copy_text(b->arena, slice_from_cstr(why))};
}

// Hands every result its samples, in the order they came.
static void spread_rows(HarnessBuild *b, HarnessResult *items)
{
    double **next = mem_alloc((b->count + 1) * sizeof *next);
    for (size_t i = 0; i < b->count; i++) {
        next[i] = items[i].count > 0 ? ARENA_ARRAY(b->arena, double, items[i].count) : NULL;
        items[i].samples = next[i];
    }
    for (size_t i = 0; i < b->row_count; i++) {
        *next[b->rows[i].result]++ = b->rows[i].value;
    }
    for (size_t i = 0; i < b->count; i++) {
        HarnessResult *r = &items[i];
        if (r->count > 0) {
            r->n = (int64_t)r->count;
            r->mean = sample_mean(r->samples, r->count);
            r->sd = r->count > 1 ? sqrt(sample_variance(r->samples, r->count)) : NAN;
        }
    }
    free(next);
}

int harness_build_give(HarnessBuild *b, HarnessKind kind, HarnessResults **ret_results, Err *e)
{
    int rc = 0;
    size_t bytes = b->count * sizeof(HarnessResult) + b->row_count * sizeof(double) + b->count * 32;
    if (b->overflowed || bytes + KEY_BYTES_MAX > arena_left(b->arena)) {
        rc = err_set(e, ERR_LIMIT, "more than %d benchmarks or %d samples", HARNESS_RESULTS_MAX,
                     HARNESS_SAMPLES_MAX);
    } else if (b->count == 0 && b->failure_count == 0) {
        rc = err_set(e, ERR_NOT_FOUND, "no benchmark result in it");
    } else {
        HarnessResults *results = ARENA_NEW(b->arena, HarnessResults);
        *results = (HarnessResults){.kind = kind,
                                    .items = ARENA_ARRAY(b->arena, HarnessResult, b->count + 1),
                                    .count = b->count,
                                    .failures = b->failures,
                                    .failure_count = b->failure_count,
                                    .goos = copy_text(b->arena, b->goos),
                                    .goarch = copy_text(b->arena, b->goarch),
                                    .cpu = copy_text(b->arena, b->cpu)};
        if (b->count > 0) {
            memcpy(results->items, b->items, b->count * sizeof b->items[0]);
            spread_rows(b, results->items);
        }
        *ret_results = results;
    }
    harness_build_done(b);
    return rc;
}

bool harness_line(Slice *text, Slice *ret_line)
{
    if (text->len == 0) {
        return false;
    }
    Slice head, tail;
    (void)slice_cut(*text, '\n', &head, &tail);
    *text = tail;
    if (head.len > 0 && head.ptr[head.len - 1] == '\r') {
        head.len--;
    }
    *ret_line = head;
    return true;
}

bool harness_word(Slice *line, Slice *ret_word)
{
    Slice s = slice_trim(*line);
    size_t n = 0;
    while (n < s.len && s.ptr[n] != ' ' && s.ptr[n] != '\t') {
        n++;
    }
    *ret_word = slice_sub(s, 0, n);
    *line = slice_sub(s, n, s.len - n);
    return n > 0;
}
