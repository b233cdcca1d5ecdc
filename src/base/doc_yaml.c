// YAML over libyaml's events. libyaml is a YAML 1.1 parser, but its events leave plain scalars
// unresolved, so the scalar rules here can be those of YAML 1.2's core schema (section 10.3.2 of
// the specification). Aliases are expanded by copying, which the alias limit bounds; the copy keeps
// the positions of the original, because that is where a mistake in it has to be corrected.
#include "base/doc_build.h"

#include <math.h>
#include <yaml.h>

// Aliases are looked up by walking the anchors, so their number is bounded too.
enum { ANCHORS_MAX = 1000 };

typedef struct Anchor Anchor;
struct Anchor {
    Anchor *older;
    Slice name;
    const Doc *node;
    bool open; // its container is still being read; an alias inside it would never end
};

typedef struct Frame {
    Doc *container;
    Anchor *anchor; // of the container, closed with it
    bool key_read;
    Slice key;
    DocPlace key_place;
} Frame;

typedef struct YamlReader {
    DocBuilder *b;
    yaml_parser_t parser;
    Frame stack[DOC_DEPTH_MAX + 1]; // and the array of documents
    size_t depth;
    Anchor *anchors;
    size_t anchor_count;
    size_t alias_nodes;
    size_t documents;
    Doc *root;
} YamlReader;

static DocPlace place_of(yaml_mark_t mark)
{
    return (DocPlace){(int)mark.line + 1, (int)mark.column + 1};
}

static Slice from_yaml(const yaml_char_t *text, size_t len)
{
    return (Slice){(const char *)text, len};
}

static bool one_of(Slice text, const char *const *words)
{
    for (; *words; words++) {
        if (slice_eq_cstr(text, *words)) {
            return true;
        }
    }
    return false;
}

static const char *const NULLS[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const TRUES[] = {"true", "True", "TRUE", NULL};
static const char *const FALSES[] = {"false", "False", "FALSE", NULL};
static const char *const INFS[] = {".inf", ".Inf", ".INF", NULL};
static const char *const NANS[] = {".nan", ".NaN", ".NAN", NULL};

static size_t skip_digits(Slice s, size_t at)
{
    while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9') {
        at++;
    }
    return at;
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
static bool looks_decimal(Slice s)
{
    size_t at = s.len && (s.ptr[0] == '-' || s.ptr[0] == '+') ? 1 : 0;
    size_t whole = skip_digits(s, at) - at;
    at += whole;
    if (at < s.len && s.ptr[at] == '.') {
        size_t after = skip_digits(s, at + 1);
        if (whole == 0 && after == at + 1) {
            return false;
        }
        at = after;
    } else if (whole == 0) {
        return false;
    }
    if (at < s.len && (s.ptr[at] == 'e' || s.ptr[at] == 'E')) {
        at++;
        at += at < s.len && (s.ptr[at] == '-' || s.ptr[at] == '+') ? 1 : 0;
        size_t end = skip_digits(s, at);
        if (end == at) {
            return false;
        }
        at = end;
    }
    return at == s.len;
}

// 0o[0-7]+ and 0x[0-9a-fA-F]+, which take no sign.
static bool read_prefixed(Slice s, Doc *node)
{
    if (s.len < 3 || s.ptr[0] != '0' || (s.ptr[1] != 'o' && s.ptr[1] != 'x')) {
        return false;
    }
    int base = s.ptr[1] == 'o' ? 8 : 16;
    int64_t exact = 0;
    double rounded = 0;
    bool fits = true;
    for (size_t i = 2; i < s.len; i++) {
        char c = s.ptr[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : 99;
        if (digit >= base) {
            return false;
        }
        fits = fits && !__builtin_mul_overflow(exact, base, &exact) &&
               !__builtin_add_overflow(exact, digit, &exact);
        rounded = rounded * base + digit;
    }
    if (!isfinite(rounded)) {
        return false;
    }
    node->type = fits ? DOC_INT : DOC_FLOAT;
    if (fits) {
        node->integer = exact;
    } else {
        node->real = rounded;
    }
    return true;
}

static bool read_inf_or_nan(Slice s, Doc *node)
{
    bool sign = s.len && (s.ptr[0] == '-' || s.ptr[0] == '+');
    if (one_of(slice_sub(s, sign, s.len), INFS)) {
        node->real = s.ptr[0] == '-' ? -(double)INFINITY : (double)INFINITY;
    } else if (one_of(s, NANS)) {
        node->real = (double)NAN;
    } else {
        return false;
    }
    node->type = DOC_FLOAT;
    return true;
}

// node->text is the scalar, NUL-terminated; sets type and value when it is a number.
static int read_number(DocBuilder *b, Doc *node, bool *ret_is_number)
{
    *ret_is_number = true;
    if (read_prefixed(node->text, node) || read_inf_or_nan(node->text, node)) {
        return 0;
    }
    if (!looks_decimal(node->text)) {
        *ret_is_number = false;
        return 0;
    }
    if (slice_to_i64(node->text, &node->integer) == 0) {
        node->type = DOC_INT;
        return 0;
    }
    node->type = DOC_FLOAT;
    node->real = strtod(node->text.ptr, NULL);
    if (!isfinite(node->real)) {
        return doc_fail(b, ERR_PARSE, (DocPlace){node->line, node->column}, "number is too large");
    }
    return 0;
}

// The core schema's table: null, bool, int and float by their look, everything else a string.
static int resolve_plain(DocBuilder *b, Doc *node)
{
    bool is_number = false;
    int rc = read_number(b, node, &is_number);
    if (rc != 0 || is_number) {
        return rc;
    }
    if (one_of(node->text, NULLS)) {
        node->type = DOC_NULL;
    } else if (one_of(node->text, TRUES)) {
        node->type = DOC_BOOL;
        node->boolean = true;
    } else if (one_of(node->text, FALSES)) {
        node->type = DOC_BOOL;
    }
    return 0;
}

// A tag that contradicts the text is an error: `!!int abc`.
static int resolve_tagged(DocBuilder *b, Doc *node, const char *tag)
{
    static const struct {
        const char *tag;
        DocType type;
    } known[] = {
        {YAML_NULL_TAG, DOC_NULL},
        {YAML_BOOL_TAG, DOC_BOOL},
        {YAML_INT_TAG, DOC_INT},
        {YAML_FLOAT_TAG, DOC_FLOAT},
    };
    DocPlace at = {node->line, node->column};
    if (strcmp(tag, YAML_STR_TAG) == 0 || strcmp(tag, "!") == 0) {
        return 0;
    }
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strcmp(tag, known[i].tag) != 0) {
            continue;
        }
        int rc = resolve_plain(b, node);
        if (rc == 0 && node->type == DOC_INT && known[i].type == DOC_FLOAT) {
            node->type = DOC_FLOAT;
            node->real = (double)node->integer;
        }
        if (rc == 0 && node->type != known[i].type) {
            rc = doc_fail(b, ERR_PARSE, at, "tagged %s but it is %s", tag,
                          doc_type_name(node->type));
        }
        return rc;
    }
    return doc_fail(b, ERR_PARSE, at, "the tag %s is not supported", tag);
}

static int check_collection_tag(DocBuilder *b, DocPlace at, const yaml_char_t *tag,
                                const char *expected)
{
    const char *text = (const char *)tag;
    if (!text || strcmp(text, expected) == 0 || strcmp(text, "!") == 0) {
        return 0;
    }
    return doc_fail(b, ERR_PARSE, at, "the tag %s is not supported", text);
}

static int add_anchor(YamlReader *y, DocPlace at, const yaml_char_t *name, const Doc *node,
                      bool open, Anchor **ret_anchor)
{
    if (!name) {
        return 0;
    }
    if (y->anchor_count == ANCHORS_MAX) {
        return doc_fail(y->b, ERR_LIMIT, at, "more than %d anchors", ANCHORS_MAX);
    }
    Slice copy = {0};
    int rc = doc_build_text(y->b, at, slice_from_cstr((const char *)name), &copy);
    if (rc != 0) {
        return rc;
    }
    Anchor *anchor = ARENA_NEW(y->b->arena, Anchor);
    *anchor = (Anchor){.older = y->anchors, .name = copy, .node = node, .open = open};
    y->anchors = anchor;
    y->anchor_count++;
    *ret_anchor = anchor;
    return 0;
}

static Frame *top_of(YamlReader *y)
{
    return y->depth ? &y->stack[y->depth - 1] : NULL;
}

static bool expects_key(YamlReader *y)
{
    Frame *top = top_of(y);
    return top && top->container->type == DOC_OBJECT && !top->key_read;
}

static int not_a_key(YamlReader *y, DocPlace at)
{
    return doc_fail(y->b, ERR_PARSE, at, "a key must be a plain or quoted scalar");
}

static void attach(YamlReader *y, Doc *node)
{
    Frame *top = top_of(y);
    if (!top) {
        y->root = node;
        return;
    }
    if (top->container->type == DOC_OBJECT) {
        node->key = top->key;
        node->key_line = top->key_place.line;
        node->key_column = top->key_place.column;
        top->key_read = false;
    }
    doc_build_append(top->container, node);
}

static int take_key(YamlReader *y, const yaml_event_t *event)
{
    DocPlace at = place_of(event->start_mark);
    Slice text = from_yaml(event->data.scalar.value, event->data.scalar.length);
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && slice_eq_cstr(text, "<<")) {
        return doc_fail(y->b, ERR_PARSE, at,
                        "merge keys (<<) are not supported; write the fields out");
    }
    if (plain && text.len == 0) {
        return doc_fail(y->b, ERR_PARSE, at, "a key is missing before the colon");
    }
    if (event->data.scalar.anchor || event->data.scalar.tag) {
        return doc_fail(y->b, ERR_PARSE, at, "a key cannot have an anchor or a tag");
    }
    Frame *top = &y->stack[y->depth - 1]; // expects_key saw it
    top->key_place = at;
    top->key_read = true;
    return doc_build_text(y->b, at, text, &top->key);
}

static int take_scalar(YamlReader *y, const yaml_event_t *event)
{
    if (expects_key(y)) {
        return take_key(y, event);
    }
    DocPlace at = place_of(event->start_mark);
    Doc *node = NULL;
    Anchor *anchor = NULL;
    int rc = doc_build_node(y->b, DOC_STRING, at, &node);
    if (rc != 0 || (rc = doc_build_text(
                        y->b, at, from_yaml(event->data.scalar.value, event->data.scalar.length),
                        &node->text)) != 0) {
        return rc;
    }
    const char *tag = (const char *)event->data.scalar.tag;
    if (tag) {
        rc = resolve_tagged(y->b, node, tag);
    } else if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        rc = resolve_plain(y->b, node);
    }
    if (rc != 0 || (rc = add_anchor(y, at, event->data.scalar.anchor, node, false, &anchor)) != 0) {
        return rc;
    }
    attach(y, node);
    return 0;
}

static int open_container(YamlReader *y, const yaml_event_t *event, DocType type)
{
    DocPlace at = place_of(event->start_mark);
    bool mapping = type == DOC_OBJECT;
    const yaml_char_t *tag =
        mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    const yaml_char_t *name =
        mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    if (expects_key(y)) {
        return not_a_key(y, at);
    }
    if (y->depth == y->b->max_depth + y->b->many) {
        return doc_fail(y->b, ERR_LIMIT, at, "nested deeper than %zu levels", y->b->max_depth);
    }
    Doc *node = NULL;
    Anchor *anchor = NULL;
    int rc = check_collection_tag(y->b, at, tag, mapping ? YAML_MAP_TAG : YAML_SEQ_TAG);
    if (rc != 0 || (rc = doc_build_node(y->b, type, at, &node)) != 0 ||
        (rc = add_anchor(y, at, name, node, true, &anchor)) != 0) {
        return rc;
    }
    attach(y, node);
    y->stack[y->depth++] = (Frame){.container = node, .anchor = anchor};
    return 0;
}

static int close_container(YamlReader *y)
{
    Frame *top = &y->stack[--y->depth];
    if (top->anchor) {
        top->anchor->open = false;
    }
    return doc_build_close(y->b, top->container);
}

// Recursion is bounded by the depth limit: every level of it is a level of the tree.
static int copy_tree(YamlReader *y, DocPlace at, const Doc *from, size_t depth, Doc **ret_node)
{
    DocBuilder *b = y->b;
    if (y->alias_nodes == b->max_alias_nodes) {
        return doc_fail(b, ERR_LIMIT, at, "aliases expand to more than %zu values",
                        b->max_alias_nodes);
    }
    if (from->type == DOC_ARRAY || from->type == DOC_OBJECT) {
        if (depth == b->max_depth + b->many) {
            return doc_fail(b, ERR_LIMIT, at, "nested deeper than %zu levels", b->max_depth);
        }
    }
    y->alias_nodes++;
    Doc *node = NULL;
    int rc = doc_build_node(b, from->type, at, &node);
    if (rc != 0) {
        return rc;
    }
    *node = *from;
    node->first_ = node->next_ = NULL;
    node->index_ = NULL;
    node->count_ = 0;
    for (const Doc *m = doc_first(from); m; m = doc_next(m)) {
        Doc *child = NULL;
        if ((rc = copy_tree(y, at, m, depth + 1, &child)) != 0) {
            return rc;
        }
        doc_build_append(node, child);
    }
    *ret_node = node;
    bool container = from->type == DOC_ARRAY || from->type == DOC_OBJECT;
    return container ? doc_build_close(b, node) : 0;
}

static int take_alias(YamlReader *y, const yaml_event_t *event)
{
    DocPlace at = place_of(event->start_mark);
    const char *name = (const char *)event->data.alias.anchor;
    if (expects_key(y)) {
        return not_a_key(y, at);
    }
    for (const Anchor *a = y->anchors; a; a = a->older) {
        if (!slice_eq_cstr(a->name, name)) {
            continue;
        }
        if (a->open) {
            return doc_fail(y->b, ERR_PARSE, at, "the alias *%s stands inside of what it names",
                            name);
        }
        Doc *node = NULL;
        int rc = copy_tree(y, at, a->node, y->depth, &node);
        if (rc == 0) {
            attach(y, node);
        }
        return rc;
    }
    return doc_fail(y->b, ERR_PARSE, at, "the alias *%s has no anchor &%s before it", name, name);
}

static int start_document(YamlReader *y, const yaml_event_t *event)
{
    // Anchors end with their document.
    y->anchors = NULL;
    y->anchor_count = 0;
    if (y->documents++ > 0 && !y->b->many) {
        return doc_fail(y->b, ERR_PARSE, place_of(event->start_mark),
                        "a second document begins; only one is expected here");
    }
    return 0;
}

static int parser_error(YamlReader *y)
{
    const yaml_parser_t *p = &y->parser;
    if (p->error == YAML_MEMORY_ERROR) {
        die("out of memory for a YAML text of %zu bytes", y->b->text.len);
    }
    DocPlace at = p->error == YAML_READER_ERROR ? doc_place_of(y->b->text, p->problem_offset)
                                                : place_of(p->problem_mark);
    const char *problem = p->problem ? p->problem : "syntax error";
    const char *hint = strstr(problem, "invalid Unicode character escape")
                           ? "; YAML has no surrogate pairs, write \\U0001F600 or the character"
                           : "";
    const char *context = p->context ? p->context : "";
    return doc_fail(y->b, ERR_PARSE, at, "%s%s%s%s", context, *context ? ": " : "", problem, hint);
}

static int take_event(YamlReader *y, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT: return take_scalar(y, event);
    case YAML_ALIAS_EVENT: return take_alias(y, event);
    case YAML_SEQUENCE_START_EVENT: return open_container(y, event, DOC_ARRAY);
    case YAML_MAPPING_START_EVENT: return open_container(y, event, DOC_OBJECT);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return close_container(y);
    case YAML_DOCUMENT_START_EVENT: return start_document(y, event);
    case YAML_DOCUMENT_END_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_NO_EVENT: return 0;
    }
    return 0;
}

static int read_events(YamlReader *y)
{
    for (bool done = false; !done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&y->parser, &event)) {
            return parser_error(y);
        }
        int rc = take_event(y, &event);
        done = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (rc != 0) {
            return rc;
        }
    }
    if (y->b->many) {
        return close_container(y);
    }
    return y->root ? 0 : doc_build_node(y->b, DOC_NULL, (DocPlace){1, 1}, &y->root);
}

int doc_yaml_read(DocBuilder *b, Doc **ret_doc)
{
    YamlReader y = {.b = b};
    if (b->many) {
        int rc = doc_build_node(b, DOC_ARRAY, (DocPlace){1, 1}, &y.root);
        if (rc != 0) {
            return rc;
        }
        y.stack[y.depth++] = (Frame){.container = y.root};
    }
    if (!yaml_parser_initialize(&y.parser)) {
        die("out of memory for a YAML parser");
    }
    yaml_parser_set_encoding(&y.parser, YAML_UTF8_ENCODING);
    Slice text = b->text.len ? b->text : SLICE("");
    yaml_parser_set_input_string(&y.parser, (const unsigned char *)text.ptr, text.len);
    int rc = read_events(&y);
    yaml_parser_delete(&y.parser);
    if (rc == 0) {
        *ret_doc = y.root;
    }
    return rc;
}
