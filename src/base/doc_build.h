// The half of the Doc tree that only its three readers see: making nodes under limits.
#ifndef BASE_DOC_BUILD_H
#define BASE_DOC_BUILD_H

#include "base/doc.h"

typedef struct DocBuilder {
    Arena *arena;
    const char *source;
    Slice text; // valid UTF-8 without a byte order mark
    size_t max_nodes;
    size_t max_depth;
    size_t max_alias_nodes;
    size_t nodes;
    bool many; // doc_parse_all: the reader returns a DOC_ARRAY of documents
    Err *e;
} DocBuilder;

typedef struct DocPlace {
    int line, column;
} DocPlace;

// A reader: b->text to a tree. Only YAML looks at b->many.
MUST_USE int doc_json_read(DocBuilder *b, Doc **ret_doc);
MUST_USE int doc_yaml_read(DocBuilder *b, Doc **ret_doc);
MUST_USE int doc_toml_read(DocBuilder *b, Doc **ret_doc);

int doc_fail(DocBuilder *b, ErrCode code, DocPlace at, const char *format, ...) PRINTF_LIKE(4, 5);

// A node, counted against max_nodes and against what the arena still holds.
MUST_USE int doc_build_node(DocBuilder *b, DocType type, DocPlace at, Doc **ret_node);
// Copies text into the arena. ERR_LIMIT when it does not fit.
MUST_USE int doc_build_text(DocBuilder *b, DocPlace at, Slice text, Slice *ret_copy);
// Appends to an array or object that is not closed yet.
void doc_build_append(Doc *parent, Doc *child);
// The child appended last to a container that is not closed yet, or NULL.
Doc *doc_build_last(const Doc *parent);
// Sets count and index; finds duplicate keys.
MUST_USE int doc_build_close(DocBuilder *b, Doc *container);

// Where byte `offset` of the text stands.
DocPlace doc_place_of(Slice text, size_t offset);

#endif
