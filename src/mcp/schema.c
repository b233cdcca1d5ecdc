// Tool parameters that travel as HTTP headers too (2026-07-28, "Custom Headers from Tool
// Parameters", SEP-2243), so that something between us and the server can route by them.
//
// The rules that a client must hold a tool to: the name is a token of RFC 9110, unique without
// regard to case; the property is a string, an integer or a boolean (a number has no one text);
// and it can be reached through `properties` alone, so that its place in the arguments is known
// without evaluating the schema. References are not followed, whoever they point to: fetching one
// would let a server make us talk to anybody (SEP-2106).
#include "mcp/client_impl.h"

#include "base/utf8.h"

enum { PARAMS_MAX = 64, PATH_MAX_LEN = 16, VALUE_BYTES_MAX = 8192 };

typedef struct Walk {
    Arena *arena;
    McpParam params[PARAMS_MAX];
    size_t count;
    Slice path[PATH_MAX_LEN];
    size_t depth;
    Err *e;
} Walk;

static int broken(Walk *w, Slice name, const char *why)
{
    return err_set(w->e, ERR_PROTOCOL, "x-mcp-header '%.*s' %s", SLICE_FMT(slice_sub(name, 0, 80)),
                   why);
}

static int note_param(Walk *w, const Doc *schema, const Doc *header)
{
    Slice name = header->type == DOC_STRING ? header->text : (Slice){"", 0};
    const Doc *type = doc_get(schema, SLICE("type"));
    Slice kind = type && type->type == DOC_STRING ? type->text : (Slice){"", 0};
    if (!http_is_token(name)) {
        return broken(w, name, "is no name for a header");
    }
    if (!slice_eq(kind, SLICE("string")) && !slice_eq(kind, SLICE("integer")) &&
        !slice_eq(kind, SLICE("boolean"))) {
        return broken(w, name, "is on a parameter that is no string, integer or boolean");
    }
    for (size_t i = 0; i < w->count; i++) {
        if (slice_eq_nocase(w->params[i].header, name)) {
            return broken(w, name, "is there twice");
        }
    }
    if (w->count == PARAMS_MAX || w->depth == 0) {
        return broken(w, name, w->depth == 0 ? "is on the whole schema" : "is one too many");
    }
    Slice *path = ARENA_ARRAY(w->arena, Slice, w->depth);
    memcpy(path, w->path, w->depth * sizeof *path);
    w->params[w->count++] = (McpParam){.header = name, .path = path, .path_len = w->depth};
    return 0;
}

// Anywhere but behind `properties` the annotation must not be.
static int find_stray(Walk *w, const Doc *d)
{
    int rc = 0;
    const Doc *header = d->type == DOC_OBJECT ? doc_get(d, SLICE("x-mcp-header")) : NULL;
    if (header) {
        Slice name = header->type == DOC_STRING ? header->text : (Slice){"", 0};
        return broken(w, name, "is where properties alone do not lead");
    }
    for (const Doc *child = doc_first(d); child && rc == 0; child = doc_next(child)) {
        rc = find_stray(w, child);
    }
    return rc;
}

static int walk(Walk *w, const Doc *schema)
{
    const Doc *header = doc_get(schema, SLICE("x-mcp-header"));
    int rc = header ? note_param(w, schema, header) : 0;
    for (const Doc *m = doc_first(schema); m && rc == 0; m = doc_next(m)) {
        bool is_properties = slice_eq(m->key, SLICE("properties")) && m->type == DOC_OBJECT;
        // Values that are data, not schemas.
        if (slice_eq(m->key, SLICE("default")) || slice_eq(m->key, SLICE("const")) ||
            slice_eq(m->key, SLICE("enum")) || slice_eq(m->key, SLICE("examples"))) {
            continue;
        }
        if (!is_properties) {
            rc = find_stray(w, m);
            continue;
        }
        for (const Doc *p = doc_first(m); p && rc == 0; p = doc_next(p)) {
            if (w->depth == PATH_MAX_LEN) {
                rc = find_stray(w, p);
                continue;
            }
            w->path[w->depth++] = p->key;
            rc = walk(w, p);
            w->depth--;
        }
    }
    return rc;
}

int mcp_params_of(Arena *arena, const Doc *input_schema, const McpParam **ret_params,
                  size_t *ret_count, Err *e)
{
    Walk *w = mem_zalloc(sizeof *w);
    w->arena = arena;
    w->e = e;
    int rc = walk(w, input_schema);
    if (rc == 0) {
        McpParam *params = ARENA_ARRAY(arena, McpParam, w->count + 1);
        memcpy(params, w->params, w->count * sizeof *params);
        *ret_params = params;
        *ret_count = w->count;
    }
    free(w);
    return rc;
}

// ---- values

static bool is_plain(Slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || (unsigned char)text.ptr[i] > 0x7e) {
            return false;
        }
    }
    // What looks like the encoding would be decoded; blanks at the ends would be cut off.
    bool looks_encoded =
        slice_starts_with(text, SLICE("=?base64?")) && slice_ends_with(text, SLICE("?="));
    return !looks_encoded && slice_trim(text).len == text.len;
}

Slice mcp_header_value(Arena *arena, Slice text)
{
    if (is_plain(text)) {
        return text;
    }
    Buf out = buf_create(text.len * 2 + 64);
    buf_puts(&out, "=?base64?");
    buf_append_base64(&out, text.ptr, text.len);
    buf_puts(&out, "?=");
    Slice copy = arena_copy(arena, buf_slice(&out));
    buf_done(&out);
    return copy;
}

static bool value_text(const Doc *value, Slice *ret)
{
    if (!value) {
        return false;
    }
    switch (value->type) {
    case DOC_STRING:
    case DOC_INT:
    case DOC_FLOAT: *ret = value->text; return true;
    case DOC_BOOL: *ret = value->boolean ? SLICE("true") : SLICE("false"); return true;
    case DOC_NULL:
    case DOC_ARRAY:
    case DOC_OBJECT:
    case DOC_DATETIME: break;
    }
    return false;
}

size_t mcp_param_headers(Arena *arena, const McpTool *tool, const Doc *arguments,
                         HttpHeader *ret_headers, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < tool->param_count && count < max; i++) {
        const McpParam *param = &tool->params[i];
        const Doc *value = arguments;
        for (size_t k = 0; k < param->path_len; k++) {
            value = doc_get(value, param->path[k]);
        }
        Slice text;
        if (value_text(value, &text)) {
            Slice encoded = mcp_header_value(arena, text);
            if (encoded.len <= VALUE_BYTES_MAX) {
                ret_headers[count++] = (HttpHeader){
                    arena_printf(arena, "Mcp-Param-%.*s", SLICE_FMT(param->header)), encoded};
            }
        }
    }
    return count;
}
