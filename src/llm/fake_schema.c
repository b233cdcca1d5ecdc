#include "llm/fake_schema.h"

#include <math.h>

#include "base/json_write.h"
#include "llm/fake_text.h"

// Enough rounds through "$ref", anyOf and the like for real schemas; a ring ends as null.
enum { HOPS_MAX = 32, TEXT_LENGTH_MAX = 4096, ITEMS_MAX = 256, MERGE_MAX = 16 };

typedef struct Maker {
    JsonVal *root;
    Buf *out;
    int depth;
    size_t values; // made so far: a small schema can name a huge tree
} Maker;

static void make(Maker *m, JsonVal *schema, Slice name);

static JsonVal *follow_ref(const Maker *m, Slice ref)
{
    if (ref.len == 0 || ref.ptr[0] != '#') {
        return NULL; // elsewhere: nothing is fetched
    }
    if (ref.len == 1) {
        return m->root;
    }
    return yyjson_ptr_getn(m->root, ref.ptr + 1, ref.len - 1);
}

// One step towards a schema that says a type, or NULL when this one does.
static JsonVal *hop(const Maker *m, JsonVal *schema)
{
    JsonVal *ref = json_at(schema, "$ref");
    if (ref) {
        return follow_ref(m, json_text(ref));
    }
    JsonVal *any = json_at(schema, "anyOf");
    any = any ? any : json_at(schema, "oneOf");
    return yyjson_arr_get_first(any);
}

static JsonVal *resolve(const Maker *m, JsonVal *schema)
{
    for (int i = 0; i < HOPS_MAX; i++) {
        bool composed =
            json_at(schema, "$ref") || (!json_at(schema, "properties") &&
                                        (json_at(schema, "anyOf") || json_at(schema, "oneOf")));
        if (!composed) {
            return schema;
        }
        schema = hop(m, schema);
    }
    return NULL;
}

// The member `key` of the schema or of one of its allOf parts.
static JsonVal *find(const Maker *m, JsonVal *schema, const char *key)
{
    JsonVal *found = json_at(schema, key);
    if (found) {
        return found;
    }
    size_t i, n;
    JsonVal *part;
    yyjson_arr_foreach(json_at(schema, "allOf"), i, n, part)
    {
        found = json_at(resolve(m, part), key);
        if (found) {
            return found;
        }
    }
    return NULL;
}

static Slice type_of(const Maker *m, JsonVal *schema)
{
    JsonVal *type = find(m, schema, "type");
    if (yyjson_is_arr(type)) {
        type = yyjson_arr_get_first(type);
    }
    Slice name = json_text(type);
    if (name.len > 0) {
        return name;
    }
    if (find(m, schema, "properties")) {
        return SLICE("object");
    }
    return find(m, schema, "items") ? SLICE("array") : SLICE("string");
}

static bool is_type(Slice name, const char *type)
{
    return slice_eq_nocase(name, slice_from_cstr(type)); // Gemini writes "OBJECT"
}

static void put_value(Maker *m, JsonVal *v)
{
    if (yyjson_is_str(v)) { // nearly always, and without an allocation
        fake_put_string(m->out, json_text(v));
        return;
    }
    size_t len = 0;
    char *text = yyjson_val_write(v, 0, &len);
    buf_append(m->out, (Slice){text, text ? len : 0});
    free(text);
}

static double number_at(const Maker *m, JsonVal *schema, const char *key, double otherwise)
{
    JsonVal *v = find(m, schema, key);
    return yyjson_is_num(v) ? yyjson_get_num(v) : otherwise;
}

static void make_number(Maker *m, JsonVal *schema, bool whole)
{
    double step = number_at(m, schema, "multipleOf", whole ? 1 : 0);
    double grain = step > 0 ? step : 0.5;
    double low = number_at(m, schema, "minimum", NAN);
    double high = number_at(m, schema, "maximum", NAN);
    double above = number_at(m, schema, "exclusiveMinimum", NAN);
    double below = number_at(m, schema, "exclusiveMaximum", NAN);
    double value = whole ? 1 : 1.5;
    if (!isnan(low)) {
        value = low;
    } else if (!isnan(above)) {
        value = above + grain;
        value = !isnan(below) && value >= below ? (above + below) / 2 : value;
    } else if (!isnan(high)) {
        value = value > high ? high : value;
    } else if (!isnan(below)) {
        value = value >= below ? below - grain : value;
    }
    if (step > 0) {
        bool from_below = !isnan(low) || !isnan(above);
        value = (from_below ? ceil(value / step) : floor(value / step)) * step;
    }
    if (whole && fabs(value) < 9e15) {
        fake_put_int(m->out, (int64_t)value);
        return;
    }
    char text[JSON_DOUBLE_MAX];
    json_format_double(isfinite(value) ? value : 0, text);
    buf_puts(m->out, text);
}

static Slice text_of_format(Slice format)
{
    static const struct {
        const char *format;
        Slice text;
    } table[] = {
        {"date-time", SLICE_INIT("2026-01-02T03:04:05Z")},
        {"date", SLICE_INIT("2026-01-02")},
        {"time", SLICE_INIT("03:04:05Z")},
        {"duration", SLICE_INIT("PT1H")},
        {"email", SLICE_INIT("someone@example.com")},
        {"hostname", SLICE_INIT("example.com")},
        {"ipv4", SLICE_INIT("192.0.2.1")},
        {"ipv6", SLICE_INIT("2001:db8::1")},
        {"uri", SLICE_INIT("https://example.com/")},
        {"url", SLICE_INIT("https://example.com/")},
        {"uuid", SLICE_INIT("123e4567-e89b-42d3-a456-426614174000")},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (slice_eq_cstr(format, table[i].format)) {
            return table[i].text;
        }
    }
    return (Slice){NULL, 0};
}

// The property's name is its own sample: {"city":"city"} tells a reader where a value came from.
static void make_text(Maker *m, JsonVal *schema, Slice name)
{
    Slice fixed = text_of_format(json_text(find(m, schema, "format")));
    if (fixed.len > 0) {
        fake_put_string(m->out, fixed);
        return;
    }
    double low = number_at(m, schema, "minLength", 0);
    double high = number_at(m, schema, "maxLength", TEXT_LENGTH_MAX);
    Slice sample = name.len > 0 ? name : SLICE("text");
    if ((double)sample.len > high) {
        sample = SLICE("xxxxxxxx");
        sample = slice_sub(sample, 0, high < 0 ? 0 : (size_t)high);
    }
    buf_putc(m->out, '"');
    fake_put_escaped(m->out, sample);
    size_t wanted = low > TEXT_LENGTH_MAX ? TEXT_LENGTH_MAX : low > 0 ? (size_t)low : 0;
    for (size_t i = sample.len; i < wanted; i++) {
        buf_putc(m->out, 'x');
    }
    buf_putc(m->out, '"');
}

static bool is_required(JsonVal *required, JsonVal *key)
{
    size_t i, n;
    JsonVal *name;
    yyjson_arr_foreach(required, i, n, name)
    {
        if (slice_eq(json_text(name), json_text(key))) {
            return true;
        }
    }
    return false;
}

static bool make_members(Maker *m, JsonVal *schema, bool any)
{
    JsonVal *required = json_at(schema, "required");
    JsonVal *properties = json_at(schema, "properties");
    size_t i, n;
    JsonVal *key, *value;
    if (!yyjson_is_obj(properties)) {
        return any; // the walk below steps from a first member
    }
    yyjson_obj_foreach(properties, i, n, key, value)
    {
        if (m->depth > FAKE_SCHEMA_OPTIONAL_DEPTH && !is_required(required, key)) {
            continue;
        }
        if (any) {
            buf_putc(m->out, ',');
        }
        any = true;
        fake_put_string(m->out, json_text(key));
        buf_putc(m->out, ':');
        make(m, value, json_text(key));
    }
    return any;
}

static void make_object(Maker *m, JsonVal *schema)
{
    buf_putc(m->out, '{');
    bool any = make_members(m, schema, false);
    size_t i, n;
    JsonVal *part;
    yyjson_arr_foreach(json_at(schema, "allOf"), i, n, part)
    {
        if (i < MERGE_MAX) {
            any = make_members(m, resolve(m, part), any);
        }
    }
    buf_putc(m->out, '}');
}

static void make_array(Maker *m, JsonVal *schema, Slice name)
{
    JsonVal *items = find(m, schema, "items");
    JsonVal *prefix = find(m, schema, "prefixItems");
    double low = number_at(m, schema, "minItems", 0);
    double high = number_at(m, schema, "maxItems", ITEMS_MAX);
    // One item shows a reader more than none, unless nesting went far enough.
    double count = m->depth > FAKE_SCHEMA_OPTIONAL_DEPTH ? 0 : 1;
    double fixed = (double)yyjson_arr_size(prefix);
    count = fixed > count ? fixed : count;
    count = low > count ? low : count;
    count = high < count ? high : count;
    size_t wanted = count > ITEMS_MAX ? ITEMS_MAX : (size_t)count;
    buf_putc(m->out, '[');
    for (size_t i = 0; i < wanted; i++) {
        if (i > 0) {
            buf_putc(m->out, ',');
        }
        JsonVal *of = yyjson_arr_get(prefix, i);
        make(m, of ? of : items, name);
    }
    buf_putc(m->out, ']');
}

static void make_typed(Maker *m, JsonVal *schema, Slice name)
{
    Slice type = type_of(m, schema);
    if (is_type(type, "object")) {
        make_object(m, schema);
    } else if (is_type(type, "array")) {
        make_array(m, schema, name);
    } else if (is_type(type, "integer")) {
        make_number(m, schema, true);
    } else if (is_type(type, "number")) {
        make_number(m, schema, false);
    } else if (is_type(type, "boolean")) {
        buf_puts(m->out, "true");
    } else if (is_type(type, "null")) {
        buf_puts(m->out, "null");
    } else {
        make_text(m, schema, name);
    }
}

static void make(Maker *m, JsonVal *schema, Slice name)
{
    schema = resolve(m, schema);
    if (m->depth >= FAKE_SCHEMA_DEPTH_MAX || m->out->len > FAKE_SCHEMA_BYTES_MAX ||
        ++m->values > FAKE_SCHEMA_VALUES_MAX ||
        (schema && !yyjson_is_obj(schema) && !yyjson_is_true(schema))) {
        buf_puts(m->out, "null");
        return;
    }
    m->depth++;
    JsonVal *fixed = find(m, schema, "const");
    fixed = fixed ? fixed : yyjson_arr_get_first(find(m, schema, "enum"));
    if (fixed) {
        put_value(m, fixed);
    } else {
        make_typed(m, schema, name);
    }
    m->depth--;
}

void fake_schema_value(JsonVal *schema, Buf *out)
{
    if (!yyjson_is_obj(schema)) {
        buf_puts(out, "{}");
        return;
    }
    Maker maker = {.root = schema, .out = out};
    make(&maker, schema, (Slice){NULL, 0});
}
