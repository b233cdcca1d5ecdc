#include "base/doc_build.h"

#include <stdarg.h>

int doc_fail(DocBuilder *b, ErrCode code, DocPlace at, const char *format, ...)
{
    char words[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    return err_set(b->e, code, "%s:%d:%d: %s", b->source, at.line, at.column, words);
}

// What alignment and the closing NUL may add to an allocation.
enum { ARENA_SLACK = 32 };

// An arena past its ceiling ends the process, so input is checked here first.
static int arena_has(DocBuilder *b, DocPlace at, size_t bytes)
{
    size_t left = arena_left(b->arena);
    if (bytes > left || left - bytes < ARENA_SLACK) {
        return doc_fail(b, ERR_LIMIT, at, "the document needs more memory than it may have");
    }
    return 0;
}

int doc_build_node(DocBuilder *b, DocType type, DocPlace at, Doc **ret_node)
{
    if (b->nodes >= b->max_nodes) {
        return doc_fail(b, ERR_LIMIT, at, "more than %zu values", b->max_nodes);
    }
    int rc = arena_has(b, at, sizeof(Doc));
    if (rc != 0) {
        return rc;
    }
    Doc *node = ARENA_NEW(b->arena, Doc);
    node->type = type;
    node->line = at.line;
    node->column = at.column;
    node->source = b->source;
    b->nodes++;
    *ret_node = node;
    return 0;
}

int doc_build_text(DocBuilder *b, DocPlace at, Slice text, Slice *ret_copy)
{
    int rc = arena_has(b, at, text.len);
    if (rc == 0) {
        *ret_copy = arena_copy(b->arena, text);
    }
    return rc;
}

// Until the container is closed, index_ holds its last child: one pointer serves twice.
Doc *doc_build_last(const Doc *parent)
{
    return (Doc *)(void *)parent->index_;
}

void doc_build_append(Doc *parent, Doc *child)
{
    Doc *last = doc_build_last(parent);
    if (last) {
        last->next_ = child;
    } else {
        parent->first_ = child;
    }
    parent->index_ = (Doc **)(void *)child;
    parent->count_++;
}

// By key, then by position, so that the first of two equal keys comes first.
static int compare_members(const void *a, const void *b)
{
    const Doc *x = *(Doc *const *)a, *y = *(Doc *const *)b;
    int order = slice_cmp(x->key, y->key);
    if (order != 0) {
        return order;
    }
    if (x->key_line != y->key_line) {
        return x->key_line < y->key_line ? -1 : 1;
    }
    return x->key_column < y->key_column ? -1 : x->key_column > y->key_column;
}

int doc_build_close(DocBuilder *b, Doc *container)
{
    DocPlace at = {container->line, container->column};
    container->index_ = NULL;
    if (container->count_ == 0) {
        return 0;
    }
    int rc = arena_has(b, at, container->count_ * sizeof(Doc *));
    if (rc != 0) {
        return rc;
    }
    container->index_ = ARENA_ARRAY(b->arena, Doc *, container->count_);
    size_t n = 0;
    for (Doc *m = container->first_; m; m = m->next_) {
        container->index_[n++] = m;
    }
    if (container->type == DOC_ARRAY) {
        return 0;
    }
    qsort(container->index_, n, sizeof(Doc *), compare_members);
    for (size_t i = 1; i < n; i++) {
        const Doc *first = container->index_[i - 1], *second = container->index_[i];
        if (slice_eq(first->key, second->key)) {
            return doc_fail(b, ERR_PARSE, (DocPlace){second->key_line, second->key_column},
                            "\"%.*s\" is there twice; the first is at line %d, column %d",
                            SLICE_FMT(second->key), first->key_line, first->key_column);
        }
    }
    return 0;
}

DocPlace doc_place_of(Slice text, size_t offset)
{
    DocPlace at = {1, 1};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            at.line++;
            at.column = 1;
        } else if ((text.ptr[i] & 0xC0) != 0x80) {
            at.column++;
        }
    }
    return at;
}
