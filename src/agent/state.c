#include "agent/state.h"

#include <assert.h>

#include "net/decode.h"

// Hash array mapped trie. A node with one reference belongs to the handle that reaches it through
// nodes with one reference, so it is changed in place; every other node is immutable and is copied
// (its children gain a reference) on the way to what is written.

enum {
    BITS = 4,
    // Few enough for keys of one hash to occur in a test with 10^5 keys.
    HASH_BITS = 32,
    // Texts up to here live in their leaf: one allocation a value.
    LEAF_TEXT_MAX = 256,
};

typedef enum NodeKind { NODE_LEAF, NODE_BRANCH } NodeKind;

struct StateNode {
    Counter refs;
    NodeKind kind;
};

typedef struct Leaf {
    StateNode node;
    uint32_t hash;
    StateType type;
    bool compressed;     // `bytes` is a zstd frame of plain_len bytes
    uint8_t key_len;     //
    uint32_t text_len;   // in the leaf, where `bytes` is NULL
    uint32_t text_space; // for text written in place
    size_t plain_len;
    union {
        bool boolean;
        int64_t integer;
        double real;
    };
    Bytes *bytes;
    char key[]; // then the text
} Leaf;

typedef struct Branch {
    StateNode node;
    uint32_t keys;    // below
    uint16_t present; // children by their 4 bits of the hash. All bits used up: `present` is not
    uint16_t count;   // looked at and the children are leaves of one hash
    StateNode *child[];
} Branch;

static Leaf *as_leaf(StateNode *n)
{
    return (Leaf *)(void *)n;
}

static Branch *as_branch(StateNode *n)
{
    return (Branch *)(void *)n;
}

static StateNode *node_ref(StateNode *n)
{
    if (n) {
        (void)counter_add(&n->refs, 1);
    }
    return n;
}

// At most HASH_BITS / BITS + 1 levels deep.
static void node_unref(StateNode *n)
{
    if (!n || counter_add(&n->refs, -1) != 0) {
        return;
    }
    if (n->kind == NODE_LEAF) {
        bytes_unref(as_leaf(n)->bytes);
    } else {
        Branch *b = as_branch(n);
        for (unsigned i = 0; i < b->count; i++) {
            node_unref(b->child[i]);
        }
    }
    free(n);
}

static uint32_t node_keys(const StateNode *n)
{
    return !n ? 0 : n->kind == NODE_LEAF ? 1 : ((const Branch *)(const void *)n)->keys;
}

static bool is_unique(const StateNode *n)
{
    return counter_get(&n->refs) == 1;
}

static Slice leaf_key(const Leaf *leaf)
{
    return (Slice){leaf->key, leaf->key_len};
}

static bool leaf_is(const Leaf *leaf, uint32_t hash, Slice key)
{
    return leaf->hash == hash && slice_eq(leaf_key(leaf), key);
}

static uint16_t bit_of(uint32_t hash, unsigned shift)
{
    return (uint16_t)(1u << ((hash >> shift) & ((1u << BITS) - 1)));
}

static uint32_t key_hash(Slice key)
{
    return (uint32_t)slice_hash(key);
}

// ---- branches

static Branch *branch_create(unsigned count)
{
    Branch *b = mem_alloc(sizeof *b + count * sizeof b->child[0]);
    counter_init(&b->node.refs, 1);
    b->node.kind = NODE_BRANCH;
    b->count = (uint16_t)count;
    b->present = 0;
    b->keys = 0;
    return b;
}

// The branch in *slot, which the slot's owner may now change.
static Branch *branch_own(StateNode **slot)
{
    Branch *old = as_branch(*slot);
    if (is_unique(&old->node)) {
        return old;
    }
    Branch *copy = branch_create(old->count);
    copy->present = old->present;
    copy->keys = old->keys;
    for (unsigned i = 0; i < old->count; i++) {
        copy->child[i] = node_ref(old->child[i]);
    }
    node_unref(&old->node);
    *slot = &copy->node;
    return copy;
}

// Where a child of `bit` is or belongs.
static unsigned child_index(const Branch *b, uint16_t bit)
{
    return (unsigned)__builtin_popcount(b->present & (bit - 1u));
}

// `child` is taken over.
static void branch_insert(StateNode **slot, unsigned index, uint16_t bit, StateNode *child)
{
    Branch *old = branch_own(slot);
    Branch *wider = branch_create(old->count + 1u);
    wider->present = old->present | bit;
    wider->keys = old->keys + node_keys(child);
    memcpy(wider->child, old->child, index * sizeof(StateNode *));
    wider->child[index] = child;
    memcpy(wider->child + index + 1, old->child + index,
           (old->count - index) * sizeof(StateNode *));
    free(old);
    *slot = &wider->node;
}

// Takes the (already released) child out. A branch with one leaf left becomes that leaf, so equal
// contents always have the same form.
static void branch_drop(StateNode **slot, unsigned index, uint16_t bit)
{
    Branch *b = branch_own(slot);
    b->present &= (uint16_t)~bit;
    b->count--;
    memmove(b->child + index, b->child + index + 1, (b->count - index) * sizeof(StateNode *));
    if (b->count == 0 || (b->count == 1 && b->child[0]->kind == NODE_LEAF)) {
        *slot = b->count ? b->child[0] : NULL;
        free(b);
    }
}

// ---- finding and changing

static Leaf *find(StateNode *n, uint32_t hash, Slice key)
{
    for (unsigned shift = 0; n; shift += BITS) {
        if (n->kind == NODE_LEAF) {
            return leaf_is(as_leaf(n), hash, key) ? as_leaf(n) : NULL;
        }
        Branch *b = as_branch(n);
        if (shift >= HASH_BITS) {
            for (unsigned i = 0; i < b->count; i++) {
                if (leaf_is(as_leaf(b->child[i]), hash, key)) {
                    return as_leaf(b->child[i]);
                }
            }
            return NULL;
        }
        uint16_t bit = bit_of(hash, shift);
        n = b->present & bit ? b->child[child_index(b, bit)] : NULL;
    }
    return NULL;
}

// Puts two leaves with different keys below one node.
static StateNode *join(StateNode *a, StateNode *b, unsigned shift)
{
    if (shift >= HASH_BITS) {
        Branch *both = branch_create(2);
        both->keys = 2;
        both->child[0] = a;
        both->child[1] = b;
        return &both->node;
    }
    uint16_t bit_a = bit_of(as_leaf(a)->hash, shift);
    uint16_t bit_b = bit_of(as_leaf(b)->hash, shift);
    Branch *branch = branch_create(bit_a == bit_b ? 1 : 2);
    branch->present = bit_a | bit_b;
    branch->keys = 2;
    if (bit_a == bit_b) {
        branch->child[0] = join(a, b, shift + BITS);
    } else {
        branch->child[bit_a > bit_b] = a;
        branch->child[bit_a < bit_b] = b;
    }
    return &branch->node;
}

// Puts the leaf (taken over) below *slot, replacing one of its key when `replace`. Returns how many
// keys were added.
static unsigned insert(StateNode **slot, Leaf *leaf, unsigned shift, bool replace)
{
    StateNode *n = *slot;
    if (!n) {
        *slot = &leaf->node;
        return 1;
    }
    if (n->kind == NODE_LEAF) {
        if (!leaf_is(as_leaf(n), leaf->hash, leaf_key(leaf))) {
            *slot = join(n, &leaf->node, shift);
            return 1;
        }
        *slot = replace ? &leaf->node : n;
        node_unref(replace ? n : &leaf->node);
        return 0;
    }
    Branch *b = branch_own(slot);
    if (shift >= HASH_BITS) {
        for (unsigned i = 0; i < b->count; i++) {
            if (leaf_is(as_leaf(b->child[i]), leaf->hash, leaf_key(leaf))) {
                return insert(&b->child[i], leaf, shift, replace);
            }
        }
        branch_insert(slot, b->count, 0, &leaf->node);
        return 1;
    }
    uint16_t bit = bit_of(leaf->hash, shift);
    unsigned index = child_index(b, bit);
    if (!(b->present & bit)) {
        branch_insert(slot, index, bit, &leaf->node);
        return 1;
    }
    unsigned added = insert(&b->child[index], leaf, shift + BITS, replace);
    b->keys += added;
    return added;
}

// The key is there.
static void take_out(StateNode **slot, uint32_t hash, Slice key, unsigned shift)
{
    if ((*slot)->kind == NODE_LEAF) {
        node_unref(*slot);
        *slot = NULL;
        return;
    }
    Branch *b = branch_own(slot);
    uint16_t bit = shift < HASH_BITS ? bit_of(hash, shift) : 0;
    unsigned index = shift < HASH_BITS ? child_index(b, bit) : 0;
    while (shift >= HASH_BITS && !leaf_is(as_leaf(b->child[index]), hash, key)) {
        index++;
    }
    b->keys--;
    take_out(&b->child[index], hash, key, shift + BITS);
    if (!b->child[index]) {
        branch_drop(slot, index, bit);
    } else if (b->count == 1 && b->child[index]->kind == NODE_LEAF) {
        *slot = b->child[index];
        free(b);
    }
}

// The leaf below *slot, for writing in place; NULL unless nobody else sees it.
static Leaf *find_own(StateNode *n, uint32_t hash, Slice key)
{
    for (unsigned shift = 0; n && is_unique(n); shift += BITS) {
        if (n->kind == NODE_LEAF) {
            return leaf_is(as_leaf(n), hash, key) ? as_leaf(n) : NULL;
        }
        Branch *b = as_branch(n);
        uint16_t bit = shift < HASH_BITS ? bit_of(hash, shift) : 0;
        n = b->present & bit ? b->child[child_index(b, bit)] : NULL;
    }
    return NULL;
}

// ---- handles

void state_done(State *s)
{
    node_unref(s->root);
    s->root = NULL;
}

State state_clone(const State *s)
{
    return (State){.root = node_ref(s->root), .compress_min = s->compress_min};
}

State state_view(const State *s)
{
    return (State){.root = node_ref(s->root), .compress_min = s->compress_min, .read_only = true};
}

size_t state_count(const State *s)
{
    return node_keys(s->root);
}

// ---- reading

static bool unpack(const Leaf *leaf, StateValue *value)
{
    Buf plain = buf_create(leaf->plain_len);
    int rc = http_decode(SLICE("zstd"), bytes_slice(leaf->bytes), &plain, NULL);
    assert(rc == 0 && plain.len == leaf->plain_len); // we packed it ourselves
    if (rc == 0) {
        value->held = bytes_copy(buf_slice(&plain));
        value->text = bytes_slice(value->held);
    }
    buf_done(&plain);
    return rc == 0;
}

static bool leaf_value(const Leaf *leaf, StateValue *ret_value)
{
    StateValue value = {.type = leaf->type};
    if (leaf->type == STATE_STRING || leaf->type == STATE_JSON) {
        if (leaf->compressed) {
            if (!unpack(leaf, &value)) {
                return false;
            }
        } else if (leaf->bytes) {
            value.text = bytes_slice(leaf->bytes);
        } else {
            value.text = (Slice){leaf->key + leaf->key_len, leaf->text_len};
        }
    } else {
        value.integer = leaf->integer; // the widest member; the others lie in it
        if (leaf->type == STATE_BOOL) {
            value.boolean = leaf->boolean;
        } else if (leaf->type == STATE_DOUBLE) {
            value.real = leaf->real;
        }
    }
    *ret_value = value;
    return true;
}

bool state_get(const State *s, Slice key, StateValue *ret_value)
{
    const Leaf *leaf = find(s->root, key_hash(key), key);
    return leaf && leaf_value(leaf, ret_value);
}

void state_value_done(StateValue *value)
{
    bytes_unref(value->held);
    value->held = NULL;
}

bool state_has(const State *s, Slice key)
{
    return find(s->root, key_hash(key), key) != NULL;
}

bool state_get_bool(const State *s, Slice key, bool fallback)
{
    const Leaf *leaf = find(s->root, key_hash(key), key);
    return leaf && leaf->type == STATE_BOOL ? leaf->boolean : fallback;
}

int64_t state_get_int(const State *s, Slice key, int64_t fallback)
{
    const Leaf *leaf = find(s->root, key_hash(key), key);
    return leaf && leaf->type == STATE_INT ? leaf->integer : fallback;
}

double state_get_double(const State *s, Slice key, double fallback)
{
    const Leaf *leaf = find(s->root, key_hash(key), key);
    if (!leaf || (leaf->type != STATE_DOUBLE && leaf->type != STATE_INT)) {
        return fallback;
    }
    return leaf->type == STATE_DOUBLE ? leaf->real : (double)leaf->integer;
}

// ---- writing

static bool is_text(StateType type)
{
    return type == STATE_STRING || type == STATE_JSON;
}

// A leaf's scalar, or its text where that has room.
static bool write_in_place(Leaf *leaf, const StateValue *value)
{
    bool text = is_text(value->type);
    if (leaf->bytes || (text && value->text.len > leaf->text_space)) {
        return false;
    }
    leaf->type = value->type;
    if (text) {
        leaf->text_len = (uint32_t)value->text.len;
        if (value->text.len > 0) {
            // The new text may be a part of the old one.
            memmove(leaf->key + leaf->key_len, value->text.ptr, value->text.len);
        }
    } else if (value->type == STATE_BOOL) {
        leaf->boolean = value->boolean;
    } else if (value->type == STATE_DOUBLE) {
        leaf->real = value->real;
    } else {
        leaf->integer = value->type == STATE_INT ? value->integer : 0;
    }
    return true;
}

// Packs the text where that saves at least an eighth.
static void put_bytes(Leaf *leaf, Slice text, size_t compress_min)
{
    leaf->plain_len = text.len;
    if (compress_min > 0 && text.len >= compress_min && text.len >= STATE_COMPRESS_MIN) {
        Buf packed = buf_create(2 * text.len + 1024);
        if (http_encode_zstd(text, &packed, NULL) == 0 && packed.len < text.len - text.len / 8) {
            leaf->bytes = bytes_copy(buf_slice(&packed));
            leaf->compressed = true;
        }
        buf_done(&packed);
    }
    if (!leaf->bytes) {
        leaf->bytes = bytes_copy(text);
    }
}

static Leaf *leaf_create(uint32_t hash, Slice key, const StateValue *value, size_t compress_min)
{
    size_t len = is_text(value->type) ? value->text.len : 0;
    size_t space = len <= LEAF_TEXT_MAX ? len : 0;
    Leaf *leaf = mem_zalloc(sizeof *leaf + key.len + space);
    counter_init(&leaf->node.refs, 1);
    leaf->node.kind = NODE_LEAF;
    leaf->hash = hash;
    leaf->key_len = (uint8_t)key.len;
    leaf->text_space = (uint32_t)space;
    if (key.len > 0) {
        memcpy(leaf->key, key.ptr, key.len);
    }
    if (!write_in_place(leaf, value)) {
        leaf->type = value->type;
        put_bytes(leaf, value->text, compress_min);
    }
    return leaf;
}

int state_set(State *s, Slice key, const StateValue *value)
{
    if (s->read_only) {
        return ERR_REFUSED;
    }
    if (key.len > STATE_KEY_MAX || (is_text(value->type) && value->text.len > STATE_VALUE_MAX)) {
        return ERR_LIMIT;
    }
    uint32_t hash = key_hash(key);
    Leaf *own = find_own(s->root, hash, key);
    if (own && write_in_place(own, value)) {
        return 0;
    }
    if (node_keys(s->root) >= STATE_ITEMS_MAX && !find(s->root, hash, key)) {
        return ERR_LIMIT;
    }
    (void)insert(&s->root, leaf_create(hash, key, value, s->compress_min), 0, true);
    return 0;
}

int state_set_bool(State *s, Slice key, bool value)
{
    return state_set(s, key, &(StateValue){.type = STATE_BOOL, .boolean = value});
}

int state_set_int(State *s, Slice key, int64_t value)
{
    return state_set(s, key, &(StateValue){.type = STATE_INT, .integer = value});
}

int state_set_double(State *s, Slice key, double value)
{
    return state_set(s, key, &(StateValue){.type = STATE_DOUBLE, .real = value});
}

int state_set_string(State *s, Slice key, Slice value)
{
    return state_set(s, key, &(StateValue){.type = STATE_STRING, .text = value});
}

int state_set_json(State *s, Slice key, Slice json)
{
    return state_set(s, key, &(StateValue){.type = STATE_JSON, .text = json});
}

int state_remove(State *s, Slice key)
{
    if (s->read_only) {
        return ERR_REFUSED;
    }
    uint32_t hash = key_hash(key);
    if (find(s->root, hash, key)) {
        take_out(&s->root, hash, key, 0);
    }
    return 0;
}

static uint32_t sum_keys(const Branch *b)
{
    uint32_t keys = 0;
    for (unsigned i = 0; i < b->count; i++) {
        keys += node_keys(b->child[i]);
    }
    return keys;
}

static void merge(StateNode **slot, StateNode *from, unsigned shift)
{
    StateNode *n = *slot;
    if (n == from || !from) {
        return;
    }
    if (!n) {
        *slot = node_ref(from);
    } else if (from->kind == NODE_LEAF) {
        (void)insert(slot, as_leaf(node_ref(from)), shift, true);
    } else if (n->kind == NODE_LEAF) {
        *slot = node_ref(from);
        (void)insert(slot, as_leaf(n), shift, false);
    } else {
        const Branch *f = as_branch(from);
        if (shift >= HASH_BITS) {
            for (unsigned i = 0; i < f->count; i++) {
                (void)insert(slot, as_leaf(node_ref(f->child[i])), shift, true);
            }
            return;
        }
        unsigned next = 0;
        for (unsigned i = 0; i < 1u << BITS; i++) {
            uint16_t bit = (uint16_t)(1u << i);
            if (!(f->present & bit)) {
                continue;
            }
            StateNode *child = f->child[next++];
            Branch *b = branch_own(slot);
            unsigned index = child_index(b, bit);
            if (b->present & bit) {
                merge(&b->child[index], child, shift + BITS);
            } else {
                branch_insert(slot, index, bit, node_ref(child));
            }
        }
        as_branch(*slot)->keys = sum_keys(as_branch(*slot));
    }
}

int state_merge(State *into, const State *from)
{
    if (into->read_only) {
        return ERR_REFUSED;
    }
    if (node_keys(into->root) + node_keys(from->root) <= STATE_ITEMS_MAX) {
        merge(&into->root, from->root, 0);
        return 0;
    }
    StateNode *root = node_ref(into->root); // kept, in case the result is too large
    merge(&root, from->root, 0);
    if (node_keys(root) > STATE_ITEMS_MAX) {
        node_unref(root);
        return ERR_LIMIT;
    }
    node_unref(into->root);
    into->root = root;
    return 0;
}

int state_replace(State *s, const State *from)
{
    if (s->read_only) {
        return ERR_REFUSED;
    }
    StateNode *root = node_ref(from->root);
    node_unref(s->root);
    s->root = root;
    return 0;
}

// ---- walking

typedef struct Walk {
    bool (*fn)(void *arg, const Leaf *leaf);
    void *arg;
} Walk;

static bool walk(StateNode *n, const Walk *w)
{
    if (!n) {
        return true;
    }
    if (n->kind == NODE_LEAF) {
        return w->fn(w->arg, as_leaf(n));
    }
    const Branch *b = as_branch(n);
    for (unsigned i = 0; i < b->count; i++) {
        if (!walk(b->child[i], w)) {
            return false;
        }
    }
    return true;
}

typedef struct EachValue {
    bool (*fn)(void *arg, Slice key, const StateValue *value);
    void *arg;
} EachValue;

static bool each_value(void *arg, const Leaf *leaf)
{
    const EachValue *each = arg;
    StateValue value;
    if (!leaf_value(leaf, &value)) {
        return true;
    }
    bool more = each->fn(each->arg, leaf_key(leaf), &value);
    state_value_done(&value);
    return more;
}

void state_each(const State *s, bool (*fn)(void *arg, Slice key, const StateValue *value),
                void *arg)
{
    EachValue each = {fn, arg};
    (void)walk(s->root, &(Walk){each_value, &each});
}

typedef struct LeafList {
    const Leaf **leaves;
    size_t count;
} LeafList;

static bool collect(void *arg, const Leaf *leaf)
{
    LeafList *list = arg;
    list->leaves[list->count++] = leaf;
    return true;
}

static int by_key(const void *a, const void *b)
{
    return slice_cmp(leaf_key(*(const Leaf *const *)a), leaf_key(*(const Leaf *const *)b));
}

static void write_value(JsonWriter *w, const StateValue *value)
{
    switch (value->type) {
    case STATE_NULL: json_null(w); break;
    case STATE_BOOL: json_bool(w, value->boolean); break;
    case STATE_INT: json_int(w, value->integer); break;
    case STATE_DOUBLE: json_double(w, value->real); break;
    case STATE_STRING: json_string(w, value->text); break;
    case STATE_JSON: json_raw(w, value->text); break;
    }
}

void state_write_json(const State *s, JsonWriter *w)
{
    LeafList list = {mem_alloc((state_count(s) + 1) * sizeof(Leaf *)), 0};
    (void)walk(s->root, &(Walk){collect, &list});
    qsort(list.leaves, list.count, sizeof(Leaf *), by_key);
    json_object_begin(w);
    for (size_t i = 0; i < list.count; i++) {
        StateValue value;
        if (leaf_value(list.leaves[i], &value)) {
            json_key(w, leaf_key(list.leaves[i]));
            write_value(w, &value);
            state_value_done(&value);
        }
    }
    json_object_end(w);
    free(list.leaves);
}

static int set_doc(State *s, const Doc *d)
{
    switch (d->type) {
    case DOC_NULL: return state_set(s, d->key, &(StateValue){.type = STATE_NULL});
    case DOC_BOOL: return state_set_bool(s, d->key, d->boolean);
    case DOC_INT: return state_set_int(s, d->key, d->integer);
    case DOC_FLOAT: return state_set_double(s, d->key, d->real);
    case DOC_STRING:
    case DOC_DATETIME: return state_set_string(s, d->key, d->text);
    case DOC_ARRAY:
    case DOC_OBJECT: break;
    }
    Buf json = buf_create(STATE_VALUE_MAX);
    JsonWriter w = json_writer(&json, 0);
    doc_write(&w, d);
    int rc = json.overflowed ? ERR_LIMIT : state_set_json(s, d->key, buf_slice(&json));
    buf_done(&json);
    return rc;
}

int state_read_doc(State *s, const Doc *object, Err *e)
{
    int rc = doc_expect(object, DOC_OBJECT, "a state", e);
    for (const Doc *d = doc_first(object); d && rc == 0; d = doc_next(d)) {
        rc = set_doc(s, d);
        if (rc == ERR_REFUSED) {
            return err_set(e, ERR_REFUSED, "the state is read-only");
        }
        if (rc != 0) {
            (void)doc_err_key(e, d, "keys have at most %d bytes, values %d, states %d keys",
                              STATE_KEY_MAX, STATE_VALUE_MAX, STATE_ITEMS_MAX);
            return rc;
        }
    }
    return rc;
}

static size_t node_bytes(StateNode *n)
{
    if (!n) {
        return 0;
    }
    if (n->kind == NODE_LEAF) {
        const Leaf *leaf = as_leaf(n);
        size_t bytes = sizeof *leaf + leaf->key_len + leaf->text_space;
        return bytes + (leaf->bytes ? sizeof(Bytes) + leaf->bytes->len : 0);
    }
    const Branch *b = as_branch(n);
    size_t bytes = sizeof *b + b->count * sizeof(StateNode *);
    for (unsigned i = 0; i < b->count; i++) {
        bytes += node_bytes(b->child[i]);
    }
    return bytes;
}

size_t state_bytes(const State *s)
{
    return node_bytes(s->root);
}
