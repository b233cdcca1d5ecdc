// JsonView: values of a JSON text as yyjson reads them, for who reads so many texts that a Doc with
// its places and its arena costs too much. Everything that is not there or has another type reads
// as empty, so a chain of these needs one look at its end. Files and settings go through doc.h,
// which can say where a mistake stands.
//
//     JsonDoc *doc = yyjson_read(text.ptr, text.len, 0);        // NULL: no JSON
//     Slice model = json_text_at(yyjson_doc_get_root(doc), "model");
//     yyjson_doc_free(doc);
//
// This is where yyjson comes into the program. Slices are good as long as the document.
#ifndef BASE_JSON_VIEW_H
#define BASE_JSON_VIEW_H

#include <yyjson.h>

#include "base/slice.h"

typedef yyjson_val JsonVal;
typedef yyjson_doc JsonDoc;

static inline Slice json_text(JsonVal *v)
{
    const char *text = yyjson_get_str(v);
    return (Slice){text, text ? yyjson_get_len(v) : 0};
}
static inline JsonVal *json_at(JsonVal *object, const char *key)
{
    return yyjson_obj_get(object, key);
}
static inline Slice json_text_at(JsonVal *object, const char *key)
{
    return json_text(yyjson_obj_get(object, key));
}
static inline bool json_is_true_at(JsonVal *object, const char *key)
{
    return yyjson_is_true(yyjson_obj_get(object, key));
}
// A whole number, or `otherwise`.
static inline int64_t json_int_at(JsonVal *object, const char *key, int64_t otherwise)
{
    JsonVal *v = yyjson_obj_get(object, key);
    return yyjson_is_int(v) ? yyjson_get_sint(v) : otherwise;
}

#endif
