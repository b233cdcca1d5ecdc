#include "bench/harness_unit.h"

#include <string.h>

#include "base/attr.h"
#include "base/buf.h"

enum { UNIT_BYTES_MAX = 200 };

typedef struct Scale {
    Slice text;
    double factor;
} Scale;

static const Scale TIMES[] = {
    {SLICE_INIT("ns"), 1e-9},  {SLICE_INIT("us"), 1e-6},        {SLICE_INIT("\xc2\xb5s"), 1e-6},
    {SLICE_INIT("ms"), 1e-3},  {SLICE_INIT("\xce\xbcs"), 1e-6}, // the two letters mu of Unicode
    {SLICE_INIT("s"), 1},      {SLICE_INIT("sec"), 1},          {SLICE_INIT("secs"), 1},
    {SLICE_INIT("second"), 1}, {SLICE_INIT("seconds"), 1},      {SLICE_INIT("min"), 60},
    {SLICE_INIT("m"), 60},     {SLICE_INIT("hr"), 3600},        {SLICE_INIT("day"), 86400},
};
static const Scale SIZES[] = {
    {SLICE_INIT("B"), 1},         {SLICE_INIT("byte"), 1},   {SLICE_INIT("bytes"), 1},
    {SLICE_INIT("kB"), 1e3},      {SLICE_INIT("KB"), 1e3},   {SLICE_INIT("MB"), 1e6},
    {SLICE_INIT("GB"), 1e9},      {SLICE_INIT("KiB"), 1024}, {SLICE_INIT("MiB"), 1048576},
    {SLICE_INIT("GiB"), 1 << 30},
};
static const Slice OPERATIONS[] = {SLICE_INIT("op"),    SLICE_INIT("ops"),       SLICE_INIT("iter"),
                                   SLICE_INIT("iters"), SLICE_INIT("iteration"), SLICE_INIT("run"),
                                   SLICE_INIT("call")};

static const Scale *find(const Scale *table, size_t count, Slice text)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(table[i].text, text)) {
            return &table[i];
        }
    }
    return NULL;
}

static bool is_operation(Slice text)
{
    for (size_t i = 0; i < COUNT_OF(OPERATIONS); i++) {
        if (slice_eq(OPERATIONS[i], text)) {
            return true;
        }
    }
    return false;
}

static HarnessUnit unit_of(const char *name, double factor, bool higher)
{
    return (HarnessUnit){slice_from_cstr(name), factor, higher, true};
}

// "things per time": the time's factor divides. 1e-3 for "ms" makes ops/ms a thousand ops/s; the
// division is exact where 1 / factor is a power of ten that a double holds.
static double per_time(double seconds)
{
    return seconds >= 1 ? 1 / seconds : seconds == 1e-3 ? 1e3 : seconds == 1e-6 ? 1e6 : 1e9;
}

static HarnessUnit fraction_unit(Arena *arena, Slice text, Slice above, Slice below)
{
    const Scale *time = find(TIMES, COUNT_OF(TIMES), above);
    const Scale *size = find(SIZES, COUNT_OF(SIZES), above);
    const Scale *per = find(TIMES, COUNT_OF(TIMES), below);
    if (time && is_operation(below)) {
        return unit_of("sec/op", time->factor, false);
    }
    if (size && is_operation(below)) {
        return unit_of("B/op", size->factor, false);
    }
    if (slice_eq(above, SLICE("allocs")) && is_operation(below)) {
        return unit_of("allocs/op", 1, false);
    }
    if (!per) {
        return (HarnessUnit){text, 1, false, false};
    }
    double factor = per_time(per->factor);
    if (size) {
        return unit_of("B/s", size->factor * factor, true);
    }
    if (is_operation(above)) {
        return unit_of("ops/s", factor, true);
    }
    return (HarnessUnit){arena_printf(arena, "%.*s/s", SLICE_FMT(above)), factor, true, true};
}

HarnessUnit harness_unit(Arena *arena, Slice text)
{
    text = arena_copy(arena, slice_sub(slice_trim(text), 0, UNIT_BYTES_MAX));
    Slice above, below;
    if (slice_cut(text, '/', &above, &below)) {
        return fraction_unit(arena, text, slice_trim(above), slice_trim(below));
    }
    const Scale *time = find(TIMES, COUNT_OF(TIMES), text);
    const Scale *size = find(SIZES, COUNT_OF(SIZES), text);
    if (time) {
        return unit_of("sec/op", time->factor, false);
    }
    if (size) {
        return unit_of("B", size->factor, false);
    }
    return (HarnessUnit){text, 1, false, false};
}

double harness_unit_scale(const HarnessUnit *unit, double value)
{
    return unit->factor == 1e-9   ? value / 1e9
           : unit->factor == 1e-6 ? value / 1e6
           : unit->factor == 1e-3 ? value / 1e3
                                  : value * unit->factor;
}

// ---- Go's

static bool parts_words(char c)
{
    return c == '*' || c == '/' || c == '-' || c == ' ' || c == '\t';
}

HarnessUnit harness_unit_go(Arena *arena, Slice text)
{
    text = slice_sub(text, 0, UNIT_BYTES_MAX);
    Buf out = buf_create(4 * text.len + 16);
    double factor = 1;
    bool below = false; // the fraction line
    for (size_t i = 0; i < text.len;) {
        size_t from = i;
        while (i < text.len && !parts_words(text.ptr[i])) {
            i++;
        }
        Slice word = slice_sub(text, from, i - from);
        if (!below && slice_eq(word, SLICE("ns"))) {
            buf_puts(&out, "sec");
            factor *= 1e-9;
        } else if (!below && slice_eq(word, SLICE("MB"))) {
            buf_puts(&out, "B");
            factor *= 1e6;
        } else {
            buf_append(&out, word);
        }
        if (i < text.len) {
            below = text.ptr[i] == '/' || (below && text.ptr[i] != '*');
            buf_putc(&out, text.ptr[i++]);
        }
    }
    HarnessUnit unit = {arena_copy(arena, buf_slice(&out)), factor, false, false};
    buf_done(&out);
    // Go says no direction; that of its own units is known.
    unit.higher_better = slice_ends_with(text, SLICE("/s")) || slice_ends_with(text, SLICE("/sec"));
    unit.known = unit.higher_better || slice_ends_with(text, SLICE("/op"));
    return unit;
}

bool harness_unit_binary(Slice unit)
{
    bool below = false;
    for (size_t i = 0; i < unit.len;) {
        size_t from = i;
        while (i < unit.len && !parts_words(unit.ptr[i])) {
            i++;
        }
        Slice word = slice_sub(unit, from, i - from);
        if (!below && (slice_eq(word, SLICE("B")) || slice_eq(word, SLICE("MB")) ||
                       slice_eq(word, SLICE("bytes")))) {
            return true;
        }
        if (i < unit.len) {
            below = unit.ptr[i] == '/' || (below && unit.ptr[i] != '*');
            i++;
        }
    }
    return false;
}
