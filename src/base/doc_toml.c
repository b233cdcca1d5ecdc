// TOML 1.0.0: tables, keys and values. What may be defined where is the hard part: a table can come
// from a header, from the path in somebody else's header, from dotted keys, or be written inline,
// and each kind is open to different additions. The reader therefore keeps an entry for each key
// that says how it came about, found by hash of (table, key); the Doc tree holds only the result.
//
//                     [x] header    [x.y] below it   x.y = dotted key   [[x]]
//   IMPLICIT          becomes HEADER     yes               no             no
//   HEADER            no                 yes               no             no
//   DOTTED            no                 yes               yes            no
//   TABLES  [[x]]     no             its last item         no             next item
//   VALUE             no                 no                no             no
#include "base/doc_build.h"
#include "base/doc_toml_lex.h"

typedef enum EntryKind {
    ENTRY_IMPLICIT,
    ENTRY_HEADER,
    ENTRY_DOTTED,
    ENTRY_TABLES,
    ENTRY_VALUE,
} EntryKind;

typedef struct Entry {
    const Doc *parent; // NULL: the slot is free
    Doc *node;         // its key is the entry's key
    EntryKind kind;
} Entry;

typedef struct TomlReader {
    TomlText text;
    Doc *root;
    Doc *table; // where the next key = value goes
    size_t table_depth;
    Entry *entries; // open addressing, at most half full
    size_t capacity;
    size_t count;
} TomlReader;

typedef struct TomlKey {
    Slice name;
    DocPlace place;
} TomlKey;

static size_t slot_of(const TomlReader *r, const Doc *parent, Slice key)
{
    uint64_t hash = slice_hash(key) ^ ((uint64_t)(uintptr_t)parent * 0x9e3779b97f4a7c15u);
    size_t slot = (size_t)(hash ^ (hash >> 29)) & (r->capacity - 1);
    while (r->entries[slot].parent &&
           (r->entries[slot].parent != parent || !slice_eq(r->entries[slot].node->key, key))) {
        slot = (slot + 1) & (r->capacity - 1);
    }
    return slot;
}

static Entry *find(const TomlReader *r, const Doc *parent, Slice key)
{
    Entry *entry = &r->entries[slot_of(r, parent, key)];
    return entry->parent ? entry : NULL;
}

static void grow(TomlReader *r)
{
    Entry *old = r->entries;
    size_t old_capacity = r->capacity;
    r->capacity = old_capacity * 2;
    r->entries = mem_zalloc(r->capacity * sizeof(Entry));
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].parent) {
            r->entries[slot_of(r, old[i].parent, old[i].node->key)] = old[i];
        }
    }
    free(old);
}

static void add(TomlReader *r, Doc *parent, TomlKey key, Doc *node, EntryKind kind)
{
    if (r->count * 2 >= r->capacity) {
        grow(r);
    }
    node->key = key.name;
    node->key_line = key.place.line;
    node->key_column = key.place.column;
    r->entries[slot_of(r, parent, key.name)] = (Entry){parent, node, kind};
    r->count++;
    doc_build_append(parent, node);
}

static int clash(TomlReader *r, TomlKey key, const Entry *entry)
{
    return doc_fail(r->text.b, ERR_PARSE, key.place,
                    "\"%.*s\" is already defined at line %d, column %d, and this cannot add to it",
                    SLICE_FMT(key.name), entry->node->key_line, entry->node->key_column);
}

static int check_depth(TomlReader *r, DocPlace at, size_t depth)
{
    if (depth > r->text.b->max_depth) {
        return doc_fail(r->text.b, ERR_LIMIT, at, "nested deeper than %zu levels",
                        r->text.b->max_depth);
    }
    return 0;
}

static bool is_bare_key_char(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-';
}

static int read_key_part(TomlReader *r, TomlKey *ret_key)
{
    TomlText *t = &r->text;
    ret_key->place = t->place;
    int c = toml_peek(t, 0);
    Slice name = {t->at, 0};
    if (c == '"' || c == '\'') {
        int rc = toml_read_string(t, false);
        if (rc != 0) {
            return rc;
        }
        name = buf_slice(&t->scratch);
    } else {
        while (is_bare_key_char(toml_peek(t, 0))) {
            toml_step(t);
            name.len++;
        }
        if (name.len == 0) {
            return toml_unexpected(t, "the place of a key");
        }
    }
    return doc_build_text(t->b, ret_key->place, name, &ret_key->name);
}

// Behind a part: true when a dot says that another follows.
static bool take_dot(TomlText *t)
{
    toml_skip_blanks(t);
    bool dot = toml_take(t, ".");
    if (dot) {
        toml_skip_blanks(t);
    }
    return dot;
}

static int new_table(TomlReader *r, TomlKey key, Doc *parent, EntryKind kind, Doc **ret_table)
{
    int rc = doc_build_node(r->text.b, DOC_OBJECT, key.place, ret_table);
    if (rc == 0) {
        add(r, parent, key, *ret_table, kind);
    }
    return rc;
}

// One step of a header's path, which is not its last.
static int descend_header(TomlReader *r, TomlKey key, Doc **table, size_t *depth)
{
    const Entry *entry = find(r, *table, key.name);
    ++*depth;
    if (!entry) {
        int rc = check_depth(r, key.place, *depth);
        return rc ? rc : new_table(r, key, *table, ENTRY_IMPLICIT, table);
    }
    if (entry->kind == ENTRY_VALUE) {
        return clash(r, key, entry);
    }
    *table = entry->node;
    if (entry->kind == ENTRY_TABLES) {
        *table = doc_build_last(entry->node);
        ++*depth;
    }
    return 0;
}

static int define_table(TomlReader *r, TomlKey key, Doc *parent, size_t depth)
{
    Entry *entry = find(r, parent, key.name);
    r->table_depth = depth + 1;
    int rc = check_depth(r, key.place, r->table_depth);
    if (rc != 0) {
        return rc;
    }
    if (!entry) {
        return new_table(r, key, parent, ENTRY_HEADER, &r->table);
    }
    if (entry->kind != ENTRY_IMPLICIT) {
        return clash(r, key, entry);
    }
    entry->kind = ENTRY_HEADER;
    r->table = entry->node;
    return 0;
}

static int define_array_table(TomlReader *r, TomlKey key, Doc *parent, size_t depth)
{
    const Entry *entry = find(r, parent, key.name);
    r->table_depth = depth + 2;
    int rc = check_depth(r, key.place, r->table_depth);
    if (rc != 0) {
        return rc;
    }
    if (entry && entry->kind != ENTRY_TABLES) {
        return clash(r, key, entry);
    }
    Doc *array = entry ? entry->node : NULL;
    if (!array) {
        if ((rc = doc_build_node(r->text.b, DOC_ARRAY, key.place, &array)) != 0) {
            return rc;
        }
        add(r, parent, key, array, ENTRY_TABLES);
    }
    rc = doc_build_node(r->text.b, DOC_OBJECT, key.place, &r->table);
    if (rc == 0) {
        doc_build_append(array, r->table);
    }
    return rc;
}

static int read_header(TomlReader *r)
{
    TomlText *t = &r->text;
    bool array = toml_take(t, "[[");
    if (!array) {
        (void)toml_take(t, "[");
    }
    Doc *table = r->root;
    size_t depth = 1;
    TomlKey key = {0};
    toml_skip_blanks(t);
    int rc = read_key_part(r, &key);
    while (rc == 0 && take_dot(t)) {
        if ((rc = descend_header(r, key, &table, &depth)) == 0) {
            rc = read_key_part(r, &key);
        }
    }
    if (rc != 0) {
        return rc;
    }
    if (!toml_take(t, array ? "]]" : "]")) {
        return toml_unexpected(t, "a table header");
    }
    return array ? define_array_table(r, key, table, depth) : define_table(r, key, table, depth);
}

static int descend_dotted(TomlReader *r, TomlKey key, Doc **table, size_t *depth)
{
    const Entry *entry = find(r, *table, key.name);
    int rc = check_depth(r, key.place, ++*depth);
    if (rc != 0) {
        return rc;
    }
    if (!entry) {
        return new_table(r, key, *table, ENTRY_DOTTED, table);
    }
    if (entry->kind != ENTRY_DOTTED) {
        return clash(r, key, entry);
    }
    *table = entry->node;
    return 0;
}

static int read_value(TomlReader *r, size_t depth, Doc **ret_node);

// key = value into `table`, whose own depth is `depth`.
static int read_pair(TomlReader *r, Doc *table, size_t depth)
{
    TomlText *t = &r->text;
    TomlKey key = {0};
    int rc = read_key_part(r, &key);
    while (rc == 0 && take_dot(t)) {
        if ((rc = descend_dotted(r, key, &table, &depth)) == 0) {
            rc = read_key_part(r, &key);
        }
    }
    if (rc != 0) {
        return rc;
    }
    const Entry *entry = find(r, table, key.name);
    if (entry) {
        return clash(r, key, entry);
    }
    if (!toml_take(t, "=")) {
        return toml_unexpected(t, "a key, where \"=\" must follow");
    }
    toml_skip_blanks(t);
    Doc *node = NULL;
    if ((rc = read_value(r, depth, &node)) == 0) {
        add(r, table, key, node, ENTRY_VALUE);
    }
    return rc;
}

static int read_array(TomlReader *r, size_t depth, Doc *array)
{
    TomlText *t = &r->text;
    toml_step(t);
    for (;;) {
        int rc = toml_skip_all(t);
        if (rc != 0 || toml_take(t, "]")) {
            return rc;
        }
        Doc *item = NULL;
        if ((rc = read_value(r, depth, &item)) != 0) {
            return rc;
        }
        doc_build_append(array, item);
        if ((rc = toml_skip_all(t)) != 0) {
            return rc;
        }
        if (!toml_take(t, ",") && toml_peek(t, 0) != ']') {
            return toml_unexpected(t, "an array");
        }
    }
}

// On one line, without a comma behind the last pair.
static int read_inline_table(TomlReader *r, size_t depth, Doc *table)
{
    TomlText *t = &r->text;
    toml_step(t);
    toml_skip_blanks(t);
    if (toml_take(t, "}")) {
        return 0;
    }
    for (;;) {
        int rc = read_pair(r, table, depth);
        if (rc != 0) {
            return rc;
        }
        toml_skip_blanks(t);
        if (toml_take(t, "}")) {
            return 0;
        }
        if (!toml_take(t, ",")) {
            return toml_unexpected(t, "an inline table");
        }
        toml_skip_blanks(t);
    }
}

// Recursion is bounded by the depth limit.
static int read_value(TomlReader *r, size_t depth, Doc **ret_node)
{
    TomlText *t = &r->text;
    DocPlace at = t->place;
    Doc *node = NULL;
    int rc = doc_build_node(t->b, DOC_NULL, at, &node);
    if (rc != 0) {
        return rc;
    }
    *ret_node = node;
    int c = toml_peek(t, 0);
    if (c == '[' || c == '{') {
        node->type = c == '[' ? DOC_ARRAY : DOC_OBJECT;
        if ((rc = check_depth(r, at, depth + 1)) != 0) {
            return rc;
        }
        return c == '[' ? read_array(r, depth + 1, node) : read_inline_table(r, depth + 1, node);
    }
    if (c == '"' || c == '\'') {
        node->type = DOC_STRING;
        rc = toml_read_string(t, true);
        return rc ? rc : doc_build_text(t->b, at, buf_slice(&t->scratch), &node->text);
    }
    return toml_read_scalar(t, node);
}

static int read_line(TomlReader *r)
{
    TomlText *t = &r->text;
    toml_skip_blanks(t);
    int c = toml_peek(t, 0);
    int rc = 0;
    if (c == '[') {
        rc = read_header(r);
    } else if (c >= 0 && c != '#' && c != '\n' && c != '\r') {
        rc = read_pair(r, r->table, r->table_depth);
    }
    if (rc != 0) {
        return rc;
    }
    toml_skip_blanks(t);
    bool newline = false;
    if ((rc = toml_skip_comment(t)) != 0 || (rc = toml_newline(t, &newline)) != 0) {
        return rc;
    }
    return newline || t->at == t->end ? 0 : toml_unexpected(t, "the rest of the line");
}

static int close_tree(DocBuilder *b, Doc *node)
{
    for (Doc *m = node->first_; m; m = m->next_) {
        int rc = close_tree(b, m);
        if (rc != 0) {
            return rc;
        }
    }
    return doc_build_close(b, node);
}

int doc_toml_read(DocBuilder *b, Doc **ret_doc)
{
    const char *from = b->text.len ? b->text.ptr : "";
    TomlReader r = {
        .text = {.b = b,
                 .at = from,
                 .end = from + b->text.len,
                 .place = {1, 1},
                 .scratch = buf_create(b->text.len + 1)},
        .capacity = 64,
        .table_depth = 1,
    };
    int rc = doc_build_node(b, DOC_OBJECT, r.text.place, &r.root);
    if (rc != 0) {
        return rc;
    }
    r.table = r.root;
    r.entries = mem_zalloc(r.capacity * sizeof(Entry));
    while (rc == 0 && r.text.at < r.text.end) {
        rc = read_line(&r);
    }
    if (rc == 0) {
        rc = close_tree(b, r.root);
    }
    free(r.entries);
    buf_done(&r.text.scratch);
    if (rc == 0) {
        *ret_doc = r.root;
    }
    return rc;
}
