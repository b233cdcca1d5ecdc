#include "script/engine.h"

// Values across the border. What leaves a script is JSON as JSON.stringify means it (toJSON,
// undefined, functions, NaN, cycles), so there is one set of rules to know.

// The engine writes a lone surrogate as three bytes ED A0..BF xx, which is no UTF-8.
static void repair_surrogates(char *text, size_t len)
{
    for (size_t i = 0; i + 2 < len; i++) {
        if ((unsigned char)text[i] == 0xED && (unsigned char)text[i + 1] >= 0xA0) {
            memcpy(text + i, "\xEF\xBF\xBD", 3);
            i += 2;
        }
    }
}

bool script_append_text(JSContext *ctx, JSValueConst value, Buf *out)
{
    size_t len;
    const char *text = JS_ToCStringLen(ctx, &len, value);
    if (!text) {
        return false;
    }
    size_t before = out->len;
    buf_append(out, (Slice){text, len});
    if (out->len > before) {
        repair_surrogates(out->data + before, out->len - before);
    }
    JS_FreeCString(ctx, text);
    return true;
}

static bool is_surrogate_escape(const char *json)
{
    return json[1] == 'u' && (json[2] == 'd' || json[2] == 'D') && json[3] != '\0' &&
           strchr("89abcdefABCDEF", json[3]) != NULL;
}

// JSON.stringify escapes a surrogate only when it has no partner, so each such escape is a lone
// one.
void script_repair_escapes(char *json, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (json[i] != '\\') {
            continue;
        }
        if (i + 5 < len && is_surrogate_escape(json + i)) {
            memcpy(json + i + 2, "fffd", 4);
        }
        i++;
    }
}

int script_append_json(JSContext *ctx, JSValueConst value, Buf *out, bool *ret_any)
{
    *ret_any = false;
    JSValue json = JS_JSONStringify(ctx, value, JS_UNDEFINED, JS_UNDEFINED);
    if (JS_IsException(json)) {
        return -1;
    }
    bool ok = true;
    if (JS_IsString(json)) {
        *ret_any = true;
        size_t before = out->len;
        ok = script_append_text(ctx, json, out);
        if (out->len > before) {
            script_repair_escapes(out->data + before, out->len - before);
        }
    }
    JS_FreeValue(ctx, json);
    return ok ? 0 : -1;
}

JSValue script_value_of_json(Script *s, Slice json)
{
    buf_reset(&s->scratch);
    buf_append(&s->scratch, json);
    if (s->scratch.overflowed) {
        s->heap_exceeded = true;
        return JS_ThrowOutOfMemory(s->ctx);
    }
    // The engine reads past an invalid byte in its own way; what is not text is refused before.
    return JS_ParseJSON(s->ctx, s->scratch.data ? s->scratch.data : "", json.len, "json");
}

// Members are defined, not set: a key "__proto__" is a member like any other.
static bool add_member(Script *s, JSValue object, const Doc *member, JSValue value)
{
    JSAtom key = JS_NewAtomLen(s->ctx, member->key.len ? member->key.ptr : "", member->key.len);
    if (key == JS_ATOM_NULL) {
        JS_FreeValue(s->ctx, value);
        return false;
    }
    int rc = JS_DefinePropertyValue(s->ctx, object, key, value, JS_PROP_C_W_E);
    JS_FreeAtom(s->ctx, key);
    return rc >= 0;
}

static JSValue container_of_doc(Script *s, const Doc *doc)
{
    bool is_array = doc->type == DOC_ARRAY;
    JSValue container = is_array ? JS_NewArray(s->ctx) : JS_NewObject(s->ctx);
    uint32_t index = 0;
    for (const Doc *item = doc_first(doc); item && !JS_IsException(container);
         item = doc_next(item)) {
        JSValue value = script_value_of_doc(s, item);
        bool ok = !JS_IsException(value);
        if (ok && is_array) {
            ok =
                JS_DefinePropertyValueUint32(s->ctx, container, index++, value, JS_PROP_C_W_E) >= 0;
        } else if (ok) {
            ok = add_member(s, container, item, value);
        }
        if (!ok) {
            JS_FreeValue(s->ctx, container);
            container = JS_EXCEPTION;
        }
    }
    return container;
}

// As deep as the document, which its reader limits to DOC_DEPTH_MAX.
JSValue script_value_of_doc(Script *s, const Doc *doc)
{
    switch (doc->type) {
    case DOC_NULL: return JS_NULL;
    case DOC_BOOL: return JS_NewBool(s->ctx, doc->boolean);
    case DOC_INT: return JS_NewInt64(s->ctx, doc->integer);
    case DOC_FLOAT: return JS_NewFloat64(s->ctx, doc->real);
    case DOC_STRING:
    case DOC_DATETIME:
        return JS_NewStringLen(s->ctx, doc->text.len ? doc->text.ptr : "", doc->text.len);
    case DOC_ARRAY:
    case DOC_OBJECT: return container_of_doc(s, doc);
    }
    die("a document node of type %d", (int)doc->type);
}
