#include "base/gzip.h"
#include "prof/profile.h"
#include "prof/profile_impl.h"

// The message perftools.profiles.Profile, field numbers as in
// github.com/google/pprof/blob/main/proto/profile.proto. Strings are numbers into a table that is
// written last; number 0 is the empty string.

enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE = 2,
    PROFILE_MAPPING = 3,
    PROFILE_LOCATION = 4,
    PROFILE_FUNCTION = 5,
    PROFILE_STRING_TABLE = 6,
    PROFILE_DROP_FRAMES = 7,
    PROFILE_TIME_NANOS = 9,
    PROFILE_DURATION_NANOS = 10,
    PROFILE_PERIOD_TYPE = 11,
    PROFILE_PERIOD = 12,
    PROFILE_COMMENT = 13,
    PROFILE_DEFAULT_SAMPLE_TYPE = 14,
    VALUE_TYPE_TYPE = 1,
    VALUE_TYPE_UNIT = 2,
    SAMPLE_LOCATION_ID = 1,
    SAMPLE_VALUE = 2,
    SAMPLE_LABEL = 3,
    LABEL_KEY = 1,
    LABEL_STR = 2,
    MAPPING_ID = 1,
    MAPPING_START = 2,
    MAPPING_LIMIT = 3,
    MAPPING_OFFSET = 4,
    MAPPING_FILENAME = 5,
    MAPPING_BUILD_ID = 6,
    MAPPING_HAS_FUNCTIONS = 7,
    MAPPING_HAS_FILENAMES = 8,
    MAPPING_HAS_LINE_NUMBERS = 9,
    MAPPING_HAS_INLINE_FRAMES = 10,
    LOCATION_ID = 1,
    LOCATION_MAPPING_ID = 2,
    LOCATION_ADDRESS = 3,
    LOCATION_LINE = 4,
    LINE_FUNCTION_ID = 1,
    LINE_LINE = 2,
    FUNCTION_ID = 1,
    FUNCTION_NAME = 2,
    FUNCTION_SYSTEM_NAME = 3,
    FUNCTION_FILENAME = 4,
};

enum { WIRE_VARINT = 0, WIRE_BYTES = 2, STRINGS_MAX = 1 << 22 };

typedef struct Writer {
    Buf *out;
    Buf message; // the submessage being built
    Buf inner;   // and one inside it
    Map strings; // text -> number + 1, as a pointer
} Writer;

static void put_varint(Buf *out, uint64_t value)
{
    while (value >= 0x80) {
        buf_putc(out, (char)(value | 0x80));
        value >>= 7;
    }
    buf_putc(out, (char)value);
}

static void put_number(Buf *out, unsigned field, uint64_t value)
{
    if (value != 0) { // proto3: 0 is the default and is not written
        put_varint(out, field << 3 | WIRE_VARINT);
        put_varint(out, value);
    }
}

static void put_bytes(Buf *out, unsigned field, Slice bytes)
{
    put_varint(out, field << 3 | WIRE_BYTES);
    put_varint(out, bytes.len);
    buf_append(out, bytes);
}

static uint64_t string_number(Writer *w, Slice text)
{
    if (text.len == 0) {
        return 0;
    }
    uintptr_t known = (uintptr_t)map_get(&w->strings, text);
    if (known == 0) {
        known = map_count(&w->strings) + 1;
        if (map_put(&w->strings, text, (void *)known) != 0) {
            return 0;
        }
    }
    return known;
}

static void put_string(Writer *w, Buf *out, unsigned field, Slice text)
{
    put_number(out, field, string_number(w, text));
}

static void put_value_type(Writer *w, unsigned field, const char *type, const char *unit)
{
    buf_reset(&w->message);
    put_string(w, &w->message, VALUE_TYPE_TYPE, slice_from_cstr(type));
    put_string(w, &w->message, VALUE_TYPE_UNIT, slice_from_cstr(unit));
    put_bytes(w->out, field, buf_slice(&w->message));
}

static void put_samples(Writer *w, const Profile *p, size_t value_count)
{
    for (size_t i = 0; i < p->stack_count; i++) {
        const Stack *s = p->stacks[i];
        buf_reset(&w->message);
        buf_reset(&w->inner);
        for (size_t f = 0; f < s->depth; f++) {
            const Location *l = profile_location(p, stack_address(s, f));
            if (l) {
                put_varint(&w->inner, l->id);
            }
        }
        put_bytes(&w->message, SAMPLE_LOCATION_ID, buf_slice(&w->inner));
        buf_reset(&w->inner);
        for (size_t v = 0; v < value_count; v++) {
            put_varint(&w->inner, (uint64_t)s->values[v]);
        }
        put_bytes(&w->message, SAMPLE_VALUE, buf_slice(&w->inner));
        if (s->label.len > 0) {
            buf_reset(&w->inner);
            put_string(w, &w->inner, LABEL_KEY, s->label_key);
            put_string(w, &w->inner, LABEL_STR, s->label);
            put_bytes(&w->message, SAMPLE_LABEL, buf_slice(&w->inner));
        }
        put_bytes(w->out, PROFILE_SAMPLE, buf_slice(&w->message));
    }
}

static void put_modules(Writer *w, const Profile *p)
{
    for (size_t i = 0; i < p->module_count; i++) {
        const Module *m = &p->modules[i];
        buf_reset(&w->message);
        put_number(&w->message, MAPPING_ID, m->id);
        put_number(&w->message, MAPPING_START, m->start);
        put_number(&w->message, MAPPING_LIMIT, m->limit);
        put_number(&w->message, MAPPING_OFFSET, m->offset);
        put_string(w, &w->message, MAPPING_FILENAME, m->path);
        put_string(w, &w->message, MAPPING_BUILD_ID, m->build_id);
        // Said for all: viewers that miss it would look for symbols themselves, in files that
        // their machine may not have.
        put_number(&w->message, MAPPING_HAS_FUNCTIONS, 1);
        put_number(&w->message, MAPPING_HAS_FILENAMES, m->has_lines);
        put_number(&w->message, MAPPING_HAS_LINE_NUMBERS, m->has_lines);
        put_number(&w->message, MAPPING_HAS_INLINE_FRAMES, m->has_lines);
        put_bytes(w->out, PROFILE_MAPPING, buf_slice(&w->message));
    }
}

static void put_locations(Writer *w, const Profile *p)
{
    for (size_t i = 0; i < p->location_size; i++) {
        const Location *l = p->locations[i];
        if (!l) {
            continue;
        }
        buf_reset(&w->message);
        put_number(&w->message, LOCATION_ID, l->id);
        put_number(&w->message, LOCATION_MAPPING_ID, l->module ? l->module->id : 0);
        put_number(&w->message, LOCATION_ADDRESS, l->address);
        for (size_t n = 0; n < l->line_count; n++) {
            buf_reset(&w->inner);
            put_number(&w->inner, LINE_FUNCTION_ID, l->lines[n].function->id);
            put_number(&w->inner, LINE_LINE, (uint64_t)l->lines[n].line);
            put_bytes(&w->message, LOCATION_LINE, buf_slice(&w->inner));
        }
        put_bytes(w->out, PROFILE_LOCATION, buf_slice(&w->message));
    }
}

static void put_functions(Writer *w, const Profile *p)
{
    Slice key;
    void *value;
    for (size_t i = 0; map_next(&p->functions, &i, &key, &value);) {
        const Function *f = value;
        buf_reset(&w->message);
        put_number(&w->message, FUNCTION_ID, f->id);
        put_string(w, &w->message, FUNCTION_NAME, f->name);
        put_string(w, &w->message, FUNCTION_SYSTEM_NAME, f->name);
        put_string(w, &w->message, FUNCTION_FILENAME, f->file);
        put_bytes(w->out, PROFILE_FUNCTION, buf_slice(&w->message));
    }
}

static void put_strings(Writer *w)
{
    Slice text;
    void *value;
    put_bytes(w->out, PROFILE_STRING_TABLE, (Slice){0});
    for (size_t i = 0; map_next(&w->strings, &i, &text, &value);) {
        put_bytes(w->out, PROFILE_STRING_TABLE, text);
    }
}

static void put_profile(Writer *w, const Profile *p, Slice comment)
{
    const ProfileValueType *types;
    size_t shown, count = profile_value_types(p->kind, &types, &shown);
    for (size_t i = 0; i < count; i++) {
        put_value_type(w, PROFILE_SAMPLE_TYPE, types[i].type, types[i].unit);
    }
    put_samples(w, p, count);
    put_modules(w, p);
    put_locations(w, p);
    put_functions(w, p);
    if (p->kind == PROFILE_HEAP) {
        // Viewers cut these and what they call off, so that memory shows at who asked for it.
        put_string(w, w->out, PROFILE_DROP_FRAMES,
                   SLICE("malloc|calloc|realloc|mem_alloc|mem_zalloc|mem_realloc|"
                         "__interceptor_(malloc|calloc|realloc)"));
    }
    put_number(w->out, PROFILE_TIME_NANOS, (uint64_t)p->wall_begin_ns);
    put_number(w->out, PROFILE_DURATION_NANOS, (uint64_t)p->duration_ns);
    switch (p->kind) {
    case PROFILE_CPU: put_value_type(w, PROFILE_PERIOD_TYPE, "cpu", "nanoseconds"); break;
    case PROFILE_HEAP: put_value_type(w, PROFILE_PERIOD_TYPE, "space", "bytes"); break;
    case PROFILE_FIBERS: put_value_type(w, PROFILE_PERIOD_TYPE, "goroutine", "count"); break;
    }
    put_number(w->out, PROFILE_PERIOD, (uint64_t)p->period);
    put_string(w, w->out, PROFILE_COMMENT, comment);
    put_string(w, w->out, PROFILE_DEFAULT_SAMPLE_TYPE, slice_from_cstr(types[shown].type));
    put_strings(w);
}

int profile_write_pprof(Profile *profile, Buf *out, Err *e)
{
    if (profile->location_size == 0) {
        profile_list_locations(profile);
    }
    Buf plain = buf_create(PROFILE_BYTES_MAX);
    char comment[64];
    Writer w = {.out = &plain,
                .message = buf_create(PROFILE_BYTES_MAX),
                .inner = buf_create(PROFILE_BYTES_MAX),
                .strings = map_create(STRINGS_MAX, 0)};
    int len = snprintf(comment, sizeof comment, "lost samples: %lld", (long long)profile->lost);
    put_profile(&w, profile, profile->lost > 0 ? (Slice){comment, (size_t)len} : (Slice){0});
    int rc = buf_check(&plain, "the profile", e);
    rc = rc == 0 ? gzip_append(buf_slice(&plain), out, e) : rc;
    map_done(&w.strings);
    buf_done(&w.inner);
    buf_done(&w.message);
    buf_done(&plain);
    return rc;
}
