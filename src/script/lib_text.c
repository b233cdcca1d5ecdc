#include "script/engine.h"

#include "base/utf8.h"

// What prompts and tool results need of text, measured in the bytes that are sent.

static int byte_length(ScriptCall *call, Err *e)
{
    Slice text;
    int rc = script_arg_to_string(call, 0, "the text", &text, e);
    if (rc == 0) {
        script_return_number(call, (double)text.len);
    }
    return rc;
}

// At most so many bytes, no character cut in two.
static int truncate_text(ScriptCall *call, Err *e)
{
    Slice text;
    int64_t max = 0;
    int rc = script_arg_to_string(call, 0, "the text", &text, e);
    if (rc == 0) {
        rc = script_arg_to_int(call, 1, "the number of bytes", &max, e);
    }
    if (rc != 0) {
        return rc;
    }
    size_t len = max < 0 ? 0 : (uint64_t)max > text.len ? text.len : (size_t)max;
    while (len > 0 && len < text.len && ((unsigned char)text.ptr[len] & 0xC0) == 0x80) {
        len--;
    }
    script_return_string(call, slice_sub(text, 0, len));
    return 0;
}

static int display_width(ScriptCall *call, Err *e)
{
    Slice text;
    int rc = script_arg_to_string(call, 0, "the text", &text, e);
    if (rc == 0) {
        script_return_number(call, utf8_width(text));
    }
    return rc;
}

// Control characters made visible, for terminals and logs.
static int escape_text(ScriptCall *call, Err *e)
{
    Slice text;
    int rc = script_arg_to_string(call, 0, "the text", &text, e);
    if (rc != 0) {
        return rc;
    }
    Buf out = buf_create(text.len * 10 + 1);
    utf8_sanitise(&out, text);
    script_return_string(call, buf_slice(&out));
    buf_done(&out);
    return 0;
}

// "{{name}}" becomes the member of that name; an unknown name is an error, so that no prompt is
// sent with a hole in it.
static int render(ScriptCall *call, Err *e)
{
    Slice text, name, rest;
    int rc = script_arg_to_string(call, 0, "the template", &text, e);
    Buf out = buf_create(DOC_BYTES_MAX);
    Arena *arena = arena_create((size_t)64 << 20);
    const Doc *values = NULL;
    if (rc == 0) {
        rc = script_arg_to_doc(call, 1, "the values", arena, &values, e);
    }
    while (rc == 0 && text.len > 0) {
        ptrdiff_t open = slice_find(text, SLICE("{{"));
        rest = open < 0 ? (Slice){NULL, 0} : slice_sub(text, (size_t)open + 2, text.len);
        ptrdiff_t close = slice_find(rest, SLICE("}}"));
        if (open < 0 || close < 0) {
            buf_append(&out, text);
            break;
        }
        buf_append(&out, slice_sub(text, 0, (size_t)open));
        name = slice_trim(slice_sub(rest, 0, (size_t)close));
        const Doc *value = doc_get(values, name);
        if (!value) {
            rc = err_set(e, ERR_NOT_FOUND, "the template names \"%.*s\", which is not given",
                         SLICE_FMT(name));
        } else {
            buf_append(&out, value->type == DOC_BOOL
                                 ? slice_from_cstr(value->boolean ? "true" : "false")
                             : value->type == DOC_NULL ? SLICE("null")
                                                       : value->text);
        }
        text = slice_sub(rest, (size_t)close + 2, rest.len);
    }
    if (rc == 0) {
        rc = buf_check(&out, "the rendered text", e);
    }
    if (rc == 0) {
        script_return_string(call, buf_slice(&out));
    }
    buf_done(&out);
    arena_destroy(arena);
    return rc;
}

static const ScriptFunction functions[] = {
    {"byteLength", 1, byte_length}, {"truncate", 2, truncate_text}, {"width", 1, display_width},
    {"escape", 1, escape_text},     {"render", 2, render},
};
const ScriptModule script_text = {SCRIPT_IMPORT, "text", functions, COUNT_OF(functions)};
