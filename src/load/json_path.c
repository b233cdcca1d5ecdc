#include "load/json_path.h"

// A cursor over the text. Every function stops at the end, whatever the text says.
typedef struct Scan {
    const char *at, *end;
} Scan;

static Scan scan_of(Slice s)
{
    return (Scan){s.ptr, s.ptr + s.len};
}

static void skip_space(Scan *s)
{
    while (s->at < s->end &&
           (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r')) {
        s->at++;
    }
}

// From an opening quote to behind the closing one.
static void skip_string(Scan *s)
{
    s->at++;
    while (s->at < s->end && *s->at != '"') {
        s->at += *s->at == '\\' && s->end - s->at > 1 ? 2 : 1;
    }
    s->at += s->at < s->end;
}

// From an opening bracket to behind its counterpart, by counting.
static void skip_brackets(Scan *s)
{
    size_t depth = 0;
    while (s->at < s->end) {
        char c = *s->at;
        if (c == '"') {
            skip_string(s);
            continue;
        }
        s->at++;
        if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return;
        }
    }
}

static bool ends_scalar(char c)
{
    return c == ',' || c == '}' || c == ']' || c == ':' || c == ' ' || c == '\t' || c == '\n' ||
           c == '\r' || c == '"' || c == '{' || c == '[';
}

// One value; false when there is none here.
static bool scan_value(Scan *s, JsonValue *ret)
{
    skip_space(s);
    if (s->at == s->end) {
        return false;
    }
    const char *start = s->at;
    JsonType type;
    switch (*start) {
    case '"': type = JSON_STRING; break;
    case '{': type = JSON_OBJECT; break;
    case '[': type = JSON_ARRAY; break;
    case 't':
    case 'f': type = JSON_BOOL; break;
    case 'n': type = JSON_NULL; break;
    default: type = JSON_NUMBER; break;
    }
    if (type == JSON_STRING) {
        skip_string(s);
    } else if (type == JSON_OBJECT || type == JSON_ARRAY) {
        skip_brackets(s);
    } else {
        while (s->at < s->end && !ends_scalar(*s->at)) {
            s->at++;
        }
    }
    *ret = (JsonValue){type, {start, (size_t)(s->at - start)}};
    if (type == JSON_NUMBER) {
        return ret->raw.len > 0 && (*start == '-' || (*start >= '0' && *start <= '9'));
    }
    return true;
}

// Walks an array's items or an object's members. `s` stands behind the opening bracket.
static bool next_item(Scan *s, Slice *ret_key, JsonValue *ret)
{
    skip_space(s);
    if (s->at < s->end && *s->at == ',') {
        s->at++;
        skip_space(s);
    }
    if (s->at == s->end || *s->at == '}' || *s->at == ']') {
        return false;
    }
    if (ret_key) {
        JsonValue key;
        if (!scan_value(s, &key) || key.type != JSON_STRING) {
            return false;
        }
        skip_space(s);
        if (s->at == s->end || *s->at != ':') {
            return false;
        }
        s->at++;
        *ret_key = key.raw;
    }
    return scan_value(s, ret);
}

static Scan inside(const JsonValue *container)
{
    Scan s = scan_of(container->raw);
    s.at++;
    return s;
}

// ---- strings

static unsigned hex4(const char *p)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 0x10000;
        if (digit > 15) {
            return 0xFFFD;
        }
        value = value << 4 | digit;
    }
    return value;
}

static void put_utf8(Buf *out, unsigned c)
{
    if (c < 0x80) {
        buf_putc(out, (char)c);
    } else if (c < 0x800) {
        buf_putc(out, (char)(0xC0 | c >> 6));
        buf_putc(out, (char)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        buf_putc(out, (char)(0xE0 | c >> 12));
        buf_putc(out, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_putc(out, (char)(0x80 | (c & 0x3F)));
    } else {
        buf_putc(out, (char)(0xF0 | c >> 18));
        buf_putc(out, (char)(0x80 | (c >> 12 & 0x3F)));
        buf_putc(out, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_putc(out, (char)(0x80 | (c & 0x3F)));
    }
}

// "\uXXXX" or a pair of them at `p`, behind the "u"; returns how many bytes it took.
static size_t put_unicode(Buf *out, const char *p, const char *end)
{
    if (end - p < 4) {
        put_utf8(out, 0xFFFD);
        return (size_t)(end - p);
    }
    unsigned c = hex4(p);
    if (c >= 0xD800 && c < 0xDC00 && end - p >= 10 && p[4] == '\\' && p[5] == 'u') {
        unsigned low = hex4(p + 6);
        if (low >= 0xDC00 && low < 0xE000) {
            put_utf8(out, 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00));
            return 10;
        }
    }
    put_utf8(out, c >= 0xD800 && c < 0xE000 ? 0xFFFD : c);
    return 4;
}

static char unescaped(char c)
{
    switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return c;
    }
}

// Without quotes; the closing one is missing where the text ends early.
static Slice string_inside(Slice raw)
{
    Slice s = slice_sub(raw, 1, raw.len);
    return slice_ends_with(s, SLICE("\"")) ? slice_sub(s, 0, s.len - 1) : s;
}

static void put_string(Slice raw, Buf *out)
{
    Slice s = string_inside(raw);
    const char *p = s.ptr, *end = s.ptr + s.len;
    while (p < end) {
        const char *stop = memchr(p, '\\', (size_t)(end - p));
        stop = stop ? stop : end;
        buf_append(out, (Slice){p, (size_t)(stop - p)});
        p = stop;
        if (end - p < 2) {
            return;
        }
        if (p[1] == 'u') {
            p += 2 + put_unicode(out, p + 2, end);
        } else {
            buf_putc(out, unescaped(p[1]));
            p += 2;
        }
    }
}

void json_value_text(const JsonValue *value, Buf *out)
{
    if (value->type == JSON_STRING) {
        put_string(value->raw, out);
    } else {
        buf_append(out, value->raw);
    }
}

// Whether the text of a string equals `key`, most often without unescaping it.
static bool string_is(Slice raw, Slice key)
{
    Slice s = string_inside(raw);
    if (s.len == 0 || memchr(s.ptr, '\\', s.len) == NULL) {
        return slice_eq(s, key);
    }
    Buf text = buf_create(JSON_PATH_RESULT_MAX);
    put_string(raw, &text);
    bool same = slice_eq(buf_slice(&text), key);
    buf_done(&text);
    return same;
}

// ---- paths

typedef enum PathOp {
    PATH_EXISTS,
    PATH_EQ,
    PATH_NE,
    PATH_LT,
    PATH_LE,
    PATH_GT,
    PATH_GE,
    PATH_LIKE,
    PATH_UNLIKE
} PathOp;

typedef struct PathPart {
    enum { PART_KEY, PART_COUNT, PART_EACH, PART_FIRST, PART_ALL } kind;
    Slice key; // PART_KEY: as written, escapes included
    bool escaped;
    Slice left; // conditions: the path inside the item, maybe empty
    PathOp op;
    Slice right;
    bool quoted;
} PathPart;

static const struct {
    Slice text;
    PathOp op;
} PATH_OPS[] = {
    // Longer ones before those they begin with.
    {SLICE_INIT("=="), PATH_EQ}, {SLICE_INIT("!="), PATH_NE},     {SLICE_INIT("<="), PATH_LE},
    {SLICE_INIT(">="), PATH_GE}, {SLICE_INIT("!%"), PATH_UNLIKE}, {SLICE_INIT("="), PATH_EQ},
    {SLICE_INIT("<"), PATH_LT},  {SLICE_INIT(">"), PATH_GT},      {SLICE_INIT("%"), PATH_LIKE},
};

// The first operator outside of quotes and of nested conditions; `len` when there is none.
static size_t find_operator(Slice s, PathOp *ret_op, size_t *ret_len)
{
    int depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        depth += (c == '(') - (c == ')');
        if (c == '\\') {
            i++;
        } else if (depth == 0) {
            Slice rest = slice_sub(s, i, s.len);
            for (size_t k = 0; k < COUNT_OF(PATH_OPS); k++) {
                if (slice_starts_with(rest, PATH_OPS[k].text)) {
                    *ret_op = PATH_OPS[k].op;
                    *ret_len = PATH_OPS[k].text.len;
                    return i;
                }
            }
        }
    }
    return s.len;
}

static int parse_condition(Slice text, PathPart *part, Err *e)
{
    size_t op_len = 0;
    part->op = PATH_EXISTS;
    size_t at = find_operator(text, &part->op, &op_len);
    part->left = slice_trim(slice_sub(text, 0, at));
    part->right = slice_trim(slice_sub(text, at + op_len, text.len));
    part->quoted = part->right.len >= 2 && slice_starts_with(part->right, SLICE("\"")) &&
                   slice_ends_with(part->right, SLICE("\""));
    if (part->left.len == 0 && part->op == PATH_EXISTS) {
        return err_set(e, ERR_PARSE, "an empty condition; write #(key==\"value\")");
    }
    if (slice_starts_with(part->right, SLICE("~"))) {
        return err_set(e, ERR_PARSE, "\"~\" is not supported in conditions");
    }
    return part->left.len > 0 ? json_path_check(part->left, e) : 0;
}

// "#", "#(...)" or "#(...)#"; returns the bytes it took, or an error.
static int parse_hash(Slice path, PathPart *part, size_t *ret_len, Err *e)
{
    if (path.len == 1 || path.ptr[1] == '.') {
        part->kind = path.len <= 2 ? PART_COUNT : PART_EACH;
        *ret_len = 1;
        return 0;
    }
    if (path.ptr[1] != '(') {
        return err_set(e, ERR_PARSE, "\"#\" stands alone or before a condition: #(key==\"value\")");
    }
    size_t i = 2;
    bool in_text = false;
    for (int depth = 1; i < path.len; i++) {
        char c = path.ptr[i];
        if (c == '\\') {
            i++;
        } else if (c == '"') {
            in_text = !in_text;
        } else if (!in_text) {
            depth += (c == '(') - (c == ')');
            if (depth == 0) {
                break;
            }
        }
    }
    if (i >= path.len) {
        return err_set(e, ERR_PARSE, "\"#(\" without its \")\"");
    }
    bool all = i + 1 < path.len && path.ptr[i + 1] == '#';
    part->kind = all ? PART_ALL : PART_FIRST;
    *ret_len = i + 1 + all;
    return parse_condition(slice_sub(path, 2, i - 2), part, e);
}

static int parse_key(Slice path, PathPart *part, size_t *ret_len, Err *e)
{
    size_t i = 0;
    for (; i < path.len && path.ptr[i] != '.'; i++) {
        char c = path.ptr[i];
        if (c == '\\') {
            part->escaped = true;
            i++;
        } else if (strchr("*?|#", c) || (i == 0 && strchr("@{[!", c))) {
            return err_set(e, ERR_PARSE,
                           "\"%c\" is not supported in JSON paths; write \"\\%c\" for the "
                           "character itself",
                           c, c);
        }
    }
    if (i > path.len || i == 0) {
        return err_set(e, ERR_PARSE, i == 0 ? "an empty key" : "\"\\\" at the end");
    }
    part->kind = PART_KEY;
    part->key = slice_sub(path, 0, i);
    *ret_len = i;
    return 0;
}

// Takes the first part off `*path`.
static int next_part(Slice *path, PathPart *part, Err *e)
{
    size_t len = 0;
    *part = (PathPart){0};
    int rc = path->len > 0 && path->ptr[0] == '#' ? parse_hash(*path, part, &len, e)
                                                  : parse_key(*path, part, &len, e);
    if (rc != 0) {
        return rc;
    }
    if (len < path->len && path->ptr[len] != '.') {
        return err_set(e, ERR_PARSE, "a \".\" is missing behind \"%.*s\"",
                       SLICE_FMT(slice_sub(*path, 0, len)));
    }
    if (len + 1 == path->len) {
        return err_set(e, ERR_PARSE, "\".\" at the end");
    }
    *path = slice_sub(*path, len + 1, path->len);
    return 0;
}

int json_path_check(Slice path, Err *e)
{
    if (path.len > JSON_PATH_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "a JSON path of more than %d bytes", JSON_PATH_BYTES_MAX);
    }
    // Conditions may stand inside conditions, and evaluation recurses into them.
    size_t conditions = 0;
    for (size_t i = 0; i < path.len; i++) {
        conditions += path.ptr[i] == '(';
    }
    if (conditions > JSON_PATH_CONDITIONS_MAX) {
        return err_set(e, ERR_LIMIT, "a JSON path of more than %d conditions",
                       JSON_PATH_CONDITIONS_MAX);
    }
    Slice rest = path;
    size_t parts = 0;
    do {
        PathPart part;
        int rc = next_part(&rest, &part, e);
        if (rc != 0) {
            return rc;
        }
        if (++parts > JSON_PATH_PARTS_MAX) {
            return err_set(e, ERR_LIMIT, "a JSON path of more than %d parts", JSON_PATH_PARTS_MAX);
        }
    } while (rest.len > 0);
    return 0;
}

// ---- evaluation

// Paths are checked first, so recursion is at most as deep as a path has parts and brackets.
static bool get(JsonValue value, Slice path, Buf *scratch, JsonValue *ret);

static Slice unescape_key(Slice key, char out[JSON_PATH_BYTES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < key.len; i++) {
        i += key.ptr[i] == '\\' && i + 1 < key.len;
        out[n++] = key.ptr[i];
    }
    return (Slice){out, n};
}

static bool get_key(const JsonValue *value, const PathPart *part, JsonValue *ret)
{
    char bytes[JSON_PATH_BYTES_MAX];
    Slice key = part->escaped ? unescape_key(part->key, bytes) : part->key, name = {0};
    Scan s = inside(value);
    if (value->type == JSON_OBJECT) {
        while (next_item(&s, &name, ret)) {
            if (string_is(name, key)) {
                return true;
            }
        }
        return false;
    }
    int64_t index = 0;
    if (value->type != JSON_ARRAY || slice_to_i64(key, &index) != 0 || index < 0) {
        return false;
    }
    for (int64_t i = 0; next_item(&s, NULL, ret); i++) {
        if (i == index) {
            return true;
        }
    }
    return false;
}

// Patterns of "*" and "?": greedy with one point to go back to, O(text * pattern).
static bool is_like(Slice text, Slice pattern)
{
    size_t t = 0, p = 0, star = SIZE_MAX, mark = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.len && (pattern.ptr[p] == '?' || pattern.ptr[p] == text.ptr[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

static bool order_holds(PathOp op, int order)
{
    switch (op) {
    case PATH_EQ: return order == 0;
    case PATH_NE: return order != 0;
    case PATH_LT: return order < 0;
    case PATH_LE: return order <= 0;
    case PATH_GT: return order > 0;
    case PATH_GE: return order >= 0;
    case PATH_EXISTS: return true;
    case PATH_LIKE:
    case PATH_UNLIKE: break;
    }
    return false;
}

static bool string_holds(const PathPart *part, const JsonValue *value)
{
    Slice right = part->quoted ? string_inside(part->right) : part->right;
    Buf text = buf_create(JSON_PATH_RESULT_MAX), wanted = buf_create(JSON_PATH_BYTES_MAX);
    put_string(value->raw, &text);
    if (part->quoted) {
        put_string(part->right, &wanted);
        right = buf_slice(&wanted);
    }
    Slice left = buf_slice(&text);
    bool like = part->op == PATH_LIKE || part->op == PATH_UNLIKE;
    bool holds = like ? is_like(left, right) == (part->op == PATH_LIKE)
                      : order_holds(part->op, slice_cmp(left, right));
    buf_done(&wanted);
    buf_done(&text);
    return holds;
}

static bool number_holds(const PathPart *part, const JsonValue *value)
{
    double left = 0, right = 0;
    if (slice_to_f64(value->raw, &left) != 0) {
        return false;
    }
    if (part->quoted || slice_to_f64(part->right, &right) != 0) {
        return part->op == PATH_NE;
    }
    return order_holds(part->op, left < right ? -1 : left > right);
}

static bool condition_holds(const PathPart *part, const JsonValue *item)
{
    JsonValue value = *item;
    Buf scratch = buf_create(JSON_PATH_RESULT_MAX);
    bool holds = part->left.len == 0 || get(*item, part->left, &scratch, &value);
    if (holds && part->op != PATH_EXISTS) {
        switch (value.type) {
        case JSON_STRING: holds = string_holds(part, &value); break;
        case JSON_NUMBER: holds = number_holds(part, &value); break;
        case JSON_BOOL:
            holds = (part->op == PATH_EQ && slice_eq(value.raw, part->right)) ||
                    (part->op == PATH_NE && !slice_eq(value.raw, part->right));
            break;
        case JSON_NULL:
        case JSON_ARRAY:
        case JSON_OBJECT: holds = false; break;
        }
    }
    buf_done(&scratch);
    return holds;
}

// "#.rest" and "#(...)#.rest": an array of what `rest` gives for each item, made in scratch.
static bool get_each(const JsonValue *array, const PathPart *part, Slice rest, Buf *scratch,
                     JsonValue *ret)
{
    Buf out = buf_create(JSON_PATH_RESULT_MAX), inner = buf_create(JSON_PATH_RESULT_MAX);
    Scan s = inside(array);
    JsonValue item, found;
    buf_putc(&out, '[');
    while (next_item(&s, NULL, &item)) {
        if (part->kind == PART_ALL && !condition_holds(part, &item)) {
            continue;
        }
        found = item;
        if (rest.len == 0 || get(item, rest, &inner, &found)) {
            buf_puts(&out, out.len > 1 ? "," : "");
            buf_append(&out, found.raw);
        }
    }
    buf_putc(&out, ']');
    buf_reset(scratch);
    buf_append(scratch, buf_slice(&out));
    bool fits = !out.overflowed && !scratch->overflowed;
    buf_done(&inner);
    buf_done(&out);
    *ret = (JsonValue){JSON_ARRAY, buf_slice(scratch)};
    return fits;
}

static bool get_count(const JsonValue *array, Buf *scratch, JsonValue *ret)
{
    Scan s = inside(array);
    JsonValue item;
    size_t count = 0;
    while (next_item(&s, NULL, &item)) {
        count++;
    }
    buf_reset(scratch);
    buf_printf(scratch, "%zu", count);
    *ret = (JsonValue){JSON_NUMBER, buf_slice(scratch)};
    return !scratch->overflowed;
}

static bool get_first(const JsonValue *array, const PathPart *part, JsonValue *ret)
{
    Scan s = inside(array);
    while (next_item(&s, NULL, ret)) {
        if (condition_holds(part, ret)) {
            return true;
        }
    }
    return false;
}

static bool get(JsonValue value, Slice path, Buf *scratch, JsonValue *ret)
{
    while (path.len > 0) {
        PathPart part;
        JsonValue next = {0};
        if (next_part(&path, &part, NULL) != 0) {
            return false;
        }
        bool is_container = value.type == JSON_ARRAY || value.type == JSON_OBJECT;
        if (!is_container || (part.kind != PART_KEY && value.type != JSON_ARRAY)) {
            return false;
        }
        switch (part.kind) {
        case PART_KEY:
            if (!get_key(&value, &part, &next)) {
                return false;
            }
            break;
        case PART_FIRST:
            if (!get_first(&value, &part, &next)) {
                return false;
            }
            break;
        case PART_COUNT: return get_count(&value, scratch, ret);
        case PART_EACH:
        case PART_ALL: return get_each(&value, &part, path, scratch, ret);
        }
        value = next;
    }
    *ret = value;
    return true;
}

bool json_path_get(Slice json, Slice path, Buf *scratch, JsonValue *ret_value)
{
    JsonValue value;
    Scan s = scan_of(json);
    buf_reset(scratch);
    if (json.len == 0 || json_path_check(path, NULL) != 0 || !scan_value(&s, &value)) {
        return false;
    }
    return get(value, path, scratch, ret_value);
}
