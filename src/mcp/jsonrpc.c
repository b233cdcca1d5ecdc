#include "mcp/jsonrpc.h"

#include "base/json_write.h"

// ---- the tree

static int bad(Err *e, const char *what)
{
    return err_set(e, ERR_PROTOCOL, "not a message of JSON-RPC 2.0: %s", what);
}

static int read_id(const Doc *id, RpcId *ret, Err *e)
{
    if (!id || id->type == DOC_NULL) {
        *ret = (RpcId){.kind = RPC_ID_NONE};
    } else if (id->type == DOC_INT) {
        *ret = (RpcId){.kind = RPC_ID_NUMBER, .number = id->integer};
    } else if (id->type == DOC_STRING && id->text.len <= RPC_ID_BYTES_MAX) {
        *ret = (RpcId){.kind = RPC_ID_TEXT, .text = id->text};
    } else {
        return bad(e, "its id is neither a whole number nor a short string");
    }
    return 0;
}

static int read_error(const Doc *error, RpcMessage *m, Err *e)
{
    const Doc *code = doc_get(error, SLICE("code"));
    const Doc *message = doc_get(error, SLICE("message"));
    if (!code || code->type != DOC_INT) {
        return bad(e, "its error has no code");
    }
    m->kind = RPC_ERROR;
    m->error_code = code->integer;
    m->error_message = message && message->type == DOC_STRING ? message->text : SLICE("");
    m->error_data = doc_get(error, SLICE("data"));
    return 0;
}

static int read_call(const Doc *root, const Doc *method, RpcMessage *m, Err *e)
{
    if (method->type != DOC_STRING || method->text.len == 0) {
        return bad(e, "its method is no name");
    }
    m->method = method->text;
    m->params = doc_get(root, SLICE("params"));
    if (m->params && m->params->type != DOC_OBJECT) {
        return bad(e, "its params are no object");
    }
    const Doc *id = doc_get(root, SLICE("id"));
    m->kind = id ? RPC_REQUEST : RPC_NOTIFICATION;
    if (id && id->type == DOC_NULL) {
        return bad(e, "the id of a request is null");
    }
    return 0;
}

int rpc_parse(Arena *arena, Slice text, const DocOptions *limits, RpcMessage *ret_message, Err *e)
{
    static const DocOptions DEFAULTS = {.format = DOC_FORMAT_JSON,
                                        .source = "message",
                                        .max_bytes = RPC_BYTES_MAX,
                                        .max_depth = RPC_DEPTH_MAX};
    const Doc *root = NULL;
    int rc = doc_parse(arena, text, limits ? limits : &DEFAULTS, &root, e);
    if (rc != 0) {
        return rc;
    }
    const Doc *version = doc_get(root, SLICE("jsonrpc"));
    if (!version || version->type != DOC_STRING || !slice_eq(version->text, SLICE("2.0"))) {
        return bad(e, "\"jsonrpc\" is not \"2.0\"");
    }
    RpcMessage m = {0};
    rc = read_id(doc_get(root, SLICE("id")), &m.id, e);
    if (rc != 0) {
        return rc;
    }
    const Doc *method = doc_get(root, SLICE("method"));
    const Doc *result = doc_get(root, SLICE("result"));
    const Doc *error = doc_get(root, SLICE("error"));
    if ((method != NULL) + (result != NULL) + (error != NULL) != 1) {
        return bad(e, "it needs exactly one of method, result and error");
    }
    if (method) {
        rc = read_call(root, method, &m, e);
    } else if (error) {
        rc = read_error(error, &m, e);
    } else if (result->type != DOC_OBJECT || m.id.kind == RPC_ID_NONE) {
        rc = bad(e, "a result needs an id and an object");
    } else {
        m.kind = RPC_RESULT;
        m.result = result;
    }
    if (rc == 0) {
        *ret_message = m;
    }
    return rc;
}

// ---- looking over

enum { BEFORE_KEY, BEFORE_COLON, BEFORE_VALUE };

RpcSkim rpc_skim(int depth_max)
{
    return (RpcSkim){.depth_max = depth_max};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void keep(RpcSkim *s, char c)
{
    // One more than fits marks what is too long to be one of the names we look for.
    if (s->kept < (int)sizeof s->text) {
        s->text[s->kept++] = c;
    }
}

static void note_id(RpcSkim *s)
{
    s->in_id = false;
    s->has_id = s->kept > 0 && !(s->kept == 4 && memcmp(s->text, "null", 4) == 0);
    s->id_is_number = slice_to_i64((Slice){s->text, (size_t)s->kept}, &s->id) == 0;
}

static void note_key(RpcSkim *s)
{
    Slice key = {s->text, (size_t)s->kept};
    s->place = BEFORE_COLON;
    s->in_id = slice_eq(key, SLICE("id"));
    s->has_method |= slice_eq(key, SLICE("method"));
    s->has_result |= slice_eq(key, SLICE("result"));
    s->has_error |= slice_eq(key, SLICE("error"));
}

static void in_text(RpcSkim *s, char c)
{
    if (s->escaped) {
        s->escaped = false;
    } else if (c == '\\') {
        s->escaped = true;
    } else if (c == '"') {
        s->in_text = false;
        if (s->depth == 1 && s->place == BEFORE_KEY) {
            note_key(s);
            return;
        }
    }
    if (s->depth == 1) {
        keep(s, c);
    }
}

static int open_level(RpcSkim *s, char c, Err *e)
{
    if (s->depth == 0 && (s->began || c != '{')) {
        return err_set(e, ERR_PARSE, "a message must be one JSON object");
    }
    s->began = true;
    if (++s->depth > s->depth_max) {
        return err_set(e, ERR_LIMIT, "the message is nested deeper than %d levels", s->depth_max);
    }
    return 0;
}

static int close_level(RpcSkim *s, Err *e)
{
    if (s->depth == 0) {
        return err_set(e, ERR_PARSE, "a bracket is closed that was never opened");
    }
    if (s->depth == 1 && s->in_id) {
        note_id(s);
    }
    s->depth--;
    s->over = s->depth == 0;
    return 0;
}

// Inside of the outermost object, outside of texts.
static void at_top(RpcSkim *s, char c)
{
    if (c == ':' && s->place == BEFORE_COLON) {
        s->place = BEFORE_VALUE;
        s->kept = 0;
    } else if (c == ',') {
        if (s->in_id) {
            note_id(s);
        }
        s->place = BEFORE_KEY;
    } else if (s->place == BEFORE_VALUE && !is_space(c)) {
        keep(s, c);
    }
}

static int outside_text(RpcSkim *s, char c, Err *e)
{
    if (s->depth == 0 && !is_space(c) && c != '{' && c != '[') {
        return err_set(e, ERR_PARSE, "a message must be one JSON object");
    }
    switch (c) {
    case '{':
    case '[':
        // A structured id is no id: make it one that matches nothing.
        if (s->depth == 1 && s->in_id) {
            keep(s, c);
        }
        return open_level(s, c, e);
    case '}':
    case ']': return close_level(s, e);
    case '"':
        s->in_text = true;
        if (s->depth == 1 && s->place == BEFORE_KEY) {
            s->kept = 0;
        } else if (s->depth == 1) {
            keep(s, c);
        }
        return 0;
    default:
        if (s->depth == 1) {
            at_top(s, c);
        }
        return 0;
    }
}

int rpc_skim_feed(RpcSkim *s, Slice bytes, Err *e)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.ptr[i];
        if (s->in_text) {
            in_text(s, c);
            continue;
        }
        int rc = outside_text(s, c, e);
        if (rc != 0) {
            return rc;
        }
    }
    s->bytes += bytes.len;
    return 0;
}

int rpc_skim_end(RpcSkim *s, Err *e)
{
    if (!s->over) {
        return err_set(e, ERR_PARSE, "the message is cut off after %llu bytes",
                       (unsigned long long)s->bytes);
    }
    return 0;
}

// ---- writing

static void write_id(Buf *out, RpcId id)
{
    switch (id.kind) {
    case RPC_ID_NONE: buf_puts(out, "null"); break;
    case RPC_ID_NUMBER: buf_printf(out, "%lld", (long long)id.number); break;
    case RPC_ID_TEXT: json_quote(out, id.text); break;
    }
}

static void write_params(Buf *out, Slice method, Slice params)
{
    buf_puts(out, "\"method\":");
    json_quote(out, method);
    if (params.len > 0) {
        buf_puts(out, ",\"params\":");
        buf_append(out, params);
    }
    buf_putc(out, '}');
}

void rpc_write_request(Buf *out, int64_t id, Slice method, Slice params)
{
    buf_printf(out, "{\"jsonrpc\":\"2.0\",\"id\":%lld,", (long long)id);
    write_params(out, method, params);
}

void rpc_write_notification(Buf *out, Slice method, Slice params)
{
    buf_puts(out, "{\"jsonrpc\":\"2.0\",");
    write_params(out, method, params);
}

void rpc_write_result(Buf *out, RpcId id, Slice result)
{
    buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    write_id(out, id);
    buf_puts(out, ",\"result\":");
    buf_append(out, result);
    buf_putc(out, '}');
}

void rpc_write_error(Buf *out, RpcId id, int64_t code, Slice message)
{
    buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    write_id(out, id);
    buf_printf(out, ",\"error\":{\"code\":%lld,\"message\":", (long long)code);
    json_quote(out, message);
    buf_puts(out, "}}");
}

const char *rpc_error_name(int64_t code)
{
    static const struct {
        int64_t code;
        const char *name;
    } NAMES[] = {
        {RPC_PARSE_ERROR, "parse error"},
        {RPC_INVALID_REQUEST, "invalid request"},
        {RPC_METHOD_NOT_FOUND, "method not found"},
        {RPC_INVALID_PARAMS, "invalid params"},
        {RPC_INTERNAL_ERROR, "internal error"},
        {RPC_LEGACY_NOT_FOUND, "resource not found"},
        {RPC_HEADER_MISMATCH, "header mismatch"},
        {RPC_MISSING_CAPABILITY, "missing client capability"},
        {RPC_UNSUPPORTED_VERSION, "unsupported protocol version"},
    };
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (NAMES[i].code == code) {
            return NAMES[i].name;
        }
    }
    return "server error";
}
