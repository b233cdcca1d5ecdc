// JSON over yyjson. yyjson checks the grammar and decodes the values but keeps no positions; it
// stores them in the order of the text, keys included, so one walk over the text in step with that
// array finds where each began. The walk needs no error handling: the text is known to be valid.
#include "base/doc_build.h"

#include "base/json_view.h"

typedef struct Cursor {
    const char *at, *end;
    DocPlace place;
} Cursor;

typedef struct Frame {
    Doc *container;
    size_t left; // items or members still to come
    bool key_read;
    Slice key;
    DocPlace key_place;
} Frame;

typedef struct JsonReader {
    DocBuilder *b;
    Cursor cursor;
    Frame stack[DOC_DEPTH_MAX];
    size_t depth;
} JsonReader;

static void step(Cursor *c)
{
    if (*c->at == '\n') {
        c->place.line++;
        c->place.column = 1;
    } else if ((*c->at & 0xC0) != 0x80) {
        c->place.column++;
    }
    c->at++;
}

// Everything between two tokens that are values, closing brackets included.
static void skip_between(Cursor *c)
{
    while (c->at < c->end && strchr(" \t\r\n,:]}", *c->at)) {
        step(c);
    }
}

// Steps over the token at the cursor and returns its text; a bracket is a token by itself.
static Slice take_token(Cursor *c)
{
    const char *start = c->at;
    step(c);
    if (*start == '"') {
        while (*c->at != '"') {
            if (*c->at == '\\') {
                step(c);
            }
            step(c);
        }
        step(c);
    } else if (*start != '{' && *start != '[') {
        while (c->at < c->end && !strchr(" \t\r\n,:]}", *c->at)) {
            step(c);
        }
    }
    return (Slice){start, (size_t)(c->at - start)};
}

static int read_value(JsonReader *r, yyjson_val *val, Doc **ret_node)
{
    DocBuilder *b = r->b;
    DocPlace at = r->cursor.place;
    Slice token = take_token(&r->cursor);
    Doc *node = NULL;
    int rc = doc_build_node(b, DOC_NULL, at, &node);
    if (rc != 0) {
        return rc;
    }
    *ret_node = node;
    if (yyjson_is_str(val)) {
        node->type = DOC_STRING;
        return doc_build_text(b, at, (Slice){yyjson_get_str(val), yyjson_get_len(val)},
                              &node->text);
    }
    if (yyjson_is_num(val)) {
        bool fits = yyjson_is_sint(val) ||
                    (yyjson_is_uint(val) && yyjson_get_uint(val) <= (uint64_t)INT64_MAX);
        node->type = fits ? DOC_INT : DOC_FLOAT;
        if (fits) {
            node->integer = yyjson_get_sint(val);
        } else {
            node->real = yyjson_get_num(val);
        }
        return doc_build_text(b, at, token, &node->text);
    }
    if (yyjson_is_bool(val)) {
        node->type = DOC_BOOL;
        node->boolean = yyjson_get_bool(val);
    } else if (yyjson_is_ctn(val)) {
        node->type = yyjson_is_obj(val) ? DOC_OBJECT : DOC_ARRAY;
    }
    return 0;
}

static int read_key(JsonReader *r, Frame *frame, yyjson_val *val)
{
    frame->key_place = r->cursor.place;
    frame->key_read = true;
    (void)take_token(&r->cursor);
    return doc_build_text(r->b, frame->key_place, (Slice){yyjson_get_str(val), yyjson_get_len(val)},
                          &frame->key);
}

static void attach(Frame *frame, Doc *node)
{
    if (frame->container->type == DOC_OBJECT) {
        node->key = frame->key;
        node->key_line = frame->key_place.line;
        node->key_column = frame->key_place.column;
        frame->key_read = false;
    }
    doc_build_append(frame->container, node);
    frame->left--;
}

static int push(JsonReader *r, Doc *container, size_t len)
{
    if (r->depth == r->b->max_depth) {
        return doc_fail(r->b, ERR_LIMIT, (DocPlace){container->line, container->column},
                        "nested deeper than %zu levels", r->b->max_depth);
    }
    r->stack[r->depth++] = (Frame){.container = container, .left = len};
    return 0;
}

static int close_finished(JsonReader *r)
{
    while (r->depth > 0 && r->stack[r->depth - 1].left == 0) {
        int rc = doc_build_close(r->b, r->stack[--r->depth].container);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int walk(JsonReader *r, yyjson_doc *json, Doc **ret_doc)
{
    yyjson_val *vals = yyjson_doc_get_root(json);
    size_t count = yyjson_doc_get_val_count(json);
    for (size_t i = 0; i < count; i++) {
        skip_between(&r->cursor);
        Frame *top = r->depth ? &r->stack[r->depth - 1] : NULL;
        int rc = 0;
        if (top && top->container->type == DOC_OBJECT && !top->key_read) {
            if ((rc = read_key(r, top, vals + i)) != 0) {
                return rc;
            }
            continue;
        }
        Doc *node = NULL;
        if ((rc = read_value(r, vals + i, &node)) != 0) {
            return rc;
        }
        if (top) {
            attach(top, node);
        } else {
            *ret_doc = node;
        }
        if (yyjson_is_ctn(vals + i) && (rc = push(r, node, yyjson_get_len(vals + i))) != 0) {
            return rc;
        }
        if ((rc = close_finished(r)) != 0) {
            return rc;
        }
    }
    return 0;
}

int doc_json_read(DocBuilder *b, Doc **ret_doc)
{
    yyjson_read_err why = {0};
    Slice text = b->text.len ? b->text : SLICE(" ");
    // Without YYJSON_READ_INSITU the text is only read; the cast is for yyjson's signature.
    yyjson_doc *json = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, 0, NULL, &why);
    if (!json && why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        die("out of memory for a JSON text of %zu bytes", text.len);
    }
    if (!json) {
        return doc_fail(b, ERR_PARSE, doc_place_of(text, why.pos), "%s", why.msg);
    }
    JsonReader r = {.b = b, .cursor = {text.ptr, text.ptr + text.len, {1, 1}}};
    Doc *doc = NULL;
    int rc = walk(&r, json, &doc);
    yyjson_doc_free(json);
    if (rc == 0) {
        *ret_doc = doc;
    }
    return rc;
}
